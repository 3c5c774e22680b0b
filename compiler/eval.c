/* compiler/eval.c -- evaluates expressions at bind: names, configurations, conditions.
 *
 * Enters: an expression, the values of its module and of the rule's variables.  Leaves: a value, or WM_V_ERROR after
 * one diagnostic, which then spreads silently. */
#include <cjson/cJSON.h>
#include <math.h>

#include "compiler/eval_priv.h"

struct wm_value
wm_ev_fail(struct wm_ev *x, const struct wm_expr *e, struct wm_value absent, const char *what)
{
    struct wm_diags *ds = &x->be->cc->diags;

    if (absent.kind == WM_V_NULL && absent.absent.n > 7 && memcmp(absent.absent.p, "adapter", 7) == 0) {
        wm_report(ds, WM_E_CONFIG_ABSENT, e->span, "%.*s is not in %s", WM_STR_ARG(absent.absent),
                  x->be->adapter ? "the adapter's configuration"
                                 : "any configuration: there is no adapter (--adapter)");
    } else if (absent.kind == WM_V_NULL && absent.absent.n > 0) {
        struct wm_diag *d =
            wm_report(ds, WM_E_CONFIG_ABSENT, e->span, "%.*s is not in %s%.*s", WM_STR_ARG(absent.absent),
                      x->be->config_path.n ? "" : "any configuration", WM_STR_ARG(x->be->config_path));

        if (x->be->config_path.n == 0)
            wm_note(ds, d, "%.*s", WM_STR_ARG(x->be->config_why));
        else
            wm_note(ds, d, "give it a default with `%.*s ?? ...` if it may be absent", WM_STR_ARG(absent.absent));
    } else {
        wm_report(ds, WM_E_VALUE_TYPE, e->span, "%s", what);
    }
    return error_value();
}

struct wm_value
wm_ev_type_error(struct wm_ev *x, const struct wm_expr *e, const char *op, struct wm_value a, struct wm_value b)
{
    struct wm_arena *ar = x->be->cc->a;

    if (a.kind == WM_V_ERROR || b.kind == WM_V_ERROR)
        return error_value();
    if (a.kind == WM_V_NULL && a.absent.n)
        return wm_ev_fail(x, e, a, "");
    if (b.kind == WM_V_NULL && b.absent.n)
        return wm_ev_fail(x, e, b, "");
    return wm_ev_fail(
        x, e, int_value(0),
        wm_arena_printf(ar, "%s does not work on %s and %s", op, wm_vkind_name(a.kind), wm_vkind_name(b.kind)).p);
}

/* ---- names ---- */

static struct wm_value
eval_let(struct wm_ev *x, const struct wm_name *nm)
{
    struct wm_menv *me = x->me;
    struct wm_value v;

    if (nm->per_index)
        return wm_ev(x, nm->stmt->expr);
    if (me->let_state[nm->id] == 2)
        return me->let[nm->id];
    if (me->let_state[nm->id] == 1)
        return error_value(); /* a cycle; the check reported it */
    me->let_state[nm->id] = 1;
    v = wm_eval(x->be, me, NULL, nm->stmt->expr);
    me->let[nm->id] = v;
    me->let_state[nm->id] = 2;
    return v;
}

bool
wm_ev_scoped(struct wm_ev *x, struct wm_str name, struct wm_value *out)
{
    const struct wm_scope *sc = x->sc;

    if (!sc)
        return false;
    for (uint32_t i = 0; i < sc->nname; i++)
        if (wm_str_eq(sc->name[i], name))
            return *out = sc->val[i], true;
    for (uint32_t i = 0; i < sc->nbind; i++)
        if (wm_str_eq(sc->bind[i].name, name)) {
            struct wm_scope outer = *sc;

            outer.nbind = i; /* a where size may use those before it, and shadows lets */
            *out = wm_eval(x->be, x->me, &outer, sc->bind[i].expr);
            return true;
        }
    if (!sc->rule)
        return false;
    for (uint32_t v = 0; v < sc->rule->var.n; v++) {
        const struct wm_var *var = &sc->rule->var.item[v];

        if (!wm_str_eq(var->name, name) || !sc->known[v])
            continue;
        if (var->kind == WM_VAR_CAPTURE)
            *out = (struct wm_value){.kind = WM_V_STR, .u.s = sc->text[v]};
        else if (var->kind == WM_VAR_WORDS)
            *out = (struct wm_value){.kind = WM_V_STR, .u.s = wm_var_word(sc->rule, v, sc->value[v])};
        else
            *out = int_value(sc->value[v]);
        return true;
    }
    return false;
}

