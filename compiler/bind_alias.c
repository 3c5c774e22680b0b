/* compiler/bind_alias.c -- aliases and ignored keys of the sides at bind.
 *
 * Enters: the alias and ignore items of a side.  Leaves: which key stands for which, checks where both are there, and
 * outputs without those that are the same as another. */
#include "compiler/bind.h"
#include "compiler/check.h"

static bool
item_holds(struct wm_bind *b, const struct wm_side_item *it, struct wm_menv *me, bool *ok)
{
    bool yes = true;

    if (it->when && !wm_eval_bool(&b->be, me, NULL, it->when, &yes))
        *ok = false;
    return yes;
}

/* A scope's templates for all values of its variables: fn gets one text per template. */
static bool
add_alias(struct wm_bind *b, int side, struct wm_inst *x, const struct wm_rterm *t, struct wm_span span)
{
    struct wm_str key[2];

    for (int i = 0; i < 2; i++) {
        if (!wm_inst_key(b, x, &t[i], &key[i]))
            return false;
        key[i] = wm_arena_str(b->cc->a, key[i]);
    }
    wm_map_set(&b->alias[side], key[0], b->alias_x[side].n);
    *WM_PUSH(b->cc->a, &b->alias_x[side]) = key[0];
    *WM_PUSH(b->cc->a, &b->alias_y[side]) = key[1];
    *WM_PUSH(b->cc->a, &b->alias_span[side]) = span;
    return true;
}

static bool
alias_item(struct wm_bind *b, int side, const struct wm_side_item *it, struct wm_module *m)
{
    struct wm_rule *scope = wm_scope_new(m, it->span);
    struct wm_rterm t[2] = {{.nplace = 0}, {.nplace = 0}};
    int64_t count[WM_MAX_RANK], at[WM_MAX_RANK] = {0};
    struct wm_inst x;
    uint32_t i;

    for (i = 0; i < 2; i++)
        wm_declare_holes(m, scope, 0, it->tmpl[i]);
    for (i = 0; i < 2; i++)
        if (!wm_resolve_templates(m, scope, 0, (const struct wm_template *const *)&it->tmpl[i], 1, &t[i].key))
            return false;
    wm_inst_init(b, scope, &x);
    for (i = 0; i < scope->var.n; i++) {
        const struct wm_var *v = &scope->var.item[i];

        count[i] = v->kind == WM_VAR_WORDS ? v->nword
                   : v->kind == WM_VAR_INDEX ? wm_index_get(&b->be, x.me, v->index)->n : 1;
        if (count[i] == 0)
            return true;
    }
    do {
        for (i = 0; i < scope->var.n; i++) {
            const struct wm_var *v = &scope->var.item[i];

            x.known[i] = true;
            x.value[i] = v->kind == WM_VAR_INDEX
                             ? wm_index_value(wm_index_get(&b->be, x.me, v->index), at[i]) : at[i];
        }
        if (wm_inst_compose(b, &x) && !add_alias(b, side, &x, t, it->span))
            return false;
        for (i = scope->var.n; i > 0 && ++at[i - 1] == count[i - 1]; i--)
            at[i - 1] = 0;
    } while (i > 0);
    return true;
}

static void
ignore_item(struct wm_bind *b, int side, const struct wm_side_item *it, struct wm_module *m)
{
    for (uint32_t i = 0; i < it->ntmpl; i++) {
        struct wm_ignore *g = WM_PUSH(b->cc->a, &b->ignore[side]);

        g->scope = wm_scope_new(m, it->span);
        wm_declare_holes(m, g->scope, 0, it->tmpl[i]);
        if (!wm_resolve_templates(m, g->scope, 0, (const struct wm_template *const *)&it->tmpl[i], 1, &g->key))
            b->ignore[side].n--;
    }
}

