/* test_mini.c -- settings that are chosen for a map, tensors that are invented for it, and mutants.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "compiler/mini.h"
#include "compiler/mutate.h"

struct world {
    struct wm_arena arena;
    struct wm_cc cc;
    struct wm_chain *chain;
    struct wm_err err;
};

static void
load(struct world *w, const char *text)
{
    memset(w, 0, sizeof(*w));
    wm_arena_init(&w->arena, &wm_sys_real, NULL, NULL);
    wm_cc_init(&w->cc, &w->arena, &wm_sys_real);
    text = wm_arena_printf(&w->arena, "wmap 1\nmap t\n%s", text).p;
    if (wm_load_text(&w->cc, WM_STR("t.wmap"), wm_str_c(text), &w->chain, &w->err) != WM_OK)
        fail_msg("does not load: %s", text);
}

static void
unload(struct world *w)
{
    wm_cc_fini(&w->cc);
    wm_arena_fini(&w->arena);
}

/* ---- settings ---- */

static const struct wm_setting *
setting(const wm_settings *s, const char *name)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->item[i].kind <= WM_SET_PARAM && wm_str_eq(s->item[i].name, wm_str_c(name)))
            return &s->item[i];
    return NULL;
}

static bool
has_value(const struct wm_setting *s, const char *json)
{
    for (uint32_t i = 0; i < s->value.n; i++)
        if (wm_str_eq(s->value.item[i], wm_str_c(json)))
            return true;
    return false;
}

static void
test_settings(void **state)
{
    static const char text[] =
        "param n = 2\nparam unused = true\n"
        "let h = config.a.heads ?? config.h\nlet mode = config.mode\n"
        "index l < config.layers where l != config.skip\n"
        "if mode == \"x\" || mode == \"y\" { \"a.{l}\" [(h n d)] <-> \"b.{l}\" [h n d] }\n"
        "if config.flag ?? false { \"c\" <-> \"d\" }\n"
        "if config.kinds[0] == \"k\" { \"e\" <-> \"f\" }\n";
    static const struct {
        const char *name;
        bool required;
        const char *value; /* one of the candidates; NULL: a list */
    } want[] = {
        {"n", false, "3"},       {"a.heads", false, "6"}, {"h", true, "7"},
        {"mode", true, "\"y\""}, {"layers", true, "4"},   {"skip", true, "5"},
        {"flag", false, "true"}, {"kinds", true, NULL},
    };
    const struct wm_str given = WM_STR("n=4");
    struct world w;
    wm_settings s;

    (void)state;
    load(&w, text);
    wm_settings_collect(&w.cc, w.chain, NULL, NULL, 0, &s);
    for (size_t i = 0; i < WM_COUNTOF(want); i++) {
        const struct wm_setting *x = setting(&s, want[i].name);

        assert_non_null(x);
        assert_true(want[i].value
                        ? has_value(x, want[i].value)
                        : wm_str_starts(x->value.item[0], WM_STR("[\"k\", \"other\", \"k\"")));
        /* what has a default may be absent */
        assert_int_equal(has_value(x, ""), !want[i].required);
    }
    assert_null(setting(&s, "unused"));
    wm_settings_collect(&w.cc, w.chain, NULL, &given, 1, &s);
    assert_null(setting(&s, "n"));
    unload(&w);
}

static void
test_config_text(void **state)
{
    struct world w;
    wm_settings s;
    struct wm_str text;

    (void)state;
    load(&w, "let n = config.rope.a.n\n\"a\" [(n k)] <-> \"b\" [n k]\n");
    wm_settings_collect(&w.cc, w.chain, NULL, NULL, 0, &s);
    text = wm_settings_config(&w.arena, &s, NULL);
    assert_non_null(strstr(text.p, "\"rope\""));
    assert_non_null(strstr(text.p, "\"n\":\t7"));
    assert_string_equal(wm_settings_text(&w.arena, &s).p, "rope.a.n=7");
    unload(&w);
}

/* ---- the search ---- */

static void
test_find(void **state)
{
    static const char text[] =
        "let h = config.heads\nlet g = config.groups\nlet d = config.width / h\n"
        "\"q\" [(g r d) e], \"k\" [(g s d) e] <-> \"qk\" [(g (r + s) d) e] where r = h / g, s = 1\n"
        "if config.tail { \"t\" [n m] <-> \"t\" [m n] } else { \"t\" <-> \"u\" }\n";
    struct wm_bind_opts o = {0};
    struct world w;
    struct wm_mini *set;
    uint32_t n, items;
    bool used[8] = {false};

    (void)state;
    load(&w, text);
    items = wm_mini_items(w.chain, false);
    assert_int_equal(items, 3);
    assert_int_equal(wm_mini_find(&w.cc, w.chain, &o, 0, &set, &n, &w.err), WM_OK);
    assert_int_equal(w.cc.diags.list.n, 0); /* trials leave nothing behind */
    for (uint32_t k = 0; k < n; k++) {
        assert_int_equal(set[k].in.nequal, 1); /* s = 1: the only one that can't be helped */
        for (uint32_t i = 0; i < items; i++)
            used[i] |= set[k].in.covered[i];
    }
    for (uint32_t i = 0; i < items; i++)
        assert_true(used[i]);
    unload(&w);
}

