/* compiler/flatten.c -- a map with imports, or with arguments, as one tree without.
 *
 * Enters: a checked module and the arguments of its link.  Leaves: its tree, where the rules of a used map stand in the
 * place of `use` (without those that an `override` replaced), the items of its sides in the sides, and what they need of
 * its params, lets and indices in the place of the first `import`. */
#include "compiler/flatten.h"

/* ---- parts and their names ---- */

static void
add_id(struct wm_flat *f, struct wm_part_of *p, struct wm_str name)
{
    if (name.n > 0 && wm_map_get(&p->ids, name) == WM_NONE) {
        wm_map_put(&p->ids, name, p->id.n);
        *WM_PUSH(f->cc->a, &p->id) = name;
    }
}

/* The names of a rule that are no definitions: placeholders and axes. */
static void
add_rule_ids(struct wm_flat *f, struct wm_part_of *p, const struct wm_rule *r)
{
    for (uint32_t i = 0; i < r->var.n; i++)
        add_id(f, p, r->var.item[i].name);
    for (uint32_t i = 1; i < r->axis.n; i++)
        add_id(f, p, r->axis.item[i].name);
    for (uint32_t i = 0; i < r->where.n; i++)
        add_id(f, p, r->where.item[i].name);
}

static void
add_template_ids(struct wm_flat *f, struct wm_part_of *p, const struct wm_template *t)
{
    for (uint32_t i = 0; t && i < t->npart; i++)
        if (t->part[i].kind != WM_HO_TEXT)
            add_id(f, p, t->part[i].name);
}

static void
add_side_ids(struct wm_flat *f, struct wm_part_of *p, const struct wm_side *s)
{
    for (uint32_t i = 0; i < s->item.n; i++) {
        const struct wm_side_item *it = s->item.item[i];

        if (s->item_mod.item[i] != p->m)
            continue;
        for (uint32_t t = 0; t < it->ntmpl; t++)
            add_template_ids(f, p, it->tmpl[t]);
        add_template_ids(f, p, it->holds);
        for (uint32_t t = 0; t < it->nterm; t++)
            add_template_ids(f, p, it->term[t].key);
    }
}

struct wm_part_of *
wm_flat_add(struct wm_flat *f, struct wm_module *m, struct wm_str prefix, const struct wm_chain_link *link)
{
    struct wm_part_of *p;

    for (uint32_t i = 0; i < f->part.n; i++)
        if (f->part.item[i]->m == m)
            return f->part.item[i];
    p = WM_NEW(f->cc->a, struct wm_part_of);
    *p = (struct wm_part_of){.m = m, .prefix = prefix, .link = link};
    wm_map_init(&p->ids, f->cc->a, 64);
    *WM_PUSH(f->cc->a, &f->part) = p;
    for (uint32_t i = 0; i < m->name_list.n; i++)
        if (m->name_list.item[i].kind != WM_NM_IMPORT)
            add_id(f, p, m->name_list.item[i].name);
    for (uint32_t i = 0; i < m->rule.n; i++)
        if (m->rule.item[i]->mod == m)
            add_rule_ids(f, p, m->rule.item[i]);
    for (int s = 0; s < 2; s++)
        add_side_ids(f, p, &m->side[s]);
    for (uint32_t i = 0; i < m->shard.n; i++)
        for (uint32_t l = 0; l < m->shard.item[i]->nline; l++)
            add_template_ids(f, p, m->shard.item[i]->line[l].key);
    return p;
}

static const struct wm_name *
definition(const struct wm_part_of *p, struct wm_str name)
{
    const struct wm_name *nm = wm_module_find(p->m, name);

    return nm && nm->kind != WM_NM_IMPORT ? nm : NULL;
}

/* Do two parts mean the same by a name?  Definitions of the same text, down to what they use.  `budget` bounds the
 * work; where it runs out, they do not. */
struct same {
    struct wm_part_of *x, *y;
    int budget;
};

static bool same_expr(struct same *w, const struct wm_expr *a, const struct wm_expr *b, const struct wm_stmt *self);

static bool
same_stmt(struct same *w, const struct wm_stmt *a, const struct wm_stmt *b)
{
    return same_expr(w, a->expr, b->expr, a) && same_expr(w, a->bound, b->bound, a) &&
           same_expr(w, a->where, b->where, a);
}

static bool
same_meaning(struct same *w, struct wm_str name)
{
    const struct wm_name *a = definition(w->x, name), *b = definition(w->y, name);

    if (!a || !b)
        return !a && !b;
    if (--w->budget < 0 || a->kind != b->kind || a->stmt->ncomponent != b->stmt->ncomponent ||
        (a->kind == WM_NM_PARAM && (w->x->link || w->y->link)))
        return false;
    for (uint32_t i = 0; i < a->stmt->ncomponent; i++)
        if (!wm_str_eq(a->stmt->component[i].name, b->stmt->component[i].name) ||
            !same_meaning(w, a->stmt->component[i].name))
            return false;
    return same_stmt(w, a->stmt, b->stmt);
}

