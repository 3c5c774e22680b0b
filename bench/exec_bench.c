/* bench/exec_bench.c -- the executor alone: a plan per movement over one file, in turns with cp.
 *
 *   exec_bench DIR [ROUNDS [MIB]]
 *
 * Makes DIR/in (MIB MiB, default 1170), runs each movement on one and two threads into DIR/out
 * (reserved first, removed before each run), and prints medians: GB/s of the output, and time
 * against `cp --reflink=never`; with CPU set in the environment, processor time instead of elapsed
 * time (for machines that are busy with something else). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/exec.h"
#include "runtime/io.h"
#include "tests/unit/plans.h"

enum { MAXR = 64 };

static double
now(void)
{
    struct timespec t;

    if (getenv("CPU")) {
        double sum = 0;

        for (int who = 0; who < 2; who++) {
            struct rusage r;

            getrusage(who ? RUSAGE_CHILDREN : RUSAGE_SELF, &r);
            sum += (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
                   1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
        }
        return sum;
    }

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A movement: one box over `unit`-byte units, repeated over the file. */
struct work {
    const char *name;
    uint32_t unit;
    int64_t period; /* units that one tensor has */
    uint32_t nbox, rank;
    struct {
        int64_t dst, src;
        struct {
            int64_t n, dst, src;
        } dim[4];
    } box[4];
    enum wm_dtype from, to;
};

#define M (INT64_C(1) << 20)
static const struct work works[] = {
    {"copy, one tensor", 2, 0, 1, 1, {{0, 0, {{0, 1, 1}}}}, 0, 0},
    {"copy, 4 KiB tensors", 2, 2048, 1, 1, {{0, 0, {{2048, 1, 1}}}}, 0, 0},
    /* heads of 128 rows of 4 KiB: (2 64) -> (64 2) */
    {"rows of 4 KiB, RoPE",
     2,
     4 * M,
     1,
     4,
     {{0, 0, {{16, 128 * 2048, 128 * 2048}, {64, 4096, 2048}, {2, 2048, 64 * 2048}, {2048, 1, 1}}}},
     0,
     0},
    /* 512 byte runs, far apart: [64 heads][2048 rows][256] -> [2048][64][256] */
    {"runs of 512 B",
     2,
     32 * M,
     1,
     3,
     {{0, 0, {{2048, 64 * 256, 256}, {64, 256, 2048 * 256}, {256, 1, 1}}}},
     0,
     0},
    {"runs of 64 B",
     2,
     4 * M,
     1,
     3,
     {{0, 0, {{2048, 64 * 32, 32}, {64, 32, 2048 * 32}, {32, 1, 1}}}},
     0,
     0},
    {"interleave 2 B",
     2,
     8 * M,
     2,
     1,
     {{0, 0, {{4 * M, 2, 1}}}, {1, 4 * M, {{4 * M, 2, 1}}}},
     0,
     0},
    {"deinterleave 2 B", 2, 8 * M, 1, 2, {{0, 0, {{2, 4 * M, 1}, {4 * M, 1, 2}}}}, 0, 0},
    {"rows interleaved 4 KiB",
     2,
     8 * M,
     2,
     2,
     {{0, 0, {{2048, 4096, 2048}, {2048, 1, 1}}},
      {2048, 4 * M, {{2048, 4096, 2048}, {2048, 1, 1}}}},
     0,
     0},
    {"transpose 2 B 4096^2", 2, 16 * M, 1, 2, {{0, 0, {{4096, 4096, 1}, {4096, 1, 4096}}}}, 0, 0},
    {"transpose 2 B 2048x1024", 2, 2 * M, 1, 2, {{0, 0, {{1024, 2048, 1}, {2048, 1, 1024}}}}, 0, 0},
    {"transpose 4 B 4096x2048", 4, 8 * M, 1, 2, {{0, 0, {{2048, 4096, 1}, {4096, 1, 2048}}}}, 0, 0},
    {"transpose 1 B 4096^2", 1, 16 * M, 1, 2, {{0, 0, {{4096, 4096, 1}, {4096, 1, 4096}}}}, 0, 0},
    {"cast F32 to BF16", 2, 0, 1, 1, {{0, 0, {{0, 1, 1}}}}, WM_DT_F32, WM_DT_BF16},
    {"cast BF16 to F32", 4, 0, 1, 1, {{0, 0, {{0, 1, 1}}}}, WM_DT_BF16, WM_DT_F32},
    {"cast F32 to F16", 2, 0, 1, 1, {{0, 0, {{0, 1, 1}}}}, WM_DT_F32, WM_DT_F16},
    {"cast BF16 to F8_E4M3", 1, 0, 1, 1, {{0, 0, {{0, 1, 1}}}}, WM_DT_BF16, WM_DT_F8_E4M3},
};

static enum wm_dtype
type_of(uint32_t unit)
{
    return unit == 1 ? WM_DT_U8 : unit == 2 ? WM_DT_BF16 : unit == 4 ? WM_DT_F32 : WM_DT_F64;
}

static uint64_t
build(struct wm_arena *a, const struct work *w, const char *in, uint64_t nbytes,
      struct wm_plan *plan)
{
    struct mk m;
    struct wm_imap map;
    struct wm_err err = {0};
    uint32_t file, geom, elem = 0;
    uint32_t src_unit = w->from == w->to ? w->unit : wm_dtype_info[w->from].bits / 8u;
    uint64_t per, size;
    int64_t n = w->period ? w->period : (int64_t)(nbytes / src_unit);
    void *block;

