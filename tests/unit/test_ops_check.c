/* test_ops_check.c -- what is wrong with a pipeline: by its text alone, and with shapes and data
 * types. */
#include "tests/unit/ops_kit.h"

/* The only diagnostic of a map: its code, what it points at, and a part of what it says. */
static void
expect(struct world *w, const char *rule, enum wm_code code, const char *at, const char *says)
{
    const struct wm_diag *d;

    if (w->cc.diags.list.n != 1) {
        print_diags(w);
        fail_msg("%u diagnostics: %s", w->cc.diags.list.n, rule);
    }
    d = w->cc.diags.list.item[0];
    if (d->code != code || !strstr(wm_arena_cstr(&w->arena, d->message), says) ||
        (at && !wm_str_eq(wm_source_text(&w->cc.sources, d->span), wm_str_c(at)))) {
        print_diags(w);
        fail_msg("%s", rule);
    }
}

static const struct {
    const char *rule;
    enum wm_code code;
    const char *at, *says;
} wrong[] = {
    {"\"a\" <-> transpos(0, 1) <-> \"x\"", WM_E_OP_UNKNOWN, "transpos", "transpos"},
    {"\"a\" <-> transpose(0) <-> \"x\"", WM_E_OP_ARITY, "transpose(0)",
     "2 arguments, this call has 1"},
    {"\"a\" -> neg(1) -> \"x\"", WM_E_OP_ARITY, "neg(1)", "0 arguments, this call has 1"},
    {"\"a\" -> flatten(1) -> \"x\"", WM_E_OP_ARITY, "flatten(1)", "2 to 3 arguments"},
    {"\"a\" -> permute() -> \"x\"", WM_E_OP_ARITY, "permute()", "at least 1 argument"},
    {"\"a\" <-> transpose(0, \"1\") <-> \"x\"", WM_E_OP_ARG, "\"1\"",
     "argument 2 must be a dimension"},
    {"\"a\" <-> transpose(0, 1.5) <-> \"x\"", WM_E_OP_ARG, "1.5", "argument 2"},
    {"\"a\" <-> unflatten(0, 4) <-> \"x\"", WM_E_OP_ARG, "4", "a list of integers"},
    {"\"a\" <-> unflatten(0, [4, true]) <-> \"x\"", WM_E_OP_ARG, "[4, true]", "a list of integers"},
    {"\"a\" <-> repeat([0], 2) <-> \"x\"", WM_E_OP_ARG, "[0]", "a dimension"},
    {"\"a\" -> cast(bfloat61) -> \"x\"", WM_E_DTYPE_UNKNOWN, "bfloat61", "bfloat61"},
    {"\"a\" -> cast(16) -> \"x\"", WM_E_OP_ARG, "16", "the name of a data type"},
    {"\"a\" -> cast(F4) -> \"x\"", WM_E_OP_ARG, "F4", "not supported"},
    {"\"a\" <-> uncast(bf16, f32) <-> \"x\"", WM_E_OP_ARG, "uncast(bf16, f32)", "every value"},
    {"\"a\" <-> permute(0, 0) <-> \"x\"", WM_E_OP_DIM, "0", "named twice"},
    {"\"a\" <-> permute(0, 2) <-> \"x\"", WM_E_OP_DIM, "2", "0 to 1"},
    {"\"a\" <-> repeat(0, nope) <-> \"x\"", WM_E_UNKNOWN_NAME, "nope", "nope"},
    {"\"a\" <-> slice(0, 0, 2) <-> \"x\"", WM_E_OP_ONE_WAY, "slice(0, 0, 2)", "slice"},
    {"\"a\" <-> flatten(0, 1) <-> \"x\"", WM_E_OP_ONE_WAY, "flatten(0, 1)", "flatten"},
    {"\"a\" <-> reshape([2, 2]) <-> \"x\"", WM_E_OP_ONE_WAY, "reshape([2, 2])", "reshape"},
    {"\"a\" <-> cast(bf16) <-> \"x\"", WM_E_OP_ONE_WAY, "cast(bf16)", "cast"},
    {"\"a\" <-> cast(f32, bf16) <-> \"x\"", WM_E_OP_LOSSY, "cast(f32, bf16)", "cast loses"},
    {"\"a\" <-> cast(bf16, f16) <-> \"x\"", WM_E_OP_LOSSY, "cast(bf16, f16)", "cast loses"},
    {"\"a\" <-> add(1) <-> \"x\"", WM_E_OP_LOSSY, "add(1)", "add loses"},
    {"\"a\" <-> mul(0.5) <-> \"x\"", WM_E_OP_LOSSY, "mul(0.5)", "mul loses"},
    {"\"a\" <-> exp <-> \"x\"", WM_E_OP_LOSSY, "exp", "exp loses"},
    {"\"a\" <-> lossy transpose(0, 1) <-> \"x\"", WM_E_OP_LOSSY_UNUSED, "lossy transpose(0, 1)",
     "loses nothing"},
    {"\"a\" [a b] <-> transpose(0, 1) <-> \"x\" [b a]", WM_E_OP_PATTERN, "transpose(0, 1)",
     "the patterns do that"},
    {"\"a\", \"b\" <-> transpose(0, 1) <-> \"x\"", WM_E_OP_COUNT, "transpose(0, 1)",
     "give 2 tensors, but the rule has 1"},
    {"\"a\", \"b\" <-> concat(0) <-> \"x\", \"y\"", WM_E_OP_COUNT, "concat(0)",
     "give 1 tensor, but the rule has 2"},
    {"\"x\" <-> split(0, [1, 2]) <-> \"a\"", WM_E_OP_COUNT, "split(0, [1, 2])",
     "give 2 tensors, but the rule has 1"},
    {"\"a\" <- stack(0) <- \"x\"", WM_E_NONE, NULL, NULL},
    {"\"a\" -> cast(f32, bf16) -> \"x\"", WM_E_NONE, NULL, NULL},
    {"\"a\" -> add(1) | exp | slice(0, 0, 2) -> \"x\"", WM_E_NONE, NULL, NULL},
    {"\"a\" [a b] <-> neg <-> \"x\" [b a]", WM_E_NONE, NULL, NULL},
};

