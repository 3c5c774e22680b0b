/* compiler/lora_whole.c -- what of an adapter is no pair of factors.
 *
 * Enters: the merge, before and behind its pairs.  Leaves: whole tensors in the place of those of the base; what no line
 * carries is reported. */
#include <cjson/cJSON.h>

#include "compiler/bind_lora.h"
#include "compiler/elem.h"

static bool
same_shape(const struct wm_gt *x, const struct wm_gt *y)
{
    return x->rank == y->rank && memcmp(x->shape, y->shape, x->rank * sizeof(*x->shape)) == 0;
}

static bool
is_true(const struct cJSON *c, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c, name));
}

/* PEFT unties what it replaces one half of: the other half keeps the old values, and the model has two from then on. */
static bool
is_tied(const struct wm_merge *g, uint32_t w)
{
    struct wm_str key = wm_place_key(g->stage->in->t.item[w].key);

    return (wm_str_ends(key, WM_STR("embed_tokens.weight")) || wm_str_ends(key, WM_STR("lm_head.weight"))) &&
           is_true(g->b->be.config, "tie_word_embeddings") && !is_true(g->ad->config, "ensure_weight_tying");
}

/* PEFT stores whole tensors, too: modules_to_save, trained biases, resized embeddings.  They stand for those of the base. */
static bool
replace(struct wm_merge *g, uint32_t t, uint32_t w)
{
    struct wm_bind *b = g->b;
    const struct wm_gt *from = &g->stage->in->t.item[t], *to = &g->stage->in->t.item[w];
    struct wm_make mk = {.geom = WM_GEOM_IDENTITY, .nunit = wm_gt_numel(to), .slot = g->slot.n};
    struct wm_plan_step step = {.kind = WM_SP_CAST, .from = from->dtype, .to = to->dtype, .lossy = true};

    if (b->o->unmerge)
        return wm_merge_fail(g, wm_arena_printf(b->cc->a, "`%s` replaced a tensor, and what that was is not known: unmerging "
                                       "cannot bring it back", wm_merge_show(g, t).p).p);
    if (is_tied(g, w))
        return wm_merge_fail(g, wm_arena_printf(b->cc->a, "`%s` replaces one of two tensors that tie_word_embeddings makes "
                                                "one: PEFT keeps the other as it was, and the model is tied no more",
                                                wm_merge_show(g, t).p).p);
    if (!same_shape(from, to))
        return wm_merge_fail(g, wm_arena_printf(b->cc->a, "`%s` stands for `%s`, which has another shape", wm_merge_show(g, t).p,
                                       wm_merge_show(g, w).p).p);
    if (from->dtype != to->dtype) {
        struct wm_imap map;
        struct wm_box box = {.nsrc = 1, .rank = 1, .elem = wm_elem_chain(b->g, &step, 1, from->dtype)};
        struct wm_dim dim = {.extent = mk.nunit, .dst = 1, .src = {1}};

        if (!wm_lora_is_real(from->dtype) || !wm_lora_is_real(to->dtype))
            return wm_merge_fail(g, wm_arena_printf(b->cc->a, "`%s` stands for `%s`, which is %s", wm_merge_show(g, t).p, wm_merge_show(g, w).p,
                                           wm_dtype_info[to->dtype].name).p);
        wm_imap_init(&map, b->cc->a);
        if (mk.nunit > 0)
            wm_imap_add(&map, &box, &dim);
        wm_imap_canon(&map);
        mk.geom = wm_graph_geom(b->g, &map, 1);
    }
    *WM_PUSH(b->cc->a, &g->slot) = t;
    wm_merge_change(g, w, t, &mk);
    g->used[t - g->nbase] = true;
    return true;
}

