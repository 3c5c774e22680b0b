/* tests/unit/test_json.c -- the strict reader: one row per text, its tokens as letters. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "runtime/json.h"

/* { } [ ] as they are, k key, s string, u unsigned integer, n number, t f 0, $ the end, ! an error */
static const char letter[] = {
    [WM_JS_ERROR] = '!',     [WM_JS_END] = '$',       [WM_JS_OBJECT] = '{',
    [WM_JS_OBJECT_END] = '}', [WM_JS_ARRAY] = '[',     [WM_JS_ARRAY_END] = ']',
    [WM_JS_KEY] = 'k',       [WM_JS_STRING] = 's',    [WM_JS_UINT] = 'u',
    [WM_JS_NUMBER] = 'n',    [WM_JS_TRUE] = 't',      [WM_JS_FALSE] = 'f',
    [WM_JS_NULL] = '0',
};

#define ROW(text, tokens) {text, sizeof(text) - 1, tokens}

static const struct {
    const char *text;
    size_t n;
    const char *tokens;
} cases[] = {
    ROW("{}", "{}$"),
    ROW("[]", "[]$"),
    ROW(" \t\r\n[ ] ", "[]$"),
    ROW("{\"a\":1,\"b\":[true,false,null]}", "{kuk[tf0]}$"),
    ROW("\"x\"", "s$"),
    ROW("0", "u$"),
    ROW("18446744073709551615", "u$"),
    ROW("18446744073709551616", "n$"),
    ROW("100000000000000000000000", "n$"),
    ROW("-0", "n$"),
    ROW("-1", "n$"),
    ROW("1.5", "n$"),
    ROW("1e5", "n$"),
    ROW("1E-5", "n$"),
    ROW("0.0", "n$"),
    ROW("01", "!"),
    ROW("-01", "!"),
    ROW("-", "!"),
    ROW("+1", "!"),
    ROW("1.", "!"),
    ROW(".5", "!"),
    ROW("1e", "!"),
    ROW("1e+", "!"),
    ROW("0x10", "u!"),
    ROW("NaN", "!"),
    ROW("Infinity", "!"),
    ROW("", "!"),
    ROW("  ", "!"),
    ROW("{", "{!"),
    ROW("[", "[!"),
    ROW("[1", "[u!"),
    ROW("[1,", "[u!"),
    ROW("[1,]", "[u!"),
    ROW("[,1]", "[!"),
    ROW("[1 2]", "[u!"),
    ROW("{\"a\"}", "{!"),
    ROW("{\"a\":}", "{k!"),
    ROW("{\"a\":1,}", "{ku!"),
    ROW("{,}", "{!"),
    ROW("{a:1}", "{!"),
    ROW("{'a':1}", "{!"),
    ROW("{1:1}", "{!"),
    ROW("{\"a\" 1}", "{!"),
    ROW("{\"a\":1 \"b\":2}", "{ku!"),
    ROW("[}", "[!"),
    ROW("{]", "{!"),
    ROW("[1}", "[u!"),
    ROW("]", "!"),
    ROW("[]x", "[]!"),
    ROW("{}{}", "{}!"),
    ROW("[]\0", "[]!"),
    ROW("1 2", "u!"),
    ROW("tru", "!"),
    ROW("nul", "!"),
    ROW("True", "!"),
    ROW("\xef\xbb\xbf{}", "!"),
    ROW("[/**/]", "[!"),
    ROW("\"", "!"),
    ROW("\"a", "!"),
    ROW("\"a\\", "!"),
    ROW("\"a\\\"", "!"),
    ROW("\"\n\"", "!"),
    ROW("\"\x01\"", "!"),
    ROW("\"\0\"", "!"),
    ROW("\"\x1f\"", "!"),
    ROW("\"\x7f\"", "s$"),
    ROW("\"\\x41\"", "!"),
    ROW("\"\\u12\"", "!"),
    ROW("\"\\u12g4\"", "!"),
    ROW("\"\\ud800\"", "!"),
    ROW("\"\\ud800\\u0041\"", "!"),
    ROW("\"\\udc00\"", "!"),
    ROW("\"\\ud83d\\ude00\"", "s$"),
    ROW("\"\xff\"", "!"),
    ROW("\"\xc0\xaf\"", "!"),
    ROW("\"\xed\xa0\x80\"", "!"),
    ROW("\"\xf4\x90\x80\x80\"", "!"),
    ROW("\"\xe2\x82\"", "!"),
    ROW("\"\xe2\x82\xac\"", "s$"),
};

