"""One side of a map: which tensors of which files are which keys, aliases, ignored keys, and shards.

Rules see *logical* tensors: a key, and values of those file indices that no shard block takes care of, as a
frozenset of (base index, ordinal)."""

import numpy as np

from .dtypes import Tensor, scalar
from .errors import fail
from .names import Names, Scope
from .values import boolean, evaluate, size


class FileNames:
    """A `file` line."""

    def __init__(self, env, line):
        self.line = line
        self.names = Names(env, [t for t in (line.path, line.holds, line.as_) if t is not None], [])
        path = self.names.template_bases(line.path)
        known = self.names.template_bases(line.holds) if line.holds is not None else []
        self.free = [b for b in path if b not in known]

    def match_key(self, key):
        """The assignment of a key that this line places; None if it does not."""
        if self.line.holds is None:
            return {}
        found = self.names.match(self.line.holds, key, 0)
        return found[0] if found else None

    def physical(self, key, values):
        a = self.match_key(key) | values
        for hole in self.line.path:
            if hole.name in self.names.captures:
                component(a[hole.name])
        inner = key
        if self.line.as_ is not None:
            inner = self.names.render(self.line.as_, a, 0)
        return self.names.render(self.line.path, a, 0), inner

    def logical(self, file, inner):
        """All (key, free indices) that a tensor of a file may be."""
        out = []
        for given in self.names.match(self.line.path, file, 0):
            if self.line.holds is None:
                out.append((inner, frozenset((b, given[b]) for b in self.free)))
                continue
            for a in self.names.match(self.line.as_ or self.line.holds, inner, 0, given):
                if all(b in a for b in self.names.template_bases(self.line.holds)):
                    key = self.names.render(self.line.holds, a, 0)
                    out.append((key, frozenset((b, a[b]) for b in self.free)))
        return out


def component(text):
    """A capture in a file name must be one plain path component."""
    if text in (".", "..") or "/" in text or "\0" in text:
        fail("file", f"{text!r} is not a plain file name")


