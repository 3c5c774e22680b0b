"""Scales of quantised weights where lines say too little: on one side only, or not of all that is written."""

import pytest

from conftest import write_safetensors

LINE = 'scales "{m*}.scale" of "{m*}.weight" blocks [2, 2]'
BYTES = {"a.weight": ("U8", [4, 2], bytes(range(8))), "a.scale": ("F32", [2, 1], bytes(8))}


def go(w, text, tensors=BYTES):
    w.path("m.wmap").write_text("wmap 1\nmap m\n" + text)
    write_safetensors(w.path("in.safetensors"), tensors)
    return w("run", "./m.wmap", "-i", "in.safetensors", "-o", "out.safetensors")


@pytest.mark.parametrize("side", ["source", "target"])
def test_one_side(wmap, side):
    wmap.path("m.wmap").write_text(f'wmap 1\nmap m\n{side} {{ {LINE} }}\n"{{rest*}}" <-> "{{rest}}"\n')
    r = wmap("check", "m.wmap")
    assert r.status == 1 and "m.wmap:3:10: error[E0444]: the other side has no scales line" in r.err, r
    wmap.path("m.wmap").write_text(f'wmap 1\nmap m\n{side} {{ {LINE} dequant bf16 }}\n"{{rest*}}" <-> "{{rest}}"\n')
    assert wmap("check", "m.wmap").status == 0


def test_one_side_in_a_used_map(wmap):
    """What a used map says counts for the side."""
    wmap.path("f.wmap").write_text(f'wmap 1\nmap f\nsource {{ {LINE} }}\ntarget {{ {LINE} }}\n"a.{{x*}}" <-> "a.{{x}}"\n')
    wmap.path("m.wmap").write_text('wmap 1\nmap m\nimport "f.wmap" as f\nuse f\n"b.{x*}" <-> "b.{x}"\n')
    assert wmap("check", "m.wmap").status == 0


REFUSED = {
    "without": ('source { %s ignore "a.scale" }\ntarget { %s }\n"a.weight" <-> "a.weight"\n',
                "`a.weight` is made of `a.weight`, whose scales are `a.scale`, and is written without scales"),
    "twice": ('source { %s }\ntarget { %s }\n"a.{t in weight|scale}" <-> "a.{t}"\n"a.weight" -> "b.w"\n',
              "`b.w` is made of `a.weight`, whose scales are `a.scale`, and is written without scales"),
    "unsaid": ('source { %s }\ntarget { %s }\n"a.{t in weight|scale}" <-> "a.{t}"\n"a.scale" -> "b"\n',
               "`b` holds scales of `a.weight`, and no scales line of the side that is written says of what there"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_written_where_no_line_speaks(wmap, name):
    text, said = REFUSED[name]
    r = go(wmap, text.replace("%s", LINE))
    assert r.status == 1 and "E0654" in r.err and said in r.err and not wmap.path("out.safetensors").exists(), r


def test_not_quantised(wmap):
    """Lines of both sides ask nothing of weights without scales."""
    text = f'source {{ {LINE} }}\ntarget {{ {LINE} }}\n"{{rest*}}" <-> "{{rest}}"\n'
    assert go(wmap, text, {"a.weight": BYTES["a.weight"]}).status == 0
