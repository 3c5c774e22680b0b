/* base/status.c -- one-line messages about failures.
 *
 * In: a format and names that come from files, as long and as odd as these like.  Out: one line of
 * at most WM_ERR_MAX - 1 bytes in which every text is escaped, and shortened in its middle, by
 * itself: a hostile name can not push out the reason.  Nothing is allocated, and the time does not
 * grow with the names. */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "base/utf8.h"

enum { TEXT_MAX = 240, FILE_MAX = 800 }; /* bytes shown of one name, of a path */

static const char ellipsis[] = "\xe2\x80\xa6";

struct line {
    char *p;
    size_t n;
    bool full;
};

/* All of it or nothing; what does not fit ends the line. */
static void
put(struct line *l, const char *p, size_t n)
{
    if (l->full || n > WM_ERR_MAX - sizeof(ellipsis) - l->n) {
        if (!l->full) {
            memcpy(l->p + l->n, ellipsis, sizeof(ellipsis));
            l->n += sizeof(ellipsis) - 1;
        }
        l->full = true;
        return;
    }
    memcpy(l->p + l->n, p, n);
    l->n += n;
    l->p[l->n] = '\0';
}

/* Pieces of s from its beginning while they fit into max shown bytes; gives how much that was. */
static size_t
put_some(struct line *l, struct wm_str s, size_t max)
{
    size_t at = 0, shown = 0;

    while (at < s.n) {
        char piece[16];
        size_t n, used = wm_utf8_show((struct wm_str){s.p + at, s.n - at}, piece, &n);

        if (shown + n > max)
            break;
        put(l, piece, n);
        shown += n;
        at += used;
    }
    return at;
}

/* How many bytes s takes when shown, counted to no more than max + 1. */
static size_t
shown_size(struct wm_str s, size_t max)
{
    size_t at = 0, shown = 0;

    while (at < s.n && shown <= max) {
        char piece[16];
        size_t n;

        at += wm_utf8_show((struct wm_str){s.p + at, s.n - at}, piece, &n);
        shown += n;
    }
    return shown;
}

static void
put_text(struct line *l, struct wm_str s, size_t max)
{
    size_t tail, from;

    if (shown_size(s, max) <= max) {
        put_some(l, s, max);
        return;
    }
    tail = max / 2;
    from = put_some(l, s, max - tail);
    put(l, ellipsis, sizeof(ellipsis) - 1);
    if (s.n - from > tail)
        from = s.n - tail;
    while (from < s.n && ((unsigned char)s.p[from] & 0xc0) == 0x80)
        from++; /* not into the middle of a character */
    while (shown_size((struct wm_str){s.p + from, s.n - from}, tail) > tail)
        from++;
    put_some(l, (struct wm_str){s.p + from, s.n - from}, tail);
}

/* A conversion of a format: "%-5.*lld" and the like. */
struct spec {
    char text[32];
    size_t n;
    int longs; /* number of l; 2 for z, j, t */
    bool has_precision;
    int precision;
    char conv;
};

