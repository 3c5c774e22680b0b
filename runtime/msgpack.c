/* runtime/msgpack.c -- heads of items, texts, and passing what is not needed.
 *
 * In: a window over the file, which moves forward.  Out: one item at a time.  Every count is checked against the
 * bytes that the file still has, so that a lie costs nothing; runtime/msgpack_scan.c passes arrays of numbers. */
#include "runtime/msgpack.h"

#include <errno.h>
#include <inttypes.h>

#include "base/checked.h"
#include "runtime/io.h"

#define ROW16(x) x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x

const unsigned char wm_mp_head[256] = {
    ROW16(1), ROW16(1), ROW16(1), ROW16(1), ROW16(1), ROW16(1), ROW16(1), ROW16(1), /* fixint */
    ROW16(1), ROW16(1), ROW16(1), ROW16(1),                                         /* fixmap, -array, -str */
    /* c0: nil, none, false, true; bin 8, 16, 32; ext 8, 16, 32; floats; uint 8, 16, 32, 64 */
    1, 0, 1, 1, 2, 3, 5, 3, 4, 6, 5, 9, 2, 3, 5, 9,
    /* d0: int 8, 16, 32, 64; fixext 1, 2, 4, 8, 16; str 8, 16, 32; array 16, 32; map 16, 32 */
    2, 3, 5, 9, 2, 2, 2, 2, 2, 2, 3, 5, 3, 5, 3, 5,
    ROW16(1), ROW16(1) /* negative fixint */
};

enum wm_status
wm_mp_bad(struct wm_mp *r, uint64_t at, const char *why)
{
    return wm_fail(r->err, WM_EFORMAT, r->file, "byte %" PRIu64 ": %s", at, why);
}

enum wm_status
wm_mp_open(struct wm_mp *r, const struct wm_sys *sys, int fd, const char *file, uint64_t size, struct wm_err *err)
{
    *r = (struct wm_mp){.sys = sys, .fd = fd, .file = file, .size = size, .err = err};
    r->buf = sys->malloc(WM_MSGPACK_WINDOW);
    if (!r->buf)
        return wm_fail(err, WM_ENOMEM, file, "out of memory");
    return WM_OK;
}

void
wm_mp_close(struct wm_mp *r)
{
    r->sys->free(r->buf);
    r->buf = NULL;
}

uint64_t
wm_mp_at(const struct wm_mp *r)
{
    return r->base + r->pos;
}

enum wm_status
wm_mp_fill(struct wm_mp *r, size_t want)
{
    size_t have = r->n - r->pos, more;
    uint64_t left = r->size - r->base - r->n;
    enum wm_status st;

    if (have >= want || left == 0)
        return WM_OK;
    memmove(r->buf, r->buf + r->pos, have);
    r->base += r->pos;
    r->pos = 0;
    r->n = have;
    more = WM_MSGPACK_WINDOW - have;
    if (more > left)
        more = (size_t)left;
    st = wm_io_pread(r->sys, r->fd, r->file, r->buf + have, more, r->base + have, r->err);
    if (st == WM_OK)
        r->n += more;
    return st;
}

/* Move on by n bytes, which the file has. */
static void
pass(struct wm_mp *r, uint64_t n)
{
    if (n <= r->n - r->pos) {
        r->pos += (size_t)n;
        return;
    }
    r->base += r->pos + n;
    r->pos = r->n = 0;
}

static uint64_t
big_endian(const unsigned char *p, size_t n)
{
    uint64_t v = 0;

    for (size_t k = 0; k < n; k++)
        v = v << 8 | p[k];
    return v;
}

/* Kind and count by the first byte and the bytes behind it. */
static void
decode(const unsigned char *p, struct wm_mp_item *out)
{
    static const struct {
        uint8_t kind, bytes; /* bytes of the count */
    } c0[32] = {
        [0x00] = {WM_MP_NIL, 0},   [0x02] = {WM_MP_BOOL, 0},     [0x03] = {WM_MP_BOOL, 0},
        [0x04] = {WM_MP_BIN, 1},   [0x05] = {WM_MP_BIN, 2},      [0x06] = {WM_MP_BIN, 4},
        [0x07] = {WM_MP_EXT, 1},   [0x08] = {WM_MP_EXT, 2},      [0x09] = {WM_MP_EXT, 4},
        [0x0a] = {WM_MP_FLOAT, 0}, [0x0b] = {WM_MP_FLOAT, 0},    [0x0c] = {WM_MP_UINT, 1},
        [0x0d] = {WM_MP_UINT, 2},  [0x0e] = {WM_MP_UINT, 4},     [0x0f] = {WM_MP_UINT, 8},
        [0x10] = {WM_MP_UINT, 1},  [0x11] = {WM_MP_UINT, 2},     [0x12] = {WM_MP_UINT, 4},
        [0x13] = {WM_MP_UINT, 8},  [0x14] = {WM_MP_EXT, 0},      [0x15] = {WM_MP_EXT, 0},
        [0x16] = {WM_MP_EXT, 0},   [0x17] = {WM_MP_EXT, 0},      [0x18] = {WM_MP_EXT, 0},
        [0x19] = {WM_MP_STR, 1},   [0x1a] = {WM_MP_STR, 2},      [0x1b] = {WM_MP_STR, 4},
        [0x1c] = {WM_MP_ARRAY, 2}, [0x1d] = {WM_MP_ARRAY, 4},    [0x1e] = {WM_MP_MAP, 2},
        [0x1f] = {WM_MP_MAP, 4},
    };
    unsigned char b = p[0];

    out->n = 0;
    if (b < 0x80) {
        out->kind = WM_MP_UINT;
        out->n = b;
    } else if (b < 0xc0) {
        out->kind = b < 0x90 ? WM_MP_MAP : b < 0xa0 ? WM_MP_ARRAY : WM_MP_STR;
        out->n = b < 0xa0 ? b & 0x0fu : b & 0x1fu;
    } else if (b >= 0xe0) {
        out->kind = WM_MP_NEGATIVE;
    } else {
        out->kind = c0[b - 0xc0].kind;
        out->n = big_endian(p + 1, c0[b - 0xc0].bytes);
        if (b == 0xc2 || b == 0xc3)
            out->n = b & 1;
        if (b >= 0xd4 && b <= 0xd8)
            out->n = UINT64_C(1) << (b - 0xd4);
        if (b >= 0xd0 && b <= 0xd3 && (p[1] & 0x80))
            out->kind = WM_MP_NEGATIVE;
    }
}

