/* compiler/ast_dump.c -- the syntax tree as text, a node a line, for `wmap dump --stage=ast` and
 * for tests.
 *
 * In: a tree.  Out: indented lines.  Operators are written before their operands with all
 * parentheses, templates in their parts, so that what the parser understood can be read off;
 * spelling, places and comments are left out. */
#include "base/utf8.h"
#include "compiler/ast_print.h"

struct dump {
    struct wm_buf *out;
    uint32_t depth;
};

static void
open_line(struct dump *d, const char *word)
{
    wm_buf_pad(d->out, ' ', (size_t)2 * d->depth);
    wm_buf_putz(d->out, word);
}

static void
close_line(struct dump *d)
{
    wm_buf_putc(d->out, '\n');
}

static void
put_word(struct dump *d, struct wm_str s)
{
    wm_buf_putc(d->out, ' ');
    wm_buf_puts(d->out, s);
}

/* ---- expressions and templates ---- */

static const char *
expr_word(enum wm_expr_kind kind)
{
    static const char *const word[] = {
        [WM_EX_ERROR] = "error", [WM_EX_FIELD] = ".", [WM_EX_ITEM] = "item", [WM_EX_CALL] = "call",
        [WM_EX_NEG] = "neg",     [WM_EX_NOT] = "!",   [WM_EX_MUL] = "*",     [WM_EX_DIV] = "/",
        [WM_EX_MOD] = "%",       [WM_EX_ADD] = "+",   [WM_EX_SUB] = "-",     [WM_EX_ELSE] = "??",
        [WM_EX_RANGE] = "..",    [WM_EX_EQ] = "==",   [WM_EX_NE] = "!=",     [WM_EX_LT] = "<",
        [WM_EX_LE] = "<=",       [WM_EX_GT] = ">",    [WM_EX_GE] = ">=",     [WM_EX_IN] = "in",
        [WM_EX_AND] = "&&",      [WM_EX_OR] = "||",   [WM_EX_COND] = "?:",   [WM_EX_LIST] = "list",
        [WM_EX_OBJECT] = "object", [WM_EX_MEMBER] = "member", [WM_EX_EACH] = "each",
    };

    return word[kind];
}

static void
put_template(struct dump *d, const struct wm_template *t)
{
    wm_buf_putz(d->out, " (key");
    for (uint32_t k = 0; k < t->npart; k++) {
        const struct wm_hole *h = &t->part[k];

        wm_buf_putc(d->out, ' ');
        if (h->kind == WM_HO_TEXT) {
            wm_buf_json(d->out, h->text);
            continue;
        }
        wm_buf_putz(d->out, h->kind == WM_HO_INDEX     ? "{index "
                            : h->kind == WM_HO_WORDS   ? "{words "
                            : h->kind == WM_HO_CAPTURE ? "{capture "
                                                       : "{error ");
        wm_buf_puts(d->out, h->name);
        for (uint32_t j = 0; j < h->nword; j++)
            put_word(d, h->word[j]);
        if (h->expr && h->expr->kind != WM_EX_NAME) {
            wm_buf_putz(d->out, " = ");
            wm_print_expr(h->expr, d->out);
        }
        if (h->width)
            wm_buf_printf(d->out, " width %u", h->width);
        wm_buf_putc(d->out, '}');
    }
    wm_buf_putc(d->out, ')');
}

static void
put_expr(struct dump *d, const struct wm_expr *e)
{
    wm_buf_putc(d->out, ' ');
    switch (e->kind) {
    case WM_EX_INT:
        wm_buf_printf(d->out, "%lld", (long long)e->i);
        return;
    case WM_EX_STRING:
        wm_buf_json(d->out, e->s);
        if (e->tmpl)
            put_template(d, e->tmpl);
        return;
    case WM_EX_FLOAT:
    case WM_EX_BOOL:
    case WM_EX_NULL:
    case WM_EX_CONFIG:
    case WM_EX_KEYS:
    case WM_EX_NAME:
        wm_print_expr(e, d->out);
        return;
    default:
        break;
    }
    wm_buf_printf(d->out, "(%s", expr_word(e->kind));
    if (e->kind == WM_EX_CALL || e->kind == WM_EX_EACH || (e->kind == WM_EX_MEMBER && !e->tmpl))
        put_word(d, e->s);
    if (e->kind == WM_EX_MEMBER && e->tmpl)
        put_template(d, e->tmpl);
    for (uint32_t k = 0; k < e->narg; k++)
        put_expr(d, e->arg[k]);
    if (e->kind == WM_EX_FIELD)
        put_word(d, e->s);
    wm_buf_putc(d->out, ')');
}

