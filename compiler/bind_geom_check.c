/* compiler/bind_geom_check.c -- checks of what is read but not kept: copies, padding, filled tensors.
 *
 * Each is a map of boxes that compare elements with each other, or with a constant; they belong to the variant of the
 * rule, numbered behind its outputs. */
#include "base/checked.h"
#include "compiler/bind_geom_priv.h"
#include "compiler/scalar.h"

static void
add_check(const struct wm_geom_make *q, struct wm_imap *map, uint32_t nslot, uint32_t *slot, int64_t nunit,
          bool replica)
{
    struct wm_vout *c = WM_PUSH(q->b->cc->a, &q->v->check);

    *c = (struct wm_vout){.geom = wm_graph_geom(q->b->g, map, nslot),
                          .nslot = nslot,
                          .slot = slot,
                          .nunit = nunit,
                          .replica = replica,
                          .pad = !replica};
}

/* One comparison box: axis `b` runs over 1 .. n-1 in operand 1 and is 0 in operand 0; the axes of `zero` behind it stay
 * 0. */
static void
compare_axis(const struct wm_geom_make *q, const struct wm_geom_place *src, const uint32_t *axis, uint32_t naxis,
             uint32_t which, const bool *copies, uint32_t elem)
{
    struct wm_arena *a = q->b->cc->a;
    struct wm_imap map;
    int64_t count = 1, at[WM_MAX_RANK] = {0}, extent[WM_MAX_RANK];
    WM_VEC(uint32_t) slot = {0};

    wm_imap_init(&map, a);
    for (uint32_t k = 0; k < naxis; k++) {
        extent[k] = q->z->axis[axis[k]];
        if (k == which)
            extent[k]--;
        else if (k > which && copies[k])
            extent[k] = 1;
        count *= extent[k] > 0 ? extent[k] : 0;
    }
    if (count == 0)
        return;
    /* key axes are enumerated, the others are dimensions */
    for (;;) {
        struct wm_dim dim[WM_MAX_RANK * 2];
        struct wm_box box = {.nsrc = 2, .elem = elem};
        int64_t pos[2][WM_MAX_RANK] = {{0}, {0}}, dst = 1;
        uint32_t i = naxis;

        box.src_base[0] = box.src_base[1] = src->alt->off;
        for (uint32_t k = naxis; k-- > 0;) {
            uint32_t key = key_axis(src->term, axis[k]);
            int64_t s = stride_of(src->alt, axis[k]);

            if (key != WM_NONE) {
                pos[0][key] = k == which ? 0 : at[k];
                pos[1][key] = k == which ? at[k] + 1 : at[k];
                box.dst_base += at[k] * dst;
            } else {
                if (k == which)
                    box.src_base[1] += s;
                dim[box.rank++] = (struct wm_dim){.extent = extent[k], .dst = dst, .src = {k == which ? 0 : s, s}};
            }
            dst *= extent[k];
        }
        for (uint32_t o = 0; o < 2; o++) {
            *WM_PUSH(a, &slot) = wm_geom_slot(q, src, pos[o]);
            box.slot[o] = slot.n - 1;
        }
        wm_imap_add(&map, &box, dim);
        while (i > 0 && (key_axis(src->term, axis[i - 1]) == WM_NONE || ++at[i - 1] == extent[i - 1]))
            at[--i] = 0;
        if (i == 0)
            break;
    }
    wm_imap_canon(&map);
    add_check(q, &map, slot.n, slot.item, count, true);
}

/* The axes of a product in the order in which they are stored, so that long runs are compared; those of keys first. */
static void
stored_order(const struct wm_geom_place *src, uint32_t *axis)
{
    const struct wm_product *p = src->product;
    int64_t stride[WM_MAX_RANK * 2];

    for (uint32_t k = 0; k < p->naxis; k++) {
        int64_t s = key_axis(src->term, p->axis[k]) != WM_NONE ? INT64_MAX : stride_of(src->alt, p->axis[k]);
        uint32_t at = k;

        for (; at > 0 && stride[at - 1] < s; at--) {
            stride[at] = stride[at - 1];
            axis[at] = axis[at - 1];
        }
        stride[at] = s;
        axis[at] = p->axis[k];
    }
}

/* Copies of a product (broadcast axes that the partner lacks) must be equal to the bit. */
static void
check_copies(const struct wm_geom_make *q, const struct wm_geom_place *src, const struct wm_product *partner)
{
    const struct wm_product *p = src->product;
    uint32_t axis[WM_MAX_RANK * 2], elem = WM_NONE;
    bool copies[WM_MAX_RANK * 2] = {false};

    stored_order(src, axis);
    for (uint32_t k = 0; k < p->naxis; k++)
        copies[k] = q->r->axis.item[axis[k]].broadcast && !has_axis(partner, axis[k]);
    for (uint32_t k = 0; k < p->naxis; k++) {
        if (!copies[k])
            continue;
        if (elem == WM_NONE)
            elem = wm_graph_elem(
                q->b->g, &(struct wm_elem){
                             .kind = WM_EL_EQUAL, .from = q->z->dtype, .to = q->z->dtype, .note = WM_STR("replica")});
        compare_axis(q, src, axis, p->naxis, k, copies, elem);
    }
}

