/* runtime/formats/dcp_meta.c -- the metadata of a distributed checkpoint.
 *
 * In: the pickle.  Out: tensors with their chunks, each with its place; the chunks of a tensor tile it, all numbers are
 * natural and don't overflow, all files lie inside.  Classes are a closed list; nothing is run. */
#include "runtime/formats/dcp.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/map.h"
#include "base/utf8.h"
#include "runtime/formats/torch.h"

enum { MAX_PAIRS = 1 << 22 }; /* of chunks of one tensor that are compared */

enum wm_dcp_class { DC_OTHER, DC_METADATA, DC_TENSOR, DC_BYTES, DC_CHUNK, DC_PROPERTIES, DC_INDEX, DC_STORAGE, DC_DTYPE };

#define DTYPE 0
#define T(dtype) DC_DTYPE | WM_DT_##dtype << 8
static const struct wm_pk_class classes[] = {
#define WM_DCP_CLASS(name, role, user) {name, WM_PK_AS_##role, DC_##user},
#include "runtime/formats/dcp_classes.def"
#undef WM_DCP_CLASS
#define WM_TORCH_CLASS(name, role, user) {name, WM_PK_AS_##role, user},
#include "runtime/formats/torch_dtypes.def"
#undef WM_TORCH_CLASS
};

struct meta {
    struct wm_arena *a;
    const char *path;
    struct wm_err *err;
    const struct wm_pk *storage, *paths; /* dicts: what lies where; keys of the nested state dict */
    struct wm_map place;   /* name NUL offsets -> index in `storage` of the value */
    struct wm_map path_of; /* name -> index in `paths` of the value */
    struct wm_buf key;
    WM_VEC(struct wm_dcp_tensor) tensor;
    uint64_t nbytes;       /* entries that are bytes */
    struct wm_buf other;   /* the first of them */
};

static enum wm_status
bad(struct meta *m, struct wm_str name, const char *what)
{
    return wm_fail(m->err, WM_EFORMAT, m->path, "tensor \"%.*s\": %s", WM_STR_ARG(name), what);
}

static enum wm_status
bad_all(struct meta *m, const char *what)
{
    return wm_fail(m->err, WM_EFORMAT, m->path, "%s", what);
}

static bool
is_a(const struct wm_pk *v, enum wm_dcp_class c)
{
    return v && v->kind == WM_PK_OBJECT && (classes[v->cls].user & 0xff) == c;
}

/* An attribute of an object, or NULL. */
static const struct wm_pk *
attribute(const struct wm_pk *v, const char *name)
{
    const struct wm_pk *state = v->item[1], *found = NULL;

    if (!state || state->kind != WM_PK_DICT)
        return NULL;
    for (uint32_t k = 0; k < state->n; k += 2)
        if (wm_pk_is_str(state->item[k], wm_str_c(name)))
            found = state->item[k + 1];
    return found && found->kind != WM_PK_NONE ? found : NULL;
}

/* A tuple of natural numbers; false: it is none. */
static bool
numbers(struct wm_arena *a, const struct wm_pk *v, int64_t **out, uint32_t *n)
{
    if (!v || (v->kind != WM_PK_TUPLE && v->kind != WM_PK_LIST) || v->n > WM_MAX_RANK)
        return false;
    *out = WM_NEW_N(a, int64_t, v->n);
    *n = v->n;
    for (uint32_t k = 0; k < v->n; k++) {
        if (v->item[k]->kind != WM_PK_INT || v->item[k]->i < 0)
            return false;
        (*out)[k] = v->item[k]->i;
    }
    return true;
}

/* ---- where chunks lie ---- */

static struct wm_str
place_key(struct meta *m, struct wm_str name, const int64_t *at, uint32_t rank)
{
    m->key.n = 0;
    wm_buf_puts(&m->key, name);
    wm_buf_putc(&m->key, '\0');
    wm_buf_puts(&m->key, (struct wm_str){(const char *)at, rank * sizeof(*at)});
    return wm_buf_str(&m->key);
}

