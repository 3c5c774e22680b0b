/* runtime/formats/npy_write.c -- the header that np.save writes in front of an array.
 *
 * In: dtype and shape.  Out: the same bytes as numpy's: blanks for the first dimension to grow, and up to a multiple
 * of 64. */
#include <inttypes.h>

#include "runtime/formats/npy_header.h"
#include "runtime/formats/zip_write.h"

enum { ALIGN = 64, GROWTH = 21 };

/* V2 is what numpy makes of ml_dtypes' bfloat16.  All 8-bit floats would be V1, which says too little to read them. */
static const char *const descr[WM_DT_N] = {
    [WM_DT_BOOL] = "|b1", [WM_DT_U8] = "|u1",  [WM_DT_I8] = "|i1",  [WM_DT_U16] = "<u2", [WM_DT_I16] = "<i2",
    [WM_DT_U32] = "<u4",  [WM_DT_I32] = "<i4", [WM_DT_U64] = "<u8", [WM_DT_I64] = "<i8", [WM_DT_F16] = "<f2",
    [WM_DT_F32] = "<f4",  [WM_DT_F64] = "<f8", [WM_DT_C64] = "<c8", [WM_DT_BF16] = "<V2",
};

enum wm_status
wm_npy_header_write(struct wm_buf *b, const struct wm_wtensor *t, struct wm_err *err)
{
    struct wm_buf text;
    unsigned prefix = 10;
    size_t len;

    if (!descr[t->dtype])
        return wm_fail(err, WM_ESUPPORT, NULL, "tensor \"%.*s\": numpy has no dtype %s", WM_STR_ARG(t->name),
                       wm_dtype_info[t->dtype].name);
    wm_buf_init(&text, b->a);
    wm_buf_printf(&text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr[t->dtype]);
    for (uint32_t k = 0; k < t->rank; k++)
        wm_buf_printf(&text, k ? ", %" PRId64 : "%" PRId64, t->shape[k]);
    wm_buf_putz(&text, t->rank == 1 ? ",), }" : "), }");
    if (t->rank > 0)
        wm_buf_pad(&text, ' ', GROWTH - wm_arena_printf(b->a, "%" PRId64, t->shape[0]).n);
    len = text.n + 1;
    len += ALIGN - (prefix + len) % ALIGN; /* a whole block where nothing is missing, as numpy */
    wm_buf_puts(b, WM_STR("\x93NUMPY\1\0"));
    wm_buf_le(b, len, 2); /* 64 dimensions of 19 digits need less than 2 KiB */
    wm_buf_puts(b, wm_buf_str(&text));
    wm_buf_pad(b, ' ', len - 1 - text.n);
    wm_buf_putc(b, '\n');
    return WM_OK;
}
