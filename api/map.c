/* api/map.c -- maps: load, print, invert, dump. */
#include "api/ctx.h"
#include "api/out.h"

void
wm_ctx_set_paths(struct wmap_ctx *ctx)
{
    ctx->cc.path.n = 0;
    for (uint32_t k = 0; k < ctx->path.n; k++)
        *WM_PUSH(&ctx->arena, &ctx->cc.path) = ctx->path.item[k];
    *WM_PUSH(&ctx->arena, &ctx->cc.path) = WM_STR(WMAP_MAPS_INSTALLED);
    *WM_PUSH(&ctx->arena, &ctx->cc.path) = WM_STR(WMAP_MAPS_SOURCE);
}

wmap_status
wmap_add_path(wmap_ctx *ctx, const char *dir)
{
    wm_ctx_begin(ctx);
    if (dir[0])
        *WM_PUSH(&ctx->arena, &ctx->path) = wm_ctx_str(ctx, dir);
    return WMAP_OK;
}

static wmap_status
give(struct wmap_ctx *ctx, enum wm_status st, struct wm_chain *chain, wmap_map **out)
{
    struct wmap_map *map;

    if (st != WM_OK)
        return wm_ctx_end(ctx, st);
    map = WM_NEW(&ctx->arena, struct wmap_map);
    map->ctx = ctx;
    map->chain = chain;
    map->name = wm_arena_cstr(&ctx->arena, wm_chain_name(chain));
    map->doc = wm_arena_cstr(&ctx->arena, wm_chain_doc(chain));
    *out = map;
    return WMAP_OK;
}

wmap_status
wmap_map_load(wmap_ctx *ctx, const char *spec, wmap_map **out)
{
    struct wm_chain *chain = NULL;
    enum wm_status st;

    wm_ctx_begin(ctx);
    wm_ctx_set_paths(ctx);
    *out = NULL;
    st = wm_load_map(&ctx->cc, wm_ctx_str(ctx, spec), &chain, &ctx->err);
    return give(ctx, st, chain, out);
}

wmap_status
wmap_map_parse(wmap_ctx *ctx, const char *name, const char *text, size_t n, wmap_map **out)
{
    struct wm_str copy = wm_arena_str(&ctx->arena, (struct wm_str){text, n});
    struct wm_chain *chain = NULL;
    enum wm_status st;

    wm_ctx_begin(ctx);
    wm_ctx_set_paths(ctx);
    *out = NULL;
    st = wm_load_text(&ctx->cc, wm_ctx_str(ctx, name), copy, &chain, &ctx->err);
    return give(ctx, st, chain, out);
}

const char *
wmap_map_name(const wmap_map *map)
{
    return map->name;
}

const char *
wmap_map_doc(const wmap_map *map)
{
    return map->doc;
}

/* Text that was made as a whole goes to the sink. */
static wmap_status
hand_over(struct wmap_ctx *ctx, enum wm_status st, const struct wm_buf *b, wmap_sink sink)
{
    if (st == WM_OK && b->n && sink.write(sink.user, b->p, b->n) != 0)
        st = wm_fail(&ctx->err, WM_EIO, NULL, "writing the result failed");
    return wm_ctx_end(ctx, st);
}

wmap_status
wmap_map_format(wmap_map *map, wmap_sink sink)
{
    struct wmap_ctx *ctx = map->ctx;
    struct wm_buf b;

    wm_ctx_begin(ctx);
    wm_buf_init(&b, &ctx->arena);
    return hand_over(ctx, wm_chain_format(&ctx->cc, map->chain, &b, &ctx->err), &b, sink);
}

wmap_status
wmap_map_invert(wmap_map *map, wmap_sink sink)
{
    struct wmap_ctx *ctx = map->ctx;
    struct wm_buf b;

    wm_ctx_begin(ctx);
    wm_buf_init(&b, &ctx->arena);
    return hand_over(ctx, wm_chain_invert(&ctx->cc, map->chain, &b, &ctx->err), &b, sink);
}

wmap_status
wmap_map_dump(wmap_map *map, const char *stage, wmap_sink sink)
{
    struct wmap_ctx *ctx = map->ctx;
    struct wm_buf b;
    enum wm_status st;

    wm_ctx_begin(ctx);
    wm_buf_init(&b, &ctx->arena);
    if (strcmp(stage, "ast") != 0 && strcmp(stage, "checked") != 0)
        st = wm_fail(&ctx->err, WM_EUSAGE, NULL, "no stage \"%s\" of a map alone (ast, checked)",
                     stage);
    else
        st = wm_chain_dump(&ctx->cc, map->chain, wm_str_c(stage), &b, &ctx->err);
    return hand_over(ctx, st, &b, sink);
}

wmap_status
wmap_format_text(wmap_ctx *ctx, const char *name, const char *text, size_t n, wmap_sink sink)
{
    struct wm_arena *a = &ctx->arena;
    struct wm_str copy = wm_arena_str(a, (struct wm_str){text, n});
    struct wm_file_ast *f;
    struct wm_buf b;
    uint32_t file;

    wm_ctx_begin(ctx);
    wm_buf_init(&b, a);
    file = wm_source_add(&ctx->cc.sources, wm_ctx_str(ctx, name), copy);
    f = wm_parse_file(a, &ctx->cc.sources, file, &ctx->cc.diags);
    if (!f->ok)
        return WMAP_NO;
    wm_print_file(f, &b);
    return hand_over(ctx, WM_OK, &b, sink);
}
