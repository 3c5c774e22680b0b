/* test_imap.c -- index maps against a table of every element, on thousands of small random maps. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/nest.h"
#include "compiler/imap.h"
#include "tests/unit/maps.h"

static void
same_cells(const struct table *a, const struct table *b)
{
    assert_int_equal(a->n, b->n);
    for (int64_t i = 0; i < a->n; i++)
        if (memcmp(&a->cell[i], &b->cell[i], sizeof(a->cell[i])) != 0)
            fail_msg("element %lld differs", (long long)i);
}

static struct table ta, tb, tc[MAXSLOT];

/* The same map cut into random smaller boxes, in random order. */
static void
shatter(struct gen *g, const struct wm_imap *m, struct wm_imap *out)
{
    wm_imap_init(out, g->a);
    for (uint32_t i = 0; i < m->box.n; i++) {
        struct wm_box b = m->box.item[i];
        struct wm_dim d[64];
        uint32_t k = b.rank ? rnd(g->seed, b.rank) : 0;

        if (b.rank == 0) {
            wm_imap_add(out, &b, d);
            continue;
        }
        memcpy(d, &m->dim.item[b.dim], b.rank * sizeof(d[0]));
        for (int64_t at = 0, all = d[k].extent; at < all; at += d[k].extent) {
            struct wm_box c = b;

            d[k].extent = 1 + rnd(g->seed, (uint32_t)(all - at));
            c.dst_base += at * d[k].dst;
            c.src_base[0] += at * d[k].src[0];
            wm_imap_add(out, &c, d);
        }
    }
    for (uint32_t i = out->box.n; i-- > 1;) {
        uint32_t j = rnd(g->seed, i + 1);
        struct wm_box t = out->box.item[i];

        out->box.item[i] = out->box.item[j];
        out->box.item[j] = t;
    }
}

static void
test_canon(void **state)
{
    uint64_t seed = 11;
    int outside;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct wm_arena a;
        struct gen g;
        struct wm_imap m, s;
        int64_t n, at;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        gen_init(&g, &a, &seed);
        n = gen_map(&g, &m, 0);
        tabulate(&m, n, &ta, &outside);
        assert_int_equal(wm_imap_count(&m), n);
        shatter(&g, &m, &s);
        wm_imap_canon(&m);
        tabulate(&m, n, &tb, &outside);
        same_cells(&ta, &tb);
        wm_imap_canon(&s);
        tabulate(&s, n, &tb, &outside);
        same_cells(&ta, &tb);
        assert_true(wm_imap_equal(&m, &s, n, &at));
        wm_arena_fini(&a);
    }
}

static uint32_t
join_elem(void *user, uint32_t outer, uint32_t inner)
{
    (void)user;
    return outer * 10 + inner;
}

static void
test_compose(void **state)
{
    uint64_t seed = 22;
    int outside;

    (void)state;
    for (int round = 0; round < 4000; round++) {
        struct wm_arena a;
        struct gen g, h;
        struct wm_imap y, x[MAXSLOT], z;
        int64_t n;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        gen_init(&g, &a, &seed);
        gen_init(&h, &a, &seed);
        n = gen_map(&g, &y, 0);
        tabulate(&y, n, &ta, &outside);
        for (uint32_t s = 0; s < g.nslot; s++) {
            (void)gen_map(&h, &x[s], g.src_n[s]);
            tabulate(&x[s], g.src_n[s], &tc[s], &outside);
            if (rnd(&seed, 2))
                wm_imap_canon(&x[s]);
        }
        wm_imap_init(&z, &a);
        assert_true(wm_imap_compose(&y, x, g.nslot, join_elem, NULL, &z));
        for (int64_t i = 0; i < n; i++) {
            struct cell *c = &ta.cell[i];
            const struct cell *in;

            if (c->nsrc == 0)
                continue;
            in = &tc[c->slot[0]].cell[c->src[0]];
            c->elem = c->elem && in->elem ? c->elem * 10 + in->elem : c->elem + in->elem;
            c->nsrc = in->nsrc;
            memcpy(c->slot, in->slot, sizeof(c->slot));
            memcpy(c->src, in->src, sizeof(c->src));
        }
        tabulate(&z, n, &tb, &outside);
        assert_int_equal(outside, 0);
        same_cells(&ta, &tb);
        wm_arena_fini(&a);
    }
}

