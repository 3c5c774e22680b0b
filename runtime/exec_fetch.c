/* runtime/exec_fetch.c -- how a piece of an input gets into memory.
 *
 * In: a nest of places in a file and places in memory.  Runs that are long on both sides are read
 * straight to their places.  Short ones are read as blocks of the source into scratch memory, whole
 * or as a few strided parts, whichever is cheaper, and permuted there; a piece whose block does not
 * fit (or not the cache) is halved along its largest source stride. */
#include <string.h>

#include "runtime/exec_priv.h"

enum { LINE = 64, PAGE = 4096 };
/* Blocks are kept in the L2 cache where that needs no more reading: halves of a block cost as much
 * as the block. */
enum { CACHED = 512 << 10 };

/* Negative source strides are walked from the other end. */
static void
source_forward(struct wm_fetch *f)
{
    for (uint32_t k = 0; k < f->rank; k++) {
        struct wm_kdim *d = &f->dim[k];

        if (d->src >= 0)
            continue;
        f->off -= (uint64_t)((d->n - 1) * -d->src);
        f->to += (d->n - 1) * d->dst;
        d->src = -d->src;
        d->dst = -d->dst;
    }
}

/* Dims by descending source stride; extents of 1 dropped. */
static void
sort_dims(struct wm_fetch *f, uint32_t *order)
{
    uint32_t n = 0;

    for (uint32_t k = 0; k < f->rank; k++) {
        struct wm_kdim d = f->dim[k];
        uint32_t at = n;

        if (d.n == 1)
            continue;
        for (; at > 0 && (f->dim[at - 1].src < d.src ||
                          (f->dim[at - 1].src == d.src && f->dim[at - 1].dst < d.dst));
             at--) {
            f->dim[at] = f->dim[at - 1];
            order[at] = order[at - 1];
        }
        f->dim[at] = d;
        order[at] = k;
        n++;
    }
    f->rank = n;
}

/* Merge dims where both sides go on; absorb runs that are contiguous on both sides. */
static void
merge_dims(struct wm_fetch *f)
{
    uint32_t m = 0;

    for (uint32_t k = 0; k < f->rank; k++) {
        struct wm_kdim d = f->dim[k], *last = m ? &f->dim[m - 1] : NULL;

        if (last && last->src == d.src * d.n && last->dst == d.dst * d.n) {
            d.n *= last->n;
            *last = d;
        } else {
            f->dim[m++] = d;
        }
    }
    while (m && f->dim[m - 1].src == f->run && f->dim[m - 1].dst == f->run &&
           f->dim[m - 1].n <= (INT32_MAX / f->run))
        f->run *= (uint32_t)f->dim[--m].n;
    f->rank = m;
}

/* Every run on its own, by ascending place in the file. */
static enum wm_status
fetch_runs(struct wm_worker *w, const struct wm_fetch *f)
{
    int64_t at[WM_PLAN_RANK] = {0};
    uint64_t off = f->off;
    char *to = f->to;
    uint32_t k;
    enum wm_status st;

    for (;;) {
        if ((st = wm_reads_add(w, f->file, off, f->run, to)) != WM_OK)
            return st;
        for (k = f->rank; k-- > 0;) {
            off += (uint64_t)f->dim[k].src;
            to += f->dim[k].dst;
            if (++at[k] < f->dim[k].n)
                break;
            off -= (uint64_t)(f->dim[k].n * f->dim[k].src);
            to -= f->dim[k].n * f->dim[k].dst;
            at[k] = 0;
        }
        if (k == UINT32_MAX)
            return WM_OK;
    }
}

bool
wm_block_choose(const struct wm_fetch *f, uint64_t room, struct wm_block *best)
{
    uint64_t count = 1;

    best->cost = UINT64_MAX;
    for (uint32_t outer = 0; outer <= f->rank; outer++) {
        struct wm_block b = {.outer = outer, .span = f->run};

        if (outer > 0) {
            if (f->dim[outer - 1].src == 0)
                break;
            count *= (uint64_t)f->dim[outer - 1].n;
        }
        for (uint32_t k = outer; k < f->rank; k++)
            b.span += (uint64_t)((f->dim[k].n - 1) * f->dim[k].src);
        b.stride = b.span;
        if (outer > 0 && b.span >= LINE) { /* whole lines, and not all on the same cache sets */
            b.stride = (b.span + LINE - 1) / LINE * LINE;
            b.stride += b.stride % PAGE == 0 ? LINE : 0;
        }
        b.bytes = count * b.stride;
        b.cost = count * (b.span + WM_COST_CALL_BYTES);
        if (b.bytes <= room && b.cost < best->cost)
            *best = b;
    }
    return best->cost != UINT64_MAX;
}

enum wm_status
wm_block_read(struct wm_worker *w, const struct wm_fetch *f, const struct wm_block *b, char *to)
{
    struct wm_fetch parts = *f;
    int64_t stride = (int64_t)b->stride;

    parts.to = to;
    parts.rank = b->outer;
    parts.run = (uint32_t)b->span;
    for (uint32_t k = b->outer; k-- > 0;) {
        parts.dim[k].dst = stride;
        stride *= parts.dim[k].n;
    }
    return fetch_runs(w, &parts);
}

