/* compiler/check_key.c -- resolves key templates: which index, words or capture each placeholder is.
 *
 * Enters: the templates of a rule's terms with the prefixes around them.  Leaves: wm_key with the rule's variables.
 * Word lists and captures are declared by any template of the rule and may be used in all of them. */
#include "compiler/check.h"
#include "runtime/manifest.h"

uint32_t
wm_rule_find_var(const struct wm_rule *r, struct wm_str name)
{
    for (uint32_t v = 0; v < r->var.n; v++)
        if (wm_str_eq(r->var.item[v].name, name))
            return v;
    return WM_NONE;
}

struct wm_str
wm_rule_var_name(void *rule, uint32_t var)
{
    return ((const struct wm_rule *)rule)->var.item[var].name;
}

struct wm_str
wm_var_word(const struct wm_rule *r, uint32_t var, int64_t ordinal)
{
    return r->var.item[var].word[ordinal];
}

/* Arrays of one tuple's values have room for WM_MAX_RANK. */
static uint32_t
add_var(struct wm_module *m, struct wm_rule *r, const struct wm_var *v)
{
    if (r->var.n == WM_MAX_RANK)
        wm_report(&m->cc->diags, WM_E_BAD_TEMPLATE, v->span, "more than %d placeholders", WM_MAX_RANK);
    *WM_PUSH(m->cc->a, &r->var) = *v;
    return r->var.n - 1;
}

/* The variable of an index, with those of its components where it is a composite. */
uint32_t
wm_rule_index_var(struct wm_module *m, struct wm_rule *r, uint32_t index, struct wm_span span)
{
    const struct wm_index_def *def = &m->index.item[index];
    uint32_t v = wm_rule_find_var(r, def->name);
    struct wm_var var = {.kind = WM_VAR_INDEX, .name = def->name, .span = span, .index = index};

    if (v != WM_NONE)
        return v;
    if (def->stmt->ncomponent > 0) {
        var.kind = WM_VAR_COMPOSITE;
        var.component = WM_NEW_N(m->cc->a, uint32_t, def->ncomponent);
        for (uint32_t c = 0; c < def->ncomponent; c++)
            var.component[var.ncomponent++] = wm_rule_index_var(m, r, def->component[c], span);
    }
    return add_var(m, r, &var);
}

static void
declare_words(struct wm_module *m, struct wm_rule *r, int side, const struct wm_hole *h)
{
    struct wm_diags *ds = &m->cc->diags;
    uint32_t v = wm_rule_find_var(r, h->name);
    struct wm_diag *d;

    if (v == WM_NONE) {
        if (wm_module_find(m, h->name)) {
            wm_report(ds, WM_E_DUPLICATE_NAME, h->span, "`%.*s` is the name of something else already",
                      WM_STR_ARG(h->name));
            return;
        }
        v = add_var(m, r, &(struct wm_var){.kind = WM_VAR_WORDS, .name = h->name, .span = h->span,
                                           .word = h->word, .nword = h->nword});
        r->var.item[v].side_word[side] = h->word;
        return;
    }
    if (r->var.item[v].kind == WM_VAR_WORDS && r->var.item[v].nword == h->nword) {
        if (!r->var.item[v].side_word[side])
            r->var.item[v].side_word[side] = h->word;
        return;
    }
    d = wm_report(ds, WM_E_KEY_WORDS, h->span, "`%.*s` has %u words here, but %u at its first place",
                  WM_STR_ARG(h->name), h->nword, r->var.item[v].nword);
    wm_label(ds, d, r->var.item[v].span, "first here");
}

/* First pass: the words and captures that a template declares. */
void
wm_declare_holes(struct wm_module *m, struct wm_rule *r, int side, const struct wm_template *t)
{
    for (uint32_t i = 0; t && i < t->npart; i++) {
        const struct wm_hole *h = &t->part[i];

        if (h->kind == WM_HO_WORDS)
            declare_words(m, r, side, h);
        else if (h->kind == WM_HO_CAPTURE && wm_rule_find_var(r, h->name) == WM_NONE)
            add_var(m, r, &(struct wm_var){.kind = WM_VAR_CAPTURE, .name = h->name, .span = h->span});
    }
}

