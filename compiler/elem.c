/* compiler/elem.c -- the table of element operations of a graph.
 *
 * Enters: steps and constants.  Leaves: ids; equal operations have one id, 0 is the copy.  Joining
 * two operations concatenates their steps, drops those that cancel out, and folds constants. */
#include "compiler/elem.h"

#include "compiler/scalar.h"

static bool
same_step(const struct wm_plan_step *x, const struct wm_plan_step *y)
{
    return x->kind == y->kind && x->from == y->from && x->to == y->to && x->lossy == y->lossy &&
           memcmp(&x->value, &y->value, sizeof x->value) == 0;
}

static bool
same_elem(const struct wm_elem *x, const struct wm_elem *y)
{
    if (x->kind != y->kind || x->from != y->from || x->to != y->to || x->nstep != y->nstep ||
        memcmp(x->pattern, y->pattern, sizeof x->pattern) != 0 || !wm_str_eq(x->note, y->note) ||
        x->rank != y->rank || x->stepwise != y->stepwise || memcmp(&x->scale, &y->scale, sizeof x->scale) != 0 ||
        memcmp(x->factor, y->factor, sizeof x->factor) != 0 || memcmp(x->stride, y->stride, sizeof x->stride) != 0)
        return false;
    for (uint32_t i = 0; i < x->nstep; i++)
        if (!same_step(&x->step[i], &y->step[i]))
            return false;
    return true;
}

uint32_t
wm_graph_elem(struct wm_graph *g, const struct wm_elem *e)
{
    if (g->elem.n == 0)
        *WM_PUSH(g->cc->a, &g->elem) = (struct wm_elem){.kind = WM_EL_COPY};
    if (e->kind == WM_EL_COPY)
        return 0;
    for (uint32_t i = 1; i < g->elem.n; i++)
        if (same_elem(&g->elem.item[i], e))
            return i;
    *WM_PUSH(g->cc->a, &g->elem) = *e;
    return g->elem.n - 1;
}

struct wm_plan_step
wm_step_invert(const struct wm_plan_step *s)
{
    struct wm_plan_step r = *s;

    r.from = s->to;
    r.to = s->from;
    switch ((enum wm_step_kind)s->kind) {
    case WM_SP_CAST:
        if (!s->lossy && wm_dtype_widens(s->from, s->to))
            r.kind = WM_SP_UNCAST;
        break;
    case WM_SP_UNCAST:
        r.kind = WM_SP_CAST;
        break;
    case WM_SP_ADD:
        r.value = -s->value;
        break;
    case WM_SP_MUL:
        r.value = 1 / s->value;
        break;
    case WM_SP_NEG:
        break;
    case WM_SP_EXP:
        r.kind = WM_SP_LOG;
        break;
    case WM_SP_LOG:
        r.kind = WM_SP_EXP;
        break;
    }
    return r;
}

/* Is "first x, then y" nothing, to the bit? */
static bool
cancels(const struct wm_plan_step *x, const struct wm_plan_step *y)
{
    if (x->kind == WM_SP_NEG)
        return y->kind == WM_SP_NEG;
    return x->kind == WM_SP_CAST && (y->kind == WM_SP_UNCAST || y->kind == WM_SP_CAST) &&
           x->from == y->to && x->to == y->from && wm_dtype_widens(x->from, x->to);
}

uint32_t
wm_elem_chain(struct wm_graph *g, const struct wm_plan_step *step, uint32_t nstep,
              enum wm_dtype from)
{
    struct wm_plan_step *s = WM_NEW_N(g->cc->a, struct wm_plan_step, nstep);
    struct wm_elem e = {.kind = WM_EL_CHAIN, .from = from, .step = s};

    for (uint32_t i = 0; i < nstep; i++) {
        if (step[i].kind == WM_SP_CAST && step[i].from == step[i].to)
            continue;
        if (e.nstep > 0 && cancels(&s[e.nstep - 1], &step[i]))
            e.nstep--;
        else
            s[e.nstep++] = step[i];
    }
    if (e.nstep == 0)
        return 0;
    e.to = (enum wm_dtype)s[e.nstep - 1].to;
    return wm_graph_elem(g, &e);
}

