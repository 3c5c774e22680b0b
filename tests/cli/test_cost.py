"""`wmap plan` says how many calls a run makes and how many bytes it reads: compared with what a run counted.

The sizes are such that each way of reading occurs, with windows much smaller than the tensors."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from conftest import BIN, ENV, ROOT, Wmap, write_safetensors

MAPS = ROOT / "bench/maps"
LITTLE = ("--max-memory", "1500KB", "--threads", "1")  # windows of 256 KiB
HEAD = "wmap 1\nmap m\n"
OTHERS = '"{o*}" -> "{o}"\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    w = Wmap(tmp_path_factory.mktemp("cost"))
    sizes = ("-D", "hidden_size=256", "-D", "intermediate_size=1024", "-D", "vocab_size=2048")
    w.ok("gen", "--family", "llama", "-o", "llama", *sizes)
    w.ok("gen", "--family", "llama", "-o", "wide", *sizes, "-D", "dtype=f32")
    w.ok("gen", "--family", "olmoe", "-o", "olmoe", "-D", "hidden_size=512", "-D", "intermediate_size=768")
    w.ok("gen", "--family", "many", "-o", "many")
    w.ok("run", "litgpt/llama", "-i", "llama", "-o", "lit.pth")
    w.ok("run", MAPS / "rename.wmap", "-i", "wide", "-o", "wide.msgpack")
    w.ok("run", "megatron/llama(tp = 2)", "-i", "llama", "-o", "ranks")
    rng = np.random.default_rng(1)

    def floats(*shape):
        return "F32", shape, rng.standard_normal(shape).astype("<f4").tobytes()

    write_safetensors(w.path("base.safetensors"), {"x.weight": floats(600, 500), "y.weight": floats(600, 500)})
    w.path("ad").mkdir()
    write_safetensors(w.path("ad") / "adapter_model.safetensors",
                      {"base_model.model.x.lora_A.weight": floats(8, 500),
                       "base_model.model.x.lora_B.weight": floats(600, 8)})
    w.path("ad/adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "lora_alpha": 4, "r": 8}))
    write_safetensors(w.path("q.safetensors"), {"w.weight": ("I8", (512, 512), bytes(512 * 512)),
                                                "w.weight_scale": floats(4, 4)})
    w.path("dequant.wmap").write_text(
        HEAD + 'source { scales "{m*}.weight_scale" of "{m*}.weight" blocks [128, 128] dequant bf16 }\n' + OTHERS)
    w.path("chain.wmap").write_text(
        HEAD + '"x.weight" [a b] -> cast(f16) -> "x" [b a]\n"y.weight" [a b] -> "y" [b a]\n')
    return w


CASES = {
    "rename": (MAPS / "rename.wmap", "-i", "llama"),
    "rows": (MAPS / "rope_qkv.wmap", "-i", "llama"),
    "interleave": (MAPS / "interleave.wmap", "-i", "llama"),
    "cast": (MAPS / "cast.wmap", "-i", "wide"),
    "cast of a transpose": ("./chain.wmap", "-i", "base.safetensors"),
    "experts": ("olmo_core/olmoe", "-i", "olmoe"),
    "many": (MAPS / "many.wmap", "-i", "many"),
    "to pth": ("litgpt/llama", "-i", "llama", "-o", "out.pth"),
    "from pth, with check sums": ("litgpt/llama", "--reverse", "-i", "lit.pth", "--config", "llama/config.json"),
    "from pth": ("litgpt/llama", "--reverse", "-i", "lit.pth", "--config", "llama/config.json", "--trust-checksums"),
    "to msgpack": (MAPS / "rename.wmap", "-i", "wide", "-o", "out.msgpack"),
    "from msgpack": (MAPS / "rename.wmap", "--reverse", "-i", "wide.msgpack"),
    "ranks, with copies": ("megatron/llama(tp = 2)", "--reverse", "-i", "ranks", "--config", "llama/config.json"),
    "low rank": ("./same.wmap", "-i", "base.safetensors", "--adapter", "ad"),
    "scales": ("./dequant.wmap", "-i", "q.safetensors"),
}


def both(w, *args):
    """What was said, and what was counted."""
    out = () if "-o" in args else ("-o", "out.safetensors")
    said = w.ok("plan", "--json", *args, *out).json()["cost"]
    return said, w.ok("run", "--json", "--force", *args, *out).json()


@pytest.mark.parametrize("case", CASES)
def test_calls_and_bytes(made, case):
    made.path("same.wmap").write_text(HEAD + '"{o*}" <-> "{o}"\n')
    said, counted = both(made, *CASES[case], *LITTLE)
    assert said["exact"]
    assert said["reads"] + said["writes"] == counted["calls"]
    assert said["nbytes_read"] == counted["bytes_read"]
    assert said["nbytes_written"] == counted["bytes_written"]


def test_threads_share_the_memory(made):
    args = (*CASES["experts"], "--max-memory", "3MB")
    two, one = (both(made, *args, "--threads", n) for n in (2, 1))
    for said, counted in (two, one):
        assert said["reads"] + said["writes"] == counted["calls"]
    assert (two[0]["threads"], one[0]["threads"]) == (2, 1)
    assert two[0]["reads"] != one[0]["reads"]  # narrower slabs


def test_fewer_threads_that_read_less(made):
    """Of a transpose of 64 MiB, threads that have next to nothing each would read lines of it many times over."""
    made.path("t.wmap").write_text(HEAD + '"t" [a b] -> "t" [b a]\n')
    write_safetensors(made.path("t.safetensors"), {"t": ("BF16", (4096, 8192), bytes(2 * 4096 * 8192))})
    args = ("./t.wmap", "-i", "t.safetensors", "--threads", "16", "--max-memory")
    for memory, least, most in (("64MB", 16, 16), ("5MB", 1, 4)):
        said, counted = both(made, *args, memory)
        assert least <= said["threads"] <= most
        assert said["reads"] + said["writes"] == counted["calls"]
        assert said["nbytes_read"] < 2 * said["nbytes_written"]


def test_copies_are_compared_as_they_are_stored(made):
    """The axis of the copies is neither the first nor the last of its tensor."""
    made.path("rep.wmap").write_text(
        HEAD + '"k" [(g d) e] <-> "k" [(g rep d) e] where g = 8, rep = 4 broadcast rep\n')
    write_safetensors(made.path("rep.safetensors"), {"k": ("BF16", (4096, 2048), bytes(2 * 4096 * 2048))})
    said, counted = both(made, "./rep.wmap", "--reverse", "-i", "rep.safetensors", "--threads", "2")
    assert said["nbytes_in_blocks"] == said["nbytes_in_slabs"] == 0 and said["nbytes_compared"] == 3 * 2 * 1024 * 2048
    assert said["reads"] + said["writes"] == counted["calls"]


def test_ways(made):
    """Which bytes are read how: the sizes of what must go each way."""
    def cost(case, *more):
        return both(made, *CASES[case], "--threads", "1", *more)[0]

    rename = cost("rename")
    assert rename["nbytes_straight"] == rename["nbytes_written"] == rename["nbytes_read"]
    rows = cost("rows")  # of 512 bytes
    assert rows["nbytes_scattered"] > 0 and rows["nbytes_in_blocks"] == rows["nbytes_in_slabs"] == 0
    # gate and up, of two layers
    assert cost("interleave")["nbytes_in_blocks"] == 2 * 2 * 1024 * 256 * 2
    assert cost("experts", *LITTLE)["nbytes_in_slabs"] > 0
    assert cost("cast")["nbytes_computed"] == cost("cast")["nbytes_written"]
    again = cost("from pth, with check sums")
    assert again["nbytes_summed"] >= again["nbytes_written"]
    assert again["nbytes_read"] == again["nbytes_summed"] + cost("from pth")["nbytes_read"]
    assert cost("ranks, with copies")["nbytes_compared"] > 0


def test_a_sample_is_near(made):
    """Too many reads to count all of them for a plan."""
    made.ok("gen", "--family", "llama", "-o", "thin", "--sparse", "-D", "hidden_size=256", "-D", "num_attention_heads=4",
            "-D", "num_key_value_heads=4", "-D", "head_dim=16384", "-D", "num_hidden_layers=2", "-D", "vocab_size=320",
            "-D", "intermediate_size=64")
    said, counted = both(made, MAPS / "rope_qkv.wmap", "-i", "thin", *LITTLE)
    assert not said["exact"]
    assert said["reads"] + said["writes"] == pytest.approx(counted["calls"], rel=0.02)
    assert said["nbytes_read"] == pytest.approx(counted["bytes_read"], rel=0.02)


@pytest.mark.skipif(not shutil.which("strace"), reason="there is no strace")
def test_calls_as_the_kernel_counts_them(made):
    """All writes of the process, of a container with check sums and small files beside."""
    args = ("litgpt/llama", "-i", "llama", "-o", "seen.pth", *LITTLE)
    cost = made.ok("plan", "--json", *args).json()["cost"]
    log = made.path("strace.log")
    subprocess.run(["strace", "-f", "-e", "trace=pwrite64,pwritev", "-o", log, BIN, "run", "-q", *args], cwd=made.cwd,
                   check=True, env={**ENV, "ASAN_OPTIONS": "detect_leaks=0"})  # it wants to trace, too
    assert log.read_text().count("pwrite") == cost["writes"] + cost["small_writes"]


def test_the_text_says_it(made):
    text = made.ok("plan", *CASES["rename"], "--threads", "1").out.splitlines()
    cost = made.ok("plan", *CASES["rename"], "--threads", "1", "--json").json()["cost"]
    assert (f"calls   {cost['reads']} reads, {cost['writes']} writes, and {cost['small_writes']} small "
            "(journal, headers, check sums)") in text
    line = next(t for t in text if t.startswith("time"))
    assert "on 1 thread" in line and cost["seconds"] == cost["seconds_1_thread"] > 0


def test_what_is_not_known(made):
    """A stream is not read by calls that a plan could count; memory that is too little is said as a run says it."""
    whole = made.path("llama/model.safetensors").read_bytes()
    args = (MAPS / "rename.wmap", "--config", "llama/config.json")
    assert made.ok("plan", *args, "-i", "-", "--json", stdin=whole).json()["cost"] is None
    assert "calls" not in made.ok("plan", *args, "-i", "-", stdin=whole).out
    r = made("plan", MAPS / "rename.wmap", "-i", "llama", "--max-memory", "1kB")
    assert r.status == 2 and "bytes of memory are needed, not 1000" in r.err
