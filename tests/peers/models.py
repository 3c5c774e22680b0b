"""Small models with random weights, saved as Hugging Face's library saves them."""

import torch
import transformers

HEADS = {"grouped": (4, 2), "multi-query": (4, 1), "multi-head": (4, 4)}  # query heads, key heads
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}

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


def make(directory, architecture, dtype="f32", shard=None, **config):
    """Save a model of transformers' class `architecture` with random weights in `directory`; return the model.

    Every parameter is random, norms and biases too: what is swapped or forgotten shows.  With `shard` the files
    hold at most that many bytes each, so that q, k and v of a layer lie in different ones."""
    cls = getattr(transformers, architecture)
    torch.manual_seed(0)
    model = cls(cls.config_class(**config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    model = model.to(DTYPES[dtype])
    directory.mkdir(parents=True)
    model.save_pretrained(directory, max_shard_size=shard or "5GB")
    count = len(list(directory.glob("*.safetensors")))
    assert count > 2 if shard else count == 1, count
    return model


class Source:
    """A saved model: its directory, its configuration and its tensors as the files have them."""

    def __init__(self, directory, model, tensors):
        self.directory = directory
        self.model = model
        self.config = model.config
        self.tensors = tensors
