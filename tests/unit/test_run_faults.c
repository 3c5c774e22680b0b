/* tests/unit/test_run_faults.c -- whole runs, of which every system call fails once, or is the last of its process.
 *
 * Runs into a container with check sums, into directories, tasks, pushed tensors, and shared blocks.  Whatever fails:
 * the final name holds nothing, the old content or all of the new; success means the new; a failure is one line; and
 * the same command again gives the new, and leaves nothing beside it. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "api/ctx.h"
#include "runtime/place.h"
#include "tests/unit/faults.h"

static const char MAP[] = "wmap 1\n"
                          "index i < 3\n"
                          "\"a\" <-> transpose(0, 1) <-> \"at\"\n"
                          "\"x.{i}\" <-> \"y.{i}\"\n";
static const char RENAMES[] = "wmap 1\n"
                              "index i < 3\n"
                              "\"a\" <-> \"b\"\n"
                              "\"x.{i}\" <-> \"y.{i}\"\n";

enum { ROWS = 40, COLS = 150, N = 6000, NX = 3 };

struct file {
    const char *path;
    struct wm_str bytes;
};

struct job {
    struct wm_arena a;
    struct wm_sys sys;
    char dir[64];
    const char *in, *out;
    struct wm_str want;  /* all that the output holds */
    bool old;            /* there is something in its place */
    const char *map;
    wmap_bind_options bind;
    wmap_run_options run;
    long kill_at; /* the call of progress that does not return; 0: none */
    /* Everything that the command does. */
    wmap_status (*command)(struct job *j, wmap_ctx *ctx, wmap_map *map);
    bool kept;    /* the last run went on with another's */
    bool is_part; /* it may succeed without an output */
    bool kills;   /* each call is also the last one of a process */
    struct file *left; /* by a run that was killed */
    uint32_t nleft;
};

/* ---- files ---- */