/* A constant as one element of a dtype. */
bool
wm_geom_constant(const struct wm_geom_make *q, const struct wm_expr *e, enum wm_dtype dtype, enum wm_elem_kind kind,
                 uint32_t *elem)
{
    struct wm_elem el = {.kind = kind, .from = dtype, .to = dtype, .note = WM_STR("padding")};
    struct wm_value v = wm_eval(&q->b->be, q->x->me, &q->x->scope, e);

    if (v.kind != WM_V_INT && v.kind != WM_V_FLOAT && v.kind != WM_V_BOOL) {
        if (v.kind != WM_V_ERROR)
            wm_report(&q->b->cc->diags, WM_E_VALUE_TYPE, e->span, "a fill value must be a number, this is %s",
                      wm_vkind_name(v.kind));
        return false;
    }
    if (!wm_scalar_fill(dtype, v, el.pattern)) {
        wm_report(&q->b->cc->diags, WM_E_FILL, e->span, "the value does not fit in %s", wm_dtype_info[dtype].name);
        return false;
    }
    *elem = wm_graph_elem(q->b->g, &el);
    return true;
}

/* Padding that is read is dropped; --strict-pad looks at it. */
static bool
check_padding(const struct wm_geom_make *q, const struct wm_geom_place *src)
{
    const struct wm_axis *pad = &q->r->axis.item[src->product->pad];
    struct wm_arena *a = q->b->cc->a;
    int64_t n = wm_term_count(src->term, q->r, q->z);
    uint32_t elem;

    if (!wm_geom_constant(q, pad->pad, q->z->dtype, WM_EL_IS_FILL, &elem))
        return false;
    for (int64_t i = 0; i < n; i++) {
        struct wm_dim dim[WM_MAX_RANK * 2];
        struct wm_box box = {.nsrc = 1, .elem = elem};
        struct wm_imap map;
        int64_t dst = 1;
        uint32_t *slot = WM_NEW(a, uint32_t);

        box.src_base[0] = src->alt->off;
        for (uint32_t k = src->alt->naxis; k-- > 0;) {
            int64_t extent = q->z->axis[src->alt->axis[k]];

            dim[box.rank++] = (struct wm_dim){.extent = extent, .dst = dst, .src = {src->alt->stride[k]}};
            dst *= extent;
        }
        if (dst == 0)
            return true;
        *slot = src->first_slot + (uint32_t)i;
        wm_imap_init(&map, a);
        wm_imap_add(&map, &box, dim);
        wm_imap_canon(&map);
        add_check(q, &map, 1, slot, dst, false);
    }
    return true;
}

bool
wm_geom_checks(const struct wm_geom_make *q)
{
    for (uint32_t i = 0; i < q->r->side[q->rs].nproduct; i++) {
        struct wm_geom_place src = wm_geom_place_of(q, q->rs, i);

        if (src.product->pad != WM_NONE) {
            if (!check_padding(q, &src))
                return false;
        } else if (src.product->partner != WM_NONE) {
            check_copies(q, &src, &q->r->side[q->ws].product[src.product->partner]);
        }
    }
    return true;
}

/* A two-way fill that is read: the tensor must be that value throughout. */
bool
wm_geom_check_fill(const struct wm_geom_make *q)
{
    const struct wm_fill *f = q->r->side[q->ws].fill;
    const struct wm_rterm *t = &q->r->side[q->rs].term[0];
    int64_t n = wm_term_count(t, q->r, q->z);
    uint32_t elem;

    if (!wm_geom_constant(q, f->value, q->z->dtype, WM_EL_IS_FILL, &elem))
        return false;
    for (int64_t i = 0; i < n; i++) {
        struct wm_box box = {.nsrc = 1, .elem = elem, .rank = 1};
        struct wm_dim dim = {.extent = q->alts[q->rs][0].extent, .dst = 1, .src = {1}};
        struct wm_imap map;
        uint32_t *slot = WM_NEW(q->b->cc->a, uint32_t);

        *slot = (uint32_t)i;
        wm_imap_init(&map, q->b->cc->a);
        wm_imap_add(&map, &box, &dim);
        wm_imap_canon(&map);
        add_check(q, &map, 1, slot, dim.extent, false);
        q->v->check.item[q->v->check.n - 1].pad = false;
    }
    return true;
}
