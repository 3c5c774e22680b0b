"""Casts and arithmetic against torch's on the CPU, bit for bit, every pair of dtypes.

Inputs: all values of dtypes of 8 and 16 bits; of wider ones 100 000 random patterns, powers of two and their
neighbours, and the numbers beside every tie of float16 and bfloat16.  One run of wmap makes all results.

Where wmap is not torch, by intent:

- One rounding.  torch goes from 64 and 32 bits to narrow floats by way of float32, which rounds twice.  wmap's result
  is compared with a search among all values of the format (`nearest`), which knows nothing of bits.
- NaN.  A NaN becomes a NaN.  Its payload is torch's or not: torch's own vectorised and scalar loops disagree.
- Floats that an integer type cannot hold, and NaN.  Undefined in C++; torch's results depend on the loop.  wmap's are
  defined (`truncated`) and the same everywhere; they are torch's for most types on x86-64.

torch's two kinds of loops are told apart by running both: contiguous tensors, and every second element of one."""

import subprocess

import numpy as np
import pytest
import safetensors.torch
import torch

NAMES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "int16": "I16", "uint16": "U16", "int32": "I32", "uint32": "U32",
    "int64": "I64", "uint64": "U64", "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
    "float8_e5m2": "F8_E5M2", "float8_e4m3fn": "F8_E4M3", "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
}
TYPE = {name: getattr(torch, name) for name in NAMES}
FLOATS = [n for n, t in TYPE.items() if t.is_floating_point]
NARROW = [n for n in FLOATS if TYPE[n].itemsize <= 2]
INTS = [n for n in NAMES if n not in FLOATS and n != "bool"]
CODE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
RANDOM = 100_000

# What two roundings can differ in: sources that float32 does not hold.
TWICE = ("float64", "int32", "uint32", "int64", "uint64")
ARITHMETIC = {
    "add": ("add(1.5)", lambda x: x + 1.5), "add_minus": ("add(-1)", lambda x: x + -1),
    "add_inexact": ("add(1.1)", lambda x: x + 1.1), "add_small": ("add(-1e-3)", lambda x: x + -1e-3),
    "mul": ("mul(0.3)", lambda x: x * 0.3), "mul_big": ("mul(-30000)", lambda x: x * -30000),
    "neg": ("neg", torch.neg), "exp": ("exp", torch.exp), "log": ("log", torch.log),
}
WIDE_ENOUGH = ("float16", "bfloat16", "float32", "float64")


def codes(x):
    return x.contiguous().view(CODE[x.dtype.itemsize])


def of_codes(array, dtype):
    return torch.from_numpy(np.ascontiguousarray(array).view(np.uint8).copy()).view(dtype)


def is_nan(x):
    if not x.dtype.is_floating_point:
        return torch.zeros(len(x), dtype=torch.bool)
    return (x.float() if x.dtype.itemsize == 1 else x).isnan()


def make_input(name):
    dtype, size = TYPE[name], TYPE[name].itemsize
    rng = np.random.default_rng(size)
    if name == "bool":
        return torch.tensor([False, True] * 40)
    if size <= 2:
        return of_codes(np.arange(1 << 8 * size, dtype=f"<u{size}"), dtype)
    parts = [of_codes(rng.integers(0, 256, RANDOM * size, dtype=np.uint8), dtype)]
    if dtype.is_floating_point:
        inf = torch.tensor(torch.inf, dtype=dtype)
        for narrow in ("float16", "bfloat16"):
            value = of_codes(np.arange(1 << 16, dtype="<u2"), TYPE[narrow]).to(dtype)
            tie = (value + value.roll(-1)) / 2
            parts += [tie, torch.nextafter(tie, inf), torch.nextafter(tie, -inf)]
        near = torch.tensor([s * (2.0 ** k + e) for k in range(70) for e in (-1, -0.5, 0, 0.5, 1) for s in (1, -1)]
                            + [0.0, -0.0, torch.inf, -torch.inf, torch.nan], dtype=dtype)
        parts += [near, torch.nextafter(near, inf), torch.nextafter(near, -inf), 200 * torch.rand(10_000, dtype=dtype) - 100]
    else:
        bits = 8 * size
        near = [s * (2 ** k + 2 ** j + e) % 2 ** bits for k in range(bits) for j in range(0, k + 1, 3)
                for e in (-1, 0, 1) for s in (1, -1)]
        parts.append(of_codes(np.array(near, dtype=f"<u{size}"), dtype))
    return torch.cat([codes(p) for p in parts]).view(dtype)


