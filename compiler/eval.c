/* compiler/eval.c -- evaluates expressions at bind.
 *
 * Enters: an expression, the values of its module and of the rule's variables.  Leaves: a value, or WM_V_ERROR after
 * one diagnostic, which then spreads silently. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "compiler/value.h"

static const struct wm_value error_value = {.kind = WM_V_ERROR};

struct ev {
    struct wm_benv *be;
    struct wm_menv *me;
    const struct wm_scope *sc;
};

static struct wm_value eval(struct ev *x, const struct wm_expr *e);

const char *
wm_vkind_name(enum wm_vkind k)
{
    static const char *const name[] = {"an error", "null", "an integer", "a float", "a boolean",
                                       "a string", "a list", "an object", "a number that does not fit in 64 bits"};

    return name[k];
}

static struct wm_value
int_value(int64_t i)
{
    return (struct wm_value){.kind = WM_V_INT, .u.i = i};
}

static struct wm_value
bool_value(bool b)
{
    return (struct wm_value){.kind = WM_V_BOOL, .u.b = b};
}

static struct wm_value
float_value(double f)
{
    return (struct wm_value){.kind = WM_V_FLOAT, .u.f = f};
}

/* Integers are exact; other integral numbers up to 2^53 are integers, too: 4096.0, 4e3. */
static struct wm_value
of_number(const struct cJSON *j)
{
    double d = j->valuedouble;
    const char *s = j->valuestring; /* see compiler/json_tree.h */
    long long i;

    if (s && !strpbrk(s, ".eE")) {
        errno = 0;
        i = strtoll(s, NULL, 10);
        return errno ? (struct wm_value){.kind = WM_V_HUGE, .u.s = wm_str_c(s)} : int_value(i);
    }
    if (s && !isfinite(d))
        return (struct wm_value){.kind = WM_V_HUGE, .u.s = wm_str_c(s)};
    return d == floor(d) && fabs(d) <= 9007199254740992.0 ? int_value((int64_t)d) : float_value(d);
}

static struct wm_value
of_json(struct wm_arena *a, const struct cJSON *j)
{
    if (!j || cJSON_IsNull(j))
        return (struct wm_value){.kind = WM_V_NULL};
    if (cJSON_IsBool(j))
        return bool_value(cJSON_IsTrue(j));
    if (cJSON_IsNumber(j))
        return of_number(j);
    if (cJSON_IsString(j))
        return (struct wm_value){.kind = WM_V_STR, .u.s = wm_str_c(j->valuestring)};
    if (cJSON_IsArray(j)) {
        uint32_t n = (uint32_t)cJSON_GetArraySize(j), i = 0;
        struct wm_value *item = WM_NEW_N(a, struct wm_value, n);

        for (const struct cJSON *c = j->child; c; c = c->next)
            item[i++] = of_json(a, c);
        return (struct wm_value){.kind = WM_V_LIST, .u.list = {item, n}};
    }
    return (struct wm_value){.kind = WM_V_OBJECT, .u.json = j};
}

static struct wm_value
fail(struct ev *x, const struct wm_expr *e, struct wm_value absent, const char *what)
{
    struct wm_diags *ds = &x->be->cc->diags;

    if (absent.kind == WM_V_NULL && absent.absent.n > 7 && memcmp(absent.absent.p, "adapter", 7) == 0) {
        wm_report(ds, WM_E_CONFIG_ABSENT, e->span, "%.*s is not in %s", WM_STR_ARG(absent.absent),
                  x->be->adapter ? "the adapter's configuration" : "any configuration: there is no adapter (--adapter)");
    } else if (absent.kind == WM_V_NULL && absent.absent.n > 0) {
        struct wm_diag *d = wm_report(ds, WM_E_CONFIG_ABSENT, e->span, "%.*s is not in %s%.*s",
                                      WM_STR_ARG(absent.absent),
                                      x->be->config_path.n ? "" : "any configuration",
                                      WM_STR_ARG(x->be->config_path));

        if (x->be->config_path.n == 0)
            wm_note(ds, d, "%.*s", WM_STR_ARG(x->be->config_why));
        else
            wm_note(ds, d, "give it a default with `%.*s ?? ...` if it may be absent",
                    WM_STR_ARG(absent.absent));
    } else {
        wm_report(ds, WM_E_VALUE_TYPE, e->span, "%s", what);
    }
    return error_value;
}

