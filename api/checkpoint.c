/* api/checkpoint.c -- checkpoints as their headers show them: open, list, inspect. */
#include <inttypes.h>
#include <stdlib.h>

#include "api/ctx.h"
#include "api/fold.h"
#include "api/out.h"
#include "api/ranks.h"
#include "api/table.h"
#include "runtime/format.h"

static int
by_name(const void *x, const void *y, void *user)
{
    const struct wm_manifest *m = user;
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    int c = wm_name_cmp(m->tensor.item[a].name, m->tensor.item[b].name);

    return c ? c : (a > b) - (a < b);
}

uint32_t *
wm_manifest_order(struct wm_arena *a, struct wm_manifest *m)
{
    uint32_t *order = WM_NEW_N(a, uint32_t, m->tensor.n);

    for (uint32_t k = 0; k < m->tensor.n; k++)
        order[k] = k;
    if (m->tensor.n)
        qsort_r(order, m->tensor.n, sizeof(*order), by_name, m);
    return order;
}

/* The files of ranks that a directory has, or the checkpoint that it is otherwise. */
static enum wm_status
open_ranked(struct wmap_checkpoint *c, struct wm_str path, bool no_symlinks, struct wm_err *err)
{
    struct wm_open_opts opts = {.no_symlinks = no_symlinks};
    struct wm_arena *a = &c->arena;
    struct stat info;
    enum wm_status st;

    if (c->ctx->sys->stat(path.p, &info) == 0 && S_ISDIR(info.st_mode)) {
        st = wm_ranks_list(c->ctx, a, path, &c->ranks, err);
        if (st != WM_OK)
            return st;
    }
    if (c->ranks) {
        struct wm_str *name = WM_NEW_N(a, struct wm_str, c->ranks->nfile);

        for (uint32_t k = 0; k < c->ranks->nfile; k++)
            name[k] = c->ranks->file[k].name;
        opts.only = name;
        opts.nonly = c->ranks->nfile;
    }
    st = wm_manifest_open(a, c->ctx->sys, path, &opts, &c->m, err);
    if (st != WM_OK)
        return st;
    for (uint32_t k = 0; c->ranks && k < c->ranks->nleft; k++)
        wm_manifest_note(c->m, WM_NONE, wm_arena_printf(a, "%.*s is of no rank and is left out",
                                                        WM_STR_ARG(c->ranks->left_out[k])));
    if (c->ranks && c->ranks->unfinished)
        wm_manifest_note(c->m, WM_NONE, WM_STR("there is no file \"done\": the save was not finished"));
    return c->ranks ? WM_OK : wm_ranks_guess(a, c->m, &c->ranks, err);
}

const char *
wm_manifest_note_text(const struct wm_manifest *m)
{
    struct wm_buf b;

    if (m->note.n == 0)
        return NULL;
    wm_buf_init(&b, m->a);
    wm_buf_safe(&b, m->note, 0);
    return wm_arena_str(m->a, wm_buf_str(&b)).p;
}

const char *
wmap_checkpoint_note(wmap_checkpoint *c)
{
    return wm_manifest_note_text(c->m);
}

void
wmap_checkpoint_round_numbers(wmap_checkpoint *c)
{
    wm_manifest_round_numbers(c->m);
}

wmap_status
wmap_checkpoint_open(wmap_ctx *ctx, const char *path, bool no_symlinks, wmap_checkpoint **out)
{
    struct wmap_checkpoint *c;
    enum wm_status st;

    wm_ctx_begin(ctx);
    *out = NULL;
    c = WM_NEW(&ctx->arena, struct wmap_checkpoint);
    c->ctx = ctx;
    wm_ctx_arena(ctx, &c->arena);
    st = open_ranked(c, wm_arena_str(&c->arena, wm_str_c(path)), no_symlinks, &ctx->err);
    if (st != WM_OK) {
        wm_arena_fini(&c->arena);
        return wm_ctx_end(ctx, st);
    }
    /* names of the public structs are terminated */
    for (uint32_t k = 0; k < c->m->tensor.n; k++)
        c->m->tensor.item[k].name = wm_arena_str(&c->arena, c->m->tensor.item[k].name);
    for (uint32_t k = 0; k < c->m->file.n; k++)
        c->m->file.item[k].name = wm_arena_str(&c->arena, c->m->file.item[k].name);
    c->order = wm_manifest_order(&c->arena, c->m);
    *out = c;
    return WMAP_OK;
}

void
wmap_checkpoint_close(wmap_checkpoint *c)
{
    if (c)
        wm_arena_fini(&c->arena); /* the handle itself belongs to the context */
}

static const char *
format_name(const struct wm_manifest *m)
{
    return m->file.n ? wm_formats[m->file.item[0].format]->name : "";
}

wmap_checkpoint_info
wmap_checkpoint_describe(const wmap_checkpoint *c)
{
    return (wmap_checkpoint_info){format_name(c->m), c->m->tensor.n, c->m->file.n, c->m->nbytes};
}

wmap_tensor
wmap_checkpoint_tensor(const wmap_checkpoint *c, uint64_t i)
{
    const struct wm_mtensor *t = &c->m->tensor.item[c->order[i]], *s = wm_mtensor_slot(t, 0);

    return (wmap_tensor){.name = t->name.p,
                         .dtype = wm_dtype_info[t->dtype].name,
                         .shape = t->shape,
                         .rank = t->rank,
                         .file = c->m->file.item[s->file].name.p,
                         .offset = s->off,
                         .nbytes = t->nbytes};
}

