/* api/mini_report.c -- what `mini` tells: a line for each stage, and the same as JSON. */
#include <inttypes.h>

#include "api/fold.h"
#include "api/mini.h"
#include "compiler/mutate.h"

enum { NAMES_SHOWN = 5 };

/* ---- text ---- */

static void
label(struct wm_mini_run *r, const char *word)
{
    wm_buf_printf(&r->out.b, "%-9s ", word);
}

void
wm_mini_stage_text(struct wm_mini_run *r, const char *stage, uint64_t n, uint64_t nbytes,
                   uint64_t nfile)
{
    label(r, stage);
    wm_out_count(&r->out.b, n, "tensor");
    wm_buf_putz(&r->out.b, ", ");
    wm_out_size(&r->out.b, nbytes);
    wm_buf_putz(&r->out.b, " in ");
    wm_out_count(&r->out.b, nfile, "file");
    wm_buf_putc(&r->out.b, '\n');
}

static void
names(struct wm_mini_run *r, const char *what, const struct wm_made *const *list, uint32_t n)
{
    struct wm_fold_item *item = WM_NEW_N(r->a, struct wm_fold_item, n);
    struct wm_fold_line *line;
    uint32_t nline;

    for (uint32_t i = 0; i < n; i++)
        item[i] = (struct wm_fold_item){list[i]->name, 0};
    wm_fold(r->a, item, n, &line, &nline);
    for (uint32_t i = 0; i < nline && i < NAMES_SHOWN; i++)
        wm_buf_printf(&r->out.b, "          %s %.*s\n", what, WM_STR_ARG(line[i].name));
    if (nline > NAMES_SHOWN)
        wm_buf_printf(&r->out.b, "          %s and %" PRIu32 " more\n", what, nline - NAMES_SHOWN);
}

void
wm_mini_compare_text(struct wm_mini_run *r, const struct wm_trial *t)
{
    struct wm_buf *b = &r->out.b;

    label(r, "compare");
    if (!t->backward) {
        wm_buf_putz(b, "not made: the map has no way back\n");
        return;
    }
    wm_buf_printf(b, "%" PRIu32 " of %" PRIu32 " tensors came back to the bit", t->nequal, t->in.n);
    if (t->nlossy)
        wm_buf_printf(b, ", %" PRIu32 " of lossy rules changed", t->nlossy);
    if (t->nnot_carried)
        wm_buf_printf(b, ", %" PRIu32 " of one-way rules did not come", t->nnot_carried);
    wm_buf_putc(b, '\n');
    names(r, "differs:", t->differ.item, t->differ.n);
    names(r, "missing:", t->missing.item, t->missing.n);
}

static struct wm_str
place_text(struct wm_mini_run *r, struct wm_span span)
{
    const struct wm_sources *ss = &r->ctx->cc.sources;
    uint32_t line, col;

    wm_source_pos(ss, span, &line, &col);
    return wm_arena_printf(r->a, "%.*s:%" PRIu32 ":%" PRIu32,
                           WM_STR_ARG(ss->list.item[span.file].path), line, col);
}

/* Rules and aliases that no set uses. */
static bool
is_used(const struct wm_mini_run *r, uint32_t item)
{
    for (uint32_t k = 0; k < r->nset; k++)
        if (r->set[k].in.covered[item])
            return true;
    return false;
}

void
wm_mini_items_text(struct wm_mini_run *r)
{
    const struct wm_chain *c = r->map->chain;
    uint32_t n = wm_mini_items(c, r->o->reverse), used = 0, rules = 0;
    struct wm_span span;

    for (uint32_t i = 0; i < n; i++) {
        bool rule = strcmp(wm_mini_item(c, r->o->reverse, i, &span), "rule") == 0;

        rules += rule;
        used += rule && is_used(r, i);
    }
    label(r, "rules");
    wm_buf_printf(&r->out.b, "%" PRIu32 " of %" PRIu32 " are used\n", used, rules);
    for (uint32_t i = 0; i < n; i++)
        if (!is_used(r, i)) {
            const char *what = wm_mini_item(c, r->o->reverse, i, &span);

            wm_buf_printf(&r->out.b, "          no settings use the %s at %.*s\n", what,
                          WM_STR_ARG(place_text(r, span)));
        }
}

