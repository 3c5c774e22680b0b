"""OLMo 2 against OLMo-core's own converter."""

import pytest
from conftest import assert_same, load
from models import Source, make, sizes
from olmo_core.nn.hf.convert import convert_state_from_hf, convert_state_to_hf

VARIANTS = {
    "grouped": {},
    "grouped, bf16, sharded": {"dtype": "bf16", "shard": "3KB"},
    "multi-query, tied": {"heads": "multi-query", "tie_word_embeddings": True},
    "multi-head, bf16, tied": {"heads": "multi-head", "dtype": "bf16", "tie_word_embeddings": True},
}


def source(directory, architecture, variant, **more):
    variant = dict(variant)
    dtype, shard = variant.pop("dtype", "f32"), variant.pop("shard", None)
    model = make(directory, architecture, dtype, shard, **sizes(**variant, **more))
    return Source(directory, model, load(directory))


def check(wmap, name, model_type, source):
    want = convert_state_from_hf(source.config, dict(source.tensors), model_type=model_type)
    wmap.check(name, source.directory, want)
    back = convert_state_to_hf(source.config, want)
    if source.config.tie_word_embeddings:
        del back["lm_head.weight"]  # a file of Hugging Face's leaves it out
    assert_same(back, source.tensors)


@pytest.mark.parametrize("variant", VARIANTS)
def test_olmo2(wmap, tmp_path, variant):
    check(wmap, "olmo_core/olmo2", "olmo2", source(tmp_path / "model", "Olmo2ForCausalLM", VARIANTS[variant]))


def test_olmo2_with_biases(wmap, tmp_path):
    """Its converter has no names for the biases of attention, its modules have."""
    olmo2 = source(tmp_path / "model", "Olmo2ForCausalLM", {}, attention_bias=True)
    plain = {k: v for k, v in olmo2.tensors.items() if not k.endswith(".bias")}
    want = convert_state_from_hf(olmo2.config, plain, model_type="olmo2")
    for layer in range(olmo2.config.num_hidden_layers):
        for hf, olmo in (("q_proj", "w_q"), ("k_proj", "w_k"), ("v_proj", "w_v"), ("o_proj", "w_out")):
            bias = olmo2.tensors[f"model.layers.{layer}.self_attn.{hf}.bias"]
            want[f"blocks.{layer}.attention.{olmo}.bias"] = bias
    wmap.check("olmo_core/olmo2", olmo2.directory, want)
