/* api/families/olmo2.c -- OLMo 2: norms behind attention and MLP, norms over all heads of q and k.
 */
#include "api/families/parts.h"

static const struct wm_gen_row rows[] = {
    WM_SIZES,
    WM_VOCABULARY,
    WM_SET("hidden_act", "\"silu\"", "activation"),
    WM_SET("rms_norm_eps", "1e-06", "of the norms"),
    WM_SET("rope_theta", "500000.0", "base of the rotary embedding"),
    WM_SET("tie_word_embeddings", "false", "lm_head is the embedding: not stored"),
    WM_SET("attention_bias", "false", "biases of q, k, v, o"),

    WM_LET("d", "hidden_size / num_attention_heads"),
    WM_HEADS,

    WM_TENSOR("model.embed_tokens.weight", "vocab_size, hidden_size"),
    WM_BIASED_ATTENTION,
    WM_TENSOR("model.layers.{layer}.self_attn.q_norm.weight", "q"),
    WM_TENSOR("model.layers.{layer}.self_attn.k_norm.weight", "kv"),
    WM_GATED_MLP,
    WM_TENSOR("model.layers.{layer}.post_attention_layernorm.weight", "hidden_size"),
    WM_TENSOR("model.layers.{layer}.post_feedforward_layernorm.weight", "hidden_size"),
    WM_HEAD,
    WM_END,
};

const struct wm_gen_family wm_gen_olmo2 = {"olmo2", "Olmo2ForCausalLM", "OLMo 2", "f32", rows};
