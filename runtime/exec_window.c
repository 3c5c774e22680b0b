/* runtime/exec_window.c -- from a range of an output to pieces of boxes.
 *
 * The dims of a box are ordered by dst, so the part of it that lies in a range is a few boxes:
 * along the outermost dim, whole ones in the middle, and at most one that is cut on each side. */
#include <string.h>

#include "runtime/codec.h"
#include "runtime/exec_priv.h"

struct cut {
    const struct wm_plan_dim *dim;
    uint32_t rank;
    int64_t lo, hi;
    wm_piece_fn *each;
    void *user;
};

/* Dims from `k` on, with `n` of dim k; base and src are where the first of them is. */
static enum wm_status
emit(const struct cut *c, uint32_t k, int64_t n, int64_t base, const int64_t *src)
{
    struct wm_piece piece;

    piece.dst = base;
    memcpy(piece.src, src, sizeof(piece.src));
    piece.rank = c->rank - k;
    if (piece.rank) {
        memcpy(piece.dim, c->dim + k, piece.rank * sizeof(c->dim[0]));
        piece.dim[0].extent = n;
    }
    return c->each(c->user, &piece);
}

static enum wm_status
cut(const struct cut *c, uint32_t k, int64_t base, const int64_t *src)
{
    const struct wm_plan_dim *d = c->dim + k;
    int64_t reach = 0, first, last, whole, whole_end, at[WM_PLAN_OPERANDS];
    enum wm_status st = WM_OK;

    if (k == c->rank)
        return base >= c->lo && base < c->hi ? emit(c, k, 1, base, src) : WM_OK;
    for (uint32_t i = k + 1; i < c->rank; i++)
        reach += (c->dim[i].extent - 1) * c->dim[i].dst;
    if (base >= c->hi || base + reach + (d->extent - 1) * d->dst < c->lo)
        return WM_OK;
    /* indices with any unit inside: [first, last]; with all units inside: [whole, whole_end) */
    first = c->lo - base - reach <= 0 ? 0 : (c->lo - base - reach + d->dst - 1) / d->dst;
    last = (c->hi - 1 - base) / d->dst;
    last = last < d->extent ? last : d->extent - 1;
    whole = c->lo <= base ? 0 : (c->lo - base + d->dst - 1) / d->dst;
    whole_end = c->hi - 1 - base < reach ? 0 : (c->hi - 1 - base - reach) / d->dst + 1;
    whole_end = whole_end < d->extent ? whole_end : d->extent;
    for (int64_t i = first; i <= last && st == WM_OK; i++) {
        bool all = i >= whole && i < whole_end;

        for (int s = 0; s < WM_PLAN_OPERANDS; s++)
            at[s] = src[s] + i * d->src[s];
        if (all) {
            st = emit(c, k, whole_end - i, base + i * d->dst, at);
            i = whole_end - 1;
        } else {
            st = cut(c, k + 1, base + i * d->dst, at);
        }
    }
    return st;
}

enum wm_status
wm_cut_box(const struct wm_plan_dim *dim, uint32_t rank, int64_t base, const int64_t *src,
           int64_t lo, int64_t hi, wm_piece_fn *each, void *user)
{
    const struct cut c = {dim, rank, lo, hi, each, user};

    return cut(&c, 0, base, src);
}

/* ---- windows ---- */

struct target {
    struct wm_worker *w;
    const struct wm_plan_out *out;
    const struct wm_plan_box *box;
    const char *held;
    int64_t lo;
    char *to;
};

static enum wm_status
run_piece(void *user, struct wm_piece *piece)
{
    struct target *t = user;

    return wm_piece_run(t->w, t->out, t->box, piece, t->lo, t->to, t->held);
}

/* The pieces of a box that are held in memory; *any: are there? */
static enum wm_status
run_held(struct target *t, int64_t hi, bool *any)
{
    enum wm_status st = WM_OK;

    *any = false;
    if (t->w->held_out != t->out || t->lo < t->w->held_lo || hi > t->w->held_hi)
        return WM_OK;
    for (uint32_t i = 0; i < t->w->nheld && st == WM_OK; i++) {
        const struct wm_held *h = &t->w->held[i];

        if (h->box != t->box)
            continue;
        *any = true;
        t->held = h->from;
        st = wm_cut_box(h->piece.dim, h->piece.rank, h->piece.dst, h->piece.src, t->lo, hi,
                        run_piece, t);
        t->held = NULL;
    }
    return st;
}

enum wm_status
wm_window_units(struct wm_worker *w, const struct wm_plan_out *out, int64_t lo, int64_t hi,
                char *to)
{
    const struct wm_exec *x = w->x;
    const struct wm_plan_geom *g = &x->geom[out->geom];
    const struct wm_ranges *r = &x->range[out->geom];
    struct target t = {.w = w, .out = out, .lo = lo, .to = to};
    uint32_t n = (uint32_t)g->nbox;
    enum wm_status st;
    bool held;

    for (uint32_t i = r->n ? wm_ranges_next(r, 0, lo) : 0; i < n;
         i = r->n ? wm_ranges_next(r, i + 1, lo) : i + 1) {
        t.box = &x->box[g->box + i];
        if (t.box->dst_base >= hi)
            break;
        st = run_held(&t, hi, &held);
        if (st == WM_OK && !held)
            st = wm_cut_box(&x->dim[t.box->dim], t.box->rank, t.box->dst_base, t.box->src_base, lo,
                            hi, run_piece, &t);
        if (st != WM_OK)
            return st;
    }
    return WM_OK;
}