/* The one index that a shifted expression such as `layer + first` names. */
static const struct wm_expr *
index_of_expr(struct wm_module *m, const struct wm_rule *r, const struct wm_expr *e)
{
    const struct wm_name *nm;
    const struct wm_expr *found = NULL;

    if (e->kind == WM_EX_NAME) {
        nm = wm_module_find(m, e->s);
        return (nm && nm->kind == WM_NM_INDEX) || wm_rule_find_var(r, e->s) != WM_NONE ? e : NULL;
    }
    for (uint32_t i = 0; i < e->narg && !found; i++)
        found = index_of_expr(m, r, e->arg[i]);
    return found;
}

static void
unknown_hole(struct wm_module *m, const struct wm_rule *r, const struct wm_hole *h)
{
    struct wm_diags *ds = &m->cc->diags;
    struct wm_str *names = WM_NEW_N(m->cc->a, struct wm_str, m->index.n + r->var.n), near;
    uint32_t n = 0;
    struct wm_diag *d = wm_report(ds, WM_E_KEY_HOLE, h->span, "`%.*s` is not an index",
                                  WM_STR_ARG(h->name));

    for (uint32_t i = 0; i < m->index.n; i++)
        names[n++] = m->index.item[i].name;
    for (uint32_t i = 0; i < r->var.n; i++)
        names[n++] = r->var.item[i].name;
    near = wm_suggest(m->cc->a, h->name, names, n);
    if (near.n)
        wm_note(ds, d, "did you mean `{%.*s}`?", WM_STR_ARG(near));
    else
        wm_note(ds, d, "declare it (`index %.*s < ...`), or write `{%.*s*}` for any text",
                WM_STR_ARG(h->name), WM_STR_ARG(h->name));
}

static bool
resolve_index_hole(struct wm_module *m, struct wm_rule *r, int side, const struct wm_hole *h,
                   struct wm_kpart *out)
{
    const struct wm_expr *e = index_of_expr(m, r, h->expr);
    struct wm_name *nm;
    uint32_t v;

    out->kind = WM_KP_INDEX;
    out->width = h->width;
    if (!e) {
        unknown_hole(m, r, h);
        return false;
    }
    v = wm_rule_find_var(r, e->s);
    nm = (struct wm_name *)wm_module_find(m, e->s);
    if (v == WM_NONE || r->var.item[v].kind == WM_VAR_INDEX || r->var.item[v].kind == WM_VAR_COMPOSITE) {
        nm->used = true;
        out->var = wm_rule_index_var(m, r, nm->id, h->span);
    } else {
        out->var = v;
        if (r->var.item[v].kind == WM_VAR_WORDS) {
            out->kind = WM_KP_WORDS;
            /* the list of the same side, where it has one */
            out->word = r->var.item[v].side_word[side] ? r->var.item[v].side_word[side] : r->var.item[v].word;
            out->nword = r->var.item[v].nword;
        } else {
            out->kind = WM_KP_CAPTURE; /* {rest} where {rest*} is declared elsewhere */
        }
    }
    if (h->expr->kind == WM_EX_NAME)
        return true;
    if (out->kind != WM_KP_INDEX) {
        wm_report(&m->cc->diags, WM_E_KEY_HOLE, h->span, "only an index can be shifted");
        return false;
    }
    out->shift = h->expr;
    return wm_check_shift(m, h->expr, e);
}

/* A shift is made of + - * and values that do not depend on an index. */
bool
wm_check_shift(struct wm_module *m, const struct wm_expr *e, const struct wm_expr *index)
{
    if (e == index)
        return true;
    if (e->kind == WM_EX_ADD || e->kind == WM_EX_SUB || e->kind == WM_EX_MUL) {
        bool l = wm_expr_has(e->arg[0], index), r = wm_expr_has(e->arg[1], index);

        if (l && !r && e->kind <= WM_EX_SUB)
            return wm_check_shift(m, e->arg[0], index) && wm_check_expr(m, e->arg[1], NULL);
        if (r && !l && e->kind != WM_EX_SUB)
            return wm_check_shift(m, e->arg[1], index) && wm_check_expr(m, e->arg[0], NULL);
    }
    wm_report(&m->cc->diags, WM_E_KEY_HOLE, e->span,
              "an index is shifted by a sum or product without indices");
    return false;
}

