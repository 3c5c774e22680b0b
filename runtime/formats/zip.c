/* runtime/formats/zip.c -- the directory of a zip file of stored entries.
 *
 * In: a file: local header, data and perhaps a data descriptor of each entry, then the central directory, the end
 * records (those of zip64 where there are any), nothing else.  Out: the entries, each judged by both of its headers.
 * Readers of zip files differ in what they make of a file that contradicts itself; such a one is refused. */
#include "runtime/formats/zip.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/crc32.h"
#include "base/utf8.h"
#include "runtime/io.h"

enum {
    END = 22, LOCATOR = 20, END64 = 56, CENTRAL = 46, LOCAL = 30, /* sizes of records, without names */
    SIG_LOCAL = 0x04034b50, SIG_CENTRAL = 0x02014b50, SIG_DESCRIPTOR = 0x08074b50, SIG_END = 0x06054b50,
    SIG_END64 = 0x06064b50, SIG_LOCATOR = 0x07064b50,
    FLAG_ENCRYPTED = 1, FLAG_DESCRIPTOR = 8, FLAG_UTF8 = 0x800,
    EXTRA_ZIP64 = 1, EXTRA_UNICODE_PATH = 0x7075
};

struct reader {
    struct wm_arena *a;
    const struct wm_sys *sys;
    int fd;
    uint64_t base, size; /* of the zip file in the open one */
    struct wm_zip *z;
    struct wm_err *err;
};

