/* compiler/key_inside.c -- is the language of one key inside that of another?
 *
 * Nodes are pairs (state of x, set of the states in which y may be after the same text); a node
 * where x may end and no state of the set may is a text of x that y lacks.  They are visited by
 * length, so that the proof is a shortest one.  A node whose set contains that of an older node
 * with the same state of x adds nothing (what y cannot read from the small set is found there),
 * which keeps ordinary keys to a handful of nodes.
 *
 * Repeated parts: those of x may be ignored (x only gets larger), those of y only where x has them,
 * too: in an identical beginning, which is cut off both. */
#include "compiler/key_ask.h"
#include "compiler/key_parts.h"
#include "compiler/key_value.h"

/* States looked at, in sets, before the answer is given up (hostile templates). */
enum { WORK_MAX = 1 << 21 };

/* Templates with repeated parts: texts to try for a proof. */
enum { LACKING_TRIES = 256, LACKING_VALUES = 3 };

struct node {
    uint32_t state;      /* of x */
    uint32_t set, nset;  /* ascending states of y: pool[set .. set + nset) */
    uint32_t parent;     /* or WM_NONE */
    uint32_t same_state; /* older node with the same state of x, or WM_NONE */
    uint8_t byte;
};

struct inside {
    struct wm_arena *a;
    const struct wm_nfa *x, *y;
    WM_VEC(struct node) node;
    WM_VEC(uint32_t) pool;
    uint32_t *newest; /* [state of x] newest node, or WM_NONE */
    uint32_t *mark;   /* [state of y] the last step that reached it */
    uint32_t nstep;
    uint64_t work;
};

/* Is the set of node o part of the `n` states at pool[set]? */
static bool
is_subset(struct inside *s, const struct node *o, uint32_t set, uint32_t n)
{
    const uint32_t *p = s->pool.item;
    uint32_t i = 0, j = 0;

    while (i < o->nset && j < n) {
        if (p[o->set + i] < p[set + j])
            return false;
        i += p[o->set + i] == p[set + j];
        j++;
    }
    s->work += j + 1;
    return i == o->nset;
}

/* Add the node (state, pool[set .. end of the pool)), or drop it again. */
static void
add_node(struct inside *s, uint32_t state, uint32_t set, uint32_t parent, uint8_t byte)
{
    uint32_t n = s->pool.n - set;

    for (uint32_t o = s->newest[state]; o != WM_NONE; o = s->node.item[o].same_state) {
        if (is_subset(s, &s->node.item[o], set, n)) {
            s->pool.n = set;
            return;
        }
    }
    *WM_PUSH(s->a, &s->node) = (struct node){state, set, n, parent, s->newest[state], byte};
    s->newest[state] = s->node.n - 1;
}

static void
sort_states(uint32_t *v, uint32_t n)
{
    for (uint32_t gap = n / 2; gap > 0; gap /= 2) {
        for (uint32_t i = gap; i < n; i++) {
            uint32_t x = v[i], j = i;

            for (; j >= gap && v[j - gap] > x; j -= gap)
                v[j] = v[j - gap];
            v[j] = x;
        }
    }
}

/* From node `at`, x reads `byte` and goes to state `to`. */
static void
read_byte(struct inside *s, uint32_t at, uint32_t to, uint8_t byte)
{
    struct node from = s->node.item[at];
    uint32_t set = s->pool.n;

    s->nstep++;
    for (uint32_t k = 0; k < from.nset; k++) {
        uint32_t q = s->pool.item[from.set + k];

        for (struct wm_nfa_iter i = wm_nfa_edges(s->y, q); i.edge != WM_NONE;
             wm_nfa_next(s->y, &i)) {
            const struct wm_nfa_edge *e = &s->y->edge.item[i.edge];

            s->work++;
            if (e->lo > byte || byte > e->hi || s->mark[e->to] == s->nstep)
                continue;
            s->mark[e->to] = s->nstep;
            *WM_PUSH(s->a, &s->pool) = e->to;
        }
    }
    sort_states(s->pool.item + set, s->pool.n - set);
    add_node(s, to, set, at, byte);
}

