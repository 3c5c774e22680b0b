/* runtime/inplace.c -- another header for a file whose data stays where it is.
 *
 * In: a file and its new head, as long as the old one.  Out: the file with the new head, on the disk.  The record beside
 * the file holds both heads and a check sum; it gets its name when it is whole and on the disk.  A head that is put
 * back must be a mixture of the two, byte by byte: else the file is another one by now. */
#include "runtime/inplace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/crc32.h"
#include "runtime/io.h"
#include "runtime/moves.h"
#include "runtime/place.h"

static const char magic[8] = "wmaphdr1";

/* Behind it: the old head, the new one, the CRC-32 of all before. */
struct record {
    char magic[8];
    uint64_t size, n; /* of the file, of each head */
};

struct inplace {
    struct wm_arena *a;
    const struct wm_sys *sys;
    struct wm_place place;
    const char *saved; /* path of the record */
    int fd;            /* of the file */
    struct stat st;
    struct wm_err *err;
};

static enum wm_status
open_place(struct inplace *x, struct wm_arena *a, const struct wm_sys *sys, struct wm_str path, struct wm_err *err)
{
    enum wm_status st;

    *x = (struct inplace){.a = a, .sys = sys, .fd = -1, .err = err, .place = {.lock_fd = -1}};
    if ((st = wm_place_find(a, sys, path, &x->place, err)) != WM_OK)
        return st;
    x->saved = wm_arena_printf(a, "%s.wmap-header", x->place.path).p;
    return WM_OK;
}

static enum wm_status
open_file(struct inplace *x)
{
    const char *path = x->place.path;

    do
        x->fd = x->sys->open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    while (x->fd < 0 && errno == EINTR);
    if (x->fd < 0)
        return wm_fail_sys(x->err, errno, path, "cannot open for writing");
    if (x->sys->fstat(x->fd, &x->st) != 0)
        return wm_fail_sys(x->err, errno, path, "cannot stat");
    return S_ISREG(x->st.st_mode) ? WM_OK : wm_fail(x->err, WM_EIO, path, "is not a regular file");
}

static enum wm_status
close_all(struct inplace *x, enum wm_status st)
{
    if (x->fd >= 0)
        x->sys->close(x->fd); /* what counts was synced */
    wm_place_unlock(&x->place);
    return st;
}

static enum wm_status
sync_dir(struct inplace *x)
{
    int fd = x->sys->open(x->place.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), e = 0;

    if (fd < 0)
        return wm_fail_sys(x->err, errno, x->place.dir, "cannot open the directory");
    if (x->sys->fsync(fd) != 0)
        e = errno;
    x->sys->close(fd);
    return e == 0 || e == EINVAL ? WM_OK : wm_fail_sys(x->err, e, x->place.dir, "cannot sync the directory");
}

static enum wm_status
put_head(struct inplace *x, const char *head, uint64_t n)
{
    enum wm_status st = wm_io_pwrite(x->sys, x->fd, x->place.path, head, n, 0, x->err);

    if (st == WM_OK && x->sys->fsync(x->fd) != 0)
        st = wm_fail_sys(x->err, errno, x->place.path, "cannot sync");
    return st;
}

static enum wm_status
drop_record(struct inplace *x)
{
    if (x->sys->unlink(x->saved) != 0)
        return wm_fail_sys(x->err, errno, x->saved, "cannot remove the saved header");
    return sync_dir(x);
}

/* ---- after a crash ---- */

static enum wm_status
not_of(struct inplace *x, const char *why)
{
    return wm_fail(x->err, WM_EFORMAT, x->saved, "%s; remove it where %s is as it should be", why, x->place.name);
}

