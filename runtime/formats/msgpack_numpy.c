/* runtime/formats/msgpack_numpy.c -- arrays of msgpack-numpy, wherever they are in nested maps and lists.
 *
 * In: a value whose head was read.  Out: a tensor for each map {nd: true, type, kind, shape, data}, named by the
 * keys that lead to it, joined with points.  The data stay where they are; only their byte order may be another.
 * Arrays of objects hold a pickle, which is code: they are refused by name, and nothing of them is looked at. */
#include <inttypes.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/utf8.h"
#include "runtime/formats/msgpack.h"

struct ndarray {
    struct wm_str name, type, kind;
    unsigned has; /* bits 1 << field */
    bool is_array, is_complex, structured, has_data;
    uint64_t data, nbytes;
    int64_t shape[WM_MAX_RANK];
    uint32_t rank;
};

enum field { F_ND, F_TYPE, F_KIND, F_SHAPE, F_DATA, F_COMPLEX, F_NONE };

static enum field
field_of(struct wm_str key)
{
    static const char *const name[] = {"nd", "type", "kind", "shape", "data", "complex"};

    for (int k = 0; k < F_NONE; k++)
        if (wm_str_eq(key, wm_str_c(name[k])))
            return (enum field)k;
    return F_NONE;
}

static enum wm_status
bad(struct wm_msgpack_file *f, const struct ndarray *x, enum wm_status st, const char *why)
{
    return wm_fail(f->r.err, st, f->r.file, "tensor \"%.*s\": %s", WM_STR_ARG(x->name), why);
}

/* ---- fields ---- */

static enum wm_status
read_shape(struct wm_msgpack_file *f, struct ndarray *x, const struct wm_mp_item *item)
{
    struct wm_mp_item d;
    enum wm_status st = WM_OK;

    if (item->kind != WM_MP_ARRAY)
        return bad(f, x, WM_EFORMAT, "its shape is no array");
    if (item->n > WM_MAX_RANK)
        return bad(f, x, WM_ELIMIT, "more than 64 dimensions");
    x->rank = (uint32_t)item->n;
    for (uint32_t k = 0; k < x->rank && st == WM_OK; k++) {
        st = wm_mp_next(&f->r, &d);
        if (st == WM_OK && (d.kind != WM_MP_UINT || d.n > INT64_MAX))
            return bad(f, x, WM_EFORMAT, "its shape holds something else than sizes");
        x->shape[k] = (int64_t)d.n;
    }
    return st;
}

static enum wm_status
read_short_text(struct wm_msgpack_file *f, struct ndarray *x, const struct wm_mp_item *item, struct wm_str *out)
{
    if (item->kind != WM_MP_STR && item->kind != WM_MP_BIN) { /* the fields of a structured type */
        x->structured = true;
        return wm_mp_skip(&f->r, item);
    }
    return wm_mp_text(&f->r, item, f->m->a, 64, out);
}

static enum wm_status
read_field(struct wm_msgpack_file *f, struct ndarray *x, enum field field)
{
    struct wm_mp_item item;
    enum wm_status st = wm_mp_next(&f->r, &item);

    if (st != WM_OK)
        return st;
    if (field != F_NONE && (x->has & 1u << field))
        return bad(f, x, WM_EFORMAT, "a field twice");
    x->has |= 1u << field;
    switch (field) {
    case F_ND:
    case F_COMPLEX:
        *(field == F_ND ? &x->is_array : &x->is_complex) = item.kind == WM_MP_BOOL && item.n;
        return wm_mp_skip(&f->r, &item);
    case F_TYPE:
        return read_short_text(f, x, &item, &x->type);
    case F_KIND:
        return read_short_text(f, x, &item, &x->kind);
    case F_SHAPE:
        return read_shape(f, x, &item);
    case F_DATA:
        x->has_data = item.kind == WM_MP_BIN || item.kind == WM_MP_STR;
        x->data = wm_mp_at(&f->r);
        x->nbytes = item.n;
        return wm_mp_skip(&f->r, &item);
    default:
        return wm_mp_skip(&f->r, &item);
    }
}

