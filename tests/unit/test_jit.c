/* test_jit.c -- compiled kernels against the interpreter's, bit for bit and count for count; memory
 * that is executable is never writable; hosts that forbid it. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/jit.h"

/* A number below n. */
static uint64_t
rnd(uint64_t *seed, uint64_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*seed >> 31) % n;
}

enum { ROOM = 1 << 16, NUMBERS = 1 << 16 };

static struct wm_jit *jit;

static int
setup(void **state)
{
    struct wm_err err = {0};

    (void)state;
    if (!getenv("WMAP_JIT_PLUGIN"))
        return 0; /* built without LLVM: every test skips */
    assert_int_equal(wm_jit_open(&wm_sys_real, WM_ENGINE_JIT, &jit, &err), WM_OK);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    wm_jit_close(jit);
    return 0;
}

static void
need_jit(void)
{
    if (!jit) {
        print_message("built without LLVM: nothing to test\n");
        skip();
    }
}

/* A handle without the kernels of the test before: their number is bounded. */
static void
renew(void)
{
    struct wm_err err = {0};

    wm_jit_close(jit);
    assert_int_equal(wm_jit_open(&wm_sys_real, WM_ENGINE_JIT, &jit, &err), WM_OK);
}

/* ---- movements ---- */

/* A nest whose dst is dense or has gaps, with dims of the source in any order. */
static uint32_t
random_nest(uint64_t *seed, struct wm_kdim *dim, uint32_t in, uint32_t out, uint64_t most,
            int64_t *src_base)
{
    static const int64_t sizes[] = {1, 2, 2, 3, 4, 4, 5, 7, 8, 16, 33, 64, 100};
    uint32_t rank = (uint32_t)rnd(seed, 6), order[6];
    int64_t dst = out, src = in;
    uint64_t n = 1;

    *src_base = 0;
    for (uint32_t k = 0; k < rank; k++) {
        dim[k].n = sizes[rnd(seed, WM_COUNTOF(sizes))];
        if (n * (uint64_t)dim[k].n > most)
            dim[k].n = 1;
        n *= (uint64_t)dim[k].n;
        order[k] = k;
    }
    for (uint32_t k = 0; k < rank; k++) {
        uint32_t o = (uint32_t)rnd(seed, k + 1), t = order[k];

        order[k] = order[o];
        order[o] = t;
    }
    for (uint32_t k = rank; k-- > 0;) {
        dim[k].dst = dst;
        dst *= dim[k].n;
        dst += rnd(seed, 6) == 0 ? (int64_t)rnd(seed, 3) * out : 0;
    }
    for (uint32_t k = 0; k < rank; k++) {
        struct wm_kdim *d = &dim[order[k]];

        d->src = src;
        src *= d->n;
        src += rnd(seed, 6) == 0 ? (int64_t)rnd(seed, 9) * in : 0;
        if (rnd(seed, 8) == 0) { /* backwards */
            *src_base += (d->n - 1) * d->src;
            d->src = -d->src;
        }
    }
    return rank;
}

static void
test_movements_are_the_same(void **state)
{
    static const uint32_t runs[] = {1, 2, 2, 3, 4, 6, 8, 12, 16, 24, 48, 64};
    char *src, *dst[2];
    uint64_t seed = 7;

    (void)state;
    need_jit();
    for (int i = 0; i < 150; i++) {
        uint32_t run = runs[rnd(&seed, WM_COUNTOF(runs))];
        struct wm_kdim dim[6];
        int64_t base, end[2] = {run, run};
        uint32_t rank = random_nest(&seed, dim, run, run, ROOM / run / 8, &base);

        for (uint32_t k = 0; k < rank; k++) {
            end[0] += (dim[k].n - 1) * dim[k].dst;
            end[1] += (dim[k].n - 1) * labs(dim[k].src);
        }
        src = malloc((size_t)end[1]); /* exactly: the sanitizer sees what is touched outside */
        for (int s = 0; s < 2; s++)
            dst[s] = malloc((size_t)end[0]);
        for (int64_t k = 0; k < end[1]; k++)
            src[k] = (char)rnd(&seed, 256);
        memset(dst[0], 0x55, (size_t)end[0]);
        memset(dst[1], 0x55, (size_t)end[0]);
        wm_permute(dst[0], src + base, dim, rank, run);
        wm_jit_permute(jit, dst[1], src + base, dim, rank, run);
        assert_memory_equal(dst[0], dst[1], (size_t)end[0]);
        free(src);
        free(dst[0]);
        free(dst[1]);
    }
    assert_true(wm_jit_count(jit) > 60);
}

