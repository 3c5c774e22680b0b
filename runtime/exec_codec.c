/* runtime/exec_codec.c -- virtual input files: what a stretch of a file decodes to.
 *
 * In: ranges of decoded bytes, at any alignment, with places in memory.  The elements around them are read and decoded
 * a buffer at a time; whole elements go straight to their places where these are contiguous.  Elements that differ in
 * length are found by the index of their file: a block of them is decoded at once, and kept for the next range. */
#include <inttypes.h>

#include "runtime/codec.h"
#include "runtime/exec_priv.h"

/* Where decoded bytes go. */
struct places {
    struct iovec *iov;
    uint64_t n; /* bytes that are left in all */
    bool is_dry; /* nothing is put there */
};

static void
advance(struct places *to, uint64_t n)
{
    to->n -= n;
    while (n > 0 || (to->n > 0 && to->iov->iov_len == 0)) {
        uint64_t m = n < to->iov->iov_len ? n : to->iov->iov_len;

        to->iov->iov_base = (char *)to->iov->iov_base + m;
        to->iov->iov_len -= m;
        n -= m;
        if (to->iov->iov_len == 0 && (n > 0 || to->n > 0))
            to->iov++;
    }
}

static void
put(struct places *to, const void *from, uint64_t n)
{
    const char *p = from;

    while (n > 0) {
        uint64_t m = n < to->iov->iov_len ? n : to->iov->iov_len;

        if (!to->is_dry)
            memcpy(to->iov->iov_base, p, m);
        p += m;
        n -= m;
        advance(to, m);
    }
}

static enum wm_status
read_stretch(struct wm_worker *w, const struct wm_plan_infile *f, uint64_t off, uint64_t n)
{
    struct iovec iov = {w->raw, n};

    return wm_read_raw(w, f->of, f->lo + off, &iov, 1);
}

/* What is wrong with an element that can't be decoded; its bytes. */
static const char *
why(uint32_t codec, const char *p)
{
    unsigned char first = (unsigned char)*p;

    if (codec == WM_CODEC_MSGPACK_F32)
        return "is no msgpack float32";
    if (codec == WM_CODEC_MSGPACK_U32)
        return "is no msgpack integer of 32 bits";
    if (codec == WM_CODEC_MSGPACK_U32_MIXED)
        return wm_codec_number_size(first) ? "is no integer of 0 to 2^32 - 1" : "is no msgpack number";
    if (first == 0xcb && codec != WM_CODEC_MSGPACK_F64_ROUND && codec != WM_CODEC_MSGPACK_MIXED_ROUND)
        return "is a float64 that no float32 equals; --round-numbers takes the nearest";
    if (codec == WM_CODEC_MSGPACK_F64 || codec == WM_CODEC_MSGPACK_F64_ROUND)
        return "is no msgpack float64";
    return wm_codec_number_size(first) ? "is an integer that no float32 equals; --round-numbers takes the nearest"
                                       : "is no msgpack number";
}

/* Element number `element` of a file is not what its codec says. */
static enum wm_status
malformed(struct wm_worker *w, uint32_t file, uint64_t element, const char *what)
{
    const struct wm_exec *x = w->x;
    uint32_t plain = wm_codec_info[x->infile[file].codec].plain;
    struct wm_str name = WM_STR("?");
    char path[1024];

    for (uint64_t i = 0; i < x->nin; i++)
        if (x->in[i].file == file && element * plain >= x->in[i].off &&
            element * plain - x->in[i].off < x->in[i].nbytes) {
            name = wm_plan_str(&x->plan, x->in[i].name);
            element -= x->in[i].off / plain;
            break;
        }
    return wm_fail(w->err, WM_EFORMAT, wm_input_name(x, file, path, sizeof(path)),
                   "tensor \"%.*s\": element %" PRIu64 " %s", WM_STR_ARG(name), element,
                   what);
}

