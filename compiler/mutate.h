/* compiler/mutate.h -- wrong maps made from a right one, each by one small change of a rule. */
#ifndef WM_COMPILER_MUTATE_H
#define WM_COMPILER_MUTATE_H

#include "compiler/module.h"

struct wm_mutant {
    const struct wm_module *mod;    /* whose file is changed */
    const struct wm_rule_ast *rule; /* which rule of it */
    struct wm_span span;            /* where */
    struct wm_str what;             /* "axes `q` and `e` exchanged" */
    struct wm_str text;             /* of the whole file */
};
typedef WM_VEC(struct wm_mutant *) wm_mutants;

/* All mutants of the rules of one file, no two of the same text, none equal to the original. */
void wm_mutate(struct wm_cc *cc, struct wm_module *m, wm_mutants *out);

#endif
