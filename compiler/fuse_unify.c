/* compiler/fuse_unify.c -- makes the patterns on both sides of a middle tensor equal.
 *
 * Dimension by dimension an axis becomes what the other pattern has in its place.  Only what the text shows to be of
 * one size is cut in one way; numbers are never guessed. */
#include "compiler/fuse_star.h"

#include "compiler/ast_print.h"

bool
wm_star_fail(struct wm_star *s, const struct wm_star_member *m)
{
    return wm_fuse_fail(s->x, s->at.item[0].h, m->h,
                        "both change the tensor between them, and their axes cut it differently");
}

struct wm_star_axis *
wm_star_axis_of(struct wm_star *s, const struct wm_pat *p)
{
    for (uint32_t i = 0; p->kind == WM_PT_AXIS && i < s->axis.n; i++)
        if (wm_str_eq(s->axis.item[i].name, p->name))
            return &s->axis.item[i];
    return NULL;
}

/* What an axis has become, if anything. */
const struct wm_pat *
wm_star_resolved(struct wm_star *s, const struct wm_pat *p)
{
    const struct wm_star_axis *ax = wm_star_axis_of(s, p);

    while (ax && ax->to) {
        p = ax->to;
        ax = wm_star_axis_of(s, p);
    }
    return p;
}

static bool
occurs(struct wm_star *s, const struct wm_pat *in, struct wm_str name)
{
    in = wm_star_resolved(s, in);
    if (in->kind == WM_PT_AXIS)
        return wm_str_eq(in->name, name);
    for (uint32_t i = 0; i < in->nitem; i++)
        if (occurs(s, in->item[i], name))
            return true;
    return false;
}

/* Are both of one size, by the same words? */
static bool
same_size(struct wm_star *s, const struct wm_pat *p, const struct wm_pat *q)
{
    const struct wm_star_axis *a, *b;

    p = wm_star_resolved(s, p);
    q = wm_star_resolved(s, q);
    a = wm_star_axis_of(s, p);
    b = wm_star_axis_of(s, q);
    if (a && b)
        return a == b || (a->size && b->size && wm_same_text(s->x->cc, a->size, b->size));
    if (p->kind != q->kind || p->kind == WM_PT_AXIS || p->nitem != q->nitem)
        return false;
    for (uint32_t i = 0; i < p->nitem; i++)
        if (!same_size(s, p->item[i], q->item[i]))
            return false;
    return p->kind == WM_PT_ONE || p->nitem > 0;
}

static bool
bind(struct wm_star *s, const struct wm_pat *p, const struct wm_pat *to)
{
    struct wm_star_axis *ax = wm_star_axis_of(s, p);

    if (!ax || ax->fixed || ax->to || occurs(s, to, ax->name))
        return false;
    ax->to = to;
    return true;
}

static bool unify(struct wm_star *s, const struct wm_pat *p, const struct wm_pat *q);

/* Items [lo, hi) of a product, as one pattern. */
static const struct wm_pat *
part_of(struct wm_star *s, const struct wm_pat *p, uint32_t lo, uint32_t hi)
{
    struct wm_pat *out;

    if (hi - lo == 1)
        return p->item[lo];
    out = WM_NEW(s->x->cc->a, struct wm_pat);
    *out = *p;
    out->item = p->item + lo;
    out->nitem = hi - lo;
    return out;
}

/* Equal factors at both ends go together; what is left must be one factor on one side. */
static bool
unify_products(struct wm_star *s, const struct wm_pat *p, const struct wm_pat *q)
{
    uint32_t lo = 0, pn = p->nitem, qn = q->nitem;

    while (lo + 1 < pn && lo + 1 < qn && same_size(s, p->item[lo], q->item[lo])) {
        if (!unify(s, p->item[lo], q->item[lo]))
            return false;
        lo++;
    }
    while (pn - lo > 1 && qn - lo > 1 && same_size(s, p->item[pn - 1], q->item[qn - 1])) {
        if (!unify(s, p->item[pn - 1], q->item[qn - 1]))
            return false;
        pn--;
        qn--;
    }
    return (pn - lo == 1 || qn - lo == 1) && unify(s, part_of(s, p, lo, pn), part_of(s, q, lo, qn));
}

