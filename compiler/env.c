/* compiler/env.c -- params, lets and indices of a module at bind.
 *
 * Values of params come from the link's arguments, then from -D, then from their defaults; indices are evaluated when
 * first asked for. */
#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "compiler/value.h"

/* ---- params ---- */

/* The literal of `-D NAME=VALUE`: an integer, a float, true, false, null, or else a string. */
static struct wm_value
define_value(struct wm_arena *a, struct wm_str text)
{
    const char *s = wm_arena_cstr(a, text);
    struct wm_value v = {.kind = WM_V_STR, .u.s = text};
    char *end;
    long long i;
    double f;

    if (wm_str_eq(text, WM_STR("true")) || wm_str_eq(text, WM_STR("false")))
        return (struct wm_value){.kind = WM_V_BOOL, .u.b = text.p[0] == 't'};
    if (wm_str_eq(text, WM_STR("null")))
        return (struct wm_value){.kind = WM_V_NULL};
    if (text.n == 0 || strspn(s, "0123456789+-.eE_") != text.n)
        return v;
    errno = 0;
    i = strtoll(s, &end, 10);
    if (end != s && *end == '\0')
        return errno ? (struct wm_value){.kind = WM_V_HUGE, .u.s = text}
                     : (struct wm_value){.kind = WM_V_INT, .u.i = i};
    f = strtod(s, &end);
    if (end != s && *end == '\0' && strpbrk(s, ".eE"))
        return (struct wm_value){.kind = WM_V_FLOAT, .u.f = f};
    return v;
}

static bool
same_type(struct wm_value v, struct wm_value def)
{
    return v.kind == def.kind || def.kind == WM_V_NULL ||
           (v.kind == WM_V_INT && def.kind == WM_V_FLOAT);
}

/* For messages about an input that says something else. */
static void
note_define(struct wm_benv *be, struct wm_str name, struct wm_value v, struct wm_value def)
{
    struct wm_buf is, was;

    wm_buf_init(&is, be->cc->a);
    wm_buf_init(&was, be->cc->a);
    wm_value_print(v, &is);
    wm_value_print(def, &was);
    if (v.kind != WM_V_ERROR && def.kind != WM_V_ERROR && !wm_str_eq(wm_buf_str(&is), wm_buf_str(&was)))
        *WM_PUSH(be->cc->a, &be->differs) =
            wm_arena_printf(be->cc->a, "%.*s is %.*s by -D, %.*s without it", WM_STR_ARG(name),
                            WM_STR_ARG(wm_buf_str(&is)), WM_STR_ARG(wm_buf_str(&was)));
}

/* *from is the place that says it. */
static struct wm_value
param_value(struct wm_benv *be, struct wm_menv *me, const struct wm_stmt *st, struct wm_span *from)
{
    struct wm_diags *ds = &be->cc->diags;
    struct wm_value def = wm_eval(be, me, NULL, st->expr), v = def;

    for (uint32_t i = 0; i < be->ndefine; i++) {
        struct wm_str d = be->define[i];
        const char *eq = memchr(d.p, '=', d.n);
        size_t n = eq ? (size_t)(eq - d.p) : d.n;

        if (!eq || !wm_str_eq((struct wm_str){d.p, n}, st->name))
            continue;
        v = define_value(be->cc->a, (struct wm_str){eq + 1, d.n - n - 1});
        note_define(be, st->name, v, def);
    }
    for (uint32_t i = 0; i < be->narg; i++)
        if (wm_str_eq(be->arg[i].name, st->name) &&
            wm_module_of_param(be->root, st->name) == me->mod) {
            v = wm_eval(be, be->arg_env ? be->arg_env : me, NULL, be->arg[i].expr);
            *from = be->arg[i].span;
        }
    if (v.kind == WM_V_ERROR || def.kind == WM_V_ERROR || same_type(v, def))
        return v;
    wm_report(ds, WM_E_PARAM_TYPE, *from, "parameter `%.*s` is %s, but its default is %s",
              WM_STR_ARG(st->name), wm_vkind_name(v.kind), wm_vkind_name(def.kind));
    return (struct wm_value){.kind = WM_V_ERROR};
}

/* What an earlier binding found. */
static const struct wm_value *
settled_value(const struct wm_benv *be, const struct wm_menv *me, uint32_t id)
{
    const struct wm_settled *s = be->settled;

    for (uint32_t i = 0; s && s->given && i < s->param.n; i++)
        if (s->param.item[i].link == be->link && s->param.item[i].mod == me->mod && s->param.item[i].id == id)
            return &s->param.item[i].v;
    return NULL;
}

struct wm_settled *
wm_settled_new(struct wm_arena *a)
{
    return WM_NEW(a, struct wm_settled);
}

