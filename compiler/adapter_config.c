/* compiler/adapter_config.c -- what is written beside a converted adapter: PEFT's adapter_config.json, LitGPT's
 * hyperparameters.yaml.
 *
 * Enters: the weights with their modules, ranks and scales.  Leaves: a small file of the output.  A module is named by
 * the end of its name where that means no other module, as PEFT reads it. */
#include <cjson/cJSON.h>
#include <math.h>

#include "compiler/adapter_out.h"
#include "compiler/json_tree.h"

/* The alpha that gives the scale back, to the bit; false: there is none. */
static bool
alpha_of(double scale, int64_t r, bool slow, double *alpha)
{
    double by = slow ? sqrt((double)r) : (double)r, first = scale * by;
    double tries[] = {round(first), first, nextafter(first, INFINITY), nextafter(first, -INFINITY)};

    for (size_t i = 0; i < WM_COUNTOF(tries); i++)
        if (tries[i] / by == scale) {
            *alpha = tries[i];
            return true;
        }
    return false;
}

static bool
all_have_alpha(const struct wm_adapter_out *x, bool slow)
{
    double alpha;

    for (uint32_t i = 0; i < x->weight.n; i++)
        if (!alpha_of(x->weight.item[i].scale, x->weight.item[i].r, slow, &alpha))
            return false;
    return true;
}

static const cJSON *
was(const struct wm_adapter_out *x, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(x->ad->config, name);
}

/* ---- names of modules ---- */

/* The last n components of a name. */
static struct wm_str
last(struct wm_str name, int n)
{
    size_t at = name.n;

    while (at > 0 && (name.p[at - 1] != '.' || --n > 0))
        at--;
    return (struct wm_str){name.p + at, name.n - at};
}

static bool
is_end(struct wm_str name, struct wm_str end)
{
    return wm_str_ends(name, end) && (name.n == end.n || name.p[name.n - end.n - 1] == '.');
}

static const struct wm_adapted *
weight_of(const struct wm_adapter_out *x, struct wm_str key)
{
    for (uint32_t i = 0; i < x->weight.n; i++)
        if (wm_str_eq(x->weight.item[i].key, key))
            return &x->weight.item[i];
    return NULL;
}

/* Does the end of a name mean adapted modules only, of this rank and scale (`like`; NULL: any)? */
static bool
means_only(const struct wm_adapter_out *x, struct wm_str end, const struct wm_adapted *like)
{
    for (uint32_t t = 0; t < x->from->out->t.n; t++) {
        struct wm_str key = x->from->out->t.item[t].key, module = key;
        const struct wm_adapted *w;

        if (!wm_str_ends(key, WM_STR(".weight")))
            continue;
        module.n -= strlen(".weight");
        if (!is_end(module, end))
            continue;
        w = weight_of(x, key);
        if (!w || (like && (w->r != like->r || memcmp(&w->scale, &like->scale, sizeof(w->scale)) != 0)))
            return false;
    }
    return true;
}

static struct wm_str
short_name(const struct wm_adapter_out *x, const struct wm_adapted *w, bool same)
{
    for (int n = 1; n < 3; n++)
        if (means_only(x, last(w->module, n), same ? w : NULL))
            return last(w->module, n);
    return w->module;
}

static void
add_name(const struct wm_adapter_out *x, cJSON *list, struct wm_str name)
{
    const char *text = wm_arena_cstr(x->b->cc->a, name);

    for (const cJSON *e = list->child; e; e = e->next)
        if (strcmp(e->valuestring, text) == 0)
            return;
    cJSON_AddItemToArray(list, cJSON_CreateString(text));
}

/* ---- PEFT ---- */

static void
set(cJSON *o, const char *name, cJSON *value)
{
    if (cJSON_GetObjectItemCaseSensitive(o, name))
        cJSON_ReplaceItemInObjectCaseSensitive(o, name, value);
    else
        cJSON_AddItemToObject(o, name, value);
}

/* What no list of names says any more. */
static void
clear(cJSON *o, const char *name)
{
    if (cJSON_GetObjectItemCaseSensitive(o, name))
        cJSON_ReplaceItemInObjectCaseSensitive(o, name, cJSON_CreateNull());
}

