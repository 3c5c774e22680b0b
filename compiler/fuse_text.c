/* compiler/fuse_text.c -- the rules of `x >> y` as the rules of one map.
 *
 * Enters: two checked maps without imports; the target of the first is the source of the second.  Leaves: a tree with
 * the source of the first, the target of the second and rules between them; or the two rules that stand in its way.
 * It never guesses: what is not plainly the same is refused, and the composition runs as it is. */
#include "compiler/fuse.h"

#include "compiler/ast_print.h"
#include "compiler/invert.h"

enum { MAX_HALVES = 4096 };

bool
wm_fuse_fail(struct wm_fuse *x, const struct wm_half *a, const struct wm_half *b, const char *why)
{
    const struct wm_half *h[2] = {a, b};
    struct wm_str text[2] = {WM_STR(""), WM_STR("")};

    for (int i = 0; i < 2; i++)
        if (h[i]) {
            struct wm_buf buf;

            wm_buf_init(&buf, x->cc->a);
            wm_print_rule(h[i]->r->ast, &buf);
            text[i] = wm_buf_str(&buf);
            for (size_t k = 0; k < text[i].n; k++)
                if (text[i].p[k] == '\n')
                    ((char *)text[i].p)[k] = ' ';
        }
    if (x->why.n == 0)
        x->why = wm_arena_printf(x->cc->a, b ? "rules `%.*s` and `%.*s`: %s" : "rule `%.*s`%.*s: %s",
                                 WM_STR_ARG(text[0]), WM_STR_ARG(text[1]), why);
    return false;
}

static bool
fail_side(struct wm_fuse *x, const char *why)
{
    if (x->why.n == 0)
        x->why = wm_str_c(why);
    return false;
}

/* ---- halves ---- */

/* Nothing happens to the tensor but that it gets another key. */
static bool
is_whole(const struct wm_rule *r)
{
    bool common = true;

    for (uint32_t v = 0; v < r->var.n; v++)
        common &= r->var.item[v].common;
    return common && !r->has_pattern && r->ast->nop == 0 && !r->side[0].fill && !r->side[1].fill &&
           r->side[0].nterm == 1 && r->side[1].nterm == 1;
}

static struct wm_half *
new_half(struct wm_fuse *x, int which, const struct wm_half *from, const struct wm_rule *r)
{
    struct wm_half *h = WM_NEW(x->cc->a, struct wm_half);

    *h = (struct wm_half){.r = r, .part = x->part[which], .mid = 1 - which, .whole = is_whole(r)};
    h->word = WM_NEW_N(x->cc->a, uint32_t, r->var.n);
    for (uint32_t v = 0; v < r->var.n; v++)
        h->word[v] = from ? from->word[v] : WM_NONE;
    return h;
}

/* A rule becomes one rule for each word of a variable. */
static bool
split_half(struct wm_fuse *x, struct wm_half *h, uint32_t var)
{
    int which = 1 - h->mid;
    uint32_t n = x->half[which].n;

    if (n + h->r->var.item[var].nword > MAX_HALVES)
        return fail_side(x, "it would have too many rules");
    for (uint32_t i = 0; i < n; i++)
        if (x->half[which].item[i] == h) {
            x->half[which].item[i] = x->half[which].item[n - 1];
            x->half[which].n = n - 1;
            break;
        }
    for (uint32_t w = 0; w < h->r->var.item[var].nword; w++) {
        struct wm_half *one = new_half(x, which, h, h->r);

        one->word[var] = w;
        wm_half_keys(x->cc, one);
        *WM_PUSH(x->cc->a, &x->half[which]) = one;
    }
    return true;
}

