/* api/mini_mutate.c -- every mutant of a map against the mini checkpoints of the map itself.
 *
 * A mutant is loaded in a context of its own, with its text in the place of the file that it
 * changes, and goes through check, binding and run until something notices: last of all a
 * comparison of what it makes with what the map makes, both ways. */
#include "api/mini.h"
#include "compiler/mutate.h"

typedef WM_VEC(struct wm_module *) modules;

/* ---- what is mutated ---- */

/* Files whose rules the chain runs: its modules, and those that they use. */
static void
collect(struct wm_mini_run *r, struct wm_module *m, modules *list)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (list->item[i] == m)
            return;
    *WM_PUSH(r->a, list) = m;
    for (uint32_t i = 0; i < m->rule.n; i++)
        if (m->rule.item[i]->used_by && list->n < 1000)
            collect(r, m->rule.item[i]->mod, list);
}

/* Does the set use an instance of that rule of the text? */
static bool
uses(const struct wm_mini_run *r, const struct wm_mini *set, const struct wm_rule_ast *rule)
{
    const struct wm_chain *c = r->map->chain;
    uint32_t at = 0;

    for (uint32_t i = 0; i < c->link.n; i++) {
        const struct wm_module *m = c->link.item[r->o->reverse ? c->link.n - 1 - i : i].module;

        for (uint32_t k = 0; k < m->rule.n; k++, at++)
            if (m->rule.item[k]->ast == rule && set->in.covered[at])
                return true;
    }
    return false;
}

/* Does data go through the rule in this direction at all? */
static bool
runs(const struct wm_mini_run *r, const struct wm_mutant *mu)
{
    const struct wm_chain *c = r->map->chain;

    for (uint32_t i = 0; i < c->link.n; i++) {
        bool back = c->link.item[i].inverse != r->o->reverse;
        const struct wm_module *m = c->link.item[i].module;

        for (uint32_t k = 0; k < m->rule.n; k++)
            if (m->rule.item[k]->ast == mu->rule &&
                (mu->rule->arrow == WM_AR_BOTH ||
                 mu->rule->arrow == (back ? WM_AR_BACKWARD : WM_AR_FORWARD)))
                return true;
    }
    return false;
}

/* ---- loading ---- */

/* The module of a path: the one that was loaded, or its text in the compilation of the original. */
static struct wm_module *
load(struct wm_mini_run *r, struct wmap_ctx *ctx, struct wm_str path)
{
    const struct wm_sources *ss = &r->ctx->cc.sources;
    struct wm_err err = {0};

    for (uint32_t i = 0; i < ctx->cc.module.n; i++)
        if (wm_str_eq(ctx->cc.module.item[i]->path, path))
            return ctx->cc.module.item[i];
    for (uint32_t i = 0; i < ss->list.n; i++)
        if (wm_str_eq(ss->list.item[i].path, path))
            return wm_module_of_text(&ctx->cc, path, ss->list.item[i].text, &err);
    return NULL;
}

/* The chain with its modules loaded anew; NULL: something is wrong with them. */
static struct wm_chain *
load_chain(struct wm_mini_run *r, struct wmap_ctx *ctx)
{
    const struct wm_chain *old = r->map->chain;
    struct wm_chain *c = WM_NEW(&ctx->arena, struct wm_chain);

    c->spec = old->spec;
    for (uint32_t i = 0; i < old->link.n; i++) {
        struct wm_chain_link *l = WM_PUSH(&ctx->arena, &c->link);

        *l = old->link.item[i];
        l->module = load(r, ctx, old->link.item[i].module->path);
        l->arg_mod = l->arg_mod ? load(r, ctx, l->arg_mod->path) : NULL;
        if (!l->module || !l->module->ok)
            return NULL;
    }
    return ctx->cc.diags.nerror == 0 ? c : NULL;
}

/* ---- one mutant ---- */

