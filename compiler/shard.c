/* compiler/shard.c -- shard blocks: whole tensors to the tensors of the ranks, and back.
 *
 * Each block is a stage.  Writing, a tensor of the rules becomes one per rank, with the rank as its place; reading, the
 * ranks' tensors of one key become one, copies compared.  Blocks nest: the second cuts what the first gave. */
#include "compiler/shard.h"

#include "base/checked.h"
#include "compiler/bind_lint.h"
#include "compiler/scalar.h"

struct block {
    struct wm_bind *b;
    const struct wm_stmt *st;
    uint32_t index;
    struct wm_str name;          /* of the index */
    uint32_t nrank;
    struct wm_cut_line *line;
    int side;
    struct wm_stage *out;
};

/* ---- lines at bind ---- */

/* The line of a key, its variables set; NULL: reported. */
static struct wm_cut_line *
line_of(struct block *k, struct wm_str joined)
{
    for (uint32_t i = 0; i < k->st->nline; i++) {
        struct wm_cut_line *l = &k->line[i];
        bool range = false, counts = true;

        wm_inst_forget(&l->inst);
        if (!wm_inst_read(k->b, &l->inst, &l->key, wm_place_key(joined), &range))
            continue;
        if (l->ast->when && !wm_eval_bool(&k->b->be, l->inst.me, &l->inst.scope, l->ast->when, &counts))
            return NULL;
        if (counts)
            return l;
    }
    wm_report(&k->b->cc->diags, WM_E_SHARD, k->st->span, "no line of the shard block matches `%s`",
              wm_place_show(k->b->cc->a, joined).p);
    return NULL;
}

/* Does the block cut this key: has the first file line that holds it the block's index? */
static bool
applies(struct block *k, struct wm_str joined)
{
    const struct wm_side *s = &k->b->m->side[k->side];
    struct wm_str cap[WM_MAX_PARTS];
    int64_t value[WM_MAX_PARTS];

    for (uint32_t f = 0; f < s->file.n; f++) {
        const struct wm_file_line *l = &s->file.item[f];

        if (l->has_holds && !wm_key_match(&l->holds, wm_place_key(joined), value, cap))
            continue;
        for (uint32_t p = 0; p < l->nplace; p++)
            if (l->scope->var.item[l->place[p]].index == k->index)
                return true;
        return false;
    }
    return false;
}

static int64_t
rank_value(struct block *k, uint32_t ordinal)
{
    struct wm_menv *me = wm_menv_of(&k->b->be, k->b->m);

    if (k->b->m->index.item[k->index].ncomponent > 0)
        return ordinal;
    return wm_index_value(wm_index_get(&k->b->be, me, k->index), ordinal);
}

static struct wm_str
with_rank(struct block *k, struct wm_str joined, uint32_t ordinal)
{
    struct wm_arena *a = k->b->cc->a;
    struct wm_str place = wm_place_of(joined), key = wm_place_key(joined);
    struct wm_buf out;

    wm_buf_init(&out, a);
    wm_buf_puts(&out, key);
    wm_buf_putc(&out, '\0');
    wm_buf_puts(&out, place);
    wm_buf_printf(&out, "%s%.*s=%lld", place.n ? "," : "", WM_STR_ARG(k->name),
                  (long long)rank_value(k, ordinal));
    return wm_buf_str(&out);
}

static bool
dimension(struct block *k, const struct wm_cut_line *l, const struct wm_gt *t, uint32_t *out)
{
    struct wm_value v = wm_eval(&k->b->be, l->inst.me, &l->inst.scope, l->ast->dim);
    int64_t d = v.kind == WM_V_INT ? v.u.i : t->rank;

    if (d < 0)
        d += t->rank;
    if (v.kind == WM_V_ERROR)
        return false;
    if (d < 0 || d >= t->rank) {
        struct wm_diag *dg = wm_report(&k->b->cc->diags, WM_E_SHARD, l->ast->span,
                                       "`%s` has %u dimensions, so there is no dimension to split as the line says",
                                       wm_place_show(k->b->cc->a, t->key).p, t->rank);

        wm_note(&k->b->cc->diags, dg, "a tensor that every rank has whole is `replicate`");
        return false;
    }
    *out = (uint32_t)d;
    return true;
}

