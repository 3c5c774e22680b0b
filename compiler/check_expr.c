/* compiler/check_expr.c -- names, arity and types of expressions, as far as they show without a config.
 *
 * A type is known where the text shows it (literals, comparisons, sums); the rest is any.  Only what can never be right
 * is refused here; the evaluation at bind checks the values themselves. */
#include "compiler/value.h"

enum type { T_ANY, T_NUMBER, T_BOOL, T_STRING, T_LIST, T_NULL, T_OBJECT };

/* Indices that have a value because `each`, or the name of a file, gives them one. */
struct bound {
    const struct bound *outer;
    struct wm_str name;
};

struct ck {
    struct wm_module *m;
    const struct wm_rule *rule;
    const struct bound *bound;
    bool ok;
    bool per_index;
    bool needs_input; /* a config, an adapter, a checkpoint, another map */
    uint32_t depth;
};

static enum type check(struct ck *x, const struct wm_expr *e);

static const struct {
    const char *name;
    uint8_t min, max;
} functions[] = {
    {"min",       1, 8},
    {"max",       1, 8},
    {"len",       1, 1},
    {"align",     2, 2},
    {"ceil_div",  2, 2},
    {"floor_div", 2, 2},
    {"sqrt",      1, 1},
    {"has",       1, 1},
    {"exists",    1, 1},
    {"text",      1, 1},
    {"json",      1, 1},
    {"files",     1, 1},
    {"without",   2, 2},
};

static const char *
type_name(enum type t)
{
    static const char *const name[] = {"anything", "a number", "a boolean", "a string", "a list",
                                       "null",     "an object"};

    return name[t];
}

static void
want(struct ck *x, const struct wm_expr *e, enum type want_t, const char *who)
{
    enum type t = check(x, e);

    if (t == T_ANY || t == want_t || (t == T_NULL && want_t == T_ANY))
        return;
    wm_report(&x->m->cc->diags, WM_E_VALUE_TYPE, e->span, "%s needs %s, but this is %s", who,
              type_name(want_t), type_name(t));
    x->ok = false;
}

static void
unknown(struct ck *x, const struct wm_expr *e)
{
    struct wm_module *m = x->m;
    uint32_t n = 0, total = m->name_list.n + (x->rule ? x->rule->var.n + x->rule->where.n : 0);
    struct wm_str *names = WM_NEW_N(m->cc->a, struct wm_str, total), near;
    struct wm_diag *d = wm_report(&m->cc->diags, WM_E_UNKNOWN_NAME, e->span, "unknown name `%.*s`",
                                  WM_STR_ARG(e->s));

    for (uint32_t i = 0; i < m->name_list.n; i++)
        names[n++] = m->name_list.item[i].name;
    for (uint32_t i = 0; x->rule && i < x->rule->var.n; i++)
        names[n++] = x->rule->var.item[i].name;
    for (uint32_t i = 0; x->rule && i < x->rule->where.n; i++)
        names[n++] = x->rule->where.item[i].name;
    near = wm_suggest(m->cc->a, e->s, names, n);
    if (near.n)
        wm_note(&m->cc->diags, d, "did you mean `%.*s`?", WM_STR_ARG(near));
    x->ok = false;
}

static enum type
check_let(struct ck *x, const struct wm_expr *e, struct wm_name *nm)
{
    enum type t;

    if (nm->visit == 1) {
        wm_report(&x->m->cc->diags, WM_E_CYCLE, nm->stmt->name_span, "`%.*s` depends on itself",
                  WM_STR_ARG(nm->name));
        nm->visit = 2;
        x->ok = false;
        return T_ANY;
    }
    x->needs_input |= nm->needs_input;
    if (nm->visit == 2 && !nm->per_index)
        return T_ANY;
    if (x->depth++ > 200)
        return T_ANY;
    if (nm->visit == 0) {
        /* the let on its own: does it need an index? */
        struct ck in = {.m = x->m, .rule = x->rule, .bound = x->bound, .ok = true, .depth = x->depth};

        nm->visit = 1;
        t = check(&in, nm->stmt->expr);
        nm->per_index = in.per_index;
        nm->needs_input = in.needs_input;
        nm->visit = 2;
        x->ok &= in.ok;
    } else {
        t = check(x, nm->stmt->expr);
    }
    x->per_index |= nm->per_index;
    x->needs_input |= nm->needs_input;
    x->depth--;
    (void)e;
    return t;
}

