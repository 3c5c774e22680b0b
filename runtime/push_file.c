/* runtime/push_file.c -- pieces to their places in files.
 *
 * In: a nest of units in memory, and where each goes in an output file.  What is dense in the file is put together in
 * memory and written with one call; what has holes is either written run by run, or the stretch is read, completed and
 * written back, whichever is cheaper. */
#include "runtime/push_priv.h"

#include <string.h>

#include "runtime/io.h"

/* A call costs as much as copying so many bytes. */
enum { CALL = 4096 };

/* A movement from memory to a file: dims by descending dst. */
struct move {
    uint64_t off;
    const char *from;
    struct wm_kdim dim[WM_PLAN_RANK];
    uint32_t rank;
    uint64_t run;
};

/* How it is written: dims [0, outer) are counted through, and of dim `outer` so many at a time as fit. */
struct way {
    uint32_t outer;
    uint64_t inner; /* bytes over which the dims behind `outer` reach */
    bool dense;
    uint64_t cost;
};

static void
make_move(const struct wm_scatter *x, uint32_t out, const struct wm_piece *p, const char *from, struct move *m)
{
    const struct wm_plan_out *o = &x->out[out];
    int64_t unit = x->geom[o->geom].unit;

    m->off = o->off + (uint64_t)(p->dst * unit);
    m->from = from ? from + p->src[0] : NULL;
    m->run = (uint64_t)unit;
    m->rank = 0;
    for (uint32_t k = 0; k < p->rank; k++) {
        struct wm_kdim d = {p->dim[k].extent, p->dim[k].dst * unit, p->dim[k].src[0]}, *last;

        last = m->rank ? &m->dim[m->rank - 1] : NULL;
        if (d.n == 1)
            continue;
        if (last && last->dst == d.dst * d.n && last->src == d.src * d.n) {
            d.n *= last->n;
            *last = d;
        } else {
            m->dim[m->rank++] = d;
        }
    }
    while (m->rank && (uint64_t)m->dim[m->rank - 1].dst == m->run && m->dim[m->rank - 1].src == m->dim[m->rank - 1].dst)
        m->run *= (uint64_t)m->dim[--m->rank].n;
}

static struct way
choose(const struct move *m, uint64_t stage)
{
    struct way best = {.outer = m->rank, .inner = m->run, .dense = true};
    uint64_t parts = 1, span = m->run, bytes = m->run;

    for (uint32_t k = 0; k < m->rank; k++)
        parts *= (uint64_t)m->dim[k].n;
    best.cost = parts * (m->run + CALL);
    for (uint32_t k = m->rank; k-- > 0 && span <= stage;) {
        uint64_t n = (uint64_t)m->dim[k].n, inner = span, fit, calls, moved;
        bool dense = bytes == span && (uint64_t)m->dim[k].dst == span;

        fit = (stage - inner) / (uint64_t)m->dim[k].dst + 1;
        fit = fit < n ? fit : n;
        parts /= n;
        calls = parts * ((n + fit - 1) / fit);
        span += (n - 1) * (uint64_t)m->dim[k].dst;
        bytes *= n;
        moved = calls * (inner + (fit - 1) * (uint64_t)m->dim[k].dst);
        moved = dense ? moved + calls * CALL : 2 * (moved + calls * CALL);
        if (moved < best.cost)
            best = (struct way){k, inner, dense, moved};
    }
    return best;
}

/* A file that a hand writes. */
struct target {
    struct wm_push_hand *k;
    const char *name;
    uint32_t file;
    int fd;
};

/* The dims from w->outer on, m->dim[w->outer].n of it, at `off`, which reach over `span` bytes. */
static enum wm_status
write_part(const struct target *t, const struct move *m, const struct way *w, int64_t n, uint64_t off, uint64_t span,
           const char *from)
{
    const struct wm_push *s = t->k->s;
    struct wm_worker *x = &t->k->w;
    struct wm_kdim dim[WM_PLAN_RANK];
    uint32_t rank = m->rank - w->outer;
    enum wm_status st = WM_OK;

    x->stats.syscalls++;
    if (rank > 0) {
        memcpy(dim, m->dim + w->outer, rank * sizeof(dim[0]));
        dim[0].n = n;
        if (!w->dense && (st = wm_io_pread(s->sys, t->fd, t->name, x->stage, span, off, x->err)) != WM_OK)
            return st;
        x->stats.syscalls += !w->dense;
        wm_jit_permute(x->x->jit, x->stage, from, dim, rank, (uint32_t)m->run);
        from = x->stage;
    }
    st = wm_io_pwrite(s->sys, t->fd, t->name, from, span, off, x->err);
    if (st == WM_OK && w->dense)
        wm_sums_add(&t->k->s->sums, t->file, off, from, span);
    return st;
}