static struct wm_value
name_in_module(struct wm_ev *x, const struct wm_expr *e, struct wm_str name)
{
    const struct wm_name *nm = wm_module_find(x->me->mod, name);

    if (nm && nm->kind == WM_NM_PARAM)
        return wm_param_get(x->be, x->me, nm);
    if (nm && nm->kind == WM_NM_LET)
        return eval_let(x, nm);
    if (nm && nm->kind == WM_NM_INDEX) {
        wm_report(&x->be->cc->diags, WM_E_NO_VALUE, e->span, "index `%.*s` has no single value here", WM_STR_ARG(name));
        return error_value();
    }
    wm_report(&x->be->cc->diags, WM_E_UNKNOWN_NAME, e->span, "unknown name `%.*s`", WM_STR_ARG(name));
    return error_value();
}

static struct wm_value
eval_name(struct wm_ev *x, const struct wm_expr *e)
{
    struct wm_value v;

    if (wm_ev_scoped(x, e->s, &v))
        return v;
    return name_in_module(x, e, e->s);
}

/* config.a.b: the path is kept in the value, for the message where it is absent. */
static struct wm_value
eval_field(struct wm_ev *x, const struct wm_expr *e)
{
    struct wm_arena *a = x->be->cc->a;
    const struct wm_expr *base = e->arg[0];
    const struct wm_name *nm;
    struct wm_value v;
    const struct cJSON *c = NULL;
    struct wm_buf path;

    if (base->kind == WM_EX_NAME && (nm = wm_module_find(x->me->mod, base->s)) && nm->kind == WM_NM_IMPORT) {
        struct wm_ev in = {x->be, wm_menv_of(x->be, x->me->mod->import.item[nm->id].module), NULL};

        return name_in_module(&in, e, e->s);
    }
    if (base->kind == WM_EX_NAME && wm_str_eq(base->s, WM_STR("adapter")) && !wm_module_find(x->me->mod, base->s))
        v = x->be->adapter ? (struct wm_value){.kind = WM_V_OBJECT, .u.json = x->be->adapter}
                           : (struct wm_value){.kind = WM_V_NULL, .absent = base->s};
    else
        v = wm_ev(x, base);
    if (v.kind == WM_V_OBJECT)
        for (c = v.u.json->child; c; c = c->next)
            if (wm_str_eq(wm_str_c(c->string), e->s))
                break;
    if (v.kind != WM_V_OBJECT && !(v.kind == WM_V_NULL && v.absent.n))
        return v.kind == WM_V_ERROR
                   ? v
                   : wm_ev_fail(
                         x, e, v,
                         wm_arena_printf(a, "%s has no field `%.*s`", wm_vkind_name(v.kind), WM_STR_ARG(e->s)).p);
    v = wm_value_of_json(a, c);
    if (v.kind == WM_V_NULL) {
        wm_buf_init(&path, a);
        wm_print_expr(e, &path);
        v.absent = wm_buf_str(&path);
    }
    return v;
}

