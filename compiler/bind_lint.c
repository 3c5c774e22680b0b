/* compiler/bind_lint.c -- warnings of what fits the headers but may be meant otherwise
 * (bind_lint.h). */
#include "compiler/bind_lint.h"

/* A tensor of a rule, with the sizes of its axes. */
struct term {
    const struct wm_rule *rule;
    const struct wm_rterm *t;
    const int64_t *size; /* [rule->axis.n] */
    uint32_t rest_rank;
};

/* A dimension that a shard line cuts. */
struct cut {
    struct wm_str key;
    int side;
    const struct wm_shard_line *line;
    uint32_t dim;
    WM_VEC(int64_t) at;   /* cuts inside of it, ascending in each part */
    WM_VEC(int64_t) part; /* where parts begin */
};

struct wm_lint {
    struct wm_map key[2]; /* by side: key -> number in term */
    WM_VEC(struct term) term;
    WM_VEC(struct cut) cut;
    WM_VEC(const void *) told; /* rules and lines that were reported */
};

struct wm_lint *
wm_lint_new(struct wm_arena *a)
{
    struct wm_lint *l = WM_NEW(a, struct wm_lint);

    for (int s = 0; s < 2; s++)
        wm_map_init(&l->key[s], a, 16);
    return l;
}

/* Each rule and each line is reported once. */
static bool
tell(struct wm_bind *b, const void *what)
{
    struct wm_lint *l = b->lint;

    for (uint32_t i = 0; i < l->told.n; i++)
        if (l->told.item[i] == what)
            return false;
    *WM_PUSH(b->cc->a, &l->told) = what;
    return true;
}

/* ---- axes ---- */

/* Does a shape alone say how long the axis is? */
static bool
from_shape(const struct wm_rule *r, uint32_t axis)
{
    const struct wm_axis *ax = &r->axis.item[axis];

    return axis != WM_AX_REST && !ax->size && ax->index == WM_NONE &&
           !(ax->var != WM_NONE && r->var.item[ax->var].kind == WM_VAR_WORDS);
}

/* Which of the two comes first in a way through a term; 0: not both are in it. */
static int
order(const struct wm_alt *alt, uint32_t x, uint32_t y)
{
    uint32_t at[2] = {WM_NONE, WM_NONE};

    for (uint32_t k = 0; k < alt->naxis; k++) {
        if (alt->axis[k] == x)
            at[0] = k;
        else if (alt->axis[k] == y)
            at[1] = k;
    }
    if (at[0] == WM_NONE || at[1] == WM_NONE)
        return 0;
    return at[0] < at[1] ? -1 : 1;
}

static void
report_axes(struct wm_bind *b, const struct wm_rule *r, uint32_t x, uint32_t y, int64_t size)
{
    struct wm_diags *ds = &b->cc->diags;
    struct wm_str p = r->axis.item[x].name, q = r->axis.item[y].name;
    struct wm_diag *d;

    if (!tell(b, r))
        return;
    d = wm_report(
        ds, WM_E_ORIENTATION, r->span,
        "`%.*s` and `%.*s` are both %lld, so the rule would fit as well with the two exchanged",
        WM_STR_ARG(p), WM_STR_ARG(q), (long long)size);
    wm_note(
        ds, d,
        "say what they are, and every input must agree: where %.*s = config...., %.*s = config....",
        WM_STR_ARG(p), WM_STR_ARG(q));
}

/* Two ways through the sums that are one product: axes that stand the other way round in the
 * second. */
static bool
compare_ways(struct wm_bind *b, const struct wm_rule *r, const struct wm_sizes *z,
             const struct wm_alt *p, const struct wm_alt *q)
{
    for (uint32_t i = 0; i < p->naxis; i++)
        for (uint32_t k = i + 1; k < p->naxis; k++) {
            uint32_t x = p->axis[i], y = p->axis[k];

            if (z->axis[x] < 2 || z->axis[x] != z->axis[y] || !from_shape(r, x) ||
                !from_shape(r, y) || order(q, x, y) <= 0)
                continue;
            report_axes(b, r, x, y, z->axis[x]);
            return true;
        }
    return false;
}

