/* runtime/output_task.c -- several processes that make one output.
 *
 * In: a place, the id of the plan, and which of n tasks this is.  All tasks write into the same temporaries, whose names
 * are made of the id.  Beside them is a file that says of how many tasks they are (written last: what has none is no
 * set of temporaries), and a journal for each task.  A finished journal speaks of data on the disk, so it counts on
 * another machine, too.  Whoever finds all of them finished commits.  To set up and to commit, a process holds the
 * guard.
 *
 * The commit is a rename, before which the state says the number (inode) of what gets the name.  So after a kill in its
 * midst it is known whether the output has its name already (then only the rest goes), or gets it by the next task. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "runtime/io.h"
#include "runtime/output_priv.h"

enum { NAMES = 20 }; /* tasks that a message lists */

struct state {
    char magic[8];
    uint64_t id;
    uint64_t committed; /* inode of what is given the final name; 0: that has not begun */
    uint32_t n, pad;
};

static const struct state state_head = {.magic = "wmtasks\2"};

static char *
state_path(struct wm_output *o)
{
    return wm_arena_cstr(o->a, wm_arena_printf(o->a, "%s.tasks", wm_place_numbered(&o->place, o->opts.id)));
}

static char *
journal_path(struct wm_output *o, uint32_t i)
{
    return wm_arena_cstr(o->a,
                         wm_arena_printf(o->a, "%s.task-%" PRIu32, wm_place_numbered(&o->place, o->opts.id), i));
}

/* A task's journal is one of the plan, the number of tasks, and its own. */
static uint64_t
journal_id(const struct wm_output *o, uint32_t i)
{
    uint32_t of[2] = {i, o->opts.task.n};

    return wm_hash(of, sizeof(of), o->opts.id);
}

