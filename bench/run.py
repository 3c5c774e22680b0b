#!/usr/bin/env python3
"""Everything that the documentation claims about speed, measured in one go.

  bench/run.py [--wmap BIN] [--dir DIR] [--rounds N] [--only GROUP[,GROUP]] [--report DIR] [--smoke]

Makes its inputs with `wmap gen`, runs every case of a group in turns with `cp`, every second round backwards (A B C C B A
...): what ran before matters, by what it left in the page cache and to be freed.  Prints medians of walls and of ratios to
the `cp` of the same round.  Outside of the timed part, the same before each case: the last output is removed, what is
dirty is written, and memory is touched.  Inputs are read before each group: the page cache is warm.  Peers are run where
the Python that runs this has them (tests/peers/setup.sh makes such a Python); they are slow, and take part in the first rounds only.

  --report DIR   writes results.md, results.svg and results.json there, after each group
  --no-peers     leaves out the peers that take long
  --no-touch     does not touch memory before each run: where the machine has none to fetch back from its host
  --only large   also: an output of half of the memory, which takes minutes
  --smoke        small inputs, one round, none of the slow peers: does it all work?
"""
import argparse
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SLOW_ROUNDS = 3
LAYER = 1_711_308_800  # bytes of a layer of the model of 100 GB


