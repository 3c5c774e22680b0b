/* compiler/bind_rules.c -- all rules over the tensors that are read.
 *
 * Named rules first: each tuple of their common variables is an instance.  Then the rules with captures, the stronger
 * before the weaker: each match of an input key that no stronger rule claims is an instance. */
#include <stdlib.h>

#include "compiler/bind_geom.h"
#include "compiler/check.h"

static void
cache_init(struct wm_bind *b, const struct wm_rule *r, struct wm_rule_cache *c)
{
    *c = (struct wm_rule_cache){.size = WM_NEW_N(b->cc->a, int64_t, r->axis.n),
                                  .first = WM_NEW_N(b->cc->a, uint32_t, r->side[b->rs].nterm + 1)};
    wm_map_init(&c->seen, b->cc->a, 8);
    wm_buf_init(&c->sig, b->cc->a);
}

/* ---- named rules ---- */

/* Number of values of a variable that one instance fixes. */
static bool
count_of(struct wm_bind *b, const struct wm_inst *x, const struct wm_var *v, int64_t *n)
{
    const struct wm_index_values *iv;

    if (v->kind == WM_VAR_WORDS)
        return *n = v->nword, true;
    iv = wm_index_get(&b->be, x->me, v->index);
    *n = iv->n;
    return iv->known;
}

static void
set_value(struct wm_bind *b, struct wm_inst *x, uint32_t var, int64_t ordinal)
{
    const struct wm_var *v = &x->rule->var.item[var];

    x->known[var] = true;
    x->value[var] = v->kind == WM_VAR_WORDS
                        ? ordinal
                        : wm_index_value(wm_index_get(&b->be, x->me, v->index), ordinal);
}

bool
wm_each_tuple(struct wm_bind *b, struct wm_inst *x, wm_instance_fn *fn, struct wm_rule_cache *cache)
{
    const struct wm_rule *r = x->rule;
    uint32_t var[WM_MAX_RANK], n = 0, i;
    int64_t count[WM_MAX_RANK], at[WM_MAX_RANK] = {0};
    bool ok = true;

    for (uint32_t v = 0; v < r->var.n && n < WM_MAX_RANK; v++) {
        const struct wm_var *d = &r->var.item[v];

        if (!d->common || d->kind == WM_VAR_COMPOSITE || d->kind == WM_VAR_CAPTURE)
            continue;
        if (!count_of(b, x, d, &count[n]))
            return false;
        if (count[n] == 0)
            return true;
        var[n++] = v;
    }
    do {
        for (i = 0; i < n; i++)
            set_value(b, x, var[i], at[i]);
        if (wm_inst_compose(b, x) && wm_inst_holds(b, x, &ok))
            ok &= fn(b, x, cache);
        for (i = n; i > 0 && ++at[i - 1] == count[i - 1]; i--)
            at[i - 1] = 0;
    } while (i > 0 && (ok || b->cc->diags.nerror < 100));
    return ok;
}

static bool
runs_here(const struct wm_bind *b, const struct wm_rule *r)
{
    return r->arrow == WM_AR_BOTH || r->arrow == (b->back ? WM_AR_BACKWARD : WM_AR_FORWARD);
}

static bool
bind_named(struct wm_bind *b, const struct wm_rule *r)
{
    struct wm_rule_cache c;
    struct wm_inst x;

    cache_init(b, r, &c);
    wm_inst_init(b, r, &x);
    return wm_each_tuple(b, &x, runs_here(b, r) ? wm_bind_instance : wm_bind_not_carried, &c);
}

/* ---- rules with captures ---- */

bool
wm_inst_match(struct wm_bind *b, struct wm_inst *x, const struct wm_rterm *t, struct wm_str joined)
{
    bool range = false;

    wm_inst_forget(x);
    if (!wm_inst_read(b, x, &t->key, wm_place_key(joined), &range))
        return false;
    for (uint32_t i = 0; i < t->nplace; i++) {
        int64_t v;

        if (!wm_place_get(joined, x->rule->var.item[t->place[i]].name, &v) ||
            !wm_inst_set(b, x, t->place[i], v))
            return false;
    }
    return wm_inst_compose(b, x);
}

