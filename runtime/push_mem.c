/* runtime/push_mem.c -- outputs that are made in memory: in blocks, each from its first unit to its last.
 *
 * In: pieces in any order.  A block exists from the time something comes for it until it is complete and handed on:
 * to a stream in order, or as a whole tensor.  What a block is filled with is put there when it is made. */
#include "runtime/push_priv.h"

#include <inttypes.h>
#include <string.h>

/* ---- the table ---- */

static uint64_t
units_of(const struct wm_push *s, uint32_t out)
{
    return (uint64_t)s->x.geom[s->x.out[out].geom].nunit;
}

static uint32_t
unit_of(const struct wm_push *s, uint32_t out)
{
    return s->x.geom[s->x.out[out].geom].unit;
}

/* Units of a block; a power of two divides them. */
static uint64_t
step_of(const struct wm_push *s, uint32_t out)
{
    return s->block_n == UINT64_MAX ? units_of(s, out) : s->block_n / unit_of(s, out);
}

/* Units [*lo, *hi) are block k of an output. */
static void
range_of(const struct wm_push *s, uint32_t out, uint64_t k, uint64_t *lo, uint64_t *hi)
{
    uint64_t step = step_of(s, out), n = units_of(s, out);

    *lo = k * step;
    *hi = n - *lo < step ? n : *lo + step;
}

void
wm_push_blocks(struct wm_push *s)
{
    uint64_t n = 0;

    if (!s->first) {
        s->first = WM_NEW_N(s->a, uint64_t, s->x.nout + 1);
        for (uint64_t i = 0; i < s->x.nout; i++) {
            uint64_t step = s->x.out[i].file == WM_NONE ? 0 : step_of(s, (uint32_t)i);

            s->first[i] = n;
            n += step ? (units_of(s, (uint32_t)i) + step - 1) / step : 0;
        }
        s->first[s->x.nout] = n;
        s->block = WM_NEW_N(s->a, struct wm_push_block, n);
    }
    n = s->first[s->x.nout];
    for (uint64_t i = 0; i < n; i++)
        s->block[i] = (struct wm_push_block){NULL, UINT64_MAX};
    s->next_out = s->next = 0;
}

static void
give_back(struct wm_push *s, struct wm_push_block *b, uint64_t n)
{
    if (b->mem && n == s->block_n) {
        memcpy(b->mem, &s->spare, sizeof(s->spare));
        s->spare = b->mem;
    } else {
        s->sys->free(b->mem);
    }
    b->mem = NULL;
    s->used -= n;
}

void
wm_push_blocks_free(struct wm_push *s)
{
    for (uint64_t i = 0; s->block && i < s->first[s->x.nout]; i++)
        s->sys->free(s->block[i].mem);
    while (s->spare) {
        char *next;

        memcpy(&next, s->spare, sizeof(next));
        s->sys->free(s->spare);
        s->spare = next;
    }
    s->block = NULL;
}

/* ---- blocks ---- */

struct target {
    struct wm_push *s;
    struct wm_push_block *b;
    const char *from;
    const uint8_t *pattern; /* or NULL: a movement */
    uint32_t out, unit;
    uint64_t k; /* the block's number */
    int64_t lo;
};

static enum wm_status make_block(struct wm_push *s, uint32_t out, uint64_t k);

static enum wm_status
put(void *user, struct wm_piece *p)
{
    struct target *t = user;
    struct wm_kdim dim[WM_PLAN_RANK];
    uint64_t n = 1;
    enum wm_status st;

    if (t->b->left == UINT64_MAX && (st = make_block(t->s, t->out, t->k)) != WM_OK)
        return st;
    for (uint32_t k = 0; k < p->rank; k++) {
        dim[k] = (struct wm_kdim){p->dim[k].extent, p->dim[k].dst * t->unit, t->pattern ? 0 : p->dim[k].src[0]};
        n *= (uint64_t)p->dim[k].extent;
    }
    t->b->left -= n;
    if (t->s->rehearsal)
        return WM_OK;
    if (t->pattern)
        wm_permute(t->b->mem + (p->dst - t->lo) * t->unit, (const char *)t->pattern, dim, p->rank, t->unit);
    else
        wm_permute(t->b->mem + (p->dst - t->lo) * t->unit, t->from + p->src[0], dim, p->rank, t->unit);
    return WM_OK;
}

