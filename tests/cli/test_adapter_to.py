"""--adapter-to: the adapter itself, converted through a map; merging it then is merging it before."""

import json

import numpy as np
import pytest

from conftest import read_safetensors, write_safetensors
from test_adapter import IDENTITY, floats, peft, values

FUSE = """wmap 1
map fuse
"q.weight" [q e], "k.weight" [k e], "v.weight" [v e] <-> "qkv.weight" [(q + k + v) e] where q = 8, k = 4, v = 4
"{p in gate|up}.weight" [f e] <-> "gate_up.weight" [(f p) e]
"o.weight" [(h half d) e] <-> "o.weight" [(h d half) e] where h = 2, half = 2
"down.weight" [e f] <-> "down.weight" [f e]
"{a in x|y}.weight" [e f] <-> "xy.weight" [e (a f)]
"{rest*}" <-> "{rest}"
"""
SHAPES = {"q": (8, 6), "k": (4, 6), "v": (4, 6), "gate": (10, 6), "up": (10, 6), "o": (12, 8), "down": (6, 10),
          "x": (6, 5), "y": (6, 5), "emb": (9, 6)}  # fmt: skip


@pytest.fixture
def model(wmap):
    rng = np.random.default_rng(7)
    wmap.rng = rng
    wmap.path("same.wmap").write_text(IDENTITY)
    wmap.path("fuse.wmap").write_text(FUSE)
    wmap.base = {k + ".weight": rng.integers(-9, 9, s).astype("f8") for k, s in SHAPES.items()}
    write_safetensors(wmap.path("base.safetensors"), {k: floats(v) for k, v in wmap.base.items()})
    return wmap


def factors(w, names, r=3):
    """Small whole numbers, so that sums are exact in any order."""
    out = {}
    for i, n in enumerate(names):
        rank = r[i] if isinstance(r, list) else r
        rows, columns = SHAPES[n]
        out[n + ".lora_A.weight"] = w.rng.integers(-9, 9, (rank, columns)).astype("f8")
        out[n + ".lora_B.weight"] = w.rng.integers(-9, 9, (rows, rank)).astype("f8")
    return out


def convert(w, m, *args, base="base.safetensors", adapter="ad", out="converted"):
    return w("run", f"./{m}", "-i", base, "-o", out, "--adapter", adapter, *(args or ("--adapter-to", "peft")))


