/* compiler/key_value.h -- values to try for the holes of a key; private to compiler/key*.c. */
#ifndef WM_COMPILER_KEY_VALUE_H
#define WM_COMPILER_KEY_VALUE_H

#include "compiler/key.h"

struct wm_key_value {
    uint32_t word;   /* of WORDS: the ordinal */
    struct wm_str s; /* of CAPTURE: the text; of INDEX: the digits, without padding */
};

struct wm_key_values {
    WM_VEC(struct wm_key_value) list;
    bool all; /* no other value is possible */
};

/* What to try for a part, the smallest first, in view of a text that has to do with the question.
 */
struct wm_key_values wm_key_values_for(struct wm_arena *a, const struct wm_kpart *p,
                                       struct wm_str hint);
/* The key with all parts that agree with `part` replaced by the value. */
struct wm_key *wm_key_replace(struct wm_arena *a, const struct wm_key *k,
                              const struct wm_kpart *part, const struct wm_key_value *v);

#endif
