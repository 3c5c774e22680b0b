/* runtime/formats/safetensors.c -- reading headers of safetensors files.
 *
 * In: a file: 8 bytes of length, a JSON header of that length, the tensors' bytes.  Out: its
 * tensors in the order of their offsets.  The reader is as strict as the reference library, and
 * stricter where that is ambiguous: duplicate keys are refused.  safetensors_write.c writes. */
#include "runtime/formats/safetensors.h"

#include <inttypes.h>
#include "base/checked.h"
#include "base/sort.h"
#include "base/utf8.h"
#include "runtime/format.h"
#include "runtime/io.h"
#include "runtime/json.h"

static bool
probe(const unsigned char *p, size_t n, uint64_t size)
{
    uint64_t len = 0;

    if (n < 10)
        return false;
    for (int k = 7; k >= 0; k--)
        len = len << 8 | p[k];
    return len >= 2 && len <= WM_SAFETENSORS_MAX_HEADER && wm_ck_range(8, len, size) &&
           (p[8] == '{' || p[8] == ' ' || p[8] == '\n' || p[8] == '\r' || p[8] == '\t');
}

/* What the functions below share about the file being read. */
struct reader {
    struct wm_manifest *m;
    const char *path;
    uint32_t file;
    uint64_t data; /* offset of the first tensor's bytes */
    struct wm_json j;
    struct wm_err *err;
};

static enum wm_status
bad_json(struct reader *r)
{
    return wm_fail(r->err, WM_EFORMAT, r->path, "header: invalid JSON at byte %zu: %s",
                   r->j.tok_at, r->j.why ? r->j.why : "unexpected end");
}

static enum wm_status
bad_tensor(struct reader *r, struct wm_str name, const char *what)
{
    if (r->j.why)
        return bad_json(r);
    return wm_fail(r->err, WM_EFORMAT, r->path, "tensor \"%.*s\": %s", WM_STR_ARG(name), what);
}

/* "__metadata__": an object of strings, or null. */
static enum wm_status
read_metadata(struct reader *r)
{
    enum wm_json_tok t = wm_json_next(&r->j);
    struct wm_map seen;

    if (t == WM_JS_NULL)
        return WM_OK;
    if (t == WM_JS_ERROR)
        return bad_json(r);
    if (t != WM_JS_OBJECT)
        return wm_fail(r->err, WM_EFORMAT, r->path, "__metadata__ is not an object");
    wm_map_init(&seen, r->j.a, 8);
    for (uint32_t i = 0; (t = wm_json_next(&r->j)) == WM_JS_KEY; i++) {
        struct wm_str key = r->j.str;

        if (wm_map_put(&seen, key, i) != i)
            return wm_fail(r->err, WM_EFORMAT, r->path, "__metadata__: duplicate key \"%.*s\"",
                           WM_STR_ARG(key));
        t = wm_json_next(&r->j);
        if (t == WM_JS_ERROR)
            return bad_json(r);
        if (t != WM_JS_STRING)
            return wm_fail(r->err, WM_EFORMAT, r->path, "__metadata__: \"%.*s\" is not a string",
                           WM_STR_ARG(key));
    }
    return t == WM_JS_ERROR ? bad_json(r) : WM_OK;
}

static enum wm_status
read_shape(struct reader *r, struct wm_mtensor *t)
{
    int64_t shape[WM_MAX_RANK];
    enum wm_json_tok k = wm_json_next(&r->j);

    if (k != WM_JS_ARRAY)
        return bad_tensor(r, t->name, "shape is not an array");
    for (t->rank = 0; (k = wm_json_next(&r->j)) != WM_JS_ARRAY_END; t->rank++) {
        if (k != WM_JS_UINT)
            return bad_tensor(r, t->name, "shape holds something else than unsigned integers");
        if (t->rank == WM_MAX_RANK)
            return wm_fail(r->err, WM_ELIMIT, r->path,
                           "tensor \"%.*s\": more than %d dimensions", WM_STR_ARG(t->name),
                           WM_MAX_RANK);
        if (r->j.u > INT64_MAX)
            return bad_tensor(r, t->name, "a dimension of 2^63 or more");
        shape[t->rank] = (int64_t)r->j.u;
    }
    t->shape = wm_manifest_shape(r->m, shape, t->rank);
    return WM_OK;
}

