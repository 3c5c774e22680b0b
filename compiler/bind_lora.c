/* compiler/bind_lora.c -- an adapter at bind: what was read becomes what was read plus low-rank sums.
 *
 * Enters: the logical tensors of the side that is read, and behind them, unseen by any rule, those of the adapter.
 * Leaves: one more stage, W' <- (W, B, A), that fuses with what follows.  Each tensor of the adapter is taken by the
 * first line that fits its name; one that is left over is an error. */
#include "compiler/bind_lora.h"

struct wm_str
wm_merge_show(const struct wm_merge *g, uint32_t t)
{
    return wm_place_show(g->b->cc->a, g->stage->in->t.item[t].key);
}

bool
wm_merge_fail(struct wm_merge *g, const char *text)
{
    wm_report_at(&g->b->cc->diags, WM_E_ADAPTER, g->path, "%s", text);
    return false;
}

/* ---- pairs ---- */

void
wm_merge_change(struct wm_merge *g, uint32_t w, uint32_t t, const struct wm_make *mk)
{
    g->changed[w] = true;
    g->make[w] = *mk;
    *WM_PUSH(g->b->cc->a, &g->b->g->adapted) = (struct wm_adapted_key){g->stage->in->t.item[w].key, t - g->nbase};
}

bool
wm_lora_is_real(enum wm_dtype t)
{
    return t == WM_DT_F16 || t == WM_DT_BF16 || t == WM_DT_F32 || t == WM_DT_F64;
}

static bool
check_dtypes(struct wm_merge *g, const struct wm_pair *p)
{
    struct wm_arena *a = g->b->cc->a;
    enum wm_dtype w = p->gt[WM_LORA_W]->dtype;

    for (int t = 0; t < WM_LORA_TERMS; t++) {
        enum wm_dtype dt = p->gt[t]->dtype;
        if (t == WM_LORA_W && wm_has_scales(g->b, g->side, g->on, p->t[t]))
            return wm_merge_fail(g, wm_arena_printf(a, "`%s` is quantised: dequantise it in one run, and merge the adapter in the "
                                           "next", wm_merge_show(g, p->t[t]).p).p);
        if (!wm_lora_is_real(dt))
            return wm_merge_fail(g, wm_arena_printf(a, "`%s` is %s: sums are made of float16, bfloat16, float32 and float64",
                                           wm_merge_show(g, p->t[t]).p, wm_dtype_info[dt].name).p);
        if (p->l->item->stepwise && dt != w && g->b->o->adapter_to == WM_ADAPTER_OTHER)
            return wm_merge_fail(g, wm_arena_printf(a, "`%s` is %s and `%s` %s: rounding stepwise is defined for one type; "
                                           "cast the weights first", wm_merge_show(g, p->t[t]).p, wm_dtype_info[dt].name,
                                           wm_merge_show(g, p->t[WM_LORA_W]).p, wm_dtype_info[w].name).p);
        if (t != WM_LORA_W && g->b->g->manifest->tensor.item[g->b->g->manifest->tensor.n - g->ad->manifest->tensor.n +
                                                             p->t[t] - g->nbase].store->stride)
            return wm_merge_fail(g, wm_arena_printf(a, "`%s` is a view whose elements do not lie one behind the other",
                                           wm_merge_show(g, p->t[t]).p).p);
    }
    return true;
}

static bool
bind_pair(struct wm_merge *g, struct wm_pair *p)
{
    struct wm_arena *a = g->b->cc->a;
    struct wm_rule *r = p->l->scope;
    struct wm_make mk = {.span = p->l->item->span, .slot = g->slot.n};
    int64_t rank;
    uint32_t w;

    p->z.axis = WM_NEW_N(a, int64_t, r->axis.n);
    if (g->changed[p->t[WM_LORA_W]])
        return wm_merge_fail(g, wm_arena_printf(a, "two parts of the adapter go into `%s`", wm_merge_show(g, p->t[WM_LORA_W]).p).p);
    if (!wm_inst_sizes(g->b, &p->x, &p->z) || !wm_inst_solve(g->b, &p->x, r->side[0].term, p->gt, WM_LORA_TERMS, &p->z))
        return false;
    rank = p->z.axis[p->l->rank];
    if (rank < 1 || rank > WM_LOWRANK_MAX)
        return wm_merge_fail(g, wm_arena_printf(a, "`%s` has the rank %lld", wm_merge_show(g, p->t[WM_LORA_A]).p, (long long)rank).p);
    if (!check_dtypes(g, p) || !wm_lora_scale(g, p) || !wm_lora_geometry(g, p, &mk.geom))
        return false;
    mk.nunit = wm_gt_numel(p->gt[WM_LORA_W]);
    w = p->t[WM_LORA_W];
    *WM_PUSH(a, &g->slot) = g->base[w] != WM_NONE ? g->base[w] : w;
    *WM_PUSH(a, &g->slot) = p->t[WM_LORA_B];
    *WM_PUSH(a, &g->slot) = p->t[WM_LORA_A];
    wm_merge_change(g, w, p->t[WM_LORA_A], &mk);
    return true;
}

