/* compiler/mini_invent.c -- tensors for every instance of a chain's rules, headers only.
 *
 * Enters: settings for all that the maps read.  Leaves: the tensors of the first reading side.
 * Links are taken from the last to the first: what a link reads must be what the one before it
 * writes, so that its shapes are known there already.  Tensors of patterns come first, whole
 * tensors after. */
#include "base/checked.h"
#include "compiler/check.h"
#include "compiler/mini_priv.h"
#include "compiler/op.h"
#include "compiler/scalar.h"

enum { WM_MINI_TENSORS = 100000, WM_MINI_ELEMS = 1 << 24 };

/* ---- types ---- */

static uint32_t
bits_of(enum wm_dtype t)
{
    return wm_dtype_info[t].bits;
}

/* The type that a rule's operations want to read, and the narrowest that they pass through. */
static enum wm_dtype
dtype_of(struct wm_bind *b, const struct wm_rule *r, enum wm_dtype *narrow)
{
    bool undo = r->arrow == WM_AR_BOTH && b->back;
    enum wm_dtype first = WM_DT_N;

    *narrow = WM_DT_F32;
    if (r->side[b->ws].fill) {
        first = wm_dtype_by_name(r->side[b->ws].fill->dtype);
        return *narrow = first == WM_DT_N ? WM_DT_F32 : first;
    }
    for (uint32_t i = 0; i < r->ast->nop; i++) {
        const struct wm_opcall *op = &r->ast->op[b->back ? r->ast->nop - 1 - i : i];
        bool cast = wm_str_eq(op->name, WM_STR("cast")) || wm_str_eq(op->name, WM_STR("uncast"));

        for (uint32_t k = 0; k < op->narg && cast; k++) {
            enum wm_dtype t = wm_dtype_value(&b->be, wm_menv_of(&b->be, r->mod), NULL, op->arg[k]);

            if (t == WM_DT_N)
                continue;
            if (bits_of(t) < bits_of(*narrow))
                *narrow = t;
            if (first == WM_DT_N && k == (undo ? op->narg - 1 : 0) && (undo || op->narg == 2))
                first = t;
        }
    }
    if (first == WM_DT_N)
        first = WM_DT_F32;
    if (bits_of(first) < bits_of(*narrow))
        *narrow = first;
    return first;
}

/* ---- making them ---- */

static bool
add_tensor(struct wm_invent *v, const struct wm_inst *x, struct wm_gt *gt, enum wm_dtype narrow)
{
    struct wm_tset *in = v->b.in;
    int64_t n;

    if (!wm_ck_numel(gt->shape, gt->rank, &n) || n > WM_MINI_ELEMS ||
        v->nelem + n > WM_MINI_ELEMS || in->t.n >= WM_MINI_TENSORS) {
        wm_report(&v->b.cc->diags, WM_E_EXTENTS, x->rule->span,
                  "a small checkpoint would not be small");
        return false;
    }
    v->nelem += n;
    wm_map_put(&in->by_key, gt->key, in->t.n);
    wm_tset_add(v->b.cc, in, gt);
    *WM_PUSH(v->b.cc->a, &v->narrow) = (uint8_t)narrow;
    return true;
}

static bool
shape_of(struct wm_invent *v, const struct wm_rterm *t, const struct wm_sizes *z, struct wm_gt *gt)
{
    int64_t *shape = WM_NEW_N(v->b.cc->a, int64_t, t->ndim + z->rest_rank);

    for (uint32_t d = 0; d < t->ndim; d++) {
        if (t->dim[d].kind != WM_PT_REST) {
            if (!wm_dim_size(&t->dim[d], z->axis, &shape[gt->rank]))
                return false;
            gt->rank++;
        } else {
            for (uint32_t k = 0; k < z->rest_rank; k++)
                shape[gt->rank++] = z->rest[k];
        }
    }
    gt->shape = shape;
    return gt->rank <= WM_MAX_RANK;
}

