"""The grammars of editors/: their words are those of the compiler's tables, and they read every map there is."""

import json
import re
import sys
from pathlib import Path

import pytest
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, String

ROOT = Path(__file__).resolve().parents[2]
EDITORS = ROOT / "editors"
sys.path.insert(0, str(EDITORS / "pygments"))
sys.path.insert(0, str(ROOT / "tests/docs"))

import docs_kit
import wmap_pygments
from wmap_pygments import WmapLexer

MAPS = sorted([*ROOT.glob("stdlib-maps/**/*.wmap"), *ROOT.glob("examples/**/*.wmap"),
               *ROOT.glob("tests/golden/parse/*.wmap"), *ROOT.glob("tests/golden/fmt/*.wmap")])
SAMPLE = (EDITORS / "sample.wmap").read_text()
GRAMMAR = json.loads((EDITORS / "textmate/wmap.tmLanguage.json").read_text())
VIM = (EDITORS / "vim/syntax/wmap.vim").read_text()


# ---- the tables of the compiler ----

def keywords():
    text = (ROOT / "grammar/wmap.y").read_text()
    declared = "\n".join(re.findall(r"^%token (.*)$", text, re.M))
    found = set(re.findall(r'\b[A-Z]+ "([a-z]+)"', declared))
    assert {"in", "null", "wmap", "stepwise", "lossy"} <= found
    return found


def functions():
    text = (ROOT / "compiler/check_expr.c").read_text()
    table = re.search(r"\} functions\[\] = \{\n(.*?)\n\};", text, re.S)[1]
    return set(re.findall(r'\{"(\w+)"', table))


def operations():
    return set(re.findall(r"^WM_OP\((\w+)\)", (ROOT / "compiler/ops.def").read_text(), re.M))


def dtypes():
    rows = re.findall(r'^WM_DTYPE\(\w+, "(\w+)", "(\w+)"', (ROOT / "base/dtype.def").read_text(), re.M)
    assert len(rows) > 20
    return {a.lower() for a, _ in rows} | {b for _, b in rows}


TABLES = {"keywords": keywords(), "functions": functions(), "operations": operations(), "dtypes": dtypes()}


# ---- the words of each grammar ----

def of_pygments():
    w = wmap_pygments
    return {"keywords": [*w.RESERVED, *w.CONSTANTS, *w.STATEMENTS, *w.ITEMS, *w.CLAUSES],
            "functions": w.FUNCTIONS, "operations": w.OPERATIONS, "dtypes": w.DTYPES}


def of_textmate():
    def words(name):
        return re.match(r"\\b\(\?:([\w|]+)\)\\b", GRAMMAR["repository"][name]["match"])[1].split("|")

    return {"keywords": [w for k in ("reserved", "constants", "statements", "words") for w in words(k)],
            "functions": words("functions"), "operations": words("operations"), "dtypes": words("dtypes")}


def of_vim():
    def keyword(*groups):
        return [w for g in groups for line in re.findall(rf"^syn keyword {g} (.*)$", VIM, re.M) for w in line.split()]

    def match(group):
        return re.search(rf"^syn match {group}\s+/\\v<%\(([\w|]+)\)>", VIM, re.M)[1].split("|")

    return {"keywords": keyword("wmapStatement", "wmapItem", "wmapClause", "wmapReserved", "wmapConstant"),
            "functions": match("wmapFunction"), "operations": match("wmapOperation"), "dtypes": keyword("wmapDtype")}


@pytest.mark.parametrize("words", [of_pygments, of_textmate, of_vim])
@pytest.mark.parametrize("table", TABLES)
def test_words_are_those_of_the_compiler(words, table):
    have = words()[table]
    assert len(set(have)) == len(have)
    assert {w.lower() for w in have} == TABLES[table]


# ---- Pygments ----

def lexed(text):
    tokens = list(WmapLexer(stripnl=False, ensurenl=False).get_tokens(text))
    wrong = [v for t, v in tokens if t is Error]
    assert not wrong, f"{wrong} in\n{text}"
    assert "".join(v for _, v in tokens) == text.lstrip("\ufeff").replace("\r\n", "\n")
    return tokens


@pytest.mark.parametrize("path", MAPS, ids=lambda p: str(p.relative_to(ROOT)))
def test_lexes_maps(path):
    lexed(path.read_text())


def test_lexes_the_documentation():
    count = 0
    for page in sorted((ROOT / "docs").rglob("*.md")) + [ROOT / "README.md"]:
        for block in docs_kit.blocks(page):
            # what has a syntax error (E01..) may hold anything
            if block.kind == "wmap" and not block.has("bytes") and not page.stem.startswith("E01") and not any(
                    w.startswith("E01") for w in block.words):
                lexed(block.text)
                count += 1
    assert count > 100


KINDS = [
    ("wmap", Keyword.Declaration), ("# a comment", Comment.Single), ("layer", Name.Variable),
    ("config", Keyword.Reserved), ("num_hidden_layers", Name.Attribute), ("min", Name.Builtin),
    ("0.5", Number.Float), ("1_000", Number.Integer), ("safetensors", Name.Builtin.Pseudo), ("rest", Name.Variable.Magic),
    ("in", Keyword.Reserved), ("gate", String.Symbol), ("|", Operator), ("05", Number.Integer), ("heads", Name.Variable),
    ("...", Operator), ("transpose", Name.Function), ("neg", Name.Function), ("bf16", Keyword.Type), ("F32", Keyword.Type),
    ("{{", String.Escape), ("\\u{e9}", String.Escape), ("<->", Operator.Word), ("null", Keyword.Constant),
    ("index", Name.Attribute), ("optional", Keyword),
]


