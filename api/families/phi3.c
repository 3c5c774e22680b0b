/* api/families/phi3.c -- Phi 3, 3.5 and 4: fused qkv and fused gate and up. */
#include "api/families/parts.h"

static const struct wm_gen_row rows[] = {
    WM_SIZES,
    WM_VOCABULARY,
    WM_SET("hidden_act", "\"silu\"", "activation"),
    WM_SET("rms_norm_eps", "1e-05", "of the norms"),
    WM_SET("rope_theta", "10000.0", "base of the rotary embedding"),
    WM_SET("tie_word_embeddings", "false", "lm_head is the embedding: not stored"),

    WM_LET("d", "hidden_size / num_attention_heads"),
    WM_LET("q", "num_attention_heads * d"),
    WM_LET("qkv", "(num_attention_heads + 2 * num_key_value_heads) * d"),
    WM_INDEX("layer", "num_hidden_layers"),

    WM_TENSOR("model.embed_tokens.weight", "vocab_size, hidden_size"),
    WM_TENSOR("model.layers.{layer}.self_attn.o_proj.weight", "hidden_size, q"),
    WM_TENSOR("model.layers.{layer}.self_attn.qkv_proj.weight", "qkv, hidden_size"),
    WM_TENSOR("model.layers.{layer}.mlp.gate_up_proj.weight", "2 * intermediate_size, hidden_size"),
    WM_TENSOR("model.layers.{layer}.mlp.down_proj.weight", "hidden_size, intermediate_size"),
    WM_NORMS,
    WM_HEAD,
    WM_END,
};

const struct wm_gen_family wm_gen_phi3 = {"phi3", "Phi3ForCausalLM", "Phi 3, 3.5 and 4", "bf16",
                                          rows};
