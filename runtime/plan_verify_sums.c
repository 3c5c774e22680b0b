/* runtime/plan_verify_sums.c -- are the further names and the check sums of a plan what they should be?
 *
 * In: a plan whose files, inputs and outputs are verified.  Afterwards a shared tensor has as many bytes as the output
 * that it names; ranges of sums are inside of their files, ordered and disjoint; and what is patched in is neither
 * summed nor part of a tensor, and no field touches another. */
#include <stdlib.h>

#include "base/checked.h"
#include "runtime/plan_verify.h"

#define BAD(...) wm_fail(err, WM_EFORMAT, NULL, "broken plan: " __VA_ARGS__)

enum { FIELD = 4 };

static bool
is_text(const struct wm_plan *p, struct wm_plan_text t)
{
    return wm_ck_range(t.off, t.len, p->head->section[WM_PS_STRINGS].count);
}

enum wm_status
wm_plan_verify_shared(const struct wm_plan *p, struct wm_err *err)
{
    uint64_t n, nout, nshape;
    const struct wm_plan_shared *shared = wm_plan_section(p, WM_PS_SHARED, &n);
    const struct wm_plan_out *out = wm_plan_section(p, WM_PS_OUT, &nout);
    const struct wm_plan_geom *geom = wm_plan_section(p, WM_PS_GEOM, NULL);
    const int64_t *shape = wm_plan_section(p, WM_PS_SHAPE, &nshape);

    for (uint64_t i = 0; i < n; i++) {
        const struct wm_plan_shared *s = &shared[i];
        const struct wm_plan_out *o;
        int64_t numel;
        uint64_t nbytes;

        if (!is_text(p, s->name) || !is_text(p, s->where) || s->name.len == 0 || s->of >= nout ||
            s->rank > WM_PLAN_RANK || !wm_ck_range(s->shape, s->rank, nshape))
            return BAD("shared tensor %llu is out of range", (unsigned long long)i);
        o = &out[s->of];
        if (o->file == WM_NONE || o->name.len == 0 || !wm_ck_numel(shape + s->shape, s->rank, &numel) ||
            !wm_dtype_nbytes((enum wm_dtype)o->dtype, numel, &nbytes) ||
            nbytes != (uint64_t)geom[o->geom].nunit * geom[o->geom].unit)
            return BAD("'%.*s' is not of the size of what it shares", WM_STR_ARG(wm_plan_str(p, s->name)));
    }
    return WM_OK;
}

/* ---- sums ---- */

struct field {
    uint32_t file;
    uint64_t off;
};

static int
by_place(const void *pa, const void *pb)
{
    const struct field *a = pa, *b = pb;

    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    return a->off < b->off ? -1 : a->off > b->off;
}

/* Is one of [0, n) ranges over some byte of a field?  The first that ends behind its begin. */
static bool
is_summed(const struct wm_plan_sum *sum, uint64_t n, const struct field *f)
{
    uint64_t a = 0, b = n;

    while (a < b) {
        uint64_t mid = a + (b - a) / 2;

        if (sum[mid].file < f->file || (sum[mid].file == f->file && sum[mid].hi <= f->off))
            a = mid + 1;
        else
            b = mid;
    }
    for (; a < n && sum[a].file == f->file && sum[a].lo < f->off + FIELD; a++)
        if (sum[a].lo < sum[a].hi)
            return true;
    return false;
}

/* Is one of a file's tensors over some byte of a field? */
static bool
is_in_tensor(const struct wm_plan_outfile *file, const struct wm_plan_out *out, const struct field *f)
{
    uint64_t a = file->first, end = a + file->ntensor, b = end;

    while (a < b) {
        uint64_t mid = a + (b - a) / 2;

        if (out[mid].off + out[mid].nbytes <= f->off)
            a = mid + 1;
        else
            b = mid;
    }
    for (; a < end && out[a].off < f->off + FIELD; a++)
        if (out[a].name.len && out[a].nbytes)
            return true;
    return false;
}

static enum wm_status
verify_fields(const struct wm_plan *p, struct field *f, uint64_t n, struct wm_err *err)
{
    uint64_t nsum;
    const struct wm_plan_sum *sum = wm_plan_section(p, WM_PS_SUM, &nsum);
    const struct wm_plan_out *out = wm_plan_section(p, WM_PS_OUT, NULL);
    const struct wm_plan_outfile *file = wm_plan_section(p, WM_PS_OUTFILE, NULL);

    if (n > 1)
        qsort(f, n, sizeof(*f), by_place);
    for (uint64_t i = 0; i < n; i++)
        if (is_summed(sum, nsum, &f[i]) || is_in_tensor(&file[f[i].file], out, &f[i]) ||
            (i > 0 && f[i - 1].file == f[i].file && f[i].off - f[i - 1].off < FIELD))
            return BAD("a check sum at %llu is where other bytes are", (unsigned long long)f[i].off);
    return WM_OK;
}

static enum wm_status
verify_insums(const struct wm_plan *p, struct wm_err *err)
{
    uint64_t n, nfile;
    const struct wm_plan_insum *s = wm_plan_section(p, WM_PS_INSUM, &n);
    const struct wm_plan_infile *file = wm_plan_section(p, WM_PS_INFILE, &nfile);

    for (uint64_t i = 0; i < n; i++)
        if (s[i].file >= nfile || file[s[i].file].codec != WM_CODEC_RAW || s[i].lo > s[i].hi ||
            s[i].hi > file[s[i].file].size || !is_text(p, s[i].name))
            return BAD("check sum %llu of an input is out of range", (unsigned long long)i);
    return WM_OK;
}

enum wm_status
wm_plan_verify_sums(const struct wm_plan *p, struct wm_arena *scratch, struct wm_err *err)
{
    uint64_t n, nfile, nfield = 0;
    const struct wm_plan_sum *s = wm_plan_section(p, WM_PS_SUM, &n);
    const struct wm_plan_outfile *file = wm_plan_section(p, WM_PS_OUTFILE, &nfile);
    struct field *field = WM_NEW_N(scratch, struct field, 2 * n);
    enum wm_status st;

    for (uint64_t i = 0; i < n; i++) {
        if (s[i].file >= nfile || s[i].nfield > 2 || s[i].lo > s[i].hi || s[i].hi > file[s[i].file].size ||
            (i > 0 && (s[i].file < s[i - 1].file || (s[i].file == s[i - 1].file && s[i].lo < s[i - 1].hi))))
            return BAD("check sum %llu is out of range or order", (unsigned long long)i);
        for (uint32_t k = 0; k < s[i].nfield; k++) {
            if (!wm_ck_range(s[i].field[k], FIELD, file[s[i].file].size))
                return BAD("the place of check sum %llu is out of range", (unsigned long long)i);
            field[nfield++] = (struct field){s[i].file, s[i].field[k]};
        }
    }
    st = verify_fields(p, field, nfield, err);
    return st == WM_OK ? verify_insums(p, err) : st;
}
