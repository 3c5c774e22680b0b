/* compiler/op_pipe.c -- binds pipelines of named operations.
 *
 * Enters: the tensors of the reading side.  The state is a list of tensors, each with its shape and
 * a map that says where its elements come from; every operation replaces the list.  Elementwise
 * steps are kept apart, in one chain for the whole list, and put on the boxes at the end; only
 * constants (padding) take them at once. Leaves: shapes and maps of the writing side, and checks of
 * what undoing drops (copies, padding). */
#include "compiler/op.h"

#include "base/checked.h"
#include "compiler/elem.h"
#include "compiler/scalar.h"

/* Pieces of one tensor, where nothing else says how many there are. */
enum { MAX_PIECES = 1 << 16 };

struct pipe {
    struct wm_graph *g;
    struct wm_arena *a;
    const struct wm_rule *rule;
    bool back;        /* it is read from the right */
    struct wm_opx *x; /* [nop], in the order in which data passes them */
    uint32_t nop;
    uint32_t n; /* the list */
    struct wm_shape *shape;
    struct wm_imap *map;        /* slots number the reading tensors; elem 0, or a FILL */
    enum wm_dtype first, dtype; /* of the reading tensors, and of the list now */
    WM_VEC(struct wm_plan_step) step;
    WM_VEC(struct wm_pipe_check) check;
    uint32_t nout;
    bool counting; /* only the number of tensors is asked for */
};

/* ---- calls ---- */

enum wm_dtype
wm_dtype_written(const struct wm_expr *e)
{
    return e->kind == WM_EX_NAME ? wm_dtype_by_name(e->s) : WM_DT_N;
}

enum wm_dtype
wm_dtype_value(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc, const struct wm_expr *e)
{
    enum wm_dtype t = wm_dtype_written(e);
    struct wm_value v;

    if (t != WM_DT_N)
        return t;
    v = wm_eval(be, me, sc, e);
    if (v.kind == WM_V_ERROR)
        return WM_DT_N;
    t = v.kind == WM_V_STR ? wm_dtype_by_name(v.u.s) : WM_DT_N;
    if (t == WM_DT_N && v.kind == WM_V_STR)
        wm_report(&be->cc->diags, WM_E_DTYPE_UNKNOWN, e->span, "there is no data type `%s`",
                  wm_place_show(be->cc->a, v.u.s).p);
    else if (t == WM_DT_N)
        wm_report(&be->cc->diags, WM_E_OP_ARG, e->span, "the name of a data type is needed here, a text");
    return t;
}

static bool
eval_args(struct pipe *p, struct wm_benv *be, const struct wm_scope *sc, const struct wm_op *named,
          struct wm_opx *x)
{
    struct wm_menv *me = wm_menv_of(be, p->rule->mod);

    x->arg = WM_NEW_N(p->a, struct wm_arg, x->narg);
    for (uint32_t i = 0; i < x->narg; i++) {
        const struct wm_expr *e = x->call->arg[i];
        struct wm_arg *arg = &x->arg[i];

        arg->span = e->span;
        if (named->arg[i < 3 ? i : 3] == WM_ARG_DTYPE) {
            arg->dtype = wm_dtype_value(be, me, sc, e);
            if (arg->dtype == WM_DT_N)
                return false;
        } else {
            arg->v = wm_eval(be, me, sc, e);
            if (arg->v.kind == WM_V_ERROR)
                return false;
            if (named->arg[i < 3 ? i : 3] == WM_ARG_INTS && !wm_arg_list(x, i))
                return false;
        }
    }
    return true;
}

/* The calls in the order of the data, with their arguments. */
static bool
begin(struct pipe *p, struct wm_graph *g, struct wm_benv *be, const struct wm_scope *sc,
      const struct wm_rule *r, bool back)
{
    const struct wm_rule_ast *ast = r->ast;
    bool both = ast->arrow == WM_AR_BOTH;

    p->g = g;
    p->a = g->cc->a;
    p->rule = r;
    p->back = back;
    p->nop = ast->nop;
    p->x = WM_NEW_N(p->a, struct wm_opx, p->nop);
    for (uint32_t k = 0; k < p->nop; k++) {
        const struct wm_opcall *call = &ast->op[back ? p->nop - 1 - k : k];
        const struct wm_op *op = wm_op_find(call->name);
        struct wm_opx *x = &p->x[k];

        if (!op)
            return false; /* the check reported it */
        x->g = g;
        x->call = call;
        x->op = op->mirror ? op->mirror : op;
        x->undo = (both && back) != (op->mirror != NULL);
        x->both = both;
        x->narg = call->narg;
        if (!eval_args(p, be, sc, op, x) || (x->op->prepare && !x->op->prepare(x)))
            return false;
    }
    return true;
}

