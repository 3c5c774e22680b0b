/* api/diff_maps.c -- two maps as functions: bound to the same headers, do they make the same?
 *
 * Both graphs are fused, so a tensor of the output is boxes over tensors of the input, and the
 * comparison is that of index maps by common refinement: all elements, without reading any. */
#include <inttypes.h>

#include "api/fold.h"
#include "api/mini.h"

enum { SHOWN = 20 };

enum what { SAME, DTYPE, SHAPE, ELEMENT };

/* A tensor that both make. */
struct both {
    uint32_t a, b; /* numbers in the graphs */
    enum what what;
    int64_t at; /* ELEMENT: the smallest that differs */
};

struct diff {
    struct wmap_ctx *ctx;
    struct wm_arena *a;
    const struct wm_manifest *in;
    struct wm_graph *g[2];
    struct wmap_map *map[2];
    WM_VEC(struct both) both;
    WM_VEC(uint32_t) missing, unexpected;
    uint32_t ndiffer;
    struct wm_str settings; /* under which the input was invented */
    uint32_t nset;          /* that were compared */
};

/* ---- comparing ---- */

/* How a tensor is made, in terms of the input's tensors and the first graph's element operations.
 */
static void
whole_map(struct diff *d, int k, uint32_t t, struct wm_imap *out)
{
    const struct wm_graph *g = d->g[k];
    const struct wm_make *mk = &g->stage->make.item[t];
    const struct wm_imap *m = &g->geom.item[mk->geom].map;

    wm_imap_init(out, d->a);
    if (mk->geom == WM_GEOM_IDENTITY) {
        wm_imap_identity(out, mk->nunit, g->stage->slot.item[mk->slot]);
        return;
    }
    for (uint32_t i = 0; i < m->box.n; i++) {
        struct wm_box box = m->box.item[i];

        for (uint32_t s = 0; s < box.nsrc; s++)
            box.slot[s] = g->stage->slot.item[mk->slot + box.slot[s]];
        if (k == 1)
            box.elem = wm_graph_elem(d->g[0], &g->elem.item[box.elem]);
        wm_imap_add(out, &box, &m->dim.item[m->box.item[i].dim]);
    }
    wm_imap_canon(out);
}

static void
compare(struct diff *d, struct both *p)
{
    const struct wm_gt *x = &d->g[0]->stage->out->t.item[p->a],
                       *y = &d->g[1]->stage->out->t.item[p->b];
    struct wm_imap mx, my;

    if (x->dtype != y->dtype) {
        p->what = DTYPE;
    } else if (x->rank != y->rank ||
               (x->rank && memcmp(x->shape, y->shape, x->rank * sizeof(*x->shape)) != 0)) {
        p->what = SHAPE;
    } else {
        whole_map(d, 0, p->a, &mx);
        whole_map(d, 1, p->b, &my);
        p->what = wm_imap_equal(&mx, &my, wm_gt_numel(x), &p->at) ? SAME : ELEMENT;
    }
    d->ndiffer += p->what != SAME;
}

static struct wm_str
full_name(struct diff *d, const struct wm_gt *t)
{
    return t->file.n ? wm_arena_printf(d->a, "%.*s: %.*s", WM_STR_ARG(t->file),
                                       WM_STR_ARG(wm_place_key(t->key)))
                     : wm_place_key(t->key);
}

static void
match(struct diff *d)
{
    const struct wm_tset *x = d->g[0]->stage->out, *y = d->g[1]->stage->out;
    bool *seen = WM_NEW_N(d->a, bool, y->t.n);
    struct wm_map by_name;

    wm_map_init(&by_name, d->a, y->t.n);
    for (uint32_t i = 0; i < y->t.n; i++)
        wm_map_set(&by_name, full_name(d, &y->t.item[i]), i);
    for (uint32_t i = 0; i < x->t.n; i++) {
        uint32_t k = wm_map_get(&by_name, full_name(d, &x->t.item[i]));

        if (k == WM_NONE) {
            *WM_PUSH(d->a, &d->missing) = i;
            continue;
        }
        seen[k] = true;
        *WM_PUSH(d->a, &d->both) = (struct both){.a = i, .b = k};
        compare(d, &d->both.item[d->both.n - 1]);
    }
    for (uint32_t i = 0; i < y->t.n; i++)
        if (!seen[i])
            *WM_PUSH(d->a, &d->unexpected) = i;
}

