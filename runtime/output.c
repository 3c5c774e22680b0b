/* runtime/output.c -- outputs that appear whole or not at all.
 *
 * In: a plan and the path of its output.  Out: descriptors to write at, then the files under their
 * final names.  Invariant: every temporary is in temp[0..ntemp) before it is created, in the order
 * of creation, so that whatever happens it can be removed, by a signal handler too.  What is to be
 * written beside the tensors is in output_small.c, the checks before anything is created in
 * output_check.c. */
#include "runtime/output_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>

#include "runtime/io.h"

/* ---- temporaries ---- */

struct wm_temp *
wm_output_temp(struct wm_output *o, const char *path, const char *final, bool is_dir)
{
    struct wm_temp *t = &o->temp[o->ntemp];

    *t = (struct wm_temp){.path = path, .final = final, .is_dir = is_dir, .fd = -1};
    o->ntemp++; /* from here on a signal handler sees it */
    return t;
}

enum wm_status
wm_output_create(struct wm_output *o, const char *path, const char *final, struct wm_temp **out,
                 struct wm_err *err)
{
    struct wm_temp *t = wm_output_temp(o, path, final, false);
    int e;

    if (o->resumed) /* a sidecar of the killed run */
        (void)o->sys->unlink(path);

    do
        t->fd = o->sys->open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    while (t->fd < 0 && errno == EINTR);
    if (t->fd < 0) {
        e = errno;
        o->ntemp--; /* not ours */
        return wm_fail_sys(err, e, path, "cannot create");
    }
    *out = t;
    return WM_OK;
}

/* The directories of a name like "mid/00001.safetensors" below the temporary directory. */
enum wm_status
wm_output_parents(struct wm_output *o, struct wm_str name, struct wm_err *err)
{
    for (size_t k = 0; k < name.n; k++) {
        struct wm_str part = {name.p, k}, path;

        if (name.p[k] != '/' || wm_map_get(&o->made, part) != WM_NONE)
            continue;
        path = wm_arena_printf(o->a, "%s/%.*s", o->root, WM_STR_ARG(part));
        wm_output_temp(o, path.p, NULL, true); /* all below root is ours */
        if (o->sys->mkdir(path.p, 0777) != 0 && !(o->resumed && errno == EEXIST))
            return wm_fail_sys(err, errno, path.p, "cannot create the directory");
        wm_map_put(&o->made, part, 1);
    }
    return WM_OK;
}

/* ---- opening ---- */

/* tmpfs has nothing to gain from fallocate but the early answer; its free space gives that. */
static enum wm_status
check_tmpfs(struct wm_output *o, int fd, bool *is_tmpfs, struct wm_err *err)
{
    struct statfs fs;
    uint64_t room;

    *is_tmpfs = o->sys->fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == TMPFS_MAGIC;
    if (!*is_tmpfs || fs.f_blocks == 0)
        return WM_OK;
    if (__builtin_mul_overflow((uint64_t)fs.f_bavail, (uint64_t)fs.f_bsize, &room))
        return WM_OK;
    if (room < o->total)
        return wm_fail_sys(err, ENOSPC, o->place.path,
                           "needs %" PRIu64 " bytes, of which %" PRIu64 " are free", o->total,
                           room);
    return WM_OK;
}

static enum wm_status
reserve(struct wm_output *o, struct wm_temp *t, uint64_t size, struct wm_err *err)
{
    bool is_tmpfs = false;
    int rc, e;
    enum wm_status st = o->opts.sparse ? WM_OK : check_tmpfs(o, t->fd, &is_tmpfs, err);

    if (st != WM_OK || size == 0)
        return st;
    if (size > INT64_MAX)
        return wm_fail(err, WM_ELIMIT, o->place.path, "a file of 2^63 bytes or more");
    if (!is_tmpfs && !o->opts.sparse) {
        do
            rc = o->sys->fallocate(t->fd, (off_t)size);
        while (rc != 0 && errno == EINTR);
        e = errno;
        if (rc == 0)
            return WM_OK;
        if (e != EOPNOTSUPP && e != ENOSYS && e != EINVAL)
            return wm_fail_sys(err, e, o->place.path,
                               "cannot reserve %" PRIu64 " bytes (%" PRIu64 " in all)", size,
                               o->total);
    }
    do
        rc = o->sys->ftruncate(t->fd, (off_t)size);
    while (rc != 0 && errno == EINTR);
    if (rc != 0)
        return wm_fail_sys(err, errno, o->place.path, "cannot set a size of %" PRIu64 " bytes",
                           size);
    return WM_OK;
}

static enum wm_status
create_root(struct wm_output *o, struct wm_err *err)
{
    int e;

    o->root = o->place.keep[0] ? wm_place_numbered(&o->place, o->place.keep[0]) : wm_place_temp(&o->place);
    wm_output_temp(o, o->root, o->place.path, true);
    if (o->resumed)
        return WM_OK;
    if (o->sys->mkdir(o->root, 0777) == 0)
        return WM_OK;
    e = errno;
    o->ntemp--; /* not ours */
    return wm_fail_sys(err, e, o->root, "cannot create the directory");
}

/* A data file: new, or that of a killed run, which was found to be there. */
static enum wm_status
create_or_adopt(struct wm_output *o, const char *path, const char *final, struct wm_temp **out,
                struct wm_err *err)
{
    if (!o->resumed)
        return wm_output_create(o, path, final, out, err);
    *out = wm_output_temp(o, path, final, false);
    do
        (*out)->fd = o->sys->open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
    while ((*out)->fd < 0 && errno == EINTR);
    return (*out)->fd >= 0 ? WM_OK : wm_fail_sys(err, errno, path, "cannot open");
}

