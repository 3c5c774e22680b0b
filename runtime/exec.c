/* runtime/exec.c -- handles of the executor: buffers of workers, and ranges of single outputs.
 *
 * In: a verified plan.  All buffers of a worker are one allocation within its share of max_memory;
 * pages of it that no movement needs are never touched. */
#include "runtime/exec.h"

#include <inttypes.h>
#include <string.h>

#include "runtime/exec_priv.h"

/* Sizes of buffers.  Windows of 1 MiB: large enough for the page cache's large folios and few
 * calls, small enough for the L2 cache. */
enum {
    WINDOW = 1 << 20,
    LEAST_WINDOW = 64 << 10,
    PAIR = 256 << 10,
    LEAST_PAIR = 16 << 10,
    FACTOR = 512 << 10,
    LEAST_SCRATCH = 64 << 10,
    MOST_SCRATCH = 256 << 20,
    PAGE = 4096,
    FEW_BOXES = 8
};

static uint64_t
fixed_bytes(const struct wm_exec *x)
{
    return (x->needs_codec ? 2 * (WM_STRETCH + PAGE) : 0) + WM_READS * (sizeof(struct wm_read) + sizeof(struct iovec)) + WM_GAP +
           WM_HELD * sizeof(struct wm_held) + 11 * PAGE;
}

/* A tile of a factor has all of the rank, in float64. */
static uint64_t
least_factor(const struct wm_exec *x)
{
    return x->lowrank ? (8 * (uint64_t)x->lowrank / PAGE + 1) * PAGE : 0;
}

uint64_t
wm_worker_least(const struct wm_exec *x, uint64_t window)
{
    return fixed_bytes(x) + (window ? window : LEAST_WINDOW) + LEAST_SCRATCH +
           (x->needs_pair ? 2 * LEAST_PAIR : 0) + 3 * least_factor(x);
}

/* Take n bytes, aligned to a page, off the block. */
static char *
take(char **at, uint64_t n)
{
    char *p = (char *)(((uintptr_t)*at + PAGE - 1) / PAGE * PAGE);

    *at = p + n;
    return p;
}

enum wm_status
wm_worker_open(struct wm_exec *x, uint64_t window, uint64_t budget, bool is_dry, struct wm_worker *w,
               struct wm_err *err)
{
    uint64_t rest;
    char *at;

    memset(w, 0, sizeof(*w));
    w->x = x;
    w->err = err;
    w->stage_n = window;
    if (!window)
        for (w->stage_n = WINDOW; w->stage_n > LEAST_WINDOW && w->stage_n > budget / 4;)
            w->stage_n /= 2;
    rest = budget - fixed_bytes(x) - w->stage_n;
    if (x->needs_pair) {
        for (w->pair_n = PAIR; w->pair_n > LEAST_PAIR && w->pair_n > rest / 8;)
            w->pair_n /= 2;
        rest -= 2 * w->pair_n;
    }
    if (x->lowrank) {
        for (w->factor_n = FACTOR; w->factor_n < 16 * least_factor(x);)
            w->factor_n *= 2;
        while (w->factor_n > rest / 8 && w->factor_n > least_factor(x))
            w->factor_n = w->factor_n / 2 > least_factor(x) ? w->factor_n / 2 : least_factor(x);
        rest -= 3 * w->factor_n;
    }
    w->scratch_n = rest < MOST_SCRATCH ? rest / PAGE * PAGE : MOST_SCRATCH;
    rest = fixed_bytes(x) + w->stage_n + 2 * w->pair_n + 3 * w->factor_n + w->scratch_n;
    w->mapped = rest;
    at = w->memory = is_dry ? NULL : x->sys->map(rest); /* next to nothing of it is touched: not in large pages */
    if (!at) {
        w->mapped = 0;
        at = w->memory = x->sys->malloc(rest);
    }
    if (!at)
        return wm_fail(err, WM_ENOMEM, NULL, "out of memory (%" PRIu64 " bytes of buffers)", rest);
    w->reads.item = (struct wm_read *)take(&at, WM_READS * sizeof(struct wm_read));
    w->reads.iov = (struct iovec *)take(&at, WM_READS * sizeof(struct iovec));
    w->reads.dump = take(&at, WM_GAP);
    w->held = (struct wm_held *)take(&at, WM_HELD * sizeof(struct wm_held));
    w->stage = take(&at, w->stage_n);
    w->pair[0] = take(&at, w->pair_n);
    w->pair[1] = take(&at, w->pair_n);
    for (int i = 0; i < 3; i++)
        w->factor[i] = take(&at, w->factor_n);
    w->block_file = WM_NONE;
    if (x->needs_codec) {
        w->raw = take(&at, WM_STRETCH);
        w->plain = take(&at, WM_STRETCH);
    }
    w->scratch = take(&at, w->scratch_n);
    w->stats.peak_buffers = rest;
    return WM_OK;
}

