/* compiler/check_pattern.c -- the proof that a rule is a bijection, and that it can be solved from each side.
 *
 * Each side expands over its sums into products: sets of axes.  The rule is well formed when within a product every
 * axis occurs once, the sets of one side differ pairwise, and both sides have the same family of sets; broadcast and
 * picked axes and the products of a pad do not count.  That pairing is the bijection.  Sizes play no part in it. */
#include <stdlib.h>

#include "compiler/check.h"
#include "compiler/pattern.h"

/* ---- products ---- */

static int
by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void
print_set(const struct wm_rule *r, const struct wm_product *p, struct wm_buf *out)
{
    wm_buf_putc(out, '{');
    for (uint32_t i = 0; i < p->naxis; i++) {
        wm_buf_putz(out, i ? " " : "");
        wm_buf_puts(out, r->axis.item[p->axis[i]].name);
    }
    wm_buf_putc(out, '}');
}

static bool
make_product(struct wm_module *m, struct wm_rule *r, uint32_t term, const struct wm_rterm *t,
             const struct wm_alt *alt, struct wm_product *p)
{
    p->term = term;
    p->partner = p->pad = WM_NONE;
    p->axis = WM_NEW_N(m->cc->a, uint32_t, alt->naxis + t->nkey_axis);
    for (uint32_t k = 0; k < alt->naxis; k++)
        p->axis[p->naxis++] = alt->axis[k];
    for (uint32_t k = 0; k < t->nkey_axis; k++)
        p->axis[p->naxis++] = t->key_axis[k];
    qsort(p->axis, p->naxis, sizeof(*p->axis), by_number);
    for (uint32_t k = 0; k + 1 < p->naxis; k++)
        if (p->axis[k] == p->axis[k + 1]) {
            wm_report(&m->cc->diags, WM_E_AXIS_TWICE, t->span,
                      "axis `%.*s` occurs twice in one product of this term",
                      WM_STR_ARG(r->axis.item[p->axis[k]].name));
            return false;
        }
    for (uint32_t k = 0; k < p->naxis; k++)
        if (r->axis.item[p->axis[k]].pad)
            p->pad = p->axis[k];
    return true;
}

/* A common index may not be an axis as well: its tensors are different instances. */
static bool
common_is_no_axis(struct wm_module *m, const struct wm_rule *r)
{
    for (uint32_t i = 1; i < r->axis.n; i++) {
        const struct wm_axis *ax = &r->axis.item[i];

        if (ax->var != WM_NONE && r->var.item[ax->var].common) {
            wm_report(&m->cc->diags, WM_E_AXIS_TWICE, ax->span,
                      "`%.*s` stands in every key of the rule already, so it can't be an axis, too",
                      WM_STR_ARG(ax->name));
            return false;
        }
    }
    return true;
}

static bool
make_products(struct wm_module *m, struct wm_rule *r, int s)
{
    struct wm_arena *a = m->cc->a;
    WM_VEC(struct wm_product) list = {0};

    for (uint32_t t = 0; t < r->side[s].nterm; t++) {
        struct wm_rterm *term = &r->side[s].term[t];
        struct wm_alts alts;

        if (!wm_term_expand(a, term, NULL, &alts)) {
            wm_report(&m->cc->diags, WM_E_PATTERN_LIMIT, term->span,
                      "the pattern has more than %d products", WM_MAX_ALTS);
            return false;
        }
        term->first_product = list.n;
        term->nproduct = alts.alt.n;
        for (uint32_t i = 0; i < alts.alt.n; i++) {
            struct wm_product *p = WM_PUSH(a, &list);

            *p = (struct wm_product){.alt = i};
            if (!make_product(m, r, t, term, &alts.alt.item[i], p))
                return false;
            for (uint32_t k = 0; k < alts.alt.item[i].naxis; k++)
                r->axis.item[alts.alt.item[i].axis[k]].in_pattern[s] = true;
        }
    }
    r->side[s].product = list.item;
    r->side[s].nproduct = list.n;
    return true;
}

/* ---- pairing ---- */

static bool
counts(const struct wm_rule *r, uint32_t axis)
{
    return !r->axis.item[axis].broadcast && !r->axis.item[axis].pick;
}

static bool
same_set(const struct wm_rule *r, const struct wm_product *x, const struct wm_product *y)
{
    uint32_t i = 0, j = 0;

    for (;;) {
        while (i < x->naxis && !counts(r, x->axis[i]))
            i++;
        while (j < y->naxis && !counts(r, y->axis[j]))
            j++;
        if (i == x->naxis || j == y->naxis)
            return i == x->naxis && j == y->naxis;
        if (x->axis[i++] != y->axis[j++])
            return false;
    }
}