/* Of how many tasks are the temporaries?  n = 0: there are none. */
static struct state
read_state(struct wm_output *o)
{
    struct state s = {.n = 0};
    int fd = o->sys->open(state_path(o), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
    struct wm_err ignored = {0};
    bool is_read;

    if (fd < 0)
        return s;
    is_read = wm_io_pread(o->sys, fd, "", &s, sizeof(s), 0, &ignored) == WM_OK;
    o->sys->close(fd);
    if (!is_read || memcmp(s.magic, state_head.magic, sizeof(s.magic)) != 0 || s.id != o->opts.id || s.n > WM_TASKS)
        return (struct state){.n = 0};
    return s;
}

/* To be read by others, whatever happens to this process or to this machine. */
static enum wm_status
write_state(struct wm_output *o, uint64_t committed, struct wm_err *err)
{
    struct state s = state_head;
    char *path = state_path(o);
    int fd = o->sys->open(path, O_RDWR | O_CREAT | (committed ? 0 : O_EXCL) | O_CLOEXEC, 0666);
    enum wm_status st;

    if (fd < 0)
        return wm_fail_sys(err, errno, path, "cannot create");
    s.id = o->opts.id;
    s.committed = committed;
    s.n = o->opts.task.n;
    st = wm_io_pwrite(o->sys, fd, path, &s, sizeof(s), 0, err);
    if (st == WM_OK && committed && o->sys->fsync(fd) != 0)
        st = wm_fail_sys(err, errno, path, "cannot sync");
    o->sys->close(fd);
    if (st != WM_OK && !committed)
        o->sys->unlink(path);
    return st;
}

/* What gets the final name: the directory, or the one file. */
static const char *
root_path(struct wm_output *o)
{
    return wm_place_numbered(&o->place, o->opts.id);
}

static bool
has_inode(const struct wm_output *o, const char *path, uint64_t ino)
{
    struct stat st;

    return o->sys->lstat(path, &st) == 0 && (uint64_t)st.st_ino == ino;
}

bool
wm_output_tasks_committed(struct wm_output *o)
{
    struct state s = read_state(o);

    return s.n && s.committed && has_inode(o, o->place.path, s.committed);
}

/* Everything of this plan's tasks goes. */
static enum wm_status
remove_all(struct wm_output *o, struct wm_err *err)
{
    enum wm_status st;

    o->place.keep[0] = 0;
    st = wm_place_sweep(&o->place, err);
    o->place.keep[0] = o->opts.id;
    return st;
}

/* The plan's tasks are to be another number of them. */
static enum wm_status
other_number(struct wm_output *o, uint32_t n, struct wm_err *err)
{
    enum wm_status st;

    if (!o->opts.force)
        return wm_fail(err, WM_EUSAGE, o->place.path,
                       "it is being written by %" PRIu32 " tasks, not %" PRIu32 "; --force begins anew", n,
                       o->opts.task.n);
    if ((st = wm_place_alone(&o->place, err)) != WM_OK || (st = remove_all(o, err)) != WM_OK)
        return st;
    return wm_place_not_alone(&o->place, err);
}

/* What is there is taken over; what is not whole is removed. */
static enum wm_status
find_set(struct wm_output *o, struct wm_err *err)
{
    struct state s = read_state(o);
    enum wm_status st = WM_OK;

    if (wm_output_tasks_committed(o)) {
        o->committed = true;
        o->opts.task.n = s.n;
        return remove_all(o, err);
    }
    o->resumed = s.n && wm_output_is_there(o, root_path(o)) && (!s.committed || has_inode(o, root_path(o), s.committed));
    if (o->opts.task.i == 0) {
        if (!o->resumed)
            return wm_fail(err, WM_EUSAGE, o->place.path, "no task of this plan has been run into this place");
        o->opts.task.n = s.n;
    } else if (o->resumed && s.n != o->opts.task.n) {
        st = other_number(o, s.n, err);
        o->resumed = false;
    } else if (!o->resumed) {
        st = remove_all(o, err);
    }
    o->shared = o->resumed;
    o->nshared = UINT32_MAX;
    return st;
}

/* The journal of this task, which nobody else may write. */
static enum wm_status
open_journal(struct wm_output *o, struct wm_err *err)
{
    uint32_t i = o->opts.task.i;
    char *path = journal_path(o, i);

    if (wm_journal_is_busy(o->sys, path))
        return wm_fail(err, WM_EIO, o->place.path, "task %" PRIu32 " is running", i);
    o->journal = wm_journal_read(o->a, o->sys, path, journal_id(o, i));
    if (!o->journal)
        o->journal = wm_journal_create(o->a, o->sys, path, journal_id(o, i));
    if (!o->journal || !wm_journal_lock(o->journal))
        return wm_fail(err, WM_EIO, path, "cannot write the journal of task %" PRIu32, i);
    return WM_OK;
}

enum wm_status
wm_output_task_open(struct wm_output *o, struct wm_err *err)
{
    enum wm_status st = wm_place_share(&o->place, err);

    if (st == WM_OK)
        st = find_set(o, err);
    if (st == WM_OK && !o->committed)
        st = wm_output_files(o, err);
    if (st == WM_OK && !o->committed && !o->resumed)
        st = write_state(o, 0, err);
    if (st == WM_OK && !o->committed) {
        o->shared = true;
        o->nshared = o->ntemp;
        if (o->opts.task.i)
            st = open_journal(o, err);
    }
    wm_place_unguard(&o->place);
    return st;
}

bool
wm_output_task_was_done(const struct wm_output *o)
{
    return o->committed || (o->journal && wm_journal_is_finished(o->journal));
}

uint32_t
wm_output_tasks(const struct wm_output *o)
{
    return o->opts.task.n;
}

/* The files of this task's share to the disk, then its last record. */
static enum wm_status
finish(struct wm_output *o, const struct wm_share *share, struct wm_err *err)
{
    for (uint64_t i = 0; i < o->nfile; i++) {
        uint64_t lo = 0, hi = o->file[i].size;

        wm_share_clip(share, i, &lo, &hi);
        if (lo < hi && o->sys->fsync(o->of_file[i]->fd) != 0)
            return wm_fail_sys(err, errno, o->of_file[i]->path, "cannot sync");
    }
    return wm_journal_finish(o->journal, journal_path(o, o->opts.task.i), err);
}

/* How many tasks are not done, and which. */
static uint32_t
count_left(struct wm_output *o, const char **names)
{
    uint32_t left = 0;
    struct wm_buf b;

    wm_buf_init(&b, o->a);
    for (uint32_t i = 1; i <= o->opts.task.n; i++) {
        struct wm_journal *j = wm_journal_read(o->a, o->sys, journal_path(o, i), journal_id(o, i));
        bool is_done = j && wm_journal_is_finished(j);

        wm_journal_close(j);
        if (is_done)
            continue;
        if (left < NAMES)
            wm_buf_printf(&b, "%s%" PRIu32, left ? ", " : "", i);
        else if (left == NAMES)
            wm_buf_putz(&b, " ...");
        left++;
    }
    *names = wm_arena_cstr(o->a, (struct wm_str){b.p, b.n});
    return left;
}

/* Are the temporaries those that this task has open?  Else they were committed, and others began anew. */
static bool
is_ours(struct wm_output *o)
{
    struct stat mine, named;

    return o->nfile == 0 || (o->sys->fstat(o->of_file[0]->fd, &mine) == 0 && o->sys->lstat(o->of_file[0]->path, &named) == 0 &&
                             mine.st_dev == named.st_dev && mine.st_ino == named.st_ino);
}

enum wm_status
wm_output_task_done(struct wm_output *o, const struct wm_share *share, uint32_t *left, bool *gone,
                    const char **names, struct wm_err *err)
{
    enum wm_status st = WM_OK;

    *left = 0;
    *names = "";
    *gone = o->committed;
    if (*gone)
        return WM_OK;
    if (o->journal && !wm_journal_is_finished(o->journal))
        st = finish(o, share, err);
    if (st == WM_OK)
        st = wm_place_guard(&o->place, err);
    if (st != WM_OK)
        return st;
    if (read_state(o).n != o->opts.task.n || !is_ours(o)) {
        *gone = true;
    } else {
        *left = count_left(o, names);
        o->resumed = true; /* so are the small files of a task that was killed while it committed */
    }
    if (*gone || *left)
        wm_place_unguard(&o->place);
    return WM_OK;
}

enum wm_status
wm_output_tasks_commit(struct wm_output *o, struct wm_err *err)
{
    struct stat st;

    if (o->sys->lstat(root_path(o), &st) != 0)
        return wm_fail_sys(err, errno, root_path(o), "cannot stat");
    return write_state(o, st.st_ino, err);
}

/* What says that there were tasks goes last. */
enum wm_status
wm_output_tasks_end(struct wm_output *o, struct wm_err *err)
{
    o->shared = false; /* all that is left was renamed */
    for (uint32_t i = 1; i <= o->opts.task.n + 1; i++) {
        const char *path = i <= o->opts.task.n ? journal_path(o, i) : state_path(o);

        if (o->sys->unlink(path) != 0 && errno != ENOENT)
            return wm_fail_sys(err, errno, o->place.path, "is complete, but %s could not be removed", path);
    }
    return WM_OK;
}
