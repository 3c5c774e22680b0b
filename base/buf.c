/* base/buf.c -- growing text in an arena.
 *
 * In: bytes, formats, names to be quoted or made safe.  Out: one run of bytes, terminated by a NUL
 * that is not counted.  Invariant: p is NULL, or n < cap and p[n] is NUL. */
#include "base/buf.h"

#include <stdio.h>

#include "base/utf8.h"

void
wm_buf_init(struct wm_buf *b, struct wm_arena *a)
{
    *b = (struct wm_buf){.a = a};
}

/* Room for n more bytes and the NUL. */
static char *
reserve(struct wm_buf *b, size_t n)
{
    size_t cap = b->cap ? b->cap : 64;

    if (n >= SIZE_MAX / 4 - b->n)
        n = SIZE_MAX / 4; /* the arena's out-of-memory hook answers */
    while (cap - b->n <= n)
        cap += cap < 65536 ? cap : cap / 4;
    if (cap != b->cap) {
        b->p = wm_arena_grow(b->a, b->p, b->cap, cap, 1);
        b->cap = cap;
    }
    return b->p + b->n;
}

void
wm_buf_reserve(struct wm_buf *b, size_t n)
{
    if (b->cap == 0 && n < SIZE_MAX / 4) { /* at its size at once */
        b->p = wm_arena_alloc(b->a, n + 1);
        b->cap = n + 1;
    } else {
        reserve(b, n);
    }
}

void
wm_buf_puts_slowly(struct wm_buf *b, struct wm_str s)
{
    char *p = reserve(b, s.n);

    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    b->n += s.n;
}

void
wm_buf_putz(struct wm_buf *b, const char *s)
{
    wm_buf_puts(b, wm_str_c(s));
}

void
wm_buf_pad(struct wm_buf *b, char c, size_t n)
{
    char *p = reserve(b, n);

    memset(p, c, n);
    p[n] = '\0';
    b->n += n;
}

void
wm_buf_vprintf(struct wm_buf *b, const char *fmt, va_list ap)
{
    va_list again;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        return;
    vsnprintf(reserve(b, (size_t)n), (size_t)n + 1, fmt, ap);
    b->n += (size_t)n;
}

void
wm_buf_printf(struct wm_buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    wm_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

/* The letter of a short JSON escape, or 0. */
static char
json_escape(unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

void
wm_buf_json(struct wm_buf *b, struct wm_str s)
{
    size_t at = 0, from = 0;

    wm_buf_putc(b, '"');
    while ((at = wm_utf8_plain(s.p, at, s.n)) < s.n) {
        unsigned char c = (unsigned char)s.p[at];
        size_t len;
        char e;

        len = wm_utf8_next(s.p + at, s.n - at, NULL);
        e = json_escape(c);
        if (len > 0 && c >= 0x20 && !e) {
            at += len;
            continue;
        }
        wm_buf_puts(b, (struct wm_str){s.p + from, at - from});
        if (len == 0) {
            wm_buf_putz(b, "\\ufffd");
        } else if (e) {
            wm_buf_putc(b, '\\');
            wm_buf_putc(b, e);
        } else {
            wm_buf_printf(b, "\\u%04x", c);
        }
        from = ++at;
    }
    wm_buf_puts(b, (struct wm_str){s.p + from, at - from});
    wm_buf_putc(b, '"');
}

void
wm_buf_safe(struct wm_buf *b, struct wm_str s, size_t max)
{
    size_t done = 0;

    while (s.n > 0) {
        char piece[16];
        size_t n, used = wm_utf8_show(s, piece, &n);

        if (max && done + n > max) {
            wm_buf_putz(b, "\xe2\x80\xa6");
            return;
        }
        wm_buf_puts(b, (struct wm_str){piece, n});
        done += n;
        s.p += used;
        s.n -= used;
    }
}

struct wm_str
wm_buf_str(const struct wm_buf *b)
{
    return (struct wm_str){b->p ? b->p : "", b->n};
}
