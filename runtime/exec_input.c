/* runtime/exec_input.c -- input files of a run: opened at first use, as the plan saw them, looked
 * at again at the end.
 *
 * A worker has descriptors of its own, and only a few: checkpoints of a file per tensor have more
 * files than a process may have open.  The one that was used the longest ago makes room.
 *
 * What is not in the page cache is read ahead twice as far as usual: with several threads each
 * descriptor sees only every other window, and the disk would wait between them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "runtime/exec_priv.h"
#include "runtime/io.h"

static enum wm_status
unchanged(struct wm_exec *x, uint32_t file, const char *path, const struct stat *st,
          struct wm_err *err)
{
    const struct wm_plan_infile *f = &x->infile[file];

    if ((uint64_t)st->st_size != f->size)
        return wm_fail(err, WM_EIO, path,
                       "changed since it was planned: it has %" PRIu64 " bytes, not %" PRIu64,
                       (uint64_t)st->st_size, f->size);
    if (st->st_mtim.tv_sec != f->mtime_sec || st->st_mtim.tv_nsec != f->mtime_nsec)
        return wm_fail(err, WM_EIO, path, "changed since it was planned");
    return WM_OK;
}

/* The caller frees it. */
static enum wm_status
path_of(struct wm_exec *x, uint64_t file, char **path, struct wm_err *err)
{
    struct wm_str s = wm_plan_str(&x->plan, x->infile[file].path);

    *path = x->sys->malloc(s.n + 1);
    if (!*path)
        return wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    memcpy(*path, s.p, s.n);
    (*path)[s.n] = 0;
    return WM_OK;
}

static enum wm_status
open_input(struct wm_worker *w, uint32_t file, int *fd)
{
    const struct wm_sys *sys = w->x->sys;
    struct stat st;
    char *path;
    enum wm_status rc = path_of(w->x, file, &path, w->err);

    if (rc != WM_OK)
        return rc;
    rc = wm_io_open(sys, path, false, fd, &st, w->err);
    if (rc == WM_OK && (rc = unchanged(w->x, file, path, &st, w->err)) != WM_OK)
        sys->close(*fd);
    if (rc == WM_OK)
        (void)sys->advise(*fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    sys->free(path);
    return rc;
}

enum wm_status
wm_input_fd(struct wm_worker *w, uint32_t file, int *fd)
{
    struct wm_input *in = w->input, *oldest = in;
    enum wm_status rc;

    w->clock++;
    for (uint32_t i = 0; i < w->ninput; i++) {
        if (in[i].file == file) {
            in[i].used = w->clock;
            *fd = in[i].fd;
            return WM_OK;
        }
        if (in[i].used < oldest->used)
            oldest = &in[i];
    }
    if ((rc = open_input(w, file, fd)) != WM_OK)
        return rc;
    if (w->ninput < WM_INPUTS)
        oldest = &in[w->ninput++];
    else
        w->x->sys->close(oldest->fd);
    *oldest = (struct wm_input){file, *fd, w->clock};
    return WM_OK;
}

void
wm_inputs_close(struct wm_worker *w)
{
    for (uint32_t i = 0; i < w->ninput; i++)
        w->x->sys->close(w->input[i].fd);
    w->ninput = 0;
}

enum wm_status
wm_exec_check_inputs(struct wm_exec *x, struct wm_err *err)
{
    enum wm_status rc = WM_OK;

    for (uint64_t i = 0; i < x->ninfile && rc == WM_OK; i++) {
        struct stat st;
        char *path;

        if (x->infile[i].codec != WM_CODEC_RAW || x->infile[i].flags & WM_INFILE_STREAM)
            continue;
        if ((rc = path_of(x, i, &path, err)) != WM_OK)
            return rc;
        if (x->sys->stat(path, &st) != 0)
            rc = wm_fail_sys(err, errno, path, "cannot stat");
        else
            rc = unchanged(x, (uint32_t)i, path, &st, err);
        x->sys->free(path);
    }
    return rc;
}
