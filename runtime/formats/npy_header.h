/* runtime/formats/npy_header.h -- the header of NumPy's arrays: read strictly, and written as np.save does. */
#ifndef WM_RUNTIME_FORMATS_NPY_HEADER_H
#define WM_RUNTIME_FORMATS_NPY_HEADER_H

#include "base/buf.h"
#include "runtime/format.h"

struct wm_npy_header {
    uint64_t nbytes;  /* of the header: the array begins there */
    enum wm_dtype dtype;
    uint32_t codec;   /* RAW, or SWAPn for the other byte order */
    bool fortran;     /* the first dimension is the fastest */
    uint32_t rank;
    int64_t shape[WM_MAX_RANK];
};

bool wm_npy_probe(const unsigned char *p, size_t n, uint64_t size);

/* The header at `off` of an open file, whose array may be `size` bytes with it; `what` leads in messages: the array of
 * an entry, or "header". */
enum wm_status wm_npy_header_read(struct wm_arena *a, const struct wm_sys *sys, int fd, const char *path,
                                  const char *what, uint64_t off, uint64_t size, struct wm_npy_header *out,
                                  struct wm_err *err);

/* Append the tensor of this header at `off` to the manifest. */
enum wm_status wm_npy_add(struct wm_manifest *m, uint32_t file, struct wm_str name, uint64_t off, uint64_t size,
                          const struct wm_npy_header *h, const char *path, struct wm_err *err);

/* What np.save writes in front of the tensor. */
enum wm_status wm_npy_header_write(struct wm_buf *b, const struct wm_wtensor *t, struct wm_err *err);

#endif
