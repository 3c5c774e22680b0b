/* compiler/module.c -- loads a map: parse, collect its names, then check everything that needs no config.
 *
 * Enters: a path or a text.  Leaves: a module whose rules are resolved (see module.h), cached by path, or diagnostics.
 * The order of statements does not matter; imports form a tree without cycles. */
#include "compiler/module.h"

#include "compiler/op.h"
#include "runtime/manifest.h"

enum { WM_MAP_MAX_BYTES = 64 << 20, WM_IMPORT_DEPTH = 32 };

const struct wm_name *
wm_module_find(struct wm_module *m, struct wm_str name)
{
    uint32_t i = wm_map_get(&m->names, name);

    return i == WM_NONE ? NULL : &m->name_list.item[i];
}

const struct wm_module *
wm_module_of_param(struct wm_module *m, struct wm_str name)
{
    const struct wm_name *nm = wm_module_find(m, name);
    const struct wm_module *of = nm && nm->kind == WM_NM_PARAM ? m : NULL;

    for (uint32_t i = 0; !of && i < m->used.n; i++)
        of = wm_module_of_param(m->used.item[i], name);
    return of;
}

static struct wm_name *
add_name(struct wm_module *m, enum wm_name_kind kind, const struct wm_stmt *st, uint32_t id)
{
    struct wm_diags *ds = &m->cc->diags;
    const struct wm_name *old = wm_module_find(m, st->name);
    struct wm_name *nm;

    if (old) {
        struct wm_diag *d = wm_report(ds, WM_E_DUPLICATE_NAME, st->name_span, "`%.*s` is defined twice",
                                      WM_STR_ARG(st->name));

        wm_label(ds, d, old->stmt->name_span, "first here");
        return NULL;
    }
    wm_map_put(&m->names, st->name, m->name_list.n);
    nm = WM_PUSH(m->cc->a, &m->name_list);
    *nm = (struct wm_name){.kind = kind, .name = st->name, .stmt = st, .id = id};
    return nm;
}

static void
load_import(struct wm_module *m, const struct wm_stmt *st)
{
    struct wm_cc *cc = m->cc;
    struct wm_err err = {0};
    struct wm_module *in = NULL;
    struct wm_import *im;
    struct wm_str rel = st->path->npart == 1 ? st->path->part[0].text : WM_STR("");
    struct wm_str path = wm_arena_printf(cc->a, "%.*s%.*s", (int)(m->path.n - wm_path_base(m->path).n), m->path.p,
                                         WM_STR_ARG(rel));

    if (rel.n == 0 || rel.p[0] == '/') {
        wm_report(&cc->diags, WM_E_IMPORT, st->path->span, "an import is a path relative to this file");
        return;
    }
    for (uint32_t i = 0; i < cc->loading.n; i++)
        if (wm_str_eq(cc->loading.item[i], path)) {
            wm_report(&cc->diags, WM_E_IMPORT_CYCLE, st->span, "%.*s imports itself",
                      WM_STR_ARG(path));
            return;
        }
    if (cc->loading.n >= WM_IMPORT_DEPTH)
        wm_report(&cc->diags, WM_E_IMPORT, st->span, "imports nest more than %d deep", WM_IMPORT_DEPTH);
    else
        in = wm_module_load(cc, path, &err);
    if (!in) {
        if (err.status)
            wm_report(&cc->diags, WM_E_IMPORT, st->path->span, "%s", err.msg);
        return;
    }
    if (!add_name(m, WM_NM_IMPORT, st, m->import.n))
        return;
    im = WM_PUSH(cc->a, &m->import);
    *im = (struct wm_import){.name = st->name, .stmt = st, .module = in};
}

static void
add_index(struct wm_module *m, const struct wm_stmt *st)
{
    struct wm_index_def *def;

    if (!add_name(m, WM_NM_INDEX, st, m->index.n))
        return;
    def = WM_PUSH(m->cc->a, &m->index);
    *def = (struct wm_index_def){.stmt = st, .name = st->name,
                                 .in_keys = st->expr && st->expr->kind == WM_EX_KEYS};
}

static void
add_header(struct wm_module *m, const struct wm_stmt *st)
{
    if (m->name.n) {
        wm_report(&m->cc->diags, WM_E_ONE_MAP, st->span,
                  "a file holds one rules map; this one has `%.*s` already", WM_STR_ARG(m->name));
        return;
    }
    m->name = st->name;
    m->doc = st->doc;
}

