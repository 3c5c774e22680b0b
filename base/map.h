/* base/map.h -- hash table from strings to ids, and a string interner on top of it.
 *
 * Keys are borrowed, and shorter than 4 GiB; memory comes from an arena.  The hash is seeded by a constant: the order of
 * nothing ever depends on it. */
#ifndef WM_BASE_MAP_H
#define WM_BASE_MAP_H

#include <stdint.h>

#include "base/arena.h"

#define WM_NONE UINT32_MAX

/* An open table of 8 bytes a slot; keys and values stand apart, without room between them. */
struct wm_map_slot {
    uint32_t hash; /* the lower half */
    uint32_t held; /* number in entry + 1; 0: free */
};

struct wm_map_entry {
    const char *key;
    uint32_t nkey;
    uint32_t value;
};

struct wm_map {
    struct wm_arena *a;
    struct wm_map_slot *slot;   /* [cap], cap a power of two */
    struct wm_map_entry *entry; /* [n] */
    uint32_t n, cap, room;
};

uint64_t wm_hash(const void *p, size_t n, uint64_t seed);

void wm_map_init(struct wm_map *m, struct wm_arena *a, uint32_t expect);
/* Give back its memory, as far as that is possible (see wm_arena_drop); it must not be used again. */
void wm_map_drop(struct wm_map *m);
/* The value of `key`, or WM_NONE. */
uint32_t wm_map_get(const struct wm_map *m, struct wm_str key);
/* Add `key` (borrowed) with `value` (not WM_NONE) where it is absent and return `value`; where it is
 * present, change nothing and return the value it has. */
uint32_t wm_map_put(struct wm_map *m, struct wm_str key, uint32_t value);
/* Set or replace. */
void wm_map_set(struct wm_map *m, struct wm_str key, uint32_t value);

#endif
