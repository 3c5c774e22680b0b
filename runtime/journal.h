/* runtime/journal.h -- which parts of an output are written: for a run that goes on where a killed one stopped.
 *
 * A file of small records beside the output's temporaries.  It says nothing of another plan, and nothing after the
 * machine went down, or on another one: data that were not synced may be lost then.  A finished one says that they were. */
#ifndef WM_RUNTIME_JOURNAL_H
#define WM_RUNTIME_JOURNAL_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/status.h"
#include "base/sys.h"

struct wm_journal;

/* The journal at `path`, of the plan with this id; NULL where there is none that counts. */
struct wm_journal *wm_journal_read(struct wm_arena *a, const struct wm_sys *sys, const char *path, uint64_t id);
/* A new and empty one in place of what is there; NULL where it can't be written: then nothing can be gone on with. */
struct wm_journal *wm_journal_create(struct wm_arena *a, const struct wm_sys *sys, const char *path, uint64_t id);
/* Are bytes [lo, hi) of a file written?  Of what was there when the journal was read. */
bool wm_journal_has(const struct wm_journal *j, uint32_t file, uint64_t lo, uint64_t hi);
/* How many bytes there were. */
uint64_t wm_journal_bytes(const struct wm_journal *j);
/* Bytes [lo, hi) of a file are written.  From any thread. */
void wm_journal_add(struct wm_journal *j, uint32_t file, uint64_t lo, uint64_t hi);
/* All that the journal is kept for is on the disk: from now on that holds on every machine, whatever happens to this. */
enum wm_status wm_journal_finish(struct wm_journal *j, const char *path, struct wm_err *err);
bool wm_journal_is_finished(const struct wm_journal *j);
/* Nobody else may write it: false where somebody does. */
bool wm_journal_lock(struct wm_journal *j);
/* Does somebody write the journal at `path`, whatever is in it? */
bool wm_journal_is_busy(const struct wm_sys *sys, const char *path);
void wm_journal_close(struct wm_journal *j);

#endif
