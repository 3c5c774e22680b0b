/* wmap.h -- the public C API of wmap: compile maps, bind them to checkpoints, plan, run.
 *
 * Everything starts with a context.  Objects belong to the context that made them and end with it (or with their own
 * free function).  A context may be used by one thread at a time; a run uses threads of its own.
 *
 * Functions return a wmap_status.  On WMAP_NO the answer is no: the map is wrong, or a sound checkpoint does not fit
 * it; the diagnostics of the context say why.  On an error, wmap_message() is one line that names file, place and
 * reason.  Text results are handed to a sink, whole lines or not, UTF-8. */
#ifndef WMAP_WMAP_H
#define WMAP_WMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WMAP_VERSION "0.1.0"

typedef struct wmap_ctx wmap_ctx;
typedef struct wmap_map wmap_map;           /* a checked map expression */
typedef struct wmap_checkpoint wmap_checkpoint;
typedef struct wmap_plan wmap_plan;         /* a map bound to an input */

/* Also the exit status of the command: 0, 1, or 2 for the rest. */
typedef enum { WMAP_OK = 0, WMAP_NO = 1, WMAP_ERROR = 2 } wmap_status;

/* Takes pieces of text or bytes; a non-zero result stops. */
typedef struct {
    int (*write)(void *user, const char *text, size_t n);
    void *user;
} wmap_sink;

/* ---- contexts ---- */

wmap_ctx *wmap_ctx_new(void);
void wmap_ctx_free(wmap_ctx *ctx);
/* Where map names are looked up: directories, tried in order, before the installed library. */
wmap_status wmap_add_path(wmap_ctx *ctx, const char *dir);
/* One line about the last failure; "" where there was none.  Owned by the context. */
const char *wmap_message(const wmap_ctx *ctx);
/* The diagnostics so far, as text with carets or as a JSON array. */
typedef enum { WMAP_TEXT, WMAP_JSON, WMAP_TEXT_COLOR } wmap_style;
wmap_status wmap_diagnostics(const wmap_ctx *ctx, wmap_style style, wmap_sink out);
unsigned wmap_error_count(const wmap_ctx *ctx);
unsigned wmap_warning_count(const wmap_ctx *ctx);
/* The page about a code ("E0214"). */
wmap_status wmap_explain(wmap_ctx *ctx, const char *code, wmap_sink out);

/* ---- maps ---- */

/* Load and check a map: a file (ends in .wmap, or begins with ./ or /), a name of the library ("litgpt/llama"), or
 * an expression over those ("~litgpt/llama >> olmo_core/llama").  WMAP_NO: it has errors. */
wmap_status wmap_map_load(wmap_ctx *ctx, const char *spec, wmap_map **out);
/* The map of a text instead of a file; `name` is for messages. */
wmap_status wmap_map_parse(wmap_ctx *ctx, const char *name, const char *text, size_t n, wmap_map **out);
wmap_status wmap_map_format(wmap_map *map, wmap_sink out);  /* canonical text */
wmap_status wmap_map_invert(wmap_map *map, wmap_sink out);  /* text of the inverse; WMAP_NO: not invertible */
/* Stages that need no input: "ast", "checked". */
wmap_status wmap_map_dump(wmap_map *map, const char *stage, wmap_sink out);
/* Parse and print a text, errors as diagnostics (`fmt`). */
wmap_status wmap_format_text(wmap_ctx *ctx, const char *name, const char *text, size_t n, wmap_sink out);

/* ---- checkpoints ---- */

wmap_status wmap_checkpoint_open(wmap_ctx *ctx, const char *path, wmap_checkpoint **out);

typedef struct {
    const char *name;      /* NUL-terminated; name_len counts */
    size_t name_len;
    const char *dtype;     /* "BF16" */
    const int64_t *shape;
    unsigned rank;
    const char *file;      /* relative to the checkpoint */
    uint64_t offset, nbytes;
} wmap_tensor;

typedef struct {
    const char *format;
    uint64_t ntensor, nfile, nbytes;
} wmap_checkpoint_info;

