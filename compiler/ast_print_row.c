/* compiler/ast_print_row.c -- rows of cells: the columns in which neighbouring one-line statements
 * stand.
 *
 * In: rows.  Out: aligned lines.  A row has a left and a right part, each of a cell and its
 * pattern, and clauses; the left parts are as wide as the widest of them, and so are the right
 * parts of rows with clauses. */
#include "compiler/ast_print.h"

enum { GAP_MAX = 40 }; /* rows whose left parts differ by more are not put into one block */

struct widths {
    uint32_t key[2];   /* widest cell with a pattern, left and right */
    uint32_t pat[2];   /* widest pattern */
    uint32_t plain[2]; /* widest cell without a pattern */
    uint32_t clauses;
    uint32_t least; /* narrowest left part */
    bool open;      /* some row has no right part */
};

static uint32_t
part_width(const struct wm_row *r, int part)
{
    uint32_t n = wm_print_width(r->cell[2 * part]);

    return r->cell[2 * part + 1].n ? n + 1 + wm_print_width(r->cell[2 * part + 1]) : n;
}

uint32_t
wm_row_width(const struct wm_row *row)
{
    uint32_t n = part_width(row, 0);

    if (row->cell[2].n)
        n += 1 + part_width(row, 1);
    if (row->cell[4].n)
        n += 2 + wm_print_width(row->cell[4]);
    return n;
}

static void
grow(uint32_t *most, uint32_t n)
{
    if (n > *most)
        *most = n;
}

static void
measure(struct widths *w, const struct wm_row *r)
{
    for (int part = 0; part < 2; part++) {
        uint32_t n = wm_print_width(r->cell[2 * part]);

        if (r->cell[2 * part + 1].n) {
            grow(&w->key[part], n);
            grow(&w->pat[part], wm_print_width(r->cell[2 * part + 1]));
        } else {
            grow(&w->plain[part], n);
        }
    }
    grow(&w->clauses, wm_print_width(r->cell[4]));
    if (part_width(r, 0) < w->least)
        w->least = part_width(r, 0);
    w->open |= r->cell[2].n == 0;
}

/* Width of a part when its keys and patterns are columns. */
static uint32_t
column(const struct widths *w, int part)
{
    uint32_t n = w->pat[part] ? w->key[part] + 1 + w->pat[part] : 0;

    return n > w->plain[part] ? n : w->plain[part];
}

uint32_t
wm_rows_together(const struct wm_row *row, uint32_t n, uint32_t indent)
{
    struct widths w = {.least = UINT32_MAX};

    for (uint32_t k = 0; k < n; k++) {
        uint32_t left, whole;

        measure(&w, &row[k]);
        left = column(&w, 0);
        whole = indent + left + 1 + column(&w, 1) + (w.clauses ? 2 + w.clauses : 0);
        if (k > 0 && (whole > WM_LINE_MAX || left - w.least > GAP_MAX))
            return k;
    }
    return n;
}

/* A part of a row; gives the columns that it took. */
static uint32_t
put_part(const struct wm_row *r, int part, const struct widths *w, struct wm_buf *out)
{
    uint32_t n = wm_print_width(r->cell[2 * part]);

    wm_buf_puts(out, r->cell[2 * part]);
    if (r->cell[2 * part + 1].n == 0)
        return n;
    wm_buf_pad(out, ' ', w->key[part] - n + 1);
    wm_buf_puts(out, r->cell[2 * part + 1]);
    return w->key[part] + 1 + wm_print_width(r->cell[2 * part + 1]);
}

/* The row without its comment; gives its width. */
static uint32_t
put_row(const struct wm_row *r, const struct widths *w, struct wm_buf *out)
{
    uint32_t n = put_part(r, 0, w, out), left = column(w, 0), right = column(w, 1), k;

    if (r->cell[2].n) {
        wm_buf_pad(out, ' ', left - n + 1);
        k = put_part(r, 1, w, out);
        n = left + 1 + k;
        if (r->cell[4].n) {
            wm_buf_pad(out, ' ', right - k);
            n = left + 1 + right;
        }
    }
    if (r->cell[4].n) {
        wm_buf_putz(out, "  ");
        wm_buf_puts(out, r->cell[4]);
        n += 2 + wm_print_width(r->cell[4]);
    }
    return n;
}

void
wm_print_rows(const struct wm_row *row, uint32_t n, uint32_t indent, struct wm_buf *out)
{
    struct widths w = {.least = UINT32_MAX};
    uint32_t *width = WM_NEW_N(out->a, uint32_t, n), comment = 0;
    struct wm_buf scratch;

    for (uint32_t k = 0; k < n; k++)
        measure(&w, &row[k]);
    wm_buf_init(&scratch, out->a);
    for (uint32_t k = 0; k < n; k++) {
        scratch.n = 0;
        width[k] = put_row(&row[k], &w, &scratch);
        if (row[k].trail.n && row[k].below.n == 0 && width[k] > comment)
            comment = width[k];
    }
    for (uint32_t k = 0; k < n; k++) {
        wm_buf_pad(out, ' ', indent);
        put_row(&row[k], &w, out);
        wm_buf_puts(out, row[k].below);
        if (row[k].trail.n) {
            wm_buf_pad(out, ' ', row[k].below.n ? 2 : comment - width[k] + 2);
            wm_buf_puts(out, row[k].trail);
        }
        wm_buf_putc(out, '\n');
    }
}
