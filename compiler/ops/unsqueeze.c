/* ops/unsqueeze.c -- unsqueeze(dim): a new dimension of 1, as torch.unsqueeze.
 *
 * dim is that of the result, so -1 puts it last.  The elements stay in row-major order. */
#include "compiler/op.h"

static bool
shape(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out)
{
    static const int64_t one = 1;
    uint32_t d;

    return wm_arg_dim(x, 0, in->rank + 1, &d) && wm_shape_splice(x, in, d, 0, &one, 1, out);
}

static bool
unshape(struct wm_opx *x, const struct wm_shape *out, struct wm_shape *in)
{
    uint32_t d;

    if (!wm_arg_dim(x, 0, out->rank, &d))
        return false;
    if (out->dim[d] != 1)
        return wm_op_error(x, WM_E_OP_SHAPE, "dimension %u has %lld, not 1", d,
                           (long long)out->dim[d]);
    return wm_shape_splice(x, out, d, 1, NULL, 0, in);
}

const struct wm_op wm_op_unsqueeze = {
    .name = "unsqueeze",
    .signature = "dim",
    .doc = "a new dimension of 1 (torch.unsqueeze)",
    .class = WM_OP_VIEW,
    .min_args = 1,
    .max_args = 1,
    .arg = {WM_ARG_DIM},
    .shape = shape,
    .unshape = unshape,
    .inverse = "squeeze",
};