/* ---- elementwise ---- */

/* Constants that are in the list already take the step at once. */
static bool
step_fills(struct pipe *p, struct wm_opx *x, const struct wm_plan_step *s)
{
    uint32_t elem = WM_NONE;

    for (uint32_t t = 0; t < p->n && p->map; t++) {
        for (uint32_t b = 0; b < p->map[t].box.n; b++) {
            struct wm_box *box = &p->map[t].box.item[b];

            if (box->nsrc > 0)
                continue;
            if (elem == WM_NONE)
                elem = wm_elem_chain(p->g, s, 1, (enum wm_dtype)s->from);
            box->elem = wm_elem_join(p->g, elem, box->elem);
            if (box->elem == WM_NONE)
                return wm_op_error(x, WM_E_OP_DTYPE, "the padding has no value behind it");
        }
    }
    return true;
}

static bool
element(struct pipe *p, struct wm_opx *x)
{
    struct wm_plan_step s = {0};
    bool has = false;

    if (!x->op->step(x, p->dtype, &s, &has))
        return false;
    if (!has)
        return true;
    if (x->undo)
        s = wm_step_invert(&s);
    p->dtype = (enum wm_dtype)s.to;
    *WM_PUSH(p->a, &p->step) = s;
    return step_fills(p, x, &s);
}

/* ---- checks ---- */

static bool
too_many(struct wm_opx *x)
{
    return wm_op_error(x, WM_E_OP_LIMIT,
                       "the mapping falls into too many boxes, at most %d are supported",
                       WM_IMAP_MAX_BOXES);
}

/* A check that was composed: the boxes that read something, numbered anew one behind the other. */
static void
add_check(struct pipe *p, const struct wm_imap *m, uint32_t elem, bool replica)
{
    struct wm_pipe_check c = {.replica = replica, .pad = !replica};

    wm_imap_init(&c.map, p->a);
    for (uint32_t i = 0; i < m->box.n; i++) {
        struct wm_box box = m->box.item[i];
        struct wm_dim *dim = WM_NEW_N(p->a, struct wm_dim, box.rank);
        int64_t n = 1;

        if (box.nsrc == 0)
            continue;
        if (box.rank > 0)
            memcpy(dim, &m->dim.item[box.dim], box.rank * sizeof dim[0]);
        for (uint32_t k = box.rank; k-- > 0;) {
            dim[k].dst = n;
            n *= dim[k].extent;
        }
        box.dst_base = c.nunit;
        box.elem = elem ? elem : box.elem;
        c.nunit += n;
        wm_imap_add(&c.map, &box, dim);
    }
    if (c.map.box.n == 0)
        return;
    wm_imap_canon(&c.map);
    *WM_PUSH(p->a, &p->check) = c;
}

/* Copies that undoing drops must equal the one that it keeps. */
static bool
check_copies(struct pipe *p, struct wm_opx *x, const struct wm_imap *copies,
             const struct wm_imap *cur)
{
    struct wm_imap m;

    if (copies->box.n == 0)
        return true;
    wm_imap_init(&m, p->a);
    if (!wm_imap_compose(copies, cur, 1, NULL, NULL, &m))
        return too_many(x);
    add_check(p, &m, wm_elem_equal(p->g, p->first, wm_str_c(x->op->name)), true);
    return true;
}

/* As wm_elem_join, and remembers that a check met another constant. */
struct fill_join {
    struct wm_graph *g;
    bool clash;
};

static uint32_t
join_fill(void *user, uint32_t outer, uint32_t inner)
{
    struct fill_join *f = user;
    uint32_t elem = wm_elem_join(f->g, outer, inner);

    f->clash = f->clash || elem == WM_NONE;
    return elem;
}

