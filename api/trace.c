/* api/trace.c -- where an element of the output comes from, and where one of the input goes.
 *
 * "KEY[3, 5]" may name a tensor of the output, of the input, or of both.  The answers are read off
 * the plan's boxes: the same that a run executes. */
#include <inttypes.h>
#include <stdlib.h>

#include "api/compare.h"
#include "api/element.h"
#include "api/out.h"
#include "api/view.h"

enum { SHOW = 16, COUNT_TO = 100000 };

struct trace {
    struct wmap_ctx *ctx;
    struct wm_view v;
    struct wm_out o;
    bool json;
    struct wm_str key;
    int64_t index[WM_MAX_RANK];
    uint32_t nindex;
    uint64_t found; /* tensors of that name, either side */
    bool many_in, many_out; /* tensors of that side lie in several files, so that a name alone says too little */
    /* while the boxes of one output tensor are asked */
    const struct wm_plan_out *out;
    const struct wm_view_tensor *as; /* the name by which it is asked; NULL: a check */
    const struct wm_plan_geom *geom;
    const struct wm_plan_box *box;
    uint32_t operand; /* of the box: the input that is asked about */
    uint64_t ngoal; /* places an input element goes to */
    uint64_t part;  /* byte of the element inside its unit */
};

/* ---- the argument ---- */

static enum wm_status
bad_element(struct trace *t, struct wm_str text)
{
    return wm_fail(&t->ctx->err, WM_EUSAGE, NULL,
                   "\"%.*s\" names no element: write KEY[I, J], with an index for each dimension",
                   WM_STR_ARG(text));
}

static enum wm_status
parse_element(struct trace *t, struct wm_str s)
{
    size_t open = s.n, at;

    while (open > 0 && s.p[open - 1] != '[')
        open--;
    if (open < 2 || s.p[s.n - 1] != ']')
        return bad_element(t, s);
    t->key = (struct wm_str){s.p, open - 1};
    for (at = open; at < s.n - 1;) {
        int64_t v = 0;
        size_t from;

        while (s.p[at] == ' ')
            at++;
        for (from = at; s.p[at] >= '0' && s.p[at] <= '9' && at - from < 18; at++)
            v = v * 10 + (s.p[at] - '0');
        if (at == from || t->nindex == WM_MAX_RANK)
            return bad_element(t, s);
        t->index[t->nindex++] = v;
        while (s.p[at] == ' ')
            at++;
        if (s.p[at] != ',' && at != s.n - 1)
            return bad_element(t, s);
        at += s.p[at] == ',';
    }
    return WM_OK;
}

/* Byte offset of the element in a tensor: row-major, or with strides. */
static enum wm_status
element_at(struct trace *t, const char *side, uint32_t dtype, const int64_t *shape,
           const int64_t *stride, uint32_t rank, uint64_t *byte)
{
    uint64_t at = 0;

    if (rank != t->nindex)
        return wm_fail(&t->ctx->err, WM_EUSAGE, NULL,
                       "\"%.*s\" of the %s has %" PRIu32 " dimensions, but %" PRIu32
                       " indices are given",
                       WM_STR_ARG(t->key), side, rank, t->nindex);
    for (uint32_t k = 0; k < rank; k++) {
        if (t->index[k] >= shape[k])
            return wm_fail(&t->ctx->err, WM_EUSAGE, NULL,
                           "index %" PRId64 " is outside dimension %" PRIu32
                           " of \"%.*s\" of the %s, whose size "
                           "is %" PRId64,
                           t->index[k], k, WM_STR_ARG(t->key), side, shape[k]);
        at = stride ? at + (uint64_t)(t->index[k] * stride[k])
                    : at * (uint64_t)shape[k] + (uint64_t)t->index[k];
    }
    *byte = at * wm_dtype_info[dtype].bits / 8;
    return WM_OK;
}

/* ---- what is printed ---- */

