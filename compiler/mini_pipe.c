/* compiler/mini_pipe.c -- shapes for the tensors of a rule by operations, found by trying.
 *
 * Operations say little of the shapes that they take, but their arguments are the numbers that
 * count: each dimension is tried with small primes, with the arguments' values, sums and products,
 * and with multiples of those, until the pipeline goes through. */
#include "base/checked.h"
#include "compiler/mini.h"
#include "compiler/op.h"

enum { WM_TRY_RANK = 5, WM_TRY_SIZES = 28, WM_TRY_LISTS = 8 };

/* Sizes of a list argument as long as the rule has tensors: one each. */
struct pieces {
    int64_t size[WM_MAX_RANK];
};

struct search {
    struct wm_bind *b;
    const struct wm_inst *x;
    uint32_t nin, nout;
    enum wm_dtype dtype;
    const struct wm_gt *have; /* [nin]; a shape: that tensor is there already */
    struct wm_shape *in;
    int64_t size[WM_TRY_SIZES];
    uint32_t nsize;
    struct pieces piece[WM_TRY_LISTS];
    uint32_t npiece;
    struct wm_shape whole[WM_TRY_LISTS]; /* lists that may be a shape as they are */
    uint32_t nwhole;
    uint32_t *left; /* tries */
};

static void
add_size(struct search *s, int64_t v)
{
    for (uint32_t i = 0; i < s->nsize; i++)
        if (s->size[i] == v)
            return;
    if (s->nsize < WM_TRY_SIZES && v > 0 && v <= 4096)
        s->size[s->nsize++] = v;
}

static void
add_whole(struct search *s, struct wm_value v)
{
    struct wm_shape *w = &s->whole[s->nwhole];

    if (s->nwhole == WM_TRY_LISTS || v.u.list.n > WM_TRY_RANK)
        return;
    w->rank = v.u.list.n;
    for (uint32_t i = 0; i < w->rank; i++) {
        w->dim[i] = v.u.list.item[i].kind == WM_V_INT ? v.u.list.item[i].u.i : -1;
        if (w->dim[i] < 1)
            return;
    }
    s->nwhole++;
}

static void
add_value(struct search *s, struct wm_value v, int64_t scale)
{
    int64_t sum = 0, product = 1;

    if (v.kind == WM_V_INT) {
        add_size(s, v.u.i);
        add_size(s, v.u.i * wm_mini_prime(1) * scale);
    }
    if (v.kind != WM_V_LIST)
        return;
    for (uint32_t i = 0; i < v.u.list.n; i++) {
        const struct wm_value *e = &v.u.list.item[i];

        if (e->kind != WM_V_INT || e->u.i < 1 || e->u.i > 4096)
            continue;
        sum += e->u.i;
        product *= product < 4096 ? e->u.i : 1;
    }
    add_whole(s, v);
    add_size(s, sum);
    add_size(s, product);
    add_size(s, product * wm_mini_prime(1) * scale);
    for (uint32_t i = 0; i < v.u.list.n; i++)
        if (v.u.list.item[i].kind == WM_V_INT)
            add_size(s, v.u.list.item[i].u.i);
    if (v.u.list.n == s->nin && s->nin > 1 && s->nin <= WM_MAX_RANK && s->npiece < WM_TRY_LISTS) {
        for (uint32_t i = 0; i < s->nin; i++)
            s->piece[s->npiece].size[i] = v.u.list.item[i].u.i;
        s->npiece++;
    }
}

/* What the arguments say; a fault in one is the binding's to report. */
static void
collect(struct search *s, int64_t scale)
{
    const struct wm_rule_ast *r = s->x->rule->ast;

    for (uint32_t i = 0; i < 5; i++)
        add_size(s, wm_mini_prime(i) * scale);
    add_size(s, s->nout); /* a dimension that falls into the tensors of the other side */
    add_size(s, s->nout * wm_mini_prime(1) * scale);
    for (uint32_t o = 0; o < r->nop; o++)
        for (uint32_t i = 0; i < r->op[o].narg; i++)
            if (!wm_str_eq(r->op[o].name, WM_STR("cast")) &&
                !wm_str_eq(r->op[o].name, WM_STR("uncast")))
                add_value(s, wm_eval(&s->b->be, s->x->me, &s->x->scope, r->op[o].arg[i]), scale);
}

/* Does the pipeline take these shapes?  What it makes and reports is of no interest, so it happens
 * in memory of its own; the values of the arguments were found before. */
