"""What the parts of the generator share: indices, terms, and trees of axes.

A tree is an axis (a str), ("sum", [trees]) or ("prod", [trees])."""

import itertools
from dataclasses import dataclass

import numpy as np

COPY_DTYPES = ["BF16", "F32", "F16", "U8", "I64", "F64", "F8_E4M3", "BOOL", "I16", "C64"]
FLOATS = ["BF16", "F32", "F16", "F64"]


@dataclass
class Index:
    """An index of the map, or (words) of one rule."""
    name: str
    values: list                 # what it prints: numbers, or words on the left
    right_words: list = None     # words on the right; None: the same ones
    parts: list = None           # of a composite
    bounded: bool = False        # a composite that leaves out its last tuples
    in_keys: bool = False

    @property
    def n(self):
        return len(self.values)

    @property
    def is_words(self):
        return isinstance(self.values[0], str) if self.values else False


@dataclass
class Tensors:
    """A term: a key with indices, and a tree of factors."""
    key: list                    # of str and (Index, format)
    factors: list                # trees; an axis is a str
    dims: list = None            # consecutive groups of factors


def expand(tree):
    """The products of a tree, each a list of axes."""
    if isinstance(tree, str):
        return [[tree]]
    if tree[0] == "sum":
        return [p for t in tree[1] for p in expand(t)]
    return [sum(c, []) for c in itertools.product(*[expand(t) for t in tree[1]])]


def extent(tree, sizes):
    if isinstance(tree, str):
        return sizes[tree]
    parts = [extent(t, sizes) for t in tree[1]]
    return sum(parts) if tree[0] == "sum" else int(np.prod(parts, dtype=np.int64))


def show(tree, inside):
    """The text of a tree as an item of a product or sum (`inside`), or as a dimension."""
    if isinstance(tree, str):
        return tree
    if tree[0] == "sum":
        return "(" + " + ".join(show(t, True) for t in tree[1]) + ")"
    if not tree[1]:
        return "1"
    if len(tree[1]) == 1:
        return show(tree[1][0], inside)
    return "(" + " ".join(show(t, True) for t in tree[1]) + ")"


@dataclass
class Output:
    """What the rules make of one template of the other side: for shard lines."""
    text: str
    shapes: list
    index: str = None            # an index of its key
