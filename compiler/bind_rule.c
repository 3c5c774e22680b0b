/* compiler/bind_rule.c -- one instance of a rule: finds its input tensors, solves its sizes, adds its outputs.
 *
 * Enters: the values of the rule's variables.  Leaves: outputs and checks in the stage, or diagnostics.  Missing tensors
 * are collected and reported folded at the end. */
#include "base/checked.h"
#include "compiler/bind_geom.h"
#include "compiler/bind_lint.h"

/* Input tensors of the instance, term by term. */
struct found {
    WM_VEC(uint32_t) tensor;     /* number in b->in; WM_NONE: missing */
    uint32_t *first;             /* [nterm + 1] */
    uint32_t present;
};

/* ---- sizes ---- */

static bool
size_of_axis(struct wm_bind *b, const struct wm_inst *x, const struct wm_axis *ax, int64_t *out)
{
    const struct wm_var *var = ax->var == WM_NONE ? NULL : &x->rule->var.item[ax->var];
    struct wm_scope sc = x->scope;
    struct wm_value v;

    *out = -1;
    if (ax->size) {
        sc.nbind = ax->where ? ax->where - 1 : 0;
        if (ax->named) {
            v = wm_eval(&b->be, x->me, NULL, &(struct wm_expr){.kind = WM_EX_NAME, .s = ax->name,
                                                               .span = ax->span});
            if (v.kind == WM_V_INT && v.u.i >= 0)
                return *out = v.u.i, true;
        }
        return wm_eval_size(&b->be, x->me, &sc, ax->size, "the size of an axis", out);
    }
    if (ax->index != WM_NONE) {
        const struct wm_index_values *iv;

        if (x->rule->mod->index.item[ax->index].in_keys && !ax->in_key[b->rs])
            return true; /* solved from a shape */
        iv = wm_index_get(&b->be, x->me, ax->index);
        *out = iv->n;
        return iv->known;
    }
    if (var && var->kind == WM_VAR_WORDS)
        *out = var->nword;
    return true;
}

bool
wm_inst_sizes(struct wm_bind *b, const struct wm_inst *x, struct wm_sizes *z)
{
    bool ok = true;

    z->axis[WM_AX_REST] = -1;
    for (uint32_t i = 1; i < x->rule->axis.n; i++)
        ok &= size_of_axis(b, x, &x->rule->axis.item[i], &z->axis[i]);
    return ok;
}

static void
mismatch(struct wm_bind *b, const struct wm_inst *x, const struct wm_rterm *t, const struct wm_gt *gt,
         const char *what)
{
    struct wm_arena *a = b->cc->a;
    struct wm_buf shape, pat;
    struct wm_diag *d;

    wm_buf_init(&shape, a);
    wm_buf_putc(&shape, '[');
    for (uint32_t k = 0; k < gt->rank; k++)
        wm_buf_printf(&shape, "%s%lld", k ? ", " : "", (long long)gt->shape[k]);
    wm_buf_putc(&shape, ']');
    d = wm_report(&b->cc->diags, WM_E_MISMATCH, t->span, "`%s` has the shape %s, but %s",
                  wm_place_show(a, gt->key).p, shape.p, what);
    wm_buf_init(&pat, a);
    for (uint32_t i = 1; i < x->rule->axis.n; i++) {
        const struct wm_axis *ax = &x->rule->axis.item[i];
        int64_t v;

        if (ax->in_pattern[b->rs] && size_of_axis(b, x, ax, &v) && v >= 0)
            wm_buf_printf(&pat, "%s%.*s = %lld (%.*s)", pat.n ? ", " : "", WM_STR_ARG(ax->name),
                          (long long)v, WM_STR_ARG(ax->from));
    }
    if (pat.n)
        wm_note(&b->cc->diags, d, "sizes: %s", pat.p);
}

/* The dimensions that `...` stands for. */
static bool
take_rest(struct wm_bind *b, const struct wm_inst *x, const struct wm_rterm *t, const struct wm_gt *gt,
          uint32_t first, struct wm_sizes *z)
{
    uint32_t n = gt->rank - (t->ndim - 1);
    int64_t numel;

    if (z->axis[WM_AX_REST] < 0) {
        if (!wm_ck_numel(gt->shape + first, n, &numel))
            return false;
        z->rest = gt->shape + first;
        z->rest_rank = n;
        z->axis[WM_AX_REST] = numel;
        return true;
    }
    if (z->rest_rank == n && memcmp(z->rest, gt->shape + first, n * sizeof(*z->rest)) == 0)
        return true;
    mismatch(b, x, t, gt, "`...` stands for other dimensions in another term");
    return false;
}

