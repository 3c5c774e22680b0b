/* compiler/graph.c -- stages of a bound graph, their geometries, and their fusion.
 *
 * Fusing composes the boxes of two stages.  Almost all tensors of a model share a few geometries, so each combination
 * of geometries is composed once. */
#include "compiler/graph.h"

#include "base/checked.h"

struct wm_stage *
wm_stage_new(struct wm_graph *g, struct wm_tset *in)
{
    struct wm_stage *s = WM_NEW(g->cc->a, struct wm_stage);

    s->in = in;
    s->out = WM_NEW(g->cc->a, struct wm_tset);
    wm_map_init(&s->out->by_key, g->cc->a, 0);
    return s;
}

struct wm_gt *
wm_tset_add(struct wm_cc *cc, struct wm_tset *ts, const struct wm_gt *t)
{
    struct wm_gt *out = WM_PUSH(cc->a, &ts->t);

    *out = *t;
    return out;
}

int64_t
wm_gt_numel(const struct wm_gt *t)
{
    int64_t n = 1;

    for (uint32_t k = 0; k < t->rank; k++)
        n *= t->shape[k]; /* checked where the shape was made */
    return n;
}

static bool
is_identity(const struct wm_imap *m, int64_t nelem)
{
    const struct wm_box *b = &m->box.item[0];

    if (m->box.n != 1 || b->nsrc != 1 || b->elem != 0 || b->slot[0] != 0 || b->dst_base != 0 ||
        b->src_base[0] != 0)
        return false;
    if (b->rank == 0)
        return nelem == 1;
    return b->rank == 1 && m->dim.item[b->dim].dst == 1 && m->dim.item[b->dim].src[0] == 1 &&
           m->dim.item[b->dim].extent == nelem;
}

uint32_t
wm_graph_geom(struct wm_graph *g, const struct wm_imap *m, uint32_t nslot)
{
    struct wm_geom *ge;

    if (g->geom.n == 0)
        *WM_PUSH(g->cc->a, &g->geom) = (struct wm_geom){.nslot = 1};
    if (nslot == 1 && is_identity(m, wm_imap_count(m)))
        return WM_GEOM_IDENTITY;
    ge = WM_PUSH(g->cc->a, &g->geom);
    ge->map = *m;
    ge->nslot = nslot;
    return g->geom.n - 1;
}

/* The boxes of a geometry; the identity's depend on the size. */
static const struct wm_imap *
boxes_of(struct wm_graph *g, uint32_t geom, int64_t nunit, struct wm_imap *tmp)
{
    if (geom != WM_GEOM_IDENTITY)
        return &g->geom.item[geom].map;
    wm_imap_init(tmp, g->cc->a);
    wm_imap_identity(tmp, nunit, 0);
    return tmp;
}

/* What was composed before: "outer geometry, inner geometries" -> number of the result. */
struct fusion {
    struct wm_graph *g;
    struct wm_stage *first, *second, *out;
    struct wm_map seen;
    struct wm_buf sig;
};

static bool
all_inner_identity(const struct fusion *f, const struct wm_make *mk, uint32_t nslot)
{
    for (uint32_t k = 0; k < nslot; k++) {
        uint32_t mid = f->second->slot.item[mk->slot + k];

        if (f->first->make.item[mid].geom != WM_GEOM_IDENTITY)
            return false;
    }
    return true;
}

static bool
compose(struct fusion *f, const struct wm_make *mk, uint32_t nslot, uint32_t *geom)
{
    struct wm_graph *g = f->g;
    struct wm_arena *a = g->cc->a;
    struct wm_imap tmp, *inner = WM_NEW_N(a, struct wm_imap, nslot), result;
    const struct wm_imap *outer = boxes_of(g, mk->geom, mk->nunit, &tmp);
    uint32_t base = 0;

    for (uint32_t k = 0; k < nslot; k++) {
        const struct wm_make *in = &f->first->make.item[f->second->slot.item[mk->slot + k]];
        struct wm_imap t2;
        const struct wm_imap *src = boxes_of(g, in->geom, in->nunit, &t2);

        wm_imap_init(&inner[k], a);
        for (uint32_t b = 0; b < src->box.n; b++) {
            struct wm_box box = src->box.item[b];

            for (uint32_t s = 0; s < box.nsrc; s++)
                box.slot[s] += base;
            wm_imap_add(&inner[k], &box, &src->dim.item[src->box.item[b].dim]);
        }
        base += in->geom == WM_GEOM_IDENTITY ? 1 : g->geom.item[in->geom].nslot;
    }
    wm_imap_init(&result, a);
    if (!wm_imap_compose(outer, inner, nslot, wm_elem_join, g, &result))
        return false;
    wm_imap_canon(&result);
    *geom = wm_graph_geom(g, &result, base);
    return true;
}

