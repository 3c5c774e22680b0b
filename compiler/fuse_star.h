/* compiler/fuse_star.h -- between the files that fuse rules with patterns: a center and the rules that it meets. */
#ifndef WM_COMPILER_FUSE_STAR_H
#define WM_COMPILER_FUSE_STAR_H

#include "compiler/fuse.h"

/* An axis of the rule that is made. */
struct wm_star_axis {
    struct wm_str name;
    struct wm_expr *size;    /* NULL: not said */
    bool said;               /* by `where`: it must be said again */
    bool fixed;              /* it may not be replaced */
    const struct wm_pat *to; /* what replaces it */
};

/* A half with copies of its patterns. */
struct wm_star_member {
    struct wm_half *h;
    const struct wm_guest *guest; /* NULL: the center */
    uint32_t *center_term;        /* [terms in the middle] */
    struct wm_pattern **mid, **out;
    uint32_t first, end;  /* its axes */
    struct wm_pat **rest; /* what its `...` is; NULL: itself */
    uint32_t nrest;
    bool has_rest;
};

struct wm_star {
    struct wm_fuse *x;
    WM_VEC(struct wm_star_member) at; /* the center first */
    WM_VEC(struct wm_star_axis) axis;
    struct wm_rule_out o;
};

/* Say that the center and this rule can't be one; false. */
bool wm_star_fail(struct wm_star *s, const struct wm_star_member *m);
/* The axis that a pattern is, or NULL. */
struct wm_star_axis *wm_star_axis_of(struct wm_star *s, const struct wm_pat *p);

/* ---- making patterns equal (fuse_unify.c) ---- */

/* What an axis has become, if anything. */
const struct wm_pat *wm_star_resolved(struct wm_star *s, const struct wm_pat *p);
/* Put what is known of a member's `...` into a pattern. */
void wm_star_open_rest(struct wm_star *s, const struct wm_star_member *m, struct wm_pattern *p);
/* Make the patterns of the center and of its leaves equal; false: they can't be, which is said. */
bool wm_star_unify(struct wm_star *s);

#endif
