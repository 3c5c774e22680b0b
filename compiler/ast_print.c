/* compiler/ast_print.c -- prints a whole map: what `wmap fmt` and `wmap invert` write.
 *
 * In: a tree.  Out: its canonical text, which depends on the tree alone: it parses to the same
 * tree, and prints as itself.  Neighbouring one-line statements of a kind stand in columns; what
 * does not fit in a line is broken; comments stay with their statement, and one empty line stays
 * where there were some. */
#include "compiler/ast_print.h"

struct printer {
    struct wm_arena *a;
    struct wm_buf *out;
};

static void
put_lines(struct printer *p, const struct wm_str *line, uint32_t n, uint32_t indent)
{
    for (uint32_t k = 0; k < n; k++) {
        if (line[k].n > 0)
            wm_buf_pad(p->out, ' ', indent);
        wm_buf_puts(p->out, line[k]);
        wm_buf_putc(p->out, '\n');
    }
}

static void
put_before(struct printer *p, const struct wm_comments *c, uint32_t indent)
{
    if (!c)
        return;
    if (c->blank_before)
        wm_buf_putc(p->out, '\n');
    put_lines(p, c->lead, c->nlead, indent);
    put_lines(p, c->inside, c->ninside, indent);
}

/* The end of a line that is not a row. */
static void
end_line(struct printer *p, struct wm_str comment)
{
    if (comment.n > 0) {
        wm_buf_putz(p->out, "  ");
        wm_buf_puts(p->out, comment);
    }
    wm_buf_putc(p->out, '\n');
}

static struct wm_str
trail_of(const struct wm_comments *c)
{
    return c ? c->trail : WM_STR("");
}

/* Nothing stands between it and what comes before: it may join the block of rows. */
static bool
follows_closely(const struct wm_comments *c)
{
    return !c || (!c->blank_before && c->nlead == 0 && c->ninside == 0);
}

/* ---- rows ---- */

/* Kinds that share columns; 0: not a row. */
static int
row_class(const struct wm_stmt *s)
{
    switch (s->kind) {
    case WM_ST_PARAM:
    case WM_ST_LET:
        return 1;
    case WM_ST_INDEX:
        return 2;
    case WM_ST_RULE:
    case WM_ST_OVERRIDE:
        return 3;
    case WM_ST_IMPORT:
        return 4;
    case WM_ST_USE:
        return 5;
    case WM_ST_MAP:
    case WM_ST_MAPDEF:
        return 6;
    default:
        return 0;
    }
}

static void
put_where(const struct wm_stmt *s, struct wm_buf *b)
{
    if (!s->where)
        return;
    wm_buf_putz(b, " where ");
    wm_print_expr(s->where, b);
}

static void
put_index(const struct wm_stmt *s, struct wm_buf *b)
{
    if (s->bound) {
        wm_buf_putz(b, "< ");
        wm_print_expr(s->bound, b);
    } else if (s->expr) {
        wm_buf_putz(b, "in ");
        wm_print_expr(s->expr, b);
    }
    for (uint32_t k = 0; k < s->ncomponent; k++)
        wm_buf_printf(b, "%s%.*s",
                      k > 0      ? " "
                      : s->bound ? " = ("
                                 : "= (",
                      WM_STR_ARG(s->component[k].name));
    if (s->ncomponent > 0)
        wm_buf_putc(b, ')');
    put_where(s, b);
}

