/* wmap.h -- the public C API of wmap: compile maps, bind them to checkpoints, plan, run.
 *
 * Everything starts with a context.  Maps, checkpoints and plans belong to the context that made
 * them and end with it; checkpoints may be closed before.  A context is used by one thread at a
 * time (only wmap_interrupt() may be called from anywhere); long calls use threads of their own.
 *
 * Functions return a wmap_status.  On WMAP_NO the answer is no: the map is wrong, a sound
 * checkpoint does not fit it, two checkpoints differ; the diagnostics of the context, or the text
 * handed to the sink, say why.  On WMAP_ERROR, wmap_message() is one line that names file, place
 * and reason.
 *
 * Text results are handed to a sink in pieces, UTF-8.  JSON results are one object with a "schema"
 * member
 * ("wmap.diff/1"); members may be added to it, never taken away or changed.  Options may be NULL:
 * all defaults. */
#ifndef WMAP_WMAP_H
#define WMAP_WMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WMAP_API     __attribute__((visibility("default")))

#define WMAP_VERSION "0.1.0"

typedef struct wmap_ctx wmap_ctx;
typedef struct wmap_map wmap_map;               /* a checked map expression */
typedef struct wmap_checkpoint wmap_checkpoint; /* the headers of a checkpoint */
typedef struct wmap_plan wmap_plan;             /* a map bound to an input */

/* Also the exit status of the command. */
typedef enum { WMAP_OK = 0, WMAP_NO = 1, WMAP_ERROR = 2 } wmap_status;

typedef enum { WMAP_TEXT, WMAP_JSON, WMAP_TEXT_COLOR } wmap_style;

/* Takes pieces of text or bytes; a non-zero result stops the call, which then fails. */
typedef struct {
    int (*write)(void *user, const char *text, size_t n);
    void *user;
} wmap_sink;

/* Blocks in memory are moved and computed by fixed kernels, or by ones that are compiled for them
 * while the plan runs.  The bytes are the same. */
typedef enum {
    WMAP_ENGINE_AUTO,   /* compile what pays; where the JIT's plug-in is missing, nothing does */
    WMAP_ENGINE_INTERP, /* compile nothing */
    WMAP_ENGINE_JIT     /* compile all that can be; an error where there is no plug-in */
} wmap_engine;

/* How hard to work; for everything that reads or writes tensor data. */
typedef struct {
    unsigned threads;    /* 0: one per processor, at most 8 */
    uint64_t max_memory; /* bytes of all buffers together; 0: 64 MiB */
    /* Called now and then, from any thread and perhaps from several at once; non-zero stops the
     * call. */
    int (*progress)(void *user, uint64_t done, uint64_t total);
    void *progress_user;
    wmap_engine engine;
} wmap_work;

/* The version of the library, "0.1.0". */
WMAP_API const char *wmap_version(void);
/* Which of n names is meant by a mistyped one: its number, or -1 where none is near. */
WMAP_API int wmap_nearest(const char *name, const char *const *names, size_t n);
/* "5GB", "64MiB", "4096", "1.5G" -> bytes; decimal units unless they say iB.  False: not a size. */
WMAP_API bool wmap_parse_size(const char *text, uint64_t *bytes);
/* The other way, in three digits: "90.9 MB"; cut to n bytes with the terminator. */
WMAP_API void wmap_print_size(uint64_t bytes, char *out, size_t n);
/* `text` as a JSON string with its quotes; invalid UTF-8 and control characters are escaped. */
WMAP_API wmap_status wmap_json_string(wmap_ctx *ctx, const char *text, wmap_sink out);

/* ---- contexts ---- */

/* NULL: out of memory. */
WMAP_API wmap_ctx *wmap_ctx_new(void);
WMAP_API void wmap_ctx_free(wmap_ctx *ctx);
/* Called where memory for a compilation is out, by the thread that asked for it.  It must not
 * return (it ends the process, or jumps out; the context can then only be abandoned).  Without a
 * hook the process is aborted.  Buffers for data are not meant: where they are out, the call fails.
 */
WMAP_API void wmap_set_oom(wmap_ctx *ctx, void (*hook)(void *user), void *user);
/* For the hook: remove the temporary files of a run in progress.  The context must not be used
 * afterwards. */
WMAP_API void wmap_abandon(wmap_ctx *ctx);
/* Stop the run, comparison or generation in progress: it removes its temporary files and fails with
 * "interrupted", and so does every later one.  May be called from any thread and from a signal
 * handler. */