static struct wm_value
type_error(struct ev *x, const struct wm_expr *e, const char *op, struct wm_value a, struct wm_value b)
{
    struct wm_arena *ar = x->be->cc->a;

    if (a.kind == WM_V_ERROR || b.kind == WM_V_ERROR)
        return error_value;
    if (a.kind == WM_V_NULL && a.absent.n)
        return fail(x, e, a, "");
    if (b.kind == WM_V_NULL && b.absent.n)
        return fail(x, e, b, "");
    return fail(x, e, int_value(0),
                wm_arena_printf(ar, "%s does not work on %s and %s", op, wm_vkind_name(a.kind),
                                wm_vkind_name(b.kind)).p);
}

static double
as_double(struct wm_value v)
{
    return v.kind == WM_V_INT ? (double)v.u.i : v.u.f;
}

static bool
is_number(struct wm_value v)
{
    return v.kind == WM_V_INT || v.kind == WM_V_FLOAT;
}

static int64_t
floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;

    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

static struct wm_value
overflow(struct ev *x, const struct wm_expr *e)
{
    wm_report(&x->be->cc->diags, WM_E_OVERFLOW, e->span, "the value does not fit in 64 bits");
    return error_value;
}

/* `/` and `%`, floor_div, ceil_div, align: b must not be 0. */
static struct wm_value
divide(struct ev *x, const struct wm_expr *e, enum wm_expr_kind op, int64_t a, int64_t b)
{
    struct wm_diags *ds = &x->be->cc->diags;

    if (b == 0) {
        wm_report(ds, WM_E_DIVISION, e->span, "division of %lld by zero", (long long)a);
        return error_value;
    }
    if (a == INT64_MIN && b == -1)
        return overflow(x, e);
    if (op == WM_EX_MOD)
        return int_value(a - floor_div(a, b) * b);
    if (a % b != 0) {
        struct wm_diag *d = wm_report(ds, WM_E_DIVISION, e->span, "%lld is not a multiple of %lld",
                                      (long long)a, (long long)b);

        wm_note(ds, d, "use floor_div or ceil_div where a rest is meant; otherwise the config does "
                       "not fit the map");
        return error_value;
    }
    return int_value(a / b);
}

static struct wm_value
arith(struct ev *x, const struct wm_expr *e, struct wm_value a, struct wm_value b)
{
    static const char *const name[] = {[WM_EX_MUL] = "`*`", [WM_EX_DIV] = "`/`", [WM_EX_MOD] = "`%`",
                                       [WM_EX_ADD] = "`+`", [WM_EX_SUB] = "`-`"};
    int64_t r = 0;
    bool fits;

    if (!is_number(a) || !is_number(b))
        return type_error(x, e, name[e->kind], a, b);
    if (a.kind == WM_V_FLOAT || b.kind == WM_V_FLOAT) {
        double p = as_double(a), q = as_double(b);

        switch (e->kind) {
        case WM_EX_MUL:
            return float_value(p * q);
        case WM_EX_DIV:
            return float_value(p / q);
        case WM_EX_MOD:
            return float_value(p - floor(p / q) * q);
        case WM_EX_ADD:
            return float_value(p + q);
        default:
            return float_value(p - q);
        }
    }
    if (e->kind == WM_EX_DIV || e->kind == WM_EX_MOD)
        return divide(x, e, e->kind, a.u.i, b.u.i);
    if (e->kind == WM_EX_MUL)
        fits = wm_ck_mul(a.u.i, b.u.i, &r);
    else if (e->kind == WM_EX_ADD)
        fits = wm_ck_add(a.u.i, b.u.i, &r);
    else
        fits = wm_ck_sub(a.u.i, b.u.i, &r);
    return fits ? int_value(r) : overflow(x, e);
}