static enum type
check_index_name(struct ck *x, const struct wm_expr *e)
{
    x->per_index = true;
    if (!x->rule)
        return T_NUMBER; /* a let that uses an index: right where the index has a value */
    for (uint32_t v = 0; v < x->rule->var.n; v++)
        if (wm_str_eq(x->rule->var.item[v].name, e->s) && x->rule->var.item[v].common)
            return T_NUMBER;
    wm_report(&x->m->cc->diags, WM_E_COND_INDEX, e->span,
              "index `%.*s` has no value here: it must stand in a key on both sides of the rule",
              WM_STR_ARG(e->s));
    x->ok = false;
    return T_ANY;
}

static enum type
check_name(struct ck *x, const struct wm_expr *e)
{
    struct wm_name *nm;

    for (const struct bound *b = x->bound; b; b = b->outer)
        if (wm_str_eq(b->name, e->s)) {
            x->per_index = true;
            return T_NUMBER;
        }
    for (uint32_t i = 0; x->rule && i < x->rule->where.n; i++)
        if (wm_str_eq(x->rule->where.item[i].name, e->s))
            return T_ANY;
    for (uint32_t v = 0; x->rule && v < x->rule->var.n; v++) {
        const struct wm_var *var = &x->rule->var.item[v];

        if (!wm_str_eq(var->name, e->s))
            continue;
        x->per_index = true;
        if (!var->common)
            return check_index_name(x, e);
        return var->kind == WM_VAR_WORDS || var->kind == WM_VAR_CAPTURE ? T_STRING : T_NUMBER;
    }
    nm = (struct wm_name *)wm_module_find(x->m, e->s);
    if (!nm) {
        unknown(x, e);
        return T_ANY;
    }
    nm->used = true;
    x->needs_input |= nm->kind != WM_NM_LET;
    if (nm->kind == WM_NM_LET)
        return check_let(x, e, nm);
    if (nm->kind == WM_NM_INDEX)
        return check_index_name(x, e);
    if (nm->kind == WM_NM_IMPORT) {
        wm_report(&x->m->cc->diags, WM_E_NO_VALUE, e->span, "`%.*s` is a map; write `%.*s.name`",
                  WM_STR_ARG(e->s), WM_STR_ARG(e->s));
        x->ok = false;
    }
    return T_ANY;
}

static enum type
check_field(struct ck *x, const struct wm_expr *e)
{
    const struct wm_expr *base = e->arg[0];
    struct wm_name *nm, *in;

    x->needs_input = true;
    if (base->kind == WM_EX_NAME && wm_str_eq(base->s, WM_STR("adapter")) && !wm_module_find(x->m, base->s))
        return T_ANY;
    if (base->kind == WM_EX_CONFIG)
        return T_ANY;
    if (base->kind == WM_EX_NAME && (nm = (struct wm_name *)wm_module_find(x->m, base->s)) &&
        nm->kind == WM_NM_IMPORT) {
        nm->used = true;
        in = (struct wm_name *)wm_module_find(x->m->import.item[nm->id].module, e->s);
        if (!in || in->kind == WM_NM_INDEX || in->kind == WM_NM_IMPORT) {
            wm_report(&x->m->cc->diags, WM_E_UNKNOWN_NAME, e->span, "map `%.*s` has no value `%.*s`",
                      WM_STR_ARG(base->s), WM_STR_ARG(e->s));
            x->ok = false;
        } else {
            in->used = true;
        }
        return T_ANY;
    }
    check(x, base);
    return T_ANY;
}

