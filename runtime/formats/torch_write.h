/* runtime/formats/torch_write.h -- between the reader and the writer of PyTorch's zip files. */
#ifndef WM_RUNTIME_FORMATS_TORCH_WRITE_H
#define WM_RUNTIME_FORMATS_TORCH_WRITE_H

#include "runtime/format.h"

enum wm_status wm_torch_layout(struct wm_arena *a, struct wm_wtensor *t, uint32_t n, const struct wm_wopts *o,
                               struct wm_wfile *out, struct wm_err *err);
#endif
