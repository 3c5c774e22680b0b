/* runtime/formats/torch.h -- PyTorch checkpoints, between the two containers (torch_zip.c, torch_legacy.c) and what they
 * share: the pickled tree, its storages, its tensors.
 *
 * wm_torch_init(); wm_torch_parse() a pickle; the container says where each storage is; wm_torch_finish() makes
 * the manifest's tensors. */
#ifndef WM_RUNTIME_FORMATS_TORCH_H
#define WM_RUNTIME_FORMATS_TORCH_H

#include "runtime/formats/pickle.h"
#include "runtime/manifest.h"

/* What a listed name means: the low byte; of storages and dtypes the dtype is above it. */
enum wm_torch_class {
    WM_TC_OTHER,         /* no tensor */
    WM_TC_TENSOR,        /* (storage, offset, size, stride) */
    WM_TC_TENSOR_V2,     /* (storage, offset, size, stride, requires_grad, hooks[, metadata]) */
    WM_TC_TENSOR_V3,     /* (storage, offset, size, stride, requires_grad, hooks, dtype[, metadata]) */
    WM_TC_PARAMETER,     /* (tensor, requires_grad, hooks[, state]) */
    WM_TC_FROM_TYPE,     /* (function, type, arguments, state) */
    WM_TC_DEVICE_TENSOR, /* (tensor, dtype, device, requires_grad) */
    WM_TC_TENSOR_TYPE,   /* torch.Tensor, Parameter: as the type of FROM_TYPE */
    WM_TC_REFERENCE,     /* its tensor is in a file beside: state {"tid": number of the file} */
    WM_TC_REFUSED,       /* a tensor of a kind that is not read */
    WM_TC_STORAGE,
    WM_TC_DTYPE
};

struct wm_torch_storage {
    struct wm_str key;
    uint16_t cls;          /* index of its class */
    enum wm_dtype dtype;   /* WM_DT_N: none of ours */
    uint64_t nbytes;       /* by its numel; the container compares */
    uint64_t off;          /* in the file; the container sets it */
};

struct wm_torch {
    const struct wm_sys *sys; /* to open files beside this one; NULL: there are none */
    struct wm_arena *a;
    struct wm_manifest *m;
    uint32_t file;
    const char *path;
    const char *part;      /* of the file, for messages: "data.pkl" */
    bool swap;             /* the file's byte order is not little-endian */
    struct wm_pk_result tree;
    struct wm_map by_key;  /* key -> storage */
    WM_VEC(struct wm_torch_storage) storage;
    struct wm_map by_tid;  /* names of files beside that were read */
    struct wm_err *err;
};

extern const struct wm_pk_class wm_torch_classes[];
extern const uint32_t wm_torch_nclass;

void wm_torch_init(struct wm_torch *t, struct wm_manifest *m, uint32_t file, struct wm_err *err);

/* The pickle at the start of `bytes`, and the storages that it refers to.  WM_EIO: it is longer. */
enum wm_status wm_torch_parse(struct wm_torch *t, const char *part, struct wm_str bytes);

/* The tensors of the tree; wm_manifest_register() is done. */
enum wm_status wm_torch_finish(struct wm_torch *t);

/* ---- between the parts ---- */

/* Is this value a tensor, readable or not? */
bool wm_torch_is_tensor(const struct wm_pk *v);
/* Append it to the manifest under `name`. */
enum wm_status wm_torch_add(struct wm_torch *t, struct wm_str name, const struct wm_pk *v);
/* The same of a REFERENCE, whose tensor is in a file beside. */
enum wm_status wm_torch_add_reference(struct wm_torch *t, struct wm_str name, const struct wm_pk *v);
/* The storage that a REF stands for; *skip are its first elements (views of old files) and *n those from there on. */
enum wm_status wm_torch_resolve(struct wm_torch *t, const struct wm_pk *ref, struct wm_torch_storage **out,
                                uint64_t *skip, uint64_t *nbytes);

/* Any file of PyTorch. */
bool wm_torch_probe(const unsigned char *p, size_t n, uint64_t size);
enum wm_status wm_torch_read(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file,
                             struct wm_err *err);

/* One tensor that torch.save wrote, zip file and all, as a stretch of a file. */
struct wm_torch_item {
    struct wm_str name;    /* that it gets */
    const char *what;      /* for messages, in place of the file's path */
    uint64_t off, len;     /* in the file */
};

/* The item and the check sums of its storage.  part->t gets all but a name, part->at room of the item's rank. */
enum wm_status wm_torch_read_part(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file,
                                  const struct wm_torch_item *item, struct wm_mpart *part, struct wm_err *err);

/* Append it, and the check sums of its storage, to a manifest; nothing is registered. */
enum wm_status wm_torch_read_item(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file,
                                  const struct wm_torch_item *item, struct wm_err *err);

/* Keys around a state dict in what trainers save: is it the model's, is it their own? */
bool wm_torch_is_wrap(struct wm_str key);
bool wm_torch_is_trainers(struct wm_str key);

/* What torch.save pickled into a zip file, whatever it is: file 0 of the manifest. */
enum wm_status wm_torch_read_value(const struct wm_sys *sys, int fd, struct wm_manifest *m, struct wm_pk **out, struct wm_err *err);
/* Plain values of such a file as JSON text (torch_json.c), of about `most` bytes. */
enum wm_status wm_torch_json(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path, uint64_t most, struct wm_str *out,
                             struct wm_err *err);

/* The older container. */
bool wm_torch_legacy_probe(const unsigned char *p, size_t n);
enum wm_status wm_torch_legacy_read(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file,
                                    struct wm_err *err);

#endif
