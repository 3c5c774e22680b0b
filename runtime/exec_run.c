/* runtime/exec_run.c -- whole runs: the windows of all outputs, shared by threads.
 *
 * The tensor bytes of an output file are one stretch, however many tensors it has; it is cut into
 * windows at multiples of the window size in the file.  A tensor whose geometry wants larger slabs
 * is a stretch of its own, of which a thread does a slab at a time, window by window.  The units of
 * each check are a stretch, too.  Threads take windows (or slabs) from a counter; each writes its
 * windows with one call each.  The first failure by the order of windows is the one that is
 * reported. */
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime/exec_priv.h"
#include "runtime/pool.h"

/* Steps first, first + 1, .. are those of one part of a file (its OUTs `out` .. `end`), or of one
 * check (`out`). */
struct stretch {
    uint64_t first;
    uint64_t lo, hi; /* offsets in the file, or units */
    uint64_t origin; /* where step `first` begins; at or before lo */
    uint64_t step;   /* bytes, or units */
    uint64_t period; /* steps begin anew at its multiples; 0: never */
    uint64_t out, end;
    uint64_t before; /* units of the checks before this one */
    uint32_t file; /* WM_NONE: a check */
    bool is_held;
    bool is_sum; /* of check sum `out` of an input */
};

struct run {
    struct wm_exec *x;
    const struct wm_exec_sink *sink;
    struct stretch *stretch;
    uint64_t nstretch, nwindow;
    uint64_t window; /* bytes, or units of checks */
    struct wm_worker *worker;
    struct wm_err *err; /* [threads] */
    uint64_t *failed;   /* [threads] its window; UINT64_MAX: none */
    struct wm_sums sums;       /* of the outputs */
    _Atomic uint32_t *insum;   /* [x->ninsum] */
    _Atomic uint64_t next, done;
    _Atomic bool stop;
};

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
add_stretch(struct run *r, const struct stretch *s)
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

/* Where step `id` of a stretch begins and ends. */
static void
step_range(const struct stretch *s, uint64_t id, uint64_t *lo, uint64_t *hi)
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
add_windows(struct run *r, uint64_t file, uint64_t a, uint64_t b)
{
    const struct wm_plan_out *out = r->x->out;
    struct stretch s = {.out = a, .end = b, .file = (uint32_t)file, .step = r->window};

    if (a == b)
        return;
    s.lo = out[a].off;
    s.hi = out[b - 1].off + out[b - 1].nbytes;
    s.origin = s.lo / r->window * r->window;
    add_stretch(r, &s);
}

/* Check sum i of an input belongs to the share in which it begins, by the bytes of all of them. */
static bool
has_sum(const struct wm_exec *x, uint64_t i, uint64_t *before)
{
    const struct wm_share *s = x->opts.share;
    uint64_t at = *before;

    *before += x->insum[i].hi - x->insum[i].lo;
    return !s || *before == at || (at >= s->sum_lo && at < s->sum_hi);
}

static void
add_checks(struct run *r)
{
    const struct wm_exec *x = r->x;
    uint64_t before = 0;

    for (uint64_t i = 0; i < x->nout; i++) {
        if (x->out[i].file != WM_NONE)
            continue;
        if (!is_skipped(x, &x->out[i]))
            add_stretch(r, &(struct stretch){.hi = x->out[i].nbytes,
                                             .step = r->window,
                                             .out = i,
                                             .end = i + 1,
                                             .before = before,
                                             .file = WM_NONE});
        before += x->out[i].nbytes;
    }
    before = 0;
    for (uint64_t i = 0; i < x->ninsum; i++)
        if (has_sum(x, i, &before))
            add_stretch(r, &(struct stretch){.lo = x->insum[i].lo,
                                             .hi = x->insum[i].hi,
                                             .origin = x->insum[i].lo / r->window * r->window,
                                             .step = r->window,
                                             .out = i,
                                             .file = WM_NONE,
                                             .is_sum = true});
}