/* Two operands: compare two random maps' values; replaced by what makes the operands. */
static void
test_compose_two_operands(void **state)
{
    uint64_t seed = 33;
    int outside;

    (void)state;
    for (int round = 0; round < 1500; round++) {
        struct wm_arena a;
        struct gen g, h;
        struct wm_imap y, y2, x[MAXSLOT], z;
        int64_t n;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        gen_init(&g, &a, &seed);
        gen_init(&h, &a, &seed);
        g.fill = h.fill = g.elems = h.elems = false;
        n = gen_map(&g, &y, 0);
        wm_imap_init(&y2, &a);
        for (uint32_t i = 0; i < y.box.n; i++) { /* a second operand: the same slot, elsewhere */
            struct wm_box b = y.box.item[i];
            struct wm_dim d[64];

            b.nsrc = 2;
            b.slot[1] = b.slot[0];
            for (uint32_t k = 0; k < b.rank; k++) {
                d[k] = y.dim.item[b.dim + k];
                d[k].src[1] = rnd(&seed, 2) ? d[k].src[0] : 0;
            }
            wm_imap_add(&y2, &b, d);
        }
        tabulate(&y2, n, &ta, &outside);
        for (uint32_t s = 0; s < g.nslot; s++) {
            (void)gen_map(&h, &x[s], g.src_n[s]);
            tabulate(&x[s], g.src_n[s], &tc[s], &outside);
        }
        wm_imap_init(&z, &a);
        assert_true(wm_imap_compose(&y2, x, g.nslot, NULL, NULL, &z));
        for (int64_t i = 0; i < n; i++)
            for (uint32_t s = 0; s < 2; s++) {
                const struct cell *in = &tc[ta.cell[i].slot[s]].cell[ta.cell[i].src[s]];

                ta.cell[i].slot[s] = in->slot[0];
                ta.cell[i].src[s] = in->src[0];
            }
        tabulate(&z, n, &tb, &outside);
        same_cells(&ta, &tb);
        wm_arena_fini(&a);
    }
}

static void
test_invert(void **state)
{
    uint64_t seed = 44;
    int outside;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct wm_arena a;
        struct gen g;
        struct wm_imap y, back[MAXSLOT], copies;
        static bool first[MAXN];
        int64_t n, ncopy = 0, nback = 0;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        gen_init(&g, &a, &seed);
        n = gen_map(&g, &y, 0);
        tabulate(&y, n, &ta, &outside);
        for (uint32_t s = 0; s < g.nslot; s++)
            wm_imap_init(&back[s], &a);
        wm_imap_init(&copies, &a);
        assert_true(wm_imap_invert(&y, g.nslot, 7, back, &copies));
        memset(first, 0, sizeof(first));
        for (uint32_t s = 0; s < g.nslot; s++) {
            nback += wm_imap_count(&back[s]);
            for (int64_t e = 0; e < g.src_n[s]; e++) {
                const struct wm_box *b;
                int64_t src[3];

                if (!wm_imap_source(&back[s], e, &b, src))
                    continue;
                assert_int_equal(b->slot[0], 7);
                assert_in_range(src[0], 0, n - 1);
                assert_int_equal(ta.cell[src[0]].slot[0], s);
                assert_int_equal(ta.cell[src[0]].src[0], e);
            }
        }
        /* every element that is read is written back once, or compared with one that reads the same
         */
        tabulate(&copies, wm_imap_count(&copies), &tb, &outside);
        assert_int_equal(outside, 0);
        for (int64_t i = 0; i < tb.n; i++, ncopy++) {
            const struct cell *c = &tb.cell[i], *p = &ta.cell[c->src[0]], *q = &ta.cell[c->src[1]];

            assert_int_equal(c->writes, 1);
            assert_int_equal(c->nsrc, 2);
            assert_true(p->nsrc == 1 && q->nsrc == 1 && p->slot[0] == q->slot[0] &&
                        p->src[0] == q->src[0] && c->src[0] != c->src[1]);
            assert_false(first[c->src[0]]);
            first[c->src[0]] = true;
        }
        for (int64_t i = 0; i < n; i++)
            nback += ta.cell[i].nsrc == 0;
        assert_int_equal(nback + ncopy, n);
        wm_arena_fini(&a);
    }
}

