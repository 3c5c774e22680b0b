"""An adapter converted by itself, then merged by its own library: the same as merging it and converting the model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from litgpt.scripts.merge_lora import merge_lora
from safetensors.torch import load_file, save_file

from conftest import load
from test_lora import identity, lit_model

HERE = Path(__file__).parent
PEFT = Path(os.environ.get("WMAP_VENV_PEFT", f"{sys.prefix}-peft"))
CONFIG = {"model_type": "llama", "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
          "hidden_size": 32, "head_dim": 8, "intermediate_size": 24, "vocab_size": 40}  # fmt: skip
LAYER = {"self_attn.q_proj": (32, 32), "self_attn.k_proj": (16, 32), "self_attn.v_proj": (16, 32),
         "self_attn.o_proj": (32, 32), "mlp.gate_proj": (24, 32), "mlp.up_proj": (24, 32), "mlp.down_proj": (32, 24)}
FUSED = """wmap 1
map fused
index layer < 2
within "model.layers.{layer}." <-> "layers.{layer}." {
  "self_attn.q_proj.weight" [(h half d) e], "self_attn.k_proj.weight" [(g half d) e], "self_attn.v_proj.weight" [(g v) e]
    <-> "qkv.weight" [((h d half) + (g d half) + (g v)) e]
    where h = 4, g = 2, half = 2, d = 4, v = 8
  "mlp.{p in gate|up}_proj.weight" [f e] <-> "gate_up.weight" [(f p) e]
}
"{rest*}" <-> "{rest}"
"""


def llama(tmp_path, parts, r=4, alpha=8, **config):
    """A base model and an adapter of some of its modules, whole numbers, so that sums are exact."""
    torch.manual_seed(1)

    def whole(*shape):
        return torch.randint(-8, 8, shape).float()

    base = {"model.embed_tokens.weight": whole(40, 32), "model.norm.weight": whole(32), "lm_head.weight": whole(40, 32)}
    factors = {}
    for layer in range(2):
        for name, shape in LAYER.items():
            key = f"model.layers.{layer}.{name}"
            base[key + ".weight"] = whole(*shape)
            if name.split(".")[1] in parts:
                factors[f"base_model.model.{key}.lora_A.weight"] = whole(r, shape[1])
                factors[f"base_model.model.{key}.lora_B.weight"] = whole(shape[0], r)
        for name in ("input_layernorm", "post_attention_layernorm"):
            base[f"model.layers.{layer}.{name}.weight"] = whole(32)
    for name, tensors in (("base/model", base), ("adapter/adapter_model", factors)):
        (tmp_path / name).parent.mkdir()
        save_file(tensors, tmp_path / (name + ".safetensors"), metadata={"format": "pt"})
    (tmp_path / "base/config.json").write_text(json.dumps(CONFIG))
    config = {"peft_type": "LORA", "r": r, "lora_alpha": alpha, "target_modules": sorted(parts), **config}
    (tmp_path / "adapter/adapter_config.json").write_text(json.dumps(config))
    return tmp_path / "base", tmp_path / "adapter"


def by_peft(base, adapter, out):
    done = subprocess.run([sys.executable, HERE / "peft_merge.py", base, adapter, out], capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=str(PEFT)))
    assert done.returncode == 0, done.stderr
    assert "missing adapter keys" not in done.stderr, done.stderr
    return load_file(out)


def test_fused_by_peft(wmap, tmp_path):
    parts = {"q_proj", "v_proj", "gate_proj", "up_proj", "down_proj"}
    base, adapter = llama(tmp_path, parts, use_rslora=True)
    (tmp_path / "fused.wmap").write_text(FUSED)
    run = ("run", tmp_path / "fused.wmap", "-i", base, "-o")
    wmap(*run, tmp_path / "out.safetensors")
    wmap(*run, tmp_path / "want.safetensors", "--adapter", adapter)
    wmap(*run, tmp_path / "adapter2", "--adapter", adapter, "--adapter-to", "peft")
    got = by_peft(tmp_path / "out.safetensors", tmp_path / "adapter2", tmp_path / "got.safetensors")
    want = load_file(tmp_path / "want.safetensors")
    assert got.keys() == want.keys()
    assert all(torch.equal(got[k], want[k]) for k in want)
    assert not torch.equal(want["layers.1.qkv.weight"], load_file(tmp_path / "out.safetensors")["layers.1.qkv.weight"])


def test_meta_and_back(wmap, tmp_path):
    """Rows of q and k in another order, other names; and back to the byte."""
    base, adapter = llama(tmp_path, {"q_proj", "k_proj", "o_proj", "up_proj"})
    run = ("run", "meta/llama", "-i", base, "-o")
    wmap(*run, tmp_path / "meta")
    wmap(*run, tmp_path / "want", "--adapter", adapter)
    wmap(*run, tmp_path / "adapter2", "--adapter", adapter, "--adapter-to", "peft")
    config = json.loads((tmp_path / "adapter2/adapter_config.json").read_text())
    assert sorted(config["target_modules"]) == ["w3", "wk", "wo", "wq"]
    one = tmp_path / "meta/consolidated.00.pth"
    wmap("run", identity(tmp_path), "-i", one, "-o", tmp_path / "got.safetensors", "--adapter", tmp_path / "adapter2")
    got, want = load(tmp_path / "got.safetensors"), load(tmp_path / "want")
    assert got.keys() == want.keys() and all(torch.equal(got[k], want[k]) for k in want)
    wmap("run", "--reverse", "meta/llama", "-i", one, "--config", base / "config.json", "-o", tmp_path / "back", "--adapter",
         tmp_path / "adapter2", "--adapter-to", "peft")  # fmt: skip
    name = "adapter_model.safetensors"
    assert (tmp_path / "back" / name).read_bytes() == (adapter / name).read_bytes()
    config = json.loads((tmp_path / "back/adapter_config.json").read_text())
    assert sorted(config["target_modules"]) == ["k_proj", "o_proj", "q_proj", "up_proj"]


@pytest.mark.parametrize("parts", [{"q_proj", "v_proj"}, {"k_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
                                   {"q_proj", "k_proj", "v_proj"}])  # fmt: skip
def test_litgpt_and_back(wmap, tmp_path, parts):
    """PEFT's adapter as LitGPT's, merged there; and back to the byte."""
    base, adapter = llama(tmp_path, parts)
    lit, lora = tmp_path / "lit", tmp_path / "lora"
    wmap("run", "litgpt/llama", "-i", base, "-o", lit)
    wmap("run", "litgpt/llama", "-i", base, "-o", tmp_path / "want", "--adapter", adapter)
    wmap("run", "litgpt/llama", "-i", base, "-o", lora, "--adapter", adapter, "--adapter-to", "litgpt")
    for directory in (lit, lora):
        (directory / "tokenizer.json").write_text("{}")
        (directory / "tokenizer_config.json").write_text("{}")
        (directory / "model_config.yaml").write_bytes((lit / "model_config.yaml").read_bytes())
    merge_lora(lora, pretrained_checkpoint_dir=lit)
    got, want = torch.load(lora / "lit_model.pth"), load(tmp_path / "want")
    assert got.keys() == want.keys() and all(torch.equal(got[k], want[k]) for k in want)
    wmap("run", "--reverse", "litgpt/llama", "-i", lit / "lit_model.pth", "--config", base / "config.json", "-o",
         tmp_path / "back", "--adapter", lora / "lit_model.pth.lora", "--adapter-to", "peft")  # fmt: skip
    name = "adapter_model.safetensors"
    assert (tmp_path / "back" / name).read_bytes() == (adapter / name).read_bytes()
    config = json.loads((tmp_path / "back/adapter_config.json").read_text())
    assert set(config["target_modules"]) == parts and config["lora_alpha"] == 8 and config["r"] == 4


def test_from_litgpt(wmap, tmp_path):
    """An adapter as LitGPT's own classes name it, to PEFT and back."""
    base, adapter = lit_model(tmp_path, "qv", 2, 4, 8)
    run = ("run", "--reverse", "litgpt/llama", "-i", base / "lit_model.pth", "--config", base / "config.json", "-o")
    wmap(*run, tmp_path / "hf")
    wmap(*run, tmp_path / "peft", "--adapter", adapter, "--adapter-to", "peft")
    wmap("run", "litgpt/llama", "-i", tmp_path / "hf", "--config", base / "config.json", "-o", tmp_path / "back",
         "--adapter", tmp_path / "peft", "--adapter-to", "litgpt")  # fmt: skip
    was, got = (torch.load(d / "lit_model.pth.lora")["model"] for d in (adapter, tmp_path / "back"))
    assert got.keys() == was.keys()
    assert all(torch.equal(got[k], was[k]) and got[k].dtype == was[k].dtype for k in was)