static struct wm_value
eval_item(struct wm_ev *x, const struct wm_expr *e)
{
    struct wm_value v = wm_ev(x, e->arg[0]), i = wm_ev(x, e->arg[1]);

    if (v.kind == WM_V_ERROR || i.kind == WM_V_ERROR)
        return error_value();
    if (v.kind == WM_V_NULL && v.absent.n) {
        return v; /* absent spreads to ?? */
    }
    if (v.kind == WM_V_LIST && i.kind == WM_V_INT) {
        if (i.u.i < 0 || i.u.i >= v.u.list.n)
            return wm_ev_fail(
                x, e, int_value(0),
                wm_arena_printf(x->be->cc->a, "item %lld of a list of %u", (long long)i.u.i, v.u.list.n).p);
        v = v.u.list.item[i.u.i];
        if (v.kind == WM_V_NULL) {
            struct wm_buf path;

            wm_buf_init(&path, x->be->cc->a);
            wm_print_expr(e, &path);
            v.absent = wm_buf_str(&path);
        }
        return v;
    }
    if (v.kind == WM_V_OBJECT && i.kind == WM_V_STR) {
        for (const struct cJSON *c = v.u.json->child; c; c = c->next)
            if (wm_str_eq(wm_str_c(c->string), i.u.s) && !cJSON_IsNull(c))
                return wm_value_of_json(x->be->cc->a, c);
        return (struct wm_value){.kind = WM_V_NULL, .absent = i.u.s};
    }
    return wm_ev_type_error(x, e, "`[ ]`", v, i);
}

static struct wm_value
eval_config(struct wm_ev *x)
{
    struct wm_value v = {.kind = WM_V_NULL, .absent = WM_STR("config")};

    if (x->be->config)
        v = (struct wm_value){.kind = WM_V_OBJECT, .u.json = x->be->config};
    return v;
}

/* ---- ranges and conditions ---- */

static struct wm_value
contains(struct wm_ev *x, const struct wm_expr *e, struct wm_value a, const struct wm_expr *domain)
{
    struct wm_value b;

    if (domain->kind == WM_EX_RANGE) {
        struct wm_value lo = wm_ev(x, domain->arg[0]), hi = wm_ev(x, domain->arg[1]);

        if (a.kind != WM_V_INT || lo.kind != WM_V_INT || hi.kind != WM_V_INT)
            return wm_ev_type_error(x, e, "`in` a range", a, lo.kind == WM_V_INT ? hi : lo);
        return bool_value(a.u.i >= lo.u.i && a.u.i < hi.u.i);
    }
    b = wm_ev(x, domain);
    if (a.kind == WM_V_NULL && a.absent.n)
        return wm_ev_fail(x, e, a, "");
    if (b.kind != WM_V_LIST)
        return wm_ev_type_error(x, e, "`in`", a, b);
    if (a.kind == WM_V_ERROR)
        return error_value();
    for (uint32_t i = 0; i < b.u.list.n; i++)
        if (wm_ev_equal(a, b.u.list.item[i]))
            return bool_value(true);
    return bool_value(false);
}

static struct wm_value
eval_range(struct wm_ev *x, const struct wm_expr *e)
{
    struct wm_value lo = wm_ev(x, e->arg[0]), hi = wm_ev(x, e->arg[1]);
    struct wm_value *item;
    int64_t n;

    if (lo.kind != WM_V_INT || hi.kind != WM_V_INT)
        return wm_ev_type_error(x, e, "`..`", lo, hi);
    n = hi.u.i > lo.u.i ? hi.u.i - lo.u.i : 0;
    if (n > WM_MAX_INDEX)
        return wm_ev_fail(x, e, int_value(0), "a range of more than 16777216 values");
    item = WM_NEW_N(x->be->cc->a, struct wm_value, n);
    for (int64_t i = 0; i < n; i++)
        item[i] = int_value(lo.u.i + i);
    return (struct wm_value){.kind = WM_V_LIST, .u.list = {item, (uint32_t)n}};
}

/* A condition: && || ! ?: take booleans only. */
static bool
truth(struct wm_ev *x, const struct wm_expr *e, bool *out)
{
    struct wm_value v = wm_ev(x, e);

    if (v.kind == WM_V_BOOL)
        return *out = v.u.b, true;
    if (v.kind != WM_V_ERROR)
        wm_ev_fail(x, e, v,
                   wm_arena_printf(x->be->cc->a, "a condition must be a boolean, this is %s", wm_vkind_name(v.kind)).p);
    return false;
}

