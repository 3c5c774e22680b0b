"""The tables of docs/from-*.md: rules are sound, part specifications are what both sides make of them, operations of
transformers give what the rules beside them give, links lead somewhere."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from docs_kit import DOCS, ROOT, blocks, map_bytes, read_tensors, wmap, write_checkpoint

PAGES = sorted(DOCS.glob("from-*.md"))


def rows(page):
    """The cells of all table rows of a page, `\\|` being a bar."""
    for line in (DOCS / page).read_text().splitlines():
        if line.startswith("| "):
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


RULES = [(page.name, rule) for page in PAGES for cells in rows(page.name) for cell in cells
         for rule in re.findall(r'`(".*? <-> .*?)`', cell)]
INDICES = {"layer": "config.num_hidden_layers", "expert": "config.num_experts"}


@pytest.mark.parametrize("page, rule", RULES)
def test_rules_of_the_tables(page, rule, tmp_path):
    indices = "".join(f"index {name} < {bound}\n" for name, bound in INDICES.items())
    if "(rank" in rule:  # the page says that ranks have files on the right
        indices += 'index rank < 2\ntarget { file "{rank}.safetensors" }\n'
    (tmp_path / "rule.wmap").write_text(f"wmap 1\n{indices}{rule}\n")
    status, out, err = wmap(["check", "rule.wmap"], tmp_path)
    assert status == 0, out + err


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links(page):
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert (DOCS / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_maps_exist_and_are_formatted(page, tmp_path):
    systems = {p.name for p in (ROOT / "stdlib-maps").iterdir() if p.is_dir()}
    for system, name in re.findall(r"[`'~ ](\w+)/(\w+)(?![\w/.])", page.read_text()):
        if system in systems:
            assert (ROOT / f"stdlib-maps/{system}/{name}.wmap").exists(), f"{system}/{name}"
    for b in blocks(page):
        if b.kind == "wmap":
            (tmp_path / b.words[0]).write_bytes(map_bytes(b))
            assert wmap(["fmt", "--check", b.words[0]], tmp_path)[0] == 0, b


# ---- parts of sepweight ----

PARTS = [(spec.strip("`"), theirs, ours) for spec, theirs, ours in
         (cells for cells in rows("from-sepweight.md") if len(cells) == 3)
         if re.fullmatch(r"`[\w -]+`", spec) and not re.search("[A-Z]", spec)]


def parts(text):
    """What a cell of the table says, as the names of files of a model with two layers."""
    if text in ("refused", "nothing"):
        return None if text == "refused" else set()
    words = {"begin", "0", "1", "end"} if text == "all" else set(text.split(", "))
    return {f"mid.{int(w):05}.pth" if w.isdigit() else f"{w}.pth" for w in words}


@pytest.mark.parametrize("spec, theirs, ours", PARTS)
def test_part_spec_of_wmap(spec, theirs, ours, tmp_path):
    assert wmap(["gen", "--family", "llama", "-o", "hf"], tmp_path)[0] == 0
    status, out, err = wmap(["run", "sepweight/llama", "-i", "hf", "-o", "parts", "--part-spec", spec], tmp_path)
    if parts(ours) is None:
        assert status == 2 and err.startswith("wmap: --part-spec"), (status, err)
    else:
        assert {p.name for p in (tmp_path / "parts").glob("*.pth")} == parts(ours)


@pytest.mark.parametrize("spec, theirs, ours", PARTS)
def test_part_spec_of_sepweight(spec, theirs, ours, tmp_path):
    pytest.importorskip("llm_sepweight")
    import torch
    from llm_sepweight import load

    for name in ("begin", "mid.00000", "mid.00001", "end"):
        torch.save({"w": torch.zeros(1)}, tmp_path / f"{name}.pth")
    if parts(theirs) is None:
        with pytest.raises((AssertionError, ValueError, FileNotFoundError)):
            load(tmp_path, spec)
        return
    made = load(tmp_path, spec)
    found = {f"mid.{k:05}.pth" for k in made.mid} | {f"{n}.pth" for n in ("begin", "end") if getattr(made, n) is not None}
    assert found == parts(theirs)


def test_the_table_of_parts_is_found():
    assert len(PARTS) >= 15


# ---- operations of transformers ----

OPERATIONS = [(cells[0].strip("`"), cells[1].strip("`")) for cells in rows("from-transformers.md")
              if len(cells) == 2 and re.match(r"`\w+\(.*dim|`\w+\(.*permute|`\w+\(.*kernel", cells[0])
              and cells[1].startswith('`"')]


def test_the_operations_are_found():
    assert len(OPERATIONS) == 8


@pytest.mark.parametrize("operation, rule", OPERATIONS)
def test_operation(operation, rule, tmp_path):
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("transformers.core_model_loading")
    config = {"model_type": "x", "num_attention_heads": 2}
    shape = {"Conv3dToLinear": "4 3 2 2 2", "LinearToConv3d": "4 24"}.get(operation.split("(")[0], "12 10")
    write_checkpoint(tmp_path / "in", f"a F32 {shape}\n")
    (tmp_path / "in/config.json").write_text(json.dumps(config))
    (tmp_path / "rule.wmap").write_text(f"wmap 1\n{rule}\n")
    status, out, err = wmap(["run", "rule.wmap", "-i", "in", "-o", "out"], tmp_path)
    assert status == 0, out + err
    sizes = [int(n) for n in shape.split()]
    tensor = torch.arange(float(np.prod(sizes))).reshape(sizes)
    op = eval(operation, vars(ops))  # a line of our own page
    made = op.convert({"a": [tensor]}, source_patterns=["a"], target_patterns=["x"], config=SimpleNamespace(**config))
    (want,) = made.values()
    (made,) = read_tensors(tmp_path / "out").values()
    assert made == (f"F32 [{' '.join(map(str, want.shape))}]", want.flatten().tolist())