static bool
equal(struct wm_value a, struct wm_value b)
{
    if (is_number(a) && is_number(b)) {
        if (a.kind == WM_V_INT && b.kind == WM_V_INT)
            return a.u.i == b.u.i;
        return as_double(a) == as_double(b);
    }
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case WM_V_NULL:
        return true;
    case WM_V_BOOL:
        return a.u.b == b.u.b;
    case WM_V_STR:
    case WM_V_HUGE:
        return wm_str_eq(a.u.s, b.u.s);
    case WM_V_LIST:
        if (a.u.list.n != b.u.list.n)
            return false;
        for (uint32_t i = 0; i < a.u.list.n; i++)
            if (!equal(a.u.list.item[i], b.u.list.item[i]))
                return false;
        return true;
    default:
        return false;
    }
}

static struct wm_value
compare(struct ev *x, const struct wm_expr *e, struct wm_value a, struct wm_value b)
{
    int c;

    if (a.kind == WM_V_ERROR || b.kind == WM_V_ERROR)
        return error_value;
    if (e->kind == WM_EX_EQ || e->kind == WM_EX_NE) {
        /* an absent value is an error when used, also in a comparison; `null` itself may be compared with */
        if (a.kind == WM_V_NULL && a.absent.n && b.kind != WM_V_NULL)
            return fail(x, e, a, "");
        if (b.kind == WM_V_NULL && b.absent.n && a.kind != WM_V_NULL)
            return fail(x, e, b, "");
        return bool_value(equal(a, b) == (e->kind == WM_EX_EQ));
    }
    if (is_number(a) && is_number(b)) {
        if (a.kind == WM_V_INT && b.kind == WM_V_INT)
            c = (a.u.i > b.u.i) - (a.u.i < b.u.i);
        else
            c = (as_double(a) > as_double(b)) - (as_double(a) < as_double(b));
    } else if (a.kind == WM_V_STR && b.kind == WM_V_STR) {
        c = wm_str_cmp(a.u.s, b.u.s);
    } else {
        return type_error(x, e, "a comparison", a, b);
    }
    switch (e->kind) {
    case WM_EX_LT:
        return bool_value(c < 0);
    case WM_EX_LE:
        return bool_value(c <= 0);
    case WM_EX_GT:
        return bool_value(c > 0);
    default:
        return bool_value(c >= 0);
    }
}

static struct wm_value
contains(struct ev *x, const struct wm_expr *e, struct wm_value a, const struct wm_expr *domain)
{
    struct wm_value b;

    if (domain->kind == WM_EX_RANGE) {
        struct wm_value lo = eval(x, domain->arg[0]), hi = eval(x, domain->arg[1]);

        if (a.kind != WM_V_INT || lo.kind != WM_V_INT || hi.kind != WM_V_INT)
            return type_error(x, e, "`in` a range", a, lo.kind == WM_V_INT ? hi : lo);
        return bool_value(a.u.i >= lo.u.i && a.u.i < hi.u.i);
    }
    b = eval(x, domain);
    if (a.kind == WM_V_NULL && a.absent.n)
        return fail(x, e, a, "");
    if (b.kind != WM_V_LIST)
        return type_error(x, e, "`in`", a, b);
    if (a.kind == WM_V_ERROR)
        return error_value;
    for (uint32_t i = 0; i < b.u.list.n; i++)
        if (equal(a, b.u.list.item[i]))
            return bool_value(true);
    return bool_value(false);
}

/* ---- names ---- */

static struct wm_value
eval_let(struct ev *x, const struct wm_name *nm)
{
    struct wm_menv *me = x->me;
    struct wm_value v;

    if (nm->per_index)
        return eval(x, nm->stmt->expr);
    if (me->let_state[nm->id] == 2)
        return me->let[nm->id];
    if (me->let_state[nm->id] == 1)
        return error_value; /* a cycle; the check reported it */
    me->let_state[nm->id] = 1;
    v = wm_eval(x->be, me, NULL, nm->stmt->expr);
    me->let[nm->id] = v;
    me->let_state[nm->id] = 2;
    return v;
}

