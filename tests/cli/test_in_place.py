"""`run --in-place`: another header, data untouched; refused where that can't be.  `--layout keep`: shared blocks."""

import os
import shutil
import struct
import subprocess

import pytest

from conftest import read_safetensors, write_safetensors

TENSORS = {"b": ("F32", [3], b"abcdefghijkl"), "a": ("BF16", [2, 2], b"01234567"), "empty": ("F32", [0], b""),
           "c": ("U8", [5], b"vwxyz")}


def maps(w, rules):
    w.path("m.wmap").write_text("wmap 1\nmap m \"test\"\n\n" + rules + "\n")


def rename(w):
    maps(w, '"b" [n] <-> "weight.of.b" [n]\n"a" [n m] <-> "x" [n m]\n"empty" [n] <-> "nothing" [n]\n'
            '  "c" [n] <-> "sea" [n]')


NAMES = {"b": "weight.of.b", "a": "x", "empty": "nothing", "c": "sea"}


def make(w, room=400, tensors=TENSORS):
    write_safetensors(w.path("f.safetensors"), tensors)
    data = w.path("f.safetensors").read_bytes()
    (n,) = struct.unpack("<Q", data[:8])
    padded = data[8:8 + n].ljust(room) if room else data[8:8 + n]
    w.path("f.safetensors").write_bytes(struct.pack("<Q", len(padded)) + padded + data[8 + n:])
    return w.path("f.safetensors").read_bytes()


def data_of(raw):
    (n,) = struct.unpack("<Q", raw[:8])
    return raw[8 + n:]


def rest(w):
    return sorted(p.name for p in w.cwd.iterdir() if p.name not in ("m.wmap", "f.safetensors"))


def test_only_the_header_changes(wmap):
    rename(wmap)
    old = make(wmap)
    inode = os.stat(wmap.path("f.safetensors")).st_ino
    r = wmap.ok("run", "m.wmap", "-i", "f.safetensors", "--in-place", "--json").json()
    new = wmap.path("f.safetensors").read_bytes()
    assert (r["ntensor"], r["bytes_read"], r["bytes_written"]) == (4, 0, 0)
    assert len(new) == len(old) and data_of(new) == data_of(old) and new != old
    assert os.stat(wmap.path("f.safetensors")).st_ino == inode
    assert read_safetensors(wmap.path("f.safetensors")) == {NAMES[k]: v for k, v in TENSORS.items()}
    assert rest(wmap) == []
    wmap.ok("run", "m.wmap", "--reverse", "-i", "f.safetensors", "-o", "./f.safetensors", "--in-place")
    assert read_safetensors(wmap.path("f.safetensors")) == TENSORS


def test_the_library_reads_it(wmap):
    safetensors = pytest.importorskip("safetensors")
    rename(wmap)
    make(wmap)
    wmap.ok("run", "m.wmap", "-i", "f.safetensors", "--in-place")
    got = dict(safetensors.deserialize(wmap.path("f.safetensors").read_bytes()))
    assert {k: (v["shape"], bytes(v["data"])) for k, v in got.items()} == {
        NAMES[k]: (v[1], v[2]) for k, v in TENSORS.items()}


@pytest.mark.parametrize("rules, room, why", [
    (None, 0, "f.safetensors: --in-place: the new header takes 279 bytes, but the file has room for 272"),
    ('"b" [n] <-> "b" [n]\n"a" [n m] <-> "a" [m n]\n"empty" [n] <-> "e" [n]\n"c" [n] <-> "c" [n]', 400,
     "a: --in-place: its data would not stay where it is"),
    ('"b" [n] <-> "b" [n]\n"a" [n m] <-> "a" [n m]', 400, "the map leaves out data at the end"),
    ('"a" [n m] <-> "b" [n m]\n"c" [n] <-> "c" [n]', 400, "b: --in-place: its data would not stay where it is"),
])
def test_refused(wmap, rules, room, why):
    rename(wmap)
    if rules:
        maps(wmap, rules)
    old = make(wmap, room)
    r = wmap("run", "m.wmap", "-i", "f.safetensors", "--in-place", "--allow-unmapped", "-q")
    assert r.status == 2 and why in r.err and r.err.count("\n") == 1, r
    assert wmap.path("f.safetensors").read_bytes() == old and rest(wmap) == []


def test_refused_inputs(copy):
    copy.ok("gen", "--family", "llama", "-o", "pth", "--format", "pth")
    pth = next(p for p in copy.path("pth").iterdir() if p.suffix == ".pth")
    for args, why in [(["-i", "tiny"], "one file, not a directory"), (["-i", pth], "is not a safetensors file"),
                      (["-i", "-"], "not a stream"),
                      (["-i", "tiny/model.safetensors", "-o", "other.safetensors"], "another file")]:
        r = copy("run", "litgpt/llama", *args, "--in-place", stdin=b"")
        assert r.status == 2 and why in r.err, r


def record(old, new):
    import zlib
    (n,) = struct.unpack("<Q", old[:8])
    n += 8
    text = b"wmaphdr1" + struct.pack("<QQ", len(old), n) + old[:n] + new[:n]
    return text + struct.pack("<I", zlib.crc32(text)), n


