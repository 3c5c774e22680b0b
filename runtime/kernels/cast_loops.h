/* runtime/kernels/cast_loops.h -- float formats of 16 and 8 bits as bits of a float32, and back:
 * the loops.
 *
 * Included once per instruction set, with WM_LANES (numbers at a time) and WM_LOOPS (name of the
 * table that is defined).  All formats but bf16 and e8m0 are one scheme with parameters.  What is
 * inlined has constant parameters and no branches, and rounds to nearest even.  Where WM_F16C is
 * defined, the processor converts f16: the same bits, those of NaNs included. */
#include <stdbool.h>
#include <string.h>

#include "runtime/kernels/cast_table.h"

typedef __attribute__((vector_size(4 * WM_LANES))) uint32_t vu;
typedef __attribute__((vector_size(4 * WM_LANES))) int32_t vi;
typedef __attribute__((vector_size(4 * WM_LANES))) float vf;
typedef __attribute__((vector_size(2 * WM_LANES))) uint16_t vu16;
typedef __attribute__((vector_size(WM_LANES))) uint8_t vu8;

#define INLINE static inline __attribute__((always_inline))

struct codec {
    uint32_t bits; /* 8 or 16 */
    uint32_t mantissa;
    uint32_t bias;
    uint32_t max;    /* greatest finite code, without sign */
    uint32_t beyond; /* code of an overflow and of infinity */
    uint32_t limit;  /* the greatest float32 that does not overflow, where `beyond` is finite */
    uint32_t nan;    /* code of a NaN */
    bool payload;    /* NaNs keep the upper bits of theirs */
    bool one_zero;   /* no negative zero; `beyond` and `nan` take no sign */
};

#define NO_LIMIT 0x7f800000

/* torch saturates e4m3, which has no infinity. */
static const struct codec f16 = {16, 10, 15, 0x7bff, 0x7c00, NO_LIMIT, 0x7e00, true, false};
static const struct codec e4m3 = {8, 3, 7, 0x7e, 0x7e, 0x43e80000 /* 464 */, 0x7f, false, false};
static const struct codec e5m2 = {8, 2, 15, 0x7b, 0x7c, NO_LIMIT, 0x7f, false, false};
static const struct codec e4m3fnuz = {8, 3, 8, 0x7f, 0x80, NO_LIMIT, 0x80, false, true};
static const struct codec e5m2fnuz = {8, 2, 16, 0x7f, 0x80, NO_LIMIT, 0x80, false, true};

/* Lanes of a where x < y, else of b; x and y below 2^31. */
INLINE vu
pick_less(vu x, uint32_t y, vu a, vu b)
{
    vu m = (vu)((vi)x < (vi)((vu){0} + y));

    return (a & m) | (b & ~m);
}

INLINE vu
pick_equal(vu x, uint32_t y, vu a, vu b)
{
    vu m = (vu)(x == (vu){0} + y);

    return (a & m) | (b & ~m);
}

INLINE vu
encode(const struct codec *c, vu bits)
{
    const uint32_t shift = 23 - c->mantissa;
    const uint32_t magic = (127 + shift + 1 - c->bias) << 23; /* 1 there is the least subnormal */
    const vu none = {0};
    vu abs = bits & 0x7fffffff, sign = (bits >> 31) << (c->bits - 1), r, tiny, nan;

    /* a carry out of the mantissa goes into the exponent, as it should; ones far below wrap and are
     * not used */
    r = abs - ((127 - c->bias) << 23) + ((UINT32_C(1) << (shift - 1)) - 1) + (abs >> shift & 1);
    r >>= shift;
    tiny = (vu)((vf)abs + (vf)(none + magic)) - magic;
    r = pick_less(abs, (128 - c->bias) << 23, tiny, r);
    r = pick_less(r, c->max + 1, r, none + c->beyond);
    nan = none + c->nan;
    if (c->payload)
        nan |= abs >> shift & ((UINT32_C(1) << c->mantissa) - 1);
    r = pick_less(abs, 0x7f800001, r, nan);
    if (c->one_zero) {
        sign = pick_equal(r, 0, none, sign);
        sign = pick_equal(r, c->nan, none, sign);
    }
    return r | sign;
}

