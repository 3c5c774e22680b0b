/* compiler/key.h -- resolved key templates, and the regular languages that they are.
 *
 * A key is a list of parts: literal text, an index printed in decimal, one of a list of words, or a
 * capture of any non-empty text.  `var` numbers the variable of a part in its rule; parts with the
 * same var (and, for an index, the same shift) must agree.
 *
 * The language of a part: TEXT its bytes; INDEX any decimal number without leading zeros (0
 * included) or, with a width W, any number printed with at least W digits (zero-padded, no further
 * leading zeros); WORDS its words, none of which is empty; CAPTURE any non-empty text.
 *
 * Questions about sets of templates are decided exactly by automata; each "yes" shows a key that
 * proves it: a shortest one, with 0, 1, 10 for numbers and x for free text where there is a choice.
 * Agreement of repeated parts makes a language that is not regular: no proof ever violates it, and
 * where a template with repeated parts could not be decided, the answer is the one that can do no
 * harm (stated below) and the proof an empty string.  The same goes for templates of thousands of
 * bytes that are made to be hard: a question takes at most some 30 MiB, freed before it returns. */
#ifndef WM_COMPILER_KEY_H
#define WM_COMPILER_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/source.h"

enum wm_kpart_kind { WM_KP_TEXT, WM_KP_INDEX, WM_KP_WORDS, WM_KP_CAPTURE };

struct wm_kpart {
    enum wm_kpart_kind kind;
    struct wm_span span;
    struct wm_str text; /* TEXT */
    uint32_t var;       /* INDEX, WORDS, CAPTURE: the rule's variable, or composite, number */
    uint32_t width;     /* INDEX: zero-padded to this, 0: no padding */
    const struct wm_expr *shift; /* INDEX: the expression to print, or NULL for the plain value */
    const struct wm_str *word;   /* WORDS: [nword] */
    uint32_t nword;
};

enum { WM_MAX_PARTS = 256 }; /* of a key of a map */

struct wm_key {
    struct wm_span span;
    struct wm_kpart *part; /* never two TEXT in a row */
    uint32_t npart;
    bool has_capture;
};

/* Not uniquely decodable?  Then *proof is a key that decodes in two ways.  In doubt: yes. */
bool wm_key_ambiguous(struct wm_arena *a, const struct wm_key *k, struct wm_str *proof);

/* Do two keys share a text?  Then *proof is one.  In doubt: yes. */
bool wm_key_overlap(struct wm_arena *a, const struct wm_key *x, const struct wm_key *y,
                    struct wm_str *proof);

/* Is the language of x inside that of y?  If not, *proof (may be NULL) is a text of x that y lacks.
 * In doubt: no. */
bool wm_key_inside(struct wm_arena *a, const struct wm_key *x, const struct wm_key *y,
                   struct wm_str *proof);

/* All overlapping pairs i < j among n keys, in ascending order, without comparing every pair (2 000
 * keys in well under 100 ms: one automaton of all keys that shares common beginnings is run against
 * itself).  Calls found() for each, with the proof of wm_key_overlap(); false stops. */
void wm_keys_overlaps(struct wm_arena *a, const struct wm_key *const *k, uint32_t n,
                      bool (*found)(void *user, uint32_t i, uint32_t j, struct wm_str proof),
                      void *user);

/* Match a text.  value[part] gets, for INDEX, the printed number; for WORDS, the word's ordinal;
 * cap[part] the text that the part took.  Both are [npart] and are scratch where the result is
 * false.  Numbers above INT64_MAX do not match.  The only decoding, if the key is not ambiguous; an
 * ambiguous one may miss texts.  Allocates nothing; time is linear in the text and, for the bytes
 * around a capture, in the square of the template at worst. */
bool wm_key_match(const struct wm_key *k, struct wm_str text, int64_t *value, struct wm_str *cap);

/* As a template's text without quotes: "model.layers.{layer}.{p in q|k}.weight"; name(user, var)
 * gives names. */
struct wm_buf;
void wm_key_print(const struct wm_key *k, struct wm_str (*name)(void *user, uint32_t var),
                  void *user, struct wm_buf *out);

#endif
