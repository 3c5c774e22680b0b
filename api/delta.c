/* api/delta.c -- see delta.h. */
#include "api/delta.h"

#include <inttypes.h>

#include "api/element.h"
#include "api/fold.h"
#include "base/map.h"

static bool
same_shape(const struct wm_listed *x, const struct wm_listed *y)
{
    return x->rank == y->rank &&
           (x->rank == 0 || memcmp(x->shape, y->shape, x->rank * sizeof(*x->shape)) == 0);
}

static bool
is_tolerant(const struct wm_delta *d)
{
    return d->atol != 0 || d->rtol != 0;
}

static bool
may_compare(const struct wm_delta *d, const struct wm_listed *x, const struct wm_listed *y)
{
    if (!same_shape(x, y))
        return false;
    return x->dtype == y->dtype ||
           (is_tolerant(d) && wm_element_is_real(x->dtype) && wm_element_is_real(y->dtype));
}

static void
match(struct wm_delta *d)
{
    struct wm_map by_name;
    bool *seen = WM_NEW_N(d->a, bool, d->sb->n);

    wm_map_init(&by_name, d->a, d->sb->n);
    for (uint32_t k = 0; k < d->sb->n; k++)
        wm_map_put(&by_name, d->sb->tensor[k].name, k);
    for (uint32_t i = 0; i < d->sa->n; i++) {
        const struct wm_listed *x = &d->sa->tensor[i], *y;
        uint32_t j = wm_map_get(&by_name, x->name);

        if (j == WM_NONE) {
            *WM_PUSH(d->a, &d->missing) = i;
            continue;
        }
        seen[j] = true;
        y = &d->sb->tensor[j];
        if (!may_compare(d, x, y)) {
            *WM_PUSH(d->a, &d->mismatch.a) = i;
            *WM_PUSH(d->a, &d->mismatch.b) = j;
            continue;
        }
        *WM_PUSH(d->a, &d->pair) = (struct wm_pair){.a = d->sa->id[i],
                                                    .b = d->sb->id[j],
                                                    .da = x->dtype,
                                                    .db = y->dtype,
                                                    .nunit = x->nbytes / wm_element_unit(x->dtype)};
        *WM_PUSH(d->a, &d->pair_a) = i;
        *WM_PUSH(d->a, &d->pair_b) = j;
    }
    for (uint32_t k = 0; k < d->sb->n; k++)
        if (!seen[k])
            *WM_PUSH(d->a, &d->unexpected) = k;
}

enum wm_status
wm_delta_run(struct wm_delta *d, const wmap_work *work, struct wm_err *err)
{
    struct wm_compare c = {.ctx = d->ctx,
                           .a = d->a,
                           .ra = d->sa->reader,
                           .rb = d->sb->reader,
                           .atol = d->atol,
                           .rtol = d->rtol,
                           .work = work};
    enum wm_status st;

    match(d);
    c.pair = d->pair.item;
    c.npair = d->pair.n;
    st = wm_compare_run(&c, err);
    d->nbytes = c.nbytes;
    for (uint32_t k = 0; k < d->pair.n; k++)
        d->ndifferent += d->pair.item[k].ndiff != 0;
    return st;
}

bool
wm_delta_is_none(const struct wm_delta *d)
{
    return d->missing.n + d->unexpected.n + d->mismatch.a.n + d->ndifferent + d->nlossy == 0;
}

/* ---- text ---- */

static struct wm_str
times(struct wm_arena *a, uint32_t n)
{
    return n > 1 ? wm_arena_printf(a, "x%" PRIu32, n) : WM_STR("");
}

/* Keys of one side only. */
static void
key_lines(const struct wm_delta *d, struct wm_table *t, const char *word, const struct wm_side *s,
          const uint32_t *id, uint32_t n)
{
    struct wm_fold_item *item = WM_NEW_N(d->a, struct wm_fold_item, n);
    struct wm_fold_line *line;
    uint32_t nline;

    for (uint32_t k = 0; k < n; k++)
        item[k] = (struct wm_fold_item){s->tensor[id[k]].name, 0};
    wm_fold(d->a, item, n, &line, &nline);
    for (uint32_t k = 0; k < nline; k++) {
        wm_table_cell(t, wm_str_c(word));
        wm_table_cell(t, line[k].name);
        wm_table_cell(t, times(d->a, line[k].n));
        wm_table_cell(t, WM_STR(""));
    }
}

