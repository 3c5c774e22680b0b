/* api/describe.c -- what a run would do, as text folded by template and as JSON (`wmap plan`). */
#include <inttypes.h>
#include <stdlib.h>

#include "api/cost.h"
#include "api/fold.h"
#include "api/table.h"
#include "api/view.h"
#include "compiler/graph.h"
#include "runtime/reflink.h"

/* Pieces of at least so many bytes are copied as the executor copies such pieces. */
static const struct {
    uint64_t least;
    const char *name;
} runs[] = {{65536, "64 KiB and more"}, {512, "512 B to 64 KiB"}, {0, "below 512 B"}};

enum { NRUN = WM_COUNTOF(runs), FROM_LINES = 3, MAX_WORDS = 8 };

struct facts {
    struct wmap_plan *p;
    struct wm_arena *a;
    struct wm_view v;
    uint64_t ntensor, ncheck, nbox;
    uint64_t in_bytes, out_bytes, file_bytes;
    uint64_t run[NRUN]; /* output bytes by length of their pieces */
    uint64_t buffers;
    struct wm_cost cost;
    bool is_cost_known;
    uint64_t shareable; /* bytes in whole blocks that need no copy where the file system shares blocks */
};

/* Bytes of one output of this geometry by length of pieces. */
static void
count_runs(const struct wm_view *v, const struct wm_plan_geom *g, uint64_t *run)
{
    for (uint64_t k = 0; k < g->nbox; k++) {
        const struct wm_plan_box *b = &v->box[g->box + k];
        uint64_t length = (uint64_t)wm_box_run(v, b) * g->unit;
        uint32_t r = 0;

        while (length < runs[r].least)
            r++;
        run[r] += (uint64_t)wm_box_count(v, b) * g->unit;
    }
}

static void
gather(struct facts *f)
{
    struct wm_view *v = &f->v;
    uint64_t(*by_geom)[NRUN];
    struct wm_reflink link;

    if (f->p->bind.layout == WM_LAYOUT_KEEP) {
        wm_reflink_find(f->a, &f->p->plan, &link);
        for (uint64_t k = 0; k < link.n; k++)
            f->shareable += link.part[k].n;
    }
    f->ntensor = v->ntensor;
    f->ncheck = v->ncheck;
    f->in_bytes = f->p->plan.head->in_bytes;
    f->out_bytes = f->p->plan.head->out_bytes;
    for (uint64_t k = 0; k < v->noutfile; k++)
        f->file_bytes += v->outfile[k].size;
    by_geom = wm_arena_array(f->a, v->ngeom, sizeof(*by_geom));
    for (uint64_t k = 0; k < v->ngeom; k++)
        count_runs(v, &v->geom[k], by_geom[k]);
    for (uint64_t k = 0; k < f->ntensor; k++) {
        const struct wm_view_tensor t = wm_view_tensor(v, k);
        uint32_t geom = v->out[t.out].geom;

        if (t.is_shared)
            continue;
        f->nbox += v->geom[geom].nbox;
        for (uint32_t r = 0; r < NRUN; r++)
            f->run[r] += by_geom[geom][r];
    }
}

static struct wm_str
in_name(const struct wm_view *v, const struct wm_plan_out *out, uint32_t slot)
{
    return wm_plan_str(v->p, v->in[v->slot[out->slot + slot]].name);
}

/* The operand that has the output's name, dtype and shape: its input; WM_NONE where none has. */
static uint32_t
find_namesake(const struct wm_view *v, const struct wm_view_tensor *t)
{
    const struct wm_plan_out *o = &v->out[t->out];

    for (uint32_t s = 0; s < v->geom[o->geom].nslot; s++) {
        uint32_t i = v->slot[o->slot + s];
        const struct wm_plan_in *in = &v->in[i];

        if (wm_str_eq(wm_plan_str(v->p, in->name), t->name) && in->dtype == t->dtype &&
            in->rank == t->rank && in->stride == WM_NONE && in->origin == WM_NONE &&
            memcmp(v->shape + in->shape, t->shape, t->rank * sizeof(*v->shape)) == 0)
            return i;
    }
    return WM_NONE;
}

