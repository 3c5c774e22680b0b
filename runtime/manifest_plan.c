/* runtime/manifest_plan.c -- see manifest_plan.h.
 *
 * In: what a container's reader listed, checked or not.  Out: records; what is out of bounds is left to the verifier of
 * plans. */
#include "runtime/manifest_plan.h"

#include "base/checked.h"
#include "runtime/codec.h"

uint64_t
wm_mtensor_span(const struct wm_mtensor *t)
{
    const int64_t *stride = t->store->stride;
    uint64_t last = 0, reach, bits;

    if (!stride)
        return t->nbytes;
    for (uint32_t k = 0; k < t->rank; k++)
        if (t->shape[k] == 0)
            return 0;
    for (uint32_t k = 0; k < t->rank; k++)
        if (stride[k] < 0 || !wm_ck_umul((uint64_t)t->shape[k] - 1, (uint64_t)stride[k], &reach) ||
            !wm_ck_uadd(last, reach, &last))
            return UINT64_MAX;
    return wm_ck_uadd(last, 1, &last) && wm_ck_umul(last, wm_dtype_info[t->dtype].bits, &bits) ? (bits + 7) / 8
                                                                                              : UINT64_MAX;
}

#define CMP(x, y) ((x) > (y)) - ((x) < (y))

int
wm_mtensor_cmp_storage(const struct wm_mtensor *a, const struct wm_mtensor *b)
{
    const struct wm_mstore *x = a->store, *y = b->store;
    int c;

    if ((c = CMP(a->file, b->file)) || (c = CMP(a->off, b->off)) || (c = CMP(a->nbytes, b->nbytes)) ||
        (c = CMP(a->dtype, b->dtype)) || (c = CMP(x->codec, y->codec)) || (c = CMP(x->npart, y->npart)) ||
        (c = CMP(x->stride != NULL, y->stride != NULL)) || !x->stride)
        return c;
    if ((c = CMP(a->rank, b->rank)) || (c = memcmp(a->shape, b->shape, a->rank * sizeof(*a->shape))))
        return c;
    return memcmp(x->stride, y->stride, a->rank * sizeof(*x->stride));
}

#undef CMP

uint32_t
wm_plan_add_mfile(struct wm_plan_builder *b, const struct wm_mfile *f)
{
    struct wm_plan_infile rec = {.size = f->size, .nbytes = f->size, .mtime_sec = f->mtime_sec,
                                 .mtime_nsec = f->mtime_nsec, .flags = f->stream ? WM_INFILE_STREAM : 0};

    rec.path = wm_plan_add_text(b, f->path);
    return (uint32_t)wm_plan_add(b, WM_PS_INFILE, &rec, sizeof(rec), 1);
}

/* The stretch that holds a tensor, as a file of its decoded bytes. */
static uint32_t
add_stretch(struct wm_plan_builder *b, const struct wm_mtensor *t, uint32_t file, uint64_t nbytes)
{
    const struct wm_mstore *s = t->store;
    const struct wm_codec_info *c = &wm_codec_info[s->codec];
    struct wm_plan_infile rec = {.codec = s->codec, .of = file, .lo = t->off, .len = s->raw};

    rec.nbytes = c->raw ? s->raw / c->raw * c->plain : nbytes;
    rec.index = wm_plan_add_bytes(b, s->index, s->nindex * sizeof(*s->index));
    return (uint32_t)wm_plan_add(b, WM_PS_INFILE, &rec, sizeof(rec), 1);
}

uint32_t
wm_plan_add_mtensor(struct wm_plan_builder *b, const struct wm_mtensor *whole, uint32_t k, uint32_t file)
{
    const struct wm_mtensor *t = wm_mtensor_slot(whole, k);
    struct wm_plan_in rec = {.dtype = t->dtype, .file = file, .off = t->off, .rank = t->rank, .stride = WM_NONE,
                             .origin = WM_NONE};

    rec.nbytes = wm_mtensor_span(t);
    if (t->store->codec != WM_CODEC_RAW) {
        rec.file = add_stretch(b, t, file, rec.nbytes);
        rec.off = 0;
    }
    rec.name = wm_plan_add_text(b, whole->name);
    rec.shape = wm_plan_add_shape(b, t->shape, t->rank);
    if (t->store->stride)
        rec.stride = wm_plan_add_shape(b, t->store->stride, t->rank);
    if (whole->store->npart > 1)
        rec.origin = wm_plan_add_shape(b, whole->store->part[k].at, t->rank);
    return (uint32_t)wm_plan_add(b, WM_PS_IN, &rec, sizeof(rec), 1);
}

/* ---- a plan of tensors as they are ---- */

