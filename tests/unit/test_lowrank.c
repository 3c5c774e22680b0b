/* test_lowrank.c -- low-rank sums in plans, against a loop over elements in float64, and byte for byte in steps.
 *
 * Random shapes, permuted weights, factors with any strides, grouped and broadcast dims, odd windows, little memory. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/exec.h"
#include "runtime/kernels/kernel.h"
#include "tests/unit/plans.h"

enum { NDATA = 1 << 20, MAXN = 1 << 15 };

static char path[96];
static uint8_t *data;

static const enum wm_dtype types[] = {WM_DT_BF16, WM_DT_F32, WM_DT_F64, WM_DT_F16};

static uint32_t
rnd(uint64_t *s, uint32_t n)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*s >> 33) % n);
}

static double
number(uint64_t *s)
{
    return ((double)rnd(s, 2001) - 1000) / 256;
}

static uint32_t
size_of(enum wm_dtype t)
{
    return wm_dtype_info[t].bits / 8u;
}

/* As an element of a type, and that again as a number. */
static double
rounded(enum wm_dtype t, double v)
{
    struct wm_cast_count c = {0};
    uint8_t mid[8];

    wm_cast(mid, t, &v, WM_DT_F64, 1, &c);
    wm_cast(&v, WM_DT_F64, mid, t, 1, &c);
    return v;
}

static double
element(enum wm_dtype t, uint64_t off, int64_t i)
{
    struct wm_cast_count c = {0};
    double v;

    wm_cast(&v, WM_DT_F64, data + off + (uint64_t)i * size_of(t), t, 1, &c);
    return v;
}

static void
put_numbers(uint64_t *seed, enum wm_dtype t, uint64_t off, int64_t n)
{
    struct wm_cast_count c = {0};

    for (int64_t i = 0; i < n; i++) {
        double v = number(seed);

        wm_cast(data + off + (uint64_t)i * size_of(t), t, &v, WM_DT_F64, 1, &c);
    }
}

struct sum {
    enum wm_dtype t[3], out;     /* of W, B and A */
    struct wm_plan_elem e;
    struct wm_imap map;
    uint64_t off[3];
    int64_t n[3], nunit;
    bool cast;
};

/* A box of up to five dims: of rows, of columns, of both, of none. */
static void
random_sum(struct wm_arena *a, uint64_t *seed, struct sum *s, bool stepwise)
{
    struct wm_box box = {.nsrc = 3, .slot = {0, 1, 2}, .elem = 1, .rank = (uint16_t)(1 + rnd(seed, 5))};
    struct wm_dim dim[5];
    int64_t stride[3] = {1, 0, 0}, pad = rnd(seed, 2) ? 0 : 3, dst = 1;
    uint32_t rank = 1 + rnd(seed, rnd(seed, 8) ? 9 : 300);
    uint32_t order[5] = {0, 1, 2, 3, 4};

    memset(s, 0, sizeof(*s));
    s->t[0] = types[rnd(seed, 4)];
    for (int k = 1; k < 3; k++)
        s->t[k] = stepwise ? s->t[0] : types[rnd(seed, 4)];
    s->cast = rnd(seed, 3) == 0;
    s->out = s->cast ? WM_DT_F32 : s->t[0];
    s->e = (struct wm_plan_elem){.kind = WM_EL_LOWRANK, .src_unit = size_of(s->t[0]), .dst_unit = size_of(s->out),
                                 .src_dtype = s->t[0], .dst_dtype = s->out, .rank = rank,
                                 .mode = stepwise ? WM_LR_STEPWISE : WM_LR_ONCE,
                                 .factor = {s->t[1], s->t[2]}, .scale = number(seed)};
    /* the rank is the innermost or outermost dimension of a factor */
    stride[1] = stride[2] = 1;
    for (int f = 0; f < 2; f++)
        if (rnd(seed, 2)) {
            s->e.stride[f] = 1;
            stride[f + 1] = rank;
        }
    for (uint32_t k = box.rank; k-- > 0;) {
        uint32_t with = rnd(seed, 8);

        dim[k] = (struct wm_dim){.extent = 1 + rnd(seed, k == 0 ? 40 : 7), .dst = dst};
        dst *= dim[k].extent;
        for (int f = 1; f < 3; f++)
            if (with == 0 || (with > 1 && (with % 2 == (uint32_t)f - 1))) {
                dim[k].src[f] = stride[f];
                stride[f] *= dim[k].extent;
            }
    }
    for (uint32_t k = box.rank; k > 1; k--) { /* the weight lies in any order */
        uint32_t o = rnd(seed, k), x = order[o];

        order[o] = order[k - 1];
        order[k - 1] = x;
    }
    for (uint32_t k = 0; k < box.rank; k++) {
        dim[order[k]].src[0] = stride[0];
        stride[0] *= dim[order[k]].extent + pad;
    }
    for (int f = 0; f < 2; f++)
        if (!s->e.stride[f]) {
            s->e.stride[f] = stride[f + 1];
            stride[f + 1] *= rank;
        }
    s->nunit = dst;
    for (int k = 0; k < 3; k++)
        s->n[k] = stride[k];
    wm_imap_init(&s->map, a);
    wm_imap_add(&s->map, &box, dim);
}

