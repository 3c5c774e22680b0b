/* compiler/ast_build.c -- builders of lists, names, expressions and map expressions.
 *
 * In: spans and nodes from the grammar's actions.  Out: nodes in the arena, never NULL.  Numbers
 * are converted here, and what does not fit is reported here; no node is deeper than WM_DEPTH_MAX,
 * so that passes may recurse. */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>

#include "base/checked.h"
#include "compiler/syntax.h"

/* ---- lists ---- */

struct wm_nodes *
wm_nodes_new(struct wm_syntax *ps)
{
    return WM_NEW(ps->a, struct wm_nodes);
}

struct wm_nodes *
wm_nodes_add(struct wm_syntax *ps, struct wm_nodes *list, void *node)
{
    *WM_PUSH(ps->a, list) = node;
    return list;
}

void *
wm_nodes_values(struct wm_syntax *ps, const struct wm_nodes *list, size_t size, uint32_t *n)
{
    char *all = wm_arena_array(ps->a, list->n, size);

    for (uint32_t k = 0; k < list->n; k++)
        memcpy(all + k * size, list->item[k], size);
    *n = list->n;
    return all;
}

struct wm_str
wm_make_name(struct wm_syntax *ps, struct wm_span span)
{
    struct wm_str s = wm_syntax_text(ps, span);

    if (s.n > WM_NAME_MAX) {
        wm_syntax_error(ps, WM_E_TOO_LONG,
                        (struct wm_span){.file = span.file, .off = span.off, .len = WM_NAME_MAX},
                        "this name has %zu bytes; at most %d are allowed", s.n, WM_NAME_MAX);
        s.n = WM_NAME_MAX;
    }
    return s;
}

/* ---- numbers ---- */

/* The digits without their underscores; false where the token is no number of that kind. */
static bool
digits(struct wm_syntax *ps, struct wm_span span, char out[64])
{
    struct wm_str s = wm_syntax_text(ps, span);
    struct wm_span shown = span;
    struct wm_diag *d;
    size_t n = 0;
    const char *wrong = NULL;

    for (size_t k = 0; k < s.n && !wrong; k++) {
        char c = s.p[k];
        bool digit = c >= '0' && c <= '9';

        if (n == 63)
            wrong = "a number of more than 63 digits";
        else if (digit)
            out[n++] = c;
        else if (c == '_' && k + 1 < s.n && s.p[k + 1] >= '0' && s.p[k + 1] <= '9' &&
                 s.p[k - 1] != '_')
            continue;
        else if ((c == '.' && k > 0) || (strchr("eE", c) && k + 1 < s.n) ||
                 (strchr("+-", c) && strchr("eE", s.p[k - 1])))
            out[n++] = c;
        else
            wrong =
                c == '.' ? "a float has digits on both sides of the point" : "this is not a number";
    }
    if (!wrong && s.n > 1 && s.p[0] == '0' && ((s.p[1] >= '0' && s.p[1] <= '9') || s.p[1] == '_'))
        wrong = "a number has no leading zeros";
    out[n] = '\0';
    if (!wrong)
        return true;
    if (shown.len > 64)
        shown.len = 64;
    d = wm_syntax_error(ps, WM_E_BAD_NUMBER, shown, "%s", wrong);
    if (s.n > 1 && s.p[0] == '0' && strchr("xXbBoO", s.p[1]))
        wm_note(ps->diags, d, "numbers are decimal");
    return false;
}

static struct wm_expr *
new_expr(struct wm_syntax *ps, enum wm_expr_kind kind, struct wm_span span)
{
    struct wm_expr *e = WM_NEW(ps->a, struct wm_expr);

    e->kind = kind;
    e->span = span;
    e->depth = 1;
    return e;
}

struct wm_expr *
wm_make_atom(struct wm_syntax *ps, enum wm_expr_kind kind, struct wm_span span)
{
    struct wm_expr *e = new_expr(ps, kind, span);

    e->text = wm_syntax_text(ps, span);
    return e;
}

struct wm_expr *
wm_make_int(struct wm_syntax *ps, struct wm_span span)
{
    struct wm_expr *e = wm_make_atom(ps, WM_EX_INT, span);
    char text[64];

    if (!digits(ps, span, text)) {
        e->kind = WM_EX_ERROR;
        return e;
    }
    for (size_t k = 0; text[k]; k++) {
        if (text[k] < '0' || text[k] > '9') {
            wm_syntax_error(ps, WM_E_BAD_NUMBER, span, "this is not a number");
            e->kind = WM_EX_ERROR;
            return e;
        }
        if (!wm_ck_mul(e->i, 10, &e->i) || !wm_ck_add(e->i, text[k] - '0', &e->i)) {
            wm_syntax_error(ps, WM_E_NUMBER_RANGE, span,
                            "an integer is at most 9223372036854775807");
            e->kind = WM_EX_ERROR;
            return e;
        }
    }
    return e;
}

struct wm_expr *
wm_make_float(struct wm_syntax *ps, struct wm_span span)
{
    struct wm_expr *e = wm_make_atom(ps, WM_EX_FLOAT, span);
    char text[64], *point, *end;

    if (!digits(ps, span, text)) {
        e->kind = WM_EX_ERROR;
        return e;
    }
    /* strtod() reads the point of the process's locale. */
    point = strchr(text, '.');
    if (point)
        *point = localeconv()->decimal_point[0];
    errno = 0;
    e->f = strtod(text, &end);
    if (*end) {
        wm_syntax_error(ps, WM_E_BAD_NUMBER, span, "this is not a number");
        e->kind = WM_EX_ERROR;
    } else if (errno == ERANGE && (e->f > 1 || e->f < -1)) {
        wm_syntax_error(ps, WM_E_NUMBER_RANGE, span, "a float is at most 1.7976931348623157e308");
        e->kind = WM_EX_ERROR;
    }
    return e;
}

