/* runtime/json.c -- a strict JSON reader that hands out one token at a time.
 *
 * In: a text of any content.  Out: tokens; keys and strings without escapes point into the text,
 * others are built in the arena.  Invariant: `state` says what may come next, stack[0..depth) which
 * brackets are open.  After an error every further call gives the error again. */
#include "runtime/json.h"

#include "base/utf8.h"

enum state {
    S_VALUE,       /* a value must come */
    S_FIRST_VALUE, /* a value or ] */
    S_FIRST_KEY,   /* a key or } */
    S_KEY,         /* a key must come */
    S_AFTER,       /* a value is complete: comma, closing bracket, or the end */
    S_ERROR
};

void
wm_json_init(struct wm_json *j, struct wm_arena *a, const char *text, size_t n)
{
    *j = (struct wm_json){.a = a, .text = text, .n = n, .state = S_VALUE};
}

static enum wm_json_tok
fail(struct wm_json *j, size_t at, const char *why)
{
    j->state = S_ERROR;
    j->tok_at = at;
    j->why = why;
    return WM_JS_ERROR;
}

static void
skip_space(struct wm_json *j)
{
    while (j->at < j->n && (j->text[j->at] == ' ' || j->text[j->at] == '\n' ||
                            j->text[j->at] == '\r' || j->text[j->at] == '\t'))
        j->at++;
}

/* Four hexadecimal digits at j->at. */
static bool
hex4(struct wm_json *j, uint32_t *out)
{
    uint32_t v = 0;

    if (j->n - j->at < 4)
        return false;
    for (int k = 0; k < 4; k++) {
        char c = j->text[j->at + (size_t)k];
        uint32_t d;

        if (c >= '0' && c <= '9')
            d = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            d = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            d = (uint32_t)(c - 'A') + 10;
        else
            return false;
        v = v << 4 | d;
    }
    j->at += 4;
    *out = v;
    return true;
}

static char *
put_utf8(char *p, uint32_t c)
{
    if (c < 0x80) {
        *p++ = (char)c;
    } else if (c < 0x800) {
        *p++ = (char)(0xc0 | c >> 6);
        *p++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *p++ = (char)(0xe0 | c >> 12);
        *p++ = (char)(0x80 | (c >> 6 & 0x3f));
        *p++ = (char)(0x80 | (c & 0x3f));
    } else {
        *p++ = (char)(0xf0 | c >> 18);
        *p++ = (char)(0x80 | (c >> 12 & 0x3f));
        *p++ = (char)(0x80 | (c >> 6 & 0x3f));
        *p++ = (char)(0x80 | (c & 0x3f));
    }
    return p;
}

/* The escape behind a backslash (j->at stands on its letter) to p; NULL where there is none. */
static char *
unescape(struct wm_json *j, char *p)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *hit;
    uint32_t c, low;
    char letter;

    if (j->at >= j->n)
        return NULL;
    letter = j->text[j->at++];
    if (letter != 'u') {
        hit = letter ? strchr(from, letter) : NULL;
        if (!hit)
            return NULL;
        *p++ = to[hit - from];
        return p;
    }
    if (!hex4(j, &c) || (c >= 0xdc00 && c <= 0xdfff))
        return NULL;
    if (c >= 0xd800 && c <= 0xdbff) {
        if (j->n - j->at < 2 || j->text[j->at] != '\\' || j->text[j->at + 1] != 'u')
            return NULL;
        j->at += 2;
        if (!hex4(j, &low) || low < 0xdc00 || low > 0xdfff)
            return NULL;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    return put_utf8(p, c);
}

/* Check the string from j->at to its closing quote; *end is the quote, *escapes whether any. */
static const char *
scan_string(const struct wm_json *j, size_t *end, bool *escapes)
{
    size_t at = j->at;

    *escapes = false;
    for (;;) {
        unsigned char c;
        size_t len;

        at = wm_utf8_plain(j->text, at, j->n); /* behind a backslash at the end, `at` is more than n */
        if (at >= j->n)
            break;
        c = (unsigned char)j->text[at];

        if (c == '"') {
            *end = at;
            return NULL;
        }
        if (c == '\\') {
            *escapes = true;
            at += 2; /* unescape() looks at the rest: hexadecimal digits are plain here */
            continue;
        }
        *end = at;
        if (c < 0x20)
            return "control character in a string";
        len = c < 0x80 ? 1 : wm_utf8_next(j->text + at, j->n - at, NULL);
        if (len == 0)
            return "invalid UTF-8";
        at += len;
    }
    *end = j->n;
    return "string without an end";
}

/* j->at is behind the opening quote. */
static enum wm_json_tok
read_string(struct wm_json *j, enum wm_json_tok tok)
{
    bool escapes;
    size_t end, from = j->at;
    const char *why = scan_string(j, &end, &escapes);
    char *out, *p;

    if (why)
        return fail(j, end, why);
    if (!escapes) {
        j->str = (struct wm_str){j->text + from, end - from};
        j->at = end + 1;
        return tok;
    }
    p = out = wm_arena_alloc(j->a, end - from + 1); /* an escape is longer than what it means */
    while (j->at < end) {
        if (j->text[j->at] != '\\') {
            *p++ = j->text[j->at++];
            continue;
        }
        from = j->at++;
        p = unescape(j, p);
        if (!p || j->at > end)
            return fail(j, from, "invalid escape in a string");
    }
    *p = '\0';
    j->str = (struct wm_str){out, (size_t)(p - out)};
    j->at = end + 1;
    return tok;
}

static size_t
digits(const struct wm_json *j, size_t at)
{
    while (at < j->n && j->text[at] >= '0' && j->text[at] <= '9')
        at++;
    return at;
}