/* Solve each dimension with one unknown; *again: something became known.  Where everything is known, compare. */
static bool
solve_term(struct wm_bind *b, const struct wm_inst *x, const struct wm_rterm *t, const struct wm_gt *gt,
           struct wm_sizes *z, bool *again, bool final)
{
    uint32_t at = 0;

    if (t->has_rest ? gt->rank + 1 < t->ndim : gt->rank != t->ndim) {
        mismatch(b, x, t, gt,
                 wm_arena_printf(b->cc->a, "its pattern has %u dimensions", t->ndim - t->has_rest).p);
        return false;
    }
    for (uint32_t d = 0; d < t->ndim; d++) {
        const struct wm_rpat *p = &t->dim[d];
        int64_t want;
        uint32_t axis = 0;

        if (p->kind == WM_PT_REST) {
            if (!take_rest(b, x, t, gt, at, z))
                return false;
            at += gt->rank - (t->ndim - 1);
            continue;
        }
        switch (wm_dim_solve(p, z->axis, gt->shape[at], &axis)) {
        case WM_SOLVED:
            *again = true;
            break;
        case WM_SOLVE_BAD:
            mismatch(b, x, t, gt,
                     wm_arena_printf(b->cc->a, "dimension %u does not divide as the pattern says", at).p);
            return false;
        case WM_SOLVE_NONE:
            if (!wm_dim_size(p, z->axis, &want) || want != gt->shape[at]) {
                mismatch(b, x, t, gt, wm_arena_printf(b->cc->a, "the pattern gives %lld for dimension %u",
                                                      (long long)want, at).p);
                return false;
            }
            break;
        case WM_SOLVE_MANY:
            if (final) {
                mismatch(b, x, t, gt, "the sizes of its axes can't be found");
                return false;
            }
            break;
        }
        at++;
    }
    return true;
}

static bool
solve(struct wm_bind *b, const struct wm_inst *x, const struct found *f, struct wm_sizes *z)
{
    const struct wm_rule *r = x->rule;
    bool again = true;

    while (again) {
        again = false;
        for (uint32_t t = 0; t < r->side[b->rs].nterm; t++)
            if (f->first[t] < f->first[t + 1] &&
                !solve_term(b, x, &r->side[b->rs].term[t], &b->in->t.item[f->tensor.item[f->first[t]]], z,
                            &again, false))
                return false;
    }
    for (uint32_t t = 0; t < r->side[b->rs].nterm; t++)
        for (uint32_t i = f->first[t]; i < f->first[t + 1]; i++)
            if (!solve_term(b, x, &r->side[b->rs].term[t], &b->in->t.item[f->tensor.item[i]], z, &again,
                            true))
                return false;
    for (uint32_t i = 1; i < r->axis.n; i++) {
        const struct wm_axis *ax = &r->axis.item[i];

        if (z->axis[i] < 0 && (ax->in_pattern[b->ws] || ax->in_key[b->ws])) {
            wm_report(&b->cc->diags, WM_E_UNSOLVABLE, ax->span, "the size of `%.*s` can't be found",
                      WM_STR_ARG(ax->name));
            return false;
        }
    }
    return true;
}

bool
wm_inst_solve(struct wm_bind *b, const struct wm_inst *x, const struct wm_rterm *term, const struct wm_gt *const *gt,
              uint32_t n, struct wm_sizes *z)
{
    bool again = true;

    while (again) {
        again = false;
        for (uint32_t t = 0; t < n; t++)
            if (!solve_term(b, x, &term[t], gt[t], z, &again, false))
                return false;
    }
    for (uint32_t t = 0; t < n; t++)
        if (!solve_term(b, x, &term[t], gt[t], z, &again, true))
            return false;
    return true;
}

/* ---- input tensors ---- */

bool
wm_inst_position(struct wm_bind *b, struct wm_inst *x, const struct wm_rterm *t,
                 const struct wm_sizes *z, int64_t n)
{
    int64_t pos[WM_MAX_RANK];

    wm_term_position(b, x, t, z, n, pos);
    for (uint32_t k = 0; k < t->nkey_axis; k++) {
        const struct wm_axis *ax = &x->rule->axis.item[t->key_axis[k]];

        x->value[ax->var] = pos[k];
        x->known[ax->var] = true;
        if (ax->index != WM_NONE) {
            const struct wm_index_values *iv = &x->me->index[ax->index];

            if (iv->known && (pos[k] < 0 || pos[k] >= iv->n))
                return false;
            x->value[ax->var] = iv->known ? wm_index_value(iv, pos[k]) : pos[k];
        }
    }
    return t->nkey_axis == 0 || wm_inst_compose(b, x);
}

