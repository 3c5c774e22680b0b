/* runtime/jit.h -- kernels that are compiled while a plan runs, for what the fixed kernels do not fit.
 *
 * Two sides.  The executor asks, before it moves a block in memory, whether there is a compiled
 * kernel for that movement (wm_jit_begin); the host counts what each movement costs without one and
 * has it compiled when that would have paid.  The compiler itself is a plug-in, a shared object
 * that is loaded the first time something is worth compiling (or at once where the user asks): it
 * sees nothing but struct wm_jit_nest.  Compiled or not, the bytes are the same. */
#ifndef WM_RUNTIME_JIT_H
#define WM_RUNTIME_JIT_H

#include "base/sys.h"
#include "runtime/kernels/kernel.h"

enum wm_engine {
    WM_ENGINE_AUTO,   /* compile what pays; without the plug-in, nothing does */
    WM_ENGINE_INTERP, /* compile nothing */
    WM_ENGINE_JIT     /* compile all that can be; without the plug-in, an error */
};

/* ---- what plug-in and host agree on ---- */

enum { WM_JIT_ABI = 1, WM_JIT_RANK = 8, WM_JIT_STEPS = 6, WM_JIT_RUN = 64 };

struct wm_jit_step {
    uint32_t kind, from, to; /* as in struct wm_plan_step */
};

/* What a kernel is compiled for: a movement of wm_permute()'s kind, dims by descending dst stride,
 * whose outermost extent comes with the call; with steps, each element goes through them.  Unused
 * bytes are zero: kernels are found by comparing it. */
struct wm_jit_nest {
    uint32_t rank;                   /* dims, at least 1; dim[0].n is 0 */
    uint32_t in, out;                /* bytes of an element (without steps: of a run) */
    uint32_t nstep;
    struct wm_kdim dim[WM_JIT_RANK]; /* strides in bytes; dst strides positive */
    struct wm_jit_step step[WM_JIT_STEPS];
};

/* `value` are the steps' values, `count` the members of struct wm_cast_count.  Less than 2^31
 * elements a call. */
typedef void wm_jit_fn(char *dst, const char *src, int64_t n, const double *value, uint64_t *count);

struct wm_jit_plugin {
    uint32_t abi, size; /* WM_JIT_ABI, of this struct */
    const char *(*version)(void);
    /* NULL: this host does not allow it; `why` says so. */
    void *(*open)(char *why, size_t n);
    void (*close)(void *engine);
    /* NULL: it can not be compiled.  One call at a time per engine. */
    wm_jit_fn *(*compile)(void *engine, const struct wm_jit_nest *nest);
    /* The same as text; let go of with text_free. */
    char *(*text)(void *engine, const struct wm_jit_nest *nest, const char *name);
    void (*text_free)(char *text);
};
/* The plug-in's one symbol. */
#define WM_JIT_SYMBOL "wmap_jit_plugin"
typedef const struct wm_jit_plugin *wm_jit_symbol(void);

/* ---- what the executor sees ---- */

struct wm_jit;

/* AUTO loads nothing yet; INTERP gives NULL, which all calls take. */
enum wm_status wm_jit_open(const struct wm_sys *sys, enum wm_engine engine, struct wm_jit **out,
                           struct wm_err *err);
void wm_jit_close(struct wm_jit *j);

/* A movement that is about to be made. */
struct wm_jit_use {
    struct wm_jit *jit;
    struct wm_jit_kernel *kernel; /* NULL: not looked after */
    wm_jit_fn *fn;                /* NULL: the interpreter's turn */
    int64_t n;                    /* for fn */
    uint64_t bytes, start;        /* of the destination; ns, 0: not measured */
};
/* Is there a kernel?  Without steps it is wm_permute() of runs of `in` bytes.  wm_jit_end() follows
 * when the movement is made. */
void wm_jit_begin(struct wm_jit *j, struct wm_jit_use *use, const struct wm_kdim *dim,
                  uint32_t rank, uint32_t in, uint32_t out, const struct wm_plan_step *step,
                  uint32_t nstep);
void wm_jit_end(struct wm_jit_use *use);
/* wm_permute(), compiled where that pays. */
void wm_jit_permute(struct wm_jit *j, char *dst, const char *src, const struct wm_kdim *dim,
                    uint32_t rank, uint32_t run);
/* The steps of a chain over a nest by a compiled kernel; false: nothing is done, the interpreter
 * should, and call wm_jit_end(use) when it has. */
bool wm_jit_chain(struct wm_jit *j, struct wm_jit_use *use, char *dst, const char *src,
                  const struct wm_kdim *dim, uint32_t rank, const struct wm_plan_elem *elem,
                  const struct wm_plan_step *step, struct wm_cast_count *count);

/* ---- the parts of it ---- */

/* The kernel that a movement would use, without the outermost extent, which goes to *n; false: none
 * can be compiled. */
bool wm_jit_nest_of(struct wm_jit_nest *nest, int64_t *n, const struct wm_kdim *dim, uint32_t rank,
                    uint32_t in, uint32_t out, const struct wm_plan_step *step, uint32_t nstep);
/* What a compiled kernel takes, in picoseconds per byte of the destination: measured classes. */
uint64_t wm_jit_expected(const struct wm_jit_nest *nest);

/* An elements' block in vectors: the innermost dims from `first` on, whole, and `factor` of dim
 * first - 1 at once. */
struct weave {
    uint32_t first;
    int64_t factor;
    uint64_t bytes;   /* of the destination, contiguous */
    uint32_t nwindow; /* stretches of the source */
    struct {
        int64_t at, n;
    } window[8];
    uint32_t element; /* bytes that always move together */
    uint32_t nindex;
    uint16_t index[64]; /* of each element of the destination in the windows, one after the other */
};
/* The best block; false where vectors do not help. */
bool wm_weave_choose(const struct wm_jit_nest *nest, struct weave *best);
/* The block with these `first` and `factor`; false where it is too large. */
bool wm_weave_make(const struct wm_jit_nest *nest, uint32_t first, int64_t factor, struct weave *w);

/* A loaded plug-in. */
struct wm_jit_library {
    void *handle;
    const struct wm_jit_plugin *plugin;
    void *engine;
};
enum wm_status wm_jit_load(const struct wm_sys *sys, struct wm_jit_library *lib,
                           struct wm_err *err);
void wm_jit_unload(struct wm_jit_library *lib);
/* Is there a plug-in to load?  It is only looked for. */
bool wm_jit_is_here(const struct wm_sys *sys);

/* Compiled kernels so far. */
unsigned wm_jit_count(const struct wm_jit *j);
/* The kernels of a plan's boxes as text, each once. */
enum wm_status wm_jit_print(const struct wm_plan *p, const struct wm_sys *sys, struct wm_buf *out,
                            struct wm_err *err);

#endif
