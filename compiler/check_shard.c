/* compiler/check_shard.c -- shard blocks, as far as they can be checked without sizes: names, keys, lines that never match. */
#include "compiler/check.h"
#include "compiler/shard.h"

bool
wm_cut_line_resolve(struct wm_module *m, const struct wm_shard_line *l, struct wm_cut_line *out)
{
    *out = (struct wm_cut_line){.ast = l, .scope = wm_scope_new(m, l->span)};
    wm_declare_holes(m, out->scope, 0, l->key);
    if (!wm_resolve_templates(m, out->scope, 0, (const struct wm_template *const *)&l->key, 1, &out->key))
        return false;
    for (uint32_t v = 0; v < out->scope->var.n; v++)
        out->scope->var.item[v].common = true;
    return true;
}

static bool
has_file(const struct wm_module *m, int side, uint32_t index)
{
    for (uint32_t f = 0; f < m->side[side].file.n; f++) {
        const struct wm_file_line *l = &m->side[side].file.item[f];

        for (uint32_t k = 0; k < l->nplace; k++)
            if (l->scope->var.item[l->place[k]].index == index)
                return true;
    }
    return false;
}

static void
check_line(struct wm_module *m, struct wm_str index, const struct wm_shard_line *l, struct wm_cut_line *out)
{
    const struct wm_expr *e[] = {l->dim, l->at, l->parts, l->groups, l->unit, l->size, l->pad, l->fill};

    if (!wm_cut_line_resolve(m, l, out))
        return;
    wm_check_ambiguous(m, &out->key);
    for (size_t i = 0; i < WM_COUNTOF(e); i++)
        if (e[i])
            wm_check_expr(m, e[i], out->scope);
    if (l->when)
        wm_check_bool(m, l->when, out->scope);
    if (l->width)
        wm_check_expr_at(m, l->width, out->scope, index);
    for (uint32_t i = 0; i < l->npart; i++) {
        wm_check_expr(m, l->part[i].size, out->scope);
        if (l->part[i].groups)
            wm_check_expr(m, l->part[i].groups, out->scope);
        if (l->part[i].width)
            wm_check_expr_at(m, l->part[i].width, out->scope, index);
    }
}

static void
check_block(struct wm_module *m, const struct wm_stmt *st)
{
    struct wm_diags *ds = &m->cc->diags;
    struct wm_name *nm = (struct wm_name *)wm_module_find(m, st->name);
    struct wm_cut_line *line = WM_NEW_N(m->cc->a, struct wm_cut_line, st->nline);

    if (!nm || nm->kind != WM_NM_INDEX) {
        wm_report(ds, WM_E_SHARD, st->name_span, "`%.*s` is not an index", WM_STR_ARG(st->name));
        return;
    }
    nm->used = true;
    if (!has_file(m, st->side, nm->id)) {
        struct wm_diag *d = wm_report(ds, WM_E_SHARD, st->name_span, "no file of the %s has `%.*s` in its name",
                                      st->side ? "target" : "source", WM_STR_ARG(st->name));

        wm_note(ds, d, "%s { file \"model.{%.*s}.safetensors\" }", st->side ? "target" : "source",
                WM_STR_ARG(st->name));
    }
    for (uint32_t i = 0; i < st->nline; i++) {
        check_line(m, st->name, &st->line[i], &line[i]);
        for (uint32_t k = 0; k < i; k++)
            if (line[i].key.npart && line[k].key.npart && !st->line[k].when &&
                wm_key_inside(m->cc->a, &line[i].key, &line[k].key, NULL)) {
                struct wm_diag *d = wm_report(ds, WM_E_SHARD_DEAD, st->line[i].span,
                                              "this line can never match: an earlier one takes all of its keys");

                wm_label(ds, d, st->line[k].span, "this one");
                break;
            }
    }
}

void
wm_check_shards(struct wm_module *m)
{
    for (uint32_t i = 0; i < m->shard.n; i++)
        check_block(m, m->shard.item[i]);
}
