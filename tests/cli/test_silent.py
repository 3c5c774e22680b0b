"""What OLMo-core's StateConverter does without a word, or tells by another name, wmap refuses: by code, before a byte is
written.  Where the library is installed, it is asked too, so that the list says what it really does."""

import json
import re
from dataclasses import dataclass, field

import pytest

from conftest import write_safetensors

ROW = 8  # bytes: two float32


@dataclass
class Case:
    """`source`: rows of each tensor.  `templates`: of StateMappingTemplate.  `peer`: rows of each of its outputs, or what
    its error says.  `map`: the same in wmap.  `check`, `run`: the codes that the two commands raise."""

    source: dict
    templates: list
    peer: object
    map: str
    check: list = field(default_factory=list)
    run: list = field(default_factory=list)
    config: dict = field(default_factory=dict)
    bounds: dict = field(default_factory=dict)
    half: tuple = ()  # of the source: float16


CASES = {
    "5 rows in 2 parts": Case(
        {"a": 5}, [("a", ("x", "y"))], {"x": 3, "y": 2},
        '"a" <-> chunk(0) <-> "x", "y"', run=["E0558"]),
    "5 rows in 2 parts, one-way": Case(
        {"a": 5}, [("a", ("x", "y"))], {"x": 3, "y": 2},
        '"a" -> chunk(0) -> "x", "y"', run=["E0558"]),
    "5 rows in 2 parts, by a pattern": Case(
        {"a": 5}, [("a", ("x", "y"))], {"x": 3, "y": 2},
        '"a" [(p f) e] <-> "{p in x|y}" [f e]', run=["E0608"]),
    "5 rows in 4 parts: 3 come": Case(
        {"a": 5}, [("a", ("w", "x", "y", "z"))], {"w": 2, "x": 2, "y": 1},
        '"a" <-> chunk(0) <-> "w", "x", "y", "z"', run=["E0558"]),
    "2 rows in 4 parts: 2 come": Case(
        {"a": 2}, [("a", ("w", "x", "y", "z"))], {"w": 1, "x": 1},
        '"a" <-> chunk(0) <-> "w", "x", "y", "z"', run=["E0558"]),
    "parts that cross the bounds of the sources": Case(
        {"a": 3, "b": 6}, [(("a", "b"), ("c", "d", "e"))], {"c": 3, "d": 3, "e": 3},
        '"a", "b" <-> concat(0) | chunk(0) <-> "c", "d", "e"', run=["E0558"]),
    "a destination twice": Case(
        {"a": 1, "b": 2}, [("a", "x"), ("b", "x")], {"x": 2},
        '"a" <-> "x"\n"b" <-> "x"', check=["E0311"], run=["E0311"]),
    "a destination twice, one-way": Case(
        {"a": 1, "b": 2}, [("a", "x"), ("b", "x")], {"x": 2},
        '"a" -> "x"\n"b" -> "x"', check=["E0614"], run=["E0614"]),
    "a destination twice, by a condition": Case(
        {"a": 1, "b": 2}, [("a", "x"), ("b", "x")], {"x": 2},
        'param both = true\n"a" -> "x"\n"b" -> "x" when both', run=["E0614"]),
    "both norms to one, as OLMo-core has it for OLMoE": Case(
        {"l.0.input_norm": 1, "l.0.post_norm": 2},
        [("l.[layer].input_norm", "b.[layer].attention_norm"), ("l.[layer].post_norm", "b.[layer].attention_norm")],
        {"b.0.attention_norm": 2},
        'index layer < config.num_hidden_layers\n'
        '"l.{layer}.input_norm" <-> "b.{layer}.attention_norm"\n"l.{layer}.post_norm" <-> "b.{layer}.attention_norm"',
        check=["E0311"], run=["E0311"], config={"num_hidden_layers": 1}, bounds={"[layer]": 1}),
    "a destination that nobody makes": Case(
        {"a": 2}, [("a", "x"), ("b", "y")], {"x": 2},
        '"a" <-> "x"\n"b" <-> "y"', run=["E0605"]),
    "a layer that lacks a tensor": Case(
        {"l.0.a": 1, "l.0.b": 1, "l.1.a": 1}, [("l.[layer].a", "m.[layer].a"), ("l.[layer].b", "m.[layer].b")],
        {"m.0.a": 1, "m.0.b": 1, "m.1.a": 1},
        'index layer < config.num_hidden_layers\n"l.{layer}.{p in a|b}" <-> "m.{layer}.{p}"',
        run=["E0605"], config={"num_hidden_layers": 2}, bounds={"[layer]": 2}),
    "one of two sources absent": Case(
        {"a": 2}, [(("a", "b"), "x")], r"not converted: \['a'\]",
        '"a", "b" <-> concat(0, [2, 2]) <-> "x"', run=["E0605", "E0602"]),
    "one of two sources absent, of an optional rule": Case(
        {"a": 2}, [(("a", "b"), "x")], r"not converted: \['a'\]",
        '"a", "b" <-> concat(0, [2, 2]) <-> "x" optional', run=["E0605", "E0602"]),
    "one expert absent": Case(
        {"e.1": 2}, [("e.[expert]", "x", "[expert]")], r"not converted: \['e.1'\]",
        'index expert < config.num_experts\n"e.{expert}" [f e] <-> "x" [(expert f) e]',
        run=["E0605", "E0602"], config={"num_experts": 2}, bounds={"[expert]": 2}),
    "one expert absent, the number taken from the keys": Case(
        {"e.1": 2}, [("e.[expert]", "x", "[expert]")], r"not converted: \['e.1'\]",
        'index expert in keys\n"e.{expert}" [f e] -> "x" [(expert f) e]',
        run=["E0324"], bounds={"[expert]": 2}),
    "a layer beyond the bound": Case(
        {"l.0": 1, "l.1": 1, "l.2": 1}, [("l.[layer]", "m.[layer]")], r"not converted: \['l.2'\]",
        'index layer < config.num_hidden_layers\n"l.{layer}" <-> "m.{layer}"',
        run=["E0602"], config={"num_hidden_layers": 2}, bounds={"[layer]": 2}),
    "sources that no template takes": Case(
        {"a": 1, "b": 1, "c": 1}, [("a", "x")], r"not converted: \['b', 'c'\]",
        '"a" <-> "x"', run=["E0602", "E0602"]),
    "a template dropped: its bound has another name": Case(
        {"e.0": 2, "e.1": 2}, [("e.[expert]", "x", "[expert]")], r"not converted: \['e.0', 'e.1'\]",
        'index expert < config.num_experts\n"e.{expert}" [f e] <-> "x" [(expert f) e]',
        run=["E0227"], config={"num_local_experts": 2}),
    "a template that can never match": Case(
        {"l.0": 1, "l.1": 1, "a": 1}, [("a", "x"), ("l.[layer]", "m")], r"not converted: \['l.0', 'l.1'\]",
        'index layer < config.num_hidden_layers\n"a" <-> "x"\n"l.{layer}" <-> "m"',
        check=["E0321"], run=["E0321"], config={"num_hidden_layers": 2}, bounds={"[layer]": 2}),
    "two data types in one tensor": Case(
        {"a": 1, "b": 1}, [(("a", "b"), "x")], {"x": 2},
        '"a", "b" <-> concat(0, [1, 1]) <-> "x"', run=["E0611"], half=("b",)),
}


