/* base/buf.h -- text that grows: printers, messages, JSON.
 *
 * The bytes live in an arena; buf.p is always NUL-terminated once something was written. */
#ifndef WM_BASE_BUF_H
#define WM_BASE_BUF_H

#include <stdarg.h>
#include <stdint.h>

#include "base/arena.h"

struct wm_buf {
    struct wm_arena *a;
    char *p;
    size_t n, cap;
};

void wm_buf_init(struct wm_buf *b, struct wm_arena *a);
/* Room for n more bytes. */
void wm_buf_reserve(struct wm_buf *b, size_t n);
void wm_buf_puts_slowly(struct wm_buf *b, struct wm_str s); /* the way of wm_buf_puts() where the room is to be enlarged */

static inline void
wm_buf_puts(struct wm_buf *b, struct wm_str s)
{
    if (b->cap - b->n <= s.n) {
        wm_buf_puts_slowly(b, s);
        return;
    }
    if (s.n > 0) /* an empty text may be no place at all */
        memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
    b->p[b->n] = '\0';
}

static inline void
wm_buf_putc(struct wm_buf *b, char c)
{
    wm_buf_puts(b, (struct wm_str){&c, 1});
}

void wm_buf_putz(struct wm_buf *b, const char *s);
void wm_buf_pad(struct wm_buf *b, char c, size_t n); /* n times c */
void wm_buf_printf(struct wm_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void wm_buf_vprintf(struct wm_buf *b, const char *fmt, va_list ap);
/* A JSON string with its quotes; invalid UTF-8 and control characters are escaped. */
void wm_buf_json(struct wm_buf *b, struct wm_str s);
/* A text for a terminal: control characters and invalid UTF-8 as \xNN, cut after max bytes with
 * an ellipsis (max = 0: whole). */
void wm_buf_safe(struct wm_buf *b, struct wm_str s, size_t max);
struct wm_str wm_buf_str(const struct wm_buf *b);

#endif