def check(w, m="fuse.wmap"):
    """Converted, then merged, is merged, then converted; gives back the configuration and the shapes."""
    assert convert(w, m).status == 0, convert(w, m)
    w.ok("run", f"./{m}", "-i", "base.safetensors", "-o", "other.safetensors")
    w.ok("run", f"./{m}", "-i", "base.safetensors", "-o", "want.safetensors", "--adapter", "ad")
    w.ok("run", "./same.wmap", "-i", "other.safetensors", "-o", "got.safetensors", "--adapter", "converted")
    assert w.path("got.safetensors").read_bytes() == w.path("want.safetensors").read_bytes()
    tensors = read_safetensors(w.path("converted/adapter_model.safetensors"))
    assert sorted(p.name for p in w.path("converted").iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    short = {k.removeprefix("base_model.model."): v for k, v in tensors.items()}
    return json.loads(w.path("converted/adapter_config.json").read_text()), short


def test_blocks(model):
    """q and v go into one weight: their ranks lie one behind the other, with zeros in between and for k."""
    f = factors(model, ["q", "v", "gate", "up", "o", "x"])
    peft(model, "ad", f, lora_alpha=6, r=3, target_modules=["q", "v", "gate", "up", "o", "x"], layers_to_transform=[0])
    config, got = check(model)
    assert config["r"] == 3 and config["lora_alpha"] == 6 and config["layers_to_transform"] is None
    assert config["target_modules"] == ["qkv", "gate_up", "o", "xy"]
    assert config["rank_pattern"] == {"qkv": 6, "gate_up": 6} and config["alpha_pattern"] == {"qkv": 12, "gate_up": 12}
    a, b = values(got["qkv.lora_A.weight"]), values(got["qkv.lora_B.weight"])
    assert np.array_equal(a, np.concatenate([f["q.lora_A.weight"], f["v.lora_A.weight"]]))
    want = np.zeros((16, 6))
    want[:8, :3], want[12:, 3:] = f["q.lora_B.weight"], f["v.lora_B.weight"]
    assert np.array_equal(b, want)
    columns = values(got["xy.lora_A.weight"])
    assert np.array_equal(columns[:, :5], f["x.lora_A.weight"]) and not columns[:, 5:].any()


def test_back(model):
    """What a fused weight has goes to each of its parts; what was moved comes back to the byte."""
    peft(model, "ad", factors(model, ["o", "q"]), lora_alpha=6, r=3)
    check(model)
    r = convert(model, "fuse.wmap", "--reverse", "--adapter-to", "peft", base="other.safetensors", adapter="converted",
                out="back")
    assert r.status == 0, r
    was, got = (read_safetensors(model.path(d) / "adapter_model.safetensors") for d in ("ad", "back"))
    assert got.keys() == {f"base_model.model.{m}.lora_{f}.weight" for m in "oqkv" for f in "AB"}
    assert all(got[k] == v for k, v in was.items())
    assert not values(got["base_model.model.k.lora_B.weight"]).any()
    assert json.loads(model.path("back/adapter_config.json").read_text())["target_modules"] == ["q", "k", "v", "o"]


def test_ranks_scales_and_names(model):
    peft(model, "ad", factors(model, ["q", "o", "gate"], [2, 3, 3]), lora_alpha=6, r=3, use_rslora=False,
         rank_pattern={"q": 2}, alpha_pattern={"gate": 9, "q": 4}, exclude_modules="emb")
    config, _ = check(model)
    assert config["r"] == 3 and config["rank_pattern"] == {"qkv": 2} and config["exclude_modules"] is None
    assert config["alpha_pattern"] == {"qkv": 4, "gate_up": 9}


def test_rslora_and_embedding(model):
    f = factors(model, ["q", "k"], 4)
    f["emb.lora_embedding_A"] = model.rng.integers(-9, 9, (4, 9)).astype("f8")
    f["emb.lora_embedding_B"] = model.rng.integers(-9, 9, (6, 4)).astype("f8")
    peft(model, "ad", f, lora_alpha=6, r=4, use_rslora=True)
    config, got = check(model)
    assert got["emb.lora_embedding_A"][1] == [4, 9] and "emb" in config["target_modules"]


def test_turned(model):
    """A weight of which the map makes the transpose: the factors stay, fan_in_fan_out says it."""
    f = factors(model, ["down"])
    peft(model, "ad", f, lora_alpha=3, r=3)
    config, got = check(model)
    assert config["fan_in_fan_out"] is True
    assert np.array_equal(values(got["down.lora_A.weight"]), f["down.lora_A.weight"])


def test_whole_tensors(model):
    emb = model.rng.standard_normal((9, 6))
    peft(model, "ad", {**factors(model, ["q"]), "emb.weight": emb}, lora_alpha=3, r=3, modules_to_save=["emb"])
    model.path("renamed.wmap").write_text('wmap 1\nmap r\n"emb.weight" <-> "embed.tokens.weight"\n"{m*}" <-> "{m}"\n')
    config, got = check(model, "renamed.wmap")
    assert config["modules_to_save"] == ["tokens"] and got["embed.tokens.weight"] == floats(emb)


def test_names_that_mean_others_too(model):
    """`a.p` has a pair and `b.p` has none, so that `p` is not enough."""
    model.path("deep.wmap").write_text('wmap 1\nmap d\n"q.weight" <-> "a.p.weight"\n"k.weight" <-> "b.p.weight"\n'
                                       '"{m*}" <-> "z.{m}"\n')
    peft(model, "ad", factors(model, ["q"]), lora_alpha=3, r=3)
    config, _ = check(model, "deep.wmap")
    assert config["target_modules"] == ["a.p"]


REFUSED = {
    "two scales": (["q", "k"], {"alpha_pattern": {"q": 9}}, None, "peft", "qkv.weight: its pairs are scaled by 3 and 1"),
    "mul": (["q"], {}, '"q.weight" <-> lossy mul(2) <-> "q.weight"', "peft", "q.weight: the map applies mul"),
    "dimensions": (["q"], {}, '"q.weight" [(a b) e] <-> "q.weight" [a b e] where a = 2', "peft", "it has 3 dimensions"),
    "name": (["q"], {}, '"q.weight" <-> "q.kernel"', "peft", "q.kernel: it is no weight of a module"),
    "mixed": (["q"], {}, '"q.weight" [(a b) (c d)] <-> "q.weight" [(a d) (c b)] where a = 2, c = 3, d = 2', "peft",
              "its rows are not those of one factor"),
    "orders": (["q", "k"], {}, '"q.weight" [m n] <-> "q.weight" [n m]', "peft", "one fan_in_fan_out for all"),
    "ranks": (["q", "o"], {"r": [2, 3], "rank_pattern": {"q": 2}}, None, "litgpt", "it has another rank or scale"),
    "fused": (["gate", "up"], {}, None, "litgpt", "gate_up.weight: several pairs go into it"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(model, name):
    names, config, rule, form, text = REFUSED[name]
    m = "fuse.wmap" if not rule else "own.wmap"
    if rule:
        model.path(m).write_text(f'wmap 1\nmap own\n{rule}\n"{{rest*}}" <-> "{{rest}}"\n')
    peft(model, "ad", factors(model, names, config.pop("r", 3)), lora_alpha=3, r=3, **config)
    r = convert(model, m, "--adapter-to", form)
    assert r.status == 1 and "E0653" in r.err and text in r.err and not model.path("converted").exists(), r


def test_options(model):
    peft(model, "ad", factors(model, ["q"]), lora_alpha=3, r=3)
    for args, text in ((("--adapter-to", "gguf"), "peft or litgpt, not to"), (("--adapter-to", "peft", "--unmerge"), "without"),
                       (("--adapter-to", "peft", "--format", "pth"), "container of its form")):
        r = convert(model, "same.wmap", *args)
        assert r.status == 2 and text in r.err, r
    r = model("run", "./same.wmap", "-i", "base.safetensors", "-o", "o", "--adapter-to", "peft")
    assert r.status == 2 and "--adapter DIR" in r.err, r


def test_ranks_have_no_place_for_it(model):
    model.path("cut.wmap").write_text('wmap 1\nindex rank < 2\ntarget { file "r{rank}.safetensors" }\n'
                                      'shard rank on target { "{rest*}" replicate }\n"{rest*}" <-> "{rest}"\n')
    peft(model, "ad", factors(model, ["q"]), r=3, lora_alpha=3, target_modules=["q"])
    r = convert(model, "cut.wmap", "--adapter-to", "peft")
    assert r.status == 1 and "E0653" in r.err and "one file: convert it for one rank" in r.err, r


def test_packed_experts(wmap):
    """The ranks of all experts lie in one pair: taken apart, each expert has its own."""
    e, r, rng = 3, 2, np.random.default_rng(4)
    wmap.path("same.wmap").write_text(IDENTITY)
    wmap.path("apart.wmap").write_text("""wmap 1
map apart
index expert < 3
"h.experts.gate_up_proj" [expert (p f) i] <-> "h.experts.{expert}.{p in gate|up}.weight" [f i]
"h.experts.down_proj"    [expert i f]     <-> "h.experts.{expert}.down.weight" [i f]
"{rest*}" <-> "{rest}"
""")
    base = {"h.experts.gate_up_proj": rng.integers(-9, 9, (e, 8, 6)), "h.experts.down_proj": rng.integers(-9, 9, (e, 6, 4)),
            "h.q.weight": rng.integers(-9, 9, (6, 6))}  # fmt: skip
    write_safetensors(wmap.path("base.safetensors"), {k: floats(v) for k, v in base.items()})
    pairs = {"h.experts.base_layer": (8, 6, e), "h.experts": (6, 4, e), "h.q": (6, 6, 1)}
    f = {}
    for k, (o, i, n) in pairs.items():
        f[k + ".lora_A.weight"], f[k + ".lora_B.weight"] = rng.integers(-9, 9, (n * r, i)), rng.integers(-9, 9, (o, n * r))
    peft(wmap, "ad", f, lora_alpha=4, r=r, target_modules=["q"], target_parameters=["experts.gate_up_proj", "experts.down_proj"])
    wmap.path("config.json").write_text('{"model_type": "mixtral"}')
    to = ("--config", "config.json", "--adapter", "ad")
    wmap.ok("run", "./apart.wmap", "-i", "base.safetensors", "-o", "want.safetensors", *to)
    wmap.ok("run", "./apart.wmap", "-i", "base.safetensors", "-o", "apart.safetensors")
    wmap.ok("run", "./apart.wmap", "-i", "base.safetensors", "-o", "ad2", *to, "--adapter-to", "peft")
    wmap.ok("run", "./same.wmap", "-i", "apart.safetensors", "-o", "got.safetensors", "--adapter", "ad2")
    assert wmap.path("got.safetensors").read_bytes() == wmap.path("want.safetensors").read_bytes()
    config = json.loads(wmap.path("ad2/adapter_config.json").read_text())
    assert config["target_parameters"] is None and sorted(config["target_modules"]) == ["down", "gate", "q", "up"]
    got = values(read_safetensors(wmap.path("ad2/adapter_model.safetensors"))["base_model.model.h.experts.1.up.lora_B.weight"])
    assert np.array_equal(got, f["h.experts.base_layer.lora_B.weight"][4:, 1::e])
