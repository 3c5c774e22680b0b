/* compiler/ast_build_stmt.c -- builders of statements, items of sides and lines of shard blocks.
 *
 * In: nodes from the grammar's actions.  Out: nodes in the arena, never NULL.  What the grammar
 * takes in any order or number (the clauses of `file`, the details of a split) is checked here. */
#include "compiler/syntax.h"

/* ---- things that may be said once ---- */

static void
twice(struct wm_syntax *ps, struct wm_span word)
{
    wm_syntax_error(ps, WM_E_TWICE, word, "`%.*s` is given twice",
                    WM_STR_ARG(wm_syntax_text(ps, word)));
}

void
wm_set_expr(struct wm_syntax *ps, struct wm_expr **slot, struct wm_expr *e, struct wm_span word)
{
    if (*slot)
        twice(ps, word);
    else
        *slot = e;
}

void
wm_set_template(struct wm_syntax *ps, struct wm_template **slot, struct wm_template *t,
                struct wm_span word)
{
    if (*slot)
        twice(ps, word);
    else
        *slot = t;
}

void
wm_set_flag(struct wm_syntax *ps, bool *slot, struct wm_span word)
{
    if (*slot)
        twice(ps, word);
    *slot = true;
}

/* ---- sides ---- */

struct wm_side_item *
wm_make_item(struct wm_syntax *ps, enum wm_item_kind kind, const struct wm_nodes *tmpl,
             struct wm_span span)
{
    struct wm_side_item *it = WM_NEW(ps->a, struct wm_side_item);

    it->kind = kind;
    it->span = span;
    if (tmpl) {
        it->tmpl = (struct wm_template **)tmpl->item;
        it->ntmpl = tmpl->n;
    }
    return it;
}

void
wm_check_file_item(struct wm_syntax *ps, const struct wm_side_item *it)
{
    struct wm_diag *d;

    if (!it->as || it->holds)
        return;
    d = wm_syntax_error(ps, WM_E_HALF_SAID, it->as->span,
                        "`as` renames keys that `holds` places here, but there is no `holds`");
    wm_note(ps->diags, d, "write holds \"{name*}\" as \"...\" to rename all of them");
}

/* ---- shard blocks ---- */

struct wm_shard_line *
wm_make_line(struct wm_syntax *ps, enum wm_shard_kind kind, struct wm_template *key,
             struct wm_expr *e, struct wm_span span)
{
    struct wm_shard_line *l = WM_NEW(ps->a, struct wm_shard_line);

    *l = (struct wm_shard_line){.kind = kind, .key = key, .span = span};
    if (kind == WM_SH_SPLIT)
        l->dim = e;
    if (kind == WM_SH_AT)
        l->at = e;
    return l;
}

void
wm_line_parts(struct wm_syntax *ps, struct wm_shard_line *l, struct wm_expr *e,
              const struct wm_nodes *parts, struct wm_span word)
{
    if (l->parts || l->part) {
        twice(ps, word);
        return;
    }
    l->parts = e;
    if (parts)
        l->part = wm_nodes_values(ps, parts, sizeof(*l->part), &l->npart);
}

struct wm_part *
wm_make_part(struct wm_syntax *ps, struct wm_expr *size, struct wm_expr *groups, struct wm_expr *width,
             struct wm_span span)
{
    struct wm_part *p = WM_NEW(ps->a, struct wm_part);

    *p = (struct wm_part){.span = span, .size = size, .groups = groups, .width = width};
    return p;
}

static void
exclusive(struct wm_syntax *ps, const struct wm_shard_line *l)
{
    struct wm_diag *d = wm_syntax_error(ps, WM_E_HALF_SAID, l->span, "`width` and `%s` exclude each other",
                                        l->uneven ? "uneven" : "groups");

    wm_note(ps->diags, d, "`width` alone says what each rank has: split 0 width rank < 2 ? 3 : 1");
}

void
wm_check_line(struct wm_syntax *ps, const struct wm_shard_line *l)
{
    const char *what = NULL;
    struct wm_diag *d;

    if (l->size && !l->pad)
        what = "`size` is given without `pad`";
    else if (l->pad && !l->size)
        what = "`pad` is given without `size`";
    else if (l->fill && !l->pad)
        what = "`fill` is given without `pad`";
    else if (l->size && l->uneven)
        what = "`uneven` and `size ... pad ...` exclude each other";
    else if (l->width && (l->uneven || l->groups))
        return exclusive(ps, l);
    if (!what)
        return;
    d = wm_syntax_error(ps, WM_E_HALF_SAID, l->span, "%s", what);
    wm_note(ps->diags, d, "a padded dimension is written: split 0 size N pad M fill 0");
}

/* ---- statements ---- */

struct wm_stmt *
wm_make_stmt(struct wm_syntax *ps, enum wm_stmt_kind kind, struct wm_span span)
{
    struct wm_stmt *s = WM_NEW(ps->a, struct wm_stmt);

    s->kind = kind;
    s->span = span;
    return s;
}

struct wm_stmt *
wm_make_named_stmt(struct wm_syntax *ps, enum wm_stmt_kind kind, struct wm_span name,
                   struct wm_span span)
{
    struct wm_stmt *s = wm_make_stmt(ps, kind, span);

    s->name = wm_syntax_text(ps, name);
    if (s->name.n > WM_NAME_MAX)
        s->name.n = WM_NAME_MAX; /* the grammar's `name` has reported it */
    s->name_span = name;
    return s;
}

void
wm_stmt_doc(struct wm_syntax *ps, struct wm_stmt *s, struct wm_span doc)
{
    s->doc = wm_string_value(ps, doc);
    s->doc_text = wm_syntax_text(ps, doc);
}

static const char *
block_text(enum wm_stmt_kind kind)
{
    switch (kind) {
    case WM_ST_MAP:
    case WM_ST_MAPDEF:
        return "map";
    case WM_ST_PARAM:
        return "param";
    case WM_ST_LET:
        return "let";
    case WM_ST_INDEX:
        return "index";
    case WM_ST_SIDE:
        return "source or target";
    case WM_ST_SHARD:
        return "shard";
    case WM_ST_IMPORT:
        return "import";
    case WM_ST_USE:
        return "use";
    default:
        return NULL;
    }
}

struct wm_stmt **
wm_make_body(struct wm_syntax *ps, const struct wm_nodes *list, uint32_t *n)
{
    for (uint32_t k = 0; k < list->n; k++) {
        struct wm_stmt *s = list->item[k];
        const char *what = block_text(s->kind);
        struct wm_diag *d;

        if (!what)
            continue;
        d = wm_syntax_error(ps, WM_E_MISPLACED,
                            (struct wm_span){.file = s->span.file, .off = s->span.off, .len = 1},
                            "`%s` cannot stand in a block of rules", what);
        wm_note(ps->diags, d, "it is a statement of the whole map: move it out of the braces");
        s->kind = WM_ST_ERROR;
    }
    *n = list->n;
    return (struct wm_stmt **)list->item;
}

struct wm_if_arm *
wm_make_arm(struct wm_syntax *ps, struct wm_expr *cond, const struct wm_nodes *body,
            struct wm_span brace, struct wm_span span)
{
    struct wm_if_arm *arm = WM_NEW(ps->a, struct wm_if_arm);

    *arm = (struct wm_if_arm){.span = span, .cond = cond, .brace = brace};
    arm->body = wm_make_body(ps, body, &arm->nbody);
    return arm;
}
