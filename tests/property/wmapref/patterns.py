"""Patterns: sizes of axes, and for each product of a pattern the places of its elements in the tensor."""

import numpy as np

from .errors import fail


def with_rest(pattern, rank):
    """The pattern with `...` replaced by `rank` axes of their own."""
    out = []
    for dim in pattern:
        out += [("axis", f"...{i}") for i in range(rank)] if dim == ("rest",) else [dim]
    return out


def rest_rank(pattern, shape, key):
    n = len(shape) - (len(pattern) - 1)
    if n < 0:
        fail("shape", f"{key} has rank {len(shape)}, the pattern needs {len(pattern) - 1} or more")
    return n


def map_axes(item, f):
    """The pattern with every axis replaced by f(name)."""
    if item[0] == "axis":
        return f(item[1])
    if item[0] in ("product", "sum"):
        return (item[0], [map_axes(x, f) for x in item[1]])
    return item


def axes_of(item):
    if item[0] == "axis":
        return {item[1]}
    if item[0] in ("product", "sum"):
        return set().union(*map(axes_of, item[1]))
    return set()


def total(item, sizes):
    """The size of an item; every axis must be known."""
    if item[0] == "axis":
        return sizes[item[1]]
    if item[0] == "one":
        return 1
    parts = [total(x, sizes) for x in item[1]]
    if item[0] == "sum":
        return sum(parts)
    n = 1
    for p in parts:
        n *= p
    return n


def solve(equations, sizes):
    """Find sizes from (pattern, shape, key) until nothing is unknown; then check every dimension."""
    progress = True
    while progress:
        progress = False
        for pattern, shape, key in equations:
            if len(pattern) != len(shape):
                fail("shape", f"{key} has rank {len(shape)}, the pattern {len(pattern)}")
            for dim, n in zip(pattern, shape):
                unknown = [a for a in axes_of(dim) if a not in sizes]
                if len(unknown) != 1:
                    continue
                a = unknown[0]
                at0 = total(dim, {**sizes, a: 0})
                slope = total(dim, {**sizes, a: 1}) - at0
                if slope == 0:
                    continue
                if n < at0 or (n - at0) % slope:
                    fail("shape", f"{key}: a dimension of {n} does not fit")
                sizes[a] = (n - at0) // slope
                progress = True
    for pattern, shape, key in equations:
        for dim, n in zip(pattern, shape):
            missing = [a for a in axes_of(dim) if a not in sizes]
            if missing:
                fail("unsolvable", f"{key}: nothing tells the size of {missing}")
            if total(dim, sizes) != n:
                fail("shape", f"{key}: a dimension is {n}, the pattern makes {total(dim, sizes)}")
    return sizes


def alternatives(item, sizes):
    """[(axes, places)]: for each product of an item its axes in order, and an array over them of the places."""
    if item[0] == "one":
        return [((), np.zeros((), np.int64))]
    if item[0] == "axis":
        return [((item[1],), np.arange(sizes[item[1]]))]
    if item[0] == "sum":
        out, offset = [], 0
        for x in item[1]:
            out += [(axes, places + offset) for axes, places in alternatives(x, sizes)]
            offset += total(x, sizes)
        return out
    out = [((), np.zeros((), np.int64))]
    for x in item[1]:
        n = total(x, sizes)
        out = [(a + b, np.add.outer(p * n, q)) for a, p in out for b, q in alternatives(x, sizes)]
    return out


def products(pattern, sizes):
    """[(axes, index)]: for each product of a tensor its axes and the index arrays, one for each dimension, that
    pick its elements in the order of the axes."""
    out = [((), ())]
    for dim in pattern:
        new = []
        for axes, index in out:
            for more, places in alternatives(dim, sizes):
                widened = tuple(i.reshape(i.shape + (1,) * len(more)) for i in index)
                new.append((axes + more, widened + (places.reshape((1,) * len(axes) + places.shape),)))
        out = new
    for axes, _ in out:
        if len(set(axes)) != len(axes):
            fail("pairing", f"an axis occurs twice in {axes}")
    return out


def shape_of(pattern, sizes):
    for dim in pattern:
        missing = [a for a in axes_of(dim) if a not in sizes]
        if missing:
            fail("unsolvable", f"nothing tells the size of {missing}")
    return tuple(total(dim, sizes) for dim in pattern)