/* Conditions speak of the words that are listed first; where a side has others, each word gets its rule. */
static bool
speaks_of(const struct wm_rule *r, struct wm_str name)
{
    for (uint32_t i = 0; i < r->cond.n; i++)
        if (wm_expr_mentions(r->cond.item[i].expr, WM_EX_NAME, name))
            return true;
    for (uint32_t i = 0; i < r->optional_if.n; i++)
        if (wm_expr_mentions(r->optional_if.item[i], WM_EX_NAME, name))
            return true;
    for (uint32_t i = 0; i < r->where.n; i++)
        if (wm_expr_mentions(r->where.item[i].expr, WM_EX_NAME, name))
            return true;
    return false;
}

static bool
other_words(const struct wm_var *v)
{
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; v->side_word[s] && i < v->nword; i++)
            if (!wm_str_eq(v->side_word[s][i], v->word[i]))
                return true;
    return false;
}

/* Does the variable stand in a key of the middle? */
static bool
stands_in_middle(const struct wm_half *h, uint32_t var)
{
    for (uint32_t t = 0; t < h->r->side[h->mid].nterm; t++)
        for (uint32_t i = 0; i < h->key[h->mid][t].at.n; i++)
            if (h->key[h->mid][t].at.item[i].kind != WM_KP_TEXT && h->key[h->mid][t].at.item[i].var == var)
                return true;
    return false;
}

static bool
add_halves(struct wm_fuse *x, int which, const struct wm_module *m)
{
    for (uint32_t i = 0; i < m->rule.n; i++) {
        struct wm_half *h = new_half(x, which, NULL, m->rule.item[i]);
        const struct wm_rule *r = h->r;

        wm_half_keys(x->cc, h);
        *WM_PUSH(x->cc->a, &x->half[which]) = h;
        for (uint32_t t = 0; t < r->side[h->mid].nterm; t++)
            if (r->side[h->mid].term[t].nplace > 0)
                return wm_fuse_fail(x, h, NULL, "the files of the middle have an index");
        for (uint32_t v = 0; v < r->var.n; v++)
            if (r->var.item[v].kind == WM_VAR_COMPOSITE && stands_in_middle(h, v))
                return wm_fuse_fail(x, h, NULL, "a key in the middle has a composite index");
    }
    for (uint32_t i = 0; i < x->half[which].n; i++) {
        struct wm_half *h = x->half[which].item[i];

        for (uint32_t v = 0; v < h->r->var.n; v++)
            if (h->r->var.item[v].kind == WM_VAR_WORDS && h->word[v] == WM_NONE && h->r->var.item[v].common &&
                other_words(&h->r->var.item[v]) && speaks_of(h->r, h->r->var.item[v].name)) {
                if (!split_half(x, h, v))
                    return false;
                i--; /* another one stands here now */
                break;
            }
    }
    return true;
}

/* ---- who meets whom ---- */

static bool
is_generic(const struct wm_half *h)
{
    return h->r->captures;
}

static bool
exclude_each_other(const struct wm_rule *a, const struct wm_rule *b)
{
    for (uint32_t i = 0; i < a->cond.n; i++)
        for (uint32_t k = 0; k < b->cond.n; k++)
            if (a->cond.item[i].branch && a->cond.item[i].branch == b->cond.item[k].branch &&
                a->cond.item[i].arm != b->cond.item[k].arm)
                return true;
    return false;
}

/* One pair of terms.  Returns false after a failure; *again where a rule was split. */
static bool
try_pair(struct wm_fuse *x, struct wm_half *a, uint32_t ta, struct wm_half *b, uint32_t tb, struct wm_links *out,
         bool *again)
{
    struct wm_link l = {.h = {a, b}, .t = {ta, tb}};
    struct wm_half *h[2] = {a, b};
    const struct wm_keylist *k[2] = {&a->key[1][ta], &b->key[0][tb]};
    enum wm_meet m[2];
    struct wm_half *split = NULL;
    uint32_t var = 0;
    struct wm_str proof;

    for (int g = 0; g < 2; g++) {
        m[g] = wm_keys_meet(x->cc, h[1 - g], k[1 - g], h[g], k[g], &l.guest[g], &split, &var);
        if (m[g] == WM_MEET_NO)
            return true;
        if (m[g] == WM_MEET_SPLIT) {
            *again = true;
            return split_half(x, split, var);
        }
        l.fits[g] = m[g] == WM_MEET_YES;
    }
    if (l.fits[0] || l.fits[1])
        *WM_PUSH(x->cc->a, &out->at) = l;
    else if (wm_key_overlap(x->cc->a, &a->r->side[1].term[ta].key, &b->r->side[0].term[tb].key, &proof))
        return wm_fuse_fail(x, a, b, "their keys in the middle can't be matched piece by piece");
    return true;
}

