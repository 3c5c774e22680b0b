"""A map applied to a checkpoint: rule by rule, instance by instance, product by product."""

from dataclasses import dataclass

import numpy as np

from . import language, patterns
from .dtypes import Tensor, dtype_of, scalar
from .errors import WmapError, fail
from .names import Env, Names, Scope
from .ops import ELEMENTWISE, Call, run_pipeline
from .parser import parse, parse_map_expr
from .sides import Side
from .syntax import Clauses, Fill, Rule, Term
from .values import boolean, evaluate, integer, is_number, size

REST = [("rest",)]


@dataclass
class Options:
    trust_replicas: bool = False
    strict_pad: bool = False
    allow_unmapped: bool = False
    allow_missing: bool = False


def load(text, read_import=None):
    """The tree of a map and of what it imports; read_import(path) gives the text of an import."""
    module = parse(text)
    for name, path in module.imports.items():
        if read_import is None:
            fail("import", f"cannot read {path}")
        module.imports[name] = load(read_import(path), read_import)
    return module


def run(module, inputs, config=None, params=None, backward=False, expression=None, **options):
    """The output {(file, name): Tensor} (file None on a side without `file`) of an input of the same form, or with
    plain names as keys.  `expression` is a map expression over the maps of the module, the default its rules."""
    state = {k if isinstance(k, tuple) else (None, k): t for k, t in inputs.items()}
    e = parse_map_expr(expression) if isinstance(expression, str) else expression
    if e is None:
        e = next(iter(module.maps.values())) if module.maps and not module.statements else ("map", module.name)
    if backward:
        e = ("inverse", e)
    return run_expression(e, module, state, config, params or {}, False, Options(**options))


def run_expression(e, module, state, config, params, flipped, options):
    if e[0] == "inverse":
        return run_expression(e[1], module, state, config, params, not flipped, options)
    if e[0] == "compose":
        for part in (e[2], e[1]) if flipped else (e[1], e[2]):
            state = run_expression(part, module, state, config, params, flipped, options)
        return state
    if e[0] == "apply":
        values = {n: evaluate(x, Scope(Env(module, config, params, lambda k: False, {}))) for n, x in e[2].items()}
        return run_expression(e[1], module, state, config, {**params, **values}, flipped, options)
    if e[1] in module.maps:
        return run_expression(module.maps[e[1]], module, state, config, params, flipped, options)
    if e[1] in module.imports:
        return Run(module.imports[e[1]], state, config, params, flipped, options).result()
    if e[1] != module.name:
        fail("name", f"no map `{e[1]}`")
    return Run(module, state, config, params, flipped, options).result()


# ---- rules, flat ----

class FlatRule:
    """A rule with its blocks folded in."""

    def __init__(self, env, rule, conditions):
        self.env, self.rule, self.conditions = env, rule, conditions
        self.sides = [rule.left, rule.right]
        self.fill = next((s[0] for s in self.sides if isinstance(s[0], Fill)), None)
        keys = [[t.key for t in s if isinstance(t, Term)] for s in self.sides]
        self.names = Names(env, *keys)
        self.index_names = [h.name for k in keys[0] + keys[1] for h in k if h.kind == "index"]

    def terms(self, side):
        return [t for t in self.sides[side] if isinstance(t, Term)]

    def scope(self, assignment):
        values = self.names.values(assignment)
        return Scope(self.env, values, Where(self, values, assignment), self.names, assignment)

    def holds(self, assignment):
        scope = self.scope(assignment)
        return all(boolean(evaluate(c, scope)) for c in self.conditions + self.rule.clauses.when)


class Where:
    """The `where` names of an instance; each sees those before it, and hides lets."""

    def __init__(self, flat, values, assignment):
        self.flat, self.values, self.assignment, self.limit = flat, values, assignment, None

    def find(self, name):
        where = self.flat.rule.clauses.where[:self.limit]
        return next((k for k in reversed(range(len(where))) if where[k][0] == name), None)

    def __contains__(self, name):
        return self.find(name) is not None

    def __getitem__(self, name):
        k = self.find(name)
        inner = Where(self.flat, self.values, self.assignment)
        inner.limit = k
        return evaluate(self.flat.rule.clauses.where[k][1],
                        Scope(self.flat.env, self.values, inner, self.flat.names, self.assignment))