/* Every element of a mini checkpoint is its own, but for what the map says of copies and constants.
 */
static void
test_data(void **state)
{
    struct wm_bind_opts o = {0};
    struct world w;
    struct wm_mini *set;
    struct wm_mini_file *file;
    struct wm_manifest *m;
    const float *v;
    uint32_t n, nfile;

    (void)state;
    load(&w, "\"k\" [(g rep d)] <-> \"k\" [(g d)] where g = 2, rep = 3, d = 4 broadcast rep\n"
             "\"z\" [n] <-> fill 0.5 F32 where n = 5\n");
    assert_int_equal(wm_mini_find(&w.cc, w.chain, &o, 1, &set, &n, &w.err), WM_OK);
    assert_int_equal(wm_mini_files(&w.cc, set, 0, &file, &nfile, &w.err), WM_OK);
    assert_int_equal(nfile, 1);
    m = set->manifest;
    assert_int_equal(m->tensor.n, 2);
    assert_int_equal(m->nbytes, (24 + 5) * 4);
    v = (const float *)(const void *)(file->bytes.p + file->bytes.n - m->nbytes); /* k, then z */
    for (int g = 0; g < 2; g++)
        for (int d = 0; d < 4; d++) {
            for (int rep = 1; rep < 3; rep++)
                assert_true(v[(g * 3 + rep) * 4 + d] == v[g * 12 + d]);
            for (int other = 0; other < g * 4 + d; other++)
                assert_true(v[other / 4 * 12 + other % 4] != v[g * 12 + d]);
        }
    for (int i = 0; i < 5; i++)
        assert_true(v[24 + i] == 0.5f);
    unload(&w);
}

/* ---- mutants ---- */

static void
test_mutants(void **state)
{
    static const char *const want[] = {
        "axes h and two exchanged",
        "axes two and e exchanged",
        "two dropped from a product",
        "(h two) and e exchanged in a pattern",
        "the keys of two terms exchanged",
        "axes q and k exchanged",
        "words gate and up exchanged",
        "3 instead of 2",
        "n * 2 instead of n",
        "two entries of a list exchanged",
        "bf16 instead of f16",
        "1 instead of 0",
        "two operations exchanged",
    };
    static const char text[] = "let n = 3\n"
                               "\"a\" [(h two) e] <-> \"a\" [(two h) e] where two = 2\n"
                               "\"q\" [q], \"k\" [k] <-> \"qk\" [(q + k)] where q = n, k = 2\n"
                               "\"{p in gate|up}\" <-> \"{p in w1|w3}\"\n"
                               "\"c\" <-> transpose(0, 1) | unflatten(0, [2, 3]) <-> \"c\"\n"
                               "\"d\" <-> cast(f16, f32) <-> \"d\"\n";
    struct world w;
    wm_mutants list = {0};
    struct wm_map seen;

    (void)state;
    load(&w, text);
    wm_mutate(&w.cc, w.chain->link.item[0].module, &list);
    wm_map_init(&seen, &w.arena, 64);
    for (size_t k = 0; k < WM_COUNTOF(want); k++) {
        bool found = false;

        for (uint32_t i = 0; i < list.n; i++)
            found |= wm_str_eq(list.item[i]->what, wm_str_c(want[k]));
        if (!found)
            fail_msg("no mutant: %s", want[k]);
    }
    for (uint32_t i = 0; i < list.n; i++) {
        struct wm_file_ast *f;

        assert_int_equal(wm_map_put(&seen, list.item[i]->text, i), i); /* no two alike */
        f = wm_parse_file(&w.arena, &w.cc.sources,
                          wm_source_add(&w.cc.sources, WM_STR("mutant"), list.item[i]->text),
                          &w.cc.diags);
        assert_true(f->ok);
    }
    unload(&w);
}

/* The tree is left as it was. */
static void
test_mutate_leaves_no_trace(void **state)
{
    struct world w;
    wm_mutants list = {0};
    struct wm_buf before, after;
    struct wm_module *m;

    (void)state;
    load(&w, "\"{p in gate|up}\" [f (a b)] <-> \"x\" [(p f) (b a)] where a = 2\n");
    m = w.chain->link.item[0].module;
    wm_buf_init(&before, &w.arena);
    wm_buf_init(&after, &w.arena);
    wm_print_file(m->ast, &before);
    wm_mutate(&w.cc, m, &list);
    wm_print_file(m->ast, &after);
    assert_true(list.n > 10);
    assert_true(wm_str_eq(wm_buf_str(&before), wm_buf_str(&after)));
    unload(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings), cmocka_unit_test(test_config_text),
        cmocka_unit_test(test_find),     cmocka_unit_test(test_data),
        cmocka_unit_test(test_mutants),  cmocka_unit_test(test_mutate_leaves_no_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
