/* compiler/bind_scales.c -- scales at bind: where they must follow their weight, and where they go into it.
 *
 * Enters: the logical tensors of the side that is read.  Each scale is taken by the first `scales` line that fits its
 * name and holds; its shape must be that of the weight in blocks.  Leaves: where a line says `dequant`, one more stage,
 * W' <- (W, S), without the scales, that fuses with what follows.  The scales that stay are looked at again behind the
 * rules and shards: every element of a weight that is written must have the scale that it had (bind_scales_check.c). */
#include "compiler/bind_scales.h"

#include "base/checked.h"
#include "compiler/elem.h"
#include "compiler/op.h"

struct scales {
    struct wm_bind *b;
    struct wm_stage *stage;      /* what dequantises; NULL: nothing does */
    struct wm_map geoms;         /* signature -> geometry */
};

/* ---- lines ---- */

bool
wm_scale_line_of(struct wm_bind *b, const struct wm_scale_line *l, struct wm_scale_bound *out)
{
    struct wm_menv *me = wm_menv_of(&b->be, l->scope->mod);
    struct wm_value v;

    out->line = l;
    out->holds = l->item->dequant || !b->o->invented; /* what is invented has no blocks */
    if (!out->holds)
        return true;
    if (l->item->when && !wm_eval_bool(&b->be, me, NULL, l->item->when, &out->holds))
        return false;
    if (!out->holds)
        return true;
    v = wm_eval(&b->be, me, NULL, l->item->blocks);
    if (v.kind != WM_V_LIST || v.u.list.n < 1 || v.u.list.n > WM_SCALE_RANK) {
        if (v.kind == WM_V_NULL && v.absent.n)
            wm_report(&b->cc->diags, WM_E_CONFIG_ABSENT, l->item->blocks->span, "%.*s is not in the configuration",
                      WM_STR_ARG(v.absent));
        else if (v.kind != WM_V_ERROR)
            wm_report(&b->cc->diags, WM_E_SCALE_LINE, l->item->blocks->span, "blocks are a list of sizes, one for each "
                      "dimension of the weight");
        return false;
    }
    for (uint32_t k = 0; k < v.u.list.n; k++) {
        if (v.u.list.item[k].kind != WM_V_INT || v.u.list.item[k].u.i < 1) {
            wm_report(&b->cc->diags, WM_E_SCALE_LINE, l->item->blocks->span, "the size of a block is an integer from 1 on");
            return false;
        }
        out->block[k] = v.u.list.item[k].u.i;
    }
    out->rank = v.u.list.n;
    out->dtype = WM_DT_N;
    if (l->item->dequant)
        out->dtype = wm_dtype_value(&b->be, me, NULL, l->item->dequant);
    return !l->item->dequant || out->dtype != WM_DT_N;
}

/* ---- shapes ---- */

/* Trailing dimensions of one may be left out, as where a row has one scale. */
static uint32_t
rank_of(const int64_t *shape, uint32_t rank)
{
    while (rank > 0 && shape[rank - 1] == 1)
        rank--;
    return rank;
}

bool
wm_scale_fits(struct wm_bind *b, const struct wm_scale_bound *l, const struct wm_gt *s, const struct wm_gt *w,
              struct wm_str where)
{
    struct wm_arena *a = b->cc->a;
    int64_t want[WM_MAX_RANK];
    uint32_t n = rank_of(s->shape, s->rank);
    struct wm_buf text[3];
    struct wm_diag *d;

    if (l->rank != w->rank) {
        wm_report(&b->cc->diags, WM_E_SCALES, l->line->item->blocks->span, "`%s` has %u dimensions, but its blocks %u",
                  wm_place_show(a, w->key).p, w->rank, l->rank);
        return false;
    }
    for (uint32_t k = 0; k < w->rank; k++)
        want[k] = w->shape[k] / l->block[k] + (w->shape[k] % l->block[k] != 0);
    if (n == rank_of(want, w->rank) && (n == 0 || memcmp(want, s->shape, n * sizeof(want[0])) == 0))
        return true;
    for (int i = 0; i < 3; i++)
        wm_buf_init(&text[i], a);
    for (uint32_t k = 0; k < w->rank; k++) {
        wm_buf_printf(&text[0], "%s%lld", k ? " x " : "", (long long)w->shape[k]);
        wm_buf_printf(&text[1], "%s%lld", k ? " x " : "", (long long)l->block[k]);
        wm_buf_printf(&text[2], "%s%lld", k ? " x " : "", (long long)want[k]);
    }
    d = wm_report(&b->cc->diags, WM_E_SCALES, l->line->item->span, "`%s` has %.*s elements, which in blocks of %.*s have %.*s "
                  "scales; `%s` has another shape", wm_place_show(a, w->key).p, WM_STR_ARG(wm_buf_str(&text[0])),
                  WM_STR_ARG(wm_buf_str(&text[1])), WM_STR_ARG(wm_buf_str(&text[2])), wm_place_show(a, s->key).p);
    if (where.n)
        wm_note(&b->cc->diags, d, "%.*s", WM_STR_ARG(where));
    for (uint32_t k = 0; k < w->rank; k++)
        if (w->shape[k] % l->block[k] != 0)
            wm_note(&b->cc->diags, d, "dimension %u ends inside of a block of %lld", k, (long long)l->block[k]);
    return false;
}

