"""Every example of examples/, and the shipped maps that show the same: each formula is written out once more in numpy,
element by element or row by row, and `wmap run` has to agree to the byte in both directions."""

import json

import numpy as np
import pytest

from conftest import ONE, ROOT, read

EXAMPLES = ROOT / "examples"


def config_of(topic, **other):
    return {**json.loads((EXAMPLES / topic / "config.json").read_text()), **other}


def path(topic, name="map"):
    return EXAMPLES / topic / f"{name}.wmap"


def read_one(directory):
    return read(directory / ONE)


class Draw:
    """Arrays of random bits; two of them have nothing in common."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)

    def __call__(self, *shape, kind=np.uint16):
        top = {np.uint8: 256, np.uint16: 65536}[kind]
        return self.rng.integers(0, top, shape).astype(kind)

    def float(self, *shape):
        return self.rng.standard_normal(shape).astype(np.float32)


@pytest.fixture
def draw():
    return Draw()


# ---- grouped query, key and value (shipped maps) ----


def grouped(q, k, v, groups, d):
    """For each key head: its query heads, then the key head, then the value head."""
    each = len(q) // (groups * d)
    rows = []
    for g in range(groups):
        rows += [q[g * each * d:(g + 1) * each * d], k[g * d:(g + 1) * d], v[g * d:(g + 1) * d]]
    return np.concatenate(rows)


@pytest.mark.parametrize("heads, groups", [(6, 2), (4, 4), (5, 1)])
def test_grouped_qkv(example, draw, heads, groups):
    config = {"model_type": "llama", "num_hidden_layers": 2, "num_attention_heads": heads, "num_key_value_heads": groups,
              "hidden_size": heads * 4}
    source, target = {}, {}
    for layer in range(2):
        q, k, v = draw(heads * 4, heads * 4), draw(groups * 4, heads * 4), draw(groups * 4, heads * 4)
        for p, x in zip("qkv", (q, k, v)):
            source[f"model.layers.{layer}.self_attn.{p}_proj.weight"] = x
        target[f"h.{layer}.attn.qkv.weight"] = grouped(q, k, v, groups, 4)
    source["norm"] = target["norm"] = draw(8)
    example.both(EXAMPLES / "grouped_qkv.wmap", config, source, target)

    out, _ = example.convert("litgpt/legacy_llama", config, {ONE: source}, "--allow-unmapped",
                             "--allow-missing")
    made = read_one(out)
    for layer in range(2):
        assert np.array_equal(made[f"transformer.h.{layer}.attn.attn.weight"], target[f"h.{layer}.attn.qkv.weight"])


# ---- Falcon (shipped map) ----


@pytest.mark.parametrize("variant", ["new", "new, one norm", "multi-query", "multi-head", "not parallel"])
def test_falcon(example, draw, variant):
    heads, d, e, layers = 6, 4, 24, 2
    config = {"model_type": "falcon", "num_hidden_layers": layers, "num_attention_heads": heads, "hidden_size": e,
              "new_decoder_architecture": variant.startswith("new"), "multi_query": variant == "multi-query",
              "parallel_attn": variant != "not parallel", "num_kv_heads": 2, "tie_word_embeddings": False}
    if variant == "new, one norm":
        config["num_ln_in_parallel_attn"] = 1
    groups = 2 if variant.startswith("new") else 1 if variant == "multi-query" else heads
    source, target = {}, {}

    def keep(left, right, *shape):
        source[left] = target[right] = draw(*shape)

    keep("transformer.word_embeddings.weight", "transformer.wte.weight", 10, e)
    keep("lm_head.weight", "lm_head.weight", 10, e)
    for wb in ("weight", "bias"):
        keep(f"transformer.ln_f.{wb}", f"transformer.ln_f.{wb}", e)
    for layer in range(layers):
        at = f"transformer.h.{layer}."
        q, k, v = draw(heads * d, e), draw(groups * d, e), draw(groups * d, e)
        source[at + "self_attention.query_key_value.weight"] = grouped(q, k, v, groups, d)
        target[at + "attn.qkv.weight"] = np.concatenate([q, k, v])
        keep(at + "self_attention.dense.weight", at + "attn.proj.weight", e, e)
        keep(at + "mlp.dense_h_to_4h.weight", at + "mlp.fc.weight", 4 * e, e)
        keep(at + "mlp.dense_4h_to_h.weight", at + "mlp.proj.weight", e, 4 * e)
        norms = {"new": ["ln_attn", "ln_mlp"], "not parallel": ["input_layernorm", "post_attention_layernorm"]}
        for i, norm in enumerate(norms.get(variant, ["input_layernorm"])):
            for wb in ("weight", "bias"):
                keep(f"{at}{norm}.{wb}", f"{at}norm_{i + 1}.{wb}", e)
    example.both("litgpt/falcon", config, source, target)


# ---- rotary halves and pairs ----


def paired(x, d, turned):
    """Rows of heads: the first `turned` of each from halves to pairs."""
    out = x.copy()
    for h in range(len(x) // d):
        for i in range(turned // 2):
            for half in range(2):
                out[h * d + 2 * i + half] = x[h * d + half * turned // 2 + i]
    return out


@pytest.mark.parametrize("factor, bias", [(0.5, True), (1, False), (None, True)])
def test_rotary(example, draw, factor, bias):
    config = config_of("01-rotary", partial_rotary_factor=factor)
    heads, groups, d, e = 6, 2, 8, 10
    turned = int(d * (1 if factor is None else factor))
    source, target = {}, {}
    for layer in range(2):
        a, b = f"model.layers.{layer}.self_attn.", f"layers.{layer}.attention."
        for p, n in (("q", heads), ("k", groups)):
            for wb, shape in (("weight", (n * d, e)), ("bias", (n * d,)))[:1 + bias]:
                x = source[f"{a}{p}_proj.{wb}"] = draw(*shape)
                target[f"{b}w{p}.{wb}"] = paired(x, d, turned)
            x = source[f"{a}{p}_norm.weight"] = draw(d)
            target[f"{b}{p}_norm.weight"] = paired(x, d, turned)
        for p, shape in (("v", (groups * d, e)), ("o", (e, heads * d))):
            source[f"{a}{p}_proj.weight"] = target[f"{b}w{p}.weight"] = draw(*shape)
    example.both(path("01-rotary"), config, source, target)


# ---- experts ----


def experts(draw, layers, n, i, c):
    """Keys of Qwen2-MoE: a router, experts, a shared expert."""
    state = {}
    for layer in range(layers):
        at = f"model.layers.{layer}.mlp."
        state[at + "gate.weight"] = draw(n, c)
        for where in [f"experts.{x}." for x in range(n)] + ["shared_expert."]:
            for p, shape in (("gate", (i, c)), ("up", (i, c)), ("down", (c, i))):
                state[f"{at}{where}{p}_proj.weight"] = draw(*shape)
    return state


def packed(source, layer, which):
    at = f"model.layers.{layer}.mlp."
    w = {p: [source[f"{at}experts.{x}.{p}_proj.weight"] for x in which] for p in ("gate", "up", "down")}
    shared = {p: source[f"{at}shared_expert.{p}_proj.weight"] for p in ("gate", "up", "down")}
    to = f"blocks.{layer}.moe."
    return {
        to + "router.weight": source[at + "gate.weight"].reshape(-1),
        to + "w_up_gate": np.stack([np.concatenate([u, g]) for u, g in zip(w["up"], w["gate"])]),
        to + "w_down": np.stack([x.T for x in w["down"]]),
        to + "shared.w_up_gate": np.concatenate([shared["up"].T, shared["gate"].T], 1),
        to + "shared.w_down": shared["down"].T[None],
    }


@pytest.mark.parametrize("i, c", [(6, 5), (5, 5), (4, 8)])
def test_packed_experts(example, draw, i, c):
    source = experts(draw, 2, 4, i, c)
    target = {k: v for layer in range(2) for k, v in packed(source, layer, range(4)).items()}
    example.both(path("02-packed-experts"), config_of("02-packed-experts"), source, target)


@pytest.mark.parametrize("ep", [1, 2, 4])
def test_parallel_experts(example, draw, ep):
    source = experts(draw, 2, 4, 6, 5)
    each = 4 // ep
    target = {f"rank{r}.safetensors": {k: v for layer in range(2)
                                       for k, v in packed(source, layer, range(r * each, (r + 1) * each)).items()}
              for r in range(ep)}
    example.both(path("02-packed-experts", "parallel"), config_of("02-packed-experts"), source, target, "-D", f"ep={ep}")


@pytest.mark.parametrize("dropless", [True, False])
def test_experts_of_olmo_core(example, draw, dropless):
    """Stacked matrices, with and without transposition (shipped map)."""
    n, i, c = 3, 6, 5
    config = {"model_type": "olmoe", "num_hidden_layers": 1, "num_experts": n}
    source, target = {}, {}

    def keep(left, right):
        source[left] = target[right] = draw(c)

    keep("model.embed_tokens.weight", "embeddings.weight")
    keep("model.norm.weight", "lm_head.norm.weight")
    keep("lm_head.weight", "lm_head.w_out.weight")
    for p, w in (("q", "w_q"), ("k", "w_k"), ("v", "w_v"), ("o", "w_out")):
        keep(f"model.layers.0.self_attn.{p}_proj.weight", f"blocks.0.attention.{w}.weight")
    for p in "qk":
        keep(f"model.layers.0.self_attn.{p}_norm.weight", f"blocks.0.attention.{p}_norm.weight")
    keep("model.layers.0.input_layernorm.weight", "blocks.0.attention_norm.weight")
    keep("model.layers.0.post_attention_layernorm.weight", "blocks.0.feed_forward_norm.weight")
    all_of = {k.replace("model.layers.0.mlp.", ""): v for k, v in experts(draw, 1, n, i, c).items() if "shared" not in k}
    source.update({f"model.layers.0.mlp.{k}": v for k, v in all_of.items()})
    w1, w3 = (np.empty((n * i, c) if dropless else (n * c, i), np.uint16) for _ in range(2))
    w2 = np.empty((n * i, c), np.uint16)
    for e in range(n):
        for w, p in ((w1, "gate"), (w3, "up")):
            x = all_of[f"experts.{e}.{p}_proj.weight"]
            if dropless:
                w[e * i:(e + 1) * i] = x
            else:
                w[e * c:(e + 1) * c] = x.T
        w2[e * i:(e + 1) * i] = all_of[f"experts.{e}.down_proj.weight"].T
    target.update({"blocks.0.feed_forward_moe.experts.mlp.w1": w1, "blocks.0.feed_forward_moe.experts.mlp.w2": w2,
                   "blocks.0.feed_forward_moe.experts.mlp.w3": w3,
                   "blocks.0.feed_forward_moe.router.weight": all_of["gate.weight"].reshape(-1)})
    example.both("olmo_core/olmoe", config, source, target, "-D", f"dropless={'true' if dropless else 'false'}")


def test_packed_experts_of_transformers(example, draw):
    """gate, then up, not transposed (shipped map)."""
    n, i, c = 3, 6, 5
    config = {"model_type": "mixtral", "num_hidden_layers": 1, "num_local_experts": n}
    w = [{p: draw(*shape) for p, shape in (("w1", (i, c)), ("w3", (i, c)), ("w2", (c, i)))} for _ in range(n)]
    source = {f"model.layers.0.block_sparse_moe.experts.{e}.{p}.weight": x for e in range(n) for p, x in w[e].items()}
    router = source["model.layers.0.block_sparse_moe.gate.weight"] = draw(n, c)
    target = {"model.layers.0.mlp.gate.weight": router,
              "model.layers.0.mlp.experts.gate_up_proj": np.stack([np.concatenate([x["w1"], x["w3"]]) for x in w]),
              "model.layers.0.mlp.experts.down_proj": np.stack([x["w2"] for x in w])}
    source["norm"] = target["norm"] = draw(c)
    example.both("transformers5/mixtral", config, source, target)


def test_interleaved_experts(example, draw):
    """gpt-oss: transposed, gate and up by turns (shipped map)."""
    n, i, c = 3, 4, 6
    config = {"model_type": "gpt_oss", "num_hidden_layers": 1, "num_local_experts": n,
              "hidden_size": c, "intermediate_size": i}
    at = "model.layers.0.mlp.experts."
    source = {}
    gate_up, bias = np.empty((n, c, 2 * i), np.uint16), np.empty((n, 2 * i), np.uint16)
    down, down_bias = np.empty((n, i, c), np.uint16), np.empty((n, c), np.uint16)
    for e in range(n):
        for s, p in enumerate(("gate", "up")):
            x = source[f"{at}{e}.{p}_proj.weight"] = draw(i, c)
            b = source[f"{at}{e}.{p}_proj.bias"] = draw(i)
            gate_up[e, :, s::2] = x.T
            bias[e, s::2] = b
        x = source[f"{at}{e}.down_proj.weight"] = draw(c, i)
        down[e] = x.T
        down_bias[e] = source[f"{at}{e}.down_proj.bias"] = draw(c)
    target = {at + "gate_up_proj": gate_up, at + "gate_up_proj_bias": bias, at + "down_proj": down,
              at + "down_proj_bias": down_bias}
    example.both("transformers5/gpt_oss", config, source, target)


def test_mxfp4_rows(example, draw):
    n, i, blocks = 3, 5, 2
    source, target = {}, {}
    for layer in range(2):
        at = f"model.layers.{layer}.mlp.experts."
        for t, x in (("blocks", draw(n, 2 * i, blocks, 16, kind=np.uint8)),
                     ("scales", draw(n, 2 * i, blocks, kind=np.uint8)), ("bias", draw(n, 2 * i))):
            y = np.empty_like(x)
            for row in range(i):
                for p in range(2):
                    y[:, p * i + row] = x[:, 2 * row + p]
            source[f"{at}gate_up_proj_{t}"], target[f"{at}gate_up_proj_{t}"] = x, y
        source[at + "down_proj_blocks"] = target[at + "down_proj_blocks"] = draw(n, 4, 1, 16, kind=np.uint8)
    example.both(path("03-mxfp4-rows"), config_of("03-mxfp4-rows"), source, target)


# ---- attention ----


def latent(draw, config, block):
    h, n, rope, v = 3, 8, 6, 4
    q, r, c = 10, 12, 7
    source, target = {}, {}
    for layer in range(2):
        a, b = f"model.layers.{layer}.self_attn.", f"layers.{layer}.attn."
        kv = source[a + "kv_b_proj.weight"] = draw(h * (n + v), r)
        target[b + "k_b.weight"] = np.stack([kv[x * (n + v):x * (n + v) + n].T for x in range(h)])
        target[b + "v_b.weight"] = np.stack([kv[x * (n + v) + n:(x + 1) * (n + v)] for x in range(h)])

        qb = source[a + "q_b_proj.weight"] = draw(h * (n + rope), q)
        moved = target[b + "q_b.weight"] = qb.copy()
        for x in range(h):
            for i in range(rope // 2):
                for k in range(2):
                    moved[x * (n + rope) + n + k * rope // 2 + i] = qb[x * (n + rope) + n + 2 * i + k]

        qa = source[a + "q_a_proj.weight"] = draw(q, c)
        kva = source[a + "kv_a_proj_with_mqa.weight"] = draw(r + rope, c)
        turned = kva.copy()
        for i in range(rope // 2):
            for k in range(2):
                turned[r + k * rope // 2 + i] = kva[r + 2 * i + k]
        target[b + "qkv_a.weight"] = np.concatenate([qa, turned])
        source[a + "o_proj.weight"] = target[b + "out.weight"] = draw(c, h * v)

        if block:
            nb, vb, rb = n // block, v // block, r // block
            s = source[a + "kv_b_proj.weight_scale_inv"] = draw.float(h * (nb + vb), rb)
            target[b + "k_b.weight_scale_inv"] = np.stack([s[x * (nb + vb):x * (nb + vb) + nb].T for x in range(h)])
            target[b + "v_b.weight_scale_inv"] = np.stack([s[x * (nb + vb) + nb:(x + 1) * (nb + vb)] for x in range(h)])
    return source, target


@pytest.mark.parametrize("block", [None, 2, 4])
def test_latent_attention(example, draw, block):
    config = config_of("04-latent-attention")
    if block:
        config["quantization_config"] = {"weight_block_size": [block, block]}
    example.both(path("04-latent-attention"), config, *latent(draw, config, block))


def test_latent_attention_cuts_no_block(example, draw):
    config = config_of("04-latent-attention", quantization_config={"weight_block_size": [3, 3]})
    source, _ = latent(draw, config, 4)
    _, said = example.convert(path("04-latent-attention"), config, {ONE: source}, status=1)
    assert "E0654" in said


def attention(draw, heads, groups, d, e, layers=2):
    shapes = {"q": (heads * d, e), "k": (groups * d, e), "v": (groups * d, e), "o": (e, heads * d)}
    return {f"model.layers.{layer}.self_attn.{p}_proj.weight": draw(*shape)
            for layer in range(layers) for p, shape in shapes.items()}


@pytest.mark.parametrize("tp, heads, groups, copy", [(4, 8, 2, 2), (8, 8, 2, 4), (4, 16, 4, 2), (2, 8, 2, 1), (2, 8, 2, 2)])
def test_replicated_kv(example, draw, tp, heads, groups, copy):
    d, e = 3, 5
    config = config_of("05-replicated-kv", num_attention_heads=heads, num_key_value_heads=groups, head_dim=d)
    source = attention(draw, heads, groups, d, e)
    g, nq, nkv = heads // groups, heads // tp, groups * copy // tp
    gr = nq // nkv
    target = {}
    for rank in range(tp):
        file = target[f"rank{rank}.safetensors"] = {}
        for layer in range(2):
            w = {p: source[f"model.layers.{layer}.self_attn.{p}_proj.weight"] for p in "qkvo"}
            at = f"layers.{layer}.attn."
            q, o = np.empty((nq * d, e), np.uint16), np.empty((e, nq * d), np.uint16)
            for j in range(nq):
                t = rank * nkv + j // gr
                head = (t % groups) * g + t // groups * gr + j % gr
                q[j * d:(j + 1) * d] = w["q"][head * d:(head + 1) * d]
                o[:, j * d:(j + 1) * d] = w["o"][:, head * d:(head + 1) * d]
            file[at + "q.weight"], file[at + "o.weight"] = q, o
            for p in "kv":
                y = file[f"{at}{p}.weight"] = np.empty((nkv * d, e), np.uint16)
                for a in range(nkv):
                    head = (rank * nkv + a) % groups
                    y[a * d:(a + 1) * d] = w[p][head * d:(head + 1) * d]
    options = ["-D", f"tp={tp}", "-D", f"copy={copy}"]
    example.both(path("05-replicated-kv"), config, source, target, *options)

    if copy > 1:
        bad = target["rank0.safetensors"]["layers.1.attn.k.weight"]
        bad[0, 0] ^= 1
        _, said = example.convert(path("05-replicated-kv"), config, target, *options, reverse=True, status=1)
        assert "layers.1.attn.k.weight" in said


@pytest.mark.parametrize("tp, heads, groups", [(4, 8, 2), (8, 8, 2), (2, 8, 4), (2, 8, 2)])
def test_replicated_kv_in_blocks(example, draw, tp, heads, groups):
    d, e = 3, 5
    config = config_of("05-replicated-kv", num_attention_heads=heads, num_key_value_heads=groups, head_dim=d)
    source = attention(draw, heads, groups, d, e)
    target = {}
    for rank in range(tp):
        file = target[f"rank{rank}.safetensors"] = {}
        for layer in range(2):
            w = {p: source[f"model.layers.{layer}.self_attn.{p}_proj.weight"] for p in "qkvo"}
            at, n = f"layers.{layer}.attn.", heads // tp * d
            file[at + "q.weight"] = w["q"][rank * n:(rank + 1) * n]
            file[at + "o.weight"] = w["o"][:, rank * n:(rank + 1) * n]
            first, some = rank * groups // tp, max(groups // tp, 1)
            for p in "kv":
                file[f"{at}{p}.weight"] = w[p][first * d:(first + some) * d]
    example.both(path("05-replicated-kv", "blocked"), config, source, target, "-D", f"tp={tp}")


def test_repeated_kv(example, draw):
    heads, groups, d, e = 8, 2, 4, 5
    source = attention(draw, heads, groups, d, e)
    target = {}
    for key, x in source.items():
        layer, p = key.split(".")[2], key.split(".")[4][0]
        if p in "kv":
            x = np.concatenate([x[h // 4 * d:(h // 4 + 1) * d] for h in range(heads)])
        target[f"layers.{layer}.attn.{p}.weight"] = x
    example.both(path("05-replicated-kv", "repeated"), config_of("05-replicated-kv"), source, target)


# ---- fused tensors, cut ----


def block_of_llama(draw, heads, groups, d, e, f):
    source = attention(draw, heads, groups, d, e)
    for layer in range(2):
        at = f"model.layers.{layer}."
        for p, shape in (("gate", (f, e)), ("up", (f, e)), ("down", (e, f))):
            source[f"{at}mlp.{p}_proj.weight"] = draw(*shape)
        source[at + "input_layernorm.weight"] = draw(e)
    return source


def cut(x, n, rank, axis=0):
    return np.split(x, n, axis)[rank]


@pytest.mark.parametrize("tp, groups", [(1, 2), (2, 2), (4, 2), (2, 4)])
def test_fused_ranks(example, draw, tp, groups):
    heads, d, e, f = 8, 4, 5, 12
    source = block_of_llama(draw, heads, groups, d, e, f)
    target = {}
    for rank in range(tp):
        file = target[f"model.rank{rank:02}.safetensors"] = {}
        for layer in range(2):
            a, b = f"model.layers.{layer}.", f"layers.{layer}."
            w = {p: source[f"{a}self_attn.{p}_proj.weight"] for p in "qkvo"}
            m = {p: source[f"{a}mlp.{p}_proj.weight"] for p in ("gate", "up", "down")}
            first, some = rank * groups // tp, max(groups // tp, 1)
            k, v = (w[p][first * d:(first + some) * d] for p in "kv")
            file[b + "qkv.weight"] = np.concatenate([cut(w["q"], tp, rank), k, v])
            file[b + "gate_up.weight"] = np.concatenate([cut(m["gate"], tp, rank), cut(m["up"], tp, rank)])
            file[b + "o.weight"] = cut(w["o"], tp, rank, 1)
            file[b + "down.weight"] = cut(m["down"], tp, rank, 1)
            file[b + "norm.weight"] = source[a + "input_layernorm.weight"]
    config = config_of("06-fused-ranks", num_key_value_heads=groups)
    example.both(path("06-fused-ranks"), config, source, target, "-D", f"tp={tp}")


@pytest.mark.parametrize("tp", [1, 2])
def test_fused_ranks_in_one_file(example, draw, tp):
    heads, groups, d, e, f = 8, 2, 4, 5, 12
    source = block_of_llama(draw, heads, groups, d, e, f)
    target = {}
    for layer in range(2):
        a, b = f"model.layers.{layer}.", f"layers.{layer}."
        q, k, v = (source[f"{a}self_attn.{p}_proj.weight"] for p in "qkv")
        hq, hk = heads * d // tp, groups * d // tp
        size = hq + 2 * hk
        fused = target[b + "qkv.weight"] = np.empty((tp * size, e), np.uint16)
        for s in range(tp):
            fused[s * size:s * size + hq] = q[s * hq:(s + 1) * hq]
            fused[s * size + hq:s * size + hq + hk] = k[s * hk:(s + 1) * hk]
            fused[s * size + hq + hk:(s + 1) * size] = v[s * hk:(s + 1) * hk]
        gate, up = (source[f"{a}mlp.{p}_proj.weight"] for p in ("gate", "up"))
        target[b + "gate_up.weight"] = np.concatenate([cut(x, tp, s) for s in range(tp) for x in (gate, up)])
        target[b + "o.weight"] = source[a + "self_attn.o_proj.weight"]
        target[b + "down.weight"] = source[a + "mlp.down_proj.weight"]
        target[b + "norm.weight"] = source[a + "input_layernorm.weight"]
    example.both(path("06-fused-ranks", "one-file"), config_of("06-fused-ranks"), source, target, "-D", f"tp={tp}")


# ---- vocabularies ----


@pytest.mark.parametrize("options, size", [([], 128), (["-D", "multiple=32"], 128), (["-D", "multiple=100"], 100),
                                           (["-D", "rows=111"], 111)])
@pytest.mark.parametrize("bias", [True, False])
def test_vocab_padding(example, draw, options, size, bias):
    source = {"model.embed_tokens.weight": draw.float(100, 6), "lm_head.weight": draw.float(100, 6)}
    if bias:
        source["lm_head.bias"] = draw.float(100)
    names = {"model.embed_tokens.weight": "embedding.weight", "lm_head.weight": "head.weight", "lm_head.bias": "head.bias"}
    target = {names[k]: np.concatenate([x, np.zeros((size - 100, *x.shape[1:]), np.float32)]) for k, x in source.items()}
    source["model.norm.weight"] = target["norm.weight"] = draw.float(6)
    example.both(path("07-vocab-padding"), config_of("07-vocab-padding"), source, target, *options, "--strict-pad")

    if size > 100:
        target["head.weight"][size - 1, 5] = 1
        there = {ONE: target}
        _, said = example.convert(path("07-vocab-padding"), config_of("07-vocab-padding"), there, *options, "--strict-pad",
                                  reverse=True, status=1)
        assert "head.weight" in said


# ---- tied heads, norms, optional tensors ----


def decoder(draw, model_type, tied, bias, norms):
    source, target = {}, {}

    def keep(left, right, *shape):
        source[left] = target[right] = draw(*shape)

    keep("model.embed_tokens.weight", "embedding", 9, 4)
    if tied:
        target["head"] = target["embedding"]
    else:
        keep("lm_head.weight", "head", 9, 4)
    pairs = ([("post_attention_layernorm", "attention_post_norm"), ("post_feedforward_layernorm", "mlp_post_norm")]
             if model_type == "olmo2" else
             [("input_layernorm", "attention_norm"), ("post_attention_layernorm", "mlp_norm")])
    for layer in range(2):
        a, b = f"model.layers.{layer}.", f"blocks.{layer}."
        for left, right in pairs:
            keep(f"{a}{left}.weight", b + right, 4)
        for p in "qkvo":
            keep(f"{a}self_attn.{p}_proj.weight", f"{b}attention.{p}.weight", 4, 4)
            if bias and p != "o":
                keep(f"{a}self_attn.{p}_proj.bias", f"{b}attention.{p}.bias", 4)
        for p in "qk" * norms:
            keep(f"{a}self_attn.{p}_norm.weight", f"{b}attention.{p}_norm", 4)
    return source, target


@pytest.mark.parametrize("model_type", ["llama", "olmo2"])
@pytest.mark.parametrize("tied, bias, norms", [(True, False, False), (False, True, False), (True, True, True)])
def test_tied_and_optional(example, draw, model_type, tied, bias, norms):
    config = config_of("08-tied-and-optional", model_type=model_type, tie_word_embeddings=tied)
    source, target = decoder(draw, model_type, tied, bias, norms)
    example.both(path("08-tied-and-optional"), config, source, target)

    buffers = {f"model.layers.{layer}.self_attn.{b}": draw(3) for layer in range(2)
               for b in ("rotary_emb.inv_freq", "bias", "masked_bias")}
    out, _ = example.convert(path("08-tied-and-optional"), config, {ONE: {**source, **buffers}})
    assert sorted(read_one(out)) == sorted(target)

    multimodal = f"{path('08-tied-and-optional', 'multimodal')}:multimodal"
    towers = {k.replace("model.", "model.language_model."): x for k, x in source.items()}
    example.both(multimodal, config, towers, target)
    towers["model.visual.patch.weight"] = draw(3)
    out, _ = example.convert(multimodal, config, {ONE: towers})
    assert sorted(read_one(out)) == sorted(target)


def test_tied_heads_that_differ_are_an_error(example, draw):
    _, target = decoder(draw, "llama", False, False, False)
    _, said = example.convert(path("08-tied-and-optional"), config_of("08-tied-and-optional"),
                              {ONE: target}, reverse=True, status=1)
    assert "lm_head.weight" in said


# ---- GPT-2 ----


def test_conv1d(example, draw):
    e = 6
    source, target = {}, {}
    source["wte.weight"] = target["embedding.weight"] = draw(9, e)
    for layer in range(2):
        a, b = f"h.{layer}.", f"blocks.{layer}."
        w, bias = draw(e, 3 * e), draw(3 * e)
        source[a + "attn.c_attn.weight"], source[a + "attn.c_attn.bias"] = w, bias
        for i, p in enumerate("qkv"):
            target[f"{b}attn.{p}.weight"] = np.array([[w[c, i * e + o] for c in range(e)] for o in range(e)], np.uint16)
            target[f"{b}attn.{p}.bias"] = bias[i * e:(i + 1) * e]
        for left, right, shape in (("attn.c_proj", "attn.out", (e, e)), ("mlp.c_fc", "mlp.in", (e, 4 * e)),
                                   ("mlp.c_proj", "mlp.out", (4 * e, e))):
            x = source[f"{a}{left}.weight"] = draw(*shape)
            target[f"{b}{right}.weight"] = x.T
            source[f"{a}{left}.bias"] = target[f"{b}{right}.bias"] = draw(shape[1])
    example.both(path("09-conv1d"), config_of("09-conv1d"), source, target)


# ---- layers of several kinds ----


def test_hybrid_layers(example, draw):
    config = config_of("10-hybrid-layers")
    e, d, heads, width = 7, 4, 3, 4
    hk, hv, dk, dv = 2, 6, 5, 4
    rv = hv // hk
    source, target = {}, {}
    for layer, kind in enumerate(config["layer_types"]):
        a, b = f"model.layers.{layer}.", f"layers.{layer}."
        if kind == "linear_attention":
            s = 2 * dk + 2 * rv * dv
            fused = source[a + "linear_attn.in_proj_qkvz.weight"] = draw(hk * s, e)
            q, k = np.empty((hk * dk, e), np.uint16), np.empty((hk * dk, e), np.uint16)
            v, z = np.empty((hv * dv, e), np.uint16), np.empty((hv * dv, e), np.uint16)
            for x in range(hk):
                for j in range(dk):
                    q[x * dk + j], k[x * dk + j] = fused[x * s + j], fused[x * s + dk + j]
                for u in range(rv):
                    for j in range(dv):
                        v[(x * rv + u) * dv + j] = fused[x * s + 2 * dk + u * dv + j]
                        z[(x * rv + u) * dv + j] = fused[x * s + 2 * dk + rv * dv + u * dv + j]
            for p, x in zip("qkvz", (q, k, v, z)):
                target[f"{b}{p}.weight"] = x

            fused = source[a + "linear_attn.in_proj_ba.weight"] = draw(hk * 2 * rv, e)
            for i, p in enumerate("ba"):
                target[f"{b}{p}.weight"] = np.stack([fused[x * 2 * rv + i * rv + u] for x in range(hk) for u in range(rv)])

            conv = source[a + "linear_attn.conv1d.weight"] = draw(2 * hk * dk + hv * dv, 1, width)
            q, k, v = np.split(conv[:, 0], [hk * dk, 2 * hk * dk])
            for p, x in zip("qkv", (q, k, v)):
                target[f"{b}{p}_conv"] = x
            source[a + "linear_attn.out_proj.weight"] = target[b + "out.weight"] = draw(e, hv * dv)
        else:
            x = source[a + "self_attn.q_proj.weight"] = draw(heads * 2 * d, e)
            for i, p in enumerate(("q", "gate")):
                target[f"{b}{p}.weight"] = np.concatenate([x[(2 * h + i) * d:(2 * h + i + 1) * d] for h in range(heads)])
            for p, shape in (("k", (d, e)), ("v", (d, e))):
                source[f"{a}self_attn.{p}_proj.weight"] = target[f"{b}{p}.weight"] = draw(*shape)
            source[a + "self_attn.o_proj.weight"] = target[b + "out.weight"] = draw(e, heads * d)
    example.both(path("10-hybrid-layers"), config, source, target)


@pytest.mark.parametrize("bias", [True, False])
def test_mamba(example, draw, bias):
    di, groups, state, heads, e, w = 12, 2, 5, 4, 7, 4
    gs = groups * state
    source, target, back = {}, {}, {}
    for layer in range(2):
        a, b = f"backbone.layers.{layer}.mixer.", f"layers.{layer}."
        x = source[a + "in_proj.weight"] = draw.float(2 * di + 2 * gs + heads, e)
        z, xs, bs, cs, dt = np.split(x, [di, 2 * di, 2 * di + gs, 2 * di + 2 * gs])
        for p, y in (("z", z), ("x", xs), ("b", bs.reshape(groups, state, e)), ("c", cs.reshape(groups, state, e)),
                     ("dt", dt)):
            target[f"{b}{p}.weight"] = y
        for wb, x in (("weight", draw.float(di + 2 * gs, 1, w)), ("bias", draw.float(di + 2 * gs)))[:1 + bias]:
            source[f"{a}conv1d.{wb}"] = x
            xs, bs, cs = np.split(x, [di, di + gs])
            rest = (w,) if wb == "weight" else ()
            target[f"{b}conv_x.{wb}"] = xs.reshape(di, *rest)
            target[f"{b}conv_b.{wb}"] = bs.reshape(groups, state, *rest)
            target[f"{b}conv_c.{wb}"] = cs.reshape(groups, state, *rest)
        # powers of two: exp and log are exact enough to come back, and their rounding is that of float64
        x = source[a + "A_log"] = np.log(np.array([1, 2, 8, 16], np.float64)).astype(np.float32)
        target[b + "A"] = -np.exp(x.astype(np.float64)).astype(np.float32)
        back[a + "A_log"] = np.log(-target[b + "A"].astype(np.float64)).astype(np.float32)
        for p in ("D", "dt_bias"):
            x = source[a + p] = draw.float(heads)
            target[b + p] = x[None]
        for p, shape in (("norm", (di,)), ("out_proj", (e, di))):
            source[f"{a}{p}.weight"] = target[f"{b}{p}.weight"] = draw.float(*shape)
    example.both(path("11-mamba"), config_of("11-mamba"), source, target, back={**source, **back})


def bf16(x):
    """The bits of values that bfloat16 holds exactly."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return (bits >> 16).astype(np.uint16)


