/* api/gen_fill.h -- tensors whose elements tell where they stand.
 *
 * An element's value is a function of the tensor's name, the seed and the element's row-major
 * number, the same on every machine and for every thread count.  docs/gen.md says which. */
#ifndef WM_API_GEN_FILL_H
#define WM_API_GEN_FILL_H

#include "base/dtype.h"

struct wm_gen_fill {
    enum wm_dtype dtype;
    unsigned bits; /* of a code; each block of 2^bits elements has a permutation of them */
    uint64_t key;  /* of the tensor: name and seed */
    uint64_t base; /* of 64-bit integers */
    unsigned mantissa, sign; /* how a code becomes a float: shifts; sign = 0: it is the value */
    uint64_t exponent;       /* added, shifted already */
};

void wm_gen_fill_init(struct wm_gen_fill *f, enum wm_dtype t, struct wm_str name, uint64_t seed);
/* Elements [first, first + n) (bytes, where elements share them), little-endian. */
void wm_gen_fill_range(const struct wm_gen_fill *f, uint64_t first, uint64_t n, void *out);

#endif
