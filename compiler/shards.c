/* compiler/shards.c -- distributes the output tensors to files (see shards.h). */
#include "compiler/shards.h"

#include <ctype.h>

#include "base/sort.h"
#include "compiler/bind.h"

#define WM_SHARD_SIZE UINT64_C(5000000000)

/* "layers.2.x" before "layers.10.x". */
static int
natural(struct wm_str a, struct wm_str b)
{
    size_t i = 0, j = 0;

    while (i < a.n && i < b.n && a.p[i] == b.p[i])
        i++;
    while (i > 0 && isdigit((unsigned char)a.p[i - 1])) /* a number is compared as a whole */
        i--;
    j = i;
    while (i < a.n && j < b.n) {
        if (isdigit((unsigned char)a.p[i]) && isdigit((unsigned char)b.p[j])) {
            size_t x = i, y = j;
            int c;

            while (i < a.n && isdigit((unsigned char)a.p[i]))
                i++;
            while (j < b.n && isdigit((unsigned char)b.p[j]))
                j++;
            while (x < i && a.p[x] == '0')
                x++;
            while (y < j && b.p[y] == '0')
                y++;
            if (i - x != j - y)
                return i - x < j - y ? -1 : 1;
            c = memcmp(a.p + x, b.p + y, i - x);
            if (c)
                return c;
        } else if (a.p[i] != b.p[j]) {
            return (unsigned char)a.p[i] < (unsigned char)b.p[j] ? -1 : 1;
        } else {
            i++;
            j++;
        }
    }
    if (a.n - i != b.n - j)
        return a.n - i < b.n - j ? -1 : 1;
    return wm_str_cmp(a, b);
}

struct entry {
    struct wm_str file;
    struct wm_wtensor t;
};

static int
by_file_and_name(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    int c = natural(a->file, b->file);

    return c ? c : natural(a->t.name, b->t.name);
}

/* A container of one tensor is called as its tensor is. */
static enum wm_status
own_file(struct wm_cc *cc, const struct wm_format *fmt, struct entry *e, struct wm_err *err)
{
    if (!wm_path_is_inside(e->t.name) || memchr(e->t.name.p, '/', e->t.name.n))
        return wm_fail(err, WM_ESUPPORT, NULL,
                       "tensor \"%.*s\": no name for a file, and a %s file is called as its tensor is",
                       WM_STR_ARG(e->t.name), fmt->suffix);
    e->file = wm_arena_printf(cc->a, "%.*s%s", WM_STR_ARG(e->t.name), fmt->suffix);
    return WM_OK;
}

/* Do all go into the same file? */
static bool
one_file(const struct entry *e, uint32_t n, uint64_t limit)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (!wm_str_eq(e[i].file, e[0].file) || (e[0].file.n == 0 && e[i].t.nbytes > limit - bytes))
            return false;
        bytes += e[0].file.n == 0 ? e[i].t.nbytes : 0;
    }
    return true;
}

static enum wm_status
collect(struct wm_cc *cc, const struct wm_graph *g, const struct wm_format *fmt, bool apart, uint64_t limit,
        struct entry *e, struct wm_err *err)
{
    const struct wm_tset *out = g->stage->out;

    for (uint32_t i = 0; i < out->t.n; i++) {
        const struct wm_gt *gt = &out->t.item[i];

        e[i].file = gt->file;
        e[i].t = (struct wm_wtensor){.name = wm_place_key(gt->key), .dtype = gt->dtype, .rank = gt->rank,
                                     .shape = gt->shape, .user = i, .same = WM_NONE};
        if (!wm_dtype_nbytes(gt->dtype, wm_gt_numel(gt), &e[i].t.nbytes))
            return wm_fail(err, WM_ELIMIT, NULL, "tensor %s is too large, or no whole number of bytes",
                           wm_place_show(cc->a, gt->key).p);
        if (apart && gt->file.n == 0 && own_file(cc, fmt, &e[i], err) != WM_OK)
            return err->status;
    }
    if (!fmt->orders || !one_file(e, out->t.n, limit))
        wm_sort(cc->a, e, out->t.n, sizeof(*e), by_file_and_name);
    return WM_OK;
}

static struct wm_shard_file *
start_file(struct wm_cc *cc, struct wm_shard_list *l, const struct entry *e, uint32_t n)
{
    struct wm_shard_file *f = &l->file[l->n++];

    f->name = e->file;
    f->tensor = WM_NEW_N(cc->a, struct wm_wtensor, n);
    return f;
}

