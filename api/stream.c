/* api/stream.c -- inputs that come as a stream: bound by their header, run as the bytes come. */
#include "api/stream.h"

#include <errno.h>
#include <unistd.h>

enum {
    WM_DISCARD = 64 << 10,
    WIDE = 1 << 20 /* of a pipe: as much as anyone may have; both sides wait less often for each other */
};

static int64_t
read_stdin(void *user, void *p, uint64_t n)
{
    const struct wm_sys *sys = user;
    ssize_t got;

    do
        got = sys->read(0, p, n < 1 << 30 ? (size_t)n : 1 << 30);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -(int64_t)errno : got;
}

struct wm_feed *
wm_stdin_feed(struct wmap_ctx *ctx)
{
    struct wm_feed *s;
    struct stat st;
    bool known = ctx->sys->fstat(0, &st) == 0;

    if (known && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        return NULL;
    if (known && S_ISFIFO(st.st_mode))
        (void)ctx->sys->widen(0, WIDE);
    s = WM_NEW(&ctx->arena, struct wm_feed);
    *s = (struct wm_feed){.read = read_stdin, .user = (void *)(uintptr_t)ctx->sys, .name = "standard input"};
    return s;
}

/* The caller's stream. */
static int64_t
read_given(void *user, void *p, uint64_t n)
{
    const wmap_source *s = user;
    long got = s->read(s->user, p, n < 1 << 30 ? (size_t)n : 1 << 30);

    return got < 0 ? -EIO : got;
}

wmap_status
wmap_bind_stream(wmap_map *map, wmap_source in, const wmap_bind_options *o, wmap_plan **out)
{
    struct wmap_ctx *ctx = map->ctx;
    struct wm_feed *s = WM_NEW(&ctx->arena, struct wm_feed);
    wmap_source *given = WM_NEW(&ctx->arena, wmap_source);

    *given = in;
    *s = (struct wm_feed){.read = read_given, .user = given, .name = "the stream"};
    return wm_bind_source(map, s, NULL, o, out);
}

/* ---- running ---- */

uint32_t
wm_stream_file(const struct wm_view *v)
{
    for (uint32_t i = 0; i < v->ninfile; i++)
        if (v->infile[i].flags & WM_INFILE_STREAM)
            return i;
    return WM_NONE;
}

static enum wm_status
some(struct wm_stream_run *r, struct wm_push *push, uint32_t file, uint64_t end)
{
    struct wm_feed *s = r->p->source;
    struct wm_err *err = &r->p->map->ctx->err;
    uint64_t at = s->at, room = 0, got = 0;
    char *to = file == WM_NONE ? NULL : wm_push_room(push, file, at, &room);
    enum wm_status st;

    if (!to) {
        to = r->discard;
        room = WM_DISCARD;
    }
    room = room < end - at ? room : end - at;
    st = wm_feed_some(s, to, room, &got, err);
    return st == WM_OK && file != WM_NONE ? wm_push_bytes(push, file, at, to, got, err) : st;
}

enum wm_status
wm_stream_run(struct wm_stream_run *r, struct wm_arena *a, const struct wm_view *v, const struct wm_push_opts *o,
              const struct wm_push_to *to, struct wm_exec_stats *stats)
{
    struct wmap_ctx *ctx = r->p->map->ctx;
    uint64_t end = r->p->in->file.item[0].size, first = r->p->source->at;
    uint32_t file = wm_stream_file(v);
    struct wm_push *push;
    enum wm_status st = wm_push_open(a, ctx->sys, &r->p->plan, o, to, &push, &ctx->err);

    if (st != WM_OK)
        return st;
    r->discard = wm_arena_alloc(a, WM_DISCARD);
    while (st == WM_OK && r->p->source->at < end) {
        st = some(r, push, file, end);
        if (st == WM_OK && wm_progress_call(r->progress, r->p->source->at - first, end - first))
            st = wm_fail(&ctx->err, WM_ELIMIT, NULL, "interrupted");
    }
    if (st == WM_OK)
        st = wm_feed_end(r->p->source, &ctx->err);
    if (st == WM_OK)
        st = wm_push_finish(push, stats, &ctx->err);
    wm_push_close(push);
    return st;
}
