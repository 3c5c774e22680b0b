/* tests/unit/test_faults.c -- every system call of an output fails once, the first, the second, ...
 *
 * Whatever fails: the final name holds the old content or all of the new, success means the new, and
 * the next run finds (and leaves) nothing behind. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "runtime/output.h"
#include "runtime/place.h"
#include "tests/unit/faults.h"

struct job {
    struct wm_arena a;
    struct wm_plan plan;
    char dir[64];
    const char *out;  /* path of the output */
    const char *data; /* path of its data file */
    bool is_dir, old;
    uint64_t id;   /* of the plan: its journal is kept */
    bool killed;   /* another run was killed before */
};

static const char *
in_dir(struct job *j, const char *name)
{
    return wm_arena_printf(&j->a, "%s/%s", j->dir, name).p;
}

static void
put(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void
make_job(struct job *j, bool is_dir, bool old)
{
    struct wm_plan_builder b;
    struct wm_plan_outfile o = {.size = 12};
    struct wm_plan_sidecar s = {.from = {0, 0}};
    uint64_t size;

    *j = (struct job){.is_dir = is_dir, .old = old};
    make_place(j->dir);
    wm_arena_init(&j->a, &wm_sys_real, NULL, NULL);
    j->out = in_dir(j, "out");
    j->data = is_dir ? in_dir(j, "out/sub/x.bin") : j->out;
    put(in_dir(j, "config.json"), "{}");
    wm_plan_builder_init(&b, &j->a);
    o.name = wm_plan_add_text(&b, WM_STR("sub/x.bin"));
    o.head = wm_plan_add_bytes(&b, "head", 4);
    o.tail = wm_plan_add_bytes(&b, "tail", 4);
    wm_plan_add(&b, WM_PS_OUTFILE, &o, sizeof(o), 1);
    s.name = wm_plan_add_text(&b, WM_STR("carried.json"));
    s.from = wm_plan_add_text(&b, wm_str_c(in_dir(j, "config.json")));
    wm_plan_add(&b, WM_PS_SIDECAR, &s, sizeof(s), 1);
    j->plan.head = wm_plan_finish(&b, &size);
}

static void
reset(struct job *j)
{
    struct wm_err err = {0};

    assert_int_equal(wm_tree_remove(&j->a, &wm_sys_real, j->out, &err), WM_OK);
    if (!j->old)
        return;
    if (j->is_dir) {
        assert_int_equal(mkdir(j->out, 0777), 0);
        assert_int_equal(mkdir(in_dir(j, "out/sub"), 0777), 0);
    }
    put(j->data, "old");
}

static enum wm_status
run(struct job *j, const struct wm_sys *sys)
{
    struct wm_output_opts opts = {.is_dir = j->is_dir, .force = true, .fsync = j->id == 0, .id = j->id};
    struct wm_err err = {0};
    struct wm_output *o = NULL;
    enum wm_status st = wm_output_open(&j->a, sys, wm_str_c(j->out), &j->plan, &opts, &o, &err);

    if (st == WM_OK) {
        if (!wm_output_has(o, 0, 4, 8))
            assert_int_equal(pwrite(wm_output_fd(o, 0), "DATA", 4, 4), 4);
        wm_output_wrote(o, 0, 4, 4);
        st = wm_output_commit(o, &err);
    }
    wm_output_abort(o);
    if (st != WM_OK) {
        assert_true(err.status == st && err.msg[0] != '\0');
        assert_null(strchr(err.msg, '\n'));
    }
    return st;
}

/* 'o' the old content, 'n' the new, '-' nothing, '?' anything else */
static char
look(struct job *j)
{
    struct wm_err err = {0};
    struct wm_str s;
    struct stat st;

    if (lstat(j->out, &st) != 0)
        return '-';
    if (wm_read_file(&j->a, &wm_sys_real, wm_str_c(j->data), 100, &s, &err) != WM_OK)
        return '?';
    if (wm_str_eq(s, WM_STR("old")))
        return 'o';
    return wm_str_eq(s, WM_STR("headDATAtail")) ? 'n' : '?';
}

static void
assert_no_rest(struct job *j)
{
    DIR *d = opendir(j->dir);
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d)))
        if (e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            fail_msg("left behind: %s", e->d_name);
    closedir(d);
}

/* A run of the same plan that writes its data and is gone. */
static void
run_killed(struct job *j)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        struct wm_output_opts opts = {.is_dir = j->is_dir, .force = true, .id = j->id};
        struct wm_err err = {0};
        struct wm_output *o = NULL;

        if (wm_output_open(&j->a, &wm_sys_real, wm_str_c(j->out), &j->plan, &opts, &o, &err) != WM_OK ||
            pwrite(wm_output_fd(o, 0), "DATA", 4, 4) != 4)
            _exit(1);
        wm_output_wrote(o, 0, 4, 4);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Is all of an output open-then-commit harmless when call number n fails?  False: no such call. */