WMAP_API void wmap_interrupt(wmap_ctx *ctx);
/* Directories in which map names are looked up, tried in order of these calls, before the installed
 * library. */
WMAP_API wmap_status wmap_add_path(wmap_ctx *ctx, const char *dir);
/* One line about the last failure; "" where there was none.  Owned by the context, valid until its
 * next call. */
WMAP_API const char *wmap_message(const wmap_ctx *ctx);
/* The diagnostics of all calls since the last clearing, as text with carets or as a JSON array. */
WMAP_API wmap_status wmap_diagnostics(wmap_ctx *ctx, wmap_style style, wmap_sink out);
WMAP_API void wmap_diagnostics_clear(wmap_ctx *ctx);
WMAP_API unsigned wmap_error_count(const wmap_ctx *ctx);
WMAP_API unsigned wmap_warning_count(const wmap_ctx *ctx);
/* The page about a code ("E0214"; Markdown).  WMAP_ERROR: no such code; the message offers the
 * nearest. */
WMAP_API wmap_status wmap_explain(wmap_ctx *ctx, const char *code, wmap_style style, wmap_sink out);
/* All codes with their titles. */
WMAP_API wmap_status wmap_explain_list(wmap_ctx *ctx, wmap_style style, wmap_sink out);

/* ---- maps ---- */

/* Load and check a map: a file (ends in .wmap, or begins with ./ or /), a name of the library
 * ("litgpt/llama"), or an expression over those ("~litgpt/llama >> olmo_core/llama").  WMAP_NO: it
 * has errors. */
WMAP_API wmap_status wmap_map_load(wmap_ctx *ctx, const char *spec, wmap_map **out);
/* The map of a text instead of a file; `name` is for messages. */
WMAP_API wmap_status wmap_map_parse(wmap_ctx *ctx, const char *name, const char *text, size_t n,
                                    wmap_map **out);
/* Name of the map, and what it says of itself ("" where it says nothing); owned by the map. */
WMAP_API const char *wmap_map_name(const wmap_map *map);
WMAP_API const char *wmap_map_doc(const wmap_map *map);
/* Text of the map as `wmap fmt` prints it. */
WMAP_API wmap_status wmap_map_format(wmap_map *map, wmap_sink out);
/* Text of the inverse.  WMAP_NO: not invertible; diagnostics name rule, operation and remedy. */
WMAP_API wmap_status wmap_map_invert(wmap_map *map, wmap_sink out);
/* Stages that need no input: "ast", "checked". */
WMAP_API wmap_status wmap_map_dump(wmap_map *map, const char *stage, wmap_sink out);
/* Parse and print a text (`wmap fmt`).  WMAP_NO: syntax errors, in the diagnostics; nothing is
 * printed. */
WMAP_API wmap_status wmap_format_text(wmap_ctx *ctx, const char *name, const char *text, size_t n,
                                      wmap_sink out);
/* Names, first lines and paths of all maps that can be found. */
WMAP_API wmap_status wmap_maps(wmap_ctx *ctx, wmap_style style, wmap_sink out);

/* ---- checkpoints ---- */

/* A file of a known format, or a directory of them: by its index file, else all of its one format.  Of a directory of rank
 * files (also where they are in shards/model or a directory each) all ranks, and all must be there.
 */
WMAP_API wmap_status wmap_checkpoint_open(wmap_ctx *ctx, const char *path, bool no_symlinks,
                                          wmap_checkpoint **out);
WMAP_API void wmap_checkpoint_close(wmap_checkpoint *c);
/* What is worth knowing of how it was read ("tensors are those under \"model\""), one printable line; NULL: nothing. */
WMAP_API const char *wmap_checkpoint_note(wmap_checkpoint *c);
/* From now on numbers of a msgpack file that no float32 equals are rounded to the nearest, not refused. */
WMAP_API void wmap_checkpoint_round_numbers(wmap_checkpoint *c);

typedef struct {
    const char *name;  /* NUL-terminated */
    const char *dtype; /* "BF16" */
    const int64_t *shape;
    unsigned rank;
    const char *file;        /* relative to the checkpoint */
    uint64_t offset, nbytes; /* of its bytes in the file; of a tensor in several parts, of the first part and of all */
} wmap_tensor;

typedef struct {
    const char *format; /* "safetensors" */
    uint64_t ntensor, nfile, nbytes;
} wmap_checkpoint_info;

