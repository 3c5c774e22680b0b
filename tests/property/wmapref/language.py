"""Templates as regular languages: is one inside the other, do two meet?  By walking both automata at once.

A template is a chain of pieces; a state is (piece, position in it).  Indices stand for any decimal number without
leading zeros (or padded), as a map is read before a config is known."""


def pieces(template, names, side):
    """The alternatives of each placeholder: a list of words, or "digits" or "any"."""
    out = []
    for hole in template:
        if hole.kind == "text":
            out += [[c] for c in hole.text]
        elif hole.name in names.captures:
            out.append("any")
        elif hole.name in names.words:
            out.append(list(hole.words or names.words[hole.name][side]))
        else:
            out.append(f"digits{hole.width}")
    return out


class Automaton:
    """Nondeterministic; states are tuples, `start` is a set of them."""

    def __init__(self, template, names, side):
        self.p = pieces(template, names, side)
        self.start = self.enter(0)

    def enter(self, k):
        if k == len(self.p):
            return {(k, "end")}
        if isinstance(self.p[k], list):
            out = set()
            for w in self.p[k]:
                out |= {(k, w)} if w else self.enter(k + 1)
            return out
        return {(k, "")}

    def step(self, state, c):
        k, rest = state
        if k >= len(self.p):
            return set()
        piece = self.p[k]
        if isinstance(piece, list):
            if rest[0] != c:
                return set()
            return {(k, rest[1:])} if rest[1:] else self.enter(k + 1)
        if piece == "any":
            return {(k, "")} | self.enter(k + 1)
        if not (c.isascii() and c.isdigit()):
            return set()
        return self.step_digit(k, rest, c, int(piece[6:]))

    def step_digit(self, k, rest, c, width):
        """`rest` counts the digits so far (up to width + 1) and tells whether the number began with 0."""
        n = len(rest)
        if width == 0:
            if rest == "0":
                return set()  # no leading zeros
            return {(k, "0" if c == "0" and not rest else "1")} | self.enter(k + 1)
        text = (rest + ("0" if c == "0" else "1"))[:width + 1]
        if n >= width and rest.startswith("0"):
            return set()  # padded to the width only
        out = {(k, text)}
        return out | self.enter(k + 1) if len(text) >= width else out

    def moves(self, states, c):
        return frozenset(t for s in states for t in self.step(s, c))

    def accepts(self, states):
        return any(s[0] == len(self.p) for s in states)


def alphabet(*automata):
    chars = set("0123456789")
    for a in automata:
        for piece in a.p:
            if isinstance(piece, list):
                chars |= set("".join(piece))
    return sorted(chars) + ["\uffff"]


def walk(x, y, bad):
    """Is there a text after which bad(x accepts, y accepts)?"""
    chars = alphabet(x, y)
    todo = [(frozenset(x.start), frozenset(y.start))]
    seen = set(todo)
    while todo:
        s, t = todo.pop()
        if bad(x.accepts(s), y.accepts(t)):
            return True
        for c in chars:
            n = (x.moves(s, c), y.moves(t, c))
            if n[0] and n not in seen:
                seen.add(n)
                todo.append(n)
    return False


def inside(x, y):
    return not walk(x, y, lambda a, b: a and not b)


def overlap(x, y):
    return walk(x, y, lambda a, b: a and b)


def strictly_inside(x, y):
    return inside(x, y) and not inside(y, x)