/* May the stronger of two rules hold the weaker one off a key of that term?  Where one of them is one-way, a key may be
 * read by both, and what writes it is seen key by key: then only a template that is strictly inside of the other does. */
static bool
holds_off(struct wm_bind *b, const struct wm_rule *r, const struct wm_rterm *by, const struct wm_rule *weaker,
          const struct wm_rterm *t)
{
    const struct wm_rterm *pair[2] = {by, t};
    struct wm_str key = {(const char *)pair, sizeof(pair)};
    uint32_t known;

    if (r->arrow == WM_AR_BOTH && weaker->arrow == WM_AR_BOTH)
        return true;
    known = wm_map_get(&b->held_off, key);
    if (known == WM_NONE)
        known = wm_map_put(&b->held_off, wm_arena_str(b->cc->a, key),
                           wm_key_inside(b->cc->a, &by->key, &t->key, NULL) &&
                               !wm_key_inside(b->cc->a, &t->key, &by->key, NULL));
    return known;
}

/* Does a stronger rule with captures claim the key of that term of x? */
static bool
claimed(struct wm_bind *b, const struct wm_inst *of, uint32_t strength, int side, const struct wm_rterm *term,
        struct wm_str key)
{
    bool ok = true;

    if (wm_map_get(&b->claims.key[side], key) != WM_NONE || wm_is_ignored(b, side, wm_place_key(key)) ||
        wm_map_get(&b->alias[side], key) != WM_NONE)
        return true;
    for (uint32_t i = 0; i < strength; i++) {
        const struct wm_rule *r = b->rules.item[i];
        struct wm_inst x;

        if (!r->captures)
            continue;
        wm_inst_init(b, r, &x);
        for (uint32_t t = 0; t < r->side[side].nterm; t++)
            if (wm_inst_match(b, &x, &r->side[side].term[t], key) && wm_inst_holds(b, &x, &ok) &&
                holds_off(b, r, &r->side[side].term[t], of->rule, term))
                return true;
    }
    return false;
}

/* Is there nothing that could claim a key of a rule of that strength? */
static bool
is_unrivalled(const struct wm_bind *b, uint32_t strength)
{
    uint32_t rivals = 0;

    for (int s = 0; s < 2; s++)
        rivals += b->claims.key[s].n + b->ignore[s].n + b->alias[s].n;
    for (uint32_t i = 0; i < strength; i++)
        rivals += b->rules.item[i]->captures;
    return rivals == 0;
}

/* May the instance exist: does no stronger rule claim one of its keys on either side? */
static bool
free_of_claims(struct wm_bind *b, struct wm_inst *x, uint32_t strength)
{
    for (int s = 0; s < 2; s++)
        for (uint32_t t = 0; t < x->rule->side[s].nterm; t++) {
            struct wm_str key;

            if (x->rule->side[s].term[t].nkey_axis > 0)
                continue; /* its keys are not one; they clash at bind if they do */
            if (!wm_inst_key(b, x, &x->rule->side[s].term[t], &key) ||
                claimed(b, x, strength, s, &x->rule->side[s].term[t], key))
                return false;
        }
    return true;
}

/* The common variables of an instance as text: an instance is bound once, whichever of its keys led to it. */
static struct wm_str
identity(struct wm_buf *id, const struct wm_inst *x)
{
    id->n = 0;
    for (uint32_t v = 0; v < x->rule->var.n; v++) {
        const struct wm_var *d = &x->rule->var.item[v];

        if (!d->common || d->kind == WM_VAR_COMPOSITE)
            continue;
        if (d->kind == WM_VAR_CAPTURE)
            wm_buf_puts(id, x->text[v]);
        else
            wm_buf_puts(id, (struct wm_str){(const char *)&x->value[v], sizeof(x->value[v])});
        wm_buf_putc(id, '\0');
    }
    return wm_buf_str(id);
}

