/* base/ranges.c -- which of many intervals meet an interval (see base/nest.h).
 *
 * A complete binary tree over the intervals by start keeps in each node the greatest end below it;
 * the next interval that ends late enough is found by climbing and descending, in logarithmic time.
 */
#include "base/nest.h"

static uint32_t
leaves(uint32_t n)
{
    uint32_t leaf = 1;

    while (leaf < n)
        leaf *= 2;
    return leaf;
}

uint64_t
wm_ranges_room(uint32_t n)
{
    return 2 * (uint64_t)leaves(n);
}

void
wm_ranges_init(struct wm_ranges *r, uint32_t n, const int64_t *lo, const int64_t *hi, int64_t *room)
{
    r->n = n;
    r->leaf = leaves(n);
    r->lo = lo;
    r->top = room;
    for (uint32_t i = 0; i < r->leaf; i++)
        room[r->leaf + i] = i < n ? hi[i] : INT64_MIN;
    for (uint32_t i = r->leaf; i-- > 1;)
        room[i] = room[2 * i] > room[2 * i + 1] ? room[2 * i] : room[2 * i + 1];
}

uint32_t
wm_ranges_next(const struct wm_ranges *r, uint32_t from, int64_t lo)
{
    uint32_t at;

    if (from >= r->n)
        return r->n;
    at = r->leaf + from;
    while (r->top[at] < lo) { /* to the next subtree on the right */
        while (at & 1)
            at >>= 1;
        if (at == 0)
            return r->n;
        at++;
    }
    while (at < r->leaf)
        at = r->top[2 * at] >= lo ? 2 * at : 2 * at + 1;
    return at - r->leaf < r->n ? at - r->leaf : r->n;
}
