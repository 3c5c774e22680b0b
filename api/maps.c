/* api/maps.c -- the library of maps: what can be named without a path.
 *
 * A name is SYSTEM/FAMILY for DIR/SYSTEM/FAMILY.wmap in one of the directories that are looked up;
 * the first directory that has it wins; DIR/common is what families share.  What a map says of itself is read from its first `map`
 * statement. */
#include <dirent.h>
#include <stdlib.h>

#include "api/ctx.h"
#include "api/table.h"

#define SUFFIX  ".wmap"
#define MAX_MAP (UINT64_C(1) << 20)

enum { MAX_DEPTH = 3 };

struct found {
    struct wm_str name, path, doc;
};

struct finder {
    struct wmap_ctx *ctx;
    struct wm_arena *a;
    struct wm_str dir;
    struct wm_map seen;
    WM_VEC(struct found) list;
};

/* The first line of a file without its mark, where it is a comment. */
static struct wm_str
first_comment(struct wm_str text)
{
    const char *end = memchr(text.p, '\n', text.n);
    size_t n = end ? (size_t)(end - text.p) : text.n;

    return n > 2 && text.p[0] == '#' ? (struct wm_str){text.p + 2, n - 2} : WM_STR("");
}

/* Is it a map, and what does it say of itself?  A map made of another one has no text but its comment. */
static bool
read_map(struct finder *f, struct found *m)
{
    struct wm_sources ss = {.a = f->a};
    struct wm_diags ds;
    struct wm_file_ast *ast;
    struct wm_str text;
    struct wm_err err = {0};

    if (wm_read_file(f->a, f->ctx->sys, m->path, MAX_MAP, &text, &err) != WM_OK)
        return false;
    wm_diags_init(&ds, f->a, &ss);
    ast = wm_parse_file(f->a, &ss, wm_source_add(&ss, m->path, text), &ds);
    for (uint32_t k = 0; k < ast->nstmt; k++)
        if (ast->stmt[k]->kind == WM_ST_MAP) {
            m->doc = ast->stmt[k]->doc;
            return true;
        }
    for (uint32_t k = 0; k < ast->nstmt; k++)
        if (ast->stmt[k]->kind == WM_ST_MAPDEF) {
            m->doc = first_comment(text);
            return true;
        }
    return false;
}

static void
add_file(struct finder *f, struct wm_str rel)
{
    struct found m = {.name = {rel.p, rel.n - strlen(SUFFIX)}};

    m.path = wm_arena_printf(f->a, "%.*s/%.*s", WM_STR_ARG(f->dir), WM_STR_ARG(rel));
    if (wm_str_starts(rel, WM_STR("common/")) || wm_map_get(&f->seen, m.name) != WM_NONE || !read_map(f, &m))
        return; /* an earlier directory has it, or it holds only what maps share */
    wm_map_put(&f->seen, m.name, f->list.n);
    *WM_PUSH(f->a, &f->list) = m;
}

/* `rel` is below f->dir, with a slash at its end unless empty.  What can't be listed has no maps.
 */
static void
look_in(struct finder *f, struct wm_str rel, unsigned depth)
{
    struct wm_str path = wm_arena_printf(f->a, "%.*s/%.*s", WM_STR_ARG(f->dir), WM_STR_ARG(rel));
    DIR *d = f->ctx->sys->opendir(path.p);
    struct dirent *e;

    while (d && (e = f->ctx->sys->readdir(d)) != NULL) {
        struct wm_str name = wm_arena_printf(f->a, "%.*s%s", WM_STR_ARG(rel), e->d_name);
        struct stat st;

        path = wm_arena_printf(f->a, "%.*s/%.*s", WM_STR_ARG(f->dir), WM_STR_ARG(name));
        if (e->d_name[0] == '.' || f->ctx->sys->stat(path.p, &st) != 0)
            continue;
        if (S_ISREG(st.st_mode) && wm_str_ends(name, WM_STR(SUFFIX)))
            add_file(f, name);
        else if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH)
            look_in(f, wm_arena_printf(f->a, "%.*s/", WM_STR_ARG(name)), depth + 1);
    }
    if (d)
        f->ctx->sys->closedir(d);
}

static int
by_name(const void *x, const void *y)
{
    return wm_str_cmp(((const struct found *)x)->name, ((const struct found *)y)->name);
}

static void
print(struct finder *f, wmap_style style, struct wm_out *o)
{
    struct wm_table t;

    if (style == WMAP_JSON) {
        wm_js_result(o, "wmap.maps/1", WMAP_OK);
        wm_js_array(o, "maps");
    }
    wm_table_init(&t, f->a, "lll");
    for (uint32_t k = 0; k < f->list.n; k++) {
        const struct found *m = &f->list.item[k];

        if (style == WMAP_JSON) {
            wm_js_object(o, NULL);
            wm_js_str(o, "name", m->name);
            wm_js_str(o, "doc", m->doc);
            wm_js_str(o, "path", m->path);
            wm_js_close(o);
        } else {
            wm_table_cell(&t, m->name);
            wm_table_cell(&t, m->doc);
            wm_table_cell(&t, m->path);
        }
    }
    wm_table_print(&t, "", o);
    if (style == WMAP_JSON) {
        wm_js_close(o);
        wm_js_close(o);
    }
}

wmap_status
wmap_maps(wmap_ctx *ctx, wmap_style style, wmap_sink sink)
{
    struct wm_arena a;
    struct finder f = {.ctx = ctx, .a = &a};
    struct wm_out o;
    bool ok;

    wm_ctx_begin(ctx);
    wm_ctx_arena(ctx, &a);
    wm_map_init(&f.seen, &a, 64);
    wm_ctx_set_paths(ctx);
    for (uint32_t k = 0; k < ctx->cc.path.n; k++) {
        f.dir = ctx->cc.path.item[k];
        look_in(&f, WM_STR(""), 0);
    }
    if (f.list.n)
        qsort(f.list.item, f.list.n, sizeof(*f.list.item), by_name);
    wm_out_init(&o, &a, sink);
    print(&f, style, &o);
    ok = wm_out_end(&o);
    wm_arena_fini(&a);
    return wm_ctx_end(ctx,
                      ok ? WM_OK : wm_fail(&ctx->err, WM_EIO, NULL, "writing the result failed"));
}
