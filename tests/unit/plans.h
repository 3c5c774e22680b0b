/* tests/unit/plans.h -- small plans made by hand: inputs, geometries from index maps, outputs,
 * files. */
#ifndef WM_TESTS_PLANS_H
#define WM_TESTS_PLANS_H

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "compiler/imap.h"
#include "runtime/plan.h"

struct mk {
    struct wm_arena *a;
    struct wm_plan_builder b;
    uint32_t nin, nout, ngeom;
    uint64_t at;    /* offset in the output file that is being made */
    uint64_t first; /* its first OUT */
};

static inline void
mk_init(struct mk *m, struct wm_arena *a)
{
    struct wm_plan_elem copy = {.kind = WM_EL_COPY};

    memset(m, 0, sizeof(*m));
    m->a = a;
    wm_plan_builder_init(&m->b, a);
    wm_plan_add(&m->b, WM_PS_ELEM, &copy, sizeof(copy), 1);
}

static inline uint32_t
mk_infile(struct mk *m, const char *path)
{
    struct wm_plan_infile f = {.path = wm_plan_add_text(&m->b, wm_str_c(path))};
    struct stat st;

    if (stat(path, &st) != 0)
        abort();
    f.size = (uint64_t)st.st_size;
    f.nbytes = f.size;
    f.mtime_sec = st.st_mtim.tv_sec;
    f.mtime_nsec = st.st_mtim.tv_nsec;
    return (uint32_t)wm_plan_add(&m->b, WM_PS_INFILE, &f, sizeof(f), 1);
}

static inline uint32_t
mk_shape(struct mk *m, int64_t n)
{
    return (uint32_t)wm_plan_add(&m->b, WM_PS_SHAPE, &n, sizeof(n), 1);
}

static inline uint32_t
mk_in(struct mk *m, const char *name, uint32_t file, enum wm_dtype t, uint64_t off, int64_t n)
{
    struct wm_plan_in in = {.name = wm_plan_add_text(&m->b, wm_str_c(name)),
                            .file = file,
                            .dtype = t,
                            .off = off,
                            .nbytes = (uint64_t)n * wm_dtype_info[t].bits / 8,
                            .shape = mk_shape(m, n),
                            .rank = 1,
                            .stride = WM_NONE,
                            .origin = WM_NONE};

    m->nin++;
    return (uint32_t)wm_plan_add(&m->b, WM_PS_IN, &in, sizeof(in), 1);
}

static inline uint32_t
mk_elem(struct mk *m, const struct wm_plan_elem *e)
{
    return (uint32_t)wm_plan_add(&m->b, WM_PS_ELEM, e, sizeof(*e), 1);
}

/* A chain of steps; the units follow from the dtypes. */
static inline uint32_t
mk_chain(struct mk *m, const struct wm_plan_step *step, uint32_t n)
{
    struct wm_plan_elem e = {
        .kind = WM_EL_CHAIN, .src_dtype = step[0].from, .dst_dtype = step[n - 1].to, .nstep = n};

    e.src_unit = wm_dtype_info[e.src_dtype].bits / 8u;
    e.dst_unit = wm_dtype_info[e.dst_dtype].bits / 8u;
    e.step = (uint32_t)wm_plan_add(&m->b, WM_PS_STEP, step, sizeof(step[0]), n);
    return mk_elem(m, &e);
}

/* A geometry from a canonical map. */
static inline uint32_t
mk_geom(struct mk *m, const struct wm_imap *map, uint32_t unit, uint32_t nslot, int64_t nunit)
{
    struct wm_plan_geom g = {.nbox = map->box.n, .nslot = nslot, .unit = unit, .nunit = nunit};

    for (uint32_t i = 0; i < map->box.n; i++) {
        const struct wm_box *x = &map->box.item[i];
        struct wm_plan_box b = {
            .dst_base = x->dst_base, .elem = x->elem, .nsrc = x->nsrc, .rank = x->rank};
        uint64_t at;

        for (uint32_t k = 0; k < x->rank; k++) {
            const struct wm_dim *d = &map->dim.item[x->dim + k];
            struct wm_plan_dim to = {.extent = d->extent, .dst = d->dst};

            memcpy(to.src, d->src, sizeof(to.src));
            at = wm_plan_add(&m->b, WM_PS_DIM, &to, sizeof(to), 1);
            if (k == 0)
                b.dim = at;
        }
        memcpy(b.src_base, x->src_base, sizeof(b.src_base));
        memcpy(b.slot, x->slot, sizeof(b.slot));
        at = wm_plan_add(&m->b, WM_PS_BOX, &b, sizeof(b), 1);
        if (i == 0)
            g.box = at;
    }
    m->ngeom++;
    return (uint32_t)wm_plan_add(&m->b, WM_PS_GEOM, &g, sizeof(g), 1);
}

/* An output of the file that is being made, or (file WM_NONE) a check. */
static inline uint32_t
mk_out(struct mk *m, const char *name, uint32_t file, enum wm_dtype t, int64_t n, uint32_t geom,
       const uint32_t *slot, uint32_t nslot)
{
    struct wm_plan_out o = {.name = wm_plan_add_text(&m->b, wm_str_c(name)),
                            .where = wm_plan_add_text(&m->b, WM_STR("test.wmap:3:1")),
                            .file = file,
                            .dtype = t,
                            .nbytes =
                                (uint64_t)n * (file == WM_NONE ? 1 : wm_dtype_info[t].bits / 8u),
                            .shape = mk_shape(m, n),
                            .rank = 1,
                            .geom = geom};

    o.slot = (uint32_t)wm_plan_add(&m->b, WM_PS_SLOT, slot, sizeof(slot[0]), nslot);
    if (file != WM_NONE) {
        o.off = m->at;
        m->at += o.nbytes;
        m->b.out_bytes += o.nbytes;
    }
    m->nout++;
    return (uint32_t)wm_plan_add(&m->b, WM_PS_OUT, &o, sizeof(o), 1);
}

static inline void
mk_file_begin(struct mk *m, uint64_t head)
{
    m->at = head;
    m->first = m->nout;
}

static inline void
mk_file_end(struct mk *m, const char *name, uint64_t tail)
{
    char zero[4096] = {0};
    uint64_t head = 0;
    const struct wm_plan_out *out =
        (const struct wm_plan_out *)(const void *)m->b.section[WM_PS_OUT].p;
    struct wm_plan_outfile f = {.name = wm_plan_add_text(&m->b, wm_str_c(name)),
                                .size = m->at + tail,
                                .first = m->first,
                                .ntensor = m->nout - m->first};

    head = f.ntensor ? out[f.first].off : m->at;
    f.head = wm_plan_add_bytes(&m->b, zero, head);
    f.tail = wm_plan_add_bytes(&m->b, zero, tail);
    wm_plan_add(&m->b, WM_PS_OUTFILE, &f, sizeof(f), 1);
}

#endif
