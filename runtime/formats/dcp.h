/* runtime/formats/dcp.h -- distributed checkpoints of PyTorch (torch.distributed.checkpoint), between their metadata
 * (dcp_meta.c) and their files (dcp.c).
 *
 * The file .metadata is a pickle that lists the tensors by the chunks they are saved in, and where each chunk lies: a
 * stretch of a file beside it, in which torch.save wrote one tensor. */
#ifndef WM_RUNTIME_FORMATS_DCP_H
#define WM_RUNTIME_FORMATS_DCP_H

#include "base/arena.h"
#include "base/dtype.h"
#include "base/status.h"

struct wm_dcp_chunk {
    const int64_t *at, *shape; /* [rank] of its tensor */
    struct wm_str file;        /* relative to the directory, inside of it */
    uint64_t off, len;         /* in that file */
};

struct wm_dcp_tensor {
    struct wm_str name;        /* as the checkpoint has it */
    size_t skip;               /* bytes of it that belong to the key that all tensors are under */
    enum wm_dtype dtype;
    uint32_t rank;
    const int64_t *shape;      /* [rank]; of F4 in elements, not in pairs */
    uint64_t nbytes;
    struct wm_dcp_chunk *chunk; /* [nchunk], none empty, ascending first elements; they tile the tensor */
    uint32_t nchunk;
};

struct wm_dcp_meta {
    struct wm_dcp_tensor *tensor; /* [n] those that are to be read */
    uint32_t n;
    struct wm_str note;        /* what is left out, and why; or empty */
};

/* All that the metadata say; values live in `a` or in `bytes`.  `root`: only the tensors under that key; empty: found
 * as in a trainer's file.  `path` is for messages. */
enum wm_status wm_dcp_parse(struct wm_arena *a, const char *path, struct wm_str bytes, struct wm_str root,
                            struct wm_dcp_meta *out, struct wm_err *err);

#endif
