/* runtime/formats/torch_write.h -- between the reader and the writer of PyTorch's zip files. */
#ifndef WM_RUNTIME_FORMATS_TORCH_WRITE_H
#define WM_RUNTIME_FORMATS_TORCH_WRITE_H

#include "runtime/format.h"

enum wm_status wm_torch_layout(struct wm_arena *a, struct wm_wtensor *t, uint32_t n, const struct wm_wopts *o,
                               struct wm_wfile *out, struct wm_err *err);
/* "model.pth"; as .bin the names of Hugging Face: "pytorch_model-00002-of-00005.bin". */
struct wm_str wm_pth_shard_name(struct wm_arena *a, uint32_t shard, uint32_t nshard);
struct wm_str wm_bin_shard_name(struct wm_arena *a, uint32_t shard, uint32_t nshard);

#endif
