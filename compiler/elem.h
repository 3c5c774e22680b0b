/* compiler/elem.h -- element operations of a graph: chains of elementwise steps, and constants. */
#ifndef WM_COMPILER_ELEM_H
#define WM_COMPILER_ELEM_H

#include "compiler/graph.h"

/* The step that undoes one.  A cast that widens is undone by UNCAST, unless it is lossy. */
struct wm_plan_step wm_step_invert(const struct wm_plan_step *s);

/* A chain as an element operation; 0 where its steps cancel out. */
uint32_t wm_elem_chain(struct wm_graph *g, const struct wm_plan_step *step, uint32_t nstep,
                       enum wm_dtype from);
/* FILL or IS_FILL with a pattern of type t; EQUAL of two elements of type t. */
uint32_t wm_elem_fill(struct wm_graph *g, enum wm_elem_kind kind, enum wm_dtype t,
                      const uint8_t pattern[16]);
uint32_t wm_elem_equal(struct wm_graph *g, enum wm_dtype t, struct wm_str note);

#endif
