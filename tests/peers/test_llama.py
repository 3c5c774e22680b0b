"""Llama in four layouts: LitGPT's of today and of before, OLMo-core's and Meta's."""

import json

import pytest
import torch
from litgpt import GPT, Config
from litgpt.scripts import convert_hf_checkpoint as hf_to_lit
from litgpt.scripts import convert_lit_checkpoint as lit_to_hf
from olmo_core.nn.hf.convert import convert_state_from_hf, convert_state_to_hf

from conftest import assert_same, load, save
from models import Source, make, sizes

BIAS = {"attention_bias": True, "mlp_bias": True}
VARIANTS = {
    "grouped": {},
    "grouped, bf16": {"dtype": "bf16"},
    "grouped, tied": {"tie_word_embeddings": True},
    "grouped, sharded": {"files": 3},
    "grouped, sharded, bf16, tied, bias": {
        "files": 3,
        "dtype": "bf16",
        "tie_word_embeddings": True,
        **BIAS,
    },
    "multi-query, bf16, tied": {
        "heads": "multi-query",
        "dtype": "bf16",
        "tie_word_embeddings": True,
    },
    "multi-head, bias": {"heads": "multi-head", **BIAS},
    "wide heads": {"head_dim": 10},
}


@pytest.fixture(scope="module", params=VARIANTS)
def llama(request, tmp_path_factory):
    variant = dict(VARIANTS[request.param])
    directory = tmp_path_factory.mktemp("llama") / "model"
    dtype, files = variant.pop("dtype", "f32"), variant.pop("files", 1)
    model = make(directory, "LlamaForCausalLM", dtype, files, **sizes(**variant))
    return Source(directory, model, load(directory))


def untied(source):
    """The tensors with the head that a tied model's files leave out."""
    return {"lm_head.weight": source.tensors["model.embed_tokens.weight"], **source.tensors}


def rename(key, names):
    for hf, other in names.items():
        key = key.replace(hf, other)
    return key


# ---- LitGPT ----


def lit_config(config):
    return Config(
        name="Llama",
        n_layer=config.num_hidden_layers,
        n_embd=config.hidden_size,
        n_head=config.num_attention_heads,
        n_query_groups=config.num_key_value_heads,
        head_size=config.head_dim,
        intermediate_size=config.intermediate_size,
        vocab_size=config.vocab_size,
        padded_vocab_size=config.vocab_size,
        norm_class_name="RMSNorm",
        mlp_class_name="LLaMAMLP",
        parallel_residual=False,
        rotary_percentage=1.0,
        bias=config.attention_bias,
    )


def test_litgpt(wmap, llama):
    config = lit_config(llama.config)
    want, held = {}, {}
    plain = {k: v for k, v in llama.tensors.items() if "o_proj.bias" not in k and "mlp." not in k}
    if llama.config.attention_bias:
        # its table for Llama has no biases at all, the one for Qwen2.5 has those of q, k and v
        hf_to_lit.copy_weights_qwen_2_5(config, held, want, plain)
        for key, tensor in llama.tensors.items():
            if key not in plain:
                want[rename(key, LIT_NAMES)] = tensor
    else:
        files = map(load, llama.directory.glob("*.safetensors"))
        # it fails where the first file lacks the embedding
        for part in sorted(files, key=lambda part: "model.embed_tokens.weight" not in part):
            hf_to_lit.copy_weights_hf_llama(config, held, want, part)

    with torch.device("meta"):
        module = GPT(config).state_dict()
    assert {k: v.shape for k, v in want.items()} == {k: v.shape for k, v in module.items()}

    wmap.check("litgpt/llama", llama.directory, want)

    if not llama.config.attention_bias:
        back = {}
        lit_to_hf.copy_weights_llama(config, back, want)
        assert_same(back, untied(llama))


LIT_NAMES = {
    "model.layers": "transformer.h",
    "self_attn.o_proj": "attn.proj",
    "mlp.gate_proj": "mlp.fc_1",
    "mlp.up_proj": "mlp.fc_2",
    "mlp.down_proj": "mlp.proj",
}