bool
wm_expr_has(const struct wm_expr *e, const struct wm_expr *node)
{
    if (e == node)
        return true;
    for (uint32_t i = 0; i < e->narg; i++)
        if (wm_expr_has(e->arg[i], node))
            return true;
    return false;
}

static void
append_part(struct wm_arena *a, struct wm_key *k, uint32_t *cap, const struct wm_kpart *p)
{
    if (p->kind == WM_KP_TEXT && p->text.n == 0)
        return;
    if (p->kind == WM_KP_TEXT && k->npart > 0 && k->part[k->npart - 1].kind == WM_KP_TEXT) {
        struct wm_kpart *last = &k->part[k->npart - 1];

        last->text = wm_arena_printf(a, "%.*s%.*s", WM_STR_ARG(last->text), WM_STR_ARG(p->text));
        return;
    }
    if (k->npart == *cap) {
        k->part = wm_arena_grow(a, k->part, *cap, *cap * 2 + 4, sizeof(*k->part));
        *cap = *cap * 2 + 4;
    }
    k->part[k->npart++] = *p;
    k->has_capture |= p->kind == WM_KP_CAPTURE;
}

/* Second pass: one template after another (prefixes, then the key) into one key. */
bool
wm_resolve_templates(struct wm_module *m, struct wm_rule *r, int side, const struct wm_template *const *t,
                     uint32_t n, struct wm_key *out)
{
    uint32_t cap = 0;
    bool ok = true;

    *out = (struct wm_key){.span = t[n - 1]->span};
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < t[i]->npart; k++) {
            const struct wm_hole *h = &t[i]->part[k];
            struct wm_kpart p = {.span = h->span, .text = h->text, .var = WM_NONE};

            switch (h->kind) {
            case WM_HO_TEXT:
                p.kind = WM_KP_TEXT;
                break;
            case WM_HO_INDEX:
                ok &= resolve_index_hole(m, r, side, h, &p);
                break;
            case WM_HO_WORDS:
                p.kind = WM_KP_WORDS;
                p.var = wm_rule_find_var(r, h->name);
                p.word = h->word;
                p.nword = h->nword;
                break;
            case WM_HO_CAPTURE:
                p.kind = WM_KP_CAPTURE;
                p.var = wm_rule_find_var(r, h->name);
                break;
            case WM_HO_ERROR:
                ok = false;
                break;
            }
            if (ok)
                append_part(m->cc->a, out, &cap, &p);
        }
    if (out->npart > WM_MAX_PARTS) {
        wm_report(&m->cc->diags, WM_E_BAD_TEMPLATE, out->span, "a key of more than %d parts", WM_MAX_PARTS);
        return false;
    }
    return ok;
}

void
wm_check_ambiguous(struct wm_module *m, const struct wm_key *k)
{
    struct wm_str proof;

    if (!wm_key_ambiguous(m->cc->a, k, &proof))
        return;
    if (proof.n == 0) /* repeated placeholders, or a template too large to decide */
        wm_report(&m->cc->diags, WM_E_KEY_AMBIGUOUS, k->span, "the key can't be shown to be read in one way only");
    else
        wm_report(&m->cc->diags, WM_E_KEY_AMBIGUOUS, k->span, "`%.*s` can be read in two ways", WM_STR_ARG(proof));
}

/* ---- all keys of a side against each other ---- */

struct claims {
    struct wm_module *m;
    int side;
    const struct wm_rule **rule; /* by key number */
    const struct wm_key **key;
};

/* Do two rules stand in different arms of one `if`? */
static bool
exclude_each_other(const struct wm_rule *x, const struct wm_rule *y)
{
    for (uint32_t i = 0; i < x->cond.n; i++)
        for (uint32_t j = 0; j < y->cond.n; j++)
            if (x->cond.item[i].branch && x->cond.item[i].branch == y->cond.item[j].branch &&
                x->cond.item[i].arm != y->cond.item[j].arm)
                return true;
    return false;
}

/* A clash that no range and no condition can take away: both always apply, and equal placeholders stand for the same
 * index.  The others are decided at bind, where the keys are known. */
