/* runtime/manifest.c -- opening checkpoints: which files, of which container, in which order.
 *
 * In: a path.  A file is taken by its content, and by its suffix where the content says nothing; a
 * directory by the files asked for, else by its index file, else by all files of one container.
 * Out: the manifest.  Every file is opened once and judged by that descriptor. */
#include "runtime/manifest.h"

#include <errno.h>
#include <inttypes.h>

#include "base/checked.h"
#include "runtime/format.h"
#include "runtime/index.h"
#include "runtime/io.h"

enum { PROBE = 4096 };

const struct wm_mstore wm_mstore_plain = {0};

const struct wm_mstore *
wm_mstore_keep(struct wm_arena *a, const struct wm_mstore *s)
{
    struct wm_mstore *kept = WM_NEW(a, struct wm_mstore);

    *kept = *s;
    return kept;
}

const int64_t *
wm_manifest_shape(struct wm_manifest *m, const int64_t *shape, uint32_t rank)
{
    struct wm_str bytes = {(const char *)shape, rank * sizeof(*shape)};
    uint32_t id;
    int64_t *kept;

    if (!m->shapes.a)
        wm_map_init(&m->shapes, m->a, 16);
    if ((id = wm_map_get(&m->shapes, bytes)) != WM_NONE)
        return m->shape.item[id];
    kept = WM_NEW_N(m->a, int64_t, rank);
    if (rank)
        memcpy(kept, shape, bytes.n);
    wm_map_put(&m->shapes, (struct wm_str){(const char *)kept, bytes.n}, m->shape.n);
    return *WM_PUSH(m->a, &m->shape) = kept;
}

static enum wm_status
check_name(const struct wm_manifest *m, const struct wm_mtensor *t, struct wm_err *err)
{
    const char *path = m->file.item[t->file].path.p;

    if (t->name.n > WM_MAX_NAME)
        return wm_fail(err, WM_ELIMIT, path,
                       "tensor \"%.*s\": a name of %zu bytes; the limit is %d",
                       WM_STR_ARG(t->name), t->name.n, WM_MAX_NAME);
    if (t->name.n && memchr(t->name.p, '\0', t->name.n))
        return wm_fail(err, WM_EFORMAT, path, "tensor \"%.*s\": a NUL in its name",
                       WM_STR_ARG(t->name));
    return WM_OK;
}

enum wm_status
wm_manifest_register(struct wm_manifest *m, uint32_t first, struct wm_err *err)
{
    if (m->by_name.n == 0) /* of one file, or the first of several: at its size at once */
        wm_map_init(&m->by_name, m->a, m->tensor.n);
    for (uint32_t i = first; i < m->tensor.n; i++) {
        const struct wm_mtensor *t = &m->tensor.item[i], *old;
        enum wm_status st = check_name(m, t, err);
        uint32_t k;

        if (st != WM_OK)
            return st;
        if (!wm_ck_uadd(m->nbytes, t->nbytes, &m->nbytes))
            return wm_fail(err, WM_ELIMIT, m->path.p, "more than 2^64 bytes of tensors");
        k = wm_map_put(&m->by_name, t->name, i);
        if (k == i)
            continue;
        old = &m->tensor.item[k];
        if (old->file == t->file)
            return wm_fail(err, WM_EFORMAT, m->file.item[t->file].path.p,
                           "duplicate tensor \"%.*s\"", WM_STR_ARG(t->name));
        if (!m->repeats)
            return wm_fail(err, WM_EFORMAT, m->file.item[t->file].path.p,
                           "tensor \"%.*s\" is in %.*s, too", WM_STR_ARG(t->name),
                           WM_STR_ARG(m->file.item[old->file].name));
        wm_map_set(&m->by_name, t->name, i);
    }
    return WM_OK;
}

void
wm_manifest_note(struct wm_manifest *m, uint32_t file, struct wm_str text)
{
    enum { MOST = 600 };
    struct wm_str name = m->is_dir && file != WM_NONE ? m->file.item[file].name : WM_STR("");

    if (name.n && wm_str_eq(text, m->noted)) {
        m->nsame++;
        m->note = wm_arena_printf(m->a, "%.*s, as in %" PRIu32 " other file%s", (int)m->nnoted, m->note.p, m->nsame,
                                  m->nsame == 1 ? "" : "s");
        return;
    }
    m->noted = name.n && m->note.n <= MOST ? wm_arena_str(m->a, text) : WM_STR("");
    m->nsame = 0;
    if (wm_str_ends(m->note, WM_STR("; ..")))
        return;
    if (m->note.n > MOST)
        text = WM_STR(".."), name = WM_STR("");
    m->note = wm_arena_printf(m->a, "%.*s%s%.*s%s%.*s", WM_STR_ARG(m->note), m->note.n ? "; " : "", WM_STR_ARG(name),
                              name.n ? ": " : "", WM_STR_ARG(text));
    m->nnoted = m->note.n;
}

