"""PyTorch files that are not what they say, or that want to be executed."""

import os
import subprocess

import pytest

import attack
import corpus_torch as corpus

CASES = list(corpus.cases())


@pytest.mark.parametrize("name,build,status,needle", CASES, ids=[c[0][:60] for c in CASES])
def test_verdict(tmp_path, name, build, status, needle):
    attack.verdict(tmp_path, build(str(tmp_path)), status, needle)


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_random_changes(tmp_path, kind):
    value = corpus.D(("a", corpus.tensor(size=(2, 2), stride=(1, 2))), ("m", corpus.D(("b", corpus.tensor(key="1")))), ("n", corpus.N(7)))
    whole = corpus.torch_zip(value, {"0": corpus.DATA, "1": corpus.DATA}, end64=True) if kind == "zip" else \
        corpus.legacy(value, ("0", "1"), ((4, corpus.DATA), (4, corpus.DATA)))
    path = tmp_path / "model.pth"
    path.write_bytes(whole)
    attack.random_changes(str(path), path, kind)


def test_the_corpus_is_large():
    assert len(CASES) >= 350
    assert len({c[0] for c in CASES}) == len(CASES)


def test_damaged_storage(tmp_path):
    """A bit of a storage that is not its check sum's: the run says which file and entry, and leaves nothing."""
    data = corpus.torch_zip(corpus.D(("a", corpus.tensor()), ("b", corpus.tensor(key="1"))), {"0": corpus.DATA, "1": corpus.DATA})
    at = data.rindex(corpus.DATA)
    path, out = tmp_path / "model.pth", tmp_path / "out.safetensors"
    (tmp_path / "identity.wmap").write_text('wmap 1\nmap identity "as it is"\n"{rest*}" <-> "{rest*}"\n')
    command = [attack.WMAP, "run", tmp_path / "identity.wmap", "-i", path, "-o", out]
    path.write_bytes(data)
    assert subprocess.run(command, capture_output=True).returncode == 0
    out.unlink()
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
    before = sorted(os.listdir(tmp_path))
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1 and str(path) in run.stderr and "data/1" in run.stderr and "CRC-32" in run.stderr
    assert sorted(os.listdir(tmp_path)) == before
    assert subprocess.run([*command, "--trust-checksums"], capture_output=True).returncode == 0
