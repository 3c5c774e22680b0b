/* runtime/formats/torch_tensor.c -- what a pickled tree says of storages and tensors.
 *
 * In: calls of torch's rebuilding functions, as values.  Out: storages with their sizes, tensors as views of them; each
 * is within its storage, by checked arithmetic.  Kinds of tensors that are more than elements in a storage are
 * refused by name. */
#include "runtime/formats/torch.h"

#include <inttypes.h>

#include "base/checked.h"

#define T(dtype) WM_DT_##dtype << 8
#define OTHER WM_TC_OTHER
#define TENSOR WM_TC_TENSOR
#define TENSOR_V2 WM_TC_TENSOR_V2
#define TENSOR_V3 WM_TC_TENSOR_V3
#define PARAMETER WM_TC_PARAMETER
#define FROM_TYPE WM_TC_FROM_TYPE
#define DEVICE_TENSOR WM_TC_DEVICE_TENSOR
#define TENSOR_TYPE WM_TC_TENSOR_TYPE
#define REFERENCE WM_TC_REFERENCE
#define REFUSED WM_TC_REFUSED
#define STORAGE WM_TC_STORAGE
#define DTYPE WM_TC_DTYPE

const struct wm_pk_class wm_torch_classes[] = {
#define WM_TORCH_CLASS(name, role, user) {name, WM_PK_AS_##role, user},
#include "runtime/formats/torch_classes.def"
#undef WM_TORCH_CLASS
};
const uint32_t wm_torch_nclass = WM_COUNTOF(wm_torch_classes);

static enum wm_torch_class
class_of(const struct wm_pk *v)
{
    if (v->kind != WM_PK_CLASS && v->kind != WM_PK_OBJECT)
        return WM_TC_OTHER;
    return (enum wm_torch_class)(wm_torch_classes[v->cls].user & 0xff);
}

static enum wm_dtype
dtype_of(uint16_t cls)
{
    return (enum wm_dtype)(wm_torch_classes[cls].user >> 8);
}

bool
wm_torch_is_tensor(const struct wm_pk *v)
{
    enum wm_torch_class c = class_of(v);

    return v->kind == WM_PK_OBJECT && c != WM_TC_OTHER;
}

/* ---- storages ---- */

static enum wm_status
bad_ref(struct wm_torch *t, const char *what)
{
    return wm_fail(t->err, WM_EFORMAT, t->path, "%s: a reference to a storage: %s", t->part, what);
}

/* A number of elements as bytes; of a dtype that we lack, 0. */
static bool
bytes_of(enum wm_dtype dtype, uint64_t numel, uint64_t *out)
{
    *out = 0;
    return dtype == WM_DT_N || wm_ck_umul(numel, wm_dtype_info[dtype].bits / 8, out);
}

/* torch joins the key to a name whatever it is, and LitGPT numbers its storages: 7 is "7". */
static void
number_to_key(struct wm_torch *t, struct wm_pk **key)
{
    struct wm_str s;

    if ((*key)->kind != WM_PK_INT || (*key)->i < 0)
        return;
    s = wm_arena_printf(t->a, "%" PRId64, (*key)->i);
    *key = WM_NEW(t->a, struct wm_pk);
    **key = (struct wm_pk){.kind = WM_PK_STR, .s = s.p, .n = (uint32_t)s.n};
}

/* The id of a REF: ("storage", class, key, location, numel[, view]). */
static enum wm_status
check_id(struct wm_torch *t, const struct wm_pk *id)
{
    if (id->kind != WM_PK_TUPLE || id->n < 5 || id->n > 6 || !wm_pk_is_str(id->item[0], WM_STR("storage")))
        return bad_ref(t, "not (\"storage\", type, key, location, number of elements)");
    if (id->item[1]->kind != WM_PK_CLASS || class_of(id->item[1]) != WM_TC_STORAGE)
        return bad_ref(t, "its type is no storage");
    number_to_key(t, &id->item[2]);
    if (id->item[2]->kind != WM_PK_STR || id->item[2]->n == 0)
        return bad_ref(t, "its key is no string");
    if (id->item[3]->kind != WM_PK_STR)
        return bad_ref(t, "its location is no string");
    if (id->item[4]->kind != WM_PK_INT || id->item[4]->i < 0)
        return bad_ref(t, "its number of elements is no natural number");
    return WM_OK;
}

