/* runtime/plan.c -- plan blocks: made from growing sections, read by section and index.
 *
 * Layout: the header, then the sections, BLOB first, each 8-byte aligned.  What a block must fulfil is
 * checked by runtime/plan_verify.c before anything else looks at it. */
#include "runtime/plan.h"

#include <string.h>

#include "base/checked.h"

const uint32_t wm_plan_record[WM_PS_N] = {
    [WM_PS_STRINGS] = 1,
    [WM_PS_INFILE] = sizeof(struct wm_plan_infile),
    [WM_PS_OUTFILE] = sizeof(struct wm_plan_outfile),
    [WM_PS_IN] = sizeof(struct wm_plan_in),
    [WM_PS_OUT] = sizeof(struct wm_plan_out),
    [WM_PS_GEOM] = sizeof(struct wm_plan_geom),
    [WM_PS_BOX] = sizeof(struct wm_plan_box),
    [WM_PS_DIM] = sizeof(struct wm_plan_dim),
    [WM_PS_SLOT] = sizeof(uint32_t),
    [WM_PS_ELEM] = sizeof(struct wm_plan_elem),
    [WM_PS_STEP] = sizeof(struct wm_plan_step),
    [WM_PS_SHAPE] = sizeof(int64_t),
    [WM_PS_BLOB] = 1,
    [WM_PS_SIDECAR] = sizeof(struct wm_plan_sidecar),
    [WM_PS_SHARED] = sizeof(struct wm_plan_shared),
    [WM_PS_SUM] = sizeof(struct wm_plan_sum),
    [WM_PS_INSUM] = sizeof(struct wm_plan_insum),
};

const void *
wm_plan_section(const struct wm_plan *p, enum wm_plan_section s, uint64_t *count)
{
    if (count)
        *count = p->head->section[s].count;
    return (const char *)p->head + p->head->section[s].off;
}

struct wm_plan_view
wm_plan_view(const struct wm_plan *p)
{
    struct wm_plan_view v;

    v.infile = wm_plan_section(p, WM_PS_INFILE, &v.ninfile);
    v.outfile = wm_plan_section(p, WM_PS_OUTFILE, &v.noutfile);
    v.in = wm_plan_section(p, WM_PS_IN, &v.nin);
    v.out = wm_plan_section(p, WM_PS_OUT, &v.nout);
    v.geom = wm_plan_section(p, WM_PS_GEOM, &v.ngeom);
    v.box = wm_plan_section(p, WM_PS_BOX, &v.nbox);
    v.dim = wm_plan_section(p, WM_PS_DIM, NULL);
    v.slot = wm_plan_section(p, WM_PS_SLOT, NULL);
    v.elem = wm_plan_section(p, WM_PS_ELEM, &v.nelem);
    v.step = wm_plan_section(p, WM_PS_STEP, NULL);
    v.shape = wm_plan_section(p, WM_PS_SHAPE, NULL);
    v.blob = wm_plan_section(p, WM_PS_BLOB, NULL);
    v.sidecar = wm_plan_section(p, WM_PS_SIDECAR, &v.nsidecar);
    v.shared = wm_plan_section(p, WM_PS_SHARED, &v.nshared);
    v.sum = wm_plan_section(p, WM_PS_SUM, &v.nsum);
    v.insum = wm_plan_section(p, WM_PS_INSUM, &v.ninsum);
    return v;
}

struct wm_str
wm_plan_str(const struct wm_plan *p, struct wm_plan_text t)
{
    const char *text = wm_plan_section(p, WM_PS_STRINGS, NULL);

    return (struct wm_str){text + t.off, t.len};
}

const uint8_t *
wm_plan_blob(const struct wm_plan *p, struct wm_plan_bytes b)
{
    const uint8_t *blob = wm_plan_section(p, WM_PS_BLOB, NULL);

    return blob + b.off;
}

uint32_t
wm_plan_src_unit(const struct wm_plan_elem *e, uint32_t unit, uint32_t s)
{
    bool computed = e->kind == WM_EL_CHAIN || e->kind == WM_EL_LOWRANK || e->kind == WM_EL_SCALED;

    if (computed && s > 0)
        return wm_dtype_info[e->factor[s - 1]].bits / 8u;
    return computed ? e->src_unit : unit;
}

/* Of a view, the dims by descending strides: each takes what is left as often as it fits. */
static void
view_index(const int64_t *shape, const int64_t *stride, uint32_t rank, int64_t at, int64_t *index)
{
    uint64_t done = 0;

    memset(index, 0, rank * sizeof(*index));
    for (uint32_t n = 0; n < rank; n++) {
        uint32_t best = WM_NONE;

        for (uint32_t k = 0; k < rank; k++)
            if (!(done >> k & 1) && (best == WM_NONE || stride[k] > stride[best]))
                best = k;
        done |= UINT64_C(1) << best;
        if (stride[best] <= 0)
            continue;
        index[best] = at / stride[best] < shape[best] ? at / stride[best] : shape[best] - 1;
        at -= index[best] * stride[best];
    }
}

