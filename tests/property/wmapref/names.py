"""What the names of a map stand for, and key templates: printing them and matching keys with them.

An *assignment* gives every base index its ordinal (its position in its set) and every capture its text.  Composite
indices never stand in an assignment; their components do.
"""

import itertools
import re

from .errors import fail
from .parser import parse_template
from .values import boolean, evaluate, integer, size

MISSING = object()


class Env:
    """One use of a module: values of its params, lets, indices and imports."""

    def __init__(self, module, config, params, exists, imports):
        self.module, self.config, self.exists_key = module, config, exists
        self.params = {}
        self.lets = {}
        self.imports = imports          # name -> Env
        self.from_keys = {}             # index `in keys` -> its values, once the input has shown them
        self.domains = {}
        self.evaluating = []
        for name, value in params.items():
            if name not in module.params:
                fail("name", f"no param `{name}`")
            self.params[name] = value
        for name, default in module.params.items():
            value = evaluate(default, Scope(self))
            if name in self.params and value is not None and kind_of(value) != kind_of(self.params[name]):
                if not (kind_of(value) == "float" and kind_of(self.params[name]) == "int"):
                    fail("type", f"param `{name}` is of type {kind_of(value)}")
            self.params.setdefault(name, value)

    def domain(self, name):
        """The values of a base index in order; None while only an input could tell."""
        if name not in self.domains:
            ix = self.module.indices[name]
            if ix.kind == "keys":
                return self.from_keys.get(name)
            v = evaluate(ix.domain, Scope(self))
            if ix.kind == "range":
                values = list(range(size(v, f"the bound of `{name}`")))
            elif isinstance(v, (list, range)):
                values = [integer(x) for x in v]
            else:
                fail("type", f"index `{name}` needs a list or a range")
            if any(a >= b for a, b in zip(values, values[1:])):
                fail("index", f"the values of `{name}` do not ascend")
            if any(x < 0 for x in values):
                fail("index", f"`{name}` has a negative value")
            if ix.where is not None:
                values = [x for x in values if boolean(evaluate(ix.where, Scope(self, {name: x})))]
            self.domains[name] = values
        return self.domains[name]

    def components(self, name):
        """The base indices of an index, outermost first."""
        ix = self.module.indices[name]
        if ix.kind != "composite":
            return [name]
        return [b for part in ix.parts for b in self.components(part)]

    def bound(self, name):
        """What a composite must stay below, or None."""
        e = self.module.indices[name].domain
        return None if e is None else size(evaluate(e, Scope(self)), f"the bound of `{name}`")

    def composite_value(self, name, assignment):
        """The value of a composite, or None where its bound leaves it out."""
        v = 0
        for part in self.module.indices[name].parts:
            if self.module.indices[part].kind == "composite":
                n = self.composite_size(part)
                p = self.composite_value(part, assignment)
                if p is None:
                    return None
            else:
                n, p = len(self.need(part)), assignment[part]
            v = v * n + p
        bound = self.bound(name)
        return None if bound is not None and v >= bound else v

    def composite_size(self, name):
        n = 1
        for b in self.components(name):
            n *= len(self.need(b))
        return n

    def need(self, name):
        d = self.domain(name)
        if d is None:
            fail("unsolvable", f"nothing tells the values of index `{name}`")
        return d


def kind_of(v):
    return "null" if v is None else type(v).__name__


class Scope:
    """Where an expression is evaluated: an Env and the values of indices, captures and `where` names."""

    def __init__(self, env, values=None, where=None, names=None, assignment=None):
        self.env, self.values, self.where = env, values or {}, where or {}
        self.names, self.assignment = names, assignment

    @property
    def config(self):
        if self.env.config is None:
            fail("value", "the map needs a config.json")
        return self.env.config

    def name(self, n):
        env = self.env
        if n in self.where:
            return self.where[n]
        if n in self.values:
            return self.values[n]
        if n in env.params:
            return env.params[n]
        if n in env.module.lets:
            if n in env.evaluating:
                fail("name", f"`{n}` depends on itself")
            env.evaluating.append(n)
            try:
                return evaluate(env.module.lets[n], Scope(env, self.values, None, self.names, self.assignment))
            finally:
                env.evaluating.remove(n)
        fail("name", f"`{n}` has no value here")

    def is_index(self, n):
        return n in self.env.module.indices

    def index_size(self, n):
        return self.env.composite_size(n)

    def is_import(self, n):
        return n in self.env.imports

    def imported(self, module, n):
        return Scope(self.env.imports[module], self.values).name(n)

    def exists(self, text):
        template = parse_template(text, 0)
        if self.names is None:
            return self.env.exists_key(Names(self.env, [template], []).render(template, {}, 0))
        return self.env.exists_key(self.names.render(template, self.assignment, 0))


