"""Named operations on a list of tensors, each with its inverse, as in the table of the language."""

import numpy as np

from .dtypes import DTYPES, Tensor, cast, dtype_of, from_float, scalar, to_float
from .errors import fail
from .values import evaluate, size

ELEMENTWISE = {"cast", "add", "mul", "neg", "exp", "log"}
ONE_TO_ONE = {"unflatten", "flatten", "permute", "transpose", "reshape", "squeeze", "unsqueeze", "slice", "pad",
              "repeat", "repeat_interleave"} | ELEMENTWISE
ALL = ONE_TO_ONE | {"concat", "stack", "chunk", "split", "unstack"}


class Call:
    """One operation with its arguments evaluated."""

    def __init__(self, op, scope, options):
        if op.name not in ALL:
            fail("op", f"no operation `{op.name}`")
        self.name, self.lossy, self.options, self.dtype = op.name, op.lossy, options, None
        if op.name == "cast":
            for a in op.args:
                if a[0] != "name":
                    fail("op", "cast needs dtypes")
            self.args = [dtype_of(a[1]) for a in op.args]
        else:
            self.args = [evaluate(a, scope) for a in op.args]


def counts(calls, first, last):
    """How many tensors the list holds before each operation and after the last; None where nothing tells."""
    c = [first] + [None] * (len(calls) - 1) + [last]
    for _ in range(len(calls) + 1):
        for k, op in enumerate(calls):
            if op.name in ("concat", "stack"):
                known = [(k + 1, 1)]
                if op.name == "concat" and len(op.args) == 2:
                    known.append((k, len(op.args[1])))
            elif op.name in ("chunk", "unstack"):
                known = [(k, 1)]
            elif op.name == "split":
                known = [(k, 1), (k + 1, len(op.args[1]))]
            else:
                known = [(k, c[k + 1]), (k + 1, c[k])]
            for where, n in known:
                if n is not None:
                    if c[where] not in (None, n):
                        fail("op", f"`{op.name}`: {n} tensors where there are {c[where]}")
                    c[where] = n
    return c


def run_pipeline(calls, tensors, count_out, inverse):
    """The list after all operations in order, or before them, if `inverse`."""
    if inverse:
        c = counts(calls, count_out, len(tensors))
        for k in reversed(range(len(calls))):
            tensors = undo(calls[k], tensors, c[k])
    else:
        c = counts(calls, len(tensors), count_out)
        for k, call in enumerate(calls):
            tensors = apply(call, tensors, c[k + 1])
    return tensors


# ---- helpers ----

def dim_of(d, rank):
    """A dimension as a number from 0; `rank` is the number of dimensions that may be named."""
    if not isinstance(d, int) or isinstance(d, bool):
        fail("op", "a dimension must be an integer")
    if not -rank <= d < rank:
        fail("op", f"dimension {d} of {rank}")
    return d % rank


def sizes_of(values):
    if not isinstance(values, list):
        fail("op", "a list of sizes is needed")
    return [size(v, "a size") for v in values]


def with_hole(values, n, what):
    """Sizes, one of which may be -1, whose product is n."""
    values = list(values)
    if values.count(-1) > 1:
        fail("op", f"{what}: two sizes of -1")
    known = 1
    for v in values:
        known *= 1 if v == -1 else size(v, "a size")
    if -1 in values:
        if known == 0 or n % known:
            fail("shape", f"{what}: {n} does not divide by {known}")
        values[values.index(-1)] = n // known
    elif known != n:
        fail("shape", f"{what}: {values} do not make {n}")
    return values


def each(tensors, f):
    return [Tensor(t.dtype, f(t.data)) for t in tensors]


def one(tensors, name):
    if len(tensors) != 1:
        fail("op", f"`{name}` takes one tensor, not {len(tensors)}")
    return tensors[0]


