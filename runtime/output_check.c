/* runtime/output_check.c -- what is refused before an output is created.
 *
 * In: a plan and a resolved target.  Out: a verdict.  Nothing that the run reads may be replaced or
 * removed by it, whatever links lead there, and no two files may share a name. */
#include "runtime/output_priv.h"

#include <errno.h>
#include <inttypes.h>

#include "base/checked.h"

static enum wm_status
check_names(struct wm_output *o, struct wm_err *err)
{
    struct wm_map seen;

    wm_map_init(&seen, o->a, (uint32_t)(o->nfile + o->nsidecar));
    for (uint64_t i = 0; i < o->nfile + o->nsidecar; i++) {
        bool side = i >= o->nfile;
        struct wm_str s = wm_plan_str(o->plan, side ? o->sidecar[i - o->nfile].name
                                                    : o->file[i].name);

        if (!side && !o->is_dir)
            s = wm_str_c(o->place.name);
        if (!wm_path_is_inside(s))
            return wm_fail(err, WM_EUSAGE, o->place.path,
                           "\"%.*s\" is no name for a file inside the output", WM_STR_ARG(s));
        if (!o->is_dir && side && memchr(s.p, '/', s.n))
            return wm_fail(err, WM_EUSAGE, o->place.path,
                           "\"%.*s\" needs a directory as the output", WM_STR_ARG(s));
        if (wm_map_put(&seen, s, (uint32_t)i) != i)
            return wm_fail(err, WM_EUSAGE, o->place.path, "two files named \"%.*s\"",
                           WM_STR_ARG(s));
        if (!side && !wm_ck_uadd(o->total, o->file[i].size, &o->total))
            return wm_fail(err, WM_ELIMIT, o->place.path, "more than 2^64 bytes");
    }
    return WM_OK;
}

static enum wm_status
check_target(struct wm_output *o, struct wm_err *err)
{
    int empty;

    if (!o->is_dir && o->nfile != 1)
        return wm_fail(err, WM_EUSAGE, o->place.path,
                       "the output is %" PRIu64 " files: give a directory for it", o->nfile);
    if (!o->place.exists)
        return WM_OK;
    if (!o->is_dir)
        return S_ISREG(o->place.st.st_mode)
                   ? WM_OK
                   : wm_fail(err, WM_EUSAGE, o->place.path,
                             S_ISDIR(o->place.st.st_mode)
                                 ? "is a directory, where a file is to be written"
                                 : "is not a regular file");
    if (!S_ISDIR(o->place.st.st_mode))
        return wm_fail(err, WM_EUSAGE, o->place.path,
                       "is not a directory; a directory is to be written");
    empty = wm_dir_is_empty(o->sys, o->place.path);
    if (empty < 0)
        return wm_fail_sys(err, errno, o->place.path, "cannot read the directory");
    if (!empty && !o->opts.force && !(o->opts.task.n && wm_output_tasks_committed(o)))
        return wm_fail(err, WM_EUSAGE, o->place.path,
                       "the directory is not empty; --force replaces it and all that it holds");
    return WM_OK;
}

/* May this file, which the run reads, stand where it does? */
static enum wm_status
check_input(struct wm_output *o, const char *input, struct wm_err *err)
{
    struct stat st;

    if (!o->place.exists)
        return WM_OK;
    if (o->is_dir) {
        if (wm_place_contains(o->sys, o->a, &o->place.st, input))
            return wm_fail(err, WM_EUSAGE, o->place.path,
                           "the output would replace the directory of the input %s", input);
        return WM_OK;
    }
    if (o->sys->stat(input, &st) != 0)
        return wm_fail_sys(err, errno, input, "cannot stat");
    if (st.st_dev == o->place.st.st_dev && st.st_ino == o->place.st.st_ino)
        return wm_fail(err, WM_EUSAGE, o->place.path, "the output is the input %s", input);
    return WM_OK;
}

/* With one file as the output, sidecars go beside it; they may replace files, but no input. */
static enum wm_status
check_sidecar(struct wm_output *o, const struct wm_plan_sidecar *s, struct wm_err *err)
{
    uint64_t n;
    const struct wm_plan_infile *in = wm_plan_section(o->plan, WM_PS_INFILE, &n);
    struct wm_str name = wm_plan_str(o->plan, s->name), path;
    struct stat mine, theirs;

    if (o->is_dir)
        return WM_OK;
    path = wm_arena_printf(o->a, "%s/%.*s", o->place.dir, WM_STR_ARG(name));
    if (o->sys->lstat(path.p, &mine) != 0)
        return errno == ENOENT ? WM_OK : wm_fail_sys(err, errno, path.p, "cannot stat");
    if (!S_ISREG(mine.st_mode) && !S_ISLNK(mine.st_mode))
        return wm_fail(err, WM_EUSAGE, path.p, "is not a regular file");
    if (S_ISLNK(mine.st_mode) && o->sys->stat(path.p, &mine) != 0)
        return WM_OK; /* leads nowhere: the link is replaced */
    for (uint64_t i = 0; i < n; i++) {
        char *file;

        if (in[i].codec != WM_CODEC_RAW || in[i].flags & WM_INFILE_STREAM)
            continue;
        file = wm_arena_cstr(o->a, wm_plan_str(o->plan, in[i].path));
        if (o->sys->stat(file, &theirs) == 0 && theirs.st_dev == mine.st_dev &&
            theirs.st_ino == mine.st_ino)
            return wm_fail(err, WM_EUSAGE, path.p, "this output is the input %s", file);
    }
    return WM_OK;
}

enum wm_status
wm_output_check(struct wm_output *o, struct wm_err *err)
{
    uint64_t n;
    const struct wm_plan_infile *in = wm_plan_section(o->plan, WM_PS_INFILE, &n);
    enum wm_status st = check_target(o, err);

    if (st == WM_OK)
        st = check_names(o, err);
    for (uint64_t i = 0; st == WM_OK && i < n; i++)
        if (in[i].codec == WM_CODEC_RAW && !(in[i].flags & WM_INFILE_STREAM))
            st = check_input(o, wm_arena_cstr(o->a, wm_plan_str(o->plan, in[i].path)), err);
    for (uint64_t i = 0; st == WM_OK && i < o->nsidecar; i++) {
        struct wm_str from = wm_plan_str(o->plan, o->sidecar[i].from);

        if (from.n)
            st = check_input(o, wm_arena_cstr(o->a, from), err);
        if (st == WM_OK)
            st = check_sidecar(o, &o->sidecar[i], err);
    }
    return st;
}
