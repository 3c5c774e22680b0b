/* runtime/kernels/cast.c -- conversion of numbers between dtypes, and the arithmetic of element
 * chains.
 *
 * In: n elements of one dtype.  Out: n of another, each rounded once.  Narrow floats go through
 * float32, which holds every value of theirs; wider sources get there by rounding to odd (the last
 * bit says that something was lost), after which rounding to fewer bits is right as if done at
 * once.  Pieces of CHUNK elements stay in the L1 cache between the loops. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/cast_table.h"

enum { CHUNK = 512 };

static uint32_t
size_of(enum wm_dtype t)
{
    return wm_dtype_info[t].bits / 8u;
}

static bool
is_float(enum wm_dtype t)
{
    return wm_dtype_info[t].kind == 'F';
}

/* Is every value of it a float32? */
static bool
fits_f32(enum wm_dtype t)
{
    return is_float(t) ? t != WM_DT_F64 : wm_dtype_info[t].bits <= 16;
}

static uint32_t
bits_of(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, 4);
    return bits;
}

static const struct wm_cast_loops *
loops_of(enum wm_dtype t)
{
#ifdef __x86_64__
#ifndef __clang__ /* which knows no "f16c" */
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c"))
        return &wm_cast_f16c[t];
#endif
    if (__builtin_cpu_supports("avx2"))
        return &wm_cast_avx2[t];
#endif
    return &wm_cast_base[t];
}

/* ---- float32 out of what fits it ---- */

#define DECODE(type, expr)                                                                         \
    for (uint64_t i = 0; i < n; i++) {                                                             \
        type v;                                                                                    \
        float f;                                                                                   \
        memcpy(&v, (const char *)src + i * sizeof(v), sizeof(v));                                  \
        f = (float)(expr);                                                                         \
        memcpy((char *)dst + i * 4, &f, 4);                                                        \
    }                                                                                              \
    return;

static void
decode_f32(void *restrict dst, const void *restrict src, enum wm_dtype from, uint64_t n,
           struct wm_cast_count *count)
{
    switch (from) {
    case WM_DT_F32:
        memcpy(dst, src, n * 4);
        return;
    case WM_DT_BOOL:
        DECODE(uint8_t, v != 0)
    case WM_DT_U8:
        DECODE(uint8_t, v)
    case WM_DT_I8:
        DECODE(int8_t, v)
    case WM_DT_U16:
        DECODE(uint16_t, v)
    case WM_DT_I16:
        DECODE(int16_t, v)
    default:
        loops_of(from)->decode(dst, src, n, count);
    }
}

/* Float32 to float64 or a narrow float; F32 itself is a copy. */
static void
encode_f32(void *restrict dst, enum wm_dtype to, const void *restrict src, uint64_t n,
           struct wm_cast_count *count)
{
    if (to == WM_DT_F32) {
        memcpy(dst, src, n * 4);
        return;
    }
    if (to != WM_DT_F64) {
        loops_of(to)->encode(dst, src, n, count);
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        float f;
        double v;

        memcpy(&f, (const char *)src + i * 4, 4);
        v = f;
        count->nan += v != v;
        memcpy((char *)dst + i * 8, &v, 8);
    }
}

/* ---- wide sources ---- */

/* An integer's magnitude as a float32 rounded to odd. */
static uint32_t
odd_of_int(uint64_t v, bool negative)
{
    uint32_t shift = 0, lost;

    if (v >> 24)
        shift = 40 - (uint32_t)__builtin_clzll(v);
    lost = shift && (v & ((UINT64_C(1) << shift) - 1)) != 0;
    return bits_of(ldexpf((float)((v >> shift) | lost), (int)shift)) | (uint32_t)negative << 31;
}

static uint32_t
odd_of_f64(double x)
{
    float f = (float)x;
    uint32_t bits = bits_of(f);

    if ((double)f == x || x != x)
        return bits;
    if (fabs((double)f) >
        fabs(x)) /* rounded away: one back towards zero (infinity: the greatest) */
        bits--;
    return bits | 1;
}

