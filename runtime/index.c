/* runtime/index.c -- reading index files, and holding shards against them.
 *
 * In: a JSON text.  Out: the shards to read; then, once these are read, whether both say the same:
 * a tensor that only one of them knows is an error, never a silent loss.  The text is gone through
 * twice, once for each question, so that nothing is kept of each of its tensors. */
#include "runtime/index.h"

#include <stdlib.h>

#include "runtime/json.h"

enum { MAX_INDEX = 512 << 20 }; /* bytes; 4 million names of 100 bytes */

/* What is done with each entry of the weight map. */
struct reader;
typedef enum wm_status entry_fn(struct reader *r, struct wm_str tensor, struct wm_str file);

struct reader {
    const struct wm_index *x;
    entry_fn *entry;
    struct wm_json j;
    struct wm_err *err;
    uint32_t n; /* entries so far */

    struct wm_index *out; /* add_shard: */
    struct wm_map files;  /* names of shards seen so far */

    const struct wm_manifest *m; /* check_entry: */
    bool *seen;                  /* [m->tensor.n] */
    struct wm_str unknown[2];    /* the first entry that no shard has: tensor, file */
};

static enum wm_status
bad_json(struct reader *r)
{
    return wm_fail(r->err, WM_EFORMAT, r->x->path.p, "invalid JSON at byte %zu: %s", r->j.tok_at,
                   r->j.why ? r->j.why : "unexpected end");
}

static enum wm_status
read_weight_map(struct reader *r)
{
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
        st = r->entry(r, tensor, r->j.str);
        if (st != WM_OK)
            return st;
        r->n++;
    }
    return t == WM_JS_ERROR ? bad_json(r) : WM_OK;
}

static enum wm_status
read_top(struct reader *r, struct wm_arena *a, entry_fn *entry)
{
    enum wm_json_tok t;
    enum wm_status st = WM_OK;
    bool seen = false;

    wm_json_init(&r->j, a, r->x->text.p, r->x->text.n);
    r->entry = entry;
    t = wm_json_next(&r->j);
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
    if (r->n == 0)
        return wm_fail(r->err, WM_EFORMAT, r->x->path.p, "weight_map names no tensors");
    return WM_OK;
}

static enum wm_status
add_shard(struct reader *r, struct wm_str tensor, struct wm_str file)
{
    struct wm_index *x = r->out;

    if (wm_map_get(&r->files, file) != WM_NONE)
        return WM_OK;
    if (!wm_path_is_inside(file))
        return wm_fail(r->err, WM_EFORMAT, x->path.p,
                       "weight_map: \"%.*s\" is in \"%.*s\", which is no name inside the directory",
                       WM_STR_ARG(tensor), WM_STR_ARG(file));
    wm_map_put(&r->files, file, x->shard.n);
    *WM_PUSH(x->a, &x->shard) = file;
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
    struct reader r = {.x = out, .out = out, .err = err};
    enum wm_status st;

    *out = (struct wm_index){.a = a, .path = path};
    st = wm_read_file(a, sys, path, MAX_INDEX, &out->text, err);
    if (st != WM_OK)
        return st;
    wm_map_init(&r.files, a, 0);
    st = read_top(&r, a, add_shard);
    if (st == WM_OK && out->shard.n > 1)
        qsort(out->shard.item, out->shard.n, sizeof(*out->shard.item), by_bytes);
    return st;
}

/* ---- against the shards ---- */

static enum wm_status
check_entry(struct reader *r, struct wm_str tensor, struct wm_str file)
{
    uint32_t t = wm_map_get(&r->m->by_name, tensor);
    struct wm_str is;

    if (t == WM_NONE) {
        if (!r->unknown[1].n)
            r->unknown[0] = tensor, r->unknown[1] = file;
        return WM_OK;
    }
    if (r->seen[t])
        return wm_fail(r->err, WM_EFORMAT, r->x->path.p, "weight_map: duplicate tensor \"%.*s\"",
                       WM_STR_ARG(tensor));
    r->seen[t] = true;
    is = r->m->file.item[r->m->tensor.item[t].file].name;
    if (!wm_str_eq(file, is))
        return wm_fail(r->err, WM_EFORMAT, r->x->path.p,
                       "weight_map places tensor \"%.*s\" in %.*s, but it is in %.*s",
                       WM_STR_ARG(tensor), WM_STR_ARG(file), WM_STR_ARG(is));
    return WM_OK;
}

enum wm_status
wm_index_check(const struct wm_index *x, const struct wm_manifest *m, struct wm_err *err)
{
    struct reader r = {.x = x, .m = m, .seen = WM_NEW_N(x->a, bool, m->tensor.n), .err = err};
    enum wm_status st = read_top(&r, x->a, check_entry);

    for (uint32_t i = 0; st == WM_OK && i < m->tensor.n; i++)
        if (!r.seen[i])
            return wm_fail(err, WM_EFORMAT, x->path.p,
                           "weight_map lacks tensor \"%.*s\", which is in %.*s",
                           WM_STR_ARG(m->tensor.item[i].name),
                           WM_STR_ARG(m->file.item[m->tensor.item[i].file].name));
    if (st == WM_OK && r.unknown[1].n)
        return wm_fail(err, WM_EFORMAT, x->path.p,
                       "weight_map places tensor \"%.*s\" in %.*s, which lacks it",
                       WM_STR_ARG(r.unknown[0]), WM_STR_ARG(r.unknown[1]));
    return st;
}
