/* ops/pad.c -- pad(dim, from, to, value): makes a dimension of size `from` one of size `to`, filled
 * at the end, as torch.nn.functional.pad with a constant.
 *
 * Undone, it drops the tail (and checks it, where padding is checked).  With from > to it is that
 * from the beginning: pad(0, 64, 50, 0) undoes pad(0, 50, 64, 0).  Without a value it fills with 0.
 */
#include "compiler/elem.h"
#include "compiler/op.h"
#include "compiler/scalar.h"

/* The two sizes, the smaller one first. */
static bool
sizes(struct wm_opx *x, int64_t *small, int64_t *large)
{
    int64_t from, to;

    if (!wm_arg_int(x, 1, &from) || !wm_arg_int(x, 2, &to))
        return false;
    *small = from < to ? from : to;
    *large = from < to ? to : from;
    return *small >= 0 || wm_op_error(x, WM_E_OP_ARG, "a size of %lld", (long long)*small);
}

static bool
prepare(struct wm_opx *x)
{
    int64_t from, to;

    if (!wm_arg_int(x, 1, &from) || !wm_arg_int(x, 2, &to))
        return false;
    if (from > to)
        x->undo = !x->undo;
    return true;
}

static bool
fill(struct wm_opx *x, uint32_t *elem)
{
    struct wm_value v = {.kind = WM_V_INT};
    uint8_t pattern[16];
    struct wm_buf text;

    if (x->narg == 4)
        v = x->arg[3].v;
    if (v.kind != WM_V_INT && v.kind != WM_V_FLOAT)
        return wm_op_error(x, WM_E_OP_ARG, "it fills with a number, this is %s",
                           wm_vkind_name(v.kind));
    if (wm_scalar_encode(x->dtype, v, pattern)) {
        *elem = wm_elem_fill(x->g, WM_EL_FILL, x->dtype, pattern);
        return true;
    }
    wm_buf_init(&text, x->g->cc->a);
    wm_value_print(v, &text);
    return wm_op_error(x, WM_E_OP_DTYPE, "%.*s is no value of type %s",
                       WM_STR_ARG(wm_buf_str(&text)), wm_dtype_info[x->dtype].name);
}

static bool
resize(struct wm_opx *x, const struct wm_shape *s, bool grow, struct wm_shape *out)
{
    int64_t small, large, have, get;
    uint32_t d;

    if (!wm_arg_dim(x, 0, s->rank, &d) || !sizes(x, &small, &large))
        return false;
    have = grow ? small : large;
    get = grow ? large : small;
    if (s->dim[d] != have)
        return wm_op_error(x, WM_E_OP_SHAPE, "dimension %u has %lld, but the call says %lld", d,
                           (long long)s->dim[d], (long long)have);
    *out = *s;
    out->dim[d] = get;
    return true;
}

static bool
shape(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out)
{
    return resize(x, in, true, out);
}

static bool
unshape(struct wm_opx *x, const struct wm_shape *out, struct wm_shape *in)
{
    return resize(x, out, false, in);
}

static bool
boxes(struct wm_opx *x, const struct wm_shape *in, const struct wm_shape *out, struct wm_imap *map)
{
    int64_t dst[WM_MAX_RANK], src[WM_MAX_RANK], none[WM_MAX_RANK] = {0};
    struct wm_shape tail = *out;
    uint32_t d, elem = 0, n = map->box.n;

    if (!wm_arg_dim(x, 0, out->rank, &d) || !fill(x, &elem))
        return false;
    wm_shape_strides(out, dst);
    wm_shape_strides(in, src);
    wm_index_box(map, 0, in->rank, in->dim, 0, dst, 0, src);
    tail.dim[d] = out->dim[d] - in->dim[d];
    n = map->box.n;
    wm_index_box(map, 0, tail.rank, tail.dim, in->dim[d] * dst[d], dst, 0, none);
    for (; n < map->box.n; n++) {
        map->box.item[n].nsrc = 0;
        map->box.item[n].elem = elem;
    }
    return true;
}

static bool
invert(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out)
{
    out->arg = WM_NEW_N(cc->a, struct wm_expr *, call->narg);
    memcpy(out->arg, call->arg, call->narg * sizeof call->arg[0]);
    out->arg[1] = call->arg[2];
    out->arg[2] = call->arg[1];
    return true;
}

const struct wm_op wm_op_pad = {
    .name = "pad",
    .signature = "dim, from, to, value",
    .doc = "fills a dimension at its end, from a size to a size (torch.nn.functional.pad)",
    .class = WM_OP_VIEW,
    .min_args = 3,
    .max_args = 4,
    .arg = {WM_ARG_DIM, WM_ARG_INT, WM_ARG_INT, WM_ARG_NUMBER},
    .prepare = prepare,
    .shape = shape,
    .unshape = unshape,
    .index = boxes,
    .invert = invert,
};
