/* api/file_reader.c -- tensors of a checkpoint as byte ranges, for comparisons (see compare.h).
 *
 * Each file that is read here is opened once, when the reader is; what is open must be what was listed, and must
 * still be so at the end.  A file that shrinks in between is an error, never a signal. */
#include <errno.h>
#include <fcntl.h>

#include "api/compare.h"
#include "base/checked.h"
#include "runtime/exec.h"
#include "runtime/io.h"
#include "runtime/manifest_plan.h"

enum { READER_MEMORY = 4 << 20 }; /* of each thread */

static bool
same_file(const struct wm_mfile *f, const struct stat *st)
{
    return S_ISREG(st->st_mode) && (uint64_t)st->st_size == f->size &&
           (uint64_t)st->st_dev == f->dev && (uint64_t)st->st_ino == f->ino &&
           st->st_mtim.tv_sec == f->mtime_sec && st->st_mtim.tv_nsec == f->mtime_nsec;
}

static enum wm_status
check_file(const struct wm_file_reader *r, uint32_t k, struct wm_err *err)
{
    const struct wm_mfile *f = &r->m->file.item[k];
    const char *path = r->path[k];
    struct stat st;

    if (r->sys->fstat(r->fd[k], &st) != 0)
        return wm_fail_sys(err, errno, path, "fstat");
    if (!same_file(f, &st))
        return wm_fail(err, WM_EIO, path, "the file changed while it was read");
    return WM_OK;
}

/* Tensors whose bytes are not those of the file are made by a plan. */
static enum wm_status
plan_others(struct wm_file_reader *r, struct wm_arena *a, struct wm_err *err)
{
    const struct wm_manifest *m = r->m;
    uint32_t *id = WM_NEW_N(a, uint32_t, m->tensor.n);

    for (uint32_t k = 0; k < m->tensor.n; k++) {
        const struct wm_mtensor *t = &m->tensor.item[k];

        if (!t->store->stride && !t->store->npart && t->store->codec == WM_CODEC_RAW)
            continue;
        id[r->nout] = k;
        r->out[k] = r->nout++;
    }
    if (r->nout == 0)
        return WM_OK;
    r->exec = WM_NEW_N(a, struct wm_exec *, WM_READER_THREADS);
    return wm_plan_of_tensors(a, m, id, r->nout, &r->plan, err);
}

static enum wm_status
open_file(struct wm_file_reader *r, uint32_t k, struct wm_err *err)
{
    if (r->fd[k] >= 0)
        return WM_OK;
    r->fd[k] = r->sys->open(r->path[k], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (r->fd[k] < 0)
        return wm_fail_sys(err, errno, r->path[k], "open");
    return check_file(r, k, err);
}

enum wm_status
wm_file_reader_open(struct wm_file_reader *r, struct wm_arena *a, const struct wm_sys *sys,
                    const struct wm_manifest *m, struct wm_err *err)
{
    enum wm_status st;

    *r = (struct wm_file_reader){.sys = sys, .m = m};
    r->fd = WM_NEW_N(a, int, m->file.n);
    r->path = WM_NEW_N(a, const char *, m->file.n);
    r->out = WM_NEW_N(a, uint32_t, m->tensor.n);
    memset(r->out, 0xff, m->tensor.n * sizeof(r->out[0]));
    for (uint32_t k = 0; k < m->file.n; k++) {
        r->fd[k] = -1;
        r->path[k] = wm_arena_cstr(a, m->file.item[k].path);
    }
    st = plan_others(r, a, err);
    for (uint32_t k = 0; st == WM_OK && k < m->tensor.n; k++)
        if (r->out[k] == WM_NONE)
            st = open_file(r, m->tensor.item[k].file, err);
    return st;
}

/* A tensor with strides or a codec, or in parts. */
static enum wm_status
read_planned(const struct wm_file_reader *r, unsigned thread, uint32_t out, uint64_t off,
             uint64_t n, void *p, struct wm_err *err)
{
    struct wm_exec_opts o = {.threads = 1, .max_memory = READER_MEMORY};
    enum wm_status st = WM_OK;

    if (!r->exec[thread])
        st = wm_exec_open(&r->plan, r->sys, &o, &r->exec[thread], err);
    return st == WM_OK ? wm_exec_produce(r->exec[thread], out, off, n, p, err) : st;
}

static enum wm_status
read_range(void *user, unsigned thread, uint32_t id, uint64_t off, uint64_t n, void *p,
           struct wm_err *err)
{
    const struct wm_file_reader *r = user;
    const struct wm_mtensor *t = &r->m->tensor.item[id];
    const char *path = r->path[t->file];

    if (!wm_ck_range(off, n, t->nbytes))
        return wm_fail(err, WM_EFORMAT, path, "tensor \"%.*s\" is shorter than its shape",
                       WM_STR_ARG(t->name));
    if (r->out[id] != WM_NONE)
        return read_planned(r, thread, r->out[id], off, n, p, err);
    return wm_io_pread(r->sys, r->fd[t->file], path, p, n, t->off + off, err);
}

struct wm_reader
wm_file_reader(struct wm_file_reader *r)
{
    return (struct wm_reader){read_range, r};
}

enum wm_status
wm_file_reader_close(struct wm_file_reader *r, struct wm_err *err)
{
    enum wm_status st = err->status;

    for (uint32_t k = 0; r->exec && k < WM_READER_THREADS; k++)
        if (r->exec[k])
            wm_exec_close(r->exec[k]);
    for (uint32_t k = 0; k < r->m->file.n; k++)
        if (r->fd[k] >= 0) {
            if (st == WM_OK)
                st = check_file(r, k, err);
            r->sys->close(r->fd[k]);
            r->fd[k] = -1;
        }
    return st;
}
