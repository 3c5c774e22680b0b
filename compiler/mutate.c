/* compiler/mutate.c -- wrong maps made from a right one (see mutate.h).
 *
 * The tree is changed in place, printed, and changed back: axes of a pattern exchanged or dropped,
 * neighbours in a product, a sum or a shape exchanged, keys of two terms or words of a list
 * exchanged, values and arguments changed. */
#include "compiler/mutate.h"

#include "compiler/op.h"

enum { WM_MUTANTS_MAX = 4096, WM_MUTANT_LEAVES = 32 };

struct mutate {
    struct wm_cc *cc;
    struct wm_module *m;
    struct wm_map seen; /* texts */
    const struct wm_rule_ast *rule;
    wm_mutants *out;
};

/* The tree as it is now, if no mutant looks like it. */
static void
keep(struct mutate *x, struct wm_span span, struct wm_str what)
{
    struct wm_buf text;
    struct wm_mutant *mu;

    if (x->out->n >= WM_MUTANTS_MAX)
        return;
    wm_buf_init(&text, x->cc->a);
    wm_print_file(x->m->ast, &text);
    if (wm_map_put(&x->seen, wm_buf_str(&text), x->out->n) != x->out->n)
        return;
    mu = WM_NEW(x->cc->a, struct wm_mutant);
    *mu = (struct wm_mutant){
        .mod = x->m, .rule = x->rule, .span = span, .what = what, .text = wm_buf_str(&text)};
    *WM_PUSH(x->cc->a, x->out) = mu;
}

static struct wm_str
pattern_text(struct mutate *x, struct wm_pat *p)
{
    struct wm_buf b;
    struct wm_pattern whole = {.dim = &p, .ndim = 1};

    wm_buf_init(&b, x->cc->a);
    wm_print_pattern(&whole, &b);
    return b.n > 2 ? (struct wm_str){b.p + 1, b.n - 2} : wm_buf_str(&b);
}

/* ---- patterns ---- */

static void
leaves(struct wm_pat *p, struct wm_pat **leaf, uint32_t *n)
{
    if (p->kind == WM_PT_AXIS && *n < WM_MUTANT_LEAVES)
        leaf[(*n)++] = p;
    for (uint32_t i = 0; i < p->nitem; i++)
        leaves(p->item[i], leaf, n);
}

static void
exchange_axes(struct mutate *x, const struct wm_pattern *p)
{
    struct wm_pat *leaf[WM_MUTANT_LEAVES];
    uint32_t n = 0;

    for (uint32_t d = 0; d < p->ndim; d++)
        leaves(p->dim[d], leaf, &n);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < i; k++) {
            struct wm_str a = leaf[k]->name, b = leaf[i]->name;

            if (wm_str_eq(a, b))
                continue;
            leaf[k]->name = b;
            leaf[i]->name = a;
            keep(x, p->span,
                 wm_arena_printf(x->cc->a, "axes %.*s and %.*s exchanged", WM_STR_ARG(a),
                                 WM_STR_ARG(b)));
            leaf[k]->name = a;
            leaf[i]->name = b;
        }
}

/* Items of a group or dimensions of a pattern: neighbours exchanged, one left out. */
static void
change_list(struct mutate *x, struct wm_pat **item, uint32_t *n, struct wm_span span,
            const char *of)
{
    for (uint32_t i = 0; i + 1 < *n; i++) {
        struct wm_pat *a = item[i], *b = item[i + 1];

        item[i] = b;
        item[i + 1] = a;
        keep(x, span,
             wm_arena_printf(x->cc->a, "%.*s and %.*s exchanged in %s",
                             WM_STR_ARG(pattern_text(x, a)), WM_STR_ARG(pattern_text(x, b)), of));
        item[i] = a;
        item[i + 1] = b;
    }
    for (uint32_t i = 0; i<*n && * n> 1; i++) {
        struct wm_pat *gone = item[i];
        uint32_t last = --*n;

        memmove(item + i, item + i + 1, (last - i) * sizeof(*item));
        keep(x, span,
             wm_arena_printf(x->cc->a, "%.*s dropped from %s", WM_STR_ARG(pattern_text(x, gone)),
                             of));
        memmove(item + i + 1, item + i, (last - i) * sizeof(*item));
        item[i] = gone;
        *n = last + 1;
    }
}