@pytest.fixture(scope="module")
def results(binary, tmp_path_factory):
    """(inputs, what wmap makes of them), name -> tensor."""
    folder = tmp_path_factory.mktemp("casts")
    inputs = {name: make_input(name) for name in NAMES}
    lines = ["wmap 1"]
    for a in NAMES:
        lines.append(f'"{a}" -> "{a}.{a}"')
        lines += [f'"{a}" -> cast({NAMES[a]}, {NAMES[b]}) -> "{a}.{b}"' for b in NAMES if a != b]
    for a in WIDE_ENOUGH:
        lines += [f'"{a}" -> {op} -> "{a}.{name}"' for name, (op, _) in ARITHMETIC.items()]
    (folder / "all.wmap").write_text("\n".join(lines) + "\n")
    safetensors.torch.save_file(inputs, folder / "in.safetensors")
    done = subprocess.run([str(binary), "run", str(folder / "all.wmap"), "-i", folder / "in.safetensors", "-o",
                           folder / "out.safetensors"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return inputs, safetensors.torch.load_file(folder / "out.safetensors")


def both_loops(x, convert):
    """What torch's loop for whole vectors makes of x, and what the one for scattered elements does."""
    apart = torch.zeros(2 * len(x), dtype=CODE[x.dtype.itemsize])
    apart[::2] = codes(x)
    return convert(x), convert(apart.view(x.dtype)[::2])


def exact(x):
    """As a number type that holds every value of every dtype here (64 bits of mantissa or more)."""
    assert np.finfo(np.longdouble).nmant >= 63
    return (x.double() if x.dtype.is_floating_point else x).numpy().astype(np.longdouble)


def nearest(x, name):
    """Codes of a narrow float: x, none of them NaN, rounded once to nearest even, by looking at all values."""
    dtype, bits = TYPE[name], 8 * TYPE[name].itemsize
    unsigned = name == "float8_e8m0fnu"
    code = np.arange(1 << (bits if unsigned else bits - 1), dtype=f"<u{bits // 8}")
    value = of_codes(code, dtype).double().numpy()
    code, value = code[np.isfinite(value)], value[np.isfinite(value)]
    assert np.all(np.diff(value) > 0)
    # what comes behind the greatest if exponents went on
    step = value[-1] if unsigned else value[-1] - value[-2]
    grid = np.append(value, value[-1] + step).astype(np.longdouble)
    beyond = {"float16": 0x7c00, "bfloat16": 0x7f80, "float8_e5m2": 0x7c, "float8_e4m3fn": 0x7e,
              "float8_e4m3fnuz": 0x80, "float8_e5m2fnuz": 0x80, "float8_e8m0fnu": 0xff}[name]
    pattern = np.append(code.astype(np.int64), beyond)
    a = np.minimum(np.abs(x), grid[-1])
    hi = np.clip(np.searchsorted(grid, a), 1, len(grid) - 1)
    down, up = a - grid[hi - 1], grid[hi] - a
    even = (hi - 1) % 2 == 0
    got = np.where((down < up) | ((down == up) & even), pattern[hi - 1], pattern[hi])
    if not unsigned:
        negative = np.signbit(x) if "fnuz" not in name else np.signbit(x) & (got != 0) & (got != 0x80)
        got = got | negative.astype(np.int64) << bits - 1
    return of_codes(got.astype(f"<u{bits // 8}"), dtype)


def truncated(x, name):
    """Floats to an integer type as wmap defines it: see language.md, 7.10."""
    bits = 8 * TYPE[name].itemsize
    register = 32 if name in ("int8", "int16", "uint16", "int32") else 64
    v = x.double().numpy()
    top = 2.0 ** 64 if name == "uint64" else 2.0 ** (register - 1)
    fits = (v >= -2.0 ** (register - 1)) & (v < top)
    high = fits & (v >= 2.0 ** 63)
    whole = np.where(fits & ~high, v, -2.0 ** (register - 1)).astype(np.int64).view(np.uint64)
    whole[high] = v[high].astype(np.uint64)
    return of_codes((whole & np.uint64(2 ** bits - 1)).astype(f"<u{bits // 8}"), TYPE[name])


@pytest.mark.parametrize("to", NAMES)
@pytest.mark.parametrize("source", NAMES)
def test_cast(results, source, to):
    x, got = results[0][source], results[1][f"{source}.{to}"]
    assert got.dtype == TYPE[to] and got.shape == x.shape
    vector, scalar = both_loops(x, lambda t: t.to(TYPE[to]))
    nan = is_nan(x)
    same = (codes(got) == codes(vector)) | (codes(got) == codes(scalar))

    if source == to:
        assert torch.equal(codes(got), codes(x))
    elif to in FLOATS:
        assert torch.equal(is_nan(got) & nan, nan)
        assert torch.equal(is_nan(got), is_nan(vector)), "overflows are NaN where they are torch's"
        if source in TWICE and to in NARROW:
            twice = (codes(x.to(torch.float32).to(TYPE[to])) == codes(vector)) & (codes(vector) == codes(scalar))
            assert (same | twice | nan).all(), "torch rounds twice where it differs"
        else:
            assert (same | nan).all()
        if to in NARROW:
            want = nearest(exact(x[~nan]) if source in FLOATS else exact(x), to)
            have = got[~nan]
            if to == "float8_e8m0fnu":  # torch's rounding: a tie below the least value, and from it, is its own
                agree = (codes(have) == codes(want)) | same[~nan]
                assert agree.all()
            else:
                assert ((codes(have) == codes(want)) | (is_nan(have) & is_nan(want))).all()
    elif source in FLOATS and to != "bool":
        assert torch.equal(codes(got), codes(truncated(x, to)))
        info = torch.iinfo(TYPE[to])
        v = x.double()
        inside = (v > info.min - 1.0) & (v < info.max + 1.0) & (v >= info.min) & ~nan
        assert (same | ~inside).all()
    else:
        assert same.all()


@pytest.mark.parametrize("source", ["float32", "float64"])
@pytest.mark.parametrize("to", ["int8", "uint8", "int16", "uint16", "int32", "int64"])
def test_integers_out_of_range_are_as_torch_has_them(results, source, to):
    """Undefined, but the same on x86-64; no promise."""
    x = results[0][source]
    assert torch.equal(results[1][f"{source}.{to}"], x.to(TYPE[to]))


def ordered(x):
    """Codes as integers in the order of the values; 0.0 and -0.0 are neighbours of both sides."""
    c = codes(x).long()
    return torch.where(c < 0, (-1 << 8 * x.dtype.itemsize - 1) - c, c)


def ulps(a, b):
    """The greatest distance in units of the last place; NaN only where both have it."""
    assert torch.equal(a.isnan(), b.isnan())
    keep = ~a.isnan()
    return (ordered(a[keep]) - ordered(b[keep])).abs().max().item()


@pytest.mark.parametrize("source", WIDE_ENOUGH)
@pytest.mark.parametrize("op", ["add", "add_minus", "add_inexact", "add_small", "mul", "mul_big", "neg"])
def test_arithmetic_is_torchs(results, source, op):
    """One rounding of x + 1.1.  torch first rounds the number of an addition (not of a product) to 16 bits, too, which
    is seen where these don't hold it; there the reference is torch's own sum in float32."""
    x, got = results[0][source], results[1][f"{source}.{op}"]
    want = ARITHMETIC[op][1](x)
    if op in ("add_inexact", "add_small") and TYPE[source].itemsize == 2:
        assert not torch.equal(codes(want)[~want.isnan()], codes(got)[~want.isnan()])
        want = ARITHMETIC[op][1](x.float()).to(TYPE[source])
    assert torch.equal(got.isnan(), want.isnan())
    assert ((codes(got) == codes(want)) | got.isnan()).all()


@pytest.mark.parametrize("source", WIDE_ENOUGH)
@pytest.mark.parametrize("op", ["exp", "log"])
def test_exp_and_log(results, source, op):
    """In float32 the result is the right one, rounded to nearest; in 16 bits that is rounded again, as in torch.  In
    float64 it is within one unit in the last place of the right one.  torch's is within one of wmap's, two for float64.

    Measured on these inputs: in float64 0.1 % of wmap's exp and 0.03 % of its log are off by one (torch: 0.2 % and
    0.03 %); of torch's float32 0.3 % of exp and 1.5 % of log."""
    x, got = results[0][source], results[1][f"{source}.{op}"]
    with np.errstate(all="ignore"):
        right = getattr(np, op)(x.double().numpy().astype(np.longdouble))
        right = torch.from_numpy(right.astype(np.float64 if source == "float64" else np.float32)).to(TYPE[source])
    assert ulps(got, right) <= (1 if source == "float64" else 0)
    assert ulps(got, ARITHMETIC[op][1](x)) <= (2 if source == "float64" else 1)
