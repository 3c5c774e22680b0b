/* bench/jit_bench.c -- compiled kernels beside the interpreter's, on blocks in the cache.
 *
 *   jit_bench [ROUNDS [NAME]]     (WMAP_JIT_PLUGIN=.../wmap-jit.so)
 *
 * Each line: a movement or a chain over a block of about 256 KiB; GB/s of the destination by the
 * interpreter and by a compiled kernel (medians of ROUNDS, processor time), milliseconds to compile
 * it, and the bytes after which compiling has paid. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/jit.h"

enum { MAXR = 64, BLOCK = 256 << 10, ROOM = 4 << 20 };

struct work {
    const char *name;
    uint32_t in, out, rank;
    struct wm_kdim dim[5]; /* n, and strides in elements; n 0: as many as the block takes */
    uint32_t nstep;
    struct wm_plan_step step[3];
};

#define CAST(a, b) {.kind = WM_SP_CAST, .from = WM_DT_##a, .to = WM_DT_##b}
#define OP(k, a, v) {.kind = WM_SP_##k, .from = WM_DT_##a, .to = WM_DT_##a, .value = v}

static const struct work works[] = {
    {"transpose 2 B 512x256", 2, 2, 2, {{256, 512, 1}, {512, 1, 256}}, 0, {{0}}},
    {"interleave 2 of 2 B", 2, 2, 2, {{0, 2, 1}, {2, 1, 65536}}, 0, {{0}}},
    {"interleave 3 of 2 B", 2, 2, 2, {{0, 3, 1}, {3, 1, 43690}}, 0, {{0}}},
    {"interleave 4 of 2 B", 2, 2, 2, {{0, 4, 1}, {4, 1, 32768}}, 0, {{0}}},
    {"interleave 4 of 1 B", 1, 1, 2, {{0, 4, 1}, {4, 1, 65536}}, 0, {{0}}},
    {"deinterleave 2 of 2 B", 2, 2, 2, {{2, 65536, 1}, {65536, 1, 2}}, 0, {{0}}},
    {"deinterleave 3 of 2 B", 2, 2, 2, {{3, 43690, 1}, {43690, 1, 3}}, 0, {{0}}},
    {"deinterleave 4 of 1 B", 1, 1, 2, {{4, 65536, 1}, {65536, 1, 4}}, 0, {{0}}},
    {"[n][2][3] to [n][3][2] 2 B", 2, 2, 3, {{0, 6, 6}, {3, 2, 1}, {2, 1, 3}}, 0, {{0}}},
    {"[n][4][4] to [n][4][4]' 2 B", 2, 2, 3, {{0, 16, 16}, {4, 4, 1}, {4, 1, 4}}, 0, {{0}}},
    {"[n][8][8] to [n][8][8]' 1 B", 1, 1, 3, {{0, 64, 64}, {8, 8, 1}, {8, 1, 8}}, 0, {{0}}},
    {"[n][3][4][2] reversed 2 B", 2, 2, 4, {{0, 24, 24}, {2, 12, 1}, {4, 3, 2}, {3, 1, 8}}, 0, {{0}}},
    {"[n][16][3] to [n][3][16] 1 B", 1, 1, 3, {{0, 48, 48}, {3, 16, 1}, {16, 1, 3}}, 0, {{0}}},
    {"backwards 2 B", 2, 2, 2, {{0, 8, 8}, {8, 1, -1}}, 0, {{0}}},
    {"runs of 6 B, gaps of 2", 6, 6, 2, {{0, 3, 3}, {3, 1, 1}}, 0, {{0}}},
    {"runs of 12 B, swapped pairs", 12, 12, 2, {{0, 2, 2}, {2, 1, -1}}, 0, {{0}}},
    {"runs of 24 B, transposed", 24, 24, 2, {{64, 170, 1}, {170, 1, 64}}, 0, {{0}}},
    {"runs of 48 B, swapped pairs", 48, 48, 2, {{0, 2, 2}, {2, 1, -1}}, 0, {{0}}},
    {"F32 to BF16", 4, 2, 1, {{0, 1, 1}}, 1, {CAST(F32, BF16)}},
    {"BF16 to F32", 2, 4, 1, {{0, 1, 1}}, 1, {CAST(BF16, F32)}},
    {"F32 to F16", 4, 2, 1, {{0, 1, 1}}, 1, {CAST(F32, F16)}},
    {"BF16 to F16", 2, 2, 1, {{0, 1, 1}}, 1, {CAST(BF16, F16)}},
    {"F32 to F8_E4M3", 4, 1, 1, {{0, 1, 1}}, 1, {CAST(F32, F8_E4M3)}},
    {"F64 to BF16", 8, 2, 1, {{0, 1, 1}}, 1, {CAST(F64, BF16)}},
    {"F64 to F32", 8, 4, 1, {{0, 1, 1}}, 1, {CAST(F64, F32)}},
    {"U8 to BF16", 1, 2, 1, {{0, 1, 1}}, 1, {CAST(U8, BF16)}},
    {"BF16 + 1", 2, 2, 1, {{0, 1, 1}}, 1, {OP(ADD, BF16, 1)}},
    {"F32 * 0.5", 4, 4, 1, {{0, 1, 1}}, 1, {OP(MUL, F32, 0.5)}},
    {"F16 + 1 * 0.5", 2, 2, 1, {{0, 1, 1}}, 2, {OP(ADD, F16, 1), OP(MUL, F16, 0.5)}},
    {"BF16 to F32, * 0.5, to F16", 2, 2, 1, {{0, 1, 1}}, 3,
     {CAST(BF16, F32), OP(MUL, F32, 0.5), CAST(F32, F16)}},
    {"F32 to BF16, transposed", 4, 2, 2, {{256, 512, 1}, {512, 1, 256}}, 1, {CAST(F32, BF16)}},
    {"F32 to BF16, every second", 4, 2, 1, {{0, 2, 1}}, 1, {CAST(F32, BF16)}},
    {"F32 to BF16, of every second", 4, 2, 1, {{0, 1, 2}}, 1, {CAST(F32, BF16)}},
    {"BF16 * 0.5, [n][2][3] to [n][3][2]", 2, 2, 3, {{0, 6, 6}, {3, 2, 1}, {2, 1, 3}}, 1,
     {OP(MUL, BF16, 0.5)}},
};

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static char *src, *dst, *pair[2];

