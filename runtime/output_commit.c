/* runtime/output_commit.c -- from complete temporaries to final names.
 *
 * In: temporaries that hold all their bytes.  Out: the output under its name, in this order: data
 * to disk (with --fsync), close, directories to disk, rename, the directory of the name to disk.
 * For a directory the one rename (or exchange) of it is the commit point; for a file its own
 * rename, which comes after those of its sidecars. */
#include <errno.h>
#include <fcntl.h>

#include "runtime/output_priv.h"

/* Never repeated: after a failed fsync the kernel may have dropped the pages. */
static enum wm_status
sync_dir(struct wm_output *o, const char *path, struct wm_err *err)
{
    int fd = o->sys->open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), e = 0;

    if (fd < 0)
        return wm_fail_sys(err, errno, path, "cannot open the directory");
    if (o->sys->fsync(fd) != 0)
        e = errno;
    o->sys->close(fd);
    /* Some file systems have no fsync for directories; there is nothing else to do on them. */
    return e == 0 || e == EINVAL ? WM_OK : wm_fail_sys(err, e, path, "cannot sync the directory");
}

static enum wm_status
close_all(struct wm_output *o, struct wm_err *err)
{
    for (uint32_t i = 0; i < o->ntemp; i++) {
        struct wm_temp *t = &o->temp[i];
        int fd = t->fd;

        if (fd < 0)
            continue;
        if (o->opts.fsync && o->sys->fsync(fd) != 0)
            return wm_fail_sys(err, errno, t->path, "cannot sync");
        t->fd = -1;
        if (o->sys->close(fd) != 0 && errno != EINTR)
            return wm_fail_sys(err, errno, t->path, "cannot close");
    }
    for (uint32_t i = o->ntemp; o->opts.fsync && i > 0; i--)
        if (o->temp[i - 1].is_dir) {
            enum wm_status st = sync_dir(o, o->temp[i - 1].path, err);

            if (st != WM_OK)
                return st;
        }
    return WM_OK;
}

/* The old directory comes to stand under the temporary name. */
static enum wm_status
exchange(struct wm_output *o, struct wm_err *err)
{
    const char *path = o->place.path;
    char *aside;
    struct stat st;

    if (!o->opts.force)
        return wm_fail(err, WM_EIO, path, "files appeared in the directory meanwhile");
    if (o->sys->lstat(path, &st) != 0)
        return wm_fail_sys(err, errno, path, "cannot stat");
    if (!o->place.exists || st.st_dev != o->place.st.st_dev || st.st_ino != o->place.st.st_ino)
        return wm_fail(err, WM_EIO, path, "another directory took its place meanwhile");
    if (o->sys->exchange(o->root, path) == 0)
        return WM_OK;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        return wm_fail_sys(err, errno, path, "cannot replace the directory");
    aside = wm_place_temp(&o->place);
    if (o->sys->rename(path, aside) != 0)
        return wm_fail_sys(err, errno, path, "cannot move the old directory aside");
    if (o->sys->rename(o->root, path) != 0) {
        int e = errno;

        o->sys->rename(aside, path);
        return wm_fail_sys(err, e, path, "cannot rename the new directory");
    }
    o->root = aside;
    return WM_OK;
}

/* The output is complete; what is left of the old one goes with the next run at the latest. */
static enum wm_status
remove_old(struct wm_output *o, struct wm_err *err)
{
    struct wm_err why = {0};

    if (wm_tree_remove(o->a, o->sys, o->root, &why) == WM_OK)
        return WM_OK;
    return wm_fail(err, why.status, o->place.path,
                   "is complete, but the directory that it replaces could not be removed (%s)",
                   why.msg);
}

static enum wm_status
commit_dir(struct wm_output *o, struct wm_err *err)
{
    const char *path = o->place.path;
    bool replaced = false;
    enum wm_status st;

    if (o->sys->rename(o->root, path) != 0) {
        if (errno != ENOTEMPTY && errno != EEXIST)
            return wm_fail_sys(err, errno, path, "cannot rename the new directory");
        st = exchange(o, err);
        if (st != WM_OK)
            return st;
        replaced = true;
    }
    for (uint32_t i = 0; i < o->ntemp; i++)
        o->temp[i].done = true;
    if (o->opts.fsync) {
        st = sync_dir(o, o->place.dir, err);
        if (st != WM_OK)
            return st;
    }
    return replaced ? remove_old(o, err) : WM_OK;
}

/* Sidecars were created after the data file, which is renamed last. */
static enum wm_status
commit_files(struct wm_output *o, struct wm_err *err)
{
    for (uint32_t i = o->ntemp; i > 0; i--) {
        struct wm_temp *t = &o->temp[i - 1];

        if (o->sys->rename(t->path, t->final) != 0)
            return wm_fail_sys(err, errno, t->final, "cannot rename the new file");
        t->done = true;
    }
    return o->opts.fsync ? sync_dir(o, o->place.dir, err) : WM_OK;
}

enum wm_status
wm_output_commit(struct wm_output *o, struct wm_err *err)
{
    enum wm_status st = wm_output_write_small(o, err);

    if (st == WM_OK)
        st = close_all(o, err);
    if (st == WM_OK)
        st = wm_output_journal_end(o, err);
    if (st == WM_OK)
        st = o->is_dir ? commit_dir(o, err) : commit_files(o, err);
    if (st == WM_OK && o->opts.task.n)
        st = wm_output_tasks_end(o, err);
    wm_output_abort(o); /* removes what is not committed, and the lock */
    return st;
}