static struct wm_value
eval_logic(struct wm_ev *x, const struct wm_expr *e)
{
    bool b;

    if (!truth(x, e->arg[0], &b))
        return error_value();
    if (e->kind == WM_EX_NOT)
        return bool_value(!b);
    if (e->kind == WM_EX_COND)
        return wm_ev(x, e->arg[b ? 1 : 2]);
    if (b == (e->kind == WM_EX_OR))
        return bool_value(b);
    return truth(x, e->arg[1], &b) ? bool_value(b) : error_value();
}

/* ---- all ---- */

struct wm_value
wm_ev(struct wm_ev *x, const struct wm_expr *e)
{
    struct wm_value v;

    switch (e->kind) {
    case WM_EX_INT:
        return int_value(e->i);
    case WM_EX_FLOAT:
        return float_value(e->f);
    case WM_EX_BOOL:
        return bool_value(e->b);
    case WM_EX_NULL:
        return (struct wm_value){.kind = WM_V_NULL};
    case WM_EX_STRING:
        return (struct wm_value){.kind = WM_V_STR, .u.s = e->s};
    case WM_EX_NAME:
        return eval_name(x, e);
    case WM_EX_CONFIG:
        return eval_config(x);
    case WM_EX_FIELD:
        return eval_field(x, e);
    case WM_EX_ITEM:
        return eval_item(x, e);
    case WM_EX_CALL:
        return wm_ev_call(x, e);
    case WM_EX_NEG:
        return wm_ev_neg(x, e);
    case WM_EX_NOT:
    case WM_EX_AND:
    case WM_EX_OR:
    case WM_EX_COND:
        return eval_logic(x, e);
    case WM_EX_MUL:
    case WM_EX_DIV:
    case WM_EX_MOD:
    case WM_EX_ADD:
    case WM_EX_SUB:
        return wm_ev_arith(x, e, wm_ev(x, e->arg[0]), wm_ev(x, e->arg[1]));
    case WM_EX_ELSE:
        v = wm_ev(x, e->arg[0]);
        return v.kind == WM_V_NULL ? wm_ev(x, e->arg[1]) : v;
    case WM_EX_RANGE:
        return eval_range(x, e);
    case WM_EX_EQ:
    case WM_EX_NE:
    case WM_EX_LT:
    case WM_EX_LE:
    case WM_EX_GT:
    case WM_EX_GE:
        return wm_ev_compare(x, e, wm_ev(x, e->arg[0]), wm_ev(x, e->arg[1]));
    case WM_EX_IN:
        return contains(x, e, wm_ev(x, e->arg[0]), e->arg[1]);
    case WM_EX_LIST:
        return wm_eval_items(x->be, x->me, x->sc, e);
    case WM_EX_OBJECT:
        return wm_eval_object(x->be, x->me, x->sc, e);
    default: /* parts of others, and errors */
        return error_value();
    }
}

struct wm_value
wm_eval(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc, const struct wm_expr *e)
{
    struct wm_ev x = {be, me, sc};

    return wm_ev(&x, e);
}

bool
wm_eval_bool(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc, const struct wm_expr *e, bool *out)
{
    struct wm_ev x = {be, me, sc};

    return truth(&x, e, out);
}

bool
wm_eval_size(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc, const struct wm_expr *e,
             const char *what, int64_t *out)
{
    struct wm_ev x = {be, me, sc};
    struct wm_value v = wm_ev(&x, e);

    if (v.kind == WM_V_FLOAT && v.u.f == floor(v.u.f) && fabs(v.u.f) < 9007199254740992.0)
        v = int_value((int64_t)v.u.f);
    if (v.kind == WM_V_INT && v.u.i >= 0)
        return *out = v.u.i, true;
    if (v.kind == WM_V_INT)
        wm_report(&be->cc->diags, WM_E_SIZE, e->span, "%s is %lld, but a size can't be negative", what,
                  (long long)v.u.i);
    else if (v.kind != WM_V_ERROR)
        wm_ev_fail(&x, e, v,
                   wm_arena_printf(be->cc->a, "%s must be an integer, this is %s", what, wm_vkind_name(v.kind)).p);
    return false;
}
