/* api/families/qwen3.c -- Qwen 3, dense: norms of q and k, heads wider than hidden_size / heads. */
#include "api/gen_family.h"

static const struct wm_gen_row rows[] = {
    WM_SET("hidden_size", "64", "width of the residual stream"),
    WM_SET("intermediate_size", "176", "width of the MLP"),
    WM_SET("num_hidden_layers", "2", "layers"),
    WM_SET("num_attention_heads", "8", "query heads"),
    WM_SET("num_key_value_heads", "2", "key and value heads"),
    WM_SET("head_dim", "16", "size of a head"),
    WM_SET("vocab_size", "320", "rows of the embedding"),
    WM_SET("max_position_embeddings", "512", "longest input"),
    WM_SET("hidden_act", "\"silu\"", "activation"),
    WM_SET("rms_norm_eps", "1e-06", "of the norms"),
    WM_SET("rope_theta", "1000000.0", "base of the rotary embedding"),
    WM_SET("tie_word_embeddings", "false", "lm_head is the embedding: not stored"),
    WM_SET("attention_bias", "false", "biases of q, k, v, o"),

    WM_LET("d", "head_dim ?? hidden_size / num_attention_heads"),
    WM_LET("q", "num_attention_heads * d"),
    WM_LET("kv", "num_key_value_heads * d"),
    WM_INDEX("layer", "num_hidden_layers"),

    WM_TENSOR("model.embed_tokens.weight", "vocab_size, hidden_size"),
    WM_TENSOR("model.layers.{layer}.self_attn.q_proj.weight", "q, hidden_size"),
    WM_TENSOR_IF("attention_bias", "model.layers.{layer}.self_attn.q_proj.bias", "q"),
    WM_TENSOR("model.layers.{layer}.self_attn.k_proj.weight", "kv, hidden_size"),
    WM_TENSOR_IF("attention_bias", "model.layers.{layer}.self_attn.k_proj.bias", "kv"),
    WM_TENSOR("model.layers.{layer}.self_attn.v_proj.weight", "kv, hidden_size"),
    WM_TENSOR_IF("attention_bias", "model.layers.{layer}.self_attn.v_proj.bias", "kv"),
    WM_TENSOR("model.layers.{layer}.self_attn.o_proj.weight", "hidden_size, q"),
    WM_TENSOR_IF("attention_bias", "model.layers.{layer}.self_attn.o_proj.bias", "hidden_size"),
    WM_TENSOR("model.layers.{layer}.self_attn.q_norm.weight", "d"),
    WM_TENSOR("model.layers.{layer}.self_attn.k_norm.weight", "d"),
    WM_TENSOR("model.layers.{layer}.mlp.gate_proj.weight", "intermediate_size, hidden_size"),
    WM_TENSOR("model.layers.{layer}.mlp.up_proj.weight", "intermediate_size, hidden_size"),
    WM_TENSOR("model.layers.{layer}.mlp.down_proj.weight", "hidden_size, intermediate_size"),
    WM_TENSOR("model.layers.{layer}.input_layernorm.weight", "hidden_size"),
    WM_TENSOR("model.layers.{layer}.post_attention_layernorm.weight", "hidden_size"),
    WM_TENSOR("model.norm.weight", "hidden_size"),
    WM_TENSOR_IF("!tie_word_embeddings", "lm_head.weight", "vocab_size, hidden_size"),
    WM_END,
};

const struct wm_gen_family wm_gen_qwen3 = {"qwen3", "Qwen3ForCausalLM", "Qwen 3, dense", "bf16",
                                           rows};
