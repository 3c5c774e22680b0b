/* api/cost.c -- what a run will take: for `wmap plan`, and as numbers.
 *
 * In: a plan and how hard to work.  Out: calls, bytes by the way that they are read, and about how long it takes. */
#include "api/cost.h"

#include <inttypes.h>

enum wm_status
wm_plan_cost(struct wmap_plan *p, const wmap_work *work, struct wm_cost *cost, bool *known, struct wm_err *err)
{
    const struct wm_exec_opts o = {.threads = work ? work->threads : 0,
                                   .max_memory = wm_work_memory(work),
                                   .engine = (enum wm_engine)(work ? work->engine : 0),
                                   .part = p->bind.layout == WM_LAYOUT_IN_PLACE ? WM_EXEC_CHECKS : WM_EXEC_ALL};

    enum wm_status st;

    *cost = (struct wm_cost){.threads = 0};
    *known = !p->source && !p->pushed;
    if (!*known)
        return WM_OK;
    st = wm_cost_of(&p->plan, p->map->ctx->sys, &o, cost, err);
    if (p->stream || o.part == WM_EXEC_CHECKS)
        cost->small_writes = 0; /* there are no files to be made */
    return st;
}

/* ---- text ---- */

static const struct {
    enum wm_tally_id id;
    const char *text;
} ways[] = {
    {WM_T_STRAIGHT, " straight"},
    {WM_T_SCATTERED, " scattered (runs of 512 B and more)"},
    {WM_T_BLOCKS, " in blocks, permuted (shorter runs)"},
    {WM_T_SLABS, " in blocks of several windows, permuted (transposes)"},
    {WM_T_SUMMED, " once more for check sums"},
};
_Static_assert(WM_COST_SCATTER_MIN == 512, "the text says so");

static const struct {
    enum wm_tally_id id;
    const char *text;
} makes[] = {
    {WM_T_COMPUTED, " casts and arithmetic"},
    {WM_T_FILLED, " fills"},
    {WM_T_COMPARED, " comparisons"},
};

/* The line of kernels begins where there is one. */
static void
begin(struct wm_out *o, const uint32_t *some)
{
    if (!*some)
        wm_buf_printf(&o->b, "\n%-8s", "kernels");
}

static void
part(struct wm_out *o, uint32_t *some, uint64_t nbytes, const char *text)
{
    if (!nbytes)
        return;
    wm_buf_putz(&o->b, (*some)++ ? "; " : "");
    wm_out_size(&o->b, nbytes);
    wm_buf_putz(&o->b, text);
}

/* Whose names are those of runtime/kernels/kernels.def; and what else is done in memory. */
static void
put_kernels(const struct wm_cost *cost, struct wm_out *o)
{
    const uint64_t *n = cost->n;
    uint32_t some = 0;

    for (uint32_t k = 0; k < WM_K_N; k++) {
        if (!n[WM_T_KERNEL + k])
            continue;
        begin(o, &some);
        part(o, &some, n[WM_T_KERNEL + k], " ");
        wm_buf_putz(&o->b, wm_kernel_table[k].name);
    }
    for (size_t i = 0; i < WM_COUNTOF(makes); i++)
        if (n[makes[i].id]) {
            begin(o, &some);
            part(o, &some, n[makes[i].id], makes[i].text);
        }
}

/* 0.34 s, in two digits; what is shorter than can be said with files being made is "below". */
static void
put_seconds(struct wm_buf *b, double s)
{
    if (s < 1e-3)
        wm_buf_putz(b, "below 1 ms");
    else if (s < 0.0995)
        wm_buf_printf(b, "%.*f ms", s < 9.95e-3 ? 1 : 0, 1e3 * s);
    else if (s < 99.5)
        wm_buf_printf(b, "%.*f s", s < 0.995 ? 2 : s < 9.95 ? 1 : 0, s);
    else
        wm_buf_printf(b, "%.0f min", s / 60);
}

