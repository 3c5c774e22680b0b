/* runtime/kernels/cast.c -- conversion of numbers between dtypes, and the arithmetic of element chains.
 *
 * In: n elements of one dtype.  Out: n of another, each rounded once.  Narrow floats go through float32, which
 * holds every value of theirs; wider sources get there by rounding to odd (the last bit says that something was
 * lost), after which rounding to fewer bits is right as if done at once.  Pieces of CHUNK elements stay in the
 * L1 cache between the loops. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/codec.h"
#include "runtime/kernels/kernel.h"

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

/* ---- float32 bits out of narrow types ---- */

#define DECODE(type, expr)                                                                         \
    for (uint64_t i = 0; i < n; i++) {                                                             \
        type v;                                                                                    \
        memcpy(&v, (const char *)src + i * sizeof(v), sizeof(v));                                  \
        out[i] = (expr);                                                                           \
    }                                                                                              \
    return;

static void
decode_f32(uint32_t *restrict out, const void *restrict src, enum wm_dtype from, uint64_t n)
{
    switch (from) {
    case WM_DT_F32:
        memcpy(out, src, n * 4);
        return;
    case WM_DT_BF16:
        DECODE(uint16_t, (uint32_t)v << 16)
    case WM_DT_F16:
        DECODE(uint16_t, wm_decode(&wm_codec_f16, v))
    case WM_DT_F8_E4M3:
        DECODE(uint8_t, wm_decode(&wm_codec_e4m3, v))
    case WM_DT_F8_E5M2:
        DECODE(uint8_t, wm_decode(&wm_codec_e5m2, v))
    case WM_DT_F8_E4M3FNUZ:
        DECODE(uint8_t, wm_decode(&wm_codec_e4m3fnuz, v))
    case WM_DT_F8_E5M2FNUZ:
        DECODE(uint8_t, wm_decode(&wm_codec_e5m2fnuz, v))
    case WM_DT_F8_E8M0:
        DECODE(uint8_t, wm_decode_e8m0(v))
    case WM_DT_BOOL:
        DECODE(uint8_t, wm_bits_of((float)(v != 0)))
    case WM_DT_U8:
        DECODE(uint8_t, wm_bits_of(v))
    case WM_DT_I8:
        DECODE(int8_t, wm_bits_of(v))
    case WM_DT_U16:
        DECODE(uint16_t, wm_bits_of(v))
    case WM_DT_I16:
        DECODE(int16_t, wm_bits_of(v))
    default:
        return;
    }
}

/* ---- float32 bits into narrow types ---- */

#define ENCODE(type, expr)                                                                         \
    for (uint64_t i = 0; i < n; i++) {                                                             \
        uint32_t v = in[i];                                                                        \
        type r = (type)(expr);                                                                     \
        memcpy((char *)dst + i * sizeof(r), &r, sizeof(r));                                        \
    }                                                                                              \
    return;

static void
encode_f32(void *restrict dst, enum wm_dtype to, const uint32_t *restrict in, uint64_t n)
{
    switch (to) {
    case WM_DT_F32:
        memcpy(dst, in, n * 4);
        return;
    case WM_DT_F64:
        for (uint64_t i = 0; i < n; i++) {
            double v = wm_f32_of(in[i]);

            memcpy((char *)dst + i * 8, &v, 8);
        }
        return;
    case WM_DT_BF16:
        ENCODE(uint16_t, wm_encode_bf16(v))
    case WM_DT_F16:
        ENCODE(uint16_t, wm_encode(&wm_codec_f16, v))
    case WM_DT_F8_E4M3:
        ENCODE(uint8_t, wm_encode(&wm_codec_e4m3, v))
    case WM_DT_F8_E5M2:
        ENCODE(uint8_t, wm_encode(&wm_codec_e5m2, v))
    case WM_DT_F8_E4M3FNUZ:
        ENCODE(uint8_t, wm_encode(&wm_codec_e4m3fnuz, v))
    case WM_DT_F8_E5M2FNUZ:
        ENCODE(uint8_t, wm_encode(&wm_codec_e5m2fnuz, v))
    case WM_DT_F8_E8M0:
        ENCODE(uint8_t, wm_encode_e8m0(v))
    default:
        return;
    }
}

