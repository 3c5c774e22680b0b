/* runtime/codec.c -- see codec.h.
 *
 * Loops over whole stretches first look whether all elements are well-formed, without a branch for each; only a
 * stretch with a bad one is gone through again.  Bits are moved, never values, so that NaNs stay what they are. */
#include "runtime/codec.h"

#include <string.h>

const struct wm_codec_info wm_codec_info[WM_CODEC_N] = {
    [WM_CODEC_RAW] = {1, 1, true},
    [WM_CODEC_BLOB] = {1, 1, false},
    [WM_CODEC_SWAP2] = {2, 2, true},
    [WM_CODEC_SWAP4] = {4, 4, true},
    [WM_CODEC_SWAP8] = {8, 8, true},
    [WM_CODEC_MSGPACK_F32] = {4, 5, true},
    [WM_CODEC_MSGPACK_F64] = {4, 9, true},
    [WM_CODEC_MSGPACK_MIXED] = {4, 0, false},
    [WM_CODEC_MSGPACK_F64_ROUND] = {4, 9, false},
    [WM_CODEC_MSGPACK_MIXED_ROUND] = {4, 0, false},
    [WM_CODEC_MSGPACK_U32] = {4, 5, true},
    [WM_CODEC_MSGPACK_U32_MIXED] = {4, 0, false},
};

enum { TAG_F32 = 0xca, TAG_F64 = 0xcb, TAG_U32 = 0xce };

/* ---- single numbers ---- */

static uint16_t
big16(const unsigned char *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap16(v);
}

