/* runtime/push.c -- push sessions: which bytes came, and in what portions they are worked on.
 *
 * In: bytes of the input files that are streams.  Small pieces are collected to portions, since a portion of a
 * transpose goes to as many places as it has columns: how large a good one is depends on the input's uses.  Where the
 * order is known, the session is rehearsed without data before the first byte: then memory that would not suffice is
 * refused before anything is read. */
#include "runtime/push_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io.h"

enum { MOST_SLAB = 256 << 20, MOST_STAGE = 2 << 20 };

static bool
is_stream(const struct wm_push *s, uint32_t in)
{
    return s->x.infile[s->x.in[in].file].flags & WM_INFILE_STREAM;
}

/* ---- portions ---- */

static uint64_t
portion_of(struct wm_push *s, uint32_t in)
{
    return s->to.fd ? wm_push_good(s, in, s->slab_n) : WM_PUSH_STEP;
}

static enum wm_status
work_off(struct wm_push *s)
{
    uint64_t n = s->cur_n;
    enum wm_status st = n ? wm_push_portion(s, s->cur, s->cur_lo, s->slab, n) : WM_OK;

    s->cur_lo += n;
    s->cur_n = 0;
    return st;
}

/* The bytes from `lo` of an input are collected next. */
static enum wm_status
turn_to(struct wm_push *s, uint32_t in, uint64_t lo)
{
    enum wm_status st;

    if (s->cur == in && s->cur_lo + s->cur_n == lo)
        return WM_OK;
    if ((st = work_off(s)) != WM_OK)
        return st;
    if (s->cur != in)
        s->cur_cap = portion_of(s, in);
    s->cur = in;
    s->cur_lo = lo;
    return WM_OK;
}

