/* runtime/msgpack_scan.c -- passing arrays of numbers at the speed of reading them.
 *
 * In: a reader in front of n items.  Out: how they are spelled, and where every `step`-th stands.  Writers spell a
 * float as four or eight bytes or, where it is integral, as an integer of any width, each element on its own; so
 * every first byte is looked at, in blocks where they are all alike. */
#include <inttypes.h>
#include <string.h>

#include "runtime/msgpack.h"

enum { BLOCK = 64 };

typedef WM_VEC(uint64_t) offsets;

/* How many of n items of `width` bytes begin with `lead`, from the first on. */
static uint64_t
count_alike(const unsigned char *p, uint64_t n, unsigned char lead, size_t width)
{
    uint64_t done = 0;

    while (n - done >= BLOCK) {
        unsigned char differ = 0;

        for (size_t k = 0; k < BLOCK; k++)
            differ |= p[k * width] ^ lead;
        if (differ)
            break;
        done += BLOCK;
        p += BLOCK * width;
    }
    for (; done < n && *p == lead; done++)
        p += width;
    return done;
}

static enum wm_status
cut(struct wm_mp *r)
{
    return wm_mp_bad(r, wm_mp_at(r), "the file ends inside of an array");
}

/* Pass items that begin with `lead`, at most n: *done of them. */
static enum wm_status
pass_alike(struct wm_mp *r, uint64_t n, unsigned char lead, uint64_t *done)
{
    size_t width = wm_mp_head[lead];

    for (*done = 0; *done < n;) {
        enum wm_status st = wm_mp_fill(r, WM_MSGPACK_WINDOW / 2);
        uint64_t m = (r->n - r->pos) / width, k;

        if (st != WM_OK)
            return st;
        if (m > n - *done)
            m = n - *done;
        if (m == 0) /* the last bytes of the file */
            return WM_OK;
        k = count_alike(r->buf + r->pos, m, lead, width);
        r->pos += (size_t)k * width;
        *done += k;
        if (k < m)
            return WM_OK;
    }
    return WM_OK;
}

/* Bytes of a number by its first byte; 0: it is none. */
static size_t
number(unsigned char b)
{
    return b < 0x80 || b >= 0xe0 || (b >= 0xca && b <= 0xd3) ? wm_mp_head[b] : 0;
}

/* Pass up to n numbers in the window that do not need a look behind it; those passed. */
static uint64_t
pass_some(struct wm_mp *r, uint64_t n, const unsigned char width[256])
{
    const unsigned char *p = r->buf + r->pos, *end = r->buf + r->n;
    uint64_t done = 0, next = 0; /* where the next look at a whole block pays */

    while (done < n && end - p >= 9) {
        size_t w = width[*p];

        if (done >= next && *p == 0xca && w && n - done >= BLOCK && end - p >= 5 * BLOCK) {
            uint64_t k = count_alike(p, BLOCK, 0xca, 5);

            done += k;
            p += 5 * k;
            if (k < BLOCK)
                next = done + 4 * BLOCK;
            continue;
        }
        if (w == 0)
            break;
        p += w;
        done++;
    }
    r->pos = (size_t)(p - r->buf);
    return done;
}

/* Pass n numbers of any spelling. */
static enum wm_status
pass_mixed(struct wm_mp *r, uint64_t n, const unsigned char width[256])
{
    while (n > 0) {
        enum wm_status st = wm_mp_fill(r, 4096);
        uint64_t k;
        size_t w;

        if (st != WM_OK)
            return st;
        k = pass_some(r, n, width);
        n -= k;
        if (k > 0 || n == 0)
            continue;
        /* a wrong one, or the last of the file */
        if (r->pos == r->n)
            return cut(r);
        w = width[r->buf[r->pos]];
        if (w == 0)
            return wm_mp_bad(r, wm_mp_at(r), "an element is no number");
        if (w > r->n - r->pos)
            return cut(r);
        r->pos += w;
        n--;
    }
    return WM_OK;
}

enum wm_status
wm_mp_numbers(struct wm_mp *r, struct wm_arena *a, uint64_t n, uint64_t step, const char *leads,
              struct wm_mp_run *out)
{
    uint64_t begin = wm_mp_at(r), done = 0;
    unsigned char width[256], lead;
    offsets index = {0};
    enum wm_status st = wm_mp_fill(r, 9);

    *out = (struct wm_mp_run){.lead = (unsigned char)leads[0]};
    if (st != WM_OK || n == 0)
        return st;
    if (r->pos == r->n)
        return cut(r);
    lead = r->buf[r->pos];
    if (lead != 0 && strchr(leads, lead)) {
        if ((st = pass_alike(r, n, lead, &done)) != WM_OK)
            return st;
        out->lead = lead;
        out->raw = wm_mp_at(r) - begin;
        if (done == n)
            return WM_OK;
    }
    out->lead = WM_MP_MIXED;
    for (int b = 0; b < 256; b++)
        width[b] = (unsigned char)number((unsigned char)b);
    for (uint64_t k = 0; k < done; k += step)
        *WM_PUSH(a, &index) = k * wm_mp_head[lead];
    while (done < n) {
        uint64_t m = step - done % step;

        if (m == step)
            *WM_PUSH(a, &index) = wm_mp_at(r) - begin;
        if (m > n - done)
            m = n - done;
        if ((st = pass_mixed(r, m, width)) != WM_OK)
            return st;
        done += m;
    }
    out->raw = wm_mp_at(r) - begin;
    out->index = index.item;
    out->nindex = index.n;
    return WM_OK;
}
