/* runtime/exec_steps.c -- what a run has to do, as steps that threads take one by one.
 *
 * The tensor bytes of an output file are one stretch, however many tensors it has; it is cut into windows at multiples of
 * the window size in the file.  A tensor whose geometry wants larger slabs is a stretch of its own, of slabs.  The units
 * of each check are a stretch, too, and the bytes of each check sum of an input. */
#include "runtime/exec_run.h"

static bool
is_skipped(const struct wm_exec *x, const struct wm_plan_out *o)
{
    const struct wm_plan_geom *g = &x->geom[o->geom];

    for (uint64_t b = 0; b < g->nbox; b++)
        if (x->elem[x->box[g->box + b].elem].kind != WM_EL_FILL)
            return false;
    return true;
}

/* Append a stretch, if there is anything in it. */
static void
add_stretch(struct wm_run *r, const struct wm_stretch *s)
{
    if (s->hi <= s->lo)
        return;
    r->stretch[r->nstretch] = *s;
    r->stretch[r->nstretch++].first = r->nwindow;
    if (s->period)
        r->nwindow += (s->hi - s->origin) / s->period * ((s->period - 1) / s->step + 1);
    else
        r->nwindow += (s->hi - s->origin - 1) / s->step + 1;
}

void
wm_step_range(const struct wm_stretch *s, uint64_t id, uint64_t *lo, uint64_t *hi)
{
    uint64_t begin = s->origin, end = s->hi, per;

    if (s->period) {
        per = (s->period - 1) / s->step + 1;
        begin += id / per * s->period;
        end = begin + s->period;
        id %= per;
    }
    *lo = begin + id * s->step;
    *hi = end - *lo < s->step ? end : *lo + s->step;
    *lo = *lo > s->lo ? *lo : s->lo;
}

/* The part of a file from OUT `a` to OUT `b`, in windows. */
static void
add_windows(struct wm_run *r, uint64_t file, uint64_t a, uint64_t b)
{
    const struct wm_plan_out *out = r->x->out;
    struct wm_stretch s = {.out = a, .end = b, .file = (uint32_t)file, .step = r->window};

    if (a == b)
        return;
    s.lo = out[a].off;
    s.hi = out[b - 1].off + out[b - 1].nbytes;
    s.origin = s.lo / r->window * r->window;
    add_stretch(r, &s);
}

/* Check sum i of an input belongs to the share in which it begins, by the bytes of all of them. */
bool
wm_steps_has_sum(const struct wm_exec *x, uint64_t i, uint64_t *before)
{
    const struct wm_share *s = x->opts.share;
    uint64_t at = *before;

    *before += x->insum[i].hi - x->insum[i].lo;
    return !s || *before == at || (at >= s->sum_lo && at < s->sum_hi);
}

static void
add_checks(struct wm_run *r)
{
    const struct wm_exec *x = r->x;
    uint64_t before = 0;

    for (uint64_t i = 0; i < x->nout; i++) {
        if (x->out[i].file != WM_NONE)
            continue;
        if (!is_skipped(x, &x->out[i]))
            add_stretch(r, &(struct wm_stretch){.hi = x->out[i].nbytes,
                                             .step = r->window,
                                             .out = i,
                                             .end = i + 1,
                                             .before = before,
                                             .file = WM_NONE});
        before += x->out[i].nbytes;
    }
    before = 0;
    for (uint64_t i = 0; i < x->ninsum; i++)
        if (wm_steps_has_sum(x, i, &before))
            add_stretch(r, &(struct wm_stretch){.lo = x->insum[i].lo,
                                             .hi = x->insum[i].hi,
                                             .origin = x->insum[i].lo / r->window * r->window,
                                             .step = r->window,
                                             .out = i,
                                             .file = WM_NONE,
                                             .is_sum = true});
}

enum wm_status
wm_steps_make(struct wm_run *r, struct wm_err *err)
{
    struct wm_exec *x = r->x;
    uint64_t done = 0;

    r->stretch = x->sys->malloc((2 * x->nout + x->noutfile + x->ninsum + 1) * sizeof(r->stretch[0]));
    if (!r->stretch)
        return wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    for (uint64_t i = 0; i < x->noutfile && x->opts.part != WM_EXEC_CHECKS; i++) {
        uint64_t end = x->outfile[i].first + x->outfile[i].ntensor;

        done = x->outfile[i].first;
        for (uint64_t k = done; k < end; k++) {
            const struct wm_plan_out *o = &x->out[k];
            const struct wm_slab *slab = &x->slab[o->geom];

            if (slab->units == 0 || o->nbytes <= r->window ||
                (!slab->held && (uint64_t)slab->units * wm_out_unit(x, o) > r->window))
                continue;
            add_windows(r, i, done, k);
            add_stretch(r, &(struct wm_stretch){
                               .lo = o->off,
                               .origin = o->off,
                               .hi = o->off + o->nbytes,
                               .step = (uint64_t)slab->units * wm_out_unit(x, o),
                               .period = (uint64_t)slab->period * wm_out_unit(x, o),
                               .out = k,
                               .end = k + 1,
                               .file = (uint32_t)i,
                               .is_held = slab->held,
                           });
            done = k + 1;
        }
        add_windows(r, i, done, end);
        done = end;
    }
    if (x->opts.part != WM_EXEC_OUTPUTS)
        add_checks(r);
    return WM_OK;
}
