"""Shards of optimum-neuron's training, made and read back by optimum-neuron's own code (neuron_reference.py)."""

import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import assert_same, load

PYTHON = Path(os.environ.get("WMAP_VENV_NEURON", f"{sys.prefix}-neuron")) / "bin/python"
SPLIT = {"kind": "llama", "kv_heads": 2, "tp": 4, "m": 2, "pp": 1, "fuse": False, "tiled": True}


@pytest.fixture(scope="session")
def cases(tmp_path_factory):
    out = tmp_path_factory.mktemp("neuron")
    script = Path(__file__).with_name("neuron_reference.py")
    subprocess.run([PYTHON, script, out], check=True, timeout=300)
    found = {json.dumps(json.loads((d / "case.json").read_text())): d for d in sorted(out.iterdir())}
    assert len(found) == 51
    return [(json.loads(c), d) for c, d in found.items()]


@pytest.fixture
def one(cases):
    return next((c, d) for c, d in cases if SPLIT.items() <= c.items())


def options(c):
    words = {"tp": c["tp"], "pp": c["pp"], "kv_size_multiplier": c["m"], "fuse_qkv": str(c["fuse"]).lower(),
             "qkv_linear": str(c["tiled"]).lower()}
    return [w for k, v in words.items() for w in ("-D", f"{k}={v}")]


def shards(directory):
    read = load_file if (Path(directory) / "case.json").exists() else torch.load
    return {p.name: read(p) for p in sorted(Path(directory).glob("dp_rank*"))}


def torch_directory(d, to):
    """As training leaves it: its own .pt files, metadata, the configuration."""
    shutil.copytree(d / "shards", to / "shards")
    shutil.copy(d / "hf/config.json", to)
    return to


def test_every_case_both_ways(wmap, cases, tmp_path):
    """Ranks, metadata, and what comes back: without -D, since the metadata tells."""
    for n, (c, d) in enumerate(cases):
        name, out = f"neuron/{c['kind']}", tmp_path / f"{n}"
        wmap("run", name, "-i", d / "hf", "-o", out, *options(c))
        want, got = shards(d), shards(out / "shards/model")
        assert got.keys() == want.keys(), c
        for file in want:
            assert_same(got[file], want[file])
        for p in (d / "shards").glob("*.json"):
            assert json.loads((out / "shards" / p.name).read_text()) == json.loads(p.read_text()), c
        assert (out / "shards/done").read_text() == (out / "shards/checkpoint").read_text() == "1"

        wmap("run", "--reverse", name, "-i", torch_directory(d, tmp_path / f"t{n}"), "-o", tmp_path / f"b{n}")
        assert (tmp_path / f"b{n}/model.safetensors").read_bytes() == (d / "hf/model.safetensors").read_bytes(), c
        assert_same(load(tmp_path / f"b{n}"), load_file(d / "consolidated.safetensors"))


