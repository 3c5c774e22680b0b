/* base/arena.c -- bump allocation in blocks that grow with the total.
 *
 * In: sizes, often derived from a file's contents, so sums and products are checked.  Out: memory
 * that lives until wm_arena_fini(), zeroed where that is asked for.  Large objects get a block of their
 * own behind the newest one, whose free part stays in use; growing arrays of that size move with their
 * block, and pages of them that nothing was written to take no memory.  Large blocks that many objects share
 * are mapped in large pages: the first touch of a small one costs more than what is done with it.  With
 * WM_ARENA_DEBUG every object has its own block. */
#include "base/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define ALIGN     _Alignof(max_align_t)
#define MIN_BLOCK ((size_t)64 << 10)
#define MAX_BLOCK ((size_t)4 << 20)
#define GROW_ALONE ((size_t)32 << 10) /* a growing array of that size has a block of its own */
#define PAGED      ((size_t)256 << 10) /* and of that size, pages of its own */
#define MAPPED     ((size_t)2 << 20)   /* a shared block of that size is mapped in large pages */

struct wm_arena_block {
    struct wm_arena_block *next;
    size_t alone; /* bytes of the one large object in it; 0: shared by many */
    size_t pages; /* bytes of its pages; 0: it was allocated */
    bool mapped;  /* they are from sys.map, which does not enlarge them */
    max_align_t mem[];
};

static _Noreturn void
out_of_memory(struct wm_arena *a)
{
    if (a->oom)
        a->oom(a->oom_user);
    fputs("wmap: out of memory\n", stderr);
    abort();
}

void
wm_arena_init(struct wm_arena *a, const struct wm_sys *sys, void (*oom)(void *), void *user)
{
    *a = (struct wm_arena){.sys = sys ? sys : &wm_sys_real, .oom = oom, .oom_user = user};
}

static void
release(struct wm_arena *a, struct wm_arena_block *b)
{
    if (b->mapped)
        a->sys->unmap(b, b->pages);
    else if (b->pages)
        a->sys->pages(b, b->pages, 0);
    else
        a->sys->free(b);
}

void
wm_arena_fini(struct wm_arena *a)
{
    struct wm_arena_block *b = a->head, *next;

    for (; b; b = next) {
        next = b->next;
        release(a, b);
    }
    a->head = NULL;
    a->at = a->end = NULL;
    a->total = 0;
}

void
wm_arena_child_end(struct wm_arena_child *c)
{
    wm_arena_fini(&c->a);
    c->parent->oom = c->oom;
    c->parent->oom_user = c->oom_user;
}

static void
child_out_of_memory(void *user)
{
    struct wm_arena_child *c = user;

    wm_arena_child_end(c);
    if (c->oom)
        c->oom(c->oom_user);
}

void
wm_arena_child_begin(struct wm_arena_child *c, struct wm_arena *parent)
{
    c->parent = parent;
    c->oom = parent->oom;
    c->oom_user = parent->oom_user;
    wm_arena_init(&c->a, parent->sys, child_out_of_memory, c);
    parent->oom = child_out_of_memory;
    parent->oom_user = c;
}

/* A block with room for n bytes; not yet in the list. */
static struct wm_arena_block *
block_new(struct wm_arena *a, size_t n, bool paged)
{
    struct wm_arena_block *b;
    bool mapped = false;
    size_t size;

    if (n > SIZE_MAX - sizeof(*b))
        out_of_memory(a);
    size = sizeof(*b) + n;
    if (paged)
        b = a->sys->pages(NULL, 0, size);
    else if (size >= MAPPED && (b = a->sys->map(size)))
        mapped = true;
    else
        b = a->sys->malloc(size);
    if (!b)
        out_of_memory(a);
    a->total += size;
    b->alone = 0;
    b->pages = paged || mapped ? size : 0;
    b->mapped = mapped;
    return b;
}

#ifdef WM_ARENA_DEBUG

static void *
carve(struct wm_arena *a, size_t n, bool grows)
{
    struct wm_arena_block *b = block_new(a, n, false); /* exactly n: a sanitizer sees one byte too far */

    b->next = a->head;
    b->alone = grows ? n : 0; /* what is dropped is freed, so that a sanitizer sees who still uses it */
    a->head = b;
    return b->mem;
}

#else

/* As much again as there is already, within limits: few blocks, little waste. */
static size_t
block_size(const struct wm_arena *a)
{
    size_t n = MIN_BLOCK;

    while (n < a->total && n < MAX_BLOCK)
        n *= 2;
    return n - sizeof(struct wm_arena_block);
}

