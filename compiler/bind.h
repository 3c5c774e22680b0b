/* compiler/bind.h -- what the binding passes share: one map in one direction over one set of tensors. */
#ifndef WM_COMPILER_BIND_H
#define WM_COMPILER_BIND_H

#include "compiler/graph.h"
#include "compiler/value.h"

/* Keys that a named rule claims, to hold weaker rules off (language: key templates). */
struct wm_claims {
    struct wm_map key[2];        /* by side */
};

/* An `ignore` template, resolved in a scope of its own. */
struct wm_ignore {
    struct wm_rule *scope;
    struct wm_key key;
};

/* Missing tensors of one term, folded. */
struct wm_missing {
    const struct wm_rule *rule;
    uint32_t term;
    uint32_t count;
    WM_VEC(struct wm_str) which; /* "layer 3" */
};

/* The scales of a tensor that is read (compiler/bind_scales.c). */
struct wm_scaled {
    const struct wm_scale_bound *line; /* NULL: it has none; with a dtype: they went into it */
    uint32_t s;                  /* the number of their tensor */
};

/* Where along the chain an adapter goes in (compiler/lora_way.c).  The layouts are the sides that links read and write, in
 * order. */
struct wm_way {
    uint32_t at;                 /* how many layouts bind has come by */
    uint32_t want;               /* the one that takes it, whether it fits or not; WM_NONE: the first that fits */
    uint32_t best, most;         /* the first that has the most of it; how many of its tensors */
    bool taken;
};

struct wm_bind {
    struct wm_cc *cc;
    struct wm_graph *g;
    const struct wm_bind_opts *o;
    struct wm_benv be;
    struct wm_module *m;
    bool back;
    int rs, ws;                  /* sides read and written */
    WM_VEC(struct wm_str) in_files; /* names of all files of the input (those without tensors, too) */
    struct wm_tset *in;          /* logical tensors of the side that is read, by_key filled */
    struct wm_stage *stage;      /* rules: in -> logical tensors of the other side */
    const struct wm_rule **reader; /* [in->t.n] the rule that reads it, or NULL */
    bool *torn;                  /* [in->t.n] a rule names it, but lacks other tensors */
    uint8_t *used;               /* [in->t.n] enum wm_use */
    uint32_t led;                /* number of the tensor whose key led to an instance, which is likely to read it; or WM_NONE */
    struct wm_claims claims;
    struct wm_map held_off;      /* pairs of terms: does the first hold the second's rule off? */
    bool need_claims;            /* the map has weaker rules */
    WM_VEC(struct wm_ignore) ignore[2];
    struct wm_map alias[2];      /* key x -> number in alias_y, by side */
    WM_VEC(struct wm_str) alias_x[2];
    WM_VEC(struct wm_str) alias_y[2];
    WM_VEC(struct wm_span) alias_span[2];
    WM_VEC(struct wm_missing) missing;
    WM_VEC(const struct wm_rule *) rules;  /* in order of strength: named ones first */
    struct wm_buf key;           /* scratch */
    const struct wm_parts *parts; /* of the input: those that were asked for; NULL: it is whole */
    bool first;                  /* link: the files of the input are those of its side */
    struct wm_line *lines;       /* of the side that is read, for wm_is_left_out(); or NULL */
    const struct wm_module *lora; /* whose first side has the lora lines of an adapter that the side has none for; or NULL */
    struct wm_way *way;          /* of the adapter */
    struct wm_scaled *scale;     /* [in->t.n] before an adapter */
    struct wm_lint *lint;        /* NULL: no warnings of what may be meant otherwise */
};

/* Every -D of the options must be a parameter of some map. */
void wm_check_defines(struct wm_cc *cc, const struct wm_chain *c, const struct wm_bind_opts *o);

enum wm_use { WM_USE_NONE, WM_USE_READ, WM_USE_IGNORED, WM_USE_NOT_CARRIED };

/* Values of a rule's variables in one instance. */
struct wm_inst {
    const struct wm_rule *rule;
    struct wm_menv *me;
    int64_t *value;              /* [var] */
    struct wm_str *text;         /* [var] captures */
    bool *known;                 /* [var] */
    struct wm_scope scope;
};

struct wm_rule_cache;
void wm_inst_init(struct wm_bind *b, const struct wm_rule *r, struct wm_inst *x);
/* Values of the components of composites follow; call after setting values. */
bool wm_inst_compose(struct wm_bind *b, struct wm_inst *x);
/* Match a text with a key and set the variables that it has; false: no match, or another value than one set before, or
 * (*range) a value that its index does not have. */
bool wm_inst_read(struct wm_bind *b, struct wm_inst *x, const struct wm_key *k, struct wm_str text, bool *range);
/* Set an index variable (a composite's components with it); false: not a value of its index. */
bool wm_inst_set(struct wm_bind *b, struct wm_inst *x, uint32_t var, int64_t value);
void wm_inst_forget(struct wm_inst *x);
/* Do the rule's conditions hold?  false in *ok: an error was reported. */
bool wm_inst_holds(struct wm_bind *b, const struct wm_inst *x, bool *ok);
/* May all its tensors be absent?  false in *ok: an error was reported. */
bool wm_inst_optional(struct wm_bind *b, const struct wm_inst *x, bool *ok);
/* Print a key, with its place, into b->key. */
bool wm_inst_key(struct wm_bind *b, const struct wm_inst *x, const struct wm_rterm *t, struct wm_str *out);
/* "layer 3, expert 5" of the variables of a key. */
struct wm_str wm_inst_show(struct wm_bind *b, const struct wm_inst *x, const struct wm_key *k);

