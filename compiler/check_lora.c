/* compiler/check_lora.c -- `lora` lines: which products of the factors go into which product of the weight.
 *
 * Enters: a line with the terms A, B and W.  Leaves: the line in its side, resolved in a scope of its own, with its
 * rank axis and its parts.  Products of A and B belong together by their order; where one of them has a single product,
 * that goes with each of the other.  Without the rank, the axes of both must be those of one product of W. */
#include "compiler/check.h"
#include "compiler/pattern.h"

struct lines {
    struct wm_module *m;
    struct wm_lora_line *l;
    struct wm_alts alt[WM_LORA_TERMS];
};

static bool
fail(struct lines *x, struct wm_span span, const char *text)
{
    wm_report(&x->m->cc->diags, WM_E_LORA, span, "%s", text);
    return false;
}

static bool
has(const struct wm_alt *alt, uint32_t axis)
{
    for (uint32_t k = 0; k < alt->naxis; k++)
        if (alt->axis[k] == axis)
            return true;
    return false;
}

static bool
in_term(const struct wm_alts *alts, uint32_t axis)
{
    for (uint32_t i = 0; i < alts->alt.n; i++)
        if (has(&alts->alt.item[i], axis))
            return true;
    return false;
}

static bool
resolve(struct lines *x)
{
    const struct wm_side_item *it = x->l->item;
    struct wm_rule *r = x->l->scope;
    bool ok = true;

    r->side[0].nterm = WM_LORA_TERMS;
    r->side[0].term = WM_NEW_N(x->m->cc->a, struct wm_rterm, WM_LORA_TERMS);
    *WM_PUSH(x->m->cc->a, &r->axis) = (struct wm_axis){.name = WM_STR("..."), .var = WM_NONE, .index = WM_NONE,
                                                       .pick_of = WM_NONE};
    for (int t = 0; t < WM_LORA_TERMS; t++)
        wm_declare_holes(x->m, r, 0, it->term[t].key);
    for (int t = 0; t < WM_LORA_TERMS; t++) {
        struct wm_rterm *term = &r->side[0].term[t];

        term->span = it->term[t].span;
        if (!it->term[t].pattern)
            return fail(x, term->span, "each of the three keys needs a pattern");
        ok &= wm_resolve_templates(x->m, r, 0, (const struct wm_template *const *)&it->term[t].key, 1, &term->key);
        ok = ok && wm_resolve_pattern(x->m, r, it->term[t].pattern, term);
        if (ok && term->has_rest)
            return fail(x, term->span, "`...` does not say which axes meet");
    }
    for (uint32_t v = 0; v < r->var.n; v++)
        r->var.item[v].common = true;
    return ok;
}

/* All three keys have the same variables, or one would not lead to the others. */
static bool
check_keys(struct lines *x)
{
    const struct wm_rule *r = x->l->scope;
    uint32_t var, t = wm_check_common(x->m, r, WM_LORA_TERMS, &var);

    return t == WM_NONE || fail(x, r->side[0].term[t].span,
                                wm_arena_printf(x->m->cc->a, "`%.*s` must stand in all three keys",
                                                WM_STR_ARG(r->var.item[var].name)).p);
}

static bool
find_rank(struct lines *x)
{
    const struct wm_rule *r = x->l->scope;

    x->l->rank = WM_NONE;
    for (uint32_t i = 1; i < r->axis.n; i++) {
        if (!in_term(&x->alt[WM_LORA_A], i) || !in_term(&x->alt[WM_LORA_B], i) || in_term(&x->alt[WM_LORA_W], i))
            continue;
        if (x->l->rank != WM_NONE)
            return fail(x, x->l->item->span, "two axes stand in both factors and not in the weight: the rank is one axis");
        x->l->rank = i;
    }
    return x->l->rank != WM_NONE ||
           fail(x, x->l->item->span, "no axis stands in both factors and not in the weight: that is the rank");
}

