/* compiler/bind_scales_check.c -- behind rules and shards: does every element of a quantised weight keep its scale?
 *
 * Enters: the stage from the whole tensors that were read to those that are written.  For a weight and its scales on the
 * side that is written, "element <- its scale now <- where that comes from" must be the same map as "element <- where
 * that comes from <- its scale there".  So rows may move in any way that keeps blocks together, and a cut through a
 * block, or scales that are moved otherwise, are found whatever the sizes.  Blocks that would have to be quantised again
 * are refused. */
#include "base/nest.h"
#include "compiler/bind_scales.h"

struct kept {
    struct wm_bind *b;
    const struct wm_stage *st;
    struct wm_map by_key;        /* of what is written */
    struct wm_map seen;          /* signatures of pairs that were found right */
    const struct wm_scale_bound *l;
    uint32_t s, w;               /* numbers of outputs */
    bool *has;                   /* [of what is written] a line of that side says whose scales it has, or holds */
    WM_VEC(uint32_t) origin;     /* numbers of inputs that hold scales: their slots in both maps */
};

static struct wm_str
show(const struct kept *k, const struct wm_tset *ts, uint32_t t)
{
    return wm_place_show(k->b->cc->a, ts->t.item[t].key);
}

static uint32_t
slot_of(struct kept *k, uint32_t t)
{
    for (uint32_t i = 0; i < k->origin.n; i++)
        if (k->origin.item[i] == t)
            return i;
    *WM_PUSH(k->b->cc->a, &k->origin) = t;
    return k->origin.n - 1;
}

/* How an output is made, as plain positions: without what is done to the elements, and without fills. */
static void
positions(const struct kept *k, const struct wm_make *mk, struct wm_imap *out)
{
    const struct wm_imap *m = &k->b->g->geom.item[mk->geom].map;

    wm_imap_init(out, k->b->cc->a);
    if (mk->geom == WM_GEOM_IDENTITY) {
        wm_imap_identity(out, mk->nunit, 0);
        return;
    }
    for (uint32_t i = 0; i < m->box.n; i++) {
        struct wm_box box = m->box.item[i];

        if (box.nsrc == 0)
            continue;
        box.nsrc = 1;
        box.elem = 0;
        wm_imap_add(out, &box, &m->dim.item[m->box.item[i].dim]);
    }
}

static uint32_t
nslot(const struct kept *k, const struct wm_make *mk)
{
    return mk->geom == WM_GEOM_IDENTITY ? 1 : k->b->g->geom.item[mk->geom].nslot;
}

/* Element <- its scale now <- where that comes from, of the elements that come from anywhere. */
static bool
through_scales(struct kept *k, const struct wm_imap *weight, struct wm_imap *out)
{
    struct wm_arena *a = k->b->cc->a;
    const struct wm_make *mk = &k->st->make.item[k->s];
    struct wm_imap copied, blocks, from, at;

    wm_imap_init(&copied, a);
    for (uint32_t i = 0; i < weight->box.n; i++) {
        struct wm_box box = weight->box.item[i];
        struct wm_dim dim[WM_NEST_RANK];

        if (box.rank > WM_NEST_RANK)
            return false;
        for (uint32_t d = 0; d < box.rank; d++) {
            dim[d] = weight->dim.item[box.dim + d];
            dim[d].src[0] = dim[d].dst;
        }
        box.src_base[0] = box.dst_base;
        box.slot[0] = 0;
        wm_imap_add(&copied, &box, dim);
    }
    wm_imap_canon(&copied);
    wm_imap_init(&blocks, a);
    wm_scale_boxes(k->l, &k->st->out->t.item[k->w], false, 0, 0, &blocks);
    positions(k, mk, &from);
    for (uint32_t i = 0; i < from.box.n; i++)
        from.box.item[i].slot[0] = slot_of(k, k->st->slot.item[mk->slot + from.box.item[i].slot[0]]);
    wm_imap_init(&at, a);
    return wm_imap_compose(&copied, &blocks, 1, NULL, NULL, &at) && wm_imap_compose(&at, &from, 1, NULL, NULL, out);
}

