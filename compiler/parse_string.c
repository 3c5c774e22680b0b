/* compiler/parse_string.c -- string tokens: escapes, and the holes of key templates.
 *
 * In: the span of a string token.  Out: its value, or a template of texts and holes, with spans
 * inside the string. What an escape makes is literal text, never a brace of a hole; a hole's text
 * has no escapes, so the expression in it can be parsed where it stands in the source. */
#include "base/utf8.h"
#include "compiler/syntax.h"

static bool
hex_digit(char c, uint32_t *v)
{
    if (c >= '0' && c <= '9')
        *v = (uint32_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
        *v = (uint32_t)(c - 'a') + 10;
    else if (c >= 'A' && c <= 'F')
        *v = (uint32_t)(c - 'A') + 10;
    else
        return false;
    return true;
}

static void
put_utf8(struct wm_buf *b, uint32_t c)
{
    if (c < 0x80) {
        wm_buf_putc(b, (char)c);
        return;
    }
    if (c < 0x800) {
        wm_buf_putc(b, (char)(0xc0 | c >> 6));
    } else {
        if (c < 0x10000) {
            wm_buf_putc(b, (char)(0xe0 | c >> 12));
        } else {
            wm_buf_putc(b, (char)(0xf0 | c >> 18));
            wm_buf_putc(b, (char)(0x80 | (c >> 12 & 0x3f)));
        }
        wm_buf_putc(b, (char)(0x80 | (c >> 6 & 0x3f)));
    }
    wm_buf_putc(b, (char)(0x80 | (c & 0x3f)));
}

/* \u{1F600} at s (behind the backslash); its length, or 0.  Code points only, and not NUL. */
static size_t
unicode_escape(struct wm_str s, uint32_t *c)
{
    size_t at = 2;

    *c = 0;
    if (s.n < 4 || s.p[1] != '{')
        return 0;
    for (; at < s.n && s.p[at] != '}'; at++) {
        uint32_t digit;

        if (at > 7 || !hex_digit(s.p[at], &digit))
            return 0;
        *c = *c << 4 | digit;
    }
    if (at == 2 || at == s.n || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
        return 0;
    return at + 1;
}

/* One escape at s (with its backslash), whose offset in the source is off.  Its length. */
static size_t
escape(struct wm_syntax *ps, struct wm_str s, uint32_t off, struct wm_buf *out)
{
    static const char from[] = "\"\\nt", to[] = "\"\\\n\t";
    const char *simple = s.n > 1 && s.p[1] ? strchr(from, s.p[1]) : NULL;
    struct wm_span span = {.file = ps->file, .off = off, .len = 2};
    struct wm_str behind = {s.p + 1, s.n - 1};
    struct wm_diag *d;
    uint32_t c;
    size_t n;

    if (simple) {
        wm_buf_putc(out, to[simple - from]);
        return 2;
    }
    n = s.n > 1 && s.p[1] == 'u' ? unicode_escape(behind, &c) : 0;
    if (n > 0 && c > 0) {
        put_utf8(out, c);
        return n + 1;
    }
    if (n > 0) {
        span.len = (uint32_t)n + 1;
        wm_syntax_error(ps, WM_E_NUL_BYTE, span, "a string holds no NUL");
        return n + 1;
    }
    if (s.n > 1 && s.p[1] == 'u') {
        d = wm_syntax_error(ps, WM_E_BAD_ESCAPE, span, "no code point stands behind \\u");
        wm_note(ps->diags, d, "write its number in braces, in hexadecimal: \\u{e9}");
        /* Its braces are none of the key's. */
        for (n = 3; s.n > 3 && s.p[2] == '{' && n < s.n && n < 12; n++)
            if (s.p[n] == '}')
                return n + 1;
    } else {
        n = s.n > 1 ? wm_utf8_next(s.p + 1, s.n - 1, NULL) : 0;
        span.len = 1 + (uint32_t)n;
        d = wm_syntax_error(ps, WM_E_BAD_ESCAPE, span, "unknown escape %.*s", (int)span.len, s.p);
        wm_note(ps->diags, d, "the escapes are \\\" \\\\ \\n \\t \\u{...}");
    }
    return span.len;
}

/* What stands between the quotes.  An overlong string was reported: its value is not looked at. */
static struct wm_str
inside(struct wm_syntax *ps, struct wm_span span)
{
    struct wm_str s = wm_syntax_text(ps, span);

    if (s.n < 2 || s.n > WM_STRING_MAX)
        return WM_STR("");
    return (struct wm_str){s.p + 1, s.n - 2};
}

struct wm_str
wm_string_value(struct wm_syntax *ps, struct wm_span span)
{
    struct wm_str s = inside(ps, span);
    struct wm_buf b;

    wm_buf_init(&b, ps->a);
    for (size_t at = 0; at < s.n;) {
        struct wm_str rest = {s.p + at, s.n - at};

        if (s.p[at] == '\\')
            at += escape(ps, rest, span.off + 1 + (uint32_t)at, &b);
        else
            wm_buf_putc(&b, s.p[at++]);
    }
    return wm_buf_str(&b);
}

struct wm_template *
wm_make_literal(struct wm_syntax *ps, struct wm_span span)
{
    struct wm_template *t = WM_NEW(ps->a, struct wm_template);

    *t = (struct wm_template){.span = span, .text = wm_syntax_text(ps, span)};
    t->part = WM_NEW(ps->a, struct wm_hole);
    t->part[0] =
        (struct wm_hole){.kind = WM_HO_TEXT, .span = span, .text = wm_string_value(ps, span)};
    t->part[0].span.off += 1;
    t->part[0].span.len -= span.len < 2 ? span.len : 2;
    t->npart = t->part[0].text.n > 0;
    return t;
}

/* ---- key templates ---- */

struct keys {
    struct wm_syntax *ps;
    struct wm_str s; /* between the quotes */
    uint32_t base;   /* offset of s in the source */
    WM_VEC(struct wm_hole) part;
    struct wm_buf text; /* literal text so far, not yet a part */
    uint32_t text_at;   /* where it begins in s */
};

static struct wm_span
span_in(const struct keys *k, size_t from, size_t to)
{
    return (struct wm_span){
        .file = k->ps->file, .off = k->base + (uint32_t)from, .len = (uint32_t)(to - from)};
}

static bool
is_space(char c)
{
    return c == ' ' || c == '\t';
}

static bool
is_name_start(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static size_t
name_length(struct wm_str s)
{
    size_t n = 0;

    if (s.n == 0 || !is_name_start(s.p[0]))
        return 0;
    while (n < s.n && (is_name_start(s.p[n]) || (s.p[n] >= '0' && s.p[n] <= '9')))
        n++;
    return n;
}

/* [*from, *to) of k->s without spaces at its ends. */
static void
trim(const struct keys *k, size_t *from, size_t *to)
{
    while (*from < *to && is_space(k->s.p[*from]))
        ++*from;
    while (*to > *from && is_space(k->s.p[*to - 1]))
        --*to;
}

static struct wm_str
cut(const struct keys *k, size_t from, size_t to)
{
    return (struct wm_str){k->s.p + from, to - from};
}

/* Room for all parts at once: every second one is a hole. */
static void
reserve_parts(struct keys *k)
{
    uint32_t holes = 0;

    for (size_t at = 0; at < k->s.n; at++)
        holes += k->s.p[at] == '{';
    k->part.cap = 2 * holes + 1;
    k->part.item = WM_NEW_N(k->ps->a, struct wm_hole, k->part.cap);
}

static void
flush_text(struct keys *k, size_t at)
{
    if (k->text.n > 0)
        *WM_PUSH(k->ps->a, &k->part) = (struct wm_hole){
            .kind = WM_HO_TEXT, .span = span_in(k, k->text_at, at), .text = wm_buf_str(&k->text)};
    wm_buf_init(&k->text, k->ps->a);
}

static struct wm_diag *
bad(struct keys *k, struct wm_hole *h, struct wm_span span, const char *what)
{
    h->kind = WM_HO_ERROR;
    return wm_syntax_error(k->ps, WM_E_BAD_TEMPLATE, span, "%s", what);
}

/* `gate|up` in [from, to). */
static void
parse_words(struct keys *k, struct wm_hole *h, size_t from, size_t to)
{
    WM_VEC(struct wm_str) word = {0};

    h->kind = WM_HO_WORDS;
    for (size_t at = from; at <= to;) {
        const char *bar = at < to ? memchr(k->s.p + at, '|', to - at) : NULL;
        size_t end = bar ? (size_t)(bar - k->s.p) : to, a = at, b = end;
        struct wm_str w;

        trim(k, &a, &b);
        w = cut(k, a, b);
        if (w.n == 0) {
            bad(k, h, span_in(k, at, end), "an empty word in a list of words");
            return;
        }
        for (size_t j = 0; j < w.n; j++)
            if (is_space(w.p[j]) || strchr("\"\\{}*", w.p[j])) {
                bad(k, h, span_in(k, a, b),
                    "a word of a list may hold no space, quote, brace, backslash or *");
                return;
            }
        for (uint32_t j = 0; j < word.n; j++)
            if (wm_str_eq(word.item[j], w)) {
                wm_syntax_error(k->ps, WM_E_TWICE, span_in(k, a, b),
                                "the word `%.*s` stands twice in its list", WM_STR_ARG(w));
                h->kind = WM_HO_ERROR;
                return;
            }
        *WM_PUSH(k->ps->a, &word) = w;
        at = end + 1;
    }
    h->word = word.item;
    h->nword = word.n;
}

/* The first name of an expression that is one. */
static struct wm_str
first_name(const struct wm_expr *e)
{
    if (e->kind == WM_EX_NAME)
        return e->s;
    for (uint32_t k = 0; k < e->narg; k++) {
        struct wm_str s = first_name(e->arg[k]);

        if (s.n > 0)
            return s;
    }
    return WM_STR("");
}

/* `layer:05` or `layer + first` in [from, to). */
static void
parse_index(struct keys *k, struct wm_hole *h, size_t from, size_t to)
{
    struct wm_syntax sub;
    size_t colon = to;

    while (colon > from && k->s.p[colon - 1] >= '0' && k->s.p[colon - 1] <= '9')
        colon--;
    h->kind = WM_HO_INDEX;
    if (colon > from && colon < to && k->s.p[colon - 1] == ':') {
        for (size_t j = colon; j < to && h->width < 1000; j++)
            h->width = h->width * 10 + (uint32_t)(k->s.p[j] - '0');
        if (k->s.p[colon] != '0' || h->width < 1 || h->width > 20) {
            struct wm_diag *d =
                bad(k, h, span_in(k, colon, to), "a width is 0 and a number from 1 to 20");

            wm_note(k->ps->diags, d, "{layer:05} prints five digits");
            return;
        }
        to = colon - 1;
    }
    trim(k, &from, &to);
    wm_syntax_init(&sub, k->ps->a, k->ps->sources, k->ps->file, k->ps->diags, WM_GOAL_HOLE);
    sub.nesting = k->ps->nbrace + k->ps->parens;
    wm_syntax_run(&sub, k->base + (uint32_t)from, (uint32_t)(to - from));
    k->ps->failed |= sub.failed;
    h->expr = sub.expr;
    if (sub.failed || !h->expr)
        h->kind = WM_HO_ERROR;
    else
        h->name = first_name(h->expr);
    if (h->kind == WM_HO_INDEX && h->name.n == 0)
        bad(k, h, h->span, "no index stands between these braces");
}

/* A hole with its braces in [open, close]. */
static void
parse_hole(struct keys *k, size_t open, size_t close)
{
    struct wm_hole *h = WM_PUSH(k->ps->a, &k->part);
    size_t from = open + 1, to = close, n, behind;

    *h = (struct wm_hole){.span = span_in(k, open, close + 1)};
    trim(k, &from, &to);
    n = name_length(cut(k, from, to));
    for (behind = from + n; behind < to && is_space(k->s.p[behind]);)
        behind++;
    if (from == to) {
        struct wm_diag *d = bad(k, h, h->span, "an empty hole");

        wm_note(k->ps->diags, d, "literal braces are written {{ and }}");
    } else if (memchr(k->s.p + from, '\\', to - from)) {
        bad(k, h, h->span, "an escape makes literal text and cannot stand in a hole");
    } else if (memchr(k->s.p + from, '#', to - from)) {
        bad(k, h, h->span, "a comment cannot stand in a hole");
    } else if (n > 0 && behind + 1 == to && k->s.p[behind] == '*') {
        h->kind = WM_HO_CAPTURE;
        h->name = wm_make_name(k->ps, span_in(k, from, from + n));
    } else if (n > 0 && behind > from + n && to - behind > 2 &&
               memcmp(k->s.p + behind, "in", 2) == 0 && is_space(k->s.p[behind + 2])) {
        h->name = wm_make_name(k->ps, span_in(k, from, from + n));
        parse_words(k, h, behind + 3, to);
    } else {
        parse_index(k, h, from, to);
    }
}

/* A brace at `at`: a literal one, or a hole.  Gives where to go on. */
static size_t
parse_brace(struct keys *k, size_t at)
{
    const char *end;
    struct wm_diag *d;

    if (at + 1 < k->s.n && k->s.p[at + 1] == k->s.p[at]) {
        wm_buf_putc(&k->text, k->s.p[at]);
        return at + 2;
    }
    end = k->s.p[at] == '{' ? memchr(k->s.p + at, '}', k->s.n - at) : NULL;
    if (end) {
        flush_text(k, at);
        parse_hole(k, at, (size_t)(end - k->s.p));
        k->text_at = (uint32_t)(end - k->s.p) + 1;
        return k->text_at;
    }
    d = wm_syntax_error(k->ps, WM_E_BAD_TEMPLATE, span_in(k, at, at + 1),
                        k->s.p[at] == '{' ? "no closing brace in this key"
                                          : "no opening brace in this key");
    wm_note(k->ps->diags, d, "a literal brace is written %c%c", k->s.p[at], k->s.p[at]);
    return at + 1;
}

struct wm_template *
wm_make_key(struct wm_syntax *ps, struct wm_span span)
{
    struct wm_template *t = WM_NEW(ps->a, struct wm_template);
    struct keys k = {.ps = ps, .s = inside(ps, span), .base = span.off + 1};

    reserve_parts(&k);
    wm_buf_init(&k.text, ps->a);
    for (size_t at = 0; at < k.s.n;) {
        if (k.s.p[at] == '\\')
            at += escape(ps, cut(&k, at, k.s.n), k.base + (uint32_t)at, &k.text);
        else if (k.s.p[at] == '{' || k.s.p[at] == '}')
            at = parse_brace(&k, at);
        else
            wm_buf_putc(&k.text, k.s.p[at++]);
    }
    flush_text(&k, k.s.n);
    *t = (struct wm_template){
        .span = span, .text = wm_syntax_text(ps, span), .part = k.part.item, .npart = k.part.n};
    return t;
}
