/* compiler/invert.c -- maps back to text: the inverse of a tree, and a chain of maps as one tree.
 *
 * In an inverse, sides change places, in blocks, prefixes and rules; a pipeline is turned around, each operation of a
 * two-way rule replaced by the one that undoes it (a one-way rule keeps its operations: with `<-` the data enters on
 * the right).  Everything else stays, comments too.  What is printed was parsed and checked again before. */
#include "compiler/invert.h"

#include "compiler/flatten.h"
#include "compiler/op.h"

static struct wm_stmt **invert_body(struct wm_cc *cc, struct wm_stmt *const *stmt, uint32_t n, bool *ok);

/* A placeholder whose words differ on the two sides: conditions and sizes speak of those that stand first. */
struct words {
    struct wm_str name;
    const struct wm_str *old, *now;
    uint32_t n;
};

static const struct wm_hole *
words_on(const struct wm_rule_ast *r, int side, struct wm_str name)
{
    for (uint32_t t = 0; t < r->side[side].nterm; t++) {
        const struct wm_template *key = r->side[side].term[t].key;

        for (uint32_t i = 0; key && i < key->npart; i++)
            if (key->part[i].kind == WM_HO_WORDS && wm_str_eq(key->part[i].name, name) &&
                key->part[i].nword > 0)
                return &key->part[i];
    }
    return NULL;
}

static struct wm_expr *
other_word(struct wm_cc *cc, struct wm_expr *e, const struct words *w)
{
    struct wm_expr *out;

    for (uint32_t i = 0; i < w->n; i++)
        if (e->kind == WM_EX_STRING && wm_str_eq(e->s, w->old[i])) {
            out = WM_NEW(cc->a, struct wm_expr);
            *out = *e;
            out->s = w->now[i];
            out->text = wm_arena_printf(cc->a, "\"%.*s\"", WM_STR_ARG(out->s));
            return out;
        }
    return e;
}

static bool
is_words(const struct wm_expr *e, const struct words *w)
{
    return e->kind == WM_EX_NAME && wm_str_eq(e->s, w->name);
}

/* A copy in which what is compared with the placeholder are its other words. */
static struct wm_expr *
in_other_words(struct wm_cc *cc, const struct wm_expr *e, const struct words *w)
{
    struct wm_expr *out, *list;

    if (!e)
        return NULL;
    out = WM_NEW(cc->a, struct wm_expr);
    *out = *e;
    out->arg = WM_NEW_N(cc->a, struct wm_expr *, e->narg);
    for (uint32_t i = 0; i < e->narg; i++)
        out->arg[i] = in_other_words(cc, e->arg[i], w);
    if (e->kind == WM_EX_EQ || e->kind == WM_EX_NE)
        for (int i = 0; i < 2; i++)
            if (is_words(e->arg[1 - i], w))
                out->arg[i] = other_word(cc, out->arg[i], w);
    if (e->kind == WM_EX_IN && is_words(e->arg[0], w) && e->arg[1]->kind == WM_EX_LIST) {
        list = out->arg[1];
        for (uint32_t i = 0; i < list->narg; i++)
            list->arg[i] = other_word(cc, list->arg[i], w);
    }
    return out;
}

static void
translate_clauses(struct wm_cc *cc, struct wm_rule_ast *r, const struct words *w)
{
    struct wm_clause *c = WM_NEW_N(cc->a, struct wm_clause, r->nclause);

    for (uint32_t i = 0; i < r->nclause; i++) {
        c[i] = r->clause[i];
        c[i].expr = in_other_words(cc, c[i].expr, w);
        c[i].bind = WM_NEW_N(cc->a, struct wm_binding, c[i].nbind);
        for (uint32_t k = 0; k < c[i].nbind; k++) {
            c[i].bind[k] = r->clause[i].bind[k];
            c[i].bind[k].expr = in_other_words(cc, c[i].bind[k].expr, w);
        }
    }
    r->clause = c;
}