/* The index inside of a part that begins at `origin`; false: the element is in another one. */
static bool
into_part(struct trace *t, const int64_t *origin, const int64_t *shape, uint32_t rank)
{
    if (rank != t->nindex)
        return true; /* reported as such */
    for (uint32_t k = 0; k < rank; k++)
        if (t->index[k] < origin[k] || t->index[k] - origin[k] >= shape[k])
            return false;
    for (uint32_t k = 0; k < rank; k++)
        t->index[k] -= origin[k];
    return true;
}

/* The file of an input; of what is decoded first, the file that it is decoded from.  Empty: constants of the plan. */
static struct wm_str
file_of_in(const struct wm_view *v, const struct wm_plan_in *in)
{
    const struct wm_plan_infile *f = &v->infile[in->file];

    if (f->codec != WM_CODEC_RAW && f->codec != WM_CODEC_BLOB)
        f = &v->infile[f->of];
    return f->codec == WM_CODEC_RAW ? wm_plan_str(v->p, f->path) : WM_STR("");
}

static struct wm_str
file_of_out(const struct wm_view *v, const struct wm_view_tensor *as)
{
    return wm_plan_str(v->p, v->outfile[v->out[as->out].file].name);
}

static void
count_files(struct trace *t)
{
    const struct wm_view *v = &t->v;
    struct wm_str first = WM_STR("");

    for (uint64_t k = 0; k < v->nin && !t->many_in; k++) {
        struct wm_str f = v->in[k].name.len ? file_of_in(v, &v->in[k]) : WM_STR("");

        t->many_in = f.n && first.n && !wm_str_eq(f, first);
        first = f.n ? f : first;
    }
    for (uint64_t k = 0, n = 0; k < v->noutfile; k++)
        t->many_out |= v->outfile[k].ntensor > 0 && ++n > 1;
}

/* NAME[3, 5] of a tensor, the element at byte offset `byte`. */
static struct wm_str
place(struct trace *t, struct wm_str name, uint32_t dtype, const int64_t *shape, uint32_t rank,
      uint64_t byte)
{
    struct wm_buf b;

    wm_buf_init(&b, t->o.b.a);
    wm_buf_safe(&b, name, 400);
    wm_print_index(&b, (enum wm_dtype)dtype, shape, rank,
                   byte / wm_element_unit((enum wm_dtype)dtype));
    return wm_buf_str(&b);
}

/* The same of an input, which may be a view or a part. */
static struct wm_str
in_place(struct trace *t, const struct wm_plan_in *in, uint64_t byte)
{
    const int64_t *shape = t->v.shape + in->shape;
    int64_t index[WM_MAX_RANK];
    struct wm_buf b;

    if (in->stride == WM_NONE && in->origin == WM_NONE)
        return place(t, wm_plan_str(t->v.p, in->name), in->dtype, shape, in->rank, byte);
    wm_buf_init(&b, t->o.b.a);
    wm_buf_safe(&b, wm_plan_str(t->v.p, in->name), 400);
    wm_plan_index(t->v.p, in, (int64_t)(byte * 8 / wm_dtype_info[in->dtype].bits), index);
    for (uint32_t k = 0; k < in->rank; k++)
        wm_buf_printf(&b, "%s%" PRId64 "%s", k ? ", " : "[", index[k], k + 1 == in->rank ? "]" : "");
    return wm_buf_str(&b);
}

static const char *
how(const struct wm_plan_elem *e)
{
    switch (e->kind) {
    case WM_EL_COPY:
        return "copy";
    case WM_EL_FILL:
        return "fill";
    case WM_EL_CHAIN:
        return "computed";
    case WM_EL_LOWRANK:
        return "low-rank sum";
    case WM_EL_SCALED:
        return "times its scale";
    case WM_EL_EQUAL:
        return "must be equal";
    default:
        return "must be the fill value";
    }
}

static void
put_place(struct trace *t, struct wm_str element, struct wm_str file, bool many)
{
    if (t->json) {
        wm_js_str(&t->o, "element", element);
        if (file.n)
            wm_js_str(&t->o, "file", file);
        return;
    }
    wm_buf_puts(&t->o.b, element);
    if (many && file.n) {
        wm_buf_putz(&t->o.b, " in ");
        wm_buf_safe(&t->o.b, file, 400);
    }
}

