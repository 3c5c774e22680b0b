/* test_cast.c -- casts against exact arithmetic, for all 16-bit and 8-bit values and the ties
 * between them.
 *
 * The reference knows nothing of the bit tricks of the kernels: it lists all values of a format as
 * exact numbers (a double holds them), and rounds by looking for the two neighbours of a number and
 * comparing distances, which are exact, too.  Numbers that no double holds are not needed: ties and
 * their neighbours are. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/kernel.h"

struct format {
    enum wm_dtype t;
    int bits, exponent, mantissa, bias;
    /* what lies beyond the greatest finite value and what NaN becomes: codes without sign */
    unsigned beyond, nan, max;
    bool one_zero; /* no -0, and NaN has no sign */
};

static const struct format formats[] = {
    {WM_DT_F16, 16, 5, 10, 15, 0x7c00, 0x7e00, 0x7bff, false},
    {WM_DT_BF16, 16, 8, 7, 127, 0x7f80, 0x7fc0, 0x7f7f, false},
    {WM_DT_F8_E4M3, 8, 4, 3, 7, 0x7e, 0x7f, 0x7e, false},
    {WM_DT_F8_E5M2, 8, 5, 2, 15, 0x7c, 0x7f, 0x7b, false},
    {WM_DT_F8_E4M3FNUZ, 8, 4, 3, 8, 0x80, 0x80, 0x7f, true},
    {WM_DT_F8_E5M2FNUZ, 8, 5, 2, 16, 0x80, 0x80, 0x7f, true},
};

/* The value of a finite code without sign. */
static double
value_of(const struct format *f, unsigned code)
{
    unsigned e = code >> f->mantissa, m = code & ((1u << f->mantissa) - 1);

    return e ? ldexp(1.0 + ldexp((double)m, -f->mantissa), (int)e - f->bias)
             : ldexp((double)m, 1 - f->bias - f->mantissa);
}

/* The code that v >= 0 rounds to, by its neighbours. */
static unsigned
nearest(const struct format *f, double v)
{
    unsigned lo = 0, hi = f->max;
    double a, b, top;

    if (v != v)
        return f->nan;
    top = 2 * value_of(f, f->max) - value_of(f, f->max - 1); /* the next if exponents went on */
    if (v > value_of(f, f->max)) {
        double half = (value_of(f, f->max) + top) / 2;

        if (v > half || (v == half && f->max % 2 == 1) || v >= top)
            return f->beyond;
        return f->max;
    }
    while (hi - lo > 1) {
        unsigned mid = (lo + hi) / 2;

        if (value_of(f, mid) <= v)
            lo = mid;
        else
            hi = mid;
    }
    a = v - value_of(f, lo);
    b = value_of(f, hi) - v;
    return a < b || (a == b && lo % 2 == 0) ? lo : hi;
}

static unsigned
with_sign(const struct format *f, unsigned code, bool negative)
{
    if (f->one_zero && (code == 0 || code == f->nan))
        return code;
    return code | (unsigned)negative << (f->bits - 1);
}

static unsigned
cast_code(enum wm_dtype to, const void *src, enum wm_dtype from)
{
    uint64_t r = 0;
    struct wm_cast_count count = {0};

    wm_cast(&r, to, src, from, 1, &count);
    return (unsigned)r;
}

static bool
is_nan_code(const struct format *f, unsigned code)
{
    unsigned abs = code & ((1u << (f->bits - 1)) - 1);

    if (f->one_zero)
        return code == f->nan;
    return f->nan == f->max + 1 ? abs == f->nan : abs > f->beyond;
}

static void
check_code(const struct format *f, double v, unsigned got)
{
    unsigned want = with_sign(f, nearest(f, fabs(v)), signbit(v) != 0);

    if (v != v || (nearest(f, fabs(v)) == f->nan && !f->one_zero)) {
        if (!is_nan_code(f, got))
            fail_msg("%s: NaN became %x", wm_dtype_info[f->t].name, got);
    } else if (got != want) {
        fail_msg("%s: %a became %x, not %x", wm_dtype_info[f->t].name, v, got, want);
    }
}

