/* runtime/jit_nest.c -- which kernel a movement in memory would use, and how fast that would be.
 *
 * In: dims as wm_permute() takes them.  Out: their normal form without the outermost extent, so
 * that windows cut anywhere share a kernel. */
#include <math.h>
#include <string.h>

#include "runtime/jit.h"

/* Drop extents of 1, order by dst, merge; false where there are too many. */
static bool
normal(struct wm_jit_nest *x, const struct wm_kdim *dim, uint32_t rank)
{
    uint32_t n = 0, m = 0;

    for (uint32_t k = 0; k < rank; k++) {
        uint32_t at = n;

        if (dim[k].n == 1)
            continue;
        if (n == WM_JIT_RANK)
            return false;
        for (; at > 0 && x->dim[at - 1].dst < dim[k].dst; at--)
            x->dim[at] = x->dim[at - 1];
        x->dim[at] = dim[k];
        n++;
    }
    for (uint32_t k = 0; k < n; k++) {
        struct wm_kdim d = x->dim[k], *last = m ? &x->dim[m - 1] : NULL;

        if (last && last->dst == d.dst * d.n && last->src == d.src * d.n) {
            d.n *= last->n;
            *last = d;
        } else {
            x->dim[m++] = d;
        }
    }
    x->rank = m;
    for (; m < n; m++)
        x->dim[m] = (struct wm_kdim){0, 0, 0};
    return true;
}

static bool
is_number(uint32_t t, bool source)
{
    switch (t) {
    case WM_DT_F8_E5M2:
    case WM_DT_F8_E4M3:
    case WM_DT_F8_E8M0:
    case WM_DT_F8_E4M3FNUZ:
    case WM_DT_F8_E5M2FNUZ:
    case WM_DT_F16:
    case WM_DT_BF16:
    case WM_DT_F32:
    case WM_DT_F64:
        return true;
    case WM_DT_BOOL:
    case WM_DT_U8:
    case WM_DT_I8:
    case WM_DT_U16:
    case WM_DT_I16:
        return source;
    default:
        return false;
    }
}

/* Casts to floats and arithmetic; integers, exp, log and ways back stay with the interpreter. */
static bool
can_step(const struct wm_plan_step *s)
{
    switch (s->kind) {
    case WM_SP_CAST:
        return is_number(s->from, true) && is_number(s->to, false);
    case WM_SP_ADD:
    case WM_SP_MUL:
        return is_number(s->from, false) && !isnan(s->value); /* else the sum of two NaNs */
    case WM_SP_NEG:
        return is_number(s->from, false);
    default:
        return false;
    }
}

bool
wm_jit_nest_of(struct wm_jit_nest *nest, int64_t *n, const struct wm_kdim *dim, uint32_t rank,
               uint32_t in, uint32_t out, const struct wm_plan_step *step, uint32_t nstep)
{
    struct wm_kdim *last;

    memset(nest, 0, sizeof(*nest));
    if (nstep > WM_JIT_STEPS || !normal(nest, dim, rank))
        return false;
    last = nest->rank ? &nest->dim[nest->rank - 1] : NULL;
    if (!nstep && last && last->src == in && last->dst == in) { /* runs are longer than that */
        if (nest->rank == 1 || last->n > WM_JIT_RUN / in)
            return false;
        in *= (uint32_t)last->n;
        out = in;
        *last = (struct wm_kdim){0, 0, 0};
        nest->rank--;
    }
    if (!nstep && (!nest->rank || in > WM_JIT_RUN))
        return false;
    if (nest->rank == 0) {
        nest->rank = 1;
        nest->dim[0] = (struct wm_kdim){1, out, in};
    }
    nest->in = in;
    nest->out = out;
    nest->nstep = nstep;
    for (uint32_t i = 0; i < nstep; i++) {
        if (!can_step(&step[i]))
            return false;
        nest->step[i] = (struct wm_jit_step){step[i].kind, step[i].from, step[i].to};
    }
    *n = nest->dim[0].n;
    nest->dim[0].n = 0;
    return true;
}

/* ---- what it takes: measured by bench/jit_bench ---- */

enum { NEVER = 1 << 30 };

/* Picoseconds per element to round to a format, or to read it; `counts`: a cast's are counted. */
static uint64_t
rounding(uint32_t t, bool counts)
{
    switch (t) {
    case WM_DT_F32:
        return 60;
    case WM_DT_F64:
        return 200;
    case WM_DT_BF16:
        return counts ? 400 : 200;
    default:
        return counts ? 950 : 750;
    }
}

static uint64_t
reading(uint32_t t)
{
    return t == WM_DT_F64 ? 700 : t == WM_DT_BF16 || t == WM_DT_F32 ? 60 : 150;
}

static uint64_t
expected_steps(const struct wm_jit_nest *nest)
{
    const struct wm_kdim *last = &nest->dim[nest->rank - 1];
    uint64_t ps = 0;

    for (uint32_t i = 0; i < nest->nstep; i++) {
        const struct wm_jit_step *s = &nest->step[i];

        if (s->kind == WM_SP_CAST)
            ps += reading(s->from) + rounding(s->to, true);
        else
            ps += 100 + (s->from == WM_DT_F64 ? 200 : reading(s->from) + rounding(s->from, false));
    }
    if (last->src != nest->in || last->dst != nest->out)
        ps += 600;
    if (last->src > 64 || last->src < -64) /* a line of the cache each */
        ps += 1600;
    return ps / nest->out;
}

uint64_t
wm_jit_expected(const struct wm_jit_nest *nest)
{
    struct weave w;
    int64_t read = 0;

    if (nest->nstep)
        return expected_steps(nest);
    if (!wm_weave_choose(nest, &w))
        return nest->in >= 24 ? 100 : NEVER;
    for (uint32_t k = 0; k < w.nwindow; k++)
        read += w.window[k].n;
    if (read < 8 * (int64_t)w.nwindow) /* a transpose: one load an element */
        return NEVER;
    return read <= (int64_t)(w.bytes + w.bytes / 4) ? 60 : NEVER;
}
