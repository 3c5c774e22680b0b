/* compiler/diag_render.c -- diagnostics as text with carets, or as JSON.
 *
 * In: a finished list.  Out: for each a first line that stands alone (place, severity, code,
 * message), then the source line with `^` under the place and `~` under the labels, then notes.
 * Long lines are shown through a window around the place; tabs are four columns, wide characters
 * two, control characters and invalid UTF-8 are escaped. */
#include <stdio.h>

#include "base/utf8.h"
#include "compiler/diag.h"

enum { WINDOW = 100, TAB = 4, MESSAGE_MAX = 600 };

static const char *
severity_name(const struct wm_diag *d)
{
    return d->severity == WM_SEV_ERROR ? "error" : "warning";
}

/* ---- widths on a terminal ---- */

static bool
in_ranges(uint32_t c, const uint32_t (*r)[2], size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (c >= r[k][0] && c <= r[k][1])
            return true;
    return false;
}

/* Columns of a character: two for East Asian wide ones and emoji, none for combining marks. */
static uint32_t
width(uint32_t c)
{
    static const uint32_t none[][2] = {
        {0x300,  0x36f },
        {0x483,  0x489 },
        {0x591,  0x5bd },
        {0x610,  0x61a },
        {0x64b,  0x65f },
        {0x1ab0, 0x1aff},
        {0x1dc0, 0x1dff},
        {0x200b, 0x200d},
        {0x20d0, 0x20f0},
        {0xfe00, 0xfe0f},
        {0xfe20, 0xfe2f}
    };
    static const uint32_t wide[][2] = {
        {0x1100,  0x115f },
        {0x2e80,  0x303e },
        {0x3041,  0x33ff },
        {0x3400,  0x4dbf },
        {0x4e00,  0x9fff },
        {0xa000,  0xa4cf },
        {0xac00,  0xd7a3 },
        {0xf900,  0xfaff },
        {0xfe30,  0xfe4f },
        {0xff00,  0xff60 },
        {0xffe0,  0xffe6 },
        {0x1f300, 0x1f64f},
        {0x1f680, 0x1f6ff},
        {0x1f900, 0x1f9ff},
        {0x20000, 0x3fffd}
    };

    if (c < 0x300)
        return 1;
    if (in_ranges(c, none, WM_COUNTOF(none)))
        return 0;
    return in_ranges(c, wide, WM_COUNTOF(wide)) ? 2 : 1;
}

/* One character of s as shown: its bytes to out, its columns, and how many bytes of s it is. */
static size_t
show(struct wm_str s, char out[16], size_t *out_n, uint32_t *columns)
{
    size_t n = wm_utf8_show(s, out, out_n);
    uint32_t c = 0;

    if (s.p[0] == '\t') {
        memset(out, ' ', TAB);
        *out_n = *columns = TAB;
        return 1;
    }
    if (*out_n == n && wm_utf8_next(out, *out_n, &c) == n)
        *columns = width(c);
    else
        *columns = (uint32_t)*out_n; /* \xNN */
    return n;
}

/* Columns of the first `end` bytes of s. */
static uint32_t
columns_of(struct wm_str s, size_t end)
{
    uint32_t sum = 0;

    for (size_t at = 0; at < s.n && at < end;) {
        char piece[16];
        size_t n;
        uint32_t w;

        at += show((struct wm_str){s.p + at, s.n - at}, piece, &n, &w);
        sum += w;
    }
    return sum;
}

/* ---- excerpts ---- */

struct mark {
    struct wm_span span;
    struct wm_str text;
    uint32_t line;
    uint32_t from, to; /* columns of the whole line, [from, to) */
    char sign;
    bool shown;
};

struct excerpt {
    const struct wm_diags *ds;
    const struct wm_render *how;
    struct wm_buf *out;
    uint32_t left; /* first column of the window */
};

static void
color(struct excerpt *x, const char *code)
{
    if (x->how->color)
        wm_buf_printf(x->out, "\x1b[%sm", code);
}

static void
place(struct excerpt *x, struct mark *m)
{
    const struct wm_source *s = &x->ds->sources->list.item[m->span.file];
    struct wm_str line;
    uint32_t column;
    size_t from, to;

    wm_source_pos(x->ds->sources, m->span, &m->line, &column);
    line = wm_source_line(s, m->line);
    from = m->span.off - s->line[m->line - 1];
    if (from > line.n)
        from = line.n;
    to = from + m->span.len;
    if (to > line.n)
        to = line.n; /* what goes on below is marked to the end of the line */
    m->from = columns_of(line, from);
    m->to = columns_of(line, to);
    if (m->to <= m->from)
        m->to = m->from + 1;
}

