/* compiler/bind_pipe.c -- geometry of a rule by named operations: hands the shapes of the reading tensors to the
 * pipeline and takes its boxes.  The reading tensors of one instance stand in the order of the terms, those of one
 * term by the values of its key axes. */
#include "compiler/bind_geom.h"
#include "compiler/op.h"

/* The tensors of one side in one instance, and the list that the pipeline sees: copies (broadcast axes of the keys, a
 * rank's for example) are no entries of their own. */
struct ends {
    uint32_t *entry;             /* [ntensor] number in the list */
    bool *copy;                  /* [ntensor] not the first of its entry */
    uint32_t ntensor, nentry;
};

static void
add_term(const struct wm_inst *x, const struct wm_sizes *z, const struct wm_rterm *t, struct ends *e)
{
    int64_t n = wm_term_count(t, x->rule, z), entries = 1;

    for (uint32_t k = 0; k < t->nkey_axis; k++) {
        const struct wm_axis *ax = &x->rule->axis.item[t->key_axis[k]];

        if (!ax->pick && !ax->broadcast)
            entries *= z->axis[t->key_axis[k]];
    }
    for (int64_t i = 0; i < n; i++, e->ntensor++) {
        int64_t rest = i, entry = 0, step = 1;
        bool copy = false;

        for (uint32_t k = t->nkey_axis; k-- > 0;) {
            const struct wm_axis *ax = &x->rule->axis.item[t->key_axis[k]];
            int64_t size = z->axis[t->key_axis[k]];

            if (ax->pick)
                continue;
            if (ax->broadcast) {
                copy |= rest % size != 0;
            } else {
                entry += rest % size * step;
                step *= size;
            }
            rest /= size;
        }
        if (e->entry) {
            e->entry[e->ntensor] = e->nentry + (uint32_t)entry;
            e->copy[e->ntensor] = copy;
        }
    }
    e->nentry += n > 0 ? (uint32_t)entries : 0;
}

static struct ends
ends_of(struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z, int side)
{
    struct ends e = {0};

    for (int pass = 0; pass < 2; pass++) { /* count, then fill in */
        if (pass == 1) {
            e.entry = WM_NEW_N(b->cc->a, uint32_t, e.ntensor);
            e.copy = WM_NEW_N(b->cc->a, bool, e.ntensor);
        }
        e.ntensor = e.nentry = 0;
        for (uint32_t t = 0; t < x->rule->side[side].nterm; t++)
            add_term(x, z, &x->rule->side[side].term[t], &e);
    }
    return e;
}

/* Shapes of the list that enters; first[entry] is its first tensor. */
static struct wm_shape *
shapes(struct wm_bind *b, const struct wm_sizes *z, const struct ends *e, uint32_t *first)
{
    struct wm_shape *s = WM_NEW_N(b->cc->a, struct wm_shape, e->nentry);

    for (uint32_t i = 0; i < e->ntensor; i++) {
        struct wm_shape *to = &s[e->entry[i]];

        if (e->copy[i])
            continue;
        first[e->entry[i]] = i;
        to->rank = z->pipe[i]->rank;
        memcpy(to->dim, z->pipe[i]->shape, to->rank * sizeof(*to->dim));
    }
    return s;
}

/* Copies that are read must be equal to the first. */
static bool
check_copies(struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z, const struct ends *e,
             const uint32_t *first, struct wm_variant *v)
{
    struct wm_arena *a = b->cc->a;

    for (uint32_t i = 0; i < e->ntensor; i++) {
        const struct wm_gt *t = z->pipe[i], *one = z->pipe[first[e->entry[i]]];
        struct wm_box box = {.nsrc = 2, .rank = 1, .slot = {0, 1}};
        struct wm_dim dim = {.extent = wm_gt_numel(t), .dst = 1, .src = {1, 1}};
        struct wm_imap map;
        struct wm_vout *c;

        if (!e->copy[i])
            continue;
        if (t->rank != one->rank || memcmp(t->shape, one->shape, t->rank * sizeof(*t->shape)) != 0) {
            wm_report(&b->cc->diags, WM_E_MISMATCH, x->rule->span, "`%s` and `%s` are copies, but differ in shape",
                      wm_place_show(a, one->key).p, wm_place_show(a, t->key).p);
            return false;
        }
        if (dim.extent == 0)
            continue;
        box.elem = wm_graph_elem(b->g, &(struct wm_elem){.kind = WM_EL_EQUAL, .from = t->dtype, .to = t->dtype,
                                                         .note = WM_STR("replica")});
        wm_imap_init(&map, a);
        wm_imap_add(&map, &box, &dim);
        wm_imap_canon(&map);
        c = WM_PUSH(a, &v->check);
        *c = (struct wm_vout){.geom = wm_graph_geom(b->g, &map, 2), .nslot = 2, .slot = WM_NEW_N(a, uint32_t, 2),
                              .nunit = dim.extent, .replica = true};
        c->slot[0] = first[e->entry[i]];
        c->slot[1] = i;
    }
    return true;
}