/* A unit of which only some bytes are wanted. */
static enum wm_status
part_of_unit(struct wm_worker *w, const struct wm_plan_out *out, uint64_t off, uint64_t n, char *to)
{
    uint32_t unit = w->x->geom[out->geom].unit;
    char whole[16];
    int64_t at = (int64_t)(off / unit);
    enum wm_status st = wm_window_units(w, out, at, at + 1, whole);

    if (st == WM_OK)
        st = wm_reads_flush(w);
    if (st == WM_OK && !w->tally)
        memcpy(to, whole + off % unit, n);
    return st;
}

/* Where in a file the output lies as it is, in one stretch that can be cut anywhere; NULL: it does not. */
static const struct wm_plan_in *
whole_in(const struct wm_exec *x, const struct wm_plan_out *out, uint64_t *at)
{
    const struct wm_plan_geom *g = &x->geom[out->geom];
    const struct wm_plan_box *box = &x->box[g->box]; /* there may be none */
    const struct wm_plan_in *in;

    if (g->nbox != 1 || x->elem[box->elem].kind != WM_EL_COPY || box->rank > 1 ||
        (box->rank == 1 && (x->dim[box->dim].dst != 1 || x->dim[box->dim].src[0] != 1)))
        return NULL;
    in = &x->in[x->slot[out->slot + box->slot[0]]];
    *at = in->off + (uint64_t)box->src_base[0] * g->unit;
    return in;
}

enum wm_status
wm_window_bytes(struct wm_worker *w, const struct wm_plan_out *out, uint64_t off, uint64_t n,
                char *to)
{
    uint32_t unit = w->x->geom[out->geom].unit;
    uint64_t head = (unit - off % unit) % unit, tail, at;
    const struct wm_plan_in *in = w->held_out == out ? NULL : whole_in(w->x, out, &at);
    enum wm_status st;

    if (in) { /* most tensors of most checkpoints */
        if (w->tally)
            w->tally->n[WM_T_STRAIGHT] += n;
        return wm_reads_add(w, in->file, at + off, n, to);
    }
    head = head < n ? head : n;
    if (head) {
        if ((st = part_of_unit(w, out, off, head, to)) != WM_OK)
            return st;
        off += head;
        to += head;
        n -= head;
    }
    tail = n % unit;
    if (tail && (st = part_of_unit(w, out, off + n - tail, tail, to + n - tail)) != WM_OK)
        return st;
    if (n == tail)
        return WM_OK;
    return wm_window_units(w, out, (int64_t)(off / unit), (int64_t)((off + n - tail) / unit), to);
}

/* ---- outputs with a codec ---- */

uint32_t
wm_out_unit(const struct wm_exec *x, const struct wm_plan_out *out)
{
    const struct wm_codec_info *c = &wm_codec_info[out->codec];

    return x->geom[out->geom].unit / c->plain * c->raw;
}

/* Units [lo, hi), encoded: made at the end of their room, then spread over it. */
static enum wm_status
encode_units(struct wm_worker *w, const struct wm_plan_out *out, int64_t lo, int64_t hi, char *to)
{
    const struct wm_codec_info *c = &wm_codec_info[out->codec];
    uint64_t n = (uint64_t)(hi - lo) * (w->x->geom[out->geom].unit / c->plain);
    char *plain = to + n * (uint64_t)(c->raw - c->plain);
    enum wm_status st = wm_window_units(w, out, lo, hi, plain);

    if (st == WM_OK)
        st = wm_reads_flush(w);
    if (w->tally)
        w->tally->n[WM_T_MEMORY] += n * WM_COST_ENCODE;
    else if (st == WM_OK)
        wm_codec_encode(out->codec, to, plain, n);
    return st;
}

enum wm_status
wm_window_encoded(struct wm_worker *w, const struct wm_plan_out *out, uint64_t off, uint64_t n,
                  char *to)
{
    uint32_t unit = wm_out_unit(w->x, out);
    char whole[64]; /* one unit */
    enum wm_status st = WM_OK;

    if (out->codec == WM_CODEC_RAW)
        return wm_window_bytes(w, out, off, n, to);
    while (n > 0 && st == WM_OK) {
        int64_t at = (int64_t)(off / unit);
        uint64_t skip = off % unit, m = n - n % unit;

        if (skip == 0 && m > 0) {
            st = encode_units(w, out, at, at + (int64_t)(m / unit), to);
        } else {
            m = unit - skip < n ? unit - skip : n;
            st = encode_units(w, out, at, at + 1, whole);
            if (st == WM_OK && !w->tally)
                memcpy(to, whole + skip, m);
        }
        off += m;
        to += m;
        n -= m;
    }
    return st;
}
