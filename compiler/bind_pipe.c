/* compiler/bind_pipe.c -- geometry of a rule by named operations: hands the shapes of the reading tensors to the
 * pipeline and takes its boxes.  The reading tensors of one instance stand in the order of the terms, those of one
 * term by the values of its key axes. */
#include "compiler/bind_geom.h"
#include "compiler/op.h"

/* Shapes of the reading tensors, which the caller has put into z->pipe. */
static struct wm_shape *
shapes(struct wm_bind *b, const struct wm_sizes *z)
{
    struct wm_shape *s = WM_NEW_N(b->cc->a, struct wm_shape, z->npipe);

    for (uint32_t i = 0; i < z->npipe; i++) {
        s[i].rank = z->pipe[i]->rank;
        memcpy(s[i].dim, z->pipe[i]->shape, s[i].rank * sizeof(*s[i].dim));
    }
    return s;
}

static void
take(struct wm_bind *b, struct wm_imap *map, struct wm_vout *out)
{
    wm_imap_canon(map);
    wm_compact_slots(b->cc->a, map, out);
    out->geom = wm_graph_geom(b->g, map, out->nslot);
}

/* How many tensors the writing side has: its terms, times the values of their key axes. */
static uint32_t
count_outputs(const struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z)
{
    uint32_t n = 0;

    for (uint32_t t = 0; t < x->rule->side[b->ws].nterm; t++)
        n += (uint32_t)wm_term_count(&x->rule->side[b->ws].term[t], x->rule, z);
    return n;
}

static bool
unsolved(struct wm_bind *b, const struct wm_inst *x)
{
    struct wm_diag *d = wm_report(&b->cc->diags, WM_E_UNSOLVABLE, x->rule->span,
                                  "how many tensors the operations make can't be known in this direction");

    wm_note(&b->cc->diags, d, "give the index its size instead of `in keys`");
    return false;
}

/* The only key axis of the writing side without a size; false where there are two. */
static bool
open_axis(const struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z, uint32_t *axis)
{
    *axis = WM_NONE;
    for (uint32_t t = 0; t < x->rule->side[b->ws].nterm; t++) {
        const struct wm_rterm *term = &x->rule->side[b->ws].term[t];

        for (uint32_t k = 0; k < term->nkey_axis; k++) {
            if (z->axis[term->key_axis[k]] >= 0 || term->key_axis[k] == *axis)
                continue;
            if (*axis != WM_NONE)
                return false;
            *axis = term->key_axis[k];
        }
    }
    return true;
}

/* The axis is solved as any other: by the number of tensors that the operations give. */
bool
wm_pipe_solve(struct wm_bind *b, const struct wm_inst *x, struct wm_sizes *z)
{
    int64_t total, none, one, n;
    uint32_t axis;

    if (!open_axis(b, x, z, &axis))
        return unsolved(b, x);
    if (axis == WM_NONE)
        return true;
    if (!wm_pipe_count(b->g, &b->be, &x->scope, x->rule, b->back, shapes(b, z), z->dtype, z->npipe, &total))
        return false;
    z->axis[axis] = 0;
    none = count_outputs(b, x, z);
    z->axis[axis] = 1;
    one = count_outputs(b, x, z);
    if (total == 0 || one == none)
        return unsolved(b, x);
    n = (total - none) / (one - none);
    if (n < 0 || n > WM_MAX_INDEX || none + n * (one - none) != total) {
        wm_report(&b->cc->diags, WM_E_OP_COUNT, x->rule->span,
                  "the operations give %lld tensors, which no size of `%.*s` makes", (long long)total,
                  WM_STR_ARG(x->rule->axis.item[axis].name));
        return false;
    }
    z->axis[axis] = n;
    return true;
}

struct wm_variant *
wm_pipe_variant(struct wm_bind *b, const struct wm_inst *x, const struct wm_sizes *z)
{
    struct wm_arena *a = b->cc->a;
    uint32_t n = count_outputs(b, x, z), ncheck = 0;
    struct wm_pipe_out *out;
    struct wm_pipe_check *check = NULL;
    struct wm_variant *v = WM_NEW(a, struct wm_variant);

    out = WM_NEW_N(a, struct wm_pipe_out, n);
    if (!wm_pipe_bind(b->g, &b->be, &x->scope, x->rule, b->back, shapes(b, z), z->dtype, z->npipe, out, n,
                      &check, &ncheck))
        return NULL;
    v->nout = n;
    v->out = WM_NEW_N(a, struct wm_vout, n);
    for (uint32_t i = 0; i < n; i++) {
        struct wm_vout *o = &v->out[i];
        int64_t *shape = WM_NEW_N(a, int64_t, out[i].shape.rank);

        memcpy(shape, out[i].shape.dim, out[i].shape.rank * sizeof(*shape));
        *o = (struct wm_vout){.rank = out[i].shape.rank, .shape = shape, .dtype = out[i].dtype};
        if (!wm_shape_numel(&out[i].shape, &o->nunit)) {
            wm_report(&b->cc->diags, WM_E_EXTENTS, x->rule->span, "the tensor would be too large");
            return NULL;
        }
        take(b, &out[i].map, o);
    }
    for (uint32_t i = 0; i < ncheck; i++) {
        struct wm_vout *c = WM_PUSH(a, &v->check);

        *c = (struct wm_vout){.nunit = check[i].nunit, .replica = check[i].replica, .pad = check[i].pad};
        take(b, &check[i].map, c);
    }
    return v;
}
