/* compiler/key_ask.c -- ambiguity and overlap of keys, repeated parts included.
 *
 * Without repeated parts the automata decide.  With them ("{i}.{i}") the automata know too many
 * texts: their "no" holds, and so does a "yes" whose proof belongs to the key.  Otherwise repeated
 * parts are replaced by values: words by all of theirs, which decides; numbers and captures by a
 * few small ones and by those that the proof suggests, which finds a true proof or leaves the
 * question open (answered "yes", with no proof). */
#include "compiler/key_ask.h"

#include "compiler/key_parts.h"
#include "compiler/key_value.h"

/* Automata to build at most for one question; template pairs with more choices stay open. */
enum { TRIES_MAX = 2000 };

static void
out_of_memory(void *user)
{
    struct wm_key_ask *q = user;

    wm_key_ask_end(q);
    if (q->oom)
        q->oom(q->oom_user);
}

void
wm_key_ask_begin(struct wm_key_ask *q, struct wm_arena *caller)
{
    *q = (struct wm_key_ask){.caller = caller, .oom = caller->oom, .oom_user = caller->oom_user};
    caller->oom = out_of_memory;
    caller->oom_user = q;
    wm_arena_init(&q->scratch, caller->sys, out_of_memory, q);
    wm_nfa_init(&q->x, &q->scratch);
    wm_nfa_init(&q->y, &q->scratch);
    wm_nfa_search_init(&q->search, &q->scratch);
}

void
wm_key_ask_end(struct wm_key_ask *q)
{
    wm_arena_fini(&q->scratch);
    q->caller->oom = q->oom;
    q->caller->oom_user = q->oom_user;
}

static void
build(struct wm_nfa *n, const struct wm_key *k)
{
    wm_nfa_clear(n);
    wm_nfa_add(n, k, 0);
    wm_nfa_finish(n);
}

/* Without agreement of repeated parts. */
static enum wm_answer
share_text(struct wm_key_ask *q, const struct wm_key *x, const struct wm_key *y,
           struct wm_str *proof)
{
    build(&q->x, x);
    build(&q->y, y);
    return wm_nfa_search(&q->search, &q->x, &q->y, proof);
}

static enum wm_answer
reads_twice(struct wm_key_ask *q, const struct wm_key *k, struct wm_str *proof)
{
    build(&q->x, k);
    return wm_nfa_search(&q->search, &q->x, &q->x, proof);
}

bool
wm_key_ask_member(struct wm_key_ask *q, const struct wm_key *k, struct wm_str text)
{
    int64_t *value = WM_NEW_N(&q->scratch, int64_t, k->npart);
    struct wm_str *cap = WM_NEW_N(&q->scratch, struct wm_str, k->npart);

    return wm_key_match(k, text, value, cap);
}

/* ---- overlap ---- */

static enum wm_answer
overlap(struct wm_key_ask *q, const struct wm_key *x, const struct wm_key *y, struct wm_str *proof)
{
    uint32_t i = wm_key_repeated(x, 0);
    enum wm_answer answer;
    struct wm_kpart part;
    struct wm_key_values v;

    if (q->tries == 0)
        return WM_ANSWER_OPEN;
    q->tries--;
    answer = share_text(q, x, y, proof);
    if (answer != WM_ANSWER_YES)
        return answer;
    answer = WM_ANSWER_NO;
    if (i == x->npart) {
        const struct wm_key *swap = x;

        x = y;
        y = swap;
        i = wm_key_repeated(x, 0);
        if (i == x->npart)
            return WM_ANSWER_YES;
    }
    if (wm_key_ask_member(q, x, *proof) && wm_key_ask_member(q, y, *proof))
        return WM_ANSWER_YES;
    part = x->part[i];
    v = wm_key_values_for(&q->scratch, &part, *proof);
    if (!v.all)
        answer = WM_ANSWER_OPEN;
    for (uint32_t k = 0; k < v.list.n; k++) {
        enum wm_answer one =
            overlap(q, wm_key_replace(&q->scratch, x, &part, &v.list.item[k]), y, proof);

        if (one == WM_ANSWER_YES)
            return WM_ANSWER_YES;
        if (one == WM_ANSWER_OPEN)
            answer = WM_ANSWER_OPEN;
    }
    return answer;
}

