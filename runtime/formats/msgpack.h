/* runtime/formats/msgpack.h -- what reading and writing msgpack checkpoints share.
 *
 * Two kinds of files: those of tt-train, one map of "key" -> [variant, value], in which a tensor N is the array of
 * numbers at "N/data" and its shape the bytes at "N/shape"; and nested maps with arrays as msgpack-numpy packs
 * them. */
#ifndef WM_RUNTIME_FORMATS_MSGPACK_H
#define WM_RUNTIME_FORMATS_MSGPACK_H

#include "runtime/format.h"
#include "runtime/msgpack.h"

/* Numbers of the alternatives of tt-train's std::variant that matter here. */
enum wm_tt_variant {
    WM_TT_BOOL = 0,
    WM_TT_INT = 2,
    WM_TT_STRING = 7,
    WM_TT_VEC_FLOAT = 10,
    WM_TT_VEC_UINT8 = 12,
    WM_TT_VEC_UINT32 = 13,
    WM_TT_N = 15
};

enum {
    WM_MSGPACK_MAX_KEYS = 4000000,      /* keys of a file */
    WM_MSGPACK_MAX_KEY_BYTES = 256 << 20, /* of all of them together */
    WM_MSGPACK_MAX_SHAPE = 4096         /* bytes of "N/shape" */
};

/* One file that is being read. */
struct wm_msgpack_file {
    struct wm_manifest *m;
    struct wm_mp r;
    uint32_t file;
    struct wm_buf path;     /* of the value that is being read: "params.dense.kernel" */
    uint64_t nkey, key_bytes;
};

/* A key: text or bytes, in the arena, counted against the limits. */
enum wm_status wm_msgpack_key(struct wm_msgpack_file *f, const struct wm_mp_item *item, struct wm_str *out);

/* A value that is not of tt-train: tensors of msgpack-numpy in it, at any depth.  The head was read. */
enum wm_status wm_msgpack_nested(struct wm_msgpack_file *f, const struct wm_mp_item *item, uint32_t depth);

/* The shape that the bytes at "N/shape" say: as many dimensions of 32 bits as there are, or the struct of older
 * versions (rank, eight dimensions, padding).  False: they say none that has n elements. */
bool wm_tt_shape(struct wm_arena *a, struct wm_str bytes, int64_t n, const int64_t **shape, uint32_t *rank);

enum wm_status wm_msgpack_layout(struct wm_arena *a, struct wm_wtensor *t, uint32_t n, const struct wm_wopts *o,
                                 struct wm_wfile *out, struct wm_err *err);

#endif
