/* compiler/adapter.c -- opens a low-rank adapter: its tensors, and what its configuration says of them.
 *
 * A directory of PEFT has adapter_config.json beside its tensors, one of LitGPT lit_model.pth.lora and, from its
 * trainer, hyperparameters.yaml.  Any other checkpoint serves for maps with `lora` lines of their own. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "compiler/driver.h"
#include "compiler/json_tree.h"
#include "compiler/value.h"

enum { YAML_MAX = 1 << 20 };

static bool
is_there(struct wm_cc *cc, struct wm_str dir, const char *name, struct wm_str *path)
{
    struct stat st;

    *path = wm_arena_printf(cc->a, "%.*s/%s", WM_STR_ARG(dir), name);
    return cc->sys->stat(path->p, &st) == 0 && S_ISREG(st.st_mode);
}

static struct wm_str
trimmed(struct wm_str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

/* As in YAML, where a point may stand first or last.  No number: 0x10, inf, 1_000. */
static bool
is_number(struct wm_str s)
{
    char *end;

    strtod(s.p, &end);
    return end == s.p + s.n && strspn(s.p, "0123456789+-.eE") == s.n;
}

/* `name: value` of the outermost level: what a trainer's settings are.  Others are passed over. */
static bool
add_setting(struct wm_cc *cc, cJSON *to, struct wm_str line)
{
    const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
    struct wm_str name, value;
    cJSON *number;

    if (!colon || line.p[0] == ' ' || line.p[0] == '#' || line.p[0] == '-')
        return true;
    name = wm_arena_str(cc->a, trimmed((struct wm_str){line.p, (size_t)(colon - line.p)}));
    value = wm_arena_str(cc->a, trimmed((struct wm_str){colon + 1, line.n - (size_t)(colon + 1 - line.p)}));
    if (value.n == 0 || cJSON_GetObjectItemCaseSensitive(to, name.p))
        return true;
    if (wm_str_eq(value, WM_STR("true")) || wm_str_eq(value, WM_STR("false")))
        return cJSON_AddBoolToObject(to, name.p, value.p[0] == 't') != NULL;
    if (!is_number(value))
        return cJSON_AddStringToObject(to, name.p, value.p) != NULL;
    if (value.p[0] < '1' || value.p[0] > '9' || strspn(value.p, "0123456789") != value.n)
        return cJSON_AddNumberToObject(to, name.p, strtod(value.p, NULL)) != NULL;
    number = wm_json_number(cc->a, value); /* to its last digit */
    return number && cJSON_AddItemToObject(to, name.p, number);
}

static enum wm_status
read_settings(struct wm_cc *cc, struct wm_str path, const struct cJSON **out, struct wm_err *err)
{
    struct wm_str text = WM_STR("");
    cJSON *o = cJSON_CreateObject();
    enum wm_status st = WM_OK;

    if (!o)
        return wm_fail(err, WM_ENOMEM, NULL, "out of memory");
    wm_cc_own_json(cc, o);
    *out = o;
    if (path.n)
        st = wm_read_file(cc->a, cc->sys, path, YAML_MAX, &text, err);
    while (st == WM_OK && text.n) {
        const char *nl = memchr(text.p, '\n', text.n);
        size_t n = nl ? (size_t)(nl - text.p) : text.n;

        if (!add_setting(cc, o, (struct wm_str){text.p, n}))
            return wm_fail(err, WM_ENOMEM, NULL, "out of memory");
        n += nl != NULL;
        text.p += n;
        text.n -= n;
    }
    return st;
}

/* Is there a value, and is it neither false nor empty? */
static bool
is_said(const struct cJSON *c, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(c, name);

    return v && !cJSON_IsNull(v) && !cJSON_IsFalse(v) && !((cJSON_IsArray(v) || cJSON_IsObject(v)) && !v->child);
}

/* Numbers are numbers, switches are true or false; what is null is not said. */
static enum wm_status
check_kinds(const struct wm_adapter *ad, struct wm_str path, struct wm_err *err)
{
    static const char *const number[] = {"r", "lora_alpha"}, *const yes_no[] = {"use_rslora", "fan_in_fan_out"};

    for (size_t i = 0; i < WM_COUNTOF(number); i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(ad->config, number[i]);

        if (v && !cJSON_IsNull(v) && !cJSON_IsNumber(v))
            return wm_fail(err, WM_EFORMAT, path.p, "%s is not a number", number[i]);
    }
    for (size_t i = 0; i < WM_COUNTOF(yes_no); i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(ad->config, yes_no[i]);

        if (v && !cJSON_IsNull(v) && !cJSON_IsBool(v))
            return wm_fail(err, WM_EFORMAT, path.p, "%s is neither true nor false", yes_no[i]);
    }
    return WM_OK;
}