static bool
scope_value(struct ev *x, struct wm_str name, struct wm_value *out)
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
name_in_module(struct ev *x, const struct wm_expr *e, struct wm_str name)
{
    const struct wm_name *nm = wm_module_find(x->me->mod, name);

    if (nm && nm->kind == WM_NM_PARAM)
        return wm_param_get(x->be, x->me, nm);
    if (nm && nm->kind == WM_NM_LET)
        return eval_let(x, nm);
    if (nm && nm->kind == WM_NM_INDEX) {
        wm_report(&x->be->cc->diags, WM_E_NO_VALUE, e->span, "index `%.*s` has no single value here",
                  WM_STR_ARG(name));
        return error_value;
    }
    wm_report(&x->be->cc->diags, WM_E_UNKNOWN_NAME, e->span, "unknown name `%.*s`", WM_STR_ARG(name));
    return error_value;
}

static struct wm_value
eval_name(struct ev *x, const struct wm_expr *e)
{
    struct wm_value v;

    if (scope_value(x, e->s, &v))
        return v;
    return name_in_module(x, e, e->s);
}

/* config.a.b: the path is kept in the value, for the message where it is absent. */
static struct wm_value
eval_field(struct ev *x, const struct wm_expr *e)
{
    struct wm_arena *a = x->be->cc->a;
    const struct wm_expr *base = e->arg[0];
    const struct wm_name *nm;
    struct wm_value v;
    const struct cJSON *c = NULL;
    struct wm_buf path;

    if (base->kind == WM_EX_NAME && (nm = wm_module_find(x->me->mod, base->s)) &&
        nm->kind == WM_NM_IMPORT) {
        struct ev in = {x->be, wm_menv_of(x->be, x->me->mod->import.item[nm->id].module), NULL};

        return name_in_module(&in, e, e->s);
    }
    if (base->kind == WM_EX_NAME && wm_str_eq(base->s, WM_STR("adapter")) && !wm_module_find(x->me->mod, base->s))
        v = x->be->adapter ? (struct wm_value){.kind = WM_V_OBJECT, .u.json = x->be->adapter}
                           : (struct wm_value){.kind = WM_V_NULL, .absent = base->s};
    else
        v = eval(x, base);
    if (v.kind == WM_V_OBJECT)
        for (c = v.u.json->child; c; c = c->next)
            if (wm_str_eq(wm_str_c(c->string), e->s))
                break;
    if (v.kind != WM_V_OBJECT && !(v.kind == WM_V_NULL && v.absent.n))
        return v.kind == WM_V_ERROR
                   ? v
                   : fail(x, e, v, wm_arena_printf(a, "%s has no field `%.*s`", wm_vkind_name(v.kind),
                                                   WM_STR_ARG(e->s)).p);
    v = of_json(a, c);
    if (v.kind == WM_V_NULL) {
        wm_buf_init(&path, a);
        wm_print_expr(e, &path);
        v.absent = wm_buf_str(&path);
    }
    return v;
}

static struct wm_value
eval_item(struct ev *x, const struct wm_expr *e)
{
    struct wm_value v = eval(x, e->arg[0]), i = eval(x, e->arg[1]);

    if (v.kind == WM_V_ERROR || i.kind == WM_V_ERROR)
        return error_value;
    if (v.kind == WM_V_NULL && v.absent.n) {
        return v; /* absent spreads to ?? */
    }
    if (v.kind == WM_V_LIST && i.kind == WM_V_INT) {
        if (i.u.i < 0 || i.u.i >= v.u.list.n)
            return fail(x, e, int_value(0),
                        wm_arena_printf(x->be->cc->a, "item %lld of a list of %u", (long long)i.u.i,
                                        v.u.list.n).p);
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
                return of_json(x->be->cc->a, c);
        return (struct wm_value){.kind = WM_V_NULL, .absent = i.u.s};
    }
    return type_error(x, e, "`[ ]`", v, i);
}

/* ---- functions ---- */

static struct wm_value
min_max(struct ev *x, const struct wm_expr *e, const struct wm_value *v, uint32_t n, bool max)
{
    struct wm_value best = error_value;

    if (n == 1 && v[0].kind == WM_V_LIST) {
        n = v[0].u.list.n;
        v = v[0].u.list.item;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!is_number(v[i]))
            return type_error(x, e, max ? "max" : "min", v[i], v[i]);
        if (best.kind == WM_V_ERROR || (as_double(v[i]) > as_double(best)) == max)
            best = v[i];
    }
    return n ? best : fail(x, e, int_value(0), "min and max of nothing");
}

