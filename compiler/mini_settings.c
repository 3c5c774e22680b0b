/* compiler/mini_settings.c -- the settings that a map reads.
 *
 * Enters: the expressions of a chain's maps.  Leaves: one setting for each config path and param,
 * with candidates that its use and its name suggest: booleans where a condition reads it, the words
 * it is compared with, numbers that divide each other where it counts heads. */
#include <cjson/cJSON.h>

#include "compiler/mini_priv.h"
#include "compiler/op.h"

enum { WM_VISIT_DEPTH = 64 };

struct collect {
    struct wm_cc *cc;
    const struct cJSON *base;
    const struct wm_str *define;
    uint32_t ndefine;
    WM_VEC(struct wm_seen) seen;
    WM_VEC(const struct wm_module *) done;
    bool exists, shards;
    uint32_t depth;
};

static void visit(struct collect *x, struct wm_module *m, const struct wm_expr *e,
                  enum wm_use_of use);

/* ---- names ---- */

static bool
path_of(const struct wm_expr *e, struct wm_buf *out)
{
    if (e->kind == WM_EX_CONFIG)
        return true;
    if (e->kind != WM_EX_FIELD || !path_of(e->arg[0], out))
        return false;
    if (out->n)
        wm_buf_putc(out, '.');
    wm_buf_puts(out, e->s);
    return true;
}

static const struct cJSON *
look(const struct cJSON *j, struct wm_str path)
{
    while (j && path.n > 0) {
        const char *dot = memchr(path.p, '.', path.n);
        size_t n = dot ? (size_t)(dot - path.p) : path.n;
        const struct cJSON *c = cJSON_IsObject(j) ? j->child : NULL;

        while (c && !wm_str_eq(wm_str_c(c->string), (struct wm_str){path.p, n}))
            c = c->next;
        j = c;
        n += dot != NULL;
        path.p += n;
        path.n -= n;
    }
    return j && !cJSON_IsNull(j) ? j : NULL;
}

static bool
is_defined(const struct collect *x, struct wm_str name)
{
    for (uint32_t i = 0; i < x->ndefine; i++)
        if (x->define[i].n > name.n && wm_str_starts(x->define[i], name) &&
            x->define[i].p[name.n] == '=')
            return true;
    return false;
}

static struct wm_seen *
see(struct collect *x, enum wm_setting_kind kind, struct wm_str name, enum wm_use_of use)
{
    struct wm_seen *s = NULL;

    for (uint32_t i = 0; i < x->seen.n && !s; i++)
        if (x->seen.item[i].s.kind == kind && wm_str_eq(x->seen.item[i].s.name, name))
            s = &x->seen.item[i];
    if (!s) {
        s = WM_PUSH(x->cc->a, &x->seen);
        *s = (struct wm_seen){.s = {.kind = kind, .name = wm_arena_str(x->cc->a, name)}};
    }
    if (use > s->use)
        s->use = use;
    return s;
}

/* ---- expressions ---- */

static struct wm_seen *
see_config(struct collect *x, const struct wm_expr *e, enum wm_use_of use, bool required)
{
    struct wm_buf path;
    struct wm_seen *s;

    wm_buf_init(&path, x->cc->a);
    if (!path_of(e, &path) || path.n == 0 || look(x->base, wm_buf_str(&path)))
        return NULL;
    s = see(x, WM_SET_CONFIG, wm_buf_str(&path), use);
    s->s.required |= required;
    return s;
}

static struct wm_seen *visit_name(struct collect *x, struct wm_module *m, struct wm_str name,
                                  enum wm_use_of use);
static enum wm_use_of use_of_literal(const struct wm_expr *e);

/* What is read as a whole: a config path, an item of one, a name of such, one with a default. NULL:
 * something else, which is visited. */
