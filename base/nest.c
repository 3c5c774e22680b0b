/* base/nest.c -- meeting of nests by digits of a common mixed radix.
 *
 * wm_nest_join() goes in three steps.  resolve(): make the strides of both nests a chain c_0 | c_1
 * | ..., enumerating what does not fit.  split(): cut a nest so that its digit at each level is an
 * interval that does not carry into the next.  meet(): intersect the intervals of both, level by
 * level.  The nests are changed in place on the way down and restored on the way up. */
#include "base/nest.h"

#include <string.h>

#include "base/checked.h"

enum { LEVELS = 3 * WM_NEST_RANK };

struct join {
    struct wm_nest a, b;
    struct wm_nest out;
    int64_t chain[LEVELS];
    uint32_t n;
    struct wm_nest_visit *v;
};

static void
copy(struct wm_nest *to, const struct wm_nest *from)
{
    to->key = from->key;
    memcpy(to->pay, from->pay, sizeof(to->pay));
    to->rank = from->rank;
    memcpy(to->dim, from->dim, from->rank * sizeof(to->dim[0]));
}

void
wm_nest_init(struct wm_nest *x, int64_t key)
{
    x->key = key;
    memset(x->pay, 0, sizeof(x->pay));
    x->rank = 0;
}

struct wm_nest_dim *
wm_nest_push(struct wm_nest *x, int64_t extent, int64_t key)
{
    struct wm_nest_dim *d;

    if (x->rank == WM_NEST_RANK)
        return NULL;
    d = &x->dim[x->rank++];
    memset(d, 0, sizeof(*d));
    d->extent = extent;
    d->key = key;
    return d;
}

int64_t
wm_nest_count(const struct wm_nest *x)
{
    int64_t n = 1;

    for (uint32_t k = 0; k < x->rank; k++)
        if (x->dim[k].extent == 0)
            return 0;
    for (uint32_t k = 0; k < x->rank; k++)
        if (!wm_ck_mul(n, x->dim[k].extent, &n))
            return INT64_MAX;
    return n;
}

void
wm_nest_range(const struct wm_nest *x, int64_t *lo, int64_t *hi)
{
    *lo = *hi = x->key;
    for (uint32_t k = 0; k < x->rank; k++) {
        int64_t reach = (x->dim[k].extent - 1) * x->dim[k].key;

        if (reach < 0)
            *lo += reach;
        else
            *hi += reach;
    }
}

/* Move the whole nest by `by` steps of dimension d. */
static void
shift(struct wm_nest *x, const struct wm_nest_dim *d, int64_t by)
{
    x->key += by * d->key;
    for (int p = 0; p < WM_NEST_PAY; p++)
        x->pay[p] += by * d->pay[p];
}

void
wm_nest_normal(struct wm_nest *x)
{
    uint32_t n = 0;

    for (uint32_t k = 0; k < x->rank; k++) {
        struct wm_nest_dim d = x->dim[k];
        uint32_t at = n;

        if (d.extent == 1)
            continue;
        if (d.key < 0) {
            shift(x, &d, d.extent - 1);
            d.key = -d.key;
            for (int p = 0; p < WM_NEST_PAY; p++)
                d.pay[p] = -d.pay[p];
        }
        for (; at > 0 && x->dim[at - 1].key < d.key; at--)
            x->dim[at] = x->dim[at - 1];
        x->dim[at] = d;
        n++;
    }
    x->rank = n;
}

bool
wm_nest_is_ordered(const struct wm_nest *x)
{
    int64_t reach = 0; /* of the dims behind */

    for (uint32_t k = x->rank; k-- > 0;) {
        if (x->dim[k].key <= reach)
            return false;
        reach += (x->dim[k].extent - 1) * x->dim[k].key;
    }
    return true;
}

int64_t
wm_nest_below(const struct wm_nest *x, int64_t at)
{
    int64_t rest = at - x->key, inner = wm_nest_count(x), n = 0;

    if (rest <= 0 || inner == 0)
        return 0;
    for (uint32_t k = 0; k < x->rank; k++) {
        const struct wm_nest_dim *d = &x->dim[k];
        int64_t i = rest / d->key;

        inner /= d->extent;
        if (i >= d->extent)
            i = d->extent - 1;
        n += i * inner;
        rest -= i * d->key;
        if (rest <= 0)
            return n;
    }
    return n + 1; /* the tuple that ends below `at` */
}

static bool
spend(struct wm_nest_visit *v)
{
    if (v->budget == 0)
        return false;
    v->budget--;
    return true;
}