static void
check_text(struct ck *x, const struct wm_template *t)
{
    for (uint32_t i = 0; i < t->npart; i++) {
        const struct wm_hole *h = &t->part[i];

        if (h->kind == WM_HO_INDEX) {
            check(x, h->expr);
        } else if (h->kind == WM_HO_WORDS || h->kind == WM_HO_CAPTURE) {
            wm_report(&x->m->cc->diags, WM_E_NO_VALUE, h->span, "`%.*s` has no value here", WM_STR_ARG(h->name));
            x->ok = false;
        }
    }
}

static enum type
check_each(struct ck *x, const struct wm_expr *e)
{
    struct wm_name *nm = (struct wm_name *)wm_module_find(x->m, e->s);
    const struct bound b = {x->bound, e->s};

    x->needs_input = true;
    if (!nm || nm->kind != WM_NM_INDEX || x->m->index.item[nm->id].ncomponent) {
        wm_report(&x->m->cc->diags, WM_E_UNKNOWN_NAME, e->span, "`%.*s` is not %s index", WM_STR_ARG(e->s),
                  nm && nm->kind == WM_NM_INDEX ? "a plain" : "an");
        x->ok = false;
        return T_ANY;
    }
    nm->used = true;
    x->bound = &b;
    check(x, e->arg[0]);
    if (e->narg > 1)
        want(x, e->arg[1], T_BOOL, "a condition");
    x->bound = b.outer;
    return T_ANY;
}

static enum type
check_object(struct ck *x, const struct wm_expr *e)
{
    for (uint32_t i = 0; i < e->narg; i++) {
        const struct wm_expr *m = e->arg[i];

        if (m->kind == WM_EX_MEMBER && m->tmpl)
            check_text(x, m->tmpl);
        check(x, m->kind == WM_EX_MEMBER ? m->arg[0] : m);
    }
    return T_OBJECT;
}

static enum type
check_call(struct ck *x, const struct wm_expr *e)
{
    struct wm_diags *ds = &x->m->cc->diags;
    struct wm_str names[WM_COUNTOF(functions)], near;
    struct wm_diag *d;
    const struct wm_name *nm;

    for (size_t i = 0; i < WM_COUNTOF(functions); i++) {
        names[i] = wm_str_c(functions[i].name);
        if (!wm_str_eq(names[i], e->s))
            continue;
        if (e->narg < functions[i].min || e->narg > functions[i].max) {
            wm_report(ds, WM_E_ARITY, e->span, "%s takes %u%s argument%s, but has %u", functions[i].name,
                      functions[i].min, functions[i].max > functions[i].min ? " or more" : "",
                      functions[i].max > 1 ? "s" : "", e->narg);
            x->ok = false;
            return T_ANY;
        }
        x->needs_input |= wm_str_eq(e->s, WM_STR("exists")) || wm_str_eq(e->s, WM_STR("json")) ||
                          wm_str_eq(e->s, WM_STR("files"));
        if (wm_str_eq(e->s, WM_STR("text"))) {
            want(x, e->arg[0], T_STRING, "text");
            if (e->arg[0]->tmpl)
                check_text(x, e->arg[0]->tmpl);
            return T_STRING;
        }
        if (wm_str_eq(e->s, WM_STR("json")) || wm_str_eq(e->s, WM_STR("files"))) {
            want(x, e->arg[0], T_STRING, functions[i].name);
            return e->s.p[0] == 'j' ? T_ANY : T_NUMBER;
        }
        if (wm_str_eq(e->s, WM_STR("without"))) {
            check(x, e->arg[0]);
            want(x, e->arg[1], T_STRING, "without");
            return T_ANY;
        }
        if (wm_str_eq(e->s, WM_STR("exists")))
            return e->arg[0]->tmpl ? T_BOOL : (want(x, e->arg[0], T_STRING, "exists"), T_BOOL);
        if (wm_str_eq(e->s, WM_STR("len")) && e->arg[0]->kind == WM_EX_NAME &&
            (nm = wm_module_find(x->m, e->arg[0]->s)) && nm->kind == WM_NM_INDEX) {
            ((struct wm_name *)nm)->used = true;
            x->needs_input = true; /* its values may be those of the keys */
            return T_NUMBER;
        }
        for (uint32_t k = 0; k < e->narg; k++)
            check(x, e->arg[k]);
        return wm_str_eq(e->s, WM_STR("has")) ? T_BOOL : T_NUMBER;
    }
    d = wm_report(ds, WM_E_UNKNOWN_FUNCTION, e->span, "unknown function `%.*s`", WM_STR_ARG(e->s));
    near = wm_suggest(x->m->cc->a, e->s, names, WM_COUNTOF(functions));
    if (near.n)
        wm_note(ds, d, "did you mean `%.*s`?", WM_STR_ARG(near));
    x->ok = false;
    return T_ANY;
}

