"""mini, diff --maps, check --config, and what plan warns of."""

import json
import re
import struct

import pytest

from conftest import ROOT, names_of, read_safetensors, write_safetensors

MAPS = sorted(str(p.relative_to(ROOT / "stdlib-maps").with_suffix(""))
              for p in (ROOT / "stdlib-maps").glob("*/*.wmap") if p.parent.name != "common"
              and p.stem not in ("dumped", "nested"))  # files of one system to files of it: tests/peers

# Every construct of the language once, with both directions to go.
TEXTS = {
    "patterns": """
        index expert in keys
        index layer < 3
        source { alias "head" = "embed" when config.tied ?? true }
        fill 1.0 F32 <-> "ones" [n] where n = 6
        "zeros" [n] <-> fill 0 F32 where n = 5
        "experts.{expert}.w" [f e] <-> "w" [expert e f]
        "k" [(g d) e] <-> "k" [(g rep d) e] where g = 2, rep = 3, d = 5 broadcast rep
        "kk" [(g rep d) e] <-> "kk" [(g d) e] where g = 2, rep = 3, d = 5 broadcast rep
        "vocab" [v e] <-> "vocab" [(v + p) e] where v = 11, p = 3 pad p = 0
        "short" [(v + p) e] <-> "short" [v e] where v = 11, p = 3 pad p = 0
        "embed" <-> "embed"
        "head" <-> "head"
        "l.{layer}.{rest*}" <-> "layers.{layer}.{rest*}"
    """,
    "operations": """
        let h = 4
        let d = 3
        "a" <-> transpose(0, 1) <-> "a"
        "b0", "b1", "b2" <-> concat(0, [2, 3, 5]) <-> "b"
        "c" <-> unflatten(0, [h, -1, d]) | permute(1, 0, 2, 3) | flatten(0, 2, [-1, h, d]) <-> "c"
        "n" <-> cast(bf16, f32) <-> "n"
        "l" <-> lossy cast(f32, bf16) <-> "l"
        "m" <-> lossy mul(0.5) | lossy add(1.0) <-> "m"
        "r" <-> repeat_interleave(0, 3) <-> "r"
        "e.{i in x|y|z}" <-> stack(0) <-> "e"
        "s" <-> split(1, [4, 2]) <-> "s0", "s1"
        "p" <-> pad(0, 5, 8, 0) <-> "p"
    """,
    "ranks": """
        param tp = 4
        param m = 2
        let g = config.num_key_value_heads
        let heads = config.num_attention_heads
        let d = config.head_dim
        index rep < m
        index slot < tp / m
        index rank = (rep slot)
        target { file "model.rank{rank:02}.safetensors" }
        "q" [(slot l rep r d) e] <-> "q" [(l r d) e] where l = g * m / tp, r = heads / (g * m)
        "k" [(slot l d) e]       <-> "k" [(l d) e]   where l = g * m / tp broadcast rep
    """,
    "shards": """
        param ep = 2
        param tp = 3
        let d = 5
        index er < ep
        index tr < tp
        index layer < 2
        source {
          file "experts.{er:02}.safetensors" holds "layers.{layer}.experts.{name*}"
          file "dense.{tr:02}.safetensors"   holds "{name*}"
        }
        shard er on source { "{rest*}" split 0 }
        shard tr on source {
          "{m*}.{p in q|k|v}.weight" split 0 unit d
          "{m*}.o.weight"            split 1 unit d
          "embed"                    split 0 size 11 pad 12 fill 0
          "{rest*}"                  replicate
        }
        "layers.{layer}.experts.w"             <-> "l.{layer}.w"
        "layers.{layer}.{p in q|k|v|o}.weight" <-> "l.{layer}.{p}"
        "embed"                                <-> "embed"
        "norm"                                 <-> "norm"
    """,
    "composite_ranks": """
        index stage < 2
        index part < 3
        index rank = (stage part)
        index layer < 4
        target { format pth file "r{rank:02}.pth" root "model" }
        shard stage on target { "l.{layer}.{x*}" at floor_div(layer, 2)
                                "{rest*}" replicate }
        shard part on target { "{x*}.w" split 0
                               "{rest*}" replicate }
        "{rest*}" <-> "{rest}"
    """,
    "conditions": """
        param wide = false "rows of three"
        index layer < config.depth
        let kind = config.kinds[layer]
        if kind == "attention" { "l.{layer}.a" <-> "x.{layer}.a" }
        else if layer < config.first_mlp { "l.{layer}.b" <-> "x.{layer}.b" }
        else { "l.{layer}.c" <-> "x.{layer}.c" }
        if wide && config.mode == "deep" { "w" <-> "w3" } else { "w" <-> "w" }
    """,
}


