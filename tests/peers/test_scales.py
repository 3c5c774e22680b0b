"""Weights in FP8 and the scales of their blocks: dequantised as transformers does it, to the byte."""

import json
import subprocess

import pytest
import torch
from transformers.integrations.finegrained_fp8 import Fp8Dequantize

from conftest import load, save

BLOCK = 128
SAME = """wmap 1
source { scales "{m*}.weight_scale_inv" of "{m*}.weight" blocks [128, 128] dequant %s }
%s
"{rest*}" <-> "{rest}"
"""


def quantised(rows, columns, kind=torch.float8_e4m3fn, scale=torch.float32):
    """Every value that the type has, and scales of many magnitudes."""
    weight = torch.arange(rows * columns).mul(37).to(torch.uint8).view(kind).reshape(rows, columns)
    shape = (-(-rows // BLOCK), -(-columns // BLOCK))
    return weight, (torch.rand(shape) * torch.logspace(-6, 3, shape[0] * shape[1]).reshape(shape)).to(scale)


def formula(weight, scale, dtype=torch.bfloat16):
    """weight_dequant of DeepSeek-V3: x.to(float32) * s, stored in the default type."""
    s = scale.float().repeat_interleave(BLOCK, 0)[: weight.shape[0]].repeat_interleave(BLOCK, 1)[:, : weight.shape[1]]
    return (weight.float() * s).to(dtype)


def bits(tensor):
    kind = {2: torch.int16, 4: torch.int32}[tensor.element_size()]
    bits = tensor.contiguous().view(kind).clone()
    bits[tensor.isnan()] = 0  # a NaN stays one, its payload may not
    return bits


@pytest.mark.parametrize("kind, scale, to", [
    (torch.float8_e4m3fn, torch.float32, "bf16"),
    (torch.float8_e5m2, torch.bfloat16, "f16"),
    (torch.float8_e4m3fn, torch.float8_e8m0fnu, "f32"),
    (torch.int8, torch.float32, "bf16"),
])  # fmt: skip
def test_formula(wmap, tmp_path, kind, scale, to):
    """Whole and short blocks; rows and columns moved inside of blocks; any window, thread and engine."""
    torch.manual_seed(0)
    state, want = {}, {"norm": torch.ones(3)}
    for name, shape in (("whole", (256, 384)), ("short", (576, 200)), ("one", (5, 7)), ("turned", (384, 130))):
        weight, by = quantised(*shape, kind, scale)
        state |= {f"{name}.weight": weight, f"{name}.weight_scale_inv": by}
        want[f"{name}.weight"] = formula(weight, by, {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}[to])
    want["turned.weight"] = want["turned.weight"].reshape(192, 2, 130).permute(2, 1, 0).reshape(130, 384)
    save(state | {"norm": want["norm"]}, tmp_path / "model.safetensors")
    rule = '"turned.weight" [(a b) c] <-> "turned.weight" [c (b a)] where b = 2'
    (tmp_path / "m.wmap").write_text(SAME % (to, rule))
    for n, options in enumerate(([], ["--max-memory", "2MB", "--threads", "3"], ["--engine", "interp", "--threads", "1"])):
        out = tmp_path / str(n)
        done = subprocess.run([wmap.binary, "run", tmp_path / "m.wmap", "-i", tmp_path / "model.safetensors", "-o", out,
                               *options], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        got = load(out)
        assert got.keys() == want.keys()
        for key, value in want.items():
            assert got[key].dtype == value.dtype and torch.equal(bits(got[key]), bits(value)), (key, options)


def test_deepseek(wmap, tmp_path):
    """The experts that transformers 5 loads: dequantised by its own operation, then packed."""
    torch.manual_seed(0)
    source, want = tmp_path / "in", {}
    state = {"lm_head.weight": torch.randn(8, 4).bfloat16()}
    own = Fp8Dequantize(None)
    part = {}
    for name, rows, columns in (("gate", 128, 64), ("up", 128, 64), ("down", 64, 128)):
        for e in range(2):
            start = f"model.layers.1.mlp.experts.{e}.{name}_proj"
            weight, by = quantised(rows, columns)
            weight = weight.nan_to_num() if weight.dtype.itemsize > 1 else weight
            state |= {f"{start}.weight": weight, f"{start}.weight_scale_inv": by}
            part[name, e] = own._dequantize_one(weight, by, torch.bfloat16)
    start = "model.layers.1.mlp.experts."
    want[start + "gate_up_proj"] = torch.stack([torch.cat((part["gate", e], part["up", e])) for e in range(2)])
    want[start + "down_proj"] = torch.stack([part["down", e] for e in range(2)])
    want["lm_head.weight"] = state["lm_head.weight"]
    source.mkdir()
    save(state, source / "model.safetensors")
    config = {"model_type": "deepseek_v3", "num_hidden_layers": 2, "first_k_dense_replace": 1, "n_routed_experts": 2,
              "rms_norm_eps": 1e-06, "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}
    (source / "config.json").write_text(json.dumps(config))
    command = [wmap.binary, "run", "transformers5/deepseek_v3", "-D", "dequantize=true"]
    done = subprocess.run([*command, "-i", source, "-o", tmp_path / "out"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    got = load(tmp_path / "out")
    assert got.keys() == want.keys()
    for key, value in want.items():
        assert torch.equal(bits(got[key]), bits(value)), key
    config.pop("quantization_config")
    assert json.loads((tmp_path / "out/config.json").read_text()) == config
    back = subprocess.run([*command, "--reverse", "-i", tmp_path / "out", "-o", tmp_path / "back"], capture_output=True,
                          text=True)
    assert back.returncode == 1 and "E0657" in back.stderr and "still quantised" in back.stderr


def test_missing_scales(wmap, tmp_path):
    save({"a.weight": quantised(4, 4)[0]}, tmp_path / "model.safetensors")
    (tmp_path / "m.wmap").write_text(SAME % ("bf16", ""))
    done = subprocess.run([wmap.binary, "run", tmp_path / "m.wmap", "-i", tmp_path / "model.safetensors", "-o",
                           tmp_path / "out"], capture_output=True, text=True)
    assert done.returncode == 1 and "a.weight_scale_inv, the scales of a.weight (F8_E4M3)" in done.stderr
    assert not (tmp_path / "out").exists()
