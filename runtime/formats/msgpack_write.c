/* runtime/formats/msgpack_write.c -- msgpack files of tt-train: new ones, and ones made after a template.
 *
 * In: the tensors.  Out: their places and the bytes between them.  A new file has for each tensor what tt-train's
 * reader asks for.  After a template, only the numbers are new: every other byte of it, keys, shapes, flags and
 * optimizer state, goes along as it is, and so does the order. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/utf8.h"
#include "runtime/formats/msgpack.h"

/* What ttnn's enums count for a tensor of a module: bfloat16 (or uint32), in tiles, on the device. */
enum { TT_BFLOAT16 = 0, TT_UINT32 = 2, TT_TILE = 1, TT_DEVICE = 1 };

struct writer {
    struct wm_arena *a;
    struct wm_wfile *out;
    struct wm_buf b; /* bytes since the last tensor */
    uint64_t at;     /* in the file, before b */
    struct wm_err *err;
};

/* ---- items ---- */

static void
put_big(struct wm_buf *b, uint64_t v, int n)
{
    while (n-- > 0)
        wm_buf_putc(b, (char)(v >> (8 * n) & 0xff));
}

/* A head with a count in the shortest of: in the byte itself, 8, 16 or 32 bits (bytes of 0: there is none such). */
static void
put_head(struct wm_buf *b, uint64_t n, unsigned fix, uint64_t fix_max, unsigned b8, unsigned b16, unsigned b32)
{
    if (n <= fix_max && fix) {
        wm_buf_putc(b, (char)(fix | n));
    } else if (n <= 0xff && b8) {
        wm_buf_putc(b, (char)b8);
        put_big(b, n, 1);
    } else if (n <= 0xffff) {
        wm_buf_putc(b, (char)b16);
        put_big(b, n, 2);
    } else {
        wm_buf_putc(b, (char)b32);
        put_big(b, n, 4);
    }
}

static void
put_key(struct wm_buf *b, struct wm_str name, const char *end)
{
    put_head(b, name.n + strlen(end), 0xa0, 31, 0xd9, 0xda, 0xdb);
    wm_buf_puts(b, name);
    wm_buf_putz(b, end);
}

/* [variant, : a small integer or a boolean follows. */
static void
put_pair(struct wm_buf *b, unsigned variant, unsigned char value)
{
    wm_buf_putc(b, (char)0x92);
    wm_buf_putc(b, (char)variant);
    wm_buf_putc(b, (char)value);
}

/* ---- checks ---- */

static enum wm_status
check_tensor(struct writer *w, const struct wm_wtensor *t, int64_t *n)
{
    if (!wm_utf8_valid(t->name, NULL))
        return wm_fail(w->err, WM_ESUPPORT, NULL, "tensor \"%.*s\": msgpack can not hold this name",
                       WM_STR_ARG(t->name));
    if (!wm_ck_numel(t->shape, t->rank, n) || *n > UINT32_MAX)
        return wm_fail(w->err, WM_ELIMIT, NULL, "tensor \"%.*s\": more than 2^32 - 1 elements, the limit of msgpack",
                       WM_STR_ARG(t->name));
    return WM_OK;
}

static enum wm_status
check_dtype(struct writer *w, const struct wm_wtensor *t, enum wm_dtype want)
{
    if (t->dtype == want)
        return WM_OK;
    return wm_fail(w->err, WM_ESUPPORT, NULL, "tensor \"%.*s\": %s, but its place in the file holds %s: cast it",
                   WM_STR_ARG(t->name), wm_dtype_info[t->dtype].name, wm_dtype_info[want].name);
}

/* The tensor comes next: n elements in a spelling of `width` bytes each. */
static enum wm_status
put_tensor(struct writer *w, struct wm_wtensor *t, int64_t n, uint64_t width, uint32_t codec)
{
    if (!wm_ck_umul((uint64_t)n, width, &t->nbytes) || !wm_ck_uadd(w->at, t->nbytes, &w->at))
        return wm_fail(w->err, WM_ELIMIT, NULL, "tensor \"%.*s\": the file would be too large", WM_STR_ARG(t->name));
    t->off = w->at - t->nbytes;
    t->codec = codec;
    t->same = WM_NONE;
    return WM_OK;
}

