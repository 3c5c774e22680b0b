/* test_exec.c -- random plans, run with odd windows, several threads and little memory, against a
 * loop over elements. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAPS_MAXN (1 << 18)
#include "runtime/cost.h"
#include "runtime/exec.h"
#include "runtime/exec_priv.h"
#include "tests/unit/maps.h"
#include "tests/unit/plans.h"

enum { MAXOUT = 6, NDATA = 1 << 22 };

static char dir[64], in_path[2][96];
static uint8_t *data[2];

static int
setup(void **state)
{
    uint64_t seed = 1;

    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/wmap-test-exec-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    for (int i = 0; i < 2; i++) {
        FILE *f;

        snprintf(in_path[i], sizeof(in_path[i]), "%s/in%d", dir, i);
        data[i] = malloc(NDATA);
        for (int k = 0; k < NDATA; k++)
            data[i][k] = (uint8_t)rnd(&seed, 256);
        f = fopen(in_path[i], "wb");
        if (!f || fwrite(data[i], 1, NDATA, f) != NDATA || fclose(f) != 0)
            return -1;
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        unlink(in_path[i]);
        free(data[i]);
    }
    return rmdir(dir);
}

/* ---- a sink into memory that wants every byte once ---- */

struct sunk {
    uint64_t nfile, size[4];
    uint8_t *bytes[4], *seen[4];
    pthread_mutex_t lock;
};

static enum wm_status
sink_write(void *user, uint32_t file, uint64_t off, const void *p, uint64_t n, struct wm_err *err)
{
    struct sunk *s = user;

    (void)err;
    pthread_mutex_lock(&s->lock);
    assert_true(file < s->nfile && off + n <= s->size[file]);
    memcpy(s->bytes[file] + off, p, n);
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(s->seen[file][off + i]++, 0);
    pthread_mutex_unlock(&s->lock);
    return WM_OK;
}

static void
sink_open(struct sunk *s, const struct wm_plan *p)
{
    const struct wm_plan_outfile *f = wm_plan_section(p, WM_PS_OUTFILE, &s->nfile);

    pthread_mutex_init(&s->lock, NULL);
    for (uint64_t i = 0; i < s->nfile; i++) {
        s->size[i] = f[i].size;
        s->bytes[i] = calloc(1, f[i].size + 1);
        s->seen[i] = calloc(1, f[i].size + 1);
    }
}

static void
sink_close(struct sunk *s)
{
    for (uint64_t i = 0; i < s->nfile; i++) {
        free(s->bytes[i]);
        free(s->seen[i]);
    }
}

/* ---- random plans ---- */

struct expect {
    uint32_t file;
    uint64_t off, n;
    uint8_t *bytes;
};

static struct table *table;

static const enum wm_dtype dst_types[] = {WM_DT_U8, WM_DT_BF16, WM_DT_F32, WM_DT_F64, WM_DT_F16};

/* One output tensor with what it should hold. */
static void
random_out(struct mk *m, struct gen *g, uint64_t *seed, uint32_t file, int64_t want,
           const uint32_t *in, const uint64_t *in_off, const uint32_t *in_file, struct expect *e)
{
    enum wm_dtype t = dst_types[rnd(seed, 5)], s = rnd(seed, 2) ? WM_DT_F32 : WM_DT_F16;
    struct wm_plan_step step[2] = {{.kind = WM_SP_CAST, .from = s, .to = t}};
    struct wm_plan_elem fill = {.kind = WM_EL_FILL};
    uint32_t unit = wm_dtype_info[t].bits / 8u, chain = 0, fill_id, geom;
    bool two = s != t && rnd(seed, 2) && wm_dtype_info[t].kind == 'F';
    struct wm_imap map;
    int64_t n = gen_map(g, &map, want);
    int outside;

    if (two)
        step[1] = (struct wm_plan_step){.kind = WM_SP_MUL, .from = t, .to = t, .value = -1.5};
    if (s != t)
        chain = mk_chain(m, step, two ? 2 : 1);
    for (uint32_t i = 0; i < 16; i++)
        fill.pattern[i] = rnd(seed, 2) ? (uint8_t)rnd(seed, 256) : 7;
    fill_id = mk_elem(m, &fill);
    for (uint32_t i = 0; i < map.box.n; i++)
        map.box.item[i].elem = map.box.item[i].nsrc == 0 ? fill_id
                               : map.box.item[i].elem    ? chain
                                                         : 0;
    wm_imap_canon(&map);
    tabulate(&map, n, table, &outside);
    geom = mk_geom(m, &map, unit, g->nslot, n);
    e->file = file;
    e->off = m->at;
    e->n = (uint64_t)n * unit;
    e->bytes = malloc(e->n + 1);
    for (int64_t i = 0; i < n; i++) {
        const struct cell *c = &table->cell[i];
        uint8_t *to = e->bytes + (uint64_t)i * unit;
        struct wm_cast_count count = {0};
        uint8_t mid[8];
        const uint8_t *from;

        if (c->nsrc == 0) {
            memcpy(to, fill.pattern, unit);
            continue;
        }
        from = data[in_file[c->slot[0]]] + in_off[c->slot[0]];
        if (c->elem == 0) {
            memcpy(to, from + (uint64_t)c->src[0] * unit, unit);
            continue;
        }
        from += (uint64_t)c->src[0] * wm_dtype_info[s].bits / 8;
        wm_step(&step[0], two ? mid : to, from, 1, &count);
        if (two)
            wm_step(&step[1], to, mid, 1, &count);
    }
    (void)mk_out(m, "out", file, t, n, geom, in, g->nslot);
}

