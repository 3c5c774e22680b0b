"""What inspect, diff, verify, trace, fmt and run answer."""

import json
import re
import struct

from conftest import read_safetensors, write_safetensors

FILE = "model.safetensors"


def f32(*values):
    return struct.pack(f"<{len(values)}f", *values)


def make(wmap, name, tensors):
    write_safetensors(wmap.path(name), tensors)
    return name


def lines(text, word):
    return [line for line in text.splitlines() if line.startswith(word)]


# ---- inspect ----

def test_inspect_folds(models):
    out = models.ok("inspect", "tiny").out
    assert "model.layers.{0,1}.mlp.up_proj.weight" in out and "x2" in out
    assert len(out.splitlines()) == 13


def test_fold_is_exact(wmap):
    """A line's sets describe exactly its tensors: holes and ragged products get lines of their own."""
    names = ([f"l.{i}.w" for i in (0, 1, 2, 5, 7, 8)] + [f"e.{i}.{j}" for i in range(3) for j in range(4)]
             + ["e.3.0", "e.3.1", "l.03.w", "x1.w", "x2.w"])
    make(wmap, "m.safetensors", {n: ("U8", [1], b"x") for n in names})
    got = [line.split()[0] for line in wmap.ok("inspect", "m.safetensors").out.splitlines()[1:]]
    assert sorted(got) == sorted(["l.{0..2,5,7,8}.w", "e.{0..2}.{0..3}", "e.3.{0,1}", "l.03.w",
                                  "x1.w", "x2.w"])


def test_names_are_shown_safely(wmap):
    make(wmap, "m.safetensors", {"a\x1b[31m\nb": ("U8", [1], b"x")})
    out = wmap.ok("inspect", "m.safetensors").out
    assert "\x1b" not in out and len(out.splitlines()) == 2
    r = wmap("diff", "m.safetensors", make(wmap, "n.safetensors", {"b": ("U8", [1], b"x")}))
    assert r.status == 1 and "\x1b" not in r.out


# ---- diff ----

def test_diff_words(wmap):
    a = make(wmap, "a.safetensors", {
        "same": ("F32", [2], f32(1, 2)), "only_a": ("F32", [1], f32(1)), "shape": ("F32", [2], f32(1, 2)),
        "dtype": ("F32", [1], f32(1)), "value": ("F32", [2, 3], f32(0, 1, 2, 3, 4, 5))})
    b = make(wmap, "b.safetensors", {
        "same": ("F32", [2], f32(1, 2)), "only_b": ("F32", [1], f32(1)), "shape": ("F32", [1, 2], f32(1, 2)),
        "dtype": ("I32", [1], f32(1)), "value": ("F32", [2, 3], f32(0, 1, 2, 3, 4.5, 7))})
    r = wmap("diff", a, b)
    assert r.status == 1
    assert lines(r.out, "MISSING")[0].split() == ["MISSING", "only_a"]
    assert lines(r.out, "UNEXPECTED")[0].split() == ["UNEXPECTED", "only_b"]
    assert [line.split()[1] for line in lines(r.out, "MISMATCH")] == ["dtype", "shape"]
    assert "dtype F32 != I32" in r.out and "shape [2] != [1 2]" in r.out
    (value,) = lines(r.out, "DIFFERENT")
    assert "[1, 1] 4 != 4.5; 2 of 6 elements; max |a - b| 2" in value
    got = wmap("diff", a, b, "--json").json()
    assert got["different"][0] | {"name": 0} == {"name": 0, "first": [1, 1], "a": "4", "b": "4.5",
                                                 "elements": 2, "max_abs": 2.0}
    assert wmap("diff", a, a).status == 0


def test_diff_tolerance(wmap):
    a = make(wmap, "a.safetensors", {"w": ("F32", [3], f32(1, 100, float("nan")))})
    b = make(wmap, "b.safetensors", {"w": ("F32", [3], f32(1.01, 100, float("nan")))})
    assert wmap("diff", a, b).status == 1
    assert wmap("diff", a, b, "--atol", "0.02").status == 0
    assert wmap("diff", a, b, "--atol", "0.001").status == 1
    assert wmap("diff", a, b, "--rtol", "0.01").status == 0
    # with a tolerance, values are compared across dtypes
    half = make(wmap, "h.safetensors", {"w": ("F16", [3], struct.pack("<3e", 1, 100, float("nan")))})
    assert wmap("diff", a, half).status == 1
    assert wmap("diff", a, half, "--atol", "1e-3").status == 0


