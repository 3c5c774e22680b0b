/* runtime/formats/zip_write.h -- the constant bytes of a zip file of stored entries.
 *
 * In: headers and small entries as bytes, tensors as lengths, in the order of the file.  Out: the head, pieces, tail
 * and sums of a wm_wfile.  How a header looks in detail is the caller's: torch and numpy differ. */
#ifndef WM_RUNTIME_FORMATS_ZIP_WRITE_H
#define WM_RUNTIME_FORMATS_ZIP_WRITE_H

#include "base/buf.h"
#include "runtime/format.h"

enum { WM_ZIP_LOCAL = 30, WM_ZIP_CRC = 14, WM_ZIP_CENTRAL_CRC = 16 }; /* size of a local header, and places in headers */

struct wm_zipw {
    struct wm_arena *a;
    struct wm_wfile *out;
    struct wm_buf text; /* what the file has beside tensors, so far */
    struct wm_buf dir;  /* its central directory, so far */
    uint64_t at;        /* length of the file, so far */
    size_t cut;         /* bytes of `text` that stand in the head or in a piece */
    uint64_t nentry, ntensor;
};

/* What the headers of an entry say. */
struct wm_zipw_entry {
    struct wm_str name;
    uint64_t off, size;   /* of its local header; of its data */
    uint32_t crc;
    uint16_t version, flags;
    uint32_t attributes;  /* with the system that they are of in front of `version` */
    uint16_t made;
};

void wm_zipw_init(struct wm_zipw *w, struct wm_arena *a, struct wm_wfile *out);
/* n bytes, the low ones of v, little-endian. */
void wm_buf_le(struct wm_buf *b, uint64_t v, unsigned n);

void wm_zipw_put(struct wm_zipw *w, struct wm_str s);
/* A local header with its name; `size` is what its 32-bit fields say, and n bytes of extra fields follow. */
void wm_zipw_local(struct wm_zipw *w, const struct wm_zipw_entry *e, uint32_t size, size_t n);
/* Room for a tensor; its place goes to *off. */
bool wm_zipw_tensor(struct wm_zipw *w, uint64_t nbytes, uint64_t *off);
/* A row of the directory; sizes and offsets above `limit` go to an extra field. */
void wm_zipw_central(struct wm_zipw *w, const struct wm_zipw_entry *e, uint64_t limit);
/* The sum of what has been put since `lo` goes to `field` and to the next row of the directory. */
void wm_zipw_sum(struct wm_zipw *w, uint64_t lo, uint64_t hi, uint64_t field);
/* Directory and end records, the 64-bit ones where `zip64` or something is above `limit` (entries: 65535).  False
 * where the file would be too large. */
bool wm_zipw_finish(struct wm_zipw *w, bool zip64, uint16_t made, uint64_t limit);

#endif