static uint32_t
big32(const unsigned char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

static uint64_t
big64(const unsigned char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

static uint32_t
bits_of(float f)
{
    uint32_t v;

    memcpy(&v, &f, sizeof(v));
    return v;
}

/* The float64 that equals a float32, bit for bit where it is a NaN. */
static uint64_t
widen(uint32_t v)
{
    float f;
    double d;
    uint64_t r;

    if ((v & 0x7fffffff) > 0x7f800000)
        return (uint64_t)(v & 0x80000000) << 32 | UINT64_C(0x7ff0000000000000) |
               (uint64_t)(v & 0x7fffff) << 29;
    memcpy(&f, &v, sizeof(f));
    d = (double)f;
    memcpy(&r, &d, sizeof(r));
    return r;
}

/* The float32 that equals a float64, if there is one: widen() gives it back. */
static uint32_t
narrow(uint64_t v)
{
    double d;

    if ((v & INT64_MAX) > UINT64_C(0x7ff0000000000000))
        return (uint32_t)(v >> 32 & 0x80000000) | 0x7f800000 | (uint32_t)(v >> 29 & 0x7fffff);
    memcpy(&d, &v, sizeof(d));
    return bits_of((float)d);
}

/* ---- fixed lengths ---- */

#define SWAP_LOOP(bits)                                                                            \
    for (uint64_t i = 0; i < n; i++) {                                                             \
        uint##bits##_t v;                                                                          \
                                                                                                   \
        memcpy(&v, p + i * sizeof(v), sizeof(v));                                                  \
        v = __builtin_bswap##bits(v);                                                              \
        memcpy(q + i * sizeof(v), &v, sizeof(v));                                                  \
    }

static void
swap(enum wm_codec c, unsigned char *q, const unsigned char *p, uint64_t n)
{
    if (c == WM_CODEC_SWAP2)
        SWAP_LOOP(16)
    else if (c == WM_CODEC_SWAP4)
        SWAP_LOOP(32)
    else
        SWAP_LOOP(64)
}

/* Four bytes behind a tag. */
static uint64_t
decode_tagged(unsigned char tag, unsigned char *q, const unsigned char *p, uint64_t n)
{
    unsigned bad = 0;
    uint64_t i = 0;

    for (; i < n; i++) {
        uint32_t v = big32(p + 5 * i + 1);

        bad |= p[5 * i] ^ tag;
        memcpy(q + 4 * i, &v, sizeof(v));
    }
    for (i = bad ? 0 : n; i < n && p[5 * i] == tag; i++)
        ;
    return i;
}

/* `may` has the bits in which a float64 may differ from that of its float32: none, or all. */
static uint64_t
decode_f64(unsigned char *q, const unsigned char *p, uint64_t n, uint64_t may)
{
    uint64_t bad = 0, i = 0;

    for (; i < n; i++) {
        uint64_t d = big64(p + 9 * i + 1);
        uint32_t v = narrow(d);

        bad |= (uint64_t)(p[9 * i] ^ TAG_F64) | ((widen(v) ^ d) & ~may);
        memcpy(q + 4 * i, &v, sizeof(v));
    }
    for (i = bad ? 0 : n; i < n; i++) {
        uint64_t d = big64(p + 9 * i + 1);

        if (p[9 * i] != TAG_F64 || (widen(narrow(d)) ^ d) & ~may)
            break;
    }
    return i;
}

uint64_t
wm_codec_decode(enum wm_codec c, void *to, const void *from, uint64_t n)
{
    switch (c) {
    case WM_CODEC_SWAP2:
    case WM_CODEC_SWAP4:
    case WM_CODEC_SWAP8:
        swap(c, to, from, n);
        return n;
    case WM_CODEC_MSGPACK_F32:
        return decode_tagged(TAG_F32, to, from, n);
    case WM_CODEC_MSGPACK_U32:
        return decode_tagged(TAG_U32, to, from, n);
    case WM_CODEC_MSGPACK_F64:
        return decode_f64(to, from, n, 0);
    case WM_CODEC_MSGPACK_F64_ROUND:
        return decode_f64(to, from, n, UINT64_MAX);
    default:
        memmove(to, from, n);
        return n;
    }
}

/* Each element is loaded before it is stored, and what is stored lies before the next that is loaded. */
void
wm_codec_encode(enum wm_codec c, void *to, const void *from, uint64_t n)
{
    unsigned char *q = to;
    const unsigned char *p = from;
    uint32_t v;
    uint64_t d;

    switch (c) {
    case WM_CODEC_SWAP2:
    case WM_CODEC_SWAP4:
    case WM_CODEC_SWAP8:
        swap(c, to, from, n);
        return;
    case WM_CODEC_MSGPACK_F32:
    case WM_CODEC_MSGPACK_U32:
        for (uint64_t i = 0; i < n; i++) {
            v = big32(p + 4 * i);
            q[5 * i] = c == WM_CODEC_MSGPACK_F32 ? TAG_F32 : TAG_U32;
            memcpy(q + 5 * i + 1, &v, sizeof(v));
        }
        return;
    case WM_CODEC_MSGPACK_F64:
        for (uint64_t i = 0; i < n; i++) {
            memcpy(&v, p + 4 * i, sizeof(v));
            d = __builtin_bswap64(widen(v));
            q[9 * i] = TAG_F64;
            memcpy(q + 9 * i + 1, &d, sizeof(d));
        }
        return;
    default:
        memmove(to, from, n);
    }
}

/* ---- numbers of any kind ---- */

unsigned
wm_codec_number_size(unsigned char first)
{
    static const uint8_t size[] = {
        [0xca - 0xca] = 5, [0xcb - 0xca] = 9, [0xcc - 0xca] = 2, [0xcd - 0xca] = 3,
        [0xce - 0xca] = 5, [0xcf - 0xca] = 9, [0xd0 - 0xca] = 2, [0xd1 - 0xca] = 3,
        [0xd2 - 0xca] = 5, [0xd3 - 0xca] = 9,
    };

    if (first < 0x80 || first >= 0xe0)
        return 1;
    return first >= 0xca && first <= 0xd3 ? size[first - 0xca] : 0;
}

/* Is an integer of this size a float32? */
static bool
float_has(uint64_t u)
{
    return u == 0 || u >> __builtin_ctzll(u) < UINT64_C(1) << 24;
}

/* A number as a float32.  False: no float32 equals it, and it is not to be rounded. */
static bool
number(const unsigned char *p, bool round, uint32_t *v)
{
    uint64_t u;
    int64_t s;

    switch (*p) {
    case TAG_F32:
        *v = big32(p + 1);
        return true;
    case TAG_F64:
        *v = narrow(big64(p + 1));
        return round || widen(*v) == big64(p + 1);
    case 0xcf:
        u = big64(p + 1);
        *v = bits_of((float)u);
        return round || float_has(u);
    case 0xd0:
        s = (int8_t)p[1];
        break;
    case 0xd1:
        s = (int16_t)big16(p + 1);
        break;
    case 0xd2:
        s = (int32_t)big32(p + 1);
        break;
    case 0xd3:
        s = (int64_t)big64(p + 1);
        break;
    case 0xcc:
        s = p[1];
        break;
    case 0xcd:
        s = big16(p + 1);
        break;
    case TAG_U32:
        s = big32(p + 1);
        break;
    default:
        s = (int8_t)*p;
    }
    *v = bits_of((float)s);
    return round || float_has(s < 0 ? 0 - (uint64_t)s : (uint64_t)s);
}

/* An integer of 0 to 2^32 - 1, however wide it is spelled. */
static bool
unsigned_number(const unsigned char *p, uint32_t *v)
{
    uint64_t u = UINT64_MAX;

    if (*p < 0x80)
        u = *p;
    else if (*p == 0xcc || (*p == 0xd0 && p[1] < 0x80))
        u = p[1];
    else if (*p == 0xcd || (*p == 0xd1 && p[1] < 0x80))
        u = big16(p + 1);
    else if (*p == TAG_U32 || (*p == 0xd2 && p[1] < 0x80))
        u = big32(p + 1);
    else if (*p == 0xcf || *p == 0xd3)
        u = big64(p + 1);
    *v = (uint32_t)u;
    return u <= UINT32_MAX;
}

uint64_t
wm_codec_decode_mixed(enum wm_codec c, void *to, const void *from, uint64_t len, uint64_t n, uint64_t *used)
{
    const unsigned char *p = from, *end = p + len;
    bool round = c == WM_CODEC_MSGPACK_MIXED_ROUND, is_u32 = c == WM_CODEC_MSGPACK_U32_MIXED;
    unsigned char *q = to;
    uint64_t i = 0;

    for (; i < n && p < end; i++) {
        unsigned size = wm_codec_number_size(*p);
        uint32_t v;

        if (size == 0 || size > (uint64_t)(end - p) || !(is_u32 ? unsigned_number(p, &v) : number(p, round, &v)))
            break;
        memcpy(q + 4 * i, &v, sizeof(v));
        p += size;
    }
    *used = (uint64_t)(p - (const unsigned char *)from);
    return i;
}
