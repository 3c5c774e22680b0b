/* test_push.c -- random plans, their inputs pushed in random orders and pieces, against a run from files.
 *
 * Into files, to a stream, and tensor by tensor; with odd memories, where the least one that is named must do and one
 * byte less must not. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAPS_MAXN (1 << 18)
#include "runtime/push.h"
#include "tests/unit/maps.h"
#include "tests/unit/plans.h"

enum { MOST_OUT = 8, MOST_IN = 2 * MAXSLOT };

static char dir[64], in_path[96];

static int
setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/wmap-test-push-XXXXXX");
    snprintf(in_path, sizeof(in_path), "%s/in", mkdtemp(dir));
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    unlink(in_path);
    return rmdir(dir);
}

/* ---- random plans ---- */

struct made {
    struct wm_plan plan;
    uint8_t *data; /* of the input file */
    uint64_t n;
    uint64_t in_off[MOST_IN], in_n[MOST_IN]; /* tensors of the input file, in order; with gaps between them */
    uint32_t nin;
    uint64_t nfile, size[2];
    uint8_t *expect[2], *got[2];
    const struct wm_plan_out *out;
    const struct wm_plan_outfile *file;
};

static const enum wm_dtype types[] = {WM_DT_U8, WM_DT_BF16, WM_DT_F32, WM_DT_F64};

static void
random_out(struct mk *m, struct gen *g, uint64_t *seed, uint32_t file, int64_t want, const uint32_t *in)
{
    enum wm_dtype t = types[rnd(seed, 4)];
    struct wm_plan_step step = {.kind = WM_SP_CAST, .from = WM_DT_F16, .to = t};
    struct wm_plan_elem fill = {.kind = WM_EL_FILL, .pattern = {1, 2, 3, 4, 5, 6, 7, 8}};
    uint32_t chain = mk_chain(m, &step, 1), fill_id = mk_elem(m, &fill);
    struct wm_imap map;
    int64_t n = gen_map(g, &map, want);

    for (uint32_t i = 0; i < map.box.n; i++) {
        struct wm_box *b = &map.box.item[i];

        if (b->nsrc == 1 && rnd(seed, 4) == 0) /* a dimension that is walked backwards */
            for (uint32_t k = 0; k < b->rank; k++) {
                struct wm_dim *d = &map.dim.item[b->dim + k];

                if (rnd(seed, 2)) {
                    b->src_base[0] += (d->extent - 1) * d->src[0];
                    d->src[0] = -d->src[0];
                }
            }
        b->elem = b->nsrc == 0 ? fill_id : b->elem ? chain : 0;
    }
    wm_imap_canon(&map);
    (void)mk_out(m, "out", file, t, n, mk_geom(m, &map, wm_dtype_info[t].bits / 8u, g->nslot, n), in, g->nslot);
}

/* Compare the two copies of a tensor, forwards or as the columns of a matrix. */
static void
add_check(struct mk *m, struct wm_arena *a, uint64_t *seed, uint32_t x, uint32_t y, int64_t n)
{
    struct wm_plan_elem e = {.kind = WM_EL_EQUAL};
    int64_t c = n % 6 == 0 ? 6 : 1;
    struct wm_dim one[1] = {{n, 1, {1, 1}}}, two[2] = {{c, n / c, {1, 1}}, {n / c, 1, {c, c}}};
    struct wm_box b = {.slot = {0, 1}, .nsrc = 2, .rank = 1};
    struct wm_imap map;
    uint32_t in[2] = {x, y};

    b.elem = mk_elem(m, &e);
    b.rank = rnd(seed, 2) && c > 1 && n > c ? 2 : 1;
    wm_imap_init(&map, a);
    wm_imap_add(&map, &b, b.rank == 2 ? two : one);
    mk_out(m, "check", WM_NONE, WM_DT_F64, n, mk_geom(m, &map, 8, 2, n), in, 2);
}

