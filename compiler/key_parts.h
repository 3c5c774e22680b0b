/* compiler/key_parts.h -- small facts about the parts of a key; private to compiler/key*.c. */
#ifndef WM_COMPILER_KEY_PARTS_H
#define WM_COMPILER_KEY_PARTS_H

#include "compiler/key.h"

/* Digits that an index prints at least. */
static inline uint32_t
wm_kpart_width(const struct wm_kpart *p)
{
    return p->width > 1 ? p->width : 1;
}

/* The same part but for its variable: same kind, same texts, same padding. */
bool wm_kpart_same_print(const struct wm_kpart *p, const struct wm_kpart *q);
/* Two parts of one key that have to stand for the same value. */
bool wm_kpart_agree(const struct wm_kpart *p, const struct wm_kpart *q);
/* The first part from `from` on that has a later one to agree with and none before; npart: no such.
 */
uint32_t wm_key_repeated(const struct wm_key *k, uint32_t from);
/* Repeated parts whose one length is the only unknown: it follows from the length of the text, so
 * such a key ("{a*}.{a*}") decodes in one way even where its automaton does not. */
bool wm_key_by_length(const struct wm_key *k);

#endif
