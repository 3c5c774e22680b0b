/* compiler/bind_geom.c -- from paired products and sizes to boxes (see bind_geom.h).
 *
 * An output element belongs to one product of its term; the partner product says where on the other side it lies.  An
 * axis that is a dimension on both sides becomes a dimension of the box; one that is in a key of the reading side is
 * enumerated, one box each; one that only the output has (broadcast) reads with stride 0. */
#include "base/checked.h"
#include "compiler/bind_geom_priv.h"
#include "compiler/op.h"
#include "compiler/scalar.h"

/* A box under construction: the dimensions, and the axes of keys that have to be enumerated. */
struct nest {
    struct wm_dim dim[2 * WM_MAX_RANK];
    uint32_t ndim;
    struct wm_box box;
    struct {
        uint32_t axis;
        int64_t extent, dst;
        int64_t from;
    } each[WM_MAX_RANK];
    uint32_t neach;
};

static int64_t
pick_position(struct wm_bind *b, const struct wm_inst *x, const struct wm_axis *ax)
{
    int64_t part[WM_MAX_RANK], v = 0;
    const struct wm_index_values *iv;

    if (!wm_eval_size(&b->be, x->me, &x->scope, ax->pick, "a picked position", &v))
        return -1;
    if (ax->pick_of != WM_NONE)
        v = wm_index_split(&b->be, x->me, ax->pick_of, v, part) ? part[ax->pick_part] : -1;
    if (ax->index == WM_NONE)
        return v;
    iv = wm_index_get(&b->be, x->me, ax->index);
    return wm_index_ordinal(iv, v);
}

int64_t
wm_term_count(const struct wm_rterm *t, const struct wm_rule *r, const struct wm_sizes *z)
{
    int64_t n = 1;

    for (uint32_t k = 0; k < t->nkey_axis; k++)
        if (!r->axis.item[t->key_axis[k]].pick)
            n *= z->axis[t->key_axis[k]]; /* at most WM_MAX_INDEX each; checked when bound */
    return n;
}

void
wm_term_position(struct wm_bind *b, const struct wm_inst *x, const struct wm_rterm *t, const struct wm_sizes *z,
                 int64_t n, int64_t *pos)
{
    for (uint32_t k = t->nkey_axis; k-- > 0;) {
        const struct wm_axis *ax = &x->rule->axis.item[t->key_axis[k]];

        if (ax->pick) {
            pos[k] = pick_position(b, x, ax);
            continue;
        }
        pos[k] = n % z->axis[t->key_axis[k]];
        n /= z->axis[t->key_axis[k]];
    }
}

/* Slot of the reading term's tensor at the given positions of its key axes. */
uint32_t
wm_geom_slot(const struct wm_geom_make *q, const struct wm_geom_place *p, const int64_t *pos)
{
    int64_t n = 0;

    for (uint32_t k = 0; k < p->term->nkey_axis; k++)
        if (!q->r->axis.item[p->term->key_axis[k]].pick)
            n = n * q->z->axis[p->term->key_axis[k]] + pos[k];
    return p->first_slot + (uint32_t)n;
}

/* Emit the box once for each combination of the enumerated axes. */
static void
emit(const struct wm_geom_make *q, struct nest *n, const struct wm_geom_place *src, int64_t *pos, struct wm_imap *map)
{
    int64_t at[WM_MAX_RANK] = {0}, base = n->box.dst_base;

    for (uint32_t i = 0; i < n->neach; i++)
        if (n->each[i].extent == 0)
            return;
    for (;;) {
        uint32_t i = n->neach;

        n->box.dst_base = base;
        for (uint32_t k = 0; k < n->neach; k++) {
            pos[key_axis(src->term, n->each[k].axis)] = at[k] + n->each[k].from;
            n->box.dst_base += at[k] * n->each[k].dst;
        }
        n->box.slot[0] = wm_geom_slot(q, src, pos);
        n->box.rank = (uint16_t)n->ndim;
        wm_imap_add(map, &n->box, n->dim);
        while (i > 0 && ++at[i - 1] == n->each[i - 1].extent)
            at[--i] = 0;
        if (i == 0)
            return;
    }
}

