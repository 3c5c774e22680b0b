/* base/nest.h -- sets of integers {key + sum(i_k * dim[k].key)}, and how two of them meet.
 *
 * A nest is one box of an index map seen from one of its sides: `key` counts elements of the side
 * that is asked about, `pay` carries the numbers of all other sides along.  Joining two nests
 * gives, for every element that both contain, the payloads of both added up: composition,
 * comparison, disjointness and overlap of maps are all this one operation (compiler/imap.h,
 * runtime/plan_verify.c).
 *
 * Nothing here costs time per element: strides are brought onto a common chain of divisors, nests
 * are cut where a digit of that mixed radix would carry, and digits are compared as intervals. Only
 * where strides form no chain, the shortest dimension in the way is enumerated, against a budget.
 */
#ifndef WM_BASE_NEST_H
#define WM_BASE_NEST_H

#include <stdbool.h>
#include <stdint.h>

enum { WM_NEST_RANK = 64, WM_NEST_PAY = 7 };

struct wm_nest_dim {
    int64_t extent;           /* >= 1 */
    int64_t key;              /* stride; 0: the same key again and again */
    int64_t pay[WM_NEST_PAY]; /* strides of the payloads */
};

/* All sums that its numbers allow must fit an int64_t; callers check bounds first. */
struct wm_nest {
    int64_t key;
    int64_t pay[WM_NEST_PAY];
    uint32_t rank;
    struct wm_nest_dim dim[WM_NEST_RANK];
};

void wm_nest_init(struct wm_nest *x, int64_t key);
/* Append a dimension with zero payload and give its address; NULL past WM_NEST_RANK. */
struct wm_nest_dim *wm_nest_push(struct wm_nest *x, int64_t extent, int64_t key);
/* Number of index tuples, saturating. */
int64_t wm_nest_count(const struct wm_nest *x);
/* Least and greatest key. */
void wm_nest_range(const struct wm_nest *x, int64_t *lo, int64_t *hi);
/* Negative key strides turned round, extents of 1 dropped, dims by descending key. */
void wm_nest_normal(struct wm_nest *x);
/* Of a normal nest: does the order of index tuples equal the order of keys, each key once? */
bool wm_nest_is_ordered(const struct wm_nest *x);
/* Of an ordered nest: how many keys are below `at`. */
int64_t wm_nest_below(const struct wm_nest *x, int64_t at);

/* Receives nests; `budget` bounds the work of the call that is given the visitor (one unit is about
 * the time of one small nest) and is counted down across calls. */
struct wm_nest_visit {
    bool (*emit)(void *user, const struct wm_nest *x); /* false: stop */
    void *user;
    uint64_t budget;
};

/* Emit nests that together are the set of pairs of a tuple of a and a tuple of b with equal keys;
 * payloads added up.  Each emitted nest is normal and, but for dims with key 0, ordered.  False
 * where emit stopped it or the budget (then 0) is used up. */
bool wm_nest_join(const struct wm_nest *a, const struct wm_nest *b, struct wm_nest_visit *v);

/* Emit ordered nests that together are x (payloads kept).  False as above. */
bool wm_nest_order(const struct wm_nest *x, struct wm_nest_visit *v);

/* Intervals by ascending start, asked for those that meet an interval, without looking at all. */
struct wm_ranges {
    uint32_t n;
    uint32_t leaf;     /* power of two >= n */
    const int64_t *lo; /* [n] ascending */
    int64_t *top;      /* [2 * leaf]: a tree of greatest ends; leaves from `leaf` on */
};

/* Number of int64_t that wm_ranges_init needs as `room`. */
uint64_t wm_ranges_room(uint32_t n);
/* Borrows lo, hi (read here only) and room. */
void wm_ranges_init(struct wm_ranges *r, uint32_t n, const int64_t *lo, const int64_t *hi,
                    int64_t *room);
/* The first interval from `from` on that ends at or after `lo`; n where none.  The caller stops
 * where its start lies behind the end asked for. */
uint32_t wm_ranges_next(const struct wm_ranges *r, uint32_t from, int64_t lo);

#endif
