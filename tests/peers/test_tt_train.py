"""tt-train's msgpack files, against its formulas in numpy and msgpack's own packer.

tt-train runs on its own hardware only, so its exporters can not be run here. What they do is written
down anew (`to_tt_llama`, `to_tt_gpt2`), and what they get wrong has a test that says why."""

import json
import struct

import msgpack
import numpy as np
import pytest
import torch

from conftest import assert_same, load, save
from models import deal, make, sizes

# ---- files, as tt-train writes them, and as Python rewrites them ----

ADAM = "adamw/exp_avg/llama/fc/weight/value"


def integral(x):
    """msgpack-c 4.1.2 to 6: a float that is an integer is packed as one."""
    return int(x) if x == int(x) and abs(x) < 2**53 else x


SPELLINGS = {
    "float32": lambda v: [float(x) for x in v],
    "integers where integral": lambda v: [integral(float(x)) for x in v],
    "float64": lambda v: [Double(float(x)) for x in v],
    "all": lambda v: [[float, Double, integral][i % 3](float(x)) for i, x in enumerate(v)],
}


class Double(float):
    """Packed in eight bytes."""


def pack(value):
    if isinstance(value, list):
        head = msgpack.Packer().pack_array_header(len(value))
        return head + b"".join(map(pack, value))
    if isinstance(value, dict):
        head = msgpack.Packer().pack_map_header(len(value))
        return head + b"".join(pack(k) + pack(v) for k, v in value.items())
    return msgpack.packb(value, use_single_float=not isinstance(value, Double), unicode_errors="surrogateescape")