def test_norm_offset(example, draw):
    source, target = {}, {}
    norms = ["model.norm.weight"]
    for layer in range(2):
        at = f"model.layers.{layer}."
        norms += [f"{at}{n}_layernorm.weight" for n in ("input", "post_attention")]
        norms += [f"{at}self_attn.{p}_norm.weight" for p in "qk"]
        for other in (f"{at}linear_attn.norm.weight", f"{at}mlp.up_proj.weight"):
            source[other] = target[other] = draw(7)
    for key in norms:
        x = source[key] = bf16(0.1 * draw.float(16))
        value = (x.astype(np.uint32) << 16).view(np.float32)
        target[key] = (value.astype(np.float64) + 1).astype(np.float32)
        # exact in float32: what bfloat16 would have rounded comes back
        assert np.array_equal(bf16(target[key] - np.float32(1)), x)
    example.both(path("12-norm-offset"), config_of("12-norm-offset"), source, target)


# ---- many layers, many files ----


def test_stacked_layers(example, draw):
    layers, heads, groups, d, e, f = 3, 4, 2, 6, 5, 7
    source, target = {}, {}
    names = {"q": "query", "k": "key", "v": "value", "gate": "wi_0", "up": "wi_1", "down": "wo",
             "input": "pre_attention", "post_attention": "pre_mlp"}
    for p, n in (("q", heads), ("k", groups), ("v", groups)):
        y = target[f"decoder.layers.attention.{names[p]}.kernel"] = np.empty((e, layers, n, d), np.uint16)
        for layer in range(layers):
            x = source[f"model.layers.{layer}.self_attn.{p}_proj.weight"] = draw(n * d, e)
            for h in range(n):
                for j in range(d):
                    y[:, layer, h, j] = x[h * d + j]
    y = target["decoder.layers.attention.out.kernel"] = np.empty((heads, layers, d, e), np.uint16)
    for layer in range(layers):
        x = source[f"model.layers.{layer}.self_attn.o_proj.weight"] = draw(e, heads * d)
        for h in range(heads):
            for j in range(d):
                y[h, layer, j] = x[:, h * d + j]
    for p, shape in (("gate", (f, e)), ("up", (f, e)), ("down", (e, f))):
        x = [draw(*shape) for _ in range(layers)]
        source.update({f"model.layers.{layer}.mlp.{p}_proj.weight": x[layer] for layer in range(layers)})
        target[f"decoder.layers.mlp.{names[p]}.kernel"] = np.stack([y.T for y in x], 1)
    for n in ("input", "post_attention"):
        x = [draw(e) for _ in range(layers)]
        source.update({f"model.layers.{layer}.{n}_layernorm.weight": x[layer] for layer in range(layers)})
        target[f"decoder.layers.{names[n]}_norm.scale"] = np.stack(x, 1)
    source["model.norm.weight"] = target["decoder.norm.scale"] = draw(e)
    example.both(path("13-stacked-layers"), config_of("13-stacked-layers"), source, target)