static enum wm_status
read_offsets(struct reader *r, struct wm_str name, uint64_t *begin, uint64_t *end)
{
    bool good = wm_json_next(&r->j) == WM_JS_ARRAY && wm_json_next(&r->j) == WM_JS_UINT;

    *begin = r->j.u;
    good = good && wm_json_next(&r->j) == WM_JS_UINT;
    *end = r->j.u;
    if (!good || wm_json_next(&r->j) != WM_JS_ARRAY_END)
        return bad_tensor(r, name, "data_offsets is not a pair of unsigned integers");
    if (*begin > *end)
        return bad_tensor(r, name, "data_offsets end before they begin");
    return WM_OK;
}

static enum wm_status
read_dtype(struct reader *r, struct wm_mtensor *t)
{
    if (wm_json_next(&r->j) != WM_JS_STRING)
        return bad_tensor(r, t->name, "dtype is not a string");
    t->dtype = wm_dtype_by_safetensors(r->j.str);
    if (t->dtype == WM_DT_N)
        return wm_fail(r->err, WM_EFORMAT, r->path, "tensor \"%.*s\": unknown dtype \"%.*s\"",
                       WM_STR_ARG(t->name), WM_STR_ARG(r->j.str));
    return WM_OK;
}

/* The size that dtype and shape give must be that of the offsets. */
static enum wm_status
check_size(struct reader *r, const struct wm_mtensor *t)
{
    int64_t n;
    uint64_t bytes, bits;

    if (!wm_ck_numel(t->shape, t->rank, &n) ||
        !wm_ck_umul((uint64_t)n, wm_dtype_info[t->dtype].bits, &bits))
        return bad_tensor(r, t->name, "the product of its shape overflows");
    if (!wm_dtype_nbytes(t->dtype, n, &bytes))
        return bad_tensor(r, t->name, "its elements do not fill a whole number of bytes");
    if (bytes != t->nbytes)
        return wm_fail(r->err, WM_EFORMAT, r->path,
                       "tensor \"%.*s\": data_offsets span %" PRIu64
                       " bytes, but dtype and shape need %" PRIu64,
                       WM_STR_ARG(t->name), t->nbytes, bytes);
    return WM_OK;
}

enum { HAS_DTYPE = 1, HAS_SHAPE = 2, HAS_OFFSETS = 4 };

/* One field of a tensor's entry; its key was just read.  Unknown ones are skipped. */
static enum wm_status
read_field(struct reader *r, struct wm_mtensor *t, unsigned *has)
{
    struct wm_str key = r->j.str;
    unsigned bit = wm_str_eq(key, WM_STR("dtype"))          ? HAS_DTYPE
                   : wm_str_eq(key, WM_STR("shape"))        ? HAS_SHAPE
                   : wm_str_eq(key, WM_STR("data_offsets")) ? HAS_OFFSETS
                                                            : 0;
    uint64_t end;
    enum wm_status st;

    if (*has & bit)
        return wm_fail(r->err, WM_EFORMAT, r->path, "tensor \"%.*s\": duplicate field \"%.*s\"",
                       WM_STR_ARG(t->name), WM_STR_ARG(key));
    *has |= bit;
    switch (bit) {
    case HAS_DTYPE:
        return read_dtype(r, t);
    case HAS_SHAPE:
        return read_shape(r, t);
    case HAS_OFFSETS:
        st = read_offsets(r, t->name, &t->off, &end);
        if (st == WM_OK)
            t->nbytes = end - t->off;
        return st;
    default:
        return wm_json_skip(&r->j, wm_json_next(&r->j)) ? WM_OK : bad_json(r);
    }
}

