/* compiler/bind_lora.c -- an adapter at bind: what was read becomes what was read plus low-rank sums.
 *
 * Enters: the logical tensors of the side that is read, and behind them, unseen by any rule, those of the adapter.
 * Leaves: one more stage, W' <- (W, B, A), that fuses with what follows.  Each tensor of the adapter is taken by the
 * first line that fits its name; one that is left over is an error. */
#include <cjson/cJSON.h>
#include <regex.h>

#include "base/checked.h"
#include "compiler/bind_geom.h"
#include "compiler/elem.h"
#include "compiler/key.h"

struct merge {
    struct wm_bind *b;
    const struct wm_adapter *ad;
    struct wm_stage *stage;      /* what is made here */
    uint32_t nbase;              /* its inputs [nbase ..) are the adapter's */
    struct wm_map by_name;       /* of the adapter's tensors: their numbers */
    bool *used;                  /* [of the adapter] */
    struct wm_make *make;        /* [nbase]; of those that change */
    bool *changed;               /* [nbase] */
    WM_VEC(uint32_t) slot;       /* of the makes */
    struct wm_map geoms;         /* signature -> geometry */
    struct wm_str path;
};

/* One pair of factors and its weight. */
struct pair {
    const struct wm_lora_line *l;
    struct wm_inst x;
    uint32_t t[WM_LORA_TERMS];   /* inputs of the stage */
    const struct wm_gt *gt[WM_LORA_TERMS];
    struct wm_sizes z;
    double scale;
};

static struct wm_str
show(const struct merge *g, uint32_t t)
{
    return wm_place_show(g->b->cc->a, g->stage->in->t.item[t].key);
}

static bool
fail(struct merge *g, const char *text)
{
    wm_report_at(&g->b->cc->diags, WM_E_ADAPTER, g->path, "%s", text);
    return false;
}

/* ---- the scale ---- */

/* PEFT's names in patterns: the whole name of a module, or its end behind a dot. */
static bool
pattern_fits(struct merge *g, const char *pattern, struct wm_str module, bool *fits)
{
    struct wm_arena *a = g->b->cc->a;
    regex_t re;

    *fits = false;
    if (strchr(pattern, '\\') && strstr(pattern, "\\.") == NULL)
        return fail(g, wm_arena_printf(a, "alpha_pattern \"%s\" is a regular expression of a kind that is not read",
                                       pattern).p);
    if (regcomp(&re, wm_arena_printf(a, "^(.*\\.)?(%s)$", pattern).p, REG_EXTENDED | REG_NOSUB) != 0)
        return fail(g, wm_arena_printf(a, "alpha_pattern \"%s\" is no regular expression that is read", pattern).p);
    *fits = regexec(&re, wm_arena_cstr(a, module), 0, NULL, 0) == 0;
    regfree(&re);
    return true;
}

/* The configuration for one module: alpha_pattern's first fitting entry stands for lora_alpha. */
static bool
config_of(struct merge *g, struct wm_str key, const struct cJSON **out)
{
    const cJSON *all = g->ad->config, *list = cJSON_GetObjectItemCaseSensitive(all, "alpha_pattern");
    struct wm_str module = wm_place_key(key);
    bool fits = false;
    cJSON *copy;

    *out = all;
    if (wm_str_ends(module, WM_STR(".weight")))
        module.n -= strlen(".weight");
    for (const cJSON *e = list ? list->child : NULL; e; e = e->next) {
        if (!pattern_fits(g, e->string, module, &fits))
            return false;
        if (!fits)
            continue;
        copy = cJSON_Duplicate(all, true);
        if (copy)
            wm_cc_own_json(g->b->cc, copy);
        if (!copy || !cJSON_ReplaceItemInObjectCaseSensitive(copy, "lora_alpha", cJSON_Duplicate(e, true)))
            return fail(g, "lora_alpha is not in the configuration, or there is no memory");
        *out = copy;
        return true;
    }
    return true;
}

