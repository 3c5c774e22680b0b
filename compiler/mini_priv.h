/* compiler/mini_priv.h -- between the files of mini: settings while they are collected, tensors
 * while they are invented. */
#ifndef WM_COMPILER_MINI_PRIV_H
#define WM_COMPILER_MINI_PRIV_H

#include "compiler/mini.h"

/* ---- settings (mini_settings.c, mini_values.c) ---- */

/* What the place of an expression says about its value. */
enum wm_use_of {
    WM_USE_ANY,
    WM_USE_NUMBER,
    WM_USE_BOOL,
    WM_USE_TEXT,
    WM_USE_DTYPE,
    WM_USE_LIST,
    WM_USE_NUMBERS, /* a set */
    WM_USE_SIZES,   /* a list with an item for each value of an index */
    WM_USE_TEXTS
};

/* A setting while it is collected. */
struct wm_seen {
    struct wm_setting s;
    enum wm_use_of use;
    WM_VEC(struct wm_str) word; /* strings that it is compared with */
    WM_VEC(int64_t) number;     /* and numbers */
};

/* Fill in the candidates of a setting. */
void wm_seen_values(struct wm_arena *a, struct wm_seen *s);
/* Append a setting that no map reads, with these values. */
void wm_inner_values(struct wm_arena *a, wm_settings *out, enum wm_setting_kind kind,
                     const int64_t *v, uint32_t n);

/* ---- tensors (mini_invent.c, mini_sizes.c) ---- */

/* One link. */
struct wm_invent {
    struct wm_bind b; /* first: wm_each_tuple() hands it on */
    const wm_settings *set;
    const struct wm_tset *next; /* what the next link reads, by key; NULL: there is none */
    struct wm_map made;         /* keys that the link writes */
    struct wm_map sizes;        /* axis name -> number in size */
    WM_VEC(int64_t) size;
    WM_VEC(uint8_t) narrow;
    bool *covered;       /* of the rule at hand */
    uint32_t most_equal; /* of its instances */
    uint32_t *nequal;
    int64_t nelem;
    const struct wm_rule *last; /* the latest rule by operations, and shapes that it took */
    const struct wm_gt *hint;
    uint32_t nhint;
    uint32_t *tries; /* of shapes, all instances together */
};

/* The key of number n of a term's tensors; empty: it has none. */
struct wm_str wm_invent_key(struct wm_invent *v, struct wm_inst *x, int side, uint32_t t,
                            const struct wm_sizes *z, int64_t n);
/* Have the axes that stand in a term's key a size? */
bool wm_invent_keys_known(const struct wm_rterm *t, const struct wm_sizes *z);
/* A size for a name that no axis of the rule has; the one that it had before, if that is free. */
int64_t wm_invent_size(struct wm_invent *v, const struct wm_rule *r, const struct wm_sizes *z,
                       struct wm_str name);
/* Report that no shape was found; false. */
bool wm_invent_unfit(struct wm_invent *v, const struct wm_inst *x, struct wm_str key);
/* Sizes for all axes of the instance, and for `...`. */
bool wm_invent_solve(struct wm_invent *v, struct wm_inst *x, struct wm_sizes *z);
/* Axes of a rule that its shapes can't tell apart: counted for the instance where they are most. */
void wm_invent_count_equal(struct wm_invent *v, const struct wm_rule *r, const struct wm_sizes *z);

#endif