void
wm_lint_axes(struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z)
{
    const struct wm_rule *r = x->rule;

    for (uint32_t i = 0; i < r->side[0].nproduct; i++) {
        const struct wm_product *p = &r->side[0].product[i], *q;
        struct wm_alts left, right;

        if (p->partner == WM_NONE)
            continue;
        q = &r->side[1].product[p->partner];
        if (!wm_term_expand(b->cc->a, &r->side[0].term[p->term], z->axis, &left) ||
            !wm_term_expand(b->cc->a, &r->side[1].term[q->term], z->axis, &right) ||
            compare_ways(b, r, z, &left.alt.item[p->alt], &right.alt.item[q->alt]))
            return;
    }
}

/* ---- cuts ---- */

void
wm_lint_term(struct wm_bind *b, int side, struct wm_str key, const struct wm_inst *x,
             const struct wm_rterm *t, const struct wm_sizes *z)
{
    struct wm_lint *l = b->lint;
    int64_t *size;

    if (!t->explicit_pattern)
        return;
    size = WM_NEW_N(b->cc->a, int64_t, x->rule->axis.n);
    memcpy(size, z->axis, x->rule->axis.n * sizeof(*size));
    wm_map_put(&l->key[side], wm_arena_str(b->cc->a, key), l->term.n);
    *WM_PUSH(b->cc->a, &l->term) = (struct term){x->rule, t, size, z->rest_rank};
}

static bool
is_part(const struct cut *c, int64_t at)
{
    for (uint32_t i = 0; i < c->part.n; i++)
        if (c->part.item[i] == at)
            return true;
    return false;
}

void
wm_lint_cut(struct wm_bind *b, int side, struct wm_str key, const struct wm_cut_line *l,
            uint32_t dim, const struct wm_cut *cut)
{
    struct wm_arena *a = b->cc->a;
    struct cut *c = WM_PUSH(a, &b->lint->cut);

    *c = (struct cut){.key = key, .side = side, .line = l->ast, .dim = dim};
    for (uint32_t i = 0; i < cut->part.n; i++)
        *WM_PUSH(a, &c->part) = cut->part.item[i];
    for (uint32_t i = 0; i < cut->seg.n; i++)
        if (cut->seg.item[i].whole > 0 && !is_part(c, cut->seg.item[i].whole))
            *WM_PUSH(a, &c->at) = cut->seg.item[i].whole;
}

/* What a cut goes through. */
struct through {
    int64_t at, inner; /* the cut, and the length of what stays together */
    const struct wm_rpat *pat;
};

struct walk {
    const struct cut *c;
    const struct term *t;
    struct through *out;
};

static bool sound(const struct walk *w, const struct wm_rpat *p, int64_t base, int64_t unit);

/* The first cut inside of [base, base + n); -1: none. */
static int64_t
first_cut(const struct cut *c, int64_t base, int64_t n)
{
    int64_t first = -1;

    for (uint32_t i = 0; i < c->at.n; i++)
        if (c->at.item[i] > base && c->at.item[i] < base + n &&
            (first < 0 || c->at.item[i] < first))
            first = c->at.item[i];
    return first;
}

static bool
through(const struct walk *w, const struct wm_rpat *p, int64_t at, int64_t inner)
{
    *w->out = (struct through){at, inner, p};
    return false;
}

/* A sum, or an axis of words: its parts are not to be told apart by ranks unless the line names
 * them. */
static bool
sound_sum(const struct walk *w, const struct wm_rpat *p, int64_t base, int64_t unit)
{
    int64_t n = 0, at = base;
    bool parts = true;

    for (uint32_t i = 0; i < p->nitem; i++) {
        int64_t size;

        if (!wm_dim_size(&p->item[i], w->t->size, &size))
            return true;
        n += size * unit;
    }
    if (first_cut(w->c, base, n) < 0)
        return true;
    for (uint32_t i = 0; i < p->nitem; i++) {
        int64_t size;

        wm_dim_size(&p->item[i], w->t->size, &size);
        parts &= is_part(w->c, at);
        at += size * unit;
    }
    if (!parts)
        return through(w, p, first_cut(w->c, base, n), n);
    at = base;
    for (uint32_t i = 0; i < p->nitem; i++) {
        int64_t size;

        wm_dim_size(&p->item[i], w->t->size, &size);
        if (!sound(w, &p->item[i], at, unit))
            return false;
        at += size * unit;
    }
    return true;
}

