/* runtime/formats/dcp.c -- distributed checkpoints of PyTorch: a directory with .metadata and files of chunks.
 *
 * In: the metadata (dcp_meta.c) and the files that they name.  Out: the tensors, each of the chunks that tile it, which
 * stay where they are.  The file of all tensors is .metadata; their parts are in the others.  Each chunk is a zip file of
 * torch.save of its own, whose tensor must have the type and shape that the metadata state. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/checked.h"
#include "runtime/format.h"
#include "runtime/formats/dcp.h"
#include "runtime/formats/pickle.h"
#include "runtime/formats/torch.h"
#include "runtime/io.h"

/* A chunk on its way to the part that it becomes. */
struct job {
    const struct wm_dcp_tensor *t;
    const struct wm_dcp_chunk *c;
    struct wm_mpart *part;
};

struct reader {
    const struct wm_sys *sys;
    struct wm_manifest *m;
    bool no_symlinks;
    struct wm_arena meta, item;     /* of the metadata; of one chunk */
    void (*oom)(void *);            /* the caller's */
    void *oom_user;
    struct wm_err *err;
};

static void
end(struct reader *r)
{
    wm_arena_fini(&r->meta);
    wm_arena_fini(&r->item);
    r->m->a->oom = r->oom;
    r->m->a->oom_user = r->oom_user;
}

static void
out_of_memory(void *user)
{
    struct reader *r = user;

    end(r);
    if (r->oom)
        r->oom(r->oom_user);
}

static void
begin(struct reader *r)
{
    struct wm_arena *a = r->m->a;

    r->oom = a->oom;
    r->oom_user = a->oom_user;
    wm_arena_init(&r->meta, a->sys, out_of_memory, r);
    wm_arena_init(&r->item, a->sys, out_of_memory, r);
    if (r->oom) { /* else the process ends */
        a->oom = out_of_memory;
        a->oom_user = r;
    }
}

/* ---- chunks ---- */

/* "w[4:8, 0:3]", or "w" where it is the whole. */
static struct wm_str
show(struct wm_arena *a, const struct job *j)
{
    struct wm_buf b;

    wm_buf_init(&b, a);
    wm_buf_puts(&b, j->t->name);
    for (uint32_t k = 0; j->t->nchunk > 1 && k < j->t->rank; k++)
        wm_buf_printf(&b, "%s%" PRId64 ":%" PRId64 "%s", k ? ", " : "[", j->c->at[k], j->c->at[k] + j->c->shape[k],
                      k + 1 == j->t->rank ? "]" : "");
    return wm_buf_str(&b);
}

/* The tensor that the file has, against what the metadata say. */
static enum wm_status
check_item(struct reader *r, const struct job *j, const char *what, const struct wm_mtensor *x)
{
    if (x->dtype != j->t->dtype)
        return wm_fail(r->err, WM_EFORMAT, what, "has the type %s, but %s by the metadata", wm_dtype_info[x->dtype].name,
                       wm_dtype_info[j->t->dtype].name);
    if (x->rank != j->t->rank || (x->rank && memcmp(x->shape, j->c->shape, x->rank * sizeof(*x->shape)) != 0))
        return wm_fail(r->err, WM_EFORMAT, what, "has another shape than the metadata say");
    return WM_OK;
}

static enum wm_status
read_chunk(struct reader *r, const struct job *j, uint32_t file, int fd)
{
    struct wm_torch_item item = {.off = j->c->off, .len = j->c->len};
    const struct wm_mfile *f = &r->m->file.item[file];
    enum wm_status st;

    item.name = show(&r->item, j);
    item.what = wm_arena_printf(&r->item, "%.*s: tensor \"%.*s\" at %" PRIu64, WM_STR_ARG(f->path),
                                (int)(item.name.n < 400 ? item.name.n : 400), item.name.p, item.off).p;
    if (!wm_ck_range(item.off, item.len, f->size))
        return wm_fail(r->err, WM_EFORMAT, item.what, "its %" PRIu64 " bytes leave the file of %" PRIu64, item.len, f->size);
    st = wm_torch_read_part(r->sys, fd, r->m, file, &item, j->part, r->err);
    if (st == WM_OK)
        st = check_item(r, j, item.what, &j->part->t);
    if (st == WM_OK)
        j->part->at = wm_manifest_shape(r->m, j->c->at, j->part->t.rank);
    return st;
}

/* Chunks of one file, by offset. */
static enum wm_status
read_file(struct reader *r, const struct job *j, uint32_t n)
{
    enum wm_status st = WM_OK;
    uint32_t file = r->m->file.n;
    int fd;

    st = wm_manifest_add_file(r->m, r->sys, j->c->file, r->no_symlinks, &fd, r->err);
    if (st != WM_OK)
        return st;
    r->m->file.item[file].format = WM_FMT_dcp;
    for (uint32_t k = 0; st == WM_OK && k < n; k++) {
        if (k > 0 && j[k].c->off - j[k - 1].c->off < j[k - 1].c->len)
            st = wm_fail(r->err, WM_EFORMAT, r->m->file.item[file].path.p, "tensors \"%.*s\" and \"%.*s\" overlap at %" PRIu64,
                         WM_STR_ARG(show(&r->item, &j[k - 1])), WM_STR_ARG(show(&r->item, &j[k])), j[k].c->off);
        else
            st = read_chunk(r, &j[k], file, fd);
        wm_arena_fini(&r->item);
    }
    r->sys->close(fd);
    return st;
}

