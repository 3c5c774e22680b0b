/* compiler/bind_inst.c -- instances of a rule: the values of its variables, its conditions, its keys as text. */
#include "compiler/bind.h"
#include "compiler/check.h"

void
wm_inst_init(struct wm_bind *b, const struct wm_rule *r, struct wm_inst *x)
{
    struct wm_arena *a = b->cc->a;

    *x = (struct wm_inst){.rule = r, .me = wm_menv_of(&b->be, r->mod)};
    x->value = WM_NEW_N(a, int64_t, r->var.n);
    x->text = WM_NEW_N(a, struct wm_str, r->var.n);
    x->known = WM_NEW_N(a, bool, r->var.n);
    x->scope = (struct wm_scope){.rule = r, .value = x->value, .text = x->text, .known = x->known,
                                 .bind = r->where.item, .nbind = r->where.n};
}

bool
wm_inst_compose(struct wm_bind *b, struct wm_inst *x)
{
    for (uint32_t v = 0; v < x->rule->var.n; v++) {
        const struct wm_var *var = &x->rule->var.item[v];
        int64_t value = 0, count;
        bool known = true;

        if (var->kind != WM_VAR_COMPOSITE)
            continue;
        for (uint32_t c = 0; c < var->ncomponent && known; c++) {
            uint32_t cv = var->component[c];
            const struct wm_index_values *iv = wm_index_get(&b->be, x->me, x->rule->var.item[cv].index);

            known = x->known[cv];
            value = value * iv->n + wm_index_ordinal(iv, x->value[cv]);
        }
        if (!known)
            continue; /* may have a value of its own, from a file's name */
        x->known[v] = true;
        x->value[v] = value;
        /* a bounded composite leaves the tuples above its bound out */
        if (!wm_index_count(&b->be, x->me, var->index, &count) || value >= count)
            return false;
    }
    return true;
}

bool
wm_inst_holds(struct wm_bind *b, const struct wm_inst *x, bool *ok)
{
    for (uint32_t i = 0; i < x->rule->cond.n; i++) {
        const struct wm_cond *c = &x->rule->cond.item[i];
        bool yes;

        if (!wm_eval_bool(&b->be, x->me, &x->scope, c->expr, &yes)) {
            *ok = false;
            return false;
        }
        if (yes == c->negate)
            return false;
    }
    return true;
}

