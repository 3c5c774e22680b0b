/* runtime/format.h -- containers: one row in formats.def and one file in formats/ each. */
#ifndef WM_RUNTIME_FORMAT_H
#define WM_RUNTIME_FORMAT_H

#include "runtime/manifest.h"
#include "runtime/plan.h"

enum wm_format_id {
#define WM_FORMAT(id, name, suffix) WM_FMT_##id,
#include "runtime/formats.def"
#undef WM_FORMAT
    WM_FMT_N
};

/* A tensor to be written; `off` is set by layout, relative to the file. */
struct wm_wtensor {
    struct wm_str name;      /* inside the file */
    enum wm_dtype dtype;
    uint32_t rank;
    const int64_t *shape;
    uint64_t nbytes;         /* of its elements; layout makes it those in the file where a codec changes them */
    uint64_t off;
    uint32_t user;           /* the caller's number; kept by layout's reordering */
    uint32_t same;           /* of containers that share: `user` of the earlier tensor of this file that has the same
                                data; else WM_NONE.  Where layout keeps it, both share their storage */
    uint32_t codec;          /* set by layout: enum wm_codec */
    uint32_t from_file;      /* the input file and the offset in it of what it is made of first; WM_NONE: of nothing */
    uint64_t from;
};

/* Bytes between tensors. */
struct wm_wpiece {
    uint64_t off, len;       /* in the file that is written */
    const char *bytes;       /* [len], or NULL: */
    uint64_t from;           /* where in the template file they are */
};

/* The CRC-32 of [lo, hi) goes to the fields. */
struct wm_wsum {
    uint64_t lo, hi;
    uint64_t field[2];
    uint32_t nfield;
};

/* How a file is laid out. */
enum wm_layout {
    WM_LAYOUT_REFERENCE, /* as the container's reference writer does */
    WM_LAYOUT_KEEP,      /* in the input's order, data at the same place in a block as there */
    WM_LAYOUT_IN_PLACE   /* in the input's order, and the head fills wm_wopts.room */
};
enum { WM_LAYOUT_BLOCK = 4096 }; /* of file systems that share blocks */

/* Head, then tensors and pieces by offset without a hole, then tail. */
struct wm_wfile {
    struct wm_str head, tail; /* constant bytes around the tensors; in the arena */
    uint64_t size;            /* of the whole file */
    WM_VEC(struct wm_wpiece) piece;
    WM_VEC(struct wm_wsum) sum;
};

struct wm_wopts {
    struct wm_str name;               /* of the file, relative to the output */
    struct wm_str root;               /* put the tensors under this key of a nested container; or empty */
    enum wm_layout layout;            /* the others than REFERENCE of safetensors only */
    uint64_t room;                    /* of IN_PLACE: bytes before the first tensor */
    const struct wm_manifest *like;   /* --template: one file of the same format whose keys, order and all that is
                                         not weights are taken over; or NULL */
};

/* What an index says of a tensor. */
struct wm_indexed {
    struct wm_str tensor, file;
};
typedef void wm_put_fn(void *user, struct wm_str text);

struct wm_format {
    const char *name, *suffix;
    const char *const *suffixes; /* further ones, NULL at the end; or NULL */
    bool single;              /* a file holds one tensor, which is called as the file is */
    const char *index_name;   /* "model.safetensors.index.json", or NULL */
    /* Where the index is the container's own, and files of its suffix are nothing without it: read both.  The index has
     * the path `name` in the checkpoint's directory.  NULL: JSON, as index() writes it. */
    enum wm_status (*read_index)(const struct wm_sys *sys, struct wm_manifest *m, struct wm_str name,
                                 bool no_symlinks, struct wm_err *err);
    /* Is a file of this name, with its suffix, known to hold no weights?  NULL: no such names. */
    bool (*aside)(struct wm_str name);
    bool nests;               /* tensors may lie under a key of the container (wm_wopts.root, wm_open_opts.root) */
    /* Do the first bytes (and the size) look like this container?  [n] <= 4096; NULL: never, another one does */
    bool (*probe)(const unsigned char *p, size_t n, uint64_t size);
    /* Append the file's tensors.  m->file.item[file] is filled and opened as fd. */
    enum wm_status (*read)(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file,
                           struct wm_err *err);
    /* Order the tensors as the container's reference writer does, set their offsets, make the bytes around them.
     * NULL where the container can't be written. */
    enum wm_status (*layout)(struct wm_arena *a, struct wm_wtensor *t, uint32_t n,
                             const struct wm_wopts *o, struct wm_wfile *out, struct wm_err *err);
    bool orders;              /* layout gives the same file in whatever order they come */
    bool shares;              /* layout looks at wm_wtensor.same */
    bool templates;           /* layout can take wopts.like */
    /* Puts the text of the index, piece by piece: weight_map of (tensor name -> file name).  Orders x.  NULL where there
     * is none. */
    void (*index)(struct wm_arena *a, struct wm_indexed *x, uint32_t n, uint64_t total_size, wm_put_fn *put, void *user);
    const char *stem;         /* of the names of files that are written: "model"; NULL where `single` */
};

extern const struct wm_format *const wm_formats[WM_FMT_N];
#define WM_FORMAT(id, name, suffix) extern const struct wm_format wm_format_##id;
#include "runtime/formats.def"
#undef WM_FORMAT

/* The text of a format's index among the constants of a plan. */
struct wm_plan_bytes wm_format_add_index(const struct wm_format *f, struct wm_plan_builder *b, struct wm_indexed *x,
                                         uint32_t n, uint64_t total_size);

const struct wm_format *wm_format_by_name(struct wm_str name, enum wm_format_id *id);
/* Does a name end in one of its suffixes? */
bool wm_format_has_suffix(const struct wm_format *f, struct wm_str path);
/* By the suffix of a path ("out.safetensors"); NULL where unknown. */
/* Shards count from 1: (2, 5) is "model-00002-of-00005.safetensors"; nshard == 1: "model.safetensors". */
struct wm_str wm_format_shard_name(const struct wm_format *f, struct wm_arena *a, uint32_t shard, uint32_t nshard);
const struct wm_format *wm_format_by_suffix(struct wm_str path, enum wm_format_id *id);

#endif