static void
row_of_stmt(struct printer *p, const struct wm_stmt *s, struct wm_row *row)
{
    static const char *const word[] = {
        [WM_ST_MAP] = "map", [WM_ST_MAPDEF] = "map",  [WM_ST_PARAM] = "param",
        [WM_ST_LET] = "let", [WM_ST_INDEX] = "index", [WM_ST_IMPORT] = "import",
        [WM_ST_USE] = "use"};
    struct wm_buf left, right;

    if (s->kind == WM_ST_RULE || s->kind == WM_ST_OVERRIDE) {
        wm_row_of_rule(p->a, s->rule, s->kind == WM_ST_OVERRIDE, row);
        row->trail = trail_of(s->comments);
        return;
    }
    wm_buf_init(&left, p->a);
    wm_buf_init(&right, p->a);
    wm_buf_printf(&left, "%s ", word[s->kind]);
    if (s->kind == WM_ST_IMPORT) {
        wm_print_literal(s->path, &left);
        wm_buf_printf(&right, "as %.*s", WM_STR_ARG(s->name));
    } else {
        wm_buf_puts(&left, s->name);
    }
    if (s->kind == WM_ST_INDEX)
        put_index(s, &right);
    if (s->kind == WM_ST_PARAM || s->kind == WM_ST_LET) {
        wm_buf_putz(&right, "= ");
        wm_print_expr(s->expr, &right);
        put_where(s, &right);
    }
    if (s->kind == WM_ST_MAPDEF) {
        wm_buf_putz(&right, "= ");
        wm_print_mapx(s->mapx, &right);
    }
    if (s->doc_text.n > 0)
        wm_buf_printf(&right, "%s%.*s", right.n ? " " : "", WM_STR_ARG(s->doc_text));
    *row = (struct wm_row){.trail = trail_of(s->comments)};
    row->cell[0] = wm_buf_str(&left);
    row->cell[1] = row->cell[3] = row->cell[4] = WM_STR("");
    row->cell[2] = wm_buf_str(&right);
}

static void
put_rows(struct printer *p, const struct wm_row *row, uint32_t n, uint32_t indent)
{
    while (n > 0) {
        uint32_t k = wm_rows_together(row, n, indent);

        wm_print_rows(row, k, indent, p->out);
        row += k;
        n -= k;
    }
}

static bool
must_break(struct printer *p, const struct wm_stmt *s, uint32_t indent, struct wm_row *row)
{
    return (s->kind == WM_ST_RULE || s->kind == WM_ST_OVERRIDE) &&
           !wm_row_fit(p->a, s->rule, indent, row);
}

/* A block of neighbouring rows, from stmt[0] on; gives how many it took. */
static uint32_t
put_row_block(struct printer *p, struct wm_stmt **stmt, uint32_t n, uint32_t indent)
{
    WM_VEC(struct wm_row) rows = {0};
    int class = row_class(stmt[0]);
    uint32_t taken = 0;

    put_before(p, stmt[0]->comments, indent);
    for (; taken < n && row_class(stmt[taken]) == class; taken++) {
        struct wm_row row;

        if (taken > 0 && !follows_closely(stmt[taken]->comments))
            break;
        row_of_stmt(p, stmt[taken], &row);
        if (must_break(p, stmt[taken], indent, &row)) {
            if (taken > 0)
                break;
            wm_buf_pad(p->out, ' ', indent);
            wm_print_rule_broken(stmt[0]->rule, stmt[0]->kind == WM_ST_OVERRIDE, indent, p->out);
            end_line(p, row.trail);
            return 1;
        }
        *WM_PUSH(p->a, &rows) = row;
    }
    put_rows(p, rows.item, rows.n, indent);
    return taken;
}

/* ---- blocks ---- */

static struct wm_str
join(struct printer *p, const wm_pieces *pc, uint32_t from)
{
    struct wm_buf b;

    wm_buf_init(&b, p->a);
    for (uint32_t k = from; k < pc->n; k++) {
        struct wm_str s = pc->item[k];
        bool own_line = s.n > 0 && s.p[0] == '\n';

        while (own_line && s.n > 0 && (s.p[0] == '\n' || s.p[0] == ' '))
            s = (struct wm_str){s.p + 1, s.n - 1};
        wm_buf_printf(&b, "%s%.*s", k > from ? " " : "", WM_STR_ARG(s));
    }
    return wm_buf_str(&b);
}

