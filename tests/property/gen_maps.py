"""Random maps with checkpoints that fit them.

    case = make_case(seed)      case.text, case.config, case.params, case.inputs, case.backward

`inputs` is the side that the test starts from: the left one, or the right one if `case.backward`.  The maps are well
formed by construction: a rule begins as a family of products (sets of axes), which each side arranges in its own way:
which products share a tensor, what is factored out, the order of axes, what becomes an index of keys, how factors
make dimensions.  Everything is small, with sizes of 0 and 1 among the others.
"""

import itertools
import random
from dataclasses import dataclass, field

import numpy as np

from wmapref.dtypes import DTYPES, Tensor, storage

COPY_DTYPES = ["BF16", "F32", "F16", "U8", "I64", "F64", "F8_E4M3", "BOOL", "I16", "C64"]
FLOATS = ["BF16", "F32", "F16", "F64"]


@dataclass
class Case:
    seed: int
    text: str
    config: dict
    params: dict
    inputs: dict
    backward: bool


@dataclass
class Index:
    """An index of the map, or (words) of one rule."""
    name: str
    values: list                 # what it prints: numbers, or words on the left
    right_words: list = None     # words on the right; None: the same ones
    parts: list = None           # of a composite
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


# ---- trees: "axis", ("sum", [trees]), ("prod", [trees]) ----

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


