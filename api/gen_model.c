/* api/gen_model.c -- a family and its settings become a list of tensors and a config.json. */
#include "api/gen.h"

#include <inttypes.h>

#include "base/checked.h"
#include "runtime/json.h"

enum { MAX_RANK = 4, MAX_INDEX = 4, MAX_TENSORS = 1000000, MAX_SETTINGS = 128 };

/* ---- settings ---- */

/* Is `s` one JSON value?  Then what expressions see of it. */
static bool
read_json(struct wm_arena *a, struct wm_str s, struct wm_gen_value *out)
{
    struct wm_json *j = WM_NEW(a, struct wm_json);
    enum wm_json_tok t;

    wm_json_init(j, a, s.p, s.n);
    t = wm_json_next(j);
    *out = (struct wm_gen_value){.kind = WM_GV_OTHER, .json = s};
    if (t == WM_JS_NULL)
        out->kind = WM_GV_NULL;
    if (t == WM_JS_TRUE || t == WM_JS_FALSE || (t == WM_JS_UINT && j->u <= INT64_MAX)) {
        out->kind = WM_GV_INT;
        out->i = t == WM_JS_UINT ? (int64_t)j->u : t == WM_JS_TRUE;
    }
    return t != WM_JS_ERROR && wm_json_skip(j, t) && wm_json_next(j) == WM_JS_END;
}

static struct wm_gen_value
value_of(struct wm_arena *a, struct wm_str text)
{
    struct wm_gen_value v;
    struct wm_buf b;

    if (read_json(a, text, &v))
        return v;
    wm_buf_init(&b, a); /* anything else is a string */
    wm_buf_json(&b, text);
    return (struct wm_gen_value){.kind = WM_GV_OTHER, .json = wm_buf_str(&b)};
}

static enum wm_status
unknown(struct wm_gen_model *m, struct wm_str name, struct wm_err *err)
{
    struct wm_str names[MAX_SETTINGS] = {WM_STR("dtype"), WM_STR("seed"), WM_STR("preset")}, near;
    uint32_t n = 3;

    for (uint32_t k = 0; m->family->row[k].kind != WM_GR_END && n < MAX_SETTINGS; k++)
        if (m->family->row[k].kind == WM_GR_SET)
            names[n++] = wm_str_c(m->family->row[k].name);
    near = wm_suggest(m->a, name, names, n);
    if (near.n)
        return wm_fail(err, WM_EUSAGE, NULL,
                       "family %s has no setting \"%.*s\"; did you mean %.*s?", m->family->name,
                       WM_STR_ARG(name), WM_STR_ARG(near));
    return wm_fail(err, WM_EUSAGE, NULL,
                   "family %s has no setting \"%.*s\"; `wmap gen --families %s` lists them",
                   m->family->name, WM_STR_ARG(name), m->family->name);
}

static enum wm_status
set(struct wm_gen_model *m, struct wm_str name, struct wm_str value, struct wm_err *err)
{
    struct wm_gen_value v = value_of(m->a, value), *at;
    enum wm_gen_vkind was;
    uint32_t row;

    if (wm_str_eq(name, WM_STR("dtype"))) {
        m->dtype = wm_dtype_by_name(value);
        if (m->dtype == WM_DT_N)
            return wm_fail(err, WM_EUSAGE, NULL, "no dtype \"%.*s\"", WM_STR_ARG(value));
        return WM_OK;
    }
    if (wm_str_eq(name, WM_STR("seed"))) {
        if (v.kind != WM_GV_INT)
            return wm_fail(err, WM_EUSAGE, NULL, "seed must be an integer, not \"%.*s\"",
                           WM_STR_ARG(value));
        m->seed = (uint64_t)v.i;
        return WM_OK;
    }
    row = wm_gen_find(m->family, WM_GR_SET, name);
    if (row == WM_NONE)
        return unknown(m, name, err);
    at = &m->env.value[row];
    was = value_of(m->a, wm_str_c(m->family->row[row].value)).kind;
    if (was == WM_GV_INT && v.kind == WM_GV_OTHER)
        return wm_fail(err, WM_EUSAGE, NULL, "%.*s must be %s, not \"%.*s\"", WM_STR_ARG(name),
                       at->json.p[0] == 't' || at->json.p[0] == 'f' ? "true or false"
                                                                    : "an integer",
                       WM_STR_ARG(value));
    *at = v;
    return WM_OK;
}

