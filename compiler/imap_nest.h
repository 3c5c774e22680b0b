/* compiler/imap_nest.h -- between boxes and the nests of base/nest.h (for the imap*.c files only).
 *
 * Payload numbers: the output tensor, then the operands of the first map, then those of the second.
 */
#ifndef WM_COMPILER_IMAP_NEST_H
#define WM_COMPILER_IMAP_NEST_H

#include "base/nest.h"
#include "compiler/imap.h"

enum { WM_PAY_DST = 0, WM_PAY_SRC = 1, WM_PAY_SRC2 = 1 + WM_MAX_OPERANDS };
enum { WM_KEY_DST = -1 }; /* else the number of an operand */

/* The box as a nest over one of its sides; src_at is WM_PAY_SRC or WM_PAY_SRC2 (then without
 * WM_PAY_DST). False where it has too many dims. */
bool wm_imap_nest(const struct wm_imap *m, const struct wm_box *b, int key, int src_at,
                  struct wm_nest *out);

/* Append a box like *like (slots, nsrc, elem) with the geometry of x: dst is payload `dst`
 * (WM_KEY_DST: its key), operand s is payload src[s]. */
void wm_imap_add_nest(struct wm_imap *m, const struct wm_box *like, const struct wm_nest *x,
                      int dst, const int src[WM_MAX_OPERANDS]);

/* Intervals of dst of all boxes in an index; needs boxes by ascending least dst (canonical lists
 * are). */
void wm_imap_ranges(const struct wm_imap *m, struct wm_arena *a, struct wm_ranges *out);

/* As m, with every box ordered by dst (usually m itself, and no copy); NULL past the limit. */
const struct wm_imap *wm_imap_ordered(const struct wm_imap *m, struct wm_imap *room);

#endif
