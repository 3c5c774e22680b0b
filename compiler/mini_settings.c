/* compiler/mini_settings.c -- the settings that a map reads, with candidates for their values.
 *
 * Enters: the expressions of a chain's maps.  Leaves: one setting for each config path and param,
 * with candidates that its use and its name suggest: booleans where a condition reads it, the words
 * it is compared with, numbers that divide each other where it counts heads. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "compiler/mini.h"

enum { WM_VISIT_DEPTH = 64, WM_LIST_LEN = 12 };

/* What the place of an expression says about its value. */
enum use { USE_ANY, USE_NUMBER, USE_BOOL, USE_TEXT, USE_LIST, USE_NUMBERS, USE_TEXTS };

/* A setting while it is collected. */
struct seen {
    struct wm_setting s;
    enum use use;
    WM_VEC(struct wm_str) word;  /* strings that it is compared with */
    WM_VEC(int64_t) number;      /* and numbers */
};

struct collect {
    struct wm_cc *cc;
    const struct cJSON *base;
    const struct wm_str *define;
    uint32_t ndefine;
    WM_VEC(struct seen) seen;
    WM_VEC(const struct wm_module *) done;
    bool exists, shards;
    uint32_t depth;
};

static void visit(struct collect *x, struct wm_module *m, const struct wm_expr *e, enum use use);

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

static struct seen *
see(struct collect *x, enum wm_setting_kind kind, struct wm_str name, enum use use)
{
    struct seen *s = NULL;

    for (uint32_t i = 0; i < x->seen.n && !s; i++)
        if (x->seen.item[i].s.kind == kind && wm_str_eq(x->seen.item[i].s.name, name))
            s = &x->seen.item[i];
    if (!s) {
        s = WM_PUSH(x->cc->a, &x->seen);
        *s = (struct seen){.s = {.kind = kind, .name = wm_arena_str(x->cc->a, name)}};
    }
    if (use > s->use)
        s->use = use;
    return s;
}

/* ---- expressions ---- */

static struct seen *
see_config(struct collect *x, const struct wm_expr *e, enum use use, bool required)
{
    struct wm_buf path;
    struct seen *s;

    wm_buf_init(&path, x->cc->a);
    if (!path_of(e, &path) || path.n == 0 || look(x->base, wm_buf_str(&path)))
        return NULL;
    s = see(x, WM_SET_CONFIG, wm_buf_str(&path), use);
    s->s.required |= required;
    return s;
}

static struct seen *visit_name(struct collect *x, struct wm_module *m, struct wm_str name, enum use use);
static enum use use_of_literal(const struct wm_expr *e);

/* What is read as a whole: a config path, an item of one, a name of such, one with a default.  NULL:
 * something else, which is visited. */
static struct seen *
visit_path(struct collect *x, struct wm_module *m, const struct wm_expr *e, enum use use, bool required)
{
    enum use all = use == USE_TEXT ? USE_TEXTS : use == USE_BOOL ? USE_LIST : USE_NUMBERS;
    struct wm_buf path;

    switch (e->kind) {
    case WM_EX_NAME:
        return visit_name(x, m, e->s, use);
    case WM_EX_ELSE:
        visit(x, m, e->arg[1], use);
        return visit_path(x, m, e->arg[0], use != USE_ANY ? use : use_of_literal(e->arg[1]), false);
    case WM_EX_ITEM:
        visit(x, m, e->arg[1], USE_NUMBER);
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

static enum use
use_of_literal(const struct wm_expr *e)
{
    switch (e->kind) {
    case WM_EX_BOOL:
        return USE_BOOL;
    case WM_EX_INT:
    case WM_EX_FLOAT:
        return USE_NUMBER;
    case WM_EX_STRING:
        return USE_TEXT;
    case WM_EX_LIST:
        return e->narg ? use_of_literal(e->arg[0]) == USE_TEXT ? USE_TEXTS : USE_NUMBERS : USE_LIST;
    default:
        return USE_ANY;
    }
}

static void
compare_with(struct collect *x, struct seen *s, const struct wm_expr *literal)
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
        enum use use = use_of_literal(e->arg[1 - side]);
        struct seen *s;

        if (use_of_literal(e->arg[side]) != USE_ANY)
            continue;
        s = visit_path(x, m, e->arg[side], order && use == USE_ANY ? USE_NUMBER : use, true);
        compare_with(x, s, e->arg[1 - side]);
    }
}