static enum wm_status set_one(struct wm_gen_model *m, struct wm_str text, bool in_preset,
                              struct wm_err *err);

static enum wm_status
use_preset(struct wm_gen_model *m, struct wm_str name, struct wm_err *err)
{
    uint32_t row = wm_gen_find(m->family, WM_GR_PRESET, name);
    const char *p;
    enum wm_status st = WM_OK;

    if (row == WM_NONE)
        return wm_fail(err, WM_EUSAGE, NULL,
                       "family %s has no preset \"%.*s\"; `wmap gen --families %s` lists them",
                       m->family->name, WM_STR_ARG(name), m->family->name);
    for (p = m->family->row[row].value; *p && st == WM_OK;) {
        size_t n = strcspn(p, " ");

        st = set_one(m, (struct wm_str){p, n}, true, err);
        p += n + (p[n] == ' ');
    }
    return st;
}

/* "NAME=VALUE".  Presets do not nest. */
static enum wm_status
set_one(struct wm_gen_model *m, struct wm_str text, bool in_preset, struct wm_err *err)
{
    const char *eq = memchr(text.p, '=', text.n);
    struct wm_str name = {text.p, eq ? (size_t)(eq - text.p) : 0}, value;

    if (!name.n)
        return wm_fail(err, WM_EUSAGE, NULL, "-D %.*s: write NAME=VALUE", WM_STR_ARG(text));
    value = (struct wm_str){eq + 1, text.n - name.n - 1};
    if (!in_preset && wm_str_eq(name, WM_STR("preset")))
        return use_preset(m, value, err);
    return set(m, name, value, err);
}

/* A preset is what the other definitions stand on, wherever it is given. */
static enum wm_status
set_all(struct wm_gen_model *m, const wmap_gen_options *o, struct wm_err *err)
{
    enum wm_status st = WM_OK;

    for (int pass = 0; pass < 2; pass++)
        for (size_t k = 0; k < o->ndefine && st == WM_OK; k++) {
            struct wm_str text = wm_str_c(o->define[k]);

            if (wm_str_starts(text, WM_STR("preset=")) == (pass == 0))
                st = set_one(m, text, false, err);
        }
    return st;
}

/* ---- tensors ---- */

/* The number of the index row that the key names and that has no value yet; WM_NONE. */
static uint32_t
open_index(const struct wm_gen_model *m, const char *key)
{
    for (const char *p = strchr(key, '{'); p; p = strchr(p + 1, '{')) {
        uint32_t row =
            wm_gen_find(m->family, WM_GR_INDEX, (struct wm_str){p + 1, strcspn(p + 1, "}")});

        if (m->env.index[row] < 0)
            return row;
    }
    return WM_NONE;
}

static struct wm_str
expand(const struct wm_gen_model *m, const char *key)
{
    struct wm_buf b;

    wm_buf_init(&b, m->a);
    while (*key) {
        size_t n = strcspn(key, "{");

        wm_buf_puts(&b, (struct wm_str){key, n});
        key += n;
        if (*key == '{') {
            n = strcspn(key, "}");
            wm_buf_printf(
                &b, "%" PRId64,
                m->env.index[wm_gen_find(m->family, WM_GR_INDEX, (struct wm_str){key + 1, n - 1})]);
            key += n + 1;
        }
    }
    return wm_buf_str(&b);
}

