/* compiler/driver.h -- the compiler as its users see it: load, bind, plan. */
#ifndef WM_COMPILER_DRIVER_H
#define WM_COMPILER_DRIVER_H

#include "compiler/diag.h"
#include "compiler/parse.h"
#include "runtime/format.h"
#include "runtime/manifest.h"
#include "runtime/plan.h"

struct wm_module;
struct wm_parts;
struct cJSON;

/* One compilation: everything in it lives in the arena. */
struct wm_cc {
    struct wm_arena *a;
    const struct wm_sys *sys;
    struct wm_sources sources;
    struct wm_diags diags;
    WM_VEC(struct wm_str) path;      /* directories of map libraries, tried in order */
    WM_VEC(struct wm_module *) module; /* loaded ones, by path */
    WM_VEC(struct cJSON *) json;         /* config trees: cJSON allocates them itself */
    WM_VEC(struct wm_str) loading;   /* paths of the modules being loaded, to find cycles */
};

/* cc->a and cc->sys are set; the rest is made here. */
void wm_cc_init(struct wm_cc *cc, struct wm_arena *a, const struct wm_sys *sys);
/* Frees what is not in the arena. */
void wm_cc_fini(struct wm_cc *cc);
/* Keep a cJSON tree until wm_cc_fini. */
void wm_cc_own_json(struct wm_cc *cc, struct cJSON *json);

/* A checked map expression: one map, an inverse, or a composition (see compiler/module.h). */
struct wm_chain;

/* "litgpt/llama", "./my.wmap", "~a >> b(tp = 8)".  WM_NO: diagnostics say why; WM_E*: err does (no such file). */
enum wm_status wm_load_map(struct wm_cc *cc, struct wm_str spec, struct wm_chain **out,
                           struct wm_err *err);
enum wm_status wm_load_text(struct wm_cc *cc, struct wm_str name, struct wm_str text,
                            struct wm_chain **out, struct wm_err *err);

/* Text of the map itself, and of its inverse.  WM_NO: not invertible; diagnostics name rule, operation, remedy. */
enum wm_status wm_chain_format(struct wm_cc *cc, struct wm_chain *c, struct wm_buf *out,
                               struct wm_err *err);
enum wm_status wm_chain_invert(struct wm_cc *cc, struct wm_chain *c, struct wm_buf *out,
                               struct wm_err *err);
/* Stages "ast" and "checked". */
enum wm_status wm_chain_dump(struct wm_cc *cc, struct wm_chain *c, struct wm_str stage,
                             struct wm_buf *out, struct wm_err *err);
/* The name of the map that was asked for (an expression is its own name), and what it says of itself. */
struct wm_str wm_chain_name(const struct wm_chain *c);
struct wm_str wm_chain_doc(const struct wm_chain *c);

struct wm_settled;
struct wm_settled *wm_settled_new(struct wm_arena *a);

struct wm_bind_opts {
    bool reverse;
    struct wm_str config;            /* path; empty: config.json in the input's directory */
    const struct cJSON *config_tree; /* the configuration itself, instead of a file; or NULL */
    bool invented;                   /* the input is made up: its sizes need not be those of blocks */
    bool lint;                       /* also warn of what fits but may be meant otherwise */
    const struct wm_str *define;     /* "NAME=VALUE" */
    uint32_t ndefine;
    bool allow_unmapped, allow_missing, trust_replicas, strict_pad;
    struct wm_str format;            /* of the output; empty: the map's, else safetensors */
    bool out_is_file;                /* one file, named `out_name`; else a directory */
    struct wm_str out_name;
    uint64_t max_shard_size;         /* 0: 5 000 000 000 */
    const struct wm_str *only;       /* templates of names: make these tensors only; [nonly] */
    uint32_t nonly;
    const struct wm_parts *parts;    /* only these files of a side that has begin, mid.N and end; or NULL */
    bool trust_checksums;            /* do not look whether the input has the check sums that its container states */
    const struct wm_adapter *adapter; /* merged into what is read; or NULL */
    bool unmerge;                    /* taken out of it, instead */
    int adapter_to;                  /* enum wm_adapter_kind: convert the adapter itself to this form; OTHER: no */
    enum wm_layout layout;           /* of the output's files; others than REFERENCE of safetensors only */
    const struct wm_manifest *like;  /* a template for the output's files (struct wm_wopts), or NULL */
    struct wm_settled *settled;      /* parameters: the first binding notes what they are, later ones of the same chain, whose
                                        input may be what it made, take them from here; or NULL */
};

/* A map bound to the headers of an input: every tensor of both sides, and how they are made (compiler/graph.h). */
struct wm_graph;

/* A part specification ("b 0-5"; compiler/select.h) for wm_bind_opts.parts. */
enum wm_status wm_parts_parse(struct wm_arena *a, struct wm_str spec, const struct wm_parts **out, struct wm_err *err);

/* A low-rank adapter: its tensors and its configuration. */
enum wm_adapter_kind { WM_ADAPTER_OTHER, WM_ADAPTER_PEFT, WM_ADAPTER_LITGPT };
struct wm_adapter {
    enum wm_adapter_kind kind;
    struct wm_manifest *manifest;
    const struct cJSON *config;      /* an object */
};

/* A directory that PEFT or LitGPT wrote, or any checkpoint.  The configuration is adapter_config.json, or the values of
 * hyperparameters.yaml, beside the tensors. */
enum wm_status wm_adapter_open(struct wm_cc *cc, struct wm_str path, const struct wm_open_opts *opts,
                               const struct wm_adapter **out, struct wm_err *err);

/* Open the input as the map's reading side sees it (its `file` lines choose the files; else wm_manifest_open). */
enum wm_status wm_open_input(struct wm_cc *cc, struct wm_chain *c, struct wm_str path,
                             const struct wm_bind_opts *o, const struct wm_open_opts *opts,
                             struct wm_manifest **out, struct wm_err *err);

/* WM_NO: the checkpoint does not fit; diagnostics say where.  Reads no tensor data. */
enum wm_status wm_bind(struct wm_cc *cc, struct wm_chain *c, const struct wm_manifest *in,
                       const struct wm_bind_opts *o, struct wm_graph **out, struct wm_err *err);

void wm_graph_print(struct wm_cc *cc, const struct wm_graph *g, struct wm_buf *out); /* stage "graph" */

/* The plan block (see runtime/plan.h), in the arena. */
enum wm_status wm_plan_build(struct wm_cc *cc, const struct wm_graph *g, const struct wm_bind_opts *o,
                             void **block, uint64_t *size, struct wm_err *err);

#endif
