/* tests/unit/test_base.c -- arena, text, hash table, sources, messages, element types. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/checked.h"
#include "base/dtype.h"
#include "base/map.h"
#include "base/sort.h"
#include "base/source.h"
#include "base/status.h"
#include "base/utf8.h"

static int
setup(void **state)
{
    struct wm_arena *a = calloc(1, sizeof(*a));

    wm_arena_init(a, &wm_sys_real, NULL, NULL);
    *state = a;
    return 0;
}

static int
teardown(void **state)
{
    wm_arena_fini(*state);
    free(*state);
    return 0;
}

static void
arena_gives_zeroed_aligned_memory(void **state)
{
    struct wm_arena *a = *state;

    for (size_t n = 0; n < 3000; n += 7) {
        unsigned char *p = wm_arena_alloc(a, n);

        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(p[k], 0);
            p[k] = 0xff;
        }
    }
    assert_true(a->total >= 3000u * 3000u / 14);
}

static void
arena_grows_arrays(void **state)
{
    struct wm_arena *a = *state;
    WM_VEC(uint32_t) one = {0}, two = {0};

    for (uint32_t i = 0; i < 5000; i++) { /* in turns: neither is always the newest */
        *WM_PUSH(a, &one) = i;
        *WM_PUSH(a, &two) = i * 3;
    }
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(one.item[i], i);
        assert_int_equal(two.item[i], i * 3);
    }
    two.n = 0; /* what is pushed is zeroed, whatever was there */
    assert_int_equal(*WM_PUSH(a, &two), 0);
}

/* Pages that were given out; of the last that the arena asked for. */
static size_t paged;

static void *
count_pages(void *old, size_t old_n, size_t n)
{
    paged += n - old_n;
    return wm_sys_real.pages(old, old_n, n);
}

static void *
no_pages(void *old, size_t old_n, size_t n)
{
    return n ? NULL : count_pages(old, old_n, n);
}

static void
large_arrays_have_pages(void **state)
{
    struct wm_sys sys = wm_sys_real;
    struct wm_arena a;
    WM_VEC(uint32_t) v = {0};
    uint32_t *other;

    (void)state;
    paged = 0;
    sys.pages = count_pages;
    wm_arena_init(&a, &sys, NULL, NULL);
    for (uint32_t i = 0; i < 1000000; i++)
        *WM_PUSH(&a, &v) = i;
    for (uint32_t i = 0; i < 1000000; i++)
        assert_int_equal(v.item[i], i);
#ifndef WM_ARENA_DEBUG
    assert_true(paged >= 4000000 && paged < 6000000);
#endif
    other = wm_arena_alloc(&a, 4000000);
    for (uint32_t i = 0; i < 1000000; i++)
        assert_int_equal(other[i], 0);
    other = wm_arena_alone(&a, 4000000);
    memset(other, 1, 4000000);
    wm_arena_drop(&a, other);
    wm_arena_drop(&a, NULL);
    wm_arena_fini(&a);
    assert_int_equal(paged, 0);
}

/* Bytes [0, n) of p: the first `kept` as they were filled, the rest zeros; then all of them filled. */
static void
filled(unsigned char *p, size_t kept, size_t n)
{
    for (size_t i = 0; i < n; i += i < kept ? 509 : 1021) /* no page is left out */
        assert_int_equal(p[i], i < kept ? (unsigned char)(i * 31 + 7) : 0);
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(i * 31 + 7);
}

/* Small and large pages, from each size to each other. */
static void
pages_keep_their_bytes(void **state)
{
    static const size_t sizes[] = {4096, 300000, 512 << 10, (2 << 20) - 1, 3 << 20, 4 << 20, (4 << 20) + 1, 17 << 20};

    (void)state;
    for (size_t a = 0; a < WM_COUNTOF(sizes); a++)
        for (size_t b = 0; b < WM_COUNTOF(sizes); b++)
            for (size_t c = 0; c < WM_COUNTOF(sizes); c += 3) {
                size_t way[] = {sizes[a], sizes[b], sizes[c]}, had = 0;
                unsigned char *p = NULL;

                for (size_t k = 0; k < 3; k++) {
                    size_t kept = had < way[k] ? had : way[k], whole = (kept + 4095) / 4096 * 4096;

                    p = wm_sys_real.pages(p, had, way[k]);
                    assert_non_null(p);
                    if (k && whole > kept) /* what lies behind the bytes in their last page is not promised */
                        memset(p + kept, 0, (whole < way[k] ? whole : way[k]) - kept);
                    filled(p, kept, way[k]);
                    had = way[k];
                }
                assert_null(wm_sys_real.pages(p, had, 0));
            }
    assert_null(wm_sys_real.pages(NULL, 0, SIZE_MAX / 2));
}

