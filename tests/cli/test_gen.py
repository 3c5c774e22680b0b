"""gen: every family, its settings, and values that tell where they stand."""

import json
import re
import struct

import pytest

from conftest import read_safetensors

FAMILIES = ("llama qwen2 qwen3 qwen3_moe mixtral olmo2 olmo3 olmoe gpt2 bert gpt_neox falcon phi phi3 "
            "gemma gemma2 gemma3_text deepseek_v3 gpt_oss many").split()


def tensors(wmap, name):
    out = {}
    for path in sorted(wmap.path(name).glob("*.safetensors")):
        out.update(read_safetensors(path))
    return out


def config(wmap, name):
    return json.loads((wmap.path(name) / "config.json").read_text())


def test_list(wmap):
    assert [line.split()[0] for line in wmap.ok("gen", "--families").out.splitlines()] == FAMILIES
    got = wmap.ok("gen", "--families", "--json").json()
    assert [f["name"] for f in got["families"]] == FAMILIES
    one = wmap.ok("gen", "--families", "--family", "llama").out
    assert "num_key_value_heads" in one and "1b" in one


@pytest.mark.parametrize("family", FAMILIES)
def test_family(wmap, family):
    wmap.ok("gen", "--family", family, "-o", "m")
    have = tensors(wmap, "m")
    about = config(wmap, "m")
    assert about["model_type"] == family and about["architectures"][0][0].isupper()
    assert len({data for _, _, data in have.values()}) == len(have)  # no two are equal
    for name, (dtype, shape, data) in have.items():
        assert data and all(n > 0 for n in shape)
        size = {"F32": 4, "BF16": 2, "F16": 2, "I64": 8}[dtype]
        items = [data[i:i + size] for i in range(0, len(data), size)]
        block = {"BF16": 4096, "F16": 2 ** 15}.get(dtype, 2 ** 28)
        assert all(a != b or (i + 1) % block == 0
                   for i, (a, b) in enumerate(zip(items, items[1:]))), name  # neighbours in a row
        if len(shape) == 2:
            row = shape[1]
            same = sum(a == b for a, b in zip(items, items[row:]))
            assert same <= len(items) / 50 + 2, name  # neighbours in a column
    # the same again, to the byte, whatever the threads
    wmap.ok("gen", "--family", family, "-o", "n", "--threads", "1", "--max-memory", "1MiB")
    assert tensors(wmap, "n") == have


@pytest.mark.parametrize("dtype, code, span", [("f32", "<f", (-14, 2)), ("f16", "<e", (-14, 2)),
                                               ("bf16", None, (-14, 2)), ("f64", "<d", (-14, 2))])
def test_floats_are_tame(wmap, dtype, code, span):
    wmap.ok("gen", "--family", "llama", "-o", "m", "-D", f"dtype={dtype}")
    for _, _, data in tensors(wmap, "m").values():
        if code:
            values = [v for (v,) in struct.iter_unpack(code, data)]
        else:
            values = [struct.unpack("<f", b"\0\0" + data[i:i + 2])[0] for i in range(0, len(data), 2)]
        assert all(2.0 ** span[0] <= abs(v) < 2.0 ** span[1] for v in values)
        assert min(values) < 0 < max(values)


def test_settings(wmap):
    gen = ["gen", "--family", "llama", "-o"]
    wmap.ok(*gen, "a", "-D", "tie_word_embeddings=true", "-D", "attention_bias=true", "-D",
            "num_hidden_layers=3", "-D", "head_dim=12", "-D", "rope_theta=5e5", "-D", "dtype=float16")
    have, about = tensors(wmap, "a"), config(wmap, "a")
    assert "lm_head.weight" not in have
    assert have["model.layers.2.self_attn.k_proj.bias"][:2] == ("F16", [24])
    assert have["model.layers.2.self_attn.q_proj.weight"][1] == [96, 64]
    assert about["head_dim"] == 12 and about["rope_theta"] == 5e5 and about["torch_dtype"] == "float16"
    assert about["tie_word_embeddings"] is True
    wmap.ok(*gen, "b", "-D", "seed=1")
    wmap.ok(*gen, "c")
    b, c = tensors(wmap, "b"), tensors(wmap, "c")
    assert b.keys() == c.keys() and all(b[k][2] != c[k][2] for k in b)


def test_presets(wmap):
    wmap.ok("gen", "--family", "llama", "-o", "m", "-D", "hidden_size=64", "-D", "preset=1b", "-D",
            "num_hidden_layers=1", "-D", "vocab_size=100", "-D", "intermediate_size=32")
    about = config(wmap, "m")
    # what is given stands on the preset, wherever it is written
    assert about["hidden_size"] == 64 and about["num_attention_heads"] == 32
    assert about["num_hidden_layers"] == 1


