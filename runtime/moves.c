/* runtime/moves.c -- stretches of the output that are stretches of an input as they are.
 *
 * In: a plan.  Out: for each output of one box without holes, which copies, where its bytes are in the input; merged
 * where the next output goes on in the same file. */
#include "runtime/moves.h"

#include "runtime/format.h"

static bool
is_move(const struct wm_plan_view *v, const struct wm_plan_out *o, struct wm_move *m)
{
    const struct wm_plan_geom *g = &v->geom[o->geom];
    const struct wm_plan_box *b = &v->box[g->box];
    const struct wm_plan_dim *d = &v->dim[b->dim];
    const struct wm_plan_in *in;

    if (o->codec != WM_CODEC_RAW || g->nbox != 1 || v->elem[b->elem].kind != WM_EL_COPY || b->nsrc != 1 ||
        b->rank > 1 || (b->rank == 1 && (d->src[0] != 1 || d->dst != 1)))
        return false;
    in = &v->in[v->slot[o->slot + b->slot[0]]];
    if (v->infile[in->file].codec != WM_CODEC_RAW || v->infile[in->file].flags & WM_INFILE_STREAM)
        return false;
    *m = (struct wm_move){.outfile = o->file,
                          .infile = in->file,
                          .to = o->off,
                          .from = in->off + (uint64_t)b->src_base[0] * g->unit,
                          .n = o->nbytes};
    return true;
}

uint64_t
wm_plan_moves(struct wm_arena *a, const struct wm_plan *p, struct wm_move **out)
{
    const struct wm_plan_view v = wm_plan_view(p);
    uint64_t n = 0;
    struct wm_move *list = WM_NEW_N(a, struct wm_move, v.nout), m;

    for (uint64_t i = 0; i < v.noutfile; i++)
        for (uint64_t k = v.outfile[i].first; k < v.outfile[i].first + v.outfile[i].ntensor; k++) {
            struct wm_move *last = n ? &list[n - 1] : NULL;

            if (v.out[k].nbytes == 0 || !is_move(&v, &v.out[k], &m))
                continue;
            if (last && last->outfile == m.outfile && last->infile == m.infile && last->to + last->n == m.to &&
                last->from + last->n == m.from)
                last->n += m.n;
            else
                list[n++] = m;
        }
    *out = list;
    return n;
}

bool
wm_move_blocks(const struct wm_move *m, struct wm_move *part)
{
    uint64_t skip = (WM_LAYOUT_BLOCK - m->to % WM_LAYOUT_BLOCK) % WM_LAYOUT_BLOCK;

    if (m->to % WM_LAYOUT_BLOCK != m->from % WM_LAYOUT_BLOCK || m->n < skip + WM_LAYOUT_BLOCK)
        return false;
    *part = *m;
    part->to += skip;
    part->from += skip;
    part->n = (m->n - skip) / WM_LAYOUT_BLOCK * WM_LAYOUT_BLOCK;
    return true;
}
