"""Data types, tensors as raw bits, and exact conversions.

A tensor's data is always an array of unsigned integers as wide as its type (F4: one nibble an entry; F6: one entry
of six bits), so that equality is equality of bits.  Floats of at most 16 bits are converted with a table of all
their values: the nearest one is looked up, ties go to the even bit pattern.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .errors import fail

# name: (bits, kind, exponent bits, mantissa bits)
DTYPES = {
    "BOOL": (8, "b", 0, 0), "F4": (4, "f", 2, 1), "F6_E2M3": (6, "f", 2, 3), "F6_E3M2": (6, "f", 3, 2),
    "U8": (8, "u", 0, 0), "I8": (8, "i", 0, 0), "F8_E5M2": (8, "f", 5, 2), "F8_E4M3": (8, "f", 4, 3),
    "F8_E8M0": (8, "f", 8, 0), "F8_E4M3FNUZ": (8, "f", 4, 3), "F8_E5M2FNUZ": (8, "f", 5, 2),
    "I16": (16, "i", 0, 0), "U16": (16, "u", 0, 0), "F16": (16, "f", 5, 10), "BF16": (16, "f", 8, 7),
    "I32": (32, "i", 0, 0), "U32": (32, "u", 0, 0), "F32": (32, "f", 8, 23), "C64": (64, "c", 8, 23),
    "F64": (64, "f", 11, 52), "I64": (64, "i", 0, 0), "U64": (64, "u", 0, 0),
}
TORCH = {"float32": "F32", "float64": "F64", "float16": "F16", "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3",
         "float8_e5m2": "F8_E5M2", "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
         "float8_e8m0fnu": "F8_E8M0", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8",
         "uint16": "U16", "uint32": "U32", "uint64": "U64", "bool": "BOOL", "complex64": "C64"}


def dtype_of(name):
    """The safetensors name of a type as maps write it (`bf16`, `float32`)."""
    if name.upper() in DTYPES:
        return name.upper()
    if name in TORCH:
        return TORCH[name]
    fail("dtype", f"unknown dtype {name}")


def storage(dtype):
    """The numpy type of the raw bits."""
    return np.dtype(f"<u{max(8, DTYPES[dtype][0]) // 8}")


@dataclass
class Tensor:
    dtype: str
    data: np.ndarray

    def __post_init__(self):
        self.data = np.ascontiguousarray(self.data).reshape(np.shape(self.data))
        assert self.data.dtype == storage(self.dtype), (self.dtype, self.data.dtype)

    @property
    def shape(self):
        return self.data.shape

    def same(self, other):
        return self.dtype == other.dtype and self.shape == other.shape and bool((self.data == other.data).all())

    def __repr__(self):
        return f"{self.dtype}{list(self.shape)}"


# ---- conversions ----

@lru_cache(maxsize=None)
def float_table(dtype):
    """(value of every bit pattern as float64, patterns of the finite values >= 0 in order, pattern of overflow)."""
    bits, _, e, m = DTYPES[dtype]
    values = np.array([decode_one(p, dtype, bits, e, m) for p in range(1 << bits)])
    half = 1 << bits if dtype == "F8_E8M0" else 1 << (bits - 1)
    positive = np.array([p for p in range(half) if np.isfinite(values[p])])
    return values, positive


def decode_one(p, dtype, bits, e, m):
    if dtype == "F8_E8M0":
        return float("nan") if p == 255 else 2.0 ** (p - 127)
    sign = -1.0 if p >> (bits - 1) else 1.0
    exponent = (p >> m) & ((1 << e) - 1)
    mantissa = p & ((1 << m) - 1)
    top = exponent == (1 << e) - 1
    if dtype.endswith("FNUZ"):
        if p == 0x80:
            return float("nan")
        bias = 1 << (e - 1)
    else:
        bias = (1 << (e - 1)) - 1
        if dtype == "F8_E4M3" and top and mantissa == (1 << m) - 1:
            return float("nan")
        if top and dtype in ("F16", "BF16", "F8_E5M2"):
            return sign * float("inf") if mantissa == 0 else float("nan")
    if exponent == 0:
        return sign * mantissa * 2.0 ** (1 - bias - m)
    return sign * (1 + mantissa * 2.0 ** -m) * 2.0 ** (exponent - bias)


def to_float(t):
    """The values of a tensor as float64 (integers of 64 bits as long as they fit exactly)."""
    bits, kind, _, _ = DTYPES[t.dtype]
    if kind == "f" and bits <= 16:
        return float_table(t.dtype)[0][t.data]
    if t.dtype == "F32":
        return t.data.view("<f4").astype(np.float64)
    if t.dtype == "F64":
        return t.data.view("<f8")
    if kind == "i":
        return t.data.view(f"<i{bits // 8}").astype(np.float64)
    if kind in "ub":
        return t.data.astype(np.float64)
    fail("dtype", f"no arithmetic on {t.dtype}")


def from_float(values, dtype):
    """float64 values as a tensor, rounded once, to nearest even."""
    bits, kind, _, _ = DTYPES[dtype]
    values = np.asarray(values, np.float64)
    if dtype == "F64":
        return Tensor(dtype, values.view("<u8"))
    if dtype == "F32":
        with np.errstate(over="ignore", invalid="ignore"):
            return Tensor(dtype, values.astype("<f4").view("<u4"))
    if kind == "f":
        return Tensor(dtype, encode_small(values, dtype))
    if kind == "b":
        return Tensor(dtype, (values != 0).astype("<u1"))
    if kind in "iu":
        if not np.isfinite(values).all() or (values != np.trunc(values)).any():
            fail("dtype", f"{dtype} has no such value")
        target = np.dtype(f"<{kind}{bits // 8}")
        info = np.iinfo(target)
        if ((values < info.min) | (values > info.max)).any():
            fail("dtype", f"{dtype} has no such value")
        return Tensor(dtype, values.astype(target).view(storage(dtype)))
    fail("dtype", f"no arithmetic on {dtype}")


def encode_small(values, dtype):
    bits, _, e, m = DTYPES[dtype]
    table, positive = float_table(dtype)
    grid = table[positive]
    sign_bit = 0 if dtype == "F8_E8M0" else 1 << (bits - 1)
    # The step above the largest value is where overflow begins to round.
    top = grid[-1] * 2 if dtype == "F8_E8M0" else grid[-1] + (grid[-1] - grid[-2])
    grid = np.append(grid, top)
    has_inf = dtype in ("F16", "BF16", "F8_E5M2")
    if has_inf:
        over = int(positive[-1]) + 1
    elif dtype.endswith("FNUZ"):
        over = 0x80
    elif dtype == "F8_E8M0":
        over = 0xff
    else:
        over = int(positive[-1])  # what has no infinity saturates: F8_E4M3, F4 and F6
    patterns = np.append(positive, over)
    parity = np.append(positive, positive[-1] + 1)
    a = np.abs(values)
    nan = np.isnan(a)
    a = np.where(nan, 0, np.minimum(a, top))
    hi = np.searchsorted(grid, a)
    hi = np.clip(hi, 0, len(grid) - 1)
    lo = np.maximum(hi - 1, 0)
    exact = grid[hi] == a
    up, down = grid[hi] - a, a - grid[lo]
    pick_lo = ~exact & ((down < up) | ((down == up) & (parity[lo] % 2 == 0)))
    out = np.where(pick_lo, patterns[lo], patterns[hi]).astype(np.int64)
    negative = np.signbit(values)
    if dtype.endswith("FNUZ"):
        out = np.where(negative & (out != 0), out | sign_bit, out)
        out = np.where(nan, 0x80, out)
    elif dtype == "F8_E8M0":
        out = np.where(nan, 0xff, out)
    else:
        quiet = 0x7f if dtype == "F8_E4M3" else (positive[-1] + 1) | (1 << (m - 1))
        out = np.where(nan, quiet, out)
        out = np.where(negative, out | sign_bit, out)
    return out.astype(storage(dtype))


def cast(t, dtype):
    """As PyTorch's `.to()` on the CPU."""
    if t.dtype == dtype:
        return Tensor(dtype, t.data)
    bits, kind, _, _ = DTYPES[t.dtype]
    _, to_kind, _, _ = DTYPES[dtype]
    if kind == "c" or to_kind == "c":
        fail("dtype", f"no cast from {t.dtype} to {dtype}")
    if kind in "iub" and to_kind in "iub":
        native = t.data.view(f"<{'i' if kind == 'i' else 'u'}{bits // 8}")
        if to_kind == "b":
            return Tensor(dtype, (native != 0).astype("<u1"))
        return Tensor(dtype, native.astype(f"<{to_kind}{DTYPES[dtype][0] // 8}").view(storage(dtype)))
    if kind in "iu" and bits == 64 and dtype == "F32":
        return Tensor(dtype, t.data.view(f"<{kind}8").astype("<f4").view("<u4"))
    if to_kind in "iu":
        return from_float(np.trunc(to_float(t)), dtype)
    return from_float(to_float(t), dtype)


def scalar(value, dtype):
    """The bits of one value (of `fill`, `pad`) in a type."""
    if isinstance(value, bool):
        value = int(value)
    if DTYPES[dtype][1] in "iu":
        if isinstance(value, float) and not value.is_integer():
            fail("value", f"{value} is not a value of {dtype}")
        value, bits = int(value), DTYPES[dtype][0]
        low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if DTYPES[dtype][1] == "i" else (0, 1 << bits)
        if not low <= value < high:
            fail("value", f"{value} is not a value of {dtype}")
        return storage(dtype).type(value % (1 << bits))
    if not isinstance(value, (int, float)):
        fail("type", "fill needs a number")
    if dtype == "C64":
        return np.uint64(from_float(float(value), "F32").data)
    return from_float(float(value), dtype).data[()]


def widening_pairs():
    """Some pairs of types of which the second has all values of the first."""
    return [("F16", "F32"), ("BF16", "F32"), ("F8_E4M3", "BF16"), ("F8_E5M2", "F16"), ("F8_E4M3FNUZ", "F16"),
            ("F8_E5M2FNUZ", "F32"), ("I8", "F16"), ("U8", "I16")]
