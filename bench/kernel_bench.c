/* bench/kernel_bench.c -- the kernels alone, in memory: GB/s of the output, beside memcpy.
 *
 *   kernel_bench [ROUNDS [NAME]]
 *
 * Each movement is what the executor asks of runtime/kernels for one block; sources and
 * destinations are 90 MiB and cold (`far`), or 512 KiB and in the cache (`near`).  Medians of ROUNDS
 * (default 9), of processor time: a busy machine disturbs it less.  `cost` is what runtime/cost.c expects, near. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sys.h"
#include "runtime/cost.h"
#include "runtime/kernels/kernel.h"

enum { MAXR = 64, FAR = 90 << 20, NEAR = 512 << 10 };

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What is measured: over `bytes` of source, `times` times. */
struct job {
    char *dst;
    const char *src;
    size_t bytes;
    int64_t size, rows, cols; /* of a transpose, or elements of `size` bytes */
    enum wm_dtype from, to;
    uint64_t *cost; /* nothing is moved, but this is what it would take: ps */
};

static void
permute(const struct job *j, size_t dst, size_t src, const struct wm_kdim *dim, uint32_t rank, uint32_t run)
{
    if (j->cost)
        *j->cost += wm_cost_permute(dim, rank, run);
    else
        wm_permute(j->dst + dst, j->src + src, dim, rank, run);
}

typedef void movement(const struct job *j);

static void
copy(const struct job *j)
{
    permute(j, 0, 0, NULL, 0, (uint32_t)j->bytes);
}

/* [rows][cols] -> [cols][rows], as many as there are. */
static void
transpose(const struct job *j)
{
    const int64_t e = j->size, one = j->rows * j->cols * e;
    const struct wm_kdim dim[] = {{(int64_t)j->bytes / one, one, one},
                                  {j->cols, j->rows * e, e},
                                  {j->rows, e, j->cols * e}};

    permute(j, 0, 0, dim, 3, (uint32_t)e);
}

static void
interleave(const struct job *j)
{
    const int64_t e = j->size, n = (int64_t)j->bytes / e / 2;
    const struct wm_kdim dim[] = {{n, 2 * e, e}, {2, e, n * e}};

    permute(j, 0, 0, dim, 2, (uint32_t)e);
}

static void
interleave_3(const struct job *j)
{
    const int64_t e = j->size, n = (int64_t)j->bytes / e / 3;
    const struct wm_kdim dim[] = {{n, 3 * e, e}, {3, e, n * e}};

    permute(j, 0, 0, dim, 2, (uint32_t)e);
}

/* [n][2][3] -> [n][3][2] */
static void
pairs_of_3(const struct job *j)
{
    const int64_t e = j->size, n = (int64_t)j->bytes / e / 6;
    const struct wm_kdim dim[] = {{n, 6 * e, 6 * e}, {3, 2 * e, e}, {2, e, 3 * e}};

    permute(j, 0, 0, dim, 3, (uint32_t)e);
}

static void
deinterleave(const struct job *j)
{
    const int64_t e = j->size, n = (int64_t)j->bytes / e / 2;
    const struct wm_kdim dim[] = {{2, n * e, e}, {n, e, 2 * e}};

    permute(j, 0, 0, dim, 2, (uint32_t)e);
}

/* Every second element to every second place: one part of an interleave of two tensors. */
static void
scatter(const struct job *j)
{
    const int64_t e = j->size, n = (int64_t)j->bytes / e / 2;
    const struct wm_kdim dim[] = {{n, 2 * e, e}};

    permute(j, 0, 0, dim, 1, (uint32_t)e);
    permute(j, (size_t)e, (size_t)(n * e), dim, 1, (uint32_t)e);
}

static void
rotary(const struct job *j)
{
    const int64_t row = j->size, n = (int64_t)j->bytes / row / 128;
    const struct wm_kdim dim[] = {{n, 128 * row, 128 * row}, {64, 2 * row, row}, {2, row, 64 * row}};

    permute(j, 0, 0, dim, 3, (uint32_t)row);
}

static void
cast(const struct job *j)
{
    struct wm_cast_count count = {0};
    uint64_t in = wm_dtype_info[j->from].bits / 8u, out = wm_dtype_info[j->to].bits / 8u;
    uint64_t n = j->bytes / (in > out ? in : out);

    if (j->cost)
        *j->cost += n * wm_cost_step(&(struct wm_plan_step){.kind = WM_SP_CAST, .from = j->from, .to = j->to});
    else
        wm_cast(j->dst, j->to, j->src, j->from, n, &count);
}