/* The memory of a block, and what it is filled with. */
static enum wm_status
make_block(struct wm_push *s, uint32_t out, uint64_t k)
{
    const struct wm_plan_geom *g = &s->x.geom[s->x.out[out].geom];
    struct wm_push_block *b = &s->block[s->first[out] + k];
    struct target t = {.s = s, .b = b, .out = out, .unit = g->unit, .k = k};
    uint64_t lo, hi;
    enum wm_status st;

    range_of(s, out, k, &lo, &hi);
    b->left = hi - lo;
    if ((st = wm_push_take(s, (hi - lo) * g->unit)) != WM_OK)
        return st;
    if (!s->rehearsal && s->spare && (hi - lo) * g->unit == s->block_n) {
        b->mem = s->spare;
        memcpy(&s->spare, b->mem, sizeof(s->spare));
    } else if (!s->rehearsal) {
        b->mem = s->sys->malloc((hi - lo) * g->unit);
        if (!b->mem)
            return wm_fail(s->err, WM_ENOMEM, NULL, "out of memory (%" PRIu64 " bytes)", (hi - lo) * g->unit);
    }
    t.lo = (int64_t)lo;
    for (uint64_t i = g->box; i < g->box + g->nbox; i++) {
        const struct wm_plan_box *x = &s->x.box[i];

        if (s->x.elem[x->elem].kind != WM_EL_FILL || x->dst_base >= (int64_t)hi)
            continue;
        t.pattern = s->x.elem[x->elem].pattern;
        (void)wm_cut_box(s->x.dim + x->dim, x->rank, x->dst_base, x->src_base, (int64_t)lo, (int64_t)hi, put, &t);
    }
    return WM_OK;
}

/* A whole tensor is handed out when it is complete. */
static enum wm_status
hand_out(struct wm_push *s, uint32_t out, struct wm_push_block *b)
{
    enum wm_status st = WM_OK;

    if (b->left || !s->to.tensor)
        return WM_OK;
    if (!s->rehearsal && s->x.out[out].name.len)
        st = s->to.tensor(s->to.user, out, b->mem, s->err);
    s->stats.bytes_written += s->x.out[out].nbytes;
    give_back(s, b, s->x.out[out].nbytes);
    return st;
}

enum wm_status
wm_push_to_mem(struct wm_push *s, uint32_t out, struct wm_piece *p, const char *from)
{
    uint64_t step = step_of(s, out), first = (uint64_t)p->dst / step, last;
    int64_t end = p->dst;
    struct target t = {.s = s, .from = from, .out = out, .unit = unit_of(s, out)};
    enum wm_status st = WM_OK;

    for (uint32_t k = 0; k < p->rank; k++)
        end += (p->dim[k].extent - 1) * p->dim[k].dst;
    last = (uint64_t)end / step;
    for (uint64_t k = first; k <= last && st == WM_OK; k++) {
        uint64_t lo, hi, left;

        t.b = &s->block[s->first[out] + k];
        t.k = k;
        range_of(s, out, k, &lo, &hi);
        t.lo = (int64_t)lo;
        left = t.b->left;
        st = wm_cut_box(p->dim, p->rank, p->dst, p->src, (int64_t)lo, (int64_t)hi, put, &t);
        if (st == WM_OK && t.b->left != left)
            st = hand_out(s, out, t.b);
    }
    return st;
}

static bool
has_fill(const struct wm_push *s, uint32_t out)
{
    const struct wm_plan_geom *g = &s->x.geom[s->x.out[out].geom];

    for (uint64_t i = g->box; i < g->box + g->nbox; i++)
        if (s->x.elem[s->x.box[i].elem].kind == WM_EL_FILL)
            return true;
    return false;
}

/* In order of the file; what nothing comes for is made when its turn has come. */
enum wm_status
wm_push_flow(struct wm_push *s)
{
    uint64_t lo, hi, n;
    enum wm_status st = WM_OK;

    for (; s->next_out < s->x.nout; s->next_out++, s->next = 0) {
        uint32_t out = (uint32_t)s->next_out;
        uint64_t nblock = s->first[out + 1] - s->first[out];

        for (; s->next < nblock; s->next++) {
            struct wm_push_block *b = &s->block[s->first[out] + s->next];

            if (b->left == UINT64_MAX && has_fill(s, out) && (st = make_block(s, out, s->next)) != WM_OK)
                return st;
            if (b->left == UINT64_MAX || b->left > 0)
                return WM_OK;
            if (s->to.tensor) { /* at the end: what consists of fills alone */
                if (b->mem && (st = hand_out(s, out, b)) != WM_OK)
                    return st;
                continue;
            }
            range_of(s, out, s->next, &lo, &hi);
            n = (hi - lo) * unit_of(s, out);
            if (!s->rehearsal)
                st = s->to.write(s->to.user, b->mem, n, s->err);
            s->stats.bytes_written += n;
            give_back(s, b, n);
            if (st != WM_OK)
                return st;
        }
    }
    return WM_OK;
}
