/* compiler/emit.c -- evaluates emit items and prints them as JSON (see emit.h).
 *
 * A dotted name makes nested objects; a field that is null is left out. */
#include "compiler/emit.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

#include "compiler/bind.h"

/* The shortest text that gives the number again; with a point in front of an exponent, since YAML 1.1, of which such
 * files often are a part, takes 1e-06 for a string. */
static cJSON *
number(struct wm_arena *a, double f)
{
    struct wm_str s = WM_STR("");
    const char *e;

    if (!isfinite(f))
        return cJSON_CreateNull();
    for (int digits = 15; digits <= 17; digits++) {
        s = wm_arena_printf(a, "%.*g", digits, f);
        if (strtod(s.p, NULL) == f)
            break;
    }
    e = memchr(s.p, 'e', s.n);
    if (e && !memchr(s.p, '.', s.n))
        s = wm_arena_printf(a, "%.*s.0%s", (int)(e - s.p), s.p, e);
    return cJSON_CreateRaw(s.p);
}

static cJSON *
to_json(struct wm_arena *a, struct wm_value v)
{
    cJSON *list;

    switch (v.kind) {
    case WM_V_INT: {
        /* cJSON holds numbers as doubles; print large integers exactly */
        struct wm_str s = wm_arena_printf(a, "%lld", (long long)v.u.i);

        return cJSON_CreateRaw(s.p);
    }
    case WM_V_FLOAT:
        return number(a, v.u.f);
    case WM_V_BOOL:
        return cJSON_CreateBool(v.u.b);
    case WM_V_STR:
        return cJSON_CreateString(wm_arena_cstr(a, v.u.s));
    case WM_V_LIST:
        list = cJSON_CreateArray();
        for (uint32_t i = 0; i < v.u.list.n; i++)
            cJSON_AddItemToArray(list, to_json(a, v.u.list.item[i]));
        return list;
    case WM_V_OBJECT:
        return cJSON_Duplicate(v.u.json, true);
    default:
        return cJSON_CreateNull();
    }
}

/* The object in which the last name of a dotted path stands; *last gets that name. */
static cJSON *
walk(struct wm_arena *a, cJSON *root, struct wm_str path, const char **last)
{
    for (;;) {
        const char *dot = memchr(path.p, '.', path.n);
        size_t n = dot ? (size_t)(dot - path.p) : path.n;
        char *name = wm_arena_cstr(a, (struct wm_str){path.p, n});
        cJSON *next;

        if (!dot) {
            *last = name;
            return root;
        }
        next = cJSON_GetObjectItemCaseSensitive(root, name);
        if (!next)
            next = cJSON_AddObjectToObject(root, name);
        if (!cJSON_IsObject(next))
            return NULL;
        root = next;
        path.p += n + 1;
        path.n -= n + 1;
    }
}

/* cJSON's text with two blanks for each tab of its indents; strings hold no tabs (they are escaped). */
static struct wm_str
print_json(struct wm_arena *a, const cJSON *root)
{
    char *text = cJSON_Print(root);
    struct wm_buf b;

    wm_buf_init(&b, a);
    for (const char *p = text; p && *p; p++)
        if (*p == '\t')
            wm_buf_putz(&b, p > text && p[-1] == ':' ? " " : "  ");
        else
            wm_buf_putc(&b, *p);
    wm_buf_putc(&b, '\n');
    cJSON_free(text);
    return wm_buf_str(&b);
}

static struct wm_str
emit_name(const struct wm_side_item *it)
{
    return it->tmpl[0]->npart == 1 ? it->tmpl[0]->part[0].text : WM_STR("");
}

/* Has the output a file of that name already? */
static bool
is_taken(const struct wm_plan_builder *pb, struct wm_str name)
{
    const struct wm_plan_outfile *f = (const void *)pb->section[WM_PS_OUTFILE].p;
    const struct wm_plan_sidecar *c = (const void *)pb->section[WM_PS_SIDECAR].p;
    uint64_t nf = pb->section[WM_PS_OUTFILE].n / sizeof(*f);
    uint64_t nc = pb->section[WM_PS_SIDECAR].n / sizeof(*c);
    const char *text = pb->section[WM_PS_STRINGS].p;

    for (uint64_t i = 0; i < nf + nc; i++) {
        struct wm_plan_text t = i < nf ? f[i].name : c[i - nf].name;

        if (wm_str_eq((struct wm_str){text + t.off, t.len}, name))
            return true;
    }
    return false;
}

/* The index that an expression names, itself or through a let; WM_NONE. */
static uint32_t
index_in(struct wm_module *m, const struct wm_expr *e, uint32_t depth)
{
    const struct wm_name *nm = e->kind == WM_EX_NAME ? wm_module_find(m, e->s) : NULL;
    uint32_t found = WM_NONE;

    if (nm && nm->kind == WM_NM_INDEX)
        return nm->id;
    if (nm && nm->kind == WM_NM_LET && nm->per_index && depth < 200)
        return index_in(m, nm->stmt->expr, depth + 1);
    for (uint32_t i = 0; i < e->narg && found == WM_NONE; i++)
        found = index_in(m, e->arg[i], depth);
    return found;
}

