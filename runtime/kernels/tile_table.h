/* runtime/kernels/tile_table.h -- blocks of transposes and woven streams, one table per instruction
 * set. */
#ifndef WM_RUNTIME_TILE_TABLE_H
#define WM_RUNTIME_TILE_TABLE_H

#include "runtime/kernels/kernel.h"

enum { WM_TILE = 64 }; /* side of a block, in elements */

struct wm_tile_loops {
    /* na columns (at most WM_TILE, s apart, contiguous downwards) become rows (d apart) of nb. */
    void (*block)(char *dst, int64_t d, const char *src, int64_t s, int64_t na, int64_t nb);
    /* Streams of n elements: a b a b ... */
    void (*zip)(char *dst, const char *a, const char *b, int64_t n);
    /* A stream of n elements to every second place. */
    void (*spread)(char *dst, const char *a, int64_t n);
};

/* By the logarithm of the element size: 1, 2, 4, 8 bytes. */
extern const struct wm_tile_loops wm_tile_base[4];
#ifdef __x86_64__
extern const struct wm_tile_loops wm_tile_avx2[4];
#endif

#endif
