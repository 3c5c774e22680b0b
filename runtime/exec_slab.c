/* runtime/exec_slab.c -- slabs: several windows made of one block of input.
 *
 * A window of a transpose needs a little of every row of its source.  Read window by window, that
 * is either a great many short reads, or the whole source for each window.  So for such geometries
 * a thread takes a longer slab of the output, reads what the whole slab needs into scratch memory,
 * in runs as long as the slab is wide, and then makes window after window of it. */
#include <string.h>

#include "runtime/piece.h"

/* A slab must beat single windows by this much, in percent of their cost, and a longer one a
 * shorter one. */
enum { WORTH = 80 };
/* Windows that hold more boxes than that need not begin where a box does. */
enum { FEW_PARTS = 16 };
/* A block that is larger than the cache goes through memory twice more. */
enum { CACHED = 1 << 20, UNCACHED_COST = 100 };

/* ---- choosing ---- */

static bool
is_movable(const struct wm_exec *x, const struct wm_plan_box *b)
{
    uint32_t kind = x->elem[b->elem].kind;

    return kind == WM_EL_COPY || kind == WM_EL_CHAIN || kind == WM_EL_LOWRANK || kind == WM_EL_SCALED;
}

/* The box cut to about `units` of the output: along the outermost dim of which more than one step
 * fits.  Its number of units, and *row: those of one step. */
static int64_t
sample(const struct wm_exec *x, const struct wm_plan_box *b, int64_t units, struct wm_piece *piece,
       int64_t *row)
{
    const struct wm_plan_dim *d = &x->dim[b->dim];
    uint32_t k = 0;
    int64_t n = 1;

    while (k + 1 < b->rank && d[k].dst > units)
        k++;
    piece->dst = b->dst_base;
    memcpy(piece->src, b->src_base, sizeof(piece->src));
    piece->rank = b->rank - k;
    memcpy(piece->dim, d + k, piece->rank * sizeof(d[0]));
    *row = 1;
    if (piece->rank) {
        *row = piece->dim[0].dst;
        n = units / *row;
        n = n < 1 ? 1 : n;
        if (n < piece->dim[0].extent)
            piece->dim[0].extent = n;
    }
    n = 1;
    for (uint32_t i = 0; i < piece->rank; i++)
        n *= piece->dim[i].extent;
    return n;
}

/* What it costs to read for a slab of `units` of the first n boxes, in percent of what is read;
 * UINT64_MAX where it does not fit. */
static uint64_t
cost_of(const struct wm_exec *x, const struct wm_plan_out *o, uint64_t nbox, int64_t units,
        uint64_t room, int64_t *row)
{
    const struct wm_plan_geom *g = &x->geom[o->geom];
    uint64_t cost = 0, bytes = 0, used = 0;

    for (uint64_t i = 0; i < nbox; i++) {
        const struct wm_plan_box *b = &x->box[g->box + i];
        struct wm_piece piece;
        struct wm_fetch f;
        struct wm_block block;
        uint32_t order[WM_PLAN_RANK];
        int64_t n;

        if (!is_movable(x, b))
            continue;
        n = sample(x, b, units, &piece, row);
        wm_fetch_source(x, o, b, &piece, 0, &f, order);
        bytes += (uint64_t)n * f.run;
        if (wm_fetch_is_direct(&f)) {
            cost += (uint64_t)n * f.run;
            continue;
        }
        if (!wm_block_choose(&f, room - used, &block))
            return UINT64_MAX;
        used += block.bytes;
        cost += block.cost;
    }
    if (bytes == 0)
        return 100;
    return cost * 100 / bytes + (used > CACHED && room != UINT64_MAX ? UNCACHED_COST : 0);
}

/* Units of each box where they are equal parts of the output, one after the other; else 0. */
static int64_t
part_of(const struct wm_exec *x, const struct wm_plan_geom *g)
{
    int64_t part = g->nbox ? g->nunit / (int64_t)g->nbox : 0;

    if (g->nbox < 2 || part * (int64_t)g->nbox != g->nunit)
        return 0;
    for (uint64_t i = 0; i < g->nbox; i++) {
        const struct wm_plan_box *b = &x->box[g->box + i];
        int64_t reach = 0;

        for (uint32_t k = 0; k < b->rank; k++)
            reach += (x->dim[b->dim + k].extent - 1) * x->dim[b->dim + k].dst;
        if (b->dst_base != (int64_t)i * part || reach >= part)
            return 0;
    }
    return part;
}

/* Are all movable boxes read as they are, in long runs? */
static bool
is_direct(const struct wm_exec *x, const struct wm_plan_out *o, int64_t units)
{
    const struct wm_plan_geom *g = &x->geom[o->geom];

    for (uint64_t i = 0; i < g->nbox; i++) {
        const struct wm_plan_box *b = &x->box[g->box + i];
        struct wm_piece piece;
        struct wm_fetch f;
        uint32_t order[WM_PLAN_RANK];
        int64_t row;

        if (!is_movable(x, b))
            continue;
        (void)sample(x, b, units, &piece, &row);
        wm_fetch_source(x, o, b, &piece, 0, &f, order);
        if (!wm_fetch_is_direct(&f))
            return false;
    }
    return true;
}

