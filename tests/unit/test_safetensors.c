/* tests/unit/test_safetensors.c -- reading headers and index files, and the bytes that are written.
 *
 * The expected headers were written by the safetensors library itself. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/format.h"
#include "runtime/place.h"

struct fixture {
    struct wm_arena a;
    struct wm_err err;
    struct wm_manifest *m;
    char dir[64];
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    wm_arena_init(&f->a, &wm_sys_real, NULL, NULL);
    strcpy(f->dir, "/tmp/wmap-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
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

static void
write_file(struct fixture *f, const char *name, const void *p, size_t n)
{
    struct wm_str path = wm_arena_printf(&f->a, "%s/%s", f->dir, name);
    FILE *out = fopen(path.p, "wb");

    assert_non_null(out);
    assert_int_equal(fwrite(p, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

/* A file of this header and ndata bytes. */
static void
write_tensors(struct fixture *f, const char *name, const char *header, size_t ndata)
{
    size_t n = strlen(header);
    char *p = wm_arena_alloc(&f->a, 8 + n + ndata);

    for (int k = 0; k < 8; k++)
        p[k] = (char)((uint64_t)n >> (8 * k) & 0xff);
    memcpy(p + 8, header, n);
    write_file(f, name, p, 8 + n + ndata);
}

static enum wm_status
open_it(struct fixture *f, const char *name)
{
    struct wm_str path = wm_arena_printf(&f->a, "%s%s%s", f->dir, *name ? "/" : "", name);

    f->err.status = WM_OK;
    f->err.msg[0] = '\0';
    return wm_manifest_open(&f->a, &wm_sys_real, path, NULL, &f->m, &f->err);
}

#define T(name, dtype, shape, from, to)                                                            \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"

