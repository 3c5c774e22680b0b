/* runtime/formats/safetensors.h -- between the reader and the writer of safetensors. */
#ifndef WM_RUNTIME_FORMATS_SAFETENSORS_H
#define WM_RUNTIME_FORMATS_SAFETENSORS_H

#include "runtime/format.h"

enum { WM_SAFETENSORS_MAX_HEADER = 100000000 }; /* bytes; the reference library's limit */

enum wm_status wm_safetensors_layout(struct wm_arena *a, struct wm_wtensor *t, uint32_t n,
                                     const struct wm_wopts *o, struct wm_wfile *out,
                                     struct wm_err *err);
/* Append the tensors of a header, whose text nothing refers to afterwards; `size` bytes of data follow it in the file, UINT64_MAX: as many as it says. */
enum wm_status wm_safetensors_header(struct wm_manifest *m, uint32_t file, const char *text, uint64_t len, uint64_t size,
                                     struct wm_err *err);
void wm_safetensors_index(struct wm_arena *a, struct wm_indexed *x, uint32_t n, uint64_t total_size, wm_put_fn *put,
                          void *user);

#endif
