/* compiler/adapter_out.c -- an adapter converted by itself, instead of merged into weights.
 *
 * Enters: the fused graph of the map with the adapter merged: boxes say where every element of a weight that is written
 * comes from, and which row of which factor and which column of the other go with it.  Leaves: another graph, of the
 * adapter's tensors only.  A factor follows the rows of its weight, the other one the columns.  Where several pairs meet
 * in one weight (q, k and v in one projection), their ranks lie one behind the other: the factor of the columns is
 * stacked, that of the rows has a block for each, and zeros besides; that is the same sum, exactly.  What is no product
 * of rows and columns is refused by name. */
#include "compiler/adapter_out.h"

#include <stdlib.h>

#include "base/checked.h"
#include "compiler/elem.h"

static const char *const peft_prefix = "base_model.model.";

bool
wm_adapter_fail(struct wm_adapter_out *x, struct wm_str module, const char *why)
{
    wm_report_at(&x->b->cc->diags, WM_E_ADAPTER_OUT, x->ad->manifest->path, "%s: %s",
                 wm_place_show(x->b->cc->a, module).p, why);
    return false;
}

/* ---- the pairs of a weight ---- */

/* The same lines, or all of them in two spellings. */
static bool
same_set(const struct wm_adapted *w, int side, const struct wm_lines_of *x, const struct wm_lines_of *y)
{
    return (x->count == w->size[side] && y->count == w->size[side]) || wm_lines_same(x, y, false);
}

static struct wm_lora_pair *
find_product(struct wm_adapter_out *x, struct wm_adapted *w, const struct wm_lora_pair *p)
{
    struct wm_lora_pair *q;

    for (uint32_t i = 0; i < w->product.n; i++) {
        q = &w->product.item[i];
        if (q->tensor[0] == p->tensor[0] && q->tensor[1] == p->tensor[1] && q->base[0] == p->base[0] &&
            q->base[1] == p->base[1])
            return q;
    }
    q = WM_PUSH(x->b->cc->a, &w->product);
    *q = *p;
    return q;
}

static void
add_line(struct wm_adapter_out *x, struct wm_lora_pair *p, int side, const struct wm_lines_of *l)
{
    for (uint32_t i = 0; i < p->line[side].n; i++)
        if (wm_lines_same(&p->line[side].item[i], l, true))
            return;
    *WM_PUSH(x->b->cc->a, &p->line[side]) = *l;
}

/* Only what leaves a difference alone may be done to the sum. */
static const char *
changes_sum(const struct wm_elem *e)
{
    static const char *const name[] = {[WM_SP_MUL] = "mul", [WM_SP_NEG] = "neg", [WM_SP_EXP] = "exp", [WM_SP_LOG] = "log"};

    for (uint32_t i = 0; i < e->nstep; i++)
        if (e->step[i].kind > WM_SP_ADD)
            return name[e->step[i].kind];
    return NULL;
}

static bool
add_box(struct wm_adapter_out *x, const struct wm_make *mk, const struct wm_imap *m, const struct wm_box *b,
        struct wm_adapted *w)
{
    struct wm_bind *bd = x->b;
    const struct wm_elem *e = &bd->g->elem.item[b->elem];
    struct wm_lines_of line[2];
    struct wm_lora_pair p = {.scale = e->scale}, *q;
    bool flip = false;

