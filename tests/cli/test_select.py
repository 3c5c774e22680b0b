"""--only and --part-spec: a part of the output, what it reads, and what is refused."""

import json

import pytest

from conftest import read_safetensors, write_safetensors

# sepweight's files with containers that need no torch
PARTS = """wmap 1
map parts "Llama in parts"
index layer < config.num_hidden_layers
target {
  file "begin.safetensors"           holds "begin.{name*}"       as "{name}"
  file "mid.{layer:05}.safetensors"  holds "mid.{layer}.{name*}" as "{name}"
  file "end.safetensors"             holds "end.{name*}"         as "{name}"
}
"model.embed_tokens.weight"     <-> "begin.embed"
"model.norm.weight"             <-> "end.norm"
"lm_head.weight"                <-> "end.head"
"model.layers.{layer}.{rest*}"  <-> "mid.{layer}.{rest}"
"""


@pytest.fixture
def deep(copy):
    """Five layers, and a map into parts."""
    copy.ok("gen", "--family", "llama", "-o", "deep", "-D", "num_hidden_layers=5")
    copy.path("parts.wmap").write_text(PARTS)
    return copy


def files(w, name):
    return sorted(str(p.relative_to(w.path(name))) for p in w.path(name).rglob("*") if p.is_file())


def refused(r, *parts):
    assert r.status == 2 and r.out == "", r
    assert len(r.err.strip().splitlines()) == 1, r
    for part in parts:
        assert part in r.err, r


# ---- --only ----


def test_only_makes_the_same_bytes(copy):
    whole = read_safetensors(copy.path("lit/model.safetensors"))
    for templates, want in [
        (["lm_head.weight"], {"lm_head.weight"}),
        (["transformer.h.{i}.attn.qkv.weight"],
         {k for k in whole if k.endswith("attn.qkv.weight")}),
        (["transformer.h.1.{x*}", "transformer.wte.weight"],
         {k for k in whole if k.startswith("transformer.h.1.") or "wte" in k}),
        (["{x*}.{p in fc_1|fc_2}.weight"], {k for k in whole if "fc_" in k}),
        (["{x*}"], set(whole)),
    ]:
        args = [a for t in templates for a in ("--only", t)]
        copy.ok("run", "litgpt/llama", "-i", "tiny", "-o", "part", "--force", *args)
        got = read_safetensors(copy.path("part/model.safetensors"))
        assert want and got == {k: whole[k] for k in want}, templates
        for out in ("part", "lit"):
            r = copy.ok("verify", "litgpt/llama", "-i", "tiny", "-o", out, *args)
            assert r.out.startswith(f"forward: {len(want)} of {len(want)} tensors are equal"), r
            assert "backward: " in r.out and "not checked" not in r.out and "note" not in r.out, r


def test_only_reads_what_it_needs(copy):
    """Of the input's files, those of the tensors that are made."""
    copy.ok("run", "litgpt/llama", "-i", "tiny", "-o", "two", "--max-shard-size", "150kB")
    index = json.loads(copy.path("two/model.safetensors.index.json").read_text())["weight_map"]
    assert len(set(index.values())) == 2
    names = [k for k, v in index.items() if v == "model-00001-of-00002.safetensors"]
    args = [a for t in names for a in ("--only", t)]
    copy.path("id.wmap").write_text('wmap 1\n"{x*}" <-> "{x}"\n')
    whole = copy.ok("dump", "./id.wmap", "-i", "two", "--stage", "plan").out
    part = copy.ok("dump", "./id.wmap", "-i", "two", "--stage", "plan", *args).out
    assert "two/model-00002-of" in whole and "two/model-00002-of" not in part


def test_only_follows_into_files_and_index(copy):
    """Shards and index are of the selection; rank files that hold nothing are not written."""
    copy.ok("run", "litgpt/llama", "-i", "tiny", "-o", "part", "--max-shard-size", "20kB",
            "--only", "transformer.h.{i}.mlp.{x*}")
    index = json.loads(copy.path("part/model.safetensors.index.json").read_text())
    names = [f"transformer.h.{i}.mlp.{p}.weight" for i in (0, 1) for p in ("fc_1", "fc_2", "proj")]
    assert sorted(index["weight_map"]) == names
    held = {}
    for file in set(index["weight_map"].values()):
        held |= read_safetensors(copy.path("part") / file)
    assert sorted(held) == names
    assert index["metadata"]["total_size"] == sum(len(t[2]) for t in held.values())

    copy.path("ranks.wmap").write_text("""wmap 1
index rank < 2
target { file "rank{rank}.safetensors" }
"lm_head.weight" [e f] <-> "head" [e f] pick rank = 1
"model.norm.weight" [(rank e)] <-> "norm" [e]
source { ignore "model.layers.{x*}", "model.embed_tokens.weight" }
""")
    copy.ok("run", "ranks.wmap", "-i", "tiny", "-o", "all")
    assert files(copy, "all") == ["rank0.safetensors", "rank1.safetensors"]
    copy.ok("run", "ranks.wmap", "-i", "tiny", "-o", "one", "--only", "head")
    assert files(copy, "one") == ["rank1.safetensors"]
    whole = read_safetensors(copy.path("all/rank1.safetensors"))
    assert read_safetensors(copy.path("one/rank1.safetensors")) == {"head": whole["head"]}


