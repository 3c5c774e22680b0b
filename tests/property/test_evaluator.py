"""The evaluator itself, against formulas of known layouts."""

import numpy as np
import pytest

import st
from wmapref import Tensor, WmapError, load, run
from wmapref.dtypes import DTYPES, cast, from_float, to_float, widening_pairs

H, G, D, E, L = 8, 2, 4, 5, 2
CONFIG = {"num_hidden_layers": L, "num_attention_heads": H, "num_key_value_heads": G, "head_dim": D}
HEAD = """wmap 1
map m "test"
let heads = config.num_attention_heads
let g = config.num_key_value_heads
let d = config.head_dim
index layer < config.num_hidden_layers
"""


def tensor(*shape, seed=0, dtype="U16"):
    n = int(np.prod(shape))
    return Tensor(dtype, (np.arange(n) + 1000 * seed).astype("<u2").reshape(shape))


def both_ways(text, inputs, config=None, **options):
    """The output of a map, checked to come back."""
    m = load(text)
    out = run(m, inputs, config, **options)
    back = {k[1]: t for k, t in run(m, out, config, backward=True, **options).items()}
    assert back.keys() == inputs.keys()
    for k in back:
        assert back[k].same(inputs[k]), k
    return {k[1] if k[0] is None else k: t.data for k, t in out.items()}


def refused(text, inputs, kind, config=None, backward=False, **options):
    with pytest.raises(WmapError) as e:
        run(load(text), inputs, config, backward=backward, **options)
    assert e.value.kind == kind, str(e.value)