static bool
find_links(struct wm_fuse *x, struct wm_links *out, bool *again)
{
    out->at.n = 0;
    for (uint32_t i = 0; i < x->half[0].n; i++)
        for (uint32_t k = 0; k < x->half[1].n; k++) {
            struct wm_half *a = x->half[0].item[i], *b = x->half[1].item[k];

            for (uint32_t ta = 0; ta < a->r->side[1].nterm; ta++)
                for (uint32_t tb = 0; tb < b->r->side[0].nterm; tb++)
                    if (!try_pair(x, a, ta, b, tb, out, again) || *again)
                        return x->why.n == 0;
        }
    return true;
}

/* A weaker rule (with a capture) has what no stronger one claims. */
static bool
drop_claimed(struct wm_fuse *x, struct wm_links *l)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < l->at.n; i++) {
        struct wm_link *p = &l->at.item[i];
        bool claimed = false;

        for (int g = 0; g < 2; g++)
            for (uint32_t k = 0; is_generic(p->h[g]) && !is_generic(p->h[1 - g]) && k < l->at.n; k++) {
                const struct wm_link *q = &l->at.item[k];

                if (q->h[1 - g] != p->h[1 - g] || q->t[1 - g] != p->t[1 - g] || is_generic(q->h[g]) ||
                    exclude_each_other(q->h[g]->r, p->h[g]->r))
                    continue;
                if (q->h[g]->r->cond.n > 0)
                    return wm_fuse_fail(x, p->h[g], q->h[g], "it hangs on a condition which of them has a tensor");
                claimed = true;
            }
        if (!claimed)
            l->at.item[n++] = *p;
    }
    l->at.n = n;
    return true;
}

uint32_t
wm_fuse_partners(const struct wm_links *l, int which, const struct wm_half *h, uint32_t t)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < l->at.n; i++)
        n += l->at.item[i].h[which] == h && l->at.item[i].t[which] == t;
    return n;
}

/* ---- fusing ---- */

/* Indices that stand in the same place must be the same, or the only ones there. */
bool
wm_fuse_check_indices(struct wm_fuse *x, const struct wm_links *l, const struct wm_link *p, int g)
{
    const struct wm_half *guest = p->h[g], *host = p->h[1 - g];
    bool only = wm_fuse_partners(l, 0, p->h[0], p->t[0]) == 1 && wm_fuse_partners(l, 1, p->h[1], p->t[1]) == 1;

    for (uint32_t v = 0; v < guest->r->var.n; v++) {
        const struct wm_keylist *k = &p->guest[g].var[v];
        const struct wm_index_def *a, *b;
        uint32_t i, j;

        if (guest->r->var.item[v].kind == WM_VAR_CAPTURE && speaks_of(guest->r, guest->r->var.item[v].name))
            return wm_fuse_fail(x, guest, host, "a condition speaks of a capture");
        if (guest->r->var.item[v].kind != WM_VAR_INDEX || k->at.n != 1 || k->at.item[0].kind != WM_KP_INDEX)
            continue;
        i = guest->r->var.item[v].index;
        j = host->r->var.item[k->at.item[0].var].index;
        a = &guest->part->m->index.item[i];
        b = &host->part->m->index.item[j];
        if (!wm_flat_same_index(guest->part, i, host->part, j) &&
            (!only || a->stmt->where || b->stmt->where || a->in_keys != b->in_keys))
            return wm_fuse_fail(x, guest, host, "their indices differ");
    }
    return true;
}

