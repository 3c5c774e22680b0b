"""Merges an adapter by PEFT itself: python peft_merge.py BASE.safetensors ADAPTER OUT.safetensors.

The model is bare: a Linear (or Embedding, where the name says so) for each weight, in modules by their names."""

import sys

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file


def main(base, adapter, out):
    state = load_file(base)
    model = torch.nn.Module()
    for key, weight in state.items():
        *path, last = key.removesuffix(".weight").split(".")
        at = model
        for name in path:
            if not hasattr(at, name):
                at.add_module(name, torch.nn.Module())
            at = getattr(at, name)
        if weight.ndim == 1:
            leaf = torch.nn.LayerNorm(weight.shape[0], bias=False)
        elif "embed" in key:
            leaf = torch.nn.Embedding(*weight.shape)
        else:
            leaf = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        at.add_module(last, leaf)
    model.load_state_dict(state)
    merged = PeftModel.from_pretrained(model, adapter).merge_and_unload(safe_merge=True)
    save_file({k: v.contiguous() for k, v in merged.state_dict().items()}, out)


main(*sys.argv[1:])