static bool
fill_elem(struct block *k, const struct wm_cut_line *l, enum wm_dtype dtype, enum wm_elem_kind kind,
          uint32_t *elem)
{
    struct wm_elem el = {.kind = kind, .from = dtype, .to = dtype, .note = WM_STR("padding")};
    struct wm_value v = {.kind = WM_V_INT};

    if (l->ast->fill)
        v = wm_eval(&k->b->be, l->inst.me, &l->inst.scope, l->ast->fill);
    if (v.kind == WM_V_ERROR)
        return false;
    if (!wm_scalar_fill(dtype, v, el.pattern)) {
        wm_report(&k->b->cc->diags, WM_E_FILL, l->ast->span, "the fill value does not fit in %s",
                  wm_dtype_info[dtype].name);
        return false;
    }
    *elem = wm_graph_elem(k->b->g, &el);
    return true;
}

/* Elements before and behind the dimension. */
static void
around(const struct wm_gt *t, uint32_t d, int64_t *outer, int64_t *inner)
{
    *outer = *inner = 1;
    for (uint32_t i = 0; i < t->rank; i++) {
        if (i < d)
            *outer *= t->shape[i];
        else if (i > d)
            *inner *= t->shape[i];
    }
}

/* ---- writing ---- */

static bool
add_piece(struct block *k, struct wm_gt *t, const struct wm_imap *map, uint32_t in)
{
    struct wm_make mk = {.geom = map ? wm_graph_geom(k->b->g, map, 1) : WM_GEOM_IDENTITY,
                         .slot = k->out->slot.n, .nunit = wm_gt_numel(t), .span = k->st->span};

    wm_map_put(&k->out->out->by_key, t->key, k->out->out->t.n);
    wm_tset_add(k->b->cc, k->out->out, t);
    *WM_PUSH(k->b->cc->a, &k->out->slot) = in;
    *WM_PUSH(k->b->cc->a, &k->out->make) = mk;
    return true;
}

static bool
write_split(struct block *k, const struct wm_cut_line *l, const struct wm_gt *t, uint32_t in)
{
    struct wm_arena *a = k->b->cc->a;
    struct wm_cut cut;
    int64_t outer, inner;
    uint32_t d, fill = 0;

    if (!dimension(k, l, t, &d) || !wm_cut_make(k->b, l, k->nrank, t->shape[d], NULL, t->key, &cut))
        return false;
    if (k->b->lint)
        wm_lint_cut(k->b, k->side, t->key, l, d, &cut);
    around(t, d, &outer, &inner);
    for (uint32_t r = 0; r < k->nrank; r++) {
        struct wm_gt piece = *t;
        int64_t *shape = WM_NEW_N(a, int64_t, t->rank);
        struct wm_imap map;

        memcpy(shape, t->shape, t->rank * sizeof(*shape));
        shape[d] = cut.size[r];
        piece.shape = shape;
        piece.key = with_rank(k, t->key, r);
        wm_imap_init(&map, a);
        for (uint32_t i = 0; i < cut.seg.n; i++) {
            const struct wm_segment *s = &cut.seg.item[i];
            struct wm_box box = {.dst_base = s->piece * inner, .nsrc = s->whole >= 0, .rank = 2};
            struct wm_dim dim[2] = {{.extent = outer, .dst = cut.size[r] * inner, .src = {t->shape[d] * inner}},
                                    {.extent = s->len * inner, .dst = 1, .src = {1}}};

            if (s->rank != r)
                continue;
            if (s->whole < 0) {
                if (!fill_elem(k, l, t->dtype, WM_EL_FILL, &fill))
                    return false;
                box.elem = fill;
            } else {
                box.src_base[0] = s->whole * inner;
            }
            wm_imap_add(&map, &box, dim);
        }
        wm_imap_canon(&map);
        add_piece(k, &piece, &map, in);
    }
    return true;
}