static void
head(struct trace *t, const char *side, struct wm_str element, struct wm_str file, bool many)
{
    if (t->json) {
        wm_js_object(&t->o, NULL);
        wm_js_str(&t->o, "side", wm_str_c(side));
        put_place(t, element, file, many);
        wm_js_array(&t->o, strcmp(side, "output") == 0 ? "from" : "to");
    } else {
        wm_buf_printf(&t->o.b, "%s ", side);
        put_place(t, element, file, many);
        wm_buf_putc(&t->o.b, '\n');
    }
}

static void
tail(struct trace *t)
{
    if (t->json) {
        wm_js_close(&t->o);
        wm_js_close(&t->o);
    }
}

static void
line(struct trace *t, const char *arrow, struct wm_str element, struct wm_str file, bool many, const struct wm_plan_elem *e)
{
    struct wm_str rule = t->as ? t->as->where : wm_plan_str(t->v.p, t->out->where);

    if (t->json) {
        wm_js_object(&t->o, NULL);
        put_place(t, element, file, many);
        wm_js_str(&t->o, "how", wm_str_c(how(e)));
        wm_js_str(&t->o, "rule", rule);
        wm_js_close(&t->o);
        return;
    }
    wm_buf_printf(&t->o.b, "  %s ", arrow);
    put_place(t, element, file, many);
    if (e->kind != WM_EL_COPY && element.n)
        wm_buf_printf(&t->o.b, " (%s)", how(e));
    else if (e->kind != WM_EL_COPY)
        wm_buf_putz(&t->o.b, how(e));
    wm_buf_printf(&t->o.b, "   %.*s\n", WM_STR_ARG(rule));
}

/* ---- backwards: from the output ---- */

static void
sources_of_unit(struct trace *t, int64_t dst)
{
    const struct wm_view *v = &t->v;

    for (uint64_t k = 0; k < t->geom->nbox; k++) {
        const struct wm_plan_box *b = &v->box[t->geom->box + k];
        const struct wm_plan_elem *e = &v->elem[b->elem];
        int64_t src = 0;

        if (!wm_box_source(v, b, 0, dst, &src))
            continue;
        if (b->nsrc == 0)
            line(t, "<-", WM_STR(""), WM_STR(""), false, e);
        for (uint32_t s = 0; s < b->nsrc; s++) {
            const struct wm_plan_in *in = &v->in[v->slot[t->out->slot + b->slot[s]]];
            unsigned unit = wm_plan_src_unit(e, t->geom->unit, s);
            uint64_t part = e->kind != WM_EL_LOWRANK && e->kind != WM_EL_SCALED && unit == t->geom->unit ? t->part : 0;

            wm_box_source(v, b, s, dst, &src);
            line(t, "<-", in_place(t, in, (uint64_t)src * unit + part), file_of_in(v, in), t->many_in, e);
        }
    }
}

static enum wm_status
trace_output(struct trace *t, const struct wm_view_tensor *as)
{
    uint64_t byte;
    enum wm_status st = element_at(t, "output", as->dtype, as->shape, NULL, as->rank, &byte);

    if (st != WM_OK)
        return st;
    t->found++;
    t->as = as;
    t->out = &t->v.out[as->out];
    t->geom = &t->v.geom[t->out->geom];
    t->part = byte % t->geom->unit;
    head(t, "output", place(t, as->name, as->dtype, as->shape, as->rank, byte), file_of_out(&t->v, as), t->many_out);
    sources_of_unit(t, (int64_t)(byte / t->geom->unit));
    tail(t);
    return WM_OK;
}

/* ---- forwards: from the input ---- */

