"""docs/language.md is the language: every rule of it has a number and an example, and every example is run.

A `wmap` block is checked and must raise nothing.  Where it has lines `# => name dtype [sizes] = values` it is run on
the `tensors` and `json config` blocks behind it (none: an input without tensors), must give exactly those tensors
(of several files, `file:name`), and `verify` must agree, which includes the way back.  `wmap CODE` must raise CODE
before all else.  `wmap NAME.wmap` is a file beside the maps of its section.  Options may stand behind `tensors`.
"""

import re

import pytest

from docs_kit import DOCS, blocks, map_bytes, read_tensors, session, wmap, write_checkpoint, write_safetensors

PAGE = DOCS / "language.md"
BLOCKS = blocks(PAGE)
LINES = PAGE.read_text().splitlines()
CODE = re.compile(r"[EW]\d{4}$")
RULE = re.compile(r"\*\*(\d+)\.(\d+)\*\* ")


def named(block):
    return block.kind == "wmap" and block.words and block.words[0].endswith(".wmap")


def is_case(block):
    return block.kind == "wmap" and not named(block)


def section(line):
    return sum(text.startswith("## ") for text in LINES[:line])


CASES = [b for b in BLOCKS if is_case(b)]


def companions(case):
    """The blocks behind a map, up to the next one or the next rule."""
    for b in BLOCKS[BLOCKS.index(case) + 1 :]:
        if is_case(b) or any(RULE.match(t) or t.startswith("#") for t in LINES[case.line : b.line]
                             if t not in case.text.splitlines()):
            return
        yield b


def arrange(case, place):
    text = map_bytes(case)
    if not re.search(rb"^wmap 1$", text, re.M) and not text.startswith(b"\xef\xbb\xbf"):
        text = b"wmap 1\n" + text
    (place / "example.wmap").write_bytes(text)
    for b in BLOCKS:
        if named(b) and section(b.line) == section(case.line):
            (place / b.words[0]).write_bytes(map_bytes(b))
    options, tensors = [], None
    for b in companions(case):
        if b.kind == "tensors":
            tensors, options = b.text, b.words
        elif b.kind == "json":
            (place / "in").mkdir(exist_ok=True)
            (place / "in/config.json").write_text(b.text)
    if tensors is not None:
        write_checkpoint(place / "in", tensors)
    else:
        write_safetensors(place / "in/model.safetensors", [])
    return options, tensors is not None


def wanted(case):
    found = {}
    for name, shape, _, values in re.findall(r"^# => (\S+) (\w+ \[[\d ]*\])( = (.*))?$", case.text, re.M):
        found[name] = (shape, [float(v) for v in values.split()] if values else None)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda c: str(c.line))
def test_example(case, tmp_path):
    options, bound = arrange(case, tmp_path)
    expected = wanted(case)
    codes = [w for w in case.words if CODE.match(w)]
    run = bound or expected
    command = ["run", "example.wmap", "-i", "in", "-o", "out", *options] if run else ["check", "example.wmap"]
    status, out, err = wmap(command, tmp_path)
    found = re.findall(r"(?:error|warning)\[([EW]\d{4})\]", err)
    if codes:
        assert found[:1] == codes, f"{case}\n{out}{err}"
        return
    assert (status, found) == (0, []), f"{case}\n{out}{err}"
    if not run:
        return
    made = read_tensors(tmp_path / "out")
    assert set(made) == set(expected), case
    for name, (shape, values) in expected.items():
        assert made[name][0] == shape, f"{case}: {name}"
        if values is not None:
            assert made[name][1] == values, f"{case}: {name}"
    status, out, err = wmap(["verify", "example.wmap", "-i", "in", "-o", "out", *options], tmp_path)
    assert status == 0, f"{case}\n{out}{err}"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.kind == "sh"], ids=lambda b: str(b.line))
def test_session(block, tmp_path):
    for b in BLOCKS:
        if named(b) and section(b.line) == section(block.line):
            (tmp_path / b.words[0]).write_bytes(map_bytes(b))
    session(block, tmp_path)


def test_rules_are_numbered_and_have_examples():
    rules, last, number = [], 0, 0
    for at, line in enumerate(LINES, 1):
        head = re.match(r"## (\d+)\b", line)
        if head:
            assert int(head[1]) == last + 1, line
            last, number = last + 1, 0
        rule = RULE.match(line)
        if rule:
            assert (int(rule[1]), int(rule[2])) == (last, number + 1), line
            number += 1
            rules.append(at)
    assert rules
    for at, end in zip(rules, [*rules[1:], len(LINES) + 1]):
        assert any(at < b.line < end for b in BLOCKS), LINES[at - 1]