/* Bytes from lo to hi that y may treat differently begin at these places. */
static void
find_cuts(struct inside *s, uint32_t at, uint8_t lo, uint8_t hi, bool *cut)
{
    struct node from = s->node.item[at];

    memset(cut, 0, 257 * sizeof(*cut));
    cut[lo] = true;
    cut[hi + 1] = true;
    for (uint32_t k = 0; k < from.nset && lo < hi; k++) {
        for (struct wm_nfa_iter i = wm_nfa_edges(s->y, s->pool.item[from.set + k]);
             i.edge != WM_NONE; wm_nfa_next(s->y, &i)) {
            const struct wm_nfa_edge *e = &s->y->edge.item[i.edge];

            s->work++;
            if (e->lo >= lo && e->lo <= hi)
                cut[e->lo] = true;
            if (e->hi >= lo && e->hi <= hi)
                cut[e->hi + 1] = true;
        }
    }
}

/* One byte of each interval between cuts, nice ones first. */
static uint32_t
pick_bytes(const bool *cut, uint8_t lo, uint8_t hi, uint8_t *out)
{
    uint32_t n = 0;

    for (unsigned from = lo, to; from <= hi; from = to) {
        uint8_t b;

        for (to = from + 1; !cut[to];)
            to++;
        b = wm_nfa_pick((uint8_t)from, (uint8_t)(to - 1));
        out[n++] = b;
        if (b == wm_nfa_pick(lo, hi)) { /* the nicest of all to the front */
            out[n - 1] = out[0];
            out[0] = b;
        }
    }
    return n;
}

static void
expand(struct inside *s, uint32_t at)
{
    uint32_t p = s->node.item[at].state;

    for (struct wm_nfa_iter i = wm_nfa_edges(s->x, p); i.edge != WM_NONE; wm_nfa_next(s->x, &i)) {
        struct wm_nfa_edge e = s->x->edge.item[i.edge];
        bool cut[257];
        uint8_t byte[256];
        uint32_t n;

        find_cuts(s, at, e.lo, e.hi, cut);
        n = pick_bytes(cut, e.lo, e.hi, byte);
        for (uint32_t k = 0; k < n; k++)
            read_byte(s, at, e.to, byte[k]);
    }
}

static bool
is_missing(const struct inside *s, const struct node *n)
{
    bool accepts = false;

    for (uint32_t k = 0; k < n->nset && !accepts; k++)
        accepts = wm_nfa_accepts(s->y, s->pool.item[n->set + k]) != WM_NONE;
    return !accepts && wm_nfa_accepts(s->x, n->state) != WM_NONE;
}

static struct wm_str
text_of(const struct inside *s, uint32_t at)
{
    size_t n = 0;
    char *p;

    for (uint32_t k = at; s->node.item[k].parent != WM_NONE; k = s->node.item[k].parent)
        n++;
    p = wm_arena_alloc(s->a, n + 1);
    for (size_t k = n; k-- > 0; at = s->node.item[at].parent)
        p[k] = (char)s->node.item[at].byte;
    return (struct wm_str){p, n};
}

/* Without agreement of repeated parts.  *proof is empty where the work was too much. */
static bool
contains(struct wm_key_ask *q, const struct wm_key *x, const struct wm_key *y, struct wm_str *proof)
{
    struct inside s = {.a = &q->scratch, .x = &q->x, .y = &q->y};

    wm_nfa_clear(&q->x);
    wm_nfa_clear(&q->y);
    wm_nfa_add(&q->x, x, 0);
    wm_nfa_add(&q->y, y, 0);
    s.newest = WM_NEW_N(s.a, uint32_t, q->x.state.n);
    s.mark = WM_NEW_N(s.a, uint32_t, q->y.state.n);
    memset(s.newest, 0xff, q->x.state.n * sizeof(*s.newest));
    *WM_PUSH(s.a, &s.pool) = 0;
    add_node(&s, 0, 0, WM_NONE, 0);
    for (uint32_t at = 0; at < s.node.n; at++) {
        if (is_missing(&s, &s.node.item[at])) {
            *proof = text_of(&s, at);
            return false;
        }
        if (s.work > WORK_MAX) {
            *proof = (struct wm_str){0};
            return false;
        }
        expand(&s, at);
    }
    return true;
}

/* ---- repeated parts ---- */

/* The rest of a key from part i, behind the first n bytes of that part. */
static struct wm_key
rest_of(struct wm_arena *a, const struct wm_key *k, uint32_t i, size_t n)
{
    struct wm_key r = {.span = k->span, .part = WM_NEW_N(a, struct wm_kpart, k->npart - i + 1)};

    for (; i < k->npart; i++) {
        r.part[r.npart] = k->part[i];
        if (n > 0) {
            r.part[r.npart].text.p += n;
            r.part[r.npart].text.n -= n;
            n = 0;
        }
        r.npart++;
    }
    return r;
}