/* Padding that undoing drops, as the reading side has it: undo the steps so far on the constant. */
static bool
check_fills(struct pipe *p, struct wm_opx *x, const struct wm_imap *index,
            const struct wm_imap *cur)
{
    struct wm_imap m, looked;
    struct wm_dim dim[WM_MAX_RANK + 1];
    uint32_t chain = wm_elem_chain(p->g, p->step.item, p->step.n, p->first);
    struct fill_join f = {p->g, false};

    wm_imap_init(&m, p->a);
    wm_imap_init(&looked, p->a);
    for (uint32_t i = 0; i < index->box.n; i++) {
        struct wm_box box = index->box.item[i];

        if (box.nsrc > 0)
            continue;
        for (uint32_t k = 0; k < box.rank; k++) {
            dim[k] = index->dim.item[box.dim + k];
            dim[k].src[0] = dim[k].dst;
        }
        box.elem = wm_elem_fill(p->g, WM_EL_IS_FILL, p->dtype, p->g->elem.item[box.elem].pattern);
        box.elem = wm_elem_join(p->g, box.elem, chain);
        if (box.elem == WM_NONE)
            return wm_op_error(x, WM_E_OP_DTYPE, "the padding has no value before it");
        box.nsrc = 1;
        box.slot[0] = 0;
        box.src_base[0] = box.dst_base;
        wm_imap_add(&m, &box, dim);
    }
    if (m.box.n == 0)
        return true;
    if (!wm_imap_compose(&m, cur, 1, join_fill, &f, &looked))
        return f.clash ? wm_op_error(x, WM_E_OP_SHAPE, "it drops padding of another value")
                       : too_many(x);
    add_check(p, &looked, 0, false);
    return true;
}

/* ---- moves ---- */

static bool
check_shape(struct wm_opx *x, const struct wm_shape *s)
{
    int64_t n;

    return wm_shape_numel(s, &n) ||
           wm_op_error(x, WM_E_OP_LIMIT, "a tensor with more elements than 64 bits can count");
}

/* cur[ncur], before the operation, gives next[nnext] behind it. */
static bool
move(struct pipe *p, struct wm_opx *x, const struct wm_shape *in, const struct wm_shape *out,
     struct wm_imap *cur, uint32_t ncur, struct wm_imap *next, uint32_t nnext)
{
    struct wm_imap index, copies, *back;

    if (!x->op->index) {
        *next = *cur;
        return true;
    }
    wm_imap_init(&index, p->a);
    if (!x->op->index(x, in, out, &index))
        return false;
    if (!x->undo)
        return wm_imap_compose(&index, cur, ncur, NULL, NULL, next) || too_many(x);
    back = WM_NEW_N(p->a, struct wm_imap, nnext);
    for (uint32_t i = 0; i < nnext; i++)
        wm_imap_init(&back[i], p->a);
    wm_imap_init(&copies, p->a);
    if (!wm_imap_invert(&index, nnext, 0, back, &copies))
        return too_many(x);
    for (uint32_t i = 0; i < nnext; i++)
        if (!wm_imap_compose(&back[i], cur, 1, NULL, NULL, &next[i]))
            return too_many(x);
    return check_copies(p, x, &copies, cur) && check_fills(p, x, &index, cur);
}

/* Replace the list. */
static void
replace(struct pipe *p, uint32_t n, struct wm_shape *shape, struct wm_imap *map)
{
    p->n = n;
    p->shape = shape;
    p->map = map;
}

static struct wm_imap *
new_maps(struct pipe *p, uint32_t n)
{
    struct wm_imap *m = WM_NEW_N(p->a, struct wm_imap, n);

    for (uint32_t i = 0; i < n; i++)
        wm_imap_init(&m[i], p->a);
    return m;
}

static bool
view(struct pipe *p, struct wm_opx *x)
{
    struct wm_shape *to = WM_NEW_N(p->a, struct wm_shape, p->n);
    struct wm_imap *map = p->counting ? NULL : new_maps(p, p->n);

    x->nin = 1;
    for (uint32_t i = 0; i < p->n; i++) {
        const struct wm_shape *from = &p->shape[i];

        if (!(x->undo ? x->op->unshape(x, from, &to[i]) : x->op->shape(x, from, &to[i])) ||
            !check_shape(x, &to[i]))
            return false;
        if (map && !move(p, x, x->undo ? &to[i] : from, x->undo ? from : &to[i], &p->map[i], 1,
                         &map[i], 1))
            return false;
    }
    replace(p, p->n, to, map);
    return true;
}

