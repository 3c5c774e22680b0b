/* runtime/place.c -- paths and names around the target of an output.
 *
 * In: the path that the user named.  Out: a struct wm_place.  The locks are in place_lock.c. */
#include "runtime/place.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <unistd.h>

#include "base/map.h"

enum { MAX_DEPTH = 128, LONG_NAME = 180 };

static bool
is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Directory and last component of path, which has no slash at its end. */
static void
split(struct wm_place *p)
{
    const char *slash = strrchr(p->path, '/');

    if (!slash) {
        p->dir = wm_arena_cstr(p->a, WM_STR("."));
        p->name = p->path;
        return;
    }
    p->dir = wm_arena_cstr(
        p->a, (struct wm_str){p->path, slash == p->path ? 1 : (size_t)(slash - p->path)});
    p->name = p->path + (slash - p->path) + 1;
}

/* ".NAME.wmap-", cut where file systems would not take so long a name. */
static void
make_prefix(struct wm_place *p)
{
    size_t n = strlen(p->name);
    struct wm_str s;

    if (n <= LONG_NAME)
        s = wm_arena_printf(p->a, "%s/.%s.wmap-", p->dir, p->name);
    else
        s = wm_arena_printf(p->a, "%s/.%.*s~%016" PRIx64 ".wmap-", p->dir, LONG_NAME, p->name,
                            wm_hash(p->name, n, 0));
    p->prefix = wm_arena_cstr(p->a, s);
    p->lock = wm_arena_cstr(p->a, wm_arena_printf(p->a, "%slock", p->prefix));
    p->guard = wm_arena_cstr(p->a, wm_arena_printf(p->a, "%sguard", p->prefix));
}

/* A link as the target stands for what it points to. */
static enum wm_status
follow(struct wm_place *p, struct wm_err *err)
{
    char *real = wm_arena_alloc(p->a, PATH_MAX);

    if (p->sys->lstat(p->path, &p->st) != 0)
        return errno == ENOENT ? WM_OK : wm_fail_sys(err, errno, p->path, "cannot stat");
    if (S_ISLNK(p->st.st_mode)) {
        if (!p->sys->realpath(p->path, real))
            return wm_fail_sys(err, errno, p->path, "cannot follow the symbolic link");
        p->path = real;
        if (p->sys->stat(p->path, &p->st) != 0)
            return wm_fail_sys(err, errno, p->path, "cannot stat");
    }
    p->exists = true;
    return WM_OK;
}

enum wm_status
wm_place_find(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path,
              struct wm_place *out, struct wm_err *err)
{
    struct stat dir;
    enum wm_status rc;

    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    if (path.n == 0 || memchr(path.p, '\0', path.n))
        return wm_fail(err, WM_EUSAGE, NULL, "\"%.*s\" is not a path", WM_STR_ARG(path));
    *out = (struct wm_place){.a = a, .sys = sys, .lock_fd = -1, .guard_fd = -1, .path = wm_arena_cstr(a, path)};
    rc = follow(out, err);
    if (rc != WM_OK)
        return rc;
    split(out);
    if (out->name[0] == '\0' || is_dots(out->name))
        return wm_fail(err, WM_EUSAGE, out->path, "an output needs a name of its own");
    if (sys->stat(out->dir, &dir) != 0)
        return wm_fail_sys(err, errno, out->dir, "the directory of the output");
    if (!S_ISDIR(dir.st_mode))
        return wm_fail(err, WM_EUSAGE, out->dir, "is not a directory");
    make_prefix(out);
    return WM_OK;
}

/* ---- removing ---- */

int
wm_dir_list(struct wm_arena *a, const struct wm_sys *sys, const char *path, char ***name, uint32_t *n)
{
    WM_VEC(char *) list = {0};
    DIR *d = sys->opendir(path);
    struct dirent *e;
    int failed;

    if (!d)
        return errno;
    for (;;) {
        errno = 0;
        e = sys->readdir(d);
        if (!e)
            break;
        if (!is_dots(e->d_name))
            *WM_PUSH(a, &list) = wm_arena_cstr(a, wm_str_c(e->d_name));
    }
    failed = errno;
    sys->closedir(d);
    *name = list.item;
    *n = list.n;
    return failed;
}

