/* runtime/push.c -- push sessions: which bytes came, and in what portions they are worked on.
 *
 * In: bytes of the input files that are streams.  Small pieces are collected to portions, since a portion of a
 * transpose goes to as many places as it has columns: how large a good one is depends on the input's uses.  A portion is
 * cut to pieces, which threads take; meanwhile the next one is collected. */
#include "runtime/push_priv.h"

#include <inttypes.h>
#include <string.h>

#include "runtime/io.h"

bool
wm_push_is_stream(const struct wm_push *s, uint32_t in)
{
    return s->x.infile[s->x.in[in].file].flags & WM_INFILE_STREAM;
}

/* ---- portions ---- */

/* n bytes of an input at p: in the slab (room), or in memory of the caller (NULL). */
static enum wm_status
work_on(struct wm_push *s, uint32_t in, uint64_t lo, const char *p, uint64_t n, const char *room)
{
    struct wm_push_part part = {in, lo, p, wm_push_take_off(s, room, s->cur_cap)};
    enum wm_status st = wm_push_portion(s, &part, n), other = wm_push_landed(s, part.flight);

    return st == WM_OK ? other : st;
}

static enum wm_status
work_off(struct wm_push *s)
{
    uint64_t n = s->cur_n;
    enum wm_status st = n ? work_on(s, s->cur, s->cur_lo, s->room, n, s->room) : WM_OK;

    s->cur_lo += n;
    s->cur_n = 0;
    s->room = NULL;
    return st;
}

/* The next portion is of this input. */
static void
choose_cap(struct wm_push *s, uint32_t in)
{
    uint64_t nbytes = s->x.in[in].nbytes;

    if (s->cur != in)
        s->cur_cap = s->to.fd ? wm_push_good(s, in, s->slab_n) : WM_PUSH_STEP;
    s->cur_cap = s->cur_cap < nbytes ? s->cur_cap : nbytes;
    s->cur = in;
}

enum wm_status
wm_push_turn_to(struct wm_push *s, uint32_t in, uint64_t lo)
{
    enum wm_status st;

    if (s->cur == in && s->cur_lo + s->cur_n == lo)
        return WM_OK;
    if ((st = work_off(s)) != WM_OK)
        return st;
    choose_cap(s, in);
    s->cur_lo = lo;
    return WM_OK;
}

char *
wm_push_place(struct wm_push *s)
{
    if (!s->room)
        s->room = wm_push_space(s, s->cur_cap);
    return s->room + s->cur_n;
}

enum wm_status
wm_push_feed(struct wm_push *s, uint32_t in, uint64_t lo, const char *p, uint64_t n)
{
    uint64_t nbytes = s->x.in[in].nbytes;
    enum wm_status st = WM_OK;

    while (st == WM_OK && n > 0) {
        uint64_t room = s->cur_cap - s->cur_n, m = n < room ? n : room;

        if (s->cur_n == 0 && p != s->room && (m == s->cur_cap || lo + m == nbytes)) {
            st = work_on(s, in, lo, p, m, NULL);
            s->cur_lo += m;
        } else {
            char *to = wm_push_place(s);

            if (p != to)
                memcpy(to, p, m);
            s->cur_n += m;
            if (s->cur_n == s->cur_cap || lo + m == nbytes)
                st = work_off(s);
        }
        lo += m;
        p += m;
        n -= m;
    }
    return st;
}

/* ---- sessions ---- */

/* What only windows can make. */
static enum wm_status
check_plan(const struct wm_plan *p, struct wm_err *err)
{
    uint64_t nout;
    const struct wm_plan_out *out = wm_plan_section(p, WM_PS_OUT, &nout);

    for (uint64_t i = 0; i < nout; i++)
        if (out[i].codec != WM_CODEC_RAW)
            return wm_fail(err, WM_ESUPPORT, NULL, "'%.*s' is written number by number (msgpack), for which the input has to "
                           "be a file: it can't come from a stream", WM_STR_ARG(wm_plan_str(p, out[i].name)));
    return WM_OK;
}