/* Report, folded, what a rule lacks and what no rule names. */
void wm_report_missing(struct wm_bind *b);
void wm_report_unexpected(struct wm_bind *b);
/* The callback of wm_benv for `in keys`. */
bool wm_values_in_keys(void *bind, struct wm_menv *me, uint32_t index, struct wm_index_values *out);

/* All rules of the map over b->in: makes b->stage.  False: diagnostics. */
bool wm_bind_rules(struct wm_bind *b);
/* One instance of a rule. */
bool wm_bind_instance(struct wm_bind *b, struct wm_inst *x, struct wm_rule_cache *cache);

/* Is the key ignored on that side?  Is it the `y` of an alias of the side that is read? */
bool wm_is_ignored(struct wm_bind *b, int side, struct wm_str key);
bool wm_is_alias_source(const struct wm_bind *b, struct wm_str key);

/* The same in the direction that a one-way rule does not go: marks the input tensors that it would have made. */
bool wm_bind_not_carried(struct wm_bind *b, struct wm_inst *x, struct wm_rule_cache *cache);

/* The side that is read: tensors in files -> logical tensors; the side that is written: the reverse.  NULL:
 * diagnostics. */
struct wm_stage *wm_bind_read_side(struct wm_bind *b, struct wm_tset *placed);
struct wm_stage *wm_bind_write_side(struct wm_bind *b, struct wm_stage *rules);
/* Checks for aliases of which both keys are there, when they are read. */
void wm_compare_aliases(struct wm_bind *b, struct wm_stage *rules);
/* What the rules made without the aliases of what is written: those are their sources once more. */
struct wm_stage *wm_drop_aliases(struct wm_bind *b, struct wm_stage *rules);
/* Fill b->alias[side] and b->ignore[side]. */
bool wm_bind_aliases(struct wm_bind *b, int side);

/* Of an input of which only some parts are read: is the tensor in a part that was left out? */
bool wm_is_left_out(struct wm_bind *b, struct wm_str joined);

/* The `scales` lines of the side that is read: pairs are found, and where a line says so the scales go into their
 * weights.  The stage that gives b->in then, or `read`. */
struct wm_stage *wm_bind_scales(struct wm_bind *b, struct wm_stage *read, bool *ok);
/* Those of the side that is written: no element of a weight may lose its scale.  `st` leads from b->in to what is written,
 * cut into shards but not yet placed in files. */
bool wm_check_scales_kept(struct wm_bind *b, const struct wm_stage *st);

/* Has a tensor of a side's layout scales that do not go into it, or is it such scales? */
bool wm_has_scales(struct wm_bind *b, int side, const struct wm_tset *on, uint32_t t);

/* To a diagnostic about a tensor of scales: whose they are, and in which blocks. */
void wm_note_scales(struct wm_bind *b, struct wm_diag *d, struct wm_str key);

/* The lines that an adapter is read by where a side has none of its own; *out is NULL where there are none.  False:
 * diagnostics. */
bool wm_lora_module(struct wm_cc *cc, const struct wm_adapter *ad, const struct wm_module **out);
/* The adapter of the options goes into a layout, where that takes it: `on`, the outputs of `to` (NULL: those of the link's
 * input), with its by_key.  The adapter's tensors are inputs of `to` from number `from` on.  *out: the stage whose outputs
 * the layout is then, with its by_key; `to` where nothing was done.  False: diagnostics. */
bool wm_bind_adapter(struct wm_bind *b, int side, struct wm_tset *on, struct wm_stage *to, uint32_t from,
                     struct wm_stage **out);
/* A copy of a stage whose outputs have the adapter's tensors behind them, which are its inputs from number `from` on. */
struct wm_stage *wm_widen(struct wm_graph *g, const struct wm_adapter *ad, const struct wm_stage *st, uint32_t from);
/* What merging would make becomes what the adapter itself is, converted (compiler/adapter_out.c); false: reported. */
bool wm_adapter_convert(struct wm_bind *b, struct wm_graph *g);
/* Behind the chain: everything that an adapter changed must have been carried. */
void wm_check_adapted(struct wm_graph *g, const struct wm_bind_opts *o);

/* Shard blocks (compiler/shard.c): rank tensors -> whole ones, and whole -> rank ones.  `in` is returned where the
 * side has none. */
struct wm_stage *wm_shard_read(struct wm_bind *b, struct wm_stage *in);
struct wm_stage *wm_shard_write(struct wm_bind *b, struct wm_stage *in);
/* The size that the shard block of a side gives a dimension of a whole tensor (`size N`, or sized parts); false: none. */
bool wm_shard_size(struct wm_bind *b, int side, struct wm_str key, int64_t *dim, int64_t *size);

#endif
