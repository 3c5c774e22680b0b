/* tests/unit/test_api.c -- the small machines of api/: folding of names, order of names, sizes,
 * elements as numbers, solving boxes, JSON and tables on their way to a sink; and contexts as
 * another program uses them. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/element.h"
#include "api/fold.h"
#include "api/parallel.h"
#include "api/table.h"
#include "api/view.h"

/* ---- a sink ---- */

struct collected {
    char text[4096];
    size_t n, calls, refuse_at; /* refuse_at: the call that fails, from 1; 0: none */
};

static int
collect(void *user, const char *p, size_t n)
{
    struct collected *c = user;

    if (++c->calls == c->refuse_at)
        return -1;
    assert_true(c->n + n < sizeof(c->text));
    memcpy(c->text + c->n, p, n);
    c->n += n;
    c->text[c->n] = '\0';
    return 0;
}

/* ---- names ---- */

/* Names separated by spaces; a name may have its class behind a '@'. */
static void
check_fold(const char *names, const char *want)
{
    struct wm_arena a;
    struct wm_fold_item item[64];
    struct wm_fold_line *line;
    struct wm_buf b;
    char copy[1024], *save = NULL;
    uint32_t n = 0, nline, members = 0;

    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    snprintf(copy, sizeof(copy), "%s", names);
    for (char *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
        char *at = strchr(p, '@');

        item[n].cls = at ? (uint64_t)atoi(at + 1) : 0;
        if (at)
            *at = '\0';
        item[n++].name = wm_str_c(p);
    }
    wm_fold(&a, item, n, &line, &nline);
    wm_buf_init(&b, &a);
    for (uint32_t k = 0; k < nline; k++) {
        wm_buf_printf(&b, "%s%.*s", k ? " " : "", WM_STR_ARG(line[k].name));
        members += line[k].n;
    }
    assert_string_equal(b.p ? b.p : "", want);
    assert_int_equal(members, n);
    wm_arena_fini(&a);
}

static void
test_fold(void **state)
{
    (void)state;
    check_fold("", "");
    check_fold("a", "a");
    check_fold("l.0.w l.1.w l.2.w", "l.{0..2}.w");
    check_fold("l.0.w l.1.w", "l.{0,1}.w");
    check_fold("l.0.w l.2.w l.3.w l.4.w l.9.w", "l.{0,2..4,9}.w");
    check_fold("l.0.a l.0.b l.1.a l.1.b", "l.{0,1}.a l.{0,1}.b");
    check_fold("l.0.w@1 l.1.w@2 l.2.w@1", "l.{0,2}.w l.1.w");
    check_fold("e.0.0 e.0.1 e.1.0 e.1.1", "e.{0,1}.{0,1}");
    check_fold("e.0.0 e.0.1 e.1.0", "e.0.{0,1} e.1.0");
    check_fold("10 9", "{9,10}");
    check_fold("x1.w x2.w", "x1.w x2.w");         /* no component of its own */
    check_fold("l.01.w l.02.w", "l.01.w l.02.w"); /* not how a number is written */
    check_fold("a/0/b a/1/b", "a/{0,1}/b");
    check_fold("9999999999999999999.w", "9999999999999999999.w");
    check_fold("1.1.1.1.1.1.1 2.1.1.1.1.1.1", "{1,2}.1.1.1.1.1.1"); /* more numbers than columns */
    check_fold("0 2 4 6 8 10 12 14 16 18 20 22 24 26", "{0,2,4,6,8,10,12,14,16,18,20,22,...}");
}

static void
test_name_order(void **state)
{
    static const char *const sorted[] = {"a",    "a.0",    "a.1",  "a.01", "a.2",
                                         "a.10", "a.10.b", "a.11", "a.b",  "b"};

    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(sorted); i++)
        for (size_t j = 0; j < WM_COUNTOF(sorted); j++) {
            int c = wm_name_cmp(wm_str_c(sorted[i]), wm_str_c(sorted[j]));

            /* "a.1" and "a.01" are the same number: only their order is fixed */
            if ((i == 2 && j == 3) || (i == 3 && j == 2))
                assert_int_not_equal(c, 0);
            else
                assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
        }
}