static void
random_plan(struct wm_arena *a, uint64_t *seed, int64_t want, bool differ, struct made *made)
{
    struct mk m;
    struct gen g;
    uint32_t in[MOST_IN], file, ncheck, nfile = 1 + rnd(seed, 2);
    uint64_t size;
    struct wm_err err = {0};
    void *block;
    FILE *f;

    memset(made, 0, sizeof(*made));
    gen_init(&g, a, seed);
    ncheck = differ ? g.nslot : rnd(seed, g.nslot + 1);
    made->nin = g.nslot + ncheck;
    for (uint32_t s = 0; s < made->nin; s++) {
        if (want && s < g.nslot)
            g.src_n[s] = want;
        made->n += rnd(seed, 3) ? 0 : rnd(seed, 40) * 8; /* a tensor that is not read */
        made->in_off[s] = made->n;
        made->in_n[s] = (uint64_t)g.src_n[s < g.nslot ? s : s - g.nslot] * 8;
        made->n += made->in_n[s];
    }
    made->data = malloc(made->n + 1);
    for (uint64_t i = 0; i < made->n; i++)
        made->data[i] = (uint8_t)rnd(seed, 256);
    for (uint32_t s = g.nslot; s < made->nin; s++)
        memcpy(made->data + made->in_off[s], made->data + made->in_off[s - g.nslot], made->in_n[s]);
    if (differ)
        made->data[made->in_off[g.nslot] + rnd(seed, (uint32_t)made->in_n[g.nslot])] ^= 1;
    f = fopen(in_path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(made->data, 1, made->n, f), made->n);
    assert_int_equal(fclose(f), 0);
    mk_init(&m, a);
    file = mk_infile(&m, in_path);
    for (uint32_t s = 0; s < made->nin; s++)
        in[s] = mk_in(&m, "in", file, WM_DT_F64, made->in_off[s], (int64_t)made->in_n[s] / 8);
    for (uint32_t k = 0; k < nfile; k++) {
        mk_file_begin(&m, rnd(seed, 50));
        for (uint32_t n = rnd(seed, MOST_OUT / 2) + 1; n > 0; n--)
            random_out(&m, &g, seed, k, want, in);
        mk_file_end(&m, k ? "b" : "a", rnd(seed, 10));
    }
    for (uint32_t s = g.nslot; s < made->nin; s++)
        add_check(&m, a, seed, in[s - g.nslot], in[s], (int64_t)made->in_n[s] / 8);
    block = wm_plan_finish(&m.b, &size);
    ((struct wm_plan_infile *)(void *)((char *)block + ((struct wm_plan_header *)block)->section[WM_PS_INFILE].off))
        ->flags = WM_INFILE_STREAM;
    if (wm_plan_open(a, block, size, &made->plan, &err) != WM_OK)
        fail_msg("%s", err.msg);
    made->file = wm_plan_section(&made->plan, WM_PS_OUTFILE, &made->nfile);
    made->out = wm_plan_section(&made->plan, WM_PS_OUT, NULL);
    for (uint64_t k = 0; k < made->nfile; k++) {
        made->size[k] = made->file[k].size;
        made->expect[k] = calloc(1, made->size[k] + 1);
        made->got[k] = calloc(1, made->size[k] + 1);
    }
}

static void
free_made(struct made *m)
{
    free(m->data);
    for (uint64_t k = 0; k < m->nfile; k++) {
        free(m->expect[k]);
        free(m->got[k]);
    }
}

static enum wm_status
sink_write(void *user, uint32_t file, uint64_t off, const void *p, uint64_t n, struct wm_err *err)
{
    struct made *m = user;

    (void)err;
    memcpy(m->expect[file] + off, p, n);
    return WM_OK;
}

static enum wm_status
run_from_file(struct made *m)
{
    struct wm_exec_sink sink = {.write = sink_write, .user = m};
    struct wm_exec_opts o = {.threads = 1};
    struct wm_err err = {0};

    return wm_exec_run(&m->plan, &wm_sys_real, &o, &sink, NULL, &err);
}

/* ---- pushing ---- */

struct target {
    struct made *m;
    int fd[2];
    uint64_t at; /* of the stream */
    uint64_t calls;
};

static int
target_fd(void *user, uint32_t file)
{
    return ((struct target *)user)->fd[file];
}

static enum wm_status
target_write(void *user, const void *p, uint64_t n, struct wm_err *err)
{
    struct target *t = user;

    (void)err;
    assert_true(t->at + n <= t->m->size[0]);
    memcpy(t->m->got[0] + t->at, p, n);
    t->at += n;
    return WM_OK;
}

static enum wm_status
target_tensor(void *user, uint32_t out, const void *p, struct wm_err *err)
{
    struct target *t = user;
    const struct wm_plan_out *o = &t->m->out[out];

    (void)err;
    t->calls++;
    memcpy(t->m->got[o->file] + o->off, p, o->nbytes);
    return WM_OK;
}

enum mode { FILES, STREAM, TENSORS };

