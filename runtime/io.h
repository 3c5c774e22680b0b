/* runtime/io.h -- opening, reading and writing files whole.
 *
 * Short counts and EINTR are looped over here and nowhere else.  Only regular files are read: a
 * FIFO or a device must not hang a reader.  `file` names the file in messages. */
#ifndef WM_RUNTIME_IO_H
#define WM_RUNTIME_IO_H

#include "base/status.h"
#include "base/sys.h"

/* Open for reading; a regular file, its stat in *st.  no_symlinks refuses a link in the last
 * component.  The caller closes *fd; on failure it is -1. */
enum wm_status wm_io_open(const struct wm_sys *sys, const char *file, bool no_symlinks, int *fd,
                          struct stat *st, struct wm_err *err);

/* Exactly n bytes at off; the end of the file in between is an error. */
enum wm_status wm_io_pread(const struct wm_sys *sys, int fd, const char *file, void *p, uint64_t n,
                           uint64_t off, struct wm_err *err);

/* All n bytes at off. */
enum wm_status wm_io_pwrite(const struct wm_sys *sys, int fd, const char *file, const void *p,
                            uint64_t n, uint64_t off, struct wm_err *err);

#endif