/* ---- sizes ---- */

static void
test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        {"1", 1},
        {"4096", 4096},
        {"5GB", 5000000000},
        {"5G", 5000000000},
        {"5gb", 5000000000},
        {"1GiB", 1 << 30},
        {"64MiB", 64 << 20},
        {"1.5kB", 1500},
        {"0.5MiB", 1 << 19},
        {"7B", 7},
        {"16EiB", 0},
        {"15EiB", UINT64_C(15) << 60},
        {"18446744073709551615", UINT64_MAX},
        {"18446744073709551616", 0},
        {"", 0},
        {"-1", 0},
        {" 1", 0},
        {"1 GB", 0},
        {"1GBB", 0},
        {"1X", 0},
        {"GB", 0},
    };

    (void)state;
    for (size_t k = 0; k < WM_COUNTOF(cases); k++) {
        uint64_t got = 0;

        assert_int_equal(wmap_parse_size(cases[k].text, &got), cases[k].bytes != 0);
        assert_int_equal(got, cases[k].bytes);
    }
}

static void
test_print_size(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {999, "999 B"},
        {1000, "1.00 kB"},
        {9994, "9.99 kB"},
        {9996, "10.0 kB"},
        {99960, "100 kB"},
        {999499, "999 kB"},
        {999600, "1.00 MB"},
        {90939392, "90.9 MB"},
        {UINT64_MAX, "18.4 EB"},
    };
    char text[16], tiny[4];

    (void)state;
    for (size_t k = 0; k < WM_COUNTOF(cases); k++) {
        wmap_print_size(cases[k].bytes, text, sizeof(text));
        assert_string_equal(text, cases[k].text);
    }
    wmap_print_size(90939392, tiny, sizeof(tiny));
    assert_string_equal(tiny, "90.");
}

static void
test_nearest(void **state)
{
    static const char *const names[] = {"run", "check", "inspect"};

    (void)state;
    assert_int_equal(wmap_nearest("inspekt", names, 3), 2);
    assert_int_equal(wmap_nearest("chek", names, 3), 1);
    assert_int_equal(wmap_nearest("xyzzy", names, 3), -1);
    assert_int_equal(wmap_nearest("", names, 3), -1);
    assert_int_equal(wmap_nearest("run", names, 0), -1);
}

/* ---- elements ---- */

static void
test_elements(void **state)
{
    static const struct {
        enum wm_dtype t;
        uint64_t bits;
        double value;
    } cases[] = {
        {WM_DT_BF16, 0x3f80, 1},
        {WM_DT_BF16, 0xc049, -3.140625},
        {WM_DT_BF16, 0x7f80, (double)INFINITY},
        {WM_DT_F16, 0x3c00, 1},
        {WM_DT_F16, 0x0001, 0x1p-24},
        {WM_DT_F16, 0xfbff, -65504},
        {WM_DT_F16, 0xfc00, -(double)INFINITY},
        {WM_DT_F8_E4M3, 0x7e, 448},
        {WM_DT_F8_E4M3, 0x01, 0x1p-9},
        {WM_DT_F8_E5M2, 0x7b, 57344},
        {WM_DT_F8_E5M2, 0x7c, (double)INFINITY},
        {WM_DT_F8_E4M3FNUZ, 0x7f, 240},
        {WM_DT_F8_E5M2FNUZ, 0x7f, 57344},
        {WM_DT_F8_E8M0, 127, 1},
        {WM_DT_F8_E8M0, 0, 0x1p-127},
        {WM_DT_F32, 0x3fc00000, 1.5},
        {WM_DT_F64, UINT64_C(0xc000000000000000), -2},
        {WM_DT_I8, 0xff, -1},
        {WM_DT_U8, 0xff, 255},
        {WM_DT_I16, 0x8000, -32768},
        {WM_DT_U32, 0xffffffff, 4294967295},
        {WM_DT_I64, UINT64_MAX, -1},
        {WM_DT_BOOL, 1, 1},
    };
    static const struct {
        enum wm_dtype t;
        uint64_t bits;
    } nans[] = {
        {WM_DT_BF16, 0x7fc1},  {WM_DT_F16, 0x7e00},       {WM_DT_F8_E4M3, 0x7f},
        {WM_DT_F8_E5M2, 0x7d}, {WM_DT_F8_E4M3FNUZ, 0x80}, {WM_DT_F8_E5M2FNUZ, 0x80},
        {WM_DT_F8_E8M0, 0xff}, {WM_DT_F32, 0x7f800001},
    };

    (void)state;
    for (size_t k = 0; k < WM_COUNTOF(cases); k++) {
        unsigned char p[8];

        memcpy(p, &cases[k].bits, 8);
        assert_true(wm_element_is_real(cases[k].t));
        assert_true(wm_element_get(cases[k].t, p) == cases[k].value);
    }
    for (size_t k = 0; k < WM_COUNTOF(nans); k++) {
        unsigned char p[8];

        memcpy(p, &nans[k].bits, 8);
        assert_true(isnan(wm_element_get(nans[k].t, p)));
    }
    assert_false(wm_element_is_real(WM_DT_C64));
    assert_false(wm_element_is_real(WM_DT_F4));
    assert_int_equal(wm_element_unit(WM_DT_F4), 1);
}