/* As numbers of msgpack, five bytes each. */
static enum wm_status
put_numbers(struct writer *w, struct wm_wtensor *t, int64_t n)
{
    return put_tensor(w, t, n, 5, t->dtype == WM_DT_U32 ? WM_CODEC_MSGPACK_U32 : WM_CODEC_MSGPACK_F32);
}

/* ---- a new file ---- */

/* What stands before a tensor's numbers. */
static enum wm_status
put_before(struct writer *w, const struct wm_wtensor *t, int64_t n)
{
    struct wm_buf *b = &w->b;

    put_key(b, t->name, "/shape");
    wm_buf_putc(b, (char)0x92);
    wm_buf_putc(b, WM_TT_VEC_UINT8);
    put_head(b, 4 * (uint64_t)t->rank, 0, 0, 0xc4, 0xc5, 0xc6);
    for (uint32_t k = 0; k < t->rank; k++) {
        if (t->shape[k] > UINT32_MAX)
            return wm_fail(w->err, WM_ELIMIT, NULL, "tensor \"%.*s\": a dimension of 2^32 or more",
                           WM_STR_ARG(t->name));
        for (int byte = 0; byte < 4; byte++)
            wm_buf_putc(b, (char)(t->shape[k] >> (8 * byte) & 0xff));
    }
    put_key(b, t->name, "/data_type");
    put_pair(b, WM_TT_INT, t->dtype == WM_DT_U32 ? TT_UINT32 : TT_BFLOAT16);
    put_key(b, t->name, "/layout");
    put_pair(b, WM_TT_INT, TT_TILE);
    put_key(b, t->name, "/storage_type");
    put_pair(b, WM_TT_INT, TT_DEVICE);
    put_key(b, t->name, "/data");
    wm_buf_putc(b, (char)0x92);
    wm_buf_putc(b, t->dtype == WM_DT_U32 ? WM_TT_VEC_UINT32 : WM_TT_VEC_FLOAT);
    put_head(b, (uint64_t)n, 0x90, 15, 0, 0xdc, 0xdd);
    return WM_OK;
}

/* The parameter to which "P/value" belongs; false: the tensor is none of a module. */
static bool
parameter(struct wm_str name, struct wm_str *p)
{
    *p = (struct wm_str){name.p, name.n - (wm_str_ends(name, WM_STR("/value")) ? 6 : 0)};
    return p->n < name.n && p->n > 0;
}

static void
put_after(struct writer *w, const struct wm_wtensor *t)
{
    struct wm_str p;

    if (!parameter(t->name, &p))
        return;
    put_key(&w->b, p, "/requires_grads");
    put_pair(&w->b, WM_TT_BOOL, t->dtype == WM_DT_U32 ? 0xc2 : 0xc3);
    put_key(&w->b, p, "/has_grads");
    put_pair(&w->b, WM_TT_BOOL, 0xc2);
}

/* The bytes in w->b become the head or a piece. */
static void
flush(struct writer *w, bool head)
{
    struct wm_str s = wm_arena_str(w->a, wm_buf_str(&w->b));

    if (head)
        w->out->head = s;
    else if (s.n)
        *WM_PUSH(w->a, &w->out->piece) = (struct wm_wpiece){.off = w->at, .len = s.n, .bytes = s.p};
    w->at += s.n;
    w->b.n = 0;
}

static enum wm_status
count_entries(struct writer *w, const struct wm_wtensor *t, uint32_t n, uint64_t *count)
{
    struct wm_map seen;
    struct wm_str p;

    *count = 0;
    wm_map_init(&seen, w->a, n);
    for (uint32_t i = 0; i < n; i++) {
        if (wm_map_put(&seen, t[i].name, i) != i)
            return wm_fail(w->err, WM_EFORMAT, NULL, "two tensors named \"%.*s\" in one file", WM_STR_ARG(t[i].name));
        *count += parameter(t[i].name, &p) ? 7 : 5;
    }
    return WM_OK;
}

