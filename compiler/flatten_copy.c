/* compiler/flatten_copy.c -- copies of trees with other names.
 *
 * Enters: nodes of one part.  Leaves: new nodes in which every name is the one that the whole copy uses; `llama.heads`
 * has become the plain name.  What a copied node needs (params, lets, indices) is copied too, before it. */
#include "compiler/flatten.h"
#include "compiler/op.h"

/* A param whose value an argument gives is a let from now on: nothing sets it from outside. */
struct wm_stmt *
wm_flat_def(struct wm_flat *f, struct wm_part_of *p, const struct wm_stmt *st)
{
    struct wm_stmt *out = wm_flat_stmt(f, p, st);
    struct wm_part_of *from = p;

    if (st->kind != WM_ST_PARAM || !p->link)
        return out;
    for (uint32_t i = 0; i < f->part.n; i++)
        if (f->part.item[i]->m == p->link->arg_mod)
            from = f->part.item[i];
    for (uint32_t i = 0; i < p->link->arg.n; i++)
        if (wm_str_eq(p->link->arg.item[i].name, st->name)) {
            out->kind = WM_ST_LET;
            out->expr = wm_flat_expr(f, from, p->link->arg.item[i].expr);
            out->where = NULL;
            out->doc = out->doc_text = WM_STR("");
        }
    return out;
}

static void
need(struct wm_flat *f, struct wm_part_of *p, struct wm_str name, struct wm_str now)
{
    const struct wm_name *nm = wm_module_find(p->m, name);
    struct wm_stmt *st;
    uint32_t saved = p->subst.n;

    if (!nm || nm->kind == WM_NM_IMPORT || wm_map_get(&f->done, now) != WM_NONE)
        return;
    wm_map_put(&f->done, now, 0);
    p->subst.n = 0; /* a definition knows nothing of a rule's names */
    st = wm_flat_def(f, p, nm->stmt);
    p->subst.n = saved;
    *WM_PUSH(f->cc->a, &f->def) = st;
}

struct wm_str
wm_flat_name(struct wm_flat *f, struct wm_part_of *p, struct wm_str name)
{
    uint32_t i = wm_map_get(&p->ids, name);

    for (uint32_t s = p->subst.n; s-- > 0;)
        if (wm_str_eq(p->subst.item[s].name, name) && !p->subst.item[s].is_word) {
            /* the index of another part, under the name that it has here already */
            return p->subst.item[s].to;
        }
    if (i == WM_NONE)
        return name;
    need(f, p, name, p->now[i]);
    return p->now[i];
}

static struct wm_expr *
word_literal(struct wm_arena *a, const struct wm_expr *e, struct wm_str word)
{
    struct wm_expr *out = WM_NEW(a, struct wm_expr);

    *out = (struct wm_expr){.kind = WM_EX_STRING, .span = e->span, .s = word,
                            .text = wm_arena_printf(a, "\"%.*s\"", WM_STR_ARG(word)), .depth = 1};
    return out;
}

static struct wm_expr **
copy_exprs(struct wm_flat *f, struct wm_part_of *p, struct wm_expr *const *e, uint32_t n)
{
    struct wm_expr **out = WM_NEW_N(f->cc->a, struct wm_expr *, n);

    for (uint32_t i = 0; i < n; i++)
        out[i] = wm_flat_expr(f, p, e[i]);
    return out;
}

/* The part of `llama.heads`, or NULL. */
static struct wm_part_of *
part_of_field(struct wm_flat *f, struct wm_part_of *p, const struct wm_expr *e)
{
    const struct wm_name *nm;

    if (e->kind != WM_EX_FIELD || e->arg[0]->kind != WM_EX_NAME)
        return NULL;
    nm = wm_module_find(p->m, e->arg[0]->s);
    for (uint32_t i = 0; nm && nm->kind == WM_NM_IMPORT && i < f->part.n; i++)
        if (f->part.item[i]->m == p->m->import.item[nm->id].module)
            return f->part.item[i];
    return NULL;
}

struct wm_expr *
wm_flat_expr(struct wm_flat *f, struct wm_part_of *p, const struct wm_expr *e)
{
    struct wm_part_of *in;
    struct wm_expr *out;

    if (!e)
        return NULL;
    if (e->kind == WM_EX_NAME)
        for (uint32_t s = p->subst.n; s-- > 0;)
            if (p->subst.item[s].is_word && wm_str_eq(p->subst.item[s].name, e->s))
                return word_literal(f->cc->a, e, p->subst.item[s].to);
    out = WM_NEW(f->cc->a, struct wm_expr);
    *out = *e;
    in = part_of_field(f, p, e);
    if (in) {
        out->kind = WM_EX_NAME;
        out->s = wm_flat_name(f, in, e->s);
        out->text = out->s;
        out->arg = NULL;
        out->narg = 0;
    } else if (e->kind == WM_EX_NAME) {
        out->s = wm_flat_name(f, p, e->s);
        out->text = out->s;
    } else {
        out->arg = copy_exprs(f, p, e->arg, e->narg);
        out->tmpl = wm_flat_template(f, p, e->tmpl);
        if (e->kind == WM_EX_EACH)
            out->s = wm_flat_name(f, p, e->s);
    }
    return out;
}