static int64_t
load_i64(const void *src, enum wm_dtype from, uint64_t i)
{
    uint64_t v = 0;
    uint32_t size = size_of(from);

    memcpy(&v, (const char *)src + i * size, size);
    if (from == WM_DT_BOOL)
        return v != 0;
    if (wm_dtype_info[from].kind == 'I' && size < 8) {
        uint64_t sign = UINT64_C(1) << (8 * size - 1);

        v = (v ^ sign) - sign;
    }
    return (int64_t)v; /* U64: its bits */
}

static uint64_t
int_size(int64_t v, enum wm_dtype from)
{
    return v < 0 && from != WM_DT_U64 ? 0 - (uint64_t)v : (uint64_t)v;
}

static void
decode_odd(uint32_t *out, const void *src, enum wm_dtype from, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (from == WM_DT_F64) {
            double v;

            memcpy(&v, (const char *)src + i * 8, 8);
            out[i] = odd_of_f64(v);
        } else {
            int64_t v = load_i64(src, from, i);

            out[i] = odd_of_int(int_size(v, from), from != WM_DT_U64 && v < 0);
        }
    }
}

/* ---- to float32 and float64 from what does not fit a float32 ---- */

/* Does an integer's magnitude fit that many bits of mantissa? */
static bool
int_fits(uint64_t size, int bits)
{
    return size >> bits == 0 || (size << __builtin_clzll(size) << bits) == 0;
}

static void
f64_to_f32(void *dst, const void *src, uint64_t n, struct wm_cast_count *count)
{
    uint64_t nan = 0, over = 0, changed = 0;

    for (uint64_t i = 0; i < n; i++) {
        double v;
        float f;
        bool differs;

        memcpy(&v, (const char *)src + i * 8, 8);
        f = (float)v;
        memcpy((char *)dst + i * 4, &f, 4);
        differs = (double)f != v;
        nan += v != v;
        over += differs & (fabsf(f) == INFINITY);
        changed += differs & (fabsf(f) < INFINITY);
    }
    count->nan += nan;
    count->overflow += over;
    count->inexact += changed;
}

static void
int_to_f32(void *dst, const void *src, enum wm_dtype from, uint64_t n, struct wm_cast_count *count)
{
    for (uint64_t i = 0; i < n; i++) {
        int64_t v = load_i64(src, from, i);
        float f = from == WM_DT_U64 ? (float)(uint64_t)v : (float)v;

        count->inexact += !int_fits(int_size(v, from), 24);
        memcpy((char *)dst + i * 4, &f, 4);
    }
}

static void
int_to_f64(void *dst, const void *src, enum wm_dtype from, uint64_t n, struct wm_cast_count *count)
{
    for (uint64_t i = 0; i < n; i++) {
        int64_t v = load_i64(src, from, i);
        double d = from == WM_DT_U64 ? (double)(uint64_t)v : (double)v;

        count->inexact += !int_fits(int_size(v, from), 53);
        memcpy((char *)dst + i * 8, &d, 8);
    }
}

/* ---- to integers and bool ---- */

/* As the processor truncates: out of range is the least number. */
static int64_t
truncate_to(double v, double limit)
{
    return v >= -limit && v < limit ? (int64_t)v : (int64_t)-limit;
}

/* torch makes 8, 16 and 32 bits in a register of 32, these in one of 64. */
static bool
is_made_in_64(enum wm_dtype to)
{
    return to == WM_DT_U8 || to == WM_DT_U32 || to == WM_DT_I64 || to == WM_DT_U64;
}

static void
float_to_ints(void *dst, enum wm_dtype to, const double *v, uint64_t n, struct wm_cast_count *count)
{
    uint32_t size = size_of(to), bits = 8 * size;
    bool is_signed = wm_dtype_info[to].kind == 'I';
    double end = ldexp(1, (int)bits - is_signed); /* the first beyond */
    double below = !is_signed ? -1 : bits == 64 ? -0x1.0000000000001p63 : -end - 1;
    double limit = is_made_in_64(to) ? 0x1p63 : 0x1p31;

    for (uint64_t i = 0; i < n; i++) {
        int64_t r = truncate_to(v[i], limit);
        bool nan = v[i] != v[i];

        if (to == WM_DT_BOOL) {
            r = v[i] != 0;
            count->inexact += r && v[i] != 1 && !nan;
        } else if (v[i] > below && v[i] < end) {
            if (v[i] >= limit) /* U64 */
                r = (int64_t)(uint64_t)v[i];
            else
                count->inexact += (double)r != v[i];
        } else {
            count->overflow += !nan;
        }
        count->nan += nan;
        memcpy((char *)dst + i * size, &r, size);
    }
}

