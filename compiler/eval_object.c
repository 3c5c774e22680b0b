/* compiler/eval_object.c -- values that are made of others: objects, lists with `each`, text with placeholders, and what
 * small files of the input say.
 *
 * Enters: an expression and its scope.  Leaves: a value; objects are cJSON trees that the compilation owns. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "compiler/eval_priv.h"
#include "compiler/json_tree.h"

/* ---- values as JSON ---- */

/* The shortest text that gives the number again; with a point in front of an exponent, since YAML 1.1, of which such
 * files often are a part, takes 1e-06 for a string. */
static cJSON *
number(struct wm_arena *a, double f)
{
    struct wm_str s = WM_STR("");
    const char *e;

    if (!isfinite(f))
        return cJSON_CreateNull();
    for (int digits = 15; digits <= 17; digits++) {
        s = wm_arena_printf(a, "%.*g", digits, f);
        if (strtod(s.p, NULL) == f)
            break;
    }
    e = memchr(s.p, 'e', s.n);
    if (e && !memchr(s.p, '.', s.n))
        s = wm_arena_printf(a, "%.*s.0%s", (int)(e - s.p), s.p, e);
    return wm_json_number(a, s);
}

cJSON *
wm_value_json(struct wm_arena *a, struct wm_value v)
{
    cJSON *list;

    switch (v.kind) {
    case WM_V_INT:
        return wm_json_number(a, wm_arena_printf(a, "%lld", (long long)v.u.i));
    case WM_V_HUGE:
        return wm_json_number(a, v.u.s);
    case WM_V_FLOAT:
        return number(a, v.u.f);
    case WM_V_BOOL:
        return cJSON_CreateBool(v.u.b);
    case WM_V_STR:
        return cJSON_CreateString(wm_arena_cstr(a, v.u.s));
    case WM_V_LIST:
        list = cJSON_CreateArray();
        for (uint32_t i = 0; i < v.u.list.n; i++)
            cJSON_AddItemToArray(list, wm_value_json(a, v.u.list.item[i]));
        return list;
    case WM_V_OBJECT:
        return cJSON_Duplicate(v.u.json, true);
    default:
        return cJSON_CreateNull();
    }
}

/* ---- each ---- */

struct each {
    struct wm_scope scope;       /* the outer one, and the index */
    struct wm_str name;
    const struct wm_index_values *iv;
    struct wm_value value;
};

static bool
each_begin(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc, const struct wm_expr *e,
           struct each *x)
{
    const struct wm_name *nm = wm_module_find(me->mod, e->s);
    struct wm_arena *a = be->cc->a;
    uint32_t n = sc ? sc->nname : 0;
    struct wm_str *name = WM_NEW_N(a, struct wm_str, n + 1);
    struct wm_value *val = WM_NEW_N(a, struct wm_value, n + 1);

    if (!nm || nm->kind != WM_NM_INDEX)
        return false; /* the check reported it */
    x->scope = sc ? *sc : (struct wm_scope){0};
    for (uint32_t i = 0; i < n; i++) {
        name[i + 1] = sc->name[i];
        val[i + 1] = sc->val[i];
    }
    name[0] = e->s;
    x->scope.name = name;
    x->scope.val = val;
    x->scope.nname = n + 1;
    x->iv = wm_index_get(be, me, nm->id);
    return x->iv != NULL;
}

/* The value number i; *yes: the filter lets it through.  False: an error was reported. */
static bool
each_set(struct wm_benv *be, struct wm_menv *me, const struct wm_expr *e, struct each *x, int64_t i, bool *yes)
{
    ((struct wm_value *)x->scope.val)[0] =
        (struct wm_value){.kind = WM_V_INT, .u.i = wm_index_value(x->iv, i)};
    *yes = true;
    return e->narg < 2 || wm_eval_bool(be, me, &x->scope, e->arg[1], yes);
}

/* ---- objects ---- */

struct object {
    struct wm_benv *be;
    struct wm_menv *me;
    cJSON *root;
    struct wm_map seen;          /* paths of fields */
};