/* What the executor does without a kernel: through packed copies. */
static void
interpret(const struct work *w, const struct wm_kdim *dim, uint64_t n)
{
    struct wm_kdim pack[5], unpack[5];
    struct wm_cast_count count;
    const char *at = src + (1 << 20);
    int64_t s = 1;
    bool in = true, out = true;

    if (!w->nstep) {
        wm_permute(dst, at, dim, w->rank, w->in);
        return;
    }
    for (uint32_t k = w->rank; k-- > 0; s *= dim[k].n) {
        pack[k] = (struct wm_kdim){dim[k].n, s * w->in, dim[k].src};
        unpack[k] = (struct wm_kdim){dim[k].n, dim[k].dst, s * w->out};
        in = in && pack[k].dst == pack[k].src;
        out = out && unpack[k].dst == unpack[k].src;
    }
    if (!in) {
        wm_permute(pair[1], at, pack, w->rank, w->in);
        at = pair[1];
    }
    for (uint32_t i = 0; i < w->nstep; i++) {
        char *to = i + 1 == w->nstep && out ? dst : pair[i % 2];

        wm_step(&w->step[i], to, at, n, &count);
        at = to;
    }
    if (!out)
        wm_permute(dst, at, unpack, w->rank, w->out);
}

static int
by_value(const void *p, const void *q)
{
    double x = *(const double *)p, y = *(const double *)q;

    return x < y ? -1 : x > y;
}

static void
measure(const struct wm_jit_library *lib, const struct work *w, int rounds)
{
    struct wm_kdim dim[5];
    struct wm_jit_nest nest;
    double t[2][MAXR], compile, value[3];
    uint64_t n = 1, count[3];
    int64_t first;
    wm_jit_fn *fn;

    for (uint32_t k = w->rank; k-- > 0; n *= (uint64_t)dim[k].n) {
        int64_t m = w->dim[k].n;

        m = m ? m : (int64_t)(BLOCK / (n * (w->in > w->out ? w->in : w->out)));
        dim[k] = (struct wm_kdim){m, w->dim[k].dst * w->out, w->dim[k].src * w->in};
    }
    for (uint32_t i = 0; i < w->nstep; i++)
        value[i] = w->step[i].value;
    if (!wm_jit_nest_of(&nest, &first, dim, w->rank, w->in, w->out, w->step, w->nstep)) {
        printf("%-36s not compiled\n", w->name);
        return;
    }
    compile = now();
    fn = lib->plugin->compile(lib->engine, &nest);
    compile = now() - compile;
    for (int r = 0; r < rounds; r++) {
        enum { TIMES = 40 };
        double begin = now(), middle;

        for (int k = 0; k < TIMES; k++)
            interpret(w, dim, n);
        middle = now();
        for (int k = 0; k < TIMES; k++)
            fn(dst, src + (1 << 20), first, value, count);
        t[0][r] = (middle - begin) / TIMES;
        t[1][r] = (now() - middle) / TIMES;
    }
    for (int i = 0; i < 2; i++)
        qsort(t[i], (size_t)rounds, sizeof(t[i][0]), by_value);
    {
        double bytes = (double)(n * w->out), a = t[0][rounds / 2] / bytes, b = t[1][rounds / 2] / bytes;

        printf("%-36s %8.2f %8.2f %7.2f x %6.1f ms %5.0f/%3.0f ps/B", w->name, 1e-9 / a, 1e-9 / b,
               a / b, 1e3 * compile, 1e12 * b, (double)wm_jit_expected(&nest));
        if (a > b)
            printf(" %8.0f MB\n", 1e-6 * compile / (a - b));
        else
            printf("    never\n");
    }
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 9;
    const char *only = argc > 2 ? argv[2] : "";
    struct wm_jit_library lib;
    struct wm_err err = {0};
    double begin = now();

    if (rounds < 1 || rounds > MAXR || wm_jit_load(&wm_sys_real, &lib, &err) != WM_OK) {
        fprintf(stderr, "jit_bench [ROUNDS [NAME]]: %s\n", err.msg);
        return 2;
    }
    printf("loading %s: %.1f ms\n", lib.plugin->version(), 1e3 * (now() - begin));
    src = calloc(1, ROOM);
    dst = calloc(1, ROOM);
    pair[0] = calloc(1, ROOM);
    pair[1] = calloc(1, ROOM);
    for (int i = 0; i < ROOM; i++)
        src[i] = (char)(i * 2654435761u >> 13 & 0x3f);
    printf("%-36s %8s %8s %9s %9s %5s/%s %s\n", "GB/s", "interp.", "compiled", "", "compile", "found",
           "expected", "  pays after");
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
        if (strstr(works[i].name, only))
            measure(&lib, &works[i], rounds);
    wm_jit_unload(&lib);
    return 0;
}