static enum wm_status
create_file(struct wm_output *o, uint32_t i, struct wm_err *err)
{
    const struct wm_plan_outfile *f = &o->file[i];
    struct wm_str name = wm_plan_str(o->plan, f->name), path;
    enum wm_status st = WM_OK;

    if (o->is_dir) {
        st = wm_output_parents(o, name, err);
        path = wm_arena_printf(o->a, "%s/%.*s", o->root, WM_STR_ARG(name));
        if (st == WM_OK)
            st = create_or_adopt(o, path.p, NULL, &o->of_file[i], err);
    } else {
        st = create_or_adopt(o, o->place.keep[0] ? wm_place_numbered(&o->place, o->place.keep[0])
                                                 : wm_place_temp(&o->place),
                             o->place.path, &o->of_file[i], err);
    }
    /* Those of a killed run have their room already. */
    return st == WM_OK && !o->resumed ? reserve(o, o->of_file[i], f->size, err) : st;
}

/* Room for all temporaries that there can be: nothing in the list ever moves. */
static void
make_lists(struct wm_output *o)
{
    uint64_t n = 1 + o->nfile + o->nsidecar;

    for (uint64_t i = 0; i < o->nfile + o->nsidecar; i++) {
        struct wm_str s = wm_plan_str(o->plan, i < o->nfile ? o->file[i].name
                                                            : o->sidecar[i - o->nfile].name);

        for (size_t k = 0; k < s.n; k++)
            n += s.p[k] == '/';
    }
    o->temp = WM_NEW_N(o->a, struct wm_temp, n);
    o->of_file = WM_NEW_N(o->a, struct wm_temp *, o->nfile);
    wm_map_init(&o->made, o->a, 0);
}

enum wm_status
wm_output_files(struct wm_output *o, struct wm_err *err)
{
    enum wm_status st = o->is_dir ? create_root(o, err) : WM_OK;

    for (uint32_t i = 0; st == WM_OK && i < o->nfile; i++)
        st = create_file(o, i, err);
    return st;
}

static enum wm_status
open_alone(struct wm_output *o, struct wm_err *err)
{
    enum wm_status st = wm_place_lock(&o->place, err);

    if (st == WM_OK && o->opts.id)
        st = wm_output_resume(o, err);
    if (st == WM_OK)
        st = wm_output_files(o, err);
    if (st == WM_OK)
        wm_output_journal(o);
    return st;
}

enum wm_status
wm_output_open(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path,
               const struct wm_plan *plan, const struct wm_output_opts *opts,
               struct wm_output **out, struct wm_err *err)
{
    struct wm_output *o = WM_NEW(a, struct wm_output);
    enum wm_status st;

    *o = (struct wm_output){.a = a, .sys = sys, .plan = plan, .opts = *opts};
    o->is_dir = opts->is_dir;
    o->opts.sparse |= opts->late;
    o->file = wm_plan_section(plan, WM_PS_OUTFILE, &o->nfile);
    o->sidecar = wm_plan_section(plan, WM_PS_SIDECAR, &o->nsidecar);
    o->blob = wm_plan_section(plan, WM_PS_BLOB, &o->nblob);
    st = wm_place_find(a, sys, path, &o->place, err);
    o->place.keep[0] = opts->id;
    o->place.keep[1] = opts->id && !opts->task.n ? wm_hash(&opts->id, sizeof(opts->id), 1) : 0;
    o->place.drop = opts->force;
    if (st == WM_OK)
        st = wm_output_check(o, err);
    if (st != WM_OK)
        return st;
    make_lists(o);
    wm_output_behind_choose(o);
    *out = o; /* before anything is created: a signal may come at any time */
    st = opts->task.n ? wm_output_task_open(o, err) : open_alone(o, err);
    if (st != WM_OK) {
        wm_output_abort(o);
        *out = NULL;
    }
    return st;
}

enum wm_status
wm_output_reserve(struct wm_output *o, struct wm_err *err)
{
    enum wm_status st = WM_OK;

    o->opts.sparse = false;
    for (uint32_t i = 0; st == WM_OK && i < o->nfile; i++)
        st = reserve(o, o->of_file[i], o->file[i].size, err);
    return st;
}

int
wm_output_fd(struct wm_output *o, uint32_t i)
{
    return o->of_file[i]->fd;
}

void
wm_output_sums(struct wm_output *o, const uint32_t *sum, const bool *known)
{
    o->known = known;
    o->sum = sum;
}

/* ---- ending ---- */

void
wm_output_unlink(struct wm_output *o)
{
    for (uint32_t i = o->ntemp, keep = o->shared ? o->nshared : 0; i > keep; i--) {
        const struct wm_temp *t = &o->temp[i - 1];

        if (t->done)
            continue;
        if (t->is_dir)
            o->sys->rmdir(t->path);
        else
            o->sys->unlink(t->path);
    }
    if (o->journal_path)
        o->sys->unlink(o->journal_path);
    if (o->place.lock_fd >= 0 && !o->place.shared)
        o->sys->unlink(o->place.lock);
}

void
wm_output_abort(struct wm_output *o)
{
    if (!o)
        return;
    for (uint32_t i = 0; i < o->ntemp; i++) {
        if (o->temp[i].fd >= 0)
            o->sys->close(o->temp[i].fd);
        o->temp[i].fd = -1;
    }
    wm_journal_close(o->journal);
    o->journal = NULL;
    wm_output_unlink(o);
    o->journal_path = NULL;
    o->ntemp = 0;
    wm_place_unlock(&o->place);
}
