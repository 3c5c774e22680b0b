/* compiler/key_nfa.h -- key templates as nondeterministic automata; private to compiler/key*.c.
 *
 * An automaton is built of parts: each is deterministic in itself, and a state where a part may end
 * has an `exit` to the state behind it (read: the edges of the exit are edges of the state, too;
 * exits do not chain). So the ways to read a text are exactly its decodings.  Edges carry a byte
 * range: one byte, [0], [1-9], [0-9] or any.  Several keys in one automaton share their common
 * beginnings. */
#ifndef WM_COMPILER_KEY_NFA_H
#define WM_COMPILER_KEY_NFA_H

#include "base/map.h"
#include "compiler/key.h"

struct wm_nfa_edge {
    uint32_t to, next; /* next edge of its state, or WM_NONE */
    uint32_t part;     /* 0: text; else 1 + the wm_nfa_part that it belongs to */
    uint8_t lo, hi;
};

struct wm_nfa_state {
    uint32_t edge;  /* first edge, or WM_NONE */
    uint32_t exit;  /* or WM_NONE */
    uint32_t leaf;  /* number of the key that ends here, or WM_NONE */
    uint32_t parts; /* first wm_nfa_part that begins here, or WM_NONE */
    uint32_t run;   /* after wm_nfa_finish: text bytes from here on without an alternative */
};

/* A hole in place: states shared by all keys with the same beginning and the same hole. */
struct wm_nfa_part {
    const struct wm_kpart *part;
    uint32_t exit, next;
};

struct wm_nfa {
    struct wm_arena *a;
    WM_VEC(struct wm_nfa_state) state; /* 0 is the start */
    WM_VEC(char) byte;                 /* of each state: the byte of its run */
    WM_VEC(struct wm_nfa_edge) edge;
    WM_VEC(struct wm_nfa_part) part;
    bool duplicate; /* a word stands twice in a list */
    bool mix_words; /* set it before the first key: words share their beginnings with all text beside
                       them, so that many lists at one place cost no more than their words; such an
                       automaton does not tell whether one key is ambiguous */
};

void wm_nfa_init(struct wm_nfa *n, struct wm_arena *a);
/* Empty it, keep its memory. */
void wm_nfa_clear(struct wm_nfa *n);
/* Add a key.  Its end gets the number `leaf`, unless the same template was there: then that one's
 * is returned. */
uint32_t wm_nfa_add(struct wm_nfa *n, const struct wm_key *k, uint32_t leaf);
/* Compute the runs; after the last wm_nfa_add. */
void wm_nfa_finish(struct wm_nfa *n);
/* Number of the key that may end at state s, or WM_NONE. */
uint32_t wm_nfa_accepts(const struct wm_nfa *n, uint32_t s);

/* All edges of state s, those of its exit included:
 *     for (struct wm_nfa_iter i = wm_nfa_edges(n, s); i.edge != WM_NONE; wm_nfa_next(n, &i)) */
struct wm_nfa_iter {
    uint32_t edge, exit;
};
struct wm_nfa_iter wm_nfa_edges(const struct wm_nfa *n, uint32_t s);
void wm_nfa_next(const struct wm_nfa *n, struct wm_nfa_iter *i);

/* Byte to show for a range: x, else 0, else 1, else its first. */
uint8_t wm_nfa_pick(uint8_t lo, uint8_t hi);

/* A search for a shortest text that two automata both read, or one reads in two ways; its memory is
 * reused. */
struct wm_nfa_pair {
    uint32_t p, q;   /* states of x and y; p <= q if they are one automaton */
    uint32_t parent; /* pair that it was reached from */
    uint32_t run;    /* by that many bytes of x's text from the parent's p; 0: by `byte` */
    uint32_t dist;   /* bytes from the start */
    uint8_t byte;
    bool split; /* one automaton: the two ways have parted */
    bool done;
};

struct wm_nfa_todo {
    uint32_t dist, pair;
};

struct wm_nfa_slot {
    uint32_t turn, pair; /* of this search only where turn is the search's */
};

struct wm_nfa_search {
    struct wm_arena *a;
    WM_VEC(struct wm_nfa_pair) pair;
    WM_VEC(struct wm_nfa_todo) heap; /* by dist, then age */
    struct wm_nfa_slot *slot;        /* [nslot] hash of pairs */
    uint32_t nslot, turn;
};

enum wm_answer { WM_ANSWER_NO, WM_ANSWER_YES, WM_ANSWER_OPEN };

void wm_nfa_search_init(struct wm_nfa_search *s, struct wm_arena *a);
/* x == y: two different ways; else one text for both.  Yes: *proof is allocated.  Open: given up,
 * which takes a hostile template. */
enum wm_answer wm_nfa_search(struct wm_nfa_search *s, const struct wm_nfa *x,
                             const struct wm_nfa *y, struct wm_str *proof);

#endif
