/* compiler/op_copies.c -- what repeat and repeat_interleave share: a dimension that becomes n times as long.
 *
 * In the result, index i of the dimension comes from i % size (outer copies) or from i / n (inner ones).  Undone, the
 * first copy is kept; the others are compared with it. */
#include "base/checked.h"
#include "compiler/op.h"

static bool
copies(struct wm_opx *x, uint32_t rank, uint32_t *d, int64_t *n)
{
    return wm_arg_dim(x, 0, rank, d) && wm_arg_int(x, 1, n) &&
           (*n > 0 || wm_op_error(x, WM_E_OP_ARG, "%lld copies are no copies", (long long)*n));
}

bool
wm_copies_shape(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out)
{
    int64_t n;
    uint32_t d;

    if (!copies(x, in->rank, &d, &n))
        return false;
    *out = *in;
    return wm_ck_mul(in->dim[d], n, &out->dim[d]) ||
           wm_op_error(x, WM_E_OP_LIMIT, "%lld times %lld does not fit in 64 bits", (long long)n,
                       (long long)in->dim[d]);
}

bool
wm_copies_unshape(struct wm_opx *x, const struct wm_shape *out, struct wm_shape *in)
{
    int64_t n;
    uint32_t d;

    if (!copies(x, out->rank, &d, &n))
        return false;
    *in = *out;
    in->dim[d] = out->dim[d] / n;
    return out->dim[d] % n == 0 ||
           wm_op_error(x, WM_E_OP_UNEVEN,
                       "dimension %u has %lld, which is not %lld copies of anything", d,
                       (long long)out->dim[d], (long long)n);
}

bool
wm_copies_boxes(struct wm_opx *x, const struct wm_shape *in, const struct wm_shape *out, bool outer,
                struct wm_imap *map)
{
    int64_t extent[WM_MAX_RANK + 1], to[WM_MAX_RANK + 1], from[WM_MAX_RANK + 1];
    int64_t dst[WM_MAX_RANK], src[WM_MAX_RANK], n;
    uint32_t d;

    if (!copies(x, in->rank, &d, &n))
        return false;
    wm_shape_strides(out, dst);
    wm_shape_strides(in, src);
    for (uint32_t k = 0; k < in->rank; k++) {
        uint32_t at = k < d ? k : k + 1;

        extent[at] = in->dim[k];
        to[at] = dst[k];
        from[at] = src[k];
    }
    extent[d] = outer ? n : in->dim[d];
    extent[d + 1] = outer ? in->dim[d] : n;
    to[d] = extent[d + 1] * dst[d];
    to[d + 1] = dst[d];
    from[d] = outer ? 0 : src[d];
    from[d + 1] = outer ? src[d] : 0;
    wm_index_box(map, 0, in->rank + 1, extent, 0, to, 0, from);
    return true;
}
