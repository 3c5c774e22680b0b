/* compiler/fuse_pattern.c -- rules that meet in the middle, both with patterns, as one rule.
 *
 * Enters: a center, whose tensors in the middle are those of its leaves; the leaves meet nobody else.  The patterns of
 * a middle tensor on both sides are made equal, dimension by dimension: an axis becomes what the other pattern has in
 * its place.  Leaves: the outer terms of all of them, with those replacements.  What would need more than that (two
 * products that cut one dimension differently) is refused. */
#include "compiler/fuse_star.h"

/* ---- who belongs together ---- */

static bool
same_guest(const struct wm_guest *a, const struct wm_guest *b)
{
    for (uint32_t v = 0; v < a->half->r->var.n; v++) {
        if (a->var[v].at.n != b->var[v].at.n)
            return false;
        for (uint32_t i = 0; i < a->var[v].at.n; i++) {
            const struct wm_piece *p = &a->var[v].at.item[i], *q = &b->var[v].at.item[i];

            if (p->kind != q->kind || p->var != q->var || p->of != q->of || !wm_str_eq(p->text, q->text))
                return false;
        }
    }
    return true;
}

static struct wm_star_member *
find(struct wm_star *s, const struct wm_half *h)
{
    for (uint32_t i = 0; i < s->at.n; i++)
        if (s->at.item[i].h == h)
            return &s->at.item[i];
    return NULL;
}

static void
add_member(struct wm_star *s, struct wm_half *h, const struct wm_guest *guest)
{
    uint32_t n = h->r->side[h->mid].nterm;
    struct wm_star_member *m = WM_PUSH(s->x->cc->a, &s->at);

    *m = (struct wm_star_member){.h = h, .guest = guest, .center_term = WM_NEW_N(s->x->cc->a, uint32_t, n)};
    for (uint32_t t = 0; t < n; t++)
        m->center_term[t] = WM_NONE;
}

/* All that meet the center, once for each of their terms, and nobody else.  False: not so, or (why) a failure. */
static bool
gather(struct wm_star *s, const struct wm_links *l, struct wm_half *center)
{
    int which = center->mid == 0; /* 0: of the first map */

    s->at.n = 0;
    add_member(s, center, NULL);
    for (uint32_t i = 0; i < l->at.n; i++) {
        const struct wm_link *p = &l->at.item[i];
        struct wm_star_member *m;

        if (p->h[which] != center)
            continue;
        if (!p->fits[1 - which] || wm_fuse_partners(l, which, center, p->t[which]) != 1)
            return false;
        if (!wm_fuse_check_indices(s->x, l, p, 1 - which))
            return false;
        if (!find(s, p->h[1 - which]))
            add_member(s, p->h[1 - which], &p->guest[1 - which]);
        m = find(s, p->h[1 - which]);
        if (!same_guest(m->guest, &p->guest[1 - which]))
            return false;
        m->center_term[p->t[1 - which]] = p->t[which];
    }
    for (uint32_t i = 0; i < l->at.n; i++)
        if (l->at.item[i].h[which] != center && find(s, l->at.item[i].h[1 - which]))
            return false; /* a leaf with another partner */
    for (uint32_t i = 1; i < s->at.n; i++)
        for (uint32_t t = 0; t < s->at.item[i].h->r->side[s->at.item[i].h->mid].nterm; t++)
            if (s->at.item[i].center_term[t] == WM_NONE)
                return false;
    return true;
}

/* ---- axes and copies ---- */

static bool
is_named(const struct wm_star *s, struct wm_str name)
{
    for (uint32_t i = 0; i < s->axis.n; i++)
        if (wm_str_eq(s->axis.item[i].name, name))
            return true;
    return false;
}