static enum wm_status
new_file(struct writer *w, struct wm_wtensor *t, uint32_t n)
{
    uint64_t count;
    enum wm_status st = count_entries(w, t, n, &count);

    put_head(&w->b, count, 0x80, 15, 0, 0xde, 0xdf);
    for (uint32_t i = 0; i < n && st == WM_OK; i++) {
        int64_t numel;

        if (t[i].dtype != WM_DT_F32 && t[i].dtype != WM_DT_U32)
            return wm_fail(w->err, WM_ESUPPORT, NULL, "tensor \"%.*s\": %s, but a file of tt-train holds F32 and U32: cast it",
                           WM_STR_ARG(t[i].name), wm_dtype_info[t[i].dtype].name);
        if ((st = check_tensor(w, &t[i], &numel)) != WM_OK || (st = put_before(w, &t[i], numel)) != WM_OK)
            return st;
        flush(w, i == 0);
        st = put_numbers(w, &t[i], numel);
        put_after(w, &t[i]);
    }
    w->out->tail = wm_arena_str(w->a, wm_buf_str(&w->b));
    w->out->size = w->at + w->out->tail.n;
    return st;
}

/* ---- after a template ---- */

struct place {
    const struct wm_mtensor *in; /* of the template */
    struct wm_wtensor t;
};

static int
by_place(const void *pa, const void *pb)
{
    const struct place *a = pa, *b = pb;

    return a->in->off != b->in->off ? (a->in->off < b->in->off ? -1 : 1) : wm_str_cmp(a->in->name, b->in->name);
}

/* "a", "b", "c" and 4 more */
static struct wm_str
listed(struct wm_arena *a, const struct wm_str *name, uint32_t n)
{
    struct wm_buf b;

    wm_buf_init(&b, a);
    for (uint32_t i = 0; i < n && i < 5; i++)
        wm_buf_printf(&b, "%s\"%.*s\"", i ? ", " : "", WM_STR_ARG(name[i]));
    if (n > 5)
        wm_buf_printf(&b, " and %" PRIu32 " more", n - 5);
    return wm_buf_str(&b);
}

static struct wm_str
first_part(struct wm_str name)
{
    const char *slash = name.n ? memchr(name.p, '/', name.n) : NULL;

    return (struct wm_str){name.p, slash ? (size_t)(slash - name.p) : name.n};
}

/* Weights of the template that the map does not make: of tt-train, the values of parameters of the same model (not
 * their gradients, no integers, and nothing of the optimizer); of msgpack-numpy, all. */
static enum wm_status
check_untouched(struct writer *w, const struct wm_manifest *m, const struct wm_map *written)
{
    struct wm_str *name = WM_NEW_N(w->a, struct wm_str, m->tensor.n), p;
    struct wm_map model;
    uint32_t n = 0;

    wm_map_init(&model, w->a, 4);
    for (uint32_t i = 0; i < m->tensor.n; i++)
        if (wm_map_get(written, m->tensor.item[i].name) != WM_NONE)
            wm_map_put(&model, first_part(m->tensor.item[i].name), 0);
    for (uint32_t i = 0; i < m->tensor.n; i++) {
        const struct wm_mtensor *t = &m->tensor.item[i];
        bool weight = t->store->codec < WM_CODEC_MSGPACK_F32 ||
                      (t->dtype != WM_DT_U32 && parameter(t->name, &p) && wm_map_get(&model, first_part(t->name)) != WM_NONE);

        if (weight && wm_map_get(written, t->name) == WM_NONE)
            name[n++] = t->name;
    }
    if (n == 0)
        return WM_OK;
    return wm_fail(w->err, WM_EUSAGE, m->path.p,
                   "the template has %" PRIu32 " tensor%s that the map does not make: %.*s", n, n == 1 ? "" : "s",
                   WM_STR_ARG(listed(w->a, name, n)));
}

