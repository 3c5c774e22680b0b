/* runtime/formats/torch_part.c -- files of torch.save that hold one tensor, as parts of what is put together of several.
 *
 * In: a stretch of an open file.  Out: where its tensor lies, and its check sums, in the manifest's arena; what the reader
 * needed for it is given back at once, since there may be a hundred thousand of them. */
#include "runtime/formats/torch.h"

static void
keep(struct wm_manifest *m, const struct wm_manifest *scratch, const struct wm_torch_item *item, struct wm_mpart *part)
{
    const struct wm_mtensor *x = &scratch->tensor.item[0];

    part->t = *x;
    part->t.name = WM_STR("");
    part->t.shape = wm_manifest_shape(m, x->shape, x->rank);
    if (x->store != &wm_mstore_plain) {
        struct wm_mstore store = *x->store;

        store.stride = store.stride ? wm_manifest_shape(m, store.stride, x->rank) : NULL;
        part->t.store = wm_mstore_keep(m->a, &store);
    }
    part->at = WM_NEW_N(m->a, int64_t, x->rank);
    for (uint32_t k = 0; k < scratch->sum.n; k++) {
        struct wm_msum sum = scratch->sum.item[k];

        sum.name = wm_arena_printf(m->a, "%.*s of tensor %.*s", WM_STR_ARG(sum.name), WM_STR_ARG(item->name));
        *WM_PUSH(m->a, &m->sum) = sum;
    }
}

enum wm_status
wm_torch_read_part(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file, const struct wm_torch_item *item,
                   struct wm_mpart *part, struct wm_err *err)
{
    struct wm_arena_child c;
    struct wm_manifest scratch = {.a = &c.a};
    enum wm_status st;

    wm_arena_child_begin(&c, m->a);
    scratch.file = m->file;
    st = wm_torch_read_item(sys, fd, &scratch, file, item, err);
    if (st == WM_OK && scratch.tensor.item[0].nbytes > item->len)
        st = wm_fail(err, WM_EFORMAT, item->what, "repeats its elements, which no writer of such files does");
    if (st == WM_OK)
        keep(m, &scratch, item, part);
    wm_arena_child_end(&c);
    return st;
}
