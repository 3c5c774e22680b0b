/* tests/unit/test_output.c -- outputs appear whole or not at all, and nothing that is read is harmed. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "runtime/output.h"
#include "runtime/place.h"

struct fixture {
    struct wm_arena a;
    struct wm_err err;
    struct wm_plan_builder b;
    struct wm_plan plan;
    struct wm_output *o;
    char dir[64];
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    wm_arena_init(&f->a, &wm_sys_real, NULL, NULL);
    strcpy(f->dir, "/tmp/wmap-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    wm_plan_builder_init(&f->b, &f->a);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    f->err.status = WM_OK;
    assert_int_equal(wm_tree_remove(&f->a, &wm_sys_real, f->dir, &f->err), WM_OK);
    wm_arena_fini(&f->a);
    free(f);
    return 0;
}

static char *
path_of(struct fixture *f, const char *name)
{
    return wm_arena_cstr(&f->a, wm_arena_printf(&f->a, "%s/%s", f->dir, name));
}

static void
put(struct fixture *f, const char *name, const char *text)
{
    FILE *out = fopen(path_of(f, name), "wb");

    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, strlen(text), out), strlen(text));
    assert_int_equal(fclose(out), 0);
}

static void
assert_text(struct fixture *f, const char *name, const char *text)
{
    struct wm_str got;

    f->err.status = WM_OK;
    assert_int_equal(wm_read_file(&f->a, &wm_sys_real, wm_str_c(path_of(f, name)), 1 << 20, &got, &f->err),
                     WM_OK);
    if (!wm_str_eq(got, wm_str_c(text)))
        fail_msg("%s holds \"%.*s\", not \"%s\"", name, WM_STR_ARG(got), text);
}

static bool
there(struct fixture *f, const char *name)
{
    return access(path_of(f, name), F_OK) == 0;
}

/* Hidden files are locks and temporaries: none may be left in a directory. */
static void
assert_no_rest(struct fixture *f, const char *dir)
{
    DIR *d = opendir(path_of(f, dir));
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d)))
        if (e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            fail_msg("left behind: %s", e->d_name);
    closedir(d);
}

/* "head" + 4 bytes to be written + "tail" */
static void
add_file(struct fixture *f, const char *name)
{
    struct wm_plan_outfile o = {.name = wm_plan_add_text(&f->b, wm_str_c(name)),
                                .size = 12,
                                .head = wm_plan_add_bytes(&f->b, "head", 4),
                                .tail = wm_plan_add_bytes(&f->b, "tail", 4)};

    wm_plan_add(&f->b, WM_PS_OUTFILE, &o, sizeof(o), 1);
}

static void
add_input(struct fixture *f, const char *name)
{
    struct wm_plan_infile i = {.path = wm_plan_add_text(&f->b, wm_str_c(path_of(f, name)))};

    wm_plan_add(&f->b, WM_PS_INFILE, &i, sizeof(i), 1);
}

static void
add_sidecar(struct fixture *f, const char *name, const char *from)
{
    struct wm_plan_sidecar s = {.name = wm_plan_add_text(&f->b, wm_str_c(name))};

    if (from)
        s.from = wm_plan_add_text(&f->b, wm_str_c(path_of(f, from)));
    else
        s.bytes = wm_plan_add_bytes(&f->b, "{}\n", 3);
    wm_plan_add(&f->b, WM_PS_SIDECAR, &s, sizeof(s), 1);
}

static enum wm_status
open_with(struct fixture *f, const struct wm_sys *sys, const char *name, bool is_dir, bool force)
{
    struct wm_output_opts opts = {.is_dir = is_dir, .force = force, .fsync = true};
    struct wm_plan_builder copy;
    uint64_t size;

    wm_plan_builder_init(&copy, &f->a); /* tests add more and make the plan again */
    for (int k = 0; k < WM_PS_N; k++)
        wm_plan_add(&copy, (enum wm_plan_section)k, f->b.section[k].p, 1, f->b.section[k].n);
    f->plan.head = wm_plan_finish(&copy, &size);
    f->err.status = WM_OK;
    f->err.msg[0] = '\0';
    f->o = NULL;
    return wm_output_open(&f->a, sys, wm_str_c(path_of(f, name)), &f->plan, &opts, &f->o, &f->err);
}

