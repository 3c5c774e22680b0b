/* runtime/formats/torch_xser.c -- checkpoints as torch_xla's `serialization.save` leaves them: X.pt has the tree, with a
 * number in place of each tensor, and the tensor is in X.pt.tensors/tensor_NUMBER.pt, a file of torch.save of its own.
 *
 * In: a reference.  Out: a tensor of X.pt in one part, which stays where it is.  No file is that of two tensors, as none is
 * where they were written. */
#include <errno.h>
#include <inttypes.h>

#include "base/buf.h"
#include "runtime/format.h"
#include "runtime/formats/torch.h"

static enum wm_status
bad(struct wm_torch *t, struct wm_str name, const char *what)
{
    return wm_fail(t->err, WM_EFORMAT, t->path, "tensor \"%.*s\": a reference to a file beside: %s", WM_STR_ARG(name), what);
}

/* TensorReference() with the state {"tid": 3}. */
static enum wm_status
read_tid(struct wm_torch *t, struct wm_str name, const struct wm_pk *v, int64_t *tid)
{
    const struct wm_pk *args = v->item[0], *state = v->item[1];

    if (args->kind != WM_PK_TUPLE || args->n != 0 || !state || state->kind != WM_PK_DICT || state->n != 2 ||
        !wm_pk_is_str(state->item[0], WM_STR("tid")))
        return bad(t, name, "it has no number, or more than that");
    if (state->item[1]->kind != WM_PK_INT || state->item[1]->i < 0)
        return bad(t, name, "its number is no natural number");
    *tid = state->item[1]->i;
    return WM_OK;
}

/* Add and open the file, which becomes the manifest's last. */
static enum wm_status
open_beside(struct wm_torch *t, struct wm_str name, int64_t tid, int *fd)
{
    struct wm_manifest *m = t->m;
    struct wm_str file = wm_arena_printf(t->a, "%.*s.tensors/tensor_%" PRId64 ".pt", WM_STR_ARG(m->file.item[t->file].name), tid);
    enum wm_status st;

    if (wm_map_put(&t->by_tid, file, m->file.n) != m->file.n)
        return bad(t, name, "another tensor has the same");
    st = wm_manifest_add_file(m, t->sys, file, m->no_symlinks, fd, t->err);
    if (st != WM_OK && t->err->sys == ENOENT) {
        t->err->status = WM_OK;
        return wm_fail(t->err, WM_EFORMAT, t->path, "tensor \"%.*s\": it is in \"%.*s\", which is not there",
                       WM_STR_ARG(name), WM_STR_ARG(file));
    }
    return st;
}

enum wm_status
wm_torch_add_reference(struct wm_torch *t, struct wm_str name, const struct wm_pk *v)
{
    struct wm_torch_item item = {.name = name};
    struct wm_mpart *part;
    struct wm_mtensor x;
    uint32_t file;
    int64_t tid = 0;
    int fd = -1;
    enum wm_status st;

    if (!t->sys)
        return bad(t, name, "in such a file itself");
    st = read_tid(t, name, v, &tid);
    if (st == WM_OK)
        st = open_beside(t, name, tid, &fd);
    if (st != WM_OK)
        return st;
    file = t->m->file.n - 1;
    t->m->file.item[file].format = WM_FMT_pth;
    item.len = t->m->file.item[file].size;
    item.what = t->m->file.item[file].path.p;
    part = WM_NEW(t->a, struct wm_mpart);
    st = wm_torch_read_part(t->sys, fd, t->m, file, &item, part, t->err);
    t->sys->close(fd);
    if (st != WM_OK)
        return st;
    x = (struct wm_mtensor){.name = name, .file = t->file, .dtype = part->t.dtype, .nbytes = part->t.nbytes,
                            .rank = part->t.rank, .shape = part->t.shape};
    x.store = wm_mstore_keep(t->a, &(struct wm_mstore){.npart = 1, .part = part});
    *WM_PUSH(t->a, &t->m->tensor) = x;
    return WM_OK;
}
