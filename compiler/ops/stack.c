/* ops/stack.c -- stack(dim): joins the list in a new dimension, as torch.stack.
 *
 * All tensors have one shape; dim is that of the result, so -1 puts the new dimension last. */
#include "compiler/op.h"

static bool
shape(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out)
{
    struct wm_arena *a = x->g->cc->a;
    int64_t n = x->nin;
    uint32_t d;

    for (uint32_t i = 1; i < x->nin; i++)
        if (in[i].rank != in[0].rank ||
            memcmp(in[i].dim, in[0].dim, in[0].rank * sizeof in[0].dim[0]) != 0) {
            struct wm_str one = wm_shape_text(a, &in[0]), other = wm_shape_text(a, &in[i]);

            return wm_op_error(x, WM_E_OP_SHAPE, "tensor %u has shape %.*s, tensor 0 has %.*s", i,
                               WM_STR_ARG(other), WM_STR_ARG(one));
        }
    return wm_arg_dim(x, 0, in[0].rank + 1, &d) && wm_shape_splice(x, &in[0], d, 0, &n, 1, out);
}

static bool
unshape(struct wm_opx *x, const struct wm_shape *out, struct wm_shape *in)
{
    uint32_t d;

    if (!wm_arg_dim(x, 0, out->rank, &d))
        return false;
    if (out->dim[d] != x->nin)
        return wm_op_error(x, WM_E_OP_COUNT, "dimension %u has %lld, but there are %u tensors", d,
                           (long long)out->dim[d], x->nin);
    for (uint32_t i = 0; i < x->nin; i++)
        if (!wm_shape_splice(x, out, d, 1, NULL, 0, &in[i]))
            return false;
    return true;
}

static bool
pieces(struct wm_opx *x, const struct wm_shape *out, int64_t *n)
{
    uint32_t d;

    if (!wm_arg_dim(x, 0, out->rank, &d))
        return false;
    *n = out->dim[d];
    return *n > 0 ||
           wm_op_error(x, WM_E_OP_COUNT, "dimension %u has 0: there is no tensor to take out", d);
}

static bool
boxes(struct wm_opx *x, const struct wm_shape *in, const struct wm_shape *out, struct wm_imap *map)
{
    int64_t all[WM_MAX_RANK], dst[WM_MAX_RANK], src[WM_MAX_RANK], step;
    uint32_t d;

    if (!wm_arg_dim(x, 0, out->rank, &d))
        return false;
    wm_shape_strides(out, all);
    wm_shape_strides(&in[0], src);
    step = all[d];
    memcpy(dst, all, d * sizeof dst[0]);
    memcpy(dst + d, all + d + 1, (out->rank - d - 1) * sizeof dst[0]);
    for (uint32_t i = 0; i < x->nin; i++)
        wm_index_box(map, i, in[i].rank, in[i].dim, (int64_t)i * step, dst, 0, src);
    return true;
}

const struct wm_op wm_op_stack = {
    .name = "stack",
    .signature = "dim",
    .doc = "joins the list in a new dimension (torch.stack)",
    .class = WM_OP_JOIN,
    .min_args = 1,
    .max_args = 1,
    .arg = {WM_ARG_DIM},
    .shape = shape,
    .unshape = unshape,
    .pieces = pieces,
    .index = boxes,
    .inverse = "unstack",
};