static bool
certain(const struct wm_rule *x, const struct wm_key *p, const struct wm_rule *y, const struct wm_key *q)
{
    if (x->cond.n > 0 || y->cond.n > 0)
        return false;
    if (!p->has_capture && !q->has_capture && p->npart != q->npart)
        return false;
    for (uint32_t i = 0; i < p->npart && i < q->npart; i++) {
        const struct wm_kpart *a = &p->part[i], *b = &q->part[i];

        if (a->kind != b->kind || a->shift || b->shift)
            return false;
        if (a->kind == WM_KP_INDEX && x->var.item[a->var].index != y->var.item[b->var].index)
            return false;
    }
    return true;
}

/* Would both rules write keys of that side in the same direction, whatever the input is?  Where tensors may be absent,
 * or a side leaves keys out, the input decides. */
static bool
both_write(const struct wm_module *m, int side, const struct wm_rule *x, const struct wm_rule *y)
{
    enum wm_arrow away = side ? WM_AR_BACKWARD : WM_AR_FORWARD;

    for (uint32_t i = 0; i < m->side[side].item.n; i++)
        if (m->side[side].item.item[i]->kind == WM_SI_IGNORE || m->side[side].item.item[i]->kind == WM_SI_ALIAS)
            return false;
    return x->arrow != away && y->arrow != away && !x->optional && !y->optional;
}

static bool
clash(void *user, uint32_t i, uint32_t j, struct wm_str proof)
{
    struct claims *c = user;
    const struct wm_rule *x = c->rule[i], *y = c->rule[j];
    const struct wm_key *p = c->key[i], *q = c->key[j];
    struct wm_diags *ds = &c->m->cc->diags;
    struct wm_diag *d;

    if (exclude_each_other(x, y) || p->has_capture != q->has_capture)
        return true;
    if (x != y && (x->arrow != WM_AR_BOTH || y->arrow != WM_AR_BOTH)) {
        /* it may be read by several */
        if (p->has_capture || !both_write(c->m, c->side, x, y) || !certain(x, p, y, q))
            return true; /* decided at bind */
        d = wm_report(ds, WM_E_WRITTEN_TWICE, y->span, "`%.*s` would be written twice",
                      WM_STR_ARG(proof.n ? proof : WM_STR("a key")));
        wm_label(ds, d, x->span, "also written here");
        return ds->nerror < 200;
    }
    if (p->has_capture) {
        bool in = wm_key_inside(c->m->cc->a, p, q, NULL), out = wm_key_inside(c->m->cc->a, q, p, NULL);

        if (in != out || x == y)
            return true; /* the inner one is stronger */
        if (x->cond.n > 0 || y->cond.n > 0)
            return true;
    } else if (!certain(x, p, y, q)) {
        return true;
    }
    d = wm_report(ds, WM_E_KEY_CLASH, q->span, "`%.*s` is claimed by two %s",
                  WM_STR_ARG(proof.n ? proof : WM_STR("a key")), x == y ? "terms of a rule" : "rules");
    wm_label(ds, d, p->span, "also claimed here");
    if (p->has_capture)
        wm_note(ds, d, "of two templates with `*` one must lie strictly inside the other");
    return ds->nerror < 200;
}

void
wm_check_keys(struct wm_module *m)
{
    for (int s = 0; s < 2; s++) {
        struct claims c = {.m = m, .side = s};
        uint32_t n = 0;

        for (uint32_t i = 0; i < m->rule.n; i++)
            n += m->rule.item[i]->side[s].nterm;
        c.rule = WM_NEW_N(m->cc->a, const struct wm_rule *, n);
        c.key = WM_NEW_N(m->cc->a, const struct wm_key *, n);
        n = 0;
        for (uint32_t i = 0; i < m->rule.n; i++)
            for (uint32_t t = 0; t < m->rule.item[i]->side[s].nterm; t++) {
                const struct wm_rterm *term = &m->rule.item[i]->side[s].term[t];

                if (term->nplace > 0)
                    continue; /* the same key in two files is two keys: decided at bind */
                c.rule[n] = m->rule.item[i];
                c.key[n++] = &term->key;
            }
        wm_keys_overlaps(m->cc->a, c.key, n, clash, &c);
    }
}