void
wm_worker_close(struct wm_worker *w)
{
    wm_inputs_close(w);
    if (w->mapped)
        w->x->sys->unmap(w->memory, w->mapped);
    else if (w->memory)
        w->x->sys->free(w->memory);
    w->memory = NULL;
}

/* ---- handles ---- */

/* Index the boxes of geometries that have many. */
static enum wm_status
index_boxes(struct wm_exec *x, struct wm_err *err)
{
    uint64_t room = 0, most = 0;
    int64_t *at, *hi;

    for (uint64_t i = 0; i < x->ngeom; i++)
        if (x->geom[i].nbox > FEW_BOXES) {
            room += x->geom[i].nbox + wm_ranges_room((uint32_t)x->geom[i].nbox);
            most = x->geom[i].nbox > most ? x->geom[i].nbox : most;
        }
    x->range = x->sys->malloc((x->ngeom + 1) * sizeof(x->range[0]));
    x->range_room = x->sys->malloc((room + most + 1) * sizeof(int64_t));
    x->slab = x->sys->malloc((x->ngeom + 1) * sizeof(x->slab[0]));
    if (!x->range || !x->range_room || !x->slab)
        return wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    memset(x->range, 0, (x->ngeom + 1) * sizeof(x->range[0]));
    at = x->range_room + most;
    for (uint64_t i = 0; i < x->ngeom; i++) {
        const struct wm_plan_geom *g = &x->geom[i];

        if (g->nbox <= FEW_BOXES)
            continue;
        hi = x->range_room;
        for (uint64_t b = 0; b < g->nbox; b++) {
            const struct wm_plan_box *box = &x->box[g->box + b];

            at[b] = hi[b] = box->dst_base;
            for (uint32_t k = 0; k < box->rank; k++)
                hi[b] += (x->dim[box->dim + k].extent - 1) * x->dim[box->dim + k].dst;
        }
        wm_ranges_init(&x->range[i], (uint32_t)g->nbox, at, hi, at + g->nbox);
        at += g->nbox + wm_ranges_room((uint32_t)g->nbox);
    }
    return WM_OK;
}

static void
sections(struct wm_exec *x)
{
    x->sections = wm_plan_view(&x->plan);
    for (uint64_t i = 0; i < x->ninfile; i++)
        x->needs_codec = x->needs_codec || x->infile[i].codec > WM_CODEC_BLOB;
    for (uint64_t i = 0; i < x->nelem; i++) {
        const struct wm_plan_elem *e = &x->elem[i];

        x->needs_pair = x->needs_pair || (e->kind >= WM_EL_CHAIN && (e->kind != WM_EL_LOWRANK || e->nstep));
        if (e->kind == WM_EL_LOWRANK && e->rank > x->lowrank)
            x->lowrank = e->rank;
    }
}

enum wm_status
wm_exec_open(const struct wm_plan *p, const struct wm_sys *sys, const struct wm_exec_opts *opts,
             struct wm_exec **out, struct wm_err *err)
{
    struct wm_exec *x = sys->malloc(sizeof(*x));
    enum wm_status st = WM_OK;

    *out = NULL;
    if (!x)
        return wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    memset(x, 0, sizeof(*x));
    x->plan = *p;
    x->sys = sys;
    x->opts = *opts;
    if (x->opts.max_memory == 0)
        x->opts.max_memory = WM_EXEC_MEMORY;
    sections(x);
    if (st == WM_OK)
        st = index_boxes(x, err);
    if (st == WM_OK)
        st = wm_jit_open(sys, opts->engine, &x->jit, err);
    if (st != WM_OK) {
        wm_exec_close(x);
        return st;
    }
    *out = x;
    return WM_OK;
}