/* The line's scale, in which axes are their sizes. */
static bool
find_scale(struct merge *g, struct pair *p)
{
    struct wm_bind *b = g->b;
    struct wm_rule *r = p->l->scope;
    struct wm_str *name = WM_NEW_N(b->cc->a, struct wm_str, r->axis.n);
    struct wm_value *val = WM_NEW_N(b->cc->a, struct wm_value, r->axis.n), v;
    struct wm_scope sc = p->x.scope;
    const struct cJSON *whole = b->be.adapter;

    for (uint32_t i = 1; i < r->axis.n; i++)
        if (p->z.axis[i] >= 0) {
            name[sc.nname] = r->axis.item[i].name;
            val[sc.nname++] = (struct wm_value){.kind = WM_V_FLOAT, .u.f = (double)p->z.axis[i]};
        }
    sc.name = name;
    sc.val = val;
    if (!config_of(g, p->gt[WM_LORA_W]->key, &b->be.adapter))
        return false;
    v = wm_eval(&b->be, p->x.me, &sc, p->l->item->scale);
    b->be.adapter = whole;
    if (v.kind != WM_V_INT && v.kind != WM_V_FLOAT) {
        if (v.kind == WM_V_NULL && v.absent.n)
            wm_report(&b->cc->diags, WM_E_CONFIG_ABSENT, p->l->item->scale->span, "%.*s is not in the adapter's "
                      "configuration", WM_STR_ARG(v.absent));
        else if (v.kind != WM_V_ERROR)
            wm_report(&b->cc->diags, WM_E_VALUE_TYPE, p->l->item->scale->span, "a scale is a number, not %s",
                      wm_vkind_name(v.kind));
        return false;
    }
    p->scale = v.kind == WM_V_INT ? (double)v.u.i : v.u.f;
    if (b->o->unmerge)
        p->scale = -p->scale;
    return true;
}

/* ---- geometry ---- */

static int64_t
stride_of(const struct wm_alt *alt, uint32_t axis)
{
    for (uint32_t k = 0; k < alt->naxis; k++)
        if (alt->axis[k] == axis)
            return alt->stride[k];
    return 0;
}

static bool
is_real(enum wm_dtype t)
{
    return t == WM_DT_F16 || t == WM_DT_BF16 || t == WM_DT_F32 || t == WM_DT_F64;
}

static bool
check_dtypes(struct merge *g, const struct pair *p)
{
    struct wm_arena *a = g->b->cc->a;
    enum wm_dtype w = p->gt[WM_LORA_W]->dtype;

    for (int t = 0; t < WM_LORA_TERMS; t++) {
        enum wm_dtype dt = p->gt[t]->dtype;
        const struct wm_scaled *scale = t == WM_LORA_W && g->b->scale ? &g->b->scale[p->t[t]] : NULL;

        if (scale && scale->line)
            return fail(g, wm_arena_printf(a, "`%s` is quantised: dequantise it in one run, and merge the adapter in the "
                                           "next", show(g, p->t[t]).p).p);
        if (!is_real(dt))
            return fail(g, wm_arena_printf(a, "`%s` is %s: sums are made of float16, bfloat16, float32 and float64",
                                           show(g, p->t[t]).p, wm_dtype_info[dt].name).p);
        if (p->l->item->stepwise && dt != w && g->b->o->adapter_to == WM_ADAPTER_OTHER)
            return fail(g, wm_arena_printf(a, "`%s` is %s and `%s` %s: rounding stepwise is defined for one type; "
                                           "cast the weights first", show(g, p->t[t]).p, wm_dtype_info[dt].name,
                                           show(g, p->t[WM_LORA_W]).p, wm_dtype_info[w].name).p);
        if (t != WM_LORA_W && g->b->g->manifest->tensor.item[g->b->g->manifest->tensor.n - g->ad->manifest->tensor.n +
                                                             p->t[t] - g->nbase].store->stride)
            return fail(g, wm_arena_printf(a, "`%s` is a view whose elements do not lie one behind the other",
                                           show(g, p->t[t]).p).p);
    }
    return true;
}

