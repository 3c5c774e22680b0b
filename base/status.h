/* base/status.h -- failures of the world: files, disks, memory, malformed input.
 *
 * A function that can fail so returns an `enum wm_status` and fills a `struct wm_err`, whose message
 * is one line that names the file, the place in it (tensor, offset) and the reason.  Faults of a map
 * are diagnostics (compiler/diag.h), faults of ours assertions. */
#ifndef WM_BASE_STATUS_H
#define WM_BASE_STATUS_H

#include <stdint.h>

#include "base/str.h"

enum wm_status {
    WM_OK = 0,
    WM_NO,      /* the answer is no: does not fit, differs              (exit status 1) */
    WM_EUSAGE,  /* wrong call, unknown option, unusable argument        (2) */
    WM_EIO,     /* a system call failed                                 (2) */
    WM_EFORMAT, /* malformed or hostile file                            (2) */
    WM_ELIMIT,  /* a limit: memory, size, depth                         (2) */
    WM_ENOMEM,  /* out of memory                                        (2) */
    WM_ESUPPORT /* sound, but not supported                             (2) */
};

#define WM_ERR_MAX 2048

struct wm_err {
    enum wm_status status;
    int sys;               /* errno where a system call failed, else 0 */
    char msg[WM_ERR_MAX];  /* one line, no newline at the end, control characters escaped, cut with an
                              ellipsis where it would be longer */
};

/* Fill err and return its status: "FILE: what: strerror".  `file` may be NULL.  `fmt` may contain
 * names from a file: they are escaped and shortened here, not by the caller.  Later calls on an err
 * that is set already keep the first message. */
enum wm_status wm_fail(struct wm_err *err, enum wm_status st, const char *file, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same with errno `sys` appended as text. */
enum wm_status wm_fail_sys(struct wm_err *err, int sys, const char *file, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
