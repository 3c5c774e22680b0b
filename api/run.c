/* api/run.c -- run a plan: into files that appear whole or not at all, or into a stream. */
#include <pthread.h>

#include "api/stream.h"
#include "runtime/inplace.h"
#include "runtime/io.h"
#include "runtime/reflink.h"

enum { TASKS_SEED = 1 << 20 }; /* another id than that of a run alone */

struct run {
    struct wmap_ctx *ctx;
    struct wmap_plan *p;
    struct wm_arena a;
    struct wm_view v;
    struct wm_exec_opts exec;
    struct wm_exec_stats stats;
    struct wm_progress progress;
    double start;
    uint32_t *sum; /* check sums of the output; NULL: they are read from it */
    bool *known;   /* which of them; NULL: all */
    uint64_t kept; /* bytes of a run that was killed */
    struct wm_reflink reflink;
    struct wm_task task;
    struct wm_share share; /* of a task */
    uint64_t made;         /* bytes of it, if they were not there before */
    uint32_t left;         /* tasks that are not done */
    const char *names;     /* which */
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
                                    .engine = (enum wm_engine)(o ? o->work.engine : 0),
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
    bool in_place = r->p->bind.layout == WM_LAYOUT_IN_PLACE;

    if (st != WM_OK && atomic_load(&r->ctx->stop)) {
        wm_ctx_begin(r->ctx); /* whatever failed, failed because of that */
        wm_ctx_stopped(r->ctx, &r->ctx->err);
    }
    if (result && st == WM_OK)
        *result = (wmap_run_result){.ntensor = r->v.ntensor,
                                    .nfile = r->v.noutfile,
                                    .bytes_written = in_place    ? 0
                                                     : r->task.n ? r->made
                                                                 : r->p->plan.head->out_bytes,
                                    .bytes_read = r->stats.bytes_read,
                                    .peak_buffers = r->stats.peak_buffers,
                                    .cast_overflow = r->stats.cast_overflow,
                                    .cast_nan = r->stats.cast_nan,
                                    .bytes_kept = r->kept,
                                    .bytes_shared = r->reflink.bytes,
                                    .calls = r->stats.syscalls,
                                    .seconds = wm_now() - r->start,
                                    .ntask = r->task.n,
                                    .tasks_left = r->left,
                                    .tasks = wm_ctx_str(r->ctx, r->names).p,
                                    .place = place_of(r)};
    wm_arena_fini(&r->a);
    return wm_ctx_end(r->ctx, st);
}

static enum wm_status
write_window(void *user, uint32_t outfile, uint64_t off, const void *p, uint64_t n,
             struct wm_err *err)
{
    struct run *r = user;

    enum wm_status st = wm_io_pwrite(r->ctx->sys, wm_output_fd(r->ctx->running, outfile), r->p->output.p, p,
                                     n, off, err);

    if (st == WM_OK)
        wm_output_wrote(r->ctx->running, outfile, off, n);
    return st;
}

static bool
has_window(void *user, uint32_t outfile, uint64_t lo, uint64_t hi)
{
    struct run *r = user;

    return (r->reflink.n && wm_reflink_has(&r->reflink, outfile, lo, hi)) ||
           (r->kept && wm_output_has(r->ctx->running, outfile, lo, hi));
}

/* Of a plan whose run can be gone on with after a kill: the input can be read again. */
static uint64_t
id_of(const struct run *r)
{
    if (r->task.n)
        return wm_hash(r->p->plan.head, r->p->size, TASKS_SEED) | 1;
    return r->p->source ? 0 : wm_hash(r->p->plan.head, r->p->size, WM_PLAN_VERSION) | 1;
}

static int
file_fd(void *user, uint32_t file)
{
    return wm_output_fd(((struct run *)user)->ctx->running, file);
}

static enum wm_status
run_source(struct run *r, const struct wm_push_to *to)
{
    struct wm_stream_run s = {.p = r->p, .progress = &r->progress};
    struct wm_push_opts o = {
        .max_memory = r->exec.max_memory, .threads = r->exec.threads, .engine = r->exec.engine};

    if (r->v.nsum) {
        o.sum = r->sum = wm_view_sums(&r->v, &r->a);
        o.known = r->known = WM_NEW_N(&r->a, bool, r->v.nsum);
    }
    return wm_stream_run(&s, &r->a, &r->v, &o, to, &r->stats);
}

/* What needs no copy.  A window that is shared but for a part of it is written as a whole. */
static enum wm_status
share_blocks(struct run *r)
{
    enum wm_status st = wm_reflink_run(&r->reflink, r->ctx->sys, &r->p->plan, &r->a, file_fd, r, &r->ctx->err);

    for (uint64_t i = 0; i < r->reflink.n && st == WM_OK; i++)
        wm_output_wrote(r->ctx->running, r->reflink.part[i].outfile, r->reflink.part[i].to, r->reflink.part[i].n);
    return st == WM_OK ? wm_output_reserve(r->ctx->running, &r->ctx->err) : st;
}