static enum type
check(struct ck *x, const struct wm_expr *e)
{
    enum type a, b;

    switch (e->kind) {
    case WM_EX_INT:
    case WM_EX_FLOAT:
        return T_NUMBER;
    case WM_EX_BOOL:
        return T_BOOL;
    case WM_EX_NULL:
        return T_NULL;
    case WM_EX_STRING:
        return T_STRING;
    case WM_EX_NAME:
        return check_name(x, e);
    case WM_EX_FIELD:
        return check_field(x, e);
    case WM_EX_CALL:
        return check_call(x, e);
    case WM_EX_ITEM:
        check(x, e->arg[0]);
        check(x, e->arg[1]);
        return T_ANY;
    case WM_EX_NEG:
        want(x, e->arg[0], T_NUMBER, "`-`");
        return T_NUMBER;
    case WM_EX_NOT:
        want(x, e->arg[0], T_BOOL, "`!`");
        return T_BOOL;
    case WM_EX_MUL:
    case WM_EX_DIV:
    case WM_EX_MOD:
    case WM_EX_ADD:
    case WM_EX_SUB:
        want(x, e->arg[0], T_NUMBER, "arithmetic");
        want(x, e->arg[1], T_NUMBER, "arithmetic");
        return T_NUMBER;
    case WM_EX_AND:
    case WM_EX_OR:
        want(x, e->arg[0], T_BOOL, e->kind == WM_EX_AND ? "`&&`" : "`||`");
        want(x, e->arg[1], T_BOOL, e->kind == WM_EX_AND ? "`&&`" : "`||`");
        return T_BOOL;
    case WM_EX_COND:
        want(x, e->arg[0], T_BOOL, "`?:`");
        a = check(x, e->arg[1]);
        b = check(x, e->arg[2]);
        return a == b ? a : T_ANY;
    case WM_EX_ELSE:
        check(x, e->arg[0]);
        check(x, e->arg[1]);
        return T_ANY;
    case WM_EX_LIST:
    case WM_EX_RANGE:
        for (uint32_t i = 0; i < e->narg; i++)
            check(x, e->arg[i]);
        return T_LIST;
    case WM_EX_OBJECT:
        return check_object(x, e);
    case WM_EX_EACH:
        return check_each(x, e);
    case WM_EX_IN:
        check(x, e->arg[0]);
        want(x, e->arg[1], T_LIST, "`in`");
        return T_BOOL;
    case WM_EX_EQ:
    case WM_EX_NE:
    case WM_EX_LT:
    case WM_EX_LE:
    case WM_EX_GT:
    case WM_EX_GE:
        check(x, e->arg[0]);
        check(x, e->arg[1]);
        return T_BOOL;
    default:
        return T_ANY;
    }
}

bool
wm_check_expr(struct wm_module *m, const struct wm_expr *e, const struct wm_rule *vars)
{
    struct ck x = {.m = m, .rule = vars, .ok = true};

    check(&x, e);
    return x.ok;
}

