/* compiler/parse.c -- from a source to its syntax tree: sets up scanner and grammar, keeps their
 * common state.
 *
 * In: a registered source.  Out: a tree that is complete even where the text was wrong (ok tells),
 * and diagnostics. What is no text at all (not UTF-8, NUL bytes) is refused before anything is
 * scanned. */
#include "compiler/parse.h"

#include "base/utf8.h"
#include "compiler/syntax.h"
#include "wmap.tab.h"

void
wm_syntax_init(struct wm_syntax *ps, struct wm_arena *a, const struct wm_sources *ss, uint32_t file,
               struct wm_diags *ds, enum wm_goal goal)
{
    *ps = (struct wm_syntax){.a = a, .sources = ss, .diags = ds, .file = file, .goal = goal};
}

void
wm_syntax_run(struct wm_syntax *ps, uint32_t off, uint32_t len)
{
    wm_scan_begin(ps, off, len);
    (void)wm_yyparse(ps); /* what it says is in ps->failed and in the results already */
}

struct wm_str
wm_syntax_text(const struct wm_syntax *ps, struct wm_span span)
{
    return wm_source_text(ps->sources, span);
}

struct wm_diag *
wm_syntax_error(struct wm_syntax *ps, enum wm_code code, struct wm_span span, const char *fmt, ...)
{
    struct wm_buf b;
    va_list ap;

    wm_buf_init(&b, ps->a);
    va_start(ap, fmt);
    wm_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    ps->failed = true;
    return wm_report(ps->diags, code, span, "%.*s", WM_STR_ARG(wm_buf_str(&b)));
}

void
wm_syntax_too_deep(struct wm_syntax *ps, struct wm_span span)
{
    if (!ps->stop) {
        struct wm_diag *d =
            wm_syntax_error(ps, WM_E_TOO_DEEP, span, "nested more than %d deep here", WM_DEPTH_MAX);

        wm_note(ps->diags, d, "nothing behind this place was read");
    }
    ps->stop = true;
}

/* Longer maps are refused: a tree takes a hundred times the memory of its text. */
enum { TEXT_MAX = 16 << 20 };

/* Is the source text at all?  Otherwise one diagnostic says why not. */
static bool
is_text(struct wm_syntax *ps)
{
    const struct wm_source *s = &ps->sources->list.item[ps->file];
    const char *nul = s->text.n ? memchr(s->text.p, 0, s->text.n) : NULL;
    size_t bad = 0;

    if (s->text.n > TEXT_MAX) {
        wm_syntax_error(ps, WM_E_TOO_LONG, (struct wm_span){.file = ps->file},
                        "a map of %zu bytes; at most %d are read", s->text.n, TEXT_MAX);
        return false;
    }
    if (!wm_utf8_valid(s->text, &bad)) {
        struct wm_span at = {.file = ps->file, .off = (uint32_t)bad, .len = 1};

        wm_syntax_error(ps, WM_E_NOT_UTF8, at, "not UTF-8 text: byte 0x%02x at offset %zu",
                        (unsigned)(unsigned char)s->text.p[bad], bad);
        return false;
    }
    if (nul) {
        struct wm_span at = {.file = ps->file, .off = (uint32_t)(nul - s->text.p), .len = 1};

        wm_syntax_error(ps, WM_E_NUL_BYTE, at, "not text: a NUL byte at offset %u", at.off);
        return false;
    }
    return true;
}

static void
check_version(struct wm_syntax *ps)
{
    struct wm_diag *d;

    if (ps->version == 1 || (ps->version_span.len == 0 && ps->stop))
        return;
    if (ps->version_span.len == 0) {
        d = wm_syntax_error(ps, WM_E_NO_HEADER, (struct wm_span){.file = ps->file},
                            "a map begins with the version of the language: wmap 1");
        wm_note(ps->diags, d, "make `wmap 1` the first line");
    } else if (ps->version != 0) {
        d = wm_syntax_error(
            ps, WM_E_VERSION, ps->version_span,
            "version %lld of the language is not known; this program reads version 1",
            (long long)ps->version);
        ps->version = 0;
    }
}

struct wm_file_ast *
wm_parse_file(struct wm_arena *a, const struct wm_sources *ss, uint32_t file, struct wm_diags *ds)
{
    struct wm_file_ast *f = WM_NEW(a, struct wm_file_ast);
    struct wm_syntax *ps = WM_NEW(a, struct wm_syntax);

    wm_syntax_init(ps, a, ss, file, ds, WM_GOAL_FILE);
    f->source = file;
    if (is_text(ps)) {
        wm_syntax_run(ps, 0, (uint32_t)ss->list.item[file].text.n);
        check_version(ps);
        if (ps->stmts) {
            f->stmt = (struct wm_stmt **)ps->stmts->item;
            f->nstmt = ps->stmts->n;
        }
    }
    f->version = ps->version;
    f->version_span = ps->version_span;
    f->ok = !ps->failed;
    wm_attach_comments(ps, f);
    return f;
}

struct wm_mapx *
wm_parse_mapx(struct wm_arena *a, const struct wm_sources *ss, uint32_t file, struct wm_diags *ds)
{
    struct wm_syntax *ps = WM_NEW(a, struct wm_syntax);

    wm_syntax_init(ps, a, ss, file, ds, WM_GOAL_MAPX);
    if (!is_text(ps))
        return NULL;
    wm_syntax_run(ps, 0, (uint32_t)ss->list.item[file].text.n);
    return ps->failed ? NULL : ps->mapx;
}