static bool
is_same(const struct diff *d)
{
    return d->ndiffer + d->missing.n + d->unexpected.n == 0;
}

/* ---- text ---- */

static struct wm_str
place_of(struct diff *d, int k, uint32_t t)
{
    const struct wm_make *mk = &d->g[k]->stage->make.item[t];
    const struct wm_sources *ss = &d->ctx->cc.sources;
    struct wm_span span = mk->rule ? mk->rule->span : mk->span;
    uint32_t line, col;

    if (span.file >= ss->list.n || span.len == 0)
        return WM_STR("no rule");
    wm_source_pos(ss, span, &line, &col);
    return wm_arena_printf(d->a, "%.*s:%" PRIu32 ":%" PRIu32,
                           WM_STR_ARG(ss->list.item[span.file].path), line, col);
}

static void
put_element(struct wm_buf *b, struct wm_str name, const int64_t *shape, uint32_t rank, int64_t at)
{
    int64_t index[WM_MAX_RANK];

    for (uint32_t k = rank; k-- > 0;) {
        index[k] = at % shape[k];
        at /= shape[k];
    }
    wm_buf_safe(b, name, 200);
    wm_buf_putc(b, '[');
    for (uint32_t k = 0; k < rank; k++)
        wm_buf_printf(b, "%s%" PRId64, k ? "," : "", index[k]);
    wm_buf_putc(b, ']');
}

/* Where the element comes from: an element of the input, or a constant. */
static struct wm_str
source_of(struct diff *d, int k, uint32_t t, int64_t at)
{
    const struct wm_box *box;
    int64_t src[WM_MAX_OPERANDS];
    struct wm_imap m;
    struct wm_buf b;

    wm_buf_init(&b, d->a);
    whole_map(d, k, t, &m);
    if (!wm_imap_source(&m, at, &box, src))
        return WM_STR("nowhere");
    if (box->nsrc == 0) {
        wm_buf_putz(&b, "a constant");
    } else {
        const struct wm_mtensor *in = &d->in->tensor.item[box->slot[0]];

        put_element(&b, in->name, in->shape, in->rank, src[0]);
    }
    if (box->nsrc > 0 && box->elem)
        wm_buf_printf(&b, " (%s)",
                      d->g[0]->elem.item[box->elem].note.n ? d->g[0]->elem.item[box->elem].note.p
                                                           : "computed");
    return wm_buf_str(&b);
}

static struct wm_str
form_of(struct diff *d, int k, uint32_t t, enum what what)
{
    const struct wm_gt *gt = &d->g[k]->stage->out->t.item[t];
    struct wm_buf b;

    wm_buf_init(&b, d->a);
    if (what == DTYPE)
        wm_buf_putz(&b, wm_dtype_info[gt->dtype].name);
    else
        wm_out_shape(&b, gt->shape, gt->rank);
    return wm_buf_str(&b);
}

static void
both_text(struct diff *d, const struct both *p, struct wm_out *o)
{
    static const char *const word[] = {"", "its type differs", "its shape differs", ""};
    const struct wm_gt *gt = &d->g[0]->stage->out->t.item[p->a];

    if (p->what == ELEMENT) {
        put_element(&o->b, full_name(d, gt), gt->shape, gt->rank, p->at);
        wm_buf_putz(&o->b, " comes from elsewhere\n");
    } else {
        wm_buf_safe(&o->b, full_name(d, gt), 200);
        wm_buf_printf(&o->b, ": %s\n", word[p->what]);
    }
    for (int k = 0; k < 2; k++) {
        uint32_t t = k ? p->b : p->a;
        struct wm_str what =
            p->what == ELEMENT ? source_of(d, k, t, p->at) : form_of(d, k, t, p->what);

        wm_buf_printf(&o->b, "  %s: %.*s, by %.*s\n", k ? "B" : "A", WM_STR_ARG(what),
                      WM_STR_ARG(place_of(d, k, t)));
    }
}

