/* test_ops.c -- named operations against plain loops: forward, back, and what the check says.
 *
 * Each case has the meaning of its rule as a function from an element of an output to the element
 * of an input, written without strides.  Forward maps must say the same; back maps must lead each
 * input element to an output element that came from it. */
#include "tests/unit/ops_kit.h"

/* ---- meanings ---- */

enum { FILLED = 1000 };

/* Element c of output j comes from element ic of the input that is returned. */
typedef uint32_t meaning(uint32_t j, const int64_t *c, int64_t *ic);

static int64_t
number(const struct wm_shape *s, const int64_t *c)
{
    int64_t n = 0;

    for (uint32_t k = 0; k < s->rank; k++)
        n = n * s->dim[k] + c[k];
    return n;
}

static void
coordinates(const struct wm_shape *s, int64_t n, int64_t *c)
{
    for (uint32_t k = s->rank; k-- > 0;) {
        c[k] = n % s->dim[k];
        n /= s->dim[k];
    }
}

static uint32_t
m_concat(uint32_t j, const int64_t *c, int64_t *ic) /* [2 3] [2 3] -> [4 3] */
{
    (void)j;
    ic[0] = c[0] % 2;
    ic[1] = c[1];
    return (uint32_t)(c[0] / 2);
}

static uint32_t
m_concat_last(uint32_t j, const int64_t *c, int64_t *ic) /* [2 1] [2 4] -> [2 5] */
{
    (void)j;
    ic[0] = c[0];
    ic[1] = c[1] < 1 ? 0 : c[1] - 1;
    return c[1] < 1 ? 0 : 1;
}

static uint32_t
m_split(uint32_t j, const int64_t *c, int64_t *ic) /* [6 2] -> [2 2] [4 2] */
{
    ic[0] = c[0] + (j ? 2 : 0);
    ic[1] = c[1];
    return 0;
}

static uint32_t
m_chunk(uint32_t j, const int64_t *c, int64_t *ic) /* [6 2] -> 3 x [2 2] */
{
    ic[0] = c[0] + 2 * (int64_t)j;
    ic[1] = c[1];
    return 0;
}

static uint32_t
m_stack(uint32_t j, const int64_t *c, int64_t *ic) /* 3 x [2 4] -> [2 3 4] */
{
    (void)j;
    ic[0] = c[0];
    ic[1] = c[2];
    return (uint32_t)c[1];
}

static uint32_t
m_stack_last(uint32_t j, const int64_t *c, int64_t *ic) /* 2 x [3] -> [3 2] */
{
    (void)j;
    ic[0] = c[0];
    return (uint32_t)c[1];
}

static uint32_t
m_unstack(uint32_t j, const int64_t *c, int64_t *ic) /* [2 3 4] -> 3 x [2 4] */
{
    ic[0] = c[0];
    ic[1] = j;
    ic[2] = c[1];
    return 0;
}

static uint32_t
m_unflatten(uint32_t j, const int64_t *c, int64_t *ic) /* [2 12] -> [2 3 2 2] */
{
    (void)j;
    ic[0] = c[0];
    ic[1] = c[1] * 4 + c[2] * 2 + c[3];
    return 0;
}

static uint32_t
m_flatten(uint32_t j, const int64_t *c, int64_t *ic) /* [2 3 4] -> [2 12] */
{
    (void)j;
    ic[0] = c[0];
    ic[1] = c[1] / 4;
    ic[2] = c[1] % 4;
    return 0;
}

static uint32_t
m_permute(uint32_t j, const int64_t *c, int64_t *ic) /* [2 3 4] -> [4 2 3] */
{
    (void)j;
    ic[2] = c[0];
    ic[0] = c[1];
    ic[1] = c[2];
    return 0;
}

static uint32_t
m_transpose(uint32_t j, const int64_t *c, int64_t *ic) /* [2 3 4] -> [4 3 2] */
{
    (void)j;
    ic[0] = c[2];
    ic[1] = c[1];
    ic[2] = c[0];
    return 0;
}

static uint32_t
m_reshape(uint32_t j, const int64_t *c, int64_t *ic) /* [4 3] -> [2 6] */
{
    int64_t n = c[0] * 6 + c[1];

    (void)j;
    ic[0] = n / 3;
    ic[1] = n % 3;
    return 0;
}