WMAP_API wmap_checkpoint_info wmap_checkpoint_describe(const wmap_checkpoint *c);
/* The i-th tensor, in order of names with numbers by value.  Strings are owned by the checkpoint.
 */
WMAP_API wmap_tensor wmap_checkpoint_tensor(const wmap_checkpoint *c, uint64_t i);
/* Its tensors: text folded by template, JSON one by one.  Of rank files also what each tensor is over the ranks, for which
 * their bytes are compared.  WMAP_NO: replicas differ, or a rank lacks a tensor that others have. */
WMAP_API wmap_status wmap_inspect(wmap_checkpoint *c, wmap_style style, wmap_sink out);

typedef struct {
    double atol, rtol; /* |a - b| <= atol + rtol * |b|; both 0: equal to the bit, dtypes included */
    wmap_work work;
} wmap_diff_options;
/* WMAP_OK: equal; WMAP_NO: they differ, and out says where.  Keys of `a` that `b` lacks are
 * MISSING, keys of `b` that `a` lacks UNEXPECTED. */
WMAP_API wmap_status wmap_diff(wmap_checkpoint *a, wmap_checkpoint *b, const wmap_diff_options *o,
                               wmap_style style, wmap_sink out);

/* ---- plans ---- */

typedef struct {
    const char *config;        /* path of a config.json; NULL: from the input's directory */
    const char *const *define; /* "NAME=VALUE" ... */
    size_t ndefine;
    bool reverse;
    const char *format; /* of the output; NULL: the map's, else safetensors */
    const char *
        output; /* a known suffix means a file, else a directory; "-" a stream; NULL: a directory */
    uint64_t max_shard_size; /* bytes; 0: 5 000 000 000 */
    const char *template_file; /* a file of the output's format (msgpack) from which keys, order and
                                  all that the map does not make are taken; NULL: none */
    bool allow_unmapped, allow_missing, no_symlinks;
    bool trust_replicas, strict_pad;
    bool trust_checksums; /* do not look whether the input has the check sums that its container states */
    bool round_numbers;   /* numbers of a msgpack file that no float32 equals are rounded to the nearest, not refused */
    bool lint; /* also warn of what fits but may be meant otherwise */
    /* Make only tensors of the output whose names one of these templates matches ("{x*}.weight",
     * "model.layers.{i}.{x*}"), and read only what they need; a template that matches nothing fails
     * the call.  Files that would hold nothing are not written. */
    const char *const *only;
    size_t nonly;
    /* "b 0-5": of a side with the files begin, mid.N and end (maps "sepweight/...") only these; NULL:
     * all.  Where that side is read, the other files need not be there. */
    const char *part_spec;
    /* A low-rank adapter (a directory of PEFT or LitGPT, or a checkpoint that the `lora` lines of the map fit) that is
     * merged into the weights of the side that is read; NULL: none.  `unmerge`: taken out of them, instead. */
    const char *adapter;
    bool unmerge;
    /* "peft" or "litgpt": convert the adapter itself, to this form, instead of merging it; of the input only the headers
     * are read.  NULL: merge. */
    const char *adapter_to;
    /* "reference" (NULL): tensors in the order of the container's reference writer.  "keep" (safetensors): in the
     * input's order, their data at the same place in a block of the file system as there, so that a run can share the
     * blocks of what it does not change. */
    const char *layout;
    /* The output is the input, one safetensors file, of which only the header changes; `output` is NULL or names it.
     * What a run that was killed left half done is put back here.  WMAP_ERROR: data would move, or the new header does
     * not fit. */
    bool in_place;
} wmap_bind_options;

/* Bind a map to the headers of an input and plan the transfer.  Reads no tensor data, writes
 * nothing. */
WMAP_API wmap_status wmap_bind(wmap_map *map, const char *input, const wmap_bind_options *o,
                               wmap_plan **out);
/* Where the bytes of a stream come from, in order: at most n of them, 0 at the end, negative on failure. */
typedef struct {
    long (*read)(void *user, void *p, size_t n);
    void *user;
} wmap_source;
/* The same with a safetensors file that comes as a stream: reads its header here and the rest in wmap_run() or
 * wmap_run_stream(), which is then for once.  What comes before its time is held back: into files only what must be
 * compared, into a stream also output whose turn has not come; where the memory is too small for that, the run fails
 * before it reads on, and says how much would do.  wmap_bind() does this by itself for the input "-" where standard
 * input is no file. */
