/* api/push.c -- tensors that the caller pushes, in any order and any pieces.
 *
 * In: a plan bound to headers (wmap_bind_headers).  Out: files that appear when all came, or tensors that are handed
 * out one by one as each becomes complete. */
#include "api/out.h"
#include "api/stream.h"

struct wmap_push {
    struct wmap_plan *p;
    struct wm_arena a;
    struct wm_view v;
    struct wm_push *push;
    struct wm_progress progress;
    uint32_t *sum; /* check sums of the output */
    bool *known;   /* which of them */
    wmap_taker taker;
    uint64_t done;
    double start;
    bool failed, owns; /* owns: the output that is being written */
};

wmap_status
wmap_bind_headers(wmap_map *map, const wmap_header *t, size_t n, const wmap_bind_options *o, wmap_plan **out)
{
    struct wmap_ctx *ctx = map->ctx;
    struct wm_mtensor *list;
    struct wm_manifest *m;
    enum wm_status st;

    wm_ctx_begin(ctx);
    *out = NULL;
    if (n > UINT32_MAX / 2)
        return wm_ctx_end(ctx, wm_fail(&ctx->err, WM_ELIMIT, NULL, "too many tensors"));
    list = WM_NEW_N(&ctx->arena, struct wm_mtensor, n);
    for (size_t k = 0; k < n; k++) {
        int64_t *shape = WM_NEW_N(&ctx->arena, int64_t, t[k].rank);

        list[k].name = wm_ctx_str(ctx, t[k].name);
        list[k].dtype = wm_dtype_by_safetensors(wm_str_c(t[k].dtype));
        list[k].rank = t[k].rank;
        list[k].shape = shape;
        if (list[k].dtype == WM_DT_N || t[k].rank > WM_MAX_RANK)
            return wm_ctx_end(ctx, wm_fail(&ctx->err, WM_EUSAGE, NULL, "tensor \"%s\": no dtype \"%s\", or too many "
                                           "dimensions", t[k].name, t[k].dtype));
        if (t[k].rank)
            memcpy(shape, t[k].shape, t[k].rank * sizeof(*shape));
    }
    st = wm_manifest_pushed(&ctx->arena, list, (uint32_t)n, &m, &ctx->err);
    return st == WM_OK ? wm_bind_source(map, NULL, m, o, out) : wm_ctx_end(ctx, st);
}

static int
file_fd(void *user, uint32_t file)
{
    struct wmap_push *s = user;

    return wm_output_fd(s->p->map->ctx->running, file);
}

static enum wm_status
take_tensor(void *user, uint32_t out, const void *p, struct wm_err *err)
{
    struct wmap_push *s = user;
    const struct wm_plan_out *o = &s->v.out[out];
    wmap_tensor t = {.name = wm_arena_cstr(&s->a, wm_plan_str(&s->p->plan, o->name)),
                     .dtype = wm_dtype_info[o->dtype].name,
                     .shape = s->v.shape + o->shape,
                     .rank = o->rank,
                     .file = wm_arena_cstr(&s->a, wm_plan_str(&s->p->plan, s->v.outfile[o->file].name)),
                     .offset = o->off,
                     .nbytes = o->nbytes};

    if (s->taker.tensor(s->taker.user, &t, p) != 0)
        return wm_fail(err, WM_EIO, NULL, "\"%s\" was not taken", t.name);
    return WM_OK;
}

wmap_status
wmap_push_open(wmap_plan *p, const wmap_run_options *o, const wmap_taker *taker, wmap_push **out)
{
    struct wmap_ctx *ctx = p->map->ctx;
    struct wmap_push *s = WM_NEW(&ctx->arena, struct wmap_push);
    struct wm_push_opts opts = {.max_memory = wm_work_memory(o ? &o->work : NULL),
                                .threads = o ? o->work.threads : 0,
                                .engine = (enum wm_engine)(o ? o->work.engine : 0),
                                .any_order = true};
    struct wm_push_to to = {.user = s};
    struct wm_output_opts files = {
        .force = o && o->force, .fsync = o && o->fsync, .is_dir = !p->bind.out_is_file};
    enum wm_status st = WM_OK;

    wm_ctx_begin(ctx);
    *out = NULL;
    s->p = p;
    s->start = wm_now();
    wm_ctx_arena(ctx, &s->a);
    wm_view_init(&s->v, &s->a, &p->plan);
    s->progress = (struct wm_progress){ctx, o ? &o->work : NULL};
    if (!p->pushed || ctx->running)
        st = wm_fail(&ctx->err, WM_EUSAGE, NULL,
                     p->pushed ? "another output is being written" : "the plan is not made for pushed tensors");
    else if (!taker && (p->output.n == 0 || p->stream))
        st = wm_fail(&ctx->err, WM_EUSAGE, NULL, "the plan has no output to write to");
    if (st == WM_OK && taker) {
        s->taker = *taker;
        to.tensor = take_tensor;
    } else if (st == WM_OK) {
        to.fd = file_fd;
        s->owns = true;
        st = wm_output_open(&s->a, ctx->sys, p->output, &p->plan, &files, &ctx->running, &ctx->err);
    }
    if (s->owns && s->v.nsum) {
        opts.sum = s->sum = wm_view_sums(&s->v, &s->a);
        opts.known = s->known = WM_NEW_N(&s->a, bool, s->v.nsum);
    }
    if (st == WM_OK)
        st = wm_push_open(&s->a, ctx->sys, &p->plan, &opts, &to, &s->push, &ctx->err);
    *out = s;
    if (st != WM_OK) {
        wmap_push_close(s);
        *out = NULL;
    }
    return wm_ctx_end(ctx, st);
}