static bool
find_rank(struct block *k, const struct wm_cut_line *l, struct wm_str key, uint32_t *rank)
{
    int64_t v;

    if (!wm_eval_size(&k->b->be, l->inst.me, &l->inst.scope, l->ast->at, "the rank", &v))
        return false;
    for (*rank = 0; *rank < k->nrank; ++*rank)
        if (rank_value(k, *rank) == v)
            return true;
    wm_report(&k->b->cc->diags, WM_E_SHARD, l->ast->span, "`%s` would live at %lld, which `%.*s` does not have",
              wm_place_show(k->b->cc->a, key).p, (long long)v, WM_STR_ARG(k->name));
    return false;
}

static bool
write_tensor(struct block *k, const struct wm_gt *t, uint32_t in)
{
    struct wm_gt piece = *t;
    struct wm_cut_line *l;
    uint32_t rank;

    if (!applies(k, t->key))
        return add_piece(k, &piece, NULL, in);
    l = line_of(k, t->key);
    if (!l)
        return false;
    switch (l->ast->kind) {
    case WM_SH_SPLIT:
        return write_split(k, l, t, in);
    case WM_SH_AT:
        if (!find_rank(k, l, t->key, &rank))
            return false;
        piece.key = with_rank(k, t->key, rank);
        return add_piece(k, &piece, NULL, in);
    case WM_SH_REPLICATE:
        for (uint32_t r = 0; r < k->nrank; r++) {
            piece.key = with_rank(k, t->key, r);
            add_piece(k, &piece, NULL, in);
        }
        return true;
    }
    return false;
}

/* ---- reading ---- */

/* The ranks' tensors of one key. */
struct group {
    struct wm_str key;           /* without the block's rank */
    uint32_t *tensor;            /* [nrank]; WM_NONE: absent */
    uint32_t any;
};

/* The place without one of its parts; its value. */
static bool
without(struct block *k, struct wm_str joined, struct wm_str *rest, int64_t *value)
{
    struct wm_str p = wm_place_of(joined);
    struct wm_buf out;
    size_t n0;

    if (!wm_place_get(joined, k->name, value))
        return false;
    wm_buf_init(&out, k->b->cc->a);
    wm_buf_puts(&out, wm_place_key(joined));
    n0 = out.n;
    while (p.n > 0) {
        const char *comma = memchr(p.p, ',', p.n);
        size_t n = comma ? (size_t)(comma - p.p) : p.n;

        if (!(n > k->name.n && memcmp(p.p, k->name.p, k->name.n) == 0 && p.p[k->name.n] == '=')) {
            wm_buf_putc(&out, out.n == n0 ? '\0' : ',');
            wm_buf_puts(&out, (struct wm_str){p.p, n});
        }
        n += comma != NULL;
        p.p += n;
        p.n -= n;
    }
    *rest = wm_buf_str(&out);
    return true;
}

static void
add_whole(struct block *k, const struct wm_gt *t, const struct wm_imap *map, const uint32_t *slot,
          uint32_t nslot)
{
    struct wm_make mk = {.geom = wm_graph_geom(k->b->g, map, nslot), .slot = k->out->slot.n,
                         .nunit = wm_gt_numel(t), .span = k->st->span};

    wm_map_put(&k->out->out->by_key, t->key, k->out->out->t.n);
    wm_tset_add(k->b->cc, k->out->out, t);
    for (uint32_t i = 0; i < nslot; i++)
        *WM_PUSH(k->b->cc->a, &k->out->slot) = slot[i];
    *WM_PUSH(k->b->cc->a, &k->out->make) = mk;
}