def concat(tensors, d, sizes):
    if not tensors:
        fail("op", "concat of nothing")
    rank = len(tensors[0].shape)
    d = dim_of(d, rank)
    for t in tensors:
        if len(t.shape) != rank or t.shape[:d] + t.shape[d + 1:] != tensors[0].shape[:d] + tensors[0].shape[d + 1:]:
            fail("shape", "concat of tensors that do not fit")
    found = [t.shape[d] for t in tensors]
    if sizes is None and len(set(found)) > 1:
        fail("shape", f"concat of uneven pieces {found} without sizes")
    if sizes is not None and found != sizes:
        fail("shape", f"concat of {found}, not {sizes}")
    return [Tensor(tensors[0].dtype, np.concatenate([t.data for t in tensors], d))]


def split(t, d, sizes):
    d = dim_of(d, len(t.shape))
    if sum(sizes) != t.shape[d]:
        fail("shape", f"split of {t.shape[d]} into {sizes}")
    ends = np.cumsum(sizes)
    return [Tensor(t.dtype, t.data.take(range(e - s, e), d)) for s, e in zip(sizes, ends)]


def chunk(t, d, n):
    if n is None:
        fail("op", "nothing tells the number of chunks")
    d = dim_of(d, len(t.shape))
    if n == 0 or t.shape[d] % n:
        fail("shape", f"{t.shape[d]} does not divide into {n} chunks")
    return split(t, d, [t.shape[d] // n] * n)


def stack(tensors, d):
    if not tensors:
        fail("op", "stack of nothing")
    if len({t.shape for t in tensors}) > 1:
        fail("shape", "stack of different shapes")
    d = dim_of(d, len(tensors[0].shape) + 1)
    return [Tensor(tensors[0].dtype, np.stack([t.data for t in tensors], d))]


def unstack(t, d, n):
    d = dim_of(d, len(t.shape))
    if n is not None and t.shape[d] != n:
        fail("shape", f"unstack of {t.shape[d]} into {n}")
    return [Tensor(t.dtype, t.data.take(i, d)) for i in range(t.shape[d])]


def unflatten(x, d, sizes):
    sizes = with_hole(sizes, x.shape[d], "unflatten")
    return x.reshape(x.shape[:d] + tuple(sizes) + x.shape[d + 1:])


def flatten(x, a, b, sizes=None):
    if a > b:
        fail("op", "flatten needs from <= to")
    if sizes is not None:
        if len(sizes) != b - a + 1:
            fail("op", "flatten: as many sizes as dimensions")
        if any(s not in (-1, n) for s, n in zip(sizes, x.shape[a:b + 1])):
            fail("shape", f"flatten of {x.shape[a:b + 1]}, not {sizes}")
    n = 1
    for s in x.shape[a:b + 1]:
        n *= s
    return x.reshape(x.shape[:a] + (n,) + x.shape[b + 1:])


def reshape(x, old, new):
    if old is not None and (len(old) != x.ndim or any(o not in (-1, n) for o, n in zip(old, x.shape))):
        fail("shape", f"reshape of {x.shape}, not {old}")
    return x.reshape(tuple(with_hole(new, x.size, "reshape")))


def copies(x, d, n, interleaved):
    """The first of n copies along a dimension; all must be equal."""
    if n < 1 or x.shape[d] % n:
        fail("shape", f"{x.shape[d]} does not hold {n} copies")
    m = x.shape[d] // n
    split_at = (m, n) if interleaved else (n, m)
    y = x.reshape(x.shape[:d] + split_at + x.shape[d + 1:])
    axis = d + 1 if interleaved else d
    return y.take(0, axis), bool((y == y.take([0], axis)).all())


# ---- elementwise ----

def widening(a, b):
    """Is every value of type a a value of type b?"""
    (abits, ak, ae, am), (bbits, bk, be, bm) = DTYPES[a], DTYPES[b]
    if a == b:
        return True
    if ak == "f" and bk == "f":
        if abits <= 16 and bbits <= 16:
            x = Tensor(a, np.arange(1 << abits, dtype=f"<u{max(1, abits // 8)}"))
            return bool((cast(cast(x, b), a).data == x.data).all() or all_but_nan(x, b))
        return bbits > abits
    if ak in "ui" and bk in "ui":
        return bbits > abits and not (ak == "i" and bk == "u")
    if ak in "ui" and bk == "f":
        return abits - (ak == "i") <= bm + 1
    return ak == "b"


def all_but_nan(x, b):
    v = to_float(x)
    keep = ~np.isnan(v)
    back = cast(cast(Tensor(x.dtype, x.data[keep]), b), x.dtype)
    return bool((back.data == x.data[keep]).all())


def arithmetic(t, f):
    """f on the values, in float32 (float64 for float64), rounded once."""
    if DTYPES[t.dtype][1] != "f":
        fail("dtype", f"no arithmetic on {t.dtype}")
    wide = np.float64 if t.dtype == "F64" else np.float32
    with np.errstate(all="ignore"):
        return from_float(f(to_float(t).astype(wide), wide).astype(np.float64), t.dtype)


def negate(t):
    bits, kind, _, _ = DTYPES[t.dtype]
    if kind == "f" and t.dtype not in ("F8_E8M0",) and not t.dtype.endswith("FNUZ"):
        return Tensor(t.dtype, t.data ^ t.data.dtype.type(1 << (bits - 1)))
    if kind == "i":
        return Tensor(t.dtype, (~t.data + t.data.dtype.type(1)))
    fail("dtype", f"no neg on {t.dtype}")


def elementwise(call, t):
    if call.name == "neg":
        return negate(t)
    if call.name == "cast":
        if len(call.args) == 2 and t.dtype != call.args[0]:
            fail("dtype", f"cast from {call.args[0]} of a tensor of {t.dtype}")
        return cast(t, call.args[-1])
    if call.name == "add":
        return arithmetic(t, lambda x, w: x + w(call.args[0]))
    if call.name == "mul":
        return arithmetic(t, lambda x, w: x * w(call.args[0]))
    return arithmetic(t, lambda x, w: (np.exp if call.name == "exp" else np.log)(x))


def undo_elementwise(call, t):
    if call.name == "neg":
        return negate(t)
    if call.name == "cast":
        if len(call.args) != 2:
            fail("inverse", "cast without the type that it comes from")
        if t.dtype != call.args[1]:
            fail("dtype", f"cast to {call.args[1]} does not make a tensor of {t.dtype}")
        if not call.lossy and not widening(*call.args):
            fail("inverse", "cast loses values")
        back = cast(t, call.args[0])
        if not call.lossy and not cast(back, call.args[1]).same(t):
            fail("lossy", f"a value of {call.args[1]} is none of {call.args[0]}")
        return back
    if call.name == "add":
        return arithmetic(t, lambda x, w: x - w(call.args[0]))
    if call.name == "mul":
        return arithmetic(t, lambda x, w: x / w(call.args[0]))
    return arithmetic(t, lambda x, w: (np.log if call.name == "exp" else np.exp)(x))


# ---- the table ----

def apply(call, ts, count):
    name, a = call.name, call.args
    if name in ELEMENTWISE:
        return [elementwise(call, t) for t in ts]
    if name == "concat":
        return concat(ts, a[0], sizes_of(a[1]) if len(a) > 1 else None)
    if name == "stack":
        return stack(ts, a[0])
    if name == "chunk":
        return chunk(one(ts, name), a[0], count)
    if name == "split":
        return split(one(ts, name), a[0], sizes_of(a[1]))
    if name == "unstack":
        return unstack(one(ts, name), a[0], count)
    call.dtype = ts[0].dtype if ts else None
    return each(ts, lambda x: apply_shape(call, x))


def apply_shape(call, x):
    name, a, r = call.name, call.args, x.ndim
    if name == "unflatten":
        return unflatten(x, dim_of(a[0], r), a[1])
    if name == "flatten":
        return flatten(x, dim_of(a[0], r), dim_of(a[1], r), a[2] if len(a) > 2 else None)
    if name == "permute":
        return x.transpose(permutation(a, r))
    if name == "transpose":
        return x.swapaxes(dim_of(a[0], r), dim_of(a[1], r))
    if name == "reshape":
        return reshape(x, a[0] if len(a) > 1 else None, a[-1])
    if name == "squeeze":
        return squeeze(x, dim_of(a[0], r))
    if name == "unsqueeze":
        return np.expand_dims(x, dim_of(a[0], r + 1))
    if name == "slice":
        d, lo, hi = dim_of(a[0], r), a[1], a[2]
        if not 0 <= lo <= hi <= x.shape[d]:
            fail("shape", f"slice {lo}..{hi} of {x.shape[d]}")
        return x.take(range(lo, hi), d)
    if name == "pad":
        return pad(call, x)
    d, n = dim_of(a[0], r), size(a[1], "the number of copies")
    if name == "repeat":
        return np.concatenate([x] * n, d) if n else x.take([], d)
    return np.repeat(x, n, d)


def permutation(dims, rank):
    dims = dims[0] if len(dims) == 1 and isinstance(dims[0], list) else dims
    out = [dim_of(d, rank) for d in dims]
    if sorted(out) != list(range(rank)):
        fail("op", f"permute {dims} of rank {rank}")
    return out


def squeeze(x, d):
    if x.shape[d] != 1:
        fail("shape", f"squeeze of a dimension of {x.shape[d]}")
    return x.reshape(x.shape[:d] + x.shape[d + 1:])


def pad(call, x):
    a = call.args
    d = dim_of(a[0], x.ndim)
    if x.shape[d] != a[1] or a[2] < a[1]:
        fail("shape", f"pad from {a[1]} to {a[2]} of {x.shape[d]}")
    tail = np.full(x.shape[:d] + (a[2] - a[1],) + x.shape[d + 1:], scalar(a[3], call.dtype), x.dtype)
    return np.concatenate([x, tail], d)


def undo(call, ts, count):
    name, a = call.name, call.args
    if name in ELEMENTWISE:
        return [undo_elementwise(call, t) for t in ts]
    if name == "concat":
        t = one(ts, name)
        return split(t, a[0], sizes_of(a[1])) if len(a) > 1 else chunk(t, a[0], count)
    if name == "stack":
        return unstack(one(ts, name), a[0], count)
    if name == "chunk":
        return concat(ts, a[0], None)
    if name == "split":
        return concat(ts, a[0], sizes_of(a[1]))
    if name == "unstack":
        return stack(ts, a[0])
    call.dtype = ts[0].dtype if ts else None
    return each(ts, lambda x: undo_shape(call, x))


def undo_shape(call, x):
    name, a, r = call.name, call.args, x.ndim
    if name == "unflatten":
        k = len(a[1])
        d = dim_of(a[0], r - k + 1)
        if r < k:
            fail("shape", "unflatten does not make this rank")
        return flatten(x, d, d + k - 1, a[1])
    if name == "flatten":
        if len(a) < 3:
            fail("inverse", "flatten without sizes")
        before = r + len(a[2]) - 1
        return unflatten(x, dim_of(a[0], before), a[2])
    if name == "permute":
        return x.transpose(np.argsort(permutation(a, r)))
    if name == "transpose":
        return x.swapaxes(dim_of(a[0], r), dim_of(a[1], r))
    if name == "reshape":
        if len(a) < 2:
            fail("inverse", "reshape without the old shape")
        return reshape(x, a[1], a[0])
    if name == "squeeze":
        return np.expand_dims(x, dim_of(a[0], r + 1))
    if name == "unsqueeze":
        return squeeze(x, dim_of(a[0], r))
    if name == "slice":
        fail("inverse", "slice has no inverse")
    if name == "pad":
        d = dim_of(a[0], r)
        if x.shape[d] != a[2]:
            fail("shape", f"pad makes {a[2]}, not {x.shape[d]}")
        tail = x.take(range(a[1], a[2]), d)
        if call.options.strict_pad and (tail != scalar(a[3], call.dtype)).any():
            fail("pad", "padding holds other values")
        return x.take(range(a[1]), d)
    d = dim_of(a[0], r)
    first, alike = copies(x, d, size(a[1], "the number of copies"), name == "repeat_interleave")
    if not alike and not call.options.trust_replicas:
        fail("replica", f"the copies of `{name}` differ")
    return first