class Bench:
    def __init__(self, o):
        self.o, self.dir = o, Path(o.dir).resolve()
        self.dir.mkdir(parents=True, exist_ok=True)
        self.out = self.dir / "out"
        self.elsewhere = []  # outputs that are somewhere else
        self.groups = []
        for tool in ("measure", "limit"):
            subprocess.run([os.environ.get("CC", "cc"), "-O2", "-pthread", "-o", self.dir / tool, HERE / f"{tool}.c"],
                           check=True)

    # ---- inputs ----

    def gen(self, name, family, *settings, extra=()):
        """A checkpoint of its own folder, made once; its one file (or the folder where there are several)."""
        folder, args = self.dir / name, [family, *settings, *extra]
        stamp = self.dir / f"{name}.made"
        if not stamp.exists() or stamp.read_text() != repr(args):
            shutil.rmtree(folder, ignore_errors=True)
            command = [self.o.wmap, "gen", "-q", "--family", family, "-o", folder, "--max-shard-size", "100GB", *extra]
            for s in settings:
                command += ["-D", s]
            subprocess.run(command, check=True)
            stamp.write_text(repr(args))
        files = sorted(folder.glob("*.safetensors"))
        return files[0] if len(files) == 1 else folder

    def shards(self, name, map_, source):
        """What a map makes of a checkpoint of one file, in a folder of its own, made once."""
        folder, stamp, whole = self.dir / name, self.dir / f"{name}.made", source.parent
        made = repr([map_, (self.dir / f"{whole.name}.made").read_text()])
        if not stamp.exists() or stamp.read_text() != made:
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([self.o.wmap, "run", "-q", map_, "-i", whole, "-o", folder], check=True)
            stamp.write_text(made)
        return folder

    # ---- runs ----

    def clean(self):
        for path in (self.out, Path(f"{self.out}.safetensors"), *self.elsewhere):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def once(self, case, touch):
        self.clean()
        if not self.o.smoke:
            os.sync()
        if touch and not self.o.smoke and not self.o.no_touch:
            subprocess.run([self.dir / "measure", "--touch", str(touch)], check=True)
        if case.get("cold"):
            Path("/proc/sys/vm/drop_caches").write_text("3")
        log = self.dir / "measured.json"
        log.unlink(missing_ok=True)
        p = subprocess.run([self.dir / "measure", log, *map(str, case["run"])], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **case.get("env", {})})
        if p.returncode != 0:
            sys.exit(f"{case['name']}: exit status {p.returncode}\n{p.stdout[-2000:]}")
        return json.loads(log.read_text())

    def group(self, name, doc, cases, nbytes, warm=(), rounds=None, against=None):
        if self.o.only and name not in self.o.only.split(","):
            return
        rounds = 1 if self.o.smoke else rounds or self.o.rounds
        if self.o.smoke or self.o.no_peers:
            cases = [c for c in cases if not c.get("slow") or "by hand" in c["name"] and not self.o.smoke]
        results = {c["name"]: [] for c in cases}
        touch = min(int(2.5 * nbytes) >> 20, 8192)
        for path in warm:
            for f in ([path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())):
                if f.stat().st_blocks * 512 > f.stat().st_size / 2:
                    with open(f, "rb") as h:
                        while h.read(8 << 20):
                            pass
        load = os.getloadavg()[0]
        for r in range(rounds):
            for c in cases if r % 2 == 0 else reversed(cases):
                if r < SLOW_ROUNDS or not c.get("slow"):
                    results[c["name"]].append(self.once(c, touch if not c.get("small") else 0))
        self.clean()
        rows, ref = [], against or cases[0]["name"]
        for c in cases:
            got, base = results[c["name"]], results[ref]
            wall = [x["wall"] for x in got]
            rows.append({"name": c["name"], "rounds": len(got), "wall": statistics.median(wall), "min": min(wall),
                         "max": max(wall), "cpu": statistics.median(x["user"] + x["sys"] for x in got),
                         "rss": max(x["rss"] for x in got) / 1024,
                         "ratio": statistics.median(x["wall"] / y["wall"] for x, y in zip(got, base)),
                         "gbps": nbytes / statistics.median(wall) / 1e9})
        self.groups.append({"name": name, "doc": doc, "rows": rows, "load": load, "against": ref, "bytes": nbytes})
        print("\n" + table(self.groups[-1]), flush=True)
        if self.o.report:
            write_report(self)

    # ---- cases ----

    def cp(self, path):
        return {"name": "cp", "run": ["cp", "-r", "--reflink=never", path, self.out]}

    def limit(self, path, nbytes, threads, *extra):
        name = f"limit: the same calls alone, {threads} thread{'s' * (threads > 1)}{', fsync' * bool(extra)}"
        return {"name": name, "run": [self.dir / "limit", path, self.out, nbytes, threads, *extra]}

    def wmap(self, map_, path, threads, *extra, out=".safetensors"):
        name = f"wmap, {threads} thread{'s' * (threads > 1)}" + "".join(f" {e}" for e in extra)
        return {"name": name, "run": [self.o.wmap, "run", "-q", map_, "-i", path, "-o", f"{self.out}{out}", "--threads",
                                      threads, *extra]}

    def peer(self, name, script, *args, needs=(), **more):
        """None where the modules that it needs are not there."""
        if any(importlib.util.find_spec(m) is None for m in needs):
            return None
        return {"name": name, "run": [sys.executable, HERE / "peers" / script, *args], **more}

    def moved(self, name, doc, map_, path, *peers, rounds=None, out=".safetensors"):
        """A conversion on one and two threads beside cp, the limit and peers."""
        n = path.stat().st_size
        cases = [self.cp(path), self.limit(path, n, 1), self.limit(path, n, 2), self.wmap(map_, path, 1, out=out),
                 self.wmap(map_, path, 2, out=out), *(p for p in peers if p)]
        self.group(name, doc, cases, n, [path], rounds)

    def resharded(self, name, doc, map_, path, *others, **more):
        """A directory of ranks to another, on one and two threads beside cp."""
        runs = [{"name": f"wmap, {n} thread{'s' * (n > 1)}",
                 "run": [self.o.wmap, "run", "-q", map_, "-i", path, "-o", self.out, "--threads", n]} for n in (1, 2)]
        runs.append({"name": "wmap, 2 threads --trust-checksums", "run": [*runs[-1]["run"], "--trust-checksums"]})
        nbytes = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
        self.group(name, doc, [self.cp(path), *runs, *others], nbytes, [path], **more)

    def peer_differs(self, map_, path, case):
        """What is different between a peer's tensors and wmap's: said, not judged; peers have views of their own."""
        if not case or self.o.smoke or self.o.no_peers:
            return
        ours = self.dir / "ours"
        shutil.rmtree(ours, ignore_errors=True)
        subprocess.run([self.o.wmap, "run", "-q", map_, "-i", path, "-o", ours], check=True)
        self.once(case, 0)
        made = sorted(self.out.rglob("*.pth"))
        theirs = made[0] if len(made) == 1 else self.out
        diff = subprocess.run([self.o.wmap, "diff", theirs, ours], capture_output=True, text=True)
        print(f"\n{case['name']}, and wmap: {(diff.stdout + diff.stderr).strip()[-400:]}", flush=True)
        shutil.rmtree(ours)

    def same(self, map_, path, script):
        """Does a hand-written script give what wmap gives?"""
        a, b = self.dir / "a.safetensors", self.dir / "b.safetensors"
        subprocess.run([self.o.wmap, "run", "-q", map_, "-i", path, "-o", a], check=True)
        subprocess.run([sys.executable, *map(str, script), b, *(["2"] if "numpy" in str(script[0]) else [])], check=True)
        subprocess.run([self.o.wmap, "diff", "-q", a, b], check=True)
        a.unlink()
        b.unlink()


