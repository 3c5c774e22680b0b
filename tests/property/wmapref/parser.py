"""Tokens to the tree: recursive descent, one function for each construct of the language."""

from .errors import fail
from .lexer import Text, tokens
from .syntax import (Clauses, FileLine, Fill, Hole, Index, Module, Op, Rule, Shard, ShardLine, Term)

RESERVED = {"in", "fill", "config", "true", "false", "null", "if"}
COMPARISONS = ["==", "!=", "<", "<=", ">", ">="]


class Parser:
    def __init__(self, text):
        self.tokens = tokens(text)
        self.pos = 0

    # ---- tokens ----

    @property
    def token(self):
        return self.tokens[self.pos]

    def peek(self, offset):
        return self.tokens[min(self.pos + offset, len(self.tokens) - 1)]

    def error(self, what):
        fail("syntax", f"line {self.token.line}: expected {what}, found {self.token.value!r}")

    def next(self):
        token = self.token
        self.pos += 1
        return token

    def at(self, punct):
        return self.token.kind == "punct" and self.token.value == punct

    def at_word(self, word):
        return self.token.kind == "name" and self.token.value == word

    def accept(self, punct):
        if self.at(punct):
            self.next()
            return True
        return False

    def accept_word(self, word):
        if self.at_word(word):
            self.next()
            return True
        return False

    def expect(self, punct):
        if not self.accept(punct):
            self.error(f"`{punct}`")

    def expect_word(self, word):
        if not self.accept_word(word):
            self.error(f"`{word}`")

    def name(self):
        if self.token.kind != "name" or self.token.value in RESERVED:
            self.error("a name")
        return self.next().value

    def string(self):
        if self.token.kind != "string":
            self.error("a string")
        return self.next().value

    def template(self):
        line = self.token.line
        return parse_template(self.string(), line)

    # ---- expressions, loosest first ----

    def expr(self):
        cond = self.or_()
        if self.accept("?"):
            yes = self.expr()
            self.expect(":")
            return ("?:", cond, yes, self.expr())
        return cond

    def left_assoc(self, operators, operand):
        e = operand()
        while self.token.kind == "punct" and self.token.value in operators:
            op = self.next().value
            e = (op, e, operand())
        return e

    def or_(self):
        return self.left_assoc(["||"], self.and_)

    def and_(self):
        return self.left_assoc(["&&"], self.comparison)

    def at_comparison(self):
        return self.at_word("in") or (self.token.kind == "punct" and self.token.value in COMPARISONS)

    def comparison(self):
        e = self.range_()
        if self.at_comparison():
            e = (self.next().value, e, self.range_())
            if self.at_comparison():
                self.error("no second comparison")
        return e

    def range_(self):
        e = self.else_()
        if self.accept(".."):
            e = ("..", e, self.else_())
        return e

    def else_(self):
        return self.left_assoc(["??"], self.sum_)

    def sum_(self):
        return self.left_assoc(["+", "-"], self.product)

    def product(self):
        return self.left_assoc(["*", "/", "%"], self.unary)

    def unary(self):
        if self.accept("-"):
            return ("neg", self.unary())
        if self.accept("!"):
            return ("not", self.unary())
        return self.postfix()

    def postfix(self):
        e = self.primary()
        while True:
            if self.accept("."):
                if self.token.kind != "name":
                    self.error("a field")
                e = ("field", e, self.next().value)
            elif self.accept("["):
                e = ("item", e, self.expr())
                self.expect("]")
            else:
                return e

    def primary(self):
        t = self.token
        if t.kind in ("int", "float"):
            self.next()
            return ("number", t.value)
        if t.kind == "string":
            self.next()
            return ("string", t.value)
        if self.accept("("):
            e = self.expr()
            self.expect(")")
            return e
        if self.accept("["):
            return ("list", self.comma_list("]", self.expr))
        if t.kind != "name":
            self.error("a value")
        self.next()
        if t.value in ("true", "false"):
            return ("bool", t.value == "true")
        if t.value == "null":
            return ("null",)
        if t.value == "config":
            return ("config",)
        if t.value in RESERVED:
            self.pos -= 1
            self.error("a value")
        if self.accept("("):
            return ("call", t.value, self.comma_list(")", self.expr))
        return ("name", t.value)

    def comma_list(self, end, item):
        """Items up to the closing `end`, which is taken too."""
        items = []
        while not self.accept(end):
            if items:
                self.expect(",")
            items.append(item())
        return items

    # ---- patterns ----

    def pattern(self):
        self.expect("[")
        dims = []
        while not self.accept("]"):
            dims.append(self.pattern_item(True))
        return dims

    def pattern_item(self, dimension):
        if dimension and self.accept("..."):
            return ("rest",)
        if self.token.kind == "int":
            if self.token.value != 1:
                self.error("an axis or 1")
            self.next()
            return ("one",)
        if self.accept("("):
            e = self.pattern_sum()
            self.expect(")")
            return e
        return ("axis", self.name())

    def pattern_sum(self):
        items = [self.pattern_product()]
        while self.accept("+"):
            items.append(self.pattern_product())
        return items[0] if len(items) == 1 else ("sum", items)

    def pattern_product(self):
        items = []
        while not self.at("+") and not self.at(")"):
            items.append(self.pattern_item(False))
        if not items:
            self.error("an axis")
        return items[0] if len(items) == 1 else ("product", items)

    # ---- rules ----

    def term(self):
        key = self.template()
        return Term(key, self.pattern() if self.at("[") else None)

    def terms(self):
        if self.accept_word("fill"):
            value = self.expr()
            if self.token.kind != "name":
                self.error("a dtype")
            return [Fill(value, self.next().value)]
        out = [self.term()]
        while self.accept(","):
            out.append(self.term())
        return out

    def op(self):
        name = self.name()
        lossy = False
        if name == "lossy" and self.token.kind == "name":
            lossy, name = True, self.name()
        args = self.comma_list(")", self.expr) if self.accept("(") else []
        return Op(name, args, lossy)

    def arrow(self):
        for a in ("<->", "->", "<-"):
            if self.accept(a):
                return a
        self.error("an arrow")

    def rule(self):
        line = self.token.line
        left = self.terms()
        arrow = self.arrow()
        ops = []
        if self.token.kind == "name" and self.token.value != "fill":
            ops.append(self.op())
            while self.accept("|"):
                ops.append(self.op())
            if self.arrow() != arrow:
                fail("syntax", f"line {line}: both arrows of a rule must be alike")
        right = self.terms()
        return Rule(left, right, arrow, ops, self.clauses(), line)

    def binding(self):
        name = self.name()
        self.expect("=")
        return (name, self.expr())

    def some(self, item):
        out = [item()]
        while self.accept(","):
            out.append(item())
        return out

    def clauses(self):
        c = Clauses()
        while True:
            if self.accept_word("where"):
                c.where += self.some(self.binding)
            elif self.accept_word("when"):
                c.when.append(self.expr())
            elif self.accept_word("optional"):
                if self.accept("("):
                    c.optional.append(self.expr())
                    self.expect(")")
                else:
                    c.optional.append(("bool", True))
            elif self.accept_word("broadcast"):
                c.broadcast += self.some(self.name)
            elif self.accept_word("pick"):
                c.pick += self.some(self.binding)
            elif self.accept_word("pad"):
                c.pad += self.some(self.binding)
            else:
                return c

    # ---- statements ----

    def statements(self):
        self.expect("{")
        out = []
        while not self.accept("}"):
            out.append(self.rule_statement())
        return out

    def rule_statement(self):
        """What may stand in a block: rules, `within`, `if`, `use`, `override`."""
        if self.token.kind == "string" or self.at_word("fill"):
            return ("rule", self.rule())
        if self.accept_word("override"):
            return ("override", self.rule())
        if self.accept_word("within"):
            left = self.template()
            self.expect("<->")
            right = self.template()
            clauses = self.clauses()
            return ("within", left, right, clauses, self.statements())
        if self.accept_word("if"):
            arms = [(self.expr(), self.statements())]
            while self.accept_word("else"):
                if self.accept_word("if"):
                    arms.append((self.expr(), self.statements()))
                else:
                    arms.append((("bool", True), self.statements()))
                    break
            return ("if", arms)
        if self.accept_word("use"):
            return ("use", self.name())
        self.error("a statement")

    def index(self):
        name = self.name()
        if self.accept("<"):
            bound = self.expr()
            if self.accept("="):
                ix = Index(name, "composite", bound, self.components())
            else:
                ix = Index(name, "range", bound)
        elif self.accept("="):
            ix = Index(name, "composite", None, self.components())
        else:
            self.expect_word("in")
            if self.at_word("keys"):
                self.next()
                ix = Index(name, "keys")
            else:
                ix = Index(name, "in", self.expr())
        if self.accept_word("where"):
            ix.where = self.expr()
        return ix

    def components(self):
        self.expect("(")
        out = []
        while not self.accept(")"):
            out.append(self.name())
        return out

    def side(self, side):
        if self.token.kind == "name":
            self.name()
        self.expect("{")
        while not self.accept("}"):
            self.side_item(side)

    def side_item(self, side):
        word = self.name()
        if word == "format":
            side.format = self.name()
        elif word == "file":
            line = FileLine(self.template())
            while True:
                if self.accept_word("holds"):
                    line.holds = self.template()
                elif self.accept_word("as"):
                    line.as_ = self.template()
                elif self.accept_word("root"):
                    line.root = self.string()
                else:
                    break
            side.files.append(line)
        elif word == "alias":
            x = self.template()
            self.expect("=")
            y = self.template()
            side.aliases.append((x, y, self.expr() if self.accept_word("when") else None))
        elif word == "ignore":
            keys = self.some(self.template)
            when = self.expr() if self.accept_word("when") else None
            side.ignores += [(k, when) for k in keys]
        elif word == "carry":
            self.some(self.string)
        elif word == "emit":
            self.string()
            self.expect("{")
            self.comma_list("}", self.emit_field)
        else:
            fail("syntax", f"line {self.token.line}: `{word}` is not an item of a side")

    def emit_field(self):
        while not self.accept("="):
            self.next()
        return self.expr()

    def shard(self):
        index = self.name()
        self.expect_word("on")
        side = self.name()
        self.expect("{")
        lines = []
        while not self.accept("}"):
            lines.append(self.shard_line())
        return Shard(index, side, lines)

    def plain_line(self):
        key = self.template()
        word = self.name()
        if word == "replicate":
            return ShardLine(key, "replicate")
        if word == "at":
            return ShardLine(key, "at", at=self.expr())
        if word != "split":
            self.error("split, at or replicate")
        line = ShardLine(key, "split", dim=self.expr())
        while True:
            if self.accept_word("parts"):
                line.parts = self.comma_list("]", self.part) if self.accept("[") else self.expr()
            elif self.accept_word("groups"):
                line.groups = self.expr()
            elif self.accept_word("unit"):
                line.unit = self.expr()
            elif self.accept_word("size"):
                line.size = self.expr()
            elif self.accept_word("pad"):
                line.pad = self.expr()
            elif self.accept_word("fill"):
                line.fill = self.expr()
            elif self.accept_word("uneven"):
                line.uneven = True
            elif self.accept_word("width"):
                line.width = self.expr()
            else:
                return line

    def shard_line(self):
        line = self.plain_line()
        if self.accept_word("when"):
            line.when = self.expr()
        return line

    def part(self):
        size = self.expr()
        if self.accept_word("groups"):
            return (size, self.expr(), None)
        return (size, None, self.expr() if self.accept_word("width") else None)

    # ---- map expressions ----

    def map_expr(self):
        e = self.map_unary()
        while self.accept(">>"):
            e = ("compose", e, self.map_unary())
        return e

    def map_unary(self):
        if self.accept("~"):
            return ("inverse", self.map_unary())
        if self.accept("("):
            e = self.map_expr()
            self.expect(")")
        else:
            e = ("map", self.name())
        while self.accept("("):
            e = ("apply", e, dict(self.comma_list(")", self.binding)))
        return e

    # ---- files ----

    def module(self):
        self.expect_word("wmap")
        if self.token.kind != "int" or self.token.value != 1:
            self.error("version 1")
        self.next()
        m = Module()
        while self.token.kind != "end":
            self.statement(m)
        return m

    def declare(self, m, name):
        if name in m.params or name in m.lets or name in m.indices or name in m.imports:
            fail("name", f"line {self.token.line}: `{name}` is declared twice")

    def statement(self, m):
        if self.token.kind != "name" or self.token.value in (
                "fill", "within", "if", "use", "override"):
            m.statements.append(self.rule_statement())
            return
        word = self.name()
        if word == "map":
            name = self.name()
            if self.accept("="):
                m.maps[name] = self.map_expr()
            else:
                m.name = name
                if self.token.kind == "string" and not self.starts_rule():
                    self.string()
        elif word in ("param", "let"):
            name = self.name()
            self.declare(m, name)
            self.expect("=")
            (m.params if word == "param" else m.lets)[name] = self.expr()
            if word == "param" and self.token.kind == "string" and not self.starts_rule():
                self.string()
        elif word == "index":
            ix = self.index()
            self.declare(m, ix.name)
            m.indices[ix.name] = ix
        elif word in ("source", "target"):
            self.side(m.sides[word])
        elif word == "shard":
            m.shards.append(self.shard())
        elif word == "import":
            path = self.string()
            self.expect_word("as")
            name = self.name()
            self.declare(m, name)
            m.imports[name] = str(path)
        else:
            fail("syntax", f"line {self.token.line}: `{word}` is not a statement")

    def starts_rule(self):
        """Is the string here the first key of a rule, and not the text of a param?"""
        after = self.peek(1)
        return after.kind == "punct" and after.value in ("<->", "->", "<-", "[", ",")


