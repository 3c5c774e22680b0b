/* compiler/shard_cut.c -- the arithmetic of `split`: parts, groups, units, widths, padding (see shard.h). */
#include <stdio.h>

#include "base/checked.h"
#include "compiler/shard.h"

enum { MOST_PARTS = 1 << 16 }; /* so that a number in a map can't make the work endless */

struct part {
    int64_t size, groups;
    const struct wm_expr *width;
};

/* What a line says, evaluated. */
struct terms {
    int64_t size, pad;           /* size N pad M; -1: not said */
    int64_t unit;                /* 1: not said */
    int64_t groups;              /* -1 */
    int64_t nparts;              /* equal parts; 0: sized parts */
    struct part *part;
    uint32_t npart;
};

struct cutter {
    struct wm_bind *b;
    const struct wm_cut_line *l;
    struct wm_str key;
    struct wm_cut *out;
    struct terms t;
    int64_t *at;                 /* [nrank] how much of each rank's dimension is laid out */
};

static bool
fail(const struct cutter *c, const char *fmt, long long x, long long y)
{
    char msg[256];

    snprintf(msg, sizeof(msg), fmt, x, y);
    wm_note_scales(c->b, wm_report(&c->b->cc->diags, WM_E_SHARD_DIVIDE, c->l->ast->span, "`%s`: %s",
                                   wm_place_show(c->b->cc->a, c->key).p, msg), c->key);
    return false;
}

static bool
value(const struct cutter *c, const struct wm_expr *e, int64_t none, const char *what, int64_t *out)
{
    *out = none;
    return !e || wm_eval_size(&c->b->be, c->l->inst.me, &c->l->inst.scope, e, what, out);
}

static bool
evaluate(struct cutter *c)
{
    const struct wm_shard_line *s = c->l->ast;
    struct terms *t = &c->t;
    struct wm_value v;

    if (!value(c, s->size, -1, "the size", &t->size) || !value(c, s->pad, -1, "the padded size", &t->pad) ||
        !value(c, s->unit, 1, "the unit", &t->unit) || !value(c, s->groups, -1, "groups", &t->groups))
        return false;
    t->nparts = s->npart ? 0 : 1;
    if (s->parts) {
        v = wm_eval(&c->b->be, c->l->inst.me, &c->l->inst.scope, s->parts);
        if (v.kind == WM_V_LIST && v.u.list.n <= MOST_PARTS) {
            t->nparts = 0;
            t->npart = v.u.list.n;
            t->part = WM_NEW_N(c->b->cc->a, struct part, t->npart);
            for (uint32_t i = 0; i < t->npart; i++)
                t->part[i] = (struct part){v.u.list.item[i].kind == WM_V_INT ? v.u.list.item[i].u.i : -1, t->groups, s->width};
        } else if (v.kind == WM_V_INT && v.u.i > 0 && v.u.i <= MOST_PARTS) {
            t->nparts = v.u.i;
        } else {
            return v.kind != WM_V_ERROR && fail(c, "parts must be a number from 1 to %lld, or a list of no more", MOST_PARTS, 0);
        }
    }
    if (s->npart) {
        t->npart = s->npart;
        t->part = WM_NEW_N(c->b->cc->a, struct part, t->npart);
    }
    for (uint32_t i = 0; i < s->npart; i++) {
        if (!value(c, s->part[i].size, -1, "the size of a part", &t->part[i].size) ||
            !value(c, s->part[i].groups, s->part[i].width ? -1 : t->groups, "groups", &t->part[i].groups))
            return false;
        t->part[i].width = s->part[i].width ? s->part[i].width : s->part[i].groups ? NULL : s->width;
    }
    return t->unit > 0 || fail(c, "the unit is %lld", t->unit, 0);
}

static void
add(struct cutter *c, uint32_t rank, uint32_t primary, int64_t whole, int64_t len)
{
    int64_t real = len;

    /* what lies behind the size is padding */
    if (c->t.size >= 0 && whole + len > c->t.size)
        real = whole < c->t.size ? c->t.size - whole : 0;
    if (real > 0)
        *WM_PUSH(c->b->cc->a, &c->out->seg) = (struct wm_segment){rank, primary, whole, c->at[rank], real};
    if (len > real)
        *WM_PUSH(c->b->cc->a, &c->out->seg) =
            (struct wm_segment){rank, primary, -1, c->at[rank] + real, len - real};
    c->at[rank] += len;
}

/* Fewer groups than ranks: each group on its own run of ranks. */
static bool
cut_groups(struct cutter *c, int64_t from, int64_t size, int64_t groups)
{
    int64_t n = c->out->nrank, run = n / groups, len = size / groups;

    if (size % groups != 0)
        return fail(c, "%lld does not divide into %lld groups", size, groups);
    if (len % c->t.unit != 0)
        return fail(c, "a group of %lld is no multiple of the unit %lld", len, c->t.unit);
    for (int64_t k = 0; k < n; k++)
        add(c, (uint32_t)k, (uint32_t)(k / run * run), from + k / run * len, len);
    return true;
}

/* To each rank what the expression says; in it, the index of the block has a value. */
static bool
cut_widths(struct cutter *c, int64_t from, int64_t size, const struct wm_expr *width)
{
    struct wm_scope scope = c->l->inst.scope;
    struct wm_value rank = {.kind = WM_V_INT};
    int64_t done = 0, len;

    scope.name = &c->l->index;
    scope.val = &rank;
    scope.nname = 1;
    for (uint32_t k = 0; k < c->out->nrank; k++, done += len) {
        rank.u.i = c->l->value[k];
        if (!wm_eval_size(&c->b->be, c->l->inst.me, &scope, width, "the width", &len))
            return false;
        if (len > size - done)
            return fail(c, "the widths are more than the %lld entries that there are", size, 0);
        if (len % c->t.unit != 0)
            return fail(c, "a width of %lld would cut inside the unit %lld", len, c->t.unit);
        add(c, k, k, from + done, len);
    }
    return done == size || fail(c, "the widths add up to %lld, but there are %lld entries", done, size);
}

