/* runtime/piece.c -- counting, cutting and naming pieces of boxes.
 *
 * In: a piece, or a place in a tensor.  Out: numbers, halves, texts; nothing is read or written. */
#include "runtime/piece.h"

#include <inttypes.h>
#include <stdio.h>

int64_t
wm_piece_count(const struct wm_piece *p)
{
    int64_t n = 1;

    for (uint32_t k = 0; k < p->rank; k++)
        n *= p->dim[k].extent;
    return n;
}

void
wm_piece_packed(const struct wm_piece *p, uint32_t size, int64_t *stride)
{
    int64_t s = size;

    for (uint32_t k = p->rank; k-- > 0;) {
        stride[k] = s;
        s *= p->dim[k].extent;
    }
}

int64_t
wm_piece_unit(const struct wm_piece *p, int64_t i, int side)
{
    int64_t n = side < 0 ? p->dst : p->src[side];

    for (uint32_t k = p->rank; k-- > 0;) {
        const struct wm_plan_dim *d = &p->dim[k];

        n += i % d->extent * (side < 0 ? d->dst : d->src[side]);
        i /= d->extent;
    }
    return n;
}

void
wm_piece_halve(struct wm_piece *p, struct wm_piece *first)
{
    uint32_t k = 0;
    int64_t n;

    while (p->dim[k].extent < 2)
        k++;
    n = p->dim[k].extent / 2;
    *first = *p;
    first->dim[k].extent = n;
    p->dst += n * p->dim[k].dst;
    for (int s = 0; s < WM_PLAN_OPERANDS; s++)
        p->src[s] += n * p->dim[k].src[s];
    p->dim[k].extent -= n;
}

enum wm_status
wm_piece_parts(struct wm_piece *p, int64_t max, wm_piece_fn *each, void *user)
{
    struct wm_piece half;
    enum wm_status st;

    if (wm_piece_count(p) <= max)
        return each(user, p);
    wm_piece_halve(p, &half);
    if ((st = wm_piece_parts(&half, max, each, user)) != WM_OK)
        return st;
    return wm_piece_parts(p, max, each, user);
}

struct wm_piece_text
wm_piece_index(const struct wm_plan *p, const struct wm_plan_in *in, int64_t n)
{
    int64_t idx[WM_PLAN_RANK];
    uint32_t rank = in->rank;
    struct wm_piece_text t = {""};
    size_t at = 0;

    wm_plan_index(p, in, n, idx);
    for (uint32_t k = 0; k < rank && at + 24 < sizeof(t.s); k++)
        at += (size_t)snprintf(t.s + at, sizeof(t.s) - at, "%s%" PRId64 "%s", k ? ", " : "[", idx[k],
                               k + 1 == rank ? "]" : "");
    return t;
}

const char *
wm_piece_where(const struct wm_plan *p, const struct wm_plan_out *out, struct wm_piece_text *t)
{
    struct wm_str s = wm_plan_str(p, out->where);

    snprintf(t->s, sizeof(t->s), "%.*s", (int)(s.n < 250 ? s.n : 250), s.p);
    return s.n ? t->s : NULL;
}