static struct wm_value
integer_function(struct ev *x, const struct wm_expr *e, struct wm_value a, struct wm_value b)
{
    int64_t q, r;

    if (a.kind != WM_V_INT || b.kind != WM_V_INT)
        return type_error(x, e, wm_arena_cstr(x->be->cc->a, e->s), a, b);
    if (b.u.i == 0 || (a.u.i == INT64_MIN && b.u.i == -1))
        return divide(x, e, WM_EX_DIV, a.u.i, b.u.i);
    q = floor_div(a.u.i, b.u.i);
    if (wm_str_eq(e->s, WM_STR("floor_div")))
        return int_value(q);
    if (q * b.u.i != a.u.i)
        q++;
    if (wm_str_eq(e->s, WM_STR("ceil_div")))
        return int_value(q);
    return wm_ck_mul(q, b.u.i, &r) ? int_value(r) : overflow(x, e);
}

bool
wm_eval_text(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc, const struct wm_template *t,
             struct wm_str *out)
{
    struct ev x = {be, me, sc};
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
            v = eval(&x, h->expr);
        } else if (!scope_value(&x, h->name, &v)) {
            wm_report(&be->cc->diags, WM_E_NO_VALUE, h->span, "`%.*s` has no value here", WM_STR_ARG(h->name));
            return false;
        }
        if (v.kind == WM_V_STR)
            wm_buf_puts(&text, v.u.s);
        else if (v.kind == WM_V_INT)
            wm_buf_printf(&text, "%0*lld", (int)h->width, (long long)v.u.i);
        else
            return type_error(&x, h->expr, "a placeholder", v, v), false;
    }
    *out = wm_buf_str(&text);
    return true;
}

