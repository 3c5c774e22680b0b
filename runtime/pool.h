/* runtime/pool.h -- the same function on a few threads. */
#ifndef WM_RUNTIME_POOL_H
#define WM_RUNTIME_POOL_H

#include "base/sys.h"

/* Call fn(user, k) for k = 0 .. n-1, each on a thread of its own (0: the caller's), and wait for
 * all.  Where the system gives fewer threads, the calls that have none are left out: the work must
 * be shared by taking from a counter. */
void wm_pool_run(const struct wm_sys *sys, unsigned n, void (*fn)(void *user, unsigned k),
                 void *user);
/* Processors this process may use. */
unsigned wm_pool_processors(void);

#endif