static uint32_t
m_squeeze(uint32_t j, const int64_t *c, int64_t *ic) /* [2 1 3] -> [2 3] */
{
    (void)j;
    ic[0] = c[0];
    ic[1] = 0;
    ic[2] = c[1];
    return 0;
}

static uint32_t
m_unsqueeze(uint32_t j, const int64_t *c, int64_t *ic) /* [2 3] -> [2 3 1] */
{
    (void)j;
    ic[0] = c[0];
    ic[1] = c[1];
    return 0;
}

static uint32_t
m_slice(uint32_t j, const int64_t *c, int64_t *ic) /* [3 5] -> [3 2] */
{
    (void)j;
    ic[0] = c[0];
    ic[1] = c[1] + 1;
    return 0;
}

static uint32_t
m_pad(uint32_t j, const int64_t *c, int64_t *ic) /* [3 2] -> [5 2] */
{
    (void)j;
    ic[0] = c[0];
    ic[1] = c[1];
    return c[0] < 3 ? 0 : FILLED;
}

static uint32_t
m_unpad(uint32_t j, const int64_t *c, int64_t *ic) /* [2 5] -> [2 3] */
{
    (void)j;
    ic[0] = c[0];
    ic[1] = c[1];
    return 0;
}

static uint32_t
m_repeat(uint32_t j, const int64_t *c, int64_t *ic) /* [2 3] -> [6 3] */
{
    (void)j;
    ic[0] = c[0] % 2;
    ic[1] = c[1];
    return 0;
}

static uint32_t
m_interleave(uint32_t j, const int64_t *c, int64_t *ic) /* [2 3] -> [2 6] */
{
    (void)j;
    ic[0] = c[0];
    ic[1] = c[1] / 2;
    return 0;
}

static uint32_t
m_gate_up(uint32_t j, const int64_t *c,
          int64_t *ic) /* 2 x [3 2] -> [2 6], interleaved and transposed */
{
    (void)j;
    ic[0] = c[1] / 2;
    ic[1] = c[0];
    return (uint32_t)(c[1] % 2);
}

static uint32_t
m_swap(uint32_t j, const int64_t *c,
       int64_t *ic) /* [4] -> [4]: halves exchanged, through a list of two */
{
    (void)j;
    ic[0] = (c[0] % 2) * 2 + c[0] / 2;
    return 0;
}

struct sample {
    const char *rule;
    uint32_t nin, nout;
    struct wm_shape in[3], out[3];
    meaning *mean;
    bool one_way;
    int64_t copies, padding; /* elements that going back compares, or expects to be padding */
};