/* ---- boxes ---- */

/* One box for whole blocks and what is left, in each dimension: `dim` is cut into blocks and their insides. */
static void
add_parts(const struct wm_scale_bound *l, const struct wm_gt *w, const int64_t *ws, const int64_t *ss, uint32_t part,
          struct wm_box box, struct wm_imap *map)
{
    struct wm_dim dim[2 * WM_MAX_RANK];
    int ops = box.nsrc - 1;

    box.rank = 0;
    for (uint32_t k = 0; k < w->rank; k++) {
        int64_t block = l->block[k] < w->shape[k] ? l->block[k] : w->shape[k], stride = ws[k];
        int64_t whole = block ? w->shape[k] / block : 0, left = block ? w->shape[k] % block : 0;
        bool rest = part >> k & 1;
        struct wm_dim out = {.extent = rest ? 1 : whole, .dst = block * stride};
        struct wm_dim in = {.extent = rest ? left : block, .dst = stride};

        if (out.extent == 0 || in.extent == 0)
            return;
        out.src[ops] = ss[k];
        if (ops) {
            out.src[0] = out.dst;
            in.src[0] = stride;
        }
        box.dst_base += rest ? whole * out.dst : 0;
        box.src_base[ops] += rest ? whole * ss[k] : 0;
        dim[box.rank++] = out;
        dim[box.rank++] = in;
    }
    if (ops)
        box.src_base[0] = box.dst_base;
    wm_imap_add(map, &box, dim);
}

void
wm_scale_boxes(const struct wm_scale_bound *l, const struct wm_gt *w, bool with_weight, uint32_t elem, uint32_t slot,
               struct wm_imap *map)
{
    struct wm_box box = {.nsrc = with_weight ? 2 : 1, .elem = elem, .slot = {slot, with_weight ? 1 : 0}};
    int64_t ws[WM_MAX_RANK], ss[WM_MAX_RANK], nw = 1, ns = 1;

    for (uint32_t k = w->rank; k-- > 0;) {
        ws[k] = nw;
        ss[k] = ns;
        nw *= w->shape[k];
        ns *= w->shape[k] / l->block[k] + (w->shape[k] % l->block[k] != 0);
    }
    for (uint32_t part = 0; part < 1u << w->rank; part++)
        add_parts(l, w, ws, ss, part, box, map);
    wm_imap_canon(map);
}

/* ---- dequantising ---- */

static bool
check_types(struct wm_bind *b, const struct wm_gt *s, const struct wm_gt *w, enum wm_dtype to)
{
    const struct wm_dtype_info *iw = &wm_dtype_info[w->dtype], *is = &wm_dtype_info[s->dtype];
    const struct wm_gt *wrong = iw->bits < 8 || iw->bits > 16 || iw->kind == 'C' || iw->kind == 'B' ? w
                                : is->kind != 'F' || is->bits < 8 || is->bits > 32                  ? s
                                                                                                    : NULL;

    if (wrong)
        wm_report_at(&b->cc->diags, WM_E_SCALES, b->g->manifest->path, "`%s` is %s: values of 8 and 16 bits are "
                     "dequantised, with scales that are floats of at most 32",
                     wm_place_show(b->cc->a, wrong->key).p, wm_dtype_info[wrong->dtype].name);
    else if (to != WM_DT_BF16 && to != WM_DT_F16 && to != WM_DT_F32)
        wm_report_at(&b->cc->diags, WM_E_SCALES, b->g->manifest->path, "weights are dequantised to bf16, f16 or f32, not %s",
                     wm_dtype_info[to].name);
    else
        return true;
    return false;
}

