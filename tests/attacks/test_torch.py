"""`wmap inspect` on every row of the corpus of PyTorch files: the right verdict, one clear line, in time and memory,
nothing executed, nothing written; and on files with random changes: never anything but a verdict."""

import os
import random
import subprocess

import pytest

import corpus_torch as corpus

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WMAP = os.environ.get("WMAP_BIN", os.path.join(ROOT, "build", "release", "wmap"))
SECONDS = float(os.environ.get("WMAP_SECONDS", "4"))  # more for a build with sanitizers
GIB = float(os.environ.get("WMAP_GIB", "1"))  # the same
CASES = list(corpus.cases())


def inspect(path):
    """Status, standard error, seconds of processor time, peak memory in bytes."""
    run = subprocess.Popen([WMAP, "inspect", path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    err = run.stderr.read()
    _, status, usage = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    run.stderr.close()
    return run.returncode, err.decode("utf-8"), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


@pytest.mark.parametrize("name,build,status,needle", CASES, ids=[c[0][:60] for c in CASES])
def test_verdict(tmp_path, name, build, status, needle):
    path = build(str(tmp_path))
    before = sorted(os.listdir(tmp_path))
    code, err, took, memory = inspect(path)
    assert code == status, err[:3000]
    assert took < SECONDS
    assert memory < GIB * 2**30
    assert sorted(os.listdir(tmp_path)) == before, "something was written or executed"
    if status == 0:
        assert err == ""
        return
    lines = err.splitlines()
    assert len(lines) == 1 and len(lines[0].encode()) <= 2100
    assert path in lines[0], "the message names the file"
    assert needle is None or needle in lines[0]
    assert not any(ord(c) < 32 and c != "\n" or ord(c) == 127 for c in err)


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_random_changes(tmp_path, kind):
    """Flipped, cut, repeated and swapped bytes: accepted or refused, never a crash or a sanitizer's report."""
    value = corpus.D(("a", corpus.tensor(size=(2, 2), stride=(1, 2))), ("m", corpus.D(("b", corpus.tensor(key="1")))), ("n", corpus.N(7)))
    whole = corpus.torch_zip(value, {"0": corpus.DATA, "1": corpus.DATA}, end64=True) if kind == "zip" else \
        corpus.legacy(value, ("0", "1"), ((4, corpus.DATA), (4, corpus.DATA)))
    draw = random.Random(kind)
    path = str(tmp_path / "model.pth")
    seen = set()
    for _ in range(int(os.environ.get("WMAP_CHANGES", "150"))):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 1, 2, 4))):
            at = draw.randrange(len(data))
            how = draw.randrange(4)
            if how == 0:
                data[at] ^= 1 << draw.randrange(8)
            elif how == 1:
                data[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, ord("."), ord("("), ord("R")))
            elif how == 2:
                del data[at:at + draw.randrange(1, 9)]
            else:
                data[at:at] = data[at:at + draw.randrange(1, 9)]
        with open(path, "wb") as f:
            f.write(data)
        code, err, _, _ = inspect(path)
        assert code in (0, 2) and "anitizer" not in err and "runtime error" not in err, err[:3000]
        assert code == 0 or path in err
        seen.add(code)
    assert seen == {0, 2}


def test_the_corpus_is_large():
    assert len(CASES) >= 350
    assert len({c[0] for c in CASES}) == len(CASES)


def test_damaged_storage(tmp_path):
    """A bit of a storage that is not its check sum's: the run says which file and entry, and leaves nothing."""
    data = corpus.torch_zip(corpus.D(("a", corpus.tensor()), ("b", corpus.tensor(key="1"))), {"0": corpus.DATA, "1": corpus.DATA})
    at = data.rindex(corpus.DATA)
    path, out = tmp_path / "model.pth", tmp_path / "out.safetensors"
    (tmp_path / "identity.wmap").write_text('wmap 1\nmap identity "as it is"\n"{rest*}" <-> "{rest*}"\n')
    command = [WMAP, "run", tmp_path / "identity.wmap", "-i", path, "-o", out]
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