def xser(directory):
    """As torch_xla's serialization saves them, which training uses by default: torch pickles references to files beside."""
    class TensorReference:
        def __init__(self, tid):
            self.tid = tid

    module = types.ModuleType("torch_xla.utils.serialization")
    TensorReference.__module__, TensorReference.__qualname__ = module.__name__, "TensorReference"
    module.TensorReference = TensorReference
    with pytest.MonkeyPatch.context() as patch:
        for name in ("torch_xla", "torch_xla.utils"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        patch.setitem(sys.modules, module.__name__, module)
        for path in sorted((directory / "shards/model").glob("dp_rank*.pt")):
            state = torch.load(path)
            Path(f"{path}.tensors").mkdir()
            for tid, tensor in enumerate(state.values()):
                torch.save(tensor, f"{path}.tensors/tensor_{tid}.pt")
            torch.save({k: TensorReference(tid) for tid, k in enumerate(state)}, path)
            torch.save({tid: {"dtype": v.dtype, "shape": v.shape, "expert_model_parallel": False}
                        for tid, v in enumerate(state.values())}, f"{path}.info.pt")
    return directory


def test_tensors_in_files_beside(wmap, cases, tmp_path):
    """Of two stages; the same output to the byte, the same listing, and resharded."""
    c, d = next((c, d) for c, d in cases if c["pp"] == 2 and c["kind"] == "llama")
    t = torch_directory(d, tmp_path / "t")
    x = xser(torch_directory(d, tmp_path / "x"))
    wmap("run", "--reverse", "neuron/llama", "-i", x, "-o", tmp_path / "b")
    assert (tmp_path / "b/model.safetensors").read_bytes() == (d / "hf/model.safetensors").read_bytes()
    wmap("diff", t, x)
    seen = [json.loads(wmap("inspect", p, "--json").stdout)["ranks"] for p in (t, x)]
    assert seen[0] == seen[1]
    for p, to in ((t, "t2"), (x, "x2")):
        wmap("run", "~neuron/llama >> neuron/llama(tp = 2, kv_size_multiplier = 1)", "-i", p, "-o", tmp_path / to)
    want = shards(tmp_path / "t2/shards/model")
    for file, got in shards(tmp_path / "x2/shards/model").items():
        assert_same(got, want[file])
    (x / "shards/model/dp_rank_00_tp_rank_01_pp_rank_00.pt.tensors/tensor_0.pt").unlink()
    assert "tensor_0.pt" in wmap("run", "--reverse", "neuron/llama", "-i", x, "-o", tmp_path / "c", status=2).stderr


@pytest.mark.parametrize("heads, kv_heads, tp, m", [(8, 2, 8, 2), (8, 4, 8, 4), (8, 3, 2, 1), (6, 2, 4, 2), (24, 4, 4, 4)])
def test_what_does_not_fit_is_refused(wmap, tmp_path, heads, kv_heads, tp, m):
    """tp must divide the heads, the copies divide tp, and the copied key heads divide the heads: the library raises, or
    permutes wrongly."""
    hf = tmp_path / "hf"
    hf.mkdir()
    shapes = {"q_proj": (heads * 2, 8), "k_proj": (kv_heads * 2, 8), "v_proj": (kv_heads * 2, 8), "o_proj": (8, heads * 2)}
    save_file({f"model.layers.0.self_attn.{k}.weight": torch.zeros(s) for k, s in shapes.items()}, hf / "model.safetensors")
    (hf / "config.json").write_text(json.dumps({
        "model_type": "llama", "num_hidden_layers": 1, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "head_dim": 2, "hidden_size": 8, "intermediate_size": 8}))
    wmap("run", "neuron/llama", "-i", hf, "-o", tmp_path / "out", "--allow-missing",
         "-D", f"tp={tp}", "-D", f"kv_size_multiplier={m}", "-D", "qkv_linear=true", status=1)
    assert not (tmp_path / "out").exists()


# ---- what goes wrong there ----

def test_all_tensors_stay_where_the_output_has_several_files(wmap, one, tmp_path):
    c, d = one
    wmap("run", "--reverse", "neuron/llama", "-i", torch_directory(d, tmp_path / "t"), "-o", tmp_path / "b",
         "--max-shard-size", "2KB")
    assert len(list((tmp_path / "b").glob("*.safetensors"))) > 1
    assert_same(load(tmp_path / "b"), load_file(d / "hf/model.safetensors"))


@pytest.mark.parametrize("kind, layers", [("llama", 1), ("qwen3", 2)])
def test_the_input_may_have_several_files(wmap, cases, tmp_path, kind, layers):
    """Of a layer some tensors in one and some in the other, with two layers pending at once."""
    c, d = next((c, d) for c, d in cases if c["kind"] == kind and c["layers"] == layers and c["tiled"] and c["pp"] == 1 and c["tp"] == 4)
    shutil.copytree(d / "hf", tmp_path / "hf")
    (tmp_path / "hf/model.safetensors").unlink()
    full = load_file(d / "hf/model.safetensors")
    for n, half in enumerate((sorted(full)[::2], sorted(full)[1::2])):
        save_file({k: full[k] for k in half}, tmp_path / f"hf/model-0000{n + 1}-of-00002.safetensors")
    wmap("run", "neuron/llama", "-i", tmp_path / "hf", "-o", tmp_path / "out", *options(c))
    for file, want in shards(d).items():
        assert_same(torch.load(tmp_path / "out/shards/model" / file), want)


def test_ranks_are_numbers(wmap, tmp_path):
    """Behind rank 99, in any order of names."""
    tp, hf = 104, tmp_path / "hf"
    hf.mkdir()
    full = {"model.embed_tokens.weight": torch.arange(tp * 2.0).reshape(tp, 2)}
    save_file(full, hf / "model.safetensors")
    (hf / "config.json").write_text(json.dumps({
        "model_type": "llama", "num_hidden_layers": 0, "num_attention_heads": tp, "num_key_value_heads": tp,
        "head_dim": 2, "hidden_size": 2, "intermediate_size": tp}))
    extra = ("--allow-missing", "-D", f"tp={tp}")
    wmap("run", "neuron/llama", "-i", hf, "-o", tmp_path / "out", *extra)
    for r in range(tp):
        got = torch.load(tmp_path / f"out/shards/model/dp_rank_00_tp_rank_{r:02}_pp_rank_00.pt")
        assert got["model.embed_tokens.weight"].tolist() == [[2.0 * r, 2.0 * r + 1]]
    wmap("run", "--reverse", "neuron/llama", "-i", tmp_path / "out", "-o", tmp_path / "back", *extra)
    assert_same(load(tmp_path / "back"), full)


def test_missing_and_stray_ranks(wmap, one, tmp_path):
    c, d = one
    t = torch_directory(d, tmp_path / "t")
    name = "dp_rank_00_tp_rank_{:02}_pp_rank_00.pt"
    shutil.copy(t / "shards/model" / name.format(1), t / "shards/model" / name.format(1).replace("dp_rank_00", "dp_rank_01"))
    assert "dp_rank_01" in wmap("run", "--reverse", "neuron/llama", "-i", t, "-o", tmp_path / "b", status=1).stderr
    (t / "shards/model" / name.format(1).replace("dp_rank_00", "dp_rank_01")).unlink()
    (t / "shards/model" / name.format(3)).unlink()
    assert name.format(3) in wmap("run", "--reverse", "neuron/llama", "-i", t, "-o", tmp_path / "b", status=1).stderr


@pytest.mark.parametrize("key", ["model.norm.weight", "model.layers.0.self_attn.qkv_proj.weight_k"])
def test_copies_are_compared(wmap, one, tmp_path, key):
    c, d = one
    t = torch_directory(d, tmp_path / "t")
    path = t / "shards/model/dp_rank_00_tp_rank_02_pp_rank_00.pt"
    part = torch.load(path)
    part[key].view(-1)[-1] += 1
    torch.save(part, path)
    said = wmap("run", "--reverse", "neuron/llama", "-i", t, "-o", tmp_path / "b", status=1).stderr
    assert "replica" in said and key in said and f"of {path} differ" in said and not (tmp_path / "b").exists()
    wmap("run", "--reverse", "neuron/llama", "-i", t, "-o", tmp_path / "b", "--trust-replicas")
    assert_same(load(tmp_path / "b"), load_file(d / "hf/model.safetensors"))


def test_strided_shards_come_back(wmap, tmp_path):
    """A partition_stride of 2 without a specification."""
    (tmp_path / "m.wmap").write_text('wmap 1\nindex rank < 2\ntarget { file "r{rank}.safetensors" }\n'
                                     'shard rank on target { "{rest*}" split 0 parts 2 }\n"{rest*}" <-> "{rest}"\n')
    save_file({"w": torch.arange(8.0)}, tmp_path / "w.safetensors")
    wmap("run", tmp_path / "m.wmap", "-i", tmp_path / "w.safetensors", "-o", tmp_path / "out")
    assert load_file(tmp_path / "out/r1.safetensors")["w"].tolist() == [2, 3, 6, 7]
    wmap("run", "--reverse", tmp_path / "m.wmap", "-i", tmp_path / "out", "-o", tmp_path / "b.safetensors")
    assert load_file(tmp_path / "b.safetensors")["w"].tolist() == list(range(8))


@pytest.mark.parametrize("key", ["model.layers.0.self_attn.q_proj.bias",
                                 "model.layers.0.mlp.down_proj.lora_magnitude_vector.weight",
                                 "model.lm_head.modules_to_save.weight",
                                 "model.layers.0.mlp.gate_up_proj.lora_A.weight"])
def test_what_the_map_does_not_name_is_told(wmap, one, tmp_path, key):
    """Biases of tiled attention, and what a consolidation of adapters averages or drops: refused, not lost."""
    c, d = one
    full = load_file(d / "hf/model.safetensors")
    (tmp_path / "hf").mkdir()
    shutil.copy(d / "hf/config.json", tmp_path / "hf")
    save_file(full | {key: torch.zeros(16)}, tmp_path / "hf/model.safetensors")
    said = wmap("run", "neuron/llama", "-i", tmp_path / "hf", "-o", tmp_path / "o", *options(c),
                status=1).stderr
    assert "E0602" in said and key.split(".")[-2] in said


def test_from_one_degree_to_another(wmap, one, tmp_path):
    c, d = one
    t = torch_directory(d, tmp_path / "t")
    wmap("run", "~neuron/llama >> neuron/llama(tp = 2, kv_size_multiplier = 1)", "-i", t, "-o", tmp_path / "two")
    wmap("run", "neuron/llama(tp = 2, kv_size_multiplier = 1)", "-i", d / "hf", "-o", tmp_path / "want")
    want, got = shards(tmp_path / "want/shards/model"), shards(tmp_path / "two/shards/model")
    assert got.keys() == want.keys() and len(want) == 2
    for file in want:
        assert_same(got[file], want[file])
    for p in (tmp_path / "want/shards").glob("*.json"):
        assert (tmp_path / "two/shards" / p.name).read_text() == p.read_text()


@pytest.mark.parametrize("define, parts", [
    ("fuse_qkv=true", ("E0644", "weight_qkv")), ("tp=2", ("E0644", "num_partitions is 4, but by the map it is 2")),
    ("kv_size_multiplier=4", ("E0644", "kv_size_multiplier is 2, but by the map it is 4")),
    ("qkv_linear=false", ("E0644", "self_attn.q_proj.weight")),
    ("tp=16", ("tp is 16 by -D, 4 without it",)),
    ("kv_size_multiplier=1", ("kv_size_multiplier is 1 by -D, 2 without it",))])
def test_metadata_that_say_something_else(wmap, one, tmp_path, define, parts):
    c, d = one
    t = torch_directory(d, tmp_path / "t")
    said = wmap("run", "--reverse", "neuron/llama", "-i", t, "-o", tmp_path / "b", "-D", define, status=1).stderr
    for part in ("mp_metadata_pp_rank_0.json", *parts):
        assert part in said
    assert not (tmp_path / "b").exists()


def test_pickled_metadata_win(wmap, one, tmp_path):
    """Where there is mp_metadata_pp_rank_X.pt, the library takes that: plain values, of which nothing is run."""
    c, d = one
    t = torch_directory(d, tmp_path / "t")
    path = t / "shards/mp_metadata_pp_rank_0.json"
    meta = json.loads(path.read_text())
    torch.save(meta, path.with_suffix(".pt"))
    seen = json.loads(wmap("inspect", t, "--json").stdout)["ranks"]
    path.write_text("{}")  # not looked at
    assert json.loads(wmap("inspect", t, "--json").stdout)["ranks"] == seen and seen["metadata"]
    assert "by mp_metadata_pp_rank_0.pt" in wmap("inspect", t).stdout
    path.unlink()
    wmap("run", "--reverse", "neuron/llama", "-i", t, "-o", tmp_path / "b")
    assert (tmp_path / "b/model.safetensors").read_bytes() == (d / "hf/model.safetensors").read_bytes()
    said = wmap("run", "--reverse", "neuron/llama", "-i", t, "-o", tmp_path / "c", "-D", "kv_size_multiplier=4", status=1).stderr
    assert "mp_metadata_pp_rank_0.pt" in said and "kv_size_multiplier is 2, but by the map it is 4" in said

    class Runs:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    for value, part in ((torch.zeros(1), "a pickle of more than plain values: torch._utils._rebuild_tensor_v2"),
                        (Runs(), "system"), (float("nan"), "not finite"), ({1: 2}, "a key that is no text")):
        meta["parameters"]["model.norm.weight"]["tensor_model_parallel"] = value
        torch.save(meta, path.with_suffix(".pt"))
        for command in ("run", "--reverse", "neuron/llama", "-i", t, "-o", tmp_path / "c"), ("inspect", t):
            r = wmap(*command, status=1 if command[0] == "run" else 2).stderr
            assert "mp_metadata_pp_rank_0.pt: " in r and part in r and not (tmp_path / "ran").exists()
