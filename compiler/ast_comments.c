/* compiler/ast_comments.c -- gives each comment of a text to a node.
 *
 * In: a whole tree, and the comments in the order of the text.  Out: the comment lists of its
 * nodes.  One walk in the order of the text: a comment belongs to the statement (item, line) before
 * which it stands, behind which it stands on the same line, or inside which it stands; what is left
 * stands before a closing brace or at the end of the file. */
#include "compiler/syntax.h"

struct walk {
    struct wm_syntax *ps;
    struct wm_str text;
    uint32_t next; /* the first comment that has no owner yet */
};

typedef WM_VEC(struct wm_str) lines_vec;

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

/* Does an empty line stand before `off`? */
static bool
blank_before(const struct walk *w, uint32_t off)
{
    uint32_t breaks = 0;

    while (off > 0 && is_space(w->text.p[off - 1]))
        breaks += w->text.p[--off] == '\n';
    return breaks > 1;
}

static struct wm_str
comment_text(const struct walk *w, uint32_t k)
{
    struct wm_str s = wm_syntax_text(w->ps, w->ps->comment.item[k]);

    while (s.n > 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool
has_before(const struct walk *w, uint32_t off)
{
    return w->next < w->ps->comment.n && w->ps->comment.item[w->next].off < off;
}

/* Comments before `off`.  Empty lines between them are kept, and before the first one if
 * `blank_first`. */
static void
take(struct walk *w, uint32_t off, bool blank_first, lines_vec *out)
{
    while (has_before(w, off)) {
        if ((out->n > 0 || blank_first) && blank_before(w, w->ps->comment.item[w->next].off))
            *WM_PUSH(w->ps->a, out) = WM_STR("");
        *WM_PUSH(w->ps->a, out) = comment_text(w, w->next++);
    }
}

/* The comment behind `end` on its line, if any. */
static struct wm_str
take_behind(struct walk *w, uint32_t end)
{
    uint32_t off;

    if (w->next == w->ps->comment.n)
        return WM_STR("");
    off = w->ps->comment.item[w->next].off;
    for (uint32_t k = end; k < off; k++)
        if (!is_space(w->text.p[k]) || w->text.p[k] == '\n')
            return WM_STR("");
    return comment_text(w, w->next++);
}

/* What stands before a node; first: nothing but the opening brace stands before it. */
static void
open_node(struct walk *w, struct wm_comments *c, struct wm_span span, bool first)
{
    lines_vec lead = {0};
    uint32_t begin = has_before(w, span.off) ? w->ps->comment.item[w->next].off : span.off;

    c->blank_before = !first && blank_before(w, begin);
    take(w, span.off, false, &lead);
    if (lead.n > 0 && blank_before(w, span.off))
        *WM_PUSH(w->ps->a, &lead) = WM_STR("");
    c->lead = lead.item;
    c->nlead = lead.n;
}

static void
take_inside(struct walk *w, struct wm_comments *c, uint32_t end)
{
    lines_vec in = {.item = c->inside, .n = c->ninside, .cap = c->ninside};

    take(w, end, false, &in);
    c->inside = in.item;
    c->ninside = in.n;
}

static struct wm_comments *
keep(struct walk *w, const struct wm_comments *c)
{
    struct wm_comments *k;

    if (c->nlead == 0 && !c->blank_before && c->trail.n == 0 && c->open.n == 0 && c->ninside == 0)
        return NULL;
    k = WM_NEW(w->ps->a, struct wm_comments);
    *k = *c;
    return k;
}

/* An item of a side or a line of a shard block. */
static struct wm_comments *
simple_node(struct walk *w, struct wm_span span, bool first)
{
    struct wm_comments c = {0};

    open_node(w, &c, span, first);
    take_inside(w, &c, span.off + span.len);
    c.trail = take_behind(w, span.off + span.len);
    return keep(w, &c);
}

static void
tail_of(struct walk *w, uint32_t end, bool blank_first, struct wm_str **tail, uint32_t *n)
{
    lines_vec v = {0};

    take(w, end, blank_first, &v);
    *tail = v.item;
    *n = v.n;
}

static void statements(struct walk *w, struct wm_stmt **stmt, uint32_t n, bool headed);

static void
branches(struct walk *w, struct wm_stmt *s, struct wm_comments *c)
{
    for (uint32_t k = 0; k < s->narm; k++) {
        struct wm_if_arm *arm = &s->arm[k];
        uint32_t end = arm->span.off + arm->span.len - 1;

        if (k == 0)
            take_inside(w, c, arm->brace.off);
        arm->open = take_behind(w, arm->brace.off + 1);
        statements(w, arm->body, arm->nbody, false);
        /* Comments around `} else {` stay above the brace. */
        tail_of(w, k + 1 < s->narm ? s->arm[k + 1].brace.off : end, arm->nbody > 0, &arm->tail,
                &arm->ntail);
    }
}

static void
statement(struct walk *w, struct wm_stmt *s, bool first)
{
    struct wm_comments c = {0};
    uint32_t end = s->span.off + s->span.len;

    open_node(w, &c, s->span, first);
    if (s->kind == WM_ST_IF) {
        branches(w, s, &c);
    } else if (s->brace.len > 0) {
        take_inside(w, &c, s->brace.off);
        c.open = take_behind(w, s->brace.off + 1);
        statements(w, s->body, s->nbody, false);
        for (uint32_t k = 0; k < s->nitem; k++)
            s->item[k].comments = simple_node(w, s->item[k].span, k == 0);
        for (uint32_t k = 0; k < s->nline; k++)
            s->line[k].comments = simple_node(w, s->line[k].span, k == 0);
        tail_of(w, end - 1, s->nbody + s->nitem + s->nline > 0, &s->tail, &s->ntail);
    } else {
        take_inside(w, &c, end);
    }
    c.trail = take_behind(w, end);
    s->comments = keep(w, &c);
}

static void
statements(struct walk *w, struct wm_stmt **stmt, uint32_t n, bool headed)
{
    for (uint32_t k = 0; k < n; k++)
        statement(w, stmt[k], k == 0 && !headed);
}

void
wm_attach_comments(struct wm_syntax *ps, struct wm_file_ast *f)
{
    struct walk w = {.ps = ps, .text = ps->sources->list.item[ps->file].text};
    bool headed = f->version_span.len > 0;

    if (!f->ok)
        return; /* only sound trees are printed */
    if (headed)
        f->comments = simple_node(&w, f->version_span, true);
    statements(&w, f->stmt, f->nstmt, headed);
    tail_of(&w, (uint32_t)w.text.n, headed || f->nstmt > 0, &f->tail, &f->ntail);
}