@pytest.fixture
def arranged(case, wmap):
    wmap.path("in").mkdir()
    tensors = {key: ("F16" if key in case.half else "F32", [rows, 2], bytes(rows * ROW // (1 + (key in case.half))))
               for key, rows in case.source.items()}
    write_safetensors(wmap.path("in/model.safetensors"), tensors)
    wmap.path("in/config.json").write_text(json.dumps({"model_type": "x", **case.config}))
    wmap.path("m.wmap").write_text(f"wmap 1\n{case.map}\n")
    return wmap


def codes(r):
    return re.findall(r"error\[(E\d{4})\]", r.err)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_wmap_tells(case, arranged):
    r = arranged("check", "m.wmap")
    assert (codes(r), r.status) == (case.check, 1 if case.check else 0), r
    for command in (["plan", "m.wmap", "-i", "in"], ["run", "m.wmap", "-i", "in", "-o", "out"]):
        r = arranged(*command)
        assert (codes(r), r.status) == (case.run, 1), r
    assert not arranged.path("out").exists()
    told = arranged("run", "m.wmap", "-i", "in", "-o", "out", "--json").json()
    assert [d["code"] for d in told["diagnostics"]] == case.run


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_the_peer_does(case):
    torch = pytest.importorskip("torch")
    pytest.importorskip("olmo_core")
    from olmo_core.nn.conversion.state_converter import StateConverter
    from olmo_core.nn.conversion.state_mapping import StateMappingTemplate, TemplatePlaceholder

    state = {key: torch.zeros(rows, 2, dtype=torch.float16 if key in case.half else torch.float32)
             for key, rows in case.source.items()}
    templates = [StateMappingTemplate(t[0], t[1], source_key_per_placeholder=TemplatePlaceholder(t[2]) if t[2:] else None)
                 for t in case.templates]
    bounds = {TemplatePlaceholder(p): n for p, n in case.bounds.items()}
    convert = StateConverter(templates).convert
    if isinstance(case.peer, str):
        with pytest.raises(RuntimeError, match=case.peer):
            convert(state, bounds)
    else:
        assert {key: len(t) for key, t in convert(state, bounds).items()} == case.peer


def test_the_other_side_tells_what_nobody_makes(wmap):
    """A map that forgets a tensor of the target: its way back meets it, and so does `diff`."""
    write_safetensors(wmap.path("hf.safetensors"), {"a": ("F32", [2], bytes(8))})
    write_safetensors(wmap.path("core.safetensors"), {"x": ("F32", [2], bytes(8)), "y": ("F32", [2], bytes(8))})
    wmap.path("m.wmap").write_text('wmap 1\n"a" <-> "x"\n')
    r = wmap("plan", "--reverse", "m.wmap", "-i", "core.safetensors")
    assert (codes(r), r.status) == (["E0602"], 1) and "UNEXPECTED y:" in r.err
    wmap.ok("run", "m.wmap", "-i", "hf.safetensors", "-o", "made.safetensors")
    r = wmap("diff", "made.safetensors", "core.safetensors")
    assert r.status == 1 and re.search(r"^\w+ +y\b", r.out, re.M), r


def test_a_torn_rule_is_not_a_missing_rule(wmap):
    """Of a rule that lacks one source, the other is not said to be unknown to the map."""
    write_safetensors(wmap.path("in.safetensors"), {"a": ("F32", [2], bytes(8)), "c": ("F32", [2], bytes(8))})
    wmap.path("m.wmap").write_text('wmap 1\n"a", "b" <-> concat(0, [2, 2]) <-> "x"\n')
    r = wmap("plan", "m.wmap", "-i", "in.safetensors")
    assert "UNEXPECTED a: the rule that names it lacks other tensors" in r.err
    assert "UNEXPECTED c: no rule of m.wmap names it" in r.err
