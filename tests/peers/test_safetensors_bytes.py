"""Files that wmap writes are equal, to the byte, to those of the safetensors library.

An identity map is run over files that the library wrote; every dtype that it can write takes part, and names that
need escapes.  Needs numpy and the library only (`--noconftest` runs it without the other peers).
"""

import json
import math
import os
import random
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors import TensorSpec, serialize

WMAP = os.environ.get("WMAP_BIN", str(Path(__file__).resolve().parents[2] / "build" / "release" / "wmap"))
MAP = 'wmap 1\nmap identity "as it is"\n"{rest*}" <-> "{rest*}"\n'

BYTES = {
    "bool": 1, "float4_e2m1fn_x2": 1, "uint8": 1, "int8": 1, "float8_e5m2": 1, "float8_e4m3fn": 1, "float8_e8m0fnu": 1,
    "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2, "int32": 4,
    "uint32": 4, "float32": 4, "complex64": 8, "float64": 8, "int64": 8, "uint64": 8,
}
NAMES = ["a", "A", "a.b", "model.layers.0.w", "model.layers.10.w", "model.layers.2.w", "\u00e9", "e\u0301", "\u65e5\u672c", "\U0001f600",
         'q"uote', "back\\slash", "tab\t", "line\n", "\x01", "\x7f", "/", "\u2028", "{braces}", "\x1b[31m"]


def library_bytes(tensors):
    """What the library makes of {name: (dtype, shape, data)}."""
    keep, specs = [], {}
    for name, (dtype, shape, data) in tensors.items():
        buffer = np.frombuffer(data, dtype=np.uint8)
        keep.append(buffer)
        specs[name] = TensorSpec(dtype=dtype, shape=list(shape), data_ptr=buffer.ctypes.data, data_len=len(buffer))
    return serialize(specs, {"format": "pt"})


def random_tensors(rng, count, dtypes=tuple(BYTES)):
    tensors = {}
    for name in rng.sample(NAMES, count):
        dtype = rng.choice(dtypes)
        shape = [rng.randint(0, 4) for _ in range(rng.randint(0, 4))]
        if dtype == "float4_e2m1fn_x2" and not shape:
            shape = [2]
        tensors[name] = (dtype, shape, rng.randbytes(math.prod(shape) * BYTES[dtype]))
    return tensors


def run(folder, *args):
    (folder / "identity.wmap").write_text(MAP)
    got = subprocess.run([WMAP, "run", str(folder / "identity.wmap"), *map(str, args)], capture_output=True, text=True)
    assert got.returncode == 0, got.stderr


@pytest.mark.parametrize("dtype", BYTES)
def test_each_dtype(tmp_path, dtype):
    rng = random.Random(dtype)
    shape = (3, 4)
    data = library_bytes({"b": (dtype, shape, rng.randbytes(12 * BYTES[dtype])), "a": ("float32", (1,), b"abcd"),
                          "c": (dtype, (0, 2), b"")})
    (tmp_path / "in.safetensors").write_bytes(data)
    run(tmp_path, "-i", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == data


@pytest.mark.parametrize("seed", range(12))
def test_random_files(tmp_path, seed):
    rng = random.Random(seed)
    data = library_bytes(random_tensors(rng, rng.randint(1, len(NAMES))))
    (tmp_path / "in.safetensors").write_bytes(data)
    run(tmp_path, "-i", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors")
    assert (tmp_path / "out.safetensors").read_bytes() == data


def test_a_directory_of_one(tmp_path):
    data = library_bytes(random_tensors(random.Random(99), 10))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "model.safetensors").write_bytes(data)
    run(tmp_path, "-i", tmp_path / "in", "-o", tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == data
    assert not list((tmp_path / "out").glob("*.index.json"))


def test_shards_and_index(tmp_path):
    rng = random.Random(7)
    tensors = {name: ("bfloat16", (64, 8), rng.randbytes(1024)) for name in NAMES}
    (tmp_path / "in.safetensors").write_bytes(library_bytes(tensors))
    run(tmp_path, "-i", tmp_path / "in.safetensors", "-o", tmp_path / "out", "--max-shard-size", "5KB")
    text = (tmp_path / "out" / "model.safetensors.index.json").read_text()
    index = json.loads(text)
    assert text == json.dumps(index, indent=2, sort_keys=True) + "\n"
    assert index["metadata"] == {"total_size": 1024 * len(NAMES)}
    assert sorted(index["weight_map"]) == sorted(NAMES)
    shards = sorted(set(index["weight_map"].values()))
    assert shards == [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    assert len(shards) == 5
    for shard in shards:
        part = {name: tensors[name] for name, file in index["weight_map"].items() if file == shard}
        assert (tmp_path / "out" / shard).read_bytes() == library_bytes(part)
