/* runtime/push_open.c -- how a push session begins.
 *
 * In: a plan, and how much memory there may be.  Out: buffers and threads; inputs that are files have gone to their
 * places.  Where the order of the others is known, the session is rehearsed without data first: memory that would not
 * suffice is refused before anything is read. */
#include "runtime/push_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/pool.h"

enum { LEAST_SLAB = 16 << 10, MOST_SLAB = 256 << 20, MOST_HAND = 4 << 20 };

/* ---- inputs that are there ---- */

/* Portion by portion, like what is pushed. */
static enum wm_status
read_input(struct wm_push *s, uint32_t in)
{
    const struct wm_plan_in *t = &s->x.in[in];
    struct wm_worker *w = &s->hand[0].w;
    enum wm_status st = WM_OK;

    for (uint64_t lo = 0, n; lo < t->nbytes && st == WM_OK; lo += n) {
        char *to;

        if ((st = wm_push_turn_to(s, in, lo)) != WM_OK)
            break;
        to = wm_push_place(s);
        n = s->cur_cap - s->cur_n;
        n = n < t->nbytes - lo ? n : t->nbytes - lo;
        if ((st = wm_reads_add(w, t->file, t->off + lo, n, to)) == WM_OK && (st = wm_reads_flush(w)) == WM_OK)
            st = wm_push_feed(s, in, lo, to, n);
    }
    return st;
}

static enum wm_status
feed_others(struct wm_push *s)
{
    enum wm_status st = WM_OK;

    for (uint32_t i = 0; i < s->x.nin && st == WM_OK; i++) {
        uint64_t n = s->x.in[i].nbytes;

        if (wm_push_is_stream(s, i) || n == 0 || !wm_push_is_read(s, i))
            continue;
        st = s->rehearsal ? wm_push_portion(s, &(struct wm_push_part){.in = i}, n) : read_input(s, i);
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
            st = wm_push_portion(s, &(struct wm_push_part){.in = s->order[i], .lo = lo}, n - lo < step ? n - lo : step);
    }
    s->rehearsal = false;
    *peak = s->peak;
    s->used = s->peak = 0;
    memset(&s->stats, 0, sizeof(s->stats));
    wm_push_count(s);
    return st;
}

/* Where a worker finds bytes of a stream: in the portion that its thread works on, or what is held. */
static const char *
there(void *user, uint32_t file, uint64_t off)
{
    const struct wm_push_hand *k = user;
    uint32_t in = k->s->order[wm_push_find(k->s, file, off)];

    off -= k->s->x.in[in].off;
    return in == k->part.in ? k->part.p + (off - k->part.lo) : k->s->in[in].held + off;
}

static enum wm_status
open_hand(struct wm_push *s, uint64_t budget)
{
    struct wm_push_hand *k = &s->hand[s->nopen];
    enum wm_status st = wm_worker_open(s->exec, s->to.fd ? 0 : 1, budget, false, &k->w, s->err);

    if (st != WM_OK)
        return st;
    s->nopen++;
    k->w.there = there;
    k->w.there_user = k;
    k->made = k->w.scratch;
    k->made_n = k->w.scratch_used = k->w.scratch_n / 2;
    return WM_OK;
}

/* What each thread gets; the slab gets most of it. */
static enum wm_status
share_memory(struct wm_push *s, uint64_t peak)
{
    uint64_t max = s->opts.max_memory, hand = wm_worker_least(s->exec, s->to.fd ? 0 : 1);
    uint64_t slab = s->to.fd ? LEAST_SLAB : WM_PUSH_STEP, rest;
    enum wm_status st = WM_OK;

    if (max < hand + slab || max - hand - slab < peak)
        return wm_fail(s->err, WM_ELIMIT, NULL,
                       "at least %" PRIu64 " bytes of memory are needed, not %" PRIu64 "%s", hand + slab + peak, max,
                       peak ? ": what comes early has to be held back" : "");
    rest = max - peak - slab;
    while (s->nhand > 1 && s->nhand * hand > rest / 2)
        s->nhand--;
    if (rest / 4 / s->nhand > hand)
        hand = rest / 4 / s->nhand < MOST_HAND ? rest / 4 / s->nhand : MOST_HAND;
    rest += slab;
    rest -= hand * s->nhand;
    if (s->opts.any_order && rest >= 4 * WM_PUSH_LEAST)
        rest /= 2; /* for what is held back, nobody knows how much */
    if (s->to.fd)
        slab = rest < MOST_SLAB ? rest - rest % WM_PUSH_ALIGN : MOST_SLAB;
    s->slab_n = slab;
    s->most = max - slab - hand * s->nhand;
    s->slab = s->sys->malloc(slab);
    if (!s->slab)
        return wm_fail(s->err, WM_ENOMEM, NULL, "out of memory (%" PRIu64 " bytes of buffers)", slab);
    s->stats.peak_buffers = slab;
    while (s->nopen < s->nhand && st == WM_OK)
        st = open_hand(s, hand);
    s->hand[0].w.err = s->err;
    return st;
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
        if (wm_push_is_stream(s, i) && s->x.in[i].nbytes)
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

enum wm_status
wm_push_constant(struct wm_push *s, struct wm_plan_bytes b)
{
    return b.len ? s->to.write(s->to.user, s->x.blob + b.off, b.len, s->err) : WM_OK;
}

/* Blocks in memory are made by one thread. */
static void
make_hands(struct wm_push *s)
{
    s->nhand = s->opts.threads;
    if (s->nhand == 0) {
        s->nhand = wm_pool_processors();
        s->nhand = s->nhand < WM_EXEC_THREADS ? s->nhand : WM_EXEC_THREADS;
    }
    if (!s->to.fd)
        s->nhand = 1;
    s->hand = WM_NEW_N(s->a, struct wm_push_hand, s->nhand);
    for (uint32_t i = 0; i < s->nhand; i++)
        s->hand[i].s = s;
}

enum wm_status
wm_push_begin(struct wm_push *s)
{
    struct wm_exec_opts o = {.engine = s->opts.engine};
    uint64_t peak;
    enum wm_status st;

    s->in = WM_NEW_N(s->a, struct wm_push_in, s->x.nin);
    wm_push_count(s);
    s->block_n = s->to.tensor ? UINT64_MAX : 1 << 20;
    make_hands(s);
    if (s->opts.sum && (st = wm_sums_open(&s->sums, &s->x.plan, s->sys, s->err)) != WM_OK)
        return st;
    if ((st = make_order(s)) != WM_OK || (st = wm_exec_open(&s->x.plan, s->sys, &o, &s->exec, s->err)) != WM_OK ||
        (st = rehearse(s, &peak)) != WM_OK || (st = share_memory(s, peak)) != WM_OK)
        return st;
    wm_push_crew_open(s);
    if (!s->to.fd)
        wm_push_blocks(s);
    if (s->to.fd && (st = wm_push_fills(s)) != WM_OK)
        return st;
    if (s->to.write && (st = wm_push_constant(s, s->x.outfile[0].head)) != WM_OK)
        return st;
    st = feed_others(s);
    return st == WM_OK && s->to.write ? wm_push_flow(s) : st;
}
