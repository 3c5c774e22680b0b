"""docs/gen.md says how an element is made: its code, run here, makes the same values."""

import re

import pytest

from conftest import ROOT, read_safetensors

SPEC = {}
exec(re.search(r"```python\n(.*?)```", (ROOT / "docs/gen.md").read_text(), re.S)[1], SPEC)

# b, bytes of an element, the number that the bits of element with this code are
FLOATS = {"BF16": (2, 8, 7, 127, 4), "F16": (2, 5, 10, 15, 4), "F32": (4, 8, 23, 127, 4),
          "F64": (8, 11, 52, 1023, 4), "F8_E4M3": (1, 4, 3, 7, 3), "F8_E5M2": (1, 5, 2, 15, 4)}
INTS = {"I8": 1, "U16": 2, "I32": 4}


def expected(dtype, name, seed, i):
    """The bits of element i."""
    if dtype in INTS:
        return SPEC["code"](name, seed, i, 8 * INTS[dtype])
    if dtype == "I64":
        return SPEC["base"](name, seed) + i
    _, exponent, mantissa, bias, width = FLOATS[dtype]
    b = 1 + width + mantissa
    code = SPEC["code"](name, seed, i, b)
    sign, rest = code >> (b - 1), code & (2 ** (b - 1) - 1)
    lowest = bias - (14 if width == 4 else 4)
    return sign << (exponent + mantissa) | (rest + (lowest << mantissa))


@pytest.mark.parametrize("dtype", [*FLOATS, *INTS, "I64"])
def test_values(wmap, dtype):
    wmap.ok("gen", "--family", "llama", "-o", "m", "-D", f"dtype={dtype}", "-D", "seed=7")
    size = FLOATS[dtype][0] if dtype in FLOATS else INTS.get(dtype, 8)
    for name, (have, shape, data) in read_safetensors(wmap.path("m/model.safetensors")).items():
        assert have == dtype
        n = len(data) // size
        for i in {0, 1, 63, 64, 4095, 4096, 8191, 12345, n // 2, n - 1}:
            if i < n:
                got = int.from_bytes(data[i * size:(i + 1) * size], "little")
                assert got == expected(dtype, name, 7, i), (name, i)


def test_two_tensors_have_nothing_in_common(wmap):
    wmap.ok("gen", "--family", "llama", "-o", "m", "-D", "num_hidden_layers=8")
    have = read_safetensors(wmap.path("m/model.safetensors"))
    rows = {}
    for name, (_, shape, data) in have.items():
        width = 2 * shape[-1]
        for r in range(len(data) // width):
            row = data[r * width:(r + 1) * width]
            assert row not in rows, (name, r, rows[row])
            rows[row] = name, r


def test_bool_and_bytes(wmap):
    wmap.ok("gen", "--family", "bert", "-o", "m", "-D", "dtype=bool")
    data = read_safetensors(wmap.path("m/model.safetensors"))["pooler.dense.weight"][2]
    assert set(data) == {0, 1} and 0.4 < sum(data) / len(data) < 0.6