static void *
no_malloc(size_t n)
{
    (void)n;
    return NULL;
}

static void
jump(void *user)
{
    longjmp(*(jmp_buf *)user, 1);
}

static void
arena_calls_its_hook(void **state)
{
    struct wm_sys sys = wm_sys_real;
    struct wm_arena a;
    jmp_buf env;
    volatile int calls = 0;

    (void)state;
    wm_arena_init(&a, &sys, jump, &env);
    if (setjmp(env) == 0)
        wm_arena_array(&a, SIZE_MAX / 2, 3); /* the product overflows */
    else
        calls++;
    sys.malloc = no_malloc;
    if (setjmp(env) == 0)
        wm_arena_alloc(&a, 10);
    else
        calls++;
    sys.malloc = wm_sys_real.malloc;
    sys.pages = no_pages;
    if (setjmp(env) == 0) {
        volatile char *p = wm_arena_alone(&a, 100000);

        p[0] = 1;
        wm_arena_grow(&a, (const char *)p, 100000, 1000000, 1);
#ifdef WM_ARENA_DEBUG
        calls++; /* no pages are asked for */
#endif
    } else {
        calls++;
    }
    assert_int_equal(calls, 3);
    wm_arena_fini(&a);
}

struct thing {
    int key, was;
    char more[5];
};

static int
by_key(const void *pa, const void *pb)
{
    const struct thing *a = pa, *b = pb;

    return a->key < b->key ? -1 : a->key > b->key;
}

/* Of every number of items and of keys: in order, and those with one key as they were. */
static void
sorting_is_stable(void **state)
{
    struct thing t[200];
    uint32_t seed = 1;

    for (int n = 0; n < 200; n++)
        for (int keys = 1; keys < 300; keys = keys * 3 + n % 2) {
            for (int i = 0; i < n; i++) {
                seed = seed * 1664525u + 1013904223u;
                t[i] = (struct thing){.key = n % 3 ? (int)(seed >> 8) % keys : i % keys, .was = i};
                memset(t[i].more, i, sizeof(t[i].more));
            }
            wm_sort(*state, t, (size_t)n, sizeof(*t), by_key);
            for (int i = 0; i < n; i++)
                assert_int_equal(t[i].more[4], (char)t[i].was);
            for (int i = 1; i < n; i++)
                assert_true(t[i - 1].key < t[i].key || (t[i - 1].key == t[i].key && t[i - 1].was < t[i].was));
        }
}

static const struct {
    const char *name, *in;
    size_t n, max;
    const char *safe, *json;
} show_cases[] = {
    {"plain",          "abc",          3, 0, "abc",               "\"abc\""           },
    {"empty",          "",             0, 0, "",                  "\"\""              },
    {"quotes",         "a\"\\",        3, 0, "a\"\\",             "\"a\\\"\\\\\""     },
    {"line end",       "a\nb",         3, 0, "a\\x0ab",           "\"a\\nb\""         },
    {"escape",         "\x1b[31m",     5, 0, "\\x1b[31m",         "\"\\u001b[31m\""   },
    {"NUL",            "a\0b",         3, 0, "a\\x00b",           "\"a\\u0000b\""     },
    {"umlaut",         "\xc3\xa9",     2, 0, "\xc3\xa9",          "\"\xc3\xa9\""      },
    {"stray byte",     "\xff",         1, 0, "\\xff",             "\"\\ufffd\""       },
    {"overlong slash", "\xc0\xaf",     2, 0, "\\xc0\\xaf",        "\"\\ufffd\\ufffd\""},
    {"surrogate",      "\xed\xa0\x80", 3, 0, "\\xed\\xa0\\x80",   NULL                },
    {"turn of text",   "\xe2\x80\xae", 3, 0, "\\xe2\\x80\\xae",   NULL                },
    {"cut",            "abcdef",       6, 3, "abc\xe2\x80\xa6",   NULL                },
    {"whole letters",  "ab\xc3\xa9",   4, 3, "ab\xe2\x80\xa6",    NULL                },
    {"exact",          "abc",          3, 3, "abc",               NULL                },
};

