/* runtime/place_lock.c -- who may write an output, and what others left there.
 *
 * In: a place.  Out: its lock, for one run or shared by tasks, and nothing left of runs that are dead.  A lock is
 * flock(2) on a file of its own; it is removed by its holder, so whoever gets a lock checks that the file is still the
 * one that the name stands for. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include "runtime/place.h"

enum { HEX = 16, TRIES = 100 };

/* ---- what is left of others ---- */

/* A temporary of any run: 16 digits; of tasks: with ".tasks" or ".task-N" behind them. */
static bool
is_temp(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    const char *end;

    if (strncmp(name, prefix, n) != 0 || strspn(name + n, "0123456789abcdef") != HEX)
        return false;
    end = name + n + HEX;
    return *end == '\0' || strcmp(end, ".tasks") == 0 ||
           (strncmp(end, ".task-", 6) == 0 && end[6] && strspn(end + 6, "0123456789") == strlen(end + 6));
}

static bool
is_kept(const struct wm_place *p, const char *name, const char *prefix)
{
    uint64_t id = 0;

    for (const char *c = name + strlen(prefix), *end = c + HEX; c < end; c++)
        id = id << 4 | (uint64_t)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
    return id && (id == p->keep[0] || id == p->keep[1]);
}

static bool
is_tasks(const char *name)
{
    size_t n = strlen(name);

    return n > 6 && strcmp(name + n - 6, ".tasks") == 0;
}

/* Temporaries that are not to be kept: removed, or only looked at for those of tasks. */
static enum wm_status
visit(struct wm_place *p, bool *tasks, struct wm_err *err)
{
    const char *prefix = p->prefix + strlen(p->dir) + 1;
    char **name;
    uint32_t n;
    int failed = wm_dir_list(p->a, p->sys, p->dir, &name, &n);
    enum wm_status rc = WM_OK;

    if (failed)
        return wm_fail_sys(err, failed, p->dir, "cannot read the directory");
    for (uint32_t i = 0; rc == WM_OK && i < n; i++) {
        if (!is_temp(name[i], prefix) || is_kept(p, name[i], prefix))
            continue;
        if (tasks)
            *tasks = *tasks || is_tasks(name[i]);
        else
            rc = wm_tree_remove(p->a, p->sys, wm_arena_printf(p->a, "%s/%s", p->dir, name[i]).p, err);
    }
    return rc;
}

enum wm_status
wm_place_sweep(struct wm_place *p, struct wm_err *err)
{
    return visit(p, NULL, err);
}

/* Are there tasks of another plan that wait for their last ones? */
static enum wm_status
find_tasks(struct wm_place *p, bool *found, struct wm_err *err)
{
    enum wm_status st;

    *found = false;
    st = visit(p, found, err);
    if (st == WM_OK && *found && !p->drop)
        return wm_fail(err, WM_EUSAGE, p->path,
                       "tasks of another run into this place are unfinished; --force removes what they wrote");
    return st;
}

/* ---- locks ---- */

static bool
is_named(const struct wm_place *p, int fd, const char *path)
{
    struct stat mine, named;

    return p->sys->fstat(fd, &mine) == 0 && p->sys->stat(path, &named) == 0 && named.st_dev == mine.st_dev &&
           named.st_ino == mine.st_ino;
}

/* One try: 1 held, 0 the file was removed meanwhile, -1 errno, -2 no locks here. */
static int
try_lock(struct wm_place *p, const char *path, int op, int *fd)
{
    int e = 0;

    *fd = p->sys->open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (*fd < 0)
        return errno == EINTR ? 0 : -1;
    if (p->sys->flock(*fd, op) != 0) {
        e = errno;
        if (e == ENOLCK || e == EOPNOTSUPP || e == ENOSYS || e == EINVAL)
            return -2;
    } else if (is_named(p, *fd, path)) {
        return 1;
    }
    p->sys->close(*fd);
    *fd = -1;
    errno = e;
    return e == 0 || e == EINTR ? 0 : -1;
}

