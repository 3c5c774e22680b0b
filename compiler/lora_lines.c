/* compiler/lora_lines.c -- the lines by which adapters of PEFT and LitGPT are read.
 *
 * They are maps as anyone could write them: of their source only the `lora` lines count, for a side that has none. */
#include "compiler/bind.h"

/* PEFT: one pair for each module; an embedding's factors are no modules.  Weights of Conv1D (fan_in_fan_out) have the
 * inputs first.  What a pair is scaled by is in the configuration, by patterns of names too. */
static const char peft[] =
    "wmap 1\n"
    "map peft_adapter \"Adapters of PEFT\"\n"
    "let flipped = adapter.fan_in_fan_out ?? false\n"
    "let slow = adapter.use_rslora ?? false\n"
    "source {\n"
    "  lora \"base_model.model.{m*}.lora_A.weight\" [r i], \"base_model.model.{m*}.lora_B.weight\" [o r]\n"
    "    into \"{m*}.weight\" [o i] scale adapter.lora_alpha / (slow ? sqrt(r) : r) when !flipped\n"
    "  lora \"base_model.model.{m*}.lora_A.weight\" [r i], \"base_model.model.{m*}.lora_B.weight\" [o r]\n"
    "    into \"{m*}.weight\" [i o] scale adapter.lora_alpha / (slow ? sqrt(r) : r) when flipped\n"
    "  lora \"base_model.model.{m*}.lora_embedding_A\" [r n], \"base_model.model.{m*}.lora_embedding_B\" [e r]\n"
    "    into \"{m*}.weight\" [n e] scale adapter.lora_alpha / (slow ? sqrt(r) : r)\n"
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

struct wm_module *
wm_lora_module(struct wm_cc *cc, enum wm_adapter_kind kind)
{
    static const struct {
        const char *path, *text;
    } lines[] = {
        [WM_ADAPTER_OTHER] = {NULL, NULL},
        [WM_ADAPTER_PEFT] = {"<lines of PEFT>", peft},
        [WM_ADAPTER_LITGPT] = {"<lines of LitGPT>", litgpt},
    };
    struct wm_str path;
    struct wm_err err = {0};

    if (!lines[kind].path)
        return NULL;
    path = wm_str_c(lines[kind].path);
    for (uint32_t i = 0; i < cc->module.n; i++)
        if (wm_str_eq(cc->module.item[i]->path, path))
            return cc->module.item[i];
    return wm_module_of_text(cc, path, wm_str_c(lines[kind].text), &err);
}
