"""Rules of the repository that a compiler does not check: layers, globals, sizes of files, tables that are complete."""
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = {  # folder -> folders whose headers it may include
    "base": {"base"},
    "runtime": {"base", "runtime"},
    "grammar": {"base", "grammar", "compiler"},
    "compiler": {"base", "runtime", "compiler"},
    "api": {"base", "runtime", "compiler", "api", "wmap"},
    "cli": {"cli", "wmap"},
}


def sources(folder):
    return sorted(p for s in ("*.c", "*.h", "*.l", "*.y") for p in (ROOT / folder).rglob(s))


@pytest.mark.parametrize("folder", sorted(LAYERS))
def test_layers(folder):
    """base <- runtime <- compiler <- api <- cli, read from every #include of ours."""
    for path in sources(folder):
        for inc in re.findall(r'#include [<"]([a-z]+)/', path.read_text()):
            if (ROOT / inc).is_dir() or inc == "wmap":
                assert inc in LAYERS[folder], f"{path.relative_to(ROOT)} includes {inc}/"


def libraries():
    build = Path(os.environ.get("WMAP_BIN", ROOT / "build/release/wmap")).parent
    libs = sorted(build.rglob("libwmap*.a"))
    assert len(libs) >= 5, f"no built libraries in {build}"
    return libs


def test_no_mutable_globals():
    """Nothing of the library has state at file scope; two leftovers of the parser generator are never written."""
    for lib in libraries():
        out = subprocess.run(["objdump", "-t", str(lib)], capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            m = re.match(r"[0-9a-f]{16} .{7} (\.data|\.bss|\.tbss|\.tdata|\*COM\*)\S*\t[0-9a-f]+\s+(?:\.hidden )?(\S+)$", line)
            if not m or ".data.rel.ro" in line or m.group(2).startswith("."):
                continue
            name = m.group(2).split(".")[0]  # a static of a function has a number behind its name
            assert name in ("yy_sname", "yyloc_default"), f"{lib.name}: {m.group(2)}"


def test_calls_go_through_the_table():
    """System calls and allocations go through struct wm_sys, so that a test can make each of them fail."""
    direct = set("malloc calloc realloc free strdup open open64 openat openat64 close read write pread pread64 pwrite "
                 "pwrite64 preadv preadv64 rename unlink mkdir rmdir fsync fallocate fallocate64 ftruncate ftruncate64 "
                 "fopen fopen64 fstat stat lstat flock".split())
    for lib in libraries():
        if not re.search(r"wmap_(base|runtime|compiler)", lib.name):
            continue
        out = subprocess.run(["nm", "-A", "-u", str(lib)], capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            obj, name = line.split(":")[1], line.split()[-1].split("@")[0]
            assert name not in direct or obj == "sys.c.o", f"{obj} calls {name}"


def test_file_sizes():
    """A file is one thing: 900 lines at most."""
    for folder in LAYERS:
        for path in sources(folder):
            n = path.read_text().count("\n")
            assert n <= 900, f"{path.relative_to(ROOT)} has {n} lines"


def test_head_comments():
    """Every C file says first what it is."""
    for folder in LAYERS:
        for path in sources(folder):
            if path.suffix in (".c", ".h"):
                assert path.read_text().startswith("/*"), path.relative_to(ROOT)


def test_operations_are_complete():
    """A row in ops.def has a file, and a file a row."""
    rows = set(re.findall(r"^WM_OP\((\w+)\)", (ROOT / "compiler/ops.def").read_text(), re.M))
    files = {p.stem for p in (ROOT / "compiler/ops").glob("*.c")}
    assert rows == files


def test_diagnostics_are_raised_and_explained():
    """Every row of diag.def is reported somewhere, and has its page."""
    code = "\n".join(p.read_text() for f in ("compiler", "grammar", "api") for p in sources(f))
    for ident, number, severity in re.findall(r"^WM_DIAG\((\w+), (\d+), (\w+)", (ROOT / "compiler/diag.def").read_text(), re.M):
        assert re.search(rf"\bWM_E_{ident}\b", code), f"{ident} is never raised"
        letter = "W" if "WARNING" in severity else "E"
        assert (ROOT / f"docs/diagnostics/{letter}{int(number):04}.md").exists(), f"{letter}{number} has no page"


def test_no_workplace_words():
    """The project speaks of itself alone."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        if name == "tests/meta/test_repository.py":
            continue
        text = (ROOT / name).read_text(errors="ignore")
        assert "/wo" + "rk/" not in text, name
        assert not re.search(r"issue #?\d", text), name
