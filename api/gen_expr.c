/* api/gen_expr.c -- expressions in family tables: sizes, counts, conditions.
 *
 * Texts come from the tables, values from the user: what can fail is arithmetic (overflow, a size
 * that does not divide) and a setting that is not a number where one is needed. */
#include <ctype.h>
#include <inttypes.h>

#include "api/gen_family.h"
#include "base/checked.h"

enum { MAX_DEPTH = 64 };

struct reader {
    struct wm_gen_env *e;
    const char *p, *text;
    unsigned depth;
    bool skip; /* inside of what is not evaluated: errors do not count */
};

/* A value that may be null, until an operator wants a number. */
struct result {
    bool is_null;
    int64_t i;
    struct wm_str name; /* of the setting that is null */
};

static bool expression(struct reader *r, unsigned level, struct result *out);

uint32_t
wm_gen_find(const struct wm_gen_family *f, enum wm_gen_kind kind, struct wm_str name)
{
    for (uint32_t k = 0; f->row[k].kind != WM_GR_END; k++)
        if (f->row[k].kind == kind && wm_str_eq(wm_str_c(f->row[k].name), name))
            return k;
    return WM_NONE;
}

static bool
fail(struct reader *r, const char *what)
{
    if (r->skip)
        return true;
    wm_fail(r->e->err, WM_EUSAGE, NULL, "family %s: %s in \"%s\"", r->e->family->name, what,
            r->text);
    return false;
}

static bool
is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool
accept(struct reader *r, const char *token)
{
    while (*r->p == ' ')
        r->p++;
    if (strncmp(r->p, token, strlen(token)) != 0)
        return false;
    r->p += strlen(token);
    return true;
}

static bool
lookup(struct reader *r, struct wm_str name, struct result *out)
{
    struct wm_gen_env *e = r->e;
    uint32_t k;

    *out = (struct result){.name = name};
    if ((k = wm_gen_find(e->family, WM_GR_INDEX, name)) != WM_NONE) {
        out->i = e->index[k];
        return true;
    }
    if ((k = wm_gen_find(e->family, WM_GR_LET, name)) != WM_NONE) {
        bool ok;

        if (e->depth == MAX_DEPTH)
            return fail(r, "a value that depends on itself");
        e->depth++;
        ok = wm_gen_eval(e, e->family->row[k].value, &out->i);
        e->depth--;
        return ok;
    }
    if ((k = wm_gen_find(e->family, WM_GR_SET, name)) == WM_NONE)
        return fail(r, "an unknown name");
    out->is_null = e->value[k].kind == WM_GV_NULL;
    out->i = e->value[k].i;
    if (e->value[k].kind != WM_GV_OTHER || r->skip)
        return true;
    wm_fail(e->err, WM_EUSAGE, NULL, "%.*s must be a number, not %.*s", WM_STR_ARG(name),
            WM_STR_ARG(e->value[k].json));
    return false;
}

static bool
atom(struct reader *r, struct result *out)
{
    *out = (struct result){0};
    if (accept(r, "("))
        return expression(r, 0, out) && (accept(r, ")") || fail(r, "a missing )"));
    if (accept(r, "!")) {
        if (!atom(r, out))
            return false;
        out->i = !out->i;
        return !out->is_null || fail(r, "null");
    }
    if (isdigit((unsigned char)*r->p)) {
        for (; isdigit((unsigned char)*r->p); r->p++)
            if (!wm_ck_mul(out->i, 10, &out->i) || !wm_ck_add(out->i, *r->p - '0', &out->i))
                return fail(r, "an overflow");
        return true;
    }
    if (is_name(*r->p)) {
        const char *from = r->p;

        while (is_name(*r->p))
            r->p++;
        return lookup(r, (struct wm_str){from, (size_t)(r->p - from)}, out);
    }
    return fail(r, "an expression is missing");
}

static bool
divide(struct reader *r, int64_t a, int64_t b, int64_t *out)
{
    if (r->skip)
        return true;
    if (b <= 0 || a % b != 0) {
        wm_fail(r->e->err, WM_EUSAGE, NULL,
                "%" PRId64 " is not a multiple of %" PRId64 ", as \"%s\" needs", a, b, r->text);
        return false;
    }
    *out = a / b;
    return true;
}