class Generator:
    def __init__(self, seed):
        self.seed = seed
        self.r = random.Random(seed)
        self.np = np.random.default_rng(seed)
        self.config = {}
        self.declarations = []
        self.indices = []
        self.rules = []          # text
        self.source, self.target = [], []
        self.inputs = {}
        self.counter = 0
        self.plain_keys = False  # rules that share keys must not print different values alike
        self.flip = self.chance(0.4)

    # ---- small things ----

    def chance(self, p):
        return self.r.random() < p

    def fresh(self, stem):
        self.counter += 1
        return f"{stem}{self.counter}"

    def size(self):
        return self.r.choice([1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7])

    def config_value(self, v):
        name = self.fresh("c")
        if self.chance(0.2):
            self.config.setdefault("sub", {})[name] = v
            return f"config.sub.{name}"
        self.config[name] = v
        return f"config.{name}"

    def number(self, v):
        """An expression with a value."""
        k = self.r.randrange(8)
        if k == 0:
            return self.config_value(v)
        if k == 1:
            return f"{self.config_value(v)} ?? 17"
        if k == 2:
            return f"config.absent ?? {v}"
        if k == 3:
            return f"{v * 3} / 3"
        if k == 4:
            return f"max({v}, 0)"
        if k == 5 and v > 1:
            return f"{v - 1} + 1"
        if k == 6:
            return f"{self.config_value(float(v))}"
        return str(v)

    def data(self, shape, dtype, safe=False):
        """Random bits; `safe`: finite numbers of moderate size."""
        n = int(np.prod(shape, dtype=np.int64))
        if safe or dtype == "BOOL":
            from wmapref.dtypes import from_float
            v = self.np.integers(0, 2, n) if dtype == "BOOL" else self.np.integers(-64, 64, n) / 8
            return Tensor(dtype, from_float(v.astype(np.float64), dtype).data.reshape(shape))
        raw = self.np.integers(0, 256, n * storage(dtype).itemsize, dtype=np.uint8)
        return Tensor(dtype, raw.view(storage(dtype)).reshape(shape))

    # ---- indices ----

    def make_indices(self):
        for _ in range(self.r.randint(1, 3)):
            self.indices.append(self.make_index())
        plain = [i for i in self.indices if not i.in_keys]
        if len(plain) >= 2 and self.chance(0.4):
            a, b = self.r.sample(plain, 2)
            name = self.fresh("co")
            bound = a.n * b.n
            self.declarations.append(f"index {name} = ({a.name} {b.name})")
            self.indices.append(Index(name, list(range(bound)), parts=[a, b]))

    def make_index(self):
        name = self.fresh("i")
        k = self.r.randrange(7)
        n = self.r.choice([1, 2, 2, 3, 3, 4, 11])
        if k == 0:
            self.declarations.append(f"index {name} in 2..{n} + 2")
            return Index(name, list(range(2, n + 2)))
        if k == 1:
            values = sorted(self.r.sample(range(13), min(n, 5)))
            self.declarations.append(f"index {name} in {values}")
            return Index(name, values)
        if k == 2:
            values = [v for v in range(n) if v % 2 == 0]
            self.declarations.append(f"index {name} < {n} where {name} % 2 == 0")
            return Index(name, values)
        if k == 3:
            self.declarations.append(f"index {name} in keys")
            return Index(name, list(range(n)), in_keys=True)
        self.declarations.append(f"index {name} < {self.number(n)}")
        return Index(name, list(range(n)))

    def words(self):
        n = self.r.choice([1, 2, 2, 3])
        pool = ["gate", "up", "down", "q", "k", "v", "o.proj", "w_1", "w_10", "in-x"]
        ix = Index(self.fresh("p"), self.r.sample(pool, n))
        if self.chance(0.4):
            ix.right_words = self.r.sample(pool, n)
        return ix

    def hole_format(self, ix):
        if ix.is_words:
            return "words"
        if ix.in_keys or self.plain_keys:
            return "plain"
        return self.r.choice(["plain", "plain", "plain", "pad", "shift"])

    # ---- keys ----

    def key(self, stem, indices):
        """A key that has some indices, in any order, kept apart by literal text."""
        pieces, order = [stem], list(indices)
        self.r.shuffle(order)
        for ix in order:
            pieces += [".", (ix, self.hole_format(ix))]
        if order and self.chance(0.5):
            pieces.append(self.r.choice([".weight", ".w", "/x", ".{{b}}", " y"]))
        return pieces

    def print_key(self, key, values, side):
        """The key under {index name: ordinal}."""
        out = ""
        for piece in key:
            if isinstance(piece, str):
                out += piece.replace("{{", "{").replace("}}", "}")
                continue
            ix, fmt = piece
            v = self.ordinal(ix, values)
            if ix.is_words:
                out += (ix.right_words or ix.values)[v] if side else ix.values[v]
            elif fmt == "pad":
                out += f"{ix.values[v]:03d}"
            elif fmt == "shift":
                out += str(ix.values[v] * 2 + 1)
            else:
                out += str(ix.values[v])
        return out

    def ordinal(self, ix, values):
        if ix.parts:
            return self.ordinal(ix.parts[0], values) * ix.parts[1].n + self.ordinal(ix.parts[1], values)
        return values[ix.name]

    def show_key(self, key, side, seen):
        """The text of a key; `seen` are the words that have been listed already, per side."""
        out = ""
        for piece in key:
            if isinstance(piece, str):
                out += piece
                continue
            ix, fmt = piece
            if ix.is_words:
                words = ix.right_words or ix.values if side else ix.values
                listed = (ix.name, side) in seen or (not ix.right_words and (ix.name, 1 - side) in seen)
                if listed and self.chance(0.6):
                    out += "{" + ix.name + "}"
                else:
                    out += "{" + f"{ix.name} in {'|'.join(words)}" + "}"
                seen.add((ix.name, side))
            elif fmt == "pad":
                out += "{" + ix.name + ":03}"
            elif fmt == "shift":
                out += "{" + ix.name + " * 2 + 1}"
            else:
                out += "{" + ix.name + "}"
        return f'"{out}"'

    def assignments(self, bases):
        return [dict(zip([b.name for b in bases], t)) for t in itertools.product(*[range(b.n) for b in bases])]

    # ---- the map ----

    def pick_instance(self):
        """Indices for all keys of a rule, and their base indices."""
        usable = [i for i in self.indices if not i.in_keys or self.chance(0.5)]
        chosen = self.r.sample(usable, min(len(usable), self.r.choice([0, 1, 1, 1, 2])))
        if any(c.parts and any(p in chosen for p in c.parts) for c in chosen):
            chosen = [c for c in chosen if not c.parts]
        if sum(c.n for c in chosen) > 12:
            chosen = chosen[:1]
        if self.chance(0.3):
            chosen.append(self.words())
        return chosen

    def bases(self, instance):
        return [b for i in instance for b in (i.parts or [i])]

    def condition(self, instance):
        """A condition on an index of the instance: text, and the predicate on assignments."""
        # words that differ on the two sides have no one value to compare with
        usable = [i for i in instance if not i.in_keys and i.n > 0 and not i.right_words]
        if not usable or self.chance(0.1):
            yes = self.chance(0.5)
            text = self.config_value(yes) if self.chance(0.5) else f"{int(yes)} == 1"
            return text, lambda values: yes
        ix = self.r.choice(usable)
        if ix.is_words:
            word = self.r.choice(ix.values)
            return f'{ix.name} == "{word}"', lambda values: ix.values[values[ix.name]] == word
        k = self.r.randrange(4)
        if k == 0:
            c = self.r.choice(ix.values)
            return f"{ix.name} < {c}", lambda values: ix.values[self.ordinal(ix, values)] < c
        if k == 1:
            return f"({ix.name} + 1) % 2 == 0", lambda values: (ix.values[self.ordinal(ix, values)] + 1) % 2 == 0
        if k == 2:
            some = [v for v in ix.values if self.chance(0.5)]
            return f"{ix.name} in {some} || false", lambda values: ix.values[self.ordinal(ix, values)] in some
        kinds = [self.r.choice(["a", "b"]) for _ in range(max(ix.values) + 1)]
        return (f'{self.config_value(kinds)}[{ix.name}] == "a"',
                lambda values: kinds[ix.values[self.ordinal(ix, values)]] == "a")

    def add_rules(self):
        kind = self.r.randrange(10)
        stem = self.fresh("t")
        if kind <= 3:
            instance = self.pick_instance()
            self.rules.append(PatternRule(self, instance, stem, lambda v: True).text())
        elif kind == 4:
            self.conditional_rules(stem)
        elif kind == 5:
            self.rules.append(OpsRule(self, self.pick_instance(), stem).text())
        elif kind == 6:
            self.weaker_rules(stem)
        elif kind == 7:
            self.within_block(stem)
        elif kind == 8:
            self.side_items(stem)
        else:
            self.rename_rule(stem)

    def conditional_rules(self, stem):
        """`if … else if … else …`; the arms may claim the same keys."""
        instance = [i for i in self.pick_instance() if not i.in_keys]
        arms = self.r.randint(1, 2)
        conditions = [self.condition(instance) for _ in range(arms)]
        one_stem = self.chance(0.4)

        def active_of(k):
            def active(values):
                before = any(p(values) for _, p in conditions[:k])
                return not before and (k == arms or conditions[k][1](values))
            return active
        self.plain_keys = one_stem
        bodies = [PatternRule(self, instance, stem if one_stem else f"{stem}arm{k}", active_of(k),
                              conditional=True).text()
                  for k in range(arms + self.chance(0.7))]
        self.plain_keys = False
        text = " else ".join(f"if {c} {{\n  {body}\n}}" for (c, _), body in zip(conditions, bodies))
        if len(bodies) > arms:
            text += f" else {{\n  {bodies[arms]}\n}}"
        self.rules.append(text)

    def within_block(self, stem):
        """Rules under a prefix with an index."""
        usable = [i for i in self.indices if not i.in_keys]
        if not usable:
            return
        ix = self.r.choice(usable)
        fmt = [self.hole_format(ix) for _ in range(2)]
        prefix = [[stem, ".", (ix, f), "."] for f in fmt]
        body, seen = [], set()
        head = [self.show_key(prefix[s], s, seen) for s in (0, 1)]
        clauses, sizes = "", {}
        if self.chance(0.3):
            name = self.fresh("w")
            sizes = {name: self.size()}
            clauses = f" where {name} = {self.number(sizes[name])}"
        for k in range(self.r.randint(1, 2)):
            body.append(PatternRule(self, [ix], f"s{k}", lambda v: True, prefix=prefix, given=sizes).text())
        if self.chance(0.3):
            words = self.words()
            inner = PatternRule(self, [ix], "in", lambda v: True, prefix=prefix, nested=words)
            body.append(inner.text())
        self.rules.append(f"within {self.sided(head, ' <-> ')}{clauses} {{\n  " + "\n  ".join(body) + "\n}")

    def sided(self, pair, arrow):
        left, right = reversed(pair) if self.flip else pair
        return left + arrow + right

    def rename_rule(self, stem):
        """A rule without patterns."""
        instance = self.pick_instance()
        left, right = self.key(stem, instance), self.key(stem + "r", instance)
        seen = set()
        texts = [self.show_key(left, 0, seen), self.show_key(right, 1, seen)]
        clauses = ""
        optional = self.chance(0.3) and not any(i.in_keys for i in instance)
        if optional:
            clauses = " optional"
        for values in self.assignments(self.bases(instance)):
            if optional and self.chance(0.4):
                continue
            shape = [self.r.choice([0, 1, 2, 3]) for _ in range(self.r.randint(0, 3))]
            self.add_input(self.print_key(left, values, 0), self.data(shape, self.r.choice(COPY_DTYPES)))
        self.rules.append(self.sided(texts, " <-> ") + clauses)

    def weaker_rules(self, stem):
        """A rule with a capture, and stronger rules that take some of its keys."""
        tail = self.r.choice(["", ".end"])
        weak = [f'"{stem}.{{r*}}{tail}"', f'"{stem}r.{{r*}}{tail}"']
        rules = [self.sided(weak, " <-> ")]
        taken = set()
        if self.chance(0.7):
            usable = [i for i in self.indices if not i.in_keys]
            ix = self.r.choice(usable) if usable else None
            if ix is not None and ix.n:
                strong = PatternRule(self, [ix], stem + ".s", lambda v: True, tail=tail)
                rules.append(strong.text())
                taken = strong.left_keys | strong.right_keys
        if self.chance(0.4):
            rules.append(self.sided([f'"{stem}.m.{{t*}}{tail}"', f'"{stem}m.{{t*}}{tail}"'], " <-> "))
            self.add_input(f"{stem}.m.{self.r.choice('ab')}.c{tail}", self.data([2], "F32"))
        for name in self.r.sample(["a", "b.0", "x.1.y", "q/w", "7", "ü"], self.r.randint(1, 4)):
            key = f"{stem}.{name}{tail}"
            if key not in taken:
                shape = [self.r.choice([0, 1, 2, 3]) for _ in range(self.r.randint(0, 2))]
                self.add_input(key, self.data(shape, self.r.choice(COPY_DTYPES)))
        self.r.shuffle(rules)
        self.rules += rules

    def side_items(self, stem):
        """Ignored keys, aliases, filled tensors."""
        k = self.r.randrange(3)
        usable = [i for i in self.indices if not i.in_keys and i.n]
        if k == 0 and usable:
            ix = self.r.choice(usable)
            self.source.append(f'ignore "{stem}.{{{ix.name}}}.inv", "{stem}.none"')
            for v in ix.values:
                if self.chance(0.5):
                    self.add_input(f"{stem}.{v}.inv", self.data([2], "F32"))
        elif k == 1:
            when = self.r.choice(["", f" when {self.config_value(True)}"])
            self.source.append(f'alias "{stem}.x" = "{stem}.y"{when}')
            self.rules.append(self.sided([f'"{stem}.x"', f'"{stem}r.x"'], " <-> "))
            self.rules.append(self.sided([f'"{stem}.y"', f'"{stem}r.y"'], " <-> "))
            t = self.data([3, 2], "BF16")
            self.add_input(f"{stem}.y", t)
            if self.chance(0.3):
                self.add_input(f"{stem}.x", Tensor(t.dtype, t.data.copy()))
        else:
            n, dtype = self.size(), self.r.choice(["f32", "bf16", "i32", "f16"])
            value = self.r.choice(["0", "1", "-2", "3"] + (["0.5", "-1.25"] if dtype != "i32" else []))
            arrow = self.r.choice([" <-> ", " <-> ", " -> " if not self.flip else " <- "])
            axis = self.fresh("n")
            self.rules.append(self.sided([f"fill {value} {dtype}", f'"{stem}.f" [{axis} 1]'], arrow)
                              + f" where {axis} = {self.number(n)}")

    def add_input(self, key, tensor):
        assert key not in self.inputs, key
        self.inputs[key] = tensor

    def case(self):
        self.make_indices()
        for _ in range(self.r.randint(1, 4)):
            self.add_rules()
        if not self.rules:
            self.rename_rule(self.fresh("t"))
        sides = []
        for name, items in ((("target", "source")[not self.flip], self.source),
                            (("source", "target")[not self.flip], self.target)):
            if items:
                sides.append(f"{name} {{ " + "\n  ".join(items) + " }")
        self.r.shuffle(self.declarations)
        text = "wmap 1\nmap random \"seed %d\"\n%s\n" % (
            self.seed, "\n".join(self.declarations + sides + self.rules))
        return Case(self.seed, text, self.config, {}, {(None, k): t for k, t in self.inputs.items()}, self.flip)


