/* tests/unit/test_parse.c -- text to tree: spans, atoms, limits, recovery, and printing back. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "compiler/parse.h"

struct kit {
    struct wm_arena a;
    struct wm_sources sources;
    struct wm_diags diags;
};

static void
begin(struct kit *k)
{
    *k = (struct kit){.sources = {0}};
    wm_arena_init(&k->a, &wm_sys_real, NULL, NULL);
    k->sources.a = &k->a;
    wm_diags_init(&k->diags, &k->a, &k->sources);
}

static struct wm_file_ast *
parse(struct kit *k, const char *text)
{
    return wm_parse_file(&k->a, &k->sources,
                         wm_source_add(&k->sources, WM_STR("t.wmap"), wm_str_c(text)), &k->diags);
}

static void
assert_text(struct wm_str got, const char *want)
{
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

/* `let x = TEXT`, printed back. */
static const struct {
    const char *text, *printed;
} expressions[] = {
    {"1 + 2 * 3",                  "1 + 2 * 3"              },
    {"(1 + 2) * 3",                "(1 + 2) * 3"            },
    {"((1) + (2 * 3))",            "1 + 2 * 3"              },
    {"a - (b - c)",                "a - (b - c)"            },
    {"(a - b) - c",                "a - b - c"              },
    {"a ?? (b ?? c)",              "a ?? b ?? c"            },
    {"(a ?? b) ?? c",              "(a ?? b) ?? c"          },
    {"(a < b) == c",               "(a < b) == c"           },
    {"-(a + b)",                   "-(a + b)"               },
    {"(-a).b",                     "(-a).b"                 },
    {"!(a && b) || c",             "!(a && b) || c"         },
    {"(a ? b : c) ? d : e",        "(a ? b : c) ? d : e"    },
    {"a ? b : (c ? d : e)",        "a ? b : c ? d : e"      },
    {"1..n+1",                     "1..n + 1"               },
    {"layer in (config.l ?? [])",  "layer in config.l ?? []"},
    {"1_000 + 1e4 + 0.5e-3",       "1_000 + 1e4 + 0.5e-3"   },
    {"config.in.fill . true[ 0 ]", "config.in.fill.true[0]" },
    {"[1,2,[3]]",                  "[1, 2, [3]]"            },
    {"min( a,b )",                 "min(a, b)"              },
    {"a--b",                       "a - -b"                 },
};

static void
expressions_print_with_the_fewest_parentheses(void **state)
{
    (void)state;
    for (size_t n = 0; n < WM_COUNTOF(expressions); n++) {
        char text[200];
        struct wm_file_ast *f;
        struct wm_buf b;
        struct kit k;

        begin(&k);
        snprintf(text, sizeof(text), "wmap 1 let x = %s", expressions[n].text);
        f = parse(&k, text);
        print_message("  %s\n", expressions[n].text);
        assert_true(f->ok);
        assert_int_equal(f->nstmt, 1);
        wm_buf_init(&b, &k.a);
        wm_print_expr(f->stmt[0]->expr, &b);
        assert_text(wm_buf_str(&b), expressions[n].printed);
        wm_arena_fini(&k.a);
    }
}

