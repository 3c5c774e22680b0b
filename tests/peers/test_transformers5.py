"""Packed experts against transformers 5: it makes them itself when it loads files with one tensor an expert."""

import pytest
from conftest import assert_same, load
from models import make, sizes
from transformers import AutoModelForCausalLM

VARIANTS = {
    "f32": {},
    "bf16, sharded": {"dtype": "bf16", "shard": "6KB"},
    "bf16, tied": {"dtype": "bf16", "tie_word_embeddings": True},
}


def loaded(directory):
    """The tensors of the model that from_pretrained makes of a directory, a tied head left out as in files."""
    model, report = AutoModelForCausalLM.from_pretrained(directory, dtype="auto", output_loading_info=True)
    assert not any(report.values()), report
    tensors = model.state_dict()
    if model.config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    return tensors


def check(wmap, tmp_path, name, architecture, variant, **config):
    variant = dict(variant)
    dtype, shard = variant.pop("dtype", "f32"), variant.pop("shard", None)
    directory = tmp_path / "model"
    make(directory, architecture, dtype, shard, **sizes(**variant, **config))
    want = loaded(directory)
    assert want.keys() != load(directory).keys(), "the model stores what its files store"
    packed = wmap.check(name, directory, want)
    assert_same(loaded(packed), want)


@pytest.mark.parametrize("variant", VARIANTS)
def test_mixtral(wmap, tmp_path, variant):
    check(
        wmap, tmp_path, "transformers5/mixtral", "MixtralForCausalLM", VARIANTS[variant], num_local_experts=5
    )


QWEN3_MOE = {"num_experts": 5, "moe_intermediate_size": 12, "num_experts_per_tok": 2, "head_dim": 8}


@pytest.mark.parametrize("variant", VARIANTS)
def test_qwen3_moe(wmap, tmp_path, variant):
    check(
        wmap, tmp_path, "transformers5/qwen3_moe", "Qwen3MoeForCausalLM", VARIANTS[variant], **QWEN3_MOE
    )


@pytest.mark.parametrize("dense", [{"mlp_only_layers": [1]}, {"decoder_sparse_step": 2}])
def test_qwen3_moe_with_dense_layers(wmap, tmp_path, dense):
    check(wmap, tmp_path, "transformers5/qwen3_moe", "Qwen3MoeForCausalLM", {}, **QWEN3_MOE, **dense)