WMAP_API wmap_status wmap_bind_stream(wmap_map *map, wmap_source in, const wmap_bind_options *o, wmap_plan **out);
/* The same of the input of a plan. */
WMAP_API const char *wmap_plan_note(wmap_plan *p);
/* What a run would do, with these options: files, tensors, bytes, memory, calls, time. */
WMAP_API wmap_status wmap_plan_describe(wmap_plan *p, const wmap_work *work, wmap_style style,
                                        wmap_sink out);
/* What a run would take: the calls that read and write tensors (as in wmap_run_result), bytes by the way that they are
 * read, and seconds on a machine like that of docs/performance.md, with the input in the page cache. */
typedef struct {
    uint64_t reads, writes; /* calls */
    uint64_t small_writes;  /* beside these, of a few bytes: journal, headers, check sums, small files */
    uint64_t bytes_read, bytes_written;
    uint64_t bytes_straight, bytes_scattered, bytes_in_blocks; /* of what is read: in one run, in several long ones, in
                                                                  blocks that are permuted in memory */
    uint64_t bytes_computed; /* of the output: by casts and arithmetic */
    bool exact;              /* the numbers are; else they are those of a sample */
    unsigned threads;
    double seconds, seconds_alone; /* with so many threads, with one */
} wmap_cost;
/* WMAP_ERROR: the input comes as a stream or is pushed, or max_memory is too small for a run. */
WMAP_API wmap_status wmap_plan_cost(wmap_plan *p, const wmap_work *work, wmap_cost *cost);
/* Stages "graph" (tensors and how they are made), "plan" (the plan's records) and "llvm" (the
 * kernels that can be compiled for its boxes). */
WMAP_API wmap_status wmap_plan_dump(wmap_plan *p, const char *stage, wmap_sink out);
/* Where an element of an output tensor comes from, and where an element of an input tensor goes:
 * "KEY[3,5]". */
WMAP_API wmap_status wmap_plan_trace(wmap_plan *p, const char *element, wmap_style style,
                                     wmap_sink out);

/* ---- runs ---- */

typedef struct {
    bool force; /* replace a directory that is not empty */
    bool fsync; /* data, rename and directory reach the disk before the call returns */
    wmap_work work;
    unsigned task, ntask; /* make only part `task` (1 .. ntask, at most 65535) of the output; others make the rest; ntask 0:
                             all of it */
    bool commit_tasks;    /* make nothing: the tasks into this place are done, and the output is to appear */
} wmap_run_options;

typedef struct {
    uint64_t ntensor, nfile;            /* written */
    uint64_t bytes_written, bytes_read; /* of tensors */
    uint64_t peak_buffers;              /* bytes */
    uint64_t cast_overflow, cast_nan; /* elements that a cast made infinite or saturated, or NaN */
    uint64_t bytes_shared; /* written by sharing the input's blocks */
    uint64_t calls; /* reads and writes of tensors */
    uint64_t bytes_kept; /* that a run which was killed had written */
    double seconds;
    unsigned ntask, tasks_left; /* of a task: how many there are, and are not done; with none left the output is there */
    const char *tasks;          /* which are not done: "2, 5" */
    const char
        *place; /* the file where there is one data file, else the directory; owned by the plan */
} wmap_run_result;

/* Write the output given at bind.  It appears whole or not at all.  Where a run of the same plan into this place was
 * killed, it goes on where that one stopped; what another plan left behind is removed.
 *
 * With `ntask`, processes on machines with one file system share the work, each with the same options but `task`; in any
 * order, at the same time, repeated where one failed.  What they wrote stays until the last one, or a call with
 * commit_tasks, gives it its name; other runs into the place are refused so long (with `force` they remove it). */
WMAP_API wmap_status wmap_run(wmap_plan *p, const wmap_run_options *o, wmap_run_result *result);
/* The same into a sink, in order; only for a plan with one output file. */
WMAP_API wmap_status wmap_run_stream(wmap_plan *p, const wmap_run_options *o, wmap_sink sink,
                                     wmap_run_result *result);

/* ---- tensors that are pushed ---- */

typedef struct {
    const char *name, *dtype; /* "BF16" */
    const int64_t *shape;
    unsigned rank;
} wmap_header;
/* Bind a map to tensors that are not in files.  The options' `config` is needed where the map asks for one. */
WMAP_API wmap_status wmap_bind_headers(wmap_map *map, const wmap_header *t, size_t n, const wmap_bind_options *o,
                                       wmap_plan **out);
