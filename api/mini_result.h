/* api/mini_result.h -- tensors with their bytes in memory: what a plan makes, what files hold. */
#ifndef WM_API_MINI_RESULT_H
#define WM_API_MINI_RESULT_H

#include "api/ctx.h"

/* A tensor that a plan makes, or that a file holds, with its bytes. */
struct wm_made {
    struct wm_str file, name; /* file: empty where names suffice */
    enum wm_dtype dtype;
    const int64_t *shape;
    uint32_t rank;
    const unsigned char *bytes;
    uint64_t nbytes;
};

struct wm_result {
    struct wm_made *tensor;
    uint32_t n;
    struct wm_map by_name; /* file, NUL, name -> number */
};

/* All that a plan makes, its checks made, in memory.  WM_NO: a check fails. */
enum wm_status wm_result_of_plan(struct wm_result *r, struct wm_arena *a, const struct wm_sys *sys,
                                 const struct wm_plan *plan, bool by_file, struct wm_err *err);
/* The tensors of a checkpoint. */
enum wm_status wm_result_of_manifest(struct wm_result *r, struct wm_arena *a,
                                     const struct wm_sys *sys, const struct wm_manifest *m,
                                     bool by_file, struct wm_err *err);
/* The tensor of that file and name; NULL. */
const struct wm_made *wm_result_find(const struct wm_result *r, const struct wm_made *like);
bool wm_made_equal(const struct wm_made *x, const struct wm_made *y);

#endif