/* Bytes [lo, lo + n) of an input, n > 0. */
static enum wm_status
feed(struct wm_push *s, uint32_t in, uint64_t lo, const char *p, uint64_t n)
{
    uint64_t nbytes = s->x.in[in].nbytes;
    enum wm_status st = turn_to(s, in, lo);

    while (st == WM_OK && n > 0) {
        uint64_t room = s->cur_cap - s->cur_n, m = n < room ? n : room;

        if (s->cur_n == 0 && p != s->slab && (m == s->cur_cap || lo + m == nbytes)) {
            st = wm_push_portion(s, in, lo, p, m);
            s->cur_lo += m;
        } else {
            if (p != s->slab + s->cur_n)
                memmove(s->slab + s->cur_n, p, m);
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

/* ---- inputs that are there ---- */

static enum wm_status
read_input(struct wm_push *s, uint32_t in)
{
    const struct wm_plan_in *t = &s->x.in[in];
    const struct wm_plan_infile *f = &s->x.infile[t->file];
    char *path = wm_arena_cstr(s->a, wm_plan_str(&s->x.plan, f->path));
    struct stat stat;
    int fd;
    enum wm_status st = wm_io_open(s->sys, path, false, &fd, &stat, s->err);

    if (st != WM_OK)
        return st;
    if ((uint64_t)stat.st_size != f->size || stat.st_mtim.tv_sec != f->mtime_sec ||
        stat.st_mtim.tv_nsec != f->mtime_nsec)
        st = wm_fail(s->err, WM_EIO, path, "changed since it was planned");
    for (uint64_t lo = 0; st == WM_OK && lo < t->nbytes; lo += WM_PUSH_LEAST) {
        uint64_t n = t->nbytes - lo < WM_PUSH_LEAST ? t->nbytes - lo : WM_PUSH_LEAST;

        st = wm_io_pread(s->sys, fd, path, s->slab, n, t->off + lo, s->err);
        if (st == WM_OK)
            st = wm_push_portion(s, in, lo, s->slab, n);
    }
    s->sys->close(fd);
    return st;
}

static enum wm_status
feed_others(struct wm_push *s)
{
    enum wm_status st = WM_OK;

    for (uint32_t i = 0; i < s->x.nin && st == WM_OK; i++) {
        const struct wm_plan_in *t = &s->x.in[i];
        const struct wm_plan_infile *f = &s->x.infile[t->file];
        const char *p = s->rehearsal ? NULL : s->x.blob + f->lo + t->off;

        if (is_stream(s, i) || t->nbytes == 0)
            continue;
        if (f->codec == WM_CODEC_BLOB || (s->rehearsal && f->codec == WM_CODEC_RAW))
            st = wm_push_portion(s, i, 0, p, t->nbytes);
        else if (f->codec == WM_CODEC_RAW)
            st = read_input(s, i);
        else
            st = wm_fail(s->err, WM_ESUPPORT, NULL, "'%.*s' has to be decoded, which a stream does not do",
                         WM_STR_ARG(wm_plan_str(&s->x.plan, t->name)));
    }
    return st;
}

/* ---- memory ---- */

static enum wm_status
rehearse(struct wm_push *s, uint64_t *peak)
{
    enum wm_status st;

    *peak = 0;
    if (s->opts.any_order)
        return WM_OK;
    s->rehearsal = true;
    if (!s->to.fd)
        wm_push_blocks(s);
    if ((st = feed_others(s)) == WM_OK && s->to.write)
        st = wm_push_flow(s);
    for (uint64_t i = 0; i < s->norder && st == WM_OK; i++) {
        uint64_t n = s->x.in[s->order[i]].nbytes, step = s->to.fd ? n : WM_PUSH_STEP;

        for (uint64_t lo = 0; lo < n && st == WM_OK; lo += step)
            st = wm_push_portion(s, s->order[i], lo, NULL, n - lo < step ? n - lo : step);
    }
    s->rehearsal = false;
    *peak = s->peak;
    s->used = s->peak = 0;
    memset(&s->stats, 0, sizeof(s->stats));
    wm_push_count(s);
    return st;
}

/* One allocation for all that has a fixed size. */
static enum wm_status
share_memory(struct wm_push *s, uint64_t peak)
{
    uint64_t fixed = 2 * WM_PUSH_PAIR, max = s->opts.max_memory, least, rest;
    char *p;

    least = fixed + peak + (s->to.fd ? 2 * WM_PUSH_LEAST : WM_PUSH_STEP);
    if (max < least)
        return wm_fail(s->err, WM_ELIMIT, NULL,
                       "at least %" PRIu64 " bytes of memory are needed, not %" PRIu64
                       ": what comes early has to be held back",
                       least, max);
    rest = max - fixed - peak;
    if (s->opts.any_order && rest >= 4 * WM_PUSH_LEAST)
        rest /= 2; /* for what is held back, nobody knows how much */
    s->slab_n = WM_PUSH_STEP;
    if (s->to.fd) {
        s->stage_n = rest / 4 < MOST_STAGE ? rest / 4 : MOST_STAGE;
        s->stage_n = s->stage_n < WM_PUSH_LEAST ? WM_PUSH_LEAST : s->stage_n;
        s->slab_n = rest - s->stage_n < MOST_SLAB ? rest - s->stage_n : MOST_SLAB;
        s->slab_n -= s->slab_n % WM_PUSH_ALIGN;
    }
    s->most = max - fixed - s->slab_n - s->stage_n;
    fixed += s->slab_n + s->stage_n;
    p = s->sys->malloc(fixed);
    if (!p)
        return wm_fail(s->err, WM_ENOMEM, NULL, "out of memory (%" PRIu64 " bytes of buffers)", fixed);
    s->slab = p;
    s->stage = p + s->slab_n;
    s->pair[0] = s->stage + s->stage_n;
    s->pair[1] = s->pair[0] + WM_PUSH_PAIR;
    s->stats.peak_buffers = fixed;
    return WM_OK;
}

/* ---- sessions ---- */

static int
by_place(const void *p, const void *q, void *user)
{
    const struct wm_scatter *x = user;
    const struct wm_plan_in *a = &x->in[*(const uint32_t *)p], *b = &x->in[*(const uint32_t *)q];

    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    return a->off != b->off ? (a->off < b->off ? -1 : 1) : 0;
}

static enum wm_status
make_order(struct wm_push *s)
{
    s->order = WM_NEW_N(s->a, uint32_t, s->x.nin);
    for (uint32_t i = 0; i < s->x.nin; i++)
        if (is_stream(s, i) && s->x.in[i].nbytes)
            s->order[s->norder++] = i;
    if (s->norder > 1)
        qsort_r(s->order, s->norder, sizeof(*s->order), by_place, &s->x);
    for (uint64_t i = 1; i < s->norder; i++) {
        const struct wm_plan_in *a = &s->x.in[s->order[i - 1]], *b = &s->x.in[s->order[i]];

        if (a->file == b->file && b->off - a->off < a->nbytes)
            return wm_fail(s->err, WM_ESUPPORT, NULL, "'%.*s' and '%.*s' share bytes, which a stream can't do",
                           WM_STR_ARG(wm_plan_str(&s->x.plan, a->name)),
                           WM_STR_ARG(wm_plan_str(&s->x.plan, b->name)));
    }
    return WM_OK;
}

static enum wm_status
write_constant(struct wm_push *s, struct wm_plan_bytes b)
{
    return b.len ? s->to.write(s->to.user, s->x.blob + b.off, b.len, s->err) : WM_OK;
}

static enum wm_status
open_session(struct wm_push *s)
{
    uint64_t peak;
    enum wm_status st;

    s->in = WM_NEW_N(s->a, struct wm_push_in, s->x.nin);
    wm_push_count(s);
    s->block_n = s->to.tensor ? UINT64_MAX : 1 << 20;
    if ((st = make_order(s)) != WM_OK || (st = rehearse(s, &peak)) != WM_OK || (st = share_memory(s, peak)) != WM_OK)
        return st;
    if (!s->to.fd)
        wm_push_blocks(s);
    if (s->to.fd && (st = wm_push_fills(s)) != WM_OK)
        return st;
    if (s->to.write && (st = write_constant(s, s->x.outfile[0].head)) != WM_OK)
        return st;
    st = feed_others(s);
    return st == WM_OK && s->to.write ? wm_push_flow(s) : st;
}

/* What only windows can make. */
static enum wm_status
check_plan(const struct wm_plan *p, struct wm_err *err)
{
    uint64_t nout, nelem;
    const struct wm_plan_out *out = wm_plan_section(p, WM_PS_OUT, &nout);
    const struct wm_plan_elem *elem = wm_plan_section(p, WM_PS_ELEM, &nelem);

    for (uint64_t i = 0; i < nout; i++)
        if (out[i].codec != WM_CODEC_RAW)
            return wm_fail(err, WM_ESUPPORT, NULL, "'%.*s' is written number by number (msgpack), for which the input has to "
                           "be a file: it can't come from a stream", WM_STR_ARG(wm_plan_str(p, out[i].name)));
    for (uint64_t i = 0; i < nelem; i++)
        if (elem[i].kind == WM_EL_LOWRANK)
            return wm_fail(err, WM_ESUPPORT, NULL, "an adapter is merged into weights that are read from files, not "
                           "from a stream");
        else if (elem[i].kind == WM_EL_SCALED)
            return wm_fail(err, WM_ESUPPORT, NULL, "weights are multiplied by their scales where both are read from files, "
                           "not from a stream");
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
        st = open_session(s);
    if (st != WM_OK)
        wm_push_close(s);
    *out = st == WM_OK ? s : NULL;
    return st;
}

/* ---- what came ---- */

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
static uint64_t
find_input(const struct wm_push *s, uint32_t file, uint64_t off)
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

    s->err = err;
    if (n == 0)
        return WM_OK;
    if (infile >= s->x.ninfile || end < off || end > s->x.infile[infile].size)
        return wm_fail(err, WM_EUSAGE, NULL, "bytes %" PRIu64 " to %" PRIu64 " are not of the input", off, end);
    if ((st = note_span(s, infile, off, end)) != WM_OK)
        return st;
    s->stats.bytes_read += n;
    for (uint64_t i = find_input(s, infile, off); i < s->norder && st == WM_OK; i++) {
        const struct wm_plan_in *t = &s->x.in[s->order[i]];
        uint64_t lo = t->off > off ? t->off : off, hi = t->off + t->nbytes < end ? t->off + t->nbytes : end;

        if (t->file != infile || lo >= hi)
            break;
        st = feed(s, s->order[i], lo - t->off, p + (lo - off), hi - lo);
    }
    return st;
}

char *
wm_push_room(struct wm_push *s, uint32_t infile, uint64_t off, uint64_t *n)
{
    uint64_t i = find_input(s, infile, off);
    const struct wm_plan_in *t = i < s->norder ? &s->x.in[s->order[i]] : NULL;
    bool goes_on = t && t->file == infile && s->cur == s->order[i] && s->cur_lo + s->cur_n == off - t->off;
    uint64_t used = goes_on ? s->cur_n : 0, cap = goes_on ? s->cur_cap : WM_PUSH_LEAST;

    if (s->cur_n && !goes_on) { /* another input waits in the room */
        *n = 0;
        return NULL;
    }
    *n = cap - used;
    return s->slab + used;
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

enum wm_status
wm_push_finish(struct wm_push *s, struct wm_exec_stats *stats, struct wm_err *err)
{
    enum wm_status st;

    s->err = err;
    if ((st = work_off(s)) != WM_OK || (st = all_came(s)) != WM_OK)
        return st;
    if (!s->to.fd)
        st = wm_push_flow(s);
    if (st == WM_OK && !s->to.fd && s->next_out < s->x.nout)
        st = wm_fail(err, WM_EFORMAT, NULL, "the plan leaves an output incomplete");
    if (st == WM_OK && s->to.write)
        st = write_constant(s, s->x.outfile[0].tail);
    s->stats.peak_buffers += s->peak;
    if (s->to.fd)
        s->stats.bytes_written = s->x.plan.head->out_bytes;
    if (stats)
        *stats = s->stats;
    return st;
}

void
wm_push_close(struct wm_push *s)
{
    if (!s)
        return;
    wm_push_let_go(s);
    wm_push_blocks_free(s);
    s->sys->free(s->slab);
    s->slab = NULL;
}
