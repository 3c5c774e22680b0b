"""Makes small models, adapters of them and what PEFT's merge_and_unload makes of both: python peft_save.py DIR.

DIR/CASE has base, adapter and merged, each as its library saves it. Weights and factors are multiples of powers of two, so
that float32 holds every sum exactly, in any order."""

import sys
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel, GptOssConfig, GptOssForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers import MixtralConfig, MixtralForCausalLM

warnings.filterwarnings("ignore")
SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64}


def llama():
    return LlamaForCausalLM(LlamaConfig(hidden_size=32, intermediate_size=48, attention_bias=True, **SHAPE))


def gpt2():
    return GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=64, n_positions=16, bos_token_id=0,
                                      eos_token_id=0))  # fmt: skip


def mixtral():
    return MixtralForCausalLM(MixtralConfig(hidden_size=32, intermediate_size=48, num_local_experts=4, **SHAPE))


def gpt_oss():
    return GptOssForCausalLM(GptOssConfig(hidden_size=32, intermediate_size=32, head_dim=8, num_local_experts=4, **SHAPE))


EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
CASES = {
    "patterns": (llama, dict(target_modules=["q_proj", "k_proj", "down_proj"], rank_pattern={r"layers\.1\.self_attn.*": 2},
                             alpha_pattern={r"layers\.\d+\.self_attn\.q_proj": 16, r"(?:up|down)_proj": 2})),
    "rslora": (llama, dict(target_modules="all-linear", use_rslora=True, rank_pattern={"up_proj": 16})),
    "embedding": (llama, dict(target_modules=["embed_tokens", "lm_head", "v_proj"])),
    "bias": (llama, dict(target_modules=["q_proj", "o_proj"], bias="all", modules_to_save=["norm"])),
    "conv1d": (gpt2, dict(target_modules=["c_attn", "c_proj", "wte"], fan_in_fan_out=True)),
    "mixtral": (mixtral, dict(target_modules=["q_proj"], target_parameters=EXPERTS, rank_pattern={EXPERTS[1]: 2})),
    "router": (mixtral, dict(target_modules=[], target_parameters=["gate.weight"])),
    "gpt_oss": (gpt_oss, dict(target_modules=["q_proj"], target_parameters=EXPERTS)),
}  # fmt: skip


def rounded(parameters):
    for p in parameters:
        p.data = torch.randint(-8, 8, p.shape).to(p.dtype) / 8


def main(out):
    for name, (make, config) in CASES.items():
        torch.manual_seed(len(name))
        model = make()
        rounded(model.parameters())
        model.save_pretrained(out / name / "base")
        adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, **config))
        rounded(p for p in adapted.parameters() if p.requires_grad)
        adapted.save_pretrained(out / name / "adapter")
        base = type(model).from_pretrained(out / name / "base")
        PeftModel.from_pretrained(base, out / name / "adapter").merge_and_unload().save_pretrained(out / name / "merged")


main(Path(sys.argv[1]))