/* A tensor that fits the key of A: its partner, its weight. */
static bool
complete(struct wm_merge *g, struct wm_pair *p, uint32_t t)
{
    struct wm_bind *b = g->b;
    struct wm_str key;

    p->t[WM_LORA_A] = t;
    if (!wm_inst_key(b, &p->x, &p->l->scope->side[0].term[WM_LORA_B], &key))
        return false;
    p->t[WM_LORA_B] = wm_map_get(&g->by_name, key);
    if (p->t[WM_LORA_B] != WM_NONE) {
        p->t[WM_LORA_B] += g->nbase;
    } else {
        wm_report_at(&b->cc->diags, WM_E_MISSING, g->path, "MISSING %.*s, which goes with %s", WM_STR_ARG(key),
                     wm_merge_show(g, t).p);
        return false;
    }
    g->used[t - g->nbase] = g->used[p->t[WM_LORA_B] - g->nbase] = true;
    if (!wm_inst_key(b, &p->x, &p->l->scope->side[0].term[WM_LORA_W], &key))
        return false;
    p->t[WM_LORA_W] = wm_map_get(&g->on->by_key, key);
    if (p->t[WM_LORA_W] == WM_NONE) {
        wm_report_at(&b->cc->diags, WM_E_MISSING, b->g->manifest->path, "MISSING %.*s, into which %s of the adapter goes",
                     WM_STR_ARG(key), wm_merge_show(g, t).p);
        return false;
    }
    for (int k = 0; k < WM_LORA_TERMS; k++)
        p->gt[k] = &g->stage->in->t.item[p->t[k]];
    return bind_pair(g, p);
}

static bool
bind_line(struct wm_merge *g, const struct wm_lora_line *l)
{
    struct wm_bind *b = g->b;
    struct wm_pair p = {.l = l};
    bool yes = true, ok = true;

    if (l->item->when && !wm_eval_bool(&b->be, wm_menv_of(&b->be, l->scope->mod), NULL, l->item->when, &yes))
        return false;
    wm_inst_init(b, l->scope, &p.x);
    for (uint32_t t = g->nbase; yes && t < g->stage->in->t.n; t++) {
        bool range = false;

        wm_inst_forget(&p.x);
        if (!g->used[t - g->nbase] &&
            wm_inst_read(b, &p.x, &l->scope->side[0].term[WM_LORA_A].key, g->stage->in->t.item[t].key, &range))
            ok &= complete(g, &p, t);
    }
    return ok;
}

/* ---- the stage ---- */

static void
finish(struct wm_merge *g)
{
    struct wm_stage *s = g->stage;
    uint32_t base = s->slot.n;

    for (uint32_t i = 0; i < g->slot.n; i++)
        *WM_PUSH(g->b->cc->a, &s->slot) = g->slot.item[i];
    for (uint32_t i = 0; i < g->nbase; i++) {
        const struct wm_gt *gt = &s->in->t.item[i];

        wm_map_put(&s->out->by_key, gt->key, s->out->t.n);
        if (!g->changed[i]) {
            wm_stage_pass(g->b->g, s, i, gt);
            continue;
        }
        g->make[i].slot += base;
        wm_tset_add(g->b->cc, s->out, gt);
        *WM_PUSH(g->b->cc->a, &s->make) = g->make[i];
    }
}