static void
test_elements_in_words(void **state)
{
    static const struct {
        enum wm_dtype t;
        uint64_t bits;
        const char *text;
    } cases[] = {
        {WM_DT_F32, 0x3dcccccd, "0.100000001"},
        {WM_DT_BF16, 0x7fc1, "nan (0x7fc1)"},
        {WM_DT_I64, UINT64_C(0x8000000000000000), "-9223372036854775808"},
        {WM_DT_U64, UINT64_MAX, "18446744073709551615"},
        {WM_DT_F4, 0x21, "0x21"},
        {WM_DT_C64, UINT64_C(0x400000003f800000), "0x400000003f800000"},
    };
    struct wm_arena a;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    for (size_t k = 0; k < WM_COUNTOF(cases); k++) {
        unsigned char p[8];
        struct wm_buf b;

        wm_buf_init(&b, &a);
        memcpy(p, &cases[k].bits, 8);
        wm_element_print(cases[k].t, p, &b);
        assert_string_equal(b.p, cases[k].text);
    }
    wm_arena_fini(&a);
}

/* ---- boxes ---- */

struct hits {
    int64_t dst[512];
    uint32_t n;
};

static bool
hit(void *user, int64_t dst)
{
    struct hits *h = user;

    assert_true(h->n < WM_COUNTOF(h->dst));
    h->dst[h->n++] = dst;
    return true;
}

static uint32_t
draw(uint32_t *seed, uint32_t n)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 16) % n;
}

/* Random boxes, broadcast axes among them, against walking through all of their units. */
static void
test_solving_boxes(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct wm_plan_dim dim[4] = {0};
        struct wm_box_axis axis[5];
        int64_t tail[5], stride = 1, total = 1, want;
        struct wm_plan_box b = {
            .nsrc = 1, .dst_base = draw(&seed, 5), .src_base = {draw(&seed, 5)}};
        struct wm_view v = {.dim = dim, .axis = axis, .tail = tail};
        struct hits h = {.n = 0};
        uint32_t expect = 0;

        b.rank = draw(&seed, 5);
        for (uint32_t d = b.rank; d-- > 0;) { /* ascending dst strides from the back */
            dim[d].extent = 1 + draw(&seed, 4);
            dim[d].dst = stride * (1 + draw(&seed, 2));
            dim[d].src[0] = draw(&seed, 4) ? draw(&seed, 30) : 0;
            stride = dim[d].dst * dim[d].extent;
            total *= dim[d].extent;
        }
        want = b.src_base[0] + draw(&seed, 40);
        wm_box_targets(&v, &b, 0, want, hit, &h);
        for (int64_t u = 0; u < total; u++) {
            int64_t rest = u, dst = b.dst_base, src = b.src_base[0], got = -1;
            bool found = false;

            for (uint32_t d = b.rank; d-- > 0;) {
                dst += rest % dim[d].extent * dim[d].dst;
                src += rest % dim[d].extent * dim[d].src[0];
                rest /= dim[d].extent;
            }
            assert_true(wm_box_source(&v, &b, 0, dst, &got));
            assert_int_equal(got, src);
            for (uint32_t k = 0; k < h.n; k++)
                found = found || h.dst[k] == dst;
            assert_int_equal(found, src == want);
            expect += src == want;
        }
        assert_int_equal(h.n, expect);
        assert_int_equal(wm_box_count(&v, &b), total);
        assert_false(wm_box_source(&v, &b, 0, b.dst_base - 1, &want));
        assert_false(wm_box_source(&v, &b, 0, b.dst_base + stride * 2 + 1, &want));
    }
}