/* What PEFT calls base_model.model.NAME, without `part` before its last component. */
static uint32_t
base_of(const struct wm_merge *g, struct wm_str key, const char *part)
{
    static const struct wm_str prefix = {"base_model.model.", 17};
    struct wm_str end = wm_str_c(part);
    size_t at;

    if (key.n <= prefix.n || memcmp(key.p, prefix.p, prefix.n) != 0)
        return WM_NONE;
    key = (struct wm_str){key.p + prefix.n, key.n - prefix.n};
    if (end.n) {
        for (at = key.n; at > 0 && key.p[at - 1] != '.'; at--) {
        }
        if (at <= end.n || !wm_str_ends((struct wm_str){key.p, at}, end))
            return WM_NONE;
        key = wm_arena_printf(g->b->cc->a, "%.*s%.*s", (int)(at - end.n + 1), key.p, (int)(key.n - at), key.p + at);
    }
    return wm_map_get(&g->on->by_key, key);
}

uint32_t
wm_lora_whole_of(const struct wm_merge *g, struct wm_str name)
{
    uint32_t w = base_of(g, name, ".base_layer.");

    return w != WM_NONE ? w : base_of(g, name, "");
}

/* PEFT calls what a module had before it was wrapped X.base_layer.weight and .bias.  It stores biases that were trained,
 * and weights of embeddings below their factors. */
bool
wm_lora_bases(struct wm_merge *g)
{
    struct wm_arena *a = g->b->cc->a;
    bool ok = true;

    for (uint32_t t = g->nbase; t < g->stage->in->t.n; t++) {
        const struct wm_gt *from = &g->stage->in->t.item[t];
        uint32_t w = base_of(g, from->key, ".base_layer.");

        if (w == WM_NONE)
            continue;
        if (!wm_str_ends(from->key, WM_STR(".weight"))) {
            ok &= replace(g, t, w);
            continue;
        }
        if (!same_shape(from, &g->stage->in->t.item[w]) || from->dtype != g->stage->in->t.item[w].dtype)
            ok = wm_merge_fail(g, wm_arena_printf(a, "`%s` stands for `%s`, which has another shape or type",
                                                  wm_merge_show(g, t).p, wm_merge_show(g, w).p).p);
        g->used[t - g->nbase] = true;
        g->base[w] = g->b->o->unmerge ? WM_NONE : t;
    }
    return ok;
}

bool
wm_lora_replace(struct wm_merge *g)
{
    bool ok = true;

    for (uint32_t w = 0; w < g->nbase; w++)
        if (g->base[w] != WM_NONE && !g->changed[w])
            ok &= replace(g, g->base[w], w);
    for (uint32_t t = g->nbase; t < g->stage->in->t.n; t++) {
        uint32_t w = g->used[t - g->nbase] ? WM_NONE : base_of(g, g->stage->in->t.item[t].key, "");

        if (w != WM_NONE && !g->changed[w])
            ok &= replace(g, t, w);
    }
    return ok;
}

bool
wm_lora_report_rest(struct wm_merge *g)
{
    struct wm_diags *ds = &g->b->cc->diags;
    struct wm_diag *d = NULL;
    uint32_t n = 0;

    for (uint32_t t = g->nbase; t < g->stage->in->t.n; t++) {
        struct wm_str key = g->stage->in->t.item[t].key;

        if (g->used[t - g->nbase])
            continue;
        if (n++ == 0) {
            d = wm_report_at(ds, WM_E_UNEXPECTED, g->path, "UNEXPECTED %s: no lora line carries it", wm_merge_show(g, t).p);
            if (wm_str_ends(key, WM_STR(".lora_magnitude_vector")) ||
                wm_str_ends(key, WM_STR(".lora_magnitude_vector.weight")))
                wm_note(ds, d, "DoRA divides the weight by its norm, which is no low-rank sum");
            else if (strstr(wm_merge_show(g, t).p, ".token_adapter."))
                wm_note(ds, d, "trainable_token_indices: some rows of a tensor are replaced, which is not merged");
        } else if (n <= 8) {
            wm_note(ds, d, "UNEXPECTED %s, too", wm_merge_show(g, t).p);
        }
    }
    if (n > 8)
        wm_note(ds, d, "%u tensors in all", n);
    return n == 0;
}