struct made {
    struct wm_plan plan;
    struct expect e[MAXOUT];
    uint32_t n;
};

static void
random_plan(struct wm_arena *a, uint64_t *seed, int64_t want, struct made *made)
{
    struct mk m;
    struct gen g;
    uint32_t in[MAXSLOT], in_file[MAXSLOT], file[2], nfile = 1 + rnd(seed, 2);
    uint64_t in_off[MAXSLOT], size;
    struct wm_err err = {0};
    void *block;

    mk_init(&m, a);
    gen_init(&g, a, seed);
    g.elems = rnd(seed, 2);
    file[0] = mk_infile(&m, in_path[0]);
    file[1] = mk_infile(&m, in_path[1]);
    for (uint32_t s = 0; s < g.nslot; s++) {
        if (want)
            g.src_n[s] = want;
        in_file[s] = rnd(seed, 2);
        in_off[s] = rnd(seed, (uint32_t)(NDATA - g.src_n[s] * 8));
        in[s] = mk_in(&m, "in", file[in_file[s]], WM_DT_F64, in_off[s], g.src_n[s]);
    }
    made->n = 0;
    for (uint32_t f = 0; f < nfile; f++) {
        uint32_t n = rnd(seed, MAXOUT / 2 + 1);

        mk_file_begin(&m, rnd(seed, 3) ? rnd(seed, 50) : 0);
        for (uint32_t k = 0; k < n; k++)
            random_out(&m, &g, seed, f, want, in, in_off, in_file, &made->e[made->n++]);
        mk_file_end(&m, f ? "b" : "a", rnd(seed, 10));
    }
    block = wm_plan_finish(&m.b, &size);
    if (wm_plan_open(a, block, size, &made->plan, &err) != WM_OK)
        fail_msg("%s", err.msg);
}

/* What a run counted is what a dry run says. */
static void
compare_dry(const struct made *made, const struct wm_exec_opts *o, const struct wm_exec_stats *stats)
{
    struct wm_cost cost;
    struct wm_err err = {0};

    assert_int_equal(wm_cost_of(&made->plan, &wm_sys_real, o, &cost, &err), WM_OK);
    assert_int_equal(cost.n[WM_T_WRITTEN], stats->bytes_written);
    if (cost.counted < cost.steps) /* a sample */
        return;
    assert_int_equal(cost.n[WM_T_READS] + cost.n[WM_T_WRITES], stats->syscalls);
    assert_int_equal(cost.n[WM_T_READ], stats->bytes_read);
}

