/* compiler/bind_lint.h -- warnings of what fits the headers but may be meant otherwise.
 *
 * Two of them: axes of equal size whose order a rule exchanges, and shards that cut through what a
 * rule's pattern holds together.  In both cases the way back is equal to the bit whether the map is
 * right or wrong, so that nothing else can tell.  Made only where the binding asks for them. */
#ifndef WM_COMPILER_BIND_LINT_H
#define WM_COMPILER_BIND_LINT_H

#include "compiler/bind_geom.h"
#include "compiler/shard.h"

struct wm_lint;

struct wm_lint *wm_lint_new(struct wm_arena *a);

/* The sizes of some instances are known: are two axes alike that change their order? */
void wm_lint_axes(struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z);
/* The tensor `key` of that side is term t, with these sizes. */
void wm_lint_term(struct wm_bind *b, int side, struct wm_str key, const struct wm_inst *x,
                  const struct wm_rterm *t, const struct wm_sizes *z);
/* Dimension `dim` of the whole tensor `key` of that side is cut so. */
void wm_lint_cut(struct wm_bind *b, int side, struct wm_str key, const struct wm_cut_line *l,
                 uint32_t dim, const struct wm_cut *cut);
/* All is known: compare terms and cuts. */
void wm_lint_report(struct wm_bind *b);

#endif
