/* runtime/manifest_stream.h -- checkpoints whose data comes later: as a stream of bytes, or pushed tensor by tensor. */
#ifndef WM_RUNTIME_MANIFEST_STREAM_H
#define WM_RUNTIME_MANIFEST_STREAM_H

#include "runtime/manifest.h"

/* Where bytes come from, in order. */
struct wm_feed {
    int64_t (*read)(void *user, void *p, uint64_t n); /* how many; 0: the end; negative: -errno */
    void *user;
    const char *name; /* for messages: "standard input" */
    uint64_t at;      /* bytes read so far */
};

/* The next n bytes; the end of the stream in between is an error (WM_EFORMAT). */
enum wm_status wm_feed_read(struct wm_feed *s, void *p, uint64_t n, struct wm_err *err);
/* At most n bytes, at least one. */
enum wm_status wm_feed_some(struct wm_feed *s, void *p, uint64_t n, uint64_t *got, struct wm_err *err);
/* Nothing may follow. */
enum wm_status wm_feed_end(struct wm_feed *s, struct wm_err *err);

/* The manifest of a safetensors file that comes as a stream: reads its header and no more. */
enum wm_status wm_manifest_stream(struct wm_arena *a, struct wm_feed *s, struct wm_manifest **out,
                                  struct wm_err *err);

/* The manifest of tensors that will be pushed: names, dtypes, shapes.  Offsets are given here, one behind the other. */
enum wm_status wm_manifest_pushed(struct wm_arena *a, const struct wm_mtensor *t, uint32_t n, struct wm_manifest **out,
                                  struct wm_err *err);

#endif
