/* runtime/kernels/lowrank_table.h -- the loops of low-rank sums, by instruction set. */
#ifndef WM_RUNTIME_LOWRANK_TABLE_H
#define WM_RUNTIME_LOWRANK_TABLE_H

#include <stdint.h>

struct wm_lowrank_loops {
    /* [0]: float32, [1]: float64 */
    void (*product[2])(void *acc, const void *x, int64_t sx, const void *y, uint32_t rank, uint64_t n);
};

extern const struct wm_lowrank_loops wm_lowrank_base, wm_lowrank_avx2;

#endif