static void
tokens(void **state)
{
    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(cases); i++) {
        char *text = malloc(cases[i].n + 1), got[64]; /* of its own, so that a sanitizer sees */
        struct wm_arena a;
        struct wm_json j;
        enum wm_json_tok t;
        size_t n = 0;

        memcpy(text, cases[i].text, cases[i].n);
        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        wm_json_init(&j, &a, text, cases[i].n);
        do {
            t = wm_json_next(&j);
            got[n++] = letter[t];
        } while (t != WM_JS_ERROR && t != WM_JS_END && n < sizeof(got) - 1);
        got[n] = '\0';
        print_message("  %s\n", cases[i].text);
        assert_string_equal(got, cases[i].tokens);
        if (t == WM_JS_ERROR) {
            assert_non_null(j.why);
            assert_true(j.tok_at <= cases[i].n);
            assert_int_equal(wm_json_next(&j), WM_JS_ERROR);
        }
        wm_arena_fini(&a);
        free(text);
    }
}

static void
values(void **state)
{
    static const char text[] =
        "{\"a\\u0000\\ud83d\\ude00\\/\\n\":[18446744073709551615,-2.5e3],\"plain\":\"x\"}";
    struct wm_arena a;
    struct wm_json j;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    wm_json_init(&j, &a, text, sizeof(text) - 1);
    assert_int_equal(wm_json_next(&j), WM_JS_OBJECT);
    assert_int_equal(wm_json_next(&j), WM_JS_KEY);
    assert_true(wm_str_eq(j.str, WM_STR("a\0\xf0\x9f\x98\x80/\n")));
    assert_int_equal(wm_json_next(&j), WM_JS_ARRAY);
    assert_int_equal(wm_json_next(&j), WM_JS_UINT);
    assert_true(j.u == UINT64_MAX);
    assert_int_equal(wm_json_next(&j), WM_JS_NUMBER);
    assert_true(wm_str_eq(j.str, WM_STR("-2.5e3")));
    assert_int_equal(wm_json_next(&j), WM_JS_ARRAY_END);
    assert_int_equal(wm_json_next(&j), WM_JS_KEY);
    assert_ptr_equal(j.str.p, strstr(text, "plain")); /* no copy where there is no escape */
    wm_arena_fini(&a);
}

static void
depth_is_limited(void **state)
{
    char text[2 * WM_JSON_MAX_DEPTH + 2];
    struct wm_arena a;
    struct wm_json j;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    memset(text, '[', WM_JSON_MAX_DEPTH + 1);
    memset(text + WM_JSON_MAX_DEPTH + 1, ']', WM_JSON_MAX_DEPTH + 1);
    wm_json_init(&j, &a, text + 1, 2 * WM_JSON_MAX_DEPTH);
    assert_true(wm_json_skip(&j, wm_json_next(&j)));
    assert_int_equal(wm_json_next(&j), WM_JS_END);
    wm_json_init(&j, &a, text, sizeof(text));
    assert_false(wm_json_skip(&j, wm_json_next(&j)));
    assert_string_equal(j.why, "nested too deeply");
    wm_arena_fini(&a);
}

static void
skip_stops_behind_the_value(void **state)
{
    static const char text[] = "[{\"a\":[1,{\"b\":2}]},7]";
    struct wm_arena a;
    struct wm_json j;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    wm_json_init(&j, &a, text, sizeof(text) - 1);
    assert_int_equal(wm_json_next(&j), WM_JS_ARRAY);
    assert_true(wm_json_skip(&j, wm_json_next(&j)));
    assert_int_equal(wm_json_next(&j), WM_JS_UINT);
    assert_true(j.u == 7);
    assert_true(wm_json_skip(&j, WM_JS_UINT));
    assert_int_equal(wm_json_next(&j), WM_JS_ARRAY_END);
    wm_arena_fini(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens),
        cmocka_unit_test(values),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(skip_stops_behind_the_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
