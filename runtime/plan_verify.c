/* runtime/plan_verify.c -- is a block a plan that can be run without further checks?
 *
 * In: any bytes.  Afterwards every index and text range holds, every box stays inside its operands
 * and its output, every unit of an output is written exactly once, output names are distinct plain
 * relative paths, and the heads, tensors and tails of a file cover it without overlap; shared
 * tensors and check sums (plan_verify_sums.c) name what is there.  All
 * arithmetic is checked; work on boxes is bounded by a budget. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/nest.h"
#include "runtime/codec.h"
#include "runtime/manifest.h"
#include "runtime/plan_verify.h"

struct verify {
    struct wm_arena *a;
    const struct wm_plan *p;
    WM_PLAN_VIEW_MEMBERS;
    uint64_t n[WM_PS_N];
    uint64_t **need; /* [ngeom][nslot] bytes that a geometry reads of each slot */
    uint8_t *use;    /* [ngeom] CHECKS, MAKES */
    struct wm_err *err;
};

enum { CHECKS = 1, MAKES = 2 };

#define BAD(v, ...) wm_fail((v)->err, WM_EFORMAT, NULL, "broken plan: " __VA_ARGS__)

static enum wm_status
verify_header(struct verify *v, const void *block, uint64_t size)
{
    const struct wm_plan_header *h = block;

    if (size < sizeof(*h) || (uintptr_t)block % 8 != 0 || memcmp(h->magic, "wmplan\0\2", 8) != 0)
        return wm_fail(v->err, WM_EFORMAT, NULL, "not a plan");
    if (h->version != WM_PLAN_VERSION)
        return wm_fail(v->err, WM_ESUPPORT, NULL, "plan of version %u, not %d", h->version,
                       WM_PLAN_VERSION);
    if (h->size != size)
        return BAD(v, "its size is %llu, not %llu", (unsigned long long)h->size,
                   (unsigned long long)size);
    for (int s = 0; s < WM_PS_N; s++) {
        uint64_t nbytes;

        if (h->section[s].off % 8 != 0 || h->section[s].off < sizeof(*h) ||
            !wm_ck_umul(h->section[s].count, wm_plan_record[s], &nbytes) ||
            !wm_ck_range(h->section[s].off, nbytes, size))
            return BAD(v, "section %d is out of range", s);
        v->n[s] = h->section[s].count;
    }
    return WM_OK;
}

static bool
is_text(const struct verify *v, struct wm_plan_text t)
{
    return wm_ck_range(t.off, t.len, v->n[WM_PS_STRINGS]);
}

static bool
is_blob(const struct verify *v, struct wm_plan_bytes b)
{
    return wm_ck_range(b.off, b.len, v->n[WM_PS_BLOB]);
}

static bool
has_nul(struct wm_str s)
{
    return s.n && memchr(s.p, 0, s.n) != NULL;
}

/* ---- names ---- */

static int
by_text(const void *p, const void *q)
{
    return wm_str_cmp(*(const struct wm_str *)p, *(const struct wm_str *)q);
}

static enum wm_status
verify_names(struct verify *v)
{
    uint64_t n = v->n[WM_PS_OUTFILE], all = n + v->n[WM_PS_SIDECAR];
    struct wm_str *name = WM_NEW_N(v->a, struct wm_str, all);

    for (uint64_t i = 0; i < all; i++) {
        struct wm_plan_text t = i < n ? v->outfile[i].name : v->sidecar[i - n].name;

        if (!is_text(v, t))
            return BAD(v, "name of file %llu is out of range", (unsigned long long)i);
        name[i] = wm_plan_str(v->p, t);
        if (!wm_path_is_inside(name[i]))
            return BAD(v, "'%.*s' is not a path inside the output", WM_STR_ARG(name[i]));
    }
    if (all)
        qsort(name, all, sizeof(name[0]), by_text);
    for (uint64_t i = 1; i < all; i++)
        if (wm_str_eq(name[i - 1], name[i]))
            return BAD(v, "file '%.*s' is there twice", WM_STR_ARG(name[i]));
    return WM_OK;
}

