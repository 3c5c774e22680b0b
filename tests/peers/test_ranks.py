"""Megatron-LM's, vLLM's and DeepSpeed's ranks against the index formulas of their headers, and from every degree to every other."""

import itertools
import json
import os
import subprocess

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import MAPS, assert_same

DEGREES = [1, 2, 3, 4, 6, 8, 16]


def config(kind="llama", heads=48, kv=4, d=2, hidden=48, inter=96, vocab=101, layers=2, **more):
    return dict(model_type=kind, num_attention_heads=heads, num_key_value_heads=kv, head_dim=d, hidden_size=hidden,
                intermediate_size=inter, vocab_size=vocab, num_hidden_layers=layers, **more)


def whole(c, bias=False):
    """Every element another number."""
    q, k, e, f = (c["num_attention_heads"] * c["head_dim"], c["num_key_value_heads"] * c["head_dim"], c["hidden_size"],
                  c["intermediate_size"])
    shapes = {"model.embed_tokens.weight": (c["vocab_size"], e), "lm_head.weight": (c["vocab_size"], e),
              "model.norm.weight": (e,)}
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        shapes |= {p + "self_attn.q_proj.weight": (q, e), p + "self_attn.k_proj.weight": (k, e),
                   p + "self_attn.v_proj.weight": (k, e), p + "self_attn.o_proj.weight": (e, q),
                   p + "input_layernorm.weight": (e,), p + "post_attention_layernorm.weight": (e,)}
        if bias:
            shapes |= {p + f"self_attn.{x}_proj.bias": (n,) for x, n in (("q", q), ("k", k), ("v", k))}
        if "num_local_experts" in c:
            p += "block_sparse_moe."
            shapes[p + "gate.weight"] = (c["num_local_experts"], e)
            for x in range(c["num_local_experts"]):
                shapes |= {p + f"experts.{x}.{w}.weight": s for w, s in (("w1", (f, e)), ("w3", (f, e)), ("w2", (e, f)))}
        else:
            shapes |= {p + f"mlp.{x}_proj.weight": s for x, s in (("gate", (f, e)), ("up", (f, e)), ("down", (e, f)))}
    out, at = {}, 1
    for key, shape in shapes.items():
        n = int(np.prod(shape))
        out[key] = np.arange(at, at + n, dtype=np.float32).reshape(shape)
        at += n
    assert at < 2 ** 24
    return out


