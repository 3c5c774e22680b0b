"""Each transformation of optimum-neuron's training on its own, made by its own code (neuron_specs.py), against a map: what
the ranks hold and what comes back, byte for byte; and what goes wrong there is right here, or refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import assert_same

PYTHON = Path(os.environ.get("WMAP_VENV_NEURON", f"{sys.prefix}-neuron")) / "bin/python"
P = "model.layers.0."
HEAD = """wmap 1
param tp = 1
index layer < 1
index rank < tp
target {{ file "rank-{{rank}}.safetensors" }}
{0}
within "model.layers.{{layer}}." <-> "model.layers.{{layer}}." {{
{1}
}}
"""
FUSED = {
    "function": ['"a" [(rank q) e], "{p in b|c}" [(rank k) e] <-> "abc" [(q + (p k)) e]', {"q": 8, "k": 4}],
    "gate_up": ['"{p in gate|up}_proj.weight" [(rank f) e] <-> "x.weight" [(p f) e]', {}],
    "qkv": ['"q_proj.weight" [(rank q) e], "{p in k|v}_proj.weight" [(rank k) e] <-> "x.weight" [(q + (p k)) e]', {"q": 16, "k": 4}],
    "row": ['"a.weight" [e (rank x)], "b.weight" [e (rank y)] <-> "x.weight" [e (x + y)]', {"x": 8, "y": 12}],
}
FUSED["bias"] = [FUSED["gate_up"][0] + '\n"{p in gate|up}_proj.bias" [(rank f)] <-> "x.bias" [(p f)]', {}]
FUSED["odd"] = FUSED["gate_up"]
# parts that are whole on every rank's side of one axis, cut along the other
FUSED["across"] = ['"a.weight" [(rank f) x], "b.weight" [(rank f) y] <-> "x.weight" [f (x + y)] where x = 3, y = 5', {}]
# factors A that are equal are one; where they differ, nothing is averaged
FUSED["lora_column"] = ['"{p in a|b}.lora_A.weight" [r i] <-> "x.lora_A.weight" [r i] broadcast p, rank\n'
                        '"{p in a|b}.lora_B.weight" [(rank f) r] <-> "x.lora_B.weight" [(p f) r]', {}]
FUSED["lora_row"] = ['"{p in a|b}.lora_A.weight" [r (rank i)] <-> "x.lora_A.weight" [r i] broadcast p\n'
                     '"{p in a|b}.lora_B.weight" [o r] <-> "x.lora_B.weight" [o (p r)] broadcast rank', {}]


def lora_gqa(c):
    lets = (f"let copy = {c['m']}\nindex rep < copy\nindex place < tp / copy\n"
            f"let k = {c['kv_heads']} * copy / tp\nlet n = {c['heads']} / ({c['kv_heads']} * copy)\nlet d = 2\n")
    b = ('"q_proj.lora_B.weight" [(place k rep n d) r], "{p in k|v}_proj.lora_B.weight" [(place k d) r]\n'
         '  <-> "qkv_proj.lora_B.weight_qkv" [((k n d) + (p k d)) r] broadcast rep') if c["fuse"] else (
        '"q_proj.lora_B.weight" [(place k rep n d) r] <-> "qkv_proj.lora_B.weight_q" [(k n d) r]\n'
        '"{p in k|v}_proj.lora_B.weight" [(place k d) r] <-> "qkv_proj.lora_B.weight_{p}" [(k d) r] broadcast rep')
    rules = ('"{p in q|k|v}_proj.lora_A.weight" [r i] <-> "qkv_proj.lora_A.weight" [r i] broadcast p, rank\n'
             '"o_proj.lora_A.weight" [r (place k rep n d)] <-> "o_proj.lora_A.weight" [r (k n d)]\n'
             '"o_proj.lora_B.weight" [o r] <-> "o_proj.lora_B.weight" [o r] broadcast rank\n') + b
    return HEAD.format(lets, rules).replace("index rank < tp", "index rank = (rep place)")


def map_of(c):
    if c["kind"] == "lora_gqa":
        return lora_gqa(c)
    if c["kind"] == "plain":
        block = -(-c["length"] // c["tp"]) // c["stride"] * c["tp"]  # of all ranks
        parts = [min(block, c["length"] - at) for at in range(0, c["length"], block)]
        cut = f"split {c['dim']} parts {parts} uneven" if c["stride"] > 1 else f"split {c['dim']} uneven"
        return HEAD.format(f'shard rank on target {{ "{{rest*}}" {cut} }}', '"{rest*}" <-> "{rest}"')
    rules, sizes = FUSED[c["kind"]]
    return HEAD.format("\n".join(f"let {k} = {v} / tp" for k, v in sizes.items()), rules)


@pytest.fixture(scope="session")
def cases(tmp_path_factory):
    out = tmp_path_factory.mktemp("specs")
    script = Path(__file__).with_name("neuron_specs.py")
    subprocess.run([PYTHON, script, out], check=True, timeout=300)
    found = {d.name: (json.loads((d / "case.json").read_text()), d) for d in sorted(out.iterdir())}
    assert len(found) == 40
    return found


def convert(wmap, tmp_path, c, d, status=0):
    """Both ways: what the ranks hold, and the whole again."""
    (tmp_path / "m.wmap").write_text(map_of(c))
    tp = ("-D", f"tp={c['tp']}")
    said = wmap("run", tmp_path / "m.wmap", "-i", d / "full.safetensors", "-o", tmp_path / c["name"], *tp, status=status).stderr
    if status:
        return said
    wmap("run", "--reverse", tmp_path / "m.wmap", "-i", tmp_path / c["name"], "-o", tmp_path / f"{c['name']}.safetensors", *tp)
    assert_same(load_file(tmp_path / f"{c['name']}.safetensors"), load_file(d / "full.safetensors"))
    return [load_file(tmp_path / c["name"] / f"rank-{r}.safetensors") for r in range(c["tp"])]


WRONG = {"fused-odd-4", "lora-gqa-2-4-2-True", "plain-9-4-1-0"}


def test_every_case_both_ways(wmap, cases, tmp_path):
    """Ours come back exactly in all of them, theirs where no error and no difference is noted below."""
    inexact, errors = set(), set()
    for name, (c, d) in cases.items():
        if "back_error" in c or "forward_error" in c:
            errors.add(name)
        elif c["kind"] != "function":
            full, back = (load_file(d / f"{x}.safetensors") for x in ("full", "back"))
            if any(not torch.equal(back[k], full[k]) for k in back):
                inexact.add(name)
        if name not in WRONG:
            got = convert(wmap, tmp_path, c, d)
            for r, tensors in enumerate(got):
                assert_same(tensors, load_file(d / f"rank-{r}.safetensors"))
    assert inexact == {n for n, (c, _) in cases.items() if c.get("stride", 1) > 1}
    assert errors == WRONG | {f"lora-row-{tp}" for tp in (1, 2, 4)} | {f"fused-across-{tp}" for tp in (2, 4)}


def test_ragged_parts_are_refused(wmap, cases, tmp_path):
    """Ten rows over four ranks: the library cuts blocks of two, and can not take them together again."""
    c, d = cases["fused-odd-4"]
    assert "E" in convert(wmap, tmp_path, c, d, status=1)


def test_a_rank_beyond_the_end(wmap, cases, tmp_path):
    c, d = cases["plain-9-4-1-0"]
    assert "non-empty list" in c["forward_error"]
    assert [t[P + "w"].shape[0] for t in convert(wmap, tmp_path, c, d)] == [3, 3, 3, 0]


def test_fused_factors_under_the_name_that_the_model_has(wmap, cases, tmp_path):
    c, d = cases["lora-gqa-2-4-2-True"]
    for r, got in enumerate(convert(wmap, tmp_path, c, d)):
        theirs = load_file(d / f"rank-{r}.safetensors")
        theirs[P + "qkv_proj.lora_B.weight_qkv"] = theirs.pop(P + "qkv_proj.lora_B.weight")
        assert_same(got, theirs)


@pytest.mark.parametrize("name", ["lora-column-2", "lora-row-2", "lora-gqa-2-4-2-False"])
def test_factors_that_differ_are_not_averaged(wmap, cases, tmp_path, name):
    c, d = cases[name]
    full = load_file(d / "full.safetensors")
    key = next(k for k in full if k.endswith("lora_A.weight") and "o_proj" not in k)
    save_file(full | {key: full[key] + 1}, tmp_path / "full.safetensors")
    said = convert(wmap, tmp_path, c, tmp_path, status=1)
    assert "lora_A.weight" in said and "replica" in said
    assert not (tmp_path / name).exists()
