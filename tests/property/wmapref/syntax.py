"""The nodes of the syntax tree.  Expressions are tuples (operator, operands...)."""

from dataclasses import dataclass, field
from typing import Any, Optional


@dataclass
class Hole:
    kind: str                 # text index words capture
    name: str = ""            # of the index or capture
    text: str = ""
    expr: Any = None          # of an index: what is printed
    width: int = 0
    words: list = field(default_factory=list)


@dataclass
class Term:
    key: list                 # of Hole
    pattern: Optional[list]   # of dimensions, or None


@dataclass
class Fill:
    value: Any
    dtype: str


@dataclass
class Op:
    name: str
    args: list
    lossy: bool = False


@dataclass
class Clauses:
    where: list = field(default_factory=list)      # (name, expr), outermost first
    when: list = field(default_factory=list)       # of expr
    optional: list = field(default_factory=list)   # of expr; ("bool", True) for a plain one
    broadcast: list = field(default_factory=list)  # of names
    pick: list = field(default_factory=list)       # (name, expr)
    pad: list = field(default_factory=list)        # (name, expr)

    def under(self, outer):
        """These clauses inside a block that has `outer`."""
        return Clauses(*[getattr(outer, f) + getattr(self, f)
                         for f in ("where", "when", "optional", "broadcast", "pick", "pad")])


@dataclass
class Rule:
    left: list                # of Term, or [Fill]
    right: list
    arrow: str                # <-> -> <-
    ops: list
    clauses: Clauses
    line: int


@dataclass
class Index:
    name: str
    kind: str                 # range (bound) | in (domain) | keys | composite (parts, bound or None)
    domain: Any = None
    parts: list = field(default_factory=list)
    where: Any = None


@dataclass
class FileLine:
    path: list
    holds: Optional[list] = None
    as_: Optional[list] = None
    root: Optional[str] = None


@dataclass
class Side:
    format: Optional[str] = None
    files: list = field(default_factory=list)
    aliases: list = field(default_factory=list)    # (x, y, when)
    ignores: list = field(default_factory=list)    # (template, when)


@dataclass
class ShardLine:
    key: list
    kind: str                 # split at replicate
    dim: Any = None
    at: Any = None
    parts: Any = None         # expr, or list of (expr, groups, width)
    groups: Any = None
    unit: Any = None
    size: Any = None
    pad: Any = None
    fill: Any = None
    uneven: bool = False
    width: Any = None
    when: Any = None


@dataclass
class Shard:
    index: str
    side: str                 # source target
    lines: list


@dataclass
class Module:
    name: str = ""
    params: dict = field(default_factory=dict)
    lets: dict = field(default_factory=dict)
    indices: dict = field(default_factory=dict)
    sides: dict = field(default_factory=lambda: {"source": Side(), "target": Side()})
    shards: list = field(default_factory=list)
    statements: list = field(default_factory=list)  # ("rule"|"override", Rule) ("within", ...) ("if", ...) ("use", n)
    imports: dict = field(default_factory=dict)     # name -> path, later name -> Module
    maps: dict = field(default_factory=dict)        # name -> map expression
