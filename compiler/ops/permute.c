/* ops/permute.c -- permute(2, 0, 1): the dimensions in a new order, as torch.permute.
 *
 * Dimension k of the result is dimension arg[k] of the tensor; every dimension is named once. */
#include "compiler/op.h"

static bool
order(struct wm_opx *x, uint32_t rank, uint32_t *perm)
{
    bool seen[WM_MAX_RANK] = {false};

    if (x->narg != rank)
        return wm_op_error(x, WM_E_OP_SHAPE, "%u dimensions are named, but the tensor has %u",
                           x->narg, rank);
    for (uint32_t k = 0; k < rank; k++) {
        if (!wm_arg_dim(x, k, rank, &perm[k]))
            return false;
        if (seen[perm[k]])
            return wm_op_error(x, WM_E_OP_DIM, "dimension %u is named twice", perm[k]);
        seen[perm[k]] = true;
    }
    return true;
}

static bool
shape(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out)
{
    uint32_t perm[WM_MAX_RANK];

    if (!order(x, in->rank, perm))
        return false;
    out->rank = in->rank;
    for (uint32_t k = 0; k < in->rank; k++)
        out->dim[k] = in->dim[perm[k]];
    return true;
}

static bool
unshape(struct wm_opx *x, const struct wm_shape *out, struct wm_shape *in)
{
    uint32_t perm[WM_MAX_RANK];

    if (!order(x, out->rank, perm))
        return false;
    in->rank = out->rank;
    for (uint32_t k = 0; k < out->rank; k++)
        in->dim[perm[k]] = out->dim[k];
    return true;
}

static bool
boxes(struct wm_opx *x, const struct wm_shape *in, const struct wm_shape *out, struct wm_imap *map)
{
    int64_t dst[WM_MAX_RANK], all[WM_MAX_RANK], src[WM_MAX_RANK];
    uint32_t perm[WM_MAX_RANK];

    if (!order(x, in->rank, perm))
        return false;
    wm_shape_strides(out, dst);
    wm_shape_strides(in, all);
    for (uint32_t k = 0; k < in->rank; k++)
        src[k] = all[perm[k]];
    wm_index_box(map, 0, out->rank, out->dim, 0, dst, 0, src);
    return true;
}

/* The order as numbers, where all of them are literals. */
static bool
literal(const struct wm_opcall *call, int64_t *perm)
{
    for (uint32_t k = 0; k < call->narg; k++) {
        if (!wm_text_literal(call->arg[k], &perm[k]))
            return false;
        if (perm[k] < 0)
            perm[k] += call->narg;
    }
    return true;
}

static bool
check(struct wm_cc *cc, const struct wm_opcall *call)
{
    int64_t perm[WM_MAX_RANK];

    if (!literal(call, perm))
        return true;
    for (uint32_t k = 0; k < call->narg; k++) {
        if (perm[k] < 0 || perm[k] >= call->narg) {
            wm_report(&cc->diags, WM_E_OP_DIM, call->arg[k]->span,
                      "permute: with %u dimensions named, they are 0 to %u", call->narg,
                      call->narg - 1);
            return false;
        }
        for (uint32_t j = 0; j < k; j++)
            if (perm[j] == perm[k]) {
                wm_report(&cc->diags, WM_E_OP_DIM, call->arg[k]->span,
                          "permute: dimension %lld is named twice", (long long)perm[k]);
                return false;
            }
    }
    return true;
}

static bool
invert(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out)
{
    int64_t perm[WM_MAX_RANK];

    if (!literal(call, perm))
        return wm_text_fail(cc, call,
                            "its inverse can only be written where the dimensions are numbers");
    out->arg = WM_NEW_N(cc->a, struct wm_expr *, call->narg);
    for (uint32_t k = 0; k < call->narg; k++)
        out->arg[perm[k]] = wm_text_int(cc->a, call->arg[k], k);
    return true;
}

const struct wm_op wm_op_permute = {
    .name = "permute",
    .signature = "dim, dim, ...",
    .doc = "the dimensions in a new order (torch.permute)",
    .class = WM_OP_VIEW,
    .min_args = 1,
    .max_args = WM_MAX_RANK,
    .arg = {WM_ARG_DIM, WM_ARG_DIM, WM_ARG_DIM, WM_ARG_DIM},
    .check = check,
    .shape = shape,
    .unshape = unshape,
    .index = boxes,
    .invert = invert,
};
