/* compiler/check_rule.c -- walks the statements and resolves each rule.
 *
 * Enters: the tree of a module whose names are collected.  Leaves: m->rule.  A rule carries the prefixes of the blocks
 * around it in its keys, and the conditions of the `if`s and `when`s around it in its cond list. */
#include "compiler/check.h"
#include "compiler/op.h"

enum { WM_MAX_NESTING = 64 };

/* The blocks around a rule, outermost first. */
struct around {
    struct wm_module *m;
    const struct wm_template *prefix[2][WM_MAX_NESTING];
    uint32_t nprefix;
    const struct wm_clause *clause[WM_MAX_NESTING]; /* clauses of the `within` blocks */
    uint32_t nclause[WM_MAX_NESTING];
    struct wm_cond cond[WM_MAX_NESTING * 2];
    uint32_t ncond;
};

static void walk(struct around *x, struct wm_stmt *const *stmt, uint32_t n);

/* ---- keys of the terms ---- */

/* File indices of the first file line that holds the key, those that a shard block cuts excepted. */
static void
resolve_place(struct wm_module *m, struct wm_rule *r, int side, struct wm_rterm *t)
{
    for (uint32_t i = 0; i < m->side[side].file.n; i++) {
        const struct wm_file_line *f = &m->side[side].file.item[i];

        if (f->has_holds && !wm_key_inside(m->cc->a, &t->key, &f->holds, NULL))
            continue;
        t->place = WM_NEW_N(m->cc->a, uint32_t, f->nplace);
        for (uint32_t k = 0; k < f->nplace; k++) {
            uint32_t index = f->scope->var.item[f->place[k]].index;

            if (!wm_index_is_sharded(m, side, index))
                t->place[t->nplace++] = wm_rule_index_var(m, r, index, t->span);
        }
        return;
    }
}

static void
mark(const struct wm_rule *r, bool *has, uint32_t v)
{
    has[v] = true;
    for (uint32_t c = 0; c < r->var.item[v].ncomponent; c++)
        has[r->var.item[v].component[c]] = true;
}

static void
vars_of_term(const struct wm_rule *r, const struct wm_rterm *t, bool *has)
{
    for (uint32_t i = 0; i < t->key.npart; i++)
        if (t->key.part[i].kind != WM_KP_TEXT)
            mark(r, has, t->key.part[i].var);
    for (uint32_t i = 0; i < t->nplace; i++)
        mark(r, has, t->place[i]);
}

/* Does a clause of the rule say `broadcast` or `pick` of it, itself or as a component? */
static bool
is_spread(const struct wm_rule *r, uint32_t v)
{
    for (uint32_t i = 0; i < r->ast->nclause; i++) {
        const struct wm_clause *c = &r->ast->clause[i];

        for (uint32_t k = 0; k < c->nbind && (c->kind == WM_CL_BROADCAST || c->kind == WM_CL_PICK); k++) {
            uint32_t named = wm_rule_find_var(r, c->bind[k].name);

            if (named == v)
                return true;
            for (uint32_t p = 0; named != WM_NONE && p < r->var.item[named].ncomponent; p++)
                if (r->var.item[named].component[p] == v)
                    return true;
        }
    }
    return false;
}

/* Tuples above a bound are left out as whole instances; along an axis they would be holes. */
static void
check_bound(struct wm_module *m, const struct wm_rule *r, uint32_t v)
{
    const struct wm_var *var = &r->var.item[v];

    if (!m->index.item[var->index].stmt->bound || var->common)
        return;
    for (uint32_t c = 0; c < var->ncomponent; c++) {
        const struct wm_var *part = &r->var.item[var->component[c]];

        if (part->common || is_spread(r, var->component[c]))
            continue;
        wm_report(&m->cc->diags, WM_E_COMPOSITE, var->span,
                  "`%.*s` has a bound, so `%.*s` must stand in keys of both sides: an axis of it would have holes",
                  WM_STR_ARG(var->name), WM_STR_ARG(part->name));
        return;
    }
}