def test_only_makes_the_checks_that_concern_it(wmap):
    """A replica that differs stops what reads it, nothing else."""
    four = [b"\1\2\3\4", b"\1\2\3\5"]
    write_safetensors(wmap.path("in.safetensors"), {
        "k.0": ("U8", [4], four[0]), "k.1": ("U8", [4], four[1]), "q": ("U8", [4], b"abcd")})
    wmap.path("m.wmap").write_text("""wmap 1
index rank < 2
"k.{rank}" [e] <-> "k" [e] broadcast rank
"q" <-> "q"
""")
    r = wmap("run", "m.wmap", "-i", "in.safetensors", "-o", "out.safetensors")
    assert r.status == 1 and "differ" in r.err
    r = wmap("run", "m.wmap", "-i", "in.safetensors", "-o", "k.safetensors", "--only", "k")
    assert r.status == 1 and "differ" in r.err
    wmap.ok("run", "m.wmap", "-i", "in.safetensors", "-o", "q.safetensors", "--only", "q")
    assert read_safetensors(wmap.path("q.safetensors")) == {"q": ("U8", [4], b"abcd")}


def test_only_is_refused(copy):
    for template, parts in [
        ("lm_haed.weight", ["no tensor of the output", 'did you mean "lm_head.weight"?']),
        ("model.embed_tokens.weight", ["no tensor of the output"]),
        ("transformer.h.{i}.attn.{i}.weight", ["no tensor of the output"]),
        ("{x*}.{y*}", ["in two ways"]),
        ("a{", ["not closed"]),
        ("a}", ["not opened"]),
        ("{5}", ["a name stands in braces"]),
        ("{i:5}", ["in braces stand"]),
        ("{p in a||b}", ["empty"]),
        ("{i}.{i*}", ["different things"]),
        ("", ["a name is missing"]),
    ]:
        for command in ("plan", "verify", "run", "dump"):
            more = {"plan": [], "verify": ["-o", "lit"], "run": ["-o", "new"],
                    "dump": ["--stage", "plan"]}[command]
            refused(copy(command, "litgpt/llama", "-i", "tiny", "--only", template, *more), *parts)
    assert not copy.path("new").exists()
    # coverage of the input is asked for as ever
    copy.path("short.wmap").write_text('wmap 1\n"model.norm.weight" <-> "n"\n')
    r = copy("run", "short.wmap", "-i", "tiny", "-o", "new", "--only", "n")
    assert r.status == 1 and "E0602" in r.err


def test_only_traces(copy):
    args = ["-i", "tiny", "--only", "lm_head.weight"]
    assert "lm_head.weight[3, 5]" in copy.ok("trace", "litgpt/llama", *args,
                                             "lm_head.weight[3,5]").out
    refused(copy("trace", "litgpt/llama", *args, "transformer.wte.weight[3,5]"), "no tensor")
    refused(copy("trace", "litgpt/llama", *args, "model.norm.weight[3]"), "not used")


# ---- --part-spec ----

SPECS = {
    "f": (True, range(5), True),
    "b": (True, [], False),
    "e": (False, [], True),
    "b e": (True, [], True),
    "b 0-5 e": (True, range(5), True),
    "b 0-2": (True, [0, 1], False),
    "3-5 e": (False, [3, 4], True),
    "0-1 2-3 4-5": (False, [0, 2, 4], False),
    "  2-4\t0-1 ": (False, [0, 2, 3], False),
}


def parts_of(begin, mid, end):
    return ["begin.safetensors"] * begin + ["end.safetensors"] * end + [
        f"mid.{i:05}.safetensors" for i in mid]


@pytest.mark.parametrize("spec", SPECS)
def test_parts(deep, spec):
    """Written: these files, as in a whole run.  Read: what lies in them, and the others are gone."""
    begin, mid, end = SPECS[spec]
    names = sorted(parts_of(begin, mid, end))
    deep.ok("run", "parts.wmap", "-i", "deep", "-o", "whole")
    deep.ok("run", "parts.wmap", "-i", "deep", "-o", "part", "--part-spec", spec)
    assert files(deep, "part") == names
    for name in names:
        assert deep.path("part", ).joinpath(name).read_bytes() == deep.path("whole").joinpath(
            name).read_bytes()
    config = ["--config", "deep/config.json"]
    for out in ("part", "whole"):
        r = deep.ok("verify", "parts.wmap", "-i", "deep", "-o", out, "--part-spec", spec)
        assert r.out.count(" tensors are equal") == 2, r

    hf = read_safetensors(deep.path("deep/model.safetensors"))
    want = {k: v for k, v in hf.items()
            if ("embed" in k and begin) or (k in ("model.norm.weight", "lm_head.weight") and end)
            or any(k.startswith(f"model.layers.{i}.") for i in mid)}
    for source in ("part", "whole"):
        deep.ok("run", "--reverse", "parts.wmap", "-i", source, "-o", "back", "--force", *config,
                "--part-spec", spec)
        assert read_safetensors(deep.path("back/model.safetensors")) == want
        r = deep.ok("verify", "--reverse", "parts.wmap", "-i", source, "-o", "back", *config,
                    "--part-spec", spec)
        assert r.out.count(" tensors are equal") == 2, r
    if spec not in ("f", "b 0-5 e", "b e"):  # a rule with a capture asks for no layer
        r = deep("run", "--reverse", "parts.wmap", "-i", "part", "-o", "none", *config)
        assert r.status == 1 and "E0605" in r.err