/* Is text[from..to), digits only, below 2^64? */
static bool
to_u64(const struct wm_json *j, size_t from, size_t to, uint64_t *out)
{
    size_t sure = to - from < 20 ? to : from; /* 19 digits are always below */
    uint64_t v = 0;

    for (; from < sure; from++)
        v = v * 10 + (uint64_t)(j->text[from] - '0');
    for (; from < to; from++)
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(j->text[from] - '0'), &v))
            return false;
    *out = v;
    return true;
}

static enum wm_json_tok
read_number(struct wm_json *j)
{
    size_t from = j->at, at = from, end;
    bool plain = true;

    if (j->text[at] == '-') {
        plain = false;
        at++;
    }
    end = digits(j, at);
    if (end == at)
        return fail(j, from, "invalid number");
    if (j->text[at] == '0' && end > at + 1)
        return fail(j, from, "number with a leading zero");
    at = end;
    if (at < j->n && j->text[at] == '.') {
        plain = false;
        end = digits(j, at + 1);
        if (end == at + 1)
            return fail(j, from, "number without digits behind its point");
        at = end;
    }
    if (at < j->n && (j->text[at] == 'e' || j->text[at] == 'E')) {
        plain = false;
        at++;
        if (at < j->n && (j->text[at] == '+' || j->text[at] == '-'))
            at++;
        end = digits(j, at);
        if (end == at)
            return fail(j, from, "number without digits in its exponent");
        at = end;
    }
    j->at = at;
    j->str = (struct wm_str){j->text + from, at - from};
    return plain && to_u64(j, from, at, &j->u) ? WM_JS_UINT : WM_JS_NUMBER;
}

static enum wm_json_tok
read_word(struct wm_json *j, struct wm_str word, enum wm_json_tok tok)
{
    if (!wm_str_starts((struct wm_str){j->text + j->at, j->n - j->at}, word))
        return fail(j, j->at, "invalid value");
    j->at += word.n;
    return tok;
}

static enum wm_json_tok
open_bracket(struct wm_json *j, char c)
{
    if (j->depth == WM_JSON_MAX_DEPTH)
        return fail(j, j->at, "nested too deeply");
    j->stack[j->depth++] = (uint8_t)c;
    j->at++;
    j->state = c == '{' ? S_FIRST_KEY : S_FIRST_VALUE;
    return c == '{' ? WM_JS_OBJECT : WM_JS_ARRAY;
}

static enum wm_json_tok
close_bracket(struct wm_json *j)
{
    j->depth--;
    j->at++;
    j->state = S_AFTER;
    return j->stack[j->depth] == '{' ? WM_JS_OBJECT_END : WM_JS_ARRAY_END;
}

static enum wm_json_tok
read_value(struct wm_json *j)
{
    char c = j->text[j->at];

    j->state = S_AFTER;
    switch (c) {
    case '{':
    case '[':
        return open_bracket(j, c);
    case '"':
        j->at++;
        return read_string(j, WM_JS_STRING);
    case 't':
        return read_word(j, WM_STR("true"), WM_JS_TRUE);
    case 'f':
        return read_word(j, WM_STR("false"), WM_JS_FALSE);
    case 'n':
        return read_word(j, WM_STR("null"), WM_JS_NULL);
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            return read_number(j);
        return fail(j, j->at, "invalid value");
    }
}

/* A key and its colon. */
static enum wm_json_tok
read_key(struct wm_json *j)
{
    if (j->text[j->at] != '"')
        return fail(j, j->at, "a key in double quotes is expected");
    j->at++;
    if (read_string(j, WM_JS_KEY) == WM_JS_ERROR)
        return WM_JS_ERROR;
    skip_space(j);
    if (j->at >= j->n || j->text[j->at] != ':')
        return fail(j, j->at, "a colon is expected behind a key");
    j->at++;
    j->state = S_VALUE;
    return WM_JS_KEY;
}

/* A value is complete; c is the next character. */
static enum wm_json_tok
read_after(struct wm_json *j, char c)
{
    char open;

    if (j->depth == 0)
        return fail(j, j->at, "text behind the end of the value");
    open = (char)j->stack[j->depth - 1];
    if (c == (open == '{' ? '}' : ']'))
        return close_bracket(j);
    if (c != ',')
        return fail(j, j->at, "a comma or a closing bracket is expected");
    j->at++;
    j->state = open == '{' ? S_KEY : S_VALUE;
    return wm_json_next(j); /* at most once more: the state is not S_AFTER now */
}

enum wm_json_tok
wm_json_next(struct wm_json *j)
{
    char c;

    if (j->state == S_ERROR)
        return WM_JS_ERROR;
    skip_space(j);
    j->tok_at = j->at;
    if (j->at >= j->n) {
        if (j->state == S_AFTER && j->depth == 0)
            return WM_JS_END;
        return fail(j, j->n, "the text ends too early");
    }
    c = j->text[j->at];
    switch ((enum state)j->state) {
    case S_AFTER:
        return read_after(j, c);
    case S_FIRST_KEY:
        return c == '}' ? close_bracket(j) : read_key(j);
    case S_KEY:
        return read_key(j);
    case S_FIRST_VALUE:
        return c == ']' ? close_bracket(j) : read_value(j);
    default:
        return read_value(j);
    }
}

bool
wm_json_skip(struct wm_json *j, enum wm_json_tok t)
{
    uint32_t outside = j->depth - 1;

    if (t != WM_JS_OBJECT && t != WM_JS_ARRAY)
        return t != WM_JS_ERROR && t != WM_JS_END;
    while (j->depth > outside)
        if (wm_json_next(j) == WM_JS_ERROR)
            return false;
    return true;
}
