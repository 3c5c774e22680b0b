/* compiler/ast_build_rule.c -- builders of patterns, rules and their clauses.
 *
 * In: nodes from the grammar's actions.  Out: nodes in the arena, never NULL.  Sums and products,
 * which the grammar takes in any mixture, are told apart here. */
#include "compiler/syntax.h"

/* ---- patterns ---- */

struct wm_pat *
wm_make_pat(struct wm_syntax *ps, enum wm_pat_kind kind, struct wm_span span)
{
    struct wm_pat *p = WM_NEW(ps->a, struct wm_pat);

    p->kind = kind;
    p->span = span;
    return p;
}

struct wm_pat *
wm_make_pat_int(struct wm_syntax *ps, struct wm_span span)
{
    struct wm_str text = wm_syntax_text(ps, span);
    struct wm_diag *d;

    if (wm_str_eq(text, WM_STR("1")))
        return wm_make_pat(ps, WM_PT_ONE, span);
    d = wm_syntax_error(ps, WM_E_BAD_PATTERN, span,
                        "a dimension is an axis by name, or 1; not a number");
    wm_note(ps->diags, d, "give the axis a name, and its size behind the rule: where n = %.*s",
            text.n < 20 ? (int)text.n : 20, text.p);
    return wm_make_pat(ps, WM_PT_ERROR, span);
}

struct wm_nodes *
wm_pat_add(struct wm_syntax *ps, struct wm_nodes *list, struct wm_pat *pat,
           const struct wm_span *plus)
{
    struct wm_pat_item *it = WM_NEW(ps->a, struct wm_pat_item);

    it->pat = pat;
    it->plus = plus != NULL;
    if (plus)
        it->plus_span = *plus;
    return wm_nodes_add(ps, list, it);
}

static struct wm_pat **
pats(struct wm_syntax *ps, const struct wm_nodes *items)
{
    struct wm_pat **p = WM_NEW_N(ps->a, struct wm_pat *, items->n);

    for (uint32_t k = 0; k < items->n; k++)
        p[k] = ((struct wm_pat_item *)items->item[k])->pat;
    return p;
}

struct wm_pat *
wm_make_pat_group(struct wm_syntax *ps, const struct wm_nodes *items, struct wm_span span)
{
    struct wm_pat *p = wm_make_pat(ps, WM_PT_PRODUCT, span);
    const struct wm_pat_item *first_plus = NULL;
    uint32_t nplus = 0;
    struct wm_diag *d;

    if (!items) {
        d = wm_syntax_error(ps, WM_E_BAD_PATTERN, span, "() names no axis");
        wm_note(ps->diags, d, "a dimension of size one is written 1, a scalar []");
        p->kind = WM_PT_ERROR;
        return p;
    }
    p->item = pats(ps, items);
    p->nitem = items->n;
    for (uint32_t k = 0; k < items->n; k++) {
        const struct wm_pat_item *it = items->item[k];

        if (it->plus && nplus++ == 0)
            first_plus = it;
        if (it->pat->kind == WM_PT_REST) {
            wm_syntax_error(ps, WM_E_BAD_PATTERN, it->pat->span,
                            "`...` stands for whole dimensions, not inside of one");
            it->pat->kind = WM_PT_ERROR;
        }
    }
    if (nplus > 0 && nplus + 1 < items->n) {
        d = wm_syntax_error(ps, WM_E_BAD_PATTERN, first_plus->plus_span,
                            "a sum of products needs parentheses around each product");
        wm_note(ps->diags, d, "write ((a b) + c) or (a (b + c)), whichever is meant");
        p->kind = WM_PT_ERROR;
    } else if (nplus > 0) {
        p->kind = WM_PT_SUM;
    }
    return p;
}

struct wm_pattern *
wm_make_pattern(struct wm_syntax *ps, const struct wm_nodes *items, struct wm_span span)
{
    struct wm_pattern *p = WM_NEW(ps->a, struct wm_pattern);
    const struct wm_pat *rest = NULL;

    p->span = span;
    if (!items)
        return p;
    p->dim = pats(ps, items);
    p->ndim = items->n;
    for (uint32_t k = 0; k < items->n; k++) {
        const struct wm_pat_item *it = items->item[k];

        if (it->plus) {
            struct wm_diag *d =
                wm_syntax_error(ps, WM_E_BAD_PATTERN, it->plus_span, "a sum stands in parentheses");

            wm_note(ps->diags, d, "a dimension made of two blocks is written [(a + b) c]");
            it->pat->kind = WM_PT_ERROR;
            break;
        }
        if (it->pat->kind != WM_PT_REST)
            continue;
        if (rest) {
            struct wm_diag *d =
                wm_syntax_error(ps, WM_E_TWICE, it->pat->span, "a pattern has one `...` at most");

            wm_label(ps->diags, d, rest->span, "the first one");
            it->pat->kind = WM_PT_ERROR;
            break;
        }
        rest = it->pat;
    }
    return p;
}

