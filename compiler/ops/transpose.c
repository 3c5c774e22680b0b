/* ops/transpose.c -- transpose(a, b): exchanges two dimensions, as torch.transpose.  It undoes
 * itself. */
#include "compiler/op.h"

static bool
shape(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out)
{
    uint32_t a, b;

    if (!wm_arg_dim(x, 0, in->rank, &a) || !wm_arg_dim(x, 1, in->rank, &b))
        return false;
    *out = *in;
    out->dim[a] = in->dim[b];
    out->dim[b] = in->dim[a];
    return true;
}

static bool
boxes(struct wm_opx *x, const struct wm_shape *in, const struct wm_shape *out, struct wm_imap *map)
{
    int64_t dst[WM_MAX_RANK], src[WM_MAX_RANK], t;
    uint32_t a, b;

    if (!wm_arg_dim(x, 0, in->rank, &a) || !wm_arg_dim(x, 1, in->rank, &b))
        return false;
    wm_shape_strides(out, dst);
    wm_shape_strides(in, src);
    t = src[a];
    src[a] = src[b];
    src[b] = t;
    wm_index_box(map, 0, out->rank, out->dim, 0, dst, 0, src);
    return true;
}

const struct wm_op wm_op_transpose = {
    .name = "transpose",
    .signature = "dim, dim",
    .doc = "exchanges two dimensions (torch.transpose)",
    .class = WM_OP_VIEW,
    .min_args = 2,
    .max_args = 2,
    .arg = {WM_ARG_DIM, WM_ARG_DIM},
    .shape = shape,
    .unshape = shape,
    .index = boxes,
    .inverse = "transpose",
};