/* The index of a stretch of elements that differ in length: where each block of them begins, and how long it can be. */
static bool
index_fits(const struct verify *v, const struct wm_plan_infile *f)
{
    uint64_t n = f->nbytes / 4, nblock = n / WM_CODEC_INDEX_STEP + (n % WM_CODEC_INDEX_STEP != 0), lo, hi;

    if (f->nbytes % 4 != 0 || f->index.len % 8 != 0 || f->index.len / 8 != nblock || !is_blob(v, f->index))
        return false;
    for (uint64_t k = 0; k < nblock; k++) {
        const uint8_t *at = wm_plan_blob(v->p, f->index) + 8 * k;
        uint64_t m = k + 1 < nblock ? WM_CODEC_INDEX_STEP : n - k * WM_CODEC_INDEX_STEP;

        memcpy(&lo, at, sizeof(lo));
        hi = f->len;
        if (k + 1 < nblock)
            memcpy(&hi, at + 8, sizeof(hi));
        if ((k == 0 && lo != 0) || hi < lo || hi - lo < m || hi - lo > 9 * m)
            return false;
    }
    return nblock > 0 || f->len == 0;
}

/* A file by its path, or what a stretch of one (or of the constants) decodes to. */
static bool
infile_fits(const struct verify *v, const struct wm_plan_infile *f)
{
    const struct wm_codec_info *c;

    if (f->codec >= WM_CODEC_N || !is_text(v, f->path))
        return false;
    if (f->codec == WM_CODEC_RAW)
        return f->path.len > 0 && !has_nul(wm_plan_str(v->p, f->path)) && f->nbytes == f->size;
    if (f->codec == WM_CODEC_BLOB)
        return is_blob(v, (struct wm_plan_bytes){f->lo, f->len}) && f->nbytes == f->len;
    if (f->of >= v->n[WM_PS_INFILE] || v->infile[f->of].codec != WM_CODEC_RAW ||
        !wm_ck_range(f->lo, f->len, v->infile[f->of].size))
        return false;
    c = &wm_codec_info[f->codec];
    if (c->raw == 0)
        return index_fits(v, f);
    return f->len % c->raw == 0 && f->nbytes == f->len / c->raw * c->plain;
}

/* Where a part begins: its elements have an index in the whole. */
static bool
origin_fits(const struct verify *v, const struct wm_plan_in *in)
{
    const int64_t *shape = wm_plan_section(v->p, WM_PS_SHAPE, NULL);
    int64_t end;

    if (in->origin == WM_NONE)
        return true;
    if (!wm_ck_range(in->origin, in->rank, v->n[WM_PS_SHAPE]))
        return false;
    for (uint32_t k = 0; k < in->rank; k++)
        if (shape[in->origin + k] < 0 || !wm_ck_add(shape[in->origin + k], shape[in->shape + k], &end))
            return false;
    return true;
}

static enum wm_status
verify_inputs(struct verify *v)
{
    for (uint64_t i = 0; i < v->n[WM_PS_INFILE]; i++)
        if (!infile_fits(v, &v->infile[i]))
            return BAD(v, "input file %llu", (unsigned long long)i);
    for (uint64_t i = 0; i < v->n[WM_PS_SIDECAR]; i++)
        if (!is_text(v, v->sidecar[i].from) || has_nul(wm_plan_str(v->p, v->sidecar[i].from)) ||
            !is_blob(v, v->sidecar[i].bytes))
            return BAD(v, "sidecar %llu is out of range", (unsigned long long)i);
    for (uint64_t i = 0; i < v->n[WM_PS_IN]; i++) {
        const struct wm_plan_in *in = &v->in[i];

        if (!is_text(v, in->name) || in->file >= v->n[WM_PS_INFILE] || in->dtype >= WM_DT_N ||
            in->rank > WM_PLAN_RANK || !wm_ck_range(in->shape, in->rank, v->n[WM_PS_SHAPE]) ||
            (in->stride != WM_NONE && !wm_ck_range(in->stride, in->rank, v->n[WM_PS_SHAPE])) ||
            !origin_fits(v, in) ||
            !wm_ck_range(in->off, in->nbytes, v->infile[in->file].nbytes))
            return BAD(v, "input tensor %llu is out of range", (unsigned long long)i);
    }
    return WM_OK;
}

