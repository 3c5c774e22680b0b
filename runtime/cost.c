/* runtime/cost.c -- from counts to time, by constants that were measured.
 *
 * In: what a dry run counted.  Out: seconds, with inputs in the page cache and an output of fresh, reserved pages.
 * The constants are of the machine that docs/performance.md names (AMD EPYC of 2025, a virtual machine, ext4), when it
 * was quiet; another one is faster or slower by a factor that is about the same for all plans. */
#include "runtime/cost.h"

#include "runtime/pool.h"

/* Of system calls: ns a call; ps a byte and a place in memory (bench/cost_bench).  Writes to one file wait for each
 * other. */
enum { READ_NS = 550, PLACE_PS = 15000, READ_PS = 80, WRITE_NS = 2000, WRITE_PS = 160, SMALL_NS = 2000 };
/* Of blocks for several windows: they do not fit the cache, so the memory is asked twice more; ps a byte. */
enum { SLAB_PS = 60 };
/* Memory for a thread with which it makes blocks large enough for any transpose to be read about once. */
enum { ENOUGH = 4 << 20 };
/* What threads take longer for waiting for each other and for the memory. */
enum { WAIT_PERCENT = 10 };
/* Of files: an output is created, reserved and renamed; an input is opened by each thread. */
enum { OUTPUT_NS = 120 * 1000, INPUT_NS = 15 * 1000 };

/* ---- in memory: bench/kernel_bench, in the cache ---- */

struct rate {
    uint32_t call, line, run, byte; /* ps: a call of the kernel, a line of it, a run of a line, a byte */
};

static const struct rate copies = {20000, 0, 0, 36}, short_runs = {3000, 1000, 1400, 0}, every_second = {3000, 1000, 0, 65};
static const struct rate rates[] = {
    [WM_K_line_1] = {3000, 1000, 1100, 0},  [WM_K_line_2] = {3000, 1000, 1100, 0},  [WM_K_line_4] = {3000, 1000, 1100, 0},
    [WM_K_line_8] = {3000, 1000, 1100, 0},  [WM_K_line_16] = {3000, 1000, 1200, 0}, [WM_K_line_32] = {3000, 1000, 1600, 0},
    [WM_K_line_64] = {3000, 1000, 2300, 0}, [WM_K_line_any] = {8000, 2000, 3000, 36},
    [WM_K_tile_1] = {20000, 0, 0, 250},     [WM_K_tile_2] = {20000, 0, 0, 107},    [WM_K_tile_4] = {20000, 0, 0, 100},
    [WM_K_tile_8] = {20000, 0, 0, 105},     [WM_K_tile_any] = {20000, 0, 1000, 60},
    [WM_K_zip_1] = {10000, 0, 0, 35},       [WM_K_zip_2] = {10000, 0, 0, 35},      [WM_K_zip_4] = {10000, 0, 0, 35},
    [WM_K_zip_8] = {10000, 0, 0, 40},       [WM_K_spread_1] = {8000, 5000, 0, 78}, [WM_K_spread_2] = {8000, 5000, 0, 78},
    [WM_K_spread_4] = {8000, 5000, 0, 78},  [WM_K_spread_8] = {8000, 5000, 0, 78},
};

static const struct rate *
rate_of(const struct wm_permute_way *way)
{
    const struct wm_kdim *d = &way->inner;
    int64_t run = way->run;

    if (way->kernel == WM_K_N)
        return &copies;
    if (way->kernel <= WM_K_line_8 && ((d->dst == run && d->src == 2 * run) || (d->dst == 2 * run && d->src == run)))
        return &every_second;
    return way->kernel == WM_K_line_any && run < 16 ? &short_runs : &rates[way->kernel];
}

uint64_t
wm_cost_way(const struct wm_permute_way *way)
{
    const struct rate *r = rate_of(way);
    uint64_t lines = way->kernel == WM_K_N ? 1 : (uint64_t)way->outer.n;
    uint64_t runs = way->kernel == WM_K_N ? 1 : lines * (uint64_t)way->inner.n;

    return way->times * (r->call + lines * r->line + runs * r->run + runs * way->run * r->byte);
}

uint64_t
wm_cost_permute(const struct wm_kdim *dim, uint32_t rank, uint32_t run)
{
    struct wm_permute_way way;

    wm_permute_choose(dim, rank, run, &way);
    return wm_cost_way(&way);
}

/* Picoseconds to read an element of a type, or to round to it. */
static uint64_t
element(uint32_t t)
{
    switch (t) {
    case WM_DT_F32:
        return 90;
    case WM_DT_BF16:
        return 110;
    case WM_DT_F16:
        return 300;
    case WM_DT_F64:
        return 2200;
    default:
        return 1400;
    }
}

uint64_t
wm_cost_step(const struct wm_plan_step *step)
{
    bool wide = step->from == WM_DT_F32 || step->to == WM_DT_F32;

    switch (step->kind) {
    case WM_SP_CAST:
        return element(step->from) + element(step->to) + (wide ? 100 : 200);
    case WM_SP_UNCAST:
        return 2 * (element(step->from) + element(step->to)) + 200;
    case WM_SP_EXP:
    case WM_SP_LOG:
        return 8000 + 2 * element(step->from);
    default:
        return 250 + 2 * element(step->from);
    }
}

