/* compiler/shards.h -- which output tensor goes into which file. */
#ifndef WM_COMPILER_SHARDS_H
#define WM_COMPILER_SHARDS_H

#include "compiler/graph.h"
#include "runtime/format.h"

struct wm_shard_file {
    struct wm_str name;          /* relative to the output */
    struct wm_wtensor *tensor;   /* user: number of the output tensor */
    uint32_t n;
};

struct wm_shard_list {
    struct wm_shard_file *file;
    uint32_t n, ntensor;
    uint64_t nbytes;
    bool indexed;                /* several shards of one checkpoint: an index goes with them */
};

/* Tensors whose side names files go there; the others into one file, or into shards of at most max_shard_size bytes,
 * filled in the order of names (numbers by value). */
enum wm_status wm_shard_files(struct wm_arena *arena, const struct wm_graph *g, const struct wm_bind_opts *o,
                              const struct wm_format *fmt, struct wm_shard_list *out, struct wm_err *err);

#endif