static void
run_and_compare(struct made *made, const struct wm_exec_opts *o, const struct wm_sys *sys)
{
    struct sunk sunk = {0};
    struct wm_exec_sink sink = {.write = sink_write, .user = &sunk};
    struct wm_exec_stats stats;
    struct wm_err err = {0};

    sink_open(&sunk, &made->plan);
    if (wm_exec_run(&made->plan, sys, o, &sink, &stats, &err) != WM_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(stats.bytes_written, made->plan.head->out_bytes);
    if (sys == &wm_sys_real)
        compare_dry(made, o, &stats);
    for (uint32_t i = 0; i < made->n; i++) {
        const struct expect *e = &made->e[i];

        for (uint64_t k = 0; k < e->n; k++) {
            assert_int_equal(sunk.seen[e->file][e->off + k], 1);
            if (sunk.bytes[e->file][e->off + k] != e->bytes[k])
                fail_msg("output %u of %u, byte %llu of %llu", i, made->n, (unsigned long long)k,
                         (unsigned long long)e->n);
        }
    }
    sink_close(&sunk);
}

static void
produce_and_compare(struct made *made, uint64_t *seed, const struct wm_exec_opts *o)
{
    struct wm_exec *x;
    struct wm_err err = {0};

    assert_int_equal(wm_exec_open(&made->plan, &wm_sys_real, o, &x, &err), WM_OK);
    for (int k = 0; k < 6 && made->n; k++) {
        uint32_t i = rnd(seed, made->n);
        const struct expect *e = &made->e[i];
        uint64_t off = rnd(seed, (uint32_t)e->n + 1), n = rnd(seed, (uint32_t)(e->n - off) + 1);
        uint8_t *p = malloc(n + 1);

        p[n] = 0xa5;
        if (wm_exec_produce(x, i, off, n, p, &err) != WM_OK)
            fail_msg("%s", err.msg);
        assert_memory_equal(p, e->bytes + off, n);
        assert_int_equal(p[n], 0xa5);
        free(p);
    }
    assert_int_equal(wm_exec_check_inputs(x, &err), WM_OK);
    wm_exec_close(x);
}

/* Every so often all that can be compiled is, where there is a plug-in. */
static enum wm_engine
engine_of(int round)
{
    if (round % 20 == 7 && getenv("WMAP_JIT_PLUGIN"))
        return WM_ENGINE_JIT;
    return round % 2 ? WM_ENGINE_INTERP : WM_ENGINE_AUTO;
}

static void
random_rounds(uint64_t seed, int rounds, bool large)
{
    static const int64_t sizes[] = {65536, 48000, 131072, 120120, 99856};

    table = malloc(sizeof(*table));
    for (int round = 0; round < rounds; round++) {
        struct wm_arena a;
        struct made made;
        struct wm_exec_opts o = {
            .threads = 1 + rnd(&seed, 4), .max_memory = 4 << 20, .engine = engine_of(round)};

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        random_plan(&a, &seed, large ? sizes[rnd(&seed, 5)] : 0, &made);
        if (rnd(&seed, 2))
            o.window = large ? 5000 + rnd(&seed, 300000) : 1 + rnd(&seed, 300);
        if (rnd(&seed, 2))
            o.max_memory = 550000 + rnd(&seed, 600000);
        run_and_compare(&made, &o, &wm_sys_real);
        produce_and_compare(&made, &seed, &o);
        for (uint32_t i = 0; i < made.n; i++)
            free(made.e[i].bytes);
        wm_arena_fini(&a);
    }
    free(table);
}

static void
test_small(void **state)
{
    (void)state;
    random_rounds(101, 800, false);
}

static void
test_large(void **state)
{
    (void)state;
    random_rounds(202, 60, true);
}

/* Transposes larger than a window, in every element size, plain, cast, as the rows of a larger
 * tensor, and next to a copy; produced in pieces that come in no order, too. */
static void
transpose(uint64_t *seed, enum wm_dtype from, enum wm_dtype t, int64_t r, int64_t c, int64_t pad)
{
    struct wm_arena a;
    struct mk m;
    struct wm_imap map;
    struct made made = {.n = 1};
    struct wm_plan_step step = {.kind = WM_SP_CAST, .from = from, .to = t};
    struct wm_dim d[2] = {{c, r + pad, {1}}, {r, 1, {c}}},
                  dp[2] = {{c, r + pad, {pad}}, {pad, 1, {1}}};
    struct wm_box b = {.nsrc = 1, .rank = 2}, bp = {.dst_base = r, .nsrc = 1, .rank = 2};
    struct wm_exec_opts o = {.threads = 2, .max_memory = 1 << 20};
    struct wm_err err = {0};
    uint32_t in, unit = wm_dtype_info[t].bits / 8u, src_unit = wm_dtype_info[from].bits / 8u;
    struct expect *e = &made.e[0];
    int64_t n = c * (r + pad);
    uint64_t size;
    void *block;

    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    mk_init(&m, &a);
    in = mk_in(&m, "in", mk_infile(&m, in_path[0]), WM_DT_U8, 3, NDATA - 3);
    wm_imap_init(&map, &a);
    b.elem = bp.elem = from == t ? 0 : mk_chain(&m, &step, 1);
    wm_imap_add(&map, &b, d);
    if (pad)
        wm_imap_add(&map, &bp, dp);
    wm_imap_canon(&map);
    mk_file_begin(&m, 5);
    mk_out(&m, "out", 0, t, n, mk_geom(&m, &map, unit, 1, n), &in, 1);
    mk_file_end(&m, "a", 0);
    block = wm_plan_finish(&m.b, &size);
    assert_int_equal(wm_plan_open(&a, block, size, &made.plan, &err), WM_OK);
    *e = (struct expect){.off = 5, .n = (uint64_t)n * unit, .bytes = malloc((size_t)n * unit)};
    for (int64_t i = 0; i < c; i++)
        for (int64_t k = 0; k < r + pad; k++) {
            int64_t src = k < r ? k * c + i : i * pad + k - r;
            struct wm_cast_count count = {0};

            wm_cast(e->bytes + (i * (r + pad) + k) * unit, t, data[0] + 3 + src * src_unit, from, 1,
                    &count);
        }
    for (int round = 0; round < 3; round++) {
        o.window = round == 0 ? 0 : 1000 + rnd(seed, 100000);
        run_and_compare(&made, &o, &wm_sys_real);
        produce_and_compare(&made, seed, &o);
    }
    free(e->bytes);
    wm_arena_fini(&a);
}

static void
test_transposes(void **state)
{
    static const int64_t shape[][2] = {{512, 512}, {1000, 333}, {3, 50000}, {70000, 5}, {65, 4097}};
    uint64_t seed = 404;

    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(shape); i++)
        for (int64_t pad = 0; pad < 8; pad += 7) {
            transpose(&seed, WM_DT_U8, WM_DT_U8, shape[i][0], shape[i][1], pad);
            transpose(&seed, WM_DT_BF16, WM_DT_BF16, shape[i][0], shape[i][1], pad);
            transpose(&seed, WM_DT_F32, WM_DT_F32, shape[i][0], shape[i][1], pad);
            transpose(&seed, WM_DT_F64, WM_DT_F64, shape[i][0], shape[i][1], pad);
            transpose(&seed, WM_DT_F32, WM_DT_BF16, shape[i][0], shape[i][1], pad);
        }
}