static void
lone_text(struct diff *d, int k, const char *word, const uint32_t *t, uint32_t n, struct wm_out *o)
{
    for (uint32_t i = 0; i < n && i < SHOWN; i++)
        wm_buf_printf(&o->b, "%-10s  %.*s, by %.*s\n", word,
                      WM_STR_ARG(full_name(d, &d->g[k]->stage->out->t.item[t[i]])),
                      WM_STR_ARG(place_of(d, k, t[i])));
    if (n > SHOWN)
        wm_buf_printf(&o->b, "%-10s  and %" PRIu32 " more\n", word, n - SHOWN);
}

static void
answer_text(struct diff *d, struct wm_out *o)
{
    uint32_t shown = 0;

    lone_text(d, 0, "MISSING", d->missing.item, d->missing.n, o);
    lone_text(d, 1, "UNEXPECTED", d->unexpected.item, d->unexpected.n, o);
    for (uint32_t i = 0; i < d->both.n; i++)
        if (d->both.item[i].what != SAME && shown++ < SHOWN)
            both_text(d, &d->both.item[i], o);
    if (shown > SHOWN)
        wm_buf_printf(&o->b, "and %" PRIu32 " more tensors differ\n", shown - SHOWN);
    if (d->settings.n && !is_same(d))
        wm_buf_printf(&o->b, "settings: %.*s\n", WM_STR_ARG(d->settings));
    if (d->nset > 1 && is_same(d))
        wm_buf_printf(&o->b, "%" PRIu32 " sets of settings; with the last ", d->nset);
    wm_out_count(&o->b, d->in->tensor.n, "tensor");
    wm_buf_putz(&o->b, is_same(d) ? " in, the same function: " : " in, not the same function: ");
    wm_buf_printf(&o->b, "%" PRIu32 " of %" PRIu32 " tensors out agree in all elements\n",
                  d->both.n - d->ndiffer, d->both.n + d->missing.n + d->unexpected.n);
}

static void
lone_json(struct diff *d, int k, const char *word, const uint32_t *t, uint32_t n, struct wm_out *o)
{
    wm_js_array(o, word);
    for (uint32_t i = 0; i < n; i++) {
        wm_js_object(o, NULL);
        wm_js_str(o, "name", full_name(d, &d->g[k]->stage->out->t.item[t[i]]));
        wm_js_str(o, "rule", place_of(d, k, t[i]));
        wm_js_close(o);
    }
    wm_js_close(o);
}

static void
answer_json(struct diff *d, struct wm_out *o)
{
    static const char *const word[] = {"", "dtype", "shape", "element"};

    wm_js_result(o, "wmap.diff-maps/1", is_same(d) ? WMAP_OK : WMAP_NO);
    wm_js_bool(o, "equal", is_same(d));
    wm_js_str(o, "settings", d->settings);
    lone_json(d, 0, "missing", d->missing.item, d->missing.n, o);
    lone_json(d, 1, "unexpected", d->unexpected.item, d->unexpected.n, o);
    wm_js_array(o, "different");
    for (uint32_t i = 0; i < d->both.n; i++) {
        const struct both *p = &d->both.item[i];

        if (p->what == SAME)
            continue;
        wm_js_object(o, NULL);
        wm_js_str(o, "name", full_name(d, &d->g[0]->stage->out->t.item[p->a]));
        wm_js_str(o, "what", wm_str_c(word[p->what]));
        if (p->what == ELEMENT)
            wm_js_int(o, "element", p->at);
        wm_js_str(o, "a",
                  p->what == ELEMENT ? source_of(d, 0, p->a, p->at) : form_of(d, 0, p->a, p->what));
        wm_js_str(o, "b",
                  p->what == ELEMENT ? source_of(d, 1, p->b, p->at) : form_of(d, 1, p->b, p->what));
        wm_js_str(o, "rule_a", place_of(d, 0, p->a));
        wm_js_str(o, "rule_b", place_of(d, 1, p->b));
        wm_js_close(o);
    }
    wm_js_close(o);
    wm_js_close(o);
}

/* ---- binding ---- */

/* A parameter that only one of the maps has is given to that one. */
static void
keep_defines(struct wm_arena *a, const struct wm_chain *c, const struct wm_bind_opts *from,
             struct wm_bind_opts *out)
{
    struct wm_str *define = WM_NEW_N(a, struct wm_str, from->ndefine);