def test_rope_permutation():
    w = tensor(H * D, E)
    out = both_ways(HEAD + """
"q.{layer}" [(heads two half) e] <-> "q.{layer}.p" [(heads half two) e] where two = 2, half = d / 2""",
                    {"q.0": w, "q.1": tensor(H * D, E, seed=3)}, CONFIG)
    for h in range(H):
        for i in range(D // 2):
            for k in range(2):
                assert (out["q.0.p"][h * D + 2 * i + k] == w.data[h * D + k * D // 2 + i]).all()


def test_grouped_qkv():
    q, k, v = tensor(H * D, E), tensor(G * D, E, seed=1), tensor(G * D, E, seed=2)
    out = both_ways(HEAD + """
"q" [(g q d) ...], "k" [(g k d) ...], "v" [(g v d) ...] <-> "f" [(g (q + k + v) d) ...]
  where q = heads / g, k = 1, v = 1""", {"q": q, "k": k, "v": v}, CONFIG)
    f, s = out["f"], H // G
    for a in range(G):
        for j in range(D):
            for u in range(s):
                assert (f[(a * (s + 2) + u) * D + j] == q.data[(a * s + u) * D + j]).all()
            assert (f[(a * (s + 2) + s) * D + j] == k.data[a * D + j]).all()
            assert (f[(a * (s + 2) + s + 1) * D + j] == v.data[a * D + j]).all()


def test_stack_and_transpose():
    w = {f"x.{e}": tensor(3, 4, seed=e) for e in range(5)}
    out = both_ways('wmap 1 map m index e < 5 "x.{e}" [a b] <-> "y" [b e a]', w)
    for e in range(5):
        assert (out["y"][:, e, :] == w[f"x.{e}"].data.T).all()


def test_stack_of_keys():
    w = {f"x.{e}": tensor(3, 4, seed=e) for e in range(12)}
    out = both_ways('wmap 1 map m index e in keys "x.{e}" [a b] <-> "y" [e a b]', w)
    assert all((out["y"][e] == w[f"x.{e}"].data).all() for e in range(12))
    del w["x.7"]
    refused('wmap 1 map m index e in keys "x.{e}" [a b] <-> "y" [e a b]', w, "index")


def test_interleave():
    w = {"gate": tensor(6, 3), "up": tensor(6, 3, seed=1)}
    out = both_ways('wmap 1 map m "{p in gate|up}" [f e] <-> "w" [e (f p)]', w)
    assert (out["w"][:, 0::2] == w["gate"].data.T).all()
    assert (out["w"][:, 1::2] == w["up"].data.T).all()


def test_words_in_other_words():
    w = {"q": tensor(2), "k": tensor(2, seed=1), "a.b": tensor(3)}
    out = both_ways('wmap 1 map m "{m in q|k|a.b}" <-> "x.{m in query|key|o}"', w)
    assert (out["x.key"] == w["k"].data).all() and (out["x.o"] == w["a.b"].data).all()


def test_conv1d_split():
    w = tensor(E, 3 * 4)
    out = both_ways('wmap 1 map m "c" [i (q + k + v)] <-> "q" [q i], "k" [k i], "v" [v i] where q = 4, k = 4, v = 4',
                    {"c": w})
    for n, name in enumerate("qkv"):
        assert (out[name] == w.data[:, 4 * n:4 * n + 4].T).all()


def test_same_mapping_by_operations():
    w = tensor(E, 12)
    by_pattern = both_ways('wmap 1 map m "c" [i (q + k)] <-> "q" [q i], "k" [k i] where q = 8, k = 4', {"c": w})
    by_ops = both_ways('wmap 1 map m "c" <-> transpose(0, -1) | split(0, [8, 4]) <-> "q", "k"', {"c": w})
    assert all((by_pattern[k] == by_ops[k]).all() for k in ("q", "k"))


OPS = [
    ('"a", "b" <-> concat(1) <-> "x"', ((2, 3), (2, 3)), lambda a, b: [np.concatenate([a, b], 1)]),
    ('"a", "b" <-> concat(-1, [3, 5]) <-> "x"', ((2, 3), (2, 5)), lambda a, b: [np.concatenate([a, b], 1)]),
    ('"a", "b" <-> stack(-1) <-> "x"', ((2, 3), (2, 3)), lambda a, b: [np.stack([a, b], -1)]),
    ('"a" <-> chunk(0) <-> "x", "y", "z"', ((6, 2),), lambda a: np.split(a, 3)),
    ('"a" <-> unstack(1) <-> "x", "y"', ((3, 2, 4),), lambda a: [a[:, 0], a[:, 1]]),
    ('"a" <-> unflatten(1, [2, -1]) | transpose(1, 2) | flatten(1, 2, [3, 2]) <-> "x"', ((2, 6, 2),),
     lambda a: [a.reshape(2, 2, 3, 2).transpose(0, 2, 1, 3).reshape(2, 6, 2)]),
    ('"a" <-> permute(2, 0, 1) | unsqueeze(-1) <-> "x"', ((2, 3, 4),), lambda a: [a.transpose(2, 0, 1)[..., None]]),
    ('"a" <-> squeeze(1) | reshape([2, 6], [3, 4]) <-> "x"', ((2, 1, 6),), lambda a: [a.reshape(3, 4)]),
    ('"a" <-> pad(0, 3, 5, 7) <-> "x"', ((3, 2),), lambda a: [np.concatenate([a, np.full((2, 2), 7, a.dtype)])]),
    ('"a" <-> repeat(0, 2) | repeat_interleave(1, 3) <-> "x"', ((2, 2),),
     lambda a: [np.repeat(np.concatenate([a, a]), 3, 1)]),
]


@pytest.mark.parametrize("rule,shapes,formula", OPS)
def test_operations(rule, shapes, formula):
    tensors = {n: tensor(*s, seed=i) for i, (n, s) in enumerate(zip("abc", shapes))}
    out = both_ways("wmap 1 map m " + rule, tensors)
    for name, expected in zip("xyz", formula(*[t.data for t in tensors.values()])):
        assert out[name].shape == expected.shape and (out[name] == expected).all()


def test_slice_goes_one_way():
    w = tensor(4, 3)
    m = load('wmap 1 map m "a" -> slice(0, 1, 3) -> "x"')
    assert (run(m, {"a": w})[None, "x"].data == w.data[1:3]).all()


def test_data_enters_on_the_right():
    w = tensor(4, 3)
    m = load('wmap 1 map m "x" <- transpose(0, 1) | slice(0, 1, 3) <- "a"')
    assert (run(m, {"a": w}, backward=True)[None, "x"].data == w.data[1:3].T).all()


def test_broadcast_pick_pad():
    w = tensor(3, 2)
    out = both_ways('wmap 1 map m index r < 2 "a" [x y] <-> "b" [(x r) y] broadcast r', {"a": w})
    assert (out["b"] == np.repeat(w.data, 2, 0)).all()
    out = both_ways('wmap 1 map m index r < 3 "a" <-> "b.{r}" pick r = 2', {"a": w})
    assert list(out) == ["b.2"]
    out = both_ways('wmap 1 map m "a" [v e] <-> "b" [(v + p) e] where p = 2 pad p = 9', {"a": w})
    assert (out["b"] == np.concatenate([w.data, np.full((2, 2), 9)])).all()
    refused('wmap 1 map m index r < 2 "a" [x] <-> "b" [x r] broadcast r', {"b": tensor(3, 2)}, "replica",
            backward=True)
    refused('wmap 1 map m "a" [v] <-> "b" [(v + p)] where p = 1 pad p = 9', {"b": tensor(3)}, "pad", backward=True,
            strict_pad=True)


def test_broadcast_of_one_product():
    """q has `rep` on both sides, k is broadcast over it."""
    q, k = tensor(6, 3), tensor(2, 3, seed=1)
    out = both_ways('wmap 1 map m "q" [(rep x) e], "k" [y e] <-> "f" [rep (x + y) e] where rep = 3, x = 2 broadcast rep',
                    {"q": q, "k": k})
    for r in range(3):
        assert (out["f"][r] == np.concatenate([q.data[2 * r:2 * r + 2], k.data])).all()


def test_fill():
    m = load('wmap 1 map m "a" <-> "b" fill -1.5 bf16 <-> "c" [n 1 k] where n = 3, k = 2')
    out = run(m, {"a": tensor(2)})
    assert out[None, "c"].dtype == "BF16" and (out[None, "c"].data == 0xbfc0).all()
    assert list(run(m, out, backward=True)) == [(None, "a")]
    out[None, "c"].data[1, 0, 1] = 0
    with pytest.raises(WmapError):
        run(m, out, backward=True)


def test_weaker_rules():
    w = {"x.0.w": tensor(2, 3), "x.1.w": tensor(2, 3, seed=1), "x.2.w": tensor(2, 3, seed=2), "x.0.b": tensor(4)}
    out = both_ways('wmap 1 map m index l < 2 "x.{l}.w" [a b] <-> "y.{l}" [b a] "x.{r*}" <-> "z.{r*}"', w)
    assert sorted(out) == ["y.0", "y.1", "z.0.b", "z.2.w"]


def test_conditions_per_index():
    config = {"n": 4, "kinds": ["a", "b", "a", "b"]}
    w = {f"x.{i}": tensor(2, 3, seed=i) for i in range(4)}
    out = both_ways("""wmap 1 map m index i < config.n
if config.kinds[i] == "a" { "x.{i}" [a b] <-> "y.{i}" [b a] } else { "x.{i}" <-> "z.{i}" }""", w, config)
    assert sorted(out) == ["y.0", "y.2", "z.1", "z.3"]


def test_composite_and_bound():
    w = {f"x.{i}": tensor(2, seed=i) for i in range(5)}
    out = both_ways("""wmap 1 map m index s < 2 index l < 3 index i < 5 = (s l)
"x.{i}" <-> "y.{s}.{l}" """, w)
    assert sorted(out) == ["y.0.0", "y.0.1", "y.0.2", "y.1.0", "y.1.1"]
    assert (out["y.1.1"] == w["x.4"].data).all()


def test_aliases():
    text = """wmap 1 map m source { alias "head" = "embed" when config.tied } "embed" <-> "e" "head" <-> "h" """
    w = tensor(3)
    out = run(load(text), {"embed": w}, {"tied": True})
    assert out[None, "h"].same(w)
    assert list(run(load(text), out, {"tied": True}, backward=True)) == [(None, "embed")]
    refused(text, {"embed": w}, "missing", {"tied": False})
    refused(text, {"embed": w, "head": tensor(3, seed=1)}, "alias", {"tied": True})


def test_optional():
    text = 'wmap 1 map m index l < 3 "q.{l}" [a], "k.{l}" [b] <-> "f.{l}" [(a + b)] where a = 2 optional (l != 1)'
    w = {"q.1": tensor(2), "k.1": tensor(3), "q.2": tensor(2), "k.2": tensor(3)}
    assert sorted(both_ways(text, w)) == ["f.1", "f.2"]
    refused(text, {"q.0": tensor(2), **w}, "missing")
    refused(text, {k: w[k] for k in ("q.2", "k.2")}, "missing")


def test_files():
    text = """wmap 1 map m index l < 3
target { file "mid.{l:03}.safetensors" holds "mid/{l}/{name*}" as "{name}"  file "rest.safetensors" holds "{k*}" }
"x.{l}.{r*}" <-> "mid/{l}/{r*}"  "{r*}" <-> "{r*}" """
    w = {"x.0.a": tensor(2), "x.2.b": tensor(3), "z": tensor(1)}
    assert sorted(both_ways(text, w)) == [("mid.000.safetensors", "a"), ("mid.002.safetensors", "b"),
                                          ("rest.safetensors", "z")]


def test_ranks_by_composite():
    """Grouped attention over more ranks than key heads, tiled: checked against the index formula."""
    tp, m = 4, 2
    text = HEAD + f"""param tp = {tp} "t" param m = {m} "m"
index rep < m  index slot < tp / m  index rank = (rep slot)
target {{ file "r{{rank}}.safetensors" }}
"q" [(slot l rep r d) e] <-> "q" [(l r d) e] where l = g * m / tp, r = heads / (g * m)
"k" [(slot l d) e] <-> "k" [(l d) e] where l = g * m / tp broadcast rep
"""
    q, k = tensor(H * D, E), tensor(G * D, E, seed=1)
    out = both_ways(text, {"q": q, "k": k}, CONFIG)
    qh, kh = q.data.reshape(H, D, E), k.data.reshape(G, D, E)
    kv, per = G * m // tp, (H // tp) // (G * m // tp)
    for rank in range(tp):
        local = out[f"r{rank}.safetensors", "q"].reshape(-1, D, E)
        for j in range(H // tp):
            t = rank * kv + j // per
            assert (local[j] == qh[(t % G) * (H // G) + (t // G) * per + j % per]).all()
        assert (out[f"r{rank}.safetensors", "k"].reshape(-1, D, E)[0] == kh[rank * kv % G]).all()


SHARDS = """wmap 1 map m param tp = 4 "degree" index rank < tp
target { file "r{rank}.safetensors" }
"{x*}" <-> "{x*}"
shard rank on target {
  "qkv" split 0 parts [8, 4 groups 2, 4 groups 2]
  "up" split 1 parts 2
  "vocab" split 0 size 6 pad align(6, tp) fill 9
  "odd" split 0 uneven
  "own" split 0 width rank < 2 ? rank + 1 : 1 - floor_div(rank, 3)
  "two" split 0 parts [6 width 3 - rank, 4 groups 2]
  "one.{k}" at 2
  "{rest*}" replicate when tp > 4
  "{rest*}" split 0 when rest == "norm" && tp == 3
  "{rest*}" replicate
}
index k < 3
"""


def test_shards():
    w = {"qkv": tensor(16, 2), "up": tensor(2, 16), "vocab": tensor(6, 2), "odd": tensor(5), "one.1": tensor(2),
         "own": tensor(4), "two": tensor(10), "norm": tensor(3)}
    out = both_ways(SHARDS, w)
    r3 = {k[1]: v for k, v in out.items() if k[0] == "r3.safetensors"}
    x = w["qkv"].data
    assert (r3["qkv"] == np.concatenate([x[6:8], x[10:12], x[14:16]])).all()
    assert (r3["up"] == w["up"].data[:, [6, 7, 14, 15]]).all()
    assert (r3["vocab"] == 9).all() and r3["vocab"].shape == (2, 2)
    own = [out[f"r{r}.safetensors", "own"] for r in range(4)]
    assert [len(x) for x in own] == [1, 2, 1, 0] and (np.concatenate(own) == w["own"].data).all()
    x = w["two"].data
    assert (out["r1.safetensors", "two"] == np.concatenate([x[3:5], x[6:8]])).all() and (r3["two"] == x[8:10]).all()
    assert r3["odd"].shape == (0,) and (out["r2.safetensors", "odd"] == 4).all()
    assert [k for k in out if k[1] == "one.1"] == [("r2.safetensors", "one.1")]


def test_resharding_is_composition():
    text = SHARDS.replace("map m", "map m ") + "map four_to_two = ~m(tp = 4) >> m(tp = 2)\n"
    w = {"qkv": tensor(16, 2), "up": tensor(2, 16), "vocab": tensor(6, 2), "odd": tensor(5), "norm": tensor(3)}
    m = load(text.replace('"one.{k}" at 2', ""))
    four, two = run(m, w, params={"tp": 4}, expression="m"), run(m, w, params={"tp": 2}, expression="m")
    out = run(m, four, expression="four_to_two")
    assert out.keys() == two.keys() and all(out[k].same(two[k]) for k in out)
    back = run(m, two, expression="~four_to_two")
    assert back.keys() == four.keys() and all(back[k].same(four[k]) for k in back)


def test_import_use_override():
    base = 'wmap 1 map base let n = 2 index l < n "a.{l}" <-> "b.{l}" "c" <-> "d"'
    text = 'wmap 1 map m import "base.wmap" as base use base override "c" [x y] <-> "d" [y x] "n" [k] <-> "nn" [k] where k = base.n'
    m = load(text, {"base.wmap": base}.get)
    out = run(m, {"a.0": tensor(1), "a.1": tensor(1), "c": tensor(2, 3), "n": tensor(2)})
    assert out[None, "d"].shape == (3, 2)


def test_a_bound_counts_where_its_index_stands():
    """The files of `c` hold none of the keys of `k`, whose rule has all of `a` and `b`."""
    text = """wmap 1 map m index a < 2 index b < 2 index c < 3 = (a b)
target { file "c{c}" holds "t.{c}" file "rest" holds "{rest*}" }
"t.{c}" <-> "t.{c}"
"k.{a}" [] <-> "k.{a}.{b}" [] broadcast b"""
    out = both_ways(text, {"t.0": tensor(1), "t.1": tensor(1), "t.2": tensor(1), "k.0": tensor(), "k.1": tensor()})
    assert len(out) == 3 + 4


def test_coverage():
    refused('wmap 1 map m "a" <-> "b"', {"a": tensor(1), "x": tensor(1)}, "unmapped")
    refused('wmap 1 map m "a" <-> "b"', {}, "missing")
    refused('wmap 1 map m "a" [x 1] <-> "b" [1 x]', {"a": tensor(3, 2)}, "shape")
    run(load('wmap 1 map m "a" <-> "b" "x" <- "y"'), {"a": tensor(1), "x": tensor(1)})


VALUES = [("7 / 2 * 2", None), ("8 / 2 / 2", 2), ("1 + 2 * 3", 7), ("config.x ?? 3", 3), ("-2 + 5", 3),
          ("config.a.b[1]", 6), ("has(config.a) && !has(config.z)", True), ("align(50, 8)", 56), ("7 % 4", 3),
          ("9223372036854775807 + 1", None), ("len([1, 2])", 2), ("min(4, 2, 3)", 2), ("1 in [1, 2]", True),
          ("3 in 1..3", False), ("1 == 1.0", True), ("true == 1", False), ("1 < 2 ? 4 : 5", 4), ("1_000", 1000),
          ("floor_div(7, 2) + ceil_div(7, 2)", 7), ("sqrt(16)", 4.0), ("config.z + 1", None), ("8.0 / 3 > 2", True)]


@pytest.mark.parametrize("text,value", VALUES)
def test_expressions(text, value):
    from wmapref.names import Env, Scope
    from wmapref.values import evaluate
    m = load(f"wmap 1 map m let v = {text}")
    env = Env(m, {"a": {"b": [5, 6]}}, {}, None, {})
    if value is None:
        with pytest.raises(WmapError):
            evaluate(("name", "v"), Scope(env))
    else:
        got = evaluate(("name", "v"), Scope(env))
        assert got == value and type(got) is type(value)


def test_casts():
    f32 = Tensor("F32", np.array([1.0, 1.00390625, 1.01171875, 3.4e38, -0.0, 1e-40], "<f4").view("<u4"))
    assert cast(f32, "BF16").data.tolist() == [0x3f80, 0x3f80, 0x3f82, 0x7f80, 0x8000, 0x0001]
    assert cast(f32, "F16").data.tolist() == [0x3c00, 0x3c04, 0x3c0c, 0x7c00, 0x8000, 0]
    x = from_float(np.array([448, 464, 465, -1e9, 0.001953125]), "F8_E4M3")
    assert x.data.tolist() == [0x7e, 0x7e, 0x7e, 0xfe, 0x01]
    for narrow, wide in widening_pairs():
        bits = DTYPES[narrow][0]
        t = Tensor(narrow, np.arange(1 << bits, dtype=f"<u{max(1, bits // 8)}"))
        t = Tensor(narrow, t.data[~np.isnan(to_float(t))])
        assert cast(cast(t, wide), narrow).same(t), (narrow, wide)


def test_cast_must_survive():
    text = 'wmap 1 map m "a" <-> cast(bf16, f32) <-> "b"'
    w = {"a": Tensor("BF16", np.arange(5, dtype="<u2"))}
    assert run(load(text), w)[None, "b"].dtype == "F32"
    both_ways(text, w)
    refused(text, {"b": Tensor("F32", np.array([0.1], "<f4").view("<u4"))}, "lossy", backward=True)


def test_own_safetensors(tmp_path):
    state = {(None, "a"): tensor(2, 3), (None, "b"): Tensor("F4", np.arange(8, dtype=np.uint8).reshape(2, 4)),
             (None, "c"): Tensor("F6_E2M3", np.arange(8, dtype=np.uint8)), (None, "d"): tensor(0, 3),
             (None, "e"): tensor()}
    st.write(tmp_path, state)
    back = st.read(tmp_path, False)
    assert back.keys() == state.keys() and all(back[k].same(state[k]) for k in back)