/* Is it what the map says that it must be? */
static bool
satisfies(struct wm_benv *be, struct wm_menv *me, const struct wm_stmt *st, struct wm_value v, struct wm_span from)
{
    struct wm_buf is, must;
    bool yes;

    if (v.kind == WM_V_ERROR || !st->where)
        return true;
    if (!wm_eval_bool(be, me, NULL, st->where, &yes))
        return false;
    if (yes)
        return true;
    wm_buf_init(&is, be->cc->a);
    wm_buf_init(&must, be->cc->a);
    wm_value_print(v, &is);
    wm_print_expr(st->where, &must);
    wm_report(&be->cc->diags, WM_E_PARAM_VALUE, from, "parameter `%.*s` is %.*s, but the map takes `%.*s`",
              WM_STR_ARG(st->name), WM_STR_ARG(wm_buf_str(&is)), WM_STR_ARG(wm_buf_str(&must)));
    return false;
}

struct wm_value
wm_param_get(struct wm_benv *be, struct wm_menv *me, const struct wm_name *nm)
{
    struct wm_span from = nm->stmt->span;
    const struct wm_value *before;

    if (me->param_state[nm->id] == 1)
        return (struct wm_value){.kind = WM_V_ERROR}; /* a cycle; the check reported it */
    if (me->param_state[nm->id] == 0) {
        me->param_state[nm->id] = 1;
        before = settled_value(be, me, nm->id);
        me->param[nm->id] = before ? *before : param_value(be, me, nm->stmt, &from);
        if (be->settled && !be->settled->given)
            *WM_PUSH(be->cc->a, &be->settled->param) =
                (struct wm_settled_param){be->link, me->mod, nm->id, me->param[nm->id]};
        me->param_state[nm->id] = 2; /* what it must be may name it */
        if (!satisfies(be, me, nm->stmt, me->param[nm->id], from))
            me->param[nm->id] = (struct wm_value){.kind = WM_V_ERROR};
    }
    return me->param[nm->id];
}

void
wm_params_get(struct wm_benv *be, struct wm_menv *me)
{
    for (uint32_t i = 0; i < me->mod->name_list.n; i++)
        if (me->mod->name_list.item[i].kind == WM_NM_PARAM)
            wm_param_get(be, me, &me->mod->name_list.item[i]);
    for (uint32_t i = 0; i < me->mod->import.n; i++)
        wm_params_get(be, wm_menv_of(be, me->mod->import.item[i].module));
}

struct wm_menv *
wm_menv_of(struct wm_benv *be, struct wm_module *m)
{
    struct wm_arena *a = be->cc->a;
    struct wm_menv *me;

    for (uint32_t i = 0; i < be->env.n; i++)
        if (be->env.item[i]->mod == m)
            return be->env.item[i];
    me = WM_NEW(a, struct wm_menv);
    me->mod = m;
    me->param = WM_NEW_N(a, struct wm_value, m->name_list.n);
    me->param_state = WM_NEW_N(a, uint8_t, m->name_list.n);
    me->let = WM_NEW_N(a, struct wm_value, m->name_list.n);
    me->let_state = WM_NEW_N(a, uint8_t, m->name_list.n);
    me->index = WM_NEW_N(a, struct wm_index_values, m->index.n);
    *WM_PUSH(a, &be->env) = me;
    return me;
}

void
wm_benv_enter(struct wm_benv *be, const struct wm_chain_link *l)
{
    be->root = l->module;
    be->link = l;
    be->arg = l->arg.item;
    be->narg = l->arg.n;
    if (l->arg_mod)
        be->arg_env = wm_menv_of(be, l->arg_mod);
    wm_menv_of(be, l->module);
}

/* ---- indices ---- */

/* `index a in expr where filter`: does the filter let the value through? */
static bool
passes(struct wm_benv *be, struct wm_menv *me, const struct wm_stmt *st, int64_t value, bool *ok)
{
    struct wm_str name = st->name;
    struct wm_value v = {.kind = WM_V_INT, .u.i = value};
    struct wm_scope sc = {.name = &name, .val = &v, .nname = 1};
    bool yes = true;

    if (st->where && !wm_eval_bool(be, me, &sc, st->where, &yes))
        *ok = false;
    return yes;
}

static bool
push_value(struct wm_benv *be, struct wm_menv *me, const struct wm_stmt *st, int64_t value,
           int64_t *list, int64_t *n)
{
    bool ok = true;

    if (value < 0) {
        wm_report(&be->cc->diags, WM_E_INDEX_VALUES, st->span, "index `%.*s` has the value %lld",
                  WM_STR_ARG(st->name), (long long)value);
        return false;
    }
    if (*n > 0 && list[*n - 1] >= value) {
        wm_report(&be->cc->diags, WM_E_INDEX_VALUES, st->span,
                  "the values of index `%.*s` must ascend, but %lld stands before %lld",
                  WM_STR_ARG(st->name), (long long)list[*n - 1], (long long)value);
        return false;
    }
    if (passes(be, me, st, value, &ok) && ok)
        list[(*n)++] = value;
    return ok;
}

static bool
too_many(struct wm_benv *be, const struct wm_stmt *st, int64_t n)
{
    if (n <= WM_MAX_INDEX)
        return false;
    wm_report(&be->cc->diags, WM_E_INDEX_VALUES, st->span,
              "index `%.*s` has %lld values; the limit is %d", WM_STR_ARG(st->name), (long long)n,
              WM_MAX_INDEX);
    return true;
}