void
wm_cost_text(const struct wm_cost *cost, struct wm_out *o)
{
    const uint64_t *n = cost->n;
    const char *about = cost->counted < cost->steps ? "about " : "";
    uint64_t needed = 0;
    uint32_t some = 0;

    wm_buf_printf(&o->b, "%-8s", "reads");
    for (size_t i = 0; i < WM_COUNTOF(ways); i++) {
        part(o, &some, n[ways[i].id], ways[i].text);
        needed += n[ways[i].id];
    }
    if (n[WM_T_READ] > needed + needed / 100) /* gaps, and what is read again */
        part(o, &some, n[WM_T_READ] - needed, " more that lies between");
    if (!some)
        wm_buf_putz(&o->b, "none");
    put_kernels(cost, o);
    wm_buf_printf(&o->b, "\n%-8s%s", "calls", about);
    wm_out_count(&o->b, n[WM_T_READS], "read");
    wm_buf_printf(&o->b, ", %s", about);
    wm_out_count(&o->b, n[WM_T_WRITES], "write");
    if (cost->small_writes)
        wm_buf_printf(&o->b, ", and %s%" PRIu64 " small (journal, headers, check sums)", about, cost->small_writes);
    wm_buf_printf(&o->b, "\n%-8s%s", "time", cost->seconds_alone < 1e-3 ? "" : "about ");
    put_seconds(&o->b, cost->seconds_alone);
    wm_buf_putz(&o->b, " on 1 thread");
    if (cost->threads > 1) {
        wm_buf_putz(&o->b, ", ");
        put_seconds(&o->b, cost->seconds);
        wm_buf_printf(&o->b, " on %u", cost->threads);
    }
    wm_buf_printf(&o->b, ", input in the page cache%s\n", cost->compiled ? "; kernels are compiled" : "");
}

/* ---- JSON ---- */

static const struct {
    enum wm_tally_id id;
    const char *key;
} members[] = {
    {WM_T_READS, "reads"},
    {WM_T_WRITES, "writes"},
    {WM_T_READ, "nbytes_read"},
    {WM_T_WRITTEN, "nbytes_written"},
    {WM_T_STRAIGHT, "nbytes_straight"},
    {WM_T_SCATTERED, "nbytes_scattered"},
    {WM_T_BLOCKS, "nbytes_in_blocks"},
    {WM_T_SLABS, "nbytes_in_slabs"},
    {WM_T_SUMMED, "nbytes_summed"},
    {WM_T_FILLED, "nbytes_filled"},
    {WM_T_COMPUTED, "nbytes_computed"},
    {WM_T_COMPARED, "nbytes_compared"},
};

void
wm_cost_json(const struct wm_cost *cost, bool known, struct wm_out *o)
{
    if (!known) {
        wm_js_value(o, "cost");
        wm_buf_putz(&o->b, "null");
        return;
    }
    wm_js_object(o, "cost");
    for (size_t i = 0; i < WM_COUNTOF(members); i++)
        wm_js_uint(o, members[i].key, cost->n[members[i].id]);
    wm_js_object(o, "kernels");
    for (uint32_t k = 0; k < WM_K_N; k++)
        if (cost->n[WM_T_KERNEL + k])
            wm_js_uint(o, wm_kernel_table[k].name, cost->n[WM_T_KERNEL + k]);
    wm_js_close(o);
    wm_js_uint(o, "small_writes", cost->small_writes);
    wm_js_bool(o, "exact", cost->counted == cost->steps);
    wm_js_uint(o, "scatter_from", WM_COST_SCATTER_MIN);
    wm_js_uint(o, "threads", cost->threads);
    wm_js_real(o, "seconds", cost->seconds);
    wm_js_real(o, "seconds_1_thread", cost->seconds_alone);
    wm_js_bool(o, "compiled", cost->compiled);
    wm_js_close(o);
}

/* ---- as numbers ---- */

wmap_status
wmap_plan_cost(wmap_plan *p, const wmap_work *work, wmap_cost *cost)
{
    struct wmap_ctx *ctx = p->map->ctx;
    const uint64_t *n;
    struct wm_cost c;
    bool known;
    enum wm_status st;

    wm_ctx_begin(ctx);
    st = wm_plan_cost(p, work, &c, &known, &ctx->err);
    if (st == WM_OK && !known)
        st = wm_fail(&ctx->err, WM_EUSAGE, NULL, "the input comes as a stream: its calls are not ours to count");
    n = c.n;
    if (st == WM_OK)
        *cost = (wmap_cost){.reads = n[WM_T_READS],
                            .writes = n[WM_T_WRITES],
                            .small_writes = c.small_writes,
                            .bytes_read = n[WM_T_READ],
                            .bytes_written = n[WM_T_WRITTEN],
                            .bytes_straight = n[WM_T_STRAIGHT],
                            .bytes_scattered = n[WM_T_SCATTERED],
                            .bytes_in_blocks = n[WM_T_BLOCKS] + n[WM_T_SLABS],
                            .bytes_computed = n[WM_T_COMPUTED],
                            .exact = c.counted == c.steps,
                            .threads = c.threads,
                            .seconds = c.seconds,
                            .seconds_alone = c.seconds_alone};
    return wm_ctx_end(ctx, st);
}
