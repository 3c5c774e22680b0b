"""`root` behind a file line: where in a container that nests the tensors lie."""

import pytest

from conftest import write_safetensors

MAP = """wmap 1
%s { file "in.%s" root "model" }
"{x*}" <-> "{x}"
"""


@pytest.fixture
def one(wmap):
    write_safetensors(wmap.path("in.safetensors"), {"w": ("U8", [2], b"ab")})
    return wmap


def test_a_format_that_does_not_nest(one):
    one.path("read.wmap").write_text(MAP % ("source", "safetensors"))
    one.path("write.wmap").write_text(MAP % ("target", "safetensors"))
    one.path("here").mkdir()
    one.path("in.safetensors").rename(one.path("here/in.safetensors"))
    for args in (["read.wmap", "-i", "here"], ["read.wmap", "-i", "here/in.safetensors"],
                 ["write.wmap", "-i", "here"]):
        r = one("run", *args, "-o", "out")
        assert r.status == 2 and '"model"' in r.err and "does not nest" in r.err, r
        assert not one.path("out").exists()


def test_one_root_for_a_side(wmap):
    for lines, part in [
        ('file "a" holds "a.{x*}" root "m" file "b" holds "{x*}" root "n"', 'another has "m"'),
        ('file "a" holds "a.{x*}" root "m" file "b" holds "{x*}"', 'another has "m"'),
        ('file "a" holds "a.{x*}" file "b" holds "{x*}" root "n"', "another has none"),
        ('file "a" root ""', "empty root"),
    ]:
        wmap.path("m.wmap").write_text('wmap 1\ntarget { %s }\n"{x*}" <-> "{x}"\n' % lines)
        r = wmap("check", "m.wmap")
        assert r.status == 1 and "E0334" in r.err and part in r.err, r
    wmap.path("m.wmap").write_text('wmap 1\nsource { file "a" root "m" }\n'
                                   'target { file "a" root "n" }\n"{x*}" <-> "{x}"\n')
    wmap.ok("check", "m.wmap")
