/* runtime/formats/npy_header.c -- reads the header of an array (see npy_header.h).
 *
 * In: magic, version, and a Python dict literal of exactly the keys descr, fortran_order and shape.  Out: dtype, byte
 * order, order of the dimensions, shape.  Nothing is evaluated: strings have no escapes, numbers are decimal. */
#include "runtime/formats/npy_header.h"

#include <inttypes.h>

#include "base/checked.h"
#include "runtime/io.h"

enum { MAX_HEADER = 1 << 20, PREFIX = 12 };

struct reader {
    const char *p, *end;
    const char *path, *what;
    struct wm_npy_header *h;
    struct wm_err *err;
};

static enum wm_status
malformed(struct reader *r, const char *why)
{
    return wm_fail(r->err, WM_EFORMAT, r->path, "%s: %s", r->what, why);
}

/* ---- descr ---- */

struct descr {
    char kind, digits[4];
    enum wm_dtype dtype;
    uint32_t codec; /* in the other byte order */
};

/* ml_dtypes' bfloat16 is saved as V2, its float8_e5m2 as f1; no other dtype of two or one bytes is so. */
static const struct descr descrs[] = {
    {'b', "1", WM_DT_BOOL, WM_CODEC_RAW},  {'u', "1", WM_DT_U8, WM_CODEC_RAW},
    {'i', "1", WM_DT_I8, WM_CODEC_RAW},    {'u', "2", WM_DT_U16, WM_CODEC_SWAP2},
    {'i', "2", WM_DT_I16, WM_CODEC_SWAP2}, {'u', "4", WM_DT_U32, WM_CODEC_SWAP4},
    {'i', "4", WM_DT_I32, WM_CODEC_SWAP4}, {'u', "8", WM_DT_U64, WM_CODEC_SWAP8},
    {'i', "8", WM_DT_I64, WM_CODEC_SWAP8}, {'f', "2", WM_DT_F16, WM_CODEC_SWAP2},
    {'f', "4", WM_DT_F32, WM_CODEC_SWAP4}, {'f', "8", WM_DT_F64, WM_CODEC_SWAP8},
    {'c', "8", WM_DT_C64, WM_CODEC_SWAP4}, {'V', "2", WM_DT_BF16, WM_CODEC_SWAP2},
    {'f', "1", WM_DT_F8_E5M2, WM_CODEC_RAW},
};

static enum wm_status
unsupported(struct reader *r, struct wm_str s)
{
    const char *name = s.n < 2 || s.p[1] == 'O' ? "Python objects (dtype object), which only pickle can load"
                       : strchr("SUa", s.p[1])  ? "strings"
                       : strchr("mM", s.p[1])   ? "dates or times"
                                                : "no dtype that wmap has";

    return wm_fail(r->err, WM_ESUPPORT, r->path, "%s: an array of '%.*s': %s", r->what, WM_STR_ARG(s), name);
}

static enum wm_status
take_descr(struct reader *r, struct wm_str s)
{
    if (s.n < 2)
        return malformed(r, "descr is no dtype");
    for (size_t k = 0; k < WM_COUNTOF(descrs); k++) {
        const struct descr *d = &descrs[k];
        bool single = d->digits[0] == '1' || d->kind == 'V';

        if (s.p[1] != d->kind || !wm_str_eq((struct wm_str){s.p + 2, s.n - 2}, wm_str_c(d->digits)))
            continue;
        if (s.p[0] != '<' && s.p[0] != '>' && (s.p[0] != '|' || !single))
            return malformed(r, "descr has no byte order");
        r->h->dtype = d->dtype;
        r->h->codec = s.p[0] == '>' ? d->codec : WM_CODEC_RAW;
        return WM_OK;
    }
    return unsupported(r, s);
}

/* ---- the literal ---- */

static void
skip_space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t'))
        r->p++;
}

