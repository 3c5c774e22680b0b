/* compiler/key_nfa.c -- building the automata of key templates. */
#include "compiler/key_nfa.h"

#include "compiler/key_parts.h"

void
wm_nfa_clear(struct wm_nfa *n)
{
    n->state.n = n->byte.n = n->edge.n = n->part.n = 0;
    n->duplicate = false;
}

void
wm_nfa_init(struct wm_nfa *n, struct wm_arena *a)
{
    *n = (struct wm_nfa){.a = a};
}

static uint32_t
add_state(struct wm_nfa *n)
{
    *WM_PUSH(n->a, &n->state) = (struct wm_nfa_state){WM_NONE, WM_NONE, WM_NONE, WM_NONE, 0};
    *WM_PUSH(n->a, &n->byte) = 0;
    return n->state.n - 1;
}

/* Edges keep their order: searches try them so, and proofs come out smallest first. */
static void
add_edge(struct wm_nfa *n, uint32_t from, uint8_t lo, uint8_t hi, uint32_t part, uint32_t to)
{
    uint32_t e = n->edge.n, last = n->state.item[from].edge;

    *WM_PUSH(n->a, &n->edge) = (struct wm_nfa_edge){to, WM_NONE, part, lo, hi};
    if (last == WM_NONE) {
        n->state.item[from].edge = e;
        return;
    }
    while (n->edge.item[last].next != WM_NONE)
        last = n->edge.item[last].next;
    n->edge.item[last].next = e;
}

/* The state behind the one-byte edge of a part (0: of text), or WM_NONE. */
static uint32_t
follow(const struct wm_nfa *n, uint32_t from, uint8_t c, uint32_t part)
{
    uint32_t e = n->state.item[from].edge;

    while (e != WM_NONE && !(n->edge.item[e].part == part && n->edge.item[e].lo == c))
        e = n->edge.item[e].next;
    return e == WM_NONE ? WM_NONE : n->edge.item[e].to;
}

static uint32_t
add_text(struct wm_nfa *n, uint32_t at, struct wm_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        uint32_t to = follow(n, at, c, 0);

        if (to == WM_NONE) {
            to = add_state(n);
            add_edge(n, at, c, c, 0, to);
        }
        at = to;
    }
    return at;
}

/* zero[k], some[k]: after k digits, the first of which was 0, or was not.  A leading zero is
 * padding: exactly `width` digits then; else at least so many. */
static void
add_index(struct wm_nfa *n, uint32_t at, uint32_t width, uint32_t part, uint32_t *last)
{
    uint32_t zero = add_state(n), some = add_state(n);

    add_edge(n, at, '0', '0', part, zero);
    add_edge(n, at, '1', '9', part, some);
    for (uint32_t k = 1; k < width; k++) {
        uint32_t z = add_state(n), s = add_state(n);

        add_edge(n, zero, '0', '9', part, z);
        add_edge(n, some, '0', '9', part, s);
        zero = z;
        some = s;
    }
    add_edge(n, some, '0', '9', part, some);
    last[0] = zero;
    last[1] = some;
}

/* A trie of the words below `at`; a word that stands twice ends twice.  The ends go into `last`. */
static uint32_t
add_words(struct wm_nfa *n, uint32_t at, const struct wm_kpart *p, uint32_t part, uint32_t *last)
{
    uint32_t nlast = 0;

    for (uint32_t w = 0; w < p->nword; w++) {
        uint32_t s = at;

        for (size_t i = 0; i < p->word[w].n; i++) {
            uint8_t c = (uint8_t)p->word[w].p[i];
            bool end = i + 1 == p->word[w].n;
            uint32_t in = n->mix_words && !end ? 0 : part, to = follow(n, s, c, in);

            /* ends are marked by an exit to themselves until the real one is known */
            if (to == WM_NONE || (end && n->state.item[to].exit != WM_NONE)) {
                n->duplicate |= to != WM_NONE;
                to = add_state(n);
                add_edge(n, s, c, c, in, to);
            }
            s = to;
            if (end) {
                n->state.item[s].exit = s;
                last[nlast++] = s;
            }
        }
    }
    return nlast;
}

