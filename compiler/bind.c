/* compiler/bind.c -- binds a chain of maps to the headers of an input.
 *
 * Each link takes the tensors that the one before it leaves, as if they lay in files, through its reading side, its rules
 * and its writing side; all of that is fused into one stage.  No tensor in between ever exists. */
#include "compiler/bind.h"
#include "compiler/emit.h"

#include <cjson/cJSON.h>
#include <fnmatch.h>

#include "compiler/bind_lint.h"
#include "compiler/check.h"
#include "compiler/select.h"

/* ---- configuration ---- */

static enum wm_status
find_config(struct wm_cc *cc, const struct wm_manifest *in, const struct wm_bind_opts *o, struct wm_benv *be,
            struct wm_err *err)
{
    struct wm_str path = o->config;
    const struct cJSON *c = NULL;
    struct stat st;

    if (o->config_tree) {
        be->config = o->config_tree;
        be->config_path = o->config.n ? o->config : WM_STR("the configuration");
        return WM_OK;
    }
    if (path.n == 0 && in->dir.n == 0) {
        be->config_why = wm_arena_printf(cc->a, "%.*s has no config.json beside it; name one with --config",
                                         WM_STR_ARG(in->path));
        return WM_OK;
    }
    if (path.n == 0) {
        path = wm_arena_printf(cc->a, "%.*s/config.json", WM_STR_ARG(in->dir));
        if (cc->sys->stat(path.p, &st) != 0) {
            be->config_why = wm_arena_printf(cc->a, "there is no %.*s; name one with --config", WM_STR_ARG(path));
            return WM_OK;
        }
    }
    if (wm_config_read(cc, path, &c, err) != WM_OK)
        return err->status;
    if (o->config.n == 0 && !cJSON_GetObjectItemCaseSensitive(c, "model_type")) {
        be->config_why = wm_arena_printf(cc->a, "%.*s has no model_type, so it is not taken; name one with --config",
                                         WM_STR_ARG(path));
        return WM_OK;
    }
    be->config = c;
    be->config_path = path;
    return WM_OK;
}

/* Is the input read, or else the output written, by parts? */
static enum wm_status
find_parts(const struct wm_chain *c, const struct wm_bind_opts *o, bool *reads, struct wm_err *err)
{
    const struct wm_chain_link *first = &c->link.item[o->reverse ? c->link.n - 1 : 0];
    const struct wm_chain_link *last = &c->link.item[o->reverse ? 0 : c->link.n - 1];

    *reads = o->parts && wm_side_has_parts(&first->module->side[first->inverse != o->reverse]);
    if (!o->parts || *reads || wm_side_has_parts(&last->module->side[last->inverse == o->reverse]))
        return WM_OK;
    return wm_fail(err, WM_EUSAGE, NULL, "--part-spec is for maps with the files begin, mid.N and end on one side, and "
                   "%.*s has none", WM_STR_ARG(c->spec));
}

void
wm_check_defines(struct wm_cc *cc, const struct wm_chain *c, const struct wm_bind_opts *o)
{
    for (uint32_t i = 0; i < o->ndefine; i++) {
        struct wm_str d = o->define[i];
        const char *eq = memchr(d.p, '=', d.n);
        struct wm_str name = {d.p, eq ? (size_t)(eq - d.p) : d.n};
        bool found = false;
        WM_VEC(struct wm_str) names = {0};
        struct wm_diag *dg;
        struct wm_str near;

        for (uint32_t m = 0; m < cc->module.n; m++)
            for (uint32_t k = 0; k < cc->module.item[m]->name_list.n; k++) {
                const struct wm_name *nm = &cc->module.item[m]->name_list.item[k];

                if (nm->kind != WM_NM_PARAM)
                    continue;
                *WM_PUSH(cc->a, &names) = nm->name;
                found |= wm_str_eq(nm->name, name);
            }
        if (found && eq)
            continue;
        dg = wm_report_at(&cc->diags, WM_E_PARAM_UNKNOWN, c->spec,
                          eq ? "-D %.*s: no parameter of that name" : "-D %.*s: write NAME=VALUE",
                          WM_STR_ARG(name));
        near = wm_suggest(cc->a, name, names.item, names.n);
        if (near.n)
            wm_note(&cc->diags, dg, "did you mean %.*s?", WM_STR_ARG(near));
    }
}