def write_map(wmap, text, name="m.wmap"):
    wmap.path(name).write_text(f"wmap 1\nmap test\n{text}")
    return "./" + name


# ---- mini ----

@pytest.mark.parametrize("name", MAPS)
def test_shipped_maps(wmap, name):
    """Each is converted there and back, and no change of it that alters a result goes unnoticed."""
    got = wmap("mini", name, "--mutate", "--json").json()
    # a map that is another one with arguments need not use all rules of that
    own_rules = "<->" in (ROOT / f"stdlib-maps/{name}.wmap").read_text()
    assert got["schema"] == "wmap.mini/1" and (got["status"] == 0 or not own_rules)
    assert (got["unused"] == [] or not own_rules) and got["sets"] and (got["mutants"] or "sepweight" in name or name.endswith(("ep_plan", "tp_plan")))  # renames only
    for s in got["sets"]:
        assert s["way_back"] and s["differ"] == s["missing"] == 0, s
        assert s["equal"] + s["lossy"] + s["not_carried"] == s["input"] > 0, s
    assert not own_rules or not [m for m in got["mutants"] if m["fate"] == "unused"]


@pytest.mark.parametrize("name", MAPS)
def test_shipped_maps_are_quiet_under_settings(wmap, name):
    wmap("mini", name, "-o", "keep")
    config = next(wmap.path("keep").rglob("config.json"))
    r = wmap.ok("check", name, "--config", config)
    assert r.err == "" and r.out.endswith(": sound\n"), r


@pytest.mark.parametrize("way", ["", "~"])
@pytest.mark.parametrize("name", sorted(TEXTS))
def test_constructs(wmap, name, way):
    got = wmap.ok("mini", way + write_map(wmap, TEXTS[name]), "--json").json()
    assert got["unused"] == [], got
    for s in got["sets"]:
        assert s["equal"] == s["input"] > 0, s


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_mutants_of_constructs(wmap, name):
    got = wmap.ok("mini", write_map(wmap, TEXTS[name]), "--mutate", "--json").json()
    assert {m["fate"] for m in got["mutants"]} <= {"check", "bind", "run", "result"}, got["mutants"]


def test_sets_use_all_rules(wmap):
    """Conditions over several settings at once: each arm is used by some set."""
    got = wmap.ok("mini", write_map(wmap, TEXTS["conditions"]), "--json").json()
    assert got["unused"] == []
    assert any("wide=true" in s["settings"] and 'mode="deep"' in s["settings"] for s in got["sets"])


def test_elements_and_sizes_differ(wmap):
    wmap.ok("mini", "meta/llama", "-o", "keep")
    root = wmap.path("keep/1")
    tensors = read_safetensors(root / "input/model.safetensors")
    assert read_safetensors(root / "back/model.safetensors") == tensors
    values = [v for dtype, _, data in tensors.values()
              for v in struct.unpack(f"<{len(data) // 4}f", data) if dtype == "F32"]
    assert len(values) == len(set(values)) > 1000
    for dtype, shape, _ in tensors.values():
        assert len(set(shape)) == len(shape) and 1 not in shape
    assert names_of(wmap, root / "output") != set(tensors)
    assert json.loads((root / "input/config.json").read_text())["num_attention_heads"] > 1


def test_keep_needs_a_new_directory(wmap):
    m = write_map(wmap, '"a" <-> "b"')
    wmap.ok("mini", m, "-o", "keep")
    r = wmap("mini", m, "-o", "keep")
    assert r.status == 2 and "keep: can't make the directory" in r.err, r
    assert sorted(p.name for p in wmap.path("keep").iterdir()) == ["back", "input", "output"]


def test_nothing_is_left_behind(wmap):
    tmp = wmap.path("tmp")
    tmp.mkdir()
    wmap.ok("mini", "litgpt/llama", env={"TMPDIR": str(tmp)})
    wmap.ok("mini", write_map(wmap, TEXTS["shards"]), env={"TMPDIR": str(tmp)})
    assert list(tmp.iterdir()) == []


