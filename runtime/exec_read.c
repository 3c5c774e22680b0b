/* runtime/exec_read.c -- reads are queued and issued together.
 *
 * In: ranges of input files with places in memory.  Neighbours in the file become one pread; places
 * that are apart in memory become one preadv; short gaps in the file are read into a dump rather
 * than skipped by another call. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/exec_priv.h"

enum { MAX_LEN = 1 << 30 };

const char *
wm_input_name(const struct wm_exec *x, uint32_t file, char *buf, size_t n)
{
    const struct wm_plan_infile *f = &x->infile[file];
    struct wm_str s = wm_plan_str(&x->plan, f->codec > WM_CODEC_BLOB ? x->infile[f->of].path : f->path);
    size_t len = s.n < n - 1 ? s.n : n - 1;

    memcpy(buf, s.p, len);
    buf[len] = 0;
    return buf;
}

/* A call of a dry run. */
static void
count(struct wm_tally *t, const struct iovec *iov, int n)
{
    t->n[WM_T_READS]++;
    t->n[WM_T_PLACES] += (uint64_t)n;
    for (int i = 0; i < n; i++)
        t->n[WM_T_READ] += iov[i].iov_len;
}

enum wm_status
wm_read_raw(struct wm_worker *w, uint32_t file, uint64_t off, struct iovec *iov, int n)
{
    const struct wm_sys *sys = w->x->sys;
    char path[1024];
    int fd;
    enum wm_status st;

    if (w->tally) {
        count(w->tally, iov, n);
        return WM_OK;
    }
    if ((st = wm_input_fd(w, file, &fd)) != WM_OK)
        return st;
    while (n > 0) {
        ssize_t got = n == 1 ? sys->pread(fd, iov->iov_base, iov->iov_len, (off_t)off)
                             : sys->preadv(fd, iov, n, (off_t)off);

        w->stats.syscalls++;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return wm_fail_sys(w->err, errno, wm_input_name(w->x, file, path, sizeof(path)),
                               "cannot read at %" PRIu64, off);
        if (got == 0)
            return wm_fail(w->err, WM_EIO, wm_input_name(w->x, file, path, sizeof(path)),
                           "the file ends at %" PRIu64 ", where more bytes were expected", off);
        off += (uint64_t)got;
        w->stats.bytes_read += (uint64_t)got;
        while (n > 0 && (size_t)got >= iov->iov_len) {
            got -= (ssize_t)iov->iov_len;
            iov++;
            n--;
        }
        if (n > 0) {
            iov->iov_base = (char *)iov->iov_base + got;
            iov->iov_len -= (size_t)got;
        }
    }
    return WM_OK;
}

static int
by_place(const void *p, const void *q)
{
    const struct wm_read *x = p, *y = q;

    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->off < y->off ? -1 : x->off > y->off;
}

/* How often the queue jumps in the file: each jump costs a call. */
static uint32_t
jumps(const struct wm_reads *r)
{
    uint32_t n = 0;

    for (uint32_t i = 1; i < r->n; i++) {
        const struct wm_read *x = &r->item[i - 1], *y = &r->item[i];

        n += x->file != y->file || y->off < x->off + x->len || y->off - x->off - x->len > WM_GAP;
    }
    return n;
}

static void
iov_add(struct iovec *iov, int *n, char *to, size_t len)
{
    if (*n && (char *)iov[*n - 1].iov_base + iov[*n - 1].iov_len == to) {
        iov[*n - 1].iov_len += len;
        return;
    }
    iov[*n].iov_base = to;
    iov[*n].iov_len = len;
    ++*n;
}

enum wm_status
wm_reads_flush(struct wm_worker *w)
{
    struct wm_reads *r = &w->reads;
    uint32_t i = 0;
    enum wm_status st;

    if (w->tally)
        w->tally->n[WM_T_WORK] += 1 + r->n;
    if (r->n > 8 && jumps(r) > r->n / 8) {
        qsort(r->item, r->n, sizeof(r->item[0]), by_place);
        if (w->tally)
            w->tally->n[WM_T_WORK] += 4 * r->n;
    }
    while (i < r->n) {
        const struct wm_read *first = &r->item[i];
        uint64_t end = first->off + first->len, total = first->len;
        int n = 0;

        iov_add(r->iov, &n, first->to, first->len);
        for (i++; i < r->n && n + 2 <= WM_READS; i++) {
            const struct wm_read *next = &r->item[i];

            if (next->file != first->file || next->off < end || next->off - end > WM_GAP ||
                total > MAX_LEN)
                break;
            if (next->off > end) {
                r->iov[n].iov_base = r->dump;
                r->iov[n++].iov_len = next->off - end;
            }
            iov_add(r->iov, &n, next->to, next->len);
            end = next->off + next->len;
            total += next->len;
        }
        st = w->x->infile[first->file].codec == WM_CODEC_RAW
                 ? wm_read_raw(w, first->file, first->off, r->iov, n)
                 : wm_read_virtual(w, first->file, first->off, r->iov, n);
        if (st != WM_OK) {
            r->n = 0;
            return st;
        }
    }
    r->n = 0;
    return WM_OK;
}

enum wm_status
wm_reads_add(struct wm_worker *w, uint32_t file, uint64_t off, uint64_t n, char *to)
{
    struct wm_reads *r = &w->reads;
    enum wm_status st;

    if (w->there && w->x->infile[file].flags & WM_INFILE_STREAM) {
        memcpy(to, w->there(w->there_user, file, off), n);
        return WM_OK;
    }
    while (n > 0) {
        struct wm_read *last = r->n ? &r->item[r->n - 1] : NULL;
        uint32_t len = n < MAX_LEN ? (uint32_t)n : MAX_LEN;

        if (last && last->file == file && last->off + last->len == off &&
            last->to + last->len == to && last->len <= MAX_LEN - len) {
            last->len += len;
        } else {
            if (r->n == WM_READS && (st = wm_reads_flush(w)) != WM_OK)
                return st;
            r->item[r->n++] = (struct wm_read){off, file, len, to};
        }
        off += len;
        to += len;
        n -= len;
    }
    return WM_OK;
}
