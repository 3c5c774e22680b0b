/* compiler/bind_report.c -- what does not fit between a map and a checkpoint, folded: missing and unexpected keys. */
#include <ctype.h>

#include "compiler/bind.h"

void
wm_report_missing(struct wm_bind *b)
{
    struct wm_diags *ds = &b->cc->diags;

    for (uint32_t i = 0; i < b->missing.n; i++) {
        const struct wm_missing *m = &b->missing.item[i];
        const struct wm_rterm *t = &m->rule->side[b->rs].term[m->term];
        struct wm_buf key, which;
        struct wm_diag *d;

        wm_buf_init(&key, b->cc->a);
        wm_key_print(&t->key, wm_rule_var_name, (void *)m->rule, &key);
        wm_buf_init(&which, b->cc->a);
        for (uint32_t k = 0; k < m->which.n; k++) {
            struct wm_str w = m->which.item[k], first = m->which.item[0];
            const char *sp = memchr(first.p, ' ', first.n);
            size_t name = sp ? (size_t)(sp - first.p) + 1 : 0;

            /* "layer 3, 7": the name once where there is only one */
            if (k > 0 && name > 0 && !memchr(first.p, ',', first.n)) {
                w.p += name;
                w.n -= name;
            }
            wm_buf_printf(&which, "%s%.*s", k ? (memchr(first.p, ',', first.n) ? "; " : ", ") : "",
                          WM_STR_ARG(w));
        }
        if (m->count > m->which.n)
            wm_buf_printf(&which, " and %u more", m->count - m->which.n);
        d = wm_report(ds, WM_E_MISSING, t->span, "%s: missing%s%s", key.p, which.n ? " for " : "",
                      which.n ? which.p : "");
        if (b->o->allow_missing)
            wm_diag_demote(ds, d);
    }
}

/* A key with its numbers replaced: the same for all layers. */
static struct wm_str
fold(struct wm_arena *a, struct wm_str key)
{
    struct wm_buf out;

    wm_buf_init(&out, a);
    for (size_t i = 0; i < key.n;) {
        if (isdigit((unsigned char)key.p[i]) && (i == 0 || key.p[i - 1] == '.')) {
            while (i < key.n && isdigit((unsigned char)key.p[i]))
                i++;
            wm_buf_putz(&out, "{}");
        } else {
            wm_buf_putc(&out, key.p[i++]);
        }
    }
    return wm_buf_str(&out);
}

/* The templates of the side that is read, folded alike, for "did you mean". */
static struct wm_str *
templates(struct wm_bind *b, uint32_t *n)
{
    struct wm_str *list;
    uint32_t total = 0;

    for (uint32_t i = 0; i < b->m->rule.n; i++)
        total += b->m->rule.item[i]->side[b->rs].nterm;
    list = WM_NEW_N(b->cc->a, struct wm_str, total);
    *n = 0;
    for (uint32_t i = 0; i < b->m->rule.n; i++)
        for (uint32_t t = 0; t < b->m->rule.item[i]->side[b->rs].nterm; t++) {
            struct wm_buf out;

            wm_buf_init(&out, b->cc->a);
            wm_key_print(&b->m->rule.item[i]->side[b->rs].term[t].key, wm_rule_var_name,
                         b->m->rule.item[i], &out);
            list[(*n)++] = wm_buf_str(&out);
        }
    return list;
}

/* Holes of any name as {}: as fold() makes them. */
static struct wm_str
plain_holes(struct wm_arena *a, struct wm_str t)
{
    struct wm_buf out;
    bool in = false;

    wm_buf_init(&out, a);
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] == '{')
            wm_buf_putz(&out, "{}");
        in = t.p[i] == '{' || (in && t.p[i] != '}');
        if (!in && t.p[i] != '}')
            wm_buf_putc(&out, t.p[i]);
    }
    return wm_buf_str(&out);
}