/* The number of values of an index, as `len(name)`. */
static struct wm_expr *
name_expr(struct wm_star *s, struct wm_str name, bool len)
{
    struct wm_arena *a = s->x->cc->a;
    struct wm_expr *e = WM_NEW(a, struct wm_expr), *call;

    *e = (struct wm_expr){.kind = WM_EX_NAME, .span = s->o.span, .s = name, .text = name};
    if (!len)
        return e;
    call = WM_NEW(a, struct wm_expr);
    *call = (struct wm_expr){
        .kind = WM_EX_CALL, .span = s->o.span, .s = WM_STR("len"), .narg = 1, .arg = WM_NEW_N(a, struct wm_expr *, 1)};
    call->arg[0] = e;
    return call;
}

/* The axes of a member, under names that no other member has.  Sizes are taken before the names change. */
static void
add_axes(struct wm_star *s, struct wm_star_member *m)
{
    struct wm_flat *f = &s->x->flat;
    const struct wm_rule *r = m->h->r;
    WM_VEC(struct wm_subst) renamed = {0};

    m->first = s->axis.n;
    for (uint32_t i = 1; i < r->axis.n; i++) {
        const struct wm_axis *ax = &r->axis.item[i];
        struct wm_star_axis *to;
        struct wm_star_axis one = {.name = wm_flat_name(f, m->h->part, ax->name),
                                   .fixed = ax->var != WM_NONE || ax->broadcast || ax->pick || ax->pad};

        if (ax->var == WM_NONE && ax->named)
            one.size = name_expr(s, one.name, false);
        else if (ax->var == WM_NONE && ax->index != WM_NONE)
            one.size = name_expr(s, one.name, true);
        if (ax->var == WM_NONE && is_named(s, one.name)) {
            one.name = wm_flat_fresh(f, one.name);
            while (is_named(s, one.name))
                one.name = wm_arena_printf(s->x->cc->a, "%.*s_", WM_STR_ARG(one.name));
            one.said = one.size != NULL;
            *WM_PUSH(s->x->cc->a, &renamed) = (struct wm_subst){.name = ax->name, .to = one.name};
        }
        to = WM_PUSH(s->x->cc->a, &s->axis);
        *to = one;
    }
    for (uint32_t i = 0; i < renamed.n; i++)
        *WM_PUSH(s->x->cc->a, &m->h->part->subst) = renamed.item[i];
    for (uint32_t i = 1; i < r->axis.n; i++)
        if (r->axis.item[i].where > 0) {
            s->axis.item[m->first + i - 1].size = wm_flat_expr(f, m->h->part, r->axis.item[i].size);
            s->axis.item[m->first + i - 1].said = true;
        }
    m->end = s->axis.n;
}

static struct wm_pattern **
copy_patterns(struct wm_star *s, const struct wm_star_member *m, int side)
{
    uint32_t n = m->h->r->side[side].nterm;
    struct wm_pattern **out = WM_NEW_N(s->x->cc->a, struct wm_pattern *, n);

    for (uint32_t t = 0; t < n; t++)
        out[t] = wm_flat_pattern(&s->x->flat, m->h->part, m->h->r->ast->side[side].term[t].pattern);
    return out;
}

/* Conditions, axes and patterns of a member; the names of its part are its own until the end. */
static bool
enter_member(struct wm_star *s, struct wm_star_member *m, struct wm_expr **only, bool *optional)
{
    const struct wm_rule *r = m->h->r;

    if (m->guest && !wm_meet_arrows(&s->o.ast->arrow, r->arrow))
        return wm_fuse_fail(s->x, s->at.item[0].h, m->h, "they go in different directions");
    if (r->side[0].fill || r->side[1].fill || r->ast->nop > 0 || r->pipeline)
        return wm_fuse_fail(s->x, s->at.item[0].h, m->h, "both change the tensor between them");
    for (uint32_t v = 0; v < r->var.n; v++)
        if (r->var.item[v].kind == WM_VAR_COMPOSITE)
            return wm_fuse_fail(s->x, s->at.item[0].h, m->h,
                                "both change the tensor between them, and one has a composite "
                                "index");
    wm_fuse_enter(s->x, m->h, m->guest);
    wm_fuse_conditions(&s->o, m->h);
    *optional = wm_fuse_optional(&s->o, m->h, only) && *optional;
    for (uint32_t v = 0; m->guest && v < r->var.n; v++)
        for (uint32_t i = 1; i < r->axis.n; i++)
            if (r->axis.item[i].var == v && (m->guest->var[v].at.n != 1 || m->h->word[v] != WM_NONE))
                return wm_star_fail(s, m);
    add_axes(s, m);
    m->mid = copy_patterns(s, m, m->h->mid);
    m->out = copy_patterns(s, m, 1 - m->h->mid);
    m->h->part->subst.n = 0;
    return true;
}