/* What most modules have stands for all, with patterns of names for the others: where it can be, what it was. */
static void
ranks(struct wm_adapter_out *x, cJSON *o, bool slow)
{
    cJSON *rank = cJSON_CreateObject(), *alphas = cJSON_CreateObject();
    const struct wm_adapted *first = &x->weight.item[0];
    double alpha = 0, of = 0;
    const cJSON *r = was(x, "r"), *had = was(x, "lora_alpha");

    for (uint32_t i = x->weight.n; i-- > 0 && cJSON_IsNumber(r) && cJSON_IsNumber(had);) {
        const struct wm_adapted *w = &x->weight.item[i];

        if ((double)w->r == r->valuedouble && alpha_of(w->scale, w->r, slow, &of) && of == had->valuedouble)
            first = w;
    }
    alpha_of(first->scale, first->r, slow, &alpha);
    for (uint32_t i = 0; i < x->weight.n; i++) {
        const struct wm_adapted *w = &x->weight.item[i];
        const char *name = wm_arena_cstr(x->b->cc->a, short_name(x, w, true));

        alpha_of(w->scale, w->r, slow, &of);
        if (w->r != first->r)
            set(rank, name, cJSON_CreateNumber((double)w->r));
        if (of != alpha)
            set(alphas, name, cJSON_CreateNumber(of));
    }
    set(o, "r", cJSON_CreateNumber((double)first->r));
    set(o, "lora_alpha", cJSON_CreateNumber(alpha));
    set(o, "rank_pattern", rank);
    set(o, "alpha_pattern", alphas);
    set(o, "use_rslora", cJSON_CreateBool(slow));
}

static bool
orientation(struct wm_adapter_out *x, cJSON *o)
{
    int flipped = -1;

    for (uint32_t i = 0; i < x->weight.n; i++) {
        const struct wm_adapted *w = &x->weight.item[i];

        if (w->embedding) {
            if (!w->flipped)
                return wm_adapter_fail(x, w->key, "the map transposes an embedding, which PEFT does not know");
            continue;
        }
        if (flipped >= 0 && flipped != w->flipped)
            return wm_adapter_fail(x, w->key, "it is transposed and others are not: PEFT has one fan_in_fan_out for all");
        flipped = w->flipped;
    }
    set(o, "fan_in_fan_out", cJSON_CreateBool(flipped == 1));
    return true;
}

static void
modules_to_save(struct wm_adapter_out *x, cJSON *o)
{
    const cJSON *had = was(x, "modules_to_save");
    cJSON *list;

    if (!cJSON_IsArray(had) || !had->child)
        return;
    list = cJSON_CreateArray();
    if (!list)
        return;
    for (uint32_t i = 0; i < x->saved.n; i++) {
        struct wm_str key = x->saved.item[i], tail = last(key, 1);

        key.n -= tail.n + (key.n > tail.n);
        add_name(x, list, last(key, 1));
    }
    set(o, "modules_to_save", list);
}

static void
add_small(struct wm_adapter_out *x, const char *name, struct wm_str text)
{
    *WM_PUSH(x->b->cc->a, &x->b->g->small) = (struct wm_small){wm_str_c(name), text};
}

bool
wm_adapter_config_peft(struct wm_adapter_out *x)
{
    struct wm_arena *a = x->b->cc->a;
    cJSON *o = x->ad->kind == WM_ADAPTER_PEFT ? cJSON_Duplicate(x->ad->config, true) : cJSON_CreateObject();
    cJSON *targets = cJSON_CreateArray();
    bool slow = cJSON_IsTrue(was(x, "use_rslora")) && all_have_alpha(x, true);
    struct wm_str text;

    wm_cc_own_json(x->b->cc, o);
    if (!o || !targets) {
        cJSON_Delete(targets);
        return wm_adapter_fail(x, WM_STR("adapter_config.json"), "out of memory");
    }
    set(o, "target_modules", targets);
    if (x->weight.n == 0)
        return wm_adapter_fail(x, WM_STR("the adapter"), "no weight of the map has a pair of it");
    if (!slow && !all_have_alpha(x, false))
        return wm_adapter_fail(x, x->weight.item[0].key, "no lora_alpha gives its scale");
    if (x->ad->kind != WM_ADAPTER_PEFT) {
        set(o, "peft_type", cJSON_CreateString("LORA"));
        set(o, "task_type", cJSON_CreateString("CAUSAL_LM"));
        set(o, "bias", cJSON_CreateString("none"));
        set(o, "inference_mode", cJSON_CreateTrue());
        set(o, "base_model_name_or_path", cJSON_CreateNull());
    }
    ranks(x, o, slow);
    if (!orientation(x, o))
        return false;
    for (uint32_t i = 0; i < x->weight.n; i++)
        add_name(x, targets, short_name(x, &x->weight.item[i], false));
    modules_to_save(x, o);
    clear(o, "target_parameters");
    clear(o, "layers_to_transform"); /* target_modules says it all */
    clear(o, "layers_pattern");
    clear(o, "exclude_modules");
    text = wm_json_print(a, o, true);
    if (text.n == 0)
        return wm_adapter_fail(x, WM_STR("adapter_config.json"), "out of memory");
    add_small(x, "adapter_config.json", wm_arena_printf(a, "%.*s\n", WM_STR_ARG(text)));
    return true;
}