/* The container of an open file: by its first bytes, else by its name; WM_FMT_N: none. */
static enum wm_status
find_format(const struct wm_sys *sys, int fd, const struct wm_mfile *f, enum wm_format_id *id,
            struct wm_err *err)
{
    unsigned char head[PROBE];
    size_t n = f->size < PROBE ? (size_t)f->size : PROBE;
    enum wm_status st = wm_io_pread(sys, fd, f->path.p, head, n, 0, err);

    if (st != WM_OK)
        return st;
    if (wm_format_by_suffix(f->path, id) && wm_formats[*id]->read_index)
        return WM_OK; /* its files are others inside */
    for (int k = 0; k < WM_FMT_N; k++)
        if (wm_formats[k]->probe && wm_formats[k]->probe(head, n, f->size)) {
            *id = (enum wm_format_id)k;
            return WM_OK;
        }
    if (!wm_format_by_suffix(f->path, id))
        return wm_fail(err, WM_EFORMAT, f->path.p, "not a checkpoint file of a known format");
    return WM_OK;
}

static void
push_file(struct wm_manifest *m, struct wm_str path, struct wm_str name, const struct stat *st)
{
    *WM_PUSH(m->a, &m->file) = (struct wm_mfile){.path = path,
                                                 .name = name,
                                                 .size = (uint64_t)st->st_size,
                                                 .mtime_sec = st->st_mtim.tv_sec,
                                                 .mtime_nsec = st->st_mtim.tv_nsec,
                                                 .dev = st->st_dev,
                                                 .ino = st->st_ino};
}

enum wm_status
wm_manifest_add_file(struct wm_manifest *m, const struct wm_sys *sys, struct wm_str name, bool no_symlinks, int *fd,
                     struct wm_err *err)
{
    struct wm_str path = wm_arena_printf(m->a, "%.*s/%.*s", WM_STR_ARG(m->dir), WM_STR_ARG(name));
    struct stat st;
    enum wm_status rc = wm_io_open(sys, path.p, no_symlinks, fd, &st, err);

    if (rc == WM_OK)
        push_file(m, path, wm_arena_str(m->a, name), &st);
    return rc;
}

/* Add an open file and read its tensors; closes fd. */
static enum wm_status
add_open_file(struct wm_manifest *m, const struct wm_sys *sys, struct wm_str path,
              struct wm_str name, int fd, const struct stat *st, struct wm_err *err)
{
    enum wm_format_id id = WM_FMT_N;
    struct wm_mfile *f;
    enum wm_status rc;

    push_file(m, path, name, st);
    f = &m->file.item[m->file.n - 1];
    rc = find_format(sys, fd, f, &id, err);
    if (rc == WM_OK) {
        f->format = id;
        rc = wm_formats[id]->read(sys, fd, m, m->file.n - 1, err);
    }
    sys->close(fd);
    return rc;
}

/* A file of the directory m->dir. */
static enum wm_status
add_file(struct wm_manifest *m, const struct wm_sys *sys, struct wm_str name, bool no_symlinks,
         struct wm_err *err)
{
    struct wm_str path = wm_arena_printf(m->a, "%.*s/%.*s", WM_STR_ARG(m->dir), WM_STR_ARG(name));
    struct stat st;
    int fd;
    enum wm_status rc = wm_io_open(sys, path.p, no_symlinks, &fd, &st, err);

    if (rc != WM_OK)
        return rc;
    return add_open_file(m, sys, path, wm_arena_str(m->a, name), fd, &st, err);
}

/* The container whose own index has this name, or NULL. */
static const struct wm_format *
own_index(struct wm_str name)
{
    for (int k = 0; k < WM_FMT_N; k++)
        if (wm_formats[k]->read_index && wm_str_eq(name, wm_str_c(wm_formats[k]->index_name)))
            return wm_formats[k];
    return NULL;
}

static enum wm_status
open_only(struct wm_manifest *m, const struct wm_sys *sys, const struct wm_open_opts *o,
          struct wm_err *err)
{
    enum wm_status st = WM_OK;
    const struct wm_format *own;