static void
texts_are_shown_safely(void **state)
{
    for (size_t i = 0; i < WM_COUNTOF(show_cases); i++) {
        struct wm_str in = {show_cases[i].in, show_cases[i].n};
        struct wm_buf b;

        print_message("  %s\n", show_cases[i].name);
        wm_buf_init(&b, *state);
        wm_buf_safe(&b, in, show_cases[i].max);
        assert_string_equal(wm_buf_str(&b).p, show_cases[i].safe);
        if (!show_cases[i].json)
            continue;
        wm_buf_init(&b, *state);
        wm_buf_json(&b, in);
        assert_string_equal(wm_buf_str(&b).p, show_cases[i].json);
    }
}

static void
buffers_grow(void **state)
{
    struct wm_buf b;

    wm_buf_init(&b, *state);
    for (int i = 0; i < 2000; i++)
        wm_buf_printf(&b, "%d,", i);
    wm_buf_pad(&b, '-', 100);
    assert_int_equal(b.n, 10 * 2 + 90 * 3 + 900 * 4 + 1000 * 5 + 100);
    assert_int_equal(strlen(b.p), b.n);
    assert_memory_equal(b.p + b.n - 105, "1999,-", 6);
}

static void
maps_keep_the_first_value(void **state)
{
    struct wm_arena *a = *state;
    struct wm_map m;

    wm_map_init(&m, a, 0);
    assert_int_equal(wm_map_get(&m, WM_STR("k")), WM_NONE);
    for (uint32_t i = 0; i < 20000; i++)
        assert_int_equal(wm_map_put(&m, wm_arena_printf(a, "key %" PRIu32, i), i), i);
    assert_int_equal(m.n, 20000);
    for (uint32_t i = 0; i < 20000; i++)
        assert_int_equal(wm_map_get(&m, wm_arena_printf(a, "key %" PRIu32, i)), i);
    assert_int_equal(wm_map_put(&m, WM_STR("key 7"), 1), 7);
    wm_map_set(&m, WM_STR("key 7"), 1);
    assert_int_equal(wm_map_get(&m, WM_STR("key 7")), 1);
    assert_int_equal(m.n, 20000);
    assert_int_equal(wm_map_put(&m, WM_STR(""), 5), 5);
    assert_int_equal(wm_map_get(&m, WM_STR("")), 5);
    assert_int_equal(wm_map_get(&m, WM_STR("key")), WM_NONE);
}

static void
sources_know_lines_and_columns(void **state)
{
    static const char text[] = "\xef\xbb\xbfone\r\n\xc3\xa9\tx\n\nlast";
    static const struct {
        uint32_t off, line, col;
    } at[] = {{0, 1, 1}, {3, 1, 4}, {5, 2, 1}, {7, 2, 2}, {8, 2, 3}, {10, 3, 1}, {11, 4, 1},
              {15, 4, 5}, {99, 4, 5}};
    struct wm_sources ss = {.a = *state};
    uint32_t f = wm_source_add(&ss, WM_STR("m.wmap"), wm_str_c(text)), line, col;

    for (size_t i = 0; i < WM_COUNTOF(at); i++) {
        wm_source_pos(&ss, (struct wm_span){f, at[i].off, 0}, &line, &col);
        assert_int_equal(line, at[i].line);
        assert_int_equal(col, at[i].col);
    }
    assert_true(wm_str_eq(wm_source_line(&ss.list.item[f], 1), WM_STR("one")));
    assert_true(wm_str_eq(wm_source_line(&ss.list.item[f], 3), WM_STR("")));
    assert_true(wm_str_eq(wm_source_line(&ss.list.item[f], 4), WM_STR("last")));
    assert_true(wm_str_eq(wm_source_line(&ss.list.item[f], 5), WM_STR("")));
    assert_true(wm_str_eq(wm_source_text(&ss, (struct wm_span){f, 11, 100}), WM_STR("last")));
    assert_int_equal(wm_span_join((struct wm_span){f, 2, 3}, (struct wm_span){f, 8, 4}).len, 10);
    wm_source_pos(&ss, (struct wm_span){WM_NONE, 0, 0}, &line, &col);
    assert_int_equal(line, 0);
}