static const struct sample samples[] = {
    {"\"a\", \"b\" <-> concat(0) <-> \"x\"",
     2,
     1,
     {S(2, 3), S(2, 3)},
     {S(4, 3)},
     m_concat,
     0,
     0,
     0},
    {"\"a\", \"b\" <-> concat(-2, two) <-> \"x\"",
     2,
     1,
     {S(2, 3), S(2, 3)},
     {S(4, 3)},
     m_concat,
     0,
     0,
     0},
    {"\"a\", \"b\" <-> concat(1, [1, 4]) <-> \"x\"",
     2,
     1,
     {S(2, 1), S(2, 4)},
     {S(2, 5)},
     m_concat_last,
     0,
     0,
     0},
    {"\"a\", \"b\" -> concat(1) -> \"x\"",
     2,
     1,
     {S(2, 1), S(2, 4)},
     {S(2, 5)},
     m_concat_last,
     1,
     0,
     0},
    {"\"x\" <-> split(0, list) <-> \"a\", \"b\"",
     1,
     2,
     {S(6, 2)},
     {S(2, 2), S(4, 2)},
     m_split,
     0,
     0,
     0},
    {"\"x\" <-> chunk(0) <-> \"a\", \"b\", \"c\"",
     1,
     3,
     {S(6, 2)},
     {S(2, 2), S(2, 2), S(2, 2)},
     m_chunk,
     0,
     0,
     0},
    {"\"a\", \"b\", \"c\" <-> stack(1) <-> \"x\"",
     3,
     1,
     {S(2, 4), S(2, 4), S(2, 4)},
     {S(2, 3, 4)},
     m_stack,
     0,
     0,
     0},
    {"\"a\", \"b\" <-> stack(-1) <-> \"x\"", 2, 1, {S(3), S(3)}, {S(3, 2)}, m_stack_last, 0, 0, 0},
    {"\"x\" <-> unstack(1) <-> \"a\", \"b\", \"c\"",
     1,
     3,
     {S(2, 3, 4)},
     {S(2, 4), S(2, 4), S(2, 4)},
     m_unstack,
     0,
     0,
     0},
    {"\"a\" <-> unflatten(1, [3, -1, 2]) <-> \"x\"",
     1,
     1,
     {S(2, 12)},
     {S(2, 3, 2, 2)},
     m_unflatten,
     0,
     0,
     0},
    {"\"a\" <-> unflatten(-1, [-1, two, 2]) <-> \"x\"",
     1,
     1,
     {S(2, 12)},
     {S(2, 3, 2, 2)},
     m_unflatten,
     0,
     0,
     0},
    {"\"a\" <-> flatten(1, 2, [-1, 4]) <-> \"x\"",
     1,
     1,
     {S(2, 3, 4)},
     {S(2, 12)},
     m_flatten,
     0,
     0,
     0},
    {"\"a\" <-> flatten(-2, -1, [3, 4]) <-> \"x\"",
     1,
     1,
     {S(2, 3, 4)},
     {S(2, 12)},
     m_flatten,
     0,
     0,
     0},
    {"\"a\" -> flatten(1, 2) -> \"x\"", 1, 1, {S(2, 3, 4)}, {S(2, 12)}, m_flatten, 1, 0, 0},
    {"\"a\" <-> permute(2, 0, 1) <-> \"x\"", 1, 1, {S(2, 3, 4)}, {S(4, 2, 3)}, m_permute, 0, 0, 0},
    {"\"a\" <-> permute(-1, 0, -2) <-> \"x\"",
     1,
     1,
     {S(2, 3, 4)},
     {S(4, 2, 3)},
     m_permute,
     0,
     0,
     0},
    {"\"a\" <-> transpose(0, -1) <-> \"x\"",
     1,
     1,
     {S(2, 3, 4)},
     {S(4, 3, 2)},
     m_transpose,
     0,
     0,
     0},
    {"\"a\" <-> reshape([4, 3], [two, -1]) <-> \"x\"",
     1,
     1,
     {S(4, 3)},
     {S(2, 6)},
     m_reshape,
     0,
     0,
     0},
    {"\"a\" -> reshape([-1, 6]) -> \"x\"", 1, 1, {S(4, 3)}, {S(2, 6)}, m_reshape, 1, 0, 0},
    {"\"a\" <-> squeeze(1) <-> \"x\"", 1, 1, {S(2, 1, 3)}, {S(2, 3)}, m_squeeze, 0, 0, 0},
    {"\"a\" <-> squeeze(-2) <-> \"x\"", 1, 1, {S(2, 1, 3)}, {S(2, 3)}, m_squeeze, 0, 0, 0},
    {"\"a\" <-> unsqueeze(-1) <-> \"x\"", 1, 1, {S(2, 3)}, {S(2, 3, 1)}, m_unsqueeze, 0, 0, 0},
    {"\"a\" -> slice(1, 1, 3) -> \"x\"", 1, 1, {S(3, 5)}, {S(3, 2)}, m_slice, 1, 0, 0},
    {"\"a\" <-> pad(0, 3, 5, 7) <-> \"x\"", 1, 1, {S(3, 2)}, {S(5, 2)}, m_pad, 0, 0, 4},
    {"\"a\" <-> pad(1, 5, 3, 7) <-> \"x\"", 1, 1, {S(2, 5)}, {S(2, 3)}, m_unpad, 1, 0, 0},
    {"\"a\" <-> repeat(0, 3) <-> \"x\"", 1, 1, {S(2, 3)}, {S(6, 3)}, m_repeat, 0, 12, 0},
    {"\"a\" <-> repeat_interleave(1, 2) <-> \"x\"",
     1,
     1,
     {S(2, 3)},
     {S(2, 6)},
     m_interleave,
     0,
     6,
     0},
    {"\"a\", \"b\" <-> transpose(0, 1) | stack(2) | flatten(1, 2, [3, 2]) <-> \"x\"",
     2,
     1,
     {S(3, 2), S(3, 2)},
     {S(2, 6)},
     m_gate_up,
     0,
     0,
     0},
    {"\"a\" <-> chunk(0, 2) | stack(1) | flatten(0, 1, [2, 2]) <-> \"x\"",
     1,
     1,
     {S(4)},
     {S(4)},
     m_swap,
     0,
     0,
     0},
};

