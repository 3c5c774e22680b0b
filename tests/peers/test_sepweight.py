"""llm-sepweight: what its dump() writes, what its load() takes, and parts as its load() takes them."""

import json

import pytest
import torch
from llm_sepweight import dump
from llm_sepweight import load as load_parts
from llm_sepweight.dumping import _dump_nested

from conftest import assert_same, load
from models import deal, make, sizes

FALCON = {k: v for k, v in sizes().items() if k not in ("intermediate_size", "num_key_value_heads")}
GPT2 = {"n_embd": 24, "n_layer": 3, "n_head": 4, "vocab_size": 56, "n_positions": 32}
GPT2 |= {"bos_token_id": 1, "eos_token_id": 2}


def falcon_decider(key):
    """As that of llm-falcon-model 0.7.0; dump() wants `start` where that says `begin`."""
    if key.startswith("transformer.word_embeddings"):
        return ["start", key.split(".", 1)[1]]
    if key.startswith("transformer.h"):
        _, _, layer, name = key.split(".", 3)
        return ["mid", layer, name]
    return ["end", key.removeprefix("transformer.")]


def llama_decider(key):
    if key.startswith("model.layers."):
        _, _, layer, name = key.split(".", 3)
        return ["mid", layer, name]
    return ["start" if "embed_tokens" in key else "end", key.removeprefix("model.")]


def gpt2_decider(key):
    if key.startswith("transformer.h."):
        _, _, layer, name = key.split(".", 3)
        return ["mid", layer, name]
    return ["start" if ".wte." in key or ".wpe." in key else "end", key.removeprefix("transformer.")]


CASES = {
    "falcon": ("FalconForCausalLM", FALCON, falcon_decider),
    "falcon, new": (
        "FalconForCausalLM",
        {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2, "dtype": "bf16"},
        falcon_decider,
    ),
    "llama": ("LlamaForCausalLM", sizes(dtype="bf16"), llama_decider),
    "llama, tied": ("LlamaForCausalLM", sizes(tie_word_embeddings=True), llama_decider),
    "llama, qwen3": ("Qwen3ForCausalLM", sizes(head_dim=8), llama_decider),
    "gpt2": ("GPT2LMHeadModel", GPT2, gpt2_decider),
}
INPUTS = ["safetensors", "sharded", "bin", "pth"]


@pytest.fixture(params=CASES)
def model(request, tmp_path):
    architecture, settings, decider = CASES[request.param]
    settings = dict(settings)
    dtype = settings.pop("dtype", "f32")
    state = make(tmp_path / "hf", architecture, dtype, **settings).state_dict()
    return request.param.split(",")[0], tmp_path / "hf", state, decider


def as_container(directory, container):
    """The same model in another container, in one file or three."""
    tensors = load(directory)
    if container == "sharded":
        deal(directory, 3)
    elif container != "safetensors":
        (directory / "model.safetensors").unlink()
        name = "pytorch_model.bin" if container == "bin" else "model.pth"
        torch.save(tensors, directory / name)
    return tensors


def parts_of(directory):
    return {p.name: torch.load(p, weights_only=True) for p in sorted(directory.glob("*.pth"))}


def same_parts(got, want):
    assert sorted(got) == sorted(want)
    for name, tensors in want.items():
        assert_same(got[name], tensors)


@pytest.mark.parametrize("container", INPUTS)
def test_dumped(wmap, tmp_path, model, container):
    """NAME:dumped makes the files of dump(), key for key, and takes them back."""
    name, hf, state, decider = model
    dump(decider, state, tmp_path / "dumped")
    want = parts_of(tmp_path / "dumped")
    assert all(k.startswith("h.2.") for k in want["mid.00002.pth"])
    tensors = as_container(hf, container)

    wmap("run", f"sepweight/{name}:dumped", "-i", hf, "-o", tmp_path / "out")
    same_parts(parts_of(tmp_path / "out"), want)
    config = ["--config", hf / "config.json"]
    wmap("verify", f"sepweight/{name}:dumped", "-i", hf, "-o", tmp_path / "dumped", *config)
    wmap("run", "--reverse", f"sepweight/{name}:dumped", "-i", tmp_path / "dumped", "-o",
         tmp_path / "back", *config)
    assert_same(load(tmp_path / "back"), tensors)


