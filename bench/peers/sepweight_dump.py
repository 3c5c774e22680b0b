"""llm_sepweight's own conversion of safetensors files (it takes one only).  argv: DIRECTORY OUTPUT"""
import sys
from pathlib import Path

from llm_sepweight.safetensors_conversion import convert_safetensors_files


def decider(key):
    if key.startswith("model.layers."):
        _, _, layer, name = key.split(".", 3)
        return ["mid", layer, name]
    return ["start" if "embed_tokens" in key else "end", key.removeprefix("model.")]


convert_safetensors_files(Path(sys.argv[1]), Path(sys.argv[2]), decider)
