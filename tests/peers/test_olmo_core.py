"""The families of OLMo-core, against its own converter.  Llama itself is in test_llama.py."""

import json

import pytest
import torch
from olmo_core.nn.hf.convert import (
    convert_hybrid_state_to_hf,
    convert_state_from_hf,
    convert_state_to_hf,
)

from conftest import assert_same, load, save
from models import Source, make, sizes

VARIANTS = {
    "grouped": {},
    "grouped, bf16, sharded": {"dtype": "bf16", "files": 3},
    "multi-query, tied": {"heads": "multi-query", "tie_word_embeddings": True},
    "multi-head, bf16, tied": {"heads": "multi-head", "dtype": "bf16", "tie_word_embeddings": True},
}


def source(directory, architecture, variant, **more):
    variant = dict(variant)
    dtype, files = variant.pop("dtype", "f32"), variant.pop("files", 1)
    model = make(directory, architecture, dtype, files, **sizes(**variant, **more))
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
    check(
        wmap,
        "olmo_core/olmo2",
        "olmo2",
        source(tmp_path / "model", "Olmo2ForCausalLM", VARIANTS[variant]),
    )


def test_olmo2_with_biases(wmap, tmp_path):
    """Its converter has no names for the biases of attention, its modules have."""
    olmo2 = source(tmp_path / "model", "Olmo2ForCausalLM", {}, attention_bias=True)
    plain = {k: v for k, v in olmo2.tensors.items() if not k.endswith(".bias")}
    want = convert_state_from_hf(olmo2.config, plain, model_type="olmo2")
    for layer in range(olmo2.config.num_hidden_layers):
        for hf, olmo in (
            ("q_proj", "w_q"),
            ("k_proj", "w_k"),
            ("v_proj", "w_v"),
            ("o_proj", "w_out"),
        ):
            bias = olmo2.tensors[f"model.layers.{layer}.self_attn.{hf}.bias"]
            want[f"blocks.{layer}.attention.{olmo}.bias"] = bias
    wmap.check("olmo_core/olmo2", olmo2.directory, want)


