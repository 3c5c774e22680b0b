/* api/gen.c -- small checkpoints of known families (`wmap gen`), and the list of what there is. */
#include "api/gen.h"

#include "api/out.h"
#include "api/table.h"

#define WM_FAMILY(id) extern const struct wm_gen_family wm_gen_##id;
#include "api/families.def"
#undef WM_FAMILY

static const struct wm_gen_family *const families[] = {
#define WM_FAMILY(id) &wm_gen_##id,
#include "api/families.def"
#undef WM_FAMILY
};

enum { NFAMILY = WM_COUNTOF(families) };

static const struct wm_gen_family *
find_family(struct wmap_ctx *ctx, struct wm_arena *a, const char *name)
{
    struct wm_str names[NFAMILY], near;

    for (uint32_t k = 0; k < NFAMILY; k++) {
        names[k] = wm_str_c(families[k]->name);
        if (strcmp(families[k]->name, name) == 0)
            return families[k];
    }
    near = wm_suggest(a, wm_str_c(name), names, NFAMILY);
    if (near.n)
        wm_fail(&ctx->err, WM_EUSAGE, NULL, "no family \"%s\"; did you mean %.*s?", name,
                WM_STR_ARG(near));
    else
        wm_fail(&ctx->err, WM_EUSAGE, NULL, "no family \"%s\"; `wmap gen --families` lists them",
                name);
    return NULL;
}

wmap_status
wmap_gen(wmap_ctx *ctx, const wmap_gen_options *o, wmap_run_result *result)
{
    struct wm_arena a;
    struct wm_gen_model m = {.ctx = ctx, .a = &a};
    double start = wm_now();
    enum wm_status st = WM_EUSAGE;

    wm_ctx_begin(ctx);
    wm_ctx_arena(ctx, &a);
    m.family = find_family(ctx, &a, o->family);
    if (m.family)
        st = wm_gen_model_init(&m, o, &ctx->err);
    if (st == WM_OK)
        st = wm_gen_write(&m, o, result, &ctx->err);
    if (st == WM_OK && result) {
        result->seconds = wm_now() - start;
        result->place = wm_ctx_str(ctx, o->output).p;
    }
    wm_arena_fini(&a);
    return wm_ctx_end(ctx, st);
}

/* ---- the list ---- */

static void
list_rows(const struct wm_gen_family *f, enum wm_gen_kind kind, struct wm_arena *a,
          struct wm_out *o)
{
    struct wm_table t;

    wm_table_init(&t, a, "lll");
    for (const struct wm_gen_row *r = f->row; r->kind != WM_GR_END; r++)
        if (r->kind == kind) {
            wm_table_cell(&t, wm_str_c(r->name));
            wm_table_cell(&t, wm_str_c(r->value));
            wm_table_cell(&t, wm_str_c(kind == WM_GR_SET ? r->when : ""));
        }
    wm_table_print(&t, "  ", o);
}

static void
list_one(const struct wm_gen_family *f, struct wm_arena *a, struct wm_out *o)
{
    wm_buf_printf(&o->b, "%s: %s (%s, %s)\n\nsettings, with their values by default:\n", f->name,
                  f->doc, f->architecture,
                  wm_dtype_info[wm_dtype_by_name(wm_str_c(f->dtype))].name);
    list_rows(f, WM_GR_SET, a, o);
    wm_buf_printf(&o->b, "  dtype  %s\n  seed  0\n", f->dtype);
    for (const struct wm_gen_row *r = f->row; r->kind != WM_GR_END; r++)
        if (r->kind == WM_GR_PRESET) {
            wm_buf_putz(&o->b, "\npresets (-D preset=NAME):\n");
            list_rows(f, WM_GR_PRESET, a, o);
            break;
        }
}

static void
list_json(const struct wm_gen_family *f, struct wm_out *o)
{
    wm_js_object(o, NULL);
    wm_js_str(o, "name", wm_str_c(f->name));
    wm_js_str(o, "architecture", wm_str_c(f->architecture));
    wm_js_str(o, "doc", wm_str_c(f->doc));
    wm_js_str(o, "dtype", wm_str_c(f->dtype));
    wm_js_object(o, "settings");
    for (const struct wm_gen_row *r = f->row; r->kind != WM_GR_END; r++)
        if (r->kind == WM_GR_SET) {
            wm_js_value(o, r->name);
            wm_buf_putz(&o->b, r->value);
        }
    wm_js_close(o);
    wm_js_object(o, "presets");
    for (const struct wm_gen_row *r = f->row; r->kind != WM_GR_END; r++)
        if (r->kind == WM_GR_PRESET)
            wm_js_str(o, r->name, wm_str_c(r->value));
    wm_js_close(o);
    wm_js_close(o);
}

static void
list_all(const struct wm_gen_family *only, wmap_style style, struct wm_arena *a, struct wm_out *o)
{
    struct wm_table t;

    if (style == WMAP_JSON) {
        wm_js_result(o, "wmap.gen/1", WMAP_OK);
        wm_js_array(o, "families");
        for (uint32_t k = 0; k < NFAMILY; k++)
            if (!only || only == families[k])
                list_json(families[k], o);
        wm_js_close(o);
        wm_js_close(o);
        return;
    }
    if (only) {
        list_one(only, a, o);
        return;
    }
    wm_table_init(&t, a, "ll");
    for (uint32_t k = 0; k < NFAMILY; k++) {
        wm_table_cell(&t, wm_str_c(families[k]->name));
        wm_table_cell(&t, wm_str_c(families[k]->doc));
    }
    wm_table_print(&t, "", o);
}

wmap_status
wmap_gen_families(wmap_ctx *ctx, const char *family, wmap_style style, wmap_sink sink)
{
    const struct wm_gen_family *only = NULL;
    struct wm_arena a;
    struct wm_out o;
    enum wm_status st = WM_OK;

    wm_ctx_begin(ctx);
    wm_ctx_arena(ctx, &a);
    wm_out_init(&o, &a, sink);
    if (family && !(only = find_family(ctx, &a, family)))
        st = WM_EUSAGE;
    else
        list_all(only, style, &a, &o);
    if (!wm_out_end(&o) && st == WM_OK)
        st = wm_fail(&ctx->err, WM_EIO, NULL, "writing the result failed");
    wm_arena_fini(&a);
    return wm_ctx_end(ctx, st);
}