def maps(name):
    return HERE / "maps" / f"{name}.wmap"


def measure(b):
    small = b.o.smoke
    wanted = lambda *names: not b.o.only or set(names) & set(b.o.only.split(","))
    llama = ("num_hidden_layers=2",) if small else ("preset=1b",)
    folder = "TinyLlama-1.1B-Chat-v1.0"  # LitGPT takes the model from the name
    if wanted("litgpt", "rotary", "fsync", "interleave", "rename", "reflink", "cold", "startup", "part", "large"):
        path = b.gen(folder, "llama", *llama)
        n = path.stat().st_size
        config = path.parent / "config.json"
    programs(b, small, path if wanted("litgpt") else None)
    if wanted("rotary"):
        hand = [HERE / "peers/hand_numpy.py", path, config]
        if importlib.util.find_spec("numpy"):
            b.same(maps("rope_qkv"), path, hand)
        b.moved("rotary", "rotary rows and one projection grouped by key head, of a Llama of 1.1 B parameters",
                maps("rope_qkv"), path,
                b.peer("numpy by hand, 2 threads", "hand_numpy.py", path, config, b.out, 2, needs=["numpy"], slow=True),
                b.peer("torch by hand", "hand_torch.py", path, config, b.out, needs=["torch", "safetensors"], slow=True))
    if wanted("fsync"):
        cp = b.cp(path)
        cp = {"name": "cp, sync", "run": ["sh", "-c", f"cp --reflink=never '{path}' '{b.out}' && sync '{b.out}'"]}
        b.group("fsync", "the same, on the disk when it returns",
                [cp, b.limit(path, n, 2, "fsync"), b.wmap(maps("rope_qkv"), path, 2, "--fsync")], n, [path])
    if wanted("interleave"):
        b.moved("interleave", "gate and up woven element by element (runs of 2 bytes)", maps("interleave"), path)
    if wanted("rename"):
        b.moved("rename", "names only", maps("rename"), path)
    if wanted("reflink"):
        reflink(b, path, b.gen("llama_small", "llama", *llama, "num_hidden_layers=1"))
    if wanted("cold") and not small:
        cold(b, path)
    if wanted("cast"):
        f32 = b.gen("llama_f32", "llama", *llama, "dtype=f32", *(() if small else ("num_hidden_layers=11",)))
        b.moved("cast", "float32 to bfloat16 (the bytes are those of the input)", maps("cast"), f32)
    moe = () if small else ("hidden_size=1024", "intermediate_size=3584", "num_hidden_layers=12", "num_attention_heads=16",
                            "num_key_value_heads=4", "num_local_experts=8", "vocab_size=32000")
    if wanted("experts"):
        path = b.gen("mixtral", "mixtral", *moe)
        b.moved("experts", "Mixtral's experts, one tensor each, packed as in transformers 5", "transformers5/mixtral", path,
                b.peer("transformers 5, load (packs) only", "transformers_load_save.py", path.parent, b.out, "load",
                       needs=["transformers", "torch"], slow=True),
                b.peer("transformers 5, load and save", "transformers_load_save.py", path.parent, b.out,
                       needs=["transformers", "torch"], slow=True))
    olmoe = () if small else ("hidden_size=1024", "intermediate_size=512", "num_hidden_layers=12", "num_attention_heads=16",
                              "num_key_value_heads=16", "num_experts=64", "vocab_size=50304")
    if wanted("transposed"):
        path = b.gen("olmoe", "olmoe", *olmoe)
        b.moved("transposed", "OLMoE to OLMo-core: every expert transposed", "olmo_core/olmoe", path,
                b.peer("torch by hand", "hand_olmoe.py", path, b.out, needs=["torch", "safetensors"], slow=True))
    if wanted("many"):
        many = b.gen("many", "many", *(() if small else ("num_blocks=200", "tensors_per_block=100", "width=2048")))
        b.moved("many", "20 000 tensors of 4 KiB, names only", maps("many"), many, rounds=3 * b.o.rounds)
    if wanted("memory"):
        big = b.gen("llama_3b", "llama", *(("num_hidden_layers=4",) if small else (
            "hidden_size=3072", "intermediate_size=8192", "num_hidden_layers=28", "num_attention_heads=24",
            "num_key_value_heads=8", "head_dim=128", "vocab_size=128256", "tie_word_embeddings=true")))
        b.moved("memory", "6.4 GB: the disk takes part", maps("rope_qkv"), big, rounds=3)
    if wanted("reshard", "reshard-systems", "reshard-experts", "consolidate"):
        ranks(b, llama, moe)
    if wanted("startup", "part", "large"):
        startup(b, b.gen(folder, "llama", *llama))