/* Where does the file that begins at entry i end? */
static uint32_t
file_end(const struct entry *e, uint32_t i, uint32_t n, uint64_t limit)
{
    uint64_t bytes = e[i].t.nbytes;
    uint32_t k = i + 1;

    for (; k < n && wm_str_eq(e[k].file, e[i].file); k++) {
        if (e[i].file.n == 0 && bytes + e[k].t.nbytes > limit)
            break;
        bytes += e[k].t.nbytes;
    }
    return k;
}

/* A rank that holds nothing is written as an empty file. */
static void
add_empty_files(struct wm_cc *cc, const struct wm_graph *g, struct wm_shard_list *l, uint32_t nsort)
{
    struct wm_map have;

    wm_map_init(&have, cc->a, l->n);
    for (uint32_t i = 0; i < nsort; i++)
        wm_map_put(&have, l->file[i].name, i);
    for (uint32_t i = 0; i < g->out_files.n; i++)
        if (wm_map_get(&have, g->out_files.item[i]) == WM_NONE)
            l->file[l->n++] = (struct wm_shard_file){.name = g->out_files.item[i]};
}

/* --format another than that of the side's only file: its name ends in what it is. */
static struct wm_str
renamed(struct wm_cc *cc, struct wm_str name, const struct wm_format *fmt)
{
    size_t n = name.n;

    while (n > 0 && name.p[n - 1] != '.' && name.p[n - 1] != '/')
        n--;
    n = n > 1 && name.p[n - 1] == '.' && name.p[n - 2] != '/' ? n - 1 : name.n;
    return wm_arena_printf(cc->a, "%.*s%s", (int)n, name.p, fmt->suffix);
}

/* A file that the map names is not filled with what its name denies. */
static enum wm_status
names_fit(const struct wm_shard_list *l, const struct wm_format *fmt, struct wm_err *err)
{
    for (uint32_t i = 0; i < l->n; i++) {
        const struct wm_format *says = wm_format_by_suffix(l->file[i].name, NULL);

        if (says && says->layout != fmt->layout)
            return wm_fail(err, WM_EUSAGE, NULL,
                           "the map's name of the file is %.*s, but %s is to be written; name another: -o NAME%s",
                           WM_STR_ARG(l->file[i].name), fmt->name, fmt->suffix);
    }
    return WM_OK;
}

static enum wm_status
name_files(struct wm_cc *cc, const struct wm_graph *g, const struct wm_bind_opts *o,
           const struct wm_format *fmt, struct wm_shard_list *l, struct wm_err *err)
{
    bool named = l->n > 0 && l->file[0].name.n > 0;

    if (o->out_is_file) {
        if (l->n > 1)
            return wm_fail(err, WM_EUSAGE, NULL,
                           "the map writes %u files, so the output must be a directory, not the file %.*s", l->n,
                           WM_STR_ARG(o->out_name));
        if (l->n == 1)
            l->file[0].name = o->out_name;
        return WM_OK;
    }
    if (named && l->n == 1 && o->format.n > 0 && wm_str_eq(l->file[0].name, g->out_file) &&
        wm_format_by_suffix(g->out_file, NULL) != fmt)
        l->file[0].name = renamed(cc, g->out_file, fmt);
    if (named)
        return names_fit(l, fmt, err);
    for (uint32_t i = 0; i < l->n; i++)
        l->file[i].name = fmt->shard_name(cc->a, i + 1, l->n);
    l->indexed = l->n > 1;
    return WM_OK;
}

enum wm_status
wm_shard_files(struct wm_cc *cc, const struct wm_graph *g, const struct wm_bind_opts *o,
               const struct wm_format *fmt, struct wm_shard_list *out, struct wm_err *err)
{
    uint32_t n = g->stage->out->t.n;
    struct entry *e = WM_NEW_N(cc->a, struct entry, n);
    uint64_t limit = o->out_is_file ? UINT64_MAX : o->max_shard_size ? o->max_shard_size : WM_SHARD_SIZE;
    enum wm_status st = collect(cc, g, fmt, fmt->single && !o->out_is_file, limit, e, err);

    *out = (struct wm_shard_list){.file = WM_NEW_N(cc->a, struct wm_shard_file, n + g->out_files.n + 1),
                                  .ntensor = n};
    for (uint32_t i = 0, end; st == WM_OK && i < n; i = end) {
        struct wm_shard_file *f;

        end = file_end(e, i, n, limit);
        f = start_file(cc, out, &e[i], end - i);
        for (uint32_t k = i; k < end; k++) {
            f->tensor[f->n++] = e[k].t;
            out->nbytes += e[k].t.nbytes;
        }
    }
    if (st == WM_OK && g->out_files.n > 0)
        add_empty_files(cc, g, out, out->n);
    if (st == WM_OK && out->n == 0)
        out->n = 1; /* an empty checkpoint is one empty file */
    return st == WM_OK ? name_files(cc, g, o, fmt, out, err) : st;
}
