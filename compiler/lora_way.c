/* compiler/lora_way.c -- where along a chain of maps an adapter goes in.
 *
 * Each link has two layouts, that of the side that it reads and that of the side that it writes, both of whole tensors.
 * The adapter goes into the first one that has a weight for all of it; a side that is cut into shards takes it only where
 * no other does, since adapters are of whole models: tensors of a rank may have the names of whole ones and another
 * order.  Where no layout has all, the one that has the most says what it lacks. */
#include "compiler/bind_lora.h"

static bool
is_cut(const struct wm_module *m, int side)
{
    for (uint32_t i = 0; i < m->shard.n; i++)
        if (m->shard.item[i]->side == side)
            return true;
    for (uint32_t i = 0; i < m->side[side].file.n; i++)
        if (m->side[side].file.item[i].nplace)
            return true;
    return false;
}

/* Of the pairs of a line, those that have their weight here. */
static bool
count_line(const struct wm_merge *g, const struct wm_lora_line *l, uint32_t *n)
{
    struct wm_bind *b = g->b;
    const struct wm_rterm *term = l->scope->side[0].term;
    struct wm_inst x;
    bool yes = true;

    if (l->item->when && !wm_eval_bool(&b->be, wm_menv_of(&b->be, l->scope->mod), NULL, l->item->when, &yes))
        return false;
    wm_inst_init(b, l->scope, &x);
    for (uint32_t t = 0; yes && t < g->ad->manifest->tensor.n; t++) {
        struct wm_str key;
        bool range = false;
        uint32_t other;

        wm_inst_forget(&x);
        if (g->used[t] || !wm_inst_read(b, &x, &term[WM_LORA_A].key, g->ad->manifest->tensor.item[t].name, &range))
            continue;
        if (!wm_inst_key(b, &x, &term[WM_LORA_B], &key))
            return false;
        other = wm_map_get(&g->by_name, key);
        if (!wm_inst_key(b, &x, &term[WM_LORA_W], &key))
            return false;
        if (other == WM_NONE || wm_map_get(&g->on->by_key, key) == WM_NONE)
            continue;
        g->used[t] = g->used[other] = true;
        *n += 2;
    }
    return true;
}

/* How many tensors of the adapter have a place in this layout; false: reported. */
static bool
count(struct wm_merge *g, uint32_t *n)
{
    bool ok = true;

    *n = 0;
    for (uint32_t i = 0; i < g->nline && ok; i++)
        ok = count_line(g, g->line[i], n);
    for (uint32_t t = 0; t < g->ad->manifest->tensor.n && g->ad->kind == WM_ADAPTER_PEFT; t++)
        *n += !g->used[t] && wm_lora_whole_of(g, g->ad->manifest->tensor.item[t].name) != WM_NONE;
    return ok;
}

bool
wm_lora_takes(struct wm_merge *g)
{
    struct wm_way *w = g->b->way;
    uint32_t n, at = w->at++;
    bool cut = is_cut(g->b->m, g->side) && g->b->m->side[g->side].lora.n == 0;

    if (w->taken || w->want != WM_NONE)
        return !w->taken && w->want == at;
    if (!count(g, &n))
        return false;
    if (n > w->most || at == 0) {
        w->most = n;
        w->best = at;
    }
    return n == g->ad->manifest->tensor.n && !cut;
}

/* ---- behind the chain ---- */

void
wm_check_adapted(struct wm_graph *g, const struct wm_bind_opts *o)
{
    const struct wm_stage *s = g->stage;
    bool *read = WM_NEW_N(g->cc->a, bool, g->manifest->tensor.n);

    for (uint32_t i = 0; i < s->make.n; i++) {
        const struct wm_make *mk = &s->make.item[i];
        const struct wm_imap *m = &g->geom.item[mk->geom].map;

        if (mk->geom == WM_GEOM_IDENTITY)
            read[s->slot.item[mk->slot]] = true;
        for (uint32_t k = 0; mk->geom != WM_GEOM_IDENTITY && k < m->box.n; k++)
            for (uint32_t op = 0; op < m->box.item[k].nsrc; op++)
                read[s->slot.item[mk->slot + m->box.item[k].slot[op]]] = true;
    }
    for (uint32_t i = 0; i < g->adapted.n; i++)
        if (!read[g->manifest->tensor.n - o->adapter->manifest->tensor.n + g->adapted.item[i].t])
            wm_report_at(&g->cc->diags, WM_E_ADAPTER, o->adapter->manifest->path,
                         "the adapter changes `%s`, which the map does not carry",
                         wm_place_show(g->cc->a, g->adapted.item[i].key).p);
}