/* A variable is common where every term of both sides has it: one value of it is one instance.  A fill has no terms to
 * lack one, so there `broadcast` and `pick` decide. */
static void
find_common(struct wm_module *m, struct wm_rule *r)
{
    bool fill = r->side[0].fill || r->side[1].fill;

    for (uint32_t v = 0; v < r->var.n; v++)
        r->var.item[v].common = !fill || !is_spread(r, v);
    for (int s = 0; s < 2; s++)
        for (uint32_t t = 0; t < r->side[s].nterm; t++) {
            bool *has = WM_NEW_N(m->cc->a, bool, r->var.n);

            vars_of_term(r, &r->side[s].term[t], has);
            for (uint32_t v = 0; v < r->var.n; v++)
                r->var.item[v].common &= has[v];
        }
    for (uint32_t v = 0; v < r->var.n; v++) {
        struct wm_var *var = &r->var.item[v];

        if (var->kind == WM_VAR_COMPOSITE) {
            var->common = true;
            for (uint32_t c = 0; c < var->ncomponent; c++)
                var->common &= r->var.item[var->component[c]].common;
            check_bound(m, r, v);
        }
        if (var->kind == WM_VAR_CAPTURE && !var->common)
            wm_report(&m->cc->diags, WM_E_KEY_CAPTURE, var->span,
                      "the capture `{%.*s*}` must stand in every key of both sides", WM_STR_ARG(var->name));
        r->captures |= var->kind == WM_VAR_CAPTURE;
    }
}

static void
add_key_axes(struct wm_module *m, struct wm_rule *r, int s, struct wm_rterm *t)
{
    bool *has = WM_NEW_N(m->cc->a, bool, r->var.n);

    vars_of_term(r, t, has);
    t->key_axis = WM_NEW_N(m->cc->a, uint32_t, r->var.n);
    for (uint32_t v = 0; v < r->var.n; v++) {
        const struct wm_var *var = &r->var.item[v];
        uint32_t ax;

        if (!has[v] || var->common || var->kind == WM_VAR_COMPOSITE || var->kind == WM_VAR_CAPTURE)
            continue;
        ax = wm_rule_axis(m, r, var->name, var->span);
        r->axis.item[ax].in_key[s] = true;
        t->key_axis[t->nkey_axis++] = ax;
    }
}

static bool
resolve_term(struct around *x, struct wm_rule *r, int s, const struct wm_term *term, struct wm_rterm *out)
{
    const struct wm_template *list[WM_MAX_NESTING + 1];

    for (uint32_t i = 0; i < x->nprefix; i++)
        list[i] = x->prefix[s][i];
    list[x->nprefix] = term->key;
    out->span = term->span;
    if (!wm_resolve_templates(x->m, r, s, list, x->nprefix + 1, &out->key))
        return false;
    wm_check_ambiguous(x->m, &out->key);
    resolve_place(x->m, r, s, out);
    return true;
}

static bool
resolve_terms(struct around *x, struct wm_rule *r)
{
    const struct wm_rule_ast *ast = r->ast;
    bool ok = true;

    for (int s = 0; s < 2; s++) {
        for (uint32_t i = 0; i < x->nprefix; i++)
            wm_declare_holes(x->m, r, s, x->prefix[s][i]);
        for (uint32_t t = 0; t < ast->side[s].nterm; t++)
            wm_declare_holes(x->m, r, s, ast->side[s].term[t].key);
    }
    for (int s = 0; s < 2; s++) {
        r->side[s].fill = ast->side[s].fill;
        r->side[s].nterm = ast->side[s].nterm;
        r->side[s].term = WM_NEW_N(x->m->cc->a, struct wm_rterm, ast->side[s].nterm);
        for (uint32_t t = 0; t < ast->side[s].nterm; t++) {
            ok &= resolve_term(x, r, s, &ast->side[s].term[t], &r->side[s].term[t]);
            r->has_pattern |= ast->side[s].term[t].pattern != NULL;
        }
    }
    if (ok)
        find_common(x->m, r);
    return ok;
}

