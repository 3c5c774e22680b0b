/* compiler/mini_find.c -- the search for settings under which a map binds and its rules are used.
 *
 * Settings are changed one at a time, in order; a change stays where it is an improvement: fewer
 * errors, then more rules used, then fewer axes of equal size, then fewer tensors where they are
 * many.  Every trial invents tensors and binds the map to their headers, in memory of its own. */
#include <cjson/cJSON.h>

#include "compiler/json_tree.h"
#include "compiler/mini.h"

enum {
    WM_FIND_SWEEPS = 4,
    WM_FIND_SETS = 8,
    WM_FIND_LEAPS = 200,
    WM_FIND_TRIES = 200000,
    WM_FIND_LARGE = 2000, /* tensors */
    WM_FIND_NEVER = 10000 /* errors: it hides all others, and must not look better for it */
};

struct score {
    uint32_t nerror, nused, nnew, nequal, ntensor;
};

struct find {
    struct wm_cc *cc;
    struct wm_chain *chain;
    const struct wm_bind_opts *o;
    struct cJSON *base; /* the user's configuration, or NULL */
    struct wm_err *err;
    uint32_t nitem;
    bool *used;     /* [nitem] by the sets so far */
    uint32_t tries; /* of shapes for operations */
};

/* ---- headers without files ---- */

static uint32_t
file_number(struct wm_cc *cc, struct wm_manifest *m, struct wm_map *seen, struct wm_str name)
{
    uint32_t at = wm_map_put(seen, name, m->file.n);

    if (at == m->file.n)
        *WM_PUSH(cc->a, &m->file) = (struct wm_mfile){.path = name, .name = name};
    return at;
}

static struct wm_manifest *
manifest_of(struct wm_cc *cc, const struct wm_tset *placed)
{
    struct wm_manifest *m = WM_NEW(cc->a, struct wm_manifest);
    struct wm_map seen;

    *m = (struct wm_manifest){.a = cc->a, .path = WM_STR("the mini checkpoint"), .is_dir = true};
    wm_map_init(&seen, cc->a, 16);
    wm_map_init(&m->by_name, cc->a, placed->t.n);
    for (uint32_t i = 0; i < placed->t.n; i++) {
        const struct wm_gt *gt = &placed->t.item[i];
        struct wm_mtensor *t = WM_PUSH(cc->a, &m->tensor);

        *t = (struct wm_mtensor){.name = wm_place_key(gt->key),
                                 .dtype = gt->dtype,
                                 .rank = gt->rank,
                                 .shape = gt->shape};
        t->file = file_number(cc, m, &seen, gt->file.n ? gt->file : WM_STR("model.safetensors"));
        wm_dtype_nbytes(gt->dtype, wm_gt_numel(gt), &t->nbytes);
        m->nbytes += t->nbytes;
        m->repeats |= wm_map_put(&m->by_name, t->name, i) != i;
    }
    return m;
}

/* ---- one set ---- */

/* Everything that a set of settings leads to, in the arena of the compilation. */
static enum wm_status
realize(struct find *f, const wm_settings *set, struct wm_mini *out)
{
    struct wm_cc *cc = f->cc;
    struct cJSON *config;
    struct wm_str *define;
    uint32_t before = cc->diags.nerror;

    *out = (struct wm_mini){.opts = *f->o};
    out->set = *set;
    out->set.item = WM_NEW_N(cc->a, struct wm_setting, set->n);
    memcpy(out->set.item, set->item, set->n * sizeof(*set->item));
    out->set.cap = set->n;
    out->config = wm_settings_config(cc->a, set, f->base);
    if (wm_json_tree(cc, "the configuration", out->config, &config, f->err) != WM_OK)
        return f->err->status;
    out->opts.config_tree = config;
    wm_settings_define(cc->a, set, f->o->define, f->o->ndefine, &define, &out->opts.ndefine);
    out->opts.define = define;
    out->opts.invented = true;
    if (!wm_mini_invent(cc, f->chain, set, &out->opts, &f->tries, &out->in))
        return WM_NO;
    out->manifest = manifest_of(cc, out->in.placed);
    if (out->manifest->tensor.n == 0) {
        wm_report_at(&cc->diags, WM_E_NO_OUTPUT, f->chain->spec, "no rule of the map is used");
        return WM_NO;
    }
    return wm_bind(cc, f->chain, out->manifest, &out->opts, &out->graph, f->err) == WM_OK &&
                   cc->diags.nerror == before
               ? WM_OK
               : WM_NO;
}