/* ---- one link ---- */

static bool
key_exists(void *user, struct wm_str key)
{
    const struct wm_bind *b = user;

    return wm_map_get(&b->in->by_key, key) != WM_NONE;
}

static void
list_files(struct wm_bind *b, const struct wm_tset *placed, const struct wm_manifest *manifest)
{
    struct wm_map seen;

    if (manifest) {
        for (uint32_t i = 0; i < manifest->file.n; i++)
            *WM_PUSH(b->cc->a, &b->in_files) = manifest->file.item[i].name;
        return;
    }
    wm_map_init(&seen, b->cc->a, 16);
    for (uint32_t i = 0; i < placed->t.n; i++)
        if (wm_map_put(&seen, placed->t.item[i].file, b->in_files.n) == b->in_files.n)
            *WM_PUSH(b->cc->a, &b->in_files) = placed->t.item[i].file;
}

/* The tensors of a side without files and shards are its keys as they are. */
static bool
index_keys(struct wm_bind *b, struct wm_tset *placed)
{
    if (b->first && placed->by_key.n == placed->t.n)
        return true;
    wm_map_init(&placed->by_key, b->cc->a, placed->t.n);
    for (uint32_t i = 0; i < placed->t.n; i++) {
        uint32_t was = wm_map_put(&placed->by_key, placed->t.item[i].key, i);

        if (was != i) {
            wm_report_at(&b->cc->diags, WM_E_KEY_CLASH, placed->t.item[i].file,
                         "`%.*s` is in two files, also in %.*s", WM_STR_ARG(placed->t.item[i].key),
                         WM_STR_ARG(placed->t.item[was].file));
            return false;
        }
    }
    return true;
}

static bool
has_shards(const struct wm_module *m, int side)
{
    for (uint32_t i = 0; i < m->shard.n; i++)
        if (m->shard.item[i]->side == side)
            return true;
    return false;
}

static struct wm_stage *
bind_link(struct wm_bind *b, struct wm_tset *placed)
{
    struct wm_graph *g = b->g;
    struct wm_stage *read = NULL, *out;
    struct wm_tset *in = placed;
    uint32_t before = b->cc->diags.nerror;
    bool taken;

    wm_buf_init(&b->key, b->cc->a);
    wm_params_get(&b->be, wm_menv_of(&b->be, b->m));
    if (!wm_check_emitted(b) || b->cc->diags.nerror != before)
        return NULL;
    if (!wm_bind_aliases(b, 0) || !wm_bind_aliases(b, 1))
        return NULL;
    if (b->m->side[b->rs].file.n || has_shards(b->m, b->rs)) {
        read = wm_bind_read_side(b, placed);
        if (!read)
            return NULL;
        in = read->out;
    } else if (!index_keys(b, placed)) {
        return NULL;
    }
    b->in = in;
    if (b->m->side[b->rs].scale.n || b->m->side[b->ws].scale.n) {
        bool ok = true;

        read = wm_bind_scales(b, read, &ok);
        if (!ok)
            return NULL;
        in = b->in;
    }
    if (!wm_bind_adapter(b, b->rs, in, read, placed->t.n, &read))
        return NULL;
    if (read)
        b->in = in = read->out;
    b->used = WM_NEW_N(b->cc->a, uint8_t, in->t.n);
    b->reader = WM_NEW_N(b->cc->a, const struct wm_rule *, in->t.n);
    b->torn = WM_NEW_N(b->cc->a, bool, in->t.n);
    b->stage = wm_stage_new(g, in);
    if (!wm_bind_rules(b) || b->cc->diags.nerror != before)
        return NULL;
    wm_compare_aliases(b, b->stage);
    taken = b->way && b->way->taken;
    out = b->cc->diags.nerror == before ? wm_bind_write_side(b, b->stage) : NULL;
    if (out && b->lint)
        wm_lint_report(b);
    if (out && read && b->way && b->way->taken != taken) /* the adapter's tensors go through to the side that is written */
        read = wm_widen(g, b->o->adapter, read, placed->t.n);
    return out ? wm_stage_fuse(g, read, out) : NULL;
}