def rows(w, r, n):
    assert len(w) % n == 0
    return w[len(w) // n * r:len(w) // n * (r + 1)]


def padded(w, height):
    return np.concatenate([w, np.zeros((height - len(w), *w.shape[1:]), w.dtype)])


def interleaved(q, k, v, groups, d):
    """For each key head: its query heads, itself, its value head; row by row."""
    n = len(q) // (groups * d)
    picked = []
    for g, a, x in itertools.product(range(groups), range(n + 2), range(d)):
        picked.append(q[(g * n + a) * d + x] if a < n else (k if a == n else v)[g * d + x])
    return np.stack(picked)


def megatron(w, c, tp, pp=1, ep=1, multiple=128):
    """{(rank, stage or expert rank): tensors}"""
    unit = multiple * tp
    height = -(-c["vocab_size"] // unit) * unit
    layers, out = c["num_hidden_layers"] // pp, {}
    for r, s, x in itertools.product(range(tp), range(pp), range(ep)):
        t = {}
        if s == 0:
            t["embedding.word_embeddings.weight"] = rows(padded(w["model.embed_tokens.weight"], height), r, tp)
        if s == pp - 1:
            t["output_layer.weight"] = rows(padded(w["lm_head.weight"], height), r, tp)
            t["decoder.final_layernorm.weight"] = w["model.norm.weight"]
        for local in range(layers):
            a, b = f"model.layers.{s * layers + local}.", f"decoder.layers.{local}."
            for wb in ("weight", "bias"):
                if a + f"self_attn.q_proj.{wb}" in w:
                    qkv = interleaved(*(w[a + f"self_attn.{p}_proj.{wb}"] for p in "qkv"), c["num_key_value_heads"], c["head_dim"])
                    t[b + f"self_attention.linear_qkv.{wb}"] = rows(qkv, r, tp)
            t[b + "self_attention.linear_qkv.layer_norm_weight"] = w[a + "input_layernorm.weight"]
            t[b + "self_attention.linear_proj.weight"] = rows(w[a + "self_attn.o_proj.weight"].T, r, tp).T
            if "num_local_experts" not in c:
                t[b + "mlp.linear_fc1.layer_norm_weight"] = w[a + "post_attention_layernorm.weight"]
                t[b + "mlp.linear_fc1.weight"] = np.concatenate([rows(w[a + f"mlp.{p}_proj.weight"], r, tp) for p in ("gate", "up")])
                t[b + "mlp.linear_fc2.weight"] = rows(w[a + "mlp.down_proj.weight"].T, r, tp).T
                continue
            t[b + "pre_mlp_layernorm.weight"] = w[a + "post_attention_layernorm.weight"]
            t[b + "mlp.router.weight"] = w[a + "block_sparse_moe.gate.weight"]
            each = c["num_local_experts"] // ep
            for here in range(each):
                m, n = a + f"block_sparse_moe.experts.{x * each + here}.", b + f"mlp.experts.local_experts.{here}."
                t[n + "linear_fc1.weight"] = np.concatenate([rows(w[m + f"{p}.weight"], r, tp) for p in ("w1", "w3")])
                t[n + "linear_fc2.weight"] = rows(w[m + "w2.weight"].T, r, tp).T
        name = f"mp_rank_{r:02}" + (f"_{s:03}" if pp > 1 else "") + (f"_{x:03}" if "num_local_experts" in c else "")
        out[name + "/model_optim_rng.pt"] = t
    return out


def vllm(w, c, tp):
    heads, groups, d, out = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"], {}
    height = -(-c["vocab_size"] // 64) * 64
    if height % tp:
        height = -(-c["vocab_size"] // (64 * tp)) * 64 * tp
    for r in range(tp):
        t = {k: rows(padded(w[k], height), r, tp) for k in ("model.embed_tokens.weight", "lm_head.weight")}
        t["model.norm.weight"] = w["model.norm.weight"]
        for i in range(c["num_hidden_layers"]):
            p = f"model.layers.{i}."
            for wb in ("weight", "bias"):
                if p + f"self_attn.q_proj.{wb}" not in w:
                    continue
                parts = [rows(w[p + f"self_attn.q_proj.{wb}"], r, tp)]
                for x in "kv":
                    whole = w[p + f"self_attn.{x}_proj.{wb}"]
                    first = r // (tp // groups) if tp >= groups else r * (groups // tp)
                    parts.append(whole[first * d:(first + max(1, groups // tp)) * d])
                t[p + f"self_attn.qkv_proj.{wb}"] = np.concatenate(parts)
            t[p + "self_attn.o_proj.weight"] = rows(w[p + "self_attn.o_proj.weight"].T, r, tp).T
            t[p + "mlp.gate_up_proj.weight"] = np.concatenate([rows(w[p + f"mlp.{x}_proj.weight"], r, tp) for x in ("gate", "up")])
            t[p + "mlp.down_proj.weight"] = rows(w[p + "mlp.down_proj.weight"].T, r, tp).T
            for x in ("input", "post_attention"):
                t[p + f"{x}_layernorm.weight"] = w[p + f"{x}_layernorm.weight"]
        out[f"model-rank-{r}-part-0.safetensors"] = t
    return out


def shard_sizes(total, tp, kv, name, grain=1):
    """As DeepSpeed's AutoTP deals out a dimension."""
    if name != "lm_head" and ".mlp." not in name and total % kv == 0:
        return [total * (kv // tp + (r < kv % tp)) // kv for r in range(tp)]
    unit = grain if total >= grain else 1
    each = [(total // unit // tp + (r < total // unit % tp)) * unit for r in range(tp)]
    each[-1] += total % unit
    return each


def deepspeed(w, c, tp, grain=1):
    out = [{} for _ in range(tp)]
    for key, x in w.items():
        name, _, wb = key.rpartition(".")
        if name == "lm_head" or name.endswith(("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")):
            axis = 0
        elif name.endswith(("o_proj", "down_proj")) and wb == "weight":
            axis = 1
        elif key == "model.embed_tokens.weight" and c.get("tie_word_embeddings"):
            axis, name = 0, "lm_head"
        else:
            axis = None
        at = np.cumsum(shard_sizes(x.shape[axis], tp, c["num_key_value_heads"], name, grain))[:-1] if axis is not None else None
        for r in range(tp):
            out[r][key] = x if axis is None else np.split(x, at, axis)[r]
    return {f"mp_rank_{r:02}_model_states.pt": t for r, t in enumerate(out)}


def tensors(arrays):
    return {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in arrays.items()}


def hf(directory, w, c):
    directory.mkdir()
    save_file(tensors(w), directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "config.json").write_text(json.dumps(c))
    return directory


def read(directory):
    root = lambda p: torch.load(p)["module" if "model_states" in p.name else "model"]
    return {str(p.relative_to(directory)): root(p) if p.suffix == ".pt" else load_file(p)
            for p in sorted(directory.rglob("*")) if p.suffix in (".pt", ".safetensors")}


def assert_ranks(directory, want):
    got = read(directory)
    assert sorted(got) == sorted(want)
    for name in want:
        assert_same(got[name], tensors(want[name]))


def there_and_back(wmap, tmp_path, name, w, c, want, *options):
    source = hf(tmp_path / "hf", w, c)
    wmap("run", name, "-i", source, "-o", tmp_path / "out", *options)
    assert_ranks(tmp_path / "out", want)
    back = [o for o in options if o.startswith(("multiple=", "grain="))]  # the files tell all else
    wmap("run", "--reverse", name, "-i", tmp_path / "out", "-o", tmp_path / "back", *("-D" for _ in back), *back)
    assert (tmp_path / "back/model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("tp, kv, multiple", [(1, 4, 128), (2, 4, 16), (4, 4, 128), (8, 4, 128), (3, 12, 8), (8, 8, 1), (16, 16, 4)])
def test_megatron_llama(wmap, tmp_path, tp, kv, multiple, bias):
    c = config(kv=kv)
    w = whole(c, bias)
    there_and_back(wmap, tmp_path, "megatron/llama", w, c, megatron(w, c, tp, multiple=multiple), "-D", f"tp={tp}", "-D",
                   f"multiple={multiple}")


@pytest.mark.parametrize("tp, pp", [(1, 2), (2, 2), (4, 3), (2, 6)])
def test_megatron_llama_stages(wmap, tmp_path, tp, pp):
    c = config(layers=6)
    w = whole(c)
    there_and_back(wmap, tmp_path, "megatron/llama_stages", w, c, megatron(w, c, tp, pp), "-D", f"tp={tp}", "-D", f"pp={pp}")


@pytest.mark.parametrize("tp, ep", [(1, 1), (2, 4), (4, 2), (3, 8), (2, 1)])
def test_megatron_mixtral(wmap, tmp_path, tp, ep):
    c = config("mixtral", kv=12, num_local_experts=8)
    w = whole(c)
    there_and_back(wmap, tmp_path, "megatron/mixtral", w, c, megatron(w, c, tp, ep=ep), "-D", f"tp={tp}", "-D", f"ep={ep}")


@pytest.mark.parametrize("tp, pp, ep", [(1, 1, 1), (2, 2, 4), (3, 3, 2), (1, 2, 8)])
def test_megatron_mixtral_stages(wmap, tmp_path, tp, pp, ep):
    c = config("mixtral", kv=12, layers=6, num_local_experts=8)
    w = whole(c)
    want = megatron(w, c, tp, pp, ep)
    if pp == 1:
        want = {k.replace("_000/", "_000_000/"): t for k, t in want.items()}
    there_and_back(wmap, tmp_path, "megatron/mixtral_stages", w, c, want, *(o for p in (f"tp={tp}", f"pp={pp}", f"ep={ep}")
                                                                          for o in ("-D", p)))


@pytest.mark.parametrize("tp, kv, grain, tied", [(1, 4, 1, False), (2, 4, 1, True), (3, 4, 1, False), (5, 12, 16, False),
                                                 (7, 12, 8, True), (3, 48, 64, False), (8, 12, 1, False)])
def test_deepspeed_llama(wmap, tmp_path, tp, kv, grain, tied):
    """Heads, rows and vocabulary that do not divide: 48 heads on 5, 7 ranks, 100 and 101 entries on all."""
    c = config(kv=kv, inter=100, tie_word_embeddings=tied)
    w = whole(c, bias=tp == 3)
    if tied:
        del w["lm_head.weight"]
    there_and_back(wmap, tmp_path, "deepspeed/llama", w, c, deepspeed(w, c, tp, grain), "-D", f"tp={tp}", "-D", f"grain={grain}")


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("tp, kv", [(1, 4), (2, 4), (4, 4), (8, 4), (16, 4), (3, 1), (6, 2), (3, 6), (16, 48)])
def test_vllm_llama(wmap, tmp_path, tp, kv, bias):
    c = config(kv=kv)
    w = whole(c, bias)
    there_and_back(wmap, tmp_path, "vllm/llama", w, c, vllm(w, c, tp), "-D", f"tp={tp}")


# ---- from one degree to another, without the whole in between ----

PAIRS = [(a, b) for a in DEGREES for b in DEGREES if a != b]


def poison(directory, c):
    """Other values where the vocabulary of the source is padded: it must not reach anything."""
    ranks = sorted(directory.rglob("model_optim_rng.pt"))
    for r, path in enumerate(ranks):
        part = torch.load(path)
        for key in ("embedding.word_embeddings.weight", "output_layer.weight"):
            height = len(part["model"][key])
            part["model"][key][max(0, c["vocab_size"] - r * height):] = float("nan")
        torch.save(part, path)


def command(*args):
    subprocess.run([str(a) for a in args], check=True, env=os.environ | {"WMAP_PATH": str(MAPS)})


@pytest.fixture(scope="module")
def sharded(binary, tmp_path_factory):
    """hf, and megatron/A for every degree, its padding poisoned."""
    root = tmp_path_factory.mktemp("sharded")
    for kind, c in (("llama", config(kv=12, vocab=96)), ("mixtral", config("mixtral", kv=12, vocab=96, num_local_experts=2))):
        (root / kind).mkdir()
        hf(root / kind / "hf", whole(c), c)
        for tp in DEGREES:
            out = root / kind / str(tp)
            command(binary, "run", f"megatron/{kind}", "-i", root / kind / "hf", "-o", out, "-D", f"tp={tp}", "--quiet")
            poison(out, c)
    return root


@pytest.mark.parametrize("a, b", PAIRS)
@pytest.mark.parametrize("kind", ["llama", "mixtral"])
def test_every_degree_to_every_other(wmap, sharded, tmp_path, kind, a, b):
    c = json.loads((sharded / kind / "hf/config.json").read_text())
    w = whole(c)
    wmap("run", f"~megatron/{kind}(tp = {a}) >> megatron/{kind}(tp = {b})", "-i", sharded / kind / str(a), "-o", tmp_path / "out")
    assert_ranks(tmp_path / "out", megatron(w, c, b))


@pytest.mark.parametrize("a, b", [(a, b) for a, b in PAIRS if a in (1, 3, 8, 16)])
def test_megatron_to_vllm(wmap, sharded, tmp_path, a, b):
    """Interleaved rows become blocked copies of key heads; one padding becomes another."""
    c = json.loads((sharded / "llama/hf/config.json").read_text())
    kv = c["num_key_value_heads"]
    fits = b % kv == 0 or kv % b == 0
    wmap("run", f"~megatron/llama(tp = {a}) >> vllm/llama(tp = {b})", "-i", sharded / "llama" / str(a), "-o", tmp_path / "out",
         status=0 if fits else 1)
    if fits:
        assert_ranks(tmp_path / "out", vllm(whole(c), c, b))
        wmap("run", f"~vllm/llama(tp = {b}) >> megatron/llama(tp = {a})", "-i", tmp_path / "out", "-o", tmp_path / "back")
        assert_ranks(tmp_path / "back", megatron(whole(c), c, a))


@pytest.mark.parametrize("a, b", [(3, 7), (7, 5), (8, 3)])
def test_uneven_to_uneven(wmap, sharded, tmp_path, a, b):
    """12 key heads and 96 rows, from Megatron's padding over two uneven layouts and back."""
    c = json.loads((sharded / "llama/hf/config.json").read_text())
    w = whole(c)
    wmap("run", f"~megatron/llama(tp = 8) >> deepspeed/llama(tp = {a})", "-i", sharded / "llama/8", "-o", tmp_path / "a")
    assert_ranks(tmp_path / "a", deepspeed(w, c, a))
    wmap("run", f"~deepspeed/llama(tp = {a}) >> deepspeed/llama(tp = {b})", "-i", tmp_path / "a", "-o", tmp_path / "b")
    assert_ranks(tmp_path / "b", deepspeed(w, c, b))
    wmap("run", f"~deepspeed/llama(tp = {b}) >> megatron/llama(tp = 8)", "-i", tmp_path / "b", "-o", tmp_path / "back")
    assert_ranks(tmp_path / "back", megatron(w, c, 8))


def test_experts_tensors_and_stages_at_once(wmap, tmp_path):
    """Three dimensions of parallelism change together; what pads the vocabulary of the source goes nowhere."""
    c = config("mixtral", kv=12, layers=6, num_local_experts=8)
    w = whole(c)
    source = hf(tmp_path / "hf", w, c)
    wmap("run", "megatron/mixtral_stages(tp = 2, pp = 3, ep = 4)", "-i", source, "-o", tmp_path / "a")
    for path in sorted((tmp_path / "a").rglob("model_optim_rng.pt")):
        part = torch.load(path)
        for key in ("embedding.word_embeddings.weight", "output_layer.weight"):
            if key in part["model"]:
                height = len(part["model"][key])
                part["model"][key][max(0, c["vocab_size"] - int(path.parent.name[8:10]) * height):] = float("nan")
        torch.save(part, path)
    wmap("run", "~megatron/mixtral_stages >> megatron/mixtral_stages(tp = 3, pp = 2, ep = 2)", "-i", tmp_path / "a", "-o",
         tmp_path / "b")
    assert_ranks(tmp_path / "b", megatron(w, c, 3, 2, 2))
    wmap("run", "~megatron/mixtral_stages >> megatron/mixtral(tp = 4, ep = 8)", "-i", tmp_path / "b", "-o", tmp_path / "c")
    assert_ranks(tmp_path / "c", megatron(w, c, 4, ep=8))


COPIES = {3: 3, 6: 3, 8: 2, 16: 4}  # of 4 key heads, where they do not divide


@pytest.fixture(scope="module")
def neuron(binary, tmp_path_factory):
    """neuron/llama for every degree, with tiled copies of 4 key heads on 3, 6, 8 and 16 ranks."""
    root = tmp_path_factory.mktemp("neuron")
    c = config(kv=4, vocab=96)
    hf(root / "hf", whole(c), c)
    for tp in DEGREES:
        command(binary, "run", neuron_at(tp), "-i", root / "hf", "-o", root / str(tp), "--quiet")
    return root


def neuron_at(tp):
    return f"neuron/llama(tp = {tp}, kv_size_multiplier = {COPIES.get(tp, 1)})"


@pytest.mark.parametrize("a", DEGREES)
def test_tiled_copies_from_every_degree_to_every_other(wmap, neuron, tmp_path, a):
    """Equal, to the byte of the files, to what the whole model gives."""
    for b in DEGREES:
        if a == b:
            continue
        out = tmp_path / str(b)
        wmap("run", f"~neuron/llama >> {neuron_at(b)}", "-i", neuron / str(a), "-o", out)
        got, want = ({str(p.relative_to(d)): p.read_bytes() for p in d.rglob("*") if p.is_file()} for d in (out, neuron / str(b)))
        assert len([k for k in want if k.endswith(".pt")]) == b and got.keys() == want.keys()
        assert [k for k in want if got[k] != want[k]] == []


@pytest.mark.parametrize("a, b", [(a, b) for a, b in itertools.permutations([1, 2, 4, 8, 16], 2)])
def test_copies_of_key_heads(wmap, tmp_path, a, b):
    """Blocked copies of 4 key heads on 8 and 16 ranks; the source's padding is poisoned."""
    c = config(kv=4)
    w = whole(c)
    wmap("run", f"vllm/llama(tp = {a})", "-i", hf(tmp_path / "hf", w, c), "-o", tmp_path / "a")
    for r in range(a):
        part = load_file(tmp_path / f"a/model-rank-{r}-part-0.safetensors")
        for key in ("model.embed_tokens.weight", "lm_head.weight"):
            part[key][max(0, c["vocab_size"] - r * len(part[key])):] = float("nan")
        save_file(part, tmp_path / f"a/model-rank-{r}-part-0.safetensors")
    wmap("run", f"~vllm/llama(tp = {a}) >> vllm/llama(tp = {b})", "-i", tmp_path / "a", "-o", tmp_path / "b")
    assert_ranks(tmp_path / "b", vllm(w, c, b))


@pytest.mark.parametrize("a, b", [(a, b) for a, b in PAIRS if {a, b} & {2, 8}])
def test_megatron_to_neuron(wmap, sharded, tmp_path, a, b):
    """Tiled copies of key heads, and query heads that follow them, equal those of the way over the whole."""
    copies = {8: 2, 16: 4}.get(b, 1)
    neuron = f"neuron/llama(tp = {b}, kv_size_multiplier = {copies})"
    wmap("run", f"~megatron/llama(tp = {a}) >> {neuron}", "-i", sharded / "llama" / str(a), "-o", tmp_path / "out")
    wmap("run", neuron, "-i", sharded / "llama/hf", "-o", tmp_path / "want")
    got, want = (sorted((tmp_path / x).rglob("*.pt")) for x in ("out", "want"))
    assert len(want) == b and [p.read_bytes() for p in got] == [p.read_bytes() for p in want]
    wmap("run", f"~{neuron} >> megatron/llama(tp = {a})", "-i", tmp_path / "out", "-o", tmp_path / "back")
    c = json.loads((sharded / "llama/hf/config.json").read_text())
    assert_ranks(tmp_path / "back", megatron(whole(c), c, a))


def test_more_parts_than_a_tensor_may_have_dimensions(wmap, tmp_path):
    """A list of 70 sizes counts to its end: the first 64 alone would add up, too, where the rest is nothing."""
    def cut(parts, status=0):
        (tmp_path / "m.wmap").write_text(f'wmap 1\nlet p = {parts}\nindex rank < 2\ntarget {{ file "r{{rank}}.safetensors" }}\n'
                                         'shard rank on target { "{rest*}" split 0 parts p }\n"{rest*}" <-> "{rest}"\n')
        return wmap("run", tmp_path / "m.wmap", "-i", tmp_path / "w.safetensors", "-o", tmp_path / "o", status=status).stderr

    w = torch.arange(140.0)
    save_file({"w": w}, tmp_path / "w.safetensors")
    for parts, total in ([2] * 69, 138), ([78] + [0] * 9 + [1] * 62 + [2], 142), ([140] + [0] * 63 + [2], 142):
        assert f"the parts add up to {total}, but the dimension has 140" in cut(parts, status=1)
    assert "parts must be a number from 1 to 65536" in cut(1 << 20, status=1)
    cut([2] * 70)
    for r in range(2):
        assert_same(load_file(tmp_path / f"o/r{r}.safetensors"), {"w": w[r::2]})
    wmap("run", "--reverse", tmp_path / "m.wmap", "-i", tmp_path / "o", "-o", tmp_path / "b.safetensors")
    assert_same(load_file(tmp_path / "b.safetensors"), {"w": w})
