/* compiler/parse_tokens.c -- the token filter between scanner and grammar, and what happens at a
 * syntax error.
 *
 * In: raw tokens.  Out: the tokens that the grammar sees.  It does four things that a grammar of
 * one token's lookahead can't:
 * - it starts with the token of the goal, so that one grammar serves files, holes and map
 * expressions;
 * - a string behind a whole `map NAME` or `param NAME = value` is its description, unless what
 * follows shows that it is the first key of a rule;
 * - it counts brackets, and gives up where they nest too deep;
 * - after an error it skips to the first token of a line that begins a statement (an item, a line),
 * or to the brace that closes the block.  Blocks that begin while skipping are skipped whole. */
#include <assert.h>

#include "compiler/syntax.h"
#include "wmap.tab.h"

int wm_yylex(WM_YYSTYPE *value, struct wm_span *span, struct wm_syntax *ps);

static struct wm_token
read_raw(struct wm_syntax *ps)
{
    struct wm_token t = {.kind = TOK_END};

    if (ps->stop) {
        t.span = ps->last.span;
        return t;
    }
    t.kind = wm_scan(ps, &t.span);
    t.first = ps->new_line;
    ps->new_line = false;
    if (t.kind == TOK_STRING && t.span.len > WM_STRING_MAX)
        wm_syntax_error(
            ps, WM_E_TOO_LONG, (struct wm_span){.file = t.span.file, .off = t.span.off, .len = 1},
            "this string has %u bytes; at most %d are allowed", t.span.len - 2, WM_STRING_MAX - 2);
    if (t.kind == TOK_BROKEN) {
        struct wm_span quote = {.file = t.span.file, .off = t.span.off, .len = 1};
        struct wm_diag *d =
            wm_syntax_error(ps, WM_E_OPEN_STRING, quote, "no closing quote on this line");

        wm_note(ps->diags, d, "a string stands on one line; a line break in it is written \\n");
    }
    return t;
}

static struct wm_token
next_raw(struct wm_syntax *ps)
{
    struct wm_token t;

    if (ps->nahead == 0)
        return read_raw(ps);
    t = ps->ahead[0];
    ps->nahead--;
    memmove(&ps->ahead[0], &ps->ahead[1], ps->nahead * sizeof(t));
    return t;
}

static void
push_back(struct wm_syntax *ps, struct wm_token t)
{
    assert(ps->nahead < WM_COUNTOF(ps->ahead));
    memmove(&ps->ahead[1], &ps->ahead[0], ps->nahead * sizeof(t));
    ps->ahead[0] = t;
    ps->nahead++;
}

static int
peek_kind(struct wm_syntax *ps)
{
    struct wm_token t = next_raw(ps);

    push_back(ps, t);
    return t.kind;
}

/* Can a statement, an item of a side or a line of a shard block begin with it? */
static bool
is_starter(int kind)
{
    return (kind >= TOK_MAP && kind <= TOK_SCALES) || kind == TOK_STRING || kind == TOK_FILL ||
           kind == TOK_IF;
}

static void
open_brace(struct wm_syntax *ps, struct wm_token t, bool skipped)
{
    ps->parens = 0;
    if (ps->nbrace == WM_DEPTH_MAX) {
        wm_syntax_too_deep(ps, t.span);
        return;
    }
    ps->brace[ps->nbrace].off = t.span.off;
    ps->brace[ps->nbrace++].skipped = skipped;
}

static struct wm_token
skip(struct wm_syntax *ps)
{
    for (;;) {
        struct wm_token t = next_raw(ps);
        bool inside = ps->nbrace > 0 && ps->brace[ps->nbrace - 1].skipped;

        if (t.kind == TOK_END || (t.kind == TOK_RBRACE && !inside) ||
            (t.first && !inside && is_starter(t.kind))) {
            ps->skipping = false;
            ps->parens = 0;
            return t;
        }
        if (t.kind == TOK_LBRACE)
            open_brace(ps, t, true);
        else if (t.kind == TOK_RBRACE)
            ps->nbrace--;
    }
}