/* ---- what goes with the output ---- */

/* Sidecar files: the globs of both sides, over the input's directory; never its tensor files. */
static enum wm_status
find_carried(struct wm_bind *b, struct wm_graph *g, struct wm_err *err)
{
    struct wm_str *name;
    uint32_t n;
    enum wm_status st;
    bool any = false;

    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < b->m->side[s].item.n; i++)
            any |= b->m->side[s].item.item[i]->kind == WM_SI_CARRY;
    if (!any || g->manifest->dir.n == 0)
        return WM_OK; /* nothing to carry, or an input that is only headers */
    st = wm_list_dir(b->cc->a, b->cc->sys, g->manifest->dir, &name, &n, err);
    for (uint32_t f = 0; st == WM_OK && f < n; f++) {
        bool carry = false;

        for (int s = 0; s < 2; s++)
            for (uint32_t i = 0; i < b->m->side[s].item.n; i++) {
                const struct wm_side_item *it = b->m->side[s].item.item[i];
                struct wm_menv *me = wm_menv_of(&b->be, b->m->side[s].item_mod.item[i]);
                bool yes = it->kind == WM_SI_CARRY;

                if (yes && it->when && !wm_eval_bool(&b->be, me, NULL, it->when, &yes))
                    yes = false;
                for (uint32_t t = 0; t < it->ntmpl && yes; t++)
                    carry |= it->tmpl[t]->npart == 1 &&
                             fnmatch(wm_arena_cstr(b->cc->a, it->tmpl[t]->part[0].text),
                                     wm_arena_cstr(b->cc->a, name[f]), 0) == 0;
            }
        for (uint32_t i = 0; carry && i < g->manifest->file.n; i++)
            carry = !wm_str_eq(g->manifest->file.item[i].name, name[f]);
        if (carry && !wm_str_ends(name[f], WM_STR(".index.json")))
            *WM_PUSH(b->cc->a, &g->carry) = name[f];
    }
    return st;
}

static void
find_format(struct wm_bind *b, struct wm_graph *g)
{
    const struct wm_side *s = &b->m->side[b->ws];

    g->out_root = s->root; /* what a link before this one says is of the middle */
    g->out_format = g->out_file = WM_STR("");
    for (uint32_t i = 0; i < s->item.n; i++)
        if (s->item.item[i]->kind == WM_SI_FORMAT)
            g->out_format = s->item.item[i]->name;
    for (uint32_t i = 0; i < s->file.n && s->file.n == 1; i++)
        if (s->file.item[i].name.npart == 1 && s->file.item[i].name.part[0].kind == WM_KP_TEXT)
            g->out_file = s->file.item[i].name.part[0].text;
}

static void
warn_not_carried(struct wm_cc *cc, const struct wm_graph *g)
{
    struct wm_diag *d;

    if (g->not_carried.n == 0)
        return;
    d = wm_report_at(&cc->diags, WM_E_NOT_CARRIED, g->manifest->path,
                     "%u tensor%s of one-way rules %s not carried in this direction", g->not_carried.n,
                     g->not_carried.n == 1 ? "" : "s", g->not_carried.n == 1 ? "is" : "are");
    for (uint32_t i = 0; i < g->not_carried.n && i < 8; i++)
        wm_note(&cc->diags, d, "%s", wm_place_show(cc->a, g->not_carried.item[i]).p);
}