static const struct op {
    const char *text;
    unsigned level; /* higher binds tighter */
    char id;
} ops[] = {{"||", 1, '|'}, {"&&", 2, '&'}, {"==", 3, '='}, {"!=", 3, 'n'}, {"<=", 3, 'l'},
           {">=", 3, 'g'}, {"<", 3, '<'},  {">", 3, '>'},  {"??", 4, '?'}, {"+", 5, '+'},
           {"-", 5, '-'},  {"*", 6, '*'},  {"/", 6, '/'},  {"%", 6, '%'}};

static const struct op *
next_op(struct reader *r, unsigned level)
{
    for (size_t k = 0; k < WM_COUNTOF(ops); k++)
        if (ops[k].level >= level && accept(r, ops[k].text))
            return &ops[k];
    return NULL;
}

static bool
apply(struct reader *r, char id, int64_t a, int64_t b, int64_t *out)
{
    bool ok = true;

    switch (id) {
    case '|':
        *out = a || b;
        break;
    case '&':
        *out = a && b;
        break;
    case '=':
        *out = a == b;
        break;
    case 'n':
        *out = a != b;
        break;
    case 'l':
        *out = a <= b;
        break;
    case 'g':
        *out = a >= b;
        break;
    case '<':
        *out = a < b;
        break;
    case '>':
        *out = a > b;
        break;
    case '+':
        ok = wm_ck_add(a, b, out);
        break;
    case '-':
        ok = wm_ck_sub(a, b, out);
        break;
    case '*':
        ok = wm_ck_mul(a, b, out);
        break;
    case '/':
        return divide(r, a, b, out);
    default:
        if (b <= 0)
            return fail(r, "a division by zero");
        *out = a % b;
    }
    return ok || fail(r, "an overflow");
}

/* The right side of && || ?? is not evaluated where the left decides. */
static bool
decided(const struct op *op, const struct result *left)
{
    return (op->id == '|' && left->i) || (op->id == '&' && !left->i) ||
           (op->id == '?' && !left->is_null);
}

static bool
binary(struct reader *r, unsigned level, struct result *out)
{
    const struct op *op;

    if (!atom(r, out))
        return false;
    while ((op = next_op(r, level)) != NULL) {
        struct result right;
        bool skipped = r->skip, stop = decided(op, out), ok;

        r->skip = skipped || stop;
        ok = binary(r, op->level + 1, &right);
        r->skip = skipped;
        if (!ok)
            return false;
        if (op->id == '?') {
            if (out->is_null)
                *out = right;
        } else if (stop) {
            out->i = op->id == '|';
        } else if (out->is_null || right.is_null) {
            if (!fail(r, "null"))
                return false;
        } else if (!apply(r, op->id, out->i, right.i, &out->i)) {
            return false;
        }
    }
    return true;
}

static bool
expression(struct reader *r, unsigned level, struct result *out)
{
    struct result arm[2];
    bool skipped = r->skip, yes;

    if (++r->depth > MAX_DEPTH)
        return fail(r, "too deep an expression");
    if (!binary(r, level, out))
        return false;
    if (accept(r, "?")) {
        yes = out->i != 0;
        r->skip = skipped || !yes;
        if (!expression(r, 0, &arm[0]) || !accept(r, ":"))
            return fail(r, "a missing :");
        r->skip = skipped || yes;
        if (!expression(r, 0, &arm[1]))
            return false;
        r->skip = skipped;
        *out = arm[yes ? 0 : 1];
    }
    r->depth--;
    return true;
}

bool
wm_gen_eval_next(struct wm_gen_env *e, const char *text, const char **rest, int64_t *out)
{
    struct reader r = {.e = e, .p = text, .text = text};
    struct result v;

    if (!expression(&r, 0, &v))
        return false;
    if (v.is_null)
        return fail(&r, "null");
    *out = v.i;
    *rest = accept(&r, ",") ? r.p : NULL;
    while (*r.p == ' ')
        r.p++;
    return *rest || *r.p == '\0' || fail(&r, "something unexpected");
}

bool
wm_gen_eval(struct wm_gen_env *e, const char *text, int64_t *out)
{
    const char *rest;

    return wm_gen_eval_next(e, text, &rest, out);
}
