/* runtime/jit.c -- the compiled kernels of a run, and when one is worth compiling.
 *
 * A table of the movements that were asked for.  With AUTO, each is first made by the interpreter's
 * kernels and timed; what a compiled one would have saved is added up, and when that exceeds what
 * loading and compiling cost, it is compiled: a run loses at most as much as that again.  A compiled
 * kernel that turns out slower than the interpreter is put aside.  One lock; with AUTO nobody waits
 * for it, the interpreter does such a movement. */
#include "runtime/cost.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

/* Kernels in a table; of those, compiled; how often a compiled one is timed. */
enum { SLOTS = 1024, MOST = 768, MOST_COMPILED = 256, TRIALS = 8 };

enum state { INTERPRETED, COMPILED, ASIDE };

struct wm_jit_kernel {
    struct wm_jit_nest nest;
    wm_jit_fn *fn;
    enum state state;
    bool used;
    uint32_t trials;    /* of the compiled kernel */
    uint64_t expected;  /* ps per byte */
    uint64_t best[2];   /* ps per byte, interpreted and compiled, the best so far */
    uint64_t saved;     /* ns that a compiled kernel would have saved */
};

struct wm_jit {
    const struct wm_sys *sys;
    enum wm_engine engine;
    pthread_mutex_t lock;
    struct wm_jit_library lib;
    _Atomic bool gave_up; /* there is no plug-in */
    uint64_t saved;
    unsigned nkernel, ncompiled;
    struct wm_jit_kernel *slot; /* [SLOTS] */
};

enum wm_status
wm_jit_open(const struct wm_sys *sys, enum wm_engine engine, struct wm_jit **out,
            struct wm_err *err)
{
    struct wm_jit *j;
    enum wm_status st = WM_OK;

    *out = NULL;
    if (engine == WM_ENGINE_INTERP)
        return WM_OK;
    j = sys->malloc(sizeof(*j));
    if (!j)
        return wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    memset(j, 0, sizeof(*j));
    j->sys = sys;
    j->engine = engine;
    if (engine == WM_ENGINE_JIT)
        st = wm_jit_load(sys, &j->lib, err);
    if (st != WM_OK) {
        sys->free(j);
        return st;
    }
    pthread_mutex_init(&j->lock, NULL);
    *out = j;
    return WM_OK;
}

void
wm_jit_close(struct wm_jit *j)
{
    if (!j)
        return;
    wm_jit_unload(&j->lib);
    pthread_mutex_destroy(&j->lock);
    j->sys->free(j->slot);
    j->sys->free(j);
}

unsigned
wm_jit_count(const struct wm_jit *j)
{
    return j ? j->ncompiled : 0;
}

static uint64_t
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- the table ---- */

static uint64_t
hash(const struct wm_jit_nest *nest)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325), word;

    for (size_t i = 0; i + 8 <= sizeof(*nest); i += 8) {
        memcpy(&word, (const char *)nest + i, 8);
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return h;
}

/* The nest's row, a new one if need be; NULL where the table is full. */
static struct wm_jit_kernel *
find(struct wm_jit *j, const struct wm_jit_nest *nest)
{
    uint64_t at = hash(nest) % SLOTS;

    if (!j->slot) {
        j->slot = j->sys->malloc(SLOTS * sizeof(j->slot[0]));
        if (!j->slot)
            return NULL;
        for (int i = 0; i < SLOTS; i++)
            j->slot[i].used = false;
    }
    while (j->slot[at].used && memcmp(&j->slot[at].nest, nest, sizeof(*nest)) != 0)
        at = (at + 1) % SLOTS;
    if (!j->slot[at].used) {
        if (j->nkernel == MOST)
            return NULL;
        j->nkernel++;
        j->slot[at] = (struct wm_jit_kernel){
            .used = true, .expected = wm_jit_expected(nest), .best = {UINT64_MAX, UINT64_MAX}};
        memcpy(&j->slot[at].nest, nest, sizeof(*nest));
    }
    return &j->slot[at];
}

/* ---- when to compile ---- */

static bool
is_worth_it(const struct wm_jit *j, const struct wm_jit_kernel *k)
{
    if (j->engine == WM_ENGINE_JIT)
        return true;
    return k->saved > WM_COST_JIT_COMPILE && (j->lib.engine || j->saved > WM_COST_JIT_LOAD + WM_COST_JIT_COMPILE);
}

