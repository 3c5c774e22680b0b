/* base/sys.c -- the table of the real system calls.
 *
 * The only file (with the tests) that names them; everything else goes through struct wm_sys. */
#include "base/sys.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, LARGE_PAGE = 2 << 20 };

/* n bytes that begin with a large page; more is mapped, and what is beyond is given back.  The end is in small pages: no more
 * memory is used than was asked for.  MAP_FAILED: there are none. */
static void *
map_aligned(size_t n)
{
    size_t all, before;
    char *p;

    if (n > SIZE_MAX - 2 * LARGE_PAGE)
        return MAP_FAILED;
    n = (n + PAGE - 1) / PAGE * PAGE;
    all = n + LARGE_PAGE;
    p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return p;
    before = -(uintptr_t)p % LARGE_PAGE;
    if (before)
        munmap(p, before);
    munmap(p + before + n, LARGE_PAGE - before);
    return p + before;
}

static void *
real_map(size_t n)
{
    void *p = map_aligned(n);

    if (p == MAP_FAILED)
        return NULL;
    if (n >= LARGE_PAGE)
        madvise(p, n / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
    return p;
}

static void
real_unmap(void *p, size_t n)
{
    munmap(p, (n + PAGE - 1) / PAGE * PAGE);
}

/* Addresses for n bytes of something that grows: a power of two, so that most steps of its growth need no call, and
 * its large pages stay whole when it moves.  0: it is too small for large pages. */
static size_t
room_for(size_t n)
{
    size_t room = (size_t)4 << 20;

    if (n < (size_t)512 << 10 || n > SIZE_MAX / 4)
        return 0;
    while (room < n)
        room *= 2;
    return room;
}

/* The first large page, and those that n bytes fill. */
static void *
in_large_pages(void *p, size_t n)
{
    if (p != MAP_FAILED)
        madvise(p, n < LARGE_PAGE ? LARGE_PAGE : n / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
    return p;
}

/* The rest goes back; what stays does not move. */
static void *
shrink(char *old, size_t old_n, size_t n)
{
    size_t had = room_for(old_n), room = room_for(n), kept = (n + PAGE - 1) / PAGE * PAGE;

    if (room != had || !had)
        old = mremap(old, had ? had : old_n, room ? room : n, MREMAP_MAYMOVE);
    if (room > kept && old != MAP_FAILED)
        madvise(old + kept, room - kept, MADV_DONTNEED);
    return old;
}

static void *
enlarge(void *old, size_t old_n, size_t n)
{
    size_t had = room_for(old_n), room = room_for(n);
    void *p = old;

    if (!room)
        return mremap(old, old_n, n, MREMAP_MAYMOVE);
    if (room != had && (p = map_aligned(room)) == MAP_FAILED)
        return p;
    if (had && room != had)
        p = mremap(old, had, had, MREMAP_MAYMOVE | MREMAP_FIXED, p);
    in_large_pages(p, n);
    if (!had && p != MAP_FAILED) {
        memcpy(p, old, old_n);
        munmap(old, old_n);
    }
    return p;
}

static void *
real_pages(void *old, size_t old_n, size_t n)
{
    void *p;

    if (old && n == 0) {
        munmap(old, room_for(old_n) ? room_for(old_n) : old_n);
        return NULL;
    }
    if (old)
        p = n < old_n ? shrink(old, old_n, n) : enlarge(old, old_n, n);
    else if (room_for(n))
        p = in_large_pages(map_aligned(room_for(n)), n);
    else
        p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static int
real_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

static int
real_widen(int fd, int n)
{
    return fcntl(fd, F_SETPIPE_SZ, n);
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

static int
real_writeback(int fd, off_t off, off_t n)
{
    return sync_file_range(fd, off, n, SYNC_FILE_RANGE_WRITE);
}

/* A number that is alone in a small file of the kernel; UINT64_MAX where there is none ("max"). */
static uint64_t
limit_in(const char *path)
{
    char text[32], *end;
    FILE *f = fopen(path, "re");
    unsigned long long v;

    if (!f)
        return UINT64_MAX;
    if (!fgets(text, sizeof(text), f))
        text[0] = '\0';
    fclose(f);
    v = strtoull(text, &end, 10);
    return isdigit((unsigned char)text[0]) && (*end == '\n' || *end == '\0') ? v : UINT64_MAX;
}

/* What the machine has, or less where a container's control group says so (version 2, then 1). */
static uint64_t
real_memory(void)
{
    static const char *const limit[] = {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    long pages = sysconf(_SC_PHYS_PAGES);
    uint64_t n = pages > 0 ? (uint64_t)pages * PAGE : UINT64_MAX;

    for (int i = 0; i < 2; i++) {
        uint64_t most = limit_in(limit[i]);

        n = most < n ? most : n;
    }
    return n;
}

const struct wm_sys wm_sys_real = {
    .malloc = malloc,
    .free = free,
    .map = real_map,
    .unmap = real_unmap,
    .pages = real_pages,
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
    .widen = real_widen,
    .fallocate = real_fallocate,
    .clone = real_clone,
    .advise = posix_fadvise,
    .writeback = real_writeback,
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
    .memory = real_memory,
};
