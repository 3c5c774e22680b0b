/* runtime/sums.c -- see sums.h. */
#include "runtime/sums.h"

#include <zlib.h>

#include "base/crc32.h"

uint32_t
wm_crc32_part(const void *p, uint64_t n, uint64_t behind)
{
    return (uint32_t)crc32_combine(wm_crc32(0, p, n), 0, (z_off_t)behind);
}

enum wm_status
wm_sums_open(struct wm_sums *s, const struct wm_plan *plan, const struct wm_sys *sys, struct wm_err *err)
{
    *s = (struct wm_sums){.plan = plan, .sys = sys};
    s->sum = wm_plan_section(plan, WM_PS_SUM, &s->n);
    s->crc = sys->malloc((s->n + 1) * sizeof(s->crc[0]));
    s->got = sys->malloc((s->n + 1) * sizeof(s->got[0]));
    if (!s->crc || !s->got) {
        wm_sums_close(s);
        return wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    }
    for (uint64_t i = 0; i < s->n; i++) {
        atomic_init(&s->crc[i], 0);
        atomic_init(&s->got[i], 0);
    }
    return WM_OK;
}

/* The first sum of the file, or of one behind it, that ends behind `off`. */
static uint64_t
first_behind(const struct wm_sums *s, uint32_t file, uint64_t off)
{
    uint64_t a = 0, b = s->n;

    while (a < b) {
        uint64_t mid = a + (b - a) / 2;

        if (s->sum[mid].file < file || (s->sum[mid].file == file && s->sum[mid].hi <= off))
            a = mid + 1;
        else
            b = mid;
    }
    return a;
}

void
wm_sums_add(struct wm_sums *s, uint32_t file, uint64_t off, const void *p, uint64_t n)
{
    uint64_t end = off + n;

    for (uint64_t i = first_behind(s, file, off); i < s->n; i++) {
        const struct wm_plan_sum *x = &s->sum[i];
        uint64_t lo = x->lo > off ? x->lo : off, hi = x->hi < end ? x->hi : end;

        if (x->file != file || x->lo >= end)
            break;
        if (lo >= hi)
            continue;
        atomic_fetch_xor_explicit(&s->crc[i], wm_crc32_part((const char *)p + (lo - off), hi - lo, x->hi - hi),
                                  memory_order_relaxed);
        atomic_fetch_add_explicit(&s->got[i], hi - lo, memory_order_relaxed);
    }
}

void
wm_sums_take(struct wm_sums *s, uint32_t *to)
{
    uint64_t n;
    const struct wm_plan_outfile *f = wm_plan_section(s->plan, WM_PS_OUTFILE, &n);

    for (uint64_t i = 0; i < n && s->n; i++) {
        wm_sums_add(s, (uint32_t)i, 0, wm_plan_blob(s->plan, f[i].head), f[i].head.len);
        wm_sums_add(s, (uint32_t)i, f[i].size - f[i].tail.len, wm_plan_blob(s->plan, f[i].tail), f[i].tail.len);
    }
    for (uint64_t i = 0; i < s->n; i++)
        to[i] = atomic_load(&s->crc[i]);
}

bool
wm_sums_whole(const struct wm_sums *s, uint64_t i)
{
    return atomic_load(&s->got[i]) == s->sum[i].hi - s->sum[i].lo;
}

void
wm_sums_close(struct wm_sums *s)
{
    if (s->crc)
        s->sys->free(s->crc);
    if (s->got)
        s->sys->free(s->got);
    s->crc = NULL;
    s->got = NULL;
}
