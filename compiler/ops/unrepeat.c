/* ops/unrepeat.c -- unrepeat(dim, n): keeps the first of n equal copies; that they are equal is
 * checked.
 *
 * It is repeat undone. */
#include "compiler/op.h"

const struct wm_op wm_op_unrepeat = {
    .name = "unrepeat",
    .signature = "dim, n",
    .doc = "keeps the first of the n copies that repeat makes; they must be equal",
    .class = WM_OP_VIEW,
    .min_args = 2,
    .max_args = 2,
    .arg = {WM_ARG_DIM, WM_ARG_INT},
    .mirror = &wm_op_repeat,
    .inverse = "repeat",
};