/* ---- writing ---- */

/* A copy in which replaced axes are what replaces them; nested products become one. */
static struct wm_pat *
written(struct wm_star *s, const struct wm_pat *p)
{
    struct wm_arena *a = s->x->cc->a;
    struct wm_pat *out = WM_NEW(a, struct wm_pat);
    WM_VEC(struct wm_pat *) item = {0};

    p = wm_star_resolved(s, p);
    *out = *p;
    for (uint32_t i = 0; i < p->nitem; i++) {
        struct wm_pat *one = written(s, p->item[i]);

        if (one->kind != p->kind || one->nitem == 0)
            *WM_PUSH(a, &item) = one;
        for (uint32_t k = 0; one->kind == p->kind && k < one->nitem; k++)
            *WM_PUSH(a, &item) = one->item[k];
    }
    out->item = item.item;
    out->nitem = item.n;
    return out;
}

static struct wm_pattern *
write_pattern(struct wm_star *s, const struct wm_star_member *m, struct wm_pattern *p)
{
    struct wm_pattern *out = WM_NEW(s->x->cc->a, struct wm_pattern);

    *out = *p;
    wm_star_open_rest(s, m, out);
    wm_star_open_rest(s, &s->at.item[0], out); /* a leaf's may have become the center's */
    p = WM_NEW(s->x->cc->a, struct wm_pattern);
    *p = *out;
    p->dim = WM_NEW_N(s->x->cc->a, struct wm_pat *, out->ndim);
    for (uint32_t k = 0; k < out->ndim; k++)
        p->dim[k] = written(s, out->dim[k]);
    return p;
}

static void
write_terms(struct wm_star *s)
{
    struct wm_fuse *x = s->x;
    struct wm_arena *a = x->cc->a;
    int mid = s->at.item[0].h->mid;

    for (int side = 0; side < 2; side++) {
        WM_VEC(struct wm_term) term = {0};

        for (uint32_t i = side == mid; i < (side == mid ? s->at.n : 1); i++) {
            const struct wm_star_member *m = &s->at.item[i];
            int out = 1 - m->h->mid;

            wm_fuse_enter(x, m->h, m->guest);
            for (uint32_t t = 0; t < m->h->r->side[out].nterm; t++)
                *WM_PUSH(a, &term) = (struct wm_term){
                    .span = s->o.span,
                    .key = wm_fuse_key(x, m->h, &m->h->key[out][t], m->guest),
                    .pattern = write_pattern(s, m, m->out[t]),
                };
            m->h->part->subst.n = 0;
        }
        s->o.ast->side[side].term = term.item;
        s->o.ast->side[side].nterm = term.n;
    }
}

static struct wm_expr *
binary(struct wm_star *s, enum wm_expr_kind kind, struct wm_expr *l, struct wm_expr *r)
{
    struct wm_expr *e = WM_NEW(s->x->cc->a, struct wm_expr);

    *e = (struct wm_expr){
        .kind = kind, .span = s->o.span, .narg = 2, .depth = 8, .arg = WM_NEW_N(s->x->cc->a, struct wm_expr *, 2)};
    e->arg[0] = l;
    e->arg[1] = r;
    return e;
}

