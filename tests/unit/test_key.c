/* tests/unit/test_key.c -- questions about single keys and pairs, one row each, and hostile sizes.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <time.h>

#include "tests/unit/key_kit.h"

static struct wm_arena arena;

static int
setup(void **state)
{
    (void)state;
    wm_arena_init(&arena, &wm_sys_real, NULL, NULL);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    wm_arena_fini(&arena);
    return 0;
}

static void
expect_text(const char *what, struct wm_str got, const char *want)
{
    if (got.n != strlen(want) || memcmp(got.p ? got.p : "", want, got.n) != 0)
        fail_msg("%s: proof is \"%.*s\", expected \"%s\"", what, WM_STR_ARG(got), want);
}

/* proof NULL: decodes in one way; "": refused without a proof. */
static const struct {
    const char *key, *proof;
} ambiguous_cases[] = {
    {"model.norm.weight", NULL},
    {"model.layers.{l}.mlp.experts.{e}.w{i}.{p in a|b}.{r*}", NULL},
    {"x{i}{j}", "x110"},
    {"{a*}.{b*}", "x..x"},
    {"{a*}{b*}", "xxx"},
    {"{p in a|ab}{q in c|bc}", "abc"},
    {"{p in a|ab}{q in c|d}", NULL},
    {"{p in a|ab}.{q in c|bc}", NULL},
    {"{p in a|ab|a}", "a"},
    {"{i:02}{j:02}", "10100"},
    {"{i}{p in 0|1}", NULL},
    {"{i}{p in 0|10}", "110"},
    {"{m*}.{p in q|k|v}_proj.weight", NULL},
    {"{m*}{p in x|yx}", "xyx"},
    {"{m*}{i}", "x10"},
    {"{i}{m*}", "10x"},
    {"{i}.{m*}", NULL},
    {"{i}.{i}", NULL},
    {"{i}{i}", NULL},
    {"{a*}.{a*}", NULL},
    {"{p in a|ab}{p in a|ab}", NULL},
    {"{p in a|ab|a}{p in a|ab|a}", "aa"},
    {"{a*}.{i}.{a*}", ""},
    {"{i}{j}.{i}", ""},
    {"{a*}{b*}{a*}", "xxxxx"},
};

static void
ambiguous(void **state)
{
    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(ambiguous_cases); i++) {
        const char *proof = ambiguous_cases[i].proof;
        struct wm_key k = kit_key(&arena, ambiguous_cases[i].key);
        struct wm_str got = {0};

        print_message("  %s\n", ambiguous_cases[i].key);
        assert_int_equal(wm_key_ambiguous(&arena, &k, &got), proof != NULL);
        if (proof)
            expect_text(ambiguous_cases[i].key, got, proof);
        if (proof && *proof && !strstr(ambiguous_cases[i].key, "|a}"))
            assert_true(kit_count(&k, got, true) > 1);
    }
}

static const struct {
    const char *x, *y, *proof; /* as above */
} overlap_cases[] = {
    {"a.b", "a.b", "a.b"},
    {"a.b", "a.c", NULL},
    {"a.b", "a.bc", NULL},
    {"layers.{l}.w", "layers.{m}.w", "layers.0.w"},
    {"layers.{l}.w", "layers.3.w", "layers.3.w"},
    {"layers.{l}.w", "layers.03.w", NULL},
    {"layers.{l:02}.w", "layers.03.w", "layers.03.w"},
    {"layers.{l:02}.w", "layers.{m}.w", "layers.10.w"},
    {"layers.{l:05}.w", "layers.{m:05}.w", "layers.00000.w"},
    {"{p in q|k|v}.w", "{p in w|v}.w", "v.w"},
    {"{p in q|k}.w", "{p in w|v}.w", NULL},
    {"{m*}.w", "a.{i}.w", "a.0.w"},
    {"{m*}.w", "{n*}", "x.w"},
    {"{m*}.q.w", "{m*}.k.w", NULL},
    {"a.{m*}", "{m*}.b", "a.b"},
    {"{m*}", "x", "x"},
    {"a.{i}.{i}", "a.{i}.{j}", "a.0.0"},
    {"a.{i}.{i}", "a.1.2", NULL},
    {"a.{i}.{i}", "a.{j}.5", "a.5.5"},
    {"{p in a|b}.{p in c|d}", "a.{q in d|e}", NULL},
    {"{p in a|b}.{p in c|d}", "{q in a|b}.{r in d|e}", "b.d"},
    {"{p in a|0}{p in b}.w", "{j}{e*}", NULL},
    {"{a*}/{a*}", "{i}/foo", ""},
    {"{a*}/{a*}", "{p in bar|foo}/foo", "foo/foo"},
};