def cold(b, path):
    """Nothing of the input is in the page cache: what the disk gives, and how it is asked."""
    if not os.access("/proc/sys/vm/drop_caches", os.W_OK):
        return print("\ncold: left out, only root can empty the page cache")
    n = path.stat().st_size
    cases = [b.cp(path), b.limit(path, n, 2), b.wmap(maps("rope_qkv"), path, 1), b.wmap(maps("rope_qkv"), path, 2)]
    b.group("cold", "rotary, with nothing in the page cache", [{**c, "cold": True} for c in cases], n)


def part(b, sparse, name, doc, layers, **more):
    """Some layers of a model that is larger than the disk: of holes, which are read like data."""
    only = [x for k in range(layers) for x in ("--only", f"model.layers.{k}.{{x*}}")]
    first = max(sparse.glob("*.safetensors"), key=lambda p: p.stat().st_size)
    run = {**b.wmap(maps("rope_qkv"), sparse, 2, *only), "name": "wmap, 2 threads, --only"}
    n = LAYER * layers
    b.group(name, doc, [b.limit(first, n, 2), run], n, **more)


def reflink(b, *paths):
    """A large file and a small one on a file system that can share blocks, in an image that is mounted here."""
    image, mount = b.dir / "xfs.img", b.dir / "xfs"
    n = paths[0].stat().st_size
    mount.mkdir(exist_ok=True)
    with open(image, "wb") as f:
        f.truncate(max(3 * n, 1 << 30))
    try:
        for command in (["mkfs.xfs", "-q", "-f", image], ["mount", "-o", "loop", image, mount]):
            subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        image.unlink()
        return print("\nreflink: left out, no image with xfs can be mounted here")
    try:
        out = mount / "out.safetensors"
        large, small = (shutil.copy(p, mount / f"{k}.safetensors") for k, p in enumerate(paths))
        b.elsewhere = [out]
        run = lambda p, *more: [b.o.wmap, "run", "-q", maps("rename"), "-i", p, "-o", out, *more]
        b.group("reflink", "names only, on xfs, where files can share blocks",
                [{"name": "cp", "run": ["cp", "--reflink=never", large, out]},
                 {"name": "wmap", "run": run(large)},
                 {"name": "wmap --layout keep", "run": run(large, "--layout", "keep")},
                 {"name": f"wmap --layout keep, {paths[1].stat().st_size / 1e9:.2f} GB", "run": run(small, "--layout", "keep")}],
                n, [large])
    finally:
        b.elsewhere = []
        subprocess.run(["umount", mount], check=True)
        image.unlink()


def ranks(b, llama, moe):
    """Directories of ranks: from one number of them to another, from one system to another, and to one file."""
    wanted = lambda name: not b.o.only or name in b.o.only.split(",")
    if wanted("reshard"):
        path = b.shards("neuron_8", "neuron/llama(tp = 8)", b.gen("TinyLlama-1.1B-Chat-v1.0", "llama", *llama))
        b.resharded("reshard", "optimum-neuron, 8 ranks with copies of key heads to 2 without",
                    "~neuron/llama >> neuron/llama(tp = 2, qkv_linear = false)", path)
    if wanted("reshard-systems"):
        path = b.shards("megatron_8", "megatron/llama(tp = 8)", b.gen("TinyLlama-1.1B-Chat-v1.0", "llama", *llama))
        b.resharded("reshard-systems", "Megatron-LM, 8 ranks, to optimum-neuron, 4 ranks", "~megatron/llama >> neuron/llama(tp = 4)", path)
    if wanted("reshard-experts"):
        path = b.shards("megatron_moe", "megatron/mixtral(tp = 4, ep = 2)", b.gen("mixtral", "mixtral", *moe))
        b.resharded("reshard-experts", "Megatron-LM with experts, 4 tensor ranks by 2 expert ranks to 2 by 4",
                    "~megatron/mixtral >> megatron/mixtral(tp = 2, ep = 4)", path)
    if wanted("consolidate"):
        sizes = () if b.o.smoke else ("hidden_size=2048", "intermediate_size=5632", "num_hidden_layers=6", "num_attention_heads=16",
                                      "num_key_value_heads=4", "vocab_size=32000")
        path = b.shards("neuron_one", "neuron/llama(tp = 8)", b.gen("llama_800m", "llama", *sizes))
        python = Path(f"{sys.prefix}-neuron/bin/python")
        theirs = {"name": "optimum-neuron's consolidation", "run": [python, HERE / "peers/neuron_consolidate.py", path, b.out],
                  "slow": True}
        b.resharded("consolidate", "8 ranks of optimum-neuron to one file", "~neuron/llama", path,
                    *([theirs] if python.exists() else []), against="wmap, 2 threads")