/* Numbers after `*` are taken from ap and written out.  Gives the byte behind the conversion. */
static const char *
read_spec(const char *f, struct spec *s, va_list *ap)
{
    *s = (struct spec){.text = "%", .n = 1};
    for (f++; *f; f++) {
        if (*f == '*') {
            int v = va_arg(*ap, int);
            int n = snprintf(s->text + s->n, 12, "%d", v);

            s->n += n > 0 ? (size_t)n : 0;
            if (s->has_precision)
                s->precision = v;
        } else if (strchr("-+ #0123456789.lhzjt", *f)) {
            if (*f == '.') {
                s->has_precision = true;
                s->precision = 0;
            } else if (s->has_precision && *f >= '0' && *f <= '9') {
                s->precision = s->precision * 10 + (*f - '0');
            }
            s->longs += *f == 'l' ? 1 : strchr("zjt", *f) ? 2 : 0;
            if (!strchr("lhzjt", *f))
                s->text[s->n++] = *f;
        } else {
            s->conv = *f++;
            break;
        }
        if (s->n > sizeof(s->text) - 16)
            break;
    }
    return f;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void
put_number(struct line *l, struct spec *s, va_list *ap)
{
    char out[128];
    int n = 0;

    if (strchr("di", s->conv)) {
        long long v = s->longs >= 2   ? va_arg(*ap, long long)
                      : s->longs == 1 ? va_arg(*ap, long)
                                      : va_arg(*ap, int);

        memcpy(s->text + s->n, "lld", 4);
        n = snprintf(out, sizeof(out), s->text, v);
    } else if (strchr("uxXo", s->conv)) {
        unsigned long long v = s->longs >= 2   ? va_arg(*ap, unsigned long long)
                               : s->longs == 1 ? va_arg(*ap, unsigned long)
                                               : va_arg(*ap, unsigned);

        snprintf(s->text + s->n, 4, "ll%c", s->conv);
        n = snprintf(out, sizeof(out), s->text, v);
    } else if (strchr("fgeaFGEA", s->conv)) {
        snprintf(s->text + s->n, 2, "%c", s->conv);
        n = snprintf(out, sizeof(out), s->text, va_arg(*ap, double));
    } else if (s->conv == 'p') {
        n = snprintf(out, sizeof(out), "%p", va_arg(*ap, void *));
    }
    if (n > 0)
        put(l, out, (size_t)n < sizeof(out) ? (size_t)n : sizeof(out) - 1);
}
#pragma GCC diagnostic pop

static void
put_spec(struct line *l, struct spec *s, va_list *ap)
{
    char c;
    const char *p;

    switch (s->conv) {
    case '%':
        put(l, "%", 1);
        break;
    case 'c':
        c = (char)va_arg(*ap, int);
        put_text(l, (struct wm_str){&c, 1}, TEXT_MAX);
        break;
    case 's':
        p = va_arg(*ap, const char *);
        if (!p)
            put_text(l, WM_STR("(null)"), TEXT_MAX);
        else if (s->has_precision && s->precision >= 0)
            put_text(l, (struct wm_str){p, (size_t)s->precision}, TEXT_MAX);
        else
            put_text(l, wm_str_c(p), TEXT_MAX);
        break;
    default:
        put_number(l, s, ap);
        break;
    }
}

static void
put_format(struct line *l, const char *fmt, va_list *ap)
{
    while (*fmt) {
        size_t n = strcspn(fmt, "%");
        struct spec s;

        put(l, fmt, n);
        fmt += n;
        if (*fmt) {
            fmt = read_spec(fmt, &s, ap);
            put_spec(l, &s, ap);
        }
    }
}

static void
fill(struct wm_err *err, const char *file, const char *fmt, va_list *ap, int sys)
{
    struct line l = {.p = err->msg};

    err->msg[0] = '\0';
    if (file) {
        put_text(&l, wm_str_c(file), FILE_MAX);
        put(&l, ": ", 2);
    }
    put_format(&l, fmt, ap);
    if (sys) {
        put(&l, ": ", 2);
        put_text(&l, wm_str_c(strerror(sys)), TEXT_MAX);
    }
}

enum wm_status
wm_fail(struct wm_err *err, enum wm_status st, const char *file, const char *fmt, ...)
{
    va_list ap;

    if (!err)
        return st;
    if (err->status != WM_OK)
        return err->status;
    err->status = st;
    err->sys = 0;
    va_start(ap, fmt);
    fill(err, file, fmt, &ap, 0);
    va_end(ap);
    return st;
}

enum wm_status
wm_fail_sys(struct wm_err *err, int sys, const char *file, const char *fmt, ...)
{
    enum wm_status st = sys == ENOMEM ? WM_ENOMEM : WM_EIO;
    va_list ap;

    if (!err)
        return st;
    if (err->status != WM_OK)
        return err->status;
    err->status = st;
    err->sys = sys;
    va_start(ap, fmt);
    fill(err, file, fmt, &ap, sys);
    va_end(ap);
    return st;
}