/* Is the union of both, without the rank, all of w? */
static bool
meets(const struct lines *x, const struct wm_alt *a, const struct wm_alt *b, const struct wm_alt *w)
{
    for (uint32_t k = 0; k < w->naxis; k++)
        if (!has(a, w->axis[k]) && !has(b, w->axis[k]))
            return false;
    for (uint32_t k = 0; k < a->naxis; k++)
        if (a->axis[k] != x->l->rank && !has(w, a->axis[k]))
            return false;
    for (uint32_t k = 0; k < b->naxis; k++)
        if (b->axis[k] != x->l->rank && !has(w, b->axis[k]))
            return false;
    return has(a, x->l->rank) && has(b, x->l->rank);
}

static bool
no_axis_twice(struct lines *x, int t)
{
    for (uint32_t i = 0; i < x->alt[t].alt.n; i++) {
        const struct wm_alt *alt = &x->alt[t].alt.item[i];

        for (uint32_t k = 0; k < alt->naxis; k++)
            for (uint32_t n = 0; n < k; n++)
                if (alt->axis[k] == alt->axis[n])
                    return fail(x, x->l->scope->side[0].term[t].span, "an axis stands twice in one product");
    }
    return true;
}

static bool
find_parts(struct lines *x)
{
    uint32_t na = x->alt[WM_LORA_A].alt.n, nb = x->alt[WM_LORA_B].alt.n, nw = x->alt[WM_LORA_W].alt.n;
    uint32_t n = na > nb ? na : nb;

    if (na != nb && na != 1 && nb != 1)
        return fail(x, x->l->item->span,
                    wm_arena_printf(x->m->cc->a, "the first key has %u products and the second %u: they belong together "
                                    "by their order, or one of them has one", na, nb).p);
    x->l->part = WM_NEW_N(x->m->cc->a, struct wm_lora_part, n);
    for (uint32_t i = 0; i < n; i++) {
        struct wm_lora_part p = {na == 1 ? 0 : i, nb == 1 ? 0 : i, WM_NONE};

        for (uint32_t w = 0; w < nw; w++)
            if (meets(x, &x->alt[WM_LORA_A].alt.item[p.a], &x->alt[WM_LORA_B].alt.item[p.b],
                      &x->alt[WM_LORA_W].alt.item[w])) {
                if (p.w != WM_NONE)
                    return fail(x, x->l->scope->side[0].term[WM_LORA_W].span,
                                "a product of the factors fits two products of the weight");
                p.w = w;
            }
        if (p.w == WM_NONE)
            return fail(x, x->l->item->span, wm_arena_printf(x->m->cc->a, "without the rank, product %u of the factors "
                                                             "is no product of the weight", i + 1).p);
        for (uint32_t k = 0; k < i; k++)
            if (x->l->part[k].w == p.w)
                return fail(x, x->l->scope->side[0].term[WM_LORA_W].span, "two products of the factors go into the same "
                            "product of the weight");
        x->l->part[x->l->npart++] = p;
    }
    return true;
}

/* In the scale, axes are numbers like the values of a `where`. */
static void
check_scale(struct lines *x)
{
    struct wm_rule names = *x->l->scope;

    memset(&names.where, 0, sizeof(names.where));
    for (uint32_t i = 1; i < names.axis.n; i++)
        *WM_PUSH(x->m->cc->a, &names.where) = (struct wm_binding){.name = names.axis.item[i].name,
                                                                  .span = names.axis.item[i].span};
    wm_check_expr(x->m, x->l->item->scale, &names);
    if (x->l->item->when)
        wm_check_bool(x->m, x->l->item->when, NULL);
}

void
wm_check_lora(struct wm_module *m, int side, const struct wm_side_item *it)
{
    struct wm_lora_line l = {.item = it, .scope = wm_scope_new(m, it->span)};
    struct lines x = {.m = m, .l = &l};

    if (it->nterm != WM_LORA_TERMS || !resolve(&x) || !check_keys(&x))
        return;
    for (int t = 0; t < WM_LORA_TERMS; t++)
        if (!wm_term_expand(m->cc->a, &l.scope->side[0].term[t], NULL, &x.alt[t]) || !no_axis_twice(&x, t))
            return;
    if (!find_rank(&x) || !find_parts(&x))
        return;
    check_scale(&x);
    *WM_PUSH(m->cc->a, &m->side[side].lora) = l;
}