static const struct work {
    const char *name;
    movement *run;
    int64_t size, rows, cols;
    enum wm_dtype from, to;
} works[] = {
    {"memcpy", copy, 1, 0, 0, 0, 0},
    {"transpose 1 B [4096][4096]", transpose, 1, 4096, 4096, 0, 0},
    {"transpose 2 B [4096][11008]", transpose, 2, 4096, 11008, 0, 0},
    {"transpose 2 B [512][1024]", transpose, 2, 512, 1024, 0, 0},
    {"transpose 2 B [256][1024]", transpose, 2, 256, 1024, 0, 0},
    {"transpose 4 B [2048][11008]", transpose, 4, 2048, 11008, 0, 0},
    {"transpose 4 B [128][1024]", transpose, 4, 128, 1024, 0, 0},
    {"transpose 8 B [1024][11008]", transpose, 8, 1024, 11008, 0, 0},
    {"transpose 8 B [64][1024]", transpose, 8, 64, 1024, 0, 0},
    {"interleave 1 B", interleave, 1, 0, 0, 0, 0},
    {"interleave 2 B", interleave, 2, 0, 0, 0, 0},
    {"interleave 4 B", interleave, 4, 0, 0, 0, 0},
    {"deinterleave 1 B", deinterleave, 1, 0, 0, 0, 0},
    {"deinterleave 2 B", deinterleave, 2, 0, 0, 0, 0},
    {"deinterleave 4 B", deinterleave, 4, 0, 0, 0, 0},
    {"scatter 2 B, twice", scatter, 2, 0, 0, 0, 0},
    {"interleave of 3, 2 B", interleave_3, 2, 0, 0, 0, 0},
    {"pairs of 3, 2 B", pairs_of_3, 2, 0, 0, 0, 0},
    {"rows of 12 B, rotary", rotary, 12, 0, 0, 0, 0},
    {"rows of 64 B, rotary", rotary, 64, 0, 0, 0, 0},
    {"rows of 512 B, rotary", rotary, 512, 0, 0, 0, 0},
    {"rows of 4 KiB, rotary", rotary, 4096, 0, 0, 0, 0},
    {"cast F32 to BF16", cast, 4, 0, 0, WM_DT_F32, WM_DT_BF16},
    {"cast BF16 to F32", cast, 4, 0, 0, WM_DT_BF16, WM_DT_F32},
    {"cast F32 to F16", cast, 4, 0, 0, WM_DT_F32, WM_DT_F16},
    {"cast F16 to F32", cast, 4, 0, 0, WM_DT_F16, WM_DT_F32},
    {"cast BF16 to F16", cast, 2, 0, 0, WM_DT_BF16, WM_DT_F16},
    {"cast F64 to F32", cast, 8, 0, 0, WM_DT_F64, WM_DT_F32},
    {"cast F8_E4M3 to BF16", cast, 2, 0, 0, WM_DT_F8_E4M3, WM_DT_BF16},
    {"cast BF16 to F8_E4M3", cast, 2, 0, 0, WM_DT_BF16, WM_DT_F8_E4M3},
};

static int
by_value(const void *p, const void *q)
{
    double x = *(const double *)p, y = *(const double *)q;

    return x < y ? -1 : x > y;
}

/* GB/s of `bytes`, median. */
static double
measure(const struct work *w, char *dst, const char *src, size_t bytes, int rounds)
{
    struct job j = {dst, src, bytes, w->size, w->rows, w->cols, w->from, w->to, NULL};
    double t[MAXR];
    int times = (int)(FAR / bytes);

    if (w->rows && (int64_t)bytes < w->size * w->rows * w->cols)
        return 0;
    for (int r = 0; r < rounds; r++) {
        double begin = now();

        for (int k = 0; k < times; k++)
            w->run(&j);
        t[r] = (now() - begin) / times;
    }
    qsort(t, (size_t)rounds, sizeof(t[0]), by_value);
    return 1e-9 * (double)bytes / t[rounds / 2];
}

static double
expected(const struct work *w)
{
    uint64_t ps = 0;
    struct job j = {NULL, NULL, NEAR, w->size, w->rows, w->cols, w->from, w->to, &ps};

    w->run(&j);
    return 1e3 * NEAR / (double)ps;
}

int
main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 9;
    const char *only = argc > 2 ? argv[2] : "";
    char *src = wm_sys_real.map(FAR), *dst = wm_sys_real.map(FAR); /* large pages, as the executor has them */

    if (rounds < 1 || rounds > MAXR || !src || !dst) {
        fprintf(stderr, "usage: kernel_bench [ROUNDS [NAME]]\n");
        return 2;
    }
    for (size_t i = 0; i < FAR; i++)
        src[i] = (char)(i * 2654435761u >> 13 & 0x3f);
    memset(dst, 0, FAR);
    printf("%-30s %8s %8s %8s\n", "GB/s of the longer side", "far", "near", "cost");
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        double near;

        if (!strstr(works[i].name, only))
            continue;
        near = measure(&works[i], dst, src, NEAR, rounds);

        printf("%-30s %8.2f ", works[i].name, measure(&works[i], dst, src, FAR, rounds));
        if (near > 0)
            printf("%8.2f %8.2f", near, expected(&works[i]));
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