/* Both ways through every code; infinities and NaNs included. */
static void
test_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(formats); i++) {
        const struct format *f = &formats[i];

        for (unsigned code = 0; code < 1u << f->bits; code++) {
            unsigned abs = code & ((1u << (f->bits - 1)) - 1);
            double want = value_of(f, abs), wide = -7;
            float narrow = -7;
            struct wm_cast_count count = {0};

            if (is_nan_code(f, code))
                want = NAN;
            else if (abs == f->beyond && abs > f->max && abs != f->nan)
                want = INFINITY;
            else if (abs != code)
                want = -want;
            if (abs != code && isinf(want))
                want = -want;
            wm_cast(&narrow, WM_DT_F32, &code, f->t, 1, &count);
            wm_cast(&wide, WM_DT_F64, &code, f->t, 1, &count);
            if (want != want) {
                assert_true(narrow != narrow && wide != wide);
                assert_int_equal(count.nan, 2);
                continue;
            }
            assert_true((double)narrow == want && wide == want);
            assert_int_equal(signbit(narrow) != 0, signbit(want) != 0);
            assert_int_equal(count.nan + count.overflow + count.inexact, 0);
            assert_int_equal(cast_code(f->t, &narrow, WM_DT_F32), code);
            assert_int_equal(cast_code(f->t, &wide, WM_DT_F64), code);
        }
    }
}

/* Each value, the middle to the next one, and the float32s and float64s beside both. */
static void
test_round(void **state)
{
    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(formats); i++) {
        const struct format *f = &formats[i];

        for (unsigned code = 0; code <= f->max; code++) {
            double v = value_of(f, code), next = code < f->max ? value_of(f, code + 1) : 2 * v;
            double at[3] = {v, (v + next) / 2, next - (next - v) / 4};

            for (int k = 0; k < 18; k++) {
                double x = at[k % 3];
                float y = (float)x;

                x = k / 6 == 1 ? nextafter(x, INFINITY) : k / 6 == 2 ? nextafter(x, -1) : x;
                y = k / 6 == 1 ? nextafterf(y, INFINITY) : k / 6 == 2 ? nextafterf(y, -1) : y;
                x = k % 6 < 3 ? x : -x;
                y = k % 6 < 3 ? y : -y;
                check_code(f, x, cast_code(f->t, &x, WM_DT_F64));
                check_code(f, y, cast_code(f->t, &y, WM_DT_F32));
            }
        }
        for (int s = -1; s <= 1; s += 2) {
            float big[] = {(float)s * INFINITY, (float)s * 3.4e38f, (float)s * 1e-45f};

            for (int k = 0; k < 3; k++)
                check_code(f, (double)big[k], cast_code(f->t, &big[k], WM_DT_F32));
        }
    }
}

/* Between the narrow formats: the same as through exact numbers. */
static void
test_narrow_pairs(void **state)
{
    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(formats); i++)
        for (size_t k = 0; k < WM_COUNTOF(formats); k++) {
            const struct format *from = &formats[i], *to = &formats[k];

            for (unsigned code = 0; code < 1u << from->bits && i != k; code++) {
                struct wm_cast_count count = {0};
                double v;

                wm_cast(&v, WM_DT_F64, &code, from->t, 1, &count);
                check_code(to, v, cast_code(to->t, &code, from->t));
            }
        }
}