static bool
pairwise_different(struct wm_module *m, const struct wm_rule *r, int s)
{
    struct wm_diags *ds = &m->cc->diags;

    for (uint32_t i = 0; i < r->side[s].nproduct; i++)
        for (uint32_t j = 0; j < i; j++) {
            const struct wm_product *x = &r->side[s].product[j], *y = &r->side[s].product[i];
            struct wm_buf set;
            struct wm_diag *d;

            if (x->pad != WM_NONE || y->pad != WM_NONE || !same_set(r, x, y))
                continue;
            wm_buf_init(&set, m->cc->a);
            print_set(r, y, &set);
            d = wm_report(ds, WM_E_PAIRING, r->side[s].term[y->term].span,
                          "two products have the same axes %s: which is which?", set.p);
            if (x->term != y->term)
                wm_label(ds, d, r->side[s].term[x->term].span, "the other one");
            wm_note(ds, d, "give the parts different axes, or name them by words in the key: "
                           "\"{p in gate|up}\" with the axis `p`");
            return false;
        }
    return true;
}

/* An axis that is missing on the other side altogether gets a message of its own. */
static bool
report_one_sided(struct wm_module *m, const struct wm_rule *r, int s, const struct wm_product *p)
{
    struct wm_diags *ds = &m->cc->diags;

    for (uint32_t i = 0; i < p->naxis; i++) {
        const struct wm_axis *ax = &r->axis.item[p->axis[i]];
        const char *side = s ? "right" : "left";
        struct wm_diag *d;

        if (!counts(r, p->axis[i]) || ax->in_pattern[1 - s] || ax->in_key[1 - s])
            continue;
        if (ax->in_key[s]) {
            d = wm_report(ds, WM_E_KEY_ONE_SIDE, ax->span, "index `%.*s` stands in keys of the %s side only",
                          WM_STR_ARG(ax->name), side);
            wm_note(ds, d, "make it an axis of the other side (`[%.*s ...]`), or say `broadcast %.*s` "
                           "or `pick %.*s = 0`", WM_STR_ARG(ax->name), WM_STR_ARG(ax->name),
                    WM_STR_ARG(ax->name));
        } else {
            d = wm_report(ds, WM_E_AXIS_ONE_SIDE, ax->span, "axis `%.*s` stands on the %s side only",
                          WM_STR_ARG(ax->name), side);
            wm_note(ds, d, "name it on the other side, too, or say `broadcast %.*s` or `pad %.*s = 0`",
                    WM_STR_ARG(ax->name), WM_STR_ARG(ax->name));
        }
        return true;
    }
    return false;
}

static void
report_unpaired(struct wm_module *m, const struct wm_rule *r, int s, const struct wm_product *p)
{
    struct wm_buf set;
    struct wm_diag *d;

    wm_buf_init(&set, m->cc->a);
    print_set(r, p, &set);
    d = wm_report(&m->cc->diags, WM_E_PAIRING, r->side[s].term[p->term].span,
                  "no product of the %s side has the axes %s of this one", s ? "left" : "right", set.p);
    for (uint32_t i = 0; i < r->side[1 - s].nproduct && i < 4; i++) {
        wm_buf_init(&set, m->cc->a);
        print_set(r, &r->side[1 - s].product[i], &set);
        wm_note(&m->cc->diags, d, "the %s side has %s", s ? "left" : "right", set.p);
    }
}

/* The first product without a partner; one with an axis that the other side lacks says most. */
static bool
report_pairing(struct wm_module *m, const struct wm_rule *r)
{
    const struct wm_product *first = NULL;
    int side = 0;

    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < r->side[s].nproduct; i++) {
            const struct wm_product *p = &r->side[s].product[i];
            bool dropped = r->arrow == (s == 0 ? WM_AR_FORWARD : WM_AR_BACKWARD);

            if (p->partner != WM_NONE || p->pad != WM_NONE || dropped)
                continue;
            if (report_one_sided(m, r, s, p))
                return false;
            if (!first) {
                first = p;
                side = s;
            }
        }
    if (first)
        report_unpaired(m, r, side, first);
    return !first;
}

static bool
pair(struct wm_module *m, struct wm_rule *r)
{
    for (uint32_t i = 0; i < r->side[0].nproduct; i++)
        for (uint32_t j = 0; j < r->side[1].nproduct; j++) {
            struct wm_product *x = &r->side[0].product[i], *y = &r->side[1].product[j];

            if (x->pad == WM_NONE && y->pad == WM_NONE && y->partner == WM_NONE && same_set(r, x, y)) {
                x->partner = j;
                y->partner = i;
                break;
            }
        }
    return report_pairing(m, r);
}

/* pick of a pattern's axis keeps a slice: the rest is lost, so the rule must be one-way, away from that side. */
static bool
check_pick(struct wm_module *m, const struct wm_rule *r)
{
    for (uint32_t i = 1; i < r->axis.n; i++) {
        const struct wm_axis *ax = &r->axis.item[i];

        for (int s = 0; s < 2; s++)
            if (ax->pick && ax->in_pattern[s] &&
                r->arrow != (s == 0 ? WM_AR_FORWARD : WM_AR_BACKWARD)) {
                wm_report(&m->cc->diags, WM_E_PICK, ax->span,
                          "`pick %.*s` keeps one slice of the %s side's tensor, which only a one-way rule can",
                          WM_STR_ARG(ax->name), s ? "right" : "left");
                return false;
            }
    }
    return true;
}