static enum wm_status
add_storage(struct wm_torch *t, const struct wm_pk *id)
{
    struct wm_torch_storage s = {.key = wm_pk_str(id->item[2]), .cls = id->item[1]->cls};
    const struct wm_torch_storage *old;
    uint32_t k;

    s.dtype = dtype_of(s.cls);
    if (!bytes_of(s.dtype, (uint64_t)id->item[4]->i, &s.nbytes))
        return bad_ref(t, "its size overflows");
    k = wm_map_put(&t->by_key, s.key, t->storage.n);
    if (k == t->storage.n) {
        *WM_PUSH(t->a, &t->storage) = s;
        return WM_OK;
    }
    old = &t->storage.item[k];
    if (s.nbytes == old->nbytes && s.cls == old->cls)
        return WM_OK;
    return wm_fail(t->err, WM_EFORMAT, t->path, "%s: storage \"%.*s\" is of two types or sizes", t->part,
                   WM_STR_ARG(s.key));
}

void
wm_torch_init(struct wm_torch *t, struct wm_manifest *m, uint32_t file, struct wm_err *err)
{
    *t = (struct wm_torch){.a = m->a, .m = m, .file = file, .path = m->file.item[file].path.p, .err = err};
    wm_map_init(&t->by_key, t->a, 0);
    wm_map_init(&t->by_tid, t->a, 0);
}

enum wm_status
wm_torch_parse(struct wm_torch *t, const char *part, struct wm_str bytes)
{
    const struct wm_pk_opts o = {t->path, part, wm_torch_classes, wm_torch_nclass, false};
    enum wm_status st = wm_pk_read(t->a, &o, bytes, &t->tree, t->err);
    t->part = part;

    for (uint32_t k = 0; st == WM_OK && k < t->tree.nref; k++) {
        const struct wm_pk *id = t->tree.ref[k]->item[0];

        st = check_id(t, id);
        if (st == WM_OK)
            st = add_storage(t, id);
    }
    return st;
}

enum wm_status
wm_torch_resolve(struct wm_torch *t, const struct wm_pk *ref, struct wm_torch_storage **out, uint64_t *skip,
                 uint64_t *nbytes)
{
    const struct wm_pk *id = ref->item[0], *view = id->n > 5 ? id->item[5] : NULL;
    struct wm_torch_storage *s = &t->storage.item[wm_map_get(&t->by_key, wm_pk_str(id->item[2]))];
    uint64_t off, len;

    *out = s;
    *skip = 0;
    *nbytes = s->nbytes;
    if (!view || view->kind == WM_PK_NONE)
        return WM_OK;
    /* files of 2016: (key of the view, first element, elements) */
    if (view->kind != WM_PK_TUPLE || view->n != 3 || view->item[1]->kind != WM_PK_INT ||
        view->item[2]->kind != WM_PK_INT || view->item[1]->i < 0 || view->item[2]->i < 0)
        return bad_ref(t, "its view is malformed");
    if (!bytes_of(s->dtype, (uint64_t)view->item[1]->i, &off) || !bytes_of(s->dtype, (uint64_t)view->item[2]->i, &len) ||
        !wm_ck_range(off, len, s->nbytes))
        return bad_ref(t, "its view leaves it");
    *skip = off;
    *nbytes = len;
    return WM_OK;
}

/* ---- tensors ---- */

/* A tensor on its way through its wrappers. */
struct found {
    struct wm_str name;
    const char *how;                /* the function that makes it */
    enum wm_torch_class kind;
    const struct wm_pk *args;
    enum wm_dtype must;             /* what a device's tensor is cast to, or WM_DT_N */
};

static enum wm_status
bad(struct wm_torch *t, const struct found *f, const char *what)
{
    return wm_fail(t->err, WM_EFORMAT, t->path, "tensor \"%.*s\": %s", WM_STR_ARG(f->name), what);
}

