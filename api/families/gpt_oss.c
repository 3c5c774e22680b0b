/* api/families/gpt_oss.c -- gpt-oss with bfloat16 experts: gate and up interleaved, input first. */
#include "api/families/parts.h"

static const struct wm_gen_row rows[] = {
    WM_SET("hidden_size", "64", "width of the residual stream"),
    WM_SET("intermediate_size", "64", "width of an expert; square as in the real models"),
    WM_SET("num_hidden_layers", "2", "layers"),
    WM_SET("num_attention_heads", "8", "query heads"),
    WM_SET("num_key_value_heads", "2", "key and value heads"),
    WM_SET("head_dim", "16", "size of a head"),
    WM_SET("num_local_experts", "4", "experts of a layer"),
    WM_SET("num_experts_per_tok", "2", "experts used"),
    WM_SET("sliding_window", "128", "of every other layer"),
    WM_VOCABULARY,
    WM_SET("hidden_act", "\"silu\"", "activation"),
    WM_SET("rms_norm_eps", "1e-05", "of the norms"),
    WM_SET("rope_theta", "150000.0", "base of the rotary embedding"),
    WM_SET("tie_word_embeddings", "false", "lm_head is the embedding: not stored"),
    WM_SET("attention_bias", "true", "biases of q, k, v, o"),

    WM_LET("d", "head_dim ?? hidden_size / num_attention_heads"),
    WM_HEADS,

    WM_TENSOR("model.embed_tokens.weight", "vocab_size, hidden_size"),
    WM_TENSOR("model.layers.{layer}.self_attn.sinks", "num_attention_heads"),
    WM_BIASED_ATTENTION,
    WM_TENSOR("model.layers.{layer}.mlp.router.weight", "num_local_experts, hidden_size"),
    WM_TENSOR("model.layers.{layer}.mlp.router.bias", "num_local_experts"),
    WM_TENSOR("model.layers.{layer}.mlp.experts.gate_up_proj",
              "num_local_experts, hidden_size, 2 * intermediate_size"),
    WM_TENSOR("model.layers.{layer}.mlp.experts.gate_up_proj_bias",
              "num_local_experts, 2 * intermediate_size"),
    WM_TENSOR("model.layers.{layer}.mlp.experts.down_proj",
              "num_local_experts, intermediate_size, hidden_size"),
    WM_TENSOR("model.layers.{layer}.mlp.experts.down_proj_bias", "num_local_experts, hidden_size"),
    WM_NORMS,
    WM_HEAD,
    WM_END,
};

const struct wm_gen_family wm_gen_gpt_oss = {
    "gpt_oss", "GptOssForCausalLM", "gpt-oss 20B and 120B, experts in bfloat16", "bf16", rows};