/* The code of the first diagnostic, and where it points. */
static const struct {
    const char *text;
    enum wm_code code;
    uint32_t off, len;
} errors[] = {
    {"",                                                 WM_E_NO_HEADER,     0,  0 },
    {"wmap 2",                                           WM_E_VERSION,       0,  6 },
    {"wmap 1 let a = 9223372036854775808",               WM_E_NUMBER_RANGE,  15, 19},
    {"wmap 1 let a = 1e999",                             WM_E_NUMBER_RANGE,  15, 5 },
    {"wmap 1 let a = 01",                                WM_E_BAD_NUMBER,    15, 2 },
    {"wmap 1 let a = 1__0",                              WM_E_BAD_NUMBER,    15, 4 },
    {"wmap 1 let a = 12ab",                              WM_E_BAD_NUMBER,    15, 4 },
    {"wmap 1 let a = .5",                                WM_E_BAD_NUMBER,    15, 2 },
    {"wmap 1 let a = \"x",                               WM_E_OPEN_STRING,   15, 1 },
    {"wmap 1 let a = \"\\q\"",                           WM_E_BAD_ESCAPE,    16, 2 },
    {"wmap 1 let a = \"\\u{0}\"",                        WM_E_NUL_BYTE,      16, 5 },
    {"wmap 1 let a = $",                                 WM_E_BAD_CHAR,      15, 1 },
    {"wmap 1 let in = 1",                                WM_E_SYNTAX,        11, 2 },
    {"wmap 1 let a = 1 < 2 < 3",                         WM_E_SYNTAX,        21, 1 },
    {"wmap 1 \"a\" [x + y] <-> \"b\"",                   WM_E_BAD_PATTERN,   14, 1 },
    {"wmap 1 \"a\" [2] <-> \"b\"",                       WM_E_BAD_PATTERN,   12, 1 },
    {"wmap 1 \"{a\" <-> \"b\"",                          WM_E_BAD_TEMPLATE,  8,  1 },
    {"wmap 1 \"a}\" <-> \"b\"",                          WM_E_BAD_TEMPLATE,  9,  1 },
    {"wmap 1 \"{3}\" <-> \"b\"",                         WM_E_BAD_TEMPLATE,  8,  3 },
    {"wmap 1 \"{p in a|b|a}\" <-> \"b\"",                WM_E_TWICE,         18, 1 },
    {"wmap 1 \"{p in a|}\" <-> \"b\"",                   WM_E_BAD_TEMPLATE,  16, 0 },
    {"wmap 1 \"{l + }\" <-> \"b\"",                      WM_E_SYNTAX,        12, 0 },
    {"wmap 1 \"a\" <-> neg -> \"b\"",                    WM_E_ARROWS_DIFFER, 19, 2 },
    {"wmap 1 source { file \"a\" as \"b\" }",            WM_E_HALF_SAID,     28, 3 },
    {"wmap 1 shard r on target { \"a\" split 0 pad 3 }", WM_E_HALF_SAID,     27, 17},
    {"wmap 1 if x { let a = 1 }",                        WM_E_MISPLACED,     14, 1 },
    {"wmap 1 within \"a\" <-> \"b\" { \"c\" <-> \"d\"",  WM_E_SYNTAX,        39, 0 },
};

static void
errors_point_at_their_place(void **state)
{
    (void)state;
    for (size_t n = 0; n < WM_COUNTOF(errors); n++) {
        struct wm_file_ast *f;
        struct kit k;

        begin(&k);
        f = parse(&k, errors[n].text);
        print_message("  %s\n", errors[n].text);
        assert_false(f->ok);
        wm_diags_finish(&k.diags);
        assert_int_equal(k.diags.list.item[0]->code, errors[n].code);
        assert_int_equal(k.diags.list.item[0]->span.off, errors[n].off);
        assert_int_equal(k.diags.list.item[0]->span.len, errors[n].len);
        wm_arena_fini(&k.a);
    }
}

static void
statements_behind_an_error_are_kept(void **state)
{
    struct wm_file_ast *f;
    struct kit k;

    (void)state;
    begin(&k);
    f = parse(&k, "wmap 1\n"
                  "let a =\n"
                  "let b = 1\n"
                  "within \"x\" <- \"y\" {\n  \"c\" <-> \"d\"\n}\n"
                  "source { format = pth\n  carry \"z\" }\n"
                  "\"k\" <-> \"l\"\n");
    assert_false(f->ok);
    assert_int_equal(k.diags.nerror, 3);
    assert_int_equal(f->nstmt, 3);
    assert_text(f->stmt[0]->name, "b");
    assert_int_equal(f->stmt[1]->kind, WM_ST_SIDE);
    assert_int_equal(f->stmt[1]->nitem, 1);
    assert_int_equal(f->stmt[2]->kind, WM_ST_RULE);
    wm_arena_fini(&k.a);
}

static void
templates_know_their_parts(void **state)
{
    const struct wm_template *t;
    struct wm_file_ast *f;
    struct kit k;

    (void)state;
    begin(&k);
    f = parse(&k, "wmap 1 \"a{{.{layer + 1:05}{p in q.a|k-b}\\u{7b}x{rest*}\" -> \"b\"");
    assert_true(f->ok);
    t = f->stmt[0]->rule->side[0].term[0].key;
    assert_int_equal(t->npart, 5);
    assert_text(t->part[0].text, "a{.");
    assert_int_equal(t->part[1].kind, WM_HO_INDEX);
    assert_text(t->part[1].name, "layer");
    assert_int_equal(t->part[1].width, 5);
    assert_int_equal(t->part[1].expr->kind, WM_EX_ADD);
    assert_text(wm_source_text(&k.sources, t->part[1].span), "{layer + 1:05}");
    assert_text(wm_source_text(&k.sources, t->part[1].expr->span), "layer + 1");
    assert_int_equal(t->part[2].kind, WM_HO_WORDS);
    assert_int_equal(t->part[2].nword, 2);
    assert_text(t->part[2].word[1], "k-b");
    assert_text(t->part[3].text, "{x");
    assert_int_equal(t->part[4].kind, WM_HO_CAPTURE);
    wm_arena_fini(&k.a);
}