def bare(parts):
    """Without h.N., as its script remove_leading_index_in_transformer_layers.py leaves them."""
    return {
        file: {k.split(".", 2)[2] if file.startswith("mid.") else k: v for k, v in tensors.items()}
        for file, tensors in parts.items()
    }


SPECS = ["f", "b", "e", "b 0-2", "1-3 e", "0-1 2-3", "b 0-3 e"]


@pytest.mark.parametrize("spec", SPECS)
def test_parts(wmap, tmp_path, model, spec):
    """Bare names; --part-spec writes, and reads, what load() reads of it."""
    name, hf, state, decider = model
    dump(decider, state, tmp_path / "dumped")
    wmap("run", f"sepweight/{name}", "-i", hf, "-o", tmp_path / "whole")
    same_parts(parts_of(tmp_path / "whole"), bare(parts_of(tmp_path / "dumped")))

    part = tmp_path / "part"
    wmap("run", f"sepweight/{name}", "-i", hf, "-o", part, "--part-spec", spec)
    want, got = load_parts(tmp_path / "whole", spec), load_parts(part, spec)
    assert sorted(got.mid) == sorted(want.mid) and got.main_range == want.main_range
    assert (got.begin is None, got.end is None) == (want.begin is None, want.end is None)
    if spec == "0-1 2-3":  # its to_dict() knows the first range only
        assert_same(got.mid[2], want.mid[2])
    assert_same(got.to_dict(), want.to_dict())
    if spec != "f":
        assert sorted(p.name for p in part.glob("*.pth")) == sorted(
            ["begin.pth"] * (want.begin is not None) + ["end.pth"] * (want.end is not None)
            + [f"mid.{i:05}.pth" for i in want.mid])

    # back to Hugging Face's keys: those of the parts, from the parts alone
    wmap("run", "--reverse", f"sepweight/{name}", "-i", part, "-o", tmp_path / "back",
         "--config", hf / "config.json", "--part-spec", spec)
    keep = {k: v for k, v in state.items() if is_in(decider(k), want)}
    if want.begin is not None and "lm_head.weight" not in load(hf):
        keep.pop("lm_head.weight", None)  # tied, and the embedding is there
    assert_same(load(tmp_path / "back"), keep)
    wmap("verify", "--reverse", f"sepweight/{name}", "-i", part, "-o", tmp_path / "back",
         "--config", hf / "config.json", "--part-spec", spec)


def is_in(goal, parts):
    if goal[0] == "mid":
        return int(goal[1]) in parts.mid
    return (parts.begin if goal[0] == "start" else parts.end) is not None


def test_nested(wmap, tmp_path, model):
    """A tensor a file, as before 0.7: to parts, and straight to Hugging Face."""
    name, hf, state, decider = model
    _dump_nested(decider, state, tmp_path / "nested")
    assert list((tmp_path / "nested/mid/1").glob("*.pth"))
    dump(decider, state, tmp_path / "dumped")
    config = ["--config", hf / "config.json"]
    wmap("run", "sepweight/nested", "-i", tmp_path / "nested", "-o", tmp_path / "parts", *config)
    same_parts(parts_of(tmp_path / "parts"), bare(parts_of(tmp_path / "dumped")))
    wmap("run", f"sepweight/nested >> ~sepweight/{name}", "-i", tmp_path / "nested", "-o",
         tmp_path / "back", *config)
    assert_same(load(tmp_path / "back"), load(hf))


def test_a_layer_over_two_files(wmap, tmp_path):
    """Its converter overwrites a layer whose tensors lie in two files; here they are joined."""
    make(tmp_path / "hf", "LlamaForCausalLM", **sizes())
    deal(tmp_path / "hf", 2)
    index = json.loads((tmp_path / "hf/model.safetensors.index.json").read_text())
    files = {v for k, v in index["weight_map"].items() if k.startswith("model.layers.1.")}
    assert len(files) == 2
    wmap("run", "sepweight/llama", "-i", tmp_path / "hf", "-o", tmp_path / "out")
    mid = torch.load(tmp_path / "out/mid.00001.pth", weights_only=True)
    prefix = "model.layers.1."
    assert_same(mid, {k.removeprefix(prefix): v for k, v in load(tmp_path / "hf").items()
                      if k.startswith(prefix)})