/* Every agreement among y's first n parts holds among x's, too. */
static bool
agree_alike(const struct wm_key *x, const struct wm_key *y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = i + 1; j < n; j++)
            if (wm_kpart_agree(&y->part[i], &y->part[j]) &&
                !wm_kpart_agree(&x->part[i], &x->part[j]))
                return false;
    return true;
}

/* Behind its first n parts, nothing of the key must agree with anything. */
static bool
free_from(const struct wm_key *k, uint32_t n)
{
    for (uint32_t j = n; j < k->npart; j++)
        for (uint32_t i = 0; i < j; i++)
            if (wm_kpart_agree(&k->part[i], &k->part[j]))
                return false;
    return true;
}

/* x and y begin with the same parts, which hold all of y's agreements, and the rest of x is in that
 * of y. */
static bool
contains_rest(struct wm_key_ask *q, const struct wm_key *x, const struct wm_key *y)
{
    uint32_t i = 0;
    size_t n = 0;
    struct wm_str lack;
    struct wm_key rx, ry;

    while (i < x->npart && i < y->npart && wm_kpart_same_print(&x->part[i], &y->part[i]))
        i++;
    if (i < x->npart && i < y->npart && x->part[i].kind == WM_KP_TEXT &&
        y->part[i].kind == WM_KP_TEXT)
        while (n < x->part[i].text.n && n < y->part[i].text.n &&
               x->part[i].text.p[n] == y->part[i].text.p[n])
            n++;
    if (!agree_alike(x, y, i) || !free_from(y, i))
        return false;
    rx = rest_of(&q->scratch, x, i, n);
    ry = rest_of(&q->scratch, y, i, n);
    return contains(q, &rx, &ry, &lack);
}

/* Fill the holes of x, one variable after the other, with a few values each, until a text is found
 * that x has and y lacks.  `decodes`: y is not ambiguous, so that what wm_key_match() refuses is
 * not in it. */
static bool
find_lacking(struct wm_key_ask *q, const struct wm_key *x, const struct wm_key *y, bool decodes,
             struct wm_str *proof)
{
    uint32_t i = 0;
    struct wm_str lack, text;
    struct wm_key_values v;

    if (q->tries == 0)
        return false;
    q->tries--;
    if (wm_key_repeated(x, 0) == x->npart && !contains(q, x, y, &lack) && lack.n > 0) {
        *proof = lack;
        return true;
    }
    while (i < x->npart && x->part[i].kind == WM_KP_TEXT)
        i++;
    if (i == x->npart) {
        text = x->npart ? x->part[0].text : WM_STR("");
        *proof = text;
        return decodes && !wm_key_ask_member(q, y, text);
    }
    v = wm_key_values_for(&q->scratch, &x->part[i], WM_STR(""));
    for (uint32_t k = 0; k < v.list.n && k < LACKING_VALUES; k++) {
        const struct wm_key *one = wm_key_replace(&q->scratch, x, &x->part[i], &v.list.item[k]);

        if (find_lacking(q, one, y, decodes, proof))
            return true;
    }
    return false;
}

static void
show_lacking(struct wm_key_ask *q, const struct wm_key *x, const struct wm_key *y,
             struct wm_str *proof)
{
    struct wm_str twice;
    bool decodes = !wm_key_ask_ambiguous(q, y, &twice);

    q->tries = LACKING_TRIES;
    if (!find_lacking(q, x, y, decodes, proof))
        *proof = (struct wm_str){0};
}

static bool
ask_inside(struct wm_key_ask *q, const struct wm_key *x, const struct wm_key *y,
           struct wm_str *proof)
{
    bool x_repeats = wm_key_repeated(x, 0) < x->npart;
    bool y_repeats = wm_key_repeated(y, 0) < y->npart;

    if (contains(q, x, y, proof)) {
        if (!y_repeats || contains_rest(q, x, y))
            return true;
        show_lacking(q, x, y, proof);
    } else if (x_repeats && proof->n > 0 && !wm_key_ask_member(q, x, *proof)) {
        show_lacking(q, x, y, proof);
    }
    return false;
}

bool
wm_key_inside(struct wm_arena *a, const struct wm_key *x, const struct wm_key *y,
              struct wm_str *proof)
{
    struct wm_key_ask q;
    struct wm_str lack = {0};
    bool yes;

    wm_key_ask_begin(&q, a);
    yes = ask_inside(&q, x, y, &lack);
    if (!yes && proof)
        *proof = wm_arena_str(a, lack);
    wm_key_ask_end(&q);
    return yes;
}