    if (b->nsrc != 3) {
        if (!wm_lines_of_box(m, b, w->size[1], false, line))
            return wm_adapter_fail(x, w->key, "the part that no pair goes into is not made of rows and columns");
        for (int s = 0; s < 2; s++)
            *WM_PUSH(bd->cc->a, &w->rest[s]) = line[s];
        return true;
    }
    if (changes_sum(e))
        return wm_adapter_fail(x, w->key, wm_arena_printf(bd->cc->a, "the map applies %s to the weight, and a low-rank sum "
                                                          "does not go through that", changes_sum(e)).p);
    if (!wm_lines_of_box(m, b, w->size[1], false, line)) {
        flip = true;
        if (!wm_lines_of_box(m, b, w->size[1], true, line))
            return wm_adapter_fail(x, w->key, "its rows are not those of one factor: the map mixes rows and columns");
    }
    for (int s = 0; s < 2; s++) {
        uint32_t op = (s == 0) != flip ? 1 : 2; /* operand 1 is B */
        const struct wm_mtensor *t;

        p.tensor[s] = bd->g->stage->slot.item[mk->slot + b->slot[op]];
        p.step[s] = e->stride[op - 1];
        t = &bd->g->manifest->tensor.item[p.tensor[s]];
        if (!wm_lines_split(t, b->src_base[op], p.step[s], e->rank, &p.base[s], &line[s].from))
            return wm_adapter_fail(x, w->key, wm_arena_printf(bd->cc->a, "`%.*s` is no matrix of which the rank is one side",
                                                              WM_STR_ARG(t->name)).p);
        if (s && t->dtype != p.dtype)
            return wm_adapter_fail(x, w->key, "its factors have two types");
        p.dtype = t->dtype;
    }
    p.r = e->rank;
    p.flipped = flip;
    q = find_product(x, w, &p);
    add_line(x, q, 0, &line[0]);
    add_line(x, q, 1, &line[1]);
    q->nbox++;
    q->count += line[0].count * line[1].count;
    return true;
}

/* ---- what was found must be products of rows and columns, that do not overlap ---- */

static int64_t
count_lines(const struct wm_lora_pair *p, int side)
{
    int64_t n = 0;

    for (uint32_t i = 0; i < p->line[side].n; i++)
        n += p->line[side].item[i].count;
    return n;
}

/* The *n lines of a side of pair i; behind the pairs, those of the rest. */
static const struct wm_lines_of *
lines(const struct wm_adapted *w, int side, uint32_t i, uint32_t *n)
{
    if (i == w->product.n) {
        *n = w->rest[side].n;
        return w->rest[side].item;
    }
    *n = w->product.item[i].line[side].n;
    return w->product.item[i].line[side].item;
}

/* The lines of a side of all pairs and of the rest, each once: together they must be all of the side. */
static bool
check_side(struct wm_adapter_out *x, const struct wm_adapted *w, int side)
{
    WM_VEC(struct wm_lines_of) seen = {0};
    int64_t n = 0;

    for (uint32_t i = 0; i <= w->product.n; i++) {
        uint32_t count;
        const struct wm_lines_of *line = lines(w, side, i, &count);

        for (uint32_t k = 0; k < count; k++) {
            const struct wm_lines_of *l = &line[k];
            bool again = false;

            for (uint32_t j = 0; j < seen.n; j++)
                again |= same_set(w, side, &seen.item[j], l);
            if (again)
                continue;
            *WM_PUSH(x->b->cc->a, &seen) = *l;
            n += l->count;
        }
    }
    return n == w->size[side] || wm_adapter_fail(x, w->key, side ? "its pairs go into columns that overlap"
                                                                 : "its pairs go into rows that overlap");
}

static bool
check_weight(struct wm_adapter_out *x, struct wm_adapted *w)
{
    w->scale = w->product.item[0].scale;
    w->flipped = w->product.item[0].flipped;
    for (uint32_t i = 0; i < w->product.n; i++) {
        struct wm_lora_pair *p = &w->product.item[i];

        if (p->nbox != p->line[0].n * p->line[1].n || p->count != count_lines(p, 0) * count_lines(p, 1))
            return wm_adapter_fail(x, w->key, "what a pair goes into is no product of rows and columns");
        if (p->scale != w->scale)
            return wm_adapter_fail(x, w->key, wm_arena_printf(x->b->cc->a, "its pairs are scaled by %g and %g, and one "
                                                              "weight has one scale", w->scale, p->scale).p);
        if (p->flipped != w->flipped || p->dtype != w->product.item[0].dtype)
            return wm_adapter_fail(x, w->key, "its pairs have two types, or orders of rows and columns");
        p->at = w->r;
        w->r += p->r;
    }
    return w->r <= WM_LOWRANK_MAX ? check_side(x, w, 0) && check_side(x, w, 1)
                                  : wm_adapter_fail(x, w->key, "its rank would be too large");
}

/* ---- factors ---- */

