/* base/source.c -- the texts of maps and the way from byte offsets to lines.
 *
 * In: a text as read.  Out: a table of its lines, made once; positions are looked up by bisection.
 * Offsets count from behind a BOM, which is dropped here. */
#include "base/source.h"

#include "base/utf8.h"

uint32_t
wm_source_add(struct wm_sources *ss, struct wm_str path, struct wm_str text)
{
    struct wm_source *s = WM_PUSH(ss->a, &ss->list);
    const char *at, *end;
    uint32_t n = 1;

    if (wm_str_starts(text, WM_STR("\xef\xbb\xbf"))) {
        text.p += 3;
        text.n -= 3;
    }
    end = text.p + text.n;
    for (at = text.p; at < end && (at = memchr(at, '\n', (size_t)(end - at))); at++)
        n++;
    *s = (struct wm_source){.path = path, .text = text, .nline = n};
    s->line = WM_NEW_N(ss->a, uint32_t, n);
    n = 1;
    for (at = text.p; at < end && (at = memchr(at, '\n', (size_t)(end - at))); at++)
        s->line[n++] = (uint32_t)(at + 1 - text.p);
    return ss->list.n - 1;
}

void
wm_source_pos(const struct wm_sources *ss, struct wm_span sp, uint32_t *line, uint32_t *col)
{
    const struct wm_source *s;
    uint32_t lo = 0, hi, at;

    *line = *col = 0;
    if (sp.file >= ss->list.n)
        return;
    s = &ss->list.item[sp.file];
    if (sp.off > s->text.n)
        sp.off = (uint32_t)s->text.n;
    for (hi = s->nline; hi - lo > 1;) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (s->line[mid] <= sp.off)
            lo = mid;
        else
            hi = mid;
    }
    *line = lo + 1;
    *col = 1;
    for (at = s->line[lo]; at < sp.off;) {
        size_t len = wm_utf8_next(s->text.p + at, s->text.n - at, NULL);

        at += len ? (uint32_t)len : 1;
        *col += at <= sp.off;
    }
}

struct wm_str
wm_source_line(const struct wm_source *s, uint32_t line)
{
    struct wm_str t;
    size_t end;

    if (line == 0 || line > s->nline)
        return WM_STR("");
    end = line < s->nline ? s->line[line] - 1 : s->text.n;
    t = (struct wm_str){s->text.p + s->line[line - 1], end - s->line[line - 1]};
    if (t.n > 0 && t.p[t.n - 1] == '\r')
        t.n--;
    return t;
}

struct wm_str
wm_source_text(const struct wm_sources *ss, struct wm_span sp)
{
    const struct wm_source *s;

    if (sp.file >= ss->list.n)
        return WM_STR("");
    s = &ss->list.item[sp.file];
    if (sp.off > s->text.n)
        return WM_STR("");
    if (sp.len > s->text.n - sp.off)
        sp.len = (uint32_t)(s->text.n - sp.off);
    return (struct wm_str){s->text.p + sp.off, sp.len};
}

struct wm_span
wm_span_join(struct wm_span a, struct wm_span b)
{
    uint32_t end = b.off + b.len;

    if (a.file != b.file || end < a.off)
        return a;
    return (struct wm_span){.file = a.file, .off = a.off, .len = end - a.off};
}