/* `out` has its sides exchanged already. */
static void
translate_words(struct wm_cc *cc, struct wm_rule_ast *out)
{
    for (uint32_t t = 0; t < out->side[1].nterm; t++) {
        const struct wm_template *key = out->side[1].term[t].key;

        for (uint32_t i = 0; key && i < key->npart; i++) {
            const struct wm_hole *old = &key->part[i], *now;

            if (old->kind != WM_HO_WORDS || old->nword == 0 || words_on(out, 1, old->name) != old)
                continue;
            now = words_on(out, 0, old->name);
            if (now && now->nword == old->nword)
                translate_clauses(cc, out, &(struct words){old->name, old->word, now->word, old->nword});
        }
    }
}

/* Into how many tensors an operation cuts by its own words, or WM_NONE. */
static uint32_t
parts_of(const struct wm_opcall *call)
{
    int64_t n;

    if (call->narg < 2)
        return WM_NONE;
    if (wm_str_eq(call->name, WM_STR("split")))
        return wm_text_list(call->arg[1]);
    if (wm_str_eq(call->name, WM_STR("chunk")) && wm_text_literal(call->arg[1], &n) && n > 0 && n < INT32_MAX)
        return (uint32_t)n;
    return WM_NONE;
}

/* concat of what a cut before it made: its inverse must say the number, since nothing behind it does. */
static void
say_parts(struct wm_cc *cc, const struct wm_rule_ast *r, uint32_t at, struct wm_opcall *inverse)
{
    uint32_t n = WM_NONE;

    for (uint32_t i = at; i-- > 0 && n == WM_NONE && !wm_str_eq(r->op[i].name, WM_STR("concat"));)
        n = parts_of(&r->op[i]);
    if (!wm_str_eq(inverse->name, WM_STR("chunk")) || inverse->narg != 1 || n == WM_NONE)
        return;
    inverse->arg = wm_text_args(cc->a, 2, inverse->arg[0], wm_text_int(cc->a, inverse->arg[0], n), NULL);
    inverse->narg = 2;
}

