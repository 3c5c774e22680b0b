/* tests/unit/maps.h -- random index maps, and their meaning as a table of every element.
 *
 * A random map is a random partition of a small tensor into rectangles; each reads a random nest of
 * a random source: permuted, split, strided, offset, broadcast, or filled. */
#ifndef WM_TESTS_MAPS_H
#define WM_TESTS_MAPS_H

#include <string.h>

#include "base/arena.h"
#include "compiler/imap.h"

#ifndef MAPS_MAXN
#define MAPS_MAXN 4096
#endif

enum { MAXN = MAPS_MAXN, MAXSLOT = 4 };

struct cell {
    int writes;
    uint32_t elem, nsrc, slot[3];
    int64_t src[3];
};

struct table {
    int64_t n;
    struct cell cell[MAXN];
};

static inline uint32_t
rnd(uint64_t *s, uint32_t n)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*s >> 33) % n;
}

/* The slow, obvious meaning of a list of boxes; elements outside are counted in *out. */
static inline void
tabulate(const struct wm_imap *m, int64_t n, struct table *t, int *outside)
{
    memset(t->cell, 0, (size_t)n * sizeof(t->cell[0]));
    t->n = n;
    *outside = 0;
    for (uint32_t b = 0; b < m->box.n; b++) {
        const struct wm_box *x = &m->box.item[b];
        const struct wm_dim *d = &m->dim.item[x->dim];
        int64_t idx[64] = {0};
        bool more = true;

        for (uint32_t k = 0; k < x->rank; k++)
            more = more && d[k].extent > 0;
        while (more) {
            int64_t dst = x->dst_base;
            struct cell c = {.writes = 1, .elem = x->elem, .nsrc = x->nsrc};
            uint32_t k;

            for (uint32_t s = 0; s < x->nsrc; s++) {
                c.slot[s] = x->slot[s];
                c.src[s] = x->src_base[s];
            }
            for (k = 0; k < x->rank; k++) {
                dst += idx[k] * d[k].dst;
                for (uint32_t s = 0; s < x->nsrc; s++)
                    c.src[s] += idx[k] * d[k].src[s];
            }
            if (dst < 0 || dst >= n) {
                ++*outside;
            } else {
                c.writes += t->cell[dst].writes;
                t->cell[dst] = c;
            }
            for (k = x->rank; k-- > 0;) {
                if (++idx[k] < d[k].extent)
                    break;
                idx[k] = 0;
            }
            more = k != UINT32_MAX;
        }
    }
}

struct gen {
    struct wm_arena *a;
    uint64_t *seed;
    int64_t src_n[MAXSLOT]; /* size of each source tensor */
    uint32_t nslot;
    bool broadcast, fill, elems;
};

