/* runtime/formats/pickle_write.c -- pickles of state dicts (see pickle_write.h).
 *
 * The opcodes, their order and the numbers of the memo are those of CPython's pickler for the objects that torch.save
 * gives it: one dict, a call of torch._utils._rebuild_tensor_v2 (v3 for the newer dtypes) per tensor, and a persistent
 * id for its storage.  What was named once is fetched from the memo. */
#include "runtime/formats/pickle_write.h"

#include <stdio.h>

#include "base/utf8.h"
#include "runtime/formats/zip_write.h"

enum { BATCH = 1000 }; /* items that are set at once */

/* The class of a storage; dtypes without one are written as bytes, with the dtype beside them. */
static const char *const storage_class[WM_DT_N] = {
    [WM_DT_BOOL] = "BoolStorage",    [WM_DT_U8] = "ByteStorage",   [WM_DT_I8] = "CharStorage",
    [WM_DT_I16] = "ShortStorage",    [WM_DT_I32] = "IntStorage",   [WM_DT_I64] = "LongStorage",
    [WM_DT_F16] = "HalfStorage",     [WM_DT_F32] = "FloatStorage", [WM_DT_F64] = "DoubleStorage",
    [WM_DT_BF16] = "BFloat16Storage", [WM_DT_C64] = "ComplexFloatStorage",
};

struct pickler {
    struct wm_buf *b;
    uint32_t n;                                 /* objects in the memo */
    uint32_t storage_word, cpu, bytes, hooks;   /* where in the memo, or WM_NONE */
    uint32_t rebuild[2];
    uint32_t class_of[WM_DT_N], dtype[WM_DT_N];
    uint32_t *key;                              /* of each storage */
};

enum wm_status
wm_torch_holds(const struct wm_wtensor *t, struct wm_err *err)
{
    if (!wm_utf8_valid(t->name, NULL))
        return wm_fail(err, WM_ESUPPORT, NULL, "tensor \"%.*s\": torch can not hold this name",
                       WM_STR_ARG(t->name));
    if (t->dtype == WM_DT_F6_E2M3 || t->dtype == WM_DT_F6_E3M2)
        return wm_fail(err, WM_ESUPPORT, NULL, "tensor \"%.*s\": torch has no dtype %s", WM_STR_ARG(t->name),
                       wm_dtype_info[t->dtype].name);
    if (t->dtype == WM_DT_F4 && (t->rank == 0 || t->shape[t->rank - 1] % 2 != 0))
        return wm_fail(err, WM_ESUPPORT, NULL,
                       "tensor \"%.*s\": torch holds F4 in pairs, but the last dimension is odd", WM_STR_ARG(t->name));
    return WM_OK;
}

/* ---- opcodes ---- */

static uint32_t
put_memo(struct pickler *p)
{
    bool small = p->n < 256;

    wm_buf_putc(p->b, small ? 'q' : 'r');
    wm_buf_le(p->b, p->n, small ? 1 : 4);
    return p->n++;
}

static void
get_memo(struct pickler *p, uint32_t id)
{
    bool small = id < 256;

    wm_buf_putc(p->b, small ? 'h' : 'j');
    wm_buf_le(p->b, id, small ? 1 : 4);
}

static void
put_global(struct pickler *p, uint32_t *memo, const char *module, const char *name)
{
    if (*memo != WM_NONE) {
        get_memo(p, *memo);
        return;
    }
    wm_buf_printf(p->b, "c%s\n%s\n", module, name);
    *memo = put_memo(p);
}

static void
put_string(struct pickler *p, struct wm_str s)
{
    wm_buf_putc(p->b, 'X');
    wm_buf_le(p->b, s.n, 4);
    wm_buf_puts(p->b, s);
    put_memo(p);
}

static void
put_word(struct pickler *p, uint32_t *memo, const char *s)
{
    if (*memo != WM_NONE) {
        get_memo(p, *memo);
        return;
    }
    *memo = p->n;
    put_string(p, wm_str_c(s));
}

static void
put_int(struct pickler *p, uint64_t v)
{
    unsigned n = 1;

    if (v <= UINT8_MAX) {
        wm_buf_putc(p->b, 'K');
        wm_buf_le(p->b, v, 1);
    } else if (v <= UINT16_MAX) {
        wm_buf_putc(p->b, 'M');
        wm_buf_le(p->b, v, 2);
    } else if (v <= INT32_MAX) {
        wm_buf_putc(p->b, 'J');
        wm_buf_le(p->b, v, 4);
    } else {
        while (n < 8 && v >> (8 * n - 1))
            n++; /* two's complement: the sign needs a bit; sizes are below 2^63 */
        wm_buf_putc(p->b, '\x8a');
        wm_buf_le(p->b, n, 1);
        wm_buf_le(p->b, v, n);
    }
}

