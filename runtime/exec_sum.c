/* runtime/exec_sum.c -- do the bytes of the inputs have the check sums that their containers state?
 *
 * In: ranges of files, in parts of any size, from any thread.  Out: what each part contributes; and the verdict. */
#include <inttypes.h>

#include "runtime/exec_priv.h"

enum { PART = 256 << 10 }; /* at a time: it is summed while it is in the cache */

enum wm_status
wm_insum_part(struct wm_worker *w, const struct wm_plan_insum *s, uint64_t lo, uint64_t hi,
              uint32_t *part)
{
    enum wm_status st = WM_OK;

    *part = 0;
    if (w->tally) {
        w->tally->n[WM_T_SUMMED] += hi - lo;
        w->tally->n[WM_T_MEMORY] += (hi - lo) * WM_COST_SUM;
    }
    wm_slab_end(w); /* the scratch memory is taken */
    while (lo < hi && st == WM_OK) {
        uint64_t n = hi - lo < PART ? hi - lo : PART;
        struct iovec iov;

        n = n < w->scratch_n ? n : w->scratch_n;
        iov = (struct iovec){w->scratch, n};
        if ((st = wm_read_raw(w, s->file, lo, &iov, 1)) == WM_OK && !w->tally)
            *part ^= wm_crc32_part(w->scratch, n, s->hi - lo - n);
        lo += n;
    }
    return st;
}

enum wm_status
wm_insum_check(const struct wm_exec *x, const struct wm_plan_insum *s, uint32_t crc,
               struct wm_err *err)
{
    char path[1024];

    if (crc == s->crc)
        return WM_OK;
    return wm_fail(err, WM_EFORMAT, wm_input_name(x, s->file, path, sizeof(path)),
                   "%.*s: its CRC-32 is %08" PRIx32 ", not %08" PRIx32 " as the file states: it is damaged",
                   WM_STR_ARG(wm_plan_str(&x->plan, s->name)), crc, s->crc);
}