static void
test_runs(void **state)
{
    struct wm_plan_dim dim[] = {
        {.extent = 4, .dst = 100, .src = {60}}, {.extent = 2, .dst = 30, .src = {30}},
        {.extent = 3, .dst = 10, .src = {10}},  {.extent = 5, .dst = 2, .src = {2}},
        {.extent = 2, .dst = 1, .src = {1}},
    };
    struct wm_view v = {.dim = dim};
    struct wm_plan_box b = {.nsrc = 1, .rank = 5};

    (void)state;
    assert_int_equal(wm_box_run(&v, &b), 60); /* the first axis stands apart in the output */
    dim[4].src[0] = 3;
    assert_int_equal(wm_box_run(&v, &b), 1);
    b.nsrc = 0; /* a fill has no source to stand apart in */
    assert_int_equal(wm_box_run(&v, &b), 60);
    b.rank = 0;
    assert_int_equal(wm_box_run(&v, &b), 1);
}

/* ---- pieces of work ---- */

struct tally {
    uint32_t done[1000];
    uint64_t fail_at;
};

static enum wm_status
count_piece(void *user, unsigned thread, uint64_t i, struct wm_err *err)
{
    struct tally *t = user;

    (void)thread;
    t->done[i]++;
    return i == t->fail_at ? wm_fail(err, WM_EIO, "file", "piece %d", (int)i) : WM_OK;
}

static void
test_parallel(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 5; threads += 2) {
        struct tally t = {.fail_at = UINT64_MAX};
        struct wm_parallel p = {count_piece, &t, &wm_sys_real, threads, WM_COUNTOF(t.done)};
        struct wm_err err = {0};

        assert_int_equal(wm_parallel_run(&p, &err), WM_OK);
        for (size_t k = 0; k < WM_COUNTOF(t.done); k++)
            assert_int_equal(t.done[k], 1);
        t.fail_at = 500;
        assert_int_equal(wm_parallel_run(&p, &err), WM_EIO);
        assert_string_equal(err.msg, "file: piece 500");
        p.n = 0;
        assert_int_equal(wm_parallel_run(&p, &err), WM_OK);
    }
}

/* ---- results ---- */

static void
test_json(void **state)
{
    static const int64_t shape[] = {2, 3};
    struct collected c = {.n = 0};
    struct wm_arena a;
    struct wm_out o;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    wm_out_init(&o, &a, (wmap_sink){collect, &c});
    wm_js_result(&o, "wmap.x/1", WMAP_NO);
    wm_js_array(&o, "empty");
    wm_js_close(&o);
    wm_js_array(&o, "list");
    wm_js_object(&o, NULL);
    wm_js_str(&o, "s", WM_STR("a\"b"));
    wm_js_shape(&o, "shape", shape, 2);
    wm_js_close(&o);
    wm_js_close(&o);
    wm_js_real(&o, "nan", (double)NAN);
    wm_js_real(&o, "half", 0.5);
    wm_js_bool(&o, "yes", true);
    wm_js_close(&o);
    assert_true(wm_out_end(&o));
    assert_string_equal(c.text, "{\n"
                                "  \"schema\": \"wmap.x/1\",\n"
                                "  \"status\": 1,\n"
                                "  \"empty\": [],\n"
                                "  \"list\": [\n"
                                "    {\"s\": \"a\\\"b\", \"shape\": [2, 3]}\n"
                                "  ],\n"
                                "  \"nan\": \"nan\",\n"
                                "  \"half\": 0.5,\n"
                                "  \"yes\": true\n"
                                "}\n");
    wm_arena_fini(&a);
}