static struct wm_seen *
visit_path(struct collect *x, struct wm_module *m, const struct wm_expr *e, enum wm_use_of use,
           bool required)
{
    enum wm_use_of all = use == WM_USE_TEXT   ? WM_USE_TEXTS
                         : use == WM_USE_BOOL ? WM_USE_LIST
                                              : WM_USE_SIZES;
    struct wm_buf path;

    switch (e->kind) {
    case WM_EX_NAME:
        return visit_name(x, m, e->s, use);
    case WM_EX_ELSE:
        visit(x, m, e->arg[1], use);
        return visit_path(x, m, e->arg[0], use != WM_USE_ANY ? use : use_of_literal(e->arg[1]),
                          false);
    case WM_EX_ITEM:
        visit(x, m, e->arg[1], WM_USE_NUMBER);
        return visit_path(x, m, e->arg[0], all, required);
    case WM_EX_FIELD:
        wm_buf_init(&path, x->cc->a);
        if (path_of(e, &path))
            return see_config(x, e, use, required);
        break;
    default:
        break;
    }
    visit(x, m, e, use);
    return NULL;
}

static enum wm_use_of
use_of_literal(const struct wm_expr *e)
{
    switch (e->kind) {
    case WM_EX_BOOL:
        return WM_USE_BOOL;
    case WM_EX_INT:
    case WM_EX_FLOAT:
        return WM_USE_NUMBER;
    case WM_EX_STRING:
        return WM_USE_TEXT;
    case WM_EX_LIST:
        return e->narg ? use_of_literal(e->arg[0]) == WM_USE_TEXT ? WM_USE_TEXTS : WM_USE_NUMBERS
                       : WM_USE_LIST;
    default:
        return WM_USE_ANY;
    }
}

/* What the value of a parameter is, by its default. */
static enum wm_use_of
use_of_default(const struct wm_expr *e)
{
    enum wm_use_of use = use_of_literal(e);

    if (use != WM_USE_ANY)
        return use;
    switch (e->kind) {
    case WM_EX_EQ:
    case WM_EX_NE:
    case WM_EX_LT:
    case WM_EX_LE:
    case WM_EX_GT:
    case WM_EX_GE:
    case WM_EX_IN:
    case WM_EX_NOT:
    case WM_EX_AND:
    case WM_EX_OR:
        return WM_USE_BOOL;
    case WM_EX_COND:
        use = use_of_default(e->arg[1]);
        return use != WM_USE_ANY ? use : use_of_default(e->arg[2]);
    case WM_EX_ELSE:
        return use_of_default(e->arg[1]);
    case WM_EX_CALL:
        return wm_str_eq(e->s, WM_STR("min")) || wm_str_eq(e->s, WM_STR("max")) ? WM_USE_NUMBER : WM_USE_ANY;
    default:
        return WM_USE_ANY;
    }
}

static void
compare_with(struct collect *x, struct wm_seen *s, const struct wm_expr *literal)
{
    if (!s)
        return;
    if (literal->kind == WM_EX_STRING)
        *WM_PUSH(x->cc->a, &s->word) = literal->s;
    else if (literal->kind == WM_EX_INT)
        *WM_PUSH(x->cc->a, &s->number) = literal->i;
    for (uint32_t i = 0; literal->kind == WM_EX_LIST && i < literal->narg; i++)
        compare_with(x, s, literal->arg[i]);
}

static void
visit_compare(struct collect *x, struct wm_module *m, const struct wm_expr *e)
{
    bool order = e->kind != WM_EX_EQ && e->kind != WM_EX_NE;

    for (int side = 0; side < 2; side++) {
        enum wm_use_of use = use_of_literal(e->arg[1 - side]);
        struct wm_seen *s;

        if (use_of_literal(e->arg[side]) != WM_USE_ANY)
            continue;
        s = visit_path(x, m, e->arg[side], order && use == WM_USE_ANY ? WM_USE_NUMBER : use, true);
        compare_with(x, s, e->arg[1 - side]);
    }
}