/* Number of the input element behind element e of output j, and its input. */
static uint32_t
comes_from(const struct sample *s, uint32_t j, int64_t e, int64_t *from)
{
    int64_t c[WM_MAX_RANK] = {0}, ic[WM_MAX_RANK] = {0};
    uint32_t slot;

    coordinates(&s->out[j], e, c);
    slot = s->mean(j, c, ic);
    *from = slot == FILLED ? 0 : number(&s->in[slot], ic);
    return slot;
}

static void
whole(const struct wm_pipe_out *out)
{
    int64_t at;
    bool twice;

    assert_true(wm_imap_tiles(&out->map, numel(&out->shape), &at, &twice));
}

static void
forward(struct world *w, const struct sample *s)
{
    struct wm_pipe_out out[3];
    struct wm_pipe_check *check;
    uint32_t ncheck;

    if (!bind(w, 0, false, s->in, s->nin, WM_DT_F32, out, s->nout, &check, &ncheck)) {
        print_diags(w);
        fail_msg("%s", s->rule);
    }
    for (uint32_t j = 0; j < s->nout; j++) {
        same_shape(&out[j].shape, &s->out[j]);
        whole(&out[j]);
        for (int64_t e = 0; e < numel(&out[j].shape); e++) {
            const struct wm_box *box;
            int64_t from, src[WM_MAX_OPERANDS];
            uint32_t slot = comes_from(s, j, e, &from);

            assert_true(wm_imap_source(&out[j].map, e, &box, src));
            if (slot == FILLED) {
                assert_int_equal(box->nsrc, 0);
                continue;
            }
            assert_int_equal(box->slot[0], slot);
            assert_int_equal(src[0], from);
        }
    }
}

/* Every comparison is between elements that come from one element; every pad check looks at
 * padding. */
static void
checks(const struct sample *s, const struct wm_pipe_check *check, uint32_t ncheck)
{
    int64_t copies = 0, padding = 0;

    for (uint32_t k = 0; k < ncheck; k++) {
        for (int64_t e = 0; e < check[k].nunit; e++) {
            const struct wm_box *box;
            int64_t src[WM_MAX_OPERANDS], one, other;

            assert_true(wm_imap_source(&check[k].map, e, &box, src));
            if (check[k].replica) {
                assert_int_equal(box->nsrc, 2);
                assert_true(box->slot[0] != box->slot[1] || src[0] != src[1]);
                assert_int_equal(comes_from(s, box->slot[0], src[0], &one),
                                 comes_from(s, box->slot[1], src[1], &other));
                assert_int_equal(one, other);
            } else {
                assert_true(check[k].pad);
                assert_int_equal(comes_from(s, box->slot[0], src[0], &one), FILLED);
            }
        }
        copies += check[k].replica ? check[k].nunit : 0;
        padding += check[k].pad ? check[k].nunit : 0;
    }
    assert_int_equal(copies, s->copies);
    assert_int_equal(padding, s->padding);
}

static void
backward(struct world *w, const struct sample *s)
{
    struct wm_pipe_out in[3];
    struct wm_pipe_check *check;
    uint32_t ncheck;

    if (!bind(w, 0, true, s->out, s->nout, WM_DT_F32, in, s->nin, &check, &ncheck)) {
        print_diags(w);
        fail_msg("back: %s", s->rule);
    }
    for (uint32_t i = 0; i < s->nin; i++) {
        same_shape(&in[i].shape, &s->in[i]);
        whole(&in[i]);
        for (int64_t e = 0; e < numel(&in[i].shape); e++) {
            const struct wm_box *box;
            int64_t from, src[WM_MAX_OPERANDS];

            assert_true(wm_imap_source(&in[i].map, e, &box, src));
            assert_int_equal(comes_from(s, box->slot[0], src[0], &from), i);
            assert_int_equal(from, e);
        }
    }
    checks(s, check, ncheck);
}

static void
test_samples(void **state)
{
    (void)state;
    for (size_t k = 0; k < WM_COUNTOF(samples); k++) {
        struct world *w = world_new(samples[k].rule);

        if (!w->mod || w->cc.diags.nerror > 0) {
            print_diags(w);
            fail_msg("%s", samples[k].rule);
        }
        forward(w, &samples[k]);
        if (!samples[k].one_way)
            backward(w, &samples[k]);
        world_free(w);
    }
}

/* ---- spellings that agree ---- */