/* Is it a comparison of which one side is made of a sum?  Then the sum has changed what was equal. */
static bool
compares_sum(const struct fusion *f, const struct wm_make *mk, uint32_t nslot)
{
    struct wm_graph *g = f->g;
    const struct wm_imap *outer = &g->geom.item[mk->geom].map;

    if (mk->geom == WM_GEOM_IDENTITY || outer->box.n == 0)
        return false;
    for (uint32_t k = 0; k < nslot; k++) {
        const struct wm_make *in = &f->first->make.item[f->second->slot.item[mk->slot + k]];
        const struct wm_imap *m = &g->geom.item[in->geom].map;

        for (uint32_t i = 0; in->geom != WM_GEOM_IDENTITY && i < m->box.n; i++)
            if (g->elem.item[m->box.item[i].elem].kind == WM_EL_LOWRANK)
                return g->elem.item[outer->box.item[0].elem].kind == WM_EL_EQUAL ||
                       g->elem.item[outer->box.item[0].elem].kind == WM_EL_IS_FILL;
    }
    return false;
}

/* Is it a sum whose weight is computed itself, or made of constants?  Then it is reported. */
static bool
sums_computed(const struct fusion *f, const struct wm_make *mk, uint32_t nslot)
{
    struct wm_graph *g = f->g;
    const struct wm_imap *outer = &g->geom.item[mk->geom].map;
    uint32_t mid = f->second->slot.item[mk->slot];
    const struct wm_make *in = &f->first->make.item[mid];
    bool sum = false, computed = false;

    for (uint32_t i = 0; i < outer->box.n && nslot == 3; i++)
        sum |= g->elem.item[outer->box.item[i].elem].kind == WM_EL_LOWRANK;
    for (uint32_t i = 0; sum && in->geom != WM_GEOM_IDENTITY && i < g->geom.item[in->geom].map.box.n; i++)
        computed |= g->geom.item[in->geom].map.box.item[i].elem != 0;
    if (computed)
        wm_report(&g->cc->diags, WM_E_ADAPTER, mk->span, "`%s` is computed (by a cast, scales or constants) before the "
                  "adapter goes in: run the map first, and merge the adapter in a run of its own",
                  wm_place_show(g->cc->a, f->first->out->t.item[mid].key).p);
    return computed;
}

static uint32_t
inner_slots(const struct fusion *f, const struct wm_make *in)
{
    return in->geom == WM_GEOM_IDENTITY ? 1 : f->g->geom.item[in->geom].nslot;
}

static bool
fuse_make(struct fusion *f, const struct wm_make *mk, struct wm_make *out)
{
    struct wm_graph *g = f->g;
    uint32_t nslot = mk->geom == WM_GEOM_IDENTITY ? 1 : g->geom.item[mk->geom].nslot, seen;

    *out = *mk;
    out->slot = f->out->slot.n;
    for (uint32_t k = 0; k < nslot; k++) {
        const struct wm_make *in = &f->first->make.item[f->second->slot.item[mk->slot + k]];

        for (uint32_t s = 0; s < inner_slots(f, in); s++)
            *WM_PUSH(g->cc->a, &f->out->slot) = f->first->slot.item[in->slot + s];
        if (!out->rule) {
            out->rule = in->rule;
            out->span = in->span;
        }
    }
    if (all_inner_identity(f, mk, nslot))
        return true;
    f->sig.n = 0;
    wm_buf_puts(&f->sig, (struct wm_str){(const char *)&mk->geom, sizeof(mk->geom)});
    wm_buf_puts(&f->sig, (struct wm_str){(const char *)&mk->nunit, sizeof(mk->nunit)});
    for (uint32_t k = 0; k < nslot; k++) {
        const struct wm_make *in = &f->first->make.item[f->second->slot.item[mk->slot + k]];

        wm_buf_puts(&f->sig, (struct wm_str){(const char *)&in->geom, sizeof(in->geom)});
        wm_buf_puts(&f->sig, (struct wm_str){(const char *)&in->nunit, sizeof(in->nunit)});
    }
    seen = wm_map_get(&f->seen, wm_buf_str(&f->sig));
    if (seen != WM_NONE) {
        out->geom = seen;
        return true;
    }
    if (!compose(f, mk, nslot, &out->geom)) {
        if (compares_sum(f, mk, nslot)) {
            wm_report(&g->cc->diags, WM_E_ADAPTER, mk->span, "a tensor that the adapter changes must also be equal to "
                      "another one, or to a constant");
            return false;
        }
        if (sums_computed(f, mk, nslot))
            return false;
        wm_report(&g->cc->diags, WM_E_BOXES, mk->span, "the composed mapping falls into more than %d boxes",
                  WM_IMAP_MAX_BOXES);
        return false;
    }
    wm_map_put(&f->seen, wm_arena_str(g->cc->a, wm_buf_str(&f->sig)), out->geom);
    return true;
}

