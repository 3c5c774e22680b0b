/* runtime/output_priv.h -- what the files of the output share. */
#ifndef WM_RUNTIME_OUTPUT_PRIV_H
#define WM_RUNTIME_OUTPUT_PRIV_H

#include "base/map.h"
#include "runtime/journal.h"
#include "runtime/output.h"
#include "runtime/place.h"

struct wm_temp {
    const char *path;  /* where it is now */
    const char *final; /* where it is renamed to; NULL: it goes along with its directory */
    bool is_dir;
    int fd;            /* -1 when closed */
    volatile bool done; /* renamed: no longer to be removed */
};

/* What is written to the disk before the end of the run. */
enum wm_behind {
    WM_BEHIND_NONE,
    WM_BEHIND_WRITE, /* all */
    WM_BEHIND_DROP   /* and its pages are given back */
};

struct wm_output {
    struct wm_arena *a;
    const struct wm_sys *sys;
    const struct wm_plan *plan;
    struct wm_output_opts opts;
    struct wm_place place;
    bool is_dir;
    char *root; /* the temporary directory, where is_dir */
    const struct wm_plan_outfile *file;
    const struct wm_plan_sidecar *sidecar;
    const char *blob;
    const uint32_t *sum; /* check sums; NULL: not known */
    const bool *known;   /* which of them; NULL: all */
    uint64_t nfile, nsidecar, nblob, total; /* total: bytes of all files */
    struct wm_temp *temp;                   /* a list that never moves */
    volatile uint32_t ntemp;
    struct wm_temp **of_file; /* [nfile] */
    struct wm_map made;       /* directories below root that exist */
    struct wm_journal *journal; /* of what is written; or NULL */
    char *journal_path;         /* NULL: there is none to be removed */
    bool resumed;               /* the temporaries are those of a killed run */
    bool shared;                /* temp[0 .. nshared) belong to other tasks, too: not to be removed */
    uint32_t nshared;
    bool committed; /* a task that was killed then gave them their name already */
    enum wm_behind behind;
};

/* Everything that can be refused before anything is created. */
enum wm_status wm_output_check(struct wm_output *o, struct wm_err *err);

struct wm_temp *wm_output_temp(struct wm_output *o, const char *path, const char *final,
                               bool is_dir);
enum wm_status wm_output_create(struct wm_output *o, const char *path, const char *final,
                                struct wm_temp **out, struct wm_err *err);
enum wm_status wm_output_parents(struct wm_output *o, struct wm_str name, struct wm_err *err);

/* The temporaries for all files: new ones, or (resumed) those that are there. */
enum wm_status wm_output_files(struct wm_output *o, struct wm_err *err);

/* ---- output_behind.c ---- */

/* By what is known of the output, the options and the machine. */
void wm_output_behind_choose(struct wm_output *o);
/* Bytes [off, off + n) of OUTFILE number i are written. */
void wm_output_behind(const struct wm_output *o, uint32_t i, uint64_t off, uint64_t n);

/* ---- output_task.c ---- */

/* Share the place with other tasks: the lock, the files, a journal of its own. */
enum wm_status wm_output_task_open(struct wm_output *o, struct wm_err *err);
/* Was the output given its name by a task that was killed after that? */
bool wm_output_tasks_committed(struct wm_output *o);
/* All is written, and the output gets its name now. */
enum wm_status wm_output_tasks_commit(struct wm_output *o, struct wm_err *err);
/* It has it: what the tasks left for each other goes. */
enum wm_status wm_output_tasks_end(struct wm_output *o, struct wm_err *err);

/* ---- output_resume.c ---- */

/* Are the data files there (`root` is the one, or the directory), as a run of this plan leaves them? */
bool wm_output_is_there(struct wm_output *o, const char *root);

/* With the lock held and an id: take over the temporaries of a killed run of the same plan, or remove what is left of
 * them.  o->resumed says which. */
enum wm_status wm_output_resume(struct wm_output *o, struct wm_err *err);
/* Begin a journal, or go on with the one that is there. */
void wm_output_journal(struct wm_output *o);
/* Before the output gets its name: what has a journal is taken for incomplete. */
enum wm_status wm_output_journal_end(struct wm_output *o, struct wm_err *err);

/* Heads and tails of the files, and all sidecars. */
enum wm_status wm_output_write_small(struct wm_output *o, struct wm_err *err);

#endif
