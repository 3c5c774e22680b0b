/* runtime/scatter.c -- where the elements of an input go.
 *
 * In: a verified plan.  The boxes of a plan are nests in their outputs; seen from an operand they need not be: strides
 * may be negative (the dimension is walked from its other end) or 0 (each element goes to many places: such
 * dimensions are put aside and are whole in every piece). */
#include "runtime/scatter.h"

#include <string.h>

static void
sections(struct wm_scatter *s, const struct wm_plan *p)
{
    s->plan = *p;
    s->sections = wm_plan_view(p);
}

uint32_t
wm_scatter_in(const struct wm_scatter *s, uint32_t out, const struct wm_plan_box *b, uint32_t operand)
{
    return s->slot[s->out[out].slot + b->slot[operand]];
}

/* Is there anything to do for this box? */
static bool
is_used(const struct wm_scatter *s, const struct wm_plan_box *b)
{
    return s->elem[b->elem].kind != WM_EL_FILL;
}

/* Count the uses of each input (at = NULL), or note them. */
static void
walk(struct wm_scatter *s, uint64_t *at)
{
    for (uint64_t o = 0; o < s->nout; o++) {
        const struct wm_plan_geom *g = &s->geom[s->out[o].geom];

        for (uint64_t i = g->box; i < g->box + g->nbox; i++)
            for (uint32_t k = 0; is_used(s, &s->box[i]) && k < s->box[i].nsrc; k++) {
                uint32_t in = wm_scatter_in(s, (uint32_t)o, &s->box[i], k);

                if (at)
                    s->use[at[in]++] = (struct wm_use){i, (uint32_t)o, k};
                else
                    s->first[in + 1]++;
            }
    }
}

void
wm_scatter_init(struct wm_scatter *s, struct wm_arena *a, const struct wm_plan *p)
{
    uint64_t *at;

    sections(s, p);
    s->first = WM_NEW_N(a, uint64_t, s->nin + 1);
    at = WM_NEW_N(a, uint64_t, s->nin + 1);
    memset(s->first, 0, (s->nin + 1) * sizeof(*s->first));
    walk(s, NULL);
    for (uint64_t i = 0; i < s->nin; i++)
        s->first[i + 1] += s->first[i];
    s->use = WM_NEW_N(a, struct wm_use, s->first[s->nin]);
    memcpy(at, s->first, (s->nin + 1) * sizeof(*at));
    walk(s, at);
}

/* ---- cutting ---- */

/* A box turned so that one operand is in front: what cuts it takes `dst` for the side that is cut, and the three
 * places of operands carry the output and the other two. */
struct turned {
    uint32_t operand, rank, nfree;
    int64_t base, other[WM_PLAN_OPERANDS];
    struct wm_plan_dim dim[WM_PLAN_RANK];  /* by descending stride of the operand, all positive */
    struct wm_plan_dim free[WM_PLAN_RANK]; /* those of stride 0, as they are in the plan */
    wm_piece_fn *each;
    void *user;
};

/* The places of the output and of the operands that are not in front. */
static void
turn(uint32_t operand, int64_t dst, const int64_t *src, int64_t *other)
{
    other[0] = dst;
    for (uint32_t k = 0, n = 1; k < WM_PLAN_OPERANDS; k++)
        if (k != operand)
            other[n++] = src[k];
}

static void
turn_back(uint32_t operand, int64_t front, const int64_t *other, int64_t *dst, int64_t *src)
{
    *dst = other[0];
    for (uint32_t k = 0, n = 1; k < WM_PLAN_OPERANDS; k++)
        src[k] = k == operand ? front : other[n++];
}

static void
insert(struct wm_plan_dim *dim, uint32_t *n, const struct wm_plan_dim *d)
{
    uint32_t at = (*n)++;

    for (; at > 0 && dim[at - 1].dst < d->dst; at--)
        dim[at] = dim[at - 1];
    dim[at] = *d;
}

/* A dimension of the output with a negative stride is walked from the other end. */
static void
add_back(struct wm_piece *p, struct wm_plan_dim d)
{
    if (d.extent == 1)
        return;
    if (d.dst < 0) {
        p->dst += (d.extent - 1) * d.dst;
        d.dst = -d.dst;
        for (int k = 0; k < WM_PLAN_OPERANDS; k++) {
            p->src[k] += (d.extent - 1) * d.src[k];
            d.src[k] = -d.src[k];
        }
    }
    insert(p->dim, &p->rank, &d);
}

static enum wm_status
turned_piece(void *user, struct wm_piece *cut)
{
    const struct turned *t = user;
    struct wm_piece p;

    p.rank = 0;
    turn_back(t->operand, cut->dst, cut->src, &p.dst, p.src);
    for (uint32_t k = 0; k < cut->rank; k++) {
        struct wm_plan_dim d = {.extent = cut->dim[k].extent};

        turn_back(t->operand, cut->dim[k].dst, cut->dim[k].src, &d.dst, d.src);
        add_back(&p, d);
    }
    for (uint32_t k = 0; k < t->nfree; k++)
        add_back(&p, t->free[k]);
    return t->each(t->user, &p);
}

enum wm_status
wm_scatter_cut(const struct wm_scatter *s, const struct wm_use *u, int64_t lo, int64_t hi, wm_piece_fn *each,
               void *user)
{
    const struct wm_plan_box *b = &s->box[u->box];
    struct turned t = {.operand = u->operand, .base = b->src_base[u->operand], .each = each, .user = user};

    turn(u->operand, b->dst_base, b->src_base, t.other);
    for (uint32_t k = 0; k < b->rank; k++) {
        const struct wm_plan_dim *d = &s->dim[b->dim + k];
        struct wm_plan_dim x = {.extent = d->extent, .dst = d->src[u->operand]};

        if (x.dst == 0) {
            t.free[t.nfree++] = *d;
            continue;
        }
        turn(u->operand, d->dst, d->src, x.src);
        if (x.dst < 0) {
            t.base += (x.extent - 1) * x.dst;
            x.dst = -x.dst;
            for (int i = 0; i < WM_PLAN_OPERANDS; i++) {
                t.other[i] += (x.extent - 1) * x.src[i];
                x.src[i] = -x.src[i];
            }
        }
        insert(t.dim, &t.rank, &x);
    }
    return wm_cut_box(t.dim, t.rank, t.base, t.other, lo, hi, turned_piece, &t);
}
