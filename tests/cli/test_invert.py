"""Maps back to text: inverses, maps with imports and arguments, compositions as one map.

A text is right when it does what the original does: plans and bytes are compared, not texts."""

import re
import shutil
from pathlib import Path

import pytest

from conftest import ROOT, read_safetensors, write_safetensors

MAPS = ROOT / "stdlib-maps"
SHIPPED = sorted(str(p.relative_to(MAPS).with_suffix("")) for p in MAPS.rglob("*.wmap")
                 if p.parent.name != "common" and p.stem not in ("dumped", "nested"))


def write(wmap, name, text):
    wmap.path(name).write_text(text)
    return f"./{name}"


def invert(wmap, spec, name):
    return write(wmap, name, wmap.ok("invert", spec).out)


def plan(wmap, spec, data, *more):
    """Without the places of the rules in their texts, and the size that these have."""
    out = wmap.ok("dump", spec, "-i", data, "--stage", "plan", *more).out
    return [re.sub(r"  # \S+:\d+:\d+$", "", line) for line in out.splitlines()[1:]]


def tensors(path):
    out = {}
    for p in sorted(Path(path).rglob("*.safetensors")):
        out.update(read_safetensors(p))
    assert out
    return out


# ---- inverses ----

# Scales have to fit their weights, which invented ones do not.
GENERATED = {"transformers5/deepseek_v3": "deepseek_v3", "transformers5/olmoe": "olmoe",
             "transformers5/qwen2_moe": "qwen3_moe", "transformers5/qwen3_moe": "qwen3_moe"}


@pytest.mark.parametrize("name", SHIPPED)
def test_twice_is_the_same(wmap, name):
    """On checkpoints that use every rule of the map."""
    once = invert(wmap, name, "once.wmap")
    twice = invert(wmap, once, "twice.wmap")
    wmap.ok("check", once)
    if name in GENERATED:
        wmap.ok("gen", "--family", GENERATED[name], "-o", "made")
        assert plan(wmap, twice, "made") == plan(wmap, name, "made")
        return
    sets = wmap("mini", name, "-o", "mini", "--json").json()["sets"]
    data = sorted(wmap.path("mini").glob("**/input"), key=lambda d: int(d.parent.name) if d.parent.name.isdigit() else 0)
    assert len(data) == len(sets) > 0
    text = (MAPS / f"{name}.wmap").read_text()
    texts = [text, *((MAPS / name).parent.joinpath(i).read_text() for i in re.findall(r'^import "([^"]+)"', text, re.M))]
    params = [p for t in texts for p in re.findall(r"^param (\w+)", t, re.M)]
    for d, s in zip(data, sets):
        out = d.parent / "output"
        more = [w for v in s["settings"].split() if v.split("=")[0] in params for w in ("-D", v.replace('"', ""))]
        if name.startswith(("neuron/", "megatron/", "vllm/")):  # many files, which the two list in another order
            for i, (spec, source) in enumerate(((once, out), (f"~{name}", out))):
                wmap.ok("run", spec, "-i", source, "-o", f"back{i}", *more)
            wmap.ok("run", twice, "-i", d, "-o", "there", *more)
            assert tensors(wmap.path("back0")) == tensors(wmap.path("back1"))
            ranks = [[p.read_bytes() for p in sorted(x.rglob("*rank*/*.*" if "megatron" in name else "*rank*.*"))
                      if p.suffix in (".pt", ".safetensors")] for x in (wmap.path("there"), out)]
            assert ranks[0] == ranks[1] != []
            for old in ("back0", "back1", "there"):
                shutil.rmtree(wmap.path(old))
            continue
        assert plan(wmap, twice, d, *more) == plan(wmap, name, d, *more)
        assert plan(wmap, once, out, *more) == plan(wmap, f"~{name}", out, *more)


