"""Pipes: output in order, input as it comes, both at once; what can't stream says so; nothing half is left."""

import os
import subprocess

import pytest

from conftest import BIN, ENV, Wmap, read_safetensors, write_safetensors

def one_file(path):
    files = sorted(path.glob("*.safetensors"))
    assert len(files) == 1
    return files[0]


@pytest.fixture(scope="module")
def gpt(models, tmp_path_factory):
    """A model whose map splits, fuses and transposes, as a file; its configuration; and what a plain run makes of it."""
    w = Wmap(tmp_path_factory.mktemp("gpt"))
    w.ok("run", "olmo_core/llama", "-i", models.path("tiny"), "-o", "plain.safetensors",
         "--config", models.path("tiny/config.json"))
    w.file = one_file(models.path("tiny"))
    w.config = models.path("tiny/config.json")
    w.bytes = w.path("plain.safetensors").read_bytes()
    return w


def run(w, *args, **kw):
    return w("run", "olmo_core/llama", "--config", w.config, *args, **kw)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_output_to_a_pipe(gpt, threads):
    r = run(gpt, "-i", gpt.file, "-o", "-", "--threads", threads, "-q")
    assert r.status == 0 and r.raw == gpt.bytes and not r.err


@pytest.mark.parametrize("out", ["a.safetensors", "dir"])
def test_input_from_a_pipe(gpt, out):
    r = run(gpt, "-i", "-", "-o", out, stdin=gpt.file.read_bytes())
    assert r.status == 0, r
    got = gpt.path(out) if out.endswith("s") else gpt.path(out) / "model.safetensors"
    if out != "dir":
        assert got.read_bytes() == gpt.bytes
    else:
        assert read_safetensors(one_file(gpt.path(out))) == read_safetensors(gpt.path("plain.safetensors"))


@pytest.mark.parametrize("name", ["x.pth", "x.npz"])
def test_into_check_sums(gpt, name):
    """A container that states sums of what it holds; its bytes speak of its name."""
    outs = []
    data = {"stdin": gpt.file.read_bytes()}
    for place, how, memory in [("file", {}, "64MiB"), ("pipe", data, "64MiB"), ("strips", data, "400kB")]:
        gpt.path(place).mkdir(exist_ok=True)
        r = run(gpt, "-i", "-" if how else gpt.file, "-o", f"{place}/{name}", "--max-memory", memory, **how)
        assert r.status == 0, r
        outs.append(gpt.path(f"{place}/{name}").read_bytes())
    assert outs[0] == outs[1] == outs[2] and len(outs[0]) > 200000


