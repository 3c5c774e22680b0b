/* tests/unit/test_inspect_faults.c -- inspecting a directory of rank files while every system call, and every allocation,
 * fails once.
 *
 * Whatever fails: the answer is the whole one, or none with one line that says why; never less of it. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "api/ctx.h"
#include "runtime/place.h"
#include "tests/unit/faults.h"

/* Shards as optimum-neuron leaves them: of two stages, cut and replicated. */
static const char MAP[] = "wmap 1\n"
                          "index rank < 2\n"
                          "index stage < 2\n"
                          "target {\n"
                          "  format pth\n"
                          "  file \"shards/model/dp_rank_00_tp_rank_{rank:02}_pp_rank_{stage:02}.pt\"\n"
                          "  emit \"shards/mp_metadata_pp_rank_{stage}.json\" {\n"
                          "    parameters = { \"w.{stage}\" = cut, norm = { tensor_model_parallel = false } },\n"
                          "    model_weight_transformation_specs = []\n"
                          "  }\n"
                          "  emit \"shards/done\" \"1\"\n"
                          "}\n"
                          "let cut = { tensor_model_parallel = true, partition_dim = 0, partition_stride = 1, num_partitions = 2 }\n"
                          "\"w.{stage}\" [(rank f) e] <-> \"w.{stage}\" [f e]\n"
                          "\"norm\" [e] <-> \"norm\" [e] broadcast rank, stage\n";

static struct {
    struct wm_arena a;
    struct wm_sys sys;
    char dir[64];
    const char *in;      /* the directory of ranks */
    struct wm_buf said;
} job;

static int
keep(void *user, const char *p, size_t n)
{
    (void)user;
    wm_buf_puts(&job.said, (struct wm_str){p, n});
    return 0;
}

static void
make_ranks(void)
{
    const int64_t w[] = {400, 30}, norm[] = {30};
    wmap_header h[] = {{"norm", "F32", norm, 1}, {"w.0", "F32", w, 2}, {"w.1", "F32", w, 2}};
    static float data[400 * 30];
    wmap_ctx *ctx = wmap_ctx_new();
    wmap_bind_options bind = {.output = job.in};
    wmap_run_options run = {.work = {.threads = 1}};
    wmap_push *s;
    wmap_plan *plan;
    wmap_map *map;

    for (uint32_t i = 0; i < WM_COUNTOF(data); i++)
        data[i] = (float)i;
    assert_int_equal(wmap_map_parse(ctx, "m", MAP, strlen(MAP), &map), WMAP_OK);
    assert_int_equal(wmap_bind_headers(map, h, WM_COUNTOF(h), &bind, &plan), WMAP_OK);
    assert_int_equal(wmap_push_open(plan, &run, NULL, &s), WMAP_OK);
    for (uint32_t k = 0; k < WM_COUNTOF(h); k++)
        assert_int_equal(wmap_push_bytes(s, h[k].name, 0, data, k ? sizeof(data) : 30 * sizeof(data[0])), WMAP_OK);
    assert_int_equal(wmap_push_finish(s, NULL), WMAP_OK);
    wmap_push_close(s);
    wmap_ctx_free(ctx);
}

/* As the command line ends when memory is out. */
static void
give_up(void *ctx)
{
    (void)ctx;
    _exit(NO_MEMORY);
}

/* What is said, in job.said; a failure is one line and nothing said. */
static wmap_status
inspect(const struct wm_sys *sys, wmap_style style)
{
    wmap_ctx *ctx = wmap_ctx_new();
    wmap_checkpoint *c = NULL;
    wmap_status st;
    const char *m;

    job.said.n = 0;
    if (sys) {
        ctx->sys = ctx->arena.sys = sys;
        wmap_set_oom(ctx, give_up, NULL);
    }
    st = wmap_checkpoint_open(ctx, job.in, false, &c);
    if (st == WMAP_OK) {
        st = wmap_inspect(c, style, (wmap_sink){keep, NULL});
        wmap_checkpoint_close(c);
    }
    m = wmap_message(ctx);
    if (st != WMAP_OK && (!m[0] || strchr(m, '\n')))
        fail_msg("call %s: status %d, \"%s\"", fault.failed, (int)st, m);
    wmap_ctx_free(ctx);
    return st;
}

static int
setup(void **state)
{
    (void)state;
    make_place(job.dir);
    wm_arena_init(&job.a, &wm_sys_real, NULL, NULL);
    wm_buf_init(&job.said, &job.a);
    job.in = wm_arena_printf(&job.a, "%s/ranks", job.dir).p;
    make_ranks();
    return 0;
}

static int
teardown(void **state)
{
    struct wm_err err = {0};

    (void)state;
    assert_int_equal(wm_tree_remove(&job.a, &wm_sys_real, job.dir, &err), WM_OK);
    wm_arena_fini(&job.a);
    return 0;
}

static struct wm_str
whole(wmap_style style)
{
    struct wm_str s;

    fault.countdown = -1;
    assert_int_equal(inspect(NULL, style), WMAP_OK);
    s = wm_arena_str(&job.a, (struct wm_str){job.said.p, job.said.n});
    assert_non_null(strstr(wm_arena_cstr(&job.a, s), "norm"));
    return s;
}

static void
each_call_fails(void **state)
{
    static const int how[] = {EIO, EMFILE, FAULT_SHORT};
    struct wm_str want = whole(WMAP_JSON);
    uint32_t failed = 0, calls = 0;

    (void)state;
    faulty(&job.sys);
    for (uint32_t k = 0; k < WM_COUNTOF(how); k++)
        for (long n = 0;; n++) {
            wmap_status st;

            fault.failed = "";
            fault.countdown = n;
            fault.errnum = how[k];
            st = inspect(&job.sys, WMAP_JSON);
            if (fault.countdown >= 0)
                break; /* it makes fewer calls than that */
            calls++;
            failed += st != WMAP_OK;
            if (st == WMAP_OK ? !wm_str_eq((struct wm_str){job.said.p, job.said.n}, want) : how[k] == FAULT_SHORT)
                fail_msg("call %ld (%s) with %d: status %d", n, fault.failed, how[k], (int)st);
        }
    fault.countdown = -1;
    assert_true(failed > 20 && failed < calls);
    print_message("  %u calls, of which %u made it fail\n", calls, failed);
}

/* Allocations of an arena end the process. */
static void
each_allocation_fails(void **state)
{
    struct wm_str want = whole(WMAP_TEXT);
    uint32_t ended[NO_MEMORY + 1] = {0};

    (void)state;
    forgetful(&job.sys);
    for (long n = 0;; n += n < 40 ? 1 : 9) { /* with the sanitizers there are hundreds */
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0) {
            wmap_status st;

            fault.countdown = n;
            fault.errnum = ENOMEM;
            st = inspect(&job.sys, WMAP_TEXT);
            if (st == WMAP_OK && !wm_str_eq((struct wm_str){job.said.p, job.said.n}, want))
                _exit(100);
            _exit(fault.countdown >= 0 ? 101 : (int)st);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 101)
            break;
        assert_true(WEXITSTATUS(status) <= NO_MEMORY);
        ended[WEXITSTATUS(status)]++;
    }
    assert_true(ended[WMAP_OK] == 0 && ended[NO_MEMORY] > 0);
    print_message("  %u allocations of buffers, %u of an arena\n", ended[WMAP_ERROR], ended[NO_MEMORY]);
}

int
main(void)
{
    const struct CMUnitTest test[] = {cmocka_unit_test(each_call_fails), cmocka_unit_test(each_allocation_fails)};

    return cmocka_run_group_tests(test, setup, teardown);
}
