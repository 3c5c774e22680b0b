/* api/families/llama.c -- Llama 2 and 3, TinyLlama, SmolLM2. */
#include "api/families/parts.h"

static const struct wm_gen_row rows[] = {
    WM_SIZES,
    WM_SET("head_dim", "null", "size of a head; null: hidden_size / num_attention_heads"),
    WM_VOCABULARY,
    WM_SET("hidden_act", "\"silu\"", "activation"),
    WM_SET("rms_norm_eps", "1e-05", "of the norms"),
    WM_SET("rope_theta", "10000.0", "base of the rotary embedding"),
    WM_SET("tie_word_embeddings", "false", "lm_head is the embedding: not stored"),
    WM_SET("attention_bias", "false", "biases of q, k, v, o"),
    WM_SET("mlp_bias", "false", "biases of gate, up, down"),
    WM_PRESET("1b", "hidden_size=2048 intermediate_size=5632 num_hidden_layers=22 "
                    "num_attention_heads=32 num_key_value_heads=4 vocab_size=32000 "
                    "max_position_embeddings=2048"),
    WM_PRESET("8b", "hidden_size=4096 intermediate_size=14336 num_hidden_layers=32 "
                    "num_attention_heads=32 num_key_value_heads=8 vocab_size=128256 "
                    "max_position_embeddings=8192 rope_theta=500000.0"),

    WM_LET("d", "head_dim ?? hidden_size / num_attention_heads"),
    WM_HEADS,

    WM_TENSOR("model.embed_tokens.weight", "vocab_size, hidden_size"),
    WM_BIASED_ATTENTION,
    WM_TENSOR("model.layers.{layer}.mlp.gate_proj.weight", "intermediate_size, hidden_size"),
    WM_TENSOR_IF("mlp_bias", "model.layers.{layer}.mlp.gate_proj.bias", "intermediate_size"),
    WM_TENSOR("model.layers.{layer}.mlp.up_proj.weight", "intermediate_size, hidden_size"),
    WM_TENSOR_IF("mlp_bias", "model.layers.{layer}.mlp.up_proj.bias", "intermediate_size"),
    WM_TENSOR("model.layers.{layer}.mlp.down_proj.weight", "hidden_size, intermediate_size"),
    WM_TENSOR_IF("mlp_bias", "model.layers.{layer}.mlp.down_proj.bias", "hidden_size"),
    WM_NORMS,
    WM_HEAD,
    WM_END,
};

const struct wm_gen_family wm_gen_llama = {"llama", "LlamaForCausalLM",
                                           "Llama 2 and 3 and their relatives", "bf16", rows};