/* The object in which the last name of a dotted path stands; *last gets that name.  NULL: it is no object. */
static cJSON *
walk(struct wm_arena *a, cJSON *root, struct wm_str path, const char **last)
{
    for (;;) {
        const char *dot = memchr(path.p, '.', path.n);
        size_t n = dot ? (size_t)(dot - path.p) : path.n;
        char *name = wm_arena_cstr(a, (struct wm_str){path.p, n});
        cJSON *next;

        if (!dot) {
            *last = name;
            return root;
        }
        next = cJSON_GetObjectItemCaseSensitive(root, name);
        if (!next)
            next = cJSON_AddObjectToObject(root, name);
        if (!cJSON_IsObject(next))
            return NULL;
        root = next;
        path.p += n + 1;
        path.n -= n + 1;
    }
}

/* The index that an expression names, itself or through a let, and that has no value yet; WM_NONE. */
static uint32_t
index_in(struct wm_module *m, const struct wm_scope *sc, const struct wm_expr *e, uint32_t depth)
{
    const struct wm_name *nm = e->kind == WM_EX_NAME ? wm_module_find(m, e->s) : NULL;
    uint32_t found = WM_NONE;

    if (e->kind == WM_EX_OBJECT || e->kind == WM_EX_EACH || (e->kind == WM_EX_CALL && wm_str_eq(e->s, WM_STR("len"))))
        return WM_NONE;
    for (uint32_t i = 0; nm && sc && i < sc->nname; i++)
        if (wm_str_eq(sc->name[i], e->s))
            return WM_NONE;
    if (nm && nm->kind == WM_NM_INDEX)
        return m->index.item[nm->id].component ? WM_NONE : nm->id;
    if (nm && nm->kind == WM_NM_LET && nm->per_index && depth < 200)
        return index_in(m, sc, nm->stmt->expr, depth + 1);
    for (uint32_t i = 0; i < e->narg && found == WM_NONE; i++)
        found = index_in(m, sc, e->arg[i], depth);
    return found;
}

/* What a field is: of one that names an index without a value, the list over its values. */
static struct wm_value
field_value(struct object *o, const struct wm_scope *sc, const struct wm_expr *e)
{
    uint32_t index = index_in(o->me->mod, sc, e, 0);
    struct wm_expr each = {.kind = WM_EX_EACH}, *arg[1] = {(struct wm_expr *)e};
    struct wm_value list = {.kind = WM_V_LIST}, *item;
    struct each x;
    bool yes;

    if (index == WM_NONE)
        return wm_eval(o->be, o->me, sc, e);
    each.s = o->me->mod->index.item[index].name;
    each.arg = arg;
    each.narg = 1;
    if (!each_begin(o->be, o->me, sc, &each, &x) || !x.iv->known)
        return error_value();
    item = WM_NEW_N(o->be->cc->a, struct wm_value, (size_t)x.iv->n + 1);
    for (int64_t k = 0; k < x.iv->n; k++) {
        if (!each_set(o->be, o->me, &each, &x, k, &yes))
            return error_value();
        item[k] = wm_eval(o->be, o->me, &x.scope, e);
        if (item[k].kind == WM_V_ERROR)
            return item[k];
    }
    list.u.list.item = item;
    list.u.list.n = (uint32_t)x.iv->n;
    return list;
}

static bool
add_member(struct object *o, const struct wm_scope *sc, const struct wm_expr *m)
{
    struct wm_arena *a = o->be->cc->a;
    struct wm_value v = field_value(o, sc, m->arg[0]);
    struct wm_str name = m->s;
    const char *last;
    cJSON *in = o->root;

    if (v.kind == WM_V_ERROR || (m->tmpl && !wm_eval_text(o->be, o->me, sc, m->tmpl, &name)))
        return false;
    /* what is absent is left out; a null that is written stands */
    if (v.kind == WM_V_NULL && m->arg[0]->kind != WM_EX_NULL)
        return true;
    if (m->tmpl)
        last = wm_arena_cstr(a, name);
    else
        in = walk(a, o->root, name, &last);
    if (!in || wm_map_put(&o->seen, wm_arena_str(a, name), 0) != 0 ||
        (!m->tmpl && cJSON_GetObjectItemCaseSensitive(in, last))) {
        wm_report(&o->be->cc->diags, WM_E_DUPLICATE_NAME, m->span, "`%.*s` stands twice in one object",
                  WM_STR_ARG(name));
        return false;
    }
    wm_map_set(&o->seen, name, 1);
    cJSON_AddItemToObject(in, last, wm_value_json(a, v));
    return true;
}