static bool
goes_through(struct search *s)
{
    struct wm_cc *cc = s->b->cc, saved = *cc;
    struct wm_arena scratch;
    struct wm_graph g = {.cc = cc};
    struct wm_pipe_out *out;
    struct wm_pipe_check *check;
    uint32_t ncheck;
    bool ok;

    wm_arena_init(&scratch, saved.a->sys, saved.a->oom, saved.a->oom_user);
    cc->a = &scratch;
    wm_diags_init(&cc->diags, &scratch, &cc->sources);
    *WM_PUSH(&scratch, &g.elem) = (struct wm_elem){.kind = WM_EL_COPY};
    *WM_PUSH(&scratch, &g.geom) = (struct wm_geom){.nslot = 1};
    out = WM_NEW_N(&scratch, struct wm_pipe_out, s->nout);
    ok = wm_pipe_bind(&g, &s->b->be, &s->x->scope, s->x->rule, s->b->back, s->in, s->dtype, s->nin,
                      out, s->nout, &check, &ncheck) &&
         cc->diags.nerror == 0;
    *cc = saved;
    wm_arena_fini(&scratch);
    return ok;
}

/* All tensors get the shape, but those that are there; or one dimension differs by the list. */
static bool
try_shape(struct search *s, const struct wm_shape *shape)
{
    for (uint32_t p = 0; p <= s->npiece; p++)
        for (uint32_t d = 0; d < (p ? shape->rank : 1); d++) {
            if (*s->left == 0)
                return false;
            --*s->left;
            for (uint32_t i = 0; i < s->nin; i++) {
                s->in[i] = *shape;
                if (p)
                    s->in[i].dim[d] = s->piece[p - 1].size[i];
                if (s->have[i].shape) {
                    s->in[i].rank = s->have[i].rank;
                    memcpy(s->in[i].dim, s->have[i].shape, s->have[i].rank * sizeof(*s->in[i].dim));
                }
            }
            if (goes_through(s))
                return true;
        }
    return false;
}

/* What went through for the instance before. */
static bool
try_again(struct search *s, const struct wm_gt *hint)
{
    for (uint32_t i = 0; i < s->nin; i++) {
        const struct wm_gt *t = s->have[i].shape ? &s->have[i] : &hint[i];

        s->in[i].rank = t->rank;
        memcpy(s->in[i].dim, t->shape, t->rank * sizeof(*t->shape));
    }
    return goes_through(s);
}

/* Shapes of one rank; `alike`: dimensions may be equal. */
static bool
try_rank(struct search *s, uint32_t rank, bool alike)
{
    uint32_t at[WM_TRY_RANK] = {0}, i;
    struct wm_shape shape = {.rank = rank};

    do {
        bool distinct = true;

        for (i = 0; i < rank; i++) {
            shape.dim[i] = s->size[at[i]];
            for (uint32_t k = 0; k < i; k++)
                distinct &= at[k] != at[i];
        }
        if (distinct != alike && try_shape(s, &shape))
            return true;
        for (i = rank; i > 0 && ++at[i - 1] == s->nsize; i--)
            at[i - 1] = 0;
    } while (i > 0 && *s->left > 0);
    return false;
}

bool
wm_mini_pipe(struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z, int64_t scale,
             enum wm_dtype dtype, const struct wm_gt *hint, uint32_t *tries, struct wm_gt *t,
             uint32_t n)
{
    static const struct {
        uint32_t rank;
        bool alike;
    } order[] = {{2, false}, {3, false}, {1, false}, {0, false}, {2, true},
                 {3, true},  {4, false}, {4, true},  {5, false}};
    struct search s = {.b = b, .x = x, .nin = n, .dtype = dtype, .have = t, .left = tries};
    bool found = false;

    for (uint32_t k = 0; k < x->rule->side[b->ws].nterm; k++)
        s.nout += (uint32_t)wm_term_count(&x->rule->side[b->ws].term[k], x->rule, z);
    s.in = WM_NEW_N(b->cc->a, struct wm_shape, n);
    collect(&s, scale);
    found = hint && try_again(&s, hint);
    for (uint32_t k = 0; k < s.nwhole && !found; k++)
        found = try_shape(&s, &s.whole[k]);
    for (size_t k = 0; k < WM_COUNTOF(order) && !found; k++)
        found = try_rank(&s, order[k].rank, order[k].alike);
    for (uint32_t i = 0; found && i < n; i++) {
        int64_t *dim = WM_NEW_N(b->cc->a, int64_t, s.in[i].rank);

        memcpy(dim, s.in[i].dim, s.in[i].rank * sizeof(*dim));
        t[i].rank = s.in[i].rank;
        t[i].shape = dim;
    }
    return found;
}