/* ---- clauses ---- */

static void
take_clause(struct wm_module *m, struct wm_rule *r, const struct wm_clause *c)
{
    switch (c->kind) {
    case WM_CL_WHERE:
        for (uint32_t i = 0; i < c->nbind; i++)
            *WM_PUSH(m->cc->a, &r->where) = c->bind[i];
        break;
    case WM_CL_WHEN:
        *WM_PUSH(m->cc->a, &r->cond) = (struct wm_cond){.expr = c->expr};
        break;
    case WM_CL_OPTIONAL:
        r->optional = true;
        if (c->expr)
            *WM_PUSH(m->cc->a, &r->optional_if) = c->expr;
        break;
    default:
        break; /* broadcast, pick, pad: when the axes are known */
    }
}

/* The axes that a name of broadcast, pick or pad means: itself, or a composite's components. */
static bool
mark_axis(struct wm_module *m, struct wm_rule *r, const struct wm_binding *b, enum wm_clause_kind kind,
          bool inherited)
{
    const struct wm_name *nm = wm_module_find(m, b->name);
    uint32_t axis[WM_MAX_RANK], n = 0;

    if (nm && nm->kind == WM_NM_INDEX && nm->stmt->ncomponent > 0) {
        const struct wm_index_def *def = &m->index.item[nm->id];

        for (uint32_t c = 0; c < def->ncomponent && n < WM_MAX_RANK; c++)
            axis[n++] = wm_rule_find_axis(r, m->index.item[def->component[c]].name);
    } else {
        axis[n++] = wm_rule_find_axis(r, b->name);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct wm_axis *ax;

        if (axis[i] == WM_NONE) {
            if (!inherited)
                wm_report(&m->cc->diags, WM_E_CLAUSE_UNUSED, b->span,
                          "the rule has no axis `%.*s` on one side", WM_STR_ARG(b->name));
            continue;
        }
        ax = &r->axis.item[axis[i]];
        if (kind == WM_CL_BROADCAST)
            ax->broadcast = true;
        else if (kind == WM_CL_PICK)
            ax->pick = b->expr;
        else
            ax->pad = b->expr;
        ax->pick_of = n > 1 && kind == WM_CL_PICK ? nm->id : WM_NONE;
        ax->pick_part = i;
    }
    return true;
}

static void
mark_clause(struct wm_module *m, struct wm_rule *r, const struct wm_clause *c, bool inherited)
{
    if (c->kind != WM_CL_BROADCAST && c->kind != WM_CL_PICK && c->kind != WM_CL_PAD)
        return;
    for (uint32_t i = 0; i < c->nbind; i++)
        mark_axis(m, r, &c->bind[i], c->kind, inherited);
}

static bool
mentions(const struct wm_expr *e, struct wm_str name)
{
    return e && wm_expr_mentions(e, WM_EX_NAME, name);
}

/* Is a where size used: by an axis of that name, or in an expression of the rule? */
static bool
where_is_used(const struct wm_rule *r, uint32_t where)
{
    struct wm_str name = r->where.item[where].name;
    bool used = mentions(r->side[0].fill ? r->side[0].fill->value : NULL, name) ||
                mentions(r->side[1].fill ? r->side[1].fill->value : NULL, name);

    for (uint32_t i = 1; i < r->axis.n; i++)
        used |= wm_str_eq(r->axis.item[i].name, name) || mentions(r->axis.item[i].pick, name) ||
                mentions(r->axis.item[i].pad, name);
    for (uint32_t i = where + 1; i < r->where.n; i++)
        used |= mentions(r->where.item[i].expr, name);
    for (uint32_t i = 0; i < r->cond.n; i++)
        used |= mentions(r->cond.item[i].expr, name);
    for (uint32_t i = 0; i < r->optional_if.n; i++)
        used |= mentions(r->optional_if.item[i], name);
    for (uint32_t i = 0; i < r->ast->nop; i++)
        for (uint32_t k = 0; k < r->ast->op[i].narg; k++)
            used |= mentions(r->ast->op[i].arg[k], name);
    return used;
}

