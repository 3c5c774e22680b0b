/* base/map.c -- open addressing with linear probing, at most three quarters full.
 *
 * In: borrowed keys.  Out: their values.  Nothing is ever removed, so a probe may stop at the first
 * free slot.  Half of the hash stands in each slot: keys are compared only where it agrees. */
#include "base/map.h"

#include <assert.h>
#include <stdbool.h>

/* Multiply to 128 bits and fold: the mixing step of the wyhash family. */
static uint64_t
mix(uint64_t a, uint64_t b)
{
    unsigned __int128 r = (unsigned __int128)a * b;

    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

uint64_t
wm_hash(const void *data, size_t n, uint64_t seed)
{
    static const uint64_t k0 = 0x9e3779b97f4a7c15u, k1 = 0xbf58476d1ce4e5b9u;
    const unsigned char *p = data;
    uint64_t h = seed ^ mix(n ^ k0, k1), w;

    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&w, p, 8);
        h = mix(h ^ w ^ k0, k1 ^ (h >> 32));
    }
    w = 0;
    if (n > 0)
        memcpy(&w, p, n);
    return mix(mix(h ^ w, k0) ^ k1, k0);
}

static struct wm_map_slot *
find(const struct wm_map *m, struct wm_str key, uint32_t hash)
{
    uint32_t at = hash & (m->cap - 1);

    for (;; at = (at + 1) & (m->cap - 1)) {
        struct wm_map_slot *s = &m->slot[at];
        const struct wm_map_entry *e;

        if (s->held == 0)
            return s;
        e = &m->entry[s->held - 1];
        if (s->hash == hash && e->nkey == key.n && (key.n == 0 || memcmp(e->key, key.p, key.n) == 0))
            return s;
    }
}

static void
resize(struct wm_map *m, uint32_t cap)
{
    struct wm_map_slot *old = m->slot;
    uint32_t n = m->cap;

    m->slot = wm_arena_alone(m->a, cap * sizeof(*m->slot)); /* cap is less than 2^31 */
    memset(m->slot, 0, cap * sizeof(*m->slot));
    m->cap = cap;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = old[i].hash & (cap - 1);

        if (old[i].held == 0)
            continue;
        while (m->slot[at].held != 0)
            at = (at + 1) & (cap - 1);
        m->slot[at] = old[i];
    }
    if (old)
        wm_arena_drop(m->a, old);
}

void
wm_map_init(struct wm_map *m, struct wm_arena *a, uint32_t expect)
{
    uint32_t cap = 16;

    while (cap < (1u << 30) && cap / 4 * 3 < expect)
        cap *= 2;
    *m = (struct wm_map){.a = a};
    resize(m, cap);
}

void
wm_map_drop(struct wm_map *m)
{
    wm_arena_drop(m->a, m->slot);
    wm_arena_drop(m->a, m->entry);
    *m = (struct wm_map){.a = m->a};
}

uint32_t
wm_map_get(const struct wm_map *m, struct wm_str key)
{
    uint32_t held;

    if (m->n == 0)
        return WM_NONE;
    held = find(m, key, (uint32_t)wm_hash(key.p, key.n, 0))->held;
    return held ? m->entry[held - 1].value : WM_NONE;
}

/* The entry of key; *added: it is new, with the value to be set. */
static struct wm_map_entry *
entry_for(struct wm_map *m, struct wm_str key, bool *added)
{
    uint32_t hash = (uint32_t)wm_hash(key.p, key.n, 0);
    struct wm_map_slot *s;

    assert(m->cap < (1u << 31) && key.n <= UINT32_MAX);
    if (m->n >= m->cap / 4 * 3)
        resize(m, m->cap * 2);
    s = find(m, key, hash);
    *added = s->held == 0;
    if (!*added)
        return &m->entry[s->held - 1];
    if (m->n == m->room) {
        uint32_t room = WM_VEC_NEXT(m->room);

        m->entry = wm_arena_grow(m->a, m->entry, m->room, room, sizeof(*m->entry));
        m->room = room;
    }
    m->entry[m->n] = (struct wm_map_entry){.key = key.p, .nkey = (uint32_t)key.n};
    *s = (struct wm_map_slot){hash, ++m->n};
    return &m->entry[m->n - 1];
}

uint32_t
wm_map_put(struct wm_map *m, struct wm_str key, uint32_t value)
{
    bool added;
    struct wm_map_entry *e = entry_for(m, key, &added);

    assert(value != WM_NONE);
    if (added)
        e->value = value;
    return e->value;
}

void
wm_map_set(struct wm_map *m, struct wm_str key, uint32_t value)
{
    bool added;

    assert(value != WM_NONE);
    entry_for(m, key, &added)->value = value;
}
