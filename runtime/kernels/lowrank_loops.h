/* runtime/kernels/lowrank_loops.h -- the loops of low-rank sums; included once for each instruction set.
 *
 * WM_LOOPS names the table, WM_LANES is the number of float32 in a vector.  Products are rounded before they are
 * added (no fused operations), so all sets give the same bytes. */
#include <string.h>

typedef float wm_vf __attribute__((vector_size(4 * WM_LANES)));
typedef double wm_vd __attribute__((vector_size(4 * WM_LANES)));

/* acc[i] = sum over k of y[k] * x[k * sx + i]; four vectors of sums stay in registers. */
#define WM_PRODUCT(name, type, vec)                                                                \
    static void name(void *acc, const void *xp, int64_t sx, const void *yp, uint32_t rank,         \
                     uint64_t n)                                                                   \
    {                                                                                              \
        enum { LANES = sizeof(vec) / sizeof(type) };                                               \
        const type *x = xp, *y = yp;                                                               \
        type *to = acc;                                                                            \
        uint64_t i = 0;                                                                            \
                                                                                                   \
        for (; i + 4 * LANES <= n; i += 4 * LANES) {                                               \
            vec sum[4] = {{0}}, v[4];                                                              \
                                                                                                   \
            for (uint32_t k = 0; k < rank; k++) {                                                  \
                memcpy(v, x + k * sx + (int64_t)i, sizeof(v));                                     \
                for (int q = 0; q < 4; q++)                                                        \
                    sum[q] += v[q] * y[k];                                                         \
            }                                                                                      \
            memcpy(to + i, sum, sizeof(sum));                                                      \
        }                                                                                          \
        for (; i < n; i++) {                                                                       \
            type sum = 0;                                                                          \
                                                                                                   \
            for (uint32_t k = 0; k < rank; k++)                                                    \
                sum += x[k * sx + (int64_t)i] * y[k];                                              \
            to[i] = sum;                                                                           \
        }                                                                                          \
    }

WM_PRODUCT(product_f32, float, wm_vf)
WM_PRODUCT(product_f64, double, wm_vd)
#undef WM_PRODUCT

const struct wm_lowrank_loops WM_LOOPS = {{product_f32, product_f64}};
#undef WM_LOOPS
#undef WM_LANES
