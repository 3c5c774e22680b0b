/* api/families/qwen2.c -- Qwen 2 and 2.5: biases of q, k, v. */
#include "api/families/parts.h"

static const struct wm_gen_row rows[] = {
    WM_SIZES,
    WM_VOCABULARY,
    WM_SET("hidden_act", "\"silu\"", "activation"),
    WM_SET("rms_norm_eps", "1e-06", "of the norms"),
    WM_SET("rope_theta", "1000000.0", "base of the rotary embedding"),
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
    WM_TENSOR("model.layers.{layer}.self_attn.o_proj.weight", "hidden_size, q"),
    WM_GATED_MLP,
    WM_NORMS,
    WM_HEAD,
    WM_END,
};

const struct wm_gen_family wm_gen_qwen2 = {"qwen2", "Qwen2ForCausalLM", "Qwen 2 and 2.5, dense",
                                           "bf16", rows};
