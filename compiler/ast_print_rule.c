/* compiler/ast_print_rule.c -- prints rules and their clauses, on one line or on several.
 *
 * In: nodes.  Out: rows to be aligned with their neighbours, or the broken form of what does not
 * fit in a line: terms one per line if they must, the arrow and the right side on a line of their
 * own, and a line for each clause. */
#include "compiler/ast_print.h"

enum { FURTHER = 2 }; /* the indent of a rule's further lines */

const char *
wm_print_arrow(enum wm_arrow arrow)
{
    return arrow == WM_AR_BOTH ? "<->" : arrow == WM_AR_FORWARD ? "->" : "<-";
}

void
wm_print_term(const struct wm_term *t, struct wm_buf *out)
{
    wm_print_template(t->key, out);
    if (t->pattern) {
        wm_buf_putc(out, ' ');
        wm_print_pattern(t->pattern, out);
    }
}

void
wm_print_fill(const struct wm_fill *f, struct wm_buf *out)
{
    wm_buf_putz(out, "fill ");
    wm_print_expr(f->value, out);
    wm_buf_printf(out, " %.*s", WM_STR_ARG(f->dtype));
}

void
wm_print_op(const struct wm_opcall *o, struct wm_buf *out)
{
    if (o->lossy)
        wm_buf_putz(out, "lossy ");
    wm_buf_puts(out, o->name);
    if (o->narg == 0)
        return;
    for (uint32_t k = 0; k < o->narg; k++) {
        wm_buf_putz(out, k == 0 ? "(" : ", ");
        wm_print_expr(o->arg[k], out);
    }
    wm_buf_putc(out, ')');
}

static const char *
clause_word(enum wm_clause_kind kind)
{
    static const char *const word[] = {"where", "when", "optional", "broadcast", "pick", "pad"};

    return word[kind];
}

static void
put_binding(const struct wm_binding *b, struct wm_buf *out)
{
    wm_buf_puts(out, b->name);
    if (b->expr) {
        wm_buf_putz(out, " = ");
        wm_print_expr(b->expr, out);
    }
}

void
wm_print_clause(const struct wm_clause *c, struct wm_buf *out)
{
    wm_buf_putz(out, clause_word(c->kind));
    if (c->expr) {
        wm_buf_putz(out, c->kind == WM_CL_OPTIONAL ? " (" : " ");
        wm_print_expr(c->expr, out);
        if (c->kind == WM_CL_OPTIONAL)
            wm_buf_putc(out, ')');
    }
    for (uint32_t k = 0; k < c->nbind; k++) {
        wm_buf_putz(out, k == 0 ? " " : ", ");
        put_binding(&c->bind[k], out);
    }
}

/* ---- one line ---- */

static void
put_side(const struct wm_rule_ast *r, int side, struct wm_buf *out)
{
    if (r->side[side].fill)
        wm_print_fill(r->side[side].fill, out);
    for (uint32_t k = 0; k < r->side[side].nterm; k++) {
        if (k > 0)
            wm_buf_putz(out, ", ");
        wm_print_term(&r->side[side].term[k], out);
    }
}

/* A side as key and pattern, where it is a single term with one, so that they can stand in columns.
 */
static void
side_cells(const struct wm_rule_ast *r, int side, struct wm_buf *left, struct wm_buf *right)
{
    const struct wm_term *t = r->side[side].term;

    if (r->side[side].nterm != 1 || !t->pattern) {
        put_side(r, side, left);
        return;
    }
    wm_print_template(t->key, left);
    wm_print_pattern(t->pattern, right);
}

void
wm_row_of_rule(struct wm_arena *a, const struct wm_rule_ast *r, bool override, struct wm_row *row)
{
    const char *arrow = wm_print_arrow(r->arrow);
    struct wm_buf cell[5];

    for (int k = 0; k < 5; k++)
        wm_buf_init(&cell[k], a);
    if (override)
        wm_buf_putz(&cell[0], "override ");
    side_cells(r, 0, &cell[0], &cell[1]);
    wm_buf_printf(&cell[2], "%s ", arrow);
    for (uint32_t k = 0; k < r->nop; k++) {
        wm_print_op(&r->op[k], &cell[2]);
        if (k + 1 < r->nop)
            wm_buf_putz(&cell[2], " | ");
        else
            wm_buf_printf(&cell[2], " %s ", arrow);
    }
    side_cells(r, 1, &cell[2], &cell[3]);
    for (uint32_t k = 0; k < r->nclause; k++) {
        if (k > 0)
            wm_buf_putz(&cell[4], "  ");
        wm_print_clause(&r->clause[k], &cell[4]);
    }
    *row = (struct wm_row){.trail = WM_STR(""), .below = WM_STR("")};
    for (int k = 0; k < 5; k++)
        row->cell[k] = wm_buf_str(&cell[k]);
}

