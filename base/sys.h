/* base/sys.h -- the one table through which system calls and allocations go.
 *
 * Everything in wmap that allocates, opens, reads, writes, renames or syncs calls through a
 * `const struct wm_sys *`, so that a test can put a table in its place that fails the Nth call.
 * The entries behave as the calls they are named after (errno, short counts, EINTR). */
#ifndef WM_BASE_SYS_H
#define WM_BASE_SYS_H

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>
#include <sys/uio.h>

struct wm_sys {
    void *(*malloc)(size_t n);
    void (*free)(void *p);
    /* n > 0 bytes of zeros, in large pages (2 MiB) as far as whole ones fit and the kernel has them; NULL: use malloc */
    void *(*map)(size_t n);
    void (*unmap)(void *p, size_t n);
    /* Whole pages for something large: n zeroed bytes where old is NULL; else `old` of old_n bytes, which this gave,
     * becomes n bytes, or with n = 0 goes back at once.  From 512 KiB on what whole large pages fill is in such, and the
     * first always: their first touch takes a fraction of the time.  NULL where there are none. */
    void *(*pages)(void *old, size_t old_n, size_t n);

    int (*open)(const char *path, int flags, mode_t mode);
    int (*close)(int fd);
    int (*fstat)(int fd, struct stat *st);
    int (*stat)(const char *path, struct stat *st);
    int (*lstat)(const char *path, struct stat *st);
    ssize_t (*pread)(int fd, void *p, size_t n, off_t off);
    ssize_t (*preadv)(int fd, const struct iovec *iov, int n, off_t off);
    ssize_t (*pwrite)(int fd, const void *p, size_t n, off_t off);
    ssize_t (*read)(int fd, void *p, size_t n);
    ssize_t (*write)(int fd, const void *p, size_t n);
    int (*widen)(int fd, int n); /* a pipe: fcntl(F_SETPIPE_SZ); the room that it has now */
    int (*fallocate)(int fd, off_t size); /* fallocate(2), never emulated */
    /* ioctl(FICLONERANGE): n bytes of `from` at from_off come to share the room of those at to_off of `to` */
    int (*clone)(int to, int from, off_t from_off, off_t n, off_t to_off);
    /* Hints about n bytes (0: to the end) at off; a failure makes nothing wrong. */
    int (*advise)(int fd, off_t off, off_t n, int advice); /* posix_fadvise(3), which returns the error */
    int (*writeback)(int fd, off_t off, off_t n);          /* sync_file_range(2): begin to write them to the disk, do not wait */
    int (*ftruncate)(int fd, off_t size);
    int (*fsync)(int fd);
    int (*rename)(const char *from, const char *to);
    int (*exchange)(const char *a, const char *b); /* renameat2(RENAME_EXCHANGE) */
    int (*mkdir)(const char *path, mode_t mode);
    int (*rmdir)(const char *path);
    int (*unlink)(const char *path);
    int (*flock)(int fd, int op);
    DIR *(*opendir)(const char *path);
    struct dirent *(*readdir)(DIR *d);
    int (*closedir)(DIR *d);
    char *(*realpath)(const char *path, char *out); /* out: PATH_MAX bytes */
    int (*fstatfs)(int fd, struct statfs *st);
    uint64_t (*memory)(void); /* bytes of memory that this process and the pages of its files may take at most */
};

/* The real calls. */
extern const struct wm_sys wm_sys_real;

#endif
