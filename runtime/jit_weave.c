/* runtime/jit_weave.c -- can blocks of a movement be shuffles of vectors, and which?
 *
 * Part of the plug-in, which writes such kernels, and of the host, which wants to know how fast they
 * would be.  In: a nest without steps.  A block is a contiguous part of the destination, at most 64 bytes; its
 * elements lie in a few short stretches of the source.  What is between elements of the source is
 * read, too, but nothing before the first or behind the last. */
#include <string.h>

#include "runtime/jit.h"

enum { MOST = 64, WINDOW = 64, SOURCE = 128, MOST_WINDOWS = 8 };

/* Offsets of a block's elements in the source, in the order of the destination. */
static uint32_t
offsets(const struct wm_jit_nest *nest, uint32_t first, int64_t factor, int64_t *off)
{
    uint32_t n = 1;

    off[0] = 0;
    for (uint32_t k = nest->rank; k-- > (first ? first - 1 : 0);) {
        int64_t times = k < first ? factor : nest->dim[k].n;

        for (int64_t i = 1; i < times; i++)
            for (uint32_t j = 0; j < n; j++)
                off[(uint32_t)i * n + j] = off[j] + i * nest->dim[k].src;
        n *= (uint32_t)times;
    }
    return n;
}

/* Stretches by ascending place; false where there are too many. */
static bool
cover(struct weave *w, const int64_t *off, uint32_t n, int64_t size)
{
    int64_t sorted[MOST], total = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = i;

        for (; at > 0 && sorted[at - 1] > off[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = off[i];
    }
    w->nwindow = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t last = w->nwindow - 1;

        if (i && sorted[i] + size - w->window[last].at <= WINDOW) {
            int64_t end = sorted[i] + size - w->window[last].at;

            w->window[last].n = w->window[last].n > end ? w->window[last].n : end;
            continue;
        }
        if (w->nwindow == MOST_WINDOWS)
            return false;
        w->window[w->nwindow].at = sorted[i];
        w->window[w->nwindow++].n = size;
    }
    for (uint32_t i = 0; i < w->nwindow; i++)
        total += w->window[i].n;
    return total <= SOURCE;
}

/* The stretch that has all of an element; `before`: bytes of those in front of it. */
static uint32_t
window_of(const struct weave *w, int64_t off, int64_t size, int64_t *before)
{
    uint32_t k = 0;

    *before = 0;
    while (off < w->window[k].at || off + size > w->window[k].at + w->window[k].n)
        *before += w->window[k++].n;
    return k;
}

bool
wm_weave_make(const struct wm_jit_nest *nest, uint32_t first, int64_t factor, struct weave *w)
{
    int64_t off[MOST], size = nest->in, unit = size & -size, before;
    uint64_t bytes = nest->in * (uint64_t)factor;
    uint32_t n;

    for (uint32_t k = first; k < nest->rank; k++)
        bytes *= (uint64_t)nest->dim[k].n;
    if (bytes > MOST)
        return false;
    n = offsets(nest, first, factor, off);
    memset(w, 0, sizeof(*w));
    w->first = first;
    w->factor = factor;
    w->bytes = bytes;
    if (!cover(w, off, n, size))
        return false;
    unit = unit < 8 ? unit : 8;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = window_of(w, off[i], size, &before);

        while ((off[i] - w->window[k].at) % unit || w->window[k].n % unit)
            unit /= 2;
    }
    w->element = (uint32_t)unit;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = window_of(w, off[i], size, &before);
        int64_t at = (before + off[i] - w->window[k].at) / unit;

        for (int64_t part = 0; part < size / unit; part++)
            w->index[w->nindex++] = (uint16_t)(at + part);
    }
    return true;
}

/* Loads or stores that n bytes take. */
static uint32_t
pieces(int64_t n)
{
    return (uint32_t)(n / 64) + (uint32_t)__builtin_popcountll((uint64_t)n % 64);
}

bool
wm_weave_choose(const struct wm_jit_nest *nest, struct weave *best)
{
    uint32_t first = nest->rank;
    int64_t bytes = nest->in;
    double cost = 1e9;
    struct weave w;

    if (nest->nstep || nest->in > 32)
        return false;
    while (first > 1 && nest->dim[first - 1].dst == bytes &&
           bytes * nest->dim[first - 1].n <= MOST)
        bytes *= nest->dim[--first].n;
    for (int64_t f = 1; f * bytes <= MOST; f++) {
        double c;

        if (f > 1 && (nest->dim[first - 1].dst != bytes ||
                      (nest->dim[first - 1].n && f > nest->dim[first - 1].n)))
            break;
        if (!wm_weave_make(nest, first, f, &w) || w.bytes < 4 * nest->in || w.bytes < 8)
            continue;
        c = 2 + pieces((int64_t)w.bytes);
        for (uint32_t k = 0; k < w.nwindow; k++)
            c += 2 * pieces(w.window[k].n);
        c /= (double)w.bytes;
        if (first > 1 && f > 1 && nest->dim[first - 1].n % f) /* the rest goes one by one */
            c += (double)(nest->dim[first - 1].n % f) / (double)nest->dim[first - 1].n;
        if (c <= cost) {
            cost = c;
            *best = w;
        }
    }
    return cost < 1e9;
}
