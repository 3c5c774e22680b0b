/* compiler/scalar.c -- one element, to and from the bytes of a data type.
 *
 * Enters: a value of a map.  Leaves: a pattern for fills and padding.  The kernels of the runtime do
 * the work, so that a constant becomes what an element of the data would; what overflows is refused. */
#include "compiler/scalar.h"

#include <math.h>

#include "runtime/kernels/kernel.h"

bool
wm_scalar_has(enum wm_dtype t)
{
    const struct wm_dtype_info *d = &wm_dtype_info[t];

    return d->kind != 'C' && d->bits >= 8;
}

/* Types whose values are told apart by more than rounding: a fraction can't just go. */
static bool
is_exact(enum wm_dtype t)
{
    return wm_dtype_info[t].kind != 'F' || t == WM_DT_F8_E8M0;
}

bool
wm_scalar_encode(enum wm_dtype t, struct wm_value v, uint8_t pattern[16])
{
    struct wm_cast_count count = {0};
    int64_t i = v.kind == WM_V_BOOL ? v.u.b : v.u.i;
    uint8_t to[16] = {0};

    if (!wm_scalar_has(t))
        return false;
    if (v.kind == WM_V_FLOAT)
        wm_cast(to, t, &v.u.f, WM_DT_F64, 1, &count);
    else if (v.kind == WM_V_INT || v.kind == WM_V_BOOL)
        wm_cast(to, t, &i, WM_DT_I64, 1, &count);
    else
        return false;
    if (count.overflow > 0 || (is_exact(t) && (count.inexact > 0 || count.nan > 0)))
        return false;
    memcpy(pattern, to, 16);
    return true;
}

bool
wm_scalar_step(const struct wm_plan_step *s, uint8_t pattern[16])
{
    struct wm_cast_count count = {0};
    uint8_t to[16] = {0};

    if (!wm_scalar_has(s->from) || !wm_scalar_has(s->to) ||
        (s->kind > WM_SP_UNCAST && is_exact(s->from)))
        return false;
    if (wm_step(s, to, pattern, 1, &count) != 1 || count.overflow > 0)
        return false;
    memcpy(pattern, to, 16);
    return true;
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

bool
wm_scalar_fill(enum wm_dtype t, struct wm_value v, uint8_t pattern[16])
{
    if (wm_scalar_encode(t, v, pattern))
        return true;
    memset(pattern, 0, 16);
    return (v.kind == WM_V_INT && v.u.i == 0) || (v.kind == WM_V_FLOAT && v.u.f == 0 && !signbit(v.u.f));
}