/* ---- parts of a rule ---- */

struct wm_term *
wm_make_term(struct wm_syntax *ps, struct wm_template *key, struct wm_pattern *pat,
             struct wm_span span)
{
    struct wm_term *t = WM_NEW(ps->a, struct wm_term);

    *t = (struct wm_term){.span = span, .key = key, .pattern = pat};
    return t;
}

struct wm_opcall *
wm_make_opcall(struct wm_syntax *ps, bool lossy, struct wm_span name, const struct wm_nodes *args,
               struct wm_span span)
{
    struct wm_opcall *o = WM_NEW(ps->a, struct wm_opcall);

    *o =
        (struct wm_opcall){.span = span, .lossy = lossy, .name_span = name, .parens = args != NULL};
    o->name = wm_make_name(ps, name);
    if (args) {
        o->arg = (struct wm_expr **)args->item;
        o->narg = args->n;
    }
    return o;
}

struct wm_binding *
wm_make_binding(struct wm_syntax *ps, struct wm_str name, struct wm_expr *e, struct wm_span span)
{
    struct wm_binding *b = WM_NEW(ps->a, struct wm_binding);

    *b = (struct wm_binding){.span = span, .name = name, .expr = e};
    return b;
}

struct wm_clause *
wm_make_clause(struct wm_syntax *ps, enum wm_clause_kind kind, struct wm_expr *e,
               const struct wm_nodes *bind, struct wm_span span)
{
    struct wm_clause *c = WM_NEW(ps->a, struct wm_clause);

    *c = (struct wm_clause){.kind = kind, .span = span, .expr = e};
    if (bind)
        c->bind = wm_nodes_values(ps, bind, sizeof(*c->bind), &c->nbind);
    return c;
}

struct wm_fill *
wm_make_fill(struct wm_syntax *ps, struct wm_expr *value, struct wm_span dtype, struct wm_span span)
{
    struct wm_fill *f = WM_NEW(ps->a, struct wm_fill);

    *f = (struct wm_fill){.span = span, .value = value, .dtype_span = dtype};
    f->dtype = wm_make_name(ps, dtype);
    return f;
}

/* ---- rules ---- */

static enum wm_arrow
arrow_at(struct wm_syntax *ps, struct wm_span span)
{
    struct wm_str s = wm_syntax_text(ps, span);

    return s.n == 3 ? WM_AR_BOTH : s.p[0] == '-' ? WM_AR_FORWARD : WM_AR_BACKWARD;
}

struct wm_rule_ast *
wm_make_rule(struct wm_syntax *ps, struct wm_span arrow)
{
    struct wm_rule_ast *r = WM_NEW(ps->a, struct wm_rule_ast);

    r->arrow = arrow_at(ps, arrow);
    r->arrow_span = arrow;
    return r;
}

void
wm_rule_side(struct wm_syntax *ps, struct wm_rule_ast *r, int side, const struct wm_nodes *terms,
             struct wm_fill *fill)
{
    r->side[side].fill = fill;
    if (terms)
        r->side[side].term =
            wm_nodes_values(ps, terms, sizeof(*r->side[side].term), &r->side[side].nterm);
    if ((fill && side == 0 && r->arrow == WM_AR_BACKWARD) ||
        (fill && side == 1 && r->arrow == WM_AR_FORWARD)) {
        struct wm_diag *d = wm_syntax_error(ps, WM_E_MISPLACED, fill->span,
                                            "`fill` makes data, so it cannot receive it");

        wm_note(ps->diags, d,
                "the arrow leads away from `fill`: fill 0 f32 -> \"x\", or \"x\" <- fill 0 f32");
    }
}

void
wm_rule_ops(struct wm_syntax *ps, struct wm_rule_ast *r, const struct wm_nodes *ops,
            struct wm_span second_arrow)
{
    r->op = wm_nodes_values(ps, ops, sizeof(*r->op), &r->nop);
    if (arrow_at(ps, second_arrow) != r->arrow) {
        struct wm_diag *d = wm_syntax_error(ps, WM_E_ARROWS_DIFFER, second_arrow,
                                            "the arrows before and behind the operations differ");

        wm_label(ps->diags, d, r->arrow_span, "the first one");
    }
}

void
wm_rule_clauses(struct wm_syntax *ps, struct wm_rule_ast *r, const struct wm_nodes *clauses)
{
    r->clause = wm_nodes_values(ps, clauses, sizeof(*r->clause), &r->nclause);
}
