/* compiler/invert.h -- maps back to text: the inverse of a file, and a composition as one map. */
#ifndef WM_COMPILER_INVERT_H
#define WM_COMPILER_INVERT_H

#include "compiler/module.h"

/* Print the inverse of one map; comments stay.  False: diagnostics name rule, operation and remedy. */
bool wm_invert_file(struct wm_cc *cc, struct wm_module *m, struct wm_buf *out);
/* Print a chain of several maps (or one with imports), or its inverse, as one map without imports. */
enum wm_status wm_print_fused(struct wm_cc *cc, struct wm_chain *c, bool back, struct wm_buf *out,
                              struct wm_err *err);

void wm_check_args(struct wm_module *m, const struct wm_chain_link *l);

#endif