static uint32_t
geometry(struct scales *g, const struct wm_scale_bound *l, const struct wm_gt *s, const struct wm_gt *w)
{
    struct wm_graph *gr = g->b->g;
    struct wm_plan_step step = {.kind = WM_SP_CAST, .from = WM_DT_F32, .to = l->dtype, .lossy = true};
    struct wm_elem e = {.kind = WM_EL_SCALED, .from = w->dtype, .to = l->dtype, .factor = {s->dtype}};
    struct wm_buf sig;
    struct wm_imap map;
    uint32_t geom;

    wm_buf_init(&sig, g->b->cc->a);
    wm_buf_puts(&sig, (struct wm_str){(const char *)&l, sizeof(l)});
    wm_buf_puts(&sig, (struct wm_str){(const char *)w->shape, w->rank * sizeof(*w->shape)});
    wm_buf_puts(&sig, (struct wm_str){(const char *)&w->dtype, sizeof(w->dtype)});
    wm_buf_puts(&sig, (struct wm_str){(const char *)&s->dtype, sizeof(s->dtype)});
    geom = wm_map_get(&g->geoms, wm_buf_str(&sig));
    if (geom != WM_NONE)
        return geom;
    if (l->dtype != WM_DT_F32) {
        e.step = WM_NEW(g->b->cc->a, struct wm_plan_step);
        *(struct wm_plan_step *)e.step = step;
        e.nstep = 1;
    }
    wm_imap_init(&map, g->b->cc->a);
    wm_scale_boxes(l, w, true, wm_graph_elem(gr, &e), 0, &map);
    geom = wm_graph_geom(gr, &map, 2);
    wm_map_put(&g->geoms, wm_arena_str(g->b->cc->a, wm_buf_str(&sig)), geom);
    return geom;
}

/* All tensors but the scales that go into their weights, in the order in which they were. */
static void
make_stage(struct scales *g)
{
    struct wm_bind *b = g->b;
    struct wm_tset *in = b->in;
    struct wm_stage *s = g->stage = wm_stage_new(b->g, in);
    bool *gone = WM_NEW_N(b->cc->a, bool, in->t.n);

    for (uint32_t t = 0; t < in->t.n; t++)
        if (b->scale[t].line && b->scale[t].line->dtype != WM_DT_N)
            gone[b->scale[t].s] = true;
    for (uint32_t t = 0; t < in->t.n; t++) {
        const struct wm_scale_bound *l = b->scale[t].line;
        struct wm_gt gt = in->t.item[t];
        struct wm_make mk = {.slot = s->slot.n, .nunit = wm_gt_numel(&gt)};

        if (gone[t])
            continue;
        wm_map_put(&s->out->by_key, gt.key, s->out->t.n);
        if (!l || l->dtype == WM_DT_N) {
            wm_stage_pass(b->g, s, t, &gt);
            continue;
        }
        mk.geom = geometry(g, l, &in->t.item[b->scale[t].s], &gt);
        mk.span = l->line->item->span;
        gt.dtype = l->dtype;
        *WM_PUSH(b->cc->a, &s->slot) = t;
        *WM_PUSH(b->cc->a, &s->slot) = b->scale[t].s;
        wm_tset_add(b->cc, s->out, &gt);
        *WM_PUSH(b->cc->a, &s->make) = mk;
    }
}

/* What belongs to what is asked by the numbers of the tensors that the rules see. */
static void
renumber(struct scales *g)
{
    struct wm_bind *b = g->b;
    const struct wm_tset *in = g->stage->in, *out = g->stage->out;
    struct wm_scaled *now = WM_NEW_N(b->cc->a, struct wm_scaled, out->t.n);

    for (uint32_t t = 0; t < out->t.n; t++) {
        const struct wm_scaled *was = &b->scale[wm_map_get(&in->by_key, out->t.item[t].key)];

        now[t] = *was;
        if (was->line && was->line->dtype == WM_DT_N)
            now[t].s = wm_map_get(&out->by_key, in->t.item[was->s].key);
    }
    b->scale = now;
}

/* ---- pairs ---- */

static bool
is_quantised(enum wm_dtype t)
{
    return wm_dtype_info[t].bits == 8 && wm_dtype_info[t].kind != 'B';
}

/* Whether `name` is one of the term `from`; then `*other` is the name that goes with it, of the weight or the scales. */
static bool
read_pair(struct wm_bind *b, struct wm_inst *x, const struct wm_rterm *term, int from, struct wm_str name,
          struct wm_str *other)
{
    bool range = false;

    wm_inst_forget(x);
    return wm_inst_read(b, x, &term[from].key, name, &range) &&
           wm_inst_key(b, x, &term[from == WM_SCALE_W ? WM_SCALE_S : WM_SCALE_W], other);
}

