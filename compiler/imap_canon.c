/* compiler/imap_canon.c -- the canonical form of a list of boxes.
 *
 * In a box: dims of extent 1 gone, dst strides positive, outermost first, neighbours that are one
 * run on every side merged.  Among boxes: two that differ in one dim only, of which one goes on
 * where the other ends, become one (a dim that a box lacks has extent 1, so a list of equal pieces
 * at equal distances becomes a nest). Candidates are found by a hash of a box without one of its
 * dims, so lists of any length take near-linear time. */
#include <stdlib.h>
#include <string.h>

#include "compiler/imap_nest.h"

/* ---- one box ---- */

static bool
dim_is_before(const struct wm_dim *x, const struct wm_dim *y, uint32_t nsrc)
{
    if (x->dst != y->dst)
        return y->dst != 0 && (x->dst == 0 || x->dst > y->dst);
    for (uint32_t s = 0; s < nsrc; s++)
        if (x->src[s] != y->src[s])
            return x->src[s] > y->src[s];
    return x->extent > y->extent;
}

static bool
dims_merge(const struct wm_dim *outer, const struct wm_dim *inner, uint32_t nsrc)
{
    if (outer->dst != inner->dst * inner->extent)
        return false;
    for (uint32_t s = 0; s < nsrc; s++)
        if (outer->src[s] != inner->src[s] * inner->extent)
            return false;
    return true;
}

static void
dim_positive(struct wm_box *b, struct wm_dim *d)
{
    if (d->dst > 0)
        return;
    if (d->dst == 0) { /* the same element again: turn the first moving operand */
        uint32_t s = 0;

        while (s < b->nsrc && d->src[s] == 0)
            s++;
        if (s == b->nsrc || d->src[s] > 0)
            return;
    }
    b->dst_base += (d->extent - 1) * d->dst;
    d->dst = -d->dst;
    for (uint32_t s = 0; s < b->nsrc; s++) {
        b->src_base[s] += (d->extent - 1) * d->src[s];
        d->src[s] = -d->src[s];
    }
}

/* Canonical dims in place; false where the box is empty. */
static bool
box_canon(struct wm_box *b, struct wm_dim *dim)
{
    uint32_t n = 0, m = 0;

    for (uint32_t k = 0; k < b->rank; k++)
        if (dim[k].extent == 0)
            return false;
    for (uint32_t k = 0; k < b->rank; k++) {
        struct wm_dim d = dim[k];
        uint32_t at = n;

        if (d.extent == 1)
            continue;
        dim_positive(b, &d);
        for (; at > 0 && dim_is_before(&d, &dim[at - 1], b->nsrc); at--)
            dim[at] = dim[at - 1];
        dim[at] = d;
        n++;
    }
    for (uint32_t k = 0; k < n; k++) {
        if (m > 0 && dims_merge(&dim[m - 1], &dim[k], b->nsrc)) {
            int64_t extent = dim[m - 1].extent * dim[k].extent;

            dim[m - 1] = dim[k];
            dim[m - 1].extent = extent;
        } else {
            dim[m++] = dim[k];
        }
    }
    b->rank = (uint16_t)m;
    return true;
}

/* ---- joining boxes ---- */

struct slot {
    uint64_t sig;
    uint32_t box; /* + 1; 0: free */
};

struct canon {
    struct wm_imap *m;
    struct slot *slot;
    uint64_t mask;
};

static uint64_t
mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

static uint64_t
dim_hash(const struct wm_dim *d, uint32_t nsrc)
{
    uint64_t h = mix((uint64_t)d->extent + 0x51ed270b9f52u) * 3 + (uint64_t)d->dst;

    for (uint32_t s = 0; s < nsrc; s++)
        h = mix(h) + (uint64_t)d->src[s];
    return mix(mix(h));
}

/* Of all dims; the signature without dim k is this minus dim_hash(k). */
static uint64_t
box_hash(const struct canon *c, const struct wm_box *b)
{
    uint64_t h = mix(b->elem + 7u) + b->nsrc;

    for (uint32_t s = 0; s < b->nsrc; s++)
        h = mix(h) + b->slot[s];
    h = mix(mix(h));
    for (uint32_t k = 0; k < b->rank; k++)
        h += dim_hash(&c->m->dim.item[b->dim + k], b->nsrc);
    return h;
}