struct wm_stage *
wm_stage_fuse(struct wm_graph *g, struct wm_stage *first, struct wm_stage *second)
{
    struct fusion f = {.g = g, .first = first, .second = second};
    bool ok = true;

    if (!first)
        return second;
    f.out = wm_stage_new(g, first->in);
    f.out->out = second->out;
    wm_map_init(&f.seen, g->cc->a, 64);
    wm_buf_init(&f.sig, g->cc->a);
    for (uint32_t i = 0; i < second->make.n && ok; i++) {
        struct wm_make mk;

        ok = fuse_make(&f, &second->make.item[i], &mk);
        *WM_PUSH(g->cc->a, &f.out->make) = mk;
    }
    for (uint32_t i = 0; i < second->check.n && ok; i++) {
        struct wm_make mk;

        ok = fuse_make(&f, &second->check.item[i], &mk);
        *WM_PUSH(g->cc->a, &f.out->check) = mk;
    }
    for (uint32_t i = 0; i < first->check.n && ok; i++) {
        struct wm_make mk = first->check.item[i];
        uint32_t n = g->geom.item[mk.geom].nslot, at = f.out->slot.n;

        for (uint32_t s = 0; s < n; s++)
            *WM_PUSH(g->cc->a, &f.out->slot) = first->slot.item[mk.slot + s];
        mk.slot = at;
        *WM_PUSH(g->cc->a, &f.out->check) = mk;
    }
    return ok ? f.out : NULL;
}

/* One output tensor that is input tensor `in` as it is. */
void
wm_stage_pass(struct wm_graph *g, struct wm_stage *s, uint32_t in, const struct wm_gt *as)
{
    struct wm_make mk = {.geom = WM_GEOM_IDENTITY, .slot = s->slot.n, .nunit = wm_gt_numel(as)};

    wm_tset_add(g->cc, s->out, as);
    *WM_PUSH(g->cc->a, &s->slot) = in;
    *WM_PUSH(g->cc->a, &s->make) = mk;
}

/* ---- keys with places ---- */

struct wm_str
wm_place_key(struct wm_str joined)
{
    const char *z = joined.n ? memchr(joined.p, '\0', joined.n) : NULL;

    return z ? (struct wm_str){joined.p, (size_t)(z - joined.p)} : joined;
}

struct wm_str
wm_place_of(struct wm_str joined)
{
    size_t n = wm_place_key(joined).n;

    return n == joined.n ? (struct wm_str){joined.p + n, 0}
                         : (struct wm_str){joined.p + n + 1, joined.n - n - 1};
}

bool
wm_place_get(struct wm_str joined, struct wm_str name, int64_t *value)
{
    struct wm_str p = wm_place_of(joined);

    while (p.n > 0) {
        const char *comma = memchr(p.p, ',', p.n);
        size_t n = comma ? (size_t)(comma - p.p) : p.n;

        if (n > name.n && memcmp(p.p, name.p, name.n) == 0 && p.p[name.n] == '=') {
            *value = 0;
            for (size_t i = name.n + 1; i < n; i++)
                *value = *value * 10 + (p.p[i] - '0');
            return true;
        }
        n += comma != NULL;
        p.p += n;
        p.n -= n;
    }
    return false;
}

struct wm_str
wm_place_show(struct wm_arena *a, struct wm_str joined)
{
    struct wm_str place = wm_place_of(joined);

    if (place.n == 0)
        return wm_arena_str(a, joined);
    return wm_arena_printf(a, "%.*s (%.*s)", WM_STR_ARG(wm_place_key(joined)), WM_STR_ARG(place));
}