def test_comments_stay(wmap):
    text = invert_text(wmap, "wmap 1\nmap m\n\n# first\n\"a\" <-> \"b\"  # behind\n# last\n")
    assert "# first\n\"b\" <-> \"a\"  # behind\n" in text and text.endswith("# last\n")


def invert_text(wmap, text):
    return wmap.ok("invert", write(wmap, "m.wmap", text)).out


@pytest.mark.parametrize("rule, says", [
    ('"a" [n] <-> "b" [r n]  where r = 2  broadcast r', "all copies along r are equal"),
    ('"a" [n] <-> "b" [(n + p)]  where p = 2  pad p = 0', "the padding p is dropped"),
    ('"a" -> "b"', '"b" is not carried'),
    ('fill 0 f32 <-> "b" [n]  where n = 2\n"a" <-> "c"', '"b" holds its fill value'),
])
def test_obligations(wmap, rule, says):
    path = write(wmap, "m.wmap", f"wmap 1\nmap m\n{rule}\n")
    r = wmap("invert", path)
    assert r.status == 0, r
    assert says in r.out, r
    wmap.ok("check", write(wmap, "once.wmap", r.out))
    back = wmap.ok("invert", "./once.wmap").out
    assert says not in back, "obligations of the other direction stay behind"


def test_lossy_is_told(wmap):
    assert "lossy" in [line for line in invert_text(
        wmap, 'wmap 1\nmap m\n"a" <-> lossy cast(f32, bf16) <-> "b"\n').splitlines() if "Relies" in line][0]


def test_not_invertible(wmap):
    path = write(wmap, "m.wmap", 'wmap 1\nmap m\n"a" <-> flatten(0, 1) <-> "x"\n')
    r = wmap("invert", path)
    assert r.status != 0 and r.out == "" and "E0532" in r.err and "flatten" in r.err


# ---- imports and arguments ----

BASE = """wmap 1
map base

param half = 2 "parts of a row"
let d = config.d
index layer < config.n

source { alias "tied" = "emb" when config.tie ?? false }

# the embedding
"emb"  <-> "wte"
"tied" <-> "head"
if d < 100 {
  "small" <-> "s"
} else {
  "large" <-> "s"
}
within "l.{layer}." <-> "h.{layer}." {
  "q" [(half d) r] <-> "wq" [(d half) r]
  "o" [d r]        <-> "wo" [r d]
}
"""
TOP = """wmap 1
map top

import "base.wmap" as b
let d = 7
index layer < b.half + 1

source { format safetensors }

use b
"own.{layer}" [d] <-> "mine.{layer}" [d]
override "l.{layer}.o" <-> "h.{layer}.wo"
"""


def gen_top(wmap):
    data = wmap.path("data")
    data.mkdir()
    (data / "config.json").write_text('{"model_type": "x", "d": 3, "n": 3}')
    shapes = {"emb": [5], "tied": [4], "small": [2], "own.0": [7], "own.1": [7], "own.2": [7],
              **{f"l.{i}.q": [6, 5] for i in range(3)}, **{f"l.{i}.o": [3, 5] for i in range(3)}}
    out = {}
    for at, (key, shape) in enumerate(shapes.items()):
        n = 1
        for s in shape:
            n *= s
        out[key] = ("U8", shape, bytes((at * 37 + i) % 256 for i in range(n)))
    write_safetensors(data / "model.safetensors", out)
    return data


def test_imports(wmap):
    write(wmap, "base.wmap", BASE)
    top = write(wmap, "top.wmap", TOP)
    data = gen_top(wmap)
    flat = invert(wmap, invert(wmap, top, "once.wmap"), "flat.wmap")
    text = wmap.path("flat.wmap").read_text()
    assert "import" not in text and "use b" not in text and "override" not in text
    assert "b_d" in text and "# the embedding" in text and '"tied" = "emb"' in text
    assert plan(wmap, flat, data) == plan(wmap, top, data)
    wmap.ok("run", top, "-i", data, "-o", "x")
    wmap.ok("run", "./once.wmap", "-i", "x", "-o", "back", "--config", data / "config.json")
    assert tensors(wmap.path("back")) == tensors(data)


