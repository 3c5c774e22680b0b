/* runtime/exec_dry.c -- dry runs: the executor goes through the steps of a run and counts what it would do.
 *
 * In: a plan and the options of a run.  Out: counts.  Nothing is opened, read or moved; where there are more steps than
 * the time allows, a part of each class of them is gone through, one of so many, and stands for those around it. */
#include <string.h>

#include "runtime/exec_run.h"

/* Steps of a class that are looked at first, to see what one takes; work that a dry run may do, about 20 ns a unit: as
 * such, and for each tensor of the output. */
enum { PILOT = 24, WORK = 100000, WORK_TENSOR = 12, WORK_STEP = 12 };

/* ---- counting ---- */

static void
saves(struct wm_worker *w, uint64_t ps, const struct wm_kdim *dim, uint32_t rank, uint32_t in, uint32_t out,
      const struct wm_plan_step *step, uint32_t nstep)
{
    struct wm_jit_nest nest;
    uint64_t n = out, compiled;
    int64_t ignored;

    for (uint32_t k = 0; k < rank; k++)
        n *= (uint64_t)dim[k].n;
    if (!w->tally->compiles || n < WM_COST_JIT_SMALL || !wm_jit_nest_of(&nest, &ignored, dim, rank, in, out, step, nstep))
        return;
    compiled = wm_jit_expected(&nest) * n;
    w->tally->n[WM_T_SAVED] += compiled < ps ? ps - compiled : 0;
}

void
wm_tally_permute(struct wm_worker *w, const struct wm_kdim *dim, uint32_t rank, uint32_t run)
{
    struct wm_permute_way way;
    uint64_t ps;

    wm_permute_choose(dim, rank, run, &way);
    ps = wm_cost_way(&way);
    w->tally->n[WM_T_WORK] += 4;
    w->tally->n[WM_T_MEMORY] += ps;
    if (way.kernel != WM_K_N)
        w->tally->n[WM_T_KERNEL + way.kernel] += way.times * (uint64_t)(way.outer.n * way.inner.n) * way.run;
    saves(w, ps, dim, rank, run, run, NULL, 0);
}

void
wm_tally_cast(struct wm_worker *w, enum wm_dtype from, enum wm_dtype to, uint64_t n)
{
    const struct wm_plan_step step = {.kind = WM_SP_CAST, .from = from, .to = to};

    w->tally->n[WM_T_MEMORY] += n * wm_cost_step(&step);
}

void
wm_tally_chain(struct wm_worker *w, const struct wm_kdim *dim, uint32_t rank, const struct wm_plan_elem *elem,
               bool straight)
{
    const struct wm_plan_step *step = &w->x->step[elem->step];
    uint32_t unit = elem->dst_unit;
    uint64_t ps = 0, n = 1;

    for (uint32_t k = 0; k < rank; k++)
        n *= (uint64_t)dim[k].n;
    for (uint32_t i = 0; i < elem->nstep; i++)
        ps += n * wm_cost_step(&step[i]);
    if (!straight || elem->nstep == 0)
        ps += wm_cost_permute(dim, rank, unit);
    w->tally->n[WM_T_WORK] += 4;
    w->tally->n[WM_T_MEMORY] += ps;
    w->tally->n[WM_T_COMPUTED] += n * unit;
    if (elem->nstep && elem->kind != WM_EL_SCALED)
        saves(w, ps, dim, rank, elem->src_unit, unit, step, elem->nstep);
}

static enum wm_status
count_window(void *user, uint32_t outfile, uint64_t off, const void *p, uint64_t n, struct wm_err *err)
{
    struct wm_tally *t = user;

    (void)outfile, (void)off, (void)p, (void)err;
    t->n[WM_T_WRITES]++;
    t->n[WM_T_WRITTEN] += n;
    return WM_OK;
}

/* ---- going through the steps ---- */

/* Steps of one class are alike enough for some to stand for others. */
enum class { WINDOWS, SLABS, CHECKS, SUMS, CLASSES };

struct dry {
    struct wm_run run;
    struct wm_worker worker;
    struct wm_tally tally;
    uint64_t steps[CLASSES];
    double n[CLASSES][WM_T_N]; /* so far */
    uint64_t counted[CLASSES];
};

static enum class
class_of(const struct wm_stretch *s)
{
    return s->is_sum ? SUMS : s->file == WM_NONE ? CHECKS : s->is_held ? SLABS : WINDOWS;
}

static uint64_t
steps_of(const struct dry *d, uint64_t i)
{
    const struct wm_run *r = &d->run;

    return (i + 1 < r->nstretch ? r->stretch[i + 1].first : r->nwindow) - r->stretch[i].first;
}

/* The step of group `k`, of steps k * every .. of `all`, that stands for it; *size: how many these are.  Places differ,
 * since layers repeat. */
static uint64_t
pick(uint64_t k, uint64_t every, uint64_t all, uint64_t *size)
{
    uint64_t h = k * UINT64_C(0x9e3779b97f4a7c15);

    *size = all - k * every < every ? all - k * every : every;
    return k * every + (h >> 32) % *size;
}

