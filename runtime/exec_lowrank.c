/* runtime/exec_lowrank.c -- the products of low-rank sums, tile by tile.
 *
 * In: a piece whose weight is in memory already.  The rows of one factor and the columns of the other that the piece
 * needs are read as tiles of float32 or float64, with the whole rank; a piece whose tiles do not fit is halved.  Which
 * factor the innermost dimension runs along does not matter: that one is laid out with the rank outside, so that runs of
 * elements are made at once, and the other with the rank inside. */
#include "runtime/piece.h"

struct low {
    struct wm_worker *w;
    const struct wm_plan_out *out;
    const struct wm_plan_box *box;
    const struct wm_plan_elem *elem;
    const int64_t *stride; /* of the piece's units in memory, bytes */
    struct wm_lowrank op;
};

/* A factor in memory: its element for the indices (i_0, ..) and k is at sum(i_d * stride[d]) + k * k_stride. */
struct tile {
    char *at;
    int64_t stride[WM_PLAN_RANK];
    int64_t k_stride;
};

static int64_t
elements_of(const struct wm_piece *p, uint32_t s)
{
    int64_t n = 1;

    for (uint32_t k = 0; k < p->rank; k++)
        n *= p->dim[k].src[s] ? p->dim[k].extent : 1;
    return n;
}

/* Read what a piece needs of operand s, with the rank outside or inside of the piece's dims.  Dim `first` (p->rank:
 * none) is the innermost of those. */
static enum wm_status
load(const struct low *l, const struct wm_piece *p, uint32_t s, uint32_t first, bool outside, struct tile *t)
{
    const struct wm_plan_elem *e = l->elem;
    enum wm_dtype from = (enum wm_dtype)e->factor[s - 1], to = l->op.wide ? WM_DT_F64 : WM_DT_F32;
    int64_t raw[WM_PLAN_RANK], unit = wm_dtype_info[from].bits / 8, n = outside ? 1 : e->rank;
    struct wm_plan_dim rank = {.extent = e->rank};
    struct wm_cast_count count = {0};
    struct wm_piece q = {.src = {[1] = p->src[1], [2] = p->src[2]}};
    enum wm_status st;

    rank.src[s] = e->stride[s - 1];
    q.rank = 1;
    for (uint32_t i = 0; i <= p->rank; i++) {
        uint32_t k = i ? p->rank - i : first;

        if (k == p->rank || (i && k == first))
            continue;
        t->stride[k] = 0;
        if (p->dim[k].src[s] == 0)
            continue;
        t->stride[k] = n;
        q.dim[q.rank] = p->dim[k];
        raw[q.rank++] = n * unit;
        n *= p->dim[k].extent;
    }
    t->k_stride = outside ? n : 1;
    q.dim[0] = rank;
    raw[0] = t->k_stride * unit;
    n *= outside ? e->rank : 1;
    t->at = l->w->factor[s - 1];
    if ((st = wm_fetch_piece(l->w, l->out, l->box, &q, s, raw, l->w->factor[2])) != WM_OK ||
        (st = wm_reads_flush(l->w)) != WM_OK)
        return st;
    if (l->w->tally)
        wm_tally_cast(l->w, from, to, (uint64_t)n);
    else
        wm_cast(t->at, to, l->w->factor[2], from, (uint64_t)n, &count);
    return WM_OK;
}

/* The innermost dim along which only one factor runs; p->rank: none. */
static uint32_t
run_dim(const struct wm_piece *p)
{
    uint32_t k = p->rank;

    while (k > 0 && (p->dim[k - 1].src[1] == 0) == (p->dim[k - 1].src[2] == 0))
        k--;
    return k ? k - 1 : p->rank;
}