@pytest.mark.parametrize("tp, axis", [(1, 1), (2, 1), (2, 0)])
def test_consolidated(example, draw, tp, axis):
    heads, groups, d, e, f = 4, 2, 6, 8, 12
    source = {"model.embed_tokens.weight": draw(10, e), "model.norm.weight": draw(e), "lm_head.weight": draw(10, e)}
    target = {f"consolidated.{rank:02}.safetensors": {} for rank in range(tp)}

    def put(key, x, axis=None):
        for rank in range(tp):
            target[f"consolidated.{rank:02}.safetensors"][key] = x if axis is None else cut(x, tp, rank, axis)

    put("tok_embeddings.weight", source["model.embed_tokens.weight"], axis)
    put("norm.weight", source["model.norm.weight"])
    put("output.weight", source["lm_head.weight"], 0)
    for layer in range(2):
        a, b = f"model.layers.{layer}.", f"layers.{layer}."
        for p, n in (("q", heads), ("k", groups), ("v", groups)):
            x = source[f"{a}self_attn.{p}_proj.weight"] = draw(n * d, e)
            put(f"{b}attention.w{p}.weight", x if p == "v" else paired(x, d, d), 0)
        x = source[a + "self_attn.o_proj.weight"] = draw(e, heads * d)
        put(b + "attention.wo.weight", x, 1)
        for p, w, shape in (("gate", "w1", (f, e)), ("down", "w2", (e, f)), ("up", "w3", (f, e))):
            x = source[f"{a}mlp.{p}_proj.weight"] = draw(*shape)
            put(f"{b}feed_forward.{w}.weight", x, int(p == "down"))
        for left, right in (("input_layernorm", "attention_norm"), ("post_attention_layernorm", "ffn_norm")):
            x = source[f"{a}{left}.weight"] = draw(e)
            put(f"{b}{right}.weight", x)
    example.both(path("14-consolidated"), config_of("14-consolidated"), source, target, "-D", f"tp={tp}", "-D",
                 f"embedding={axis}")


