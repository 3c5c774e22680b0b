/* runtime/formats/safetensors_write.c -- headers and index files, equal to the reference libraries'.
 *
 * In: names, dtypes and shapes.  Out: the order of the tensors, their offsets, and the bytes before
 * them, equal to what the safetensors library writes (with {"format": "pt"}); and the text of an
 * index, equal to what Python's json.dumps(index, indent=2, sort_keys=True) gives. */
#include "runtime/formats/safetensors.h"

#include <inttypes.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/sort.h"
#include "base/utf8.h"

enum { DIGITS = 20 }; /* of 2^64 */

/* Wide types first, so that every tensor is aligned; then by name. */
static int
reference_order(const void *pa, const void *pb)
{
    const struct wm_wtensor *a = pa, *b = pb;

    if (a->dtype != b->dtype)
        return a->dtype > b->dtype ? -1 : 1;
    return wm_str_cmp(a->name, b->name);
}

/* As the input has them; those that are made of nothing last. */
static int
input_order(const void *pa, const void *pb)
{
    const struct wm_wtensor *a = pa, *b = pb;

    if (a->from_file != b->from_file)
        return a->from_file < b->from_file ? -1 : 1;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->nbytes != b->nbytes)
        return a->nbytes < b->nbytes ? -1 : 1;
    return wm_str_cmp(a->name, b->name);
}

/* Spaces behind the header, so that data begins where it should; `n` bytes are there. */
static enum wm_status
padding(const struct wm_wopts *o, const struct wm_wtensor *t, uint32_t ntensor, uint64_t n, uint64_t *pad,
        struct wm_err *err)
{
    uint64_t want;

    *pad = (8 - n % 8) % 8;
    if (o->layout == WM_LAYOUT_IN_PLACE) {
        if (n > o->room)
            return wm_fail(err, WM_EUSAGE, NULL,
                           "%.*s: --in-place: the new header takes %" PRIu64 " bytes, but the file has room for %" PRIu64,
                           WM_STR_ARG(o->name), n, o->room);
        *pad = o->room - n;
    } else if (o->layout == WM_LAYOUT_KEEP && ntensor && t[0].from_file != WM_NONE) {
        want = t[0].from % WM_LAYOUT_BLOCK;
        *pad = (want + WM_LAYOUT_BLOCK - n % WM_LAYOUT_BLOCK) % WM_LAYOUT_BLOCK;
    }
    return WM_OK;
}

static char *
put_str(char *p, struct wm_str s)
{
    memcpy(p, s.p, s.n);
    return p + s.n;
}

static char *
put_number(char *p, uint64_t v)
{
    char digits[DIGITS];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    return put_str(p, (struct wm_str){digits + at, sizeof(digits) - at});
}

/* What follows a name is put together here: a header may have 100 000 of them. */
static void
put_entry(struct wm_buf *b, const struct wm_wtensor *t, uint64_t begin)
{
    char text[(WM_MAX_RANK + 3) * (DIGITS + 1) + 64], *p = text; /* a dtype's name has less than 20 letters */

    wm_buf_putc(b, ',');
    wm_buf_json(b, t->name);
    p = put_str(p, WM_STR(":{\"dtype\":\""));
    p = put_str(p, wm_str_c(wm_dtype_info[t->dtype].name));
    p = put_str(p, WM_STR("\",\"shape\":["));
    for (uint32_t k = 0; k < t->rank; k++) {
        p = put_number(p, (uint64_t)t->shape[k]);
        *p++ = ',';
    }
    p = put_str(p - (t->rank > 0), WM_STR("],\"data_offsets\":["));
    p = put_number(p, begin);
    *p++ = ',';
    p = put_number(p, begin + t->nbytes);
    p = put_str(p, WM_STR("]}"));
    wm_buf_puts(b, (struct wm_str){text, (size_t)(p - text)});
}

/* About what the header takes. */
static size_t
header_size(const struct wm_wtensor *t, uint32_t n)
{
    size_t sum = 64;

    for (uint32_t i = 0; i < n; i++)
        sum += t[i].name.n + 8 * (size_t)t[i].rank + 80; /* each is bounded by memory that is there */
    return sum;
}

/* The 8 bytes of length at the beginning of head. */
static void
put_length(char *p, uint64_t n)
{
    for (int k = 0; k < 8; k++)
        p[k] = (char)(n >> (8 * k) & 0xff);
}