/* The same kernel with another outermost extent. */
static void
test_outermost_extent_is_free(void **state)
{
    static char src[8000], dst[2][8000];
    unsigned n;

    (void)state;
    need_jit();
    renew();
    for (int i = 0; i < 8000; i++)
        src[i] = (char)(i * 7 >> 3);
    for (int64_t m = 1; m < 300; m += 1 + m / 8) {
        struct wm_kdim dim[] = {{m, 24, 24}, {3, 8, 2}, {4, 2, 6}};

        memset(dst, 0, sizeof(dst));
        wm_permute(dst[0], src, dim, 3, 2);
        wm_jit_permute(jit, dst[1], src, dim, 3, 2);
        assert_memory_equal(dst[0], dst[1], sizeof(dst[0]));
    }
    n = wm_jit_count(jit);
    assert_true(n >= 1 && n <= 2); /* an extent of 1 is no dim */
}

/* ---- numbers ---- */

static const enum wm_dtype sources[] = {
    WM_DT_BOOL,      WM_DT_U8,         WM_DT_I8,          WM_DT_U16,         WM_DT_I16,
    WM_DT_F8_E5M2,   WM_DT_F8_E4M3,    WM_DT_F8_E8M0,     WM_DT_F8_E4M3FNUZ, WM_DT_F8_E5M2FNUZ,
    WM_DT_F16,       WM_DT_BF16,       WM_DT_F32,         WM_DT_F64};
enum { FIRST_FLOAT = 5, NSOURCE = WM_COUNTOF(sources) };

static uint32_t
size_of(enum wm_dtype t)
{
    return wm_dtype_info[t].bits / 8u;
}

/* Codes of all kinds: every one of 16 bits, bits at random, and those near the limits of narrow
 * formats. */
static void
numbers(enum wm_dtype t, char *to, uint64_t *seed)
{
    for (uint32_t i = 0; i < NUMBERS; i++) {
        uint64_t v = i;

        if (size_of(t) == 4 && i % 2) {
            v = (uint64_t)rnd(seed, UINT64_C(1) << 32);
        } else if (size_of(t) == 4) {
            v = (uint64_t)i << 16 | (uint64_t[]){0, 0x8000, 0x7fff, 0x8001}[i / 2 % 4];
        } else if (size_of(t) == 8 && i % 2) {
            v = (uint64_t)rnd(seed, UINT64_C(1) << 32) << 32 | (uint64_t)rnd(seed, UINT64_C(1) << 32);
        } else if (size_of(t) == 8) {
            union {
                float f;
                uint32_t u;
            } f = {.u = i << 16 | (i & 3)};
            double d = f.f;

            memcpy(&v, &d, 8);
            v += (uint64_t)(i >> 1 & 3) - 1; /* a bit beside a float32 */
        }
        memcpy(to + (size_t)i * size_of(t), &v, size_of(t));
    }
}

