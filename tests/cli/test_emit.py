"""emit: small JSON files that go with the output."""

import json
import shutil

import pytest

CONFIG = {"model_type": "example", "hidden_size": 64, "tied": False, "eps": 1e-5, "theta": 500000.0, "none": None,
          "sizes": [1, 2.5, "x"], "rope": {"type": "llama3", "factor": 8.0, "deep": [{"a": 1}]},
          "big": 2 ** 53, "text": "caf\u00e9 \"\\\n"}


@pytest.fixture
def emit(wmap):
    """emit(items of the target) -> (result, directory of the output)"""
    wmap.ok("gen", "--family", "llama", "-o", "in")
    wmap.path("in/config.json").write_text(json.dumps(CONFIG))

    def run(items, *options, statements="", side="target", status=0):
        wmap.path("m.wmap").write_text(f'wmap 1\n{statements}\n{side} {{ {items} }}\n"{{rest*}}" <-> "x.{{rest}}"\n')
        r = wmap("run", "m.wmap", "-i", "in", "-o", "out", *options)
        assert r.status == status, r
        assert status == 0 or not wmap.path("out").exists()
        return r, wmap.path("out")

    return run


FIELDS = [
    ("a = 1", {"a": 1}),
    ("", {}),
    ("a = 1, b = 2 c = 3,", {"a": 1, "b": 2, "c": 3}),
    ("a = config.hidden_size * 4", {"a": 256}),
    ("a.b.c = 1, a.b.d = 2, a.e = 3", {"a": {"b": {"c": 1, "d": 2}, "e": 3}}),
    ("a.if = 1, a.index = 2, file = 3", {"a": {"if": 1, "index": 2}, "file": 3}),
    ("a = [1, [2, 3], [], \"x\", true, 0.5]", {"a": [1, [2, 3], [], "x", True, 0.5]}),
    ("a = config.sizes, b = config.rope", {"a": [1, 2.5, "x"], "b": {"type": "llama3", "factor": 8.0, "deep": [{"a": 1}]}}),
    ("a = null, b = 1", {"a": None, "b": 1}),
    ("a = config.none, b = config.absent ?? null, c = config.none ?? 3", {"c": 3}),
    ("a.b = null, a.c = 1", {"a": {"b": None, "c": 1}}),
    ("a = true, b = false, c = config.tied", {"a": True, "b": False, "c": False}),
    ("a = config.text, b = \"q\\\"\\\\\\n\\u{e9}\"", {"a": CONFIG["text"], "b": "q\"\\\n\u00e9"}),
    ("a = 9223372036854775807, b = config.big", {"a": 2 ** 63 - 1, "b": 2 ** 53}),
    ("a = -9223372036854775807 - 1", {"a": -(2 ** 63)}),
    ("a = 9007199254740993, b = [9007199254740993]", {"a": 2 ** 53 + 1, "b": [2 ** 53 + 1]}),
    ("a = config.eps, b = config.theta, c = 0.1", {"a": 1e-5, "b": 5e5, "c": 0.1}),
    ("a = config.hidden_size == 64 ? \"yes\" : null, b = false ? 1 : null", {"a": "yes"}),
    ("A = 1, a = 2", {"A": 1, "a": 2}),
]


@pytest.mark.parametrize("fields, want", FIELDS, ids=lambda x: x if isinstance(x, str) else "")
def test_fields(emit, fields, want):
    _, out = emit(f'emit "p.json" {{ {fields} }}')
    text = (out / "p.json").read_text()
    got = json.loads(text)
    assert got == want and text.endswith("}\n")
    # true is no 1; an integral float may be written as an integer
    assert {k for k, v in got.items() if isinstance(v, bool)} == {k for k, v in want.items() if isinstance(v, bool)}


BIG = ["9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808"]
ODD = ["1000000000000000019884624838656", "-18446744073709551616", "1e400", "0.1000", "1E-7", "4096.0", "-0.0"]


