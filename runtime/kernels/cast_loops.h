/* runtime/kernels/codec.h -- float formats of 16 and 8 bits as bits of a float32, and back (for cast*.c).
 *
 * All but e8m0 are one scheme with parameters: mantissa bits, bias, the greatest finite code, the code of what is
 * beyond, and whether there is a negative zero.  The functions are inlined with constant parameters, have no
 * branches that depend on data, and round to nearest even. */
#ifndef WM_RUNTIME_CODEC_H
#define WM_RUNTIME_CODEC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline float
wm_f32_of(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, 4);
    return f;
}

static inline uint32_t
wm_bits_of(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, 4);
    return bits;
}

static inline bool
wm_bits_nan(uint32_t bits)
{
    return (bits & 0x7fffffff) > 0x7f800000;
}

struct wm_codec {
    uint32_t bits;     /* 8 or 16 */
    uint32_t mantissa;
    uint32_t bias;
    uint32_t max;      /* greatest finite code, without sign */
    uint32_t beyond;   /* code of an overflow and of infinity */
    uint32_t nan;      /* code of a NaN */
    bool payload;      /* NaNs keep the upper bits of theirs */
    bool one_zero;     /* no negative zero; `beyond` and `nan` take no sign */
};

static const struct wm_codec wm_codec_f16 = {16, 10, 15, 0x7bff, 0x7c00, 0x7e00, true, false};
static const struct wm_codec wm_codec_e4m3 = {8, 3, 7, 0x7e, 0x7f, 0x7f, false, false};
static const struct wm_codec wm_codec_e5m2 = {8, 2, 15, 0x7b, 0x7c, 0x7f, false, false};
static const struct wm_codec wm_codec_e4m3fnuz = {8, 3, 8, 0x7f, 0x80, 0x80, false, true};
static const struct wm_codec wm_codec_e5m2fnuz = {8, 2, 16, 0x7f, 0x80, 0x80, false, true};

static inline __attribute__((always_inline)) uint32_t
wm_encode(const struct wm_codec *c, uint32_t bits)
{
    const uint32_t shift = 23 - c->mantissa;
    const uint32_t magic = (127 + shift + 1 - c->bias) << 23; /* 1 there is the least subnormal */
    uint32_t abs = bits & 0x7fffffff, sign = (bits >> 31) << (c->bits - 1);
    uint32_t odd = (abs >> shift) & 1, r, tiny, top;

    /* a carry out of the mantissa goes into the exponent, as it should; ones far below wrap and are not used */
    r = (abs - ((127 - c->bias) << 23) + (UINT32_C(1) << (shift - 1)) - 1 + odd) >> shift;
    tiny = wm_bits_of(wm_f32_of(abs) + wm_f32_of(magic)) - magic;
    r = abs < ((128 - c->bias) << 23) ? tiny : r;
    r = r > c->max ? c->beyond : r;
    top = c->nan | (c->payload ? (abs >> shift) & ((UINT32_C(1) << c->mantissa) - 1) : 0);
    r = abs > 0x7f800000 ? top : r;
    if (c->one_zero)
        return r == 0 || r == c->nan ? r : r | sign;
    return r | sign;
}

static inline __attribute__((always_inline)) uint32_t
wm_decode(const struct wm_codec *c, uint32_t code)
{
    const uint32_t shift = 23 - c->mantissa, half = UINT32_C(1) << (c->bits - 1);
    uint32_t abs = code & (half - 1), sign = (code & half) << (32 - c->bits);
    uint32_t r = (abs << shift) + ((127 - c->bias) << 23);
    uint32_t tiny = wm_bits_of((float)(int32_t)abs *
                               wm_f32_of((127 + 1 - c->bias - c->mantissa) << 23));

    r = abs < (UINT32_C(1) << c->mantissa) ? tiny : r;
    if (c->one_zero)
        return code == c->nan ? 0x7fc00000 : r | sign;
    if (c->beyond != c->nan) { /* it has infinities */
        r = abs == c->beyond ? 0x7f800000 : r;
        r = abs > c->beyond ? 0x7fc00000 | (abs << shift & 0x7fffff) : r;
    } else {
        r = abs == c->nan ? 0x7fc00000 : r;
    }
    return r | sign;
}

/* A power of two without sign: torch rounds the magnitude to nearest, ties to the even exponent's side as if the
 * implied one were the last bit kept. */
static inline uint32_t
wm_encode_e8m0(uint32_t bits)
{
    uint32_t exponent = bits >> 23 & 0xff, rest = bits & 0x7fffff;
    bool up = rest > 0x400000 || (rest == 0x400000 && exponent > 0);

    return exponent == 0xff ? 0xff : exponent + up;
}

static inline uint32_t
wm_decode_e8m0(uint32_t code)
{
    return code == 0xff ? 0x7fc00000 : code == 0 ? 0x00400000 : code << 23;
}

static inline uint32_t
wm_encode_bf16(uint32_t bits)
{
    uint32_t r = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;

    return wm_bits_nan(bits) ? bits >> 16 | 0x40 : r;
}

#endif
