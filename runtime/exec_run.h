/* runtime/exec_run.h -- a run among its parts: what the threads share, and the steps that they take.
 *
 *   exec_steps.c   the steps of a run, in the order in which they are taken
 *   exec_run.c     doing them, on several threads
 *   exec_dry.c     counting them */
#ifndef WM_RUNTIME_EXEC_RUN_H
#define WM_RUNTIME_EXEC_RUN_H

#include <stdatomic.h>

#include "runtime/exec_priv.h"

/* Steps first, first + 1, .. are those of one part of a file (its OUTs `out` .. `end`), or of one
 * check (`out`). */
struct wm_stretch {
    uint64_t first;
    uint64_t lo, hi; /* offsets in the file, or units */
    uint64_t origin; /* where step `first` begins; at or before lo */
    uint64_t step;   /* bytes, or units */
    uint64_t period; /* steps begin anew at its multiples; 0: never */
    uint64_t out, end;
    uint64_t before; /* units of the checks before this one */
    uint32_t file; /* WM_NONE: a check */
    bool is_held;
    bool is_sum; /* of check sum `out` of an input */
};

struct wm_run {
    struct wm_exec *x;
    const struct wm_exec_sink *sink;
    struct wm_stretch *stretch;
    uint64_t nstretch, nwindow;
    uint64_t window; /* bytes, or units of checks */
    struct wm_worker *worker;
    struct wm_err *err; /* [threads] */
    uint64_t *failed;   /* [threads] its window; UINT64_MAX: none */
    struct wm_sums sums;       /* of the outputs */
    _Atomic uint32_t *insum;   /* [x->ninsum] */
    _Atomic uint64_t next, done;
    _Atomic bool stop;
};

/* ---- exec_steps.c ---- */

/* All stretches of a run whose windows and slabs are chosen. */
enum wm_status wm_steps_make(struct wm_run *r, struct wm_err *err);
/* Where step `i` of a stretch begins and ends. */
void wm_step_range(const struct wm_stretch *s, uint64_t i, uint64_t *lo, uint64_t *hi);
/* Is check sum i of an input one of this run?  Asked for one after the other, with *before from 0. */
bool wm_steps_has_sum(const struct wm_exec *x, uint64_t i, uint64_t *before);

/* ---- exec_run.c ---- */

/* Do a step, with sums and progress. */
enum wm_status wm_run_step(struct wm_run *r, struct wm_worker *w, const struct wm_stretch *s, uint64_t i);
/* How many threads, and what each gets of the memory.  The least is what one thread needs. */
enum wm_status wm_run_share(const struct wm_exec *x, unsigned *threads, uint64_t *budget, struct wm_err *err);

#endif
