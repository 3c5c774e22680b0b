/* runtime/formats/torch_write.c -- PyTorch's zip files, equal to what torch.save 2.13 writes.
 *
 * In: tensors in the order of the state dict.  Out: the bytes around their data, which begins at multiples of 64.
 * Only the serialization id differs: torch's is made of the data's check sums, ours of the pickle, so that the same
 * names, dtypes and shapes always give the same.  Tensors with the same data share a storage, and none has more in
 * its storage than its own elements. */
#include "runtime/formats/torch_write.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/checked.h"
#include "base/crc32.h"
#include "base/map.h"
#include "runtime/formats/pickle_write.h"
#include "runtime/formats/zip_write.h"

enum { ALIGN = 64, DESCRIPTOR = 8, UTF8 = 0x800, MADE_END = 0x031e };

struct writer {
    struct wm_zipw z;
    struct wm_str root; /* of the entries' names */
};

/* The file's name without directory and suffix.  Where torch could not open a file of this name by itself, or there is
 * none, it writes to a stream, and calls the root "archive". */
static struct wm_str
root_of(struct wm_str name)
{
    size_t from = name.n, end = name.n;

    while (from > 0 && name.p[from - 1] != '/' && name.p[from - 1] != '\\')
        from--;
    for (size_t i = name.n; i > from; i--) {
        if ((unsigned char)name.p[i - 1] >= 0x80)
            return WM_STR("archive");
        if (name.p[i - 1] == '.' && end == name.n)
            end = i - 1;
    }
    return end > from ? (struct wm_str){name.p + from, end - from} : WM_STR("archive");
}

/* The local header up to the data: a 64-bit extra field where sizes or places need it, then one that pads. */
static void
put_local(struct writer *w, struct wm_zipw_entry *e)
{
    struct wm_buf *b = &w->z.text;
    unsigned wide = (e->size >= UINT32_MAX ? 16 : 0) + (e->off >= UINT32_MAX ? 8 : 0);
    unsigned extra = wide ? wide + 4 : 0, pad;

    pad = (unsigned)((0 - (e->off + WM_ZIP_LOCAL + e->name.n + extra + 4)) % ALIGN);
    wm_zipw_local(&w->z, e, 0, extra + 4 + pad);
    if (wide) {
        wm_buf_le(b, 1, 2);
        wm_buf_le(b, wide, 2);
        for (int twice = 0; twice < 2 && e->size >= UINT32_MAX; twice++)
            wm_buf_le(b, e->size, 8);
        if (e->off >= UINT32_MAX)
            wm_buf_le(b, e->off, 8);
    }
    wm_buf_putz(b, "FB");
    wm_buf_le(b, pad, 2);
    wm_buf_pad(b, 'Z', pad);
    w->z.at += extra + 4 + pad;
}

/* Behind the data: its sum and sizes once more, and its row of the directory. */
static void
put_descriptor(struct writer *w, const struct wm_zipw_entry *e)
{
    struct wm_buf *b = &w->z.text;
    unsigned n = e->size >= UINT32_MAX || e->off >= UINT32_MAX ? 8 : 4;

    if (e->size) {
        wm_buf_putz(b, "PK\7\10");
        wm_buf_le(b, e->crc, 4);
        wm_buf_le(b, e->size, n);
        wm_buf_le(b, e->size, n);
        w->z.at += 8 + 2 * n;
    }
    wm_zipw_central(&w->z, e, UINT32_MAX - 1);
}

static struct wm_zipw_entry
entry(struct writer *w, const char *name, uint64_t size)
{
    return (struct wm_zipw_entry){
        .name = wm_arena_printf(w->z.a, "%.*s/%s", WM_STR_ARG(w->root), name),
        .off = w->z.at,
        .size = size,
        .flags = UTF8 | (size ? DESCRIPTOR : 0),
    };
}

static void
put_constant(struct writer *w, const char *name, struct wm_str bytes)
{
    struct wm_zipw_entry e = entry(w, name, bytes.n);

    e.crc = wm_crc32(0, bytes.p, bytes.n);
    put_local(w, &e);
    wm_zipw_put(&w->z, bytes);
    put_descriptor(w, &e);
}