enum wm_status
wm_push_open(struct wm_arena *a, const struct wm_sys *sys, const struct wm_plan *p, const struct wm_push_opts *opts,
             const struct wm_push_to *to, struct wm_push **out, struct wm_err *err)
{
    struct wm_push *s = WM_NEW(a, struct wm_push);
    enum wm_status st;

    s->a = a;
    s->sys = sys;
    s->opts = *opts;
    s->to = *to;
    s->err = err;
    s->cur = WM_NONE;
    if (s->opts.max_memory == 0)
        s->opts.max_memory = WM_EXEC_MEMORY;
    wm_scatter_init(&s->x, a, p);
    if ((st = check_plan(p, err)) == WM_OK)
        st = wm_push_begin(s);
    if (st != WM_OK)
        wm_push_close(s);
    *out = st == WM_OK ? s : NULL;
    return st;
}

/* ---- what came ---- */

/* Where a failure is written: the caller's place, from call to call. */
static void
take_err(struct wm_push *s, struct wm_err *err)
{
    s->err = err;
    s->hand[0].w.err = err;
}

/* The first span that ends at or behind a place. */
static uint32_t
find_span(const struct wm_push *s, uint32_t file, uint64_t at)
{
    uint32_t a = 0, b = s->came.n;

    while (a < b) {
        uint32_t mid = a + (b - a) / 2;
        const struct wm_push_span *x = &s->came.item[mid];

        if (x->file < file || (x->file == file && x->hi < at))
            a = mid + 1;
        else
            b = mid;
    }
    return a;
}

static enum wm_status
note_span(struct wm_push *s, uint32_t file, uint64_t lo, uint64_t hi)
{
    uint32_t i = find_span(s, file, lo), n;
    struct wm_push_span *x = s->came.item ? &s->came.item[i] : NULL, span = {file, lo, hi};
    bool meets = i < s->came.n && x->file == file && x->hi == lo, before;

    n = meets ? i + 1 : i;
    before = n < s->came.n && s->came.item[n].file == file;
    if ((i < s->came.n && !meets && x->file == file && x->lo < hi) || (before && s->came.item[n].lo < hi))
        return wm_fail(s->err, WM_EUSAGE, NULL, "bytes %" PRIu64 " to %" PRIu64 " were pushed twice", lo, hi);
    before = before && s->came.item[n].lo == hi;
    if (meets && before) {
        x->hi = s->came.item[n].hi;
        memmove(x + 1, x + 2, (s->came.n - n - 1) * sizeof(*x));
        s->came.n--;
    } else if (meets) {
        x->hi = hi;
    } else if (before) {
        s->came.item[n].lo = lo;
    } else {
        (void)WM_PUSH(s->a, &s->came);
        memmove(s->came.item + i + 1, s->came.item + i, (s->came.n - 1 - i) * sizeof(span));
        s->came.item[i] = span;
    }
    return WM_OK;
}

/* The first pushed input that ends behind a place of a file: a number in `order`. */
uint64_t
wm_push_find(const struct wm_push *s, uint32_t file, uint64_t off)
{
    uint64_t a = 0, b = s->norder;

    while (a < b) {
        uint64_t mid = a + (b - a) / 2;
        const struct wm_plan_in *t = &s->x.in[s->order[mid]];

        if (t->file < file || (t->file == file && t->off + t->nbytes <= off))
            a = mid + 1;
        else
            b = mid;
    }
    return a;
}

enum wm_status
wm_push_bytes(struct wm_push *s, uint32_t infile, uint64_t off, const void *bytes, uint64_t n, struct wm_err *err)
{
    const char *p = bytes;
    uint64_t end = off + n;
    enum wm_status st;

    take_err(s, err);
    if (n == 0)
        return WM_OK;
    if (infile >= s->x.ninfile || end < off || end > s->x.infile[infile].size)
        return wm_fail(err, WM_EUSAGE, NULL, "bytes %" PRIu64 " to %" PRIu64 " are not of the input", off, end);
    if ((st = note_span(s, infile, off, end)) != WM_OK)
        return st;
    s->stats.bytes_read += n;
    for (uint64_t i = wm_push_find(s, infile, off); i < s->norder && st == WM_OK; i++) {
        const struct wm_plan_in *t = &s->x.in[s->order[i]];
        uint64_t lo = t->off > off ? t->off : off, hi = t->off + t->nbytes < end ? t->off + t->nbytes : end;

        if (t->file != infile || lo >= hi)
            break;
        if ((st = wm_push_turn_to(s, s->order[i], lo - t->off)) == WM_OK)
            st = wm_push_feed(s, s->order[i], lo - t->off, p + (lo - off), hi - lo);
    }
    return st;
}