static void
overlap(void **state)
{
    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(overlap_cases); i++) {
        const char *proof = overlap_cases[i].proof;
        struct wm_key x = kit_key(&arena, overlap_cases[i].x);
        struct wm_key y = kit_key(&arena, overlap_cases[i].y);

        for (int turn = 0; turn < 2; turn++) {
            struct wm_str got = {0};

            print_message("  %s and %s\n", overlap_cases[i].x, overlap_cases[i].y);
            assert_int_equal(wm_key_overlap(&arena, turn ? &y : &x, turn ? &x : &y, &got),
                             proof != NULL);
            if (proof)
                expect_text(overlap_cases[i].x, got, proof);
        }
    }
}

/* proof NULL: inside. */
static const struct {
    const char *x, *y, *proof;
} inside_cases[] = {
    {"a.b", "a.{p in b|c}", NULL},
    {"a.{p in b|c}", "a.b", "a.c"},
    {"layers.{l}.w", "layers.{r*}", NULL},
    {"layers.{r*}", "layers.{l}.w", "layers.x"},
    {"layers.{l}.{r*}", "{r*}", NULL},
    {"{m*}.w", "{m*}.b.w", "x.w"},
    {"{m*}.b.w", "{m*}.w", NULL},
    {"a.{i:02}", "a.{i}", "a.00"},
    {"a.{i}", "a.{i:02}", "a.0"},
    {"a{i}{p in 0|1}", "a{i}{j}", NULL},
    {"a{i}{j}", "a{i}{p in 0|1|2}", "a03"},
    {"{i}", "{p in 0|1|2|3|4|5|6|7|8}{q*}", "0"},
    {"{m*}1{i:09}", "{n*}1{j:09}", NULL},
    {"a.{i}.{i}", "a.{i}.{j}", NULL},
    {"a.{i}.{j}", "a.{i}.{i}", "a.0.1"},
    {"a.{i}.{i}.w", "a.{j}.{j}.{r*}", NULL},
    {"a.{i}.{j}.w", "a.{j}.{j}.{r*}", "a.0.1.w"},
    {"a.1.1", "a.{j}.{j}", ""},
    {"a.{i}.{i}", "a.{p in 0|1}.{r*}", "a.2.2"},
};

static void
inside(void **state)
{
    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(inside_cases); i++) {
        const char *proof = inside_cases[i].proof;
        struct wm_key x = kit_key(&arena, inside_cases[i].x);
        struct wm_key y = kit_key(&arena, inside_cases[i].y);
        struct wm_str got = {0};

        print_message("  %s in %s\n", inside_cases[i].x, inside_cases[i].y);
        assert_int_equal(wm_key_inside(&arena, &x, &y, &got), proof == NULL);
        assert_int_equal(wm_key_inside(&arena, &x, &y, NULL), proof == NULL);
        if (proof)
            expect_text(inside_cases[i].x, got, proof);
    }
}

