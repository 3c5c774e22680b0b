/* base/arena.h -- memory that lives as long as one compilation.
 *
 * A compilation allocates its tree, IR, graph and diagnostics in an arena and never frees them one
 * by one.  wm_arena_alloc() does not return NULL: it calls the arena's oom hook, which must not
 * return.  With WM_ARENA_DEBUG every object gets its own block, so that a sanitizer sees each. */
#ifndef WM_BASE_ARENA_H
#define WM_BASE_ARENA_H

#include <stddef.h>
#include <string.h>

#include "base/str.h"
#include "base/sys.h"

struct wm_arena_block;

struct wm_arena {
    const struct wm_sys *sys;
    void (*oom)(void *user); /* called when memory is out; does not return */
    void *oom_user;
    struct wm_arena_block *head;
    char *at, *end; /* free part of the newest block */
    size_t total;   /* bytes asked from the system so far */
};

/* oom may be NULL: then the process prints "wmap: out of memory" and aborts. */
void wm_arena_init(struct wm_arena *a, const struct wm_sys *sys, void (*oom)(void *), void *user);
void wm_arena_fini(struct wm_arena *a);

/* Zeroed, aligned for any type.  n = 0 gives a pointer that must not be read. */
void *wm_arena_alloc(struct wm_arena *a, size_t n);
/* For something large that may be dropped before the arena is; not zeroed, so that what is never written takes no
 * memory. */
void *wm_arena_alone(struct wm_arena *a, size_t n);
/* Give back at once what wm_arena_alone() gave; nothing happens where it was not worth a block of its own. */
void wm_arena_drop(struct wm_arena *a, void *p);
/* Only its first n bytes are still needed: what pages it has behind them go back. */
void wm_arena_cut(struct wm_arena *a, void *p, size_t n);
/* Zeroed array; an overflow of count * size goes to the oom hook. */
void *wm_arena_array(struct wm_arena *a, size_t count, size_t size);
/* A larger copy of an array (old may be NULL), or the array itself where it can grow in place; old must not be used
 * again.  The new tail is not zeroed. */
void *wm_arena_grow(struct wm_arena *a, const void *old, size_t old_n, size_t new_n, size_t size);

/* NUL-terminated copies; the NUL is not counted. */
struct wm_str wm_arena_str(struct wm_arena *a, struct wm_str s);
char *wm_arena_cstr(struct wm_arena *a, struct wm_str s);
struct wm_str wm_arena_printf(struct wm_arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* An arena for a while, beside one that goes on.  Begin and end nest.  Where memory is out in either of them, the child ends
 * before the parent's hook is called. */
struct wm_arena_child {
    struct wm_arena a;
    struct wm_arena *parent;
    void (*oom)(void *user); /* the parent's */
    void *oom_user;
};
void wm_arena_child_begin(struct wm_arena_child *c, struct wm_arena *parent);
void wm_arena_child_end(struct wm_arena_child *c);

#define WM_NEW(a, type)      ((type *)wm_arena_alloc((a), sizeof(type)))
#define WM_NEW_N(a, type, n) ((type *)wm_arena_array((a), (size_t)(n), sizeof(type)))

/* Growing array in an arena: `type *item; uint32_t n, cap;` side by side in one struct.
 * WM_PUSH(a, vec) makes room for one more, counts it and gives its address; it is zeroed. */
#define WM_VEC(type)                                                                               \
    struct {                                                                                       \
        type *item;                                                                                \
        uint32_t n, cap;                                                                           \
    }
#define WM_PUSH(a, v)                                                                              \
    (((v)->n == (v)->cap                                                                           \
          ? (void)((v)->item = wm_arena_grow((a), (v)->item, (v)->cap, WM_VEC_NEXT((v)->cap),      \
                                             sizeof(*(v)->item)),                                  \
                   (v)->cap = WM_VEC_NEXT((v)->cap))                                               \
          : (void)0),                                                                              \
     (void)memset(&(v)->item[(v)->n], 0, sizeof(*(v)->item)), &(v)->item[(v)->n++])
/* Small arrays double, large ones grow by a quarter: they move for little (see wm_arena_grow). */
#define WM_VEC_NEXT(cap) ((cap) == 0 ? 8u : (cap) < 4096 ? 2u * (cap) : (cap) + (cap) / 4)

#endif
