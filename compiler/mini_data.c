/* compiler/mini_data.c -- the bytes of a mini checkpoint.
 *
 * Elements are numbered through all tensors and each gets the value of its number, so that no two
 * are alike as far as their type has so many values.  Then the checks of the bound map are applied
 * as assignments: what must be equal, or a constant, is made so. */
#include <math.h>

#include "base/checked.h"
#include "base/crc32.h"
#include "compiler/mini.h"
#include "compiler/scalar.h"
#include "runtime/format.h"

struct data {
    struct wm_cc *cc;
    const struct wm_mini *m;
    unsigned char **tensor; /* [placed] */
};

/* ---- values ---- */

/* Floats of few bits: all mantissas of one power of two after the other. */
static double
small_float(uint64_t n, unsigned mantissa, int least, int most)
{
    uint64_t per = UINT64_C(1) << mantissa, powers = (uint64_t)(most - least + 1);

    return ldexp((double)(per + n % per) / (double)per, least + (int)(n / per % powers));
}

/* Value of number n among those that type `narrow` has. */
static struct wm_value
value_of(enum wm_dtype narrow, uint64_t n)
{
    struct wm_value v = {.kind = WM_V_FLOAT};

    const struct wm_dtype_info *t = &wm_dtype_info[narrow];
    int most = t->exponent ? (1 << (t->exponent - 1)) - 4 : 0;

    if (t->kind == 'F' && t->mantissa > 20) {
        v.u.f = (double)(n % (UINT64_C(1) << 24) + 1);
    } else if (t->kind == 'F') {
        most = most > 20 ? 20 : most < 0 ? 0 : most;
        v.u.f = small_float(n, t->mantissa, -most, most);
    } else if (t->kind == 'B') {
        v = (struct wm_value){.kind = WM_V_BOOL, .u.b = n % 2 != 0};
    } else { /* integers: as many as are positive */
        v.kind = WM_V_INT;
        v.u.i = (int64_t)(n % (UINT64_C(1) << (t->bits > 24 ? 24 : t->bits - 1)));
    }
    return v;
}

static enum wm_status
fill_tensor(struct data *d, uint32_t i, uint64_t *number, struct wm_err *err)
{
    const struct wm_gt *gt = &d->m->in.placed->t.item[i];
    enum wm_dtype narrow = d->m->in.narrow.item[d->m->in.of[i]];
    int64_t n = wm_gt_numel(gt);
    unsigned size = wm_dtype_info[gt->dtype].bits / 8;
    unsigned char *p = d->tensor[i];

    if (!wm_scalar_has(gt->dtype)) {
        for (int64_t k = 0; k < n * (int64_t)wm_dtype_info[gt->dtype].bits / 8; k++)
            p[k] = (unsigned char)(*number)++;
        return WM_OK;
    }
    for (int64_t k = 0; k < n; k++) {
        uint8_t pattern[16];

        if (!wm_scalar_encode(gt->dtype, value_of(narrow, (*number)++), pattern))
            return wm_fail(err, WM_ESUPPORT, gt->key.p, "no values of type %s can be made",
                           wm_dtype_info[gt->dtype].name);
        memcpy(p + k * size, pattern, size);
    }
    return WM_OK;
}

/* ---- what must be equal ---- */

/* One box of a check as an assignment. */
static bool
assign(struct data *d, const struct wm_make *mk, const struct wm_box *box, const struct wm_dim *dim)
{
    const struct wm_graph *g = d->m->graph;
    const struct wm_elem *el = &g->elem.item[box->elem];
    uint32_t t[2] = {0, 0};
    int64_t at[2 * WM_MAX_RANK] = {0};
    unsigned size;
    bool changed = false;
    uint32_t k;

    for (uint32_t s = 0; s < box->nsrc && s < 2; s++)
        t[s] = g->stage->slot.item[mk->slot + box->slot[s]];
    for (k = 0; k < box->rank; k++)
        if (dim[k].extent == 0)
            return false;
    if (box->nsrc == 0 || (el->kind == WM_EL_EQUAL && box->nsrc < 2) || box->rank > 2 * WM_MAX_RANK)
        return false;
    size = wm_dtype_info[d->m->in.placed->t.item[t[0]].dtype].bits / 8;
    do {
        int64_t src[2] = {box->src_base[0], box->src_base[1]};
        unsigned char *to;
        const void *from;

        for (k = 0; k < box->rank; k++)
            for (int s = 0; s < 2; s++)
                src[s] += at[k] * dim[k].src[s];
        to = d->tensor[t[0]] + src[0] * size;
        from = el->pattern;
        if (el->kind == WM_EL_EQUAL) { /* the later one follows: this comes to an end */
            unsigned char *other = d->tensor[t[1]] + src[1] * size;
            bool later = t[1] > t[0] || (t[1] == t[0] && src[1] > src[0]);

            from = later ? to : other;
            to = later ? other : to;
        }
        if (memcmp(to, from, size) != 0) {
            memcpy(to, from, size);
            changed = true;
        }
        for (k = box->rank; k > 0 && ++at[k - 1] == dim[k - 1].extent; k--)
            at[k - 1] = 0;
    } while (k > 0);
    return changed;
}

