/* runtime/output.h -- outputs that appear whole or not at all.
 *
 * One file: a temporary file beside it (O_EXCL, `.NAME.wmap-*`), reserved with fallocate(2), renamed when whole.
 * A directory: a sibling directory is filled and renamed to the final name, exchanged with the old one where it
 * replaces one (--force).  Stale temporaries of dead runs are swept at open.  A second run into the same place
 * is refused (flock).  Nothing is left behind by wm_output_abort(). */
#ifndef WM_RUNTIME_OUTPUT_H
#define WM_RUNTIME_OUTPUT_H

#include "runtime/manifest.h"
#include "runtime/plan.h"
#include "runtime/share.h"

struct wm_output;

/* Several processes make one output: this one is task i of n (1 .. n). n = 0: it is alone.  i = 0: it makes nothing,
 * but commits what n tasks (any number, which is then found there) have made. */
struct wm_task {
    uint32_t i, n;
};
enum { WM_TASKS_ANY = UINT16_MAX + 1, WM_TASKS = UINT16_MAX };

struct wm_output_opts {
    bool force;             /* replace a directory that is not empty */
    bool fsync;             /* data, rename, directory */
    bool sparse;            /* sizes are set, no room is reserved: what is not written is a hole */
    bool late;              /* as sparse; wm_output_reserve() reserves what is a hole then */
    bool is_dir;            /* the output is a directory of files; else exactly one data file */
    struct wm_task task;    /* with an id */
    uint64_t id;            /* of the plan: a run goes on where a killed one with this id stopped; 0: it begins anew */
};

/* Create the temporaries for all files of the plan.  Refused: a file or directory of the output that is one of the
 * inputs (by device and inode), a non-empty directory without force, an output inside an input directory's set. */
/* *out is set as soon as there is something to clean up, and NULL again after a failure: a signal handler, or an
 * out-of-memory hook that does not return here, finds it there. */
enum wm_status wm_output_open(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path,
                              const struct wm_plan *plan, const struct wm_output_opts *opts,
                              struct wm_output **out, struct wm_err *err);
/* The descriptor to write OUTFILE number i at. */
int wm_output_fd(struct wm_output *o, uint32_t i);
/* Reserve room for what has none yet. */
enum wm_status wm_output_reserve(struct wm_output *o, struct wm_err *err);
/* The plan's check sums [number of SUM], which a commit writes.  Where nobody has seen all of the output (a task, a run
 * that went on with another's) they are not given, or only those that are `known` (NULL: all), and it reads the files. */
void wm_output_sums(struct wm_output *o, const uint32_t *sum, const bool *known);
/* Bytes [off, off + n) of OUTFILE number i are written. From any thread. */
void wm_output_wrote(struct wm_output *o, uint32_t i, uint64_t off, uint64_t n);
/* Were they written by the run that was killed? */
bool wm_output_has(const struct wm_output *o, uint32_t i, uint64_t lo, uint64_t hi);
/* How many bytes were. */
uint64_t wm_output_kept(const struct wm_output *o);
/* Has this task been done before?  Nothing is to be written then. */
bool wm_output_task_was_done(const struct wm_output *o);
/* This task's part is written (to disk, so that others can rely on it).  *left: how many tasks are not done; with none
 * of them the caller commits.  *gone: another task did so.  *names: which ones, "2, 5". */
enum wm_status wm_output_task_done(struct wm_output *o, const struct wm_share *share, uint32_t *left, bool *gone,
                                   const char **names, struct wm_err *err);
/* How many tasks there are. */
uint32_t wm_output_tasks(const struct wm_output *o);
/* Sidecars, headers and index files are written by this; then everything is committed (renamed). */
enum wm_status wm_output_commit(struct wm_output *o, struct wm_err *err);
/* Close and remove everything that is not committed, and let go of the lock.  Safe after a commit, failed or not (NULL:
 * nothing to do). */
void wm_output_abort(struct wm_output *o);
/* The part of it that a signal handler may call: removes the temporaries, touches no descriptor and no memory of
 * others.  The process should end afterwards. */
void wm_output_unlink(struct wm_output *o);

#endif