def test_stage_files(example, draw):
    source = {"model.embed_tokens.weight": draw(9, 4), "model.norm.weight": draw(4), "lm_head.weight": draw(9, 4)}
    target = {"begin.safetensors": {"embedding.weight": source["model.embed_tokens.weight"]},
              "end.safetensors": {"norm.weight": source["model.norm.weight"], "head.weight": source["lm_head.weight"]}}
    for layer in range(3):
        file = target[f"mid.{layer:05}.safetensors"] = {}
        for name in ("attn.weight", "mlp.up.weight"):
            source[f"model.layers.{layer}.{name}"] = file[name] = draw(4, 4)
    example.both(path("15-stage-files"), config_of("15-stage-files"), source, target)


def gpt(draw, layers, e=8, f=12):
    source = {"model.embed_tokens.weight": draw(16, e), "model.norm.weight": draw(e), "lm_head.weight": draw(16, e)}
    for layer in range(layers):
        for p in "qkvo":
            source[f"model.layers.{layer}.self_attn.{p}_proj.weight"] = draw(e, e)
        source[f"model.layers.{layer}.mlp.up_proj.weight"] = draw(f, e)
        source[f"model.layers.{layer}.mlp.down_proj.weight"] = draw(e, f)
        source[f"model.layers.{layer}.input_layernorm.weight"] = draw(e)
    return source


