/* runtime/sums.h -- CRC-32 of ranges whose bytes come in pieces, in any order, from several threads.
 *
 * The CRC of a range is the exclusive or of what its pieces contribute, and a piece's contribution depends only on
 * its bytes and on how many come behind it.  So pieces need no order, and no lock. */
#ifndef WM_RUNTIME_SUMS_H
#define WM_RUNTIME_SUMS_H

#include <stdatomic.h>

#include "base/sys.h"
#include "runtime/plan.h"

/* What bytes contribute to the CRC of a range that has `behind` more bytes behind them. */
uint32_t wm_crc32_part(const void *p, uint64_t n, uint64_t behind);

/* The SUMs of a plan while its output is made. */
struct wm_sums {
    const struct wm_plan *plan;
    const struct wm_sys *sys;
    const struct wm_plan_sum *sum;
    uint64_t n;
    _Atomic uint32_t *crc; /* [n] */
    _Atomic uint64_t *got; /* [n] bytes that were added */
};
enum wm_status wm_sums_open(struct wm_sums *s, const struct wm_plan *plan, const struct wm_sys *sys, struct wm_err *err);
/* Bytes [off, off + n) of an output file, other than its head and tail, each once. */
void wm_sums_add(struct wm_sums *s, uint32_t file, uint64_t off, const void *p, uint64_t n);
/* When all were added: the sums [n], with heads and tails. */
void wm_sums_take(struct wm_sums *s, uint32_t *to);
/* Then: did all of sum i come? */
bool wm_sums_whole(const struct wm_sums *s, uint64_t i);
void wm_sums_close(struct wm_sums *s);

#endif
