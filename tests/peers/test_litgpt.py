"""The other families of LitGPT, against its own conversion scripts. Llama itself is in
test_llama.py.

Names and shapes of each reference are also those of LitGPT's model of that configuration, so
that what is right by a formula, where a script has a defect, is what the model loads."""

from functools import partial

import pytest
import torch
from litgpt import GPT, Config
from litgpt.scripts import convert_hf_checkpoint as hf_to_lit
from litgpt.scripts import convert_lit_checkpoint as lit_to_hf

from conftest import assert_same, load
from models import make, sizes

RMS = {
    "norm_class_name": "RMSNorm",
    "mlp_class_name": "LLaMAMLP",
    "bias": False,
    "parallel_residual": False,
}
GEMMA = {**RMS, "mlp_class_name": "GemmaMLP"}
POST = {"post_attention_norm": True, "post_mlp_norm": True}
MOE = {**RMS, "mlp_class_name": "LLaMAMoE", "n_expert": 5, "n_expert_per_token": 2}


def lit_config(config, name, **more):
    d = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Config(
        name=name,
        n_layer=config.num_hidden_layers,
        n_embd=config.hidden_size,
        n_head=config.num_attention_heads,
        head_size=d,
        vocab_size=config.vocab_size,
        padded_vocab_size=config.vocab_size,
        **{
            "n_query_groups": getattr(config, "num_key_value_heads", config.num_attention_heads),
            "intermediate_size": getattr(config, "intermediate_size", 4 * config.hidden_size),
            **more,
        },
    )


def check(wmap, tmp_path, name, architecture, model, lit, forward, backward, supply=None):
    """`forward` and `backward` are the peer's functions, given its Config; no `backward`: the
    script has a defect.

    `supply` gives the reference what the peer leaves out."""
    model = dict(model)
    dtype, files = model.pop("dtype", "f32"), model.pop("files", 1)
    directory = tmp_path / "model"
    config = make(directory, architecture, dtype, files, **model).config
    tensors = load(directory)
    lit = lit_config(config, **lit)

    want = {}
    if supply:
        tensors = {**supply(tensors), **tensors}
    forward(lit)(want, tensors)
    with torch.device("meta"):
        module = GPT(lit).state_dict()
    assert {k: v.shape for k, v in want.items()} == {k: v.shape for k, v in module.items()}
    wmap.check(name, directory, want)

    if backward:
        back = {}
        backward(lit)(back, want)
        if config.tie_word_embeddings:
            back.pop("lm_head.weight", None)
            tensors.pop("lm_head.weight", None)
        assert_same(back, tensors)


def held(function):
    """Of the functions that hold q, k and v until all three are there."""
    return lambda config: partial(function, config, {})


def head_of(key):
    return lambda tensors: {"lm_head.weight": tensors[key]}


# ---- q, k and v apart, or fused already ----