static void
put(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static float *
make_data(void)
{
    static float data[ROWS * COLS + NX * N];

    for (uint32_t i = 0; i < WM_COUNTOF(data); i++)
        data[i] = (float)(i * UINT32_C(2654435761) % 100003);
    return data;
}

/* One file, whose tensors fill several blocks of the file system. */
static void
write_input(struct job *j)
{
    enum { HEAD = 4096, A = ROWS * COLS * 4, X = N * 4 };
    static char file[HEAD + A + NX * X];
    uint64_t n = HEAD - 8;
    int at;

    memset(file, ' ', HEAD);
    memcpy(file, &n, 8);
    at = 8 + snprintf(file + 8, HEAD - 8, "{\"a\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[0,%d]}", ROWS, COLS, A);
    for (int i = 0; i < NX; i++)
        at += snprintf(file + at, (size_t)(HEAD - at), ",\"x.%d\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[%d,%d]}", i, N,
                       A + i * X, A + (i + 1) * X);
    file[at] = '}';
    file[at + 1] = ' ';
    memcpy(file + HEAD, make_data(), A + NX * X);
    put(j->in, file, sizeof(file));
}

static int
by_name(const void *p, const void *q)
{
    return strcmp(*(char *const *)p, *(char *const *)q);
}

/* Names and bytes of all files of a directory, or those of one file. */
static struct wm_str
contents(struct wm_arena *a, const char *path)
{
    struct wm_err err = {0};
    struct wm_str s = {"", 0};
    struct stat st;
    struct wm_buf b;
    char **name;
    uint32_t n;

    if (lstat(path, &st) != 0)
        return (struct wm_str){NULL, 0};
    if (S_ISREG(st.st_mode)) {
        assert_int_equal(wm_read_file(a, &wm_sys_real, wm_str_c(path), 1 << 24, &s, &err), WM_OK);
        return s;
    }
    wm_buf_init(&b, a);
    assert_int_equal(wm_dir_list(a, &wm_sys_real, path, &name, &n), 0);
    qsort(name, n, sizeof(name[0]), by_name);
    for (uint32_t i = 0; i < n; i++) {
        wm_buf_printf(&b, "%s:", name[i]);
        s = contents(a, wm_arena_printf(a, "%s/%s", path, name[i]).p);
        wm_buf_puts(&b, s);
    }
    return (struct wm_str){b.p, b.n};
}

/* 'o' the old content, 'n' the new, '-' nothing, '?' anything else */
static char
look(struct job *j)
{
    struct wm_arena a;
    struct wm_str s;
    char seen = '-';

    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    s = contents(&a, j->out);
    if (s.p)
        seen = wm_str_eq(s, WM_STR("old")) || wm_str_eq(s, WM_STR("x:old")) ? 'o' : wm_str_eq(s, j->want) ? 'n' : '?';
    wm_arena_fini(&a);
    return seen;
}

/* Of what is beside input and output, the first; NULL: nothing. */
static const char *
rest(struct job *j)
{
    char **name;
    uint32_t n;

    assert_int_equal(wm_dir_list(&j->a, &wm_sys_real, j->dir, &name, &n), 0);
    for (uint32_t i = 0; i < n; i++)
        if (strncmp(name[i], "in.", 3) != 0 && strncmp(name[i], "out", 3) != 0)
            return name[i];
    return NULL;
}

static void
clear(struct job *j)
{
    struct wm_err err = {0};
    char **name;
    uint32_t n;

    assert_int_equal(wm_dir_list(&j->a, &wm_sys_real, j->dir, &name, &n), 0);
    for (uint32_t i = 0; i < n; i++)
        if (strncmp(name[i], "in.", 3) != 0)
            assert_int_equal(wm_tree_remove(&j->a, &wm_sys_real, wm_arena_printf(&j->a, "%s/%s", j->dir, name[i]).p, &err),
                             WM_OK);
    if (j->old && strchr(j->out + strlen(j->dir), '.')) {
        put(j->out, "old", 3);
    } else if (j->old) {
        assert_int_equal(mkdir(j->out, 0777), 0);
        put(wm_arena_printf(&j->a, "%s/x", j->out).p, "old", 3);
    }
}

/* ---- commands ---- */

static int
progress(void *user, uint64_t done, uint64_t total)
{
    struct job *j = user;

    (void)done;
    (void)total;
    if (j->kill_at && --j->kill_at == 0)
        _exit(KILLED);
    return 0;
}

static wmap_status
convert(struct job *j, wmap_ctx *ctx, wmap_map *map)
{
    wmap_run_result result = {0};
    wmap_plan *plan;
    wmap_cost cost;
    wmap_status st = wmap_bind(map, j->in, &j->bind, &plan);

    (void)ctx;
    if (st == WMAP_OK)
        st = wmap_plan_cost(plan, &j->run.work, &cost);
    if (st == WMAP_OK && (st = wmap_run(plan, &j->run, &result)) == WMAP_OK && !result.bytes_kept && !result.ntask &&
        !result.bytes_shared) {
        assert_true(cost.exact && cost.seconds > 0);
        assert_in_range(result.calls - cost.reads - cost.writes, 0, 1); /* one is interrupted, and made again */
    }
    j->kept = result.bytes_kept > 0;
    return st;
}

static wmap_status
push(struct job *j, wmap_ctx *ctx, wmap_map *map)
{
    const int64_t a[] = {ROWS, COLS}, x[] = {N};
    wmap_header h[1 + NX] = {{"a", "F32", a, 2}, {"x.0", "F32", x, 1}, {"x.1", "F32", x, 1}, {"x.2", "F32", x, 1}};
    const float *data = make_data();
    wmap_push *s = NULL;
    wmap_plan *plan;
    wmap_status st = wmap_bind_headers(map, h, WM_COUNTOF(h), &j->bind, &plan);

    (void)ctx;
    if (st == WMAP_OK)
        st = wmap_push_open(plan, &j->run, NULL, &s);
    for (int k = NX; st == WMAP_OK && k >= 0; k--) { /* in two pieces each, the last first */
        uint64_t n = k ? N * 4 : ROWS * COLS * 4, cut = n / 3 / 4 * 4;
        const char *p = (const char *)(k ? data + ROWS * COLS + (k - 1) * N : data);

        st = wmap_push_bytes(s, h[k].name, cut, p + cut, n - cut);
        if (st == WMAP_OK)
            st = wmap_push_bytes(s, h[k].name, 0, p, cut);
    }
    if (st == WMAP_OK)
        st = wmap_push_finish(s, NULL);
    wmap_push_close(s);
    return st;
}

/* As the command line ends when memory is out. */
static void
give_up(void *ctx)
{
    wmap_abandon(ctx);
    _exit(NO_MEMORY);
}

static wmap_status
command(struct job *j, bool can_fail)
{
    wmap_ctx *ctx = wmap_ctx_new();
    wmap_map *map;
    wmap_status st;
    const char *m;

    assert_int_equal(wmap_map_parse(ctx, "m", j->map, strlen(j->map), &map), WMAP_OK);
    if (can_fail) {
        ctx->sys = ctx->arena.sys = &j->sys;
        wmap_set_oom(ctx, give_up, ctx);
    }
    j->bind.output = j->out;
    j->run.work = (wmap_work){.threads = 1, .max_memory = 300000, .progress = progress, .progress_user = j};
    st = j->command(j, ctx, map);
    m = wmap_message(ctx);
    if (st != WMAP_OK && (!m[0] || strchr(m, '\n')))
        fail_msg("call %s: status %d, \"%s\"", fault.failed, (int)st, m);
    wmap_ctx_free(ctx);
    return st;
}

/* The same in a process of its own; its exit status. */
static int
in_child(struct job *j)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0)
        _exit((int)command(j, true));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
