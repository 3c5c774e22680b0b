/* tests/unit/test_diag.c -- diagnostics: rendering, order, repetitions, JSON, suggestions. */
#include "tests/unit/unit.h"

#include "compiler/diag.h"

struct kit {
    struct wm_arena a;
    struct wm_sources sources;
    struct wm_diags diags;
    struct wm_buf out;
};

static void
begin(struct kit *k)
{
    *k = (struct kit){.sources = {0}};
    wm_arena_init(&k->a, &wm_sys_real, NULL, NULL);
    k->sources.a = &k->a;
    wm_diags_init(&k->diags, &k->a, &k->sources);
    wm_buf_init(&k->out, &k->a);
}

static struct wm_span
at(uint32_t file, uint32_t off, uint32_t len)
{
    return (struct wm_span){.file = file, .off = off, .len = len};
}

static void
assert_rendered(struct kit *k, uint32_t max, const char *want)
{
    struct wm_render how = {.max = max};

    wm_diags_finish(&k->diags);
    wm_diags_text(&k->diags, &how, &k->out);
    assert_string_equal(k->out.p, want);
}

static void
a_diagnostic_has_carets_labels_and_notes(void **state)
{
    struct wm_diag *d;
    struct kit k;

    (void)state;
    begin(&k);
    wm_source_add(&k.sources, WM_STR("m.wmap"),
                  WM_STR("wmap 1\n\"a\" [x y] -> \"b\" [y z]\nlet q = 1\n"));
    d = wm_report(&k.diags, WM_E_SYNTAX, at(0, 24, 5), "%s", "the axes differ");
    wm_label(&k.diags, d, at(0, 11, 5), "here it is x");
    wm_label(&k.diags, d, at(0, 34, 1), "a size");
    wm_note(&k.diags, d, "name the axis");
    assert_rendered(&k, 0,
                    "m.wmap:2:18: error[E0127]: the axes differ\n"
                    "    2 | \"a\" [x y] -> \"b\" [y z]\n"
                    "      |     ~~~~~        ^^^^^\n"
                    "      |     here it is x\n"
                    "    3 | let q = 1\n"
                    "      |     ~\n"
                    "      |     a size\n"
                    "      = note: name the axis\n");
    wm_arena_fini(&k.a);
}

static void
odd_characters_keep_the_caret_in_place(void **state)
{
    struct kit k;

    (void)state;
    begin(&k);
    /* a tab, a wide character, a control character, then x */
    wm_source_add(&k.sources, WM_STR("m"), WM_STR("\t\xe4\xb8\xad\x01x"));
    wm_report(&k.diags, WM_E_SYNTAX, at(0, 5, 1), "bad \x1b[31m name");
    assert_rendered(&k, 0,
                    "m:1:4: error[E0127]: bad \\x1b[31m name\n"
                    "    1 |     \xe4\xb8\xad\\x01x\n"
                    "      |           ^\n");
    wm_arena_fini(&k.a);
}

static void
they_come_in_order_and_once(void **state)
{
    struct kit k;

    (void)state;
    begin(&k);
    wm_source_add(&k.sources, WM_STR("m"), WM_STR("abc"));
    wm_report_at(&k.diags, WM_E_SYNTAX, WM_STR("model.safetensors"), "no place");
    wm_report(&k.diags, WM_E_TWICE, at(0, 2, 1), "second");
    wm_report(&k.diags, WM_E_SYNTAX, at(0, 0, 1), "first");
    wm_report(&k.diags, WM_E_TWICE, at(0, 2, 1), "second");
    wm_diag_demote(&k.diags, wm_report(&k.diags, WM_E_SYNTAX, at(0, 1, 1), "soft"));
    assert_int_equal(k.diags.nerror, 4);
    wm_diags_finish(&k.diags);
    assert_int_equal(k.diags.list.n, 4);
    assert_int_equal(k.diags.nerror, 3);
    assert_int_equal(k.diags.nwarning, 1);
    assert_rendered(&k, 2,
                    "m:1:1: error[E0127]: first\n    1 | abc\n      | ^\n"
                    "m:1:2: warning[W0127]: soft\n    1 | abc\n      |  ^\n"
                    "... and 2 more errors\n");
    assert_int_equal(k.diags.list.item[3]->span.file, WM_NONE);
    wm_arena_fini(&k.a);
}

static void
json_holds_everything(void **state)
{
    struct wm_diag *d;
    struct kit k;

    (void)state;
    begin(&k);
    wm_source_add(&k.sources, WM_STR("m"), WM_STR("ab\ncd"));
    d = wm_report(&k.diags, WM_E_SYNTAX, at(0, 4, 1), "a \"quote\"");
    wm_label(&k.diags, d, at(0, 0, 2), "there");
    wm_note(&k.diags, d, "do it");
    wm_report_at(&k.diags, WM_E_TWICE, WM_STR("dir/x"), "other");
    wm_diags_finish(&k.diags);
    wm_diags_json(&k.diags, &k.out);
    assert_string_equal(
        k.out.p,
        "[{\"code\": \"E0127\", \"severity\": \"error\", \"message\": \"a \\\"quote\\\"\", "
        "\"file\": \"m\", "
        "\"line\": 2, \"column\": 2, \"length\": 1, \"labels\": [{\"file\": \"m\", \"line\": 1, "
        "\"column\": 1, \"length\": 2, \"message\": \"there\"}], \"notes\": [\"do it\"]},\n"
        " {\"code\": \"E0141\", \"severity\": \"error\", \"message\": \"other\", \"file\": "
        "\"dir/x\", "
        "\"labels\": [], \"notes\": []}]");
    wm_arena_fini(&k.a);
}

static void
every_code_has_a_row(void **state)
{
    (void)state;
    assert_int_equal(wm_diag_info(WM_E_SYNTAX)->code, WM_E_SYNTAX);
    assert_string_equal(wm_diag_info(WM_E_SYNTAX)->id, "SYNTAX");
    assert_null(wm_diag_info(WM_E_NONE));
}

static const struct {
    const char *name, *nearest;
} suggestions[] = {
    {"layers",           "layer"            },
    {"laeyr",            "layer"            },
    {"num_hiden_layers", "num_hidden_layers"},
    {"heads",            ""                 },
    {"",                 ""                 },
    {"xyz",              ""                 },
};

static void
only_near_names_are_suggested(void **state)
{
    static const struct wm_str names[] = {
        {"layer",             5 },
        {"num_hidden_layers", 17},
        {"vocab",             5 }
    };
    struct kit k;

    (void)state;
    begin(&k);
    for (size_t n = 0; n < WM_COUNTOF(suggestions); n++) {
        struct wm_str got =
            wm_suggest(&k.a, wm_str_c(suggestions[n].name), names, WM_COUNTOF(names));

        print_message("  %s\n", suggestions[n].name);
        assert_int_equal(got.n, strlen(suggestions[n].nearest));
        assert_memory_equal(got.p, suggestions[n].nearest, got.n);
    }
    wm_arena_fini(&k.a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diagnostic_has_carets_labels_and_notes),
        cmocka_unit_test(odd_characters_keep_the_caret_in_place),
        cmocka_unit_test(they_come_in_order_and_once),
        cmocka_unit_test(json_holds_everything),
        cmocka_unit_test(every_code_has_a_row),
        cmocka_unit_test(only_near_names_are_suggested),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