/* ---- short counts and interrupted calls ---- */

static _Atomic unsigned calls;

static ssize_t
stingy_pread(int fd, void *p, size_t n, off_t off)
{
    if (calls++ % 3 == 0) {
        errno = EINTR;
        return -1;
    }
    return pread(fd, p, n > 1000 ? 1000 - calls % 7 : n, off);
}

static ssize_t
stingy_preadv(int fd, const struct iovec *iov, int n, off_t off)
{
    if (calls++ % 3 == 0) {
        errno = EINTR;
        return -1;
    }
    return calls % 2
               ? preadv(fd, iov, n > 3 ? 3 : n, off)
               : pread(fd, iov->iov_base,
                       iov->iov_len / 2 + 1 < iov->iov_len ? iov->iov_len / 2 + 1 : iov->iov_len,
                       off);
}

static void
test_stingy(void **state)
{
    struct wm_sys sys = wm_sys_real;
    uint64_t seed = 303;

    (void)state;
    sys.pread = stingy_pread;
    sys.preadv = stingy_preadv;
    table = malloc(sizeof(*table));
    for (int round = 0; round < 20; round++) {
        struct wm_arena a;
        struct made made;
        struct wm_exec_opts o = {.threads = 1 + rnd(&seed, 3), .max_memory = 2 << 20};

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        random_plan(&a, &seed, 48000, &made);
        run_and_compare(&made, &o, &sys);
        for (uint32_t i = 0; i < made.n; i++)
            free(made.e[i].bytes);
        wm_arena_fini(&a);
    }
    free(table);
}

/* ---- one tensor, moved as a whole: the plan that the failures below start from ---- */