def test_diff_is_to_the_bit(wmap):
    a = make(wmap, "a.safetensors", {"w": ("F32", [2], f32(0.0, 1))})
    b = make(wmap, "b.safetensors", {"w": ("F32", [2], f32(-0.0, 1))})
    nan = make(wmap, "n.safetensors", {"w": ("F32", [2], struct.pack("<If", 0x7fc00001, 1))})
    nan2 = make(wmap, "n2.safetensors", {"w": ("F32", [2], struct.pack("<If", 0x7fc00002, 1))})
    assert wmap("diff", a, b).status == 1
    assert wmap("diff", nan, nan).status == 0
    assert wmap("diff", nan, nan2).status == 1


def test_diff_finds_every_position(wmap):
    """One changed byte, at the edges of pieces too, whatever the memory and the threads."""
    data = bytes(i * 7 % 251 for i in range(100_003))
    a = make(wmap, "a.safetensors", {"w": ("U8", [len(data)], data)})
    for at in (0, 1, 511, 512, 4095, 4096, 65535, 65536, 100_002):
        other = bytearray(data)
        other[at] ^= 1
        make(wmap, "b.safetensors", {"w": ("U8", [len(data)], bytes(other))})
        for extra in ([], ["--threads", "3", "--max-memory", "1kB"]):
            r = wmap("diff", a, "b.safetensors", "--json", *extra)
            assert r.status == 1
            (d,) = r.json()["different"]
            assert d["first"] == [at] and d["elements"] == 1


def test_diff_ignores_sharding(wmap):
    wmap.ok("gen", "--family", "llama", "-o", "one")
    wmap.ok("gen", "--family", "llama", "-o", "many", "--max-shard-size", "30kB")
    assert len(list(wmap.path("many").glob("*.safetensors"))) > 5
    assert wmap("diff", "one", "many").status == 0


def test_sub_byte_and_empty(wmap):
    a = make(wmap, "a.safetensors", {"w": ("F4", [4], b"\x12\x34"), "e": ("F32", [0, 3], b"")})
    b = make(wmap, "b.safetensors", {"w": ("F4", [4], b"\x12\x35"), "e": ("F32", [0, 3], b"")})
    assert wmap("diff", a, a).status == 0
    r = wmap("diff", a, b)
    assert r.status == 1 and "[2] 0x34 != 0x35" in r.out


# ---- verify ----

def damage(path, offset_from_end):
    data = bytearray(path.read_bytes())
    data[-offset_from_end] ^= 1
    path.write_bytes(data)


def test_verify(copy):
    v = ["verify", "litgpt/llama", "-i", "tiny", "-o"]
    out = copy.ok(*v, "lit").out
    assert "forward: 17 of 17" in out and "backward: 21 of 21" in out
    copy.ok("run", "litgpt/llama", "-i", "tiny", "-o", "shards", "--max-shard-size", "40kB")
    copy.ok(*v, "shards")
    damage(copy.path("lit") / FILE, 1)
    r = copy(*v, "lit")
    assert r.status == 1 and len(lines(r.out, "DIFFERENT")) == 1 and "not checked" in r.out
    got = copy(*v, "lit", "--json").json()
    assert got["status"] == 1 and not got["forward"]["equal"] and not got["backward"]["checked"]


def test_verify_keys(copy):
    tensors = read_safetensors(copy.path("lit") / FILE)
    tensors["extra"] = tensors.pop("transformer.ln_f.weight")
    write_safetensors(copy.path("x.safetensors"), tensors)
    r = copy("verify", "litgpt/llama", "-i", "tiny", "-o", "x.safetensors")
    assert r.status == 1
    assert "transformer.ln_f.weight" in lines(r.out, "MISSING")[0]
    assert "extra" in lines(r.out, "UNEXPECTED")[0]


def test_verify_notes_what_is_not_carried(wmap):
    wmap.path("m.wmap").write_text(
        'wmap 1\nmap m\nsource { ignore "junk.{r*}" }\n"a" <-> "b"\n')
    make(wmap, "in.safetensors", {"a": ("F32", [2], f32(1, 2)), "junk.1": ("F32", [1], f32(9))})
    wmap.ok("run", "m.wmap", "-i", "in.safetensors", "-o", "out.safetensors")
    out = wmap.ok("verify", "m.wmap", "-i", "in.safetensors", "-o", "out.safetensors").out
    assert "does not carry junk.1 back" in out


