"""--adapter and --unmerge: what is merged, what is refused, and how it is said."""

import json

import numpy as np
import pytest

from conftest import read_safetensors, write_safetensors

IDENTITY = 'wmap 1\nmap same\n"{rest*}" <-> "{rest*}"\n'
CAST = 'wmap 1\nmap wide\n"{m*}" [a b] <-> cast(f32, f64) <-> "{m}" [a b]\n'


def floats(array):
    return "F32", list(array.shape), array.astype("<f4").tobytes()


def values(tensor):
    dtype, shape, data = tensor
    return np.frombuffer(data, {"F32": "<f4", "F64": "<f8"}[dtype]).reshape(shape)


@pytest.fixture
def small(wmap):
    """A base of two weights, and a PEFT adapter of one of them; `w`, `a`, `b` as float64."""
    rng = np.random.default_rng(5)
    wmap.path("same.wmap").write_text(IDENTITY)
    wmap.w, wmap.a, wmap.b = rng.standard_normal((6, 5)), rng.standard_normal((3, 5)), rng.standard_normal((6, 3))
    wmap.w, wmap.a, wmap.b = (x.astype("f4").astype("f8") for x in (wmap.w, wmap.a, wmap.b))
    write_safetensors(wmap.path("base.safetensors"), {"x.weight": floats(wmap.w), "y.weight": floats(wmap.w + 1)})
    peft(wmap, "ad", {"x.lora_A.weight": wmap.a, "x.lora_B.weight": wmap.b}, lora_alpha=7, r=3)
    return wmap


