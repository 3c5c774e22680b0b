/* ops/squeeze.c -- squeeze(dim): drops a dimension of 1, as torch.squeeze, but it must be one.  It
 * is unsqueeze undone. */
#include "compiler/op.h"

const struct wm_op wm_op_squeeze = {
    .name = "squeeze",
    .signature = "dim",
    .doc = "drops a dimension of 1 (torch.squeeze, but it must be one)",
    .class = WM_OP_VIEW,
    .min_args = 1,
    .max_args = 1,
    .arg = {WM_ARG_DIM},
    .mirror = &wm_op_unsqueeze,
    .inverse = "unsqueeze",
};
