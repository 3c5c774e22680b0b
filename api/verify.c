/* api/verify.c -- is an existing output what the map makes of the input, and does the way back give
 * the input?
 *
 * Forwards: the plan produces its output window by window and each is compared with the tensor of
 * that name, so the sharding of the existing output does not matter.  Backwards: the map is bound
 * in reverse to the output, and what that makes is compared with the input; tensors of the input
 * that the map does not carry are listed, not judged. */
#include <errno.h>
#include <inttypes.h>

#include "api/delta.h"
#include "api/fold.h"
#include "api/view.h"

/* A plan as a side: each thread has an executor of its own.  After the plan's tensors come those that a template
 * gives to the output. */
struct maker {
    struct wm_view v;
    struct wm_exec **exec;
    unsigned threads;
    const struct wm_manifest *like; /* or NULL */
    struct wm_file_reader template;
    WM_VEC(uint32_t) kept;          /* tensors of it that the plan does not make */
};

struct verify {
    struct wmap_ctx *ctx;
    struct wmap_plan *p;
    struct wm_arena a;
    const wmap_work *work;
    struct wm_manifest *out;
    bool by_file; /* tensors are told apart by file and name */
    struct wm_delta forward, backward;
    bool has_backward;
    WM_VEC(uint32_t) lossy; /* pairs of backward that a lossy operation changed: told, not judged */
    struct wm_str why_not;  /* where it has none */
};

/* ---- readers ---- */

static enum wm_status
produce(void *user, unsigned thread, uint32_t id, uint64_t off, uint64_t n, void *p,
        struct wm_err *err)
{
    struct maker *m = user;

    if (id >= m->v.ntensor) {
        struct wm_reader r = wm_file_reader(&m->template);

        return r.read(r.user, thread, m->kept.item[id - m->v.ntensor], off, n, p, err);
    }
    return wm_exec_produce(m->exec[thread], wm_view_tensor(&m->v, id).out, off, n, p, err);
}

static enum wm_status
open_template(struct maker *m, struct verify *f)
{
    struct wm_map made;

    wm_map_init(&made, &f->a, (uint32_t)m->v.ntensor);
    for (uint64_t k = 0; k < m->v.ntensor; k++)
        wm_map_put(&made, wm_view_tensor(&m->v, k).name, (uint32_t)k);
    for (uint32_t k = 0; k < m->like->tensor.n; k++)
        if (wm_map_get(&made, m->like->tensor.item[k].name) == WM_NONE)
            *WM_PUSH(&f->a, &m->kept) = k;
    return wm_file_reader_open(&m->template, &f->a, f->ctx->sys, m->like, &f->ctx->err);
}

static enum wm_status
maker_open(struct maker *m, struct verify *f, const struct wm_plan *plan)
{
    struct wm_exec_opts o = {.threads = 1,
                             .engine = (enum wm_engine)(f->work ? f->work->engine : 0)};
    enum wm_status st = WM_OK;

    m->threads = wm_work_threads(f->work);
    m->exec = WM_NEW_N(&f->a, struct wm_exec *, m->threads);
    o.max_memory = wm_work_memory(f->work) / m->threads;
    wm_view_init(&m->v, &f->a, plan);
    for (unsigned k = 0; k < m->threads && st == WM_OK; k++)
        st = wm_exec_open(plan, f->ctx->sys, &o, &m->exec[k], &f->ctx->err);
    return st == WM_OK && m->like ? open_template(m, f) : st;
}

static enum wm_status
maker_close(struct maker *m, struct verify *f, enum wm_status st)
{
    if (st == WM_OK && m->exec[0])
        st = wm_exec_check_inputs(m->exec[0], &f->ctx->err);
    for (unsigned k = 0; k < m->threads; k++)
        if (m->exec[k])
            wm_exec_close(m->exec[k]);
    if (m->template.m) {
        enum wm_status closed = wm_file_reader_close(&m->template, &f->ctx->err);

        st = st == WM_OK ? closed : st;
    }
    return st;
}

static struct wm_str
label(struct verify *f, struct wm_str file, struct wm_str name)
{
    return f->by_file ? wm_arena_printf(&f->a, "%.*s: %.*s", WM_STR_ARG(file), WM_STR_ARG(name))
                      : name;
}