/* The boxes of the pipeline name entries of the list; an instance's slots are its tensors. */
static void
take(struct wm_bind *b, struct wm_imap *map, const uint32_t *first, struct wm_vout *out)
{
    wm_imap_canon(map);
    for (uint32_t i = 0; i < map->box.n; i++)
        for (uint32_t s = 0; s < map->box.item[i].nsrc; s++)
            map->box.item[i].slot[s] = first[map->box.item[i].slot[s]];
    wm_compact_slots(b->cc->a, map, out);
    out->geom = wm_graph_geom(b->g, map, out->nslot);
}

static bool
unsolved(struct wm_bind *b, const struct wm_inst *x)
{
    struct wm_diag *d = wm_report(&b->cc->diags, WM_E_UNSOLVABLE, x->rule->span,
                                  "how many tensors the operations make can't be known in this direction");

    wm_note(&b->cc->diags, d, "give the index its size instead of `in keys`");
    return false;
}

/* The only key axis of the writing side without a size; false where there are two. */
static bool
open_axis(const struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z, uint32_t *axis)
{
    *axis = WM_NONE;
    for (uint32_t t = 0; t < x->rule->side[b->ws].nterm; t++) {
        const struct wm_rterm *term = &x->rule->side[b->ws].term[t];

        for (uint32_t k = 0; k < term->nkey_axis; k++) {
            if (z->axis[term->key_axis[k]] >= 0 || term->key_axis[k] == *axis)
                continue;
            if (*axis != WM_NONE)
                return false;
            *axis = term->key_axis[k];
        }
    }
    return true;
}

/* The axis is solved as any other: by the number of tensors that the operations give. */
bool
wm_pipe_solve(struct wm_bind *b, const struct wm_inst *x, struct wm_sizes *z)
{
    struct ends in = ends_of(b, x, z, b->rs);
    uint32_t *first = WM_NEW_N(b->cc->a, uint32_t, in.nentry), axis;
    int64_t total, none, one, n;

    if (!open_axis(b, x, z, &axis))
        return unsolved(b, x);
    if (axis == WM_NONE)
        return true;
    if (!wm_pipe_count(b->g, &b->be, &x->scope, x->rule, b->back, shapes(b, z, &in, first), z->dtype, in.nentry,
                       &total))
        return false;
    z->axis[axis] = 0;
    none = ends_of(b, x, z, b->ws).nentry;
    z->axis[axis] = 1;
    one = ends_of(b, x, z, b->ws).nentry;
    if (total == 0 || one == none)
        return unsolved(b, x);
    n = (total - none) / (one - none);
    if (n < 0 || n > WM_MAX_INDEX || none + n * (one - none) != total) {
        wm_report(&b->cc->diags, WM_E_OP_COUNT, x->rule->span,
                  "the operations give %lld tensors, which no size of `%.*s` makes", (long long)total,
                  WM_STR_ARG(x->rule->axis.item[axis].name));
        return false;
    }
    z->axis[axis] = n;
    return true;
}

static bool
take_outputs(struct wm_bind *b, const struct wm_inst *x, struct wm_pipe_out *out, const struct ends *e,
             const uint32_t *first, struct wm_variant *v)
{
    struct wm_arena *a = b->cc->a;
    struct wm_vout *entry = WM_NEW_N(a, struct wm_vout, e->nentry);

    for (uint32_t i = 0; i < e->nentry; i++) {
        struct wm_vout *o = &entry[i];
        int64_t *shape = WM_NEW_N(a, int64_t, out[i].shape.rank);

        memcpy(shape, out[i].shape.dim, out[i].shape.rank * sizeof(*shape));
        *o = (struct wm_vout){.rank = out[i].shape.rank, .shape = shape, .dtype = out[i].dtype};
        if (!wm_shape_numel(&out[i].shape, &o->nunit)) {
            wm_report(&b->cc->diags, WM_E_EXTENTS, x->rule->span, "the tensor would be too large");
            return false;
        }
        take(b, &out[i].map, first, o);
    }
    v->nout = e->ntensor;
    v->out = WM_NEW_N(a, struct wm_vout, e->ntensor);
    for (uint32_t i = 0; i < e->ntensor; i++)
        v->out[i] = entry[e->entry[i]];
    return true;
}

struct wm_variant *
wm_pipe_variant(struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z)
{
    struct wm_arena *a = b->cc->a;
    struct ends in = ends_of(b, x, z, b->rs), out = ends_of(b, x, z, b->ws);
    uint32_t *first = WM_NEW_N(a, uint32_t, in.nentry), ncheck = 0;
    struct wm_shape *shape = shapes(b, z, &in, first);
    struct wm_pipe_out *made = WM_NEW_N(a, struct wm_pipe_out, out.nentry);
    struct wm_pipe_check *check = NULL;
    struct wm_variant *v = WM_NEW(a, struct wm_variant);

    if (!check_copies(b, x, z, &in, first, v) ||
        !wm_pipe_bind(b->g, &b->be, &x->scope, x->rule, b->back, shape, z->dtype, in.nentry, made, out.nentry,
                      &check, &ncheck) ||
        !take_outputs(b, x, made, &out, first, v))
        return NULL;
    for (uint32_t i = 0; i < ncheck; i++) {
        struct wm_vout *c = WM_PUSH(a, &v->check);

        *c = (struct wm_vout){.nunit = check[i].nunit, .replica = check[i].replica, .pad = check[i].pad};
        take(b, &check[i].map, first, c);
    }
    return v;
}
