/* runtime/piece.h -- what runs and push sessions do alike with the pieces of boxes. */
#ifndef WM_RUNTIME_PIECE_H
#define WM_RUNTIME_PIECE_H

#include "runtime/exec_priv.h"

/* A text for a message, cut where it would be too long. */
struct wm_piece_text {
    char s[256];
};

int64_t wm_piece_count(const struct wm_piece *p);
/* Strides of the piece's elements one behind the other, `size` bytes each. */
void wm_piece_packed(const struct wm_piece *p, uint32_t size, int64_t *stride);
/* The i-th unit of a piece on one side (-1: the output). */
int64_t wm_piece_unit(const struct wm_piece *p, int64_t i, int side);
/* The first half, in order of the output, goes to `first`; the rest stays.  The piece has at least two units. */
void wm_piece_halve(struct wm_piece *p, struct wm_piece *first);
/* In parts of at most `max` units, in order of the output. */
enum wm_status wm_piece_parts(struct wm_piece *p, int64_t max, wm_piece_fn *each, void *user);
/* "[3, 5]": the element of an input whose place is n; "" for a scalar. */
struct wm_piece_text wm_piece_index(const struct wm_plan *p, const struct wm_plan_in *in, int64_t n);
/* Where the map says so: a file name for the message; NULL where it is not known. */
const char *wm_piece_where(const struct wm_plan *p, const struct wm_plan_out *out, struct wm_piece_text *t);

#endif
