/* runtime/formats/msgpack.c -- reading checkpoints of tt-train, and the row of the table.
 *
 * In: a file that is one map.  Out: its tensors in the order of the file, named by their keys without "/data".
 * Arrays are scanned to their ends, since only that tells where they end and how their numbers are spelled; no
 * element is kept.  Values that are no pairs of tt-train are given to msgpack_numpy.c. */
#include "runtime/formats/msgpack.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/utf8.h"

/* A map with entries, whose first key is text or bytes that the file has. */
static bool
probe(const unsigned char *p, size_t n, uint64_t size)
{
    size_t at = n == 0 ? 0 : p[0] > 0x80 && p[0] < 0x90 ? 1 : p[0] == 0xde ? 3 : p[0] == 0xdf ? 5 : 0;
    uint64_t len = 0, head;

    if (at == 0 || at >= n)
        return false;
    head = wm_mp_head[p[at]];
    if (p[at] >= 0xa0 && p[at] < 0xc0)
        len = p[at] & 0x1f;
    else if ((p[at] < 0xd9 || p[at] > 0xdb) && (p[at] < 0xc4 || p[at] > 0xc6))
        return false;
    if (at + head > n)
        return false;
    for (size_t k = 1; k < head; k++)
        len = len << 8 | p[at + k];
    return wm_ck_range(at + head, len, size);
}

enum wm_status
wm_msgpack_key(struct wm_msgpack_file *f, const struct wm_mp_item *item, struct wm_str *out)
{
    if (++f->nkey > WM_MSGPACK_MAX_KEYS)
        return wm_fail(f->r.err, WM_ELIMIT, f->r.file, "more than %d keys", WM_MSGPACK_MAX_KEYS);
    f->key_bytes += item->n;
    if (f->key_bytes > WM_MSGPACK_MAX_KEY_BYTES)
        return wm_fail(f->r.err, WM_ELIMIT, f->r.file, "more than %d bytes of keys", WM_MSGPACK_MAX_KEY_BYTES);
    return wm_mp_text(&f->r, item, f->m->a, WM_MAX_NAME, out);
}

/* ---- shapes ---- */

static uint64_t
little_endian(const char *p, size_t n)
{
    uint64_t v = 0;

    while (n-- > 0)
        v = v << 8 | (unsigned char)p[n];
    return v;
}

static bool
has_elements(const int64_t *shape, uint32_t rank, int64_t n)
{
    int64_t product;

    return wm_ck_numel(shape, rank, &product) && product == n;
}

/* The struct of 2024: size_t rank; uint32_t dim[8]; size_t rank; { size_t front, back; } pad[8]; int.  The
 * elements are those without the padding. */
static bool
legacy_shape(struct wm_str b, int64_t *shape, uint32_t *rank)
{
    enum { DIMS = 8, PADS = 8 + 4 * DIMS + 8, ALL = PADS + 16 * DIMS };
    uint64_t r = b.n >= ALL ? little_endian(b.p, 8) : 0;

    if (b.n < ALL || r > DIMS || little_endian(b.p + PADS - 8, 8) != r)
        return false;
    for (uint32_t k = 0; k < r; k++) {
        int64_t d = (int64_t)little_endian(b.p + 8 + 4 * k, 4);
        uint64_t front = little_endian(b.p + PADS + 16 * k, 8), back = little_endian(b.p + PADS + 16 * k + 8, 8);

        if (front > (uint64_t)d || back > (uint64_t)d - front)
            return false;
        shape[k] = d - (int64_t)(front + back);
    }
    *rank = (uint32_t)r;
    return true;
}

bool
wm_tt_shape(struct wm_arena *a, struct wm_str b, int64_t n, const int64_t **shape, uint32_t *rank)
{
    int64_t s[WM_MAX_RANK], *copy;
    bool found = false;

    if (b.n % 4 == 0 && b.n / 4 <= WM_MAX_RANK) {
        *rank = (uint32_t)(b.n / 4);
        for (uint32_t k = 0; k < *rank; k++)
            s[k] = (int64_t)little_endian(b.p + 4 * k, 4);
        found = has_elements(s, *rank, n);
    }
    if (!found)
        found = legacy_shape(b, s, rank) && has_elements(s, *rank, n);
    if (!found)
        return false;
    copy = WM_NEW_N(a, int64_t, *rank);
    if (*rank)
        memcpy(copy, s, *rank * sizeof(*copy));
    *shape = copy;
    return true;
}