/* The box that brings slot k of a tensor into it.  Elements of less than a byte count as bytes; they lie in order. */
static void
add_box(struct wm_plan_builder *b, const struct wm_mtensor *t, uint32_t k)
{
    uint32_t per = wm_dtype_info[t->dtype].bits < 8 ? 8 / wm_dtype_info[t->dtype].bits : 1;
    const struct wm_mtensor *s = wm_mtensor_slot(t, k);
    struct wm_plan_box box = {.nsrc = 1, .slot = {k}, .rank = t->rank};
    struct wm_plan_dim dim[WM_MAX_RANK] = {{0}};
    int64_t dst = 1, src = 1;

    for (uint32_t d = t->rank; d-- > 0;) {
        int64_t unit = d + 1 == t->rank ? per : 1;

        dim[d] = (struct wm_plan_dim){.extent = s->shape[d] / unit, .dst = dst,
                                      .src = {s->store->stride ? s->store->stride[d] : src}};
        if (t->store->npart)
            box.dst_base += t->store->part[k].at[d] / unit * dst;
        dst *= t->shape[d] / unit;
        src *= s->shape[d] / unit;
    }
    box.dim = wm_plan_add(b, WM_PS_DIM, dim, sizeof(*dim), box.rank);
    wm_plan_add(b, WM_PS_BOX, &box, sizeof(box), 1);
}

/* A copy of n units. */
static void
add_run(struct wm_plan_builder *b, int64_t n)
{
    struct wm_plan_box box = {.nsrc = 1, .rank = 1};
    struct wm_plan_dim dim = {.extent = n, .dst = 1, .src = {1}};

    box.dim = wm_plan_add(b, WM_PS_DIM, &dim, sizeof(dim), 1);
    wm_plan_add(b, WM_PS_BOX, &box, sizeof(box), 1);
}

/* From what is stored to the tensor; no box where it is empty. */
static uint32_t
add_geometry(struct wm_plan_builder *b, const struct wm_mtensor *t)
{
    uint32_t bits = wm_dtype_info[t->dtype].bits;
    struct wm_plan_geom g = {.nslot = wm_mtensor_nslot(t), .unit = bits < 8 ? 1 : bits / 8};

    g.nunit = (int64_t)(t->nbytes / g.unit);
    g.box = b->section[WM_PS_BOX].n / sizeof(struct wm_plan_box);
    if (g.nunit) {
        g.nbox = g.nslot;
        for (uint32_t k = 0; k < g.nslot && !wm_mtensor_is_plain(t); k++)
            add_box(b, t, k);
        if (wm_mtensor_is_plain(t))
            add_run(b, g.nunit);
    }
    return (uint32_t)wm_plan_add(b, WM_PS_GEOM, &g, sizeof(g), 1);
}

/* An OUT that is tensor t as it is, at `off`. */
static enum wm_status
add_whole(struct wm_plan_builder *b, const struct wm_manifest *m, const struct wm_mtensor *t, uint64_t off,
          struct wm_err *err)
{
    struct wm_plan_out o = {.dtype = t->dtype, .off = off, .nbytes = t->nbytes, .rank = t->rank};

    for (uint32_t k = 0; k < wm_mtensor_nslot(t); k++) {
        const struct wm_mtensor *s = wm_mtensor_slot(t, k);
        uint32_t in, at;

        if (s->store->stride && wm_dtype_info[t->dtype].bits < 8)
            return wm_fail(err, WM_ESUPPORT, m->file.item[s->file].path.p,
                           "tensor \"%.*s\" is a view of elements of less than a byte", WM_STR_ARG(t->name));
        in = wm_plan_add_mtensor(b, t, k, s->file);
        at = (uint32_t)wm_plan_add(b, WM_PS_SLOT, &in, sizeof(in), 1);
        o.slot = k ? o.slot : at;
    }
    o.name = wm_plan_add_text(b, t->name);
    o.shape = wm_plan_add_shape(b, t->shape, t->rank);
    o.geom = add_geometry(b, t);
    wm_plan_add(b, WM_PS_OUT, &o, sizeof(o), 1);
    return WM_OK;
}

enum wm_status
wm_plan_of_tensors(struct wm_arena *a, const struct wm_manifest *m, const uint32_t *id, uint32_t n,
                   struct wm_plan *out, struct wm_err *err)
{
    struct wm_plan_elem copy = {.kind = WM_EL_COPY};
    struct wm_plan_outfile f = {.ntensor = n};
    struct wm_plan_builder b;
    enum wm_status st = WM_OK;
    uint64_t size;
    void *block;

    wm_plan_builder_init(&b, a);
    wm_plan_add(&b, WM_PS_ELEM, &copy, sizeof(copy), 1);
    for (uint32_t i = 0; i < m->file.n; i++)
        wm_plan_add_mfile(&b, &m->file.item[i]);
    /* files with a codec are numbered behind */
    for (uint32_t i = 0; st == WM_OK && i < n; i++) {
        st = add_whole(&b, m, &m->tensor.item[id[i]], f.size, err);
        f.size += m->tensor.item[id[i]].nbytes;
    }
    if (st != WM_OK)
        return st;
    b.out_bytes = f.size;
    f.name = wm_plan_add_text(&b, WM_STR("tensors"));
    wm_plan_add(&b, WM_PS_OUTFILE, &f, sizeof(f), 1);
    block = wm_plan_finish(&b, &size);
    return wm_plan_open(a, block, size, out, err);
}