void
wm_mini_settings_text(struct wm_mini_run *r, uint32_t k)
{
    struct wm_str text = wm_settings_text(r->a, &r->set[k].set);

    if (r->nset > 1)
        wm_buf_printf(&r->out.b, "%sset %" PRIu32 " of %" PRIu32 "\n", k ? "\n" : "", k + 1,
                      r->nset);
    if (text.n) {
        label(r, "settings");
        wm_buf_puts(&r->out.b, text);
        wm_buf_putc(&r->out.b, '\n');
    }
}

/* ---- JSON ---- */

void
wm_mini_trial_json(struct wm_mini_run *r, const struct wm_trial *t)
{
    struct wm_out *o = &r->out;

    wm_js_object(o, NULL);
    wm_js_str(o, "settings", wm_settings_text(r->a, &t->mini->set));
    wm_js_uint(o, "input", t->in.n);
    wm_js_uint(o, "output", t->out.n);
    wm_js_bool(o, "way_back", t->backward != NULL);
    wm_js_uint(o, "equal", t->nequal);
    wm_js_uint(o, "lossy", t->nlossy);
    wm_js_uint(o, "not_carried", t->nnot_carried);
    wm_js_uint(o, "differ", t->differ.n);
    wm_js_uint(o, "missing", t->missing.n);
    wm_js_close(o);
}

static const char *const fate_name[WM_FATE_N] = {"check",  "bind", "run",
                                                 "result", "same", "unused"};

void
wm_mini_mutants_json(struct wm_mini_run *r, const struct wm_fates *f)
{
    struct wm_out *o = &r->out;

    wm_js_array(o, "mutants");
    for (uint32_t i = 0; i < f->mutant.n; i++) {
        wm_js_object(o, NULL);
        wm_js_str(o, "where", place_text(r, f->mutant.item[i]->span));
        wm_js_str(o, "what", f->mutant.item[i]->what);
        wm_js_str(o, "fate", wm_str_c(fate_name[f->fate[i]]));
        wm_js_close(o);
    }
    wm_js_close(o);
}

void
wm_mini_unused_json(struct wm_mini_run *r)
{
    const struct wm_chain *c = r->map->chain;
    struct wm_span span;

    wm_js_array(&r->out, "unused");
    for (uint32_t i = 0; i < wm_mini_items(c, r->o->reverse); i++)
        if (!is_used(r, i)) {
            wm_mini_item(c, r->o->reverse, i, &span);
            wm_js_str(&r->out, NULL, place_text(r, span));
        }
    wm_js_close(&r->out);
}

/* ---- mutants ---- */

void
wm_mini_mutants_text(struct wm_mini_run *r, const struct wm_fates *f)
{
    static const char *const word[WM_FATE_N] = {"are refused by the check",
                                                "by the headers of an input",
                                                "by a run",
                                                "change what comes out",
                                                "change nothing",
                                                "survive"};
    struct wm_buf *b = &r->out.b;

    wm_buf_putc(b, '\n');
    label(r, "mutants");
    wm_buf_printf(b, "%" PRIu32, f->mutant.n);
    for (int k = 0; k < WM_FATE_N; k++)
        wm_buf_printf(b, "%s %" PRIu32 " %s", k ? "," : ":", f->count[k], word[k]);
    wm_buf_putc(b, '\n');
    for (int fate = WM_FATE_SAME; fate < WM_FATE_N; fate++)
        for (uint32_t i = 0; i < f->mutant.n; i++)
            if (f->fate[i] == fate)
                wm_buf_printf(b, "          %s %.*s: %.*s\n",
                              fate == WM_FATE_SAME ? "changes nothing:" : "survives:       ",
                              WM_STR_ARG(place_text(r, f->mutant.item[i]->span)),
                              WM_STR_ARG(f->mutant.item[i]->what));
}