char *
wm_push_room(struct wm_push *s, uint32_t infile, uint64_t off, uint64_t *n)
{
    uint64_t i = wm_push_find(s, infile, off), left;
    const struct wm_plan_in *t = i < s->norder ? &s->x.in[s->order[i]] : NULL;
    bool in_it = t && t->file == infile && off >= t->off, goes_on;

    *n = 0;
    if (!in_it)
        return NULL;
    left = t->nbytes - (off - t->off);
    goes_on = s->cur == s->order[i] && s->cur_lo + s->cur_n == off - t->off;
    if (!goes_on && (s->cur_n || left < WM_PUSH_LEAST)) /* another input waits in the room, or several fit into one read */
        return NULL;
    if (!goes_on) {
        choose_cap(s, s->order[i]);
        s->cur_lo = off - t->off;
    }
    *n = s->cur_cap - s->cur_n < left ? s->cur_cap - s->cur_n : left;
    return wm_push_place(s);
}

static enum wm_status
all_came(struct wm_push *s)
{
    for (uint64_t i = 0; i < s->norder; i++) {
        const struct wm_plan_in *t = &s->x.in[s->order[i]];

        if (s->in[s->order[i]].got != t->nbytes)
            return wm_fail(s->err, WM_EFORMAT, NULL, "'%.*s' did not come whole: %" PRIu64 " bytes of %" PRIu64,
                           WM_STR_ARG(wm_plan_str(&s->x.plan, t->name)), s->in[s->order[i]].got, t->nbytes);
    }
    return WM_OK;
}

/* What the hands counted. */
static void
gather(struct wm_push *s)
{
    for (uint32_t i = 0; i < s->nopen; i++) {
        const struct wm_exec_stats *x = &s->hand[i].w.stats;

        s->stats.bytes_read += x->bytes_read;
        s->stats.syscalls += x->syscalls;
        s->stats.peak_buffers += x->peak_buffers;
        s->stats.cast_overflow += x->cast_overflow;
        s->stats.cast_nan += x->cast_nan;
        s->stats.cast_inexact += x->cast_inexact;
    }
    s->stats.peak_buffers += s->peak;
    s->stats.kernels = wm_jit_count(s->exec->jit);
    if (s->to.fd)
        s->stats.bytes_written = s->x.plan.head->out_bytes;
}

enum wm_status
wm_push_finish(struct wm_push *s, struct wm_exec_stats *stats, struct wm_err *err)
{
    enum wm_status st;

    take_err(s, err);
    if ((st = work_off(s)) != WM_OK || (st = wm_push_drain(s)) != WM_OK || (st = all_came(s)) != WM_OK)
        return st;
    if (!s->to.fd)
        st = wm_push_flow(s);
    if (st == WM_OK && !s->to.fd && s->next_out < s->x.nout)
        st = wm_fail(err, WM_EFORMAT, NULL, "the plan leaves an output incomplete");
    if (st == WM_OK && s->to.write)
        st = wm_push_constant(s, s->x.outfile[0].tail);
    if (st == WM_OK)
        st = wm_exec_check_inputs(s->exec, err);
    if (s->opts.sum)
        wm_sums_take(&s->sums, s->opts.sum);
    for (uint64_t i = 0; i < s->sums.n; i++)
        s->opts.known[i] = wm_sums_whole(&s->sums, i);
    gather(s);
    if (stats)
        *stats = s->stats;
    return st;
}

void
wm_push_close(struct wm_push *s)
{
    if (!s)
        return;
    wm_push_crew_close(s);
    wm_push_let_go(s);
    wm_push_blocks_free(s);
    for (; s->nopen > 0; s->nopen--)
        wm_worker_close(&s->hand[s->nopen - 1].w);
    wm_sums_close(&s->sums);
    wm_exec_close(s->exec);
    s->exec = NULL;
    s->sys->free(s->slab);
    s->slab = NULL;
}
