"""What the tests of examples/ share: checkpoints as plain numpy arrays, and the command.

A checkpoint is {file: {key: array}}. The dtype of an array is its bits: uint16 stands for BF16, so that copies are
compared to the bit."""

import json
import os
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"float32": "F32", "uint16": "BF16", "uint8": "U8"}
KINDS = {text: np.dtype(kind) for kind, text in NAMES.items()}
ONE = "model.safetensors"


def write(path, tensors):
    header, data = {}, b""
    for key in sorted(tensors):
        raw = np.ascontiguousarray(tensors[key]).tobytes()
        header[key] = {"dtype": NAMES[str(tensors[key].dtype)], "shape": list(tensors[key].shape),
                       "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def read(path):
    raw = path.read_bytes()
    (n,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + n])
    header.pop("__metadata__", None)
    tensors = {}
    for key, entry in header.items():
        a, b = entry["data_offsets"]
        tensors[key] = np.frombuffer(raw[8 + n + a:8 + n + b], KINDS[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def same(directory, files):
    """The directory holds these files and no others, with the same tensors to the byte."""
    assert sorted(p.name for p in directory.glob("*.safetensors")) == sorted(files)
    for name, want in files.items():
        got = read(directory / name)
        assert sorted(got) == sorted(want), name
        for key, array in want.items():
            assert got[key].dtype == array.dtype, f"{name}: {key}"
            assert got[key].shape == array.shape, f"{name}: {key}"
            assert got[key].tobytes() == array.tobytes(), f"{name}: {key}: other values"


class Example:
    """Runs maps in a directory of the test's own."""

    def __init__(self, directory):
        self.directory = directory
        self.count = 0

    def place(self):
        self.count += 1
        path = self.directory / str(self.count)
        path.mkdir()
        return path

    def command(self, *args, status=0):
        binary = os.environ.get("WMAP_BIN", str(ROOT / "build/release/wmap"))
        if args[0] == "run" and (Path(binary).resolve().parent / "wmap-jit.so").exists():
            args = [*args, "--engine", ["auto", "jit", "interp"][self.count // 2 % 3]]  # in turn, whatever there is
        env = dict(os.environ, WMAP_PATH=str(ROOT / "stdlib-maps"))
        done = subprocess.run([binary, *map(str, args)], capture_output=True, text=True, timeout=60, env=env)
        assert done.returncode == status, f"{done.args}\n{done.stdout}{done.stderr}"
        return done.stderr

    def convert(self, name, config, files, *options, reverse=False, status=0):
        """Writes the files and a config.json, converts them, and gives back the output and what was said."""
        there, out = self.place(), self.place() / "out"
        for file, tensors in files.items():
            write(there / file, tensors)
        (there / "config.json").write_text(json.dumps(config))
        if str(name).startswith("litgpt/") and not reverse:  # its own file is PyTorch's
            options = [*options, "--format", "safetensors"]
        said = self.command("run", name, "-i", there, "-o", out, *options, *(["--reverse"] if reverse else []), status=status)
        if (out / "lit_model.safetensors").exists():
            (out / "lit_model.safetensors").rename(out / ONE)
        return out, said

    def both(self, name, config, source, target, *options, back=None):
        """`source` becomes `target`, and `target` becomes `source` again (or `back`, where that differs). A checkpoint
        of one file may be given as its tensors."""
        source, target, back = (x if x is None or isinstance(next(iter(x.values())), dict) else {ONE: x}
                                for x in (source, target, back))
        same(self.convert(name, config, source, *options)[0], target)
        same(self.convert(name, config, target, *options, reverse=True)[0], back or source)


@pytest.fixture
def example(tmp_path):
    return Example(tmp_path)