/* As many on a line as fit; those that begin with a line end on a line of their own. */
static void
put_broken_pieces(struct printer *p, const wm_pieces *pc, uint32_t indent, struct wm_str trail)
{
    uint32_t column = indent;

    wm_buf_pad(p->out, ' ', indent);
    for (uint32_t k = 0; k < pc->n; k++) {
        uint32_t n = wm_print_width(pc->item[k]);

        if (n > 0 && pc->item[k].p[0] == '\n') {
            wm_buf_putc(p->out, '\n');
            wm_buf_pad(p->out, ' ', indent);
            wm_buf_puts(p->out, (struct wm_str){pc->item[k].p + 1, pc->item[k].n - 1});
            column = indent + n - 1;
            continue;
        }
        /* The first two stay together. */
        if (k > 1 && column + 1 + n > WM_LINE_MAX) {
            wm_buf_putc(p->out, '\n');
            wm_buf_pad(p->out, ' ', indent + 4);
            column = indent + 4;
        } else if (k > 0) {
            wm_buf_putc(p->out, ' ');
            column++;
        }
        wm_buf_puts(p->out, pc->item[k]);
        column += n;
    }
    end_line(p, trail);
}

struct entry {
    const struct wm_comments *comments;
    wm_pieces pieces;
};

static struct entry *
entries_of(struct printer *p, const struct wm_stmt *s, uint32_t *n)
{
    struct entry *e;

    *n = s->kind == WM_ST_SIDE ? s->nitem : s->nline;
    e = WM_NEW_N(p->a, struct entry, *n);
    for (uint32_t k = 0; k < *n; k++) {
        if (s->kind == WM_ST_SIDE)
            wm_pieces_of_item(p->a, &s->item[k], &e[k].pieces);
        else
            wm_pieces_of_line(p->a, &s->line[k], &e[k].pieces);
        e[k].comments = s->kind == WM_ST_SIDE ? s->item[k].comments : s->line[k].comments;
    }
    return e;
}

static void
put_entries(struct printer *p, const struct entry *e, uint32_t n, uint32_t indent)
{
    WM_VEC(struct wm_row) rows = {0};

    for (uint32_t k = 0; k < n; k++) {
        struct wm_row row = {.trail = trail_of(e[k].comments)};
        bool broken;

        row.cell[0] = e[k].pieces.item[0];
        row.cell[1] = row.cell[3] = row.cell[4] = WM_STR("");
        row.cell[2] = join(p, &e[k].pieces, 1);
        broken = indent + wm_row_width(&row) > WM_LINE_MAX;
        if (broken || !follows_closely(e[k].comments)) {
            put_rows(p, rows.item, rows.n, indent);
            rows.n = 0;
        }
        put_before(p, e[k].comments, indent);
        if (broken)
            put_broken_pieces(p, &e[k].pieces, indent, row.trail);
        else
            *WM_PUSH(p->a, &rows) = row;
    }
    put_rows(p, rows.item, rows.n, indent);
}

/* source, target, shard: on one line where it holds one thing. */
static void
put_block(struct printer *p, const struct wm_stmt *s, uint32_t indent)
{
    const struct wm_comments *c = s->comments;
    uint32_t n;
    struct entry *e = entries_of(p, s, &n);
    struct wm_str one = n == 1 && !e[0].comments ? join(p, &e[0].pieces, 0) : WM_STR("");
    struct wm_buf head;

    wm_buf_init(&head, p->a);
    if (s->kind == WM_ST_SHARD)
        wm_buf_printf(&head, "shard %.*s on ", WM_STR_ARG(s->name));
    wm_buf_putz(&head, s->side ? "target" : "source");
    if (s->kind == WM_ST_SIDE && s->name.n > 0)
        wm_buf_printf(&head, " %.*s", WM_STR_ARG(s->name));
    put_before(p, c, indent);
    wm_buf_pad(p->out, ' ', indent);
    wm_buf_puts(p->out, wm_buf_str(&head));
    if ((!c || c->open.n == 0) && s->ntail == 0 &&
        (n == 0 || (one.n > 0 && indent + head.n + 5 + wm_print_width(one) <= WM_LINE_MAX))) {
        wm_buf_printf(p->out, n == 0 ? " {%.*s}" : " { %.*s }", WM_STR_ARG(one));
    } else {
        wm_buf_putz(p->out, " {");
        end_line(p, c ? c->open : WM_STR(""));
        put_entries(p, e, n, indent + 2);
        put_lines(p, s->tail, s->ntail, indent + 2);
        wm_buf_pad(p->out, ' ', indent);
        wm_buf_putc(p->out, '}');
    }
    end_line(p, trail_of(c));
}

