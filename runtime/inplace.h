/* runtime/inplace.h -- another header for a file whose data stays where it is.
 *
 * The old header is on the disk beside the file ("FILE.wmap-header") before the first byte of the new one is written,
 * and until the last one is on the disk.  So after a crash the file has the old header or the new one, or what is
 * between them and the saved header to put back. */
#ifndef WM_RUNTIME_INPLACE_H
#define WM_RUNTIME_INPLACE_H

#include "runtime/plan.h"
#include "base/sys.h"

/* Where a run was killed: put the old header back.  *restored says whether there was one.  Refused where the saved
 * header is not of this file. */
enum wm_status wm_inplace_restore(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path, bool *restored,
                                  struct wm_err *err);

/* Does the plan write what is there already, but for the head: one file, all its data at its place in the one input?
 * WM_EUSAGE: no, err names a tensor. */
enum wm_status wm_inplace_check(struct wm_arena *a, const struct wm_plan *p, struct wm_str path, struct wm_err *err);

/* Write the head of such a plan's output into its input at `path`.  After a failure the old one is there, or err says
 * where it is. */
enum wm_status wm_inplace_write(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path,
                                const struct wm_plan *p, struct wm_err *err);

#endif