bool
wm_bind_aliases(struct wm_bind *b, int side)
{
    struct wm_side *sd = &b->m->side[side];
    bool ok = true;

    wm_map_init(&b->alias[side], b->cc->a, 4);
    for (uint32_t i = 0; i < sd->item.n; i++) {
        const struct wm_side_item *it = sd->item.item[i];
        struct wm_menv *me = wm_menv_of(&b->be, sd->item_mod.item[i]);

        if (it->kind != WM_SI_ALIAS && it->kind != WM_SI_IGNORE)
            continue;
        if (!item_holds(b, it, me, &ok))
            continue;
        if (it->kind == WM_SI_ALIAS)
            ok &= alias_item(b, side, it, me->mod);
        else
            ignore_item(b, side, it, me->mod);
    }
    return ok;
}

bool
wm_is_ignored(struct wm_bind *b, int side, struct wm_str key)
{
    int64_t value[WM_MAX_PARTS];
    struct wm_str cap[WM_MAX_PARTS];

    for (uint32_t i = 0; i < b->ignore[side].n; i++) {
        const struct wm_ignore *g = &b->ignore[side].item[i];
        bool in = true;

        if (g->key.npart > WM_MAX_PARTS || !wm_key_match(&g->key, key, value, cap))
            continue;
        /* an index in the template means its values, no other number */
        for (uint32_t p = 0; p < g->key.npart && in; p++) {
            const struct wm_kpart *part = &g->key.part[p];
            const struct wm_var *v = part->kind == WM_KP_INDEX ? &g->scope->var.item[part->var] : NULL;

            if (v && v->kind == WM_VAR_INDEX && !part->shift &&
                !g->scope->mod->index.item[v->index].in_keys)
                in = wm_index_ordinal(wm_index_get(&b->be, wm_menv_of(&b->be, g->scope->mod), v->index),
                                      value[p]) >= 0;
        }
        if (in)
            return true;
    }
    return false;
}

bool
wm_is_alias_source(const struct wm_bind *b, struct wm_str key)
{
    for (uint32_t i = 0; i < b->alias_y[b->rs].n; i++)
        if (wm_str_eq(b->alias_y[b->rs].item[i], key))
            return true;
    return false;
}

/* ---- comparisons that aliases ask for ---- */

static void
check_equal(struct wm_bind *b, struct wm_stage *s, uint32_t x, uint32_t y, struct wm_str alias,
            struct wm_span span)
{
    const struct wm_gt *gt = &s->in->t.item[x], *other = &s->in->t.item[y];
    struct wm_box box = {.nsrc = 2, .rank = 1, .slot = {0, 1}};
    struct wm_dim dim = {.extent = wm_gt_numel(gt), .dst = 1, .src = {1, 1}};
    struct wm_imap map;

    if (gt->dtype != other->dtype || gt->rank != other->rank ||
        memcmp(gt->shape, other->shape, gt->rank * sizeof(*gt->shape)) != 0) {
        wm_report(&b->cc->diags, WM_E_ALIAS, span, "`%s` and `%s` differ in shape or dtype, so they are no alias",
                  wm_place_show(b->cc->a, gt->key).p, wm_place_show(b->cc->a, other->key).p);
        return;
    }
    if (dim.extent == 0)
        return;
    box.elem = wm_graph_elem(b->g, &(struct wm_elem){
                                       .kind = WM_EL_EQUAL, .from = gt->dtype, .to = gt->dtype,
                                       .note = wm_arena_printf(b->cc->a, "alias %s",
                                                               wm_place_show(b->cc->a, alias).p)});
    wm_imap_init(&map, b->cc->a);
    wm_imap_add(&map, &box, &dim);
    wm_imap_canon(&map);
    *WM_PUSH(b->cc->a, &s->check) =
        (struct wm_make){.geom = wm_graph_geom(b->g, &map, 2), .slot = s->slot.n, .nunit = dim.extent,
                         .span = span};
    *WM_PUSH(b->cc->a, &s->slot) = x;
    *WM_PUSH(b->cc->a, &s->slot) = y;
}

/* Reading: where both x and y are there, they must be equal. */
void
wm_compare_aliases(struct wm_bind *b, struct wm_stage *rules)
{
    for (uint32_t i = 0; i < b->alias_x[b->rs].n; i++) {
        uint32_t x = wm_map_get(&b->in->by_key, b->alias_x[b->rs].item[i]);
        uint32_t y = wm_map_get(&b->in->by_key, b->alias_y[b->rs].item[i]);

        if (x == WM_NONE || y == WM_NONE)
            continue;
        b->used[x] = b->used[x] ? b->used[x] : WM_USE_READ;
        check_equal(b, rules, x, y, b->in->t.item[x].key, b->alias_span[b->rs].item[i]);
    }
}

