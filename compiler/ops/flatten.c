/* ops/flatten.c -- flatten(from, to), flatten(from, to, [sizes]): several dimensions into one, both
 * ends included, as torch.flatten.
 *
 * Row-major order stays.  The way back needs the sizes; where they are given they are checked on
 * the way there. */
#include "base/checked.h"
#include "compiler/op.h"

static bool
bounds(struct wm_opx *x, uint32_t rank, uint32_t *from, uint32_t *to)
{
    return wm_arg_dim(x, 0, rank, from) && wm_arg_dim(x, 1, rank, to) &&
           (*from <= *to ||
            wm_op_error(x, WM_E_OP_DIM, "dimension %u stands behind dimension %u", *from, *to));
}

static bool
count(struct wm_opx *x, uint32_t n, uint32_t from, uint32_t to)
{
    return n == to - from + 1 ||
           wm_op_error(x, WM_E_OP_SHAPE, "%u sizes for the %u dimensions from %u to %u", n,
                       to - from + 1, from, to);
}

static bool
shape(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out)
{
    const int64_t *size = NULL;
    uint32_t from, to, n, hole = WM_NONE;
    int64_t total = 1;

    if (!bounds(x, in->rank, &from, &to))
        return false;
    if (x->narg == 3 && (!wm_arg_sizes(x, 2, &size, &n, &hole) || !count(x, n, from, to)))
        return false;
    for (uint32_t k = from; k <= to; k++) {
        if (size && k - from != hole && size[k - from] != in->dim[k])
            return wm_op_error(x, WM_E_OP_SHAPE,
                               "dimension %u has %lld, but its size is given as %lld", k,
                               (long long)in->dim[k], (long long)size[k - from]);
        if (!wm_ck_mul(total, in->dim[k], &total))
            return wm_op_error(x, WM_E_OP_LIMIT, "the joined dimension does not fit in 64 bits");
    }
    return wm_shape_splice(x, in, from, to - from + 1, &total, 1, out);
}

static bool
unshape(struct wm_opx *x, const struct wm_shape *out, struct wm_shape *in)
{
    const int64_t *size;
    int64_t *dim;
    uint32_t from, to, n, hole;

    if (!wm_arg_sizes(x, 2, &size, &n, &hole))
        return false;
    if (n == 0 || out->rank == 0)
        return wm_op_error(x, WM_E_OP_SHAPE, "%u sizes for a tensor with %u dimensions", n,
                           out->rank);
    if (!bounds(x, out->rank + n - 1, &from, &to) || !count(x, n, from, to))
        return false;
    dim = WM_NEW_N(x->g->cc->a, int64_t, n);
    return wm_sizes_solve(x, size, n, hole, out->dim[from], dim) &&
           wm_shape_splice(x, out, from, 1, dim, n, in);
}

static const char *
one_way(const struct wm_opcall *call)
{
    return call->narg == 3
               ? NULL
               : "the way back needs the sizes of the dimensions: flatten(from, to, [sizes])";
}

/* From the end, the joined dimension has the number that the last one of them had. */
static bool
invert(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out)
{
    uint32_t n = wm_text_list(call->arg[2]);
    int64_t from, to;
    struct wm_expr *dim = call->arg[0];

    if (n == WM_NONE || !wm_text_literal(call->arg[0], &from) ||
        !wm_text_literal(call->arg[1], &to))
        return wm_text_fail(cc, call,
                            "its inverse can only be written where the dimensions are numbers and "
                            "the sizes are a list");
    if (from < 0)
        dim = to < 0 ? call->arg[1] : wm_text_int(cc->a, dim, to - (int64_t)n + 1);
    out->name = WM_STR("unflatten");
    out->narg = 2;
    out->arg = wm_text_args(cc->a, 2, dim, call->arg[2], NULL);
    return true;
}

const struct wm_op wm_op_flatten = {
    .name = "flatten",
    .signature = "from, to, [sizes]",
    .doc = "several dimensions into one, both ends included (torch.flatten); `<->` needs the sizes",
    .class = WM_OP_VIEW,
    .min_args = 2,
    .max_args = 3,
    .arg = {WM_ARG_DIM, WM_ARG_DIM, WM_ARG_INTS},
    .one_way = one_way,
    .shape = shape,
    .unshape = unshape,
    .invert = invert,
};