/* Integers into floats are rounded once, however wide they are. */
static void
test_integers(void **state)
{
    static const int64_t near[] = {0,
                                   1,
                                   255,
                                   2049,
                                   4097,
                                   65519,
                                   65520,
                                   65521,
                                   16777217,
                                   33554431,
                                   INT64_C(1) << 40,
                                   INT64_C(9007199254740993),
                                   INT64_MAX};

    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(formats); i++)
        for (size_t k = 0; k < WM_COUNTOF(near); k++)
            for (int s = -1; s <= 1; s += 2) {
                int64_t v = near[k] * s;
                double exact = (double)v;

                if ((int64_t)fabs(exact) != llabs(v) && formats[i].mantissa > 7)
                    continue;
                check_code(&formats[i], v == 0 ? 0.0 : exact,
                           cast_code(formats[i].t, &v, WM_DT_I64));
            }
    /* a tie in float16 that a float32 in between would make: 2049 * 2^k + 1 */
    for (int k = 13; k < 14; k++) {
        int64_t v = 2049 * (INT64_C(1) << 4) + 1;

        check_code(&formats[0], (double)v, cast_code(WM_DT_F16, &v, WM_DT_I64));
    }
    {
        double tie = 1.0 + 0x1p-11 + 0x1p-40, below = 1.0 + 0x1p-11 - 0x1p-40;

        assert_int_equal(cast_code(WM_DT_F16, &tie, WM_DT_F64), 0x3c01);
        assert_int_equal(cast_code(WM_DT_F16, &below, WM_DT_F64), 0x3c00);
    }
}

struct row {
    double v;
    enum wm_dtype to;
    int64_t want;
    unsigned overflow, nan, inexact;
};

/* As torch does it on this processor: towards zero; out of range wraps through the register it is
 * made in. */
static void
test_to_integers(void **state)
{
    static const struct row row[] = {
        {2.9, WM_DT_I32, 2, 0, 0, 1},
        {-2.9, WM_DT_I32, -2, 0, 0, 1},
        {2, WM_DT_I8, 2, 0, 0, 0},
        {300, WM_DT_I8, 44, 1, 0, 0},
        {300, WM_DT_U8, 44, 1, 0, 0},
        {-1, WM_DT_U8, 255, 1, 0, 0},
        {-0.5, WM_DT_U8, 0, 0, 0, 1},
        {70000, WM_DT_I16, 4464, 1, 0, 0},
        {3e9, WM_DT_I32, INT32_MIN, 1, 0, 0},
        {3e9, WM_DT_U32, 3000000000, 0, 0, 0},
        {1e19, WM_DT_I64, INT64_MIN, 1, 0, 0},
        {1e19, WM_DT_U64, (int64_t)UINT64_C(10000000000000000000), 0, 0, 0},
        {NAN, WM_DT_I32, INT32_MIN, 0, 1, 0},
        {NAN, WM_DT_BOOL, 1, 0, 1, 0},
        {0.5, WM_DT_BOOL, 1, 0, 0, 1},
        {-0.0, WM_DT_BOOL, 0, 0, 0, 0},
        {INFINITY, WM_DT_I64, INT64_MIN, 1, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(row); i++) {
        struct wm_cast_count count = {0};
        uint64_t got = 0, want = (uint64_t)row[i].want;
        uint32_t size = wm_dtype_info[row[i].to].bits / 8;

        wm_cast(&got, row[i].to, &row[i].v, WM_DT_F64, 1, &count);
        assert_memory_equal(&got, &want, size);
        assert_int_equal(count.overflow, row[i].overflow);
        assert_int_equal(count.nan, row[i].nan);
        assert_int_equal(count.inexact, row[i].inexact);
    }
    {
        int32_t v[4] = {-1, 255, 256, 7}, back[4];
        uint8_t u[4];
        struct wm_cast_count count = {0};

        wm_cast(u, WM_DT_U8, v, WM_DT_I32, 4, &count);
        assert_memory_equal(u, "\xff\xff\x00\x07", 4);
        assert_int_equal(count.overflow, 2);
        wm_cast(back, WM_DT_I32, u, WM_DT_U8, 4, &count);
        assert_int_equal(back[1], 255);
        assert_int_equal(count.overflow, 2);
    }
}

static void
test_e8m0(void **state)
{
    static const struct {
        float v;
        uint8_t code;
    } row[] = {
        {1.0f, 127}, {2.0f, 128}, {1.4999f, 127},  {1.5f, 128},    {3.0f, 129},      {-4.0f, 129},
        {0.0f, 0},   {NAN, 255},  {INFINITY, 255}, {0x1p-127f, 0}, {0x1.8p-127f, 1},
    };

    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(row); i++)
        assert_int_equal(cast_code(WM_DT_F8_E8M0, &row[i].v, WM_DT_F32), row[i].code);
    for (unsigned code = 0; code < 255; code++) {
        struct wm_cast_count count = {0};
        float v;

        wm_cast(&v, WM_DT_F32, &code, WM_DT_F8_E8M0, 1, &count);
        assert_true(v == ldexpf(1, (int)code - 127));
        assert_int_equal(cast_code(WM_DT_F8_E8M0, &v, WM_DT_F32), code);
    }
}

