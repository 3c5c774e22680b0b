"""The pages that are read from top to bottom: maps are written where they stand, commands run and
print what is shown.  The Python of coming-from.md is run where its library is installed, and gives what wmap gives.
"""

import json
import re

import numpy as np
import pytest

from docs_kit import DOCS, blocks, can_run, map_bytes, read_tensors, session, wmap, write_checkpoint

TUTORIAL, COMING, STREAMING = DOCS / "tutorial.md", DOCS / "coming-from.md", DOCS / "streaming.md"
CONTAINERS = DOCS / "containers.md"
FROM = [p for p in sorted(DOCS.glob("from-*.md")) if any(b.kind == "sh" for b in blocks(p))]


@pytest.mark.parametrize("page", [TUTORIAL, COMING, STREAMING, CONTAINERS, *FROM], ids=lambda p: p.stem)
def test_page(page, tmp_path):
    ran = 0
    for b in blocks(page):
        if b.kind == "wmap":
            (tmp_path / b.words[0]).write_bytes(map_bytes(b))
        elif b.kind == "python" and b.words[0].endswith(".py"):
            (tmp_path / b.words[0]).write_text(b.text)
        elif b.kind == "sh" and can_run(b):
            session(b, tmp_path)
            ran += 1
    assert ran


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A small model, and what the page's maps make of it."""
    directory = tmp_path_factory.mktemp("coming-from")
    for b in blocks(COMING):
        if b.kind == "wmap":
            (directory / b.words[0]).write_bytes(map_bytes(b))
    for step in (["gen", "--family", "llama", "-o", "tiny", "-D", "dtype=f32"],
                 ["run", "gate_up.wmap", "-i", "tiny", "-o", "out"]):
        status, _, err = wmap(step, directory)
        assert status == 0, err
    return directory


def arrays(place, name):
    return {key: np.array(values, np.float32).reshape([int(n) for n in shape.split("[")[1].rstrip("]").split()])
            for key, (shape, values) in read_tensors(place / name).items()}


def gate_up(layer):
    return f"model.layers.{layer}.mlp.gate_up_proj.weight"


def test_the_formula(place):
    """What all five notations of the page mean."""
    state, made = arrays(place, "tiny"), arrays(place, "out")
    assert json.loads((place / "tiny/config.json").read_text())["num_hidden_layers"] == 2
    for layer in range(2):
        parts = [state[f"model.layers.{layer}.mlp.{p}_proj.weight"] for p in ("gate", "up")]
        assert np.array_equal(made[gate_up(layer)], np.concatenate(parts))


@pytest.mark.parametrize("library", ["einops", "olmo_core", "transformers"])
def test_python_means_the_same(library, place):
    pytest.importorskip(library)
    torch = pytest.importorskip("torch")
    made = arrays(place, "out")
    state = {key: torch.from_numpy(value) for key, value in arrays(place, "tiny").items()}
    if library == "olmo_core":
        state = {key: value for key, value in state.items() if "gate_proj" in key or "up_proj" in key}
    (block,) = [b for b in blocks(COMING) if b.kind == "python" and b.has(library)]
    names = {"state": state, "converted": {}}
    exec(compile(block.text, f"{block}", "exec"), names)
    converted = names["converted"]
    if library == "transformers":
        rule = names["rule"]
        for layer in range(2):
            parts = {p: [state[f"model.layers.{layer}.{p}"]] for p in rule.source_patterns}
            for op in rule.operations:
                parts = op.convert(parts, source_patterns=rule.source_patterns, target_patterns=rule.target_patterns)
            converted[gate_up(layer)] = parts["mlp.gate_up_proj.weight"]
    for layer in range(2):
        assert np.array_equal(converted[gate_up(layer)].numpy(), made[gate_up(layer)])


def test_olmo_cores_experts(place, tmp_path):
    """The second example: experts side by side, transposed."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/config.json").write_text('{"model_type": "olmoe", "num_experts": 2}')
    write_checkpoint(tmp_path / "in", "".join(f"experts.{e}.down_proj.weight F32 2 3\n" for e in range(2)))
    status, _, err = wmap(["run", str(place / "experts.wmap"), "-i", "in", "-o", "out"], tmp_path)
    assert status == 0, err
    (made,) = arrays(tmp_path, "out").values()
    parts = arrays(tmp_path, "in")
    wide = np.concatenate([parts[f"experts.{e}.down_proj.weight"] for e in range(2)], axis=1)
    assert np.array_equal(made, wide.transpose(1, 0))


RULES = re.findall(r"^\|.*\| `(\".*? <-> .*?)`", COMING.read_text(), re.M)


@pytest.mark.parametrize("rule", RULES)
def test_rules_of_the_tables(rule, tmp_path):
    (tmp_path / "rule.wmap").write_text("wmap 1\n" + ("index n < 4\n" if "{n}" in rule else "") + rule + "\n")
    assert wmap(["check", "rule.wmap"], tmp_path)[0] == 0
