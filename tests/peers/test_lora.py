"""Low-rank adapters: LitGPT's own merge_lora to the byte, and PEFT's sum within a unit in the last place."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from litgpt import Config
from litgpt.lora import GPT, lora_filter
from litgpt.lora import Config as LoraConfig
from litgpt.scripts.merge_lora import merge_lora
from litgpt.utils import save_config
from safetensors.torch import load_file, save_file

from conftest import load

HERE = Path(__file__).parent
PEFT = Path(os.environ.get("WMAP_VENV_PEFT", f"{sys.prefix}-peft"))
MASKS = ["qkv", "qv", "q", "k", "kv", "v", "qk", ""]
IDENTITY = 'wmap 1\nmap same\n"{rest*}" <-> "{rest*}"\n'


def identity(tmp_path):
    path = tmp_path / "same.wmap"
    path.write_text(IDENTITY)
    return path


def lit_model(tmp_path, mask, groups, r, alpha, more=True):
    """The base model and an adapter of it, as the trainer of LitGPT leaves them."""
    lora = {
        "lora_r": r,
        "lora_alpha": alpha,
        "lora_dropout": 0.05,
        "lora_query": "q" in mask,
        "lora_key": "k" in mask,
        "lora_value": "v" in mask,
        "lora_projection": more,
        "lora_mlp": more,
        "lora_head": more,
    }
    shape = {
        "name": "small", "n_layer": 2, "n_embd": 64, "n_head": 4, "head_size": 16, "n_query_groups": groups,
        "vocab_size": 96, "padded_vocab_size": 96, "intermediate_size": 112, "norm_class_name": "RMSNorm",
        "mlp_class_name": "LLaMAMLP", "bias": False, "parallel_residual": False, "block_size": 64,
    }  # fmt: skip
    config = Config(**shape)
    torch.manual_seed(len(mask) * 10 + groups)
    model = GPT(LoraConfig(**shape, **lora))
    state = {k: torch.randn(v.shape).to(torch.bfloat16) for k, v in model.state_dict().items()}
    base, out = tmp_path / "base", tmp_path / "lora"
    for directory in (base, out):
        directory.mkdir()
        (directory / "tokenizer.json").write_text("{}")
        (directory / "tokenizer_config.json").write_text("{}")
        save_config(config, directory)
    plain = {k.replace("linear.", ""): v for k, v in state.items() if not lora_filter(k, v)}
    torch.save(plain, base / "lit_model.pth")
    torch.save({"model": {k: v for k, v in state.items() if lora_filter(k, v)}}, out / "lit_model.pth.lora")
    settings = {"checkpoint_dir": str(base), "precision": "bf16-true", "train": {"epochs": 1}, **lora}
    (out / "hyperparameters.yaml").write_text(yaml.safe_dump(settings))
    hf = {
        "model_type": "llama", "num_attention_heads": 4, "num_key_value_heads": groups, "head_dim": 16,
        "hidden_size": 64, "num_hidden_layers": 2,
    }  # fmt: skip
    (base / "config.json").write_text(json.dumps(hf))
    return base, out


@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("mask", MASKS)
def test_merge_lora(wmap, tmp_path, mask, groups):
    base, adapter = lit_model(tmp_path, mask, groups, 4, 11)
    merge_lora(adapter)
    want = torch.load(adapter / "lit_model.pth")
    wmap("run", identity(tmp_path), "-i", base / "lit_model.pth", "--config", base / "config.json", "-o",
         tmp_path / "out.safetensors", "--adapter", adapter)  # fmt: skip
    got = load_file(tmp_path / "out.safetensors")
    assert got.keys() == want.keys()
    for key, tensor in want.items():
        assert torch.equal(got[key].view(torch.int16), tensor.view(torch.int16)), key
    changed = torch.load(base / "lit_model.pth")
    assert not torch.equal(changed["lm_head.weight"], want["lm_head.weight"])


def test_mixed_types(wmap, tmp_path):
    """An adapter of float32 and a base of bfloat16: LitGPT makes all of the model float32 first, and so has one to here."""
    base, adapter = lit_model(tmp_path, "qv", 2, 4, 8)
    lora = torch.load(adapter / "lit_model.pth.lora")["model"]
    lora = {k: torch.randint(-9, 9, v.shape).float() for k, v in lora.items()}  # sums that are exact in any order
    state = {k: torch.randint(-9, 9, v.shape).bfloat16() for k, v in torch.load(base / "lit_model.pth").items()}
    torch.save({"model": lora}, adapter / "lit_model.pth.lora")
    torch.save(state, base / "lit_model.pth")
    merge_lora(adapter)
    want = torch.load(adapter / "lit_model.pth")
    assert all(t.dtype == torch.float32 for t in want.values())
    config = ("--config", base / "config.json")
    merge = ("run", identity(tmp_path), "-o", tmp_path / "out.safetensors", "--adapter", adapter, *config, "-i")
    said = wmap(*merge, base / "lit_model.pth", status=1).stderr
    assert "is F32" in said and "cast the weights first" in said
    (tmp_path / "cast.wmap").write_text('wmap 1\n"{m*}" -> cast(f32) -> "{m}"\n')
    wmap("run", tmp_path / "cast.wmap", "-i", base / "lit_model.pth", "-o", tmp_path / "wide.safetensors", *config)
    wmap(*merge, tmp_path / "wide.safetensors")
    got = load_file(tmp_path / "out.safetensors")
    assert got.keys() == want.keys() and all(torch.equal(got[k], want[k]) for k in want)


def test_merge_and_convert(wmap, tmp_path):
    """LitGPT's adapter, merged while the model goes to Hugging Face's layout."""
    base, adapter = lit_model(tmp_path, "qv", 2, 8, 16)
    merge_lora(adapter)
    args = ("--config", base / "config.json", "--reverse")
    wmap("run", "litgpt/llama", "-i", base / "lit_model.pth", "-o", tmp_path / "got", "--adapter", adapter, *args)
    wmap("run", "litgpt/llama", "-i", adapter / "lit_model.pth", "-o", tmp_path / "want", *args)
    got, want = load(tmp_path / "got"), load(tmp_path / "want")
    assert got.keys() == want.keys()
    assert all(torch.equal(got[k], want[k]) for k in want)


def peft_adapter(tmp_path, base, r, alpha, dtype, config, embedding=False):
    out = tmp_path / "adapter"
    out.mkdir()
    factors, want, ranks = {}, dict(base), {}
    flip = config.get("fan_in_fan_out", False)
    for i, (key, w) in enumerate(sorted(base.items())):
        module = "base_model.model." + key.removesuffix(".weight")
        rank = r + i % 3
        s = alpha
        for pattern, own in config.get("alpha_pattern", {}).items():
            s = own if key.endswith(pattern + ".weight") else s
        s = s / rank**0.5 if config.get("use_rslora") else s / rank
        if embedding and "embed" in key:
            a, b = torch.randn(rank, w.shape[0]).to(dtype), torch.randn(w.shape[1], rank).to(dtype)
            factors[module + ".lora_embedding_A"], factors[module + ".lora_embedding_B"] = a, b
            delta = (b.double() @ a.double()).T
        elif "proj" in key:
            rows, columns = w.shape if not flip else w.shape[::-1]
            a, b = torch.randn(rank, columns).to(dtype), torch.randn(rows, rank).to(dtype)
            factors[module + ".lora_A.weight"], factors[module + ".lora_B.weight"] = a, b
            delta = b.double() @ a.double()
            delta = delta.T if flip else delta
        else:
            continue
        want[key] = w.double() + s * delta
        if rank != r:
            ranks[key.removeprefix("model.").removesuffix(".weight")] = rank
    save_file(factors, out / "adapter_model.safetensors")
    full = {"peft_type": "LORA", "r": r, "lora_alpha": alpha, "rank_pattern": ranks, **config}
    (out / "adapter_config.json").write_text(json.dumps(full))
    return out, want


CONFIGS = [
    {},
    {"use_rslora": True},
    {"fan_in_fan_out": True},
    {"alpha_pattern": {"q_proj": 3, "layers.1.mlp.up_proj": 7}},
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_peft(wmap, tmp_path, config, dtype):
    torch.manual_seed(3)
    base = {"model.embed_tokens.weight": torch.randn(50, 24), "model.norm.weight": torch.randn(24)}
    for layer in range(2):
        for part, n in (("self_attn.q_proj", 24), ("self_attn.k_proj", 12), ("mlp.up_proj", 40)):
            base[f"model.layers.{layer}.{part}.weight"] = torch.randn(n, 24)
    adapter, want = peft_adapter(tmp_path, base, 5, 16, dtype, config, embedding=True)
    save_file(base, tmp_path / "base.safetensors")
    wmap("run", identity(tmp_path), "-i", tmp_path / "base.safetensors", "-o", tmp_path / "out.safetensors",
         "--adapter", adapter)  # fmt: skip
    got = load_file(tmp_path / "out.safetensors")
    assert got.keys() == base.keys()
    for key, tensor in want.items():
        assert torch.equal(got[key], tensor.float()), key


# ---- PEFT itself: what it saves, and what it makes of that ----

FILES = {"mixtral": "transformers5/mixtral >> ~transformers5/mixtral"}  # of experts apart; the adapter is of packed ones


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    out = tmp_path_factory.mktemp("peft")
    done = subprocess.run([sys.executable, HERE / "peft_save.py", out], capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=str(PEFT)))  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize("name", ["patterns", "rslora", "embedding", "bias", "conv1d", "mixtral", "router", "gpt_oss"])
def test_saved_by_peft(wmap, tmp_path, saved, name):
    """To the bit, since the numbers are such that no sum is rounded."""
    m = FILES["mixtral"] if name in ("mixtral", "router") else identity(tmp_path)
    wmap("run", m, "-i", saved / name / "base", "-o", tmp_path / "out", "--adapter", saved / name / "adapter")
    got, want, was = (load(d) for d in (tmp_path / "out", saved / name / "merged", saved / name / "base"))
    assert got.keys() == want.keys() == was.keys()
    assert all(torch.equal(got[k], want[k]) for k in want)
    assert any(not torch.equal(was[k], want[k]) for k in want)