static bool
is_import(struct wm_part_of *p, struct wm_str name)
{
    const struct wm_name *nm = wm_module_find(p->m, name);

    return nm && nm->kind == WM_NM_IMPORT;
}

static bool
same_expr(struct same *w, const struct wm_expr *a, const struct wm_expr *b, const struct wm_stmt *self)
{
    if (!a || !b)
        return !a && !b;
    if (--w->budget < 0 || a->kind != b->kind || a->narg != b->narg || a->i != b->i || a->b != b->b ||
        memcmp(&a->f, &b->f, sizeof(a->f)) != 0 || !wm_str_eq(a->s, b->s) || a->tmpl || b->tmpl)
        return false;
    if (a->kind == WM_EX_NAME && !wm_str_eq(a->s, self->name)) /* a filter speaks of its own index */
        return !is_import(w->x, a->s) && !is_import(w->y, b->s) && same_meaning(w, a->s);
    for (uint32_t i = 0; i < a->narg; i++)
        if (!same_expr(w, a->arg[i], b->arg[i], self))
            return false;
    return true;
}

bool
wm_flat_same_index(struct wm_part_of *x, uint32_t i, struct wm_part_of *y, uint32_t k)
{
    struct same w = {.x = x, .y = y, .budget = 10000};
    const struct wm_stmt *a = x->m->index.item[i].stmt, *b = y->m->index.item[k].stmt;

    return a->ncomponent == 0 && b->ncomponent == 0 && (!a->where || wm_str_eq(a->name, b->name)) &&
           same_stmt(&w, a, b);
}

/* May part `p` keep the name: nobody else means something else by it? */
static bool
keeps(struct wm_flat *f, struct wm_part_of *p, struct wm_str name)
{
    for (uint32_t i = 0; i < f->part.n; i++) {
        struct wm_part_of *o = f->part.item[i];
        struct same w = {.x = p, .y = o, .budget = 10000};

        if (o != p && wm_map_get(&o->ids, name) != WM_NONE && !same_meaning(&w, name))
            return false;
    }
    return true;
}

static bool
is_taken(struct wm_flat *f, struct wm_str name)
{
    for (uint32_t i = 0; i < f->part.n; i++) {
        struct wm_part_of *p = f->part.item[i];

        if (wm_map_get(&p->ids, name) != WM_NONE)
            return true;
        for (uint32_t k = 0; p->now && k < p->id.n; k++)
            if (wm_str_eq(p->now[k], name))
                return true;
    }
    return false;
}

struct wm_str
wm_flat_fresh(struct wm_flat *f, struct wm_str name)
{
    while (is_taken(f, name))
        name = wm_arena_printf(f->cc->a, "%.*s_", WM_STR_ARG(name));
    return name;
}

void
wm_flat_names(struct wm_flat *f)
{
    wm_map_init(&f->done, f->cc->a, 64);
    for (uint32_t i = 0; i < f->part.n; i++) {
        struct wm_part_of *p = f->part.item[i];

        p->now = WM_NEW_N(f->cc->a, struct wm_str, p->id.n);
        for (uint32_t k = 0; k < p->id.n; k++)
            p->now[k] = i == 0 || keeps(f, p, p->id.item[k])
                            ? p->id.item[k]
                            : wm_flat_fresh(f, wm_arena_printf(f->cc->a, "%.*s_%.*s", WM_STR_ARG(p->prefix),
                                                               WM_STR_ARG(p->id.item[k])));
    }
}

/* ---- statements ---- */

struct list {
    WM_VEC(struct wm_stmt *) stmt;
    WM_VEC(struct wm_str) lead;  /* comments of statements that are gone, for the next one */
};

static void
keep_comments(struct wm_flat *f, struct list *out, const struct wm_stmt *st)
{
    for (uint32_t i = 0; st->comments && i < st->comments->nlead; i++)
        *WM_PUSH(f->cc->a, &out->lead) = st->comments->lead[i];
}

static void
push(struct wm_flat *f, struct list *out, struct wm_stmt *st)
{
    struct wm_comments *c;

    if (out->lead.n > 0) {
        c = WM_NEW(f->cc->a, struct wm_comments);
        if (st->comments)
            *c = *st->comments;
        for (uint32_t i = 0; i < c->nlead; i++)
            *WM_PUSH(f->cc->a, &out->lead) = c->lead[i];
        c->lead = out->lead.item;
        c->nlead = out->lead.n;
        c->blank_before = true;
        st->comments = c;
        memset(&out->lead, 0, sizeof(out->lead));
    }
    *WM_PUSH(f->cc->a, &out->stmt) = st;
}