def test_shards(wmap):
    wmap.ok("gen", "--family", "llama", "-o", "m", "--max-shard-size", "60kB")
    files = sorted(p.name for p in wmap.path("m").glob("*.safetensors"))
    n = len(files)
    assert n > 2 and files == [f"model-{k + 1:05}-of-{n:05}.safetensors" for k in range(n)]
    index = json.loads((wmap.path("m") / "model.safetensors.index.json").read_text())
    assert sorted(set(index["weight_map"].values())) == files
    for name, file in index["weight_map"].items():
        assert name in read_safetensors(wmap.path("m") / file)
    assert index["metadata"]["total_size"] == sum(len(t[2]) for t in tensors(wmap, "m").values())
    assert wmap.ok("inspect", "m", "--json").json()["ntensor"] == len(index["weight_map"])


@pytest.mark.parametrize("args, part", [
    (["--family", "lama"], "did you mean llama?"),
    (["--family", "xyzzy"], "--families"),
    (["--family", "llama", "-D", "hidden_sise=3"], "did you mean hidden_size?"),
    (["--family", "llama", "-D", "hidden_size"], "NAME=VALUE"),
    (["--family", "llama", "-D", "=1"], "NAME=VALUE"),
    (["--family", "llama", "-D", "hidden_size=big"], "integer"),
    (["--family", "llama", "-D", "tie_word_embeddings=maybe"], "true or false"),
    (["--family", "llama", "-D", "hidden_size=63"], "63"),
    (["--family", "llama", "-D", "vocab_size=0"], "model.embed_tokens.weight"),
    (["--family", "llama", "-D", "vocab_size=9223372036854775807"], "model.embed_tokens.weight"),
    (["--family", "llama", "-D", "num_hidden_layers=999999999"], "tensors"),
    (["--family", "llama", "-D", "preset=13b"], "13b"),
    (["--family", "llama", "-D", "dtype=f4096"], "f4096"),
    (["--family", "llama", "-D", "num_attention_heads=0"], ""),
    (["--family", "deepseek_v3", "-D", "num_attention_heads=4000000000", "-D",
      "qk_nope_head_dim=4000000000"], "overflow"),
])
def test_refused(wmap, args, part):
    r = wmap("gen", *args, "-o", "m")
    assert r.status == 2 and r.out == "" and part in r.err.splitlines()[0], r
    assert not list(wmap.cwd.iterdir())


def test_layers_of_deepseek(wmap):
    wmap.ok("gen", "--family", "deepseek_v3", "-o", "m", "-D", "num_nextn_predict_layers=1")
    have = tensors(wmap, "m")
    experts = {int(re.search(r"layers\.(\d+)\.", k)[1]) for k in have if "experts" in k}
    dense = {int(re.search(r"layers\.(\d+)\.", k)[1]) for k in have if "mlp.gate_proj" in k}
    assert dense == {0} and experts == {1, 2, 3}
    assert have["model.layers.1.mlp.gate.e_score_correction_bias"][0] == "F32"
    assert "model.layers.3.eh_proj.weight" in have and "model.layers.2.eh_proj.weight" not in have
    wmap.ok("gen", "--family", "deepseek_v3", "-o", "n", "-D", "q_lora_rank=null")
    have = tensors(wmap, "n")
    assert "model.layers.0.self_attn.q_proj.weight" in have
    assert "q_lora_rank" not in config(wmap, "n")


def test_falcon_layouts(wmap):
    for name, extra, rows in [("a", [], 80), ("b", ["-D", "multi_query=false"], 192),
                              ("c", ["-D", "new_decoder_architecture=true"], 96)]:
        wmap.ok("gen", "--family", "falcon", "-o", name, *extra)
        have = tensors(wmap, name)
        assert have["transformer.h.0.self_attention.query_key_value.weight"][1] == [rows, 64]
        assert ("transformer.h.0.ln_attn.weight" in have) == (name == "c")


def test_sparse(wmap):
    """Headers as ever, and holes."""
    wmap.ok("gen", "--family", "llama", "-o", "m")
    wmap.ok("gen", "--family", "llama", "-o", "n", "--sparse")
    a, b = tensors(wmap, "m"), tensors(wmap, "n")
    assert [(n, d, s) for n, (d, s, _) in a.items()] == [(n, d, s) for n, (d, s, _) in b.items()]
    assert all(not data.strip(b"\0") for _, _, data in b.values())
    wmap.ok("gen", "--family", "llama", "-o", "big", "--sparse", "-D", "vocab_size=100000000")
    files = [p.stat() for p in wmap.path("big").glob("*.safetensors")]
    assert sum(f.st_size for f in files) > 25e9 and sum(512 * f.st_blocks for f in files) < 1e6


def test_scales(wmap):
    wmap.ok("gen", "--family", "deepseek_v3", "-o", "m", "-D", "weight_block_size=24")
    have = tensors(wmap, "m")
    assert have["model.layers.1.mlp.experts.3.up_proj.weight_scale_inv"][:2] == ("F32", [2, 3])
    assert have["model.layers.1.mlp.experts.3.down_proj.weight_scale_inv"][1] == [3, 2]
    assert "model.layers.0.mlp.gate_proj.weight_scale_inv" not in have
