"""An adapter goes in where its names are along a chain of maps: ranks are put together, merged and cut in one plan."""

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import BIN, contents, read_safetensors, write_safetensors
from test_adapter import IDENTITY, floats, peft, values

JIT = Path(BIN).with_name("wmap-jit.so").exists()
PARTS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RANKS = {
    "neuron/llama": ("tp=4, pp=2", "tp=2"),
    "neuron/llama tiled": ("tp=8, kv_size_multiplier=4, fuse_qkv=true", "tp=2, pp=2"),
    "megatron/llama": ("tp=4", "tp=2"),
    "transformers5/tp_plan": ("tp=4", "tp=2"),
    "vllm/llama": ("tp=4", "tp=8"),
    "deepspeed/llama": ("tp=3", "tp=2"),
    "meta/llama": ("", ""),
}


def adapter(w, name, shapes, parts, saved=(), r=4, **config):
    rng = np.random.default_rng(len(name))
    tensors = {}
    for k, shape in shapes.items():
        m = k.removesuffix(".weight")
        if m.split(".")[-1] in parts:
            tensors[m + ".lora_A.weight"] = rng.standard_normal((r, shape[1]))
            tensors[m + ".lora_B.weight"] = rng.standard_normal((shape[0], r))
        elif k in saved:
            tensors[k] = rng.standard_normal(shape)
    peft(w, name, tensors, lora_alpha=8, r=r, **config)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A llama with few key heads, and adapters of all its matrices, and of those whose names ranks have, too."""
    from conftest import Wmap

    w = Wmap(tmp_path_factory.mktemp("way"))
    w.ok("gen", "--family", "llama", "-o", "tiny", "-D", "num_key_value_heads=2", "-D", "dtype=f32", "--quiet")
    w.path("same.wmap").write_text(IDENTITY)
    shapes = {k: v[1] for k, v in read_safetensors(w.path("tiny/model.safetensors")).items()}
    adapter(w, "all", shapes, PARTS, ["model.norm.weight", "lm_head.weight"])
    adapter(w, "some", shapes, ["o_proj", "down_proj"])
    for ad in ("all", "some"):
        w.ok("run", "./same.wmap", "-i", "tiny", "-o", ad + "-merged", "--adapter", ad)
        w.path(ad + "-merged/config.json").write_bytes(w.path("tiny/config.json").read_bytes())
    return w


def files(path):
    return {p.relative_to(path): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("ad", ["all", "some"])
@pytest.mark.parametrize("name", RANKS)
def test_ranks(model, tmp_path, name, ad):
    w, (m, (one, other)) = model, (name.split()[0], RANKS[name])
    run = ("--adapter", ad, "--config", "tiny/config.json", "--quiet")
    first, second = (f"{m}({x})" if x else m for x in (one, other))
    w.ok("run", first, "-i", "tiny", "-o", tmp_path / "ranks", "--quiet")
    for engine in ("interp", "jit") if "tiled" in name and ad == "some" and JIT else ("auto",):
        w.ok("run", "~" + first, "-i", tmp_path / "ranks", "-o", tmp_path / engine, "--engine", engine, *run)
        assert contents(tmp_path / engine)["model.safetensors"] == contents(w.path(ad + "-merged"))["model.safetensors"]
    w.ok("run", second, "-i", ad + "-merged", "-o", tmp_path / "want", *run[2:])
    w.ok("run", second, "-i", "tiny", "-o", tmp_path / "cut", *run)
    w.ok("run", f"~{first} >> {second}", "-i", tmp_path / "ranks", "-o", tmp_path / "again", *run)
    assert files(tmp_path / "cut") == files(tmp_path / "want") == files(tmp_path / "again")


def test_stages_and_plan(model, tmp_path):
    """What is planned says where the adapter went; a file of a rank that is missing is said first."""
    w = model
    w.ok("run", "neuron/llama(tp=2)", "-i", "tiny", "-o", tmp_path / "ranks", "--quiet")
    r = w.ok("plan", "~neuron/llama", "-i", tmp_path / "ranks", "--adapter", "all", "--config", "tiny/config.json")
    assert "merged into what is written: source hf of neuron_llama\n" in r.out, r
    r = w.ok("plan", "neuron/llama", "-i", "tiny", "--adapter", "all")
    assert "merged into" not in r.out, r
    (tmp_path / "ranks/shards/model/dp_rank_00_tp_rank_01_pp_rank_00.pt").unlink()
    r = w("plan", "~neuron/llama", "-i", tmp_path / "ranks", "--adapter", "all", "--config", "tiny/config.json")
    assert r.status == 1 and "E0627" in r.err, r


def test_unmerge_from_ranks(model, tmp_path):
    w = model
    w.ok("run", "megatron/llama(tp=2)", "-i", "some-merged", "-o", tmp_path / "ranks", "--quiet")
    args = ("--adapter", "some", "--unmerge", "--config", "tiny/config.json", "--quiet")
    w.ok("run", "~megatron/llama", "-i", tmp_path / "ranks", "-o", tmp_path / "got", *args)
    w.ok("run", "./same.wmap", "-i", "some-merged", "-o", tmp_path / "want", *args)
    assert contents(tmp_path / "got")["model.safetensors"] == contents(tmp_path / "want")["model.safetensors"]


def test_a_weight_that_no_layout_has(model, tmp_path):
    """The layout that has the most says what it lacks."""
    w = model
    shapes = {"model.layers.0.self_attn.q_proj.weight": (64, 64), "model.layers.7.self_attn.q_proj.weight": (64, 64)}
    adapter(w, "lacks", shapes, PARTS)
    w.ok("run", "neuron/llama(tp=2)", "-i", "tiny", "-o", tmp_path / "ranks", "--quiet")
    r = w("run", "~neuron/llama", "-i", tmp_path / "ranks", "-o", tmp_path / "out", "--adapter", "lacks", "--config",
          "tiny/config.json")  # fmt: skip
    assert r.status == 1 and r.err.count("error[") == 1 and "MISSING model.layers.7.self_attn.q_proj.weight" in r.err, r


# ---- small maps of every kind ----


@pytest.fixture
def small(wmap):
    rng = np.random.default_rng(3)
    wmap.w, wmap.a, wmap.b = (rng.integers(-9, 9, s).astype("f8") for s in ((4, 6), (2, 6), (4, 2)))
    peft(wmap, "ad", {"x.lora_A.weight": wmap.a, "x.lora_B.weight": wmap.b}, lora_alpha=2, r=2)
    wmap.want = wmap.w + wmap.b @ wmap.a
    return wmap


def go(w, text, tensors, *args):
    w.path("m.wmap").write_text("wmap 1\nmap m\n" + text)
    write_safetensors(w.path("in.safetensors"), {k: floats(v) for k, v in tensors.items()})
    return w("run", "./m.wmap", "-i", "in.safetensors", "-o", "out.safetensors", "--adapter", "ad", *args)


def got(w, name="out.safetensors"):
    return {k: values(v) for k, v in read_safetensors(w.path(name)).items()}


def test_what_is_written_has_the_name(small):
    assert go(small, '"y" [i o] <-> "x.weight" [o i]', {"y": small.w.T}).status == 0
    assert np.array_equal(got(small)["x.weight"], small.want)


def test_both_have_the_name(small):
    """Without shards, what is read comes first."""
    rule = '"x.weight" [(n two) i] <-> "x.weight" [(two n) i] where two = 2\n'
    assert go(small, rule, {"x.weight": small.w}).status == 0
    order = [0, 2, 1, 3]
    assert np.array_equal(got(small)["x.weight"], small.want[order])
    cut = "index rank < 1\n%s { file \"r{rank}.safetensors\" }\nshard rank on %s { \"{rest*}\" replicate }\n"
    write_safetensors(small.path("in.safetensors"), {"x.weight": floats(small.w)})
    small.path("cut.wmap").write_text("wmap 1\nmap cut\n" + cut.replace("%s", "source") + rule)
    small.path("r0.safetensors").write_bytes(small.path("in.safetensors").read_bytes())
    small.path("ranks").mkdir()
    small.path("r0.safetensors").rename(small.path("ranks/r0.safetensors"))
    small.ok("run", "./cut.wmap", "-i", "ranks", "-o", "out2.safetensors", "--adapter", "ad")
    assert np.array_equal(got(small, "out2.safetensors")["x.weight"], small.w[order] + small.b @ small.a)


def test_lines_of_a_side_that_is_written(small):
    lines = 'target { lora "{m*}.left" [r i], "{m*}.right" [o r] into "{m*}.kernel" [i o] scale 3.0 }\n'
    write_safetensors(small.path("own.safetensors"), {"x.left": floats(small.a), "x.right": floats(small.b)})
    r = go(small, lines + '"{m*}.weight" [o i] <-> "{m*}.kernel" [i o]', {"x.weight": small.w}, "--adapter", "own.safetensors")
    assert r.status == 0, r
    assert np.array_equal(got(small)["x.kernel"], (small.w + 3 * small.b @ small.a).T)


def test_in_the_middle(small):
    """Between two maps, through aliases, checks of copies and a cast behind it."""
    small.path("one.wmap").write_text('wmap 1\nmap one\n"y" [c o i] <-> "x.weight" [o i] where c = 2 broadcast c\n')
    small.path("two.wmap").write_text('wmap 1\nmap two\n"x.weight" [o i] <-> cast(f32, f64) <-> "z" [i o]\n')
    write_safetensors(small.path("in.safetensors"), {"y": floats(np.stack([small.w, small.w]))})
    small.ok("run", "./one.wmap >> ./two.wmap", "-i", "in.safetensors", "-o", "out.safetensors", "--adapter", "ad")
    assert np.array_equal(got(small)["z"], small.want.T)
    write_safetensors(small.path("in.safetensors"), {"y": floats(np.stack([small.w, small.w + 1]))})
    r = small("run", "./one.wmap >> ./two.wmap", "-i", "in.safetensors", "-o", "no.safetensors", "--adapter", "ad")
    assert r.status == 1 and "differ" in r.err, r


REFUSED = {
    "cast": ('"y" -> cast(f32, f16) -> "x.weight"', "y", "is computed (by"),
    "constant": ('"y" [o i] <-> "x.weight" [(o + p) i] where o = 2, p = 2 pad p = 0', "y2", "is computed (by"),
    "dequantised": ('source { scales "s" of "y" blocks [4, 6] dequant f32 }\n"y" <-> "x.weight"', "quant", "is computed (by"),
    "quantised": ('source { scales "s" of "y" blocks [4, 6] }\ntarget { scales "x.scale" of "x.weight" blocks [4, 6] }\n'
                  '"y" <-> "x.weight"\n"s" <-> "x.scale"', "quant", "is quantised"),
    "scales": ('source { scales "s" of "x.weight" blocks [4, 6] dequant f32 }\n"{m*}" <-> "{m}"', "read", "is quantised"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(small, name):
    rule, kind, text = REFUSED[name]
    i8 = ("I8", [4, 6], small.w.astype("i1").tobytes())
    one = floats(np.ones((1, 1)))
    tensors = {"y": {"y": floats(small.w)}, "y2": {"y": floats(small.w[:2])}, "quant": {"y": i8, "s": one},
               "read": {"x.weight": i8, "s": one}}[kind]  # fmt: skip
    small.path("m.wmap").write_text("wmap 1\nmap m\n" + rule)
    write_safetensors(small.path("in.safetensors"), tensors)
    r = small("run", "./m.wmap", "-i", "in.safetensors", "-o", "out.safetensors", "--adapter", "ad")
    assert r.status == 1 and "E0651" in r.err and text in r.err and not small.path("out.safetensors").exists(), r


def test_dropped_behind_it(small):
    """A later map that leaves the changed weight out."""
    small.path("one.wmap").write_text('wmap 1\nmap one\n"{m*}.w" <-> "{m*}.weight"\n')
    small.path("two.wmap").write_text('wmap 1\nmap two\nsource { ignore "x.weight" }\n"{m*}" <-> "{m*}"\n')
    write_safetensors(small.path("in.safetensors"), {"x.w": floats(small.w), "y.w": floats(small.w)})
    r = small("run", "./one.wmap >> ./two.wmap", "-i", "in.safetensors", "-o", "out.safetensors", "--adapter", "ad")
    assert r.status == 1 and "E0651" in r.err and "changes `x.weight`, which the map does not carry" in r.err, r