class Names:
    """The indices, words and captures of a group of templates (a rule, a file line): left ones and right ones."""

    def __init__(self, env, left, right):
        self.env = env
        self.words = {}      # name -> [list on the left, list on the right]
        self.captures = set()
        self.tables = {}
        for side, templates in enumerate((left, right)):
            for hole in itertools.chain(*templates):
                if hole.kind == "words":
                    lists = self.words.setdefault(hole.name, [None, None])
                    lists[side] = lists[side] or hole.words
                elif hole.kind == "capture":
                    self.captures.add(hole.name)
        for name, lists in self.words.items():
            lists[0] = lists[0] or lists[1]
            lists[1] = lists[1] or lists[0]
            if len(lists[0]) != len(lists[1]):
                fail("template", f"two lists of `{name}` differ in length")
            if name in env.module.indices or name in env.params or name in env.module.lets:
                fail("name", f"`{name}` is declared twice")

    # ---- indices ----

    def is_index(self, name):
        return name in self.words or name in self.env.module.indices

    def bases(self, name):
        """The base indices (or the capture) behind a name of a placeholder or an axis."""
        if name in self.words or name in self.captures:
            return [name]
        if name not in self.env.module.indices:
            fail("name", f"no index `{name}`")
        return self.env.components(name)

    def extent(self, base):
        """How many values a base index has; None if only an input could tell."""
        if base in self.words:
            return len(self.words[base][0])
        if base in self.captures:
            return None
        d = self.env.domain(base)
        return None if d is None else len(d)

    def template_bases(self, template):
        out = []
        for hole in template:
            if hole.kind != "text":
                out += [b for b in self.bases(hole.name) if b not in out]
        return out

    def values(self, assignment, side=0):
        """The values that expressions see: of base indices, of composites that are complete, of captures."""
        out = {}
        for b, v in assignment.items():
            if b in self.words:
                out[b] = self.words[b][side][v]
            elif b in self.captures:
                out[b] = v
            elif b in self.env.module.indices:
                out[b] = self.env.need(b)[v]
        for name, ix in self.env.module.indices.items():
            if ix.kind == "composite" and all(b in assignment for b in self.env.components(name)):
                v = self.env.composite_value(name, assignment)
                if v is not None:
                    out[name] = v
        return out

    def within_bounds(self, assignment, names):
        """Are the bounded composites among `names` inside their bounds?"""
        for name in names:
            ix = self.env.module.indices.get(name)
            if ix is not None and ix.kind == "composite" and all(
                    b in assignment for b in self.env.components(name)):
                if self.env.composite_value(name, assignment) is None:
                    return False
        return True

    def assignments(self, bases):
        """All assignments of some base indices, the last one fastest."""
        ranges = []
        for b in bases:
            n = self.extent(b)
            if n is None:
                fail("unsolvable", f"nothing tells the values of index `{b}`")
            ranges.append(range(n))
        return [dict(zip(bases, t)) for t in itertools.product(*ranges)]

    # ---- printing and matching ----

    def print_hole(self, hole, assignment, side):
        """The text of a placeholder, or None where a bound leaves it out."""
        if hole.kind == "text":
            return hole.text
        if hole.kind == "words":
            return hole.words[assignment[hole.name]]
        if hole.name in self.captures:
            return assignment[hole.name]
        if hole.name in self.words:
            return self.words[hole.name][side][assignment[hole.name]]
        values = self.values(assignment, side)
        if hole.name not in values:
            return None
        v = integer(evaluate(hole.expr, Scope(self.env, {hole.name: values[hole.name]})))
        if v < 0:
            fail("index", f"`{hole.name}` prints as {v}")
        return f"{v:0{hole.width}d}"

    def render(self, template, assignment, side):
        return "".join(self.print_hole(h, assignment, side) for h in template)

    def table(self, hole, side):
        """Every text that an index placeholder can print, with its assignment."""
        key = (id(hole), side)
        if key not in self.tables:
            out = {}
            for a in self.assignments(self.bases(hole.name)):
                text = self.print_hole(hole, a, side)
                if text is not None:
                    if text in out:
                        fail("index", f"`{hole.name}` prints {text} twice")
                    out[text] = a
            self.tables[key] = (hole, out)
        return self.tables[key][1]

    def match(self, template, text, side, given=None, unknown=()):
        """The assignments under which a template is a text.  Indices in `unknown` take any number, and give their
        value instead of an ordinal."""
        return list(self.match_from(template, 0, text, 0, side, dict(given or {}), unknown))

    def match_from(self, template, k, text, pos, side, a, unknown):
        if k == len(template):
            if pos == len(text):
                yield a
            return
        hole = template[k]
        if hole.kind == "text":
            if text.startswith(hole.text, pos):
                yield from self.match_from(template, k + 1, text, pos + len(hole.text), side, a, unknown)
            return
        for piece, given in self.pieces(hole, text, pos, side, unknown):
            if all(a.get(n, v) == v for n, v in given.items()):
                yield from self.match_from(template, k + 1, text, pos + len(piece), side, a | given, unknown)

    def pieces(self, hole, text, pos, side, unknown):
        """What a placeholder can be at a place of a text, with what that would mean."""
        name = hole.name
        if name in self.captures:
            return [(text[pos:e], {name: text[pos:e]}) for e in range(pos + 1, len(text) + 1)]
        if name in self.words:
            words = hole.words or self.words[name][side]
            return [(w, {name: i}) for i, w in enumerate(words) if text.startswith(w, pos)]
        digits = re.compile("[0-9]+").match(text, pos)
        if not digits:
            return []
        prefixes = [text[pos:e] for e in range(pos + 1, digits.end() + 1)]
        if name in unknown:
            return [(p, {name: int(p)}) for p in prefixes if f"{int(p):0{hole.width}d}" == p]
        table = self.table(hole, side)
        return [(p, table[p]) for p in prefixes if p in table]
