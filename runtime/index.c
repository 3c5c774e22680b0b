/* runtime/index.c -- reading index files, and holding shards against them.
 *
 * In: a JSON text.  Out: the shards to read; then, once these are read, whether both say the same:
 * a tensor that only one of them knows is an error, never a silent loss. */
#include "runtime/index.h"

#include <stdlib.h>

#include "runtime/json.h"

enum { MAX_INDEX = 512 << 20 }; /* bytes; 4 million names of 100 bytes */

struct reader {
    struct wm_index *x;
    struct wm_json j;
    struct wm_map files; /* names of shards seen so far */
    struct wm_err *err;
};

static enum wm_status
bad_json(struct reader *r)
{
    return wm_fail(r->err, WM_EFORMAT, r->x->path.p, "invalid JSON at byte %zu: %s", r->j.tok_at,
                   r->j.why ? r->j.why : "unexpected end");
}

static enum wm_status
add_shard(struct reader *r, struct wm_str tensor, struct wm_str file)
{
    struct wm_index *x = r->x;

    if (wm_map_put(&r->files, file, x->shard.n) != x->shard.n)
        return WM_OK;
    if (!wm_path_is_inside(file))
        return wm_fail(r->err, WM_EFORMAT, x->path.p,
                       "weight_map: \"%.*s\" is in \"%.*s\", which is no name inside the directory",
                       WM_STR_ARG(tensor), WM_STR_ARG(file));
    *WM_PUSH(r->j.a, &x->shard) = file;
    return WM_OK;
}

static enum wm_status
read_weight_map(struct reader *r)
{
    WM_VEC(struct wm_index_entry) list = {0};
    enum wm_json_tok t = wm_json_next(&r->j);
    enum wm_status st;

    if (t != WM_JS_OBJECT)
        return t == WM_JS_ERROR
                   ? bad_json(r)
                   : wm_fail(r->err, WM_EFORMAT, r->x->path.p, "weight_map is not an object");
    while ((t = wm_json_next(&r->j)) == WM_JS_KEY) {
        struct wm_str tensor = r->j.str;

        t = wm_json_next(&r->j);
        if (t == WM_JS_ERROR)
            return bad_json(r);
        if (t != WM_JS_STRING)
            return wm_fail(r->err, WM_EFORMAT, r->x->path.p,
                           "weight_map: the file of \"%.*s\" is not a string", WM_STR_ARG(tensor));
        if (wm_map_put(&r->x->by_tensor, tensor, list.n) != list.n)
            return wm_fail(r->err, WM_EFORMAT, r->x->path.p,
                           "weight_map: duplicate tensor \"%.*s\"", WM_STR_ARG(tensor));
        st = add_shard(r, tensor, r->j.str);
        if (st != WM_OK)
            return st;
        *WM_PUSH(r->j.a, &list) = (struct wm_index_entry){tensor, r->j.str};
    }
    r->x->entry = list.item;
    r->x->n = list.n;
    return t == WM_JS_ERROR ? bad_json(r) : WM_OK;
}

static enum wm_status
read_top(struct reader *r)
{
    enum wm_json_tok t = wm_json_next(&r->j);
    enum wm_status st = WM_OK;
    bool seen = false;

    if (t == WM_JS_ERROR)
        return bad_json(r);
    if (t != WM_JS_OBJECT)
        return wm_fail(r->err, WM_EFORMAT, r->x->path.p, "not a JSON object");
    while (st == WM_OK && (t = wm_json_next(&r->j)) == WM_JS_KEY) {
        if (!wm_str_eq(r->j.str, WM_STR("weight_map"))) {
            if (!wm_json_skip(&r->j, wm_json_next(&r->j)))
                return bad_json(r);
            continue;
        }
        if (seen)
            return wm_fail(r->err, WM_EFORMAT, r->x->path.p, "duplicate key \"weight_map\"");
        seen = true;
        st = read_weight_map(r);
    }
    if (st != WM_OK)
        return st;
    if (t == WM_JS_ERROR || wm_json_next(&r->j) != WM_JS_END)
        return bad_json(r);
    if (!seen)
        return wm_fail(r->err, WM_EFORMAT, r->x->path.p, "no \"weight_map\" in this index");
    if (r->x->n == 0)
        return wm_fail(r->err, WM_EFORMAT, r->x->path.p, "weight_map names no tensors");
    return WM_OK;
}

static int
by_bytes(const void *a, const void *b)
{
    return wm_str_cmp(*(const struct wm_str *)a, *(const struct wm_str *)b);
}

enum wm_status
wm_index_read(struct wm_arena *a, const struct wm_sys *sys, struct wm_str path,
              struct wm_index *out, struct wm_err *err)
{
    struct reader r = {.x = out, .err = err};
    struct wm_str text;
    enum wm_status st = wm_read_file(a, sys, path, MAX_INDEX, &text, err);

    if (st != WM_OK)
        return st;
    *out = (struct wm_index){.path = path};
    wm_map_init(&out->by_tensor, a, 0);
    wm_map_init(&r.files, a, 0);
    wm_json_init(&r.j, a, text.p, text.n);
    st = read_top(&r);
    if (st == WM_OK && out->shard.n > 1)
        qsort(out->shard.item, out->shard.n, sizeof(*out->shard.item), by_bytes);
    return st;
}

enum wm_status
wm_index_check(const struct wm_index *x, const struct wm_manifest *m, struct wm_err *err)
{
    for (uint32_t i = 0; i < m->tensor.n; i++) {
        const struct wm_mtensor *t = &m->tensor.item[i];
        struct wm_str file = m->file.item[t->file].name;
        uint32_t e = wm_map_get(&x->by_tensor, t->name);

        if (e == WM_NONE)
            return wm_fail(err, WM_EFORMAT, x->path.p,
                           "weight_map lacks tensor \"%.*s\", which is in %.*s",
                           WM_STR_ARG(t->name), WM_STR_ARG(file));
        if (!wm_str_eq(x->entry[e].file, file))
            return wm_fail(err, WM_EFORMAT, x->path.p,
                           "weight_map places tensor \"%.*s\" in %.*s, but it is in %.*s",
                           WM_STR_ARG(t->name), WM_STR_ARG(x->entry[e].file), WM_STR_ARG(file));
    }
    for (uint32_t e = 0; m->tensor.n != x->n && e < x->n; e++)
        if (wm_map_get(&m->by_name, x->entry[e].tensor) == WM_NONE)
            return wm_fail(err, WM_EFORMAT, x->path.p,
                           "weight_map places tensor \"%.*s\" in %.*s, which lacks it",
                           WM_STR_ARG(x->entry[e].tensor), WM_STR_ARG(x->entry[e].file));
    return WM_OK;
}