static double
expected(const struct sum *s, const int64_t *at, double *slack)
{
    double sum = 0, size = 0, w = element(s->t[0], s->off[0], at[0]), v;
    float f = 0;
    bool wide = s->t[0] == WM_DT_F64;

    for (uint32_t k = 0; k < s->e.rank; k++) {
        double b = element(s->t[1], s->off[1], at[1] + k * s->e.stride[0]);
        double a = element(s->t[2], s->off[2], at[2] + k * s->e.stride[1]);

        sum += a * b;
        size += fabs(a * b);
        f += (float)a * (float)b;
    }
    *slack = size * fabs(s->e.scale) * 1e-6 + fabs(w) * 1e-6; /* float32 sums */
    if (s->e.mode != WM_LR_STEPWISE)
        return w + s->e.scale * sum;
    *slack = 0;
    if (wide)
        return w + s->e.scale * sum;
    v = rounded(s->t[0], (double)f);
    f = (float)v * (float)s->e.scale;
    v = rounded(s->t[0], (double)f);
    f = (float)w + (float)v;
    return rounded(s->t[0], (double)f);
}

static void
compare(const struct sum *s, const uint8_t *got)
{
    const struct wm_box *b = &s->map.box.item[0];

    for (int64_t u = 0; u < s->nunit; u++) {
        int64_t at[3] = {b->src_base[0], b->src_base[1], b->src_base[2]}, rest = u;
        struct wm_cast_count c = {0};
        double have, want, slack;

        for (uint32_t k = 0; k < b->rank; k++) {
            const struct wm_dim *d = &s->map.dim.item[b->dim + k];
            int64_t i = rest / d->dst;

            rest %= d->dst;
            for (int f = 0; f < 3; f++)
                at[f] += i * d->src[f];
        }
        want = expected(s, at, &slack);
        wm_cast(&have, WM_DT_F64, got + (uint64_t)u * size_of(s->out), s->out, 1, &c);
        if (s->e.mode != WM_LR_STEPWISE && s->t[0] != WM_DT_F64) {
            double lo = rounded(s->out, rounded(s->t[0], want - slack)), hi = rounded(s->out, rounded(s->t[0], want + slack));

            if (s->t[0] == WM_DT_F32) /* summed in float64 */
                lo = hi = rounded(s->out, rounded(s->t[0], want));
            if (!(have >= lo && have <= hi))
                fail_msg("unit %lld: %.9g, not in %.9g .. %.9g", (long long)u, have, lo, hi);
        } else if (have != rounded(s->out, want)) {
            fail_msg("unit %lld: %.17g, not %.17g", (long long)u, have, rounded(s->out, want));
        }
    }
}

static enum wm_status
sink_write(void *user, uint32_t file, uint64_t off, const void *p, uint64_t n, struct wm_err *err)
{
    (void)file, (void)err;
    memcpy((uint8_t *)user + off, p, n);
    return WM_OK;
}

static void
run(struct wm_arena *a, uint64_t *seed, struct sum *s)
{
    static const char *const name[] = {"w", "b", "a"};
    struct wm_plan_step step = {.kind = WM_SP_CAST, .from = s->t[0], .to = s->out};
    struct wm_exec_opts o = {.threads = 1 + rnd(seed, 3), .max_memory = 4 << 20};
    struct wm_exec_stats stats;
    struct wm_err err = {0};
    struct wm_plan plan;
    struct mk m;
    uint32_t in[3], file, geom;
    uint64_t at = 5, size;
    uint8_t *got = calloc((size_t)s->nunit, 8);
    struct wm_exec_sink sink = {.write = sink_write, .user = got};
    FILE *f;
    void *block;

    for (int k = 0; k < 3; k++) {
        s->off[k] = at;
        put_numbers(seed, s->t[k], at, s->n[k]);
        at += (uint64_t)s->n[k] * size_of(s->t[k]) + 1;
    }
    assert_true(at < NDATA);
    f = fopen(path, "wb");
    assert_true(f && fwrite(data, 1, at, f) == at && fclose(f) == 0);
    mk_init(&m, a);
    file = mk_infile(&m, path);
    for (int k = 0; k < 3; k++)
        in[k] = mk_in(&m, name[k], file, s->t[k], s->off[k], s->n[k]);
    if (s->cast) {
        s->e.step = (uint32_t)wm_plan_add(&m.b, WM_PS_STEP, &step, sizeof(step), 1);
        s->e.nstep = 1;
    }
    assert_int_equal(mk_elem(&m, &s->e), 1);
    mk_file_begin(&m, 0);
    geom = mk_geom(&m, &s->map, size_of(s->out), 3, s->nunit);
    mk_out(&m, "out", 0, s->out, s->nunit, geom, in, 3);
    mk_file_end(&m, "a", 0);
    block = wm_plan_finish(&m.b, &size);
    if (wm_plan_open(a, block, size, &plan, &err) != WM_OK)
        fail_msg("%s", err.msg);
    if (rnd(seed, 2))
        o.window = 1 + rnd(seed, 3000);
    if (rnd(seed, 2))
        o.max_memory = 600000 * o.threads;
    if (wm_exec_run(&plan, &wm_sys_real, &o, &sink, &stats, &err) != WM_OK)
        fail_msg("%s", err.msg);
    compare(s, got);
    free(got);
}