/* What PEFT can say that a sum of low rank does not carry. */
static enum wm_status
check_peft(const struct wm_adapter *ad, struct wm_str path, struct wm_err *err)
{
    static const struct {
        const char *name, *why;
    } other[] = {
        {"use_dora", "a weight that is also divided by its norm is no low-rank sum"},
        {"lora_bias", "the bias of a factor is not merged"},
        {"alora_invocation_tokens", "an adapter that works from some token on cannot be merged"},
        {"arrow_config", "adapters that are chosen between at run time cannot be merged"},
        {"kasa_config", "the weight is truncated by its singular values, which is no low-rank sum"},
        {"layer_replication", "the model has more layers than the base"},
        {"use_bdlora", "its factors are cut into blocks, which is not read"},
    };
    /* these take their first factors out of the base, and PEFT does so again when it loads them */
    static const char *const start[] = {"pissa", "olora", "corda", "loftq", "lora_ga"};
    const struct cJSON *type = cJSON_GetObjectItemCaseSensitive(ad->config, "peft_type");
    const struct cJSON *init = cJSON_GetObjectItemCaseSensitive(ad->config, "init_lora_weights");

    if (cJSON_IsString(type) && strcmp(type->valuestring, "LORA") != 0)
        return wm_fail(err, WM_ESUPPORT, path.p, "an adapter of the type %s: only LORA can be merged", type->valuestring);
    for (size_t i = 0; i < WM_COUNTOF(other); i++)
        if (is_said(ad->config, other[i].name))
            return wm_fail(err, WM_ESUPPORT, path.p, "%s: %s", other[i].name, other[i].why);
    for (size_t i = 0; i < WM_COUNTOF(start) && cJSON_IsString(init); i++)
        if (strncmp(init->valuestring, start[i], strlen(start[i])) == 0)
            return wm_fail(err, WM_ESUPPORT, path.p, "init_lora_weights \"%s\": it changes the base, too; PEFT makes a plain "
                           "adapter of it by save_pretrained(path_initial_model_for_weight_conversion=...)",
                           init->valuestring);
    return WM_OK;
}

/* Names with the adapter's own in them, as in x.lora_A.default.weight, to those without. */
static void
drop_default(struct wm_cc *cc, struct wm_manifest *m)
{
    static const char *const part[] = {".lora_A.default", ".lora_B.default", ".lora_embedding_A.default",
                                       ".lora_embedding_B.default"};

    for (uint32_t i = 0; i < m->tensor.n; i++)
        for (size_t k = 0; k < WM_COUNTOF(part); k++) {
            struct wm_str *name = &m->tensor.item[i].name;
            size_t n = strlen(part[k]), keep = n - strlen(".default");
            struct wm_str rest;

            if (wm_str_ends(*name, WM_STR(".default.weight")) && name->n > n + 7)
                rest = (struct wm_str){name->p + name->n - n - 7, n};
            else if (name->n > n)
                rest = (struct wm_str){name->p + name->n - n, n};
            else
                continue;
            if (memcmp(rest.p, part[k], n) == 0)
                *name = wm_arena_printf(cc->a, "%.*s%s", (int)(rest.p - name->p + (ptrdiff_t)keep), name->p,
                                        rest.p + n == name->p + name->n ? "" : ".weight");
        }
}

static struct wm_str
dir_of(struct wm_str path)
{
    while (path.n && path.p[path.n - 1] != '/')
        path.n--;
    return path.n > 1 ? (struct wm_str){path.p, path.n - 1} : path.n ? path : WM_STR(".");
}

enum wm_status
wm_adapter_open(struct wm_cc *cc, struct wm_str path, const struct wm_open_opts *opts, const struct wm_adapter **out,
                struct wm_err *err)
{
    struct wm_adapter *ad = WM_NEW(cc->a, struct wm_adapter);
    struct wm_str file = path, dir, config;
    struct stat st;
    bool is_dir = cc->sys->stat(wm_arena_cstr(cc->a, path), &st) == 0 && S_ISDIR(st.st_mode);
    enum wm_status s = WM_OK;

    dir = is_dir ? path : dir_of(path);
    if (is_there(cc, dir, "adapter_config.json", &config)) {
        ad->kind = WM_ADAPTER_PEFT;
        if (is_dir && !is_there(cc, dir, "adapter_model.safetensors", &file) &&
            !is_there(cc, dir, "adapter_model.bin", &file))
            file = path;
        if ((s = wm_config_read(cc, config, &ad->config, err)) == WM_OK && (s = check_kinds(ad, config, err)) == WM_OK)
            s = check_peft(ad, config, err);
    } else {
        if (is_dir && is_there(cc, dir, "lit_model.pth.lora", &file))
            ad->kind = WM_ADAPTER_LITGPT;
        else if (is_dir)
            file = path;
        else if (wm_str_ends(path, WM_STR(".lora")))
            ad->kind = WM_ADAPTER_LITGPT;
        if (!is_there(cc, dir, "hyperparameters.yaml", &config))
            config = WM_STR("");
        s = read_settings(cc, config, &ad->config, err);
    }
    if (s == WM_OK)
        s = wm_manifest_open(cc->a, cc->sys, file, opts, &ad->manifest, err);
    if (s == WM_OK && ad->kind == WM_ADAPTER_PEFT)
        drop_default(cc, ad->manifest);
    *out = ad;
    return s;
}
