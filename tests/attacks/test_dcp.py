"""`wmap inspect` on every row of the corpus of distributed checkpoints: the right verdict, one clear line, in time and
memory, nothing executed, nothing written; and on random changes of the metadata: never anything but a verdict."""

import json
import os
import random
import struct
import subprocess

import pytest

import corpus_dcp as corpus
from test_torch import GIB, SECONDS, WMAP, inspect

CASES = list(corpus.cases())


@pytest.mark.parametrize("name,build,status,needle", CASES, ids=[c[0][:60] for c in CASES])
def test_verdict(tmp_path, name, build, status, needle):
    path = build(str(tmp_path))
    before = sorted(os.listdir(tmp_path)), sorted(os.listdir(path))
    code, err, took, memory = inspect(path)
    assert code == status, err[:3000]
    assert took < SECONDS
    assert memory < GIB * 2**30
    assert (sorted(os.listdir(tmp_path)), sorted(os.listdir(path))) == before, "something was written or executed"
    if status == 0:
        assert err == ""
        return
    lines = err.splitlines()
    assert len(lines) == 1 and len(lines[0].encode()) <= 2100
    assert path in lines[0], "the message names the directory"
    assert needle is None or needle in lines[0], lines[0]


def test_random_changes(tmp_path):
    """Flipped, cut, repeated and swapped bytes of the metadata: accepted or refused, never a crash or a report."""
    path = corpus.Checkpoint().write(str(tmp_path))
    metadata = os.path.join(path, ".metadata")
    with open(metadata, "rb") as f:
        whole = f.read()
    draw = random.Random("dcp")
    seen = set()
    for _ in range(int(os.environ.get("WMAP_CHANGES", "150"))):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 1, 2))):
            at = draw.randrange(len(data))
            how = draw.randrange(4)
            if how == 0:
                data[at] ^= 1 << draw.randrange(8)
            elif how == 1:
                data[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, ord("."), ord("("), ord("R"), ord("b")))
            elif how == 2:
                del data[at:at + draw.randrange(1, 9)]
            else:
                data[at:at] = data[at:at + draw.randrange(1, 9)]
        with open(metadata, "wb") as f:
            f.write(data)
        code, err, _, _ = inspect(path)
        assert code in (0, 2) and "anitizer" not in err and "runtime error" not in err, err[:3000]
        assert code == 0 or path in err
        seen.add(code)
    assert seen == {0, 2}


def test_the_corpus_is_large():
    assert len(CASES) >= 90
    assert len({c[0] for c in CASES}) == len(CASES)


def test_elements_count_in_the_whole(tmp_path):
    """inspect --json lists the parts; trace names elements of the whole tensor, from both sides."""
    path = corpus.Checkpoint().write(str(tmp_path))
    identity = tmp_path / "identity.wmap"
    identity.write_text('wmap 1\nmap identity "as it is"\n"{rest*}" <-> "x.{rest}"\n')

    def wmap(*args, status=0):
        run = subprocess.run([WMAP, *args], capture_output=True, text=True)
        assert run.returncode == status, run.stderr
        return run

    tensor = json.loads(wmap("inspect", path, "--json").stdout)["tensors"][0]
    assert [(p["file"], p["start"], p["shape"]) for p in tensor["parts"]] == \
        [("__0_0.distcp", [0, 0], [4, 4]), ("__1_0.distcp", [0, 4], [4, 2])]
    with open(os.path.join(path, tensor["parts"][1]["file"]), "rb") as f:
        f.seek(tensor["parts"][1]["offset"])
        assert f.read(32) == struct.pack("<8f", *range(8))
    for element, other in (("x.a[3, 5]", "a[3, 5]"), ("a[3, 5]", "x.a[3, 5]"), ("a[0, 0]", "x.a[0, 0]")):
        assert other in wmap("trace", identity, "-i", path, element).stdout
    assert "outside dimension 1" in wmap("trace", identity, "-i", path, "a[3, 6]", status=2).stderr
    wmap("run", identity, "-i", path, "-o", tmp_path / "out.safetensors")
    data = (tmp_path / "out.safetensors").read_bytes()
    row = [struct.pack("<4f", *range(4 * k, 4 * k + 4)) + struct.pack("<2f", *range(2 * k, 2 * k + 2)) for k in range(4)]
    assert b"".join(row) in data