static enum wm_status
refuse(struct wm_torch *t, const struct found *f)
{
    static const char *const what[][2] = {{"qtensor", "quantised"}, {"sparse", "sparse"}, {"meta", "without data (meta)"},
                                          {"nested", "nested"}, {"subclass", "of a subclass"}};
    const char *kind = "of an old kind";

    for (size_t k = 0; k < WM_COUNTOF(what); k++)
        if (strstr(f->how, what[k][0])) {
            kind = what[k][1];
            break;
        }
    return wm_fail(t->err, WM_ESUPPORT, t->path, "tensor \"%.*s\": a tensor %s (%s), which is not read",
                   WM_STR_ARG(f->name), kind, f->how);
}

static enum wm_status
set_call(struct wm_torch *t, struct found *f, const struct wm_pk *function, const struct wm_pk *args)
{
    f->how = wm_torch_classes[function->cls].name;
    f->kind = class_of(function);
    f->args = args;
    return args->kind == WM_PK_TUPLE ? WM_OK : bad(t, f, "its arguments are no tuple");
}

static enum wm_status
into(struct wm_torch *t, struct found *f, const struct wm_pk *v)
{
    if (!wm_torch_is_tensor(v))
        return bad(t, f, "wraps something else than a tensor");
    return set_call(t, f, v, v->item[0]);
}

/* One wrapper less. */
static enum wm_status
unwrap(struct wm_torch *t, struct found *f)
{
    struct wm_pk *const *arg = f->args->item;

    switch (f->kind) {
    case WM_TC_PARAMETER:
        if (f->args->n < 3 || f->args->n > 4)
            break;
        return into(t, f, arg[0]);
    case WM_TC_FROM_TYPE:
        if (f->args->n != 4 || arg[0]->kind != WM_PK_CLASS || arg[1]->kind != WM_PK_CLASS)
            break;
        if (class_of(arg[1]) != WM_TC_TENSOR_TYPE)
            return wm_fail(t->err, WM_ESUPPORT, t->path, "tensor \"%.*s\": of the type %s, which is not read",
                           WM_STR_ARG(f->name), wm_torch_classes[arg[1]->cls].name);
        return set_call(t, f, arg[0], arg[2]);
    case WM_TC_DEVICE_TENSOR:
        if (f->args->n != 4 || class_of(arg[1]) != WM_TC_DTYPE)
            break;
        f->must = dtype_of(arg[1]->cls);
        return into(t, f, arg[0]);
    default:
        return refuse(t, f);
    }
    return wm_fail(t->err, WM_EFORMAT, t->path, "tensor \"%.*s\": wrong arguments of %s", WM_STR_ARG(f->name), f->how);
}

/* conj and neg: elements are to be changed when they are read. */
static enum wm_status
check_metadata(struct wm_torch *t, const struct found *f, uint32_t at)
{
    const struct wm_pk *meta = at < f->args->n ? f->args->item[at] : NULL;

    if (!meta || meta->kind == WM_PK_NONE)
        return WM_OK;
    if (meta->kind != WM_PK_DICT)
        return bad(t, f, "its metadata are no dict");
    for (uint32_t k = 0; k < meta->n; k += 2) {
        const struct wm_pk *key = meta->item[k], *v = meta->item[k + 1];

        if (key->kind != WM_PK_STR || v->kind != WM_PK_BOOL || v->i)
            return wm_fail(t->err, WM_ESUPPORT, t->path,
                           "tensor \"%.*s\": the bit \"%.*s\" is set, so that its elements are not what is stored",
                           WM_STR_ARG(f->name), key->kind == WM_PK_STR ? (int)key->n : 1,
                           key->kind == WM_PK_STR ? key->s : "?");
    }
    return WM_OK;
}

