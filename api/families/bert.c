/* api/families/bert.c -- BERT without a head, as sentence encoders store it. */
#include "api/gen_family.h"

static const struct wm_gen_row rows[] = {
    WM_SET("hidden_size", "64", "width"),
    WM_SET("intermediate_size", "176", "width of the MLP"),
    WM_SET("num_hidden_layers", "2", "layers"),
    WM_SET("num_attention_heads", "4", "heads"),
    WM_SET("vocab_size", "320", "rows of the embedding"),
    WM_SET("max_position_embeddings", "128", "longest input"),
    WM_SET("type_vocab_size", "2", "segments"),
    WM_SET("hidden_act", "\"gelu\"", "activation"),
    WM_SET("layer_norm_eps", "1e-12", "of the norms"),
    WM_PRESET("minilm-l6", "hidden_size=384 intermediate_size=1536 num_hidden_layers=6 "
                           "num_attention_heads=12 vocab_size=30522 max_position_embeddings=512"),

    WM_INDEX("layer", "num_hidden_layers"),

    WM_TENSOR_OF("I64", NULL, "embeddings.position_ids", "1, max_position_embeddings"),
    WM_TENSOR("embeddings.word_embeddings.weight", "vocab_size, hidden_size"),
    WM_TENSOR("embeddings.position_embeddings.weight", "max_position_embeddings, hidden_size"),
    WM_TENSOR("embeddings.token_type_embeddings.weight", "type_vocab_size, hidden_size"),
    WM_TENSOR("embeddings.LayerNorm.weight", "hidden_size"),
    WM_TENSOR("embeddings.LayerNorm.bias", "hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.attention.self.query.weight", "hidden_size, hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.attention.self.query.bias", "hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.attention.self.key.weight", "hidden_size, hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.attention.self.key.bias", "hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.attention.self.value.weight", "hidden_size, hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.attention.self.value.bias", "hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.attention.output.dense.weight", "hidden_size, hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.attention.output.dense.bias", "hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.attention.output.LayerNorm.weight", "hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.attention.output.LayerNorm.bias", "hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.intermediate.dense.weight", "intermediate_size, hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.intermediate.dense.bias", "intermediate_size"),
    WM_TENSOR("encoder.layer.{layer}.output.dense.weight", "hidden_size, intermediate_size"),
    WM_TENSOR("encoder.layer.{layer}.output.dense.bias", "hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.output.LayerNorm.weight", "hidden_size"),
    WM_TENSOR("encoder.layer.{layer}.output.LayerNorm.bias", "hidden_size"),
    WM_TENSOR("pooler.dense.weight", "hidden_size, hidden_size"),
    WM_TENSOR("pooler.dense.bias", "hidden_size"),
    WM_END,
};

const struct wm_gen_family wm_gen_bert = {"bert", "BertModel",
                                          "BERT and sentence encoders built on it", "f32", rows};