static bool
put_tensor(struct writer *w, struct wm_wtensor *t, uint32_t storage)
{
    char name[32];
    struct wm_zipw_entry e;

    snprintf(name, sizeof(name), "data/%" PRIu32, storage);
    e = entry(w, name, t->nbytes);
    put_local(w, &e);
    if (!wm_zipw_tensor(&w->z, t->nbytes, &t->off))
        return false;
    if (t->nbytes)
        wm_zipw_sum(&w->z, t->off, t->off + t->nbytes, w->z.at + 4);
    put_descriptor(w, &e);
    return true;
}

/* ---- storages ---- */

/* storage[i] counts by first use.  The first tensor of a storage has it; the others refer to that one.  *bad: a name
 * that is there twice. */
static bool
share(struct wm_arena *a, struct wm_wtensor *t, uint32_t n, uint32_t *storage, uint32_t *first, uint32_t *bad)
{
    struct wm_map names, users;
    uint32_t next = 0;

    wm_map_init(&names, a, n);
    wm_map_init(&users, a, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t data = t[i].same != WM_NONE ? t[i].same : t[i].user, owner;

        *bad = i;
        if (wm_map_put(&names, t[i].name, i) != i)
            return false;
        owner = wm_map_put(&users, wm_arena_str(a, (struct wm_str){(const char *)&data, sizeof(data)}), i);
        if (owner != i && t[owner].dtype == t[i].dtype && t[owner].nbytes == t[i].nbytes) {
            t[i].same = t[owner].user;
            storage[i] = storage[owner];
        } else {
            t[i].same = WM_NONE;
            first[next] = i;
            storage[i] = next++;
        }
    }
    return true;
}

static enum wm_status
put_file(struct writer *w, struct wm_wtensor *t, uint32_t n, const struct wm_wopts *o, struct wm_err *err)
{
    struct wm_arena *a = w->z.a;
    uint32_t *storage = WM_NEW_N(a, uint32_t, n), *first = WM_NEW_N(a, uint32_t, n), bad;
    struct wm_buf pickle;

    if (!share(a, t, n, storage, first, &bad))
        return wm_fail(err, WM_EFORMAT, NULL, "two tensors named \"%.*s\" in one file", WM_STR_ARG(t[bad].name));
    wm_buf_init(&pickle, a);
    wm_pickle_state_dict(&pickle, t, n, storage, o->root);
    put_constant(w, "data.pkl", wm_buf_str(&pickle));
    put_constant(w, ".format_version", WM_STR("1"));
    put_constant(w, ".storage_alignment", WM_STR("64"));
    put_constant(w, "byteorder", WM_STR("little"));
    for (uint32_t i = 0; i < n; i++) {
        t[i].codec = WM_CODEC_RAW;
        if (t[i].same != WM_NONE)
            t[i].off = t[first[storage[i]]].off;
        else if (!put_tensor(w, &t[i], storage[i]))
            return wm_fail(err, WM_ELIMIT, NULL, "tensor \"%.*s\": the file would be larger than 2^63 bytes",
                           WM_STR_ARG(t[i].name));
    }
    put_constant(w, "version", WM_STR("3\n"));
    put_constant(w, ".data/serialization_id",
                 wm_arena_printf(a, "%020" PRIu64 "%020" PRIu64, wm_hash(pickle.p, pickle.n, 1),
                                 wm_hash(pickle.p, pickle.n, 2)));
    if (!wm_zipw_finish(&w->z, true, MADE_END, UINT32_MAX - 1))
        return wm_fail(err, WM_ELIMIT, NULL, "the directory of %" PRIu32 " tensors would be too large", n);
    return WM_OK;
}

enum wm_status
wm_torch_layout(struct wm_arena *a, struct wm_wtensor *t, uint32_t n, const struct wm_wopts *o,
                struct wm_wfile *out, struct wm_err *err)
{
    struct writer w = {.root = root_of(o->name)};
    enum wm_status st = WM_OK;

    for (uint32_t i = 0; i < n && st == WM_OK; i++)
        st = wm_torch_holds(&t[i], err);
    if (st != WM_OK)
        return st;
    wm_zipw_init(&w.z, a, out);
    return put_file(&w, t, n, o, err);
}
