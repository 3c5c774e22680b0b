/* ops/concat.c -- concat(dim), concat(dim, [sizes]): joins the list along a dimension, as
 * torch.cat.
 *
 * Undone, it is chunk (equal parts) or split (sizes).  Without sizes the parts of a `<->` rule must
 * be equal, for the way back could not tell them apart.  A number in the place of the sizes is the
 * number of equal parts. */
#include "base/checked.h"
#include "compiler/op.h"

/* The size that part i must have, as the sizes or the equal parts of `extent` say. */
static bool
parts(struct wm_opx *x, int64_t extent, int64_t *size)
{
    const int64_t *given;
    uint32_t n;
    int64_t sum = 0;

    if (!wm_arg_is_list(x, 1)) {
        if (x->nin == 0 || extent % x->nin != 0)
            return wm_op_error(x, WM_E_OP_UNEVEN, "%lld does not divide into %u equal parts",
                               (long long)extent, x->nin);
        for (uint32_t i = 0; i < x->nin; i++)
            size[i] = extent / x->nin;
        return true;
    }
    if (!wm_arg_sizes(x, 1, &given, &n, NULL))
        return false;
    if (n != x->nin)
        return wm_op_error(x, WM_E_OP_COUNT, "%u sizes for %u tensors", n, x->nin);
    for (uint32_t i = 0; i < n; i++) {
        size[i] = given[i];
        if (!wm_ck_add(sum, given[i], &sum))
            return wm_op_error(x, WM_E_OP_LIMIT, "the sum of the sizes does not fit in 64 bits");
    }
    return sum == extent ||
           wm_op_error(x, WM_E_OP_UNEVEN, "the sizes add up to %lld, but the dimension has %lld",
                       (long long)sum, (long long)extent);
}

static bool
pieces(struct wm_opx *x, const struct wm_shape *out, int64_t *n)
{
    (void)out;
    *n = 0;
    if (x->narg < 2)
        return true;
    if (wm_arg_is_list(x, 1)) {
        *n = x->arg[1].v.u.list.n;
        return *n > 0 || wm_op_error(x, WM_E_OP_ARG, "the list of sizes is empty");
    }
    return wm_arg_int(x, 1, n) &&
           (*n > 0 || wm_op_error(x, WM_E_OP_ARG, "%lld parts are no parts", (long long)*n));
}

static bool
agree(struct wm_opx *x, const struct wm_shape *in, uint32_t d)
{
    struct wm_arena *a = x->g->cc->a;

    for (uint32_t i = 1; i < x->nin; i++) {
        bool same = in[i].rank == in[0].rank;

        for (uint32_t k = 0; same && k < in[0].rank; k++)
            same = k == d || in[i].dim[k] == in[0].dim[k];
        if (!same) {
            struct wm_str one = wm_shape_text(a, &in[0]), other = wm_shape_text(a, &in[i]);

            return wm_op_error(
                x, WM_E_OP_SHAPE,
                "tensor %u has shape %.*s, tensor 0 has %.*s: they may differ in dimension %u only",
                i, WM_STR_ARG(other), WM_STR_ARG(one), d);
        }
    }
    return true;
}

static bool
shape(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out)
{
    int64_t n, extent = 0, *size = WM_NEW_N(x->g->cc->a, int64_t, x->nin);
    uint32_t d;

    if (!wm_arg_dim(x, 0, in[0].rank, &d) || !agree(x, in, d) || !pieces(x, NULL, &n))
        return false;
    if (n != 0 && n != x->nin)
        return wm_op_error(x, WM_E_OP_COUNT, "%lld parts are said, but there are %u tensors",
                           (long long)n, x->nin);
    for (uint32_t i = 0; i < x->nin; i++)
        if (!wm_ck_add(extent, in[i].dim[d], &extent))
            return wm_op_error(x, WM_E_OP_LIMIT, "the joined dimension does not fit in 64 bits");
    *out = in[0];
    out->dim[d] = extent;
    if (!x->both && !wm_arg_is_list(x, 1))
        return true;
    if (!parts(x, extent, size))
        return false;
    for (uint32_t i = 0; i < x->nin; i++) {
        if (in[i].dim[d] == size[i])
            continue;
        wm_op_error(x, WM_E_OP_UNEVEN, "tensor %u has %lld in dimension %u, but its part is %lld",
                    i, (long long)in[i].dim[d], d, (long long)size[i]);
        if (!wm_arg_is_list(x, 1))
            wm_op_note(x, "give the sizes, so that the way back knows them: concat(dim, [sizes])");
        return false;
    }
    return true;
}

static bool
unshape(struct wm_opx *x, const struct wm_shape *out, struct wm_shape *in)
{
    int64_t *size = WM_NEW_N(x->g->cc->a, int64_t, x->nin);
    uint32_t d;

    if (!wm_arg_dim(x, 0, out->rank, &d) || !parts(x, out->dim[d], size))
        return false;
    for (uint32_t i = 0; i < x->nin; i++) {
        in[i] = *out;
        in[i].dim[d] = size[i];
    }
    return true;
}

static bool
boxes(struct wm_opx *x, const struct wm_shape *in, const struct wm_shape *out, struct wm_imap *map)
{
    int64_t dst[WM_MAX_RANK], src[WM_MAX_RANK], at = 0;
    uint32_t d;

    if (!wm_arg_dim(x, 0, out->rank, &d))
        return false;
    wm_shape_strides(out, dst);
    for (uint32_t i = 0; i < x->nin; i++) {
        wm_shape_strides(&in[i], src);
        wm_index_box(map, i, out->rank, in[i].dim, at * dst[d], dst, 0, src);
        at += in[i].dim[d];
    }
    return true;
}

static bool
invert(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out)
{
    bool sizes = call->narg == 2 && wm_text_list(call->arg[1]) != WM_NONE;

    (void)cc;
    out->name = sizes ? WM_STR("split") : WM_STR("chunk");
    return true;
}

const struct wm_op wm_op_concat = {
    .name = "concat",
    .signature = "dim, [sizes]",
    .doc = "joins the list along a dimension (torch.cat); equal parts unless sizes are given",
    .class = WM_OP_JOIN,
    .min_args = 1,
    .max_args = 2,
    .arg = {WM_ARG_DIM, WM_ARG_PARTS},
    .shape = shape,
    .unshape = unshape,
    .pieces = pieces,
    .index = boxes,
    .invert = invert,
};
