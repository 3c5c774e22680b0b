"""bench/: the one command that measures what the documentation claims runs, with small inputs."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GROUPS = ("litgpt litgpt_back sepweight rotary fsync interleave rename cast experts transposed many memory reshard "
          "reshard-systems reshard-experts consolidate startup").split()


def test_smoke(tmp_path):
    wmap = os.environ.get("WMAP_BIN", ROOT / "build/release/wmap")
    run = subprocess.run([sys.executable, ROOT / "bench/run.py", "--smoke", "--wmap", wmap, "--dir", tmp_path / "data",
                          "--report", tmp_path / "report"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads((tmp_path / "report/results.json").read_text())
    assert [g["name"] for g in report["groups"] if g["name"] != "reflink"] == GROUPS  # which needs root, and loop devices
    for g in report["groups"]:
        assert all(r["rounds"] == 1 and r["wall"] > 0 and r["rss"] > 0 for r in g["rows"])
        if g["bytes"]:
            assert [r["ratio"] for r in g["rows"] if r["name"] == g["against"]] == [1] and sum("wmap" in r["name"] for r in g["rows"]) >= 1
    assert not list((tmp_path / "data").glob("out*"))  # outputs do not stay
    text = (tmp_path / "report/results.md").read_text()
    svg = (tmp_path / "report/results.svg").read_text()
    assert all(f"### {name}:" in text for name in GROUPS) and svg.count("<rect") > 30