static void
int_to_ints(void *dst, enum wm_dtype to, const void *src, enum wm_dtype from, uint64_t n,
            struct wm_cast_count *count)
{
    uint32_t size = size_of(to);

    for (uint64_t i = 0; i < n; i++) {
        int64_t v = load_i64(src, from, i), r = to == WM_DT_BOOL ? v != 0 : v, back;
        bool sign_from = from == WM_DT_U64 && v < 0, sign_to;

        memcpy((char *)dst + i * size, &r, size);
        back = load_i64(dst, to, i);
        sign_to = to == WM_DT_U64 && back < 0;
        if (back != v || sign_from != sign_to) {
            count->overflow += to != WM_DT_BOOL;
            count->inexact += to == WM_DT_BOOL;
        }
    }
}

/* ---- all pairs ---- */

static void
cast_to_float(void *dst, enum wm_dtype to, const void *src, enum wm_dtype from, uint64_t n,
              struct wm_cast_count *count)
{
    struct wm_cast_count none = {0};
    uint32_t wide[CHUNK];

    if (to == WM_DT_F32 && fits_f32(from))
        decode_f32(dst, src, from, n, count);
    else if (to == WM_DT_F32 && from == WM_DT_F64)
        f64_to_f32(dst, src, n, count);
    else if (to == WM_DT_F32)
        int_to_f32(dst, src, from, n, count);
    else if (from == WM_DT_F32)
        encode_f32(dst, to, src, n, count);
    else if (to == WM_DT_F64 && !fits_f32(from))
        int_to_f64(dst, src, from, n, count);
    else {
        if (fits_f32(from))
            decode_f32(wide, src, from, n, &none);
        else
            decode_odd(wide, src, from, n);
        encode_f32(dst, to, wide, n, count);
    }
}

static void
cast_to_int(void *dst, enum wm_dtype to, const void *src, enum wm_dtype from, uint64_t n,
            struct wm_cast_count *count)
{
    struct wm_cast_count none = {0};
    float narrow[CHUNK];
    double wide[CHUNK];

    if (!is_float(from)) {
        int_to_ints(dst, to, src, from, n, count);
        return;
    }
    if (from == WM_DT_F64) {
        memcpy(wide, src, n * 8);
    } else {
        decode_f32(narrow, src, from, n, &none);
        for (uint64_t i = 0; i < n; i++)
            wide[i] = narrow[i];
    }
    float_to_ints(dst, to, wide, n, count);
}

void
wm_cast(void *dst, enum wm_dtype to, const void *src, enum wm_dtype from, uint64_t n,
        struct wm_cast_count *count)
{
    uint32_t in = size_of(from), out = size_of(to);

    if (from == to) {
        memcpy(dst, src, n * in);
        return;
    }
    for (uint64_t at = 0; at < n; at += CHUNK) {
        uint64_t m = n - at < CHUNK ? n - at : CHUNK;
        char *d = (char *)dst + at * out;
        const char *s = (const char *)src + at * in;

        if (is_float(to))
            cast_to_float(d, to, s, from, m, count);
        else
            cast_to_int(d, to, s, from, m, count);
    }
}

/* ---- steps ---- */

/* Index of the first element that differs after going to `to` and back, NaNs among each other
 * excepted. */
static uint64_t
uncast(const struct wm_plan_step *step, void *dst, const void *src, uint64_t n,
       struct wm_cast_count *count)
{
    uint32_t in = size_of(step->from), out = size_of(step->to);
    struct wm_cast_count none = {0};
    char back[CHUNK * 8];

