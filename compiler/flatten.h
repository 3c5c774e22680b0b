/* compiler/flatten.h -- trees of several modules as one tree: copies whose names do not clash.
 *
 * A part is a module whose statements are copied.  Each name of a part (params, lets, indices, axes, words, captures)
 * gets one new name in the whole copy, so that what binds what stays; a param, let or index is copied when something
 * that is copied needs it. */
#ifndef WM_COMPILER_FLATTEN_H
#define WM_COMPILER_FLATTEN_H

#include "compiler/module.h"

/* What a name of one rule stands for, before the names of its part: another name, or a word. */
struct wm_subst {
    struct wm_str name, to;
    bool is_word;
};

struct wm_part_of {
    struct wm_module *m;
    struct wm_str prefix;        /* of its new names */
    struct wm_map ids;           /* every name that occurs in it -> number of its new name */
    WM_VEC(struct wm_str) id;    /* old names */
    struct wm_str *now;          /* new ones */
    const struct wm_chain_link *link; /* its arguments, or NULL */
    WM_VEC(struct wm_subst) subst;    /* of the rule that is being copied */
};

struct wm_flat {
    struct wm_cc *cc;
    WM_VEC(struct wm_part_of *) part; /* the first one keeps its names */
    WM_VEC(struct wm_stmt *) def;     /* params, lets, indices, in the order of need */
    struct wm_map done;               /* new names of those */
};

struct wm_part_of *wm_flat_add(struct wm_flat *f, struct wm_module *m, struct wm_str prefix,
                               const struct wm_chain_link *link);
/* Give all names; once, when all parts are there. */
void wm_flat_names(struct wm_flat *f);
/* A name of the whole copy that no part has, made of this one. */
struct wm_str wm_flat_fresh(struct wm_flat *f, struct wm_str name);

/* Do two indices of two parts have the same values by their text? */
bool wm_flat_same_index(struct wm_part_of *x, uint32_t i, struct wm_part_of *y, uint32_t k);

/* Copies (compiler/flatten_copy.c). */
struct wm_str wm_flat_name(struct wm_flat *f, struct wm_part_of *p, struct wm_str name);
struct wm_expr *wm_flat_expr(struct wm_flat *f, struct wm_part_of *p, const struct wm_expr *e);
struct wm_template *wm_flat_template(struct wm_flat *f, struct wm_part_of *p, const struct wm_template *t);
struct wm_pattern *wm_flat_pattern(struct wm_flat *f, struct wm_part_of *p, const struct wm_pattern *t);
struct wm_clause *wm_flat_clauses(struct wm_flat *f, struct wm_part_of *p, const struct wm_clause *c, uint32_t n);
struct wm_opcall *wm_flat_ops(struct wm_flat *f, struct wm_part_of *p, const struct wm_opcall *op, uint32_t n);
struct wm_fill *wm_flat_fill(struct wm_flat *f, struct wm_part_of *p, const struct wm_fill *fill);
struct wm_rule_ast *wm_flat_rule(struct wm_flat *f, struct wm_part_of *p, const struct wm_rule_ast *r);
struct wm_side_item *wm_flat_item(struct wm_flat *f, struct wm_part_of *p, const struct wm_side_item *it,
                                  struct wm_side_item *out);
/* Any statement but rules and blocks of rules. */
struct wm_stmt *wm_flat_stmt(struct wm_flat *f, struct wm_part_of *p, const struct wm_stmt *st);
/* The same; a param that the part's link gives a value becomes a let. */
struct wm_stmt *wm_flat_def(struct wm_flat *f, struct wm_part_of *p, const struct wm_stmt *st);

/* One map without imports and arguments, with the same meaning. */
struct wm_file_ast *wm_flatten(struct wm_cc *cc, const struct wm_chain_link *l);

#endif
