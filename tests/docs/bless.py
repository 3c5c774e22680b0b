"""Write what the commands of pages print anew: bless.py PAGE...  (WMAP_BIN is the program.)  Look at the difference.

Pages are run from top to bottom in one directory, as tests/docs/test_pages.py does, or with --sections in one
directory for each `## ` section, as docs/language.md wants it.
"""

import pathlib
import shutil
import sys
import tempfile

from docs_kit import ROOT, blocks, can_run, map_bytes, shell, steps


def bless(page, sections):
    lines = page.read_text().splitlines()
    for block in reversed(blocks(page)):
        if block.kind != "sh" or not can_run(block):
            continue
        begin = max((n for n, text in enumerate(lines[: block.line], 1) if text.startswith("## ")), default=0)
        place = pathlib.Path(tempfile.mkdtemp())
        shutil.copytree(ROOT / "examples", place / "examples")
        printed = []
        for b in blocks(page):
            if sections and b.line < begin or b.line > block.line:
                continue
            if b.kind == "wmap" and b.words and b.words[0].endswith(".wmap"):
                (place / b.words[0]).write_bytes(map_bytes(b))
            if b.kind == "python" and b.words[0].endswith(".py"):
                (place / b.words[0]).write_text(b.text)
            if b.kind == "sh" and can_run(b) and (b.line == block.line or not sections):
                printed = [(command, shell(command, place)) for command, _ in steps(b)]
        text = "\n".join(f"$ {command}\n{out}".rstrip("\n") for command, out in printed)
        lines[block.line : block.line + block.text.count("\n")] = text.splitlines()
        shutil.rmtree(place)
    page.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    names = [a for a in sys.argv[1:] if not a.startswith("--")]
    for name in names:
        bless(pathlib.Path(name).resolve(), "--sections" in sys.argv)