static void
put_tuple(struct pickler *p, const uint64_t *v, uint32_t n)
{
    static const char op[] = {')', '\x85', '\x86', '\x87'};

    if (n > 3)
        wm_buf_putc(p->b, '(');
    for (uint32_t k = 0; k < n; k++)
        put_int(p, v[k]);
    wm_buf_putc(p->b, n > 3 ? 't' : op[n]);
    if (n > 0)
        put_memo(p);
}

/* ---- tensors ---- */

static void
put_storage(struct pickler *p, const struct wm_wtensor *t, uint32_t storage)
{
    const char *name = storage_class[t->dtype];
    char key[16];

    wm_buf_putc(p->b, '(');
    put_word(p, &p->storage_word, "storage");
    if (name)
        put_global(p, &p->class_of[t->dtype], "torch", name);
    else
        put_global(p, &p->bytes, "torch.storage", "UntypedStorage");
    snprintf(key, sizeof(key), "%u", storage);
    put_word(p, &p->key[storage], key);
    put_word(p, &p->cpu, "cpu");
    put_int(p, name ? t->nbytes / (wm_dtype_info[t->dtype].bits / 8) : t->nbytes);
    wm_buf_putc(p->b, 't');
    put_memo(p);
    wm_buf_putc(p->b, 'Q');
}

/* Shape and strides; torch's strides count a dimension of nothing as one. */
static void
put_geometry(struct pickler *p, const struct wm_wtensor *t)
{
    uint64_t size[WM_MAX_RANK], stride[WM_MAX_RANK], step = 1;

    for (uint32_t k = t->rank; k-- > 0;) {
        size[k] = (uint64_t)t->shape[k];
        if (t->dtype == WM_DT_F4 && k == t->rank - 1)
            size[k] /= 2;
        stride[k] = step;
        step *= size[k] ? size[k] : 1;
    }
    put_tuple(p, size, t->rank);
    put_tuple(p, stride, t->rank);
}

static void
put_tensor(struct pickler *p, const struct wm_wtensor *t, uint32_t storage)
{
    bool typed = storage_class[t->dtype] != NULL;

    put_global(p, &p->rebuild[typed], "torch._utils", typed ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
    wm_buf_putc(p->b, '(');
    put_storage(p, t, storage);
    put_int(p, 0); /* where in the storage */
    put_geometry(p, t);
    wm_buf_putc(p->b, '\x89'); /* no gradient */
    put_global(p, &p->hooks, "collections", "OrderedDict");
    wm_buf_putz(p->b, ")R");
    put_memo(p);
    if (!typed)
        put_global(p, &p->dtype[t->dtype], "torch", wm_dtype_info[t->dtype].torch);
    wm_buf_putc(p->b, 't');
    put_memo(p);
    wm_buf_putc(p->b, 'R');
    put_memo(p);
}

/* A dict of one item sets it alone.  Others set batches, of which the last may be empty: CPython looks for more
 * behind every full one. */
static void
put_dict(struct pickler *p, const struct wm_wtensor *t, uint32_t n, const uint32_t *storage)
{
    wm_buf_putc(p->b, '}');
    put_memo(p);
    for (uint32_t i = 0; i <= n && n > 0; i++) {
        if (i % BATCH == 0 && n > 1)
            wm_buf_puts(p->b, i ? WM_STR("u(") : WM_STR("("));
        if (i == n)
            break;
        put_string(p, t[i].name);
        put_tensor(p, &t[i], storage[i]);
    }
    if (n > 0)
        wm_buf_putc(p->b, n == 1 ? 's' : 'u');
}

void
wm_pickle_state_dict(struct wm_buf *b, const struct wm_wtensor *t, uint32_t n, const uint32_t *storage,
                     struct wm_str root)
{
    struct pickler p = {.b = b, .storage_word = WM_NONE, .cpu = WM_NONE, .bytes = WM_NONE, .hooks = WM_NONE,
                        .rebuild = {WM_NONE, WM_NONE}, .key = WM_NEW_N(b->a, uint32_t, n)};
    size_t depth = 0;

    memset(p.class_of, 0xff, sizeof(p.class_of));
    memset(p.dtype, 0xff, sizeof(p.dtype));
    memset(p.key, 0xff, n * sizeof(*p.key));
    wm_buf_puts(b, WM_STR("\x80\2"));
    for (; root.n > 0; depth++) {
        const char *dot = memchr(root.p, '.', root.n);
        size_t len = dot ? (size_t)(dot - root.p) : root.n;

        wm_buf_putc(b, '}');
        put_memo(&p);
        put_string(&p, (struct wm_str){root.p, len});
        root.p += dot ? len + 1 : len;
        root.n -= dot ? len + 1 : len;
    }
    put_dict(&p, t, n, storage);
    wm_buf_pad(b, 's', depth);
    wm_buf_putc(b, '.');
}