static enum wm_status
index_storage(struct meta *m)
{
    wm_map_init(&m->place, m->a, m->storage->n / 2);
    for (uint32_t k = 0; k < m->storage->n; k += 2) {
        const struct wm_pk *index = m->storage->item[k], *name, *offset;
        int64_t *at;
        uint32_t rank;

        if (!is_a(index, DC_INDEX) || !is_a(m->storage->item[k + 1], DC_STORAGE))
            return bad_all(m, "its storage data are not those of files (MetadataIndex to _StorageInfo)");
        name = attribute(index, "fqn");
        offset = attribute(index, "offset");
        if (!name || name->kind != WM_PK_STR)
            return bad_all(m, "storage data without a name");
        if (!offset)
            continue; /* bytes */
        if (!numbers(m->a, offset, &at, &rank))
            return bad(m, wm_pk_str(name), "the offset of a chunk is no tuple of natural numbers");
        if (wm_map_put(&m->place, wm_arena_str(m->a, place_key(m, wm_pk_str(name), at, rank)), k + 1) != k + 1)
            return bad(m, wm_pk_str(name), "a chunk lies in two places");
    }
    return WM_OK;
}

/* "model.w[4:8, 0:3]" */
static struct wm_str
show(struct meta *m, const struct wm_dcp_tensor *t, const struct wm_dcp_chunk *c)
{
    struct wm_buf b;

    wm_buf_init(&b, m->a);
    for (uint32_t k = 0; k < t->rank; k++)
        wm_buf_printf(&b, "%s%" PRId64 ":%" PRId64, k ? ", " : "[", c->at[k], c->at[k] + c->shape[k]);
    wm_buf_putz(&b, t->rank ? "]" : "");
    return wm_buf_str(&b);
}

static enum wm_status
bad_chunk(struct meta *m, const struct wm_dcp_tensor *t, const struct wm_dcp_chunk *c, const char *what)
{
    return wm_fail(m->err, WM_EFORMAT, m->path, "tensor \"%.*s\": its chunk %.*s %s", WM_STR_ARG(t->name),
                   WM_STR_ARG(show(m, t, c)), what);
}

static enum wm_status
find_place(struct meta *m, const struct wm_dcp_tensor *t, const int64_t *at, struct wm_dcp_chunk *c)
{
    uint32_t k = wm_map_get(&m->place, place_key(m, t->name, at, t->rank));
    const struct wm_pk *path, *off, *len, *transforms;

    if (k == WM_NONE)
        return bad_chunk(m, t, c, "has no place in the storage data");
    path = attribute(m->storage->item[k], "relative_path");
    off = attribute(m->storage->item[k], "offset");
    len = attribute(m->storage->item[k], "length");
    transforms = attribute(m->storage->item[k], "transform_descriptors");
    if (!path || path->kind != WM_PK_STR || !off || off->kind != WM_PK_INT || off->i < 0 || !len ||
        len->kind != WM_PK_INT || len->i < 0)
        return bad_chunk(m, t, c, "has no file, offset and length");
    if (!wm_utf8_valid(wm_pk_str(path), NULL) || !wm_path_is_inside(wm_pk_str(path)))
        return wm_fail(m->err, WM_EFORMAT, m->path, "tensor \"%.*s\": its file \"%.*s\" is no plain path inside of the directory",
                       WM_STR_ARG(t->name), WM_STR_ARG(wm_pk_str(path)));
    if (transforms && (transforms->kind != WM_PK_LIST || transforms->n > 0))
        return wm_fail(m->err, WM_ESUPPORT, m->path, "tensor \"%.*s\": stored through a transform (compressed), which is not read",
                       WM_STR_ARG(t->name));
    c->file = wm_pk_str(path);
    c->off = (uint64_t)off->i;
    c->len = (uint64_t)len->i;
    return WM_OK;
}

/* ---- chunks ---- */

/* Two FP4 values are one element to torch: two elements here. */
static bool
unpack(const struct wm_dcp_tensor *t, int64_t *v)
{
    return t->dtype != WM_DT_F4 || (t->rank > 0 && wm_ck_mul(v[t->rank - 1], 2, &v[t->rank - 1]));
}

/* The chunk as the metadata list it; *empty: it has no elements. */
static enum wm_status
read_chunk(struct meta *m, const struct wm_dcp_tensor *t, const struct wm_pk *v, struct wm_dcp_chunk *c, bool *empty)
{
    int64_t *at, *shape, *real;
    uint32_t n, ns;

    if (!is_a(v, DC_CHUNK) || !numbers(m->a, attribute(v, "offsets"), &at, &n) ||
        !numbers(m->a, attribute(v, "sizes"), &shape, &ns) || n != t->rank || ns != t->rank)
        return bad(m, t->name, "a chunk without offsets and sizes of its dimensions");
    real = WM_NEW_N(m->a, int64_t, n); /* as MetadataIndex counts */
    if (n)
        memcpy(real, at, n * sizeof(*at));
    if (!unpack(t, at) || !unpack(t, shape))
        return bad(m, t->name, "the size of a chunk overflows");
    *c = (struct wm_dcp_chunk){.at = at, .shape = shape};
    *empty = false;
    for (uint32_t k = 0; k < n; k++) {
        if (!wm_ck_range((uint64_t)at[k], (uint64_t)shape[k], (uint64_t)t->shape[k]))
            return wm_fail(m->err, WM_EFORMAT, m->path, "tensor \"%.*s\": a chunk of %" PRId64 " at %" PRId64
                           " leaves dimension %" PRIu32 " of size %" PRId64,
                           WM_STR_ARG(t->name), shape[k], at[k], k, t->shape[k]);
        *empty |= shape[k] == 0;
    }
    return *empty ? WM_OK : find_place(m, t, real, c);
}