static void
test_table(void **state)
{
    static const char *const cell[] = {"a", "1", "", "long", "", "x", "\xc3\xa4", "100", "y"};
    struct collected c = {.n = 0};
    struct wm_arena a;
    struct wm_table t;
    struct wm_out o;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    wm_out_init(&o, &a, (wmap_sink){collect, &c});
    wm_table_init(&t, &a, "lrl");
    for (size_t k = 0; k < WM_COUNTOF(cell); k++)
        wm_table_cell(&t, wm_str_c(cell[k]));
    wm_table_print(&t, "> ", &o);
    assert_true(wm_out_end(&o));
    assert_string_equal(c.text, "> a       1\n> long       x\n> \xc3\xa4     100  y\n");
    wm_arena_fini(&a);
}

/* A sink that refuses stops the result; nothing more is handed to it. */
static void
test_refusing_sink(void **state)
{
    struct collected c = {.refuse_at = 2};
    struct wm_arena a;
    struct wm_out o;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    wm_out_init(&o, &a, (wmap_sink){collect, &c});
    for (int k = 0; k < 3; k++) {
        wm_buf_putz(&o.b, "piece");
        wm_out_end(&o);
    }
    assert_false(wm_out_end(&o));
    assert_int_equal(c.calls, 2);
    assert_string_equal(c.text, "piece");
    wm_arena_fini(&a);
}

/* ---- contexts ---- */

static void
test_context(void **state)
{
    static const char good[] = "wmap 1\nmap good \"says so\"\n\"a\" <-> \"b\"\n";
    static const char bad[] = "wmap 1\nmap bad\n\"a\" <->\n";
    struct collected c = {.n = 0};
    wmap_ctx *ctx = wmap_ctx_new();
    wmap_checkpoint *p;
    wmap_map *map;

    (void)state;
    assert_string_equal(wmap_message(ctx), "");
    assert_int_equal(wmap_map_parse(ctx, "bad.wmap", bad, sizeof(bad) - 1, &map), WMAP_NO);
    assert_null(map);
    assert_true(wmap_error_count(ctx) > 0);
    assert_int_equal(wmap_diagnostics(ctx, WMAP_TEXT, (wmap_sink){collect, &c}), WMAP_OK);
    assert_non_null(strstr(c.text, "bad.wmap:"));
    wmap_diagnostics_clear(ctx);
    assert_int_equal(wmap_error_count(ctx), 0);

    assert_int_equal(wmap_map_parse(ctx, "good.wmap", good, sizeof(good) - 1, &map), WMAP_OK);
    assert_string_equal(wmap_map_name(map), "good");
    assert_string_equal(wmap_map_doc(map), "says so");
    assert_int_equal(wmap_error_count(ctx), 0);

    assert_int_equal(wmap_checkpoint_open(ctx, "/nonexistent", false, &p), WMAP_ERROR);
    assert_null(p);
    assert_non_null(strstr(wmap_message(ctx), "/nonexistent"));
    assert_int_equal(wmap_map_dump(map, "soup", (wmap_sink){collect, &c}), WMAP_ERROR);
    assert_non_null(strstr(wmap_message(ctx), "soup"));
    wmap_ctx_free(ctx);
    wmap_ctx_free(NULL);
}

/* The hook may jump out; the context can then be given up without leaks of what the arena knows. */
static jmp_buf out_of_memory;

static void
jump(void *user)
{
    (void)user;
    longjmp(out_of_memory, 1);
}

static void
test_oom_hook(void **state)
{
    wmap_ctx *ctx = wmap_ctx_new();
    wmap_map *map;

    (void)state;
    wmap_set_oom(ctx, jump, NULL);
    if (setjmp(out_of_memory) == 0) {
        /* no arena has room for a text of this length */
        wmap_map_parse(ctx, "x", "", SIZE_MAX, &map);
        fail_msg("the hook was not called");
    }
    wmap_abandon(ctx);
    wmap_ctx_free(ctx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_name_order),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_print_size),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_elements_in_words),
        cmocka_unit_test(test_solving_boxes),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_parallel),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_refusing_sink),
        cmocka_unit_test(test_context),
        cmocka_unit_test(test_oom_hook),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