static void
visit_in(struct collect *x, struct wm_module *m, const struct wm_expr *e)
{
    enum wm_use_of use = WM_USE_NUMBER;

    if (e->arg[1]->kind == WM_EX_LIST && e->arg[1]->narg)
        use = use_of_literal(e->arg[1]->arg[0]);
    if (e->arg[1]->kind == WM_EX_RANGE || e->arg[1]->kind == WM_EX_LIST)
        visit(x, m, e->arg[1], WM_USE_NUMBERS);
    else
        visit_path(x, m, e->arg[1], WM_USE_NUMBERS, true);
    compare_with(x, visit_path(x, m, e->arg[0], use, true), e->arg[1]);
}

/* A name: what it stands for is read in its place. */
static struct wm_seen *
visit_name(struct collect *x, struct wm_module *m, struct wm_str name, enum wm_use_of use)
{
    const struct wm_name *nm = wm_module_find(m, name);
    struct wm_seen *s = NULL;

    if (!nm || x->depth > WM_VISIT_DEPTH)
        return NULL;
    if (nm->kind == WM_NM_LET) {
        x->depth++;
        s = visit_path(x, m, nm->stmt->expr, use, true);
        x->depth--;
    } else if (nm->kind == WM_NM_PARAM && !is_defined(x, name)) {
        s = see(x, WM_SET_PARAM, name, use_of_default(nm->stmt->expr));
        compare_with(x, s, nm->stmt->expr);
    }
    return s;
}

static void
visit_call(struct collect *x, struct wm_module *m, const struct wm_expr *e)
{
    bool len = wm_str_eq(e->s, WM_STR("len"));

    x->exists |= wm_str_eq(e->s, WM_STR("exists"));
    if (e->narg > 0 && wm_str_eq(e->s, WM_STR("has")))
        visit_path(x, m, e->arg[0], WM_USE_ANY, false);
    else
        for (uint32_t i = 0; i < e->narg; i++)
            visit_path(x, m, e->arg[i], len ? WM_USE_LIST : WM_USE_NUMBER, true);
}

static void
visit(struct collect *x, struct wm_module *m, const struct wm_expr *e, enum wm_use_of use)
{
    struct wm_buf path;

    if (!e || x->depth > WM_DEPTH_MAX + WM_VISIT_DEPTH)
        return;
    x->depth++;
    wm_buf_init(&path, x->cc->a);
    switch (e->kind) {
    case WM_EX_NAME:
        visit_name(x, m, e->s, use);
        break;
    case WM_EX_FIELD:
        if (e->arg[0]->kind == WM_EX_NAME) {
            const struct wm_name *nm = wm_module_find(m, e->arg[0]->s);

            if (nm && nm->kind == WM_NM_IMPORT)
                visit_name(x, m->import.item[nm->id].module, e->s, use);
        } else if (path_of(e, &path)) {
            see_config(x, e, use, true);
        }
        break;
    case WM_EX_ITEM:
    case WM_EX_ELSE:
        visit_path(x, m, e, use, true);
        break;
    case WM_EX_CALL:
        visit_call(x, m, e);
        break;
    case WM_EX_EQ:
    case WM_EX_NE:
    case WM_EX_LT:
    case WM_EX_LE:
    case WM_EX_GT:
    case WM_EX_GE:
        visit_compare(x, m, e);
        break;
    case WM_EX_IN:
        visit_in(x, m, e);
        break;
    case WM_EX_NOT:
    case WM_EX_AND:
    case WM_EX_OR:
        for (uint32_t i = 0; i < e->narg; i++)
            visit(x, m, e->arg[i], WM_USE_BOOL);
        break;
    case WM_EX_COND:
        visit(x, m, e->arg[0], WM_USE_BOOL);
        visit(x, m, e->arg[1], use);
        visit(x, m, e->arg[2], use);
        break;
    default:
        for (uint32_t i = 0; i < e->narg; i++)
            visit(x, m, e->arg[i], WM_USE_NUMBER);
    }
    x->depth--;
}

