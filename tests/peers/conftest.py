"""Peer tests: wmap against the code of the systems whose layouts it converts.

A test makes a small model with random weights (models.py), saves it as Hugging Face does, lets the
peer's own code (or a formula in numpy) make the reference, and compares `wmap run` to the byte,
forwards and back. What a test needs is imported at the top of its file: an environment that lacks a
peer fails, it never skips.

WMAP_BIN names the binary (default: build/release/wmap), setup.sh makes the environment."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import pytest
import safetensors.torch
import torch

ROOT = Path(__file__).resolve().parents[2]
MAPS = ROOT / "stdlib-maps"

torch.set_num_threads(1)


def load(path):
    """All tensors of a safetensors or .pth file, or of those in a directory."""
    path = Path(path)
    files = sorted([*path.glob("*.safetensors"), *path.glob("*.pth")]) if path.is_dir() else [path]
    assert files, f"no checkpoint file in {path}"
    tensors = {}
    for file in files:
        if file.suffix == ".pth":
            part = torch.load(file, weights_only=True)
        else:
            part = safetensors.torch.load_file(file)
        assert not part.keys() & tensors.keys(), f"{file} repeats tensors"
        tensors.update(part)
    return tensors


def save(tensors, path):
    """As the safetensors library writes it; tied tensors become two."""
    tensors = {k: v.detach().clone().contiguous() for k, v in tensors.items()}
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})


def same_zip(got, want):
    """The same entries in the same places; only the serialization id is not torch's."""
    with zipfile.ZipFile(got) as a, zipfile.ZipFile(want) as b:
        assert a.testzip() is None
        for x, y in zip(a.infolist(), b.infolist(), strict=True):
            assert (x.filename, x.header_offset, x.file_size) == (y.filename, y.header_offset, y.file_size)
            if not x.filename.endswith("/.data/serialization_id"):
                assert a.read(x) == b.read(y), x.filename
    one, other = Path(got).read_bytes(), Path(want).read_bytes()
    start = one.index(b"/.data/serialization_id")
    assert one[:start] == other[:start] and len(one) == len(other)


def bits(tensor):
    """The tensor's bytes as it would be stored; NaNs and signed zeros count."""
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8) if flat.numel() else flat


def assert_same(got, want):
    """Same names, types, shapes and bytes."""
    assert sorted(got) == sorted(want)
    for key, tensor in want.items():
        assert got[key].dtype == tensor.dtype, key
        assert got[key].shape == tensor.shape, key
        assert torch.equal(bits(got[key]), bits(tensor)), f"{key}: other values"


class Wmap:
    """The command, run in a directory of the test's own."""

    def __init__(self, binary, directory):
        self.binary = binary
        self.directory = directory

    def __call__(self, *args, status=0):
        command = [str(self.binary), *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == status, (
            f"{' '.join(command)}\nstatus {done.returncode}, expected {status}\n"
            f"{done.stdout}{done.stderr}"
        )
        return done

    def check(self, name, source, want, *options, back=None):
        """Convert `source` (a directory as Hugging Face saves it) by the map `name`, compare with
        the tensors `want` and return to the source, or to the tensors `back` where the way back is
        not the way it came.

        A reference that is one file must be that file to the byte, as the safetensors library
        writes it."""
        there = self.directory / "there"
        again = self.directory / "again"
        reference = self.directory / "reference.safetensors"
        for old in (there, again):
            shutil.rmtree(old, ignore_errors=True)

        self("run", name, "-i", source, "-o", there, *options)
        assert_same(load(there), want)
        if (there / "model.safetensors").exists():
            save(want, reference)
            assert (there / "model.safetensors").read_bytes() == reference.read_bytes()
        assert (there / "config.json").read_bytes() == (source / "config.json").read_bytes()
        verified = self("verify", name, "-i", source, "-o", there, *options).stdout
        assert ("lossy" in verified) == (back is not None)

        self("run", "--reverse", name, "-i", there, "-o", again, *options)
        inverse = self.directory / "inverse.wmap"
        inverse.write_text(self("invert", name).stdout)
        by_text = self.directory / "by_text.safetensors"
        self("run", inverse, "-i", there, "-o", by_text, *options)
        assert by_text.read_bytes() == (again / "model.safetensors").read_bytes()

        if back is not None:
            assert_same(load(again), back)
            return there
        assert_same(load(again), load(source))
        one = source / "model.safetensors"
        if one.exists():
            assert (again / "model.safetensors").read_bytes() == one.read_bytes()
        return there


@pytest.fixture(scope="session")
def binary():
    path = Path(os.environ.get("WMAP_BIN", ROOT / "build/release/wmap")).resolve()
    assert path.exists(), f"{path} is not built; WMAP_BIN names another"
    return path


@pytest.fixture
def wmap(binary, tmp_path, monkeypatch):
    monkeypatch.setenv("WMAP_PATH", str(MAPS))
    return Wmap(binary, tmp_path)
