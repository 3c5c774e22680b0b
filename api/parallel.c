/* api/parallel.c -- see parallel.h. */
#include "api/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct crew {
    const struct wm_parallel *p;
    atomic_uint_least64_t next;
    atomic_bool failed;
    pthread_mutex_t lock;
    struct wm_err err; /* the first failure; under lock */
};

struct member {
    struct crew *crew;
    pthread_t id;
    unsigned thread;
};

static void *
work(void *arg)
{
    struct member *m = arg;
    struct crew *c = m->crew;

    while (!atomic_load(&c->failed)) {
        uint64_t i = atomic_fetch_add(&c->next, 1);
        struct wm_err err = {0};

        if (i >= c->p->n)
            break;
        if (c->p->piece(c->p->user, m->thread, i, &err) == WM_OK)
            continue;
        pthread_mutex_lock(&c->lock);
        if (!atomic_exchange(&c->failed, true))
            c->err = err;
        pthread_mutex_unlock(&c->lock);
    }
    return NULL;
}

enum wm_status
wm_parallel_run(const struct wm_parallel *p, struct wm_err *err)
{
    struct crew c = {.p = p};
    struct member *m, self = {.crew = &c, .thread = 0};
    unsigned n = p->n < p->threads ? (unsigned)p->n : p->threads, started = 0;

    m = p->sys->malloc((n ? n : 1) * sizeof(*m));
    if (!m)
        return wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    atomic_init(&c.next, 0);
    atomic_init(&c.failed, false);
    pthread_mutex_init(&c.lock, NULL);
    /* a thread that can't be had is work for the others: this one always works */
    for (unsigned k = 1; k < n; k++) {
        m[started] = (struct member){.crew = &c, .thread = k};
        if (pthread_create(&m[started].id, NULL, work, &m[started]) != 0)
            break;
        started++;
    }
    work(&self);
    for (unsigned k = 0; k < started; k++)
        pthread_join(m[k].id, NULL);
    pthread_mutex_destroy(&c.lock);
    p->sys->free(m);
    if (!atomic_load(&c.failed))
        return WM_OK;
    *err = c.err;
    return err->status;
}
