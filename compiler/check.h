/* compiler/check.h -- what the checking passes share among themselves (see module.h for what they make). */
#ifndef WM_COMPILER_CHECK_H
#define WM_COMPILER_CHECK_H

#include "compiler/module.h"

/* Variables of a rule. */
uint32_t wm_rule_find_var(const struct wm_rule *r, struct wm_str name);
uint32_t wm_rule_index_var(struct wm_module *m, struct wm_rule *r, uint32_t index, struct wm_span span);

/* Keys: declare the words and captures of every template of a rule first, then resolve each key. */
void wm_declare_holes(struct wm_module *m, struct wm_rule *r, int side, const struct wm_template *t);
bool wm_resolve_templates(struct wm_module *m, struct wm_rule *r, int side,
                          const struct wm_template *const *t, uint32_t n, struct wm_key *out);
bool wm_check_shift(struct wm_module *m, const struct wm_expr *e, const struct wm_expr *index);
bool wm_expr_has(const struct wm_expr *e, const struct wm_expr *node);
void wm_check_ambiguous(struct wm_module *m, const struct wm_key *k);

/* Axes of a rule: the one of that name, or WM_NONE; the same, made where it is new. */
uint32_t wm_rule_find_axis(const struct wm_rule *r, struct wm_str name);
uint32_t wm_rule_axis(struct wm_module *m, struct wm_rule *r, struct wm_str name, struct wm_span span);

/* Rules: append one (an override replaces used ones). */
void wm_add_rule(struct wm_module *m, struct wm_rule *r);
bool wm_rules_share_key(struct wm_arena *a, const struct wm_rule *x, const struct wm_rule *y);

/* The dimensions of a term; NULL: [...]. */
bool wm_resolve_pattern(struct wm_module *m, struct wm_rule *r, const struct wm_pattern *p, struct wm_rterm *t);

/* A `lora` line of a side (compiler/check_lora.c). */
void wm_check_lora(struct wm_module *m, int side, const struct wm_side_item *it);

/* A `scales` line of a side (compiler/check_scales.c). */
void wm_check_scales(struct wm_module *m, int side, const struct wm_side_item *it);
/* Do all terms of a side's line have the same variables, so that each leads to the others?  The term that lacks one, or
 * WM_NONE; *var is what it lacks. */
uint32_t wm_check_common(struct wm_module *m, const struct wm_rule *scope, uint32_t nterm, uint32_t *var);

/* A scope for templates outside of rules. */
struct wm_rule *wm_scope_new(struct wm_module *m, struct wm_span span);

/* Does a shard block on that side cut by this index (or by a composite that has it as a component)? */
bool wm_index_is_sharded(const struct wm_module *m, int side, uint32_t index);

#endif