/* n float32s at once give the bytes and the counts of each alone. */
static void
check_together(enum wm_dtype to, const uint32_t *x, uint64_t n)
{
    unsigned char all[512 * 2], one[2];
    struct wm_cast_count sum = {0}, each = {0};
    uint32_t size = wm_dtype_info[to].bits / 8u;

    wm_cast(all, to, x, WM_DT_F32, n, &sum);
    for (uint64_t i = 0; i < n; i++) {
        wm_cast(one, to, x + i, WM_DT_F32, 1, &each);
        assert_memory_equal(one, all + i * size, size);
    }
    assert_int_equal(sum.nan, each.nan);
    assert_int_equal(sum.overflow, each.overflow);
    assert_int_equal(sum.inexact, each.inexact);
}

/* Loops over many numbers take short cuts where none of them is large or no number. */
static void
test_together(void **state)
{
    uint32_t x[512], seed = 7, low[] = {0, 1, 0xfff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001, 0xffff};

    (void)state;
    for (size_t f = 0; f < WM_COUNTOF(formats); f++)
        for (uint32_t r = 0; r < 60; r++) {
            for (uint32_t i = 0; i < 300; i++) {
                seed = seed * 1664525u + 1013904223u;
                x[i] = (seed >> 1) ^ seed << 17;
                if (r % 2) /* none that overflows */
                    x[i] = (x[i] & 0x80ffffff) | (100 + x[i] % 40 / 2) << 23;
            }
            if (r % 4 == 3)
                x[r] = r % 8 == 3 ? 0x7fc12345 : 0xff800000;
            check_together(formats[f].t, x, 240 + r);
        }
    for (uint32_t high = 0; high < 0x10000; high += 32) /* every upper half, with what rounds all ways */
        for (size_t k = 0; k < WM_COUNTOF(low); k++) {
            for (uint32_t i = 0; i < 32; i++)
                x[i] = (high + i) << 16 | low[k];
            for (uint32_t i = 32; i < 64; i++) /* the same, in the range of F16 */
                x[i] = (x[i - 32] & 0x8fffffff) | 0x30000000 | (x[i - 32] >> 3 & 0x08000000);
            check_together(WM_DT_BF16, x, 64);
            check_together(WM_DT_F16, x, 64);
        }
}

