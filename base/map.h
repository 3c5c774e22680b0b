/* base/map.h -- hash table from strings to ids, and a string interner on top of it.
 *
 * Keys are borrowed; memory comes from an arena.  The hash is seeded by a constant: the order of
 * nothing ever depends on it. */
#ifndef WM_BASE_MAP_H
#define WM_BASE_MAP_H

#include <stdint.h>

#include "base/arena.h"

#define WM_NONE UINT32_MAX

struct wm_map_slot {
    uint64_t hash;
    struct wm_str key;
    uint32_t value;
};

struct wm_map {
    struct wm_arena *a;
    struct wm_map_slot *slot; /* [cap], cap a power of two; value WM_NONE = free */
    uint32_t n, cap;
};

uint64_t wm_hash(const void *p, size_t n, uint64_t seed);

void wm_map_init(struct wm_map *m, struct wm_arena *a, uint32_t expect);
/* The value of `key`, or WM_NONE. */
uint32_t wm_map_get(const struct wm_map *m, struct wm_str key);
/* Add `key` (borrowed) with `value` (not WM_NONE) where it is absent and return `value`; where it is
 * present, change nothing and return the value it has. */
uint32_t wm_map_put(struct wm_map *m, struct wm_str key, uint32_t value);
/* Set or replace. */
void wm_map_set(struct wm_map *m, struct wm_str key, uint32_t value);

#endif
