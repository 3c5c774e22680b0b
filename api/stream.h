/* api/stream.h -- inputs that come as a stream. */
#ifndef WM_API_STREAM_H
#define WM_API_STREAM_H

#include "api/ctx.h"
#include "api/view.h"
#include "runtime/manifest_stream.h"
#include "runtime/push.h"

/* Standard input, if it is no file that can be opened as such; else NULL. */
struct wm_feed *wm_stdin_feed(struct wmap_ctx *ctx);

/* Bind to a stream (its header is read), or to a manifest of tensors that will be pushed. */
wmap_status wm_bind_source(wmap_map *map, struct wm_feed *s, struct wm_manifest *m, const wmap_bind_options *o,
                           wmap_plan **out);

/* The input file of a plan that is a stream; WM_NONE: nothing of it is read. */
uint32_t wm_stream_file(const struct wm_view *v);

struct wm_stream_run {
    struct wmap_plan *p;
    struct wm_progress *progress;
    char *discard; /* what no output needs */
};

/* Read the stream to its end and push it through the plan. */
enum wm_status wm_stream_run(struct wm_stream_run *r, struct wm_arena *a, const struct wm_view *v,
                             const struct wm_push_opts *o, const struct wm_push_to *to, struct wm_exec_stats *stats);

#endif