static void
test_counts(void **state)
{
    float v[] = {1.0f, 1.1f, 70000.0f, NAN, INFINITY, -0.0f, 1e-30f};
    uint16_t r[7];
    struct wm_cast_count count = {0};

    (void)state;
    wm_cast(r, WM_DT_F16, v, WM_DT_F32, 7, &count);
    assert_int_equal(count.overflow, 1);
    assert_int_equal(count.nan, 1);
    assert_int_equal(count.inexact, 2);
    count = (struct wm_cast_count){0};
    {
        float big[] = {448, 464, 465, -1e9f, INFINITY, NAN}; /* saturate from 465 on */

        wm_cast(r, WM_DT_F8_E4M3, big, WM_DT_F32, 6, &count);
        assert_memory_equal(r, "\x7e\x7e\x7e\xfe\x7e\x7f", 6);
        assert_int_equal(count.overflow, 3);
        assert_int_equal(count.inexact, 1);
        assert_int_equal(count.nan, 1);
    }
    count = (struct wm_cast_count){0};
    {
        double d[] = {1e300, 0.1, 0.5};
        float f[3];

        wm_cast(f, WM_DT_F32, d, WM_DT_F64, 3, &count);
        assert_int_equal(count.overflow, 1);
        assert_int_equal(count.inexact, 1);
    }
}

/* Every pair of number types agrees on small whole numbers and keeps long arrays in order. */
static void
test_all_pairs(void **state)
{
    enum { N = 1500 };
    static uint8_t src[N * 8], dst[N * 8], back[N * 8];
    static int8_t want[N];

    (void)state;
    for (int i = 0; i < N; i++)
        want[i] = (int8_t)(i % 9);
    for (int from = 0; from < WM_DT_N; from++)
        for (int to = 0; to < WM_DT_N; to++) {
            struct wm_cast_count count = {0};

            if (wm_dtype_info[from].bits < 8 || wm_dtype_info[to].bits < 8 ||
                wm_dtype_info[from].kind == 'C' || wm_dtype_info[to].kind == 'C' ||
                from == WM_DT_BOOL || to == WM_DT_BOOL || from == WM_DT_F8_E8M0 ||
                to == WM_DT_F8_E8M0)
                continue;
            wm_cast(src, (enum wm_dtype)from, want, WM_DT_I8, N, &count);
            count = (struct wm_cast_count){0};
            wm_cast(dst, (enum wm_dtype)to, src, (enum wm_dtype)from, N, &count);
            wm_cast(back, WM_DT_I8, dst, (enum wm_dtype)to, N, &count);
            assert_memory_equal(back, want, N);
            assert_int_equal(count.overflow + count.inexact + count.nan, 0);
        }
}

static void
test_steps(void **state)
{
    uint16_t v[4] = {0x3f80, 0x4000, 0xbf80, 0x7fc0}, r[4]; /* bf16: 1 2 -1 NaN */
    struct wm_cast_count count = {0};
    struct wm_plan_step s = {.kind = WM_SP_ADD, .from = WM_DT_BF16, .to = WM_DT_BF16, .value = 1};

    (void)state;
    assert_int_equal(wm_step(&s, r, v, 4, &count), 4);
    assert_int_equal(r[0], 0x4000);
    assert_int_equal(r[1], 0x4040);
    assert_int_equal(r[2], 0);
    s.kind = WM_SP_NEG;
    wm_step(&s, r, v, 4, &count);
    assert_int_equal(r[0], 0xbf80);
    s.kind = WM_SP_EXP;
    wm_step(&s, r, v, 4, &count);
    assert_int_equal(r[0], 0x402e); /* 2.71875 */
    s.kind = WM_SP_LOG;
    wm_step(&s, r, r, 1, &count);
    assert_int_equal(r[0], 0x3f80);
    s = (struct wm_plan_step){.kind = WM_SP_UNCAST, .from = WM_DT_BF16, .to = WM_DT_F8_E4M3};
    v[2] = 0x3f81;
    assert_int_equal(wm_step(&s, r, v, 4, &count), 2);
    v[2] = v[3];
    assert_int_equal(wm_step(&s, r, v, 4, &count), 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),       cmocka_unit_test(test_round),
        cmocka_unit_test(test_narrow_pairs), cmocka_unit_test(test_integers),
        cmocka_unit_test(test_to_integers),  cmocka_unit_test(test_e8m0),
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_counts),       cmocka_unit_test(test_all_pairs),
        cmocka_unit_test(test_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
