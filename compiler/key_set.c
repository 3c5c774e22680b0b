/* compiler/key_set.c -- all overlapping pairs among many keys.
 *
 * All keys go into one automaton, in which common beginnings are shared, and it is run against
 * itself: from every state where two ways part on one byte, on through the pairs of states that
 * some text can still lead to.  Keys with different texts part for good and cost nothing, so the
 * work is about that of the overlaps themselves. What it finds are candidates; each is then
 * decided, and proven, for itself. */
#include <stdlib.h>

#include "compiler/key_ask.h"
#include "compiler/key_nfa.h"
#include "compiler/key_parts.h"

/* Pairs of states to visit at most; past it (hostile maps) all pairs of keys are candidates. */
enum { PAIRS_MAX = 1 << 20 };

/* A set of 64-bit values (never all ones) that remembers their order. */
struct pairs {
    struct wm_arena *a;
    WM_VEC(uint64_t) list;
    uint32_t *slot;
    uint32_t nslot;
};

static uint32_t *
find(const struct pairs *s, uint64_t v)
{
    uint32_t i = (uint32_t)wm_hash(&v, sizeof(v), 0) & (s->nslot - 1);

    while (s->slot[i] && s->list.item[s->slot[i] - 1] != v)
        i = (i + 1) & (s->nslot - 1);
    return &s->slot[i];
}

static void
insert(struct pairs *s, uint32_t i, uint32_t j)
{
    uint64_t v = i < j ? (uint64_t)i << 32 | j : (uint64_t)j << 32 | i;
    uint32_t *slot;

    if (s->list.n >= s->nslot / 2) {
        s->nslot = s->nslot ? 2 * s->nslot : 256;
        s->slot = WM_NEW_N(s->a, uint32_t, s->nslot);
        for (uint32_t k = 0; k < s->list.n; k++)
            *find(s, s->list.item[k]) = k + 1;
    }
    slot = find(s, v);
    if (*slot)
        return;
    *WM_PUSH(s->a, &s->list) = v;
    *slot = s->list.n;
}

struct set {
    struct wm_arena *a;      /* scratch */
    struct wm_arena *caller; /* for proofs */
    const struct wm_key *const *key;
    uint32_t n;
    struct wm_nfa nfa;
    uint32_t *leaf;     /* [n] the first key with the same template */
    uint32_t *twin;     /* [n] the next key with the same template, or WM_NONE */
    struct pairs state; /* of states that one text can reach */
    struct pairs found; /* of templates that may overlap */
    bool (*report)(void *user, uint32_t i, uint32_t j, struct wm_str proof);
    void *user;
};

/* The pairs of edges by which states p and q read the same byte.  In one state (p == q), text edges
 * have different bytes, so one of a parting pair belongs to a hole. */
static void
step(struct set *s, uint32_t p, uint32_t q)
{
    const struct wm_nfa *n = &s->nfa;

    for (struct wm_nfa_iter i = wm_nfa_edges(n, p); i.edge != WM_NONE; wm_nfa_next(n, &i)) {
        const struct wm_nfa_edge *e = &n->edge.item[i.edge];

        if (p == q && e->part == 0)
            continue;
        for (struct wm_nfa_iter j = wm_nfa_edges(n, q); j.edge != WM_NONE; wm_nfa_next(n, &j)) {
            const struct wm_nfa_edge *f = &n->edge.item[j.edge];

            if (e->to != f->to && e->lo <= f->hi && f->lo <= e->hi)
                insert(&s->state, e->to, f->to);
        }
    }
}

/* Two states that can be reached by one text: step over plain text at once, note the keys that end
 * in both. */
static void
visit(struct set *s, uint32_t p, uint32_t q)
{
    const struct wm_nfa *n = &s->nfa;
    uint32_t rp = n->state.item[p].run, rq = n->state.item[q].run, run = rp < rq ? rp : rq;
    uint32_t i = wm_nfa_accepts(n, p), j = wm_nfa_accepts(n, q);

    if (i != WM_NONE && j != WM_NONE && i != j)
        insert(&s->found, i, j);
    if (run == 0)
        step(s, p, q);
    else if (memcmp(n->byte.item + p, n->byte.item + q, run) == 0)
        insert(&s->state, p + run, q + run);
}

static bool
candidates(struct set *s)
{
    for (uint32_t p = 0; p < s->nfa.state.n; p++) {
        step(s, p, p);
        if (s->state.list.n > PAIRS_MAX)
            return false;
    }
    for (uint32_t k = 0; k < s->state.list.n; k++) {
        uint64_t v = s->state.list.item[k];

        visit(s, (uint32_t)(v >> 32), (uint32_t)v);
        if (s->state.list.n > PAIRS_MAX)
            return false;
    }
    return true;
}

