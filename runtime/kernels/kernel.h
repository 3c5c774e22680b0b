/* runtime/kernels/kernel.h -- movement and conversion of elements in memory.
 *
 * Strides and sizes are bytes; nothing needs to be aligned.  Kernels never look beyond the elements
 * that they are given; what is between elements of the output they may write again as it was.  The
 * two sides of a movement never overlap. */
#ifndef WM_RUNTIME_KERNEL_H
#define WM_RUNTIME_KERNEL_H

#include "base/dtype.h"
#include "runtime/plan.h"

/* A dimension of a movement in memory. */
struct wm_kdim {
    int64_t n, dst, src;
};

/* Moves n0 x n1 elements of a fixed size: element (i, k) from src + i * s0 + k * s1 to dst + i * d0
 * + k * d1. */
typedef void wm_kernel(char *dst, const char *src, const struct wm_kdim *outer,
                       const struct wm_kdim *inner, uint32_t size);

struct wm_kernel_info {
    const char *name;
    wm_kernel *run;
    uint32_t size; /* of its elements; 0: any */
};

enum wm_kernel_id {
#define WM_KERNEL(id, size) WM_K_##id,
#include "runtime/kernels/kernels.def"
#undef WM_KERNEL
    WM_K_N
};
#define WM_KERNEL(id, size) wm_kernel wm_kernel_##id;
#include "runtime/kernels/kernels.def"
#undef WM_KERNEL
extern const struct wm_kernel_info wm_kernel_table[WM_K_N];

/* Move a nest of runs of `run` bytes: run (i_0, i_1, ..) from src + sum(i_k * dim[k].src) to dst +
 * the same of dst. dst strides are positive and no two runs overlap in dst; src strides may be
 * anything.  rank <= WM_PLAN_RANK. */
void wm_permute(char *dst, const char *src, const struct wm_kdim *dim, uint32_t rank, uint32_t run);

/* How it does that: `times` calls of a kernel for outer.n by inner.n runs of `run` bytes; kernel WM_K_N: one copy of
 * `run` bytes. */
struct wm_permute_way {
    enum wm_kernel_id kernel;
    struct wm_kdim outer, inner;
    uint64_t times;
    uint32_t run;
};
void wm_permute_choose(const struct wm_kdim *dim, uint32_t rank, uint32_t run, struct wm_permute_way *way);

/* Fill a nest with a pattern of `unit` bytes. */
void wm_fill(char *dst, const struct wm_kdim *dim, uint32_t rank, const uint8_t *pattern,
             uint32_t unit);
/* Index of the first of n units that is not the pattern; n where all are. */
uint64_t wm_fill_differs(const char *p, uint64_t n, const uint8_t *pattern, uint32_t unit);

/* ---- casts: torch's `.to()` on the CPU, but always one rounding to nearest even from the source
 * ---- */

struct wm_cast_count {
    uint64_t overflow; /* finite values that became infinite, NaN, saturated or wrapped */
    uint64_t nan;      /* NaNs that were converted */
    uint64_t inexact;  /* values that changed otherwise */
};

/* Convert n elements between any two of the plan's number types (bool, integers, floats of 8 bits
 * and more). dst and src may not overlap. */
void wm_cast(void *dst, enum wm_dtype to, const void *src, enum wm_dtype from, uint64_t n,
             struct wm_cast_count *count);

/* ---- low-rank sums ---- */

enum { WM_LOWRANK_RUN = 256 };

/* How elements of `dtype` take up a product: see enum wm_lowrank_mode.  `wide`: factors and sums are float64, else
 * float32. */
struct wm_lowrank {
    enum wm_dtype dtype;
    bool wide, stepwise;
    double scale;
    uint32_t rank;
};

/* dst[i] += scale * sum over k < rank of y[k] * x[k * sx + i], for n <= WM_LOWRANK_RUN elements of op->dtype at
 * dst + i * stride (bytes).  Sums are taken in the order of k. */
void wm_lowrank_run(const struct wm_lowrank *op, char *dst, int64_t stride, const void *x, int64_t sx,
                    const void *y, uint64_t n);

/* One step of a chain over n elements of step->from to n of step->to.  WM_SP_UNCAST stops at the
 * first element that would not survive and returns its index; else n. */
uint64_t wm_step(const struct wm_plan_step *step, void *dst, const void *src, uint64_t n,
                 struct wm_cast_count *count);

#endif
