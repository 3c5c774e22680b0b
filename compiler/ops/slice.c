/* ops/slice.c -- slice(dim, from, to): a part of a dimension, half open, as torch's x[from:to], but
 * inside its bounds.
 *
 * One-way only: what lies outside is lost. */
#include "compiler/op.h"

static bool
bounds(struct wm_opx *x, const struct wm_shape *in, uint32_t *d, int64_t *from, int64_t *to)
{
    if (!wm_arg_dim(x, 0, in->rank, d) || !wm_arg_int(x, 1, from) || !wm_arg_int(x, 2, to))
        return false;
    return (0 <= *from && *from <= *to && *to <= in->dim[*d]) ||
           wm_op_error(x, WM_E_OP_SHAPE,
                       "%lld to %lld is no part of 0 to %lld, which dimension %u has",
                       (long long)*from, (long long)*to, (long long)in->dim[*d], *d);
}

static bool
shape(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out)
{
    int64_t from, to;
    uint32_t d;

    if (!bounds(x, in, &d, &from, &to))
        return false;
    *out = *in;
    out->dim[d] = to - from;
    return true;
}

static bool
boxes(struct wm_opx *x, const struct wm_shape *in, const struct wm_shape *out, struct wm_imap *map)
{
    int64_t dst[WM_MAX_RANK], src[WM_MAX_RANK], from, to;
    uint32_t d;

    if (!bounds(x, in, &d, &from, &to))
        return false;
    wm_shape_strides(out, dst);
    wm_shape_strides(in, src);
    wm_index_box(map, 0, out->rank, out->dim, 0, dst, from * src[d], src);
    return true;
}

static const char *
one_way(const struct wm_opcall *call)
{
    (void)call;
    return "it drops what lies outside: use split to keep all parts, or a one-way rule";
}

const struct wm_op wm_op_slice = {
    .name = "slice",
    .signature = "dim, from, to",
    .doc = "a part of a dimension, half open (x[from:to]); one-way rules only",
    .class = WM_OP_VIEW,
    .min_args = 3,
    .max_args = 3,
    .arg = {WM_ARG_DIM, WM_ARG_INT, WM_ARG_INT},
    .one_way = one_way,
    .shape = shape,
    .index = boxes,
};
