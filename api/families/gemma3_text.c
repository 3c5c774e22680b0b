/* api/families/gemma3_text.c -- Gemma 3, its text model alone. */
#include "api/families/parts.h"

static const struct wm_gen_row rows[] = {
    WM_SIZES,
    WM_SET("head_dim", "16", "size of a head"),
    WM_VOCABULARY,
    WM_SET("hidden_act", "\"gelu_pytorch_tanh\"", "activation"),
    WM_SET("rms_norm_eps", "1e-06", "of the norms"),
    WM_SET("rope_theta", "1000000.0", "base of the rotary embedding"),
    WM_SET("tie_word_embeddings", "true", "lm_head is the embedding: not stored"),
    WM_SET("attention_bias", "false", "biases of q, k, v, o"),
    WM_SET("sliding_window", "64", "of five layers in six"),

    WM_LET("d", "head_dim ?? hidden_size / num_attention_heads"),
    WM_HEADS,

    WM_TENSOR("model.embed_tokens.weight", "vocab_size, hidden_size"),
    WM_BIASED_ATTENTION,
    WM_TENSOR("model.layers.{layer}.self_attn.q_norm.weight", "d"),
    WM_TENSOR("model.layers.{layer}.self_attn.k_norm.weight", "d"),
    WM_GATED_MLP,
    WM_NORMS,
    WM_TENSOR("model.layers.{layer}.pre_feedforward_layernorm.weight", "hidden_size"),
    WM_TENSOR("model.layers.{layer}.post_feedforward_layernorm.weight", "hidden_size"),
    WM_HEAD,
    WM_END,
};

const struct wm_gen_family wm_gen_gemma3_text = {"gemma3_text", "Gemma3ForCausalLM",
                                                 "Gemma 3, text", "bf16", rows};