/* Is the output an input as it is: name, dtype, shape and bytes? */
static bool
is_same(const struct wm_view *v, const struct wm_view_tensor *t)
{
    const struct wm_plan_out *o = &v->out[t->out];
    const struct wm_plan_geom *g = &v->geom[o->geom];
    uint32_t in = find_namesake(v, t);

    for (uint64_t k = 0; k < g->nbox; k++) {
        const struct wm_plan_box *b = &v->box[g->box + k];

        if (v->elem[b->elem].kind != WM_EL_COPY || v->slot[o->slot + b->slot[0]] != in ||
            b->src_base[0] != b->dst_base)
            return false;
        for (uint32_t d = 0; d < b->rank; d++)
            if (v->dim[b->dim + d].dst != v->dim[b->dim + d].src[0])
                return false;
    }
    return in != WM_NONE;
}

/* Does a run give back what it was given?  Files and small files beside the tensors may differ. */
static bool
is_identity(const struct facts *f)
{
    const struct wm_view *v = &f->v;

    if (f->ntensor != f->p->in->tensor.n || v->nread != f->ntensor)
        return false;
    for (uint64_t k = 0; k < f->ntensor; k++) {
        const struct wm_view_tensor t = wm_view_tensor(v, k);

        if (!is_same(v, &t))
            return false;
    }
    return true;
}

/* ---- text ---- */

/* a.q_proj.w, a.k_proj.w, a.v_proj.w: what stands before and behind the words that differ, if these
 * are parts of one component. */
static bool
common_ends(const struct wm_fold_line *line, uint32_t n, size_t *before, size_t *behind)
{
    struct wm_str a = line[0].name;

    *before = *behind = a.n;
    for (uint32_t k = 1; k < n; k++) {
        struct wm_str b = line[k].name;
        size_t i = 0, j = 0, least = a.n < b.n ? a.n : b.n;

        while (i < least && a.p[i] == b.p[i])
            i++;
        while (j < least - i && a.p[a.n - 1 - j] == b.p[b.n - 1 - j])
            j++;
        *before = i < *before ? i : *before;
        *behind = j < *behind ? j : *behind;
    }
    for (uint32_t k = 0; k < n; k++) {
        struct wm_str b = line[k].name;

        if (b.n <= *before + *behind)
            return false;
        for (size_t i = *before; i < b.n - *behind; i++)
            if (strchr("./{}", b.p[i]))
                return false;
    }
    return *before + *behind > 0;
}

static void
print_sources(struct wm_buf *b, const struct wm_fold_line *line, uint32_t n)
{
    size_t before, behind;

    if (n > 1 && n <= MAX_WORDS && common_ends(line, n, &before, &behind)) {
        struct wm_str s = line[0].name;

        wm_buf_puts(b, (struct wm_str){s.p, before});
        for (uint32_t k = 0; k < n; k++) {
            wm_buf_putc(b, k ? ',' : '{');
            wm_buf_puts(b,
                        (struct wm_str){line[k].name.p + before, line[k].name.n - before - behind});
        }
        wm_buf_putc(b, '}');
        wm_buf_puts(b, (struct wm_str){s.p + s.n - behind, behind});
        return;
    }
    for (uint32_t k = 0; k < n && k < FROM_LINES; k++) {
        wm_buf_putz(b, k ? ", " : "");
        wm_buf_puts(b, line[k].name);
    }
    if (n > FROM_LINES)
        wm_buf_printf(b, ", and %" PRIu32 " more", n - FROM_LINES);
}

