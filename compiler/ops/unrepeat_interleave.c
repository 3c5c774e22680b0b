/* ops/unrepeat_interleave.c -- unrepeat_interleave(dim, n): keeps the first of n equal copies; that
 * they are equal is checked.
 *
 * It is repeat_interleave undone. */
#include "compiler/op.h"

const struct wm_op wm_op_unrepeat_interleave = {
    .name = "unrepeat_interleave",
    .signature = "dim, n",
    .doc = "keeps the first of the n copies that repeat_interleave makes; they must be equal",
    .class = WM_OP_VIEW,
    .min_args = 2,
    .max_args = 2,
    .arg = {WM_ARG_DIM, WM_ARG_INT},
    .mirror = &wm_op_repeat_interleave,
    .inverse = "repeat_interleave",
};
