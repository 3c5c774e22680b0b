/* base/checked.h -- arithmetic on sizes that come from files, configs and maps.
 *
 * All of it goes through these helpers: each returns false where the result does not fit, and then
 * leaves *out alone.  Counts, extents and strides are int64_t; byte offsets in files are uint64_t. */
#ifndef WM_BASE_CHECKED_H
#define WM_BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

static inline bool
wm_ck_add(int64_t a, int64_t b, int64_t *out)
{
    int64_t r;

    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

static inline bool
wm_ck_sub(int64_t a, int64_t b, int64_t *out)
{
    int64_t r;

    if (__builtin_sub_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

static inline bool
wm_ck_mul(int64_t a, int64_t b, int64_t *out)
{
    int64_t r;

    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

static inline bool
wm_ck_uadd(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t r;

    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

static inline bool
wm_ck_umul(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t r;

    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

/* [off, off + len) lies inside [0, total). */
static inline bool
wm_ck_range(uint64_t off, uint64_t len, uint64_t total)
{
    return off <= total && len <= total - off;
}

/* Number of elements of a shape; false on overflow past 2^63 - 1, judged from left to right as the
 * safetensors reference does: [2^62, 4, 0] is an overflow, [0, 2^62, 4] is zero. */
static inline bool
wm_ck_numel(const int64_t *shape, uint32_t rank, int64_t *out)
{
    int64_t n = 1;

    for (uint32_t k = 0; k < rank; k++)
        if (!wm_ck_mul(n, shape[k], &n))
            return false;
    *out = n;
    return true;
}

#endif
