/* compiler/plan_file.c -- an output file as its format lays it out: tensors, what lies between them, check sums.
 *
 * Enters: the tensors of a file.  Leaves: its records, in the order of the file.  Tensors that are made alike of the
 * same bytes are offered to the format as one storage with several names; what lies between tensors is read from the
 * plan's constants, or from the template, like any input. */
#include "base/sort.h"
#include "compiler/plan_build.h"
#include "runtime/manifest_plan.h"

/* ---- tensors that could share their bytes ---- */

/* The first input of a tensor of the file; of those with the same bytes one; WM_NONE: it is made of nothing. */
static uint32_t
first_input(struct wm_build *b, const struct wm_wtensor *t)
{
    const struct wm_make *mk = &b->g->stage->make.item[t->user];

    return b->g->geom.item[mk->geom].nslot ? wm_build_same(b, b->g->stage->slot.item[mk->slot]) : WM_NONE;
}

static void
find_shared(struct wm_build *b, struct wm_arena *tmp, struct wm_wtensor *t, uint32_t n)
{
    struct wm_map seen;

    wm_map_init(&seen, tmp, 16);
    if (!b->uses)
        b->uses = WM_NEW_N(b->cc->a, uint32_t, b->g->manifest->tensor.n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t in = first_input(b, &t[i]);

        if (in != WM_NONE)
            b->uses[in]++;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct wm_make *mk = &b->g->stage->make.item[t[i].user];
        uint32_t nslot = b->g->geom.item[mk->geom].nslot, first, head = first_input(b, &t[i]);
        int64_t key[3] = {mk->geom, mk->nunit, t[i].dtype};

        if (t[i].nbytes == 0 || (head != WM_NONE && b->uses[head] == 1)) /* no other begins with the same input */
            continue;
        for (uint32_t s = 0; s < nslot; s++) /* makes b->sig, too */
            wm_build_same(b, b->g->stage->slot.item[mk->slot + s]);
        b->sig.n = 0;
        wm_build_key(b, key, sizeof(key));
        for (uint32_t s = 0; s < nslot; s++) {
            uint32_t in = wm_build_same(b, b->g->stage->slot.item[mk->slot + s]);

            wm_build_key(b, &in, sizeof(in));
        }
        first = wm_map_put(&seen, wm_arena_str(tmp, wm_buf_str(&b->sig)), t[i].user);
        if (first != t[i].user)
            t[i].same = first;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t in = first_input(b, &t[i]);

        if (in != WM_NONE)
            b->uses[in] = 0;
    }
}

/* ---- where they come from ---- */

static void
find_sources(struct wm_build *b, struct wm_wtensor *t, uint32_t n)
{
    const struct wm_manifest *m = b->g->manifest;

    for (uint32_t i = 0; i < n; i++) {
        const struct wm_make *mk = &b->g->stage->make.item[t[i].user];
        const struct wm_mtensor *from;

        t[i].from_file = WM_NONE;
        t[i].from = 0;
        if (b->g->geom.item[mk->geom].nslot == 0)
            continue;
        from = &m->tensor.item[b->g->stage->slot.item[mk->slot]];
        t[i].from_file = from->file;
        t[i].from = from->off;
    }
}

/* Bytes before the first tensor of an input of one file. */
static uint64_t
head_room(const struct wm_manifest *m)
{
    uint64_t room = m->file.n ? m->file.item[0].size : 0;

    for (uint32_t i = 0; i < m->tensor.n; i++)
        room = m->tensor.item[i].off < room ? m->tensor.item[i].off : room;
    return room;
}

/* ---- one behind the other ---- */

struct part {
    uint64_t off, len;
    const struct wm_wtensor *tensor; /* or */
    const struct wm_wpiece *piece;
};

static int
by_offset(const void *pa, const void *pb)
{
    const struct part *a = pa, *b = pb;

    if (a->off != b->off)
        return a->off < b->off ? -1 : 1;
    return a->len < b->len ? -1 : a->len > b->len;
}

