/* api/mini.c -- a tiny checkpoint for a map: made, converted, converted back, compared.
 *
 * Everything happens as in a run, with files, in a directory of its own that is removed at the end
 * unless it was asked for.  One line is printed for each stage. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/mini.h"
#include "runtime/io.h"

/* ---- files ---- */

static enum wm_status
make_dir(struct wmap_ctx *ctx, const char *path)
{
    if (ctx->sys->mkdir(path, 0777) != 0)
        return wm_fail_sys(&ctx->err, errno, path, "can't make the directory");
    return WM_OK;
}

/* The directory of the user, which must be new, or a temporary one. */
static enum wm_status
open_dir(struct wm_mini_run *r)
{
    struct wmap_ctx *ctx = r->ctx;
    const char *tmp = getenv("TMPDIR");

    if (r->o->output) {
        r->dir = wm_ctx_str(ctx, r->o->output);
        return make_dir(ctx, r->dir.p);
    }
    for (unsigned k = 0; k < 1000; k++) {
        r->dir = wm_arena_printf(r->a, "%s/wmap-mini-%ld-%u", tmp && tmp[0] ? tmp : "/tmp",
                                 (long)getpid(), k);
        if (ctx->sys->mkdir(r->dir.p, 0700) == 0)
            return WM_OK;
        if (errno != EEXIST)
            break;
    }
    return wm_fail_sys(&ctx->err, errno, r->dir.p, "can't make the directory");
}

/* Everything below a directory that was made here; depth: sets hold directories of files. */
static void
remove_all(const struct wm_sys *sys, struct wm_arena *a, const char *path, unsigned depth)
{
    DIR *d = sys->opendir(path);
    struct dirent *e;

    while (d && (e = sys->readdir(d)) != NULL) {
        struct wm_str in = wm_arena_printf(a, "%s/%s", path, e->d_name);

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (sys->unlink(in.p) != 0 && depth > 0)
            remove_all(sys, a, in.p, depth - 1);
    }
    if (d)
        sys->closedir(d);
    sys->rmdir(path);
}

static enum wm_status
write_file(struct wmap_ctx *ctx, const char *path, struct wm_str bytes)
{
    enum wm_status st;
    int fd = ctx->sys->open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return wm_fail_sys(&ctx->err, errno, path, "can't be made");
    st = wm_io_pwrite(ctx->sys, fd, path, bytes.p, bytes.n, 0, &ctx->err);
    if (ctx->sys->close(fd) != 0 && st == WM_OK)
        st = wm_fail_sys(&ctx->err, errno, path, "can't be closed");
    return st;
}

/* Directories between the input and a file of it. */
static enum wm_status
make_parents(struct wmap_ctx *ctx, const char *root, struct wm_str name)
{
    for (size_t i = 0; i < name.n; i++) {
        struct wm_str dir;

        if (name.p[i] != '/')
            continue;
        dir = wm_arena_printf(&ctx->arena, "%s/%.*s", root, (int)i, name.p);
        if (ctx->sys->mkdir(dir.p, 0777) != 0 && errno != EEXIST)
            return wm_fail_sys(&ctx->err, errno, dir.p, "can't make the directory");
    }
    return WM_OK;
}

static enum wm_status
write_input(struct wm_mini_run *r, struct wm_trial *t)
{
    struct wm_mini_file *file;
    uint32_t n;
    enum wm_status st = wm_mini_files(&r->ctx->cc, t->mini, r->o->seed, &file, &n, &r->ctx->err);

    if (st == WM_OK)
        st = make_dir(r->ctx, t->input);
    for (uint32_t i = 0; i < n && st == WM_OK; i++) {
        st = make_parents(r->ctx, t->input, file[i].name);
        if (st == WM_OK)
            st = write_file(r->ctx,
                            wm_arena_printf(r->a, "%s/%.*s", t->input, WM_STR_ARG(file[i].name)).p,
                            file[i].bytes);
    }
    t->config = wm_arena_printf(r->a, "%s/config.json", t->input).p;
    return st == WM_OK ? write_file(r->ctx, t->config, t->mini->config) : st;
}

/* ---- stages ---- */

/* The diagnostics of a failure in the back direction of a map without one do not count. */
static bool
is_two_way(const struct wm_mini_run *r)
{
    const struct wm_chain *c = r->map->chain;

    for (uint32_t i = 0; i < c->link.n; i++)
        for (uint32_t k = 0; k < c->link.item[i].module->rule.n; k++)
            if (c->link.item[i].module->rule.item[k]->arrow != WM_AR_BOTH)
                return false;
    return true;
}