/* A nest of more dimensions than fit: as if the budget were used up. */
static bool
too_deep(struct wm_nest_visit *v)
{
    v->budget = 0;
    return false;
}

static int64_t
floor_mod(int64_t a, int64_t m)
{
    int64_t r = a % m;

    return r < 0 ? r + m : r;
}

static int64_t
floor_div(int64_t a, int64_t m)
{
    return (a - floor_mod(a, m)) / m;
}

/* ---- meet: both nests have at most one dim a level, and no digit carries ---- */

/* The interval of x's digit at a level, and its dim there (NULL: one value). */
static const struct wm_nest_dim *
digit(const struct join *j, const struct wm_nest *x, uint32_t level, int64_t *lo, int64_t *end)
{
    int64_t c = j->chain[level];

    *lo = floor_div(x->key, c);
    if (level + 1 < j->n)
        *lo = floor_mod(*lo, j->chain[level + 1] / c);
    *end = *lo + 1;
    for (uint32_t k = 0; k < x->rank; k++)
        if (x->dim[k].key == c) {
            *end = *lo + x->dim[k].extent;
            return &x->dim[k];
        }
    return NULL;
}

static bool
append(struct wm_nest *out, int64_t extent, int64_t key, const struct wm_nest_dim *p,
       const struct wm_nest_dim *q)
{
    struct wm_nest_dim *d = wm_nest_push(out, extent, key);

    if (!d)
        return false;
    for (int i = 0; i < WM_NEST_PAY; i++)
        d->pay[i] = (p ? p->pay[i] : 0) + (q ? q->pay[i] : 0);
    return true;
}

static bool
append_free(struct wm_nest *out, const struct wm_nest *x)
{
    for (uint32_t k = 0; k < x->rank; k++)
        if (x->dim[k].key == 0 && !append(out, x->dim[k].extent, 0, &x->dim[k], NULL))
            return false;
    return true;
}

/* Move only payloads, by as many steps as the interval of one side begins later than its own. */
static void
shift_pay(struct wm_nest *out, const struct wm_nest_dim *d, int64_t by)
{
    if (d && by)
        for (int p = 0; p < WM_NEST_PAY; p++)
            out->pay[p] += by * d->pay[p];
}

static bool
meet(struct join *j)
{
    struct wm_nest *out = &j->out;

    if (!spend(j->v))
        return false;
    wm_nest_init(out, j->n ? floor_mod(j->a.key, j->chain[0]) : j->a.key);
    for (int p = 0; p < WM_NEST_PAY; p++)
        out->pay[p] = j->a.pay[p] + j->b.pay[p];
    for (uint32_t level = j->n; level-- > 0;) {
        int64_t alo, aend, blo, bend, lo, end;
        const struct wm_nest_dim *p = digit(j, &j->a, level, &alo, &aend);
        const struct wm_nest_dim *q = digit(j, &j->b, level, &blo, &bend);

        lo = alo > blo ? alo : blo;
        end = aend < bend ? aend : bend;
        if (lo >= end)
            return true;
        out->key += lo * j->chain[level];
        shift_pay(out, p, lo - alo);
        shift_pay(out, q, lo - blo);
        if (end - lo > 1 && !append(out, end - lo, j->chain[level], p, q))
            return too_deep(j->v);
    }
    if (!append_free(out, &j->a) || !append_free(out, &j->b))
        return too_deep(j->v);
    return j->v->emit(j->v->user, out);
}

/* ---- split: cut one nest until no digit carries ---- */

typedef bool step(struct join *j);

static bool split(struct join *j, struct wm_nest *x, uint32_t level, step *then);

/* Take dimension d out and go on with each of its values. */
static bool
split_each(struct join *j, struct wm_nest *x, uint32_t d, uint32_t level, step *then)
{
    struct wm_nest_dim out = x->dim[d];
    bool ok = true;

    x->dim[d] = x->dim[--x->rank];
    for (int64_t i = 0; ok && i < out.extent; i++) {
        ok = spend(j->v) && split(j, x, level, then);
        shift(x, &out, 1);
    }
    shift(x, &out, -out.extent);
    x->dim[x->rank++] = x->dim[d];
    x->dim[d] = out;
    return ok;
}

/* x's digit at `level` is made by d and begins at `lo` of `radix`: go on with the part up to the
 * first carry, with the whole periods, and with the rest. */