static int
by_value(const void *x, const void *y)
{
    const uint32_t *a = x, *b = y;

    return (*a > *b) - (*a < *b);
}

/* For each template, the list of those that it may overlap. */
struct partners {
    uint32_t *head;         /* [template] first link, or WM_NONE */
    uint32_t *other, *next; /* [link] */
    WM_VEC(uint32_t) key;   /* scratch: the candidates j > i of one key */
};

static struct partners
find_partners(const struct set *s)
{
    size_t nlink = 2 * (size_t)s->found.list.n;
    struct partners p = {.head = WM_NEW_N(s->a, uint32_t, s->n),
                         .other = WM_NEW_N(s->a, uint32_t, nlink),
                         .next = WM_NEW_N(s->a, uint32_t, nlink)};

    memset(p.head, 0xff, s->n * sizeof(*p.head));
    for (uint32_t k = 0; k < nlink; k++) {
        uint64_t v = s->found.list.item[k / 2];
        uint32_t t = (uint32_t)(k % 2 ? v >> 32 : v);

        p.other[k] = (uint32_t)(k % 2 ? v : v >> 32);
        p.next[k] = p.head[t];
        p.head[t] = k;
    }
    return p;
}

static void
add_twins(const struct set *s, struct partners *p, uint32_t first, uint32_t i)
{
    for (uint32_t j = first; j != WM_NONE; j = s->twin[j])
        if (j > i)
            *WM_PUSH(s->a, &p->key) = j;
}

/* The answer of the last pair, which is that of all pairs of the same two templates, if nothing in them has to agree. */
struct answer {
    uint32_t x, y; /* templates; WM_NONE: none yet */
    bool yes;
    struct wm_str proof;
};

static bool
repeats(const struct wm_key *k)
{
    return wm_key_repeated(k, 0) < k->npart;
}

/* Two keys that may overlap; false: the caller has had enough. */
static bool
decide(const struct set *s, uint32_t i, uint32_t j, struct answer *last)
{
    if (last->x != s->leaf[i] || last->y != s->leaf[j] || repeats(s->key[i]) || repeats(s->key[j])) {
        last->x = s->leaf[i];
        last->y = s->leaf[j];
        last->yes = wm_key_overlap(s->caller, s->key[i], s->key[j], &last->proof);
    }
    return !last->yes || s->report(s->user, i, j, last->proof);
}

/* Decide all candidates, in order. */
static void
decide_candidates(const struct set *s)
{
    struct partners p = find_partners(s);
    struct answer last = {.x = WM_NONE};

    for (uint32_t i = 0; i < s->n; i++) {
        p.key.n = 0;
        add_twins(s, &p, s->leaf[i], i);
        for (uint32_t k = p.head[s->leaf[i]]; k != WM_NONE; k = p.next[k])
            add_twins(s, &p, p.other[k], i);
        if (p.head[s->leaf[i]] != WM_NONE) /* twins alone are in order */
            qsort(p.key.item, p.key.n, sizeof(*p.key.item), by_value);
        for (uint32_t k = 0; k < p.key.n; k++)
            if (!decide(s, i, p.key.item[k], &last))
                return;
    }
}

static void
decide_all(const struct set *s)
{
    struct answer last = {.x = WM_NONE};

    for (uint32_t i = 0; i < s->n; i++)
        for (uint32_t j = i + 1; j < s->n; j++)
            if (!decide(s, i, j, &last))
                return;
}

static void
collect(struct set *s)
{
    uint32_t *last = WM_NEW_N(s->a, uint32_t, s->n);

    s->leaf = WM_NEW_N(s->a, uint32_t, s->n);
    s->twin = WM_NEW_N(s->a, uint32_t, s->n);
    wm_nfa_init(&s->nfa, s->a);
    s->nfa.mix_words = true;
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t first = wm_nfa_add(&s->nfa, s->key[i], i);

        s->leaf[i] = first;
        s->twin[i] = WM_NONE;
        if (first != i)
            s->twin[last[first]] = i;
        last[first] = i;
    }
    wm_nfa_finish(&s->nfa);
}

void
wm_keys_overlaps(struct wm_arena *a, const struct wm_key *const *k, uint32_t n,
                 bool (*found)(void *user, uint32_t i, uint32_t j, struct wm_str proof), void *user)
{
    struct wm_key_ask q;
    struct set s = {.caller = a, .key = k, .n = n, .report = found, .user = user};

    if (n < 2)
        return;
    wm_key_ask_begin(&q, a);
    s.a = s.state.a = s.found.a = &q.scratch;
    collect(&s);
    if (candidates(&s))
        decide_candidates(&s);
    else
        decide_all(&s);
    wm_key_ask_end(&q);
}
