/* ops/unflatten.c -- unflatten(dim, [a, b, -1]): one dimension into several, as torch.unflatten.
 *
 * Row-major order stays, so there are no boxes of its own.  One size may be -1; going back, the
 * others are checked. */
#include "base/checked.h"
#include "compiler/op.h"

static bool
sizes(struct wm_opx *x, const int64_t **size, uint32_t *n, uint32_t *hole)
{
    return wm_arg_sizes(x, 1, size, n, hole) &&
           (*n > 0 || wm_op_error(x, WM_E_OP_ARG, "the list of sizes is empty"));
}

static bool
shape(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out)
{
    const int64_t *size;
    int64_t *dim;
    uint32_t d, n, hole;

    if (!wm_arg_dim(x, 0, in->rank, &d) || !sizes(x, &size, &n, &hole))
        return false;
    dim = WM_NEW_N(x->g->cc->a, int64_t, n);
    return wm_sizes_solve(x, size, n, hole, in->dim[d], dim) &&
           wm_shape_splice(x, in, d, 1, dim, n, out);
}

static bool
unshape(struct wm_opx *x, const struct wm_shape *out, struct wm_shape *in)
{
    const int64_t *size;
    int64_t total = 1;
    uint32_t d, n, hole;

    if (!sizes(x, &size, &n, &hole))
        return false;
    if (out->rank < n)
        return wm_op_error(x, WM_E_OP_SHAPE, "%u sizes for a tensor with %u dimensions", n,
                           out->rank);
    if (!wm_arg_dim(x, 0, out->rank - n + 1, &d))
        return false;
    for (uint32_t k = 0; k < n; k++) {
        if (k != hole && out->dim[d + k] != size[k])
            return wm_op_error(x, WM_E_OP_SHAPE,
                               "dimension %u has %lld, but its size is given as %lld", d + k,
                               (long long)out->dim[d + k], (long long)size[k]);
        if (!wm_ck_mul(total, out->dim[d + k], &total))
            return wm_op_error(x, WM_E_OP_LIMIT, "the joined dimension does not fit in 64 bits");
    }
    return wm_shape_splice(x, out, d, n, &total, 1, in);
}

static bool
invert(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out)
{
    struct wm_expr *dim = call->arg[0], *first = dim, *last = dim;
    uint32_t n = wm_text_list(call->arg[1]);
    int64_t d;

    if (n == WM_NONE || !wm_text_literal(dim, &d))
        return wm_text_fail(cc, call,
                            "its inverse can only be written where the dimension is a number and "
                            "the sizes are a list");
    if (d < 0)
        first = wm_text_int(cc->a, dim, d - (int64_t)n + 1);
    else
        last = wm_text_int(cc->a, dim, d + (int64_t)n - 1);
    out->name = WM_STR("flatten");
    out->narg = 3;
    out->arg = wm_text_args(cc->a, 3, first, last, call->arg[1]);
    return true;
}

const struct wm_op wm_op_unflatten = {
    .name = "unflatten",
    .signature = "dim, [sizes]",
    .doc = "one dimension into several (torch.unflatten); one of the sizes may be -1",
    .class = WM_OP_VIEW,
    .min_args = 2,
    .max_args = 2,
    .arg = {WM_ARG_DIM, WM_ARG_INTS},
    .shape = shape,
    .unshape = unshape,
    .invert = invert,
};
