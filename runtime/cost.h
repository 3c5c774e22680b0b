/* runtime/cost.h -- what a run of a plan will take: calls, bytes by the way that they go, time.
 *
 * Nothing is imitated: the executor itself goes through its steps with a tally, and counts what it would otherwise do
 * (exec_dry.c).  Where there are very many steps it goes through a part of them, of every kind.  Time follows from the
 * counts by constants that were measured on one machine, the same ones by which the executor and the JIT choose. */
#ifndef WM_RUNTIME_COST_H
#define WM_RUNTIME_COST_H

#include "runtime/exec.h"
#include "runtime/kernels/kernel.h"

/* By these the executor chooses how to read (measured on page cache): a call costs as much as copying so many bytes;
 * below this run length, permuting a block in memory is faster than scattering reads. */
enum { WM_COST_CALL_BYTES = 4096, WM_COST_SCATTER_MIN = 512 };

/* By these the JIT chooses (bench/jit_bench): loading LLVM and making an engine, compiling a kernel; ns. */
enum { WM_COST_JIT_LOAD = 40 * 1000 * 1000, WM_COST_JIT_COMPILE = 30 * 1000 * 1000 };
enum { WM_COST_JIT_SMALL = 8 << 10 }; /* movements of fewer bytes are not looked at */

/* What a dry run counts. */
enum wm_tally_id {
    WM_T_READS, /* calls */
    WM_T_WRITES,
    WM_T_PLACES, /* in memory, of all reads */
    WM_T_READ,   /* bytes */
    WM_T_WRITTEN,
    WM_T_STRAIGHT, /* bytes that the outputs need, by the way they are read: one run */
    WM_T_SCATTERED, /* several, each to its place */
    WM_T_BLOCKS,    /* a block, to be permuted */
    WM_T_SLABS,     /* the same, for several windows */
    WM_T_FILLED,    /* bytes without an input */
    WM_T_COMPUTED,  /* bytes of the output that casts or arithmetic make */
    WM_T_COMPARED,  /* bytes of checks, one side */
    WM_T_SUMMED,    /* bytes of the input whose check sum is looked at */
    WM_T_MEMORY,    /* what kernels take, ps */
    WM_T_SAVED,     /* of this, what compiled ones would save */
    WM_T_WORK,      /* of the dry run itself */
    WM_T_KERNEL,    /* bytes that each kernel moves: WM_T_KERNEL + its id */
    WM_T_N = WM_T_KERNEL + WM_K_N
};
struct wm_tally {
    uint64_t n[WM_T_N];
    bool compiles; /* compiled kernels are thought of */
};

/* Picoseconds that wm_permute() takes, in all or this way; that a step of a chain takes for an element. */
uint64_t wm_cost_permute(const struct wm_kdim *dim, uint32_t rank, uint32_t run);
uint64_t wm_cost_way(const struct wm_permute_way *way);
uint64_t wm_cost_step(const struct wm_plan_step *step);
/* Of comparing a byte, of adding it to a check sum; of decoding or encoding an element. */
enum { WM_COST_COMPARE = 45, WM_COST_SUM = 90, WM_COST_DECODE = 500, WM_COST_DECODE_MIXED = 2000, WM_COST_ENCODE = 800 };
/* Of a product of a low-rank sum, by the width in which it is taken; of a value by the scale of its block. */
enum { WM_COST_PRODUCT = 70, WM_COST_PRODUCT_WIDE = 140, WM_COST_SCALE = 120 };

struct wm_cost {
    uint64_t n[WM_T_N];
    uint64_t steps, counted; /* of the run, in all and by the dry run: equal where the numbers are exact */
    uint64_t small_writes;   /* of heads, tails, check sums, small files, and the journal that has a record for each write */
    unsigned threads;
    double seconds, seconds_alone; /* with so many threads, with one; inputs in the page cache */
    bool compiled;                 /* it pays to compile kernels, and that is in the seconds */
};

/* How many of the threads that may be used are used: where the memory for each would be so little that they read in tiny
 * runs, or most of the input again and again, fewer, with more of it each: less than half of the work, and done sooner. */
unsigned wm_cost_threads(const struct wm_plan *p, const struct wm_sys *sys, const struct wm_exec_opts *opts);
/* With options as for wm_exec_run(); inputs are files. */
enum wm_status wm_cost_of(const struct wm_plan *p, const struct wm_sys *sys, const struct wm_exec_opts *opts,
                          struct wm_cost *cost, struct wm_err *err);

/* ---- exec_dry.c ---- */

/* The counts alone. */
enum wm_status wm_exec_dry(const struct wm_plan *p, const struct wm_sys *sys, const struct wm_exec_opts *opts,
                           struct wm_cost *cost, struct wm_err *err);

#endif