def test_numbers_are_copied_as_written(emit, wmap):
    """Integers of 64 bits are exact, as values and inside of what is copied whole; what 64 bits do not hold is copied,
    and an error where it is used."""
    raw = ", ".join(BIG + ODD)
    wmap.path("c.json").write_text('{"model_type": "example", "big": [%s], "all": {"list": [%s]}, "huge": %s, "odd": 1e400}'
                                   % (", ".join(BIG), raw, ODD[0]))
    _, out = emit('emit "p.json" { big = config.big, next = config.big[0] + 1, all = config.all, huge = config.huge, '
                  'same = config.big[0] == 9007199254740993, other = config.big[0] == 9007199254740992 }',
                  "--config", "c.json")
    text = (out / "p.json").read_text()
    got = json.loads(text, parse_int=str, parse_float=str)
    assert got == {"big": BIG, "next": "9007199254740994", "all": {"list": BIG + ODD}, "huge": ODD[0], "same": True,
                   "other": False}
    shutil.rmtree(out)
    for use in ("config.huge + 1", "config.odd * 2", "config.huge < 3", "max(config.odd, 1)"):
        r, _ = emit(f'emit "p.json" {{ a = {use} }}', "--config", "c.json", status=1)
        assert "E0217" in r.err and "a number that does not fit in 64 bits" in r.err, r


def test_large_integers_are_checked_to_the_last_digit(emit, wmap):
    emit('emit "p.json" { a = 9007199254740993, b = 0.5 } checked')
    wmap.ok("run", "--reverse", "m.wmap", "-i", "out", "-o", "back")
    wmap.path("out/p.json").write_text('{"a": 9007199254740993, "b": 5e-1}')
    wmap.ok("run", "--reverse", "m.wmap", "-i", "out", "-o", "again")
    wmap.path("out/p.json").write_text('{"a": 9007199254740992, "b": 0.5}')
    r = wmap("run", "--reverse", "m.wmap", "-i", "out", "-o", "bad")
    assert r.status == 1 and "a is 9007199254740992, but by the map it is 9007199254740993" in r.err, r


@pytest.mark.parametrize("name", ["../p.json", "/p.json", "", ".", "..", "a/../../p.json", "a//b.json"])
def test_names_that_leave_the_directory(emit, name):
    r, _ = emit(f'emit "{name}" {{ a = 1 }}', status=1)
    assert "E0634" in r.err and "not a plain file name" in r.err


@pytest.mark.parametrize("fields", ["a = 1, a = 2", "a.b = 1, a = 2", "a = 1, a.b = 2", "a.b = 1, a.b = 2"])
def test_a_field_stands_once(emit, fields):
    r, _ = emit(f'emit "p.json" {{ {fields} }}', status=1)
    assert "E0203" in r.err and "stands twice" in r.err


def test_two_files_and_a_folder(emit):
    _, out = emit('emit "a.json" { a = 1 } emit "sub/b.json" { b = 2 }')
    assert json.loads((out / "a.json").read_text()) == {"a": 1}
    assert json.loads((out / "sub/b.json").read_text()) == {"b": 2}


def test_one_name_is_written_once(emit):
    for items in ('emit "a.json" { a = 1 } emit "a.json" { b = 2 }', 'emit "model.safetensors" { a = 1 }',
                  'carry "config.json" emit "config.json" { a = 1 }'):
        r, _ = emit(items, status=1)
        assert "E0203" in r.err and "is a file of the output already" in r.err


def test_values_of_the_map(emit):
    _, out = emit('emit "p.json" { ranks = tp, half = half, n = len([1, 2]) }', "-D", "tp=4",
                  statements="param tp = 1\nlet half = config.hidden_size / 2")
    assert json.loads((out / "p.json").read_text()) == {"ranks": 4, "half": 32, "n": 2}


@pytest.mark.parametrize("field, code", [("a = config.hidden_size / 3", "E0224"), ("a = config.absent + 1", "E0227"),
                                         ("a = nothing", "E0205"), ("a = 9223372036854775807 + 1", "E0221")])
def test_errors_in_fields(emit, field, code):
    assert code in emit(f'emit "p.json" {{ {field} }}', status=1)[0].err


def test_emit_belongs_to_its_side(emit, wmap):
    """Written with the side that is written, and by neither way with the other."""
    _, out = emit('emit "p.json" { a = 1 }', side="source")
    assert not (out / "p.json").exists()
    wmap.ok("run", "--reverse", "m.wmap", "-i", "out", "-o", "back")
    assert json.loads(wmap.path("back/p.json").read_text()) == {"a": 1}