static void
test_cut(void **state)
{
    uint64_t seed = 55;
    int outside;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        struct wm_arena a;
        struct gen g;
        struct wm_imap m, c;
        int64_t n, lo, hi;
        bool rebase = rnd(&seed, 2);

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        gen_init(&g, &a, &seed);
        n = gen_map(&g, &m, 0);
        tabulate(&m, n, &ta, &outside);
        lo = rnd(&seed, (uint32_t)n + 1);
        hi = lo + rnd(&seed, (uint32_t)(n - lo) + 1);
        wm_imap_init(&c, &a);
        assert_true(wm_imap_cut(&m, lo, hi, rebase, &c));
        assert_int_equal(wm_imap_count(&c), hi - lo);
        tabulate(&c, n, &tb, &outside);
        assert_int_equal(outside, 0);
        for (int64_t i = lo; i < hi; i++)
            assert_memory_equal(&ta.cell[i], &tb.cell[rebase ? i - lo : i], sizeof(struct cell));
        wm_arena_fini(&a);
    }
}

/* Damage a map; the table says what is wrong first. */
static void
test_tiles(void **state)
{
    uint64_t seed = 66;
    int bad = 0;

    (void)state;
    for (int round = 0; round < 6000; round++) {
        struct wm_arena a;
        struct gen g;
        struct wm_imap m;
        int64_t n, at = -1, want = -1;
        bool twice = false, want_twice = false, ok;
        int outside;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        gen_init(&g, &a, &seed);
        n = gen_map(&g, &m, 0);
        assert_true(wm_imap_tiles(&m, n, &at, &twice));
        for (uint32_t hits = rnd(&seed, 3) + 1; hits-- > 0 && m.box.n;) {
            struct wm_box *b = &m.box.item[rnd(&seed, m.box.n)];
            uint32_t what = rnd(&seed, 4);

            if (what == 0)
                b->dst_base += rnd(&seed, 3);
            else if (what == 1 && b->rank)
                m.dim.item[b->dim + rnd(&seed, b->rank)].extent += (int64_t)rnd(&seed, 3) - 1;
            else if (what == 2 && b->rank)
                m.dim.item[b->dim + rnd(&seed, b->rank)].dst += (int64_t)rnd(&seed, 3) - 1;
            else
                *b = m.box.item[--m.box.n];
        }
        tabulate(&m, n, &ta, &outside);
        for (int64_t i = 0; i < n && want < 0; i++)
            if (ta.cell[i].writes != 1) {
                want = i;
                want_twice = ta.cell[i].writes > 1;
            }
        ok = wm_imap_tiles(&m, n, &at, &twice);
        assert_int_equal(ok, want < 0 && outside == 0);
        if (!ok && want >= 0 && at >= 0) {
            assert_int_equal(at, want);
            assert_int_equal(twice, want_twice);
        }
        bad += !ok;
        wm_arena_fini(&a);
    }
    assert_true(bad > 2000);
}