static void
note_missing(struct wm_bind *b, const struct wm_inst *x, uint32_t term)
{
    struct wm_missing *m = NULL;

    for (uint32_t i = b->missing.n; i-- > 0 && !m;)
        if (b->missing.item[i].rule == x->rule && b->missing.item[i].term == term)
            m = &b->missing.item[i];
    if (!m) {
        m = WM_PUSH(b->cc->a, &b->missing);
        *m = (struct wm_missing){.rule = x->rule, .term = term};
    }
    if (m->count++ < 16)
        *WM_PUSH(b->cc->a, &m->which) = wm_inst_show(b, x, &x->rule->side[b->rs].term[term].key);
}

/* A tensor by key, or what its alias gives. */
static uint32_t
look_up(struct wm_bind *b, const struct wm_inst *x, struct wm_str key)
{
    uint32_t t, al;

    if (b->led != WM_NONE && wm_str_eq(b->in->t.item[b->led].key, key))
        return b->led;
    t = wm_map_get(&b->in->by_key, key);
    if (t != WM_NONE || x->rule->captures)
        return t;
    al = wm_map_get(&b->alias[b->rs], key);
    return al == WM_NONE ? WM_NONE : wm_map_get(&b->in->by_key, b->alias_y[b->rs].item[al]);
}

/* A key that outlives the scratch: the tensor's own, where it is there under that name. */
static struct wm_str
kept_key(struct wm_bind *b, uint32_t tensor, struct wm_str key)
{
    if (tensor != WM_NONE && wm_str_eq(b->in->t.item[tensor].key, key))
        return b->in->t.item[tensor].key;
    return wm_arena_str(b->cc->a, key);
}

static bool
find_tensors(struct wm_bind *b, struct wm_inst *x, const struct wm_sizes *z, struct found *f)
{
    const struct wm_rule *r = x->rule;

    for (uint32_t t = 0; t < r->side[b->rs].nterm; t++) {
        const struct wm_rterm *term = &r->side[b->rs].term[t];
        int64_t n = wm_term_count(term, r, z);

        f->first[t] = f->tensor.n;
        for (int64_t i = 0; i < n; i++) {
            struct wm_str key;
            uint32_t tensor;

            if (!wm_inst_position(b, x, term, z, i) || !wm_inst_key(b, x, term, &key)) {
                wm_report(&b->cc->diags, WM_E_PICK, term->span, "a value of a key is out of its index");
                return false;
            }
            tensor = look_up(b, x, key);
            if (b->need_claims && !r->captures)
                wm_map_put(&b->claims.key[b->rs], kept_key(b, tensor, key), r->id);
            *WM_PUSH(b->cc->a, &f->tensor) = tensor;
            f->present += tensor != WM_NONE;
        }
    }
    f->first[r->side[b->rs].nterm] = f->tensor.n;
    return true;
}

/* Of an input of which some parts are left out: nothing of the instance is there, as it lies in those. */
static bool
is_left_out(struct wm_bind *b, struct wm_inst *x, const struct wm_sizes *z, const struct found *f)
{
    const struct wm_rule *r = x->rule;

    for (uint32_t t = 0; t < r->side[b->rs].nterm && b->parts && f->present == 0; t++)
        for (uint32_t i = f->first[t]; i < f->first[t + 1]; i++) {
            struct wm_str key;
            uint32_t al;

            if (!wm_inst_position(b, x, &r->side[b->rs].term[t], z, i - f->first[t]) ||
                !wm_inst_key(b, x, &r->side[b->rs].term[t], &key))
                return false;
            key = wm_arena_str(b->cc->a, key);
            al = wm_map_get(&b->alias[b->rs], key);
            if (wm_is_left_out(b, key) || (al != WM_NONE && wm_is_left_out(b, b->alias_y[b->rs].item[al])))
                return true;
        }
    return false;
}

bool
wm_inst_optional(struct wm_bind *b, const struct wm_inst *x, bool *ok)
{
    bool yes = x->rule->optional;

    for (uint32_t i = 0; yes && i < x->rule->optional_if.n; i++)
        if (!wm_eval_bool(&b->be, x->me, &x->scope, x->rule->optional_if.item[i], &yes))
            *ok = yes = false;
    return yes;
}

