/* runtime/manifest.h -- what is known of a checkpoint without reading its data: files and tensors.
 *
 * The readers of runtime/formats/ fill it.  Arrays live in the arena of the opening call; about 100 bytes a
 * tensor beside its name, those of its place in by_name among them.  What few tensors have (struct wm_mstore) and what
 * many have in common (shapes) stands apart. */
#ifndef WM_RUNTIME_MANIFEST_H
#define WM_RUNTIME_MANIFEST_H

#include "base/arena.h"
#include "base/dtype.h"
#include "base/map.h"
#include "base/status.h"
#include "base/sys.h"
#include "runtime/plan.h"

enum { WM_MAX_RANK = 64, WM_MAX_NAME = 16 << 20 };

struct wm_mfile {
    struct wm_str path;     /* to open it */
    struct wm_str name;     /* relative to the checkpoint's directory: "model-00001-of-00002.safetensors" */
    uint64_t size;
    int64_t mtime_sec, mtime_nsec;
    uint64_t dev, ino;
    uint32_t format;        /* enum wm_format_id */
    bool stream;            /* it can't be opened: its data comes later (runtime/manifest_stream.h) */
};

struct wm_mtensor {
    struct wm_str name;
    uint64_t off, nbytes;   /* of its first byte in the file; of its elements, decoded and contiguous */
    const int64_t *shape;   /* [rank] */
    const struct wm_mstore *store; /* never NULL */
    uint32_t file;
    enum wm_dtype dtype;
    uint32_t rank;
};

/* How the elements of a tensor are stored from `off` on. */
struct wm_mstore {
    const int64_t *stride;  /* [rank] in elements, >= 0, or NULL: row-major and contiguous */
    uint32_t codec;         /* enum wm_codec */
    uint32_t nindex;
    uint64_t raw;           /* bytes of the stretch at `off` that holds them, where codec is not RAW */
    const uint64_t *index;  /* where elements differ in length (see wm_plan_infile) */
    const struct wm_mpart *part; /* [npart], none empty, ascending first elements; they tile the tensor */
    uint32_t npart;         /* not 0: its elements are in these; `off` means nothing, and it has no stride or codec */
};
extern const struct wm_mstore wm_mstore_plain; /* one stretch of elements as they are */
const struct wm_mstore *wm_mstore_keep(struct wm_arena *a, const struct wm_mstore *s);

/* The box of a tensor that one stretch of a file holds. */
struct wm_mpart {
    struct wm_mtensor t;    /* its shape; without parts */
    const int64_t *at;      /* [rank] where it begins in the whole */
};

/* What is read of a tensor: itself, or its parts. */
static inline uint32_t
wm_mtensor_nslot(const struct wm_mtensor *t)
{
    return t->store->npart ? t->store->npart : 1;
}

static inline const struct wm_mtensor *
wm_mtensor_slot(const struct wm_mtensor *t, uint32_t k)
{
    return t->store->npart ? &t->store->part[k].t : t;
}

/* Is it one stretch, in order? */
static inline bool
wm_mtensor_is_plain(const struct wm_mtensor *t)
{
    return t->store->npart < 2 && !wm_mtensor_slot(t, 0)->store->stride;
}

/* What a container states of the bytes [lo, hi) of a file. */
struct wm_msum {
    uint32_t file, crc;     /* CRC-32 of zip */
    uint64_t lo, hi;
    struct wm_str name;     /* of the entry */
};

