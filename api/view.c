/* api/view.c -- see view.h.  Plans are verified when they are opened: nothing is checked here
 * again. */
#include "api/view.h"

#include "base/map.h"

enum { CHECK_UNITS = 1 << 18 }; /* of a check at a time */

static void
list_tensors(struct wm_view *v, struct wm_arena *a)
{
    uint64_t nshared, n = 0;
    uint32_t *shown;

    wm_plan_section(v->p, WM_PS_SHARED, &nshared);
    shown = WM_NEW_N(a, uint32_t, v->nout + nshared);
    for (uint64_t k = 0; k < v->nout + nshared; k++)
        if (k >= v->nout || (v->out[k].file != WM_NONE && v->out[k].name.len > 0))
            shown[n++] = (uint32_t)k;
    v->shown = shown;
    v->ntensor = n;
}

struct wm_view_tensor
wm_view_tensor(const struct wm_view *v, uint64_t k)
{
    const struct wm_plan_shared *shared = wm_plan_section(v->p, WM_PS_SHARED, NULL);
    const struct wm_plan_shared *s = v->shown[k] < v->nout ? NULL : &shared[v->shown[k] - v->nout];
    uint64_t id = s ? s->of : v->shown[k];
    const struct wm_plan_out *o = &v->out[id];
    const struct wm_plan_geom *g = &v->geom[o->geom];

    return (struct wm_view_tensor){.name = wm_plan_str(v->p, s ? s->name : o->name),
                                   .where = wm_plan_str(v->p, s ? s->where : o->where),
                                   .out = (uint32_t)id,
                                   .dtype = o->dtype,
                                   .rank = s ? s->rank : o->rank,
                                   .shape = v->shape + (s ? s->shape : o->shape),
                                   .nbytes = (uint64_t)g->nunit * g->unit,
                                   .is_shared = s != NULL};
}

void
wm_view_init(struct wm_view *v, struct wm_arena *a, const struct wm_plan *p)
{
    uint32_t rank = 0;

    *v = (struct wm_view){.p = p};
    v->sections = wm_plan_view(p);
    while (v->ncheck < v->nout && v->out[v->nout - v->ncheck - 1].file == WM_NONE)
        v->ncheck++;
    for (uint64_t k = 0; k < v->nin; k++)
        v->nread += v->in[k].name.len > 0;
    list_tensors(v, a);
    for (uint64_t k = 0; k < v->nbox; k++)
        if (v->box[k].rank > rank)
            rank = v->box[k].rank;
    v->axis = WM_NEW_N(a, struct wm_box_axis, (size_t)rank + 1);
    v->tail = WM_NEW_N(a, int64_t, (size_t)rank + 1);
}

uint32_t *
wm_view_sums(const struct wm_view *v, struct wm_arena *a)
{
    return WM_NEW_N(a, uint32_t, v->nsum);
}

enum wm_status
wm_view_checks(const struct wm_view *v, struct wm_exec *x, struct wm_err *err)
{
    enum wm_status st = WM_OK;

    for (uint64_t k = v->nout - v->ncheck; k < v->nout && st == WM_OK; k++)
        for (uint64_t at = 0, n; at < v->out[k].nbytes && st == WM_OK; at += n) {
            n = v->out[k].nbytes - at < CHECK_UNITS ? v->out[k].nbytes - at : CHECK_UNITS;
            st = wm_exec_produce(x, (uint32_t)k, at, n, NULL, err);
        }
    return st == WM_OK ? wm_exec_check_sums(x, err) : st;
}

int64_t
wm_box_run(const struct wm_view *v, const struct wm_plan_box *b)
{
    int64_t run = 1;

    for (bool grown = true; grown;) {
        grown = false;
        for (uint32_t d = 0; d < b->rank && !grown; d++) {
            const struct wm_plan_dim *dim = &v->dim[b->dim + d];

            if (dim->extent > 1 && dim->dst == run && (b->nsrc == 0 || dim->src[0] == run)) {
                run *= dim->extent;
                grown = true;
            }
        }
    }
    return run;
}