# ---- trace ----

def test_trace_agrees_with_the_bytes(models):
    """Every element that trace names has the same value on both sides."""
    a = read_safetensors(models.path("tiny") / FILE)
    b = read_safetensors(models.path("lit") / FILE)

    def value(tensors, element):
        name, index = element[:-1].split("[")
        _, shape, data = tensors[name]
        at = 0
        for size, i in zip(shape, map(int, index.split(","))):
            at = at * size + i
        return data[2 * at:2 * at + 2]

    for element in ("transformer.h.1.attn.qkv.weight[0, 0]", "transformer.h.1.attn.qkv.weight[63, 63]",
                    "transformer.h.0.attn.qkv.weight[64, 5]", "transformer.h.0.attn.qkv.weight[95, 1]",
                    "transformer.h.1.mlp.proj.weight[3, 175]"):
        (t,) = models.ok("trace", "litgpt/llama", "-i", "tiny", element, "--json").json()["traces"]
        (source,) = t["from"]
        assert t["side"] == "output" and value(b, element) == value(a, source["element"])
        (back,) = models.ok("trace", "litgpt/llama", "-i", "tiny", source["element"],
                            "--json").json()["traces"]
        assert back["side"] == "input" and [g["element"] for g in back["to"]] == [element]


def test_trace_names_the_file_of_a_rank(copy):
    """There and back: the element of the file that is named has the value; copies name each other."""
    copy.ok("run", "vllm/llama", "-i", "tiny", "-o", "v", "-D", "tp=4")
    whole = read_safetensors(copy.path("tiny") / FILE)
    ranks = {f"model-rank-{r}-part-0.safetensors": None for r in range(4)}
    for name in ranks:
        ranks[name] = read_safetensors(copy.path("v") / name)

    def value(tensors, element):
        name, index = element[:-1].split("[")
        _, shape, data = tensors[name]
        at = 0
        for size, i in zip(shape, map(int, index.split(","))):
            at = at * size + i
        return data[2 * at:2 * at + 2]

    for element, n in (("model.layers.1.self_attn.k_proj.weight[3, 5]", 2), ("model.layers.0.mlp.up_proj.weight[100, 1]", 1),
                       ("model.layers.0.self_attn.o_proj.weight[7, 63]", 1), ("model.norm.weight[9]", 4)):
        traces = copy.ok("trace", "vllm/llama", "-i", "tiny", "-D", "tp=4", element, "--json").json()["traces"]
        to = next(t for t in traces if t["side"] == "input")["to"]
        assert len(to) == n == len({t["file"] for t in to}) and to[0]["file"] in ranks
        assert {value(ranks[t["file"]], t["element"]) for t in to} == {value(whole, element)}
        back = copy.ok("trace", "~vllm/llama", "-i", "v", "-D", "tp=4", to[0]["element"], "--json").json()["traces"]
        mine = next(t for t in back if t["side"] == "input" and t["file"] == "v/" + to[0]["file"])
        assert [t["element"] for t in mine["to"] if t["how"] == "copy"] == [element]
        assert {t["file"] for t in mine["to"] if t["how"] == "must be equal"} <= {"v/" + t["file"] for t in to[1:]}
        assert len(mine["to"]) == n
    text = copy.ok("trace", "vllm/llama", "-i", "tiny", "-D", "tp=4", "model.layers.1.self_attn.k_proj.weight[3, 5]").out
    assert text.splitlines()[0] == "input model.layers.1.self_attn.k_proj.weight[3, 5]"
    assert "-> model.layers.1.self_attn.qkv_proj.weight[19, 5] in model-rank-0-part-0.safetensors " in text


def test_trace_errors(models):
    for element, part in [("lm_head.weight", "no element"), ("lm_head.weight[1]", "2 dimensions"),
                          ("lm_head.weight[320, 0]", "320"), ("lm_head.wight[0, 0]", "did you mean"),
                          ("lm_head.weight[1, x]", "no element"), ("[0]", "no element")]:
        r = models("trace", "litgpt/llama", "-i", "tiny", element)
        assert r.status == 2 and r.out == "" and part in r.err, (element, r)