def test_arguments(wmap):
    base = write(wmap, "base.wmap", BASE)
    text = wmap.ok("invert", f"{base}(half = 3)").out
    assert "let half = 3" in text and "param" not in text


# ---- compositions ----

COMPOSED = ["~litgpt/llama >> olmo_core/llama", "~olmo_core/llama >> litgpt/llama",
            "litgpt/llama >> ~litgpt/llama", "~litgpt/legacy_llama >> litgpt/llama",
            "~litgpt/llama >> litgpt/legacy_llama", "~meta/llama >> litgpt/llama", "~litgpt/llama >> meta/llama",
            "~meta/llama >> meta/llama"]


@pytest.mark.parametrize("spec", COMPOSED)
def test_composition(models, wmap, spec):
    """As one map it does what the chain does, forwards and back."""
    first = spec.split(" >> ")[0]
    data = models.path("tiny")
    config = "--config", data / "config.json"
    if first.startswith("~"):
        wmap.ok("run", first[1:], "-i", data, "-o", "first", *config)
        data = "first"
    write(wmap, "fused.wmap", wmap.ok("invert", f"~({spec})").out)
    wmap.ok("run", spec, "-i", data, "-o", "chain", *config)
    wmap.ok("run", "./fused.wmap", "-i", data, "-o", "one", *config)
    wmap.ok("diff", "one", "chain")
    wmap.ok("run", "./fused.wmap", "--reverse", "-i", "one", "-o", "back", *config)
    wmap.ok("diff", "back", data)


def compose(wmap, a, b):
    write(wmap, "a.wmap", "wmap 1\nmap a\n" + a)
    write(wmap, "b.wmap", "wmap 1\nmap b\n" + b)
    return wmap("invert", "~(./a.wmap >> ./b.wmap)")


@pytest.mark.parametrize("a, b, fused", [
    ('"x" <-> "y"', '"y" <-> "z"', '"x" <-> "z"'),
    ('"x.{m in p|q}" <-> "y.{m in r|s}"', '"y.s" <-> "z"\n"y.r" <-> "w"', '"x.q" <-> "z"'),
    ('"{rest*}" <-> "y.{rest*}"', '"y.{all*}" <-> "z.{all*}"', '"{rest*}" <-> "z.{rest*}"'),
    ('"{rest*}" <-> "y.{rest*}"', '"y.k" [a b] <-> "z" [b a]', '"k" [a b] <-> "z" [b a]'),
    ('"x" <-> transpose(0, 1) <-> "y"', '"y" <-> neg <-> "z"', '"x" <-> transpose(0, 1) | neg <-> "z"'),
    ('"x.{m in r|s}" <-> "y.{m in p|q}"', '"y.{n in q|p}" [a] <-> "z" [(n a)]',
     '"x.{n in s|r}" [a] <-> "z" [(n a)]'),
    ('"x" -> "y"', '"y" <-> "z"', '"x" -> "z"'),
    # patterns on both sides of the middle: an axis becomes what the other pattern has in its place
    ('"x" [a b] <-> "y" [b a]', '"y" [(a b) c] <-> "z" [(b a) c]  where a = 2',
     '"x" [a (a_ b_)] <-> "z" [(b_ a_) a]  where a_ = 2'),
    ('"x" [(p + q) e] <-> "a" [p e], "b" [q e]  where p = 4', '"a" [(h i) ...] <-> "u" [(i h) ...]  where h = 2\n"b" <-> "w"',
     '"x" [((h i) + q) e] <-> "u" [(i h) e], "w" [q e]  where h = 2  where i = 4 / 2'),
    ('"x" [(p + q) e] <-> "a" [p e], "b" [q e]  where p = 4', '"a" [m n], "b" [k n] <-> "z" [n (k + m)]  where m = 4',
     '"x" [(p + q) e] <-> "z" [e (q + p)]  where p = 4'),
    ('"x" [(g h) e] <-> "y" [(h g) e]  where h = config.h', '"y" [(h r) e] <-> "z" [h r e]  where h = config.h',
     '"x" [(g h) e] <-> "z" [h g e]  where h = config.h'),
])
def test_fused_rules(wmap, a, b, fused):
    r = compose(wmap, a, b)
    assert r.status == 0, r
    assert fused in r.out.replace("\n  ", " "), r


