/* runtime/push_priv.h -- the parts of a push session among themselves.
 *
 *   push.c        the session: which bytes came, and in what portions they are worked on
 *   push_elem.c   a portion of an input: piece by piece, by its element operation; what must be held back
 *   push_file.c   pieces to their places in files
 *   push_mem.c    pieces to blocks in memory, and those on when they are complete
 *
 * A rehearsal does the same without data: it finds how much memory a run will need. */
#ifndef WM_RUNTIME_PUSH_PRIV_H
#define WM_RUNTIME_PUSH_PRIV_H

#include "runtime/push.h"
#include "runtime/scatter.h"

enum { WM_PUSH_PAIR = 64 << 10, WM_PUSH_LEAST = 64 << 10, WM_PUSH_STEP = 256 << 10, WM_PUSH_ALIGN = 16 };

/* An input tensor. */
struct wm_push_in {
    uint64_t got;      /* bytes that came */
    uint64_t pending;  /* comparisons that wait for it */
    bool begun, compared; /* compared: with others as it comes, since they are all there */
    char *held;        /* all of it, for comparisons to come */
};

/* A part of an output that is made in memory. */
struct wm_push_block {
    char *mem;
    uint64_t left; /* units that have not come; UINT64_MAX: nothing has */
};

struct wm_push {
    struct wm_scatter x;
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
    char *slab;                       /* a portion that is being collected */
    uint64_t slab_n;
    uint32_t cur;                     /* of this input, WM_NONE: none */
    uint64_t cur_lo, cur_n, cur_cap;  /* bytes [cur_lo, cur_lo + cur_n); worked on at cur_cap */

    char *pair[2]; /* operands of a chunk, [WM_PUSH_PAIR] */
    char *stage;   /* [stage_n] files: what is written with one call */
    uint64_t stage_n;

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

/* ---- push_elem.c ---- */

/* Count the comparisons; how many bytes will be held at most where inputs come in order. */
void wm_push_count(struct wm_push *s);
/* Bytes [lo, lo + n) of an input, whole elements; p is NULL in a rehearsal. */
enum wm_status wm_push_portion(struct wm_push *s, uint32_t in, uint64_t lo, const char *p, uint64_t n);
/* Free what is held. */
void wm_push_let_go(struct wm_push *s);
/* Count n bytes of memory; WM_ELIMIT where there may not be so many. */
enum wm_status wm_push_take(struct wm_push *s, uint64_t n);

/* ---- push_file.c, push_mem.c ----
 * A piece of an output: its units come from `from` + src[0] + sum(i_k * dim[k].src[0]), in bytes. */

enum wm_status wm_push_to_file(struct wm_push *s, uint32_t out, struct wm_piece *p, const char *from);
/* What is filled and needs no input. */
enum wm_status wm_push_fills(struct wm_push *s);
/* A good portion of an input, in bytes: such that the runs in its outputs are long. */
uint64_t wm_push_good(struct wm_push *s, uint32_t in, uint64_t most);

enum wm_status wm_push_to_mem(struct wm_push *s, uint32_t out, struct wm_piece *p, const char *from);
void wm_push_blocks(struct wm_push *s);       /* make the table, or empty it */
enum wm_status wm_push_flow(struct wm_push *s); /* hand on what is complete */
void wm_push_blocks_free(struct wm_push *s);

#endif
