/* runtime/push_priv.h -- the parts of a push session among themselves.
 *
 *   push.c        the session: which bytes came, and in what portions they are worked on
 *   push_open.c   how a session begins: its memory, and the inputs that are there
 *   push_elem.c   a portion of an input: piece by piece, by its element operation; what must be held back
 *   push_crew.c   the threads: pieces that wait for one, and the room of the portions that they are of
 *   push_file.c   pieces to their places in files
 *   push_mem.c    pieces to blocks in memory, and those on when they are complete
 *
 * The thread of the caller collects portions and cuts them to pieces; all threads work on pieces of files.  Blocks in
 * memory are the caller's thread's alone.  A rehearsal does the same without data: it finds how much memory a run will
 * need. */
#ifndef WM_RUNTIME_PUSH_PRIV_H
#define WM_RUNTIME_PUSH_PRIV_H

#include <pthread.h>

#include "runtime/push.h"
#include "runtime/scatter.h"

enum {
    WM_PUSH_LEAST = 64 << 10,
    WM_PUSH_STEP = 256 << 10,
    WM_PUSH_ALIGN = 16,
    WM_PUSH_FLIGHTS = 16, /* portions that are worked on */
    WM_PUSH_TASKS = 32    /* pieces that wait */
};

/* An input tensor. */
struct wm_push_in {
    uint64_t got;     /* bytes that came */
    uint64_t pending; /* operations with other tensors that are still to be done */
    bool begun, passes; /* passes: all that it meets is there, so that it is worked on as it comes */
    char *held;       /* all of it, for operations to come */
};

/* A part of an output that is made in memory. */
struct wm_push_block {
    char *mem;
    uint64_t left; /* units that have not come; UINT64_MAX: nothing has */
};

/* Room of the slab, or other memory, that is read until refs is 0. */
struct wm_push_flight {
    uint64_t at, n;
    uint32_t refs;
};

/* Bytes [lo, lo + n) of an input in memory.  WM_NONE: what is held is enough. */
struct wm_push_part {
    uint32_t in;
    uint64_t lo;
    const char *p;
    struct wm_push_flight *flight;
};

/* A piece of a use of a portion. */
struct wm_push_task {
    const struct wm_use *use;
    struct wm_push_part part;
    struct wm_piece piece;
    uint64_t number;
};

/* What a thread has: an executor's worker, of whose scratch memory the front takes results. */
struct wm_push_hand {
    struct wm_push *s;
    struct wm_worker w;
    struct wm_err err;        /* of a task */
    char *made;
    uint64_t made_n;
    struct wm_push_part part; /* that it works on */
    pthread_t thread;
    bool runs;
    bool writes, back; /* it writes bytes [lo, hi) of a file; back: some of them as they were */
    uint32_t file;
    uint64_t lo, hi;
};

struct wm_push_crew {
    pthread_mutex_t lock;
    pthread_cond_t more, done;
    struct wm_push_task task[WM_PUSH_TASKS]; /* [head .. head + n), around */
    uint32_t head, n, running;
    bool stop;
    uint64_t number, failed; /* of the next task, and of the first that failed; UINT64_MAX: none */
    struct wm_err err;
    struct wm_push_flight flight[WM_PUSH_FLIGHTS]; /* [first .. first + nflight), around: in the order of the portions */
    uint32_t first, nflight;
    struct wm_push_flight other; /* memory of the caller, or held */
    pthread_mutex_t wlock; /* of what the hands write */
    pthread_cond_t wrote;
    uint32_t waiting;
};

struct wm_push {
    struct wm_scatter x;
    struct wm_exec *exec;
    struct wm_arena *a;
    const struct wm_sys *sys;
    struct wm_push_opts opts;
    struct wm_push_to to;
    struct wm_err *err;
    struct wm_exec_stats stats;
    bool rehearsal;
    uint64_t used, peak; /* bytes of blocks and of what is held */
    uint64_t most;       /* bytes that they may take */

    struct wm_push_in *in; /* [nin] */
    uint32_t *order;       /* inputs that are pushed, by file and offset */
    uint64_t norder;
    WM_VEC(struct wm_push_span) came; /* ascending, not touching */
    char *slab;                       /* room for portions */
    uint64_t slab_n;
    char *room;                       /* of the slab: the portion that is being collected; NULL: it has none yet */
    uint32_t cur;                     /* of this input, WM_NONE: none */
    uint64_t cur_lo, cur_n, cur_cap;  /* bytes [cur_lo, cur_lo + cur_n); worked on at cur_cap */

