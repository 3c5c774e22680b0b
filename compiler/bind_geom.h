/* compiler/bind_geom.h -- geometry of one rule for one set of sizes.
 *
 * All instances of a rule with the same sizes and dtypes share a variant: its boxes, made once.  The tensors of an
 * instance's reading side are numbered term by term, the values of a term's key axes in row-major order; an output
 * refers to them through its own list of slots. */
#ifndef WM_COMPILER_BIND_GEOM_H
#define WM_COMPILER_BIND_GEOM_H

#include "compiler/bind.h"
#include "compiler/pattern.h"

/* An output, or a check, of a variant. */
struct wm_vout {
    uint32_t geom;
    uint32_t nslot;
    uint32_t *slot;              /* instance slots */
    int64_t nunit;
    uint32_t rank;
    const int64_t *shape;
    enum wm_dtype dtype;
    bool replica, pad;
};

struct wm_variant {
    struct wm_vout *out;         /* [sum of the writing terms' combinations], term by term */
    uint32_t nout;
    WM_VEC(struct wm_vout) check;
};

/* Sizes of an instance. */
struct wm_sizes {
    int64_t *axis;               /* [rule->axis.n], -1: unknown */
    uint32_t rest_rank;
    const int64_t *rest;
    enum wm_dtype dtype;         /* of the inputs */
    const struct wm_gt **pipe;   /* the input tensors, of a rule by operations: [npipe] */
    uint32_t npipe;
};

struct wm_rule_cache {
    struct wm_map seen;          /* signature -> number in variant */
    WM_VEC(struct wm_variant *) variant;
    struct wm_buf sig;
    int64_t *size;               /* scratch of one instance: [axis.n] */
    WM_VEC(uint32_t) tensor;     /* scratch of one instance */
    uint32_t *first;             /* scratch of one instance: [terms of the side that is read + 1] */
};

/* What one tuple of values of a rule's common variables leads to. */
typedef bool wm_instance_fn(struct wm_bind *b, struct wm_inst *x, struct wm_rule_cache *c);
/* Call it for every tuple for which the rule's conditions hold; captures have their texts already. */
bool wm_each_tuple(struct wm_bind *b, struct wm_inst *x, wm_instance_fn *fn, struct wm_rule_cache *c);

/* Does the term's template match the key, in range?  Sets the instance's variables. */
bool wm_inst_match(struct wm_bind *b, struct wm_inst *x, const struct wm_rterm *t, struct wm_str joined);

/* The sizes that an instance knows without shapes (z->axis; -1: the others). */
bool wm_inst_sizes(struct wm_bind *b, const struct wm_inst *x, struct wm_sizes *z);
/* The sizes that the shapes of n terms' tensors say; false: they do not fit, which was reported. */
bool wm_inst_solve(struct wm_bind *b, const struct wm_inst *x, const struct wm_rterm *term,
                   const struct wm_gt *const *gt, uint32_t n, struct wm_sizes *z);
/* Give the variables that are key axes their values for number n of a term's tensors; false: a position is outside of
 * its index. */
bool wm_inst_position(struct wm_bind *b, struct wm_inst *x, const struct wm_rterm *t, const struct wm_sizes *z,
                      int64_t n);

/* How many tensors a term stands for in one instance, and the position of each key axis in number n of them.  A picked
 * axis has one position. */
int64_t wm_term_count(const struct wm_rterm *t, const struct wm_rule *r, const struct wm_sizes *z);
void wm_term_position(struct wm_bind *b, const struct wm_inst *x, const struct wm_rterm *t,
                      const struct wm_sizes *z, int64_t n, int64_t *pos);

/* Renumber the slots of a map to those that it uses; out->slot says which they were. */
void wm_compact_slots(struct wm_arena *a, struct wm_imap *map, struct wm_vout *out);

/* The variant of these sizes; NULL: diagnostics. */
struct wm_variant *wm_variant_get(struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z,
                                  struct wm_rule_cache *cache);


/* The same for a pipeline of operations (compiler/bind_pipe.c).  wm_pipe_solve comes first: it gives a size to the key
 * axis that only the operations know. */
bool wm_pipe_solve(struct wm_bind *b, const struct wm_inst *x, struct wm_sizes *z);
struct wm_variant *wm_pipe_variant(struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z);

#endif