def test_parts_and_only(deep):
    deep.ok("run", "parts.wmap", "-i", "deep", "-o", "some", "--part-spec", "1-3",
            "--only", "self_attn.q_proj.weight")
    assert files(deep, "some") == ["mid.00001.safetensors", "mid.00002.safetensors"]
    hf = read_safetensors(deep.path("deep/model.safetensors"))
    assert read_safetensors(deep.path("some/mid.00002.safetensors")) == {
        "self_attn.q_proj.weight": hf["model.layers.2.self_attn.q_proj.weight"]}
    refused(deep("run", "parts.wmap", "-i", "deep", "-o", "x", "--part-spec", "b",
                 "--only", "self_attn.q_proj.weight"), "no tensor")


def test_parts_through_a_second_map(deep):
    """Parts of one layout straight into another: the second map takes what there is."""
    deep.ok("run", "parts.wmap", "-i", "deep", "-o", "part", "--part-spec", "1-3")
    config = ["--config", "deep/config.json"]
    deep.ok("run", "~./parts.wmap >> litgpt/llama", "-i", "part", "-o", "lit2", *config,
            "--part-spec", "1-3")
    deep.ok("run", "litgpt/llama", "-i", "deep", "-o", "lit1")
    whole = read_safetensors(deep.path("lit1/model.safetensors"))
    got = read_safetensors(deep.path("lit2/model.safetensors"))
    assert got == {k: v for k, v in whole.items() if ".h.1." in k or ".h.2." in k}


def test_a_part_must_be_whole(deep):
    """A tensor that a selected part lacks is missing as ever."""
    deep.ok("run", "parts.wmap", "-i", "deep", "-o", "part", "--part-spec", "b 0-2")
    path = deep.path("part/mid.00001.safetensors")
    tensors = read_safetensors(path)
    del tensors["mlp.up_proj.weight"]
    write_safetensors(path, tensors)
    deep.path("named.wmap").write_text(PARTS.replace(
        '"model.layers.{layer}.{rest*}"  <-> "mid.{layer}.{rest}"',
        '"model.layers.{layer}.mlp.up_proj.weight" <-> "mid.{layer}.mlp.up_proj.weight"\n'
        '"model.layers.{layer}.{rest*}"  <-> "mid.{layer}.{rest}"'))
    r = deep("run", "--reverse", "named.wmap", "-i", "part", "-o", "x", "--config",
             "deep/config.json", "--part-spec", "b 0-2")
    assert r.status == 1 and "E0605" in r.err and "layer 1" in r.err and "layer 0" not in r.err, r
    path.unlink()
    refused(deep("run", "--reverse", "named.wmap", "-i", "part", "-o", "x", "--config",
                 "deep/config.json", "--part-spec", "b 0-2"), "no part mid.00001", "mid.00000")
    refused(deep("run", "--reverse", "named.wmap", "-i", "part", "-o", "x", "--config",
                 "deep/config.json", "--part-spec", "0-1 e"), "no part end")


@pytest.mark.parametrize("spec, part", [
    ("", "no part is named"),
    ("  ", "no part is named"),
    ("5", "write 5-6 for the layer 5 alone"),
    ("b 0-2 3", "write 3-4"),
    ("e 0-1", "stands last"),
    ("0-1 b", "stands first"),
    ("b b", "stands first"),
    ("f 0-1", "stands alone"),
    ("0-1 f", "stands alone"),
    ("b 1-2", "begins at 0"),
    ("3-3", "empty"),
    ("4-2", "empty"),
    ("1-", "none of b, e, f"),
    ("-1", "none of b, e, f"),
    ("1-2-3", "none of b, e, f"),
    ("begin", "none of b, e, f"),
    ("B", "none of b, e, f"),
    ("0-6", "no part mid.00005; the last layer is mid.00004"),
    ("0-99999999999999999", "no part mid.00005"),
    ("0-9999999999999999999999", "none of b, e, f"),
])
def test_part_specs_that_are_refused(deep, spec, part):
    refused(deep("run", "parts.wmap", "-i", "deep", "-o", "x", "--part-spec", spec), part)
    assert not deep.path("x").exists()


def test_parts_need_a_side_of_parts(deep):
    refused(deep("plan", "litgpt/llama", "-i", "deep", "--part-spec", "b"), "begin, mid.N and end")
    deep.ok("run", "parts.wmap", "-i", "deep", "-o", "part")
    refused(deep("plan", "~./parts.wmap", "-i", "part/begin.safetensors", "--part-spec", "b",
                 "--config", "deep/config.json"), "a directory")
