#!/usr/bin/env python3
"""Golden tests: for each NAME.wmap, each sidecar NAME.ast, NAME.fmt, NAME.err is what the tool prints.

    run.py TOOL [--bless] [DIRECTORY...]

A .wmap with a .fmt or an .ast beside it must also print to a text that means the same and prints as
itself.  With --bless the sidecars are written anew; a new case gets the one of its folder."""
import difflib
import pathlib
import subprocess
import sys

ABOUT = {"parse": "ast", "fmt": "fmt", "diag": "err"}
HERE = pathlib.Path(__file__).resolve().parent


def output(tool, what, path):
    done = subprocess.run([tool, what, str(path)], capture_output=True)
    if done.returncode not in (0, 1) or done.stderr:
        sys.exit(f"{path}: {what}: status {done.returncode}\n"
                 f"{done.stderr.decode(errors='replace')}")
    return done.returncode, done.stdout


def check(tool, path, bless):
    """The number of sidecars that differ."""
    kinds = [k for k in ("ast", "fmt", "err") if path.with_suffix("." + k).exists()]
    if not kinds:
        if not bless:
            print(f"{path}: nothing to compare with; run with --bless")
            return 1
        kinds = [ABOUT[path.parent.name]]
    bad = 0
    for kind in kinds:
        _, got = output(tool, kind, path)
        side = path.with_suffix("." + kind)
        want = side.read_bytes() if side.exists() else b""
        if bless:
            side.write_bytes(got)
        elif got != want:
            bad += 1
            diff = difflib.unified_diff(want.decode(errors="replace").splitlines(),
                                        got.decode(errors="replace").splitlines(),
                                        str(side), "now", lineterm="")
            print("\n".join(diff))
        if kind == "err" and not got:
            bad += 1
            print(f"{path}: no diagnostic")
    if "err" not in kinds:
        status, got = output(tool, "same", path)
        if status:
            bad += 1
            print(f"{path}: {got.decode(errors='replace')}")
    return bad


def main():
    bless = "--bless" in sys.argv
    tool, *folders = [a for a in sys.argv[1:] if a != "--bless"]
    cases = sorted(c for f in (folders or [HERE]) for c in pathlib.Path(f).rglob("*.wmap"))
    if not cases:
        sys.exit("no golden tests found")
    bad = sum(check(tool, c, bless) for c in cases)
    print(f"{len(cases)} cases, {bad} differences")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