@pytest.mark.parametrize("text, kind", KINDS, ids=lambda x: str(x))
def test_kinds(text, kind):
    assert (kind, text) in lexed(SAMPLE)


def test_the_sample_is_a_map():
    done = docs_kit.wmap(["check", str(EDITORS / "sample.wmap")], ROOT)
    assert done[0] == 0, done


def test_split_and_pad_are_words_and_operations():
    tokens = lexed(SAMPLE)
    for word in ("split", "pad"):
        assert {t for t, v in tokens if v == word} == {Keyword, Name.Function}


def test_entry_point_names_the_lexer():
    text = (EDITORS / "pygments/pyproject.toml").read_text()
    module, name = re.search(r'^wmap = "(\w+):(\w+)"$', text, re.M).groups()
    assert getattr(sys.modules[module], name) is WmapLexer
    assert WmapLexer.filenames == ["*.wmap"]


# ---- TextMate: a small interpreter, since its regexes keep to what Python's have as well ----

def rules(repository=GRAMMAR["repository"]):
    todo = [GRAMMAR, *repository.values()]
    while todo:
        rule = todo.pop()
        yield rule
        todo += rule.get("patterns", [])


def test_textmate_is_sound():
    count = 0
    for rule in rules():
        assert ("begin" in rule) == ("end" in rule)
        for key in ("match", "begin", "end"):
            if key in rule:
                groups = re.compile(rule[key]).groups
                captures = rule.get("captures" if key == "match" else key + "Captures", {})
                assert all(int(n) <= groups for n in captures)
                count += 1
        if "include" in rule:
            assert rule["include"][1:] in GRAMMAR["repository"]
        for name in re.findall(r'"name": "([^"]+)"', json.dumps(rule)):
            assert name.endswith(".wmap") or rule is GRAMMAR, name
    assert count > 25


def expand(patterns):
    for rule in patterns:
        if "include" in rule:
            rule = GRAMMAR["repository"][rule["include"][1:]]
        if "match" in rule or "begin" in rule:
            yield rule
        else:
            yield from expand(rule["patterns"])


def scoped(text):
    """(text, innermost scope) of all that has a scope, a line at a time as editors do."""
    stack, found = [GRAMMAR], []

    def take(m, rule, captures):
        names = {int(n): c["name"] for n, c in rule.get(captures, {}).items()}
        if captures == "captures" and "name" in rule and not names:
            names = {0: rule["name"]}
        found.extend((m[n], name) for n, name in sorted(names.items()))

    for line in text.split("\n"):
        at = 0
        while at <= len(line):
            top, best = stack[-1], None
            if "end" in top:
                best = (re.compile(top["end"]).search(line, at), top, True)
            for rule in expand(top["patterns"] if "patterns" in top else []):
                m = re.compile(rule.get("match") or rule["begin"]).search(line, at)
                if m and (not best or not best[0] or m.start() < best[0].start()):
                    best = (m, rule, False)
            if not best or not best[0]:
                break
            m, rule, ends = best
            if ends:
                stack.pop()
                take(m, rule, "endCaptures")
            elif "match" in rule:
                take(m, rule, "captures")
            else:
                stack.append(rule)
                take(m, rule, "beginCaptures")
            assert m.end() > at or ends, rule
            at = m.end()
            if ends and at == len(line):
                break
    assert stack == [GRAMMAR], f"left open: {stack[-1].get('name')}"
    return found


@pytest.mark.parametrize("path", MAPS, ids=lambda p: str(p.relative_to(ROOT)))
def test_textmate_reads_maps(path):
    arrows = [text for text, name in scoped(path.read_text()) if name == "keyword.operator.arrow.wmap"]
    assert arrows == [v for t, v in lexed(path.read_text()) if t is Operator.Word]


@pytest.mark.parametrize("text, scope", [
    ("wmap", "keyword.declaration"), ("layer", "variable.other.definition"), ("layer", "variable.other.index"),
    ("rest", "variable.other.capture"), ("gate", "string.unquoted.word"), (":05", "constant.numeric.width"),
    ("heads", "variable.parameter.axis"), ("...", "keyword.operator"), ("transpose", "support.function.operation"),
    ("min", "support.function.builtin"), ("bf16", "storage.type"), ("F32", "storage.type"), ("config", "keyword.control"),
    ("null", "constant.language"), ("index", "variable.other.property"), ("# a comment", "comment.line.number-sign"),
    ("{{", "constant.character.escape"), ("<->", "keyword.operator.arrow"), ("split", "keyword.other"),
    ("split", "support.function.operation"), ("pad", "keyword.other"), ("pad", "support.function.operation"),
    ("safetensors", "support.constant.format"), ("0.5", "constant.numeric"),
])
def test_textmate_scopes(text, scope):
    assert (text, scope + ".wmap") in scoped(SAMPLE)


# ---- VS Code ----

def test_vscode_names_files_that_are_there():
    folder = EDITORS / "vscode"
    package = json.loads((folder / "package.json").read_text())
    language, = package["contributes"]["languages"]
    grammar, = package["contributes"]["grammars"]
    assert grammar["language"] == language["id"] and language["extensions"] == [".wmap"]
    assert json.loads((folder / grammar["path"]).read_text())["scopeName"] == grammar["scopeName"]
    settings = json.loads((folder / language["configuration"]).read_text())
    assert settings["comments"]["lineComment"] == "#"
    for pattern in (settings["wordPattern"], *settings["indentationRules"].values()):
        re.compile(pattern)
    assert re.search(settings["indentationRules"]["increaseIndentPattern"], 'within "a{x}." <-> "b" {')
    assert not re.search(settings["indentationRules"]["increaseIndentPattern"], '"a.{x}" <-> "b.{x}"')