/* One side of a product: its lines in the tensor of `across` ranks that is written, rank inside (rows) or outside. */
static void
factor_boxes(const struct wm_lora_pair *p, int side, int64_t lines, int64_t across, uint32_t slot, struct wm_imap *map)
{
    bool inside = (side == 0) != p->flipped; /* B: [lines rank]; A: [rank lines] */

    for (uint32_t i = 0; i < p->line[side].n; i++) {
        const struct wm_lines_of *l = &p->line[side].item[i];
        int64_t unit = inside ? across : 1, step = inside ? 1 : lines;
        struct wm_box box = {.nsrc = 1, .slot = {slot}, .dst_base = l->first * unit + p->at * step,
                             .src_base = {p->base[side] + l->from}};
        struct wm_dim dim[WM_MAX_RANK + 1] = {{0}};

        for (uint32_t k = 0; k < l->rank; k++)
            dim[box.rank++] = (struct wm_dim){.extent = l->dim[k].extent, .dst = l->dim[k].to * unit,
                                              .src = {l->dim[k].from}};
        dim[box.rank++] = (struct wm_dim){.extent = p->r, .dst = step, .src = {p->step[side]}};
        wm_imap_add(map, &box, dim);
    }
}

/* Zeros where the ranks of one product meet the lines of others. */
static void
zero_lines(const struct wm_lora_pair *p, const struct wm_lines_of *l, bool inside, int64_t lines, int64_t across,
           uint32_t elem, struct wm_imap *map)
{
    int64_t unit = inside ? across : 1, step = inside ? 1 : lines;
    struct wm_box box = {.elem = elem, .dst_base = l->first * unit + p->at * step};
    struct wm_dim dim[WM_MAX_RANK + 1] = {{0}};

    for (uint32_t k = 0; k < l->rank; k++)
        dim[box.rank++] = (struct wm_dim){.extent = l->dim[k].extent, .dst = l->dim[k].to * unit};
    dim[box.rank++] = (struct wm_dim){.extent = p->r, .dst = step};
    wm_imap_add(map, &box, dim);
}

static void
add_zeros(struct wm_adapter_out *x, const struct wm_adapted *w, int side, struct wm_imap *map)
{
    static const uint8_t zero[16] = {0};
    uint32_t elem = wm_elem_fill(x->b->g, WM_EL_FILL, w->product.item[0].dtype, zero);

    for (uint32_t i = 0; i < w->product.n; i++) {
        const struct wm_lora_pair *p = &w->product.item[i];
        WM_VEC(struct wm_lines_of) done = {0};

        for (uint32_t k = 0; k < p->line[side].n; k++)
            *WM_PUSH(x->b->cc->a, &done) = p->line[side].item[k];
        for (uint32_t j = 0; j <= w->product.n; j++) {
            uint32_t n;
            const struct wm_lines_of *line = lines(w, side, j, &n);

            for (uint32_t k = 0; k < n; k++) {
                const struct wm_lines_of *l = &line[k];
                bool again = false;

                for (uint32_t d = 0; d < done.n; d++)
                    again |= same_set(w, side, &done.item[d], l);
                if (again)
                    continue;
                *WM_PUSH(x->b->cc->a, &done) = *l;
                zero_lines(p, l, (side == 0) != p->flipped, w->size[side], w->r, elem, map);
            }
        }
    }
}

static bool
make_tensor(struct wm_adapter_out *x, const struct wm_adapted *w, struct wm_str name, const int64_t shape[2],
            struct wm_imap *map, const uint32_t *slot, uint32_t nslot)
{
    struct wm_bind *b = x->b;
    struct wm_gt gt = {.file = x->st->out->t.n ? x->st->out->t.item[0].file : WM_STR(""), .key = name,
                       .dtype = w->product.item[0].dtype, .rank = 2};
    struct wm_make mk = {.slot = x->st->slot.n, .span = w->span};
    int64_t *dims = WM_NEW_N(b->cc->a, int64_t, 2), at;
    bool twice;

