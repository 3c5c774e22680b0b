/* compiler/ast_print_item.c -- items of sides and lines of shard blocks, in pieces.
 *
 * In: an item or a line.  Out: its text, cut where it may go on in the next line; the first piece
 * is the keyword of an item or the key of a line, which is aligned with its neighbours. */
#include "compiler/ast_print.h"

/* Prints into a buffer and hands its text over as a piece. */
struct cutter {
    struct wm_arena *a;
    struct wm_buf b;
    wm_pieces *out;
};

static void
cut(struct cutter *c)
{
    if (c->b.n > 0)
        *WM_PUSH(c->a, c->out) = wm_buf_str(&c->b);
    wm_buf_init(&c->b, c->a);
}

static struct cutter
begin(struct wm_arena *a, wm_pieces *out)
{
    struct cutter c = {.a = a, .out = out};

    out->n = 0;
    wm_buf_init(&c.b, a);
    return c;
}

static void
piece(struct cutter *c, const char *word)
{
    cut(c);
    wm_buf_putz(&c->b, word);
}

/* ` word expr`, as a piece of its own. */
static void
expr_piece(struct cutter *c, const char *word, const struct wm_expr *e)
{
    if (!e)
        return;
    piece(c, word);
    wm_buf_putc(&c->b, ' ');
    wm_print_expr(e, &c->b);
}

static void
key_piece(struct cutter *c, const char *word, const struct wm_template *t)
{
    if (!t)
        return;
    piece(c, word);
    if (*word)
        wm_buf_putc(&c->b, ' ');
    wm_print_template(t, &c->b);
}

static void
templates(struct cutter *c, const struct wm_side_item *it,
          void (*print)(const struct wm_template *, struct wm_buf *))
{
    for (uint32_t k = 0; k < it->ntmpl; k++) {
        cut(c);
        print(it->tmpl[k], &c->b);
        if (k + 1 < it->ntmpl)
            wm_buf_putc(&c->b, ',');
    }
}

/* The members of an object, or the items of a list, each on a line of its own: a piece that begins with a line end and
 * spaces stands so much deeper than the item, where this does not fit on one line. */
enum { WM_SHORT = 72 };

static void
line_piece(struct cutter *c, uint32_t depth)
{
    cut(c);
    wm_buf_putc(&c->b, '\n');
    wm_buf_pad(&c->b, ' ', 2 * depth);
}

static void
emitted(struct cutter *c, const struct wm_expr *e, uint32_t depth)
{
    bool list = e->kind == WM_EX_LIST;

    wm_buf_putz(&c->b, list ? "[" : "{");
    for (uint32_t k = 0; k < e->narg; k++) {
        const struct wm_expr *m = e->arg[k], *in = m;
        struct wm_buf one;

        wm_buf_init(&one, c->a);
        wm_print_expr(m, &one);
        line_piece(c, depth + 1);
        if (m->kind == WM_EX_MEMBER || m->kind == WM_EX_EACH)
            in = m->arg[0];
        if (one.n <= WM_SHORT || (in->kind != WM_EX_OBJECT && in->kind != WM_EX_LIST)) {
            wm_buf_puts(&c->b, wm_buf_str(&one));
        } else {
            if (in != m) {
                wm_print_head(m, &c->b);
                wm_buf_putc(&c->b, ' ');
            }
            emitted(c, in, depth + 1);
        }
        if (k + 1 < e->narg)
            wm_buf_putc(&c->b, ',');
    }
    if (e->narg)
        line_piece(c, depth);
    wm_buf_putz(&c->b, list ? "]" : "}");
}

static void
emit(struct cutter *c, const struct wm_side_item *it)
{
    wm_print_template(it->tmpl[0], &c->b);
    wm_buf_putc(&c->b, ' ');
    if (it->value->kind == WM_EX_OBJECT || it->value->kind == WM_EX_LIST)
        emitted(c, it->value, 0);
    else
        wm_print_expr(it->value, &c->b);
    if (it->checked)
        piece(c, "checked");
}

static void
lora(struct cutter *c, const struct wm_side_item *it)
{
    for (uint32_t k = 0; k < it->nterm; k++) {
        piece(c, k == 2 ? "into " : "");
        wm_print_term(&it->term[k], &c->b);
        if (k == 0)
            wm_buf_putc(&c->b, ',');
    }
    expr_piece(c, "scale", it->scale);
    if (it->stepwise)
        piece(c, "rounding stepwise");
}

void
wm_pieces_of_item(struct wm_arena *a, const struct wm_side_item *it, wm_pieces *out)
{
    static const char *const word[] = {"format", "file", "alias", "ignore",
                                       "carry",  "emit", "lora", "scales"};
    struct cutter c = begin(a, out);

    piece(&c, word[it->kind]);
    cut(&c);
    switch (it->kind) {
    case WM_SI_FORMAT:
        wm_buf_puts(&c.b, it->name);
        break;
    case WM_SI_FILE:
        key_piece(&c, "", it->tmpl[0]);
        key_piece(&c, "holds", it->holds);
        key_piece(&c, "as", it->as);
        expr_piece(&c, "root", it->root);
        break;
    case WM_SI_ALIAS:
        key_piece(&c, "", it->tmpl[0]);
        key_piece(&c, "=", it->tmpl[1]);
        break;
    case WM_SI_IGNORE:
        templates(&c, it, wm_print_template);
        break;
    case WM_SI_CARRY:
        templates(&c, it, wm_print_literal);
        break;
    case WM_SI_EMIT:
        emit(&c, it);
        break;
    case WM_SI_LORA:
        lora(&c, it);
        break;
    case WM_SI_SCALES:
        key_piece(&c, "", it->tmpl[0]);
        key_piece(&c, "of", it->tmpl[1]);
        expr_piece(&c, "blocks", it->blocks);
        expr_piece(&c, "dequant", it->dequant);
        break;
    }
    expr_piece(&c, "when", it->when);
    cut(&c);
}

void
wm_pieces_of_line(struct wm_arena *a, const struct wm_shard_line *l, wm_pieces *out)
{
    struct cutter c = begin(a, out);

    key_piece(&c, "", l->key);
    cut(&c);
    if (l->kind == WM_SH_REPLICATE)
        piece(&c, "replicate");
    expr_piece(&c, "at", l->at);
    expr_piece(&c, "split", l->dim);
    expr_piece(&c, "parts", l->parts);
    if (l->npart)
        piece(&c, "parts [");
    for (uint32_t k = 0; k < l->npart; k++) {
        wm_print_expr(l->part[k].size, &c.b);
        if (l->part[k].groups) {
            wm_buf_putz(&c.b, " groups ");
            wm_print_expr(l->part[k].groups, &c.b);
        }
        if (l->part[k].width) {
            wm_buf_putz(&c.b, " width ");
            wm_print_expr(l->part[k].width, &c.b);
        }
        wm_buf_putz(&c.b, k + 1 < l->npart ? ", " : "]");
    }
    expr_piece(&c, "groups", l->groups);
    expr_piece(&c, "unit", l->unit);
    expr_piece(&c, "size", l->size);
    expr_piece(&c, "pad", l->pad);
    expr_piece(&c, "fill", l->fill);
    expr_piece(&c, "width", l->width);
    if (l->uneven)
        piece(&c, "uneven");
    expr_piece(&c, "when", l->when);
    cut(&c);
}
