/* compiler/check_axis.c -- the axes of a rule, and its patterns resolved to them.
 *
 * Enters: names in the patterns and keys of a rule.  Leaves: r->axis, each with what says its size, and the dimensions of
 * the terms. */
#include "compiler/check.h"

uint32_t
wm_rule_find_axis(const struct wm_rule *r, struct wm_str name)
{
    for (uint32_t i = 1; i < r->axis.n; i++)
        if (wm_str_eq(r->axis.item[i].name, name))
            return i;
    return WM_NONE;
}

/* Size: from where, the index (or words), the let or param of that name; else from the shapes. */
static void
give_size(struct wm_module *m, struct wm_rule *r, struct wm_axis *ax)
{
    struct wm_name *nm;

    for (uint32_t i = 0; i < r->where.n; i++)
        if (wm_str_eq(r->where.item[i].name, ax->name)) {
            ax->size = r->where.item[i].expr;
            ax->where = i + 1;
            ax->from = WM_STR("where");
        }
    if (ax->var != WM_NONE) {
        const struct wm_var *v = &r->var.item[ax->var];

        if (v->kind == WM_VAR_INDEX)
            ax->index = v->index;
        if (!ax->size)
            ax->from = v->kind == WM_VAR_INDEX ? WM_STR("index") : WM_STR("words");
        return;
    }
    nm = (struct wm_name *)wm_module_find(m, ax->name);
    if (ax->size || !nm || nm->kind == WM_NM_IMPORT)
        return;
    nm->used = true;
    if (nm->kind == WM_NM_INDEX) {
        ax->index = nm->id;
        ax->from = WM_STR("index");
    } else {
        ax->size = nm->stmt->expr;
        ax->named = true;
        ax->from = nm->kind == WM_NM_LET ? WM_STR("let") : WM_STR("param");
    }
}

uint32_t
wm_rule_axis(struct wm_module *m, struct wm_rule *r, struct wm_str name, struct wm_span span)
{
    uint32_t i = wm_rule_find_axis(r, name);
    struct wm_axis ax = {.name = name, .span = span, .var = wm_rule_find_var(r, name),
                         .index = WM_NONE, .pick_of = WM_NONE};

    if (i != WM_NONE)
        return i;
    give_size(m, r, &ax);
    *WM_PUSH(m->cc->a, &r->axis) = ax;
    return r->axis.n - 1;
}

static bool resolve_pat(struct wm_module *m, struct wm_rule *r, const struct wm_pat *p,
                        struct wm_rpat *out, uint32_t depth);

static bool
resolve_items(struct wm_module *m, struct wm_rule *r, const struct wm_pat *p, struct wm_rpat *out,
              uint32_t depth)
{
    bool ok = true;

    out->item = WM_NEW_N(m->cc->a, struct wm_rpat, p->nitem);
    out->nitem = p->nitem;
    for (uint32_t i = 0; i < p->nitem; i++)
        ok &= resolve_pat(m, r, p->item[i], &out->item[i], depth + 1);
    return ok;
}

/* A composite index as an axis is the product of its components. */
static void
resolve_composite(struct wm_module *m, struct wm_rule *r, const struct wm_index_def *def,
                  struct wm_span span, struct wm_rpat *out)
{
    out->kind = WM_PT_PRODUCT;
    out->item = WM_NEW_N(m->cc->a, struct wm_rpat, def->ncomponent);
    out->nitem = def->ncomponent;
    for (uint32_t c = 0; c < def->ncomponent; c++) {
        struct wm_str name = m->index.item[def->component[c]].name;

        out->item[c] = (struct wm_rpat){.kind = WM_PT_AXIS, .span = span,
                                        .axis = wm_rule_axis(m, r, name, span)};
    }
}

static bool
resolve_pat(struct wm_module *m, struct wm_rule *r, const struct wm_pat *p, struct wm_rpat *out,
            uint32_t depth)
{
    const struct wm_name *nm;

    *out = (struct wm_rpat){.kind = p->kind, .span = p->span};
    switch (p->kind) {
    case WM_PT_AXIS:
        nm = wm_module_find(m, p->name);
        if (nm && nm->kind == WM_NM_INDEX && nm->stmt->ncomponent > 0) {
            ((struct wm_name *)nm)->used = true;
            resolve_composite(m, r, &m->index.item[nm->id], p->span, out);
        } else {
            out->axis = wm_rule_axis(m, r, p->name, p->span);
        }
        return true;
    case WM_PT_ONE:
        return true;
    case WM_PT_REST:
        if (depth == 0)
            return true;
        wm_report(&m->cc->diags, WM_E_BAD_PATTERN, p->span, "`...` stands for whole dimensions only");
        return false;
    case WM_PT_PRODUCT:
    case WM_PT_SUM:
        return resolve_items(m, r, p, out, depth);
    case WM_PT_ERROR:
        break;
    }
    return false;
}

bool
wm_resolve_pattern(struct wm_module *m, struct wm_rule *r, const struct wm_pattern *p, struct wm_rterm *t)
{
    uint32_t n = p ? p->ndim : 1;
    bool ok = true;

    t->explicit_pattern = p != NULL;
    t->dim = WM_NEW_N(m->cc->a, struct wm_rpat, n);
    t->ndim = n;
    if (!p) {
        t->dim[0] = (struct wm_rpat){.kind = WM_PT_REST, .span = t->span};
        t->has_rest = true;
        return true;
    }
    for (uint32_t i = 0; i < n; i++) {
        ok &= resolve_pat(m, r, p->dim[i], &t->dim[i], 0);
        if (t->dim[i].kind == WM_PT_REST && t->has_rest) {
            wm_report(&m->cc->diags, WM_E_BAD_PATTERN, t->dim[i].span, "a pattern has at most one `...`");
            ok = false;
        }
        t->has_rest |= t->dim[i].kind == WM_PT_REST;
    }
    return ok;
}