/* The constants of all pieces as one file; pieces lie in it in their order. */
static uint32_t
constants(struct wm_build *b, const struct wm_wfile *w)
{
    struct wm_plan_infile rec = {.codec = WM_CODEC_BLOB, .lo = b->pb.section[WM_PS_BLOB].n};

    for (uint32_t i = 0; i < w->piece.n; i++)
        if (w->piece.item[i].bytes)
            rec.len += wm_plan_add_bytes(&b->pb, w->piece.item[i].bytes, w->piece.item[i].len).len;
    rec.nbytes = rec.len;
    return rec.len ? (uint32_t)wm_plan_add(&b->pb, WM_PS_INFILE, &rec, sizeof(rec), 1) : WM_NONE;
}

/* `at`: where in the constants its bytes are. */
static bool
add_piece(struct wm_build *b, const struct wm_wpiece *p, uint32_t file, uint32_t blob, uint64_t at)
{
    const struct wm_make mk = {.geom = WM_GEOM_IDENTITY, .nunit = (int64_t)p->len};
    struct wm_plan_in in = {.file = blob, .dtype = WM_DT_U8, .off = at, .nbytes = p->len, .rank = 1,
                            .stride = WM_NONE, .origin = WM_NONE};
    struct wm_plan_out out = {.file = file, .dtype = WM_DT_U8, .off = p->off, .nbytes = p->len, .rank = 1};
    uint32_t id;

    if (!p->bytes) {
        if (b->like == WM_NONE)
            b->like = wm_plan_add_mfile(&b->pb, &b->o->like->file.item[0]);
        in.file = b->like;
        in.off = p->from;
    }
    in.shape = out.shape = wm_plan_add_shape(&b->pb, &mk.nunit, 1);
    id = (uint32_t)wm_plan_add(&b->pb, WM_PS_IN, &in, sizeof(in), 1);
    out.slot = (uint32_t)wm_plan_add(&b->pb, WM_PS_SLOT, &id, sizeof(id), 1);
    if (!wm_build_bytes_geometry(b, mk.nunit, &out.geom))
        return false;
    wm_plan_add(&b->pb, WM_PS_OUT, &out, sizeof(out), 1);
    b->pb.out_bytes += p->len;
    return true;
}

static void
add_shared(struct wm_build *b, const struct wm_wtensor *t, uint64_t of)
{
    struct wm_plan_shared rec = {.of = of, .rank = t->rank};

    rec.name = wm_plan_add_text(&b->pb, t->name);
    rec.shape = wm_plan_add_shape(&b->pb, t->shape, t->rank);
    rec.where = wm_build_where(b, &b->g->stage->make.item[t->user]);
    wm_plan_add(&b->pb, WM_PS_SHARED, &rec, sizeof(rec), 1);
}

static int
by_lo(const void *pa, const void *pb)
{
    const struct wm_wsum *a = pa, *b = pb;

    return a->lo < b->lo ? -1 : a->lo > b->lo;
}

static void
add_sums(struct wm_build *b, struct wm_wfile *w, uint32_t file)
{
    wm_sort(b->cc->a, w->sum.item, w->sum.n, sizeof(*w->sum.item), by_lo);
    for (uint32_t i = 0; i < w->sum.n; i++) {
        const struct wm_wsum *s = &w->sum.item[i];
        struct wm_plan_sum rec = {.file = file, .nfield = s->nfield, .lo = s->lo, .hi = s->hi};

        memcpy(rec.field, s->field, sizeof(rec.field));
        wm_plan_add(&b->pb, WM_PS_SUM, &rec, sizeof(rec), 1);
    }
}