/* A tuple of natural numbers. */
static enum wm_status
read_dims(struct wm_torch *t, const struct found *f, const struct wm_pk *v, int64_t **out)
{
    if (v->kind != WM_PK_TUPLE && v->kind != WM_PK_LIST)
        return bad(t, f, "its size or stride is no tuple");
    if (v->n > WM_MAX_RANK)
        return wm_fail(t->err, WM_ELIMIT, t->path, "tensor \"%.*s\": more than %d dimensions", WM_STR_ARG(f->name),
                       WM_MAX_RANK);
    *out = WM_NEW_N(t->a, int64_t, v->n);
    for (uint32_t k = 0; k < v->n; k++) {
        if (v->item[k]->kind != WM_PK_INT || v->item[k]->i < 0)
            return bad(t, f, "its size or stride holds something else than natural numbers");
        (*out)[k] = v->item[k]->i;
    }
    return WM_OK;
}

static bool
is_contiguous(const int64_t *shape, const int64_t *stride, uint32_t rank)
{
    int64_t want = 1;

    for (uint32_t k = rank; k-- > 0;) {
        if (shape[k] == 0)
            return true;
        if (shape[k] > 1 && stride[k] != want)
            return false;
        want *= shape[k]; /* at most the number of elements, which was checked */
    }
    return true;
}

/* Elements from the first to the last that a view reaches, both counted. */
static bool
reach(const int64_t *shape, const int64_t *stride, uint32_t rank, int64_t *out)
{
    int64_t n = 1, step;

    for (uint32_t k = 0; k < rank; k++) {
        if (shape[k] == 0) {
            *out = 0;
            return true;
        }
        if (!wm_ck_mul(shape[k] - 1, stride[k], &step) || !wm_ck_add(n, step, &n))
            return false;
    }
    *out = n;
    return true;
}

/* Two FP4 values are one element to torch: two elements here. */
static enum wm_status
unpack_fp4(struct wm_torch *t, const struct found *f, struct wm_mtensor *x)
{
    int64_t *shape = WM_NEW_N(t->a, int64_t, x->rank);

    if (x->rank == 0 || x->store->stride)
        return wm_fail(t->err, WM_ESUPPORT, t->path, "tensor \"%.*s\": a view of packed FP4 values, which is not read",
                       WM_STR_ARG(f->name));
    memcpy(shape, x->shape, x->rank * sizeof(*shape));
    if (!wm_ck_mul(shape[x->rank - 1], 2, &shape[x->rank - 1]))
        return bad(t, f, "the product of its shape overflows");
    x->shape = shape;
    return WM_OK;
}

/* Where the tensor is in its storage. */
static enum wm_status
place(struct wm_torch *t, const struct found *f, struct wm_mtensor *x, const int64_t *stride, uint64_t elem)
{
    struct wm_mstore store = {0};
    const struct wm_pk *offset = f->args->item[1];
    struct wm_torch_storage *s;
    uint64_t skip, nbytes, from, len;
    int64_t numel, span;
    enum wm_status st = wm_torch_resolve(t, f->args->item[0], &s, &skip, &nbytes);

    if (st != WM_OK)
        return st;
    if (offset->kind != WM_PK_INT || offset->i < 0)
        return bad(t, f, "its offset is no natural number");
    if (!wm_ck_numel(x->shape, x->rank, &numel) || !wm_ck_umul((uint64_t)numel, elem, &x->nbytes))
        return bad(t, f, "the product of its shape overflows");
    if (!reach(x->shape, stride, x->rank, &span) || !wm_ck_umul((uint64_t)offset->i, elem, &from) ||
        !wm_ck_umul((uint64_t)span, elem, &len))
        return bad(t, f, "its strides overflow");
    if (!wm_ck_range(from, len, nbytes))
        return wm_fail(t->err, WM_EFORMAT, t->path,
                       "tensor \"%.*s\": needs %" PRIu64 " bytes at %" PRIu64 " of storage \"%.*s\", which has only %" PRIu64,
                       WM_STR_ARG(f->name), len, from, WM_STR_ARG(s->key), nbytes);
    x->off = s->off + skip + from;
    if (!is_contiguous(x->shape, stride, x->rank))
        store.stride = stride;
    if (t->swap && elem > 1) {
        uint64_t part = wm_dtype_info[x->dtype].kind == 'C' ? elem / 2 : elem;

        store.codec = part == 2 ? WM_CODEC_SWAP2 : part == 4 ? WM_CODEC_SWAP4 : WM_CODEC_SWAP8;
        store.raw = len;
    }
    x->store = store.stride || store.codec != WM_CODEC_RAW ? wm_mstore_keep(t->a, &store) : &wm_mstore_plain;
    return WM_OK;
}