/* A check: what has to be equal, or else what the check is called. */
static void
line_check(struct trace *t, const struct wm_plan_elem *e, int64_t dst)
{
    const struct wm_view *v = &t->v;
    const struct wm_plan_in *other = NULL;
    int64_t src;

    if (t->box->nsrc == 2 && wm_box_source(v, t->box, 1 - t->operand, dst, &src))
        other = &v->in[v->slot[t->out->slot + t->box->slot[1 - t->operand]]];
    if (other)
        line(t, "==", in_place(t, other, (uint64_t)src * t->geom->unit + t->part), file_of_in(v, other), t->many_in, e);
    else
        line(t, "->", wm_plan_str(v->p, t->out->name), WM_STR(""), false, e);
}

static bool
goal(void *user, int64_t dst)
{
    struct trace *t = user;
    const struct wm_plan_elem *e = &t->v.elem[t->box->elem];

    if (t->ngoal++ >= SHOW)
        return t->ngoal < COUNT_TO;
    if (t->as) {
        uint64_t part = wm_plan_src_unit(e, t->geom->unit, 0) == t->geom->unit ? t->part : 0;

        line(t, "->", place(t, t->as->name, t->as->dtype, t->as->shape, t->as->rank, (uint64_t)dst * t->geom->unit + part),
             file_of_out(&t->v, t->as), t->many_out, e);
    } else {
        line_check(t, e, dst);
    }
    return t->ngoal < COUNT_TO;
}

static void
goals_in(struct trace *t, const struct wm_plan_out *out, const struct wm_view_tensor *as,
         uint32_t in, uint64_t byte)
{
    const struct wm_view *v = &t->v;

    t->as = as;
    t->out = out;
    t->geom = &v->geom[out->geom];
    for (uint64_t k = 0; k < t->geom->nbox; k++) {
        const struct wm_plan_box *b = &v->box[t->geom->box + k];
        const struct wm_plan_elem *e = &v->elem[b->elem];

        for (uint32_t s = 0; s < b->nsrc; s++)
            if (v->slot[out->slot + b->slot[s]] == in) {
                unsigned unit = wm_plan_src_unit(e, t->geom->unit, s);
                bool factor = e->kind == WM_EL_LOWRANK && s > 0;

                t->box = b;
                t->operand = s;
                t->part = factor || e->kind == WM_EL_SCALED ? 0 : byte % unit;
                for (uint32_t r = 0; r < (factor ? e->rank : 1); r++)
                    wm_box_targets(v, b, s, (int64_t)(byte / unit) - (factor ? r * e->stride[s - 1] : 0), goal, t);
            }
    }
}

static enum wm_status
trace_input(struct trace *t, uint32_t id)
{
    const struct wm_view *v = &t->v;
    const struct wm_plan_in *in = &v->in[id];
    int64_t index[WM_MAX_RANK];
    uint64_t byte;
    enum wm_status st;

    memcpy(index, t->index, sizeof(index));
    if (in->origin != WM_NONE && !into_part(t, v->shape + in->origin, v->shape + in->shape, in->rank))
        return WM_OK;
    st = element_at(t, "input", in->dtype, v->shape + in->shape,
                    in->stride == WM_NONE ? NULL : v->shape + in->stride, in->rank, &byte);
    memcpy(t->index, index, sizeof(index));
    if (st != WM_OK)
        return st;
    t->found++;
    t->ngoal = 0;
    head(t, "input", in_place(t, in, byte), file_of_in(v, in), t->many_in);
    for (uint64_t k = 0; k < v->ntensor + v->ncheck && t->ngoal < COUNT_TO; k++) {
        const struct wm_view_tensor tensor = k < v->ntensor ? wm_view_tensor(v, k) : (struct wm_view_tensor){.out = 0};
        const struct wm_view_tensor *as = k < v->ntensor ? &tensor : NULL;
        const struct wm_plan_out *out =
            &v->out[as ? as->out : v->nout - v->ncheck + (k - v->ntensor)];
        uint32_t nslot = v->geom[out->geom].nslot;

        for (uint32_t s = 0; s < nslot; s++)
            if (v->slot[out->slot + s] == id) {
                goals_in(t, out, as, id, byte);
                break;
            }
    }
    if (!t->json && t->ngoal == 0)
        wm_buf_putz(&t->o.b, "  is not used\n");
    if (!t->json && t->ngoal > SHOW)
        wm_buf_printf(&t->o.b, "  and %s%" PRIu64 " more\n",
                      t->ngoal == COUNT_TO ? "at least " : "", t->ngoal - SHOW);
    tail(t);
    return WM_OK;
}