struct wm_template *
wm_flat_template(struct wm_flat *f, struct wm_part_of *p, const struct wm_template *t)
{
    struct wm_template *out;

    if (!t)
        return NULL;
    out = WM_NEW(f->cc->a, struct wm_template);
    *out = *t;
    out->part = WM_NEW_N(f->cc->a, struct wm_hole, t->npart);
    for (uint32_t i = 0; i < t->npart; i++) {
        struct wm_hole *h = &out->part[i];

        *h = t->part[i];
        if (h->kind == WM_HO_TEXT || h->kind == WM_HO_ERROR)
            continue;
        h->name = wm_flat_name(f, p, h->name);
        h->expr = wm_flat_expr(f, p, h->expr);
        out->text = WM_STR(""); /* no longer as written */
    }
    return out;
}

static struct wm_pat *
copy_pat(struct wm_flat *f, struct wm_part_of *p, const struct wm_pat *t)
{
    struct wm_pat *out = WM_NEW(f->cc->a, struct wm_pat);

    *out = *t;
    if (t->kind == WM_PT_AXIS)
        out->name = wm_flat_name(f, p, t->name);
    out->item = WM_NEW_N(f->cc->a, struct wm_pat *, t->nitem);
    for (uint32_t i = 0; i < t->nitem; i++)
        out->item[i] = copy_pat(f, p, t->item[i]);
    return out;
}

struct wm_pattern *
wm_flat_pattern(struct wm_flat *f, struct wm_part_of *p, const struct wm_pattern *t)
{
    struct wm_pattern *out;

    if (!t)
        return NULL;
    out = WM_NEW(f->cc->a, struct wm_pattern);
    *out = *t;
    out->dim = WM_NEW_N(f->cc->a, struct wm_pat *, t->ndim);
    for (uint32_t i = 0; i < t->ndim; i++)
        out->dim[i] = copy_pat(f, p, t->dim[i]);
    return out;
}

static struct wm_binding *
copy_bindings(struct wm_flat *f, struct wm_part_of *p, const struct wm_binding *b, uint32_t n)
{
    struct wm_binding *out = WM_NEW_N(f->cc->a, struct wm_binding, n);

    for (uint32_t i = 0; i < n; i++) {
        out[i] = b[i];
        out[i].name = wm_flat_name(f, p, b[i].name);
        out[i].expr = wm_flat_expr(f, p, b[i].expr);
    }
    return out;
}

struct wm_clause *
wm_flat_clauses(struct wm_flat *f, struct wm_part_of *p, const struct wm_clause *c, uint32_t n)
{
    struct wm_clause *out = WM_NEW_N(f->cc->a, struct wm_clause, n);

    for (uint32_t i = 0; i < n; i++) {
        out[i] = c[i];
        out[i].expr = wm_flat_expr(f, p, c[i].expr);
        out[i].bind = copy_bindings(f, p, c[i].bind, c[i].nbind);
    }
    return out;
}

/* Names of dtypes stay; all else in a cast is a name like any other. */
struct wm_opcall *
wm_flat_ops(struct wm_flat *f, struct wm_part_of *p, const struct wm_opcall *op, uint32_t n)
{
    struct wm_opcall *out = WM_NEW_N(f->cc->a, struct wm_opcall, n);

    for (uint32_t i = 0; i < n; i++) {
        bool cast = wm_str_eq(op[i].name, WM_STR("cast")) || wm_str_eq(op[i].name, WM_STR("uncast"));

        out[i] = op[i];
        out[i].arg = copy_exprs(f, p, op[i].arg, op[i].narg);
        for (uint32_t k = 0; k < op[i].narg && cast; k++)
            if (wm_dtype_written(op[i].arg[k]) != WM_DT_N)
                out[i].arg[k] = op[i].arg[k];
    }
    return out;
}

struct wm_fill *
wm_flat_fill(struct wm_flat *f, struct wm_part_of *p, const struct wm_fill *fill)
{
    struct wm_fill *out;

    if (!fill)
        return NULL;
    out = WM_NEW(f->cc->a, struct wm_fill);
    *out = *fill;
    out->value = wm_flat_expr(f, p, fill->value);
    return out;
}

