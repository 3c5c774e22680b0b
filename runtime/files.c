/* runtime/files.c -- small files whole, names in a directory, names that may not leave one.
 *
 * In: paths that the user named, and names from index files.  Out: texts and sorted lists in the
 * arena.  Only regular files are read, and pipes where the user may have named one; both only to their limit. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "runtime/io.h"
#include "runtime/manifest.h"

struct wm_str
wm_path_base(struct wm_str path)
{
    size_t at = path.n;

    while (at > 0 && path.p[at - 1] != '/')
        at--;
    return (struct wm_str){path.p + at, path.n - at};
}

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

/* All that a pipe gives.  It is opened as `cat` does: that waits for somebody to write. */
static enum wm_status
read_pipe(struct wm_arena *a, const struct wm_sys *sys, const char *file, uint64_t max, struct wm_str *out,
          struct wm_err *err)
{
    enum wm_status rc = WM_OK;
    struct wm_buf b;
    int fd;

    do
        fd = sys->open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return wm_fail_sys(err, errno, file, "cannot open");
    wm_buf_init(&b, a);
    for (;;) {
        char piece[16384];
        ssize_t got = sys->read(fd, piece, sizeof(piece));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = wm_fail_sys(err, errno, file, "cannot read");
        else if (b.n + (uint64_t)got > max)
            rc = wm_fail(err, WM_ELIMIT, file, "more than %" PRIu64 " bytes come from it; that is the limit", max);
        if (got <= 0 || rc != WM_OK)
            break;
        wm_buf_puts(&b, (struct wm_str){piece, (size_t)got});
    }
    sys->close(fd);
    if (rc == WM_OK)
        *out = wm_buf_str(&b);
    return rc;
}

enum wm_status
wm_read_text(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path, uint64_t max,
             struct wm_str *out, struct wm_err *err)
{
    const char *file = wm_arena_cstr(a, path);
    struct stat st;

    if (sys->stat(file, &st) == 0 && S_ISFIFO(st.st_mode))
        return read_pipe(a, sys, file, max, out, err);
    return wm_read_file(a, sys, path, max, out, err);
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

struct listing {
    struct wm_arena *a;
    const struct wm_sys *sys;
    struct wm_err *err;
    WM_VEC(struct wm_str) list;
};

static bool
is_directory(struct listing *l, struct wm_str path, const struct dirent *e)
{
    struct stat st;

    if (e->d_name[0] == '.')
        return false; /* hidden ones, our own temporaries among them */
    if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
        return e->d_type == DT_DIR;
    return l->sys->stat(path.p, &st) == 0 && S_ISDIR(st.st_mode);
}

/* `dir` is opened, `prefix` ("" or "sub/") stands before the names. */
static enum wm_status
list(struct listing *l, struct wm_str dir, struct wm_str prefix, uint32_t depth)
{
    const char *path = wm_arena_cstr(l->a, dir);
    WM_VEC(struct wm_str) sub = {0};
    enum wm_status st = WM_OK;
    DIR *d = l->sys->opendir(path);
    int failed;

    if (!d)
        return wm_fail_sys(l->err, errno, path, "cannot read the directory");
    for (;;) {
        struct dirent *e;

        errno = 0;
        e = l->sys->readdir(d);
        if (!e)
            break;
        if (is_file(l->a, l->sys, dir, e))
            *WM_PUSH(l->a, &l->list) = wm_arena_printf(l->a, "%.*s%s", WM_STR_ARG(prefix), e->d_name);
        else if (depth > 0 && is_directory(l, wm_arena_printf(l->a, "%s/%s", path, e->d_name), e))
            *WM_PUSH(l->a, &sub) = wm_arena_str(l->a, wm_str_c(e->d_name));
    }
    failed = errno;
    l->sys->closedir(d);
    if (failed)
        return wm_fail_sys(l->err, failed, path, "cannot read the directory");
    for (uint32_t i = 0; i < sub.n && st == WM_OK; i++)
        st = list(l, wm_arena_printf(l->a, "%s/%.*s", path, WM_STR_ARG(sub.item[i])),
                  wm_arena_printf(l->a, "%.*s%.*s/", WM_STR_ARG(prefix), WM_STR_ARG(sub.item[i])), depth - 1);
    return st;
}

enum wm_status
wm_list_tree(struct wm_arena *a, const struct wm_sys *sys, struct wm_str dir, uint32_t depth,
             struct wm_str **name, uint32_t *n, struct wm_err *err)
{
    struct listing l = {.a = a, .sys = sys, .err = err};
    enum wm_status st = list(&l, dir, WM_STR(""), depth);

    if (l.list.n > 1)
        qsort(l.list.item, l.list.n, sizeof(*l.list.item), by_bytes);
    *name = l.list.item;
    *n = l.list.n;
    return st;
}

enum wm_status
wm_list_dir(struct wm_arena *a, const struct wm_sys *sys, struct wm_str dir, struct wm_str **name,
            uint32_t *n, struct wm_err *err)
{
    return wm_list_tree(a, sys, dir, 0, name, n, err);
}