# ---- run ----

def test_run_to_a_file_and_to_a_pipe(copy):
    copy.ok("run", "litgpt/llama", "-i", "tiny", "-o", "f.safetensors")
    want = (copy.path("lit") / FILE).read_bytes()
    assert copy.path("f.safetensors").read_bytes() == want
    r = copy.ok("run", "litgpt/llama", "-i", "tiny", "-o", "-")
    assert r.raw == want
    one = (copy.path("tiny") / FILE).read_bytes()
    with open(copy.path("tiny") / FILE, "rb") as file:
        import subprocess
        from conftest import BIN
        done = subprocess.run([BIN, "run", "litgpt/llama", "-i", "-", "-o", "g.safetensors", "--config",
                               "tiny/config.json"], cwd=copy.cwd, stdin=file, capture_output=True)
    assert done.returncode == 0, done
    assert copy.path("g.safetensors").read_bytes() == want
    r = copy("run", "litgpt/llama", "-i", "-", "-o", "h.safetensors", stdin=one)
    assert r.status == 1 and "no config.json beside it" in r.err and not copy.path("h.safetensors").exists()


def test_run_refuses(copy):
    run = ["run", "litgpt/llama", "-i", "tiny", "-o"]
    before = (copy.path("tiny") / FILE).read_bytes()
    for out, *extra in (["lit"], ["tiny"], ["tiny", "--force"], [f"tiny/{FILE}"], ["absent/x/y"],
                        ["x", "--format", "soup"]):
        r = copy(*run, out, *extra)
        assert r.status == 2 and r.out == "", (out, r)
    assert (copy.path("tiny") / FILE).read_bytes() == before
    copy.ok(*run, "lit", "--force")
    assert not [p for p in copy.cwd.iterdir() if p.name.startswith(".")]


def test_options_reach_the_compiler(copy):
    tensors = read_safetensors(copy.path("tiny") / FILE)
    more = {**tensors, "strange": ("U8", [1], b"x")}
    write_safetensors(copy.path("tiny") / FILE, more)
    r = copy("run", "litgpt/llama", "-i", "tiny", "-o", "o")
    assert r.status == 1 and "strange" in r.err and not copy.path("o").exists()
    r = copy.ok("run", "litgpt/llama", "-i", "tiny", "-o", "o", "--allow-unmapped")
    assert "warning" in r.err and "strange" in r.err
    del tensors["model.layers.1.mlp.up_proj.weight"]
    write_safetensors(copy.path("tiny") / FILE, tensors)
    r = copy("run", "litgpt/llama", "-i", "tiny", "-o", "p")
    assert r.status == 1 and "missing" in r.err and not copy.path("p").exists()
    copy.ok("run", "litgpt/llama", "-i", "tiny", "-o", "p", "--allow-missing")


def test_no_symlinks(copy):
    copy.path("real").mkdir()
    (copy.path("tiny") / FILE).rename(copy.path("real") / FILE)
    (copy.path("tiny") / FILE).symlink_to(copy.path("real") / FILE)
    copy.ok("inspect", "tiny")
    assert copy("inspect", "tiny", "--no-symlinks").status == 2
    assert copy("run", "litgpt/llama", "-i", "tiny", "-o", "o", "--no-symlinks").status == 2


def test_threads_and_memory_do_not_show(copy):
    want = (copy.path("lit") / FILE).read_bytes()
    for k, extra in enumerate([["--threads", "1"], ["--threads", "5"], ["--max-memory", "1MiB"],
                               ["--threads", "3", "--max-memory", "300kB"]]):
        copy.ok("run", "litgpt/llama", "-i", "tiny", "-o", f"o{k}", *extra)
        assert (copy.path(f"o{k}") / FILE).read_bytes() == want


# ---- fmt, invert, dump ----

UGLY = 'wmap   1\nmap x "y"  # why\n"a"   [i j]<->"b" [ j i ]\n'


