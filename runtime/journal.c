/* runtime/journal.c -- which parts of an output are written.
 *
 * In: ranges, each after its bytes were handed to the system.  A process that is killed loses nothing of that, so
 * records need no sync; a machine that goes down may have lost data that a record speaks of, so a journal counts only
 * within one boot; a last record that says "all of it is on the disk" counts everywhere.  Each record has a sum of its
 * own: the last one may be torn.  A record that can't be written is left out: its bytes are only written again. */
#include "runtime/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/map.h"
#include "runtime/io.h"

enum { BOOT = 36, MOST = 1 << 28 };

struct head {
    char magic[8]; /* "wmjrnl\0\1" */
    uint64_t id;
    char boot[BOOT + 4]; /* of the kernel, as text */
};

struct record {
    uint64_t lo, hi;
    uint32_t file, sum;
};

struct wm_journal {
    const struct wm_sys *sys;
    int fd;
    uint64_t id;
    _Atomic uint64_t end;  /* of the file */
    struct record *range; /* [n] ascending, merged: what was there */
    uint64_t n, bytes;
    bool finished;
};

static uint32_t
sum_of(const struct record *r, uint64_t id)
{
    return (uint32_t)wm_hash(r, offsetof(struct record, sum), id);
}

/* All n bytes at the current place, or fewer where the file ends; -1. */
static ssize_t
read_all(const struct wm_sys *sys, int fd, void *p, size_t n)
{
    size_t at = 0;

    while (at < n) {
        ssize_t got = sys->read(fd, (char *)p + at, n - at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        at += (size_t)got;
    }
    return (ssize_t)at;
}

/* The head that a journal of this plan has now; false where the kernel does not name its boot. */
static bool
make_head(const struct wm_sys *sys, uint64_t id, struct head *h)
{
    int fd = sys->open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC, 0);
    ssize_t got;

    memset(h, 0, sizeof(*h));
    memcpy(h->magic, "wmjrnl\0\1", sizeof(h->magic));
    h->id = id;
    if (fd < 0)
        return false;
    got = read_all(sys, fd, h->boot, BOOT);
    sys->close(fd);
    return got == BOOT;
}

static int
by_place(const void *p, const void *q)
{
    const struct record *a = p, *b = q;

    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    return a->lo < b->lo ? -1 : a->lo > b->lo;
}

static void
take_records(struct wm_journal *j, uint64_t n)
{
    uint64_t good = 0, m = 0;

    for (uint64_t i = 0; i < n; i++)
        if (j->range[i].sum == sum_of(&j->range[i], j->id) && j->range[i].lo < j->range[i].hi)
            j->range[good++] = j->range[i];
    if (good > 1)
        qsort(j->range, good, sizeof(j->range[0]), by_place);
    for (uint64_t i = 0; i < good; i++) {
        struct record *last = m ? &j->range[m - 1] : NULL, r = j->range[i];

        if (last && last->file == r.file && r.lo <= last->hi)
            last->hi = r.hi > last->hi ? r.hi : last->hi;
        else
            j->range[m++] = r;
    }
    j->finished = m && j->range[m - 1].file == WM_NONE;
    m -= j->finished;
    j->n = m;
    for (uint64_t i = 0; i < m; i++)
        j->bytes += j->range[i].hi - j->range[i].lo;
}