static void
fill_and_commit(struct fixture *f, uint32_t nfile)
{
    for (uint32_t i = 0; i < nfile; i++)
        assert_int_equal(pwrite(wm_output_fd(f->o, i), "DATA", 4, 4), 4);
    if (wm_output_commit(f->o, &f->err) != WM_OK)
        fail_msg("commit: %s", f->err.msg);
}

static void
a_file_appears_at_commit(void **state)
{
    struct fixture *f = *state;

    put(f, "out.bin", "old");
    put(f, "config.json", "{\"a\":1}");
    assert_int_equal(mkdir(path_of(f, "in"), 0777), 0);
    put(f, "in/config.json", "{\"a\":2}");
    add_file(f, "out.bin");
    add_sidecar(f, "config.json", "in/config.json");
    add_sidecar(f, "params.json", NULL);
    assert_int_equal(open_with(f, &wm_sys_real, "out.bin", false, false), WM_OK);
    assert_text(f, "out.bin", "old");
    fill_and_commit(f, 1);
    assert_text(f, "out.bin", "headDATAtail");
    assert_text(f, "config.json", "{\"a\":2}");
    assert_text(f, "params.json", "{}\n");
    assert_no_rest(f, ".");
}

static void
abort_leaves_nothing(void **state)
{
    struct fixture *f = *state;

    put(f, "out.bin", "old");
    add_file(f, "x/y/out.bin");
    assert_int_equal(open_with(f, &wm_sys_real, "out.bin", false, false), WM_OK);
    wm_output_abort(f->o);
    wm_output_abort(f->o);
    assert_text(f, "out.bin", "old");
    assert_int_equal(open_with(f, &wm_sys_real, "new", true, false), WM_OK);
    wm_output_unlink(f->o); /* what a signal handler does */
    assert_no_rest(f, ".");
    wm_output_abort(f->o);
    assert_false(there(f, "new"));
    assert_no_rest(f, ".");
}

static void
a_directory_appears_at_commit(void **state)
{
    struct fixture *f = *state;

    put(f, "config.json", "{\"a\":2}");
    add_file(f, "1.bin");
    add_file(f, "mid/2.bin");
    add_file(f, "mid/3.bin");
    add_sidecar(f, "config.json", "config.json");
    assert_int_equal(open_with(f, &wm_sys_real, "out/", true, false), WM_OK);
    assert_false(there(f, "out"));
    fill_and_commit(f, 3);
    assert_text(f, "out/1.bin", "headDATAtail");
    assert_text(f, "out/mid/3.bin", "headDATAtail");
    assert_text(f, "out/config.json", "{\"a\":2}");
    assert_no_rest(f, ".");

    put(f, "out/stale.bin", "old");
    assert_int_equal(open_with(f, &wm_sys_real, "out", true, false), WM_EUSAGE);
    assert_non_null(strstr(f->err.msg, "--force"));
    assert_int_equal(open_with(f, &wm_sys_real, "out", true, true), WM_OK);
    assert_true(there(f, "out/stale.bin"));
    fill_and_commit(f, 3);
    assert_false(there(f, "out/stale.bin"));
    assert_text(f, "out/mid/2.bin", "headDATAtail");
    assert_no_rest(f, ".");
}

static int
no_exchange(const char *a, const char *b)
{
    (void)a;
    (void)b;
    errno = EINVAL;
    return -1;
}

static void
a_directory_is_replaced_without_exchange(void **state)
{
    struct fixture *f = *state;
    struct wm_sys sys = wm_sys_real;

    sys.exchange = no_exchange;
    assert_int_equal(mkdir(path_of(f, "out"), 0777), 0);
    assert_int_equal(mkdir(path_of(f, "out/sub"), 0777), 0);
    put(f, "out/sub/stale.bin", "old");
    add_file(f, "1.bin");
    assert_int_equal(open_with(f, &sys, "out", true, true), WM_OK);
    fill_and_commit(f, 1);
    assert_text(f, "out/1.bin", "headDATAtail");
    assert_false(there(f, "out/sub"));
    assert_no_rest(f, ".");
}

static int
fail_last_rename(const char *from, const char *to)
{
    /* the new directory over a full one, the old one aside, then the new one again: that fails */
    if (strstr(from, ".wmap-") && !strstr(to, ".wmap-") && access(from, F_OK) == 0) {
        char new_file[256];

        snprintf(new_file, sizeof(new_file), "%s/1.bin", from);
        if (access(new_file, F_OK) == 0) {
            errno = access(to, F_OK) == 0 ? ENOTEMPTY : EIO;
            return -1;
        }
    }
    return rename(from, to);
}

