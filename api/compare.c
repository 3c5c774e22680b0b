/* api/compare.c -- see compare.h. */
#include "api/compare.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>

#include "api/element.h"
#include "api/parallel.h"

enum { PIECE_LEAST = 4 << 10, PIECE_MOST = 1 << 20 };

struct job {
    struct wm_compare *c;
    unsigned threads;
    uint64_t units;         /* of one piece */
    uint64_t *first_piece;  /* [npair + 1] */
    unsigned char **buffer; /* [threads], two pieces of the widest dtype each */
    size_t half;            /* bytes of one of them */
    pthread_mutex_t lock;   /* of the pairs' results */
    atomic_uint_least64_t done;
    struct wm_progress progress;
};

static bool
units_equal(const struct wm_compare *c, const struct wm_pair *p, const unsigned char *a,
            const unsigned char *b, double *gap)
{
    double x, y;

    *gap = 0;
    if (!wm_element_is_real(p->da) || !wm_element_is_real(p->db))
        return memcmp(a, b, wm_element_unit(p->da)) == 0;
    x = wm_element_get(p->da, a);
    y = wm_element_get(p->db, b);
    *gap = x == y ? 0 : fabs(x - y);
    if (c->atol == 0 && c->rtol == 0)
        return memcmp(a, b, wm_element_unit(p->da)) == 0;
    return x == y || (isnan(x) && isnan(y)) || *gap <= c->atol + c->rtol * fabs(y);
}

/* Compare n units; `at` is the number of the first. */
static void
compare_units(struct job *j, struct wm_pair *p, uint64_t at, uint64_t n, const unsigned char *a,
              const unsigned char *b)
{
    unsigned ua = wm_element_unit(p->da), ub = wm_element_unit(p->db);
    uint64_t ndiff = 0, first = 0;
    double worst = 0;

    for (uint64_t k = 0; k < n; k++) {
        double gap;

        if (units_equal(j->c, p, a + k * ua, b + k * ub, &gap))
            continue;
        if (ndiff++ == 0)
            first = k;
        if (isnan(gap) || gap > worst)
            worst = gap;
    }
    if (ndiff == 0)
        return;
    pthread_mutex_lock(&j->lock);
    if (p->ndiff == 0 || at + first < p->first) {
        p->first = at + first;
        memcpy(p->va, a + first * ua, ua);
        memcpy(p->vb, b + first * ub, ub);
    }
    p->ndiff += ndiff;
    if (isnan(worst) || worst > p->max_abs)
        p->max_abs = worst;
    pthread_mutex_unlock(&j->lock);
}

static uint32_t
pair_of_piece(const struct job *j, uint64_t piece)
{
    uint32_t lo = 0, hi = j->c->npair;

    while (lo + 1 < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (j->first_piece[mid] <= piece)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static enum wm_status
compare_piece(void *user, unsigned thread, uint64_t i, struct wm_err *err)
{
    struct job *j = user;
    struct wm_compare *c = j->c;
    struct wm_pair *p = &c->pair[pair_of_piece(j, i)];
    unsigned ua = wm_element_unit(p->da), ub = wm_element_unit(p->db);
    uint64_t at = (i - j->first_piece[p - c->pair]) * j->units;
    uint64_t n = p->nunit - at < j->units ? p->nunit - at : j->units;
    unsigned char *a = j->buffer[thread], *b = a + j->half;
    enum wm_status st;

    if ((st = c->ra.read(c->ra.user, thread, p->a, at * ua, n * ua, a, err)) != WM_OK ||
        (st = c->rb.read(c->rb.user, thread, p->b, at * ub, n * ub, b, err)) != WM_OK)
        return st;
    if (p->da != p->db || memcmp(a, b, n * ua) != 0)
        compare_units(j, p, at, n, a, b);
    n = atomic_fetch_add(&j->done, n * ua) + n * ua;
    if (wm_progress_call(&j->progress, n, c->nbytes))
        return wm_fail(err, WM_ELIMIT, NULL, "interrupted");
    return WM_OK;
}

/* Sizes of pieces and buffers; the latter are the only memory that depends on data. */
static enum wm_status
prepare(struct job *j, struct wm_err *err)
{
    struct wm_compare *c = j->c;
    uint64_t piece = wm_work_memory(c->work) / (2 * j->threads), total = 0;

    piece = piece < PIECE_LEAST ? PIECE_LEAST : piece > PIECE_MOST ? PIECE_MOST : piece;
    j->half = (size_t)piece;
    j->units = piece / 8;
    j->first_piece = WM_NEW_N(c->a, uint64_t, (size_t)c->npair + 1);
    for (uint32_t k = 0; k < c->npair; k++) {
        j->first_piece[k] = total;
        total += (c->pair[k].nunit + j->units - 1) / j->units;
        c->nbytes += c->pair[k].nunit * wm_element_unit(c->pair[k].da);
    }
    j->first_piece[c->npair] = total;
    j->buffer = WM_NEW_N(c->a, unsigned char *, j->threads);
    for (unsigned k = 0; k < j->threads; k++)
        if (!(j->buffer[k] = c->ctx->sys->malloc(2 * j->half)))
            return wm_fail(err, WM_ENOMEM, NULL, "out of memory for buffers of %zu bytes",
                           2 * j->half);
    return WM_OK;
}

enum wm_status
wm_compare_run(struct wm_compare *c, struct wm_err *err)
{
    struct job j = {.c = c, .threads = wm_work_threads(c->work), .progress = {c->ctx, c->work}};
    struct wm_parallel run = {
        .piece = compare_piece, .user = &j, .sys = c->ctx->sys, .threads = j.threads};
    enum wm_status st;

    if (c->npair == 0)
        return WM_OK;
    atomic_init(&j.done, 0);
    pthread_mutex_init(&j.lock, NULL);
    st = prepare(&j, err);
    run.n = j.first_piece[c->npair];
    if (st == WM_OK)
        st = wm_parallel_run(&run, err);
    for (unsigned k = 0; k < j.threads; k++)
        c->ctx->sys->free(j.buffer[k]);
    pthread_mutex_destroy(&j.lock);
    return st;
}

void
wm_print_index(struct wm_buf *b, enum wm_dtype t, const int64_t *shape, uint32_t rank,
               uint64_t unit)
{
    int64_t index[WM_MAX_RANK];
    uint64_t at = wm_dtype_info[t].bits < 8 ? unit * 8 / wm_dtype_info[t].bits : unit;

    for (uint32_t k = rank; k-- > 0;) {
        index[k] = shape[k] > 0 ? (int64_t)(at % (uint64_t)shape[k]) : 0;
        at = shape[k] > 0 ? at / (uint64_t)shape[k] : 0;
    }
    wm_buf_putc(b, '[');
    for (uint32_t k = 0; k < rank; k++)
        wm_buf_printf(b, "%s%" PRId64, k ? ", " : "", index[k]);
    wm_buf_putc(b, ']');
}