/* ---- the tensor ---- */

/* numpy's dtype.str: "<f4", "|b1", ">c8". */
static bool
find_dtype(struct wm_str s, enum wm_dtype *dtype, uint32_t *codec)
{
    static const struct {
        char name[3];
        uint8_t dtype, part; /* bytes that a byte order turns round */
    } types[] = {
        {"b1", WM_DT_BOOL, 1}, {"u1", WM_DT_U8, 1},  {"i1", WM_DT_I8, 1},  {"u2", WM_DT_U16, 2}, {"i2", WM_DT_I16, 2},
        {"f2", WM_DT_F16, 2},  {"u4", WM_DT_U32, 4}, {"i4", WM_DT_I32, 4}, {"f4", WM_DT_F32, 4}, {"u8", WM_DT_U64, 8},
        {"i8", WM_DT_I64, 8},  {"f8", WM_DT_F64, 8}, {"c8", WM_DT_C64, 4},
    };

    if (s.n != 3 || (s.p[0] != '<' && s.p[0] != '>' && s.p[0] != '|'))
        return false;
    for (size_t k = 0; k < WM_COUNTOF(types); k++) {
        if (memcmp(s.p + 1, types[k].name, 2) != 0)
            continue;
        if (s.p[0] == '|' && types[k].part > 1)
            return false;
        *dtype = types[k].dtype;
        *codec = s.p[0] != '>' || types[k].part == 1 ? WM_CODEC_RAW
                 : types[k].part == 2                ? WM_CODEC_SWAP2
                 : types[k].part == 4                ? WM_CODEC_SWAP4
                                                     : WM_CODEC_SWAP8;
        return true;
    }
    return false;
}

static enum wm_status
add_tensor(struct wm_msgpack_file *f, const struct ndarray *x)
{
    struct wm_mtensor t = {.name = x->name, .file = f->file, .off = x->data, .nbytes = x->nbytes, .rank = x->rank,
                           .store = &wm_mstore_plain};
    struct wm_mstore store = {.raw = x->nbytes};
    int64_t n, *shape = WM_NEW_N(f->m->a, int64_t, x->rank);
    uint64_t bytes;

    if (!find_dtype(x->type, &t.dtype, &store.codec))
        return wm_fail(f->r.err, WM_ESUPPORT, f->r.file, "tensor \"%.*s\": no support for numpy's type \"%.*s\"",
                       WM_STR_ARG(x->name), WM_STR_ARG(x->type));
    if (!wm_ck_numel(x->shape, x->rank, &n) || !wm_dtype_nbytes(t.dtype, n, &bytes))
        return bad(f, x, WM_EFORMAT, "the product of its shape overflows");
    if (bytes != x->nbytes)
        return wm_fail(f->r.err, WM_EFORMAT, f->r.file,
                       "tensor \"%.*s\": %" PRIu64 " bytes of data, but type and shape need %" PRIu64,
                       WM_STR_ARG(x->name), x->nbytes, bytes);
    if (x->rank)
        memcpy(shape, x->shape, x->rank * sizeof(*shape));
    t.shape = shape;
    if (store.codec != WM_CODEC_RAW)
        t.store = wm_mstore_keep(f->m->a, &store);
    *WM_PUSH(f->m->a, &f->m->tensor) = t;
    return WM_OK;
}

