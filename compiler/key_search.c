/* compiler/key_search.c -- shortest texts in the product of two automata.
 *
 * Pairs of states are explored by their distance from the start (Dijkstra: a run of plain text on
 * both sides is one step of many bytes, so long literals cost one pair, not one per byte).  In one
 * automaton against itself a pair is `split` from where the two ways took different edges; before,
 * both are in one state. */
#include "compiler/key_nfa.h"

enum { PAIRS_MAX = 1 << 18 }; /* some 30 MB; an ordinary key takes a few dozen */

void
wm_nfa_search_init(struct wm_nfa_search *s, struct wm_arena *a)
{
    *s = (struct wm_nfa_search){.a = a};
}

/* ---- the heap ---- */

static bool
before(struct wm_nfa_todo x, struct wm_nfa_todo y)
{
    return x.dist != y.dist ? x.dist < y.dist : x.pair < y.pair;
}

static void
heap_push(struct wm_nfa_search *s, struct wm_nfa_todo t)
{
    struct wm_nfa_todo *h;
    uint32_t at;

    *WM_PUSH(s->a, &s->heap) = t;
    h = s->heap.item;
    for (at = s->heap.n - 1; at > 0 && before(t, h[(at - 1) / 2]); at = (at - 1) / 2)
        h[at] = h[(at - 1) / 2];
    h[at] = t;
}

static uint32_t
heap_pop(struct wm_nfa_search *s)
{
    struct wm_nfa_todo *h = s->heap.item, top = h[0], last = h[--s->heap.n];
    uint32_t at = 0, n = s->heap.n;

    for (;;) {
        uint32_t kid = 2 * at + 1;

        if (kid + 1 < n && before(h[kid + 1], h[kid]))
            kid++;
        if (kid >= n || !before(h[kid], last))
            break;
        h[at] = h[kid];
        at = kid;
    }
    h[at] = last;
    return top.pair;
}

/* ---- the set of pairs ---- */

static struct wm_nfa_slot *
find_slot(const struct wm_nfa_search *s, const struct wm_nfa_pair *n)
{
    uint64_t key[2] = {(uint64_t)n->p << 32 | n->q, n->split};
    uint32_t i = (uint32_t)wm_hash(key, sizeof(key), 0) & (s->nslot - 1);

    for (; s->slot[i].turn == s->turn; i = (i + 1) & (s->nslot - 1)) {
        const struct wm_nfa_pair *o = &s->pair.item[s->slot[i].pair];

        if (n->p == o->p && n->q == o->q && n->split == o->split)
            break;
    }
    return &s->slot[i];
}

/* Keep the table at most half full. */
static void
make_room(struct wm_nfa_search *s)
{
    if (s->pair.n < s->nslot / 2)
        return;
    s->nslot = s->nslot ? 2 * s->nslot : 64;
    s->slot = WM_NEW_N(s->a, struct wm_nfa_slot, s->nslot);
    for (uint32_t i = 0; i < s->pair.n; i++)
        *find_slot(s, &s->pair.item[i]) = (struct wm_nfa_slot){s->turn, i};
}

/* Note that `n` can be reached so; keep the shorter way where it was known. */
static void
reach(struct wm_nfa_search *s, const struct wm_nfa_pair *n)
{
    struct wm_nfa_slot *slot;
    uint32_t i;

    make_room(s);
    slot = find_slot(s, n);
    if (slot->turn == s->turn) {
        i = slot->pair;
        if (s->pair.item[i].done || s->pair.item[i].dist <= n->dist)
            return;
        s->pair.item[i] = *n;
    } else {
        i = s->pair.n;
        *slot = (struct wm_nfa_slot){s->turn, i};
        *WM_PUSH(s->a, &s->pair) = *n;
    }
    heap_push(s, (struct wm_nfa_todo){n->dist, i});
}

/* ---- the search ---- */

static void
expand(struct wm_nfa_search *s, const struct wm_nfa *x, const struct wm_nfa *y, uint32_t at)
{
    const struct wm_nfa_pair here = s->pair.item[at];
    uint32_t rx = x->state.item[here.p].run, ry = y->state.item[here.q].run;
    uint32_t run = rx < ry ? rx : ry;
    struct wm_nfa_pair n = {.parent = at, .split = here.split};

    if (run > 0) {
        if (memcmp(x->byte.item + here.p, y->byte.item + here.q, run) != 0)
            return;
        n.p = here.p + run;
        n.q = here.q + run;
        n.run = run;
        n.dist = here.dist + run;
        reach(s, &n);
        return;
    }
    n.dist = here.dist + 1;
    for (struct wm_nfa_iter i = wm_nfa_edges(x, here.p); i.edge != WM_NONE; wm_nfa_next(x, &i)) {
        const struct wm_nfa_edge *e = &x->edge.item[i.edge];

        for (struct wm_nfa_iter j = wm_nfa_edges(y, here.q); j.edge != WM_NONE;
             wm_nfa_next(y, &j)) {
            const struct wm_nfa_edge *f = &y->edge.item[j.edge];
            uint8_t lo = e->lo > f->lo ? e->lo : f->lo, hi = e->hi < f->hi ? e->hi : f->hi;
            bool swap = x == y && e->to > f->to;

            if (lo > hi)
                continue;
            n.p = swap ? f->to : e->to;
            n.q = swap ? e->to : f->to;
            n.byte = wm_nfa_pick(lo, hi);
            n.split = here.split || (x == y && i.edge != j.edge);
            reach(s, &n);
        }
    }
}

static struct wm_str
text_of(const struct wm_nfa_search *s, const struct wm_nfa *x, uint32_t at)
{
    size_t n = s->pair.item[at].dist;
    char *p = wm_arena_alloc(s->a, n + 1);

    for (; s->pair.item[at].parent != WM_NONE; at = s->pair.item[at].parent) {
        const struct wm_nfa_pair *pair = &s->pair.item[at];
        const struct wm_nfa_pair *from = &s->pair.item[pair->parent];

        if (pair->run > 0)
            memcpy(p + from->dist, x->byte.item + from->p, pair->run);
        else
            p[from->dist] = (char)pair->byte;
    }
    return (struct wm_str){p, n};
}

enum wm_answer
wm_nfa_search(struct wm_nfa_search *s, const struct wm_nfa *x, const struct wm_nfa *y,
              struct wm_str *proof)
{
    struct wm_nfa_pair start = {.parent = WM_NONE};

    s->pair.n = s->heap.n = 0;
    s->turn++; /* 0 marks slots that were never used */
    reach(s, &start);
    while (s->heap.n > 0) {
        uint32_t at = heap_pop(s);
        struct wm_nfa_pair *n = &s->pair.item[at];

        if (n->done) /* pushed again by a shorter way, and done by that one */
            continue;
        n->done = true;
        if ((x != y || n->split) && wm_nfa_accepts(x, n->p) != WM_NONE &&
            wm_nfa_accepts(y, n->q) != WM_NONE) {
            *proof = text_of(s, x, at);
            return WM_ANSWER_YES;
        }
        if (s->pair.n > PAIRS_MAX)
            return WM_ANSWER_OPEN;
        expand(s, x, y, at);
    }
    return WM_ANSWER_NO;
}