static enum wm_status
lock(struct wm_place *p, const char *path, int op, int *fd, struct wm_err *err)
{
    for (int tries = 0; tries < TRIES; tries++) {
        int got = try_lock(p, path, op, fd);

        p->no_locks = got == -2;
        if (got == 1 || got == -2)
            return WM_OK;
        if (got == 0)
            continue;
        if (errno == EWOULDBLOCK)
            return wm_fail(err, WM_EIO, p->path, "another run is writing this output");
        return wm_fail_sys(err, errno, p->path, "cannot create files beside it");
    }
    return wm_fail(err, WM_EIO, p->path, "other runs keep writing this output");
}

enum wm_status
wm_place_lock(struct wm_place *p, struct wm_err *err)
{
    struct stat guard;
    bool found;
    enum wm_status st = lock(p, p->lock, LOCK_EX | LOCK_NB, &p->lock_fd, err);

    if (st != WM_OK || p->no_locks)
        return st;
    if (p->sys->lstat(p->guard, &guard) == 0 && try_lock(p, p->guard, LOCK_EX | LOCK_NB, &p->guard_fd) == 1)
        wm_place_unguard(p); /* of a task that was killed */
    st = find_tasks(p, &found, err);
    return st == WM_OK ? wm_place_sweep(p, err) : st;
}

enum wm_status
wm_place_share(struct wm_place *p, struct wm_err *err)
{
    bool found;
    enum wm_status st = wm_place_guard(p, err);

    p->shared = true;
    if (st == WM_OK)
        st = lock(p, p->lock, LOCK_SH | LOCK_NB, &p->lock_fd, err);
    if (st == WM_OK && p->no_locks)
        return wm_fail(err, WM_ESUPPORT, p->path, "tasks need a file system with locks (flock)");
    if (st == WM_OK)
        st = find_tasks(p, &found, err);
    if (st != WM_OK || !found)
        return st == WM_OK ? wm_place_sweep(p, err) : st;
    if ((st = wm_place_alone(p, err)) != WM_OK || (st = wm_place_sweep(p, err)) != WM_OK)
        return st;
    return wm_place_not_alone(p, err);
}

enum wm_status
wm_place_alone(struct wm_place *p, struct wm_err *err)
{
    if (p->sys->flock(p->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return WM_OK;
    if (errno == EWOULDBLOCK)
        return wm_fail(err, WM_EIO, p->path, "other tasks are writing this output");
    return wm_fail_sys(err, errno, p->path, "cannot lock it");
}

enum wm_status
wm_place_not_alone(struct wm_place *p, struct wm_err *err)
{
    /* Between the two locks a whole run may have come and gone, with the file. */
    if (p->sys->flock(p->lock_fd, LOCK_SH | LOCK_NB) == 0 && is_named(p, p->lock_fd, p->lock))
        return WM_OK;
    return wm_fail(err, WM_EIO, p->path, "another run is writing this output");
}

enum wm_status
wm_place_guard(struct wm_place *p, struct wm_err *err)
{
    enum wm_status st = lock(p, p->guard, LOCK_EX, &p->guard_fd, err);

    if (st == WM_OK && p->no_locks)
        return wm_fail(err, WM_ESUPPORT, p->path, "tasks need a file system with locks (flock)");
    return st;
}

void
wm_place_unguard(struct wm_place *p)
{
    if (p->guard_fd < 0)
        return;
    p->sys->unlink(p->guard); /* while held: nobody else has locked this file */
    p->sys->close(p->guard_fd);
    p->guard_fd = -1;
}

/* The file goes with its last holder; where tasks share it, with the one that then has it alone. */
void
wm_place_unlock(struct wm_place *p)
{
    wm_place_unguard(p);
    if (p->lock_fd < 0)
        return;
    if (!p->shared || (p->sys->flock(p->lock_fd, LOCK_EX | LOCK_NB) == 0 && is_named(p, p->lock_fd, p->lock)))
        p->sys->unlink(p->lock);
    p->sys->close(p->lock_fd);
    p->lock_fd = -1;
}