    dims[0] = shape[0];
    dims[1] = shape[1];
    gt.shape = dims;
    mk.nunit = shape[0] * shape[1];
    wm_imap_canon(map);
    if (!wm_imap_tiles(map, mk.nunit, &at, &twice))
        return wm_adapter_fail(x, w->key, "its pairs do not fill the factors");
    mk.geom = wm_graph_geom(b->g, map, nslot);
    for (uint32_t i = 0; i < nslot; i++)
        *WM_PUSH(b->cc->a, &x->st->slot) = slot[i];
    if (nslot == 0)
        *WM_PUSH(b->cc->a, &x->st->slot) = 0;
    wm_tset_add(b->cc, x->st->out, &gt);
    *WM_PUSH(b->cc->a, &x->st->make) = mk;
    return true;
}

/* The factor of the rows (0) or columns (1) of a weight. */
static bool
make_factor(struct wm_adapter_out *x, const struct wm_adapted *w, int side, struct wm_str name)
{
    struct wm_arena *a = x->b->cc->a;
    bool inside = (side == 0) != w->flipped;
    int64_t shape[2] = {inside ? w->size[side] : w->r, inside ? w->r : w->size[side]};
    uint32_t *slot = WM_NEW_N(a, uint32_t, w->product.n);
    struct wm_imap map;

    wm_imap_init(&map, a);
    for (uint32_t i = 0; i < w->product.n; i++) {
        slot[i] = w->product.item[i].tensor[side];
        factor_boxes(&w->product.item[i], side, w->size[side], w->r, i, &map);
    }
    add_zeros(x, w, side, &map);
    return make_tensor(x, w, name, shape, &map, slot, w->product.n);
}

static bool
make_peft(struct wm_adapter_out *x, const struct wm_adapted *w)
{
    struct wm_arena *a = x->b->cc->a;
    const char *kind = w->embedding ? "lora_embedding_" : "lora_", *end = w->embedding ? "" : ".weight";

    for (int side = 0; side < 2; side++)
        if (!make_factor(x, w, side, wm_arena_printf(a, "%s%.*s.%s%c%s", peft_prefix, WM_STR_ARG(w->module), kind,
                                                     (side == 0) != w->flipped ? 'B' : 'A', end)))
            return false;
    return true;
}

/* ---- LitGPT: of q, k and v in one weight the parts lie one behind the other, without zeros ---- */

static int
by_first_row(const void *px, const void *py)
{
    const struct wm_lora_pair *x = px, *y = py;

    return x->line[0].item[0].first < y->line[0].item[0].first ? -1 : 1;
}

static bool
make_parts(struct wm_adapter_out *x, struct wm_adapted *w)
{
    struct wm_arena *a = x->b->cc->a;
    uint32_t n = w->product.n, r = w->product.item[0].r, *slot = WM_NEW_N(a, uint32_t, n);
    int64_t rows = 0, shape[2];
    struct wm_imap map[2];

    qsort(w->product.item, n, sizeof(*w->product.item), by_first_row);
    wm_imap_init(&map[0], a);
    wm_imap_init(&map[1], a);
    for (uint32_t i = 0; i < n; i++) {
        struct wm_lora_pair p = w->product.item[i];
        struct wm_lines_of l = p.line[0].item[0];

        if (p.r != r || p.line[0].n != 1 || p.line[1].n != 1 || p.line[1].item[0].count != w->size[1])
            return wm_adapter_fail(x, w->key, "LitGPT has one rank for all of q, k and v");
        l.first = rows;
        rows += l.count;
        p.line[0].item = &l;
        p.at = 0;
        factor_boxes(&p, 0, 0, r, i, &map[0]);
        p.at = (int64_t)i * r;
        factor_boxes(&p, 1, w->size[1], 0, i, &map[1]);
    }
    for (int side = 0; side < 2; side++) {
        shape[side] = side ? w->size[1] : rows;
        shape[1 - side] = side ? 0 : r;
        if (side) {
            shape[0] = (int64_t)n * r;
            shape[1] = w->size[1];
        }
        for (uint32_t i = 0; i < n; i++)
            slot[i] = w->product.item[i].tensor[side];
        if (!make_tensor(x, w, wm_arena_printf(a, "%.*s.lora_%c", WM_STR_ARG(w->module), side ? 'A' : 'B'), shape,
                         &map[side], slot, n))
            return false;
    }
    return true;
}

