/* runtime/manifest_stream.c -- headers of checkpoints whose data comes later.
 *
 * In: the beginning of a stream, or a list of tensors.  Out: a manifest with one file, which is marked as a stream: it
 * can be bound and planned, but not opened.  Only a container whose header comes first and says where everything is
 * can be read so; of the others, the first bytes are enough to say why not. */
#include "runtime/manifest_stream.h"

#include <inttypes.h>

#include "base/checked.h"
#include "runtime/format.h"
#include "runtime/formats/safetensors.h"

enum wm_status
wm_feed_some(struct wm_feed *s, void *p, uint64_t n, uint64_t *got, struct wm_err *err)
{
    int64_t r = s->read(s->user, p, n);

    if (r < 0)
        return wm_fail_sys(err, (int)-r, s->name, "cannot read at %" PRIu64, s->at);
    if (r == 0)
        return wm_fail(err, WM_EFORMAT, s->name, "it ends after %" PRIu64 " bytes, where more were expected", s->at);
    *got = (uint64_t)r;
    s->at += (uint64_t)r;
    return WM_OK;
}

enum wm_status
wm_feed_read(struct wm_feed *s, void *p, uint64_t n, struct wm_err *err)
{
    char *to = p;

    while (n > 0) {
        uint64_t got = 0;
        enum wm_status st = wm_feed_some(s, to, n, &got, err);

        if (st != WM_OK)
            return st;
        to += got;
        n -= got;
    }
    return WM_OK;
}

enum wm_status
wm_feed_end(struct wm_feed *s, struct wm_err *err)
{
    char more;
    int64_t r = s->read(s->user, &more, 1);

    if (r < 0)
        return wm_fail_sys(err, (int)-r, s->name, "cannot read at %" PRIu64, s->at);
    return r == 0 ? WM_OK
                  : wm_fail(err, WM_EFORMAT, s->name, "bytes follow behind the last tensor, at %" PRIu64, s->at);
}

static struct wm_manifest *
one_file(struct wm_arena *a, const char *name)
{
    struct wm_manifest *m = WM_NEW(a, struct wm_manifest);
    struct wm_mfile *f;

    m->a = a;
    m->path = wm_arena_str(a, wm_str_c(name));
    wm_map_init(&m->by_name, a, 0);
    f = WM_PUSH(a, &m->file);
    *f = (struct wm_mfile){.path = m->path, .name = m->path, .format = WM_FMT_safetensors, .stream = true};
    return m;
}

/* A container that is no safetensors file, by its first bytes. */
static enum wm_status
other_container(const struct wm_feed *s, const unsigned char *head, struct wm_err *err)
{
    if (memcmp(head, "PK\3\4", 4) == 0)
        return wm_fail(err, WM_ESUPPORT, s->name,
                       "a zip container (.pth, .npz): its directory is at its end, so it can't be read as a stream; "
                       "write it to a file first");
    return wm_fail(err, WM_EFORMAT, s->name,
                   "not a safetensors file; no other container can be read as a stream (write it to a file first)");
}

enum wm_status
wm_manifest_stream(struct wm_arena *a, struct wm_feed *s, struct wm_manifest **out, struct wm_err *err)
{
    struct wm_manifest *m = one_file(a, s->name);
    unsigned char head[10];
    uint64_t len = 0;
    char *text;
    enum wm_status st = wm_feed_read(s, head, sizeof(head), err);

    if (st != WM_OK)
        return st;
    for (int k = 7; k >= 0; k--)
        len = len << 8 | head[k];
    if (len < 2 || len > WM_SAFETENSORS_MAX_HEADER || (head[8] != '{' && head[8] != ' '))
        return other_container(s, head, err);
    text = wm_arena_alloc(a, (size_t)len);
    memcpy(text, head + 8, 2);
    if ((st = wm_feed_read(s, text + 2, len - 2, err)) != WM_OK ||
        (st = wm_safetensors_header(m, 0, text, len, UINT64_MAX, err)) != WM_OK)
        return st;
    m->file.item[0].size = s->at + m->nbytes;
    *out = m;
    return WM_OK;
}

enum wm_status
wm_manifest_pushed(struct wm_arena *a, const struct wm_mtensor *t, uint32_t n, struct wm_manifest **out,
                   struct wm_err *err)
{
    struct wm_manifest *m = one_file(a, "pushed tensors");
    uint64_t at = 0;
    enum wm_status st;

    for (uint32_t i = 0; i < n; i++) {
        struct wm_mtensor *to = WM_PUSH(a, &m->tensor);
        int64_t count;

        *to = t[i];
        to->file = 0;
        to->off = at;
        to->store = &wm_mstore_plain;
        if (!wm_ck_numel(t[i].shape, t[i].rank, &count) || !wm_dtype_nbytes(t[i].dtype, count, &to->nbytes) ||
            !wm_ck_uadd(at, to->nbytes, &at))
            return wm_fail(err, WM_EUSAGE, NULL, "tensor \"%.*s\": its shape is no whole number of bytes",
                           WM_STR_ARG(t[i].name));
    }
    st = wm_manifest_register(m, 0, err);
    m->file.item[0].size = at;
    *out = m;
    return st;
}
