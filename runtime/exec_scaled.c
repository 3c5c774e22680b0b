/* runtime/exec_scaled.c -- quantised values by the scales of their blocks.
 *
 * In: a piece whose values are packed in memory.  Out: their products as float32, packed alike.  A scale belongs to a
 * block of values: the dimensions inside of a block have no stride in the operand of scales, so that each scale of the
 * piece is read once, and runs of values share theirs. */
#include "runtime/exec_priv.h"

/* The scales of a piece: that of the indices (i_0, ..) is at sum(i_k * stride[k]). */
struct tile {
    const float *at;
    int64_t stride[WM_PLAN_RANK];
};

/* Read the scales, each once, behind the values that wait in pair[1], and as float32 behind where the products go. */
static enum wm_status
load(struct wm_worker *w, const struct wm_plan_out *out, const struct wm_plan_box *box, const struct wm_piece *p,
     struct tile *t)
{
    enum wm_dtype from = (enum wm_dtype)w->x->elem[box->elem].factor[0];
    int64_t raw[WM_PLAN_RANK], unit = wm_dtype_info[from].bits / 8, n = 1;
    char *at = w->pair[1] + w->pair_n / 2, *to = w->pair[0] + w->pair_n / 2;
    struct wm_piece q = {.src = {[1] = p->src[1]}};
    struct wm_cast_count count = {0};
    enum wm_status st;

    for (uint32_t k = 0; k < p->rank; k++)
        if (p->dim[k].src[1] != 0)
            q.dim[q.rank++] = p->dim[k];
    for (uint32_t k = p->rank, i = q.rank; k-- > 0;) {
        t->stride[k] = 0;
        if (p->dim[k].src[1] == 0)
            continue;
        t->stride[k] = n;
        raw[--i] = n * unit;
        n *= p->dim[k].extent;
    }
    if ((st = wm_fetch_piece(w, out, box, &q, 1, raw, at)) != WM_OK || (st = wm_reads_flush(w)) != WM_OK)
        return st;
    if (!w->tally)
        wm_cast(to, WM_DT_F32, at, from, (uint64_t)n, &count);
    t->at = (const float *)(const void *)to;
    return WM_OK;
}

/* Values that share one scale, or have one each. */
static void
run(float *x, const float *scale, int64_t stride, int64_t n)
{
    if (stride == 0) {
        float s = *scale;

        for (int64_t i = 0; i < n; i++)
            x[i] *= s;
        return;
    }
    for (int64_t i = 0; i < n; i++)
        x[i] *= scale[i * stride];
}

/* All runs of a piece: along its innermost dimension. */
static void
runs(float *x, const struct wm_piece *p, const struct tile *t)
{
    int64_t at[WM_PLAN_RANK] = {0}, s = 0, n = p->rank ? p->dim[p->rank - 1].extent : 1;
    int64_t stride = p->rank ? t->stride[p->rank - 1] : 0;
    uint32_t k;

    for (;; x += n) {
        run(x, t->at + s, stride, n);
        for (k = p->rank ? p->rank - 1 : 0; k-- > 0;) {
            s += t->stride[k];
            if (++at[k] < p->dim[k].extent)
                break;
            s -= p->dim[k].extent * t->stride[k];
            at[k] = 0;
        }
        if (k == UINT32_MAX)
            return;
    }
}

enum wm_status
wm_scale_piece(struct wm_worker *w, const struct wm_plan_out *out, const struct wm_plan_box *box,
               const struct wm_piece *piece)
{
    enum wm_dtype from = (enum wm_dtype)w->x->elem[box->elem].src_dtype;
    struct wm_cast_count count = {0};
    struct tile t;
    enum wm_status st = load(w, out, box, piece, &t);
    int64_t n = 1;

    if (st != WM_OK)
        return st;
    for (uint32_t k = 0; k < piece->rank; k++)
        n *= piece->dim[k].extent;
    if (w->tally) {
        wm_tally_cast(w, from, WM_DT_F32, (uint64_t)n);
        w->tally->n[WM_T_MEMORY] += (uint64_t)n * WM_COST_SCALE;
        return WM_OK;
    }
    wm_cast(w->pair[0], WM_DT_F32, w->pair[1], from, (uint64_t)n, &count);
    runs((float *)(void *)w->pair[0], piece, &t);
    return WM_OK;
}
