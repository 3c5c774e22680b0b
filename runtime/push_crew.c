/* runtime/push_crew.c -- the threads of a push session.
 *
 * In: pieces of the portion that the caller's thread cuts.  Long ones wait in a queue for any thread, short ones are done
 * at once; a caller that has to wait does pieces itself.  The slab is a ring of the portions that are worked on: a
 * portion's room is free when its last piece is done, and rooms become free in their order.  Pieces go to places of
 * their own, so they need no order, but for one thing: a write that gives back bytes between its own as it read them
 * excludes other writes there meanwhile. */
#include "runtime/push_priv.h"

#include <string.h>

#include "runtime/piece.h"

enum {
    SHORT = 64 << 10, /* bytes of a piece that is not worth a turn of the queue */
    LONG = 1 << 20,   /* of one that is cut, so that threads can share it */
    FEW = 4           /* portions after which the slab begins anew: they are still in the cache */
};

/* ---- tasks ---- */

static uint64_t
bytes_of(const struct wm_push *s, const struct wm_use *u, const struct wm_piece *p)
{
    const struct wm_plan_elem *e = &s->x.elem[s->x.box[u->box].elem];
    uint32_t unit = s->x.geom[s->x.out[u->out].geom].unit, from = wm_plan_src_unit(e, unit, u->operand);

    return (uint64_t)wm_piece_count(p) * (unit > from ? unit : from);
}

/* With the lock: the next task is done by a hand, without it. */
static void
do_task(struct wm_push *s, struct wm_push_hand *k)
{
    struct wm_push_crew *c = s->crew;
    struct wm_push_task t = c->task[c->head];
    enum wm_status st = WM_OK;

    c->head = (c->head + 1) % WM_PUSH_TASKS;
    c->n--;
    c->running++;
    if (t.number < c->failed) {
        struct wm_push_part part = k->part;
        struct wm_err *err = k->w.err;

        pthread_mutex_unlock(&c->lock);
        k->err = (struct wm_err){0};
        k->w.err = &k->err;
        k->part = t.part;
        st = wm_push_piece(k, t.use, &t.piece);
        k->part = part;
        k->w.err = err;
        pthread_mutex_lock(&c->lock);
    }
    if (st != WM_OK && t.number < c->failed) {
        c->failed = t.number;
        c->err = k->err;
    }
    t.part.flight->refs--;
    c->running--;
    pthread_cond_broadcast(&c->done);
}

