/* runtime/formats/zip.h -- zip files whose entries are stored as they are: .pth, .npz.
 *
 * In: an open file.  Out: its entries by the place of their data.  Nothing is accepted that writers of checkpoints
 * don't write: the entries tile the file from its first byte to the directory, which the end records follow to the
 * last byte; both headers of an entry agree; no entry is compressed, encrypted or named twice, no name leads out. */
#ifndef WM_RUNTIME_FORMATS_ZIP_H
#define WM_RUNTIME_FORMATS_ZIP_H

#include "runtime/manifest.h"

enum { WM_ZIP_MAX_DIRECTORY = 64 << 20 }; /* bytes: about a million entries */

struct wm_zip_entry {
    struct wm_str name;   /* UTF-8, plain path inside */
    uint64_t local;       /* offset of its local header in the zip file */
    uint64_t off, size;   /* of its data in the open file */
    uint32_t crc;         /* of its data; see wm_zip.summed */
};

struct wm_zip {
    const char *path;     /* for messages */
    struct wm_zip_entry *entry; /* [n], ascending offsets */
    uint32_t n;
    bool summed;          /* false: written without check sums, all of them are 0 (torch can leave them out) */
    uint64_t directory;   /* offset of the central directory: the entries end here */
    struct wm_str compressed; /* where opening failed since an entry is not stored: its name */
    struct wm_map by_name; /* name -> index in entry */
};

/* Do the first bytes look like a zip file? */
bool wm_zip_probe(const unsigned char *p, size_t n);

/* The entries of the zip file that is the `size` bytes at `base` of an open file.  `path` must outlive *out; the rest
 * lives in the arena. */
enum wm_status wm_zip_open(struct wm_arena *a, const struct wm_sys *sys, int fd, const char *path, uint64_t base,
                           uint64_t size, struct wm_zip *out, struct wm_err *err);

/* An entry by name, or NULL. */
const struct wm_zip_entry *wm_zip_find(const struct wm_zip *z, struct wm_str name);

/* All bytes of an entry of at most `max`, with their check sum compared. */
enum wm_status wm_zip_bytes(struct wm_arena *a, const struct wm_sys *sys, int fd, const struct wm_zip *z,
                            const struct wm_zip_entry *e, uint64_t max, struct wm_str *out, struct wm_err *err);

/* Have the check sum of an entry compared when the checkpoint is used: a row of m->sum. */
void wm_zip_add_sum(struct wm_manifest *m, uint32_t file, const struct wm_zip *z, const struct wm_zip_entry *e);

#endif