/* `grows`: it is a growing array, which a block of its own spares being copied. */
static void *
carve(struct wm_arena *a, size_t n, bool grows)
{
    size_t room = block_size(a);
    struct wm_arena_block *b;
    void *p;

    if (n > SIZE_MAX - ALIGN)
        out_of_memory(a);
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
    grows = grows && n >= GROW_ALONE;
    if (n > (size_t)(a->end - a->at) || grows) {
        bool alone = grows || (a->head && n > room / 4);

        b = block_new(a, alone || n > room ? n : room, alone && n >= PAGED);
        if (alone) {
            struct wm_arena_block **at = a->head ? &a->head->next : &a->head;

            b->alone = n;
            b->next = *at;
            *at = b;
            return b->mem;
        }
        b->next = a->head;
        a->head = b;
        a->at = (char *)b->mem;
        a->end = a->at + (n > room ? n : room);
    }
    p = a->at;
    a->at += n;
    return p;
}

/* Enlarge the newest object where it stands; false where it is another or there is no room. */
static bool
extend(struct wm_arena *a, const void *old, size_t old_bytes, size_t new_bytes)
{
    size_t have = (old_bytes + ALIGN - 1) / ALIGN * ALIGN;
    size_t room = (size_t)(a->end - a->at);

    if (!a->at || (const char *)old + have != a->at || new_bytes > SIZE_MAX - ALIGN)
        return false;
    new_bytes = (new_bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (new_bytes - have > room)
        return false;
    a->at += new_bytes - have;
    return true;
}

/* A large object that has a block of its own gets another, or more pages, which need no copy.  NULL: it has none. */
static void *
enlarge(struct wm_arena *a, const void *old, size_t bytes)
{
    struct wm_arena_block **at = &a->head, *b, *was;

    while (*at && (const void *)(*at)->mem != old)
        at = &(*at)->next;
    was = *at;
    if (!was || !was->alone)
        return NULL;
    if (bytes > SIZE_MAX - sizeof(*b))
        out_of_memory(a);
    if (was->pages) {
        size_t size = sizeof(*b) + bytes;

        b = a->sys->pages(was, was->pages, size);
        if (!b)
            out_of_memory(a); /* the old block is still in the list */
        a->total += size - b->pages;
        b->pages = size;
    } else {
        b = block_new(a, bytes, bytes >= PAGED);
        b->next = was->next;
        memcpy(b->mem, was->mem, was->alone < bytes ? was->alone : bytes);
        a->total -= sizeof(*b) + was->alone;
        release(a, was);
    }
    b->alone = bytes;
    *at = b;
    return b->mem;
}

#endif

void *
wm_arena_alloc(struct wm_arena *a, size_t n)
{
    void *p = carve(a, n ? n : 1, false);

    return memset(p, 0, n);
}

void *
wm_arena_alone(struct wm_arena *a, size_t n)
{
    return carve(a, n ? n : 1, true);
}

void
wm_arena_drop(struct wm_arena *a, void *p)
{
    struct wm_arena_block **at = &a->head, *b;

    while ((b = *at) && (void *)b->mem != p)
        at = &b->next;
    if (!b || !b->alone)
        return;
    *at = b->next;
    a->total -= sizeof(*b) + b->alone;
    release(a, b);
}

void
wm_arena_cut(struct wm_arena *a, void *p, size_t n)
{
    struct wm_arena_block **at = &a->head, *b;

    while ((b = *at) && (void *)b->mem != p)
        at = &b->next;
    if (!b || !b->pages || n >= b->alone || n == 0)
        return;
    b = a->sys->pages(b, b->pages, sizeof(*b) + n);
    if (!b)
        return; /* it stays as it is */
    a->total -= b->alone - n;
    b->alone = n;
    b->pages = sizeof(*b) + n;
    *at = b;
}

void *
wm_arena_array(struct wm_arena *a, size_t count, size_t size)
{
    size_t n;

    if (__builtin_mul_overflow(count, size, &n))
        out_of_memory(a);
    return wm_arena_alloc(a, n);
}

void *
wm_arena_grow(struct wm_arena *a, const void *old, size_t old_n, size_t new_n, size_t size)
{
    size_t have = old_n * size, want;
    char *p;

    if (__builtin_mul_overflow(new_n, size, &want))
        out_of_memory(a);
    if (want < have)
        have = want;
#ifndef WM_ARENA_DEBUG
    if (old && have && want < GROW_ALONE && extend(a, old, have, want))
        return (char *)(uintptr_t)old;
    if (have >= MIN_BLOCK / 4 && want > have && (p = enlarge(a, old, want)))
        return p;
#endif
    p = carve(a, want ? want : 1, true);
    if (have)
        memcpy(p, old, have);
#ifdef WM_ARENA_DEBUG
    if (have) /* whoever still uses the old place shall notice */
        memset((char *)(uintptr_t)old, 0xdd, have);
#endif
    return p;
}

char *
wm_arena_cstr(struct wm_arena *a, struct wm_str s)
{
    char *p;

    if (s.n == SIZE_MAX)
        out_of_memory(a);
    p = carve(a, s.n + 1, false);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

struct wm_str
wm_arena_str(struct wm_arena *a, struct wm_str s)
{
    return (struct wm_str){wm_arena_cstr(a, s), s.n};
}

struct wm_str
wm_arena_printf(struct wm_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    int n;
    char *p;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        n = 0;
    p = wm_arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return (struct wm_str){p, (size_t)n};
}