    mk_init(&m, a);
    file = mk_infile(&m, in);
    if (w->from != w->to) {
        struct wm_plan_step step = {.kind = WM_SP_CAST, .from = w->from, .to = w->to};

        elem = mk_chain(&m, &step, 1);
    }
    wm_imap_init(&map, a);
    for (uint32_t b = 0; b < w->nbox; b++) {
        struct wm_box box = {.dst_base = w->box[b].dst,
                             .src_base = {w->box[b].src},
                             .nsrc = 1,
                             .elem = elem,
                             .rank = (uint16_t)w->rank};
        struct wm_dim d[4];

        for (uint32_t k = 0; k < w->rank; k++)
            d[k] = (struct wm_dim){w->box[b].dim[k].n ? w->box[b].dim[k].n : n,
                                   w->box[b].dim[k].dst,
                                   {w->box[b].dim[k].src}};
        wm_imap_add(&map, &box, d);
    }
    wm_imap_canon(&map);
    geom = mk_geom(&m, &map, w->unit, 1, n);
    per = (uint64_t)n * src_unit;
    mk_file_begin(&m, 0);
    for (uint64_t at = 0; at + per <= nbytes; at += per) {
        uint32_t t = mk_in(&m, "t", file, type_of(src_unit), at, n);

        mk_out(&m, "t", 0, type_of(w->unit), n, geom, &t, 1);
    }
    mk_file_end(&m, "out", 0);
    block = wm_plan_finish(&m.b, &size);
    if (wm_plan_open(a, block, size, plan, &err) != WM_OK) {
        fprintf(stderr, "%s: %s\n", w->name, err.msg);
        exit(2);
    }
    return plan->head->out_bytes;
}

static enum wm_status
to_file(void *user, uint32_t file, uint64_t off, const void *p, uint64_t n, struct wm_err *err)
{
    (void)file;
    return wm_io_pwrite(&wm_sys_real, *(int *)user, "out", p, n, off, err);
}

static double
run(const struct wm_plan *p, const char *out, unsigned threads, struct wm_exec_stats *stats)
{
    struct wm_exec_opts o = {.threads = threads};
    struct wm_err err = {0};
    double t;
    int fd;
    struct wm_exec_sink sink = {.write = to_file, .user = &fd};

    unlink(out);
    t = now();
    fd = open(out, O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (fd < 0 || wm_sys_real.fallocate(fd, (off_t)p->head->out_bytes) != 0 ||
        wm_exec_run(p, &wm_sys_real, &o, &sink, stats, &err) != WM_OK) {
        fprintf(stderr, "run: %s\n", err.msg);
        exit(2);
    }
    close(fd);
    return now() - t;
}

static double
cp(const char *in, const char *out)
{
    double t;
    pid_t pid;
    int status;

    unlink(out);
    t = now();
    pid = fork();
    if (pid == 0) {
        execlp("cp", "cp", "--reflink=never", in, out, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    return now() - t;
}

static int
by_value(const void *p, const void *q)
{
    double x = *(const double *)p, y = *(const double *)q;

    return x < y ? -1 : x > y;
}

static double
median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof(v[0]), by_value);
    return v[n / 2];
}

int
main(int argc, char **argv)
{
    char in[256], out[256];
    int rounds = argc > 2 ? atoi(argv[2]) : 5;
    uint64_t nbytes = (uint64_t)(argc > 3 ? atoi(argv[3]) : 1170) << 20;
    const char *only = argc > 4 ? argv[4] : "";

    if (argc < 2 || rounds < 1 || rounds > MAXR) {
        fprintf(stderr, "usage: exec_bench DIR [ROUNDS [MIB [NAME]]]\n");
        return 2;
    }
    snprintf(in, sizeof(in), "%s/in", argv[1]);
    snprintf(out, sizeof(out), "%s/out", argv[1]);
    if (access(in, R_OK) != 0) {
        static uint32_t block[1 << 18];
        FILE *f = fopen(in, "wb");

        for (uint64_t i = 0; i < nbytes >> 20; i++) {
            for (uint32_t k = 0; k < 1 << 18; k++)
                block[k] = ((uint32_t)i * 2654435761u + k * 40503u) & 0x3fffffff;
            if (!f || fwrite(block, 1, sizeof(block), f) != sizeof(block))
                return 2;
        }
        fclose(f);
    }
    for (size_t i = 0; i < WM_COUNTOF(works); i++) {
        struct wm_arena a;
        struct wm_plan plan;
        struct wm_exec_stats stats[2];
        double t[3][MAXR], ratio[2][MAXR];
        uint64_t bytes;

        if (!strstr(works[i].name, only))
            continue;
        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        bytes = build(&a, &works[i], in, nbytes, &plan);
        for (int r = 0; r < rounds; r++) {
            t[0][r] = cp(in, out);
            for (unsigned k = 1; k <= 2; k++) {
                t[k][r] = run(&plan, out, k, &stats[k - 1]);
                ratio[k - 1][r] = t[k][r] / t[0][r];
            }
        }
        printf("%-24s cp %5.2f GB/s", works[i].name, 1e-9 * (double)nbytes / median(t[0], rounds));
        for (unsigned k = 1; k <= 2; k++)
            printf(" | %uT %5.2f GB/s %5.2f x cp", k, 1e-9 * (double)bytes / median(t[k], rounds),
                   median(ratio[k - 1], rounds));
        printf(" | %llu calls\n", (unsigned long long)stats[0].syscalls);
        fflush(stdout);
        wm_arena_fini(&a);
    }
    unlink(out);
    return 0;
}
