/* api/parallel.h -- the same function over numbered pieces of work, on several threads. */
#ifndef WM_API_PARALLEL_H
#define WM_API_PARALLEL_H

#include "base/status.h"
#include "base/sys.h"

struct wm_parallel {
    /* Do piece i; `thread` is below the number of threads, for what each has of its own. */
    enum wm_status (*piece)(void *user, unsigned thread, uint64_t i, struct wm_err *err);
    void *user;
    const struct wm_sys *sys;
    unsigned threads;
    uint64_t n;
};

/* Pieces are begun in order.  The first failure stops the rest and is reported. */
enum wm_status wm_parallel_run(const struct wm_parallel *p, struct wm_err *err);

#endif
