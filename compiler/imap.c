/* compiler/imap.c -- index maps: making, cutting, asking and printing them.
 *
 * The canonical form is made in imap_canon.c, fusion and inversion in imap_compose.c, proofs in
 * imap_check.c; all of them rest on base/nest.h. */
#include "compiler/imap.h"

#include <string.h>

#include "base/buf.h"
#include "base/checked.h"
#include "compiler/imap_nest.h"

void
wm_imap_init(struct wm_imap *m, struct wm_arena *a)
{
    memset(m, 0, sizeof(*m));
    m->a = a;
}

void
wm_imap_copy(struct wm_imap *out, const struct wm_imap *m, struct wm_arena *a)
{
    wm_imap_init(out, a);
    out->box.item = WM_NEW_N(a, struct wm_box, m->box.n);
    out->dim.item = WM_NEW_N(a, struct wm_dim, m->dim.n);
    if (m->box.n)
        memcpy(out->box.item, m->box.item, m->box.n * sizeof(m->box.item[0]));
    if (m->dim.n)
        memcpy(out->dim.item, m->dim.item, m->dim.n * sizeof(m->dim.item[0]));
    out->box.n = out->box.cap = m->box.n;
    out->dim.n = out->dim.cap = m->dim.n;
}

void
wm_imap_add(struct wm_imap *m, const struct wm_box *box, const struct wm_dim *dims)
{
    struct wm_box *b = WM_PUSH(m->a, &m->box);

    *b = *box;
    b->dim = m->dim.n;
    for (uint32_t k = 0; k < box->rank; k++)
        *WM_PUSH(m->a, &m->dim) = dims[k];
}

void
wm_imap_identity(struct wm_imap *m, int64_t nelem, uint32_t slot)
{
    struct wm_box b = {.slot = {slot}, .nsrc = 1, .rank = nelem != 1};
    struct wm_dim d = {.extent = nelem, .dst = 1, .src = {1}};

    if (nelem > 0)
        wm_imap_add(m, &b, &d);
}

static int64_t
box_count(const struct wm_imap *m, const struct wm_box *b)
{
    int64_t n = 1;

    for (uint32_t k = 0; k < b->rank; k++)
        if (m->dim.item[b->dim + k].extent == 0)
            return 0;
    for (uint32_t k = 0; k < b->rank; k++)
        if (!wm_ck_mul(n, m->dim.item[b->dim + k].extent, &n))
            return INT64_MAX;
    return n;
}

int64_t
wm_imap_count(const struct wm_imap *m)
{
    int64_t n = 0;

    for (uint32_t i = 0; i < m->box.n; i++)
        if (!wm_ck_add(n, box_count(m, &m->box.item[i]), &n))
            return INT64_MAX;
    return n;
}

/* ---- boxes as nests ---- */

bool
wm_imap_nest(const struct wm_imap *m, const struct wm_box *b, int key, int src_at,
             struct wm_nest *out)
{
    if (b->rank > WM_NEST_RANK)
        return false;
    wm_nest_init(out, key == WM_KEY_DST ? b->dst_base : b->src_base[key]);
    if (src_at == WM_PAY_SRC)
        out->pay[WM_PAY_DST] = b->dst_base;
    for (uint32_t s = 0; s < b->nsrc; s++)
        out->pay[src_at + (int)s] = b->src_base[s];
    for (uint32_t k = 0; k < b->rank; k++) {
        const struct wm_dim *d = &m->dim.item[b->dim + k];
        struct wm_nest_dim *to =
            wm_nest_push(out, d->extent, key == WM_KEY_DST ? d->dst : d->src[key]);

        if (src_at == WM_PAY_SRC)
            to->pay[WM_PAY_DST] = d->dst;
        for (uint32_t s = 0; s < b->nsrc; s++)
            to->pay[src_at + (int)s] = d->src[s];
    }
    return true;
}

void
wm_imap_add_nest(struct wm_imap *m, const struct wm_box *like, const struct wm_nest *x, int dst,
                 const int src[WM_MAX_OPERANDS])
{
    struct wm_box b = {.elem = like->elem, .nsrc = like->nsrc, .rank = (uint16_t)x->rank};
    struct wm_dim d[WM_NEST_RANK];

    b.dst_base = dst == WM_KEY_DST ? x->key : x->pay[dst];
    for (uint32_t s = 0; s < b.nsrc; s++) {
        b.slot[s] = like->slot[s];
        b.src_base[s] = x->pay[src[s]];
    }
    for (uint32_t k = 0; k < x->rank; k++) {
        const struct wm_nest_dim *from = &x->dim[k];

        d[k] = (struct wm_dim){.extent = from->extent,
                               .dst = dst == WM_KEY_DST ? from->key : from->pay[dst]};
        for (uint32_t s = 0; s < b.nsrc; s++)
            d[k].src[s] = from->pay[src[s]];
    }
    wm_imap_add(m, &b, d);
}

/* Least and greatest dst. */
static void
box_range(const struct wm_imap *m, const struct wm_box *b, int64_t *lo, int64_t *hi)
{
    *lo = *hi = b->dst_base;
    for (uint32_t k = 0; k < b->rank; k++) {
        const struct wm_dim *d = &m->dim.item[b->dim + k];
        int64_t reach = (d->extent - 1) * d->dst;

        if (reach < 0)
            *lo += reach;
        else
            *hi += reach;
    }
}