/* Is another tensor read where this one is absent? */
static bool
is_alias(const struct wm_invent *v, const struct wm_rule *r, struct wm_str key)
{
    return !r->captures && wm_map_get(&v->b.alias[v->b.rs], key) != WM_NONE;
}

static bool
make_tensors(struct wm_invent *v, struct wm_inst *x, const struct wm_sizes *z)
{
    const struct wm_rule *r = x->rule;
    enum wm_dtype narrow, dtype = dtype_of(&v->b, r, &narrow);

    for (uint32_t t = 0; t < r->side[v->b.rs].nterm; t++)
        for (int64_t i = 0; i < wm_term_count(&r->side[v->b.rs].term[t], r, z); i++) {
            struct wm_gt gt = {.key = wm_invent_key(v, x, v->b.rs, t, z, i), .dtype = dtype};

            if (is_alias(v, r, gt.key))
                continue; /* another tensor is read in its place */
            *v->covered = true;
            if (wm_map_get(&v->b.in->by_key, gt.key) != WM_NONE)
                continue;
            if (!shape_of(v, &r->side[v->b.rs].term[t], z, &gt))
                return wm_invent_unfit(v, x, gt.key);
            if (!add_tensor(v, x, &gt, narrow))
                return false;
        }
    return true;
}

/* A rule by operations: shapes that go through them. */
static bool
make_by_operations(struct wm_invent *v, struct wm_inst *x, struct wm_sizes *z)
{
    const struct wm_rule *r = x->rule;
    enum wm_dtype narrow, dtype = dtype_of(&v->b, r, &narrow);
    WM_VEC(struct wm_gt) list = {0};
    bool any = false;

    for (uint32_t i = 1; i < r->axis.n; i++)
        if (z->axis[i] < 0 && (r->axis.item[i].in_key[0] || r->axis.item[i].in_key[1]))
            z->axis[i] = wm_invent_size(v, r, z, r->axis.item[i].name);
    for (uint32_t t = 0; t < r->side[v->b.rs].nterm; t++)
        for (int64_t i = 0; i < wm_term_count(&r->side[v->b.rs].term[t], r, z); i++) {
            struct wm_str key = wm_invent_key(v, x, v->b.rs, t, z, i);
            uint32_t id = wm_map_get(&v->b.in->by_key, key);

            *WM_PUSH(v->b.cc->a, &list) =
                id == WM_NONE ? (struct wm_gt){.key = key, .dtype = dtype} : v->b.in->t.item[id];
            any |= id == WM_NONE;
        }
    *v->covered = true;
    if (!any)
        return true;
    if (!wm_mini_pipe(&v->b, x, z, wm_settings_inner(v->set, WM_SET_SCALE, 1), dtype,
                      v->last == r && v->nhint == list.n ? v->hint : NULL, v->tries, list.item,
                      list.n))
        return wm_invent_unfit(v, x, list.item[0].key);
    v->last = r;
    v->hint = list.item;
    v->nhint = list.n;
    for (uint32_t i = 0; i < list.n; i++)
        if (wm_map_get(&v->b.in->by_key, list.item[i].key) == WM_NONE &&
            !add_tensor(v, x, &list.item[i], narrow))
            return false;
    return true;
}

/* An instance that may be absent and that the next link has nothing for, or whose keys are left aside. */
static bool
unwanted(struct wm_invent *v, struct wm_inst *x, const struct wm_sizes *z)
{
    const struct wm_rule *r = x->rule;
    bool ok = true, wanted = v->next == NULL || !wm_inst_optional(&v->b, x, &ok);

    for (int s = 0; s < 2; s++)
        for (uint32_t t = 0; t < r->side[s].nterm; t++) {
            const struct wm_rterm *term = &r->side[s].term[t];
            int64_t n = wm_invent_keys_known(term, z) ? wm_term_count(term, r, z) : 0;

            for (int64_t i = 0; i < n; i++) {
                struct wm_str key = wm_invent_key(v, x, s, t, z, i);

                if (s == v->b.rs && wm_is_ignored(&v->b, s, wm_place_key(key)))
                    return true;
                if (s == v->b.ws) {
                    wm_map_put(&v->made, key, 0);
                    wanted |= v->next && wm_map_get(&v->next->by_key, key) != WM_NONE;
                }
            }
        }
    return !wanted;
}

