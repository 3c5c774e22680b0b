"""`wmap inspect` on every row of the corpus of msgpack files: the right verdict, one clear line, in time."""

import os
import resource
import subprocess

import pytest

import corpus_msgpack as corpus

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WMAP = os.environ.get("WMAP_BIN", os.path.join(ROOT, "build", "release", "wmap"))
SECONDS = float(os.environ.get("WMAP_SECONDS", "2"))  # more for a build with sanitizers
CASES = list(corpus.cases())


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def inspect(path):
    return subprocess.run([WMAP, "inspect", path], stdin=subprocess.DEVNULL, capture_output=True, timeout=30)


@pytest.mark.parametrize("name,build,status,needle", CASES, ids=[c[0][:60] for c in CASES])
def test_verdict(tmp_path, name, build, status, needle):
    path = build(str(tmp_path))
    began = processor_seconds()
    run = inspect(path)
    took = processor_seconds() - began
    err = run.stderr.decode("utf-8")
    assert run.returncode == status, err[:3000]
    assert took < SECONDS
    if status == 0:
        assert err == ""
        return
    lines = err.splitlines()
    assert lines and len(lines[0].encode()) <= 2100
    assert path in lines[0], "the message names the file"
    assert needle is None or needle in lines[0]
    assert not any(ord(c) < 32 and c != "\n" or ord(c) == 127 for c in err)


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_cut_anywhere(tmp_path, cut):
    """A sound file without its end is malformed, wherever it was cut."""
    whole = corpus.tt([corpus.f32(), b"\x01", corpus.f64()] * 12, shape=corpus.dims(1, 1, 1, 36),
                      more=[(corpus.text("n"), corpus.array_of()), (corpus.text("s"), corpus.pair(7, corpus.text("x" * 90)))])
    if cut >= len(whole):
        cut = len(whole) - 1
    path = tmp_path / "model.msgpack"
    path.write_bytes(whole[:cut])
    run = inspect(str(path))
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1


def test_no_object_was_loaded():
    assert not os.path.exists("/tmp/wmap-was-here")


def test_memory_is_bounded(tmp_path):
    """400 MB of numbers are listed in an address space of 64 MB."""
    path = tmp_path / "model.msgpack"
    head = b"\x81" + corpus.text("w/data") + b"\x92\x0a\xdd" + (400_000_000).to_bytes(4, "big")
    with open(path, "wb") as f:
        f.write(head)
        f.truncate(len(head) + 400_000_000)  # zeros are numbers
    run = subprocess.run(["sh", "-c", f'ulimit -v 65536; exec "{WMAP}" inspect "{path}"'], capture_output=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert b"400000000" in run.stdout


def test_the_corpus_is_large():
    assert len(CASES) >= 100
    assert len({c[0] for c in CASES}) == len(CASES)
