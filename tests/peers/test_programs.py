"""Whole programs: from the files of one system to files that the other's own code loads, and back to
files that transformers loads as they are. The model computes the same before and after."""

import json
import shutil

import pytest
import torch
import transformers
from litgpt import GPT, Config
from litgpt.scripts.convert_hf_checkpoint import convert_hf_checkpoint
from litgpt.utils import check_valid_checkpoint_dir, load_checkpoint

from conftest import assert_same, load
from models import deal, make, sizes

TOKENS = torch.tensor([[3, 7, 1, 50, 20, 4, 4, 31]])
FALCON = {k: v for k, v in sizes().items() if k not in ("intermediate_size", "num_key_value_heads")}

# the map, transformers' class, its settings, a limit for what two libraries may differ by
LITGPT = {
    "llama": ("litgpt/llama", "LlamaForCausalLM", sizes(), "Llama"),
    "llama, scaled positions": (
        "litgpt/llama",
        "LlamaForCausalLM",
        sizes(
            rope_parameters={
                "rope_type": "llama3",
                "rope_theta": 500000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8,
            }
        ),
        "Llama-3.1",
    ),
    "qwen2": ("litgpt/qwen2", "Qwen2ForCausalLM", sizes(tie_word_embeddings=True), "Qwen2.5"),
    "qwen3": ("litgpt/qwen3", "Qwen3ForCausalLM", sizes(head_dim=8), "Qwen3"),
    "gemma": ("litgpt/gemma", "GemmaForCausalLM", sizes(head_dim=8), "Gemma"),
    "gemma2": (
        "litgpt/gemma2",
        "Gemma2ForCausalLM",
        sizes(head_dim=8, query_pre_attn_scalar=8, sliding_window=4),
        "Gemma-2",
    ),
    "gemma3": (
        "litgpt/gemma3",
        "Gemma3ForCausalLM",
        sizes(
            head_dim=8,
            query_pre_attn_scalar=8,
            sliding_window=4,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        ),
        "Gemma-3",
    ),
    "mixtral": ("litgpt/mixtral", "MixtralForCausalLM", sizes(num_local_experts=5), "Mixtral"),
    "qwen3_moe": (
        "litgpt/qwen3_moe",
        "Qwen3MoeForCausalLM",
        sizes(
            head_dim=8,
            num_experts=5,
            num_experts_per_tok=2,
            moe_intermediate_size=12,
            norm_topk_prob=True,
        ),
        "Qwen3-MoE",
    ),
    "olmo2": ("litgpt/olmo2", "Olmo2ForCausalLM", sizes("multi-head"), "OLMo-2"),
    "stablelm": ("litgpt/stablelm", "StableLmForCausalLM", sizes("multi-head"), "stablelm"),
    "phi": (
        "litgpt/phi",
        "PhiForCausalLM",
        sizes("multi-head", hidden_size=32, hidden_act="gelu_new"),
        "phi-2",
    ),
    "phi3": ("litgpt/phi3", "Phi3ForCausalLM", sizes("multi-head"), "Phi-3"),
    "gpt_neox": (
        "litgpt/gpt_neox",
        "GPTNeoXForCausalLM",
        {k: v for k, v in sizes(hidden_size=32).items() if k != "num_key_value_heads"},
        "pythia",
    ),
    "falcon, 7b": ("litgpt/falcon", "FalconForCausalLM", {**FALCON, "multi_query": True}, "falcon"),
    "falcon, 40b": (
        "litgpt/falcon",
        "FalconForCausalLM",
        {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2},
        "falcon",
    ),
}