/* A value that a parameter can't have. */
static bool
is_of_param(const struct wm_diag *d)
{
    return d->code == WM_E_PARAM_TYPE || d->code == WM_E_PARAM_VALUE;
}

/* The same in memory that is given back; only the score remains. */
static struct score
try_set(struct find *f, const wm_settings *set)
{
    struct wm_cc *cc = f->cc, saved = *cc;
    struct wm_arena scratch;
    struct wm_mini m = {0};
    struct score s = {0};

    wm_arena_init(&scratch, cc->a->sys, cc->a->oom, cc->a->oom_user);
    cc->a = &scratch;
    cc->json.item = NULL;
    cc->json.n = cc->json.cap = 0;
    wm_diags_init(&cc->diags, &scratch, &cc->sources);
    realize(f, set, &m);
    s.nerror = cc->diags.nerror + (m.graph == NULL);
    for (uint32_t i = 0; i < cc->diags.list.n; i++)
        s.nerror += is_of_param(cc->diags.list.item[i]) ? WM_FIND_NEVER : 0;
    s.nequal = m.in.nequal;
    s.ntensor = m.manifest ? m.manifest->tensor.n : 0;
    for (uint32_t i = 0; i < f->nitem && m.in.covered; i++) {
        s.nused += m.in.covered[i];
        s.nnew += m.in.covered[i] && !f->used[i];
    }
    for (uint32_t i = 0; i < cc->json.n; i++)
        cJSON_Delete(cc->json.item[i]);
    *cc = saved;
    wm_arena_fini(&scratch);
    return s;
}

static bool
better(struct score a, struct score b)
{
    if (a.nerror != b.nerror)
        return a.nerror < b.nerror;
    if (a.nnew != b.nnew)
        return a.nnew > b.nnew;
    if (a.nused != b.nused)
        return a.nused > b.nused;
    if (a.nequal != b.nequal)
        return a.nequal < b.nequal;
    return b.ntensor > WM_FIND_LARGE && a.ntensor < b.ntensor;
}

/* ---- the search ---- */

static struct score
climb(struct find *f, wm_settings *set)
{
    struct score best = try_set(f, set);

    for (uint32_t sweep = 0; sweep < WM_FIND_SWEEPS; sweep++) {
        bool changed = false;

        for (uint32_t i = 0; i < set->n; i++) {
            struct wm_setting *s = &set->item[i];
            uint32_t keep = s->at;

            for (uint32_t k = 0; k < s->value.n; k++) {
                struct score now;

                if (k == keep)
                    continue;
                s->at = k;
                now = try_set(f, set);
                if (better(now, best)) {
                    best = now;
                    keep = k;
                    changed = true;
                }
            }
            s->at = keep;
        }
        if (!changed || (best.nerror == 0 && best.nused == f->nitem && best.nequal == 0))
            break;
    }
    return best;
}

/* Conditions may need several settings at once: look around at random, the same each time. */
static bool
leap(struct find *f, wm_settings *set)
{
    uint32_t *keep = WM_NEW_N(f->cc->a, uint32_t, set->n);
    uint64_t seed = 1;

    for (uint32_t i = 0; i < set->n; i++)
        keep[i] = set->item[i].at;
    for (uint32_t k = 0; k < WM_FIND_LEAPS; k++) {
        struct score s;

        for (uint32_t i = 0; i < set->n; i++) {
            uint32_t few = set->item[i].value.n < 4 ? set->item[i].value.n : 4;

            seed = seed * 6364136223846793005u + 1442695040888963407u;
            set->item[i].at = seed >> 62 == 0 ? keep[i] : (uint32_t)(seed >> 33) % few;
        }
        s = try_set(f, set);
        if (s.nerror == 0 && s.nnew > 0)
            return true;
    }
    for (uint32_t i = 0; i < set->n; i++)
        set->item[i].at = keep[i];
    return false;
}

static bool
all_used(const struct find *f)
{
    for (uint32_t i = 0; i < f->nitem; i++)
        if (!f->used[i])
            return false;
    return true;
}

