/* compiler/fuse.h -- between the files that write a composition as one map.
 *
 * A half is a rule of one of the two maps, some of its word variables perhaps replaced by a word.  Where a term of the
 * first map and a term of the second name the same tensors of the middle, their rules fuse: one is the host, whose
 * patterns, operations and names stay; the other, the guest, moves whole tensors and only gives another key. */
#ifndef WM_COMPILER_FUSE_H
#define WM_COMPILER_FUSE_H

#include "compiler/flatten.h"

/* A piece of a key, its variable one of `of`. */
struct wm_piece {
    enum wm_kpart_kind kind;
    struct wm_str text;          /* TEXT */
    const struct wm_half *of;
    uint32_t var;
    uint32_t width;
    const struct wm_expr *shift;
    const struct wm_str *word;   /* WORDS: [nword] */
    uint32_t nword;
};

struct wm_keylist {
    WM_VEC(struct wm_piece) at;  /* never two TEXT in a row */
};

struct wm_half {
    const struct wm_rule *r;
    struct wm_part_of *part;
    int mid;                     /* which side of the rule is the middle */
    uint32_t *word;              /* [r->var.n]: the word that a variable became, or WM_NONE */
    struct wm_keylist *key[2];   /* of the terms of both sides */
    bool whole;                  /* moves whole tensors, one to one */
    bool fused;                  /* by wm_fuse_patterns() */
};

/* What the variables of a guest are in its host's terms. */
struct wm_guest {
    struct wm_half *half;
    struct wm_keylist *var;      /* [half->r->var.n]; empty: not bound */
};

struct wm_fuse {
    struct wm_cc *cc;
    struct wm_flat flat;
    struct wm_part_of *part[2];
    WM_VEC(struct wm_half *) half[2]; /* of the first map, of the second */
    WM_VEC(struct wm_stmt *) rule;    /* fused ones */
    struct wm_str why;                /* why it can't be done; empty: it can so far */
};

enum wm_meet {
    WM_MEET_NO,
    WM_MEET_YES,
    WM_MEET_SPLIT, /* when a words variable is replaced by its words */
    WM_MEET_OPEN   /* can't be told */
};

/* A term of the first map's half and one of the second's that name the same tensors of the middle. */
struct wm_link {
    struct wm_half *h[2];
    uint32_t t[2];               /* terms */
    struct wm_guest guest[2];    /* [0]: the first map's half as a guest of the second's; [1]: the other way around */
    bool fits[2];
};

struct wm_links {
    WM_VEC(struct wm_link) at;
};

/* A rule that is being written. */
struct wm_rule_out {
    struct wm_fuse *x;
    struct wm_rule_ast *ast;
    WM_VEC(struct wm_clause) clause;
    struct wm_span span;
    bool never;                  /* a condition is false for the words that stand in it */
};

/* Pieces of a key of a half. */
void wm_half_keys(struct wm_cc *cc, struct wm_half *h);
/* Do a host's and a guest's key name the same tensors?  YES: *out binds the guest's variables.  SPLIT: *half and *var
 * say which. */
enum wm_meet wm_keys_meet(struct wm_cc *cc, struct wm_half *host, const struct wm_keylist *hk, struct wm_half *guest,
                          const struct wm_keylist *gk, struct wm_guest *out, struct wm_half **half, uint32_t *var);
/* Append the rule of a host with a guest for each of its terms in the middle (none: as it is). */
bool wm_fuse_emit(struct wm_fuse *x, struct wm_half *host, const struct wm_guest *guest, uint32_t nguest);
/* Both rules are pipelines over the same list of tensors: one behind the other. */
bool wm_fuse_pipes(struct wm_fuse *x, struct wm_half *a, struct wm_half *b, const struct wm_guest *guest);
/* The rule `h` and those that it meets in the middle, at least two of them with patterns: their patterns become one.
 * Done once for all of them. */
bool wm_fuse_patterns(struct wm_fuse *x, const struct wm_links *l, struct wm_half *h);
bool wm_fuse_check_indices(struct wm_fuse *x, const struct wm_links *l, const struct wm_link *p, int guest);
uint32_t wm_fuse_partners(const struct wm_links *l, int which, const struct wm_half *h, uint32_t t);

/* ---- parts of a rule (fuse_emit.c) ---- */

/* What the names of a rule are while its expressions are copied. */
void wm_fuse_enter(struct wm_fuse *x, const struct wm_half *h, const struct wm_guest *g);
/* A key of the host, or (g) the guest's in the host's names. */
struct wm_template *wm_fuse_key(struct wm_fuse *x, const struct wm_half *h, const struct wm_keylist *k,
                                const struct wm_guest *g);
struct wm_clause *wm_fuse_clause(struct wm_rule_out *o, enum wm_clause_kind kind, struct wm_expr *e);
void wm_fuse_binding(struct wm_rule_out *o, enum wm_clause_kind kind, struct wm_str name, struct wm_expr *e);
void wm_fuse_conditions(struct wm_rule_out *o, const struct wm_half *h);
/* Where may all its tensors be absent?  `only` collects the conditions; false: nowhere. */
bool wm_fuse_optional(struct wm_rule_out *o, const struct wm_half *h, struct wm_expr **only);
bool wm_meet_arrows(enum wm_arrow *a, enum wm_arrow b);
bool wm_same_text(struct wm_cc *cc, const struct wm_expr *a, const struct wm_expr *b);
void wm_fuse_put(struct wm_rule_out *o);
/* Say why not; false. */
bool wm_fuse_fail(struct wm_fuse *x, const struct wm_half *a, const struct wm_half *b, const char *why);
void wm_append_piece(struct wm_cc *cc, struct wm_keylist *k, struct wm_piece p);

#endif
