"""What OLMo-core's mapping of OLMoE does, with torch: experts side by side, transposed.  argv: INPUT.safetensors OUTPUT"""
import re
import sys
from collections import defaultdict

import torch
from safetensors import safe_open
from safetensors.torch import save_file

out, experts = {}, defaultdict(dict)
with safe_open(sys.argv[1], "pt") as f:
    for name in f.keys():
        m = re.match(r"model\.layers\.(\d+)\.mlp\.experts\.(\d+)\.(\w+)_proj\.weight", name)
        if m:
            experts[m[1], {"gate": "w1", "up": "w3", "down": "w2"}[m[3]]][int(m[2])] = name
        else:
            out[name] = f.get_tensor(name)
    for (layer, w), names in experts.items():
        parts = [f.get_tensor(names[k]).t() for k in range(len(names))]
        out[f"blocks.{layer}.feed_forward_moe.experts.mlp.{w}"] = torch.cat(parts, 0).contiguous()
save_file(out, sys.argv[2], metadata={"format": "pt"})
