/* runtime/output_behind.c -- large outputs go to the disk while they are written.
 *
 * In: what was written, from any thread.  Out: the kernel writes it to the disk at once, rather than when a tenth of
 * the memory waits for that; and of an output that the memory can not hold beside other things, pages that are on the
 * disk are given back.  The next windows take the same pages again, and nobody waits for memory that has to be found
 * (or, in a virtual machine, to be got from the host).  These are hints: no error of theirs matters. */
#include <fcntl.h>

#include "runtime/output_priv.h"

/* An output of more than one part in so many of the memory is large. */
enum { LARGE = 3 };
/* Bytes behind the newest that are still being written to the disk, as a rule. */
enum { DISTANCE = 128 << 20 };

void
wm_output_behind_choose(struct wm_output *o)
{
    if (o->total > o->sys->memory() / LARGE)
        o->behind = WM_BEHIND_DROP;
    else
        o->behind = o->opts.fsync ? WM_BEHIND_WRITE : WM_BEHIND_NONE;
}

void
wm_output_behind(const struct wm_output *o, uint32_t i, uint64_t off, uint64_t n)
{
    int fd = o->of_file[i]->fd;

    if (o->behind == WM_BEHIND_NONE || fd < 0)
        return;
    (void)o->sys->writeback(fd, (off_t)off, (off_t)n);
    if (o->behind == WM_BEHIND_DROP && off >= DISTANCE)
        (void)o->sys->advise(fd, (off_t)(off - DISTANCE), (off_t)n, POSIX_FADV_DONTNEED);
}