static enum wm_status
read_tensor(struct reader *r, struct wm_str name)
{
    struct wm_mtensor t = {.name = name, .file = r->file, .store = &wm_mstore_plain};
    unsigned has = 0;
    enum wm_json_tok k;
    enum wm_status st = WM_OK;

    if (wm_json_next(&r->j) != WM_JS_OBJECT)
        return bad_tensor(r, name, "its entry is not an object");
    while (st == WM_OK && (k = wm_json_next(&r->j)) == WM_JS_KEY)
        st = read_field(r, &t, &has);
    if (st != WM_OK)
        return st;
    if (k == WM_JS_ERROR)
        return bad_json(r);
    if (!(has & HAS_DTYPE))
        return bad_tensor(r, name, "dtype is missing");
    if (!(has & HAS_SHAPE))
        return bad_tensor(r, name, "shape is missing");
    if (!(has & HAS_OFFSETS))
        return bad_tensor(r, name, "data_offsets are missing");
    st = check_size(r, &t);
    if (st == WM_OK)
        *WM_PUSH(r->m->a, &r->m->tensor) = t;
    return st;
}

static enum wm_status
read_header(struct reader *r)
{
    enum wm_json_tok t = wm_json_next(&r->j);
    enum wm_status st = WM_OK;
    bool metadata = false;

    if (t == WM_JS_ERROR)
        return bad_json(r);
    if (t != WM_JS_OBJECT)
        return wm_fail(r->err, WM_EFORMAT, r->path, "header: not a JSON object");
    while (st == WM_OK && (t = wm_json_next(&r->j)) == WM_JS_KEY) {
        struct wm_str key = r->j.str;

        if (!wm_str_eq(key, WM_STR("__metadata__"))) {
            st = read_tensor(r, key);
            continue;
        }
        if (metadata)
            return wm_fail(r->err, WM_EFORMAT, r->path, "header: duplicate key \"__metadata__\"");
        metadata = true;
        st = read_metadata(r);
    }
    if (st != WM_OK)
        return st;
    return t == WM_JS_ERROR || wm_json_next(&r->j) != WM_JS_END ? bad_json(r) : WM_OK;
}

static int
by_offset(const void *pa, const void *pb)
{
    const struct wm_mtensor *a = pa, *b = pb;

    if (a->off != b->off)
        return a->off < b->off ? -1 : 1;
    if (a->nbytes != b->nbytes)
        return a->nbytes < b->nbytes ? -1 : 1;
    return wm_str_cmp(a->name, b->name);
}

/* The tensors from `first` on must tile [0, size): no hole, no overlap, nothing behind. */
static enum wm_status
check_tiling(struct reader *r, uint32_t first, uint64_t size)
{
    uint32_t n = r->m->tensor.n - first;
    struct wm_mtensor *t = n ? r->m->tensor.item + first : NULL;
    uint64_t at = 0;

    wm_sort(r->m->a, t, n, sizeof(*t), by_offset);
    for (uint32_t i = 0; i < n; i++) {
        if (t[i].off != at)
            return wm_fail(r->err, WM_EFORMAT, r->path,
                           "tensor \"%.*s\": begins at %" PRIu64 " of the data, %s at %" PRIu64,
                           WM_STR_ARG(t[i].name), t[i].off,
                           i > 0 ? "but the tensor before it ends" : "not", at);
        if (!wm_ck_range(t[i].off, t[i].nbytes, size))
            return wm_fail(r->err, WM_EFORMAT, r->path,
                           "tensor \"%.*s\": needs bytes %" PRIu64 " to %" PRIu64
                           " of the data, but the file has only %" PRIu64,
                           WM_STR_ARG(t[i].name), t[i].off, t[i].off + t[i].nbytes, size);
        at += t[i].nbytes;
        t[i].off += r->data;
    }
    if (at != size && size != UINT64_MAX)
        return wm_fail(r->err, WM_EFORMAT, r->path,
                       "%" PRIu64 " bytes behind the last tensor belong to none", size - at);
    return WM_OK;
}

