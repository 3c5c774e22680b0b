"""--json: one object on standard output, whatever the outcome, with its schema and status."""

import pytest

from conftest import read_safetensors


def calls(models):
    gen = ["gen", "--family", "bert"]
    run = ["run", "litgpt/llama", "-i", "tiny"]
    return {
        "run": [run + ["-o", "j1"], run + ["-o", "lit"], run + ["-o", "j1", "--threads", "x"]],
        "check": [["check", "litgpt/llama"], ["check", "no/such"], ["check"]],
        "plan": [["plan", "litgpt/llama", "-i", "tiny"], ["plan", "fused/bert", "-i", "tiny"]],
        "invert": [["invert", "litgpt/llama"], ["invert", "no/such"]],
        "inspect": [["inspect", "tiny"], ["inspect", "absent"]],
        "diff": [["diff", "tiny", "tiny"], ["diff", "tiny", "lit"], ["diff", "tiny", "absent"]],
        "verify": [["verify", "litgpt/llama", "-i", "tiny", "-o", "lit"],
                   ["verify", "litgpt/llama", "-i", "tiny", "-o", "tiny"]],
        "trace": [["trace", "litgpt/llama", "-i", "tiny", "lm_head.weight[1, 2]"],
                  ["trace", "litgpt/llama", "-i", "tiny", "lm_head.weight"]],
        "fmt": [["fmt"], ["fmt", "absent.wmap"]],
        "explain": [["explain"], ["explain", "E0101"], ["explain", "E9999"]],
        "maps": [["maps"]],
        "dump": [["dump", "litgpt/llama", "--stage", "ast"],
                 ["dump", "litgpt/llama", "-i", "tiny", "--stage", "plan"],
                 ["dump", "litgpt/llama", "--stage", "x"]],
        "gen": [gen + ["-o", "j2"], gen + ["-o", "tiny"], ["gen", "--families"]],
    }


def test_every_outcome_is_an_object(copy):
    seen = set()
    for command, lines in calls(copy).items():
        for args in lines:
            r = copy(*args, "--json", stdin=b'wmap 1\nmap x\n"a" <-> "b"\n')
            got = r.json()
            assert got["schema"] == f"wmap.{command}/1", args
            assert got["status"] == r.status, (args, r)
            if r.status == 2:
                assert got["message"] and got["message"] in r.err
            seen.add((command, r.status))
    assert {c for c, s in seen if s == 0} == set(calls(copy))
    assert {s for c, s in seen} == {0, 1, 2}


def test_inspect_tells_the_header(models):
    got = models.ok("inspect", "tiny", "--json").json()
    want = read_safetensors(models.path("tiny/model.safetensors"))
    assert {t["name"]: (t["dtype"], t["shape"], t["nbytes"]) for t in got["tensors"]} == {
        k: (d, s, len(b)) for k, (d, s, b) in want.items()}
    assert got["ntensor"] == len(want) and got["format"] == "safetensors"
    assert got["nbytes"] == sum(len(b) for _, _, b in want.values())


def test_plan_adds_up(models):
    got = models.ok("plan", "litgpt/llama", "-i", "tiny", "--json").json()
    have = read_safetensors(models.path("lit/model.safetensors"))
    assert {t["name"]: t["nbytes"] for t in got["tensors"]} == {k: len(v[2]) for k, v in have.items()}
    assert sum(p["nbytes"] for p in got["pieces"]) == got["output"]["nbytes"]
    assert got["files"][0]["size"] == models.path("lit/model.safetensors").stat().st_size
    qkv = next(t for t in got["tensors"] if t["name"] == "transformer.h.0.attn.qkv.weight")
    assert sorted(qkv["from"]) == [f"model.layers.0.self_attn.{p}_proj.weight" for p in "kqv"]
    assert "common/litgpt.wmap:" in qkv["rule"]


def test_diagnostics_are_in_the_object(wmap):
    wmap.path("bad.wmap").write_text('wmap 1\nmap bad\n"a{i}" <-> "b{i}"\n')
    r = wmap("check", "bad.wmap", "--json")
    assert r.status == 1
    got = r.json()["diagnostics"]
    assert any(d["code"].startswith("E03") and "bad.wmap" in str(d) for d in got)


@pytest.mark.parametrize("name", ["a\"b", "a\\b", "ü", "a\u202eb"])
def test_odd_names(wmap, name):
    """Names of files come out as JSON strings, and harmless in text."""
    wmap.path(name).mkdir()
    r = wmap("inspect", name, "--json")
    assert r.status == 2 and r.json()["schema"] == "wmap.inspect/1"
    assert "\u202e" not in r.err
