/* runtime/msgpack.h -- reading MessagePack of any size through one window of memory.
 *
 * In: an open file.  Out: its items one after the other, in the order of the file; nothing is built of them.
 * Counts are held against the bytes that are left, nesting against a limit, and nothing recurses.  What is wrong
 * is reported with the offset of the byte. */
#ifndef WM_RUNTIME_MSGPACK_H
#define WM_RUNTIME_MSGPACK_H

#include "base/arena.h"
#include "base/status.h"
#include "base/sys.h"

enum { WM_MSGPACK_WINDOW = 1 << 20, WM_MSGPACK_DEPTH = 64 };

enum wm_mp_kind {
    WM_MP_NIL,
    WM_MP_BOOL,
    WM_MP_UINT,
    WM_MP_NEGATIVE, /* an integer below zero */
    WM_MP_FLOAT,
    WM_MP_STR,
    WM_MP_BIN,
    WM_MP_EXT,
    WM_MP_ARRAY,
    WM_MP_MAP
};

struct wm_mp_item {
    enum wm_mp_kind kind;
    uint64_t at; /* offset of its first byte */
    uint64_t n;  /* BOOL, UINT: value; STR, BIN, EXT: bytes, which follow; ARRAY: items; MAP: pairs */
};

struct wm_mp {
    const struct wm_sys *sys;
    int fd;
    const char *file;
    uint64_t size; /* of the file */
    uint64_t base; /* offset of buf[0] */
    unsigned char *buf;
    size_t n, pos; /* bytes in buf; those that were taken */
    struct wm_err *err;
};

enum wm_status wm_mp_open(struct wm_mp *r, const struct wm_sys *sys, int fd, const char *file, uint64_t size,
                          struct wm_err *err);
void wm_mp_close(struct wm_mp *r);

/* Offset of the next byte. */
uint64_t wm_mp_at(const struct wm_mp *r);
/* The head of the next item; what it holds follows. */
enum wm_status wm_mp_next(struct wm_mp *r, struct wm_mp_item *out);
/* The bytes of a STR, BIN or EXT whose head was just read, in the arena; at most `max`. */
enum wm_status wm_mp_text(struct wm_mp *r, const struct wm_mp_item *item, struct wm_arena *a, uint64_t max,
                          struct wm_str *out);
/* Pass all that an item holds whose head was just read. */
enum wm_status wm_mp_skip(struct wm_mp *r, const struct wm_mp_item *item);

/* How the numbers of an array are spelled. */
enum { WM_MP_MIXED = 0, WM_MP_F32 = 0xca, WM_MP_F64 = 0xcb, WM_MP_U32 = 0xce };
struct wm_mp_run {
    unsigned char lead; /* the first byte of all of them; MIXED: they differ */
    uint64_t raw;       /* bytes */
    uint64_t *index;    /* of MIXED: offsets from the first of numbers 0, `step`, 2 `step`, .. */
    uint32_t nindex;
};
/* Pass n items, each of which must be a number.  `leads`, a text, has the first bytes that need no index where all
 * begin alike; with no items at all, the run is of its first. */
enum wm_status wm_mp_numbers(struct wm_mp *r, struct wm_arena *a, uint64_t n, uint64_t step, const char *leads,
                             struct wm_mp_run *out);

/* ---- for the scanner: the window ---- */

/* At least `want` bytes (up to what the file has, at most half a window) from pos on; fails only where reading does. */
enum wm_status wm_mp_fill(struct wm_mp *r, size_t want);
enum wm_status wm_mp_bad(struct wm_mp *r, uint64_t at, const char *why);

/* Bytes of an item by its first byte, without what it holds; 0: there is no such item. */
extern const unsigned char wm_mp_head[256];

#endif