/* Takes a tensor of the output that is complete; its bytes are valid during the call.  Non-zero fails the session. */
typedef struct {
    int (*tensor)(void *user, const wmap_tensor *t, const void *bytes);
    void *user;
} wmap_taker;
typedef struct wmap_push wmap_push;
/* Begin a session: with a taker tensors are handed out, in the order in which they become complete; without one the
 * output given at bind is written.  One session at a time writes files in a context. */
WMAP_API wmap_status wmap_push_open(wmap_plan *p, const wmap_run_options *o, const wmap_taker *taker, wmap_push **out);
/* Bytes [offset, offset + n) of a tensor: whole elements, in any order, each byte once.  Pieces of a MiB or more are
 * worked on without a copy.  After a mistake of the caller (no such tensor, pushed twice) the session goes on. */
WMAP_API wmap_status wmap_push_bytes(wmap_push *s, const char *tensor, uint64_t offset, const void *bytes, size_t n);
/* All came?  Then the output appears.  WMAP_ERROR: the message names a tensor that did not come whole. */
WMAP_API wmap_status wmap_push_finish(wmap_push *s, wmap_run_result *result);
/* End a session, finished or not; what is not finished leaves nothing behind.  NULL: nothing to do. */
WMAP_API void wmap_push_close(wmap_push *s);

/* Prove that `output` holds what the plan makes, whatever its sharding, and that the way back gives
 * the input again as far as the map carries it.  WMAP_NO: it does not; out says where. */
WMAP_API wmap_status wmap_verify(wmap_plan *p, const char *output, const wmap_work *work,
                                 wmap_style style, wmap_sink out);

/* ---- maps without an input ---- */

typedef struct {
    const char *config;        /* path of a config.json; NULL: values are chosen */
    const char *const *define; /* "NAME=VALUE" ... */
    size_t ndefine;
    bool reverse;
    uint64_t seed; /* shifts the values of the elements */
    const char
        *output; /* a new directory that keeps input, output and back of each set; NULL: none */
    bool mutate; /* also change each rule in turn, and tell what notices */
    wmap_work work;
} wmap_mini_options;
/* Make a tiny checkpoint for a map, with sizes that differ and elements that differ, convert it,
 * convert it back and compare.  Settings that the map reads and that are not given are chosen, and
 * several sets of them where one can not use all rules.  WMAP_NO: something is not as it was, or no
 * set was found; with `mutate` also where a change that alters the result would go unnoticed. */
WMAP_API wmap_status wmap_mini(wmap_map *map, const wmap_mini_options *o, wmap_style style,
                               wmap_sink out);
/* Bind a map to the headers of invented tensors under a given configuration: what `check --config`
 * adds to a check.  Faults and lints are in the diagnostics.  Of the options config, define,
 * ndefine and reverse count. */
WMAP_API wmap_status wmap_map_check(wmap_map *map, const wmap_mini_options *o);

typedef struct {
    const char *input;         /* whose headers both are bound to; NULL: invented ones */
    const char *config;        /* path of a config.json; NULL: the input's, or chosen values */
    const char *const *define; /* "NAME=VALUE" ... for both maps */
    size_t ndefine;
} wmap_diff_maps_options;
/* Are two maps the same function?  WMAP_NO: they are not, and out names tensors, the smallest
 * elements that come from elsewhere, and the rules of both. */
WMAP_API wmap_status wmap_diff_maps(wmap_map *a, wmap_map *b, const wmap_diff_maps_options *o,
                                    wmap_style style, wmap_sink out);

/* ---- small checkpoints ---- */

typedef struct {
    const char *family;        /* "llama", "bert", ... */
    const char *output;        /* a directory */
    const char *const *define; /* "num_hidden_layers=2", "dtype=bf16", "preset=1b" ... */
    size_t ndefine;
    uint64_t max_shard_size; /* bytes; 0: 5 000 000 000 */
    bool force, fsync;
    bool sparse; /* no data: files of holes, which take no room and read as zeros */
    wmap_work work;
    const char *format; /* container to write; NULL: "safetensors" */
} wmap_gen_options;
/* Write config.json and the tensors of a model whose every element tells where it stands. */
WMAP_API wmap_status wmap_gen(wmap_ctx *ctx, const wmap_gen_options *o, wmap_run_result *result);
/* The families, their settings and presets; of one family, or of all where it is NULL. */
WMAP_API wmap_status wmap_gen_families(wmap_ctx *ctx, const char *family, wmap_style style,
                                       wmap_sink out);

#ifdef __cplusplus
}
#endif

#endif
