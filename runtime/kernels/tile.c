/* runtime/kernels/tile.c -- transposes: the source is contiguous along the outer dimension, the
 * output along the inner one.  Block by block (runtime/kernels/tile_loops.h); two streams woven
 * into one; one spread to every second place. */
#include "runtime/kernels/tile_table.h"

static const struct wm_tile_loops *
loops_of(uint32_t size)
{
    unsigned k = (unsigned)__builtin_ctz(size);

#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return &wm_tile_avx2[k];
#endif
    return &wm_tile_base[k];
}

/* outer: contiguous in src; inner: contiguous in dst. */
static void
tiles(char *dst, const char *src, const struct wm_kdim *outer, const struct wm_kdim *inner,
      uint32_t size)
{
    const struct wm_tile_loops *loops = loops_of(size);

    for (int64_t i = 0; i < inner->n; i += WM_TILE) {
        int64_t na = inner->n - i < WM_TILE ? inner->n - i : WM_TILE;

        for (int64_t k = 0; k < outer->n; k += WM_TILE) {
            int64_t nb = outer->n - k < WM_TILE ? outer->n - k : WM_TILE;

            if (k + WM_TILE < outer->n)
                for (int64_t r = 0; r < na; r++) {
                    const char *p = src + (k + WM_TILE) * size + (i + r) * inner->src;
                    for (int64_t q = 0; q < WM_TILE * (int64_t)size; q += 64)
                        __builtin_prefetch(p + q);
                }
            loops->block(dst + k * outer->dst + i * size, outer->dst,
                         src + k * size + i * inner->src, inner->src, na, nb);
        }
    }
}

/* outer: contiguous in src, every second element in dst; inner: two, neighbours in dst. */
static void
zip(char *dst, const char *src, const struct wm_kdim *outer, const struct wm_kdim *inner,
    uint32_t size)
{
    loops_of(size)->zip(dst, src, src + inner->src, outer->n);
}

/* inner: neighbours in src, every second element in dst. */
static void
spread(char *dst, const char *src, const struct wm_kdim *outer, const struct wm_kdim *inner,
       uint32_t size)
{
    const struct wm_tile_loops *loops = loops_of(size);

    for (int64_t i = 0; i < outer->n; i++)
        loops->spread(dst + i * outer->dst, src + i * outer->src, inner->n);
}

#define KERNELS(e)                                                                                 \
    void wm_kernel_tile_##e(char *dst, const char *src, const struct wm_kdim *outer,               \
                            const struct wm_kdim *inner, uint32_t size)                            \
    {                                                                                              \
        (void)size;                                                                                \
        tiles(dst, src, outer, inner, e);                                                          \
    }                                                                                              \
    void wm_kernel_zip_##e(char *dst, const char *src, const struct wm_kdim *outer,                \
                           const struct wm_kdim *inner, uint32_t size)                             \
    {                                                                                              \
        (void)size;                                                                                \
        zip(dst, src, outer, inner, e);                                                            \
    }                                                                                              \
    void wm_kernel_spread_##e(char *dst, const char *src, const struct wm_kdim *outer,             \
                              const struct wm_kdim *inner, uint32_t size)                          \
    {                                                                                              \
        (void)size;                                                                                \
        spread(dst, src, outer, inner, e);                                                         \
    }
KERNELS(1)
KERNELS(2)
KERNELS(4)
KERNELS(8)

/* Any strides and sizes: blocks small enough that the lines of both sides stay in the cache. */
void
wm_kernel_tile_any(char *dst, const char *src, const struct wm_kdim *outer,
                   const struct wm_kdim *inner, uint32_t size)
{
    enum { SIDE = 16 };
    wm_kernel *line = size == 1    ? wm_kernel_line_1
                      : size == 2  ? wm_kernel_line_2
                      : size == 4  ? wm_kernel_line_4
                      : size == 8  ? wm_kernel_line_8
                      : size == 16 ? wm_kernel_line_16
                                   : wm_kernel_line_any;

    for (int64_t k = 0; k < outer->n; k += SIDE)
        for (int64_t i = 0; i < inner->n; i += SIDE) {
            struct wm_kdim o = *outer, n = *inner;

            o.n = o.n - k < SIDE ? o.n - k : SIDE;
            n.n = n.n - i < SIDE ? n.n - i : SIDE;
            line(dst + k * o.dst + i * n.dst, src + k * o.src + i * n.src, &o, &n, size);
        }
}
