/* compiler/adapter_lines.c -- the rows and columns that boxes of a weight are made of.
 *
 * Enters: a box of a weight that is written, perhaps a low-rank sum.  Leaves: its rows and its columns, as nests in the
 * weight and in the factors that know them; false where it is not rows times columns. */
#include "compiler/adapter_out.h"

/* A dimension of a box runs along rows (0) or columns (1); one that runs along both is cut. */
static bool
add_dim(struct wm_lines_of *line, int64_t cols, int64_t extent, int64_t dst, int64_t rows_from, int64_t cols_from)
{
    bool row = dst % cols == 0;
    struct wm_lines_of *l = &line[!row];

    if (!row && dst * (extent - 1) >= cols) { /* whole rows one behind the other */
        int64_t n = cols / dst;

        if (cols % dst != 0 || extent % n != 0 || rows_from || cols_from)
            return false;
        return add_dim(line, cols, extent / n, cols, 0, 0) && add_dim(line, cols, n, dst, 0, 0);
    }
    if (l->rank == WM_MAX_RANK || (row ? cols_from : rows_from) != 0)
        return false;
    l->dim[l->rank].extent = extent;
    l->dim[l->rank].to = row ? dst / cols : dst;
    l->dim[l->rank++].from = row ? rows_from : cols_from;
    l->count *= extent;
    return true;
}

/* The rows and columns of a box: of a factor each; `flip`: those of B are the columns. */
bool
wm_lines_of_box(const struct wm_imap *m, const struct wm_box *b, int64_t cols, bool flip, struct wm_lines_of line[2])
{
    bool pair = b->nsrc == 3;

    memset(line, 0, 2 * sizeof(line[0]));
    line[0].first = b->dst_base / cols;
    line[1].first = b->dst_base % cols;
    line[0].count = line[1].count = 1;
    for (uint32_t k = 0; k < b->rank; k++) {
        const struct wm_dim *d = &m->dim.item[b->dim + k];

        if (!add_dim(line, cols, d->extent, d->dst, pair ? d->src[flip ? 2 : 1] : 0, pair ? d->src[flip ? 1 : 2] : 0))
            return false;
    }
    return true;
}

bool
wm_lines_same(const struct wm_lines_of *x, const struct wm_lines_of *y, bool from)
{
    if (x->first != y->first || x->rank != y->rank || x->count != y->count || (from && x->from != y->from))
        return false;
    for (uint32_t k = 0; k < x->rank; k++)
        if (x->dim[k].extent != y->dim[k].extent || x->dim[k].to != y->dim[k].to ||
            (from && x->dim[k].from != y->dim[k].from))
            return false;
    return true;
}

/* Where the rank begins in a factor, and where the lines begin: a factor is a matrix, and the rank one of its sides, or a
 * part of it (packed experts have theirs side by side, or by turns). */
bool
wm_lines_split(const struct wm_mtensor *t, int64_t base, int64_t step, uint32_t r, int64_t *rank, int64_t *line)
{
    int64_t size = t->rank == 2 ? t->shape[1] : 0;

    if (size == 0 || (step != size && (size % step != 0 || step > size)))
        return false;
    *rank = step == size ? base / size * size : base % size;
    *line = base - *rank;
    return step == size ? *rank / size + r <= t->shape[0] : *rank + (r - 1) * step < size;
}