static void
messages_are_one_short_line(void **state)
{
    char *name = malloc(1 << 20);
    struct wm_err err = {0};

    (void)state;
    memset(name, 'n', 1 << 20);
    assert_int_equal(wm_fail(&err, WM_EFORMAT, "a\nb", "tensor \"%.*s\": %" PRIu64 " of %d", 1 << 20,
                             name, UINT64_C(1) << 63, -5),
                     WM_EFORMAT);
    assert_true(strlen(err.msg) < 400);
    assert_memory_equal(err.msg, "a\\x0ab: tensor \"nnn", 17);
    assert_non_null(strstr(err.msg, "n\xe2\x80\xa6n"));
    assert_non_null(strstr(err.msg, "n\": 9223372036854775808 of -5"));
    assert_int_equal(wm_fail(&err, WM_EIO, NULL, "later"), WM_EFORMAT); /* the first stays */
    assert_null(strstr(err.msg, "later"));

    memset(name, '\x1b', 1 << 20);
    name[(1 << 20) - 1] = '\0';
    err = (struct wm_err){0};
    wm_fail(&err, WM_EFORMAT, name, "%s %s %s %s %s %s %s %s %s", name, name, name, name, name,
            name, name, name, name);
    assert_true(strlen(err.msg) < WM_ERR_MAX);
    assert_true(strlen(err.msg) > WM_ERR_MAX - 400);
    assert_null(strchr(err.msg, '\x1b'));
    free(name);

    err = (struct wm_err){0};
    assert_int_equal(wm_fail_sys(&err, ENOSPC, "f", "100%% %5.1f %c %zu %x", 2.5, 'c', (size_t)9,
                                 255u),
                     WM_EIO);
    assert_string_equal(err.msg, "f: 100%   2.5 c 9 ff: No space left on device");
    assert_int_equal(err.sys, ENOSPC);
}

static void
dtypes_have_many_names(void **state)
{
    uint64_t n = 7;

    (void)state;
    for (int t = 0; t < WM_DT_N; t++) {
        assert_int_equal(wm_dtype_by_safetensors(wm_str_c(wm_dtype_info[t].name)), t);
        assert_int_equal(wm_dtype_by_name(wm_str_c(wm_dtype_info[t].torch)), t);
    }
    assert_int_equal(wm_dtype_by_name(WM_STR("bf16")), WM_DT_BF16);
    assert_int_equal(wm_dtype_by_name(WM_STR("torch.float32")), WM_DT_F32);
    assert_int_equal(wm_dtype_by_name(WM_STR("float33")), WM_DT_N);
    assert_int_equal(wm_dtype_by_safetensors(WM_STR("bf16")), WM_DT_N);
    assert_int_equal(wm_dtype_by_safetensors((struct wm_str){"F32\0", 4}), WM_DT_N);
    assert_true(wm_dtype_nbytes(WM_DT_F4, 6, &n));
    assert_int_equal(n, 3);
    assert_false(wm_dtype_nbytes(WM_DT_F4, 5, &n));
    assert_false(wm_dtype_nbytes(WM_DT_F64, INT64_MAX, &n));
    assert_false(wm_dtype_nbytes(WM_DT_F64, -1, &n));
    assert_int_equal(n, 3);
}

static void
sizes_are_checked(void **state)
{
    static const int64_t left[] = {INT64_C(1) << 62, 4, 0}, right[] = {0, INT64_C(1) << 62, 4};
    int64_t n = -1;

    (void)state;
    assert_false(wm_ck_numel(left, 3, &n));
    assert_true(wm_ck_numel(right, 3, &n) && n == 0);
    assert_true(wm_ck_numel(NULL, 0, &n) && n == 1);
    assert_true(wm_ck_range(5, 5, 10));
    assert_false(wm_ck_range(5, 6, 10));
    assert_false(wm_ck_range(11, 0, 10));
    assert_false(wm_ck_range(1, UINT64_MAX, 10));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(arena_gives_zeroed_aligned_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(arena_grows_arrays, setup, teardown),
        cmocka_unit_test(arena_calls_its_hook),
        cmocka_unit_test_setup_teardown(sorting_is_stable, setup, teardown),
        cmocka_unit_test(large_arrays_have_pages),
        cmocka_unit_test(pages_keep_their_bytes),
        cmocka_unit_test_setup_teardown(texts_are_shown_safely, setup, teardown),
        cmocka_unit_test_setup_teardown(buffers_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(maps_keep_the_first_value, setup, teardown),
        cmocka_unit_test_setup_teardown(sources_know_lines_and_columns, setup, teardown),
        cmocka_unit_test(messages_are_one_short_line),
        cmocka_unit_test(dtypes_have_many_names),
        cmocka_unit_test(sizes_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
