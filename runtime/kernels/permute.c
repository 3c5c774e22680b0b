/* runtime/kernels/permute.c -- a nest of strided runs, moved by the kernel that fits its innermost
 * dims.
 *
 * In: any nest.  Dims that are one run on both sides are merged; then a kernel takes two dims (the
 * fastest of the output, and the fastest of the source or the next of the output), and the others
 * are counted through. */
#include <string.h>

#include "runtime/kernels/kernel.h"

const struct wm_kernel_info wm_kernel_table[WM_K_N] = {
#define WM_KERNEL(id, size) [WM_K_##id] = {#id, wm_kernel_##id, size},
#include "runtime/kernels/kernels.def"
#undef WM_KERNEL
};

/* A dimension this short is not worth blocks. */
enum { MIN_TILE = 8 };
/* A stream this short is not worth the set-up of `spread`. */
enum { MIN_SPREAD = 32 };

struct nest {
    struct wm_kdim dim[WM_PLAN_RANK + 1];
    uint32_t rank;
    uint32_t run;
};

/* Drop extents of 1, order by dst, merge. */
static void
simplify(struct nest *x, const struct wm_kdim *dim, uint32_t rank)
{
    uint32_t n = 0;

    x->rank = 0;
    for (uint32_t k = 0; k < rank; k++) {
        uint32_t at = x->rank;

        if (dim[k].n == 1)
            continue;
        for (; at > 0 && x->dim[at - 1].dst < dim[k].dst; at--)
            x->dim[at] = x->dim[at - 1];
        x->dim[at] = dim[k];
        x->rank++;
    }
    for (uint32_t k = 0; k < x->rank; k++) {
        struct wm_kdim d = x->dim[k], *last = n ? &x->dim[n - 1] : NULL;

        if (last && last->dst == d.dst * d.n && last->src == d.src * d.n) {
            d.n *= last->n;
            *last = d;
        } else {
            x->dim[n++] = d;
        }
    }
    if (n && x->dim[n - 1].dst == x->run && x->dim[n - 1].src == x->run &&
        x->dim[n - 1].n <= UINT32_MAX / x->run)
        x->run *= (uint32_t)x->dim[--n].n;
    x->rank = n;
}

static enum wm_kernel_id
line_kernel(uint32_t size)
{
    switch (size) {
    case 1:
        return WM_K_line_1;
    case 2:
        return WM_K_line_2;
    case 4:
        return WM_K_line_4;
    case 8:
        return WM_K_line_8;
    case 16:
        return WM_K_line_16;
    case 32:
        return WM_K_line_32;
    case 64:
        return WM_K_line_64;
    default:
        return WM_K_line_any;
    }
}

/* Of four kernels for 1, 2, 4, 8 bytes, in the order of the table. */
static enum wm_kernel_id
sized(enum wm_kernel_id first, uint32_t size, enum wm_kernel_id other)
{
    switch (size) {
    case 1:
    case 2:
    case 4:
    case 8:
        return first + (enum wm_kernel_id)__builtin_ctz(size);
    default:
        return other;
    }
}

static int64_t
magnitude(int64_t v)
{
    return v < 0 ? -v : v;
}

/* Take the two dims for the kernel out of the nest. */
static enum wm_kernel_id
choose(struct nest *x, struct wm_kdim *outer, struct wm_kdim *inner)
{
    uint32_t a = x->rank - 1, b = a;

    *outer = (struct wm_kdim){.n = 1};
    for (uint32_t k = 0; k < x->rank; k++) /* fastest in the source */
        if (x->dim[k].src != 0 &&
            (x->dim[b].src == 0 || magnitude(x->dim[k].src) < magnitude(x->dim[b].src)))
            b = k;
    *inner = x->dim[a];
    if (b == a)
        b = x->rank > 1 ? a - 1 : a;
    else if (x->run < 64 && x->dim[a].n >= MIN_TILE && x->dim[b].n >= MIN_TILE) {
        *outer = x->dim[b];
        memmove(&x->dim[b], &x->dim[b + 1], (x->rank - b - 1) * sizeof(x->dim[0]));
        x->rank -= 2;
        if (inner->dst != x->run || outer->src != x->run)
            return WM_K_tile_any;
        return sized(WM_K_tile_1, x->run, WM_K_tile_any);
    } else if (x->dim[a].n == 2 && x->dim[a].dst == x->run && x->dim[b].dst == 2 * x->run &&
               x->dim[b].src == x->run && sized(WM_K_zip_1, x->run, WM_K_N) != WM_K_N) {
        *outer = x->dim[b];
        memmove(&x->dim[b], &x->dim[b + 1], (x->rank - b - 1) * sizeof(x->dim[0]));
        x->rank -= 2;
        return sized(WM_K_zip_1, x->run, WM_K_N);
    }
    if (b != a) {
        *outer = x->dim[b];
        memmove(&x->dim[b], &x->dim[b + 1], (x->rank - b - 1) * sizeof(x->dim[0]));
        x->rank--;
        if (outer->n > inner->n && inner->n < MIN_TILE) { /* the long one inside */
            struct wm_kdim t = *outer;

            *outer = *inner;
            *inner = t;
        }
    }
    x->rank--;
    if (inner->n >= MIN_SPREAD && inner->src == x->run && inner->dst == 2 * (int64_t)x->run)
        return sized(WM_K_spread_1, x->run, line_kernel(x->run));
    return line_kernel(x->run);
}

void
wm_permute_choose(const struct wm_kdim *dim, uint32_t rank, uint32_t run, struct wm_permute_way *way)
{
    struct nest x = {.run = run};

    *way = (struct wm_permute_way){.kernel = WM_K_N, .times = 1};
    for (uint32_t k = 0; k < rank; k++)
        if (dim[k].n == 0)
            way->times = 0;
    simplify(&x, dim, rank);
    if (x.rank > 0)
        way->kernel = choose(&x, &way->outer, &way->inner);
    way->run = x.run;
    if (way->kernel != WM_K_N)
        for (uint32_t k = 0; k < x.rank; k++)
            way->times *= (uint64_t)x.dim[k].n;
}

void
wm_permute(char *dst, const char *src, const struct wm_kdim *dim, uint32_t rank, uint32_t run)
{
    struct nest x = {.run = run};
    struct wm_kdim outer, inner;
    int64_t at[WM_PLAN_RANK] = {0};
    wm_kernel *kernel;
    uint32_t k;

    for (k = 0; k < rank; k++)
        if (dim[k].n == 0)
            return;
    simplify(&x, dim, rank);
    if (x.rank == 0) {
        memcpy(dst, src, x.run);
        return;
    }
    kernel = wm_kernel_table[choose(&x, &outer, &inner)].run;
    for (;;) {
        kernel(dst, src, &outer, &inner, x.run);
        for (k = x.rank; k-- > 0;) {
            dst += x.dim[k].dst;
            src += x.dim[k].src;
            if (++at[k] < x.dim[k].n)
                break;
            dst -= x.dim[k].n * x.dim[k].dst;
            src -= x.dim[k].n * x.dim[k].src;
            at[k] = 0;
        }
        if (k == UINT32_MAX)
            return;
    }
}
