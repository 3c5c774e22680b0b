/* api/rank_print.c -- what is known of a directory of rank files, as text and as JSON (see ranks.h). */
#include <inttypes.h>

#include "api/out.h"
#include "api/ranks.h"
#include "api/table.h"

enum { MOST_SIZES = 8, MOST_GROUPS = 8 };

struct lines {
    const struct wm_ranks *r;
    const struct wm_manifest *m;
    const struct wm_rank_tensors *t;
    struct wm_str *text; /* [t->n] what is said of it */
};

static uint32_t
from_of(const struct wm_ranks *r, const struct wm_rtensor *t)
{
    uint32_t k = 0;

    while (t->id[k] == WM_NONE)
        k++;
    return k / r->count[WM_AX_TP] * r->count[WM_AX_TP];
}

static const struct wm_mtensor *
tensor(const struct lines *l, const struct wm_rtensor *t, uint32_t k)
{
    return &l->m->tensor.item[t->id[k]];
}

/* The ranks of the class that rank k begins: "0 2"; false: it does not begin one of several. */
static bool
put_class(const struct lines *l, const struct wm_rtensor *t, uint32_t from, uint32_t k, struct wm_buf *b)
{
    uint32_t tp = l->r->count[WM_AX_TP], n = 0;

    for (uint32_t q = 0; q < tp; q++) {
        if (t->cls[from + q] != t->cls[from + k])
            continue;
        if (q < k)
            return false;
        n++;
    }
    if (n < 2)
        return false;
    for (uint32_t q = k, shown = 0; q < tp; q++)
        if (t->cls[from + q] == t->cls[from + k]) {
            if (shown++ == MOST_SIZES) {
                wm_buf_putz(b, " ..");
                break;
            }
            wm_buf_printf(b, "%s%" PRIu32, shown > 1 ? " " : "", q + l->r->base);
        }
    return true;
}

/* ", ranks 0 2 and 1 3 hold the same" */
static void
put_equal(const struct lines *l, const struct wm_rtensor *t, uint32_t from, struct wm_buf *b)
{
    uint32_t shown = 0;
    struct wm_buf one;

    wm_buf_init(&one, b->a);
    for (uint32_t k = 0; k < l->r->count[WM_AX_TP]; k++) {
        one.n = 0;
        if (!put_class(l, t, from, k, &one))
            continue;
        if (shown++ == MOST_GROUPS) {
            wm_buf_putz(b, " ..");
            break;
        }
        wm_buf_putz(b, shown == 1 ? "; equal: ranks " : ", ");
        wm_buf_puts(b, wm_buf_str(&one));
    }
}

/* "4 x (gate_proj 44 + up_proj 44)", or "3 + 3 + 3 + 1". */
static void
put_sizes(const struct lines *l, const struct wm_rtensor *t, uint32_t from, struct wm_buf *b)
{
    uint32_t tp = l->r->count[WM_AX_TP];

    if (!t->even) {
        for (uint32_t k = 0; k < tp && k < MOST_SIZES; k++)
            wm_buf_printf(b, "%s%" PRId64, k ? " + " : "", tensor(l, t, from + k)->shape[t->dim]);
        wm_buf_putz(b, tp > MOST_SIZES ? " + .." : "");
        return;
    }
    wm_buf_printf(b, "%" PRIu32 " x ", tp);
    if (t->said.npart > 1) {
        for (uint32_t k = 0; k < t->said.npart; k++) {
            wm_buf_putz(b, k ? " + " : "(");
            wm_buf_safe(b, t->said.part[k], 0);
            wm_buf_printf(b, " %" PRId64, t->said.part_size[k]);
        }
        wm_buf_putc(b, ')');
    } else {
        wm_buf_printf(b, "%" PRId64, tensor(l, t, from)->shape[t->dim]);
        if (t->said.stride > 1)
            wm_buf_printf(b, " in %" PRIu32 " parts", t->said.stride);
    }
}

static void
put_cut(const struct lines *l, const struct wm_rtensor *t, uint32_t from, struct wm_buf *b)
{
    if (t->dim < 0) {
        wm_buf_putz(b, tensor(l, t, from)->rank ? "cut; the files don't tell the dimension" : "each rank has its own");
    } else {
        wm_buf_printf(b, "cut in dim %" PRId32 ": ", t->dim);
        put_sizes(l, t, from, b);
        wm_buf_printf(b, " of %" PRId64, t->whole);
        if (t->said.copies > 1)
            wm_buf_printf(b, ", %" PRIu32 " copies%s", t->said.copies, t->agree ? "" : " that differ");
        if (!t->even)
            wm_buf_putz(b, ", uneven");
    }
    put_equal(l, t, from, b);
}