static void
side_of_plan(struct wm_side *s, struct verify *f, struct maker *m)
{
    const struct wm_view *v = &m->v;

    s->n = (uint32_t)v->ntensor + m->kept.n;
    s->tensor = WM_NEW_N(&f->a, struct wm_listed, s->n);
    s->id = WM_NEW_N(&f->a, uint32_t, s->n);
    s->reader = (struct wm_reader){produce, m};
    for (uint32_t k = 0; k < s->n; k++)
        s->id[k] = k;
    for (uint32_t k = 0; k < m->kept.n; k++) {
        const struct wm_mtensor *t = &m->like->tensor.item[m->kept.item[k]];

        s->tensor[v->ntensor + k] =
            (struct wm_listed){t->name, t->dtype, t->shape, t->rank, t->nbytes, 0};
    }
    for (uint32_t k = 0; k < v->ntensor; k++) {
        const struct wm_view_tensor t = wm_view_tensor(v, k);

        s->tensor[k] = (struct wm_listed){
            label(f, wm_plan_str(v->p, v->outfile[v->out[t.out].file].name), t.name),
            (enum wm_dtype)t.dtype,
            t.shape,
            t.rank,
            t.nbytes,
            0};
    }
}

/* ---- one direction ---- */

/* What `plan` makes, after the template `like` (or NULL), against the tensors of `m`. */
static enum wm_status
compare(struct verify *f, struct wm_delta *d, const struct wm_plan *plan,
        const struct wm_manifest *like, struct wm_manifest *m)
{
    struct maker *maker = WM_NEW(&f->a, struct maker);
    struct wm_side *side = WM_NEW_N(&f->a, struct wm_side, 2);
    struct wm_file_reader file;
    enum wm_status st, closed;

    *d = (struct wm_delta){.ctx = f->ctx, .a = &f->a, .sa = &side[0], .sb = &side[1]};
    maker->like = like;
    st = maker_open(maker, f, plan);
    if (st == WM_OK)
        st = wm_view_checks(&maker->v, maker->exec[0], &f->ctx->err);
    if (st == WM_OK) {
        side_of_plan(&side[0], f, maker);
        wm_side_of_manifest(&side[1], &f->a, m, wm_manifest_order(&f->a, m));
        for (uint32_t k = 0; k < side[1].n; k++)
            side[1].tensor[k].name = label(f, m->file.item[m->tensor.item[side[1].id[k]].file].name,
                                           side[1].tensor[k].name);
        st = wm_file_reader_open(&file, &f->a, f->ctx->sys, m, &f->ctx->err);
        side[1].reader = wm_file_reader(&file);
        if (st == WM_OK)
            st = wm_delta_run(d, f->work, &f->ctx->err);
        closed = wm_file_reader_close(&file, &f->ctx->err);
        st = st == WM_OK ? closed : st;
    }
    return maker_close(maker, f, st);
}

/* The same name in several files of the plan: then files matter, and must be those of the plan. */
static bool
has_equal_names(struct verify *f, const struct wm_view *v)
{
    struct wm_map seen;

    wm_map_init(&seen, &f->a, (uint32_t)v->ntensor);
    for (uint64_t k = 0; k < v->ntensor; k++)
        if (wm_map_put(&seen, wm_view_tensor(v, k).name, (uint32_t)k) != k)
            return true;
    return false;
}

static enum wm_status
open_output(struct verify *f, struct wm_str path)
{
    struct wm_open_opts opts = {.no_symlinks = f->p->no_symlinks, .round_numbers = f->p->round_numbers};
    struct wm_bind_opts back = f->p->bind; /* the output is what the way back reads */
    struct wm_view v;

    back.reverse = !back.reverse;
    back.like = NULL;

    wm_view_init(&v, &f->a, &f->p->plan);
    f->by_file = has_equal_names(f, &v);
    if (f->by_file) {
        struct wm_str *name = WM_NEW_N(&f->a, struct wm_str, v.noutfile);

        for (uint64_t k = 0; k < v.noutfile; k++)
            if (v.outfile[k].ntensor)
                name[opts.nonly++] = wm_plan_str(&f->p->plan, v.outfile[k].name);
        opts.only = name;
    }
    return wm_open_input(&f->ctx->cc, f->p->map->chain, path, &back, &opts, &f->out, &f->ctx->err);
}

/* ---- a selection ---- */

static struct wm_str
name_in(struct verify *f, struct wm_str file, struct wm_str name)
{
    return f->by_file ? wm_arena_printf(&f->a, "%.*s%c%.*s", WM_STR_ARG(file), 0, WM_STR_ARG(name))
                      : name;
}