/* Values from lo to hi, filtered. */
static bool
from_range(struct wm_benv *be, struct wm_menv *me, const struct wm_stmt *st, int64_t lo, int64_t hi,
           struct wm_index_values *iv)
{
    int64_t n = hi > lo ? hi - lo : 0, *list;

    if (too_many(be, st, n))
        return false;
    if (lo == 0 && !st->where) {
        iv->n = n;
        return true;
    }
    iv->value = list = WM_NEW_N(be->cc->a, int64_t, n);
    for (int64_t v = lo; v < hi; v++)
        if (!push_value(be, me, st, v, list, &iv->n))
            return false;
    return true;
}

static bool
from_list(struct wm_benv *be, struct wm_menv *me, const struct wm_stmt *st, struct wm_index_values *iv)
{
    struct wm_value v = wm_eval(be, me, NULL, st->expr);
    int64_t *list;

    if (v.kind != WM_V_LIST) {
        if (v.kind != WM_V_ERROR)
            wm_report(&be->cc->diags, WM_E_INDEX_VALUES, st->expr->span,
                      "the domain of index `%.*s` must be a range or a list, this is %s",
                      WM_STR_ARG(st->name), wm_vkind_name(v.kind));
        return false;
    }
    if (too_many(be, st, v.u.list.n))
        return false;
    iv->value = list = WM_NEW_N(be->cc->a, int64_t, v.u.list.n);
    for (uint32_t i = 0; i < v.u.list.n; i++) {
        if (v.u.list.item[i].kind != WM_V_INT) {
            wm_report(&be->cc->diags, WM_E_INDEX_VALUES, st->expr->span,
                      "the values of index `%.*s` must be integers, this one is %s",
                      WM_STR_ARG(st->name), wm_vkind_name(v.u.list.item[i].kind));
            return false;
        }
        if (!push_value(be, me, st, v.u.list.item[i].u.i, list, &iv->n))
            return false;
    }
    return true;
}

static bool
fill_index(struct wm_benv *be, struct wm_menv *me, uint32_t index, struct wm_index_values *iv)
{
    const struct wm_index_def *def = &me->mod->index.item[index];
    const struct wm_stmt *st = def->stmt;
    int64_t lo = 0, hi;

    if (def->in_keys)
        return be->keys && be->keys(be->user, me, index, iv);
    if (st->bound)
        return wm_eval_size(be, me, NULL, st->bound, "the bound of an index", &hi) &&
               from_range(be, me, st, 0, hi, iv);
    if (st->expr->kind == WM_EX_RANGE)
        return wm_eval_size(be, me, NULL, st->expr->arg[0], "the begin of a range", &lo) &&
               wm_eval_size(be, me, NULL, st->expr->arg[1], "the end of a range", &hi) &&
               from_range(be, me, st, lo, hi, iv);
    return from_list(be, me, st, iv);
}

const struct wm_index_values *
wm_index_get(struct wm_benv *be, struct wm_menv *me, uint32_t index)
{
    struct wm_index_values *iv = &me->index[index];

    if (iv->known || iv->busy)
        return iv; /* busy: a cycle, which the check has reported; or failed before */
    iv->busy = true;
    iv->known = fill_index(be, me, index, iv);
    if (!iv->known)
        iv->n = 0;
    return iv;
}

bool
wm_index_count(struct wm_benv *be, struct wm_menv *me, uint32_t index, int64_t *out)
{
    const struct wm_index_def *def = &me->mod->index.item[index];
    const struct wm_index_values *iv;
    int64_t n = 1, bound;

    if (def->ncomponent == 0) {
        iv = wm_index_get(be, me, index);
        *out = iv->n;
        return iv->known;
    }
    for (uint32_t c = 0; c < def->ncomponent; c++) {
        iv = wm_index_get(be, me, def->component[c]);
        if (!iv->known || !wm_ck_mul(n, iv->n, &n))
            return false;
    }
    if (def->stmt->bound) {
        if (!wm_eval_size(be, me, NULL, def->stmt->bound, "the bound of an index", &bound))
            return false;
        n = bound < n ? bound : n;
    }
    *out = n;
    return true;
}

bool
wm_index_split(struct wm_benv *be, struct wm_menv *me, uint32_t index, int64_t v, int64_t *component)
{
    const struct wm_index_def *def = &me->mod->index.item[index];
    int64_t n;

    if (!wm_index_count(be, me, index, &n) || v < 0 || v >= n)
        return false;
    for (uint32_t c = def->ncomponent; c-- > 0;) {
        const struct wm_index_values *iv = wm_index_get(be, me, def->component[c]);

        component[c] = wm_index_value(iv, v % iv->n);
        v /= iv->n;
    }
    return true;
}

int64_t
wm_index_ordinal(const struct wm_index_values *iv, int64_t value)
{
    int64_t lo = 0, hi = iv->n;

    if (!iv->value)
        return value >= 0 && value < iv->n ? value : -1;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;

        if (iv->value[mid] < value)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < iv->n && iv->value[lo] == value ? lo : -1;
}