/* The only text of a key without holes decides by itself. */
static bool
decided_by_text(struct wm_key_ask *q, const struct wm_key *x, const struct wm_key *y)
{
    return x->npart == 1 && x->part[0].kind == WM_KP_TEXT &&
           reads_twice(q, y, &(struct wm_str){0}) == WM_ANSWER_NO &&
           !wm_key_ask_member(q, y, x->part[0].text);
}

bool
wm_key_ask_overlap(struct wm_key_ask *q, const struct wm_key *x, const struct wm_key *y,
                   struct wm_str *proof)
{
    enum wm_answer answer;

    q->tries = TRIES_MAX;
    answer = overlap(q, x, y, proof);
    if (answer == WM_ANSWER_OPEN) {
        *proof = (struct wm_str){0};
        if (decided_by_text(q, x, y) || decided_by_text(q, y, x))
            answer = WM_ANSWER_NO;
    }
    return answer != WM_ANSWER_NO;
}

/* ---- ambiguity ---- */

/* Two copies of one key with the same parts replaced, by different values if `differ`: do they
 * share a text? */
static enum wm_answer
twice(struct wm_key_ask *q, const struct wm_key *x, const struct wm_key *y, bool differ,
      struct wm_str *proof)
{
    uint32_t i = wm_key_repeated(x, 0);
    enum wm_answer answer;
    struct wm_kpart part;
    struct wm_key_values v;

    if (q->tries == 0)
        return WM_ANSWER_OPEN;
    q->tries--;
    answer = differ ? share_text(q, x, y, proof) : reads_twice(q, x, proof);
    if (answer != WM_ANSWER_YES)
        return answer;
    answer = WM_ANSWER_NO;
    if (i == x->npart)
        return WM_ANSWER_YES;
    part = x->part[i];
    v = wm_key_values_for(&q->scratch, &part, *proof);
    if (!v.all)
        answer = WM_ANSWER_OPEN;
    for (uint32_t k = 0; k < v.list.n; k++) {
        const struct wm_key *one = wm_key_replace(&q->scratch, x, &part, &v.list.item[k]);

        for (uint32_t l = differ ? 0 : k; l < v.list.n; l++) {
            const struct wm_key *two = wm_key_replace(&q->scratch, y, &part, &v.list.item[l]);
            enum wm_answer both = twice(q, one, two, differ || l != k, proof);

            if (both == WM_ANSWER_YES)
                return WM_ANSWER_YES;
            if (both == WM_ANSWER_OPEN)
                answer = WM_ANSWER_OPEN;
        }
    }
    return answer;
}

bool
wm_key_ask_ambiguous(struct wm_key_ask *q, const struct wm_key *k, struct wm_str *proof)
{
    enum wm_answer answer = reads_twice(q, k, proof);

    if (answer == WM_ANSWER_NO)
        return false;
    if (answer == WM_ANSWER_YES && wm_key_repeated(k, 0) == k->npart)
        return true;
    if (!q->x.duplicate && wm_key_by_length(k))
        return false;
    q->tries = TRIES_MAX;
    if (answer == WM_ANSWER_OPEN || twice(q, k, k, false, proof) != WM_ANSWER_YES)
        *proof = (struct wm_str){0}; /* to be refused all the same: matching ignores agreement */
    return true;
}

bool
wm_key_ambiguous(struct wm_arena *a, const struct wm_key *k, struct wm_str *proof)
{
    struct wm_key_ask q;
    bool yes;

    wm_key_ask_begin(&q, a);
    yes = wm_key_ask_ambiguous(&q, k, proof);
    if (yes)
        *proof = wm_arena_str(a, *proof);
    wm_key_ask_end(&q);
    return yes;
}

bool
wm_key_overlap(struct wm_arena *a, const struct wm_key *x, const struct wm_key *y,
               struct wm_str *proof)
{
    struct wm_key_ask q;
    bool yes;

    wm_key_ask_begin(&q, a);
    yes = wm_key_ask_overlap(&q, x, y, proof);
    if (yes)
        *proof = wm_arena_str(a, *proof);
    wm_key_ask_end(&q);
    return yes;
}