/* Steps over n elements in the given nest, both ways; all bytes and counts. */
static void
same_steps(const struct wm_plan_step *step, uint32_t nstep, const struct wm_kdim *dim, uint32_t rank,
           const char *src, uint64_t n)
{
    struct wm_plan_elem elem = {.kind = WM_EL_CHAIN, .nstep = nstep};
    struct wm_cast_count count[2] = {{0}};
    struct wm_kdim pack[8], unpack[8];
    struct wm_jit_use use;
    char *at[2] = {malloc(n * 8), malloc(n * 8)}, *dst[2];
    int64_t s = 1, end;

    elem.src_unit = size_of(step[0].from);
    elem.dst_unit = size_of(step[nstep - 1].to);
    end = elem.dst_unit;
    for (uint32_t k = rank; k-- > 0; s *= dim[k].n) {
        pack[k] = (struct wm_kdim){dim[k].n, s * elem.src_unit, dim[k].src};
        unpack[k] = (struct wm_kdim){dim[k].n, dim[k].dst, s * elem.dst_unit};
        end += (dim[k].n - 1) * dim[k].dst;
    }
    dst[0] = calloc(1, (size_t)end);
    dst[1] = calloc(1, (size_t)end);
    wm_permute(at[0], src, pack, rank, elem.src_unit);
    for (uint32_t i = 0; i < nstep; i++)
        assert_int_equal(wm_step(&step[i], at[(i + 1) % 2], at[i % 2], n, &count[0]), n);
    wm_permute(dst[0], at[nstep % 2], unpack, rank, elem.dst_unit);
    assert_true(wm_jit_chain(jit, &use, dst[1], src, dim, rank, &elem, step, &count[1]));
    if (memcmp(dst[0], dst[1], (size_t)end) != 0)
        for (int64_t i = 0; i < end; i++)
            if (dst[0][i] != dst[1][i])
                fail_msg("step %u %s to %s, byte %lld: %02x, compiled %02x", step[0].kind,
                         wm_dtype_info[step[0].from].name, wm_dtype_info[step[0].to].name,
                         (long long)i, dst[0][i] & 0xff, dst[1][i] & 0xff);
    assert_int_equal(count[0].overflow, count[1].overflow);
    assert_int_equal(count[0].nan, count[1].nan);
    assert_int_equal(count[0].inexact, count[1].inexact);
    for (int i = 0; i < 2; i++) {
        free(at[i]);
        free(dst[i]);
    }
}

static void
test_casts_are_the_same(void **state)
{
    char *src = malloc(NUMBERS * 8);
    uint64_t seed = 3;

    (void)state;
    need_jit();
    renew();
    for (uint32_t i = 0; i < NSOURCE; i++) {
        numbers(sources[i], src, &seed);
        for (uint32_t k = FIRST_FLOAT; k < NSOURCE; k++) {
            struct wm_plan_step step = {.kind = WM_SP_CAST, .from = sources[i], .to = sources[k]};
            struct wm_kdim dim = {NUMBERS - 3, size_of(sources[k]), size_of(sources[i])};

            same_steps(&step, 1, &dim, 1, src, NUMBERS - 3);
        }
    }
    free(src);
}

static void
test_arithmetic_is_the_same(void **state)
{
    static const double values[] = {1, -1, 0, -0.0, 1.5, -1.5, 1e-40, 3e38, 0.1, -1.0 / 0.0};
    char *src = malloc(NUMBERS * 8);
    uint64_t seed = 5;

    (void)state;
    need_jit();
    renew();
    for (uint32_t i = FIRST_FLOAT; i < NSOURCE; i++) {
        numbers(sources[i], src, &seed);
        for (uint32_t kind = WM_SP_ADD; kind <= WM_SP_NEG; kind++)
            for (uint32_t v = 0; v < WM_COUNTOF(values); v++) {
                struct wm_plan_step step = {
                    .kind = kind, .from = sources[i], .to = sources[i], .value = values[v]};
                struct wm_kdim dim = {NUMBERS, size_of(sources[i]), size_of(sources[i])};

                same_steps(&step, 1, &dim, 1, src, NUMBERS);
            }
    }
    free(src);
}

static void
test_chains_are_the_same(void **state)
{
    uint64_t seed = 11;

    (void)state;
    need_jit();
    renew();
    for (int i = 0; i < 80; i++) {
        struct wm_plan_step step[4];
        uint32_t nstep = 1 + (uint32_t)rnd(&seed, 4), t = sources[rnd(&seed, NSOURCE)], rank;
        struct wm_kdim dim[6];
        int64_t base;
        uint64_t n = 1;
        char *src = malloc(1 << 21);

        for (uint32_t k = 0; k < nstep; k++) {
            bool is_float = wm_dtype_info[t].kind == 'F';

            step[k] = (struct wm_plan_step){
                .kind = is_float ? (uint32_t)rnd(&seed, 4) : 0, .from = t, .to = t, .value = 0.75};
            if (step[k].kind == WM_SP_UNCAST)
                step[k].kind = WM_SP_NEG;
            if (step[k].kind == WM_SP_CAST)
                t = step[k].to = sources[FIRST_FLOAT + rnd(&seed, NSOURCE - FIRST_FLOAT)];
        }
        for (int k = 0; k < 1 << 21; k++)
            src[k] = (char)rnd(&seed, 256);
        rank = random_nest(&seed, dim, size_of(step[0].from), size_of(t), 4000, &base);
        for (uint32_t k = 0; k < rank; k++)
            n *= (uint64_t)dim[k].n;
        same_steps(step, nstep, dim, rank, src + base, n);
        free(src);
    }
    assert_true(wm_jit_count(jit) > 50);
}