static enum wm_status
not_found(struct trace *t, struct wmap_plan *p)
{
    struct wm_arena *a = t->o.b.a;
    uint64_t ntensor = t->v.ntensor;
    struct wm_str *name = WM_NEW_N(a, struct wm_str, ntensor + p->in->tensor.n), near;

    for (uint32_t k = 0; k < p->in->tensor.n; k++) {
        const struct wm_mtensor *in = &p->in->tensor.item[k];
        uint64_t byte;

        if (!wm_str_eq(in->name, t->key))
            continue;
        if (in->store->npart && element_at(t, "input", in->dtype, in->shape, NULL, in->rank, &byte) != WM_OK)
            return t->ctx->err.status;
        return wm_fail(&t->ctx->err, WM_EUSAGE, NULL, "tensor \"%.*s\" of the input is not used by the map",
                       WM_STR_ARG(t->key));
    }
    for (uint64_t k = 0; k < ntensor; k++)
        name[k] = wm_view_tensor(&t->v, k).name;
    for (uint32_t k = 0; k < p->in->tensor.n; k++)
        name[ntensor + k] = p->in->tensor.item[k].name;
    near = wm_suggest(a, t->key, name, (uint32_t)(ntensor + p->in->tensor.n));
    if (near.n)
        return wm_fail(&t->ctx->err, WM_EUSAGE, NULL,
                       "no tensor \"%.*s\" in the output or the input; did you mean \"%.*s\"?",
                       WM_STR_ARG(t->key), WM_STR_ARG(near));
    return wm_fail(&t->ctx->err, WM_EUSAGE, NULL, "no tensor \"%.*s\" in the output or the input",
                   WM_STR_ARG(t->key));
}

static enum wm_status
trace_all(struct trace *t, struct wmap_plan *p, struct wm_str element)
{
    enum wm_status st = parse_element(t, element);

    if (st != WM_OK)
        return st;
    if (t->json) {
        wm_js_result(&t->o, "wmap.trace/1", WMAP_OK);
        wm_js_array(&t->o, "traces");
    }
    for (uint64_t k = 0; k < t->v.ntensor; k++) {
        const struct wm_view_tensor as = wm_view_tensor(&t->v, k);

        if (wm_str_eq(as.name, t->key) && trace_output(t, &as) != WM_OK)
            st = t->ctx->err.status;
    }
    for (uint64_t k = 0; k < t->v.nin; k++)
        if (wm_str_eq(wm_plan_str(t->v.p, t->v.in[k].name), t->key) && trace_input(t, (uint32_t)k) != WM_OK)
            st = t->ctx->err.status;
    if (t->found == 0 && st != WM_OK)
        return st;
    t->ctx->err = (struct wm_err){0}; /* tensors of one name may differ in shape: a rank's and the whole */
    if (t->found == 0)
        return not_found(t, p);
    if (t->json) {
        wm_js_close(&t->o);
        wm_js_close(&t->o);
    }
    return WM_OK;
}

/* A piece of text is kept until the answer is whole: a wrong index prints nothing. */
wmap_status
wmap_plan_trace(wmap_plan *p, const char *element, wmap_style style, wmap_sink sink)
{
    struct trace t = {.ctx = p->map->ctx, .json = style == WMAP_JSON};
    struct wm_arena a;
    enum wm_status st;

    wm_ctx_begin(t.ctx);
    wm_ctx_arena(t.ctx, &a);
    wm_view_init(&t.v, &a, &p->plan);
    wm_out_init(&t.o, &a, sink);
    count_files(&t);
    st = trace_all(&t, p, wm_str_c(element));
    if (st == WM_OK && !wm_out_end(&t.o))
        st = wm_fail(&t.ctx->err, WM_EIO, NULL, "writing the result failed");
    wm_arena_fini(&a);
    return wm_ctx_end(t.ctx, st);
}
