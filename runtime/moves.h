/* runtime/moves.h -- stretches of the output that are stretches of an input as they are. */
#ifndef WM_RUNTIME_MOVES_H
#define WM_RUNTIME_MOVES_H

#include "runtime/plan.h"

/* Bytes [to, to + n) of OUTFILE `outfile` are bytes [from, from + n) of INFILE `infile`. */
struct wm_move {
    uint32_t outfile, infile;
    uint64_t to, from, n;
};

/* All tensors that are copied without a change, neighbours on both sides as one; by (outfile, to).  In the arena. */
uint64_t wm_plan_moves(struct wm_arena *a, const struct wm_plan *p, struct wm_move **out);

/* What of a move whole blocks at the same place in a block can share; false: nothing. */
bool wm_move_blocks(const struct wm_move *m, struct wm_move *part);

#endif
