/* runtime/kernels/tile.c -- transposes: the source is contiguous along the outer dimension, the output along the
 * inner one.
 *
 * By blocks of 64 x 64 elements at most: small squares are transposed in vector registers into a block in the L1
 * cache, which is then written in whole lines.  Without the block, output rows a power of two apart fall onto the
 * same few cache sets, and every line is fetched several times. */
#include <string.h>

#include "runtime/kernels/kernel.h"

enum { SIDE = 64 };

/* ---- squares in registers: rows s apart in, rows d apart out ---- */

#define VECTOR(type, lanes) __attribute__((vector_size(sizeof(type) * (lanes)))) type
typedef VECTOR(uint8_t, 16) v16u8;
typedef VECTOR(uint16_t, 8) v8u16;
typedef VECTOR(uint32_t, 4) v4u32;
typedef VECTOR(uint64_t, 2) v2u64;

#define LO8(a, b)  __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HI8(a, b)  __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define LO4(a, b)  __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HI4(a, b)  __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define LO2(a, b)  __builtin_shufflevector(a, b, 0, 2)
#define HI2(a, b)  __builtin_shufflevector(a, b, 1, 3)
#define LO16(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HI16(a, b)                                                                                 \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

/* Interleave row k with row k + n/2, log2(n) times: a transpose. */
#define STAGE(n, from, to, LO, HI)                                                                 \
    for (int k = 0; k < (n) / 2; k++) {                                                            \
        (to)[2 * k] = LO((from)[k], (from)[k + (n) / 2]);                                          \
        (to)[2 * k + 1] = HI((from)[k], (from)[k + (n) / 2]);                                      \
    }

#define LOAD(n, v, src, s)                                                                         \
    for (int k = 0; k < (n); k++)                                                                  \
        memcpy(&(v)[k], (src) + k * (s), sizeof((v)[0]));
#define STORE(n, v, dst, d)                                                                        \
    for (int k = 0; k < (n); k++)                                                                  \
        memcpy((dst) + k * (d), &(v)[k], sizeof((v)[0]));

static inline __attribute__((always_inline)) void
square_1(char *dst, int64_t d, const char *src, int64_t s)
{
    v16u8 a[16], b[16];

    LOAD(16, a, src, s)
    STAGE(16, a, b, LO16, HI16)
    STAGE(16, b, a, LO16, HI16)
    STAGE(16, a, b, LO16, HI16)
    STAGE(16, b, a, LO16, HI16)
    STORE(16, a, dst, d)
}

static inline __attribute__((always_inline)) void
square_2(char *dst, int64_t d, const char *src, int64_t s)
{
    v8u16 a[8], b[8];

    LOAD(8, a, src, s)
    STAGE(8, a, b, LO8, HI8)
    STAGE(8, b, a, LO8, HI8)
    STAGE(8, a, b, LO8, HI8)
    STORE(8, b, dst, d)
}

static inline __attribute__((always_inline)) void
square_4(char *dst, int64_t d, const char *src, int64_t s)
{
    v4u32 a[4], b[4];

    LOAD(4, a, src, s)
    STAGE(4, a, b, LO4, HI4)
    STAGE(4, b, a, LO4, HI4)
    STORE(4, a, dst, d)
}

static inline __attribute__((always_inline)) void
square_8(char *dst, int64_t d, const char *src, int64_t s)
{
    v2u64 a[2], b[2];

    LOAD(2, a, src, s)
    STAGE(2, a, b, LO2, HI2)
    STORE(2, b, dst, d)
}

/* ---- blocks ---- */

/* One block of na (inner) x nb (outer) elements: columns of src, rows of dst. */
#define BLOCK(bytes, lanes)                                                                        \
    static void block_##bytes(char *dst, int64_t d, const char *src, int64_t s, int64_t na,        \
                              int64_t nb)                                                          \
    {                                                                                              \
        char tile[SIDE * SIDE * (bytes)];                                                          \
        const int64_t row = SIDE * (bytes), wa = na / (lanes) * (lanes),                           \
                      wb = nb / (lanes) * (lanes);                                                 \
        for (int64_t i = 0; i < wa; i += (lanes))                                                  \
            for (int64_t k = 0; k < wb; k += (lanes))                                              \
                square_##bytes(tile + k * row + i * (bytes), row, src + i * s + k * (bytes), s);   \
        for (int64_t k = 0; k < nb; k++)                                                           \
            for (int64_t i = k < wb ? wa : 0; i < na; i++)                                         \
                memcpy(tile + k * row + i * (bytes), src + i * s + k * (bytes), bytes);            \
        if (na == SIDE)                                                                            \
            for (int64_t k = 0; k < nb; k++)                                                       \
                memcpy(dst + k * d, tile + k * row, SIDE * (bytes));                               \
        else                                                                                       \
            for (int64_t k = 0; k < nb; k++)                                                       \
                memcpy(dst + k * d, tile + k * row, (size_t)(na * (bytes)));                       \
    }
BLOCK(1, 16)
BLOCK(2, 8)
BLOCK(4, 4)
BLOCK(8, 2)

/* outer: contiguous in src; inner: contiguous in dst. */
#define TILE(bytes)                                                                                \
    void wm_kernel_tile_##bytes(char *dst, const char *src, const struct wm_kdim *outer,           \
                                const struct wm_kdim *inner, uint32_t size)                        \
    {                                                                                              \
        (void)size;                                                                                \
        for (int64_t k = 0; k < outer->n; k += SIDE) {                                             \
            int64_t nb = outer->n - k < SIDE ? outer->n - k : SIDE;                                \
            for (int64_t i = 0; i < inner->n; i += SIDE) {                                         \
                int64_t na = inner->n - i < SIDE ? inner->n - i : SIDE;                            \
                block_##bytes(dst + k * outer->dst + i * (bytes), outer->dst,                      \
                              src + k * (bytes) + i * inner->src, inner->src, na, nb);             \
            }                                                                                      \
        }                                                                                          \
    }
TILE(1)
TILE(2)
TILE(4)
TILE(8)

/* Any strides and sizes: blocks small enough that the lines of both sides stay in the cache. */
void
wm_kernel_tile_any(char *dst, const char *src, const struct wm_kdim *outer,
                   const struct wm_kdim *inner, uint32_t size)
{
    enum { BLOCK_SIDE = 16 };
    wm_kernel *line = size == 1    ? wm_kernel_line_1
                      : size == 2  ? wm_kernel_line_2
                      : size == 4  ? wm_kernel_line_4
                      : size == 8  ? wm_kernel_line_8
                      : size == 16 ? wm_kernel_line_16
                                   : wm_kernel_line_any;

    for (int64_t k = 0; k < outer->n; k += BLOCK_SIDE)
        for (int64_t i = 0; i < inner->n; i += BLOCK_SIDE) {
            struct wm_kdim o = *outer, n = *inner;

            o.n = o.n - k < BLOCK_SIDE ? o.n - k : BLOCK_SIDE;
            n.n = n.n - i < BLOCK_SIDE ? n.n - i : BLOCK_SIDE;
            line(dst + k * o.dst + i * n.dst, src + k * o.src + i * n.src, &o, &n, size);
        }
}
