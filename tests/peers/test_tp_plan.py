"""Ranks as transformers cuts them: its own code applies a model's tp_plan, or ep_plan, in a process group that never talks."""

import json

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch.distributed.device_mesh import init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.distributed import DistributedConfig
from transformers.distributed.sharding_utils import DtensorShardOperation
from transformers.distributed.tensor_parallel import apply_tensor_parallelism

from conftest import assert_same, save

SIZES = {"hidden_size": 24, "intermediate_size": 28, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "vocab_size": 12, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
EXPERTS = {"mixtral": {"num_local_experts": 3}, "olmoe": {"num_experts": 3, "num_experts_per_tok": 2},
           "qwen2_moe": {"num_experts": 3, "moe_intermediate_size": 10, "shared_expert_intermediate_size": 14, "mlp_only_layers": [0]},
           "qwen3_moe": {"num_experts": 3, "moe_intermediate_size": 10, "mlp_only_layers": [0]},
           "deepseek_v3": {"n_routed_experts": 4, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "v_head_dim": 4,
                           "qk_nope_head_dim": 4, "moe_intermediate_size": 10, "n_group": 1, "topk_group": 1,
                           "first_k_dense_replace": 1, "num_experts_per_tok": 2}}
MOE = {"n_routed_experts": 4, "moe_intermediate_size": 10, "first_k_dense_replace": 1}
SIZED = {"afmoe": {"num_experts": 4, "moe_intermediate_size": 10, "num_dense_layers": 1}, "deepseek_v2": EXPERTS["deepseek_v3"],
         "deepseek_v3": EXPERTS["deepseek_v3"],
         "dots1": MOE | {"n_group": 1, "topk_group": 1, "n_shared_experts": 1, "num_experts_per_tok": 2},
         "ernie4_5_moe": {"moe_num_experts": 4, "moe_intermediate_size": 10, "moe_layer_start_index": 1},
         "flex_olmo": {"num_experts": 4, "num_experts_per_tok": 2}, "glm4_moe": MOE,
         "gpt_oss": {"num_local_experts": 4, "head_dim": 6}, "hunyuan_v1_moe": {"num_experts": 4, "moe_topk": 2, "head_dim": 6},
         "minimax": {"num_local_experts": 4}, "mixtral": {"num_local_experts": 4}, "phimoe": {"num_local_experts": 4},
         "olmoe": {"num_experts": 4, "num_experts_per_tok": 2}, "qwen2_moe": EXPERTS["qwen2_moe"] | {"num_experts": 4},
         "qwen3_moe": EXPERTS["qwen3_moe"] | {"num_experts": 4},
         "qwen3_next": {"num_experts": 4, "moe_intermediate_size": 10, "shared_expert_intermediate_size": 14, "linear_num_key_heads": 2,
                        "linear_num_value_heads": 4, "linear_key_head_dim": 4, "linear_value_head_dim": 4}}
KINDS = ["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "granite", "cohere", "olmo2", "olmo3", "phi3",
         "glm4", *EXPERTS]


def meta_model(config):
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def ranks(config, full, tp):
    """What each rank has of `full` when transformers loads it."""
    out = []
    for r in range(tp):
        dist.init_process_group("fake", rank=r, world_size=tp, store=FakeStore())
        try:
            model = apply_tensor_parallelism(meta_model(config), init_device_mesh("cpu", (tp,), mesh_dim_names=("tp",)))
            params = dict(model.named_parameters())
            out.append({k: DtensorShardOperation(params[k]).shard_tensor(x) if hasattr(params.get(k), "placements") else x
                        for k, x in full.items()})
        finally:
            dist.destroy_process_group()
    return out


def whole(config, kind, directory):
    """A checkpoint of the model's own names and shapes, every element another number."""
    full, at = {}, 1
    for k, t in meta_model(config).state_dict().items():
        full[k] = torch.arange(at, at + t.numel(), dtype=torch.float32).reshape(t.shape)
        at += t.numel()
    if config.tie_word_embeddings:
        del full["lm_head.weight"]
    directory.mkdir()
    save(full, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps({
        "model_type": kind, "num_hidden_layers": 2, "tie_word_embeddings": config.tie_word_embeddings}))
    return full


@pytest.mark.parametrize("kind", KINDS)
def test_each_plan_both_ways(wmap, tmp_path, kind):
    """Also where nothing divides: 28, 10 and heads by 3."""
    biases = {"attention_bias": True} if kind in ("llama", "granite") else {}
    tied = {"tie_word_embeddings": True} if kind in ("mistral", "olmoe") else {}
    config = CONFIG_MAPPING[kind](**SIZES, **EXPERTS.get(kind, {}), **biases, **tied)
    full = whole(config, kind, tmp_path / "hf")
    for tp in (2,) if kind in ("phi3", "glm4") else (2, 3):  # their fused tensors must divide, says the library
        wmap("run", "transformers5/tp_plan", "-i", tmp_path / "hf", "-o", tmp_path / f"{tp}", "-D", f"tp={tp}")
        want = ranks(config, full, tp)
        assert any(want[0][k].shape != full[k].shape for k in full)
        for r, tensors in enumerate(want):
            assert_same(load_file(tmp_path / f"{tp}/tp_rank_{r:02}.safetensors"), tensors)
        wmap("run", "--reverse", "transformers5/tp_plan", "-i", tmp_path / f"{tp}", "-o", tmp_path / f"b{tp}")
        assert (tmp_path / f"b{tp}/model.safetensors").read_bytes() == (tmp_path / "hf/model.safetensors").read_bytes()


def test_from_a_tensor_for_each_expert(wmap, tmp_path):
    """Packing and cutting as one plan, and back."""
    config = CONFIG_MAPPING["mixtral"](**SIZES, **EXPERTS["mixtral"])
    whole(config, "mixtral", tmp_path / "packed")
    (tmp_path / "packed/config.json").write_text(json.dumps({"model_type": "mixtral", "num_hidden_layers": 2, "num_local_experts": 3}))
    wmap("run", "--reverse", "transformers5/mixtral", "-i", tmp_path / "packed", "-o", tmp_path / "hf")
    wmap("run", "transformers5/tp_plan", "-i", tmp_path / "packed", "-o", tmp_path / "want", "-D", "tp=2")
    both = "transformers5/mixtral >> transformers5/tp_plan(tp = 2)"
    wmap("run", both, "-i", tmp_path / "hf", "-o", tmp_path / "got")
    for r in range(2):
        name = f"tp_rank_{r:02}.safetensors"
        assert (tmp_path / "got" / name).read_bytes() == (tmp_path / "want" / name).read_bytes()
    wmap("run", "--reverse", both, "-i", tmp_path / "got", "-o", tmp_path / "back")
    assert (tmp_path / "back/model.safetensors").read_bytes() == (tmp_path / "hf/model.safetensors").read_bytes()


def test_a_model_without_a_known_plan_is_refused(wmap, tmp_path):
    config = CONFIG_MAPPING["llama"](**SIZES)
    whole(config, "surprise", tmp_path / "hf")
    said = wmap("run", "transformers5/tp_plan", "-i", tmp_path / "hf", "-o", tmp_path / "out", "-D", "tp=2", status=1).stderr
    assert "no line of the shard block matches" in said
    wmap("run", "transformers5/tp_plan", "-i", tmp_path / "hf", "-o", tmp_path / "out", "-D", "tp=2", "-D", "plan=llama")


@pytest.mark.parametrize("kind", SIZED)
def test_experts_by_rank(wmap, tmp_path, kind):
    config = CONFIG_MAPPING[kind](**SIZES, **SIZED[kind])
    config.distributed_config = DistributedConfig(enable_expert_parallel=True)
    full = whole(config, kind, tmp_path / "hf")
    wmap("run", "transformers5/ep_plan", "-i", tmp_path / "hf", "-o", tmp_path / "ep", "-D", "ep=2")
    for r, tensors in enumerate(want := ranks(config, full, 2)):
        assert_same(load_file(tmp_path / f"ep/ep_rank_{r:02}.safetensors"), tensors)
    cut = {k for k in full if want[0][k].shape != full[k].shape}
    assert cut and all(".mlp.experts." in k for k in cut)
    wmap("run", "--reverse", "transformers5/ep_plan", "-i", tmp_path / "ep", "-o", tmp_path / "b")
    assert (tmp_path / "b/model.safetensors").read_bytes() == (tmp_path / "hf/model.safetensors").read_bytes()


def test_experts_that_do_not_divide(wmap, tmp_path):
    """An error there, too; and a model without such a plan."""
    config = CONFIG_MAPPING["mixtral"](**SIZES, **EXPERTS["mixtral"])
    config.distributed_config = DistributedConfig(enable_expert_parallel=True)
    full = whole(config, "mixtral", tmp_path / "hf")
    with pytest.raises(ValueError, match="evenly shard 3 experts"):
        ranks(config, full, 2)
    run = ("run", "transformers5/ep_plan", "-i", tmp_path / "hf", "-o", tmp_path / "out", "-D", "ep=2")
    assert "3 does not divide among 2 ranks" in wmap(*run, status=1).stderr
    assert "no line of the shard block matches" in wmap(*run, "-D", "plan=llama", status=1).stderr
