/* runtime/share.h -- the i-th of n equal parts of a plan's work.
 *
 * Parts follow from the plan alone, not from windows, memory or threads: so processes that know nothing of each other
 * divide the bytes among them, each byte to one.  They begin at multiples of 64 KiB of a file (no page is written by
 * two machines) and at whole units of a tensor.  Checks and check sums of inputs are divided like the bytes. */
#ifndef WM_RUNTIME_SHARE_H
#define WM_RUNTIME_SHARE_H

#include "runtime/plan.h"

struct wm_cut {
    uint64_t file; /* of the output */
    uint64_t off;
};

struct wm_share {
    struct wm_cut from, to;
    uint64_t bytes;              /* between them */
    uint64_t check_lo, check_hi; /* units of all checks */
    uint64_t sum_lo, sum_hi;     /* bytes of all check sums of inputs; the one that begins in it is its own */
};

/* Part i (1 .. n) of n. */
struct wm_share wm_share_of(const struct wm_plan *plan, uint32_t i, uint32_t n);
/* Cut [*lo, *hi) of an output file to it; *lo == *hi where nothing is left.  In a tensor of which only whole units can
 * be made, both stay at units. */
void wm_share_clip(const struct wm_share *s, uint64_t file, uint64_t *lo, uint64_t *hi);
/* The same of units of the checks, which lie behind `before` others. */
void wm_share_clip_check(const struct wm_share *s, uint64_t before, uint64_t *lo, uint64_t *hi);

#endif
