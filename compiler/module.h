/* compiler/module.h -- a checked map: names resolved, keys and patterns proven.
 *
 * What enters is the syntax tree, what leaves is this.  No number of a config and no tensor is known yet: sizes are
 * expressions until bind. */
#ifndef WM_COMPILER_MODULE_H
#define WM_COMPILER_MODULE_H

#include "base/map.h"
#include "compiler/ast.h"
#include "compiler/driver.h"
#include "compiler/key.h"

enum wm_name_kind { WM_NM_PARAM, WM_NM_LET, WM_NM_INDEX, WM_NM_IMPORT };

/* One entry of the module's namespace. */
struct wm_name {
    enum wm_name_kind kind;
    struct wm_str name;
    const struct wm_stmt *stmt;
    uint32_t id;                 /* number among its kind */
    bool used;
    bool needs_input;            /* a let whose value depends on a config, a checkpoint, a param */
    bool per_index;              /* a let whose value depends on an index: not the same for all instances */
    uint8_t visit;               /* for cycles */
};

struct wm_index_def {
    const struct wm_stmt *stmt;
    struct wm_str name;
    bool in_keys;
    uint32_t *component;         /* composite: index numbers; NULL for a plain one */
    uint32_t ncomponent;
};

struct wm_import {
    struct wm_str name;
    const struct wm_stmt *stmt;
    struct wm_module *module;
};

/* ---- rules ---- */

enum wm_var_kind { WM_VAR_INDEX, WM_VAR_WORDS, WM_VAR_CAPTURE, WM_VAR_COMPOSITE };

/* A variable of a rule: what stands in its keys and file names. */
struct wm_var {
    enum wm_var_kind kind;
    struct wm_str name;
    struct wm_span span;
    uint32_t index;              /* INDEX, COMPOSITE: index number of the rule's module */
    const struct wm_str *word;   /* WORDS: as first listed, [nword] */
    const struct wm_str *side_word[2]; /* as first listed on each side, or NULL */
    uint32_t nword;
    uint32_t *component;         /* COMPOSITE: variables of the rule */
    uint32_t ncomponent;
    bool common;                 /* stands in every key (or file name) of both sides: one value an instance */
};

enum { WM_AX_REST = 0 };         /* axis 0 of a rule is its `...` */

/* An axis: of patterns, or a variable of a key that is not common. */
struct wm_axis {
    struct wm_str name;
    struct wm_span span;
    uint32_t var;                /* the rule's variable of that name, or WM_NONE */
    uint32_t index;              /* module index that gives the size, or WM_NONE */
    const struct wm_expr *size;  /* from where, or from the let or param of that name; NULL: solved */
    struct wm_str from;          /* "where", "let", "param", "index", "words": for messages */
    uint32_t where;              /* number of its where binding + 1; 0: none */
    bool named;                  /* size is the let or param of that name: evaluate the name */
    bool broadcast;
    uint32_t pick_of, pick_part; /* picked through a composite index: which, and which component; else WM_NONE */
    const struct wm_expr *pick;  /* NULL: not picked */
    const struct wm_expr *pad;   /* NULL: no pad */
    bool in_pattern[2], in_key[2];
};

/* A resolved pattern mirrors wm_pat with axis numbers. */
struct wm_rpat {
    enum wm_pat_kind kind;
    uint32_t axis;
    struct wm_rpat *item;
    uint32_t nitem;
    struct wm_span span;
};

struct wm_rterm {
    struct wm_span span;
    struct wm_key key;           /* prefix and key */
    uint32_t *place;             /* variables of its file's name: [nplace] */
    uint32_t nplace;
    struct wm_rpat *dim;         /* [ndim]; [...] where the text has no pattern */
    uint32_t ndim;
    bool has_rest;
    bool explicit_pattern;
    uint32_t *key_axis;          /* axes that are variables of its key or place and not common */
    uint32_t nkey_axis;
    uint32_t first_product, nproduct;
};

/* One way through the sums of a term: the axes on it. */
struct wm_product {
    uint32_t term;
    uint32_t alt;                /* its number among the term's */
    uint32_t *axis;              /* [naxis], ascending: pattern and key axes, WM_AX_REST too */
    uint32_t naxis;
    uint32_t partner;            /* product of the other side, or WM_NONE (pad, or dropped by a one-way rule) */
    uint32_t pad;                /* the axis that makes it padding, or WM_NONE */
};

struct wm_cond {
    const struct wm_expr *expr;
    bool negate;
    uint32_t branch, arm;        /* of an `if`: rules of different arms of a branch exclude each other; 0: when */
};

struct wm_rule {
    struct wm_module *mod;       /* whose names its expressions use */
    const struct wm_rule_ast *ast;
    struct wm_span span;
    enum wm_arrow arrow;
    WM_VEC(struct wm_var) var;
    WM_VEC(struct wm_axis) axis;
    struct {
        struct wm_rterm *term;
        uint32_t nterm;
        struct wm_product *product;
        uint32_t nproduct;
        const struct wm_fill *fill;
    } side[2];
    WM_VEC(struct wm_cond) cond;
    WM_VEC(struct wm_binding) where;
    bool is_override;
    bool optional;
    WM_VEC(const struct wm_expr *) optional_if; /* all must hold; none: always */
    bool has_pattern;            /* else whole tensors, or a pipeline of operations */
    bool pipeline;               /* operations that are not elementwise: bound by them, not by products */
    bool captures;               /* not a named rule */
    uint32_t id;                 /* number in the module that runs it */
    const struct wm_stmt *used_by; /* the `use` that brought it, or NULL */
};

