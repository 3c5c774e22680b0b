/* runtime/formats/npz.c -- NumPy's .npz: a zip file of stored arrays.
 *
 * Read: each entry NAME.npy is the tensor NAME.  Written: equal to np.savez, with the arrays in the order given.  Every
 * entry has its check sum in front of its data. */
#include <inttypes.h>

#include "base/crc32.h"
#include "base/utf8.h"
#include "runtime/formats/npy_header.h"
#include "runtime/formats/zip.h"
#include "runtime/formats/zip_write.h"

enum { VERSION = 45, UNIX = 3 << 8, OWNER = 0600, UTF8 = 0x800, EXTRA = 20 };
#define LIMIT UINT64_C(0x7fffffff) /* what Python's zipfile trusts 32 bits with */

static const struct wm_str suffix = {".npy", 4};

/* ---- reading ---- */

/* Its first entry is an array; an empty one is known by its name. */
static bool
probe(const unsigned char *p, size_t n, uint64_t size)
{
    size_t len;

    (void)size;
    if (!wm_zip_probe(p, n) || n < WM_ZIP_LOCAL)
        return false;
    len = p[26] | (size_t)p[27] << 8;
    return len <= n - WM_ZIP_LOCAL && wm_str_ends((struct wm_str){(const char *)p + WM_ZIP_LOCAL, len}, suffix);
}

static enum wm_status
read_entry(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file, const struct wm_zip *z,
           const struct wm_zip_entry *e, struct wm_err *err)
{
    struct wm_npy_header h;
    struct wm_str name = e->name;
    enum wm_status st;

    if (!wm_str_ends(name, suffix))
        return wm_fail(err, WM_ESUPPORT, z->path, "entry \"%.*s\" is no array", WM_STR_ARG(name));
    name.n -= suffix.n;
    st = wm_npy_header_read(m->a, sys, fd, z->path, wm_arena_cstr(m->a, e->name), e->off, e->size, &h, err);
    if (st == WM_OK)
        st = wm_npy_add(m, file, name, e->off, e->size, &h, z->path, err);
    if (st == WM_OK)
        wm_zip_add_sum(m, file, z, e);
    return st;
}

static enum wm_status
read(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file, struct wm_err *err)
{
    const struct wm_mfile *f = &m->file.item[file];
    uint32_t first = m->tensor.n;
    struct wm_zip z;
    enum wm_status st = wm_zip_open(m->a, sys, fd, f->path.p, 0, f->size, &z, err);

    for (uint32_t i = 0; st == WM_OK && i < z.n; i++)
        st = read_entry(sys, fd, m, file, &z, &z.entry[i], err);
    return st == WM_OK ? wm_manifest_register(m, first, err) : st;
}

/* ---- writing ---- */

static bool
is_ascii(struct wm_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static enum wm_status
put_tensor(struct wm_zipw *w, struct wm_wtensor *t, struct wm_err *err)
{
    struct wm_zipw_entry e = {.name = wm_arena_printf(w->a, "%.*s.npy", WM_STR_ARG(t->name)), .off = w->at,
                              .version = VERSION, .made = UNIX | VERSION,
                              .attributes = (uint32_t)OWNER << 16};
    struct wm_buf head;
    uint64_t from;
    enum wm_status st;

    wm_buf_init(&head, w->a);
    if ((st = wm_npy_header_write(&head, t, err)) != WM_OK)
        return st;
    e.size = head.n + t->nbytes; /* below 2^64: a tensor's bytes are below 2^63 */
    e.flags = is_ascii(t->name) ? 0 : UTF8;
    e.crc = t->nbytes ? 0 : wm_crc32(0, head.p, head.n);
    wm_zipw_local(w, &e, UINT32_MAX, EXTRA);
    wm_buf_le(&w->text, 1, 2);
    wm_buf_le(&w->text, EXTRA - 4, 2);
    wm_buf_le(&w->text, e.size, 8);
    wm_buf_le(&w->text, e.size, 8);
    w->at += EXTRA;
    from = w->at;
    wm_zipw_put(w, wm_buf_str(&head));
    if (!wm_zipw_tensor(w, t->nbytes, &t->off))
        return wm_fail(err, WM_ELIMIT, NULL, "tensor \"%.*s\": the file would be larger than 2^63 bytes",
                       WM_STR_ARG(t->name));
    if (t->nbytes)
        wm_zipw_sum(w, from, w->at, e.off + WM_ZIP_CRC);
    wm_zipw_central(w, &e, LIMIT);
    return WM_OK;
}

static enum wm_status
layout(struct wm_arena *a, struct wm_wtensor *t, uint32_t n, const struct wm_wopts *o, struct wm_wfile *out,
       struct wm_err *err)
{
    struct wm_map names;
    struct wm_zipw w;
    enum wm_status st = WM_OK;

    (void)o;
    wm_map_init(&names, a, n);
    wm_zipw_init(&w, a, out);
    for (uint32_t i = 0; i < n && st == WM_OK; i++) {
        if (wm_map_put(&names, t[i].name, i) != i)
            return wm_fail(err, WM_EFORMAT, NULL, "two tensors named \"%.*s\" in one file", WM_STR_ARG(t[i].name));
        if (!wm_utf8_valid(t[i].name, NULL) || !wm_path_is_inside(t[i].name) || t[i].name.n > UINT16_MAX - suffix.n)
            return wm_fail(err, WM_ESUPPORT, NULL, "tensor \"%.*s\": a .npz can not hold this name",
                           WM_STR_ARG(t[i].name));
        t[i].same = WM_NONE;
        t[i].codec = WM_CODEC_RAW;
        st = put_tensor(&w, &t[i], err);
    }
    if (st == WM_OK && !wm_zipw_finish(&w, false, VERSION, LIMIT))
        st = wm_fail(err, WM_ELIMIT, NULL, "the directory of %" PRIu32 " tensors would be too large", n);
    return st;
}

const struct wm_format wm_format_npz = {
    .name = "npz",
    .suffix = ".npz",
    .probe = probe,
    .read = read,
    .layout = layout,
    .stem = "model",
};
