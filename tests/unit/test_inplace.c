/* tests/unit/test_inplace.c -- a header is replaced while every system call fails, or is the last one of the process.
 *
 * Whatever happens: the file has the old header, or the new one, or the saved header is beside it and the next run puts
 * the old one back; data are never touched, and success means the new header and nothing beside it. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "runtime/inplace.h"
#include "runtime/manifest.h"
#include "runtime/place.h"
#include "tests/unit/faults.h"

/* Fails nothing. */
static const struct wm_sys *
sound(struct wm_sys *s)
{
    fault.countdown = -1;
    return faulty(s);
}

#define OLD  "the old header.."
#define NEW  "THE NEW HEADER, "
#define DATA "data, never touched"

struct job {
    struct wm_arena a;
    char dir[64];
    const char *file;
    long torn_at; /* the call in which the header is torn: found once */
};

static void
reset(struct job *j)
{
    FILE *f = fopen(j->file, "wb");

    assert_non_null(f);
    fputs(OLD DATA, f);
    assert_int_equal(fclose(f), 0);
}

/* 'o' the old header, 'n' the new one, '?' a mixture. */
static char
look(struct job *j)
{
    struct wm_err err = {0};
    struct wm_str s;

    assert_int_equal(wm_read_file(&j->a, &wm_sys_real, wm_str_c(j->file), 100, &s, &err), WM_OK);
    assert_int_equal(s.n, sizeof(OLD DATA) - 1);
    assert_memory_equal(s.p + 16, DATA, sizeof(DATA) - 1);
    return memcmp(s.p, OLD, 16) == 0 ? 'o' : memcmp(s.p, NEW, 16) == 0 ? 'n' : '?';
}

static uint32_t
entries(struct job *j)
{
    struct wm_err err = {0};
    struct wm_str *name;
    uint32_t n;

    assert_int_equal(wm_list_dir(&j->a, &wm_sys_real, wm_str_c(j->dir), &name, &n, &err), WM_OK);
    return n;
}

/* As a run does: put back what there is, bind, write. */
static enum wm_status
run(struct job *j, const struct wm_sys *sys)
{
    struct wm_plan_builder b;
    struct wm_plan_outfile o = {.size = sizeof(OLD DATA) - 1};
    struct wm_plan_infile in = {.size = sizeof(OLD DATA) - 1};
    struct wm_err err = {0};
    struct wm_plan plan;
    struct stat st;
    uint64_t size;
    bool restored;
    enum wm_status rc = wm_inplace_restore(&j->a, sys, wm_str_c(j->file), &restored, &err);

    if (rc == WM_OK) {
        assert_int_equal(stat(j->file, &st), 0);
        in.mtime_sec = st.st_mtim.tv_sec;
        in.mtime_nsec = st.st_mtim.tv_nsec;
        wm_plan_builder_init(&b, &j->a);
        o.head = wm_plan_add_bytes(&b, NEW, 16);
        wm_plan_add(&b, WM_PS_OUTFILE, &o, sizeof(o), 1);
        wm_plan_add(&b, WM_PS_INFILE, &in, sizeof(in), 1);
        plan.head = wm_plan_finish(&b, &size);
        rc = wm_inplace_write(&j->a, sys, wm_str_c(j->file), &plan, &err);
    }
    if (rc != WM_OK)
        assert_true(err.status == rc && err.msg[0] != '\0' && !strchr(err.msg, '\n'));
    return rc;
}

static bool
saved(struct job *j)
{
    struct stat st;

    return stat(wm_arena_printf(&j->a, "%s.wmap-header", j->file).p, &st) == 0;
}

/* What must hold now, and after the next run. */
static void
settle(struct job *j, bool success, long n, int errnum)
{
    struct wm_sys sys;
    char seen = look(j);

    if (success ? seen != 'n' || saved(j) : seen == '?' && !saved(j))
        fail_msg("call %ld, errno %d: the header is '%c'", n, errnum, seen);
    assert_int_equal(run(j, sound(&sys)), WM_OK);
    assert_int_equal(look(j), 'n');
    assert_int_equal(entries(j), 1);
}

static void
one(struct job *j, long n, int errnum, bool *tripped)
{
    struct wm_sys sys;
    enum wm_status st;

    fault.countdown = n;
    fault.errnum = errnum;
    fault.failed = "";
    st = run(j, faulty(&sys));
    *tripped = fault.failed[0] != '\0';
    settle(j, st == WM_OK, n, errnum);
}

static void
killed(struct job *j, long n, bool *tripped)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        struct wm_sys sys;

        fault.countdown = n;
        fault.errnum = FAULT_KILL;
        _exit(run(j, faulty(&sys)) == WM_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    *tripped = WIFEXITED(status) && WEXITSTATUS(status) == KILLED;
    assert_true(*tripped || status == 0);
    settle(j, !*tripped, n, -1);
}

static void
each_call(struct job *j, void (*prepare)(struct job *j))
{
    static const int errnums[] = {EIO, ENOSPC, EACCES, EINVAL, EINTR, FAULT_KILL};

    for (size_t e = 0; e < WM_COUNTOF(errnums); e++) {
        bool tripped = true;
        long n = 0;

        for (; tripped; n++) {
            reset(j);
            if (prepare)
                prepare(j);
            if (errnums[e] == FAULT_KILL)
                killed(j, n, &tripped);
            else
                one(j, n, errnums[e], &tripped);
        }
        assert_true(n > 15);
        print_message("  %ld calls\n", n - 1);
    }
}

static void
make_job(struct job *j)
{
    memset(j, 0, sizeof(*j));
    make_place(j->dir);
    wm_arena_init(&j->a, &wm_sys_real, NULL, NULL);
    j->file = wm_arena_printf(&j->a, "%s/f", j->dir).p;
}

static void
end_job(struct job *j)
{
    struct wm_err err = {0};

    assert_int_equal(wm_tree_remove(&j->a, &wm_sys_real, j->dir, &err), WM_OK);
    wm_arena_fini(&j->a);
}

static void
every_call(void **state)
{
    struct job j;

    (void)state;
    make_job(&j);
    each_call(&j, NULL);
    end_job(&j);
}

/* A run that is killed in the write of the header: the mixture is there, and the record. */
static void
tear(struct job *j)
{
    bool tripped = true;
    long found = j->torn_at;

    for (long n = j->torn_at; tripped && !(look(j) == '?' && saved(j)); n++) {
        struct wm_sys sys;
        pid_t child;
        int status;

        if (n > j->torn_at) /* the run before did not come so far, or too far: begin anew */
            assert_int_equal(run(j, sound(&sys)), WM_OK);
        reset(j);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            fault.countdown = n;
            fault.errnum = FAULT_KILL;
            _exit(run(j, faulty(&sys)) == WM_OK ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        tripped = WIFEXITED(status) && WEXITSTATUS(status) == KILLED;
        found = n;
    }
    j->torn_at = found;
    assert_true(look(j) == '?' && saved(j));
}

/* And the run that puts it back fails, too. */
static void
every_call_after_a_kill(void **state)
{
    struct job j;

    (void)state;
    make_job(&j);
    each_call(&j, tear);
    end_job(&j);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call),
        cmocka_unit_test(every_call_after_a_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
