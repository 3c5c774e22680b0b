/* api/fold.h -- many names in few lines: model.layers.{0..21}.mlp.up_proj.weight.
 *
 * Names that differ only in numbers between dots (or slashes), and that the caller puts in one
 * class (same shape and dtype, say), share a line if the line's sets of numbers describe exactly
 * them.  Also the order in which names are shown: numbers by value. */
#ifndef WM_API_FOLD_H
#define WM_API_FOLD_H

#include <stdint.h>

#include "base/arena.h"

struct wm_fold_item {
    struct wm_str name;
    uint64_t cls; /* only items of one class share a line */
};

struct wm_fold_line {
    struct wm_str name; /* "layers.{0..3,7}.w", escaped for a terminal */
    uint32_t *member;   /* [n] items, ascending */
    uint32_t n;
};

/* Lines in the order of their first item. */
void wm_fold(struct wm_arena *a, const struct wm_fold_item *item, uint32_t n,
             struct wm_fold_line **line, uint32_t *nline);

/* Order of names: numbers by value, other bytes as they are. */
int wm_name_cmp(struct wm_str a, struct wm_str b);

#endif