/* The tensors of the adapter follow those of the input, so that one manifest has all that a plan reads. */
static const struct wm_manifest *
with_adapter(struct wm_cc *cc, const struct wm_manifest *in, const struct wm_adapter *ad)
{
    struct wm_manifest *m = WM_NEW(cc->a, struct wm_manifest);
    uint32_t nfile = in->file.n;

    *m = *in;
    memset(&m->file, 0, sizeof(m->file));
    memset(&m->tensor, 0, sizeof(m->tensor));
    memset(&m->sum, 0, sizeof(m->sum));
    for (int k = 0; k < 2; k++) {
        const struct wm_manifest *from = k ? ad->manifest : in;

        for (uint32_t i = 0; i < from->file.n; i++)
            *WM_PUSH(cc->a, &m->file) = from->file.item[i];
        for (uint32_t i = 0; i < from->tensor.n; i++) {
            struct wm_mtensor *t = WM_PUSH(cc->a, &m->tensor);

            *t = from->tensor.item[i];
            t->file += k ? nfile : 0;
        }
        for (uint32_t i = 0; i < from->sum.n; i++) {
            struct wm_msum *s = WM_PUSH(cc->a, &m->sum);

            *s = from->sum.item[i];
            s->file += k ? nfile : 0;
        }
    }
    return m;
}

static struct wm_tset *
input_set(struct wm_cc *cc, const struct wm_manifest *in)
{
    struct wm_tset *ts = WM_NEW(cc->a, struct wm_tset);

    if (in->by_name.n == in->tensor.n) /* else the same name is in several files */
        ts->by_key = in->by_name;
    for (uint32_t i = 0; i < in->tensor.n; i++) {
        const struct wm_mtensor *t = &in->tensor.item[i];

        wm_tset_add(cc, ts, &(struct wm_gt){.file = in->file.item[t->file].name, .key = t->name,
                                            .dtype = t->dtype, .rank = t->rank, .shape = t->shape});
    }
    return ts;
}

/* What all links share. */
struct binding {
    struct wm_cc *cc;
    struct wm_chain *c;
    const struct wm_manifest *in;
    const struct wm_bind_opts *o;
    struct wm_benv config;
    const struct wm_module *lora;
    bool reads_parts;
    struct wm_way way;
};

static struct wm_bind *
new_link(struct binding *x, struct wm_graph *g, uint32_t i, const struct wm_tset *placed)
{
    const struct wm_bind_opts *o = x->o;
    const struct wm_chain_link *l = &x->c->link.item[o->reverse ? x->c->link.n - 1 - i : i];
    struct wm_bind *b = WM_NEW(x->cc->a, struct wm_bind);

    *b = (struct wm_bind){.cc = x->cc, .g = g, .o = o, .be = x->config, .m = l->module, .back = l->inverse != o->reverse};
    b->rs = b->back;
    b->ws = !b->back;
    b->led = WM_NONE;
    b->be.cc = x->cc;
    b->be.exists = key_exists;
    b->be.keys = wm_values_in_keys;
    b->be.user = b;
    b->be.define = o->define;
    b->be.ndefine = o->ndefine;
    b->be.settled = o->settled;
    b->parts = x->reads_parts && !o->parts->full ? o->parts : NULL;
    b->first = i == 0;
    b->lora = x->lora;
    b->way = o->adapter ? &x->way : NULL;
    b->lint = o->lint ? wm_lint_new(x->cc->a) : NULL;
    list_files(b, placed, i == 0 ? x->in : NULL);
    if (i == 0 && x->in->is_dir)
        b->be.dir = x->in->dir;
    b->be.file = b->in_files.item;
    b->be.nfile = i == 0 ? b->in_files.n : 0;
    wm_benv_enter(&b->be, l);
    return b;
}

