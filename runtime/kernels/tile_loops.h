/* runtime/kernels/tile_loops.h -- transposes of blocks by squares in vector registers.
 *
 * Included once per instruction set, with WM_WIDTH (bytes of a vector: one or more groups of 16)
 * and WM_LOOPS (name of the table that is defined).  A square of 16 bytes a side is transposed by
 * interleaving row k with row k + n/2, log2(n) times; a vector of several groups does several
 * squares side by side.  Squares go to a block in the L1 cache, which is then written in whole
 * lines: output rows a power of two apart fall onto the same few cache sets, and straight stores
 * would fetch every line several times. */
#include <string.h>

#include "runtime/kernels/tile_table.h"

enum { GROUPS = WM_WIDTH / 16 };

#define INLINE static inline __attribute__((always_inline))

typedef __attribute__((vector_size(WM_WIDTH))) uint8_t vec_1;
typedef __attribute__((vector_size(WM_WIDTH))) uint16_t vec_2;
typedef __attribute__((vector_size(WM_WIDTH))) uint32_t vec_4;
typedef __attribute__((vector_size(WM_WIDTH))) uint64_t vec_8;

/* The same at any address: a memcpy of that size may become two of half of it, through memory. */
typedef vec_1 any_1 __attribute__((aligned(1), may_alias));
typedef vec_2 any_2 __attribute__((aligned(1), may_alias));
typedef vec_4 any_4 __attribute__((aligned(1), may_alias));
typedef vec_8 any_8 __attribute__((aligned(1), may_alias));
typedef __attribute__((vector_size(16), aligned(1), may_alias)) uint8_t group;

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Lower and upper halves of each group of a and b, interleaved; n is the number of elements of a
 * vector. */
#if WM_WIDTH == 16
#define PICK_8(a, b, n, o) __builtin_shufflevector(a, b, o, o + n)
#define PICK_4(a, b, n, o) __builtin_shufflevector(a, b, o, o + n, o + 1, o + 1 + n)
#define PICK_2(a, b, n, o)                                                                         \
    __builtin_shufflevector(a, b, o, o + n, o + 1, o + 1 + n, o + 2, o + 2 + n, o + 3, o + 3 + n)
#define PICK_1(a, b, n, o)                                                                         \
    __builtin_shufflevector(a, b, o, o + n, o + 1, o + 1 + n, o + 2, o + 2 + n, o + 3, o + 3 + n,  \
                            o + 4, o + 4 + n, o + 5, o + 5 + n, o + 6, o + 6 + n, o + 7,           \
                            o + 7 + n)
#else
#define PICK_8(a, b, n, o) __builtin_shufflevector(a, b, o, o + n, o + 2, o + 2 + n)
#define PICK_4(a, b, n, o)                                                                         \
    __builtin_shufflevector(a, b, o, o + n, o + 1, o + 1 + n, o + 4, o + 4 + n, o + 5, o + 5 + n)
#define PICK_2(a, b, n, o)                                                                         \
    __builtin_shufflevector(a, b, o, o + n, o + 1, o + 1 + n, o + 2, o + 2 + n, o + 3, o + 3 + n,  \
                            o + 8, o + 8 + n, o + 9, o + 9 + n, o + 10, o + 10 + n, o + 11,        \
                            o + 11 + n)
#define PICK_1(a, b, n, o)                                                                         \
    __builtin_shufflevector(a, b, o, o + n, o + 1, o + 1 + n, o + 2, o + 2 + n, o + 3, o + 3 + n,  \
                            o + 4, o + 4 + n, o + 5, o + 5 + n, o + 6, o + 6 + n, o + 7,           \
                            o + 7 + n, o + 16, o + 16 + n, o + 17, o + 17 + n, o + 18, o + 18 + n, \
                            o + 19, o + 19 + n, o + 20, o + 20 + n, o + 21, o + 21 + n, o + 22,    \
                            o + 22 + n, o + 23, o + 23 + n)
#endif

/* One round of interleaving; `rows` is the side of a square. */
#define STAGE(e, rows, from, to)                                                                   \
    UNROLL for (int k = 0; k < (rows) / 2; k++)                                                    \
    {                                                                                              \
        (to)[2 * k] = PICK_##e((from)[k], (from)[k + (rows) / 2], WM_WIDTH / e, 0);                \
        (to)[2 * k + 1] = PICK_##e((from)[k], (from)[k + (rows) / 2], WM_WIDTH / e, 8 / e);        \
    }
#define STAGES_8(a, b) STAGE(8, 2, a, b)
#define STAGES_4(a, b) STAGE(4, 4, b, a) STAGE(4, 4, a, b)
#define STAGES_2(a, b) STAGE(2, 8, a, b) STAGE(2, 8, b, a) STAGE(2, 8, a, b)
#define STAGES_1(a, b) STAGE(1, 16, b, a) STAGE(1, 16, a, b) STAGE(1, 16, b, a) STAGE(1, 16, a, b)
/* Where the rows are read to, so that the last stage ends in b. */
#define FIRST_8(a, b) a
#define FIRST_4(a, b) b
#define FIRST_2(a, b) a
#define FIRST_1(a, b) b