/* want NULL: no match; else the texts of the holes, joined by spaces. */
static const struct {
    const char *key, *text, *want;
} match_cases[] = {
    {"a.b", "a.b", ""},
    {"a.b", "a.bc", NULL},
    {"a.b", "a", NULL},
    {"a.b", "", NULL},
    {"l.{i}.w", "l.0.w", "0"},
    {"l.{i}.w", "l.10.w", "10"},
    {"l.{i}.w", "l.010.w", NULL},
    {"l.{i}.w", "l..w", NULL},
    {"l.{i}.w", "l.-1.w", NULL},
    {"l.{i}.w", "l.9223372036854775807.w", "9223372036854775807"},
    {"l.{i}.w", "l.9223372036854775808.w", NULL},
    {"{i:05}", "00012", "00012"},
    {"{i:05}", "0012", NULL},
    {"{i:05}", "12345", "12345"},
    {"{i:05}", "123456", "123456"},
    {"{i:05}", "012345", NULL},
    {"{p in a|ab}{q in c|d}", "abd", "ab d"},
    {"{i}{p in 0|1}", "100", "10 0"},
    {"{m*}.{p in q|k}.w", "a.q.q.w", "a.q q"},
    {"{m*}.{p in q|k}.w", ".q.w", NULL},
    {"m.{i}.{r*}", "m.3.x.y", "3 x.y"},
    {"m.{i}.{r*}", "m.3.", NULL},
    {"{i}.{i}", "3.3", "3 3"},
    {"{i}.{i}", "3.4", NULL},
    {"{i}.{i:03}", "3.003", "3 003"},
    {"{i}{i}", "1212", "12 12"},
    {"{i}{i}", "121", NULL},
    {"{i}{i}", "0101", NULL},
    {"{a*}.{a*}", "x.y.x.y", "x.y x.y"},
    {"{a*}.{a*}", "x.y.x.z", NULL},
    {"{p in a|ab}{p in a|ab}", "abab", "ab ab"},
    {"{p in a|b}.{p in c|d}", "b.d", "b d"},
    {"{p in a|b}.{p in c|d}", "b.c", NULL},
};

static void
match(void **state)
{
    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(match_cases); i++) {
        const char *want = match_cases[i].want;
        struct wm_key k = kit_key(&arena, match_cases[i].key);
        int64_t *value = WM_NEW_N(&arena, int64_t, k.npart);
        struct wm_str *cap = WM_NEW_N(&arena, struct wm_str, k.npart);
        struct wm_buf got;

        print_message("  %s at %s\n", match_cases[i].key, match_cases[i].text);
        assert_int_equal(wm_key_match(&k, wm_str_c(match_cases[i].text), value, cap), want != NULL);
        if (!want)
            continue;
        wm_buf_init(&got, &arena);
        for (uint32_t p = 0; p < k.npart; p++) {
            if (k.part[p].kind == WM_KP_TEXT)
                continue;
            if (got.n)
                wm_buf_putc(&got, ' ');
            wm_buf_puts(&got, cap[p]);
            if (k.part[p].kind == WM_KP_INDEX)
                assert_int_equal(value[p], strtoll(wm_arena_cstr(&arena, cap[p]), NULL, 10));
            if (k.part[p].kind == WM_KP_WORDS)
                assert_true(wm_str_eq(cap[p], k.part[p].word[value[p]]));
        }
        expect_text(match_cases[i].key, wm_buf_str(&got), want);
    }
}

static struct wm_str
one_letter(void *user, uint32_t var)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

    (void)user;
    return (struct wm_str){letters + (var - 'a'), 1};
}

static void
print(void **state)
{
    static const char text[] = "m.{l}.{i:05}.{p in q|k}.{p in q|k}.{r*}";
    struct wm_key k = kit_key(&arena, text);
    struct wm_kpart odd = {.kind = WM_KP_TEXT, .text = WM_STR("a{b}\"\\\n\t\x01\xc3\xa9")};
    struct wm_buf b;

    (void)state;
    wm_buf_init(&b, &arena);
    wm_key_print(&k, one_letter, NULL, &b);
    expect_text(text, wm_buf_str(&b), "m.{l}.{i:05}.{p in q|k}.{p}.{r*}");
    k.part = &odd;
    k.npart = 1;
    wm_buf_init(&b, &arena);
    wm_key_print(&k, one_letter, NULL, &b);
    expect_text("escapes", wm_buf_str(&b), "a{{b}}\\\"\\\\\\n\\t\\u{1}\xc3\xa9");
}

/* ---- sizes ---- */

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool
count_pair(void *user, uint32_t i, uint32_t j, struct wm_str proof)
{
    uint32_t *n = user;

    assert_true(i < j);
    assert_true(proof.n > 0);
    return ++*n < 100000;
}

/* A model's worth of keys: `n` named ones below "model.layers.{l}.", and captures for every
 * hundredth. */