/* Which instances of a rule are bound. */
struct done {
    bool unrivalled;
    bool each_once; /* one term of one key: another key is another instance */
    struct wm_map map;
    struct wm_buf id;
};

static bool
bind_match(struct wm_bind *b, struct wm_inst *x, uint32_t strength, struct done *done,
           struct wm_rule_cache *c)
{
    bool ok = true;
    struct wm_str id;

    if (!wm_inst_holds(b, x, &ok) || (!done->unrivalled && !free_of_claims(b, x, strength)))
        return ok;
    if (!runs_here(b, x->rule))
        return wm_bind_not_carried(b, x, c);
    if (done->each_once)
        return wm_bind_instance(b, x, c);
    id = identity(&done->id, x);
    if (wm_map_get(&done->map, id) != WM_NONE)
        return true;
    wm_map_put(&done->map, wm_arena_str(b->cc->a, id), 0);
    return wm_bind_instance(b, x, c);
}

static bool
bind_captures(struct wm_bind *b, uint32_t strength)
{
    const struct wm_rule *r = b->rules.item[strength];
    struct wm_rule_cache c;
    struct wm_inst x;
    struct done done = {.unrivalled = is_unrivalled(b, strength),
                        .each_once = r->side[b->rs].nterm == 1 && r->side[b->rs].term[0].nkey_axis == 0};
    bool ok = true;

    cache_init(b, r, &c);
    wm_inst_init(b, r, &x);
    wm_map_init(&done.map, b->cc->a, 64);
    wm_buf_init(&done.id, b->cc->a);
    for (uint32_t i = 0; i < b->in->t.n && (ok || b->cc->diags.nerror < 100); i++) {
        /* read already by another that goes both ways, unless that was through an alias: then claims decide */
        if (b->reader[i] && r->arrow == WM_AR_BOTH && !wm_is_alias_source(b, b->in->t.item[i].key))
            continue;
        b->led = i;
        for (uint32_t t = 0; t < r->side[b->rs].nterm; t++)
            if (wm_inst_match(b, &x, &r->side[b->rs].term[t], b->in->t.item[i].key))
                ok &= bind_match(b, &x, strength, &done, &c);
    }
    b->led = WM_NONE;
    return ok;
}

/* ---- strength ---- */

/* Is a template of x strictly inside one of y (and none the other way round)? */
static bool
stronger(struct wm_arena *a, const struct wm_rule *x, const struct wm_rule *y)
{
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < x->side[s].nterm; i++)
            for (uint32_t j = 0; j < y->side[s].nterm; j++) {
                const struct wm_key *p = &x->side[s].term[i].key, *q = &y->side[s].term[j].key;

                if (wm_key_inside(a, p, q, NULL) && !wm_key_inside(a, q, p, NULL))
                    return true;
            }
    return false;
}

static void
order_rules(struct wm_bind *b)
{
    struct wm_arena *a = b->cc->a;
    uint32_t first;

    for (uint32_t i = 0; i < b->m->rule.n; i++)
        if (!b->m->rule.item[i]->captures)
            *WM_PUSH(a, &b->rules) = b->m->rule.item[i];
    first = b->rules.n;
    for (uint32_t i = 0; i < b->m->rule.n; i++) {
        const struct wm_rule *r = b->m->rule.item[i];
        uint32_t at = b->rules.n;

        if (!r->captures)
            continue;
        *WM_PUSH(a, &b->rules) = r;
        /* before the first rule that it is stronger than; a handful of them, so insertion will do */
        for (uint32_t k = first; k < b->rules.n - 1; k++)
            if (stronger(a, r, b->rules.item[k])) {
                at = k;
                break;
            }
        for (uint32_t k = b->rules.n - 1; k > at; k--)
            b->rules.item[k] = b->rules.item[k - 1];
        b->rules.item[at] = r;
    }
    b->need_claims = first < b->rules.n;
}