/* Rules 0 and 1 are the same function, box for box. */
static const struct {
    const char *rules;
    uint32_t nin, nout;
    struct wm_shape in[3];
} spelling[] = {
    {"\"a\" <-> split(0, [1, 3]) | concat(0, [1, 3]) <-> \"x\"  \"b\" <-> transpose(0, 0) <-> "
     "\"y\"",
     1,
     1,
     {S(4, 6)}},
    {"\"a\" <-> unflatten(0, [2, 3]) | transpose(0, 1) | flatten(0, 1, [3, 2]) <-> \"x\" "
     "\"b\" <-> chunk(0, 2) | stack(1) | reshape([3, 2, 5], [6, 5]) <-> \"y\"",
     1,
     1,
     {S(6, 5)}},
    {"\"a\" <-> transpose(0, 1) | transpose(1, 0) <-> \"x\" \"b\" <-> reshape([4, 6], [2, 12]) | "
     "unflatten(1, [2, 6]) | flatten(0, 1, [2, 2]) <-> \"y\"",
     1,
     1,
     {S(4, 6)}},
    {"\"a\", \"b\" <-> stack(0) | flatten(0, 1, [2, 3]) <-> \"x\" \"c\", \"d\" <-> concat(0) <-> "
     "\"y\"",
     2,
     1,
     {S(3, 4), S(3, 4)}},
    {"\"a\" <-> permute(2, 0, 1) <-> \"x\" \"b\" <-> transpose(1, 2) | transpose(0, 1) <-> \"y\"",
     1,
     1,
     {S(2, 3, 4)}},
    {"\"a\" <-> repeat_interleave(0, 3) <-> \"x\" \"b\" <-> unsqueeze(1) | repeat(1, 3) | "
     "flatten(0, 1, [2, 3]) <-> \"y\"",
     1,
     1,
     {S(2, 5)}},
    {"\"a\" <-> squeeze(0) | unsqueeze(-1) <-> \"x\" \"b\" <-> transpose(0, 1) <-> \"y\"",
     1,
     1,
     {S(1, 7)}},
    {"\"x\" <-> unstack(0) <-> \"a\", \"b\" \"y\" <-> chunk(0) | reshape([1, 5], [5]) <-> \"c\", "
     "\"d\"",
     1,
     2,
     {S(2, 5)}},
    {"\"a\" <-> pad(0, 2, 4, 0) | pad(0, 4, 6, 0) <-> \"x\" \"b\" <-> pad(0, 2, 6, 0) <-> \"y\"",
     1,
     1,
     {S(2, 3)}},
    {"\"x\" -> slice(0, 1, 3) -> \"a\" \"y\" -> slice(0, 1, 4) | slice(0, 0, 2) -> \"b\"",
     1,
     1,
     {S(5, 2)}},
    {"\"a\" <-> cast(bf16, f32) | neg | uncast(f32, bf16) | neg <-> \"x\" \"b\" <-> cast(bf16, "
     "f32) | neg | "
     "uncast(f32, bf16) | neg <-> \"y\"",
     1,
     1,
     {S(5)}},
    {"\"a\" <-> neg | neg <-> \"x\" \"b\" <-> cast(bf16, f32) | uncast(f32, bf16) <-> \"y\"",
     1,
     1,
     {S(5)}},
};

static struct wm_str
map_text(struct world *w, const struct wm_imap *m)
{
    struct wm_buf b;

    wm_buf_init(&b, &w->arena);
    wm_buf_putz(&b, "");
    wm_imap_print(m, &b);
    return wm_buf_str(&b);
}

static void
same_map(struct world *w, const struct wm_pipe_out *x, const struct wm_pipe_out *y)
{
    struct wm_str a = map_text(w, &x->map), b = map_text(w, &y->map);
    int64_t at;

    same_shape(&x->shape, &y->shape);
    assert_int_equal(x->dtype, y->dtype);
    assert_true(wm_imap_equal(&x->map, &y->map, numel(&x->shape), &at));
    if (!wm_str_eq(a, b))
        fail_msg("%.*s\nand\n%.*s", WM_STR_ARG(a), WM_STR_ARG(b));
}

