"""Distributed checkpoints that are not what they say."""

import json
import os
import struct
import subprocess

import pytest

import attack
import corpus_dcp as corpus

CASES = list(corpus.cases())


@pytest.mark.parametrize("name,build,status,needle", CASES, ids=[c[0][:60] for c in CASES])
def test_verdict(tmp_path, name, build, status, needle):
    attack.verdict(tmp_path, build(str(tmp_path)), status, needle)


def test_random_changes(tmp_path):
    path = corpus.Checkpoint().write(str(tmp_path))
    attack.random_changes(path, os.path.join(path, ".metadata"), "dcp")


def test_the_corpus_is_large():
    assert len(CASES) >= 90
    assert len({c[0] for c in CASES}) == len(CASES)


def test_elements_count_in_the_whole(tmp_path):
    """inspect --json lists the parts; trace names elements of the whole tensor, from both sides."""
    path = corpus.Checkpoint().write(str(tmp_path))
    identity = tmp_path / "identity.wmap"
    identity.write_text('wmap 1\nmap identity "as it is"\n"{rest*}" <-> "x.{rest}"\n')

    def wmap(*args, status=0):
        run = subprocess.run([attack.WMAP, *args], capture_output=True, text=True)
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
