"""Shard directories as optimum-neuron's training writes them, made by optimum-neuron's own code.

    neuron_reference.py OUT

Runs in the second environment of setup.sh. Its transformations and its consolidation are two files that need no
accelerator; they are loaded by path, with modules that only cut (`create_local_weight`) in place of
neuronx-distributed. For each case OUT/NAME has hf/ (the whole model and its config.json), shards/ (metadata and, for
each rank, model/*.pt as safetensors and as torch writes it), case.json, and consolidated.safetensors: what the
consolidation gave back."""

import importlib.util
import itertools
import json
import shutil
import sys
import types
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

RANK = {"rank": 0, "size": 1}


def stub(name, **attributes):
    module = types.ModuleType(name)
    module.__path__ = []
    vars(module).update(attributes)
    sys.modules[name] = module


def local_weight(weight, dim, size, stride, out_weight=None):
    """Blocks of size / stride; every `size of the group`-th of them, from the rank on."""
    assert size % stride == 0
    return torch.cat(torch.split(weight, size // stride, dim)[RANK["rank"]::RANK["size"]], dim)


def load():
    import optimum  # the namespace package: optimum.utils.logging

    base = next(Path(p) / "neuron" for p in optimum.__path__ if (Path(p) / "neuron/models/training").is_dir())
    stub("neuronx_distributed")
    stub("neuronx_distributed.parallel_layers")
    stub("neuronx_distributed.parallel_layers.layers", create_local_weight=local_weight)
    stub("neuronx_distributed.parallel_layers.parallel_state",
         get_tensor_model_parallel_rank=lambda: RANK["rank"], get_tensor_model_parallel_size=lambda: RANK["size"])
    for name in ("", ".models", ".models.training", ".utils", ".peft"):
        stub("optimum.neuron" + name)
    stub("optimum.neuron.models.training.modeling_utils", MODEL_PARALLEL_SHARDS_DIR_NAME="shards")
    stub("optimum.neuron.peft.peft_model", ADAPTER_MODEL_PARALLEL_SHARDS_DIR_NAME="adapter_shards")
    found = []
    for name in ("utils.import_utils", "models.training.transformations_utils", "models.training.checkpointing"):
        spec = importlib.util.spec_from_file_location("optimum.neuron." + name, base / f"{name.replace('.', '/')}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        found.append(module)
    return found[1:]


def numbered(start, *shape):
    """Integers that a float32 holds exactly: every element can be told from every other."""
    n = torch.Size(shape).numel()
    return torch.arange(start, start + n, dtype=torch.float32).reshape(shape), start + n


def whole_model(c):
    q, k, e, f = c["heads"] * c["d"], c["kv_heads"] * c["d"], c["hidden"], c["inter"]
    shapes = {"model.embed_tokens.weight": (c["vocab"], e)}
    for i in range(c["layers"]):
        p = f"model.layers.{i}."
        shapes |= {p + "self_attn.q_proj.weight": (q, e), p + "self_attn.k_proj.weight": (k, e),
                   p + "self_attn.v_proj.weight": (k, e), p + "self_attn.o_proj.weight": (e, q),
                   p + "mlp.gate_proj.weight": (f, e), p + "mlp.up_proj.weight": (f, e),
                   p + "mlp.down_proj.weight": (e, f), p + "input_layernorm.weight": (e,),
                   p + "post_attention_layernorm.weight": (e,)}
        if c["kind"] == "qwen3":
            shapes |= {p + "self_attn.q_norm.weight": (c["d"],), p + "self_attn.k_norm.weight": (c["d"],)}
    shapes |= {"model.norm.weight": (e,), "lm_head.weight": (c["vocab"], e)}
    model, at = {}, 1
    for key, shape in shapes.items():
        model[key], at = numbered(at, *shape)
    return model


def parameter(shape, dim=None, stride=1, tp=1):
    p = torch.nn.Parameter(torch.empty(shape, device="meta"), requires_grad=False)
    if dim is not None:
        p.tensor_model_parallel, p.partition_dim, p.partition_stride, p.num_partitions = True, dim, stride, tp
    return p


def parallel_model(tr, c):
    """The parameters that the model's class makes on a rank, and its transformation specs by module."""
    tp, d, e, f, m = c["tp"], c["d"], c["hidden"], c["inter"], c["m"]
    q, kv = c["heads"] * d // tp, c["kv_heads"] * d * m // tp
    table = parameter((c["vocab"], e)) if c["kind"] == "granite" else parameter((c["vocab"] // tp, e), 0, 1, tp)
    named, specs = {"model.embed_tokens.weight": table}, {}
    for i in range(c["layers"]):
        p = f"model.layers.{i}."
        a = tr.ModelWeightTransformationSpecs(module_fully_qualified_name=p + "self_attn")
        if c["tiled"]:
            if c["fuse"]:
                named[p + "self_attn.qkv_proj.weight_qkv"] = parameter((q + 2 * kv, e))
            else:
                for x, n in (("q", q), ("k", kv), ("v", kv)):
                    named[p + f"self_attn.qkv_proj.weight_{x}"] = parameter((n, e), 0, 1, tp)
            a.add_spec(tr.GQAQKVColumnParallelLinearSpec(
                "qkv_proj", "q_proj", "k_proj", "v_proj", "o_proj", c["heads"], c["kv_heads"], m, q, kv, c["fuse"], False))
        elif c["fuse"] and c["heads"] == c["kv_heads"]:
            named[p + "self_attn.qkv_proj.weight"] = parameter((3 * q, e), 0, 3, tp)
            a.add_spec(tr.FusedLinearsSpec("qkv_proj", ["q_proj", "k_proj", "v_proj"], False, "column", [q * tp] * 3))
        else:
            for x, n in (("q", q), ("k", kv), ("v", kv)):
                named[p + f"self_attn.{x}_proj.weight"] = parameter((n, e), 0, 1, tp)
        named[p + "self_attn.o_proj.weight"] = parameter((e, q), 1, 1, tp)
        named[p + "mlp.gate_up_proj.weight"] = parameter((2 * f // tp, e), 0, 2, tp)
        named[p + "mlp.down_proj.weight"] = parameter((e, f // tp), 1, 1, tp)
        for x in ("input_layernorm", "post_attention_layernorm"):
            named[p + x + ".weight"] = parameter((e,))
        for x in ("q_norm", "k_norm") if c["kind"] == "qwen3" else ():
            named[p + f"self_attn.{x}.weight"] = parameter((d,))
        specs[p + "self_attn"] = a
        specs[p + "mlp"] = tr.ModelWeightTransformationSpecs(
            module_fully_qualified_name=p + "mlp",
            specs=tr.FusedLinearsSpec("gate_up_proj", ["gate_proj", "up_proj"], False, "column", [f, f]))
    named["model.norm.weight"] = parameter((e,))
    named["lm_head.weight"] = table
    return named, specs


class Model(torch.nn.Module):
    """What the functions of the library ask of a model."""

    def __init__(self, tr, named, specs, stage):
        super().__init__()
        self.tr, self.named, self.specs_of, self.parameters_for_current_stage = tr, named, specs, stage

    def named_parameters(self, *args, **kw):
        return iter(self.named.items())

    def named_modules(self, *args, **kw):
        for name, specs in self.specs_of.items():
            module = self.tr.CustomModule()
            module.specs = specs
            yield name, module


def stage_of(name, c):
    """The stage of a parameter: the last ones take one layer more each."""
    if not name.startswith("model.layers."):
        return 0 if "embed_tokens" in name else c["pp"] - 1
    ends, sizes = 0, [c["layers"] // c["pp"] + (s >= c["pp"] - c["layers"] % c["pp"]) for s in range(c["pp"])]
    for stage, n in enumerate(sizes):
        ends += n
        if int(name.split(".")[2]) < ends:
            return stage


def write_case(tr, ck, out, c):
    shutil.rmtree(out, ignore_errors=True)
    (out / "hf").mkdir(parents=True)
    (out / "shards/model").mkdir(parents=True)
    full = whole_model(c)
    save_file(full, out / "hf/model.safetensors", metadata={"format": "pt"})
    (out / "hf/config.json").write_text(json.dumps({
        "model_type": c["kind"], "num_hidden_layers": c["layers"], "num_attention_heads": c["heads"],
        "num_key_value_heads": c["kv_heads"], "head_dim": c["d"], "hidden_size": c["hidden"],
        "intermediate_size": c["inter"], "vocab_size": c["vocab"]}))
    for stage, rank in itertools.product(range(c["pp"]), range(c["tp"])):
        RANK.update(rank=rank, size=c["tp"])
        named, specs = parallel_model(tr, c)
        here = {n for n in named if stage_of(n, c) == stage}
        model = Model(tr, named, specs, here)
        got = tr.adapt_state_dict(model, dict(full), {}, inplace=False)
        got = {k: v.contiguous().clone() for k, v in got.items() if k in here}
        assert {k: v.shape for k, v in got.items()} == {k: named[k].shape for k in here}
        name = f"dp_rank_00_tp_rank_{rank:02}_pp_rank_{stage:02}.pt"
        torch.save(got, out / "shards/model" / name)
        save_file(got, out / name, metadata={"format": "pt"})
        if rank == 0:
            (out / f"shards/mp_metadata_pp_rank_{stage}.json").write_text(
                json.dumps(tr.create_parameter_metadata(model), indent=4))
    RANK.update(rank=0, size=1)
    ck.consolidate_model_parallel_checkpoints_to_unified_checkpoint(out, out / "consolidated")
    shutil.copy(out / "consolidated/model.safetensors", out / "consolidated.safetensors")
    assert load_file(out / "consolidated.safetensors").keys() == full.keys()
    (out / "case.json").write_text(json.dumps(c))


def cases():
    base = {"kind": "llama", "heads": 8, "d": 2, "hidden": 6, "inter": 16, "vocab": 16, "layers": 1, "pp": 1}
    for kv, tp, m, fuse in itertools.product((1, 2, 4, 8), (1, 2, 4, 8), (1, 2, 4, 8), (False, True)):
        if kv * m % tp == 0 and tp % m == 0 and 8 % (kv * m) == 0:
            yield dict(base, kv_heads=kv, tp=tp, m=m, fuse=fuse, tiled=True)
    for kv, tp, fuse in ((8, 4, True), (8, 4, False), (4, 2, False), (4, 2, True), (8, 1, True)):
        yield dict(base, kv_heads=kv, tp=tp, m=1, fuse=fuse, tiled=False)
    for kind, kv, tp, m, pp, layers in (("llama", 2, 4, 2, 2, 3), ("llama", 8, 2, 1, 3, 5), ("qwen3", 2, 4, 2, 1, 2),
                                        ("qwen3", 8, 2, 1, 2, 2), ("granite", 2, 4, 2, 2, 2), ("granite", 4, 4, 1, 1, 1)):
        yield dict(base, kind=kind, kv_heads=kv, tp=tp, m=m, fuse=False, tiled=kv < tp or kv % tp != 0, pp=pp, layers=layers)


if __name__ == "__main__":
    tr, ck = load()
    tr.logger.warning = lambda *args, **kw: None
    for c in cases():
        write_case(tr, ck, Path(sys.argv[1]) / "-".join(str(v) for v in c.values()), c)
