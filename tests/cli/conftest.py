"""The command line end to end.  WMAP_BIN names the binary (default: build/release/wmap)."""

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = os.path.abspath(os.environ.get("WMAP_BIN", ROOT / "build/release/wmap"))

# A sanitizer's report is a status of its own, never mistaken for one of wmap's.
ENV = {**os.environ, "ASAN_OPTIONS": "exitcode=99:" + os.environ.get("ASAN_OPTIONS", "")}


class Result:
    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout.decode(errors="replace")
        self.raw = done.stdout
        self.err = done.stderr.decode(errors="replace")

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"status {self.status}\n--- out\n{self.out}\n--- err\n{self.err}"


class Wmap:
    """wmap(...) runs it in a directory of its own and gives status, standard output and error."""

    def __init__(self, cwd, env=None):
        self.cwd = Path(cwd)
        self.env = env or {}

    def __call__(self, *args, stdin=None, env=None):
        return Result(subprocess.run([BIN, *map(str, args)], cwd=self.cwd, capture_output=True,
                                     input=stdin, env={**ENV, **self.env, **(env or {})}, timeout=120))

    def ok(self, *args, **kw):
        r = self(*args, **kw)
        assert r.status == 0, r
        return r

    def path(self, name):
        return self.cwd / name


def contents(path):
    """Of a file, or of all files of a directory."""
    if path.is_file():
        return path.read_bytes()
    return {p.name: p.read_bytes() for p in sorted(path.iterdir())}


@pytest.fixture
def wmap(tmp_path):
    return Wmap(tmp_path)


def safetensors_maps(place):
    """litgpt/llama with a target of safetensors, which shards, indexes and streams: tests read it without torch."""
    maps = ROOT / "stdlib-maps"
    text = (maps / "litgpt/llama.wmap").read_text()
    lines = '  format pth\n  file   "lit_model.pth"\n'
    assert lines in text
    for name, text in [("litgpt/llama.wmap", text.replace(lines, "  format safetensors\n")),
                       ("common/litgpt.wmap", (maps / "common/litgpt.wmap").read_text())]:
        (place / name).parent.mkdir(parents=True)
        (place / name).write_text(text)
    return {"WMAP_PATH": str(place)}


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Checkpoints that many tests read: `tiny` (llama) and `lit`, what litgpt/llama makes of it."""
    w = Wmap(tmp_path_factory.mktemp("models"), safetensors_maps(tmp_path_factory.mktemp("maps")))
    w.ok("gen", "--family", "llama", "-o", "tiny")
    w.ok("run", "litgpt/llama", "-i", "tiny", "-o", "lit")
    return w


@pytest.fixture
def copy(models, tmp_path):
    """The same, in a directory that the test may change."""
    shutil.copytree(models.cwd, tmp_path, dirs_exist_ok=True)
    return Wmap(tmp_path, models.env)


def names_of(w, path):
    """Names of the tensors of a checkpoint of any format."""
    return {t["name"] for t in w.ok("inspect", path, "--json").json()["tensors"]}


def read_safetensors(path):
    """name -> (dtype, shape, bytes)"""
    data = Path(path).read_bytes()
    (n,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8:8 + n])
    return {k: (v["dtype"], v["shape"], data[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]])
            for k, v in head.items() if k != "__metadata__"}


def write_safetensors(path, tensors):
    """tensors: name -> (dtype, shape, bytes)"""
    head, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text
                           + b"".join(t[2] for t in tensors.values()))