/* Count one step of every `every` of a class, anew. */
static enum wm_status
count_class(struct dry *d, enum class c, uint64_t every)
{
    uint64_t k = 0, before = 0, all = d->steps[c], size, next = pick(0, every, all, &size);
    enum wm_status st = WM_OK;

    memset(d->n[c], 0, sizeof(d->n[c]));
    d->counted[c] = 0;
    for (uint64_t i = 0; i < d->run.nstretch && k * every < all; i++) {
        const struct wm_stretch *s = &d->run.stretch[i];
        uint64_t n = steps_of(d, i);

        if (class_of(s) != c)
            continue;
        while (k * every < all && next < before + n) {
            memset(d->tally.n, 0, sizeof(d->tally.n));
            d->tally.n[WM_T_WORK] = WORK_STEP;
            if ((st = wm_run_step(&d->run, &d->worker, s, next - before)) != WM_OK)
                return st;
            for (int t = 0; t < WM_T_N; t++)
                d->n[c][t] += (double)size * (double)d->tally.n[t];
            d->counted[c]++;
            if (++k * every < all)
                next = pick(k, every, all, &size);
        }
        before += n;
    }
    return st;
}

/* All classes: first a few steps of each, then as many as there is time for. */
static enum wm_status
count_all(struct dry *d)
{
    double budget = WORK + WORK_TENSOR * (double)d->run.x->nout, need = 0;
    enum wm_status st = WM_OK;

    for (enum class c = 0; c < CLASSES && st == WM_OK; c++)
        if (d->steps[c]) {
            st = count_class(d, c, (d->steps[c] + PILOT - 1) / PILOT);
            need += d->n[c][WM_T_WORK];
        }
    for (enum class c = 0; c < CLASSES && st == WM_OK; c++) {
        double share = need > budget ? budget / need : 1;
        uint64_t n = (uint64_t)(share * (double)d->steps[c]);

        if (n > d->counted[c])
            st = count_class(d, c, (d->steps[c] + n - 1) / n);
    }
    return st;
}

/* What is written is known, so a sample of it is made to fit. */
static void
sum_up(const struct dry *d, struct wm_cost *cost)
{
    double n[WM_T_N] = {0}, made = d->n[WINDOWS][WM_T_WRITTEN] + d->n[SLABS][WM_T_WRITTEN];
    double fit = made > 0 ? (double)d->run.x->plan.head->out_bytes / made : 1;

    for (enum class c = 0; c < CLASSES; c++) {
        cost->steps += d->steps[c];
        cost->counted += d->counted[c];
        for (int t = 0; t < WM_T_N; t++)
            n[t] += d->n[c][t] * (c == WINDOWS || c == SLABS ? fit : 1);
    }
    for (int t = 0; t < WM_T_N; t++)
        cost->n[t] = (uint64_t)(n[t] + 0.5);
}

/* What a run of this executor would do. */
static enum wm_status
go_through(struct wm_exec *x, struct wm_cost *cost, struct wm_err *err)
{
    struct dry *d = x->sys->malloc(sizeof(*d));
    struct wm_exec_sink sink = {.write = count_window};
    uint64_t budget;
    enum wm_status st;

    if (!d)
        return wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    memset(d, 0, sizeof(*d));
    sink.user = &d->tally;
    d->run.x = x;
    d->run.sink = &sink;
    d->tally.compiles = x->opts.engine != WM_ENGINE_INTERP;
    if ((st = wm_run_share(x, &cost->threads, &budget, err)) == WM_OK &&
        (st = wm_worker_open(x, x->opts.window, budget, true, &d->worker, err)) == WM_OK) {
        d->worker.tally = &d->tally;
        d->run.window = d->worker.stage_n;
        wm_slab_choose(x, d->worker.scratch_n, d->run.window);
        st = wm_steps_make(&d->run, err);
        for (uint64_t i = 0; i < d->run.nstretch && st == WM_OK; i++)
            d->steps[class_of(&d->run.stretch[i])] += steps_of(d, i);
        if (st == WM_OK && (st = count_all(d)) == WM_OK)
            sum_up(d, cost);
        wm_worker_close(&d->worker);
    }
    x->sys->free(d->run.stretch);
    x->sys->free(d);
    return st;
}

enum wm_status
wm_exec_dry(const struct wm_plan *p, const struct wm_sys *sys, const struct wm_exec_opts *opts, struct wm_cost *cost,
            struct wm_err *err)
{
    struct wm_exec_opts o = *opts;
    struct wm_exec *x;
    enum wm_status st;

    memset(cost, 0, sizeof(*cost));
    o.engine = WM_ENGINE_INTERP; /* nothing is compiled */
    if ((st = wm_exec_open(p, sys, &o, &x, err)) != WM_OK)
        return st;
    x->opts.engine = opts->engine;
    st = go_through(x, cost, err);
    wm_exec_close(x);
    return st;
}
