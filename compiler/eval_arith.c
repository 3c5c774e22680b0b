/* compiler/eval_arith.c -- arithmetic and comparisons: 64-bit integers, checked, and float64. */
#include <math.h>

#include "base/checked.h"
#include "compiler/eval_priv.h"

static int64_t
floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;

    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

static struct wm_value
overflow(struct wm_ev *x, const struct wm_expr *e)
{
    wm_report(&x->be->cc->diags, WM_E_OVERFLOW, e->span, "the value does not fit in 64 bits");
    return error_value();
}

/* `/` and `%`, floor_div, ceil_div, align: b must not be 0. */
static struct wm_value
divide(struct wm_ev *x, const struct wm_expr *e, enum wm_expr_kind op, int64_t a, int64_t b)
{
    struct wm_diags *ds = &x->be->cc->diags;

    if (b == 0) {
        wm_report(ds, WM_E_DIVISION, e->span, "division of %lld by zero", (long long)a);
        return error_value();
    }
    if (a == INT64_MIN && b == -1)
        return overflow(x, e);
    if (op == WM_EX_MOD)
        return int_value(a - floor_div(a, b) * b);
    if (a % b != 0) {
        struct wm_diag *d =
            wm_report(ds, WM_E_DIVISION, e->span, "%lld is not a multiple of %lld", (long long)a, (long long)b);

        wm_note(ds, d,
                "use floor_div or ceil_div where a rest is meant; otherwise the config does "
                "not fit the map");
        return error_value();
    }
    return int_value(a / b);
}

struct wm_value
wm_ev_arith(struct wm_ev *x, const struct wm_expr *e, struct wm_value a, struct wm_value b)
{
    static const char *const name[] = {
        [WM_EX_MUL] = "`*`", [WM_EX_DIV] = "`/`", [WM_EX_MOD] = "`%`", [WM_EX_ADD] = "`+`", [WM_EX_SUB] = "`-`"};
    int64_t r = 0;
    bool fits;

    if (!is_number(a) || !is_number(b))
        return wm_ev_type_error(x, e, name[e->kind], a, b);
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

struct wm_value
wm_ev_neg(struct wm_ev *x, const struct wm_expr *e)
{
    struct wm_value v = wm_ev(x, e->arg[0]);
    int64_t r;

    if (v.kind == WM_V_FLOAT)
        return float_value(-v.u.f);
    if (v.kind != WM_V_INT)
        return wm_ev_type_error(x, e, "`-`", v, v);
    return wm_ck_sub(0, v.u.i, &r) ? int_value(r) : overflow(x, e);
}

/* ---- comparisons ---- */

bool
wm_ev_equal(struct wm_value a, struct wm_value b)
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
            if (!wm_ev_equal(a.u.list.item[i], b.u.list.item[i]))
                return false;
        return true;
    default:
        return false;
    }
}

struct wm_value
wm_ev_compare(struct wm_ev *x, const struct wm_expr *e, struct wm_value a, struct wm_value b)
{
    int c;

    if (a.kind == WM_V_ERROR || b.kind == WM_V_ERROR)
        return error_value();
    if (e->kind == WM_EX_EQ || e->kind == WM_EX_NE) {
        /* an absent value is an error when used, also in a comparison; `null` itself may be compared with */
        if (a.kind == WM_V_NULL && a.absent.n && b.kind != WM_V_NULL)
            return wm_ev_fail(x, e, a, "");
        if (b.kind == WM_V_NULL && b.absent.n && a.kind != WM_V_NULL)
            return wm_ev_fail(x, e, b, "");
        return bool_value(wm_ev_equal(a, b) == (e->kind == WM_EX_EQ));
    }
    if (is_number(a) && is_number(b)) {
        if (a.kind == WM_V_INT && b.kind == WM_V_INT)
            c = (a.u.i > b.u.i) - (a.u.i < b.u.i);
        else
            c = (as_double(a) > as_double(b)) - (as_double(a) < as_double(b));
    } else if (a.kind == WM_V_STR && b.kind == WM_V_STR) {
        c = wm_str_cmp(a.u.s, b.u.s);
    } else {
        return wm_ev_type_error(x, e, "a comparison", a, b);
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

/* ---- functions of numbers ---- */

struct wm_value
wm_ev_min_max(struct wm_ev *x, const struct wm_expr *e, const struct wm_value *v, uint32_t n, bool max)
{
    struct wm_value best = error_value();

    if (n == 1 && v[0].kind == WM_V_LIST) {
        n = v[0].u.list.n;
        v = v[0].u.list.item;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!is_number(v[i]))
            return wm_ev_type_error(x, e, max ? "max" : "min", v[i], v[i]);
        if (best.kind == WM_V_ERROR || (as_double(v[i]) > as_double(best)) == max)
            best = v[i];
    }
    return n ? best : wm_ev_fail(x, e, int_value(0), "min and max of nothing");
}

struct wm_value
wm_ev_integer(struct wm_ev *x, const struct wm_expr *e, struct wm_value a, struct wm_value b)
{
    int64_t q, r;

    if (a.kind != WM_V_INT || b.kind != WM_V_INT)
        return wm_ev_type_error(x, e, wm_arena_cstr(x->be->cc->a, e->s), a, b);
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
