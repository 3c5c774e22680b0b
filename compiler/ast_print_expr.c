/* compiler/ast_print_expr.c -- prints expressions, key templates, patterns and map expressions.
 *
 * In: nodes.  Out: their text on one line.  Atoms keep the spelling that they were written with; a
 * node that no text stands for is spelled here.  Parentheses stand where precedence needs them, and
 * nowhere else. */
#include <locale.h>
#include <stdio.h>

#include "base/utf8.h"
#include "compiler/ast_print.h"

/* Binding strength, as in the grammar. */
// clang-format off
enum {
    P_COND = 1, P_OR, P_AND, P_COMPARE, P_RANGE, P_ELSE, P_ADD, P_MUL, P_UNARY, P_POSTFIX, P_ATOM
};

static const struct {
    const char *op; /* NULL: not written between operands */
    int level;
    char assoc; /* l, r, n */
} syntax[] = {
    [WM_EX_COND]  = {" ? ",  P_COND,    'r'},
    [WM_EX_OR]    = {" || ", P_OR,      'l'},
    [WM_EX_AND]   = {" && ", P_AND,     'l'},
    [WM_EX_EQ]    = {" == ", P_COMPARE, 'n'},
    [WM_EX_NE]    = {" != ", P_COMPARE, 'n'},
    [WM_EX_LT]    = {" < ",  P_COMPARE, 'n'},
    [WM_EX_LE]    = {" <= ", P_COMPARE, 'n'},
    [WM_EX_GT]    = {" > ",  P_COMPARE, 'n'},
    [WM_EX_GE]    = {" >= ", P_COMPARE, 'n'},
    [WM_EX_IN]    = {" in ", P_COMPARE, 'n'},
    [WM_EX_RANGE] = {"..",   P_RANGE,   'n'},
    [WM_EX_ELSE]  = {" ?? ", P_ELSE,    'r'},
    [WM_EX_ADD]   = {" + ",  P_ADD,     'l'},
    [WM_EX_SUB]   = {" - ",  P_ADD,     'l'},
    [WM_EX_MUL]   = {" * ",  P_MUL,     'l'},
    [WM_EX_DIV]   = {" / ",  P_MUL,     'l'},
    [WM_EX_MOD]   = {" % ",  P_MUL,     'l'},
    [WM_EX_NEG]   = {"-",    P_UNARY,   'r'},
    [WM_EX_NOT]   = {"!",    P_UNARY,   'r'},
    [WM_EX_FIELD] = {".",    P_POSTFIX, 'l'},
    [WM_EX_ITEM]  = {NULL,   P_POSTFIX, 'l'},
    [WM_EX_LIST]  = {NULL,   P_ATOM,    'l'},
    [WM_EX_OBJECT] = {NULL,  P_ATOM,    'l'},
    [WM_EX_MEMBER] = {NULL,  P_ATOM,    'l'},
    [WM_EX_EACH]  = {NULL,   P_ATOM,    'l'},
};
// clang-format on

uint32_t
wm_print_width(struct wm_str s)
{
    uint32_t n = 0;

    for (size_t k = 0; k < s.n; k++)
        n += ((unsigned char)s.p[k] & 0xc0) != 0x80;
    return n;
}

static int
level(const struct wm_expr *e)
{
    if ((e->kind == WM_EX_INT && e->text.n == 0 && e->i < 0) ||
        (e->kind == WM_EX_FLOAT && e->text.n == 0 && e->f < 0))
        return P_UNARY;
    return syntax[e->kind].level ? syntax[e->kind].level : P_ATOM;
}

void
wm_print_quoted(struct wm_str s, bool key, struct wm_buf *out)
{
    for (size_t k = 0; k < s.n; k++) {
        unsigned char c = (unsigned char)s.p[k];

        if (c == '"' || c == '\\')
            wm_buf_printf(out, "\\%c", c);
        else if (c == '\n')
            wm_buf_putz(out, "\\n");
        else if (c == '\t')
            wm_buf_putz(out, "\\t");
        else if (c < 0x20 || c == 0x7f)
            wm_buf_printf(out, "\\u{%x}", c);
        else if (key && (c == '{' || c == '}'))
            wm_buf_printf(out, "%c%c", c, c);
        else
            wm_buf_putc(out, (char)c);
    }
}

/* Shortest spelling that reads back as the same number, and as a float. */
static void
put_float(double f, struct wm_buf *out)
{
    char text[40];
    double back = 0;
    char *point;

    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, f);
        if (sscanf(text, "%lf", &back) == 1 && back >= f && back <= f)
            break;
    }
    point = strchr(text, localeconv()->decimal_point[0]);
    if (point)
        *point = '.';
    wm_buf_putz(out, text);
    if (!strpbrk(text, ".e"))
        wm_buf_putz(out, ".0");
}

