/* runtime/formats/torch_json.c -- plain values that torch.save wrote, as the JSON text of the same values.
 *
 * In: a zip file whose pickle holds dicts, lists, tuples, texts, numbers, True, False and None.  Out: objects, arrays
 * (tuples, too), strings, numbers, true, false, null.  Nothing is run; tensors and objects of classes are refused. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "base/buf.h"
#include "runtime/formats/torch.h"
#include "runtime/io.h"

enum { MAX_DEPTH = 64 };

struct writer {
    struct wm_buf b;
    uint64_t most; /* bytes: a pickle may share its parts, so that few bytes mean many */
    const char *path;
    struct wm_err *err;
};

static enum wm_status
refuse(const struct writer *w, const char *what)
{
    return wm_fail(w->err, WM_EFORMAT, w->path, "a pickle of more than plain values: %s", what);
}

static enum wm_status put(struct writer *w, const struct wm_pk *v, unsigned depth);

static enum wm_status
put_items(struct writer *w, const struct wm_pk *v, unsigned depth)
{
    bool dict = v->kind == WM_PK_DICT;
    enum wm_status st = WM_OK;

    if (depth == MAX_DEPTH)
        return refuse(w, "it is nested too deep");
    wm_buf_putc(&w->b, dict ? '{' : '[');
    for (uint32_t k = 0; k < v->n && st == WM_OK; k++) {
        if (dict && k % 2 == 0 && v->item[k]->kind != WM_PK_STR)
            return refuse(w, "a key that is no text");
        if (k > 0)
            wm_buf_putc(&w->b, dict && k % 2 ? ':' : ',');
        st = put(w, v->item[k], depth + 1);
    }
    wm_buf_putc(&w->b, dict ? '}' : ']');
    return st;
}

static enum wm_status
put(struct writer *w, const struct wm_pk *v, unsigned depth)
{
    if (w->b.n > w->most)
        return refuse(w, "it is too long");
    switch (v->kind) {
    case WM_PK_NONE:
        wm_buf_putz(&w->b, "null");
        return WM_OK;
    case WM_PK_BOOL:
        wm_buf_putz(&w->b, v->i ? "true" : "false");
        return WM_OK;
    case WM_PK_INT:
        wm_buf_printf(&w->b, "%" PRId64, v->i);
        return WM_OK;
    case WM_PK_FLOAT:
        if (!isfinite(v->f))
            return refuse(w, "a number that is not finite");
        wm_buf_printf(&w->b, "%.17g%s", v->f, v->f == floor(v->f) && fabs(v->f) < 1e15 ? ".0" : "");
        return WM_OK;
    case WM_PK_STR:
        wm_buf_json(&w->b, wm_pk_str(v));
        return WM_OK;
    case WM_PK_TUPLE:
    case WM_PK_LIST:
    case WM_PK_DICT:
        return put_items(w, v, depth);
    default:
        return refuse(w, wm_pk_type_name(v, wm_torch_classes));
    }
}

enum wm_status
wm_torch_json(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path, uint64_t most, struct wm_str *out,
              struct wm_err *err)
{
    struct wm_manifest m = {.a = a};
    struct writer w = {.most = most, .path = wm_arena_cstr(a, path), .err = err};
    struct stat about;
    struct wm_pk *v;
    int fd;
    enum wm_status st = wm_io_open(sys, w.path, false, &fd, &about, err);

    if (st != WM_OK)
        return st;
    *WM_PUSH(a, &m.file) = (struct wm_mfile){.path = {w.path, path.n}, .size = (uint64_t)about.st_size};
    st = wm_torch_read_value(sys, fd, &m, &v, err);
    if (sys->close(fd) != 0 && st == WM_OK)
        st = wm_fail_sys(err, errno, w.path, "cannot be read");
    wm_buf_init(&w.b, a);
    if (st == WM_OK)
        st = put(&w, v, 0);
    *out = wm_buf_str(&w.b);
    return st;
}