bool
wm_check_expr_at(struct wm_module *m, const struct wm_expr *e, const struct wm_rule *vars, struct wm_str index)
{
    const struct bound bound = {NULL, index};
    struct ck x = {.m = m, .rule = vars, .bound = &bound, .ok = true};

    check(&x, e);
    return x.ok;
}

bool
wm_check_emit(struct wm_module *m, const struct wm_side_item *it)
{
    const struct wm_template *t = it->tmpl[0];
    struct bound *bound = WM_NEW_N(m->cc->a, struct bound, t->npart);
    struct ck x = {.m = m, .ok = true};

    for (uint32_t i = 0; i < t->npart; i++) {
        const struct wm_hole *h = &t->part[i];
        struct wm_name *nm = (struct wm_name *)wm_module_find(m, h->name);

        if (h->kind == WM_HO_TEXT)
            continue;
        if (h->kind != WM_HO_INDEX || h->expr->kind != WM_EX_NAME || !nm || nm->kind != WM_NM_INDEX ||
            m->index.item[nm->id].ncomponent) {
            wm_report(&m->cc->diags, WM_E_KEY_HOLE, h->span, "a placeholder of this name must be a plain index");
            return false;
        }
        nm->used = true;
        bound[i] = (struct bound){x.bound, h->name};
        x.bound = &bound[i];
    }
    check(&x, it->value);
    if (it->when)
        want(&x, it->when, T_BOOL, "a condition");
    return x.ok;
}

bool
wm_check_bool(struct wm_module *m, const struct wm_expr *e, const struct wm_rule *vars)
{
    struct ck x = {.m = m, .rule = vars, .ok = true};

    want(&x, e, T_BOOL, "a condition");
    return x.ok;
}

bool
wm_expr_mentions(const struct wm_expr *e, enum wm_expr_kind kind, struct wm_str name)
{
    if (e->kind == kind && (name.n == 0 || wm_str_eq(e->s, name)))
        return true;
    for (uint32_t i = 0; i < e->narg; i++)
        if (wm_expr_mentions(e->arg[i], kind, name))
            return true;
    return false;
}

/* A let outside of any rule may name an index; which it depends on shows in per_index. */
void
wm_check_names(struct wm_module *m)
{
    struct ck x = {.m = m, .ok = true};

    for (uint32_t i = 0; i < m->name_list.n; i++) {
        struct wm_name *nm = &m->name_list.item[i];
        const bool used = nm->used;

        if (nm->kind == WM_NM_LET && nm->visit == 0) {
            check_let(&x, nm->stmt->expr, nm);
            nm->used = used;
        }
        if (nm->kind == WM_NM_PARAM)
            check(&x, nm->stmt->expr);
        if (nm->stmt->where && nm->kind != WM_NM_LET) {
            /* a filter may use the index itself, and what a param must be, the param */
            wm_check_bool(m, nm->stmt->where, NULL);
            nm->used = used;
        }
        if (nm->kind != WM_NM_INDEX)
            continue;
        if (nm->stmt->bound)
            want(&x, nm->stmt->bound, T_NUMBER, "the bound of an index");
        if (nm->stmt->expr && nm->stmt->expr->kind != WM_EX_KEYS)
            want(&x, nm->stmt->expr, T_LIST, "the domain of an index");
    }
}

/* A let that needs no input has its value now: an overflow or a division in it is found without a checkpoint.  Params
 * stand for their defaults; a map that uses them may be given others, so lets with params are left to bind. */
void
wm_check_constants(struct wm_module *m)
{
    struct wm_benv be = {.cc = m->cc};
    struct wm_menv *me = wm_menv_of(&be, m);

    for (uint32_t i = 0; i < m->name_list.n; i++) {
        const struct wm_name *nm = &m->name_list.item[i];

        if (nm->kind == WM_NM_LET && !nm->per_index && !nm->needs_input)
            wm_eval(&be, me, NULL, nm->stmt->expr);
    }
}