static struct slot *
find(struct canon *c, uint64_t sig)
{
    uint64_t at = mix(sig) & c->mask;

    while (c->slot[at].box && c->slot[at].sig != sig)
        at = (at + 1) & c->mask;
    return &c->slot[at];
}

static bool
dims_equal(const struct wm_dim *x, const struct wm_dim *y, uint32_t nsrc)
{
    return x->extent == y->extent && x->dst == y->dst &&
           memcmp(x->src, y->src, nsrc * sizeof(x->src[0])) == 0;
}

/* All dims but kx of x and ky of y (NONE: all) are the same? */
enum { NONE = UINT16_MAX };

static bool
dims_equal_but(const struct wm_dim *x, uint32_t nx, uint32_t kx, const struct wm_dim *y,
               uint32_t ny, uint32_t ky, uint32_t nsrc)
{
    uint32_t i = 0, k = 0;

    if (nx - (kx != NONE) != ny - (ky != NONE))
        return false;
    for (; i < nx || k < ny; i++, k++) {
        i += i == kx;
        k += k == ky;
        if (i < nx && k < ny && !dims_equal(&x[i], &y[k], nsrc))
            return false;
    }
    return true;
}

/* The dimension along which y goes on where x ends: dim kx of x and ky of y (NONE: it has one value
 * of it). */
static bool
step_between(const struct canon *c, const struct wm_box *x, uint32_t kx, const struct wm_box *y,
             uint32_t ky, struct wm_dim *out)
{
    const struct wm_dim *dx = &c->m->dim.item[x->dim], *dy = &c->m->dim.item[y->dim];
    int64_t ex = kx == NONE ? 1 : dx[kx].extent, ey = ky == NONE ? 1 : dy[ky].extent;
    struct wm_dim d = {.extent = ex + ey};

    if (kx != NONE) {
        d = dx[kx];
    } else if (ky != NONE) {
        d = dy[ky];
    } else {
        d.dst = y->dst_base - x->dst_base;
        for (uint32_t s = 0; s < x->nsrc; s++) {
            d.src[s] = y->src_base[s] - x->src_base[s];
            if (d.src[s] < 0) /* no reversals where nobody wrote one */
                return false;
        }
    }
    d.extent = ex + ey;
    if (d.dst <= 0 || y->dst_base - x->dst_base != ex * d.dst)
        return false;
    for (uint32_t s = 0; s < x->nsrc; s++)
        if (y->src_base[s] - x->src_base[s] != ex * d.src[s])
            return false;
    if (kx != NONE && ky != NONE) {
        struct wm_dim other = dy[ky];

        other.extent = dx[kx].extent;
        if (!dims_equal(&other, &dx[kx], x->nsrc))
            return false;
    }
    *out = d;
    return true;
}

/* Would the dims still be ordered by dst, so that windows of the output stay cheap to cut? */
static bool
is_ordered(const struct wm_dim *dim, uint32_t rank)
{
    int64_t reach = 0;

    for (uint32_t k = rank; k-- > 0;) {
        if (dim[k].dst <= reach)
            return false;
        reach += (dim[k].extent - 1) * dim[k].dst;
    }
    return true;
}

/* x becomes the union of x and y if that is one box. */
static bool
join_boxes(struct canon *c, struct wm_box *x, const struct wm_box *y, uint32_t kx, uint32_t ky)
{
    const struct wm_dim *dx = &c->m->dim.item[x->dim], *dy = &c->m->dim.item[y->dim];
    struct wm_dim dim[WM_NEST_RANK + 1], d;
    struct wm_box b = *x;
    uint32_t n = 0;

    if (x->elem != y->elem || x->nsrc != y->nsrc || x->rank > WM_NEST_RANK ||
        memcmp(x->slot, y->slot, x->nsrc * sizeof(x->slot[0])) != 0)
        return false;
    if (!dims_equal_but(dx, x->rank, kx, dy, y->rank, ky, x->nsrc) ||
        !step_between(c, x, kx, y, ky, &d))
        return false;
    dim[n++] = d;
    for (uint32_t k = 0; k < x->rank; k++)
        if (k != kx)
            dim[n++] = dx[k];
    b.rank = (uint16_t)n;
    (void)box_canon(&b, dim);
    if (b.rank > WM_NEST_RANK || !is_ordered(dim, b.rank))
        return false;
    if (b.rank > x->rank) { /* no room in place: at the end of the list of dims */
        b.dim = c->m->dim.n;
        for (uint32_t k = 0; k < b.rank; k++)
            *WM_PUSH(c->m->a, &c->m->dim) = dim[k];
    } else {
        memcpy(&c->m->dim.item[b.dim], dim, b.rank * sizeof(dim[0]));
    }
    *x = b;
    return true;
}

