/* compiler/key_ask.h -- questions about one or two keys with memory that is reused; private to
 * compiler/key*.c. */
#ifndef WM_COMPILER_KEY_ASK_H
#define WM_COMPILER_KEY_ASK_H

#include "compiler/key_nfa.h"

struct wm_key_ask {
    struct wm_arena *a; /* for proofs, and for memory to grow */
    struct wm_nfa x, y;
    struct wm_nfa_search search;
    uint32_t tries; /* left for templates with repeated parts */
};

void wm_key_ask_init(struct wm_key_ask *q, struct wm_arena *a);
/* As wm_key_overlap() and wm_key_ambiguous(). */
bool wm_key_ask_overlap(struct wm_key_ask *q, const struct wm_key *x, const struct wm_key *y,
                        struct wm_str *proof);
bool wm_key_ask_ambiguous(struct wm_key_ask *q, const struct wm_key *k, struct wm_str *proof);
/* Does the text belong to the key?  Repeated parts agree.  False where it can't be told. */
bool wm_key_ask_member(struct wm_key_ask *q, const struct wm_key *k, struct wm_str text);

#endif