static void
the_old_directory_comes_back(void **state)
{
    struct fixture *f = *state;
    struct wm_sys sys = wm_sys_real;

    sys.exchange = no_exchange;
    sys.rename = fail_last_rename;
    assert_int_equal(mkdir(path_of(f, "out"), 0777), 0);
    put(f, "out/old.bin", "old");
    add_file(f, "1.bin");
    assert_int_equal(open_with(f, &sys, "out", true, true), WM_OK);
    assert_int_equal(wm_output_commit(f->o, &f->err), WM_EIO);
    assert_text(f, "out/old.bin", "old");
    assert_false(there(f, "out/1.bin"));
    assert_no_rest(f, ".");
}

static void
an_empty_directory_is_no_obstacle(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(path_of(f, "real"), 0777), 0);
    assert_int_equal(symlink("real", path_of(f, "out")), 0);
    add_file(f, "1.bin");
    assert_int_equal(open_with(f, &wm_sys_real, "out", true, false), WM_OK);
    fill_and_commit(f, 1);
    assert_text(f, "real/1.bin", "headDATAtail"); /* the link is kept */
    assert_text(f, "out/1.bin", "headDATAtail");
    assert_no_rest(f, ".");
}

static void
inputs_are_never_replaced(void **state)
{
    static const struct {
        const char *name, *out;
        bool is_dir;
        const char *why; /* NULL: allowed */
    } cases[] = {
        {"the file itself", "in/a.bin", false, "the output is the input"},
        {"by a hard link", "hard.bin", false, "the output is the input"},
        {"by a symbolic link", "soft.bin", false, "the output is the input"},
        {"by a detour", "in/../in/a.bin", false, "the output is the input"},
        {"its directory", "in", true, "would replace the directory of the input"},
        {"its directory by a link", "inlink", true, "would replace the directory of the input"},
        {"a directory above", "top", true, "would replace the directory of the input"},
        {"a directory of links to it", "links", true, "would replace the directory of the input"},
        {"another file beside it", "in/b.bin", false, NULL},
        {"a directory inside of it", "in/sub", true, NULL},
        {"another directory", "other", true, NULL},
        {"a file as a directory", "hard.bin", true, "is not a directory"},
        {"a directory as a file", "in", false, "is a directory"},
        {"no name", "in/.", true, "needs a name"},
        {"parent", "in/..", true, "needs a name"},
        {"missing parent", "no/such/out", true, "the directory of the output"},
        {"fifo", "fifo", false, "is not a regular file"},
        {"dangling", "dangling", false, "symbolic link"},
    };
    struct fixture *f = *state;

    assert_int_equal(mkdir(path_of(f, "in"), 0777), 0);
    assert_int_equal(mkdir(path_of(f, "top"), 0777), 0);
    assert_int_equal(mkdir(path_of(f, "top/deep"), 0777), 0);
    assert_int_equal(mkdir(path_of(f, "links"), 0777), 0);
    put(f, "in/a.bin", "input");
    put(f, "top/deep/c.bin", "input");
    assert_int_equal(link(path_of(f, "in/a.bin"), path_of(f, "hard.bin")), 0);
    assert_int_equal(symlink("in/a.bin", path_of(f, "soft.bin")), 0);
    assert_int_equal(symlink("in", path_of(f, "inlink")), 0);
    assert_int_equal(symlink("../in/a.bin", path_of(f, "links/a.bin")), 0);
    assert_int_equal(symlink("nowhere", path_of(f, "dangling")), 0);
    assert_int_equal(mkfifo(path_of(f, "fifo"), 0666), 0);
    add_file(f, "a.bin");
    add_input(f, "in/a.bin");
    add_input(f, "top/deep/c.bin");
    add_input(f, "links/a.bin");
    for (size_t i = 0; i < WM_COUNTOF(cases); i++) {
        enum wm_status st = open_with(f, &wm_sys_real, cases[i].out, cases[i].is_dir, true);

        print_message("  %s: %s\n", cases[i].name, f->err.msg);
        if (cases[i].why) {
            assert_int_not_equal(st, WM_OK);
            assert_non_null(strstr(f->err.msg, cases[i].why));
        } else {
            assert_int_equal(st, WM_OK);
            wm_output_abort(f->o);
        }
        assert_text(f, "in/a.bin", "input");
        assert_text(f, "top/deep/c.bin", "input");
        assert_no_rest(f, ".");
        assert_no_rest(f, "in");
    }
}

