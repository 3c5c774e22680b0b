"""Every diagnostic has a page, and every page keeps its word: its wrong example raises the code, its right one none."""

import re

import pytest

from docs_kit import DOCS, ROOT, blocks, commands, map_bytes, wmap, write_checkpoint

ROW = re.compile(r'^WM_DIAG\((\w+),\s*(\d+),\s*WM_SEV_(\w+),\s*"(.*)"\)', re.M)
ROWS = {f"{severity[0]}{int(number):04}": title
        for _, number, severity, title in ROW.findall((ROOT / "compiler/diag.def").read_text())}
PAGES = sorted(p for p in (DOCS / "diagnostics").glob("*.md") if p.name != "README.md")
CASES = [(page, which) for page in PAGES for which in ("wrong", "right")]


def test_every_code_has_a_page():
    assert sorted(ROWS) == [p.stem for p in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_title_and_explain(page, tmp_path):
    text = page.read_text()
    assert text.splitlines()[0] == f"# {page.stem}: {ROWS.get(page.stem)}"
    assert wmap(["explain", page.stem], tmp_path) == (0, text, "")


def arrange(page, which, place):
    """Write the example's files; returns the command that shows it."""
    command, bound = None, False
    other = "right" if which == "wrong" else "wrong"
    for b in blocks(page):
        if b.has(other):
            continue
        if b.kind == "wmap" and b.has(which):
            (place / "example.wmap").write_bytes(map_bytes(b))
        elif b.kind == "wmap":
            (place / b.words[0]).write_bytes(map_bytes(b))
        elif b.kind == "json" and b.has("config"):
            (place / "in").mkdir(exist_ok=True)
            (place / "in/config.json").write_text(b.text)
        elif b.kind == "tensors":
            write_checkpoint(place / "in", b.text)
            bound = True
        elif b.kind == "sh":
            (command,) = commands(b)
            assert command[0] == "wmap"
    if command is None:
        command = ["wmap", "run", "example.wmap", "-i", "in", "-o", "out"] if bound else ["wmap", "check", "example.wmap"]
    return command[1:] + ["--json"]


@pytest.mark.parametrize("page, which", CASES, ids=lambda x: x if isinstance(x, str) else x.stem)
def test_example(page, which, tmp_path):
    command = arrange(page, which, tmp_path)
    status, out, err = wmap(command, tmp_path)
    codes = re.findall(r"(?:error|warning)\[([EW]\d{4})\]", err)
    if which == "right":
        assert (status, codes) == (0, []), out + err
    else:
        assert page.stem in (codes[:1] + codes[-1:]), out + err  # a summary stands last
        assert page.stem in out or "invert" in command, out
        assert status == (1 if page.stem[0] == "E" else 0)
