"""Small models with random weights, saved as Hugging Face's library saves them."""

import json

import torch
import transformers

from conftest import load, save

HEADS = {"grouped": (4, 2), "multi-query": (4, 1), "multi-head": (4, 4)}  # query heads, key heads
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}

transformers.utils.logging.disable_progress_bar()


def sizes(heads="grouped", **more):
    """Sizes that all differ where they can: a mix-up of two of them must not fit by chance."""
    q, kv = HEADS[heads]
    return {
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 3,
        "num_attention_heads": q,
        "num_key_value_heads": kv,
        "vocab_size": 56,
        "max_position_embeddings": 32,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        **more,
    }


def make(directory, architecture, dtype="f32", files=1, **config):
    """Save a model of transformers' class `architecture` with random weights in `directory`; return
    the model.

    Every parameter and stored buffer is random, norms and biases too: what is swapped or
    forgotten shows."""
    cls = getattr(transformers, architecture)
    torch.manual_seed(0)
    model = cls(cls.config_class(**config)).to(DTYPES[dtype])
    for key, tensor in model.state_dict().items():
        tensor.copy_(torch.randn(tensor.shape))
        if key.endswith("e_score_correction_bias"):  # float32, whatever the rest is
            model.get_submodule(key.rpartition(".")[0]).e_score_correction_bias = tensor.float()
    directory.mkdir(parents=True)
    model.save_pretrained(directory)
    if files > 1:
        deal(directory, files)
    return model


def deal(directory, files):
    """Deal the tensors of a saved model to several files, so that those which are fused come
    from different ones."""
    tensors = load(directory)
    (directory / "model.safetensors").unlink()
    where = {}
    for i in range(files):
        name = f"model-{i + 1:05}-of-{files:05}.safetensors"
        part = {k: tensors[k] for k in sorted(tensors)[i::files]}
        save(part, directory / name)
        where |= dict.fromkeys(part, name)
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(where.items()))}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


class Source:
    """A saved model: its directory, its configuration and its tensors as the files have them."""

    def __init__(self, directory, model, tensors):
        self.directory = directory
        self.model = model
        self.config = model.config
        self.tensors = tensors