static uint32_t
u16(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t
u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static uint64_t
u64(const unsigned char *p)
{
    return u32(p) | (uint64_t)u32(p + 4) << 32;
}

bool
wm_zip_probe(const unsigned char *p, size_t n)
{
    return n >= END && (u32(p) == SIG_LOCAL || u32(p) == SIG_END);
}

static enum wm_status
bad(struct reader *r, const char *what)
{
    return wm_fail(r->err, WM_EFORMAT, r->z->path, "zip: %s", what);
}

static enum wm_status
bad_entry(struct reader *r, struct wm_str name, const char *what)
{
    return wm_fail(r->err, WM_EFORMAT, r->z->path, "zip entry \"%.*s\": %s", WM_STR_ARG(name), what);
}

/* n bytes at `off` of the zip file, which lie in it. */
static enum wm_status
get(struct reader *r, void *p, uint64_t n, uint64_t off)
{
    return wm_io_pread(r->sys, r->fd, r->z->path, p, n, r->base + off, r->err);
}

/* ---- the end of the file ---- */

struct ends {
    uint64_t n, size, off; /* of the central directory */
    uint64_t at;           /* of the first end record */
};

/* A number of the end record against that of its zip64 twin: equal, or all ones. */
static bool
same(uint64_t wide, uint64_t narrow, uint64_t ones)
{
    return narrow == ones || wide == narrow;
}

/* The records of zip64 before the end record at `end`; none: *e stays. */
static enum wm_status
read_end64(struct reader *r, uint64_t end, struct ends *e)
{
    unsigned char p[END64 + LOCATOR];
    enum wm_status st;

    if (end < sizeof(p))
        return WM_OK;
    st = get(r, p, sizeof(p), end - sizeof(p));
    if (st != WM_OK || u32(p + END64) != SIG_LOCATOR)
        return st;
    e->at = end - sizeof(p);
    if (u32(p) != SIG_END64 || u64(p + 4) != END64 - 12 || u64(p + END64 + 8) != e->at)
        return bad(r, "the zip64 end record is not before its locator");
    if (u32(p + 16) != 0 || u32(p + 20) != 0 || u32(p + END64 + 4) != 0 || u32(p + END64 + 16) > 1)
        return bad(r, "one of several volumes");
    if (u64(p + 24) != u64(p + 32) || !same(u64(p + 32), e->n, UINT16_MAX) || !same(u64(p + 40), e->size, UINT32_MAX) ||
        !same(u64(p + 48), e->off, UINT32_MAX))
        return bad(r, "its two end records disagree");
    e->n = u64(p + 32);
    e->size = u64(p + 40);
    e->off = u64(p + 48);
    return WM_OK;
}

static enum wm_status
read_end(struct reader *r, struct ends *e)
{
    unsigned char p[END];
    uint64_t end;
    enum wm_status st;

    if (r->size < END)
        return bad(r, "too short for an end record");
    end = r->size - END;
    st = get(r, p, END, end);
    if (st != WM_OK)
        return st;
    if (u32(p) != SIG_END || u16(p + 20) != 0)
        return bad(r, "no end record at the end of the file: it is cut, or something was added");
    if (u16(p + 4) != 0 || u16(p + 6) != 0 || u16(p + 8) != u16(p + 10))
        return bad(r, "one of several volumes");
    *e = (struct ends){u16(p + 10), u32(p + 12), u32(p + 16), end};
    st = read_end64(r, end, e);
    if (st != WM_OK)
        return st;
    if (!wm_ck_range(e->off, e->size, e->at) || e->off + e->size != e->at)
        return wm_fail(r->err, WM_EFORMAT, r->z->path,
                       "zip: the directory, %" PRIu64 " bytes at %" PRIu64 ", does not end at the end record at %" PRIu64,
                       e->size, e->off, e->at);
    if (e->size > WM_ZIP_MAX_DIRECTORY)
        return wm_fail(r->err, WM_ELIMIT, r->z->path, "zip: a directory of %" PRIu64 " bytes; the limit is %d", e->size,
                       WM_ZIP_MAX_DIRECTORY);
    if (e->n > e->size / CENTRAL)
        return wm_fail(r->err, WM_EFORMAT, r->z->path,
                       "zip: %" PRIu64 " entries don't fit into a directory of %" PRIu64 " bytes", e->n, e->size);
    return WM_OK;
}

/* ---- the central directory ---- */

/* The extra fields of a header; *zip64 is the one of that kind, empty where there is none. */
static enum wm_status
read_extra(struct reader *r, struct wm_str name, const unsigned char *p, size_t n, struct wm_str *zip64)
{
    *zip64 = WM_STR("");
    while (n >= 4 && u16(p + 2) <= n - 4) {
        size_t len = u16(p + 2);

        if (u16(p) == EXTRA_UNICODE_PATH)
            return bad_entry(r, name, "a second name");
        if (u16(p) == EXTRA_ZIP64) {
            if (zip64->n)
                return bad_entry(r, name, "two zip64 fields");
            *zip64 = (struct wm_str){(const char *)p + 4, len};
        }
        p += 4 + len;
        n -= 4 + len;
    }
    return n == 0 ? WM_OK : bad_entry(r, name, "malformed extra fields");
}

/* A number that is all ones is in the zip64 field, whose numbers are used up in order. */
static bool
widen(uint64_t *v, struct wm_str *zip64)
{
    if (*v != UINT32_MAX)
        return true;
    if (zip64->n < 8)
        return false;
    *v = u64((const unsigned char *)zip64->p);
    zip64->p += 8;
    zip64->n -= 8;
    return true;
}

static enum wm_status
check_kind(struct reader *r, struct wm_str name, uint32_t flags, uint32_t method)
{
    size_t at;

    if (!wm_utf8_valid(name, &at))
        return bad_entry(r, name, "its name is not UTF-8");
    if (!wm_path_is_inside(name) || memchr(name.p, '\\', name.n))
        return bad_entry(r, name, "its name is no plain path inside of the file");
    if (flags & FLAG_ENCRYPTED)
        return bad_entry(r, name, "encrypted");
    if (method != 0) {
        r->z->compressed = name;
        return wm_fail(r->err, WM_ESUPPORT, r->z->path,
                       "zip entry \"%.*s\": compressed (method %" PRIu32 "); only stored entries are read, as np.savez and "
                       "torch.save write them",
                       WM_STR_ARG(name), method);
    }
    if (flags & ~(uint32_t)(FLAG_DESCRIPTOR | FLAG_UTF8))
        return wm_fail(r->err, WM_EFORMAT, r->z->path, "zip entry \"%.*s\": unknown flags 0x%" PRIx32, WM_STR_ARG(name),
                       flags);
    return WM_OK;
}

/* What the central header says of an entry, beside struct wm_zip_entry: compared with the local one. */
struct central {
    struct wm_zip_entry e;
    uint32_t flags;
};

/* One record of the n bytes at p; *used are its bytes. */
static enum wm_status
read_central(struct reader *r, const unsigned char *p, size_t n, struct central *c, size_t *used)
{
    uint64_t packed;
    size_t name_n, extra_n;
    struct wm_str zip64;
    enum wm_status st;

    if (n < CENTRAL || u32(p) != SIG_CENTRAL)
        return bad(r, "no entry where its directory should have one");
    name_n = u16(p + 28);
    extra_n = u16(p + 30);
    *used = CENTRAL + name_n + extra_n + u16(p + 32);
    if (*used > n)
        return bad(r, "an entry reaches behind the end of the directory");
    *c = (struct central){.flags = u16(p + 8)};
    c->e = (struct wm_zip_entry){.name = {(const char *)p + CENTRAL, name_n},
                                 .local = u32(p + 42),
                                 .size = u32(p + 24),
                                 .crc = u32(p + 16)};
    packed = u32(p + 20);
    st = check_kind(r, c->e.name, c->flags, u16(p + 10));
    if (st == WM_OK)
        st = read_extra(r, c->e.name, p + CENTRAL + name_n, extra_n, &zip64);
    if (st != WM_OK)
        return st;
    if (u16(p + 32) != 0)
        return bad_entry(r, c->e.name, "has a comment");
    if (u16(p + 34) != 0)
        return bad_entry(r, c->e.name, "in another volume");
    if (!widen(&c->e.size, &zip64) || !widen(&packed, &zip64) || !widen(&c->e.local, &zip64))
        return bad_entry(r, c->e.name, "its zip64 field is too short");
    if (packed != c->e.size)
        return bad_entry(r, c->e.name, "stored, but of two sizes");
    if (c->e.size == 0 && c->e.crc != 0)
        return bad_entry(r, c->e.name, "empty, but with a check sum");
    return WM_OK;
}

static int
by_place(const void *pa, const void *pb)
{
    const struct central *a = pa, *b = pb;

    return (a->e.local > b->e.local) - (a->e.local < b->e.local);
}

static enum wm_status
read_directory(struct reader *r, const struct ends *e, struct central **out)
{
    unsigned char *p = wm_arena_alloc(r->a, (size_t)e->size);
    struct central *c = WM_NEW_N(r->a, struct central, e->n);
    size_t at = 0, used = 0;
    enum wm_status st = get(r, p, e->size, e->off);

    wm_map_init(&r->z->by_name, r->a, (uint32_t)e->n);
    for (uint64_t i = 0; st == WM_OK && i < e->n; i++) {
        st = read_central(r, p + at, (size_t)e->size - at, &c[i], &used);
        if (st != WM_OK)
            return st;
        at += used;
        if (wm_map_put(&r->z->by_name, c[i].e.name, (uint32_t)i) != i)
            return bad_entry(r, c[i].e.name, "named twice");
    }
    if (st != WM_OK)
        return st;
    if (at != e->size)
        return bad(r, "bytes behind the last entry of the directory");
    if (e->n > 1)
        qsort(c, (size_t)e->n, sizeof(*c), by_place);
    *out = c;
    return WM_OK;
}

/* ---- the entries ---- */

/* `size` and `crc` of a local header: with a data descriptor they may be left open. */
static bool
agree(const struct central *c, uint64_t size, uint32_t crc)
{
    bool open = c->flags & FLAG_DESCRIPTOR;

    return (size == c->e.size || (open && size == 0)) && (crc == c->e.crc || (open && crc == 0));
}

/* The data descriptor of n bytes at `off`. */
static enum wm_status
read_descriptor(struct reader *r, const struct central *c, uint64_t off, uint64_t n)
{
    unsigned char p[24];
    uint64_t size, packed;
    enum wm_status st;

    if (n != 16 && n != 24)
        return bad_entry(r, c->e.name, "no data descriptor behind its data, or other bytes between the entries");
    st = get(r, p, n, off);
    if (st != WM_OK)
        return st;
    packed = n == 16 ? u32(p + 8) : u64(p + 8);
    size = n == 16 ? u32(p + 12) : u64(p + 16);
    if (u32(p) != SIG_DESCRIPTOR || u32(p + 4) != c->e.crc || packed != c->e.size || size != c->e.size)
        return bad_entry(r, c->e.name, "its data descriptor and the directory disagree");
    return WM_OK;
}

/* The local header of an entry whose bytes end at `next`. */
static enum wm_status
read_local(struct reader *r, struct central *c, uint64_t next)
{
    unsigned char head[LOCAL], *p;
    uint64_t packed, size, used;
    size_t name_n, extra_n;
    struct wm_str zip64;
    enum wm_status st;

    if (!wm_ck_range(c->e.local, LOCAL, next))
        return bad_entry(r, c->e.name, "overlaps what follows");
    st = get(r, head, LOCAL, c->e.local);
    if (st != WM_OK)
        return st;
    name_n = u16(head + 26);
    extra_n = u16(head + 28);
    if (u32(head) != SIG_LOCAL)
        return bad_entry(r, c->e.name, "no local header where the directory places it");
    used = LOCAL + name_n + extra_n;
    if (!wm_ck_range(c->e.local, used, next) || !wm_ck_range(c->e.local + used, c->e.size, next))
        return bad_entry(r, c->e.name, "overlaps what follows");
    p = wm_arena_alloc(r->a, name_n + extra_n);
    st = get(r, p, name_n + extra_n, c->e.local + LOCAL);
    if (st == WM_OK)
        st = read_extra(r, c->e.name, p + name_n, extra_n, &zip64);
    if (st != WM_OK)
        return st;
    size = u32(head + 22);
    packed = u32(head + 18);
    if (!wm_str_eq((struct wm_str){(char *)p, name_n}, c->e.name) || u16(head + 6) != c->flags || u16(head + 8) != 0 ||
        !widen(&size, &zip64) || !widen(&packed, &zip64) || packed != size || !agree(c, size, u32(head + 14)))
        return bad_entry(r, c->e.name, "its local header and the directory disagree");
    c->e.off = c->e.local + used;
    next -= c->e.off + c->e.size;
    if (c->flags & FLAG_DESCRIPTOR)
        return read_descriptor(r, c, c->e.off + c->e.size, next);
    return next == 0 ? WM_OK : bad_entry(r, c->e.name, "other bytes between it and what follows");
}

enum wm_status
wm_zip_open(struct wm_arena *a, const struct wm_sys *sys, int fd, const char *path, uint64_t base, uint64_t size,
            struct wm_zip *out, struct wm_err *err)
{
    struct reader r = {a, sys, fd, base, size, out, err};
    struct central *c = NULL;
    struct ends e = {0};
    enum wm_status st;

    *out = (struct wm_zip){.path = path};
    st = read_end(&r, &e);
    if (st == WM_OK)
        st = read_directory(&r, &e, &c);
    if (st != WM_OK)
        return st;
    if ((e.n ? c[0].e.local : e.off) != 0)
        return bad(&r, "bytes before its first entry");
    out->directory = e.off;
    out->n = (uint32_t)e.n;
    out->entry = WM_NEW_N(a, struct wm_zip_entry, e.n);
    for (uint32_t i = 0; i < out->n; i++) {
        st = read_local(&r, &c[i], i + 1 < out->n ? c[i + 1].e.local : e.off);
        if (st != WM_OK)
            return st;
        out->entry[i] = c[i].e;
        out->entry[i].off += base;
        out->summed |= c[i].e.crc != 0;
        wm_map_set(&out->by_name, c[i].e.name, i);
    }
    return WM_OK;
}

const struct wm_zip_entry *
wm_zip_find(const struct wm_zip *z, struct wm_str name)
{
    uint32_t k = wm_map_get(&z->by_name, name);

    return k == WM_NONE ? NULL : &z->entry[k];
}

enum wm_status
wm_zip_bytes(struct wm_arena *a, const struct wm_sys *sys, int fd, const struct wm_zip *z,
             const struct wm_zip_entry *e, uint64_t max, struct wm_str *out, struct wm_err *err)
{
    enum wm_status st;
    char *p;

    if (e->size > max)
        return wm_fail(err, WM_ELIMIT, z->path, "zip entry \"%.*s\": %" PRIu64 " bytes; the limit is %" PRIu64,
                       WM_STR_ARG(e->name), e->size, max);
    p = wm_arena_alloc(a, (size_t)e->size + 1);
    st = wm_io_pread(sys, fd, z->path, p, e->size, e->off, err);
    if (st != WM_OK)
        return st;
    if (z->summed && wm_crc32(0, p, (size_t)e->size) != e->crc)
        return wm_fail(err, WM_EFORMAT, z->path, "zip entry \"%.*s\": its bytes don't have the check sum %08" PRIx32,
                       WM_STR_ARG(e->name), e->crc);
    *out = (struct wm_str){p, (size_t)e->size};
    return WM_OK;
}

void
wm_zip_add_sum(struct wm_manifest *m, uint32_t file, const struct wm_zip *z, const struct wm_zip_entry *e)
{
    if (z->summed)
        *WM_PUSH(m->a, &m->sum) = (struct wm_msum){file, e->crc, e->off, e->off + e->size, e->name};
}