static void *
work(void *arg)
{
    struct wm_push_hand *k = arg;
    struct wm_push_crew *c = k->s->crew;

    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (!c->n && !c->stop)
            pthread_cond_wait(&c->more, &c->lock);
        if (c->stop)
            break;
        do_task(k->s, k);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* With the lock: the caller does something useful until another thread has. */
static void
help(struct wm_push *s)
{
    if (s->crew->n)
        do_task(s, &s->hand[0]);
    else
        pthread_cond_wait(&s->crew->done, &s->crew->lock);
}


struct adding {
    struct wm_push *s;
    const struct wm_use *use;
};

static enum wm_status
add_task(void *user, struct wm_piece *p)
{
    const struct adding *a = user;
    struct wm_push_crew *c = a->s->crew;
    struct wm_push_task *t;

    pthread_mutex_lock(&c->lock);
    while (c->n == WM_PUSH_TASKS)
        help(a->s);
    t = &c->task[(c->head + c->n++) % WM_PUSH_TASKS];
    t->use = a->use;
    t->part = a->s->hand[0].part;
    t->piece = *p;
    t->number = c->number++;
    t->part.flight->refs++;
    pthread_cond_signal(&c->more);
    pthread_mutex_unlock(&c->lock);
    return WM_OK;
}

enum wm_status
wm_push_offer(struct wm_push *s, const struct wm_use *u, struct wm_piece *p)
{
    struct adding a = {s, u};
    uint64_t n = s->crew && !s->rehearsal ? bytes_of(s, u, p) : 0;

    if (n < SHORT)
        return wm_push_piece(&s->hand[0], u, p);
    return wm_piece_parts(p, wm_piece_count(p) * LONG / (int64_t)n + 1, add_task, &a);
}

/* With the lock: has a piece failed?  The first by order of the pieces, when all before it are done. */
static enum wm_status
failure(struct wm_push *s)
{
    struct wm_push_crew *c = s->crew;

    if (c->failed == UINT64_MAX)
        return WM_OK;
    while (c->n || c->running)
        help(s);
    *s->err = c->err;
    return c->err.status;
}

enum wm_status
wm_push_drain(struct wm_push *s)
{
    enum wm_status st;

    if (!s->crew)
        return WM_OK;
    pthread_mutex_lock(&s->crew->lock);
    while (s->crew->n || s->crew->running)
        help(s);
    st = failure(s);
    pthread_mutex_unlock(&s->crew->lock);
    return st;
}

/* ---- the slab ---- */

/* With the lock: the rooms that are free again, from the first on. */
static void
let_land(struct wm_push_crew *c)
{
    while (c->nflight && c->flight[c->first].refs == 0) {
        c->first = (c->first + 1) % WM_PUSH_FLIGHTS;
        c->nflight--;
    }
}

static bool
find_space(const struct wm_push *s, uint64_t n, uint64_t *at)
{
    const struct wm_push_crew *c = s->crew;
    const struct wm_push_flight *first = &c->flight[c->first], *last;
    uint64_t end;

    *at = 0;
    if (!c->nflight)
        return true;
    if (c->nflight == WM_PUSH_FLIGHTS)
        return false;
    last = &c->flight[(c->first + c->nflight - 1) % WM_PUSH_FLIGHTS];
    end = last->at + last->n;
    if (last->at >= first->at) {
        if (first->at >= n && (end >= FEW * n || s->slab_n - end < n))
            return true;
        *at = end;
        return s->slab_n - end >= n;
    }
    *at = end;
    return first->at - end >= n;
}

char *
wm_push_space(struct wm_push *s, uint64_t n)
{
    uint64_t at;

    if (!s->crew)
        return s->slab;
    pthread_mutex_lock(&s->crew->lock);
    for (let_land(s->crew); !find_space(s, n, &at); let_land(s->crew))
        help(s);
    pthread_mutex_unlock(&s->crew->lock);
    return s->slab + at;
}

struct wm_push_flight *
wm_push_take_off(struct wm_push *s, const char *room, uint64_t n)
{
    struct wm_push_crew *c = s->crew;
    struct wm_push_flight *f = NULL;

    if (!c)
        return NULL;
    pthread_mutex_lock(&c->lock);
    f = room ? &c->flight[(c->first + c->nflight++) % WM_PUSH_FLIGHTS] : &c->other;
    if (room)
        *f = (struct wm_push_flight){.at = (uint64_t)(room - s->slab), .n = n};
    f->refs++;
    pthread_mutex_unlock(&c->lock);
    return f;
}

enum wm_status
wm_push_landed(struct wm_push *s, struct wm_push_flight *f)
{
    struct wm_push_crew *c = s->crew;
    enum wm_status st;

    if (!c)
        return WM_OK;
    pthread_mutex_lock(&c->lock);
    f->refs--;
    while (f == &c->other && f->refs)
        help(s);
    st = failure(s);
    pthread_mutex_unlock(&c->lock);
    return st;
}

/* ---- writes ---- */

static bool
clash(const struct wm_push_hand *a, const struct wm_push_hand *b)
{
    return a != b && b->writes && a->file == b->file && a->lo < b->hi && b->lo < a->hi && (a->back || b->back);
}

void
wm_push_enter(struct wm_push_hand *k, uint32_t file, uint64_t lo, uint64_t hi, bool back)
{
    struct wm_push *s = k->s;
    uint32_t i = 0;

    if (!s->crew)
        return;
    pthread_mutex_lock(&s->crew->wlock);
    k->file = file;
    k->lo = lo;
    k->hi = hi;
    k->back = back;
    while (i < s->nhand) {
        if (!clash(k, &s->hand[i++]))
            continue;
        s->crew->waiting++;
        pthread_cond_wait(&s->crew->wrote, &s->crew->wlock);
        s->crew->waiting--;
        i = 0;
    }
    k->writes = true;
    pthread_mutex_unlock(&s->crew->wlock);
}

void
wm_push_leave(struct wm_push_hand *k)
{
    struct wm_push_crew *c = k->s->crew;

    if (!c)
        return;
    pthread_mutex_lock(&c->wlock);
    k->writes = false;
    if (c->waiting)
        pthread_cond_broadcast(&c->wrote);
    pthread_mutex_unlock(&c->wlock);
}

/* ---- threads ---- */

void
wm_push_crew_open(struct wm_push *s)
{
    struct wm_push_crew *c;

    if (s->nhand < 2)
        return;
    c = s->crew = WM_NEW(s->a, struct wm_push_crew);
    c->failed = UINT64_MAX;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->wlock, NULL);
    pthread_cond_init(&c->more, NULL);
    pthread_cond_init(&c->done, NULL);
    pthread_cond_init(&c->wrote, NULL);
    for (uint32_t i = 1; i < s->nhand; i++)
        if (pthread_create(&s->hand[i].thread, NULL, work, &s->hand[i]) == 0)
            s->hand[i].runs = true;
}

void
wm_push_crew_close(struct wm_push *s)
{
    struct wm_push_crew *c = s->crew;

    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->more);
    pthread_mutex_unlock(&c->lock);
    for (uint32_t i = 1; i < s->nhand; i++)
        if (s->hand[i].runs)
            (void)pthread_join(s->hand[i].thread, NULL);
    pthread_cond_destroy(&c->wrote);
    pthread_cond_destroy(&c->done);
    pthread_cond_destroy(&c->more);
    pthread_mutex_destroy(&c->wlock);
    pthread_mutex_destroy(&c->lock);
    s->crew = NULL;
}