/* Where a tensor in several parts lies. */
static void
parts_json(const struct wm_manifest *m, const struct wm_mtensor *t, struct wm_out *o)
{
    wm_js_array(o, "parts");
    for (uint32_t k = 0; k < t->store->npart; k++) {
        const struct wm_mpart *p = &t->store->part[k];

        wm_js_object(o, NULL);
        wm_js_str(o, "file", m->file.item[p->t.file].name);
        wm_js_uint(o, "offset", p->t.off);
        wm_js_shape(o, "start", p->at, t->rank);
        wm_js_shape(o, "shape", p->t.shape, t->rank);
        wm_js_close(o);
    }
    wm_js_close(o);
}

static void
inspect_json(const struct wmap_checkpoint *c, struct wm_arena *a, const struct wm_rank_tensors *ranked, bool agree,
             struct wm_out *o)
{
    const struct wm_manifest *m = c->m;

    wm_js_result(o, "wmap.inspect/1", agree ? WMAP_OK : WMAP_NO);
    wm_js_str(o, "path", m->path);
    wm_js_str(o, "format", wm_str_c(format_name(m)));
    wm_js_uint(o, "ntensor", m->tensor.n);
    wm_js_uint(o, "nbytes", m->nbytes);
    wm_js_array(o, "files");
    for (uint32_t k = 0; k < m->file.n; k++) {
        wm_js_object(o, NULL);
        wm_js_str(o, "name", m->file.item[k].name);
        wm_js_uint(o, "size", m->file.item[k].size);
        wm_js_close(o);
    }
    wm_js_close(o);
    wm_js_array(o, "tensors");
    for (uint32_t k = 0; k < m->tensor.n; k++) {
        const struct wm_mtensor *t = &m->tensor.item[c->order[k]], *s = wm_mtensor_slot(t, 0);

        wm_js_object(o, NULL);
        wm_js_str(o, "name", t->name);
        wm_js_str(o, "dtype", wm_str_c(wm_dtype_info[t->dtype].name));
        wm_js_shape(o, "shape", t->shape, t->rank);
        wm_js_str(o, "file", m->file.item[s->file].name);
        wm_js_uint(o, "offset", s->off);
        wm_js_uint(o, "nbytes", t->nbytes);
        if (t->store->npart > 1)
            parts_json(m, t, o);
        wm_js_close(o);
    }
    wm_js_close(o);
    if (c->ranks)
        wm_ranks_json(c, a, ranked, o);
    wm_js_close(o);
}

static struct wm_listed
tensor_at(void *checkpoint, uint32_t k)
{
    const struct wmap_checkpoint *c = checkpoint;
    const struct wm_mtensor *t = &c->m->tensor.item[c->order[k]];

    return (struct wm_listed){t->name, t->dtype, t->shape, t->rank, t->nbytes, 0};
}

static void
inspect_text(const struct wmap_checkpoint *c, struct wm_arena *a, const struct wm_rank_tensors *ranked, struct wm_out *o)
{
    const struct wm_manifest *m = c->m;

    wm_buf_safe(&o->b, m->path, 0);
    wm_buf_printf(&o->b, ": %s, ", format_name(m));
    wm_out_count(&o->b, m->tensor.n, "tensor");
    wm_buf_putz(&o->b, ", ");
    wm_out_count(&o->b, m->file.n, "file");
    wm_buf_putz(&o->b, ", ");
    wm_out_size(&o->b, m->nbytes);
    wm_buf_putc(&o->b, '\n');
    if (m->note.n) {
        wm_buf_putz(&o->b, "  note: ");
        wm_buf_safe(&o->b, m->note, 0);
        wm_buf_putc(&o->b, '\n');
    }
    if (c->ranks)
        wm_ranks_text(c, a, ranked, o);
    else
        wm_list_tensors(a, tensor_at, m->tensor.n, NULL, (void *)(uintptr_t)c, o);
}

/* The first tensor whose copies differ, or that a rank lacks: the answer is no. */
static const struct wm_rtensor *
find_disagreement(const struct wm_rank_tensors *t)
{
    for (uint32_t k = 0; k < t->n; k++)
        if (!t->item[k].agree)
            return &t->item[k];
    return NULL;
}

wmap_status
wmap_inspect(wmap_checkpoint *c, wmap_style style, wmap_sink sink)
{
    struct wm_rank_tensors ranked = {0};
    const struct wm_rtensor *bad;
    struct wm_arena a;
    struct wm_out o;
    struct wm_err *err = &c->ctx->err;
    enum wm_status st = WM_OK;

    wm_ctx_begin(c->ctx);
    wm_ctx_arena(c->ctx, &a);
    wm_out_init(&o, &a, sink);
    if (c->ranks)
        st = wm_ranks_judge(c->ctx, &a, c->ranks, c, &ranked, err);
    if (st == WM_OK) {
        bad = find_disagreement(&ranked);
        if (style == WMAP_JSON)
            inspect_json(c, &a, &ranked, !bad, &o);
        else
            inspect_text(c, &a, &ranked, &o);
        if (!wm_out_end(&o))
            st = wm_fail(err, WM_EIO, NULL, "writing the result failed");
        else if (bad)
            st = wm_fail(err, WM_NO, c->m->path.p, "tensor \"%.*s\": %s", WM_STR_ARG(bad->name),
                         bad->kind == WM_RK_LACKING ? "its ranks do not fit together" : "its copies differ");
    }
    wm_arena_fini(&a);
    return wm_ctx_end(c->ctx, st);
}
