/* api/ctx.h -- what stands behind the handles of wmap.h, and the small things that all of api/
 * uses.
 *
 * A context is one compilation: its arena holds maps, graphs and plans until it ends.  Work that
 * may be repeated (listing, comparing) takes an arena of its own, which is freed at its end. */
#ifndef WM_API_CTX_H
#define WM_API_CTX_H

#include <stdatomic.h>

#include "compiler/driver.h"
#include "runtime/exec.h"
#include "runtime/format.h"
#include "runtime/output.h"
#include "wmap/wmap.h"

struct wmap_ctx {
    const struct wm_sys *sys;
    struct wm_arena arena;
    struct wm_cc cc;
    struct wm_err err;          /* of the last call */
    WM_VEC(struct wm_str) path; /* given by wmap_add_path() */
    void (*oom)(void *user);
    void *oom_user;
    struct wm_output *running; /* the output that a call is writing, for wmap_abandon() */
    bool invented;             /* what is bound was made up by wmap_mini() */
    atomic_bool stop;          /* set by wmap_interrupt(), never cleared */
};

struct wmap_map {
    struct wmap_ctx *ctx;
    struct wm_chain *chain;
    char *name, *doc;
};

struct wmap_checkpoint {
    struct wmap_ctx *ctx;
    struct wm_arena arena;
    struct wm_manifest *m;
    uint32_t *order; /* tensors by name, numbers by value */
    struct wm_ranks *ranks; /* where its files are those of ranks; or NULL */
};

struct wmap_plan {
    struct wmap_map *map;
    struct wm_manifest *in;
    struct wm_graph *graph;
    struct wm_bind_opts bind; /* its texts are owned by the context */
    bool no_symlinks, round_numbers;
    bool stream;          /* the output is "-" */
    struct wm_feed *source; /* the input comes as a stream; or NULL */
    bool pushed;              /* it is pushed (wmap_push_open) */
    struct wm_str output; /* as given; empty: none */
    struct wm_plan plan;
    uint64_t size; /* of the plan's block */
    const char *place;
};

/* Begin a call: forget the last failure. */
void wm_ctx_begin(struct wmap_ctx *ctx);
/* The status of wmap.h for one of base/status.h. */
wmap_status wm_ctx_end(struct wmap_ctx *ctx, enum wm_status st);
/* An arena with the context's hooks. */
void wm_ctx_arena(struct wmap_ctx *ctx, struct wm_arena *a);
/* A copy owned by the context; NULL gives the empty string. */
struct wm_str wm_ctx_str(struct wmap_ctx *ctx, const char *s);
/* Sets err to "interrupted" and returns true where wmap_interrupt() was called. */
bool wm_ctx_stopped(struct wmap_ctx *ctx, struct wm_err *err);

/* Where a map's name is looked up: what the user gave, the installed library, the source tree's. */
void wm_ctx_set_paths(struct wmap_ctx *ctx);

/* Progress of a call: the user's function and wmap_interrupt() in the form that the executor takes.
 */
struct wm_progress {
    struct wmap_ctx *ctx;
    const wmap_work *work;
};
bool wm_progress_call(void *progress, uint64_t done, uint64_t total);

/* Threads to use, and bytes for buffers, where the options say 0. */
unsigned wm_work_threads(const wmap_work *w);
uint64_t wm_work_memory(const wmap_work *w);

/* Bind a chain to a manifest, and plan: everything in the context's arena. */
enum wm_status wm_plan_of(struct wmap_ctx *ctx, struct wm_chain *chain,
                          const struct wm_manifest *in, const struct wm_bind_opts *o,
                          struct wm_graph **graph, struct wm_plan *plan, uint64_t *size);

/* The container of this name, which can be written; or a message that lists those. */
enum wm_status wm_out_format(struct wm_arena *a, struct wm_str name, const struct wm_format **out, struct wm_err *err);

/* Its note as one printable line, or NULL. */
const char *wm_manifest_note_text(const struct wm_manifest *m);

/* The tensors' numbers in order of their names, numbers by value. */
uint32_t *wm_manifest_order(struct wm_arena *a, struct wm_manifest *m);

/* Seconds of a clock that only goes forward. */
double wm_now(void);

#endif