def tokenizer(directory):
    """Files that go along; LitGPT wants to see them."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (directory / name).write_text('{"model": "none"}')


def logits(model):
    model.eval()
    with torch.no_grad():
        out = model(TOKENS)
    return getattr(out, "logits", out).float()


# what is made of GPT-2, for which LitGPT has no layout: the map, its output
GPT2 = {
    "nanogpt": ("nanogpt/gpt2", "nano"),
    "sepweight": ("sepweight/gpt2", "parts"),
    "tt-train": ("tt_train/gpt2", "tt.msgpack"),
}


def as_bin(directory, files):
    """The model as transformers 4 saved it: pytorch_model-0000i-of-0000n.bin and their index."""
    tensors = load(directory)
    for old in directory.glob("model*"):
        old.unlink()
    where = {}
    for i in range(files):
        name = f"pytorch_model-{i + 1:05}-of-{files:05}.bin"
        part = {k: tensors[k] for k in sorted(tensors)[i::files]}
        torch.save(part, directory / name)
        where |= dict.fromkeys(part, name)
    index = {"metadata": {"total_size": 0}, "weight_map": where}
    (directory / "pytorch_model.bin.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("container", ["safetensors", "bin"])
@pytest.mark.parametrize("case", LITGPT)
def test_litgpt(wmap, tmp_path, case, container):
    """q, k and v lie in different files; LitGPT loads what is made with its own functions, and
    computes what transformers does; what comes back is loaded as it is."""
    name, architecture, settings, called = LITGPT[case]
    hf, lit, back = tmp_path / "hf", tmp_path / "lit", tmp_path / "back"
    model = make(hf, architecture, **settings)
    tensors = load(hf)
    eager = {"attn_implementation": "eager"} if case == "gemma2" else {}  # it knows soft caps
    if eager:
        model.set_attn_implementation("eager")
    want = logits(model)
    tokenizer(hf)
    if container == "bin":
        as_bin(hf, 3)
    else:
        deal(hf, 3)

    lit.mkdir()
    wmap("run", name, "-i", hf, "-o", lit / "lit_model.pth", "-D", f"name={called}")
    check_valid_checkpoint_dir(lit)
    config = Config.from_checkpoint(lit)
    assert config.name == called
    gpt = GPT(config)
    gpt.load_state_dict(torch.load(lit / "lit_model.pth", mmap=True, weights_only=True), strict=True)
    torch.testing.assert_close(logits(gpt), want, rtol=2e-4, atol=2e-4 * want.abs().max().item())

    wmap("run", "--reverse", name, "-i", lit, "-o", back)
    assert (back / "tokenizer.json").read_bytes() == (hf / "tokenizer.json").read_bytes()
    assert_same(load(back), tensors)
    again = transformers.AutoModelForCausalLM.from_pretrained(back, **eager)
    assert type(again) is type(model)
    assert torch.equal(logits(again), want)


def test_what_litgpt_converted(wmap, tmp_path):
    """LitGPT's own files: tensors written one by one, whose storages have numbers for keys."""
    hf, lit, back = tmp_path / "TinyLlama-1.1B-Chat-v1.0", tmp_path / "lit", tmp_path / "back"
    make(hf, "LlamaForCausalLM", dtype="bf16", **sizes())
    tensors = load(hf)
    convert_hf_checkpoint(hf)
    wmap("run", "litgpt/llama", "-i", hf / "model.safetensors", "-o", lit, "--config", hf / "config.json")
    wmap("diff", hf / "lit_model.pth", lit)
    wmap("run", "--reverse", "litgpt/llama", "-i", hf / "lit_model.pth", "-o", back)
    assert_same(load(back), tensors)


@pytest.mark.parametrize("case", GPT2)
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_gpt2(wmap, tmp_path, case, tied):
    """There and back: transformers loads what comes back as it is, and it computes the same. What is there is held
    against each system's own code or formula in the tests of its maps."""
    name, there = GPT2[case]
    hf, there, back = tmp_path / "hf", tmp_path / there, tmp_path / "back"
    model = make(hf, "GPT2LMHeadModel", n_embd=24, n_layer=3, n_head=4, n_positions=32, vocab_size=57,
                 bos_token_id=1, eos_token_id=2, tie_word_embeddings=tied)
    tensors = load(hf)
    tokenizer(hf)
    deal(hf, 3)
    wmap("run", name, "-i", hf, "-o", there)
    config = [] if there.is_dir() else ["--config", hf / "config.json"]
    wmap("run", "--reverse", name, "-i", there, "-o", back, *config)
    assert_same(load(back), tensors)
    if config:  # one file: nothing goes along
        shutil.copy(hf / "config.json", back)
    again = transformers.AutoModelForCausalLM.from_pretrained(back)
    assert type(again) is type(model)
    assert torch.equal(logits(again), logits(model))