/* The number of a chunk's first element in its tensor; `last`: of its last one.  Inside, so nothing overflows. */
static int64_t
first_of(const struct wm_dcp_tensor *t, const struct wm_dcp_chunk *c, bool last)
{
    int64_t n = 0;

    for (uint32_t k = 0; k < t->rank; k++)
        n = n * t->shape[k] + c->at[k] + (last ? c->shape[k] - 1 : 0);
    return n;
}

static int
by_first(const void *pa, const void *pb, void *user)
{
    const struct wm_dcp_tensor *t = user;
    int64_t a = first_of(t, pa, false), b = first_of(t, pb, false);

    return (a > b) - (a < b);
}

static bool
meet(const struct wm_dcp_tensor *t, const struct wm_dcp_chunk *a, const struct wm_dcp_chunk *b)
{
    for (uint32_t k = 0; k < t->rank; k++)
        if (a->at[k] + a->shape[k] <= b->at[k] || b->at[k] + b->shape[k] <= a->at[k])
            return false;
    return true;
}

/* The chunks are inside: disjoint, and as many elements as the tensor? */
static enum wm_status
check_tiles(struct meta *m, struct wm_dcp_tensor *t, int64_t numel)
{
    int64_t left = numel;
    uint32_t pairs = 0;

    if (t->nchunk > 1)
        qsort_r(t->chunk, t->nchunk, sizeof(*t->chunk), by_first, t);
    for (uint32_t i = 0; i < t->nchunk; i++) {
        int64_t last = first_of(t, &t->chunk[i], true), n = 1;

        for (uint32_t k = i + 1; k < t->nchunk && first_of(t, &t->chunk[k], false) <= last; k++) {
            if (meet(t, &t->chunk[i], &t->chunk[k]))
                return wm_fail(m->err, WM_EFORMAT, m->path, "tensor \"%.*s\": its chunks %.*s and %.*s overlap",
                               WM_STR_ARG(t->name), WM_STR_ARG(show(m, t, &t->chunk[i])),
                               WM_STR_ARG(show(m, t, &t->chunk[k])));
            if (++pairs == MAX_PAIRS)
                return wm_fail(m->err, WM_ELIMIT, m->path, "tensor \"%.*s\": too many chunks beside each other",
                               WM_STR_ARG(t->name));
        }
        for (uint32_t k = 0; k < t->rank; k++)
            n *= t->chunk[i].shape[k];
        left -= n;
    }
    if (left != 0)
        return wm_fail(m->err, WM_EFORMAT, m->path, "tensor \"%.*s\": %" PRId64 " of its %" PRId64 " elements are in no chunk",
                       WM_STR_ARG(t->name), left, numel);
    return WM_OK;
}

/* ---- tensors ---- */

static enum wm_status
read_dtype(struct meta *m, const struct wm_pk *v, struct wm_dcp_tensor *t)
{
    const struct wm_pk *properties = attribute(v, "properties"), *state, *dtype;

    state = is_a(properties, DC_PROPERTIES) ? properties->item[1] : NULL;
    if (!state || state->kind != WM_PK_TUPLE || state->n < 1 || state->item[0]->kind != WM_PK_CLASS ||
        (classes[state->item[0]->cls].user & 0xff) != DC_DTYPE)
        return bad(m, t->name, "its properties have no dtype");
    dtype = state->item[0];
    t->dtype = (enum wm_dtype)(classes[dtype->cls].user >> 8);
    return t->dtype == WM_DT_N ? wm_fail(m->err, WM_ESUPPORT, m->path, "tensor \"%.*s\": of %s, which is not read",
                                         WM_STR_ARG(t->name), classes[dtype->cls].name)
                               : WM_OK;
}

