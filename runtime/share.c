/* runtime/share.c -- see share.h.
 *
 * In: a verified plan.  Out: two places in its output.  Place k of n is found without place k - 1, and the same by
 * everyone who asks. */
#include "runtime/share.h"

#include "runtime/codec.h"

enum { STEP = 64 << 10 };

/* Where the tensors of a file begin and end. */
static void
data_range(const struct wm_plan *p, const struct wm_plan_outfile *f, uint64_t *lo, uint64_t *hi)
{
    const struct wm_plan_out *out = wm_plan_section(p, WM_PS_OUT, NULL);

    *lo = *hi = f->head.len;
    if (f->ntensor) {
        *lo = out[f->first].off;
        *hi = out[f->first + f->ntensor - 1].off + out[f->first + f->ntensor - 1].nbytes;
    }
}

/* Down to a whole unit of the tensor in which `off` is. */
static uint64_t
to_unit(const struct wm_plan *p, const struct wm_plan_outfile *f, uint64_t off)
{
    const struct wm_plan_out *out = wm_plan_section(p, WM_PS_OUT, NULL);
    const struct wm_plan_geom *geom = wm_plan_section(p, WM_PS_GEOM, NULL);
    uint64_t a = f->first, b = a + f->ntensor, unit;
    const struct wm_codec_info *c;

    while (b - a > 1) { /* the last that begins at or before it */
        uint64_t mid = a + (b - a) / 2;

        if (out[mid].off <= off)
            a = mid;
        else
            b = mid;
    }
    c = &wm_codec_info[out[a].codec];
    unit = geom[out[a].geom].unit / c->plain * c->raw;
    return off - (off - out[a].off) % unit;
}

/* all * k / n without overflow; k <= n, n below 2^32 */
static uint64_t
fraction(uint64_t all, uint64_t k, uint64_t n)
{
    return all / n * k + all % n * k / n;
}

static struct wm_cut
cut(const struct wm_plan *p, uint64_t all, uint64_t k, uint64_t n)
{
    uint64_t nfile, at = fraction(all, k, n), lo, hi;
    const struct wm_plan_outfile *f = wm_plan_section(p, WM_PS_OUTFILE, &nfile);

    if (k == 0)
        return (struct wm_cut){0, 0};
    for (uint64_t i = 0; i < nfile && k < n; i++) {
        data_range(p, &f[i], &lo, &hi);
        if (at < hi - lo) {
            uint64_t off = (lo + at) / STEP * STEP;

            return (struct wm_cut){i, off > lo ? to_unit(p, &f[i], off) : lo};
        }
        at -= hi - lo;
    }
    return (struct wm_cut){nfile, 0};
}

struct wm_share
wm_share_of(const struct wm_plan *p, uint32_t i, uint32_t n)
{
    uint64_t nfile, nout, nsum, all = 0, checks = 0, sums = 0;
    const struct wm_plan_outfile *f = wm_plan_section(p, WM_PS_OUTFILE, &nfile);
    const struct wm_plan_out *out = wm_plan_section(p, WM_PS_OUT, &nout);
    const struct wm_plan_insum *sum = wm_plan_section(p, WM_PS_INSUM, &nsum);
    struct wm_share s;

    for (uint64_t k = 0; k < nfile; k++) {
        uint64_t lo, hi;

        data_range(p, &f[k], &lo, &hi);
        all += hi - lo;
    }
    for (uint64_t k = 0; k < nout; k++)
        checks += out[k].file == WM_NONE ? out[k].nbytes : 0;
    for (uint64_t k = 0; k < nsum; k++)
        sums += sum[k].hi - sum[k].lo;
    s = (struct wm_share){.from = cut(p, all, i - 1, n),
                          .to = cut(p, all, i, n),
                          .check_lo = fraction(checks, i - 1, n),
                          .check_hi = fraction(checks, i, n),
                          .sum_lo = fraction(sums, i - 1, n),
                          .sum_hi = fraction(sums, i, n)};
    for (uint64_t k = 0; k < nfile; k++) {
        uint64_t lo, hi;

        data_range(p, &f[k], &lo, &hi);
        wm_share_clip(&s, k, &lo, &hi);
        s.bytes += hi - lo;
    }
    return s;
}

static void
clip(uint64_t from, uint64_t to, uint64_t *lo, uint64_t *hi)
{
    *lo = *lo > from ? *lo : from;
    *hi = *hi < to ? *hi : to;
    *hi = *hi > *lo ? *hi : *lo;
}

void
wm_share_clip(const struct wm_share *s, uint64_t file, uint64_t *lo, uint64_t *hi)
{
    uint64_t from = file < s->from.file ? UINT64_MAX : file > s->from.file ? 0 : s->from.off;
    uint64_t to = file < s->to.file ? UINT64_MAX : file > s->to.file ? 0 : s->to.off;

    clip(from, to, lo, hi);
}

void
wm_share_clip_check(const struct wm_share *s, uint64_t before, uint64_t *lo, uint64_t *hi)
{
    uint64_t from = s->check_lo > before ? s->check_lo - before : 0;
    uint64_t to = s->check_hi > before ? s->check_hi - before : 0;

    clip(from, to, lo, hi);
}