struct wm_journal *
wm_journal_read(struct wm_arena *a, const struct wm_sys *sys, const char *path, uint64_t id)
{
    struct wm_journal *j = WM_NEW(a, struct wm_journal);
    struct head want, have;
    struct stat st;
    uint64_t n;

    *j = (struct wm_journal){.sys = sys, .id = id};
    j->fd = sys->open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    if (j->fd < 0)
        return NULL;
    if (!make_head(sys, id, &want) || sys->fstat(j->fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > MOST ||
        read_all(sys, j->fd, &have, sizeof(have)) != sizeof(have) ||
        memcmp(&want, &have, offsetof(struct head, boot)) != 0) {
        wm_journal_close(j);
        return NULL;
    }
    n = ((uint64_t)st.st_size - sizeof(have)) / sizeof(struct record);
    j->range = WM_NEW_N(a, struct record, n);
    if (read_all(sys, j->fd, j->range, n * sizeof(struct record)) != (ssize_t)(n * sizeof(struct record))) {
        wm_journal_close(j);
        return NULL;
    }
    take_records(j, n);
    if (!j->finished && memcmp(&want, &have, sizeof(want)) != 0) { /* of another boot */
        wm_journal_close(j);
        return NULL;
    }
    atomic_init(&j->end, sizeof(have) + n * sizeof(struct record));
    return j;
}

struct wm_journal *
wm_journal_create(struct wm_arena *a, const struct wm_sys *sys, const char *path, uint64_t id)
{
    struct wm_journal *j = WM_NEW(a, struct wm_journal);
    struct wm_err ignored = {0};
    struct head h;

    *j = (struct wm_journal){.sys = sys, .id = id};
    (void)sys->unlink(path);
    if (!make_head(sys, id, &h))
        return NULL;
    j->fd = sys->open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (j->fd < 0)
        return NULL;
    if (wm_io_pwrite(sys, j->fd, path, &h, sizeof(h), 0, &ignored) != WM_OK) {
        wm_journal_close(j);
        (void)sys->unlink(path);
        return NULL;
    }
    atomic_init(&j->end, sizeof(h));
    return j;
}

bool
wm_journal_has(const struct wm_journal *j, uint32_t file, uint64_t lo, uint64_t hi)
{
    uint64_t a = 0, b = j->n;

    while (a < b) { /* the first range that ends at or behind hi */
        uint64_t mid = a + (b - a) / 2;
        const struct record *r = &j->range[mid];

        if (r->file < file || (r->file == file && r->hi < hi))
            a = mid + 1;
        else
            b = mid;
    }
    return a < j->n && j->range[a].file == file && j->range[a].lo <= lo;
}

uint64_t
wm_journal_bytes(const struct wm_journal *j)
{
    return j->bytes;
}

void
wm_journal_add(struct wm_journal *j, uint32_t file, uint64_t lo, uint64_t hi)
{
    struct record r = {.lo = lo, .hi = hi, .file = file};
    uint64_t at = atomic_fetch_add(&j->end, sizeof(r));

    r.sum = sum_of(&r, j->id);
    if (j->sys->pwrite(j->fd, &r, sizeof(r), (off_t)at) != (ssize_t)sizeof(r))
        return; /* torn: its sum says so */
}

enum wm_status
wm_journal_finish(struct wm_journal *j, const char *path, struct wm_err *err)
{
    struct record r = {.lo = 0, .hi = 1, .file = WM_NONE};
    enum wm_status st;

    r.sum = sum_of(&r, j->id);
    st = wm_io_pwrite(j->sys, j->fd, path, &r, sizeof(r), atomic_fetch_add(&j->end, sizeof(r)), err);
    if (st == WM_OK && j->sys->fsync(j->fd) != 0)
        st = wm_fail_sys(err, errno, path, "cannot sync");
    return st;
}

bool
wm_journal_is_finished(const struct wm_journal *j)
{
    return j->finished;
}

bool
wm_journal_lock(struct wm_journal *j)
{
    return j->sys->flock(j->fd, LOCK_EX | LOCK_NB) == 0;
}

bool
wm_journal_is_busy(const struct wm_sys *sys, const char *path)
{
    int fd = sys->open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    bool is_free = fd < 0 || sys->flock(fd, LOCK_EX | LOCK_NB) == 0;

    if (fd >= 0)
        sys->close(fd);
    return !is_free;
}

void
wm_journal_close(struct wm_journal *j)
{
    if (j && j->fd >= 0)
        j->sys->close(j->fd);
    if (j)
        j->fd = -1;
}
