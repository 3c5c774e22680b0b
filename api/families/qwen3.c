/* api/families/qwen3.c -- Qwen 3, dense: norms of q and k, heads wider than hidden_size / heads. */
#include "api/families/parts.h"

static const struct wm_gen_row rows[] = {
    WM_SIZES,
    WM_SET("head_dim", "16", "size of a head"),
    WM_VOCABULARY,
    WM_SET("hidden_act", "\"silu\"", "activation"),
    WM_SET("rms_norm_eps", "1e-06", "of the norms"),
    WM_SET("rope_theta", "1000000.0", "base of the rotary embedding"),
    WM_SET("tie_word_embeddings", "false", "lm_head is the embedding: not stored"),
    WM_SET("attention_bias", "false", "biases of q, k, v, o"),

    WM_LET("d", "head_dim ?? hidden_size / num_attention_heads"),
    WM_HEADS,

    WM_TENSOR("model.embed_tokens.weight", "vocab_size, hidden_size"),
    WM_BIASED_ATTENTION,
    WM_TENSOR("model.layers.{layer}.self_attn.q_norm.weight", "d"),
    WM_TENSOR("model.layers.{layer}.self_attn.k_norm.weight", "d"),
    WM_GATED_MLP,
    WM_NORMS,
    WM_HEAD,
    WM_END,
};

const struct wm_gen_family wm_gen_qwen3 = {"qwen3", "Qwen3ForCausalLM", "Qwen 3, dense", "bf16",
                                           rows};