static void
test_spellings(void **state)
{
    (void)state;
    for (size_t k = 0; k < WM_COUNTOF(spelling); k++) {
        struct world *w = world_new(spelling[k].rules);
        struct wm_pipe_out x[3], y[3];
        struct wm_pipe_check *check;
        uint32_t n;

        for (int back = 0; back < 2; back++) {
            struct wm_shape in[3];
            uint32_t nin = back ? spelling[k].nout : spelling[k].nin;
            uint32_t nout = back ? spelling[k].nin : spelling[k].nout;

            if (back && w->mod->rule.item[0]->arrow != WM_AR_BOTH)
                break;
            for (uint32_t i = 0; i < nin; i++)
                in[i] = back ? x[i].shape : spelling[k].in[i];
            if (!bind(w, 0, back, in, nin, WM_DT_BF16, x, nout, &check, &n) ||
                !bind(w, 1, back, in, nin, WM_DT_BF16, y, nout, &check, &n)) {
                print_diags(w);
                fail_msg("%s", spelling[k].rules);
            }
            for (uint32_t j = 0; j < nout; j++)
                same_map(w, &x[j], &y[j]);
        }
        world_free(w);
    }
}

/* The permutation of rotary embeddings: [(half two) e] <-> [(two half) e]. */
static void
test_rotary(void **state)
{
    struct world *w = world_new(
        "\"a\" <-> unflatten(0, [2, -1]) | transpose(0, 1) | flatten(0, 1, [-1, 2]) <-> \"x\"");
    struct wm_shape in = S(8, 3);
    struct wm_pipe_out out;
    struct wm_pipe_check *check;
    uint32_t n;

    (void)state;
    assert_true(bind(w, 0, false, &in, 1, WM_DT_F32, &out, 1, &check, &n));
    for (int64_t half = 0; half < 4; half++)
        for (int64_t two = 0; two < 2; two++)
            for (int64_t e = 0; e < 3; e++) {
                const struct wm_box *box;
                int64_t src[WM_MAX_OPERANDS];

                assert_true(wm_imap_source(&out.map, (half * 2 + two) * 3 + e, &box, src));
                assert_int_equal(src[0], (two * 4 + half) * 3 + e);
            }
    world_free(w);
}

/* ---- inverse texts ---- */

/* The inverse, read forward, is the rule read backward; and the inverse of the inverse is the rule.
 */
static void
test_inverse(void **state)
{
    (void)state;
    for (size_t k = 0; k < WM_COUNTOF(samples); k++) {
        const struct sample *s = &samples[k];
        struct world *w = world_new(s->rule), *v, *u;
        struct wm_pipe_out x[3], y[3];
        struct wm_pipe_check *cx, *cy;
        uint32_t nx, ny;
        bool both = w->mod->rule.item[0]->arrow == WM_AR_BOTH;
        struct wm_str text = inverse_text(w, w->mod->rule.item[0]->ast);

        if (!both) { /* the same function, told from the other side */
            v = world_new(wm_arena_cstr(&w->arena, text));
            assert_int_equal(v->cc.diags.nerror, 0);
            assert_true(bind(w, 0, false, s->in, s->nin, WM_DT_F32, x, s->nout, &cx, &nx));
            assert_true(bind(v, 0, true, s->in, s->nin, WM_DT_F32, y, s->nout, &cy, &ny));
            for (uint32_t j = 0; j < s->nout; j++)
                same_map(w, &x[j], &y[j]);
            world_free(v);
            world_free(w);
            continue;
        }
        v = world_new(wm_arena_cstr(&w->arena, text));
        if (v->cc.diags.nerror > 0) {
            print_diags(v);
            fail_msg("%.*s", WM_STR_ARG(text));
        }
        assert_true(bind(w, 0, true, s->out, s->nout, WM_DT_F32, x, s->nin, &cx, &nx));
        if (!bind(v, 0, false, s->out, s->nout, WM_DT_F32, y, s->nin, &cy, &ny)) {
            print_diags(v);
            fail_msg("%.*s", WM_STR_ARG(text));
        }
        for (uint32_t j = 0; j < s->nin; j++)
            same_map(w, &x[j], &y[j]);
        assert_int_equal(nx, ny);
        u = world_new(wm_arena_cstr(&v->arena, inverse_text(v, v->mod->rule.item[0]->ast)));
        assert_true(bind(w, 0, false, s->in, s->nin, WM_DT_F32, x, s->nout, &cx, &nx));
        assert_true(bind(u, 0, false, s->in, s->nin, WM_DT_F32, y, s->nout, &cy, &ny));
        for (uint32_t j = 0; j < s->nout; j++)
            same_map(w, &x[j], &y[j]);
        world_free(u);
        world_free(v);
        world_free(w);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_rotary),
        cmocka_unit_test(test_inverse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
