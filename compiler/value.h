/* compiler/value.h -- values of expressions, and their evaluation at bind.
 *
 * Integers are checked 64-bit; a division that leaves a rest is an error; absent and null config values are the
 * same.  Errors become diagnostics and give WM_V_ERROR, which silently spreads. */
#ifndef WM_COMPILER_VALUE_H
#define WM_COMPILER_VALUE_H

#include "compiler/module.h"

struct cJSON;

enum { WM_MAX_INDEX = 1 << 24 }; /* values of one index */

enum wm_vkind {
    WM_V_ERROR, WM_V_NULL, WM_V_INT, WM_V_FLOAT, WM_V_BOOL, WM_V_STR, WM_V_LIST, WM_V_OBJECT,
    WM_V_HUGE                       /* a number of a configuration that 64 bits do not hold: to be copied, not used */
};

struct wm_value {
    enum wm_vkind kind;
    union {
        int64_t i;
        double f;
        bool b;
        struct wm_str s;            /* STR; HUGE: its text */
        struct {
            const struct wm_value *item;
            uint32_t n;
        } list;
        const struct cJSON *json;   /* OBJECT */
    } u;
    struct wm_str absent;           /* NULL: the config path that is absent, for messages */
};

/* The values of one index at bind. */
struct wm_index_values {
    bool known;
    bool busy;
    int64_t n;
    const int64_t *value;           /* [n] ascending; NULL: 0 .. n-1 */
};

/* One module at bind: its params, lets and indices. */
struct wm_menv {
    struct wm_module *mod;
    struct wm_value *param;         /* by id, made on first use: a default may depend on others */
    uint8_t *param_state;           /* 0 not yet, 1 busy, 2 done */
    struct wm_value *let;           /* memo by id */
    uint8_t *let_state;             /* 0 not yet, 1 busy, 2 done */
    struct wm_index_values *index;
    struct wm_menv **import;        /* by id; made on first use */
};

/* The values that parameters had at a binding: defaults may depend on what its input says of itself. */
struct wm_settled {
    bool given;                     /* a binding has noted them */
    WM_VEC(struct wm_settled_param {
        const struct wm_chain_link *link;
        const struct wm_module *mod;
        uint32_t id;
        struct wm_value v;
    }) param;
};

/* What all modules of a link share. */
struct wm_benv {
    struct wm_cc *cc;
    const struct cJSON *config;     /* NULL: none */
    struct wm_str config_path;      /* "" where none; config_why says why there is none */
    struct wm_str config_why;
    bool config_reported;
    const struct cJSON *adapter;
    bool (*exists)(void *user, struct wm_str key);
    /* Values of an `in keys` index from the input; false: not there, error reported. */
    bool (*keys)(void *user, struct wm_menv *me, uint32_t index, struct wm_index_values *out);
    void *user;
    WM_VEC(struct wm_menv *) env;
    const struct wm_binding *arg;   /* arguments of the link */
    uint32_t narg;
    struct wm_menv *arg_env;        /* of the file in which they stand; NULL: literals */
    struct wm_module *root;         /* the map that they are for */
    const struct wm_str *define;    /* "NAME=VALUE" */
    uint32_t ndefine;
    const struct wm_chain_link *link;
    struct wm_settled *settled;     /* or NULL */
    WM_VEC(struct wm_str) differs;  /* "tp is 8 by -D, 4 without it": parameters that -D changed */
    /* The input of the first link, for json() and files(): its directory (empty: none, or a later link), its files. */
    struct wm_str dir;
    const struct wm_str *file;
    uint32_t nfile;
    WM_VEC(struct wm_str) read_name; /* what json() has read; NULL for what is not there */
    WM_VEC(const struct cJSON *) read_json;
};

/* Values of a rule's variables in one instance, and its where sizes. */
struct wm_scope {
    const struct wm_rule *rule;     /* NULL: no variables */
    const int64_t *value;           /* [rule->var.n]: index value (not ordinal), or word's ordinal */
    const struct wm_str *text;      /* captures */
    const bool *known;              /* which have a value now */
    const struct wm_binding *bind;  /* extra names (where) */
    uint32_t nbind;
    /* extra plain values: shard sizes and the like */
    const struct wm_str *name;
    const struct wm_value *val;
    uint32_t nname;
};

/* Begin with a link of a chain: its arguments, and the parameters of its map. */
void wm_benv_enter(struct wm_benv *be, const struct wm_chain_link *l);
struct wm_menv *wm_menv_of(struct wm_benv *be, struct wm_module *m);
struct wm_value wm_eval(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc,
                        const struct wm_expr *e);
/* Names of small files and keys of objects: text with the values of indices.  False: reported. */
bool wm_eval_text(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc,
                  const struct wm_template *t, struct wm_str *out);
/* The value of a parameter. */
struct wm_value wm_param_get(struct wm_benv *be, struct wm_menv *me, const struct wm_name *nm);
/* All of a module: those of a wrong type, or that are not what the map takes, are reported, used or not. */
void wm_params_get(struct wm_benv *be, struct wm_menv *me);
/* OBJECT and LIST expressions (eval_object.c). */
struct wm_value wm_eval_object(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc,
                               const struct wm_expr *e);
struct wm_value wm_eval_items(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc,
                              const struct wm_expr *e);
/* json("NAME"): NULL in *out where the input has no such file; false: reported. */
bool wm_eval_json_file(struct wm_benv *be, struct wm_str name, struct wm_span span, const struct cJSON **out);
int64_t wm_eval_count_files(struct wm_benv *be, struct wm_str glob);
/* A tree of cJSON's own memory. */
struct cJSON *wm_value_json(struct wm_arena *a, struct wm_value v);
/* As a size >= 0 (an integral float serves); reports, naming `what`. */
bool wm_eval_size(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc,
                  const struct wm_expr *e, const char *what, int64_t *out);
bool wm_eval_bool(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc,
                  const struct wm_expr *e, bool *out);
/* Values of an index (composite: none); reports. */
const struct wm_index_values *wm_index_get(struct wm_benv *be, struct wm_menv *me, uint32_t index);
/* Number of values of an index, composites included (len(rank)). */
bool wm_index_count(struct wm_benv *be, struct wm_menv *me, uint32_t index, int64_t *out);
/* The tuple of component values of a composite's value: v = (c0 * n1 + c1) * n2 + c2, by ordinals. */
bool wm_index_split(struct wm_benv *be, struct wm_menv *me, uint32_t index, int64_t v, int64_t *component);
/* Position of a value in its index; -1: not in it. */
int64_t wm_index_ordinal(const struct wm_index_values *iv, int64_t value);
static inline int64_t
wm_index_value(const struct wm_index_values *iv, int64_t ordinal)
{
    return iv->value ? iv->value[ordinal] : ordinal;
}
/* Integers of JSON are exact; null and what is absent are NULL. */
struct wm_value wm_value_of_json(struct wm_arena *a, const struct cJSON *j);
void wm_value_print(struct wm_value v, struct wm_buf *out);
const char *wm_vkind_name(enum wm_vkind k);

/* Read and check a config.json; err names file and offset. */
enum wm_status wm_config_read(struct wm_cc *cc, struct wm_str path, const struct cJSON **out,
                              struct wm_err *err);
/* A small file of the input: NAME.json, or where torch.save left NAME.pt, the plain values in that, which is newer to the
 * libraries that look for both.  The first says which of them it is. */
struct wm_str wm_small_path(struct wm_cc *cc, struct wm_str path);
enum wm_status wm_small_read(struct wm_cc *cc, struct wm_str path, const struct cJSON **out, struct wm_err *err);

#endif
