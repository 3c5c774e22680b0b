/* compiler/fuse_key.c -- keys of the middle, matched piece by piece.
 *
 * Enters: keys of two rules.  Leaves: what the variables of the one are in terms of the other, or that no tensor has
 * both keys.  A word may stand against a text only when its variable was replaced by it. */
#include "compiler/fuse.h"

void
wm_append_piece(struct wm_cc *cc, struct wm_keylist *k, struct wm_piece p)
{
    struct wm_piece *last = k->at.n ? &k->at.item[k->at.n - 1] : NULL;

    if (p.kind == WM_KP_TEXT && p.text.n == 0)
        return;
    if (p.kind == WM_KP_TEXT && last && last->kind == WM_KP_TEXT)
        last->text = wm_arena_printf(cc->a, "%.*s%.*s", WM_STR_ARG(last->text), WM_STR_ARG(p.text));
    else
        *WM_PUSH(cc->a, &k->at) = p;
}

void
wm_half_keys(struct wm_cc *cc, struct wm_half *h)
{
    for (int s = 0; s < 2; s++) {
        h->key[s] = WM_NEW_N(cc->a, struct wm_keylist, h->r->side[s].nterm);
        for (uint32_t t = 0; t < h->r->side[s].nterm; t++)
            for (uint32_t i = 0; i < h->r->side[s].term[t].key.npart; i++) {
                const struct wm_kpart *p = &h->r->side[s].term[t].key.part[i];
                struct wm_piece out = {.kind = p->kind, .text = p->text, .of = h, .var = p->var, .width = p->width,
                                       .shift = p->shift, .word = p->word, .nword = p->nword};

                if (p->kind == WM_KP_WORDS && h->word[p->var] != WM_NONE) {
                    out.kind = WM_KP_TEXT;
                    out.text = p->word[h->word[p->var]];
                }
                wm_append_piece(cc, &h->key[s][t], out);
            }
    }
}

/* ---- two keys ---- */

struct walk {
    struct wm_cc *cc;
    const struct wm_keylist *k[2]; /* host, guest */
    struct wm_half *half[2];
    uint32_t i[2];                 /* piece */
    size_t off[2];                 /* into a text */
    struct wm_guest *out;
    uint32_t split;                /* variable */
    struct wm_half *split_half;
};

static const struct wm_piece *
piece(const struct walk *x, int who)
{
    return &x->k[who]->at.item[x->i[who]];
}

static struct wm_str
rest_of_text(const struct walk *x, int who)
{
    const struct wm_piece *p = piece(x, who);

    return (struct wm_str){p->text.p + x->off[who], p->text.n - x->off[who]};
}

static void
advance(struct walk *x, int who, size_t n)
{
    x->off[who] += n;
    if (piece(x, who)->kind != WM_KP_TEXT || x->off[who] == piece(x, who)->text.n) {
        x->i[who]++;
        x->off[who] = 0;
    }
}

static bool
may_begin_alike(struct wm_str a, struct wm_str b)
{
    return wm_str_starts(a, b) || wm_str_starts(b, a);
}

static enum wm_meet
split(struct walk *x, int who)
{
    const struct wm_piece *p = piece(x, who);

    x->split_half = x->half[who];
    x->split = p->var;
    return x->half[who]->r->var.item[p->var].common ? WM_MEET_SPLIT : WM_MEET_OPEN;
}

/* Bind the guest's variable, or see that it is bound to the same. */
static enum wm_meet
bind(struct walk *x, struct wm_piece what)
{
    struct wm_keylist *k = &x->out->var[piece(x, 1)->var];

    if (k->at.n > 0)
        return k->at.n == 1 && k->at.item[0].kind == what.kind && k->at.item[0].var == what.var ? WM_MEET_YES
                                                                                                : WM_MEET_OPEN;
    wm_append_piece(x->cc, k, what);
    return WM_MEET_YES;
}

/* The words of the host, in the order of its variable, when both list the same ones. */
static enum wm_meet
meet_words(struct walk *x)
{
    const struct wm_piece *h = piece(x, 0), *g = piece(x, 1);
    uint32_t same = 0;
    bool alike = false;
    enum wm_meet m;

    for (uint32_t i = 0; i < h->nword; i++)
        for (uint32_t k = 0; k < g->nword; k++) {
            same += wm_str_eq(h->word[i], g->word[k]);
            alike |= may_begin_alike(h->word[i], g->word[k]);
        }
    if (same == h->nword && same == g->nword) {
        m = bind(x, *h);
        advance(x, 0, 0);
        advance(x, 1, 0);
        return m;
    }
    if (!alike)
        return WM_MEET_NO;
    return x->half[1]->r->var.item[g->var].common ? split(x, 1) : split(x, 0);
}