static bool
invent_instance(struct wm_bind *b, struct wm_inst *x, struct wm_rule_cache *c)
{
    struct wm_invent *v = (struct wm_invent *)b;
    struct wm_sizes z = {.axis = c->size};

    if (!wm_inst_sizes(b, x, &z))
        return false;
    if (!x->rule->side[b->rs].fill && unwanted(v, x, &z))
        return true;
    if (x->rule->side[b->rs].fill) {
        *v->covered = true;
        return true;
    }
    if (x->rule->pipeline)
        return make_by_operations(v, x, &z);
    if (!wm_invent_solve(v, x, &z))
        return false;
    wm_invent_count_equal(v, x->rule, &z);
    return make_tensors(v, x, &z);
}

/* ---- rules ---- */

/* Captures: the texts that the next link asks for, or any. */
static bool
invent_captures(struct wm_invent *v, const struct wm_rule *r, struct wm_inst *x,
                struct wm_rule_cache *c)
{
    if (!v->next) {
        for (uint32_t i = 0; i < r->var.n; i++)
            if (r->var.item[i].kind == WM_VAR_CAPTURE) {
                x->text[i] = WM_STR("mini");
                x->known[i] = true;
            }
        return wm_each_tuple(&v->b, x, invent_instance, c);
    }
    for (uint32_t i = 0; i < v->next->t.n; i++) {
        bool ok = true;

        for (uint32_t t = 0; t < r->side[v->b.ws].nterm; t++)
            if (wm_map_get(&v->made, v->next->t.item[i].key) == WM_NONE &&
                wm_inst_match(&v->b, x, &r->side[v->b.ws].term[t], v->next->t.item[i].key) &&
                wm_inst_holds(&v->b, x, &ok) && !invent_instance(&v->b, x, c))
                return false;
        if (!ok)
            return false;
    }
    return true;
}

/* In which round is a rule's turn? */
static uint32_t
round_of(const struct wm_rule *r)
{
    return (r->captures ? 2u : 0u) + (r->pipeline || r->has_pattern ? 0u : 1u);
}

static bool
invent_rules(struct wm_invent *v, bool *covered)
{
    struct wm_bind *b = &v->b;

    for (uint32_t round = 0; round < 4; round++)
        for (uint32_t i = 0; i < b->m->rule.n; i++) {
            const struct wm_rule *r = b->m->rule.item[i];
            struct wm_rule_cache c = {.size = WM_NEW_N(b->cc->a, int64_t, r->axis.n)};
            struct wm_inst x;

            if (round_of(r) != round)
                continue;
            v->covered = &covered[i];
            v->most_equal = 0;
            if (r->arrow != WM_AR_BOTH && r->arrow != (b->back ? WM_AR_BACKWARD : WM_AR_FORWARD)) {
                *v->covered = true; /* never in this direction */
                continue;
            }
            wm_inst_init(b, r, &x);
            if (!(r->captures ? invent_captures(v, r, &x, &c)
                              : wm_each_tuple(b, &x, invent_instance, &c)))
                return false;
        }
    return true;
}