@pytest.mark.parametrize("torn", [0, 1, 57, 200, None])
def test_after_a_crash(wmap, torn):
    """What a kill in the middle of the write leaves: the saved header, and a mixture of both."""
    rename(wmap)
    old = make(wmap)
    wmap.ok("run", "m.wmap", "-i", "f.safetensors", "--in-place")
    new = wmap.path("f.safetensors").read_bytes()
    text, n = record(old, new)
    cut = n if torn is None else torn
    wmap.path("f.safetensors").write_bytes(new[:cut] + old[cut:])
    wmap.path("f.safetensors.wmap-header").write_bytes(text)
    wmap.ok("run", "m.wmap", "-i", "f.safetensors", "--in-place")
    assert wmap.path("f.safetensors").read_bytes() == new and rest(wmap) == []


@pytest.mark.parametrize("how", ["other file", "other size", "cut", "flipped"])
def test_a_saved_header_of_something_else(wmap, how):
    rename(wmap)
    old = make(wmap)
    text, n = record(old, old)
    other = old[:20] + b"?" + old[21:] if how == "other file" else old + b"x" if how == "other size" else old
    if how == "cut":
        text = text[:-9]
    if how == "flipped":
        text = text[:40] + bytes([text[40] ^ 1]) + text[41:]
    wmap.path("f.safetensors").write_bytes(other)
    wmap.path("f.safetensors.wmap-header").write_bytes(text)
    r = wmap("run", "m.wmap", "-i", "f.safetensors", "--in-place")
    assert r.status == 2 and "f.safetensors.wmap-header: is" in r.err, r
    assert wmap.path("f.safetensors").read_bytes() == other
    assert wmap.path("f.safetensors.wmap-header").read_bytes() == text


# ---- --layout keep ----

def test_keep_is_the_same_tensors(wmap):
    rename(wmap)
    old = make(wmap)
    assert "layout" not in wmap.ok("plan", "m.wmap", "-i", "f.safetensors").out
    told = wmap.ok("plan", "m.wmap", "-i", "f.safetensors", "-o", "k.safetensors", "--layout", "keep").out
    assert "keep: tensors in the input's order, not the reference writer's; 0 B can share" in told
    wmap.ok("run", "m.wmap", "-i", "f.safetensors", "-o", "k.safetensors", "--layout", "keep")
    new = wmap.path("k.safetensors").read_bytes()
    assert read_safetensors(wmap.path("k.safetensors")) == {NAMES[k]: v for k, v in TENSORS.items()}
    assert data_of(new) == data_of(old)
    assert (len(new) - len(data_of(new)) - len(old) + len(data_of(old))) % 4096 == 0
    r = wmap("run", "m.wmap", "-i", "f.safetensors", "-o", "k.pth", "--layout", "keep")
    assert r.status == 2 and "--layout keep is for outputs of safetensors, not of pth" in r.err
    r = wmap("run", "m.wmap", "-i", "f.safetensors", "-o", "k.safetensors", "--layout", "kept")
    assert r.status == 2 and 'no layout "kept"' in r.err


@pytest.fixture(params=["btrfs", "xfs"])
def shared_disk(request, tmp_path):
    """A file system that shares blocks, in a file."""
    mkfs = shutil.which(f"mkfs.{request.param}")
    if not mkfs or os.geteuid() != 0:
        pytest.skip(f"needs mkfs.{request.param} and the right to mount")
    image, at = tmp_path / "image", tmp_path / "disk"
    at.mkdir()
    with open(image, "wb") as f:
        f.truncate(400 << 20)
    subprocess.run([mkfs, "-q", image], check=True, capture_output=True)
    done = subprocess.run(["mount", "-o", "loop", image, at], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"can not mount a {request.param} image: {done.stderr.strip()}")
    yield at
    subprocess.run(["umount", at], check=True)


def test_blocks_are_shared(wmap, shared_disk):
    rename(wmap)
    big = {k: ("U8", [5 << 20], os.urandom(5 << 20)) for k in ("b", "c")}
    big["a"] = ("BF16", [1 << 10, 1 << 10], os.urandom(2 << 20))
    big["empty"] = ("F32", [0], b"")
    write_safetensors(shared_disk / "f.safetensors", big)
    plan = wmap.ok("plan", "m.wmap", "-i", shared_disk / "f.safetensors", "--layout", "keep", "--json").json()
    assert plan["layout"] == "keep"
    r = wmap.ok("run", "m.wmap", "-i", shared_disk / "f.safetensors", "-o", shared_disk / "k.safetensors",
                "--layout", "keep", "--json").json()
    assert (12 << 20) - 8192 <= r["bytes_shared"] < 12 << 20
    assert r["bytes_read"] <= 2 << 20 and r["bytes_shared"] == plan["nbytes_shareable"]
    want = {NAMES[k]: v for k, v in big.items()}
    assert read_safetensors(shared_disk / "k.safetensors") == want
    # another file system: a copy
    r = wmap.ok("run", "m.wmap", "-i", shared_disk / "f.safetensors", "-o", "k.safetensors", "--layout", "keep",
                "--json").json()
    assert r["bytes_shared"] == 0 and read_safetensors(wmap.path("k.safetensors")) == want
    assert wmap.path("k.safetensors").read_bytes() == (shared_disk / "k.safetensors").read_bytes()
    # what is shared is not written through
    wmap.ok("run", "m.wmap", "--reverse", "-i", shared_disk / "k.safetensors", "--in-place")
    assert read_safetensors(shared_disk / "k.safetensors") == big
    assert read_safetensors(shared_disk / "f.safetensors") == big
