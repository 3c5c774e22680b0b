/* api/families/gpt2.c -- GPT-2: fused c_attn, weights stored input first (Conv1D). */
#include "api/gen_family.h"

static const struct wm_gen_row rows[] = {
    WM_SET("n_embd", "64", "width"),
    WM_SET("n_layer", "2", "layers"),
    WM_SET("n_head", "4", "heads"),
    WM_SET("n_inner", "null", "width of the MLP; null: 4 * n_embd"),
    WM_SET("n_positions", "128", "longest input"),
    WM_SET("vocab_size", "320", "rows of the embedding"),
    WM_SET("activation_function", "\"gelu_new\"", "activation"),
    WM_SET("layer_norm_epsilon", "1e-05", "of the norms"),
    WM_SET("tie_word_embeddings", "true", "lm_head is the embedding: not stored"),
    WM_PRESET("124m", "n_embd=768 n_layer=12 n_head=12 n_positions=1024 vocab_size=50257"),

    WM_LET("inner", "n_inner ?? 4 * n_embd"),
    WM_INDEX("layer", "n_layer"),

    WM_TENSOR("transformer.wte.weight", "vocab_size, n_embd"),
    WM_TENSOR("transformer.wpe.weight", "n_positions, n_embd"),
    WM_TENSOR("transformer.h.{layer}.ln_1.weight", "n_embd"),
    WM_TENSOR("transformer.h.{layer}.ln_1.bias", "n_embd"),
    WM_TENSOR("transformer.h.{layer}.attn.c_attn.weight", "n_embd, 3 * n_embd"),
    WM_TENSOR("transformer.h.{layer}.attn.c_attn.bias", "3 * n_embd"),
    WM_TENSOR("transformer.h.{layer}.attn.c_proj.weight", "n_embd, n_embd"),
    WM_TENSOR("transformer.h.{layer}.attn.c_proj.bias", "n_embd"),
    WM_TENSOR("transformer.h.{layer}.ln_2.weight", "n_embd"),
    WM_TENSOR("transformer.h.{layer}.ln_2.bias", "n_embd"),
    WM_TENSOR("transformer.h.{layer}.mlp.c_fc.weight", "n_embd, inner"),
    WM_TENSOR("transformer.h.{layer}.mlp.c_fc.bias", "inner"),
    WM_TENSOR("transformer.h.{layer}.mlp.c_proj.weight", "inner, n_embd"),
    WM_TENSOR("transformer.h.{layer}.mlp.c_proj.bias", "n_embd"),
    WM_TENSOR("transformer.ln_f.weight", "n_embd"),
    WM_TENSOR("transformer.ln_f.bias", "n_embd"),
    WM_TENSOR_IF("!tie_word_embeddings", "lm_head.weight", "vocab_size, n_embd"),
    WM_END,
};

const struct wm_gen_family wm_gen_gpt2 = {"gpt2", "GPT2LMHeadModel", "GPT-2", "f32", rows};