static void
test_others_stay_with_the_interpreter(void **state)
{
    static const struct wm_plan_step steps[] = {
        {.kind = WM_SP_CAST, .from = WM_DT_F32, .to = WM_DT_I32},
        {.kind = WM_SP_CAST, .from = WM_DT_I64, .to = WM_DT_F32},
        {.kind = WM_SP_UNCAST, .from = WM_DT_F32, .to = WM_DT_BF16},
        {.kind = WM_SP_EXP, .from = WM_DT_F32, .to = WM_DT_F32},
        {.kind = WM_SP_LOG, .from = WM_DT_F64, .to = WM_DT_F64}};
    struct wm_kdim dim = {100, 4, 4};
    struct wm_jit_nest nest;
    int64_t n;

    (void)state;
    for (uint32_t i = 0; i < WM_COUNTOF(steps); i++)
        assert_false(wm_jit_nest_of(&nest, &n, &dim, 1, 4, 4, &steps[i], 1));
    assert_false(wm_jit_nest_of(&nest, &n, &dim, 1, 4, 4, NULL, 0)); /* one run */
}

/* ---- memory ---- */

static void
test_no_page_is_writable_and_executable(void **state)
{
    char line[1024];
    FILE *f;
    int executable = 0;

    (void)state;
    need_jit();
    assert_true(wm_jit_count(jit) > 0);
    f = fopen("/proc/self/maps", "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        const char *mode = strchr(line, ' ');

        assert_non_null(mode);
        if (mode[3] == 'x' && !strchr(line, '/') && !strchr(line, '['))
            executable++; /* ours: of no file */
        if (mode[2] == 'w' && mode[3] == 'x')
            fail_msg("writable and executable: %s", line);
    }
    fclose(f);
    assert_true(executable > 0);
}

/* From now on no page of this process becomes executable by mprotect(). */
static bool
forbid_exec(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog prog = {WM_COUNTOF(code), code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

static void
test_host_without_executable_memory(void **state)
{
    pid_t pid;
    int status;

    (void)state;
    need_jit();
    pid = fork();
    if (pid == 0) {
        struct wm_err err = {0};
        struct wm_jit *j;
        enum wm_status st;

        if (!forbid_exec())
            _exit(77);
        st = wm_jit_open(&wm_sys_real, WM_ENGINE_JIT, &j, &err);
        if (st != WM_EUSAGE || !strstr(err.msg, "does not allow memory to become executable"))
            _exit(1);
        _exit(wm_jit_open(&wm_sys_real, WM_ENGINE_AUTO, &j, &err) == WM_OK ? 0 : 2);
    }
    assert_true(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("no seccomp here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void
test_plugin_that_is_none(void **state)
{
    const char *old = getenv("WMAP_JIT_PLUGIN");
    char keep[4096] = "";
    struct wm_jit *j;

    (void)state;
    if (old)
        snprintf(keep, sizeof(keep), "%s", old);
    for (int i = 0; i < 2; i++) {
        struct wm_err err = {0};

        setenv("WMAP_JIT_PLUGIN", i ? "/proc/self/status" : "/nowhere/wmap-jit.so", 1);
        assert_int_equal(wm_jit_open(&wm_sys_real, WM_ENGINE_JIT, &j, &err), WM_EUSAGE);
        assert_non_null(strstr(err.msg, i ? "can not be loaded" : "/nowhere/wmap-jit.so"));
        assert_null(j);
    }
    if (keep[0])
        setenv("WMAP_JIT_PLUGIN", keep, 1);
    else
        unsetenv("WMAP_JIT_PLUGIN");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_movements_are_the_same),
        cmocka_unit_test(test_outermost_extent_is_free),
        cmocka_unit_test(test_casts_are_the_same),
        cmocka_unit_test(test_arithmetic_is_the_same),
        cmocka_unit_test(test_chains_are_the_same),
        cmocka_unit_test(test_others_stay_with_the_interpreter),
        cmocka_unit_test(test_no_page_is_writable_and_executable),
        cmocka_unit_test(test_host_without_executable_memory),
        cmocka_unit_test(test_plugin_that_is_none),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
