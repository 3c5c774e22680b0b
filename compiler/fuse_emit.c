/* compiler/fuse_emit.c -- one rule of a fused map.
 *
 * Enters: a host and a guest for each of its terms in the middle.  Leaves: a rule whose keys there are the guests', whose
 * conditions are those of all, and which is optional where all are. */
#include "compiler/fuse.h"

/* ---- conditions over words ---- */

enum truth { UNKNOWN, YES, NO };

static enum truth
not_of(enum truth t)
{
    return t == UNKNOWN ? UNKNOWN : t == YES ? NO : YES;
}

static enum truth
fold(const struct wm_expr *e)
{
    enum truth a, b;
    bool found = false, literal = true;

    switch (e->kind) {
    case WM_EX_BOOL:
        return e->b ? YES : NO;
    case WM_EX_NOT:
        return not_of(fold(e->arg[0]));
    case WM_EX_EQ:
    case WM_EX_NE:
        if (e->arg[0]->kind != WM_EX_STRING || e->arg[1]->kind != WM_EX_STRING)
            return UNKNOWN;
        a = wm_str_eq(e->arg[0]->s, e->arg[1]->s) ? YES : NO;
        return e->kind == WM_EX_EQ ? a : not_of(a);
    case WM_EX_IN:
        if (e->arg[0]->kind != WM_EX_STRING || e->arg[1]->kind != WM_EX_LIST)
            return UNKNOWN;
        for (uint32_t i = 0; i < e->arg[1]->narg; i++) {
            literal &= e->arg[1]->arg[i]->kind == WM_EX_STRING;
            found |= literal && wm_str_eq(e->arg[1]->arg[i]->s, e->arg[0]->s);
        }
        return !literal ? UNKNOWN : found ? YES : NO;
    case WM_EX_AND:
    case WM_EX_OR:
        a = fold(e->arg[0]);
        b = fold(e->arg[1]);
        if (e->kind == WM_EX_AND)
            return a == NO || b == NO ? NO : a == YES && b == YES ? YES : UNKNOWN;
        return a == YES || b == YES ? YES : a == NO && b == NO ? NO : UNKNOWN;
    default:
        return UNKNOWN;
    }
}

/* ---- names ---- */

static struct wm_str
wm_fuse_name(struct wm_fuse *x, const struct wm_half *h, uint32_t var)
{
    return wm_flat_name(&x->flat, h->part, h->r->var.item[var].name);
}

/* What the names of a rule are while its expressions are copied. */
void
wm_fuse_enter(struct wm_fuse *x, const struct wm_half *h, const struct wm_guest *g)
{
    h->part->subst.n = 0;
    for (uint32_t v = 0; v < h->r->var.n; v++) {
        const struct wm_var *var = &h->r->var.item[v];
        struct wm_subst s = {.name = var->name};

        if (h->word[v] != WM_NONE)
            s = (struct wm_subst){var->name, wm_var_word(h->r, v, h->word[v]), true};
        else if (g && g->var[v].at.n == 1 && g->var[v].at.item[0].kind != WM_KP_TEXT)
            s.to = wm_fuse_name(x, g->var[v].at.item[0].of, g->var[v].at.item[0].var);
        else
            continue;
        *WM_PUSH(x->cc->a, &h->part->subst) = s;
    }
}

/* ---- clauses ---- */

struct wm_clause *
wm_fuse_clause(struct wm_rule_out *o, enum wm_clause_kind kind, struct wm_expr *e)
{
    struct wm_clause *c = WM_PUSH(o->x->cc->a, &o->clause);

    *c = (struct wm_clause){.kind = kind, .span = o->span, .expr = e};
    return c;
}

bool
wm_same_text(struct wm_cc *cc, const struct wm_expr *a, const struct wm_expr *b)
{
    struct wm_buf x, y;

    wm_buf_init(&x, cc->a);
    wm_buf_init(&y, cc->a);
    wm_print_expr(a, &x);
    wm_print_expr(b, &y);
    return wm_str_eq(wm_buf_str(&x), wm_buf_str(&y));
}