int
wm_dir_is_empty(const struct wm_sys *sys, const char *path)
{
    DIR *d = sys->opendir(path);
    struct dirent *e;
    int failed;

    if (!d)
        return -1;
    errno = 0;
    while ((e = sys->readdir(d)) && is_dots(e->d_name))
        ;
    failed = errno;
    sys->closedir(d);
    errno = failed;
    return e ? 0 : failed ? -1 : 1;
}

static enum wm_status
remove_below(struct wm_arena *a, const struct wm_sys *sys, const char *path, int depth,
             struct wm_err *err)
{
    struct stat st;
    char **name;
    uint32_t n;
    int failed;
    enum wm_status rc = WM_OK;

    if (sys->lstat(path, &st) != 0)
        return errno == ENOENT ? WM_OK : wm_fail_sys(err, errno, path, "cannot stat");
    if (!S_ISDIR(st.st_mode)) {
        if (sys->unlink(path) != 0 && errno != ENOENT)
            return wm_fail_sys(err, errno, path, "cannot remove");
        return WM_OK;
    }
    if (depth == 0)
        return wm_fail(err, WM_ELIMIT, path, "cannot remove: more than %d levels", MAX_DEPTH);
    failed = wm_dir_list(a, sys, path, &name, &n);
    if (failed)
        return wm_fail_sys(err, failed, path, "cannot read the directory");
    for (uint32_t i = 0; rc == WM_OK && i < n; i++) {
        struct wm_str sub = wm_arena_printf(a, "%s/%s", path, name[i]);

        rc = remove_below(a, sys, sub.p, depth - 1, err);
    }
    if (rc == WM_OK && sys->rmdir(path) != 0)
        rc = wm_fail_sys(err, errno, path, "cannot remove the directory");
    return rc;
}

enum wm_status
wm_tree_remove(struct wm_arena *a, const struct wm_sys *sys, const char *path, struct wm_err *err)
{
    return remove_below(a, sys, path, MAX_DEPTH, err);
}

/* ---- names ---- */

char *
wm_place_numbered(struct wm_place *p, uint64_t id)
{
    return wm_arena_cstr(p->a, wm_arena_printf(p->a, "%s%016" PRIx64, p->prefix, id));
}

char *
wm_place_temp(struct wm_place *p)
{
    struct stat st;
    struct wm_str s;

    do /* where nothing could be swept, a dead run with our number may have left something */
        s = wm_arena_printf(p->a, "%s%08" PRIx32 "%08" PRIx32, p->prefix, (uint32_t)getpid(),
                            p->seq++);
    while (p->sys->lstat(s.p, &st) == 0 && p->seq != 0);
    return wm_arena_cstr(p->a, s);
}

/* ---- what lies inside ---- */

/* Is path, or a directory above it, the directory `dir`?  Cuts path from its end. */
static bool
climbs_to(const struct wm_sys *sys, const struct stat *dir, char *path)
{
    struct stat st;

    for (;;) {
        char *slash = strrchr(path, '/');

        if (sys->stat(*path ? path : "/", &st) == 0 && st.st_dev == dir->st_dev &&
            st.st_ino == dir->st_ino)
            return true;
        if (!slash)
            return false;
        *slash = '\0';
    }
}

bool
wm_place_contains(const struct wm_sys *sys, struct wm_arena *a, const struct stat *dir,
                  const char *file)
{
    char *real = wm_arena_alloc(a, PATH_MAX);
    const char *slash = strrchr(file, '/');
    char *parent;

    if (sys->realpath(file, real) && climbs_to(sys, dir, real))
        return true;
    parent = slash ? wm_arena_cstr(a, (struct wm_str){file, (size_t)(slash - file)})
                   : wm_arena_cstr(a, WM_STR("."));
    if (slash == file)
        parent = wm_arena_cstr(a, WM_STR("/"));
    return sys->realpath(parent, real) && climbs_to(sys, dir, real);
}