static wmap_status
run_way(struct wm_mini_run *r, struct wm_trial *t, bool back, wmap_plan **plan,
        wmap_run_result *result)
{
    const struct wm_bind_opts *b = &t->mini->opts;
    const char **define = WM_NEW_N(r->a, const char *, b->ndefine);
    struct wm_diags *ds = &r->ctx->cc.diags;
    uint32_t n = ds->list.n, nwarning = ds->nwarning;
    wmap_bind_options o = {.config = t->config,
                           .define = define,
                           .ndefine = b->ndefine,
                           .reverse = b->reverse != back,
                           .output = back ? t->back : t->output,
                           .allow_unmapped = back,
                           .allow_missing = back,
                           .strict_pad = true};
    wmap_run_options how = {.work = r->o->work};
    wmap_status st;

    for (uint32_t i = 0; i < b->ndefine; i++)
        define[i] = wm_arena_cstr(r->a, b->define[i]);
    st = wmap_bind(r->map, back ? t->output : t->input, &o, plan);
    if (st != WMAP_OK)
        return st;
    ds->list.n = n; /* warnings of a direction are of no interest here: what they tell is counted */
    ds->nwarning = nwarning;
    return wmap_run(*plan, &how, result);
}

/* Were several files given tensors of one name?  Then files count. */
static bool
repeats(const struct wm_manifest *m)
{
    return m->repeats && m->by_name.n < m->tensor.n;
}

static bool
may_lose(const struct wm_rule *r)
{
    for (uint32_t i = 0; r && i < r->ast->nop; i++)
        if (r->ast->op[i].lossy)
            return true;
    return false;
}

/* Is the tensor of the way back made by a rule that may lose something? */
static bool
is_lossy(const struct wm_trial *t, const struct wm_made *m)
{
    const struct wm_stage *s = t->backward->graph->stage;

    for (uint32_t i = 0; i < s->out->t.n; i++)
        if (wm_str_eq(wm_place_key(s->out->t.item[i].key), m->name) &&
            may_lose(s->make.item[i].rule))
            return true;
    return false;
}

static enum wm_status
compare(struct wm_mini_run *r, struct wm_trial *t)
{
    struct wmap_ctx *ctx = r->ctx;
    bool two_way = is_two_way(r);
    enum wm_status st;

    st = wm_result_of_plan(&t->again, r->a, ctx->sys, &t->backward->plan, t->by_file[0], &ctx->err);
    if (st != WM_OK)
        return st;
    for (uint32_t i = 0; i < t->in.n; i++) {
        const struct wm_made *x = &t->in.tensor[i], *y = wm_result_find(&t->again, x);

        if (y && wm_made_equal(x, y))
            t->nequal++;
        else if (y && is_lossy(t, x))
            t->nlossy++;
        else if (y)
            *WM_PUSH(r->a, &t->differ) = x;
        else if (two_way)
            *WM_PUSH(r->a, &t->missing) = x;
        else
            t->nnot_carried++;
    }
    t->nback = t->again.n;
    return WM_OK;
}

/* ---- all stages ---- */

static struct wm_arena *
paths(struct wm_mini_run *r, struct wm_trial *t, uint32_t k)
{
    struct wm_str base = r->nset > 1 ? wm_arena_printf(r->a, "%s/%u", r->dir.p, k + 1) : r->dir;

    t->input = wm_arena_printf(r->a, "%s/input", base.p).p;
    t->output = wm_arena_printf(r->a, "%s/output", base.p).p;
    t->back = wm_arena_printf(r->a, "%s/back", base.p).p;
    return r->a;
}

/* Forward: what was made is read again from the files. */
static enum wm_status
go_forward(struct wm_mini_run *r, struct wm_trial *t)
{
    struct wmap_ctx *ctx = r->ctx;
    struct wm_open_opts opts = {0};
    struct wm_bind_opts o = t->mini->opts;
    struct wm_manifest *out;
    enum wm_status st;

    if (run_way(r, t, false, &t->forward, NULL) != WMAP_OK)
        return ctx->err.status ? ctx->err.status : WM_NO;
    o.reverse = !o.reverse;
    st = wm_open_input(&ctx->cc, r->map->chain, wm_str_c(t->output), &o, &opts, &out, &ctx->err);
    if (st != WM_OK)
        return st;
    t->by_file[0] = repeats(t->forward->in);
    t->by_file[1] = repeats(out);
    st = wm_result_of_manifest(&t->in, r->a, ctx->sys, t->forward->in, t->by_file[0], &ctx->err);
    if (st == WM_OK)
        st = wm_result_of_manifest(&t->out, r->a, ctx->sys, out, t->by_file[1], &ctx->err);
    if (st == WM_OK && r->style != WMAP_JSON) {
        wm_mini_stage_text(r, "input", t->in.n, t->forward->in->nbytes, t->forward->in->file.n);
        wm_mini_stage_text(r, "forward", t->out.n, out->nbytes, out->file.n);
    }
    return st;
}

/* Back: a map may have no way there, which is told. */
static enum wm_status
go_back(struct wm_mini_run *r, struct wm_trial *t)
{
    struct wm_diags *ds = &r->ctx->cc.diags;
    uint32_t n = ds->list.n, nerror = ds->nerror, nwarning = ds->nwarning;
    wmap_run_result result;
    wmap_status st = run_way(r, t, true, &t->backward, &result);

    if (st == WMAP_NO && t->backward == NULL && !is_two_way(r)) {
        ds->list.n = n; /* one-way rules: nothing that could come back */
        ds->nerror = nerror;
        ds->nwarning = nwarning;
        return WM_OK;
    }
    if (st != WMAP_OK)
        return r->ctx->err.status ? r->ctx->err.status : WM_NO;
    if (r->style != WMAP_JSON) {
        wm_mini_stage_text(r, "back", result.ntensor, result.bytes_written, result.nfile);
    }
    return compare(r, t);
}

