/* compiler/imap.h -- index maps as lists of boxes: where each element of a tensor comes from.
 *
 * A box is a nest of dimensions.  Its element (i_0 .. i_{r-1}) has the row-major number
 *     dst_base + sum(i_k * dim[k].dst)        in the output tensor, and
 *     src_base[s] + sum(i_k * dim[k].src[s])  in its operand s (0 <= s < nsrc),
 * all in elements.  Copies have one operand; comparisons two; low-rank sums three; fills none.
 * `slot[s]` numbers the operand tensor (the caller's list).  A dst stride of 0 does not occur in a
 * map that produces a tensor (each element is written once); a src stride of 0 is a broadcast.
 *
 * Lists of boxes are closed under composition (fusion, `>>`), cutting (windows, shards) and
 * exchange of sides (inversion).  Canonical form, restored by wm_imap_canon(): no extent of 1; dims
 * by descending |dst| (zero-dst ones first); neighbours merged where both strides fit; boxes
 * ordered by dst_base, boxes that continue one another joined. */
#ifndef WM_COMPILER_IMAP_H
#define WM_COMPILER_IMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

enum { WM_MAX_OPERANDS = 3 };

struct wm_dim {
    int64_t extent;
    int64_t dst;                  /* stride in the output tensor, elements */
    int64_t src[WM_MAX_OPERANDS]; /* stride in each operand, elements */
};

struct wm_box {
    int64_t dst_base;
    int64_t src_base[WM_MAX_OPERANDS];
    uint32_t slot[WM_MAX_OPERANDS];
    uint32_t elem; /* element operation: an id of the caller's table; 0 = copy */
    uint16_t nsrc;
    uint16_t rank;
    uint32_t dim; /* index of its first dimension in imap.dim */
};

struct wm_imap {
    struct wm_arena *a;
    WM_VEC(struct wm_box) box;
    WM_VEC(struct wm_dim) dim;
};

/* A limit on the boxes that one operation may make; past it the operation fails and the caller
 * reports. */
enum { WM_IMAP_MAX_BOXES = 1 << 20 };

void wm_imap_init(struct wm_imap *m, struct wm_arena *a);
/* Append a box and its dims (copied).  `box->dim` is set here. */
void wm_imap_add(struct wm_imap *m, const struct wm_box *box, const struct wm_dim *dims);
/* One box that copies a whole tensor of nelem elements from slot. */
void wm_imap_identity(struct wm_imap *m, int64_t nelem, uint32_t slot);
int64_t wm_imap_count(const struct wm_imap *m); /* elements written, saturating */

/* The canonical form in place.  What invert, compose and cut give is canonical already. */
void wm_imap_canon(struct wm_imap *m);
void wm_imap_copy(struct wm_imap *out, const struct wm_imap *m, struct wm_arena *a);

/* `out` of the functions below is initialised by the caller and appended to.  A map whose boxes
 * were added by hand need not be canonical to be an input. */

/* Exchange of sides: from "dst <- slot s, for each s" to one map per slot.  out[s] gets boxes that
 * write the tensor of slot s and read (slot 0 of the result + dst_slot).  Only one-operand boxes.
 * Dims with a zero src stride (broadcast) are cut to their first index; with `copies` not NULL, the
 * other indices go there as two-operand boxes (slot[0], slot[1] = dst_slot both; bases differ; dst
 * numbers them from 0) for a comparison. Boxes without operand (fills) are left out.  An element
 * that two boxes read is written twice by the result: wm_imap_tiles() finds that.  False where a
 * box has several operands or a slot is out of range. */
bool wm_imap_invert(const struct wm_imap *m, uint32_t nslot, uint32_t dst_slot, struct wm_imap *out,
                    struct wm_imap *copies);

/* Fusion.  `outer` writes Y and reads tensors X_0, X_1, ...; inner[k] writes X_k and reads S-slots.
 * The result writes Y and reads S.  Element operations: `join(user, outer_elem, inner_elem)` gives
 * the id of "first inner, then outer" where neither is 0, or WM_NONE where they do not combine (as
 * with join = NULL).  Multi-operand outer boxes are allowed where every operand's inner boxes are
 * one-operand copies; they are cut to the common refinement.  False: past the limit of boxes, or
 * not expressible. */
bool wm_imap_compose(const struct wm_imap *outer, const struct wm_imap *inner, uint32_t ninner,
                     uint32_t (*join)(void *user, uint32_t outer_elem, uint32_t inner_elem),
                     void *user, struct wm_imap *out);

/* The part of the map that writes elements [lo, hi) (of the linear order), dst renumbered from 0
 * where rebase. */
bool wm_imap_cut(const struct wm_imap *m, int64_t lo, int64_t hi, bool rebase, struct wm_imap *out);

/* Proof: the boxes write each element of [0, nelem) exactly once, and nothing else.  On failure *at
 * is the smallest element that is missing, or written twice or outside (then *twice). */
bool wm_imap_tiles(const struct wm_imap *m, int64_t nelem, int64_t *at, bool *twice);

/* Same function on [0, nelem)?  Decided by common refinement, not by form.  On a difference *at is
 * the smallest element that comes from elsewhere or that only one of them writes.  Neither may
 * write an element twice. */
bool wm_imap_equal(const struct wm_imap *x, const struct wm_imap *y, int64_t nelem, int64_t *at);

/* Where element `at` comes from: slot and element of each operand; false where nothing writes it.
 */
bool wm_imap_source(const struct wm_imap *m, int64_t at, const struct wm_box **box,
                    int64_t src[WM_MAX_OPERANDS]);

/* Stable text, one line a box: "0: [64:4096 4096:1] <- %2 + 128 [64:8192 4096:1]". */
struct wm_buf;
void wm_imap_print(const struct wm_imap *m, struct wm_buf *out);

#endif
