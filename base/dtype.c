/* base/dtype.c -- the table of element types and its look-ups.
 *
 * In: names from headers (exact) or from maps (any case, several spellings).  Out: rows of
 * dtype.def. */
#include "base/dtype.h"

#include <strings.h>

#include "base/checked.h"

const struct wm_dtype_info wm_dtype_info[WM_DT_N] = {
#define WM_DTYPE(id, st, torch, bits, kind, e, m) {st, torch, bits, kind, e, m},
#include "base/dtype.def"
#undef WM_DTYPE
};

/* Spellings that are neither the container's nor torch's canonical name. */
static const struct {
    const char *name;
    enum wm_dtype dtype;
} usual[] = {
    {"float",       WM_DT_F32    },
    {"fp32",        WM_DT_F32    },
    {"double",      WM_DT_F64    },
    {"fp64",        WM_DT_F64    },
    {"half",        WM_DT_F16    },
    {"fp16",        WM_DT_F16    },
    {"byte",        WM_DT_U8     },
    {"short",       WM_DT_I16    },
    {"int",         WM_DT_I32    },
    {"long",        WM_DT_I64    },
    {"cfloat",      WM_DT_C64    },
    {"float8_e4m3", WM_DT_F8_E4M3},
    {"fp8_e4m3",    WM_DT_F8_E4M3},
    {"fp8_e5m2",    WM_DT_F8_E5M2},
    {"f8_e4m3fn",   WM_DT_F8_E4M3},
    {"f8_e8m0fnu",  WM_DT_F8_E8M0},
    {"float4_e2m1", WM_DT_F4     },
};

static bool
same_name(struct wm_str s, const char *name)
{
    return s.n == strlen(name) && (s.n == 0 || strncasecmp(s.p, name, s.n) == 0);
}

enum wm_dtype
wm_dtype_by_safetensors(struct wm_str s)
{
    for (int t = 0; s.n > 0 && t < WM_DT_N; t++)
        if (wm_dtype_info[t].name[0] == s.p[0] && wm_str_eq(s, wm_str_c(wm_dtype_info[t].name)))
            return (enum wm_dtype)t;
    return WM_DT_N;
}

enum wm_dtype
wm_dtype_by_name(struct wm_str s)
{
    if (wm_str_starts(s, WM_STR("torch."))) {
        s.p += 6;
        s.n -= 6;
    }
    for (int t = 0; t < WM_DT_N; t++)
        if (same_name(s, wm_dtype_info[t].name) || same_name(s, wm_dtype_info[t].torch))
            return (enum wm_dtype)t;
    for (size_t i = 0; i < WM_COUNTOF(usual); i++)
        if (same_name(s, usual[i].name))
            return usual[i].dtype;
    return WM_DT_N;
}

bool
wm_dtype_nbytes(enum wm_dtype t, int64_t nelem, uint64_t *out)
{
    uint64_t bits;

    if (nelem < 0 || !wm_ck_umul((uint64_t)nelem, wm_dtype_info[t].bits, &bits) || bits % 8 != 0)
        return false;
    *out = bits / 8;
    return true;
}
