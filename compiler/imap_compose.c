/* compiler/imap_compose.c -- fusion of index maps, and exchange of their sides.
 *
 * Fusion replaces one operand of a box after the other: the box, seen from that operand, is joined
 * with the boxes of the inner map, seen from its output.  What comes out is cut so that every piece
 * reads one inner box. */
#include "base/checked.h"
#include "compiler/imap_nest.h"

struct fuse {
    const struct wm_imap *inner; /* [ninner] */
    struct wm_ranges **range;    /* [ninner], made on first use; NULL for lists of one */
    uint32_t (*join)(void *user, uint32_t outer, uint32_t inner);
    void *user;
    struct wm_arena *a;
    struct wm_nest_visit visit;
    /* while one box is joined with one box: */
    const struct wm_box *outer_box, *inner_box;
    uint32_t operand;
    struct wm_imap *out;
    bool failed;
};

/* The element operation of a piece; false where the two do not combine. */
static bool
join_elem(struct fuse *f, uint32_t *elem)
{
    uint32_t outer = f->outer_box->elem, inner = f->inner_box->elem;

    if (outer == 0 || inner == 0) {
        *elem = outer ? outer : inner;
        return true;
    }
    if (!f->join)
        return false;
    *elem = f->join(f->user, outer, inner);
    return *elem != UINT32_MAX;
}

/* A piece of a box with one operand: it takes all operands of the inner box. */
static bool
emit_single(void *user, const struct wm_nest *x)
{
    static const int src[] = {WM_PAY_SRC2, WM_PAY_SRC2 + 1, WM_PAY_SRC2 + 2};
    struct fuse *f = user;
    struct wm_box like = *f->inner_box;

    if (f->out->box.n >= WM_IMAP_MAX_BOXES || !join_elem(f, &like.elem)) {
        f->failed = true;
        return false;
    }
    wm_imap_add_nest(f->out, &like, x, WM_PAY_DST, src);
    return true;
}

/* A piece of a box with several: one operand is replaced, the others stay. */
static bool
emit_multi(void *user, const struct wm_nest *x)
{
    struct fuse *f = user;
    struct wm_box like = *f->outer_box;
    int src[] = {WM_PAY_SRC, WM_PAY_SRC + 1, WM_PAY_SRC + 2};

    if (f->out->box.n >= WM_IMAP_MAX_BOXES) {
        f->failed = true;
        return false;
    }
    src[f->operand] = WM_PAY_SRC2;
    like.slot[f->operand] = f->inner_box->slot[0];
    wm_imap_add_nest(f->out, &like, x, WM_PAY_DST, src);
    return true;
}

static const struct wm_ranges *
ranges_of(struct fuse *f, uint32_t slot)
{
    if (!f->range[slot]) {
        f->range[slot] = WM_NEW(f->a, struct wm_ranges);
        wm_imap_ranges(&f->inner[slot], f->a, f->range[slot]);
    }
    return f->range[slot];
}

/* Replace operand f->operand of one box by the map that makes it. */
static bool
fuse_operand(struct fuse *f, const struct wm_imap *m, const struct wm_box *b, struct wm_imap *out)
{
    const struct wm_imap *inner = &f->inner[b->slot[f->operand]];
    const struct wm_ranges *r = inner->box.n > 1 ? ranges_of(f, b->slot[f->operand]) : NULL;
    struct wm_nest x, y;
    int64_t lo, hi;

    f->outer_box = b;
    f->out = out;
    if (!wm_imap_nest(m, b, (int)f->operand, WM_PAY_SRC, &x))
        return false;
    wm_nest_range(&x, &lo, &hi);
    for (uint32_t i = r ? wm_ranges_next(r, 0, lo) : 0; i < inner->box.n;
         i = r ? wm_ranges_next(r, i + 1, lo) : i + 1) {
        f->inner_box = &inner->box.item[i];
        if (r && r->lo[i] > hi)
            break;
        if (b->nsrc > 1 && (f->inner_box->nsrc != 1 || f->inner_box->elem != 0))
            return false;
        if (!wm_imap_nest(inner, f->inner_box, WM_KEY_DST, WM_PAY_SRC2, &y) ||
            !wm_nest_join(&x, &y, &f->visit) || f->failed)
            return false;
    }
    return true;
}

/* All operands, one after the other; only the last pieces reach the result. */
static bool
fuse_box(struct fuse *f, const struct wm_imap *outer, const struct wm_box *b, struct wm_imap *out)
{
    struct wm_imap pieces[2];
    const struct wm_imap *from = outer;
    uint32_t first = (uint32_t)(b - outer->box.item), n = 1;

    f->visit.emit = b->nsrc == 1 ? emit_single : emit_multi;
    for (uint32_t s = 0; s < b->nsrc; s++) {
        bool is_last = s + 1 == b->nsrc;
        struct wm_imap *to = is_last ? out : &pieces[s % 2];

        if (!is_last)
            wm_imap_init(to, f->a);
        f->operand = s;
        for (uint32_t i = 0; i < n; i++)
            if (!fuse_operand(f, from, &from->box.item[first + i], to))
                return false;
        from = to;
        first = 0;
        n = to->box.n;
    }
    return true;
}