static void
change_groups(struct mutate *x, struct wm_pat *p)
{
    if (p->kind == WM_PT_PRODUCT || p->kind == WM_PT_SUM)
        change_list(x, p->item, &p->nitem, p->span, p->kind == WM_PT_SUM ? "a sum" : "a product");
    for (uint32_t i = 0; i < p->nitem; i++)
        change_groups(x, p->item[i]);
}

static void
change_pattern(struct mutate *x, struct wm_pattern *p)
{
    exchange_axes(x, p);
    change_list(x, p->dim, &p->ndim, p->span, "a pattern");
    for (uint32_t d = 0; d < p->ndim; d++)
        change_groups(x, p->dim[d]);
}

/* ---- keys ---- */

static void
exchange_keys(struct mutate *x, struct wm_term *term, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < i; k++) {
            struct wm_template *a = term[k].key, *b = term[i].key;

            term[k].key = b;
            term[i].key = a;
            keep(x, a->span, WM_STR("the keys of two terms exchanged"));
            term[k].key = a;
            term[i].key = b;
        }
}

static bool
has_axis(const struct wm_pat *p, struct wm_str name)
{
    bool has = p->kind == WM_PT_AXIS && wm_str_eq(p->name, name);

    for (uint32_t i = 0; i < p->nitem && !has; i++)
        has = has_axis(p->item[i], name);
    return has;
}

/* Does the order of a list of words mean anything: is there another list, or an axis of that name?
 */
static bool
order_counts(const struct wm_rule_ast *r, struct wm_str name)
{
    uint32_t lists = 0;

    for (int s = 0; s < 2; s++)
        for (uint32_t t = 0; t < r->side[s].nterm; t++) {
            const struct wm_term *term = &r->side[s].term[t];

            for (uint32_t p = 0; p < term->key->npart; p++)
                lists += term->key->part[p].kind == WM_HO_WORDS &&
                         wm_str_eq(term->key->part[p].name, name);
            for (uint32_t d = 0; term->pattern && d < term->pattern->ndim; d++)
                if (has_axis(term->pattern->dim[d], name))
                    return true;
        }
    return lists > 1 || !wm_ops_elementwise(r); /* operations take the tensors in order */
}

static void
exchange_words(struct mutate *x, struct wm_template *t)
{
    struct wm_str text = t->text;

    t->text = WM_STR(""); /* printed from the tree */
    for (uint32_t p = 0; p < t->npart; p++) {
        struct wm_hole *h = &t->part[p];

        if (h->kind != WM_HO_WORDS || !order_counts(x->rule, h->name))
            continue;
        for (uint32_t i = 0; i + 1 < h->nword; i++) {
            struct wm_str a = h->word[i], b = h->word[i + 1];

            h->word[i] = b;
            h->word[i + 1] = a;
            keep(x, h->span,
                 wm_arena_printf(x->cc->a, "words %.*s and %.*s exchanged", WM_STR_ARG(a),
                                 WM_STR_ARG(b)));
            h->word[i] = a;
            h->word[i + 1] = b;
        }
    }
    t->text = text;
}

/* ---- values ---- */

static void
keep_value(struct mutate *x, struct wm_expr **slot, struct wm_expr *as)
{
    struct wm_expr *was = *slot;
    struct wm_buf a, b;

    wm_buf_init(&a, x->cc->a);
    wm_buf_init(&b, x->cc->a);
    wm_print_expr(was, &a);
    wm_print_expr(as, &b);
    *slot = as;
    keep(x, was->span,
         wm_arena_printf(x->cc->a, "%.*s instead of %.*s", WM_STR_ARG(wm_buf_str(&b)),
                         WM_STR_ARG(wm_buf_str(&a))));
    *slot = was;
}