/* "<- a, b": the folded inputs of a line's tensors. */
static struct wm_str
sources_of(void *user, const uint32_t *member, uint32_t n)
{
    struct facts *f = user;
    const struct wm_view *v = &f->v;
    WM_VEC(struct wm_fold_item) item = {0};
    struct wm_fold_line *line;
    struct wm_arena a; /* of this line: many inputs take much memory */
    struct wm_map seen;
    struct wm_str text;
    struct wm_buf b;
    uint32_t nline;

    wm_ctx_arena(f->p->map->ctx, &a);
    wm_map_init(&seen, &a, 16);
    for (uint32_t k = 0; k < n; k++) {
        const struct wm_plan_out *out = &v->out[wm_view_tensor(v, member[k]).out];

        for (uint32_t s = 0; s < v->geom[out->geom].nslot; s++) {
            struct wm_str name = in_name(v, out, s);

            if (wm_map_put(&seen, name, item.n) == item.n)
                *WM_PUSH(&a, &item) = (struct wm_fold_item){name, 0};
        }
    }
    wm_fold(&a, item.item, item.n, &line, &nline);
    wm_buf_init(&b, &a);
    wm_buf_putz(&b, nline ? "<- " : "<- (filled)");
    print_sources(&b, line, nline);
    text = wm_arena_str(f->a, wm_buf_str(&b));
    wm_arena_fini(&a);
    return text;
}

static struct wm_listed
tensor_at(void *user, uint32_t k)
{
    const struct wm_view *v = &((struct facts *)user)->v;
    const struct wm_view_tensor t = wm_view_tensor(v, k);

    return (struct wm_listed){t.name, (enum wm_dtype)t.dtype, t.shape, t.rank, t.nbytes, v->out[t.out].geom};
}

static void
size_line(struct wm_out *o, const char *label, struct wm_str path, uint64_t ntensor, uint64_t nfile,
          uint64_t nbytes)
{
    wm_buf_printf(&o->b, "%-8s", label);
    if (path.n) {
        wm_buf_safe(&o->b, path, 0);
        wm_buf_putz(&o->b, ": ");
    }
    wm_out_count(&o->b, ntensor, "tensor");
    wm_buf_putz(&o->b, ", ");
    wm_out_count(&o->b, nfile, "file");
    wm_buf_putz(&o->b, ", ");
    wm_out_size(&o->b, nbytes);
    wm_buf_putc(&o->b, '\n');
}

static void
adapter_lines(const struct facts *f, struct wm_out *o)
{
    const struct wm_manifest *ad = f->p->bind.adapter->manifest;

    size_line(o, "adapter", ad->path, ad->tensor.n, ad->file.n, ad->nbytes);
    if (!f->p->graph->adapter_into.n)
        return;
    wm_buf_printf(&o->b, "%-8smerged into what is written: ", "");
    wm_buf_safe(&o->b, f->p->graph->adapter_into, 0);
    wm_buf_putc(&o->b, '\n');
}