/* ---- solvability ---- */

/* Sizes known before any shape is seen, when side s is read. */
static void
known_sizes(struct wm_module *m, const struct wm_rule *r, int s, bool *known)
{
    (void)m;
    for (uint32_t i = 1; i < r->axis.n; i++) {
        const struct wm_axis *ax = &r->axis.item[i];

        known[i] = ax->size != NULL ||
                   (ax->var != WM_NONE && r->var.item[ax->var].kind == WM_VAR_WORDS) ||
                   (ax->index != WM_NONE && (!r->mod->index.item[ax->index].in_keys || ax->in_key[s]));
    }
}

static void
solve_side(const struct wm_rule *r, int s, bool *known)
{
    bool again = true;

    while (again) {
        again = false;
        for (uint32_t t = 0; t < r->side[s].nterm; t++)
            for (uint32_t d = 0; d < r->side[s].term[t].ndim; d++) {
                const struct wm_rpat *p = &r->side[s].term[t].dim[d];
                uint32_t axis = 0;

                if (p->kind == WM_PT_REST) {
                    known[WM_AX_REST] = true;
                } else if (wm_dim_unknown(p, known, &axis) == 1) {
                    known[axis] = true;
                    again = true;
                }
            }
    }
}

/* Can every size be found when side s is read, for each direction (bit 1 << s) that is asked for? */
static bool
check_solvable(struct wm_module *m, const struct wm_rule *r, unsigned sides)
{
    static const char *const way[] = {"", "forwards, from the left side", "back, from the right side",
                                      "forwards or back"};
    bool *known[2], ok = true;

    for (int s = 0; s < 2; s++) {
        known[s] = WM_NEW_N(m->cc->a, bool, r->axis.n);
        known_sizes(m, r, s, known[s]);
        solve_side(r, s, known[s]);
    }
    for (uint32_t i = 0; i < r->axis.n; i++) {
        const struct wm_axis *ax = &r->axis.item[i];
        bool used = ax->in_pattern[0] || ax->in_pattern[1] || ax->in_key[0] || ax->in_key[1];
        unsigned open = 0;
        struct wm_diag *d;

        for (unsigned s = 0; s < 2; s++)
            if ((sides & 1u << s) && !known[s][i] && (i != WM_AX_REST || r->side[s].nterm))
                open |= 1u << s;
        if (!used || !open)
            continue;
        d = wm_report(&m->cc->diags, WM_E_UNSOLVABLE, i ? ax->span : r->span,
                      "the size of `%.*s` can't be found going %s", WM_STR_ARG(ax->name), way[open]);
        if (i)
            wm_note(&m->cc->diags, d, "give it: where %.*s = ...", WM_STR_ARG(ax->name));
        ok = false;
    }
    return ok;
}

static bool
check_fill(struct wm_module *m, struct wm_rule *r)
{
    for (int s = 0; s < 2; s++) {
        if (!r->side[s].fill)
            continue;
        if (r->side[1 - s].nterm != 1 || r->side[1 - s].fill) {
            wm_report(&m->cc->diags, WM_E_FILL, r->span, "a fill has one tensor on the other side");
            return false;
        }
        if (r->arrow == (s == 0 ? WM_AR_BACKWARD : WM_AR_FORWARD)) {
            wm_report(&m->cc->diags, WM_E_FILL, r->side[s].fill->span, "a fill can't be written to");
            return false;
        }
        if (wm_dtype_by_name(r->side[s].fill->dtype) == WM_DT_N) {
            wm_report(&m->cc->diags, WM_E_FILL, r->side[s].fill->dtype_span, "unknown dtype `%.*s`",
                      WM_STR_ARG(r->side[s].fill->dtype));
            return false;
        }
        return make_products(m, r, 1 - s) && check_solvable(m, r, 1u << s);
    }
    return true;
}

void
wm_check_pattern(struct wm_module *m, struct wm_rule *r)
{
    if (!common_is_no_axis(m, r))
        return;
    if (r->side[0].fill || r->side[1].fill) {
        check_fill(m, r);
        return;
    }
    if (!r->has_pattern && (r->side[0].nterm != 1 || r->side[1].nterm != 1)) {
        struct wm_diag *d = wm_report(&m->cc->diags, WM_E_TERMS, r->span,
                                      "a rule without patterns has one term on each side, this has %u and %u",
                                      r->side[0].nterm, r->side[1].nterm);

        wm_note(&m->cc->diags, d, "give each tensor a pattern, or use operations such as concat(0)");
        return;
    }
    for (int s = 0; s < 2; s++)
        if (!make_products(m, r, s) || (r->arrow == WM_AR_BOTH && !pairwise_different(m, r, s)))
            return;
    if (!check_pick(m, r) || !pair(m, r))
        return;
    check_solvable(m, r, (r->arrow != WM_AR_BACKWARD ? 1u : 0) | (r->arrow != WM_AR_FORWARD ? 2u : 0));
}