static bool
split_carry(struct join *j, struct wm_nest *x, uint32_t d, int64_t lo, int64_t radix,
            uint32_t level, step *then)
{
    struct wm_nest_dim all = x->dim[d];
    int64_t head = lo ? radix - lo : 0;
    int64_t period = (all.extent - head) / radix, tail = (all.extent - head) % radix;
    bool ok = true;

    if (head) {
        x->dim[d].extent = head;
        ok = split(j, x, level + 1, then);
    }
    shift(x, &all, head);
    if (ok && period) {
        x->dim[d].extent = radix;
        if (period == 1) {
            ok = split(j, x, level + 1, then);
        } else {
            struct wm_nest_dim *up = wm_nest_push(x, period, j->chain[level + 1]);

            ok = up != NULL || too_deep(j->v);
            for (int p = 0; ok && p < WM_NEST_PAY; p++)
                up->pay[p] = radix * all.pay[p];
            ok = ok && split(j, x, level + 1, then);
            x->rank -= up != NULL;
        }
    }
    shift(x, &all, period * radix);
    if (ok && tail) {
        x->dim[d].extent = tail;
        ok = split(j, x, level + 1, then);
    }
    shift(x, &all, -head - period * radix);
    x->dim[d] = all;
    return ok;
}

static bool
split(struct join *j, struct wm_nest *x, uint32_t level, step *then)
{
    uint32_t d = WM_NEST_RANK;
    int64_t c, lo, radix;

    for (; level < j->n; level++) {
        c = j->chain[level];
        d = WM_NEST_RANK;
        for (uint32_t k = 0; k < x->rank; k++) {
            if (x->dim[k].key != c)
                continue;
            if (d != WM_NEST_RANK) /* two dims make one digit: the shorter one by values */
                return split_each(j, x, x->dim[k].extent < x->dim[d].extent ? k : d, level, then);
            d = k;
        }
        if (d == WM_NEST_RANK || level + 1 == j->n)
            continue;
        radix = j->chain[level + 1] / c;
        lo = floor_mod(floor_div(x->key, c), radix);
        if (lo + x->dim[d].extent > radix)
            return spend(j->v) && split_carry(j, x, d, lo, radix, level, then);
    }
    return then(j);
}

static bool
split_b(struct join *j)
{
    return split(j, &j->b, 0, meet);
}

/* ---- resolve: strides of both as one chain ---- */

static bool resolve(struct join *j);

static void
chain_add(struct join *j, const struct wm_nest *x)
{
    for (uint32_t k = 0; k < x->rank; k++) {
        int64_t c = x->dim[k].key;
        uint32_t at = j->n;

        if (c == 0)
            continue;
        while (at > 0 && j->chain[at - 1] > c)
            at--;
        if (at > 0 && j->chain[at - 1] == c)
            continue;
        memmove(&j->chain[at + 1], &j->chain[at], (j->n - at) * sizeof(j->chain[0]));
        j->chain[at] = c;
        j->n++;
    }
}

/* Go on with each value of dimension d of x that can still meet the other nest. */
static bool
resolve_each(struct join *j, struct wm_nest *x, const struct wm_nest *other, uint32_t d)
{
    struct wm_nest_dim out = x->dim[d];
    int64_t lo, hi, olo, ohi, first = 0, last = out.extent - 1;
    bool ok = true;

    x->dim[d] = x->dim[--x->rank];
    wm_nest_range(x, &lo, &hi);
    wm_nest_range(other, &olo, &ohi);
    if (hi < olo)
        first = (olo - hi + out.key - 1) / out.key;
    if (lo + last * out.key > ohi)
        last = floor_div(ohi - lo, out.key);
    shift(x, &out, first);
    for (int64_t i = first; ok && i <= last; i++) {
        ok = spend(j->v) && resolve(j);
        shift(x, &out, 1);
    }
    shift(x, &out, -(last >= first ? last + 1 : first));
    x->dim[x->rank++] = x->dim[d];
    x->dim[d] = out;
    return ok;
}

/* Dimension d runs over more than one period of `lcm` (a multiple of its stride): make the period a
 * dimension of its own, so that only one period need be enumerated. */
static bool
resolve_period(struct join *j, struct wm_nest *x, uint32_t d, int64_t m)
{
    struct wm_nest_dim all = x->dim[d];
    struct wm_nest_dim *up = wm_nest_push(x, all.extent / m, all.key * m);
    bool ok;

    if (!up)
        return too_deep(j->v);
    for (int p = 0; p < WM_NEST_PAY; p++)
        up->pay[p] = m * all.pay[p];
    x->dim[d].extent = m;
    ok = resolve(j);
    x->rank--;
    if (ok && all.extent % m) {
        shift(x, &all, all.extent / m * m);
        x->dim[d].extent = all.extent % m;
        ok = resolve(j);
        shift(x, &all, -(all.extent / m * m));
    }
    x->dim[d] = all;
    return ok;
}