static void
report_absent(struct wm_bind *b, struct wm_inst *x, const struct wm_sizes *z, const struct found *f)
{
    for (uint32_t t = 0; t < x->rule->side[b->rs].nterm; t++)
        for (uint32_t i = f->first[t]; i < f->first[t + 1]; i++)
            if (f->tensor.item[i] != WM_NONE)
                b->torn[f->tensor.item[i]] = true;
            else if (wm_inst_position(b, x, &x->rule->side[b->rs].term[t], z, i - f->first[t]))
                note_missing(b, x, t);
}

/* Each tensor is read by at most one two-way rule; all of one instance have one dtype. */
static bool
take_tensors(struct wm_bind *b, const struct wm_inst *x, const struct found *f, struct wm_sizes *z)
{
    struct wm_diags *ds = &b->cc->diags;

    for (uint32_t i = 0; i < f->tensor.n; i++) {
        uint32_t t = f->tensor.item[i];
        const struct wm_gt *gt = &b->in->t.item[t];
        struct wm_diag *d;

        if (i > 0 && gt->dtype != z->dtype) {
            wm_report(ds, WM_E_DTYPES, x->rule->span, "`%s` is %s, but `%s` of the same rule is %s",
                      wm_place_show(b->cc->a, gt->key).p, wm_dtype_info[gt->dtype].name,
                      wm_place_show(b->cc->a, b->in->t.item[f->tensor.item[0]].key).p,
                      wm_dtype_info[z->dtype].name);
            return false;
        }
        z->dtype = gt->dtype;
        b->used[t] = WM_USE_READ;
        if (x->rule->arrow != WM_AR_BOTH)
            continue;
        if (b->reader[t] && b->reader[t] != x->rule && wm_map_get(&b->alias[b->rs], gt->key) == WM_NONE &&
            !wm_is_alias_source(b, gt->key)) {
            d = wm_report(ds, WM_E_KEY_CLASH, x->rule->span, "`%s` is claimed by two rules",
                          wm_place_show(b->cc->a, gt->key).p);
            wm_label(ds, d, b->reader[t]->span, "also claimed here");
            return false;
        }
        b->reader[t] = x->rule;
    }
    return true;
}

/* ---- outputs ---- */

static void
add_make(struct wm_bind *b, const struct wm_inst *x, const struct wm_vout *o, const struct found *f,
         struct wm_make *mk)
{
    *mk = (struct wm_make){.geom = o->geom, .slot = b->stage->slot.n, .nunit = o->nunit,
                           .rule = x->rule, .span = x->rule->span, .replica = o->replica, .pad = o->pad};
    for (uint32_t s = 0; s < o->nslot; s++)
        *WM_PUSH(b->cc->a, &b->stage->slot) = f->tensor.item[o->slot[s]];
}

static bool
add_output(struct wm_bind *b, struct wm_inst *x, struct wm_str key, const struct wm_vout *o,
           const struct found *f)
{
    struct wm_tset *out = b->stage->out;
    uint32_t id = out->t.n, was;

    was = wm_map_put(&out->by_key, key, id);
    if (was != id) {
        struct wm_diag *d = wm_report(&b->cc->diags, WM_E_WRITTEN_TWICE, x->rule->span,
                                      "`%s` would be written twice", wm_place_show(b->cc->a, key).p);

        if (b->stage->make.item[was].rule != x->rule)
            wm_label(&b->cc->diags, d, b->stage->make.item[was].rule->span, "also written here");
        return false;
    }
    wm_tset_add(b->cc, out, &(struct wm_gt){.key = key, .dtype = o->dtype, .rank = o->rank,
                                            .shape = o->shape});
    add_make(b, x, o, f, WM_PUSH(b->cc->a, &b->stage->make));
    return true;
}

static bool
add_outputs(struct wm_bind *b, struct wm_inst *x, const struct wm_sizes *z, const struct found *f,
            struct wm_rule_cache *cache)
{
    const struct wm_rule *r = x->rule;
    uint32_t at = 0, known = cache->variant.n;
    struct wm_variant *v = wm_variant_get(b, x, z, cache);

    if (!v)
        return false;
    if (b->lint && r->has_pattern && cache->variant.n > known)
        wm_lint_axes(b, x, z); /* the same for all instances of these sizes */
    for (uint32_t t = 0; t < r->side[b->ws].nterm; t++) {
        int64_t n = wm_term_count(&r->side[b->ws].term[t], r, z);

        for (int64_t i = 0; i < n; i++) {
            struct wm_str key;

            if (!wm_inst_position(b, x, &r->side[b->ws].term[t], z, i) ||
                !wm_inst_key(b, x, &r->side[b->ws].term[t], &key)) {
                wm_report(&b->cc->diags, WM_E_PICK, r->side[b->ws].term[t].span,
                          "a value of a key is out of its index");
                return false;
            }
            key = wm_arena_str(b->cc->a, key);
            if (b->need_claims && !r->captures)
                wm_map_put(&b->claims.key[b->ws], key, r->id);
            if (wm_is_ignored(b, b->ws, wm_place_key(key))) {
                at++;
                continue;
            }
            if (!add_output(b, x, key, &v->out[at++], f))
                return false;
        }
    }
    for (uint32_t i = 0; i < v->check.n; i++)
        add_make(b, x, &v->check.item[i], f, WM_PUSH(b->cc->a, &b->stage->check));
    return true;
}

