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
wm_merge_change(struct wm_merge *g, uint32_t w, const struct wm_make *mk)
{
    g->changed[w] = true;
    g->make[w] = *mk;
    *WM_PUSH(g->b->cc->a, &g->b->adapted) = w;
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
        const struct wm_scaled *scale = t == WM_LORA_W && g->b->scale ? &g->b->scale[p->t[t]] : NULL;

        if (scale && scale->line)
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
    wm_merge_change(g, p->t[WM_LORA_W], &mk);
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
    if (p->t[WM_LORA_B] == WM_NONE) {
        wm_report_at(&b->cc->diags, WM_E_MISSING, g->path, "MISSING %.*s, which goes with %s", WM_STR_ARG(key),
                     wm_merge_show(g, t).p);
        return false;
    }
    g->used[t - g->nbase] = g->used[p->t[WM_LORA_B] - g->nbase] = true;
    if (!wm_inst_key(b, &p->x, &p->l->scope->side[0].term[WM_LORA_W], &key))
        return false;
    p->t[WM_LORA_W] = wm_map_get(&b->in->by_key, key);
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
static bool
bind_lines(struct wm_merge *g)
{
    const struct wm_side *own = &g->b->m->side[g->b->rs];
    bool ok = true;

    if (own->lora.n == 0) {
        if (!g->b->lora)
            return wm_merge_fail(g, "the map has no lora lines on the side that is read, and this is no adapter of PEFT or LitGPT");
        for (uint32_t i = 0; i < g->b->lora->side[0].lora.n; i++)
            ok &= bind_line(g, &g->b->lora->side[0].lora.item[i]);
    }
    for (int mine = 1; mine >= 0; mine--)
        for (uint32_t i = 0; i < own->lora.n; i++)
            if ((own->lora.item[i].scope->mod == g->b->m) == (mine == 1))
                ok &= bind_line(g, &own->lora.item[i]);
    return ok;
}

/* The logical tensors with those of the adapter behind them; *read is the stage that has them as its outputs. */
static struct wm_tset *
widen(struct wm_bind *b, struct wm_stage *read, struct wm_tset *placed)
{
    const struct wm_manifest *m = b->g->manifest;
    uint32_t n = b->o->adapter->manifest->tensor.n, first = m->tensor.n - n;
    struct wm_tset *all = WM_NEW(b->cc->a, struct wm_tset);

    for (uint32_t i = 0; !read && i < placed->t.n; i++)
        wm_tset_add(b->cc, all, &placed->t.item[i]);
    for (uint32_t i = 0; i < n; i++) {
        const struct wm_mtensor *t = &m->tensor.item[first + i];
        struct wm_gt gt = {.key = t->name, .dtype = t->dtype, .rank = t->rank, .shape = t->shape};

        if (read)
            wm_stage_pass(b->g, read, first + i, &gt);
        else
            wm_tset_add(b->cc, all, &gt);
    }
    return read ? read->out : all;
}

struct wm_stage *
wm_bind_adapter(struct wm_bind *b, struct wm_stage *read, struct wm_tset *placed)
{
    struct wm_merge g = {.b = b, .ad = b->o->adapter, .path = b->o->adapter->manifest->path, .nbase = b->in->t.n};
    uint32_t before = b->cc->diags.nerror;
    bool ok;

    g.stage = wm_stage_new(b->g, widen(b, read, placed));
    g.used = WM_NEW_N(b->cc->a, bool, g.stage->in->t.n - g.nbase);
    g.changed = WM_NEW_N(b->cc->a, bool, g.nbase);
    g.make = WM_NEW_N(b->cc->a, struct wm_make, g.nbase);
    g.base = WM_NEW_N(b->cc->a, uint32_t, g.nbase);
    memset(g.base, 0xff, g.nbase * sizeof(g.base[0]));
    wm_map_init(&g.by_name, b->cc->a, g.stage->in->t.n - g.nbase);
    wm_map_init(&g.geoms, b->cc->a, 64);
    for (uint32_t t = g.nbase; t < g.stage->in->t.n; t++)
        wm_map_put(&g.by_name, g.stage->in->t.item[t].key, t);
    ok = g.ad->kind != WM_ADAPTER_PEFT || wm_lora_bases(&g);
    ok = bind_lines(&g) && ok;
    if (ok && g.ad->kind == WM_ADAPTER_PEFT)
        ok = wm_lora_replace(&g);
    if (ok)
        ok = wm_lora_report_rest(&g);
    if (ok && b->adapted.n == 0)
        ok = wm_merge_fail(&g, "the adapter has no tensors");
    if (!ok || b->cc->diags.nerror != before)
        return NULL;
    finish(&g);
    return wm_stage_fuse(b->g, read, g.stage);
}

void
wm_check_adapted(struct wm_bind *b)
{
    for (uint32_t i = 0; i < b->adapted.n; i++) {
        uint32_t t = b->adapted.item[i];

        if (b->used[t] != WM_USE_READ)
            wm_report_at(&b->cc->diags, WM_E_ADAPTER, b->o->adapter->manifest->path,
                         "the adapter changes `%s`, which the map does not carry",
                         wm_place_show(b->cc->a, b->in->t.item[t].key).p);
    }
}