static void
test_text(void **state)
{
    (void)state;
    for (size_t k = 0; k < WM_COUNTOF(wrong); k++) {
        struct world *w = world_new(wrong[k].rule);

        if (wrong[k].code != WM_E_NONE) {
            expect(w, wrong[k].rule, wrong[k].code, wrong[k].at, wrong[k].says);
        } else if (w->cc.diags.list.n > 0) {
            print_diags(w);
            fail_msg("%s", wrong[k].rule);
        }
        world_free(w);
    }
}

static const struct {
    const char *rule;
    uint32_t nin, nout;
    struct wm_shape in[3];
    enum wm_dtype dtype;
    enum wm_code code;
    const char *says;
    bool back;
} unfit[] = {
    {"\"a\" <-> transpose(0, 2) <-> \"x\"",
     1,
     1,
     {S(2, 3)},
     WM_DT_F32,
     WM_E_OP_DIM,
     "dimension 2 of a tensor with 2 dimensions",
     false},
    {"\"a\" <-> transpose(-3, 0) <-> \"x\"",
     1,
     1,
     {S(2, 3)},
     WM_DT_F32,
     WM_E_OP_DIM,
     "dimension -3",
     false},
    {"\"a\" <-> permute(0, 1) <-> \"x\"",
     1,
     1,
     {S(2, 3, 4)},
     WM_DT_F32,
     WM_E_OP_SHAPE,
     "2 dimensions are named, but the tensor has 3",
     false},
    {"\"x\" <-> chunk(0) <-> \"a\", \"b\", \"c\"",
     1,
     3,
     {S(10, 2)},
     WM_DT_F32,
     WM_E_OP_UNEVEN,
     "chunk: 10 does not divide into 3 equal parts",
     false},
    {"\"x\" <-> split(0, list) <-> \"a\", \"b\"",
     1,
     2,
     {S(7)},
     WM_DT_F32,
     WM_E_OP_UNEVEN,
     "split: the sizes add up to 6, but the dimension has 7",
     false},
    {"\"x\" <-> split(0, two) <-> \"a\", \"b\"",
     1,
     2,
     {S(6)},
     WM_DT_F32,
     WM_E_OP_ARG,
     "a list of sizes",
     false},
    {"\"x\" <-> chunk(0, 3) <-> \"a\", \"b\", \"c\"",
     1,
     2,
     {S(6)},
     WM_DT_F32,
     WM_E_OP_COUNT,
     "it gives 3 tensors, but the rule has 2",
     false},
    {"\"x\" <-> unstack(0) <-> \"a\", \"b\"",
     1,
     2,
     {S(3, 2)},
     WM_DT_F32,
     WM_E_OP_COUNT,
     "it gives 3 tensors, but the rule has 2",
     false},
    {"\"x\" <-> unstack(0) <-> \"a\"",
     1,
     1,
     {S(0, 2)},
     WM_DT_F32,
     WM_E_OP_COUNT,
     "no tensor",
     false},
    {"\"x\" -> chunk(0) | stack(0) -> \"a\"",
     1,
     1,
     {S(6)},
     WM_DT_F32,
     WM_E_OP_COUNT,
     "into how many",
     false},
    {"\"a\", \"b\" <-> concat(0) <-> \"x\"",
     2,
     1,
     {S(2), S(3)},
     WM_DT_F32,
     WM_E_OP_UNEVEN,
     "equal parts",
     false},
    {"\"a\", \"b\" <-> concat(0) <-> \"x\"",
     2,
     1,
     {S(2), S(4)},
     WM_DT_F32,
     WM_E_OP_UNEVEN,
     "tensor 0 has 2 in dimension 0, but its part is 3",
     false},
    {"\"a\", \"b\" -> concat(0) -> \"x\"",
     2,
     1,
     {S(2, 3), S(2, 4)},
     WM_DT_F32,
     WM_E_OP_SHAPE,
     "tensor 1 has shape [2, 4], tensor 0 has [2, 3]",
     false},
    {"\"a\", \"b\" <-> concat(0, [2, 3]) <-> \"x\"",
     2,
     1,
     {S(3), S(2)},
     WM_DT_F32,
     WM_E_OP_UNEVEN,
     "tensor 0 has 3 in dimension 0, but its part is 2",
     false},
    {"\"a\", \"b\" <-> stack(0) <-> \"x\"",
     2,
     1,
     {S(2), S(3)},
     WM_DT_F32,
     WM_E_OP_SHAPE,
     "tensor 1 has shape [3], tensor 0 has [2]",
     false},
    {"\"a\", \"b\" <-> stack(0) <-> \"x\"",
     1,
     2,
     {S(3, 2)},
     WM_DT_F32,
     WM_E_OP_COUNT,
     "it gives 3 tensors, but the rule has 2",
     true},
    {"\"a\" <-> unflatten(0, [4, -1]) <-> \"x\"",
     1,
     1,
     {S(10)},
     WM_DT_F32,
     WM_E_OP_UNEVEN,
     "10 elements do not divide by 4",
     false},
    {"\"a\" <-> unflatten(0, [4, 2]) <-> \"x\"",
     1,
     1,
     {S(10)},
     WM_DT_F32,
     WM_E_OP_SHAPE,
     "the product of the sizes is 8, but there are 10",
     false},
    {"\"a\" <-> unflatten(0, [-1, -1]) <-> \"x\"",
     1,
     1,
     {S(10)},
     WM_DT_F32,
     WM_E_OP_ARG,
     "only one",
     false},
    {"\"a\" <-> unflatten(0, [4, -1]) <-> \"x\"",
     1,
     1,
     {S(2, 5)},
     WM_DT_F32,
     WM_E_OP_SHAPE,
     "dimension 0 has 2, but its size is given as 4",
     true},
    {"\"a\" <-> flatten(0, 1, [2, 5]) <-> \"x\"",
     1,
     1,
     {S(5, 2)},
     WM_DT_F32,
     WM_E_OP_SHAPE,
     "dimension 0 has 5, but its size is given as 2",
     false},
    {"\"a\" -> flatten(1, 0) -> \"x\"",
     1,
     1,
     {S(5, 2)},
     WM_DT_F32,
     WM_E_OP_DIM,
     "stands behind",
     false},
    {"\"a\" <-> reshape([2, 5], [10]) <-> \"x\"",
     1,
     1,
     {S(5, 2)},
     WM_DT_F32,
     WM_E_OP_SHAPE,
     "the tensor has shape [5, 2], but the call says [2, 5]",
     false},
    {"\"a\" -> reshape([3, -1]) -> \"x\"",
     1,
     1,
     {S(5, 2)},
     WM_DT_F32,
     WM_E_OP_UNEVEN,
     "10 elements",
     false},
    {"\"a\" <-> squeeze(0) <-> \"x\"",
     1,
     1,
     {S(5, 2)},
     WM_DT_F32,
     WM_E_OP_SHAPE,
     "dimension 0 has 5, not 1",
     false},
    {"\"a\" -> slice(0, 2, 6) -> \"x\"",
     1,
     1,
     {S(5, 2)},
     WM_DT_F32,
     WM_E_OP_SHAPE,
     "2 to 6 is no part of 0 to 5",
     false},
    {"\"a\" -> slice(0, -2, 5) -> \"x\"",
     1,
     1,
     {S(5, 2)},
     WM_DT_F32,
     WM_E_OP_SHAPE,
     "-2 to 5",
     false},
    {"\"a\" <-> pad(0, 4, 8, 0) <-> \"x\"",
     1,
     1,
     {S(5)},
     WM_DT_F32,
     WM_E_OP_SHAPE,
     "dimension 0 has 5, but the call says 4",
     false},
    {"\"a\" <-> pad(0, 5, 8, 300) <-> \"x\"",
     1,
     1,
     {S(5)},
     WM_DT_U8,
     WM_E_OP_DTYPE,
     "300 is no value of type U8",
     false},
    {"\"a\" <-> repeat(0, 0) <-> \"x\"", 1, 1, {S(5)}, WM_DT_F32, WM_E_OP_ARG, "0 copies", false},
    {"\"a\" <-> repeat(0, 3) <-> \"x\"",
     1,
     1,
     {S(5)},
     WM_DT_F32,
     WM_E_OP_UNEVEN,
     "5, which is not 3 copies",
     true},
    {"\"a\" -> repeat(0, 4611686018427387904) -> \"x\"",
     1,
     1,
     {S(5)},
     WM_DT_F32,
     WM_E_OP_LIMIT,
     "64 bits",
     false},
    {"\"a\" -> repeat(0, 1152921504606846976) -> \"x\"",
     1,
     1,
     {S(4, 4)},
     WM_DT_F32,
     WM_E_OP_LIMIT,
     "more elements",
     false},
    {"\"a\" <-> cast(bf16, f32) | unsqueeze(0) <-> \"x\"",
     1,
     1,
     {S(5)},
     WM_DT_F16,
     WM_E_OP_DTYPE,
     "the tensor is F16, but the call says BF16",
     false},
    {"\"a\" <-> cast(bf16, f32) | unsqueeze(0) <-> \"x\"",
     1,
     1,
     {S(1, 5)},
     WM_DT_BF16,
     WM_E_OP_DTYPE,
     "the tensor is BF16, but the call says F32",
     true},
    {"\"a\" -> add(1) | unsqueeze(0) -> \"x\"",
     1,
     1,
     {S(5)},
     WM_DT_I32,
     WM_E_OP_DTYPE,
     "this tensor is I32",
     false},
    {"\"a\" <-> lossy mul(two - 2) | unsqueeze(0) <-> \"x\"",
     1,
     1,
     {S(5)},
     WM_DT_F32,
     WM_E_OP_ONE_WAY,
     "the factor is 0",
     false},
    {"\"a\" -> pad(0, 2, 3, 1) | log | neg | cast(u8) -> \"x\"",
     1,
     1,
     {S(2)},
     WM_DT_F32,
     WM_E_NONE,
     NULL,
     false},
    {"\"a\" -> pad(0, 2, 3, -1) | cast(u8) -> \"x\"",
     1,
     1,
     {S(2)},
     WM_DT_F32,
     WM_E_OP_DTYPE,
     "the padding has no value",
     false},
    {"\"a\" -> pad(0, 3, 5, 1) | pad(0, 5, 4, 2) -> \"x\"",
     1,
     1,
     {S(3)},
     WM_DT_F32,
     WM_E_OP_SHAPE,
     "padding of another value",
     false},
    {"\"a\" -> pad(0, 3, 5, 1) | pad(0, 5, 2, 1) -> \"x\"",
     1,
     1,
     {S(3)},
     WM_DT_F32,
     WM_E_NONE,
     NULL,
     false},
};