/* Element <- where it comes from <- its scale there. */
static bool
through_weight(struct kept *k, const struct wm_imap *weight, struct wm_imap *out)
{
    struct wm_bind *b = k->b;
    const struct wm_make *mk = &k->st->make.item[k->w];
    uint32_t n = nslot(k, mk);
    struct wm_imap *blocks = WM_NEW_N(b->cc->a, struct wm_imap, n);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t t = k->st->slot.item[mk->slot + i];
        const struct wm_scaled *x = &b->scale[t];

        wm_imap_init(&blocks[i], b->cc->a);
        if (!x->line || x->line->dtype != WM_DT_N) {
            wm_report(&b->cc->diags, WM_E_SCALES, k->l->line->item->span, "`%s` has the scales `%s`, but is made of `%s`, "
                      "which has none", show(k, k->st->out, k->w).p, show(k, k->st->out, k->s).p, show(k, b->in, t).p);
            return false;
        }
        wm_scale_boxes(x->line, &b->in->t.item[t], false, 0, slot_of(k, x->s), &blocks[i]);
    }
    return wm_imap_compose(weight, blocks, n, NULL, NULL, out);
}

/* ---- what is wrong ---- */

static void
put_index(const struct kept *k, const struct wm_tset *ts, uint32_t t, int64_t at, struct wm_buf *out)
{
    const struct wm_gt *gt = &ts->t.item[t];
    int64_t n = wm_gt_numel(gt);

    wm_buf_printf(out, "`%s`[", show(k, ts, t).p);
    for (uint32_t d = 0; d < gt->rank; d++) {
        n /= gt->shape[d];
        wm_buf_printf(out, "%s%lld", d ? ", " : "", (long long)(at / n));
        at %= n;
    }
    wm_buf_putc(out, ']');
}

static void
put_scale(const struct kept *k, const struct wm_imap *m, int64_t at, struct wm_buf *out)
{
    const struct wm_box *box;
    int64_t src[WM_MAX_OPERANDS];

    if (wm_imap_source(m, at, &box, src))
        put_index(k, k->b->in, k->origin.item[box->slot[0]], src[0], out);
    else
        wm_buf_putz(out, "none");
}

static struct wm_str
block_text(struct wm_bind *b, const struct wm_scale_bound *l)
{
    struct wm_buf text;

    wm_buf_init(&text, b->cc->a);
    for (uint32_t i = 0; i < l->rank; i++)
        wm_buf_printf(&text, "%s%lld", i ? " x " : "", (long long)l->block[i]);
    return wm_buf_str(&text);
}

static bool
differ(struct kept *k, const struct wm_imap *weight, const struct wm_imap *has, const struct wm_imap *gets, int64_t at)
{
    const struct wm_make *mk = &k->st->make.item[k->w];
    int64_t src[WM_MAX_OPERANDS] = {0};
    const struct wm_box *box;
    struct wm_buf text;
    struct wm_diag *d;

    wm_buf_init(&text, k->b->cc->a);
    put_index(k, k->st->out, k->w, at, &text);
    if (wm_imap_source(weight, at, &box, src)) {
        wm_buf_putz(&text, " is ");
        put_index(k, k->b->in, k->st->slot.item[mk->slot + box->slot[0]], src[0], &text);
    }
    wm_buf_putz(&text, ", whose scale is ");
    put_scale(k, has, at, &text);
    wm_buf_putz(&text, ", but would get that of ");
    put_scale(k, gets, at, &text);
    d = wm_report(&k->b->cc->diags, WM_E_SCALES, k->l->line->item->span, "%.*s", WM_STR_ARG(wm_buf_str(&text)));
    wm_note(&k->b->cc->diags, d, "blocks of %.*s: a weight is cut and its rows are moved by whole blocks, and its scales "
            "alike; or dequantise it first", WM_STR_ARG(block_text(k->b, k->l)));
    return false;
}

void
wm_note_scales(struct wm_bind *b, struct wm_diag *d, struct wm_str key)
{
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < b->m->side[s].scale.n; i++) {
            struct wm_scale_bound l = {0};
            struct wm_inst x;
            struct wm_str w;
            bool range = false;

            wm_inst_init(b, b->m->side[s].scale.item[i].scope, &x);
            if (!wm_scale_line_of(b, &b->m->side[s].scale.item[i], &l) || !l.holds ||
                !wm_inst_read(b, &x, &l.line->scope->side[0].term[WM_SCALE_S].key, wm_place_key(key), &range) ||
                !wm_inst_key(b, &x, &l.line->scope->side[0].term[WM_SCALE_W], &w))
                continue;
            wm_note(&b->cc->diags, d, "it holds the scales of `%.*s`, in blocks of %.*s: no rank may begin or end inside "
                    "of a block", WM_STR_ARG(w), WM_STR_ARG(block_text(b, &l)));
            return;
        }
}