/* ` word expr`, where there is one. */
static void
put_named(struct dump *d, const char *word, const struct wm_expr *e)
{
    if (!e)
        return;
    wm_buf_printf(d->out, " %s", word);
    put_expr(d, e);
}

static void
put_bindings(struct dump *d, const struct wm_binding *b, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++) {
        wm_buf_printf(d->out, " (%.*s", WM_STR_ARG(b[k].name));
        if (b[k].expr)
            put_expr(d, b[k].expr);
        wm_buf_putc(d->out, ')');
    }
}

static void
put_mapx(struct dump *d, const struct wm_mapx *m)
{
    static const char *const word[] = {"name", "inverse", "compose", "call"};

    wm_buf_printf(d->out, " (%s", word[m->kind]);
    if (m->kind == WM_MX_NAME)
        put_word(d, m->name);
    for (int k = 0; k < 2; k++)
        if (m->arg[k])
            put_mapx(d, m->arg[k]);
    put_bindings(d, m->bind, m->nbind);
    wm_buf_putc(d->out, ')');
}

/* ---- rules ---- */

static void
dump_term(struct dump *d, const struct wm_term *t)
{
    open_line(d, "term");
    put_template(d, t->key);
    if (t->pattern) {
        wm_buf_putc(d->out, ' ');
        wm_print_pattern(t->pattern, d->out);
    }
    close_line(d);
}

static void
dump_clauses(struct dump *d, const struct wm_clause *c, uint32_t n)
{
    static const char *const word[] = {"where", "when", "optional", "broadcast", "pick", "pad"};

    for (uint32_t k = 0; k < n; k++) {
        open_line(d, word[c[k].kind]);
        if (c[k].expr)
            put_expr(d, c[k].expr);
        put_bindings(d, c[k].bind, c[k].nbind);
        close_line(d);
    }
}

static void
dump_rule(struct dump *d, const struct wm_rule_ast *r, const char *word)
{
    open_line(d, word);
    wm_buf_printf(d->out, " %s\n", wm_print_arrow(r->arrow));
    d->depth++;
    for (int side = 0; side < 2; side++) {
        const struct wm_fill *f = r->side[side].fill;

        open_line(d, side ? "right\n" : "left\n");
        d->depth++;
        if (f) {
            open_line(d, "fill");
            put_expr(d, f->value);
            put_word(d, f->dtype);
            close_line(d);
        }
        for (uint32_t k = 0; k < r->side[side].nterm; k++)
            dump_term(d, &r->side[side].term[k]);
        d->depth--;
    }
    for (uint32_t k = 0; k < r->nop; k++) {
        open_line(d, r->op[k].lossy ? "op lossy" : "op");
        put_word(d, r->op[k].name);
        for (uint32_t j = 0; j < r->op[k].narg; j++)
            put_expr(d, r->op[k].arg[j]);
        close_line(d);
    }
    dump_clauses(d, r->clause, r->nclause);
    d->depth--;
}

/* ---- blocks ---- */

static void
dump_item(struct dump *d, const struct wm_side_item *it)
{
    static const char *const word[] = {"format", "file", "alias", "ignore",
                                       "carry",  "emit", "lora", "scales"};

    open_line(d, word[it->kind]);
    if (it->kind == WM_SI_FORMAT)
        put_word(d, it->name);
    for (uint32_t k = 0; k < it->ntmpl; k++)
        put_template(d, it->tmpl[k]);
    if (it->holds)
        wm_buf_putz(d->out, " holds"), put_template(d, it->holds);
    if (it->as)
        wm_buf_putz(d->out, " as"), put_template(d, it->as);
    put_named(d, "root", it->root);
    put_named(d, "scale", it->scale);
    put_named(d, "blocks", it->blocks);
    put_named(d, "dequant", it->dequant);
    if (it->value && it->value->kind != WM_EX_OBJECT)
        put_named(d, "value", it->value);
    wm_buf_putz(d->out, it->checked ? " checked" : "");
    put_named(d, "when", it->when);
    wm_buf_putz(d->out, it->stepwise ? " stepwise\n" : "\n");
    d->depth++;
    for (uint32_t k = 0; it->value && k < it->value->narg && it->value->kind == WM_EX_OBJECT; k++) {
        open_line(d, "field");
        put_expr(d, it->value->arg[k]);
        close_line(d);
    }
    for (uint32_t k = 0; k < it->nterm; k++)
        dump_term(d, &it->term[k]);
    d->depth--;
}

