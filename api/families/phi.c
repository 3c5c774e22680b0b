/* api/families/phi.c -- Phi 1.5 and 2: biases everywhere, one norm a layer. */
#include "api/families/parts.h"

static const struct wm_gen_row rows[] = {
    WM_SET("hidden_size", "64", "width"),
    WM_SET("intermediate_size", "176", "width of the MLP"),
    WM_SET("num_hidden_layers", "2", "layers"),
    WM_SET("num_attention_heads", "8", "query heads"),
    WM_SET("num_key_value_heads", "8", "key and value heads"),
    WM_SET("vocab_size", "320", "rows of the embedding"),
    WM_SET("max_position_embeddings", "128", "longest input"),
    WM_SET("hidden_act", "\"gelu_new\"", "activation"),
    WM_SET("layer_norm_eps", "1e-05", "of the norms"),
    WM_SET("partial_rotary_factor", "0.5", "part of a head that is rotated"),
    WM_SET("tie_word_embeddings", "false", "lm_head is the embedding: not stored"),

    WM_LET("d", "hidden_size / num_attention_heads"),
    WM_HEADS,

    WM_TENSOR("model.embed_tokens.weight", "vocab_size, hidden_size"),
    WM_TENSOR("model.layers.{layer}.self_attn.q_proj.weight", "q, hidden_size"),
    WM_TENSOR("model.layers.{layer}.self_attn.q_proj.bias", "q"),
    WM_TENSOR("model.layers.{layer}.self_attn.k_proj.weight", "kv, hidden_size"),
    WM_TENSOR("model.layers.{layer}.self_attn.k_proj.bias", "kv"),
    WM_TENSOR("model.layers.{layer}.self_attn.v_proj.weight", "kv, hidden_size"),
    WM_TENSOR("model.layers.{layer}.self_attn.v_proj.bias", "kv"),
    WM_TENSOR("model.layers.{layer}.self_attn.dense.weight", "hidden_size, q"),
    WM_TENSOR("model.layers.{layer}.self_attn.dense.bias", "hidden_size"),
    WM_TENSOR("model.layers.{layer}.mlp.fc1.weight", "intermediate_size, hidden_size"),
    WM_TENSOR("model.layers.{layer}.mlp.fc1.bias", "intermediate_size"),
    WM_TENSOR("model.layers.{layer}.mlp.fc2.weight", "hidden_size, intermediate_size"),
    WM_TENSOR("model.layers.{layer}.mlp.fc2.bias", "hidden_size"),
    WM_TENSOR("model.layers.{layer}.input_layernorm.weight", "hidden_size"),
    WM_TENSOR("model.layers.{layer}.input_layernorm.bias", "hidden_size"),
    WM_TENSOR("model.final_layernorm.weight", "hidden_size"),
    WM_TENSOR("model.final_layernorm.bias", "hidden_size"),
    WM_TENSOR_IF("!tie_word_embeddings", "lm_head.weight", "vocab_size, hidden_size"),
    WM_TENSOR("lm_head.bias", "vocab_size"),
    WM_END,
};

const struct wm_gen_family wm_gen_phi = {"phi", "PhiForCausalLM", "Phi 1, 1.5 and 2", "f16", rows};
