"""Random rules by named operations."""

import numpy as np

from gen_common import FLOATS, Index
from gen_sides import mention


WIDER = {"BF16": ["F32", "F64"], "F16": ["F32"], "F32": ["F64"], "F8_E4M3": ["BF16", "F16", "F32"], "F8_E5M2": ["F16"],
         "U8": ["I16", "F32", "BF16"], "I8": ["F16", "I32"], "I16": ["F32", "I64"]}
NARROWER = {"F32": ["BF16", "F16", "F8_E4M3", "F8_E5M2"], "F64": ["F32", "BF16"], "BF16": ["F8_E4M3"], "F16": ["F8_E5M2"]}


class Elementwise:
    """A chain of elementwise operations from a type: `forward` and `inverse` texts."""

    def __init__(self, g, dtype=None, arithmetic=True):
        self.dtype = now = dtype or g.r.choice(list(WIDER))
        self.forward, self.inverse = [], []
        casts = not arithmetic or g.chance(0.6)  # what sums and products make need not survive a cast
        for _ in range(g.r.randint(1, 2)):
            k = g.r.random()
            if k < 0.3 and now[0] in "FB" and now != "BOOL":
                self.add("neg", "neg")
            elif k < 0.5 and now in ("F32", "F64", "BF16", "F16") and not casts:
                name, a, b = g.r.choice([("mul", "2", "0.5"), ("mul", "0.25", "4.0"), ("add", "1", "-1"),
                                         ("add", "-0.5", "0.5")])
                self.add(f"lossy {name}({a})", f"lossy {name}({b})")
            elif casts and now in WIDER and k < 0.85 and now == self.dtype:
                to = g.r.choice(WIDER[now])
                self.add(f"cast({name_of(now)}, {name_of(to)})", f"lossy cast({name_of(to)}, {name_of(now)})")
                now = to
            elif casts and now in NARROWER and now == self.dtype:
                to = g.r.choice(NARROWER[now])
                self.add(f"lossy cast({name_of(now)}, {name_of(to)})", f"lossy cast({name_of(to)}, {name_of(now)})")
                now = to
        self.result = now

    def add(self, forward, inverse):
        self.forward.append(forward)
        self.inverse.insert(0, inverse)

    def arrow(self, g):
        ops = self.inverse if g.flip else self.forward
        return f" <-> {' | '.join(ops)} <-> " if ops else " <-> "


def name_of(dtype):
    return dtype.lower()