/* The weights that a line's own scales belong to. */
static bool
bind_line(struct scales *g, const struct wm_scale_bound *l, bool *taken)
{
    struct wm_bind *b = g->b;
    const struct wm_rterm *term = l->line->scope->side[0].term;
    struct wm_inst x;
    bool ok = true;

    wm_inst_init(b, l->line->scope, &x);
    for (uint32_t t = 0; t < b->in->t.n; t++) {
        const struct wm_gt *s = &b->in->t.item[t];
        struct wm_str key;
        uint32_t w;

        if (taken[t] || !read_pair(b, &x, term, WM_SCALE_S, s->key, &key))
            continue;
        w = wm_map_get(&b->in->by_key, key);
        if (w == WM_NONE) {
            wm_report_at(&b->cc->diags, WM_E_MISSING, b->g->manifest->path, "MISSING %.*s, whose scales are %s",
                         WM_STR_ARG(key), wm_place_show(b->cc->a, s->key).p);
            ok = false;
            continue;
        }
        taken[t] = true;
        if (!wm_scale_fits(b, l, s, &b->in->t.item[w], WM_STR("")) ||
            (l->dtype != WM_DT_N && !check_types(b, s, &b->in->t.item[w], l->dtype)))
            ok = false;
        b->scale[w] = (struct wm_scaled){l, t};
    }
    return ok;
}

/* A weight that is still quantised must have been given its scales. */
static bool
all_have(struct scales *g, const struct wm_scale_bound *l)
{
    struct wm_bind *b = g->b;
    const struct wm_rterm *term = l->line->scope->side[0].term;
    struct wm_inst x;
    bool ok = true;

    wm_inst_init(b, l->line->scope, &x);
    for (uint32_t t = 0; t < b->in->t.n; t++) {
        const struct wm_gt *w = &b->in->t.item[t];
        struct wm_str key;

        if (b->scale[t].line || !is_quantised(w->dtype) || !read_pair(b, &x, term, WM_SCALE_W, w->key, &key))
            continue;
        wm_report_at(&b->cc->diags, WM_E_MISSING, b->g->manifest->path, "MISSING %.*s, the scales of %s (%s)",
                     WM_STR_ARG(key), wm_place_show(b->cc->a, w->key).p, wm_dtype_info[w->dtype].name);
        ok = false;
    }
    return ok;
}

struct wm_stage *
wm_bind_scales(struct wm_bind *b, struct wm_stage *read, bool *ok)
{
    const struct wm_side *side = &b->m->side[b->rs];
    struct scales g = {.b = b};
    struct wm_scale_bound *l = WM_NEW_N(b->cc->a, struct wm_scale_bound, side->scale.n);
    bool *taken = WM_NEW_N(b->cc->a, bool, b->in->t.n), any = false;

    b->scale = WM_NEW_N(b->cc->a, struct wm_scaled, b->in->t.n);
    wm_map_init(&g.geoms, b->cc->a, 16);
    for (uint32_t i = 0; i < side->scale.n && *ok; i++)
        *ok = wm_scale_line_of(b, &side->scale.item[i], &l[i]) && (!l[i].holds || bind_line(&g, &l[i], taken));
    for (uint32_t i = 0; i < side->scale.n && *ok; i++) {
        bool does = l[i].holds && l[i].dtype != WM_DT_N;

        any |= does;
        *ok = !does || all_have(&g, &l[i]);
    }
    if (!*ok || !any)
        return read;
    make_stage(&g);
    renumber(&g);
    b->in = g.stage->out;
    g.stage = wm_stage_fuse(b->g, read, g.stage);
    *ok = g.stage != NULL;
    return g.stage;
}

bool
wm_has_scales(struct wm_bind *b, int side, const struct wm_tset *on, uint32_t t)
{
    const struct wm_side *sd = &b->m->side[side];

    if (side == b->rs)
        return b->scale && b->scale[t].line;
    for (uint32_t i = 0; i < sd->scale.n; i++) {
        const struct wm_rterm *term = sd->scale.item[i].scope->side[0].term;
        struct wm_scale_bound l = {0};
        struct wm_str key;
        struct wm_inst x;
        bool range = false;

        wm_inst_init(b, sd->scale.item[i].scope, &x);
        if (!wm_scale_line_of(b, &sd->scale.item[i], &l) || !l.holds)
            continue;
        if (wm_inst_read(b, &x, &term[WM_SCALE_S].key, on->t.item[t].key, &range))
            return true;
        if (read_pair(b, &x, term, WM_SCALE_W, on->t.item[t].key, &key) && wm_map_get(&on->by_key, key) != WM_NONE)
            return true;
    }
    return false;
}