static bool
join(struct pipe *p, struct wm_opx *x)
{
    struct wm_shape *to = WM_NEW(p->a, struct wm_shape);
    struct wm_imap *map = p->counting ? NULL : new_maps(p, 1);

    x->nin = p->n;
    if (p->n == 0)
        return wm_op_error(x, WM_E_OP_COUNT, "there is no tensor to join");
    if (!x->op->shape(x, p->shape, to) || !check_shape(x, to))
        return false;
    if (map && !move(p, x, p->shape, to, p->map, p->n, map, 1))
        return false;
    replace(p, 1, to, map);
    return true;
}

/* How many tensors there must be behind operation k; 0: nothing says.  *last: the rule's own number
 * of them. */
static uint32_t
wanted(const struct pipe *p, uint32_t k, bool *last)
{
    *last = false;
    while (++k < p->nop)
        if (p->x[k].op->class == WM_OP_JOIN)
            return p->x[k].undo ? 1 : 0;
    *last = true;
    return p->nout;
}

static bool
count_pieces(struct pipe *p, uint32_t k, int64_t *n)
{
    struct wm_opx *x = &p->x[k];
    bool last;
    uint32_t want = wanted(p, k, &last);

    if (p->n != 1)
        return wm_op_error(x, WM_E_OP_COUNT, "it takes one tensor apart, but here the list has %u",
                           p->n);
    if (!x->op->pieces(x, &p->shape[0], n))
        return false;
    if (*n > MAX_PIECES)
        return wm_op_error(x, WM_E_OP_LIMIT, "%lld tensors, at most %d are supported",
                           (long long)*n, MAX_PIECES);
    if (*n == 0)
        *n = want;
    if (last && p->counting)
        return true;
    if (*n == 0) {
        wm_op_error(x, WM_E_OP_COUNT, "nothing says into how many tensors");
        wm_op_note(x, "give the number, or the sizes, as its last argument");
        return false;
    }
    return want == 0 || *n == want ||
           wm_op_error(x, WM_E_OP_COUNT, "it gives %lld tensors, but the %s %u", (long long)*n,
                       last ? "rule has" : "next operation takes", want);
}

static bool
part(struct pipe *p, uint32_t k)
{
    struct wm_opx *x = &p->x[k];
    struct wm_shape *to;
    struct wm_imap *map;
    int64_t n = 0;

    if (!count_pieces(p, k, &n))
        return false;
    x->nin = (uint32_t)n;
    if (n == 0) {
        p->n = 0;
        return true;
    }
    to = WM_NEW_N(p->a, struct wm_shape, n);
    map = p->counting ? NULL : new_maps(p, x->nin);
    if (!x->op->unshape(x, &p->shape[0], to))
        return false;
    if (map && !move(p, x, to, &p->shape[0], p->map, 1, map, x->nin))
        return false;
    replace(p, x->nin, to, map);
    return true;
}

/* ---- the whole ---- */

/* An operation failed: say which tensors it had. */
static void
explain(const struct pipe *p, struct wm_diag *d)
{
    struct wm_buf b;
    int side = p->back ? 1 : 0;

    wm_buf_init(&b, p->a);
    for (uint32_t t = 0; t < p->rule->side[side].nterm && t < 3; t++) {
        wm_buf_putz(&b, t ? ", \"" : "\"");
        wm_key_print(&p->rule->side[side].term[t].key, wm_rule_var_name, (void *)p->rule, &b);
        wm_buf_putc(&b, '"');
    }
    if (p->rule->side[side].nterm > 3)
        wm_buf_putz(&b, ", ...");
    wm_buf_printf(&b, " before it: %s", wm_dtype_info[p->dtype].name);
    for (uint32_t i = 0; i < p->n && i < 3; i++) {
        struct wm_str s = wm_shape_text(p->a, &p->shape[i]);

        wm_buf_printf(&b, "%s%.*s", i ? ", " : " ", WM_STR_ARG(s));
    }
    if (p->n > 3)
        wm_buf_printf(&b, " and %u more", p->n - 3);
    wm_note(&p->g->cc->diags, d, "%.*s", WM_STR_ARG(wm_buf_str(&b)));
}