static bool
unify(struct wm_star *s, const struct wm_pat *p, const struct wm_pat *q)
{
    const struct wm_star_axis *a, *b;

    p = wm_star_resolved(s, p);
    q = wm_star_resolved(s, q);
    a = wm_star_axis_of(s, p);
    b = wm_star_axis_of(s, q);
    if ((a && a == b) || (p->kind == WM_PT_ONE && q->kind == WM_PT_ONE))
        return true;
    if (a && b) /* the one whose size is known stays, else the center's */
        return (b->size && !a->size && bind(s, p, q)) || bind(s, q, p) || bind(s, p, q);
    if (a || b)
        return a ? bind(s, p, q) : bind(s, q, p);
    if (p->kind != q->kind)
        return false;
    if (p->kind == WM_PT_PRODUCT)
        return unify_products(s, p, q);
    if (p->kind != WM_PT_SUM || !same_size(s, p, q))
        return false;
    for (uint32_t i = 0; i < p->nitem; i++)
        if (!unify(s, p->item[i], q->item[i]))
            return false;
    return true;
}

/* Put what is known of a member's `...` into a pattern. */
void
wm_star_open_rest(struct wm_star *s, const struct wm_star_member *m, struct wm_pattern *p)
{
    for (uint32_t k = 0; m->has_rest && k < p->ndim; k++) {
        struct wm_pat **dim;

        if (p->dim[k]->kind != WM_PT_REST)
            continue;
        dim = WM_NEW_N(s->x->cc->a, struct wm_pat *, p->ndim - 1 + m->nrest);
        memcpy(dim, p->dim, k * sizeof(*dim));
        if (m->nrest)
            memcpy(dim + k, m->rest, m->nrest * sizeof(*dim));
        memcpy(dim + k + m->nrest, p->dim + k + 1, (p->ndim - k - 1) * sizeof(*dim));
        p->dim = dim;
        p->ndim += m->nrest - 1;
        return;
    }
}

static uint32_t
rest_at(const struct wm_pattern *p)
{
    for (uint32_t k = 0; k < p->ndim; k++)
        if (p->dim[k]->kind == WM_PT_REST)
            return k;
    return WM_NONE;
}

/* `...` of `m` is what the other pattern has there. */
static bool
learn_rest(struct wm_star *s, struct wm_star_member *m, struct wm_pattern *p, const struct wm_pattern *q)
{
    uint32_t at = rest_at(p), n = q->ndim;

    if (at == WM_NONE)
        return true;
    if (n + 1 < p->ndim)
        return false;
    m->has_rest = true;
    m->nrest = n - (p->ndim - 1);
    m->rest = q->dim + at;
    wm_star_open_rest(s, m, p);
    return true;
}

static bool
unify_term(struct wm_star *s, struct wm_star_member *m, struct wm_pattern *c, struct wm_pattern *p)
{
    struct wm_star_member *center = &s->at.item[0];
    uint32_t ci, pi;

    wm_star_open_rest(s, center, c);
    wm_star_open_rest(s, m, p);
    ci = rest_at(c);
    pi = rest_at(p);
    if (ci != WM_NONE && pi == WM_NONE) {
        if (!learn_rest(s, center, c, p))
            return false;
    } else if (!(ci != WM_NONE && ci == pi && c->ndim == p->ndim) && !learn_rest(s, m, p, c)) {
        return false;
    }
    if (c->ndim != p->ndim)
        return false;
    for (uint32_t k = 0; k < c->ndim; k++)
        if (c->dim[k]->kind != WM_PT_REST && !unify(s, c->dim[k], p->dim[k]))
            return false;
    return true;
}

bool
wm_star_unify(struct wm_star *s)
{
    for (uint32_t i = 1; i < s->at.n; i++) {
        struct wm_star_member *m = &s->at.item[i];

        for (uint32_t t = 0; t < m->h->r->side[m->h->mid].nterm; t++) {
            struct wm_pattern *c = s->at.item[0].mid[m->center_term[t]];

            if (m->h->whole) /* another name of the same tensor: its pattern is the center's */
                m->out[t] = c;
            else if (!unify_term(s, m, c, m->mid[t]))
                return wm_star_fail(s, m);
        }
    }
    return true;
}