/* The size; chunks come later, of those that are wanted. */
static enum wm_status
read_tensor(struct meta *m, struct wm_dcp_tensor *t, const struct wm_pk *v)
{
    const struct wm_pk *chunks = attribute(v, "chunks");
    uint32_t bits;
    int64_t *shape, numel;
    enum wm_status st = read_dtype(m, v, t);

    if (st != WM_OK)
        return st;
    bits = wm_dtype_info[t->dtype].bits;
    if (!numbers(m->a, attribute(v, "size"), &shape, &t->rank))
        return bad(m, t->name, "its size is no tuple of natural numbers, or too long");
    t->shape = shape;
    if (!unpack(t, shape) || !wm_ck_numel(shape, t->rank, &numel) || !wm_ck_umul((uint64_t)numel, bits, &t->nbytes))
        return bad(m, t->name, "the product of its shape overflows");
    t->nbytes /= 8;
    if (!chunks || chunks->kind != WM_PK_LIST)
        return bad(m, t->name, "it has no list of chunks");
    t->chunk = WM_NEW_N(m->a, struct wm_dcp_chunk, chunks->n);
    for (uint32_t k = 0; k < chunks->n; k++) {
        bool empty = false;

        st = read_chunk(m, t, chunks->item[k], &t->chunk[t->nchunk], &empty);
        if (st != WM_OK)
            return st;
        t->nchunk += !empty;
    }
    return check_tiles(m, t, numel);
}

/* ---- the key that all are under ---- */

/* The first key of an entry in the nested state dict that was saved; empty: it is under none. */
static struct wm_str
top_of(const struct meta *m, struct wm_str name)
{
    uint32_t k = wm_map_get(&m->path_of, name);
    const struct wm_pk *path = k == WM_NONE ? NULL : m->paths->item[k];

    if (!path || path->kind != WM_PK_TUPLE || path->n < 2 || path->item[0]->kind != WM_PK_STR ||
        !wm_str_starts(name, wm_pk_str(path->item[0])) || name.n <= path->item[0]->n + 1 ||
        name.p[path->item[0]->n] != '.')
        return WM_STR("");
    return wm_pk_str(path->item[0]);
}

/* A trainer's state dict: exactly one key says that the model is there, all others with tensors are known as its own. */
static struct wm_str
find_wrap(const struct meta *m)
{
    struct wm_str root = {0};

    for (uint32_t k = 0; k < m->tensor.n; k++) {
        struct wm_str name = m->tensor.item[k].name, top = top_of(m, name);

        if (top.n && wm_torch_is_wrap(top) && (!root.n || wm_str_eq(root, top)))
            root = top;
        else if (!wm_torch_is_trainers(top.n ? top : name))
            return WM_STR("");
    }
    return root;
}

/* Keep the tensors under `root`. */
static enum wm_status
keep(struct meta *m, struct wm_str root, bool asked, uint32_t *left_out)
{
    uint32_t n = 0;

    for (uint32_t k = 0; k < m->tensor.n; k++) {
        struct wm_dcp_tensor t = m->tensor.item[k];

        if (!wm_str_starts(t.name, root) || t.name.n <= root.n + 1 || t.name.p[root.n] != '.')
            continue;
        t.skip = root.n + 1;
        m->tensor.item[n++] = t;
    }
    if (n == 0 && asked)
        return wm_fail(m->err, WM_EUSAGE, m->path, "no tensors under \"%.*s\"%s%.*s%s", WM_STR_ARG(root),
                       m->tensor.n ? "; there is, for example, \"" : "",
                       m->tensor.n ? (int)m->tensor.item[0].name.n : 0, m->tensor.n ? m->tensor.item[0].name.p : "",
                       m->tensor.n ? "\"" : "");
    *left_out = m->tensor.n - n;
    m->tensor.n = n;
    return WM_OK;
}

static void
index_paths(struct meta *m)
{
    uint32_t n = m->paths && m->paths->kind == WM_PK_DICT ? m->paths->n : 0;

    wm_map_init(&m->path_of, m->a, n / 2);
    for (uint32_t k = 0; k < n; k += 2)
        if (m->paths->item[k]->kind == WM_PK_STR)
            wm_map_put(&m->path_of, wm_pk_str(m->paths->item[k]), k + 1);
}

/* ---- the whole ---- */