static uint64_t
hash_shape(const struct wm_listed *t, uint64_t seed)
{
    return wm_hash(t->shape, t->rank * sizeof(*t->shape), seed * 64 + t->dtype);
}

static struct wm_str
mismatch_text(const struct wm_delta *d, const struct wm_listed *x, const struct wm_listed *y)
{
    struct wm_buf b;

    wm_buf_init(&b, d->a);
    if (!same_shape(x, y)) {
        wm_buf_putz(&b, "shape ");
        wm_out_shape(&b, x->shape, x->rank);
        wm_buf_putz(&b, " != ");
        wm_out_shape(&b, y->shape, y->rank);
    }
    if (x->dtype != y->dtype)
        wm_buf_printf(&b, "%sdtype %s != %s", b.n ? ", " : "", wm_dtype_info[x->dtype].name,
                      wm_dtype_info[y->dtype].name);
    return wm_buf_str(&b);
}

static void
mismatch_lines(const struct wm_delta *d, struct wm_table *t)
{
    uint32_t n = d->mismatch.a.n, nline;
    struct wm_fold_item *item = WM_NEW_N(d->a, struct wm_fold_item, n);
    struct wm_fold_line *line;

    for (uint32_t k = 0; k < n; k++) {
        const struct wm_listed *x = &d->sa->tensor[d->mismatch.a.item[k]];

        item[k] = (struct wm_fold_item){
            x->name, hash_shape(&d->sb->tensor[d->mismatch.b.item[k]], hash_shape(x, 1))};
    }
    wm_fold(d->a, item, n, &line, &nline);
    for (uint32_t k = 0; k < nline; k++) {
        uint32_t i = line[k].member[0];

        wm_table_cell(t, WM_STR("MISMATCH"));
        wm_table_cell(t, line[k].name);
        wm_table_cell(t, times(d->a, line[k].n));
        wm_table_cell(t, mismatch_text(d, &d->sa->tensor[d->mismatch.a.item[i]],
                                       &d->sb->tensor[d->mismatch.b.item[i]]));
    }
}

/* What is known of the first of `n` folded pairs, and of all of them together. */
static struct wm_str
different_text(const struct wm_delta *d, const uint32_t *pair, uint32_t n)
{
    const struct wm_pair *p = &d->pair.item[pair[0]];
    const struct wm_listed *x = &d->sa->tensor[d->pair_a.item[pair[0]]];
    uint64_t ndiff = 0, nunit = 0;
    double worst = 0;
    struct wm_buf b;

    for (uint32_t k = 0; k < n; k++) {
        const struct wm_pair *q = &d->pair.item[pair[k]];

        ndiff += q->ndiff;
        nunit += q->nunit;
        if (!(q->max_abs <= worst))
            worst = q->max_abs;
    }
    wm_buf_init(&b, d->a);
    wm_print_index(&b, x->dtype, x->shape, x->rank, p->first);
    wm_buf_putz(&b, " ");
    wm_element_print(p->da, p->va, &b);
    wm_buf_putz(&b, " != ");
    wm_element_print(p->db, p->vb, &b);
    wm_buf_printf(&b, "; %" PRIu64 " of %" PRIu64 " elements", ndiff, nunit);
    if (wm_element_is_real(p->da))
        wm_buf_printf(&b, "; max |a - b| %.4g", worst);
    return wm_buf_str(&b);
}

