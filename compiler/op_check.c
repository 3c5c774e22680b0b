/* compiler/op_check.c -- what a pipeline shows without config and checkpoint.
 *
 * Enters: a rule with its calls as written.  Leaves: diagnostics.  Typing: a call names an
 * operation of the table, has as many arguments as that takes, and each literal is of the kind that
 * stands there. */
#include "compiler/op.h"

#include <math.h>

struct check {
    struct wm_module *m;
    struct wm_diags *ds;
    struct wm_rule *r;
    const struct wm_opcall *call;
    const struct wm_op *op;
};

static const char *const kind_text[] = {
    [WM_ARG_DIM] = "a dimension (an integer)",
    [WM_ARG_INT] = "an integer",
    [WM_ARG_INTS] = "a list of integers",
    [WM_ARG_PARTS] = "a list of sizes or a number of parts",
    [WM_ARG_NUMBER] = "a number",
    [WM_ARG_DTYPE] = "a data type such as bf16",
};

static void
unknown(struct check *c)
{
    const struct wm_op *const *op;
    struct wm_str *name, near;
    struct wm_diag *d;
    uint32_t n;

    op = wm_op_table(&n);
    name = WM_NEW_N(c->m->cc->a, struct wm_str, n);
    for (uint32_t i = 0; i < n; i++)
        name[i] = wm_str_c(op[i]->name);
    d = wm_report(c->ds, WM_E_OP_UNKNOWN, c->call->name_span, "there is no operation `%.*s`",
                  WM_STR_ARG(c->call->name));
    near = wm_suggest(c->m->cc->a, c->call->name, name, n);
    if (near.n > 0)
        wm_note(c->ds, d, "did you mean `%.*s`?", WM_STR_ARG(near));
}

static bool
arity(struct check *c)
{
    uint32_t min = c->op->min_args, max = c->op->max_args;
    struct wm_diag *d;
    struct wm_str range;

    if (c->call->narg >= min && c->call->narg <= max)
        return true;
    if (min == max)
        range = wm_arena_printf(c->m->cc->a, "%u argument%s", min, min == 1 ? "" : "s");
    else if (max == WM_MAX_RANK)
        range = wm_arena_printf(c->m->cc->a, "at least %u argument%s", min, min == 1 ? "" : "s");
    else
        range = wm_arena_printf(c->m->cc->a, "%u to %u arguments", min, max);
    d = wm_report(c->ds, WM_E_OP_ARITY, c->call->span, "%s takes %.*s, this call has %u",
                  c->op->name, WM_STR_ARG(range), c->call->narg);
    if (max > 0)
        wm_note(c->ds, d, "it is written %s(%s)", c->op->name, c->op->signature);
    return false;
}

/* Can the expression be of that kind, as far as a literal tells? */
static bool
may_be(const struct wm_expr *e, enum wm_argkind kind)
{
    bool list = kind == WM_ARG_INTS || kind == WM_ARG_PARTS;

    switch (e->kind) {
    case WM_EX_NEG:
        return e->arg[0]->kind == WM_EX_LIST ? false : may_be(e->arg[0], kind);
    case WM_EX_INT:
        return kind != WM_ARG_INTS;
    case WM_EX_FLOAT:
        return kind == WM_ARG_NUMBER || (kind != WM_ARG_INTS && e->f == floor(e->f));
    case WM_EX_LIST:
        if (!list)
            return false;
        for (uint32_t i = 0; i < e->narg; i++)
            if (!may_be(e->arg[i], WM_ARG_INT))
                return false;
        return true;
    case WM_EX_RANGE:
        return list;
    case WM_EX_BOOL:
    case WM_EX_NULL:
    case WM_EX_STRING:
    case WM_EX_NOT:
    case WM_EX_AND:
    case WM_EX_OR:
    case WM_EX_EQ:
    case WM_EX_NE:
    case WM_EX_LT:
    case WM_EX_LE:
    case WM_EX_GT:
    case WM_EX_GE:
    case WM_EX_IN:
    case WM_EX_CONFIG:
    case WM_EX_KEYS:
        return false;
    default:
        return true;
    }
}

static bool
dtype_arg(struct check *c, const struct wm_expr *e)
{
    struct wm_str name[WM_DT_N * 2], near;
    struct wm_diag *d;

    if (wm_dtype_written(e) != WM_DT_N)
        return true;
    if (e->kind == WM_EX_FIELD || (e->kind == WM_EX_NAME && wm_module_find(c->m, e->s)))
        return wm_check_expr(c->m, e, c->r);
    if (e->kind != WM_EX_NAME) {
        wm_report(c->ds, WM_E_OP_ARG, e->span,
                  "%s: the name of a data type is needed here, such as bf16, or of a text that says one", c->op->name);
        return false;
    }
    for (int t = 0; t < WM_DT_N; t++) {
        name[2 * t] = wm_str_c(wm_dtype_info[t].torch);
        name[2 * t + 1] = wm_str_c(wm_dtype_info[t].name);
    }
    d = wm_report(c->ds, WM_E_DTYPE_UNKNOWN, e->span, "there is no data type `%.*s`",
                  WM_STR_ARG(e->s));
    near = wm_suggest(c->m->cc->a, e->s, name, (uint32_t)WM_COUNTOF(name));
    if (near.n > 0)
        wm_note(c->ds, d, "did you mean `%.*s`?", WM_STR_ARG(near));
    return false;
}

