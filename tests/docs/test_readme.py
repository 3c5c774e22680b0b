"""README.md keeps its word: its map, its plan, its commands and what they print, its table, its links."""

import re
import shutil

import pytest

from docs_kit import DOCS, ROOT, blocks, map_bytes, session, wmap

README = ROOT / "README.md"
TEXT = README.read_text()
MAPS = sorted(str(p.relative_to(ROOT / "stdlib-maps").with_suffix("")) for p in (ROOT / "stdlib-maps").rglob("*.wmap")
              if p.parent.name != "common")


def block(kind):
    (found,) = [b for b in blocks(README) if b.kind == kind]
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    directory = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "examples", directory / "examples")
    return directory


def test_the_map_is_the_example_and_formatted(place):
    assert map_bytes(block("wmap")) == (ROOT / "examples/grouped_qkv.wmap").read_bytes()
    assert wmap(["fmt", "--check", "examples/grouped_qkv.wmap"], place) == (0, "", "")


def test_the_plan_is_what_the_map_compiles_to(place):
    assert wmap(["gen", "--family", "llama", "-o", "model"], place)[0] == 0
    status, out, err = wmap(["dump", "examples/grouped_qkv.wmap", "-i", "model", "--stage", "plan"], place)
    assert status == 0, err
    assert "\n" + block("plan").text in out


def test_the_commands_print_what_is_shown(place):
    session(block("sh"), place)


def test_a_composition_is_one_conversion(place):
    """What README says of `~litgpt/llama >> olmo_core/llama`: the same as two runs."""
    config = ["--config", "model/config.json"]
    steps = [["gen", "--family", "llama", "-o", "model", "--force"],
             ["run", "litgpt/llama", "-i", "model", "-o", "lit.safetensors"],
             ["run", "~litgpt/llama >> olmo_core/llama", "-i", "lit.safetensors", "-o", "one.safetensors", *config],
             ["run", "olmo_core/llama", "-i", "model", "-o", "two.safetensors"]]
    for step in steps:
        status, _, err = wmap(step, place)
        assert status == 0, err
    assert (place / "one.safetensors").read_bytes() == (place / "two.safetensors").read_bytes()


PLAN = DOCS / "plan-format.md"


def test_the_plan_of_the_page_about_plans(place):
    (shown,) = [b for b in blocks(PLAN) if b.kind == "sh"]
    shutil.rmtree(place / "tiny", ignore_errors=True)
    session(shown, place)


def test_architecture_names_what_exists():
    """Every folder and file of a row in docs/architecture.md is there."""
    for name in re.findall(r"`((?:base|runtime|compiler|grammar|api|cli|include|tests|docs)/[\w/.*-]*)`",
                           (DOCS / "architecture.md").read_text()):
        if "NAME" not in name and "CODE" not in name:
            assert list(ROOT.glob(name)) or (ROOT / name).exists(), name


def table():
    """{name of a map: the rest of its row}."""
    found = {}
    for names, rest in re.findall(r"^\| (`.*?`) \|(.*)\|$", TEXT, re.M):
        words = re.findall(r"`([^`]+)`", names)
        system = words[0]
        for word in words[1:] if system.endswith("/") else [""]:
            found[system + word] = rest
    return found


def test_the_table_has_every_map():
    assert sorted(table()) == MAPS


def test_versions_are_those_of_the_peer_tests():
    pins = dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "tests/peers/requirements.txt").read_text(), re.M))
    named = re.findall(r"(litgpt|ai2-olmo-core|transformers) (\d[\w.]*)", " ".join(table().values()))
    assert named and all(pins[peer] == version for peer, version in named)


def test_a_map_says_formula_where_its_header_does():
    for name, rest in table().items():
        if "formula" in rest:
            assert "formula" in (ROOT / f"stdlib-maps/{name}.wmap").read_text().split("\nwmap 1\n")[0], name


def test_every_map_is_sound(tmp_path):
    for name in MAPS:
        assert wmap(["check", name], tmp_path)[0] == 0, name


def test_the_two_commands_are_there():
    for name in re.findall(r"^    \./(\w+)", TEXT, re.M):
        assert (ROOT / name).stat().st_mode & 0o111


SOURCE = ["api", "base", "cli", "compiler", "examples", "grammar", "include", "runtime", "stdlib-maps", "tests"]


@pytest.mark.parametrize("folder", SOURCE)
def test_every_folder_says_what_it_is(folder):
    assert (ROOT / folder / "README.md").read_text().startswith("# ")


LINKING = [README, ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md"), *ROOT.glob("*/README.md")]


@pytest.mark.parametrize("page", LINKING, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.S)):
        assert target.startswith("https://") or (page.parent / target).exists(), target