/* Checks, then the header; there is no data to write. */
static enum wm_status
run_in_place(struct run *r)
{
    struct wm_exec_sink sink = {.user = r};
    enum wm_status st;

    r->exec.part = WM_EXEC_CHECKS;
    st = wm_exec_run(&r->p->plan, r->ctx->sys, &r->exec, &sink, &r->stats, &r->ctx->err);
    if (st == WM_OK && wm_ctx_stopped(r->ctx, &r->ctx->err))
        st = WM_ELIMIT;
    return st == WM_OK ? wm_inplace_write(&r->a, r->ctx->sys, r->p->output, &r->p->plan, &r->ctx->err) : st;
}

static enum wm_status
make(struct run *r)
{
    struct wm_exec_sink sink = {.write = write_window, .user = r};
    struct wm_push_to to = {.fd = file_fd, .user = r};
    enum wm_status st;

    if (r->task.i) {
        r->share = wm_share_of(&r->p->plan, r->task.i, r->task.n);
        r->exec.share = &r->share;
    }
    if (r->task.n && (r->task.i == 0 || wm_output_task_was_done(r->ctx->running)))
        return WM_OK;
    r->made = r->share.bytes;
    if (r->p->source)
        return run_source(r, &to);
    r->kept = wm_output_kept(r->ctx->running);
    if (r->v.nsum && !r->task.n && !r->kept) /* it sees all of the output */
        sink.sum = r->sum = wm_view_sums(&r->v, &r->a);
    if (r->reflink.n && (st = share_blocks(r)) != WM_OK)
        return st;
    r->exec.has = r->kept || r->reflink.n ? has_window : NULL;
    r->exec.has_user = r;
    return wm_exec_run(&r->p->plan, r->ctx->sys, &r->exec, &sink, &r->stats, &r->ctx->err);
}

/* A task's part is there.  *commit: it was the last one. */
static enum wm_status
end_task(struct run *r, bool *commit)
{
    struct wm_err *err = &r->ctx->err;
    bool gone;
    enum wm_status st = wm_output_task_done(r->ctx->running, &r->share, &r->left, &gone, &r->names, err);

    *commit = st == WM_OK && !r->left && !gone;
    r->task.n = wm_output_tasks(r->ctx->running);
    if (st == WM_OK && r->left && r->task.i == 0)
        return wm_fail(err, WM_EUSAGE, place_of(r), "tasks are not done yet: %s", r->names);
    return st;
}

static enum wm_status
run_files(struct run *r, const struct wm_output_opts *opts)
{
    struct wmap_ctx *ctx = r->ctx;
    bool commit = true;
    enum wm_status st = wm_output_open(&r->a, ctx->sys, r->p->output, &r->p->plan, opts, &ctx->running, &ctx->err);

    if (st == WM_OK)
        st = make(r);
    if (st == WM_OK && wm_ctx_stopped(ctx, &ctx->err))
        st = WM_ELIMIT;
    if (st == WM_OK && r->task.n)
        st = end_task(r, &commit);
    if (st == WM_OK && commit) {
        wm_output_sums(ctx->running, r->sum, r->known);
        st = wm_output_commit(ctx->running, &ctx->err);
    }
    wm_output_abort(ctx->running); /* lets go of the lock; removes what is not committed, if it is not for other tasks */
    ctx->running = NULL;
    return st;
}

/* What the caller says of tasks. */
static enum wm_status
take_task(struct run *r, const wmap_run_options *o)
{
    struct wm_err *err = &r->ctx->err;

    if (!o || (!o->ntask && !o->commit_tasks))
        return WM_OK;
    if (o->ntask && (o->commit_tasks || o->ntask > WM_TASKS || o->task < 1 || o->task > o->ntask))
        return wm_fail(err, WM_EUSAGE, NULL, "there is no task %u of %u", o->task, o->ntask);
    if (r->p->source)
        return wm_fail(err, WM_EUSAGE, NULL, "tasks read the input each on its own: it can't come from a stream");
    if (r->p->bind.layout == WM_LAYOUT_IN_PLACE)
        return wm_fail(err, WM_EUSAGE, NULL, "one header is written by one process: --in-place takes no task");
    r->task = (struct wm_task){o->commit_tasks ? 0 : o->task, o->commit_tasks ? WM_TASKS_ANY : o->ntask};
    return WM_OK;
}

wmap_status
wmap_run(wmap_plan *p, const wmap_run_options *o, wmap_run_result *result)
{
    struct run r;
    struct wm_output_opts opts = {
        .force = o && o->force, .fsync = o && o->fsync, .is_dir = !p->bind.out_is_file};
    struct wmap_ctx *ctx = p->map->ctx;
    enum wm_status st;

    begin(&r, p, o);
    if (p->output.n == 0 || p->stream || p->pushed)
        return end(&r, wm_fail(&ctx->err, WM_EUSAGE, NULL, "the plan has no %s",
                               p->pushed ? "input to read" : "output to write to"), result);
    st = take_task(&r, o);
    if (p->bind.layout == WM_LAYOUT_IN_PLACE)
        return end(&r, st == WM_OK ? run_in_place(&r) : st, result);
    if (p->bind.layout == WM_LAYOUT_KEEP && !p->source && !r.v.nsum && !r.task.n)
        wm_reflink_find(&r.a, &p->plan, &r.reflink);
    opts.late = r.reflink.n > 0;
    opts.task = r.task;
    opts.id = id_of(&r);
    if (st == WM_OK && wm_ctx_stopped(ctx, &ctx->err))
        st = WM_ELIMIT;
    return end(&r, st == WM_OK ? run_files(&r, &opts) : st, result);
}