static bool
make_litgpt(struct wm_adapter_out *x, struct wm_adapted *w)
{
    struct wm_arena *a = x->b->cc->a;

    if (w->embedding || w->flipped)
        return wm_adapter_fail(x, w->key, "LitGPT's adapters have no factors of embeddings, and none that are transposed");
    if (wm_str_ends(w->module, WM_STR("attn.qkv")))
        return make_parts(x, w);
    if (w->product.n > 1)
        return wm_adapter_fail(x, w->key, "several pairs go into it, which LitGPT has for attn.qkv only");
    return make_factor(x, w, 0, wm_arena_printf(a, "%.*s.lora_B", WM_STR_ARG(w->module))) &&
           make_factor(x, w, 1, wm_arena_printf(a, "%.*s.lora_A", WM_STR_ARG(w->module)));
}

/* ---- all tensors ---- */

/* Does what is made read tensors of the adapter, or (base) those of the base? */
static bool
reads(const struct wm_adapter_out *x, const struct wm_make *mk, bool base)
{
    const struct wm_imap *m = &x->b->g->geom.item[mk->geom].map;

    if (mk->geom == WM_GEOM_IDENTITY)
        return (x->from->slot.item[mk->slot] < x->nbase) == base;
    for (uint32_t i = 0; i < m->box.n; i++)
        for (uint32_t s = 0; s < m->box.item[i].nsrc; s++)
            if ((x->from->slot.item[mk->slot + m->box.item[i].slot[s]] < x->nbase) == base)
                return true;
    return false;
}

/* A tensor that stands for one of the base: as it is in the adapter, without a cast to the type of the base. */
static bool
make_saved(struct wm_adapter_out *x, uint32_t t)
{
    struct wm_bind *b = x->b;
    const struct wm_make *mk = &x->from->make.item[t];
    const struct wm_gt *gt = &x->from->out->t.item[t];
    uint32_t n = mk->geom == WM_GEOM_IDENTITY ? 1 : b->g->geom.item[mk->geom].nslot;
    struct wm_gt out = *gt;
    struct wm_make to = *mk;
    struct wm_imap map;

    if (b->o->adapter_to != WM_ADAPTER_PEFT)
        return wm_adapter_fail(x, gt->key, "it is a whole tensor of the adapter, which LitGPT's adapters do not have");
    if (reads(x, mk, true))
        return wm_adapter_fail(x, gt->key, "a part of it is a whole tensor of the adapter, and a part is not");
    out.dtype = b->g->manifest->tensor.item[x->from->slot.item[mk->slot]].dtype;
    if (mk->geom != WM_GEOM_IDENTITY) {
        wm_imap_copy(&map, &b->g->geom.item[mk->geom].map, b->cc->a);
        for (uint32_t i = 0; i < map.box.n; i++) {
            const struct wm_elem *e = &b->g->elem.item[map.box.item[i].elem];

            for (uint32_t k = 0; k < e->nstep; k++)
                if (e->step[k].kind != WM_SP_CAST)
                    return wm_adapter_fail(x, gt->key, "the map computes with it");
            map.box.item[i].elem = 0;
        }
        wm_imap_canon(&map);
        to.geom = wm_graph_geom(b->g, &map, n);
    }
    to.slot = x->st->slot.n;
    for (uint32_t i = 0; i < n; i++)
        *WM_PUSH(b->cc->a, &x->st->slot) = x->from->slot.item[mk->slot + i];
    out.key = wm_arena_printf(b->cc->a, "%s%.*s", peft_prefix, WM_STR_ARG(gt->key));
    out.file = WM_STR("");
    wm_tset_add(b->cc, x->st->out, &out);
    *WM_PUSH(b->cc->a, &x->st->make) = to;
    *WM_PUSH(b->cc->a, &x->saved) = gt->key;
    return true;
}

