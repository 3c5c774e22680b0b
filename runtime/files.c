/* runtime/files.c -- small files whole, names in a directory, names that may not leave one.
 *
 * In: paths that the user named, and names from index files.  Out: texts and sorted lists in the
 * arena.  Only regular files are read, and only to their limit. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "runtime/io.h"
#include "runtime/manifest.h"

bool
wm_path_is_inside(struct wm_str name)
{
    size_t at = 0;

    if (name.n == 0 || memchr(name.p, '\0', name.n))
        return false;
    while (at <= name.n) {
        const char *slash = at < name.n ? memchr(name.p + at, '/', name.n - at) : NULL;
        size_t end = slash ? (size_t)(slash - name.p) : name.n;
        struct wm_str part = {name.p + at, end - at};

        if (part.n == 0 || wm_str_eq(part, WM_STR(".")) || wm_str_eq(part, WM_STR("..")))
            return false;
        at = end + 1;
    }
    return true;
}

enum wm_status
wm_read_file(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path, uint64_t max,
             struct wm_str *out, struct wm_err *err)
{
    const char *file = wm_arena_cstr(a, path);
    struct stat st;
    enum wm_status rc;
    int fd;
    char *p;

    rc = wm_io_open(sys, file, false, &fd, &st, err);
    if (rc != WM_OK)
        return rc;
    if ((uint64_t)st.st_size > max) {
        sys->close(fd);
        return wm_fail(err, WM_ELIMIT, file, "%" PRIu64 " bytes long; the limit is %" PRIu64,
                       (uint64_t)st.st_size, max);
    }
    p = wm_arena_alloc(a, (size_t)st.st_size + 1);
    rc = wm_io_pread(sys, fd, file, p, (uint64_t)st.st_size, 0, err);
    sys->close(fd);
    if (rc == WM_OK)
        *out = (struct wm_str){p, (size_t)st.st_size};
    return rc;
}

static int
by_bytes(const void *a, const void *b)
{
    return wm_str_cmp(*(const struct wm_str *)a, *(const struct wm_str *)b);
}

/* A regular file, or a link to one.  A link that leads nowhere counts: reading it must fail loudly
 * instead of being left out. */
static bool
is_file(struct wm_arena *a, const struct wm_sys *sys, struct wm_str dir, const struct dirent *e)
{
    struct wm_str path;
    struct stat st;

    if (e->d_type == DT_REG)
        return true;
    if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
        return false;
    path = wm_arena_printf(a, "%.*s/%s", WM_STR_ARG(dir), e->d_name);
    if (sys->stat(path.p, &st) != 0)
        return errno == ENOENT || errno == ELOOP;
    return S_ISREG(st.st_mode);
}

enum wm_status
wm_list_dir(struct wm_arena *a, const struct wm_sys *sys, struct wm_str dir, struct wm_str **name,
            uint32_t *n, struct wm_err *err)
{
    WM_VEC(struct wm_str) list = {0};
    const char *path = wm_arena_cstr(a, dir);
    struct dirent *e;
    DIR *d = sys->opendir(path);
    int failed;

    if (!d)
        return wm_fail_sys(err, errno, path, "cannot read the directory");
    for (;;) {
        errno = 0;
        e = sys->readdir(d);
        if (!e)
            break;
        if (is_file(a, sys, dir, e))
            *WM_PUSH(a, &list) = wm_arena_str(a, wm_str_c(e->d_name));
    }
    failed = errno;
    sys->closedir(d);
    if (failed)
        return wm_fail_sys(err, failed, path, "cannot read the directory");
    if (list.n > 1)
        qsort(list.item, list.n, sizeof(*list.item), by_bytes);
    *name = list.item;
    *n = list.n;
    return WM_OK;
}