static void
open_target(struct made *m, struct target *t, enum mode mode, struct wm_push_to *to)
{
    memset(t, 0, sizeof(*t));
    t->m = m;
    *to = (struct wm_push_to){.user = t};
    if (mode == FILES)
        to->fd = target_fd;
    else if (mode == STREAM)
        to->write = target_write;
    else
        to->tensor = target_tensor;
    for (uint64_t k = 0; k < m->nfile; k++) {
        char path[128];

        memset(m->got[k], 0, m->size[k]);
        if (mode != FILES)
            continue;
        snprintf(path, sizeof(path), "%s/out", dir);
        t->fd[k] = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
        assert_true(t->fd[k] >= 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(ftruncate(t->fd[k], (off_t)m->size[k]), 0);
    }
}

static void
close_target(struct target *t, enum mode mode)
{
    for (uint64_t k = 0; mode == FILES && k < t->m->nfile; k++) {
        assert_int_equal(pread(t->fd[k], t->m->got[k], t->m->size[k], 0), t->m->size[k]);
        close(t->fd[k]);
    }
}

static void
compare(const struct made *m)
{
    for (uint64_t k = 0; k < m->nfile; k++)
        for (uint64_t i = m->file[k].first; i < m->file[k].first + m->file[k].ntensor; i++)
            for (uint64_t b = m->out[i].off; b < m->out[i].off + m->out[i].nbytes; b++)
                if (m->expect[k][b] != m->got[k][b])
                    fail_msg("output %llu, byte %llu", (unsigned long long)i,
                             (unsigned long long)(b - m->out[i].off));
}

/* All of the file, front to back, in pieces of any length. */
static enum wm_status
push_in_order(struct made *m, struct wm_push *s, uint64_t *seed, struct wm_err *err)
{
    enum wm_status st = WM_OK;

    for (uint64_t at = 0; at < m->n && st == WM_OK;) {
        uint64_t n = 1 + rnd(seed, rnd(seed, 3) ? 100000 : 13), room;
        const void *from = m->data + at;
        char *to = rnd(seed, 2) ? wm_push_room(s, 0, at, &room) : NULL;

        n = n < m->n - at ? n : m->n - at;
        if (to) {
            n = n < room ? n : room;
            from = memcpy(to, from, n);
        }
        st = wm_push_bytes(s, 0, at, from, n, err);
        at += n;
    }
    return st;
}

/* Every tensor in pieces of whole elements, all in random order. */
static enum wm_status
push_shuffled(struct made *m, struct wm_push *s, uint64_t *seed, struct wm_err *err)
{
    struct {
        uint64_t lo, hi;
    } *piece = malloc(100 * sizeof(*piece));
    uint32_t n = 0;
    enum wm_status st = WM_OK;

    for (uint32_t i = 0; i < m->nin; i++) {
        uint64_t at = m->in_off[i], end = at + m->in_n[i], parts = 1 + rnd(seed, 8);

        while (at < end) {
            uint64_t len = (1 + rnd(seed, (uint32_t)(m->in_n[i] / 4 / parts + 1))) * 8;

            len = n + 10 > 100 / m->nin * (i + 1) || len > end - at ? end - at : len;
            piece[n].lo = at;
            piece[n++].hi = at += len;
        }
    }
    for (uint32_t k = n; k > 0 && st == WM_OK; k--) {
        uint32_t i = rnd(seed, k);

        st = wm_push_bytes(s, 0, piece[i].lo, m->data + piece[i].lo, piece[i].hi - piece[i].lo, err);
        if (st == WM_OK && k == n && n > 1) { /* the same again, and a part of it */
            struct wm_err twice = {0};

            assert_int_equal(wm_push_bytes(s, 0, piece[i].lo, m->data + piece[i].lo, 8, &twice), WM_EUSAGE);
        }
        piece[i] = piece[k - 1];
    }
    free(piece);
    return st;
}

static enum wm_status
push_all(struct wm_arena *a, struct made *m, enum mode mode, uint64_t memory, bool any_order, uint64_t *seed,
         struct wm_err *err)
{
    struct wm_push_opts o = {.max_memory = memory, .any_order = any_order, .threads = 1 + rnd(seed, 4)};
    struct wm_push_to to;
    struct wm_exec_stats stats = {0};
    struct target t;
    struct wm_push *s;
    enum wm_status st;

    open_target(m, &t, mode, &to);
    st = wm_push_open(a, &wm_sys_real, &m->plan, &o, &to, &s, err);
    if (st == WM_OK)
        st = any_order ? push_shuffled(m, s, seed, err) : push_in_order(m, s, seed, err);
    if (st == WM_OK)
        st = wm_push_finish(s, &stats, err);
    wm_push_close(s);
    close_target(&t, mode);
    if (st == WM_OK) {
        assert_true(stats.peak_buffers <= memory);
        assert_int_equal(stats.bytes_written, m->plan.head->out_bytes);
    }
    return st;
}

static void
rounds(uint64_t seed, int n, int64_t want)
{
    for (int round = 0; round < n; round++) {
        struct wm_arena a;
        struct made m;
        struct wm_err err;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        random_plan(&a, &seed, want, false, &m);
        assert_int_equal(run_from_file(&m), WM_OK);
        for (int i = 0; i < 5; i++) {
            enum mode mode = i == 4 && m.nfile > 1 ? FILES : (enum mode[]){FILES, FILES, FILES, TENSORS, STREAM}[i];
            bool any_order = i == 1 || i == 3;
            uint64_t memory = rnd(&seed, 3) ? 64 << 20 : 1 + rnd(&seed, 1 << 20);
            unsigned long long least;
            enum wm_status st;

            err = (struct wm_err){0};
            st = push_all(&a, &m, mode, any_order ? 64 << 20 : memory, any_order, &seed, &err);
            if (st == WM_ELIMIT) { /* the number that is named is the least */
                assert_int_equal(sscanf(err.msg, "at least %llu bytes", &least), 1);
                assert_true(least > memory);
                err = (struct wm_err){0};
                assert_int_equal(push_all(&a, &m, mode, least - 1, false, &seed, &err), WM_ELIMIT);
                err = (struct wm_err){0};
                st = push_all(&a, &m, mode, least, false, &seed, &err);
            }
            if (st != WM_OK)
                fail_msg("%d: %s", i, err.msg);
            compare(&m);
        }
        free_made(&m);
        wm_arena_fini(&a);
    }
}

static void
test_small(void **state)
{
    (void)state;
    rounds(11, 400, 0);
}

static void
test_large(void **state)
{
    (void)state;
    rounds(12, 12, 120120);
    rounds(13, 12, 65536);
}

/* Copies that differ: the same answer as from files, in any order. */
static void
test_differ(void **state)
{
    uint64_t seed = 14;

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct wm_arena a;
        struct made m;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        random_plan(&a, &seed, 0, true, &m);
        assert_int_equal(run_from_file(&m), WM_NO);
        for (int i = 0; i < 3; i++) {
            struct wm_err err = {0};

            assert_int_equal(push_all(&a, &m, i == 2 ? TENSORS : FILES, 64 << 20, i > 0, &seed, &err), WM_NO);
            assert_non_null(strstr(err.msg, "differ"));
        }
        free_made(&m);
        wm_arena_fini(&a);
    }
}

