/* ops/chunk.c -- chunk(dim), chunk(dim, n): cuts a dimension into equal parts, as torch.chunk, but
 * never unevenly.
 *
 * It is concat undone.  Without a number there are as many parts as the rule has tensors. */
#include "compiler/op.h"

const struct wm_op wm_op_chunk = {
    .name = "chunk",
    .signature = "dim, count",
    .doc = "cuts a dimension into equal parts (torch.chunk, but it must divide)",
    .class = WM_OP_JOIN,
    .min_args = 1,
    .max_args = 2,
    .arg = {WM_ARG_DIM, WM_ARG_PARTS},
    .mirror = &wm_op_concat,
    .inverse = "concat",
};