def programs(b, small, path):
    """Whole conversions beside the scripts that do them today."""
    wanted = lambda name: not b.o.only or name in b.o.only.split(",")
    if wanted("litgpt"):
        theirs = b.peer("LitGPT convert_to_litgpt", "litgpt_convert.py", "to", path.parent, b.out, needs=["litgpt"], slow=True)
        b.peer_differs("litgpt/llama", path.parent, theirs)
        b.moved("litgpt", "Llama of 1.1 B parameters to lit_model.pth", "litgpt/llama", path, theirs, out="")
    if wanted("litgpt_back"):
        lit = b.dir / "lit"
        source = path or b.gen("TinyLlama-1.1B-Chat-v1.0", "llama", *(("num_hidden_layers=2",) if small else ("preset=1b",)))
        subprocess.run([b.o.wmap, "run", "-q", "--force", "litgpt/llama", "-i", source.parent, "-o", lit, "-D",
                        "name=TinyLlama-1.1B-Chat-v1.0"], check=True)
        theirs = b.peer("LitGPT convert_from_litgpt", "litgpt_convert.py", "from", lit, b.out, needs=["litgpt"], slow=True)
        b.peer_differs("~litgpt/llama", lit, theirs)
        b.moved("litgpt_back", "lit_model.pth of it to safetensors", "~litgpt/llama", lit / "lit_model.pth", theirs)
        shutil.rmtree(lit)
    if wanted("sepweight"):
        sizes = ("num_hidden_layers=2",) if small else ("hidden_size=1536", "intermediate_size=4096", "num_hidden_layers=20",
                                                        "num_attention_heads=16", "num_key_value_heads=4", "vocab_size=32000")
        one = b.gen("llama_600m", "llama", *sizes)
        theirs = b.peer("llm_sepweight convert_safetensors_files", "sepweight_dump.py", one.parent, b.out,
                        needs=["llm_sepweight"], slow=True)
        b.peer_differs("sepweight/llama:dumped", one.parent, theirs)
        b.moved("sepweight", "Llama of 0.6 B parameters to begin, mid.N, end", "sepweight/llama:dumped", one, theirs, out="")