@pytest.mark.parametrize("variant", VARIANTS)
def test_olmo3(wmap, tmp_path, variant):
    check(
        wmap,
        "olmo_core/olmo3",
        "olmo3",
        source(tmp_path / "model", "Olmo3ForCausalLM", VARIANTS[variant]),
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_qwen3(wmap, tmp_path, variant):
    qwen3 = source(tmp_path / "model", "Qwen3ForCausalLM", VARIANTS[variant], head_dim=8)
    check(wmap, "olmo_core/qwen3", "qwen3", qwen3)


@pytest.mark.parametrize("variant", ["f32", "bf16", "bf16, sharded"])
def test_gemma3(wmap, tmp_path, variant):
    """Norms grow by one in their own type: forwards and back as there, but back is not where it
    came from."""
    options = {
        "f32": {},
        "bf16": {"dtype": "bf16"},
        "bf16, sharded": {"dtype": "bf16", "files": 3},
    }[variant]
    gemma3 = source(tmp_path / "model", "Gemma3ForCausalLM", options, head_dim=8)
    want = convert_state_from_hf(gemma3.config, dict(gemma3.tensors), model_type="gemma3_text")
    back = convert_state_to_hf(gemma3.config, dict(want))
    del back["lm_head.weight"]
    assert not torch.equal(back["model.norm.weight"], gemma3.tensors["model.norm.weight"])
    wmap.check("olmo_core/gemma3", gemma3.directory, want, back=back)


# ---- experts ----

MOE = {"num_experts": 5, "num_experts_per_tok": 2}
MOE_VARIANTS = ["grouped", "grouped, bf16, sharded", "multi-head, bf16, tied"]


def experts(source, want, dropless):
    """The formula: all experts on top of each other, transposed but for w1 and w3 of a dropless
    model."""
    for key in [k for k in want if ".feed_forward_moe.experts." in k]:
        del want[key]
    for layer in range(source.config.num_hidden_layers):
        for hf, olmo in (("gate", "w1"), ("down", "w2"), ("up", "w3")):
            keys = [f"model.layers.{layer}.mlp.experts.{e}.{hf}_proj.weight" for e in range(5)]
            keep = dropless and hf != "down"
            parts = [source.tensors[k] if keep else source.tensors[k].T for k in keys]
            want[f"blocks.{layer}.feed_forward_moe.experts.mlp.{olmo}"] = torch.cat(parts)
    return want


@pytest.mark.parametrize("variant", MOE_VARIANTS)
def test_flex_olmo(wmap, tmp_path, variant):
    flex = source(tmp_path / "model", "FlexOlmoForCausalLM", VARIANTS[variant], **MOE)
    check(wmap, "olmo_core/flex_olmo", "flex_olmo", flex)


def test_flex_olmo_dropless(wmap, tmp_path):
    """Its checkpoint script re-lays w1 and w3, by the same reshapes as here, after the
    converter."""
    flex = source(tmp_path / "model", "FlexOlmoForCausalLM", {}, **MOE)
    want = convert_state_from_hf(flex.config, dict(flex.tensors), model_type="flex_olmo")
    for key in [k for k in want if k.endswith((".mlp.w1", ".mlp.w3"))]:
        w = want[key].reshape(5, -1, flex.config.intermediate_size).permute(0, 2, 1)
        want[key] = w.reshape(5 * flex.config.intermediate_size, -1)
    assert_same(experts(flex, dict(want), dropless=True), want)
    wmap.check("olmo_core/flex_olmo", flex.directory, want, "-D", "dropless=true")


@pytest.mark.parametrize("dropless", [False, True])
@pytest.mark.parametrize("variant", MOE_VARIANTS)
def test_olmoe(wmap, tmp_path, variant, dropless):
    """Its converter, told that this is a Llama, is right about the norms; experts by the
    formula."""
    olmoe = source(tmp_path / "model", "OlmoeForCausalLM", VARIANTS[variant], **MOE)
    want = convert_state_from_hf(olmoe.config, dict(olmoe.tensors), model_type="llama")
    want = experts(olmoe, want, dropless)
    wmap.check("olmo_core/olmoe", olmoe.directory, want, "-D", f"dropless={str(dropless).lower()}")


# ---- delta nets ----


def test_hybrid(wmap, tmp_path):
    """From OLMo-core's tensors, as its modules name them: its converter only goes to Hugging
    Face."""
    types = ["linear_attention", "linear_attention", "full_attention"]
    torch.manual_seed(0)
    olmo = {
        "embeddings.weight": (56, 24),
        "lm_head.norm.weight": (24,),
        "lm_head.w_out.weight": (56, 24),
    }
    for layer, kind in enumerate(types):
        block = dict.fromkeys(("attention_norm.weight", "feed_forward_norm.weight"), (24,))
        block |= {"feed_forward.w1.weight": (40, 24), "feed_forward.w2.weight": (24, 40)}
        block |= {"feed_forward.w3.weight": (40, 24)}
        block |= LINEAR if kind == "linear_attention" else FULL
        olmo |= {f"blocks.{layer}.{k}": v for k, v in block.items()}
    olmo = {k: torch.randn(v).to(torch.bfloat16) for k, v in olmo.items()}

    directory = tmp_path / "model"
    directory.mkdir()
    save(convert_hybrid_state_to_hf(olmo, types), directory / "model.safetensors")
    config = {"model_type": "olmo_hybrid", "num_hidden_layers": 3, "layer_types": types}
    (directory / "config.json").write_text(json.dumps(config))
    wmap.check("olmo_core/hybrid", directory, olmo)


LINEAR = {
    "attention.w_q.weight": (8, 24),
    "attention.w_k.weight": (8, 24),
    "attention.w_v.weight": (16, 24),
    "attention.w_a.weight": (2, 24),
    "attention.w_b.weight": (2, 24),
    "attention.w_g.weight": (16, 24),
    "attention.w_out.weight": (24, 16),
    "attention.q_conv1d.weight": (8, 1, 4),
    "attention.k_conv1d.weight": (8, 1, 4),
    "attention.v_conv1d.weight": (16, 1, 4),
    "attention.o_norm.weight": (8,),
    "attention.A_log": (2,),
    "attention.dt_bias": (2,),
}
FULL = {
    "attention.w_q.weight": (24, 24),
    "attention.w_k.weight": (12, 24),
    "attention.w_v.weight": (12, 24),
    "attention.w_out.weight": (24, 24),
    "attention.q_norm.weight": (24,),
    "attention.k_norm.weight": (12,),
}
