/* runtime/pool.c -- threads for the length of one call. */
#include "runtime/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <unistd.h>

struct member {
    void (*fn)(void *user, unsigned k);
    void *user;
    unsigned k;
    pthread_t thread;
    bool runs;
};

static void *
enter(void *arg)
{
    struct member *m = arg;

    m->fn(m->user, m->k);
    return NULL;
}

void
wm_pool_run(const struct wm_sys *sys, unsigned n, void (*fn)(void *user, unsigned k), void *user)
{
    struct member *m = n > 1 ? sys->malloc(n * sizeof(*m)) : NULL;

    for (unsigned k = 1; m && k < n; k++) {
        m[k] = (struct member){.fn = fn, .user = user, .k = k};
        m[k].runs = pthread_create(&m[k].thread, NULL, enter, &m[k]) == 0;
    }
    fn(user, 0);
    for (unsigned k = 1; m && k < n; k++)
        if (m[k].runs)
            (void)pthread_join(m[k].thread, NULL);
    sys->free(m);
}

unsigned
wm_pool_processors(void)
{
    cpu_set_t set;
    long n;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}