/* Those of the rule itself; what a block gives need not be used by all of its rules. */
static void
check_where_used(struct wm_module *m, const struct wm_rule *r)
{
    for (uint32_t c = 0; c < r->ast->nclause; c++)
        for (uint32_t k = 0; r->ast->clause[c].kind == WM_CL_WHERE && k < r->ast->clause[c].nbind; k++)
            for (uint32_t i = 0; i < r->where.n; i++)
                if (r->where.item[i].expr == r->ast->clause[c].bind[k].expr && r->where.item[i].name.p[0] != '_' &&
                    !where_is_used(r, i))
                    wm_report(&m->cc->diags, WM_E_UNUSED, r->where.item[i].span, "`%.*s` is not used by the rule",
                              WM_STR_ARG(r->where.item[i].name));
}

static void
check_expressions(struct wm_module *m, struct wm_rule *r)
{
    check_where_used(m, r);
    for (uint32_t i = 0; i < r->cond.n; i++) {
        wm_check_bool(m, r->cond.item[i].expr, r);
        if (r->arrow == WM_AR_BOTH && r->cond.item[i].expr->kind == WM_EX_CALL &&
            wm_str_eq(r->cond.item[i].expr->s, WM_STR("exists")))
            wm_report(&m->cc->diags, WM_E_EXISTS_BOTH, r->cond.item[i].expr->span,
                      "the way back does not know whether the input had the tensor; use `optional`");
    }
    for (uint32_t i = 0; i < r->where.n; i++)
        wm_check_expr(m, r->where.item[i].expr, r);
    for (uint32_t i = 0; i < r->optional_if.n; i++)
        wm_check_bool(m, r->optional_if.item[i], r);
    for (uint32_t i = 1; i < r->axis.n; i++)
        if (r->axis.item[i].pick)
            wm_check_expr(m, r->axis.item[i].pick, r);
    for (uint32_t s = 0; s < 2; s++)
        if (r->side[s].fill)
            wm_check_expr(m, r->side[s].fill->value, r);
}

static void
add_rule(struct around *x, const struct wm_stmt *st)
{
    struct wm_module *m = x->m;
    struct wm_arena *a = m->cc->a;
    struct wm_rule *r = WM_NEW(a, struct wm_rule);
    bool ok = true;

    *r = (struct wm_rule){.mod = m, .ast = st->rule, .span = st->span, .arrow = st->rule->arrow,
                          .is_override = st->kind == WM_ST_OVERRIDE};
    *WM_PUSH(a, &r->axis) = (struct wm_axis){.name = WM_STR("..."), .var = WM_NONE, .index = WM_NONE,
                                                .pick_of = WM_NONE};
    for (uint32_t i = 0; i < x->ncond; i++)
        *WM_PUSH(a, &r->cond) = x->cond[i];
    for (uint32_t w = 0; w < x->nprefix; w++)
        for (uint32_t i = 0; i < x->nclause[w]; i++)
            take_clause(m, r, &x->clause[w][i]);
    for (uint32_t i = 0; i < r->ast->nclause; i++)
        take_clause(m, r, &r->ast->clause[i]);
    if (!resolve_terms(x, r))
        return;
    r->pipeline = r->ast->nop > 0 && (!r->has_pattern || !wm_ops_elementwise(r->ast));
    for (int s = 0; s < 2; s++)
        for (uint32_t t = 0; t < r->side[s].nterm; t++) {
            ok &= wm_resolve_pattern(m, r, r->ast->side[s].term[t].pattern, &r->side[s].term[t]);
            add_key_axes(m, r, s, &r->side[s].term[t]);
        }
    for (uint32_t w = 0; w < x->nprefix; w++)
        for (uint32_t i = 0; i < x->nclause[w]; i++)
            mark_clause(m, r, &x->clause[w][i], true);
    for (uint32_t i = 0; i < r->ast->nclause; i++)
        mark_clause(m, r, &r->ast->clause[i], false);
    check_expressions(m, r);
    if (!ok)
        return;
    if (r->ast->nop > 0)
        wm_check_ops(m, r);
    if (!r->pipeline)
        wm_check_pattern(m, r);
    wm_add_rule(m, r);
}

