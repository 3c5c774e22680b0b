/* compiler/shard.h -- how a line of a shard block cuts one dimension.
 *
 * A cut is a list of segments: rank k holds [whole, whole + len) of the dimension at [piece, piece + len) of its own.
 * Where several ranks hold the same segment, one of them is the primary; padding has no place in the whole. */
#ifndef WM_COMPILER_SHARD_H
#define WM_COMPILER_SHARD_H

#include "compiler/bind.h"

struct wm_segment {
    uint32_t rank, primary;      /* ordinals of the file index */
    int64_t whole;               /* -1: padding */
    int64_t piece, len;
};

struct wm_cut {
    WM_VEC(struct wm_segment) seg;
    uint32_t nrank;
    WM_VEC(int64_t) part;        /* where the parts begin that are cut on their own */
    int64_t *size;               /* [nrank] of the dimension in each rank */
    int64_t whole;               /* of the dimension in the whole tensor */
};

/* A line, resolved in a scope of its own. */
struct wm_cut_line {
    const struct wm_shard_line *ast;
    struct wm_rule *scope;
    struct wm_key key;
    struct wm_inst inst;
    struct wm_str index;         /* of the block */
    const int64_t *value;        /* [nrank] its value for each rank */
};

/* The key of a line, in a scope of its own; false: reported. */
bool wm_cut_line_resolve(struct wm_module *m, const struct wm_shard_line *l, struct wm_cut_line *out);

/* The cut of a dimension of `whole` entries; -1: find it from the ranks' sizes `have` first.  Reports, naming `key`. */
bool wm_cut_make(struct wm_bind *b, const struct wm_cut_line *l, uint32_t nrank, int64_t whole,
                 const int64_t *have, struct wm_str key, struct wm_cut *out);

/* The size that a line says of the whole dimension; false: it says none. */
bool wm_cut_size(struct wm_bind *b, const struct wm_cut_line *l, int64_t *size);

#endif