static enum wm_status
go(struct wm_mini_run *r, uint32_t k)
{
    struct wm_trial *t = &r->trial[k];
    enum wm_status st = WM_OK;

    t->mini = &r->set[k];
    paths(r, t, k);
    if (r->style != WMAP_JSON)
        wm_mini_settings_text(r, k);
    if (r->nset > 1)
        st = make_dir(r->ctx, wm_arena_printf(r->a, "%s/%u", r->dir.p, k + 1).p);
    if (st == WM_OK && (st = write_input(r, t)) == WM_OK && (st = go_forward(r, t)) == WM_OK)
        st = go_back(r, t);
    if (st != WM_OK)
        return st;
    if (r->style == WMAP_JSON)
        wm_mini_trial_json(r, t);
    else
        wm_mini_compare_text(r, t);
    wm_out_more(&r->out);
    return t->differ.n || t->missing.n ? WM_NO : WM_OK;
}

static enum wm_status
go_all(struct wm_mini_run *r)
{
    struct wm_fates fates = {0};
    enum wm_status st = WM_OK, worst = WM_OK;

    r->trial = WM_NEW_N(r->a, struct wm_trial, r->nset);
    if (r->style == WMAP_JSON) {
        wm_js_object(&r->out, NULL);
        wm_js_str(&r->out, "schema", WM_STR("wmap.mini/1"));
        wm_js_array(&r->out, "sets");
    }
    for (uint32_t k = 0; k < r->nset && st <= WM_NO; k++) {
        st = go(r, k);
        worst = st > worst ? st : worst;
    }
    if (worst > WM_NO)
        return worst;
    if (r->style == WMAP_JSON) {
        wm_js_close(&r->out);
        wm_mini_unused_json(r);
    } else {
        wm_buf_putz(&r->out.b, r->nset > 1 ? "\n" : "");
        wm_mini_items_text(r);
    }
    if (r->o->mutate && worst == WM_OK) {
        st = wm_mini_mutate(r, &fates);
        if (st != WM_OK)
            return st;
        if (r->style == WMAP_JSON)
            wm_mini_mutants_json(r, &fates);
        else
            wm_mini_mutants_text(r, &fates);
        worst = fates.count[WM_FATE_UNUSED] ? WM_NO : WM_OK;
    }
    if (r->style == WMAP_JSON) {
        wm_js_int(&r->out, "status", worst == WM_OK ? WMAP_OK : WMAP_NO);
        wm_js_close(&r->out);
    }
    return worst;
}

static void
options(struct wmap_ctx *ctx, const wmap_mini_options *o, struct wm_bind_opts *b)
{
    struct wm_str *define = WM_NEW_N(&ctx->arena, struct wm_str, o->ndefine);

    for (size_t k = 0; k < o->ndefine; k++)
        define[k] = wm_ctx_str(ctx, o->define[k]);
    *b = (struct wm_bind_opts){.reverse = o->reverse,
                               .config = wm_ctx_str(ctx, o->config),
                               .define = define,
                               .ndefine = (uint32_t)o->ndefine};
}

wmap_status
wmap_mini(wmap_map *map, const wmap_mini_options *o, wmap_style style, wmap_sink sink)
{
    static const wmap_mini_options none;
    struct wmap_ctx *ctx = map->ctx;
    struct wm_mini_run r = {
        .ctx = ctx, .map = map, .o = o ? o : &none, .a = &ctx->arena, .style = style};
    struct wm_bind_opts b;
    enum wm_status st;

    wm_ctx_begin(ctx);
    options(ctx, r.o, &b);
    wm_out_init(&r.out, r.a, sink);
    st = wm_mini_find(&ctx->cc, map->chain, &b, 0, &r.set, &r.nset, &ctx->err);
    if (st == WM_OK && (st = open_dir(&r)) == WM_OK) {
        ctx->invented = true;
        st = go_all(&r);
        ctx->invented = false;
        if (!r.o->output)
            remove_all(ctx->sys, r.a, r.dir.p, 8);
        if (!wm_out_end(&r.out) && st == WM_OK)
            st = wm_fail(&ctx->err, WM_EIO, NULL, "writing the result failed");
    }
    return wm_ctx_end(ctx, st);
}

wmap_status
wmap_map_check(wmap_map *map, const wmap_mini_options *o)
{
    struct wmap_ctx *ctx = map->ctx;
    struct wm_bind_opts b;
    struct wm_mini *set;
    uint32_t n;
    enum wm_status st;

    wm_ctx_begin(ctx);
    options(ctx, o, &b);
    b.lint = true;
    st = wm_mini_find(&ctx->cc, map->chain, &b, 1, &set, &n, &ctx->err);
    return wm_ctx_end(ctx, st);
}