INLINE vu
decode(const struct codec *c, vu code)
{
    const uint32_t shift = 23 - c->mantissa, half = UINT32_C(1) << (c->bits - 1);
    const vu none = {0};
    vu abs = code & (half - 1), sign = (code & half) << (32 - c->bits), r, tiny, nan;
    vf least = (vf)(none + ((127 + 1 - c->bias - c->mantissa) << 23));

    r = (abs << shift) + ((127 - c->bias) << 23);
    tiny = (vu)(__builtin_convertvector((vi)abs, vf) * least);
    r = pick_less(abs, UINT32_C(1) << c->mantissa, tiny, r);
    nan = none + 0x7fc00000;
    if (c->one_zero)
        return pick_equal(code, c->nan, nan, r | sign);
    if (c->nan == c->max + 1) /* no infinity */
        return pick_equal(abs, c->nan, nan, r) | sign;
    r = pick_equal(abs, c->beyond, none + 0x7f800000, r);
    return pick_less(abs, c->beyond + 1, r, nan | (abs << shift & 0x7fffff)) | sign;
}

/* A power of two without sign: torch rounds the magnitude to nearest, ties to the even exponent's
 * side as if the implied one were the last bit kept. */
INLINE vu
encode_e8m0(vu bits)
{
    const vu none = {0};
    vu exponent = bits >> 23 & 0xff, rest = bits & 0x7fffff, up;

    up = pick_less(rest, 0x400001, none, none + 1);
    up = pick_equal(rest, 0x400000, pick_equal(exponent, 0, none, none + 1), up);
    return pick_equal(exponent, 0xff, exponent, exponent + up);
}

INLINE vu
decode_e8m0(vu code)
{
    const vu none = {0};
    vu r = pick_equal(code, 0, none + 0x00400000, code << 23);

    return pick_equal(code, 0xff, none + 0x7fc00000, r);
}

INLINE vu
encode_bf16(vu bits)
{
    vu r = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;

    return pick_less(bits & 0x7fffffff, 0x7f800001, r, bits >> 16 | 0x40);
}

INLINE vu
decode_bf16(vu code)
{
    return code << 16;
}

/* ---- loops: WM_LANES at a time ---- */

/* What became of x: counts as vectors of -1. */
struct tally {
    vu nan, over, changed;
};

INLINE void
count(struct tally *t, vu x, vu y, uint32_t limit)
{
    vu xa = x & 0x7fffffff, ya = y & 0x7fffffff;
    vu nan = (vu)((vi)xa > (vi)((vu){0} + 0x7f800000));
    vu differs = (vu)(x != y) & (vu)((xa | ya) != 0) & ~nan;
    vu infinite = (vu)((vi)ya >= (vi)((vu){0} + 0x7f800000));
    vu beyond = differs & (infinite | (vu)((vi)xa > (vi)((vu){0} + limit)));

    t->nan += nan;
    t->over += beyond;
    t->changed += differs & ~beyond;
}

INLINE void
count_all(const struct tally *t, struct wm_cast_count *to)
{
    for (int i = 0; i < WM_LANES; i++) {
        to->nan += (uint32_t)(0 - t->nan[i]);
        to->overflow += (uint32_t)(0 - t->over[i]);
        to->inexact += (uint32_t)(0 - t->changed[i]);
    }
}

/* A loop over whole vectors: `expr` makes `to` of `from`, x and y are what is compared. */
#define WHOLE(name, vfrom, vto, pad, expr, x, y, limit)                                            \
    static void name##_whole(char *restrict dst, const char *restrict src, uint64_t n,             \
                             struct wm_cast_count *sum)                                            \
    {                                                                                              \
        struct tally t = {0};                                                                      \
        for (; n >= WM_LANES; n -= WM_LANES, src += sizeof(vfrom), dst += sizeof(vto)) {           \
            vfrom from;                                                                            \
            vto to;                                                                                \
            vu v, r;                                                                               \
            memcpy(&from, src, sizeof(from));                                                      \
            v = __builtin_convertvector(from, vu);                                                 \
            r = expr;                                                                              \
            to = __builtin_convertvector(r, vto);                                                  \
            memcpy(dst, &to, sizeof(to));                                                          \
            count(&t, x, y, limit);                                                                \
        }                                                                                          \
        count_all(&t, sum);                                                                        \
    }                                                                                              \
    /* the last ones in a vector that is filled up with what is exact */                           \
    static void name##_loop(void *restrict dst, const void *restrict src, uint64_t n,              \
                            struct wm_cast_count *sum)                                             \
    {                                                                                              \
        const size_t in = sizeof(vfrom) / WM_LANES, out = sizeof(vto) / WM_LANES;                  \
        const uint64_t whole = n / WM_LANES * WM_LANES;                                            \
        vfrom from = (vfrom){0} + pad;                                                             \
        vto to;                                                                                    \
        name##_whole(dst, src, whole, sum);                                                        \
        if (whole == n)                                                                            \
            return;                                                                                \
        memcpy(&from, (const char *)src + whole * in, (n - whole) * in);                           \
        name##_whole((char *)&to, (const char *)&from, WM_LANES, sum);                             \
        memcpy((char *)dst + whole * out, &to, (n - whole) * out);                                 \
    }