def test_one_line_a_stage(wmap):
    out = wmap.ok("mini", write_map(wmap, 'let h = config.heads\n"a" [(h d)] <-> "b" [h d]')).out
    assert [line.split()[0] for line in out.splitlines()] == ["settings", "input", "forward", "back", "compare",
                                                             "rules"]
    assert re.search(r"^settings +heads=\d+$", out, re.M)
    assert "1 of 1 tensors came back to the bit" in out and "1 of 1 are used" in out


def test_seed(wmap):
    m = write_map(wmap, '"a" <-> "b"')
    for seed in ("0", "7"):
        wmap.ok("mini", m, "-o", seed, "--seed", seed)
    a, b = (read_safetensors(wmap.path(s) / "input/model.safetensors")["a"] for s in "07")
    assert a[:2] == b[:2] and a[2] != b[2]
    assert wmap("mini", m, "--seed", "x").status == 2


def test_given_settings_are_kept(wmap):
    m = write_map(wmap, 'param n = 2\nlet h = config.heads\n"a" [(h n d)] <-> "b" [h n d]')
    wmap.path("c.json").write_text('{"heads": 14, "vocab": 3}')
    wmap.ok("mini", m, "--config", "c.json", "-D", "n=9", "-o", "keep")
    assert read_safetensors(wmap.path("keep/output/model.safetensors"))["b"][1][:2] == [14, 9]
    assert json.loads(wmap.path("keep/input/config.json").read_text())["vocab"] == 3


def test_no_settings_found(wmap):
    m = write_map(wmap, 'let n = config.rows / 1009\n"a" [(n m)] <-> "b" [n m] where m = 1009')
    r = wmap("mini", m)
    assert r.status == 1 and "error[E0647]" in r.err and "config.rows" in r.err, r
    wmap.path("c.json").write_text('{"rows": 2018}')
    wmap.ok("mini", m, "--config", "c.json")


def test_one_way_rules(wmap):
    out = wmap.ok("mini", write_map(wmap, '"a" -> "b"')).out
    assert "the map has no way back" in out
    out = wmap.ok("mini", write_map(wmap, '"a" -> "b"\n"c" <-> "d"')).out
    assert "1 of one-way rules did not come" in out
    r = wmap("mini", "~" + write_map(wmap, '"a" -> "b"'))
    assert r.status == 1 and "E0647" in r.err, r


def test_lossy_rules_may_change(wmap):
    out = wmap.ok("mini", write_map(wmap, '"a" <-> lossy exp <-> "a"\n"b" <-> "b"')).out
    assert "1 of 2 tensors came back to the bit, 1 of lossy rules changed" in out


def test_compositions(wmap):
    shards = write_map(wmap, TEXTS["shards"])
    for spec in ("~litgpt/llama >> olmo_core/llama", "litgpt/llama >> ~litgpt/llama",
                 f"{shards}(tp = 2) >> ~{shards}(tp = 3)"):
        got = wmap.ok("mini", spec, "--json").json()
        assert got["unused"] == [] and all(s["equal"] == s["input"] for s in got["sets"]), got


@pytest.mark.parametrize("spec", ["~litgpt/llama >> sepweight/llama", "~meta/llama >> sepweight/llama"])
def test_compositions_with_captures(wmap, spec):
    """What the second map takes under any name, the first one makes where its rules are not optional."""
    got = wmap.ok("mini", spec, "--json").json()
    assert got["sets"] and all(s["equal"] == s["input"] > 0 and s["way_back"] for s in got["sets"]), got


def test_stages_without_layers_tell_what_they_are(wmap):
    """Ranks and layout are read from the metadata of a stage that has a layer."""
    wmap.ok("gen", "--family", "llama", "-o", "in")
    wmap.ok("run", "neuron/llama", "-i", "in", "-o", "shards", "-D", "pp=5", "-D", "tp=4", "-D", "fuse_qkv=true")
    wmap.ok("run", "~neuron/llama", "-i", "shards", "-o", "back", "--config", "in/config.json")
    wmap.ok("diff", "in", "back")


PARAMS = [("meta/llama", "version=9", "version in [1, 2, 3]"), ("meta/llama", "tp=0", "tp >= 1"),
          ("neuron/llama", "kv_size_multiplier=-1", "kv_size_multiplier >= 0"),
          ("tt_train/llama", "weight_tying=yes", '["as config", "enabled", "disabled"]'),
          ("megatron/mixtral_stages", "ep=0", "ep >= 1"), ("vllm/llama", "tp=-2", "tp >= 1")]