static void
describe_text(struct facts *f, struct wm_out *o)
{
    const struct wm_manifest *in = f->p->in;
    uint64_t total = f->out_bytes ? f->out_bytes : 1;

    wm_buf_printf(&o->b, "%-8s%s", "map", f->p->bind.reverse ? "~" : "");
    wm_buf_safe(&o->b, wm_str_c(f->p->map->name), 0);
    if (f->p->map->doc[0]) {
        wm_buf_putz(&o->b, ": ");
        wm_buf_safe(&o->b, wm_str_c(f->p->map->doc), 0);
    }
    wm_buf_putc(&o->b, '\n');
    size_line(o, "input", in->path, in->tensor.n, in->file.n, in->nbytes);
    if (f->p->bind.adapter)
        adapter_lines(f, o);
    else if (f->v.nread != in->tensor.n)
        wm_buf_printf(&o->b, "%-8s%" PRIu64 " of its tensors are read\n", "", f->v.nread);
    size_line(o, "output", f->p->output, f->ntensor, f->v.noutfile, f->file_bytes);
    wm_buf_printf(&o->b, "%-8s", "pieces");
    if (!f->out_bytes)
        wm_buf_putz(&o->b, "none");
    for (uint32_t r = 0, some = 0; r < NRUN; r++) {
        if (!f->run[r])
            continue;
        wm_buf_printf(&o->b, "%s%s: ", some++ ? "; " : "", runs[r].name);
        wm_out_size(&o->b, f->run[r]);
        wm_buf_printf(&o->b, " (%.0f %%)", 100.0 * (double)f->run[r] / (double)total);
    }
    wm_buf_printf(&o->b, "\n%-8s", "plan");
    wm_buf_printf(&o->b, "%" PRIu64 " box%s, ", f->nbox, f->nbox == 1 ? "" : "es");
    wm_out_count(&o->b, f->ncheck, "check");
    wm_buf_putz(&o->b, ", ");
    wm_out_size(&o->b, f->p->size);
    wm_buf_printf(&o->b, "\n%-8sat most ", "memory");
    wm_out_size(&o->b, f->buffers);
    wm_buf_putz(&o->b, " of buffers\n");
    if (f->is_cost_known)
        wm_cost_text(&f->cost, o);
    if (f->p->bind.layout == WM_LAYOUT_KEEP) {
        wm_buf_printf(&o->b, "%-8skeep: tensors in the input's order, not the reference writer's; ", "layout");
        wm_out_size(&o->b, f->shareable);
        wm_buf_putz(&o->b, " can share the input's blocks\n");
    }
    if (is_identity(f))
        wm_buf_putz(&o->b, "identity: every output tensor is an input tensor as it is\n");
    wm_buf_putc(&o->b, '\n');
    wm_list_tensors(f->a, tensor_at, (uint32_t)f->ntensor, sources_of, f, o);
}

/* ---- JSON ---- */

static void
tensors_json(struct facts *f, struct wm_out *o)
{
    const struct wm_view *v = &f->v;

    wm_js_array(o, "tensors");
    for (uint64_t k = 0; k < f->ntensor; k++) {
        const struct wm_view_tensor as = wm_view_tensor(v, k);
        const struct wm_plan_out *t = &v->out[as.out];

        wm_js_object(o, NULL);
        wm_js_str(o, "name", as.name);
        wm_js_str(o, "file", wm_plan_str(v->p, v->outfile[t->file].name));
        wm_js_str(o, "dtype", wm_str_c(wm_dtype_info[t->dtype].name));
        wm_js_shape(o, "shape", as.shape, as.rank);
        wm_js_uint(o, "nbytes", as.nbytes);
        if (as.is_shared)
            wm_js_str(o, "shares", wm_plan_str(v->p, t->name));
        wm_js_uint(o, "boxes", v->geom[t->geom].nbox);
        wm_js_array(o, "from");
        for (uint32_t s = 0; s < v->geom[t->geom].nslot; s++)
            wm_js_str(o, NULL, in_name(v, t, s));
        wm_js_close(o);
        wm_js_str(o, "rule", as.where);
        wm_js_close(o);
    }
    wm_js_close(o);
}

static void
files_json(struct facts *f, struct wm_out *o)
{
    const struct wm_view *v = &f->v;
    uint64_t *in_file = WM_NEW_N(f->a, uint64_t, v->noutfile);

    for (uint64_t k = 0; k < v->ntensor; k++)
        in_file[v->out[wm_view_tensor(v, k).out].file]++;
    wm_js_array(o, "files");
    for (uint64_t k = 0; k < v->noutfile; k++) {
        wm_js_object(o, NULL);
        wm_js_str(o, "name", wm_plan_str(v->p, v->outfile[k].name));
        wm_js_uint(o, "size", v->outfile[k].size);
        wm_js_uint(o, "ntensor", in_file[k]);
        wm_js_close(o);
    }
    wm_js_close(o);
}