def test_litgpt_script(wmap, tmp_path, capsys):
    """The whole of its script, from a directory to lit_model.pth."""
    directory = (
        tmp_path / "TinyLlama-1.1B-Chat-v1.0"
    )  # a name that the script knows; it looks at no size
    make(directory, "LlamaForCausalLM", "bf16", 3, **sizes())
    hf_to_lit.convert_hf_checkpoint(directory)
    want = torch.load(directory / "lit_model.pth", weights_only=True)
    (directory / "lit_model.pth").unlink()
    wmap.check("litgpt/llama", directory, want)


# ---- Lit-GPT before 2024-12 ----


def test_litgpt_legacy(wmap, llama):
    want = {}
    groups = llama.config.num_key_value_heads
    n = llama.config.num_attention_heads // groups
    d = llama.config.head_dim
    for key, tensor in untied(llama).items():
        if "q_proj" in key:
            q = tensor
            k = llama.tensors[key.replace("q_proj", "k_proj")]
            v = llama.tensors[key.replace("q_proj", "v_proj")]
            rows = []
            for group in range(groups):
                rows += [q[group * n * d : (group + 1) * n * d]]
                rows += [k[group * d : (group + 1) * d], v[group * d : (group + 1) * d]]
            tensor = torch.cat(rows)
        elif "k_proj" in key or "v_proj" in key:
            continue
        want[rename(key, {**LIT_NAMES, **LEGACY_NAMES})] = tensor
    wmap.check("litgpt/legacy_llama", llama.directory, want)


LEGACY_NAMES = {
    "self_attn.q_proj": "attn.attn",
    "input_layernorm": "norm_1",
    "post_attention_layernorm": "norm_2",
    "model.embed_tokens": "transformer.wte",
    "model.norm": "transformer.ln_f",
}


# ---- OLMo-core ----


def test_olmo_core(wmap, llama):
    biases = {k: v for k, v in llama.tensors.items() if k.endswith(".bias")}
    plain = {k: v for k, v in llama.tensors.items() if k not in biases}
    want = convert_state_from_hf(llama.config, dict(plain), model_type="llama")
    for key, tensor in biases.items():  # its converter has no names for them, its modules have
        want[rename(key, OLMO_NAMES)] = tensor
    wmap.check("olmo_core/llama", llama.directory, want)

    if not biases:
        assert_same(convert_state_to_hf(llama.config, want), untied(llama))


OLMO_NAMES = {
    "model.layers": "blocks",
    "self_attn.q_proj": "attention.w_q",
    "self_attn.k_proj": "attention.w_k",
    "self_attn.v_proj": "attention.w_v",
    "self_attn.o_proj": "attention.w_out",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
}


# ---- Meta ----