@pytest.mark.parametrize("name, given, takes", PARAMS)
def test_parameters_of_shipped_maps_say_what_they_take(wmap, name, given, takes):
    for args in ([name, "-D", given], [f"{name}({given.replace('yes', chr(34) + 'yes' + chr(34))})", "-D", "no=1"]):
        r = wmap("check", *args)
        assert r.status == 1 and "error[E0239]" in r.err and takes in r.err and "E0647" not in r.err, r


def test_choices_of_parameters_are_searched(wmap):
    """mini takes values that a parameter may have, all of them where rules hang on them."""
    m = write_map(wmap, """
        param kind = "one" where kind in ["one", "two", "three"] "of what"
        param n = 2 where n % 2 == 0 && n > 0
        "a.{k}" [(n e)] <-> "x.{k}" [n e] when kind == "one"
        "b.{k}" [(n e)] <-> "x.{k}" [n e] when kind != "one"
        index k < 2""")
    got = wmap.ok("mini", m, "--json").json()
    assert got["unused"] == [] and not any('"other"' in s["settings"] for s in got["sets"]), got
    assert "where kind in" in wmap.ok("invert", m).out and "let kind" in wmap.ok("invert", f'{m}(kind = "two")').out


@pytest.mark.parametrize("given, code", [("tp=two", "E0234"), ("pt=2", "E0241"), ("tp=99999999999999999999", "E0234")])
def test_what_is_given_wrong_is_not_searched_for(wmap, given, code):
    for command in ("mini", "check"):
        r = wmap(command, "meta/llama", "-D", given)
        assert r.status == 1 and f"error[{code}]" in r.err and r.err.count("error[") == 1, r


def test_unused_rules_are_told_and_their_mutants_survive(wmap):
    m = write_map(wmap, '"a" <-> "b"\nif config.x > 3 && config.x < 3 { "c" [n k] <-> "d" [k n] }')
    r = wmap.ok("mini", m)
    assert "1 of 2 are used" in r.out and "no settings use the rule at ./m.wmap:4:35" in r.out, r
    r = wmap("mini", m, "--mutate")
    assert r.status == 1 and "survives:" in r.out, r


def test_mutants_name_the_place(wmap):
    m = write_map(wmap, '"a" [(h two) e] <-> "a" [(two h) e] where two = 2')
    got = wmap.ok("mini", m, "--mutate", "--json").json()["mutants"]
    by = {(x["where"], x["what"]): x["fate"] for x in got}
    assert by["./m.wmap:3:5", "axes h and two exchanged"] == "result"
    assert by["./m.wmap:3:6", "two dropped from a product"] == "check"
    assert any(what == "3 instead of 2" and fate == "bind" for (_, what), fate in by.items())


# ---- maps against each other ----

def test_same_function(wmap):
    a = write_map(wmap, 'let h = config.heads\n"x" [(h two i) e] <-> "y" [(h i two) e] where two = 2', "a.wmap")
    b = write_map(wmap, 'let h = config.heads\n"x" <-> unflatten(0, [h, 2, -1]) | transpose(1, 2)\n'
                        '    | flatten(0, 2, [h, -1, 2]) <-> "y"', "b.wmap")
    r = wmap.ok("diff", "--maps", a, b)
    assert "the same function: 1 of 1 tensors out agree" in r.out, r
    assert wmap.ok("diff", "--maps", a, b, "--json").json()["equal"]
    wmap.ok("diff", "--maps", "litgpt/llama", "~~litgpt/llama")


def test_smallest_element_and_both_rules(wmap):
    a = write_map(wmap, '"x" [(h two i) e] <-> "y" [(h i two) e] where two = 2, h = 3', "a.wmap")
    b = write_map(wmap, '\n"x" [(h i two) e] <-> "y" [(h two i) e] where two = 2, h = 3', "b.wmap")
    write_safetensors(wmap.path("in.safetensors"), {"x": ("U8", [18, 2], bytes(range(36)))})
    r = wmap("diff", "--maps", a, b, "-i", "in.safetensors")
    assert r.status == 1
    assert "y[1,0] comes from elsewhere\n  A: x[3,0], by ./a.wmap:3:1\n  B: x[2,0], by ./b.wmap:4:1\n" in r.out, r
    got = wmap("diff", "--maps", a, b, "-i", "in.safetensors", "--json").json()
    assert got["status"] == 1 and not got["equal"]
    assert got["different"] == [{"name": "y", "what": "element", "element": 2, "a": "x[3,0]", "b": "x[2,0]",
                                 "rule_a": "./a.wmap:3:1", "rule_b": "./b.wmap:4:1"}]