static enum wm_status
add_tensor(struct wm_gen_model *m, const struct wm_gen_row *row, struct wm_err *err)
{
    struct wm_gen_tensor t = {.dtype = row->dtype ? wm_dtype_by_safetensors(wm_str_c(row->dtype))
                                                  : m->dtype};
    int64_t *shape = WM_NEW_N(m->a, int64_t, MAX_RANK), yes = 1, n;

    if (row->when && !wm_gen_eval(&m->env, row->when, &yes))
        return err->status;
    if (!yes)
        return WM_OK;
    t.name = expand(m, row->name);
    for (const char *p = row->value; p && t.rank < MAX_RANK; t.rank++) {
        if (!wm_gen_eval_next(&m->env, p, &p, &shape[t.rank]))
            return err->status;
        if (shape[t.rank] <= 0)
            return wm_fail(err, WM_EUSAGE, NULL, "\"%.*s\" would have a dimension of %" PRId64,
                           WM_STR_ARG(t.name), shape[t.rank]);
    }
    t.shape = shape;
    if (!wm_ck_numel(shape, t.rank, &n) || !wm_dtype_nbytes(t.dtype, n, &t.nbytes) ||
        !wm_ck_uadd(m->nbytes, t.nbytes, &m->nbytes) || m->nbytes > INT64_MAX)
        return wm_fail(err, WM_ELIMIT, NULL, "\"%.*s\" has no size in whole bytes below 2^63",
                       WM_STR_ARG(t.name));
    if (m->tensor.n == MAX_TENSORS)
        return wm_fail(err, WM_ELIMIT, NULL, "more than %d tensors", MAX_TENSORS);
    *WM_PUSH(m->a, &m->tensor) = t;
    return WM_OK;
}

/* Rows [from, to), with some indices bound.  Neighbours that share their next index are repeated
 * together, so a layer's tensors stand together.  Depth is the number of indices. */
static enum wm_status
add_rows(struct wm_gen_model *m, uint32_t from, uint32_t to, struct wm_err *err)
{
    enum wm_status st = WM_OK;

    for (uint32_t k = from, end; k < to && st == WM_OK; k = end) {
        const struct wm_gen_row *row = &m->family->row[k];
        uint32_t index = row->kind == WM_GR_TENSOR ? open_index(m, row->name) : WM_NONE;
        int64_t count;

        end = k + 1;
        if (row->kind != WM_GR_TENSOR)
            continue;
        if (index == WM_NONE) {
            st = add_tensor(m, row, err);
            continue;
        }
        while (end < to && m->family->row[end].kind == WM_GR_TENSOR &&
               open_index(m, m->family->row[end].name) == index)
            end++;
        if (!wm_gen_eval(&m->env, m->family->row[index].value, &count))
            return err->status;
        if (count > MAX_TENSORS)
            return wm_fail(err, WM_ELIMIT, NULL, "more than %d tensors", MAX_TENSORS);
        for (int64_t i = 0; i < count && st == WM_OK; i++) {
            m->env.index[index] = i;
            st = add_rows(m, k, end, err);
        }
        m->env.index[index] = -1;
    }
    return st;
}

enum wm_status
wm_gen_model_init(struct wm_gen_model *m, const wmap_gen_options *o, struct wm_err *err)
{
    const struct wm_gen_family *f = m->family;
    uint32_t n = 0;
    enum wm_status st;

    while (f->row[n].kind != WM_GR_END)
        n++;
    m->env = (struct wm_gen_env){.a = m->a, .family = f, .err = err};
    m->env.value = WM_NEW_N(m->a, struct wm_gen_value, n);
    m->env.index = WM_NEW_N(m->a, int64_t, n);
    m->dtype = wm_dtype_by_name(wm_str_c(f->dtype));
    for (uint32_t k = 0; k < n; k++) {
        m->env.index[k] = -1;
        if (f->row[k].kind == WM_GR_SET)
            m->env.value[k] = value_of(m->a, wm_str_c(f->row[k].value));
    }
    st = set_all(m, o, err);
    return st == WM_OK ? add_rows(m, 0, n, err) : st;
}

struct wm_str
wm_gen_config(const struct wm_gen_model *m)
{
    struct wm_buf b;

    wm_buf_init(&b, m->a);
    wm_buf_printf(&b, "{\n  \"architectures\": [\n    \"%s\"\n  ],\n  \"model_type\": \"%s\",\n",
                  m->family->architecture, m->family->name);
    for (uint32_t k = 0; m->family->row[k].kind != WM_GR_END; k++)
        if (m->family->row[k].kind == WM_GR_SET && m->env.value[k].kind != WM_GV_NULL)
            wm_buf_printf(&b, "  \"%s\": %.*s,\n", m->family->row[k].name,
                          WM_STR_ARG(m->env.value[k].json));
    wm_buf_printf(&b, "  \"torch_dtype\": \"%s\"\n}\n", wm_dtype_info[m->dtype].torch);
    return wm_buf_str(&b);
}
