/* api/gen_fill.c -- see gen_fill.h.
 *
 * Codes: within each block of 2^bits elements, element number and code are a permutation of each
 * other, and every block has a permutation of its own.  So neighbours differ, rows are never equal,
 * and two tensors have nothing in common.  A float's code is [sign | exponent | mantissa] with 16
 * exponents (8 for E4M3): every value is finite, normal, between 2^-14 and 4 (2^-4 and 16) in size,
 * so that sums and casts to other types stay harmless. */
#include "api/gen_fill.h"

/* FNV-1a: short enough to be written down in the documentation. */
static uint64_t
hash_name(struct wm_str name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t k = 0; k < name.n; k++)
        h = (h ^ (unsigned char)name.p[k]) * UINT64_C(0x100000001b3);
    return h;
}

/* splitmix64 */
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

/* The constants of one block's permutation. */
struct mix {
    uint64_t mul[2], add[2], mask;
    unsigned half; /* bits by which codes are folded */
};

static struct mix
mix_of_block(const struct wm_gen_fill *f, uint64_t block)
{
    uint64_t state = f->key + block * UINT64_C(0xd1342543de82ef95);
    struct mix m = {.half = (f->bits + 1) / 2};

    m.mask = f->bits == 64 ? ~UINT64_C(0) : (UINT64_C(1) << f->bits) - 1;
    for (unsigned k = 0; k < 2; k++) {
        m.mul[k] = (next(&state) & ~UINT64_C(7)) | 5;
        m.add[k] = next(&state);
    }
    return m;
}

void
wm_gen_fill_init(struct wm_gen_fill *f, enum wm_dtype t, struct wm_str name, uint64_t seed)
{
    const struct wm_dtype_info *d = &wm_dtype_info[t];
    uint64_t state = hash_name(name) ^ seed;

    *f = (struct wm_gen_fill){.dtype = t, .key = state, .base = next(&state) >> 41 << 40};
    if (d->kind == 'C') {
        f->dtype = WM_DT_F32; /* two of them an element */
        init_float(f);
    } else if (d->kind == 'F' && d->bits >= 8 && t != WM_DT_F8_E8M0) {
        init_float(f);
    } else {
        f->bits = t == WM_DT_F8_E8M0 ? 7 : d->bits < 8 ? 8 : d->bits;
    }
}

/* A permutation of the numbers below 2^bits, and what a code stands for.  A function for each width
 * of element, over one block or a part of one: in 32-bit arithmetic, which compilers vectorise. */
#define FILL(name, type, wide)                                                                     \
    static void name(const struct wm_gen_fill *f, const struct mix *m, uint64_t low, size_t n,     \
                     unsigned char *out)                                                           \
    {                                                                                              \
        const wide m0 = (wide)m->mul[0], a0 = (wide)m->add[0], m1 = (wide)m->mul[1];               \
        const wide a1 = (wide)m->add[1], mask = (wide)m->mask, rest = mask >> 1;                   \
        const wide exponent = (wide)f->exponent, first = (wide)low;                                \
        const unsigned half = m->half, top = f->bits - 1, sign = f->sign;                          \
                                                                                                   \
        for (size_t k = 0; k < n; k++) {                                                           \
            wide x = ((first + (wide)k) * m0 + a0) & mask;                                         \
            type t;                                                                                \
                                                                                                   \
            x ^= x >> half;                                                                        \
            x = (x * m1 + a1) & mask;                                                              \
            x ^= x >> half;                                                                        \
            t = (type)(sign ? (x & rest) + exponent + (x >> top << sign) : x);                     \
            memcpy(out + k * sizeof(t), &t, sizeof(t));                                            \
        }                                                                                          \
    }
FILL(fill8, uint8_t, uint32_t)
FILL(fill16, uint16_t, uint32_t)
FILL(fill32, uint32_t, uint32_t)
FILL(fill64, uint64_t, uint64_t)

/* 64-bit integers can be read: the tensor, and the element. */
static void
fill_counting(const struct wm_gen_fill *f, uint64_t first, uint64_t n, unsigned char *out)
{
    for (uint64_t k = 0; k < n; k++) {
        uint64_t v = f->base + first + k;

        memcpy(out + k * 8, &v, 8);
    }
}

void
wm_gen_fill_range(const struct wm_gen_fill *f, uint64_t first, uint64_t n, void *out)
{
    unsigned unit = wm_dtype_info[f->dtype].bits < 8 ? 1 : wm_dtype_info[f->dtype].bits / 8u;
    unsigned char *p = out;

    if (unit == 8 && !f->sign) {
        fill_counting(f, first, n, p);
        return;
    }
    while (n > 0) {
        struct mix m = mix_of_block(f, first >> f->bits);
        uint64_t low = first & m.mask, room = m.mask + 1 - low;
        size_t some = (size_t)(n < room ? n : room);

        (unit == 1 ? fill8 : unit == 2 ? fill16 : unit == 4 ? fill32 : fill64)(f, &m, low, some, p);
        for (size_t k = 0; k < some && f->dtype == WM_DT_BOOL; k++)
            p[k] >>= 7;
        p += some * unit;
        first += some;
        n -= some;
    }
}
