"""--engine: the interpreter and the JIT make the same bytes; what is said where there is no JIT."""

import random
import struct
from pathlib import Path

import pytest

from conftest import BIN, read_safetensors, write_safetensors

PLUGIN = Path(BIN).parent / "wmap-jit.so"
needs_jit = pytest.mark.skipif(not PLUGIN.exists(), reason="built without LLVM")

def number(kind, rng):
    value = rng.choice([0, -0.0, 1, 65504, 65520, 1e-7, 3e38, float("inf"), float("nan"), rng.gauss(0, 1),
                        rng.gauss(0, 1e5)])
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    return struct.pack("<I", bits) if kind == "F32" else struct.pack("<H", bits >> 16)


def checkpoint(path):
    """Tensors that fixed kernels fit badly, and casts; large enough for more than one window."""
    rng = random.Random(4)

    def tensor(kind, *shape):
        n = 1
        for size in shape:
            n *= size
        block = b"".join(number(kind, rng) for _ in range(min(n, 5003)))
        size = 4 if kind == "F32" else 2
        return kind, list(shape), (block * (n * size // len(block) + 1))[:n * size]

    write_safetensors(path, {"mix": tensor("BF16", 100003, 6), "wide": tensor("F32", 300007),
                             "half": tensor("BF16", 1027, 515), "sum": tensor("F32", 70001),
                             "rows": tensor("BF16", 2000, 17)})


TEXT = """wmap 1
let a = 3
let b = 2
let two = 2
"mix" [f (a b)] -> "mixed" [f (b a)]
"rows" [(n two) w] -> "pairs" [n (w two)]
"half" [m n] -> cast(bf16, f16) -> "turned" [n m]
"wide" -> cast(f32, bf16) -> "narrow"
"sum" -> lossy add(0.5) | lossy mul(-1.5) | cast(f32, f16) -> "total"
"""


@pytest.fixture
def numbers(wmap):
    checkpoint(wmap.path("in.safetensors"))
    wmap.path("m.wmap").write_text(TEXT)
    return wmap


@needs_jit
@pytest.mark.parametrize("threads", [1, 3])
def test_engines_make_the_same_bytes(numbers, threads):
    made = {}
    for engine in ("auto", "interp", "jit"):
        for memory in ("64MiB", "2MiB"):
            done = numbers.ok("run", "m.wmap", "-i", "in.safetensors", "-o", "out.safetensors", "--force", "--threads",
                              threads, "--max-memory", memory, "--engine", engine)
            made[engine, memory] = numbers.path("out.safetensors").read_bytes(), done.err.split(" in ")[0]
    assert len(set(made.values())) == 1
    mixed = read_safetensors(numbers.path("out.safetensors"))["mixed"][2]
    source = read_safetensors(numbers.path("in.safetensors"))["mix"][2]
    for row in (0, 1, 77777, 100002):  # by hand
        before = [source[12 * row + 2 * i:12 * row + 2 * i + 2] for i in range(6)]
        assert mixed[12 * row:12 * row + 12] == b"".join(before[i] for i in (0, 2, 4, 1, 3, 5))
    for engine in ("interp", "jit"):
        numbers.ok("verify", "m.wmap", "-i", "in.safetensors", "-o", "out.safetensors", "--engine", engine)


@needs_jit
def test_dump_prints_the_kernels(numbers):
    out = numbers.ok("dump", "m.wmap", "-i", "in.safetensors", "--stage", "llvm").out
    assert "; 'mixed': 2 to 2 bytes, dims [n, 2, 3]" in out and "shufflevector" in out
    assert "; 'total', a chain: 4 to 2 bytes" in out and "fmul" in out
    assert out.count("define void @wmap_kernel_") == len([x for x in out.splitlines() if x.startswith("; '")])


def test_no_plugin(numbers):
    env = {"WMAP_JIT_PLUGIN": "/nowhere/wmap-jit.so"}
    for command in ("run", "plan", "verify"):
        r = numbers(command, "m.wmap", "-i", "in.safetensors", "-o", "out.safetensors", "--engine", "jit", env=env)
        if command == "verify":
            continue  # the output is missing: told first
        assert r.status == 2 and "wmap-jit.so is not here" in r.err and r.err.count("\n") == 1, r
        assert not numbers.path("out.safetensors").exists()
    numbers.ok("run", "m.wmap", "-i", "in.safetensors", "-o", "out.safetensors", "--engine", "auto", env=env)
    r = numbers("verify", "m.wmap", "-i", "in.safetensors", "-o", "out.safetensors", "--engine", "jit", env=env)
    assert r.status == 2 and "wmap-jit.so is not here" in r.err, r
    r = numbers("dump", "m.wmap", "-i", "in.safetensors", "--stage", "llvm", env=env)
    assert r.status == 2 and "wmap-jit.so is not here" in r.err, r


def test_engine_names(numbers):
    r = numbers("run", "m.wmap", "-i", "in.safetensors", "-o", "o", "--engine", "llvm")
    assert r.status == 2 and '--engine: "llvm" is none of auto, interp, jit' in r.err


def test_command_does_not_link_llvm():
    import subprocess
    needed = subprocess.run(["ldd", BIN], capture_output=True, text=True, check=True).stdout
    assert "LLVM" not in needed and "stdc++" not in needed