/* Tensors and pieces, then the names that share a tensor. */
static enum wm_status
add_parts(struct wm_build *b, struct wm_arena *tmp, const struct wm_shard_file *f, const struct wm_wfile *w,
          uint32_t file)
{
    struct part *part = WM_NEW_N(tmp, struct part, (size_t)f->n + w->piece.n);
    uint64_t *at = WM_NEW_N(tmp, uint64_t, w->piece.n), next = 0;
    uint32_t blob = constants(b, w), n = 0, nshared = 0;
    struct wm_map out; /* user -> OUT, where names share tensors */
    enum wm_status st = WM_OK;

    for (uint32_t i = 0; i < f->n; i++)
        nshared += f->tensor[i].same != WM_NONE;
    wm_map_init(&out, tmp, 0);
    for (uint32_t i = 0; i < f->n; i++)
        if (f->tensor[i].same == WM_NONE)
            part[n++] = (struct part){f->tensor[i].off, f->tensor[i].nbytes, &f->tensor[i], NULL};
    for (uint32_t i = 0; i < w->piece.n; i++) {
        at[i] = next;
        next += w->piece.item[i].bytes ? w->piece.item[i].len : 0;
        if (w->piece.item[i].len)
            part[n++] = (struct part){w->piece.item[i].off, w->piece.item[i].len, NULL, &w->piece.item[i]};
    }
    wm_sort(b->cc->a, part, n, sizeof(*part), by_offset);
    for (uint32_t i = 0; i < n && st == WM_OK; i++) {
        const struct wm_wtensor *t = part[i].tensor;
        uint32_t id = (uint32_t)(b->pb.section[WM_PS_OUT].n / sizeof(struct wm_plan_out));

        if (t) {
            if (nshared)
                wm_map_put(&out, (struct wm_str){(const char *)&t->user, sizeof(t->user)}, id);
            st = wm_build_tensor(b, t, file);
        } else if (!add_piece(b, part[i].piece, file, blob, at[part[i].piece - w->piece.item])) {
            st = wm_fail(b->err, WM_ELIMIT, NULL, "the bytes between tensors are too many");
        }
    }
    for (uint32_t i = 0; i < f->n && st == WM_OK; i++)
        if (f->tensor[i].same != WM_NONE)
            add_shared(b, &f->tensor[i],
                       wm_map_get(&out, (struct wm_str){(const char *)&f->tensor[i].same, sizeof(uint32_t)}));
    return st;
}

static enum wm_status
add_file(struct wm_build *b, struct wm_arena *tmp, struct wm_shard_file *f, uint32_t order)
{
    const struct wm_wopts opts = {.name = f->name,
                                  .root = b->g->out_root,
                                  .layout = b->o->layout,
                                  .room = b->o->layout == WM_LAYOUT_IN_PLACE ? head_room(b->g->manifest) : 0,
                                  .like = b->o->like};
    struct wm_plan_outfile rec = {.order = order, .format = b->fmt_id};
    struct wm_wfile w = {.size = 0};
    enum wm_status st;
    uint32_t id;

    if (b->fmt->shares)
        find_shared(b, tmp, f->tensor, f->n);
    find_sources(b, f->tensor, f->n);
    if ((st = b->fmt->layout(tmp, f->tensor, f->n, &opts, &w, b->err)) != WM_OK)
        return st;
    rec.name = wm_plan_add_text(&b->pb, f->name);
    rec.size = w.size;
    rec.head = wm_plan_add_bytes(&b->pb, w.head.p, w.head.n);
    rec.tail = wm_plan_add_bytes(&b->pb, w.tail.p, w.tail.n);
    rec.first = b->pb.section[WM_PS_OUT].n / sizeof(struct wm_plan_out);
    id = (uint32_t)wm_plan_add(&b->pb, WM_PS_OUTFILE, &rec, sizeof(rec), 1);
    st = add_parts(b, tmp, f, &w, id);
    ((struct wm_plan_outfile *)(void *)b->pb.section[WM_PS_OUTFILE].p)[id].ntensor =
        b->pb.section[WM_PS_OUT].n / sizeof(struct wm_plan_out) - rec.first;
    add_sums(b, &w, id);
    return st;
}

enum wm_status
wm_build_file(struct wm_build *b, struct wm_shard_file *f, uint32_t order)
{
    struct wm_arena_child tmp; /* the plan has copies of all that lasts */
    enum wm_status st;

    wm_arena_child_begin(&tmp, b->cc->a);
    st = add_file(b, &tmp.a, f, order);
    wm_arena_child_end(&tmp);
    return st;
}
