/* compiler/scalar.c -- one element, to and from the bytes of a data type.
 *
 * Enters: a value of a map.  Leaves: a pattern for fills and padding.  The rounding is that of the
 * runtime's kernels: once, to nearest even; what would overflow there is refused here. */
#include "compiler/scalar.h"

#include <math.h>

/* How the largest exponent of a float type is used. */
enum special { IEEE, FINITE_NAN, FNUZ };

struct codec {
    uint32_t mantissa;
    int bias;
    enum special special;
};

static struct codec
codec_of(enum wm_dtype t)
{
    const struct wm_dtype_info *d = &wm_dtype_info[t];
    struct codec c = {d->mantissa, (1 << (d->exponent - 1)) - 1, IEEE};

    if (t == WM_DT_F8_E4M3)
        c.special = FINITE_NAN;
    if (t == WM_DT_F8_E4M3FNUZ || t == WM_DT_F8_E5M2FNUZ) {
        c.special = FNUZ;
        c.bias++;
    }
    return c;
}

bool
wm_scalar_has(enum wm_dtype t)
{
    const struct wm_dtype_info *d = &wm_dtype_info[t];

    return d->kind != 'C' && d->bits >= 8;
}

static void
put(uint64_t bits, uint32_t nbits, uint8_t pattern[16])
{
    memset(pattern, 0, 16);
    for (uint32_t k = 0; k < nbits / 8; k++)
        pattern[k] = (uint8_t)(bits >> 8 * k);
}

static uint64_t
get(const uint8_t pattern[16], uint32_t nbits)
{
    uint64_t bits = 0;

    for (uint32_t k = 0; k < nbits / 8; k++)
        bits |= (uint64_t)pattern[k] << 8 * k;
    return bits;
}

/* ---- floats ---- */

/* The bits that hold infinity and the largest finite number; of types without infinity, the first
 * is 0. */
static void
limits(enum wm_dtype t, const struct codec *c, uint64_t *inf, uint64_t *max, uint64_t *nan)
{
    uint64_t top = (uint64_t)((1u << wm_dtype_info[t].exponent) - 1) << c->mantissa;
    uint64_t frac = (1ull << c->mantissa) - 1;

    *inf = 0;
    switch (c->special) {
    case IEEE:
        *inf = top;
        *max = top - 1;
        *nan = top | 1ull << (c->mantissa - 1);
        break;
    case FINITE_NAN:
        *max = (top | frac) - 1;
        *nan = top | frac;
        break;
    case FNUZ:
        *max = top | frac;
        *nan = 1ull << (wm_dtype_info[t].bits - 1);
        break;
    }
}

static bool
encode_float(enum wm_dtype t, double v, uint64_t *out)
{
    struct codec c = codec_of(t);
    uint64_t inf, max, nan, bits, sign = 1ull << (wm_dtype_info[t].bits - 1);
    int e, least = 1 - c.bias;
    double q;

    limits(t, &c, &inf, &max, &nan);
    if (isnan(v))
        return *out = nan, true;
    if (!signbit(v))
        sign = 0;
    v = fabs(v);
    if (isinf(v)) {
        *out = sign | inf;
        return inf != 0;
    }
    e = v > 0 ? ilogb(v) : least;
    e = e < least ? least : e;
    /* v in units of its last place; a carry into the next binade is right as it stands. */
    q = nearbyint(ldexp(v, (int)c.mantissa - e));
    bits = (uint64_t)q + ((uint64_t)(e - least) << c.mantissa);
    if (bits > max)
        return false;
    *out = c.special == FNUZ && bits == 0 ? 0 : bits | sign;
    return true;
}

static double
decode_float(enum wm_dtype t, uint64_t bits)
{
    struct codec c = codec_of(t);
    uint64_t inf, max, nan, sign = 1ull << (wm_dtype_info[t].bits - 1), mag = bits & (sign - 1);
    int e = (int)(mag >> c.mantissa);
    double v;

    limits(t, &c, &inf, &max, &nan);
    if (c.special == FNUZ ? bits == nan : mag > (inf ? inf : max))
        return NAN;
    if (inf && mag == inf)
        return bits & sign ? -INFINITY : INFINITY;
    v = (double)(mag & ((1ull << c.mantissa) - 1));
    if (e > 0)
        v += ldexp(1, (int)c.mantissa);
    v = ldexp(v, (e > 0 ? e : 1) - c.bias - (int)c.mantissa);
    return bits & sign ? -v : v;
}

/* ---- integers ---- */

static bool
encode_int(enum wm_dtype t, int64_t i, uint64_t *out)
{
    uint32_t bits = wm_dtype_info[t].bits;
    char kind = wm_dtype_info[t].kind;

    *out = (uint64_t)i;
    if (kind == 'B')
        return i == 0 || i == 1;
    if (kind == 'U')
        return i >= 0 && (bits == 64 || i < (int64_t)1 << bits);
    return bits == 64 || (i >= -((int64_t)1 << (bits - 1)) && i < (int64_t)1 << (bits - 1));
}