/* Nothing works: what the best try says, and what can be given. */
static enum wm_status
explain(struct find *f, const wm_settings *set)
{
    struct wm_mini m;
    struct wm_buf names;
    struct wm_diag *d;
    struct wm_str text = wm_settings_text(f->cc->a, set);

    realize(f, set, &m);
    wm_buf_init(&names, f->cc->a);
    for (uint32_t i = 0; i < set->n; i++)
        if (set->item[i].kind <= WM_SET_PARAM)
            wm_buf_printf(&names, "%s%s%.*s", names.n ? ", " : "",
                          set->item[i].kind == WM_SET_CONFIG ? "config." : "-D ",
                          WM_STR_ARG(set->item[i].name));
    d = wm_report_at(&f->cc->diags, WM_E_MINI, f->chain->spec,
                     "no small checkpoint was found that the map takes");
    if (text.n)
        wm_note(&f->cc->diags, d, "the best try: %.*s", WM_STR_ARG(text));
    if (names.n)
        wm_note(&f->cc->diags, d, "give values that fit, in a file for --config or with -D: %.*s",
                WM_STR_ARG(wm_buf_str(&names)));
    return WM_NO;
}

static enum wm_status
read_base(struct find *f)
{
    const struct cJSON *c = NULL;
    enum wm_status st;

    if (f->o->config.n == 0)
        return WM_OK;
    st = wm_config_read(f->cc, f->o->config, &c, f->err);
    f->base = (struct cJSON *)c; /* kept by the compilation; never changed */
    return st;
}

/* What the user gave and no choice of other settings makes right; then nothing is searched for. */
static enum wm_status
check_given(struct find *f)
{
    struct wm_cc *cc = f->cc;
    uint32_t before = cc->diags.nerror;

    wm_check_defines(cc, f->chain, f->o);
    for (uint32_t i = 0; i < f->chain->link.n; i++) {
        const struct wm_chain_link *l = &f->chain->link.item[i];
        struct wm_benv be = {.cc = cc, .config = f->base, .define = f->o->define, .ndefine = f->o->ndefine};
        struct wm_diags all = cc->diags, found;

        wm_diags_init(&cc->diags, cc->a, &cc->sources);
        wm_benv_enter(&be, l);
        wm_params_get(&be, wm_menv_of(&be, l->module));
        found = cc->diags;
        cc->diags = all;
        for (uint32_t k = 0; k < found.list.n; k++)
            if (is_of_param(found.list.item[k]))
                wm_diag_add(&cc->diags, found.list.item[k]);
    }
    return cc->diags.nerror == before ? WM_OK : WM_NO;
}

enum wm_status
wm_mini_find(struct wm_cc *cc, struct wm_chain *c, const struct wm_bind_opts *o, uint32_t max,
             struct wm_mini **out, uint32_t *n, struct wm_err *err)
{
    struct find f = {
        .cc = cc, .chain = c, .o = o, .err = err, .nitem = wm_mini_items(c, o->reverse)};
    WM_VEC(struct wm_mini) sets = {0};
    wm_settings set;
    enum wm_status st = read_base(&f);

    if (st != WM_OK || (st = check_given(&f)) != WM_OK)
        return st;
    if (max == 0)
        max = WM_FIND_SETS;
    f.used = WM_NEW_N(cc->a, bool, f.nitem);
    f.tries = WM_FIND_TRIES;
    wm_settings_collect(cc, c, f.base, o->define, o->ndefine, &set);
    while (sets.n < max && (sets.n == 0 || !all_used(&f))) {
        struct score s = climb(&f, &set);
        struct wm_mini *m;

        if ((s.nerror > 0 || (s.nnew == 0 && sets.n > 0)) && leap(&f, &set))
            s = climb(&f, &set);
        if (s.nerror > 0 && sets.n == 0)
            return explain(&f, &set);
        if (s.nerror > 0 || (s.nnew == 0 && sets.n > 0))
            break;
        m = WM_PUSH(cc->a, &sets);
        f.tries = WM_FIND_TRIES; /* what was found is found again */
        st = realize(&f, &set, m);
        if (st != WM_OK)
            return st;
        for (uint32_t i = 0; i < f.nitem; i++)
            f.used[i] |= m->in.covered[i];
    }
    *out = sets.item;
    *n = sets.n;
    return WM_OK;
}