#ifdef WM_F16C
INLINE vu
encode_half(vu v)
{
    return (vu)_mm256_cvtepu16_epi32(_mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

INLINE vu
decode_half(vu code)
{
    const vu16 narrow = __builtin_convertvector(code, vu16);

    return (vu)_mm256_cvtph_ps((__m128i)narrow);
}
#else
INLINE vu
encode_half(vu v)
{
    return encode(&f16, v);
}

INLINE vu
decode_half(vu code)
{
    return decode(&f16, code);
}
#endif

INLINE bool
any(vu v)
{
    uint64_t w[sizeof(v) / 8], all = 0;

    memcpy(w, &v, sizeof(v));
    for (size_t i = 0; i < sizeof(v) / 8; i++)
        all |= w[i];
    return all != 0;
}

/* Float32 to 16 bits where no value of a piece is above `most` (it would overflow, or is no number): then only what is
 * rounded has to be counted.  Other pieces take the loop that counts everything. */
#define ENCODE_COMMON(id, most, expr, differs)                                                     \
    static void encode_##id##_common(void *restrict dst, const void *restrict src, uint64_t n,     \
                                     struct wm_cast_count *sum)                                    \
    {                                                                                              \
        enum { VECTORS = 8, PIECE = VECTORS * WM_LANES };                                          \
        const char *s = src;                                                                       \
        char *d = dst;                                                                             \
        vu changed = {0};                                                                          \
        for (; n >= PIECE; n -= PIECE, s += 4 * PIECE, d += 2 * PIECE) {                           \
            vu beyond = {0}, here = {0};                                                           \
            for (int k = 0; k < VECTORS; k++) {                                                    \
                vu v, r;                                                                           \
                vu16 to;                                                                           \
                memcpy(&v, s + k * sizeof(v), sizeof(v));                                          \
                r = expr;                                                                          \
                to = __builtin_convertvector(r, vu16);                                             \
                memcpy(d + k * sizeof(to), &to, sizeof(to));                                       \
                here += (vu)(differs);                                                             \
                beyond |= (vu)((vi)(v & 0x7fffffff) > (vi)((vu){0} + most));                       \
            }                                                                                      \
            if (any(beyond))                                                                       \
                encode_##id##_loop(d, s, PIECE, sum);                                              \
            else                                                                                   \
                changed += here;                                                                   \
        }                                                                                          \
        for (int i = 0; i < WM_LANES; i++)                                                         \
            sum->inexact += (uint32_t)(0 - changed[i]);                                            \
        encode_##id##_loop(d, s, n, sum);                                                          \
    }

#define DECODE(id, vec, expr) WHOLE(decode_##id, vec, vu, 0, expr, r, r, NO_LIMIT)
#define ENCODE(id, vec, expr, back, limit)                                                         \
    WHOLE(encode_##id, vu, vec, 0x3f800000 /* 1 */, expr, v, back, limit)

#define BOTH(id, vec)                                                                              \
    DECODE(id, vec, decode(&id, v))                                                                \
    ENCODE(id, vec, encode(&id, v), decode(&id, r), id.limit)

DECODE(bf16, vu16, decode_bf16(v))
ENCODE(bf16, vu16, encode_bf16(v), decode_bf16(r), NO_LIMIT)
DECODE(e8m0, vu8, decode_e8m0(v))
ENCODE(e8m0, vu8, encode_e8m0(v), decode_e8m0(r), NO_LIMIT)
DECODE(f16, vu16, decode_half(v))
ENCODE(f16, vu16, encode_half(v), decode_half(r), NO_LIMIT)
ENCODE_COMMON(bf16, 0x7f7f7fff, (v + 0x7fff + (v >> 16 & 1)) >> 16, (v & 0xffff) != 0)
ENCODE_COMMON(f16, 0x477fefff, encode_half(v), decode_half(r) != v)
BOTH(e4m3, vu8)
BOTH(e5m2, vu8)
BOTH(e4m3fnuz, vu8)
BOTH(e5m2fnuz, vu8)

#define ROW(type, id) [type] = {decode_##id##_loop, encode_##id##_loop}
const struct wm_cast_loops WM_LOOPS[WM_DT_N] = {
    [WM_DT_BF16] = {decode_bf16_loop, encode_bf16_common},
    [WM_DT_F16] = {decode_f16_loop, encode_f16_common},
    ROW(WM_DT_F8_E8M0, e8m0),
    ROW(WM_DT_F8_E4M3, e4m3),
    ROW(WM_DT_F8_E5M2, e5m2),
    ROW(WM_DT_F8_E4M3FNUZ, e4m3fnuz),
    ROW(WM_DT_F8_E5M2FNUZ, e5m2fnuz),
};
