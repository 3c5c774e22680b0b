/* runtime/exec_priv.h -- the parts of the executor among themselves.
 *
 *   exec.c         handles, memory, input files
 *   exec_run.c     windows and slabs of the output, threads (exec_run.h)
 *   exec_window.c  which boxes a range of an output touches, cut to it: pieces
 *   exec_slab.c    blocks of input that are held while several windows are made of them
 *   exec_elem.c    a piece by its element operation: copies, fills, chains, checks
 *   piece.c        counting, cutting and naming pieces (push sessions use it, too)
 *   exec_lowrank.c the products of low-rank sums
 *   exec_scaled.c  values by the scales of their blocks
 *   exec_fetch.c   a piece of an operand into memory: how it is read
 *   exec_read.c    the queue of reads
 *   exec_codec.c   what virtual files decode to
 *   exec_sum.c     check sums of inputs
 *   exec_input.c   the files that are read
 *
 * A worker is what one thread needs; nothing of it is shared. */
#ifndef WM_RUNTIME_EXEC_PRIV_H
#define WM_RUNTIME_EXEC_PRIV_H

#include "base/nest.h"
#include "runtime/cost.h"
#include "runtime/exec.h"
#include "runtime/kernels/kernel.h"
#include "runtime/sums.h"

/* A read that waits. */
struct wm_read {
    uint64_t off;
    uint32_t file, len;
    char *to;
};

enum { WM_READS = 1024, WM_GAP = 4096 };

struct wm_reads {
    uint32_t n;
    struct wm_read *item; /* [WM_READS] */
    struct iovec *iov;    /* [WM_READS] */
    char *dump;           /* [WM_GAP] what lies between reads that go together */
};

/* A box cut to a range: dims by descending dst, in units. */
struct wm_piece {
    int64_t dst;
    int64_t src[WM_PLAN_OPERANDS];
    uint32_t rank;
    struct wm_plan_dim dim[WM_PLAN_RANK];
};

/* A movement from a file to memory, in bytes. */
struct wm_fetch {
    uint32_t file;
    uint64_t off; /* of the first run */
    char *to;
    uint32_t run; /* bytes that are contiguous on both sides */
    uint32_t rank;
    struct wm_kdim dim[WM_PLAN_RANK];
};

/* What a fetch reads at once: dims [0, outer) of the source are counted through, each part of
 * `span` bytes, gaps included, is read; the parts are `stride` apart in memory. */
struct wm_block {
    uint32_t outer;
    uint64_t span, stride, bytes, cost;
};

/* A piece whose source is in scratch memory: its src[0] and src strides [0] are bytes from `from`.
 */
struct wm_held {
    const struct wm_plan_box *box;
    const char *from;
    struct wm_piece piece;
};

enum { WM_HELD = 16, WM_INPUTS = 32 };

/* Bytes of a stretch that is decoded at a time: all that an index step of MSGPACK_MIXED can take. */
enum { WM_STRETCH = 9 * WM_CODEC_INDEX_STEP };

/* An open input file. */
struct wm_input {
    uint32_t file;
    int fd;
    uint64_t used; /* when, by the worker's clock */
};

/* How a geometry is best produced where windows at any place would read the source in tiny runs, or
 * again and again: `units` at a time (0: windows are fine).  `held`: that is more than a window, of
 * which the input is read at once; windows are whole `row`s where they fit.  `period`: slabs begin
 * anew at its multiples (0: only at the beginning). */
struct wm_slab {
    int64_t units, row, period;
    bool held;
};

struct wm_exec {
    const struct wm_plan *p;
    struct wm_plan plan;
    const struct wm_sys *sys;
    struct wm_exec_opts opts;
    WM_PLAN_VIEW_MEMBERS;
    struct wm_ranges *range; /* [ngeom] of geometries with many boxes; others have n = 0 */
    int64_t *range_room;
    struct wm_slab *slab;  /* [ngeom] */
    struct wm_jit *jit;    /* NULL: everything is interpreted */
    bool needs_pair;       /* there are chains or checks */
    uint32_t lowrank;      /* the largest rank of low-rank sums; 0: there are none */
    bool needs_codec;      /* there are inputs to be decoded */
    struct wm_worker *own; /* for wm_exec_produce */
};

