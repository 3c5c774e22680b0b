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

from gen_common import COPY_DTYPES, Index, Output
from gen_ops import Elementwise, OpsRule
from gen_patterns import PatternRule
from gen_sides import Shards, mention, placed_files, rank_files
from wmapref.dtypes import DTYPES, Tensor, from_float, storage


@dataclass
class Case:
    seed: int
    text: str
    config: dict
    params: dict
    inputs: dict
    backward: bool
    files: dict = field(default_factory=dict)    # maps that it imports


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
        self.form = "plain"
        self.big = self.chance(0.06)
        self.no_slash = False    # keys become names of files
        self.params = {}
        self.file_bases = []     # file indices that every rule must mention
        self.outputs = []        # of Output
        self.placed = []         # (prefix, Index) of keys that files may be named by

    # ---- small things ----

    def chance(self, p):
        return self.r.random() < p

    def fresh(self, stem):
        self.counter += 1
        return f"{stem}{self.counter}"

    def size(self):
        if self.big and self.chance(0.6):
            return self.r.choice([16, 33, 64, 96, 130])
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
            low = 0 if dtype in ("BOOL", "U8") else -64
            v = self.np.integers(low, 2 if dtype == "BOOL" else 64, n) / (8 if dtype[0] in "FB" and dtype != "BOOL" else 1)
            return Tensor(dtype, from_float(v.astype(np.float64), dtype).data.reshape(shape))
        raw = self.np.integers(0, 256, n * storage(dtype).itemsize, dtype=np.uint8)
        if DTYPES[dtype][0] < 8:
            raw &= (1 << DTYPES[dtype][0]) - 1
        return Tensor(dtype, raw.view(storage(dtype)).reshape(shape))

    # ---- indices ----

    def make_indices(self):
        for _ in range(self.r.randint(1, 3)):
            self.indices.append(self.make_index())
        plain = [i for i in self.indices if not i.in_keys]
        if len(plain) >= 2 and self.chance(0.4):
            a, b = self.r.sample(plain, 2)
            name = self.fresh("co")
            n = a.n * b.n
            bounded = self.chance(0.4)
            if bounded:
                n = self.r.randint(max(1, n // 2), n)
            self.declarations.append(f"index {name}{f' < {self.number(n)}' if bounded else ''} = ({a.name} {b.name})")
            self.indices.append(Index(name, list(range(n)), parts=[a, b], bounded=bounded))

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
        if not self.plain_keys:
            self.r.shuffle(order)
        for ix in order:
            pieces += [".", (ix, self.hole_format(ix))]
        if order and self.chance(0.5):
            pieces.append(self.r.choice([".weight", ".w", "/x", ".{{b}}", " y"]))
            if self.no_slash:
                pieces[-1] = pieces[-1].replace("/", "-")
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
                # with two lists, which one a plain {p} prints is left to the reader: always list them
                listed = not ix.right_words and {(ix.name, 0), (ix.name, 1)} & seen
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

    def inside(self, instance, values):
        """Are the bounded composites of an instance inside their bounds?"""
        return all(self.ordinal(i, values) < i.n for i in instance if i.bounded)

    def instances(self, instance):
        return [v for v in self.assignments(self.bases(instance)) if self.inside(instance, v)]

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

    def within_block(self, stem, outer=None, instance=()):
        """Rules under a prefix with an index; blocks nest."""
        usable = [i for i in self.indices if not i.in_keys and not {b.name for b in self.bases([i])}
                  & {b.name for b in self.bases(instance)}]
        if not usable:
            return
        ix = self.r.choice(usable)
        head = [[stem, ".", (ix, self.hole_format(ix)), "."] for _ in range(2)]
        prefix = [o + h for o, h in zip(outer or ([], []), head)]
        instance, seen = [*instance, ix], set()
        texts = [self.show_key(head[s], s, seen) for s in (0, 1)]
        clauses, sizes, body = "", {}, []
        if self.chance(0.3):
            name = self.fresh("w")
            sizes = {name: self.size()}
            clauses = f" where {name} = {self.number(sizes[name])}"
        for k in range(self.r.randint(1, 2)):
            body.append(PatternRule(self, instance, f"s{k}", lambda v: True, prefix=prefix, given=sizes).text())
        if self.chance(0.3):
            body.append(PatternRule(self, instance, "in", lambda v: True, prefix=prefix, nested=self.words()).text())
        if self.chance(0.3):
            text, true = self.condition(instance)
            arms = [PatternRule(self, instance, f"if{k}", active, prefix=prefix, conditional=True).text()
                    for k, active in enumerate((true, lambda v: not true(v)))]
            body.append(f"if {text} {{ {arms[0]} }} else {{ {arms[1]} }}")
        if outer is None and self.chance(0.3) and sum(i.n for i in instance) < 8:
            self.within_block("deep", prefix, instance)
            if self.rules and self.rules[-1].startswith("within") and "deep." in self.rules[-1].split("{")[0]:
                body.append(self.rules.pop())
        self.rules.append(f"within {self.sided(texts, ' <-> ')}{clauses} {{\n  " + "\n  ".join(body) + "\n}")

    def sided(self, pair, arrow):
        left, right = reversed(pair) if self.flip else pair
        return left + arrow + right

    def rename_rule(self, stem):
        """A rule without patterns."""
        instance = self.pick_instance()
        left, right = self.key(stem, instance), self.key(stem + "r", instance)
        seen = set()
        texts = [self.show_key(left, 0, seen), self.show_key(right, 1, seen)]
        clauses = mention(self)
        optional = self.chance(0.3) and not any(i.in_keys for i in instance)
        may = None
        if optional:
            text, may = self.condition(instance) if self.chance(0.3) else ("", lambda values: True)
            clauses += f" optional ({text})" if text else " optional"
        made = self.output(right)
        chain = Elementwise(self) if self.chance(0.2) else None
        when = self.condition(instance) if self.chance(0.15) and not any(i.in_keys for i in instance) else None
        if when:
            clauses += f" when {when[0]}"
        for values in self.instances(instance):
            if optional and may(values) and self.chance(0.4) or when and not when[1](values):
                continue
            shape = [self.r.choice([0, 1, 2, 3]) for _ in range(self.r.randint(0, 3))]
            dtype = chain.dtype if chain else self.r.choice(COPY_DTYPES)
            if self.form == "plain" and not chain and self.chance(0.1):
                dtype = self.r.choice(["F4", "F6_E2M3", "F8_E8M0"])
                shape.append(4)
            self.add_input(self.print_key(left, values, 0), self.data(shape, dtype, chain))
            made.shapes.append(shape[:])
        self.rules.append(self.sided(texts, chain.arrow(self) if chain else " <-> ") + clauses)

    def output(self, key):
        """A template of the other side, for shard lines."""
        names = [p[0].name for p in key if not isinstance(p, str) and not p[0].is_words]
        out = Output(self.show_key(key, 1, set()), [], names[0] if names else None)
        if not self.plain_keys:  # several rules make keys of these forms: no line for one of them
            self.outputs.append(out)
        return out

    def weaker_rules(self, stem):
        """A rule with a capture, and stronger rules that take some of its keys."""
        tail = self.r.choice(["", ".end"])
        weak = [f'"{stem}.{{r*}}{tail}"', f'"{stem}r.{{r*}}{tail}"']
        rules = [self.sided(weak, " <-> ") + mention(self)]
        taken = set()
        if self.chance(0.7):
            usable = [i for i in self.indices if not i.in_keys]
            ix = self.r.choice(usable) if usable else None
            if ix is not None and ix.n:
                strong = PatternRule(self, [ix], stem + ".s", lambda v: True, tail=tail)
                rules.append(strong.text())
                taken = strong.left_keys | strong.right_keys
        if self.chance(0.4):
            rules.append(self.sided([f'"{stem}.m.{{t*}}{tail}"', f'"{stem}m.{{t*}}{tail}"'], " <-> ")
                         + mention(self))
            self.add_input(f"{stem}.m.{self.r.choice('ab')}.c{tail}", self.data([2], "F32"))
        for name in self.r.sample(["a", "b.0", "x.1.y", "q/w", "7", "ü", "s.0.99", "s"], self.r.randint(1, 4)):
            key = f"{stem}.{name.replace('/', '-') if self.no_slash else name}{tail}"
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
            clauses = mention(self)
            self.rules.append(self.sided([f'"{stem}.x"', f'"{stem}r.x"'], " <-> ") + clauses)
            self.rules.append(self.sided([f'"{stem}.y"', f'"{stem}r.y"'], " <-> ") + clauses)
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
                              + f" where {axis} = {self.number(n)}" + mention(self))

    def add_input(self, key, tensor):
        assert key not in self.inputs, key
        self.inputs[key] = tensor

    def case(self):
        form = self.r.choice(["plain"] * 5 + ["placed", "ranks", "shards"])
        self.form = form
        self.no_slash = form == "placed"
        if form == "ranks":
            rank_files(self)
        shards = Shards(self) if form == "shards" else None
        self.make_indices()
        for _ in range(self.r.randint(1, 4)):
            self.add_rules()
        if form == "placed":
            self.placed_rule()
            placed_files(self)
        # at least one tensor each way
        self.rules.append(self.sided(['"keep"', '"kept"'], " <-> ") + mention(self))
        self.add_input("keep", self.data([2], "BF16"))
        names = ("target", "source") if self.flip else ("source", "target")
        sides = [f"{name} {{ " + "\n  ".join(items) + " }"
                 for name, items in zip(names, (self.source, self.target)) if items]
        blocks = shards.text(names[1]) if shards else []
        self.r.shuffle(self.declarations)
        text = "wmap 1\nmap random \"seed %d\"\n%s\n" % (
            self.seed, "\n".join(self.declarations + sides + self.rules + blocks))
        case = Case(self.seed, text, self.config, self.params,
                    {(None, k): t for k, t in self.inputs.items()}, self.flip)
        if form == "plain" and not sides and self.chance(0.2):
            self.imported(case)
        return case

    def imported(self, case):
        """The rules come from an imported map; one of them may be replaced."""
        case.files["base.wmap"] = case.text
        use = "use base"
        if self.chance(0.5):
            use += "\noverride " + self.sided(['"keep" [x y]', '"kept" [y x]'], " <-> ")
            case.inputs[None, "keep"] = self.data([2, 3], "F16")
        case.text = f'wmap 1\nmap random "seed {self.seed}, by import"\nimport "base.wmap" as base\n{use}\n'

    def placed_rule(self):
        """A rule whose other side has keys that a file may be named by."""
        usable = [i for i in self.indices if not i.in_keys and i.n]
        if not usable:
            return
        ix, stem = self.r.choice(usable), self.fresh("mid")
        self.placed.append((stem, ix))
        for values in self.instances([ix]):
            for name in self.r.sample(["a", "b.w", "c"], 2):
                self.add_input(f"{stem}.{ix.values[self.ordinal(ix, values)]}.{name}", self.data([2, 3], "BF16"))
        self.rules.append(self.sided([f'"{stem}.{{{ix.name}}}.{{u*}}"', f'"{stem}/{{{ix.name}}}/{{u*}}"'], " <-> "))


def make_case(seed):
    return Generator(seed).case()


if __name__ == "__main__":
    import sys
    case = make_case(int(sys.argv[1]))
    print(case.text)
    print("config", case.config, "start on the", "right" if case.backward else "left")
    for key, t in case.inputs.items():
        print(key[1], t)
