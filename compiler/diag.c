/* compiler/diag.c -- collects diagnostics.
 *
 * In: what a pass found wrong, with its place.  Out: a list, sorted by place and without
 * repetitions once wm_diags_finish() was called.  Texts are copied to the arena of the compilation;
 * nothing is printed here. */
#include "compiler/diag.h"

#include <stdio.h>

static const struct wm_diag_info rows[] = {
#define WM_DIAG(id, number, severity, title) {WM_E_##id, severity, #id, title},
#include "compiler/diag.def"
#undef WM_DIAG
};

void
wm_diags_init(struct wm_diags *ds, struct wm_arena *a, const struct wm_sources *sources)
{
    *ds = (struct wm_diags){.a = a, .sources = sources};
}

const struct wm_diag_info *
wm_diag_info(enum wm_code code)
{
    for (size_t k = 0; k < WM_COUNTOF(rows); k++)
        if (rows[k].code == code)
            return &rows[k];
    return NULL;
}

static struct wm_str
format(struct wm_arena *a, const char *fmt, va_list ap)
{
    struct wm_buf b;

    wm_buf_init(&b, a);
    wm_buf_vprintf(&b, fmt, ap);
    return wm_buf_str(&b);
}

void
wm_diag_add(struct wm_diags *ds, struct wm_diag *d)
{
    *WM_PUSH(ds->a, &ds->list) = d;
    *(d->severity == WM_SEV_ERROR ? &ds->nerror : &ds->nwarning) += 1;
}

static struct wm_diag *
add(struct wm_diags *ds, enum wm_code code, struct wm_span span, struct wm_str where)
{
    const struct wm_diag_info *info = wm_diag_info(code);
    struct wm_diag *d = WM_NEW(ds->a, struct wm_diag);

    d->code = code;
    d->severity = info ? info->severity : WM_SEV_ERROR;
    d->span = span;
    d->where = wm_arena_str(ds->a, where);
    wm_diag_add(ds, d);
    return d;
}

struct wm_diag *
wm_report(struct wm_diags *ds, enum wm_code code, struct wm_span span, const char *fmt, ...)
{
    struct wm_diag *d = add(ds, code, span, WM_STR(""));
    va_list ap;

    va_start(ap, fmt);
    d->message = format(ds->a, fmt, ap);
    va_end(ap);
    return d;
}

struct wm_diag *
wm_report_at(struct wm_diags *ds, enum wm_code code, struct wm_str where, const char *fmt, ...)
{
    struct wm_diag *d = add(ds, code, (struct wm_span){.file = WM_NONE}, where);
    va_list ap;

    va_start(ap, fmt);
    d->message = format(ds->a, fmt, ap);
    va_end(ap);
    return d;
}

void
wm_diag_demote(struct wm_diags *ds, struct wm_diag *d)
{
    if (d->severity != WM_SEV_ERROR)
        return;
    d->severity = WM_SEV_WARNING;
    ds->nerror--;
    ds->nwarning++;
}

void
wm_label(struct wm_diags *ds, struct wm_diag *d, struct wm_span span, const char *fmt, ...)
{
    va_list ap;

    if (d->nlabel == WM_COUNTOF(d->label))
        return;
    d->label[d->nlabel].span = span;
    va_start(ap, fmt);
    d->label[d->nlabel++].text = format(ds->a, fmt, ap);
    va_end(ap);
}

void
wm_note(struct wm_diags *ds, struct wm_diag *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    *WM_PUSH(ds->a, &d->note) = format(ds->a, fmt, ap);
    va_end(ap);
}

/* By place and code; what has no place in a map comes last (WM_NONE is the largest number), in the
 * order of its checkpoint's path. */
static int
order(const struct wm_diag *x, const struct wm_diag *y)
{
    if (x->span.file != y->span.file)
        return x->span.file < y->span.file ? -1 : 1;
    if (x->span.file == WM_NONE) {
        int c = wm_str_cmp(x->where, y->where);

        if (c)
            return c;
    } else if (x->span.off != y->span.off) {
        return x->span.off < y->span.off ? -1 : 1;
    }
    return x->code < y->code ? -1 : x->code > y->code;
}

static bool
same(const struct wm_diag *x, const struct wm_diag *y)
{
    return order(x, y) == 0 && x->span.len == y->span.len && x->severity == y->severity &&
           wm_str_eq(x->message, y->message);
}

/* Stable merge sort, bottom up: what was found first stays first among equals. */
static void
sort(struct wm_diags *ds)
{
    struct wm_diag **from = ds->list.item, **to = WM_NEW_N(ds->a, struct wm_diag *, ds->list.n);
    size_t n = ds->list.n;

    for (size_t width = 1; width < n; width *= 2) {
        struct wm_diag **swap = from;

        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = lo + width < n ? lo + width : n,
                   hi = lo + 2 * width < n ? lo + 2 * width : n;
            size_t i = lo, j = mid;

            for (size_t k = lo; k < hi; k++)
                to[k] =
                    i < mid && (j == hi || order(from[i], from[j]) <= 0) ? from[i++] : from[j++];
        }
        from = to;
        to = swap;
    }
    ds->list.item = from;
    ds->list.cap = (uint32_t)n; /* the buffers may differ in size; what is known is n */
}

void
wm_diags_finish(struct wm_diags *ds)
{
    uint32_t kept = 0;

    if (ds->list.n == 0)
        return;
    sort(ds);
    ds->nerror = ds->nwarning = 0;
    for (uint32_t k = 0; k < ds->list.n; k++) {
        struct wm_diag *d = ds->list.item[k];
        bool again = false;

        /* Equal ones lie in one group of equal places and codes, near each other but not always
         * side by side; the group can be as large as a checkpoint. */
        for (uint32_t j = kept, near = 32; j > 0 && near > 0 && !again; j--, near--)
            again = same(ds->list.item[j - 1], d);
        if (again)
            continue;
        ds->list.item[kept++] = d;
        *(d->severity == WM_SEV_ERROR ? &ds->nerror : &ds->nwarning) += 1;
    }
    ds->list.n = kept;
}
