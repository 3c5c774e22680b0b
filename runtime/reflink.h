/* runtime/reflink.h -- output that shares the blocks of its input, where the file system can. */
#ifndef WM_RUNTIME_REFLINK_H
#define WM_RUNTIME_REFLINK_H

#include "base/sys.h"
#include "runtime/moves.h"

struct wm_reflink {
    struct wm_move *part; /* what is to be shared, by (outfile, to); after the run what is */
    uint64_t n;
    uint64_t bytes; /* shared */
};

/* What of the plan could be shared: whole blocks of unchanged data that lie at the same place in a block on both sides. */
void wm_reflink_find(struct wm_arena *a, const struct wm_plan *p, struct wm_reflink *r);

/* Share it.  Where the file system can not, the parts are left to be copied; other failures are failures. */
enum wm_status wm_reflink_run(struct wm_reflink *r, const struct wm_sys *sys, const struct wm_plan *p, struct wm_arena *a,
                              int (*fd)(void *user, uint32_t outfile), void *user, struct wm_err *err);

/* Are bytes [lo, hi) of an output file shared? */
bool wm_reflink_has(const struct wm_reflink *r, uint32_t outfile, uint64_t lo, uint64_t hi);

#endif