/* The record, checked.  *old is NULL where there is none (any more). */
static enum wm_status
load(struct inplace *x, const char **old, const char **new, uint64_t *n)
{
    struct record r;
    struct stat st;
    uint64_t size;
    uint32_t crc;
    char *all;
    int fd;
    enum wm_status rc;

    *old = *new = NULL;
    if (x->sys->lstat(x->saved, &st) != 0)
        return errno == ENOENT ? WM_OK : wm_fail_sys(x->err, errno, x->saved, "cannot stat");
    if ((rc = wm_io_open(x->sys, x->saved, true, &fd, &st, x->err)) != WM_OK)
        return rc;
    size = (uint64_t)st.st_size;
    if (size < sizeof(r) + sizeof(crc) || size > (uint64_t)1 << 30) {
        x->sys->close(fd);
        return not_of(x, "is no saved header");
    }
    all = wm_arena_alloc(x->a, (size_t)size);
    rc = wm_io_pread(x->sys, fd, x->saved, all, size, 0, x->err);
    x->sys->close(fd);
    if (rc != WM_OK)
        return rc;
    memcpy(&r, all, sizeof(r));
    memcpy(&crc, all + size - sizeof(crc), sizeof(crc));
    if (memcmp(r.magic, magic, sizeof(magic)) != 0 || wm_crc32(0, all, (size_t)(size - sizeof(crc))) != crc ||
        r.n > size || size != sizeof(r) + 2 * r.n + sizeof(crc))
        return not_of(x, "is no saved header");
    if (r.size != (uint64_t)x->st.st_size || r.n > r.size)
        return not_of(x, "is the saved header of a file of another size");
    *old = all + sizeof(r);
    *new = *old + r.n;
    *n = r.n;
    return WM_OK;
}

static enum wm_status
put_back(struct inplace *x, bool *restored)
{
    const char *old, *new;
    uint64_t n = 0;
    char *now;
    enum wm_status st = load(x, &old, &new, &n);

    if (st != WM_OK || !old)
        return st;
    now = wm_arena_alloc(x->a, (size_t)n);
    if ((st = wm_io_pread(x->sys, x->fd, x->place.path, now, n, 0, x->err)) != WM_OK)
        return st;
    for (uint64_t i = 0; i < n; i++)
        if (now[i] != old[i] && now[i] != new[i])
            return not_of(x, "is the saved header of another file");
    if ((st = put_head(x, old, n)) != WM_OK)
        return st;
    *restored = true;
    return drop_record(x);
}

enum wm_status
wm_inplace_restore(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path, bool *restored,
                   struct wm_err *err)
{
    struct inplace x;
    struct stat st;
    enum wm_status rc = open_place(&x, a, sys, path, err);

    *restored = false;
    if (rc != WM_OK)
        return rc;
    if (sys->lstat(x.saved, &st) != 0)
        return errno == ENOENT ? WM_OK : wm_fail_sys(err, errno, x.saved, "cannot stat");
    if ((rc = wm_place_lock(&x.place, err)) == WM_OK && (rc = open_file(&x)) == WM_OK)
        rc = put_back(&x, restored);
    return close_all(&x, rc);
}

/* ---- may it be done ---- */

enum wm_status
wm_inplace_check(struct wm_arena *a, const struct wm_plan *p, struct wm_str path, struct wm_err *err)
{
    uint64_t nfile, ninfile, nside, n;
    const struct wm_plan_outfile *f = wm_plan_section(p, WM_PS_OUTFILE, &nfile);
    const struct wm_plan_out *out = wm_plan_section(p, WM_PS_OUT, NULL);
    const struct wm_plan_infile *in = wm_plan_section(p, WM_PS_INFILE, &ninfile);
    const struct wm_plan_sidecar *side = wm_plan_section(p, WM_PS_SIDECAR, &nside);
    const char *file = wm_arena_cstr(a, path);
    struct wm_move *m;

    if (nfile != 1)
        return wm_fail(err, WM_EUSAGE, file, "--in-place: the map makes %" PRIu64 " files", nfile);
    if (ninfile != 1)
        return wm_fail(err, WM_EUSAGE, file, "--in-place: the map makes nothing of the file");
    for (uint64_t i = 0; i < nside; i++)
        if (side[i].from.len == 0)
            return wm_fail(err, WM_EUSAGE, file, "--in-place: the map also writes %.*s",
                           WM_STR_ARG(wm_plan_str(p, side[i].name)));
    n = wm_plan_moves(a, p, &m);
    for (uint64_t k = f->first, i = 0; k < f->first + f->ntensor; k++) {
        if (out[k].nbytes == 0)
            continue;
        while (i + 1 < n && m[i].to + m[i].n <= out[k].off)
            i++;
        if (n == 0 || m[i].to > out[k].off || out[k].off >= m[i].to + m[i].n || m[i].to != m[i].from)
            return wm_fail(err, WM_EUSAGE, file,
                           "%.*s: --in-place: its data would not stay where it is, so the file has to be written anew",
                           WM_STR_ARG(wm_plan_str(p, out[k].name)));
    }
    if (n && f->size != in[m[0].infile].size)
        return wm_fail(err, WM_EUSAGE, file,
                       "--in-place: the map leaves out data at the end, so the file has to be written anew");
    return WM_OK;
}