/* The line, as far as the window shows it. */
static void
put_line(struct excerpt *x, struct wm_str line)
{
    uint32_t at = 0, right = x->left + WINDOW;

    if (x->left > 0)
        wm_buf_putz(x->out, "...");
    for (size_t k = 0; k < line.n;) {
        char piece[16];
        size_t n;
        uint32_t w;

        k += show((struct wm_str){line.p + k, line.n - k}, piece, &n, &w);
        if (at + w > right) {
            wm_buf_putz(x->out, "...");
            break;
        }
        if (at >= x->left)
            wm_buf_puts(x->out, (struct wm_str){piece, n});
        else if (at + w > x->left)
            wm_buf_pad(x->out, ' ', at + w - x->left);
        at += w;
    }
    wm_buf_putc(x->out, '\n');
}

/* `      | ` and blanks up to a column of the window. */
static void
margin(struct excerpt *x, uint32_t columns)
{
    wm_buf_putz(x->out, "      | ");
    wm_buf_pad(x->out, ' ', columns + (x->left > 0 ? 3 : 0));
}

static uint32_t
clip(const struct excerpt *x, uint32_t column)
{
    uint32_t c = column > x->left ? column - x->left : 0;

    return c < WINDOW + 3 ? c : WINDOW + 3;
}

/* The signs of all marks of a line; the first one wins where they overlap. */
static void
put_signs(struct excerpt *x, const struct mark *m, uint32_t n, uint32_t line)
{
    char sign[WINDOW + 4];
    uint32_t end = 0;

    memset(sign, ' ', sizeof(sign));
    for (uint32_t k = n; k-- > 0;) {
        uint32_t from = clip(x, m[k].from), to = clip(x, m[k].to);

        if (m[k].line != line)
            continue;
        if (to == from)
            to++;
        memset(sign + from, m[k].sign, to - from);
        end = to > end ? to : end;
    }
    margin(x, 0);
    color(x, "1;31");
    wm_buf_puts(x->out, (struct wm_str){sign, end});
    color(x, "0");
    wm_buf_putc(x->out, '\n');
}

/* A line with everything that is marked on it. */
static void
put_excerpt(struct excerpt *x, struct mark *m, uint32_t n, uint32_t first)
{
    const struct wm_source *s = &x->ds->sources->list.item[m[first].span.file];
    uint32_t line = m[first].line, whole = columns_of(wm_source_line(s, line), SIZE_MAX), k,
             of_line = 0;
    struct mark same[4];

    x->left = 0;
    if (whole > WINDOW && m[first].to > WINDOW - 10)
        x->left = m[first].from > WINDOW / 3 ? m[first].from - WINDOW / 3 : 0;
    wm_buf_printf(x->out, "%5u | ", line);
    put_line(x, wm_source_line(s, line));
    for (k = first; k < n; k++)
        if (m[k].span.file == m[first].span.file && m[k].line == line && !m[k].shown) {
            m[k].shown = true;
            same[of_line++] = m[k];
        }
    put_signs(x, same, of_line, line);
    for (k = 0; k < of_line; k++)
        if (same[k].text.n > 0) {
            margin(x, clip(x, same[k].from));
            wm_buf_safe(x->out, same[k].text, MESSAGE_MAX);
            wm_buf_putc(x->out, '\n');
        }
}

static void
put_marks(struct excerpt *x, const struct wm_diag *d)
{
    struct mark m[4];
    uint32_t n = 0;

    if (d->span.file < x->ds->sources->list.n)
        m[n++] = (struct mark){.span = d->span, .sign = '^'};
    for (uint32_t k = 0; k < d->nlabel; k++)
        if (d->label[k].span.file < x->ds->sources->list.n)
            m[n++] = (struct mark){.span = d->label[k].span, .text = d->label[k].text, .sign = '~'};
    for (uint32_t k = 0; k < n; k++)
        place(x, &m[k]);
    for (uint32_t k = 0; k < n; k++) {
        if (m[k].shown)
            continue;
        if (m[k].span.file != d->span.file) {
            wm_buf_putz(x->out, "      : ");
            wm_buf_safe(x->out, x->ds->sources->list.item[m[k].span.file].path, MESSAGE_MAX);
            wm_buf_putc(x->out, '\n');
        }
        put_excerpt(x, m, n, k);
    }
}

