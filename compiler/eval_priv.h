/* compiler/eval_priv.h -- between the files that evaluate expressions (eval*.c): the place of an evaluation, and plain
 * values. */
#ifndef WM_COMPILER_EVAL_PRIV_H
#define WM_COMPILER_EVAL_PRIV_H

#include "compiler/value.h"

/* Where an expression is evaluated. */
struct wm_ev {
    struct wm_benv *be;
    struct wm_menv *me;
    const struct wm_scope *sc;
};

static inline struct wm_value
error_value(void)
{
    return (struct wm_value){.kind = WM_V_ERROR};
}

static inline struct wm_value
int_value(int64_t i)
{
    return (struct wm_value){.kind = WM_V_INT, .u.i = i};
}

static inline struct wm_value
bool_value(bool b)
{
    return (struct wm_value){.kind = WM_V_BOOL, .u.b = b};
}

static inline struct wm_value
float_value(double f)
{
    return (struct wm_value){.kind = WM_V_FLOAT, .u.f = f};
}

static inline bool
is_number(struct wm_value v)
{
    return v.kind == WM_V_INT || v.kind == WM_V_FLOAT;
}

/* Of a number. */
static inline double
as_double(struct wm_value v)
{
    return v.kind == WM_V_INT ? (double)v.u.i : v.u.f;
}

struct wm_value wm_ev(struct wm_ev *x, const struct wm_expr *e);
/* Report; `absent` is the value that is not there, or any other where `what` tells the fault.  An error value. */
struct wm_value wm_ev_fail(struct wm_ev *x, const struct wm_expr *e, struct wm_value absent, const char *what);
/* Report that `op` does not work on a and b. */
struct wm_value wm_ev_type_error(struct wm_ev *x, const struct wm_expr *e, const char *op, struct wm_value a,
                                 struct wm_value b);
/* The value of a name that the scope itself gives. */
bool wm_ev_scoped(struct wm_ev *x, struct wm_str name, struct wm_value *out);

/* ---- eval_arith.c ---- */

/* + - * / % of e. */
struct wm_value wm_ev_arith(struct wm_ev *x, const struct wm_expr *e, struct wm_value a, struct wm_value b);
struct wm_value wm_ev_neg(struct wm_ev *x, const struct wm_expr *e);
bool wm_ev_equal(struct wm_value a, struct wm_value b);
struct wm_value wm_ev_compare(struct wm_ev *x, const struct wm_expr *e, struct wm_value a, struct wm_value b);
/* min or max of n values, or of one list. */
struct wm_value wm_ev_min_max(struct wm_ev *x, const struct wm_expr *e, const struct wm_value *v, uint32_t n, bool max);
/* floor_div, ceil_div, align. */
struct wm_value wm_ev_integer(struct wm_ev *x, const struct wm_expr *e, struct wm_value a, struct wm_value b);

/* ---- eval_call.c ---- */

/* A call of any function. */
struct wm_value wm_ev_call(struct wm_ev *x, const struct wm_expr *e);

#endif