static void
sidecars_never_replace_an_input(void **state)
{
    struct fixture *f = *state;

    put(f, "a.bin", "input");
    put(f, "config.json", "{\"a\":2}");
    add_file(f, "out.bin");
    add_input(f, "a.bin");
    add_sidecar(f, "config.json", "config.json"); /* stands there already */
    assert_int_equal(open_with(f, &wm_sys_real, "out.bin", false, false), WM_OK);
    fill_and_commit(f, 1);
    assert_text(f, "config.json", "{\"a\":2}");
    add_sidecar(f, "a.bin", NULL);
    assert_int_equal(open_with(f, &wm_sys_real, "out.bin", false, false), WM_EUSAGE);
    assert_non_null(strstr(f->err.msg, "this output is the input"));
    assert_text(f, "a.bin", "input");
}

static void
names_are_checked(void **state)
{
    static const char *const bad[] = {"../x", "/x", "a/../x", "", "a.bin"};
    struct fixture *f = *state;

    for (size_t i = 0; i < WM_COUNTOF(bad); i++) {
        wm_plan_builder_init(&f->b, &f->a);
        add_file(f, "a.bin");
        add_file(f, bad[i]);
        assert_int_equal(open_with(f, &wm_sys_real, "out", true, false), WM_EUSAGE);
    }
    wm_plan_builder_init(&f->b, &f->a);
    add_file(f, "a.bin");
    add_file(f, "b.bin");
    assert_int_equal(open_with(f, &wm_sys_real, "out.bin", false, false), WM_EUSAGE);
    assert_non_null(strstr(f->err.msg, "give a directory"));
}

static void
a_second_run_is_refused(void **state)
{
    struct fixture *f = *state;
    struct wm_output *first;

    add_file(f, "a.bin");
    assert_int_equal(open_with(f, &wm_sys_real, "out", true, false), WM_OK);
    first = f->o;
    assert_int_equal(open_with(f, &wm_sys_real, "out", true, false), WM_EIO);
    assert_non_null(strstr(f->err.msg, "another run is writing"));
    assert_int_equal(open_with(f, &wm_sys_real, "out2", true, false), WM_OK);
    wm_output_abort(f->o);
    f->o = first;
    f->err.status = WM_OK;
    fill_and_commit(f, 1);
    assert_text(f, "out/a.bin", "headDATAtail");
    assert_no_rest(f, ".");
}

static void
left_overs_of_dead_runs_are_swept(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(path_of(f, ".out.wmap-0123456789abcdef"), 0777), 0);
    put(f, ".out.wmap-0123456789abcdef/a.bin", "half");
    put(f, ".out.wmap-00000000ffffffff", "half");
    put(f, ".out.wmap-lock", "");
    put(f, ".out.wmap-notes", "of the user");
    put(f, ".out2.wmap-0123456789abcdef", "of another output");
    add_file(f, "a.bin");
    assert_int_equal(open_with(f, &wm_sys_real, "out", true, false), WM_OK);
    assert_false(there(f, ".out.wmap-0123456789abcdef"));
    assert_false(there(f, ".out.wmap-00000000ffffffff"));
    fill_and_commit(f, 1);
    assert_text(f, ".out.wmap-notes", "of the user");
    assert_text(f, ".out2.wmap-0123456789abcdef", "of another output");
    assert_false(there(f, ".out.wmap-lock"));
}

static int
full(int fd, off_t size)
{
    (void)fd;
    (void)size;
    errno = ENOSPC;
    return -1;
}

static int
unsupported(int fd, off_t size)
{
    (void)fd;
    (void)size;
    errno = EOPNOTSUPP;
    return -1;
}

static void
a_full_disk_is_found_before_anything_is_written(void **state)
{
    struct fixture *f = *state;
    struct wm_sys sys = wm_sys_real;

    put(f, "out.bin", "old");
    add_file(f, "out.bin");
    sys.fallocate = full;
    assert_int_equal(open_with(f, &sys, "out.bin", false, false), WM_EIO);
    assert_int_equal(f->err.sys, ENOSPC);
    assert_non_null(strstr(f->err.msg, "12 bytes"));
    assert_text(f, "out.bin", "old");
    assert_no_rest(f, ".");
    sys.fallocate = unsupported; /* no error: some file systems lack it */
    assert_int_equal(open_with(f, &sys, "out.bin", false, false), WM_OK);
    fill_and_commit(f, 1);
    assert_text(f, "out.bin", "headDATAtail");
}

