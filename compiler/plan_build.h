/* compiler/plan_build.h -- the parts of the making of plans among themselves.
 *
 *   plan_build.c    geometries, element operations, outputs, checks, small files
 *   plan_input.c    what is read: files, stretches with a codec, tensors, views, check sums
 *   plan_file.c     what is written: the files of a format, with all that is in them */
#ifndef WM_COMPILER_PLAN_BUILD_H
#define WM_COMPILER_PLAN_BUILD_H

#include "compiler/bind.h"
#include "compiler/shards.h"
#include "runtime/format.h"

struct wm_build {
    struct wm_cc *cc;
    const struct wm_graph *g;
    const struct wm_bind_opts *o;
    struct wm_plan_builder pb;
    const struct wm_format *fmt;
    enum wm_format_id fmt_id;
    struct wm_err *err;
    uint32_t *file_of;           /* manifest file -> INFILE, WM_NONE */
    uint32_t *in_of;             /* manifest tensor -> first of its INs, WM_NONE */
    uint32_t *same;              /* manifest tensor -> the first with the same bytes; made when asked for */
    uint32_t *uses;              /* manifest tensor -> how many of a file begin with it; zero between files */
    uint32_t like;               /* INFILE of the template, WM_NONE */
    struct wm_map geoms;         /* (geometry, bits, units, views) -> GEOM */
    struct wm_map wheres;        /* span -> where text */
    WM_VEC(struct wm_plan_text) where_text;
    struct wm_buf sig;
};

/* Appends to b->sig. */
static inline void
wm_build_key(struct wm_build *b, const void *p, size_t n)
{
    wm_buf_puts(&b->sig, (struct wm_str){p, n});
}

/* ---- plan_input.c ---- */

void wm_build_inputs_init(struct wm_build *b);
/* Adds the INs of tensor t of the input, which are one for each of its parts, to SLOT; the index of the first. */
uint32_t wm_build_slots(struct wm_build *b, uint32_t t);
/* Slots of a make whose nslot operands are tensors of the input. */
uint32_t wm_build_nslot(const struct wm_build *b, const struct wm_make *mk, uint32_t nslot);
/* The first tensor of the input that has the same bytes. */
uint32_t wm_build_same(struct wm_build *b, uint32_t t);
/* Appends to b->sig how the tensors of a make are views or in parts; nothing where none is. */
void wm_build_views_key(struct wm_build *b, const struct wm_make *mk, uint32_t nslot);
/* `m` reads the tensors of a make; `out`, what they are views of or made of.  False: too many boxes. */
bool wm_build_through_views(struct wm_build *b, const struct wm_make *mk, uint32_t nslot, const struct wm_imap *m,
                            struct wm_imap *out);
/* Check sums of the entries that hold tensors which are read. */
void wm_build_insums(struct wm_build *b);

/* ---- plan_build.c ---- */

/* The GEOM of a make in elements of this dtype; false: it would cut inside of bytes, or has too many boxes. */
bool wm_build_geometry(struct wm_build *b, const struct wm_make *mk, enum wm_dtype dtype, uint32_t *out, int64_t *nunit);
/* The same of a copy of n bytes. */
bool wm_build_bytes_geometry(struct wm_build *b, int64_t n, uint32_t *out);
struct wm_plan_text wm_build_where(struct wm_build *b, const struct wm_make *mk);
enum wm_status wm_build_tensor(struct wm_build *b, const struct wm_wtensor *w, uint32_t file);

/* ---- plan_file.c ---- */

enum wm_status wm_build_file(struct wm_build *b, struct wm_shard_file *f, uint32_t order);

#endif
