/* runtime/kernels/lowrank.c -- a run of elements takes up a low-rank product.
 *
 * In: elements in memory, the factors as float32 or float64.  Once: the product is summed wide, scaled and added wide,
 * and only the result is rounded.  Stepwise: product, scaled product and sum are each rounded to the elements' type, as
 * tensor libraries do it. */
#include <string.h>

#include "runtime/kernels/kernel.h"
#include "runtime/kernels/lowrank_table.h"

static const struct wm_lowrank_loops *
loops(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return &wm_lowrank_avx2;
#endif
    return &wm_lowrank_base;
}

/* To the type and back: what is lost is lost. */
static void
round_to(enum wm_dtype dtype, enum wm_dtype wide, void *v, uint64_t n)
{
    char narrow[WM_LOWRANK_RUN * 8];
    struct wm_cast_count count = {0};

    if (dtype == wide)
        return;
    wm_cast(narrow, dtype, v, wide, n, &count);
    wm_cast(v, wide, narrow, dtype, n, &count);
}

/* Scalars are float32 to a library that computes in float32. */
static void
scale_f32(float *v, float scale, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        v[i] *= scale;
}

static void
scale_f64(double *v, double scale, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        v[i] *= scale;
}

static void
add_f32(float *restrict w, const float *restrict v, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        w[i] += v[i];
}

static void
add_f64(double *restrict w, const double *restrict v, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        w[i] += v[i];
}

static void
contiguous(const struct wm_lowrank *op, char *dst, const void *x, int64_t sx, const void *y, uint64_t n)
{
    enum wm_dtype wide = op->wide ? WM_DT_F64 : WM_DT_F32;
    double sum[WM_LOWRANK_RUN], at[WM_LOWRANK_RUN]; /* of either type */
    struct wm_cast_count count = {0};

    loops()->product[op->wide](sum, x, sx, y, op->rank, n);
    if (op->stepwise)
        round_to(op->dtype, wide, sum, n);
    if (op->wide)
        scale_f64(sum, op->scale, n);
    else
        scale_f32((float *)sum, (float)op->scale, n);
    if (op->stepwise)
        round_to(op->dtype, wide, sum, n);
    wm_cast(at, wide, dst, op->dtype, n, &count);
    if (op->wide)
        add_f64(at, sum, n);
    else
        add_f32((float *)at, (const float *)sum, n);
    wm_cast(dst, op->dtype, at, wide, n, &count);
}

void
wm_lowrank_run(const struct wm_lowrank *op, char *dst, int64_t stride, const void *x, int64_t sx,
               const void *y, uint64_t n)
{
    uint32_t unit = wm_dtype_info[op->dtype].bits / 8u;
    char tmp[WM_LOWRANK_RUN * 8];

    if (stride == unit || n == 1) {
        contiguous(op, dst, x, sx, y, n);
        return;
    }
    for (uint64_t i = 0; i < n; i++)
        memcpy(tmp + i * unit, dst + (int64_t)i * stride, unit);
    contiguous(op, tmp, x, sx, y, n);
    for (uint64_t i = 0; i < n; i++)
        memcpy(dst + (int64_t)i * stride, tmp + i * unit, unit);
}
