/* base/dtype.h -- the element types of tensors: one row each in dtype.def. */
#ifndef WM_BASE_DTYPE_H
#define WM_BASE_DTYPE_H

#include <stdint.h>

#include "base/str.h"

enum wm_dtype {
#define WM_DTYPE(id, st, torch, bits, kind, e, m) WM_DT_##id,
#include "base/dtype.def"
#undef WM_DTYPE
    WM_DT_N
};

struct wm_dtype_info {
    const char *name;  /* as safetensors writes it */
    const char *torch; /* as torch names it */
    uint8_t bits;
    char kind; /* B U I F C */
    uint8_t exponent, mantissa;
};

extern const struct wm_dtype_info wm_dtype_info[WM_DT_N];

/* By the safetensors name ("BF16") or, in maps, by torch's or the usual short one in any case
 * ("bfloat16", "bf16", "float8_e4m3fn").  WM_DT_N where there is none. */
enum wm_dtype wm_dtype_by_name(struct wm_str s);
enum wm_dtype wm_dtype_by_safetensors(struct wm_str s);

/* Bytes of nelem elements; false on overflow or where it is no whole number of bytes. */
bool wm_dtype_nbytes(enum wm_dtype t, int64_t nelem, uint64_t *out);

#endif
