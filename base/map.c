/* base/map.c -- open addressing with linear probing, at most half full.
 *
 * In: borrowed keys.  Out: their values.  Nothing is ever removed, so a probe may stop at the first
 * free slot.  A full 64-bit hash stands in each slot: keys are compared only where it agrees. */
#include "base/map.h"

#include <assert.h>

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
find(const struct wm_map *m, struct wm_str key, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & (m->cap - 1);

    for (;; at = (at + 1) & (m->cap - 1)) {
        struct wm_map_slot *s = &m->slot[at];

        if (s->value == WM_NONE || (s->hash == hash && wm_str_eq(s->key, key)))
            return s;
    }
}

static void
resize(struct wm_map *m, uint32_t cap)
{
    struct wm_map_slot *old = m->slot;
    size_t size = cap * sizeof(*m->slot); /* cap is less than 2^31 */
    uint32_t n = m->cap;

    m->slot = old ? wm_arena_alone(m->a, size) : wm_arena_alloc(m->a, size); /* one that grew may do so again */
    m->cap = cap;
    for (uint32_t i = 0; i < cap; i++)
        m->slot[i].value = WM_NONE;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)old[i].hash & (cap - 1);

        if (old[i].value == WM_NONE)
            continue;
        while (m->slot[at].value != WM_NONE)
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

uint32_t
wm_map_get(const struct wm_map *m, struct wm_str key)
{
    if (m->n == 0)
        return WM_NONE;
    return find(m, key, wm_hash(key.p, key.n, 0))->value;
}

/* The slot of key, with room for it to be added. */
static struct wm_map_slot *
slot_for(struct wm_map *m, struct wm_str key, uint64_t hash)
{
    assert(m->cap < (1u << 31));
    if (m->n >= m->cap / 4 * 3)
        resize(m, m->cap * 2);
    return find(m, key, hash);
}

uint32_t
wm_map_put(struct wm_map *m, struct wm_str key, uint32_t value)
{
    uint64_t hash = wm_hash(key.p, key.n, 0);
    struct wm_map_slot *s = slot_for(m, key, hash);

    assert(value != WM_NONE);
    if (s->value != WM_NONE)
        return s->value;
    *s = (struct wm_map_slot){.hash = hash, .key = key, .value = value};
    m->n++;
    return value;
}

void
wm_map_set(struct wm_map *m, struct wm_str key, uint32_t value)
{
    uint64_t hash = wm_hash(key.p, key.n, 0);
    struct wm_map_slot *s = slot_for(m, key, hash);

    assert(value != WM_NONE);
    m->n += s->value == WM_NONE;
    *s = (struct wm_map_slot){.hash = hash, .key = key, .value = value};
}