/* Keys that a rule claims on the side it writes even where its inputs are absent, as far as its sizes are known. */
static void
claim_outputs(struct wm_bind *b, struct wm_inst *x, const struct wm_sizes *z)
{
    for (uint32_t t = 0; t < x->rule->side[b->ws].nterm; t++) {
        const struct wm_rterm *term = &x->rule->side[b->ws].term[t];
        bool known = true;

        for (uint32_t k = 0; k < term->nkey_axis; k++)
            known &= z->axis[term->key_axis[k]] >= 0;
        for (int64_t i = 0; known && i < wm_term_count(term, x->rule, z); i++) {
            struct wm_str key;

            if (wm_inst_position(b, x, term, z, i) && wm_inst_key(b, x, term, &key))
                wm_map_put(&b->claims.key[b->ws], wm_arena_str(b->cc->a, key), x->rule->id);
        }
    }
}

/* What is known of the instance, for warnings. */
static void
lint(struct wm_bind *b, struct wm_inst *x, const struct wm_sizes *z)
{
    const struct wm_rule *r = x->rule;

    for (int s = 0; s < 2; s++)
        for (uint32_t t = 0; t < r->side[s].nterm && b->m->shard.n > 0; t++)
            for (int64_t i = 0; i < wm_term_count(&r->side[s].term[t], r, z); i++) {
                struct wm_str key;

                if (wm_inst_position(b, x, &r->side[s].term[t], z, i) &&
                    wm_inst_key(b, x, &r->side[s].term[t], &key))
                    wm_lint_term(b, s, key, x, &r->side[s].term[t], z);
            }
}

bool
wm_bind_instance(struct wm_bind *b, struct wm_inst *x, struct wm_rule_cache *cache)
{
    const struct wm_rule *r = x->rule;
    struct wm_sizes z = {.axis = cache->size};
    struct found f = {.first = cache->first};
    bool ok = true;

    f.tensor.item = cache->tensor.item;
    f.tensor.cap = cache->tensor.cap;
    ok = wm_inst_sizes(b, x, &z) && find_tensors(b, x, &z, &f);
    cache->tensor.item = f.tensor.item;
    cache->tensor.cap = f.tensor.cap;
    if (!ok)
        return false;
    if (f.present < f.tensor.n) {
        if (b->need_claims && !r->captures)
            claim_outputs(b, x, &z);
        if (!is_left_out(b, x, &z, &f) && (f.present > 0 || !wm_inst_optional(b, x, &ok)))
            report_absent(b, x, &z, &f);
        return ok;
    }
    if (!take_tensors(b, x, &f, &z))
        return false;
    if (r->pipeline) {
        z.npipe = f.tensor.n;
        z.pipe = WM_NEW_N(b->cc->a, const struct wm_gt *, f.tensor.n);
        for (uint32_t i = 0; i < f.tensor.n; i++)
            z.pipe[i] = &b->in->t.item[f.tensor.item[i]];
        if (!wm_pipe_solve(b, x, &z))
            return false;
    } else if (!solve(b, x, &f, &z)) {
        return false;
    }
    if (b->lint && r->has_pattern)
        lint(b, x, &z);
    return add_outputs(b, x, &z, &f, cache);
}

/* A one-way rule in the other direction: its keys are known, and are not carried. */
bool
wm_bind_not_carried(struct wm_bind *b, struct wm_inst *x, struct wm_rule_cache *cache)
{
    struct wm_sizes z = {.axis = cache->size};
    struct found f = {.first = cache->first};

    if (!wm_inst_sizes(b, x, &z) || !find_tensors(b, x, &z, &f))
        return false;
    for (uint32_t i = 0; i < f.tensor.n; i++) {
        uint32_t t = f.tensor.item[i];

        if (t == WM_NONE || b->used[t])
            continue;
        b->used[t] = WM_USE_NOT_CARRIED;
        *WM_PUSH(b->cc->a, &b->g->not_carried) = b->in->t.item[t].key;
    }
    return true;
}
