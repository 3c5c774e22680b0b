/* cli/signals.c -- SIGINT, SIGTERM and SIGHUP during a run: nothing stays behind.
 *
 * The signals are blocked, and a thread waits for them: so nothing runs in a handler and no global
 * state is needed. The first one stops the call in progress, which removes its temporary files; a
 * second one ends the process at once.  In the end the process dies by the signal that came, as its
 * parent expects. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"

/* Sent to the waiting thread alone, to end it. */
#define WAKE SIGUSR2

struct signals {
    struct cli *c;
    sigset_t set, old; /* set: those that stop, and WAKE */
    pthread_t thread;
    atomic_int came; /* the signal, or 0 */
};

static void
die_of(int sig)
{
    sigset_t set;

    signal(sig, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, sig);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(sig);
}

static void *
wait_for(void *arg)
{
    static const char alone[] = "\nwmap: interrupted, removing temporary files\n";
    static const char task[] = "\nwmap: interrupted; what is written stays for the other tasks, and for this one again\n";
    struct signals *s = arg;
    int sig;

    if (sigwait(&s->set, &sig) != 0 || sig == WAKE)
        return NULL;
    atomic_store(&s->came, sig);
    wmap_interrupt(s->c->ctx);
    if ((given(s->c, OPT_task) ? write(2, task, sizeof(task) - 1) : write(2, alone, sizeof(alone) - 1)) < 0)
        return NULL;
    if (sigwait(&s->set, &sig) == 0 && sig != WAKE)
        die_of(sig);
    return NULL;
}

struct signals *
signals_begin(struct cli *c)
{
    static const int list[] = {SIGINT, SIGTERM, SIGHUP};
    struct signals *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL; /* then a signal ends the process, and the next run sweeps up */
    s->c = c;
    sigemptyset(&s->set);
    sigaddset(&s->set, WAKE);
    for (size_t k = 0; k < sizeof(list) / sizeof(list[0]); k++) {
        struct sigaction was;

        if (sigaction(list[k], NULL, &was) == 0 &&
            was.sa_handler != SIG_IGN) /* as nohup wants it */
            sigaddset(&s->set, list[k]);
    }
    pthread_sigmask(SIG_BLOCK, &s->set, &s->old);
    if (pthread_create(&s->thread, NULL, wait_for, s) != 0) {
        pthread_sigmask(SIG_SETMASK, &s->old, NULL);
        free(s);
        return NULL;
    }
    if (!sigismember(&s->old, WAKE)) { /* the rest of the process takes it as ever */
        sigset_t wake;

        sigemptyset(&wake);
        sigaddset(&wake, WAKE);
        pthread_sigmask(SIG_UNBLOCK, &wake, NULL);
    }
    return s;
}

void
signals_end(struct signals *s)
{
    int sig;

    if (!s)
        return;
    pthread_kill(s->thread, WAKE);
    pthread_join(s->thread, NULL);
    sig = atomic_load(&s->came);
    if (sig) {
        fflush(stdout);
        die_of(sig);
    }
    pthread_sigmask(SIG_SETMASK, &s->old, NULL);
    free(s);
}