/* One part of the dimension: [from, from + size). */
static bool
cut_part(struct cutter *c, int64_t from, int64_t size, int64_t groups, const struct wm_expr *width)
{
    int64_t n = c->out->nrank, len;

    *WM_PUSH(c->b->cc->a, &c->out->part) = from;
    if (width)
        return cut_widths(c, from, size, width);
    if (groups == 0 || (groups > 0 && groups % n != 0 && n % groups != 0))
        return fail(c, "%lld groups fit neither evenly on %lld ranks nor these on the groups", groups, n);
    if (groups > 0 && groups < n)
        return cut_groups(c, from, size, groups);
    if (groups > 0 && size % groups != 0)
        return fail(c, "%lld does not divide into %lld groups", size, groups);
    len = c->l->ast->uneven ? (size + n - 1) / n : size / n;
    if (!c->l->ast->uneven && size % n != 0)
        return fail(c, "%lld does not divide among %lld ranks; say `size N pad M`, or `uneven`", size, n);
    if (len % c->t.unit != 0)
        return fail(c, "a piece of %lld would cut inside the unit %lld", len, c->t.unit);
    for (int64_t k = 0; k < n; k++) {
        int64_t lo = k * len < size ? k * len : size, hi = (k + 1) * len < size ? (k + 1) * len : size;

        add(c, (uint32_t)k, (uint32_t)k, from + lo, hi - lo);
    }
    return true;
}

/* The dimension that is cut: the padded one, where there is one. */
static bool
cut_parts(struct cutter *c, int64_t total)
{
    int64_t from = 0;

    if (c->t.nparts > 0) {
        if (total % c->t.nparts != 0)
            return fail(c, "%lld does not divide into %lld parts", total, c->t.nparts);
        for (int64_t i = 0; i < c->t.nparts; i++, from += total / c->t.nparts)
            if (!cut_part(c, from, total / c->t.nparts, c->t.groups, c->l->ast->width))
                return false;
        return true;
    }
    for (uint32_t i = 0; i < c->t.npart; i++) {
        if (c->t.part[i].size < 0 || !wm_ck_add(from, c->t.part[i].size, &from))
            return fail(c, "a part has the size %lld", c->t.part[i].size, 0);
    }
    if (from != total)
        return fail(c, "the parts add up to %lld, but the dimension has %lld", from, total);
    from = 0;
    for (uint32_t i = 0; i < c->t.npart; i++) {
        if (!cut_part(c, from, c->t.part[i].size, c->t.part[i].groups, c->t.part[i].width))
            return false;
        from += c->t.part[i].size;
    }
    return true;
}

/* The whole dimension from what the ranks have. */
static bool
whole_of(struct cutter *c, const int64_t *have, int64_t *out)
{
    int64_t n = c->out->nrank, sum = 0;

    if (c->t.size >= 0)
        return *out = c->t.size, true;
    if (c->t.npart > 0) {
        for (uint32_t i = 0; i < c->t.npart; i++)
            if (!wm_ck_add(sum, c->t.part[i].size, &sum))
                return fail(c, "the parts are too large", 0, 0);
        return *out = sum, true;
    }
    for (int64_t k = 0; k < n; k++)
        if (!wm_ck_add(sum, have[k], &sum))
            return fail(c, "the ranks' sizes are too large", 0, 0);
    if (c->t.groups > 0 && c->t.groups < n)
        sum = sum / n * c->t.groups;
    *out = sum;
    return true;
}

bool
wm_cut_size(struct wm_bind *b, const struct wm_cut_line *l, int64_t *size)
{
    struct cutter c = {.b = b, .l = l};

    if (!evaluate(&c) || (c.t.size < 0 && c.t.npart == 0))
        return false;
    *size = c.t.size;
    if (c.t.size >= 0)
        return true;
    *size = 0;
    for (uint32_t i = 0; i < c.t.npart; i++)
        if (c.t.part[i].size < 0 || !wm_ck_add(*size, c.t.part[i].size, size))
            return false;
    return true;
}

bool
wm_cut_make(struct wm_bind *b, const struct wm_cut_line *l, uint32_t nrank, int64_t whole,
            const int64_t *have, struct wm_str key, struct wm_cut *out)
{
    struct cutter c = {.b = b, .l = l, .key = key, .out = out};
    int64_t total;

    *out = (struct wm_cut){.nrank = nrank};
    if (nrank == 0)
        return fail(&c, "the index has %lld values, so there are no ranks to cut for", 0, 0);
    out->size = c.at = WM_NEW_N(b->cc->a, int64_t, nrank);
    if (!evaluate(&c) || (whole < 0 && !whole_of(&c, have, &whole)))
        return false;
    out->whole = whole;
    if (c.t.size >= 0 && c.t.size != whole)
        return fail(&c, "the dimension has %lld, but the line says size %lld", whole, c.t.size);
    total = c.t.pad >= 0 ? c.t.pad : whole;
    if (total < whole)
        return fail(&c, "the padded size %lld is smaller than %lld", total, whole);
    if (!cut_parts(&c, total))
        return false;
    for (uint32_t k = 0; have && k < nrank; k++)
        if (have[k] != out->size[k])
            return fail(&c, "a rank has %lld of the dimension, but the line gives it %lld", have[k], out->size[k]);
    return true;
}
