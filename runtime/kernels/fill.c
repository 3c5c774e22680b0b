/* runtime/kernels/fill.c -- constants: writing them, and looking for what is not one. */
#include <string.h>

#include "runtime/kernels/kernel.h"

enum { CHUNK = 256 };

/* `n` units in a row. */
static void
fill_run(char *dst, uint64_t n, const uint8_t *pattern, uint32_t unit)
{
    uint64_t all = n * unit, done = all < unit ? all : unit;
    uint32_t same = 1;

    while (same < unit && pattern[same] == pattern[0])
        same++;
    if (same == unit) {
        memset(dst, pattern[0], all);
        return;
    }
    memcpy(dst, pattern, done);
    while (done < all) { /* double what is there, up to a piece that stays in the cache */
        uint64_t more = done < 4096 ? done : 4096 / unit * unit;

        if (more > all - done)
            more = all - done;
        memcpy(dst + done, dst, more);
        done += more;
    }
}

void
wm_fill(char *dst, const struct wm_kdim *dim, uint32_t rank, const uint8_t *pattern, uint32_t unit)
{
    struct wm_kdim line[WM_PLAN_RANK];
    char chunk[CHUNK * 16];

    if (rank == 0 || (rank == 1 && dim[0].dst == unit)) {
        fill_run(dst, rank ? (uint64_t)dim[0].n : 1, pattern, unit);
        return;
    }
    if (dim[rank - 1].dst == unit) { /* rows: one by one */
        for (int64_t i = 0; i < dim[0].n; i++)
            wm_fill(dst + i * dim[0].dst, dim + 1, rank - 1, pattern, unit);
        return;
    }
    fill_run(chunk, 1, pattern, unit); /* single units: a movement from one place */
    for (uint32_t k = 0; k < rank; k++) {
        line[k] = dim[k];
        line[k].src = 0;
    }
    wm_permute(dst, chunk, line, rank, unit);
}

uint64_t
wm_fill_differs(const char *p, uint64_t n, const uint8_t *pattern, uint32_t unit)
{
    char chunk[CHUNK * 16];
    uint64_t at = 0;

    fill_run(chunk, CHUNK, pattern, unit);
    while (at < n) {
        uint64_t m = n - at < CHUNK ? n - at : CHUNK;

        if (memcmp(p + at * unit, chunk, m * unit) != 0) {
            while (memcmp(p + at * unit, pattern, unit) == 0)
                at++;
            return at;
        }
        at += m;
    }
    return n;
}