/* ---- element operations ---- */

static bool
is_number(uint32_t dtype)
{
    return dtype < WM_DT_N && wm_dtype_info[dtype].bits >= 8 && wm_dtype_info[dtype].kind != 'C';
}

static enum wm_status
verify_chain(struct verify *v, uint64_t id)
{
    const struct wm_plan_elem *e = &v->elem[id];
    uint32_t dtype = e->kind == WM_EL_SCALED ? WM_DT_F32 : e->src_dtype;

    if (!wm_ck_range(e->step, e->nstep, v->n[WM_PS_STEP]) || !is_number(e->src_dtype) ||
        !is_number(e->dst_dtype) || e->src_unit != wm_dtype_info[e->src_dtype].bits / 8u ||
        e->dst_unit != wm_dtype_info[e->dst_dtype].bits / 8u)
        return BAD(v, "element operation %llu", (unsigned long long)id);
    for (uint32_t i = 0; i < e->nstep; i++) {
        const struct wm_plan_step *s = &v->step[e->step + i];
        bool cast = s->kind == WM_SP_CAST || s->kind == WM_SP_UNCAST;

        if (s->kind > WM_SP_LOG || s->from != dtype || !is_number(s->to) ||
            (!cast && (s->to != s->from || wm_dtype_info[s->to].kind != 'F')))
            return BAD(v, "step %u of element operation %llu", i, (unsigned long long)id);
        dtype = s->to;
    }
    if (dtype != e->dst_dtype)
        return BAD(v, "element operation %llu ends in another dtype", (unsigned long long)id);
    return WM_OK;
}

static bool
is_real(uint32_t dtype)
{
    return dtype == WM_DT_F16 || dtype == WM_DT_BF16 || dtype == WM_DT_F32 || dtype == WM_DT_F64;
}

static enum wm_status
verify_lowrank(struct verify *v, uint64_t id)
{
    const struct wm_plan_elem *e = &v->elem[id];

    if (!is_real(e->src_dtype) || !is_real(e->factor[0]) || !is_real(e->factor[1]) || e->mode > WM_LR_STEPWISE ||
        e->rank < 1 || e->rank > WM_LOWRANK_MAX || e->stride[0] < 0 || e->stride[1] < 0)
        return BAD(v, "element operation %llu", (unsigned long long)id);
    return verify_chain(v, id);
}

/* Products of float32: what does not fit one has lost something before. */
static enum wm_status
verify_scaled(struct verify *v, uint64_t id)
{
    const struct wm_plan_elem *e = &v->elem[id];

    if (!is_number(e->src_dtype) || wm_dtype_info[e->src_dtype].bits > 32 || !is_number(e->factor[0]) ||
        wm_dtype_info[e->factor[0]].kind != 'F' || wm_dtype_info[e->factor[0]].bits > 32 || e->factor[1])
        return BAD(v, "element operation %llu", (unsigned long long)id);
    return verify_chain(v, id);
}

static enum wm_status
verify_elems(struct verify *v)
{
    enum wm_status st;

    if (v->n[WM_PS_ELEM] == 0 || v->elem[0].kind != WM_EL_COPY)
        return BAD(v, "element operation 0 is not the copy");
    for (uint64_t i = 0; i < v->n[WM_PS_ELEM]; i++) {
        if (v->elem[i].kind > WM_EL_SCALED || !is_text(v, v->elem[i].note))
            return BAD(v, "element operation %llu", (unsigned long long)i);
        if (v->elem[i].kind == WM_EL_CHAIN && (st = verify_chain(v, i)) != WM_OK)
            return st;
        if (v->elem[i].kind == WM_EL_LOWRANK && (st = verify_lowrank(v, i)) != WM_OK)
            return st;
        if (v->elem[i].kind == WM_EL_SCALED && (st = verify_scaled(v, i)) != WM_OK)
            return st;
    }
    return WM_OK;
}

/* ---- geometries ---- */