static void
put_lacking(const struct lines *l, const struct wm_rtensor *t, struct wm_buf *b)
{
    uint32_t tp = l->r->count[WM_AX_TP], shown = 0;

    for (uint32_t k = 0; k < tp * l->r->count[WM_AX_EP] && shown < MOST_SIZES; k++)
        if (t->id[k] == WM_NONE)
            wm_buf_printf(b, "%s%" PRIu32, shown++ ? " " : "not in ranks ", k % tp + l->r->base);
    if (!shown)
        wm_buf_putz(b, "dtypes or shapes do not fit together");
}

static struct wm_str
say(const struct lines *l, struct wm_arena *a, const struct wm_rtensor *t)
{
    uint32_t from = from_of(l->r, t);
    struct wm_buf b;

    wm_buf_init(&b, a);
    if (t->kind == WM_RK_CUT)
        put_cut(l, t, from, &b);
    else if (t->kind == WM_RK_LACKING)
        put_lacking(l, t, &b);
    else if (t->kind == WM_RK_REPLICA)
        wm_buf_putz(&b, t->agree ? "replicas, equal" : "replicas that differ");
    else
        wm_buf_putz(&b, "whole");
    if (t->kind == WM_RK_REPLICA && !t->agree)
        put_equal(l, t, from, &b);
    if (l->r->count[WM_AX_EP] > 1 && t->kind != WM_RK_LACKING)
        wm_buf_printf(&b, "; %s", t->nid == l->r->count[WM_AX_TP] ? "in one ep rank"
                                  : t->ep_differ                  ? "each ep rank has its own"
                                                                  : "the same in all ep ranks");
    return wm_buf_str(&b);
}

/* ---- text ---- */

static struct wm_str
more(void *user, const uint32_t *member, uint32_t n)
{
    const struct lines *l = user;

    (void)n;
    return l->text[member[0]];
}

static uint64_t
bytes_of(const struct lines *l, const struct wm_rtensor *t)
{
    uint64_t sum = 0;

    for (uint32_t k = 0; k < l->r->count[WM_AX_TP] * l->r->count[WM_AX_EP]; k++)
        sum += t->id[k] == WM_NONE ? 0 : tensor(l, t, k)->nbytes; /* of all tensors they don't overflow */
    return sum;
}

static void
stage_lines(const struct lines *l, struct wm_out *o)
{
    for (uint32_t pp = 0, i = 0; l->r->count[WM_AX_PP] > 1 && pp < l->r->count[WM_AX_PP]; pp++) {
        uint64_t bytes = 0;
        uint32_t n = 0;

        for (; i < l->t->n && l->t->item[i].pp == pp; i++, n++)
            bytes += bytes_of(l, &l->t->item[i]);
        wm_buf_printf(&o->b, "  pp %" PRIu32 ": ", pp);
        wm_out_count(&o->b, n, "tensor");
        wm_buf_putz(&o->b, ", ");
        wm_out_size(&o->b, bytes);
        wm_buf_putc(&o->b, '\n');
    }
}

static void
init_lines(struct lines *l, struct wm_arena *a, const struct wmap_checkpoint *c, const struct wm_rank_tensors *t)
{
    *l = (struct lines){c->ranks, c->m, t, WM_NEW_N(a, struct wm_str, t->n)};
    for (uint32_t i = 0; i < t->n; i++)
        l->text[i] = say(l, a, &t->item[i]);
}

static struct wm_listed
tensor_at(void *user, uint32_t k)
{
    const struct lines *l = user;
    const struct wm_rtensor *t = &l->t->item[k];
    const struct wm_mtensor *x = wm_rtensor_first(t, l->r, l->m);

    return (struct wm_listed){x->name, x->dtype, x->shape, x->rank, bytes_of(l, t), wm_hash(l->text[k].p, l->text[k].n, 1)};
}

void
wm_ranks_text(const struct wmap_checkpoint *c, struct wm_arena *a, const struct wm_rank_tensors *t, struct wm_out *o)
{
    const struct wm_ranks *r = c->ranks;
    struct lines l;

    init_lines(&l, a, c, t);
    wm_buf_putz(&o->b, "  ranks:");
    for (int k = 0; k < WM_AX_PART; k++)
        if (r->has & 1u << k && k != WM_AX_DP)
            wm_buf_printf(&o->b, " %s %" PRIu32 ",", wm_rank_axis_name[k], r->count[k]);
    wm_buf_printf(&o->b, " %s", r->layout);
    if (r->meta) {
        wm_buf_putz(&o->b, ", by ");
        wm_buf_safe(&o->b, wm_str_c(strrchr(r->meta[0].path.p, '/') + 1), 0);
    }
    wm_buf_putc(&o->b, '\n');
    stage_lines(&l, o);
    wm_list_tensors(a, tensor_at, t->n, more, &l, o);
}