static bool
fuse_pipelines(struct wm_fuse *x, const struct wm_links *l, struct wm_half *a, struct wm_half *b)
{
    const struct wm_guest *guest = NULL;

    if (!a->r->pipeline || !b->r->pipeline || a->r->has_pattern || b->r->has_pattern ||
        a->r->side[1].nterm != b->r->side[0].nterm)
        return wm_fuse_fail(x, a, b, "both change the tensor between them");
    for (uint32_t i = 0; i < l->at.n; i++) {
        const struct wm_link *p = &l->at.item[i];

        if (p->h[0] != a && p->h[1] != b)
            continue;
        if (p->h[0] != a || p->h[1] != b || p->t[0] != p->t[1] || !p->fits[0] || a->r->var.n != b->r->var.n)
            return wm_fuse_fail(x, a, b, "their lists of tensors differ");
        for (uint32_t v = 0; v < a->r->var.n; v++)
            if (a->r->var.item[v].kind == WM_VAR_WORDS || !a->r->var.item[v].common)
                return wm_fuse_fail(x, a, b, "their lists of tensors differ");
        if (!wm_fuse_check_indices(x, l, p, 0))
            return false;
        guest = &p->guest[0];
    }
    return wm_fuse_pipes(x, a, b, guest);
}

/* A rule that does something to the tensors, with a renaming one for each of its terms. */
static bool
fuse_host(struct wm_fuse *x, const struct wm_links *l, int which, struct wm_half *h)
{
    uint32_t n = h->r->side[h->mid].nterm, found = 0;
    struct wm_guest *guest = WM_NEW_N(x->cc->a, struct wm_guest, n);

    for (uint32_t i = 0; i < l->at.n; i++) {
        const struct wm_link *p = &l->at.item[i];
        struct wm_half *o = p->h[1 - which];

        if (p->h[which] != h)
            continue;
        if (!o->whole && (h->r->has_pattern || o->r->has_pattern))
            return wm_fuse_patterns(x, l, h);
        if (!o->whole)
            return which == 1 || fuse_pipelines(x, l, h, o); /* seen from the first map */
        if (!p->fits[1 - which])
            return wm_fuse_fail(x, p->h[0], p->h[1], "their words or captures can't be matched");
        if (!wm_fuse_check_indices(x, l, p, 1 - which))
            return false;
        if (n > 1 && wm_fuse_partners(l, which, h, p->t[which]) > 1)
            return wm_fuse_fail(x, p->h[0], p->h[1], "a tensor in the middle has several rules");
        guest[p->t[which]] = p->guest[1 - which];
        found++;
        if (n == 1 && !wm_fuse_emit(x, h, guest, 1))
            return false;
    }
    if (n > 1 && found == n)
        return wm_fuse_emit(x, h, guest, n);
    return true;
}

static bool
fuse_whole(struct wm_fuse *x, const struct wm_links *l, struct wm_link *p)
{
    int g = p->fits[0] && !(is_generic(p->h[1]) && p->fits[1]) ? 0 : p->fits[1] ? 1 : 0;

    return wm_fuse_check_indices(x, l, p, g) && wm_fuse_emit(x, p->h[1 - g], &p->guest[g], 1);
}

