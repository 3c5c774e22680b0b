/* compiler/parse_error.c -- says what is wrong with a text, in the words of its author.
 *
 * In: the token that the grammar can't take, and all those that it could.  Out: one diagnostic, in
 * which the many tokens are a few notions (a value, an operator, a clause), and a hint where the
 * slip is a common one. */
#include "compiler/syntax.h"
#include "wmap.tab.h"

struct wanted {
    const struct wm_syntax *ps;
    const int *kind;
    int n;
};

static bool
wants(const struct wanted *w, int kind)
{
    for (int k = 0; k < w->n; k++)
        if (w->kind[k] == kind)
            return true;
    return false;
}

static bool
is_operator(int kind)
{
    return (kind >= TOK_ELSE_VALUE && kind <= TOK_OR && kind != TOK_REST) ||
           (kind >= TOK_PLUS && kind <= TOK_PERCENT) || kind == TOK_QUESTION || kind == TOK_DOT ||
           kind == TOK_LBRACKET || kind == TOK_LPAREN || kind == TOK_IN;
}

static bool
is_value(int kind)
{
    return kind == TOK_NAME || kind == TOK_INT || kind == TOK_FLOAT || kind == TOK_STRING ||
           kind == TOK_CONFIG || kind == TOK_TRUE || kind == TOK_FALSE || kind == TOK_NONE ||
           kind == TOK_LPAREN || kind == TOK_LBRACKET || kind == TOK_MINUS || kind == TOK_NOT;
}

static bool
is_clause(int kind)
{
    return kind >= TOK_WHERE && kind <= TOK_PAD;
}

static bool
is_statement(int kind)
{
    return (kind >= TOK_MAP && kind <= TOK_USE) || kind == TOK_STRING || kind == TOK_FILL ||
           kind == TOK_IF;
}

static bool
is_item(int kind)
{
    return kind >= TOK_FORMAT && kind <= TOK_SCALES;
}

static bool
is_modifier(int kind)
{
    return (kind >= TOK_PARTS && kind <= TOK_WIDTH) || kind == TOK_PAD || kind == TOK_FILL;
}

static bool
is_map(int kind)
{
    return kind == TOK_NAME || kind == TOK_STRING || kind == TOK_PATH || kind == TOK_TILDE ||
           kind == TOK_LPAREN;
}

/* Tokens that go by one name together, where `sign` and `also` are wanted. */
static const struct notion {
    int sign, also;
    bool (*has)(int kind);
    const char *text;
} notions[] = {
    {TOK_INT,       TOK_NOT,    is_value,     "a value"              },
    {TOK_PLUS,      TOK_STAR,   is_operator,  "an operator"          },
    {TOK_BROADCAST, TOK_WHERE,  is_clause,    "a clause"             },
    {TOK_LET,       TOK_PARAM,  is_statement, "a statement"          },
    {TOK_FORMAT,    TOK_ALIAS,  is_item,      "an item of the side"  },
    {TOK_GROUPS,    TOK_UNEVEN, is_modifier,  "a detail of the split"},
    {TOK_PATH,      TOK_TILDE,  is_map,       "a map"                },
};

/* What was expected, as pieces of a sentence; at most 8, then the most telling ones. */
static uint32_t
describe(const struct wanted *w, struct wm_arena *a, struct wm_str out[8])
{
    const struct notion *active[WM_COUNTOF(notions)];
    uint32_t nactive = 0, n = 0;
    bool name = wants(w, TOK_NAME);

    for (size_t k = 0; k < WM_COUNTOF(notions); k++)
        if (wants(w, notions[k].sign) && wants(w, notions[k].also) &&
            !(name && wm_token_is_soft(notions[k].sign)))
            active[nactive++] = &notions[k];
    for (int k = 0; k < w->n && n < 8; k++) {
        int kind = w->kind[k];
        const char *text = wm_token_text(kind);
        bool covered = name && wm_token_is_soft(kind);

        for (uint32_t j = 0; j < nactive && !covered; j++)
            covered = active[j]->has(kind);
        if (covered || kind == TOK_BROKEN || (kind == TOK_END && wants(w, TOK_LET)))
            continue;
        /* Kinds of tokens say what they are, others are quoted as they are spelled. */
        out[n++] = kind == TOK_END || (kind >= TOK_NAME && kind <= TOK_START_MAPX)
                       ? wm_str_c(text)
                       : wm_arena_printf(a, "`%s`", text);
    }
    for (uint32_t j = 0; j < nactive && n < 8; j++)
        out[n++] = wm_str_c(active[j]->text);
    return n;
}

static struct wm_str
list(const struct wanted *w)
{
    struct wm_str word[8];
    uint32_t n = describe(w, w->ps->a, word);
    struct wm_buf b;

    wm_buf_init(&b, w->ps->a);
    for (uint32_t k = 0; k < n; k++) {
        if (k > 0)
            wm_buf_putz(&b, k + 1 == n ? " or " : ", ");
        wm_buf_puts(&b, word[k]);
    }
    return wm_buf_str(&b);
}

