/* bench/cost_bench.c -- what the constants of runtime/cost.c stand for, measured: system calls and sums.
 *
 *   cost_bench DIR [ROUNDS]
 *
 * Makes DIR/in and DIR/out (256 MiB each, removed at the end).  Each line is one kind of work, in processor time of the
 * fastest round, as the table has it: ns a call, or ps a byte or a place in memory.  kernel_bench shows what kernels take
 * beside what they are expected to. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/crc32.h"
#include "runtime/cost.h"

enum { BYTES = 256 << 20, WINDOW = 1 << 20, PLACES = 1024 };

static char in[256], out[256];
static char *buffer;
static int fd;

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void
must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(2);
}

/* Calls of `n` bytes, `apart` from each other. */
static void
reads(size_t n, size_t apart)
{
    for (off_t at = 0; at + (off_t)n <= BYTES; at += (off_t)apart)
        must(pread(fd, buffer, n, at) == (ssize_t)n, in);
}

/* PLACES of `run` bytes a call, every second of a window and so apart in memory; with gaps in the file if `gap`. */
static void
scattered(size_t run, size_t gap)
{
    struct iovec iov[PLACES];
    size_t all = 0;
    int n = PLACES;

    for (int i = 0; i < n; i++) {
        bool is_gap = gap && i % 2;

        iov[i].iov_base = is_gap ? buffer : buffer + 4096 + (size_t)i * 2 * run % (2 * WINDOW);
        iov[i].iov_len = is_gap ? gap : run;
        all += iov[i].iov_len;
    }
    for (off_t at = 0; at + (off_t)all <= BYTES; at += (off_t)all)
        must(preadv(fd, iov, n, at) == (ssize_t)all, in);
}

static void
read_windows(void)
{
    reads(WINDOW, WINDOW);
}

static void
read_few(void)
{
    reads(64, 16 << 10);
}

static void
scatter_512(void)
{
    scattered(512, 0);
}

static void
scatter_gaps(void)
{
    scattered(512, 512);
}

static void
sums(void)
{
    uint32_t crc = 0;

    for (int i = 0; i < BYTES / WINDOW; i++)
        crc ^= wm_crc32(0, buffer, WINDOW);
    buffer[0] = (char)crc;
}

static void
compare(void)
{
    for (int i = 0; i < BYTES / WINDOW; i++)
        buffer[3 * WINDOW] += (char)memcmp(buffer + i, buffer + WINDOW, WINDOW);
}

static int to;

static void
write_windows(void)
{
    for (off_t at = 0; at < BYTES; at += WINDOW)
        must(pwrite(to, buffer, WINDOW, at) == WINDOW, out);
}

static void
write_few(void)
{
    for (off_t at = 0; at < BYTES; at += 16 << 10)
        must(pwrite(to, buffer, 4, at) == 4, out);
}

/* An output as a run makes it: created, reserved. */
static void
fresh(void)
{
    unlink(out);
    to = open(out, O_CREAT | O_EXCL | O_WRONLY, 0600);
    must(to >= 0 && fallocate(to, 0, 0, BYTES) == 0, out);
}

/* ns in all, of the fastest round; of the output (`writes`: 1 fresh pages, 2 pages that are there). */
static double
fastest(void (*work)(void), int writes, int rounds)
{
    double best = 1e30;

    for (int r = 0; r < rounds; r++) {
        double t;

        if (writes)
            fresh();
        if (writes == 2)
            write_windows();
        t = now();
        work();
        t = now() - t;
        best = t < best ? t : best;
        if (writes)
            close(to);
    }
    return best;
}

static void
line(const char *what, double value, const char *unit)
{
    printf("%-44s %9.1f %s\n", what, value, unit);
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    int rounds = argc > 2 ? atoi(argv[2]) : 9;
    double byte, call, place;

    if (argc < 2 || rounds < 1) {
        fprintf(stderr, "usage: cost_bench DIR [ROUNDS]\n");
        return 2;
    }
    snprintf(in, sizeof(in), "%s/in", argv[1]);
    snprintf(out, sizeof(out), "%s/out", argv[1]);
    buffer = malloc(4 * WINDOW);
    must(buffer, "buffer");
    memset(buffer, 1, 4 * WINDOW);
    fresh();
    write_windows();
    must(rename(out, in) == 0 && (fd = open(in, O_RDONLY)) >= 0, in);
    byte = 1e3 * fastest(read_windows, 0, rounds) / BYTES;
    line("READ_PS, windows of 1 MiB", byte, "ps a byte");
    call = fastest(read_few, 0, rounds) / (BYTES / (16 << 10));
    line("READ_NS, of 64 bytes", call, "ns a call");
    place = 1e3 * fastest(scatter_512, 0, rounds) - byte * BYTES;
    line("PLACE_PS, runs of 512 bytes", place / (BYTES / 512), "ps a place");
    place = 1e3 * fastest(scatter_gaps, 0, rounds) - byte * BYTES;
    line("PLACE_PS, the same with gaps of 512", place / (BYTES / 512), "ps a place");
    line("WRITE_PS, windows of 1 MiB, fresh and reserved", 1e3 * fastest(write_windows, 1, rounds) / BYTES, "ps a byte");
    line("SMALL_NS, of 4 bytes", fastest(write_few, 2, rounds) / (BYTES / (16 << 10)), "ns a call");
    line("WM_COST_SUM", 1e3 * fastest(sums, 0, rounds) / BYTES, "ps a byte");
    line("WM_COST_COMPARE", 1e3 * fastest(compare, 0, rounds) / BYTES, "ps a byte");
    unlink(in);
    unlink(out);
    return 0;
}
