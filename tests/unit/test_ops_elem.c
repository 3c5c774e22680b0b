/* test_ops_elem.c -- elementwise operations: chains of steps both ways, constants that pass them,
 * and which casts widen. */
#include "tests/unit/ops_kit.h"

static const struct wm_elem *
chain(struct world *w, uint32_t rule, bool back, enum wm_dtype *t)
{
    const struct wm_rule *r = w->mod->rule.item[rule];
    struct wm_scope sc = {.rule = r};
    uint32_t elem = 0;

    if (!wm_pipe_elem(&w->g, &w->be, &sc, r, back, t, &elem)) {
        print_diags(w);
        fail();
    }
    return &w->g.elem.item[elem];
}

struct steps {
    const char *rule;
    enum wm_dtype from, to;
    uint32_t n;
    enum wm_step_kind there[3], back[3];
    double value, back_value; /* of the first step of each */
};

static const struct steps steps[] = {
    {"\"a\" <-> neg <-> \"x\"", WM_DT_BF16, WM_DT_BF16, 1, {WM_SP_NEG}, {WM_SP_NEG}, 0, 0},
    {"\"a\" <-> lossy add(1) <-> \"x\"", WM_DT_F16, WM_DT_F16, 1, {WM_SP_ADD}, {WM_SP_ADD}, 1, -1},
    {"\"a\" <-> lossy mul(two * 2) <-> \"x\"",
     WM_DT_F32,
     WM_DT_F32,
     1,
     {WM_SP_MUL},
     {WM_SP_MUL},
     4,
     0.25},
    {"\"a\" <-> lossy exp <-> \"x\"", WM_DT_F64, WM_DT_F64, 1, {WM_SP_EXP}, {WM_SP_LOG}, 0, 0},
    {"\"a\" <-> lossy log | neg <-> \"x\"",
     WM_DT_F32,
     WM_DT_F32,
     2,
     {WM_SP_LOG, WM_SP_NEG},
     {WM_SP_NEG, WM_SP_EXP},
     0,
     0},
    {"\"a\" <-> cast(bf16, f32) <-> \"x\"",
     WM_DT_BF16,
     WM_DT_F32,
     1,
     {WM_SP_CAST},
     {WM_SP_UNCAST},
     0,
     0},
    {"\"a\" <-> lossy cast(bf16, f32) <-> \"x\"",
     WM_DT_BF16,
     WM_DT_F32,
     1,
     {WM_SP_CAST},
     {WM_SP_CAST},
     0,
     0},
    {"\"a\" <-> lossy cast(f32, bf16) <-> \"x\"",
     WM_DT_F32,
     WM_DT_BF16,
     1,
     {WM_SP_CAST},
     {WM_SP_CAST},
     0,
     0},
    {"\"a\" <-> uncast(f32, bf16) <-> \"x\"",
     WM_DT_F32,
     WM_DT_BF16,
     1,
     {WM_SP_UNCAST},
     {WM_SP_CAST},
     0,
     0},
    {"\"a\" <-> cast(f16, float32) | lossy add(-1.5) | lossy cast(f32, f16) <-> \"x\"",
     WM_DT_F16,
     WM_DT_F16,
     3,
     {WM_SP_CAST, WM_SP_ADD, WM_SP_CAST},
     {WM_SP_CAST, WM_SP_ADD, WM_SP_UNCAST},
     0,
     0},
};

static void
test_steps(void **state)
{
    (void)state;
    for (size_t k = 0; k < WM_COUNTOF(steps); k++) {
        const struct steps *s = &steps[k];
        struct world *w = world_new(s->rule);

        for (int back = 0; back < 2; back++) {
            enum wm_dtype t = back ? s->to : s->from;
            const struct wm_elem *e = chain(w, 0, back, &t);

            assert_int_equal(t, back ? s->from : s->to);
            assert_int_equal(e->nstep, s->n);
            for (uint32_t i = 0; i < s->n; i++)
                assert_int_equal(e->step[i].kind, back ? s->back[i] : s->there[i]);
            assert_true(e->step[0].value == (back ? s->back_value : s->value));
        }
        world_free(w);
    }
}