/* ---- tt-train ---- */

struct shapes {
    struct wm_map by_name; /* tensor -> its bytes */
    WM_VEC(struct wm_str) bytes;
};

static uint32_t
codec_of(const struct wm_mp_run *run, bool is_u32)
{
    switch (run->lead) {
    case WM_MP_F32:
        return WM_CODEC_MSGPACK_F32;
    case WM_MP_F64:
        return WM_CODEC_MSGPACK_F64;
    case WM_MP_U32:
        return WM_CODEC_MSGPACK_U32;
    default:
        return is_u32 ? WM_CODEC_MSGPACK_U32_MIXED : WM_CODEC_MSGPACK_MIXED;
    }
}

/* The array at "N/data": a tensor N of numbers in float32 or, by its variant, integers; flat as yet. */
static enum wm_status
read_data(struct wm_msgpack_file *f, struct wm_str key, struct wm_str name, bool is_u32)
{
    struct wm_mtensor t = {.name = name, .file = f->file, .dtype = is_u32 ? WM_DT_U32 : WM_DT_F32, .rank = 1};
    struct wm_mp_item item;
    struct wm_mp_run run;
    int64_t *shape = WM_NEW_N(f->m->a, int64_t, 1);
    struct wm_mstore store = {0};
    enum wm_status st = wm_mp_next(&f->r, &item);

    if (st != WM_OK)
        return st;
    if (item.kind == WM_MP_MAP) { /* packed by msgpack-numpy after all */
        f->path.n = 0;
        wm_buf_puts(&f->path, name);
        return wm_msgpack_nested(f, &item, 1);
    }
    if (item.kind != WM_MP_ARRAY)
        return wm_fail(f->r.err, WM_EFORMAT, f->r.file, "\"%.*s\": its data is no array", WM_STR_ARG(key));
    t.off = wm_mp_at(&f->r);
    t.nbytes = 4 * item.n; /* n is less than the file's size, and less than 2^32 */
    shape[0] = (int64_t)item.n;
    t.shape = shape;
    st = wm_mp_numbers(&f->r, f->m->a, item.n, WM_CODEC_INDEX_STEP, is_u32 ? "\xce" : "\xca\xcb", &run);
    if (st != WM_OK)
        return st;
    store.codec = codec_of(&run, is_u32);
    store.raw = run.raw;
    store.index = run.index;
    store.nindex = run.nindex;
    t.store = wm_mstore_keep(f->m->a, &store);
    *WM_PUSH(f->m->a, &f->m->tensor) = t;
    return WM_OK;
}

/* Text or bytes at "N/shape"; anything else is passed. */
static enum wm_status
read_shape(struct wm_msgpack_file *f, struct wm_str name, struct shapes *s)
{
    struct wm_mp_item item;
    struct wm_str bytes;
    enum wm_status st = wm_mp_next(&f->r, &item);

    if (st != WM_OK || (item.kind != WM_MP_STR && item.kind != WM_MP_BIN) || item.n > WM_MSGPACK_MAX_SHAPE)
        return st == WM_OK ? wm_mp_skip(&f->r, &item) : st;
    st = wm_mp_text(&f->r, &item, f->m->a, WM_MSGPACK_MAX_SHAPE, &bytes);
    if (st == WM_OK && wm_map_put(&s->by_name, name, s->bytes.n) == s->bytes.n)
        *WM_PUSH(f->m->a, &s->bytes) = bytes;
    return st;
}

static bool
cut_end(struct wm_str key, struct wm_str end, struct wm_str *name)
{
    *name = (struct wm_str){key.p, key.n - (wm_str_ends(key, end) ? end.n : 0)};
    return name->n < key.n && name->n > 0;
}

/* What stands behind [variant, of a pair. */
static enum wm_status
read_pair(struct wm_msgpack_file *f, struct wm_str key, uint64_t variant, struct shapes *s)
{
    struct wm_mp_item item;
    struct wm_str name;
    enum wm_status st;

    if ((variant == WM_TT_VEC_FLOAT || variant == WM_TT_VEC_UINT32) && cut_end(key, WM_STR("/data"), &name))
        return read_data(f, key, name, variant == WM_TT_VEC_UINT32);
    if ((variant == WM_TT_STRING || variant == WM_TT_VEC_UINT8) && cut_end(key, WM_STR("/shape"), &name))
        return read_shape(f, name, s);
    st = wm_mp_next(&f->r, &item);
    return st == WM_OK ? wm_mp_skip(&f->r, &item) : st;
}