/* Are the boxes by ascending dst with positive strides, as the index wants them? */
static bool
is_sorted(const struct wm_imap *m)
{
    for (uint32_t i = 0; i < m->box.n; i++) {
        const struct wm_box *b = &m->box.item[i];

        if (i > 0 && b->dst_base < b[-1].dst_base)
            return false;
        for (uint32_t k = 0; k < b->rank; k++)
            if (m->dim.item[b->dim + k].dst < 0)
                return false;
    }
    return true;
}

bool
wm_imap_compose(const struct wm_imap *outer, const struct wm_imap *inner, uint32_t ninner,
                uint32_t (*join)(void *user, uint32_t outer_elem, uint32_t inner_elem), void *user,
                struct wm_imap *out)
{
    struct fuse f = {.inner = inner, .join = join, .user = user, .a = out->a};
    struct wm_imap *sorted = NULL;

    f.visit = (struct wm_nest_visit){.user = &f, .budget = 8 * (uint64_t)WM_IMAP_MAX_BOXES};
    f.range = WM_NEW_N(out->a, struct wm_ranges *, ninner);
    for (uint32_t k = 0; k < ninner; k++) {
        if (is_sorted(&inner[k]))
            continue;
        if (!sorted) {
            sorted = WM_NEW_N(out->a, struct wm_imap, ninner);
            memcpy(sorted, inner, ninner * sizeof(inner[0]));
            f.inner = sorted;
        }
        wm_imap_copy(&sorted[k], &inner[k], out->a);
        wm_imap_canon(&sorted[k]);
    }
    for (uint32_t i = 0; i < outer->box.n; i++) {
        const struct wm_box *b = &outer->box.item[i];

        for (uint32_t s = 0; s < b->nsrc; s++)
            if (b->slot[s] >= ninner)
                return false;
        if (b->nsrc == 0)
            wm_imap_add(out, b, outer->dim.item + b->dim);
        else if (!fuse_box(&f, outer, b, out))
            return false;
    }
    wm_imap_canon(out);
    return true;
}

/* ---- exchange of sides ---- */

/* A comparison per copy that is not the first: dims `wide` run over copies.  The indices with all
 * wide ones zero are the reference; the others are cut into one box per wide dim: that one >= 1,
 * the wide ones behind it 0. */
static bool
add_copies(const struct wm_box *b, const struct wm_dim *dim, uint32_t dst_slot, struct wm_imap *out,
           int64_t *at)
{
    struct wm_dim to[WM_NEST_RANK];
    struct wm_box c = {.slot = {dst_slot, dst_slot}, .nsrc = 2, .elem = b->elem};

    if (b->rank > WM_NEST_RANK)
        return false;
    for (uint32_t w = 0; w < b->rank; w++) {
        int64_t n = 1;

        if (dim[w].src[0] != 0 || dim[w].extent < 2)
            continue;
        c.rank = 0;
        c.src_base[0] = b->dst_base + dim[w].dst;
        c.src_base[1] = b->dst_base;
        for (uint32_t k = 0; k < b->rank; k++) {
            bool wide = dim[k].src[0] == 0;

            if (wide && k > w)
                continue;
            to[c.rank++] = (struct wm_dim){.extent = dim[k].extent - (k == w),
                                           .src = {dim[k].dst, wide ? 0 : dim[k].dst}};
        }
        for (uint32_t k = c.rank; k-- > 0;) {
            to[k].dst = n;
            if (!wm_ck_mul(n, to[k].extent, &n))
                return false;
        }
        c.dst_base = *at;
        if (!wm_ck_add(*at, n, at))
            return false;
        wm_imap_add(out, &c, to);
    }
    return true;
}

bool
wm_imap_invert(const struct wm_imap *m, uint32_t nslot, uint32_t dst_slot, struct wm_imap *out,
               struct wm_imap *copies)
{
    struct wm_dim dim[WM_NEST_RANK];
    int64_t at = copies ? wm_imap_count(copies) : 0;

    for (uint32_t i = 0; i < m->box.n; i++) {
        const struct wm_box *b = &m->box.item[i];
        const struct wm_dim *from = &m->dim.item[b->dim];
        struct wm_box back = {.dst_base = b->src_base[0],
                              .src_base = {b->dst_base},
                              .slot = {dst_slot},
                              .elem = b->elem,
                              .nsrc = 1};

        if (b->nsrc == 0)
            continue;
        if (b->nsrc != 1 || b->slot[0] >= nslot || b->rank > WM_NEST_RANK)
            return false;
        for (uint32_t k = 0; k < b->rank; k++)
            if (from[k].src[0] != 0)
                dim[back.rank++] = (struct wm_dim){
                    .extent = from[k].extent, .dst = from[k].src[0], .src = {from[k].dst}};
        wm_imap_add(&out[b->slot[0]], &back, dim);
        if (copies && !add_copies(b, from, dst_slot, copies, &at))
            return false;
    }
    for (uint32_t s = 0; s < nslot; s++)
        wm_imap_canon(&out[s]);
    if (copies)
        wm_imap_canon(copies);
    return true;
}