/* What became of float32 values x as y. */
static void
count_f32(struct wm_cast_count *count, const uint32_t *x, const uint32_t *y, uint64_t n)
{
    uint32_t nan = 0, over = 0, changed = 0;

    for (uint64_t i = 0; i < n; i++) {
        uint32_t xa = x[i] & 0x7fffffff, ya = y[i] & 0x7fffffff;
        uint32_t is_nan = xa > 0x7f800000;
        uint32_t differs = (x[i] != y[i]) & !((xa | ya) == 0) & !is_nan;
        uint32_t beyond = differs & (ya >= 0x7f800000);

        nan += is_nan;
        over += beyond;
        changed += differs & !beyond;
    }
    count->nan += nan;
    count->overflow += over;
    count->inexact += changed;
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
    return wm_bits_of(ldexpf((float)((v >> shift) | lost), (int)shift)) | (uint32_t)negative << 31;
}

static uint32_t
odd_of_f64(double x)
{
    float f = (float)x;
    uint32_t bits = wm_bits_of(f);

    if ((double)f == x || x != x)
        return bits;
    if (fabs((double)f) > fabs(x)) /* rounded away: one back towards zero (infinity: the greatest) */
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
            bool negative = from != WM_DT_U64 && v < 0;

            out[i] = odd_of_int(negative ? 0 - (uint64_t)v : (uint64_t)v, negative);
        }
    }
}

/* ---- to float32 and float64 from what does not fit a float32 ---- */

static void
wide_to_f32(void *dst, const void *src, enum wm_dtype from, uint64_t n, struct wm_cast_count *count)
{
    for (uint64_t i = 0; i < n; i++) {
        float f;
        uint32_t odd;

        if (from == WM_DT_F64) {
            double v;

            memcpy(&v, (const char *)src + i * 8, 8);
            f = (float)v;
        } else {
            int64_t v = load_i64(src, from, i);

            f = from == WM_DT_U64 ? (float)(uint64_t)v : (float)v;
        }
        decode_odd(&odd, (const char *)src + i * size_of(from), from, 1);
        odd = odd == 0x80000000 ? 0 : odd;
        if (wm_bits_nan(odd))
            count->nan++;
        else if (wm_bits_of(f) << 1 == 0xff000000 && odd << 1 != 0xff000000)
            count->overflow++;
        else if (from == WM_DT_F64) {
            double v;

            memcpy(&v, (const char *)src + i * 8, 8);
            count->inexact += (double)f != v;
        } else {
            int64_t v = load_i64(src, from, i);
            uint64_t size = v < 0 && from != WM_DT_U64 ? 0 - (uint64_t)v : (uint64_t)v;

            count->inexact += size >> 24 != 0 &&
                              (size << __builtin_clzll(size) & ((UINT64_C(1) << 40) - 1)) != 0;
        }
        memcpy((char *)dst + i * 4, &f, 4);
    }
}

