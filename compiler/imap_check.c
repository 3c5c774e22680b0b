/* compiler/imap_check.c -- proofs about index maps: does one write every element once, are two the
 * same?
 *
 * By volumes: ordered boxes write no element twice themselves, so boxes that are disjoint in pairs
 * and have the right number of elements tile the tensor; and two maps agree where every nest of
 * their join has equal operands. Single elements are looked for only when the answer is no. */
#include "base/checked.h"
#include "compiler/imap_nest.h"

/* ---- joins of all boxes of one map with those of another ---- */

struct pairs {
    const struct wm_box *x, *y;
    bool (*each)(struct pairs *p, const struct wm_nest *n);
    void *user;
    bool stopped;
};

static bool
emit_pair(void *user, const struct wm_nest *n)
{
    struct pairs *p = user;

    p->stopped = !p->each(p, n);
    return !p->stopped;
}

/* Call `each` with what boxes of x and y have in common (pairs of one list: each pair once, none
 * with itself). False past the limit. */
static bool
for_pairs(const struct wm_imap *x, const struct wm_imap *y, struct pairs *p)
{
    struct wm_nest_visit v = {emit_pair, p, 16 * (uint64_t)WM_IMAP_MAX_BOXES};
    struct wm_nest a, b;
    struct wm_ranges r;

    if (x == y && x->box.n < 2)
        return true;
    wm_imap_ranges(y, x->a, &r);
    for (uint32_t i = 0; i < x->box.n; i++) {
        int64_t lo, hi;

        p->x = &x->box.item[i];
        if (!wm_imap_nest(x, p->x, WM_KEY_DST, WM_PAY_SRC, &a))
            return false;
        wm_nest_range(&a, &lo, &hi);
        for (uint32_t k = wm_ranges_next(&r, x == y ? i + 1 : 0, lo); k < r.n && r.lo[k] <= hi;
             k = wm_ranges_next(&r, k + 1, lo)) {
            p->y = &y->box.item[k];
            if (!wm_imap_nest(y, p->y, WM_KEY_DST, WM_PAY_SRC2, &b))
                return false;
            if (!wm_nest_join(&a, &b, &v))
                return p->stopped;
        }
    }
    return true;
}

/* Elements below `at` that the (ordered) boxes write, counted as often as they do. */
static int64_t
count_below(const struct wm_imap *m, int64_t at)
{
    struct wm_nest x;
    int64_t n = 0;

    for (uint32_t i = 0; i < m->box.n; i++)
        if (wm_imap_nest(m, &m->box.item[i], WM_KEY_DST, WM_PAY_SRC, &x)) {
            wm_nest_normal(&x);
            n += wm_nest_below(&x, at);
        }
    return n;
}

/* Canonical, ordered, index-ready form of any map; NULL past the limit. */
static const struct wm_imap *
prepare(const struct wm_imap *m, struct wm_imap *copy, struct wm_imap *ordered)
{
    wm_imap_copy(copy, m, m->a);
    wm_imap_canon(copy);
    return wm_imap_ordered(copy, ordered);
}

/* ---- tiling ---- */

static bool
any_overlap(struct pairs *p, const struct wm_nest *n)
{
    (void)n;
    *(bool *)p->user = true;
    return false;
}

static bool
least_overlap(struct pairs *p, const struct wm_nest *n)
{
    int64_t *at = p->user;

    if (n->key < *at)
        *at = n->key;
    return true;
}

/* Least element of [0, hi) that is not written, given that none below hi is written twice; hi where
 * none. */
