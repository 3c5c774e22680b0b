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
/* Of files: an output is created, reserved and renamed; an input is opened by each thread. */
enum { OUTPUT_NS = 120 * 1000, INPUT_NS = 15 * 1000 };

/* ---- in memory: bench/kernel_bench, in the cache ---- */

struct rate {
    uint32_t call, line, run, byte; /* ps: a call of the kernel, a line of it, a run of a line, a byte */
};

static const struct rate copies = {20000, 0, 0, 36};
static const struct rate rates[] = {
    [WM_K_line_1] = {8000, 2000, 350, 0},   [WM_K_line_2] = {8000, 2000, 350, 0},  [WM_K_line_4] = {8000, 2000, 350, 0},
    [WM_K_line_8] = {8000, 2000, 400, 0},   [WM_K_line_16] = {8000, 2000, 600, 0}, [WM_K_line_32] = {8000, 2000, 1100, 0},
    [WM_K_line_64] = {8000, 2000, 2200, 0}, [WM_K_line_any] = {8000, 2000, 4000, 36},
    [WM_K_tile_1] = {20000, 0, 0, 250},     [WM_K_tile_2] = {20000, 0, 0, 107},    [WM_K_tile_4] = {20000, 0, 0, 100},
    [WM_K_tile_8] = {20000, 0, 0, 105},     [WM_K_tile_any] = {20000, 0, 1000, 60},
    [WM_K_zip_1] = {10000, 0, 0, 35},       [WM_K_zip_2] = {10000, 0, 0, 35},      [WM_K_zip_4] = {10000, 0, 0, 35},
    [WM_K_zip_8] = {10000, 0, 0, 40},       [WM_K_spread_1] = {8000, 5000, 0, 78}, [WM_K_spread_2] = {8000, 5000, 0, 78},
    [WM_K_spread_4] = {8000, 5000, 0, 78},  [WM_K_spread_8] = {8000, 5000, 0, 78},
};

uint64_t
wm_cost_permute(const struct wm_kdim *dim, uint32_t rank, uint32_t run)
{
    struct wm_permute_way way;
    const struct rate *r;
    uint64_t lines, runs;

    wm_permute_choose(dim, rank, run, &way);
    r = way.kernel == WM_K_N ? &copies : &rates[way.kernel];
    lines = way.kernel == WM_K_N ? 0 : (uint64_t)way.outer.n;
    runs = way.kernel == WM_K_N ? 1 : lines * (uint64_t)way.inner.n;
    return way.times * (r->call + lines * r->line + runs * r->run + runs * way.run * r->byte);
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
        return 4000;
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
        return 1500 + 2 * element(step->from);
    }
}

/* ---- the whole ---- */

/* What is written beside windows of tensors, and what files take as such, ps. */
static uint64_t
around(const struct wm_plan *p, unsigned threads, struct wm_cost *cost)
{
    uint64_t nout, nin, nsum, nsidecar, opened = 0, bytes = 0;
    const struct wm_plan_outfile *out = wm_plan_section(p, WM_PS_OUTFILE, &nout);
    const struct wm_plan_infile *in = wm_plan_section(p, WM_PS_INFILE, &nin);
    const struct wm_plan_sum *sum = wm_plan_section(p, WM_PS_SUM, &nsum);

    (void)wm_plan_section(p, WM_PS_SIDECAR, &nsidecar);
    for (uint64_t i = 0; i < nout; i++) {
        cost->small_writes += (out[i].head.len > 0) + (out[i].tail.len > 0);
        bytes += out[i].head.len + out[i].tail.len;
    }
    for (uint64_t i = 0; i < nin; i++)
        opened += in[i].codec == WM_CODEC_RAW;
    for (uint64_t i = 0; i < nsum; i++)
        cost->small_writes += sum[i].nfield;
    return 1000 * (cost->small_writes * SMALL_NS + (nout + nsidecar) * OUTPUT_NS + opened * threads * INPUT_NS) +
           bytes * WRITE_PS;
}

enum wm_status
wm_cost_of(const struct wm_plan *p, const struct wm_sys *sys, const struct wm_exec_opts *opts, struct wm_cost *cost,
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
    memory = (double)n[WM_T_MEMORY] + WM_COST_SUM * (double)summed;
    saved = (double)n[WM_T_SAVED] - 1e3 * jit * (opts->engine == WM_ENGINE_JIT ? 1 : 2);
    cost->compiled = opts->engine == WM_ENGINE_JIT || (opts->engine == WM_ENGINE_AUTO && saved > 0);
    memory -= cost->compiled ? saved : 0;
    cost->threads = cost->threads < cost->steps ? cost->threads : cost->steps ? (unsigned)cost->steps : 1;
    alone = calls + writes + memory;
    shared = alone / (cost->threads < real ? cost->threads : real);
    cost->seconds_alone = 1e-12 * (alone + (double)around(p, 1, cost));
    cost->small_writes = 0;
    cost->seconds = 1e-12 * ((shared > writes ? shared : writes) + (double)around(p, cost->threads, cost));
    return WM_OK;
}