static void
simple_plan(struct wm_arena *a, const char *path, int64_t n, struct wm_plan *plan)
{
    struct mk m;
    struct wm_imap map;
    struct wm_err err = {0};
    uint32_t in;
    uint64_t size;
    void *block;

    mk_init(&m, a);
    in = mk_in(&m, "in", mk_infile(&m, path), WM_DT_BF16, 4, n);
    wm_imap_init(&map, a);
    wm_imap_identity(&map, n, 0);
    mk_file_begin(&m, 0);
    mk_out(&m, "out", 0, WM_DT_BF16, n, mk_geom(&m, &map, 2, 1, n), &in, 1);
    mk_file_end(&m, "a", 0);
    block = wm_plan_finish(&m.b, &size);
    assert_int_equal(wm_plan_open(a, block, size, plan, &err), WM_OK);
}

static void
test_memory_limit(void **state)
{
    struct wm_arena a;
    struct sunk sunk = {0};
    struct wm_exec_sink sink = {.write = sink_write, .user = &sunk};
    struct wm_exec_opts o = {.threads = 4, .max_memory = 1000};
    struct wm_exec_stats stats;
    struct wm_plan plan;
    struct wm_err err = {0};
    unsigned long long least;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    simple_plan(&a, in_path[0], 1000000, &plan);
    assert_int_equal(wm_exec_run(&plan, &wm_sys_real, &o, &sink, &stats, &err), WM_ELIMIT);
    assert_int_equal(sscanf(err.msg, "at least %llu bytes", &least), 1);
    assert_true(least < 1 << 20);
    o.max_memory = least;
    sink_open(&sunk, &plan);
    err = (struct wm_err){0};
    assert_int_equal(wm_exec_run(&plan, &wm_sys_real, &o, &sink, &stats, &err), WM_OK);
    assert_memory_equal(sunk.bytes[0], data[0] + 4, 2000000);
    assert_true(stats.peak_buffers <= least);
    sink_close(&sunk);
    wm_arena_fini(&a);
}

static enum wm_status
no_sink(void *user, uint32_t file, uint64_t off, const void *p, uint64_t n, struct wm_err *err)
{
    (void)file, (void)p;
    if (user && off + n > *(uint64_t *)user)
        return wm_fail_sys(err, ENOSPC, "out", "cannot write at %llu", (unsigned long long)off);
    return WM_OK;
}

static ssize_t
empty_pread(int fd, void *p, size_t n, off_t off)
{
    return off > 1000000 ? 0 : pread(fd, p, n, off);
}

static bool
stop_soon(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    assert_true(done <= total);
    return done > total / 2;
}

static void
test_failures(void **state)
{
    struct wm_arena a;
    struct wm_exec_sink sink = {.write = no_sink, .user = NULL};
    struct wm_exec_opts o = {.threads = 2, .window = 50000};
    struct wm_sys sys = wm_sys_real;
    struct wm_plan plan;
    struct wm_err err = {0};
    char path[96];
    uint64_t room = 500000;
    FILE *f;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    simple_plan(&a, in_path[0], 1000000, &plan);
    sys.pread = empty_pread; /* the file ends early */
    assert_int_equal(wm_exec_run(&plan, &sys, &o, &sink, NULL, &err), WM_EIO);
    assert_non_null(strstr(err.msg, in_path[0]));
    assert_non_null(strstr(err.msg, "ends at"));
    err = (struct wm_err){0};
    sink.user = &room; /* the disk is full */
    assert_int_equal(wm_exec_run(&plan, &wm_sys_real, &o, &sink, NULL, &err), WM_EIO);
    assert_int_equal(err.sys, ENOSPC);
    sink.user = NULL;
    err = (struct wm_err){0};
    o.progress = stop_soon;
    assert_int_not_equal(wm_exec_run(&plan, &wm_sys_real, &o, &sink, NULL, &err), WM_OK);
    o.progress = NULL;
    /* the file is another one than at bind, or gone */
    snprintf(path, sizeof(path), "%s/changing", dir);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data[0], 1, 5000, f), 5000);
    assert_int_equal(fclose(f), 0);
    simple_plan(&a, path, 1000, &plan);
    f = fopen(path, "ab");
    assert_non_null(f);
    assert_int_equal(fwrite(data[0], 1, 1, f), 1);
    assert_int_equal(fclose(f), 0);
    err = (struct wm_err){0};
    assert_int_equal(wm_exec_run(&plan, &wm_sys_real, &o, &sink, NULL, &err), WM_EIO);
    assert_non_null(strstr(err.msg, "changed"));
    assert_int_equal(unlink(path), 0);
    err = (struct wm_err){0};
    assert_int_equal(wm_exec_run(&plan, &wm_sys_real, &o, &sink, NULL, &err), WM_EIO);
    assert_non_null(strstr(err.msg, path));
    wm_arena_fini(&a);
}