static const struct {
    const char *name, *header;
    size_t ndata;
    const char *why; /* NULL: it is sound */
} headers[] = {
    {"no tensors", "{}", 0, NULL},
    {"white space around", " \n{} \t", 0, NULL},
    {"one", "{" T("a", "F32", "[2]", "0", "8") "}", 8, NULL},
    {"scalar", "{" T("a", "F32", "[]", "0", "4") "}", 4, NULL},
    {"empty tensors", "{" T("a", "F32", "[0]", "0", "0") "," T("b", "I8", "[5,0]", "0", "0") "}", 0,
     NULL},
    {"any order", "{" T("b", "U8", "[3]", "4", "7") "," T("a", "F32", "[1]", "0", "4") "}", 7, NULL},
    {"half bytes", "{" T("a", "F4", "[6]", "0", "3") "}", 3, NULL},
    {"six bits", "{" T("a", "F6_E2M3", "[4]", "0", "3") "}", 3, NULL},
    {"metadata", "{\"__metadata__\":{\"k\":\"v\"}," T("a", "U8", "[1]", "0", "1") "}", 1, NULL},
    {"null metadata", "{\"__metadata__\":null}", 0, NULL},
    {"unknown field", "{\"a\":{\"dtype\":\"U8\",\"x\":[{}],\"shape\":[1],\"data_offsets\":[0,1]}}",
     1, NULL},
    {"zero first", "{" T("a", "F32", "[0,9223372036854775807]", "0", "0") "}", 0, NULL},
    {"text behind", "{}x", 0, "header: invalid JSON at byte 2: text behind"},
    {"an array", "[]", 0, "header: not a JSON object"},
    {"nothing", "", 0, "header: invalid JSON at byte 0"},
    {"cut", "{\"a\":{\"dtype\":\"F32\"", 0, "header: invalid JSON at byte 19"},
    {"bad UTF-8", "{\"\xff\":1}", 0, "header: invalid UTF-8 at byte 2"},
    {"metadata of numbers", "{\"__metadata__\":{\"k\":1}}", 0, "__metadata__: \"k\" is not"},
    {"metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate key"},
    {"metadata key twice", "{\"__metadata__\":{\"k\":\"\",\"k\":\"\"}}", 0, "duplicate key \"k\""},
    {"metadata string", "{\"__metadata__\":\"x\"}", 0, "__metadata__ is not an object"},
    {"entry is a number", "{\"a\":1}", 0, "\"a\": its entry is not an object"},
    {"no dtype", "{\"a\":{\"shape\":[],\"data_offsets\":[0,0]}}", 0, "\"a\": dtype is missing"},
    {"no shape", "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,0]}}", 0, "shape is missing"},
    {"no offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}", 0, "data_offsets are missing"},
    {"dtype twice", "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", 0, "duplicate field \"dtype\""},
    {"unknown dtype", "{" T("a", "F33", "[]", "0", "4") "}", 4, "unknown dtype \"F33\""},
    {"dtype with NUL", "{" T("a", "F32\\u0000", "[]", "0", "4") "}", 4, "unknown dtype"},
    {"lower case", "{" T("a", "f32", "[]", "0", "4") "}", 4, "unknown dtype"},
    {"shape of strings", "{" T("a", "U8", "[\"1\"]", "0", "1") "}", 1, "something else"},
    {"negative", "{" T("a", "U8", "[-1]", "0", "1") "}", 1, "something else"},
    {"shape of floats", "{" T("a", "U8", "[1.0]", "0", "1") "}", 1, "something else"},
    {"leading zero", "{" T("a", "U8", "[01]", "0", "1") "}", 1, "leading zero"},
    {"dimension 2^63", "{" T("a", "U8", "[9223372036854775808]", "0", "1") "}", 1, "2^63"},
    {"product", "{" T("a", "U8", "[4294967296,4294967296]", "0", "1") "}", 1, "overflows"},
    {"product, then zero", "{" T("a", "U8", "[4294967296,4294967296,0]", "0", "0") "}", 0,
     "overflows"},
    {"bits", "{" T("a", "F64", "[4611686018427387904]", "0", "0") "}", 0, "overflows"},
    {"half a byte", "{" T("a", "F4", "[5]", "0", "3") "}", 3, "whole number of bytes"},
    {"too small", "{" T("a", "F32", "[2]", "0", "4") "}", 4, "span 4 bytes, but dtype and shape need 8"},
    {"too large", "{" T("a", "F32", "[1]", "0", "8") "}", 8, "span 8 bytes, but dtype and shape need 4"},
    {"backwards", "{" T("a", "F32", "[0]", "4", "0") "}", 4, "end before they begin"},
    {"three offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0,0]}}", 0,
     "not a pair"},
    {"behind the end", "{" T("a", "U8", "[9]", "0", "9") "}", 8, "the file has only 8"},
    {"bytes behind", "{" T("a", "U8", "[7]", "0", "7") "}", 8, "1 bytes behind the last tensor"},
    {"gap", "{" T("a", "U8", "[1]", "0", "1") "," T("b", "U8", "[1]", "2", "3") "}", 3,
     "\"b\": begins at 2 of the data, but the tensor before it ends at 1"},
    {"gap at the front", "{" T("a", "U8", "[1]", "1", "2") "}", 2, "begins at 1 of the data, not at 0"},
    {"overlap", "{" T("a", "U8", "[2]", "0", "2") "," T("b", "U8", "[2]", "1", "3") "}", 3,
     "\"b\": begins at 1"},
    {"same bytes", "{" T("a", "U8", "[2]", "0", "2") "," T("b", "U8", "[2]", "0", "2") "}", 2,
     "begins at 0"},
    {"duplicate", "{" T("a", "U8", "[1]", "0", "1") "," T("a", "U8", "[1]", "1", "2") "}", 2,
     "duplicate tensor \"a\""},
    {"empty duplicate", "{" T("a", "U8", "[0]", "0", "0") "," T("a", "U8", "[0]", "0", "0") "}", 0,
     "duplicate tensor \"a\""},
    {"duplicate by escape", "{" T("a", "U8", "[0]", "0", "0") "," T("\\u0061", "U8", "[0]", "0", "0") "}",
     0, "duplicate tensor \"a\""},
    {"NUL in a name", "{" T("a\\u0000b", "U8", "[0]", "0", "0") "}", 0, "a NUL in its name"},
};

static void
headers_are_judged(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < WM_COUNTOF(headers); i++) {
        enum wm_status st;

        print_message("  %s\n", headers[i].name);
        write_tensors(f, "x.safetensors", headers[i].header, headers[i].ndata);
        st = open_it(f, "x.safetensors");
        if (!headers[i].why) {
            assert_string_equal(f->err.msg, "");
            assert_int_equal(st, WM_OK);
            assert_int_equal(f->m->nbytes, headers[i].ndata);
        } else {
            assert_int_equal(st, WM_EFORMAT);
            assert_memory_equal(f->err.msg, f->dir, strlen(f->dir));
            if (!strstr(f->err.msg, headers[i].why))
                fail_msg("message: %s", f->err.msg);
        }
    }
}