def flatten(env):
    out, overrides = [], []
    flatten_into(env, env.module.statements, ([], []), Clauses(), [], out, overrides)
    for o in overrides:
        out = [r for r in out if r.env is env or not share_key(o, r)]
    return out + overrides


def flatten_into(env, statements, prefix, clauses, conditions, out, overrides):
    for s in statements:
        if s[0] in ("rule", "override"):
            target = out if s[0] == "rule" else overrides
            target.append(FlatRule(env, prefixed(s[1], prefix, clauses), conditions))
        elif s[0] == "within":
            inner = (prefix[0] + s[1], prefix[1] + s[2])
            flatten_into(env, s[4], inner, s[3].under(clauses), conditions, out, overrides)
        elif s[0] == "if":
            before = []
            for condition, body in s[1]:
                flatten_into(env, body, prefix, clauses, conditions + before + [condition], out, overrides)
                before.append(("not", condition))
        else:
            used = env.imports.get(s[1])
            if used is None:
                fail("name", f"`{s[1]}` is not imported")
            for r in flatten(used):
                out.append(FlatRule(r.env, prefixed(r.rule, prefix, clauses), r.conditions + conditions))


def prefixed(rule, prefix, clauses):
    def side(terms, p):
        return [t if isinstance(t, Fill) else Term(p + t.key, t.pattern) for t in terms]
    return Rule(side(rule.left, prefix[0]), side(rule.right, prefix[1]), rule.arrow, rule.ops,
                rule.clauses.under(clauses), rule.line)


def share_key(a, b):
    for side in (0, 1):
        for x in a.terms(side):
            for y in b.terms(side):
                if language.overlap(language.Automaton(x.key, a.names, side),
                                    language.Automaton(y.key, b.names, side)):
                    return True
    return False


# ---- a run ----

class Claim:
    """A template that claims keys of one side: of a rule, an alias or an ignored key."""

    def __init__(self, owner, names, template, side, true):
        self.owner, self.names, self.template, self.side, self.true = owner, names, template, side, true
        self.capturing = any(h.name in names.captures for h in template if h.kind != "text")
        self.automaton = None

    def language(self):
        if self.automaton is None:
            self.automaton = language.Automaton(self.template, self.names, self.side)
        return self.automaton

    def beats(self, other):
        if not other.capturing:
            return False
        return not self.capturing or language.strictly_inside(self.language(), other.language())

    def claims(self, key):
        unknown = [b for b in self.names.template_bases(self.template)
                   if b not in self.names.captures and self.names.extent(b) is None]
        return any(self.true(a) for a in self.names.match(self.template, key, self.side, None, unknown))