static void
add_side(struct wm_module *m, const struct wm_stmt *st)
{
    struct wm_side *s = &m->side[st->side];

    if (s->span.len > 0) {
        struct wm_diag *d = wm_report(&m->cc->diags, WM_E_DUPLICATE_NAME, st->span,
                                      "a second `%s` block", st->side ? "target" : "source");

        wm_label(&m->cc->diags, d, s->span, "first here");
        return;
    }
    s->span = st->span;
    s->name = st->name;
    for (uint32_t i = 0; i < st->nitem; i++) {
        *WM_PUSH(m->cc->a, &s->item) = &st->item[i];
        *WM_PUSH(m->cc->a, &s->item_mod) = m;
    }
}

static void
collect(struct wm_module *m)
{
    uint32_t nparam = 0, nlet = 0;

    for (uint32_t i = 0; i < m->ast->nstmt; i++) {
        const struct wm_stmt *st = m->ast->stmt[i];

        switch (st->kind) {
        case WM_ST_MAP:
            add_header(m, st);
            break;
        case WM_ST_MAPDEF:
            *WM_PUSH(m->cc->a, &m->mapdef) = st;
            break;
        case WM_ST_PARAM:
            if (add_name(m, WM_NM_PARAM, st, nparam))
                nparam++;
            break;
        case WM_ST_LET:
            if (add_name(m, WM_NM_LET, st, nlet))
                nlet++;
            break;
        case WM_ST_INDEX:
            add_index(m, st);
            break;
        case WM_ST_SIDE:
            add_side(m, st);
            break;
        case WM_ST_SHARD:
            *WM_PUSH(m->cc->a, &m->shard) = st;
            break;
        case WM_ST_IMPORT:
            load_import(m, st);
            break;
        default:
            break;
        }
    }
}

/* Components of composite indices: names to numbers; they must be plain. */
static void
resolve_composites(struct wm_module *m)
{
    struct wm_diags *ds = &m->cc->diags;

    for (uint32_t i = 0; i < m->index.n; i++) {
        struct wm_index_def *def = &m->index.item[i];
        const struct wm_stmt *st = def->stmt;

        if (st->ncomponent == 0)
            continue;
        def->component = WM_NEW_N(m->cc->a, uint32_t, st->ncomponent);
        if (st->ncomponent > WM_MAX_RANK)
            wm_report(ds, WM_E_COMPOSITE, st->name_span, "`%.*s` has more than %d components", WM_STR_ARG(st->name),
                      WM_MAX_RANK);
        for (uint32_t c = 0; c < st->ncomponent; c++) {
            struct wm_name *nm = (struct wm_name *)wm_module_find(m, st->component[c].name);

            if (!nm || nm->kind != WM_NM_INDEX || nm->stmt->ncomponent > 0) {
                wm_report(ds, WM_E_COMPOSITE, st->component[c].span, "`%.*s` is not a plain index",
                          WM_STR_ARG(st->component[c].name));
                continue;
            }
            nm->used = true;
            def->component[def->ncomponent++] = nm->id;
        }
    }
}

/* use: the other module's rules and the alias, ignore, carry, emit, lora and scales items of its sides. */
static void
use_module(struct wm_module *m, const struct wm_stmt *st)
{
    struct wm_arena *a = m->cc->a;
    const struct wm_name *nm = wm_module_find(m, st->name);
    struct wm_module *in;

    for (uint32_t i = 0; !nm && i < m->ast->nstmt; i++)
        if (m->ast->stmt[i]->kind == WM_ST_IMPORT && wm_str_eq(m->ast->stmt[i]->name, st->name))
            return; /* its import failed, which was reported */
    if (!nm || nm->kind != WM_NM_IMPORT) {
        wm_report(&m->cc->diags, WM_E_UNKNOWN_NAME, st->name_span, "`%.*s` is not an imported map",
                  WM_STR_ARG(st->name));
        return;
    }
    ((struct wm_name *)nm)->used = true;
    in = m->import.item[nm->id].module;
    *WM_PUSH(a, &m->used) = in;
    for (uint32_t i = 0; i < in->rule.n; i++) {
        struct wm_rule *copy = WM_NEW(a, struct wm_rule);

        *copy = *in->rule.item[i];
        copy->used_by = st;
        for (uint32_t c = 0; c < copy->cond.n; c++)
            if (copy->cond.item[c].branch)
                copy->cond.item[c].branch += m->nbranch;
        *WM_PUSH(a, &m->rule) = copy;
    }
    m->nbranch += in->nbranch;
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < in->side[s].item.n; i++) {
            enum wm_item_kind k = in->side[s].item.item[i]->kind;

            if (k != WM_SI_ALIAS && k != WM_SI_IGNORE && k != WM_SI_CARRY && k != WM_SI_EMIT && k != WM_SI_LORA &&
                k != WM_SI_SCALES)
                continue;
            *WM_PUSH(a, &m->side[s].item) = in->side[s].item.item[i];
            *WM_PUSH(a, &m->side[s].item_mod) = in->side[s].item_mod.item[i];
        }
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < in->side[s].lora.n; i++)
            *WM_PUSH(a, &m->side[s].lora) = in->side[s].lora.item[i];
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < in->side[s].scale.n; i++)
            *WM_PUSH(a, &m->side[s].scale) = in->side[s].scale.item[i];
}

