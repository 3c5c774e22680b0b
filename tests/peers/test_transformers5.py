"""Packed experts against transformers 5: it makes them itself when it loads files with one
tensor an expert."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM

from conftest import assert_same, load, save
from models import make, sizes

VARIANTS = {
    "f32": {},
    "bf16, sharded": {"dtype": "bf16", "files": 3},
    "bf16, tied": {"dtype": "bf16", "tie_word_embeddings": True},
}


def loaded(directory):
    """The tensors of the model that from_pretrained makes of a directory, a tied head left out
    as in files."""
    model, report = AutoModelForCausalLM.from_pretrained(
        directory, dtype="auto", output_loading_info=True
    )
    assert not any(report.values()), report
    tensors = model.state_dict()
    if model.config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    return tensors


def check(wmap, tmp_path, name, architecture, variant, **config):
    variant = dict(variant)
    dtype, files = variant.pop("dtype", "f32"), variant.pop("files", 1)
    directory = tmp_path / "model"
    make(directory, architecture, dtype, files, **sizes(**variant, **config))
    want = loaded(directory)
    assert want.keys() != load(directory).keys(), "the model stores what its files store"
    packed = wmap.check(name, directory, want)
    assert_same(loaded(packed), want)


@pytest.mark.parametrize("variant", VARIANTS)
def test_mixtral(wmap, tmp_path, variant):
    check(
        wmap,
        tmp_path,
        "transformers5/mixtral",
        "MixtralForCausalLM",
        VARIANTS[variant],
        num_local_experts=5,
    )


def test_sharded_output(wmap, tmp_path):
    """Shards and their index as the library has them: it loads both, ours there and ours back."""
    source = tmp_path / "model"
    make(source, "MixtralForCausalLM", "bf16", **sizes(num_local_experts=5))
    want = loaded(source)
    there, again = tmp_path / "there", tmp_path / "again"
    wmap("run", "transformers5/mixtral", "-i", source, "-o", there, "--max-shard-size", "20KB")
    wmap(
        "run",
        "--reverse",
        "transformers5/mixtral",
        "-i",
        there,
        "-o",
        again,
        "--max-shard-size",
        "9KB",
    )
    assert len(list(there.glob("*.safetensors"))) > 2
    assert len(list(again.glob("*.safetensors"))) > 5
    assert_same(load(again), load(source))
    assert_same(loaded(there), want)
    assert_same(loaded(again), want)


QWEN3_MOE = {"num_experts": 5, "moe_intermediate_size": 12, "num_experts_per_tok": 2, "head_dim": 8}


@pytest.mark.parametrize("variant", VARIANTS)
def test_qwen3_moe(wmap, tmp_path, variant):
    check(
        wmap,
        tmp_path,
        "transformers5/qwen3_moe",
        "Qwen3MoeForCausalLM",
        VARIANTS[variant],
        **QWEN3_MOE,
    )


@pytest.mark.parametrize("dense", [{"mlp_only_layers": [1]}, {"decoder_sparse_step": 2}])
def test_qwen3_moe_with_dense_layers(wmap, tmp_path, dense):
    check(
        wmap, tmp_path, "transformers5/qwen3_moe", "Qwen3MoeForCausalLM", {}, **QWEN3_MOE, **dense
    )


# ---- the same packing for other families ----

FAMILIES = {
    "qwen2_moe": (
        "Qwen2MoeForCausalLM",
        {"num_experts": 5, "moe_intermediate_size": 12, "shared_expert_intermediate_size": 20}
        | {"num_experts_per_tok": 2, "mlp_only_layers": [1]},
    ),
    "olmoe": ("OlmoeForCausalLM", {"num_experts": 5, "num_experts_per_tok": 2}),
    "phimoe": ("PhimoeForCausalLM", {"num_local_experts": 5, "attention_bias": True}),
    "deepseek_v3": (
        "DeepseekV3ForCausalLM",
        {"n_routed_experts": 6, "n_group": 2, "topk_group": 1, "num_experts_per_tok": 2}
        | {
            "moe_intermediate_size": 12,
            "first_k_dense_replace": 1,
            "q_lora_rank": 8,
            "kv_lora_rank": 10,
        }
        | {"qk_nope_head_dim": 4, "qk_rope_head_dim": 6, "v_head_dim": 6},
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_family(wmap, tmp_path, family, variant):
    architecture, config = FAMILIES[family]
    check(wmap, tmp_path, f"transformers5/{family}", architecture, VARIANTS[variant], **config)


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_gpt_oss(wmap, tmp_path, dtype):
    """Packed by transformers itself; unpacked by the formula."""
    directory = tmp_path / "packed"
    make(
        directory,
        "GptOssForCausalLM",
        dtype,
        **sizes(num_local_experts=5, head_dim=8, intermediate_size=24),
    )
    packed = load(directory)
    assert packed["model.layers.0.mlp.experts.down_proj"].shape == (5, 24, 24)

    apart = {}
    for key, tensor in packed.items():
        if ".mlp.experts." not in key:
            apart[key] = tensor
            continue
        start, name = key.rsplit(".", 1)
        kind = "bias" if name.endswith("_bias") else "weight"
        for e in range(5):
            if name.startswith("down_proj"):
                apart[f"{start}.{e}.down_proj.{kind}"] = (
                    tensor[e].T if kind == "weight" else tensor[e]
                )
                continue
            for p, part in enumerate(("gate", "up")):
                half = tensor[e][..., p::2]
                apart[f"{start}.{e}.{part}_proj.{kind}"] = half.T if kind == "weight" else half
    source = tmp_path / "model"
    source.mkdir()
    (source / "config.json").write_bytes((directory / "config.json").read_bytes())
    save(apart, source / "model.safetensors")
    out = wmap.check("transformers5/gpt_oss", source, packed)
    assert_same(loaded(out), loaded(directory))


@pytest.mark.parametrize("family", ["qwen3_moe", "deepseek_v3"])
def test_fp8_blocks(wmap, tmp_path, family):
    """Weights in FP8 and their scales are packed alike, as its FP8Experts names them."""
    torch.manual_seed(0)
    apart, packed = {}, {}
    for name, rows, columns in (("gate", 6, 4), ("up", 6, 4), ("down", 4, 6)):
        for e in range(3):
            start = f"model.layers.1.mlp.experts.{e}.{name}_proj"
            apart[f"{start}.weight"] = torch.randn(rows, columns).to(torch.float8_e4m3fn)
            apart[f"{start}.weight_scale_inv"] = torch.randn(rows // 2, columns // 2)
    for kind, suffix in (("weight", ""), ("weight_scale_inv", "_scale_inv")):
        part = {
            name: [apart[f"model.layers.1.mlp.experts.{e}.{name}_proj.{kind}"] for e in range(3)]
            for name in ("gate", "up", "down")
        }
        start = "model.layers.1.mlp.experts"
        both = [torch.cat(pair) for pair in zip(part["gate"], part["up"])]
        packed[f"{start}.gate_up_proj{suffix}"] = torch.stack(both)
        packed[f"{start}.down_proj{suffix}"] = torch.stack(part["down"])
    directory = tmp_path / "model"
    directory.mkdir()
    save(apart, directory / "model.safetensors")
    config = {"model_type": family, "num_hidden_layers": 2, "first_k_dense_replace": 1}
    config |= {"num_experts": 3, "n_routed_experts": 3, "mlp_only_layers": [0]}
    config |= {"quantization_config": {"weight_block_size": [2, 2]}}
    (directory / "config.json").write_text(json.dumps(config))
    wmap.check(f"transformers5/{family}", directory, packed)