static void
visit_in(struct collect *x, struct wm_module *m, const struct wm_expr *e)
{
    enum use use = USE_NUMBER;

    if (e->arg[1]->kind == WM_EX_LIST && e->arg[1]->narg)
        use = use_of_literal(e->arg[1]->arg[0]);
    if (e->arg[1]->kind == WM_EX_RANGE || e->arg[1]->kind == WM_EX_LIST)
        visit(x, m, e->arg[1], USE_NUMBERS);
    else
        visit_path(x, m, e->arg[1], USE_NUMBERS, true);
    compare_with(x, visit_path(x, m, e->arg[0], use, true), e->arg[1]);
}

/* A name: what it stands for is read in its place. */
static struct seen *
visit_name(struct collect *x, struct wm_module *m, struct wm_str name, enum use use)
{
    const struct wm_name *nm = wm_module_find(m, name);
    struct seen *s = NULL;

    if (!nm || x->depth > WM_VISIT_DEPTH)
        return NULL;
    if (nm->kind == WM_NM_LET) {
        x->depth++;
        s = visit_path(x, m, nm->stmt->expr, use, true);
        x->depth--;
    } else if (nm->kind == WM_NM_PARAM && !is_defined(x, name)) {
        s = see(x, WM_SET_PARAM, name, use_of_literal(nm->stmt->expr));
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
        visit_path(x, m, e->arg[0], USE_ANY, false);
    else
        for (uint32_t i = 0; i < e->narg; i++)
            visit_path(x, m, e->arg[i], len ? USE_LIST : USE_NUMBER, true);
}

static void
visit(struct collect *x, struct wm_module *m, const struct wm_expr *e, enum use use)
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
            visit(x, m, e->arg[i], USE_BOOL);
        break;
    case WM_EX_COND:
        visit(x, m, e->arg[0], USE_BOOL);
        visit(x, m, e->arg[1], use);
        visit(x, m, e->arg[2], use);
        break;
    default:
        for (uint32_t i = 0; i < e->narg; i++)
            visit(x, m, e->arg[i], USE_NUMBER);
    }
    x->depth--;
}

/* ---- statements ---- */

static void
visit_clauses(struct collect *x, struct wm_module *m, const struct wm_clause *c, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        visit(x, m, c[i].expr, USE_BOOL);
        for (uint32_t k = 0; k < c[i].nbind; k++)
            visit(x, m, c[i].bind[k].expr, USE_NUMBER);
    }
}

/* Axes take their sizes from lets and params of their name. */
static void
visit_pattern(struct collect *x, struct wm_module *m, const struct wm_pat *p)
{
    if (p->kind == WM_PT_AXIS)
        visit_name(x, m, p->name, USE_NUMBER);
    for (uint32_t i = 0; i < p->nitem; i++)
        visit_pattern(x, m, p->item[i]);
}

static void
visit_template(struct collect *x, struct wm_module *m, const struct wm_template *t)
{
    for (uint32_t i = 0; t && i < t->npart; i++)
        visit(x, m, t->part[i].expr, USE_NUMBER);
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
            visit(x, m, r->side[s].fill->value, USE_NUMBER);
    }
    for (uint32_t o = 0; o < r->nop; o++)
        for (uint32_t i = 0; i < r->op[o].narg; i++)
            visit(x, m, r->op[o].arg[i], USE_NUMBER);
    visit_clauses(x, m, r->clause, r->nclause);
}

static void
visit_line(struct collect *x, struct wm_module *m, const struct wm_shard_line *l)
{
    const struct wm_expr *e[] = {l->dim,  l->at,   l->parts, l->groups,
                                 l->unit, l->size, l->pad,   l->fill};

    for (size_t i = 0; i < WM_COUNTOF(e); i++)
        visit(x, m, e[i], USE_NUMBER);
    for (uint32_t i = 0; i < l->npart; i++) {
        visit(x, m, l->part[i].size, USE_NUMBER);
        visit(x, m, l->part[i].groups, USE_NUMBER);
    }
}