static uint32_t
add_hole(struct wm_nfa *n, uint32_t at, const struct wm_kpart *p)
{
    uint32_t part, *last, nlast, exit;

    for (part = n->state.item[at].parts; part != WM_NONE; part = n->part.item[part].next)
        if (wm_kpart_same_print(n->part.item[part].part, p))
            return n->part.item[part].exit;

    part = n->part.n;
    *WM_PUSH(n->a, &n->part) = (struct wm_nfa_part){p, WM_NONE, n->state.item[at].parts};
    n->state.item[at].parts = part;
    last = WM_NEW_N(n->a, uint32_t, p->kind == WM_KP_WORDS ? p->nword : 2);
    if (p->kind == WM_KP_WORDS) {
        nlast = add_words(n, at, p, part + 1, last);
    } else if (p->kind == WM_KP_INDEX) {
        add_index(n, at, wm_kpart_width(p), part + 1, last);
        nlast = 2;
    } else {
        last[0] = add_state(n);
        nlast = 1;
        add_edge(n, at, 0, 255, part + 1, last[0]);
        add_edge(n, last[0], 0, 255, part + 1, last[0]);
    }
    exit = add_state(n);
    for (uint32_t i = 0; i < nlast; i++)
        n->state.item[last[i]].exit = exit;
    return n->part.item[part].exit = exit;
}

uint32_t
wm_nfa_add(struct wm_nfa *n, const struct wm_key *k, uint32_t leaf)
{
    uint32_t at = 0;

    if (n->state.n == 0)
        add_state(n);
    for (uint32_t i = 0; i < k->npart; i++)
        at = k->part[i].kind == WM_KP_TEXT ? add_text(n, at, k->part[i].text)
                                           : add_hole(n, at, &k->part[i]);
    if (n->state.item[at].leaf == WM_NONE)
        n->state.item[at].leaf = leaf;
    return n->state.item[at].leaf;
}

void
wm_nfa_finish(struct wm_nfa *n)
{
    for (uint32_t s = n->state.n; s-- > 0;) {
        struct wm_nfa_state *st = &n->state.item[s];
        const struct wm_nfa_edge *e = st->edge == WM_NONE ? NULL : &n->edge.item[st->edge];
        bool alone = e && e->next == WM_NONE && st->exit == WM_NONE && st->leaf == WM_NONE;

        st->run = 0;
        if (alone && e->lo == e->hi && e->to == s + 1) {
            n->byte.item[s] = (char)e->lo;
            st->run = st[1].run + 1;
        }
    }
}

uint32_t
wm_nfa_accepts(const struct wm_nfa *n, uint32_t s)
{
    const struct wm_nfa_state *st = &n->state.item[s];

    return st->leaf != WM_NONE || st->exit == WM_NONE ? st->leaf : n->state.item[st->exit].leaf;
}

/* Step over to the exit's edges where those of the state are used up. */
static struct wm_nfa_iter
iter(const struct wm_nfa *n, uint32_t edge, uint32_t exit)
{
    if (edge == WM_NONE && exit != WM_NONE)
        return (struct wm_nfa_iter){n->state.item[exit].edge, WM_NONE};
    return (struct wm_nfa_iter){edge, exit};
}

struct wm_nfa_iter
wm_nfa_edges(const struct wm_nfa *n, uint32_t s)
{
    return iter(n, n->state.item[s].edge, n->state.item[s].exit);
}

void
wm_nfa_next(const struct wm_nfa *n, struct wm_nfa_iter *i)
{
    *i = iter(n, n->edge.item[i->edge].next, i->exit);
}

uint8_t
wm_nfa_pick(uint8_t lo, uint8_t hi)
{
    static const char nice[] = "x01yz23456789abcdefghijklmnopqrstuvwXYZ_";

    for (const char *c = nice; *c; c++)
        if (lo <= (uint8_t)*c && (uint8_t)*c <= hi)
            return (uint8_t)*c;
    return lo;
}
