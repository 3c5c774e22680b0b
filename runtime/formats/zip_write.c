/* runtime/formats/zip_write.c -- zip files as wm_wfile (see zip_write.h).
 *
 * All constant bytes grow in one buffer; pieces are cut out of it when it has come to rest.  The sums are of data
 * that is not known yet: their fields hold zeros here. */
#include "runtime/formats/zip_write.h"

#include "base/checked.h"

void
wm_zipw_init(struct wm_zipw *w, struct wm_arena *a, struct wm_wfile *out)
{
    *w = (struct wm_zipw){.a = a, .out = out};
    *out = (struct wm_wfile){0};
    wm_buf_init(&w->text, a);
    wm_buf_init(&w->dir, a);
}

void
wm_buf_le(struct wm_buf *b, uint64_t v, unsigned n)
{
    for (unsigned k = 0; k < n; k++)
        wm_buf_putc(b, (char)(unsigned char)(v >> (8 * k) & 0xff));
}

void
wm_zipw_put(struct wm_zipw *w, struct wm_str s)
{
    wm_buf_puts(&w->text, s);
    w->at += s.n; /* finish looks whether it is too large; a buffer can't wrap it */
}

void
wm_zipw_local(struct wm_zipw *w, const struct wm_zipw_entry *e, uint32_t size, size_t n)
{
    size_t from = w->text.n;

    wm_buf_putz(&w->text, "PK\3\4");
    wm_buf_le(&w->text, e->version, 2);
    wm_buf_le(&w->text, e->flags, 2);
    wm_buf_le(&w->text, 0, 2); /* stored */
    wm_buf_le(&w->text, e->made & 0xff ? 0x00210000 : 0, 4); /* numpy: 1980-01-01; torch: none */
    wm_buf_le(&w->text, e->flags & 8 ? 0 : e->crc, 4);
    wm_buf_le(&w->text, size, 4);
    wm_buf_le(&w->text, size, 4);
    wm_buf_le(&w->text, e->name.n, 2);
    wm_buf_le(&w->text, n, 2);
    wm_buf_puts(&w->text, e->name);
    w->at += w->text.n - from;
}

/* The bytes since the last tensor become the head, or a piece, whose `from` is its place in `text` until finish. */
static void
flush(struct wm_zipw *w)
{
    size_t n = w->text.n - w->cut;

    if (w->ntensor == 0)
        w->out->head.n = n;
    else if (n > 0)
        *WM_PUSH(w->a, &w->out->piece) = (struct wm_wpiece){.off = w->at - n, .len = n, .from = w->cut};
    w->cut = w->text.n;
}

bool
wm_zipw_tensor(struct wm_zipw *w, uint64_t nbytes, uint64_t *off)
{
    flush(w);
    w->ntensor++;
    *off = w->at;
    return wm_ck_uadd(w->at, nbytes, &w->at) && w->at <= INT64_MAX;
}

void
wm_zipw_sum(struct wm_zipw *w, uint64_t lo, uint64_t hi, uint64_t field)
{
    *WM_PUSH(w->a, &w->out->sum) =
        (struct wm_wsum){.lo = lo, .hi = hi, .field = {field, w->dir.n + WM_ZIP_CENTRAL_CRC}, .nfield = 2};
}

static uint32_t
low32(uint64_t v, uint64_t limit)
{
    return v > limit ? UINT32_MAX : (uint32_t)v;
}

void
wm_zipw_central(struct wm_zipw *w, const struct wm_zipw_entry *e, uint64_t limit)
{
    struct wm_buf *b = &w->dir;
    unsigned n = (e->size > limit ? 16 : 0) + (e->off > limit ? 8 : 0);

    wm_buf_putz(b, "PK\1\2");
    wm_buf_le(b, e->made, 2);
    wm_buf_le(b, e->version, 2);
    wm_buf_le(b, e->flags, 2);
    wm_buf_le(b, 0, 2);
    wm_buf_le(b, e->made & 0xff ? 0x00210000 : 0, 4);
    wm_buf_le(b, e->crc, 4);
    wm_buf_le(b, low32(e->size, limit), 4);
    wm_buf_le(b, low32(e->size, limit), 4);
    wm_buf_le(b, e->name.n, 2);
    wm_buf_le(b, n ? n + 4 : 0, 2);
    wm_buf_le(b, 0, 6); /* comment, disk, internal attributes */
    wm_buf_le(b, e->attributes, 4);
    wm_buf_le(b, low32(e->off, limit), 4);
    wm_buf_puts(b, e->name);
    if (n) {
        wm_buf_le(b, 1, 2);
        wm_buf_le(b, n, 2);
        if (e->size > limit) {
            wm_buf_le(b, e->size, 8);
            wm_buf_le(b, e->size, 8);
        }
        if (e->off > limit)
            wm_buf_le(b, e->off, 8);
    }
    w->nentry++;
}

static void
put_end(struct wm_zipw *w, bool zip64, uint16_t made, uint64_t limit, uint64_t dir)
{
    struct wm_buf *b = &w->text;
    uint64_t end = dir + w->dir.n;

    if (zip64 || w->nentry > UINT16_MAX || dir > limit || w->dir.n > limit) {
        wm_buf_putz(b, "PK\6\6");
        wm_buf_le(b, 44, 8);
        wm_buf_le(b, made, 2);
        wm_buf_le(b, 45, 2);
        wm_buf_le(b, 0, 8);
        wm_buf_le(b, w->nentry, 8);
        wm_buf_le(b, w->nentry, 8);
        wm_buf_le(b, w->dir.n, 8);
        wm_buf_le(b, dir, 8);
        wm_buf_putz(b, "PK\6\7");
        wm_buf_le(b, 0, 4);
        wm_buf_le(b, end, 8);
        wm_buf_le(b, 1, 4);
    }
    wm_buf_putz(b, "PK\5\6");
    wm_buf_le(b, 0, 4);
    for (int twice = 0; twice < 2; twice++)
        wm_buf_le(b, w->nentry > UINT16_MAX ? UINT16_MAX : w->nentry, 2);
    wm_buf_le(b, w->dir.n > UINT32_MAX ? UINT32_MAX : w->dir.n, 4);
    wm_buf_le(b, dir > UINT32_MAX ? UINT32_MAX : dir, 4);
    wm_buf_le(b, 0, 2);
}

bool
wm_zipw_finish(struct wm_zipw *w, bool zip64, uint16_t made, uint64_t limit)
{
    struct wm_wfile *out = w->out;
    uint64_t dir = w->at;
    size_t before;

    if (dir > INT64_MAX - UINT32_MAX || w->dir.n > UINT32_MAX / 2)
        return false;
    wm_buf_puts(&w->text, wm_buf_str(&w->dir));
    before = w->text.n;
    put_end(w, zip64, made, limit, dir);
    w->at += w->dir.n + (w->text.n - before);
    out->head.p = w->text.p;
    if (w->ntensor == 0)
        out->head.n = w->text.n;
    else
        out->tail = (struct wm_str){w->text.p + w->cut, w->text.n - w->cut};
    for (uint32_t i = 0; i < out->piece.n; i++) {
        out->piece.item[i].bytes = w->text.p + out->piece.item[i].from;
        out->piece.item[i].from = 0;
    }
    for (uint32_t i = 0; i < out->sum.n; i++)
        out->sum.item[i].field[1] += dir;
    out->size = w->at;
    return true;
}