static void
put_diag(struct excerpt *x, const struct wm_diag *d)
{
    uint32_t line, column;
    struct wm_str path = d->where;

    if (d->span.file < x->ds->sources->list.n)
        path = x->ds->sources->list.item[d->span.file].path;
    color(x, "1");
    wm_buf_safe(x->out, path, MESSAGE_MAX);
    if (d->span.file < x->ds->sources->list.n) {
        wm_source_pos(x->ds->sources, d->span, &line, &column);
        wm_buf_printf(x->out, ":%u:%u", line, column);
    }
    wm_buf_putz(x->out, path.n ? ": " : "");
    color(x, d->severity == WM_SEV_ERROR ? "1;31" : "1;35");
    wm_buf_printf(x->out, "%s[%c%04u]", severity_name(d), d->severity == WM_SEV_ERROR ? 'E' : 'W',
                  (unsigned)d->code);
    color(x, "0");
    wm_buf_putz(x->out, ": ");
    wm_buf_safe(x->out, d->message, MESSAGE_MAX);
    wm_buf_putc(x->out, '\n');
    put_marks(x, d);
    for (uint32_t k = 0; k < d->note.n; k++) {
        wm_buf_putz(x->out, "      = note: ");
        wm_buf_safe(x->out, d->note.item[k], MESSAGE_MAX);
        wm_buf_putc(x->out, '\n');
    }
}

static void
put_rest(const struct wm_diags *ds, uint32_t from, struct wm_buf *out)
{
    uint32_t n[2] = {0, 0};

    for (uint32_t k = from; k < ds->list.n; k++)
        n[ds->list.item[k]->severity]++;
    wm_buf_putz(out, "... and ");
    if (n[WM_SEV_ERROR])
        wm_buf_printf(out, "%u more error%s", n[WM_SEV_ERROR], n[WM_SEV_ERROR] > 1 ? "s" : "");
    if (n[WM_SEV_ERROR] && n[WM_SEV_WARNING])
        wm_buf_putz(out, " and ");
    if (n[WM_SEV_WARNING])
        wm_buf_printf(out, "%u more warning%s", n[WM_SEV_WARNING],
                      n[WM_SEV_WARNING] > 1 ? "s" : "");
    wm_buf_putc(out, '\n');
}

void
wm_diags_text(const struct wm_diags *ds, const struct wm_render *how, struct wm_buf *out)
{
    struct excerpt x = {.ds = ds, .how = how, .out = out};
    uint32_t max = how->max ? how->max : 20;

    for (uint32_t k = 0; k < ds->list.n; k++) {
        if (k == max) {
            put_rest(ds, k, out);
            return;
        }
        put_diag(&x, ds->list.item[k]);
    }
}

/* ---- JSON ---- */

/* "file", "line", "column", "length" (bytes) of a place, or nothing. */
static void
json_place(const struct wm_diags *ds, struct wm_span span, struct wm_buf *out)
{
    uint32_t line, column;

    wm_source_pos(ds->sources, span, &line, &column);
    wm_buf_putz(out, "\"file\": ");
    wm_buf_json(out, ds->sources->list.item[span.file].path);
    wm_buf_printf(out, ", \"line\": %u, \"column\": %u, \"length\": %u", line, column, span.len);
}

static void
json_diag(const struct wm_diags *ds, const struct wm_diag *d, struct wm_buf *out)
{
    wm_buf_printf(out, "{\"code\": \"%c%04u\", \"severity\": \"%s\", \"message\": ",
                  d->severity == WM_SEV_ERROR ? 'E' : 'W', (unsigned)d->code, severity_name(d));
    wm_buf_json(out, d->message);
    wm_buf_putz(out, ", ");
    if (d->span.file < ds->sources->list.n) {
        json_place(ds, d->span, out);
    } else {
        wm_buf_putz(out, "\"file\": ");
        wm_buf_json(out, d->where);
    }
    wm_buf_putz(out, ", \"labels\": [");
    for (uint32_t k = 0, n = 0; k < d->nlabel; k++) {
        if (d->label[k].span.file >= ds->sources->list.n)
            continue;
        wm_buf_putz(out, n++ ? ", {" : "{");
        json_place(ds, d->label[k].span, out);
        wm_buf_putz(out, ", \"message\": ");
        wm_buf_json(out, d->label[k].text);
        wm_buf_putc(out, '}');
    }
    wm_buf_putz(out, "], \"notes\": [");
    for (uint32_t k = 0; k < d->note.n; k++) {
        wm_buf_putz(out, k ? ", " : "");
        wm_buf_json(out, d->note.item[k]);
    }
    wm_buf_putz(out, "]}");
}

void
wm_diags_json(const struct wm_diags *ds, struct wm_buf *out)
{
    wm_buf_putc(out, '[');
    for (uint32_t k = 0; k < ds->list.n; k++) {
        wm_buf_putz(out, k ? ",\n " : "");
        json_diag(ds, ds->list.item[k], out);
    }
    wm_buf_putc(out, ']');
}
