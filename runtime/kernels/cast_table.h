/* runtime/kernels/cast_table.h -- the loops between narrow floats and float32, one table per
 * instruction set. */
#ifndef WM_RUNTIME_CAST_TABLE_H
#define WM_RUNTIME_CAST_TABLE_H

#include "runtime/kernels/kernel.h"

/* n numbers of the type to float32, or back; any alignment.  NULL where the type is not a narrow
 * float. */
struct wm_cast_loops {
    void (*decode)(void *dst, const void *src, uint64_t n, struct wm_cast_count *count);
    void (*encode)(void *dst, const void *src, uint64_t n, struct wm_cast_count *count);
};

extern const struct wm_cast_loops wm_cast_base[WM_DT_N];
#ifdef __x86_64__
extern const struct wm_cast_loops wm_cast_avx2[WM_DT_N];
extern const struct wm_cast_loops wm_cast_f16c[WM_DT_N]; /* and F16C; see loops_of() */
#endif

#endif
