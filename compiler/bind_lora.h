/* compiler/bind_lora.h -- what the files about adapters at bind share: the merge of one adapter into one set of tensors. */
#ifndef WM_COMPILER_BIND_LORA_H
#define WM_COMPILER_BIND_LORA_H

#include "compiler/bind_geom.h"

struct wm_merge {
    struct wm_bind *b;
    const struct wm_adapter *ad;
    int side;                    /* of the map: whose layout it is */
    const struct wm_tset *on;    /* that layout, with its by_key */
    const struct wm_lora_line **line; /* [nline] in the order in which they take */
    uint32_t nline;
    struct wm_stage *stage;      /* what is made here */
    uint32_t nbase;              /* its inputs [nbase ..) are the adapter's */
    struct wm_map by_name;       /* of the adapter's tensors: their numbers in it */
    bool *used;                  /* [of the adapter] */
    struct wm_make *make;        /* [nbase]; of those that change */
    bool *changed;               /* [nbase] */
    WM_VEC(uint32_t) slot;       /* of the makes */
    struct wm_map geoms;         /* signature -> geometry */
    struct wm_str path;
    uint32_t *base;              /* [nbase] the adapter's tensor that stands for it below its pair; or WM_NONE */
};

/* One pair of factors and its weight. */
struct wm_pair {
    const struct wm_lora_line *l;
    struct wm_inst x;
    uint32_t t[WM_LORA_TERMS];   /* inputs of the stage */
    const struct wm_gt *gt[WM_LORA_TERMS];
    struct wm_sizes z;
    double scale;
};

struct wm_str wm_merge_show(const struct wm_merge *g, uint32_t t);
bool wm_merge_fail(struct wm_merge *g, const char *text);
/* Tensor w of the layout is made so; t: the adapter's tensor that changes it. */
void wm_merge_change(struct wm_merge *g, uint32_t w, uint32_t t, const struct wm_make *mk);

bool wm_lora_is_real(enum wm_dtype t);

/* The line's scale for the weight of a pair (compiler/lora_scale.c); false: reported. */
bool wm_lora_scale(struct wm_merge *g, struct wm_pair *p);
/* The boxes of a sum, shared by what is alike (compiler/lora_geom.c); false: reported. */
bool wm_lora_geometry(struct wm_merge *g, const struct wm_pair *p, uint32_t *geom);
/* Does the adapter go in here (compiler/lora_way.c)?  Every layout along the chain asks once. */
bool wm_lora_takes(struct wm_merge *g);

/* The tensor of the layout for which a whole tensor of PEFT stands; or WM_NONE. */
uint32_t wm_lora_whole_of(const struct wm_merge *g, struct wm_str name);
/* What is no pair (compiler/lora_whole.c): tensors of a wrapped module's own weight, before the pairs; whole tensors that
 * stand for those of the base; what is left over, which is an error. */
bool wm_lora_bases(struct wm_merge *g);
bool wm_lora_replace(struct wm_merge *g);
bool wm_lora_report_rest(struct wm_merge *g);

#endif