/* All runs of at most WM_LOWRANK_RUN elements from `from` on of dim `run`. */
static void
runs(const struct low *l, const struct wm_piece *p, uint32_t run, int64_t from, const struct tile *x,
     const struct tile *y, char *to)
{
    int64_t size = l->op.wide ? 8 : 4, at[WM_PLAN_RANK] = {0}, xo = 0, yo = 0, n = 1, stride = 0;
    uint32_t k;

    if (run < p->rank) {
        n = p->dim[run].extent - from;
        n = n < WM_LOWRANK_RUN ? n : WM_LOWRANK_RUN;
        stride = l->stride[run];
        to += from * stride;
        xo = from;
    }
    for (;;) {
        wm_lowrank_run(&l->op, to, stride, x->at + xo * size, x->k_stride, y->at + yo * size, (uint64_t)n);
        for (k = p->rank; k-- > 0;) {
            if (k == run)
                continue;
            to += l->stride[k];
            xo += x->stride[k];
            yo += y->stride[k];
            if (++at[k] < p->dim[k].extent)
                break;
            to -= p->dim[k].extent * l->stride[k];
            xo -= p->dim[k].extent * x->stride[k];
            yo -= p->dim[k].extent * y->stride[k];
            at[k] = 0;
        }
        if (k == UINT32_MAX)
            return;
    }
}

/* A piece whose tiles fit. */
static enum wm_status
tile(const struct low *l, const struct wm_piece *p, char *to)
{
    uint32_t run = run_dim(p), xs = run < p->rank && p->dim[run].src[1] ? 1 : 2;
    int64_t n = run < p->rank ? p->dim[run].extent : 1;
    struct tile x, y;
    enum wm_status st;

    if ((st = load(l, p, xs, run, true, &x)) != WM_OK || (st = load(l, p, 3 - xs, p->rank, false, &y)) != WM_OK)
        return st;
    if (l->w->tally) {
        uint64_t units = (uint64_t)wm_piece_count(p);

        l->w->tally->n[WM_T_COMPUTED] += units * wm_dtype_info[l->op.dtype].bits / 8;
        l->w->tally->n[WM_T_MEMORY] += units * l->elem->rank * (l->op.wide ? WM_COST_PRODUCT_WIDE : WM_COST_PRODUCT);
        return WM_OK;
    }
    for (int64_t from = 0; from < n; from += WM_LOWRANK_RUN)
        runs(l, p, run, from, &x, &y, to);
    return WM_OK;
}

static enum wm_status
add(const struct low *l, struct wm_piece *p, char *to)
{
    int64_t room = (int64_t)(l->w->factor_n / (l->op.wide ? 8 : 4) / l->elem->rank);
    int64_t nb = elements_of(p, 1), na = elements_of(p, 2), n;
    uint32_t k = 0, s = nb > na ? 1 : 2;
    struct wm_piece half;
    enum wm_status st;

    if (nb <= room && na <= room)
        return tile(l, p, to);
    while (p->dim[k].src[s] == 0 || p->dim[k].extent < 2)
        k++;
    n = p->dim[k].extent / 2;
    half = *p;
    half.dim[k].extent = n;
    if ((st = add(l, &half, to)) != WM_OK)
        return st;
    for (int i = 0; i < WM_PLAN_OPERANDS; i++)
        p->src[i] += n * p->dim[k].src[i];
    p->dim[k].extent -= n;
    return add(l, p, to + n * l->stride[k]);
}

enum wm_status
wm_lowrank_add(struct wm_worker *w, const struct wm_plan_out *out, const struct wm_plan_box *box,
               const struct wm_piece *piece, const int64_t *stride, char *to)
{
    const struct wm_plan_elem *e = &w->x->elem[box->elem];
    bool stepwise = e->mode == WM_LR_STEPWISE, wide = e->src_dtype == WM_DT_F64;
    struct low l = {.w = w, .out = out, .box = box, .elem = e, .stride = stride};
    struct wm_piece p = *piece;

    if (!stepwise) /* a weight of float32 has no bits to lose in the sum */
        wide = wide || e->src_dtype == WM_DT_F32 || e->factor[0] == WM_DT_F64 || e->factor[1] == WM_DT_F64;
    l.op = (struct wm_lowrank){.dtype = (enum wm_dtype)e->src_dtype, .wide = wide, .stepwise = stepwise,
                               .scale = e->scale, .rank = e->rank};
    return add(&l, &p, to);
}
