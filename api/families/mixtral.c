/* api/families/mixtral.c -- Mixtral: experts under block_sparse_moe, called w1, w2, w3. */
#include "api/families/parts.h"

static const struct wm_gen_row rows[] = {
    WM_SIZES,
    WM_SET("num_local_experts", "4", "experts of a layer"),
    WM_SET("num_experts_per_tok", "2", "experts used"),
    WM_SET("head_dim", "null", "size of a head; null: hidden_size / num_attention_heads"),
    WM_VOCABULARY,
    WM_SET("hidden_act", "\"silu\"", "activation"),
    WM_SET("rms_norm_eps", "1e-05", "of the norms"),
    WM_SET("rope_theta", "1000000.0", "base of the rotary embedding"),
    WM_SET("tie_word_embeddings", "false", "lm_head is the embedding: not stored"),
    WM_PRESET("8x7b", "hidden_size=4096 intermediate_size=14336 num_hidden_layers=32 "
                      "num_attention_heads=32 num_key_value_heads=8 num_local_experts=8 "
                      "vocab_size=32000 max_position_embeddings=32768"),

    WM_LET("d", "head_dim ?? hidden_size / num_attention_heads"),
    WM_HEADS,
    WM_INDEX("expert", "num_local_experts"),

    WM_TENSOR("model.embed_tokens.weight", "vocab_size, hidden_size"),
    WM_TENSOR("model.layers.{layer}.self_attn.q_proj.weight", "q, hidden_size"),
    WM_TENSOR("model.layers.{layer}.self_attn.k_proj.weight", "kv, hidden_size"),
    WM_TENSOR("model.layers.{layer}.self_attn.v_proj.weight", "kv, hidden_size"),
    WM_TENSOR("model.layers.{layer}.self_attn.o_proj.weight", "hidden_size, q"),
    WM_TENSOR("model.layers.{layer}.block_sparse_moe.gate.weight",
              "num_local_experts, hidden_size"),
    WM_TENSOR("model.layers.{layer}.block_sparse_moe.experts.{expert}.w1.weight",
              "intermediate_size, hidden_size"),
    WM_TENSOR("model.layers.{layer}.block_sparse_moe.experts.{expert}.w2.weight",
              "hidden_size, intermediate_size"),
    WM_TENSOR("model.layers.{layer}.block_sparse_moe.experts.{expert}.w3.weight",
              "intermediate_size, hidden_size"),
    WM_NORMS,
    WM_HEAD,
    WM_END,
};

const struct wm_gen_family wm_gen_mixtral = {"mixtral", "MixtralForCausalLM",
                                             "Mixtral 8x7B and 8x22B", "bf16", rows};
