/* api/explain.c -- the pages about diagnostics, embedded at build time from docs/diagnostics/. */
#include <stdlib.h>

#include "api/ctx.h"
#include "api/out.h"
#include "api/pages.h"

/* Every code as it is printed: E0214. */
static struct wm_str
code_name(struct wm_arena *a, const struct wm_diag_info *i)
{
    return wm_arena_printf(a, "%c%04d", i->severity == WM_SEV_ERROR ? 'E' : 'W', (int)i->code);
}

static const enum wm_code codes[] = {
#define WM_DIAG(id, number, severity, title) WM_E_##id,
#include "compiler/diag.def"
#undef WM_DIAG
    WM_E_NONE};

enum { NCODE = WM_COUNTOF(codes) - 1 };

static const struct wm_page *
page_of(struct wm_str name)
{
    for (size_t k = 0; k < wm_npage; k++)
        if (wm_str_eq(wm_str_c(wm_pages[k].name), name))
            return &wm_pages[k];
    return NULL;
}

static enum wm_status
unknown(struct wmap_ctx *ctx, struct wm_arena *a, struct wm_str code)
{
    struct wm_str *name = WM_NEW_N(a, struct wm_str, NCODE), near;

    for (size_t k = 0; k < NCODE; k++)
        name[k] = code_name(a, wm_diag_info(codes[k]));
    near = wm_suggest(a, code, name, NCODE);
    if (near.n)
        return wm_fail(&ctx->err, WM_EUSAGE, NULL, "no diagnostic \"%.*s\"; did you mean %.*s?",
                       WM_STR_ARG(code), WM_STR_ARG(near));
    return wm_fail(&ctx->err, WM_EUSAGE, NULL,
                   "no diagnostic \"%.*s\"; `wmap explain` lists them all", WM_STR_ARG(code));
}

static void
print(struct wm_arena *a, const struct wm_diag_info *i, wmap_style style, struct wm_out *o)
{
    struct wm_str name = code_name(a, i);
    const struct wm_page *page = page_of(name);
    struct wm_str text = page ? wm_str_c(page->text)
                              : wm_arena_printf(a, "# %.*s: %s\n", WM_STR_ARG(name), i->title);

    if (style == WMAP_JSON) {
        wm_js_object(o, NULL);
        wm_js_str(o, "schema", WM_STR("wmap.explain/1"));
        wm_js_str(o, "code", name);
        wm_js_str(o, "severity", i->severity == WM_SEV_ERROR ? WM_STR("error") : WM_STR("warning"));
        wm_js_str(o, "title", wm_str_c(i->title));
        wm_js_str(o, "text", text);
        wm_js_close(o);
    } else {
        wm_buf_puts(&o->b, text);
    }
}

/* "e214", "214" and "E0214" are the same code. */
static struct wm_str
normal(struct wm_arena *a, struct wm_str code)
{
    struct wm_str digits = code;
    char letter = 'E';
    int n;

    if (digits.n && strchr("eEwW", digits.p[0])) {
        letter = strchr("eE", digits.p[0]) ? 'E' : 'W';
        digits.p++;
        digits.n--;
    }
    if (digits.n == 0 || digits.n > 4 || strspn(digits.p, "0123456789") != digits.n)
        return code;
    n = atoi(digits.p);
    if (digits.n == code.n && wm_diag_info((enum wm_code)n) &&
        wm_diag_info((enum wm_code)n)->severity == WM_SEV_WARNING)
        letter = 'W';
    return wm_arena_printf(a, "%c%04d", letter, n);
}

wmap_status
wmap_explain(wmap_ctx *ctx, const char *code, wmap_style style, wmap_sink sink)
{
    struct wm_arena a;
    struct wm_out o;
    const struct wm_diag_info *i;
    enum wm_status st = WM_OK;

    wm_ctx_begin(ctx);
    wm_ctx_arena(ctx, &a);
    wm_out_init(&o, &a, sink);
    i = wm_diag_find(normal(&a, wm_str_c(code)));
    if (!i)
        st = unknown(ctx, &a, wm_str_c(code));
    else
        print(&a, i, style, &o);
    if (!wm_out_end(&o) && st == WM_OK)
        st = wm_fail(&ctx->err, WM_EIO, NULL, "writing the result failed");
    wm_arena_fini(&a);
    return wm_ctx_end(ctx, st);
}

wmap_status
wmap_explain_list(wmap_ctx *ctx, wmap_style style, wmap_sink sink)
{
    struct wm_arena a;
    struct wm_out o;
    bool ok;

    wm_ctx_begin(ctx);
    wm_ctx_arena(ctx, &a);
    wm_out_init(&o, &a, sink);
    if (style == WMAP_JSON) {
        wm_js_object(&o, NULL);
        wm_js_str(&o, "schema", WM_STR("wmap.explain/1"));
        wm_js_array(&o, "codes");
    }
    for (size_t k = 0; k < NCODE; k++) {
        const struct wm_diag_info *i = wm_diag_info(codes[k]);
        struct wm_str name = code_name(&a, i);

        if (style == WMAP_JSON) {
            wm_js_object(&o, NULL);
            wm_js_str(&o, "code", name);
            wm_js_str(&o, "title", wm_str_c(i->title));
            wm_js_close(&o);
        } else {
            wm_buf_printf(&o.b, "%.*s  %s\n", WM_STR_ARG(name), i->title);
        }
    }
    if (style == WMAP_JSON) {
        wm_js_close(&o);
        wm_js_close(&o);
    }
    ok = wm_out_end(&o);
    wm_arena_fini(&a);
    return wm_ctx_end(ctx,
                      ok ? WM_OK : wm_fail(&ctx->err, WM_EIO, NULL, "writing the result failed"));
}