/* Functions of a text that stands there as one: exists, text, json, files. */
static bool
text_function(struct ev *x, const struct wm_expr *e, struct wm_value *out)
{
    const struct wm_expr *arg = e->narg ? e->arg[0] : NULL;
    struct wm_value v;
    struct wm_str s;

    *out = error_value;
    if (wm_str_eq(e->s, WM_STR("exists")) || wm_str_eq(e->s, WM_STR("text"))) {
        if (!arg || !wm_eval_text(x->be, x->me, x->sc, arg->tmpl, &s))
            return true;
        *out = e->s.p[0] == 't' ? (struct wm_value){.kind = WM_V_STR, .u.s = s}
                                : bool_value(x->be->exists && x->be->exists(x->be->user, s));
        return true;
    }
    if (!arg || !(wm_str_eq(e->s, WM_STR("json")) || wm_str_eq(e->s, WM_STR("files"))))
        return false;
    v = eval(x, arg);
    if (v.kind != WM_V_STR) {
        *out = type_error(x, e, "the name of a file", v, v);
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
without(struct ev *x, const struct wm_expr *e, struct wm_value object, struct wm_value name)
{
    cJSON *copy;

    if (object.kind != WM_V_OBJECT || name.kind != WM_V_STR)
        return type_error(x, e, "without", object, name);
    copy = cJSON_Duplicate(object.u.json, true);
    if (!copy)
        return fail(x, e, object, "out of memory");
    wm_cc_own_json(x->be->cc, copy);
    cJSON_DeleteItemFromObjectCaseSensitive(copy, wm_arena_cstr(x->be->cc->a, name.u.s));
    return (struct wm_value){.kind = WM_V_OBJECT, .u.json = copy};
}

static struct wm_value
eval_call(struct ev *x, const struct wm_expr *e)
{
    struct wm_value v[8];
    uint32_t n = e->narg < 8 ? e->narg : 8;

    if (text_function(x, e, &v[0]))
        return v[0];
    if (wm_str_eq(e->s, WM_STR("has"))) {
        v[0] = eval(x, e->arg[0]);
        return v[0].kind == WM_V_ERROR ? v[0] : bool_value(v[0].kind != WM_V_NULL);
    }
    for (uint32_t i = 0; i < n; i++) {
        v[i] = eval(x, e->arg[i]);
        if (v[i].kind == WM_V_ERROR)
            return v[i];
        if (v[i].kind == WM_V_NULL && v[i].absent.n)
            return fail(x, e, v[i], "");
    }
    if (wm_str_eq(e->s, WM_STR("min")) || wm_str_eq(e->s, WM_STR("max")))
        return min_max(x, e, v, n, e->s.p[1] == 'a');
    if (wm_str_eq(e->s, WM_STR("len"))) {
        if (v[0].kind == WM_V_LIST)
            return int_value(v[0].u.list.n);
        if (v[0].kind == WM_V_STR)
            return int_value((int64_t)v[0].u.s.n);
        return type_error(x, e, "len", v[0], v[0]);
    }
    if (wm_str_eq(e->s, WM_STR("without")))
        return without(x, e, v[0], v[1]);
    if (wm_str_eq(e->s, WM_STR("sqrt"))) {
        if (!is_number(v[0]) || as_double(v[0]) < 0)
            return type_error(x, e, "sqrt", v[0], v[0]);
        return float_value(sqrt(as_double(v[0])));
    }
    return integer_function(x, e, v[0], v[1]);
}

/* len(rank) and the like: an index as the argument means its number of values. */
static bool
index_length(struct ev *x, const struct wm_expr *e, struct wm_value *out)
{
    const struct wm_name *nm;
    int64_t n = 1;
    const struct wm_index_def *def;

    if (e->kind != WM_EX_CALL || !wm_str_eq(e->s, WM_STR("len")) || e->narg != 1 ||
        e->arg[0]->kind != WM_EX_NAME)
        return false;
    nm = wm_module_find(x->me->mod, e->arg[0]->s);
    if (!nm || nm->kind != WM_NM_INDEX)
        return false;
    *out = wm_index_count(x->be, x->me, nm->id, &n) ? int_value(n) : error_value;
    (void)def;
    return true;
}

static struct wm_value
eval_range(struct ev *x, const struct wm_expr *e)
{
    struct wm_value lo = eval(x, e->arg[0]), hi = eval(x, e->arg[1]);
    struct wm_value *item;
    int64_t n;

    if (lo.kind != WM_V_INT || hi.kind != WM_V_INT)
        return type_error(x, e, "`..`", lo, hi);
    n = hi.u.i > lo.u.i ? hi.u.i - lo.u.i : 0;
    if (n > WM_MAX_INDEX)
        return fail(x, e, int_value(0), "a range of more than 16777216 values");
    item = WM_NEW_N(x->be->cc->a, struct wm_value, n);
    for (int64_t i = 0; i < n; i++)
        item[i] = int_value(lo.u.i + i);
    return (struct wm_value){.kind = WM_V_LIST, .u.list = {item, (uint32_t)n}};
}

/* A condition: && || ! ?: take booleans only. */
static bool
truth(struct ev *x, const struct wm_expr *e, bool *out)
{
    struct wm_value v = eval(x, e);

    if (v.kind == WM_V_BOOL)
        return *out = v.u.b, true;
    if (v.kind != WM_V_ERROR)
        fail(x, e, v, wm_arena_printf(x->be->cc->a, "a condition must be a boolean, this is %s",
                                      wm_vkind_name(v.kind)).p);
    return false;
}

static struct wm_value
eval_logic(struct ev *x, const struct wm_expr *e)
{
    bool b;

    if (!truth(x, e->arg[0], &b))
        return error_value;
    if (e->kind == WM_EX_NOT)
        return bool_value(!b);
    if (e->kind == WM_EX_COND)
        return eval(x, e->arg[b ? 1 : 2]);
    if (b == (e->kind == WM_EX_OR))
        return bool_value(b);
    return truth(x, e->arg[1], &b) ? bool_value(b) : error_value;
}

static struct wm_value
eval_neg(struct ev *x, const struct wm_expr *e)
{
    struct wm_value v = eval(x, e->arg[0]);
    int64_t r;

    if (v.kind == WM_V_FLOAT)
        return float_value(-v.u.f);
    if (v.kind != WM_V_INT)
        return type_error(x, e, "`-`", v, v);
    return wm_ck_sub(0, v.u.i, &r) ? int_value(r) : overflow(x, e);
}

static struct wm_value
eval_config(struct ev *x)
{
    struct wm_value v = {.kind = WM_V_NULL, .absent = WM_STR("config")};

    if (x->be->config)
        v = (struct wm_value){.kind = WM_V_OBJECT, .u.json = x->be->config};
    return v;
}

static struct wm_value
eval(struct ev *x, const struct wm_expr *e)
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
        return index_length(x, e, &v) ? v : eval_call(x, e);
    case WM_EX_NEG:
        return eval_neg(x, e);
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
        return arith(x, e, eval(x, e->arg[0]), eval(x, e->arg[1]));
    case WM_EX_ELSE:
        v = eval(x, e->arg[0]);
        return v.kind == WM_V_NULL ? eval(x, e->arg[1]) : v;
    case WM_EX_RANGE:
        return eval_range(x, e);
    case WM_EX_EQ:
    case WM_EX_NE:
    case WM_EX_LT:
    case WM_EX_LE:
    case WM_EX_GT:
    case WM_EX_GE:
        return compare(x, e, eval(x, e->arg[0]), eval(x, e->arg[1]));
    case WM_EX_IN:
        return contains(x, e, eval(x, e->arg[0]), e->arg[1]);
    case WM_EX_LIST:
        return wm_eval_items(x->be, x->me, x->sc, e);
    case WM_EX_OBJECT:
        return wm_eval_object(x->be, x->me, x->sc, e);
    case WM_EX_MEMBER:
    case WM_EX_EACH:
    case WM_EX_KEYS:
    case WM_EX_ERROR:
        break;
    }
    return error_value;
}