static bool
take(struct reader *r, char c)
{
    skip_space(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static bool
take_string(struct reader *r, struct wm_str *out)
{
    const char *from;
    char quote;

    skip_space(r);
    if (r->p == r->end || (*r->p != '\'' && *r->p != '"'))
        return false;
    quote = *r->p++;
    for (from = r->p; r->p < r->end && *r->p != quote; r->p++)
        if (*r->p == '\\')
            return false;
    *out = (struct wm_str){from, (size_t)(r->p - from)};
    return take(r, quote);
}

static bool
take_word(struct reader *r, struct wm_str word)
{
    skip_space(r);
    if (!wm_str_starts((struct wm_str){r->p, (size_t)(r->end - r->p)}, word))
        return false;
    r->p += word.n;
    return true;
}

/* Python 2 wrote long numbers with an L. */
static bool
take_number(struct reader *r, int64_t *out)
{
    const char *from;
    int64_t v = 0;

    skip_space(r);
    for (from = r->p; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++)
        if (!wm_ck_mul(v, 10, &v) || !wm_ck_add(v, *r->p - '0', &v))
            return false;
    *out = v;
    if (r->p == from || (*from == '0' && r->p > from + 1))
        return false;
    if (r->p < r->end && *r->p == 'L')
        r->p++;
    return true;
}

static enum wm_status
take_shape(struct reader *r)
{
    bool comma = true;

    if (!take(r, '('))
        return malformed(r, "shape is no tuple");
    for (r->h->rank = 0; !take(r, ')'); r->h->rank++) {
        if (r->h->rank == WM_MAX_RANK)
            return malformed(r, "more than 64 dimensions");
        if (!comma || !take_number(r, &r->h->shape[r->h->rank]))
            return malformed(r, "shape is no tuple of numbers");
        comma = take(r, ',');
    }
    return r->h->rank == 1 && !comma ? malformed(r, "shape is no tuple") : WM_OK;
}

static enum wm_status
take_value(struct reader *r, struct wm_str key, unsigned *have)
{
    static const char *const name[] = {"descr", "fortran_order", "shape"};
    struct wm_str s;
    unsigned k = 0;

    while (k < 3 && !wm_str_eq(key, wm_str_c(name[k])))
        k++;
    if (k == 3 || *have & 1u << k)
        return malformed(r, "a key that does not belong there, or twice");
    *have |= 1u << k;
    if (k == 2)
        return take_shape(r);
    if (k == 1) {
        r->h->fortran = take_word(r, WM_STR("True"));
        return r->h->fortran || take_word(r, WM_STR("False")) ? WM_OK
                                                              : malformed(r, "fortran_order is neither True nor False");
    }
    if (take_string(r, &s))
        return take_descr(r, s);
    if (take(r, '['))
        return wm_fail(r->err, WM_ESUPPORT, r->path, "%s: a structured array, which is no tensor", r->what);
    return malformed(r, "descr is no string");
}

static enum wm_status
take_dict(struct reader *r)
{
    unsigned have = 0;
    bool comma = true;
    enum wm_status st = WM_OK;

    if (!take(r, '{'))
        return malformed(r, "the header is no dict");
    while (st == WM_OK && !take(r, '}')) {
        struct wm_str key;

        if (!comma || !take_string(r, &key) || !take(r, ':'))
            return malformed(r, "the header is no dict of descr, fortran_order and shape");
        st = take_value(r, key, &have);
        comma = take(r, ',');
    }
    if (st != WM_OK)
        return st;
    skip_space(r);
    if (have != 7 || r->p != r->end)
        return malformed(r, "the header is no dict of descr, fortran_order and shape");
    return WM_OK;
}

/* ---- around it ---- */

bool
wm_npy_probe(const unsigned char *p, size_t n, uint64_t size)
{
    (void)size;
    return n >= 6 && memcmp(p, "\x93NUMPY", 6) == 0;
}

enum wm_status
wm_npy_header_read(struct wm_arena *a, const struct wm_sys *sys, int fd, const char *path, const char *what,
                   uint64_t off, uint64_t size, struct wm_npy_header *out, struct wm_err *err)
{
    struct reader r = {.path = path, .what = what, .h = out, .err = err};
    unsigned char p[PREFIX] = {0};
    uint64_t len, before;
    char *text;
    enum wm_status st;

    if (size < PREFIX)
        return malformed(&r, "too short for an array of NumPy");
    if ((st = wm_io_pread(sys, fd, path, p, PREFIX, off, err)) != WM_OK)
        return st;
    if (!wm_npy_probe(p, PREFIX, size))
        return malformed(&r, "no array of NumPy");
    if (p[6] < 1 || p[6] > 3 || p[7] != 0)
        return wm_fail(err, WM_ESUPPORT, path, "%s: version %d.%d of the format, known are 1.0 to 3.0", what, p[6],
                       p[7]);
    len = p[8] | (uint64_t)p[9] << 8;
    if (p[6] > 1)
        len |= (uint64_t)p[10] << 16 | (uint64_t)p[11] << 24;
    before = p[6] == 1 ? 10 : 12;
    if (len > MAX_HEADER)
        return wm_fail(err, WM_EFORMAT, path, "%s: a header of %" PRIu64 " bytes is above the limit of %d", what, len,
                       MAX_HEADER);
    if (!wm_ck_range(before, len, size))
        return malformed(&r, "the header ends behind the file");
    text = wm_arena_alloc(a, (size_t)len);
    if ((st = wm_io_pread(sys, fd, path, text, len, off + before, err)) != WM_OK)
        return st;
    *out = (struct wm_npy_header){.nbytes = before + len};
    r.p = text;
    r.end = text + len;
    return take_dict(&r);
}

enum wm_status
wm_npy_add(struct wm_manifest *m, uint32_t file, struct wm_str name, uint64_t off, uint64_t size,
           const struct wm_npy_header *h, const char *path, struct wm_err *err)
{
    int64_t *shape = WM_NEW_N(m->a, int64_t, h->rank), *stride = WM_NEW_N(m->a, int64_t, h->rank), numel, step = 1;
    struct wm_mtensor t = {.name = name, .file = file, .dtype = h->dtype, .off = off + h->nbytes, .rank = h->rank,
                           .shape = shape, .store = &wm_mstore_plain};
    struct wm_mstore store = {.codec = h->codec};

    memcpy(shape, h->shape, h->rank * sizeof(*shape));
    if (!wm_ck_numel(shape, h->rank, &numel) || !wm_dtype_nbytes(h->dtype, numel, &t.nbytes))
        return wm_fail(err, WM_EFORMAT, path, "tensor \"%.*s\": its shape overflows", WM_STR_ARG(name));
    if (t.nbytes != size - h->nbytes)
        return wm_fail(err, WM_EFORMAT, path,
                       "tensor \"%.*s\": %" PRIu64 " bytes of elements, but its shape needs %" PRIu64, WM_STR_ARG(name),
                       size - h->nbytes, t.nbytes);
    if (h->codec != WM_CODEC_RAW)
        store.raw = t.nbytes;
    if (h->fortran && h->rank > 1) {
        store.stride = stride;
        for (uint32_t k = 0; k < h->rank; k++) { /* no overflow: at most numel, or there are no elements */
            stride[k] = numel ? step : 0;
            step *= numel ? shape[k] : 1;
        }
    }
    if (store.raw || store.stride)
        t.store = wm_mstore_keep(m->a, &store);
    *WM_PUSH(m->a, &m->tensor) = t;
    return WM_OK;
}