class Run:
    def __init__(self, module, state, config, params, backward, options):
        self.options = options
        self.i, self.o = (1, 0) if backward else (0, 1)  # the sides that are read and written
        self.env = self.make_env(module, config, params, lambda key: key in self.logical)
        self.rules = flatten(self.env)
        self.sides = [Side(self.env, "source"), Side(self.env, "target")]
        self.find_keys(state)
        self.logical = self.sides[self.i].read(state, options)
        self.claims = self.all_claims()
        self.beaten = {}
        self.output = {}
        self.read = set()           # (key, file values)

    def make_env(self, module, config, params, exists):
        imports = {n: self.make_env(m, config, {}, exists) for n, m in module.imports.items()}
        return Env(module, config, params, exists, imports)

    def arrows(self):
        return ("<->", "->") if self.o == 1 else ("<->", "<-")

    def result(self):
        for flat in self.rules:
            if flat.rule.arrow in self.arrows():
                self.rule(flat)
        self.check_aliases()
        self.check_coverage()
        return self.sides[self.o].write(self.drop_aliases())

    # ---- indices `in keys` ----

    def find_keys(self, state):
        """The values of the indices that the input's keys show."""
        side, seen = self.sides[self.i], {}
        for flat in self.rules:
            if flat.rule.arrow not in self.arrows():
                continue
            for t in flat.terms(self.i):
                bases = flat.names.template_bases(t.key)
                unknown = [b for b in bases if b in flat.env.module.indices
                           and flat.env.module.indices[b].kind == "keys"]
                if not unknown:
                    continue
                for _, inner in state:
                    for a in flat.names.match(t.key, inner, self.i, None, unknown):
                        for b in unknown:
                            others = tuple(sorted((n, v) for n, v in a.items() if n != b))
                            groups = seen.setdefault((flat.env, b), {})
                            groups.setdefault((id(t), others), set()).add(a[b])
        for (env, b), groups in seen.items():
            n = max(max(g) for g in groups.values()) + 1
            for g in groups.values():
                if g != set(range(n)):
                    fail("index", f"`{b}`: {sorted(set(range(n)) - g)} missing")
            env.from_keys[b] = list(range(n))

    # ---- claims ----

    def all_claims(self):
        out = []
        for flat in self.rules:
            for s in (0, 1):
                out += [Claim(flat, flat.names, t.key, s, flat.holds) for t in flat.terms(s)]
        for s in (0, 1):
            side = self.sides[s]
            for names, x, _, when in side.aliases:
                out.append(Claim(x, names, x, s, lambda a, n=names, w=when, d=side: d.true(w, n, a)))
            for names, t, when in side.ignores:
                out.append(Claim(t, names, t, s, lambda a, n=names, w=when, d=side: d.true(w, n, a)))
        return out

    def stronger(self, flat, term, s):
        """The claims on side s that beat a term of a rule."""
        key = (id(term), s)
        if key not in self.beaten:
            mine = Claim(flat, flat.names, term.key, s, flat.holds)
            self.beaten[key] = (term, [c for c in self.claims
                                       if c.side == s and c.owner is not flat and c.beats(mine)])
        return self.beaten[key][1]

    def is_claimed(self, flat, term, s, key):
        return any(c.claims(key) for c in self.stronger(flat, term, s))

    # ---- instances ----

    def file_bases(self, flat, term, s, assignment):
        """The file indices of a term, looked up by one of its keys."""
        if not self.sides[s].files:
            return []
        a = {b: assignment.get(b, 0) for b in flat.names.template_bases(term.key)}
        return self.sides[s].file_bases(flat.names.render(term.key, a, s))

    def rule(self, flat):
        captures = flat.names.captures
        terms = [(t, s) for s in (0, 1) for t in flat.terms(s)]
        done = []
        for start in (self.captured(flat) if captures else [{}]):
            if any(flat.names.extent(b) == 0 for t, _ in terms for b in flat.names.template_bases(t.key)) \
                    and any(self.sides[s].files for s in (0, 1)):
                return
            bases = {id(t): (flat.names.template_bases(t.key), self.file_bases(flat, t, s, start))
                     for t, s in terms}
            both = [k + f for k, f in bases.values()]
            shared = [b for b in both[0] if all(b in x for x in both)]
            if captures:
                found = [{b: start[b] for b in shared}]
            else:
                found = flat.names.assignments(shared)
            for a in found:
                if a not in done:
                    done.append(a)
                    self.instance(flat, Instance(flat, a, bases, shared, self.in_files()))

    def in_files(self):
        return [h.name for side in self.sides for f in side.files for h in f.line.path if h.kind == "index"]

    def captured(self, flat):
        """The assignments that the input's keys give the terms of a rule with captures."""
        for t in flat.terms(self.i):
            for key, found in self.logical.items():
                for a in flat.names.match(t.key, key, self.i):
                    for values in found:
                        yield a | dict(values)

    def instance(self, flat, inst):
        if not flat.names.within_bounds(inst.assignment, inst.index_names()):
            return
        if not flat.holds(inst.assignment):
            return
        if flat.names.captures:
            for s in (0, 1):
                for t in flat.terms(s):
                    for a in flat.names.assignments([b for b in inst.keys(t) if b not in inst.assignment]):
                        key = flat.names.render(t.key, a | inst.assignment, s)
                        if self.is_claimed(flat, t, s, key):
                            return
        try:
            Evaluation(self, flat, inst).go()
        except WmapError as e:
            if e.kind != "missing" or not self.options.allow_missing:
                raise

    # ---- reading and writing logical tensors ----

    def get(self, key, values, named):
        """A tensor of the input, or None; a named rule gets what an alias stands for."""
        found = self.logical.get(key, {}).get(values)
        if found is not None:
            self.read.add((key, values))
            return found
        y = self.sides[self.i].alias_of(key) if named else None
        return self.get(y, values, True) if y is not None and y != key else None

    def put(self, key, values, tensor):
        if (key, values) in self.output:
            fail("conflict", f"{key} is written twice")
        self.output[key, values] = tensor

    def check_aliases(self):
        side = self.sides[self.i]
        for key, found in self.logical.items():
            y = side.alias_of(key)
            if y is None or y == key:
                continue
            for values, t in found.items():
                self.read.add((key, values))
                other = self.logical.get(y, {}).get(values)
                if other is not None and not t.same(other):
                    fail("alias", f"{key} and {y} differ")

    def drop_aliases(self):
        side, out = self.sides[self.o], {}
        for (key, values), t in self.output.items():
            y = side.alias_of(key)
            if y is not None and y != key and (y, values) in self.output:
                if not t.same(self.output[y, values]):
                    fail("alias", f"{key} and {y} differ")
            else:
                out[key, values] = t
        return out

    def check_coverage(self):
        for key, found in self.logical.items():
            for values in found:
                if (key, values) not in self.read and not self.options.allow_unmapped and not self.known(key):
                    fail("unmapped", f"{key} {dict(values)}")

    def known(self, key):
        """Not read, but known: ignored, or of a rule that goes the other way only."""
        if self.sides[self.i].ignored(key):
            return True
        for flat in self.rules:
            if flat.rule.arrow in self.arrows():
                continue
            for t in flat.terms(self.i):
                for a in flat.names.match(t.key, key, self.i):
                    if flat.holds(a) and not self.is_claimed(flat, t, self.i, key):
                        return True
        return False


