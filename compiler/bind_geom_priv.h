/* compiler/bind_geom_priv.h -- between the files that make boxes of a rule at known sizes (bind_geom*.c). */
#ifndef WM_COMPILER_BIND_GEOM_PRIV_H
#define WM_COMPILER_BIND_GEOM_PRIV_H

#include "compiler/bind_geom.h"
#include "compiler/pattern.h"

/* One side of one product at known sizes. */
struct wm_geom_place {
    const struct wm_rterm *term;
    const struct wm_product *product;
    const struct wm_alt *alt;
    uint32_t first_slot; /* instance slot of the term's first tensor (reading side) */
};

/* A rule at one set of sizes. */
struct wm_geom_make {
    struct wm_bind *b;
    const struct wm_inst *x;
    const struct wm_rule *r;
    const struct wm_sizes *z;
    int rs, ws;
    struct wm_alts *alts[2]; /* by side and term */
    uint32_t *first_slot;    /* of the reading terms */
    uint32_t elem;           /* of the copies */
    enum wm_dtype dtype;     /* of the outputs */
    struct wm_variant *v;
};

static inline int64_t
stride_of(const struct wm_alt *alt, uint32_t axis)
{
    for (uint32_t k = 0; k < alt->naxis; k++)
        if (alt->axis[k] == axis)
            return alt->stride[k];
    return -1;
}

/* Which key axis of the term is it?  WM_NONE: none. */
static inline uint32_t
key_axis(const struct wm_rterm *t, uint32_t axis)
{
    for (uint32_t k = 0; k < t->nkey_axis; k++)
        if (t->key_axis[k] == axis)
            return k;
    return WM_NONE;
}

static inline bool
has_axis(const struct wm_product *p, uint32_t axis)
{
    for (uint32_t k = 0; k < p->naxis; k++)
        if (p->axis[k] == axis)
            return true;
    return false;
}

/* A product of one side. */
struct wm_geom_place wm_geom_place_of(const struct wm_geom_make *q, int s, uint32_t product);
/* The instance's slot of the tensor whose key axes have these positions. */
uint32_t wm_geom_slot(const struct wm_geom_make *q, const struct wm_geom_place *p, const int64_t *pos);
/* A constant as one element of a dtype; false: reported. */
bool wm_geom_constant(const struct wm_geom_make *q, const struct wm_expr *e, enum wm_dtype dtype,
                      enum wm_elem_kind kind, uint32_t *elem);
/* The checks of all products that are read and have copies or padding; of a filled tensor that is read. */
bool wm_geom_checks(const struct wm_geom_make *q);
bool wm_geom_check_fill(const struct wm_geom_make *q);

#endif