    for (uint64_t at = 0; at < n; at += CHUNK) {
        uint64_t m = n - at < CHUNK ? n - at : CHUNK;
        const char *s = (const char *)src + at * in;

        wm_cast((char *)dst + at * out, step->to, s, step->from, m, count);
        wm_cast(back, step->from, (char *)dst + at * out, step->to, m, &none);
        if (memcmp(back, s, m * in) == 0)
            continue;
        for (uint64_t i = 0; i < m; i++) {
            double x[2] = {0, 0};

            if (memcmp(back + i * in, s + i * in, in) == 0)
                continue;
            if (is_float(step->from)) {
                wm_cast(&x[0], WM_DT_F64, s + i * in, step->from, 1, &none);
                wm_cast(&x[1], WM_DT_F64, back + i * in, step->from, 1, &none);
                if (x[0] != x[0] && x[1] != x[1])
                    continue;
            }
            return at + i;
        }
    }
    return n;
}

/* One loop for each kind: those of a single instruction become vectors. */
#define COMPUTE(type, bits)                                                                                            \
    static void compute_##bits(const struct wm_plan_step *step, type *x, uint64_t n)                                   \
    {                                                                                                                  \
        const type value = (type)step->value;                                                                          \
                                                                                                                       \
        switch (step->kind) {                                                                                          \
        case WM_SP_ADD:                                                                                                \
            for (uint64_t i = 0; i < n; i++)                                                                           \
                x[i] += value;                                                                                         \
            break;                                                                                                     \
        case WM_SP_MUL:                                                                                                \
            for (uint64_t i = 0; i < n; i++)                                                                           \
                x[i] *= value;                                                                                         \
            break;                                                                                                     \
        case WM_SP_NEG:                                                                                                \
            for (uint64_t i = 0; i < n; i++)                                                                           \
                x[i] = -x[i];                                                                                          \
            break;                                                                                                     \
        case WM_SP_EXP:                                                                                                \
            for (uint64_t i = 0; i < n; i++)                                                                           \
                x[i] = (type)exp((double)x[i]);                                                                        \
            break;                                                                                                     \
        default:                                                                                                       \
            for (uint64_t i = 0; i < n; i++)                                                                           \
                x[i] = (type)log((double)x[i]);                                                                        \
        }                                                                                                              \
    }
COMPUTE(float, 32)
COMPUTE(double, 64)

/* The sign bit alone: exact on every value, signalling NaNs too.  The FNUZ types have no negative
 * zero (its bits are their NaN), so they are computed. */
static bool
negate(enum wm_dtype t, void *dst, const void *src, uint64_t n)
{
    uint32_t size = size_of(t);
    char *d = dst;

    if (wm_dtype_info[t].kind != 'F' || t == WM_DT_F8_E4M3FNUZ || t == WM_DT_F8_E5M2FNUZ ||
        t == WM_DT_F8_E8M0)
        return false;
    if (dst != src)
        memmove(dst, src, n * size);
    for (uint64_t i = 0; i < n; i++)
        d[(i + 1) * size - 1] = (char)((unsigned char)d[(i + 1) * size - 1] ^ 0x80);
    return true;
}

static void
compute(const struct wm_plan_step *step, void *dst, const void *src, uint64_t n)
{
    enum wm_dtype t = step->from;
    uint32_t size = size_of(t);
    struct wm_cast_count none = {0};
    union {
        float f32[CHUNK];
        double f64[CHUNK];
    } wide;

    if (step->kind == WM_SP_NEG && negate(t, dst, src, n))
        return;

    for (uint64_t at = 0; at < n; at += CHUNK) {
        uint64_t m = n - at < CHUNK ? n - at : CHUNK;
        char *d = (char *)dst + at * size;
        const char *s = (const char *)src + at * size;

        if (t == WM_DT_F64) {
            memcpy(wide.f64, s, m * size);
            compute_64(step, wide.f64, m);
            memcpy(d, wide.f64, m * size);
        } else {
            decode_f32(wide.f32, s, t, m, &none);
            compute_32(step, wide.f32, m);
            encode_f32(d, t, wide.f32, m, &none);
        }
    }
}

uint64_t
wm_step(const struct wm_plan_step *step, void *dst, const void *src, uint64_t n,
        struct wm_cast_count *count)
{
    if (step->kind == WM_SP_UNCAST)
        return uncast(step, dst, src, n, count);
    if (step->kind == WM_SP_CAST)
        wm_cast(dst, step->to, src, step->from, n, count);
    else
        compute(step, dst, src, n);
    return n;
}