static bool
apply(struct pipe *p, uint32_t k)
{
    struct wm_opx *x = &p->x[k];

    x->dtype = p->dtype;
    if (x->undo && x->op->class != WM_OP_ELEMENT && !x->op->unshape)
        return wm_op_error(x, WM_E_OP_ONE_WAY, "it can't be undone");
    switch (x->op->class) {
    case WM_OP_VIEW:
        return view(p, x);
    case WM_OP_JOIN:
        return x->undo ? part(p, k) : join(p, x);
    case WM_OP_ELEMENT:
        return element(p, x);
    }
    return false;
}

static bool
pass(struct pipe *p)
{
    const struct wm_diags *ds = &p->g->cc->diags;
    uint32_t before = ds->list.n;

    for (uint32_t k = 0; k < p->nop; k++)
        if (!apply(p, k)) {
            if (ds->list.n > before)
                explain(p, ds->list.item[ds->list.n - 1]);
            return false;
        }
    return true;
}

static bool
start(struct pipe *p, const struct wm_shape *in, uint32_t nin, enum wm_dtype dtype)
{
    p->n = nin;
    p->first = p->dtype = dtype;
    p->shape = WM_NEW_N(p->a, struct wm_shape, nin);
    memcpy(p->shape, in, nin * sizeof in[0]);
    if (p->counting)
        return true;
    p->map = new_maps(p, nin);
    for (uint32_t i = 0; i < nin; i++) {
        int64_t n;

        if (!wm_shape_numel(&in[i], &n))
            return false;
        wm_imap_identity(&p->map[i], n, i);
    }
    return true;
}

bool
wm_pipe_bind(struct wm_graph *g, struct wm_benv *be, const struct wm_scope *sc,
             const struct wm_rule *r, bool back, const struct wm_shape *in, enum wm_dtype dtype,
             uint32_t nin, struct wm_pipe_out *out, uint32_t nout, struct wm_pipe_check **check,
             uint32_t *ncheck)
{
    struct pipe p = {.nout = nout};
    uint32_t elem;

    if (!begin(&p, g, be, sc, r, back) || !start(&p, in, nin, dtype) || !pass(&p))
        return false;
    if (p.n != nout) {
        wm_report(&g->cc->diags, WM_E_OP_COUNT, r->ast->op[0].span,
                  "the operations give %u tensor%s, but the rule has %u on the %s", p.n,
                  p.n == 1 ? "" : "s", nout, back ? "left" : "right");
        return false;
    }
    elem = wm_elem_chain(g, p.step.item, p.step.n, dtype);
    for (uint32_t j = 0; j < nout; j++) {
        out[j] = (struct wm_pipe_out){.shape = p.shape[j], .dtype = p.dtype, .map = p.map[j]};
        if (elem == 0)
            continue;
        for (uint32_t b = 0; b < out[j].map.box.n; b++)
            if (out[j].map.box.item[b].nsrc > 0)
                out[j].map.box.item[b].elem = elem;
    }
    *check = p.check.item;
    *ncheck = p.check.n;
    return true;
}

bool
wm_pipe_count(struct wm_graph *g, struct wm_benv *be, const struct wm_scope *sc,
              const struct wm_rule *r, bool back, const struct wm_shape *in, enum wm_dtype dtype,
              uint32_t nin, int64_t *nout)
{
    struct pipe p = {.counting = true};

    if (!begin(&p, g, be, sc, r, back) || !start(&p, in, nin, dtype) || !pass(&p))
        return false;
    *nout = p.n;
    return true;
}

bool
wm_pipe_elem(struct wm_graph *g, struct wm_benv *be, const struct wm_scope *sc,
             const struct wm_rule *r, bool back, enum wm_dtype *dtype, uint32_t *elem)
{
    struct pipe p = {.first = *dtype, .dtype = *dtype};

    if (!begin(&p, g, be, sc, r, back) || !pass(&p))
        return false;
    *elem = wm_elem_chain(g, p.step.item, p.step.n, *dtype);
    *dtype = p.dtype;
    return true;
}
