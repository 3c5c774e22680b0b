/* runtime/formats/torch_legacy.c -- what torch.save wrote before 1.6, and still writes when asked to.
 *
 * In: a file of pickles in a row (a magic number, a version, facts of the system, the tree, the keys of its storages),
 * then of each storage its number of elements in eight bytes and its elements; always little-endian.  Out: as
 * torch_zip.c.  How long a pickle is shows only when it is read: it is read from a buffer that grows. */
#include <inttypes.h>

#include "base/checked.h"
#include "runtime/formats/torch.h"
#include "runtime/io.h"

enum { FIRST = 1 << 20, VERSION = 1001 };

static const unsigned char magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

struct reader {
    const struct wm_sys *sys;
    int fd;
    struct wm_torch t;
    uint64_t size;     /* of the file */
    struct wm_str buf; /* its first bytes */
    uint64_t at;       /* behind what was read */
    struct wm_err *err;
};

bool
wm_torch_legacy_probe(const unsigned char *p, size_t n)
{
    return n >= 14 && p[0] == 0x80 && p[1] <= 5 && p[2] == 0x8a && p[3] == sizeof(magic) &&
           memcmp(p + 4, magic, sizeof(magic)) == 0;
}

/* More of the file in the buffer: four times as much. */
static enum wm_status
grow(struct reader *r)
{
    uint64_t want = r->buf.n ? (uint64_t)r->buf.n * 4 : FIRST;
    char *p;

    if (want > WM_PK_MAX_BYTES)
        want = WM_PK_MAX_BYTES;
    if (want > r->size)
        want = r->size;
    if (want <= r->buf.n)
        return wm_fail(r->err, r->buf.n == r->size ? WM_EFORMAT : WM_ELIMIT, r->t.path,
                       r->buf.n == r->size ? "it ends in the middle of a pickle" : "pickles of more than %d MiB",
                       WM_PK_MAX_BYTES >> 20);
    p = wm_arena_alloc(r->t.a, (size_t)want);
    r->buf = (struct wm_str){p, (size_t)want};
    return wm_io_pread(r->sys, r->fd, r->t.path, p, want, 0, r->err);
}

/* The next pickle: `tree` is that of the tensors, any other one has no classes. */
static enum wm_status
next(struct reader *r, const char *part, bool tree, struct wm_pk **out)
{
    const struct wm_pk_opts o = {r->t.path, part, NULL, 0, false};

    for (;;) {
        struct wm_str rest = {r->buf.n ? r->buf.p + r->at : NULL, r->buf.n - (size_t)r->at};
        struct wm_err err = {0};
        struct wm_pk_result got = {0};
        enum wm_status st;

        r->t.err = &err;
        st = tree ? wm_torch_parse(&r->t, part, rest) : wm_pk_read(r->t.a, &o, rest, &got, &err);
        r->t.err = r->err;
        if (st == WM_OK) {
            if (tree)
                got = r->t.tree;
            r->at += got.used;
            *out = got.value;
            return WM_OK;
        }
        if (st != WM_EIO) {
            *r->err = err;
            return st;
        }
        st = grow(r);
        if (st != WM_OK)
            return st;
    }
}

static enum wm_status
bad(struct reader *r, const char *what)
{
    return wm_fail(r->err, WM_EFORMAT, r->t.path, "not a PyTorch checkpoint: %s", what);
}

static enum wm_status
read_start(struct reader *r)
{
    struct wm_pk *v;
    enum wm_status st = next(r, "magic number", false, &v);

    if (st != WM_OK)
        return st;
    if (v->kind != WM_PK_BIG || v->n != sizeof(magic) || memcmp(v->s, magic, sizeof(magic)) != 0)
        return bad(r, "another magic number");
    st = next(r, "version", false, &v);
    if (st != WM_OK)
        return st;
    if (v->kind != WM_PK_INT || v->i != VERSION)
        return bad(r, "another version of its format than 1001");
    return next(r, "system", false, &v);
}

