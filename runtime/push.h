/* runtime/push.h -- runs that are driven by their input: bytes come as they come, and go to their places.
 *
 * For input files of a plan that are marked as streams (WM_INFILE_STREAM).  Their bytes are pushed in any pieces, in
 * the order of the files or in any, each byte once.  What an operation needs whole (copies that must be equal) is held
 * back; outputs are written
 *
 *   - into files, each piece at its place, with holes for what is to come;
 *   - or to a stream, in order: then output that is not complete is held back, too;
 *   - or handed out tensor by tensor as each becomes complete.
 *
 * Inputs of the plan that are files are read when the session is opened, or where they are needed. */
#ifndef WM_RUNTIME_PUSH_H
#define WM_RUNTIME_PUSH_H

#include "runtime/exec.h"

struct wm_push;

/* Where the output goes: one of the three. */
struct wm_push_to {
    int (*fd)(void *user, uint32_t outfile); /* files of their final size; heads and tails are not written */
    enum wm_status (*write)(void *user, const void *p, uint64_t n, struct wm_err *err); /* of one file, all of it */
    enum wm_status (*tensor)(void *user, uint32_t out, const void *p, struct wm_err *err);
    void *user;
};

struct wm_push_opts {
    uint64_t max_memory; /* 0: 64 MiB */
    uint32_t threads;    /* that work on what goes to files; 0: one per processor, at most 8 */
    enum wm_engine engine;
    uint32_t *sum;       /* [number of SUM] of files, filled at the end; or NULL */
    bool *known;         /* [number of SUM] which of them are: not those of bytes that went between others */
    bool any_order;      /* else bytes come in the order of the files, and what must be held back is known before */
};

/* WM_ELIMIT: the memory does not suffice; the message says how much would.  Nothing was written then. */
enum wm_status wm_push_open(struct wm_arena *a, const struct wm_sys *sys, const struct wm_plan *p,
                            const struct wm_push_opts *opts, const struct wm_push_to *to, struct wm_push **out,
                            struct wm_err *err);
/* Bytes [off, off + n) of an input file.  Where pieces come in any order, they begin and end between elements. */
enum wm_status wm_push_bytes(struct wm_push *s, uint32_t infile, uint64_t off, const void *p, uint64_t n,
                             struct wm_err *err);
/* Room for the bytes at `off` that saves a copy: read them there, then push them; *n: how many.  NULL: there is none. */
char *wm_push_room(struct wm_push *s, uint32_t infile, uint64_t off, uint64_t *n);
/* All came?  WM_EFORMAT names what is missing. */
enum wm_status wm_push_finish(struct wm_push *s, struct wm_exec_stats *stats, struct wm_err *err);
/* After finish, or instead of it. */
void wm_push_close(struct wm_push *s);

#endif
