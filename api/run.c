/* api/run.c -- run a plan: into files that appear whole or not at all, or into a stream. */
#include "api/ctx.h"
#include "api/out.h"
#include "api/view.h"
#include "runtime/io.h"

enum { STREAM_WINDOW = 1 << 20 };

struct run {
    struct wmap_ctx *ctx;
    struct wmap_plan *p;
    struct wm_arena a;
    struct wm_view v;
    struct wm_exec_opts exec;
    struct wm_exec_stats stats;
    struct wm_progress progress;
    double start;
};

static void
begin(struct run *r, struct wmap_plan *p, const wmap_run_options *o)
{
    *r = (struct run){.ctx = p->map->ctx, .p = p, .start = wm_now()};
    wm_ctx_begin(r->ctx);
    wm_ctx_arena(r->ctx, &r->a);
    wm_view_init(&r->v, &r->a, &p->plan);
    r->progress = (struct wm_progress){r->ctx, o ? &o->work : NULL};
    r->exec = (struct wm_exec_opts){.threads = o ? o->work.threads : 0,
                                    .max_memory = wm_work_memory(r->progress.work),
                                    .progress = wm_progress_call,
                                    .progress_user = &r->progress};
}

/* The file where there is one, else the directory with a slash. */
static const char *
place_of(const struct run *r)
{
    struct wm_arena *a = &r->ctx->arena;
    struct wm_str path = r->p->output;
    bool slash = path.n && path.p[path.n - 1] == '/';

    if (r->p->stream)
        return "standard output";
    if (r->p->bind.out_is_file)
        return wm_arena_cstr(a, path);
    if (r->v.noutfile != 1)
        return wm_arena_printf(a, "%.*s%s", WM_STR_ARG(path), slash ? "" : "/").p;
    return wm_arena_printf(a, "%.*s%s%.*s", WM_STR_ARG(path), slash ? "" : "/",
                           WM_STR_ARG(wm_plan_str(&r->p->plan, r->v.outfile[0].name)))
        .p;
}

static wmap_status
end(struct run *r, enum wm_status st, wmap_run_result *result)
{
    if (st != WM_OK && atomic_load(&r->ctx->stop)) {
        wm_ctx_begin(r->ctx); /* whatever failed, failed because of that */
        wm_ctx_stopped(r->ctx, &r->ctx->err);
    }
    if (result && st == WM_OK)
        *result = (wmap_run_result){.ntensor = r->v.ntensor,
                                    .nfile = r->v.noutfile,
                                    .bytes_written = r->p->plan.head->out_bytes,
                                    .bytes_read = r->stats.bytes_read,
                                    .peak_buffers = r->stats.peak_buffers,
                                    .cast_overflow = r->stats.cast_overflow,
                                    .cast_nan = r->stats.cast_nan,
                                    .seconds = wm_now() - r->start,
                                    .place = place_of(r)};
    wm_arena_fini(&r->a);
    return wm_ctx_end(r->ctx, st);
}

static enum wm_status
write_window(void *user, uint32_t outfile, uint64_t off, const void *p, uint64_t n,
             struct wm_err *err)
{
    struct run *r = user;

    return wm_io_pwrite(r->ctx->sys, wm_output_fd(r->ctx->running, outfile), r->p->output.p, p, n,
                        off, err);
}

wmap_status
wmap_run(wmap_plan *p, const wmap_run_options *o, wmap_run_result *result)
{
    struct run r;
    struct wm_exec_sink sink = {write_window, &r, NULL};
    struct wm_output_opts opts = {
        .force = o && o->force, .fsync = o && o->fsync, .is_dir = !p->bind.out_is_file};
    struct wmap_ctx *ctx = p->map->ctx;
    enum wm_status st;

    begin(&r, p, o);
    sink.sum = wm_view_sums(&r.v, &r.a);
    if (p->output.n == 0 || p->stream)
        return end(&r, wm_fail(&ctx->err, WM_EUSAGE, NULL, "the plan has no output to write to"),
                   result);
    st = wm_ctx_stopped(ctx, &ctx->err) ? WM_ELIMIT : WM_OK;
    if (st == WM_OK)
        st = wm_output_open(&r.a, ctx->sys, p->output, &p->plan, &opts, &ctx->running, &ctx->err);
    if (st == WM_OK)
        st = wm_exec_run(&p->plan, ctx->sys, &r.exec, &sink, &r.stats, &ctx->err);
    if (st == WM_OK && wm_ctx_stopped(ctx, &ctx->err))
        st = WM_ELIMIT;
    if (st == WM_OK) {
        wm_output_sums(ctx->running, sink.sum);
        st = wm_output_commit(ctx->running, &ctx->err);
    }
    wm_output_abort(ctx->running); /* lets go of the lock; removes what is not committed */
    ctx->running = NULL;
    return end(&r, st, result);
}

