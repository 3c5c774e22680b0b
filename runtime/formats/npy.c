/* runtime/formats/npy.c -- one array of NumPy in a file, format versions 1 to 3.
 *
 * The file has no name for the array: the tensor is called as the file is, without ".npy".  So a directory of such
 * files is read like an unpacked .npz. */
#include "base/checked.h"
#include "runtime/formats/npy_header.h"

static enum wm_status
read(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file, struct wm_err *err)
{
    const struct wm_mfile *f = &m->file.item[file];
    struct wm_str name = f->name, suffix = WM_STR(".npy");
    struct wm_npy_header h;
    uint32_t first = m->tensor.n;
    enum wm_status st = wm_npy_header_read(m->a, sys, fd, f->path.p, "header", 0, f->size, &h, err);

    if (st != WM_OK)
        return st;
    if (wm_str_ends(name, suffix) && name.n > suffix.n)
        name.n -= suffix.n;
    st = wm_npy_add(m, file, name, 0, f->size, &h, f->path.p, err);
    return st == WM_OK ? wm_manifest_register(m, first, err) : st;
}

static enum wm_status
layout(struct wm_arena *a, struct wm_wtensor *t, uint32_t n, const struct wm_wopts *o, struct wm_wfile *out,
       struct wm_err *err)
{
    struct wm_buf b;
    enum wm_status st;

    if (n != 1)
        return wm_fail(err, WM_ESUPPORT, NULL,
                       "%.*s: a .npy file holds one tensor, not %u; write a .npz, or a directory with --format npy",
                       WM_STR_ARG(o->name), n);
    wm_buf_init(&b, a);
    if ((st = wm_npy_header_write(&b, t, err)) != WM_OK)
        return st;
    *out = (struct wm_wfile){.head = wm_buf_str(&b)};
    t->off = b.n;
    t->same = WM_NONE;
    t->codec = WM_CODEC_RAW;
    if (!wm_ck_uadd(b.n, t->nbytes, &out->size) || out->size > INT64_MAX)
        return wm_fail(err, WM_ELIMIT, NULL, "the file would be larger than 2^63 bytes");
    return WM_OK;
}

const struct wm_format wm_format_npy = {
    .name = "npy",
    .suffix = ".npy",
    .single = true,
    .probe = wm_npy_probe,
    .read = read,
    .layout = layout,
};