    *out = *from;
    out->define = define;
    out->ndefine = 0;
    for (uint32_t i = 0; i < from->ndefine; i++) {
        const char *eq = memchr(from->define[i].p, '=', from->define[i].n);
        struct wm_str name = {from->define[i].p, eq ? (size_t)(eq - from->define[i].p) : 0};
        bool has = false;

        for (uint32_t k = 0; k < c->link.n; k++) {
            const struct wm_name *nm = wm_module_find(c->link.item[k].module, name);

            has |= nm && nm->kind == WM_NM_PARAM;
        }
        if (has)
            define[out->ndefine++] = from->define[i];
    }
}

/* Bind what is not bound yet to the headers, and compare. */
static enum wm_status
compare_bound(struct diff *d, const struct wm_bind_opts *b)
{
    struct wm_bind_opts own;
    enum wm_status st = WM_OK;

    for (int k = 0; k < 2 && st == WM_OK; k++) {
        if (d->g[k])
            continue;
        keep_defines(d->a, d->map[k]->chain, b, &own);
        st = wm_bind(&d->ctx->cc, d->map[k]->chain, d->in, &own, &d->g[k], &d->ctx->err);
    }
    if (st == WM_OK)
        match(d);
    return st;
}

/* The headers of an input that there is. */
static enum wm_status
compare_input(struct diff *d, const char *input, const struct wm_bind_opts *b)
{
    struct wm_open_opts opts = {0};
    struct wm_manifest *m;
    enum wm_status st = wm_open_input(&d->ctx->cc, d->map[0]->chain, wm_ctx_str(d->ctx, input), b,
                                      &opts, &m, &d->ctx->err);

    if (st != WM_OK)
        return st;
    d->in = m;
    return compare_bound(d, b);
}

/* Headers such as the first map asks for, under all the settings that it takes to use its rules; d
 * ends with the first on which the maps differ. */
static enum wm_status
compare_invented(struct diff *d, const struct wm_bind_opts *b)
{
    struct diff fresh = *d;
    struct wm_mini *set;
    uint32_t n;
    enum wm_status st = wm_mini_find(&d->ctx->cc, d->map[0]->chain, b, 0, &set, &n, &d->ctx->err);

    for (uint32_t k = 0; k < n && st == WM_OK; k++) {
        *d = fresh;
        d->in = set[k].manifest;
        d->g[0] = set[k].graph;
        d->settings = wm_settings_text(d->a, &set[k].set);
        d->nset = k + 1;
        st = compare_bound(d, &set[k].opts);
        if (st == WM_OK && !is_same(d))
            break;
    }
    return st;
}

static enum wm_status
diff_maps(struct diff *d, const wmap_diff_maps_options *o)
{
    struct wm_str *define = WM_NEW_N(d->a, struct wm_str, o->ndefine);
    struct wm_bind_opts b = {
        .config = wm_ctx_str(d->ctx, o->config), .define = define, .ndefine = (uint32_t)o->ndefine};

    for (size_t k = 0; k < o->ndefine; k++)
        define[k] = wm_ctx_str(d->ctx, o->define[k]);
    return o->input ? compare_input(d, o->input, &b) : compare_invented(d, &b);
}

wmap_status
wmap_diff_maps(wmap_map *a, wmap_map *b, const wmap_diff_maps_options *o, wmap_style style,
               wmap_sink sink)
{
    static const wmap_diff_maps_options none;
    struct diff d = {.ctx = a->ctx, .a = &a->ctx->arena, .map = {a, b}};
    struct wm_out out;
    enum wm_status st;

    wm_ctx_begin(d.ctx);
    st = diff_maps(&d, o ? o : &none);
    if (st != WM_OK)
        return wm_ctx_end(d.ctx, st);
    wm_out_init(&out, d.a, sink);
    if (style == WMAP_JSON)
        answer_json(&d, &out);
    else
        answer_text(&d, &out);
    if (!wm_out_end(&out))
        st = wm_fail(&d.ctx->err, WM_EIO, NULL, "writing the result failed");
    return wm_ctx_end(d.ctx, st != WM_OK ? st : is_same(&d) ? WM_OK : WM_NO);
}