CASES = {
    "gemma": (
        "litgpt/gemma",
        "GemmaForCausalLM",
        sizes("multi-query", head_dim=8, dtype="bf16", files=3),
        {"name": "Gemma-2b", **GEMMA},
        held(hf_to_lit.copy_weights_hf_llama),
        lambda config: partial(lit_to_hf.copy_weights_llama, config, untie_weights=True),
    ),
    "gemma2": (
        "litgpt/gemma2",
        "Gemma2ForCausalLM",
        sizes(head_dim=8, dtype="bf16"),
        {"name": "Gemma-2-2b", **GEMMA, **POST},
        lambda config: partial(hf_to_lit.copy_weights_gemma_2, {}),
        lambda config: partial(lit_to_hf.copy_weights_gemma_2, config),
    ),
    "gemma3": (
        "litgpt/gemma3",
        "Gemma3ForCausalLM",
        sizes(head_dim=8, files=3),
        {"name": "Gemma-3-1b-it", **GEMMA, **POST, "norm_qk": True},
        lambda config: partial(hf_to_lit.copy_weights_gemma_3, {}, config=config),
        lambda config: partial(lit_to_hf.copy_weights_gemma_3, config),
    ),
    "qwen2, tied": (
        "litgpt/qwen2",
        "Qwen2ForCausalLM",
        sizes(tie_word_embeddings=True, dtype="bf16", files=3),
        {"name": "Qwen2.5-0.5B", **RMS, "attn_bias": True},
        held(hf_to_lit.copy_weights_qwen_2_5),
        lambda config: partial(lit_to_hf.copy_weights_qwen_2_5, config),
    ),
    "qwen2": (
        "litgpt/qwen2",
        "Qwen2ForCausalLM",
        sizes("multi-head"),
        {"name": "Qwen2.5-7B", **RMS, "attn_bias": True},
        held(hf_to_lit.copy_weights_qwen_2_5),
        lambda config: partial(lit_to_hf.copy_weights_qwen_2_5, config),
    ),
    "qwen3": (
        "litgpt/qwen3",
        "Qwen3ForCausalLM",
        sizes(head_dim=8),
        {"name": "Qwen3-8B", **RMS, "norm_qk": True},
        held(hf_to_lit.copy_weights_qwen_3),
        lambda config: partial(lit_to_hf.copy_weights_qwen_3, config),
    ),
    "qwen3, tied": (
        "litgpt/qwen3",
        "Qwen3ForCausalLM",
        sizes("multi-query", head_dim=8, tie_word_embeddings=True, dtype="bf16", files=3),
        {"name": "Qwen3-0.6B", **RMS, "norm_qk": True},
        held(hf_to_lit.copy_weights_qwen_3),
        lambda config: partial(lit_to_hf.copy_weights_qwen_3, config),
    ),
    "qwen3_moe": (
        "litgpt/qwen3_moe",
        "Qwen3MoeForCausalLM",
        sizes(head_dim=8, num_experts=5, moe_intermediate_size=12, dtype="bf16", files=3),
        {"name": "Qwen3-30B-A3B", **MOE, "norm_qk": True, "moe_intermediate_size": 12},
        held(hf_to_lit.copy_weights_qwen_3),
        lambda config: partial(lit_to_hf.copy_weights_qwen_3, config),
    ),
    "mixtral": (
        "litgpt/mixtral",
        "MixtralForCausalLM",
        sizes(num_local_experts=5, dtype="bf16", files=3),
        {"name": "Mixtral-8x7B-v0.1", **MOE},
        held(hf_to_lit.copy_weights_hf_llama),
        lambda config: partial(lit_to_hf.copy_weights_llama, config),
    ),
    "stablelm": (
        "litgpt/stablelm",
        "StableLmForCausalLM",
        sizes("multi-head", dtype="bf16"),
        {"name": "stablelm-3b-4e1t", **RMS, "norm_class_name": "LayerNorm"},
        held(hf_to_lit.copy_weights_hf_llama),
        lambda config: partial(lit_to_hf.copy_weights_llama, config),
    ),
    "phi": (
        "litgpt/phi",
        "PhiForCausalLM",
        sizes("multi-head", dtype="bf16", files=3),
        {"name": "phi-2", "lm_head_bias": True, "shared_attention_norm": True},
        held(hf_to_lit.copy_weights_phi),
        lambda config: partial(lit_to_hf.copy_weights_phi, config),
    ),
    # the way back mixes up gate and up, or stops
    "phi3": (
        "litgpt/phi3",
        "Phi3ForCausalLM",
        sizes("multi-head", dtype="bf16"),
        {"name": "Phi-3-mini-4k-instruct", **RMS},
        held(hf_to_lit.copy_weights_phi),
        None,
    ),
    "phi4, tied": (
        "litgpt/phi3",
        "Phi3ForCausalLM",
        sizes(tie_word_embeddings=True, files=3),
        {"name": "Phi-4-mini-instruct", **RMS},
        held(hf_to_lit.copy_weights_phi),
        None,
    ),
    # the way back stops at post_attention_norm
    "olmo2": (
        "litgpt/olmo2",
        "Olmo2ForCausalLM",
        sizes("multi-head", dtype="bf16", files=3),
        {"name": "OLMo-2-1124-7B", **RMS, **POST, "norm_1": False, "norm_2": False}
        | {"norm_qk": True, "norm_qk_type": "olmo2"},
        held(hf_to_lit.copy_weights_olmo2),
        None,
    ),
    # ---- q, k and v by turns ----
    "gpt_neox": (
        "litgpt/gpt_neox",
        "GPTNeoXForCausalLM",
        {k: v for k, v in sizes(dtype="bf16", files=3).items() if k != "num_key_value_heads"},
        {"name": "pythia-14m"},
        lambda config: partial(hf_to_lit.copy_weights_gpt_neox, config),
        lambda config: partial(lit_to_hf.copy_weights_gpt_neox, config),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_family(wmap, tmp_path, case):
    check(wmap, tmp_path, *CASES[case])


# ---- Falcon: the layout follows from the configuration ----

FALCON = {k: v for k, v in sizes().items() if k not in ("intermediate_size", "num_key_value_heads")}
NEW = {"new_decoder_architecture": True, "num_kv_heads": 2}
FALCONS = {
    "7b": ({"multi_query": True}, {"n_query_groups": 1, "shared_attention_norm": True}),
    "7b, bf16, sharded": (
        {"multi_query": True, "dtype": "bf16", "files": 3},
        {"n_query_groups": 1, "shared_attention_norm": True},
    ),
    "40b": (NEW, {"n_query_groups": 2}),
    "180B, bf16": ({**NEW, "dtype": "bf16"}, {"n_query_groups": 2}),
}


@pytest.mark.parametrize("case", FALCONS)
def test_falcon(wmap, tmp_path, case):
    """Its script gives a tied model no head; LitGPT's model has one."""
    model, lit = FALCONS[case]
    check(
        wmap,
        tmp_path,
        "litgpt/falcon",
        "FalconForCausalLM",
        {**FALCON, **model},
        {"name": f"falcon-{case}", "bias": False, **lit},
        lambda config: partial(hf_to_lit.copy_weights_falcon, config),
        lambda config: partial(lit_to_hf.copy_weights_falcon, config),
        head_of("transformer.word_embeddings.weight"),
    )


def test_falcon_rw(wmap, tmp_path):
    """One group a head, biases and two norms, one after the other: its script refuses it, its
    model can have it."""
    directory = tmp_path / "model"
    options = {
        "new_decoder_architecture": False,
        "multi_query": False,
        "parallel_attn": False,
        "bias": True,
    }
    config = make(directory, "FalconForCausalLM", **FALCON, **options).config
    tensors = load(directory)
    heads, d = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    want = {"lm_head.weight": tensors["transformer.word_embeddings.weight"]}
    for key, tensor in tensors.items():
        for hf, lit in FALCON_NAMES.items():
            key = key.replace(hf, lit)
        if "attn.qkv" in key:
            part = tensor.reshape(heads, 3, d, *tensor.shape[1:])
            tensor = torch.cat([part[:, i].reshape(heads * d, *tensor.shape[1:]) for i in range(3)])
        want[key] = tensor
    with torch.device("meta"):
        module = GPT(
            lit_config(config, "falcon-rw-1b", bias=True, parallel_residual=False)
        ).state_dict()
    assert {k: v.shape for k, v in want.items()} == {k: v.shape for k, v in module.items()}
    wmap.check("litgpt/falcon", directory, want)


FALCON_NAMES = {
    "word_embeddings": "wte",
    "self_attention.query_key_value": "attn.qkv",
    "self_attention.dense": "attn.proj",
    "mlp.dense_h_to_4h": "mlp.fc",
    "mlp.dense_4h_to_h": "mlp.proj",
    "input_layernorm": "norm_1",
    "post_attention_layernorm": "norm_2",
}


def test_stablelm_with_biases(wmap, tmp_path):
    """Its table for Llama has no names for the biases of q, k and v, the one for Qwen2.5 has."""
    directory = tmp_path / "model"
    model = make(directory, "StableLmForCausalLM", use_qkv_bias=True, **sizes("multi-head"))
    tensors = load(directory)
    config = lit_config(
        model.config,
        "stablelm-2-1_6b",
        **{**RMS, "norm_class_name": "LayerNorm", "attn_bias": True},
    )
    want, biases = {}, {k: v for k, v in tensors.items() if k.endswith("_proj.bias")}
    hf_to_lit.copy_weights_hf_llama(
        config, {}, want, {k: v for k, v in tensors.items() if k not in biases}
    )
    embedding = {"model.embed_tokens.weight": tensors["model.embed_tokens.weight"]}
    fused = {}
    hf_to_lit.copy_weights_qwen_2_5(config, {}, fused, {**embedding, **biases})
    want |= {k: v for k, v in fused.items() if k.endswith(".bias")}
    with torch.device("meta"):
        module = GPT(config).state_dict()
    assert {k: v.shape for k, v in want.items()} == {k: v.shape for k, v in module.items()}
    wmap.check("litgpt/stablelm", directory, want)


def test_qwen3_moe_with_dense_layers(wmap, tmp_path):
    """Layers without experts: its model has them first, its table has no names for them."""
    directory = tmp_path / "model"
    experts = {"num_experts": 5, "moe_intermediate_size": 12, "mlp_only_layers": [0]}
    model = make(directory, "Qwen3MoeForCausalLM", **sizes(head_dim=8, **experts))
    tensors = load(directory)
    more = {"norm_qk": True, "moe_intermediate_size": 12, "first_k_dense_replace": 1}
    config = lit_config(model.config, "Qwen3-30B-A3B", **MOE, **more)
    dense = {k: v for k, v in tensors.items() if k.startswith("model.layers.0.mlp.")}
    want = {}
    hf_to_lit.copy_weights_qwen_3(
        config, {}, want, {k: v for k, v in tensors.items() if k not in dense}
    )
    for hf, lit in (("gate", "fc_1"), ("up", "fc_2"), ("down", "proj")):
        want[f"transformer.h.0.mlp.{lit}.weight"] = tensors[f"model.layers.0.mlp.{hf}_proj.weight"]
    with torch.device("meta"):
        module = GPT(config).state_dict()
    assert {k: v.shape for k, v in want.items()} == {k: v.shape for k, v in module.items()}
    wmap.check("litgpt/qwen3_moe", directory, want)
