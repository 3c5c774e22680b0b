/* api/bind.c -- a map and an input become a plan. */
#include <errno.h>
#include <sys/stat.h>

#include "api/ctx.h"
#include "api/out.h"
#include "api/stream.h"
#include "compiler/module.h"
#include "runtime/format.h"
#include "runtime/inplace.h"

/* "-" as an input is standard input, if that is a file. */
static struct wm_str
input_path(struct wmap_ctx *ctx, const char *path)
{
    return wm_ctx_str(ctx, strcmp(path, "-") == 0 ? "/dev/stdin" : path);
}

static bool
is_same_file(struct wmap_ctx *ctx, const char *a, const char *b)
{
    struct stat x, y;

    return ctx->sys->stat(a, &x) == 0 && ctx->sys->stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

enum wm_status
wm_out_format(struct wm_arena *a, struct wm_str name, const struct wm_format **out, struct wm_err *err)
{
    struct wm_buf b;

    *out = wm_format_by_name(name, NULL);
    if (*out && (*out)->layout)
        return WM_OK;
    wm_buf_init(&b, a);
    for (int k = 0; k < WM_FMT_N; k++)
        if (wm_formats[k]->layout)
            wm_buf_printf(&b, b.n ? ", %s" : "%s", wm_formats[k]->name);
    return wm_fail(err, WM_EUSAGE, NULL, "no format \"%.*s\" to write; there are %.*s", WM_STR_ARG(name),
                   WM_STR_ARG(wm_buf_str(&b)));
}

/* What the path of the output says: one file or a directory, and a format. */
static enum wm_status
place_output(struct wm_arena *a, struct wmap_plan *p, struct wm_err *err)
{
    const struct wm_format *f;
    enum wm_format_id id;

    if (p->bind.format.n && wm_out_format(a, p->bind.format, &f, err) != WM_OK)
        return err->status;
    p->stream = wm_str_eq(p->output, WM_STR("-"));
    if (p->stream) {
        p->bind.out_is_file = true;
        p->bind.out_name = WM_STR("standard output");
        return WM_OK;
    }
    f = wm_format_by_suffix(p->output, &id);
    if (!f)
        return WM_OK;
    p->bind.out_is_file = true;
    p->bind.out_name = wm_path_base(p->output);
    if (!p->bind.format.n)
        p->bind.format = wm_str_c(f->name);
    return WM_OK;
}

static void
copy_options(struct wmap_ctx *ctx, struct wmap_plan *p, const wmap_bind_options *o)
{
    struct wm_str *define = WM_NEW_N(&ctx->arena, struct wm_str, o->ndefine);
    struct wm_str *only = WM_NEW_N(&ctx->arena, struct wm_str, o->nonly);

    for (size_t k = 0; k < o->ndefine; k++)
        define[k] = wm_ctx_str(ctx, o->define[k]);
    for (size_t k = 0; k < o->nonly; k++)
        only[k] = wm_ctx_str(ctx, o->only[k]);
    p->no_symlinks = o->no_symlinks;
    p->round_numbers = o->round_numbers;
    p->output = wm_ctx_str(ctx, o->output);
    p->bind = (struct wm_bind_opts){.reverse = o->reverse,
                                    .invented = ctx->invented,
                                    .config = wm_ctx_str(ctx, o->config),
                                    .define = define,
                                    .ndefine = (uint32_t)o->ndefine,
                                    .allow_unmapped = o->allow_unmapped,
                                    .allow_missing = o->allow_missing,
                                    .trust_replicas = o->trust_replicas,
                                    .trust_checksums = o->trust_checksums,
                                    .strict_pad = o->strict_pad,
                                    .lint = o->lint,
                                    .format = wm_ctx_str(ctx, o->format),
                                    .only = only,
                                    .settled = wm_settled_new(&ctx->arena),
                                    .nonly = (uint32_t)o->nonly,
                                    .max_shard_size = o->max_shard_size};
}

enum wm_status
wm_plan_of(struct wmap_ctx *ctx, struct wm_chain *chain, const struct wm_manifest *in,
           const struct wm_bind_opts *o, struct wm_graph **graph, struct wm_plan *plan,
           uint64_t *size)
{
    void *block;
    enum wm_status st;

    if ((st = wm_bind(&ctx->cc, chain, in, o, graph, &ctx->err)) != WM_OK ||
        (st = wm_plan_build(&ctx->cc, *graph, o, &block, size, &ctx->err)) != WM_OK)
        return st;
    st = wm_plan_open(&ctx->arena, block, *size, plan, &ctx->err);
    if (st == WM_ELIMIT) { /* the plan is ours: it is the map that asks for too much */
        ctx->err = (struct wm_err){0};
        wm_report_at(&ctx->cc.diags, WM_E_BOXES, chain->spec,
                     "the mapping falls into boxes that are too many to be checked");
        st = WM_NO;
    }
    return st;
}

/* What `layout` and `in_place` say. */
static enum wm_status
choose_layout(struct wmap_ctx *ctx, struct wmap_plan *p, const char *input, const wmap_bind_options *o)
{
    struct wm_str in = wm_ctx_str(ctx, input);
    bool restored;

    if (o->layout && strcmp(o->layout, "keep") == 0)
        p->bind.layout = WM_LAYOUT_KEEP;
    else if (o->layout && strcmp(o->layout, "reference") != 0)
        return wm_fail(&ctx->err, WM_EUSAGE, NULL, "no layout \"%s\"; there are reference, keep", o->layout);
    if (!o->in_place)
        return WM_OK;
    if (!input || p->source || strcmp(input, "-") == 0)
        return wm_fail(&ctx->err, WM_EUSAGE, NULL, "--in-place changes a file, not a stream");
    if (o->output && !is_same_file(ctx, input, o->output))
        return wm_fail(&ctx->err, WM_EUSAGE, o->output, "--in-place: the output is another file than the input");
    p->bind.layout = WM_LAYOUT_IN_PLACE;
    p->bind.out_is_file = true;
    p->bind.out_name = wm_path_base(in);
    p->bind.format = WM_STR("safetensors");
    p->output = in;
    return wm_inplace_restore(&ctx->arena, ctx->sys, in, &restored, &ctx->err);
}

/* Of layouts that only safetensors has. */
static enum wm_status
check_layout(struct wmap_ctx *ctx, struct wmap_plan *p)
{
    const struct wm_plan_outfile *f;
    uint64_t n;

    if (p->bind.layout == WM_LAYOUT_REFERENCE)
        return WM_OK;
    f = wm_plan_section(&p->plan, WM_PS_OUTFILE, &n);
    for (uint64_t k = 0; k < n; k++)
        if (f[k].ntensor && f[k].format != WM_FMT_safetensors)
            return wm_fail(&ctx->err, WM_EUSAGE, NULL, "--layout keep is for outputs of safetensors, not of %s",
                           wm_formats[f[k].format]->name);
    return p->bind.layout == WM_LAYOUT_IN_PLACE ? wm_inplace_check(&ctx->arena, &p->plan, p->output, &ctx->err) : WM_OK;
}

/* The input, opened: may it be changed in place? */
static enum wm_status
check_in_place(struct wmap_ctx *ctx, const struct wmap_plan *p)
{
    if (p->bind.layout != WM_LAYOUT_IN_PLACE)
        return WM_OK;
    if (p->in->is_dir)
        return wm_fail(&ctx->err, WM_EUSAGE, wm_arena_cstr(&ctx->arena, p->output),
                       "--in-place changes one file, not a directory");
    if (p->in->file.n != 1 || p->in->file.item[0].format != WM_FMT_safetensors)
        return wm_fail(&ctx->err, WM_EUSAGE, wm_arena_cstr(&ctx->arena, p->output),
                       "--in-place: is not a safetensors file");
    return WM_OK;
}

/* The file whose keys and further contents the output takes over. */
static enum wm_status
open_template(struct wmap_ctx *ctx, struct wmap_plan *p, const char *path)
{
    struct wm_open_opts opts = {.no_symlinks = p->no_symlinks};
    struct wm_manifest *m;
    enum wm_status st;

    if (!path)
        return WM_OK;
    st = wm_manifest_open(&ctx->arena, ctx->sys, wm_ctx_str(ctx, path), &opts, &m, &ctx->err);
    if (st == WM_OK)
        p->bind.like = m;
    return st;
}

/* What is merged into the weights that are read, or taken out of them. */
static enum wm_status
open_adapter(struct wmap_ctx *ctx, struct wmap_plan *p, const wmap_bind_options *o)
{
    struct wm_open_opts opts = {.no_symlinks = p->no_symlinks};

    p->bind.unmerge = o->unmerge;
    if (o->adapter_to) {
        p->bind.adapter_to = strcmp(o->adapter_to, "peft") == 0     ? WM_ADAPTER_PEFT
                             : strcmp(o->adapter_to, "litgpt") == 0 ? WM_ADAPTER_LITGPT
                                                                    : WM_ADAPTER_OTHER;
        if (p->bind.adapter_to == WM_ADAPTER_OTHER)
            return wm_fail(&ctx->err, WM_EUSAGE, NULL, "adapters are converted to peft or litgpt, not to \"%s\"", o->adapter_to);
        if (!o->adapter || o->unmerge || o->format || p->bind.out_is_file)
            return wm_fail(&ctx->err, WM_EUSAGE, NULL, "an adapter is converted to a directory, in the container of its form");
    }
    return o->adapter ? wm_adapter_open(&ctx->cc, wm_ctx_str(ctx, o->adapter), &opts, &p->bind.adapter, &ctx->err)
                      : WM_OK;
}

/* The input: a path, the header of a stream, or a manifest that is there. */
static enum wm_status
open_input(struct wmap_plan *p, const char *input, struct wm_manifest *m)
{
    struct wmap_ctx *ctx = p->map->ctx;
    struct wm_open_opts opts = {.no_symlinks = p->no_symlinks, .round_numbers = p->round_numbers};

    p->in = m;
    p->pushed = m != NULL;
    if (m)
        return WM_OK;
    if (p->source)
        return wm_manifest_stream(&ctx->arena, p->source, &p->in, &ctx->err);
    return wm_open_input(&ctx->cc, p->map->chain, input_path(ctx, input), &p->bind, &opts, &p->in, &ctx->err);
}

static wmap_status
bind(wmap_map *map, const char *input, struct wm_feed *s, struct wm_manifest *m, const wmap_bind_options *o,
     wmap_plan **out)
{
    static const wmap_bind_options none;
    struct wmap_ctx *ctx = map->ctx;
    struct wmap_plan *p = WM_NEW(&ctx->arena, struct wmap_plan);
    enum wm_status st;

    wm_ctx_begin(ctx);
    *out = NULL;
    p->map = map;
    p->source = s;
    copy_options(ctx, p, o ? o : &none);
    if (o && o->part_spec &&
        (st = wm_parts_parse(&ctx->arena, wm_ctx_str(ctx, o->part_spec), &p->bind.parts,
                             &ctx->err)) != WM_OK)
        return wm_ctx_end(ctx, st);
    if ((st = place_output(&ctx->arena, p, &ctx->err)) != WM_OK || (st = open_adapter(ctx, p, o ? o : &none)) != WM_OK ||
        (o && (st = choose_layout(ctx, p, input, o)) != WM_OK) ||
        (st = open_template(ctx, p, o ? o->template_file : NULL)) != WM_OK || (st = open_input(p, input, m)) != WM_OK ||
        (st = check_in_place(ctx, p)) != WM_OK ||
        (st = wm_plan_of(ctx, map->chain, p->in, &p->bind, &p->graph, &p->plan, &p->size)) != WM_OK ||
        (st = check_layout(ctx, p)) != WM_OK)
        return wm_ctx_end(ctx, st);
    *out = p;
    return WMAP_OK;
}

wmap_status
wmap_bind(wmap_map *map, const char *input, const wmap_bind_options *o, wmap_plan **out)
{
    return bind(map, input, strcmp(input, "-") == 0 ? wm_stdin_feed(map->ctx) : NULL, NULL, o, out);
}

wmap_status
wm_bind_source(wmap_map *map, struct wm_feed *s, struct wm_manifest *m, const wmap_bind_options *o,
               wmap_plan **out)
{
    return bind(map, NULL, s, m, o, out);
}

const char *
wmap_plan_note(wmap_plan *p)
{
    return wm_manifest_note_text(p->in);
}

wmap_status
wmap_plan_dump(wmap_plan *p, const char *stage, wmap_sink sink)
{
    struct wmap_ctx *ctx = p->map->ctx;
    struct wm_arena a;
    struct wm_out o;
    enum wm_status st = WM_OK;

    wm_ctx_begin(ctx);
    wm_ctx_arena(ctx, &a);
    wm_out_init(&o, &a, sink);
    if (strcmp(stage, "graph") == 0)
        wm_graph_print(&ctx->cc, p->graph, &o.b);
    else if (strcmp(stage, "plan") == 0)
        wm_plan_print(&p->plan, &o.b);
    else if (strcmp(stage, "llvm") == 0)
        st = wm_jit_print(&p->plan, ctx->sys, &o.b, &ctx->err);
    else
        st = wm_fail(&ctx->err, WM_EUSAGE, NULL, "no stage \"%s\" of a plan (graph, plan, llvm)", stage);
    if (!wm_out_end(&o) && st == WM_OK)
        st = wm_fail(&ctx->err, WM_EIO, NULL, "writing the result failed");
    wm_arena_fini(&a);
    return wm_ctx_end(ctx, st);
}