/* What an alias stands for, where only a rule with a capture reads it. */
static bool
invent_alias_sources(struct wm_invent *v, bool *covered)
{
    struct wm_bind *b = &v->b;

    for (uint32_t a = 0; a < b->alias_y[b->rs].n; a++)
        for (uint32_t i = 0; i < b->m->rule.n; i++) {
            const struct wm_rule *r = b->m->rule.item[i];
            struct wm_rule_cache c = {.size = WM_NEW_N(b->cc->a, int64_t, r->axis.n)};
            struct wm_inst x;
            bool ok = true;

            if (!r->captures || wm_map_get(&b->in->by_key, b->alias_y[b->rs].item[a]) != WM_NONE)
                continue;
            v->covered = &covered[i];
            wm_inst_init(b, r, &x);
            for (uint32_t t = 0; t < r->side[b->rs].nterm; t++)
                if (wm_inst_match(b, &x, &r->side[b->rs].term[t], b->alias_y[b->rs].item[a]) &&
                    wm_inst_holds(b, &x, &ok) && !invent_instance(b, &x, &c))
                    return false;
            if (!ok)
                return false;
        }
    return true;
}

/* ---- what the maps ask of an input that is not there ---- */

static bool
exists(void *user, struct wm_str key)
{
    const struct wm_invent *v = user;

    (void)key;
    return wm_settings_inner(v->set, WM_SET_EXISTS, 0) != 0;
}

static bool
values_in_keys(void *user, struct wm_menv *me, uint32_t index, struct wm_index_values *out)
{
    struct wm_invent *v = user;
    struct wm_str name = me->mod->index.item[index].name;
    uint32_t k = wm_map_get(&v->sizes, name);

    if (k == WM_NONE) {
        k = v->size.n;
        wm_map_put(&v->sizes, name, k);
        *WM_PUSH(v->b.cc->a, &v->size) =
            wm_mini_prime(k % 4) * wm_settings_inner(v->set, WM_SET_SCALE, 1);
    }
    out->n = v->size.item[k];
    return true;
}

/* ---- links ---- */

static void
begin(struct wm_invent *v, struct wm_cc *cc, const struct wm_chain_link *l,
      const struct wm_bind_opts *o, const wm_settings *s, const struct wm_tset *next,
      struct wm_graph *g)
{
    struct wm_bind *b = &v->b;

    *v = (struct wm_invent){.set = s, .next = next};
    *b = (struct wm_bind){
        .cc = cc, .g = g, .o = o, .m = l->module, .back = l->inverse != o->reverse};
    b->rs = b->back;
    b->ws = !b->back;
    b->be = (struct wm_benv){.cc = cc,
                             .root = l->module,
                             .config = o->config_tree,
                             .config_path = WM_STR("the configuration"),
                             .exists = exists,
                             .keys = values_in_keys,
                             .user = v,
                             .define = o->define,
                             .ndefine = o->ndefine};
    wm_benv_enter(&b->be, l);
    wm_buf_init(&b->key, cc->a);
    wm_map_init(&v->made, cc->a, 64);
    wm_map_init(&v->sizes, cc->a, 64);
    b->in = WM_NEW(cc->a, struct wm_tset);
    wm_map_init(&b->in->by_key, cc->a, 64);
}

static struct wm_graph *
new_graph(struct wm_cc *cc)
{
    struct wm_graph *g = WM_NEW(cc->a, struct wm_graph);

    g->cc = cc;
    *WM_PUSH(cc->a, &g->elem) = (struct wm_elem){.kind = WM_EL_COPY};
    *WM_PUSH(cc->a, &g->geom) = (struct wm_geom){.nslot = 1};
    return g;
}

/* The tensors as the side's files hold them: its writing, with nothing before it. */
static bool
place(struct wm_invent *v, struct wm_invented *out)
{
    struct wm_bind w = v->b;
    struct wm_stage *s = wm_stage_new(w.g, v->b.in);

    w.ws = v->b.rs;
    w.rs = v->b.ws;
    w.back = !v->b.back;
    for (uint32_t i = 0; i < v->b.in->t.n; i++) {
        wm_map_put(&s->out->by_key, v->b.in->t.item[i].key, i);
        wm_stage_pass(w.g, s, i, &v->b.in->t.item[i]);
    }
    s = wm_bind_write_side(&w, s);
    if (!s)
        return false;
    out->root = w.m->side[w.ws].root;
    out->placed = s->out;
    out->of = WM_NEW_N(w.cc->a, uint32_t, s->out->t.n);
    for (uint32_t i = 0; i < s->out->t.n; i++)
        out->of[i] =
            w.g->geom.item[s->make.item[i].geom].nslot ? s->slot.item[s->make.item[i].slot] : 0;
    return true;
}