/* A box over dst dims (extent, stride), reading somewhere in a random slot. */
static inline void
gen_box(struct gen *g, struct wm_imap *m, int64_t base, const int64_t *ext, const int64_t *str,
        uint32_t rank)
{
    struct wm_box b = {.dst_base = base, .nsrc = 1};
    struct wm_dim d[16];
    uint32_t order[16], n = 0;
    int64_t span = 1, slack;

    for (uint32_t k = 0; k < rank; k++) { /* split some dims in two */
        int64_t e = ext[k], f = 1;

        for (int64_t c = 2; c < e; c++)
            if (e % c == 0 && rnd(g->seed, 2)) {
                f = c;
                break;
            }
        d[n++] = (struct wm_dim){.extent = e / f, .dst = str[k] * f};
        if (f > 1)
            d[n++] = (struct wm_dim){.extent = f, .dst = str[k]};
    }
    b.rank = (uint16_t)n;
    b.elem = g->elems ? rnd(g->seed, 3) : 0;
    b.slot[0] = rnd(g->seed, g->nslot);
    for (uint32_t k = 0; k < n; k++)
        order[k] = k;
    for (uint32_t k = n; k-- > 1;) {
        uint32_t i = rnd(g->seed, k + 1), t = order[k];

        order[k] = order[i];
        order[i] = t;
    }
    if (rnd(g->seed, 2)) /* often the natural order */
        for (uint32_t k = 0; k < n; k++)
            order[k] = n - 1 - k;
    for (uint32_t k = 0; k < n; k++) {
        struct wm_dim *x = &d[order[k]];

        if (g->broadcast && rnd(g->seed, 5) == 0)
            continue;
        if (span * (x->extent + 1) > g->src_n[b.slot[0]])
            continue; /* does not fit: broadcast, too */
        if (rnd(g->seed, 6) == 0 && span * x->extent * 2 <= g->src_n[b.slot[0]])
            span++; /* a gap */
        x->src[0] = span;
        span = span * x->extent;
    }
    span = 1;
    for (uint32_t k = 0; k < n; k++)
        span += (d[k].extent - 1) * d[k].src[0];
    slack = g->src_n[b.slot[0]] - span;
    if (slack > 0)
        b.src_base[0] = rnd(g->seed, (uint32_t)slack + 1);
    if (g->fill && rnd(g->seed, 6) == 0) {
        b.nsrc = 0;
        b.slot[0] = 0;
        b.src_base[0] = 0;
        for (uint32_t k = 0; k < n; k++)
            d[k].src[0] = 0;
    }
    wm_imap_add(m, &b, d);
}

/* Cut the rectangle along random dims until bored. */
static inline void
gen_rect(struct gen *g, struct wm_imap *m, int64_t base, int64_t *ext, const int64_t *str,
         uint32_t rank, int depth)
{
    uint32_t k = rank ? rnd(g->seed, rank) : 0;

    if (rank && depth > 0 && ext[k] > 1 && rnd(g->seed, 3)) {
        int64_t all = ext[k], cut = 1 + rnd(g->seed, (uint32_t)all - 1);

        ext[k] = cut;
        gen_rect(g, m, base, ext, str, rank, depth - 1);
        ext[k] = all - cut;
        gen_rect(g, m, base + cut * str[k], ext, str, rank, depth - 1);
        ext[k] = all;
        return;
    }
    gen_box(g, m, base, ext, str, rank);
}

/* A map that writes each element of a tensor of the returned size once. */
static inline int64_t
gen_map(struct gen *g, struct wm_imap *m, int64_t want)
{
    int64_t ext[5], str[5], n = 1;
    uint32_t rank = 0;

    wm_imap_init(m, g->a);
    if (want) { /* of a given size: any factoring */
        int64_t rest = want;

        while (rest > 1 && rank < 4) {
            int64_t f = 1;

            for (int64_t c = 2; c <= rest; c++)
                if (rest % c == 0) {
                    f = c;
                    if (rnd(g->seed, 2))
                        break;
                }
            ext[rank++] = f;
            rest /= f;
        }
        if (rank)
            ext[rank - 1] *= rest;
        n = want;
    } else {
        rank = rnd(g->seed, 5);
        for (uint32_t k = 0; k < rank; k++) {
            ext[k] = 1 + rnd(g->seed, 7);
            n *= ext[k];
        }
    }
    for (int64_t k = rank, s = 1; k-- > 0; s *= ext[k])
        str[k] = s;
    gen_rect(g, m, 0, ext, str, rank, 4);
    return n;
}

static inline void
gen_init(struct gen *g, struct wm_arena *a, uint64_t *seed)
{
    memset(g, 0, sizeof(*g));
    g->a = a;
    g->seed = seed;
    g->nslot = 1 + rnd(seed, 3);
    for (uint32_t s = 0; s < g->nslot; s++) {
        static const int64_t size[] = {1, 6, 24, 36, 60, 96, 100, 210, 256, 720};

        g->src_n[s] = size[rnd(seed, WM_COUNTOF(size))];
    }
    g->broadcast = rnd(seed, 2);
    g->fill = rnd(seed, 3) == 0;
    g->elems = rnd(seed, 3) == 0;
}

#endif
