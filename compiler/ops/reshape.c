/* ops/reshape.c -- reshape([new]), reshape([old], [new]): the same elements in row-major order, as
 * torch.reshape.
 *
 * The way back needs the old shape.  One entry of each list may be -1. */
#include "compiler/op.h"

/* The list `arg` as the shape of a tensor with as many elements as `like`. */
static bool
solve(struct wm_opx *x, uint32_t arg, const struct wm_shape *like, struct wm_shape *out)
{
    const int64_t *size;
    int64_t total;
    uint32_t n, hole;

    if (!wm_arg_sizes(x, arg, &size, &n, &hole))
        return false;
    if (n > WM_MAX_RANK)
        return wm_op_error(x, WM_E_OP_LIMIT, "a shape with %u dimensions; at most %d are supported",
                           n, WM_MAX_RANK);
    if (!wm_shape_numel(like, &total))
        return wm_op_error(x, WM_E_OP_LIMIT, "a tensor with more elements than 64 bits can count");
    out->rank = n;
    return wm_sizes_solve(x, size, n, hole, total, out->dim);
}

/* Is the tensor's shape the list `arg`? */
static bool
matches(struct wm_opx *x, uint32_t arg, const struct wm_shape *s)
{
    struct wm_shape said;
    struct wm_str is, should;

    if (!solve(x, arg, s, &said))
        return false;
    if (said.rank == s->rank &&
        (s->rank == 0 || memcmp(said.dim, s->dim, s->rank * sizeof s->dim[0]) == 0))
        return true;
    is = wm_shape_text(x->g->cc->a, s);
    should = wm_shape_text(x->g->cc->a, &said);
    return wm_op_error(x, WM_E_OP_SHAPE, "the tensor has shape %.*s, but the call says %.*s",
                       WM_STR_ARG(is), WM_STR_ARG(should));
}

static bool
shape(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out)
{
    return x->narg == 1 ? solve(x, 0, in, out) : matches(x, 0, in) && solve(x, 1, in, out);
}

static bool
unshape(struct wm_opx *x, const struct wm_shape *out, struct wm_shape *in)
{
    return matches(x, 1, out) && solve(x, 0, out, in);
}

static const char *
one_way(const struct wm_opcall *call)
{
    return call->narg == 2 ? NULL : "the way back needs the old shape, too: reshape([old], [new])";
}

static bool
invert(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out)
{
    out->arg = wm_text_args(cc->a, 2, call->arg[1], call->arg[0], NULL);
    return true;
}

const struct wm_op wm_op_reshape = {
    .name = "reshape",
    .signature = "[old], [new]",
    .doc = "the same elements in row-major order (torch.reshape); `<->` needs both shapes",
    .class = WM_OP_VIEW,
    .min_args = 1,
    .max_args = 2,
    .arg = {WM_ARG_INTS, WM_ARG_INTS},
    .one_way = one_way,
    .shape = shape,
    .unshape = unshape,
    .invert = invert,
};