/* The lines of a side: its own before those of the maps that it uses; else those of the adapter's kind. */
static void
find_lines(struct wm_merge *g)
{
    const struct wm_side *own = &g->b->m->side[g->side];
    const struct wm_side *from = own->lora.n == 0 && g->b->lora ? &g->b->lora->side[0] : own;

    g->line = WM_NEW_N(g->b->cc->a, const struct wm_lora_line *, from->lora.n);
    for (int mine = 1; mine >= 0; mine--)
        for (uint32_t i = 0; i < from->lora.n; i++)
            if ((from->lora.item[i].scope->mod == g->b->m) == (mine == 1))
                g->line[g->nline++] = &from->lora.item[i];
}

struct wm_stage *
wm_widen(struct wm_graph *g, const struct wm_adapter *ad, const struct wm_stage *st, uint32_t from)
{
    struct wm_stage *s = WM_NEW(g->cc->a, struct wm_stage);

    *s = *st;
    s->out = WM_NEW(g->cc->a, struct wm_tset);
    *s->out = *st->out;
    for (uint32_t i = 0; i < ad->manifest->tensor.n; i++) {
        const struct wm_mtensor *t = &ad->manifest->tensor.item[i];

        wm_stage_pass(g, s, from + i,
                      &(struct wm_gt){.key = t->name, .dtype = t->dtype, .rank = t->rank, .shape = t->shape});
    }
    return s;
}

/* All of the adapter into the tensors of the layout. */
static bool
merge(struct wm_merge *g)
{
    uint32_t before = g->b->cc->diags.nerror;
    bool ok = g->ad->kind != WM_ADAPTER_PEFT || wm_lora_bases(g);

    if (g->nline == 0 && !g->b->lora)
        return wm_merge_fail(g, "the map has no lora lines, and this is no adapter of PEFT or LitGPT");
    for (uint32_t i = 0; i < g->nline; i++)
        ok &= bind_line(g, g->line[i]);
    if (ok && g->ad->kind == WM_ADAPTER_PEFT)
        ok = wm_lora_replace(g);
    if (ok)
        ok = wm_lora_report_rest(g);
    if (ok && g->b->g->adapted.n == 0)
        ok = wm_merge_fail(g, "the adapter has no tensors");
    return ok && g->b->cc->diags.nerror == before;
}

bool
wm_bind_adapter(struct wm_bind *b, int side, struct wm_tset *on, struct wm_stage *to, uint32_t from, struct wm_stage **out)
{
    const struct wm_manifest *ad = b->o->adapter ? b->o->adapter->manifest : NULL;
    struct wm_merge g = {.b = b, .ad = b->o->adapter, .side = side, .on = on, .nbase = on->t.n};
    struct wm_stage *wide;

    *out = to;
    if (!ad)
        return true;
    g.path = ad->path;
    g.used = WM_NEW_N(b->cc->a, bool, ad->tensor.n);
    wm_map_init(&g.by_name, b->cc->a, ad->tensor.n);
    for (uint32_t t = 0; t < ad->tensor.n; t++)
        wm_map_put(&g.by_name, ad->tensor.item[t].name, t);
    find_lines(&g);
    if (!wm_lora_takes(&g))
        return true;
    b->way->taken = true;
    if (side == b->ws)
        b->g->adapter_into = wm_arena_printf(b->cc->a, "%s %.*s%sof %.*s", side ? "target" : "source",
                                             WM_STR_ARG(b->m->side[side].name), b->m->side[side].name.n ? " " : "",
                                             WM_STR_ARG(b->m->name.n ? b->m->name : b->m->path));
    wide = wm_widen(b->g, b->o->adapter, to ? to : &(struct wm_stage){.in = on, .out = on}, from);
    g.stage = wm_stage_new(b->g, wide->out);
    memset(g.used, 0, ad->tensor.n * sizeof(g.used[0]));
    g.changed = WM_NEW_N(b->cc->a, bool, g.nbase);
    g.make = WM_NEW_N(b->cc->a, struct wm_make, g.nbase);
    g.base = WM_NEW_N(b->cc->a, uint32_t, g.nbase);
    memset(g.base, 0xff, g.nbase * sizeof(g.base[0]));
    wm_map_init(&g.geoms, b->cc->a, 64);
    if (!merge(&g))
        return false;
    finish(&g);
    *out = wm_stage_fuse(b->g, to ? wide : NULL, g.stage);
    return *out != NULL;
}
