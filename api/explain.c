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

static const enum wm_code table[] = {
#define WM_DIAG(id, number, severity, title) WM_E_##id,
#include "compiler/diag.def"
#undef WM_DIAG
};

enum { NCODE = WM_COUNTOF(table) };

static int
by_number(const void *x, const void *y)
{
    return (int)*(const enum wm_code *)x - (int)*(const enum wm_code *)y;
}

/* The codes in order of their numbers. */
static enum wm_code *
sorted_codes(struct wm_arena *a)
{
    enum wm_code *c = WM_NEW_N(a, enum wm_code, NCODE);

    memcpy(c, table, sizeof(table));
    qsort(c, NCODE, sizeof(*c), by_number);
    return c;
}

static const struct wm_page *
page_of(struct wm_str name)
{
    for (size_t k = 0; k < wm_npage; k++)
        if (wm_str_eq(wm_str_c(wm_pages[k].name), name))
            return &wm_pages[k];
    return NULL;
}

/* The number in "E0503", "e503" or "503"; -1 where it is none. */
static int
number_of(struct wm_str code)
{
    if (code.n && strchr("eEwW", code.p[0])) {
        code.p++;
        code.n--;
    }
    if (code.n == 0 || code.n > 4 || strspn(code.p, "0123456789") != code.n)
        return -1;
    return atoi(code.p);
}

static enum wm_status
unknown(struct wmap_ctx *ctx, struct wm_arena *a, struct wm_str code)
{
    const enum wm_code *c = sorted_codes(a);
    int n = number_of(code);
    size_t best = 0;

    if (n < 0)
        return wm_fail(&ctx->err, WM_EUSAGE, NULL,
                       "no diagnostic \"%.*s\"; `wmap explain` lists them all", WM_STR_ARG(code));
    for (size_t k = 1; k < NCODE; k++)
        if (abs((int)c[k] - n) < abs((int)c[best] - n))
            best = k;
    return wm_fail(&ctx->err, WM_EUSAGE, NULL, "no diagnostic \"%.*s\"; did you mean %.*s?",
                   WM_STR_ARG(code), WM_STR_ARG(code_name(a, wm_diag_info(c[best]))));
}

static void
print(struct wm_arena *a, const struct wm_diag_info *i, wmap_style style, struct wm_out *o)
{
    struct wm_str name = code_name(a, i);
    const struct wm_page *page = page_of(name);
    struct wm_str text = page ? wm_str_c(page->text)
                              : wm_arena_printf(a, "# %.*s: %s\n", WM_STR_ARG(name), i->title);

    if (style == WMAP_JSON) {
        wm_js_result(o, "wmap.explain/1", WMAP_OK);
        wm_js_str(o, "code", name);
        wm_js_str(o, "severity", i->severity == WM_SEV_ERROR ? WM_STR("error") : WM_STR("warning"));
        wm_js_str(o, "title", wm_str_c(i->title));
        wm_js_str(o, "text", text);
        wm_js_close(o);
    } else {
        wm_buf_puts(&o->b, text);
    }
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
    i = number_of(wm_str_c(code)) < 0 ? NULL
                                      : wm_diag_info((enum wm_code)number_of(wm_str_c(code)));
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
    const enum wm_code *codes;
    bool ok;

    wm_ctx_begin(ctx);
    wm_ctx_arena(ctx, &a);
    wm_out_init(&o, &a, sink);
    codes = sorted_codes(&a);
    if (style == WMAP_JSON) {
        wm_js_result(&o, "wmap.explain/1", WMAP_OK);
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
