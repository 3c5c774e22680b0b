/* compiler/pattern.h -- patterns expanded over their sums.
 *
 * One way through the sums of a term is an alternative: an offset, and a stride for each axis on it, in elements of
 * the term's tensor.  Alternatives are always made in the same order, so that the products that were paired without
 * sizes (check) and the strides (bind) meet by number. */
#ifndef WM_COMPILER_PATTERN_H
#define WM_COMPILER_PATTERN_H

#include "compiler/module.h"

enum { WM_MAX_ALTS = 4096 };

struct wm_alt {
    int64_t off;
    uint32_t naxis;
    uint32_t *axis;       /* in the order of the text, outermost first */
    int64_t *stride;
};

struct wm_alts {
    WM_VEC(struct wm_alt) alt;
    int64_t extent;       /* elements of the whole */
};

/* Expand a term.  size[axis] may be NULL: then offsets and strides mean nothing.  With sizes, extents are checked:
 * false on overflow or past WM_MAX_ALTS. */
bool wm_term_expand(struct wm_arena *a, const struct wm_rterm *t, const int64_t *size, struct wm_alts *out);

/* Size of one dimension from the sizes of its axes; false on overflow. */
bool wm_dim_size(const struct wm_rpat *p, const int64_t *size, int64_t *out);

/* Solve for the only unknown axis (size < 0) of a dimension that has `extent` elements.  SOLVED sets it; NONE: nothing
 * unknown; MANY: more than one; BAD: it does not fit (a rest, or negative). */
enum wm_solve { WM_SOLVED, WM_SOLVE_NONE, WM_SOLVE_MANY, WM_SOLVE_BAD };
enum wm_solve wm_dim_solve(const struct wm_rpat *p, int64_t *size, int64_t extent, uint32_t *axis);

/* How many different unknown axes a dimension has, and one of them. */
uint32_t wm_dim_unknown(const struct wm_rpat *p, const bool *known, uint32_t *axis);

#endif
