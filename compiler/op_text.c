/* compiler/op_text.c -- the inverse of a call, as text of a map.
 *
 * Enters: a call as it is written.  Leaves: the call that undoes it, made of the same expressions
 * and a few new nodes, so that names and numbers stay as the author wrote them. */
#include "compiler/op.h"

#include <math.h>

struct wm_expr *
wm_text_int(struct wm_arena *a, const struct wm_expr *like, int64_t i)
{
    struct wm_expr *e = WM_NEW(a, struct wm_expr);

    e->kind = WM_EX_INT;
    e->span = like->span;
    e->i = i < 0 ? -i : i;
    e->text = wm_arena_printf(a, "%lld", (long long)e->i);
    return i < 0 ? wm_text_op(a, WM_EX_NEG, e, NULL) : e;
}

struct wm_expr *
wm_text_float(struct wm_arena *a, const struct wm_expr *like, double f)
{
    struct wm_expr *e = WM_NEW(a, struct wm_expr);

    e->kind = WM_EX_FLOAT;
    e->span = like->span;
    e->f = f;
    e->text = wm_arena_printf(a, f == floor(f) ? "%.1f" : "%.17g", f);
    return e;
}

struct wm_expr **
wm_text_args(struct wm_arena *a, uint32_t n, struct wm_expr *x, struct wm_expr *y,
             struct wm_expr *z)
{
    struct wm_expr **arg = WM_NEW_N(a, struct wm_expr *, n), *all[] = {x, y, z};

    for (uint32_t i = 0; i < n; i++)
        arg[i] = all[i];
    return arg;
}

struct wm_expr *
wm_text_op(struct wm_arena *a, enum wm_expr_kind kind, struct wm_expr *l, struct wm_expr *r)
{
    struct wm_expr *e = WM_NEW(a, struct wm_expr);

    e->kind = kind;
    e->span = l->span;
    e->narg = r ? 2 : 1;
    e->arg = WM_NEW_N(a, struct wm_expr *, 2);
    e->arg[0] = l;
    e->arg[1] = r;
    return e;
}

bool
wm_text_literal(const struct wm_expr *e, int64_t *i)
{
    bool minus = e->kind == WM_EX_NEG;

    if (minus)
        e = e->arg[0];
    if (e->kind != WM_EX_INT)
        return false;
    *i = minus ? -e->i : e->i;
    return true;
}

uint32_t
wm_text_list(const struct wm_expr *e)
{
    return e->kind == WM_EX_LIST ? e->narg : WM_NONE;
}

bool
wm_text_fail(struct wm_cc *cc, const struct wm_opcall *call, const char *why)
{
    wm_report(&cc->diags, WM_E_OP_ONE_WAY, call->span, "%.*s: %s", WM_STR_ARG(call->name), why);
    return false;
}

bool
wm_opcall_invert(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out)
{
    const struct wm_op *op = wm_op_find(call->name);
    const char *why;

    if (!op) {
        wm_report(&cc->diags, WM_E_OP_UNKNOWN, call->name_span, "there is no operation `%.*s`",
                  WM_STR_ARG(call->name));
        return false;
    }
    why = op->one_way ? op->one_way(call) : NULL;
    if (why)
        return wm_text_fail(cc, call, why);
    *out = *call;
    if (op->invert)
        return op->invert(cc, call, out);
    out->name = wm_str_c(op->inverse);
    return true;
}