static void
rounds(uint64_t seed, int n, bool stepwise)
{
    while (n > 0) {
        struct wm_arena a;
        struct sum s;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        random_sum(&a, &seed, &s, stepwise);
        if (s.nunit <= MAXN && (s.n[0] + s.n[1] + s.n[2]) * 8 < NDATA - 64) {
            run(&a, &seed, &s);
            n--;
        }
        wm_arena_fini(&a);
    }
}

static void
test_once(void **state)
{
    (void)state;
    rounds(7, 400, false);
}

static void
test_stepwise(void **state)
{
    (void)state;
    rounds(8, 400, true);
}

/* What a plan of a stranger may not say. */
static void
test_hostile(void **state)
{
    uint64_t seed = 3;
    static const struct {
        const char *what;
        int64_t stride;
        uint32_t rank, factor, mode;
    } bad[] = {{"rank", 1, 0, WM_DT_F32, 0},
               {"rank", 1, WM_LOWRANK_MAX + 1, WM_DT_F32, 0},
               {"stride", -1, 2, WM_DT_F32, 0},
               {"reads beyond", INT64_MAX / 2, 2, WM_DT_F32, 0},
               {"factor", 1, 2, WM_DT_I32, 0},
               {"mode", 1, 2, WM_DT_F32, 2}};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct wm_arena a;
        struct wm_box box = {.nsrc = 3, .slot = {0, 1, 2}, .elem = 1, .rank = 1};
        struct wm_dim dim = {4, 1, {1, 1, 0}};
        struct wm_plan_elem e = {.kind = WM_EL_LOWRANK, .src_unit = 4, .dst_unit = 4, .src_dtype = WM_DT_F32,
                                 .dst_dtype = WM_DT_F32, .rank = bad[i].rank, .mode = bad[i].mode,
                                 .factor = {WM_DT_F32, bad[i].factor}, .stride = {bad[i].stride, 1}, .scale = 1};
        struct wm_err err = {0};
        struct wm_plan plan;
        struct wm_imap map;
        struct mk m;
        uint32_t in[3], file;
        uint64_t size;
        void *block;
        FILE *f = fopen(path, "wb");

        put_numbers(&seed, WM_DT_F32, 0, 64);
        assert_true(f && fwrite(data, 1, 256, f) == 256 && fclose(f) == 0);
        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        mk_init(&m, &a);
        file = mk_infile(&m, path);
        for (int k = 0; k < 3; k++)
            in[k] = mk_in(&m, "t", file, WM_DT_F32, 0, 8);
        mk_elem(&m, &e);
        wm_imap_init(&map, &a);
        wm_imap_add(&map, &box, &dim);
        mk_file_begin(&m, 0);
        mk_out(&m, "out", 0, WM_DT_F32, 4, mk_geom(&m, &map, 4, 3, 4), in, 3);
        mk_file_end(&m, "a", 0);
        block = wm_plan_finish(&m.b, &size);
        if (wm_plan_open(&a, block, size, &plan, &err) == WM_OK)
            fail_msg("a plan with a bad %s is taken", bad[i].what);
        wm_arena_fini(&a);
    }
}

static int
setup(void **state)
{
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "/tmp/wmap-test-lowrank-XXXXXX");
    fd = mkstemp(path);
    data = malloc(NDATA);
    return fd < 0 || close(fd) != 0 || !data;
}

static int
teardown(void **state)
{
    (void)state;
    free(data);
    return unlink(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_once), cmocka_unit_test(test_stepwise),
                                       cmocka_unit_test(test_hostile)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
