/* base/sys.c -- the table of the real system calls.
 *
 * The only file (with the tests) that names them; everything else goes through struct wm_sys. */
#include "base/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int
real_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

static int
real_fallocate(int fd, off_t size)
{
    return fallocate(fd, 0, 0, size);
}

static int
real_clone(int to, int from, off_t from_off, off_t n, off_t to_off)
{
    struct file_clone_range r = {.src_fd = from,
                                 .src_offset = (uint64_t)from_off,
                                 .src_length = (uint64_t)n,
                                 .dest_offset = (uint64_t)to_off};

    return ioctl(to, FICLONERANGE, &r);
}

static int
real_exchange(const char *a, const char *b)
{
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

const struct wm_sys wm_sys_real = {
    .malloc = malloc,
    .realloc = realloc,
    .free = free,
    .open = real_open,
    .close = close,
    .fstat = fstat,
    .stat = stat,
    .lstat = lstat,
    .pread = pread,
    .preadv = preadv,
    .pwrite = pwrite,
    .read = read,
    .write = write,
    .fallocate = real_fallocate,
    .clone = real_clone,
    .ftruncate = ftruncate,
    .fsync = fsync,
    .rename = rename,
    .exchange = real_exchange,
    .mkdir = mkdir,
    .rmdir = rmdir,
    .unlink = unlink,
    .flock = flock,
    .opendir = opendir,
    .readdir = readdir,
    .closedir = closedir,
    .realpath = realpath,
    .fstatfs = fstatfs,
};