static struct wm_term *
copy_terms(struct wm_flat *f, struct wm_part_of *p, const struct wm_term *t, uint32_t n)
{
    struct wm_term *out = WM_NEW_N(f->cc->a, struct wm_term, n);

    for (uint32_t i = 0; i < n; i++) {
        out[i] = t[i];
        out[i].key = wm_flat_template(f, p, t[i].key);
        out[i].pattern = wm_flat_pattern(f, p, t[i].pattern);
    }
    return out;
}

struct wm_rule_ast *
wm_flat_rule(struct wm_flat *f, struct wm_part_of *p, const struct wm_rule_ast *r)
{
    struct wm_rule_ast *out = WM_NEW(f->cc->a, struct wm_rule_ast);

    *out = *r;
    for (int s = 0; s < 2; s++) {
        out->side[s].term = copy_terms(f, p, r->side[s].term, r->side[s].nterm);
        out->side[s].fill = wm_flat_fill(f, p, r->side[s].fill);
    }
    out->op = wm_flat_ops(f, p, r->op, r->nop);
    out->clause = wm_flat_clauses(f, p, r->clause, r->nclause);
    return out;
}

struct wm_side_item *
wm_flat_item(struct wm_flat *f, struct wm_part_of *p, const struct wm_side_item *it, struct wm_side_item *out)
{
    *out = *it;
    out->tmpl = WM_NEW_N(f->cc->a, struct wm_template *, it->ntmpl);
    for (uint32_t i = 0; i < it->ntmpl; i++)
        out->tmpl[i] = wm_flat_template(f, p, it->tmpl[i]);
    out->holds = wm_flat_template(f, p, it->holds);
    out->as = wm_flat_template(f, p, it->as);
    out->root = wm_flat_expr(f, p, it->root);
    out->when = wm_flat_expr(f, p, it->when);
    out->value = wm_flat_expr(f, p, it->value);
    out->term = copy_terms(f, p, it->term, it->nterm);
    out->scale = wm_flat_expr(f, p, it->scale);
    out->blocks = wm_flat_expr(f, p, it->blocks);
    out->dequant = wm_flat_expr(f, p, it->dequant);
    return out;
}

static void
copy_line(struct wm_flat *f, struct wm_part_of *p, const struct wm_shard_line *l, struct wm_shard_line *out)
{
    *out = *l;
    out->key = wm_flat_template(f, p, l->key);
    out->dim = wm_flat_expr(f, p, l->dim);
    out->at = wm_flat_expr(f, p, l->at);
    out->parts = wm_flat_expr(f, p, l->parts);
    out->groups = wm_flat_expr(f, p, l->groups);
    out->unit = wm_flat_expr(f, p, l->unit);
    out->size = wm_flat_expr(f, p, l->size);
    out->pad = wm_flat_expr(f, p, l->pad);
    out->fill = wm_flat_expr(f, p, l->fill);
    out->width = wm_flat_expr(f, p, l->width);
    out->when = wm_flat_expr(f, p, l->when);
    out->part = WM_NEW_N(f->cc->a, struct wm_part, l->npart);
    for (uint32_t i = 0; i < l->npart; i++) {
        out->part[i] = l->part[i];
        out->part[i].size = wm_flat_expr(f, p, l->part[i].size);
        out->part[i].groups = wm_flat_expr(f, p, l->part[i].groups);
        out->part[i].width = wm_flat_expr(f, p, l->part[i].width);
    }
}

struct wm_stmt *
wm_flat_stmt(struct wm_flat *f, struct wm_part_of *p, const struct wm_stmt *st)
{
    struct wm_stmt *out = WM_NEW(f->cc->a, struct wm_stmt);
    uint32_t i;

    *out = *st;
    if (st->kind == WM_ST_PARAM || st->kind == WM_ST_LET || st->kind == WM_ST_INDEX) {
        i = wm_map_get(&p->ids, st->name);
        out->name = i == WM_NONE ? st->name : p->now[i];
    } else if (st->kind == WM_ST_SHARD) {
        out->name = wm_flat_name(f, p, st->name);
    }
    out->expr = wm_flat_expr(f, p, st->expr);
    out->bound = wm_flat_expr(f, p, st->bound);
    out->where = wm_flat_expr(f, p, st->where);
    out->component = copy_bindings(f, p, st->component, st->ncomponent);
    out->item = WM_NEW_N(f->cc->a, struct wm_side_item, st->nitem);
    for (i = 0; i < st->nitem; i++)
        wm_flat_item(f, p, &st->item[i], &out->item[i]);
    out->line = WM_NEW_N(f->cc->a, struct wm_shard_line, st->nline);
    for (i = 0; i < st->nline; i++)
        copy_line(f, p, &st->line[i], &out->line[i]);
    return out;
}
