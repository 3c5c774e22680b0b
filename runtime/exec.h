/* runtime/exec.h -- the interpreter of plans: windows of the output, several threads, bounded
 * memory.
 *
 * Window by window of each output file: read what the window's boxes need, permute it in memory,
 * write it with one pwrite (or hand it to a sink).  Windows are independent; no lock on the hot
 * path. */
#ifndef WM_RUNTIME_EXEC_H
#define WM_RUNTIME_EXEC_H

#include "base/sys.h"
#include "runtime/jit.h"
#include "runtime/plan.h"
#include "runtime/share.h"

enum { WM_EXEC_THREADS = 8, WM_EXEC_MEMORY = 64 << 20 };

struct wm_exec_opts {
    uint32_t threads;    /* 0: one per processor, at most 8 */
    uint64_t max_memory; /* for all buffers; 0: 64 MiB */
    uint64_t window;     /* bytes; 0: chosen.  Tests set odd ones: bytes must not depend on it */
    enum wm_engine engine; /* neither on it */
    /* Called now and then from any thread, with the bytes done so far; true: stop (the run fails).
     */
    bool (*progress)(void *user, uint64_t done, uint64_t total);
    void *progress_user;
    /* Is this range of an output file there already, so that it need not be made?  From any thread; or NULL. */
    bool (*has)(void *user, uint32_t outfile, uint64_t lo, uint64_t hi);
    void *has_user;
    enum { WM_EXEC_ALL, WM_EXEC_OUTPUTS, WM_EXEC_CHECKS } part; /* what of the plan */
    const struct wm_share *share; /* only this part of outputs and checks; NULL: all.  Sums of outputs are then not known */
};

/* What a run counted. */
struct wm_exec_stats {
    uint64_t bytes_read, bytes_written, syscalls, peak_buffers;
    uint64_t cast_overflow, cast_nan, cast_inexact;
    uint32_t kernels; /* compiled */
};

/* Where the windows go.  `write` may be called from several threads at once, each window once, in
 * any order. */
struct wm_exec_sink {
    enum wm_status (*write)(void *user, uint32_t outfile, uint64_t off, const void *p, uint64_t n,
                            struct wm_err *err);
    void *user;
    uint32_t *sum; /* [number of SUM] filled when all is written; NULL where there is none */
    void (*stop)(void *user); /* a thread fails: calls of `write` that wait must return; or NULL */
};

/* Produce all tensor bytes of all output files (not heads and tails), and make the checks, of check
 * sums, too. */
enum wm_status wm_exec_run(const struct wm_plan *p, const struct wm_sys *sys,
                           const struct wm_exec_opts *opts, const struct wm_exec_sink *sink,
                           struct wm_exec_stats *stats, struct wm_err *err);

/* Produce bytes [off, off + n) of output tensor `out` (an index of OUT) into p, before its codec, or make units [off,
 * off + n) of a check (WM_NO: it fails).  Used alone for slices, trace and verify.  Inputs are
 * opened at first use and closed by the handle, which serves one thread at a time. */
struct wm_exec;
enum wm_status wm_exec_open(const struct wm_plan *p, const struct wm_sys *sys,
                            const struct wm_exec_opts *opts, struct wm_exec **out,
                            struct wm_err *err);
enum wm_status wm_exec_produce(struct wm_exec *x, uint32_t out, uint64_t off, uint64_t n, void *p,
                               struct wm_err *err);
/* The same of its bytes in the file, behind its codec. */
enum wm_status wm_exec_encode(struct wm_exec *x, uint32_t out, uint64_t off, uint64_t n, void *p,
                              struct wm_err *err);
/* Do the check sums of the inputs hold? */
enum wm_status wm_exec_check_sums(struct wm_exec *x, struct wm_err *err);
/* Inputs unchanged (size, mtime) since bind? */
enum wm_status wm_exec_check_inputs(struct wm_exec *x, struct wm_err *err);
void wm_exec_close(struct wm_exec *x);

#endif