begin(struct job *j, const char *out, const char *map, bool old)
{
    *j = (struct job){.old = old, .map = map, .command = convert};
    make_place(j->dir);
    wm_arena_init(&j->a, &wm_sys_real, NULL, NULL);
    faulty(&j->sys);
    fault.countdown = -1;
    j->in = wm_arena_printf(&j->a, "%s/in.safetensors", j->dir).p;
    j->out = wm_arena_printf(&j->a, "%s/%s", j->dir, out).p;
    j->run.force = true;
    write_input(j);
    assert_int_equal(command(j, false), WMAP_OK);
    j->want = contents(&j->a, j->out);
    assert_true(j->want.n > (ROWS * COLS + NX * N) * 4);
}

static void
end(struct job *j)
{
    struct wm_err err = {0};

    assert_int_equal(wm_tree_remove(&j->a, &wm_sys_real, j->dir, &err), WM_OK);
    wm_arena_fini(&j->a);
}

/* Failures of these leave something behind, which the next run removes. */
static bool
removes(const char *call)
{
    return strcmp(call, "unlink") == 0 || strcmp(call, "rmdir") == 0 || strcmp(call, "flock") == 0;
}

/* The call that failed is tried again, or its short count completed. */
static bool
goes_on(int errnum)
{
    return errnum == FAULT_SHORT || (errnum == EINTR && (fault.failed[0] == 'p' || strcmp(fault.failed, "clone") == 0));
}

/* Every call of the command, after `prepare`; then whatever `settle` does must give the new output. */
static void
each_call(struct job *j, void (*prepare)(struct job *j), void (*settle)(struct job *j))
{
    static const int errnums[] = {EIO, EINTR, FAULT_SHORT, FAULT_KILL};
    long n = 0;

    for (size_t e = 0; e < WM_COUNTOF(errnums) - !j->kills; e++) {
        bool tripped = true;

        for (n = 0; tripped; n++) {
            wmap_status st = WMAP_ERROR;
            char seen;

            clear(j);
            if (prepare)
                prepare(j);
            fault.countdown = n;
            fault.errnum = errnums[e];
            fault.failed = "";
            if (errnums[e] == FAULT_KILL) {
                tripped = in_child(j) == KILLED;
            } else {
                st = command(j, true);
                tripped = fault.failed[0] != '\0';
            }
            fault.countdown = -1;
            seen = look(j);
            if (seen == '?' || (seen == '-' && j->old) || (st == WMAP_OK && !j->is_part && seen != 'n') ||
                (st != WMAP_OK && errnums[e] != FAULT_KILL && goes_on(errnums[e])))
                fail_msg("call %ld (%s), errno %d: status %d, and the output is '%c'", n, fault.failed, errnums[e], (int)st,
                         seen);
            if (errnums[e] != FAULT_KILL && !prepare && !j->is_part && seen != 'n' && rest(j) && !removes(fault.failed))
                fail_msg("call %ld (%s), errno %d: left behind: %s", n, fault.failed, errnums[e], rest(j));
            settle(j);
            if (look(j) != 'n' || rest(j))
                fail_msg("after call %ld (%s), errno %d: the output is '%c', left behind: %s", n, fault.failed, errnums[e],
                         look(j), rest(j) ? rest(j) : "nothing");
        }
        assert_true(n > 20);
    }
    print_message("  %ld calls\n", n - 1);
}

