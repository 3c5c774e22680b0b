/* compiler/plan_input.c -- what a plan reads: files, stretches of them that are decoded, tensors.
 *
 * Enters: tensors of the manifest, by number.  Leaves: records of each that is used, once.  A tensor with a codec is a
 * virtual file of its own.  A view (a tensor with strides) is read through its strides, a tensor in parts through them:
 * they become boxes between the geometry and what is stored. */
#include <stdlib.h>

#include "base/checked.h"
#include "compiler/plan_build.h"
#include "runtime/manifest_plan.h"

void
wm_build_inputs_init(struct wm_build *b)
{
    const struct wm_manifest *m = b->g->manifest;

    b->file_of = WM_NEW_N(b->cc->a, uint32_t, m->file.n);
    memset(b->file_of, 0xff, m->file.n * sizeof(*b->file_of));
    b->in_of = WM_NEW_N(b->cc->a, uint32_t, m->tensor.n);
    memset(b->in_of, 0xff, m->tensor.n * sizeof(*b->in_of));
    b->like = WM_NONE;
}

static uint32_t
file_of(struct wm_build *b, uint32_t file)
{
    if (b->file_of[file] == WM_NONE)
        b->file_of[file] = wm_plan_add_mfile(&b->pb, &b->g->manifest->file.item[file]);
    return b->file_of[file];
}

/* The first IN of tensor t; those of its other parts follow. */
static uint32_t
inputs_of(struct wm_build *b, uint32_t t)
{
    const struct wm_mtensor *mt = &b->g->manifest->tensor.item[t];

    if (b->in_of[t] != WM_NONE)
        return b->in_of[t];
    for (uint32_t k = 0; k < wm_mtensor_nslot(mt); k++) {
        uint32_t in = wm_plan_add_mtensor(&b->pb, mt, k, file_of(b, wm_mtensor_slot(mt, k)->file));

        b->in_of[t] = k ? b->in_of[t] : in;
    }
    b->pb.in_bytes += mt->nbytes;
    return b->in_of[t];
}

uint32_t
wm_build_slots(struct wm_build *b, uint32_t t)
{
    uint32_t in = inputs_of(b, t), n = wm_mtensor_nslot(&b->g->manifest->tensor.item[t]), first = 0;

    for (uint32_t k = 0; k < n; k++, in++) {
        uint32_t at = (uint32_t)wm_plan_add(&b->pb, WM_PS_SLOT, &in, sizeof(in), 1);

        first = k ? first : at;
    }
    return first;
}

/* ---- views and parts ---- */

static const struct wm_mtensor *
operand(const struct wm_build *b, const struct wm_make *mk, uint32_t slot)
{
    return &b->g->manifest->tensor.item[b->g->stage->slot.item[mk->slot + slot]];
}

uint32_t
wm_build_nslot(const struct wm_build *b, const struct wm_make *mk, uint32_t nslot)
{
    uint32_t n = 0;

    for (uint32_t s = 0; s < nslot; s++)
        n += wm_mtensor_nslot(operand(b, mk, s));
    return n;
}

void
wm_build_views_key(struct wm_build *b, const struct wm_make *mk, uint32_t nslot)
{
    for (uint32_t s = 0; s < nslot; s++) {
        const struct wm_mtensor *t = operand(b, mk, s);
        int64_t head[3] = {s, t->rank, t->store->npart};

        if (wm_mtensor_is_plain(t))
            continue;
        wm_build_key(b, head, sizeof(head));
        wm_build_key(b, t->shape, t->rank * sizeof(*t->shape));
        for (uint32_t k = 0; k < wm_mtensor_nslot(t); k++) {
            const struct wm_mtensor *p = wm_mtensor_slot(t, k);

            wm_build_key(b, p->shape, p->rank * sizeof(*p->shape));
            wm_build_key(b, &(char){p->store->stride != NULL}, 1);
            if (p->store->stride)
                wm_build_key(b, p->store->stride, p->rank * sizeof(*p->store->stride));
            if (t->store->npart)
                wm_build_key(b, t->store->part[k].at, p->rank * sizeof(*t->store->part[k].at));
        }
    }
}

/* From what is stored in `slot` to part k of the tensor. */
static void
add_slot(struct wm_imap *m, const struct wm_mtensor *t, uint32_t k, uint32_t slot)
{
    const struct wm_mtensor *p = wm_mtensor_slot(t, k);
    struct wm_dim dim[WM_MAX_RANK] = {{0}};
    struct wm_box box = {.nsrc = 1, .rank = (uint16_t)t->rank, .slot = {slot}};
    int64_t dst = 1, src = 1;

    if (p->nbytes == 0)
        return;
    for (uint32_t d = t->rank; d-- > 0;) {
        dim[d] = (struct wm_dim){.extent = p->shape[d], .dst = dst, .src = {p->store->stride ? p->store->stride[d] : src}};
        if (t->store->npart)
            box.dst_base += t->store->part[k].at[d] * dst;
        dst *= t->shape[d];
        src *= p->shape[d];
    }
    wm_imap_add(m, &box, dim);
}