static int64_t
gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t r = a % b;

        a = b;
        b = r;
    }
    return a;
}

/* Strides s and t of the chain do not divide each other: get rid of the shortest dim that has one.
 */
static bool
resolve_clash(struct join *j, int64_t s, int64_t t)
{
    struct wm_nest *side[2] = {&j->a, &j->b}, *x = NULL;
    uint32_t d = 0;
    int64_t m;

    for (int i = 0; i < 2; i++)
        for (uint32_t k = 0; k < side[i]->rank; k++)
            if ((side[i]->dim[k].key == s || side[i]->dim[k].key == t) &&
                (!x || side[i]->dim[k].extent < x->dim[d].extent)) {
                x = side[i];
                d = k;
            }
    m = (x->dim[d].key == s ? t : s) / gcd(s, t); /* steps to the common multiple */
    if (x->dim[d].extent >= 2 * m)
        return spend(j->v) && resolve_period(j, x, d, m);
    return resolve_each(j, x, x == &j->a ? &j->b : &j->a, d);
}

static bool
resolve(struct join *j)
{
    int64_t alo, ahi, blo, bhi;

    wm_nest_range(&j->a, &alo, &ahi);
    wm_nest_range(&j->b, &blo, &bhi);
    if (alo > bhi || blo > ahi)
        return true;
    j->n = 0;
    chain_add(j, &j->a);
    chain_add(j, &j->b);
    for (uint32_t i = 0; i + 1 < j->n; i++)
        if (j->chain[i + 1] % j->chain[i] != 0)
            return resolve_clash(j, j->chain[i], j->chain[i + 1]);
    if (j->n == 0)
        return meet(j);
    if (floor_mod(j->a.key, j->chain[0]) != floor_mod(j->b.key, j->chain[0]))
        return true;
    return split(j, &j->a, 0, split_b);
}

/* Both run with the same outermost stride, each within a part of it, and the parts differ: the
 * usual case of pieces that lie beside each other in rows.  Cheap, and it keeps lists of n such
 * pieces from costing n^2 joins. */
static bool
apart(const struct wm_nest *a, const struct wm_nest *b)
{
    int64_t t, ar = 0, br = 0, alo, blo;

    if (a->rank == 0 || b->rank == 0 || a->dim[0].key != b->dim[0].key || a->dim[0].key == 0)
        return false;
    t = a->dim[0].key;
    for (uint32_t k = 1; k < a->rank; k++)
        ar += (a->dim[k].extent - 1) * a->dim[k].key;
    for (uint32_t k = 1; k < b->rank; k++)
        br += (b->dim[k].extent - 1) * b->dim[k].key;
    alo = floor_mod(a->key, t);
    blo = floor_mod(b->key, t);
    return ar < t - alo && br < t - blo && (alo + ar < blo || blo + br < alo);
}

static bool
is_empty(const struct wm_nest *x)
{
    for (uint32_t k = 0; k < x->rank; k++)
        if (x->dim[k].extent == 0)
            return true;
    return false;
}

bool
wm_nest_join(const struct wm_nest *a, const struct wm_nest *b, struct wm_nest_visit *v)
{
    struct join j;

    if (is_empty(a) || is_empty(b))
        return true;
    if (!spend(v))
        return false;
    if (apart(a, b))
        return true;
    copy(&j.a, a);
    copy(&j.b, b);
    j.n = 0;
    j.v = v;
    wm_nest_normal(&j.a);
    wm_nest_normal(&j.b);
    return resolve(&j);
}

bool
wm_nest_order(const struct wm_nest *x, struct wm_nest_visit *v)
{
    struct wm_nest y, z;
    uint32_t d = 0;

    copy(&y, x);
    if (is_empty(&y))
        return true;
    wm_nest_normal(&y);
    if (wm_nest_is_ordered(&y))
        return spend(v) && v->emit(v->user, &y);
    for (uint32_t k = 1; k < y.rank; k++)
        if (y.dim[k].extent < y.dim[d].extent)
            d = k;
    copy(&z, &y);
    memmove(&z.dim[d], &z.dim[d + 1], (z.rank - d - 1) * sizeof(z.dim[0]));
    z.rank--;
    for (int64_t i = 0; i < y.dim[d].extent; i++) {
        if (!spend(v) || !wm_nest_order(&z, v))
            return false;
        shift(&z, &y.dim[d], 1);
    }
    return true;
}