static void
again(struct job *j)
{
    assert_int_equal(command(j, true), WMAP_OK);
}

/* ---- runs ---- */

static void
check_sums(void **state)
{
    struct job j;

    (void)state;
    begin(&j, "out.pth", MAP, true);
    j.kills = true;
    each_call(&j, NULL, again);
    end(&j);
}

/* The sums of the input are looked at: the way back. */
static void
check_sums_of_the_input(void **state)
{
    struct job j;

    (void)state;
    begin(&j, "out.pth", MAP, true);
    j.in = wm_arena_printf(&j.a, "%s/in.pth", j.dir).p;
    assert_int_equal(rename(j.out, j.in), 0);
    j.bind.reverse = true;
    j.out = wm_arena_printf(&j.a, "%s/out.safetensors", j.dir).p;
    again(&j);
    j.want = contents(&j.a, j.out);
    assert_memory_equal(j.want.p + j.want.n - N * 4, make_data() + ROWS * COLS + (NX - 1) * N, N * 4);
    each_call(&j, NULL, again);
    end(&j);
}

/* A run that is killed when half of it is written: what it leaves. */
static void
kill_half_way(struct job *j)
{
    struct wm_buf path;
    char **name;

    clear(j);
    j->kill_at = 2;
    assert_int_equal(in_child(j), KILLED);
    j->kill_at = 0;
    assert_int_equal(wm_dir_list(&j->a, &wm_sys_real, j->dir, &name, &j->nleft), 0);
    j->left = WM_NEW_N(&j->a, struct file, j->nleft);
    for (uint32_t i = 0; i < j->nleft; i++) {
        wm_buf_init(&path, &j->a);
        wm_buf_printf(&path, "%s/%s", j->dir, name[i]);
        j->left[i].path = wm_arena_cstr(&j->a, (struct wm_str){path.p, path.n});
        j->left[i].bytes = contents(&j->a, j->left[i].path);
    }
}

static void
leave(struct job *j)
{
    for (uint32_t i = 0; i < j->nleft; i++)
        if (strcmp(j->left[i].path, j->in) != 0)
            put(j->left[i].path, j->left[i].bytes.p, j->left[i].bytes.n);
}

static void
check_sums_after_a_kill(void **state)
{
    struct job j;

    (void)state;
    begin(&j, "out.pth", MAP, false);
    kill_half_way(&j);
    again(&j);
    assert_true(j.kept);
    assert_int_equal(look(&j), 'n');
    clear(&j);
    leave(&j);
    again(&j);
    assert_true(j.kept);
    each_call(&j, leave, again);
    end(&j);
}

static void
pushed(void **state)
{
    struct job j;

    (void)state;
    begin(&j, "out.pth", MAP, false); /* with sums */
    j.command = push;
    each_call(&j, NULL, again);
    end(&j);
    begin(&j, "out", MAP, true);
    j.command = push;
    each_call(&j, NULL, again);
    end(&j);
}

/* ---- blocks that are shared ---- */

/* As the file system does: the same bytes, in whole blocks. */
static int
f_clone(int to, int from, off_t from_off, off_t n, off_t to_off)
{
    static char block[4096];

    if (trips("clone") && fault.errnum)
        return -1;
    assert_true(from_off % 4096 == 0 && n % 4096 == 0 && to_off % 4096 == 0);
    for (off_t at = 0; at < n; at += 4096) {
        assert_int_equal(pread(from, block, 4096, from_off + at), 4096);
        assert_int_equal(pwrite(to, block, 4096, to_off + at), 4096);
    }
    return 0;
}