static void
test_bind(void **state)
{
    (void)state;
    for (size_t k = 0; k < WM_COUNTOF(unfit); k++) {
        struct world *w = world_new(unfit[k].rule);
        struct wm_pipe_out out[3];
        struct wm_pipe_check *check;
        uint32_t n;
        bool ok;

        w->cc.diags.list.n = 0; /* the number of terms may be wrong on purpose */
        ok = bind(w, 0, unfit[k].back, unfit[k].in, unfit[k].nin, unfit[k].dtype, out,
                  unfit[k].nout, &check, &n);
        if (unfit[k].code != WM_E_NONE)
            expect(w, unfit[k].rule, unfit[k].code, NULL, unfit[k].says);
        if (ok != (unfit[k].code == WM_E_NONE)) {
            print_diags(w);
            fail_msg("%s", unfit[k].rule);
        }
        world_free(w);
    }
}

/* How many tensors the other side has, where only the pipeline knows. */
static void
test_count(void **state)
{
    static const struct {
        const char *rule;
        bool back;
        struct wm_shape in;
        int64_t n;
    } c[] = {
        {"\"a\" <-> stack(0) <-> \"x\"", true, S(7, 2), 7},
        {"\"a\" <-> stack(0) | transpose(0, 1) <-> \"x\"", true, S(2, 7), 7},
        {"\"a\" <-> concat(0, 5) <-> \"x\"", true, S(10), 5},
        {"\"a\" <-> concat(0) <-> \"x\"", true, S(10), 0},
        {"\"a\" <-> transpose(0, 1) | concat(0) <-> \"x\"", true, S(10, 2), 0},
        {"\"a\" <-> stack(0) <-> \"x\"", false, S(2, 2), 1},
    };

    (void)state;
    for (size_t k = 0; k < WM_COUNTOF(c); k++) {
        struct world *w = world_new(c[k].rule);
        const struct wm_rule *r = w->mod->rule.item[0];
        struct wm_scope sc = {.rule = r};
        int64_t n = -1;

        if (!wm_pipe_count(&w->g, &w->be, &sc, r, c[k].back, &c[k].in, WM_DT_F32, 1, &n)) {
            print_diags(w);
            fail_msg("%s", c[k].rule);
        }
        assert_int_equal(n, c[k].n);
        world_free(w);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_bind),
        cmocka_unit_test(test_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