def test_msgpack_needs_a_file(wmap):
    """Said before the data come: they never do."""
    write_safetensors(wmap.path("in.safetensors"), {"a": ("F32", [1000], bytes(4000))})
    wmap.path("m.wmap").write_text('wmap 1\n"a" <-> "b"\n')
    head = wmap.path("in.safetensors").read_bytes()[:-4000]
    p = subprocess.Popen([BIN, "run", "./m.wmap", "-i", "-", "-o", "bad.msgpack"], cwd=wmap.cwd, env=ENV,
                         stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdin.write(head)
    p.stdin.flush()
    assert "'b' is written number by number (msgpack), for which the input has to be a file" in p.stderr.readline().decode()
    assert p.wait() == 2 and left(wmap) == []
    p.stdin.close()
    p.stderr.close()


def test_both(gpt):
    r = run(gpt, "-i", "-", "-o", "-", stdin=gpt.file.read_bytes())
    assert r.status == 0 and r.raw == gpt.bytes, r


def test_chain_of_pipes(gpt):
    """There and back through two processes: the input again."""
    there = subprocess.Popen([BIN, "run", "olmo_core/llama", "--config", gpt.config, "-i", "-", "-o", "-"],
                             stdin=gpt.file.open("rb"), stdout=subprocess.PIPE, env=ENV)
    back = subprocess.run([BIN, "run", "olmo_core/llama", "--reverse", "--config", gpt.config, "-i", "-", "-o", "-"],
                          stdin=there.stdout, capture_output=True, env=ENV)
    assert there.wait() == 0 and back.returncode == 0
    assert back.stdout == gpt.file.read_bytes()


def test_a_file_on_standard_input(gpt):
    with gpt.file.open("rb") as f:
        r = subprocess.run([BIN, "run", "olmo_core/llama", "--config", gpt.config, "-i", "-", "-o", "-"],
                           stdin=f, capture_output=True, env=ENV)
    assert r.returncode == 0 and r.stdout == gpt.bytes


def left(w):
    return sorted(p.name for p in w.cwd.iterdir() if p.name.startswith(".") or p.name.startswith("bad"))


@pytest.mark.parametrize("cut", [0, 5, 9, 200, -1, -5000])
def test_truncated(gpt, cut):
    data = gpt.file.read_bytes()
    data = data[:cut]
    r = run(gpt, "-i", "-", "-o", "bad.safetensors", stdin=data)
    assert r.status == 2 and "it ends after" in r.err and "standard input" in r.err, r
    assert left(gpt) == []


def test_overlong(gpt):
    r = run(gpt, "-i", "-", "-o", "bad.safetensors", stdin=gpt.file.read_bytes() + b"x")
    assert r.status == 2 and "behind the last tensor" in r.err, r
    assert left(gpt) == []


@pytest.mark.parametrize("data, word", [(b"PK\3\4" + b"\0" * 100, "zip"), (b"GGUF" + b"\1" * 100, "safetensors"),
                                        (b"\xff" * 64, "safetensors")])
def test_other_containers(gpt, data, word):
    r = run(gpt, "-i", "-", "-o", "bad.safetensors", stdin=data)
    assert r.status == 2 and word in r.err and "stream" in r.err, r
    assert left(gpt) == []


def test_no_config(gpt):
    """The directory in which it is called is not the model's."""
    gpt.path("config.json").write_text(gpt.config.read_text())
    try:
        r = gpt("run", "olmo_core/llama", "-i", "-", "-o", "bad.safetensors", stdin=gpt.file.read_bytes())
    finally:
        gpt.path("config.json").unlink()
    assert r.status != 0 and "--config" in r.err, r


def test_plan_from_a_header(gpt):
    r = gpt("plan", "olmo_core/llama", "--config", gpt.config, "-i", "-", stdin=gpt.file.read_bytes())
    assert r.status == 0, r


def test_verify_needs_files(gpt):
    r = gpt("verify", "olmo_core/llama", "--config", gpt.config, "-i", "-", "-o", gpt.path("plain.safetensors"),
            stdin=gpt.file.read_bytes())
    assert r.status == 2 and "stream" in r.err, r


def test_shards_do_not_divide_a_stream(gpt):
    r = run(gpt, "-i", gpt.file, "-o", "-", "--max-shard-size", "50kB")
    assert r.status == 0 and r.raw == gpt.bytes, r


# ---- what must be held back ----

def big(path, names, n=1 << 20):
    write_safetensors(path, {k: ("U8", [n], os.urandom(n)) for k in names})


@pytest.fixture
def reorder(wmap):
    """Ten tensors of 1 MiB that come in one order and go in the other."""
    big(wmap.path("in.safetensors"), [f"t{i}" for i in range(10)])
    wmap.path("m.wmap").write_text("wmap 1\nmap m\n" + "".join(f'"t{i}" <-> "u{9 - i}"\n' for i in range(10)))
    wmap.data = wmap.path("in.safetensors").read_bytes()
    return wmap


def test_the_least_memory(reorder):
    """It is computed before a byte of data is read; that much is enough, and less is refused."""
    w = reorder
    w.ok("run", "./m.wmap", "-i", "in.safetensors", "-o", "plain.safetensors")
    want = w.path("plain.safetensors").read_bytes()
    r = w("run", "./m.wmap", "-i", "-", "-o", "-", "--max-memory", "1MiB", stdin=w.data)
    assert r.status == 2 and "at least" in r.err and r.raw == b"", r
    least = int(r.err.split("at least ")[1].split()[0])
    assert 9 << 20 <= least <= 11 << 20
    r = w("run", "./m.wmap", "-i", "-", "-o", "-", "--max-memory", least, stdin=w.data)
    assert r.status == 0 and r.raw == want
    r = w("run", "./m.wmap", "-i", "-", "-o", "-", "--max-memory", least - 1, stdin=w.data)
    assert r.status == 2
    r = w("run", "./m.wmap", "-i", "-", "-o", "f.safetensors", "--max-memory", "1MiB", stdin=w.data)
    assert r.status == 0 and w.path("f.safetensors").read_bytes() == want, "into a file nothing has to wait"


@pytest.mark.parametrize("first", ["w.weight", "w.weight_scale"])
def test_scales(wmap, first):
    """Values times the scales of their blocks, whichever come first: the others wait, and that is in the least memory."""
    n, parts = 600 * 900, {"w.weight": ("F8_E4M3", [600, 900], bytes(i % 120 for i in range(540000))),
                           "w.weight_scale": ("F32", [5, 8], os.urandom(160))}
    write_safetensors(wmap.path("in.safetensors"), {k: parts[k] for k in sorted(parts, key=lambda k: k != first)})
    wmap.path("m.wmap").write_text('wmap 1\nsource { scales "{m*}.weight_scale" of "{m*}.weight" blocks [128, 128] '
                                   'dequant bf16 }\n"{m*}.weight" [a b] <-> "{m}.t" [b a]\n')
    wmap.ok("run", "./m.wmap", "-i", "in.safetensors", "-o", "plain.safetensors")
    data, want = wmap.path("in.safetensors").read_bytes(), wmap.path("plain.safetensors").read_bytes()
    r = wmap("run", "./m.wmap", "-i", "-", "-o", "p.safetensors", "--max-memory", "1", stdin=data)
    assert r.status == 2 and "at least" in r.err, r
    least = int(r.err.split("at least ")[1].split()[0])
    assert (least > n) == (first == "w.weight"), r
    for memory in [least, "64MiB"]:
        r = wmap("run", "./m.wmap", "-i", "-", "-o", "p.safetensors", "--max-memory", memory, stdin=data)
        assert r.status == 0 and wmap.path("p.safetensors").read_bytes() == want, r
    r = wmap("run", "./m.wmap", "-i", "-", "-o", "-", stdin=data)
    assert r.status == 0 and r.raw == want, r