/* Compare two runs of an outer dimension: rank x against its primary; or a run with its fill (y NONE). */
static void
add_check(struct block *k, uint32_t elem, uint32_t x, uint32_t y, const struct wm_dim *dim, int64_t bx,
          int64_t by)
{
    struct wm_box box = {.nsrc = y == WM_NONE ? 1 : 2, .elem = elem, .rank = 2, .src_base = {bx, by},
                         .slot = {0, 1}};
    struct wm_imap map;
    int64_t n = dim[0].extent * dim[1].extent;

    if (n == 0)
        return;
    wm_imap_init(&map, k->b->cc->a);
    wm_imap_add(&map, &box, dim);
    wm_imap_canon(&map);
    *WM_PUSH(k->b->cc->a, &k->out->check) =
        (struct wm_make){.geom = wm_graph_geom(k->b->g, &map, box.nsrc), .slot = k->out->slot.n, .nunit = n,
                         .span = k->st->span, .replica = y != WM_NONE, .pad = y == WM_NONE};
    *WM_PUSH(k->b->cc->a, &k->out->slot) = x;
    if (y != WM_NONE)
        *WM_PUSH(k->b->cc->a, &k->out->slot) = y;
}

static uint32_t
equal_elem(struct block *k, enum wm_dtype dtype)
{
    return wm_graph_elem(k->b->g, &(struct wm_elem){.kind = WM_EL_EQUAL, .from = dtype, .to = dtype,
                                                    .note = WM_STR("replica")});
}

/* All ranks must be there and agree but for the dimension `d` (WM_NONE: in all). */
static bool
complete(struct block *k, const struct wm_gt *in, const struct group *g, uint32_t d)
{
    const struct wm_gt *first = &in[g->any];

    for (uint32_t r = 0; r < k->nrank; r++) {
        const struct wm_gt *t = g->tensor[r] == WM_NONE ? NULL : &in[g->tensor[r]];
        bool same = t && t->rank == first->rank && t->dtype == first->dtype;

        for (uint32_t i = 0; same && i < t->rank; i++)
            same = i == d || t->shape[i] == first->shape[i];
        if (same)
            continue;
        wm_report(&k->b->cc->diags, t ? WM_E_MISMATCH : WM_E_MISSING, k->st->span,
                  t ? "`%s`: %.*s %lld has another shape or dtype than the others"
                    : "`%s`: missing for %.*s %lld",
                  wm_place_show(k->b->cc->a, g->key).p, WM_STR_ARG(k->name), (long long)rank_value(k, r));
        return false;
    }
    return true;
}

static bool
read_split(struct block *k, const struct wm_cut_line *l, const struct wm_gt *in, const struct group *g)
{
    struct wm_arena *a = k->b->cc->a;
    struct wm_gt t = in[g->any];
    int64_t *shape = WM_NEW_N(a, int64_t, t.rank), *have = WM_NEW_N(a, int64_t, k->nrank), outer, inner;
    struct wm_cut cut;
    struct wm_imap map;
    uint32_t d, elem = 0;

    if (!dimension(k, l, &t, &d) || !complete(k, in, g, d))
        return false;
    for (uint32_t r = 0; r < k->nrank; r++)
        have[r] = in[g->tensor[r]].shape[d];
    if (!wm_cut_make(k->b, l, k->nrank, -1, have, g->key, &cut))
        return false;
    if (k->b->lint)
        wm_lint_cut(k->b, k->side, g->key, l, d, &cut);
    around(&t, d, &outer, &inner);
    memcpy(shape, t.shape, t.rank * sizeof(*shape));
    shape[d] = cut.whole;
    t.shape = shape;
    t.key = g->key;
    wm_imap_init(&map, a);
    for (uint32_t i = 0; i < cut.seg.n; i++) {
        const struct wm_segment *s = &cut.seg.item[i];
        int64_t step = cut.size[s->rank] * inner, base = s->piece * inner, len = s->len * inner;

        if (s->whole < 0) {
            struct wm_dim dim[2] = {{.extent = outer, .dst = len, .src = {step}},
                                    {.extent = len, .dst = 1, .src = {1}}};

            if (!fill_elem(k, l, t.dtype, WM_EL_IS_FILL, &elem))
                return false;
            add_check(k, elem, g->tensor[s->rank], WM_NONE, dim, base, 0);
        } else if (s->primary != s->rank) {
            /* the primary holds the same segment at the same place: groups are cut alike for all of a run */
            struct wm_dim dim[2] = {{.extent = outer, .dst = len, .src = {step, step}},
                                    {.extent = len, .dst = 1, .src = {1, 1}}};

            add_check(k, equal_elem(k, t.dtype), g->tensor[s->primary], g->tensor[s->rank], dim, base, base);
        } else {
            struct wm_box box = {.dst_base = s->whole * inner, .src_base = {base}, .slot = {s->rank},
                                 .nsrc = 1, .rank = 2};
            struct wm_dim dim[2] = {{.extent = outer, .dst = cut.whole * inner, .src = {step}},
                                    {.extent = len, .dst = 1, .src = {1}}};

            wm_imap_add(&map, &box, dim);
        }
    }
    wm_imap_canon(&map);
    add_whole(k, &t, &map, g->tensor, k->nrank);
    return true;
}

