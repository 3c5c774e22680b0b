/* compiler/lora_geom.c -- the boxes of a low-rank sum.
 *
 * Enters: a pair whose sizes and scale are known.  Leaves: the geometry W' <- (W, B, A), one box for each product of the
 * weight. */
#include "compiler/bind_lora.h"
#include "compiler/elem.h"

static int64_t
stride_of(const struct wm_alt *alt, uint32_t axis)
{
    for (uint32_t k = 0; k < alt->naxis; k++)
        if (alt->axis[k] == axis)
            return alt->stride[k];
    return 0;
}

/* The box of one product of the weight: with its part of the factors, or as it is. */
static void
add_box(struct wm_merge *g, const struct wm_pair *p, const struct wm_alts *alts, uint32_t w, const struct wm_lora_part *part,
        struct wm_imap *map)
{
    const struct wm_alt *aw = &alts[WM_LORA_W].alt.item[w], *aa, *ab;
    struct wm_dim dim[WM_MAX_RANK];
    struct wm_box box = {.dst_base = aw->off, .nsrc = 1, .src_base = {aw->off}, .rank = (uint16_t)aw->naxis};
    struct wm_elem e = {.kind = WM_EL_LOWRANK, .from = p->gt[WM_LORA_W]->dtype, .to = p->gt[WM_LORA_W]->dtype,
                        .stepwise = p->l->item->stepwise, .scale = p->scale,
                        .factor = {p->gt[WM_LORA_B]->dtype, p->gt[WM_LORA_A]->dtype}};

    for (uint32_t k = 0; k < aw->naxis; k++) {
        dim[k] = (struct wm_dim){.extent = p->z.axis[aw->axis[k]], .dst = aw->stride[k], .src = {aw->stride[k]}};
        if (dim[k].extent == 0)
            return;
    }
    if (part) {
        aa = &alts[WM_LORA_A].alt.item[part->a];
        ab = &alts[WM_LORA_B].alt.item[part->b];
        e.rank = (uint32_t)p->z.axis[p->l->rank];
        e.stride[0] = stride_of(ab, p->l->rank);
        e.stride[1] = stride_of(aa, p->l->rank);
        box.nsrc = 3;
        box.elem = wm_graph_elem(g->b->g, &e);
        for (uint32_t s = 1; s < 3; s++) {
            box.slot[s] = s;
            box.src_base[s] = s == 1 ? ab->off : aa->off;
            for (uint32_t k = 0; k < aw->naxis; k++)
                dim[k].src[s] = stride_of(s == 1 ? ab : aa, aw->axis[k]);
        }
    }
    wm_imap_add(map, &box, dim);
}

static bool
make_geometry(struct wm_merge *g, const struct wm_pair *p, uint32_t *geom)
{
    struct wm_arena *a = g->b->cc->a;
    struct wm_alts alts[WM_LORA_TERMS];
    struct wm_imap map;

    for (int t = 0; t < WM_LORA_TERMS; t++)
        if (!wm_term_expand(a, &p->l->scope->side[0].term[t], p->z.axis, &alts[t]))
            return wm_merge_fail(g, wm_arena_printf(a, "`%s` would be too large", wm_merge_show(g, p->t[t]).p).p);
    wm_imap_init(&map, a);
    for (uint32_t w = 0; w < alts[WM_LORA_W].alt.n; w++) {
        const struct wm_lora_part *part = NULL;

        for (uint32_t i = 0; i < p->l->npart; i++)
            if (p->l->part[i].w == w)
                part = &p->l->part[i];
        add_box(g, p, alts, w, part, &map);
    }
    wm_imap_canon(&map);
    *geom = wm_graph_geom(g->b->g, &map, 3);
    return true;
}

/* Layers are alike: what has the same sizes, types and scale has the same geometry. */
bool
wm_lora_geometry(struct wm_merge *g, const struct wm_pair *p, uint32_t *geom)
{
    struct wm_buf sig;
    struct wm_str key;

    wm_buf_init(&sig, g->b->cc->a);
    wm_buf_puts(&sig, (struct wm_str){(const char *)&p->l, sizeof(p->l)});
    wm_buf_puts(&sig, (struct wm_str){(const char *)p->z.axis, p->l->scope->axis.n * sizeof(*p->z.axis)});
    wm_buf_puts(&sig, (struct wm_str){(const char *)&p->scale, sizeof(p->scale)});
    for (int t = 0; t < WM_LORA_TERMS; t++)
        wm_buf_puts(&sig, (struct wm_str){(const char *)&p->gt[t]->dtype, sizeof(p->gt[t]->dtype)});
    key = wm_buf_str(&sig);
    *geom = wm_map_get(&g->geoms, key);
    if (*geom != WM_NONE)
        return true;
    if (!make_geometry(g, p, geom))
        return false;
    wm_map_put(&g->geoms, wm_arena_str(g->b->cc->a, key), *geom);
    return true;
}