def axis_of(key):
    """The dimension that tensor ranks cut, if any."""
    for names, axis in ((("q_proj", "k_proj", "v_proj", "up_proj", "embed_tokens", "lm_head"), 0),
                        (("o_proj", "down_proj"), 1)):
        if any(n in key for n in names):
            return axis
    return None


def stage_of(key, pp, each):
    parts = key.split(".")
    if parts[1] == "layers":
        return int(parts[2]) // each
    return 0 if "embed" in key else pp - 1


@pytest.mark.parametrize("pp, tp", [(1, 1), (2, 2), (4, 1), (1, 4), (2, 4)])
def test_pipeline_and_tensor(example, draw, pp, tp):
    each = 4 // pp
    source = gpt(draw, 4)
    short = {"self_attn.q_proj": "q", "self_attn.k_proj": "k", "self_attn.v_proj": "v", "self_attn.o_proj": "out",
             "mlp.up_proj": "up", "mlp.down_proj": "down", "input_layernorm": "norm", "model.embed_tokens": "embedding",
             "model.norm": "final_norm", "lm_head": "head"}
    renumbered, numbered = {}, {}
    for stage in range(pp):
        for rank in range(tp):
            one = renumbered[f"mp_rank_{rank:02}_{stage:03}.safetensors"] = {}
            two = numbered[f"stage{stage}_rank{rank}.safetensors"] = {}
            for key, x in source.items():
                if stage_of(key, pp, each) != stage:
                    continue
                y = x if axis_of(key) is None else cut(x, tp, rank, axis_of(key))
                stem = key.removesuffix(".weight")
                if stem.startswith("model.layers."):
                    _, _, layer, rest = stem.split(".", 3)
                    name = f"layers.{int(layer) - stage * each}.{short[rest]}.weight"
                else:
                    name = short[stem] + ".weight"
                one[name] = two[key] = y
    options = ["-D", f"pp={pp}", "-D", f"tp={tp}"]
    config = config_of("16-pipeline-and-tensor")
    example.both(path("16-pipeline-and-tensor"), config, source, renumbered, *options)
    example.both(path("16-pipeline-and-tensor", "blocks"), config, source, numbered, *options)