wmap_status
wmap_push_bytes(wmap_push *s, const char *name, uint64_t offset, const void *bytes, size_t n)
{
    struct wmap_ctx *ctx = s->p->map->ctx;
    uint32_t id = wm_map_get(&s->p->in->by_name, wm_str_c(name));
    const struct wm_mtensor *t = id == WM_NONE ? NULL : &s->p->in->tensor.item[id];
    uint64_t unit = t ? wm_dtype_info[t->dtype].bits / 8u : 0;
    uint32_t file = wm_stream_file(&s->v);
    enum wm_status st = WM_OK;

    wm_ctx_begin(ctx);
    unit = unit ? unit : 1;
    if (s->failed)
        st = wm_fail(&ctx->err, WM_EUSAGE, NULL, "the session has failed");
    else if (!t)
        st = wm_fail(&ctx->err, WM_EUSAGE, NULL, "no tensor \"%s\" among the headers", name);
    else if (offset > t->nbytes || n > t->nbytes - offset)
        st = wm_fail(&ctx->err, WM_EUSAGE, NULL, "tensor \"%s\" has %llu bytes: no %zu more at %llu", name,
                     (unsigned long long)t->nbytes, n, (unsigned long long)offset);
    else if (offset % unit || n % unit)
        st = wm_fail(&ctx->err, WM_EUSAGE, NULL, "tensor \"%s\": a piece begins or ends inside of an element", name);
    else if (file != WM_NONE)
        st = wm_push_bytes(s->push, file, t->off + offset, bytes, n, &ctx->err);
    s->done += n;
    if (st == WM_OK && wm_progress_call(&s->progress, s->done, s->p->in->nbytes))
        st = wm_fail(&ctx->err, WM_ELIMIT, NULL, "interrupted");
    s->failed = s->failed || (st != WM_OK && st != WM_EUSAGE);
    return wm_ctx_end(ctx, st);
}

wmap_status
wmap_push_finish(wmap_push *s, wmap_run_result *result)
{
    struct wmap_ctx *ctx = s->p->map->ctx;
    struct wm_exec_stats stats = {0};
    enum wm_status st;

    wm_ctx_begin(ctx);
    if (s->failed)
        return wm_ctx_end(ctx, wm_fail(&ctx->err, WM_EUSAGE, NULL, "the session has failed"));
    st = wm_push_finish(s->push, &stats, &ctx->err);
    s->failed = true; /* or finished */
    if (st == WM_OK && s->owns) {
        wm_output_sums(ctx->running, s->sum, s->known);
        st = wm_output_commit(ctx->running, &ctx->err);
    }
    if (st == WM_OK && result)
        *result = (wmap_run_result){.ntensor = s->v.ntensor,
                                    .nfile = s->taker.tensor ? 0 : s->v.noutfile,
                                    .bytes_written = s->p->plan.head->out_bytes,
                                    .bytes_read = stats.bytes_read,
                                    .peak_buffers = stats.peak_buffers,
                                    .cast_overflow = stats.cast_overflow,
                                    .cast_nan = stats.cast_nan,
                                    .seconds = wm_now() - s->start,
                                    .place = s->p->output.p};
    return wm_ctx_end(ctx, st);
}

void
wmap_push_close(wmap_push *s)
{
    struct wmap_ctx *ctx;

    if (!s)
        return;
    ctx = s->p->map->ctx;
    wm_push_close(s->push);
    if (s->owns) {
        wm_output_abort(ctx->running);
        ctx->running = NULL;
    }
    wm_arena_fini(&s->a);
}