/* Of an output that holds more than the plan makes only that counts: --only and --part-spec. */
static void
leave_selected(struct verify *f)
{
    struct wm_manifest *m = f->out;
    struct wm_map made;
    struct wm_view v;
    uint32_t n = 0;

    if (f->p->bind.nonly == 0 && !f->p->bind.parts)
        return;
    wm_view_init(&v, &f->a, &f->p->plan);
    wm_map_init(&made, &f->a, (uint32_t)v.ntensor);
    for (uint64_t k = 0; k < v.ntensor; k++)
        wm_map_put(&made,
                   name_in(f, wm_plan_str(v.p, v.outfile[v.out[wm_view_tensor(&v, k).out].file].name),
                           wm_view_tensor(&v, k).name),
                   (uint32_t)k);
    m->nbytes = 0;
    wm_map_init(&m->by_name, m->a, m->tensor.n);
    for (uint32_t k = 0; k < m->tensor.n; k++) {
        struct wm_mtensor t = m->tensor.item[k];

        if (wm_map_get(&made, name_in(f, m->file.item[t.file].name, t.name)) == WM_NONE)
            continue;
        m->nbytes += t.nbytes;
        wm_map_set(&m->by_name, t.name, n);
        m->tensor.item[n++] = t;
    }
    m->tensor.n = n;
}

/* ---- the way back ---- */

/* The configuration that the forward binding used, as a path; in reverse the input's directory is
 * another. */
static struct wm_str
config_path(struct verify *f)
{
    struct wm_str path = f->p->bind.config;
    struct stat st;

    if (path.n)
        return path;
    path = wm_arena_printf(&f->ctx->arena, "%.*s/config.json", WM_STR_ARG(f->p->in->dir));
    return f->ctx->sys->stat(path.p, &st) == 0 ? path : WM_STR("");
}

/* Does one of the operations that make this tensor say that it loses something? */
static bool
is_lossy(const struct wm_view *v, const struct wm_plan_out *t)
{
    const struct wm_plan_geom *g = &v->geom[t->geom];

    for (uint64_t k = 0; k < g->nbox; k++) {
        const struct wm_plan_elem *e = &v->elem[v->box[g->box + k].elem];

        for (uint32_t s = 0; e->kind == WM_EL_CHAIN && s < e->nstep; s++)
            if (v->step[e->step + s].lossy)
                return true;
    }
    return false;
}

static void
set_lossy_apart(struct verify *f, const struct wm_plan *plan)
{
    struct wm_delta *d = &f->backward;
    struct wm_view v;

    wm_view_init(&v, &f->a, plan);
    for (uint32_t k = 0; k < d->pair.n; k++) {
        struct wm_pair *p = &d->pair.item[k];

        if (p->ndiff == 0 || !is_lossy(&v, &v.out[wm_view_tensor(&v, p->a).out]))
            continue;
        p->ndiff = 0;
        d->ndifferent--;
        d->nlossy++;
        *WM_PUSH(&f->a, &f->lossy) = k;
    }
}

/* A failure to bind in reverse is a property of the map (one-way rules), told but not judged: its
 * diagnostics do not count among those of the map. */
static enum wm_status
way_back(struct verify *f)
{
    struct wm_diags *ds = &f->ctx->cc.diags;
    uint32_t n = ds->list.n, nerror = ds->nerror, nwarning = ds->nwarning;
    struct wm_bind_opts o = f->p->bind;
    struct wm_graph *graph;
    struct wm_plan plan;
    struct wm_view v;
    uint64_t size;
    enum wm_status st;

    if (o.adapter) {
        f->why_not = WM_STR("an adapter was merged on the way");
        return WM_OK;
    }
    o.reverse = !o.reverse;
    o.config = config_path(f);
    o.allow_unmapped = o.allow_missing = true;
    o.out_is_file = false;
    o.nonly = 0; /* names of the other side */
    o.format = WM_STR("");
    o.like = NULL;
    st = wm_plan_of(f->ctx, f->p->map->chain, f->out, &o, &graph, &plan, &size);
    f->why_not = WM_STR("the map can not be bound in this direction");
    for (uint32_t k = n; k < ds->list.n; k++)
        if (ds->list.item[k]->severity == WM_SEV_ERROR) {
            f->why_not = wm_arena_str(&f->a, ds->list.item[k]->message);
            break;
        }
    ds->list.n = n;
    ds->nerror = nerror;
    ds->nwarning = nwarning;
    if (st != WM_OK)
        return st == WM_NO ? WM_OK : st;
    f->has_backward = true;
    wm_view_init(&v, &f->a, &plan);
    f->by_file = has_equal_names(f, &v);
    st = compare(f, &f->backward, &plan, NULL, f->p->in);
    if (f->p->bind.nonly || f->p->bind.parts)
        f->backward.unexpected.n = 0; /* what was not asked for */
    if (st == WM_OK)
        set_lossy_apart(f, &plan);
    return st;
}

static bool
holds(const struct verify *f)
{
    const struct wm_delta *b = &f->backward;

    return wm_delta_is_none(&f->forward) &&
           (!f->has_backward || b->missing.n + b->mismatch.a.n + b->ndifferent == 0);
}

/* ---- the answer ---- */