static struct wm_value
decode(enum wm_dtype t, const uint8_t pattern[16])
{
    const struct wm_dtype_info *d = &wm_dtype_info[t];
    uint64_t bits = get(pattern, d->bits);
    uint32_t up = 64 - d->bits;

    if (t == WM_DT_F8_E8M0)
        return (struct wm_value){.kind = WM_V_FLOAT,
                                 .u.f = bits == 255 ? NAN : ldexp(1, (int)bits - 127)};
    if (d->kind == 'F')
        return (struct wm_value){.kind = WM_V_FLOAT, .u.f = decode_float(t, bits)};
    if (d->kind == 'U' && bits > INT64_MAX)
        return (struct wm_value){.kind = WM_V_FLOAT, .u.f = (double)bits};
    if (d->kind == 'I' && bits >> (d->bits - 1))
        bits = bits << up >> up | (up ? ~0ull << d->bits : 0);
    return (struct wm_value){.kind = WM_V_INT, .u.i = (int64_t)bits};
}

bool
wm_scalar_encode(enum wm_dtype t, struct wm_value v, uint8_t pattern[16])
{
    const struct wm_dtype_info *d = &wm_dtype_info[t];
    uint64_t bits = 0;
    bool fits;

    if (!wm_scalar_has(t))
        return false;
    if (v.kind == WM_V_BOOL)
        v = (struct wm_value){.kind = WM_V_INT, .u.i = v.u.b};
    if (v.kind == WM_V_FLOAT && d->kind != 'F') {
        if (v.u.f != floor(v.u.f) || fabs(v.u.f) > 9007199254740992.0)
            return false;
        v = (struct wm_value){.kind = WM_V_INT, .u.i = (int64_t)v.u.f};
    }
    if (v.kind == WM_V_INT && d->kind == 'F') {
        if (v.u.i > 9007199254740992 || v.u.i < -9007199254740992)
            return false;
        v = (struct wm_value){.kind = WM_V_FLOAT, .u.f = (double)v.u.i};
    }
    if (t == WM_DT_F8_E8M0) {
        int e = 129;

        fits = v.kind == WM_V_FLOAT &&
               (isnan(v.u.f) || (frexp(v.u.f, &e) == 0.5 && e >= -126 && e <= 128));
        bits = (uint64_t)(e + 126);
    } else if (v.kind == WM_V_FLOAT) {
        fits = encode_float(t, v.u.f, &bits);
    } else {
        fits = v.kind == WM_V_INT && encode_int(t, v.u.i, &bits);
    }
    if (fits)
        put(bits, d->bits, pattern);
    return fits;
}

/* ---- steps ---- */

static bool
convert(enum wm_dtype from, enum wm_dtype to, uint8_t pattern[16])
{
    struct wm_value v = decode(from, pattern);
    char kind = wm_dtype_info[to].kind;

    if (from == to)
        return true;
    if (kind == 'B')
        v = (struct wm_value){.kind = WM_V_INT,
                              .u.i = v.kind == WM_V_INT ? v.u.i != 0 : v.u.f != 0};
    else if (kind != 'F' && v.kind == WM_V_FLOAT)
        v.u.f = trunc(v.u.f);
    return wm_scalar_encode(to, v, pattern);
}

static double
compute(const struct wm_plan_step *s, double v)
{
    bool wide = s->from == WM_DT_F64;

    switch ((enum wm_step_kind)s->kind) {
    case WM_SP_ADD:
        return wide ? v + s->value : (double)((float)v + (float)s->value);
    case WM_SP_MUL:
        return wide ? v * s->value : (double)((float)v * (float)s->value);
    case WM_SP_NEG:
        return -v;
    case WM_SP_EXP:
        return wide ? exp(v) : (double)expf((float)v);
    case WM_SP_LOG:
        return wide ? log(v) : (double)logf((float)v);
    default:
        return v;
    }
}

bool
wm_scalar_step(const struct wm_plan_step *s, uint8_t pattern[16])
{
    uint8_t before[16], again[16];
    struct wm_value v;

    if (!wm_scalar_has(s->from) || !wm_scalar_has(s->to))
        return false;
    switch ((enum wm_step_kind)s->kind) {
    case WM_SP_CAST:
        return convert(s->from, s->to, pattern);
    case WM_SP_UNCAST:
        memcpy(before, pattern, 16);
        if (!convert(s->from, s->to, pattern))
            return false;
        memcpy(again, pattern, 16);
        return convert(s->to, s->from, again) && memcmp(before, again, 16) == 0;
    default:
        v = decode(s->from, pattern);
        if (v.kind != WM_V_FLOAT)
            return false;
        v.u.f = compute(s, v.u.f);
        return wm_scalar_encode(s->to, v, pattern);
    }
}

/* ---- which casts lose nothing ---- */

/* Bits of the largest magnitude of an integer type. */
static uint32_t
magnitude(const struct wm_dtype_info *d)
{
    return d->kind == 'B' ? 1 : d->kind == 'I' ? d->bits - 1u : d->bits;
}

bool
wm_dtype_widens(enum wm_dtype from, enum wm_dtype to)
{
    const struct wm_dtype_info *f = &wm_dtype_info[from], *t = &wm_dtype_info[to];

    if (from == to)
        return true;
    if (!wm_scalar_has(from) || !wm_scalar_has(to) || t->kind == 'B' || to == WM_DT_F8_E8M0)
        return false;
    if (f->kind == 'F')
        /* Among types of one size in bits the special values differ. */
        return t->kind == 'F' && t->bits > f->bits && t->exponent >= f->exponent &&
               t->mantissa >= f->mantissa;
    if (t->kind == 'F')
        return magnitude(f) <= t->mantissa + 1u && (int)magnitude(f) < (1 << (t->exponent - 1));
    if (f->kind == 'I' && t->kind == 'U')
        return false;
    return magnitude(f) <= magnitude(t);
}