static bool
compare(struct kept *k)
{
    struct wm_imap weight, has, gets;
    int64_t n = wm_gt_numel(&k->st->out->t.item[k->w]), at;
    uint32_t before = k->b->cc->diags.nerror;

    k->origin.n = 0;
    positions(k, &k->st->make.item[k->w], &weight);
    wm_imap_canon(&weight);
    wm_imap_init(&has, k->b->cc->a);
    wm_imap_init(&gets, k->b->cc->a);
    if (!through_weight(k, &weight, &has) || !through_scales(k, &weight, &gets)) {
        if (k->b->cc->diags.nerror == before)
            wm_report(&k->b->cc->diags, WM_E_BOXES, k->l->line->item->span, "the mapping of `%s` by blocks falls into more "
                      "than %d boxes", show(k, k->st->out, k->w).p, WM_IMAP_MAX_BOXES);
        return false;
    }
    return wm_imap_equal(&has, &gets, n, &at) || differ(k, &weight, &has, &gets, at);
}

/* "`w'`[0, 0] is `w`[96, 0]": where a piece begins; empty where that is nowhere, or it is the whole. */
static struct wm_str
from_where(struct kept *k)
{
    const struct wm_make *mk = &k->st->make.item[k->w];
    int64_t src[WM_MAX_OPERANDS] = {0};
    const struct wm_box *box;
    struct wm_imap weight;
    struct wm_buf text;

    wm_buf_init(&text, k->b->cc->a);
    positions(k, mk, &weight);
    wm_imap_canon(&weight);
    if (!wm_imap_source(&weight, 0, &box, src) || src[0] == 0)
        return WM_STR("");
    put_index(k, k->st->out, k->w, 0, &text);
    wm_buf_putz(&text, " is ");
    put_index(k, k->b->in, k->st->slot.item[mk->slot + box->slot[0]], src[0], &text);
    return wm_buf_str(&text);
}

/* Layers are alike: the same geometries over inputs of the same shapes are looked at once. */
static bool
pair(struct kept *k)
{
    struct wm_bind *b = k->b;
    const struct wm_make *mk[2] = {&k->st->make.item[k->w], &k->st->make.item[k->s]};
    const struct wm_gt *w = &k->st->out->t.item[k->w];
    struct wm_buf sig;

    if (!wm_scale_fits(b, k->l, &k->st->out->t.item[k->s], w, from_where(k)))
        return false;
    wm_buf_init(&sig, b->cc->a);
    wm_buf_puts(&sig, (struct wm_str){(const char *)&k->l, sizeof(k->l)});
    wm_buf_puts(&sig, (struct wm_str){(const char *)w->shape, w->rank * sizeof(*w->shape)});
    k->origin.n = 0;
    for (int i = 0; i < 2; i++) {
        wm_buf_puts(&sig, (struct wm_str){(const char *)&mk[i]->geom, sizeof(mk[i]->geom)});
        for (uint32_t s = 0; s < nslot(k, mk[i]); s++) {
            uint32_t t = k->st->slot.item[mk[i]->slot + s], slot = i ? slot_of(k, t) : slot_of(k, b->scale[t].s);
            const struct wm_gt *in = &b->in->t.item[t];

            wm_buf_puts(&sig, (struct wm_str){(const char *)&slot, sizeof(slot)});
            wm_buf_puts(&sig, (struct wm_str){(const char *)in->shape, in->rank * sizeof(*in->shape)});
            wm_buf_puts(&sig, (struct wm_str){(const char *)&b->scale[t].line, sizeof(b->scale[t].line)});
        }
    }
    if (wm_map_get(&k->seen, wm_buf_str(&sig)) != WM_NONE)
        return true;
    if (!compare(k))
        return false;
    wm_map_put(&k->seen, wm_arena_str(b->cc->a, wm_buf_str(&sig)), 1);
    return true;
}

/* A key with the place of another. */
static struct wm_str
at_place(const struct kept *k, struct wm_str key, struct wm_str other)
{
    size_t n = wm_place_key(other).n;
    struct wm_buf out;

    wm_buf_init(&out, k->b->cc->a);
    wm_buf_puts(&out, key);
    wm_buf_puts(&out, (struct wm_str){other.p + n, other.n - n});
    return wm_buf_str(&out);
}