static bool
assign_all(struct data *d)
{
    const struct wm_graph *g = d->m->graph;
    bool changed = false;

    for (uint32_t i = 0; i < g->stage->check.n; i++) {
        const struct wm_make *mk = &g->stage->check.item[i];
        const struct wm_imap *map = &g->geom.item[mk->geom].map;

        if (mk->geom == WM_GEOM_IDENTITY)
            continue;
        for (uint32_t b = 0; b < map->box.n; b++) {
            const struct wm_box *box = &map->box.item[b];
            enum wm_elem_kind kind = g->elem.item[box->elem].kind;

            if (kind == WM_EL_EQUAL || kind == WM_EL_IS_FILL)
                changed |= assign(d, mk, box, map->dim.item + box->dim);
        }
    }
    return changed;
}

/* ---- files ---- */

/* Everything of a file but its head: tensors and what is between and behind them, then the sums. */
static void
fill_file(const struct data *d, char *p, const struct wm_wfile *w, const struct wm_wtensor *t, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (t[i].nbytes)
            memcpy(p + t[i].off, d->tensor[t[i].user], t[i].nbytes);
    for (uint32_t i = 0; i < w->piece.n; i++)
        memcpy(p + w->piece.item[i].off, w->piece.item[i].bytes, w->piece.item[i].len);
    if (w->tail.n)
        memcpy(p + w->size - w->tail.n, w->tail.p, w->tail.n);
    for (uint32_t i = 0; i < w->sum.n; i++) {
        const struct wm_wsum *s = &w->sum.item[i];
        uint32_t crc = wm_crc32(0, p + s->lo, s->hi - s->lo);

        for (uint32_t k = 0; k < 4 * s->nfield; k++)
            p[s->field[k / 4] + k % 4] = (char)(unsigned char)(crc >> 8 * (k % 4) & 0xff);
    }
}

/* The container is that of the file's name, if that says one; tensors stand under the side's root. */
static enum wm_status
make_file(struct data *d, uint32_t file, struct wm_mini_file *out, struct wm_err *err)
{
    const struct wm_manifest *m = d->m->manifest;
    WM_VEC(struct wm_wtensor) t = {0};
    const struct wm_format *fmt = wm_format_by_suffix(m->file.item[file].name, NULL);
    struct wm_wopts opts;
    struct wm_wfile w;
    enum wm_status st;
    char *p;

    for (uint32_t i = 0; i < m->tensor.n; i++)
        if (m->tensor.item[i].file == file)
            *WM_PUSH(d->cc->a, &t) = (struct wm_wtensor){.name = m->tensor.item[i].name,
                                                         .dtype = m->tensor.item[i].dtype,
                                                         .rank = m->tensor.item[i].rank,
                                                         .shape = m->tensor.item[i].shape,
                                                         .nbytes = m->tensor.item[i].nbytes,
                                                         .user = i,
                                                         .same = WM_NONE};
    if (!fmt || !fmt->layout)
        fmt = wm_formats[WM_FMT_safetensors];
    opts = (struct wm_wopts){.name = m->file.item[file].name, .root = d->m->in.root};
    if ((st = fmt->layout(d->cc->a, t.item, t.n, &opts, &w, err)) != WM_OK)
        return st;
    p = wm_arena_alloc(d->cc->a, w.size);
    memcpy(p, w.head.p, w.head.n);
    fill_file(d, p, &w, t.item, t.n);
    *out = (struct wm_mini_file){m->file.item[file].name, {p, w.size}};
    return WM_OK;
}

enum wm_status
wm_mini_files(struct wm_cc *cc, const struct wm_mini *m, uint64_t seed, struct wm_mini_file **out,
              uint32_t *n, struct wm_err *err)
{
    struct data d = {.cc = cc, .m = m};
    uint64_t number = seed;
    enum wm_status st = WM_OK;

    d.tensor = WM_NEW_N(cc->a, unsigned char *, m->manifest->tensor.n);
    for (uint32_t i = 0; i < m->manifest->tensor.n && st == WM_OK; i++) {
        d.tensor[i] = wm_arena_alloc(cc->a, m->manifest->tensor.item[i].nbytes);
        st = fill_tensor(&d, i, &number, err);
    }
    for (int round = 0; round < 8 && st == WM_OK && assign_all(&d); round++)
        ;
    *n = m->manifest->file.n;
    *out = WM_NEW_N(cc->a, struct wm_mini_file, *n);
    for (uint32_t i = 0; i < *n && st == WM_OK; i++)
        st = make_file(&d, i, &(*out)[i], err);
    return st;
}