/* What is missing, too much or not there is said. */
static void
test_incomplete(void **state)
{
    uint64_t seed = 15;

    (void)state;
    for (int round = 0; round < 100; round++) {
        struct wm_push_opts o = {.any_order = true};
        struct wm_arena a;
        struct wm_push_to to;
        struct wm_err err = {0};
        struct wm_push *s;
        struct target t;
        struct made m;
        uint64_t n;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        random_plan(&a, &seed, 0, false, &m);
        open_target(&m, &t, TENSORS, &to);
        assert_int_equal(wm_push_open(&a, &wm_sys_real, &m.plan, &o, &to, &s, &err), WM_OK);
        n = rnd(&seed, (uint32_t)m.in_n[m.nin - 1] / 8) * 8;
        assert_int_equal(wm_push_bytes(s, 0, m.in_off[m.nin - 1], m.data + m.in_off[m.nin - 1], n, &err), WM_OK);
        assert_int_equal(wm_push_bytes(s, 0, m.n - 8, m.data, 9, &err), WM_EUSAGE);
        err = (struct wm_err){0};
        assert_int_equal(wm_push_bytes(s, 1, 0, m.data, 8, &err), WM_EUSAGE);
        err = (struct wm_err){0};
        assert_int_equal(wm_push_finish(s, NULL, &err), WM_EFORMAT);
        assert_non_null(strstr(err.msg, "did not come whole"));
        wm_push_close(s);
        close_target(&t, TENSORS);
        free_made(&m);
        wm_arena_fini(&a);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_differ),
        cmocka_unit_test(test_incomplete),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
