/* api/table.c -- see table.h. */
#include "api/table.h"

#include <inttypes.h>

#include "api/fold.h"
#include "base/map.h"

enum { WIDEST = 80 };

void
wm_table_init(struct wm_table *t, struct wm_arena *a, const char *align)
{
    *t = (struct wm_table){.a = a, .ncol = (uint32_t)strlen(align), .align = align};
}

void
wm_table_cell(struct wm_table *t, struct wm_str s)
{
    *WM_PUSH(t->a, &t->cell) = s;
}

/* Columns of a terminal that s takes: one for each code point. */
static size_t
width(struct wm_str s)
{
    size_t w = 0;

    for (size_t k = 0; k < s.n; k++)
        w += ((unsigned char)s.p[k] & 0xc0) != 0x80;
    return w;
}

void
wm_table_print(const struct wm_table *t, const char *indent, struct wm_out *out)
{
    size_t *wide = WM_NEW_N(t->a, size_t, t->ncol);
    uint32_t nrow = t->cell.n / t->ncol;

    for (uint32_t k = 0; k < nrow * t->ncol; k++) {
        size_t w = width(t->cell.item[k]);

        if (w > wide[k % t->ncol] && w <= WIDEST)
            wide[k % t->ncol] = w;
    }
    for (uint32_t r = 0; r < nrow; r++) {
        size_t owed = 0; /* spaces that are written only if something follows */

        wm_buf_putz(&out->b, indent);
        for (uint32_t c = 0; c < t->ncol; c++) {
            struct wm_str s = t->cell.item[r * t->ncol + c];
            size_t w = width(s), fill = w < wide[c] ? wide[c] - w : 0;

            if (c && (wide[c] || s.n)) /* 0: all are too wide to be aligned */
                owed += 2;
            if (t->align[c] == 'r')
                owed += fill;
            if (s.n) {
                wm_buf_pad(&out->b, ' ', owed);
                wm_buf_puts(&out->b, s);
                owed = 0;
            }
            if (t->align[c] == 'l')
                owed += s.n ? fill : wide[c];
        }
        wm_buf_putc(&out->b, '\n');
        wm_out_more(out);
    }
}

/* dtype, shape and the caller's class in one number. */
static uint64_t
class_of(const struct wm_listed *t)
{
    uint64_t h = wm_hash(t->shape, t->rank * sizeof(*t->shape), t->rank);

    return wm_hash(&t->cls, sizeof(t->cls), h + (uint64_t)t->dtype);
}

static struct wm_str
text(struct wm_buf *b)
{
    struct wm_str s = wm_buf_str(b);

    wm_buf_init(b, b->a);
    return s;
}

void
wm_list_tensors(struct wm_arena *a, struct wm_listed (*at)(void *user, uint32_t k), uint32_t n,
                struct wm_str (*more)(void *user, const uint32_t *member, uint32_t n), void *user,
                struct wm_out *out)
{
    struct wm_fold_item *item = WM_NEW_N(a, struct wm_fold_item, n);
    struct wm_fold_line *line;
    struct wm_table table;
    struct wm_buf b;
    uint32_t nline;

    for (uint32_t k = 0; k < n; k++) {
        const struct wm_listed t = at(user, k);

        item[k] = (struct wm_fold_item){t.name, class_of(&t)};
    }
    wm_fold(a, item, n, &line, &nline);
    wm_table_init(&table, a, more ? "llllrl" : "llllr");
    wm_buf_init(&b, a);
    for (uint32_t k = 0; k < nline; k++) {
        const struct wm_listed t = at(user, line[k].member[0]);

        wm_table_cell(&table, line[k].name);
        wm_out_shape(&b, t.shape, t.rank);
        wm_table_cell(&table, text(&b));
        wm_table_cell(&table, wm_str_c(wm_dtype_info[t.dtype].name));
        if (line[k].n > 1)
            wm_buf_printf(&b, "x%" PRIu32, line[k].n);
        wm_table_cell(&table, text(&b));
        wm_out_size(&b, t.nbytes * line[k].n);
        wm_table_cell(&table, text(&b));
        if (more)
            wm_table_cell(&table, more(user, line[k].member, line[k].n));
    }
    wm_table_print(&table, "  ", out);
}