/* The place of each tensor in the template, and that both have the same. */
static enum wm_status
find_places(struct writer *w, const struct wm_manifest *m, struct wm_wtensor *t, uint32_t n, struct place *place)
{
    struct wm_str *name = WM_NEW_N(w->a, struct wm_str, n);
    struct wm_map written;
    uint32_t missing = 0;

    wm_map_init(&written, w->a, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = wm_map_get(&m->by_name, t[i].name);

        if (wm_map_put(&written, t[i].name, i) != i)
            return wm_fail(w->err, WM_EFORMAT, NULL, "two tensors named \"%.*s\" in one file", WM_STR_ARG(t[i].name));
        if (k == WM_NONE)
            name[missing++] = t[i].name;
        else
            place[i] = (struct place){&m->tensor.item[k], t[i]};
    }
    if (missing)
        return wm_fail(w->err, WM_EUSAGE, m->path.p,
                       "the template lacks %" PRIu32 " tensor%s that the map makes: %.*s", missing,
                       missing == 1 ? "" : "s",
                       WM_STR_ARG(listed(w->a, name, missing)));
    return check_untouched(w, m, &written);
}

static struct wm_str
shape_text(struct wm_arena *a, const int64_t *shape, uint32_t rank)
{
    struct wm_buf b;

    wm_buf_init(&b, a);
    wm_buf_putc(&b, '[');
    for (uint32_t k = 0; k < rank; k++)
        wm_buf_printf(&b, k ? " %" PRId64 : "%" PRId64, shape[k]);
    wm_buf_putc(&b, ']');
    return wm_buf_str(&b);
}

static enum wm_status
put_in_place(struct writer *w, const struct wm_manifest *m, struct place *x)
{
    bool numpy = x->in->store->codec < WM_CODEC_MSGPACK_F32;
    uint32_t width = wm_dtype_info[x->in->dtype].bits / 8;
    int64_t n = 0, have = 0;
    enum wm_status st = check_tensor(w, &x->t, &n);

    if (st == WM_OK)
        st = check_dtype(w, &x->t, x->in->dtype);
    if (st != WM_OK)
        return st;
    if (!wm_ck_numel(x->in->shape, x->in->rank, &have) || have != n)
        return wm_fail(w->err, WM_EUSAGE, m->path.p, "tensor \"%.*s\": the template's has shape %.*s, the map's %.*s",
                       WM_STR_ARG(x->t.name), WM_STR_ARG(shape_text(w->a, x->in->shape, x->in->rank)),
                       WM_STR_ARG(shape_text(w->a, x->t.shape, x->t.rank)));
    if (numpy)
        return put_tensor(w, &x->t, n, width, x->in->store->codec);
    return put_numbers(w, &x->t, n);
}

/* Bytes [from, to) of the template come next. */
static void
keep(struct writer *w, uint64_t from, uint64_t to)
{
    if (to > from)
        *WM_PUSH(w->a, &w->out->piece) = (struct wm_wpiece){.off = w->at, .len = to - from, .from = from};
    w->at += to - from;
}

static enum wm_status
like_template(struct writer *w, const struct wm_manifest *m, struct wm_wtensor *t, uint32_t n)
{
    struct place *place = WM_NEW_N(w->a, struct place, n);
    uint64_t from = 0;
    enum wm_status st;

    if (m->file.n != 1)
        return wm_fail(w->err, WM_EUSAGE, m->path.p, "a template is one file");
    if ((st = find_places(w, m, t, n, place)) != WM_OK)
        return st;
    if (n > 1)
        qsort(place, n, sizeof(*place), by_place);
    for (uint32_t i = 0; i < n && st == WM_OK; i++) {
        const struct wm_mtensor *in = place[i].in;

        keep(w, from, in->off);
        st = put_in_place(w, m, &place[i]);
        from = in->off + (in->store->codec == WM_CODEC_RAW ? in->nbytes : in->store->raw);
        t[i] = place[i].t;
    }
    keep(w, from, m->file.item[0].size);
    w->out->size = w->at;
    return st;
}

enum wm_status
wm_msgpack_layout(struct wm_arena *a, struct wm_wtensor *t, uint32_t n, const struct wm_wopts *o,
                  struct wm_wfile *out, struct wm_err *err)
{
    struct writer w = {.a = a, .out = out, .err = err};

    *out = (struct wm_wfile){.head = WM_STR(""), .tail = WM_STR("")};
    wm_buf_init(&w.b, a);
    return o->like ? like_template(&w, o->like, t, n) : new_file(&w, t, n);
}
