/* api/diff.c -- two checkpoints compared: keys, shapes, dtypes, and every byte. */
#include <inttypes.h>

#include "api/delta.h"
#include "api/out.h"
#include "api/ranks.h"
#include "base/map.h"

void
wm_side_of_manifest(struct wm_side *s, struct wm_arena *a, const struct wm_manifest *m,
                    const uint32_t *order)
{
    s->n = m->tensor.n;
    s->tensor = WM_NEW_N(a, struct wm_listed, s->n);
    s->id = WM_NEW_N(a, uint32_t, s->n);
    for (uint32_t k = 0; k < s->n; k++) {
        const struct wm_mtensor *t = &m->tensor.item[order[k]];

        s->tensor[k] = (struct wm_listed){t->name, t->dtype, t->shape, t->rank, t->nbytes, 0};
        s->id[k] = order[k];
    }
}

/* Names that several files of a checkpoint have. */
static void
find_equal_names(struct wm_map *twice, struct wm_arena *a, const struct wm_manifest *m)
{
    struct wm_map seen;

    wm_map_init(&seen, a, m->tensor.n);
    for (uint32_t k = 0; k < m->tensor.n; k++)
        if (wm_map_put(&seen, m->tensor.item[k].name, k) != k)
            wm_map_put(twice, m->tensor.item[k].name, k);
}

/* Of such names the file counts, too: in both checkpoints, so that they meet. */
static void
name_by_file(struct wm_side *s, struct wm_arena *a, const struct wm_manifest *m, const struct wm_map *twice)
{
    for (uint32_t k = 0; k < s->n; k++)
        if (wm_map_get(twice, s->tensor[k].name) != WM_NONE) {
            struct wm_str file = m->file.item[m->tensor.item[s->id[k]].file].name;

            s->tensor[k].name = wm_arena_printf(a, "%.*s: %.*s", WM_STR_ARG(file), WM_STR_ARG(s->tensor[k].name));
        }
}

static enum wm_status
compare(struct wm_delta *d, struct wmap_checkpoint *const c[2], const wmap_work *work)
{
    struct wm_file_reader file[2];
    struct wm_side *side = WM_NEW_N(d->a, struct wm_side, 2);
    struct wm_err *err = &d->ctx->err;
    enum wm_status st = WM_OK;
    struct wm_map twice;
    unsigned nopen = 0;

    d->sa = &side[0];
    d->sb = &side[1];
    wm_map_init(&twice, d->a, 16);
    for (int k = 0; k < 2; k++)
        find_equal_names(&twice, d->a, c[k]->m);
    for (; nopen < 2 && st == WM_OK; nopen++) {
        wm_side_of_manifest(&side[nopen], d->a, c[nopen]->m, c[nopen]->order);
        name_by_file(&side[nopen], d->a, c[nopen]->m, &twice);
        st = wm_file_reader_open(&file[nopen], d->a, d->ctx->sys, c[nopen]->m, err);
        side[nopen].reader = wm_file_reader(&file[nopen]);
    }
    if (st == WM_OK)
        st = wm_delta_run(d, work, err);
    while (nopen-- > 0) {
        enum wm_status closed = wm_file_reader_close(&file[nopen], err);

        st = st == WM_OK ? closed : st;
    }
    return st;
}

/* Do the two fall to ranks in the same way, or neither? */
static bool
same_ranks(const struct wm_ranks *a, const struct wm_ranks *b)
{
    if (!a || !b)
        return a == b;
    return a->has == b->has && memcmp(a->count, b->count, sizeof(a->count)) == 0;
}

static void
put_ranks(const struct wmap_checkpoint *c, struct wm_arena *a, struct wm_out *o)
{
    wm_buf_safe(&o->b, c->m->path, 400);
    if (c->ranks)
        wm_buf_printf(&o->b, " is files of ranks (%.*s)",
                      WM_STR_ARG(wm_rank_show(a, c->ranks, c->ranks->count, 1u << WM_AX_TP | 1u << WM_AX_PP | 1u << WM_AX_EP)));
    else
        wm_buf_putz(&o->b, " is not");
}

/* Parts of other sizes differ, whatever they are parts of. */
static void
note_ranks(const struct wm_delta *d, struct wmap_checkpoint *const c[2], struct wm_out *o)
{
    if (wm_delta_is_none(d) || same_ranks(c[0]->ranks, c[1]->ranks))
        return;
    wm_buf_putz(&o->b, "note: ");
    put_ranks(c[0], d->a, o);
    wm_buf_putz(&o->b, ", ");
    put_ranks(c[1], d->a, o);
    wm_buf_putz(&o->b, ": with a map from one to the other (MAP, or '~MAP >> MAP(tp = 2)') `wmap verify` tells whether\n"
                       "they hold the same model\n");
}

static void
print(const struct wm_delta *d, struct wmap_checkpoint *const c[2], wmap_style style,
      struct wm_out *o)
{
    if (style == WMAP_JSON) {
        wm_js_result(o, "wmap.diff/1", wm_delta_is_none(d) ? WMAP_OK : WMAP_NO);
        wm_js_str(o, "a", c[0]->m->path);
        wm_js_str(o, "b", c[1]->m->path);
        wm_delta_json(d, o);
        wm_js_close(o);
        return;
    }
    wm_delta_text(d, o);
    wm_buf_printf(&o->b, "%" PRIu32 " of %" PRIu32 " tensors %s (", d->pair.n - d->ndifferent,
                  d->pair.n + d->missing.n + d->mismatch.a.n,
                  d->atol != 0 || d->rtol != 0 ? "agree" : "are equal");
    wm_out_size(&o->b, d->nbytes);
    wm_buf_putz(&o->b, " compared)\n");
    note_ranks(d, c, o);
}

wmap_status
wmap_diff(wmap_checkpoint *a, wmap_checkpoint *b, const wmap_diff_options *o, wmap_style style,
          wmap_sink sink)
{
    struct wmap_checkpoint *const c[2] = {a, b};
    struct wm_delta d = {.ctx = a->ctx, .atol = o ? o->atol : 0, .rtol = o ? o->rtol : 0};
    struct wm_arena arena;
    struct wm_out out;
    enum wm_status st;

    wm_ctx_begin(d.ctx);
    wm_ctx_arena(d.ctx, &arena);
    d.a = &arena;
    if (d.atol < 0 || d.rtol < 0)
        st = wm_fail(&d.ctx->err, WM_EUSAGE, NULL, "a tolerance is negative");
    else
        st = compare(&d, c, o ? &o->work : NULL);
    if (st == WM_OK) {
        wm_out_init(&out, &arena, sink);
        print(&d, c, style, &out);
        if (!wm_out_end(&out))
            st = wm_fail(&d.ctx->err, WM_EIO, NULL, "writing the result failed");
        else if (!wm_delta_is_none(&d))
            st = WM_NO;
    }
    wm_arena_fini(&arena);
    return wm_ctx_end(d.ctx, st);
}
