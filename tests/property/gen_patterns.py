"""Random rules with patterns: a family of products, arranged in two ways."""

import numpy as np

from gen_common import COPY_DTYPES, FLOATS, Tensors, expand, extent, show
from gen_ops import Elementwise


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
        self.extra, self.broadcast, self.pick, self.pad = {}, set(), {}, {}
        left = []
        for _ in range(self.r.choice([1, 1, 1, 2, 2, 3])):
            factors = [self.tree(2) for _ in range(self.r.randint(0, 3))]
            for b in g.file_bases:  # a rank that is an axis of this side
                if g.chance(0.5):
                    self.axis_index[b.name], self.sizes[b.name] = b, b.n
                    factors.insert(self.r.randint(0, len(factors)), b.name)
            left.append(factors)
        family = [p for factors in left for p in expand(("prod", factors))]
        sets = [frozenset(p) for p in family]
        if len(set(sets)) < len(sets) or any(len(p) != len(set(p)) for p in family) or len(family) > 9:
            return False
        if sum(np.prod([max(1, self.sizes[a]) for a in p]) for p in family) > (60000 if g.big else 1500):
            return False
        right_family = self.extend(family)
        loose = self.broadcast | set(self.pick)
        if len({frozenset(p) - loose for p in right_family}) < len(right_family):
            return False
        in_files = {b.name for b in g.file_bases}
        right = [self.arrange([[a for a in p if a not in in_files] for p in group])
                 for group in self.partition(right_family)]
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
            if ix in g.file_bases:
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
        for b in g.file_bases:
            if not any(b.name in p for p in out) and g.chance(0.3):
                self.pick[b.name] = self.r.choice(b.values)
                self.axis_index[b.name], self.sizes[b.name] = b, b.n
            for p in out:
                if b.name not in p and b.name not in self.pick:
                    p.append(b.name)
                    self.broadcast.add(b.name)
                    self.axis_index[b.name], self.sizes[b.name] = b, b.n
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
            in_files = {b.name for b in g.file_bases}
            keep = [x for x in base if g.chance(0.7) or x in in_files]
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
        self.elementwise = Elementwise(g) if g.chance(0.12) and not self.pad else None
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
        if self.pick:
            clauses.append("pick " + ", ".join(f"{a} = {v}" for a, v in self.pick.items()))
        if self.pad:
            clauses.append("pad " + ", ".join(f"{a} = {v}" for a, v in self.pad.items()))
        self.r.shuffle(clauses)
        if self.optional:
            clauses.append("optional")
        arrow = self.elementwise.arrow(g) if self.elementwise else " <-> "
        return g.sided(sides, arrow) + "".join("\n    " + c for c in clauses)

    def key_bases(self, t):
        out = []
        for piece in t.key:
            if not isinstance(piece, str):
                out += [b for b in (piece[0].parts or [piece[0]]) if b not in out]
        for ix in self.instance:
            out += [b for b in (ix.parts or [ix]) if b not in out]
        return out

    def all_assignments(self, t):
        return [v for v in self.g.assignments(self.key_bases(t)) if self.g.inside(self.instance, v)]

    def make_inputs(self):
        g = self.g
        instance = g.bases(self.instance) + ([self.nested] if self.nested else [])
        self.optional = g.chance(0.15) and not any(i.in_keys for i in g.indices) and not self.broadcast
        dropped = {}
        dtypes = {}
        numeric = bool(self.pad)
        made = [g.output((self.prefix[1] if self.prefix else []) + t.key) for t in self.right]
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
                if self.elementwise:
                    dtypes[at] = self.elementwise.dtype
                if not dropped[at]:
                    g.add_input(name, g.data(self.shape(t, self.sizes_of(values)), dtypes[at], self.elementwise))
                self.left_keys.add(name)
        for t, m in zip(self.right, made):
            for values in self.all_assignments(t):
                if self.active(values) and not dropped.get(tuple(values[b.name] for b in instance), False):
                    m.shapes.append(self.shape(t, self.sizes_of(values)))
