/* api/gen_fill.c -- see gen_fill.h.
 *
 * Codes: within each block of 2^bits elements, element number and code are a permutation of each
 * other, and blocks that follow each other have different permutations.  So neighbours in any row
 * differ, equal columns of two rows nearly always do, and two tensors have nothing in common.  A
 * float's code is [sign | exponent | mantissa] with 16 exponents (8 for E4M3): every value is
 * finite, normal, between 2^-14 and 4 (2^-4 and 16) in size, so that sums and casts to other types
 * stay harmless. */
#include "api/gen_fill.h"

#include "base/map.h"

static uint64_t
next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void
init_float(struct wm_gen_fill *f)
{
    const struct wm_dtype_info *d = &wm_dtype_info[f->dtype];
    bool fnuz = f->dtype == WM_DT_F8_E4M3FNUZ || f->dtype == WM_DT_F8_E5M2FNUZ;
    int bias = (1 << (d->exponent - 1)) - (fnuz ? 0 : 1);
    unsigned width = d->exponent > 4 ? 4 : 3;

    f->bits = 1 + width + d->mantissa;
    f->mantissa = d->mantissa;
    f->sign = d->bits - 1u;
    f->exponent = (uint64_t)(bias - (width == 4 ? 14 : 4)) << d->mantissa;
}

void
wm_gen_fill_init(struct wm_gen_fill *f, enum wm_dtype t, struct wm_str name, uint64_t seed)
{
    const struct wm_dtype_info *d = &wm_dtype_info[t];
    uint64_t state = wm_hash(name.p, name.n, seed);

    *f = (struct wm_gen_fill){.dtype = t};
    if (d->kind == 'C') {
        f->dtype = WM_DT_F32; /* two of them an element */
        init_float(f);
    } else if (d->kind == 'F' && d->bits >= 8 && t != WM_DT_F8_E8M0) {
        init_float(f);
    } else {
        f->bits = t == WM_DT_F8_E8M0 ? 7 : d->bits < 8 ? 8 : d->bits;
    }
    f->mask = f->bits == 64 ? ~UINT64_C(0) : (UINT64_C(1) << f->bits) - 1;
    for (unsigned k = 0; k < 2; k++) {
        f->mul[k] = (next(&state) & ~UINT64_C(7)) | 5;
        f->add[k] = next(&state);
    }
    f->base = next(&state) >> 41 << 40;
}

/* A permutation of the numbers below 2^bits. */
static inline uint64_t
mix(const struct wm_gen_fill *f, uint64_t x)
{
    unsigned half = (f->bits + 1) / 2;

    x = (x * f->mul[0] + f->add[0]) & f->mask;
    x ^= x >> half;
    x = (x * f->mul[1] + f->add[1]) & f->mask;
    return x ^ x >> half;
}

/* The same in 32-bit arithmetic, which compilers vectorise. */
static inline uint32_t
mix32(uint32_t x, const uint32_t c[5], unsigned half)
{
    x = (x * c[0] + c[1]) & c[4];
    x ^= x >> half;
    x = (x * c[2] + c[3]) & c[4];
    return x ^ x >> half;
}

/* What is xored to the element numbers of a block. */
static uint64_t
block_key(const struct wm_gen_fill *f, uint64_t block)
{
    uint64_t higher = f->bits < 32 ? block >> f->bits : 0;

    return mix(f, (block * 3 + f->add[1] + higher * f->mul[1]) & f->mask);
}

static inline uint64_t
as_float(const struct wm_gen_fill *f, uint64_t code)
{
    uint64_t sign = code >> (f->bits - 1);

    return (code & f->mask >> 1) + f->exponent + (sign << f->sign);
}

/* One block, or a part of one: all elements have the same key.  A function for each width of
 * element. */
#define FILL(name, type)                                                                           \
    static void name(const struct wm_gen_fill *f, uint32_t low, uint32_t key, size_t n,            \
                     unsigned char *out)                                                           \
    {                                                                                              \
        const uint32_t c[5] = {(uint32_t)f->mul[0], (uint32_t)f->add[0], (uint32_t)f->mul[1],      \
                               (uint32_t)f->add[1], (uint32_t)f->mask};                            \
        const uint32_t rest = (uint32_t)(f->mask >> 1), exponent = (uint32_t)f->exponent;          \
        const unsigned half = (f->bits + 1) / 2, top = f->bits - 1, sign = f->sign;                \
                                                                                                   \
        for (size_t k = 0; k < n; k++) {                                                           \
            uint32_t v = mix32((low + (uint32_t)k) ^ key, c, half);                                \
            type t = (type)(sign ? (v & rest) + exponent + (v >> top << sign) : v);                \
                                                                                                   \
            memcpy(out + k * sizeof(t), &t, sizeof(t));                                            \
        }                                                                                          \
    }
FILL(fill8, uint8_t)
FILL(fill16, uint16_t)
FILL(fill32, uint32_t)

static void
fill64(const struct wm_gen_fill *f, uint64_t first, uint64_t n, unsigned char *out)
{
    for (uint64_t k = 0; k < n; k++) {
        uint64_t i = first + k, v;

        if (f->sign)
            v = as_float(f, mix(f, i & f->mask));
        else
            v = f->base + i; /* integers that can be read: tensor and element */
        memcpy(out + k * 8, &v, 8);
    }
}

void
wm_gen_fill_range(const struct wm_gen_fill *f, uint64_t first, uint64_t n, void *out)
{
    unsigned unit = wm_dtype_info[f->dtype].bits < 8 ? 1 : wm_dtype_info[f->dtype].bits / 8u;
    unsigned char *p = out;

    if (unit == 8) {
        fill64(f, first, n, p);
        return;
    }
    while (n > 0) {
        uint64_t low = first & f->mask, room = f->mask + 1 - low;
        size_t m = (size_t)(n < room ? n : room);
        uint32_t key = (uint32_t)block_key(f, first >> f->bits);

        if (unit == 1)
            fill8(f, (uint32_t)low, key, m, p);
        else if (unit == 2)
            fill16(f, (uint32_t)low, key, m, p);
        else
            fill32(f, (uint32_t)low, key, m, p);
        for (size_t k = 0; k < m && f->dtype == WM_DT_BOOL; k++)
            p[k] >>= 7;
        p += m * unit;
        first += m;
        n -= m;
    }
}