static void
hostile_nesting_is_one_error(void **state)
{
    static const char *const open[] = {
        "let a = [", "let a = -",        "let a = 1 + ", "let a = b[", "within \"a\" <-> \"b\" { ",
        "map m = ~", "let a = x ? y : ", "\"a\" [(",     "let a = b."};

    (void)state;
    for (size_t n = 0; n < WM_COUNTOF(open); n++) {
        const char *again = strchr(open[n], '=') ? strchr(open[n], '=') + 2 : open[n];
        struct wm_buf b;
        struct kit k;

        if (open[n][0] == '"')
            again = "(";
        begin(&k);
        wm_buf_init(&b, &k.a);
        wm_buf_printf(&b, "wmap 1 %s", open[n]);
        for (int j = 0; j < 20000; j++)
            wm_buf_putz(&b, again);
        print_message("  %s\n", open[n]);
        assert_false(parse(&k, b.p)->ok);
        assert_int_equal(k.diags.nerror, 1);
        wm_arena_fini(&k.a);
    }
}

/* Trees that no text stands for are printed from their values. */
static void
nodes_without_a_spelling_print(void **state)
{
    struct wm_hole part[3] = {
        {.kind = WM_HO_TEXT,    .text = WM_STR("a{\"")},
        {.kind = WM_HO_CAPTURE, .name = WM_STR("rest")},
        {.kind = WM_HO_TEXT,    .text = WM_STR("\n}") }
    };
    struct wm_template t = {.part = part, .npart = 3};
    struct wm_term term[2] = {{.key = &t}, {.key = &t}};
    struct wm_rule_ast r = {.arrow = WM_AR_BACKWARD};
    struct wm_expr one = {.kind = WM_EX_FLOAT, .f = 0.1}, two = {.kind = WM_EX_FLOAT, .f = 3};
    struct wm_expr *arg[2] = {&one, &two};
    struct wm_expr sum = {.kind = WM_EX_MUL, .arg = arg, .narg = 2};
    struct wm_buf b;
    struct kit k;

    (void)state;
    begin(&k);
    wm_buf_init(&b, &k.a);
    r.side[0].term = &term[0];
    r.side[1].term = &term[1];
    r.side[0].nterm = r.side[1].nterm = 1;
    wm_print_rule(&r, &b);
    assert_text(wm_buf_str(&b), "\"a{{\\\"{rest*}\\n}}\" <- \"a{{\\\"{rest*}\\n}}\"");
    wm_buf_init(&b, &k.a);
    wm_print_expr(&sum, &b);
    assert_text(wm_buf_str(&b), "0.1 * 3.0");
    wm_arena_fini(&k.a);
}

static void
map_expressions_take_paths(void **state)
{
    const struct wm_mapx *m;
    struct kit k;

    (void)state;
    begin(&k);
    m = wm_parse_mapx(&k.a, &k.sources,
                      wm_source_add(&k.sources, WM_STR("-"),
                                    WM_STR("~litgpt/llama >> ./my-map.wmap(tp = 8, s = \"x\")")),
                      &k.diags);
    assert_non_null(m);
    assert_int_equal(m->kind, WM_MX_COMPOSE);
    assert_int_equal(m->arg[0]->kind, WM_MX_INVERSE);
    assert_text(m->arg[0]->arg[0]->name, "litgpt/llama");
    assert_int_equal(m->arg[1]->kind, WM_MX_CALL);
    assert_text(m->arg[1]->arg[0]->name, "./my-map.wmap");
    assert_int_equal(m->arg[1]->nbind, 2);
    assert_int_equal(m->arg[1]->bind[0].expr->i, 8);
    assert_null(wm_parse_mapx(&k.a, &k.sources,
                              wm_source_add(&k.sources, WM_STR("-"), WM_STR("a b")), &k.diags));
    assert_int_equal(k.diags.nerror, 1);
    wm_arena_fini(&k.a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_print_with_the_fewest_parentheses),
        cmocka_unit_test(errors_point_at_their_place),
        cmocka_unit_test(statements_behind_an_error_are_kept),
        cmocka_unit_test(templates_know_their_parts),
        cmocka_unit_test(hostile_nesting_is_one_error),
        cmocka_unit_test(nodes_without_a_spelling_print),
        cmocka_unit_test(map_expressions_take_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