static bool
fail_call(struct job *j, long n, int errnum)
{
    struct wm_sys sys;
    enum wm_status st;
    char seen;

    reset(j);
    if (j->killed)
        run_killed(j);
    fault.countdown = n;
    fault.errnum = errnum;
    fault.failed = "";
    st = run(j, faulty(&sys));
    seen = look(j);
    if (st == WM_OK ? seen != 'n' : seen != 'n' && seen != (j->old ? 'o' : '-'))
        fail_msg("call %ld, errno %d: status %d, and the output is '%c'", n, errnum, (int)st, seen);
    if (errnum == FAULT_SHORT)
        assert_int_equal(st, WM_OK); /* short counts are no errors */
    if (errnum == EINTR && fault.failed[0] == 'p') /* pread, pwrite: tried again */
        assert_int_equal(st, WM_OK);
    if (!j->killed && seen != 'n' && strcmp(fault.failed, "unlink") != 0 && strcmp(fault.failed, "rmdir") != 0 &&
        strcmp(fault.failed, "flock") != 0)
        assert_no_rest(j);
    assert_int_equal(run(j, &wm_sys_real), WM_OK);
    assert_int_equal(look(j), 'n');
    assert_no_rest(j);
    return fault.failed[0] != '\0';
}

static void
all_calls(bool is_dir, bool old, uint64_t id, bool killed)
{
    static const int errnums[] = {EIO, ENOSPC, EACCES, EINVAL, EINTR, FAULT_SHORT};
    struct wm_err err = {0};
    struct job j;
    long n = 0;

    make_job(&j, is_dir, old);
    j.id = id;
    j.killed = killed;
    for (size_t e = 0; e < WM_COUNTOF(errnums); e++) {
        if (id && (errnums[e] == ENOSPC || errnums[e] == EACCES || errnums[e] == EINVAL))
            continue; /* nothing of a journal depends on which error it is */
        for (n = 0; fail_call(&j, n, errnums[e]); n++)
            ;
        assert_true(n > 20);
    }
    print_message("  %ld calls\n", n);
    assert_int_equal(wm_tree_remove(&j.a, &wm_sys_real, j.dir, &err), WM_OK);
    wm_arena_fini(&j.a);
}

static void
a_new_file(void **state)
{
    (void)state;
    all_calls(false, false, 0, false);
}

static void
a_replaced_file(void **state)
{
    (void)state;
    all_calls(false, true, 0, false);
}

static void
a_new_directory(void **state)
{
    (void)state;
    all_calls(true, false, 0, false);
}

static void
a_replaced_directory(void **state)
{
    (void)state;
    all_calls(true, true, 0, false);
}

static void
a_journal(void **state)
{
    (void)state;
    all_calls(false, true, 77, false);
    all_calls(true, true, 77, false);
}

static void
after_a_kill(void **state)
{
    (void)state;
    all_calls(false, false, 77, true);
    all_calls(false, true, 77, true);
    all_calls(true, false, 77, true);
    all_calls(true, true, 77, true);
}

/* What a killed run wrote is there; another plan finds nothing of it, and leaves nothing. */
static void
what_is_kept(void **state)
{
    struct wm_err err = {0};

    (void)state;
    for (int dir = 0; dir < 2; dir++) {
        struct wm_output_opts opts = {.is_dir = dir, .force = true, .id = 77};
        struct wm_output *o = NULL;
        struct job j;

        make_job(&j, dir, false);
        j.id = 77;
        run_killed(&j);
        assert_int_equal(wm_output_open(&j.a, &wm_sys_real, wm_str_c(j.out), &j.plan, &opts, &o, &err), WM_OK);
        assert_int_equal(wm_output_kept(o), 4);
        assert_true(wm_output_has(o, 0, 4, 8) && wm_output_has(o, 0, 5, 6));
        assert_false(wm_output_has(o, 0, 3, 8));
        assert_false(wm_output_has(o, 1, 4, 8));
        wm_output_abort(o);
        assert_no_rest(&j);
        run_killed(&j);
        opts.id = 78;
        assert_int_equal(wm_output_open(&j.a, &wm_sys_real, wm_str_c(j.out), &j.plan, &opts, &o, &err), WM_OK);
        assert_int_equal(wm_output_kept(o), 0);
        wm_output_abort(o);
        assert_no_rest(&j);
        assert_int_equal(wm_tree_remove(&j.a, &wm_sys_real, j.dir, &err), WM_OK);
        wm_arena_fini(&j.a);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_file),
        cmocka_unit_test(a_replaced_file),
        cmocka_unit_test(a_new_directory),
        cmocka_unit_test(a_replaced_directory),
        cmocka_unit_test(a_journal),
        cmocka_unit_test(after_a_kill),
        cmocka_unit_test(what_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