def test_tensors_of_one_map_only_and_forms(wmap):
    a = write_map(wmap, '"m" <-> "only_a"\n"p" <-> "p"\n"c" <-> cast(bf16, f32) <-> "c"\n"k" <-> "k"', "a.wmap")
    b = write_map(wmap, '"m" <-> "only_b"\n"p" <-> unsqueeze(0) <-> "p"\n"c" <-> "c"\n"k" <-> "k"', "b.wmap")
    r = wmap("diff", "--maps", a, b)
    assert r.status == 1
    for line in ("MISSING     only_a, by ./a.wmap:3:1", "UNEXPECTED  only_b, by ./b.wmap:3:1",
                 "p: its shape differs", "c: its type differs", "1 of 5 tensors out agree"):
        assert line in r.out, r


def test_constants_and_values_differ(wmap):
    a = write_map(wmap, '"v" [n] <-> "v" [(n + p)] where n = 3, p = 2 pad p = 0\n"s" <-> lossy mul(2.0) <-> "s"', "a.wmap")
    b = write_map(wmap, '"v" [n] <-> "v" [(n + p)] where n = 3, p = 2 pad p = 1\n"s" <-> lossy mul(3.0) <-> "s"', "b.wmap")
    got = wmap("diff", "--maps", a, b, "--json").json()
    assert [(d["name"], d["element"]) for d in got["different"]] == [("v", 3), ("s", 0)]


def test_all_branches_are_compared(wmap):
    """The maps differ only where a setting is not at its default."""
    text = 'if config.flag ?? false {{ "a" [n k] <-> "b" [{}] }} else {{ "a" <-> "c" }}'
    a = write_map(wmap, text.format("k n"), "a.wmap")
    b = write_map(wmap, text.format("n k"), "b.wmap")
    r = wmap("diff", "--maps", a, b)
    assert r.status == 1 and "settings: flag=true" in r.out, r


def test_diff_maps_usage(wmap):
    a = write_map(wmap, '"a" <-> "b"', "a.wmap")
    b = write_map(wmap, '"c" <-> "b"', "b.wmap")
    assert wmap("diff", a, b, "-D", "x=1").status == 2
    r = wmap("diff", "--maps", a, b)
    assert r.status == 1 and "E0605" in r.err, r


# ---- lints ----

def plan(wmap, text, tensors, *args):
    write_safetensors(wmap.path("in.safetensors"),
                      {n: ("U8", shape, bytes(eval("*".join(map(str, shape))))) for n, shape in tensors.items()})
    r = wmap.ok("plan", write_map(wmap, text), "-i", "in.safetensors", *args)
    return re.findall(r"warning\[(W\d+)\]", r.err), r


@pytest.mark.parametrize("text, shape, warns", [
    ('"w" [i o] <-> "w" [o i]', [6, 6], True),
    ('"w" [i o] <-> "w" [o i]', [6, 5], False),
    ('"w" [i o] <-> "w" [o i]', [1, 1], False),
    ('"w" [i o] <-> "v" [i o]', [6, 6], False),        # nothing is exchanged
    ('"w" <-> "v"', [6, 6], False),                    # no orientation at all
    ('let i = 6\n"w" [i o] <-> "w" [o i]', [6, 6], False),
    ('"w" [i o] <-> "w" [o i] where i = 6, o = 6', [6, 6], False),
    ('"w" [(h i) o] <-> "w" [(i h) o] where h = 2', [12, 6], False),
    ('"w" [(h i) o] <-> "w" [h o i] where h = 2', [12, 6], True),
])
def test_axes_of_equal_size(wmap, text, shape, warns):
    codes, r = plan(wmap, text, {"w": shape})
    assert codes == (["W0437"] if warns else []), r
    if warns:
        assert "where " in r.err and "`i` and `o` are both 6" in r.err


def test_stacked_experts_of_equal_size(wmap):
    codes, r = plan(wmap, 'index expert < 2\n"e.{expert}.w" [f e] <-> "w" [expert e f]',
                    {"e.0.w": [6, 6], "e.1.w": [6, 6]})
    assert codes == ["W0437"], r


