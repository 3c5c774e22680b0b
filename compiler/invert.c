/* compiler/invert.c -- the inverse of a map as a tree, printed by the formatter.
 *
 * Sides change places, in blocks, prefixes and rules; a pipeline is turned around, each operation of a two-way rule
 * replaced by the one that undoes it (a one-way rule keeps its operations: with `<-` the data enters on the right).
 * Everything else stays, comments too. */
#include "compiler/invert.h"

#include "compiler/op.h"

static struct wm_stmt **invert_body(struct wm_cc *cc, struct wm_stmt *const *stmt, uint32_t n, bool *ok);

static struct wm_rule_ast *
invert_rule(struct wm_cc *cc, const struct wm_rule_ast *r, bool *ok)
{
    struct wm_rule_ast *out = WM_NEW(cc->a, struct wm_rule_ast);

    *out = *r;
    out->side[0] = r->side[1];
    out->side[1] = r->side[0];
    if (r->arrow != WM_AR_BOTH)
        out->arrow = r->arrow == WM_AR_FORWARD ? WM_AR_BACKWARD : WM_AR_FORWARD;
    out->op = WM_NEW_N(cc->a, struct wm_opcall, r->nop);
    for (uint32_t i = 0; i < r->nop; i++) {
        const struct wm_opcall *call = &r->op[r->nop - 1 - i];

        out->op[i] = *call;
        if (r->arrow == WM_AR_BOTH)
            *ok &= wm_opcall_invert(cc, call, &out->op[i]);
    }
    return out;
}

static struct wm_stmt *
invert_stmt(struct wm_cc *cc, const struct wm_stmt *st, bool *ok)
{
    struct wm_stmt *out = WM_NEW(cc->a, struct wm_stmt);

    *out = *st;
    switch (st->kind) {
    case WM_ST_SIDE:
    case WM_ST_SHARD:
        out->side = 1 - st->side;
        break;
    case WM_ST_RULE:
    case WM_ST_OVERRIDE:
        out->rule = invert_rule(cc, st->rule, ok);
        break;
    case WM_ST_WITHIN:
        out->prefix[0] = st->prefix[1];
        out->prefix[1] = st->prefix[0];
        out->body = invert_body(cc, st->body, st->nbody, ok);
        break;
    case WM_ST_IF:
        out->arm = WM_NEW_N(cc->a, struct wm_if_arm, st->narm);
        for (uint32_t i = 0; i < st->narm; i++) {
            out->arm[i] = st->arm[i];
            out->arm[i].body = invert_body(cc, st->arm[i].body, st->arm[i].nbody, ok);
        }
        break;
    default:
        break;
    }
    return out;
}

/* source before target, as people write it: blocks that changed sides change places, too. */
static void
swap_side_blocks(struct wm_stmt **s, uint32_t n)
{
    uint32_t at[2] = {WM_NONE, WM_NONE};

    for (uint32_t i = 0; i < n; i++)
        if (s[i]->kind == WM_ST_SIDE)
            at[s[i]->side] = i;
    if (at[0] != WM_NONE && at[1] != WM_NONE && at[1] < at[0]) {
        struct wm_stmt *t = s[at[0]];

        s[at[0]] = s[at[1]];
        s[at[1]] = t;
    }
}

static struct wm_stmt **
invert_body(struct wm_cc *cc, struct wm_stmt *const *stmt, uint32_t n, bool *ok)
{
    struct wm_stmt **out = WM_NEW_N(cc->a, struct wm_stmt *, n);

    for (uint32_t i = 0; i < n; i++)
        out[i] = invert_stmt(cc, stmt[i], ok);
    swap_side_blocks(out, n);
    return out;
}

bool
wm_invert_file(struct wm_cc *cc, struct wm_module *m, struct wm_buf *out)
{
    struct wm_file_ast f = *m->ast;
    bool ok = true;

    for (uint32_t i = 0; i < m->rule.n; i++) {
        const struct wm_rule *r = m->rule.item[i];

        if (r->arrow != WM_AR_BOTH) {
            struct wm_diag *d = wm_report(&cc->diags, WM_E_ONE_WAY, r->span,
                                          "a one-way rule stays one-way: the inverse does not carry it back");

            (void)d;
        }
    }
    f.stmt = invert_body(cc, m->ast->stmt, m->ast->nstmt, &ok);
    if (ok)
        wm_print_file(&f, out);
    return ok;
}

enum wm_status
wm_print_fused(struct wm_cc *cc, struct wm_chain *c, bool back, struct wm_buf *out, struct wm_err *err)
{
    (void)cc;
    (void)back;
    (void)out;
    return wm_fail(err, WM_ESUPPORT, NULL,
                   "%.*s: a composition, or a map with imports, is not yet supported as one text",
                   WM_STR_ARG(c->spec));
}