static void
int_to_f64(void *dst, const void *src, enum wm_dtype from, uint64_t n, struct wm_cast_count *count)
{
    for (uint64_t i = 0; i < n; i++) {
        int64_t v = load_i64(src, from, i);
        uint64_t size = v < 0 && from != WM_DT_U64 ? 0 - (uint64_t)v : (uint64_t)v;
        double d = from == WM_DT_U64 ? (double)(uint64_t)v : (double)v;

        count->inexact += size >> 53 != 0 &&
                          (size << __builtin_clzll(size) & ((UINT64_C(1) << 11) - 1)) != 0;
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

static uint64_t
float_to_int(double v, enum wm_dtype to)
{
    switch (to) {
    case WM_DT_BOOL:
        return v != 0;
    case WM_DT_U8:
    case WM_DT_U32:
    case WM_DT_I64:
        return (uint64_t)truncate_to(v, 0x1p63);
    case WM_DT_U64:
        if (v >= 0x1p63)
            return v < 0x1p64 ? (uint64_t)v : 0;
        return (uint64_t)truncate_to(v, 0x1p63);
    default:
        return (uint64_t)truncate_to(v, 0x1p31);
    }
}

/* Is the whole number v a value of the integer type? */
static bool
int_holds(enum wm_dtype to, double v)
{
    uint32_t bits = wm_dtype_info[to].bits;

    if (wm_dtype_info[to].kind == 'U')
        return v >= 0 && v < ldexp(1, (int)bits);
    return v >= -ldexp(1, (int)bits - 1) && v < ldexp(1, (int)bits - 1);
}

static void
float_to_ints(void *dst, enum wm_dtype to, const double *v, uint64_t n, struct wm_cast_count *count)
{
    uint32_t size = size_of(to);

    for (uint64_t i = 0; i < n; i++) {
        uint64_t r = float_to_int(v[i], to);

        if (v[i] != v[i])
            count->nan++;
        else if (to == WM_DT_BOOL)
            count->inexact += v[i] != 0 && v[i] != 1;
        else if (!int_holds(to, trunc(v[i])))
            count->overflow++;
        else
            count->inexact += trunc(v[i]) != v[i];
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
    uint32_t wide[CHUNK], back[CHUNK];

    if (fits_f32(from)) {
        decode_f32(wide, src, from, n);
    } else if (to == WM_DT_F32) {
        wide_to_f32(dst, src, from, n, count);
        return;
    } else if (to == WM_DT_F64) {
        int_to_f64(dst, src, from, n, count);
        return;
    } else {
        decode_odd(wide, src, from, n);
    }
    encode_f32(dst, to, wide, n);
    if (to == WM_DT_F32 || to == WM_DT_F64) {
        memcpy(back, wide, n * 4);
    } else {
        decode_f32(back, dst, to, n);
    }
    count_f32(count, wide, back, n);
}

static void
cast_to_int(void *dst, enum wm_dtype to, const void *src, enum wm_dtype from, uint64_t n,
            struct wm_cast_count *count)
{
    uint32_t narrow[CHUNK];
    double wide[CHUNK];

    if (!is_float(from)) {
        int_to_ints(dst, to, src, from, n, count);
        return;
    }
    if (from == WM_DT_F64) {
        memcpy(wide, src, n * 8);
    } else {
        decode_f32(narrow, src, from, n);
        for (uint64_t i = 0; i < n; i++)
            wide[i] = wm_f32_of(narrow[i]);
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

/* Index of the first element that differs after going to `to` and back, NaNs among each other excepted. */
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

static double
compute_f64(const struct wm_plan_step *step, double v)
{
    switch (step->kind) {
    case WM_SP_ADD:
        return v + step->value;
    case WM_SP_MUL:
        return v * step->value;
    case WM_SP_NEG:
        return -v;
    case WM_SP_EXP:
        return exp(v);
    default:
        return log(v);
    }
}

static float
compute_f32(const struct wm_plan_step *step, float v)
{
    switch (step->kind) {
    case WM_SP_ADD:
        return v + (float)step->value;
    case WM_SP_MUL:
        return v * (float)step->value;
    case WM_SP_NEG:
        return -v;
    case WM_SP_EXP:
        return (float)exp((double)v);
    default:
        return (float)log((double)v);
    }
}

static void
compute(const struct wm_plan_step *step, void *dst, const void *src, uint64_t n)
{
    enum wm_dtype t = step->from;
    uint32_t size = size_of(t), wide[CHUNK];

    for (uint64_t at = 0; at < n; at += CHUNK) {
        uint64_t m = n - at < CHUNK ? n - at : CHUNK;
        char *d = (char *)dst + at * size;
        const char *s = (const char *)src + at * size;

        if (t == WM_DT_F64) {
            for (uint64_t i = 0; i < m; i++) {
                double v;

                memcpy(&v, s + i * 8, 8);
                v = compute_f64(step, v);
                memcpy(d + i * 8, &v, 8);
            }
            continue;
        }
        decode_f32(wide, s, t, m);
        for (uint64_t i = 0; i < m; i++)
            wide[i] = wm_bits_of(compute_f32(step, wm_f32_of(wide[i])));
        encode_f32(d, t, wide, m);
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
