/* api/element.c -- see element.h.
 *
 * All floats are decoded by one function from the widths in dtype.def; only what the 8-bit types do
 * with their last codes differs (E4M3: one NaN and no infinity; FNUZ: NaN is -0; E8M0: an exponent
 * without sign). */
#include "api/element.h"

#include <inttypes.h>
#include <math.h>

unsigned
wm_element_unit(enum wm_dtype t)
{
    return wm_dtype_info[t].bits < 8 ? 1 : wm_dtype_info[t].bits / 8u;
}

bool
wm_element_is_real(enum wm_dtype t)
{
    return wm_dtype_info[t].bits >= 8 && wm_dtype_info[t].kind != 'C';
}

static uint64_t
load(const unsigned char *p, unsigned nbytes)
{
    uint64_t v = 0;

    for (unsigned k = nbytes; k-- > 0;)
        v = v << 8 | p[k];
    return v;
}

static double
e8m0(uint64_t bits)
{
    return bits == 0xff ? (double)NAN : ldexp(1.0, (int)bits - 127);
}

static double
decode_float(enum wm_dtype t, uint64_t bits)
{
    const struct wm_dtype_info *d = &wm_dtype_info[t];
    bool fnuz = t == WM_DT_F8_E4M3FNUZ || t == WM_DT_F8_E5M2FNUZ;
    uint64_t man = bits & ((UINT64_C(1) << d->mantissa) - 1);
    int top = (1 << d->exponent) - 1;
    int e = (int)(bits >> d->mantissa) & top;
    int bias = (1 << (d->exponent - 1)) - (fnuz ? 0 : 1);
    bool negative = bits >> (d->bits - 1) & 1;
    double v;

    if (fnuz && bits == 0x80)
        return (double)NAN;
    if (t == WM_DT_F8_E4M3) {
        if (e == top && man == 7)
            return (double)NAN;
    } else if (!fnuz && e == top) {
        v = man ? (double)NAN : (double)INFINITY;
        return negative ? -v : v;
    }
    v = e == 0 ? ldexp((double)man, 1 - bias - d->mantissa)
               : ldexp((double)(man | UINT64_C(1) << d->mantissa), e - bias - d->mantissa);
    return negative ? -v : v;
}

double
wm_element_get(enum wm_dtype t, const unsigned char *p)
{
    const struct wm_dtype_info *d = &wm_dtype_info[t];
    uint64_t bits = load(p, wm_element_unit(t));

    if (t == WM_DT_F32) {
        uint32_t low = (uint32_t)bits;
        float f;

        memcpy(&f, &low, sizeof(f));
        return (double)f;
    }
    if (t == WM_DT_F64) {
        double f;

        memcpy(&f, &bits, sizeof(f));
        return f;
    }
    if (t == WM_DT_F8_E8M0)
        return e8m0(bits);
    if (d->kind == 'F')
        return decode_float(t, bits);
    if (d->kind == 'I' && d->bits < 64 && bits >> (d->bits - 1) & 1)
        return (double)(int64_t)(bits | ~UINT64_C(0) << d->bits);
    return d->kind == 'I' ? (double)(int64_t)bits : (double)bits;
}

void
wm_element_print(enum wm_dtype t, const unsigned char *p, struct wm_buf *out)
{
    const struct wm_dtype_info *d = &wm_dtype_info[t];
    uint64_t bits = load(p, wm_element_unit(t));

    if (d->kind == 'C' || d->bits < 8)
        wm_buf_printf(out, "0x%0*" PRIx64, (int)(2 * wm_element_unit(t)), bits);
    else if (t == WM_DT_I64)
        wm_buf_printf(out, "%" PRId64, (int64_t)bits);
    else if (t == WM_DT_U64)
        wm_buf_printf(out, "%" PRIu64, bits);
    else if (d->kind == 'F' && isnan(wm_element_get(t, p)))
        wm_buf_printf(out, "nan (0x%0*" PRIx64 ")", (int)(2 * wm_element_unit(t)), bits);
    else
        wm_buf_printf(out, "%.*g", t == WM_DT_F64 ? 17 : 9, wm_element_get(t, p));
}