static void
shared_blocks(void **state)
{
    wmap_run_result result;
    wmap_plan *plan;
    wmap_map *map;
    wmap_ctx *ctx;
    struct job j;

    (void)state;
    begin(&j, "out.safetensors", RENAMES, true);
    j.bind.layout = "keep";
    j.sys.clone = f_clone;
    ctx = wmap_ctx_new();
    ctx->sys = &j.sys;
    assert_int_equal(wmap_map_parse(ctx, "m", j.map, strlen(j.map), &map), WMAP_OK);
    assert_int_equal(wmap_bind(map, j.in, &j.bind, &plan), WMAP_OK);
    assert_int_equal(wmap_run(plan, &j.run, &result), WMAP_OK);
    assert_true(result.bytes_shared > NX * N * 4);
    wmap_ctx_free(ctx);
    j.want = contents(&j.a, j.out);
    each_call(&j, NULL, again);
    end(&j);
}

/* ---- memory ---- */

/* Without its allocation n: how it ended. */
static int
without(struct job *j, long n)
{
    int how;
    char seen;

    clear(j);
    fault.countdown = n;
    fault.errnum = ENOMEM;
    how = in_child(j);
    fault.countdown = -1;
    assert_true(how == 0 || how == WMAP_ERROR || how == NO_MEMORY);
    seen = look(j);
    if (seen != 'n' && (seen != 'o' || how == 0 || rest(j))) /* new: the old directory may be left */
        fail_msg("allocation %ld: status %d, the output is '%c', left behind: %s", n, how, seen, rest(j) ? rest(j) : "nothing");
    return how;
}

static void
out_of_memory(void **state)
{
    enum { LAST = 40 }; /* among them are the buffers */
    static const struct {
        const char *out;
        wmap_status (*command)(struct job *j, wmap_ctx *ctx, wmap_map *map);
    } row[] = {{"out.pth", convert}, {"out", push}};
    unsigned ended[NO_MEMORY + 1] = {0};

    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(row); i++) {
        struct job j;
        long n = 0;
        int how;

        begin(&j, row[i].out, MAP, true);
        j.command = row[i].command;
        forgetful(&j.sys);
        while ((how = without(&j, n)) != 0) { /* with sanitizers, arenas take every piece by itself */
            ended[how]++;
            n += n < 50 ? 1 : 7;
        }
        for (long k = n > 50 + LAST ? n - LAST : n; k < n; k++)
            ended[without(&j, k)]++;
        again(&j);
        assert_true(look(&j) == 'n' && !rest(&j));
        end(&j);
    }
    assert_true(ended[WMAP_ERROR] > 0 && ended[NO_MEMORY] > 0);
    print_message("  %u allocations of buffers, %u of an arena\n", ended[WMAP_ERROR], ended[NO_MEMORY]);
}

/* ---- tasks ---- */

static void
run_task(struct job *j, unsigned i)
{
    unsigned was = j->run.task;

    j->run.task = i;
    assert_int_equal(command(j, true), WMAP_OK);
    j->run.task = was;
}

static void
second_task(struct job *j)
{
    run_task(j, 2);
}

/* The one that failed, once more; then the other. */
static void
both_tasks(struct job *j)
{
    run_task(j, j->run.task);
    if (look(j) != 'n' || rest(j))
        run_task(j, 2);
}

static void
tasks_of(const char *out, bool old)
{
    struct job j;

    begin(&j, out, MAP, old);
    j.run.ntask = 2;
    j.run.task = 1;
    j.is_part = j.kills = true;
    if (old)
        each_call(&j, NULL, both_tasks); /* the first one sets up */
    each_call(&j, second_task, both_tasks); /* the last one commits */
    end(&j);
}

static void
tasks(void **state)
{
    (void)state;
    tasks_of("out.pth", false);
    tasks_of("out", true);
}

int
main(void)
{
    const struct CMUnitTest test[] = {
        cmocka_unit_test(check_sums), cmocka_unit_test(check_sums_of_the_input),
        cmocka_unit_test(check_sums_after_a_kill), cmocka_unit_test(pushed),
        cmocka_unit_test(shared_blocks), cmocka_unit_test(out_of_memory), cmocka_unit_test(tasks),
    };

    return cmocka_run_group_tests(test, NULL, NULL);
}