static void put_body(struct printer *p, struct wm_stmt **stmt, uint32_t n, uint32_t indent);

static void
put_within(struct printer *p, const struct wm_stmt *s, uint32_t indent)
{
    struct wm_buf head, clauses;

    wm_buf_init(&head, p->a);
    wm_buf_init(&clauses, p->a);
    wm_buf_putz(&head, "within ");
    wm_print_template(s->prefix[0], &head);
    wm_buf_putz(&head, " <-> ");
    wm_print_template(s->prefix[1], &head);
    for (uint32_t k = 0; k < s->nclause; k++) {
        wm_buf_putz(&clauses, "  ");
        wm_print_clause(&s->clause[k], &clauses);
    }
    put_before(p, s->comments, indent);
    wm_buf_pad(p->out, ' ', indent);
    wm_buf_puts(p->out, wm_buf_str(&head));
    if (indent + wm_print_width(wm_buf_str(&head)) + wm_print_width(wm_buf_str(&clauses)) + 2 <=
        WM_LINE_MAX)
        wm_buf_puts(p->out, wm_buf_str(&clauses));
    else
        wm_print_clauses_broken(s->clause, s->nclause, indent + 4, p->out);
    wm_buf_putz(p->out, " {");
    end_line(p, s->comments ? s->comments->open : WM_STR(""));
    put_body(p, s->body, s->nbody, indent + 2);
    put_lines(p, s->tail, s->ntail, indent + 2);
    wm_buf_pad(p->out, ' ', indent);
    wm_buf_putc(p->out, '}');
    end_line(p, trail_of(s->comments));
}

static void
put_if(struct printer *p, const struct wm_stmt *s, uint32_t indent)
{
    put_before(p, s->comments, indent);
    wm_buf_pad(p->out, ' ', indent);
    for (uint32_t k = 0; k < s->narm; k++) {
        const struct wm_if_arm *arm = &s->arm[k];

        if (k > 0)
            wm_buf_putz(p->out, " else ");
        if (arm->cond) {
            wm_buf_putz(p->out, "if ");
            wm_print_expr(arm->cond, p->out);
            wm_buf_putc(p->out, ' ');
        }
        wm_buf_putc(p->out, '{');
        end_line(p, arm->open);
        put_body(p, arm->body, arm->nbody, indent + 2);
        put_lines(p, arm->tail, arm->ntail, indent + 2);
        wm_buf_pad(p->out, ' ', indent);
        wm_buf_putc(p->out, '}');
    }
    end_line(p, trail_of(s->comments));
}

static void
put_body(struct printer *p, struct wm_stmt **stmt, uint32_t n, uint32_t indent)
{
    for (uint32_t k = 0; k < n;) {
        const struct wm_stmt *s = stmt[k];

        if (row_class(s)) {
            k += put_row_block(p, stmt + k, n - k, indent);
            continue;
        }
        if (s->kind == WM_ST_SIDE || s->kind == WM_ST_SHARD)
            put_block(p, s, indent);
        else if (s->kind == WM_ST_WITHIN)
            put_within(p, s, indent);
        else if (s->kind == WM_ST_IF)
            put_if(p, s, indent);
        k++;
    }
}

void
wm_print_file(const struct wm_file_ast *f, struct wm_buf *out)
{
    struct printer p = {.a = out->a, .out = out};

    put_before(&p, f->comments, 0);
    wm_buf_printf(out, "wmap %lld", (long long)f->version);
    end_line(&p, trail_of(f->comments));
    put_body(&p, f->stmt, f->nstmt, 0);
    put_lines(&p, f->tail, f->ntail, 0);
}
