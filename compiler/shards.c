/* compiler/shards.c -- distributes the output tensors to files (see shards.h). */
#include "compiler/shards.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "compiler/bind.h"

#define WM_SHARD_SIZE UINT64_C(5000000000)

/* Bytes that both begin with. */
static size_t
common(struct wm_str a, struct wm_str b)
{
    size_t n = a.n < b.n ? a.n : b.n, i = 0;

    while (n - i >= 8 && memcmp(a.p + i, b.p + i, 8) == 0)
        i += 8;
    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

/* "layers.2.x" before "layers.10.x". */
static int
natural(struct wm_str a, struct wm_str b)
{
    size_t i = common(a, b), j;

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

/* The tensors, and where each goes. */
struct list {
    const struct wm_graph *g;
    struct wm_wtensor *t;
    struct wm_str *own; /* [number of the output tensor] files of containers of one tensor, or NULL */
    uint64_t nbytes;
    bool named; /* some are in files that are named */
};

/* The file that a tensor's side, or its container, names; or empty. */
static struct wm_str
file_of(const struct list *l, const struct wm_wtensor *t)
{
    struct wm_str file = l->g->stage->out->t.item[t->user].file;

    return l->own && file.n == 0 ? l->own[t->user] : file;
}

static int
by_file_and_name(const void *x, const void *y, void *list)
{
    const struct wm_wtensor *a = x, *b = y;
    struct wm_str fa = file_of(list, a), fb = file_of(list, b);
    int c = fa.p == fb.p && fa.n == fb.n ? 0 : natural(fa, fb);

    return c ? c : natural(a->name, b->name);
}

/* A container of one tensor is called as its tensor is. */
static enum wm_status
own_file(struct wm_arena *arena, const struct wm_format *fmt, const struct wm_wtensor *t, struct wm_str *file,
         struct wm_err *err)
{
    if (!wm_path_is_inside(t->name) || memchr(t->name.p, '/', t->name.n))
        return wm_fail(err, WM_ESUPPORT, NULL,
                       "tensor \"%.*s\": no name for a file, and a %s file is called as its tensor is",
                       WM_STR_ARG(t->name), fmt->suffix);
    *file = wm_arena_printf(arena, "%.*s%s", WM_STR_ARG(t->name), fmt->suffix);
    return WM_OK;
}

/* The tensors as the checkpoint's side has them. */
static enum wm_status
collect(struct wm_arena *arena, const struct wm_format *fmt, bool apart, struct list *l, struct wm_err *err)
{
    const struct wm_tset *out = l->g->stage->out;

    l->own = apart ? WM_NEW_N(arena, struct wm_str, out->t.n) : NULL;
    for (uint32_t i = 0; i < out->t.n; i++) {
        const struct wm_gt *gt = &out->t.item[i];

        l->t[i] = (struct wm_wtensor){.name = wm_place_key(gt->key), .dtype = gt->dtype, .rank = gt->rank,
                                      .shape = gt->shape, .user = i, .same = WM_NONE};
        if (!wm_dtype_nbytes(gt->dtype, wm_gt_numel(gt), &l->t[i].nbytes))
            return wm_fail(err, WM_ELIMIT, NULL, "tensor %s is too large, or no whole number of bytes",
                           wm_place_show(arena, gt->key).p);
        if (apart && gt->file.n == 0 && own_file(arena, fmt, &l->t[i], &l->own[i], err) != WM_OK)
            return err->status;
        if (!wm_ck_uadd(l->nbytes, l->t[i].nbytes, &l->nbytes))
            return wm_fail(err, WM_ELIMIT, NULL, "the tensors are larger than 2^64 bytes in all");
        l->named = l->named || apart || gt->file.n > 0;
    }
    return WM_OK;
}

/* By files and names.  A single file whose container has an order of its own does without. */
static void
sort(const struct wm_format *fmt, uint64_t limit, struct list *l)
{
    uint32_t n = l->g->stage->out->t.n;

    if (fmt->orders && !l->named && l->nbytes <= limit)
        return;
    for (uint32_t i = 1; i < n; i++)
        if (by_file_and_name(&l->t[i - 1], &l->t[i], l) > 0) { /* often they are in order */
            qsort_r(l->t, n, sizeof(*l->t), by_file_and_name, l);
            break;
        }
}

/* Where does the file that begins at tensor i end? */
static uint32_t
file_end(const struct list *l, uint32_t i, uint32_t n, uint64_t limit)
{
    struct wm_str file = file_of(l, &l->t[i]);
    uint64_t bytes = l->t[i].nbytes;
    uint32_t k = i + 1;

    for (; k < n && wm_str_eq(file_of(l, &l->t[k]), file); k++) {
        if (file.n == 0 && bytes + l->t[k].nbytes > limit)
            break;
        bytes += l->t[k].nbytes;
    }
    return k;
}

/* A rank that holds nothing is written as an empty file. */
static void
add_empty_files(struct wm_arena *arena, const struct wm_graph *g, struct wm_shard_list *l, uint32_t nsort)
{
    struct wm_map have;

    wm_map_init(&have, arena, l->n);
    for (uint32_t i = 0; i < nsort; i++)
        wm_map_put(&have, l->file[i].name, i);
    for (uint32_t i = 0; i < g->out_files.n; i++)
        if (wm_map_get(&have, g->out_files.item[i]) == WM_NONE)
            l->file[l->n++] = (struct wm_shard_file){.name = g->out_files.item[i]};
}

/* --format another than that of the side's only file: its name ends in what it is. */
static struct wm_str
renamed(struct wm_arena *arena, struct wm_str name, const struct wm_format *fmt)
{
    size_t n = name.n;

    while (n > 0 && name.p[n - 1] != '.' && name.p[n - 1] != '/')
        n--;
    n = n > 1 && name.p[n - 1] == '.' && name.p[n - 2] != '/' ? n - 1 : name.n;
    return wm_arena_printf(arena, "%.*s%s", (int)n, name.p, fmt->suffix);
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
name_files(struct wm_arena *arena, const struct wm_graph *g, const struct wm_bind_opts *o,
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
        l->file[0].name = renamed(arena, g->out_file, fmt);
    if (named)
        return names_fit(l, fmt, err);
    for (uint32_t i = 0; i < l->n; i++)
        l->file[i].name = wm_format_shard_name(fmt, arena, i + 1, l->n);
    l->indexed = l->n > 1;
    return WM_OK;
}

enum wm_status
wm_shard_files(struct wm_arena *arena, const struct wm_graph *g, const struct wm_bind_opts *o,
               const struct wm_format *fmt, struct wm_shard_list *out, struct wm_err *err)
{
    uint32_t n = g->stage->out->t.n, nfile = 0;
    struct list l = {.g = g, .t = wm_arena_alone(arena, n * sizeof(*l.t))};
    uint64_t limit = o->out_is_file ? UINT64_MAX : o->max_shard_size ? o->max_shard_size : WM_SHARD_SIZE;
    enum wm_status st = collect(arena, fmt, fmt->single && !o->out_is_file, &l, err);

    if (st == WM_OK)
        sort(fmt, limit, &l);
    for (uint32_t i = 0; st == WM_OK && i < n; i = file_end(&l, i, n, limit))
        nfile++;
    *out = (struct wm_shard_list){.file = WM_NEW_N(arena, struct wm_shard_file, nfile + g->out_files.n + 1),
                                  .ntensor = n,
                                  .nbytes = l.nbytes};
    for (uint32_t i = 0, end; st == WM_OK && i < n; i = end) {
        end = file_end(&l, i, n, limit);
        out->file[out->n++] = (struct wm_shard_file){.name = file_of(&l, &l.t[i]), .tensor = l.t + i, .n = end - i};
    }
    if (st == WM_OK && g->out_files.n > 0)
        add_empty_files(arena, g, out, out->n);
    if (st == WM_OK && out->n == 0)
        out->n = 1; /* an empty checkpoint is one empty file */
    return st == WM_OK ? name_files(arena, g, o, fmt, out, err) : st;
}