/* ---- other expressions ---- */

struct wm_expr *
wm_make_string(struct wm_syntax *ps, struct wm_span span)
{
    struct wm_expr *e = wm_make_atom(ps, WM_EX_STRING, span);

    e->s = wm_string_value(ps, span);
    return e;
}

struct wm_expr *
wm_make_named(struct wm_syntax *ps, enum wm_expr_kind kind, struct wm_str name, struct wm_span span)
{
    struct wm_expr *e = new_expr(ps, kind, span);

    e->s = name;
    return e;
}

struct wm_expr *
wm_make_list(struct wm_syntax *ps, enum wm_expr_kind kind, struct wm_span span,
             const struct wm_nodes *args)
{
    struct wm_expr *e = new_expr(ps, kind, span);

    e->arg = (struct wm_expr **)args->item;
    e->narg = args->n;
    for (uint32_t k = 0; k < args->n; k++)
        if (e->arg[k]->depth >= e->depth)
            e->depth = e->arg[k]->depth + 1;
    if (e->depth > WM_DEPTH_MAX) {
        wm_syntax_too_deep(ps, span);
        *e = (struct wm_expr){.kind = WM_EX_ERROR, .span = span, .depth = 1};
    }
    return e;
}

struct wm_expr *
wm_make_op(struct wm_syntax *ps, enum wm_expr_kind kind, struct wm_span span, struct wm_expr *x,
           struct wm_expr *y, struct wm_expr *z)
{
    struct wm_nodes args = {0};

    wm_nodes_add(ps, &args, x);
    if (y)
        wm_nodes_add(ps, &args, y);
    if (z)
        wm_nodes_add(ps, &args, z);
    return wm_make_list(ps, kind, span, &args);
}

struct wm_expr *
wm_make_field(struct wm_syntax *ps, struct wm_expr *x, struct wm_span name, struct wm_span span)
{
    struct wm_expr *e = wm_make_op(ps, WM_EX_FIELD, span, x, NULL, NULL);

    if (e->kind == WM_EX_FIELD)
        e->s = wm_make_name(ps, name);
    return e;
}

struct wm_expr *
wm_make_call(struct wm_syntax *ps, struct wm_str name, const struct wm_nodes *args,
             struct wm_span span)
{
    struct wm_expr *e = wm_make_list(ps, WM_EX_CALL, span, args);

    if (e->kind != WM_EX_CALL)
        return e;
    e->s = name;
    if (wm_str_eq(name, WM_STR("exists")) || wm_str_eq(name, WM_STR("text")))
        for (uint32_t k = 0; k < e->narg; k++)
            if (e->arg[k]->kind == WM_EX_STRING)
                e->arg[k]->tmpl = wm_make_key(ps, e->arg[k]->span);
    return e;
}

struct wm_expr *
wm_make_member(struct wm_syntax *ps, struct wm_span path, struct wm_template *tmpl,
               struct wm_expr *e, struct wm_span span)
{
    struct wm_expr *m = wm_make_op(ps, WM_EX_MEMBER, span, e, NULL, NULL);
    struct wm_str text = wm_syntax_text(ps, path);
    char *plain = WM_NEW_N(ps->a, char, text.n + 1);
    size_t n = 0;

    if (m->kind != WM_EX_MEMBER)
        return m;
    /* Without the white space that may stand around its points. */
    for (size_t k = 0; k < text.n && !tmpl; k++)
        if (!strchr(" \t\r\n\f\v", text.p[k]))
            plain[n++] = text.p[k];
    m->s = (struct wm_str){plain, n};
    m->tmpl = tmpl;
    return m;
}

struct wm_expr *
wm_make_each(struct wm_syntax *ps, struct wm_str index, struct wm_expr *filter,
             struct wm_expr *body, struct wm_span span)
{
    struct wm_expr *e = wm_make_op(ps, WM_EX_EACH, span, body, filter, NULL);

    if (e->kind == WM_EX_EACH)
        e->s = index;
    return e;
}

struct wm_expr *
wm_make_parens(struct wm_expr *e, struct wm_span span)
{
    e->parens = true;
    (void)span; /* a caret under the expression itself says more */
    return e;
}

/* ---- map expressions ---- */

struct wm_mapx *
wm_make_mapx(struct wm_syntax *ps, enum wm_mapx_kind kind, struct wm_span span, struct wm_mapx *x,
             struct wm_mapx *y, const struct wm_nodes *bind)
{
    struct wm_mapx *m = WM_NEW(ps->a, struct wm_mapx);

    *m = (struct wm_mapx){
        .kind = kind, .span = span, .arg = {x, y},
                .depth = 1 + x->depth
    };
    if (y && y->depth >= m->depth)
        m->depth = y->depth + 1;
    if (bind)
        m->bind = wm_nodes_values(ps, bind, sizeof(*m->bind), &m->nbind);
    if (m->depth > WM_DEPTH_MAX) {
        wm_syntax_too_deep(ps, span);
        return x;
    }
    return m;
}

struct wm_mapx *
wm_make_mapx_name(struct wm_syntax *ps, struct wm_span span)
{
    struct wm_mapx *m = WM_NEW(ps->a, struct wm_mapx);
    struct wm_str text = wm_syntax_text(ps, span);

    *m = (struct wm_mapx){.kind = WM_MX_NAME, .span = span, .name = text, .depth = 1};
    if (text.n > 0 && text.p[0] == '"')
        m->name = wm_string_value(ps, span);
    return m;
}