/* Is the rule still there, or was it replaced by an override? */
static bool
survives(const struct wm_flat *f, const struct wm_rule_ast *r)
{
    const struct wm_module *m = f->part.item[0]->m;

    for (uint32_t i = 0; i < m->rule.n; i++)
        if (m->rule.item[i]->ast == r)
            return true;
    return false;
}

static void copy_body(struct wm_flat *f, struct wm_part_of *p, struct wm_stmt *const *stmt, uint32_t n,
                      struct list *out);

static void
copy_within(struct wm_flat *f, struct wm_part_of *p, const struct wm_stmt *st, struct list *out)
{
    struct list body = {0};
    struct wm_stmt *s = WM_NEW(f->cc->a, struct wm_stmt);

    copy_body(f, p, st->body, st->nbody, &body);
    if (body.stmt.n == 0 && st->nbody > 0)
        return; /* all of it was replaced */
    *s = *st;
    s->prefix[0] = wm_flat_template(f, p, st->prefix[0]);
    s->prefix[1] = wm_flat_template(f, p, st->prefix[1]);
    s->clause = wm_flat_clauses(f, p, st->clause, st->nclause);
    s->body = body.stmt.item;
    s->nbody = body.stmt.n;
    push(f, out, s);
}

/* Arms that lost all their rules stay, so that the conditions behind them mean the same; those at the end go. */
static void
copy_if(struct wm_flat *f, struct wm_part_of *p, const struct wm_stmt *st, struct list *out)
{
    struct wm_stmt *s = WM_NEW(f->cc->a, struct wm_stmt);

    *s = *st;
    s->arm = WM_NEW_N(f->cc->a, struct wm_if_arm, st->narm);
    s->narm = 0;
    for (uint32_t i = 0; i < st->narm; i++) {
        struct list body = {0};

        s->arm[i] = st->arm[i];
        s->arm[i].cond = wm_flat_expr(f, p, st->arm[i].cond);
        copy_body(f, p, st->arm[i].body, st->arm[i].nbody, &body);
        s->arm[i].body = body.stmt.item;
        s->arm[i].nbody = body.stmt.n;
        if (body.stmt.n > 0)
            s->narm = i + 1;
    }
    if (s->narm > 0)
        push(f, out, s);
}

static void
copy_rule(struct wm_flat *f, struct wm_part_of *p, const struct wm_stmt *st, struct list *out)
{
    struct wm_stmt *s;

    if (!survives(f, st->rule))
        return; /* its comments go with it */
    s = WM_NEW(f->cc->a, struct wm_stmt);
    *s = *st;
    s->kind = WM_ST_RULE;
    s->rule = wm_flat_rule(f, p, st->rule);
    push(f, out, s);
}

static void
copy_use(struct wm_flat *f, struct wm_part_of *p, const struct wm_stmt *st, struct list *out)
{
    const struct wm_name *nm = wm_module_find(p->m, st->name);
    struct wm_part_of *in = NULL;

    keep_comments(f, out, st);
    for (uint32_t i = 0; nm && i < f->part.n; i++)
        if (f->part.item[i]->m == p->m->import.item[nm->id].module)
            in = f->part.item[i];
    if (in)
        copy_body(f, in, in->m->ast->stmt, in->m->ast->nstmt, out);
}

/* Rules and blocks of rules; other statements only of the first part, by copy_top(). */
static void
copy_body(struct wm_flat *f, struct wm_part_of *p, struct wm_stmt *const *stmt, uint32_t n, struct list *out)
{
    for (uint32_t i = 0; i < n; i++)
        switch (stmt[i]->kind) {
        case WM_ST_RULE:
        case WM_ST_OVERRIDE:
            copy_rule(f, p, stmt[i], out);
            break;
        case WM_ST_WITHIN:
            copy_within(f, p, stmt[i], out);
            break;
        case WM_ST_IF:
            copy_if(f, p, stmt[i], out);
            break;
        case WM_ST_USE:
            copy_use(f, p, stmt[i], out);
            break;
        default:
            break;
        }
}

/* ---- sides ---- */

static struct wm_part_of *
part_of(struct wm_flat *f, const struct wm_module *m)
{
    for (uint32_t i = 0; i < f->part.n; i++)
        if (f->part.item[i]->m == m)
            return f->part.item[i];
    return f->part.item[0];
}

/* Does the block emit that file itself?  Then the item of a used map gives way. */
static bool
is_emitted(const struct wm_stmt *block, const struct wm_side_item *it)
{
    for (uint32_t i = 0; i < block->nitem; i++)
        if (it->kind == WM_SI_EMIT && block->item[i].kind == WM_SI_EMIT &&
            wm_str_eq(block->item[i].tmpl[0]->text, it->tmpl[0]->text))
            return true;
    return false;
}

