/* compiler/emit.h -- `emit "params.json" { dim = ... }`: small files that go with the tensors of a side. */
#ifndef WM_COMPILER_EMIT_H
#define WM_COMPILER_EMIT_H

#include "compiler/graph.h"

struct wm_bind;

/* Evaluate the emit items of the written side and add them as sidecars.  False: diagnostics. */
bool wm_emit_files(const struct wm_graph *g, struct wm_plan_builder *pb);

/* The side that is read: its `checked` files, where the input's directory has them, must say what the map says.
 * False: diagnostics. */
bool wm_check_emitted(struct wm_bind *b);

#endif
