/* compiler/eval_call.c -- the functions of the language, and text with placeholders. */
#include <cjson/cJSON.h>
#include <math.h>

#include "compiler/eval_priv.h"

bool
wm_eval_text(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc, const struct wm_template *t,
             struct wm_str *out)
{
    struct wm_ev x = {be, me, sc};
    struct wm_buf text;

    wm_buf_init(&text, be->cc->a);
    for (uint32_t i = 0; t && i < t->npart; i++) {
        const struct wm_hole *h = &t->part[i];
        struct wm_value v;

        if (h->kind == WM_HO_TEXT) {
            wm_buf_puts(&text, h->text);
            continue;
        }
        if (h->kind == WM_HO_INDEX) {
            v = wm_ev(&x, h->expr);
        } else if (!wm_ev_scoped(&x, h->name, &v)) {
            wm_report(&be->cc->diags, WM_E_NO_VALUE, h->span, "`%.*s` has no value here", WM_STR_ARG(h->name));
            return false;
        }
        if (v.kind == WM_V_STR)
            wm_buf_puts(&text, v.u.s);
        else if (v.kind == WM_V_INT)
            wm_buf_printf(&text, "%0*lld", (int)h->width, (long long)v.u.i);
        else
            return wm_ev_type_error(&x, h->expr, "a placeholder", v, v), false;
    }
    *out = wm_buf_str(&text);
    return true;
}

/* Functions of a text that stands there as one: exists, text, json, files. */
static bool
text_function(struct wm_ev *x, const struct wm_expr *e, struct wm_value *out)
{
    const struct wm_expr *arg = e->narg ? e->arg[0] : NULL;
    struct wm_value v;
    struct wm_str s;

    *out = error_value();
    if (wm_str_eq(e->s, WM_STR("exists")) || wm_str_eq(e->s, WM_STR("text"))) {
        if (!arg || !wm_eval_text(x->be, x->me, x->sc, arg->tmpl, &s))
            return true;
        *out = e->s.p[0] == 't' ? (struct wm_value){.kind = WM_V_STR, .u.s = s}
                                : bool_value(x->be->exists && x->be->exists(x->be->user, s));
        return true;
    }
    if (!arg || !(wm_str_eq(e->s, WM_STR("json")) || wm_str_eq(e->s, WM_STR("files"))))
        return false;
    v = wm_ev(x, arg);
    if (v.kind != WM_V_STR) {
        *out = wm_ev_type_error(x, e, "the name of a file", v, v);
    } else if (e->s.p[0] == 'f') {
        *out = int_value(wm_eval_count_files(x->be, v.u.s));
    } else {
        const struct cJSON *j;

        if (wm_eval_json_file(x->be, v.u.s, e->span, &j))
            *out = j ? (struct wm_value){.kind = WM_V_OBJECT, .u.json = j}
                     : (struct wm_value){.kind = WM_V_NULL,
                                         .absent = wm_arena_printf(x->be->cc->a, "json(\"%.*s\")", WM_STR_ARG(v.u.s))};
    }
    return true;
}

/* without(object, "name"): the object, but for that field. */
static struct wm_value
without(struct wm_ev *x, const struct wm_expr *e, struct wm_value object, struct wm_value name)
{
    cJSON *copy;

    if (object.kind != WM_V_OBJECT || name.kind != WM_V_STR)
        return wm_ev_type_error(x, e, "without", object, name);
    copy = cJSON_Duplicate(object.u.json, true);
    if (!copy)
        return wm_ev_fail(x, e, object, "out of memory");
    wm_cc_own_json(x->be->cc, copy);
    cJSON_DeleteItemFromObjectCaseSensitive(copy, wm_arena_cstr(x->be->cc->a, name.u.s));
    return (struct wm_value){.kind = WM_V_OBJECT, .u.json = copy};
}

/* len(rank) and the like: an index as the argument means its number of values. */
static bool
index_length(struct wm_ev *x, const struct wm_expr *e, struct wm_value *out)
{
    const struct wm_name *nm;
    int64_t n = 1;

    if (e->kind != WM_EX_CALL || !wm_str_eq(e->s, WM_STR("len")) || e->narg != 1 || e->arg[0]->kind != WM_EX_NAME)
        return false;
    nm = wm_module_find(x->me->mod, e->arg[0]->s);
    if (!nm || nm->kind != WM_NM_INDEX)
        return false;
    *out = wm_index_count(x->be, x->me, nm->id, &n) ? int_value(n) : error_value();
    return true;
}

struct wm_value
wm_ev_call(struct wm_ev *x, const struct wm_expr *e)
{
    struct wm_value v[8];
    uint32_t n = e->narg < 8 ? e->narg : 8;

    if (index_length(x, e, &v[0]) || text_function(x, e, &v[0]))
        return v[0];
    if (wm_str_eq(e->s, WM_STR("has"))) {
        v[0] = wm_ev(x, e->arg[0]);
        return v[0].kind == WM_V_ERROR ? v[0] : bool_value(v[0].kind != WM_V_NULL);
    }
    for (uint32_t i = 0; i < n; i++) {
        v[i] = wm_ev(x, e->arg[i]);
        if (v[i].kind == WM_V_ERROR)
            return v[i];
        if (v[i].kind == WM_V_NULL && v[i].absent.n)
            return wm_ev_fail(x, e, v[i], "");
    }
    if (wm_str_eq(e->s, WM_STR("min")) || wm_str_eq(e->s, WM_STR("max")))
        return wm_ev_min_max(x, e, v, n, e->s.p[1] == 'a');
    if (wm_str_eq(e->s, WM_STR("len"))) {
        if (v[0].kind == WM_V_LIST)
            return int_value(v[0].u.list.n);
        if (v[0].kind == WM_V_STR)
            return int_value((int64_t)v[0].u.s.n);
        return wm_ev_type_error(x, e, "len", v[0], v[0]);
    }
    if (wm_str_eq(e->s, WM_STR("without")))
        return without(x, e, v[0], v[1]);
    if (wm_str_eq(e->s, WM_STR("sqrt"))) {
        if (!is_number(v[0]) || as_double(v[0]) < 0)
            return wm_ev_type_error(x, e, "sqrt", v[0], v[0]);
        return float_value(sqrt(as_double(v[0])));
    }
    return wm_ev_integer(x, e, v[0], v[1]);
}