def test_fmt(wmap):
    pretty = wmap.ok("fmt", stdin=UGLY.encode()).out
    assert pretty != UGLY and wmap.ok("fmt", "-", stdin=pretty.encode()).out == pretty
    path = wmap.path("u.wmap")
    path.write_text(UGLY)
    path.chmod(0o640)
    assert wmap.ok("fmt", "u.wmap").out == pretty and path.read_text() == UGLY
    r = wmap("fmt", "--check", "u.wmap")
    assert r.status == 1 and r.out == "u.wmap would change\n"
    r = wmap("fmt", "--diff", "u.wmap")
    assert r.status == 1 and r.out.startswith("--- u.wmap\n+++ u.wmap")
    assert set(UGLY.splitlines()) >= {line[1:] for line in lines(r.out, "-")[1:]}
    wmap.ok("fmt", "--write", "u.wmap")
    assert path.read_text() == pretty and path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in wmap.cwd.iterdir()] == ["u.wmap"]
    assert wmap.ok("fmt", "--check", "u.wmap").out == ""
    assert wmap.ok("fmt", "--diff", "u.wmap").out == ""


def test_fmt_diff_applies(wmap):
    """The diff is one that patch(1) would take: applied by hand, it gives the formatted text."""
    body = "".join(f'"a.{i}"   <-> "b.{i}"\n' if i % 13 == 0 else f'"a.{i}" <-> "b.{i}"\n' for i in range(60))
    text = "wmap 1\nmap x\n\n" + body
    wmap.path("u.wmap").write_text(text)
    want = wmap.ok("fmt", "u.wmap").out
    out = wmap("fmt", "--diff", "u.wmap").out.splitlines()[2:]
    old, new, at = text.splitlines(), [], 0
    for line in out:
        if line.startswith("@@"):
            start = int(line.split()[1].split(",")[0][1:]) - 1
            new += old[at:start]
            at = start
        elif line[0] == "+":
            new.append(line[1:])
        else:
            assert old[at] == line[1:]
            at += 1
            if line[0] == " ":
                new.append(line[1:])
    new += old[at:]
    assert "\n".join(new) + "\n" == want
    assert sum(line.startswith("@@") for line in out) > 1


def test_fmt_reports(wmap):
    wmap.path("bad.wmap").write_text("wmap 1\nmap\n")
    wmap.path("good.wmap").write_text(UGLY)
    r = wmap("fmt", "--write", "bad.wmap", "good.wmap")
    assert r.status == 1 and "bad.wmap:" in r.err
    assert wmap.path("bad.wmap").read_text() == "wmap 1\nmap\n"
    assert wmap.path("good.wmap").read_text() != UGLY
    assert wmap("fmt", "absent.wmap").status == 2


def test_invert_is_a_map(copy):
    copy.path("inv.wmap").write_text(copy.ok("invert", "litgpt/llama").out)
    copy.ok("check", "inv.wmap")
    copy.ok("fmt", "--check", "inv.wmap")
    copy.ok("run", "inv.wmap", "-i", "lit", "-o", "back", "--config", "tiny/config.json")
    assert (copy.path("back") / FILE).read_bytes() == (copy.path("tiny") / FILE).read_bytes()


def test_named_maps_are_checked_unused(wmap):
    for text, code in [("map a = b\nmap b = ~a", "E0208"), ("map a = nix", "E0708"), ("map a = m(q = 3)", "E0241")]:
        wmap.path("m.wmap").write_text('wmap 1\nmap m\n%s\n"x" <-> "y"\n' % text)
        r = wmap("check", "m.wmap")
        assert r.status == 1 and code in r.err and r.err.count("error[") == 1, r


def test_a_bound_leaves_no_holes(wmap):
    head = "wmap 1\nindex a < 2\nindex b < 2\nindex c < 3 = (a b)\n"
    for rule, ok in [('"h.{c}" [e] <-> "w" [a b e]', False), ('"h.{c}" [e] <-> "w.{a}" [b e]', False),
                     ('"h.{c}" [e] <-> "w.{a}.{b}" [e]', True), ('"h" [e] <-> "w.{c}" [e] broadcast c', True)]:
        wmap.path("m.wmap").write_text(head + rule)
        r = wmap("check", "m.wmap")
        assert r.status == 0 if ok else (r.status == 1 and "E0327" in r.err and "holes" in r.err), r