/* All links, one after the other; g->stage has no outputs where there were diagnostics. */
static enum wm_status
bind_links(struct binding *x, struct wm_graph *g, struct wm_err *err)
{
    struct wm_tset *placed = input_set(x->cc, x->in);
    uint32_t before = x->cc->diags.nerror;
    enum wm_status st = WM_OK;

    g->cc = x->cc;
    g->manifest = x->o->adapter ? with_adapter(x->cc, x->in, x->o->adapter) : x->in;
    *WM_PUSH(x->cc->a, &g->elem) = (struct wm_elem){.kind = WM_EL_COPY};
    *WM_PUSH(x->cc->a, &g->geom) = (struct wm_geom){.nslot = 1};
    for (uint32_t i = 0; i < x->c->link.n && st == WM_OK && x->cc->diags.nerror == before; i++) {
        struct wm_bind *b = new_link(x, g, i, placed);
        bool taken = x->way.taken;
        struct wm_stage *s = bind_link(b, placed);

        if (!s)
            break;
        if (g->stage && x->way.taken != taken) /* the adapter's tensors go through to this link */
            g->stage = wm_widen(g, x->o->adapter, g->stage, x->in->tensor.n);
        g->stage = wm_stage_fuse(g, g->stage, s);
        if (!g->stage)
            break;
        placed = g->stage->out;
        st = find_carried(b, g, err);
        find_format(b, g);
        g->out_bind = b;
    }
    return st;
}

/* The links again, with the adapter in the layout that has the most of it, where none took it; what was warned of is
 * warned of once. */
static enum wm_status
bind_again(struct binding *x, struct wm_graph **g, uint32_t nlist, uint32_t nwarning, struct wm_err *err)
{
    x->cc->diags.list.n = nlist;
    x->cc->diags.nwarning = nwarning;
    x->way = (struct wm_way){.want = x->way.best};
    *g = WM_NEW(x->cc->a, struct wm_graph);
    return bind_links(x, *g, err);
}

enum wm_status
wm_bind(struct wm_cc *cc, struct wm_chain *c, const struct wm_manifest *in, const struct wm_bind_opts *o,
        struct wm_graph **out, struct wm_err *err)
{
    struct wm_graph *g = WM_NEW(cc->a, struct wm_graph);
    struct binding x = {.cc = cc, .c = c, .in = in, .o = o, .way = {.want = WM_NONE}};
    enum wm_status st = find_config(cc, in, o, &x.config, err);
    uint32_t before = cc->diags.nerror, nlist, nwarning;

    if (st != WM_OK || (st = find_parts(c, o, &x.reads_parts, err)) != WM_OK)
        return st;
    if (o->adapter) {
        if (!wm_lora_module(cc, o->adapter, &x.lora))
            return WM_NO;
        x.config.adapter = o->adapter->config;
        if (o->adapter_to != WM_ADAPTER_OTHER) /* from the layout that is read to the one that is written */
            x.way.want = 0;
    }
    wm_check_defines(cc, c, o);
    if (cc->diags.nerror != before)
        return WM_NO;
    nlist = cc->diags.list.n;
    nwarning = cc->diags.nwarning;
    st = bind_links(&x, g, err);
    if (st == WM_OK && o->adapter && !x.way.taken && cc->diags.nerror == before)
        st = bind_again(&x, &g, nlist, nwarning, err);
    if (st != WM_OK)
        return st;
    warn_not_carried(cc, g);
    if (o->adapter && cc->diags.nerror == before)
        wm_check_adapted(g, o);
    if (cc->diags.nerror != before)
        return WM_NO;
    if (o->adapter_to != WM_ADAPTER_OTHER && !wm_adapter_convert(g->out_bind, g))
        return WM_NO;
    if (g->stage->out->t.n == 0 && in->tensor.n > 0) {
        wm_report_at(&cc->diags, WM_E_NO_OUTPUT, in->path, "the map makes no tensor of this input");
        return WM_NO;
    }
    if (g->stage->out->by_key.a)
        wm_map_drop(&g->stage->out->by_key);
    st = wm_select(g, o->only, o->nonly, x.reads_parts ? NULL : o->parts, err);
    if (st == WM_OK && o->settled)
        o->settled->given = true;
    if (st == WM_OK)
        *out = g;
    return st;
}
