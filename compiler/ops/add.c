/* ops/add.c -- add(x): adds a number to each element, computed in float32 (float64 for float64),
 * rounded once.
 *
 * Undone, it subtracts the number; that does not give back every value, so `<->` needs `lossy`. */
#include "compiler/op.h"

static bool
step(struct wm_opx *x, enum wm_dtype dtype, struct wm_plan_step *out, bool *has)
{
    double v;

    return wm_arg_number(x, 0, &v) && wm_op_arithmetic(x, dtype, WM_SP_ADD, v, out, has);
}

static bool
invert(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out)
{
    struct wm_expr *e = call->arg[0];

    e = e->kind == WM_EX_NEG ? e->arg[0] : wm_text_op(cc->a, WM_EX_NEG, e, NULL);
    out->arg = wm_text_args(cc->a, 1, e, NULL, NULL);
    return true;
}

const struct wm_op wm_op_add = {
    .name = "add",
    .signature = "x",
    .doc = "adds a number, in float32 (float64 for float64), rounded once",
    .class = WM_OP_ELEMENT,
    .min_args = 1,
    .max_args = 1,
    .arg = {WM_ARG_NUMBER},
    .loses = wm_op_loses,
    .step = step,
    .invert = invert,
};
