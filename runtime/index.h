/* runtime/index.h -- index files of sharded checkpoints: {"weight_map": {tensor: file}}. */
#ifndef WM_RUNTIME_INDEX_H
#define WM_RUNTIME_INDEX_H

#include "runtime/manifest.h"

struct wm_index {
    struct wm_arena *a;          /* of the call that read it */
    struct wm_str path, text;
    WM_VEC(struct wm_str) shard; /* file names, sorted bytewise, each once */
};

/* Names that leave the directory and anything but strings are refused. */
enum wm_status wm_index_read(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path,
                             struct wm_index *out, struct wm_err *err);

/* Does the index name exactly the tensors that m has, each once and in its file? */
enum wm_status wm_index_check(const struct wm_index *x, const struct wm_manifest *m,
                              struct wm_err *err);

#endif