static void
test_equal(void **state)
{
    uint64_t seed = 77;
    int differ = 0;

    (void)state;
    for (int round = 0; round < 4000; round++) {
        struct wm_arena a;
        struct gen g;
        struct wm_imap m, s;
        int64_t n, at = -1, want = -1;
        int outside;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        gen_init(&g, &a, &seed);
        n = gen_map(&g, &m, 0);
        shatter(&g, &m, &s);
        if (s.box.n && rnd(&seed, 4)) {
            struct wm_box *b = &s.box.item[rnd(&seed, s.box.n)];
            uint32_t what = rnd(&seed, 5);

            if (what == 0)
                b->src_base[0] += b->nsrc;
            else if (what == 1 && b->rank)
                m.dim.item[b->dim % m.dim.n].src[0]++;
            else if (what == 2)
                b->elem++;
            else if (what == 3)
                b->slot[0]++;
            else
                *b = s.box.item[--s.box.n];
        }
        tabulate(&m, n, &ta, &outside);
        tabulate(&s, n, &tb, &outside);
        for (int64_t i = 0; i < n && want < 0; i++) {
            struct cell *p = &ta.cell[i], *q = &tb.cell[i];

            if (p->nsrc == 0)
                p->slot[0] = q->slot[0];
            if (memcmp(p, q, sizeof(*p)) != 0)
                want = i;
        }
        if (want < 0) {
            assert_true(wm_imap_equal(&m, &s, n, &at));
        } else {
            assert_false(wm_imap_equal(&m, &s, n, &at));
            assert_int_equal(at, want);
            differ++;
        }
        wm_arena_fini(&a);
    }
    assert_true(differ > 1000);
}

static void
test_source(void **state)
{
    uint64_t seed = 88;
    int outside;

    (void)state;
    for (int round = 0; round < 500; round++) {
        struct wm_arena a;
        struct gen g;
        struct wm_imap m;
        const struct wm_box *b;
        int64_t n, src[3];

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        gen_init(&g, &a, &seed);
        n = gen_map(&g, &m, 0);
        tabulate(&m, n, &ta, &outside);
        for (int64_t i = 0; i < n; i++) {
            assert_true(wm_imap_source(&m, i, &b, src));
            assert_int_equal(b->nsrc, ta.cell[i].nsrc);
            if (b->nsrc)
                assert_int_equal(src[0], ta.cell[i].src[0]);
        }
        assert_false(wm_imap_source(&m, n, &b, src));
        wm_arena_fini(&a);
    }
}

/* ---- spellings and texts ---- */

struct spell_dim {
    int64_t extent, dst, src;
};
struct spell_box {
    int64_t dst, src;
    uint32_t slot, rank;
    struct spell_dim dim[4];
};

static void
spell(struct wm_imap *m, struct wm_arena *a, const struct spell_box *box, uint32_t n)
{
    wm_imap_init(m, a);
    for (uint32_t i = 0; i < n; i++) {
        struct wm_box b = {.dst_base = box[i].dst,
                           .src_base = {box[i].src},
                           .slot = {box[i].slot},
                           .nsrc = 1,
                           .rank = (uint16_t)box[i].rank};
        struct wm_dim d[4];

        for (uint32_t k = 0; k < box[i].rank; k++)
            d[k] = (struct wm_dim){.extent = box[i].dim[k].extent,
                                   .dst = box[i].dim[k].dst,
                                   .src = {box[i].dim[k].src}};
        wm_imap_add(m, &b, d);
    }
    wm_imap_canon(m);
}