void
wm_plan_index(const struct wm_plan *p, const struct wm_plan_in *in, int64_t at, int64_t *index)
{
    const int64_t *shape = wm_plan_section(p, WM_PS_SHAPE, NULL);

    if (in->stride != WM_NONE)
        view_index(shape + in->shape, shape + in->stride, in->rank, at, index);
    for (uint32_t k = in->stride == WM_NONE ? in->rank : 0; k-- > 0;) {
        int64_t e = shape[in->shape + k];

        index[k] = e > 0 ? at % e : 0;
        at = e > 0 ? at / e : 0;
    }
    for (uint32_t k = 0; in->origin != WM_NONE && k < in->rank; k++)
        index[k] += shape[in->origin + k];
}

/* ---- making ---- */

void
wm_plan_builder_init(struct wm_plan_builder *b, struct wm_arena *a)
{
    memset(b, 0, sizeof(*b));
    b->a = a;
    wm_map_init(&b->shapes, a, 16);
}

/* Room for a section of n bytes. */
static void
reserve(struct wm_plan_builder *b, enum wm_plan_section s, uint64_t n)
{
    uint64_t lead = s == WM_PS_BLOB ? sizeof(struct wm_plan_header) : 0, cap;
    char *p = b->section[s].p;

    if (!wm_ck_uadd(n, n < 256 ? 256 : n / (n < 65536 ? 2 : 4), &cap) || cap > SIZE_MAX - lead)
        cap = SIZE_MAX - lead; /* the arena's hook answers */
    p = wm_arena_grow(b->a, p ? p - lead : NULL, p ? lead + b->section[s].n : 0, lead + cap, 1);
    b->section[s].p = p + lead;
    b->section[s].cap = cap;
}

uint64_t
wm_plan_add(struct wm_plan_builder *b, enum wm_plan_section s, const void *rec, uint64_t size,
            uint64_t count)
{
    uint64_t first = b->section[s].n / size, n;

    if (!wm_ck_umul(size, count, &n) || !wm_ck_uadd(n, b->section[s].n, &n))
        n = UINT64_MAX;
    if (n > b->section[s].cap)
        reserve(b, s, n);
    if (n > b->section[s].n)
        memcpy(b->section[s].p + b->section[s].n, rec, n - b->section[s].n);
    b->section[s].n = n;
    return first;
}

uint32_t
wm_plan_add_shape(struct wm_plan_builder *b, const int64_t *shape, uint32_t rank)
{
    struct wm_str bytes = {(const char *)shape, rank * sizeof(*shape)};
    uint32_t at = wm_map_get(&b->shapes, bytes);

    if (at != WM_NONE)
        return at;
    at = (uint32_t)wm_plan_add(b, WM_PS_SHAPE, shape, sizeof(*shape), rank);
    return wm_map_put(&b->shapes, wm_arena_str(b->a, bytes), at);
}

struct wm_plan_text
wm_plan_add_text(struct wm_plan_builder *b, struct wm_str s)
{
    return (struct wm_plan_text){(uint32_t)wm_plan_add(b, WM_PS_STRINGS, s.p, 1, s.n),
                                 (uint32_t)s.n};
}

struct wm_plan_bytes
wm_plan_add_bytes(struct wm_plan_builder *b, const void *p, uint64_t n)
{
    return (struct wm_plan_bytes){wm_plan_add(b, WM_PS_BLOB, p, 1, n), n};
}

/* A section behind what the block has; its old place goes, from its end on, so that there are never two of it. */
static void
append(struct wm_plan_builder *b, struct wm_plan_header *h, enum wm_plan_section s, char *block)
{
    enum { STEP = 1 << 20 };
    uint64_t n = b->section[s].n, at = s == WM_PS_BLOB ? 0 : n, from;

    h->section[s].off = h->size;
    h->section[s].count = n / wm_plan_record[s];
    for (; at > 0; at = from) {
        from = at > STEP ? at - STEP : 0;
        memcpy(block + h->size + from, b->section[s].p + from, at - from);
        wm_arena_cut(b->a, b->section[s].p, from);
    }
    memset(block + h->size + n, 0, (8 - n % 8) % 8);
    h->size += (n + 7) / 8 * 8;
    if (s != WM_PS_BLOB)
        wm_arena_drop(b->a, b->section[s].p);
}

void *
wm_plan_finish(struct wm_plan_builder *b, uint64_t *size)
{
    struct wm_plan_header h = {.magic = "wmplan\0\2",
                               .version = WM_PLAN_VERSION,
                               .size = sizeof(h),
                               .out_bytes = b->out_bytes,
                               .in_bytes = b->in_bytes};
    uint64_t all = 0; /* no sum of these is more than memory has */
    char *block;

    for (int s = 0; s < WM_PS_N; s++)
        all += (b->section[s].n + 7) / 8 * 8;
    reserve(b, WM_PS_BLOB, all);
    block = b->section[WM_PS_BLOB].p - sizeof(h);
    append(b, &h, WM_PS_BLOB, block);
    for (int s = 0; s < WM_PS_N; s++)
        if (s != WM_PS_BLOB)
            append(b, &h, (enum wm_plan_section)s, block);
    memcpy(block, &h, sizeof(h));
    memset(b->section, 0, sizeof(b->section));
    *size = h.size;
    return block;
}