static void put(const struct wm_expr *e, int least, struct wm_buf *out);

static void
put_args(const struct wm_expr *e, struct wm_buf *out)
{
    for (uint32_t k = 0; k < e->narg; k++) {
        if (k > 0)
            wm_buf_putz(out, ", ");
        put(e->arg[k], 0, out);
    }
}

static void
put_atom(const struct wm_expr *e, struct wm_buf *out)
{
    switch (e->kind) {
    case WM_EX_ERROR:
        wm_buf_putz(out, e->text.n ? "" : "?");
        wm_buf_puts(out, e->text);
        break;
    case WM_EX_INT:
        if (e->text.n)
            wm_buf_puts(out, e->text);
        else
            wm_buf_printf(out, "%lld", (long long)e->i);
        break;
    case WM_EX_FLOAT:
        if (e->text.n)
            wm_buf_puts(out, e->text);
        else
            put_float(e->f, out);
        break;
    case WM_EX_BOOL:
        wm_buf_putz(out, e->b ? "true" : "false");
        break;
    case WM_EX_NULL:
        wm_buf_putz(out, "null");
        break;
    case WM_EX_CONFIG:
        wm_buf_putz(out, "config");
        break;
    case WM_EX_KEYS:
        wm_buf_putz(out, "keys");
        break;
    case WM_EX_STRING:
        if (e->text.n) {
            wm_buf_puts(out, e->text);
        } else {
            wm_buf_putc(out, '"');
            wm_print_quoted(e->s, e->tmpl != NULL, out);
            wm_buf_putc(out, '"');
        }
        break;
    default:
        wm_buf_puts(out, e->s);
        break;
    }
}

static void
put_open(const struct wm_expr *e, struct wm_buf *out)
{
    int own = level(e);

    switch (e->kind) {
    case WM_EX_NEG:
    case WM_EX_NOT:
        wm_buf_putz(out, syntax[e->kind].op);
        put(e->arg[0], P_UNARY, out);
        break;
    case WM_EX_FIELD:
        put(e->arg[0], P_POSTFIX, out);
        wm_buf_putc(out, '.');
        wm_buf_puts(out, e->s);
        break;
    case WM_EX_ITEM:
        put(e->arg[0], P_POSTFIX, out);
        wm_buf_putc(out, '[');
        put(e->arg[1], 0, out);
        wm_buf_putc(out, ']');
        break;
    case WM_EX_CALL:
        wm_buf_puts(out, e->s);
        wm_buf_putc(out, '(');
        put_args(e, out);
        wm_buf_putc(out, ')');
        break;
    case WM_EX_LIST:
        wm_buf_putc(out, '[');
        put_args(e, out);
        wm_buf_putc(out, ']');
        break;
    case WM_EX_OBJECT:
        wm_buf_putz(out, e->narg ? "{ " : "{");
        put_args(e, out);
        wm_buf_putz(out, e->narg ? " }" : "}");
        break;
    case WM_EX_MEMBER:
    case WM_EX_EACH:
        wm_print_head(e, out);
        wm_buf_putc(out, ' ');
        put(e->arg[0], 0, out);
        break;
    case WM_EX_COND:
        put(e->arg[0], P_COND + 1, out);
        wm_buf_putz(out, " ? ");
        put(e->arg[1], 0, out);
        wm_buf_putz(out, " : ");
        put(e->arg[2], P_COND, out);
        break;
    default:
        if (e->narg == 2) {
            put(e->arg[0], own + (syntax[e->kind].assoc != 'l'), out);
            wm_buf_putz(out, syntax[e->kind].op);
            put(e->arg[1], own + (syntax[e->kind].assoc != 'r'), out);
        } else {
            put_atom(e, out);
        }
        break;
    }
}

/* In a place that takes expressions of strength `least` or more. */
static void
put(const struct wm_expr *e, int least, struct wm_buf *out)
{
    bool parens = level(e) < least;

    if (parens)
        wm_buf_putc(out, '(');
    put_open(e, out);
    if (parens)
        wm_buf_putc(out, ')');
}

/* What stands before the value of a member (`name =`) or of what is spread (`each i where e:`). */
void
wm_print_head(const struct wm_expr *e, struct wm_buf *out)
{
    if (e->kind == WM_EX_EACH) {
        wm_buf_printf(out, "each %.*s", WM_STR_ARG(e->s));
        if (e->narg > 1) {
            wm_buf_putz(out, " where ");
            put(e->arg[1], 0, out);
        }
        wm_buf_putc(out, ':');
        return;
    }
    if (e->tmpl)
        wm_print_template(e->tmpl, out);
    else
        wm_buf_puts(out, e->s);
    wm_buf_putz(out, " =");
}

void
wm_print_expr(const struct wm_expr *e, struct wm_buf *out)
{
    put(e, 0, out);
}

/* ---- key templates ---- */