/* Does the operation fit the number of operands and the unit?  What is it for? */
static bool
elem_fits(const struct verify *v, const struct wm_plan_box *b, uint32_t unit, uint8_t *use)
{
    static const struct {
        uint8_t nsrc, use;
    } rule[] = {
        [WM_EL_COPY] = {1, MAKES},   [WM_EL_FILL] = {0, 0},         [WM_EL_CHAIN] = {1, MAKES},
        [WM_EL_EQUAL] = {2, CHECKS}, [WM_EL_IS_FILL] = {1, CHECKS}, [WM_EL_LOWRANK] = {3, MAKES},
        [WM_EL_SCALED] = {2, MAKES},
    };
    const struct wm_plan_elem *e;

    if (b->elem >= v->n[WM_PS_ELEM])
        return false;
    e = &v->elem[b->elem];
    *use |= rule[e->kind].use;
    if (e->kind == WM_EL_LOWRANK && b->rank >= WM_PLAN_RANK) /* the sum is one dimension more */
        return false;
    return b->nsrc == rule[e->kind].nsrc &&
           ((e->kind != WM_EL_CHAIN && e->kind != WM_EL_LOWRANK && e->kind != WM_EL_SCALED) || e->dst_unit == unit);
}

/* Bounds of a box on all sides; adds to what is needed of its slots. */
static bool
box_bounds(const struct verify *v, const struct wm_plan_box *b, const struct wm_plan_geom *g,
           uint64_t *need, int64_t *count, int64_t *last)
{
    const struct wm_plan_dim *d = &v->dim[b->dim];
    const struct wm_plan_elem *e = &v->elem[b->elem];
    int64_t reach = 0, lo, hi, n = 1;

    for (uint32_t k = b->rank; k-- > 0;) {
        if (d[k].extent < 1 || d[k].dst <= reach || !wm_ck_mul(d[k].extent - 1, d[k].dst, &hi) ||
            !wm_ck_add(reach, hi, &reach) || !wm_ck_mul(n, d[k].extent, &n))
            return false;
    }
    if (b->dst_base < 0 || !wm_ck_add(b->dst_base, reach, last) || *last >= g->nunit)
        return false;
    for (uint32_t s = 0; s < b->nsrc; s++) {
        uint64_t bytes;

        if (b->slot[s] >= g->nslot)
            return false;
        lo = hi = b->src_base[s];
        for (uint32_t k = 0; k < b->rank; k++) {
            if (!wm_ck_mul(d[k].extent - 1, d[k].src[s], &reach) ||
                !wm_ck_add(reach < 0 ? lo : hi, reach, reach < 0 ? &lo : &hi))
                return false;
        }
        if (e->kind == WM_EL_LOWRANK && s > 0 && /* its sum steps through the operand, too */
            (!wm_ck_mul((int64_t)e->rank - 1, e->stride[s - 1], &reach) || !wm_ck_add(hi, reach, &hi)))
            return false;
        if (lo < 0 || hi == INT64_MAX ||
            !wm_ck_umul((uint64_t)hi + 1, wm_plan_src_unit(e, g->unit, s), &bytes))
            return false;
        if (bytes > need[b->slot[s]])
            need[b->slot[s]] = bytes;
    }
    *count = n;
    return true;
}

static void
box_nest(const struct verify *v, const struct wm_plan_box *b, struct wm_nest *x)
{
    wm_nest_init(x, b->dst_base);
    for (uint32_t k = 0; k < b->rank; k++)
        wm_nest_push(x, v->dim[b->dim + k].extent, v->dim[b->dim + k].dst);
}

static bool
emit_overlap(void *user, const struct wm_nest *x)
{
    *(int64_t *)user = x->key;
    return false;
}