/* Elements of equal length. */
static enum wm_status
read_fixed(struct wm_worker *w, uint32_t file, uint64_t off, struct places *to)
{
    const struct wm_plan_infile *f = &w->x->infile[file];
    const struct wm_codec_info *c = &wm_codec_info[f->codec];

    while (to->n > 0) {
        uint64_t e = off / c->plain, skip = off % c->plain;
        uint64_t n = (skip + to->n - 1) / c->plain + 1, bytes, good;
        char *at = w->plain;
        enum wm_status st;

        n = n < WM_STRETCH / c->raw ? n : WM_STRETCH / c->raw;
        bytes = n * c->plain - skip < to->n ? n * c->plain - skip : to->n;
        if (bytes == n * c->plain && bytes <= to->iov->iov_len)
            at = to->iov->iov_base;
        else
            w->block_file = WM_NONE;
        if ((st = read_stretch(w, f, e * c->raw, n * c->raw)) != WM_OK)
            return st;
        good = n;
        if (w->tally)
            w->tally->n[WM_T_MEMORY] += n * WM_COST_DECODE;
        else
            good = wm_codec_decode(f->codec, at, w->raw, n);
        if (good < n)
            return malformed(w, file, e + good, why(f->codec, w->raw + good * c->raw));
        if (at == w->plain)
            put(to, at + skip, bytes);
        else
            advance(to, bytes);
        off += bytes;
    }
    return WM_OK;
}

/* Elements [k * STEP, (k + 1) * STEP) of a file to `plain`. */
static enum wm_status
decode_block(struct wm_worker *w, uint32_t file, uint64_t k)
{
    const struct wm_plan_infile *f = &w->x->infile[file];
    const uint8_t *index = wm_plan_blob(&w->x->plan, f->index);
    uint64_t n = f->nbytes / 4 - k * WM_CODEC_INDEX_STEP, lo, hi = f->len, used, good;
    enum wm_status st;

    if (w->block_file == file && w->block == k)
        return WM_OK;
    w->block_file = WM_NONE;
    memcpy(&lo, index + 8 * k, 8);
    if (n > WM_CODEC_INDEX_STEP) {
        n = WM_CODEC_INDEX_STEP;
        memcpy(&hi, index + 8 * (k + 1), 8);
    }
    if ((st = read_stretch(w, f, lo, hi - lo)) != WM_OK)
        return st;
    if (w->tally) {
        w->tally->n[WM_T_MEMORY] += n * WM_COST_DECODE_MIXED;
        w->block_file = file;
        w->block = k;
        return WM_OK;
    }
    good = wm_codec_decode_mixed(f->codec, w->plain, w->raw, hi - lo, n, &used);
    if (good < n)
        return malformed(w, file, k * WM_CODEC_INDEX_STEP + good,
                         used < hi - lo ? why(f->codec, w->raw + used) : "is missing");
    if (used < hi - lo)
        return malformed(w, file, k * WM_CODEC_INDEX_STEP + n - 1, "is followed by bytes of none");
    w->block_file = file;
    w->block = k;
    return WM_OK;
}

static enum wm_status
read_mixed(struct wm_worker *w, uint32_t file, uint64_t off, struct places *to)
{
    enum { BLOCK = 4 * WM_CODEC_INDEX_STEP };

    while (to->n > 0) {
        uint64_t skip = off % BLOCK, n = BLOCK - skip < to->n ? BLOCK - skip : to->n;
        enum wm_status st = decode_block(w, file, off / BLOCK);

        if (st != WM_OK)
            return st;
        put(to, w->plain + skip, n);
        off += n;
    }
    return WM_OK;
}

enum wm_status
wm_read_virtual(struct wm_worker *w, uint32_t file, uint64_t off, struct iovec *iov, int n)
{
    const struct wm_plan_infile *f = &w->x->infile[file];
    struct places to = {.iov = iov, .is_dry = w->tally};

    for (int i = 0; i < n; i++)
        to.n += iov[i].iov_len;
    if (f->codec == WM_CODEC_BLOB) {
        put(&to, wm_plan_blob(&w->x->plan, (struct wm_plan_bytes){f->lo + off, to.n}), to.n);
        return WM_OK;
    }
    return wm_codec_info[f->codec].raw == 0 ? read_mixed(w, file, off, &to) : read_fixed(w, file, off, &to);
}