static void
direction_text(const char *word, const struct wm_delta *d, struct wm_out *o)
{
    wm_buf_printf(&o->b, "%s: %" PRIu32 " of %" PRIu32 " tensors are equal (", word,
                  d->pair.n - d->ndifferent - d->nlossy,
                  d->pair.n + d->missing.n + d->mismatch.a.n);
    wm_out_size(&o->b, d->nbytes);
    wm_buf_putz(&o->b, " compared)\n");
    wm_delta_text(d, o);
}

/* A note for each template among some tensors of the input. */
static void
notes(struct verify *f, const uint32_t *tensor, uint32_t n, const char *before, const char *behind,
      struct wm_out *o)
{
    struct wm_fold_item *item = WM_NEW_N(&f->a, struct wm_fold_item, n);
    struct wm_fold_line *line;
    uint32_t nline;

    for (uint32_t k = 0; k < n; k++)
        item[k] = (struct wm_fold_item){f->backward.sb->tensor[tensor[k]].name, 0};
    wm_fold(&f->a, item, n, &line, &nline);
    for (uint32_t k = 0; k < nline; k++)
        wm_buf_printf(&o->b, "  note: %s%.*s%s\n", before, WM_STR_ARG(line[k].name), behind);
}

/* The lossy pairs as tensors of the input. */
static uint32_t *
lossy_tensors(struct verify *f)
{
    uint32_t *t = WM_NEW_N(&f->a, uint32_t, f->lossy.n);

    for (uint32_t k = 0; k < f->lossy.n; k++)
        t[k] = f->backward.pair_b.item[f->lossy.item[k]];
    return t;
}

static void
answer_text(struct verify *f, struct wm_out *o)
{
    direction_text("forward", &f->forward, o);
    if (!f->has_backward) {
        wm_buf_putz(&o->b, "backward: not checked: ");
        wm_buf_safe(&o->b, f->why_not, 400);
        wm_buf_putc(&o->b, '\n');
    } else {
        struct wm_delta d = f->backward;

        d.unexpected.n = 0; /* these are told as notes */
        direction_text("backward", &d, o);
        notes(f, f->backward.unexpected.item, f->backward.unexpected.n, "the map does not carry ",
              " back", o);
        notes(f, lossy_tensors(f), f->lossy.n, "", " comes back changed by a lossy operation", o);
    }
}

static void
answer_json(struct verify *f, struct wm_out *o)
{
    wm_js_result(o, "wmap.verify/1", holds(f) ? WMAP_OK : WMAP_NO);
    wm_js_object(o, "forward");
    wm_delta_json(&f->forward, o);
    wm_js_close(o);
    wm_js_object(o, "backward");
    wm_js_bool(o, "checked", f->has_backward);
    if (f->has_backward) {
        const uint32_t *t = lossy_tensors(f);

        wm_delta_json(&f->backward, o);
        wm_js_array(o, "lossy");
        for (uint32_t k = 0; k < f->lossy.n; k++)
            wm_js_str(o, NULL, f->backward.sb->tensor[t[k]].name);
        wm_js_close(o);
    } else {
        wm_js_str(o, "why_not", f->why_not);
    }
    wm_js_close(o);
    wm_js_close(o);
}

static enum wm_status
answer(struct verify *f, wmap_style style, wmap_sink sink)
{
    struct wm_out o;

    wm_out_init(&o, &f->a, sink);
    if (style == WMAP_JSON)
        answer_json(f, &o);
    else
        answer_text(f, &o);
    if (!wm_out_end(&o))
        return wm_fail(&f->ctx->err, WM_EIO, NULL, "writing the result failed");
    return holds(f) ? WM_OK : WM_NO;
}

wmap_status
wmap_verify(wmap_plan *p, const char *output, const wmap_work *work, wmap_style style,
            wmap_sink sink)
{
    struct verify f = {.ctx = p->map->ctx, .p = p, .work = work};
    enum wm_status st;

    wm_ctx_begin(f.ctx);
    if (p->source || p->pushed)
        return wm_ctx_end(f.ctx, wm_fail(&f.ctx->err, WM_EUSAGE, NULL,
                                         "verify reads its input several times: a stream can't be verified"));
    wm_ctx_arena(f.ctx, &f.a);
    st = open_output(&f, wm_ctx_str(f.ctx, output));
    if (st == WM_OK)
        leave_selected(&f);
    if (st == WM_OK)
        st = compare(&f, &f.forward, &p->plan, p->bind.like, f.out);
    if (st == WM_OK && wm_delta_is_none(&f.forward))
        st = way_back(&f);
    else if (st == WM_OK)
        f.why_not = WM_STR("the output is not what the map makes");
    if (st == WM_OK)
        st = answer(&f, style, sink);
    wm_arena_fini(&f.a);
    return wm_ctx_end(f.ctx, st);
}
