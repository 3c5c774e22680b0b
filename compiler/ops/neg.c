/* ops/neg.c -- neg: the sign of each element changed, exactly; it undoes itself. */
#include "compiler/op.h"

static bool
step(struct wm_opx *x, enum wm_dtype dtype, struct wm_plan_step *out, bool *has)
{
    return wm_op_arithmetic(x, dtype, WM_SP_NEG, 0, out, has);
}

const struct wm_op wm_op_neg = {
    .name = "neg",
    .signature = "",
    .doc = "changes the sign (torch.neg); exact",
    .class = WM_OP_ELEMENT,
    .step = step,
    .inverse = "neg",
};