/* Append a rule; an override first takes away the used rules that share a key with it. */
void
wm_add_rule(struct wm_module *m, struct wm_rule *r)
{
    uint32_t n = 0;

    for (uint32_t i = 0; r->is_override && i < m->rule.n; i++) {
        struct wm_rule *old = m->rule.item[i];

        if (!old->used_by || !wm_rules_share_key(m->cc->a, old, r))
            m->rule.item[n++] = old;
    }
    if (r->is_override) {
        if (n == m->rule.n)
            wm_report(&m->cc->diags, WM_E_OVERRIDE, r->span, "no used rule shares a key with this one");
        m->rule.n = n;
    }
    *WM_PUSH(m->cc->a, &m->rule) = r;
}

bool
wm_rules_share_key(struct wm_arena *a, const struct wm_rule *x, const struct wm_rule *y)
{
    struct wm_str proof;

    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < x->side[s].nterm; i++)
            for (uint32_t j = 0; j < y->side[s].nterm; j++)
                if (x->side[s].term[i].key.has_capture == y->side[s].term[j].key.has_capture &&
                    wm_key_overlap(a, &x->side[s].term[i].key, &y->side[s].term[j].key, &proof))
                    return true;
    return false;
}

/* ---- the walk ---- */

static void
walk_within(struct around *x, const struct wm_stmt *st)
{
    if (x->nprefix >= WM_MAX_NESTING) {
        wm_report(&x->m->cc->diags, WM_E_NESTING, st->span, "blocks nest more than %d deep",
                  WM_MAX_NESTING);
        return;
    }
    x->prefix[0][x->nprefix] = st->prefix[0];
    x->prefix[1][x->nprefix] = st->prefix[1];
    x->clause[x->nprefix] = st->clause;
    x->nclause[x->nprefix] = st->nclause;
    x->nprefix++;
    walk(x, st->body, st->nbody);
    x->nprefix--;
}

/* Each arm has the negated conditions of those before it. */
static void
walk_if(struct around *x, const struct wm_stmt *st)
{
    uint32_t before = x->ncond, branch = ++x->m->nbranch;

    for (uint32_t i = 0; i < st->narm; i++) {
        const struct wm_if_arm *arm = &st->arm[i];

        if (x->ncond + 2 > WM_COUNTOF(x->cond)) {
            wm_report(&x->m->cc->diags, WM_E_NESTING, arm->span, "conditions nest too deep");
            break;
        }
        if (arm->cond)
            x->cond[x->ncond++] = (struct wm_cond){arm->cond, false, branch, i + 1};
        else if (x->ncond > before)
            x->cond[x->ncond - 1].arm = i + 1; /* else: the negations carry the arm's number */
        for (uint32_t c = before; c < x->ncond; c++)
            x->cond[c].arm = i + 1;
        walk(x, arm->body, arm->nbody);
        if (arm->cond)
            x->cond[x->ncond - 1].negate = true;
    }
    x->ncond = before;
}

static void
walk(struct around *x, struct wm_stmt *const *stmt, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        switch (stmt[i]->kind) {
        case WM_ST_RULE:
        case WM_ST_OVERRIDE:
            add_rule(x, stmt[i]);
            break;
        case WM_ST_WITHIN:
            walk_within(x, stmt[i]);
            break;
        case WM_ST_IF:
            walk_if(x, stmt[i]);
            break;
        default:
            break;
        }
}

void
wm_check_rules(struct wm_module *m)
{
    struct around *x = WM_NEW(m->cc->a, struct around);

    x->m = m;
    walk(x, m->ast->stmt, m->ast->nstmt);
}