    m->repeats = true;
    for (uint32_t i = 0; st == WM_OK && i < o->nonly; i++) {
        if (!wm_path_is_inside(o->only[i]))
            return wm_fail(err, WM_EUSAGE, m->path.p,
                           "the file name \"%.*s\" does not stay inside the directory",
                           WM_STR_ARG(o->only[i]));
        own = own_index(o->only[i]);
        st = own ? own->read_index(sys, m, o->only[i], o->no_symlinks, err)
                 : add_file(m, sys, o->only[i], o->no_symlinks, err);
    }
    return st;
}

/* The shards of an index, and that both agree. */
static enum wm_status
open_index(struct wm_manifest *m, const struct wm_sys *sys, struct wm_str name,
           const struct wm_open_opts *o, struct wm_err *err)
{
    struct wm_str path = wm_arena_printf(m->a, "%.*s/%.*s", WM_STR_ARG(m->dir), WM_STR_ARG(name));
    struct wm_arena_child tmp; /* the text goes when the tensors are known */
    struct wm_index x;
    enum wm_status st;

    wm_arena_child_begin(&tmp, m->a);
    st = wm_index_read(&tmp.a, sys, path, &x, err);
    for (uint32_t i = 0; st == WM_OK && i < x.shard.n; i++) {
        st = add_file(m, sys, x.shard.item[i], o->no_symlinks, err);
        if (st != WM_OK && err->sys == ENOENT) {
            err->status = WM_OK;
            st = wm_fail(err, WM_EFORMAT, path.p, "it names \"%.*s\", which is not there",
                         WM_STR_ARG(x.shard.item[i]));
        }
    }
    if (st == WM_OK)
        st = wm_index_check(&x, m, err);
    wm_arena_child_end(&tmp);
    return st;
}

/* The index file among the names of a directory: the container's usual one, else the only one that
 * ends like it.  An empty name: there is none. */
static enum wm_status
pick_index(const struct wm_manifest *m, const struct wm_format *f, const struct wm_str *name,
           uint32_t n, struct wm_str *out, struct wm_err *err)
{
    struct wm_str usual = wm_str_c(f->index_name), first = {0}, second = {0}, end;
    const char *dot = strchr(f->index_name, '.');

    end = wm_str_c(dot ? dot : f->index_name);
    *out = WM_STR("");
    for (uint32_t i = 0; i < n; i++) {
        if (wm_str_eq(name[i], usual)) {
            *out = name[i];
            return WM_OK;
        }
        if (name[i].p[0] == '.' || f->read_index || !wm_str_ends(name[i], end))
            continue;
        if (first.p)
            second = name[i];
        else
            first = name[i];
    }
    if (second.p)
        return wm_fail(err, WM_EFORMAT, m->path.p,
                       "several index files (\"%.*s\", \"%.*s\"): name the one that counts",
                       WM_STR_ARG(first), WM_STR_ARG(second));
    if (first.p)
        *out = first;
    return WM_OK;
}

/* Hidden files are never part of a checkpoint: they are left-overs of tools. */
static bool
is_of(struct wm_str name, const struct wm_format *f)
{
    return name.p[0] != '.' && wm_format_has_suffix(f, name);
}

/* All files of a container in the directory but those that are known to hold no weights; *any: there were some. */
static enum wm_status
open_all(struct wm_manifest *m, const struct wm_sys *sys, const struct wm_format *f, const struct wm_str *name,
         uint32_t n, const struct wm_open_opts *o, bool *any, struct wm_err *err)
{
    enum wm_status st;

    *any = false;
    m->repeats = true; /* rank files: the same name in several files is several tensors */
    for (uint32_t i = 0; i < n; i++) {
        if (!is_of(name[i], f))
            continue;
        if (f->aside && f->aside(name[i])) {
            wm_manifest_note(m, WM_NONE, wm_arena_printf(m->a, "%.*s holds no weights and is left out", WM_STR_ARG(name[i])));
            continue;
        }
        *any = true;
        st = add_file(m, sys, name[i], o->no_symlinks, err);
        if (st != WM_OK)
            return st;
    }
    return WM_OK;
}

/* Files of containers behind the k-th, which is the one that is read. */
static void
note_others(struct wm_manifest *m, int k, const struct wm_str *name, uint32_t n)
{
    for (int other = k + 1; other < WM_FMT_N; other++)
        for (uint32_t i = 0; i < n; i++)
            if (is_of(name[i], wm_formats[other]) && !(wm_formats[other]->aside && wm_formats[other]->aside(name[i])))
                wm_manifest_note(m, WM_NONE, wm_arena_printf(m->a, "%.*s is left out, as there are files of %s",
                                                             WM_STR_ARG(name[i]), wm_formats[k]->name));
}