def test_plan_and_a_second_run_agree(emit, wmap):
    """The bytes are those of the plan: the same in every run."""
    _, out = emit('emit "p.json" { b = 1, a = config.rope }')
    wmap.ok("run", "m.wmap", "-i", "in", "-o", "again")
    assert (out / "p.json").read_bytes() == wmap.path("again/p.json").read_bytes()


def test_metas_params(wmap):
    """meta/llama writes Meta's params.json; what the configuration lacks is left out, wherever rope_theta stands."""
    wmap.ok("gen", "--family", "llama", "-o", "in")
    wmap.ok("run", "meta/llama", "-i", "in", "-o", "out")
    config = json.loads(wmap.path("in/config.json").read_text())
    want = {"dim": 64, "n_layers": 2, "n_heads": 8, "n_kv_heads": 2, "vocab_size": 320, "norm_eps": 1e-5,
            "rope_theta": 10000}
    assert json.loads(wmap.path("out/params.json").read_text()) == want
    for key in ("rms_norm_eps", "rope_theta", "vocab_size"):
        del config[key]
    config["rope_parameters"] = {"rope_theta": 500000.0}
    wmap.path("c.json").write_text(json.dumps(config))
    wmap.ok("run", "meta/llama", "-i", "in", "-o", "new", "--config", "c.json")
    del want["norm_eps"], want["vocab_size"]
    assert json.loads(wmap.path("new/params.json").read_text()) == {**want, "rope_theta": 500000}


def test_when(emit):
    _, out = emit('emit "a.json" { a = 1 } when !config.tied emit "b.json" { b = 1 } when 1 == 2 '
                  'carry "config.json" when false')
    assert sorted(p.name for p in out.iterdir()) == ["a.json", "model.safetensors"]


def test_used_maps(emit, wmap):
    """use brings what a family emits; its parameters are the user's, and a file of one's own replaces the family's."""
    wmap.path("family.wmap").write_text('''wmap 1
map family
param n = 1
target { emit "a.json" { n = n } emit "b.json" { n = n } }
"{rest*}" <-> "x.{rest}"
''')
    wmap.path("user.wmap").write_text('''wmap 1
map user
import "family.wmap" as f
let five = 5
use f
target { emit "b.json" { own = true } }
map of_five = user(n = five)
''')
    emit('emit "c.json" { a = 1 }')
    for spec, more, want in [("user.wmap", (), 1), ("user.wmap", ("-D", "n=3"), 3), ("./user.wmap(n = 4)", (), 4),
                             ("./user.wmap:of_five", (), 5)]:
        wmap.ok("run", spec, "-i", "in", "-o", "used", "--force", *more)
        assert json.loads(wmap.path("used/a.json").read_text()) == {"n": want}
        assert json.loads(wmap.path("used/b.json").read_text()) == {"own": True}
    assert "E0241" in wmap("run", "./user.wmap(m = 4)", "-i", "in", "-o", "bad").err


def test_lists_over_an_index(emit):
    """A field that names an index, itself or through a let, is the list over its values."""
    _, out = emit('emit "p.json" { local = local, twice = 2 * layer, one = tp }',
                  statements="param tp = 1\nindex layer in [0, 1, 5]\nlet local = layer % 2 == 0 ? 1 : 0")
    assert json.loads((out / "p.json").read_text()) == {"local": [1, 0, 0], "twice": [0, 2, 10], "one": 1}


def test_numbers_are_numbers_to_yaml(emit):
    """YAML 1.1 takes 1e-06 for a string; nothing makes an object but a field that is there."""
    _, out = emit('emit "p.yaml" { a = 1e-6, b = 1.5e300, c = 0.1, d = 3.0, e.f = config.none ?? null, g = 1.0 / 3.0 }')
    text = (out / "p.yaml").read_text()
    assert json.loads(text) == {"a": 1e-6, "b": 1.5e300, "c": 0.1, "d": 3, "g": 1 / 3}
    assert all("." in word for word in text.replace(",", " ").split() if "e" in word and word[0].isdigit())
