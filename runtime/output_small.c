/* runtime/output_small.c -- the bytes around the tensors, check sums, and the small files that go along.
 *
 * In: constants of the plan and paths of sidecars.  Out: complete temporaries, ready to be
 * committed. */
#include "runtime/output_priv.h"

#include <errno.h>
#include <inttypes.h>

#include "base/checked.h"
#include "base/crc32.h"
#include "runtime/io.h"

enum { COPY = 1 << 18 }; /* bytes at a time */

static enum wm_status
write_blob(struct wm_output *o, struct wm_temp *t, struct wm_plan_bytes b, uint64_t off,
           struct wm_err *err)
{
    if (!wm_ck_range(b.off, b.len, o->nblob))
        return wm_fail(err, WM_EFORMAT, t->path, "the plan's constants are out of range");
    return wm_io_pwrite(o->sys, t->fd, t->path, o->blob + b.off, b.len, off, err);
}

static enum wm_status
copy_file(struct wm_output *o, struct wm_temp *t, int from, const char *path, uint64_t size,
          struct wm_err *err)
{
    char *buf = wm_arena_alloc(o->a, COPY);
    enum wm_status st = WM_OK;

    for (uint64_t at = 0; st == WM_OK && at < size;) {
        uint64_t n = size - at < COPY ? size - at : COPY;

        st = wm_io_pread(o->sys, from, path, buf, n, at, err);
        if (st == WM_OK)
            st = wm_io_pwrite(o->sys, t->fd, t->path, buf, n, at, err);
        at += n;
    }
    return st;
}

/* A temporary for a sidecar: inside the directory, or beside the file that is the output. */
static enum wm_status
create_sidecar(struct wm_output *o, struct wm_str name, struct wm_temp **t, struct wm_err *err)
{
    struct wm_str path;
    enum wm_status st;

    if (!o->is_dir) {
        path = wm_arena_printf(o->a, "%s/%.*s", o->place.dir, WM_STR_ARG(name));
        return wm_output_create(o, wm_place_temp(&o->place), path.p, t, err);
    }
    st = wm_output_parents(o, name, err);
    path = wm_arena_printf(o->a, "%s/%.*s", o->root, WM_STR_ARG(name));
    return st == WM_OK ? wm_output_create(o, path.p, NULL, t, err) : st;
}

static enum wm_status
carry_file(struct wm_output *o, struct wm_str name, const char *from, struct wm_err *err)
{
    struct wm_str path = wm_arena_printf(o->a, "%s/%.*s", o->place.dir, WM_STR_ARG(name));
    struct stat st, old;
    struct wm_temp *t;
    int fd;
    enum wm_status rc = wm_io_open(o->sys, from, false, &fd, &st, err);

    if (rc != WM_OK)
        return rc;
    if (!o->is_dir && o->sys->stat(path.p, &old) == 0 && old.st_dev == st.st_dev &&
        old.st_ino == st.st_ino) {
        o->sys->close(fd); /* it stands there already */
        return WM_OK;
    }
    rc = create_sidecar(o, name, &t, err);
    if (rc == WM_OK)
        rc = copy_file(o, t, fd, from, (uint64_t)st.st_size, err);
    o->sys->close(fd);
    return rc;
}

static enum wm_status
write_sidecar(struct wm_output *o, const struct wm_plan_sidecar *s, struct wm_err *err)
{
    struct wm_str name = wm_plan_str(o->plan, s->name), from = wm_plan_str(o->plan, s->from);
    struct wm_temp *t;
    enum wm_status st;

    if (from.n)
        return carry_file(o, name, wm_arena_cstr(o->a, from), err);
    st = create_sidecar(o, name, &t, err);
    return st == WM_OK ? write_blob(o, t, s->bytes, 0, err) : st;
}

/* The sums that are not known: of what is in the files now. */
static enum wm_status
read_sums(struct wm_output *o, const struct wm_plan_sum *s, uint64_t n, struct wm_err *err)
{
    uint32_t *sum = WM_NEW_N(o->a, uint32_t, n);
    char *buf = wm_arena_alloc(o->a, COPY);
    enum wm_status st = WM_OK;

    for (uint64_t i = 0; i < n; i++) {
        const struct wm_temp *t = o->of_file[s[i].file];
        bool known = o->sum && (!o->known || o->known[i]);

        sum[i] = known ? o->sum[i] : 0;
        for (uint64_t at = s[i].lo, m; st == WM_OK && !known && at < s[i].hi; at += m) {
            m = s[i].hi - at < COPY ? s[i].hi - at : COPY;
            st = wm_io_pread(o->sys, t->fd, t->path, buf, m, at, err);
            if (st == WM_OK)
                sum[i] = wm_crc32(sum[i], buf, m);
        }
    }
    o->sum = sum;
    return st;
}

/* The check sums to their fields, over heads and tails. */
static enum wm_status
write_sums(struct wm_output *o, struct wm_err *err)
{
    uint64_t n;
    const struct wm_plan_sum *s = wm_plan_section(o->plan, WM_PS_SUM, &n);
    enum wm_status st = WM_OK;

    if (n)
        st = read_sums(o, s, n, err);
    if (st != WM_OK)
        return st;
    for (uint64_t i = 0; i < n; i++) {
        const struct wm_temp *t = o->of_file[s[i].file];
        unsigned char le[4];

        for (int k = 0; k < 4; k++)
            le[k] = (unsigned char)(o->sum[i] >> (8 * k) & 0xff);
        for (uint32_t k = 0; k < s[i].nfield && st == WM_OK; k++)
            st = wm_io_pwrite(o->sys, t->fd, t->path, le, sizeof(le), s[i].field[k], err);
    }
    return st;
}

enum wm_status
wm_output_write_small(struct wm_output *o, struct wm_err *err)
{
    enum wm_status st = WM_OK;

    for (uint64_t i = 0; st == WM_OK && i < o->nfile; i++) {
        const struct wm_plan_outfile *f = &o->file[i];

        if (f->head.len > f->size || f->tail.len > f->size - f->head.len)
            return wm_fail(err, WM_EFORMAT, o->of_file[i]->path,
                           "the plan's constants are larger than the file");
        st = write_blob(o, o->of_file[i], f->head, 0, err);
        if (st == WM_OK)
            st = write_blob(o, o->of_file[i], f->tail, f->size - f->tail.len, err);
    }
    if (st == WM_OK)
        st = write_sums(o, err);
    for (uint64_t i = 0; st == WM_OK && i < o->nsidecar; i++)
        st = write_sidecar(o, &o->sidecar[i], err);
    return st;
}
