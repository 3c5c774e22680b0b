/* runtime/formats/torch_zip.c -- what torch.save writes: a zip file with a pickle and an entry for each storage.
 *
 * In: such a file, or one of the older kind (torch_legacy.c).  Out: its tensors as views of entries.  Nothing of
 * the pickle is run; the data are not read, their check sums are noted. */
#include <inttypes.h>

#include "base/buf.h"
#include "runtime/format.h"
#include "runtime/formats/torch.h"
#include "runtime/formats/zip.h"
#include "runtime/io.h"

struct reader {
    const struct wm_sys *sys;
    int fd;
    uint64_t base, size;  /* of the zip file in the open one */
    struct wm_torch t;
    struct wm_zip z;
    struct wm_str folder; /* with its slash */
    struct wm_buf name;   /* that is looked for */
    struct wm_err *err;
};

/* A .npz is told from it by its first entry. */
bool
wm_torch_probe(const unsigned char *p, size_t n, uint64_t size)
{
    return (wm_zip_probe(p, n) && !wm_format_npz.probe(p, n, size)) || wm_torch_legacy_probe(p, n);
}

/* The entry of that name (in two parts) in the file's folder, or NULL.  A name may hold any bytes. */
static const struct wm_zip_entry *
find_in(struct reader *r, struct wm_str sub, struct wm_str name)
{
    r->name.n = 0;
    wm_buf_puts(&r->name, r->folder);
    wm_buf_puts(&r->name, sub);
    wm_buf_puts(&r->name, name);
    return wm_zip_find(&r->z, wm_buf_str(&r->name));
}

static const struct wm_zip_entry *
find(struct reader *r, struct wm_str name)
{
    return find_in(r, WM_STR(""), name);
}

/* The first compressed entry of a TorchScript program is its code. */
static enum wm_status
is_script(struct reader *r)
{
    r->err->status = WM_OK;
    return wm_fail(r->err, WM_ESUPPORT, r->t.path,
                   "a TorchScript program, not a checkpoint: save its state_dict() with torch.save");
}

/* All entries are in one folder, that of the pickle. */
static enum wm_status
check_folder(struct reader *r)
{
    const char *slash = r->z.n ? memchr(r->z.entry[0].name.p, '/', r->z.entry[0].name.n) : NULL;

    if (!slash)
        return wm_fail(r->err, WM_EFORMAT, r->t.path, "a zip file, but no PyTorch checkpoint: no folder with data.pkl");
    r->folder = (struct wm_str){r->z.entry[0].name.p, (size_t)(slash - r->z.entry[0].name.p) + 1};
    for (uint32_t k = 0; k < r->z.n; k++)
        if (!wm_str_starts(r->z.entry[k].name, r->folder))
            return wm_fail(r->err, WM_EFORMAT, r->t.path, "zip entry \"%.*s\": outside of the folder \"%.*s\"",
                           WM_STR_ARG(r->z.entry[k].name), WM_STR_ARG(r->folder));
    return find(r, WM_STR("constants.pkl")) ? is_script(r) : WM_OK;
}

static enum wm_status
read_byteorder(struct reader *r)
{
    const struct wm_zip_entry *e = find(r, WM_STR("byteorder"));
    struct wm_str s;
    enum wm_status st;

    if (!e)
        return WM_OK;
    st = wm_zip_bytes(r->t.a, r->sys, r->fd, &r->z, e, 64, &s, r->err);
    if (st != WM_OK)
        return st;
    r->t.swap = wm_str_eq(s, WM_STR("big"));
    return r->t.swap || wm_str_eq(s, WM_STR("little"))
               ? WM_OK
               : wm_fail(r->err, WM_EFORMAT, r->t.path, "byteorder: \"%.*s\" is neither little nor big", WM_STR_ARG(s));
}

static enum wm_status
place_storages(struct reader *r)
{
    for (uint32_t k = 0; k < r->t.storage.n; k++) {
        struct wm_torch_storage *s = &r->t.storage.item[k];
        const struct wm_zip_entry *e = find_in(r, WM_STR("data/"), s->key);

        if (!e)
            return wm_fail(r->err, WM_EFORMAT, r->t.path, "storage \"%.*s\" has no entry \"%.*sdata/%.*s\"",
                           WM_STR_ARG(s->key), WM_STR_ARG(r->folder), WM_STR_ARG(s->key));
        if (s->dtype != WM_DT_N && e->size != s->nbytes)
            return wm_fail(r->err, WM_EFORMAT, r->t.path,
                           "storage \"%.*s\": its entry has %" PRIu64 " bytes, its elements need %" PRIu64,
                           WM_STR_ARG(s->key), e->size, s->nbytes);
        s->off = e->off;
        wm_zip_add_sum(r->t.m, r->t.file, &r->z, e);
    }
    return WM_OK;
}

