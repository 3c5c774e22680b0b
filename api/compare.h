/* api/compare.h -- pairs of tensors compared as streams: `diff` and `verify`.
 *
 * Both sides are readers of byte ranges, so that a side may be a file or what a plan produces.
 * Memory is bounded by the options, whatever the tensors' sizes; threads take pieces in order. */
#ifndef WM_API_COMPARE_H
#define WM_API_COMPARE_H

#include "api/ctx.h"

/* Bytes [off, off + n) of tensor `id` into p.  Called from several threads at once, with their
 * numbers. */
struct wm_reader {
    enum wm_status (*read)(void *user, unsigned thread, uint32_t id, uint64_t off, uint64_t n,
                           void *p, struct wm_err *err);
    void *user;
};

struct wm_pair {
    uint32_t a, b;        /* ids of the readers */
    enum wm_dtype da, db; /* they differ only with a tolerance */
    uint64_t nunit;       /* elements (bytes, where elements share them) */
    /* result */
    uint64_t ndiff;               /* units that differ */
    uint64_t first;               /* the first of them */
    unsigned char va[16], vb[16]; /* its bytes */
    double max_abs;               /* largest |a - b|; NaN where one side only is NaN */
};

struct wm_compare {
    struct wmap_ctx *ctx;
    struct wm_arena *a;
    struct wm_pair *pair;
    uint32_t npair;
    struct wm_reader ra, rb;
    double atol, rtol; /* both 0: to the bit */
    const wmap_work *work;
    uint64_t nbytes; /* result: of side a */
};

enum wm_status wm_compare_run(struct wm_compare *c, struct wm_err *err);

enum { WM_READER_THREADS = 1024 }; /* at most: see wm_work_threads() */

/* A reader of a checkpoint's tensors: its files opened for reading, checked to be those of the
 * manifest. */
struct wm_file_reader {
    const struct wm_sys *sys;
    const struct wm_manifest *m;
    int *fd;           /* [m->file.n]; -1: not open */
    const char **path; /* [m->file.n] */
    /* tensors with strides or a codec are the outputs of a plan */
    struct wm_plan plan;
    uint32_t *out;           /* [m->tensor.n] WM_NONE: read as it is */
    uint32_t nout;
    struct wm_exec **exec;   /* [WM_READER_THREADS], each opened by its thread */
};
enum wm_status wm_file_reader_open(struct wm_file_reader *r, struct wm_arena *a,
                                   const struct wm_sys *sys, const struct wm_manifest *m,
                                   struct wm_err *err);
struct wm_reader wm_file_reader(struct wm_file_reader *r);
/* Also checks that no file has changed since it was listed (err may be set already: then it is
 * kept). */
enum wm_status wm_file_reader_close(struct wm_file_reader *r, struct wm_err *err);

/* Index of unit `unit` in a tensor: "[3, 5]". */
void wm_print_index(struct wm_buf *b, enum wm_dtype t, const int64_t *shape, uint32_t rank,
                    uint64_t unit);

#endif