class ShardBlock:
    def __init__(self, env, shard):
        self.env, self.shard = env, shard
        self.bases = env.components(shard.index)
        self.degree = env.composite_size(shard.index)
        self.lines = [(Names(env, [line.key], []), line) for line in shard.lines]

    def position(self, values):
        p = 0
        for b in self.bases:
            p = p * len(self.env.need(b)) + values[b]
        return p

    def line(self, key):
        for names, line in self.lines:
            found = names.match(line.key, key, 0)
            if not found:
                continue
            scope = Scope(self.env, names.values(found[0]), None, names, found[0])
            if line.when is None or boolean(evaluate(line.when, scope)):
                return line, scope
        fail("shard", f"no line of the shard block is about {key}")

    def places(self, line, scope, n, key):
        """For each rank the places in the whole (padded) dimension that it holds."""
        ranks = self.degree
        if line.uneven:
            step = -(-n // ranks) if n else 0
            return [np.arange(min(r * step, n), min((r + 1) * step, n)) for r in range(ranks)]
        groups = size(evaluate(line.groups, scope), "groups") if line.groups is not None else None
        unit = size(evaluate(line.unit, scope), "unit") if line.unit is not None else 1
        if line.parts is None:
            parts = [(n, groups, line.width)]
        elif isinstance(line.parts, list):
            parts = [(size(evaluate(e, scope), "a part"),
                      size(evaluate(g, scope), "groups") if g is not None else None if w is not None else groups,
                      w if w is not None else None if g is not None else line.width) for e, g, w in line.parts]
        else:
            v = evaluate(line.parts, scope)
            if isinstance(v, list):
                parts = [(size(x, "a part"), groups, line.width) for x in v]
            else:
                count = size(v, "parts")
                if count == 0 or n % count:
                    fail("shard", f"{key}: {n} does not divide into {count} parts")
                parts = [(n // count, groups, line.width)] * count
        if sum(p for p, _, _ in parts) != n:
            fail("shard", f"{key}: the parts {parts} do not add up to {n}")
        out, offset = [[] for _ in range(ranks)], 0
        for length, g, w in parts:
            cuts = self.cuts(length, g, unit, key) if w is None else self.widths(length, w, scope, unit, key)
            for r, (lo, hi) in enumerate(cuts):
                out[r].append(np.arange(offset + lo, offset + hi))
            offset += length
        return [np.concatenate(pieces) if pieces else np.arange(0) for pieces in out]

    def widths(self, n, width, scope, unit, key):
        at, out = 0, []
        for r in range(self.degree):
            here = Scope(self.env, {**scope.values, self.shard.index: self.value(r)}, scope.where, scope.names, scope.assignment)
            w = size(evaluate(width, here), "the width")
            if unit == 0 or w % unit:
                fail("shard", f"{key}: a width of {w} inside a unit of {unit}")
            out.append((at, at + w))
            at += w
        if at != n:
            fail("shard", f"{key}: the widths add up to {at}, not {n}")
        return out

    def value(self, r):
        """Of the index, for rank r."""
        return self.env.need(self.bases[0])[r] if len(self.bases) == 1 else r

    def cuts(self, n, groups, unit, key):
        ranks = self.degree
        pieces = ranks
        if groups is not None:
            if groups == 0 or (groups % ranks and ranks % groups):
                fail("shard", f"{key}: {groups} groups over {ranks} ranks")
            if n % groups:
                fail("shard", f"{key}: {n} does not divide into {groups} groups")
            pieces = min(ranks, groups)
        if n % pieces:
            fail("shard", f"{key}: {n} does not divide by {pieces}")
        step = n // pieces
        if unit == 0 or (pieces > 1 and step % unit):
            fail("shard", f"{key}: a cut of {step} inside a unit of {unit}")
        run = ranks // pieces
        return [(r // run * step, (r // run + 1) * step) for r in range(ranks)]

    def geometry(self, key, line, scope, shape):
        """(dimension, size, padded size, places) of a split."""
        d = evaluate(line.dim, scope)
        if not isinstance(d, int) or not -len(shape) <= d < len(shape):
            fail("shard", f"{key} has no dimension {d}")
        d %= len(shape)
        n = shape[d]
        if line.size is not None:
            n = size(evaluate(line.size, scope), "size")
        padded = size(evaluate(line.pad, scope), "pad") if line.pad is not None else n
        if padded < n:
            fail("shard", f"{key}: pad to less than the size")
        return d, n, padded, self.places(line, scope, padded, key)

    def cut(self, key, tensor):
        """[(rank, piece)] of a whole tensor."""
        line, scope = self.line(key)
        if line.kind == "replicate":
            return [(r, tensor) for r in range(self.degree)]
        if line.kind == "at":
            return [(self.at(line, scope, key), tensor)]
        d, n, padded, places = self.geometry(key, line, scope, tensor.shape)
        if tensor.shape[d] != n:
            fail("shape", f"{key}: dimension {d} is {tensor.shape[d]}, not {n}")
        value = scalar(evaluate(line.fill, scope) if line.fill is not None else 0, tensor.dtype)
        tail = np.full(tensor.shape[:d] + (padded - n,) + tensor.shape[d + 1:], value, tensor.data.dtype)
        whole = np.concatenate([tensor.data, tail], d)
        return [(r, Tensor(tensor.dtype, whole.take(p, d))) for r, p in enumerate(places)]

    def at(self, line, scope, key):
        r = evaluate(line.at, scope)
        if not isinstance(r, int) or not 0 <= r < self.degree:
            fail("shard", f"{key}: at {r} of {self.degree}")
        return r

    def join(self, key, pieces, options):
        """The whole of {rank: piece}."""
        line, scope = self.line(key)
        ranks = [self.at(line, scope, key)] if line.kind == "at" else list(range(self.degree))
        for r in ranks:
            if r not in pieces:
                fail("missing", f"{key} of rank {r}")
        if set(pieces) - set(ranks):
            fail("unmapped", f"{key} of rank {sorted(set(pieces) - set(ranks))}")
        first = pieces[ranks[0]]
        if any(t.dtype != first.dtype for t in pieces.values()):
            fail("dtype", f"{key}: the ranks differ in dtype")
        if line.kind != "split":
            if not options.trust_replicas and not all(t.same(first) for t in pieces.values()):
                fail("replica", f"{key}: the ranks differ")
            return first
        return self.join_split(key, line, scope, pieces, options)

    def join_split(self, key, line, scope, pieces, options):
        first = pieces[0]
        d = evaluate(line.dim, scope)
        if not isinstance(d, int) or not -len(first.shape) <= d < len(first.shape):
            fail("shard", f"{key} has no dimension {d}")
        d %= len(first.shape)
        padded = self.whole_size(key, line, scope, [pieces[r].shape[d] for r in range(self.degree)])
        shape = first.shape[:d] + (padded,) + first.shape[d + 1:]
        _, n, padded, places = self.geometry(key, line, scope, shape)
        shape = first.shape[:d] + (padded,) + first.shape[d + 1:]
        whole, seen = np.zeros(shape, first.data.dtype), np.zeros(padded, bool)
        for r in range(self.degree):
            piece = np.moveaxis(pieces[r].data, d, 0)
            expected = (len(places[r]),) + shape[:d] + shape[d + 1:]
            if piece.shape != expected:
                fail("shape", f"{key} of rank {r}: {piece.shape}, not {expected}")
            view = np.moveaxis(whole, d, 0)
            for p, row in zip(places[r], piece):
                if seen[p] and (view[p] != row).any() and not options.trust_replicas:
                    fail("replica", f"{key}: the ranks differ")
                if not seen[p]:
                    view[p] = row
                seen[p] = True
        if options.strict_pad and n < padded:
            value = scalar(evaluate(line.fill, scope) if line.fill is not None else 0, first.dtype)
            if (whole.take(range(n, padded), d) != value).any():
                fail("pad", f"{key}: padding holds other values")
        return Tensor(first.dtype, whole.take(range(n), d))

    def whole_size(self, key, line, scope, found):
        """The size of the whole dimension, from those of the ranks."""
        if line.size is not None:
            return size(evaluate(line.pad if line.pad is not None else line.size, scope), "pad")
        if isinstance(line.parts, list):
            return sum(size(evaluate(e, scope), "a part") for e, _, _ in line.parts)
        if line.groups is not None:
            groups = size(evaluate(line.groups, scope), "groups")
            return found[0] * min(groups, self.degree)
        return sum(found)


class Side:
    """One side of an Env, ready to translate."""

    def __init__(self, env, which):
        self.env, self.which = env, which
        syntax = env.module.sides[which]
        self.files = [FileNames(env, line) for line in syntax.files]
        self.aliases = [(Names(env, [x], [y]), x, y, when) for x, y, when in syntax.aliases]
        self.ignores = [(Names(env, [t], []), t, when) for t, when in syntax.ignores]
        self.shards = [ShardBlock(env, s) for s in env.module.shards if s.side == which]

    def true(self, when, names, assignment):
        return when is None or boolean(evaluate(when, Scope(self.env, names.values(assignment), None, names,
                                                             assignment)))

    # ---- files ----

    def file_of(self, key):
        for f in self.files:
            if f.match_key(key) is not None:
                return f
        return None

    def shards_of(self, key):
        f = self.file_of(key)
        return [s for s in self.shards if f is not None and all(b in f.free for b in s.bases)]

    def file_bases(self, key):
        """The file indices of a key that rules must mention."""
        if not self.files:
            return []
        f = self.file_of(key)
        if f is None:
            fail("file", f"no file line places {key}")
        cut = [b for s in self.shards_of(key) for b in s.bases]
        return [b for b in f.free if b not in cut]

    def read(self, physical, options):
        """{key: {file values: tensor}} of {(file, name): tensor}; shards are joined."""
        out = {}
        for (file, inner), tensor in physical.items():
            key, values = (inner, frozenset()) if not self.files else self.place(file, inner)
            if values in out.setdefault(key, {}):
                fail("conflict", f"{key} is there twice")
            out[key][values] = tensor
        for key in out:
            for block in reversed(self.shards_of(key)):
                out[key] = self.join(block, key, out[key], options)
        return out

    def place(self, file, inner):
        for f in self.files:
            for key, values in f.logical(file, inner):
                if self.file_of(key) is f:
                    return key, values
        fail("unmapped", f"{inner} in file {file}")

    def join(self, block, key, found, options):
        groups = {}
        for values, tensor in found.items():
            rest = frozenset((b, v) for b, v in values if b not in block.bases)
            groups.setdefault(rest, {})[block.position(dict(values))] = tensor
        return {rest: block.join(key, pieces, options) for rest, pieces in groups.items()}

    def write(self, logical):
        """{(file, name): tensor} of {(key, file values): tensor}."""
        out = {}
        for (key, values), tensor in logical.items():
            pieces = [(dict(values), tensor)]
            for block in self.shards_of(key):
                pieces = [(v | self.rank(block, r), part)
                          for v, t in pieces for r, part in block.cut(key, t)]
            for v, t in pieces:
                f = self.file_of(key)
                place = (None, key) if f is None else f.physical(key, v)
                if place in out:
                    fail("conflict", f"{place} is written twice")
                out[place] = t
        return out

    def rank(self, block, position):
        values = {}
        for b in reversed(block.bases):
            position, values[b] = divmod(position, len(self.env.need(b)))
        return values

    # ---- aliases and ignored keys ----

    def alias_of(self, key):
        """The key that gives `key` its data where it is absent."""
        for names, x, y, when in self.aliases:
            for a in names.match(x, key, 0):
                if self.true(when, names, a):
                    return names.render(y, a, 1)
        return None

    def ignored(self, key):
        return any(self.true(when, names, a) for names, t, when in self.ignores for a in names.match(t, key, 0))
