/* api/view.h -- a plan's sections under their types, and what boxes say of single elements. */
#ifndef WM_API_VIEW_H
#define WM_API_VIEW_H

#include "runtime/exec.h"

/* An axis of a box: stride >= 0 in the side that is known, and the stride of the other side. */
struct wm_box_axis {
    int64_t extent, stride, other;
};

/* A tensor of an output file: one that has bytes of its own, or one more name of another's. */
struct wm_view_tensor {
    struct wm_str name, where;
    uint32_t out;
    uint32_t dtype, rank;
    const int64_t *shape;
    uint64_t nbytes; /* of its elements */
    bool is_shared;
};

struct wm_view {
    const struct wm_plan *p;
    WM_PLAN_VIEW_MEMBERS;
    uint64_t ncheck;                     /* the last of `out` */
    uint64_t nread;                      /* tensors among `in`; the others are bytes between tensors */
    const uint32_t *shown;               /* [ntensor] of wm_view_tensor(): OUTs, then nout + SHAREDs */
    uint64_t ntensor;                    /* in the order of the files, then shared ones */
    struct wm_box_axis
        *axis; /* room for solving the box of the highest rank: one thread at a time */
    int64_t *tail;
};

void wm_view_init(struct wm_view *v, struct wm_arena *a, const struct wm_plan *p);

/* Tensor k of the output, k < ntensor. */
struct wm_view_tensor wm_view_tensor(const struct wm_view *v, uint64_t k);

/* Length in dst units of the pieces in which a box lies contiguous in its output and its first
 * operand. */
int64_t wm_box_run(const struct wm_view *v, const struct wm_plan_box *b);
/* Units of the output that the box makes. */
int64_t wm_box_count(const struct wm_view *v, const struct wm_plan_box *b);
/* The position in operand k that makes unit `dst` of the output; false where the box does not make
 * it. */
bool wm_box_source(const struct wm_view *v, const struct wm_plan_box *b, uint32_t k, int64_t dst,
                   int64_t *src);
/* Calls found() for every unit of the output into which position `src` of operand k goes; false
 * stops. */
void wm_box_targets(const struct wm_view *v, const struct wm_plan_box *b, uint32_t k, int64_t src,
                    bool (*found)(void *user, int64_t dst), void *user);

/* Room for the values of the plan's check sums. */
uint32_t *wm_view_sums(const struct wm_view *v, struct wm_arena *a);

/* Make the plan's checks (replicas, aliases, padding), those of check sums of inputs last.  WM_NO: one fails, err says which. */
enum wm_status wm_view_checks(const struct wm_view *v, struct wm_exec *x, struct wm_err *err);

#endif