bool
wm_row_fit(struct wm_arena *a, const struct wm_rule_ast *r, uint32_t indent, struct wm_row *row)
{
    struct wm_buf below;

    if (indent + wm_row_width(row) <= WM_LINE_MAX)
        return true;
    row->cell[4] = WM_STR("");
    wm_buf_init(&below, a);
    wm_print_clauses_broken(r->clause, r->nclause, indent + FURTHER, &below);
    row->below = wm_buf_str(&below);
    return indent + wm_row_width(row) <= WM_LINE_MAX;
}

void
wm_print_rule(const struct wm_rule_ast *r, struct wm_buf *out)
{
    struct wm_row row;

    wm_row_of_rule(out->a, r, false, &row);
    for (int k = 0; k < 5; k++) {
        if (k > 0 && row.cell[k].n > 0)
            wm_buf_putz(out, k == 4 ? "  " : " ");
        wm_buf_puts(out, row.cell[k]);
    }
}

/* ---- several lines ---- */

static void
new_line(uint32_t indent, struct wm_buf *out)
{
    wm_buf_putc(out, '\n');
    wm_buf_pad(out, ' ', indent);
}

static struct wm_str
side_text(const struct wm_rule_ast *r, int side, struct wm_arena *a)
{
    struct wm_buf b;

    wm_buf_init(&b, a);
    put_side(r, side, &b);
    return wm_buf_str(&b);
}

/* Terms that begin in column `indent`: on this line if they fit, otherwise one per line with
 * aligned patterns. */
static void
put_terms(const struct wm_rule_ast *r, int side, uint32_t indent, struct wm_buf *out)
{
    struct wm_str whole = side_text(r, side, out->a);
    uint32_t n = r->side[side].nterm, widest = 0;
    struct wm_str *key;

    if (n < 2 || indent + wm_print_width(whole) <= WM_LINE_MAX) {
        wm_buf_puts(out, whole);
        return;
    }
    key = WM_NEW_N(out->a, struct wm_str, n);
    for (uint32_t k = 0; k < n; k++) {
        struct wm_buf b;

        wm_buf_init(&b, out->a);
        wm_print_template(r->side[side].term[k].key, &b);
        key[k] = wm_buf_str(&b);
        if (r->side[side].term[k].pattern && wm_print_width(key[k]) > widest)
            widest = wm_print_width(key[k]);
    }
    for (uint32_t k = 0; k < n; k++) {
        const struct wm_pattern *p = r->side[side].term[k].pattern;

        if (k > 0)
            new_line(indent, out);
        wm_buf_puts(out, key[k]);
        if (p) {
            wm_buf_pad(out, ' ', widest - wm_print_width(key[k]) + 1);
            wm_print_pattern(p, out);
        }
        if (k + 1 < n)
            wm_buf_putc(out, ',');
    }
}

static void
put_ops(const struct wm_rule_ast *r, uint32_t indent, struct wm_buf *out)
{
    struct wm_buf one;

    wm_buf_init(&one, out->a);
    for (uint32_t k = 0; k < r->nop; k++) {
        if (k > 0)
            wm_buf_putz(&one, " | ");
        wm_print_op(&r->op[k], &one);
    }
    if (indent + wm_print_width(wm_buf_str(&one)) <= WM_LINE_MAX) {
        wm_buf_puts(out, wm_buf_str(&one));
        return;
    }
    for (uint32_t k = 0; k < r->nop; k++) {
        if (k > 0) {
            new_line(indent - 2, out);
            wm_buf_putz(out, "| ");
        }
        wm_print_op(&r->op[k], out);
    }
}

void
wm_print_clauses_broken(const struct wm_clause *c, uint32_t n, uint32_t indent, struct wm_buf *out)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t column = indent + (uint32_t)strlen(clause_word(c[k].kind)) + 1;
        struct wm_buf one;

        wm_buf_init(&one, out->a);
        wm_print_clause(&c[k], &one);
        new_line(indent, out);
        if (c[k].nbind < 2 || indent + wm_print_width(wm_buf_str(&one)) <= WM_LINE_MAX) {
            wm_buf_puts(out, wm_buf_str(&one));
            continue;
        }
        wm_buf_printf(out, "%s ", clause_word(c[k].kind));
        for (uint32_t j = 0; j < c[k].nbind; j++) {
            if (j > 0) {
                wm_buf_putc(out, ',');
                new_line(column, out);
            }
            put_binding(&c[k].bind[j], out);
        }
    }
}

void
wm_print_rule_broken(const struct wm_rule_ast *r, bool override, uint32_t indent,
                     struct wm_buf *out)
{
    const char *arrow = wm_print_arrow(r->arrow);
    uint32_t behind = indent + FURTHER + (uint32_t)strlen(arrow) + 1;

    if (override)
        wm_buf_putz(out, "override ");
    put_terms(r, 0, indent + (override ? 9 : 0), out);
    new_line(indent + FURTHER, out);
    wm_buf_printf(out, "%s ", arrow);
    if (r->nop > 0) {
        put_ops(r, behind, out);
        new_line(indent + FURTHER, out);
        wm_buf_printf(out, "%s ", arrow);
    }
    put_terms(r, 1, behind, out);
    wm_print_clauses_broken(r->clause, r->nclause, indent + FURTHER, out);
}