static bool
read_group(struct block *k, const struct wm_gt *in, const struct group *g)
{
    struct wm_cut_line *l = line_of(k, g->key);
    struct wm_gt t = in[g->any];
    uint32_t rank = 0;

    if (!l)
        return false;
    t.key = g->key;
    if (l->ast->kind == WM_SH_SPLIT)
        return read_split(k, l, in, g);
    if (l->ast->kind == WM_SH_AT) {
        if (!find_rank(k, l, g->key, &rank))
            return false;
        for (uint32_t r = 0; r < k->nrank; r++)
            if ((g->tensor[r] != WM_NONE) != (r == rank)) {
                wm_report(&k->b->cc->diags, r == rank ? WM_E_MISSING : WM_E_UNEXPECTED, l->ast->span,
                          "`%s` %s %.*s %lld", wm_place_show(k->b->cc->a, g->key).p,
                          r == rank ? "is missing at" : "does not belong at", WM_STR_ARG(k->name),
                          (long long)rank_value(k, r));
                return false;
            }
    } else if (!complete(k, in, g, WM_NONE)) {
        return false;
    }
    wm_map_put(&k->out->out->by_key, t.key, k->out->out->t.n);
    wm_stage_pass(k->b->g, k->out, g->tensor[rank], &t);
    for (uint32_t r = 1; l->ast->kind == WM_SH_REPLICATE && r < k->nrank; r++) {
        struct wm_dim dim[2] = {{.extent = 1, .dst = wm_gt_numel(&t), .src = {0, 0}},
                                {.extent = wm_gt_numel(&t), .dst = 1, .src = {1, 1}}};

        add_check(k, equal_elem(k, t.dtype), g->tensor[0], g->tensor[r], dim, 0, 0);
    }
    return true;
}

static uint32_t
ordinal_of(struct block *k, int64_t value)
{
    for (uint32_t r = 0; r < k->nrank; r++)
        if (rank_value(k, r) == value)
            return r;
    return WM_NONE;
}

static bool
read_block(struct block *k, const struct wm_tset *in)
{
    struct wm_arena *a = k->b->cc->a;
    struct wm_map seen;
    WM_VEC(struct group) group = {0};
    bool ok = true;

    wm_map_init(&seen, a, in->t.n);
    for (uint32_t i = 0; i < in->t.n; i++) {
        struct wm_str rest;
        int64_t value;
        uint32_t g, r;

        if (!applies(k, in->t.item[i].key) || !without(k, in->t.item[i].key, &rest, &value)) {
            wm_map_put(&k->out->out->by_key, in->t.item[i].key, k->out->out->t.n);
            wm_stage_pass(k->b->g, k->out, i, &in->t.item[i]);
            continue;
        }
        g = wm_map_put(&seen, rest, group.n);
        if (g == group.n) {
            struct group *ng = WM_PUSH(a, &group);

            *ng = (struct group){.key = rest, .tensor = WM_NEW_N(a, uint32_t, k->nrank), .any = i};
            memset(ng->tensor, 0xff, k->nrank * sizeof(*ng->tensor));
        }
        r = ordinal_of(k, value);
        if (r != WM_NONE)
            group.item[g].tensor[r] = i;
    }
    for (uint32_t g = 0; g < group.n && (ok || k->b->cc->diags.nerror < 50); g++)
        ok &= read_group(k, in->t.item, &group.item[g]);
    return ok;
}