/* A file per tensor: more files than a worker keeps open. */
static void
test_many_files(void **state)
{
    enum { N = 3 * WM_INPUTS };
    struct wm_arena a;
    struct mk m;
    struct wm_imap map;
    struct made made = {.n = 1};
    struct wm_exec_opts o = {.threads = 2, .window = 1000, .max_memory = 1 << 20};
    struct wm_err err = {0};
    uint32_t geom;
    uint64_t size, seed = 9;
    void *block;
    char path[N][96];

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    mk_init(&m, &a);
    wm_imap_init(&map, &a);
    wm_imap_identity(&map, 100, 0);
    geom = mk_geom(&m, &map, 2, 1, 100);
    mk_file_begin(&m, 8);
    for (int i = 0; i < N; i++) {
        FILE *f;
        uint32_t in;

        snprintf(path[i], sizeof(path[i]), "%s/part%d", dir, i);
        f = fopen(path[i], "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(data[0] + 200 * i, 1, 200, f), 200);
        assert_int_equal(fclose(f), 0);
        in = mk_in(&m, "in", mk_infile(&m, path[i]), WM_DT_BF16, 0, 100);
        mk_out(&m, "out", 0, WM_DT_BF16, 100, geom, &in, 1);
    }
    mk_file_end(&m, "a", 0);
    block = wm_plan_finish(&m.b, &size);
    assert_int_equal(wm_plan_open(&a, block, size, &made.plan, &err), WM_OK);
    made.e[0] = (struct expect){.off = 8, .n = N * 200, .bytes = data[0]};
    run_and_compare(&made, &o, &wm_sys_real);
    made.e[0].n = 200;
    produce_and_compare(&made, &seed, &o);
    for (int i = 0; i < N; i++)
        assert_int_equal(unlink(path[i]), 0);
    wm_arena_fini(&a);
}

/* ---- checks ---- */

/* Compare n units at two places, as a permutation of one another; IS_FILL over a constant stretch.
 */
static void
test_checks(void **state)
{
    struct wm_arena a;
    struct wm_exec_sink sink = {.write = no_sink, .user = NULL};
    char path[96];
    const int64_t r = 300, c = 500, n = 300 * 500;
    uint8_t *bytes = malloc((size_t)n * 6);

    (void)state;
    snprintf(path, sizeof(path), "%s/checks", dir);
    for (int64_t i = 0; i < r; i++)
        for (int64_t k = 0; k < c; k++) {
            memcpy(bytes + 2 * (i * c + k), data[0] + 2 * (i * c + k), 2);
            memcpy(bytes + 2 * (n + k * r + i), data[0] + 2 * (i * c + k), 2);
            memcpy(bytes + 2 * (2 * n + i * c + k), "\x80\x3f", 2);
        }
    for (int what = 0; what < 3; what++) {
        struct mk m;
        struct wm_imap map[2];
        struct wm_plan_elem e = {.kind = WM_EL_EQUAL},
                            f = {.kind = WM_EL_IS_FILL, .pattern = {0x80, 0x3f}};
        struct wm_dim d[2] = {{r, c, {c, 1}}, {c, 1, {1, r}}}, d1 = {n, 1, {1}};
        struct wm_box b = {.slot = {0, 1}, .nsrc = 2, .rank = 2}, b1 = {.nsrc = 1, .rank = 1};
        uint32_t in[3], file;
        struct wm_plan plan;
        struct wm_err err = {0};
        struct wm_exec *x;
        struct wm_exec_opts o = {.threads = 2, .max_memory = 1 << 20};
        uint64_t size;
        void *block;
        FILE *out = fopen(path, "wb");

        if (what == 1)
            bytes[2 * (17 * c + 33)] ^= 1;
        if (what == 2) {
            bytes[2 * (17 * c + 33)] ^= 1;
            bytes[2 * (2 * n + 99) + 1] = 0;
        }
        assert_non_null(out);
        assert_int_equal(fwrite(bytes, 1, (size_t)n * 6, out), n * 6);
        assert_int_equal(fclose(out), 0);
        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        mk_init(&m, &a);
        file = mk_infile(&m, path);
        in[0] = mk_in(&m, "first", file, WM_DT_BF16, 0, n);
        in[1] = mk_in(&m, "second", file, WM_DT_BF16, (uint64_t)n * 2, n);
        in[2] = mk_in(&m, "third", file, WM_DT_BF16, (uint64_t)n * 4, n);
        e.note = wm_plan_add_text(&m.b, WM_STR("replica"));
        b.elem = mk_elem(&m, &e);
        b1.elem = mk_elem(&m, &f);
        wm_imap_init(&map[0], &a);
        wm_imap_add(&map[0], &b, d);
        wm_imap_init(&map[1], &a);
        wm_imap_add(&map[1], &b1, &d1);
        mk_out(&m, "c", WM_NONE, WM_DT_BF16, n, mk_geom(&m, &map[0], 2, 2, n), in, 2);
        mk_out(&m, "f", WM_NONE, WM_DT_BF16, n, mk_geom(&m, &map[1], 2, 1, n), &in[2], 1);
        block = wm_plan_finish(&m.b, &size);
        if (wm_plan_open(&a, block, size, &plan, &err) != WM_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(wm_exec_run(&plan, &wm_sys_real, &o, &sink, NULL, &err),
                         what ? WM_NO : WM_OK);
        if (what == 1) {
            assert_non_null(strstr(err.msg, "test.wmap:3:1"));
            assert_non_null(strstr(err.msg, "replica"));
            assert_non_null(strstr(err.msg, "'first'[8533]"));
            assert_non_null(strstr(err.msg, "'second'[9917]"));
        }
        if (what == 2)
            assert_non_null(strstr(err.msg, "'third'[99]"));
        err = (struct wm_err){0};
        assert_int_equal(wm_exec_open(&plan, &wm_sys_real, &o, &x, &err), WM_OK);
        assert_int_equal(wm_exec_produce(x, 0, 0, (uint64_t)n, NULL, &err),
                         what == 1 ? WM_NO : WM_OK);
        wm_exec_close(x);
        wm_arena_fini(&a);
        assert_int_equal(unlink(path), 0);
    }
    free(bytes);
}

static void
test_uncast(void **state)
{
    struct wm_arena a;
    struct mk m;
    struct wm_imap map;
    struct wm_plan plan;
    struct wm_err err = {0};
    struct wm_exec *x;
    struct wm_exec_opts o = {0};
    struct wm_plan_step step = {.kind = WM_SP_UNCAST, .from = WM_DT_F32, .to = WM_DT_BF16};
    float v[4] = {1.0f, -0.5f, 3.0f, 1.0009765625f};
    uint16_t r[4];
    char path[96];
    uint32_t in;
    uint64_t size;
    void *block;
    FILE *f;

    (void)state;
    snprintf(path, sizeof(path), "%s/uncast", dir);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(v, 4, 4, f), 4);
    assert_int_equal(fclose(f), 0);
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    mk_init(&m, &a);
    in = mk_in(&m, "wide", mk_infile(&m, path), WM_DT_F32, 0, 4);
    wm_imap_init(&map, &a);
    wm_imap_identity(&map, 4, 0);
    map.box.item[0].elem = mk_chain(&m, &step, 1);
    mk_file_begin(&m, 0);
    mk_out(&m, "narrow", 0, WM_DT_BF16, 4, mk_geom(&m, &map, 2, 1, 4), &in, 1);
    mk_file_end(&m, "a", 0);
    block = wm_plan_finish(&m.b, &size);
    assert_int_equal(wm_plan_open(&a, block, size, &plan, &err), WM_OK);
    assert_int_equal(wm_exec_open(&plan, &wm_sys_real, &o, &x, &err), WM_OK);
    assert_int_equal(wm_exec_produce(x, 0, 0, 6, r, &err), WM_OK);
    assert_int_equal(r[0], 0x3f80);
    assert_int_equal(r[1], 0xbf00);
    assert_int_equal(wm_exec_produce(x, 0, 0, 8, r, &err), WM_NO);
    assert_non_null(strstr(err.msg, "'wide'[3]"));
    wm_exec_close(x);
    wm_arena_fini(&a);
    assert_int_equal(unlink(path), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),      cmocka_unit_test(test_large),
        cmocka_unit_test(test_transposes), cmocka_unit_test(test_stingy),
        cmocka_unit_test(test_many_files), cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_failures),   cmocka_unit_test(test_checks),
        cmocka_unit_test(test_uncast),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