static void
add_condition(struct wm_rule_out *o, struct wm_expr *e)
{
    enum truth t = fold(e);

    for (uint32_t i = 0; i < o->clause.n; i++)
        if (o->clause.item[i].kind == WM_CL_WHEN && wm_same_text(o->x->cc, o->clause.item[i].expr, e))
            return;
    o->never |= t == NO;
    if (t == UNKNOWN)
        wm_fuse_clause(o, WM_CL_WHEN, e);
}

static struct wm_expr *
negated(struct wm_arena *a, struct wm_expr *e)
{
    struct wm_expr *out = WM_NEW(a, struct wm_expr);

    *out = (struct wm_expr){.kind = WM_EX_NOT, .span = e->span, .arg = WM_NEW_N(a, struct wm_expr *, 1), .narg = 1};
    out->arg[0] = e;
    return out;
}

void
wm_fuse_conditions(struct wm_rule_out *o, const struct wm_half *h)
{
    for (uint32_t i = 0; i < h->r->cond.n; i++) {
        struct wm_expr *e = wm_flat_expr(&o->x->flat, h->part, h->r->cond.item[i].expr);

        add_condition(o, h->r->cond.item[i].negate ? negated(o->x->cc->a, e) : e);
    }
}

void
wm_fuse_binding(struct wm_rule_out *o, enum wm_clause_kind kind, struct wm_str name, struct wm_expr *e)
{
    struct wm_clause *c = wm_fuse_clause(o, kind, NULL);

    c->bind = WM_NEW(o->x->cc->a, struct wm_binding);
    c->nbind = 1;
    c->bind[0] = (struct wm_binding){.span = o->span, .name = name, .expr = e};
}

/* where, broadcast, pick, pad: as they were resolved, with those of blocks around the rule. */
static void
add_sizes(struct wm_rule_out *o, const struct wm_half *h)
{
    struct wm_flat *f = &o->x->flat;

    for (uint32_t i = 0; i < h->r->where.n; i++)
        wm_fuse_binding(o, WM_CL_WHERE, wm_flat_name(f, h->part, h->r->where.item[i].name),
                    wm_flat_expr(f, h->part, h->r->where.item[i].expr));
    for (uint32_t i = 1; i < h->r->axis.n; i++) {
        const struct wm_axis *ax = &h->r->axis.item[i];
        struct wm_str name = wm_flat_name(f, h->part, ax->name);

        if (ax->broadcast)
            wm_fuse_binding(o, WM_CL_BROADCAST, name, NULL);
        if (ax->pick)
            wm_fuse_binding(o, WM_CL_PICK, name, wm_flat_expr(f, h->part, ax->pick));
        if (ax->pad)
            wm_fuse_binding(o, WM_CL_PAD, name, wm_flat_expr(f, h->part, ax->pad));
    }
}

/* Where may all its tensors be absent?  `only` collects the conditions; false: nowhere. */
bool
wm_fuse_optional(struct wm_rule_out *o, const struct wm_half *h, struct wm_expr **only)
{
    for (uint32_t i = 0; h->r->optional && i < h->r->optional_if.n; i++) {
        struct wm_expr *e = wm_flat_expr(&o->x->flat, h->part, h->r->optional_if.item[i]), *both;
        enum truth t = fold(e);

        if (t == NO)
            return false;
        if (t == YES || (*only && wm_same_text(o->x->cc, *only, e)))
            continue;
        if (*only) {
            both = WM_NEW(o->x->cc->a, struct wm_expr);
            *both = (struct wm_expr){.kind = WM_EX_AND, .span = e->span, .narg = 2,
                                     .arg = WM_NEW_N(o->x->cc->a, struct wm_expr *, 2)};
            both->arg[0] = *only;
            both->arg[1] = e;
            e = both;
        }
        *only = e;
    }
    return h->r->optional;
}

/* ---- terms ---- */

/* The words of a guest's piece, in the order of the host's variable. */
static void
put_words(struct wm_fuse *x, const struct wm_guest *g, const struct wm_piece *p, const struct wm_piece *host,
          struct wm_hole *out)
{
    const struct wm_keylist *mid = g->half->key[g->half->mid];
    struct wm_str *word = WM_NEW_N(x->cc->a, struct wm_str, host->nword);

    for (uint32_t k = 0; k < mid->at.n; k++)
        for (uint32_t i = 0; mid->at.item[k].kind == WM_KP_WORDS && mid->at.item[k].var == p->var && i < host->nword; i++)
            for (uint32_t j = 0; j < p->nword; j++)
                if (wm_str_eq(mid->at.item[k].word[j], host->word[i]))
                    word[i] = p->word[j];
    out->word = word;
    out->nword = host->nword;
}

