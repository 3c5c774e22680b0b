/* runtime/reflink.c -- output that shares the blocks of its input, where the file system can (btrfs, xfs, bcachefs).
 *
 * In: a plan, and output files of their full size.  Out: ranges of them that need not be written.  Unlike a copy this
 * takes neither time nor room; what does not fill whole blocks is left to the executor. */
#include "runtime/reflink.h"

#include <errno.h>

#include "runtime/io.h"

void
wm_reflink_find(struct wm_arena *a, const struct wm_plan *p, struct wm_reflink *r)
{
    struct wm_move *m;
    uint64_t n = wm_plan_moves(a, p, &m);

    *r = (struct wm_reflink){.part = m};
    for (uint64_t i = 0; i < n; i++)
        if (wm_move_blocks(&m[i], &m[r->n]))
            r->n++;
}

/* Nothing to report: it is copied then. */
static bool
is_refusal(int e)
{
    return e == EOPNOTSUPP || e == EXDEV || e == EINVAL || e == ENOTTY || e == ENOSYS || e == EPERM || e == ETXTBSY;
}

/* false: the file system can not; *st is set where it failed. */
static bool
share(const struct wm_move *m, const struct wm_sys *sys, int to, int from, const char *path, enum wm_status *st,
      struct wm_err *err)
{
    int rc;

    do
        rc = sys->clone(to, from, (off_t)m->from, (off_t)m->n, (off_t)m->to);
    while (rc != 0 && errno == EINTR);
    if (rc == 0)
        return true;
    if (!is_refusal(errno))
        *st = wm_fail_sys(err, errno, path, "cannot share its blocks with the output");
    return false;
}

enum wm_status
wm_reflink_run(struct wm_reflink *r, const struct wm_sys *sys, const struct wm_plan *p, struct wm_arena *a,
               int (*fd)(void *user, uint32_t outfile), void *user, struct wm_err *err)
{
    const struct wm_plan_infile *in = wm_plan_section(p, WM_PS_INFILE, NULL);
    uint32_t open = WM_NONE;
    const char *path = NULL;
    enum wm_status st = WM_OK;
    struct stat stat;
    int from = -1;
    uint64_t n = 0;

    for (uint64_t i = 0; i < r->n && st == WM_OK; i++) {
        const struct wm_move m = r->part[i];

        if (m.infile != open) {
            if (from >= 0)
                sys->close(from);
            path = wm_arena_cstr(a, wm_plan_str(p, in[m.infile].path));
            open = m.infile;
            if ((st = wm_io_open(sys, path, false, &from, &stat, err)) != WM_OK)
                break;
        }
        if (share(&m, sys, fd(user, m.outfile), from, path, &st, err)) {
            r->part[n++] = m;
            r->bytes += m.n;
        }
    }
    if (from >= 0)
        sys->close(from);
    r->n = n;
    return st;
}

bool
wm_reflink_has(const struct wm_reflink *r, uint32_t outfile, uint64_t lo, uint64_t hi)
{
    uint64_t a = 0, b = r->n;

    while (b - a > 1) { /* the last part that begins at or before lo */
        uint64_t mid = a + (b - a) / 2;

        if (r->part[mid].outfile < outfile || (r->part[mid].outfile == outfile && r->part[mid].to <= lo))
            a = mid;
        else
            b = mid;
    }
    return b > a && r->part[a].outfile == outfile && r->part[a].to <= lo && hi - r->part[a].to <= r->part[a].n;
}