def test_only_where_it_is_asked_for(wmap):
    plan(wmap, '"w" [i o] <-> "w" [o i]', {"w": [6, 6]})
    assert wmap.ok("run", "./m.wmap", "-i", "in.safetensors", "-o", "out").err.count("W0437") == 0


SHARDED = """param tp = 2
index rank < tp
target {{ file "m.{{rank}}.safetensors" }}
shard rank on target {{ "{{rest*}}" {} }}
{}
"""
HEADS = '"q" [(heads d) e] <-> "q" [(heads d) e] where heads = 6'
PAIR = '"{p in gate|up}" [f] <-> "x" [(p f)]'
TURNED = '"{p in gate|up}" [f] <-> "x" [(f p)]'
FUSED = '"q" [q], "k" [k] <-> "x" [(q + k)] where q = 24, k = 12'
GROUPS = '"q" [(g r d)], "k" [(g d)] <-> "x" [(g (r + s) d)] where g = 6, r = 3, s = 1, d = 2'


@pytest.mark.parametrize("line, rule, tensors, tp, cut", [
    ("split 0", HEADS, {"q": [24, 2]}, 2, None),
    ("split 0", HEADS, {"q": [24, 2]}, 3, None),
    ("split 0", HEADS, {"q": [24, 2]}, 4, ("cut at 6 of dimension 0", "4 entries")),
    ("split 1", HEADS, {"q": [24, 8]}, 4, None),                       # another dimension
    ("split 0", PAIR, {"gate": [12], "up": [12]}, 2, ("cut at 12", "24 entries")),
    ("split 0", PAIR, {"gate": [12], "up": [12]}, 4, ("cut at 6", "12 entries")),
    ("split 0 parts 2", PAIR, {"gate": [12], "up": [12]}, 4, None),
    ("split 0", TURNED, {"gate": [12], "up": [12]}, 4, None),
    ("split 0", TURNED, {"gate": [12], "up": [12]}, 8, ("cut at 3", "2 entries")),
    ("split 0", FUSED, {"q": [24], "k": [12]}, 3, ("cut at 12", "36 entries")),
    ("split 0 parts [24, 12]", FUSED, {"q": [24], "k": [12]}, 3, None),
    ("split 0", '"a" <-> "b"', {"a": [12, 2]}, 4, None),               # no pattern
    ("replicate", HEADS, {"q": [24, 2]}, 4, None),
])
def test_cuts(wmap, line, rule, tensors, tp, cut):
    codes, r = plan(wmap, SHARDED.format(line, rule), tensors, "-D", f"tp={tp}")
    assert codes == (["W0731"] if cut else []), r
    if cut:
        assert cut[0] in r.err and cut[1] in r.err, r


def test_cuts_of_what_is_read(wmap):
    text = SHARDED.format("split 0", HEADS)
    plan(wmap, text, {"q": [24, 2]}, "-D", "tp=4")
    wmap.ok("run", "./m.wmap", "-i", "in.safetensors", "-o", "ranks", "-D", "tp=4")
    r = wmap.ok("plan", "~./m.wmap", "-i", "ranks", "-D", "tp=4")
    assert "W0731" in r.err and "cut at 6" in r.err, r


def test_check_under_settings(wmap):
    m = write_map(wmap, SHARDED.format("split 0", HEADS + ", d = 4"))
    assert wmap.ok("check", m).err == ""
    assert wmap.ok("check", m, "-D", "tp=3").err == ""
    assert "W0731" in wmap.ok("check", m, "-D", "tp=4").err
    r = wmap("check", m, "-D", "tp=5")
    assert r.status == 1 and "E0727" in r.err, r


def test_check_with_a_configuration(wmap):
    m = write_map(wmap, 'let h = config.width / config.heads\n"a" [(g h)] <-> "b" [g h]')
    wmap.path("c.json").write_text('{"width": 4096, "heads": 32}')
    wmap.ok("check", m, "--config", "c.json")
    wmap.path("c.json").write_text('{"width": 4096, "heads": 33}')
    r = wmap("check", m, "--config", "c.json")
    assert r.status == 1 and "E0224" in r.err, r


def test_shipped_maps_are_quiet_on_square_matrices(wmap):
    """Where a map turns matrices round that may be square, it says their sizes."""
    wmap.ok("gen", "--family", "gpt2", "-o", "gpt2")
    assert wmap.ok("plan", "nanogpt/gpt2", "-i", "gpt2").err == ""