static void
put_hole(const struct wm_hole *h, struct wm_buf *out)
{
    wm_buf_putc(out, '{');
    if (h->kind == WM_HO_INDEX) {
        put(h->expr, 0, out);
        if (h->width > 0)
            wm_buf_printf(out, ":0%u", h->width);
    } else {
        wm_buf_puts(out, h->name);
        if (h->kind == WM_HO_CAPTURE)
            wm_buf_putc(out, '*');
        for (uint32_t k = 0; k < h->nword; k++) {
            wm_buf_putz(out, k == 0 ? " in " : "|");
            wm_buf_puts(out, h->word[k]);
        }
    }
    wm_buf_putc(out, '}');
}

static void
put_template(const struct wm_template *t, bool key, struct wm_buf *out)
{
    if (t->text.n > 0) {
        wm_buf_puts(out, t->text);
        return;
    }
    wm_buf_putc(out, '"');
    for (uint32_t k = 0; k < t->npart; k++) {
        if (t->part[k].kind == WM_HO_TEXT)
            wm_print_quoted(t->part[k].text, key, out);
        else
            put_hole(&t->part[k], out);
    }
    wm_buf_putc(out, '"');
}

void
wm_print_template(const struct wm_template *t, struct wm_buf *out)
{
    put_template(t, true, out);
}

void
wm_print_literal(const struct wm_template *t, struct wm_buf *out)
{
    put_template(t, false, out);
}

/* ---- patterns ---- */

static void
put_pat(const struct wm_pat *p, struct wm_buf *out)
{
    switch (p->kind) {
    case WM_PT_AXIS:
        wm_buf_puts(out, p->name);
        break;
    case WM_PT_ONE:
        wm_buf_putc(out, '1');
        break;
    case WM_PT_REST:
        wm_buf_putz(out, "...");
        break;
    case WM_PT_ERROR:
        wm_buf_putc(out, '?');
        break;
    case WM_PT_PRODUCT:
    case WM_PT_SUM:
        wm_buf_putc(out, '(');
        for (uint32_t k = 0; k < p->nitem; k++) {
            if (k > 0)
                wm_buf_putz(out, p->kind == WM_PT_SUM ? " + " : " ");
            put_pat(p->item[k], out);
        }
        wm_buf_putc(out, ')');
        break;
    }
}

void
wm_print_pattern(const struct wm_pattern *p, struct wm_buf *out)
{
    wm_buf_putc(out, '[');
    for (uint32_t k = 0; k < p->ndim; k++) {
        if (k > 0)
            wm_buf_putc(out, ' ');
        put_pat(p->dim[k], out);
    }
    wm_buf_putc(out, ']');
}

/* ---- map expressions ---- */

/* A path of the command line that would not be read as one needs quotes. */
static void
put_map_name(struct wm_str name, struct wm_buf *out)
{
    bool quotes = name.n == 0;

    for (size_t k = 0; k < name.n; k++)
        quotes |= strchr(" \t\r\n\f\v\"~>()\\", name.p[k]) != NULL;
    if (quotes)
        wm_buf_putc(out, '"');
    if (quotes)
        wm_print_quoted(name, false, out);
    else
        wm_buf_puts(out, name);
    if (quotes)
        wm_buf_putc(out, '"');
}

void
wm_print_mapx(const struct wm_mapx *m, struct wm_buf *out)
{
    /* ~ and arguments bind tighter than >>, arguments tighter than ~; >> joins from the left. */
    bool parens = m->kind == WM_MX_INVERSE ? m->arg[0]->kind == WM_MX_COMPOSE
                  : m->kind == WM_MX_CALL
                      ? m->arg[0]->kind == WM_MX_COMPOSE || m->arg[0]->kind == WM_MX_INVERSE
                      : false;

    if (m->kind == WM_MX_NAME) {
        put_map_name(m->name, out);
        return;
    }
    if (m->kind == WM_MX_INVERSE)
        wm_buf_putc(out, '~');
    if (parens)
        wm_buf_putc(out, '(');
    wm_print_mapx(m->arg[0], out);
    if (parens)
        wm_buf_putc(out, ')');
    if (m->kind == WM_MX_COMPOSE) {
        parens = m->arg[1]->kind == WM_MX_COMPOSE;
        wm_buf_putz(out, parens ? " >> (" : " >> ");
        wm_print_mapx(m->arg[1], out);
        if (parens)
            wm_buf_putc(out, ')');
    }
    if (m->kind == WM_MX_CALL) {
        wm_buf_putc(out, '(');
        for (uint32_t k = 0; k < m->nbind; k++) {
            wm_buf_printf(out, "%s%.*s = ", k > 0 ? ", " : "", WM_STR_ARG(m->bind[k].name));
            put(m->bind[k].expr, 0, out);
        }
        wm_buf_putc(out, ')');
    }
}