/* The way back of one chain is the other one: as text, too. */
static void
test_step_inverse(void **state)
{
    (void)state;
    for (size_t k = 0; k < WM_COUNTOF(steps); k++) {
        struct world *w = world_new(steps[k].rule), *v;
        enum wm_dtype a = steps[k].to, b = steps[k].to;
        struct wm_str text = inverse_text(w, w->mod->rule.item[0]->ast);
        const struct wm_elem *x = chain(w, 0, true, &a), *y;

        v = world_new(wm_arena_cstr(&w->arena, text));
        if (v->cc.diags.nerror > 0) {
            print_diags(v);
            fail_msg("%.*s", WM_STR_ARG(text));
        }
        y = chain(v, 0, false, &b);
        assert_int_equal(a, b);
        assert_int_equal(x->nstep, y->nstep);
        for (uint32_t i = 0; i < x->nstep; i++) {
            assert_int_equal(x->step[i].kind, y->step[i].kind);
            assert_true(x->step[i].value == y->step[i].value);
        }
        world_free(v);
        world_free(w);
    }
}

/* Padding takes the steps behind it; a check of it looks for what the reading side has. */
static void
test_padding(void **state)
{
    struct world *w =
        world_new("\"a\" <-> pad(0, 2, 3, 1.5) | lossy add(1) | cast(f16, f32) <-> \"x\"");
    struct wm_shape in = S(2), whole_shape = S(3);
    struct wm_pipe_out out;
    struct wm_pipe_check *check;
    uint32_t n;
    float f = 2.5f;

    (void)state;
    assert_int_equal(w->cc.diags.nerror, 0);
    assert_true(bind(w, 0, false, &in, 1, WM_DT_F16, &out, 1, &check, &n));
    assert_int_equal(out.dtype, WM_DT_F32);
    for (uint32_t i = 0; i < out.map.box.n; i++) {
        const struct wm_elem *e = &w->g.elem.item[out.map.box.item[i].elem];

        if (out.map.box.item[i].nsrc > 0) {
            assert_int_equal(e->kind, WM_EL_CHAIN);
            assert_int_equal(e->nstep, 2);
            continue;
        }
        assert_int_equal(e->kind, WM_EL_FILL);
        assert_int_equal(e->to, WM_DT_F32);
        assert_memory_equal(e->pattern, &f, 4);
    }
    assert_true(bind(w, 0, true, &whole_shape, 1, WM_DT_F32, &out, 1, &check, &n));
    assert_int_equal(n, 1);
    assert_int_equal(check[0].nunit, 1);
    assert_int_equal(w->g.elem.item[check[0].map.box.item[0].elem].kind, WM_EL_IS_FILL);
    assert_int_equal(w->g.elem.item[check[0].map.box.item[0].elem].from, WM_DT_F32);
    assert_memory_equal(w->g.elem.item[check[0].map.box.item[0].elem].pattern, &f, 4);
    world_free(w);
}

static void
test_join(void **state)
{
    struct world *w = world_new("\"a\" -> neg -> \"x\"");
    struct wm_graph *g = &w->g;
    struct wm_plan_step up = {.kind = WM_SP_CAST, .from = WM_DT_BF16, .to = WM_DT_F32}, down, one;
    uint8_t two[16] = {0, 0, 0, 0x40}, bf[16] = {0, 0x40};
    uint32_t a, b, fill;

    (void)state;
    down = wm_step_invert(&up);
    one = (struct wm_plan_step){.kind = WM_SP_ADD, .from = WM_DT_F32, .to = WM_DT_F32, .value = 1};
    a = wm_elem_chain(g, &up, 1, WM_DT_BF16);
    b = wm_elem_chain(g, &down, 1, WM_DT_F32);
    assert_int_equal(wm_elem_join(g, b, a), 0);
    assert_int_not_equal(wm_elem_join(g, a, b), 0); /* the check of the first stays */
    assert_int_equal(wm_elem_join(g, 0, a), a);
    assert_int_equal(wm_elem_join(g, a, 0), a);
    fill = wm_elem_fill(g, WM_EL_FILL, WM_DT_BF16, bf);
    assert_int_equal(wm_elem_join(g, a, fill), wm_elem_fill(g, WM_EL_FILL, WM_DT_F32, two));
    assert_int_equal(wm_elem_join(g, wm_elem_fill(g, WM_EL_IS_FILL, WM_DT_F32, two), a),
                     wm_elem_fill(g, WM_EL_IS_FILL, WM_DT_BF16, bf));
    a = wm_elem_join(g, wm_elem_chain(g, &one, 1, WM_DT_F32), a);
    assert_int_equal(g->elem.item[a].nstep, 2);
    assert_int_equal(wm_elem_join(g, wm_elem_equal(g, WM_DT_F32, WM_STR("r")), a),
                     wm_elem_equal(g, WM_DT_BF16, WM_STR("r")));
    assert_int_equal(wm_elem_chain(g, &one, 1, WM_DT_F32), wm_elem_chain(g, &one, 1, WM_DT_F32));
    world_free(w);
}