static int
by_place(const void *pa, const void *pb)
{
    const struct job *a = pa, *b = pb;
    int c = wm_str_cmp(a->c->file, b->c->file);

    return c ? c : (a->c->off > b->c->off) - (a->c->off < b->c->off);
}

static enum wm_status
read_files(struct reader *r, struct job *j, uint32_t n)
{
    enum wm_status st = WM_OK;

    if (n > 1)
        qsort(j, n, sizeof(*j), by_place);
    for (uint32_t i = 0, to; st == WM_OK && i < n; i = to) {
        for (to = i + 1; to < n && wm_str_eq(j[to].c->file, j[i].c->file);)
            to++;
        st = read_file(r, &j[i], to - i);
    }
    return st;
}

/* ---- tensors ---- */

/* Tensor k of the metadata in the manifest, its parts yet without a place. */
static struct wm_mpart *
add_tensor(struct reader *r, const struct wm_dcp_tensor *t, uint32_t file)
{
    struct wm_arena *a = r->m->a;
    struct wm_mpart *part = t->nchunk ? WM_NEW_N(a, struct wm_mpart, t->nchunk) : NULL;
    struct wm_mtensor *x = WM_PUSH(a, &r->m->tensor);

    *x = (struct wm_mtensor){.file = file, .dtype = t->dtype, .nbytes = t->nbytes, .rank = t->rank};
    x->store = wm_mstore_keep(a, &(struct wm_mstore){.npart = t->nchunk, .part = part});
    x->name = wm_arena_str(a, (struct wm_str){t->name.p + t->skip, t->name.n - t->skip});
    x->shape = wm_manifest_shape(r->m, t->shape, t->rank);
    return part;
}

static enum wm_status
read_all(struct reader *r, const struct wm_dcp_meta *meta, uint32_t file)
{
    uint32_t first = r->m->tensor.n;
    struct job *job;
    uint64_t n = 0;
    enum wm_status st;

    for (uint32_t k = 0; k < meta->n; k++)
        n += meta->tensor[k].nchunk;
    job = WM_NEW_N(&r->meta, struct job, n);
    n = 0;
    for (uint32_t k = 0; k < meta->n; k++) {
        const struct wm_dcp_tensor *t = &meta->tensor[k];
        struct wm_mpart *part = add_tensor(r, t, file);

        for (uint32_t c = 0; c < t->nchunk; c++)
            job[n++] = (struct job){t, &t->chunk[c], &part[c]};
    }
    st = read_files(r, job, (uint32_t)n);
    return st == WM_OK ? wm_manifest_register(r->m, first, r->err) : st;
}

static enum wm_status
read_index(const struct wm_sys *sys, struct wm_manifest *m, struct wm_str name, bool no_symlinks, struct wm_err *err)
{
    struct reader r = {.sys = sys, .m = m, .no_symlinks = no_symlinks, .err = err};
    uint32_t file = m->file.n;
    struct wm_dcp_meta meta;
    struct wm_mfile f;
    char *p;
    int fd;
    enum wm_status st = wm_manifest_add_file(m, sys, name, no_symlinks, &fd, err);

    if (st != WM_OK)
        return st;
    m->file.item[file].format = WM_FMT_dcp;
    f = m->file.item[file];
    if (f.size > WM_PK_MAX_BYTES) {
        sys->close(fd);
        return wm_fail(err, WM_ELIMIT, f.path.p, "%" PRIu64 " bytes long; the limit is %d", f.size, WM_PK_MAX_BYTES);
    }
    begin(&r);
    p = wm_arena_alloc(&r.meta, (size_t)f.size);
    st = wm_io_pread(sys, fd, f.path.p, p, f.size, 0, err);
    sys->close(fd);
    if (st == WM_OK)
        st = wm_dcp_parse(&r.meta, f.path.p, (struct wm_str){p, (size_t)f.size}, m->root, &meta, err);
    if (st == WM_OK)
        st = read_all(&r, &meta, file);
    if (st == WM_OK && meta.note.n)
        wm_manifest_note(m, WM_NONE, meta.note);
    end(&r);
    return st;
}

static enum wm_status
read(const struct wm_sys *sys, int fd, struct wm_manifest *m, uint32_t file, struct wm_err *err)
{
    (void)sys, (void)fd;
    return wm_fail(err, WM_EFORMAT, m->file.item[file].path.p,
                   "a part of a distributed checkpoint: name its directory, with the file .metadata that is saved last");
}

const struct wm_format wm_format_dcp = {
    .name = "dcp",
    .suffix = ".distcp",
    .index_name = ".metadata",
    .nests = true,
    .read = read,
    .read_index = read_index,
};
