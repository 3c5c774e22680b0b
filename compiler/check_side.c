/* compiler/check_side.c -- the source and target blocks: file lines and the expressions of their items.
 *
 * A file line is resolved in a scope of its own, as if it were a rule.  Its file indices are the placeholders of the
 * file's name that its `holds` template lacks. */
#include "compiler/check.h"

bool
wm_index_is_sharded(const struct wm_module *m, int side, uint32_t index)
{
    for (uint32_t i = 0; i < m->shard.n; i++) {
        const struct wm_stmt *st = m->shard.item[i];
        const struct wm_name *nm = wm_module_find((struct wm_module *)m, st->name);

        if (st->side != side || !nm || nm->kind != WM_NM_INDEX)
            continue;
        if (nm->id == index)
            return true;
        for (uint32_t c = 0; c < m->index.item[nm->id].ncomponent; c++)
            if (m->index.item[nm->id].component[c] == index)
                return true;
    }
    return false;
}

struct wm_rule *
wm_scope_new(struct wm_module *m, struct wm_span span)
{
    struct wm_rule *r = WM_NEW(m->cc->a, struct wm_rule);

    r->mod = m;
    r->span = span;
    return r;
}

static bool
in_key(const struct wm_key *k, uint32_t var)
{
    for (uint32_t i = 0; i < k->npart; i++)
        if (k->part[i].kind != WM_KP_TEXT && k->part[i].var == var)
            return true;
    return false;
}

static bool
in_holds(const struct wm_file_line *f, uint32_t var)
{
    if (in_key(&f->holds, var))
        return true;
    /* a composite is determined by its components */
    for (uint32_t c = 0; c < f->scope->var.item[var].ncomponent; c++)
        if (!in_key(&f->holds, f->scope->var.item[var].component[c]))
            return false;
    return f->scope->var.item[var].ncomponent > 0;
}

/* Does a shard block on that side cut by a component of the index?  Then the index stands for its components.  Not one
 * with a bound: the blocks could not leave out the tuples above it. */
static bool
is_cut_apart(const struct wm_module *m, int side, uint32_t index)
{
    const struct wm_index_def *def = &m->index.item[index];

    for (uint32_t i = 0; i < m->shard.n && !def->stmt->bound; i++) {
        const struct wm_name *nm = wm_module_find((struct wm_module *)m, m->shard.item[i]->name);

        for (uint32_t c = 0; nm && nm->kind == WM_NM_INDEX && c < def->ncomponent; c++)
            if (m->shard.item[i]->side == side && def->component[c] == nm->id)
                return true;
    }
    return false;
}

static void
add_place(struct wm_file_line *f, uint32_t var)
{
    for (uint32_t i = 0; i < f->nplace; i++)
        if (f->place[i] == var)
            return;
    if (!in_key(&f->holds, var))
        f->place[f->nplace++] = var;
}

/* Does a line before this one take every key?  Then this one is for reading alone. */
static bool
only_reads(const struct wm_side *s)
{
    for (uint32_t i = 0; i < s->file.n; i++)
        if (!s->file.item[i].has_holds)
            return true;
    return false;
}

static void
find_places(struct wm_module *m, int side, struct wm_file_line *f)
{
    f->place = WM_NEW_N(m->cc->a, uint32_t, f->scope->var.n);
    for (uint32_t i = 0; i < f->name.npart; i++) {
        const struct wm_kpart *p = &f->name.part[i];

        if (p->kind == WM_KP_TEXT || in_holds(f, p->var))
            continue;
        if (p->kind == WM_KP_INDEX) {
            const struct wm_var *v = &f->scope->var.item[p->var];
            bool apart = is_cut_apart(m, side, v->index);

            for (uint32_t c = 0; apart && c < v->ncomponent; c++)
                add_place(f, v->component[c]);
            if (!apart)
                add_place(f, p->var);
            continue;
        }
        if (p->kind != WM_KP_CAPTURE || !only_reads(&m->side[side]))
            wm_report(&m->cc->diags, WM_E_FILE_LINE, p->span,
                      "`%.*s` of the file's name must be an index, or stand in `holds`",
                      WM_STR_ARG(f->scope->var.item[p->var].name));
    }
}

/* One for the side: its files are opened, and written, alike. */
static void
check_root(struct wm_module *m, int side, const struct wm_side_item *it)
{
    struct wm_side *s = &m->side[side];
    struct wm_str root = it->root ? it->root->s : WM_STR("");

    if (it->root && root.n == 0)
        wm_report(&m->cc->diags, WM_E_FILE_LINE, it->root->span, "an empty root is none: leave it out");
    else if (s->file.n > 0 && !wm_str_eq(s->root, root))
        wm_report(&m->cc->diags, WM_E_FILE_LINE, it->root ? it->root->span : it->span,
                  "the file lines of a side have one root, and another has %s%.*s%s", s->root.n ? "\"" : "none",
                  WM_STR_ARG(s->root), s->root.n ? "\"" : "");
    else
        s->root = root;
}