/* The box of one product of the weight: with its part of the factors, or as it is. */
static void
add_box(struct merge *g, const struct pair *p, const struct wm_alts *alts, uint32_t w, const struct wm_lora_part *part,
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
make_geometry(struct merge *g, const struct pair *p, uint32_t *geom)
{
    struct wm_arena *a = g->b->cc->a;
    struct wm_alts alts[WM_LORA_TERMS];
    struct wm_imap map;

    for (int t = 0; t < WM_LORA_TERMS; t++)
        if (!wm_term_expand(a, &p->l->scope->side[0].term[t], p->z.axis, &alts[t]))
            return fail(g, wm_arena_printf(a, "`%s` would be too large", show(g, p->t[t]).p).p);
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
static bool
geometry(struct merge *g, const struct pair *p, uint32_t *geom)
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

/* ---- pairs ---- */

static void
change(struct merge *g, uint32_t w, const struct wm_make *mk)
{
    g->changed[w] = true;
    g->make[w] = *mk;
    *WM_PUSH(g->b->cc->a, &g->b->adapted) = w;
}

static bool
bind_pair(struct merge *g, struct pair *p)
{
    struct wm_arena *a = g->b->cc->a;
    struct wm_rule *r = p->l->scope;
    struct wm_make mk = {.span = p->l->item->span, .slot = g->slot.n};
    int64_t rank;

    p->z.axis = WM_NEW_N(a, int64_t, r->axis.n);
    if (g->changed[p->t[WM_LORA_W]])
        return fail(g, wm_arena_printf(a, "two parts of the adapter go into `%s`", show(g, p->t[WM_LORA_W]).p).p);
    if (!wm_inst_sizes(g->b, &p->x, &p->z) || !wm_inst_solve(g->b, &p->x, r->side[0].term, p->gt, WM_LORA_TERMS, &p->z))
        return false;
    rank = p->z.axis[p->l->rank];
    if (rank < 1 || rank > WM_LOWRANK_MAX)
        return fail(g, wm_arena_printf(a, "`%s` has the rank %lld", show(g, p->t[WM_LORA_A]).p, (long long)rank).p);
    if (!check_dtypes(g, p) || !find_scale(g, p) || !geometry(g, p, &mk.geom))
        return false;
    mk.nunit = wm_gt_numel(p->gt[WM_LORA_W]);
    *WM_PUSH(a, &g->slot) = p->t[WM_LORA_W];
    *WM_PUSH(a, &g->slot) = p->t[WM_LORA_B];
    *WM_PUSH(a, &g->slot) = p->t[WM_LORA_A];
    change(g, p->t[WM_LORA_W], &mk);
    return true;
}

/* A tensor that fits the key of A: its partner, its weight. */
static bool
complete(struct merge *g, struct pair *p, uint32_t t)
{
    struct wm_bind *b = g->b;
    struct wm_str key;

    p->t[WM_LORA_A] = t;
    if (!wm_inst_key(b, &p->x, &p->l->scope->side[0].term[WM_LORA_B], &key))
        return false;
    p->t[WM_LORA_B] = wm_map_get(&g->by_name, key);
    if (p->t[WM_LORA_B] == WM_NONE) {
        wm_report_at(&b->cc->diags, WM_E_MISSING, g->path, "MISSING %.*s, which goes with %s", WM_STR_ARG(key),
                     show(g, t).p);
        return false;
    }
    g->used[t - g->nbase] = g->used[p->t[WM_LORA_B] - g->nbase] = true;
    if (!wm_inst_key(b, &p->x, &p->l->scope->side[0].term[WM_LORA_W], &key))
        return false;
    p->t[WM_LORA_W] = wm_map_get(&b->in->by_key, key);
    if (p->t[WM_LORA_W] == WM_NONE) {
        wm_report_at(&b->cc->diags, WM_E_MISSING, b->g->manifest->path, "MISSING %.*s, into which %s of the adapter goes",
                     WM_STR_ARG(key), show(g, t).p);
        return false;
    }
    for (int k = 0; k < WM_LORA_TERMS; k++)
        p->gt[k] = &g->stage->in->t.item[p->t[k]];
    return bind_pair(g, p);
}

static bool
bind_line(struct merge *g, const struct wm_lora_line *l)
{
    struct wm_bind *b = g->b;
    struct pair p = {.l = l};
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

/* ---- what is no pair ---- */

/* PEFT stores whole tensors, too: modules_to_save, trained biases, resized embeddings.  They stand for those of the base. */
static bool
replace(struct merge *g, uint32_t t, uint32_t w)
{
    struct wm_bind *b = g->b;
    const struct wm_gt *from = &g->stage->in->t.item[t], *to = &g->stage->in->t.item[w];
    struct wm_make mk = {.geom = WM_GEOM_IDENTITY, .nunit = wm_gt_numel(to), .slot = g->slot.n};
    struct wm_plan_step step = {.kind = WM_SP_CAST, .from = from->dtype, .to = to->dtype, .lossy = true};

    if (b->o->unmerge)
        return fail(g, wm_arena_printf(b->cc->a, "`%s` replaced a tensor, and what that was is not known: unmerging "
                                       "cannot bring it back", show(g, t).p).p);
    if (from->rank != to->rank || memcmp(from->shape, to->shape, to->rank * sizeof(*to->shape)) != 0)
        return fail(g, wm_arena_printf(b->cc->a, "`%s` stands for `%s`, which has another shape", show(g, t).p,
                                       show(g, w).p).p);
    if (from->dtype != to->dtype) {
        struct wm_imap map;
        struct wm_box box = {.nsrc = 1, .rank = 1, .elem = wm_elem_chain(b->g, &step, 1, from->dtype)};
        struct wm_dim dim = {.extent = mk.nunit, .dst = 1, .src = {1}};

        if (!is_real(from->dtype) || !is_real(to->dtype))
            return fail(g, wm_arena_printf(b->cc->a, "`%s` stands for `%s`, which is %s", show(g, t).p, show(g, w).p,
                                           wm_dtype_info[to->dtype].name).p);
        wm_imap_init(&map, b->cc->a);
        if (mk.nunit > 0)
            wm_imap_add(&map, &box, &dim);
        wm_imap_canon(&map);
        mk.geom = wm_graph_geom(b->g, &map, 1);
    }
    *WM_PUSH(b->cc->a, &g->slot) = t;
    change(g, w, &mk);
    g->used[t - g->nbase] = true;
    return true;
}

static bool
replace_whole(struct merge *g)
{
    static const struct wm_str prefix = {"base_model.model.", 17};
    bool ok = true;

    for (uint32_t t = g->nbase; t < g->stage->in->t.n; t++) {
        struct wm_str key = g->stage->in->t.item[t].key, rest;
        uint32_t w;

        if (g->used[t - g->nbase] || key.n <= prefix.n || memcmp(key.p, prefix.p, prefix.n) != 0)
            continue;
        rest = (struct wm_str){key.p + prefix.n, key.n - prefix.n};
        w = wm_map_get(&g->b->in->by_key, rest);
        if (w != WM_NONE && !g->changed[w])
            ok &= replace(g, t, w);
    }
    return ok;
}

static bool
report_rest(struct merge *g)
{
    struct wm_diags *ds = &g->b->cc->diags;
    struct wm_diag *d = NULL;
    uint32_t n = 0;

    for (uint32_t t = g->nbase; t < g->stage->in->t.n; t++) {
        struct wm_str key = g->stage->in->t.item[t].key;

        if (g->used[t - g->nbase])
            continue;
        if (n++ == 0) {
            d = wm_report_at(ds, WM_E_UNEXPECTED, g->path, "UNEXPECTED %s: no lora line carries it", show(g, t).p);
            if (wm_str_ends(key, WM_STR(".lora_magnitude_vector")) ||
                wm_str_ends(key, WM_STR(".lora_magnitude_vector.weight")))
                wm_note(ds, d, "DoRA divides the weight by its norm, which is no low-rank sum");
        } else if (n <= 8) {
            wm_note(ds, d, "UNEXPECTED %s, too", show(g, t).p);
        }
    }
    if (n > 8)
        wm_note(ds, d, "%u tensors in all", n);
    return n == 0;
}

/* ---- the stage ---- */

static void
finish(struct merge *g)
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
bind_lines(struct merge *g)
{
    const struct wm_side *own = &g->b->m->side[g->b->rs];
    bool ok = true;

    if (own->lora.n == 0) {
        if (!g->b->lora)
            return fail(g, "the map has no lora lines on the side that is read, and this is no adapter of PEFT or LitGPT");
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
    struct merge g = {.b = b, .ad = b->o->adapter, .path = b->o->adapter->manifest->path, .nbase = b->in->t.n};
    uint32_t before = b->cc->diags.nerror;
    bool ok;

    g.stage = wm_stage_new(b->g, widen(b, read, placed));
    g.used = WM_NEW_N(b->cc->a, bool, g.stage->in->t.n - g.nbase);
    g.changed = WM_NEW_N(b->cc->a, bool, g.nbase);
    g.make = WM_NEW_N(b->cc->a, struct wm_make, g.nbase);
    wm_map_init(&g.by_name, b->cc->a, g.stage->in->t.n - g.nbase);
    wm_map_init(&g.geoms, b->cc->a, 64);
    for (uint32_t t = g.nbase; t < g.stage->in->t.n; t++)
        wm_map_put(&g.by_name, g.stage->in->t.item[t].key, t);
    ok = bind_lines(&g);
    if (ok && g.ad->kind == WM_ADAPTER_PEFT)
        ok = replace_whole(&g);
    if (ok)
        ok = report_rest(&g);
    if (ok && b->adapted.n == 0)
        ok = fail(&g, "the adapter has no tensors");
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