static bool
args(struct check *c)
{
    bool ok = true;

    for (uint32_t i = 0; i < c->call->narg; i++) {
        const struct wm_expr *e = c->call->arg[i];
        enum wm_argkind kind = c->op->arg[i < 3 ? i : 3];

        if (kind == WM_ARG_DTYPE) {
            ok = dtype_arg(c, e) && ok;
        } else if (!may_be(e, kind)) {
            wm_report(c->ds, WM_E_OP_ARG, e->span, "%s: argument %u must be %s", c->op->name, i + 1,
                      kind_text[kind]);
            ok = false;
        } else {
            ok = wm_check_expr(c->m, e, c->r) && ok;
        }
    }
    return ok && (!c->op->check || c->op->check(c->m->cc, c->call));
}

/* In a `<->` rule: can it be undone, and does the author know what that loses? */
static void
both_ways(struct check *c)
{
    const char *why = c->op->one_way ? c->op->one_way(c->call) : NULL;
    struct wm_diag *d;

    if (why) {
        d = wm_report(c->ds, WM_E_OP_ONE_WAY, c->call->span, "%s can't be undone in a `<->` rule",
                      c->op->name);
        wm_note(c->ds, d, "%s", why);
        wm_label(c->ds, d, c->r->ast->arrow_span, "both directions are asked for here");
        return;
    }
    if (c->op->loses && c->op->loses(c->call) && !c->call->lossy) {
        d = wm_report(c->ds, WM_E_OP_LOSSY, c->call->span,
                      "%s loses information, and this rule goes both ways", c->op->name);
        wm_note(c->ds, d, "write `lossy %s` where that is meant, or make two one-way rules",
                c->op->name);
        wm_label(c->ds, d, c->r->ast->arrow_span, "both directions are asked for here");
    }
}

static bool
call(struct check *c)
{
    c->op = wm_op_find(c->call->name);
    if (!c->op) {
        unknown(c);
        return false;
    }
    if (!arity(c) || !args(c))
        return false;
    if (c->r->ast->arrow == WM_AR_BOTH)
        both_ways(c);
    if (c->call->lossy && c->op->class != WM_OP_ELEMENT)
        wm_report(c->ds, WM_E_OP_LOSSY_UNUSED, c->call->span, "%s moves elements and loses nothing",
                  c->op->name);
    if (c->r->has_pattern && c->op->class != WM_OP_ELEMENT) {
        struct wm_diag *d =
            wm_report(c->ds, WM_E_OP_PATTERN, c->call->span,
                      "%s moves elements, but in this rule the patterns do that", c->op->name);

        wm_note(c->ds, d, "say it in the patterns, or write the rule without patterns");
        return false;
    }
    return true;
}

/* ---- the number of tensors ---- */

/* Tensors behind a call, where n enter; WM_NONE: not known yet.  Reports. */
static uint32_t
count(struct check *c, const struct wm_op *op, bool undo, uint32_t n)
{
    uint32_t pieces = WM_NONE;
    int64_t i;

    if (op->class != WM_OP_JOIN)
        return n;
    if (!undo)
        return 1;
    if (n != 1 && n != WM_NONE)
        wm_report(c->ds, WM_E_OP_COUNT, c->call->span,
                  "%.*s takes one tensor apart, but here the list has %u",
                  WM_STR_ARG(c->call->name), n);
    if (op->max_args == 2 && c->call->narg == 2) {
        pieces = wm_text_list(c->call->arg[1]);
        if (pieces == WM_NONE && wm_text_literal(c->call->arg[1], &i) && i > 0 && i < UINT32_MAX)
            pieces = (uint32_t)i;
    }
    return pieces;
}

/* Do the lists of both ends fit?  Only where each term is one tensor of the instance. */
static void
counts(struct check *c)
{
    const struct wm_rule_ast *ast = c->r->ast;
    bool right_to_left = ast->arrow == WM_AR_BACKWARD;
    uint32_t n = c->r->side[right_to_left].nterm, want = c->r->side[!right_to_left].nterm;

    for (uint32_t v = 0; v < c->r->var.n; v++)
        if (!c->r->var.item[v].common)
            return;
    for (uint32_t k = 0; k < ast->nop; k++) {
        const struct wm_op *op;

        c->call = &ast->op[right_to_left ? ast->nop - 1 - k : k];
        op = wm_op_find(c->call->name);
        n = count(c, op->mirror ? op->mirror : op, op->mirror != NULL, n);
    }
    if (n != WM_NONE && n != want)
        wm_report(c->ds, WM_E_OP_COUNT, ast->op[0].span,
                  "the operations give %u tensor%s, but the rule has %u on the %s", n,
                  n == 1 ? "" : "s", want, right_to_left ? "left" : "right");
}

void
wm_check_ops(struct wm_module *m, struct wm_rule *r)
{
    struct check c = {.m = m, .ds = &m->cc->diags, .r = r};
    bool ok = true;

    for (uint32_t i = 0; i < r->ast->nop; i++) {
        c.call = &r->ast->op[i];
        ok = call(&c) && ok;
    }
    if (ok && !r->has_pattern && !wm_ops_elementwise(r->ast) && !r->side[0].fill &&
        !r->side[1].fill)
        counts(&c);
}
