"""msgpack files that are not what they say."""

import os
import subprocess

import pytest

import attack
import corpus_msgpack as corpus

CASES = list(corpus.cases())


@pytest.mark.parametrize("name,build,status,needle", CASES, ids=[c[0][:60] for c in CASES])
def test_verdict(tmp_path, name, build, status, needle):
    attack.verdict(tmp_path, build(str(tmp_path)), status, needle)


def sound():
    return corpus.tt([corpus.f32(), b"\x01", corpus.f64()] * 12, shape=corpus.dims(1, 1, 1, 36),
                     more=[(corpus.text("n"), corpus.array_of()), (corpus.text("s"), corpus.pair(7, corpus.text("x" * 90)))])


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_cut_anywhere(tmp_path, cut):
    """A sound file without its end is malformed, wherever it was cut."""
    whole = sound()
    path = tmp_path / "model.msgpack"
    path.write_bytes(whole[:min(cut, len(whole) - 1)])
    attack.verdict(tmp_path, str(path), 2, None)


def test_random_changes(tmp_path):
    path = tmp_path / "model.msgpack"
    path.write_bytes(sound())
    attack.random_changes(str(path), path, "msgpack")


def test_no_object_was_loaded():
    assert not os.path.exists("/tmp/wmap-was-here")


def test_memory_is_bounded(tmp_path):
    """400 MB of numbers are listed in an address space of 64 MB."""
    path = tmp_path / "model.msgpack"
    head = b"\x81" + corpus.text("w/data") + b"\x92\x0a\xdd" + (400_000_000).to_bytes(4, "big")
    with open(path, "wb") as f:
        f.write(head)
        f.truncate(len(head) + 400_000_000)  # zeros are numbers
    run = subprocess.run(["sh", "-c", f'ulimit -v 65536; exec "{attack.WMAP}" inspect "{path}"'], capture_output=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert b"400000000" in run.stdout


def test_the_corpus_is_large():
    assert len(CASES) >= 100
    assert len({c[0] for c in CASES}) == len(CASES)
