/* compiler/invert.h -- maps back to text: the inverse of a map, and a composition as one map. */
#ifndef WM_COMPILER_INVERT_H
#define WM_COMPILER_INVERT_H

#include "compiler/module.h"

/* Print a chain (a map, with or without imports and arguments; an inverse; a composition) as one map without imports;
 * `back`: its inverse.  Comments stay.  WM_NO: an operation has no inverse, diagnostics name rule, operation and
 * remedy.  WM_ESUPPORT: a composition that can't be said as one map; err tells which rules. */
enum wm_status wm_print_chain(struct wm_cc *cc, struct wm_chain *c, bool back, struct wm_buf *out,
                              struct wm_err *err);

/* `x >> y` of two maps without imports as one tree (compiler/fuse_text.c).  NULL: *why names the rules. */
struct wm_file_ast *wm_fuse_text(struct wm_cc *cc, struct wm_module *x, struct wm_module *y, struct wm_str *why);

/* Comments at the top of the text of m: what a run from left to right has to rely on (compiler/obligations.c).  Those of
 * an earlier printing are replaced. */
void wm_add_obligations(struct wm_cc *cc, const struct wm_module *m, struct wm_file_ast *f);

void wm_check_args(struct wm_module *m, const struct wm_chain_link *l);

#endif
