"""GPT-2 as nanoGPT has it, against the formula: its from_pretrained transposes four matrices of
a block."""

import json

import pytest
import torch

from conftest import assert_same, load, save
from models import make

SIZES = {"n_embd": 24, "n_layer": 3, "n_head": 4, "n_positions": 16, "vocab_size": 56}
SIZES |= {"bos_token_id": 1, "eos_token_id": 2}
TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")

VARIANTS = {
    "f32": {},
    "bf16": {"dtype": "bf16"},
    "untied": {"tie_word_embeddings": False},
    "bf16, sharded": {"dtype": "bf16", "files": 3},
}


def to_nanogpt(tensors):
    want = {k: v.T.contiguous() if k.endswith(TRANSPOSED) else v for k, v in tensors.items()}
    want.setdefault("lm_head.weight", tensors["transformer.wte.weight"])
    return want


@pytest.fixture(params=VARIANTS)
def gpt2(request, tmp_path):
    directory = tmp_path / "model"
    make(directory, "GPT2LMHeadModel", **VARIANTS[request.param], **SIZES)
    return directory


def test_gpt2(wmap, gpt2):
    wmap.check("nanogpt/gpt2", gpt2, to_nanogpt(load(gpt2)))


def test_gpt2_with_bare_keys(wmap, tmp_path):
    """As openai-community/gpt2 has them."""
    directory = tmp_path / "model"
    make(directory, "GPT2LMHeadModel", **SIZES)
    tensors = load(directory)
    save(
        {k.removeprefix("transformer."): v for k, v in tensors.items()},
        directory / "model.safetensors",
    )
    wmap.check("nanogpt/gpt2", directory, to_nanogpt(tensors), "-D", "bare=true")


@pytest.mark.parametrize("prefix", ["transformer.", ""])
def test_masks_are_ignored(wmap, tmp_path, prefix):
    """Old files hold the causal mask of every layer, as do nanoGPT's without flash attention."""
    directory = tmp_path / "model"
    make(directory, "GPT2LMHeadModel", **SIZES)
    tensors = load(directory)
    named = {prefix + k.removeprefix("transformer."): v for k, v in tensors.items()}
    hf_masks = {
        f"{prefix}h.{i}.attn.{b}": torch.ones(1) for i in range(3) for b in ("bias", "masked_bias")
    }
    save(named | hf_masks, directory / "model.safetensors")
    options = ["-D", f"bare={json.dumps(not prefix)}"]
    nano = tmp_path / "nano"
    wmap("run", "nanogpt/gpt2", "-i", directory, "-o", nano, *options)
    assert_same(load(nano), to_nanogpt(tensors))

    nano_masks = {f"transformer.h.{i}.attn.bias": torch.ones(1, 1, 16, 16) for i in range(3)}
    save(to_nanogpt(tensors) | nano_masks, nano / "model.safetensors")
    wmap("run", "--reverse", "nanogpt/gpt2", "-i", nano, "-o", tmp_path / "again", *options)
    assert_same(load(tmp_path / "again"), named)
