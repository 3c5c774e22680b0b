/* compiler/lora_lines.c -- the lines by which adapters of PEFT and LitGPT are read.
 *
 * They are maps as anyone could write them: of their source only the `lora` lines count, for a side that has none. */
#include <cjson/cJSON.h>
#include <string.h>

#include "compiler/bind.h"

/* PEFT: one pair for each module; an embedding's factors are no modules.  Weights of Conv1D have the inputs first; which
 * are such is told by the names in GPT-2's family, since fan_in_fan_out is only that of the module that came last, and
 * elsewhere by fan_in_fan_out.  What a pair is scaled by is in the configuration, by patterns of names too. */
#define SCALE "scale adapter.lora_alpha / (slow ? sqrt(r) : r)"
static const char peft_head[] =
    "wmap 1\n"
    "map peft_adapter \"Adapters of PEFT\"\n"
    "let flipped = adapter.fan_in_fan_out ?? false\n"
    "let slow = adapter.use_rslora ?? false\n"
    "let conv = config.model_type ?? \"\" in [\"gpt2\", \"openai-gpt\", \"imagegpt\", \"decision_transformer\"]\n"
    "let _turned = config.text_config.model_type ?? config.model_type ?? \"\" in [\"gpt_oss\", \"aria\", \"aria_text\", "
    "\"openai_privacy_filter\"]\n"
    "source {\n";
static const char peft_tail[] =
    "  lora \"base_model.model.{m*}.{c in c_attn|q_attn|c_proj|c_fc}.lora_A.weight\" [r i],\n"
    "    \"base_model.model.{m*}.{c}.lora_B.weight\" [o r] into \"{m*}.{c}.weight\" [i o] " SCALE " when conv\n"
    "  lora \"base_model.model.{m*}.lora_A.weight\" [r i], \"base_model.model.{m*}.lora_B.weight\" [o r]\n"
    "    into \"{m*}.weight\" [o i] " SCALE " when conv || !flipped\n"
    "  lora \"base_model.model.{m*}.lora_A.weight\" [r i], \"base_model.model.{m*}.lora_B.weight\" [o r]\n"
    "    into \"{m*}.weight\" [i o] " SCALE " when flipped && !conv\n"
    "  lora \"base_model.model.{m*}.lora_embedding_A\" [r n], \"base_model.model.{m*}.lora_embedding_B\" [e r]\n"
    "    into \"{m*}.weight\" [n e] " SCALE "\n"
    "}\n"
    "\"{rest*}\" <-> \"{rest*}\"\n";

/* LitGPT: the rows of attn.qkv are those of q, k and v; which of them have a pair, the configuration says, and their
 * pairs lie one behind the other.  Its merge_lora rounds after each step. */
#define QKV(a, b, when)                                                                                                \
    "  lora \"{m*}.attn.qkv.lora_A\" [" a " i], \"{m*}.attn.qkv.lora_B\" [" b " r]\n"                                  \
    "    into \"{m*}.attn.qkv.weight\" [(q + k + v) i] scale lora_alpha / r rounding stepwise\n"                       \
    "    when has_qkv && " when "\n"
static const char litgpt[] =
    "wmap 1\n"
    "map litgpt_adapter \"Adapters of LitGPT\"\n"
    "param lora_alpha = adapter.lora_alpha\n"
    "param lora_query = adapter.lora_query ?? true\n"
    "param lora_key = adapter.lora_key ?? false\n"
    "param lora_value = adapter.lora_value ?? true\n"
    "let has_qkv = lora_query || lora_key || lora_value\n"
    "let heads = config.num_attention_heads ?? config.n_head\n"
    "let kv_heads = config.num_key_value_heads ?? config.n_query_groups ?? heads\n"
    "let d = config.head_dim ?? config.head_size ?? (config.hidden_size ?? config.n_embd) / heads\n"
    "let q = heads * d\n"
    "let k = kv_heads * d\n"
    "let v = kv_heads * d\n"
    "source {\n"
    QKV("(r + r + r)", "(q + k + v)", "lora_query && lora_key && lora_value")
    QKV("(r + r)", "(q + k)", "lora_query && lora_key && !lora_value")
    QKV("(r + r)", "(q + v)", "lora_query && !lora_key && lora_value")
    QKV("(r + r)", "(k + v)", "!lora_query && lora_key && lora_value")
    QKV("r", "q", "lora_query && !lora_key && !lora_value")
    QKV("r", "k", "!lora_query && lora_key && !lora_value")
    QKV("r", "v", "!lora_query && !lora_key && lora_value")
    "  lora \"{m*}.lora_A\" [r i], \"{m*}.lora_B\" [o r]\n"
    "    into \"{m*}.weight\" [o i] scale lora_alpha / r rounding stepwise\n"
    "}\n"
    "\"{rest*}\" <-> \"{rest*}\"\n";

/* ---- target_parameters ---- */

