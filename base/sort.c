/* base/sort.c -- a merge sort that begins with the ascending runs that are there.
 *
 * In: items of any size, in any order.  Out: the same items in order; equal ones stay as they were to each other.  Names
 * of tensors come in runs: by layer, by kind.  What is in order takes n - 1 comparisons and no memory.  Otherwise
 * addresses are merged, and every item moves once. */
#include "base/sort.h"

/* Neighbouring runs become one; end[r] is where run r ends.  Returns how many are left. */
static size_t
merge_pairs(const char **from, const char **to, size_t *end, size_t nrun, int (*cmp)(const void *, const void *))
{
    size_t begin = 0, left = 0;

    for (size_t r = 0; r < nrun; r += 2) {
        size_t i = begin, mid = end[r], j = mid, stop = r + 1 < nrun ? end[r + 1] : mid, at = begin;

        while (i < mid && j < stop)
            to[at++] = cmp(from[i], from[j]) <= 0 ? from[i++] : from[j++];
        while (i < mid)
            to[at++] = from[i++];
        while (j < stop)
            to[at++] = from[j++];
        end[left++] = begin = stop;
    }
    return left;
}

/* order[i] is where item i comes from; each cycle is walked once. */
static void
permute(char *p, const char **order, size_t n, size_t size, char *tmp)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = i, from = (size_t)(order[i] - p) / size;

        if (from == i)
            continue;
        memcpy(tmp, p + i * size, size);
        while (from != i) {
            memcpy(p + at * size, p + from * size, size);
            order[at] = p + at * size;
            at = from;
            from = (size_t)(order[at] - p) / size;
        }
        memcpy(p + at * size, tmp, size);
        order[at] = p + at * size;
    }
}

void
wm_sort(struct wm_arena *a, void *items, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
    const char **order, **other, **t;
    size_t sorted = n > 0, nrun = 0, *end;
    char *p = items, *room;

    while (sorted < n && cmp(p + (sorted - 1) * size, p + sorted * size) <= 0)
        sorted++;
    if (sorted == n)
        return;
    room = wm_arena_alone(a, n * (2 * sizeof(*order) + sizeof(*end)) + size);
    order = (const char **)(void *)room;
    other = order + n;
    end = (size_t *)(void *)(other + n);
    for (size_t i = 0; i < n; i++) {
        order[i] = p + i * size;
        if (i + 1 >= sorted && (i + 1 == n || cmp(order[i], order[i] + size) > 0))
            end[nrun++] = i + 1;
    }
    while (nrun > 1) {
        nrun = merge_pairs(order, other, end, nrun, cmp);
        t = order;
        order = other;
        other = t;
    }
    permute(p, order, n, size, (char *)(end + n));
    wm_arena_drop(a, room);
}