class PatternRule:
    """A rule with patterns: a family of products, arranged twice."""

    def __init__(self, g, instance, stem, active, prefix=None, given=None, tail="", nested=None,
                 conditional=False):
        self.g, self.r, self.instance, self.stem, self.active = g, g.r, instance, stem, active
        self.prefix, self.given, self.tail, self.nested = prefix, given or {}, tail, nested
        self.conditional = conditional
        self.left_keys, self.right_keys = set(), set()
        self.axis_index = {}       # axis name -> Index, where it is one
        for _ in range(100):
            if self.try_families():
                break
        else:
            raise AssertionError("no family found")
        self.clauses()

    # ---- the family ----

    def new_axis(self):
        g = self.g
        k = self.r.random()
        if k < 0.25:
            used = {b.name for b in g.bases(self.instance)}
            usable = [i for i in g.indices if not i.parts and i.n and i.name not in used]
            if usable:
                ix = self.r.choice(usable)
                self.axis_index[ix.name] = ix
                self.sizes[ix.name] = ix.n
                return ix.name
        if k < 0.4:
            ix = g.words()
            self.axis_index[ix.name] = ix
            self.sizes[ix.name] = ix.n
            return ix.name
        if self.given and k < 0.6:
            name = self.r.choice(list(self.given))
            self.sizes[name] = self.given[name]
            return name
        name = g.fresh(self.r.choice("abdefghx"))
        self.sizes[name] = 0 if g.chance(0.03) else g.size()
        return name

    def axis(self):
        if self.pool and self.g.chance(0.3):
            return self.r.choice(self.pool)
        a = self.new_axis()
        self.pool.append(a)
        return a

    def tree(self, depth):
        k = self.r.random()
        if depth == 0 or k < 0.5:
            return self.axis()
        if k < 0.75:
            return ("sum", [self.tree(depth - 1) for _ in range(self.r.randint(2, 3))])
        if k < 0.8:
            return ("prod", [])
        return ("prod", [self.tree(depth - 1) for _ in range(2)])

    def try_families(self):
        g = self.g
        self.sizes, self.pool, self.axis_index = {}, [], {}
        self.rest = [self.new_axis() for _ in range(self.r.randint(0, 2))] if g.chance(0.25) else None
        if self.rest is not None and any(a in self.axis_index or a in self.given for a in self.rest):
            return False
        left = []
        for _ in range(self.r.choice([1, 1, 1, 2, 2, 3])):
            factors = [self.tree(2) for _ in range(self.r.randint(0, 3))]
            left.append(factors)
        family = [p for factors in left for p in expand(("prod", factors))]
        sets = [frozenset(p) for p in family]
        if len(set(sets)) < len(sets) or any(len(p) != len(set(p)) for p in family) or len(family) > 9:
            return False
        if sum(np.prod([max(1, self.sizes[a]) for a in p]) for p in family) > 1500:
            return False
        self.extra, self.broadcast, self.pick, self.pad = {}, set(), {}, {}
        right_family = self.extend(family)
        if len({frozenset(p) for p in right_family}) < len(right_family):
            return False
        right = [self.arrange(group) for group in self.partition(right_family)]
        if self.rest is not None:
            for factors in left + right:
                factors.insert(self.r.randint(0, len(factors)), "...")
        self.left = [self.term(f, k, 0) for k, f in enumerate(left)]
        self.right = [self.term(f, k, 1) for k, f in enumerate(right)]
        self.used = {a for p in right_family for a in p} | {a for p in family for a in p}
        # words must be listed in some key, and an index `in keys` must stand in a key that is read
        for name, ix in self.axis_index.items():
            if name not in self.used:
                continue
            if ix.is_words and not any(self.has(t, ix) for t in self.left + self.right):
                return False
            if ix.in_keys and (g.flip or self.conditional or 0 in self.sizes.values() or not any(self.has(t, ix) for t in self.left)):
                return False
        return True

    def has(self, term, ix):
        return any(not isinstance(h, str) and h[0] is ix for h in term.key)

    def extend(self, family):
        """The family of the right side: with broadcast axes, and products of padding."""
        g = self.g
        out = [list(p) for p in family]
        if g.chance(0.2):
            a = self.new_axis()
            if all(a not in p for p in family) and self.sizes[a] > 0 and a not in self.given \
                    and not (a in self.axis_index and self.axis_index[a].in_keys):
                self.broadcast.add(a)
                for p in out:
                    if g.chance(0.6) or p is out[0]:
                        p.append(a)
        if g.chance(0.15):
            a = g.fresh("pad")
            self.sizes[a] = g.size()
            base = self.r.choice(out)
            keep = [x for x in base if g.chance(0.7)]
            out.append(keep + [a])
            self.pad[a] = self.r.choice(["0", "1", "3"])
        return out

    def partition(self, family):
        family = list(family)
        self.r.shuffle(family)
        groups = [[]]
        for p in family:
            if groups[-1] and self.g.chance(0.4):
                groups.append([])
            groups[-1].append(p)
        return groups

    def arrange(self, group):
        """The factors of one tensor that holds these products."""
        return self.factors([list(p) for p in group])

    def factors(self, group):
        if len(group) == 1:
            p = list(group[0])
            self.r.shuffle(p)
            return p
        common = [a for a in group[0] if all(a in p for p in group)]
        common = [a for a in common if self.g.chance(0.85)]
        rest = [[a for a in p if a not in common] for p in group]
        subs = []
        for p in rest:
            if not subs or self.g.chance(0.7):
                subs.append([])
            subs[-1].append(p)
        if len(subs) == 1:
            subs = [[p] for p in rest]
        out = common + [("sum", [self.wrap(self.factors(s)) for s in subs])]
        self.r.shuffle(out)
        return out

    def wrap(self, factors):
        return factors[0] if len(factors) == 1 else ("prod", factors)

    # ---- terms ----

    def term(self, factors, k, side):
        """Some axes that are indices go into the key; the others make dimensions."""
        lifted = []
        for f in list(factors):
            if isinstance(f, str) and f in self.axis_index and self.g.chance(0.6):
                factors.remove(f)
                lifted.append(self.axis_index[f])
        indices = [] if self.prefix else list(self.instance)
        if self.nested is not None:
            indices = indices + [self.nested]
        key = self.g.key(f"{self.stem}{'r' if side else ''}.{k}", indices + lifted)
        if self.tail:
            key.append(self.tail)
        t = Tensors(key, factors)
        t.dims = self.dims(factors)
        return t

    def dims(self, factors):
        dims = []
        for f in factors:
            if f == "...":
                dims.append(f)
            elif not dims or dims[-1] == "..." or self.g.chance(0.6):
                dims.append([f])
            else:
                dims[-1].append(f)
        for _ in range(2):
            if self.g.chance(0.1):
                dims.insert(self.r.randint(0, len(dims)), [("prod", [])])
        return dims

    def show_pattern(self, t):
        out = []
        for d in t.dims:
            out.append("..." if d == "..." else show(("prod", d), False))
        return "[" + " ".join(out) + "]"

    def shape(self, t, sizes):
        out = []
        for d in t.dims:
            out += [sizes[a] for a in self.rest] if d == "..." else [extent(("prod", d), sizes)]
        return out

    # ---- sizes and clauses ----

    def solvable(self, given):
        """Can each side alone tell all sizes?"""
        every = set(self.used)
        for terms in (self.left, self.right):
            known = set(given) | set(self.given)
            known |= {n for n, ix in self.axis_index.items()
                      if not ix.in_keys or any(self.has(t, ix) for t in terms)}
            for _ in range(20):
                for t in terms:
                    for d in t.dims:
                        if d == "...":
                            continue
                        axes = {a for f in d for p in expand(f) for a in p}
                        unknown = axes - known
                        if len(unknown) == 1:
                            known |= unknown
            if not every <= known:
                return False
        return True

    def clauses(self):
        """Which sizes to give; varying ones follow an index of all keys."""
        g = self.g
        plain = sorted(a for a in self.used if a not in self.axis_index and a not in self.given)
        give = set(plain)
        zero = any(self.sizes[a] == 0 for a in self.used)
        if not zero:
            for a in self.r.sample(plain, len(plain)):
                if g.chance(0.6) and self.solvable(give - {a}):
                    give.remove(a)
        self.vary = {}
        by = [i for i in self.instance if not i.parts and not i.is_words and not i.in_keys and i.n]
        where, lets = [], []
        for a in plain:
            if a not in give:
                continue
            if by and g.chance(0.15) and a not in self.pad:
                ix = self.r.choice(by)
                sizes = [g.size() if self.sizes[a] else 0 for _ in range(max(ix.values) + 1)]
                self.vary[a] = (ix, sizes)
                where.append(f"{a} = {g.config_value(sizes)}[{ix.name}]")
            elif g.chance(0.2):
                g.declarations.append(f"let {a} = {g.number(self.sizes[a])}")
            else:
                where.append(f"{a} = {g.number(self.sizes[a])}")
        self.where = where

    def sizes_of(self, values):
        out = dict(self.sizes)
        for a, (ix, sizes) in self.vary.items():
            out[a] = sizes[ix.values[values[ix.name]]]
        return out

    # ---- output ----

    def text(self):
        g = self.g
        self.make_inputs()
        self.right_keys = {g.print_key(t.key, v, 1) for t in self.right
                           for v in self.all_assignments(t)} if not self.prefix else set()
        seen, sides = set(), []
        for s, terms in enumerate((self.left, self.right)):
            sides.append(", ".join(f"{g.show_key(t.key, s, seen)} {self.show_pattern(t)}" for t in terms))
        clauses = []
        if self.where:
            clauses.append("where " + ", ".join(self.where))
        if self.broadcast:
            clauses.append("broadcast " + ", ".join(sorted(self.broadcast)))
        if self.pad:
            clauses.append("pad " + ", ".join(f"{a} = {v}" for a, v in self.pad.items()))
        self.r.shuffle(clauses)
        if self.optional:
            clauses.append("optional")
        return g.sided(sides, " <-> ") + "".join("\n    " + c for c in clauses)

    def key_bases(self, t):
        out = []
        for piece in t.key:
            if not isinstance(piece, str):
                out += [b for b in (piece[0].parts or [piece[0]]) if b not in out]
        for ix in self.instance:
            out += [b for b in (ix.parts or [ix]) if b not in out]
        return out

    def all_assignments(self, t):
        return self.g.assignments(self.key_bases(t))

    def make_inputs(self):
        g = self.g
        instance = g.bases(self.instance) + ([self.nested] if self.nested else [])
        self.optional = g.chance(0.15) and not any(i.in_keys for i in g.indices) and not self.broadcast
        dropped = {}
        dtypes = {}
        numeric = bool(self.pad)
        for t in self.left:
            for values in self.all_assignments(t):
                at = tuple(values[b.name] for b in instance)
                if not self.active(values):
                    continue
                if at not in dropped:
                    dropped[at] = self.optional and g.chance(0.4)
                    dtypes[at] = self.r.choice(FLOATS + ["U8", "I16"] if numeric else COPY_DTYPES)
                key = (self.prefix[0] if self.prefix else []) + t.key
                name = g.print_key(key, values, 0)
                if not dropped[at]:
                    g.add_input(name, g.data(self.shape(t, self.sizes_of(values)), dtypes[at]))
                self.left_keys.add(name)


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
        self.open_count = False
        for _ in range(self.r.randint(1, 5)):
            op = self.step()
            if op:
                ops.append(op)
        if not ops:
            ops.append(("neg", "neg"))
        right = self.list_terms(len(self.shapes), 1)
        for values in g.assignments(g.bases(self.instance)):
            for name, shape in zip(left[1](values), start):
                g.add_input(name, g.data(shape, self.dtype, self.safe))
        forward, inverse = [t for t, _ in ops], [t for _, t in reversed(ops)]
        if self.one_way and g.flip:  # the data enters on the right
            return f"{right[0]} <- {' | '.join(reversed(forward))} <- {left[0]}"
        if self.one_way:
            return f"{left[0]} -> {' | '.join(forward)} -> {right[0]}"
        if g.flip:
            return f"{right[0]} <-> {' | '.join(inverse)} <-> {left[0]}"
        return f"{left[0]} <-> {' | '.join(forward)} <-> {right[0]}"

    def list_terms(self, n, side):
        """Terms, or one term with a placeholder, for n tensors: text and names."""
        g = self.g
        stem = f"{self.stem}{'r' if side else ''}"
        if n > 1 and g.chance(0.5):
            words = Index(g.fresh("p"), [f"w{k}" for k in self.r.sample(range(20), n)])
            key = g.key(stem, self.instance + [words])
            return (g.show_key(key, 0, set()),
                    lambda v: [g.print_key(key, {**v, words.name: k}, side) for k in range(n)])
        keys = [g.key(f"{stem}.{k}", self.instance) for k in range(n)]
        seen = set()
        return (", ".join(g.show_key(k, side, seen) for k in keys),
                lambda v: [g.print_key(k, v, side) for k in keys])

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
        given = self.open_count or self.g.chance(0.4)
        self.shapes = [s[:d] + [s[d] * k] + s[d + 1:]]
        self.open_count = False
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
        self.open_count = True
        return f"chunk({n})", None

    def op_unstack(self, s, rank):
        d, n = self.dim(rank)
        if not 1 <= s[d] <= 5:
            return None
        self.shapes = [s[:d] + s[d + 1:]] * s[d]
        self.open_count = True
        return f"unstack({n})", f"stack({d})"


def make_case(seed):
    return Generator(seed).case()


if __name__ == "__main__":
    import sys
    case = make_case(int(sys.argv[1]))
    print(case.text)
    print("config", case.config, "start on the", "right" if case.backward else "left")
    for key, t in case.inputs.items():
        print(key[1], t)