struct wm_manifest {
    struct wm_arena *a;
    struct wm_str path;     /* as the user named it */
    struct wm_str dir;      /* directory of its files ("." where none) */
    bool is_dir;
    WM_VEC(struct wm_mfile) file;
    WM_VEC(struct wm_mtensor) tensor;
    uint64_t nbytes;        /* of all tensors */
    struct wm_map by_name;  /* name -> index in tensor; of several with one name, the last */
    bool repeats;           /* the same name may be in several files (`only` was given) */
    struct wm_str note;     /* e.g. "tensors were under \"model\""; empty */
    struct wm_str noted;    /* of the last file of which something was noted; said in `note` up to its first `nnoted` bytes */
    size_t nnoted;
    uint32_t nsame;         /* files behind it of which the same is to say */
    WM_VEC(struct wm_msum) sum;
    struct wm_map shapes;   /* of wm_manifest_shape() */
    WM_VEC(const int64_t *) shape;
    struct wm_str root;     /* for the readers: what wm_open_opts asks for */
    bool no_symlinks;       /* the same */
};

/* Which files of a directory to read. */
struct wm_open_opts {
    bool no_symlinks;
    const struct wm_str *only; /* names relative to the directory, instead of the index or all; [nonly] */
    uint32_t nonly;
    struct wm_str root;     /* where in a nested container the tensors live ("model_state_dict"); empty: found */
    bool round_numbers;     /* numbers that are more than their tensor's dtype holds are rounded, not refused */
};

/* Open a checkpoint: a file of a known format (by content), or a directory: by its index file, else all files of
 * its one format in it, ordered by name.  Duplicate names across files are an error only where `only` is NULL.
 * On failure err names file, tensor or offset, and reason. */
enum wm_status wm_manifest_open(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path,
                                const struct wm_open_opts *opts, struct wm_manifest **out,
                                struct wm_err *err);

/* Numbers of text-like containers (msgpack) that no float32 equals are rounded to one from now on. */
void wm_manifest_round_numbers(struct wm_manifest *m);

/* For the readers of containers: append the file `name` of the checkpoint's directory to m->file and open it, without
 * looking into it.  The caller sets its format and closes *fd. */
enum wm_status wm_manifest_add_file(struct wm_manifest *m, const struct wm_sys *sys, struct wm_str name, bool no_symlinks,
                                    int *fd, struct wm_err *err);

/* For the readers of containers: a shape that lives as long as the manifest; equal ones are one. */
const int64_t *wm_manifest_shape(struct wm_manifest *m, const int64_t *shape, uint32_t rank);

/* For the readers of containers: the tensors from `first` on were appended for one file; check their
 * names (UTF-8 is the reader's, no NUL, at most 16 MiB, not given twice) and count them. */
enum wm_status wm_manifest_register(struct wm_manifest *m, uint32_t first, struct wm_err *err);

/* Add to m->note what is worth knowing of a file: joined by "; ", with the file's name where there are several (of the
 * same of more files in a row, the first), and no more than a few hundred bytes in all. */
void wm_manifest_note(struct wm_manifest *m, uint32_t file, struct wm_str text);

/* Names of the regular files in a directory (relative, sorted bytewise, no recursion). */
enum wm_status wm_list_dir(struct wm_arena *a, const struct wm_sys *sys, struct wm_str dir,
                           struct wm_str **name, uint32_t *n, struct wm_err *err);

/* The same with the files of its subdirectories, at most `depth` levels down: "rank0/model.safetensors". */
enum wm_status wm_list_tree(struct wm_arena *a, const struct wm_sys *sys, struct wm_str dir, uint32_t depth,
                            struct wm_str **name, uint32_t *n, struct wm_err *err);

/* A whole small file (config.json, a map), at most `max` bytes; a regular file only. */
enum wm_status wm_read_file(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path,
                            uint64_t max, struct wm_str *out, struct wm_err *err);

/* The same for a text that the user named himself: also a pipe (`<(...)`, /dev/stdin), which is read to its end. */
enum wm_status wm_read_text(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path,
                            uint64_t max, struct wm_str *out, struct wm_err *err);

/* What stands behind the last slash of a path. */
struct wm_str wm_path_base(struct wm_str path);

/* A safe relative name: no empty, "." or ".." component, no NUL, not absolute. */
bool wm_path_is_inside(struct wm_str name);

#endif