int64_t
wm_box_count(const struct wm_view *v, const struct wm_plan_box *b)
{
    int64_t n = 1;

    for (uint32_t d = 0; d < b->rank; d++)
        n *= v->dim[b->dim + d].extent;
    return n;
}

/* ---- solving base + sum of k[d] * stride[d] = pos ---- */

struct solver {
    struct wm_box_axis *axis; /* [rank], the longest strides first */
    int64_t *tail;            /* most that the axes from d on can add */
    uint32_t rank;
    bool (*found)(void *user, int64_t other);
    void *user;
};

/* Axes of stride 0 come last: each of their values is a solution.  Depth is at most the rank. */
static bool
solve(const struct solver *s, uint32_t d, int64_t rest, int64_t other)
{
    const struct wm_box_axis *x = &s->axis[d];
    int64_t lo = 0, hi;

    if (d == s->rank)
        return rest != 0 || s->found(s->user, other);
    hi = x->extent - 1;
    if (x->stride > 0) {
        int64_t beyond = rest - s->tail[d + 1];

        if (rest < 0)
            return true;
        lo = beyond <= 0 ? 0 : (beyond + x->stride - 1) / x->stride;
        hi = rest / x->stride < hi ? rest / x->stride : hi;
    }
    for (int64_t k = lo; k <= hi; k++)
        if (!solve(s, d + 1, rest - k * x->stride, other + k * x->other))
            return false;
    return true;
}

static void
add_axis(struct solver *s, struct wm_box_axis x, int64_t *base, int64_t *other_base)
{
    uint32_t at = s->rank++;

    if (x.stride < 0) {
        *base += (x.extent - 1) * x.stride;
        *other_base += (x.extent - 1) * x.other;
        x.stride = -x.stride;
        x.other = -x.other;
    }
    for (; at > 0 && s->axis[at - 1].stride < x.stride; at--)
        s->axis[at] = s->axis[at - 1];
    s->axis[at] = x;
}

static void
solve_all(struct solver *s, int64_t pos, int64_t base, int64_t other_base)
{
    s->tail[s->rank] = 0;
    for (uint32_t d = s->rank; d-- > 0;)
        s->tail[d] = s->tail[d + 1] + (s->axis[d].extent - 1) * s->axis[d].stride;
    solve(s, 0, pos - base, other_base);
}

static bool
keep(void *user, int64_t src)
{
    int64_t **to = user;

    **to = src;
    *to = NULL;
    return false;
}

bool
wm_box_source(const struct wm_view *v, const struct wm_plan_box *b, uint32_t k, int64_t dst,
              int64_t *src)
{
    int64_t base = b->dst_base, other = b->src_base[k], *to = src;
    struct solver s = {.axis = v->axis, .tail = v->tail, .found = keep, .user = &to};

    for (uint32_t d = 0; d < b->rank; d++) {
        const struct wm_plan_dim *dim = &v->dim[b->dim + d];

        add_axis(&s, (struct wm_box_axis){dim->extent, dim->dst, dim->src[k]}, &base, &other);
    }
    solve_all(&s, dst, base, other);
    return to == NULL;
}

void
wm_box_targets(const struct wm_view *v, const struct wm_plan_box *b, uint32_t k, int64_t src,
               bool (*found)(void *user, int64_t dst), void *user)
{
    int64_t base = b->src_base[k], other = b->dst_base;
    struct solver s = {.axis = v->axis, .tail = v->tail, .found = found, .user = user};

    for (uint32_t d = 0; d < b->rank; d++) {
        const struct wm_plan_dim *dim = &v->dim[b->dim + d];

        add_axis(&s, (struct wm_box_axis){dim->extent, dim->src[k], dim->dst}, &base, &other);
    }
    solve_all(&s, src, base, other);
}