static bool
same_make(const struct wm_stage *s, uint32_t x, uint32_t y)
{
    const struct wm_make *p = &s->make.item[x], *q = &s->make.item[y];

    return p->geom == WM_GEOM_IDENTITY && q->geom == WM_GEOM_IDENTITY &&
           s->slot.item[p->slot] == s->slot.item[q->slot];
}

static bool
same_boxes(const struct wm_imap *m, const struct wm_imap *n)
{
    if (m->box.n != n->box.n)
        return false;
    for (uint32_t i = 0; i < m->box.n; i++) {
        const struct wm_box *p = &m->box.item[i], *q = &n->box.item[i];

        if (p->dst_base != q->dst_base || p->elem != q->elem || p->nsrc != q->nsrc || p->rank != q->rank ||
            memcmp(p->src_base, q->src_base, sizeof(p->src_base)) != 0 ||
            memcmp(p->slot, q->slot, sizeof(p->slot)) != 0 ||
            (p->rank && memcmp(&m->dim.item[p->dim], &n->dim.item[q->dim], p->rank * sizeof(struct wm_dim)) != 0))
            return false;
    }
    return true;
}

/* Do x and y come from one tensor each, moved, cast and padded alike?  Then they are equal where those are. */
static bool
made_alike(const struct wm_bind *b, const struct wm_stage *s, uint32_t x, uint32_t y, uint32_t from[2])
{
    const struct wm_make *p = &s->make.item[x], *q = &s->make.item[y];
    const struct wm_gt *gx = &s->out->t.item[x], *gy = &s->out->t.item[y];
    const struct wm_geom *m = &b->g->geom.item[p->geom], *n = &b->g->geom.item[q->geom];

    if (p->geom == WM_GEOM_IDENTITY || q->geom == WM_GEOM_IDENTITY || m->nslot != 1 || n->nslot != 1 ||
        gx->dtype != gy->dtype || gx->rank != gy->rank || p->nunit != q->nunit ||
        (gx->rank && memcmp(gx->shape, gy->shape, gx->rank * sizeof(*gx->shape)) != 0) ||
        !same_boxes(&m->map, &n->map))
        return false;
    from[0] = s->slot.item[p->slot];
    from[1] = s->slot.item[q->slot];
    return true;
}

/* Writing: x is left out where y is written, too. */
struct wm_stage *
wm_drop_aliases(struct wm_bind *b, struct wm_stage *rules)
{
    bool *drop, any = false;
    struct wm_stage *s;

    if (b->alias_x[b->ws].n == 0)
        return rules;
    s = wm_stage_new(b->g, rules->out);
    drop = WM_NEW_N(b->cc->a, bool, rules->out->t.n);
    for (uint32_t i = 0; i < b->alias_x[b->ws].n; i++) {
        uint32_t x = wm_map_get(&rules->out->by_key, b->alias_x[b->ws].item[i]);
        uint32_t y = wm_map_get(&rules->out->by_key, b->alias_y[b->ws].item[i]), from[2];

        if (x == WM_NONE || y == WM_NONE)
            continue;
        drop[x] = any = true;
        if (same_make(rules, x, y))
            continue;
        if (!made_alike(b, rules, x, y, from))
            check_equal(b, s, x, y, rules->out->t.item[x].key, b->alias_span[b->ws].item[i]);
        else if (from[0] != from[1])
            check_equal(b, rules, from[0], from[1], rules->out->t.item[x].key, b->alias_span[b->ws].item[i]);
    }
    if (!any)
        return rules;
    for (uint32_t i = 0; i < rules->out->t.n; i++)
        if (!drop[i]) {
            wm_map_put(&s->out->by_key, rules->out->t.item[i].key, s->out->t.n);
            wm_stage_pass(b->g, s, i, &rules->out->t.item[i]);
        }
    return wm_stage_fuse(b->g, rules, s);
}