static enum wm_status
make_stretches(struct run *r, struct wm_err *err)
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
            add_stretch(r, &(struct stretch){
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

/* Bytes [lo, hi) of an output file, into the worker's stage. */
static enum wm_status
fill_window(struct wm_worker *w, const struct stretch *s, uint64_t lo, uint64_t hi)
{
    const struct wm_plan_out *out = w->x->out;
    uint64_t a = s->out, b = s->end, at = lo;
    enum wm_status st;

    while (b - a > 1) { /* the last tensor that begins at or before lo */
        uint64_t mid = a + (b - a) / 2;

        if (out[mid].off <= lo)
            a = mid;
        else
            b = mid;
    }
    for (; at < hi; a++) {
        const struct wm_plan_out *o = &out[a];
        uint64_t end = o->off + o->nbytes < hi ? o->off + o->nbytes : hi;

        if (end <= at)
            continue;
        if ((st = wm_window_encoded(w, o, at - o->off, end - at, w->stage + (at - lo))) != WM_OK)
            return st;
        at = end;
    }
    return wm_reads_flush(w);
}

/* One window of a file: made, written, counted. */
static enum wm_status
do_window(struct run *r, struct wm_worker *w, const struct stretch *s, uint64_t lo, uint64_t hi)
{
    enum wm_status st;

    if ((st = fill_window(w, s, lo, hi)) != WM_OK ||
        (st = r->sink->write(r->sink->user, s->file, lo, w->stage, hi - lo, w->err)) != WM_OK)
        return st;
    wm_sums_add(&r->sums, s->file, lo, w->stage, hi - lo);
    w->stats.bytes_written += hi - lo;
    w->stats.syscalls++;
    atomic_fetch_add_explicit(&r->done, hi - lo, memory_order_relaxed);
    return WM_OK;
}

/* A part of the range of an input's check sum. */
static enum wm_status
do_sum(struct run *r, struct wm_worker *w, const struct stretch *s, uint64_t lo, uint64_t hi)
{
    uint32_t part;
    enum wm_status st = wm_insum_part(w, &r->x->insum[s->out], lo, hi, &part);

    if (st == WM_OK)
        atomic_fetch_xor_explicit(&r->insum[s->out], part, memory_order_relaxed);
    return st;
}

/* A slab of one tensor, in windows of whole rows where a row is not longer than a window. */
static enum wm_status
do_slab(struct run *r, struct wm_worker *w, const struct stretch *s, uint64_t lo, uint64_t hi)
{
    const struct wm_plan_out *o = &w->x->out[s->out];
    uint64_t unit = wm_out_unit(w->x, o);
    uint64_t row = (uint64_t)w->x->slab[o->geom].row * unit, step = r->window;
    enum wm_status st =
        wm_slab_begin(w, o, (int64_t)((lo - o->off) / unit), (int64_t)((hi - o->off) / unit));

    if (row <= step)
        step -= step % row;
    for (uint64_t at = lo; at < hi && st == WM_OK; at += step)
        st = do_window(r, w, s, at, at + step < hi ? at + step : hi);
    wm_slab_end(w);
    return st;
}

/* The step as far as it belongs to the share of this run. */
static void
clip_step(const struct run *r, const struct stretch *s, uint64_t *lo, uint64_t *hi)
{
    const struct wm_share *share = r->x->opts.share;

    if (!share || s->is_sum)
        return;
    if (s->file == WM_NONE)
        wm_share_clip_check(share, s->before, lo, hi);
    else
        wm_share_clip(share, s->file, lo, hi);
}

static enum wm_status
do_step(struct run *r, struct wm_worker *w, uint64_t id)
{
    const struct stretch *s;
    uint64_t a = 0, b = r->nstretch, lo, hi;

    while (b - a > 1) {
        uint64_t mid = a + (b - a) / 2;

        if (r->stretch[mid].first <= id)
            a = mid;
        else
            b = mid;
    }
    s = &r->stretch[a];
    step_range(s, id - s->first, &lo, &hi);
    clip_step(r, s, &lo, &hi);
    if (lo == hi)
        return WM_OK;
    if (s->is_sum)
        return do_sum(r, w, s, lo, hi);
    if (s->file == WM_NONE)
        return wm_window_units(w, &w->x->out[s->out], (int64_t)lo, (int64_t)hi, NULL);
    if (w->x->opts.has && w->x->opts.has(w->x->opts.has_user, s->file, lo, hi)) {
        atomic_fetch_add_explicit(&r->done, hi - lo, memory_order_relaxed);
        return WM_OK;
    }
    return s->is_held ? do_slab(r, w, s, lo, hi) : do_window(r, w, s, lo, hi);
}

static void
stop(struct run *r)
{
    atomic_store(&r->stop, true);
    if (r->sink->stop)
        r->sink->stop(r->sink->user);
}

static void
work(void *user, unsigned k)
{
    struct run *r = user;
    const struct wm_exec_opts *o = &r->x->opts;
    uint64_t total = o->share ? o->share->bytes : r->x->plan.head->out_bytes;

    while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
        uint64_t id = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);

        if (id >= r->nwindow)
            return;
        if (do_step(r, &r->worker[k], id) != WM_OK) {
            r->failed[k] = id;
            stop(r);
            return;
        }
        if (o->progress && o->progress(o->progress_user, atomic_load(&r->done), total)) {
            (void)wm_fail(&r->err[k], WM_EIO, NULL, "stopped");
            r->failed[k] = UINT64_MAX - 1;
            stop(r);
            return;
        }
    }
}

/* How many threads, and what each gets.  The least memory is what one thread needs. */
static enum wm_status
share(struct run *r, unsigned *threads, uint64_t *budget, struct wm_err *err)
{
    const struct wm_exec_opts *o = &r->x->opts;
    uint64_t least = wm_worker_least(r->x, o->window), n = o->threads;

    if (n == 0) {
        n = wm_pool_processors();
        n = n < WM_EXEC_THREADS ? n : WM_EXEC_THREADS;
    }
    if (o->max_memory < least)
        return wm_fail(err, WM_ELIMIT, NULL,
                       "at least %" PRIu64 " bytes of memory are needed, not %" PRIu64, least,
                       o->max_memory);
    n = n < o->max_memory / least ? n : o->max_memory / least;
    *threads = (unsigned)n;
    *budget = o->max_memory / n;
    return WM_OK;
}