uint32_t
wm_elem_fill(struct wm_graph *g, enum wm_elem_kind kind, enum wm_dtype t, const uint8_t pattern[16])
{
    struct wm_elem e = {.kind = kind, .from = t, .to = t, .note = WM_STR("padding")};

    memcpy(e.pattern, pattern, sizeof e.pattern);
    return wm_graph_elem(g, &e);
}

uint32_t
wm_elem_equal(struct wm_graph *g, enum wm_dtype t, struct wm_str note)
{
    return wm_graph_elem(g,
                         &(struct wm_elem){.kind = WM_EL_EQUAL, .from = t, .to = t, .note = note});
}

static uint32_t
join_chains(struct wm_graph *g, const struct wm_elem *first, const struct wm_elem *then)
{
    struct wm_plan_step *s = WM_NEW_N(g->cc->a, struct wm_plan_step, first->nstep + then->nstep);

    memcpy(s, first->step, first->nstep * sizeof s[0]);
    memcpy(s + first->nstep, then->step, then->nstep * sizeof s[0]);
    return wm_elem_chain(g, s, first->nstep + then->nstep, first->from);
}

/* A sum or product and what is done to it: the steps go with it. */
static uint32_t
join_computed(struct wm_graph *g, const struct wm_elem *sum, const struct wm_elem *then)
{
    struct wm_plan_step *s = WM_NEW_N(g->cc->a, struct wm_plan_step, sum->nstep + then->nstep);
    struct wm_elem e = *sum;

    if (sum->nstep)
        memcpy(s, sum->step, sum->nstep * sizeof s[0]);
    memcpy(s + sum->nstep, then->step, then->nstep * sizeof s[0]);
    e.step = s;
    e.nstep = sum->nstep + then->nstep;
    e.to = then->to;
    return wm_graph_elem(g, &e);
}

/* Looking for a constant behind a chain is looking for what the chain makes into it. */
static uint32_t
fill_before(struct wm_graph *g, const struct wm_elem *fill, const struct wm_elem *chain)
{
    uint8_t pattern[16];

    memcpy(pattern, fill->pattern, sizeof pattern);
    for (uint32_t i = chain->nstep; i-- > 0;) {
        struct wm_plan_step back = wm_step_invert(&chain->step[i]);

        if (!wm_scalar_step(&back, pattern))
            return WM_NONE;
    }
    return wm_elem_fill(g, WM_EL_IS_FILL, chain->from, pattern);
}

static uint32_t
fill_behind(struct wm_graph *g, const struct wm_elem *fill, const struct wm_elem *chain)
{
    uint8_t pattern[16];

    memcpy(pattern, fill->pattern, sizeof pattern);
    for (uint32_t i = 0; i < chain->nstep; i++)
        if (!wm_scalar_step(&chain->step[i], pattern))
            return WM_NONE;
    return wm_elem_fill(g, WM_EL_FILL, chain->to, pattern);
}

uint32_t
wm_elem_join(void *graph, uint32_t outer, uint32_t inner)
{
    struct wm_graph *g = graph;
    struct wm_elem o, i;

    if (outer == 0 || inner == WM_NONE)
        return inner;
    if (outer == WM_NONE)
        return outer;
    o = g->elem.item[outer];
    if (inner == 0)
        return outer;
    i = g->elem.item[inner];
    if (o.kind == WM_EL_CHAIN && i.kind == WM_EL_CHAIN)
        return join_chains(g, &i, &o);
    if (o.kind == WM_EL_CHAIN && (i.kind == WM_EL_LOWRANK || i.kind == WM_EL_SCALED))
        return join_computed(g, &i, &o);
    if (o.kind == WM_EL_CHAIN && i.kind == WM_EL_FILL)
        return fill_behind(g, &i, &o);
    if (o.kind == WM_EL_IS_FILL && i.kind == WM_EL_CHAIN)
        return fill_before(g, &o, &i);
    if (o.kind == WM_EL_EQUAL && i.kind == WM_EL_CHAIN)
        /* Both operands went through the chain: equal before it is equal behind it. */
        return wm_elem_equal(g, i.from, o.note);
    if (o.kind == WM_EL_IS_FILL && i.kind == WM_EL_FILL && memcmp(o.pattern, i.pattern, 16) == 0)
        return inner;
    return WM_NONE;
}