static uint32_t
many(uint32_t n, bool captures, double *seconds)
{
    struct wm_key *k = WM_NEW_N(&arena, struct wm_key, n);
    const struct wm_key **p = WM_NEW_N(&arena, const struct wm_key *, n);
    uint32_t found = 0;
    double t;

    for (uint32_t i = 0; i < n; i++) {
        const char *form = captures && i % 100 == 0
                               ? "{m*}.block%u.{p in q|k|v}_proj.weight"
                               : "model.layers.{l}.block%u.experts.{e}.{p in q|k|v}_proj.weight";

        k[i] = kit_key(&arena, wm_arena_printf(&arena, form, i).p);
        p[i] = &k[i];
    }
    t = now();
    for (uint32_t i = 0; i < n; i++) {
        struct wm_str proof;

        assert_false(wm_key_ambiguous(&arena, &k[i], &proof));
    }
    wm_keys_overlaps(&arena, p, n, count_pair, &found);
    *seconds = now() - t;
    return found;
}

static void
many_keys(void **state)
{
    double s;

    (void)state;
    assert_int_equal(many(2000, false, &s), 0);
    print_message("  2000 keys: %.1f ms\n", s * 1e3);
    assert_true(s < 3); /* with sanitizers; a release build takes a hundredth */
    assert_int_equal(many(2000, true, &s), 0);
    print_message("  2000 keys, 20 with captures: %.1f ms\n", s * 1e3);
    assert_true(s < 5);
}

/* Bytes that an arena may ask for, all together. */
static struct { size_t left; jmp_buf out; } budget;

static void *
budget_malloc(size_t n)
{
    if (n > budget.left)
        return NULL;
    budget.left -= n;
    return malloc(n);
}

static void
over_budget(void *user)
{
    (void)user;
    longjmp(budget.out, 1);
}

/* Overlapping pairs among 2 000 keys of that form, found with `bytes` of memory; -1: those were not enough. */
static int
overlaps_within(const char *form, size_t bytes)
{
    enum { N = 2000 };
    struct wm_key *k = WM_NEW_N(&arena, struct wm_key, N);
    const struct wm_key **p = WM_NEW_N(&arena, const struct wm_key *, N);
    struct wm_sys sys = wm_sys_real;
    struct wm_arena a;
    uint32_t found = 0;
    volatile int result = -1;

    for (uint32_t i = 0; i < N; i++) {
        k[i] = kit_key(&arena, wm_arena_printf(&arena, form, i, i).p);
        p[i] = &k[i];
    }
    sys.malloc = budget_malloc;
    budget.left = bytes;
    wm_arena_init(&a, &sys, over_budget, NULL);
    if (setjmp(budget.out) == 0) {
        wm_keys_overlaps(&a, p, N, count_pair, &found);
        result = (int)found;
    }
    wm_arena_fini(&a);
    return result;
}

/* Work that grows with the square of the keys takes memory that does, too: pairs of states, and proofs. */
static void
many_lists_of_words(void **state)
{
    (void)state;
    assert_int_equal(overlaps_within("m.{l}.{p in a%u|b%u}.{r*}", 8 << 20), 0);
    assert_int_equal(overlaps_within("{p in a%u|b%u}.w.{i}", 8 << 20), 0);
}

static void
many_twins(void **state)
{
    (void)state;
    assert_int_equal(overlaps_within("h.{l}.weight", 1 << 20), 100000); /* where count_pair() has enough */
}

static void
everything_overlaps(void **state)
{
    enum { N = 400 };
    struct wm_key k[N];
    const struct wm_key *p[N];
    uint32_t found = 0;

    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        k[i] = kit_key(&arena, i == 0 ? "{r*}" : wm_arena_printf(&arena, "a.{i}.w%u", i).p);
        p[i] = &k[i];
    }
    wm_keys_overlaps(&arena, p, N, count_pair, &found);
    assert_int_equal(found, N - 1);
    for (uint32_t i = 0; i < N; i++)
        k[i] = kit_key(&arena, "a.{i}.w");
    found = 0;
    wm_keys_overlaps(&arena, p, N, count_pair, &found);
    assert_int_equal(found, N * (N - 1) / 2);
    for (uint32_t i = 0; i < 3; i++)
        k[i] = kit_key(&arena, "{i}{j}");
    found = 0;
    wm_keys_overlaps(&arena, p, 3, count_pair, &found);
    assert_int_equal(found, 3);
}

