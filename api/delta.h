/* api/delta.h -- two sets of tensors against each other: which are missing, which don't match,
 * which differ.
 *
 * The core of `diff` (two checkpoints) and `verify` (what a plan makes, and a checkpoint). */
#ifndef WM_API_DELTA_H
#define WM_API_DELTA_H

#include "api/compare.h"
#include "api/table.h"

/* One side: its tensors in the order in which they are shown, and their bytes; the reader's id of
 * tensor k is id[k]. */
struct wm_side {
    struct wm_listed *tensor;
    uint32_t *id;
    uint32_t n;
    struct wm_reader reader;
};

/* A checkpoint as a side, without its reader. */
void wm_side_of_manifest(struct wm_side *s, struct wm_arena *a, const struct wm_manifest *m,
                         const uint32_t *order);

struct wm_delta {
    struct wmap_ctx *ctx;
    struct wm_arena *a;
    const struct wm_side *sa, *sb;
    double atol, rtol;               /* both 0: dtypes must agree, bytes must be equal */
    WM_VEC(uint32_t) missing;        /* of a, which b lacks */
    WM_VEC(uint32_t) unexpected;     /* of b, which a lacks */
    WM_VEC(struct wm_pair) pair;     /* of one shape; compared */
    WM_VEC(uint32_t) pair_a, pair_b; /* tensors of each pair */
    struct {
        WM_VEC(uint32_t) a, b;
    } mismatch;
    uint32_t ndifferent; /* pairs */
    uint32_t nlossy;     /* pairs that differ as they may: set by the caller, not in ndifferent */
    uint64_t nbytes;     /* compared, of a */
};

/* Match by name, then compare what matches as streams.  ctx, a, sa, sb, atol, rtol are set. */
enum wm_status wm_delta_run(struct wm_delta *d, const wmap_work *work, struct wm_err *err);
/* Nothing missing, unexpected, mismatched or different? */
bool wm_delta_is_none(const struct wm_delta *d);

/* Lines about what is not equal, folded by template; nothing where all is. */
void wm_delta_text(const struct wm_delta *d, struct wm_out *o);
/* Members of an open JSON object: equal, missing, unexpected, mismatch, different, compared. */
void wm_delta_json(const struct wm_delta *d, struct wm_out *o);

#endif