struct wm_geom_place
wm_geom_place_of(const struct wm_geom_make *q, int s, uint32_t product)
{
    const struct wm_product *p = &q->r->side[s].product[product];

    return (struct wm_geom_place){&q->r->side[s].term[p->term], p, &q->alts[s][p->term].alt.item[p->alt],
                                  s == q->rs ? q->first_slot[p->term] : 0};
}

/* Dimensions of a product that is filled: those of its own pattern. */
static void
fill_box(const struct wm_geom_make *q, const struct wm_geom_place *dst, uint32_t elem, struct wm_imap *map)
{
    struct nest n = {.box = {.dst_base = dst->alt->off, .elem = elem}};

    for (uint32_t k = 0; k < dst->alt->naxis; k++)
        n.dim[n.ndim++] = (struct wm_dim){.extent = q->z->axis[dst->alt->axis[k]], .dst = dst->alt->stride[k]};
    n.box.rank = (uint16_t)n.ndim;
    wm_imap_add(map, &n.box, n.dim);
}

/* Boxes of one product of an output: `wpos` are the positions of its own key axes. */
static bool
copy_boxes(const struct wm_geom_make *q, const struct wm_geom_place *dst, const struct wm_geom_place *src,
           const int64_t *wpos, struct wm_imap *map)
{
    struct nest n = {.box = {.dst_base = dst->alt->off, .nsrc = 1, .elem = q->elem}};
    int64_t pos[WM_MAX_RANK] = {0}, s;

    n.box.src_base[0] = src->alt->off;
    for (uint32_t k = 0; k < src->term->nkey_axis; k++) {
        const struct wm_axis *ax = &q->r->axis.item[src->term->key_axis[k]];

        if (ax->pick)
            pos[k] = pick_position(q->b, q->x, ax);
    }
    for (uint32_t k = 0; k < dst->alt->naxis; k++) {
        uint32_t axis = dst->alt->axis[k], key = key_axis(src->term, axis);

        if (key != WM_NONE) {
            n.each[n.neach].axis = axis;
            n.each[n.neach].extent = q->z->axis[axis];
            n.each[n.neach++].dst = dst->alt->stride[k];
            continue;
        }
        s = stride_of(src->alt, axis);
        n.dim[n.ndim++] =
            (struct wm_dim){.extent = q->z->axis[axis], .dst = dst->alt->stride[k], .src = {s < 0 ? 0 : s}};
    }
    for (uint32_t k = 0; k < dst->term->nkey_axis; k++) {
        uint32_t axis = dst->term->key_axis[k], key = key_axis(src->term, axis);

        s = stride_of(src->alt, axis);
        if (key != WM_NONE)
            pos[key] = wpos[k];
        else if (s >= 0)
            n.box.src_base[0] += wpos[k] * s;
    }
    for (uint32_t k = 0; k < src->alt->naxis; k++) {
        const struct wm_axis *ax = &q->r->axis.item[src->alt->axis[k]];

        if (ax->pick && !has_axis(dst->product, src->alt->axis[k])) {
            s = pick_position(q->b, q->x, ax);
            if (s < 0 || s >= q->z->axis[src->alt->axis[k]])
                return false;
            n.box.src_base[0] += s * src->alt->stride[k];
        }
    }
    emit(q, &n, src, pos, map);
    return true;
}

/* ---- outputs ---- */

/* Renumber the slots of a map to those that it uses. */
void
wm_compact_slots(struct wm_arena *a, struct wm_imap *map, struct wm_vout *out)
{
    uint32_t cap = 4;

    out->slot = WM_NEW_N(a, uint32_t, cap);
    for (uint32_t i = 0; i < map->box.n; i++)
        for (uint32_t o = 0; o < map->box.item[i].nsrc; o++) {
            uint32_t *s = &map->box.item[i].slot[o], k = out->nslot;

            /* most boxes follow the one before: look from the end */
            while (k > 0 && out->slot[k - 1] != *s && out->nslot - k < 8)
                k--;
            if (k == 0 || out->slot[k - 1] != *s) {
                if (out->nslot == cap) {
                    out->slot = wm_arena_grow(a, out->slot, cap, cap * 2, sizeof(*out->slot));
                    cap *= 2;
                }
                out->slot[out->nslot++] = *s;
                k = out->nslot;
            }
            *s = k - 1;
        }
}