/* What a field is: of one that names an index, the list over its values. */
static struct wm_value
field_value(struct wm_bind *b, struct wm_menv *me, const struct wm_expr *e)
{
    uint32_t index = index_in(me->mod, e, 0);
    struct wm_value list = {.kind = WM_V_LIST}, at = {.kind = WM_V_INT}, *item;
    struct wm_scope scope = {.val = &at, .nname = 1};
    const struct wm_index_values *iv;

    if (index == WM_NONE || me->mod->index.item[index].component)
        return wm_eval(&b->be, me, NULL, e);
    iv = wm_index_get(&b->be, me, index);
    if (!iv->known)
        return (struct wm_value){.kind = WM_V_ERROR};
    scope.name = &me->mod->index.item[index].name;
    item = WM_NEW_N(b->cc->a, struct wm_value, (size_t)iv->n + 1);
    for (int64_t k = 0; k < iv->n; k++) {
        at.u.i = wm_index_value(iv, k);
        item[k] = wm_eval(&b->be, me, &scope, e);
        if (item[k].kind == WM_V_ERROR)
            return item[k];
    }
    list.u.list.item = item;
    list.u.list.n = (uint32_t)iv->n;
    return list;
}

static bool
emit(const struct wm_graph *g, struct wm_menv *me, const struct wm_side_item *it,
     struct wm_plan_builder *pb)
{
    struct wm_bind *b = g->out_bind;
    struct wm_plan_sidecar rec = {0};
    cJSON *root = cJSON_CreateObject();
    struct wm_str name = emit_name(it);
    bool ok = false;

    if (!wm_path_is_inside(name))
        wm_report(&g->cc->diags, WM_E_OUTPUT_NAME, it->span, "\"%.*s\" is not a plain file name",
                  WM_STR_ARG(name));
    else if (is_taken(pb, name))
        wm_report(&g->cc->diags, WM_E_DUPLICATE_NAME, it->span,
                  "\"%.*s\" is a file of the output already", WM_STR_ARG(name));
    else
        ok = true;
    wm_cc_own_json(g->cc, root);
    for (uint32_t i = 0; i < it->nfield && ok; i++) {
        struct wm_value v = field_value(b, me, it->field[i].expr);
        const char *last;
        cJSON *obj;

        if (v.kind == WM_V_NULL)
            continue; /* nor are there objects for it */
        ok = v.kind != WM_V_ERROR;
        obj = ok ? walk(g->cc->a, root, it->field[i].path, &last) : NULL;
        if (ok && (!obj || cJSON_GetObjectItemCaseSensitive(obj, last))) {
            wm_report(&g->cc->diags, WM_E_DUPLICATE_NAME, it->field[i].span, "`%.*s` stands twice in one file",
                      WM_STR_ARG(it->field[i].path));
            ok = false;
        }
        if (ok)
            cJSON_AddItemToObject(obj, last, to_json(g->cc->a, v));
    }
    if (ok) {
        struct wm_str s = print_json(g->cc->a, root);

        rec.name = wm_plan_add_text(pb, name);
        rec.bytes = wm_plan_add_bytes(pb, s.p, s.n);
        wm_plan_add(pb, WM_PS_SIDECAR, &rec, sizeof(rec), 1);
    }
    return ok;
}

/* Does the map itself emit the file that an item of a map which it uses emits? */
static bool
is_hidden(const struct wm_bind *b, const struct wm_side *s, uint32_t item)
{
    for (uint32_t i = 0; i < s->item.n && s->item_mod.item[item] != b->m; i++)
        if (s->item.item[i]->kind == WM_SI_EMIT && s->item_mod.item[i] == b->m &&
            wm_str_eq(emit_name(s->item.item[i]), emit_name(s->item.item[item])))
            return true;
    return false;
}

bool
wm_emit_files(const struct wm_graph *g, struct wm_plan_builder *pb)
{
    struct wm_bind *b = g->out_bind;
    const struct wm_side *s = &b->m->side[b->ws];
    bool ok = true;

    for (uint32_t i = 0; i < s->item.n; i++) {
        const struct wm_side_item *it = s->item.item[i];
        bool yes = true;
        struct wm_menv *me = wm_menv_of(&b->be, s->item_mod.item[i]);

        if (it->kind != WM_SI_EMIT || is_hidden(b, s, i))
            continue;
        if (it->when && !wm_eval_bool(&b->be, me, NULL, it->when, &yes))
            ok = false;
        else if (yes)
            ok &= emit(g, me, it, pb);
    }
    return ok;
}