/* ---- LitGPT ---- */

/* Which of q, k and v have a pair: the parts of the weight by their rows. */
static bool
parts_of(struct wm_adapter_out *x, const struct wm_adapted *w, unsigned *mask)
{
    uint32_t n = w->product.n;

    if (n + w->rest[0].n != 3)
        return wm_adapter_fail(x, w->key, "its parts are not q, k and v, each from a tensor of its own");
    *mask = 0;
    for (uint32_t i = 0; i < n; i++) {
        int64_t at = w->product.item[i].line[0].item[0].first;
        unsigned part = 0;

        for (uint32_t k = 0; k < n; k++)
            part += w->product.item[k].line[0].item[0].first < at;
        for (uint32_t k = 0; k < w->rest[0].n; k++)
            part += w->rest[0].item[k].first < at;
        *mask |= 1u << part;
    }
    return true;
}

bool
wm_adapter_config_litgpt(struct wm_adapter_out *x)
{
    static const char *const yes[] = {"false", "true"};
    struct wm_arena *a = x->b->cc->a;
    bool projection = false, mlp = false, head = false;
    int64_t r = -1;
    unsigned mask = 0, part = 0;
    double alpha = 0, dropout = 0;
    const struct wm_adapted *qkv = NULL;

    if (x->weight.n == 0)
        return wm_adapter_fail(x, WM_STR("the adapter"), "no weight of the map has a pair of it");
    for (uint32_t i = 0; i < x->weight.n; i++) {
        const struct wm_adapted *w = &x->weight.item[i];
        int64_t of = w->product.item[0].r;

        if (r >= 0 && (of != r || w->scale != x->weight.item[0].scale))
            return wm_adapter_fail(x, w->key, "it has another rank or scale than others, and LitGPT has one for all");
        r = of;
        projection |= wm_str_ends(w->module, WM_STR("attn.proj"));
        mlp |= wm_str_ends(w->module, WM_STR("fc")) || wm_str_ends(w->module, WM_STR("fc_1")) ||
               wm_str_ends(w->module, WM_STR("fc_2")) || wm_str_ends(w->module, WM_STR("mlp.proj"));
        head |= wm_str_eq(w->module, WM_STR("lm_head"));
        if (!wm_str_ends(w->module, WM_STR("attn.qkv")))
            continue;
        if (!parts_of(x, w, &part))
            return false;
        if (qkv && part != mask)
            return wm_adapter_fail(x, w->key, "it has other pairs of q, k and v than other layers");
        mask = part;
        qkv = w;
    }
    if (!alpha_of(x->weight.item[0].scale, r, false, &alpha) || alpha != round(alpha))
        return wm_adapter_fail(x, x->weight.item[0].key, "no whole lora_alpha gives its scale");
    if (cJSON_IsNumber(was(x, "lora_dropout")))
        dropout = was(x, "lora_dropout")->valuedouble;
    add_small(x, "hyperparameters.yaml",
                     wm_arena_printf(a, "checkpoint_dir: .\nprecision: %s\nlora_r: %lld\nlora_alpha: %.0f\n"
                                     "lora_dropout: %g\nlora_query: %s\nlora_key: %s\nlora_value: %s\n"
                                     "lora_projection: %s\nlora_mlp: %s\nlora_head: %s\n",
                                     x->weight.item[0].product.item[0].dtype == WM_DT_BF16  ? "bf16-true"
                                     : x->weight.item[0].product.item[0].dtype == WM_DT_F16 ? "16-true"
                                                                                            : "32-true",
                                     (long long)r, alpha, dropout, yes[mask & 1], yes[mask >> 1 & 1], yes[mask >> 2 & 1],
                                     yes[projection], yes[mlp], yes[head]));
    return true;
}