/* ---- statements ---- */

static void
visit_clauses(struct collect *x, struct wm_module *m, const struct wm_clause *c, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        visit(x, m, c[i].expr, WM_USE_BOOL);
        for (uint32_t k = 0; k < c[i].nbind; k++)
            visit(x, m, c[i].bind[k].expr, WM_USE_NUMBER);
    }
}

/* Axes take their sizes from lets and params of their name. */
static void
visit_pattern(struct collect *x, struct wm_module *m, const struct wm_pat *p)
{
    if (p->kind == WM_PT_AXIS)
        visit_name(x, m, p->name, WM_USE_NUMBER);
    for (uint32_t i = 0; i < p->nitem; i++)
        visit_pattern(x, m, p->item[i]);
}

static void
visit_template(struct collect *x, struct wm_module *m, const struct wm_template *t)
{
    for (uint32_t i = 0; t && i < t->npart; i++)
        visit(x, m, t->part[i].expr, WM_USE_NUMBER);
}

static void
visit_rule(struct collect *x, struct wm_module *m, const struct wm_rule_ast *r)
{
    for (int s = 0; s < 2; s++) {
        for (uint32_t t = 0; t < r->side[s].nterm; t++) {
            const struct wm_term *term = &r->side[s].term[t];

            visit_template(x, m, term->key);
            for (uint32_t d = 0; term->pattern && d < term->pattern->ndim; d++)
                visit_pattern(x, m, term->pattern->dim[d]);
        }
        if (r->side[s].fill)
            visit(x, m, r->side[s].fill->value, WM_USE_NUMBER);
    }
    for (uint32_t o = 0; o < r->nop; o++)
        for (uint32_t i = 0; i < r->op[o].narg; i++) {
            const struct wm_expr *e = r->op[o].arg[i];
            bool cast = wm_str_eq(r->op[o].name, WM_STR("cast")) || wm_str_eq(r->op[o].name, WM_STR("uncast"));

            if (!cast)
                visit(x, m, e, WM_USE_NUMBER);
            else if (wm_dtype_written(e) == WM_DT_N)
                visit(x, m, e, WM_USE_DTYPE);
        }
    visit_clauses(x, m, r->clause, r->nclause);
}

static void
visit_line(struct collect *x, struct wm_module *m, const struct wm_shard_line *l)
{
    const struct wm_expr *e[] = {l->dim,  l->at,   l->parts, l->groups,
                                 l->unit, l->size, l->pad,   l->fill, l->width};

    for (size_t i = 0; i < WM_COUNTOF(e); i++)
        visit(x, m, e[i], WM_USE_NUMBER);
    visit(x, m, l->when, WM_USE_BOOL);
    for (uint32_t i = 0; i < l->npart; i++) {
        visit(x, m, l->part[i].size, WM_USE_NUMBER);
        visit(x, m, l->part[i].groups, WM_USE_NUMBER);
        visit(x, m, l->part[i].width, WM_USE_NUMBER);
    }
}

static void
visit_item(struct collect *x, struct wm_module *m, const struct wm_side_item *it)
{
    visit(x, m, it->when, WM_USE_BOOL);
    visit(x, m, it->scale, WM_USE_NUMBER);
    visit(x, m, it->value, WM_USE_ANY);
    for (uint32_t i = 0; i < it->ntmpl; i++)
        visit_template(x, m, it->tmpl[i]);
    x->shards |= it->kind == WM_SI_FILE;
}

static void visit_module(struct collect *x, struct wm_module *m);