def parse(text):
    return Parser(text).module()


def parse_map_expr(text):
    p = Parser(text)
    e = p.map_expr()
    if p.token.kind != "end":
        p.error("the end")
    return e


# ---- key templates ----

def parse_template(s, line):
    """A string in key position to its holes; escapes make literal text, `{{` and `}}` literal braces."""
    escaped = s.escaped if isinstance(s, Text) else [False] * len(s)
    parts, literal, i = [], "", 0

    def flush():
        nonlocal literal
        if literal:
            parts.append(Hole("text", text=literal))
            literal = ""

    def brace(k, c):
        return k < len(s) and s[k] == c and not escaped[k]

    while i < len(s):
        if (brace(i, "{") and brace(i + 1, "{")) or (brace(i, "}") and brace(i + 1, "}")):
            literal += s[i]
            i += 2
        elif brace(i, "{"):
            end = i + 1
            while end < len(s) and not brace(end, "}"):
                end += 1
            if end == len(s):
                fail("syntax", f"line {line}: `{{` without `}}`")
            flush()
            parts.append(parse_hole(s[i + 1:end], line))
            i = end + 1
        elif brace(i, "}"):
            fail("syntax", f"line {line}: `}}` without `{{`")
        else:
            literal += s[i]
            i += 1
    flush()
    return parts


def parse_hole(text, line):
    text = text.strip()
    if text.endswith("*") and text[:-1].strip().isidentifier():
        return Hole("capture", name=text[:-1].strip())
    words = text.split(None, 2)
    if len(words) == 3 and words[1] == "in":
        names = [w.strip() for w in words[2].split("|")]
        if len(set(names)) != len(names) or "" in names:
            fail("template", f"line {line}: bad list of words")
        return Hole("words", name=words[0], words=names)
    head, colon, width = text.partition(":")
    if colon and (not width.strip().isdigit()):
        fail("syntax", f"line {line}: bad width")
    p = Parser(head)
    expr = p.expr()
    if p.token.kind != "end":
        fail("syntax", f"line {line}: bad placeholder {text!r}")
    name = first_name(expr)
    if name is None:
        fail("syntax", f"line {line}: a placeholder without a name")
    return Hole("index", name=name, expr=expr, width=int(width) if colon else 0)


def first_name(expr):
    if not isinstance(expr, tuple):
        return None
    if expr[0] == "name":
        return expr[1]
    for e in expr[1:]:
        n = first_name(e)
        if n is not None:
            return n
    return None