/* ---- streams ----
 *
 * Windows are made by all threads and written in order: a thread waits with its window for its turn, so there is never
 * more in memory than a window for each. */

struct in_order {
    struct run *r;
    wmap_sink sink;
    pthread_mutex_t lock;
    pthread_cond_t turn;
    uint64_t next; /* offset in the file */
    bool stopped;
};

static enum wm_status
put(struct in_order *q, const void *p, uint64_t n, struct wm_err *err)
{
    if (n && q->sink.write(q->sink.user, p, (size_t)n) != 0)
        return wm_fail(err, WM_EIO, NULL, "writing the output failed");
    return WM_OK;
}

static enum wm_status
put_window(void *user, uint32_t outfile, uint64_t off, const void *p, uint64_t n, struct wm_err *err)
{
    struct in_order *q = user;
    bool stopped;
    enum wm_status st;

    (void)outfile; /* there is one */
    pthread_mutex_lock(&q->lock);
    while (q->next != off && !q->stopped)
        pthread_cond_wait(&q->turn, &q->lock);
    stopped = q->stopped;
    pthread_mutex_unlock(&q->lock);
    if (stopped)
        return wm_fail(err, WM_ELIMIT, NULL, "stopped");
    if ((st = put(q, p, n, err)) != WM_OK)
        return st;
    pthread_mutex_lock(&q->lock);
    q->next += n;
    pthread_cond_broadcast(&q->turn);
    pthread_mutex_unlock(&q->lock);
    return WM_OK;
}

static void
stop_waiting(void *user)
{
    struct in_order *q = user;

    pthread_mutex_lock(&q->lock);
    q->stopped = true;
    pthread_cond_broadcast(&q->turn);
    pthread_mutex_unlock(&q->lock);
}

static enum wm_status
put_source(void *user, const void *p, uint64_t n, struct wm_err *err)
{
    return put(user, p, n, err);
}

/* Checks come first: what is written can't be taken back. */
static enum wm_status
make_in_order(struct run *r, struct in_order *q)
{
    const struct wm_plan_outfile *f = &r->v.outfile[0];
    struct wm_exec_sink sink = {.write = put_window, .user = q, .stop = stop_waiting};
    struct wm_push_to to = {.write = put_source, .user = q};
    struct wm_err *err = &r->ctx->err;
    struct wm_exec_stats checks = {0};
    enum wm_status st;

    if (r->p->source) /* the head waits for the answer whether memory suffices */
        return run_source(r, &to);
    r->exec.part = WM_EXEC_CHECKS;
    if ((st = wm_exec_run(&r->p->plan, r->ctx->sys, &r->exec, &sink, &checks, err)) != WM_OK ||
        (st = put(q, r->v.blob + f->head.off, f->head.len, err)) != WM_OK)
        return st;
    r->exec.part = WM_EXEC_OUTPUTS;
    st = wm_exec_run(&r->p->plan, r->ctx->sys, &r->exec, &sink, &r->stats, err);
    r->stats.bytes_read += checks.bytes_read;
    return st == WM_OK ? put(q, r->v.blob + f->tail.off, f->tail.len, err) : st;
}

/* Why the output can't go to a stream; NULL: it can. */
static const char *
not_in_order(const struct run *r)
{
    if (r->v.noutfile != 1)
        return "a stream takes one file, but the output has several";
    if (r->v.nsum)
        return "this container states a check sum in front of the bytes it is of, which are not known by then: "
               "write it to a file, or name another container with --format";
    return NULL;
}

wmap_status
wmap_run_stream(wmap_plan *p, const wmap_run_options *o, wmap_sink sink, wmap_run_result *result)
{
    struct wmap_ctx *ctx = p->map->ctx;
    struct in_order q = {.sink = sink, .lock = PTHREAD_MUTEX_INITIALIZER, .turn = PTHREAD_COND_INITIALIZER};
    struct run r;
    const char *why;
    enum wm_status st;

    begin(&r, p, o);
    why = p->pushed ? "the plan has no input to read" : not_in_order(&r);
    if (why)
        return end(&r, wm_fail(&ctx->err, WM_EUSAGE, NULL, "%s", why), result);
    q.r = &r;
    q.next = r.v.outfile[0].head.len;
    st = make_in_order(&r, &q);
    pthread_cond_destroy(&q.turn);
    pthread_mutex_destroy(&q.lock);
    return end(&r, st, result);
}
