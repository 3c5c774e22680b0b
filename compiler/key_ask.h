/* compiler/key_ask.h -- questions about one or two keys; private to compiler/key*.c.
 *
 * Automata and searches live in a scratch arena that is freed with the question, as only proofs are
 * to stay.  Meanwhile the caller's arena has a hook that frees it, too, where memory runs out. */
#ifndef WM_COMPILER_KEY_ASK_H
#define WM_COMPILER_KEY_ASK_H

#include "compiler/key_nfa.h"

struct wm_key_ask {
    struct wm_arena scratch;
    struct wm_arena *caller;
    void (*oom)(void *user); /* the caller's hook */
    void *oom_user;
    struct wm_nfa x, y;
    struct wm_nfa_search search;
    uint32_t tries; /* left for templates with repeated parts */
};

/* q must stay where it is until wm_key_ask_end(). */
void wm_key_ask_begin(struct wm_key_ask *q, struct wm_arena *caller);
void wm_key_ask_end(struct wm_key_ask *q);

/* As wm_key_overlap() and wm_key_ambiguous(), but for the proof, which is in the scratch arena. */
bool wm_key_ask_overlap(struct wm_key_ask *q, const struct wm_key *x, const struct wm_key *y,
                        struct wm_str *proof);
bool wm_key_ask_ambiguous(struct wm_key_ask *q, const struct wm_key *k, struct wm_str *proof);
/* Does the text belong to the key?  Repeated parts agree.  False where it can't be told. */
bool wm_key_ask_member(struct wm_key_ask *q, const struct wm_key *k, struct wm_str text);

#endif