def startup(b, llama):
    """Where no data is read, or only some of much."""
    wanted = lambda *names: not b.o.only or set(names) & set(b.o.only.split(","))
    deepseek = b.gen("deepseek_v3", "deepseek_v3", *(() if b.o.smoke else ("preset=671b",)), extra=("--sparse",))
    sparse = b.gen("llama_100gb", "llama", *(() if b.o.smoke else (
        "hidden_size=8192", "intermediate_size=28672", "num_hidden_layers=56", "num_attention_heads=64",
        "num_key_value_heads=8", "vocab_size=128256")), extra=("--sparse",))
    plan = lambda m, p: [b.o.wmap, "plan", "-q", m, "-i", p]
    cases = [{"name": "--version", "run": [b.o.wmap, "--version"]},
             {"name": "plan, 201 tensors", "run": plan(maps("rope_qkv"), llama)},
             {"name": "plan, a model of 100 GB", "run": plan(maps("rope_qkv"), sparse)},
             {"name": "plan, DeepSeek-V3: 91 495 tensors in all", "run": plan("transformers5/deepseek_v3", deepseek)}]
    if not b.o.smoke and wanted("part"):
        part(b, sparse, "part", "2 layers of a model of 100 GB", 2)
    half = int(open("/proc/meminfo").readline().split()[1]) << 9
    if not b.o.smoke and b.o.only and wanted("large"):  # it takes minutes, and the disk
        part(b, sparse, "large", "an output of half of the memory", min(half // LAYER, 56), rounds=3)
    b.group("startup", "no data is read: check, bind, plan, print", [{**c, "small": True} for c in cases], 0,
            rounds=4 * b.o.rounds)


# ---- reports ----

def table(g):
    n = g["bytes"]
    head = f"### {g['name']}: {g['doc']}" + (f", {n / 1e9:.2f} GB" if n >= 1e7 else "")
    lines = [head, "", f"| case | wall ms, median (least, most) | x {g['against']} | GB/s | processor ms | peak MiB | rounds |",
             "|---|---|---|---|---|---|---|"]
    for r in g["rows"]:
        speed = f"{r['gbps']:.2f}" if n else ""
        ratio = f"{r['ratio']:.2f}" if n else ""
        lines.append(f"| {r['name']} | {1e3 * r['wall']:.1f} ({1e3 * r['min']:.1f}, {1e3 * r['max']:.1f}) | {ratio} | {speed} | "
                     f"{1e3 * r['cpu']:.0f} | {r['rss']:.0f} | {r['rounds']} |")
    return "\n".join(lines)


def machine(b):
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    memory = int(open("/proc/meminfo").readline().split()[1]) / 2 ** 20
    fs = subprocess.run(["stat", "-f", "-c", "%T", b.dir], capture_output=True, text=True).stdout.strip()
    fs = subprocess.run(["findmnt", "-no", "FSTYPE", "-T", b.dir], capture_output=True, text=True).stdout.strip() or fs
    flags = next((line for line in open("/proc/cpuinfo") if line.startswith("flags")), "")
    vm = ", a virtual machine" if " hypervisor" in flags else ""
    version = subprocess.run([b.o.wmap, "--version"], capture_output=True, text=True).stdout.strip()
    load = [g["load"] for g in b.groups]
    return (f"{version}; {os.cpu_count()} processors ({cpu}{vm}), {memory:.0f} GiB, Linux {platform.release()}, {fs}; page "
            f"cache warm; load average when the groups began {min(load):.1f} to {max(load):.1f}")


def svg(groups):
    """Bars of the ratio to cp, on a logarithmic scale."""
    import math
    rows = [(g, r) for g in groups if g["bytes"] and g["against"].startswith("cp") for r in g["rows"]]
    height, left, width, y = 18, 330, 460, 30
    low, high = 0.25, max([4.0] + [r["ratio"] for _, r in rows]) * 1.5
    x = lambda v: left + width * math.log(max(v, low) / low) / math.log(high / low)
    out, last = [], None
    for g, r in rows:
        if g is not last:
            y += 26
            out.append(f'<text x="8" y="{y - 4}" font-weight="bold">{g["name"]}: {g["doc"]}</text>')
            last = g
        color = "#2a6" if r["name"].startswith("wmap") else "#999" if r["name"].startswith(("cp", "limit")) else "#c74"
        out.append(f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{r["name"]}</text>'
                   f'<rect x="{left}" y="{y + 2}" width="{max(x(r["ratio"]) - left, 1):.1f}" height="{height - 5}" fill="{color}"/>'
                   f'<text x="{x(r["ratio"]) + 4:.1f}" y="{y + 12}">{r["ratio"]:.2f}</text>')
        y += height
    out.append(f'<line x1="{x(1):.1f}" y1="40" x2="{x(1):.1f}" y2="{y}" stroke="#333" stroke-dasharray="3 3"/>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{y + 12}" '
            f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
            f'<text x="8" y="20" font-size="14">time, as a multiple of cp --reflink=never (shorter is faster)</text>'
            + "".join(out) + "</svg>\n")


def write_report(b):
    report = Path(b.o.report)
    report.mkdir(parents=True, exist_ok=True)
    (report / "results.json").write_text(json.dumps({"machine": machine(b), "groups": b.groups}, indent=1) + "\n")
    (report / "results.md").write_text("\n\n".join([machine(b), *map(table, b.groups)]) + "\n")
    (report / "results.svg").write_text(svg(b.groups))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = HERE.parent
    ap.add_argument("--wmap", default=os.environ.get("WMAP_BIN", root / "build/release/wmap"))
    ap.add_argument("--dir", default=root / "build/bench", help="for inputs and outputs, 40 GB (some of it holes)")
    ap.add_argument("--rounds", type=int, default=7)
    ap.add_argument("--only")
    ap.add_argument("--report")
    ap.add_argument("--no-peers", action="store_true")
    ap.add_argument("--no-touch", action="store_true")
    ap.add_argument("--smoke", action="store_true")
    o = ap.parse_args()
    o.wmap = Path(o.wmap).resolve()
    b = Bench(o)
    measure(b)
    if not b.groups:
        sys.exit("no such group")
    print("\n" + machine(b))


if __name__ == "__main__":
    main()