static bool
check_line(struct kept *k)
{
    struct wm_bind *b = k->b;
    const struct wm_rterm *term = k->l->line->scope->side[0].term;
    struct wm_inst x;
    bool ok = true;

    wm_inst_init(b, k->l->line->scope, &x);
    for (uint32_t t = 0; t < k->st->out->t.n && ok; t++) {
        struct wm_str key = k->st->out->t.item[t].key, name = wm_place_key(key), other;
        bool range = false, back = k->l->dtype != WM_DT_N;

        wm_inst_forget(&x);
        if (k->has[t] || !wm_inst_read(b, &x, &term[back ? WM_SCALE_W : WM_SCALE_S].key, name, &range))
            continue;
        if (back) {
            struct wm_diag *d = wm_report(&b->cc->diags, WM_E_REQUANT, k->l->line->item->span, "`%s` would have to be "
                                          "quantised: this line goes from scales and values to weights only",
                                          wm_place_show(b->cc->a, key).p);

            wm_note(&b->cc->diags, d, "which scales it had is not in a weight any more; go back from the files that are "
                    "still quantised, with the line switched off by its `when`");
            return false;
        }
        if (!wm_inst_key(b, &x, &term[WM_SCALE_W], &other))
            continue;
        k->has[t] = true;
        k->s = t;
        k->w = wm_map_get(&k->by_key, at_place(k, other, key));
        if (k->w == WM_NONE) {
            wm_report(&b->cc->diags, WM_E_SCALES, k->l->line->item->span, "`%s` is written without its weight %.*s",
                      wm_place_show(b->cc->a, key).p, WM_STR_ARG(other));
            return false;
        }
        k->has[k->w] = true;
        ok = pair(k);
    }
    return ok;
}

/* What was quantised, or is scales, and is written where no line speaks of it: nobody could tell what belongs to what. */
static bool
check_rest(struct kept *k)
{
    struct wm_bind *b = k->b;
    uint32_t *of = WM_NEW_N(b->cc->a, uint32_t, b->in->t.n); /* of scales: their weight, and one */
    uint32_t before = b->cc->diags.nerror;

    for (uint32_t t = 0; t < b->in->t.n; t++)
        if (b->scale[t].line && b->scale[t].line->dtype == WM_DT_N)
            of[b->scale[t].s] = t + 1;
    for (uint32_t o = 0; o < k->st->out->t.n && b->cc->diags.nerror == before; o++) {
        const struct wm_make *mk = &k->st->make.item[o];

        for (uint32_t i = 0; i < nslot(k, mk) && !k->has[o]; i++) {
            uint32_t t = k->st->slot.item[mk->slot + i];

            if (t >= b->in->t.n)
                continue; /* an adapter's */
            if (of[t])
                wm_report(&b->cc->diags, WM_E_SCALES, b->scale[of[t] - 1].line->line->item->span, "`%s` holds scales of "
                          "`%s`, and no scales line of the side that is written says of what there",
                          show(k, k->st->out, o).p, show(k, b->in, of[t] - 1).p);
            else if (b->scale[t].line && b->scale[t].line->dtype == WM_DT_N)
                wm_report(&b->cc->diags, WM_E_SCALES, b->scale[t].line->line->item->span, "`%s` is made of `%s`, whose scales "
                          "are `%s`, and is written without scales", show(k, k->st->out, o).p, show(k, b->in, t).p,
                          show(k, b->in, b->scale[t].s).p);
            else
                continue;
            break;
        }
    }
    return b->cc->diags.nerror == before;
}

bool
wm_check_scales_kept(struct wm_bind *b, const struct wm_stage *st)
{
    const struct wm_side *side = &b->m->side[b->ws];
    struct kept k = {.b = b, .st = st};
    bool ok = true;

    if (!b->scale)
        return true;
    k.has = WM_NEW_N(b->cc->a, bool, st->out->t.n);
    wm_map_init(&k.by_key, b->cc->a, st->out->t.n);
    wm_map_init(&k.seen, b->cc->a, 16);
    for (uint32_t t = 0; t < st->out->t.n; t++)
        wm_map_put(&k.by_key, st->out->t.item[t].key, t);
    for (uint32_t i = 0; i < side->scale.n && ok; i++) {
        struct wm_scale_bound *l = WM_NEW(b->cc->a, struct wm_scale_bound);

        k.l = l;
        ok = wm_scale_line_of(b, &side->scale.item[i], l) &&
             (!l->holds || check_line(&k));
    }
    return ok && check_rest(&k);
}