class OpsRule:
    """A rule by named operations: tensors, a random pipeline, and what comes out."""

    def __init__(self, g, instance, stem):
        self.g, self.r, self.instance, self.stem = g, g.r, [i for i in instance if not i.in_keys], stem

    def text(self):
        g = self.g
        self.dtype = self.r.choice(FLOATS)
        self.shapes = [[g.size() for _ in range(self.r.randint(0, 3))]]
        if g.chance(0.5):
            self.shapes *= self.r.randint(2, 4)
        self.safe, self.dtype_now, self.one_way = False, self.dtype, g.chance(0.25)
        left = self.list_terms(len(self.shapes), 0)
        start = [list(s) for s in self.shapes]
        ops = []
        self.open_count = None
        for _ in range(self.r.randint(1, 5)):
            op = self.step()
            if op:
                ops.append(op)
        if not ops:
            ops.append(("neg", "neg"))
        right = self.list_terms(len(self.shapes), 1)
        made = [g.output(k) for k in right[2]]
        for values in g.instances(self.instance):
            for k, shape in enumerate(self.shapes):
                made[k % len(made)].shapes.append(list(shape))
            for name, shape in zip(left[1](values), start):
                g.add_input(name, g.data(shape, self.dtype, self.safe))
        end = mention(g)
        forward, inverse = [t for t, _ in ops], [t for _, t in reversed(ops)]
        if self.one_way and g.flip:  # the data enters on the right
            return f"{right[0]} <- {' | '.join(reversed(forward))} <- {left[0]}{end}"
        if self.one_way:
            return f"{left[0]} -> {' | '.join(forward)} -> {right[0]}{end}"
        if g.flip:
            return f"{right[0]} <-> {' | '.join(inverse)} <-> {left[0]}{end}"
        return f"{left[0]} <-> {' | '.join(forward)} <-> {right[0]}{end}"

    def list_terms(self, n, side):
        """Terms, or one term with a placeholder, for n tensors: text, names, and keys."""
        g = self.g
        stem = f"{self.stem}{'r' if side else ''}"
        if n > 1 and g.chance(0.5):
            words = Index(g.fresh("p"), [f"w{k}" for k in self.r.sample(range(20 + n), n)])
            key = g.key(stem, self.instance + [words])
            return (g.show_key(key, 0, set()),
                    lambda v: [g.print_key(key, {**v, words.name: k}, side) for k in range(n)], [key])
        keys = [g.key(f"{stem}.{k}", self.instance) for k in range(n)]
        seen = set()
        return (", ".join(g.show_key(k, side, seen) for k in keys),
                lambda v: [g.print_key(k, v, side) for k in keys], keys)

    def dim(self, rank):
        d = self.r.randrange(rank)
        return d, d if self.g.chance(0.6) else d - rank

    def step(self):
        """One more operation: its text, and that of the operation of which it is the inverse."""
        g, shapes = self.g, self.shapes
        first = shapes[0]
        rank = len(first)
        if any(s != first for s in shapes):
            return None
        choices = ["neg", "unsqueeze"]
        if rank:
            choices += ["unflatten", "reshape"]
            choices += ["slice"] if self.one_way else []
            choices += ["repeat", "repeat_interleave", "pad"] if self.one_way or not g.flip else []
        if rank >= 2:
            choices += ["permute", "transpose", "flatten"] * 2
        if len(shapes) > 1:
            choices += ["stack"] * 3 + (["concat"] * 3 if rank else [])
        if len(shapes) == 1 and rank:
            choices += ["split", "unstack", "chunk"]
        if 1 in first:
            choices.append("squeeze")
        return getattr(self, "op_" + self.r.choice(choices))(list(first), rank)

    def set_all(self, shape):
        self.shapes = [list(shape) for _ in self.shapes]

    def op_neg(self, s, rank):
        return self.r.choice(["neg", "neg()"]), "neg"

    def op_unsqueeze(self, s, rank):
        d = self.r.randint(0, rank)
        self.set_all(s[:d] + [1] + s[d:])
        return f"unsqueeze({self.r.choice([d, d - rank - 1])})", f"squeeze({d})"

    def op_squeeze(self, s, rank):
        d = s.index(1)
        self.set_all(s[:d] + s[d + 1:])
        return f"squeeze({self.r.choice([d, d - rank])})", f"unsqueeze({d})"

    def op_unflatten(self, s, rank):
        d, n = self.dim(rank)
        a = self.r.choice([k for k in range(1, s[d] + 1) if s[d] % k == 0] or [1])
        b = s[d] // a
        self.set_all(s[:d] + [a, b] + s[d + 1:])
        return f"unflatten({n}, [{a}, {self.r.choice([b, -1])}])", f"flatten({d}, {d + 1}, [{a}, {b}])"

    def op_flatten(self, s, rank):
        a = self.r.randrange(rank - 1)
        b = self.r.randint(a + 1, rank - 1)
        old = s[a:b + 1]
        sizes = "" if self.one_way and self.g.chance(0.5) else f", {old}"
        self.set_all(s[:a] + [int(np.prod(old))] + s[b + 1:])
        return (f"flatten({self.r.choice([a, a - rank])}, {self.r.choice([b, b - rank])}{sizes})",
                f"unflatten({a}, {old})")

    def op_permute(self, s, rank):
        p = list(range(rank))
        self.r.shuffle(p)
        self.set_all([s[k] for k in p])
        back = [p.index(k) for k in range(rank)]
        return f"permute({', '.join(map(str, p))})", f"permute({', '.join(map(str, back))})"

    def op_transpose(self, s, rank):
        a, b = self.r.sample(range(rank), 2)
        t = list(s)
        t[a], t[b] = t[b], t[a]
        self.set_all(t)
        return f"transpose({self.r.choice([a, a - rank])}, {self.r.choice([b, b - rank])})", f"transpose({a}, {b})"

    def op_reshape(self, s, rank):
        n = int(np.prod(s))
        a = self.r.choice([k for k in range(1, n + 1) if n % k == 0] or [1])
        new = [a, n // a]
        self.set_all(new)
        return f"reshape({s}, {new})", f"reshape({new}, {s})"

    def op_repeat(self, s, rank, name="repeat"):
        d, n = self.dim(rank)
        k = self.r.choice([1, 2, 3])
        self.set_all(s[:d] + [s[d] * k] + s[d + 1:])
        return f"{name}({n}, {k})", None

    def op_repeat_interleave(self, s, rank):
        return self.op_repeat(s, rank, "repeat_interleave")

    def op_pad(self, s, rank):
        d, n = self.dim(rank)
        k = s[d] + self.r.choice([0, 1, 2])
        self.set_all(s[:d] + [k] + s[d + 1:])
        return f"pad({n}, {s[d]}, {k}, {self.r.choice(['0', '2', '1.5'])})", None

    def op_slice(self, s, rank):
        d, n = self.dim(rank)
        a = self.r.randint(0, s[d])
        b = self.r.randint(a, s[d])
        self.set_all(s[:d] + [b - a] + s[d + 1:])
        return f"slice({n}, {a}, {b})", None

    def op_concat(self, s, rank):
        d, n = self.dim(rank)
        k = len(self.shapes)
        if self.open_count == "chunk":  # nothing would say into how many
            return None
        given = self.open_count or self.g.chance(0.4)
        self.shapes = [s[:d] + [s[d] * k] + s[d + 1:]]
        self.open_count = None
        return f"concat({n}" + (f", {[s[d]] * k})" if given else ")"), f"split({d}, {[s[d]] * k})"

    def op_stack(self, s, rank):
        if self.open_count:
            return None
        d = self.r.randint(0, rank)
        self.shapes = [s[:d] + [len(self.shapes)] + s[d:]]
        return f"stack({self.r.choice([d, d - rank - 1])})", f"unstack({d})"

    def op_split(self, s, rank):
        d, n = self.dim(rank)
        cuts = sorted(self.r.randint(0, s[d]) for _ in range(self.r.randint(0, 2)))
        sizes = [b - a for a, b in zip([0] + cuts, cuts + [s[d]])]
        self.shapes = [s[:d] + [x] + s[d + 1:] for x in sizes]
        return f"split({n}, {sizes})", f"concat({d}, {sizes})"

    def op_chunk(self, s, rank):
        d, n = self.dim(rank)
        if s[d] == 0 or self.g.flip:
            return None
        k = self.r.choice([k for k in range(1, s[d] + 1) if s[d] % k == 0])
        self.shapes = [s[:d] + [s[d] // k] + s[d + 1:]] * k
        self.open_count = "chunk"
        return f"chunk({n})", None

    def op_unstack(self, s, rank):
        d, n = self.dim(rank)
        if not 1 <= s[d] <= 5:
            return None
        self.shapes = [s[:d] + s[d + 1:]] * s[d]
        self.open_count = "unstack"
        return f"unstack({n})", f"stack({d})"