def to_meta(source, heads_of_k=None):
    """The formula: in each head, member `half` of pair i moves from half * d/2 + i to 2 * i +
    half."""
    config, want = source.config, {}
    for key, tensor in untied(source).items():
        key = rename(key, META_NAMES)
        if "attention.wq" in key or "attention.wk" in key:
            heads = (
                config.num_attention_heads
                if "wq" in key
                else heads_of_k or config.num_key_value_heads
            )
            d = tensor.shape[0] // heads
            rows = [
                h * d + half * d // 2 + i
                for h in range(heads)
                for i in range(d // 2)
                for half in (0, 1)
            ]
            tensor = tensor[rows]
        want[key] = tensor
    return want


META_NAMES = {
    "model.layers": "layers",
    "model.embed_tokens": "tok_embeddings",
    "model.norm": "norm",
    "lm_head": "output",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
}


def test_meta(wmap, llama):
    wmap.check("meta/llama", llama.directory, to_meta(llama))


def to_shards(whole, tp, version, config):
    """What Meta's model parallel code holds on each rank; transformers' converter (4.x) joins it by
    the same dimensions: rows of q, k, v, w1, w3 and output, columns of wo and w2, all of a norm; the
    embedding by columns up to Llama 2, by rows since."""
    ranks = [{} for _ in range(tp)]
    for key, tensor in whole.items():
        name = key.split(".")[-2]
        dim = {"wo": 1, "w2": 1, "tok_embeddings": 1 if version < 3 else 0}.get(name, 0)
        for rank in range(tp):
            if "norm" in name:
                ranks[rank][key] = tensor
            elif name in ("wk", "wv") and tp > config.num_key_value_heads:
                each = tp // config.num_key_value_heads  # ranks that have one key head together
                ranks[rank][key] = tensor.chunk(config.num_key_value_heads)[rank // each]
            else:
                ranks[rank][key] = tensor.chunk(tp, dim)[rank]
    return ranks


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("tp", [1, 2, 4])
@pytest.mark.parametrize("files", [1, 3])
def test_meta_shards(wmap, tmp_path, tp, version, files):
    """consolidated.NN.pth and params.json, both ways, and from one number of shards to another."""
    directory = tmp_path / "model"
    model = make(directory, "LlamaForCausalLM", "bf16", files, **sizes())
    source = Source(directory, model, load(directory))
    want = to_shards(to_meta(source), tp, version, source.config)
    options = ["-D", f"tp={tp}", "-D", f"version={version}"]
    meta = tmp_path / "meta"
    wmap("run", "meta/llama", "-i", directory, "-o", meta, *options)
    assert sorted(p.name for p in meta.glob("consolidated*")) == [
        f"consolidated.{rank:02}.pth" for rank in range(tp)
    ]
    for rank in range(tp):
        assert_same(torch.load(meta / f"consolidated.{rank:02}.pth", weights_only=True), want[rank])
    params = json.loads((meta / "params.json").read_text())
    assert (params["dim"], params["n_layers"], params["n_heads"], params["n_kv_heads"]) == (24, 3, 4, 2)
    assert params["norm_eps"] == source.config.rms_norm_eps and params["vocab_size"] == 56

    # as Meta wrote them, with the buffer that each of its files has
    freqs = {"rope.freqs": torch.randn(3)}
    for rank in range(tp):
        torch.save({**want[rank], **freqs}, meta / f"consolidated.{rank:02}.pth")
    wmap("run", "--reverse", "meta/llama", "-i", meta, "-o", tmp_path / "back", *options)
    assert_same(load(tmp_path / "back"), source.tensors)
    wmap(
        "run",
        f"~meta/llama(tp = {tp}, version = {version}) >> meta/llama(tp = 2)",
        "-i",
        meta,
        "-o",
        tmp_path / "two",
    )
    for rank, tensors in enumerate(to_shards(to_meta(source), 2, 3, source.config)):
        got = torch.load(tmp_path / f"two/consolidated.{rank:02}.pth", weights_only=True)
        assert_same(got, tensors)


def test_meta_shards_that_do_not_agree(wmap, tmp_path):
    """A norm is in every file: where two differ, they are not of one model."""
    directory = tmp_path / "model"
    make(directory, "LlamaForCausalLM", **sizes())
    meta = tmp_path / "meta"
    wmap("run", "meta/llama", "-i", directory, "-o", meta, "-D", "tp=2")
    tensors = torch.load(meta / "consolidated.01.pth", weights_only=True)
    tensors["norm.weight"] = tensors["norm.weight"] + 1
    torch.save(tensors, meta / "consolidated.01.pth")
    args = ["run", "--reverse", "meta/llama", "-i", meta, "-o", tmp_path / "back", "-D", "tp=2"]
    assert "norm.weight" in wmap(*args, status=1).stderr
    (meta / "consolidated.01.pth").unlink()
    assert "consolidated.01.pth is missing" in wmap(*args, status=1).stderr


# ---- what all four leave out ----


@pytest.mark.parametrize(
    "name", ["meta/llama", "litgpt/llama", "litgpt/legacy_llama", "olmo_core/llama"]
)
def test_rotary_buffers_are_ignored(wmap, tmp_path, name):
    """Files of older libraries hold inv_freq of every layer; no other layout has it."""
    directory = tmp_path / "model"
    make(directory, "LlamaForCausalLM", **sizes())
    plain = tmp_path / "plain"
    wmap("run", name, "-i", directory, "-o", plain)

    tensors = load(directory)
    for layer in range(3):
        tensors[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.randn(3)
    save(tensors, directory / "model.safetensors")
    wmap("run", name, "-i", directory, "-o", tmp_path / "out")
    assert_same(load(tmp_path / "out"), load(plain))