/* The items of the used maps behind those of the block. */
static void
merge_side(struct wm_flat *f, struct wm_stmt *out)
{
    const struct wm_side *s = &f->part.item[0]->m->side[out->side];
    WM_VEC(struct wm_side_item) item = {0};

    for (uint32_t i = 0; i < out->nitem; i++)
        *WM_PUSH(f->cc->a, &item) = out->item[i];
    for (uint32_t i = 0; i < s->item.n; i++) {
        struct wm_side_item *it;

        if (s->item_mod.item[i] == f->part.item[0]->m || is_emitted(out, s->item.item[i]))
            continue;
        it = WM_PUSH(f->cc->a, &item);
        wm_flat_item(f, part_of(f, s->item_mod.item[i]), s->item.item[i], it);
    }
    out->item = item.item;
    out->nitem = item.n;
}

/* A block for a side that only used maps speak of. */
static struct wm_stmt *
new_side(struct wm_flat *f, int side)
{
    struct wm_stmt *s = WM_NEW(f->cc->a, struct wm_stmt);

    s->kind = WM_ST_SIDE;
    s->side = side;
    s->span = f->part.item[0]->m->ast->version_span;
    merge_side(f, s);
    return s;
}

/* ---- the file ---- */

static void
add_imports(struct wm_flat *f, struct wm_module *m)
{
    for (uint32_t i = 0; i < m->import.n; i++) {
        uint32_t before = f->part.n;

        wm_flat_add(f, m->import.item[i].module, m->import.item[i].name, NULL);
        if (f->part.n > before) /* a map that was met before brought its own */
            add_imports(f, m->import.item[i].module);
    }
}

static void
copy_top(struct wm_flat *f, struct wm_part_of *p, const struct wm_stmt *st, struct list *out, uint32_t *defs_at)
{
    struct wm_stmt *copy;

    switch (st->kind) {
    case WM_ST_IMPORT:
        keep_comments(f, out, st);
        if (*defs_at == WM_NONE)
            *defs_at = out->stmt.n;
        break;
    case WM_ST_MAPDEF:
        break; /* other maps: the text is this one's */
    case WM_ST_RULE:
    case WM_ST_OVERRIDE:
    case WM_ST_WITHIN:
    case WM_ST_IF:
    case WM_ST_USE:
        copy_body(f, p, (struct wm_stmt *const *)&st, 1, out);
        break;
    case WM_ST_SIDE:
        copy = wm_flat_stmt(f, p, st);
        merge_side(f, copy);
        push(f, out, copy);
        break;
    default:
        push(f, out, wm_flat_def(f, p, st));
        break;
    }
}

struct wm_file_ast *
wm_flatten(struct wm_cc *cc, const struct wm_chain_link *l)
{
    struct wm_module *m = l->module;
    struct wm_flat f = {.cc = cc};
    struct wm_part_of *p = wm_flat_add(&f, m, WM_STR(""), l->arg.n ? l : NULL);
    struct wm_file_ast *file = WM_NEW(cc->a, struct wm_file_ast);
    struct list body = {0};
    WM_VEC(struct wm_stmt *) all = {0};
    uint32_t defs_at = WM_NONE;

    add_imports(&f, m);
    if (l->arg.n && l->arg_mod) {
        wm_flat_add(&f, l->arg_mod, WM_STR("outer"), NULL);
        add_imports(&f, l->arg_mod);
    }
    wm_flat_names(&f);
    for (uint32_t i = 0; i < p->m->name_list.n; i++)
        if (p->m->name_list.item[i].kind != WM_NM_IMPORT)
            wm_map_put(&f.done, p->m->name_list.item[i].name, 0); /* in its place, not by need */
    for (uint32_t i = 0; i < m->ast->nstmt; i++)
        copy_top(&f, p, m->ast->stmt[i], &body, &defs_at);
    for (int s = 0; s < 2; s++)
        if (m->side[s].span.len == 0 && m->side[s].item.n > 0)
            *WM_PUSH(cc->a, &f.def) = new_side(&f, s);
    if (defs_at == WM_NONE)
        defs_at = body.stmt.n < 1 ? body.stmt.n : 1;
    for (uint32_t i = 0; i <= body.stmt.n; i++) {
        for (uint32_t d = 0; i == defs_at && d < f.def.n; d++)
            *WM_PUSH(cc->a, &all) = f.def.item[d];
        if (i < body.stmt.n)
            *WM_PUSH(cc->a, &all) = body.stmt.item[i];
    }
    *file = *m->ast;
    file->stmt = all.item;
    file->nstmt = all.n;
    for (uint32_t i = 0; i < file->ntail; i++)
        *WM_PUSH(cc->a, &body.lead) = file->tail[i];
    file->tail = body.lead.item;
    file->ntail = body.lead.n;
    return file;
}