static struct wm_rule_ast *
invert_rule(struct wm_cc *cc, const struct wm_rule_ast *r, bool *ok)
{
    struct wm_rule_ast *out = WM_NEW(cc->a, struct wm_rule_ast);

    *out = *r;
    out->side[0] = r->side[1];
    out->side[1] = r->side[0];
    translate_words(cc, out);
    if (r->arrow != WM_AR_BOTH)
        out->arrow = r->arrow == WM_AR_FORWARD ? WM_AR_BACKWARD : WM_AR_FORWARD;
    out->op = WM_NEW_N(cc->a, struct wm_opcall, r->nop);
    for (uint32_t i = 0; i < r->nop; i++) {
        const struct wm_opcall *call = &r->op[r->nop - 1 - i];

        out->op[i] = *call;
        if (r->arrow == WM_AR_BOTH)
            *ok &= wm_opcall_invert(cc, call, &out->op[i]);
        if (r->arrow == WM_AR_BOTH && *ok)
            say_parts(cc, r, r->nop - 1 - i, &out->op[i]);
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

static void
warn_one_way(struct wm_cc *cc, const struct wm_module *m)
{
    for (uint32_t i = 0; i < m->rule.n; i++)
        if (m->rule.item[i]->arrow != WM_AR_BOTH)
            wm_report(&cc->diags, WM_E_ONE_WAY, m->rule.item[i]->span,
                      "a one-way rule stays one-way: the inverse does not carry it back");
}

/* ---- one link ---- */

/* The tree of a link as it stands in the chain: no imports, no arguments, turned around where it says so. */
static struct wm_file_ast *
link_tree(struct wm_cc *cc, const struct wm_chain_link *l, bool inverse)
{
    struct wm_file_ast *f = l->module->ast, *out;
    bool ok = true;

    if (l->module->import.n > 0 || l->arg.n > 0)
        f = wm_flatten(cc, l);
    if (!inverse)
        return f;
    warn_one_way(cc, l->module);
    out = WM_NEW(cc->a, struct wm_file_ast);
    *out = *f;
    out->stmt = invert_body(cc, f->stmt, f->nstmt, &ok);
    return ok ? out : NULL;
}

/* Print a tree, and check what was printed as any other map.  What the checker says of it, it has said of the
 * original; an error means that the tree can't be said as one map, and *why tells it.  NULL: that. */
static struct wm_module *
reread(struct wm_cc *cc, struct wm_str name, const struct wm_file_ast *f, struct wm_buf *out, struct wm_str *why)
{
    uint32_t n = cc->diags.list.n, nerror = cc->diags.nerror, nwarning = cc->diags.nwarning;
    struct wm_err err = {0};
    struct wm_module *m;

    wm_print_file(f, out);
    m = wm_module_of_text(cc, name, wm_arena_str(cc->a, wm_buf_str(out)), &err);
    for (uint32_t i = n; !m->ok && i < cc->diags.list.n; i++)
        if (why->n == 0 && cc->diags.list.item[i]->severity == WM_SEV_ERROR)
            *why = cc->diags.list.item[i]->message;
    cc->diags.list.n = n;
    cc->diags.nerror = nerror;
    cc->diags.nwarning = nwarning;
    return m->ok ? m : NULL;
}

/* "~neuron_llama" of the map that is number i on the way. */
static struct wm_str
stage_name(struct wm_cc *cc, const struct wm_chain *c, bool back, uint32_t i)
{
    const struct wm_chain_link *l = &c->link.item[back ? c->link.n - 1 - i : i];
    struct wm_str name = l->module->name.n ? l->module->name : l->module->path;

    return wm_arena_printf(cc->a, "%s%.*s", l->inverse != back ? "~" : "", WM_STR_ARG(name));
}

/* What stands in the way lies between map number i and those before it (`alone`: in itself). */
static enum wm_status
not_one_text(struct wm_cc *cc, const struct wm_chain *c, bool back, uint32_t i, bool alone, struct wm_str why,
             struct wm_err *err)
{
    struct wm_str one = stage_name(cc, c, back, i), where = one;

    if (!alone)
        where = wm_arena_printf(cc->a, "between %.*s%s and %.*s", WM_STR_ARG(stage_name(cc, c, back, i - 1)),
                                i > 1 ? ", with all before it," : "", WM_STR_ARG(one));
    else if (c->link.n > 1)
        where = wm_arena_printf(cc->a, "in %.*s", WM_STR_ARG(one));
    return wm_fail(err, WM_ESUPPORT, NULL, "%.*s can't be said as one map: %.*s, %.*s; run it as it is, it is one plan too",
                   WM_STR_ARG(c->spec), WM_STR_ARG(where), WM_STR_ARG(why));
}

enum wm_status
wm_print_chain(struct wm_cc *cc, struct wm_chain *c, bool back, struct wm_buf *out, struct wm_err *err)
{
    struct wm_module *all = NULL;
    struct wm_file_ast *f = NULL;
    struct wm_str why = {0};

    for (uint32_t i = 0; i < c->link.n; i++) {
        const struct wm_chain_link *l = &c->link.item[back ? c->link.n - 1 - i : i];
        struct wm_buf text;
        struct wm_module *m;
        bool alone;

        f = link_tree(cc, l, l->inverse != back);
        if (!f)
            return WM_NO;
        wm_buf_init(&text, cc->a);
        m = reread(cc, l->module->path, f, &text, &why);
        alone = !m;
        if (m && all) {
            f = wm_fuse_text(cc, all, m, &why);
            wm_buf_init(&text, cc->a);
            m = f ? reread(cc, c->spec, f, &text, &why) : NULL;
        }
        if (!m)
            return not_one_text(cc, c, back, i, alone, why, err);
        all = m;
    }
    if (back || c->link.n > 1)
        wm_add_obligations(cc, all, f);
    wm_print_file(f, out);
    return WM_OK;
}