enum wm_status
wm_safetensors_layout(struct wm_arena *a, struct wm_wtensor *t, uint32_t n,
                      const struct wm_wopts *o, struct wm_wfile *out, struct wm_err *err)
{
    struct wm_buf b;
    uint64_t at = 0, size, pad;
    enum wm_status st;

    wm_sort(a, t, n, sizeof(*t), o->layout == WM_LAYOUT_REFERENCE ? reference_order : input_order);
    wm_buf_init(&b, a);
    wm_buf_reserve(&b, header_size(t, n));
    wm_buf_pad(&b, '\0', 8);
    wm_buf_putz(&b, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (uint32_t i = 0; i < n; i++) {
        uint64_t end;

        if (i > 0 && o->layout == WM_LAYOUT_REFERENCE && wm_str_eq(t[i].name, t[i - 1].name))
            return wm_fail(err, WM_EFORMAT, NULL, "two tensors named \"%.*s\" in one file",
                           WM_STR_ARG(t[i].name));
        if (!wm_utf8_valid(t[i].name, NULL) || wm_str_eq(t[i].name, WM_STR("__metadata__")))
            return wm_fail(err, WM_ESUPPORT, NULL,
                           "tensor \"%.*s\": safetensors can not hold this name",
                           WM_STR_ARG(t[i].name));
        if (t[i].rank > WM_MAX_RANK)
            return wm_fail(err, WM_ELIMIT, NULL, "tensor \"%.*s\": more than %d dimensions", WM_STR_ARG(t[i].name),
                           WM_MAX_RANK);
        if (!wm_ck_uadd(at, t[i].nbytes, &end))
            return wm_fail(err, WM_ELIMIT, NULL, "tensor \"%.*s\": the file would be too large",
                           WM_STR_ARG(t[i].name));
        put_entry(&b, &t[i], at);
        t[i].off = at;
        t[i].same = WM_NONE;
        t[i].codec = WM_CODEC_RAW;
        at = end;
    }
    wm_buf_putc(&b, '}');
    if ((st = padding(o, t, n, b.n, &pad, err)) != WM_OK)
        return st;
    wm_buf_pad(&b, ' ', (size_t)pad);
    if (b.n - 8 > WM_SAFETENSORS_MAX_HEADER)
        return wm_fail(err, WM_ELIMIT, NULL,
                       "the header of %" PRIu32 " tensors would take %zu bytes; readers accept %d",
                       n, b.n - 8, WM_SAFETENSORS_MAX_HEADER);
    if (!wm_ck_uadd(at, b.n, &size) || size > INT64_MAX)
        return wm_fail(err, WM_ELIMIT, NULL, "the file would be larger than 2^63 bytes");
    put_length(b.p, b.n - 8);
    for (uint32_t i = 0; i < n; i++)
        t[i].off += b.n;
    *out = (struct wm_wfile){.head = wm_buf_str(&b), .size = size};
    return WM_OK;
}

static bool
is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

/* A string as Python's json writes it: everything outside of printable ASCII is escaped. */
static void
put_ascii(struct wm_buf *b, struct wm_str s)
{
    static const char shorts[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";

    wm_buf_putc(b, '"');
    for (size_t at = 0, plain; at < s.n;) {
        uint32_t c = 0xfffd;
        const char *hit;
        size_t len;

        for (plain = at; plain < s.n && is_plain(s.p[plain]); plain++)
            ;
        wm_buf_puts(b, (struct wm_str){s.p + at, plain - at});
        if ((at = plain) == s.n)
            break;
        len = wm_utf8_next(s.p + at, s.n - at, &c);
        hit = c && c < 0x80 ? strchr(shorts, (int)c) : NULL;
        at += len ? len : 1;
        if (hit) {
            wm_buf_putc(b, '\\');
            wm_buf_putc(b, letters[hit - shorts]);
        } else if (c < 0x10000) {
            wm_buf_printf(b, "\\u%04" PRIx32, c);
        } else {
            wm_buf_printf(b, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + ((c - 0x10000) >> 10),
                          0xdc00 + ((c - 0x10000) & 0x3ff));
        }
    }
    wm_buf_putc(b, '"');
}

static int
by_tensor(const void *pa, const void *pb)
{
    const struct wm_indexed *a = pa, *b = pb;

    return wm_str_cmp(a->tensor, b->tensor);
}

void
wm_safetensors_index(struct wm_arena *a, struct wm_indexed *x, uint32_t n, uint64_t total_size, wm_put_fn *put,
                     void *user)
{
    enum { PIECE = 64 << 10 };
    struct wm_buf b;

    wm_sort(a, x, n, sizeof(*x), by_tensor);
    wm_buf_init(&b, a);
    wm_buf_printf(&b, "{\n  \"metadata\": {\n    \"total_size\": %" PRIu64 "\n  },\n", total_size);
    wm_buf_putz(&b, n ? "  \"weight_map\": {\n" : "  \"weight_map\": {");
    for (uint32_t i = 0; i < n; i++) {
        wm_buf_putz(&b, "    ");
        put_ascii(&b, x[i].tensor);
        wm_buf_putz(&b, ": ");
        put_ascii(&b, x[i].file);
        wm_buf_putz(&b, i + 1 < n ? ",\n" : "\n  ");
        if (b.n >= PIECE) {
            put(user, wm_buf_str(&b));
            b.n = 0;
        }
    }
    wm_buf_putz(&b, "}\n}\n");
    put(user, wm_buf_str(&b));
}