static void
choose(struct wm_exec *x, const struct wm_plan_out *o, uint64_t scratch, uint64_t window)
{
    const struct wm_plan_geom *g = &x->geom[o->geom];
    struct wm_slab *slab = &x->slab[o->geom];
    int64_t units = (int64_t)(window / g->unit), row = 1, whole = g->nunit, part = part_of(x, g);
    uint64_t nbox = part ? 1 : g->nbox, least;

    if (units < 1 || g->nunit <= units)
        return;
    if (part && part <= units) { /* windows of whole boxes */
        if (units / part <= FEW_PARTS && !is_direct(x, o, part))
            slab->units = units / part * part;
        return;
    }
    if (part)
        whole = part;
    else if (nbox > WM_HELD / 4)
        return;
    least = cost_of(x, o, nbox, units, UINT64_MAX, &row);
    for (units *= 2; least > 110; units *= 2) {
        uint64_t cost;

        units = units < whole ? units : whole;
        cost = cost_of(x, o, nbox, units, scratch, &row);
        if (cost == UINT64_MAX)
            break;
        if (cost < least * WORTH / 100) {
            least = cost;
            *slab = (struct wm_slab){.units = units < row ? units : units / row * row,
                                     .row = row,
                                     .period = part,
                                     .held = true};
        }
        if (units == whole)
            break;
    }
}

void
wm_slab_range(const struct wm_slab *s, int64_t nunit, int64_t at, int64_t *lo, int64_t *hi)
{
    int64_t begin = s->period ? at / s->period * s->period : 0;
    int64_t end = s->period ? begin + s->period : nunit;

    *lo = begin + (at - begin) / s->units * s->units;
    *hi = end - *lo < s->units ? end : *lo + s->units;
}

void
wm_slab_choose(struct wm_exec *x, uint64_t scratch, uint64_t window)
{
    memset(x->slab, 0, (x->ngeom + 1) * sizeof(x->slab[0]));
    for (uint64_t i = 0; i < x->ngeom; i++)
        x->slab[i].units = -1; /* not looked at yet */
    for (uint64_t i = 0; i < x->nout; i++) {
        const struct wm_plan_out *o = &x->out[i];

        if (o->file == WM_NONE || x->slab[o->geom].units >= 0)
            continue;
        x->slab[o->geom].units = 0;
        choose(x, o, scratch, window);
    }
    for (uint64_t i = 0; i < x->ngeom; i++)
        if (x->slab[i].units < 0)
            x->slab[i].units = 0;
}

/* ---- holding ---- */

struct hold {
    struct wm_worker *w;
    const struct wm_plan_out *out;
    const struct wm_plan_box *box;
    bool fits;
};

/* Queue the reads of one piece and note where it will be. */
static enum wm_status
hold_piece(void *user, struct wm_piece *piece)
{
    struct hold *h = user;
    struct wm_worker *w = h->w;
    struct wm_held *to = &w->held[w->nheld];
    char *from = w->scratch + w->scratch_used;
    uint32_t order[WM_PLAN_RANK];
    struct wm_fetch f;
    struct wm_block b;
    int64_t stride;

    wm_fetch_source(w->x, h->out, h->box, piece, 0, &f, order);
    for (uint32_t k = 0; k < f.rank; k++)
        h->fits = h->fits && f.dim[k].src >= 0;
    if (!h->fits || w->nheld == WM_HELD ||
        !wm_block_choose(&f, w->scratch_n - w->scratch_used, &b)) {
        h->fits = false;
        return WM_OK;
    }
    *to = (struct wm_held){.box = h->box, .from = from, .piece = *piece};
    to->piece.src[0] = 0; /* the factors of a low-rank sum stay in their files */
    for (uint32_t k = 0; k < piece->rank; k++)
        to->piece.dim[k].src[0] = 0;
    stride = (int64_t)b.stride;
    for (uint32_t k = f.rank; k-- > 0;) {
        int64_t *src = &to->piece.dim[order[k]].src[0];

        *src = f.dim[k].src;
        if (k < b.outer) {
            *src = stride;
            stride *= f.dim[k].n;
        }
    }
    w->nheld++;
    if (w->tally)
        w->tally->n[WM_T_SLABS] += (uint64_t)wm_piece_count(piece) * f.run;
    w->scratch_used += (b.bytes + 63) / 64 * 64;
    w->scratch_used = w->scratch_used < w->scratch_n ? w->scratch_used : w->scratch_n;
    return wm_block_read(w, &f, &b, from);
}

enum wm_status
wm_slab_begin(struct wm_worker *w, const struct wm_plan_out *out, int64_t lo, int64_t hi)
{
    const struct wm_exec *x = w->x;
    const struct wm_plan_geom *g = &x->geom[out->geom];
    struct hold h = {.w = w, .out = out};
    enum wm_status st;

    wm_slab_end(w);
    for (uint64_t i = 0; i < g->nbox; i++) {
        const struct wm_plan_dim *d;
        uint64_t used = w->scratch_used;
        uint32_t nheld = w->nheld;

        h.box = &x->box[g->box + i];
        h.fits = is_movable(x, h.box);
        d = &x->dim[h.box->dim];
        if (!h.fits)
            continue;
        st = wm_cut_box(d, h.box->rank, h.box->dst_base, h.box->src_base, lo, hi, hold_piece, &h);
        if (st != WM_OK) {
            wm_slab_end(w);
            return st;
        }
        if (!h.fits) { /* all pieces of a box or none: what was queued is read in vain */
            w->nheld = nheld;
            if ((st = wm_reads_flush(w)) != WM_OK)
                return st;
            w->scratch_used = used;
        }
    }
    w->held_out = out;
    w->held_lo = lo;
    w->held_hi = hi;
    return wm_reads_flush(w);
}

void
wm_slab_end(struct wm_worker *w)
{
    w->nheld = 0;
    w->scratch_used = 0;
    w->held_out = NULL;
}