/* A rule whose template fits, and that still does not take the tensor. */
static void
note_fitting(struct wm_bind *b, struct wm_diag *d, struct wm_str key)
{
    int64_t value[WM_MAX_PARTS];
    struct wm_str cap[WM_MAX_PARTS];

    for (uint32_t i = 0; i < b->m->rule.n; i++) {
        struct wm_rule *r = b->m->rule.item[i];

        for (uint32_t t = 0; t < r->side[b->rs].nterm; t++) {
            const struct wm_key *k = &r->side[b->rs].term[t].key;
            struct wm_buf name;

            if (k->npart > WM_MAX_PARTS || !wm_key_match(k, key, value, cap))
                continue;
            wm_buf_init(&name, b->cc->a);
            wm_key_print(k, wm_rule_var_name, r, &name);
            wm_note(&b->cc->diags, d,
                    "\"%.*s\" fits, but does not take it: a narrower template has the name on this side or the other, an "
                    "index does not reach so far, or the rule's condition is false",
                    WM_STR_ARG(wm_buf_str(&name)));
            return;
        }
    }
}

static void
report_folded(struct wm_bind *b, uint32_t tensor, struct wm_str folded, uint32_t count,
              const struct wm_str *names, const struct wm_str *plain, uint32_t n)
{
    struct wm_diags *ds = &b->cc->diags;
    struct wm_str key = wm_place_show(b->cc->a, b->in->t.item[tensor].key), near = {0};
    struct wm_diag *d;

    if (b->torn[tensor]) {
        d = wm_report_at(ds, WM_E_UNEXPECTED, b->g->manifest->path,
                         "UNEXPECTED %s: the rule that names it lacks other tensors", key.p);
    } else {
        d = wm_report_at(ds, WM_E_UNEXPECTED, b->g->manifest->path, "UNEXPECTED %s: no rule of %.*s names it",
                         key.p, WM_STR_ARG(b->m->path));
        near = wm_suggest(b->cc->a, folded, plain, n);
        note_fitting(b, d, wm_place_key(b->in->t.item[tensor].key));
    }

    if (count > 1)
        wm_note(ds, d, "%u tensors of the form %.*s", count, WM_STR_ARG(folded));
    for (uint32_t i = 0; i < n && near.n; i++)
        if (wm_str_eq(plain[i], near)) {
            wm_note(ds, d, "the nearest template is \"%.*s\"", WM_STR_ARG(names[i]));
            break;
        }
    if (b->o->allow_unmapped)
        wm_diag_demote(ds, d);
}

void
wm_report_unexpected(struct wm_bind *b)
{
    struct wm_arena *a = b->cc->a;
    struct wm_map seen;
    WM_VEC(uint32_t) first = {0};
    WM_VEC(uint32_t) count = {0};
    struct wm_str *names, *plain;
    uint32_t n;

    wm_map_init(&seen, a, 16);
    for (uint32_t i = 0; i < b->in->t.n; i++) {
        struct wm_str f;
        uint32_t k;

        if (b->used[i] || wm_map_get(&b->alias[b->rs], b->in->t.item[i].key) != WM_NONE)
            continue;
        f = fold(a, wm_place_key(b->in->t.item[i].key));
        k = wm_map_put(&seen, f, first.n);
        if (k == first.n) {
            *WM_PUSH(a, &first) = i;
            *WM_PUSH(a, &count) = 0;
        }
        count.item[k]++;
    }
    if (first.n == 0)
        return;
    names = templates(b, &n);
    plain = WM_NEW_N(a, struct wm_str, n);
    for (uint32_t i = 0; i < n; i++)
        plain[i] = plain_holes(a, names[i]);
    for (uint32_t k = 0; k < first.n; k++) {
        struct wm_str key = wm_place_key(b->in->t.item[first.item[k]].key);

        report_folded(b, first.item[k], fold(a, key), count.item[k], names, plain, n);
    }
}
