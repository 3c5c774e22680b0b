/* api/ctx.c -- contexts: memory, messages, diagnostics, interruption. */
#include "api/ctx.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "api/out.h"

enum { MAX_THREADS = 8 };

#define MEMORY_DEFAULT (UINT64_C(64) << 20)

/* The hook of every arena of a context. */
static void
out_of_memory(void *user)
{
    struct wmap_ctx *ctx = user;

    if (ctx->oom)
        ctx->oom(ctx->oom_user);
    abort();
}

wmap_ctx *
wmap_ctx_new(void)
{
    struct wmap_ctx *ctx = wm_sys_real.malloc(sizeof(*ctx));

    if (!ctx)
        return NULL;
    memset(ctx, 0, sizeof(*ctx));
    ctx->sys = &wm_sys_real;
    atomic_init(&ctx->stop, false);
    wm_ctx_arena(ctx, &ctx->arena);
    ctx->cc.a = &ctx->arena;
    ctx->cc.sys = ctx->sys;
    wm_cc_init(&ctx->cc, &ctx->arena, ctx->sys);
    return ctx;
}

void
wmap_ctx_free(wmap_ctx *ctx)
{
    if (!ctx)
        return;
    wm_cc_fini(&ctx->cc);
    wm_arena_fini(&ctx->arena);
    ctx->sys->free(ctx);
}

void
wmap_set_oom(wmap_ctx *ctx, void (*hook)(void *user), void *user)
{
    ctx->oom = hook;
    ctx->oom_user = user;
}

void
wmap_abandon(wmap_ctx *ctx)
{
    struct wm_output *o = ctx->running;

    ctx->running = NULL;
    if (o)
        wm_output_unlink(o); /* other threads may still be writing: no descriptor is touched */
}

void
wmap_interrupt(wmap_ctx *ctx)
{
    atomic_store(&ctx->stop, true);
}

const char *
wmap_message(const wmap_ctx *ctx)
{
    return ctx->err.msg;
}

unsigned
wmap_error_count(const wmap_ctx *ctx)
{
    return ctx->cc.diags.nerror;
}

unsigned
wmap_warning_count(const wmap_ctx *ctx)
{
    return ctx->cc.diags.nwarning;
}

void
wmap_diagnostics_clear(wmap_ctx *ctx)
{
    struct wm_diags *ds = &ctx->cc.diags;

    ds->list.n = 0;
    ds->nerror = ds->nwarning = 0;
}

wmap_status
wmap_diagnostics(wmap_ctx *ctx, wmap_style style, wmap_sink sink)
{
    struct wm_arena a;
    struct wm_out out;
    bool ok;

    wm_ctx_arena(ctx, &a);
    wm_out_init(&out, &a, sink);
    wm_diags_finish(&ctx->cc.diags);
    if (style == WMAP_JSON) {
        wm_diags_json(&ctx->cc.diags, &out.b);
    } else {
        struct wm_render how = {.color = style == WMAP_TEXT_COLOR, .max = 0};

        wm_diags_text(&ctx->cc.diags, &how, &out.b);
    }
    ok = wm_out_end(&out);
    wm_arena_fini(&a);
    return ok ? WMAP_OK : WMAP_ERROR;
}

wmap_status
wmap_json_string(wmap_ctx *ctx, const char *text, wmap_sink sink)
{
    struct wm_arena a;
    struct wm_out out;
    bool ok;

    wm_ctx_arena(ctx, &a);
    wm_out_init(&out, &a, sink);
    wm_buf_json(&out.b, wm_str_c(text));
    ok = wm_out_end(&out);
    wm_arena_fini(&a);
    return ok ? WMAP_OK : WMAP_ERROR;
}

const char *
wmap_version(void)
{
    return WMAP_VERSION;
}

int
wmap_nearest(const char *name, const char *const *names, size_t n)
{
    struct wm_arena a;
    struct wm_str *list, near;
    int found = -1;

    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    list = WM_NEW_N(&a, struct wm_str, n);
    for (size_t k = 0; k < n; k++)
        list[k] = wm_str_c(names[k]);
    near = wm_suggest(&a, wm_str_c(name), list, (uint32_t)n);
    for (size_t k = 0; k < n && near.n && found < 0; k++)
        if (wm_str_eq(list[k], near))
            found = (int)k;
    wm_arena_fini(&a);
    return found;
}

/* ---- for the rest of api/ ---- */

void
wm_ctx_begin(struct wmap_ctx *ctx)
{
    ctx->err.status = WM_OK;
    ctx->err.sys = 0;
    ctx->err.msg[0] = '\0';
}

wmap_status
wm_ctx_end(struct wmap_ctx *ctx, enum wm_status st)
{
    if (st == WM_OK || st == WM_NO)
        return st == WM_OK ? WMAP_OK : WMAP_NO;
    if (!ctx->err.msg[0])
        wm_fail(&ctx->err, st, NULL, st == WM_ENOMEM ? "out of memory" : "failed");
    return WMAP_ERROR;
}

void
wm_ctx_arena(struct wmap_ctx *ctx, struct wm_arena *a)
{
    wm_arena_init(a, ctx->sys, out_of_memory, ctx);
}

struct wm_str
wm_ctx_str(struct wmap_ctx *ctx, const char *s)
{
    return s ? wm_arena_str(&ctx->arena, wm_str_c(s)) : WM_STR("");
}

bool
wm_ctx_stopped(struct wmap_ctx *ctx, struct wm_err *err)
{
    if (!atomic_load(&ctx->stop))
        return false;
    wm_fail(err, WM_ELIMIT, NULL, "interrupted");
    return true;
}

bool
wm_progress_call(void *progress, uint64_t done, uint64_t total)
{
    struct wm_progress *p = progress;

    if (atomic_load(&p->ctx->stop))
        return true;
    return p->work && p->work->progress && p->work->progress(p->work->progress_user, done, total);
}

unsigned
wm_work_threads(const wmap_work *w)
{
    long n = w && w->threads ? (long)w->threads : sysconf(_SC_NPROCESSORS_ONLN);

    if (!(w && w->threads) && n > MAX_THREADS)
        n = MAX_THREADS;
    return n < 1 ? 1 : n > 1024 ? 1024 : (unsigned)n;
}

uint64_t
wm_work_memory(const wmap_work *w)
{
    return w && w->max_memory ? w->max_memory : MEMORY_DEFAULT;
}

double
wm_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