void
wm_imap_ranges(const struct wm_imap *m, struct wm_arena *a, struct wm_ranges *out)
{
    uint32_t n = m->box.n;
    int64_t *lo = WM_NEW_N(a, int64_t, n), *hi = WM_NEW_N(a, int64_t, n);

    for (uint32_t i = 0; i < n; i++)
        box_range(m, &m->box.item[i], &lo[i], &hi[i]);
    wm_ranges_init(out, n, lo, hi, WM_NEW_N(a, int64_t, wm_ranges_room(n)));
}

struct into {
    struct wm_imap *out;
    const struct wm_box *like;
};

static bool
emit_same(void *user, const struct wm_nest *x)
{
    static const int src[] = {WM_PAY_SRC, WM_PAY_SRC + 1, WM_PAY_SRC + 2};
    struct into *to = user;

    wm_imap_add_nest(to->out, to->like, x, WM_PAY_DST, src);
    return true;
}

const struct wm_imap *
wm_imap_ordered(const struct wm_imap *m, struct wm_imap *room)
{
    struct into to = {.out = room};
    struct wm_nest_visit v = {emit_same, &to, WM_IMAP_MAX_BOXES};
    struct wm_nest x;
    uint32_t i;

    for (i = 0; i < m->box.n; i++) {
        if (!wm_imap_nest(m, &m->box.item[i], WM_KEY_DST, WM_PAY_SRC, &x))
            return NULL;
        wm_nest_normal(&x);
        if (!wm_nest_is_ordered(&x))
            break;
    }
    if (i == m->box.n)
        return m;
    wm_imap_init(room, m->a);
    for (i = 0; i < m->box.n; i++) {
        to.like = &m->box.item[i];
        if (!wm_imap_nest(m, to.like, WM_KEY_DST, WM_PAY_SRC, &x) || !wm_nest_order(&x, &v))
            return NULL;
    }
    wm_imap_canon(room);
    return room;
}

/* ---- cutting: the part that writes an interval is a join with that interval ---- */

bool
wm_imap_cut(const struct wm_imap *m, int64_t lo, int64_t hi, bool rebase, struct wm_imap *out)
{
    struct into to = {.out = out};
    struct wm_nest_visit v = {emit_same, &to, WM_IMAP_MAX_BOXES};
    struct wm_nest x, window;

    wm_nest_init(&window, lo);
    wm_nest_push(&window, hi - lo, 1);
    if (rebase)
        window.pay[WM_PAY_DST] = -lo;
    if (lo >= hi)
        return true;
    for (uint32_t i = 0; i < m->box.n; i++) {
        int64_t least, greatest;

        to.like = &m->box.item[i];
        box_range(m, to.like, &least, &greatest);
        if (greatest < lo || least >= hi)
            continue;
        if (!wm_imap_nest(m, to.like, WM_KEY_DST, WM_PAY_SRC, &x) || !wm_nest_join(&x, &window, &v))
            return false;
    }
    wm_imap_canon(out);
    return true;
}

/* ---- asking ---- */

struct place {
    const int64_t *at;
    int64_t src[WM_MAX_OPERANDS];
    bool found;
};

static bool
emit_place(void *user, const struct wm_nest *x)
{
    struct place *p = user;

    for (int s = 0; s < WM_MAX_OPERANDS; s++)
        p->src[s] = x->pay[WM_PAY_SRC + s];
    p->found = true;
    return false;
}

bool
wm_imap_source(const struct wm_imap *m, int64_t at, const struct wm_box **box,
               int64_t src[WM_MAX_OPERANDS])
{
    struct place p = {.found = false};
    struct wm_nest_visit v = {emit_place, &p, WM_IMAP_MAX_BOXES};
    struct wm_nest x, one;

    wm_nest_init(&one, at);
    for (uint32_t i = 0; i < m->box.n; i++) {
        const struct wm_box *b = &m->box.item[i];
        int64_t lo, hi;

        box_range(m, b, &lo, &hi);
        if (at < lo || at > hi || !wm_imap_nest(m, b, WM_KEY_DST, WM_PAY_SRC, &x))
            continue;
        (void)wm_nest_join(&x, &one, &v);
        if (!p.found)
            continue;
        *box = b;
        memcpy(src, p.src, sizeof(p.src));
        return true;
    }
    return false;
}

/* ---- text ---- */

static void
print_dims(const struct wm_imap *m, const struct wm_box *b, int side, struct wm_buf *out)
{
    wm_buf_putc(out, '[');
    for (uint32_t k = 0; k < b->rank; k++) {
        const struct wm_dim *d = &m->dim.item[b->dim + k];

        wm_buf_printf(out, "%s%lld:%lld", k ? " " : "", (long long)d->extent,
                      (long long)(side == WM_KEY_DST ? d->dst : d->src[side]));
    }
    wm_buf_putc(out, ']');
}

void
wm_imap_print(const struct wm_imap *m, struct wm_buf *out)
{
    for (uint32_t i = 0; i < m->box.n; i++) {
        const struct wm_box *b = &m->box.item[i];

        wm_buf_printf(out, "%lld: ", (long long)b->dst_base);
        print_dims(m, b, WM_KEY_DST, out);
        wm_buf_putz(out, " <-");
        if (b->elem)
            wm_buf_printf(out, " #%u", b->elem);
        for (int s = 0; s < b->nsrc; s++) {
            wm_buf_printf(out, "%s %%%u", s ? "," : "", b->slot[s]);
            if (b->src_base[s])
                wm_buf_printf(out, " + %lld", (long long)b->src_base[s]);
            wm_buf_putc(out, ' ');
            print_dims(m, b, s, out);
        }
        wm_buf_putc(out, '\n');
    }
}