/* The boxes are in bounds, ordered, and have the right number of units: now disjoint in pairs? */
static enum wm_status
verify_disjoint(struct verify *v, uint64_t id, const int64_t *lo, const int64_t *hi)
{
    const struct wm_plan_geom *g = &v->geom[id];
    int64_t at = -1;
    struct wm_nest_visit visit = {emit_overlap, &at, (UINT64_C(1) << 22) + 64 * g->nbox};
    struct wm_ranges r;
    struct wm_nest x, y;

    wm_ranges_init(&r, (uint32_t)g->nbox, lo, hi,
                   WM_NEW_N(v->a, int64_t, wm_ranges_room((uint32_t)g->nbox)));
    for (uint32_t i = 0; i < r.n; i++) {
        box_nest(v, &v->box[g->box + i], &x);
        for (uint32_t k = wm_ranges_next(&r, i + 1, lo[i]); k < r.n && lo[k] <= hi[i];
             k = wm_ranges_next(&r, k + 1, lo[i])) {
            box_nest(v, &v->box[g->box + k], &y);
            if (wm_nest_join(&x, &y, &visit))
                continue;
            if (at < 0)
                return wm_fail(v->err, WM_ELIMIT, NULL,
                               "plan: boxes of geometry %llu are too many to be checked",
                               (unsigned long long)id);
            return BAD(v, "unit %lld of geometry %llu is written twice", (long long)at,
                       (unsigned long long)id);
        }
    }
    return WM_OK;
}

static enum wm_status
verify_geom(struct verify *v, uint64_t id)
{
    const struct wm_plan_geom *g = &v->geom[id];
    int64_t total = 0, *lo, *hi;

    if (!wm_ck_range(g->box, g->nbox, v->n[WM_PS_BOX]) || g->nbox >= UINT32_MAX / 4 ||
        g->nunit < 0 || g->nslot > v->n[WM_PS_SLOT] || g->unit == 0 || g->unit > 16 ||
        (g->unit & (g->unit - 1)) != 0)
        return BAD(v, "geometry %llu is out of range", (unsigned long long)id);
    v->need[id] = WM_NEW_N(v->a, uint64_t, g->nslot);
    lo = WM_NEW_N(v->a, int64_t, g->nbox);
    hi = WM_NEW_N(v->a, int64_t, g->nbox);
    for (uint64_t i = 0; i < g->nbox; i++) {
        const struct wm_plan_box *b = &v->box[g->box + i];
        int64_t count;

        if (b->rank > WM_PLAN_RANK || !wm_ck_range(b->dim, b->rank, v->n[WM_PS_DIM]) ||
            b->nsrc > WM_PLAN_OPERANDS || !elem_fits(v, b, g->unit, &v->use[id]) ||
            !box_bounds(v, b, g, v->need[id], &count, &hi[i]) || !wm_ck_add(total, count, &total) ||
            (i > 0 && b->dst_base < lo[i - 1]))
            return BAD(v, "box %llu of geometry %llu", (unsigned long long)i,
                       (unsigned long long)id);
        lo[i] = b->dst_base;
    }
    if (total != g->nunit)
        return BAD(v, "geometry %llu writes %lld units of %lld", (unsigned long long)id,
                   (long long)total, (long long)g->nunit);
    return g->nbox > 1 ? verify_disjoint(v, id, lo, hi) : WM_OK;
}

/* ---- outputs ---- */

/* Bytes of one unit in the file; 0: it can't be written so. */
static uint32_t
encoded_unit(const struct wm_plan_out *o, uint32_t unit)
{
    const struct wm_codec_info *c;

    if (o->codec >= WM_CODEC_N || (o->file == WM_NONE && o->codec != WM_CODEC_RAW))
        return 0;
    c = &wm_codec_info[o->codec];
    if (!c->written)
        return 0;
    if (c->raw != c->plain)
        return unit == c->plain ? c->raw : 0;
    return unit % c->plain == 0 ? unit : 0;
}

static enum wm_status
verify_out(struct verify *v, uint64_t i)
{
    const struct wm_plan_out *o = &v->out[i];
    const struct wm_plan_geom *g;
    bool check = o->file == WM_NONE;
    uint64_t nbytes;
    uint32_t unit;

    if (!is_text(v, o->name) || !is_text(v, o->where) || o->dtype >= WM_DT_N ||
        o->rank > WM_PLAN_RANK || !wm_ck_range(o->shape, o->rank, v->n[WM_PS_SHAPE]) ||
        o->geom >= v->n[WM_PS_GEOM])
        return BAD(v, "output %llu is out of range", (unsigned long long)i);
    g = &v->geom[o->geom];
    unit = encoded_unit(o, g->unit);
    if (unit == 0 || !wm_ck_range(o->slot, g->nslot, v->n[WM_PS_SLOT]) ||
        (v->use[o->geom] & (check ? MAKES : CHECKS)) ||
        !wm_ck_umul((uint64_t)g->nunit, check ? 1 : unit, &nbytes) || nbytes != o->nbytes ||
        (check && o->off != 0))
        return BAD(v, "output '%.*s' does not fit its geometry",
                   WM_STR_ARG(wm_plan_str(v->p, o->name)));
    for (uint32_t s = 0; s < g->nslot; s++) {
        uint32_t in = v->slot[o->slot + s];

        if (in >= v->n[WM_PS_IN] || v->need[o->geom][s] > v->in[in].nbytes)
            return BAD(v, "output '%.*s' reads beyond an input",
                       WM_STR_ARG(wm_plan_str(v->p, o->name)));
    }
    return WM_OK;
}