/* Names outlive the text: one behind the other, each with a NUL. */
static void
keep_names(struct wm_manifest *m, uint32_t first)
{
    size_t n = 0; /* no sum of these is larger than the header was */
    char *to;

    for (uint32_t i = first; i < m->tensor.n; i++)
        n += m->tensor.item[i].name.n + 1;
    to = wm_arena_alloc(m->a, n);
    for (uint32_t i = first; i < m->tensor.n; i++) {
        struct wm_str *name = &m->tensor.item[i].name;

        if (name->n)
            memcpy(to, name->p, name->n);
        name->p = to;
        to += name->n + 1;
    }
}

enum wm_status
wm_safetensors_header(struct wm_manifest *m, uint32_t file, const char *text, uint64_t len, uint64_t size,
                      struct wm_err *err)
{
    struct reader r = {.m = m, .path = m->file.item[file].path.p, .file = file, .data = 8 + len, .err = err};
    uint32_t first = m->tensor.n;
    struct wm_arena_child tmp; /* of names with escapes */
    size_t bad;
    enum wm_status st;

    if (!wm_utf8_valid((struct wm_str){text, (size_t)len}, &bad))
        return wm_fail(err, WM_EFORMAT, r.path, "header: invalid UTF-8 at byte %zu", bad);
    wm_arena_child_begin(&tmp, m->a);
    wm_json_init(&r.j, &tmp.a, text, (size_t)len);
    st = read_header(&r);
    if (st == WM_OK)
        st = check_tiling(&r, first, size);
    if (st == WM_OK)
        keep_names(m, first);
    wm_arena_child_end(&tmp);
    return st == WM_OK ? wm_manifest_register(m, first, err) : st;
}

static enum wm_status
read(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file, struct wm_err *err)
{
    const struct wm_mfile *f = &m->file.item[file];
    const char *path = f->path.p;
    unsigned char prefix[8];
    uint64_t len = 0;
    struct wm_arena_child tmp;
    char *text;
    enum wm_status st;

    if (f->size < sizeof(prefix))
        return wm_fail(err, WM_EFORMAT, path,
                       "only %" PRIu64 " bytes long, too short for a safetensors file", f->size);
    st = wm_io_pread(sys, fd, path, prefix, sizeof(prefix), 0, err);
    if (st != WM_OK)
        return st;
    for (int k = 7; k >= 0; k--)
        len = len << 8 | prefix[k];
    if (len > WM_SAFETENSORS_MAX_HEADER)
        return wm_fail(err, WM_EFORMAT, path,
                       "header: a length of %" PRIu64 " bytes is above the limit of %d", len,
                       WM_SAFETENSORS_MAX_HEADER);
    if (!wm_ck_range(8, len, f->size))
        return wm_fail(err, WM_EFORMAT, path,
                       "header: %" PRIu64 " bytes long, but the file has only %" PRIu64, len,
                       f->size);
    wm_arena_child_begin(&tmp, m->a);
    text = wm_arena_alone(&tmp.a, (size_t)len);
    st = wm_io_pread(sys, fd, path, text, len, 8, err);
    if (st == WM_OK)
        st = wm_safetensors_header(m, file, text, len, f->size - 8 - len, err);
    wm_arena_child_end(&tmp);
    return st;
}

const struct wm_format wm_format_safetensors = {
    .name = "safetensors",
    .suffix = ".safetensors",
    .index_name = "model.safetensors.index.json",
    .probe = probe,
    .read = read,
    .layout = wm_safetensors_layout,
    .orders = true,
    .index = wm_safetensors_index,
    .stem = "model",
};
