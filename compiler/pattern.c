/* compiler/pattern.c -- expands and solves resolved patterns (see pattern.h). */
#include "compiler/pattern.h"

#include "base/checked.h"

static bool expand(struct wm_arena *a, const struct wm_rpat *p, const int64_t *size, struct wm_alts *out);

static void
push_axis(struct wm_arena *a, struct wm_alts *out, uint32_t axis)
{
    struct wm_alt *alt = WM_PUSH(a, &out->alt);

    *alt = (struct wm_alt){.naxis = 1, .axis = WM_NEW(a, uint32_t), .stride = WM_NEW(a, int64_t)};
    alt->axis[0] = axis;
    alt->stride[0] = 1;
}

/* out = out x in, where `in` is inner: the strides of out grow by its extent. */
static bool
multiply(struct wm_arena *a, struct wm_alts *out, const struct wm_alts *in, bool sized)
{
    struct wm_alts r = {.extent = 1};

    if ((uint64_t)out->alt.n * in->alt.n > WM_MAX_ALTS)
        return false;
    if (sized && !wm_ck_mul(out->extent, in->extent, &r.extent))
        return false;
    for (uint32_t i = 0; i < out->alt.n; i++)
        for (uint32_t j = 0; j < in->alt.n; j++) {
            const struct wm_alt *x = &out->alt.item[i], *y = &in->alt.item[j];
            struct wm_alt *z = WM_PUSH(a, &r.alt);

            z->naxis = x->naxis + y->naxis;
            z->axis = WM_NEW_N(a, uint32_t, z->naxis);
            z->stride = WM_NEW_N(a, int64_t, z->naxis);
            z->off = sized ? x->off * in->extent + y->off : 0;
            for (uint32_t k = 0; k < x->naxis; k++) {
                z->axis[k] = x->axis[k];
                z->stride[k] = sized ? x->stride[k] * in->extent : 0;
            }
            for (uint32_t k = 0; k < y->naxis; k++) {
                z->axis[x->naxis + k] = y->axis[k];
                z->stride[x->naxis + k] = y->stride[k];
            }
        }
    *out = r;
    return true;
}

static bool
expand_product(struct wm_arena *a, const struct wm_rpat *item, uint32_t n, const int64_t *size,
               struct wm_alts *out)
{
    *out = (struct wm_alts){.extent = 1};
    *WM_PUSH(a, &out->alt) = (struct wm_alt){0};
    for (uint32_t i = 0; i < n; i++) {
        struct wm_alts in;

        if (!expand(a, &item[i], size, &in) || !multiply(a, out, &in, size != NULL))
            return false;
    }
    return true;
}

static bool
expand_sum(struct wm_arena *a, const struct wm_rpat *p, const int64_t *size, struct wm_alts *out)
{
    *out = (struct wm_alts){0};
    for (uint32_t i = 0; i < p->nitem; i++) {
        struct wm_alts in;

        if (!expand(a, &p->item[i], size, &in) || out->alt.n + in.alt.n > WM_MAX_ALTS)
            return false;
        for (uint32_t k = 0; k < in.alt.n; k++) {
            struct wm_alt *alt = WM_PUSH(a, &out->alt);

            *alt = in.alt.item[k];
            alt->off += out->extent;
        }
        if (size && !wm_ck_add(out->extent, in.extent, &out->extent))
            return false;
    }
    return true;
}

static bool
expand(struct wm_arena *a, const struct wm_rpat *p, const int64_t *size, struct wm_alts *out)
{
    switch (p->kind) {
    case WM_PT_PRODUCT:
        return expand_product(a, p->item, p->nitem, size, out);
    case WM_PT_SUM:
        return expand_sum(a, p, size, out);
    case WM_PT_ONE:
        return expand_product(a, NULL, 0, size, out);
    case WM_PT_AXIS:
    case WM_PT_REST:
    default:
        *out = (struct wm_alts){0};
        push_axis(a, out, p->kind == WM_PT_REST ? WM_AX_REST : p->axis);
        out->extent = size ? size[out->alt.item[0].axis[0]] : 0;
        return true;
    }
}

bool
wm_term_expand(struct wm_arena *a, const struct wm_rterm *t, const int64_t *size, struct wm_alts *out)
{
    return expand_product(a, t->dim, t->ndim, size, out);
}

bool
wm_dim_size(const struct wm_rpat *p, const int64_t *size, int64_t *out)
{
    int64_t r = p->kind == WM_PT_SUM ? 0 : 1, s;

    switch (p->kind) {
    case WM_PT_AXIS:
        *out = size[p->axis];
        return true;
    case WM_PT_REST:
        *out = size[WM_AX_REST];
        return true;
    case WM_PT_PRODUCT:
    case WM_PT_SUM:
        for (uint32_t i = 0; i < p->nitem; i++)
            if (!wm_dim_size(&p->item[i], size, &s) ||
                !(p->kind == WM_PT_SUM ? wm_ck_add(r, s, &r) : wm_ck_mul(r, s, &r)))
                return false;
        break;
    default:
        break;
    }
    *out = r;
    return true;
}

uint32_t
wm_dim_unknown(const struct wm_rpat *p, const bool *known, uint32_t *axis)
{
    uint32_t n = 0;

    if (p->kind == WM_PT_AXIS && !known[p->axis]) {
        *axis = p->axis;
        return 1;
    }
    for (uint32_t i = 0; i < p->nitem; i++) {
        uint32_t other = 0, k = wm_dim_unknown(&p->item[i], known, &other);

        /* the same one again counts once: a dimension is linear in each of its axes */
        if (k > 0 && !(k == 1 && n == 1 && other == *axis)) {
            n += k;
            *axis = other;
        }
    }
    return n;
}

/* The unknown axes (size < 0): how many different ones, and one of them. */
static uint32_t
find_unknown(const struct wm_rpat *p, const int64_t *size, uint32_t *axis)
{
    uint32_t n = 0;

    if (p->kind == WM_PT_AXIS && size[p->axis] < 0) {
        *axis = p->axis;
        return 1;
    }
    for (uint32_t i = 0; i < p->nitem; i++) {
        uint32_t other = 0, k = find_unknown(&p->item[i], size, &other);

        if (k > 0 && !(k == 1 && n == 1 && other == *axis)) {
            n += k;
            *axis = other;
        }
    }
    return n;
}

/* A dimension is linear in the unknown x: its extent is a * x + b, and two evaluations give a and b. */
enum wm_solve
wm_dim_solve(const struct wm_rpat *p, int64_t *size, int64_t extent, uint32_t *axis)
{
    uint32_t n = find_unknown(p, size, axis);
    int64_t a, b;
    bool ok;

    if (n != 1)
        return n == 0 ? WM_SOLVE_NONE : WM_SOLVE_MANY;
    size[*axis] = 0;
    ok = wm_dim_size(p, size, &b);
    size[*axis] = 1;
    ok = ok && wm_dim_size(p, size, &a);
    size[*axis] = -1;
    if (!ok || b > extent)
        return WM_SOLVE_BAD;
    a -= b;
    if (a == 0)
        return b == extent ? WM_SOLVE_MANY : WM_SOLVE_BAD; /* 0 = 0 * x: any x */
    if ((extent - b) % a != 0)
        return WM_SOLVE_BAD;
    size[*axis] = (extent - b) / a;
    return WM_SOLVED;
}