static bool
output_shape(const struct wm_geom_make *q, const struct wm_rterm *t, struct wm_vout *out)
{
    int64_t *shape = WM_NEW_N(q->b->cc->a, int64_t, t->ndim + q->z->rest_rank);

    for (uint32_t d = 0; d < t->ndim; d++) {
        if (t->dim[d].kind == WM_PT_REST) {
            for (uint32_t k = 0; k < q->z->rest_rank; k++)
                shape[out->rank++] = q->z->rest[k];
            continue;
        }
        if (!wm_dim_size(&t->dim[d], q->z->axis, &shape[out->rank]))
            return false;
        out->rank++;
    }
    out->shape = shape;
    return out->rank <= WM_MAX_RANK && wm_ck_numel(shape, out->rank, &out->nunit);
}

static bool
output_boxes(const struct wm_geom_make *q, const struct wm_rterm *t, const int64_t *pos, struct wm_imap *map)
{
    for (uint32_t i = 0; i < t->nproduct; i++) {
        struct wm_geom_place dst = wm_geom_place_of(q, q->ws, t->first_product + i);
        uint32_t elem;

        if (q->r->side[q->rs].fill) {
            if (!wm_geom_constant(q, q->r->side[q->rs].fill->value, q->dtype, WM_EL_FILL, &elem))
                return false;
            fill_box(q, &dst, elem, map);
        } else if (dst.product->pad != WM_NONE) {
            if (!wm_geom_constant(q, q->r->axis.item[dst.product->pad].pad, q->dtype, WM_EL_FILL, &elem))
                return false;
            fill_box(q, &dst, elem, map);
        } else {
            struct wm_geom_place src = wm_geom_place_of(q, q->rs, dst.product->partner);

            if (!copy_boxes(q, &dst, &src, pos, map)) {
                wm_report(&q->b->cc->diags, WM_E_PICK, q->r->span, "a picked position is out of range");
                return false;
            }
        }
    }
    return true;
}

static bool
make_output(const struct wm_geom_make *q, const struct wm_rterm *t, int64_t n, struct wm_vout *out)
{
    int64_t pos[WM_MAX_RANK] = {0};
    struct wm_imap map;

    *out = (struct wm_vout){.dtype = q->dtype};
    if (!output_shape(q, t, out)) {
        wm_report(&q->b->cc->diags, WM_E_EXTENTS, t->span, "the tensor would be too large");
        return false;
    }
    wm_term_position(q->b, q->x, t, q->z, n, pos);
    wm_imap_init(&map, q->b->cc->a);
    if (!output_boxes(q, t, pos, &map))
        return false;
    wm_imap_canon(&map);
    wm_compact_slots(q->b->cc->a, &map, out);
    out->geom = wm_graph_geom(q->b->g, &map, out->nslot);
    return true;
}

static bool
expand_sides(struct wm_geom_make *q)
{
    uint32_t slot = 0;

    for (int s = 0; s < 2; s++) {
        q->alts[s] = WM_NEW_N(q->b->cc->a, struct wm_alts, q->r->side[s].nterm);
        for (uint32_t t = 0; t < q->r->side[s].nterm; t++)
            if (!wm_term_expand(q->b->cc->a, &q->r->side[s].term[t], q->z->axis, &q->alts[s][t])) {
                wm_report(&q->b->cc->diags, WM_E_EXTENTS, q->r->side[s].term[t].span, "the tensor would be too large");
                return false;
            }
    }
    q->first_slot = WM_NEW_N(q->b->cc->a, uint32_t, q->r->side[q->rs].nterm);
    for (uint32_t t = 0; t < q->r->side[q->rs].nterm; t++) {
        q->first_slot[t] = slot;
        slot += (uint32_t)wm_term_count(&q->r->side[q->rs].term[t], q->r, q->z);
    }
    return true;
}