static enum wm_status
fetch_block(struct wm_worker *w, const struct wm_fetch *f, const struct wm_block *b)
{
    struct wm_kdim dim[WM_PLAN_RANK];
    char *from = w->scratch + w->scratch_used, *to = f->to;
    int64_t stride = (int64_t)b->stride;
    enum wm_status st;

    if ((st = wm_block_read(w, f, b, from)) != WM_OK || (st = wm_reads_flush(w)) != WM_OK)
        return st;
    for (uint32_t k = f->rank; k-- > 0;) {
        dim[k] = f->dim[k];
        if (k < b->outer) {
            dim[k].src = stride;
            stride *= dim[k].n;
        }
        if (dim[k].dst < 0) {
            to += (dim[k].n - 1) * dim[k].dst;
            from += (dim[k].n - 1) * dim[k].src;
            dim[k].dst = -dim[k].dst;
            dim[k].src = -dim[k].src;
        }
    }
    if (w->tally)
        wm_tally_permute(w, dim, f->rank, f->run);
    else
        wm_jit_permute(w->x->jit, to, from, dim, f->rank, f->run);
    return WM_OK;
}

/* Of one whose dims are merged. */
static bool
is_direct(const struct wm_fetch *f)
{
    return f->rank == 0 || (f->dim[f->rank - 1].src != 0 && f->run >= WM_COST_SCATTER_MIN);
}

bool
wm_fetch_is_direct(const struct wm_fetch *f)
{
    struct wm_fetch g = *f;

    merge_dims(&g);
    return is_direct(&g);
}

/* Should this block be read in two parts? */
static bool
is_better_halved(const struct wm_fetch *f, const struct wm_block *b)
{
    struct wm_fetch half = *f;
    struct wm_block part;

    if (b->bytes <= CACHED || f->rank == 0 || f->dim[0].n < 2 || f->dim[0].src == 0)
        return false;
    half.dim[0].n = (f->dim[0].n + 1) / 2;
    return wm_block_choose(&half, b->bytes, &part) && 2 * part.cost <= b->cost + b->cost / 16;
}

/* Its bytes go this way. */
static void
count(struct wm_worker *w, const struct wm_fetch *f, enum wm_tally_id way)
{
    uint64_t n = f->run;

    for (uint32_t k = 0; k < f->rank; k++)
        n *= (uint64_t)f->dim[k].n;
    if (w->tally)
        w->tally->n[way] += n;
}

static enum wm_status
fetch(struct wm_worker *w, struct wm_fetch *f)
{
    uint64_t room = w->scratch_n - w->scratch_used;
    struct wm_block b;
    struct wm_fetch half;
    uint32_t split = 0;
    enum wm_status st;

    if (is_direct(f)) {
        count(w, f, f->rank ? WM_T_SCATTERED : WM_T_STRAIGHT);
        return fetch_runs(w, f);
    }
    if (wm_block_choose(f, room, &b) && !is_better_halved(f, &b)) {
        count(w, f, WM_T_BLOCKS);
        return fetch_block(w, f, &b);
    }
    while (split < f->rank && f->dim[split].n < 2)
        split++;
    half = *f;
    if (split == f->rank || f->dim[split].src == 0) { /* only the run itself is left */
        uint32_t part = (uint32_t)(room < f->run ? room : f->run);

        half.run = part;
        if ((st = fetch(w, &half)) != WM_OK)
            return st;
        f->off += part;
        f->to += part;
        f->run -= part;
        return fetch(w, f);
    }
    half.dim[split].n = f->dim[split].n / 2;
    f->dim[split].n -= half.dim[split].n;
    f->off += (uint64_t)(half.dim[split].n * f->dim[split].src);
    f->to += half.dim[split].n * f->dim[split].dst;
    if ((st = fetch(w, &half)) != WM_OK)
        return st;
    return fetch(w, f);
}

void
wm_fetch_source(const struct wm_exec *x, const struct wm_plan_out *out,
                const struct wm_plan_box *box, const struct wm_piece *piece, uint32_t s,
                struct wm_fetch *f, uint32_t *order)
{
    const struct wm_plan_in *in = &x->in[x->slot[out->slot + box->slot[s]]];
    uint32_t unit = wm_plan_src_unit(&x->elem[box->elem], x->geom[out->geom].unit, s);

    f->file = in->file;
    f->off = in->off + (uint64_t)piece->src[s] * unit;
    f->to = NULL;
    f->run = unit;
    f->rank = piece->rank;
    for (uint32_t k = 0; k < piece->rank; k++)
        f->dim[k] = (struct wm_kdim){piece->dim[k].extent, piece->dim[k].dst * unit,
                                     piece->dim[k].src[s] * unit};
    sort_dims(f, order);
}

enum wm_status
wm_fetch_piece(struct wm_worker *w, const struct wm_plan_out *out, const struct wm_plan_box *box,
               const struct wm_piece *piece, uint32_t s, const int64_t *dst, char *to)
{
    const struct wm_plan_in *in = &w->x->in[w->x->slot[out->slot + box->slot[s]]];
    uint32_t unit = wm_plan_src_unit(&w->x->elem[box->elem], w->x->geom[out->geom].unit, s);
    uint32_t order[WM_PLAN_RANK];
    struct wm_fetch f; /* not zeroed: it has room for many dims */

    f.file = in->file;
    f.off = in->off + (uint64_t)piece->src[s] * unit;
    f.to = to;
    f.run = unit;
    f.rank = piece->rank;
    for (uint32_t k = 0; k < piece->rank; k++)
        f.dim[k] = (struct wm_kdim){piece->dim[k].extent, dst[k], piece->dim[k].src[s] * unit};
    source_forward(&f);
    sort_dims(&f, order);
    merge_dims(&f);
    return fetch(w, &f);
}