/* Brackets that are open at t, and whether a description may follow. */
static void
follow(struct wm_syntax *ps, struct wm_token *t)
{
    switch (t->kind) {
    case TOK_LPAREN:
    case TOK_LBRACKET:
        ps->parens++;
        break;
    case TOK_RPAREN:
    case TOK_RBRACKET:
        ps->parens -= ps->parens > 0;
        break;
    case TOK_LBRACE:
        open_brace(ps, *t, false);
        break;
    case TOK_RBRACE:
        ps->stray = ps->nbrace == 0;
        ps->nbrace -= ps->nbrace > 0;
        break;
    default:
        break;
    }
    if (ps->nesting + ps->nbrace + ps->parens > WM_DEPTH_MAX)
        wm_syntax_too_deep(ps, t->span);
    if (ps->stop)
        t->kind = TOK_END;
}

/* Could a value or a name end with it? */
static bool
ends_value(int kind)
{
    return kind == TOK_NAME || kind == TOK_INT || kind == TOK_FLOAT || kind == TOK_STRING ||
           kind == TOK_RPAREN || kind == TOK_RBRACKET || kind == TOK_TRUE || kind == TOK_FALSE ||
           kind == TOK_NONE || kind == TOK_CONFIG || wm_token_is_soft(kind);
}

static bool
begins_rule(int behind)
{
    return behind == TOK_BOTH || behind == TOK_FORWARD || behind == TOK_BACKWARD ||
           behind == TOK_COMMA || behind == TOK_LBRACKET;
}

static void
mark_description(struct wm_syntax *ps, struct wm_token *t)
{
    if (t->kind == TOK_STRING && ps->declaring && ps->parens == 0 && ends_value(ps->last.kind) &&
        !begins_rule(peek_kind(ps)))
        t->kind = TOK_DOC;
    if ((ps->last.kind == TOK_MAP || ps->last.kind == TOK_PARAM) &&
        (t->kind == TOK_NAME || wm_token_is_soft(t->kind)))
        ps->declaring = true;
    else if (t->kind == TOK_DOC || t->kind == TOK_LBRACE || t->kind == TOK_RBRACE ||
             t->kind == TOK_BOTH || t->kind == TOK_FORWARD || t->kind == TOK_BACKWARD ||
             (t->first && is_starter(t->kind)))
        ps->declaring = false;
}

int
wm_yylex(WM_YYSTYPE *value, struct wm_span *span, struct wm_syntax *ps)
{
    static const int start[] = {TOK_START_FILE, TOK_START_HOLE, TOK_START_MAPX};
    struct wm_token t;

    (void)value;
    if (!ps->started) {
        ps->started = true;
        ps->last = (struct wm_token){
            .kind = start[ps->goal], .span = {.file = ps->file, .off = ps->at}
        };
        *span = ps->last.span;
        return ps->last.kind;
    }
    t = ps->skipping ? skip(ps) : next_raw(ps);
    mark_description(ps, &t);
    follow(ps, &t);
    ps->before = ps->last;
    ps->last = t;
    *span = t.span;
    return t.kind;
}

/* ---- going on after an error ---- */

/* Deliver a token again, as if it came now. */
static void
resume_at(struct wm_syntax *ps, struct wm_token t)
{
    if (t.kind == TOK_DOC)
        t.kind = TOK_STRING;
    if (t.kind == TOK_RBRACE)
        ps->nbrace++; /* its entry is still there; the brace closes when it is delivered again */
    ps->pushed_back = t.span.off + 1;
    push_back(ps, t);
}

/* Once for each token: if it is wrong there as well, it is skipped. */
static bool
may_resume(const struct wm_syntax *ps, struct wm_token t)
{
    return ps->pushed_back <= t.span.off;
}

void
wm_syntax_recover(struct wm_syntax *ps, bool at_word)
{
    struct wm_token t = ps->last;

    ps->parens = 0;
    if (t.kind == TOK_END) {
        ps->stop = true;
    } else if (at_word && may_resume(ps, ps->before)) {
        resume_at(ps, t);
        resume_at(ps, ps->before);
    } else if (may_resume(ps, t) &&
               ((t.kind == TOK_RBRACE && !ps->stray) || (t.first && is_starter(t.kind)))) {
        resume_at(ps, t);
    } else {
        if (t.kind == TOK_LBRACE && ps->nbrace > 0)
            ps->brace[ps->nbrace - 1].skipped = true;
        ps->skipping = true;
    }
}