/* A rule without partner may only be one whose tensors may be absent. */
static bool
check_alone(struct wm_fuse *x, const struct wm_links *l, int which, const struct wm_half *h, bool generic)
{
    uint32_t n = h->r->side[h->mid].nterm, missing = 0;

    for (uint32_t t = 0; t < n; t++)
        missing += wm_fuse_partners(l, which, h, t) == 0;
    if (missing == 0)
        return true;
    if (missing == n && h->r->optional && h->r->optional_if.n == 0 && !generic)
        return true;
    if (missing == n && h->r->optional && h->r->optional_if.n == 1 && !generic) {
        const struct wm_expr *e = h->r->optional_if.item[0];

        /* optional (wb == "bias"), where wb has become that word */
        for (uint32_t v = 0; v < h->r->var.n; v++)
            if (h->word[v] != WM_NONE && e->kind == WM_EX_EQ && e->arg[0]->kind == WM_EX_NAME &&
                e->arg[1]->kind == WM_EX_STRING && wm_str_eq(e->arg[0]->s, h->r->var.item[v].name) &&
                wm_str_eq(e->arg[1]->s, wm_var_word(h->r, v, h->word[v])))
                return true;
    }
    return wm_fuse_fail(x, h, NULL, which ? "nothing in the first map makes its tensors"
                                          : "nothing in the second map reads its tensors");
}

static bool
fuse_rules(struct wm_fuse *x, struct wm_links *l)
{
    bool generic = false;

    for (int w = 0; w < 2; w++)
        for (uint32_t i = 0; i < x->half[w].n; i++)
            generic |= is_generic(x->half[w].item[i]);
    for (int w = 0; w < 2; w++)
        for (uint32_t i = 0; i < x->half[w].n; i++) {
            struct wm_half *h = x->half[w].item[i];

            if (!is_generic(h) && !check_alone(x, l, w, h, generic))
                return false;
            if (h->r->side[h->mid].nterm == 0 && !wm_fuse_emit(x, h, NULL, 0))
                return false;
            if (!h->whole && !h->fused && !fuse_host(x, l, w, h))
                return false;
        }
    for (uint32_t i = 0; i < l->at.n; i++)
        if (l->at.item[i].h[0]->whole && l->at.item[i].h[1]->whole && !fuse_whole(x, l, &l->at.item[i]))
            return false;
    return true;
}

/* ---- sides ---- */

static struct wm_str
item_text(struct wm_fuse *x, int which, const struct wm_side_item *it)
{
    struct wm_side_item copy;
    wm_pieces all = {0};
    struct wm_buf b;

    wm_buf_init(&b, x->cc->a);
    wm_pieces_of_item(x->cc->a, wm_flat_item(&x->flat, x->part[which], it, &copy), &all);
    for (uint32_t i = 0; i < all.n; i++) {
        wm_buf_putz(&b, i ? " " : "");
        wm_buf_puts(&b, all.item[i]);
    }
    return wm_buf_str(&b);
}

/* The tied pairs of the middle must be the same in both maps; ranks there would have to be planned. */
static bool
check_middle(struct wm_fuse *x)
{
    const struct wm_side *s[2] = {&x->part[0]->m->side[1], &x->part[1]->m->side[0]};
    uint32_t n[2] = {0, 0};

    for (int w = 0; w < 2; w++) {
        for (uint32_t i = 0; i < x->part[w]->m->shard.n; i++)
            if (x->part[w]->m->shard.item[i]->side == 1 - w)
                return fail_side(x, wm_arena_printf(x->cc->a, "the tensors between them are sharded, by `shard %.*s on %s` "
                                 "of the %s, and a fused rule has no ranks in the middle",
                                 WM_STR_ARG(x->part[w]->m->shard.item[i]->name), w ? "source" : "target",
                                 w ? "second" : "first").p);
        for (uint32_t i = 0; i < s[w]->item.n; i++) {
            bool found = false;

            if (s[w]->item.item[i]->kind == WM_SI_LORA)
                return fail_side(x, "the middle has an adapter");
            if (s[w]->item.item[i]->kind == WM_SI_SCALES && s[w]->item.item[i]->dequant)
                return fail_side(x, "the middle dequantises");
            if (s[w]->item.item[i]->kind != WM_SI_ALIAS)
                continue;
            n[w]++;
            for (uint32_t k = 0; k < s[1 - w]->item.n; k++)
                found |= s[1 - w]->item.item[k]->kind == WM_SI_ALIAS &&
                         wm_str_eq(item_text(x, w, s[w]->item.item[i]), item_text(x, 1 - w, s[1 - w]->item.item[k]));
            if (!found)
                return fail_side(x, wm_arena_printf(x->cc->a, "only the %s has, in the middle, %.*s",
                                 w ? "second" : "first", WM_STR_ARG(item_text(x, w, s[w]->item.item[i]))).p);
        }
    }
    return true;
}