static void
change_value(struct mutate *x, struct wm_expr **slot, bool twice)
{
    struct wm_arena *a = x->cc->a;
    struct wm_expr *e = *slot;
    int64_t i;

    if (e->kind == WM_EX_LIST) {
        for (uint32_t k = 0; k + 1 < e->narg; k++) {
            struct wm_expr *first = e->arg[k], *second = e->arg[k + 1];

            e->arg[k] = second;
            e->arg[k + 1] = first;
            keep(x, e->span, WM_STR("two entries of a list exchanged"));
            e->arg[k] = first;
            e->arg[k + 1] = second;
        }
        for (uint32_t k = 0; k < e->narg; k++)
            change_value(x, &e->arg[k], false);
        return;
    }
    if (wm_text_literal(e, &i)) {
        keep_value(x, slot, wm_text_int(a, e, i + 1));
        if (i != 0)
            keep_value(x, slot, wm_text_int(a, e, i - 1));
    } else {
        keep_value(x, slot, wm_text_op(a, WM_EX_ADD, e, wm_text_int(a, e, 1)));
    }
    if (twice)
        keep_value(x, slot, wm_text_op(a, WM_EX_MUL, e, wm_text_int(a, e, 2)));
}

static void
change_op(struct mutate *x, struct wm_opcall *op)
{
    bool cast = wm_str_eq(op->name, WM_STR("cast")) || wm_str_eq(op->name, WM_STR("uncast"));

    for (uint32_t i = 0; i < op->narg; i++) {
        struct wm_expr *e = op->arg[i];

        if (cast && e->kind == WM_EX_NAME) {
            struct wm_expr other = *e;
            enum wm_dtype t = wm_dtype_by_name(e->s);

            other.s = other.text = t == WM_DT_BF16 ? WM_STR("f16") : WM_STR("bf16");
            keep_value(x, &op->arg[i], &other);
        } else if (!cast) {
            change_value(x, &op->arg[i], false);
        }
    }
}

/* ---- rules ---- */

static void
change_clauses(struct mutate *x, struct wm_clause *c, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < c[i].nbind; k++)
            if (c[i].bind[k].expr)
                change_value(x, &c[i].bind[k].expr, c[i].kind == WM_CL_WHERE);
}

static void
change_rule(struct mutate *x, struct wm_rule_ast *r)
{
    x->rule = r;
    for (int s = 0; s < 2; s++) {
        for (uint32_t t = 0; t < r->side[s].nterm; t++) {
            if (r->side[s].term[t].pattern)
                change_pattern(x, r->side[s].term[t].pattern);
            exchange_words(x, r->side[s].term[t].key);
        }
        exchange_keys(x, r->side[s].term, r->side[s].nterm);
        if (r->side[s].fill)
            change_value(x, &r->side[s].fill->value, false);
    }
    for (uint32_t o = 0; o < r->nop; o++)
        change_op(x, &r->op[o]);
    for (uint32_t o = 0; o + 1 < r->nop; o++) {
        struct wm_opcall first = r->op[o];

        r->op[o] = r->op[o + 1];
        r->op[o + 1] = first;
        keep(x, first.span, WM_STR("two operations exchanged"));
        first = r->op[o];
        r->op[o] = r->op[o + 1];
        r->op[o + 1] = first;
    }
    change_clauses(x, r->clause, r->nclause);
}

static void
change_stmts(struct mutate *x, struct wm_stmt **list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct wm_stmt *st = list[i];

        if (st->rule)
            change_rule(x, st->rule);
        change_stmts(x, st->body, st->nbody);
        for (uint32_t k = 0; k < st->narm; k++)
            change_stmts(x, st->arm[k].body, st->arm[k].nbody);
    }
}

void
wm_mutate(struct wm_cc *cc, struct wm_module *m, wm_mutants *out)
{
    struct mutate x = {.cc = cc, .m = m, .out = out};
    struct wm_buf text;

    wm_map_init(&x.seen, cc->a, 256);
    wm_buf_init(&text, cc->a);
    wm_print_file(m->ast, &text);
    wm_map_put(&x.seen, wm_buf_str(&text), WM_NONE - 1);
    change_stmts(&x, m->ast->stmt, m->ast->nstmt);
}