static void
gather(struct run *r, unsigned threads, struct wm_exec_stats *stats, enum wm_status *st,
       struct wm_err *err)
{
    uint64_t first = UINT64_MAX;

    for (unsigned k = 0; k < threads; k++) {
        const struct wm_exec_stats *s = &r->worker[k].stats;

        stats->bytes_read += s->bytes_read;
        stats->bytes_written += s->bytes_written;
        stats->syscalls += s->syscalls;
        stats->peak_buffers += s->peak_buffers;
        stats->cast_overflow += s->cast_overflow;
        stats->cast_nan += s->cast_nan;
        stats->cast_inexact += s->cast_inexact;
        if (r->failed[k] < first) {
            first = r->failed[k];
            *st = r->err[k].status;
            *err = r->err[k];
        }
        wm_worker_close(&r->worker[k]);
    }
}

static enum wm_status
open_sums(struct run *r, struct wm_err *err)
{
    struct wm_exec *x = r->x;
    enum wm_status st = wm_sums_open(&r->sums, &x->plan, x->sys, err);

    if (!r->sink->sum)
        r->sums.n = 0; /* nobody asks for them */
    r->insum = x->sys->malloc((x->ninsum + 1) * sizeof(r->insum[0]));
    if (st == WM_OK && !r->insum)
        st = wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    for (uint64_t i = 0; i < x->ninsum && st == WM_OK; i++)
        atomic_init(&r->insum[i], 0);
    return st;
}

/* All bytes were seen: what the sums are, and whether those of the inputs are as stated. */
static enum wm_status
end_sums(struct run *r, struct wm_err *err)
{
    enum wm_status st = WM_OK;
    uint64_t before = 0;

    if (r->sink->sum)
        wm_sums_take(&r->sums, r->sink->sum);
    for (uint64_t i = 0; i < r->x->ninsum && st == WM_OK && r->x->opts.part != WM_EXEC_OUTPUTS; i++)
        if (has_sum(r->x, i, &before))
            st = wm_insum_check(r->x, &r->x->insum[i], atomic_load(&r->insum[i]), err);
    return st;
}

/* Everything that depends on the number of threads. */
static enum wm_status
run_threads(struct run *r, unsigned threads, uint64_t budget, struct wm_exec_stats *stats,
            struct wm_err *err)
{
    const struct wm_sys *sys = r->x->sys;
    enum wm_status st = WM_OK;
    unsigned open = 0;

    r->worker = sys->malloc(threads * sizeof(r->worker[0]));
    r->err = sys->malloc(threads * sizeof(r->err[0]));
    r->failed = sys->malloc(threads * sizeof(r->failed[0]));
    if (!r->worker || !r->err || !r->failed)
        st = wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    for (; st == WM_OK && open < threads; open++) {
        memset(&r->err[open], 0, sizeof(r->err[open]));
        r->failed[open] = UINT64_MAX;
        st = wm_worker_open(r->x, r->x->opts.window, budget, &r->worker[open], err);
        if (st != WM_OK)
            break;
        r->worker[open].err = &r->err[open];
    }
    if (st == WM_OK) {
        r->window = r->worker[0].stage_n;
        wm_slab_choose(r->x, r->worker[0].scratch_n, r->window);
        st = make_stretches(r, err);
    }
    if (st == WM_OK)
        wm_pool_run(sys, r->nwindow < threads ? (unsigned)(r->nwindow + !r->nwindow) : threads,
                    work, r);
    gather(r, open, stats, &st, err);
    sys->free(r->worker);
    sys->free(r->err);
    sys->free(r->failed);
    sys->free(r->stretch);
    return st;
}

enum wm_status
wm_exec_run(const struct wm_plan *p, const struct wm_sys *sys, const struct wm_exec_opts *opts,
            const struct wm_exec_sink *sink, struct wm_exec_stats *stats, struct wm_err *err)
{
    struct run r = {.sink = sink};
    struct wm_exec_stats ignored;
    uint64_t budget = 0;
    unsigned threads = 0;
    enum wm_status st = wm_exec_open(p, sys, opts, &r.x, err);

    if (st != WM_OK)
        return st;
    stats = stats ? stats : &ignored;
    memset(stats, 0, sizeof(*stats));
    if ((st = share(&r, &threads, &budget, err)) == WM_OK && (st = open_sums(&r, err)) == WM_OK &&
        (st = run_threads(&r, threads, budget, stats, err)) == WM_OK &&
        (st = end_sums(&r, err)) == WM_OK)
        st = wm_exec_check_inputs(r.x, err);
    stats->kernels = wm_jit_count(r.x->jit);
    wm_sums_close(&r.sums);
    sys->free(r.insum);
    wm_exec_close(r.x);
    return st;
}