struct wm_worker {
    struct wm_exec *x;
    struct wm_err *err;
    struct wm_exec_stats stats;
    struct wm_tally *tally; /* of a dry run, which counts here what it would do, and reads and moves nothing; else NULL */
    struct wm_reads reads;
    char *stage; /* one window */
    uint64_t stage_n;
    char *pair[2];   /* operands of a chunk of a chain or check */
    uint64_t pair_n; /* bytes of each */
    char *factor[3]; /* of low-rank sums: tiles of both factors, and one as it is in its file */
    uint64_t factor_n; /* bytes of each */
    char *raw, *plain; /* [WM_STRETCH] each, where inputs are decoded */
    uint32_t block_file; /* `plain` holds this block of a file with an index; WM_NONE: no whole block */
    uint64_t block;
    char *scratch;   /* blocks of input that are permuted */
    uint64_t scratch_n, scratch_used;
    struct wm_held *held; /* [WM_HELD] */
    uint32_t nheld;
    const struct wm_plan_out *held_out; /* whose units [held_lo, held_hi) they make */
    int64_t held_lo, held_hi;
    struct wm_input input[WM_INPUTS];
    uint32_t ninput;
    uint64_t clock;
    /* Where the bytes at `off` of a file that is a stream (WM_INFILE_STREAM) are in memory; NULL: there are no such files */
    const char *(*there)(void *user, uint32_t file, uint64_t off);
    void *there_user;
    void *memory;
    uint64_t mapped;           /* bytes of memory that were mapped; 0: from malloc */
};

/* ---- exec_dry.c ---- */

/* Count a movement in memory; n casts; a chain of steps from a packed piece, to its place (`straight`: at once). */
void wm_tally_permute(struct wm_worker *w, const struct wm_kdim *dim, uint32_t rank, uint32_t run);
void wm_tally_cast(struct wm_worker *w, enum wm_dtype from, enum wm_dtype to, uint64_t n);
void wm_tally_chain(struct wm_worker *w, const struct wm_kdim *dim, uint32_t rank, const struct wm_plan_elem *elem,
                    bool straight);

/* ---- exec.c ---- */

/* Bytes of buffers that a worker can do with at least. */
uint64_t wm_worker_least(const struct wm_exec *x, uint64_t window);
enum wm_status wm_worker_open(struct wm_exec *x, uint64_t window, uint64_t budget, bool is_dry,
                              struct wm_worker *w, struct wm_err *err);
void wm_worker_close(struct wm_worker *w);
/* ---- exec_input.c ---- */

/* The descriptor of an input file, good until the next call. */
enum wm_status wm_input_fd(struct wm_worker *w, uint32_t file, int *fd);
void wm_inputs_close(struct wm_worker *w);

/* ---- exec_window.c ---- */

/* Units [lo, hi) of an output or check; `to` is where unit lo goes (unused by checks). */
enum wm_status wm_window_units(struct wm_worker *w, const struct wm_plan_out *out, int64_t lo,
                               int64_t hi, char *to);
/* The part of a box in [lo, hi): calls `each` for every piece. */
typedef enum wm_status wm_piece_fn(void *user, struct wm_piece *piece);
enum wm_status wm_cut_box(const struct wm_plan_dim *dim, uint32_t rank, int64_t base,
                          const int64_t *src, int64_t lo, int64_t hi, wm_piece_fn *each,
                          void *user);
/* Bytes [off, off + n) of an output's elements, any alignment; and of the output as its file has
 * it, which is the same where it has no codec (else they are there without a flush). */
enum wm_status wm_window_bytes(struct wm_worker *w, const struct wm_plan_out *out, uint64_t off,
                               uint64_t n, char *to);
enum wm_status wm_window_encoded(struct wm_worker *w, const struct wm_plan_out *out, uint64_t off,
                                 uint64_t n, char *to);
/* Bytes in the file of one unit. */
uint32_t wm_out_unit(const struct wm_exec *x, const struct wm_plan_out *out);

/* ---- exec_slab.c ---- */

/* Choose the slabs of all geometries for workers with that much scratch memory and windows of that
 * size. */
void wm_slab_choose(struct wm_exec *x, uint64_t scratch, uint64_t window);
/* The slab [lo, hi) of nunit units in which `at` is. */
void wm_slab_range(const struct wm_slab *s, int64_t nunit, int64_t at, int64_t *lo, int64_t *hi);
/* Read blocks for units [lo, hi) of an output, as far as they fit: wm_window_units() then takes
 * them from memory. */