/* ---- both ---- */

static bool
begin(struct wm_bind *b, const struct wm_stmt *st, struct wm_tset *in, struct block *k)
{
    const struct wm_name *nm = wm_module_find(b->m, st->name);
    struct wm_menv *me = wm_menv_of(&b->be, b->m);
    int64_t n, *value;

    *k = (struct block){.b = b, .st = st, .index = nm->id, .name = st->name, .side = st->side};
    if (!wm_index_count(&b->be, me, nm->id, &n))
        return false;
    k->nrank = (uint32_t)n;
    k->line = WM_NEW_N(b->cc->a, struct wm_cut_line, st->nline);
    value = WM_NEW_N(b->cc->a, int64_t, k->nrank);
    for (uint32_t r = 0; r < k->nrank; r++)
        value[r] = rank_value(k, r);
    for (uint32_t i = 0; i < st->nline; i++) {
        if (!wm_cut_line_resolve(b->m, &st->line[i], &k->line[i]))
            return false;
        wm_inst_init(b, k->line[i].scope, &k->line[i].inst);
        k->line[i].index = st->name;
        k->line[i].value = value;
    }
    k->out = wm_stage_new(b->g, in);
    return true;
}

bool
wm_shard_size(struct wm_bind *b, int side, struct wm_str key, int64_t *dim, int64_t *size)
{
    for (uint32_t i = 0; i < b->m->shard.n; i++) {
        const struct wm_stmt *st = b->m->shard.item[i];
        const struct wm_cut_line *l;
        struct wm_value d;
        struct block k;
        bool says = false;

        for (uint32_t n = 0; n < st->nline; n++)
            says |= st->line[n].size || st->line[n].npart > 0;
        if (st->side != side || !says || !begin(b, st, NULL, &k) || !applies(&k, key))
            continue;
        l = line_of(&k, key);
        if (!l || l->ast->kind != WM_SH_SPLIT || !wm_cut_size(b, l, size))
            return false;
        d = wm_eval(&b->be, l->inst.me, &l->inst.scope, l->ast->dim);
        *dim = d.u.i;
        return d.kind == WM_V_INT;
    }
    return false;
}

struct wm_stage *
wm_shard_write(struct wm_bind *b, struct wm_stage *in)
{
    for (uint32_t i = 0; in && i < b->m->shard.n; i++) {
        struct block k;
        bool ok = true;

        if (b->m->shard.item[i]->side != b->ws)
            continue;
        if (!begin(b, b->m->shard.item[i], in->out, &k))
            return NULL;
        for (uint32_t t = 0; t < in->out->t.n && (ok || b->cc->diags.nerror < 50); t++)
            ok &= write_tensor(&k, &in->out->t.item[t], t);
        in = ok ? wm_stage_fuse(b->g, in, k.out) : NULL;
    }
    return in;
}

struct wm_stage *
wm_shard_read(struct wm_bind *b, struct wm_stage *in)
{
    for (uint32_t i = b->m->shard.n; in && i-- > 0;) {
        struct block k;

        if (b->m->shard.item[i]->side != b->rs)
            continue;
        if (!begin(b, b->m->shard.item[i], in->out, &k) || !read_block(&k, in->out))
            return NULL;
        in = wm_stage_fuse(b->g, in, k.out);
    }
    return in;
}