static enum wm_status
open_dir(struct wm_manifest *m, const struct wm_sys *sys, const struct wm_open_opts *o,
         struct wm_err *err)
{
    struct wm_str *name, index;
    uint32_t n;
    enum wm_status st = wm_list_dir(m->a, sys, m->dir, &name, &n, err);

    if (st != WM_OK)
        return st;
    for (int k = 0; k < WM_FMT_N; k++) {
        const struct wm_format *f = wm_formats[k];
        bool any = false;

        if (f->index_name) {
            st = pick_index(m, f, name, n, &index, err);
            if (st != WM_OK)
                return st;
            if (index.n) {
                note_others(m, k, name, n);
                return f->read_index ? f->read_index(sys, m, index, o->no_symlinks, err)
                                     : open_index(m, sys, index, o, err);
            }
        }
        st = open_all(m, sys, f, name, n, o, &any, err);
        if (st != WM_OK)
            return st;
        if (any) {
            note_others(m, k, name, n);
            return WM_OK;
        }
    }
    return wm_fail(err, WM_EFORMAT, m->path.p, "no checkpoint files in this directory%s%.*s",
                   m->note.n ? ": " : "", WM_STR_ARG(m->note));
}

/* Directory and name of a path to a file. */
static void
split_path(struct wm_arena *a, struct wm_str path, struct wm_str *dir, struct wm_str *name)
{
    size_t at;

    *name = wm_path_base(path);
    at = path.n - name->n;
    while (at > 1 && path.p[at - 1] == '/')
        at--;
    *dir = at ? wm_arena_str(a, (struct wm_str){path.p, at}) : WM_STR(".");
}

static enum wm_status
open_file(struct wm_manifest *m, const struct wm_sys *sys, const struct wm_open_opts *o,
          struct wm_err *err)
{
    struct wm_str name;
    struct stat st;
    int fd;
    enum wm_status rc;

    split_path(m->a, m->path, &m->dir, &name);
    if (wm_str_ends(name, WM_STR(".index.json")))
        return open_index(m, sys, name, o, err);
    if (own_index(name))
        return own_index(name)->read_index(sys, m, name, o->no_symlinks, err);
    rc = wm_io_open(sys, m->path.p, o->no_symlinks, &fd, &st, err);
    return rc == WM_OK ? add_open_file(m, sys, m->path, name, fd, &st, err) : rc;
}

void
wm_manifest_round_numbers(struct wm_manifest *m)
{
    for (uint32_t i = 0; i < m->tensor.n; i++) {
        struct wm_mstore s = *m->tensor.item[i].store;

        if (s.codec == WM_CODEC_MSGPACK_F64)
            s.codec = WM_CODEC_MSGPACK_F64_ROUND;
        else if (s.codec == WM_CODEC_MSGPACK_MIXED)
            s.codec = WM_CODEC_MSGPACK_MIXED_ROUND;
        else
            continue;
        m->tensor.item[i].store = wm_mstore_keep(m->a, &s);
    }
}

enum wm_status
wm_manifest_open(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path,
                 const struct wm_open_opts *opts, struct wm_manifest **out, struct wm_err *err)
{
    static const struct wm_open_opts none;
    struct wm_manifest *m = WM_NEW(a, struct wm_manifest);
    const struct wm_open_opts *o = opts ? opts : &none;
    struct stat st;
    enum wm_status rc;

    if (path.n == 0 || memchr(path.p, '\0', path.n))
        return wm_fail(err, WM_EUSAGE, NULL, "\"%.*s\" is not a path", WM_STR_ARG(path));
    m->a = a;
    m->path = wm_arena_str(a, path);
    m->root = o->root;
    m->no_symlinks = o->no_symlinks;
    m->note = WM_STR("");
    wm_map_init(&m->by_name, a, 0);
    if (sys->stat(m->path.p, &st) != 0)
        return wm_fail_sys(err, errno, m->path.p, "cannot open");
    if (S_ISDIR(st.st_mode)) {
        m->is_dir = true;
        m->dir = m->path;
        while (m->dir.n > 1 && m->dir.p[m->dir.n - 1] == '/')
            m->dir.n--;
        rc = o->only ? open_only(m, sys, o, err) : open_dir(m, sys, o, err);
    } else {
        rc = open_file(m, sys, o, err);
    }
    if (rc == WM_OK && o->round_numbers)
        wm_manifest_round_numbers(m);
    if (rc == WM_OK)
        *out = m;
    return rc;
}
