/* base/sort.h -- stable sorting of what is often in order already, or made of a few runs that are. */
#ifndef WM_BASE_SORT_H
#define WM_BASE_SORT_H

#include "base/arena.h"

/* n items of `size` bytes.  About n * (1 + log2(ascending runs)) comparisons; memory of `a` for the time of the call. */
void wm_sort(struct wm_arena *a, void *items, size_t n, size_t size, int (*cmp)(const void *, const void *));

#endif
