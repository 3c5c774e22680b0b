/* compiler/mini_sizes.c -- the sizes of one instance's axes, where no tensor says them.
 *
 * What is known (settings, tensors that other rules made, what the next link reads, shard lines) is
 * solved as at bind; each axis that is left gets a small prime that no other axis of the rule has.
 */
#include "base/checked.h"
#include "compiler/mini_priv.h"

int64_t
wm_mini_prime(uint32_t i)
{
    int64_t p = 5;

    for (;; p += 2) {
        bool prime = true;

        for (int64_t d = 3; d * d <= p && prime; d += 2)
            prime = p % d != 0;
        if (prime && i-- == 0)
            return p;
    }
}

/* ---- sizes ---- */

enum learned { WM_NOTHING, WM_LEARNED, WM_UNFIT };

/* What the shape of one tensor says of its term's axes. */
static enum learned
learn(const struct wm_rterm *t, const struct wm_gt *gt, struct wm_sizes *z)
{
    uint32_t at = 0, axis, rest = gt->rank - t->ndim + 1;
    enum learned what = WM_NOTHING;

    if (t->has_rest ? gt->rank + 1 < t->ndim : gt->rank != t->ndim)
        return WM_UNFIT;
    for (uint32_t d = 0; d < t->ndim; d++) {
        if (t->dim[d].kind == WM_PT_REST) {
            if (z->axis[WM_AX_REST] < 0) {
                z->rest = gt->shape + at;
                z->rest_rank = rest;
                if (!wm_ck_numel(z->rest, rest, &z->axis[WM_AX_REST]))
                    return WM_UNFIT;
                what = WM_LEARNED;
            } else if (z->rest_rank != rest ||
                       (rest && memcmp(z->rest, gt->shape + at, rest * sizeof(*z->rest)) != 0)) {
                return WM_UNFIT;
            }
            at += rest;
            continue;
        }
        switch (wm_dim_solve(&t->dim[d], z->axis, gt->shape[at++], &axis)) {
        case WM_SOLVED:
            what = WM_LEARNED;
            break;
        case WM_SOLVE_BAD:
            return WM_UNFIT;
        default:
            break;
        }
    }
    return what;
}

/* A size for a name that no axis of the rule has; the one that it had before, if that is free. */
int64_t
wm_invent_size(struct wm_invent *v, const struct wm_rule *r, const struct wm_sizes *z,
               struct wm_str name)
{
    int64_t scale = wm_settings_inner(v->set, WM_SET_SCALE, 1), size = -1;
    uint32_t known = wm_map_get(&v->sizes, name);

    for (int64_t i = known == WM_NONE ? 0 : -1; size < 0; i++) {
        size = i < 0 ? v->size.item[known] : wm_mini_prime((uint32_t)i) * scale;
        for (uint32_t k = 1; k < r->axis.n && size >= 0; k++)
            if (z->axis[k] == size)
                size = -1;
        for (uint32_t k = 0; k < z->rest_rank && size >= 0; k++)
            if (z->rest[k] == size)
                size = -1;
    }
    if (known == WM_NONE) {
        wm_map_put(&v->sizes, name, v->size.n);
        *WM_PUSH(v->b.cc->a, &v->size) = size;
    }
    return size;
}

/* The dimensions of `...`: those of a term that is nothing else, one fewer beside others. */
static void
choose_rest(struct wm_invent *v, const struct wm_rule *r, struct wm_sizes *z)
{
    int64_t rank = wm_settings_inner(v->set, WM_SET_RANK, 2), *rest;
    bool beside = false;

    for (uint32_t t = 0; t < r->side[v->b.rs].nterm; t++)
        beside |= r->side[v->b.rs].term[t].ndim > 1;
    rank -= beside;
    rest = WM_NEW_N(v->b.cc->a, int64_t, rank);
    z->rest = rest;
    for (uint32_t k = 0; k < rank; k++) {
        rest[k] = wm_invent_size(v, r, z, wm_arena_printf(v->b.cc->a, "...%u", k));
        z->rest_rank = k + 1;
    }
    z->rest_rank = (uint32_t)rank;
    wm_ck_numel(rest, z->rest_rank, &z->axis[WM_AX_REST]);
}

/* What a shard line says of a dimension: shapes have to follow it. */
static enum learned
learn_shards(struct wm_invent *v, const struct wm_rule *r, const struct wm_rterm *t, int side,
             struct wm_str key, struct wm_sizes *z)
{
    uint32_t dim, axis, at = 0, rank = t->ndim - t->has_rest + (z->axis[0] < 0 ? 0 : z->rest_rank);
    int64_t size, d;