static void
add_file(struct wm_module *m, int side, const struct wm_side_item *it)
{
    struct wm_file_line f = {.item = it, .scope = wm_scope_new(m, it->span),
                             .has_holds = it->holds != NULL, .has_as = it->as != NULL};
    const struct wm_template *as = it->as ? it->as : it->holds;

    check_root(m, side, it);
    wm_declare_holes(m, f.scope, 0, it->tmpl[0]);
    wm_declare_holes(m, f.scope, 0, it->holds);
    wm_declare_holes(m, f.scope, 0, it->as);
    if (!wm_resolve_templates(m, f.scope, 0, (const struct wm_template *const *)&it->tmpl[0], 1, &f.name) ||
        (it->holds && !wm_resolve_templates(m, f.scope, 0, (const struct wm_template *const *)&it->holds, 1,
                                            &f.holds)) ||
        (as && !wm_resolve_templates(m, f.scope, 0, &as, 1, &f.as)))
        return;
    wm_check_ambiguous(m, &f.name);
    if (it->holds)
        wm_check_ambiguous(m, &f.holds);
    if (it->as)
        wm_check_ambiguous(m, &f.as);
    for (uint32_t i = 0; it->as && i < f.holds.npart; i++)
        if (f.holds.part[i].kind != WM_KP_TEXT && !in_key(&f.as, f.holds.part[i].var) &&
            !in_key(&f.name, f.holds.part[i].var))
            wm_report(&m->cc->diags, WM_E_FILE_LINE, it->as->span,
                      "`%.*s` of `holds` stands neither in the file's name nor behind `as`: reading could not find it",
                      WM_STR_ARG(f.scope->var.item[f.holds.part[i].var].name));
    for (uint32_t i = 0; it->as && i < f.as.npart; i++)
        if (f.as.part[i].kind != WM_KP_TEXT && !in_key(&f.holds, f.as.part[i].var)) {
            wm_report(&m->cc->diags, WM_E_FILE_LINE, f.as.part[i].span, "`%.*s` does not stand in `holds`",
                      WM_STR_ARG(f.scope->var.item[f.as.part[i].var].name));
            return;
        }
    find_places(m, side, &f);
    *WM_PUSH(m->cc->a, &m->side[side].file) = f;
}

/* What goes along lies beside the input: a path would match no name there, and leave a directory's bounds. */
static void
check_carry(struct wm_module *m, const struct wm_template *t)
{
    if (t->npart == 1 && memchr(t->part[0].text.p, '/', t->part[0].text.n))
        wm_report(&m->cc->diags, WM_E_OUTPUT_NAME, t->span,
                  "`carry` takes the names of files in the directory of the input itself, without `/`");
}

/* Alias and ignore templates only need to resolve; the rest is done when they are bound. */
static void
check_item(struct wm_module *m, const struct wm_side_item *it)
{
    struct wm_rule *scope = wm_scope_new(m, it->span);

    for (uint32_t i = 0; i < it->ntmpl && (it->kind == WM_SI_ALIAS || it->kind == WM_SI_IGNORE); i++) {
        struct wm_key k;

        wm_declare_holes(m, scope, 0, it->tmpl[i]);
        if (wm_resolve_templates(m, scope, 0, (const struct wm_template *const *)&it->tmpl[i], 1, &k) &&
            it->kind == WM_SI_ALIAS && k.has_capture)
            wm_report(&m->cc->diags, WM_E_KEY_CAPTURE, it->tmpl[i]->span, "an alias names its keys in full");
    }
    for (uint32_t i = 0; i < it->ntmpl && it->kind == WM_SI_CARRY; i++)
        check_carry(m, it->tmpl[i]);
    if (it->kind == WM_SI_EMIT)
        wm_check_emit(m, it);
    else if (it->when)
        wm_check_bool(m, it->when, NULL);
}

void
wm_check_sides(struct wm_module *m)
{
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < m->side[s].item.n; i++) {
            const struct wm_side_item *it = m->side[s].item.item[i];

            if (m->side[s].item_mod.item[i] != m)
                continue;
            if (it->kind == WM_SI_FILE)
                add_file(m, s, it);
            else if (it->kind == WM_SI_LORA)
                wm_check_lora(m, s, it);
            else if (it->kind == WM_SI_SCALES)
                wm_check_scales(m, s, it);
            else
                check_item(m, it);
        }
}