/* Look for an earlier box that this one continues: first along a dim of that box, then along one of
 * its own, then as the second of a new dim. */
static bool
join_earlier(struct canon *c, const struct wm_box *y, uint64_t sig)
{
    struct wm_box *box = c->m->box.item;

    for (uint32_t i = 0; i <= y->rank; i++) {
        uint32_t ky = i < y->rank ? i : NONE;
        uint64_t without = sig;
        const struct slot *s;

        if (ky != NONE)
            without -= dim_hash(&c->m->dim.item[y->dim + ky], y->nsrc);
        s = find(c, without);
        if (!s->box)
            continue;
        for (uint32_t k = 0; k <= box[s->box - 1].rank; k++) {
            struct wm_box *x = &box[s->box - 1];

            if (join_boxes(c, x, y, k < x->rank ? k : NONE, ky))
                return true;
        }
    }
    return false;
}

static void
enter(struct canon *c, uint32_t i)
{
    const struct wm_box *b = &c->m->box.item[i];
    uint64_t sig = box_hash(c, b);

    for (uint32_t k = 0; k <= b->rank; k++) {
        uint64_t without = sig;
        struct slot *s;

        if (k < b->rank)
            without -= dim_hash(&c->m->dim.item[b->dim + k], b->nsrc);
        s = find(c, without);
        s->sig = without;
        s->box = i + 1;
    }
}

/* One pass over the list; the number of boxes left. */
static uint32_t
join_pass(struct canon *c, uint64_t cap)
{
    struct wm_box *box = c->m->box.item;
    uint32_t n = 0;

    memset(c->slot, 0, cap * sizeof(c->slot[0]));
    for (uint32_t i = 0; i < c->m->box.n; i++) {
        struct wm_box y = box[i];
        uint32_t last = n;

        if (join_earlier(c, &y, box_hash(c, &y)))
            continue;
        box[last] = y;
        n++;
        enter(c, last);
    }
    return n;
}

static int
by_dst(const void *p, const void *q)
{
    const struct wm_box *x = p, *y = q;

    if (x->dst_base != y->dst_base)
        return x->dst_base < y->dst_base ? -1 : 1;
    return x->dim < y->dim ? -1 : x->dim > y->dim;
}

static bool
is_sorted(const struct wm_imap *m)
{
    for (uint32_t i = 1; i < m->box.n; i++)
        if (m->box.item[i].dst_base < m->box.item[i - 1].dst_base)
            return false;
    return true;
}

void
wm_imap_canon(struct wm_imap *m)
{
    struct canon c = {.m = m};
    uint32_t n = 0;
    uint64_t cap = 16, need = 0;

    for (uint32_t i = 0; i < m->box.n; i++) {
        struct wm_box b = m->box.item[i];

        if (box_canon(&b, m->dim.item + b.dim))
            m->box.item[n++] = b;
    }
    m->box.n = n;
    if (n < 2)
        return;
    if (!is_sorted(m))
        qsort(m->box.item, n, sizeof(m->box.item[0]), by_dst);
    for (uint32_t i = 0; i < n; i++)
        need += m->box.item[i].rank + 2u; /* a join adds one dim at most to what is entered */
    while (cap < 2 * need)
        cap *= 2;
    c.slot = WM_NEW_N(m->a, struct slot, cap);
    c.mask = cap - 1;
    do {
        n = m->box.n;
        m->box.n = join_pass(&c, cap);
    } while (m->box.n > 1 && m->box.n < n);
}