static void
test_spellings(void **state)
{
    static const struct {
        struct spell_box box[6];
        uint32_t n;
        const char *text;
    } row[] = {
        /* a copy: whole, in rows, in halves, element by element */
        {{{.rank = 1, .dim = {{6, 1, 1}}}}, 1, "0: [6:1] <- %0 [6:1]\n"},
        {{{.rank = 2, .dim = {{2, 3, 3}, {3, 1, 1}}}}, 1, "0: [6:1] <- %0 [6:1]\n"},
        {{{3, 3, 0, 1, {{3, 1, 1}}}, {0, 0, 0, 2, {{1, 9, 9}, {3, 1, 1}}}},
         2,
         "0: [6:1] <- %0 [6:1]\n"},
        {{{0, 0, 0, 0, {{0}}}, {2, 2, 0, 0, {{0}}}, {1, 1, 0, 0, {{0}}}},
         3,
         "0: [3:1] <- %0 [3:1]\n"},
        /* a transpose: as a nest, and as the stack of its rows */
        {{{.rank = 2, .dim = {{3, 2, 1}, {2, 1, 3}}}}, 1, "0: [3:2 2:1] <- %0 [3:1 2:3]\n"},
        {{{0, 0, 0, 1, {{2, 1, 3}}}, {2, 1, 0, 1, {{2, 1, 3}}}, {4, 2, 0, 1, {{2, 1, 3}}}},
         3,
         "0: [3:2 2:1] <- %0 [3:1 2:3]\n"},
        /* a copy of one tensor behind the other, twice: interleaved pieces become two nests */
        {{{0, 0, 0, 1, {{2, 1, 1}}},
          {2, 0, 1, 1, {{3, 1, 1}}},
          {5, 2, 0, 1, {{2, 1, 1}}},
          {7, 3, 1, 1, {{3, 1, 1}}}},
         4,
         "0: [2:5 2:1] <- %0 [2:2 2:1]\n2: [2:5 3:1] <- %1 [2:3 3:1]\n"},
        /* negative strides, empty boxes */
        {{{5, 5, 0, 1, {{6, -1, -1}}}, {0, 0, 0, 2, {{0, 1, 1}, {4, 1, 1}}}},
         2,
         "0: [6:1] <- %0 [6:1]\n"},
        /* repeat, as a nest and as a list of copies */
        {{{.rank = 2, .dim = {{2, 4, 0}, {4, 1, 1}}}}, 1, "0: [2:4 4:1] <- %0 [2:0 4:1]\n"},
        {{{0, 0, 0, 1, {{4, 1, 1}}}, {4, 0, 0, 1, {{4, 1, 1}}}},
         2,
         "0: [2:4 4:1] <- %0 [2:0 4:1]\n"},
        /* swapped halves stay two boxes */
        {{{0, 3, 0, 1, {{3, 1, 1}}}, {3, 0, 0, 1, {{3, 1, 1}}}},
         2,
         "0: [3:1] <- %0 + 3 [3:1]\n3: [3:1] <- %0 [3:1]\n"},
    };

    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(row); i++) {
        struct wm_arena a;
        struct wm_imap m;
        struct wm_buf out;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        spell(&m, &a, row[i].box, row[i].n);
        wm_buf_init(&out, &a);
        wm_imap_print(&m, &out);
        assert_string_equal(out.p, row[i].text);
        wm_arena_fini(&a);
    }
}

/* ---- large maps cost no time per element, long lists near-linear time ---- */

static void
test_large(void **state)
{
    struct wm_arena a;
    struct wm_imap x, y, z, back;
    const int64_t big = INT64_C(1) << 40, n = 100000, per = 3000;
    struct wm_dim t[2] = {{big >> 20, INT64_C(1) << 20, {1}}, {INT64_C(1) << 20, 1, {big >> 20}}};
    struct wm_box b = {.nsrc = 1, .rank = 2};
    int64_t at;
    bool twice;
    clock_t start = clock();

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    wm_imap_init(&x, &a);
    wm_imap_add(&x, &b, t);
    wm_imap_init(&back, &a);
    assert_true(wm_imap_invert(&x, 1, 0, &back, NULL));
    wm_imap_init(&y, &a);
    assert_true(wm_imap_compose(&x, &back, 1, NULL, NULL, &y));
    assert_int_equal(y.box.n, 1);
    assert_true(wm_imap_tiles(&x, big, &at, &twice));
    assert_false(wm_imap_tiles(&x, big + 1, &at, &twice));
    assert_int_equal(at, big);
    wm_imap_init(&z, &a);
    wm_imap_identity(&z, big, 0);
    assert_true(wm_imap_equal(&y, &z, big, &at));
    assert_false(wm_imap_equal(&x, &z, big, &at));
    assert_int_equal(at, 1);
    /* 100 000 pieces of as many tensors, in rows; cut elsewhere and put together again */
    wm_imap_init(&x, &a);
    wm_imap_init(&y, &a);
    for (int64_t i = 0; i < n; i++) {
        struct wm_dim d = {per, 1, {1}};
        struct wm_box p = {.dst_base = i * per, .slot = {(uint32_t)i}, .nsrc = 1, .rank = 1};

        wm_imap_add(&x, &p, &d);
        p = (struct wm_box){.dst_base = i ? i * per - 7 : 0, .nsrc = 1, .rank = 1};
        p.src_base[0] = p.dst_base;
        d.extent = i == 0 ? per - 7 : i == n - 1 ? per + 7 : per;
        p.elem = (uint32_t)(i & 1);
        wm_imap_add(&y, &p, &d);
    }
    wm_imap_canon(&x);
    assert_int_equal(x.box.n, n);
    assert_true(wm_imap_tiles(&x, n * per, &at, &twice));
    wm_imap_init(&z, &a);
    assert_true(wm_imap_compose(&y, &x, 1, NULL, NULL, &z));
    assert_int_equal(z.box.n, 2 * n - 1);
    assert_true(wm_imap_tiles(&z, n * per, &at, &twice));
    assert_false(wm_imap_equal(&x, &z, n * per, &at));
    assert_int_equal(at, per - 7);
    wm_arena_fini(&a);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 20.0);
}