wmap_checkpoint_info wmap_checkpoint_describe(const wmap_checkpoint *c);
/* The i-th tensor, in order of names with numbers by value. */
wmap_tensor wmap_checkpoint_tensor(const wmap_checkpoint *c, uint64_t i);
wmap_status wmap_inspect(wmap_checkpoint *c, wmap_style style, wmap_sink out);

typedef struct {
    double atol, rtol;     /* both 0: to the bit */
    unsigned threads;
    uint64_t max_memory;
} wmap_diff_options;
/* WMAP_OK: equal; WMAP_NO: they differ, and out says where. */
wmap_status wmap_diff(wmap_checkpoint *a, wmap_checkpoint *b, const wmap_diff_options *o,
                      wmap_style style, wmap_sink out);

/* ---- plans ---- */

typedef struct {
    const char *config;            /* path of a config.json; NULL: from the input's directory */
    const char *const *define;     /* "NAME=VALUE" ... */
    size_t ndefine;
    bool reverse;
    const char *format;            /* of the output; NULL: the map's, else safetensors */
    const char *output;            /* the output's path: a known suffix means a file, else a directory; may be NULL */
    uint64_t max_shard_size;       /* bytes; 0: 5 000 000 000 */
    bool allow_unmapped, allow_missing, no_symlinks;
    bool trust_replicas, strict_pad;
} wmap_bind_options;

/* Bind a map to the headers of an input and plan the transfer.  Reads no tensor data, writes nothing. */
wmap_status wmap_bind(wmap_map *map, const char *input, const wmap_bind_options *o, wmap_plan **out);
/* What a run would do. */
wmap_status wmap_plan_describe(wmap_plan *p, wmap_style style, wmap_sink out);
/* Stages "graph" (tensors and their boxes) and "plan" (the plan's records). */
wmap_status wmap_plan_dump(wmap_plan *p, const char *stage, wmap_sink out);
/* Where an element of an output tensor comes from, and where an element of an input tensor goes: "KEY[3,5]". */
wmap_status wmap_plan_trace(wmap_plan *p, const char *element, wmap_style style, wmap_sink out);

typedef struct {
    unsigned threads;              /* 0: one per processor */
    uint64_t max_memory;           /* bytes of buffers; 0: 64 MiB */
    bool force, fsync;
    /* Called now and then; non-zero stops the run. */
    int (*progress)(void *user, uint64_t done, uint64_t total);
    void *progress_user;
} wmap_run_options;

typedef struct {
    uint64_t ntensor, nfile, bytes_written, bytes_read;
    double seconds;
} wmap_run_result;

/* Write the output given at bind.  It appears whole or not at all. */
wmap_status wmap_run(wmap_plan *p, const wmap_run_options *o, wmap_run_result *result);
/* Prove that `output` holds what the plan makes (WMAP_NO: it differs; out says where). */
wmap_status wmap_verify(wmap_plan *p, const char *output, const wmap_run_options *o, wmap_style style,
                        wmap_sink out);
/* Remove temporaries of a running wmap_run; async-signal-safe, for a handler. */
void wmap_interrupt(wmap_ctx *ctx);

/* ---- small checkpoints ---- */

/* Write a checkpoint of a family ("llama", "bert", ...) whose every element tells where it stands. */
typedef struct {
    const char *family;
    const char *output;            /* a directory */
    const char *const *define;     /* "num_hidden_layers=2", "dtype=bf16", "tie_word_embeddings=true" ... */
    size_t ndefine;
    uint64_t max_shard_size;
    bool force;
} wmap_gen_options;
wmap_status wmap_gen(wmap_ctx *ctx, const wmap_gen_options *o);
/* The families and their settings, one line each. */
wmap_status wmap_gen_families(wmap_ctx *ctx, wmap_sink out);

/* ---- the library of maps ---- */

/* Names and first lines of all maps that can be found. */
wmap_status wmap_maps(wmap_ctx *ctx, wmap_style style, wmap_sink out);

#ifdef __cplusplus
}
#endif

#endif
