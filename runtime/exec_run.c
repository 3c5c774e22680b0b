/* runtime/exec_run.c -- whole runs: the windows of all outputs, shared by threads.
 *
 * Threads take windows, or slabs, which they do window by window, from a counter; each writes its windows with one call
 * each.  The first failure by the order of windows is the one that is reported. */
#include <inttypes.h>
#include <string.h>

#include "runtime/exec_run.h"
#include "runtime/pool.h"

/* Bytes [lo, hi) of an output file, into the worker's stage. */
static enum wm_status
fill_window(struct wm_worker *w, const struct wm_stretch *s, uint64_t lo, uint64_t hi)
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
do_window(struct wm_run *r, struct wm_worker *w, const struct wm_stretch *s, uint64_t lo, uint64_t hi)
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
do_sum(struct wm_run *r, struct wm_worker *w, const struct wm_stretch *s, uint64_t lo, uint64_t hi)
{
    uint32_t part;
    enum wm_status st = wm_insum_part(w, &r->x->insum[s->out], lo, hi, &part);

    if (st == WM_OK && !w->tally)
        atomic_fetch_xor_explicit(&r->insum[s->out], part, memory_order_relaxed);
    return st;
}

/* A slab of one tensor, in windows of whole rows where a row is not longer than a window. */
static enum wm_status
do_slab(struct wm_run *r, struct wm_worker *w, const struct wm_stretch *s, uint64_t lo, uint64_t hi)
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
clip_step(const struct wm_run *r, const struct wm_stretch *s, uint64_t *lo, uint64_t *hi)
{
    const struct wm_share *share = r->x->opts.share;

    if (!share || s->is_sum)
        return;
    if (s->file == WM_NONE)
        wm_share_clip_check(share, s->before, lo, hi);
    else
        wm_share_clip(share, s->file, lo, hi);
}

enum wm_status
wm_run_step(struct wm_run *r, struct wm_worker *w, const struct wm_stretch *s, uint64_t i)
{
    uint64_t lo, hi;

    wm_step_range(s, i, &lo, &hi);
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

/* Step `id` of all. */
static enum wm_status
do_step(struct wm_run *r, struct wm_worker *w, uint64_t id)
{
    uint64_t a = 0, b = r->nstretch;

    while (b - a > 1) {
        uint64_t mid = a + (b - a) / 2;

        if (r->stretch[mid].first <= id)
            a = mid;
        else
            b = mid;
    }
    return wm_run_step(r, w, &r->stretch[a], id - r->stretch[a].first);
}

static void
stop(struct wm_run *r)
{
    atomic_store(&r->stop, true);
    if (r->sink->stop)
        r->sink->stop(r->sink->user);
}

static void
work(void *user, unsigned k)
{
    struct wm_run *r = user;
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

enum wm_status
wm_run_share(const struct wm_exec *x, unsigned *threads, uint64_t *budget, struct wm_err *err)
{
    const struct wm_exec_opts *o = &x->opts;
    uint64_t least = wm_worker_least(x, o->window), n = o->threads;

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
gather(struct wm_run *r, unsigned threads, struct wm_exec_stats *stats, enum wm_status *st,
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
open_sums(struct wm_run *r, struct wm_err *err)
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
end_sums(struct wm_run *r, struct wm_err *err)
{
    enum wm_status st = WM_OK;
    uint64_t before = 0;

    if (r->sink->sum)
        wm_sums_take(&r->sums, r->sink->sum);
    for (uint64_t i = 0; i < r->x->ninsum && st == WM_OK && r->x->opts.part != WM_EXEC_OUTPUTS; i++)
        if (wm_steps_has_sum(r->x, i, &before))
            st = wm_insum_check(r->x, &r->x->insum[i], atomic_load(&r->insum[i]), err);
    return st;
}

/* Everything that depends on the number of threads. */
static enum wm_status
run_threads(struct wm_run *r, unsigned threads, uint64_t budget, struct wm_exec_stats *stats,
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
        st = wm_worker_open(r->x, r->x->opts.window, budget, false, &r->worker[open], err);
        if (st != WM_OK)
            break;
        r->worker[open].err = &r->err[open];
    }
    if (st == WM_OK) {
        r->window = r->worker[0].stage_n;
        wm_slab_choose(r->x, r->worker[0].scratch_n, r->window);
        st = wm_steps_make(r, err);
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
    struct wm_exec_opts o = *opts;
    struct wm_run r = {.sink = sink};
    struct wm_exec_stats ignored;
    uint64_t budget = 0;
    unsigned threads = 0;
    enum wm_status st;

    o.threads = wm_cost_threads(p, sys, opts);
    st = wm_exec_open(p, sys, &o, &r.x, err);
    if (st != WM_OK)
        return st;
    stats = stats ? stats : &ignored;
    memset(stats, 0, sizeof(*stats));
    if ((st = wm_run_share(r.x, &threads, &budget, err)) == WM_OK && (st = open_sums(&r, err)) == WM_OK &&
        (st = run_threads(&r, threads, budget, stats, err)) == WM_OK &&
        (st = end_sums(&r, err)) == WM_OK)
        st = wm_exec_check_inputs(r.x, err);
    stats->kernels = wm_jit_count(r.x->jit);
    wm_sums_close(&r.sums);
    sys->free(r.insum);
    wm_exec_close(r.x);
    return st;
}