static void
put_hole(struct wm_fuse *x, const struct wm_piece *p, struct wm_hole *out)
{
    struct wm_span span = p->of ? p->of->r->span : (struct wm_span){0};

    *out = (struct wm_hole){.kind = WM_HO_TEXT, .span = span, .text = p->text};
    if (p->kind == WM_KP_TEXT)
        return;
    out->name = wm_fuse_name(x, p->of, p->var);
    out->width = p->width;
    out->word = (struct wm_str *)p->word;
    out->nword = p->nword;
    out->kind = p->kind == WM_KP_INDEX ? WM_HO_INDEX : p->kind == WM_KP_WORDS ? WM_HO_WORDS : WM_HO_CAPTURE;
    if (p->kind == WM_KP_INDEX) {
        out->expr = WM_NEW(x->cc->a, struct wm_expr);
        *out->expr = (struct wm_expr){.kind = WM_EX_NAME, .span = span, .s = out->name, .text = out->name};
    }
}

/* A key of the host, or (g) the guest's in the host's names. */
struct wm_template *
wm_fuse_key(struct wm_fuse *x, const struct wm_half *h, const struct wm_keylist *k, const struct wm_guest *g)
{
    struct wm_keylist all = {0};
    struct wm_template *t = WM_NEW(x->cc->a, struct wm_template);

    for (uint32_t i = 0; i < k->at.n; i++) {
        const struct wm_piece *p = &k->at.item[i];

        if (!g || p->kind == WM_KP_TEXT) {
            wm_append_piece(x->cc, &all, *p);
            continue;
        }
        for (uint32_t b = 0; b < g->var[p->var].at.n; b++) {
            struct wm_piece q = g->var[p->var].at.item[b];

            if (q.kind == WM_KP_INDEX && p->kind == WM_KP_INDEX) {
                q.width = p->width;
                q.shift = p->shift;
            }
            if (q.kind == WM_KP_WORDS && p->kind == WM_KP_WORDS) {
                struct wm_hole words;

                put_words(x, g, p, &q, &words);
                q.word = words.word;
            }
            wm_append_piece(x->cc, &all, q);
        }
    }
    t->span = h->r->span;
    t->npart = all.at.n;
    t->part = WM_NEW_N(x->cc->a, struct wm_hole, all.at.n);
    for (uint32_t i = 0; i < all.at.n; i++) {
        put_hole(x, &all.at.item[i], &t->part[i]);
        if (all.at.item[i].shift)
            t->part[i].expr = wm_flat_expr(&x->flat, h->part, all.at.item[i].shift);
    }
    return t;
}

static void
put_side(struct wm_rule_out *o, int side, struct wm_half *h, const struct wm_guest *g)
{
    struct wm_fuse *x = o->x;
    bool mid = side == h->mid;
    uint32_t n = h->r->side[side].nterm;
    struct wm_term *term = WM_NEW_N(x->cc->a, struct wm_term, n);

    for (uint32_t t = 0; t < n; t++) {
        const struct wm_guest *who = mid ? &g[t] : NULL;

        wm_fuse_enter(x, h, NULL);
        term[t] = (struct wm_term){.span = o->span};
        term[t].pattern = wm_flat_pattern(&x->flat, h->part, h->r->ast->side[side].term[t].pattern);
        if (who)
            wm_fuse_enter(x, who->half, who);
        term[t].key = who ? wm_fuse_key(x, who->half, &who->half->key[1 - who->half->mid][0], who)
                          : wm_fuse_key(x, h, &h->key[side][t], NULL);
        if (who)
            who->half->part->subst.n = 0;
    }
    h->part->subst.n = 0;
    o->ast->side[side].term = term;
    o->ast->side[side].nterm = n;
}

/* ---- the rule ---- */

bool
wm_meet_arrows(enum wm_arrow *a, enum wm_arrow b)
{
    if (*a == WM_AR_BOTH)
        *a = b;
    return b == WM_AR_BOTH || *a == b;
}