static int
fail_fsync(int fd)
{
    (void)fd;
    errno = EIO;
    return -1;
}

static int
fail_rename(const char *from, const char *to)
{
    (void)from;
    (void)to;
    errno = EACCES;
    return -1;
}

static void
a_failed_commit_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct wm_sys sys = wm_sys_real;

    put(f, "out.bin", "old");
    add_file(f, "out.bin");
    sys.fsync = fail_fsync;
    assert_int_equal(open_with(f, &sys, "out.bin", false, false), WM_OK);
    assert_int_equal(wm_output_commit(f->o, &f->err), WM_EIO);
    assert_text(f, "out.bin", "old");
    assert_no_rest(f, ".");
    sys = wm_sys_real;
    sys.rename = fail_rename;
    for (int is_dir = 0; is_dir < 2; is_dir++) {
        const char *name = is_dir ? "out" : "out.bin";

        assert_int_equal(open_with(f, &sys, name, is_dir, false), WM_OK);
        assert_int_equal(wm_output_commit(f->o, &f->err), WM_EIO);
        wm_output_abort(f->o);
        assert_text(f, "out.bin", "old");
        assert_false(there(f, "out"));
        assert_no_rest(f, ".");
    }
}

static void
long_names_have_room_for_temporaries(void **state)
{
    struct fixture *f = *state;
    char name[256];

    memset(name, 'n', 255);
    name[255] = '\0';
    add_file(f, "a.bin");
    assert_int_equal(open_with(f, &wm_sys_real, name, false, false), WM_OK);
    fill_and_commit(f, 1);
    assert_text(f, name, "headDATAtail");
    assert_no_rest(f, ".");
}

static struct {
    off_t begun, dropped; /* where the last call was; -1: there was none */
} hints;

static int
note_writeback(int fd, off_t off, off_t n)
{
    (void)fd;
    (void)n;
    hints.begun = off;
    return -1; /* which must not matter */
}

static int
note_advice(int fd, off_t off, off_t n, int advice)
{
    (void)fd;
    (void)n;
    assert_int_equal(advice, POSIX_FADV_DONTNEED);
    hints.dropped = off;
    return EIO;
}

static uint64_t
little_memory(void)
{
    return 30; /* the output has 12 bytes: more than a third */
}

static uint64_t
enough_memory(void)
{
    return 36;
}

static void
large_outputs_are_written_behind(void **state)
{
    struct fixture *f = *state;
    struct wm_sys sys = wm_sys_real;
    const off_t far = 1 << 30;

    add_file(f, "out.bin");
    sys.writeback = note_writeback;
    sys.advise = note_advice;
    for (int large = 0; large < 2; large++) {
        sys.memory = large ? little_memory : enough_memory;
        assert_int_equal(open_with(f, &sys, "out.bin", false, false), WM_OK);
        hints.begun = hints.dropped = -1;
        wm_output_wrote(f->o, 0, 4, 4);
        assert_int_equal(hints.begun, 4); /* these outputs are to be on the disk in the end, so in any case */
        assert_int_equal(hints.dropped, -1);
        wm_output_wrote(f->o, 0, (uint64_t)far, 4);
        assert_int_equal(hints.begun, far);
        assert_int_equal(hints.dropped, large ? far - (128 << 20) : -1);
        fill_and_commit(f, 1);
        assert_text(f, "out.bin", "headDATAtail");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_appears_at_commit),
        TEST(abort_leaves_nothing),
        TEST(a_directory_appears_at_commit),
        TEST(a_directory_is_replaced_without_exchange),
        TEST(the_old_directory_comes_back),
        TEST(an_empty_directory_is_no_obstacle),
        TEST(inputs_are_never_replaced),
        TEST(sidecars_never_replace_an_input),
        TEST(names_are_checked),
        TEST(a_second_run_is_refused),
        TEST(left_overs_of_dead_runs_are_swept),
        TEST(a_full_disk_is_found_before_anything_is_written),
        TEST(a_failed_commit_changes_nothing),
        TEST(large_outputs_are_written_behind),
        TEST(long_names_have_room_for_temporaries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