def test_limits_of_placeholders(wmap):
    """What a tuple of values has room for; more of them overran it."""
    names = [f"i{k}" for k in range(65)]
    indices = "wmap 1\n" + "".join(f"index {n} < 1\n" for n in names)
    holes = ".".join("{%s}" % n for n in names)
    for text, code in [('target { file "%s" }\n"a" <-> "a"' % holes, "E0131"), ('"a.%s" <-> "b.%s"' % (holes, holes), "E0131"),
                       ('source { alias "a.%s" = "b" }\n"a" <-> "a"' % holes, "E0131"),
                       ('"%s" <-> "x.{i0}"' % ".".join(["{i0}"] * 130), "E0131"),
                       ('index c = (%s)\n"a.{c}" <-> "b.{c}"' % " ".join(names), "E0327")]:
        wmap.path("m.wmap").write_text(indices + text)
        r = wmap("check", "m.wmap")
        assert r.status == 1 and code in r.err and "more than" in r.err, r


def test_dump_stages(models):
    for stage, extra in [("ast", []), ("checked", []), ("graph", ["-i", "tiny"]), ("plan", ["-i", "tiny"])]:
        one = models.ok("dump", "litgpt/llama", "--stage", stage, *extra).out
        assert one and one == models.ok("dump", "litgpt/llama", "--stage", stage, *extra).out
    assert models("dump", "litgpt/llama", "--stage", "plan").status == 2


def test_the_inverse_on_the_command_line(copy):
    for k, args in enumerate([["~litgpt/llama"], ["litgpt/llama", "--reverse"]]):
        copy.ok("run", *args, "-i", "lit", "-o", f"b{k}", "--config", "tiny/config.json")
        assert json.loads(copy.ok("diff", "tiny", f"b{k}", "--json").out)["equal"]


# ---- names and containers of files ----

def test_format_renames_the_only_file(wmap):
    """--format wins over the map's name of the only file; reading takes what is there for that file."""
    wmap.path("m.wmap").write_text('wmap 1\nmap m\ntarget { format pth file "lit_model.pth" }\n"{rest*}" <-> "x.{rest}"\n')
    wmap.ok("gen", "--family", "llama", "-o", "tiny")
    for more, name in [((), "lit_model.pth"), (("--format", "safetensors"), "lit_model.safetensors")]:
        wmap.ok("run", "m.wmap", "-i", "tiny", "-o", "out", "--force", *more)
        assert [p.name for p in wmap.path("out").iterdir()] == [name]
        wmap.ok("verify", "m.wmap", "-i", "tiny", "-o", "out")
        wmap.ok("run", "~./m.wmap", "-i", "out", "-o", "back", "--force")
        wmap.ok("diff", "tiny", "back")
    wmap.ok("run", "m.wmap", "-i", "tiny", "-o", "one.safetensors")
    wmap.ok("run", "~./m.wmap", "-i", "one.safetensors", "-o", "back", "--force")
    wmap.ok("diff", "tiny", "back")


def test_format_of_the_last_link(wmap):
    """What the middle of a composition is written as says nothing of its end."""
    wmap.path("m.wmap").write_text('wmap 1\nmap m\ntarget { format pth file "x.pth" }\n"{rest*}" <-> "x.{rest}"\n')
    wmap.ok("gen", "--family", "llama", "-o", "tiny")
    wmap.ok("run", "./m.wmap >> ~./m.wmap", "-i", "tiny", "-o", "out")
    assert [p.name for p in wmap.path("out").iterdir()] == ["model.safetensors"]


def test_diff_of_files_with_equal_names(copy):
    """Parts and ranks have the same names in several files: each is compared with its own file's."""
    copy.ok("run", "sepweight/llama", "-i", "tiny", "-o", "a")
    copy.ok("run", "sepweight/llama", "-i", "tiny", "-o", "b")
    assert copy.ok("diff", "a", "b").out.startswith("21 of 21 tensors are equal")
    first, second = copy.path("b/mid.00000.pth").read_bytes(), copy.path("b/mid.00001.pth").read_bytes()
    copy.path("b/mid.00000.pth").write_bytes(second)
    copy.path("b/mid.00001.pth").write_bytes(first)
    r = copy("diff", "a", "b")
    assert r.status == 1 and r.out.endswith("3 of 21 tensors are equal (259 kB compared)\n"), r
    assert "mid.00000.pth: mlp.down_proj.weight" in r.out
    copy.path("b/mid.00001.pth").unlink()
    r = copy("diff", "a", "b")
    missing = re.findall(r"^MISSING +(.*)$", r.out, re.M)
    assert r.status == 1 and "mid.00001.pth: mlp.down_proj.weight" in missing and len(missing) == 9, r