static void
describe_json(struct facts *f, struct wm_out *o)
{
    const struct wm_manifest *in = f->p->in;

    wm_js_result(o, "wmap.plan/1", WMAP_OK);
    wm_js_str(o, "map", wm_str_c(f->p->map->name));
    wm_js_bool(o, "reverse", f->p->bind.reverse);
    wm_js_object(o, "input");
    wm_js_str(o, "path", in->path);
    wm_js_uint(o, "ntensor", in->tensor.n);
    wm_js_uint(o, "nfile", in->file.n);
    wm_js_uint(o, "nbytes", in->nbytes);
    wm_js_uint(o, "ntensor_read", f->v.nread);
    wm_js_uint(o, "nbytes_read", f->in_bytes);
    wm_js_close(o);
    wm_js_object(o, "output");
    wm_js_str(o, "path", f->p->output);
    wm_js_uint(o, "ntensor", f->ntensor);
    wm_js_uint(o, "nfile", f->v.noutfile);
    wm_js_uint(o, "nbytes", f->out_bytes);
    wm_js_uint(o, "nbytes_of_files", f->file_bytes);
    wm_js_close(o);
    wm_js_array(o, "pieces");
    for (uint32_t r = 0; r < NRUN; r++) {
        wm_js_object(o, NULL);
        wm_js_uint(o, "at_least", runs[r].least);
        wm_js_uint(o, "nbytes", f->run[r]);
        wm_js_close(o);
    }
    wm_js_close(o);
    wm_js_uint(o, "boxes", f->nbox);
    wm_js_uint(o, "checks", f->ncheck);
    wm_js_uint(o, "plan_bytes", f->p->size);
    wm_js_uint(o, "buffer_bytes", f->buffers);
    wm_cost_json(&f->cost, f->is_cost_known, o);
    wm_js_str(o, "layout", f->p->bind.layout == WM_LAYOUT_KEEP ? WM_STR("keep") : WM_STR("reference"));
    wm_js_uint(o, "nbytes_shareable", f->shareable);
    wm_js_bool(o, "identity", is_identity(f));
    files_json(f, o);
    tensors_json(f, o);
    wm_js_value(o, "diagnostics");
    wm_diags_finish(&f->p->map->ctx->cc.diags);
    wm_diags_json(&f->p->map->ctx->cc.diags, &o->b);
    wm_js_close(o);
}

wmap_status
wmap_plan_describe(wmap_plan *p, const wmap_work *work, wmap_style style, wmap_sink sink)
{
    struct wmap_ctx *ctx = p->map->ctx;
    struct facts f = {.p = p, .buffers = wm_work_memory(work)};
    struct wm_arena a;
    struct wm_out o;
    struct wm_jit *jit = NULL;
    bool ok;

    wm_ctx_begin(ctx);
    if (work && work->engine == WMAP_ENGINE_JIT &&
        wm_jit_open(ctx->sys, WM_ENGINE_JIT, &jit, &ctx->err) != WM_OK)
        return wm_ctx_end(ctx, ctx->err.status); /* as a run would say */
    wm_jit_close(jit);
    if (wm_plan_cost(p, work, &f.cost, &f.is_cost_known, &ctx->err) != WM_OK)
        return wm_ctx_end(ctx, ctx->err.status);
    wm_ctx_arena(ctx, &a);
    wm_out_init(&o, &a, sink);
    f.a = &a;
    wm_view_init(&f.v, &a, &p->plan);
    gather(&f);
    if (style == WMAP_JSON)
        describe_json(&f, &o);
    else
        describe_text(&f, &o);
    ok = wm_out_end(&o);
    wm_arena_fini(&a);
    return wm_ctx_end(ctx,
                      ok ? WM_OK : wm_fail(&ctx->err, WM_EIO, NULL, "writing the result failed"));
}
