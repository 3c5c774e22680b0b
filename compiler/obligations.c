/* compiler/obligations.c -- what a run of a printed map has to rely on, as comments at its top.
 *
 * Enters: a checked map.  Leaves: its tree with a comment for each kind of thing that a run from left to right compares,
 * drops, makes anew or loses, and for each rule that it does not carry. */
#include "compiler/ast_print.h"
#include "compiler/invert.h"
#include "compiler/op.h"

#define MARK "# Relies on: "

struct lines {
    struct wm_cc *cc;
    WM_VEC(struct wm_str) line;
};

static void
add(struct lines *x, struct wm_str text)
{
    struct wm_str line = wm_arena_printf(x->cc->a, MARK "%.*s", WM_STR_ARG(text));

    for (uint32_t i = 0; i < x->line.n; i++)
        if (wm_str_eq(x->line.item[i], line))
            return;
    *WM_PUSH(x->cc->a, &x->line) = line;
}

static struct wm_str
key_text(struct wm_cc *cc, const struct wm_rule *r, const struct wm_key *k)
{
    struct wm_buf b;

    wm_buf_init(&b, cc->a);
    wm_key_print(k, wm_rule_var_name, (void *)r, &b);
    return wm_buf_str(&b);
}

static struct wm_str
rule_text(struct wm_cc *cc, const struct wm_rule *r, int side)
{
    return r->side[side].nterm ? key_text(cc, r, &r->side[side].term[0].key) : WM_STR("fill");
}

static void
add_axes(struct lines *x, const struct wm_rule *r)
{
    for (uint32_t i = 1; i < r->axis.n; i++) {
        const struct wm_axis *ax = &r->axis.item[i];
        bool left = ax->in_pattern[0] || ax->in_key[0];

        if (ax->broadcast && left)
            add(x, wm_arena_printf(x->cc->a, "\"%.*s\": all copies along %.*s are equal (--trust-replicas does not look)",
                                   WM_STR_ARG(rule_text(x->cc, r, 0)), WM_STR_ARG(ax->name)));
        if (ax->pad && left)
            add(x, wm_arena_printf(x->cc->a, "\"%.*s\": the padding %.*s is dropped (--strict-pad checks it)",
                                   WM_STR_ARG(rule_text(x->cc, r, 0)), WM_STR_ARG(ax->name)));
    }
}

/* Operations as they work from left to right. */
static void
add_ops(struct lines *x, const struct wm_rule *r)
{
    for (uint32_t i = 0; i < r->ast->nop; i++) {
        const struct wm_opcall *op = &r->ast->op[i];
        const char *what = NULL;

        if (op->lossy)
            what = "may lose digits, as `lossy` says";
        else if (wm_str_starts(op->name, WM_STR("unrepeat")))
            what = "compares the copies";
        else if (wm_str_eq(op->name, WM_STR("uncast")) || wm_str_eq(op->name, WM_STR("cast")))
            what = "must keep every value, or the run fails";
        if (what)
            add(x, wm_arena_printf(x->cc->a, "\"%.*s\": %.*s %s", WM_STR_ARG(rule_text(x->cc, r, 0)),
                                   WM_STR_ARG(op->name), what));
    }
}

static void
add_rule(struct lines *x, const struct wm_rule *r)
{
    if (r->arrow == WM_AR_BACKWARD) {
        add(x, wm_arena_printf(x->cc->a, "\"%.*s\" is not carried: its rule is one-way",
                               WM_STR_ARG(rule_text(x->cc, r, 0))));
        return;
    }
    add_axes(x, r);
    add_ops(x, r);
    if (r->side[1].fill)
        add(x, wm_arena_printf(x->cc->a, "\"%.*s\" holds its fill value and is dropped",
                               WM_STR_ARG(rule_text(x->cc, r, 0))));
}

static struct wm_str
template_text(struct wm_cc *cc, const struct wm_template *t)
{
    struct wm_buf b;

    wm_buf_init(&b, cc->a);
    wm_print_template(t, &b);
    return wm_buf_str(&b);
}

static void
add_aliases(struct lines *x, const struct wm_module *m)
{
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < m->side[s].item.n; i++) {
            const struct wm_side_item *it = m->side[s].item.item[i];

            if (it->kind != WM_SI_ALIAS)
                continue;
            add(x, wm_arena_printf(x->cc->a,
                                   s ? "%.*s equals %.*s%s and is left out"
                                     : "%.*s is made of %.*s%s where it is absent",
                                   WM_STR_ARG(template_text(x->cc, it->tmpl[0])), WM_STR_ARG(template_text(x->cc, it->tmpl[1])),
                                   it->when ? ", under the condition of its alias," : ""));
        }
}

void
wm_add_obligations(struct wm_cc *cc, const struct wm_module *m, struct wm_file_ast *f)
{
    struct lines x = {.cc = cc};
    struct wm_comments *c = WM_NEW(cc->a, struct wm_comments);
    WM_VEC(struct wm_str) lead = {0};

    if (f->comments)
        *c = *f->comments;
    for (uint32_t i = 0; i < m->rule.n; i++)
        add_rule(&x, m->rule.item[i]);
    add_aliases(&x, m);
    for (uint32_t i = 0; i < c->nlead; i++)
        if (!wm_str_starts(c->lead[i], WM_STR(MARK)))
            *WM_PUSH(cc->a, &lead) = c->lead[i];
    while (lead.n > 0 && lead.item[lead.n - 1].n <= 1) /* the line between */
        lead.n--;
    if (x.line.n > 0 && lead.n > 0)
        *WM_PUSH(cc->a, &lead) = WM_STR("#");
    for (uint32_t i = 0; i < x.line.n; i++)
        *WM_PUSH(cc->a, &lead) = x.line.item[i];
    c->lead = lead.item;
    c->nlead = lead.n;
    f->comments = c;
}