/* Aliases of what is read come behind the rules of all links. */
static void
cover_aliases(struct wm_invent *v, bool *covered)
{
    const struct wm_side *sd = &v->b.m->side[v->b.rs];

    for (uint32_t i = 0; i < sd->item.n; i++) {
        if (sd->item.item[i]->kind != WM_SI_ALIAS)
            continue;
        for (uint32_t k = 0; k < v->b.alias_span[v->b.rs].n; k++)
            *covered |= v->b.alias_span[v->b.rs].item[k].off == sd->item.item[i]->span.off;
        covered++;
    }
}

bool
wm_mini_invent(struct wm_cc *cc, const struct wm_chain *c, const wm_settings *s,
               const struct wm_bind_opts *o, uint32_t *tries, struct wm_invented *out)
{
    struct wm_graph *g = new_graph(cc);
    const struct wm_tset *next = NULL;
    uint32_t nrule = 0, before = cc->diags.nerror;

    *out = (struct wm_invented){.covered = WM_NEW_N(cc->a, bool, wm_mini_items(c, o->reverse))};
    for (uint32_t i = 0; i < c->link.n; i++)
        nrule += c->link.item[i].module->rule.n;
    for (uint32_t i = 0, at = nrule; i < c->link.n; i++) {
        const struct wm_chain_link *l = &c->link.item[o->reverse ? i : c->link.n - 1 - i];
        struct wm_invent *v = WM_NEW(cc->a, struct wm_invent);

        at -= l->module->rule.n;
        begin(v, cc, l, o, s, next, g);
        v->nequal = &out->nequal;
        v->tries = tries;
        if (!wm_bind_aliases(&v->b, 0) || !wm_bind_aliases(&v->b, 1) ||
            !invent_rules(v, out->covered + at) || !invent_alias_sources(v, out->covered + at) ||
            cc->diags.nerror != before)
            return false;
        next = v->b.in;
        if (i + 1 < c->link.n)
            continue;
        cover_aliases(v, out->covered + nrule);
        out->logical = v->b.in;
        out->narrow.item = v->narrow.item;
        out->narrow.n = v->narrow.n;
        return place(v, out) && cc->diags.nerror == before;
    }
    return false;
}

/* ---- items ---- */

static const struct wm_side *
reading_side(const struct wm_chain *c, bool reverse)
{
    const struct wm_chain_link *l = &c->link.item[reverse ? c->link.n - 1 : 0];

    return &l->module->side[l->inverse != reverse];
}

uint32_t
wm_mini_items(const struct wm_chain *c, bool reverse)
{
    const struct wm_side *sd = reading_side(c, reverse);
    uint32_t n = 0;

    for (uint32_t i = 0; i < c->link.n; i++)
        n += c->link.item[i].module->rule.n;
    for (uint32_t i = 0; i < sd->item.n; i++)
        n += sd->item.item[i]->kind == WM_SI_ALIAS;
    return n;
}

const char *
wm_mini_item(const struct wm_chain *c, bool reverse, uint32_t i, struct wm_span *span)
{
    const struct wm_side *sd = reading_side(c, reverse);

    for (uint32_t k = 0; k < c->link.n; k++) {
        const struct wm_module *m = c->link.item[reverse ? c->link.n - 1 - k : k].module;

        if (i < m->rule.n) {
            *span = m->rule.item[i]->span;
            return "rule";
        }
        i -= m->rule.n;
    }
    for (uint32_t k = 0; k < sd->item.n; k++)
        if (sd->item.item[k]->kind == WM_SI_ALIAS && i-- == 0) {
            *span = sd->item.item[k]->span;
            break;
        }
    return "alias";
}