/* Bound to what a trial's map was bound to, does it make the same? */
static enum wm_fate
one_way(struct wm_mini_run *r, struct wmap_map *map, const struct wm_trial *t, bool back)
{
    struct wmap_ctx *ctx = map->ctx;
    const struct wm_bind_opts *b = &t->mini->opts;
    const struct wm_result *want = back ? &t->again : &t->out;
    const char **define = WM_NEW_N(&ctx->arena, const char *, b->ndefine);
    wmap_bind_options o = {.config = t->config,
                           .define = define,
                           .ndefine = b->ndefine,
                           .reverse = b->reverse != back,
                           .allow_unmapped = back,
                           .allow_missing = back};
    struct wm_result have = {0};
    wmap_plan *plan;

    (void)r;
    for (uint32_t i = 0; i < b->ndefine; i++)
        define[i] = wm_arena_cstr(&ctx->arena, b->define[i]);
    if (wmap_bind(map, back ? t->output : t->input, &o, &plan) != WMAP_OK)
        return WM_FATE_BIND;
    if (wm_result_of_plan(&have, &ctx->arena, ctx->sys, &plan->plan, t->by_file[back ? 0 : 1],
                          &ctx->err) != WM_OK)
        return WM_FATE_RUN;
    if (have.n != want->n)
        return WM_FATE_RESULT;
    for (uint32_t i = 0; i < have.n; i++) {
        const struct wm_made *x = wm_result_find(want, &have.tensor[i]);

        if (!x || !wm_made_equal(x, &have.tensor[i]))
            return WM_FATE_RESULT;
    }
    return WM_FATE_SAME;
}

static enum wm_fate
fate_of(struct wm_mini_run *r, struct wmap_ctx *ctx, const struct wm_mutant *mu)
{
    struct wm_err err = {0};
    struct wm_module *m = wm_module_of_text(&ctx->cc, mu->mod->path, mu->text, &err);
    struct wmap_map map = {.ctx = ctx};
    enum wm_fate fate = WM_FATE_UNUSED;

    map.chain = m->ok ? load_chain(r, ctx) : NULL;
    if (!map.chain)
        return WM_FATE_CHECK;
    for (uint32_t k = 0; k < r->nset; k++) {
        const struct wm_trial *t = &r->trial[k];

        if (!uses(r, t->mini, mu->rule))
            continue;
        fate = one_way(r, &map, t, false);
        if (fate == WM_FATE_SAME && t->backward)
            fate = one_way(r, &map, t, true);
        if (fate != WM_FATE_SAME)
            break;
    }
    return fate;
}

static enum wm_status
try_mutant(struct wm_mini_run *r, const struct wm_mutant *mu, uint8_t *fate)
{
    struct wmap_ctx *ctx = wmap_ctx_new();

    if (!ctx)
        return wm_fail(&r->ctx->err, WM_ENOMEM, NULL, "out of memory");
    wmap_set_oom(ctx, r->ctx->oom, r->ctx->oom_user);
    for (uint32_t i = 0; i < r->ctx->cc.path.n; i++)
        *WM_PUSH(&ctx->arena, &ctx->cc.path) = r->ctx->cc.path.item[i];
    *fate = (uint8_t)fate_of(r, ctx, mu);
    wmap_ctx_free(ctx);
    return wm_ctx_stopped(r->ctx, &r->ctx->err) ? WM_ELIMIT : WM_OK;
}

enum wm_status
wm_mini_mutate(struct wm_mini_run *r, struct wm_fates *out)
{
    struct wm_progress p = {r->ctx, &r->o->work};
    modules list = {0};
    wm_mutants mutants = {0};
    enum wm_status st = WM_OK;

    for (uint32_t i = 0; i < r->map->chain->link.n; i++)
        collect(r, r->map->chain->link.item[i].module, &list);
    for (uint32_t i = 0; i < list.n; i++)
        wm_mutate(&r->ctx->cc, list.item[i], &mutants);
    *out = (struct wm_fates){.fate = WM_NEW_N(r->a, uint8_t, mutants.n)};
    for (uint32_t i = 0; i < mutants.n; i++)
        if (runs(r, mutants.item[i]))
            *WM_PUSH(r->a, &out->mutant) = mutants.item[i];
    for (uint32_t i = 0; i < out->mutant.n && st == WM_OK; i++) {
        st = try_mutant(r, out->mutant.item[i], &out->fate[i]);
        out->count[out->fate[i]]++;
        if (st == WM_OK && wm_progress_call(&p, i + 1, out->mutant.n))
            st = wm_fail(&r->ctx->err, WM_ELIMIT, NULL, "interrupted");
    }
    return st;
}