/* The dtype: that of the storage, or (v3) its own. */
static enum wm_status
read_dtype(struct wm_torch *t, const struct found *f, struct wm_mtensor *x)
{
    const struct wm_pk *ref = f->args->item[0];
    uint16_t cls;

    if (ref->kind != WM_PK_REF)
        return bad(t, f, "not made of a storage");
    cls = ref->item[0]->item[1]->cls;
    if (f->kind == WM_TC_TENSOR_V3) {
        if (f->args->item[6]->kind != WM_PK_CLASS || class_of(f->args->item[6]) != WM_TC_DTYPE)
            return bad(t, f, "its dtype is none");
        if (dtype_of(cls) != WM_DT_N)
            cls = f->args->item[6]->cls;
    }
    x->dtype = dtype_of(cls);
    if (x->dtype == WM_DT_N)
        return wm_fail(t->err, WM_ESUPPORT, t->path, "tensor \"%.*s\": of %s, which is not read", WM_STR_ARG(f->name),
                       wm_torch_classes[cls].name);
    if (f->must != WM_DT_N && f->must != x->dtype)
        return wm_fail(t->err, WM_ESUPPORT, t->path, "tensor \"%.*s\": a device's, stored as another dtype",
                       WM_STR_ARG(f->name));
    return WM_OK;
}

static enum wm_status
add(struct wm_torch *t, const struct found *f)
{
    static const uint32_t least[] = {[WM_TC_TENSOR] = 4, [WM_TC_TENSOR_V2] = 6, [WM_TC_TENSOR_V3] = 7},
                          most[] = {[WM_TC_TENSOR] = 4, [WM_TC_TENSOR_V2] = 7, [WM_TC_TENSOR_V3] = 8};
    struct wm_mtensor x = {.name = f->name, .file = t->file};
    int64_t *shape, *stride;
    enum wm_status st;

    if (f->args->n < least[f->kind] || f->args->n > most[f->kind])
        return wm_fail(t->err, WM_EFORMAT, t->path, "tensor \"%.*s\": wrong arguments of %s", WM_STR_ARG(f->name),
                       f->how);
    st = read_dtype(t, f, &x);
    if (st == WM_OK && f->kind != WM_TC_TENSOR)
        st = check_metadata(t, f, least[f->kind]);
    if (st == WM_OK)
        st = read_dims(t, f, f->args->item[2], &shape);
    if (st == WM_OK)
        st = read_dims(t, f, f->args->item[3], &stride);
    if (st != WM_OK)
        return st;
    if (f->args->item[2]->n != f->args->item[3]->n)
        return bad(t, f, "as many strides as dimensions are due");
    x.rank = f->args->item[2]->n;
    x.shape = shape;
    st = place(t, f, &x, stride, x.dtype == WM_DT_F4 ? 1 : wm_dtype_info[x.dtype].bits / 8);
    if (st == WM_OK && x.dtype == WM_DT_F4)
        st = unpack_fp4(t, f, &x);
    if (st == WM_OK)
        *WM_PUSH(t->a, &t->m->tensor) = x;
    return st;
}

enum wm_status
wm_torch_add(struct wm_torch *t, struct wm_str name, const struct wm_pk *v)
{
    struct found f = {.name = name, .must = WM_DT_N};
    enum wm_status st;

    if (class_of(v) == WM_TC_REFERENCE)
        return wm_torch_add_reference(t, name, v);
    st = into(t, &f, v);
    for (int depth = 0; st == WM_OK; depth++) {
        if (f.kind == WM_TC_TENSOR || f.kind == WM_TC_TENSOR_V2 || f.kind == WM_TC_TENSOR_V3)
            return add(t, &f);
        st = depth < 8 ? unwrap(t, &f) : bad(t, &f, "wrapped too often");
    }
    return st;
}