static int64_t
least_missing(const struct wm_imap *m, int64_t hi)
{
    int64_t lo = 0;

    while (lo < hi) { /* invariant: [0, lo) is complete; [0, hi] is not, or hi is the bound */
        int64_t mid = lo + (hi - lo) / 2;

        if (count_below(m, mid + 1) == mid + 1)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Least element outside of [0, nelem) that is written; false where there is none. */
static bool
outside(const struct wm_imap *m, int64_t nelem, int64_t *at)
{
    bool found = false;

    for (uint32_t i = 0; i < m->box.n; i++) {
        struct wm_nest x;
        int64_t lo, hi, first;

        if (!wm_imap_nest(m, &m->box.item[i], WM_KEY_DST, WM_PAY_SRC, &x))
            continue;
        wm_nest_normal(&x);
        wm_nest_range(&x, &lo, &hi);
        if (lo >= 0 && hi < nelem)
            continue;
        first = lo;
        if (lo >= 0 &&
            lo < nelem) { /* the first element at or behind nelem, by bisection of the count */
            int64_t below = wm_nest_below(&x, nelem), end = hi;

            for (first = nelem; first < end;) {
                int64_t mid = first + (end - first) / 2;

                if (wm_nest_below(&x, mid + 1) > below)
                    end = mid;
                else
                    first = mid + 1;
            }
        }
        if (!found || first < *at)
            *at = first;
        found = true;
    }
    return found;
}

bool
wm_imap_tiles(const struct wm_imap *m, int64_t nelem, int64_t *at, bool *twice)
{
    struct wm_imap copy, room;
    const struct wm_imap *x;
    bool overlaps = false;
    struct pairs any = {.each = any_overlap, .user = &overlaps};
    int64_t beyond = INT64_MAX, doubled = INT64_MAX, bound, missing;
    struct pairs least = {.each = least_overlap, .user = &doubled};

    if (m->box.n == 1 && m->box.item[0].rank == 1 && m->box.item[0].dst_base == 0 &&
        m->dim.item[m->box.item[0].dim].dst == 1 && m->dim.item[m->box.item[0].dim].extent == nelem)
        return true;
    x = prepare(m, &copy, &room);
    if (!x || !for_pairs(x, x, &any)) {
        *at = 0;
        *twice = true;
        return false;
    }
    if (!overlaps && !outside(x, nelem, &beyond) && wm_imap_count(x) == nelem)
        return true;
    if (overlaps)
        (void)for_pairs(x, x, &least);
    (void)outside(x, nelem, &beyond);
    doubled = doubled < beyond ? doubled : beyond;
    bound = doubled < 0 ? 0 : doubled < nelem ? doubled : nelem;
    missing = least_missing(x, bound);
    *twice = missing == bound;
    *at = *twice ? doubled : missing;
    return false;
}

/* ---- equality ---- */

struct differ {
    int64_t at;          /* least element that comes from elsewhere */
    int64_t count;       /* elements that both write */
    struct wm_imap both; /* only where `collect` */
    bool collect;
};

/* The least element of a common nest that comes from elsewhere; INT64_MAX where none. */
static int64_t
nest_differs(const struct pairs *p, const struct wm_nest *n)
{
    int64_t step = INT64_MAX;

    if (p->x->elem != p->y->elem || p->x->nsrc != p->y->nsrc)
        return n->key;
    for (uint32_t s = 0; s < p->x->nsrc; s++) {
        if (p->x->slot[s] != p->y->slot[s] || n->pay[WM_PAY_SRC + s] != n->pay[WM_PAY_SRC2 + s])
            return n->key;
        for (uint32_t k = 0; k < n->rank; k++)
            if (n->dim[k].pay[WM_PAY_SRC + s] != n->dim[k].pay[WM_PAY_SRC2 + s] &&
                n->dim[k].key < step)
                step = n->dim[k].key;
    }
    return step == INT64_MAX ? step : n->key + step;
}

static bool
compare(struct pairs *p, const struct wm_nest *n)
{
    static const int src[WM_MAX_OPERANDS];
    struct differ *d = p->user;
    struct wm_box like = {.nsrc = 0};
    int64_t at = nest_differs(p, n);

    if (at < d->at)
        d->at = at;
    if (!wm_ck_add(d->count, wm_nest_count(n), &d->count))
        d->count = INT64_MAX;
    if (d->collect)
        wm_imap_add_nest(&d->both, &like, n, WM_KEY_DST, src);
    return true;
}

/* Least element below hi that one of x and y writes and the other does not; hi where none. */
static int64_t
least_unshared(const struct wm_imap *x, const struct wm_imap *y, const struct wm_imap *both,
               int64_t hi)
{
    int64_t lo = 0;

    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2, n = count_below(both, mid + 1);

        if (count_below(x, mid + 1) == n && count_below(y, mid + 1) == n)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool
wm_imap_equal(const struct wm_imap *x, const struct wm_imap *y, int64_t nelem, int64_t *at)
{
    struct wm_imap xc, xo, yc, yo;
    struct differ d = {.at = INT64_MAX};
    struct pairs p = {.each = compare, .user = &d};
    const struct wm_imap *a = prepare(x, &xc, &xo), *b = prepare(y, &yc, &yo);
    int64_t na, nb;

    *at = 0;
    if (!a || !b || !for_pairs(a, b, &p))
        return false;
    na = wm_imap_count(a);
    nb = wm_imap_count(b);
    if (d.count != na || d.count != nb) {
        d = (struct differ){.at = INT64_MAX, .collect = true};
        wm_imap_init(&d.both, x->a);
        if (!for_pairs(a, b, &p))
            return false;
        na = least_unshared(a, b, &d.both, d.at < nelem ? d.at : nelem);
        d.at = na < d.at ? na : d.at;
    }
    if (d.at == INT64_MAX)
        return true;
    *at = d.at;
    return false;
}