/* A map expression uses the maps that it names. */
static void
use_maps(struct wm_module *m, const struct wm_mapx *x)
{
    const struct wm_name *nm = x->kind == WM_MX_NAME ? wm_module_find(m, x->name) : NULL;

    if (nm)
        ((struct wm_name *)nm)->used = true;
    for (int i = 0; i < 2; i++)
        if (x->arg[i])
            use_maps(m, x->arg[i]);
}

static void
check_unused(struct wm_module *m)
{
    for (uint32_t i = 0; i < m->mapdef.n; i++)
        use_maps(m, m->mapdef.item[i]->mapx);
    for (uint32_t i = 0; i < m->name_list.n; i++) {
        const struct wm_name *nm = &m->name_list.item[i];

        if (!nm->used && m->has_rules && nm->name.p[0] != '_')
            wm_report(&m->cc->diags, WM_E_UNUSED, nm->stmt->name_span, "`%.*s` is not used",
                      WM_STR_ARG(nm->name));
    }
}

static void
check(struct wm_module *m)
{
    struct wm_diags *ds = &m->cc->diags;
    uint32_t before = ds->nerror;

    wm_map_init(&m->names, m->cc->a, 64);
    collect(m);
    resolve_composites(m);
    wm_check_names(m);
    if (ds->nerror == before)
        wm_check_constants(m);
    for (uint32_t i = 0; i < m->ast->nstmt; i++)
        if (m->ast->stmt[i]->kind == WM_ST_USE)
            use_module(m, m->ast->stmt[i]);
    wm_check_sides(m);
    wm_check_rules(m);
    m->has_rules = m->rule.n > 0;
    if (ds->nerror == before) {
        wm_check_keys(m);
        wm_check_shards(m);
        if (m->has_rules)
            wm_check_scales_both(m);
    }
    if (!m->has_rules && m->mapdef.n == 0 && ds->nerror == before && m->name.n == 0 &&
        m->name_list.n == 0)
        wm_report(ds, WM_E_NO_RULES, m->ast->version_span, "the file has no map");
    if (ds->nerror == before)
        check_unused(m);
    m->ok = ds->nerror == before;
}

struct wm_module *
wm_module_of_text(struct wm_cc *cc, struct wm_str path, struct wm_str text, struct wm_err *err)
{
    struct wm_module *m = WM_NEW(cc->a, struct wm_module);

    (void)err;
    m->cc = cc;
    m->path = path;
    *WM_PUSH(cc->a, &cc->loading) = path;
    m->ast = wm_parse_file(cc->a, &cc->sources, wm_source_add(&cc->sources, path, text), &cc->diags);
    if (m->ast->ok)
        check(m);
    cc->loading.n--;
    *WM_PUSH(cc->a, &cc->module) = m;
    return m;
}

struct wm_module *
wm_module_load(struct wm_cc *cc, struct wm_str path, struct wm_err *err)
{
    struct wm_str text;
    enum wm_status st;

    for (uint32_t i = 0; i < cc->module.n; i++)
        if (wm_str_eq(cc->module.item[i]->path, path))
            return cc->module.item[i];
    if (cc->loading.n == 0) /* named by the user; what a map imports is a file */
        st = wm_read_text(cc->a, cc->sys, path, WM_MAP_MAX_BYTES, &text, err);
    else
        st = wm_read_file(cc->a, cc->sys, path, WM_MAP_MAX_BYTES, &text, err);
    if (st != WM_OK)
        return NULL;
    return wm_module_of_text(cc, path, text, err);
}