/* The rest of a map of n pairs whose first key was read. */
static enum wm_status
read_ndarray(struct wm_msgpack_file *f, uint64_t n, enum field field)
{
    struct ndarray x = {.name = wm_arena_str(f->m->a, wm_buf_str(&f->path))};
    enum wm_status st = read_field(f, &x, field);

    for (uint64_t i = 1; i < n && st == WM_OK; i++) {
        struct wm_mp_item item;
        struct wm_str key = WM_STR("");

        st = wm_mp_next(&f->r, &item);
        if (st == WM_OK && (item.kind == WM_MP_STR || item.kind == WM_MP_BIN))
            st = wm_msgpack_key(f, &item, &key);
        else if (st == WM_OK)
            st = wm_mp_skip(&f->r, &item);
        if (st == WM_OK)
            st = read_field(f, &x, field_of(key));
    }
    if (st != WM_OK || x.is_complex || ((x.has & 1u << F_ND) && !x.is_array)) /* a scalar */
        return st;
    if (!wm_utf8_valid(x.name, NULL))
        return bad(f, &x, WM_EFORMAT, "its name is not UTF-8");
    if ((x.kind.n && memchr(x.kind.p, 'O', x.kind.n)) || (x.type.n && memchr(x.type.p, 'O', x.type.n)))
        return bad(f, &x, WM_ESUPPORT, "an array of objects is a pickle, which is never loaded");
    if (x.structured || x.kind.n > 0)
        return bad(f, &x, WM_ESUPPORT, "an array of structs is not supported");
    if (!(x.has & 1u << F_TYPE) || !(x.has & 1u << F_SHAPE) || !x.has_data)
        return bad(f, &x, WM_EFORMAT, "an array without type, shape or data");
    return add_tensor(f, &x);
}

/* ---- maps and lists ---- */

/* Does this first key say that the map is an array? (Names of nested maps are text, msgpack-numpy's keys bytes.) */
static bool
begins_array(const struct wm_mp_item *item, struct wm_str key)
{
    enum field field = field_of(key);

    return field != F_NONE && (item->kind == WM_MP_BIN || field == F_ND);
}

static enum wm_status
read_map(struct wm_msgpack_file *f, uint64_t n, uint32_t depth)
{
    size_t base = f->path.n;
    enum wm_status st = WM_OK;

    for (uint64_t i = 0; i < n && st == WM_OK; i++) {
        struct wm_mp_item item;
        struct wm_str key;
        bool named = true;

        if ((st = wm_mp_next(&f->r, &item)) != WM_OK)
            return st;
        if (item.kind == WM_MP_STR || item.kind == WM_MP_BIN) {
            if ((st = wm_msgpack_key(f, &item, &key)) != WM_OK)
                return st;
            if (i == 0 && begins_array(&item, key))
                return read_ndarray(f, n, field_of(key));
            wm_buf_putc(&f->path, '.');
            wm_buf_puts(&f->path, key);
        } else if (item.kind == WM_MP_UINT) {
            wm_buf_printf(&f->path, ".%" PRIu64, item.n);
        } else {
            named = false;
            if ((st = wm_mp_skip(&f->r, &item)) != WM_OK)
                return st;
        }
        if ((st = wm_mp_next(&f->r, &item)) == WM_OK)
            st = named ? wm_msgpack_nested(f, &item, depth + 1) : wm_mp_skip(&f->r, &item);
        f->path.n = base;
    }
    return st;
}

static enum wm_status
read_list(struct wm_msgpack_file *f, uint64_t n, uint32_t depth)
{
    size_t base = f->path.n;
    enum wm_status st = WM_OK;

    for (uint64_t i = 0; i < n && st == WM_OK; i++) {
        struct wm_mp_item item;

        if ((st = wm_mp_next(&f->r, &item)) != WM_OK)
            return st;
        if (item.kind != WM_MP_MAP && item.kind != WM_MP_ARRAY) {
            st = wm_mp_skip(&f->r, &item);
            continue;
        }
        wm_buf_printf(&f->path, ".%" PRIu64, i);
        st = wm_msgpack_nested(f, &item, depth + 1);
        f->path.n = base;
    }
    return st;
}

enum wm_status
wm_msgpack_nested(struct wm_msgpack_file *f, const struct wm_mp_item *item, uint32_t depth)
{
    if (item->kind != WM_MP_MAP && item->kind != WM_MP_ARRAY)
        return wm_mp_skip(&f->r, item);
    if (depth > WM_MSGPACK_DEPTH)
        return wm_fail(f->r.err, WM_ELIMIT, f->r.file, "byte %" PRIu64 ": nested more than %d levels", item->at,
                       WM_MSGPACK_DEPTH);
    return item->kind == WM_MP_MAP ? read_map(f, item->n, depth) : read_list(f, item->n, depth);
}
