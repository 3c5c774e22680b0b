/* compiler/bind_scales.h -- what the two files about scales share: a line with its values, and its boxes. */
#ifndef WM_COMPILER_BIND_SCALES_H
#define WM_COMPILER_BIND_SCALES_H

#include "compiler/bind.h"

enum { WM_SCALE_RANK = 8 };

struct wm_scale_bound {
    const struct wm_scale_line *line;
    bool holds;
    enum wm_dtype dtype;         /* of `dequant`; WM_DT_N: the scales stay */
    uint32_t rank;
    int64_t block[WM_SCALE_RANK];
};

/* The values of a line; false: reported. */
bool wm_scale_line_of(struct wm_bind *b, const struct wm_scale_line *l, struct wm_scale_bound *out);
/* Has s the shape of w in blocks?  Reports, with a note `where` if that is not empty. */
bool wm_scale_fits(struct wm_bind *b, const struct wm_scale_bound *l, const struct wm_gt *s, const struct wm_gt *w,
                   struct wm_str where);
/* Boxes that write a tensor of the shape of w: of each element its scale (from `slot`), or, with the weight in front of
 * it, both (slots 0 and 1).  At most 2^rank boxes: blocks at the end of a dimension may be short. */
void wm_scale_boxes(const struct wm_scale_bound *l, const struct wm_gt *w, bool with_weight, uint32_t elem, uint32_t slot,
                    struct wm_imap *map);

#endif