/* The worker of single ranges: it has no window of its own. */
static enum wm_status
own_worker(struct wm_exec *x, struct wm_err *err)
{
    uint64_t least = wm_worker_least(x, 1), budget = x->opts.max_memory;
    enum wm_status st;

    if (x->own)
        return WM_OK;
    if (budget < least)
        return wm_fail(err, WM_ELIMIT, NULL,
                       "at least %" PRIu64 " bytes of memory are needed, not %" PRIu64, least,
                       budget);
    x->own = x->sys->malloc(sizeof(*x->own));
    if (!x->own)
        return wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    st = wm_worker_open(x, 1, budget, false, x->own, err);
    if (st != WM_OK) {
        x->sys->free(x->own);
        x->own = NULL;
        return st;
    }
    wm_slab_choose(x, x->own->scratch_n, WINDOW);
    return WM_OK;
}

/* Bytes of an output: by its slabs, each of which stays in memory until another one is asked for.
 */
static enum wm_status
produce_slabs(struct wm_worker *w, const struct wm_plan_out *o, bool encoded, uint64_t off, uint64_t n, char *to)
{
    enum wm_status (*make)(struct wm_worker *, const struct wm_plan_out *, uint64_t, uint64_t, char *) =
        encoded ? wm_window_encoded : wm_window_bytes;
    const struct wm_slab *slab = &w->x->slab[o->geom];
    const struct wm_plan_geom *g = &w->x->geom[o->geom];
    uint64_t unit = encoded ? wm_out_unit(w->x, o) : g->unit;
    enum wm_status st = WM_OK;

    if (!slab->held)
        return make(w, o, off, n, to);
    while (n > 0 && st == WM_OK) {
        int64_t lo, hi;
        uint64_t m;

        wm_slab_range(slab, g->nunit, (int64_t)(off / unit), &lo, &hi);
        m = (uint64_t)hi * unit - off;
        m = m < n ? m : n;
        if (w->held_out != o || w->held_lo != lo)
            st = wm_slab_begin(w, o, lo, hi);
        if (st == WM_OK)
            st = make(w, o, off, m, to);
        off += m;
        to += m;
        n -= m;
    }
    return st;
}

static enum wm_status
produce(struct wm_exec *x, uint32_t out, bool encoded, uint64_t off, uint64_t n, void *p, struct wm_err *err)
{
    const struct wm_plan_out *o = &x->out[out];
    enum wm_status st = own_worker(x, err);

    if (st != WM_OK)
        return st;
    x->own->err = err;
    if (o->file == WM_NONE)
        st = wm_window_units(x->own, o, (int64_t)off, (int64_t)(off + n), NULL);
    else
        st = produce_slabs(x->own, o, encoded, off, n, p);
    if (st == WM_OK)
        st = wm_reads_flush(x->own);
    x->own->reads.n = 0;
    if (st != WM_OK)
        wm_slab_end(x->own);
    return st;
}

enum wm_status
wm_exec_produce(struct wm_exec *x, uint32_t out, uint64_t off, uint64_t n, void *p,
                struct wm_err *err)
{
    return produce(x, out, false, off, n, p, err);
}

enum wm_status
wm_exec_encode(struct wm_exec *x, uint32_t out, uint64_t off, uint64_t n, void *p,
               struct wm_err *err)
{
    return produce(x, out, true, off, n, p, err);
}

enum wm_status
wm_exec_check_sums(struct wm_exec *x, struct wm_err *err)
{
    enum wm_status st = x->ninsum ? own_worker(x, err) : WM_OK;

    if (x->ninsum && st == WM_OK)
        x->own->err = err;
    for (uint64_t i = 0; i < x->ninsum && st == WM_OK; i++) {
        uint32_t crc;

        st = wm_insum_part(x->own, &x->insum[i], x->insum[i].lo, x->insum[i].hi, &crc);
        if (st == WM_OK)
            st = wm_insum_check(x, &x->insum[i], crc, err);
    }
    return st;
}

void
wm_exec_close(struct wm_exec *x)
{
    if (!x)
        return;
    if (x->own) {
        wm_worker_close(x->own);
        x->sys->free(x->own);
    }
    wm_jit_close(x->jit);
    x->sys->free(x->range);
    x->sys->free(x->range_room);
    x->sys->free(x->slab);
    x->sys->free(x);
}
