/* runtime/kernels/line.c -- elements one after the other along the inner dimension.
 *
 * One kernel per element size, so that an element is a load and a store; the strides that occur
 * most are constants in loops of their own, which the compiler vectorises. */
#include <string.h>

#include "runtime/kernels/kernel.h"

/* Always inlined with a constant size. */
static inline __attribute__((always_inline)) void
line(char *restrict dst, const char *restrict src, int64_t n, int64_t d, int64_t s, size_t size)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(dst + i * d, src + i * s, size);
}

static inline __attribute__((always_inline)) void
lines(char *dst, const char *src, const struct wm_kdim *outer, const struct wm_kdim *inner,
      size_t size)
{
    const int64_t e = (int64_t)size, n = inner->n;

    for (int64_t i = 0; i < outer->n; i++, dst += outer->dst, src += outer->src) {
        if (inner->dst == e && inner->src == 2 * e)
            line(dst, src, n, e, 2 * e, size);
        else if (inner->dst == 2 * e && inner->src == e)
            line(dst, src, n, 2 * e, e, size);
        else if (inner->dst == e)
            line(dst, src, n, e, inner->src, size);
        else
            line(dst, src, n, inner->dst, inner->src, size);
    }
}

#define LINE(bytes)                                                                                \
    void wm_kernel_line_##bytes(char *dst, const char *src, const struct wm_kdim *outer,           \
                                const struct wm_kdim *inner, uint32_t size)                        \
    {                                                                                              \
        (void)size;                                                                                \
        lines(dst, src, outer, inner, bytes);                                                      \
    }
LINE(1)
LINE(2)
LINE(4)
LINE(8)
LINE(16)
LINE(32)
LINE(64)

/* Any size: short ones as two overlapping words, others by memcpy. */
void
wm_kernel_line_any(char *dst, const char *src, const struct wm_kdim *outer,
                   const struct wm_kdim *inner, uint32_t size)
{
    for (int64_t i = 0; i < outer->n; i++, dst += outer->dst, src += outer->src) {
        char *d = dst;
        const char *s = src;

        if (size > 8 && size < 16) {
            for (int64_t k = 0; k < inner->n; k++, d += inner->dst, s += inner->src) {
                uint64_t a, b;

                memcpy(&a, s, 8);
                memcpy(&b, s + size - 8, 8);
                memcpy(d, &a, 8);
                memcpy(d + size - 8, &b, 8);
            }
        } else if (size > 4 && size < 8) {
            for (int64_t k = 0; k < inner->n; k++, d += inner->dst, s += inner->src) {
                uint32_t a, b;

                memcpy(&a, s, 4);
                memcpy(&b, s + size - 4, 4);
                memcpy(d, &a, 4);
                memcpy(d + size - 4, &b, 4);
            }
        } else {
            for (int64_t k = 0; k < inner->n; k++, d += inner->dst, s += inner->src)
                memcpy(d, s, size);
        }
    }
}
