/* runtime/io.c -- loops around pread and pwrite, and the one way in which inputs are opened.
 *
 * In: paths and descriptors.  Out: whole transfers or an error that names file and offset. */
#include "runtime/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

/* Linux transfers at most 2^31 - 4096 bytes at a time. */
enum { PIECE = 1 << 30 };

enum wm_status
wm_io_open(const struct wm_sys *sys, const char *file, bool no_symlinks, int *fd, struct stat *st,
           struct wm_err *err)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (no_symlinks ? O_NOFOLLOW : 0);
    enum wm_status rc;

    do
        *fd = sys->open(file, flags, 0);
    while (*fd < 0 && errno == EINTR);
    if (*fd < 0 && errno == ELOOP && no_symlinks)
        return wm_fail(err, WM_EIO, file, "is a symbolic link, which is not allowed here");
    if (*fd < 0)
        return wm_fail_sys(err, errno, file, "cannot open");
    if (sys->fstat(*fd, st) != 0)
        rc = wm_fail_sys(err, errno, file, "cannot stat");
    else if (S_ISDIR(st->st_mode))
        rc = wm_fail(err, WM_EIO, file, "is a directory, not a file");
    else if (!S_ISREG(st->st_mode))
        rc = wm_fail(err, WM_EIO, file, "is not a regular file");
    else
        return WM_OK;
    sys->close(*fd);
    *fd = -1;
    return rc;
}

enum wm_status
wm_io_pread(const struct wm_sys *sys, int fd, const char *file, void *p, uint64_t n, uint64_t off,
            struct wm_err *err)
{
    char *at = p;

    while (n > 0) {
        ssize_t got = sys->pread(fd, at, n < PIECE ? (size_t)n : PIECE, (off_t)off);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return wm_fail_sys(err, errno, file, "cannot read %" PRIu64 " bytes at %" PRIu64, n,
                               off);
        if (got == 0)
            return wm_fail(err, WM_EIO, file,
                           "the file ends at %" PRIu64 ", where %" PRIu64
                           " more bytes were expected",
                           off, n);
        at += got;
        off += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return WM_OK;
}

enum wm_status
wm_io_pwrite(const struct wm_sys *sys, int fd, const char *file, const void *p, uint64_t n,
             uint64_t off, struct wm_err *err)
{
    const char *at = p;

    while (n > 0) {
        ssize_t put = sys->pwrite(fd, at, n < PIECE ? (size_t)n : PIECE, (off_t)off);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return wm_fail_sys(err, put < 0 ? errno : EIO, file,
                               "cannot write %" PRIu64 " bytes at %" PRIu64, n, off);
        at += put;
        off += (uint64_t)put;
        n -= (uint64_t)put;
    }
    return WM_OK;
}