def legacy_shape(shape):
    """ttnn::Shape of 2024, with rows and columns padded to tiles: rank, dimensions, padding."""
    padded = [*shape[:-2], *(-(-n // 32) * 32 for n in shape[-2:])]
    pads = [(0, p - n) for p, n in zip(padded, shape)] + [(0, 0)] * 4
    return (
        struct.pack("<Q8I", 4, *padded, 0, 0, 0, 0)
        + struct.pack("<Q", 4)
        + b"".join(struct.pack("<QQ", *p) for p in pads)
        + struct.pack("<Q", 0)
    )


def entries(name, array, spell, shape="new"):
    as_str = legacy_shape(array.shape).decode("utf-8", "surrogateescape")
    shapes = {"new": [12, struct.pack("<4I", *array.shape)], "old": [7, as_str]}
    yield f"{name}/shape", shapes[shape]
    yield f"{name}/data_type", [2, 0]
    yield f"{name}/layout", [2, 1]
    yield f"{name}/storage_type", [2, 1]
    yield f"{name}/data", [10, spell(array.reshape(-1))]


def tt_state(tensors, spelling="integers where integral", shape="new", training=False):
    """What tt-train's map holds, in an order that is nobody's."""
    spell = SPELLINGS[spelling]
    out = {}
    for name, array in tensors.items():
        out.update(entries(name, array, spell, shape))
        parameter = name.removesuffix("/value")
        out[f"{parameter}/requires_grads"] = [0, True]
        out[f"{parameter}/has_grads"] = [0, training]
        if training:
            out.update(entries(f"{parameter}/grad", array * 0.25, spell, shape))
    if training:
        out.update(entries(ADAM, np.full((1, 1, 2, 3), 0.125, np.float32), spell, shape))
        out["adamw/steps"] = [6, 5000]
        out["scheduler/name"] = [7, "warm up \u00e9"]
        out["scheduler/lr"] = [3, 0.1]
    keys = sorted(out, key=lambda k: hash_of(k))
    return {k: out[k] for k in keys}


def hash_of(key):
    return sum(ord(c) * 31**i for i, c in enumerate(key)) % 1000003


def read_tt(path):
    """{key: (variant, value)} by msgpack's own reader."""
    state = msgpack.unpackb(path.read_bytes(), raw=True)
    return {k.decode(): (v[0], v[1]) for k, v in state.items()}


def weights(path):
    """The values of all parameters, in the shapes that the file says."""
    state = read_tt(path)
    out = {}
    for key, (variant, value) in state.items():
        if not key.endswith("/value/data"):
            continue
        assert variant == 10
        shape = struct.unpack("<4I", state[key.removesuffix("data") + "shape"][1])
        out[key.removesuffix("/data")] = np.array(value, np.float32).reshape(shape)
    return out


def assert_equal(got, want):
    assert sorted(got) == sorted(want)
    for key, array in want.items():
        assert got[key].shape == array.shape, key
        assert got[key].tobytes() == array.tobytes(), key


# ---- the formulas ----


def numpy_of(tensors):
    return {k: v.float().numpy() for k, v in tensors.items()}


def four(array):
    return np.ascontiguousarray(array.reshape((1,) * (4 - array.ndim) + array.shape))


def interleave(rows, heads):
    """Row 2i + k of a head is its row k * d/2 + i."""
    d = rows.shape[0] // heads
    order = [h * d + k * (d // 2) + i for h in range(heads) for i in range(d // 2) for k in (0, 1)]
    return rows[order]


def padded(array, rows):
    out = np.zeros((rows, array.shape[1]), np.float32)
    out[: array.shape[0]] = array
    return out


def up(n, multiple):
    return -(-n // multiple) * multiple


def to_tt_llama(tensors, config, meta_style=False, tied=None, tok=32, fc=1):
    hf = numpy_of(tensors)
    tied = config.tie_word_embeddings if tied is None else tied
    embedding = hf["model.embed_tokens.weight"]
    vocab = config.vocab_size
    out = {"llama/llama/ln_fc/gamma/value": hf["model.norm.weight"]}
    out["llama/llama/fc/weight/value"] = padded(hf.get("lm_head.weight", embedding), up(vocab, fc))
    if not tied:
        out["llama/llama/tok_emb/weight/value"] = padded(embedding, up(vocab, tok))
    turn = (lambda a, h: a) if meta_style else interleave
    for layer in range(config.num_hidden_layers):
        block = f"llama/llama/llama_block_{layer}"
        for key, name in {
            "input_layernorm.weight": "attention_norm/gamma",
            "post_attention_layernorm.weight": "mlp_norm/gamma",
            **{f"self_attn.o_proj.{w}": f"attention/out_linear/{w}" for w in ("weight", "bias")},
            **{
                f"mlp.{p}_proj.{w}": f"mlp/{n}/{w}"
                for p, n in {"gate": "w1", "down": "w2", "up": "w3"}.items()
                for w in ("weight", "bias")
            },
        }.items():
            if f"model.layers.{layer}.{key}" in hf:
                out[f"{block}/{name}/value"] = hf[f"model.layers.{layer}.{key}"]
        for w in ("weight", "bias"):
            q, k, v = (hf.get(f"model.layers.{layer}.self_attn.{p}_proj.{w}") for p in "qkv")
            if q is None:
                continue
            out[f"{block}/attention/q_linear/{w}/value"] = turn(q, config.num_attention_heads)
            k = turn(k, config.num_key_value_heads)
            out[f"{block}/attention/kv_linear/{w}/value"] = np.concatenate([k, v])
    return {k: four(v) for k, v in out.items()}


GPT_MATRICES = {
    "attn.c_attn": "attention/qkv_linear",
    "attn.c_proj": "attention/out_linear",
    "mlp.c_fc": "mlp/fc1",
    "mlp.c_proj": "mlp/fc2",
}


def to_tt_gpt2(tensors, config, tied=None, tok=32, fc=1):
    hf = numpy_of(tensors)
    tied = config.tie_word_embeddings if tied is None else tied
    wte = hf["transformer.wte.weight"]
    out = {
        "fc/weight": padded(hf.get("lm_head.weight", wte), up(config.vocab_size, fc)),
        "pos_emb/weight": hf["transformer.wpe.weight"],
        "ln_fc/gamma": hf["transformer.ln_f.weight"],
        "ln_fc/beta": hf["transformer.ln_f.bias"],
    }
    if not tied:
        out["tok_emb/weight"] = padded(wte, up(config.vocab_size, tok))
    for layer in range(config.n_layer):
        h, block = f"transformer.h.{layer}", f"gpt_block_{layer}"
        for a, b in GPT_MATRICES.items():
            out[f"{block}/{b}/weight"] = hf[f"{h}.{a}.weight"].T
            out[f"{block}/{b}/bias"] = hf[f"{h}.{a}.bias"]
        for n in (1, 2):
            out[f"{block}/ln{n}/gamma"] = hf[f"{h}.ln_{n}.weight"]
            out[f"{block}/ln{n}/beta"] = hf[f"{h}.ln_{n}.bias"]
    return {f"transformer/transformer/{k}/value": four(np.ascontiguousarray(v)) for k, v in out.items()}


# ---- models ----

BIAS = {"attention_bias": True, "mlp_bias": True}
LLAMAS = {
    "grouped": {},
    "grouped, bf16": {"dtype": "bf16"},
    "grouped, f16, sharded": {"dtype": "f16", "files": 3},
    "grouped, tied": {"tie_word_embeddings": True},
    "multi-query, bf16, tied, sharded": {
        "heads": "multi-query",
        "dtype": "bf16",
        "files": 3,
        "tie_word_embeddings": True,
    },
    "multi-head, biases, bf16": {"heads": "multi-head", "dtype": "bf16", **BIAS},
    "wide heads": {"head_dim": 10},
    "vocabulary of a multiple": {"vocab_size": 64},
}
GPT2 = {"n_embd": 24, "n_layer": 3, "n_head": 4, "n_positions": 16, "vocab_size": 57}
GPT2 |= {"bos_token_id": 1, "eos_token_id": 2}
GPT2S = {
    "f32": {},
    "bf16": {"dtype": "bf16"},
    "untied": {"tie_word_embeddings": False},
    "bf16, sharded": {"dtype": "bf16", "files": 3},
}


class Model:
    def __init__(self, directory, kind, dtype="f32", files=1, **config):
        self.directory = directory
        self.map = {"llama": "tt_train/llama", "gpt2": "tt_train/gpt2"}[kind]
        architecture = {"llama": "LlamaForCausalLM", "gpt2": "GPT2LMHeadModel"}[kind]
        self.config = make(directory, architecture, dtype, files, **config).config
        self.tensors = load(directory)
        self.to_tt = {"llama": to_tt_llama, "gpt2": to_tt_gpt2}[kind]
        self.options = ["--config", directory / "config.json"]

    def tt(self, **how):
        return self.to_tt(self.tensors, self.config, **how)


def params(variants):
    return [pytest.param(v, id=k) for k, v in variants.items()]


@pytest.fixture(params=params(LLAMAS))
def llama(request, tmp_path):
    return Model(tmp_path / "model", "llama", **sizes(**{"vocab_size": 57, **request.param}))


@pytest.fixture(params=params(GPT2S))
def gpt2(request, tmp_path):
    return Model(tmp_path / "model", "gpt2", **GPT2, **request.param)


def small(tmp_path, **more):
    return Model(tmp_path / "model", "llama", **sizes(**{"vocab_size": 57, **more}))


def there_and_back(wmap, tmp_path, model, want, *options):
    """Without a template: values, shapes, what tt-train's reader asks for; verified, and back."""
    out = tmp_path / "tt" / "out.msgpack"
    out.parent.mkdir()
    wmap("run", model.map, "-i", model.directory, "-o", out, *options)
    assert_equal(weights(out), want)
    state = read_tt(out)
    for name in want:
        parameter = name.removesuffix("/value")
        assert state[f"{name}/data_type"] == state[f"{name}/layout"][:1] + (0,)
        assert state[f"{name}/layout"] == (2, 1) and state[f"{name}/storage_type"] == (2, 1)
        assert state[f"{parameter}/requires_grads"] == (0, True)
        assert state[f"{parameter}/has_grads"] == (0, False)
    assert len(state) == 7 * len(want)
    said = wmap("verify", model.map, "-i", model.directory, "-o", out, *options).stdout
    assert "backward: " in said and "not checked" not in said

    back(wmap, tmp_path / "again", model, out, *options)
    return out


def back(wmap, again, model, tt, *options):
    wmap("run", "--reverse", model.map, "-i", tt, "-o", again, *model.options, *options)
    assert_same(load(again), model.tensors)
    one = model.directory / "model.safetensors"
    if one.exists():
        assert (again / "model.safetensors").read_bytes() == one.read_bytes()


# ---- forwards and back ----


@pytest.mark.parametrize("meta_style", [False, True])
def test_llama(wmap, tmp_path, llama, meta_style):
    want = llama.tt(meta_style=meta_style)
    there_and_back(wmap, tmp_path, llama, want, "-D", f"meta_style={json.dumps(meta_style)}")


def test_gpt2(wmap, tmp_path, gpt2):
    there_and_back(wmap, tmp_path, gpt2, gpt2.tt())


def test_gpt2_with_bare_keys(wmap, tmp_path):
    """As openai-community/gpt2 has them; the exporter is fixed to that one model, with 12 blocks."""
    model = Model(tmp_path / "model", "gpt2", **GPT2)
    want = model.tt()
    model.tensors = {k.removeprefix("transformer."): v for k, v in model.tensors.items()}
    save(model.tensors, model.directory / "model.safetensors")
    there_and_back(wmap, tmp_path, model, want, "-D", "bare=true")


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("weight_tying", ["enabled", "disabled"])
def test_tying_is_that_of_tt_train(wmap, tmp_path, kind, weight_tying):
    """A model that is tied for Hugging Face may be two matrices for tt-train, or one."""
    config = sizes(vocab_size=57, tie_word_embeddings=True) if kind == "llama" else GPT2
    model = Model(tmp_path / "model", kind, **config)
    want = model.tt(tied=weight_tying == "enabled")
    assert any("tok_emb" in k for k in want) == (weight_tying == "disabled")
    there_and_back(wmap, tmp_path, model, want, "-D", f"weight_tying={weight_tying}")


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_two_matrices_are_not_made_one(wmap, tmp_path, dtype):
    model = small(tmp_path, dtype=dtype)
    args = "run", model.map, "-i", model.directory, "-o", tmp_path / "o.msgpack"
    for options in ([], ["-D", "fc_multiple=32"]):
        said = wmap(*args, "-D", "weight_tying=enabled", *options, status=1).stderr
        assert "alias llama/llama/tok_emb/weight/value" in said and "differ" in said
    assert not (tmp_path / "o.msgpack").exists()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("tok,fc", [(1, 1), (32, 32), (64, 16)])
def test_padding(wmap, tmp_path, tok, fc, tied):
    """The exporter asserts equal shapes before it would pad: no vocabulary could ever be padded."""
    model = small(tmp_path, tie_word_embeddings=tied, dtype="bf16")
    options = "-D", f"tok_emb_multiple={tok}", "-D", f"fc_multiple={fc}"
    there_and_back(wmap, tmp_path, model, model.tt(tok=tok, fc=fc), *options)


def test_the_type_may_be_given(wmap, tmp_path):
    """Where config.json does not say, or says another type than the files have."""
    model = small(tmp_path, dtype="f16")
    config = json.loads((model.directory / "config.json").read_text())
    (model.directory / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    out = tmp_path / "o.msgpack"
    wmap("run", model.map, "-i", model.directory, "-o", out, status=1)
    there_and_back(wmap, tmp_path, model, model.tt(), "-D", "dtype=float16")


def test_what_float16_lacks_is_not_rounded(wmap, tmp_path):
    """Back to a narrower type, every value has to be one of it."""
    model = small(tmp_path, dtype="bf16")
    values = model.tt()
    values["llama/llama/ln_fc/gamma/value"][0, 0, 0, 3] = 1 + 2**-20
    tt = tmp_path / "tt.msgpack"
    tt.write_bytes(pack(tt_state(values)))
    args = "run", "--reverse", model.map, "-i", tt, "-o", tmp_path / "hf", *model.options
    said = wmap(*args, status=1).stderr
    assert "'llama/llama/ln_fc/gamma/value'[0, 0, 0, 3]" in said and "from F32 to BF16" in said
    assert not (tmp_path / "hf").exists()


# ---- what is read ----


def round_values(tensors):
    """Some ones, zeros and small integers among the values: norms are ones at first."""
    for i, key in enumerate(sorted(tensors)):
        flat = tensors[key].reshape(-1)
        flat[:: 2 + i % 5] = flat[:: 2 + i % 5].round()
        if "norm" in key:
            flat[:] = 1
        flat[flat == 0] = 0.0  # packed as an integer, a negative zero loses its sign
    return tensors


@pytest.mark.parametrize("shape", ["new", "old"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_read(wmap, tmp_path, spelling, shape):
    model = small(tmp_path, dtype="bf16")
    model.tensors = round_values(model.tensors)
    save(model.tensors, model.directory / "model.safetensors")
    tt = tmp_path / "tt.msgpack"
    tt.write_bytes(pack(tt_state(model.tt(), spelling, shape)))
    back(wmap, tmp_path / "again", model, tt)


def test_shapes_with_any_bytes(wmap, tmp_path):
    """128 256 rows: the bytes of the old shape are no UTF-8, and a reader of texts fails on them."""
    model = small(tmp_path, vocab_size=0xA0)
    tt = tmp_path / "tt.msgpack"
    tt.write_bytes(pack(tt_state(model.tt(), shape="old")))
    with pytest.raises(UnicodeDecodeError):
        msgpack.unpackb(tt.read_bytes(), raw=False)
    back(wmap, tmp_path / "again", model, tt)


def test_a_training_state_is_read(wmap, tmp_path):
    """Gradients and the optimizer's tensors are not weights."""
    model = small(tmp_path)
    tt = tmp_path / "tt.msgpack"
    tt.write_bytes(pack(tt_state(model.tt(), training=True)))
    back(wmap, tmp_path / "again", model, tt)


def test_an_unknown_weight_is_an_error(wmap, tmp_path):
    model = small(tmp_path)
    values = model.tt() | {"llama/llama/extra/weight/value": np.ones((1, 1, 2, 2), np.float32)}
    tt = tmp_path / "tt.msgpack"
    tt.write_bytes(pack(tt_state(values)))
    args = "run", "--reverse", model.map, "-i", tt, "-o", tmp_path / "hf", *model.options
    assert "llama/llama/extra/weight/value" in wmap(*args, status=1).stderr


# ---- templates ----


def spans(data):
    """{key: (begin, end) of its value}, by msgpack's own reader."""
    unpacker = msgpack.Unpacker(raw=True)
    unpacker.feed(data)
    out = {}
    for _ in range(unpacker.read_map_header()):
        key = unpacker.unpack().decode()
        begin = unpacker.tell()
        unpacker.skip()
        out[key] = begin, unpacker.tell()
    return out


def with_values(template, want):
    """The template's bytes with the arrays of `want` in it, each as [10, float32 ...]."""
    pieces, at = [], 0
    for key, (begin, end) in spans(template).items():
        name = key.removesuffix("/data")
        if name in want and key.endswith("/data"):
            pieces += [template[at:begin], pack([10, SPELLINGS["float32"](want[name].reshape(-1))])]
            at = end
    return b"".join([*pieces, template[at:]])


def fresh(want):
    """A model before training: norms of ones, everything else random."""
    rng = np.random.default_rng(1)
    return {
        k: np.ones_like(v) if "gamma" in k else rng.normal(0, 0.02, v.shape).astype(np.float32)
        for k, v in want.items()
    }


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_template(wmap, tmp_path, spelling, training):
    model = small(tmp_path, dtype="bf16", files=3)
    want = model.tt()
    template = tmp_path / "init.msgpack"
    template.write_bytes(pack(tt_state(fresh(want), spelling, "old", training)))
    out = tmp_path / "out.msgpack"
    args = model.map, "-i", model.directory, "-o", out, "--template", template
    wmap("run", *args)
    assert out.read_bytes() == with_values(template.read_bytes(), want)
    wmap("verify", *args)
    wmap("plan", *args)
    back(wmap, tmp_path / "again", model, out)

    streamed = wmap.directory / "streamed.msgpack"
    with open(streamed, "wb") as f:
        import subprocess

        subprocess.run([wmap.binary, "run", *args[:3], "-o", "-", *args[5:]], stdout=f, check=True)
    assert streamed.read_bytes() == out.read_bytes()


def test_template_of_gpt2(wmap, tmp_path, gpt2):
    want = gpt2.tt(tied=False)
    template = tmp_path / "init.msgpack"
    template.write_bytes(pack(tt_state(fresh(want), training=True)))
    out = tmp_path / "out.msgpack"
    args = gpt2.map, "-i", gpt2.directory, "-o", out, "--template", template
    options = "-D", "weight_tying=disabled"
    wmap("run", *args, *options)
    assert out.read_bytes() == with_values(template.read_bytes(), want)
    wmap("verify", *args, *options)


def test_the_bias_of_old_heads_is_zero(wmap, tmp_path):
    """The exporter leaves it as it was initialised: a head that no checkpoint has."""
    model = Model(tmp_path / "model", "gpt2", **GPT2)
    bias = {"transformer/transformer/fc/bias/value": np.ones((1, 1, 1, 57), np.float32)}
    want = model.tt(tied=False) | {k: v * 0 for k, v in bias.items()}
    template = tmp_path / "init.msgpack"
    template.write_bytes(pack(tt_state(fresh(want) | bias)))
    out = tmp_path / "out.msgpack"
    args = "run", model.map, "-i", model.directory, "-o", out, "--template", template
    said = wmap(*args, "-D", "weight_tying=disabled", status=2).stderr
    assert "fc/bias" in said
    wmap(*args, "-D", "weight_tying=disabled", "-D", "fc_bias=true")
    assert_equal(weights(out), want)


def test_a_template_verified_against_another_output(wmap, tmp_path):
    """What the template keeps is verified, too."""
    model = small(tmp_path)
    template = tmp_path / "init.msgpack"
    state = tt_state(fresh(model.tt()), training=True)
    template.write_bytes(pack(state))
    out = tmp_path / "out.msgpack"
    args = model.map, "-i", model.directory, "-o", out, "--template", template
    wmap("run", *args)
    data = out.read_bytes()
    begin, end = spans(data)[f"{ADAM}/data"]
    assert struct.pack(">f", 0.125) in data[begin:end]
    changed = data[:begin] + data[begin:end].replace(struct.pack(">f", 0.125), struct.pack(">f", 0.25))
    out.write_bytes(changed + data[end:])
    assert ADAM in wmap("verify", *args, status=1).stdout


def without(state, *names):
    return {k: v for k, v in state.items() if not any(k.startswith(n) for n in names)}


TEMPLATES = {
    "a layer too few": (
        lambda s: without(s, "llama/llama/llama_block_2/"),
        "lacks 8 tensors that the map makes",
    ),
    "a layer too many": (
        lambda s: s | {k.replace("block_2", "block_3"): v for k, v in s.items()},
        "has 8 tensors that the map does not make",
    ),
    "no tok_emb": (lambda s: without(s, "llama/llama/tok_emb"), '"llama/llama/tok_emb/weight/value"'),
    "other sizes": (
        lambda s: s | {"llama/llama/fc/weight/value/data": [10, [0.5] * 24 * 60]},
        '"llama/llama/fc/weight/value": the template\'s has shape [1440], the map\'s [1 1 57 24]',
    ),
}


@pytest.mark.parametrize("change,why", TEMPLATES.values(), ids=TEMPLATES)
def test_template_must_fit(wmap, tmp_path, change, why):
    model = small(tmp_path)
    template = tmp_path / "init.msgpack"
    template.write_bytes(pack(change(tt_state(fresh(model.tt())))))
    out = tmp_path / "out.msgpack"
    args = "run", model.map, "-i", model.directory, "-o", out, "--template", template
    done = wmap(*args, status=2)
    assert why in done.stderr and len(done.stderr.splitlines()) == 1
    assert not out.exists()


def test_template_of_another_format(wmap, tmp_path):
    model = small(tmp_path)
    args = "run", model.map, "-i", model.directory, "-o", tmp_path / "out.msgpack"
    wrong = model.directory / "model.safetensors"
    assert "the template is safetensors" in wmap(*args, "--template", wrong, status=2).stderr
    tt = tmp_path / "tt.msgpack"
    tt.write_bytes(pack(tt_state(model.tt())))
    args = "run", "--reverse", model.map, "-i", tt, "-o", tmp_path / "hf", *model.options
    said = wmap(*args, "--template", tt, status=2).stderr
    assert "safetensors is not written after a template" in said


# ---- what else the exporters get wrong ----


def test_keys_and_values_in_other_files(wmap, tmp_path):
    """Its loader of safetensors never joins k and v that are in different files."""
    model = small(tmp_path)
    deal(model.directory, 5)
    where = json.loads((model.directory / "model.safetensors.index.json").read_text())["weight_map"]
    kv = "model.layers.1.self_attn.k_proj.weight", "model.layers.1.self_attn.v_proj.weight"
    assert where[kv[0]] != where[kv[1]]
    there_and_back(wmap, tmp_path, model, model.tt())


def test_square_matrices_are_not_guessed(wmap, tmp_path):
    """Its loader takes a matrix as it is if that fits, else transposed: square ones never."""
    model = Model(tmp_path / "model", "gpt2", **(GPT2 | {"n_inner": 24}))
    there_and_back(wmap, tmp_path, model, model.tt())


def test_subnormal_halves(wmap, tmp_path):
    """Its loader decodes subnormal float16 numbers to half their value."""
    model = small(tmp_path, dtype="f16")
    tiny = torch.arange(1, 25, dtype=torch.int16).view(torch.float16)
    model.tensors["model.norm.weight"] = tiny
    save(model.tensors, model.directory / "model.safetensors")
    want = model.tt()
    assert want["llama/llama/ln_fc/gamma/value"][0, 0, 0, 0] == np.float32(2.0**-24)
    there_and_back(wmap, tmp_path, model, want)


def test_an_untied_head_is_kept(wmap, tmp_path):
    """At one commit its loader put the embedding in the place of an untied head."""
    model = small(tmp_path)
    want = model.tt()
    assert not np.array_equal(
        want["llama/llama/fc/weight/value"][0, 0], model.tensors["model.embed_tokens.weight"].numpy()
    )
    out = there_and_back(wmap, tmp_path, model, want)
    assert_equal(weights(out), want)


# ---- msgpack-numpy ----


def test_arrays_of_numpy(wmap, tmp_path):
    """As msgpack-numpy packs them, in either byte order; a template keeps order and bytes."""
    rng = np.random.default_rng(0)
    arrays = {
        t: rng.integers(0, 2 if t == "|b1" else 100, (3, 4)).astype(t)
        for t in ("<f4", ">f4", "<f8", ">f8", "<f2", ">f2", "|i1", "|u1", "|b1", ">i2", "<u4", ">i8", ">c8")
    }

    def encode(a):
        return {
            b"nd": True,
            b"type": a.dtype.str,
            b"kind": b"",
            b"shape": list(a.shape),
            b"data": a.tobytes(),
        }

    source = tmp_path / "numpy.msgpack"
    state = {"step": 5, "params": {t: encode(a) for t, a in arrays.items()}}
    source.write_bytes(pack(state))
    plain = tmp_path / "plain.wmap"
    plain.write_text('wmap 1\n"params.{rest*}" <-> "{rest}"\n')
    out = tmp_path / "o.safetensors"
    wmap("run", plain, "-i", source, "-o", out)
    got = {k: v.numpy() for k, v in load(out).items()}
    for t, a in arrays.items():
        little = a.astype(a.dtype.newbyteorder("<"))
        assert got[t].dtype == little.dtype and got[t].tobytes() == little.tobytes(), t

    doubled = {t: (a + a).astype(a.dtype) if t != "|b1" else ~a for t, a in arrays.items()}
    save({t: torch.from_numpy(a.astype(a.dtype.newbyteorder("<"))) for t, a in doubled.items()}, out)
    again = tmp_path / "again.msgpack"
    wmap("run", "--reverse", plain, "-i", out, "-o", again, "--template", source)
    want = {"step": 5, "params": {t: encode(a) for t, a in doubled.items()}}
    assert again.read_bytes() == pack(want)


# ---- tensors of integers, and numbers that float32 lacks ----

INTEGERS = np.array([[0, 1, 127, 128], [255, 65535, 65536, 2**32 - 1]], np.uint32).reshape(1, 1, 2, 4)
IDS = "llama/llama/ids/value"


def with_integers(model):
    state = tt_state(fresh(model.tt()), training=True)
    state[f"{IDS}/shape"] = [12, struct.pack("<4I", *INTEGERS.shape)]
    state[f"{IDS}/data_type"] = [2, 2]
    state[f"{IDS}/data"] = [13, INTEGERS.reshape(-1).tolist()]
    return state


def test_integers_are_read_and_written(wmap, tmp_path):
    tt, out, again = tmp_path / "tt.msgpack", tmp_path / "o.safetensors", tmp_path / "again.msgpack"
    tt.write_bytes(pack(with_integers(small(tmp_path))))
    assert f"{IDS}  " in (said := wmap("inspect", tt).stdout) and "[1 1 2 4]" in said and "U32" in said
    every = tmp_path / "every.wmap"
    every.write_text('wmap 1\n"{rest*}" <-> "{rest}"\n')
    wmap("run", every, "-i", tt, "-o", out)
    got = load(out)[IDS]
    assert got.dtype == torch.uint32 and np.array_equal(got.numpy(), INTEGERS)
    wmap("run", "--reverse", every, "-i", out, "-o", again)  # a new file: what its reader asks for
    state = read_tt(again)
    assert state[f"{IDS}/data"] == (13, INTEGERS.reshape(-1).tolist())
    assert state[f"{IDS}/data_type"] == (2, 2) and state[f"{IDS}/shape"][1] == struct.pack("<4I", 1, 1, 2, 4)
    wmap("diff", tt, again)


def test_a_template_with_integers(wmap, tmp_path):
    """They stay as they are, unless a map makes them."""
    model = small(tmp_path)
    template, out = tmp_path / "init.msgpack", tmp_path / "out.msgpack"
    template.write_bytes(pack(with_integers(model)))
    wmap("run", model.map, "-i", model.directory, "-o", out, "--template", template)
    assert out.read_bytes() == with_values(template.read_bytes(), model.tt())

    other = tmp_path / "other.safetensors"
    save({IDS: torch.from_numpy(INTEGERS[..., ::-1].copy())}, other)
    only = tmp_path / "only.wmap"
    only.write_text(f'wmap 1\n"{IDS}" <-> "{IDS}"\n')
    said = wmap("run", only, "-i", other, "-o", tmp_path / "ids.msgpack", "--template", template, status=2).stderr
    assert "tensors that the map does not make" in said
    state = {k: v for k, v in with_integers(model).items() if k.startswith((IDS, "adamw", "scheduler"))}
    template.write_bytes(pack(state))
    wmap("run", only, "-i", other, "-o", tmp_path / "ids.msgpack", "--template", template)
    state[f"{IDS}/data"] = [13, INTEGERS[..., ::-1].reshape(-1).tolist()]
    assert read_tt(tmp_path / "ids.msgpack") == {k: tuple(v) for k, v in read_as(state).items()}


def read_as(state):
    return {k.decode(): v for k, v in msgpack.unpackb(pack(state), raw=True).items()}


@pytest.mark.parametrize("spelling", ["float64", "all"])
def test_doubles_that_are_no_floats(wmap, tmp_path, spelling):
    """Refused, or rounded to the nearest as in tt-train's reader: its vector is one of floats."""
    model = small(tmp_path)
    state = tt_state(model.tt(), spelling)
    key = "llama/llama/fc/weight/value"
    values = np.random.default_rng(2).normal(0, 0.1, 57 * 24)
    state[f"{key}/data"][1] = [Double(x) for x in values]
    tt = tmp_path / "tt.msgpack"
    tt.write_bytes(pack(state))
    args = "run", "--reverse", model.map, "-i", tt, "-o", tmp_path / "hf", *model.options
    said = wmap(*args, status=2).stderr
    assert f'"{key}": element 0 is a float64 that no float32 equals' in said and "--round-numbers" in said
    wmap(*args, "--round-numbers")
    want = values.astype(np.float32).reshape(57, 24)
    assert np.array_equal(load(tmp_path / "hf")["lm_head.weight"].numpy(), want)
    wmap("verify", *args[1:], "--round-numbers")
    rounded = tmp_path / "rounded.msgpack"
    state[f"{key}/data"][1] = [float(x) for x in values]
    rounded.write_bytes(pack(state))
    wmap("diff", tt, rounded, status=2)
    wmap("diff", tt, rounded, "--round-numbers")