# ---- scales of blocks ----


def blocks_among_ranks(draw, f, e, tp):
    source, target = {}, {f"model.rank{r:02}.safetensors": {} for r in range(tp)}
    for layer in range(2):
        a, b = f"model.layers.{layer}.mlp.", f"layers.{layer}."
        for t, size, of in (("weight", 1, lambda *n: draw(*n, kind=np.uint8)), ("weight_scale_inv", 4, draw.float)):
            m = {p: source.setdefault(f"{a}{p}_proj.{t}", of(-(-n // size), -(-k // size)))
                 for p, n, k in (("gate", f, e), ("up", f, e), ("down", e, f))}
            for r in range(tp if len(m["gate"]) % tp == 0 else 0):
                file = target[f"model.rank{r:02}.safetensors"]
                file[f"{b}gate_up.{t}"] = np.concatenate([cut(m["gate"], tp, r), cut(m["up"], tp, r)])
                file[f"{b}down.{t}"] = cut(m["down"], tp, r, 1)
    return source, target


@pytest.mark.parametrize("tp, e", [(1, 8), (2, 8), (4, 10)])
def test_quantised_ranks(example, draw, tp, e):
    source, target = blocks_among_ranks(draw, 16, e, tp)
    example.both(path("17-quantised-ranks"), config_of("17-quantised-ranks"), source, target, "-D", f"tp={tp}")


@pytest.mark.parametrize("f, tp, code, where", [(16, 8, "E0727", "blocks of 4 x 4"),
                                                (18, 1, "E0654", "`layers.0.gate_up.weight (rank=0)`"),
                                                (12, 2, "E0727", "of `layers.0.gate_up.weight`, in blocks of 4 x 4")])
def test_quantised_ranks_cut_no_block(example, draw, f, tp, code, where):
    source, _ = blocks_among_ranks(draw, f, 8, tp)
    _, said = example.convert(path("17-quantised-ranks"), config_of("17-quantised-ranks"), {ONE: source}, "-D", f"tp={tp}",
                              status=1)
    assert code in said and where in said


# ---- the folder ----


def test_every_example_is_formatted_explained_and_tested(example):
    text = (ROOT / "tests/examples/test_examples.py").read_text()
    table = (EXAMPLES / "README.md").read_text()
    topics = sorted(p for p in EXAMPLES.iterdir() if p.is_dir())
    assert topics
    for topic in topics:
        assert (topic / "README.md").exists(), topic
        assert f"({topic.name}/)" in table, topic
        for map_ in topic.glob("*.wmap"):
            call = f'path("{topic.name}"' + (")" if map_.stem == "map" else f', "{map_.stem}")')
            assert call in text.replace("'", '"'), map_
            assert "warning" not in example.command("check", map_)
            example.command("fmt", "--check", map_)