static enum wm_status
write_move(const struct target *t, const struct move *m, const struct way *w)
{
    bool whole = w->outer == m->rank;
    int64_t at[WM_PLAN_RANK] = {0}, n = whole ? 1 : m->dim[w->outer].n, fit = 1;
    uint64_t off = m->off, step = 0;
    const char *from = m->from;
    uint32_t k;

    if (!whole) {
        step = (uint64_t)m->dim[w->outer].dst;
        fit = (int64_t)((t->k->w.stage_n - w->inner) / step) + 1;
    }
    for (;;) {
        for (int64_t i = 0; i < n; i += fit) {
            int64_t some = n - i < fit ? n - i : fit;
            uint64_t lo = off + (uint64_t)i * step, span = w->inner + (uint64_t)(some - 1) * step;
            enum wm_status st;

            wm_push_enter(t->k, t->file, lo, lo + span, !w->dense);
            st = write_part(t, m, w, some, lo, span, from + (whole ? 0 : i * m->dim[w->outer].src));
            wm_push_leave(t->k);
            if (st != WM_OK)
                return st;
        }
        for (k = w->outer; k-- > 0;) {
            off += (uint64_t)m->dim[k].dst;
            from += m->dim[k].src;
            if (++at[k] < m->dim[k].n)
                break;
            off -= (uint64_t)(m->dim[k].n * m->dim[k].dst);
            from -= m->dim[k].n * m->dim[k].src;
            at[k] = 0;
        }
        if (k == UINT32_MAX)
            return WM_OK;
    }
}

enum wm_status
wm_push_to_file(struct wm_push_hand *k, uint32_t out, struct wm_piece *p, const char *from)
{
    const struct wm_push *s = k->s;
    const struct wm_plan_out *o = &s->x.out[out];
    struct wm_str file = wm_plan_str(&s->x.plan, s->x.outfile[o->file].name);
    size_t n;
    struct move m;
    struct way w;
    char name[512];
    struct target t = {k, name, o->file, s->to.fd(s->to.user, o->file)};

    n = file.n < sizeof(name) - 1 ? file.n : sizeof(name) - 1;
    memcpy(name, file.p, n);
    name[n] = '\0';
    make_move(&s->x, out, p, from, &m);
    w = choose(&m, k->w.stage_n);
    return write_move(&t, &m, &w);
}

/* A box that is filled, as a piece whose units all come from the one pattern. */
static enum wm_status
fill_box(struct wm_push *s, uint32_t out, const struct wm_plan_box *b)
{
    struct wm_piece p = {.dst = b->dst_base, .rank = b->rank};

    memcpy(p.dim, s->x.dim + b->dim, b->rank * sizeof(p.dim[0]));
    for (uint32_t k = 0; k < p.rank; k++)
        memset(p.dim[k].src, 0, sizeof(p.dim[k].src));
    return wm_push_to_file(&s->hand[0], out, &p, (const char *)s->x.elem[b->elem].pattern);
}

enum wm_status
wm_push_fills(struct wm_push *s)
{
    for (uint64_t i = 0; i < s->x.nout; i++) {
        const struct wm_plan_geom *g = &s->x.geom[s->x.out[i].geom];

        for (uint64_t b = g->box; s->x.out[i].file != WM_NONE && b < g->box + g->nbox; b++) {
            enum wm_status st;

            if (s->x.elem[s->x.box[b].elem].kind == WM_EL_FILL &&
                (st = fill_box(s, (uint32_t)i, &s->x.box[b])) != WM_OK)
                return st;
        }
    }
    return WM_OK;
}

/* ---- portions ---- */

struct sum {
    struct wm_push *s;
    uint32_t out, unit, src_unit;
    uint64_t bytes, cost;
};

static enum wm_status
add_cost(void *user, struct wm_piece *p)
{
    struct sum *t = user;
    struct move m;
    uint64_t n = t->unit;

    for (uint32_t k = 0; k < p->rank; k++) {
        n *= (uint64_t)p->dim[k].extent;
        p->dim[k].src[0] *= t->src_unit;
    }
    make_move(&t->s->x, t->out, p, NULL, &m);
    t->bytes += n;
    t->cost += choose(&m, t->s->hand[0].w.stage_n).cost;
    return WM_OK;
}

/* What it costs to write what a portion from the middle of an input goes to, in percent of its bytes. */
static uint64_t
cost_of(struct wm_push *s, uint32_t in, uint64_t n)
{
    uint64_t lo = (s->x.in[in].nbytes - n) / 2 / WM_PUSH_ALIGN * WM_PUSH_ALIGN;
    struct sum t = {.s = s};

    for (uint64_t k = s->x.first[in]; k < s->x.first[in + 1]; k++) {
        const struct wm_use *u = &s->x.use[k];
        const struct wm_plan_elem *e = &s->x.elem[s->x.box[u->box].elem];

        if (s->x.out[u->out].file == WM_NONE || u->operand > 0)
            continue;
        t.out = u->out;
        t.unit = s->x.geom[s->x.out[u->out].geom].unit;
        t.src_unit = wm_plan_src_unit(e, t.unit, 0);
        (void)wm_scatter_cut(&s->x, u, (int64_t)(lo / t.src_unit), (int64_t)((lo + n) / t.src_unit), add_cost, &t);
    }
    return t.bytes ? t.cost * 100 / t.bytes : 100;
}

uint64_t
wm_push_good(struct wm_push *s, uint32_t in, uint64_t most)
{
    enum { FIRST = 1 << 20, FINE = 110, BETTER = 90 };
    uint64_t total = s->x.in[in].nbytes, n = FIRST < most ? FIRST : most, cost, best = n;

    if (total <= n)
        return n;
    cost = cost_of(s, in, n);
    while (cost > FINE && n < most && n < total) {
        uint64_t more;

        n = 2 * n < most ? 2 * n : most;
        more = cost_of(s, in, n < total ? n : total);
        if (more < cost * BETTER / 100) {
            cost = more;
            best = n;
        }
    }
    return best;
}