/* The storage of the next key: its number of elements, then they. */
static enum wm_status
place_storage(struct reader *r, const struct wm_pk *key, bool *placed)
{
    unsigned char p[8];
    struct wm_torch_storage *s;
    uint64_t numel = 0;
    uint32_t k = key->kind == WM_PK_STR ? wm_map_get(&r->t.by_key, wm_pk_str(key)) : WM_NONE;
    enum wm_status st;

    if (k == WM_NONE || placed[k])
        return bad(r, "its list of storages names one twice, or one that no tensor has");
    placed[k] = true;
    s = &r->t.storage.item[k];
    if (s->dtype == WM_DT_N)
        return wm_fail(r->err, WM_ESUPPORT, r->t.path, "storage \"%.*s\": of %s, which is not read", WM_STR_ARG(s->key),
                       wm_torch_classes[s->cls].name);
    if (!wm_ck_range(r->at, sizeof(p), r->size))
        return wm_fail(r->err, WM_EFORMAT, r->t.path, "storage \"%.*s\": the file ends before it", WM_STR_ARG(s->key));
    st = wm_io_pread(r->sys, r->fd, r->t.path, p, sizeof(p), r->at, r->err);
    if (st != WM_OK)
        return st;
    for (int b = 7; b >= 0; b--)
        numel = numel << 8 | p[b];
    s->off = r->at + sizeof(p);
    if (numel != s->nbytes / (wm_dtype_info[s->dtype].bits / 8))
        return wm_fail(r->err, WM_EFORMAT, r->t.path,
                       "storage \"%.*s\": %" PRIu64 " elements, but its tensors refer to one of %" PRIu64 " bytes",
                       WM_STR_ARG(s->key), numel, s->nbytes);
    if (!wm_ck_range(s->off, s->nbytes, r->size))
        return wm_fail(r->err, WM_EFORMAT, r->t.path,
                       "storage \"%.*s\": needs %" PRIu64 " bytes at %" PRIu64 ", but the file has only %" PRIu64,
                       WM_STR_ARG(s->key), s->nbytes, s->off, r->size);
    r->at = s->off + s->nbytes;
    return WM_OK;
}

static enum wm_status
place_storages(struct reader *r, const struct wm_pk *keys)
{
    bool *placed = WM_NEW_N(r->t.a, bool, r->t.storage.n);
    enum wm_status st = WM_OK;

    if (keys->kind != WM_PK_LIST)
        return bad(r, "its list of storages is none");
    for (uint32_t k = 0; st == WM_OK && k < keys->n; k++)
        st = place_storage(r, keys->item[k], placed);
    if (st != WM_OK)
        return st;
    for (uint32_t k = 0; k < r->t.storage.n; k++)
        if (!placed[k])
            return wm_fail(r->err, WM_EFORMAT, r->t.path, "storage \"%.*s\" is not in the file",
                           WM_STR_ARG(r->t.storage.item[k].key));
    if (r->at != r->size)
        return wm_fail(r->err, WM_EFORMAT, r->t.path, "%" PRIu64 " bytes behind the last storage belong to none",
                       r->size - r->at);
    return WM_OK;
}

enum wm_status
wm_torch_legacy_read(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file, struct wm_err *err)
{
    struct reader r = {.sys = sys, .fd = fd, .size = m->file.item[file].size, .err = err};
    struct wm_pk *tree, *keys;
    enum wm_status st;

    wm_torch_init(&r.t, m, file, err);
    r.t.sys = sys;
    st = read_start(&r);
    if (st == WM_OK)
        st = next(&r, "tensors", true, &tree);
    if (st == WM_OK)
        st = next(&r, "storage keys", false, &keys);
    if (st == WM_OK)
        st = place_storages(&r, keys);
    return st == WM_OK ? wm_torch_finish(&r.t) : st;
}