static void
hostile_texts(void **state)
{
    enum { N = 16 << 20 };
    static const char *const keys[] = {"{m*}.{p in a|aa|aaa}.{i}",
                                       "a{i}{m*}a",
                                       "{i}.w",
                                       "{i:09}",
                                       "{a*}a{a*}",
                                       "{p in a|b}{p in a|b}",
                                       "{m*}aaaaaaaaaaaaaaaab"};
    char *text = malloc(N);
    double t = now();

    (void)state;
    assert_non_null(text);
    for (int fill = 0; fill < 2; fill++) {
        memset(text, fill ? '1' : 'a', N);
        for (size_t i = 0; i < WM_COUNTOF(keys); i++) {
            struct wm_key k = kit_key(&arena, keys[i]);
            int64_t value[8];
            struct wm_str cap[8];

            wm_key_match(&k, (struct wm_str){text, N - 1}, value, cap);
        }
    }
    free(text);
    print_message("  %.1f ms\n", (now() - t) * 1e3);
    assert_true(now() - t < 3);
}

/* Large templates, made so that searches go wrong for as long as possible. */
static void
hostile_templates(void **state)
{
    enum { N = 16000 };
    char *s = wm_arena_alloc(&arena, N + 10);
    struct wm_key x, y;
    struct wm_str proof;
    double t = now();

    (void)state;
    strcpy(s, "{m*}");
    memset(s + 4, 'a', N);
    strcpy(s + 4 + N, "{i}");
    x = kit_key(&arena, s);
    assert_false(wm_key_ambiguous(&arena, &x, &proof));
    y = kit_key(&arena, s + 4);
    assert_true(wm_key_overlap(&arena, &x, &x, &proof));
    assert_false(wm_key_overlap(&arena, &x, &y, &proof));
    assert_false(wm_key_inside(&arena, &y, &x, &proof));
    print_message("  %.1f ms\n", (now() - t) * 1e3);
    assert_true(now() - t < 10);
}

/* ---- memory ---- */

static struct {
    int live, fail; /* blocks not freed; allocations until one fails */
    jmp_buf out;
} count;

static void *
count_malloc(size_t n)
{
    if (--count.fail == 0)
        return NULL;
    count.live++;
    return malloc(n);
}

static void
count_free(void *p)
{
    count.live -= p != NULL;
    free(p);
}

static void
jump_out(void *user)
{
    (void)user;
    longjmp(count.out, 1);
}

/* All questions with the nth allocation failing; true if there was none.  Either way nothing stays
 * behind, and the arena has its own hook again. */
static bool
ask_with_failure(int n)
{
    struct wm_sys sys = wm_sys_real;
    struct wm_key k[2] = {kit_key(&arena, "a.{i}.{p in a|b}.{i}"), kit_key(&arena, "a.{i}.{m*}")};
    const struct wm_key *p[2] = {&k[0], &k[1]};
    struct wm_arena a;
    uint32_t found = 0;
    struct wm_str proof;
    bool failed;

    sys.malloc = count_malloc;
    sys.free = count_free;
    wm_arena_init(&a, &sys, jump_out, NULL);
    count.fail = n;
    count.live = 0;
    if (setjmp(count.out) == 0) {
        wm_key_ambiguous(&a, &k[0], &proof);
        wm_key_inside(&a, &k[1], &k[0], &proof);
        wm_keys_overlaps(&a, p, 2, count_pair, &found);
        assert_int_equal(found, 1);
    }
    failed = count.fail <= 0;
    assert_true(a.oom == jump_out && a.oom_user == NULL);
    wm_arena_fini(&a);
    assert_int_equal(count.live, 0);
    return !failed;
}

static void
out_of_memory(void **state)
{
    int n = 1;

    (void)state;
    while (!ask_with_failure(n) && n < 10000)
        n++;
    assert_in_range(n, 5, 9999);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ambiguous),
        cmocka_unit_test(overlap),
        cmocka_unit_test(inside),
        cmocka_unit_test(match),
        cmocka_unit_test(print),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(many_lists_of_words),
        cmocka_unit_test(many_twins),
        cmocka_unit_test(everything_overlaps),
        cmocka_unit_test(hostile_texts),
        cmocka_unit_test(hostile_templates),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