struct wm_value
wm_eval(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc, const struct wm_expr *e)
{
    struct ev x = {be, me, sc};

    return eval(&x, e);
}

bool
wm_eval_bool(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc,
             const struct wm_expr *e, bool *out)
{
    struct ev x = {be, me, sc};

    return truth(&x, e, out);
}

bool
wm_eval_size(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc,
             const struct wm_expr *e, const char *what, int64_t *out)
{
    struct ev x = {be, me, sc};
    struct wm_value v = eval(&x, e);

    if (v.kind == WM_V_FLOAT && v.u.f == floor(v.u.f) && fabs(v.u.f) < 9007199254740992.0)
        v = int_value((int64_t)v.u.f);
    if (v.kind == WM_V_INT && v.u.i >= 0)
        return *out = v.u.i, true;
    if (v.kind == WM_V_INT)
        wm_report(&be->cc->diags, WM_E_SIZE, e->span, "%s is %lld, but a size can't be negative", what,
                  (long long)v.u.i);
    else if (v.kind != WM_V_ERROR)
        fail(&x, e, v, wm_arena_printf(be->cc->a, "%s must be an integer, this is %s", what,
                                       wm_vkind_name(v.kind)).p);
    return false;
}

void
wm_value_print(struct wm_value v, struct wm_buf *out)
{
    switch (v.kind) {
    case WM_V_INT:
        wm_buf_printf(out, "%lld", (long long)v.u.i);
        break;
    case WM_V_FLOAT:
        wm_buf_printf(out, "%.17g", v.u.f);
        break;
    case WM_V_BOOL:
        wm_buf_putz(out, v.u.b ? "true" : "false");
        break;
    case WM_V_STR:
        wm_buf_json(out, v.u.s);
        break;
    case WM_V_HUGE:
        wm_buf_puts(out, v.u.s);
        break;
    case WM_V_LIST:
        wm_buf_putc(out, '[');
        for (uint32_t i = 0; i < v.u.list.n; i++) {
            wm_buf_putz(out, i ? ", " : "");
            wm_value_print(v.u.list.item[i], out);
        }
        wm_buf_putc(out, ']');
        break;
    case WM_V_OBJECT:
        wm_buf_putz(out, "{...}");
        break;
    default:
        wm_buf_putz(out, "null");
    }
}
