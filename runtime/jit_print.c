/* runtime/jit_print.c -- the kernels of a plan as the JIT would write them.
 *
 * In: a verified plan.  Out: for each distinct movement of its boxes the code, optimised for this
 * processor.  A run cuts boxes to windows and may hold a block in another layout, so that its
 * kernels can have other strides than those of whole boxes. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/jit.h"

enum { MOST = 256 };

struct printer {
    const struct wm_plan *p;
    WM_PLAN_VIEW_MEMBERS;
    struct wm_jit_library lib;
    struct wm_jit_nest *seen; /* [MOST] */
    uint32_t n;
    struct wm_buf *to;
};

/* The nest of a whole box: a copy from the file, or a chain from the packed elements. */
static bool
nest_of(const struct printer *x, const struct wm_plan_geom *g, const struct wm_plan_box *b,
        struct wm_jit_nest *nest)
{
    const struct wm_plan_elem *e = &x->elem[b->elem];
    bool is_chain = e->kind == WM_EL_CHAIN && e->nstep;
    uint32_t in = is_chain ? e->src_unit : g->unit;
    struct wm_kdim dim[WM_PLAN_RANK];
    int64_t packed = in, n;

    if (!is_chain && e->kind != WM_EL_COPY)
        return false;
    for (uint32_t k = b->rank; k-- > 0;) {
        const struct wm_plan_dim *d = &x->dim[b->dim + k];

        dim[k] = (struct wm_kdim){d->extent, d->dst * g->unit,
                                  is_chain ? packed : d->src[0] * (int64_t)in};
        packed *= d->extent;
    }
    return wm_jit_nest_of(nest, &n, dim, b->rank, in, g->unit,
                          is_chain ? &x->step[e->step] : NULL, is_chain ? e->nstep : 0);
}

static void
print_box(struct printer *x, const struct wm_plan_out *o, const struct wm_plan_box *b)
{
    struct wm_jit_nest nest;
    char name[32], *text;

    if (x->n == MOST || !nest_of(x, &x->geom[o->geom], b, &nest))
        return;
    for (uint32_t i = 0; i < x->n; i++)
        if (memcmp(&x->seen[i], &nest, sizeof(nest)) == 0)
            return;
    x->seen[x->n] = nest;
    wm_buf_printf(x->to, "; '%.*s'%s: %u to %u bytes, dims [n", WM_STR_ARG(wm_plan_str(x->p, o->name)),
                  nest.nstep ? ", a chain" : "", nest.in, nest.out);
    for (uint32_t k = 1; k < nest.rank; k++)
        wm_buf_printf(x->to, ", %" PRId64, nest.dim[k].n);
    wm_buf_printf(x->to, "], destination [");
    for (uint32_t k = 0; k < nest.rank; k++)
        wm_buf_printf(x->to, "%s%" PRId64, k ? ", " : "", nest.dim[k].dst);
    wm_buf_printf(x->to, "], source [");
    for (uint32_t k = 0; k < nest.rank; k++)
        wm_buf_printf(x->to, "%s%" PRId64, k ? ", " : "", nest.dim[k].src);
    wm_buf_printf(x->to, "]\n");
    snprintf(name, sizeof(name), "wmap_kernel_%u", x->n++);
    text = x->lib.plugin->text(x->lib.engine, &nest, name);
    wm_buf_printf(x->to, "%s\n", text ? text : "; not compiled\n");
    if (text)
        x->lib.plugin->text_free(text);
}

enum wm_status
wm_jit_print(const struct wm_plan *p, const struct wm_sys *sys, struct wm_buf *out,
             struct wm_err *err)
{
    struct printer x = {.p = p, .to = out};
    enum wm_status st = wm_jit_load(sys, &x.lib, err);

    if (st != WM_OK)
        return st;
    x.seen = sys->malloc(MOST * sizeof(x.seen[0]));
    if (!x.seen)
        st = wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    x.sections = wm_plan_view(p);
    for (uint64_t i = 0; i < x.nout && st == WM_OK; i++) {
        const struct wm_plan_geom *g = &x.geom[x.out[i].geom];

        for (uint64_t b = 0; b < g->nbox && x.out[i].file != WM_NONE; b++)
            print_box(&x, &x.out[i], &x.box[g->box + b]);
    }
    if (st == WM_OK && x.n == 0)
        wm_buf_printf(out, "; no kernel: every movement is of long runs\n");
    sys->free(x.seen);
    wm_jit_unload(&x.lib);
    return st;
}