/* Head, tensors, tail: one behind the other, to the end of the file. */
static enum wm_status
verify_file(struct verify *v, uint64_t id, uint64_t *next, uint64_t *total)
{
    const struct wm_plan_outfile *f = &v->outfile[id];
    uint64_t at = f->head.len;

    if (!is_blob(v, f->head) || !is_blob(v, f->tail) || f->first != *next ||
        !wm_ck_range(f->first, f->ntensor, v->n[WM_PS_OUT]))
        return BAD(v, "output file %llu is out of range", (unsigned long long)id);
    for (uint64_t i = f->first; i < f->first + f->ntensor; i++) {
        if (v->out[i].file != id || v->out[i].off != at || !wm_ck_uadd(at, v->out[i].nbytes, &at))
            return BAD(v, "output '%.*s' is not where its file has room",
                       WM_STR_ARG(wm_plan_str(v->p, v->out[i].name)));
        *total += v->out[i].nbytes;
    }
    if (!wm_ck_uadd(at, f->tail.len, &at) || at != f->size)
        return BAD(v, "file '%.*s' is not covered", WM_STR_ARG(wm_plan_str(v->p, f->name)));
    *next += f->ntensor;
    return WM_OK;
}

static enum wm_status
verify_outputs(struct verify *v)
{
    uint64_t next = 0, total = 0;
    enum wm_status st;

    for (uint64_t i = 0; i < v->n[WM_PS_OUT]; i++)
        if ((st = verify_out(v, i)) != WM_OK)
            return st;
    for (uint64_t i = 0; i < v->n[WM_PS_OUTFILE]; i++)
        if ((st = verify_file(v, i, &next, &total)) != WM_OK)
            return st;
    for (uint64_t i = next; i < v->n[WM_PS_OUT]; i++)
        if (v->out[i].file != WM_NONE)
            return BAD(v, "output '%.*s' is in no file",
                       WM_STR_ARG(wm_plan_str(v->p, v->out[i].name)));
    if (total != v->p->head->out_bytes)
        return BAD(v, "it writes %llu bytes, not %llu", (unsigned long long)total,
                   (unsigned long long)v->p->head->out_bytes);
    return WM_OK;
}

enum wm_status
wm_plan_open(struct wm_arena *scratch, const void *block, uint64_t size, struct wm_plan *out,
             struct wm_err *err)
{
    struct wm_plan p = {block};
    struct verify v = {.a = scratch, .p = &p, .err = err};
    enum wm_status st = verify_header(&v, block, size);

    if (st != WM_OK)
        return st;
    v.sections = wm_plan_view(&p);
    v.need = WM_NEW_N(scratch, uint64_t *, v.n[WM_PS_GEOM]);
    v.use = WM_NEW_N(scratch, uint8_t, v.n[WM_PS_GEOM]);
    if ((st = verify_names(&v)) != WM_OK || (st = verify_inputs(&v)) != WM_OK ||
        (st = verify_elems(&v)) != WM_OK)
        return st;
    for (uint64_t i = 0; i < v.n[WM_PS_GEOM]; i++)
        if ((st = verify_geom(&v, i)) != WM_OK)
            return st;
    if ((st = verify_outputs(&v)) != WM_OK || (st = wm_plan_verify_shared(&p, err)) != WM_OK ||
        (st = wm_plan_verify_sums(&p, scratch, err)) != WM_OK)
        return st;
    *out = p;
    return WM_OK;
}