/* ---- doing it ---- */

/* The record in a file of its own, then under its name: all of it on the disk. */
static enum wm_status
save(struct inplace *x, const char *old, const char *new, uint64_t n)
{
    struct record r = {.size = (uint64_t)x->st.st_size, .n = n};
    char *temp = wm_place_temp(&x->place);
    uint32_t crc;
    int fd;
    enum wm_status st;

    memcpy(r.magic, magic, sizeof(magic));
    crc = wm_crc32(wm_crc32(wm_crc32(0, &r, sizeof(r)), old, (size_t)n), new, (size_t)n);
    do
        fd = x->sys->open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return wm_fail_sys(x->err, errno, temp, "cannot create");
    if ((st = wm_io_pwrite(x->sys, fd, temp, &r, sizeof(r), 0, x->err)) == WM_OK &&
        (st = wm_io_pwrite(x->sys, fd, temp, old, n, sizeof(r), x->err)) == WM_OK &&
        (st = wm_io_pwrite(x->sys, fd, temp, new, n, sizeof(r) + n, x->err)) == WM_OK)
        st = wm_io_pwrite(x->sys, fd, temp, &crc, sizeof(crc), sizeof(r) + 2 * n, x->err);
    if (st == WM_OK && x->sys->fsync(fd) != 0)
        st = wm_fail_sys(x->err, errno, temp, "cannot sync");
    x->sys->close(fd);
    if (st == WM_OK && x->sys->rename(temp, x->saved) != 0)
        st = wm_fail_sys(x->err, errno, x->saved, "cannot rename the saved header");
    if (st != WM_OK) {
        x->sys->unlink(temp);
        return st;
    }
    if ((st = sync_dir(x)) != WM_OK)
        x->sys->unlink(x->saved); /* nothing was changed yet */
    return st;
}

/* With the record in place. */
static enum wm_status
replace(struct inplace *x, const char *old, const char *new, uint64_t n)
{
    struct wm_err why = {0}, *err = x->err;
    enum wm_status st = put_head(x, new, n);

    if (st == WM_OK)
        return drop_record(x);
    x->err = &why;
    if (put_head(x, old, n) == WM_OK) {
        drop_record(x);
    } else {
        why = (struct wm_err){0};
        wm_fail(&why, WM_EIO, x->place.path,
                     "the new header could not be written, nor the old one put back; run again with --in-place to put "
                     "it back from %s (%s)",
                     x->saved, err->msg);
    }
    if (why.status == WM_EIO && why.msg[0])
        *err = why;
    x->err = err;
    return st;
}

static enum wm_status
write_head(struct inplace *x, const struct wm_plan_infile *in, struct wm_str new)
{
    struct stat st;
    char *old;
    enum wm_status rc = open_file(x);

    if (rc != WM_OK)
        return rc;
    if (x->sys->lstat(x->saved, &st) == 0)
        return wm_fail(x->err, WM_EIO, x->saved, "another run was killed meanwhile; run again");
    if ((uint64_t)x->st.st_size != in->size || x->st.st_mtim.tv_sec != in->mtime_sec ||
        x->st.st_mtim.tv_nsec != in->mtime_nsec || new.n > in->size)
        return wm_fail(x->err, WM_EIO, x->place.path, "the file changed meanwhile");
    old = wm_arena_alloc(x->a, new.n);
    if ((rc = wm_io_pread(x->sys, x->fd, x->place.path, old, new.n, 0, x->err)) != WM_OK)
        return rc;
    if (memcmp(old, new.p, new.n) == 0)
        return WM_OK;
    rc = save(x, old, new.p, new.n);
    return rc == WM_OK ? replace(x, old, new.p, new.n) : rc;
}

enum wm_status
wm_inplace_write(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path, const struct wm_plan *p,
                 struct wm_err *err)
{
    const struct wm_plan_outfile *f = wm_plan_section(p, WM_PS_OUTFILE, NULL);
    const struct wm_plan_infile *in = wm_plan_section(p, WM_PS_INFILE, NULL);
    struct wm_str head = {(const char *)wm_plan_blob(p, f->head), (size_t)f->head.len};
    struct inplace x;
    enum wm_status st = open_place(&x, a, sys, path, err);

    if (st == WM_OK)
        st = wm_place_lock(&x.place, err);
    if (st == WM_OK)
        st = write_head(&x, in, head);
    return close_all(&x, st);
}
