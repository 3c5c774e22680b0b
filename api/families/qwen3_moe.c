/* api/families/qwen3_moe.c -- Qwen 3 with experts, each a tensor of its own. */
#include "api/families/parts.h"

static const struct wm_gen_row rows[] = {
    WM_SIZES,
    WM_SET("head_dim", "16", "size of a head"),
    WM_SET("moe_intermediate_size", "48", "width of an expert"),
    WM_SET("num_experts", "4", "experts of a layer"),
    WM_SET("num_experts_per_tok", "2", "experts used"),
    WM_SET("decoder_sparse_step", "1", "every so many layers have experts"),
    WM_SET("norm_topk_prob", "true", "of the router"),
    WM_VOCABULARY,
    WM_SET("hidden_act", "\"silu\"", "activation"),
    WM_SET("rms_norm_eps", "1e-06", "of the norms"),
    WM_SET("rope_theta", "1000000.0", "base of the rotary embedding"),
    WM_SET("tie_word_embeddings", "false", "lm_head is the embedding: not stored"),
    WM_SET("attention_bias", "false", "biases of q, k, v, o"),
    WM_PRESET("30b-a3b",
              "hidden_size=2048 intermediate_size=6144 moe_intermediate_size=768 "
              "num_hidden_layers=48 num_attention_heads=32 num_key_value_heads=4 head_dim=128 "
              "num_experts=128 num_experts_per_tok=8 vocab_size=151936"),
    WM_PRESET("many", "hidden_size=16 intermediate_size=16 moe_intermediate_size=4 "
                      "num_hidden_layers=60 num_attention_heads=2 num_key_value_heads=1 head_dim=8 "
                      "num_experts=500 vocab_size=32"),

    WM_LET("d", "head_dim ?? hidden_size / num_attention_heads"),
    WM_LET("q", "num_attention_heads * d"),
    WM_LET("kv", "num_key_value_heads * d"),
    WM_LET("sparse", "(layer + 1) % decoder_sparse_step == 0"),
    WM_INDEX("layer", "num_hidden_layers"),
    WM_INDEX("expert", "num_experts"),

    WM_TENSOR("model.embed_tokens.weight", "vocab_size, hidden_size"),
    WM_BIASED_ATTENTION,
    WM_TENSOR("model.layers.{layer}.self_attn.q_norm.weight", "d"),
    WM_TENSOR("model.layers.{layer}.self_attn.k_norm.weight", "d"),
    WM_TENSOR_IF("!sparse", "model.layers.{layer}.mlp.gate_proj.weight",
                 "intermediate_size, hidden_size"),
    WM_TENSOR_IF("!sparse", "model.layers.{layer}.mlp.up_proj.weight",
                 "intermediate_size, hidden_size"),
    WM_TENSOR_IF("!sparse", "model.layers.{layer}.mlp.down_proj.weight",
                 "hidden_size, intermediate_size"),
    WM_TENSOR_IF("sparse", "model.layers.{layer}.mlp.gate.weight", "num_experts, hidden_size"),
    WM_TENSOR_IF("sparse", "model.layers.{layer}.mlp.experts.{expert}.gate_proj.weight",
                 "moe_intermediate_size, hidden_size"),
    WM_TENSOR_IF("sparse", "model.layers.{layer}.mlp.experts.{expert}.up_proj.weight",
                 "moe_intermediate_size, hidden_size"),
    WM_TENSOR_IF("sparse", "model.layers.{layer}.mlp.experts.{expert}.down_proj.weight",
                 "hidden_size, moe_intermediate_size"),
    WM_NORMS,
    WM_HEAD,
    WM_END,
};

const struct wm_gen_family wm_gen_qwen3_moe = {"qwen3_moe", "Qwen3MoeForCausalLM",
                                               "Qwen 3, mixture of experts", "bf16", rows};