bool
wm_build_through_views(struct wm_build *b, const struct wm_make *mk, uint32_t nslot, const struct wm_imap *m,
                       struct wm_imap *out)
{
    struct wm_imap *inner = WM_NEW_N(b->cc->a, struct wm_imap, nslot);
    uint32_t slot = 0;

    for (uint32_t s = 0; s < nslot; s++) {
        const struct wm_mtensor *t = operand(b, mk, s);

        wm_imap_init(&inner[s], b->cc->a);
        for (uint32_t k = 0; k < wm_mtensor_nslot(t); k++)
            add_slot(&inner[s], t, k, slot++);
        wm_imap_canon(&inner[s]);
    }
    return wm_imap_compose(m, inner, nslot, NULL, NULL, out);
}

/* ---- tensors with the same bytes ---- */

/* Does each tensor begin at another place, in order?  Then none has the bytes of another. */
static bool
all_apart(const struct wm_manifest *m)
{
    for (uint32_t i = 0; i < m->tensor.n; i++) {
        const struct wm_mtensor *t = &m->tensor.item[i], *last = t - (i > 0);

        if (t->store->npart || t->file < last->file)
            return false;
        if (i > 0 && t->file == last->file && (t->off < last->off || (t->off == last->off && last->nbytes)))
            return false;
    }
    return true;
}

/* Tensors by what they are read from; equal ones by number. */
static int
by_storage(const void *pa, const void *pb, void *manifest)
{
    const struct wm_manifest *m = manifest;
    uint32_t i = *(const uint32_t *)pa, k = *(const uint32_t *)pb;
    int c = wm_mtensor_cmp_storage(&m->tensor.item[i], &m->tensor.item[k]);

    return c ? c : (i > k) - (i < k);
}

static void
find_same(struct wm_build *b)
{
    const struct wm_manifest *m = b->g->manifest;
    uint32_t *order, first = 0;

    b->same = WM_NEW_N(b->cc->a, uint32_t, m->tensor.n);
    for (uint32_t i = 0; i < m->tensor.n; i++)
        b->same[i] = i;
    if (all_apart(m))
        return;
    order = wm_arena_alone(b->cc->a, m->tensor.n * sizeof(*order));
    for (uint32_t i = 0; i < m->tensor.n; i++)
        order[i] = i;
    qsort_r(order, m->tensor.n, sizeof(*order), by_storage, (void *)(uintptr_t)m);
    for (uint32_t i = 0; i < m->tensor.n; i++) {
        const struct wm_mtensor *t = &m->tensor.item[order[i]];

        if (i == 0 || wm_mtensor_cmp_storage(&m->tensor.item[order[i - 1]], t) != 0)
            first = order[i];
        /* a container in parts stores each name on its own */
        b->same[order[i]] = t->nbytes && !t->store->npart ? first : order[i];
    }
    wm_arena_drop(b->cc->a, order);
}

uint32_t
wm_build_same(struct wm_build *b, uint32_t t)
{
    if (!b->same)
        find_same(b);
    return b->same[t];
}

/* ---- check sums ---- */

static int
by_place(const void *pa, const void *pb)
{
    const struct wm_msum *a = pa, *b = pb;

    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    return a->lo < b->lo ? -1 : a->lo > b->lo;
}

/* Mark the sums that a tensor's bytes belong to.  Entries of a container do not overlap. */
static void
mark(const struct wm_msum *sum, uint32_t n, const struct wm_mtensor *t, bool *used)
{
    uint64_t size = t->store->codec != WM_CODEC_RAW ? t->store->raw : wm_mtensor_span(t);
    uint32_t a = 0, b = n;

    while (a < b) {
        uint32_t mid = a + (b - a) / 2;

        if (sum[mid].file < t->file || (sum[mid].file == t->file && sum[mid].hi <= t->off))
            a = mid + 1;
        else
            b = mid;
    }
    for (; a < n && sum[a].file == t->file && (sum[a].lo <= t->off || sum[a].lo - t->off < size); a++)
        used[a] = size > 0;
}

void
wm_build_insums(struct wm_build *b)
{
    const struct wm_manifest *m = b->g->manifest;
    struct wm_msum *sum = WM_NEW_N(b->cc->a, struct wm_msum, m->sum.n);
    bool *used = WM_NEW_N(b->cc->a, bool, m->sum.n);

    if (m->sum.n == 0)
        return;
    memcpy(sum, m->sum.item, m->sum.n * sizeof(*sum));
    qsort(sum, m->sum.n, sizeof(*sum), by_place);
    for (uint32_t t = 0; t < m->tensor.n; t++)
        for (uint32_t k = 0; b->in_of[t] != WM_NONE && k < wm_mtensor_nslot(&m->tensor.item[t]); k++)
            mark(sum, m->sum.n, wm_mtensor_slot(&m->tensor.item[t], k), used);
    for (uint32_t i = 0; i < m->sum.n; i++) {
        struct wm_plan_insum rec = {.crc = sum[i].crc, .lo = sum[i].lo, .hi = sum[i].hi};

        if (!used[i])
            continue;
        rec.file = file_of(b, sum[i].file);
        rec.name = wm_plan_add_text(&b->pb, sum[i].name);
        wm_plan_add(&b->pb, WM_PS_INSUM, &rec, sizeof(rec), 1);
    }
}