/* Decimal digits without the cost of printf: a map may have 100 000 keys. */
static void
put_number(struct wm_buf *out, int64_t v, uint32_t width)
{
    char d[24];
    size_t at = sizeof(d);
    uint64_t u = (uint64_t)v;

    do {
        d[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    while (sizeof(d) - at < width && at > 0)
        d[--at] = '0';
    wm_buf_puts(out, (struct wm_str){d + at, sizeof(d) - at});
}

static bool
put_part(struct wm_bind *b, const struct wm_inst *x, const struct wm_kpart *p)
{
    struct wm_value v;

    switch (p->kind) {
    case WM_KP_TEXT:
        wm_buf_puts(&b->key, p->text);
        return true;
    case WM_KP_WORDS:
        wm_buf_puts(&b->key, p->word[x->value[p->var]]);
        return true;
    case WM_KP_CAPTURE:
        wm_buf_puts(&b->key, x->text[p->var]);
        return true;
    case WM_KP_INDEX:
        break;
    }
    if (!p->shift) {
        put_number(&b->key, x->value[p->var], p->width);
        return true;
    }
    v = wm_eval(&b->be, x->me, &x->scope, p->shift);
    if (v.kind == WM_V_INT && v.u.i >= 0) {
        put_number(&b->key, v.u.i, p->width);
        return true;
    }
    if (v.kind != WM_V_ERROR)
        wm_report(&b->cc->diags, WM_E_INDEX_VALUES, p->span, "the shifted index is %s%lld in a key",
                  v.kind == WM_V_INT ? "" : "not an integer, ", (long long)v.u.i);
    return false;
}

bool
wm_inst_key(struct wm_bind *b, const struct wm_inst *x, const struct wm_rterm *t, struct wm_str *out)
{
    b->key.n = 0;
    for (uint32_t i = 0; i < t->key.npart; i++)
        if (!put_part(b, x, &t->key.part[i]))
            return false;
    for (uint32_t i = 0; i < t->nplace; i++) {
        wm_buf_putc(&b->key, i ? ',' : '\0');
        wm_buf_puts(&b->key, x->rule->var.item[t->place[i]].name);
        wm_buf_putc(&b->key, '=');
        put_number(&b->key, x->value[t->place[i]], 0);
    }
    *out = wm_buf_str(&b->key);
    return true;
}

struct wm_str
wm_inst_show(struct wm_bind *b, const struct wm_inst *x, const struct wm_key *k)
{
    struct wm_buf out;

    wm_buf_init(&out, b->cc->a);
    for (uint32_t i = 0; i < k->npart; i++) {
        const struct wm_kpart *p = &k->part[i];
        const struct wm_var *var;

        if (p->kind == WM_KP_TEXT)
            continue;
        var = &x->rule->var.item[p->var];
        wm_buf_printf(&out, "%s%.*s ", out.n ? ", " : "", WM_STR_ARG(var->name));
        if (p->kind == WM_KP_WORDS)
            wm_buf_puts(&out, p->word[x->value[p->var]]);
        else if (p->kind == WM_KP_CAPTURE)
            wm_buf_puts(&out, x->text[p->var]);
        else
            wm_buf_printf(&out, "%lld", (long long)x->value[p->var]);
    }
    return wm_buf_str(&out);
}

/* ---- from text to values ---- */

void
wm_inst_forget(struct wm_inst *x)
{
    for (uint32_t v = 0; v < x->rule->var.n; v++)
        x->known[v] = false;
}

bool
wm_inst_set(struct wm_bind *b, struct wm_inst *x, uint32_t var, int64_t value)
{
    const struct wm_var *v = &x->rule->var.item[var];
    int64_t part[WM_MAX_RANK];

    if (v->kind != WM_VAR_COMPOSITE) {
        /* what stands in a key is a value of such an index, by its definition */
        bool in_keys = x->me->mod->index.item[v->index].in_keys;

        if (in_keys ? value < 0 : wm_index_ordinal(wm_index_get(&b->be, x->me, v->index), value) < 0)
            return false;
    } else {
        if (!wm_index_split(&b->be, x->me, v->index, value, part))
            return false;
        for (uint32_t c = 0; c < v->ncomponent; c++) {
            x->value[v->component[c]] = part[c];
            x->known[v->component[c]] = true;
        }
    }
    x->value[var] = value;
    x->known[var] = true;
    return true;
}

/* The value of an index that prints as `printed`; -1: none. */
static int64_t
unshift(struct wm_bind *b, struct wm_inst *x, const struct wm_kpart *p, int64_t printed)
{
    int64_t n;

    if (!p->shift)
        return printed;
    if (!wm_index_count(&b->be, x->me, x->rule->var.item[p->var].index, &n))
        return -1;
    for (int64_t i = 0; i < n; i++) {
        const struct wm_var *v = &x->rule->var.item[p->var];
        int64_t value = v->kind == WM_VAR_COMPOSITE ? i : wm_index_value(wm_index_get(&b->be, x->me, v->index), i);
        struct wm_value s;

        if (!wm_inst_set(b, x, p->var, value))
            return -1;
        s = wm_eval(&b->be, x->me, &x->scope, p->shift);
        if (s.kind == WM_V_INT && s.u.i == printed)
            return value;
    }
    return -1;
}

bool
wm_inst_read(struct wm_bind *b, struct wm_inst *x, const struct wm_key *k, struct wm_str text, bool *range)
{
    int64_t value[WM_MAX_PARTS];
    struct wm_str cap[WM_MAX_PARTS];

    if (k->npart > WM_MAX_PARTS || !wm_key_match(k, text, value, cap))
        return false;
    for (uint32_t i = 0; i < k->npart; i++) {
        const struct wm_kpart *p = &k->part[i];
        bool known = p->kind != WM_KP_TEXT && x->known[p->var];
        int64_t before = known ? x->value[p->var] : 0;

        if (p->kind == WM_KP_TEXT)
            continue;
        if (p->kind == WM_KP_CAPTURE) {
            if (known && !wm_str_eq(x->text[p->var], cap[i]))
                return false;
            x->text[p->var] = cap[i];
        } else if (p->kind == WM_KP_WORDS) {
            x->value[p->var] = value[i];
        } else if (!wm_inst_set(b, x, p->var, unshift(b, x, p, value[i]))) {
            *range = true;
            return false;
        }
        if (known && p->kind != WM_KP_CAPTURE && x->value[p->var] != before)
            return false;
        x->known[p->var] = true;
    }
    return true;
}