struct stmts {
    WM_VEC(struct wm_stmt *) list;
};

/* The source blocks of the first map, or the target blocks of the second, with their shards. */
static void
copy_side(struct wm_fuse *x, int which, enum wm_stmt_kind kind, struct stmts *out)
{
    const struct wm_file_ast *f = x->part[which]->m->ast;

    for (uint32_t i = 0; i < f->nstmt; i++)
        if (f->stmt[i]->kind == kind && f->stmt[i]->side == which)
            *WM_PUSH(x->cc->a, &out->list) = wm_flat_stmt(&x->flat, x->part[which], f->stmt[i]);
}

/* An empty line before a part of the file. */
static void
set_apart(struct wm_fuse *x, struct wm_stmt *st)
{
    struct wm_comments *c = WM_NEW(x->cc->a, struct wm_comments);

    if (st->comments)
        *c = *st->comments;
    c->blank_before = true;
    st->comments = c;
}

static void
append(struct wm_fuse *x, struct stmts *out, struct wm_stmt *const *st, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0)
            set_apart(x, st[i]);
        *WM_PUSH(x->cc->a, &out->list) = st[i];
    }
}

static struct wm_file_ast *
make_file(struct wm_fuse *x)
{
    struct wm_arena *a = x->cc->a;
    struct wm_module *m = x->part[0]->m, *n = x->part[1]->m;
    struct wm_file_ast *f = WM_NEW(a, struct wm_file_ast);
    struct wm_stmt *head = WM_NEW(a, struct wm_stmt);
    struct stmts all = {0}, sides = {0}, shards = {0};

    copy_side(x, 0, WM_ST_SIDE, &sides);
    copy_side(x, 1, WM_ST_SIDE, &sides);
    copy_side(x, 0, WM_ST_SHARD, &shards);
    copy_side(x, 1, WM_ST_SHARD, &shards);
    *head = (struct wm_stmt){.kind = WM_ST_MAP, .span = m->ast->version_span};
    head->name = wm_arena_printf(a, "%.*s_then_%.*s", WM_STR_ARG(m->name), WM_STR_ARG(n->name));
    if (head->name.n > WM_NAME_MAX)
        head->name = WM_STR("fused");
    *WM_PUSH(a, &all.list) = head;
    append(x, &all, x->flat.def.item, x->flat.def.n);
    append(x, &all, sides.list.item, sides.list.n);
    append(x, &all, shards.list.item, shards.list.n);
    append(x, &all, x->rule.item, x->rule.n);
    *f = *m->ast;
    f->comments = NULL;
    f->tail = NULL;
    f->ntail = 0;
    f->stmt = all.list.item;
    f->nstmt = all.list.n;
    return f;
}

struct wm_file_ast *
wm_fuse_text(struct wm_cc *cc, struct wm_module *m, struct wm_module *n, struct wm_str *why)
{
    struct wm_fuse *x = WM_NEW(cc->a, struct wm_fuse);
    struct wm_links l = {0};
    bool again = true, ok;

    x->cc = cc;
    x->flat.cc = cc;
    x->part[0] = wm_flat_add(&x->flat, m, WM_STR(""), NULL);
    x->part[1] = wm_flat_add(&x->flat, n, n->name.n ? n->name : WM_STR("second"), NULL);
    wm_flat_names(&x->flat);
    ok = check_middle(x) && add_halves(x, 0, m) && add_halves(x, 1, n);
    while (ok && again) {
        again = false;
        ok = find_links(x, &l, &again);
    }
    ok = ok && drop_claimed(x, &l) && fuse_rules(x, &l);
    *why = x->why;
    return ok ? make_file(x) : NULL;
}