static void
different_lines(const struct wm_delta *d, struct wm_table *t)
{
    struct wm_fold_item *item = WM_NEW_N(d->a, struct wm_fold_item, d->ndifferent);
    uint32_t *pair = WM_NEW_N(d->a, uint32_t, d->ndifferent), n = 0, nline;
    struct wm_fold_line *line;

    for (uint32_t k = 0; k < d->pair.n; k++)
        if (d->pair.item[k].ndiff) {
            const struct wm_listed *x = &d->sa->tensor[d->pair_a.item[k]];

            pair[n] = k;
            item[n++] = (struct wm_fold_item){x->name, hash_shape(x, 1)};
        }
    wm_fold(d->a, item, n, &line, &nline);
    for (uint32_t k = 0; k < nline; k++) {
        for (uint32_t j = 0; j < line[k].n; j++)
            line[k].member[j] = pair[line[k].member[j]];
        wm_table_cell(t, WM_STR("DIFFERENT"));
        wm_table_cell(t, line[k].name);
        wm_table_cell(t, times(d->a, line[k].n));
        wm_table_cell(t, different_text(d, line[k].member, line[k].n));
    }
}

void
wm_delta_text(const struct wm_delta *d, struct wm_out *o)
{
    struct wm_table t;

    wm_table_init(&t, d->a, "llll");
    key_lines(d, &t, "MISSING", d->sa, d->missing.item, d->missing.n);
    key_lines(d, &t, "UNEXPECTED", d->sb, d->unexpected.item, d->unexpected.n);
    mismatch_lines(d, &t);
    different_lines(d, &t);
    wm_table_print(&t, "", o);
}

/* ---- JSON ---- */

static void
names_json(struct wm_out *o, const char *key, const struct wm_side *s, const uint32_t *id,
           uint32_t n)
{
    wm_js_array(o, key);
    for (uint32_t k = 0; k < n; k++)
        wm_js_str(o, NULL, s->tensor[id[k]].name);
    wm_js_close(o);
}

static void
mismatches_json(const struct wm_delta *d, struct wm_out *o)
{
    wm_js_array(o, "mismatch");
    for (uint32_t k = 0; k < d->mismatch.a.n; k++) {
        const struct wm_listed *x = &d->sa->tensor[d->mismatch.a.item[k]];
        const struct wm_listed *y = &d->sb->tensor[d->mismatch.b.item[k]];

        wm_js_object(o, NULL);
        wm_js_str(o, "name", x->name);
        wm_js_shape(o, "shape_a", x->shape, x->rank);
        wm_js_shape(o, "shape_b", y->shape, y->rank);
        wm_js_str(o, "dtype_a", wm_str_c(wm_dtype_info[x->dtype].name));
        wm_js_str(o, "dtype_b", wm_str_c(wm_dtype_info[y->dtype].name));
        wm_js_close(o);
    }
    wm_js_close(o);
}

static void
value_json(struct wm_out *o, const char *key, enum wm_dtype t, const unsigned char *p)
{
    struct wm_buf b;

    wm_buf_init(&b, o->b.a);
    wm_element_print(t, p, &b);
    wm_js_str(o, key, wm_buf_str(&b));
}

static void
different_json(const struct wm_delta *d, struct wm_out *o)
{
    wm_js_array(o, "different");
    for (uint32_t k = 0; k < d->pair.n; k++) {
        const struct wm_pair *p = &d->pair.item[k];
        const struct wm_listed *x = &d->sa->tensor[d->pair_a.item[k]];

        if (p->ndiff == 0)
            continue;
        wm_js_object(o, NULL);
        wm_js_str(o, "name", x->name);
        wm_js_value(o, "first");
        wm_print_index(&o->b, x->dtype, x->shape, x->rank, p->first);
        value_json(o, "a", p->da, p->va);
        value_json(o, "b", p->db, p->vb);
        wm_js_uint(o, "elements", p->ndiff);
        if (wm_element_is_real(p->da))
            wm_js_real(o, "max_abs", p->max_abs);
        wm_js_close(o);
    }
    wm_js_close(o);
}

void
wm_delta_json(const struct wm_delta *d, struct wm_out *o)
{
    wm_js_bool(o, "equal", wm_delta_is_none(d));
    names_json(o, "missing", d->sa, d->missing.item, d->missing.n);
    names_json(o, "unexpected", d->sb, d->unexpected.item, d->unexpected.n);
    mismatches_json(d, o);
    different_json(d, o);
    wm_js_object(o, "compared");
    wm_js_uint(o, "ntensor", d->pair.n);
    wm_js_uint(o, "nbytes", d->nbytes);
    wm_js_close(o);
}