static void
dump_line(struct dump *d, const struct wm_shard_line *l)
{
    open_line(d, l->kind == WM_SH_SPLIT ? "split" : l->kind == WM_SH_AT ? "at" : "replicate");
    put_template(d, l->key);
    put_named(d, "dim", l->dim);
    put_named(d, "at", l->at);
    put_named(d, "parts", l->parts);
    for (uint32_t k = 0; k < l->npart; k++) {
        wm_buf_putz(d->out, " (part");
        put_expr(d, l->part[k].size);
        put_named(d, "groups", l->part[k].groups);
        put_named(d, "width", l->part[k].width);
        wm_buf_putc(d->out, ')');
    }
    put_named(d, "groups", l->groups);
    put_named(d, "unit", l->unit);
    put_named(d, "size", l->size);
    put_named(d, "pad", l->pad);
    put_named(d, "fill", l->fill);
    put_named(d, "width", l->width);
    put_named(d, "when", l->when);
    wm_buf_putz(d->out, l->uneven ? " uneven\n" : "\n");
}

static void dump_body(struct dump *d, struct wm_stmt *const *stmt, uint32_t n);

static void
dump_block(struct dump *d, const struct wm_stmt *s)
{
    if (s->kind == WM_ST_SHARD) {
        open_line(d, "shard");
        put_word(d, s->name);
        wm_buf_putz(d->out, " on");
    } else {
        open_line(d, "side");
    }
    wm_buf_putz(d->out, s->side ? " target" : " source");
    if (s->kind == WM_ST_SIDE && s->name.n > 0)
        put_word(d, s->name);
    close_line(d);
    d->depth++;
    for (uint32_t k = 0; k < s->nitem; k++)
        dump_item(d, &s->item[k]);
    for (uint32_t k = 0; k < s->nline; k++)
        dump_line(d, &s->line[k]);
    d->depth--;
}

static void
dump_if(struct dump *d, const struct wm_stmt *s)
{
    for (uint32_t k = 0; k < s->narm; k++) {
        open_line(d, k == 0 ? "if" : s->arm[k].cond ? "else if" : "else");
        if (s->arm[k].cond)
            put_expr(d, s->arm[k].cond);
        close_line(d);
        d->depth++;
        dump_body(d, s->arm[k].body, s->arm[k].nbody);
        d->depth--;
    }
}

static void
dump_simple(struct dump *d, const struct wm_stmt *s)
{
    static const char *const word[] = {
        [WM_ST_ERROR] = "error", [WM_ST_MAP] = "map",      [WM_ST_MAPDEF] = "mapdef",
        [WM_ST_PARAM] = "param", [WM_ST_LET] = "let",      [WM_ST_INDEX] = "index",
        [WM_ST_USE] = "use",     [WM_ST_IMPORT] = "import"};

    open_line(d, word[s->kind]);
    put_word(d, s->name);
    put_named(d, "<", s->bound);
    put_named(d, s->kind == WM_ST_INDEX ? "in" : "=", s->expr);
    if (s->ncomponent)
        wm_buf_putz(d->out, " of");
    put_bindings(d, s->component, s->ncomponent);
    put_named(d, "where", s->where);
    if (s->mapx)
        put_mapx(d, s->mapx);
    if (s->path)
        put_template(d, s->path);
    if (s->doc_text.n) {
        wm_buf_putz(d->out, " doc ");
        wm_buf_json(d->out, s->doc);
    }
    close_line(d);
}

static void
dump_stmt(struct dump *d, const struct wm_stmt *s)
{
    switch (s->kind) {
    case WM_ST_SIDE:
    case WM_ST_SHARD:
        dump_block(d, s);
        break;
    case WM_ST_RULE:
        dump_rule(d, s->rule, "rule");
        break;
    case WM_ST_OVERRIDE:
        dump_rule(d, s->rule, "override");
        break;
    case WM_ST_WITHIN:
        open_line(d, "within");
        put_template(d, s->prefix[0]);
        put_template(d, s->prefix[1]);
        close_line(d);
        d->depth++;
        dump_clauses(d, s->clause, s->nclause);
        dump_body(d, s->body, s->nbody);
        d->depth--;
        break;
    case WM_ST_IF:
        dump_if(d, s);
        break;
    default:
        dump_simple(d, s);
        break;
    }
}

static void
dump_body(struct dump *d, struct wm_stmt *const *stmt, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        dump_stmt(d, stmt[k]);
}

void
wm_dump_ast(const struct wm_file_ast *f, struct wm_buf *out)
{
    struct dump d = {.out = out, .depth = 1};

    wm_buf_printf(out, "file version %lld%s\n", (long long)f->version, f->ok ? "" : " with errors");
    dump_body(&d, f->stmt, f->nstmt);
}
