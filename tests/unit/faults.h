/* tests/unit/faults.h -- a table of system calls of which one fails, or is the last one of the process.
 *
 * In: fault.countdown (0: the next call), and how.  Out: the table faulty(); what happened.  Nothing is synced: it is the
 * process that ends here, not the machine. */
#ifndef WM_TESTS_FAULTS_H
#define WM_TESTS_FAULTS_H

#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"

enum { FAULT_SHORT = 0, FAULT_KILL = -1, KILLED = 7, NO_MEMORY = 8 };

/* The table has no place for a context: this is the one of the test. */
static struct {
    long countdown;     /* below 0: nothing fails */
    int errnum;         /* FAULT_SHORT: a short count; FAULT_KILL: the process ends in the call */
    const char *failed; /* the call that did; "": none */
} fault;

static bool
trips(const char *name)
{
    if (fault.countdown < 0 || fault.countdown-- != 0)
        return false;
    fault.failed = name;
    if (fault.errnum == FAULT_KILL)
        _exit(KILLED);
    errno = fault.errnum;
    return true;
}

#define FAULT(type, name, bad, params, args)                                                       \
    static type f_##name params                                                                    \
    {                                                                                              \
        return trips(#name) && fault.errnum ? bad : wm_sys_real.name args;                         \
    }
FAULT(int, open, -1, (const char *p, int f, mode_t m), (p, f, m))
FAULT(int, fstat, -1, (int fd, struct stat *st), (fd, st))
FAULT(int, stat, -1, (const char *p, struct stat *st), (p, st))
FAULT(int, lstat, -1, (const char *p, struct stat *st), (p, st))
FAULT(int, widen, -1, (int fd, int n), (fd, n))
FAULT(int, fallocate, -1, (int fd, off_t n), (fd, n))
FAULT(int, ftruncate, -1, (int fd, off_t n), (fd, n))
FAULT(int, rename, -1, (const char *a, const char *b), (a, b))
FAULT(int, exchange, -1, (const char *a, const char *b), (a, b))
FAULT(int, mkdir, -1, (const char *p, mode_t m), (p, m))
FAULT(int, rmdir, -1, (const char *p), (p))
FAULT(int, unlink, -1, (const char *p), (p))
FAULT(int, flock, -1, (int fd, int op), (fd, op))
FAULT(DIR *, opendir, NULL, (const char *p), (p))
FAULT(struct dirent *, readdir, NULL, (DIR * d), (d))
FAULT(char *, realpath, NULL, (const char *p, char *out), (p, out))

/* A disk, wherever it is: room is reserved. */
static int
f_fstatfs(int fd, struct statfs *st)
{
    int rc = trips("fstatfs") && fault.errnum ? -1 : wm_sys_real.fstatfs(fd, st);

    st->f_type = EXT4_SUPER_MAGIC;
    return rc;
}

/* Of a short count, and of a write that fails, a part is there. */
static ssize_t
f_read(int fd, void *p, size_t n)
{
    bool bad = trips("read");

    return bad && fault.errnum ? -1 : wm_sys_real.read(fd, p, bad && n > 1 ? n / 2 : n);
}

static ssize_t
f_pread(int fd, void *p, size_t n, off_t off)
{
    bool bad = trips("pread");

    return bad && fault.errnum ? -1 : wm_sys_real.pread(fd, p, bad && n > 1 ? n / 2 : n, off);
}

static ssize_t
f_preadv(int fd, const struct iovec *iov, int n, off_t off)
{
    struct iovec part = iov[0];
    bool bad = trips("preadv");

    part.iov_len = part.iov_len > 1 ? part.iov_len / 2 : part.iov_len;
    return bad && fault.errnum ? -1 : wm_sys_real.preadv(fd, bad ? &part : iov, bad ? 1 : n, off);
}

static ssize_t
f_pwrite(int fd, const void *p, size_t n, off_t off)
{
    ssize_t some = fault.countdown == 0 && n > 1 ? wm_sys_real.pwrite(fd, p, n / 2, off) : 0;
    bool bad = trips("pwrite");

    if (bad)
        return fault.errnum ? -1 : some ? some : wm_sys_real.pwrite(fd, p, n, off);
    return wm_sys_real.pwrite(fd, p, n, off);
}

static int
f_fsync(int fd)
{
    (void)fd;
    return trips("fsync") && fault.errnum ? -1 : 0;
}

static int
f_close(int fd)
{
    bool bad = trips("close");
    int e = errno;

    wm_sys_real.close(fd);
    errno = e;
    return bad && fault.errnum ? -1 : 0;
}

static void *
f_malloc(size_t n)
{
    return trips("malloc") ? NULL : wm_sys_real.malloc(n);
}

static void *
f_pages(void *old, size_t old_n, size_t n)
{
    return n > old_n && trips("pages") ? NULL : wm_sys_real.pages(old, old_n, n);
}

/* Only memory fails. */
static inline const struct wm_sys *
forgetful(struct wm_sys *s)
{
    *s = wm_sys_real;
    s->malloc = f_malloc, s->pages = f_pages;
    return s;
}

/* A directory for files that come and go thousands of times, which takes minutes on some disks. */
static inline void
make_place(char place[64])
{
    strcpy(place, "/dev/shm/wmap-test-XXXXXX");
    if (mkdtemp(place))
        return;
    strcpy(place, "/tmp/wmap-test-XXXXXX");
    assert_non_null(mkdtemp(place));
}

static inline const struct wm_sys *
faulty(struct wm_sys *s)
{
    *s = wm_sys_real;
    s->open = f_open, s->close = f_close, s->fstat = f_fstat, s->stat = f_stat, s->lstat = f_lstat;
    s->read = f_read, s->pread = f_pread, s->preadv = f_preadv, s->pwrite = f_pwrite;
    s->widen = f_widen, s->fallocate = f_fallocate, s->ftruncate = f_ftruncate, s->fsync = f_fsync;
    s->rename = f_rename, s->exchange = f_exchange, s->mkdir = f_mkdir, s->rmdir = f_rmdir;
    s->unlink = f_unlink, s->flock = f_flock, s->opendir = f_opendir, s->readdir = f_readdir;
    s->realpath = f_realpath, s->fstatfs = f_fstatfs;
    return s;
}

#endif