static void
compile(struct wm_jit *j, struct wm_jit_kernel *k)
{
    struct wm_err ignored = {0};

    if (!j->lib.engine && wm_jit_load(j->sys, &j->lib, &ignored) != WM_OK) {
        j->gave_up = true;
        return;
    }
    k->fn = j->ncompiled < MOST_COMPILED ? j->lib.plugin->compile(j->lib.engine, &k->nest) : NULL;
    k->state = k->fn ? COMPILED : ASIDE;
    j->ncompiled += k->fn != NULL;
}

/* Without the lock, because nobody else has it or wants it. */
static bool
lock(struct wm_jit *j)
{
    if (j->engine == WM_ENGINE_JIT)
        return pthread_mutex_lock(&j->lock) == 0;
    return pthread_mutex_trylock(&j->lock) == 0;
}

void
wm_jit_begin(struct wm_jit *j, struct wm_jit_use *use, const struct wm_kdim *dim, uint32_t rank,
             uint32_t in, uint32_t out, const struct wm_plan_step *step, uint32_t nstep)
{
    struct wm_jit_nest nest;
    struct wm_jit_kernel *k;
    uint64_t n = 1;

    *use = (struct wm_jit_use){.jit = j};
    if (!j || j->gave_up)
        return;
    for (uint32_t i = 0; i < rank; i++)
        n *= (uint64_t)dim[i].n;
    if (n == 0 || n >> 31 || (j->engine == WM_ENGINE_AUTO && n * out < WM_COST_JIT_SMALL) ||
        !wm_jit_nest_of(&nest, &use->n, dim, rank, in, out, step, nstep) || !lock(j))
        return;
    k = find(j, &nest);
    if (k && k->state == INTERPRETED && is_worth_it(j, k))
        compile(j, k);
    if (k && k->state == COMPILED)
        use->fn = k->fn;
    if (k && j->engine == WM_ENGINE_AUTO && k->state != ASIDE && k->trials < TRIALS) {
        use->kernel = k;
        use->bytes = n * out;
        use->start = now();
    }
    pthread_mutex_unlock(&j->lock);
}

void
wm_jit_end(struct wm_jit_use *use)
{
    struct wm_jit *j = use->jit;
    struct wm_jit_kernel *k = use->kernel;
    uint64_t ps;

    if (!use->start)
        return;
    ps = (now() - use->start) * 1000 / use->bytes;
    if (!lock(j))
        return;
    k->best[use->fn != NULL] = ps < k->best[use->fn != NULL] ? ps : k->best[use->fn != NULL];
    if (use->fn) {
        if (++k->trials == TRIALS && k->best[1] > k->best[0])
            k->state = ASIDE;
    } else if (k->best[0] > k->expected) {
        uint64_t saved = (k->best[0] - k->expected) * use->bytes / 1000;

        k->saved += saved;
        j->saved += saved;
    }
    pthread_mutex_unlock(&j->lock);
}

void
wm_jit_permute(struct wm_jit *j, char *dst, const char *src, const struct wm_kdim *dim,
               uint32_t rank, uint32_t run)
{
    struct wm_jit_use use;

    wm_jit_begin(j, &use, dim, rank, run, run, NULL, 0);
    if (use.fn)
        use.fn(dst, src, use.n, NULL, NULL);
    else
        wm_permute(dst, src, dim, rank, run);
    wm_jit_end(&use);
}

bool
wm_jit_chain(struct wm_jit *j, struct wm_jit_use *use, char *dst, const char *src,
             const struct wm_kdim *dim, uint32_t rank, const struct wm_plan_elem *elem,
             const struct wm_plan_step *step, struct wm_cast_count *count)
{
    uint64_t sum[3] = {0};
    double value[WM_JIT_STEPS];

    *use = (struct wm_jit_use){.jit = j};
    if (elem->nstep == 0)
        return false;
    wm_jit_begin(j, use, dim, rank, elem->src_unit, elem->dst_unit, step, elem->nstep);
    if (!use->fn)
        return false;
    for (uint32_t i = 0; i < elem->nstep; i++)
        value[i] = step[i].value;
    use->fn(dst, src, use->n, value, sum);
    wm_jit_end(use);
    count->overflow += sum[0];
    count->nan += sum[1];
    count->inexact += sum[2];
    return true;
}