static void
use_ignored(struct wm_bind *b)
{
    for (uint32_t i = 0; i < b->in->t.n; i++)
        if (!b->used[i] && wm_is_ignored(b, b->rs, wm_place_key(b->in->t.item[i].key)))
            b->used[i] = WM_USE_IGNORED;
}

bool
wm_bind_rules(struct wm_bind *b)
{
    bool ok = true;
    uint32_t i = 0;

    order_rules(b);
    wm_map_init(&b->held_off, b->cc->a, 0);
    for (int s = 0; s < 2; s++)
        wm_map_init(&b->claims.key[s], b->cc->a, 0);
    for (; i < b->rules.n && !b->rules.item[i]->captures; i++)
        ok &= bind_named(b, b->rules.item[i]);
    use_ignored(b);
    for (; i < b->rules.n; i++)
        ok &= bind_captures(b, i);
    for (int s = 0; s < 2; s++)
        wm_map_drop(&b->claims.key[s]);
    wm_report_missing(b);
    if (ok) /* else the keys of a rule that failed would be called unexpected */
        wm_report_unexpected(b);
    return ok;
}

/* ---- `index expert in keys` ---- */

/* Largest value that a key of the side that is read shows for the index, and which values there are. */
struct seen {
    uint8_t *is;
    int64_t max, cap;
};

static void
see(struct wm_bind *b, const struct wm_rule *r, const struct wm_rterm *t, uint32_t index, struct seen *s)
{
    int64_t value[WM_MAX_PARTS];
    struct wm_str cap[WM_MAX_PARTS];

    for (uint32_t p = 0; p < t->key.npart && t->key.npart <= WM_MAX_PARTS; p++) {
        const struct wm_kpart *part = &t->key.part[p];

        if (part->kind != WM_KP_INDEX || part->shift || r->var.item[part->var].kind != WM_VAR_INDEX ||
            r->var.item[part->var].index != index)
            continue;
        for (uint32_t i = 0; i < b->in->t.n; i++) {
            if (!wm_key_match(&t->key, wm_place_key(b->in->t.item[i].key), value, cap) ||
                value[p] >= WM_MAX_INDEX)
                continue;
            if (value[p] >= s->cap) {
                int64_t n = value[p] * 2 + 64;

                s->is = wm_arena_grow(b->cc->a, s->is, (size_t)s->cap, (size_t)n, 1);
                memset(s->is + s->cap, 0, (size_t)(n - s->cap));
                s->cap = n;
            }
            s->is[value[p]] = 1;
            s->max = value[p] > s->max ? value[p] : s->max;
        }
    }
}

bool
wm_values_in_keys(void *bind, struct wm_menv *me, uint32_t index, struct wm_index_values *out)
{
    struct wm_bind *b = bind;
    struct seen s = {.max = -1};
    const struct wm_index_def *def = &me->mod->index.item[index];

    if (!b->in) {
        wm_report(&b->cc->diags, WM_E_NO_VALUE, def->stmt->name_span,
                  "the values of `%.*s` are in the keys, which are not known before the files are",
                  WM_STR_ARG(def->name));
        return false;
    }
    for (uint32_t i = 0; i < b->m->rule.n; i++)
        for (uint32_t t = 0; t < b->m->rule.item[i]->side[b->rs].nterm; t++)
            if (b->m->rule.item[i]->mod == me->mod)
                see(b, b->m->rule.item[i], &b->m->rule.item[i]->side[b->rs].term[t], index, &s);
    for (int64_t v = 0; v <= s.max; v++)
        if (!s.is[v]) {
            wm_report(&b->cc->diags, WM_E_KEYS_HOLE, def->stmt->name_span,
                      "the keys show `%.*s` up to %lld, but %lld is missing", WM_STR_ARG(def->name),
                      (long long)s.max, (long long)v);
            return false;
        }
    out->n = s.max + 1;
    return true;
}
