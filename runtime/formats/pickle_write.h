/* runtime/formats/pickle_write.h -- the state dict of a .pth as Python's pickle writes it, protocol 2.
 *
 * In: tensors with the number of the storage that each lives in.  Out: the bytes that torch.save pickles for
 * {name: tensor, ..}, or for dicts around that. */
#ifndef WM_RUNTIME_FORMATS_PICKLE_WRITE_H
#define WM_RUNTIME_FORMATS_PICKLE_WRITE_H

#include "base/buf.h"
#include "runtime/format.h"

/* Can torch hold it?  A dtype that torch lacks is refused; of two FP4 in a byte it counts the bytes. */
enum wm_status wm_torch_holds(const struct wm_wtensor *t, struct wm_err *err);

/* storage[i]: the number of the storage of t[i], counted by first use.  `root` is empty or a dotted path of keys. */
void wm_pickle_state_dict(struct wm_buf *b, const struct wm_wtensor *t, uint32_t n, const uint32_t *storage,
                          struct wm_str root);

#endif