/* ---- the whole ---- */

/* What files take as such, ps, with what is written beside windows of tensors: the journal has a head, and a record for
 * each of them. */
static uint64_t
around(const struct wm_plan *p, unsigned threads, struct wm_cost *cost)
{
    uint64_t nout, nin, nsum, nsidecar, opened = 0, bytes = 0, writes = 1 + cost->n[WM_T_WRITES];
    const struct wm_plan_outfile *out = wm_plan_section(p, WM_PS_OUTFILE, &nout);
    const struct wm_plan_infile *in = wm_plan_section(p, WM_PS_INFILE, &nin);
    const struct wm_plan_sum *sum = wm_plan_section(p, WM_PS_SUM, &nsum);

    (void)wm_plan_section(p, WM_PS_SIDECAR, &nsidecar);
    writes += nsidecar;
    for (uint64_t i = 0; i < nout; i++) {
        writes += (out[i].head.len > 0) + (out[i].tail.len > 0);
        bytes += out[i].head.len + out[i].tail.len;
    }
    for (uint64_t i = 0; i < nin; i++)
        opened += in[i].codec == WM_CODEC_RAW;
    for (uint64_t i = 0; i < nsum; i++)
        writes += sum[i].nfield;
    cost->small_writes = writes;
    return 1000 * (writes * SMALL_NS + (nout + nsidecar) * OUTPUT_NS + opened * threads * INPUT_NS) +
           bytes * WRITE_PS;
}

static enum wm_status
cost_of(const struct wm_plan *p, const struct wm_sys *sys, const struct wm_exec_opts *opts, struct wm_cost *cost,
        struct wm_err *err)
{
    const double jit = WM_COST_JIT_LOAD + WM_COST_JIT_COMPILE;
    enum wm_status st = wm_exec_dry(p, sys, opts, cost, err);
    const uint64_t *n = cost->n;
    uint64_t nsum, summed = 0;
    const struct wm_plan_sum *sum = wm_plan_section(p, WM_PS_SUM, &nsum);
    double calls, writes, memory, saved, alone, shared;
    unsigned real = wm_pool_processors();

    if (st != WM_OK)
        return st;
    for (uint64_t i = 0; i < nsum; i++)
        summed += sum[i].hi - sum[i].lo;
    calls = 1e3 * READ_NS * (double)n[WM_T_READS] + PLACE_PS * (double)n[WM_T_PLACES] + READ_PS * (double)n[WM_T_READ];
    writes = 1e3 * WRITE_NS * (double)n[WM_T_WRITES] + WRITE_PS * (double)n[WM_T_WRITTEN];
    memory = (double)n[WM_T_MEMORY] + WM_COST_SUM * (double)summed + SLAB_PS * (double)n[WM_T_SLABS];
    saved = (double)n[WM_T_SAVED] - 1e3 * jit * (opts->engine == WM_ENGINE_JIT ? 1 : 2);
    cost->compiled = opts->engine == WM_ENGINE_JIT || (opts->engine == WM_ENGINE_AUTO && saved > 0 && wm_jit_is_here(sys));
    memory -= cost->compiled ? saved : 0;
    cost->threads = cost->threads < cost->steps ? cost->threads : cost->steps ? (unsigned)cost->steps : 1;
    alone = calls + writes + memory;
    shared = alone / (cost->threads < real ? cost->threads : real);
    cost->seconds_alone = 1e-12 * (alone + (double)around(p, 1, cost));
    shared = shared > writes ? shared : writes;
    if (cost->threads > 1)
        shared += shared * WAIT_PERCENT / 100;
    cost->seconds = 1e-12 * (shared + (double)around(p, cost->threads, cost));
    return WM_OK;
}

unsigned
wm_cost_threads(const struct wm_plan *p, const struct wm_sys *sys, const struct wm_exec_opts *opts)
{
    struct wm_exec_opts o = *opts;
    unsigned best;
    struct wm_cost all, fewer;
    struct wm_err ignored;
    double least;

    if (o.threads == 0)
        o.threads = wm_pool_processors() < WM_EXEC_THREADS ? wm_pool_processors() : WM_EXEC_THREADS;
    best = o.threads;
    if (o.max_memory == 0 || o.max_memory / best >= ENOUGH || cost_of(p, sys, &o, &all, &ignored) != WM_OK)
        return best;
    least = all.seconds;
    while (o.threads > 1 && o.max_memory / o.threads < ENOUGH) {
        o.threads /= 2;
        if (cost_of(p, sys, &o, &fewer, &ignored) == WM_OK && fewer.seconds < least &&
            fewer.seconds_alone < all.seconds_alone / 2) {
            best = o.threads;
            least = fewer.seconds;
        }
    }
    return best;
}

enum wm_status
wm_cost_of(const struct wm_plan *p, const struct wm_sys *sys, const struct wm_exec_opts *opts, struct wm_cost *cost,
           struct wm_err *err)
{
    struct wm_exec_opts o = *opts;

    o.threads = wm_cost_threads(p, sys, opts);
    return cost_of(p, sys, &o, cost, err);
}