/* An axis with a size was replaced: the one factor there whose size nobody says gets it. */
static void
pass_size(struct wm_star *s, const struct wm_star_axis *ax)
{
    const struct wm_pat *to = written(s, ax->to);
    struct wm_star_axis *open = NULL;
    struct wm_expr *rest = NULL;
    uint32_t n = to->kind == WM_PT_PRODUCT ? to->nitem : 1;

    for (uint32_t i = 0; i < n; i++) {
        struct wm_star_axis *one = wm_star_axis_of(s, to->kind == WM_PT_PRODUCT ? to->item[i] : to);

        if (!one || (open && !one->size))
            return;
        if (!one->size)
            open = one;
        else
            rest = rest ? binary(s, WM_EX_MUL, rest, one->size) : one->size;
    }
    if (!open || open->fixed)
        return;
    open->size = rest ? binary(s, WM_EX_DIV, ax->size, rest) : ax->size;
    open->said = true;
}

static void
write_sizes(struct wm_star *s)
{
    for (uint32_t i = 0; i < s->axis.n; i++)
        if (s->axis.item[i].to && s->axis.item[i].size)
            pass_size(s, &s->axis.item[i]);
    for (uint32_t i = 0; i < s->axis.n; i++)
        if (!s->axis.item[i].to && s->axis.item[i].said)
            wm_fuse_binding(&s->o, WM_CL_WHERE, s->axis.item[i].name, s->axis.item[i].size);
    for (uint32_t i = 0; i < s->at.n; i++) {
        const struct wm_star_member *m = &s->at.item[i];

        wm_fuse_enter(s->x, m->h, m->guest);
        for (uint32_t k = 1; k < m->h->r->axis.n; k++) {
            const struct wm_axis *ax = &m->h->r->axis.item[k];
            struct wm_str name = s->axis.item[m->first + k - 1].name;

            if (ax->broadcast)
                wm_fuse_binding(&s->o, WM_CL_BROADCAST, name, NULL);
            if (ax->pick)
                wm_fuse_binding(&s->o, WM_CL_PICK, name, wm_flat_expr(&s->x->flat, m->h->part, ax->pick));
            if (ax->pad)
                wm_fuse_binding(&s->o, WM_CL_PAD, name, wm_flat_expr(&s->x->flat, m->h->part, ax->pad));
        }
        m->h->part->subst.n = 0;
    }
}

static bool
write_star(struct wm_star *s)
{
    struct wm_half *center = s->at.item[0].h;
    struct wm_expr *only = NULL;
    bool optional = true;

    s->o = (struct wm_rule_out){.x = s->x, .ast = WM_NEW(s->x->cc->a, struct wm_rule_ast), .span = center->r->span};
    *s->o.ast = *center->r->ast;
    for (uint32_t i = 0; i < s->at.n; i++)
        if (!enter_member(s, &s->at.item[i], &only, &optional))
            return false;
    if (!wm_star_unify(s))
        return false;
    write_terms(s);
    write_sizes(s);
    if (optional)
        wm_fuse_clause(&s->o, WM_CL_OPTIONAL, only);
    wm_fuse_put(&s->o);
    for (uint32_t i = 0; i < s->at.n; i++)
        s->at.item[i].h->fused = true;
    return true;
}

bool
wm_fuse_patterns(struct wm_fuse *x, const struct wm_links *l, struct wm_half *h)
{
    struct wm_star s = {.x = x};
    int which = h->mid == 0;
    struct wm_half *other = NULL;

    if (gather(&s, l, h))
        return write_star(&s);
    for (uint32_t i = 0; i < l->at.n && x->why.n == 0; i++)
        if (l->at.item[i].h[which] == h) {
            other = l->at.item[i].h[1 - which];
            if (gather(&s, l, other))
                return write_star(&s);
        }
    return wm_fuse_fail(x, which ? other : h, which ? h : other, "both change the tensors between them");
}