static void
visit_item(struct collect *x, struct wm_module *m, const struct wm_side_item *it)
{
    visit(x, m, it->when, USE_BOOL);
    visit(x, m, it->scale, USE_NUMBER);
    for (uint32_t i = 0; i < it->nfield; i++)
        visit(x, m, it->field[i].expr, USE_ANY);
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
        case WM_ST_INDEX:
            visit(x, m, st->bound, USE_NUMBER);
            if (st->expr && st->expr->kind != WM_EX_KEYS)
                visit(x, m, st->expr, USE_NUMBERS);
            visit(x, m, st->where, USE_BOOL);
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
                visit(x, m, st->arm[k].cond, USE_BOOL);
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

/* ---- candidates ---- */

static void
add(struct collect *x, struct seen *s, const char *fmt, long long v)
{
    struct wm_str text = wm_arena_printf(x->cc->a, fmt, v);

    for (uint32_t i = 0; i < s->s.value.n; i++)
        if (wm_str_eq(s->s.value.item[i], text))
            return;
    *WM_PUSH(x->cc->a, &s->s.value) = text;
}

static bool
has_word(struct wm_str name, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= name.n; i++)
        if (memcmp(name.p + i, word, n) == 0)
            return true;
    return false;
}

/* First guesses by name: heads are a multiple of key heads, widths one of heads; then anything. */
static void
add_numbers(struct collect *x, struct seen *s)
{
    static const struct {
        const char *word;
        int64_t value[5];
    } guess[] = {
        {"dense_replace", {1, 2}},        {"sparse_step", {2, 3, 1}},
        {"interval", {2, 3, 1}},          {"layer", {4, 3, 5, 6, 2}},
        {"kv_head", {2, 3, 4}},           {"key_value_head", {2, 3, 4}},
        {"query_group", {2, 3, 4}},       {"head_dim", {10, 14, 22, 26}},
        {"kv_channels", {10, 14, 22}},    {"head", {6, 4, 12, 8}},
        {"expert", {5, 7, 4, 8}},         {"vocab", {97, 101, 96, 128}},
        {"intermediate", {44, 52, 34}},   {"hidden", {84, 60, 120, 48, 96}},
        {"n_embd", {84, 60, 120, 48}},    {"d_model", {84, 60, 120, 48}},
    };
    static const int64_t any[] = {7,  5,  11, 13, 2,  3,  4,  6,  8,  9,  10, 12, 14, 16, 18, 20,
                                  24, 28, 30, 32, 36, 40, 48, 60, 64, 72, 84, 96, 120, 1};

    for (size_t g = 0; g < WM_COUNTOF(guess); g++)
        for (size_t k = 0; k < 5 && has_word(s->s.name, guess[g].word); k++)
            if (guess[g].value[k])
                add(x, s, "%lld", guess[g].value[k]);
    for (uint32_t i = 0; i < s->number.n; i++)
        for (int64_t d = 0; d < 3; d++) /* n, n + 1, n - 1 */
            add(x, s, "%lld", s->number.item[i] + (d == 2 ? -1 : d));
    for (size_t i = 0; i < WM_COUNTOF(any); i++)
        add(x, s, "%lld", any[i]);
}

/* Lists that are long enough for any number of layers: all the same, by turns, all but the first. */
static void
add_list(struct collect *x, struct seen *s, const struct wm_str *item, uint32_t n)
{
    for (uint32_t kind = 0; kind < 2 + n; kind++) {
        struct wm_buf b;

        wm_buf_init(&b, x->cc->a);
        for (uint32_t i = 0; i < WM_LIST_LEN; i++) {
            uint32_t k = kind == 0 ? i % n : kind == 1 ? (i + 1) % n : kind - 2;

            wm_buf_putz(&b, i ? ", " : "[");
            wm_buf_puts(&b, item[k]);
        }
        wm_buf_putc(&b, ']');
        *WM_PUSH(x->cc->a, &s->s.value) = wm_buf_str(&b);
    }
}