static void
visit_stmts(struct collect *x, struct wm_module *m, struct wm_stmt *const *list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct wm_stmt *st = list[i];
        const struct wm_name *nm;

        switch (st->kind) {
        case WM_ST_PARAM:
            visit(x, m, st->where, WM_USE_BOOL); /* the values that it may have */
            break;
        case WM_ST_INDEX:
            visit(x, m, st->bound, WM_USE_NUMBER);
            if (st->expr && st->expr->kind != WM_EX_KEYS)
                visit(x, m, st->expr, WM_USE_NUMBERS);
            visit(x, m, st->where, WM_USE_BOOL);
            break;
        case WM_ST_SIDE:
            for (uint32_t k = 0; k < st->nitem; k++)
                visit_item(x, m, &st->item[k]);
            break;
        case WM_ST_SHARD:
            x->shards = true;
            for (uint32_t k = 0; k < st->nline; k++)
                visit_line(x, m, &st->line[k]);
            break;
        case WM_ST_RULE:
        case WM_ST_OVERRIDE:
            visit_rule(x, m, st->rule);
            break;
        case WM_ST_WITHIN:
            for (int s = 0; s < 2; s++)
                visit_template(x, m, st->prefix[s]);
            visit_clauses(x, m, st->clause, st->nclause);
            visit_stmts(x, m, st->body, st->nbody);
            break;
        case WM_ST_IF:
            for (uint32_t k = 0; k < st->narm; k++) {
                visit(x, m, st->arm[k].cond, WM_USE_BOOL);
                visit_stmts(x, m, st->arm[k].body, st->arm[k].nbody);
            }
            break;
        case WM_ST_USE:
            nm = wm_module_find(m, st->name);
            if (nm && nm->kind == WM_NM_IMPORT)
                visit_module(x, m->import.item[nm->id].module);
            break;
        default:
            break;
        }
    }
}

static void
visit_module(struct collect *x, struct wm_module *m)
{
    for (uint32_t i = 0; i < x->done.n; i++)
        if (x->done.item[i] == m)
            return;
    *WM_PUSH(x->cc->a, &x->done) = m;
    visit_stmts(x, m, m->ast->stmt, m->ast->nstmt);
}

/* A param that the expression gives is not to be chosen. */
static void
drop_param(struct collect *x, struct wm_str name)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < x->seen.n; i++)
        if (x->seen.item[i].s.kind != WM_SET_PARAM || !wm_str_eq(x->seen.item[i].s.name, name))
            x->seen.item[n++] = x->seen.item[i];
    x->seen.n = n;
}

void
wm_settings_collect(struct wm_cc *cc, const struct wm_chain *c, const struct cJSON *base,
                    const struct wm_str *define, uint32_t ndefine, wm_settings *out)
{
    static const int64_t scale[] = {1,  2,  4,  8,  3,  6, 12, 16, 24, 5,  10,
                                    15, 20, 30, 60, 48, 7, 14, 32, 64, 120};
    static const int64_t rank[] = {2, 1, 3}, answer[] = {0, 1};
    struct collect x = {.cc = cc, .base = base, .define = define, .ndefine = ndefine};

    *out = (wm_settings){0};
    for (uint32_t i = 0; i < c->link.n; i++) {
        const struct wm_chain_link *l = &c->link.item[i];

        visit_module(&x, l->module);
        for (uint32_t k = 0; k < l->arg.n && l->arg_mod; k++)
            visit(&x, l->arg_mod, l->arg.item[k].expr, WM_USE_ANY);
        for (uint32_t k = 0; k < l->arg.n && c->link.n == 1; k++)
            drop_param(&x, l->arg.item[k].name);
    }
    for (uint32_t i = 0; i < x.seen.n; i++) {
        wm_seen_values(cc->a, &x.seen.item[i]);
        x.seen.item[i].s.text = x.seen.item[i].use == WM_USE_TEXT;
        *WM_PUSH(cc->a, out) = x.seen.item[i].s;
    }
    if (x.exists)
        wm_inner_values(cc->a, out, WM_SET_EXISTS, answer, 2);
    if (x.shards)
        wm_inner_values(cc->a, out, WM_SET_SCALE, scale, WM_COUNTOF(scale));
    wm_inner_values(cc->a, out, WM_SET_RANK, rank, 3);
}