static struct wm_variant *
make_variant(struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z)
{
    const struct wm_rule *r = x->rule;
    struct wm_geom_make q = {.b = b, .x = x, .r = r, .z = z, .rs = b->rs, .ws = b->ws, .dtype = z->dtype};
    uint32_t n = 0, at = 0;

    q.v = WM_NEW(b->cc->a, struct wm_variant);
    if (r->side[b->rs].fill)
        q.dtype = wm_dtype_by_name(r->side[b->rs].fill->dtype);
    else if (r->ast->nop > 0 && !wm_pipe_elem(b->g, &b->be, &x->scope, r, b->back, &q.dtype, &q.elem))
        return NULL;
    if (!expand_sides(&q))
        return NULL;
    for (uint32_t t = 0; t < r->side[b->ws].nterm; t++)
        n += (uint32_t)wm_term_count(&r->side[b->ws].term[t], r, z);
    q.v->nout = n;
    q.v->out = WM_NEW_N(b->cc->a, struct wm_vout, n);
    for (uint32_t t = 0; t < r->side[b->ws].nterm; t++) {
        int64_t count = wm_term_count(&r->side[b->ws].term[t], r, z);

        for (int64_t i = 0; i < count; i++)
            if (!make_output(&q, &r->side[b->ws].term[t], i, &q.v->out[at++]))
                return NULL;
    }
    if (r->side[b->ws].fill)
        return wm_geom_check_fill(&q) ? q.v : NULL;
    return wm_geom_checks(&q) ? q.v : NULL;
}

/* Sizes that a variant depends on.  Constants, picked positions and scales may depend on an index through their
 * expressions, so rules that have any of them are told apart by the values of their variables, too. */
static void
signature(const struct wm_inst *x, const struct wm_sizes *z, struct wm_buf *sig)
{
    const struct wm_rule *r = x->rule;
    bool values = r->ast->nop > 0 || r->side[0].fill || r->side[1].fill;

    sig->n = 0;
    wm_buf_puts(sig, (struct wm_str){(const char *)z->axis, r->axis.n * sizeof(*z->axis)});
    wm_buf_puts(sig, (struct wm_str){(const char *)&z->dtype, sizeof(z->dtype)});
    wm_buf_puts(sig, (struct wm_str){(const char *)z->rest, z->rest_rank * sizeof(*z->rest)});
    for (uint32_t i = 0; i < z->npipe; i++) {
        wm_buf_puts(sig, (struct wm_str){(const char *)&z->pipe[i]->rank, sizeof(z->pipe[i]->rank)});
        wm_buf_puts(sig,
                    (struct wm_str){(const char *)z->pipe[i]->shape, z->pipe[i]->rank * sizeof(*z->pipe[i]->shape)});
    }
    for (uint32_t i = 1; i < r->axis.n; i++)
        values |= r->axis.item[i].pick || r->axis.item[i].pad;
    for (uint32_t v = 0; values && v < r->var.n; v++)
        if (r->var.item[v].common && r->var.item[v].kind != WM_VAR_CAPTURE)
            wm_buf_puts(sig, (struct wm_str){(const char *)&x->value[v], sizeof(x->value[v])});
}

struct wm_variant *
wm_variant_get(struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z, struct wm_rule_cache *cache)
{
    struct wm_variant *v;
    uint32_t seen;

    signature(x, z, &cache->sig);
    seen = wm_map_get(&cache->seen, wm_buf_str(&cache->sig));
    if (seen != WM_NONE)
        return cache->variant.item[seen];
    v = x->rule->pipeline ? wm_pipe_variant(b, x, z) : make_variant(b, x, z);
    if (!v)
        return NULL;
    wm_map_put(&cache->seen, wm_arena_str(b->cc->a, wm_buf_str(&cache->sig)), cache->variant.n);
    *WM_PUSH(b->cc->a, &cache->variant) = v;
    return v;
}
