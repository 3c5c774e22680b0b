/* runtime/scatter.h -- the dual of a plan: for any byte range of an input tensor, where it goes.
 *
 * The same boxes as ever, looked up by their operands: each input tensor has the list of its uses, and a use is cut
 * to a range of the operand instead of a range of the output. */
#ifndef WM_RUNTIME_SCATTER_H
#define WM_RUNTIME_SCATTER_H

#include "runtime/exec_priv.h"

/* Operand `operand` of a box of an output or check. */
struct wm_use {
    uint64_t box;
    uint32_t out, operand;
};

struct wm_scatter {
    struct wm_plan plan;
    WM_PLAN_VIEW_MEMBERS;
    uint64_t *first; /* [nin + 1]: the uses of input i are use[first[i]] .. */
    struct wm_use *use;
};

/* Everything lives in the arena. */
void wm_scatter_init(struct wm_scatter *s, struct wm_arena *a, const struct wm_plan *p);

/* The input tensor that is an operand of a box of an output. */
uint32_t wm_scatter_in(const struct wm_scatter *s, uint32_t out, const struct wm_plan_box *b, uint32_t operand);

/* Calls `each` with the pieces of a use whose operand units lie in [lo, hi).  A piece has all operands' places, and
 * its dims by descending dst. */
enum wm_status wm_scatter_cut(const struct wm_scatter *s, const struct wm_use *u, int64_t lo, int64_t hi,
                              wm_piece_fn *each, void *user);

#endif