/* na (inner) x nb (outer) elements. */
#define BLOCK(e, rows)                                                                             \
    INLINE void square_##e(char *dst, int64_t d, const char *src, int64_t s)                       \
    {                                                                                              \
        vec_##e a[rows], b[rows];                                                                  \
        UNROLL for (int k = 0; k < (rows); k++) FIRST_##e(a, b)[k] =                               \
            *(const any_##e *)(src + k * s);                                                       \
        STAGES_##e(a, b) UNROLL for (int k = 0; k < (rows); k++)                                   \
        {                                                                                          \
            const group *part = (const group *)&b[k];                                              \
            UNROLL for (int g = 0; g < GROUPS; g++)                                                \
                *(group *)(dst + (g * (rows) + k) * d) = part[g];                                  \
        }                                                                                          \
    }                                                                                              \
    static void block_##e(char *dst, int64_t d, const char *src, int64_t s, int64_t na,            \
                          int64_t nb)                                                              \
    {                                                                                              \
        char tile[WM_TILE * WM_TILE * (e)] __attribute__((aligned(64)));                                                       \
        const int64_t row = WM_TILE * (e), cols = (rows)*GROUPS, wa = na / (rows) * (rows),        \
                      wb = nb / cols * cols;                                                       \
        for (int64_t i = 0; i < wa; i += (rows))                                                   \
            for (int64_t k = 0; k < wb; k += cols)                                                 \
                square_##e(tile + k * row + i * (e), row, src + i * s + k * (e), s);               \
        for (int64_t k = 0; k < nb; k++)                                                           \
            for (int64_t i = k < wb ? wa : 0; i < na; i++)                                         \
                memcpy(tile + k * row + i * (e), src + i * s + k * (e), e);                        \
        if (na == WM_TILE)                                                                         \
            for (int64_t k = 0; k < nb; k++)                                                       \
                UNROLL for (int i = 0; i < WM_TILE * (e); i += WM_WIDTH)                           \
                    *(any_##e *)(dst + k * d + i) = *(const any_##e *)(tile + k * row + i);        \
        else                                                                                       \
            for (int64_t k = 0; k < nb; k++)                                                       \
                memcpy(dst + k * d, tile + k * row, (size_t)(na * (e)));                           \
    }

/* Each group of 16 bytes of both streams gives two of the output. */
#define ZIP(e)                                                                                     \
    static void zip_##e(char *dst, const char *x, const char *y, int64_t n)                        \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        for (; i + WM_WIDTH / (e) <= n; i += WM_WIDTH / (e)) {                                     \
            vec_##e a, b, lo, hi;                                                                  \
            a = *(const any_##e *)(x + i * (e));                                                   \
            b = *(const any_##e *)(y + i * (e));                                                   \
            lo = PICK_##e(a, b, WM_WIDTH / e, 0);                                                  \
            hi = PICK_##e(a, b, WM_WIDTH / e, 8 / e);                                              \
            for (int g = 0; g < GROUPS; g++) {                                                     \
                *(group *)(dst + 2 * i * (e) + 32 * g) = ((const group *)&lo)[g];                  \
                *(group *)(dst + 2 * i * (e) + 32 * g + 16) = ((const group *)&hi)[g];             \
            }                                                                                      \
        }                                                                                          \
        for (; i < n; i++) {                                                                       \
            memcpy(dst + 2 * i * (e), x + i * (e), e);                                             \
            memcpy(dst + 2 * i * (e) + (e), y + i * (e), e);                                       \
        }                                                                                          \
    }

/* One stream to every second place; what is between keeps its value.  The last element is stored
 * alone: nothing behind it is touched. */
#define SPREAD(e)                                                                                  \
    static void spread_##e(char *dst, const char *x, int64_t n)                                    \
    {                                                                                              \
        group keep;                                                                                \
        int64_t i = 0;                                                                             \
        for (int k = 0; k < 16; k++)                                                               \
            keep[k] = k % (2 * (e)) < (e) ? 0 : 0xff;                                              \
        for (; i + WM_WIDTH / (e) < n; i += WM_WIDTH / (e)) {                                      \
            vec_##e a = *(const any_##e *)(x + i * (e)), none = {0}, lo, hi;                       \
            lo = PICK_##e(a, none, WM_WIDTH / e, 0);                                               \
            hi = PICK_##e(a, none, WM_WIDTH / e, 8 / e);                                           \
            UNROLL for (int g = 0; g < GROUPS; g++)                                                \
            {                                                                                      \
                group *to = (group *)(dst + 2 * i * (e) + 32 * g);                                 \
                to[0] = (to[0] & keep) | ((const group *)&lo)[g];                                  \
                to[1] = (to[1] & keep) | ((const group *)&hi)[g];                                  \
            }                                                                                      \
        }                                                                                          \
        for (; i < n; i++)                                                                         \
            memcpy(dst + 2 * i * (e), x + i * (e), e);                                             \
    }

BLOCK(1, 16)
BLOCK(2, 8)
BLOCK(4, 4)
BLOCK(8, 2)
ZIP(1)
ZIP(2)
ZIP(4)
ZIP(8)
SPREAD(1)
SPREAD(2)
SPREAD(4)
SPREAD(8)

const struct wm_tile_loops WM_LOOPS[4] = {
    {block_1, zip_1, spread_1},
    {block_2, zip_2, spread_2},
    {block_4, zip_4, spread_4},
    {block_8, zip_8, spread_8}};
