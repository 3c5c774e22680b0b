/* compiler/emit.h -- `emit "params.json" { dim = ... }`: small JSON files that go with the output. */
#ifndef WM_COMPILER_EMIT_H
#define WM_COMPILER_EMIT_H

#include "compiler/graph.h"

/* Evaluate the emit items of the written side and add them as sidecars.  False: diagnostics. */
bool wm_emit_files(const struct wm_graph *g, struct wm_plan_builder *pb);

#endif