static bool
add_members(struct object *o, const struct wm_scope *sc, const struct wm_expr *e)
{
    for (uint32_t i = 0; i < e->narg; i++) {
        const struct wm_expr *m = e->arg[i];
        struct each x;
        bool yes;

        if (m->kind == WM_EX_MEMBER && !add_member(o, sc, m))
            return false;
        if (m->kind != WM_EX_EACH)
            continue;
        if (!each_begin(o->be, o->me, sc, m, &x))
            return false;
        for (int64_t k = 0; k < x.iv->n; k++)
            if (!each_set(o->be, o->me, m, &x, k, &yes) || (yes && !add_members(o, &x.scope, m->arg[0])))
                return false;
    }
    return true;
}

struct wm_value
wm_eval_object(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc, const struct wm_expr *e)
{
    struct object o = {.be = be, .me = me, .root = cJSON_CreateObject()};

    wm_cc_own_json(be->cc, o.root);
    wm_map_init(&o.seen, be->cc->a, 16);
    if (!add_members(&o, sc, e))
        return error_value();
    return (struct wm_value){.kind = WM_V_OBJECT, .u.json = o.root};
}

/* ---- lists ---- */

typedef WM_VEC(struct wm_value) values;

static bool
add_items(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc, const struct wm_expr *e,
          values *out)
{
    for (uint32_t i = 0; i < e->narg; i++) {
        const struct wm_expr *m = e->arg[i];
        struct each x;
        bool yes;

        if (m->kind != WM_EX_EACH) {
            struct wm_value v = wm_eval(be, me, sc, m);

            if (v.kind == WM_V_ERROR)
                return false;
            *WM_PUSH(be->cc->a, out) = v;
            continue;
        }
        if (!each_begin(be, me, sc, m, &x))
            return false;
        for (int64_t k = 0; k < x.iv->n; k++)
            if (!each_set(be, me, m, &x, k, &yes) || (yes && !add_items(be, me, &x.scope, m->arg[0], out)))
                return false;
    }
    return true;
}

struct wm_value
wm_eval_items(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc, const struct wm_expr *e)
{
    values v = {0};

    if (!add_items(be, me, sc, e, &v))
        return error_value();
    return (struct wm_value){.kind = WM_V_LIST, .u.list = {v.item, v.n}};
}

/* ---- what files of the input say ---- */

static struct wm_str
beside(struct wm_benv *be, struct wm_str name)
{
    if (be->dir.n == 0)
        return name;
    return wm_arena_printf(be->cc->a, "%.*s/%.*s", WM_STR_ARG(be->dir), WM_STR_ARG(name));
}

bool
wm_eval_json_file(struct wm_benv *be, struct wm_str name, struct wm_span span, const cJSON **out)
{
    struct wm_str path = beside(be, name);
    struct wm_err err = {0};
    struct stat st;
    uint32_t i;

    *out = NULL;
    if (!wm_path_is_inside(name)) {
        wm_report(&be->cc->diags, WM_E_OUTPUT_NAME, span, "\"%.*s\" is not a plain file name", WM_STR_ARG(name));
        return false;
    }
    if (be->dir.n == 0)
        return true;
    for (i = 0; i < be->read_name.n; i++)
        if (wm_str_eq(be->read_name.item[i], name))
            return *out = be->read_json.item[i], true;
    path = wm_small_path(be->cc, path);
    if (be->cc->sys->stat(wm_arena_cstr(be->cc->a, path), &st) == 0) {
        if (wm_small_read(be->cc, beside(be, name), out, &err) != WM_OK) {
            wm_report(&be->cc->diags, WM_E_INPUT_JSON, span, "%s", err.msg);
            return false;
        }
    } else if (errno != ENOENT && errno != ENOTDIR) {
        wm_report(&be->cc->diags, WM_E_INPUT_JSON, span, "%.*s can't be read", WM_STR_ARG(path));
        return false;
    }
    *WM_PUSH(be->cc->a, &be->read_name) = name;
    *WM_PUSH(be->cc->a, &be->read_json) = *out;
    return true;
}

int64_t
wm_eval_count_files(struct wm_benv *be, struct wm_str glob)
{
    const char *pattern = wm_arena_cstr(be->cc->a, glob);
    int64_t n = 0;

    for (uint32_t i = 0; i < be->nfile; i++)
        n += fnmatch(pattern, wm_arena_cstr(be->cc->a, be->file[i]), FNM_PATHNAME) == 0;
    return n;
}
