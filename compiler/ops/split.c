/* ops/split.c -- split(dim, [sizes]): cuts a dimension into parts of the given sizes, as
 * torch.split.
 *
 * It is concat undone; the sizes must add up to the dimension. */
#include "compiler/op.h"

const struct wm_op wm_op_split = {
    .name = "split",
    .signature = "dim, [sizes]",
    .doc = "cuts a dimension into parts of these sizes (torch.split)",
    .class = WM_OP_JOIN,
    .min_args = 2,
    .max_args = 2,
    .arg = {WM_ARG_DIM, WM_ARG_INTS},
    .mirror = &wm_op_concat,
    .inverse = "concat",
};