    if (!wm_shard_size(&v->b, side, key, &d, &size))
        return WM_NOTHING;
    if (z->axis[WM_AX_REST] < 0 && t->has_rest) {
        int64_t *rest = WM_NEW_N(v->b.cc->a, int64_t, 3);

        if (t->ndim > 1 || d < 0)
            return WM_NOTHING;
        z->rest = rest; /* a whole tensor */
        z->rest_rank = 0;
        for (int64_t k = 0; k < 2 || k <= d; k++) {
            rest[k] = k == d ? size : wm_invent_size(v, r, z, WM_STR("...0"));
            z->rest_rank++;
        }
        wm_ck_numel(rest, z->rest_rank, &z->axis[WM_AX_REST]);
        return WM_LEARNED;
    }
    dim = (uint32_t)(d < 0 ? d + rank : d);
    for (uint32_t k = 0; k < t->ndim; k++) {
        if (t->dim[k].kind == WM_PT_REST) {
            at += z->rest_rank;
        } else if (at++ == dim) {
            enum wm_solve what = wm_dim_solve(&t->dim[k], z->axis, size, &axis);

            return what == WM_SOLVED ? WM_LEARNED : what == WM_SOLVE_BAD ? WM_UNFIT : WM_NOTHING;
        }
    }
    return WM_NOTHING;
}

/* ---- one instance ---- */

struct wm_str
wm_invent_key(struct wm_invent *v, struct wm_inst *x, int side, uint32_t t,
              const struct wm_sizes *z, int64_t n)
{
    struct wm_str key = WM_STR("");

    if (wm_inst_position(&v->b, x, &x->rule->side[side].term[t], z, n) &&
        wm_inst_key(&v->b, x, &x->rule->side[side].term[t], &key))
        return wm_arena_str(v->b.cc->a, key);
    return WM_STR("");
}

bool
wm_invent_keys_known(const struct wm_rterm *t, const struct wm_sizes *z)
{
    for (uint32_t k = 0; k < t->nkey_axis; k++)
        if (z->axis[t->key_axis[k]] < 0)
            return false;
    return true;
}

/* All shapes that are known on one side, and its shard lines.  What the next link reads may have
 * been chosen freely there: where it does not fit, it says nothing, and the binding has the last
 * word. */
static enum learned
learn_side(struct wm_invent *v, struct wm_inst *x, int side, const struct wm_tset *in,
           struct wm_sizes *z, struct wm_str *who)
{
    enum learned what = WM_NOTHING;

    for (uint32_t t = 0; t < x->rule->side[side].nterm; t++) {
        const struct wm_rterm *term = &x->rule->side[side].term[t];
        int64_t n = wm_invent_keys_known(term, z) ? wm_term_count(term, x->rule, z) : 0;

        for (int64_t i = 0; i < n; i++) {
            struct wm_str key = wm_invent_key(v, x, side, t, z, i);
            uint32_t id = in ? wm_map_get(&in->by_key, key) : WM_NONE;
            enum learned now = id == WM_NONE ? WM_NOTHING : learn(term, &in->t.item[id], z);

            if (now == WM_UNFIT && in == v->next)
                now = WM_NOTHING;
            if (now == WM_NOTHING)
                now = learn_shards(v, x->rule, term, side, key, z);
            if (now == WM_UNFIT)
                *who = key;
            what = now > what ? now : what;
        }
    }
    return what;
}

/* One more axis, or `...`, gets a size; false: all have one. */
static bool
choose_one(struct wm_invent *v, const struct wm_rule *r, struct wm_sizes *z)
{
    for (uint32_t i = 1; i < r->axis.n; i++) {
        const struct wm_axis *ax = &r->axis.item[i];

        if (z->axis[i] < 0 && (ax->in_pattern[v->b.rs] || ax->in_key[v->b.rs])) {
            z->axis[i] = wm_invent_size(v, r, z, ax->name);
            return true;
        }
    }
    for (uint32_t t = 0; t < r->side[v->b.rs].nterm && z->axis[WM_AX_REST] < 0; t++)
        if (r->side[v->b.rs].term[t].has_rest) {
            choose_rest(v, r, z);
            return true;
        }
    return false;
}

bool
wm_invent_unfit(struct wm_invent *v, const struct wm_inst *x, struct wm_str key)
{
    wm_report(&v->b.cc->diags, WM_E_EXTENTS, x->rule->span,
              "no shape was found that fits all that the map says of `%s`",
              wm_place_show(v->b.cc->a, key).p);
    return false;
}

bool
wm_invent_solve(struct wm_invent *v, struct wm_inst *x, struct wm_sizes *z)
{
    enum learned what;
    struct wm_str who = {0};

    do {
        enum learned left = learn_side(v, x, v->b.rs, v->b.in, z, &who);
        enum learned right = learn_side(v, x, v->b.ws, v->next, z, &who);

        what = left > right ? left : right;
        if (what == WM_UNFIT)
            return wm_invent_unfit(v, x, who);
    } while (what == WM_LEARNED || choose_one(v, x->rule, z));
    return true;
}

/* Axes of a rule that its shapes can't tell apart: in the instance where they are most. */
void
wm_invent_count_equal(struct wm_invent *v, const struct wm_rule *r, const struct wm_sizes *z)
{
    uint32_t n = 0;

    for (uint32_t i = 1; i < r->axis.n; i++) {
        if (!r->axis.item[i].in_pattern[0] && !r->axis.item[i].in_pattern[1])
            continue;
        n += z->axis[i] == 1; /* it can stand anywhere */
        for (uint32_t k = 1; k < i; k++)
            n += z->axis[i] == z->axis[k] && z->axis[i] >= 0 &&
                 (r->axis.item[k].in_pattern[0] || r->axis.item[k].in_pattern[1]);
    }
    if (n <= v->most_equal)
        return;
    *v->nequal += n - v->most_equal;
    v->most_equal = n;
}
