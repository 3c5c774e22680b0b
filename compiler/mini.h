/* compiler/mini.h -- small checkpoints made for a map: what `wmap mini`, `check --config` and the
 * comparison of maps bind to where there is no input.
 *
 * A map reads settings (config.a.b, its params) and tensors.  Settings that are not given are
 * searched for: few candidates each, changed one at a time, until the map binds, as many of its
 * rules as can be are used, and the sizes that meet in a rule differ.  Then tensors are invented
 * for every instance of every rule, headers first; sizes that only shapes know are small primes. */
#ifndef WM_COMPILER_MINI_H
#define WM_COMPILER_MINI_H

#include "compiler/bind_geom.h"

/* ---- settings ---- */

enum wm_setting_kind {
    WM_SET_CONFIG, /* config.a.b */
    WM_SET_PARAM,
    WM_SET_SCALE, /* sizes from shapes are multiples of it, so that ranks divide them */
    WM_SET_RANK,  /* dimensions of whole tensors, and of `...` */
    WM_SET_EXISTS /* what exists() answers */
};

struct wm_setting {
    enum wm_setting_kind kind;
    struct wm_str name;          /* "rope.theta", "tp" */
    bool required;               /* is somewhere read without a default */
    bool text;                   /* candidates are strings to give with -D, without quotes */
    WM_VEC(struct wm_str) value; /* candidates as JSON; empty: absent */
    uint32_t at;                 /* the one chosen */
};

typedef WM_VEC(struct wm_setting) wm_settings;

/* Everything that the map reads and that is not given: `base` is the user's configuration (or
 * NULL), `define` his -D.  In order of the text. */
void wm_settings_collect(struct wm_cc *cc, const struct wm_chain *c, const struct cJSON *base,
                         const struct wm_str *define, uint32_t ndefine, wm_settings *out);
/* The configuration with the chosen values, as JSON text; NULL cJSON with base counts as {}. */
struct wm_str wm_settings_config(struct wm_arena *a, const wm_settings *s,
                                 const struct cJSON *base);
/* NAME=VALUE of the params that are not left to their defaults, behind the user's own. */
void wm_settings_define(struct wm_arena *a, const wm_settings *s, const struct wm_str *define,
                        uint32_t ndefine, struct wm_str **out, uint32_t *n);
/* "num_hidden_layers=3 tp=2": what was chosen, for a person. */
struct wm_str wm_settings_text(struct wm_arena *a, const wm_settings *s);
/* The value of the setting of that kind; `none` where there is none. */
int64_t wm_settings_inner(const wm_settings *s, enum wm_setting_kind kind, int64_t none);

/* ---- tensors ---- */

/* Small primes for sizes, by number. */
int64_t wm_mini_prime(uint32_t i);

/* What the tensors of a chain's first reading side are; headers only. */
struct wm_invented {
    struct wm_tset *logical; /* keys, with places */
    struct wm_tset *placed;  /* the same as they lie in files */
    WM_VEC(uint8_t) narrow;  /* by logical tensor: the dtype whose values its elements may have */
    uint32_t *of;            /* by placed tensor: a logical one */
    struct wm_str root;      /* where in their files the placed tensors stand; may be empty */
    bool *covered;           /* [wm_mini_items()] rules, then aliases */
    uint32_t nequal;         /* pairs of axes of a rule with equal sizes */
};

/* Rules of all links and aliases of what is read: what a set of settings should use. */
uint32_t wm_mini_items(const struct wm_chain *c, bool reverse);
/* What the item is ("rule", "alias"), and where. */
const char *wm_mini_item(const struct wm_chain *c, bool reverse, uint32_t i, struct wm_span *span);

/* Invent for these settings.  *tries as of wm_mini_pipe().  False: diagnostics. */
bool wm_mini_invent(struct wm_cc *cc, const struct wm_chain *c, const wm_settings *s,
                    const struct wm_bind_opts *o, uint32_t *tries, struct wm_invented *out);
/* Shapes for the n reading tensors of a rule by operations, found by trying (mini_pipe.c); those in
 * `t` that have a shape keep it.  `hint` (or NULL): shapes to try first.  *tries: how many there
 * may be, all calls together. */
bool wm_mini_pipe(struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z,
                  int64_t scale, enum wm_dtype dtype, const struct wm_gt *hint, uint32_t *tries,
                  struct wm_gt *t, uint32_t n);

/* ---- the whole ---- */

/* One set of settings, with what binds to it. */
struct wm_mini {
    wm_settings set;
    struct wm_str config;     /* JSON text */
    struct wm_bind_opts opts; /* the caller's, with the configuration and all -D */
    struct wm_invented in;
    struct wm_manifest *manifest; /* of the placed tensors; its files need not exist */
    struct wm_graph *graph;
};

/* Find settings that work, and further ones until every item is used that can be; at most `max`
 * (0: 8).  WM_NO: there are none; the diagnostics say what failed, and what can be given. */
enum wm_status wm_mini_find(struct wm_cc *cc, struct wm_chain *c, const struct wm_bind_opts *o,
                            uint32_t max, struct wm_mini **out, uint32_t *n, struct wm_err *err);

/* A file of the input with all its bytes. */
struct wm_mini_file {
    struct wm_str name;
    struct wm_str bytes;
};
/* The files of a mini checkpoint: every element differs from all others where its type has so many
 * values, and copies, padding and filled tensors are what the map says. */
enum wm_status wm_mini_files(struct wm_cc *cc, const struct wm_mini *m, uint64_t seed,
                             struct wm_mini_file **out, uint32_t *n, struct wm_err *err);

#endif