/* The module of a weight that is written. */
static bool
begin_weight(struct wm_adapter_out *x, uint32_t t, struct wm_adapted *w)
{
    const struct wm_gt *gt = &x->from->out->t.item[t];

    *w = (struct wm_adapted){.key = gt->key, .module = gt->key, .span = x->from->make.item[t].span};
    if (wm_place_of(gt->key).n)
        return wm_adapter_fail(x, gt->key, "it is cut among files, and an adapter is one");
    if (gt->rank != 2)
        return wm_adapter_fail(x, gt->key, wm_arena_printf(x->b->cc->a, "it has %u dimensions, and adapters are of matrices",
                                                           gt->rank).p);
    if (!wm_str_ends(gt->key, WM_STR(".weight")))
        return wm_adapter_fail(x, gt->key, "it is no weight of a module (its name does not end in .weight)");
    w->module.n -= strlen(".weight");
    w->size[0] = gt->shape[0];
    w->size[1] = gt->shape[1];
    return true;
}

static bool
convert(struct wm_adapter_out *x, uint32_t t)
{
    struct wm_bind *b = x->b;
    const struct wm_make *mk = &x->from->make.item[t];
    const struct wm_imap *m = &b->g->geom.item[mk->geom].map;
    uint32_t npair = 0;
    struct wm_adapted w;

    if (!reads(x, mk, false))
        return true;
    for (uint32_t i = 0; mk->geom != WM_GEOM_IDENTITY && i < m->box.n; i++)
        npair += m->box.item[i].nsrc == 3;
    if (npair == 0)
        return make_saved(x, t);
    if (!begin_weight(x, t, &w))
        return false;
    for (uint32_t i = 0; i < m->box.n; i++)
        if (!add_box(x, mk, m, &m->box.item[i], &w))
            return false;
    for (uint32_t i = 0; i < w.product.n; i++)
        w.embedding |= strstr(wm_arena_cstr(b->cc->a, b->g->manifest->tensor.item[w.product.item[i].tensor[0]].name),
                              ".lora_embedding_") != NULL;
    if (!check_weight(x, &w) || !(b->o->adapter_to == WM_ADAPTER_LITGPT ? make_litgpt(x, &w) : make_peft(x, &w)))
        return false;
    *WM_PUSH(b->cc->a, &x->weight) = w;
    return true;
}

/* An adapter is one file: a map that writes the same names for several ranks has no place for it. */
static bool
check_ranks(struct wm_bind *b, const struct wm_tset *out)
{
    struct wm_map seen;
    bool ok = true;

    wm_map_init(&seen, b->cc->a, out->t.n);
    for (uint32_t t = 0; t < out->t.n && ok; t++) {
        struct wm_str key = wm_place_key(out->t.item[t].key);

        ok = wm_map_put(&seen, key, t) == t;
        if (!ok)
            wm_report_at(&b->cc->diags, WM_E_ADAPTER_OUT, b->o->adapter->manifest->path,
                         "%.*s is in the files of several ranks, but an adapter is one file: convert it for one rank",
                         WM_STR_ARG(key));
    }
    wm_map_drop(&seen);
    return ok;
}

bool
wm_adapter_convert(struct wm_bind *b, struct wm_graph *g)
{
    struct wm_adapter_out x = {.b = b, .ad = b->o->adapter, .from = g->stage,
                               .nbase = g->manifest->tensor.n - b->o->adapter->manifest->tensor.n};
    bool lit = b->o->adapter_to == WM_ADAPTER_LITGPT, ok = true;

    if (!check_ranks(b, x.from->out))
        return false;
    x.st = wm_stage_new(g, g->stage->in);
    for (uint32_t t = 0; t < x.from->out->t.n; t++)
        ok &= convert(&x, t);
    g->carry.n = 0;
    g->out_files.n = 0;
    g->no_emit = true;
    if (!ok || !(lit ? wm_adapter_config_litgpt(&x) : wm_adapter_config_peft(&x)))
        return false;
    g->out_format = lit ? WM_STR("pth") : WM_STR("safetensors");
    g->out_root = lit ? WM_STR("model") : WM_STR("");
    g->out_file = lit ? WM_STR("lit_model.pth.lora") : WM_STR("adapter_model.safetensors");
    for (uint32_t t = 0; t < x.st->out->t.n; t++)
        x.st->out->t.item[t].file = g->out_file;
    g->stage = x.st;
    return true;
}