/* One value of the outermost map. */
static enum wm_status
read_value(struct wm_msgpack_file *f, struct wm_str key, struct shapes *s)
{
    struct wm_mp_item item, first;
    enum wm_status st = wm_mp_next(&f->r, &item);

    f->path.n = 0;
    wm_buf_puts(&f->path, key);
    if (st != WM_OK || item.kind != WM_MP_ARRAY || item.n != 2)
        return st == WM_OK ? wm_msgpack_nested(f, &item, 1) : st;
    st = wm_mp_next(&f->r, &first);
    if (st != WM_OK)
        return st;
    if (first.kind == WM_MP_UINT && first.n < WM_TT_N)
        return read_pair(f, key, first.n, s);
    wm_buf_putz(&f->path, ".0");
    st = wm_msgpack_nested(f, &first, 2);
    if (st == WM_OK)
        st = wm_mp_next(&f->r, &item);
    f->path.n = key.n;
    wm_buf_putz(&f->path, ".1");
    return st == WM_OK ? wm_msgpack_nested(f, &item, 2) : st;
}

static void
give_shapes(struct wm_msgpack_file *f, uint32_t first, const struct shapes *s)
{
    for (uint32_t i = first; i < f->m->tensor.n; i++) {
        struct wm_mtensor *t = &f->m->tensor.item[i];
        uint32_t k = t->store->codec == WM_CODEC_RAW ? WM_NONE : wm_map_get(&s->by_name, t->name), rank;
        const int64_t *shape;

        if (k == WM_NONE || !wm_tt_shape(f->m->a, s->bytes.item[k], t->shape[0], &shape, &rank))
            continue;
        t->shape = shape;
        t->rank = rank;
    }
}

static enum wm_status
read_map(struct wm_msgpack_file *f, struct shapes *s)
{
    struct wm_mp_item map, item;
    struct wm_map seen;
    struct wm_str key;
    enum wm_status st = wm_mp_next(&f->r, &map);

    wm_map_init(&seen, f->m->a, 64);
    if (st != WM_OK)
        return st;
    if (map.kind != WM_MP_MAP)
        return wm_fail(f->r.err, WM_EFORMAT, f->r.file, "it is no map of MessagePack");
    for (uint64_t i = 0; i < map.n; i++) {
        if ((st = wm_mp_next(&f->r, &item)) != WM_OK)
            return st;
        if (item.kind != WM_MP_STR && item.kind != WM_MP_BIN)
            return wm_mp_bad(&f->r, item.at, "a key of the outermost map is no text");
        if ((st = wm_msgpack_key(f, &item, &key)) != WM_OK)
            return st;
        if (wm_map_put(&seen, key, (uint32_t)i) != i)
            return wm_fail(f->r.err, WM_EFORMAT, f->r.file, "duplicate key \"%.*s\"", WM_STR_ARG(key));
        if (!wm_utf8_valid(key, NULL))
            return wm_fail(f->r.err, WM_EFORMAT, f->r.file, "byte %" PRIu64 ": the key \"%.*s\" is not UTF-8",
                           item.at, WM_STR_ARG(key));
        if ((st = read_value(f, key, s)) != WM_OK)
            return st;
    }
    if (wm_mp_at(&f->r) != f->r.size)
        return wm_fail(f->r.err, WM_EFORMAT, f->r.file, "%" PRIu64 " bytes behind the map",
                       f->r.size - wm_mp_at(&f->r));
    return WM_OK;
}

static enum wm_status
read(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file, struct wm_err *err)
{
    const struct wm_mfile *mf = &m->file.item[file];
    struct wm_msgpack_file f = {.m = m, .file = file};
    uint32_t first = m->tensor.n;
    struct shapes s = {0};
    enum wm_status st = wm_mp_open(&f.r, sys, fd, mf->path.p, mf->size, err);

    if (st != WM_OK)
        return st;
    wm_buf_init(&f.path, m->a);
    wm_map_init(&s.by_name, m->a, 64);
    st = read_map(&f, &s);
    wm_mp_close(&f.r);
    if (st != WM_OK)
        return st;
    give_shapes(&f, first, &s);
    return wm_manifest_register(m, first, err);
}

const struct wm_format wm_format_msgpack = {
    .name = "msgpack",
    .suffix = ".msgpack",
    .probe = probe,
    .read = read,
    .layout = wm_msgpack_layout,
    .templates = true,
    .stem = "model",
};