static enum wm_status
add_entry(struct meta *m, const struct wm_pk *key, const struct wm_pk *v)
{
    struct wm_str name = key->kind == WM_PK_STR ? wm_pk_str(key) : WM_STR("");

    if (key->kind != WM_PK_STR)
        return bad_all(m, "an entry whose key is no string");
    if (!wm_utf8_valid(name, NULL) || memchr(name.p, '\0', name.n))
        return bad(m, name, "its name is not UTF-8, or has a NUL");
    if (is_a(v, DC_BYTES)) {
        if (m->nbytes++ < 3)
            wm_buf_printf(&m->other, "%s\"%.*s\"", m->other.n ? ", " : "", (int)(name.n < 60 ? name.n : 60), name.p);
        return WM_OK;
    }
    if (!is_a(v, DC_TENSOR))
        return wm_fail(m->err, WM_EFORMAT, m->path, "entry \"%.*s\": neither a tensor nor bytes, but a value of type %s",
                       WM_STR_ARG(name), wm_pk_type_name(v, classes));
    *WM_PUSH(m->a, &m->tensor) = (struct wm_dcp_tensor){.name = name};
    return WM_OK;
}

static enum wm_status
read_entries(struct meta *m, const struct wm_pk *dict, struct wm_str root, struct wm_buf *note)
{
    struct wm_map seen;
    uint32_t left_out = 0;
    bool asked = root.n > 0;
    enum wm_status st = WM_OK;

    wm_map_init(&seen, m->a, dict->n / 2);
    for (uint32_t k = 0; st == WM_OK && k < dict->n; k += 2) {
        st = add_entry(m, dict->item[k], dict->item[k + 1]);
        if (st == WM_OK && wm_map_put(&seen, wm_pk_str(dict->item[k]), k + 1) != k + 1)
            st = bad(m, wm_pk_str(dict->item[k]), "listed twice");
    }
    if (st != WM_OK)
        return st;
    if (!asked)
        root = find_wrap(m);
    if (root.n && (st = keep(m, root, asked, &left_out)) != WM_OK)
        return st;
    for (uint32_t k = 0; st == WM_OK && k < m->tensor.n; k++)
        st = read_tensor(m, &m->tensor.item[k], dict->item[wm_map_get(&seen, m->tensor.item[k].name)]);
    if (root.n)
        wm_buf_printf(note, "tensors are those under \"%.*s\"", WM_STR_ARG(root));
    if (left_out)
        wm_buf_printf(note, ", without %" PRIu32 " other%s", left_out, left_out == 1 ? "" : "s");
    if (m->nbytes)
        wm_buf_printf(note, "%s%" PRIu64 " value%s no tensor%s %s left out (%s%s)", note->n ? "; " : "", m->nbytes,
                      m->nbytes == 1 ? " that is" : "s that are", m->nbytes == 1 ? "" : "s",
                      m->nbytes == 1 ? "is" : "are", m->other.p, m->nbytes > 3 ? ", .." : "");
    return st;
}

enum wm_status
wm_dcp_parse(struct wm_arena *a, const char *path, struct wm_str bytes, struct wm_str root, struct wm_dcp_meta *out,
             struct wm_err *err)
{
    const struct wm_pk_opts o = {path, "pickle", classes, WM_COUNTOF(classes), true};
    struct meta m = {.a = a, .path = path, .err = err};
    const struct wm_pk *entries;
    struct wm_pk_result tree;
    struct wm_buf note;
    enum wm_status st = wm_pk_read(a, &o, bytes, &tree, err);

    wm_buf_init(&m.key, a);
    wm_buf_init(&m.other, a);
    wm_buf_init(&note, a);
    if (st == WM_EIO)
        err->status = st = WM_EFORMAT;
    if (st != WM_OK)
        return st;
    if (tree.used != bytes.n || tree.nref > 0)
        return bad_all(&m, tree.nref ? "refers to something outside of it" : "bytes behind the end of its pickle");
    if (!is_a(tree.value, DC_METADATA))
        return wm_fail(err, WM_EFORMAT, path, "no metadata of a distributed checkpoint, but a value of type %s",
                       wm_pk_type_name(tree.value, classes));
    entries = attribute(tree.value, "state_dict_metadata");
    m.storage = attribute(tree.value, "storage_data");
    m.paths = attribute(tree.value, "planner_data");
    if (!entries || entries->kind != WM_PK_DICT || !m.storage || m.storage->kind != WM_PK_DICT)
        return bad_all(&m, "its metadata have no entries, or no storage data");
    index_paths(&m);
    st = index_storage(&m);
    if (st == WM_OK)
        st = read_entries(&m, entries, root, &note);
    *out = (struct wm_dcp_meta){m.tensor.item, m.tensor.n, wm_buf_str(&note)};
    return st;
}