/* ---- JSON ---- */

static void
files_json(const struct wm_ranks *r, struct wm_out *o)
{
    wm_js_array(o, "files");
    for (uint32_t i = 0; i < r->nfile; i++) {
        wm_js_object(o, NULL);
        wm_js_str(o, "name", r->file[i].name);
        for (int k = 0; k < WM_AX_N; k++)
            if (r->has & 1u << k)
                wm_js_uint(o, wm_rank_axis_name[k], r->file[i].at[k]);
        wm_js_close(o);
    }
    wm_js_close(o);
}

static void
cut_json(const struct lines *l, const struct wm_rtensor *t, uint32_t from, struct wm_out *o)
{
    if (t->dim < 0)
        return;
    wm_js_int(o, "dimension", t->dim);
    wm_js_int(o, "length", t->whole);
    wm_js_bool(o, "even", t->even);
    wm_js_array(o, "lengths");
    for (uint32_t k = 0; k < l->r->count[WM_AX_TP]; k++)
        wm_js_int(o, NULL, tensor(l, t, from + k)->shape[t->dim]);
    wm_js_close(o);
    if (t->said.npart > 1) {
        wm_js_array(o, "parts");
        for (uint32_t k = 0; k < t->said.npart; k++) {
            wm_js_object(o, NULL);
            wm_js_str(o, "name", t->said.part[k]);
            wm_js_int(o, "length", t->said.part_size[k]);
            wm_js_close(o);
        }
        wm_js_close(o);
    }
    if (t->by_metadata) {
        wm_js_uint(o, "stride", t->said.stride);
        wm_js_uint(o, "copies", t->said.copies);
    }
}

static void
tensor_json(const struct lines *l, const struct wm_rtensor *t, struct wm_out *o)
{
    static const char *const kinds[] = {"whole", "cut", "replica", "lacking"};
    uint32_t from = from_of(l->r, t);
    const struct wm_mtensor *x = wm_rtensor_first(t, l->r, l->m);

    wm_js_object(o, NULL);
    wm_js_str(o, "name", t->name);
    if (l->r->has & 1u << WM_AX_PP)
        wm_js_uint(o, "pp", t->pp);
    wm_js_str(o, "dtype", wm_str_c(wm_dtype_info[x->dtype].name));
    wm_js_shape(o, "shape", x->shape, x->rank);
    wm_js_str(o, "kind", wm_str_c(kinds[t->kind]));
    wm_js_str(o, "by", wm_str_c(t->by_metadata ? "metadata" : "files"));
    wm_js_bool(o, "agree", t->agree);
    if (t->kind == WM_RK_CUT)
        cut_json(l, t, from, o);
    if (l->r->count[WM_AX_EP] > 1)
        wm_js_bool(o, "ep_equal", !t->ep_differ);
    if (t->kind != WM_RK_LACKING) { /* the first rank that holds the same as each */
        wm_js_array(o, "equal_to");
        for (uint32_t k = 0; k < l->r->count[WM_AX_TP]; k++)
            wm_js_uint(o, NULL, t->cls[from + k] - from + l->r->base);
        wm_js_close(o);
    }
    wm_js_close(o);
}

void
wm_ranks_json(const struct wmap_checkpoint *c, struct wm_arena *a, const struct wm_rank_tensors *t, struct wm_out *o)
{
    struct lines l = {c->ranks, c->m, t, NULL};

    (void)a;
    wm_js_object(o, "ranks");
    wm_js_str(o, "layout", wm_str_c(c->ranks->layout));
    wm_js_bool(o, "metadata", c->ranks->meta != NULL);
    for (int k = 0; k < WM_AX_PART; k++)
        if (c->ranks->has & 1u << k)
            wm_js_uint(o, wm_rank_axis_name[k], k == WM_AX_DP ? 1 : c->ranks->count[k]);
    files_json(c->ranks, o);
    wm_js_array(o, "tensors");
    for (uint32_t i = 0; i < t->n; i++)
        tensor_json(&l, &t->item[i], o);
    wm_js_close(o);
    wm_js_close(o);
}
