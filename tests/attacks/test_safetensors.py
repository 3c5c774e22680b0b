"""`wmap inspect` on every row of the corpus: the right verdict, one clear line, in time."""

import os
import subprocess
import time

import pytest

import corpus_safetensors as corpus

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WMAP = os.environ.get("WMAP_BIN", os.path.join(ROOT, "build", "release", "wmap"))
SECONDS = float(os.environ.get("WMAP_SECONDS", "2"))  # more for a build with sanitizers
CASES = list(corpus.cases())


@pytest.mark.parametrize("name,build,status,needle", CASES, ids=[c[0][:60] for c in CASES])
def test_verdict(tmp_path, name, build, status, needle):
    path = build(str(tmp_path))
    began = time.monotonic()
    run = subprocess.run([WMAP, "inspect", path], stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    took = time.monotonic() - began
    err = run.stderr.decode("utf-8")
    assert run.returncode == status, err[:3000]
    assert took < SECONDS
    if status == 0:
        assert err == ""
        return
    lines = err.splitlines()
    assert lines and len(lines[0].encode()) <= 2100
    shown = path.encode("unicode_escape").decode().replace("\\n", "\\x0a")
    assert shown.rstrip("/") in lines[0], "the message names the file"
    assert needle is None or needle in lines[0]
    assert not any(ord(c) < 32 and c != "\n" or ord(c) == 127 for c in err)


def test_the_corpus_is_large():
    assert len(CASES) >= 120
    assert len({c[0] for c in CASES}) == len(CASES)