static void
add_words(struct collect *x, struct seen *s, bool list)
{
    WM_VEC(struct wm_str) json = {0};

    *WM_PUSH(x->cc->a, &s->word) = WM_STR("other");
    for (uint32_t i = 0; i < s->word.n; i++) {
        struct wm_buf b;
        bool again = false;

        for (uint32_t k = 0; k < i; k++)
            again |= wm_str_eq(s->word.item[k], s->word.item[i]);
        if (again)
            continue;
        wm_buf_init(&b, x->cc->a);
        wm_buf_json(&b, s->word.item[i]);
        *WM_PUSH(x->cc->a, &json) = wm_buf_str(&b);
        if (!list)
            *WM_PUSH(x->cc->a, &s->s.value) = wm_buf_str(&b);
    }
    if (list)
        add_list(x, s, json.item, json.n);
}

static void
add_values(struct collect *x, struct seen *s)
{
    static const struct wm_str flag[] = {{"true", 4}, {"false", 5}};
    static const struct wm_str number[] = {{"7", 1}, {"5", 1}, {"11", 2}, {"13", 2}};
    bool absent = !s->s.required, first = s->use == USE_BOOL || s->use >= USE_LIST || s->use == USE_TEXT;

    if (absent && (first || s->s.kind == WM_SET_PARAM))
        *WM_PUSH(x->cc->a, &s->s.value) = WM_STR("");
    switch (s->use) {
    case USE_BOOL:
        for (size_t i = 0; i < 2; i++)
            *WM_PUSH(x->cc->a, &s->s.value) = flag[i];
        break;
    case USE_TEXT:
    case USE_TEXTS:
        add_words(x, s, s->use == USE_TEXTS);
        break;
    case USE_LIST:
        add_list(x, s, flag, 2);
        break;
    case USE_NUMBERS:
        *WM_PUSH(x->cc->a, &s->s.value) = WM_STR("[]");
        *WM_PUSH(x->cc->a, &s->s.value) = WM_STR("[0]");
        *WM_PUSH(x->cc->a, &s->s.value) = WM_STR("[1]");
        *WM_PUSH(x->cc->a, &s->s.value) = WM_STR("[0, 2]");
        add_list(x, s, number, 4);
        break;
    default:
        add_numbers(x, s);
    }
    if (absent && !first && s->s.kind != WM_SET_PARAM)
        *WM_PUSH(x->cc->a, &s->s.value) = WM_STR("");
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

static void
add_inner(struct collect *x, wm_settings *out, enum wm_setting_kind kind, const int64_t *v, uint32_t n)
{
    struct seen s = {.s = {.kind = kind}};

    for (uint32_t i = 0; i < n; i++)
        add(x, &s, "%lld", v[i]);
    *WM_PUSH(x->cc->a, out) = s.s;
}

void
wm_settings_collect(struct wm_cc *cc, const struct wm_chain *c, const struct cJSON *base,
                    const struct wm_str *define, uint32_t ndefine, wm_settings *out)
{
    static const int64_t scale[] = {1,  2,  4,  8,  3,  6,  12, 16, 24, 5, 10,
                                    15, 20, 30, 60, 48, 7,  14, 32, 64, 120};
    static const int64_t rank[] = {2, 1, 3}, answer[] = {0, 1};
    struct collect x = {.cc = cc, .base = base, .define = define, .ndefine = ndefine};

    *out = (wm_settings){0};
    for (uint32_t i = 0; i < c->link.n; i++) {
        const struct wm_chain_link *l = &c->link.item[i];

        visit_module(&x, l->module);
        for (uint32_t k = 0; k < l->arg.n && l->arg_mod; k++)
            visit(&x, l->arg_mod, l->arg.item[k].expr, USE_ANY);
        for (uint32_t k = 0; k < l->arg.n && c->link.n == 1; k++)
            drop_param(&x, l->arg.item[k].name);
    }
    for (uint32_t i = 0; i < x.seen.n; i++) {
        add_values(&x, &x.seen.item[i]);
        x.seen.item[i].s.text = x.seen.item[i].use == USE_TEXT;
        *WM_PUSH(cc->a, out) = x.seen.item[i].s;
    }
    if (x.exists)
        add_inner(&x, out, WM_SET_EXISTS, answer, 2);
    if (x.shards)
        add_inner(&x, out, WM_SET_SCALE, scale, WM_COUNTOF(scale));
    add_inner(&x, out, WM_SET_RANK, rank, 3);
}

/* ---- what was chosen ---- */

static struct wm_str
chosen(const struct wm_setting *s)
{
    return s->value.item[s->at];
}

/* Put a value at a dotted path. */
static void
put(struct cJSON *root, struct wm_arena *a, struct wm_str path, struct wm_str json)
{
    struct cJSON *value = cJSON_ParseWithLength(json.p, json.n);
    const char *dot;

    while ((dot = memchr(path.p, '.', path.n)) != NULL) {
        size_t n = (size_t)(dot - path.p);
        const char *key = wm_arena_cstr(a, (struct wm_str){path.p, n});
        struct cJSON *in = cJSON_GetObjectItemCaseSensitive(root, key);

        root = cJSON_IsObject(in) ? in : cJSON_AddObjectToObject(root, key);
        path.p += n + 1;
        path.n -= n + 1;
    }
    if (!root || !value || !cJSON_AddItemToObject(root, wm_arena_cstr(a, path), value))
        cJSON_Delete(value);
}

struct wm_str
wm_settings_config(struct wm_arena *a, const wm_settings *s, const struct cJSON *base)
{
    struct cJSON *root = base ? cJSON_Duplicate(base, true) : cJSON_CreateObject();
    struct wm_str text = WM_STR("{}");
    char *print;

    if (root && !cJSON_GetObjectItemCaseSensitive(root, "model_type"))
        cJSON_AddStringToObject(root, "model_type", "mini");
    for (uint32_t i = 0; root && i < s->n; i++)
        if (s->item[i].kind == WM_SET_CONFIG && chosen(&s->item[i]).n)
            put(root, a, s->item[i].name, chosen(&s->item[i]));
    print = root ? cJSON_Print(root) : NULL;
    if (print)
        text = wm_arena_str(a, wm_str_c(print));
    cJSON_free(print);
    cJSON_Delete(root);
    return text;
}

static struct wm_str
plain(struct wm_setting *s)
{
    struct wm_str v = chosen(s);

    return s->text && v.n > 1 ? (struct wm_str){v.p + 1, v.n - 2} : v;
}

void
wm_settings_define(struct wm_arena *a, const wm_settings *s, const struct wm_str *define,
                   uint32_t ndefine, struct wm_str **out, uint32_t *n)
{
    struct wm_str *d = WM_NEW_N(a, struct wm_str, ndefine + s->n);

    *n = 0;
    for (uint32_t i = 0; i < ndefine; i++)
        d[(*n)++] = define[i];
    for (uint32_t i = 0; i < s->n; i++)
        if (s->item[i].kind == WM_SET_PARAM && chosen(&s->item[i]).n)
            d[(*n)++] = wm_arena_printf(a, "%.*s=%.*s", WM_STR_ARG(s->item[i].name),
                                        WM_STR_ARG(plain(&s->item[i])));
    *out = d;
}

struct wm_str
wm_settings_text(struct wm_arena *a, const wm_settings *s)
{
    struct wm_buf b;

    wm_buf_init(&b, a);
    for (uint32_t i = 0; i < s->n; i++)
        if (s->item[i].kind <= WM_SET_PARAM && chosen(&s->item[i]).n)
            wm_buf_printf(&b, "%s%.*s=%.*s", b.n ? " " : "", WM_STR_ARG(s->item[i].name),
                          WM_STR_ARG(chosen(&s->item[i])));
    return wm_buf_str(&b);
}

int64_t
wm_settings_inner(const wm_settings *s, enum wm_setting_kind kind, int64_t none)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->item[i].kind == kind)
            return strtoll(chosen(&s->item[i]).p, NULL, 10);
    return none;
}