class Instance:
    """One value of the indices that every term of a rule has."""

    def __init__(self, flat, assignment, bases, shared, in_files):
        self.flat, self.assignment, self.bases, self.shared = flat, assignment, bases, shared
        self.in_files = in_files

    def keys(self, term):
        return self.bases[id(term)][0]

    def all(self, term):
        k, f = self.bases[id(term)]
        return k + [b for b in f if b not in k]

    def index_names(self):
        """Indices that stand in keys or file names of the rule; composites hold their bounds there."""
        names, files = self.flat.names, {b for _, f in self.bases.values() for b in f}
        return self.flat.index_names + [n for n in self.in_files if names.is_index(n) and files & set(names.bases(n))]

    def own(self, term):
        """The indices of a term's keys and files that are axes."""
        return [b for b in self.all(term) if b not in self.assignment]


class Evaluation:
    """One instance of one rule."""

    def __init__(self, run, flat, inst):
        self.run, self.flat, self.inst, self.names = run, flat, inst, flat.names
        self.clauses = flat.rule.clauses
        self.scope = flat.scope(inst.assignment)
        self.ins, self.outs = flat.terms(run.i), flat.terms(run.o)
        self.broadcast = {b for n in self.clauses.broadcast for b in self.expand(n)}
        self.pick = {}
        for name, e in self.clauses.pick:
            self.pick |= self.ordinals(name, evaluate(e, self.scope))
        self.pad = {n: evaluate(e, self.scope) for n, e in self.clauses.pad}
        self.backward = run.o == 0

    def expand(self, name):
        return self.names.bases(name) if self.names.is_index(name) else [name]

    def ordinals(self, name, value):
        """The ordinals of a picked index or axis."""
        if not self.names.is_index(name):
            return {name: integer(value)}
        if name in self.names.words:
            if value in self.names.words[name][0]:
                return {name: self.names.words[name][0].index(value)}
            return {name: integer(value)}
        for a in self.names.assignments(self.names.bases(name)):
            if self.names.values(a).get(name) == value:
                return a
        fail("value", f"`{name}` has no value {value}")

    # ---- tensors ----

    def choices(self, term):
        """The assignments of a term's own indices; picked ones are fixed."""
        return [a | {b: v for b, v in self.pick.items() if b in self.inst.own(term)}
                for a in self.names.assignments(self.own(term))
                if self.names.within_bounds(a | self.inst.assignment, self.inst.index_names())]

    def own(self, term):
        return [b for b in self.inst.own(term) if b not in self.pick]

    def place(self, term, assignment, s):
        """(key, file values) of a term under an assignment of its own indices."""
        a = self.inst.assignment | assignment
        key = self.names.render(term.key, {b: v for b, v in a.items() if b in self.inst.keys(term)}, s)
        return key, frozenset((b, a[b]) for b in self.inst.bases[id(term)][1])

    def fetch(self, term, assignment):
        key, values = self.place(term, assignment, self.run.i)
        return self.run.get(key, values, not self.captures_in(term))

    def captures_in(self, term):
        return any(h.name in self.names.captures for h in term.key if h.kind != "text")

    def is_optional(self):
        return any(boolean(evaluate(e, self.scope)) for e in self.clauses.optional)

    def absent(self):
        """Are all input tensors absent, and may they be?"""
        found = [self.fetch(t, a) is not None for t in self.ins for a in self.choices(t)]
        return self.is_optional() and not any(found)

    def must_fetch(self, term, assignment):
        t = self.fetch(term, assignment)
        if t is None:
            fail("missing", self.place(term, assignment, self.run.i)[0])
        return t

    def go(self):
        rule = self.flat.rule
        if any(self.inst.assignment.get(b, v) != v for b, v in self.pick.items()):
            return None  # of a filled tensor: it exists for the picked value only
        if self.flat.fill is not None:
            return self.fill()
        if self.absent():
            return None
        patterned = any(t.pattern is not None for t in self.ins + self.outs)
        if rule.ops and not patterned:
            return self.pipeline()
        return self.pattern()

    # ---- operations ----

    def calls(self):
        calls = [Call(op, self.scope, self.run.options) for op in self.flat.rule.ops]
        if self.flat.rule.arrow == "<-":
            calls.reverse()
        return calls, self.flat.rule.arrow == "<->" and self.backward

    def pipeline(self):
        """The list of tensors, through the operations, to the list of outputs.  A broadcast index is none of the
        list: its copies are equal."""
        tensors = []
        for t in self.ins:
            tensors += self.listed(t)
        if len({t.dtype for t in tensors}) > 1:
            fail("dtype", f"the inputs of a rule differ: {tensors}")
        places = []
        for t in self.outs:
            listed = [b for b in self.own(t) if b not in self.broadcast]
            copied = [b for b in self.own(t) if b in self.broadcast]
            for a in self.names.assignments(listed):
                places.append([(t, a | c | self.picked(t)) for c in self.names.assignments(copied)])
        calls, inverse = self.calls()
        tensors = run_pipeline(calls, tensors, len(places), inverse)
        if len(tensors) != len(places):
            fail("op", f"{len(tensors)} tensors for {len(places)} outputs")
        for tensor, copies in zip(tensors, places):
            for t, a in copies:
                self.run.put(*self.place(t, a, self.run.o), tensor)

    def picked(self, term):
        return {b: v for b, v in self.pick.items() if b in self.inst.own(term)}

    def listed(self, term):
        out = []
        copied = [b for b in self.own(term) if b in self.broadcast]
        for a in self.names.assignments([b for b in self.own(term) if b not in self.broadcast]):
            found = [self.must_fetch(term, a | c | self.picked(term)) for c in self.names.assignments(copied)]
            if not self.run.options.trust_replicas and not all(f.same(found[0]) for f in found):
                fail("replica", "copies differ")
            out.append(found[0])
        return out

    # ---- patterns ----

    def resolved(self, term):
        """The term's pattern with composite indices replaced by their components."""
        pattern = REST if term.pattern is None else term.pattern

        def axis(name):
            if name not in self.names.env.module.indices:
                return ("axis", name)
            bases = self.names.bases(name)
            axes = [("axis", b) for b in bases]
            return axes[0] if len(axes) == 1 else ("product", axes)
        return [patterns.map_axes(d, axis) for d in pattern]

    def known_sizes(self, all_patterns):
        sizes = {}
        axes = {a for p in all_patterns for d in p for a in patterns.axes_of(d)}
        own = {b for t in self.ins + self.outs for b in self.own(t)}
        for a in axes | own:
            if a in self.scope.where:
                sizes[a] = size(self.scope.where[a], f"axis `{a}`")
            elif self.names.is_index(a):
                n = self.names.extent(a)
                if n is not None:
                    sizes[a] = n
            elif a in self.names.env.params or a in self.names.env.module.lets:
                v = self.scope.name(a)
                if is_number(v):
                    sizes[a] = size(v, f"axis `{a}`")
        return sizes

    def pattern(self):
        tensors = [[(a, self.must_fetch(t, a)) for a in self.choices(t)] for t in self.ins]
        dtypes = {x.dtype for found in tensors for _, x in found}
        if len(dtypes) > 1:
            fail("dtype", f"the inputs of a rule differ: {dtypes}")
        if not dtypes:
            fail("missing", "a rule without any input tensor")
        ins, outs = [self.resolved(t) for t in self.ins], [self.resolved(t) for t in self.outs]
        ranks = {patterns.rest_rank(p, x.shape, "a tensor") for p, found in zip(ins, tensors)
                 if ("rest",) in p for _, x in found}
        if len(ranks) > 1:
            fail("shape", "`...` is of different rank in two tensors")
        rank = ranks.pop() if ranks else 0
        ins, outs = [patterns.with_rest(p, rank) for p in ins], [patterns.with_rest(p, rank) for p in outs]
        sizes = self.known_sizes(ins + outs)
        equations = [(p, x.shape, self.place(t, a, self.run.i)[0])
                     for t, p, found in zip(self.ins, ins, tensors) for a, x in found]
        patterns.solve(equations, sizes)
        values = self.gather(ins, tensors, sizes)
        values = self.elementwise(values, dtypes.pop())
        self.scatter(outs, values, sizes)

    def gather(self, ins, tensors, sizes):
        """{axes of a product: its elements, axes in alphabetical order}"""
        out = {}
        for t, pattern, found in zip(self.ins, ins, tensors):
            own = self.own(t)
            for axes, index in patterns.products(pattern, sizes):
                names = sorted(axes + tuple(own))
                if len(set(names)) != len(names):
                    fail("pairing", f"an axis occurs twice in {names}")
                if frozenset(names) in out:
                    fail("pairing", f"two products {names}")
                whole = np.zeros([sizes[n] for n in names], found[0][1].data.dtype if found else np.uint8)
                for a, x in found:
                    piece = x.data[index] if index else x.data
                    piece = np.broadcast_to(piece, [sizes[n] for n in axes])
                    piece = piece.transpose([axes.index(n) for n in names if n in axes])
                    whole[tuple(a[n] if n in own else slice(None) for n in names)] = piece
                self.check_pad(names, whole, found)
                out[frozenset(names)] = whole
        return out

    def check_pad(self, names, whole, found):
        for p in self.pad:
            if p in names and self.run.options.strict_pad and found:
                if (whole != scalar(self.pad[p], found[0][1].dtype)).any():
                    fail("pad", "padding holds other values")

    def elementwise(self, values, dtype):
        self.stored = values
        out = {k: Tensor(dtype, v) for k, v in values.items()}
        calls, inverse = self.calls()
        for c in calls:
            if c.name not in ELEMENTWISE:
                fail("op", f"`{c.name}` in a rule with patterns")
        return {k: run_pipeline(calls, [t], 1, inverse)[0] for k, t in out.items()}

    def free(self, axes):
        """The axes by which the two sides are paired."""
        return frozenset(a for a in axes if a not in self.broadcast and a not in self.pick)

    def padded(self, axes):
        return any(p in axes for p in self.pad)

    def scatter(self, outs, values, sizes):
        sources = {}
        for axes, t in values.items():
            if self.padded(axes):
                continue
            if self.free(axes) in sources:
                fail("pairing", f"two products {sorted(axes)}")
            sources[self.free(axes)] = (sorted(axes), t)
        dtype = next(iter(values.values())).dtype
        written = []
        for t, pattern in zip(self.outs, outs):
            self.write_term(t, pattern, sources, sizes, dtype, written)
        if len(written) != len(set(written)) or set(written) != set(sources):
            fail("pairing", "the products of the two sides are not the same")

    def write_term(self, term, pattern, sources, sizes, dtype, written):
        own = self.own(term)
        shape = patterns.shape_of(pattern, sizes)
        parts = []
        for axes, index in patterns.products(pattern, sizes):
            names = sorted(axes + tuple(own))
            if len(set(names)) != len(names):
                fail("pairing", f"an axis occurs twice in {names}")
            if self.padded(names):
                fill = next(scalar(v, dtype) for p, v in self.pad.items() if p in names)
                whole = np.full([sizes[n] for n in names], fill)
            else:
                whole = self.product(names, sources, sizes)
                written.append(self.free(names))
            parts.append((axes, index, names, whole))
        with KnownIndices(self.names, own, sizes):
            for a in self.choices(term):
                data = np.zeros(shape, Tensor(dtype, scalar_array(dtype)).data.dtype)
                for axes, index, names, whole in parts:
                    piece = whole[tuple(a[n] if n in own else slice(None) for n in names)]
                    rest = [n for n in names if n not in own]
                    data[index if index else ()] = piece.transpose([rest.index(n) for n in axes])
                self.run.put(*self.place(term, a, self.run.o), Tensor(dtype, data))

    def product(self, names, sources, sizes):
        """The elements of a product of the output, from the product of the input that it is paired with."""
        if self.free(names) not in sources:
            fail("pairing", f"nothing gives the product {names}")
        have, t = sources[self.free(names)]
        data, axes = t.data, list(have)
        stored = self.stored[frozenset(have)]
        for a in have:
            if a in names:
                continue
            k = axes.index(a)
            if a in self.pick:
                if not 0 <= self.pick[a] < data.shape[k]:
                    fail("value", f"pick {a} = {self.pick[a]} of {data.shape[k]}")
                data, stored = data.take(self.pick[a], k), stored.take(self.pick[a], k)
            else:
                if data.shape[k] == 0:
                    fail("shape", f"no copy along `{a}`")
                # copies are compared as they are stored, before any operation
                if not self.run.options.trust_replicas and (stored != stored.take([0], k)).any():
                    fail("replica", f"the copies along `{a}` differ")
                data, stored = data.take(0, k), stored.take(0, k)
            axes.remove(a)
        data = data.reshape([sizes[n] if n in axes else 1 for n in names])
        return np.broadcast_to(data, [sizes[n] for n in names])

    # ---- fill ----

    def fill(self):
        fill = self.flat.fill
        dtype = dtype_of(fill.dtype)
        value = scalar(evaluate(fill.value, self.scope), dtype)
        writing = bool(self.outs)
        if not writing and self.absent():
            return
        for term in self.outs if writing else self.ins:
            pattern = self.resolved(term)
            for a in self.choices(term):
                if writing:
                    sizes = self.known_sizes([pattern])
                    data = np.full(patterns.shape_of(pattern, sizes), value)
                    self.run.put(*self.place(term, a, self.run.o), Tensor(dtype, data))
                else:
                    self.check_fill(term, pattern, a, dtype, value)

    def check_fill(self, term, pattern, a, dtype, value):
        t = self.must_fetch(term, a)
        p = patterns.with_rest(pattern, patterns.rest_rank(pattern, t.shape, "a tensor")) \
            if ("rest",) in pattern else pattern
        patterns.solve([(p, t.shape, "a tensor")], self.known_sizes([p]))
        if t.dtype != dtype:
            fail("dtype", f"{t.dtype}, not {dtype}")
        if (t.data != value).any():
            fail("fill", "a filled tensor holds other values")


def scalar_array(dtype):
    from .dtypes import storage
    return np.zeros((), storage(dtype))


class KnownIndices:
    """While it lasts, indices `in keys` that an axis has told have their values."""

    def __init__(self, names, own, sizes):
        self.env = names.env
        self.new = {b: list(range(sizes[b])) for b in own
                    if b in names.env.module.indices and names.extent(b) is None}

    def __enter__(self):
        self.env.from_keys.update(self.new)

    def __exit__(self, *exc):
        for b in self.new:
            del self.env.from_keys[b]
