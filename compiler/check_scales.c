/* compiler/check_scales.c -- `scales` lines: which tensor holds the scales of which.
 *
 * Enters: a line with the keys of S and W.  Leaves: the line in its side, resolved in a scope of its own; either key
 * leads to the other.  Sizes and types are known at bind only (compiler/bind_scales.c). */
#include "compiler/check.h"
#include "compiler/op.h"

uint32_t
wm_check_common(struct wm_module *m, const struct wm_rule *scope, uint32_t nterm, uint32_t *var)
{
    for (uint32_t t = 0; t < nterm; t++) {
        const struct wm_key *k = &scope->side[0].term[t].key;

        wm_check_ambiguous(m, k);
        for (*var = 0; *var < scope->var.n; ++*var) {
            bool found = false;

            for (uint32_t i = 0; i < k->npart; i++)
                found |= k->part[i].kind != WM_KP_TEXT && k->part[i].var == *var;
            if (!found)
                return t;
        }
    }
    return WM_NONE;
}

static bool
resolve(struct wm_module *m, const struct wm_side_item *it, struct wm_rule *r)
{
    bool ok = true;

    r->side[0].nterm = WM_SCALE_TERMS;
    r->side[0].term = WM_NEW_N(m->cc->a, struct wm_rterm, WM_SCALE_TERMS);
    for (int t = 0; t < WM_SCALE_TERMS; t++)
        wm_declare_holes(m, r, 0, it->tmpl[t]);
    for (int t = 0; t < WM_SCALE_TERMS; t++) {
        r->side[0].term[t].span = it->tmpl[t]->span;
        ok &= wm_resolve_templates(m, r, 0, (const struct wm_template *const *)&it->tmpl[t], 1, &r->side[0].term[t].key);
    }
    for (uint32_t v = 0; v < r->var.n; v++)
        r->var.item[v].common = true;
    return ok;
}

static bool
check_type(struct wm_module *m, const struct wm_expr *e)
{
    enum wm_dtype t = e ? wm_dtype_written(e) : WM_DT_BF16;

    if (t == WM_DT_N)
        return wm_check_expr(m, e, NULL);
    if (t == WM_DT_BF16 || t == WM_DT_F16 || t == WM_DT_F32)
        return true;
    wm_report(&m->cc->diags, WM_E_SCALE_LINE, e->span, "weights are dequantised to bf16, f16 or f32");
    return false;
}

void
wm_check_scales(struct wm_module *m, int side, const struct wm_side_item *it)
{
    struct wm_scale_line l = {.item = it, .scope = wm_scope_new(m, it->span)};
    uint32_t var, t;

    if (it->ntmpl != WM_SCALE_TERMS || !resolve(m, it, l.scope))
        return;
    t = wm_check_common(m, l.scope, WM_SCALE_TERMS, &var);
    if (t != WM_NONE) {
        wm_report(&m->cc->diags, WM_E_SCALE_LINE, it->tmpl[t]->span, "`%.*s` must stand in both keys",
                  WM_STR_ARG(l.scope->var.item[var].name));
        return;
    }
    if (!check_type(m, it->dequant) || !wm_check_expr(m, it->blocks, NULL))
        return;
    if (it->when)
        wm_check_bool(m, it->when, NULL);
    *WM_PUSH(m->cc->a, &m->side[side].scale) = l;
}

void
wm_check_scales_both(struct wm_module *m)
{
    for (int side = 0; side < 2; side++)
        for (uint32_t i = 0; i < m->side[side].scale.n && m->side[!side].scale.n == 0; i++) {
            const struct wm_side_item *it = m->side[side].scale.item[i].item;
            struct wm_diag *d;

            if (it->dequant)
                continue;
            d = wm_report(&m->cc->diags, WM_E_SCALE_LINE, it->span, "the other side has no scales line, so nothing would tell "
                          "whether weights keep these scales");
            wm_note(&m->cc->diags, d, "say there what they are called, or `dequant bf16` here");
            return;
        }
}