def peft(w, name, tensors, **config):
    w.path(name).mkdir()
    write_safetensors(w.path(name) / "adapter_model.safetensors",
                      {"base_model.model." + k: floats(v) for k, v in tensors.items()})
    w.path(name).joinpath("adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **config}))


def run(w, adapter, *args, out="out.safetensors", m="same.wmap"):
    return w("run", f"./{m}", "-i", "base.safetensors", "-o", out, "--adapter", adapter, *args)


def test_merges_one_rounding(small):
    assert run(small, "ad").status == 0
    got = read_safetensors(small.path("out.safetensors"))
    want = (small.w + 7 / 3 * (small.b @ small.a)).astype("f4")
    assert np.array_equal(values(got["x.weight"]), want)
    assert np.array_equal(values(got["y.weight"]), (small.w + 1).astype("f4"))


def test_merged_then_cast_in_one_plan(small):
    small.path("wide.wmap").write_text(CAST)
    assert run(small, "ad", m="wide.wmap").status == 0
    got = read_safetensors(small.path("out.safetensors"))
    want = (small.w + 7 / 3 * (small.b @ small.a)).astype("f4").astype("f8")
    assert np.array_equal(values(got["x.weight"]), want)


def test_unmerge(small):
    assert run(small, "ad", out="m.safetensors").status == 0
    small.ok("run", "./same.wmap", "-i", "m.safetensors", "-o", "back.safetensors", "--adapter", "ad", "--unmerge")
    got = read_safetensors(small.path("back.safetensors"))
    assert np.allclose(values(got["x.weight"]), small.w, atol=1e-5)
    r = small("run", "./same.wmap", "-i", "m.safetensors", "-o", "n.safetensors", "--unmerge")
    assert r.status == 2 and "--unmerge is for an adapter" in r.err, r


def test_default_in_the_names(small):
    peft(small, "named", {"x.lora_A.default.weight": small.a, "x.lora_B.default.weight": small.b}, lora_alpha=7, r=3)
    assert run(small, "ad").status == 0 and run(small, "named", out="n.safetensors").status == 0
    assert small.path("out.safetensors").read_bytes() == small.path("n.safetensors").read_bytes()


def test_modules_to_save(small):
    peft(small, "saved", {"x.lora_A.weight": small.a, "x.lora_B.weight": small.b, "y.weight": small.w * 3},
         lora_alpha=7, r=3, modules_to_save=["y"])  # fmt: skip
    assert run(small, "saved").status == 0
    got = read_safetensors(small.path("out.safetensors"))
    assert np.array_equal(values(got["y.weight"]), (small.w * 3).astype("f4"))
    r = run(small, "saved", "--unmerge", out="u.safetensors")
    assert r.status == 1 and "E0651" in r.err and "cannot bring it back" in r.err, r


@pytest.mark.parametrize("out", ["p.safetensors", "-"])
def test_into_a_stream(small, out):
    """The weights come from a pipe, the factors from their file, and what is saved whole takes a weight's place."""
    small.path("wide.wmap").write_text(CAST)
    peft(small, "saved", {"x.lora_A.weight": small.a, "x.lora_B.weight": small.b, "y.weight": small.w * 3},
         lora_alpha=7, r=3, modules_to_save=["y"])  # fmt: skip
    for m in ["same.wmap", "wide.wmap"]:
        assert run(small, "saved", m=m).status == 0
        r = small("run", f"./{m}", "-i", "-", "-o", out, "--adapter", "saved",
                  stdin=small.path("base.safetensors").read_bytes())
        assert r.status == 0, r
        got = r.raw if out == "-" else small.path(out).read_bytes()
        assert got == small.path("out.safetensors").read_bytes()


REFUSED = {
    "half": ({"x.lora_A.weight": "a"}, {}, "E0605", "MISSING base_model.model.x.lora_B.weight"),
    "other half": ({"x.lora_B.weight": "b"}, {}, "E0602", "UNEXPECTED base_model.model.x.lora_B.weight"),
    "no weight": ({"z.lora_A.weight": "a", "z.lora_B.weight": "b"}, {}, "E0605", "MISSING z.weight"),
    "shape": ({"x.lora_A.weight": "b", "x.lora_B.weight": "a"}, {}, "E0608", "has the shape"),
    "dora": ({"x.lora_A.weight": "a", "x.lora_B.weight": "b", "x.lora_magnitude_vector": "b"}, {}, "E0602", "DoRA"),
    "no alpha": ({"x.lora_A.weight": "a", "x.lora_B.weight": "b"}, {"lora_alpha": None}, "E0227",
                 "adapter.lora_alpha is not in the adapter's configuration"),
    "rank": ({"x.lora_A.weight": "a", "x.lora_B.weight": "b"}, {"r": 6}, "E0651",
             "`base_model.model.x.lora_A.weight` has the rank 3, but by the configuration (r) it is 6"),
    "rank of a name": ({"x.lora_A.weight": "a", "x.lora_B.weight": "b"}, {"r": 3, "rank_pattern": {"x": 6}}, "E0651",
                       "by the configuration (rank_pattern) it is 6"),
    "patterns": ({"x.lora_A.weight": "a", "x.lora_B.weight": "b"}, {"alpha_pattern": [1]}, "E0651",
                 "alpha_pattern is not a JSON object"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(small, name):
    tensors, config, code, text = REFUSED[name]
    peft(small, "bad", {k: getattr(small, v) for k, v in tensors.items()}, **{"lora_alpha": 7, **config})
    r = run(small, "bad")
    assert r.status == 1 and code in r.err and text in r.err and not small.path("out.safetensors").exists(), r


@pytest.mark.parametrize("said", [{"lora_alpha": "7"}, {"r": True}, {"use_rslora": 1}, {"fan_in_fan_out": "no"}])
def test_configuration_of_other_kinds(small, said):
    peft(small, "bad", {"x.lora_A.weight": small.a, "x.lora_B.weight": small.b}, **{"lora_alpha": 7, **said})
    r = run(small, "bad")
    assert r.status == 2 and f"bad/adapter_config.json: {[*said][0]} is n" in r.err, r


def test_types_that_are_no_low_rank_sum(small):
    for key, value, text in (("peft_type", "LOHA", "only LORA"), ("use_dora", True, "use_dora"),
                             ("lora_bias", True, "lora_bias")):
        small.path("ad/adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "lora_alpha": 7, key: value}))
        r = run(small, "ad")
        assert r.status == 2 and text in r.err, r


def test_a_map_that_does_not_carry_the_weight(small):
    small.path("less.wmap").write_text('wmap 1\nmap less\nsource { ignore "x.weight" }\n"y.weight" <-> "y"\n')
    r = run(small, "ad", m="less.wmap")
    assert r.status == 1 and "E0651" in r.err and "does not carry" in r.err, r


def test_a_copy_that_no_longer_equals(small):
    small.path("tied.wmap").write_text(
        'wmap 1\nmap tied\nsource { alias "y.weight" = "x.weight" }\n"x.weight" <-> "x"\n"y.weight" <-> "y"\n')
    r = run(small, "ad", m="tied.wmap")
    assert r.status == 1 and "E0651" in r.err and "must also be equal" in r.err, r


def test_an_adapter_that_no_line_fits(small):
    write_safetensors(small.path("raw.safetensors"), {"x.lora_A": floats(small.a), "x.lora_B": floats(small.b)})
    r = run(small, "raw.safetensors")
    assert r.status == 1 and "E0651" in r.err and "no lora lines" in r.err, r


def test_plan_and_trace_and_verify(small):
    assert run(small, "ad").status == 0
    r = small.ok("plan", "./same.wmap", "-i", "base.safetensors", "--adapter", "ad")
    assert "adapter ad/adapter_model.safetensors: 2 tensors" in r.out and "lora_B.weight" in r.out, r
    r = small.ok("trace", "./same.wmap", "-i", "base.safetensors", "--adapter", "ad", "x.weight[2, 4]")
    assert r.out.count("<-") >= 3 and "lora_A.weight[0, 4]" in r.out and "lora_B.weight[2, 0]" in r.out, r
    r = small.ok("verify", "./same.wmap", "-i", "base.safetensors", "-o", "out.safetensors", "--adapter", "ad")
    assert "2 of 2 tensors are equal" in r.out, r
    r = small("verify", "./same.wmap", "-i", "base.safetensors", "-o", "base.safetensors", "--adapter", "ad")
    assert r.status == 1, r


def test_every_family_takes_an_adapter(wmap):
    """The built-in lines fit every shipped map: an adapter merged by it is one merged before it."""
    wmap.ok("gen", "--family", "llama", "-o", "tiny")
    wmap.path("same.wmap").write_text(IDENTITY)
    rng = np.random.default_rng(1)
    shapes = {k: v[1] for k, v in read_safetensors(wmap.path("tiny/model.safetensors")).items() if "_proj" in k}
    tensors = {}
    for k, (rows, columns) in shapes.items():
        m = k.removesuffix(".weight")
        tensors[m + ".lora_A.weight"] = rng.standard_normal((4, columns))
        tensors[m + ".lora_B.weight"] = rng.standard_normal((rows, 4))
    peft(wmap, "ad", tensors, lora_alpha=8, r=4)
    wmap.ok("run", "./same.wmap", "-i", "tiny", "-o", "merged", "--adapter", "ad")
    for m in ("litgpt/llama", "meta/llama", "olmo_core/llama"):
        name = m.replace("/", "_")
        wmap.ok("run", m, "-i", "tiny", "-o", name, "--adapter", "ad")
        wmap.ok("run", m, "-i", "merged", "-o", name + "2", "--config", "tiny/config.json")
        assert "are equal" in wmap.ok("diff", name, name + "2").out


# ---- what PEFT's configuration says ----

PATTERNS = {  # Python's syntax, for `layers.11.attn.q`
    r"q": 1, r"attn.q": 1, r"tn.q": 0, r"layers\.\d+\.attn\.q": 1, r"layers\.\d\.attn\.q": 0, r"layers\.[\d]{2}.*?q": 1,
    r"(?:k|q)": 1, r"[^.]+\.q": 1, r".*\.(\w+)\.q": 1, r"^layers.11.attn.q": 1, r"^11.attn.q": 0, r"layers\.(0|11)\.[a-z]+\.q$": 1,
    r"\_q": 0, r"(?!k).*": None, r"\bq": None, r"q++": None, r"(q": None,
}  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_alpha_pattern(small, pattern):
    fits = PATTERNS[pattern]
    write_safetensors(small.path("base.safetensors"), {"layers.11.attn.q.weight": floats(small.w)})
    peft(small, "named", {"layers.11.attn.q.lora_A.weight": small.a, "layers.11.attn.q.lora_B.weight": small.b}, lora_alpha=3,
         r=3, alpha_pattern={"other": 1, pattern: 6})  # fmt: skip
    r = run(small, "named")
    if fits is None:
        assert r.status == 1 and "E0651" in r.err and "regular expression" in r.err, r
        return
    got = values(read_safetensors(small.path("out.safetensors"))["layers.11.attn.q.weight"])
    assert np.array_equal(got, (small.w + (2 if fits else 1) * (small.b @ small.a)).astype("f4"))


def test_what_was_wrapped(small):
    """PEFT stores an embedding's own weight below its factors, and biases that were trained, as X.base_layer."""
    under = (small.w * 2).astype("f4").astype("f8")
    bias = small.w[:, 0]
    write_safetensors(small.path("base.safetensors"), {"x.weight": floats(small.w), "x.bias": floats(bias),
                                                       "y.weight": floats(small.w)})  # fmt: skip
    peft(small, "under", {"x.lora_A.weight": small.a, "x.lora_B.weight": small.b, "x.base_layer.weight": under,
                          "x.base_layer.bias": bias * 3}, lora_alpha=3, r=3, bias="all")  # fmt: skip
    assert run(small, "under").status == 0
    got = {k: values(v) for k, v in read_safetensors(small.path("out.safetensors")).items()}
    assert np.array_equal(got["x.weight"], (under + small.b @ small.a).astype("f4"))
    assert np.array_equal(got["x.bias"], (bias * 3).astype("f4")) and np.array_equal(got["y.weight"], small.w.astype("f4"))
    peft(small, "wrong", {"x.lora_A.weight": small.a, "x.lora_B.weight": small.b, "x.base_layer.weight": under[1:]},
         lora_alpha=3, r=3)  # fmt: skip
    r = run(small, "wrong", out="w.safetensors")
    assert r.status == 1 and "another shape or type" in r.err, r


def test_tied(small):
    """What PEFT replaces is tied no more: the base's other half would silently become the new one."""
    small.path("config.json").write_text(json.dumps({"model_type": "llama", "tie_word_embeddings": True}))
    write_safetensors(small.path("base.safetensors"), {"embed_tokens.weight": floats(small.w), "x.weight": floats(small.w)})
    tensors = {"x.lora_A.weight": small.a, "x.lora_B.weight": small.b, "embed_tokens.weight": small.w * 2}
    peft(small, "half", tensors, lora_alpha=3, r=3, modules_to_save=["embed_tokens"])
    r = run(small, "half", "--config", "config.json")
    assert r.status == 1 and "E0651" in r.err and "tie_word_embeddings" in r.err, r
    peft(small, "both", tensors, lora_alpha=3, r=3, modules_to_save=["embed_tokens"], ensure_weight_tying=True)
    assert run(small, "both", "--config", "config.json").status == 0


def test_conv1d(small):
    """In GPT-2's family the names tell which weights have the inputs first; fan_in_fan_out is that of one module."""
    square = small.w[:5]
    f = {"h.c_proj.lora_A.weight": small.a, "h.c_proj.lora_B.weight": small.b[:5], "head.lora_A.weight": small.a,
         "head.lora_B.weight": small.b}  # fmt: skip
    write_safetensors(small.path("base.safetensors"), {"h.c_proj.weight": floats(square), "head.weight": floats(small.w)})
    small.path("config.json").write_text('{"model_type": "gpt2"}')
    for name, flag in (("no", False), ("yes", True)):
        peft(small, name, f, lora_alpha=3, r=3, fan_in_fan_out=flag)
        assert run(small, name, "--config", "config.json", out=name + ".safetensors").status == 0
        got = {k: values(v) for k, v in read_safetensors(small.path(name + ".safetensors")).items()}
        assert np.array_equal(got["h.c_proj.weight"], (square + (small.b[:5] @ small.a).T).astype("f4"))
        assert np.array_equal(got["head.weight"], (small.w + small.b @ small.a).astype("f4"))


@pytest.mark.parametrize("model, turned", [("mixtral", False), ("gpt_oss", True)])
def test_target_parameters(small, model, turned):
    """Packed experts, square, so that no shape tells which way round they are."""
    e, n, r = 3, 4, 2
    rng = np.random.default_rng(2)
    up, down = rng.integers(-9, 9, (2, e, n, n)).astype("f8")
    f = {k: rng.integers(-9, 9, s).astype("f8") for k, s in (("ua", (e * r, n)), ("ub", (n, r * e)), ("da", (e * r, n)),
                                                               ("db", (n, r * e)))}  # fmt: skip
    write_safetensors(small.path("base.safetensors"), {"h.mlp.experts.gate_up_proj": floats(up),
                                                       "h.mlp.experts.down_proj": floats(down)})  # fmt: skip
    small.path("config.json").write_text(json.dumps({"model_type": model}))
    at = "h.mlp.experts."
    peft(small, "packed", {at + "base_layer.lora_A.weight": f["ua"], at + "base_layer.lora_B.weight": f["ub"],
                           at + "lora_A.weight": f["da"], at + "lora_B.weight": f["db"]}, lora_alpha=4, r=r,
         target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"])  # fmt: skip
    assert run(small, "packed", "--config", "config.json").status == 0
    got = {k: values(v) for k, v in read_safetensors(small.path("out.safetensors")).items()}
    for key, w, a, b in (("gate_up_proj", up, f["ua"], f["ub"]), ("down_proj", down, f["da"], f["db"])):
        delta = np.einsum("ore,eri->eio" if turned else "ore,eri->eoi", b.reshape(n, r, e), a.reshape(e, r, n))
        assert np.array_equal(got[at + key], w + 2 * delta), key
    for entry in ("a.b", "a.c"), ("a..b",), ('x"',), (3,):
        config = json.loads(small.path("packed/adapter_config.json").read_text())
        small.path("packed/adapter_config.json").write_text(json.dumps({**config, "target_parameters": entry}))
        r = run(small, "packed", "--config", "config.json", out="n.safetensors")
        assert r.status == 1 and "E0651" in r.err and "target_parameters" in r.err, r


def test_not_merged_by_peft_either(small):
    for key, value in (("init_lora_weights", "pissa_niter_4"), ("init_lora_weights", "olora"), ("kasa_config", {"beta": 1}),
                       ("alora_invocation_tokens", [1]), ("layer_replication", [[0, 1]])):  # fmt: skip
        small.path("ad/adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "lora_alpha": 7, key: value}))
        r = run(small, "ad")
        assert r.status == 2 and key in r.err, r
    for key, value in (("init_lora_weights", True), ("init_lora_weights", "eva"), ("kasa_config", None), ("use_bdlora", False)):
        small.path("ad/adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "lora_alpha": 7, key: value}))
        assert run(small, "ad").status == 0