/* `who` has words, the other one a text or a number. */
static enum wm_meet
meet_word(struct walk *x, int who)
{
    const struct wm_piece *w = piece(x, who), *o = piece(x, 1 - who);

    for (uint32_t i = 0; i < w->nword; i++)
        if (o->kind == WM_KP_TEXT ? may_begin_alike(w->word[i], rest_of_text(x, 1 - who))
                                  : w->word[i].p[0] >= '0' && w->word[i].p[0] <= '9')
            return split(x, who);
    return WM_MEET_NO;
}

/* The guest's capture takes what the host has, up to the text behind it. */
static enum wm_meet
meet_capture(struct walk *x)
{
    const struct wm_keylist *h = x->k[0], *g = x->k[1];
    const struct wm_piece *tail = x->i[1] + 1 < g->at.n ? &g->at.item[x->i[1] + 1] : NULL;
    const struct wm_piece *end = &h->at.item[h->at.n - 1];
    struct wm_keylist *k = &x->out->var[piece(x, 1)->var];
    struct wm_str suffix = tail ? tail->text : WM_STR("");

    if (k->at.n > 0 || x->i[1] + 2 < g->at.n || (tail && tail->kind != WM_KP_TEXT))
        return WM_MEET_OPEN;
    if (tail && (end->kind != WM_KP_TEXT || !wm_str_ends(end->text, suffix)))
        return end->kind == WM_KP_TEXT && !wm_str_ends(suffix, end->text) ? WM_MEET_NO : WM_MEET_OPEN;
    for (uint32_t i = x->i[0]; i < h->at.n; i++) {
        struct wm_piece p = h->at.item[i];
        size_t from = i == x->i[0] ? x->off[0] : 0, drop = i + 1 == h->at.n ? suffix.n : 0;

        if (p.kind == WM_KP_TEXT) {
            if (from + drop > p.text.n)
                return WM_MEET_OPEN;
            p.text = (struct wm_str){p.text.p + from, p.text.n - from - drop};
        }
        wm_append_piece(x->cc, k, p);
    }
    x->i[0] = h->at.n;
    x->i[1] = g->at.n;
    return k->at.n > 0 ? WM_MEET_YES : WM_MEET_NO;
}

static enum wm_meet
meet_pieces(struct walk *x)
{
    const struct wm_piece *h = piece(x, 0), *g = piece(x, 1);
    struct wm_str a, b;
    size_t n;

    if (g->kind == WM_KP_CAPTURE)
        return meet_capture(x);
    if (h->kind == WM_KP_CAPTURE)
        return WM_MEET_OPEN;
    if (h->kind == WM_KP_WORDS && g->kind == WM_KP_WORDS)
        return meet_words(x);
    if (h->kind == WM_KP_WORDS || g->kind == WM_KP_WORDS)
        return meet_word(x, g->kind == WM_KP_WORDS);
    if (h->kind == WM_KP_INDEX && g->kind == WM_KP_INDEX) {
        enum wm_meet m = h->width == g->width && !h->shift && !g->shift ? bind(x, *h) : WM_MEET_OPEN;

        advance(x, 0, 0);
        advance(x, 1, 0);
        return m;
    }
    if (h->kind == WM_KP_INDEX || g->kind == WM_KP_INDEX) {
        a = rest_of_text(x, h->kind == WM_KP_INDEX);
        return a.p[0] >= '0' && a.p[0] <= '9' ? WM_MEET_OPEN : WM_MEET_NO;
    }
    a = rest_of_text(x, 0);
    b = rest_of_text(x, 1);
    n = a.n < b.n ? a.n : b.n;
    if (memcmp(a.p, b.p, n) != 0)
        return WM_MEET_NO;
    advance(x, 0, n);
    advance(x, 1, n);
    return WM_MEET_YES;
}

enum wm_meet
wm_keys_meet(struct wm_cc *cc, struct wm_half *host, const struct wm_keylist *hk, struct wm_half *guest,
             const struct wm_keylist *gk, struct wm_guest *out, struct wm_half **half, uint32_t *var)
{
    struct walk x = {.cc = cc, .k = {hk, gk}, .half = {host, guest}, .out = out};
    enum wm_meet open = WM_MEET_YES;

    *out = (struct wm_guest){.half = guest, .var = WM_NEW_N(cc->a, struct wm_keylist, guest->r->var.n)};
    while (x.i[0] < hk->at.n && x.i[1] < gk->at.n) {
        uint32_t at[2] = {x.i[0], x.i[1]};
        enum wm_meet m = meet_pieces(&x);

        if (m == WM_MEET_NO)
            return WM_MEET_NO;
        if (m == WM_MEET_SPLIT) {
            *half = x.split_half;
            *var = x.split;
            return m;
        }
        if (m == WM_MEET_OPEN) {
            open = m;
            if (at[0] == x.i[0] && at[1] == x.i[1])
                return m; /* stuck: what follows is not told */
        }
    }
    return x.i[0] == hk->at.n && x.i[1] == gk->at.n ? open : WM_MEET_NO;
}