@pytest.mark.parametrize("a, b, says", [
    ('"x" [(a b)] <-> "y" [(b a)]  where a = 4', '"y" [(a b)] <-> "z" [(b a)]  where a = 2', "cut it differently"),
    ('"x" [(a + b)] <-> "y" [(b + a)]  where a = 4', '"y" [(a + b)] <-> "z" [(b + a)]  where a = 2', "cut it differently"),
    ('"x" [a b] <-> "y" [b a]', '"y" <-> transpose(0, 1) <-> "z"', "both change the tensor"),
    ('"x" <-> "y"', '"y" <-> "z"\n"w" <-> "v"', "nothing in the first map"),
    ('"x" <-> "y"\n"w" <-> "v"', '"y" <-> "z"', "nothing in the second map"),
    ('"x" -> "y"', '"y" <- "z"', "different directions"),
    ('target { alias "y" = "u" }\n"x" <-> "y"\n"u" <-> "u"', '"y" <-> "z"\n"u" <-> "u"', "only the first has, in the middle, alias"),
])
def test_refused(wmap, a, b, says):
    r = compose(wmap, a, b)
    assert r.status != 0 and r.out == "" and says in r.err, r


COMPOSITE = """wmap 1
map comp
index rep < 2
index place < 3
index rank = (rep place)
target { file "r{rank}.safetensors" }
"w" [(rank f) e] <-> "w" [f e]
"k" [(place f) e] <-> "k" [f e] broadcast rep
"""


def test_composite_indices_on_the_outside(wmap):
    """Ranks of several indices stay as they are where the other map only gives other names."""
    write(wmap, "comp.wmap", COMPOSITE)
    write(wmap, "names.wmap", 'wmap 1\nmap names\n"{rest*}" <-> "model.{rest*}"\n')
    write(wmap, "fused.wmap", wmap.ok("invert", "~(~./names.wmap >> ./comp.wmap)").out)
    assert '"model.w" [(rank f) e]' in wmap.path("fused.wmap").read_text()
    assert "agree in all elements" in wmap.ok("diff", "--maps", "./fused.wmap", "~./names.wmap >> ./comp.wmap").out


@pytest.mark.parametrize("spec, says", [
    ("~./comp.wmap >> ./comp.wmap", "between ~comp and comp, rules `\"w\" [f e]"),
    ("~(./names.wmap >> ~./names.wmap >> ./comp.wmap >> ~./comp.wmap)", "between comp, with all before it, and ~comp, rule"),
    ("meta/llama >> ~meta/llama", "the tensors between them are sharded, by `shard rank on target` of the first"),
])
def test_what_stands_in_the_way_and_where(wmap, spec, says):
    write(wmap, "comp.wmap", COMPOSITE)
    write(wmap, "names.wmap", 'wmap 1\nmap names\n"{rest*}" <-> "model.{rest*}"\n')
    r = wmap("invert", spec)
    assert r.status == 2 and says in r.err and r.err.endswith("run it as it is, it is one plan too\n"), r


def test_longer_chain(wmap):
    for n, (x, y) in enumerate(["pq", "qr", "rs"]):
        write(wmap, f"{n}.wmap", f'wmap 1\nmap m{n}\nindex i < config.n\n"{x}.{{i}}" <-> "{y}.{{i}}"\n')
    text = wmap.ok("invert", "./0.wmap >> ./1.wmap >> ./2.wmap").out
    assert '"s.{i}" <-> "p.{i}"' in text


