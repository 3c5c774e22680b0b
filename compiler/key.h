/* compiler/key.h -- resolved key templates, and the regular languages that they are.
 *
 * A key is a list of parts: literal text, an index printed in decimal, one of a list of words, or a capture of any
 * non-empty text.  `var` numbers the variable of a part in its rule; two parts with the same var (and the same
 * print) must agree, which the language-theoretic questions below ignore only where that can't make a wrong "no".
 *
 * Questions about sets of templates are decided exactly by automata; each "yes" shows a key that proves it. */
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
    struct wm_str text;            /* TEXT */
    uint32_t var;                  /* INDEX, WORDS, CAPTURE: the rule's variable, or composite, number */
    uint32_t width;                /* INDEX: zero-padded to this, 0: no padding */
    const struct wm_expr *shift;   /* INDEX: the expression to print, or NULL for the plain value */
    const struct wm_str *word;     /* WORDS: [nword] */
    uint32_t nword;
};

struct wm_key {
    struct wm_span span;
    struct wm_kpart *part;         /* never two TEXT in a row */
    uint32_t npart;
    bool has_capture;
};

/* The language of a part, at check: TEXT its bytes; INDEX any decimal number without leading zeros (0 included) or,
 * with a width W, any number printed with at least W digits (zero-padded, no further leading zeros);
 * WORDS its words; CAPTURE any non-empty text. */

/* Not uniquely decodable?  Then *proof is a key that decodes in two ways. */
bool wm_key_ambiguous(struct wm_arena *a, const struct wm_key *k, struct wm_str *proof);

/* Do two keys share a text?  Then *proof is one. */
bool wm_key_overlap(struct wm_arena *a, const struct wm_key *x, const struct wm_key *y,
                    struct wm_str *proof);

/* Is the language of x inside that of y?  If not, *proof (may be NULL) is a text of x that y lacks. */
bool wm_key_inside(struct wm_arena *a, const struct wm_key *x, const struct wm_key *y,
                   struct wm_str *proof);

/* All overlapping pairs among n keys, without comparing every pair (2 000 keys in well under 100 ms: keys are
 * sorted into a trie by their literal beginnings and endings first).  Calls found() for each; false stops. */
void wm_keys_overlaps(struct wm_arena *a, const struct wm_key *const *k, uint32_t n,
                      bool (*found)(void *user, uint32_t i, uint32_t j, struct wm_str proof), void *user);

/* Match a text.  value[part] gets, for INDEX, the printed number; for WORDS, the word's ordinal; cap[part], for
 * CAPTURE, the text.  Both are [npart].  The only decoding, if the key is not ambiguous. */
bool wm_key_match(const struct wm_key *k, struct wm_str text, int64_t *value, struct wm_str *cap);

/* As a template's text without quotes: "model.layers.{layer}.{p in q|k}.weight"; name(user, var) gives names. */
struct wm_buf;
void wm_key_print(const struct wm_key *k, struct wm_str (*name)(void *user, uint32_t var), void *user,
                  struct wm_buf *out);

#endif
