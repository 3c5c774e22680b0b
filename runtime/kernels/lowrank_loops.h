/* runtime/kernels/lowrank_loops.h -- the loops of low-rank sums; included once for each instruction set.
 *
 * WM_LOOPS names the table, WM_LANES is the number of float32 in a vector.  Products are rounded before they are
 * added (no fused operations), so all sets give the same bytes. */
#include <string.h>

typedef float wm_vf __attribute__((vector_size(4 * WM_LANES)));
typedef double wm_vd __attribute__((vector_size(4 * WM_LANES)));

/* acc[i] = sum over k of y[k] * x[k * sx + i].  The four sums have names of their own: an array of them would live in
 * memory. */
#define WM_PRODUCT(name, type, vec)                                                                \
    static inline vec name##_load(const type *p)                                                   \
    {                                                                                              \
        vec v;                                                                                     \
                                                                                                   \
        memcpy(&v, p, sizeof(v));                                                                  \
        return v;                                                                                  \
    }                                                                                              \
    static void name(void *acc, const void *xp, int64_t sx, const void *yp, uint32_t rank,         \
                     uint64_t n)                                                                   \
    {                                                                                              \
        enum { LANES = sizeof(vec) / sizeof(type) };                                               \
        const type *x = xp, *y = yp;                                                               \
        type *to = acc;                                                                            \
        uint64_t i = 0;                                                                            \
                                                                                                   \
        for (; i + 4 * LANES <= n; i += 4 * LANES) {                                               \
            vec a = {0}, b = {0}, c = {0}, d = {0};                                                \
            const type *row = x + i;                                                               \
                                                                                                   \
            for (uint32_t k = 0; k < rank; k++, row += sx) {                                       \
                a += name##_load(row) * y[k];                                                      \
                b += name##_load(row + LANES) * y[k];                                              \
                c += name##_load(row + 2 * LANES) * y[k];                                          \
                d += name##_load(row + 3 * LANES) * y[k];                                          \
            }                                                                                      \
            memcpy(to + i, &a, sizeof(a));                                                         \
            memcpy(to + i + LANES, &b, sizeof(b));                                                 \
            memcpy(to + i + 2 * LANES, &c, sizeof(c));                                             \
            memcpy(to + i + 3 * LANES, &d, sizeof(d));                                             \
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