/* A `file` line: which keys its files hold, and under which names. */
struct wm_file_line {
    const struct wm_side_item *item;
    struct wm_rule *scope;       /* its variables, as of a rule */
    struct wm_key name;          /* of the file */
    struct wm_key holds;         /* keys; one capture without a name where the text has none */
    struct wm_key as;            /* names inside; equal to holds where the text has none */
    bool has_holds, has_as;
    uint32_t *place;             /* variables of the name that holds lacks: file indices; [nplace] */
    uint32_t nplace;
};

/* A `lora` line: B times A, scaled, goes into W. */
enum { WM_LORA_A, WM_LORA_B, WM_LORA_W, WM_LORA_TERMS };
struct wm_lora_line {
    const struct wm_side_item *item;
    struct wm_rule *scope;       /* its side[0].term: A, B, W */
    uint32_t rank;               /* the axis that A and B have and W lacks */
    struct wm_lora_part {
        uint32_t a, b, w;        /* products of the terms that belong together, by number (compiler/pattern.h) */
    } *part;
    uint32_t npart;
};

/* A `scales` line: S has an element for each block of W. */
enum { WM_SCALE_S, WM_SCALE_W, WM_SCALE_TERMS };
struct wm_scale_line {
    const struct wm_side_item *item;
    struct wm_rule *scope;       /* its side[0].term: S, W */
};

struct wm_side {
    WM_VEC(struct wm_file_line) file;
    WM_VEC(struct wm_lora_line) lora;
    WM_VEC(struct wm_scale_line) scale;
    struct wm_str name;
    struct wm_str root;          /* of its file lines: where in a file the tensors lie; may be empty */
    struct wm_span span;
    WM_VEC(const struct wm_side_item *) item;
    WM_VEC(struct wm_module *) item_mod; /* whose names an item uses */
};

struct wm_module {
    struct wm_cc *cc;
    struct wm_str path, name, doc;
    struct wm_file_ast *ast;
    struct wm_map names;         /* name -> number in `name` */
    WM_VEC(struct wm_name) name_list;
    WM_VEC(struct wm_index_def) index;
    WM_VEC(struct wm_import) import;
    WM_VEC(struct wm_module *) used;  /* by `use` */
    WM_VEC(struct wm_rule *) rule;
    WM_VEC(const struct wm_stmt *) shard;
    WM_VEC(const struct wm_stmt *) mapdef;
    struct wm_side side[2];
    bool ok;
    bool has_rules;
    uint32_t nbranch;
};

/* Load and check a file; cached by path in the compilation.  NULL: err (no such file) or diagnostics. */
struct wm_module *wm_module_load(struct wm_cc *cc, struct wm_str path, struct wm_err *err);
struct wm_module *wm_module_of_text(struct wm_cc *cc, struct wm_str path, struct wm_str text,
                                    struct wm_err *err);
const struct wm_name *wm_module_find(struct wm_module *m, struct wm_str name);
/* Whose parameter the name is: the module's own, else one of a module that it uses; NULL: nobody's. */
const struct wm_module *wm_module_of_param(struct wm_module *m, struct wm_str name);

/* Lets, params and indices: expressions sound, no cycles. */
void wm_check_names(struct wm_module *m);
/* Values that need no input: evaluated, so that faults in them show. */
void wm_check_constants(struct wm_module *m);
/* The items of source and target. */
void wm_check_sides(struct wm_module *m);
/* Scales that one side keeps, and the other side says nothing of. */
void wm_check_scales_both(struct wm_module *m);
/* Resolve and check all rules of the text; appended to m->rule. */
void wm_check_rules(struct wm_module *m);
/* Names, types, arity of an expression.  `vars`: the rule whose variables it may use, or NULL. */
bool wm_check_expr(struct wm_module *m, const struct wm_expr *e, const struct wm_rule *vars);
/* The same where the index of that name has a value. */
bool wm_check_expr_at(struct wm_module *m, const struct wm_expr *e, const struct wm_rule *vars, struct wm_str index);
/* The value of an emit; indices in the name of its file have a value in it. */
bool wm_check_emit(struct wm_module *m, const struct wm_side_item *it);
bool wm_check_bool(struct wm_module *m, const struct wm_expr *e, const struct wm_rule *vars);
/* Does a node of that kind (and name, if not empty) occur in it? */
bool wm_expr_mentions(const struct wm_expr *e, enum wm_expr_kind kind, struct wm_str name);
/* Products, pairing, solvability of one rule. */
void wm_check_pattern(struct wm_module *m, struct wm_rule *r);
/* Keys of all rules against each other. */
void wm_check_keys(struct wm_module *m);
void wm_check_ops(struct wm_module *m, struct wm_rule *r);
void wm_check_shards(struct wm_module *m);

/* The word of a words variable (as it was first listed). */
struct wm_str wm_var_word(const struct wm_rule *r, uint32_t var, int64_t ordinal);

/* ---- chains ---- */

struct wm_chain_link {
    struct wm_module *module;
    bool inverse;
    WM_VEC(struct wm_binding) arg;   /* m(tp = 8) */
    struct wm_module *arg_mod;       /* where the arguments were written, or NULL: the command line */
};

struct wm_chain {
    struct wm_str spec;
    struct wm_str name;              /* of the map that was asked for; of an expression, its text */
    WM_VEC(struct wm_chain_link) link;
};

void wm_module_dump(const struct wm_module *m, struct wm_buf *out);
/* `layer` of variable numbers, for wm_key_print with user = the rule. */
struct wm_str wm_rule_var_name(void *rule, uint32_t var);

#endif
