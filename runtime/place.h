/* runtime/place.h -- where an output goes: its directory, its lock, names for temporaries.
 *
 * Everything that a run puts beside its target is named ".NAME.wmap-*": the lock, and temporaries named by 16
 * hexadecimal digits.  Whoever holds the lock may remove the temporaries of runs that are dead.
 *
 * Tasks of one plan share the lock.  What they leave for each other has the number of their plan, with ".tasks" and
 * ".task-N" behind it; it belongs to somebody also when none of them is running. */
#ifndef WM_RUNTIME_PLACE_H
#define WM_RUNTIME_PLACE_H

#include "base/arena.h"
#include "base/status.h"
#include "base/sys.h"

struct wm_place {
    struct wm_arena *a;
    const struct wm_sys *sys;
    char *path;   /* the target, links resolved */
    char *dir;    /* its directory, "." where it has none */
    char *name;   /* its last component */
    char *prefix; /* "DIR/.NAME.wmap-" */
    char *lock;   /* path of the lock file */
    char *guard;  /* path of the lock file under which tasks set up and commit */
    int lock_fd, guard_fd;  /* -1: not held */
    bool shared;   /* the lock is that of a task */
    bool no_locks; /* this file system has none */
    bool drop;    /* what tasks of other plans left is removed; else it is a reason to refuse */
    uint32_t seq; /* of the next temporary */
    uint64_t keep[2]; /* temporaries with these numbers are not swept; 0: none */
    bool exists;
    struct stat st; /* where it exists */
};

/* Resolve the target of an output.  Creates nothing. */
enum wm_status wm_place_find(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path,
                             struct wm_place *out, struct wm_err *err);

/* Take the lock (refused where another run has it) and sweep what dead runs left.  On a file system
 * without locks, nothing is swept. */
enum wm_status wm_place_lock(struct wm_place *p, struct wm_err *err);
void wm_place_unlock(struct wm_place *p);
/* The same for one of several tasks, whose number is keep[0]; afterwards the guard is held, too. */
enum wm_status wm_place_share(struct wm_place *p, struct wm_err *err);
/* A shared lock becomes one that nobody shares (refused where others are running), and the other way round. */
enum wm_status wm_place_alone(struct wm_place *p, struct wm_err *err);
enum wm_status wm_place_not_alone(struct wm_place *p, struct wm_err *err);
/* One task at a time, waiting for others. */
enum wm_status wm_place_guard(struct wm_place *p, struct wm_err *err);
void wm_place_unguard(struct wm_place *p);
/* Remove all temporaries but those to keep. */
enum wm_status wm_place_sweep(struct wm_place *p, struct wm_err *err);

/* The name of the temporary with a number of 64 bits. */
char *wm_place_numbered(struct wm_place *p, uint64_t id);
/* A new name for a temporary beside the target. */
char *wm_place_temp(struct wm_place *p);

/* Is `file` (or, through links, the file it stands for) inside the directory with this identity, at
 * any depth?  A file that does not exist is in none. */
bool wm_place_contains(const struct wm_sys *sys, struct wm_arena *a, const struct stat *dir,
                       const char *file);

/* The entries of a directory, but . and ..; 0 or errno. */
int wm_dir_list(struct wm_arena *a, const struct wm_sys *sys, const char *path, char ***name, uint32_t *n);
/* 1: the directory has no entries, 0: it has some, -1: errno. */
int wm_dir_is_empty(const struct wm_sys *sys, const char *path);

/* Remove a file or a directory with all that is in it; links are removed, not followed. */
enum wm_status wm_tree_remove(struct wm_arena *a, const struct wm_sys *sys, const char *path,
                              struct wm_err *err);

#endif