/* 400 tensors side by side in the columns of one: pairs that cannot meet are told apart cheaply. */
static void
test_columns(void **state)
{
    struct wm_arena a;
    struct wm_imap x, back[400], y;
    const int64_t cols = 400, w = 16, rows = 2048;
    int64_t at;
    bool twice;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    wm_imap_init(&x, &a);
    for (int64_t c = 0; c < cols; c++) {
        struct wm_dim d[2] = {{rows, cols * w, {w}}, {w, 1, {1}}};
        struct wm_box p = {.dst_base = c * w, .slot = {(uint32_t)c}, .nsrc = 1, .rank = 2};

        wm_imap_add(&x, &p, d);
        wm_imap_init(&back[c], &a);
    }
    assert_true(wm_imap_tiles(&x, cols * w * rows, &at, &twice));
    assert_true(wm_imap_invert(&x, (uint32_t)cols, 0, back, NULL));
    wm_imap_init(&y, &a);
    assert_true(wm_imap_compose(&x, back, (uint32_t)cols, NULL, NULL, &y));
    assert_int_equal(y.box.n, 1);
    assert_true(wm_imap_equal(&x, &x, cols * w * rows, &at));
    wm_arena_fini(&a);
}

/* Strides that fit no common factoring: enumerated, correct, and refused past the limit. */
static void
test_clash(void **state)
{
    struct wm_arena a;
    struct wm_imap x, y, z;
    struct wm_dim dx[3] = {{1 << 12, 7 << 12, {7}}, {7, 1 << 12, {1}}, {1 << 12, 1, {7 << 12}}};
    struct wm_box b = {.nsrc = 1, .rank = 3};
    int64_t n = INT64_C(7) << 24, at;
    bool twice;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    wm_imap_init(&x, &a);
    wm_imap_add(&x, &b, dx);
    wm_imap_init(&y, &a);
    assert_true(wm_imap_tiles(&x, n, &at, &twice));
    assert_true(wm_imap_compose(&x, &x, 1, NULL, NULL, &y));
    assert_true(wm_imap_tiles(&y, n, &at, &twice));
    wm_imap_init(&z, &a);
    wm_imap_add(&z, &(struct wm_box){.nsrc = 1, .rank = 2},
                (struct wm_dim[]){{1000003, 1000033, {1}}, {1000033, 1, {1000003}}});
    wm_imap_init(&y, &a);
    (void)wm_imap_compose(&z, &z, 1, NULL, NULL, &y); /* ends, whatever it says */
    wm_arena_fini(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canon),
        cmocka_unit_test(test_compose),
        cmocka_unit_test(test_compose_two_operands),
        cmocka_unit_test(test_invert),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_clash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