static struct wm_str
quote(struct wm_syntax *ps, struct wm_token t)
{
    struct wm_buf b;

    if (t.kind == TOK_END)
        return wm_str_c(ps->goal == WM_GOAL_HOLE   ? "end of the hole"
                        : ps->goal == WM_GOAL_MAPX ? "end of the expression"
                                                   : "end of the map");
    wm_buf_init(&b, ps->a);
    if (t.kind == TOK_STRING || t.kind == TOK_DOC) {
        wm_buf_putz(&b, "string ");
        wm_buf_safe(&b, wm_syntax_text(ps, t.span), 48);
    } else {
        wm_buf_putc(&b, '`');
        wm_buf_safe(&b, wm_syntax_text(ps, t.span), 48);
        wm_buf_putc(&b, '`');
    }
    return wm_buf_str(&b);
}

static bool
is_comparison(int kind)
{
    return (kind >= TOK_EQ && kind <= TOK_GT) || kind == TOK_IN;
}

/* Slips of people who come from other languages. */
static const struct {
    const char *text, *note;
} slips[] = {
    {"and",   "`and` is written &&"                                 },
    {"or",    "`or` is written ||"                                  },
    {"not",   "`not` is written !"                                  },
    {"elif",  "write `else if`"                                     },
    {"None",  "the absent value is written null"                    },
    {"True",  "the values are written true and false"               },
    {"False", "the values are written true and false"               },
    {"then",  "a condition is followed by its block: if ... { ... }"},
};

static const char *
hint(struct wm_syntax *ps, const struct wanted *w, struct wm_token t)
{
    struct wm_str text = wm_syntax_text(ps, t.span);
    const struct wm_source *s = &ps->sources->list.item[ps->file];
    size_t behind = (size_t)t.span.off + t.span.len;

    for (size_t k = 0; k < WM_COUNTOF(slips); k++)
        if (t.kind == TOK_NAME && wm_str_eq(text, wm_str_c(slips[k].text)))
            return slips[k].note;
    if (wants(w, TOK_REST) && t.kind == TOK_COMMA)
        return "the axes of a pattern are separated by spaces: [a b]";
    if (t.kind == TOK_SLASH && behind < s->text.n && s->text.p[behind] == '/')
        return "comments begin with #";
    if (t.kind == TOK_IS && wants(w, TOK_AND))
        return "equality is written ==";
    if (is_comparison(t.kind) && wants(w, TOK_AND))
        return "comparisons do not chain: write a < b && b < c";
    if (t.kind >= TOK_IN && t.kind <= TOK_IF && wants(w, TOK_NAME))
        return "this word is reserved and cannot be a name; reserved are: in fill config true "
               "false null if";
    if (wants(w, TOK_BOTH) && (t.kind == TOK_IS || t.kind == TOK_COLON))
        return "a rule joins its two sides by <->, -> or <-";
    if (t.kind == TOK_RBRACE && ps->stray)
        return "no block is open here";
    return NULL;
}

/* The word that was probably meant, where a name stands for one of the words that could stand here.
 */
static struct wm_str
meant(const struct wanted *w, struct wm_token t)
{
    struct wm_str *word = WM_NEW_N(w->ps->a, struct wm_str, w->n);
    uint32_t n = 0;

    if (t.kind != TOK_NAME || t.span.len < 3 || wants(w, TOK_NAME))
        return WM_STR("");
    for (int k = 0; k < w->n; k++)
        if (w->kind[k] >= TOK_IN && w->kind[k] <= TOK_LOSSY)
            word[n++] = wm_str_c(wm_token_text(w->kind[k]));
    return wm_suggest(w->ps->a, wm_syntax_text(w->ps, t.span), word, n);
}

void
wm_syntax_unexpected(struct wm_syntax *ps, const int *want, int nwant)
{
    struct wanted w = {.ps = ps, .kind = want, .n = nwant};
    struct wm_token t = ps->last, word = ps->before;
    struct wm_diag *d;
    const char *note;
    bool at_word;

    if (ps->stop)
        return;
    /* A statement at the beginning of a line, where a value should have come before it: `let`
     * became a name. */
    at_word = wm_token_is_soft(word.kind) && word.kind <= TOK_USE && word.first && !t.first &&
              wants(&w, TOK_PLUS) &&
              (t.kind == TOK_NAME || t.kind == TOK_STRING || wm_token_is_soft(t.kind));
    if (at_word) {
        d = wm_syntax_error(ps, WM_E_SYNTAX, word.span,
                            "unexpected %.*s; expected a value before the next statement",
                            WM_STR_ARG(quote(ps, word)));
    } else if (t.kind != TOK_BROKEN) {
        d = wm_syntax_error(ps, WM_E_SYNTAX, t.span, "unexpected %.*s; expected %.*s",
                            WM_STR_ARG(quote(ps, t)), WM_STR_ARG(list(&w)));
        note = hint(ps, &w, t);
        if (note)
            wm_note(ps->diags, d, "%s", note);
        else if (meant(&w, t).n > 0)
            wm_note(ps->diags, d, "did you mean `%.*s`?", WM_STR_ARG(meant(&w, t)));
        if (t.kind == TOK_END && ps->nbrace > 0)
            wm_label(
                ps->diags, d,
                (struct wm_span){.file = ps->file, .off = ps->brace[ps->nbrace - 1].off, .len = 1},
                "this block is not closed");
    }
    wm_syntax_recover(ps, at_word);
}
