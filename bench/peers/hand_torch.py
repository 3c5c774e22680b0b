"""What is usually written with torch: the work of maps/rope_qkv.wmap.  argv: INPUT.safetensors CONFIG OUTPUT"""
import json
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file

source, config, target = sys.argv[1:4]
config = json.load(open(config))
heads = config["num_attention_heads"]
groups = config["num_key_value_heads"]


def rotary(w, n):
    return w.view(n, 2, -1, w.shape[1]).transpose(1, 2).reshape(n, -1, w.shape[1])


out = {}
with safe_open(source, "pt") as f:
    for name in f.keys():
        if name.endswith(("k_proj.weight", "v_proj.weight")):
            continue
        if not name.endswith("q_proj.weight"):
            out[name] = f.get_tensor(name)
            continue
        q, k, v = (f.get_tensor(name.replace("q_proj", p + "_proj")) for p in "qkv")
        d, e = q.shape[0] // heads, q.shape[1]
        parts = (rotary(q, heads).view(groups, heads // groups, d, e), rotary(k, groups).view(groups, 1, d, e),
                 v.view(groups, 1, d, e))
        out[name.replace("q_proj", "qkv")] = torch.cat(parts, 1).reshape(-1, e)
save_file(out, target, metadata={"format": "pt"})