/* ---- streams ---- */

static enum wm_status
put(struct run *r, const wmap_sink *sink, const void *p, uint64_t n)
{
    if (n && sink->write(sink->user, p, (size_t)n) != 0)
        return wm_fail(&r->ctx->err, WM_EIO, NULL, "writing the output failed");
    return WM_OK;
}

static enum wm_status
put_tensor(struct run *r, struct wm_exec *x, uint32_t id, void *window, const wmap_sink *sink,
           uint64_t *done)
{
    uint64_t nbytes = r->v.out[id].nbytes, total = r->p->plan.head->out_bytes;

    for (uint64_t at = 0; at < nbytes;) {
        uint64_t n = nbytes - at < STREAM_WINDOW ? nbytes - at : STREAM_WINDOW;
        enum wm_status st;

        if ((st = wm_exec_encode(x, id, at, n, window, &r->ctx->err)) != WM_OK ||
            (st = put(r, sink, window, n)) != WM_OK)
            return st;
        at += n;
        *done += n;
        if (wm_progress_call(&r->progress, *done, total))
            return wm_fail(&r->ctx->err, WM_ELIMIT, NULL, "interrupted");
    }
    return WM_OK;
}

/* One file, front to back; what lies between its tensors is zero. */
static enum wm_status
put_file(struct run *r, struct wm_exec *x, void *window, const wmap_sink *sink)
{
    const struct wm_plan_outfile *f = &r->v.outfile[0];
    uint64_t at = f->head.len, done = 0;
    enum wm_status st = put(r, sink, r->v.blob + f->head.off, f->head.len);

    for (uint64_t k = f->first; st == WM_OK && k < f->first + f->ntensor; k++) {
        const struct wm_plan_out *t = &r->v.out[k];

        memset(window, 0, STREAM_WINDOW);
        for (; st == WM_OK && at < t->off;
             at += t->off - at < STREAM_WINDOW ? t->off - at : STREAM_WINDOW)
            st = put(r, sink, window, t->off - at < STREAM_WINDOW ? t->off - at : STREAM_WINDOW);
        if (st == WM_OK)
            st = put_tensor(r, x, (uint32_t)k, window, sink, &done);
        at = t->off + t->nbytes;
    }
    return st == WM_OK ? put(r, sink, r->v.blob + f->tail.off, f->tail.len) : st;
}

wmap_status
wmap_run_stream(wmap_plan *p, const wmap_run_options *o, wmap_sink sink, wmap_run_result *result)
{
    struct wmap_ctx *ctx = p->map->ctx;
    struct wm_exec *x = NULL;
    struct run r;
    void *window;
    enum wm_status st;

    begin(&r, p, o);
    if (r.v.noutfile != 1)
        return end(&r,
                   wm_fail(&ctx->err, WM_EUSAGE, NULL,
                           "a stream takes one file, but the output has %llu",
                           (unsigned long long)r.v.noutfile),
                   result);
    if (r.v.nsum)
        return end(&r,
                   wm_fail(&ctx->err, WM_EUSAGE, NULL,
                           "this container has check sums in front of the bytes they are of, and a stream can not "
                           "go back: write it to a file"),
                   result);
    window = wm_arena_alloc(&r.a, STREAM_WINDOW);
    st = wm_exec_open(&p->plan, ctx->sys, &r.exec, &x, &ctx->err);
    if (st == WM_OK)
        st = wm_view_checks(&r.v, x, &ctx->err);
    if (st == WM_OK)
        st = put_file(&r, x, window, &sink);
    if (st == WM_OK)
        st = wm_exec_check_inputs(x, &ctx->err);
    if (x)
        wm_exec_close(x);
    r.stats.bytes_read = p->plan.head->in_bytes;
    return end(&r, st, result);
}