/* ---- constants ---- */

static void
test_scalar(void **state)
{
    static const struct {
        enum wm_dtype t;
        double v;
        uint64_t bits;
        bool fits;
    } c[] = {
        {WM_DT_BF16, 1, 0x3f80, true},
        {WM_DT_BF16, 1 + 1 / 256.0, 0x3f80, true},
        {WM_DT_BF16, 1 + 3 / 256.0, 0x3f82, true},
        {WM_DT_BF16, 1e39, 0, false},
        {WM_DT_F16, 65504, 0x7bff, true},
        {WM_DT_F16, 65519.9, 0x7bff, true},
        {WM_DT_F16, 65520, 0, false},
        {WM_DT_F16, 5.9604644775390625e-8, 1, true},
        {WM_DT_F16, -2, 0xc000, true},
        {WM_DT_F8_E4M3, 448, 0x7e, true},
        {WM_DT_F8_E4M3, 500, 0, false},
        {WM_DT_F8_E4M3, 0.001953125, 1, true},
        {WM_DT_F8_E4M3FNUZ, 240, 0x7f, true},
        {WM_DT_F8_E4M3FNUZ, -0.0, 0, true},
        {WM_DT_F8_E5M2, 57344, 0x7b, true},
        {WM_DT_F8_E5M2FNUZ, 57344, 0x7f, true},
        {WM_DT_F8_E8M0, 1, 127, true},
        {WM_DT_F8_E8M0, 3, 0, false},
        {WM_DT_F32, -0.0, 0x80000000, true},
        {WM_DT_F64, 0.1, 0x3fb999999999999a, true},
        {WM_DT_I8, -128, 0x80, true},
        {WM_DT_I8, 128, 0, false},
        {WM_DT_U8, 255, 255, true},
        {WM_DT_U8, 1.5, 0, false},
        {WM_DT_BOOL, 1, 1, true},
        {WM_DT_BOOL, 2, 0, false},
        {WM_DT_F4, 1, 0, false},
        {WM_DT_C64, 1, 0, false},
    };

    (void)state;
    for (size_t k = 0; k < WM_COUNTOF(c); k++) {
        uint8_t pattern[16] = {0};
        uint64_t bits = 0;

        assert_int_equal(
            wm_scalar_encode(c[k].t, (struct wm_value){.kind = WM_V_FLOAT, .u.f = c[k].v}, pattern),
            c[k].fits);
        memcpy(&bits, pattern, 8);
        if (c[k].fits && bits != c[k].bits)
            fail_msg("case %zu: %llx", k, (unsigned long long)bits);
    }
}

/* Does an element come back from another type?  NaNs have many patterns: adding 0 makes one of
 * each. */
static bool
survives(enum wm_dtype from, enum wm_dtype to, uint32_t bits)
{
    uint8_t there[16] = {(uint8_t)bits, (uint8_t)(bits >> 8)}, same[16];
    struct wm_plan_step cast = {.kind = WM_SP_CAST, .from = from, .to = to};
    struct wm_plan_step back = {.kind = WM_SP_CAST, .from = to, .to = from};
    struct wm_plan_step zero = {.kind = WM_SP_ADD, .from = from, .to = from, .value = -0.0};

    memcpy(same, there, 16);
    if (!wm_scalar_step(&cast, there) || !wm_scalar_step(&back, there))
        return false;
    if (memcmp(there, same, 16) == 0)
        return true;
    return wm_dtype_info[from].kind == 'F' && wm_scalar_step(&zero, same) &&
           memcmp(there, same, 16) == 0;
}

/* A cast widens exactly where every value of a small type survives it. */
static void
test_widens(void **state)
{
    (void)state;
    for (int f = 0; f < WM_DT_N; f++) {
        uint32_t bits = wm_dtype_info[f].bits,
                 n = f == WM_DT_BOOL ? 2 : 1u << (bits <= 16 ? bits : 0);

        for (int t = 0; t < WM_DT_N && n > 1; t++) {
            bool all = true;

            if (t == f)
                continue;
            for (uint32_t v = 0; v < n && all; v++)
                all = survives((enum wm_dtype)f, (enum wm_dtype)t, v);
            if (all != wm_dtype_widens((enum wm_dtype)f, (enum wm_dtype)t))
                fail_msg("%s to %s: %d", wm_dtype_info[f].name, wm_dtype_info[t].name, all);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),   cmocka_unit_test(test_step_inverse),
        cmocka_unit_test(test_padding), cmocka_unit_test(test_join),
        cmocka_unit_test(test_scalar),  cmocka_unit_test(test_widens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
