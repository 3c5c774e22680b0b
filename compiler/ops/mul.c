/* ops/mul.c -- mul(x): multiplies each element, computed in float32 (float64 for float64), rounded
 * once.
 *
 * Undone, it multiplies by 1 / x; that does not give back every value, so `<->` needs `lossy`. */
#include "compiler/op.h"

static bool
step(struct wm_opx *x, enum wm_dtype dtype, struct wm_plan_step *out, bool *has)
{
    double v;

    if (!wm_arg_number(x, 0, &v))
        return false;
    if (x->both && v == 0)
        return wm_op_error(x, WM_E_OP_ONE_WAY, "the factor is 0: nothing could be got back");
    return wm_op_arithmetic(x, dtype, WM_SP_MUL, v, out, has);
}

/* mul(1.0 / x), and from that mul(x) again. */
static bool
invert(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out)
{
    struct wm_expr *e = call->arg[0];

    if (e->kind == WM_EX_DIV && e->arg[0]->kind == WM_EX_FLOAT && e->arg[0]->f == 1)
        e = e->arg[1];
    else
        e = wm_text_op(cc->a, WM_EX_DIV, wm_text_float(cc->a, e, 1), e);
    out->arg = wm_text_args(cc->a, 1, e, NULL, NULL);
    return true;
}

const struct wm_op wm_op_mul = {
    .name = "mul",
    .signature = "x",
    .doc = "multiplies by a number, in float32 (float64 for float64), rounded once",
    .class = WM_OP_ELEMENT,
    .min_args = 1,
    .max_args = 1,
    .arg = {WM_ARG_NUMBER},
    .loses = wm_op_loses,
    .step = step,
    .invert = invert,
};
