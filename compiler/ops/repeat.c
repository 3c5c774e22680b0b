/* ops/repeat.c -- repeat(dim, n): a dimension n times over, as torch.Tensor.repeat does for one of
 * its dimensions.
 *
 * In the result, index i comes from i % size.  Undone, it keeps the first copy; the others are
 * compared with it. */
#include "compiler/op.h"

static bool
boxes(struct wm_opx *x, const struct wm_shape *in, const struct wm_shape *out, struct wm_imap *map)
{
    return wm_copies_boxes(x, in, out, true, map);
}

const struct wm_op wm_op_repeat = {
    .name = "repeat",
    .signature = "dim, n",
    .doc = "a dimension n times over (torch.Tensor.repeat); going back, the copies must be equal",
    .class = WM_OP_VIEW,
    .min_args = 2,
    .max_args = 2,
    .arg = {WM_ARG_DIM, WM_ARG_INT},
    .shape = wm_copies_shape,
    .unshape = wm_copies_unshape,
    .index = boxes,
    .inverse = "unrepeat",
};