/* All but the tensors. */
static enum wm_status
read_zip(struct reader *r)
{
    const struct wm_zip_entry *e;
    struct wm_str pickle;
    enum wm_status st = wm_zip_open(r->t.a, r->sys, r->fd, r->t.path, r->base, r->size, &r->z, r->err);

    if (r->z.compressed.n && memmem(r->z.compressed.p, r->z.compressed.n, "/code/", 6))
        return is_script(r);
    if (st == WM_OK)
        st = check_folder(r);
    if (st == WM_OK)
        st = read_byteorder(r);
    if (st != WM_OK)
        return st;
    e = find(r, WM_STR("data.pkl"));
    if (!e)
        return wm_fail(r->err, WM_EFORMAT, r->t.path, "a zip file, but no PyTorch checkpoint: no \"%.*sdata.pkl\"",
                       WM_STR_ARG(r->folder));
    st = wm_zip_bytes(r->t.a, r->sys, r->fd, &r->z, e, WM_PK_MAX_BYTES, &pickle, r->err);
    if (st == WM_OK)
        st = wm_torch_parse(&r->t, "data.pkl", pickle);
    if (st == WM_EIO) {
        r->err->status = WM_EFORMAT;
        return WM_EFORMAT;
    }
    if (st == WM_OK && r->t.tree.used != pickle.n)
        return wm_fail(r->err, WM_EFORMAT, r->t.path, "data.pkl: %zu bytes behind its end", pickle.n - r->t.tree.used);
    return st == WM_OK ? place_storages(r) : st;
}

enum wm_status
wm_torch_read(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file, struct wm_err *err)
{
    struct reader r = {.sys = sys, .fd = fd, .err = err};
    const struct wm_mfile *f = &m->file.item[file];
    unsigned char head[512];
    size_t n = f->size < sizeof(head) ? (size_t)f->size : sizeof(head);
    enum wm_status st = wm_io_pread(sys, fd, f->path.p, head, n, 0, err);

    if (st != WM_OK)
        return st;
    if (wm_torch_legacy_probe(head, n))
        return wm_torch_legacy_read(sys, fd, m, file, err);
    if (!wm_zip_probe(head, n))
        return wm_fail(err, WM_EFORMAT, f->path.p, "not a PyTorch checkpoint%s",
                       n >= 262 && memcmp(head + 257, "ustar", 5) == 0 ? ", but a tar file (as torch wrote before 0.1.10)"
                       : n >= 2 && head[0] == 0x80 && head[1] <= 5     ? ", but another pickle (nothing of it was run)"
                                                                       : "");
    wm_torch_init(&r.t, m, file, err);
    r.t.sys = sys;
    wm_buf_init(&r.name, m->a);
    r.size = f->size;
    st = read_zip(&r);
    return st == WM_OK ? wm_torch_finish(&r.t) : st;
}

enum wm_status
wm_torch_read_item(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file,
                   const struct wm_torch_item *item, struct wm_err *err)
{
    struct reader r = {.sys = sys, .fd = fd, .base = item->off, .size = item->len, .err = err};
    enum wm_status st;

    wm_torch_init(&r.t, m, file, err);
    r.t.path = item->what;
    wm_buf_init(&r.name, m->a);
    st = read_zip(&r);
    if (st == WM_OK && !wm_torch_is_tensor(r.t.tree.value))
        return wm_fail(err, WM_EFORMAT, item->what, "holds no tensor but a value of type %s",
                       wm_pk_type_name(r.t.tree.value, wm_torch_classes));
    return st == WM_OK ? wm_torch_add(&r.t, item->name, r.t.tree.value) : st;
}

enum wm_status
wm_torch_read_value(const struct wm_sys *sys, int fd, struct wm_manifest *m, struct wm_pk **out, struct wm_err *err)
{
    struct reader r = {.sys = sys, .fd = fd, .size = m->file.item[0].size, .err = err};
    enum wm_status st;

    wm_torch_init(&r.t, m, 0, err);
    wm_buf_init(&r.name, m->a);
    st = read_zip(&r);
    *out = r.t.tree.value;
    return st;
}