/* What an item holds must fit into the bytes that are left: a text's bytes, or one byte for each item. */
static enum wm_status
check_count(struct wm_mp *r, const struct wm_mp_item *it)
{
    uint64_t left = r->size - wm_mp_at(r);

    switch (it->kind) {
    case WM_MP_STR:
    case WM_MP_BIN:
    case WM_MP_EXT:
        if (it->n > left)
            return wm_fail(r->err, WM_EFORMAT, r->file,
                           "byte %" PRIu64 ": a text of %" PRIu64 " bytes, but the file has only %" PRIu64 " more",
                           it->at, it->n, left);
        return WM_OK;
    case WM_MP_ARRAY:
    case WM_MP_MAP:
        if (it->n > (it->kind == WM_MP_MAP ? left / 2 : left))
            return wm_fail(r->err, WM_EFORMAT, r->file,
                           "byte %" PRIu64 ": %s of %" PRIu64 " %s, but the file has only %" PRIu64 " more bytes",
                           it->at, it->kind == WM_MP_MAP ? "a map" : "an array", it->n,
                           it->kind == WM_MP_MAP ? "pairs" : "items", left);
        return WM_OK;
    default:
        return WM_OK;
    }
}

enum wm_status
wm_mp_next(struct wm_mp *r, struct wm_mp_item *out)
{
    enum wm_status st = wm_mp_fill(r, 9);
    const unsigned char *p = r->buf + r->pos;
    size_t have = r->n - r->pos;

    if (st != WM_OK)
        return st;
    *out = (struct wm_mp_item){.at = wm_mp_at(r)};
    if (have == 0)
        return wm_mp_bad(r, out->at, "the file ends where an item should begin");
    if (wm_mp_head[p[0]] == 0)
        return wm_mp_bad(r, out->at, "0xc1 begins no item of MessagePack");
    if (have < wm_mp_head[p[0]])
        return wm_mp_bad(r, out->at, "the file ends inside of an item");
    decode(p, out);
    r->pos += wm_mp_head[p[0]];
    return check_count(r, out);
}

enum wm_status
wm_mp_text(struct wm_mp *r, const struct wm_mp_item *item, struct wm_arena *a, uint64_t max, struct wm_str *out)
{
    char *p;
    enum wm_status st;

    if (item->n > max)
        return wm_fail(r->err, WM_ELIMIT, r->file, "byte %" PRIu64 ": a text of %" PRIu64 " bytes; the limit is %" PRIu64,
                       item->at, item->n, max);
    p = wm_arena_alloc(a, (size_t)item->n + 1);
    st = wm_mp_fill(r, item->n <= 4096 ? (size_t)item->n : 0);
    if (st != WM_OK)
        return st;
    if (item->n <= r->n - r->pos)
        memcpy(p, r->buf + r->pos, (size_t)item->n);
    else
        st = wm_io_pread(r->sys, r->fd, r->file, p, item->n, wm_mp_at(r), r->err);
    if (st == WM_OK)
        pass(r, item->n);
    *out = (struct wm_str){p, (size_t)item->n};
    return st;
}

enum wm_status
wm_mp_skip(struct wm_mp *r, const struct wm_mp_item *item)
{
    uint64_t left[WM_MSGPACK_DEPTH + 1]; /* items to come at each level */
    struct wm_mp_item it = *item;
    uint32_t depth = 0;
    enum wm_status st = WM_OK;

    left[0] = 1; /* `it` itself */
    for (;;) {
        left[depth]--;
        if (it.kind == WM_MP_STR || it.kind == WM_MP_BIN || it.kind == WM_MP_EXT) {
            pass(r, it.n);
        } else if ((it.kind == WM_MP_ARRAY || it.kind == WM_MP_MAP) && it.n > 0) {
            if (depth == WM_MSGPACK_DEPTH)
                return wm_fail(r->err, WM_ELIMIT, r->file, "byte %" PRIu64 ": nested more than %d levels", it.at,
                               WM_MSGPACK_DEPTH);
            left[++depth] = it.kind == WM_MP_MAP ? 2 * it.n : it.n;
        }
        while (left[depth] == 0) {
            if (depth == 0)
                return WM_OK;
            depth--;
        }
        if ((st = wm_mp_next(r, &it)) != WM_OK)
            return st;
    }
}
