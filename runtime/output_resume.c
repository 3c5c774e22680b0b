/* runtime/output_resume.c -- going on where a run that was killed stopped.
 *
 * In: a place whose lock is held, and the id of the plan.  The temporaries of a plan have names made of its id, with a
 * journal beside them.  They are taken over where all of it is there: the journal, and every file at its full size.
 * Anything less is removed.  The journal goes before the output gets its name: so what has a journal is never the
 * finished output, nor the old one that it was exchanged with. */
#include <errno.h>

#include "runtime/output_priv.h"

bool
wm_output_is_there(struct wm_output *o, const char *root)
{
    struct stat st;

    if (o->is_dir && (o->sys->lstat(root, &st) != 0 || !S_ISDIR(st.st_mode)))
        return false;
    for (uint64_t i = 0; i < o->nfile; i++) {
        struct wm_str name = wm_plan_str(o->plan, o->file[i].name);
        const char *path = o->is_dir ? wm_arena_printf(o->a, "%s/%.*s", root, WM_STR_ARG(name)).p : root;

        if (o->sys->lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != o->file[i].size)
            return false;
    }
    return true;
}

enum wm_status
wm_output_resume(struct wm_output *o, struct wm_err *err)
{
    char *root = wm_place_numbered(&o->place, o->place.keep[0]);
    char *path = wm_place_numbered(&o->place, o->place.keep[1]);

    if (o->place.no_locks) { /* no locks here: another run may be at it */
        o->place.keep[0] = 0;
        return WM_OK;
    }
    o->journal_path = path;
    o->journal = wm_journal_read(o->a, o->sys, path, o->opts.id);
    o->resumed = o->journal && wm_output_is_there(o, root);
    if (o->resumed)
        return WM_OK;
    wm_journal_close(o->journal);
    o->journal = NULL;
    if (o->sys->unlink(path) != 0 && errno != ENOENT)
        return wm_fail_sys(err, errno, path, "cannot remove");
    return wm_tree_remove(o->a, o->sys, root, err);
}

void
wm_output_journal(struct wm_output *o)
{
    if (o->journal_path && !o->journal)
        o->journal = wm_journal_create(o->a, o->sys, o->journal_path, o->opts.id);
}

enum wm_status
wm_output_journal_end(struct wm_output *o, struct wm_err *err)
{
    wm_journal_close(o->journal);
    o->journal = NULL;
    if (o->opts.task.n)
        return wm_output_tasks_commit(o, err);
    if (o->journal_path && o->sys->unlink(o->journal_path) != 0 && errno != ENOENT)
        return wm_fail_sys(err, errno, o->journal_path, "cannot remove");
    return WM_OK;
}

void
wm_output_wrote(struct wm_output *o, uint32_t i, uint64_t off, uint64_t n)
{
    if (o->journal)
        wm_journal_add(o->journal, i, off, off + n);
    wm_output_behind(o, i, off, n);
}

bool
wm_output_has(const struct wm_output *o, uint32_t i, uint64_t lo, uint64_t hi)
{
    return o->resumed && o->journal && wm_journal_has(o->journal, i, lo, hi);
}

uint64_t
wm_output_kept(const struct wm_output *o)
{
    return o->resumed && o->journal ? wm_journal_bytes(o->journal) : 0;
}
