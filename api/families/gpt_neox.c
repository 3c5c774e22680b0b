/* api/families/gpt_neox.c -- GPT-NeoX and Pythia: q, k, v of each head stand together. */
#include "api/gen_family.h"

static const struct wm_gen_row rows[] = {
    WM_SET("hidden_size", "64", "width"),
    WM_SET("intermediate_size", "176", "width of the MLP"),
    WM_SET("num_hidden_layers", "2", "layers"),
    WM_SET("num_attention_heads", "4", "heads"),
    WM_SET("vocab_size", "320", "rows of the embedding"),
    WM_SET("max_position_embeddings", "128", "longest input"),
    WM_SET("hidden_act", "\"gelu\"", "activation"),
    WM_SET("layer_norm_eps", "1e-05", "of the norms"),
    WM_SET("rotary_pct", "0.25", "part of a head that is rotated"),
    WM_SET("use_parallel_residual", "true", "attention and MLP side by side"),
    WM_SET("attention_bias", "true", "biases of the attention"),
    WM_SET("tie_word_embeddings", "false", "embed_out is the embedding: not stored"),

    WM_INDEX("layer", "num_hidden_layers"),

    WM_TENSOR("gpt_neox.embed_in.weight", "vocab_size, hidden_size"),
    WM_TENSOR("gpt_neox.layers.{layer}.input_layernorm.weight", "hidden_size"),
    WM_TENSOR("gpt_neox.layers.{layer}.input_layernorm.bias", "hidden_size"),
    WM_TENSOR("gpt_neox.layers.{layer}.post_attention_layernorm.weight", "hidden_size"),
    WM_TENSOR("gpt_neox.layers.{layer}.post_attention_layernorm.bias", "hidden_size"),
    WM_TENSOR("gpt_neox.layers.{layer}.attention.query_key_value.weight",
              "3 * hidden_size, hidden_size"),
    WM_TENSOR_IF("attention_bias", "gpt_neox.layers.{layer}.attention.query_key_value.bias",
                 "3 * hidden_size"),
    WM_TENSOR("gpt_neox.layers.{layer}.attention.dense.weight", "hidden_size, hidden_size"),
    WM_TENSOR_IF("attention_bias", "gpt_neox.layers.{layer}.attention.dense.bias", "hidden_size"),
    WM_TENSOR("gpt_neox.layers.{layer}.mlp.dense_h_to_4h.weight", "intermediate_size, hidden_size"),
    WM_TENSOR("gpt_neox.layers.{layer}.mlp.dense_h_to_4h.bias", "intermediate_size"),
    WM_TENSOR("gpt_neox.layers.{layer}.mlp.dense_4h_to_h.weight", "hidden_size, intermediate_size"),
    WM_TENSOR("gpt_neox.layers.{layer}.mlp.dense_4h_to_h.bias", "hidden_size"),
    WM_TENSOR("gpt_neox.final_layer_norm.weight", "hidden_size"),
    WM_TENSOR("gpt_neox.final_layer_norm.bias", "hidden_size"),
    WM_TENSOR_IF("!tie_word_embeddings", "embed_out.weight", "vocab_size, hidden_size"),
    WM_END,
};

const struct wm_gen_family wm_gen_gpt_neox = {"gpt_neox", "GPTNeoXForCausalLM", "GPT-NeoX, Pythia",
                                              "f16", rows};
