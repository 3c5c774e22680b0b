/* api/families/olmoe.c -- OLMoE: norms over all heads of q and k, experts of their own tensors. */
#include "api/families/parts.h"

static const struct wm_gen_row rows[] = {
    WM_SET("hidden_size", "64", "width of the residual stream"),
    WM_SET("intermediate_size", "48", "width of an expert"),
    WM_SET("num_hidden_layers", "2", "layers"),
    WM_SET("num_attention_heads", "8", "query heads"),
    WM_SET("num_key_value_heads", "2", "key and value heads"),
    WM_SET("num_experts", "4", "experts of a layer"),
    WM_SET("num_experts_per_tok", "2", "experts used"),
    WM_SET("norm_topk_prob", "false", "of the router"),
    WM_VOCABULARY,
    WM_SET("hidden_act", "\"silu\"", "activation"),
    WM_SET("rms_norm_eps", "1e-05", "of the norms"),
    WM_SET("rope_theta", "10000.0", "base of the rotary embedding"),
    WM_SET("tie_word_embeddings", "false", "lm_head is the embedding: not stored"),
    WM_SET("attention_bias", "false", "biases of q, k, v, o"),

    WM_LET("d", "hidden_size / num_attention_heads"),
    WM_HEADS,
    WM_INDEX("expert", "num_experts"),

    WM_TENSOR("model.embed_tokens.weight", "vocab_size, hidden_size"),
    WM_BIASED_ATTENTION,
    WM_TENSOR("model.layers.{layer}.self_attn.q_norm.weight", "q"),
    WM_TENSOR("model.layers.{layer}.self_attn.k_norm.weight", "kv"),
    WM_TENSOR("model.layers.{layer}.mlp.gate.weight", "num_experts, hidden_size"),
    WM_TENSOR("model.layers.{layer}.mlp.experts.{expert}.gate_proj.weight",
              "intermediate_size, hidden_size"),
    WM_TENSOR("model.layers.{layer}.mlp.experts.{expert}.up_proj.weight",
              "intermediate_size, hidden_size"),
    WM_TENSOR("model.layers.{layer}.mlp.experts.{expert}.down_proj.weight",
              "hidden_size, intermediate_size"),
    WM_NORMS,
    WM_HEAD,
    WM_END,
};

const struct wm_gen_family wm_gen_olmoe = {"olmoe", "OlmoeForCausalLM", "OLMoE, mixture of experts",
                                           "bf16", rows};