void
wm_fuse_put(struct wm_rule_out *o)
{
    struct wm_stmt *st = WM_NEW(o->x->cc->a, struct wm_stmt);

    if (o->never)
        return;
    o->ast->clause = o->clause.item;
    o->ast->nclause = o->clause.n;
    *st = (struct wm_stmt){.kind = WM_ST_RULE, .span = o->span, .rule = o->ast};
    *WM_PUSH(o->x->cc->a, &o->x->rule) = st;
}

bool
wm_fuse_emit(struct wm_fuse *x, struct wm_half *host, const struct wm_guest *guest, uint32_t nguest)
{
    struct wm_rule_out o = {.x = x, .ast = WM_NEW(x->cc->a, struct wm_rule_ast), .span = host->r->span};
    struct wm_expr *only = NULL;
    bool optional;

    *o.ast = *host->r->ast;
    for (uint32_t i = 0; i < nguest; i++)
        if (!wm_meet_arrows(&o.ast->arrow, guest[i].half->r->arrow))
            return wm_fuse_fail(x, host, guest[i].half, "they go in different directions");
    for (int s = 0; s < 2; s++)
        put_side(&o, s, host, guest);
    wm_fuse_enter(x, host, NULL);
    wm_fuse_conditions(&o, host);
    add_sizes(&o, host);
    optional = wm_fuse_optional(&o, host, &only);
    o.ast->op = wm_flat_ops(&x->flat, host->part, host->r->ast->op, host->r->ast->nop);
    for (int s = 0; s < 2; s++)
        o.ast->side[s].fill = wm_flat_fill(&x->flat, host->part, host->r->ast->side[s].fill);
    host->part->subst.n = 0;
    for (uint32_t i = 0; i < nguest; i++) {
        wm_fuse_enter(x, guest[i].half, &guest[i]);
        wm_fuse_conditions(&o, guest[i].half);
        optional = wm_fuse_optional(&o, guest[i].half, &only) && optional;
        guest[i].half->part->subst.n = 0;
    }
    if (optional)
        wm_fuse_clause(&o, WM_CL_OPTIONAL, only);
    wm_fuse_put(&o);
    return true;
}

/* a's terms, a's operations, b's operations, b's terms; `guest` has a as the guest of b. */
bool
wm_fuse_pipes(struct wm_fuse *x, struct wm_half *a, struct wm_half *b, const struct wm_guest *guest)
{
    struct wm_rule_out o = {.x = x, .ast = WM_NEW(x->cc->a, struct wm_rule_ast), .span = b->r->span};
    uint32_t na = a->r->ast->nop, nb = b->r->ast->nop;
    struct wm_expr *only = NULL;
    struct wm_opcall *op[2];
    bool optional;

    *o.ast = *b->r->ast;
    if (!wm_meet_arrows(&o.ast->arrow, a->r->arrow))
        return wm_fuse_fail(x, a, b, "they go in different directions");
    put_side(&o, 1, b, NULL);
    o.ast->side[0].nterm = a->r->side[0].nterm;
    o.ast->side[0].term = WM_NEW_N(x->cc->a, struct wm_term, a->r->side[0].nterm);
    wm_fuse_enter(x, a, guest);
    for (uint32_t t = 0; t < a->r->side[0].nterm; t++)
        o.ast->side[0].term[t] = (struct wm_term){.span = o.span, .key = wm_fuse_key(x, a, &a->key[0][t], guest)};
    wm_fuse_conditions(&o, a);
    optional = wm_fuse_optional(&o, a, &only);
    op[0] = wm_flat_ops(&x->flat, a->part, a->r->ast->op, na);
    a->part->subst.n = 0;
    wm_fuse_enter(x, b, NULL);
    wm_fuse_conditions(&o, b);
    optional = wm_fuse_optional(&o, b, &only) && optional;
    op[1] = wm_flat_ops(&x->flat, b->part, b->r->ast->op, nb);
    b->part->subst.n = 0;
    o.ast->nop = na + nb;
    o.ast->op = WM_NEW_N(x->cc->a, struct wm_opcall, na + nb);
    memcpy(o.ast->op, op[0], na * sizeof(*op[0]));
    memcpy(o.ast->op + na, op[1], nb * sizeof(*op[1]));
    if (optional)
        wm_fuse_clause(&o, WM_CL_OPTIONAL, only);
    wm_fuse_put(&o);
    return true;
}
