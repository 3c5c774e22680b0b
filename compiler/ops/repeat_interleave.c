/* ops/repeat_interleave.c -- repeat_interleave(dim, n): each index of a dimension n times in a row,
 * as torch.repeat_interleave.
 *
 * In the result, index i comes from i / n.  Undone, it keeps the first copy; the others are
 * compared with it. */
#include "compiler/op.h"

static bool
boxes(struct wm_opx *x, const struct wm_shape *in, const struct wm_shape *out, struct wm_imap *map)
{
    return wm_copies_boxes(x, in, out, false, map);
}

const struct wm_op wm_op_repeat_interleave = {
    .name = "repeat_interleave",
    .signature = "dim, n",
    .doc = "each index of a dimension n times in a row (torch.repeat_interleave); going back, the "
           "copies must be equal",
    .class = WM_OP_VIEW,
    .min_args = 2,
    .max_args = 2,
    .arg = {WM_ARG_DIM, WM_ARG_INT},
    .shape = wm_copies_shape,
    .unshape = wm_copies_unshape,
    .index = boxes,
    .inverse = "unrepeat_interleave",
};
