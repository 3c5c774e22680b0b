/* api/families/parts.h -- rows that several families share, in the order of their state dicts. */
#ifndef WM_API_FAMILIES_PARTS_H
#define WM_API_FAMILIES_PARTS_H

#include "api/gen_family.h"

/* clang-format off */

/* Sizes of a decoder whose key and value heads are shared by query heads. */
#define WM_SIZES \
    WM_SET("hidden_size", "64", "width of the residual stream"), \
    WM_SET("intermediate_size", "176", "width of the MLP"), \
    WM_SET("num_hidden_layers", "2", "layers"), \
    WM_SET("num_attention_heads", "8", "query heads"), \
    WM_SET("num_key_value_heads", "2", "key and value heads")

/* Rows of the embedding, and how long an input may be. */
#define WM_VOCABULARY \
    WM_SET("vocab_size", "320", "rows of the embedding"), \
    WM_SET("max_position_embeddings", "512", "longest input")

/* Rows of the projections of all heads; the size of one, `d`, is the family's. */
#define WM_HEADS \
    WM_LET("q", "num_attention_heads * d"), \
    WM_LET("kv", "num_key_value_heads * d"), \
    WM_INDEX("layer", "num_hidden_layers")

/* Attention, with biases where attention_bias says so. */
#define WM_BIASED_ATTENTION \
    WM_TENSOR("model.layers.{layer}.self_attn.q_proj.weight", "q, hidden_size"), \
    WM_TENSOR_IF("attention_bias", "model.layers.{layer}.self_attn.q_proj.bias", "q"), \
    WM_TENSOR("model.layers.{layer}.self_attn.k_proj.weight", "kv, hidden_size"), \
    WM_TENSOR_IF("attention_bias", "model.layers.{layer}.self_attn.k_proj.bias", "kv"), \
    WM_TENSOR("model.layers.{layer}.self_attn.v_proj.weight", "kv, hidden_size"), \
    WM_TENSOR_IF("attention_bias", "model.layers.{layer}.self_attn.v_proj.bias", "kv"), \
    WM_TENSOR("model.layers.{layer}.self_attn.o_proj.weight", "hidden_size, q"), \
    WM_TENSOR_IF("attention_bias", "model.layers.{layer}.self_attn.o_proj.bias", "hidden_size")

/* MLP with a gate. */
#define WM_GATED_MLP \
    WM_TENSOR("model.layers.{layer}.mlp.gate_proj.weight", "intermediate_size, hidden_size"), \
    WM_TENSOR("model.layers.{layer}.mlp.up_proj.weight", "intermediate_size, hidden_size"), \
    WM_TENSOR("model.layers.{layer}.mlp.down_proj.weight", "hidden_size, intermediate_size")

/* Norms before attention and MLP. */
#define WM_NORMS \
    WM_TENSOR("model.layers.{layer}.input_layernorm.weight", "hidden_size"), \
    WM_TENSOR("model.layers.{layer}.post_attention_layernorm.weight", "hidden_size")

/* What stands behind the layers. */
#define WM_HEAD \
    WM_TENSOR("model.norm.weight", "hidden_size"), \
    WM_TENSOR_IF("!tie_word_embeddings", "lm_head.weight", "vocab_size, hidden_size")
/* clang-format on */

#endif