    struct wm_sums sums; /* of the output; n = 0: nobody asks for them */
    struct wm_push_hand *hand; /* [nhand] the first is the caller's */
    uint32_t nhand, nopen;
    struct wm_push_crew *crew; /* NULL: the caller is alone */

    struct wm_push_block *block; /* memory */
    uint64_t *first;             /* [nout + 1] blocks of an output */
    uint64_t block_n;            /* bytes of a block; UINT64_MAX: outputs are not divided */
    uint64_t next_out, next;     /* output and block that is written next */
    char *spare;                 /* whole blocks that are free, linked through their first bytes */
};

struct wm_push_span {
    uint32_t file;
    uint64_t lo, hi;
};

/* ---- push.c ---- */

bool wm_push_is_stream(const struct wm_push *s, uint32_t in);
/* The bytes from `lo` of an input are collected next. */
enum wm_status wm_push_turn_to(struct wm_push *s, uint32_t in, uint64_t lo);
/* Bytes [lo, lo + n) of an input, n > 0, of which the caller turned to the first. */
enum wm_status wm_push_feed(struct wm_push *s, uint32_t in, uint64_t lo, const char *p, uint64_t n);
/* Where the next byte of the portion goes; NULL where there is no room to wait for. */
char *wm_push_place(struct wm_push *s);
/* The first pushed input that ends behind a place of a file: a number in `order`. */
uint64_t wm_push_find(const struct wm_push *s, uint32_t file, uint64_t off);

/* ---- push_open.c ---- */

enum wm_status wm_push_constant(struct wm_push *s, struct wm_plan_bytes b);
enum wm_status wm_push_begin(struct wm_push *s);

/* ---- push_elem.c ---- */

/* Count the operations on several inputs. */
void wm_push_count(struct wm_push *s);
/* Is there something to be done for this input as it comes? */
bool wm_push_is_read(const struct wm_push *s, uint32_t in);
/* n bytes of an input, whole elements; part->p is NULL in a rehearsal. */
enum wm_status wm_push_portion(struct wm_push *s, const struct wm_push_part *part, uint64_t n);
/* A piece, on the thread that has this hand. */
enum wm_status wm_push_piece(struct wm_push_hand *k, const struct wm_use *u, struct wm_piece *p);
/* Free what is held. */
void wm_push_let_go(struct wm_push *s);
/* Count n bytes of memory; WM_ELIMIT where there may not be so many. */
enum wm_status wm_push_take(struct wm_push *s, uint64_t n);

/* ---- push_crew.c ---- */

/* Threads for all hands but the first; where the system gives fewer, the others do their work. */
void wm_push_crew_open(struct wm_push *s);
void wm_push_crew_close(struct wm_push *s);
/* A piece of the portion that the caller works on: done now, or by any thread before wm_push_drain() returns. */
enum wm_status wm_push_offer(struct wm_push *s, const struct wm_use *u, struct wm_piece *p);
/* All pieces are done.  What failed. */
enum wm_status wm_push_drain(struct wm_push *s);
/* Room of the slab for a portion of n bytes; waits for it. */
char *wm_push_space(struct wm_push *s, uint64_t n);
/* A portion of n bytes, in the last room that was given (or NULL: the caller's memory), begins to be cut, and is: where
 * it is the caller's, all its pieces are done then. */
struct wm_push_flight *wm_push_take_off(struct wm_push *s, const char *room, uint64_t n);
enum wm_status wm_push_landed(struct wm_push *s, struct wm_push_flight *f);
/* Around a write of bytes [lo, hi) of an output file.  A write that gives back what was read before excludes all others
 * that touch the same bytes. */
void wm_push_enter(struct wm_push_hand *k, uint32_t file, uint64_t lo, uint64_t hi, bool back);
void wm_push_leave(struct wm_push_hand *k);

/* ---- push_file.c, push_mem.c ----
 * A piece of an output: its units come from `from` + src[0] + sum(i_k * dim[k].src[0]), in bytes. */

enum wm_status wm_push_to_file(struct wm_push_hand *k, uint32_t out, struct wm_piece *p, const char *from);
/* What is filled and needs no input. */
enum wm_status wm_push_fills(struct wm_push *s);
/* A good portion of an input, in bytes: such that the runs in its outputs are long. */
uint64_t wm_push_good(struct wm_push *s, uint32_t in, uint64_t most);

enum wm_status wm_push_to_mem(struct wm_push *s, uint32_t out, struct wm_piece *p, const char *from);
void wm_push_blocks(struct wm_push *s);       /* make the table, or empty it */
enum wm_status wm_push_flow(struct wm_push *s); /* hand on what is complete */
void wm_push_blocks_free(struct wm_push *s);

#endif