enum wm_status wm_slab_begin(struct wm_worker *w, const struct wm_plan_out *out, int64_t lo,
                             int64_t hi);
void wm_slab_end(struct wm_worker *w);

/* ---- exec_elem.c ---- */

/* What one box contributes: cut pieces arrive here.  `to` is where unit `lo` of the output goes;
 * `held` is where the operand is in memory (see struct wm_held), or NULL. */
enum wm_status wm_piece_run(struct wm_worker *w, const struct wm_plan_out *out,
                            const struct wm_plan_box *box, struct wm_piece *piece, int64_t lo,
                            char *to, const char *held);

/* ---- exec_scaled.c ---- */
/* A piece of at most pair_n / 8 units whose values lie packed in pair[1]: their products, of float32, to pair[0]. */
enum wm_status wm_scale_piece(struct wm_worker *w, const struct wm_plan_out *out, const struct wm_plan_box *box,
                              const struct wm_piece *piece);

/* ---- exec_lowrank.c ---- */

/* Add the product of a low-rank sum to the units of a piece that are in memory: unit (i_0, i_1, ..) at `to` +
 * sum(i_k * stride[k]), in bytes; they are of the operation's src_dtype. */
enum wm_status wm_lowrank_add(struct wm_worker *w, const struct wm_plan_out *out, const struct wm_plan_box *box,
                              const struct wm_piece *piece, const int64_t *stride, char *to);

/* ---- exec_fetch.c ---- */

/* Read operand s of a piece: unit (i_0, i_1, ..) goes to `to` + sum(i_k * dst_k); strides dst in
 * bytes [rank]. The data is there after wm_reads_flush(). */
enum wm_status wm_fetch_piece(struct wm_worker *w, const struct wm_plan_out *out,
                              const struct wm_plan_box *box, const struct wm_piece *piece,
                              uint32_t s, const int64_t *dst, char *to);

/* The movement of operand s of a piece from its file, dims by descending source stride (not
 * merged), strides of the piece itself (times the operand's unit) as dst; order[k] is the piece's
 * dim that became dim k. */
void wm_fetch_source(const struct wm_exec *x, const struct wm_plan_out *out,
                     const struct wm_plan_box *box, const struct wm_piece *piece, uint32_t s,
                     struct wm_fetch *f, uint32_t *order);
/* The cheapest way to read it as a block of at most `room` bytes; false where none fits. */
bool wm_block_choose(const struct wm_fetch *f, uint64_t room, struct wm_block *best);
/* Queue the reads of a block to `to`. */
enum wm_status wm_block_read(struct wm_worker *w, const struct wm_fetch *f,
                             const struct wm_block *b, char *to);
/* Would its runs, as they are, be scattered by the kernel rather than permuted in memory? */
bool wm_fetch_is_direct(const struct wm_fetch *f);

/* ---- exec_read.c ---- */

enum wm_status wm_reads_add(struct wm_worker *w, uint32_t file, uint64_t off, uint64_t n, char *to);
enum wm_status wm_reads_flush(struct wm_worker *w);
/* At once: exactly the iovecs at `off` of a file (RAW); they are changed. */
enum wm_status wm_read_raw(struct wm_worker *w, uint32_t file, uint64_t off, struct iovec *iov,
                           int n);
/* The name of a file in messages; of a virtual one that of the file it is in. */
const char *wm_input_name(const struct wm_exec *x, uint32_t file, char *buf, size_t n);

/* ---- exec_codec.c ---- */

/* The same of a virtual file: what its stretch decodes to. */
enum wm_status wm_read_virtual(struct wm_worker *w, uint32_t file, uint64_t off, struct iovec *iov,
                               int n);

/* ---- exec_sum.c ---- */

/* What bytes [lo, hi) of the file of a check sum (both inside of its range) contribute to it. */
enum wm_status wm_insum_part(struct wm_worker *w, const struct wm_plan_insum *s, uint64_t lo,
                             uint64_t hi, uint32_t *part);
enum wm_status wm_insum_check(const struct wm_exec *x, const struct wm_plan_insum *s, uint32_t crc,
                              struct wm_err *err);

#endif