static void
lengths_are_judged(void **state)
{
    struct fixture *f = *state;

    write_file(f, "x.safetensors", "\2\0\0\0\0\0\0", 7);
    assert_int_equal(open_it(f, "x.safetensors"), WM_EFORMAT);
    write_file(f, "x.safetensors", "\3\0\0\0\0\0\0\0{}", 10);
    assert_int_equal(open_it(f, "x.safetensors"), WM_EFORMAT);
    assert_non_null(strstr(f->err.msg, "header: 3 bytes long, but the file has only 10"));
    write_file(f, "x.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    assert_int_equal(open_it(f, "x.safetensors"), WM_EFORMAT);
    assert_non_null(strstr(f->err.msg, "18446744073709551615 bytes is above the limit"));
    write_file(f, "x.bin", "\2\0\0\0\0\0\0\0{}", 10); /* by content */
    assert_int_equal(open_it(f, "x.bin"), WM_OK);
    write_file(f, "x.bin", "hello, world", 12);
    assert_int_equal(open_it(f, "x.bin"), WM_EFORMAT);
    assert_int_equal(open_it(f, "absent"), WM_EIO);
    assert_int_equal(mkfifo(wm_arena_printf(&f->a, "%s/fifo", f->dir).p, 0600), 0);
    assert_int_equal(open_it(f, "fifo"), WM_EIO);
    assert_non_null(strstr(f->err.msg, "is not a regular file"));
}

static void
tensors_come_by_offset(void **state)
{
    struct fixture *f = *state;
    const struct wm_mtensor *t;

    write_tensors(f, "x.safetensors",
                  "{" T("z", "BF16", "[2,3]", "0", "12") "," T("b", "U8", "[1]", "12", "13") "," T(
                      "a", "U8", "[0]", "12", "12") "}",
                  13);
    assert_int_equal(open_it(f, "x.safetensors"), WM_OK);
    assert_int_equal(f->m->tensor.n, 3);
    t = f->m->tensor.item;
    assert_true(wm_str_eq(t[0].name, WM_STR("z")) && wm_str_eq(t[1].name, WM_STR("a")));
    assert_int_equal(t[0].dtype, WM_DT_BF16);
    assert_int_equal(t[0].rank, 2);
    assert_int_equal(t[0].shape[1], 3);
    assert_int_equal(t[0].nbytes, 12);
    assert_int_equal(t[0].off, f->m->file.item[0].size - 13);
    assert_int_equal(wm_map_get(&f->m->by_name, WM_STR("b")), 2);
    assert_true(wm_str_eq(f->m->file.item[0].name, WM_STR("x.safetensors")));
}

#define ONE(name) "{" T(name, "U8", "[1]", "0", "1") "}"

static const struct {
    const char *name, *index;
    const char *why;
} indexes[] = {
    {"sound", "{\"metadata\":{\"total_size\":2},\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}",
     NULL},
    {"shard not named", "{\"weight_map\":{\"a\":\"1.safetensors\"}}", NULL},
    {"tensor absent", "{\"weight_map\":{\"a\":\"1.safetensors\",\"c\":\"1.safetensors\"}}",
     "places tensor \"c\" in 1.safetensors, which lacks it"},
    {"tensor not named", "{\"weight_map\":{\"x\":\"1.safetensors\"}}",
     "lacks tensor \"a\", which is in 1.safetensors"},
    {"other shard", "{\"weight_map\":{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\"}}",
     "places tensor \"a\" in 2.safetensors, but it is in 1.safetensors"},
    {"shard absent", "{\"weight_map\":{\"a\":\"3.safetensors\"}}",
     "it names \"3.safetensors\", which is not there"},
    {"outside", "{\"weight_map\":{\"a\":\"../1.safetensors\"}}", "no name inside the directory"},
    {"absolute", "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "no name inside the directory"},
    {"dots inside", "{\"weight_map\":{\"a\":\"x/../1.safetensors\"}}", "no name inside"},
    {"NUL", "{\"weight_map\":{\"a\":\"1.safetensors\\u0000x\"}}", "no name inside"},
    {"empty name", "{\"weight_map\":{\"a\":\"\"}}", "no name inside"},
    {"itself", "{\"weight_map\":{\"a\":\".\"}}", "no name inside"},
    {"duplicate", "{\"weight_map\":{\"a\":\"1.safetensors\",\"a\":\"1.safetensors\"}}",
     "duplicate tensor \"a\""},
    {"number", "{\"weight_map\":{\"a\":1}}", "the file of \"a\" is not a string"},
    {"no map", "{\"metadata\":{}}", "no \"weight_map\""},
    {"empty map", "{\"weight_map\":{}}", "names no tensors"},
    {"list", "{\"weight_map\":[]}", "weight_map is not an object"},
    {"twice", "{\"weight_map\":{},\"weight_map\":{}}", "duplicate key"},
    {"array", "[]", "not a JSON object"},
    {"text behind", "{\"weight_map\":{\"a\":\"1.safetensors\"}} x", "text behind the end"},
};

static void
indexes_are_held_against_shards(void **state)
{
    struct fixture *f = *state;

    write_tensors(f, "1.safetensors", ONE("a"), 1);
    write_tensors(f, "2.safetensors", ONE("b"), 1);
    for (size_t i = 0; i < WM_COUNTOF(indexes); i++) {
        enum wm_status st;

        print_message("  %s\n", indexes[i].name);
        write_file(f, "model.safetensors.index.json", indexes[i].index, strlen(indexes[i].index));
        st = open_it(f, "");
        if (!indexes[i].why) {
            assert_string_equal(f->err.msg, "");
            assert_int_equal(st, WM_OK);
            continue;
        }
        assert_int_equal(st, WM_EFORMAT);
        assert_memory_equal(f->err.msg, f->dir, strlen(f->dir));
        if (!strstr(f->err.msg, indexes[i].why))
            fail_msg("message: %s", f->err.msg);
    }
}

static void
directories_without_index(void **state)
{
    struct fixture *f = *state;
    struct wm_str only[] = {WM_STR("2.safetensors"), WM_STR("1.safetensors")};
    struct wm_open_opts o = {.only = only, .nonly = 2};
    static const char index[] = "{\"weight_map\":{\"b\":\"2.safetensors\"}}";

    assert_int_equal(open_it(f, ""), WM_EFORMAT);
    assert_non_null(strstr(f->err.msg, "no checkpoint files"));
    write_tensors(f, "2.safetensors", ONE("b"), 1);
    write_tensors(f, "1.safetensors", ONE("a"), 1);
    write_file(f, "._1.safetensors", "junk", 4);
    write_file(f, "notes.txt", "junk", 4);
    assert_int_equal(open_it(f, ""), WM_OK);
    assert_int_equal(f->m->file.n, 2);
    assert_true(wm_str_eq(f->m->file.item[0].name, WM_STR("1.safetensors")));
    write_tensors(f, "1.safetensors", ONE("b"), 1);
    assert_int_equal(open_it(f, ""), WM_OK); /* one name in two rank files is two tensors: the map decides */
    assert_true(f->m->repeats);
    assert_int_equal(wm_manifest_open(&f->a, &wm_sys_real, wm_str_c(f->dir), &o, &f->m, &f->err),
                     WM_OK);
    assert_true(wm_str_eq(f->m->file.item[0].name, WM_STR("2.safetensors")));
    assert_int_equal(f->m->tensor.n, 2);
    write_file(f, "other.safetensors.index.json", index, strlen(index));
    assert_int_equal(open_it(f, ""), WM_OK); /* the only index counts, whatever its name */
    assert_int_equal(f->m->file.n, 1);
    assert_int_equal(open_it(f, "other.safetensors.index.json"), WM_OK);
    write_file(f, "more.safetensors.index.json", "{}", 2);
    assert_int_equal(open_it(f, ""), WM_EFORMAT);
    assert_non_null(strstr(f->err.msg, "several index files"));
    assert_int_equal(symlink("nowhere", wm_arena_printf(&f->a, "%s/3.safetensors", f->dir).p), 0);
    only[0] = WM_STR("3.safetensors");
    f->err.status = WM_OK;
    assert_int_equal(wm_manifest_open(&f->a, &wm_sys_real, wm_str_c(f->dir), &o, &f->m, &f->err),
                     WM_EIO);
}

static void
layout_is_the_reference_order(void **state)
{
    static const char expected[] =
        "\xb8\1\0\0\0\0\0\0{\"__metadata__\":{\"format\":\"pt\"},"
        "\"w\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
        "\"\xc3\xa9\\\"\\u0001\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[32,34]},"
        "\"q\":{\"dtype\":\"F8_E4M3\",\"shape\":[3],\"data_offsets\":[34,37]},"
        "\"b\":{\"dtype\":\"BOOL\",\"shape\":[0,1],\"data_offsets\":[37,37]},"
        "\"c\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[37,38]}}";
    static const int64_t s23[] = {2, 3}, s1[] = {1}, s3[] = {3}, s01[] = {0, 1};
    struct wm_wtensor t[] = {
        {.name = WM_STR("c"), .dtype = WM_DT_BOOL, .rank = 1, .shape = s1, .nbytes = 1, .user = 0},
        {.name = WM_STR("a"), .dtype = WM_DT_F32, .rank = 2, .shape = s23, .nbytes = 24, .user = 1},
        {.name = WM_STR("b"), .dtype = WM_DT_BOOL, .rank = 2, .shape = s01, .user = 2},
        {.name = WM_STR("q"), .dtype = WM_DT_F8_E4M3, .rank = 1, .shape = s3, .nbytes = 3, .user = 3},
        {.name = WM_STR("\xc3\xa9\"\x01"), .dtype = WM_DT_BF16, .rank = 1, .shape = s1, .nbytes = 2},
        {.name = WM_STR("w"), .dtype = WM_DT_I64, .nbytes = 8, .user = 5},
    };
    struct fixture *f = *state;
    const struct wm_format *fmt = wm_format_by_name(WM_STR("safetensors"), NULL);
    struct wm_wfile w;

    assert_int_equal(fmt->layout(&f->a, t, WM_COUNTOF(t), &(struct wm_wopts){0}, &w, &f->err), WM_OK);
    assert_int_equal(w.head.n % 8, 0);
    assert_true(w.head.n >= sizeof(expected) - 1 && w.head.n < sizeof(expected) - 1 + 8);
    assert_memory_equal(w.head.p + 8, expected + 8, sizeof(expected) - 1 - 8);
    for (size_t k = sizeof(expected) - 1; k < w.head.n; k++)
        assert_int_equal(w.head.p[k], ' ');
    assert_int_equal((unsigned char)w.head.p[0] | (unsigned char)w.head.p[1] << 8, w.head.n - 8);
    assert_int_equal(w.size, w.head.n + 38);
    assert_int_equal(t[1].user, 1);
    assert_int_equal(t[1].off, w.head.n + 8);
    t[0].name = WM_STR("c");
    t[1].name = WM_STR("c");
    t[1].dtype = t[0].dtype = WM_DT_U8;
    assert_int_equal(fmt->layout(&f->a, t, 2, &(struct wm_wopts){0}, &w, &f->err), WM_EFORMAT);
}

static void
put_text(void *buf, struct wm_str s)
{
    wm_buf_puts(buf, s);
}

static void
index_is_as_python_writes_it(void **state)
{
    struct fixture *f = *state;
    const struct wm_format *fmt = wm_format_by_suffix(WM_STR("a/b.safetensors"), NULL);
    struct wm_indexed x[] = {{WM_STR("b\xc3\xa9\x7f"), wm_format_shard_name(fmt, &f->a, 1, 2)},
                             {WM_STR("a\"\n\xf0\x9f\x98\x80"), wm_format_shard_name(fmt, &f->a, 2, 2)}};
    struct wm_buf text;

    wm_buf_init(&text, &f->a);
    fmt->index(&f->a, x, 2, 123, put_text, &text);
    assert_string_equal(text.p, "{\n  \"metadata\": {\n    \"total_size\": 123\n  },\n"
                             "  \"weight_map\": {\n"
                             "    \"a\\\"\\n\\ud83d\\ude00\": \"model-00002-of-00002.safetensors\",\n"
                             "    \"b\\u00e9\\u007f\": \"model-00001-of-00002.safetensors\"\n"
                             "  }\n}\n");
    assert_true(wm_str_eq(wm_format_shard_name(fmt, &f->a, 1, 1), WM_STR("model.safetensors")));
    assert_null(wm_format_by_suffix(WM_STR("a.txt"), NULL));
}

static void
paths_stay_inside(void **state)
{
    static const char *const good[] = {"a", "a/b", "...", "a.b", ".a", "a/..b"};
    static const char *const bad[] = {"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "./a"};

    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(good); i++)
        assert_true(wm_path_is_inside(wm_str_c(good[i])));
    for (size_t i = 0; i < WM_COUNTOF(bad); i++)
        assert_false(wm_path_is_inside(wm_str_c(bad[i])));
    assert_false(wm_path_is_inside(WM_STR("a\0b")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(headers_are_judged, setup, teardown),
        cmocka_unit_test_setup_teardown(lengths_are_judged, setup, teardown),
        cmocka_unit_test_setup_teardown(tensors_come_by_offset, setup, teardown),
        cmocka_unit_test_setup_teardown(indexes_are_held_against_shards, setup, teardown),
        cmocka_unit_test_setup_teardown(directories_without_index, setup, teardown),
        cmocka_unit_test_setup_teardown(layout_is_the_reference_order, setup, teardown),
        cmocka_unit_test_setup_teardown(index_is_as_python_writes_it, setup, teardown),
        cmocka_unit_test(paths_stay_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
