/* ops/exp.c -- exp: e to the power of each element, computed in float32 (float64 for float64),
 * rounded once.
 *
 * Undone, it is log; that does not give back every value, so `<->` needs `lossy`. */
#include "compiler/op.h"

static bool
step(struct wm_opx *x, enum wm_dtype dtype, struct wm_plan_step *out, bool *has)
{
    return wm_op_arithmetic(x, dtype, WM_SP_EXP, 0, out, has);
}

const struct wm_op wm_op_exp = {
    .name = "exp",
    .signature = "",
    .doc = "e to the power of each element (torch.exp), in float32 (float64 for float64), rounded "
           "once",
    .class = WM_OP_ELEMENT,
    .loses = wm_op_loses,
    .step = step,
    .inverse = "log",
};