/* x (rest): cuts between blocks of the rest are cuts of x; where the line names the blocks, each is
 * on its own. */
static bool
sound_product(const struct walk *w, const struct wm_rpat *item, uint32_t n, int64_t base,
              int64_t unit)
{
    struct wm_rpat rest = {
        .kind = WM_PT_PRODUCT, .item = (struct wm_rpat *)item + 1, .nitem = n - 1};
    int64_t block, size, bad = -1;
    bool parts = true;

    if (n == 1)
        return sound(w, item, base, unit);
    rest.span = item[1].span;
    if (!wm_dim_size(&rest, w->t->size, &block) || !wm_dim_size(item, w->t->size, &size) ||
        block == 0)
        return true;
    block *= unit;
    for (uint32_t i = 0; i < w->c->at.n; i++) {
        int64_t at = w->c->at.item[i] - base;

        if (at > 0 && at < size * block && at % block != 0 && bad < 0)
            bad = w->c->at.item[i];
    }
    if (bad < 0)
        return sound(w, item, base, block);
    for (int64_t k = 0; k < size && parts; k++)
        parts = is_part(w->c, base + k * block);
    if (!parts)
        return through(w, item + 1, bad, block);
    for (int64_t k = 0; k < size; k++)
        if (!sound_product(w, item + 1, n - 1, base + k * block, unit))
            return false;
    return true;
}

static bool
is_words(const struct walk *w, const struct wm_rpat *p)
{
    const struct wm_axis *ax = &w->t->rule->axis.item[p->axis];

    return ax->var != WM_NONE && w->t->rule->var.item[ax->var].kind == WM_VAR_WORDS;
}

static bool
sound(const struct walk *w, const struct wm_rpat *p, int64_t base, int64_t unit)
{
    int64_t n, cut;

    switch (p->kind) {
    case WM_PT_PRODUCT:
        return sound_product(w, p->item, p->nitem, base, unit);
    case WM_PT_SUM:
        return sound_sum(w, p, base, unit);
    case WM_PT_AXIS:
        if (!is_words(w, p) || !wm_dim_size(p, w->t->size, &n))
            return true;
        cut = first_cut(w->c, base, n * unit);
        return cut < 0 || through(w, p, cut, n * unit);
    default:
        return true;
    }
}

static void
report_cut(struct wm_bind *b, const struct cut *c, const struct term *t, const struct through *x)
{
    struct wm_diags *ds = &b->cc->diags;
    struct wm_str what = wm_source_text(ds->sources, x->pat->span);
    struct wm_diag *d;

    if (!tell(b, c->line))
        return;
    d = wm_report(
        ds, WM_E_SHARD_CUT, c->line->span,
        "`%s` is cut at %lld of dimension %u, inside of %lld entries that belong together",
        wm_place_show(b->cc->a, c->key).p, (long long)x->at, c->dim, (long long)x->inner);
    if (what.n)
        wm_label(ds, d, x->pat->span, "inner to what is cut: `%.*s`", WM_STR_ARG(what));
    else
        wm_label(ds, d, t->t->span, "this pattern");
    wm_note(
        ds, d,
        "cut each part on its own with `parts`, or refuse such numbers of ranks with `unit %lld`",
        (long long)x->inner);
}

void
wm_lint_report(struct wm_bind *b)
{
    for (uint32_t i = 0; i < b->lint->cut.n; i++) {
        const struct cut *c = &b->lint->cut.item[i];
        uint32_t id = wm_map_get(&b->lint->key[c->side], c->key), at = 0;
        const struct term *t = id == WM_NONE ? NULL : &b->lint->term.item[id];
        struct through x;
        struct walk w = {c, t, &x};

        for (uint32_t d = 0; t && d < t->t->ndim; d++) {
            if (t->t->dim[d].kind == WM_PT_REST)
                at += t->rest_rank;
            else if (at++ == c->dim && !sound(&w, &t->t->dim[d], 0, 1))
                report_cut(b, c, t, &x);
        }
    }
}