static bool
is_name(const char *s)
{
    size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.");

    return n > 0 && s[n] == 0 && s[0] != '.' && s[n - 1] != '.' && !strstr(s, "..");
}

/* The module of a parameter, with its dot, and the parameter's own name. */
static struct wm_str
module_of(const char *parameter)
{
    const char *dot = strrchr(parameter, '.');

    return (struct wm_str){parameter, dot ? (size_t)(dot + 1 - parameter) : 0};
}

/* How many parameters of the same module PEFT wraps after this one: the last has no `base_layer` in its names.  The order
 * is that of the module, which the configuration does not tell; of experts gate_up_proj is the first. */
static int
wrapped_after(const cJSON *all, const cJSON *p, bool *known)
{
    struct wm_str module = module_of(p->valuestring);
    const char *own = p->valuestring + module.n;
    int n = 0;

    for (const cJSON *e = all->child; e; e = e->next) {
        const char *name = e->valuestring + module.n;

        if (e == p || !wm_str_eq(module_of(e->valuestring), module))
            continue;
        *known &= strcmp(own, "gate_up_proj") == 0 ? strcmp(name, "down_proj") == 0
                                                   : strcmp(own, "down_proj") == 0 && strcmp(name, "gate_up_proj") == 0;
        n += strcmp(own, "gate_up_proj") == 0;
    }
    return n;
}

/* A parameter that PEFT adapts itself, packed experts [expert out in] or [expert in out]: the ranks of all experts lie in
 * one pair, A expert by expert, B with the experts inside of the rank. */
static void
add_parameter(struct wm_buf *b, const char *name, int depth)
{
    struct wm_str module = module_of(name);
    const char *own = name + module.n;
    struct wm_buf at;

    wm_buf_init(&at, b->a);
    wm_buf_printf(&at, "base_model.model.{m*}.%.*s", WM_STR_ARG(module));
    while (depth-- > 0)
        wm_buf_putz(&at, "base_layer.");
    if (strcmp(own, "weight") == 0) /* of a module that is no linear one, such as a router: a matrix like others */
        return;
    for (int turned = 0; turned < 2; turned++)
        wm_buf_printf(b, "  lora \"%.*slora_A.weight\" [(expert r) i], \"%.*slora_B.weight\" [o (r expert)]\n"
                      "    into \"{m*}.%.*s%s\" [expert %s] " SCALE " when %s_turned\n", WM_STR_ARG(wm_buf_str(&at)),
                      WM_STR_ARG(wm_buf_str(&at)), WM_STR_ARG(module), own, turned ? "i o" : "o i", turned ? "" : "!");
}

/* The lines of PEFT for one adapter: those of its target_parameters come first, since they say more. */
static bool
peft_lines(struct wm_cc *cc, const struct wm_adapter *ad, struct wm_str *path, struct wm_str *text)
{
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(ad->config, "target_parameters");
    struct wm_buf b, name;
    bool known = true;

    wm_buf_init(&b, cc->a);
    wm_buf_init(&name, cc->a);
    wm_buf_putz(&b, peft_head);
    wm_buf_putz(&name, "<lines of PEFT");
    for (const cJSON *e = all ? all->child : NULL; e; e = e->next)
        if (!cJSON_IsString(e) || !is_name(e->valuestring)) {
            wm_report_at(&cc->diags, WM_E_ADAPTER, ad->manifest->path, "target_parameters are names of parameters");
            return false;
        }
    for (const cJSON *e = all ? all->child : NULL; e; e = e->next) {
        add_parameter(&b, e->valuestring, wrapped_after(all, e, &known));
        wm_buf_printf(&name, "%s %s", e == all->child ? " with" : ",", e->valuestring);
        if (!known) {
            wm_report_at(&cc->diags, WM_E_ADAPTER, ad->manifest->path, "target_parameters: of several parameters of one "
                         "module only gate_up_proj and down_proj are told apart, not %s", e->valuestring);
            return false;
        }
    }
    wm_buf_putz(&b, peft_tail);
    wm_buf_putz(&name, ">");
    *text = wm_buf_str(&b);
    *path = wm_buf_str(&name);
    return true;
}

bool
wm_lora_module(struct wm_cc *cc, const struct wm_adapter *ad, const struct wm_module **out)
{
    struct wm_str path = WM_STR("<lines of LitGPT>"), text = wm_str_c(litgpt);
    struct wm_err err = {0};

    *out = NULL;
    if (ad->kind == WM_ADAPTER_OTHER)
        return true;
    if (ad->kind == WM_ADAPTER_PEFT && !peft_lines(cc, ad, &path, &text))
        return false;
    for (uint32_t i = 0; i < cc->module.n && !*out; i++)
        if (wm_str_eq(cc->module.item[i]->path, path))
            *out = cc->module.item[i];
    if (!*out)
        *out = wm_module_of_text(cc, path, text, &err);
    return *out != NULL;
}
