/* ops/unstack.c -- unstack(dim): takes a dimension apart into a list, as torch.unbind.  It is stack
 * undone. */
#include "compiler/op.h"

const struct wm_op wm_op_unstack = {
    .name = "unstack",
    .signature = "dim",
    .doc = "takes a dimension apart into a list (torch.unbind)",
    .class = WM_OP_JOIN,
    .min_args = 1,
    .max_args = 1,
    .arg = {WM_ARG_DIM},
    .mirror = &wm_op_stack,
    .inverse = "stack",
};
