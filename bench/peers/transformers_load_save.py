"""transformers 5: load (which packs the experts) and save (which takes them apart).  argv: DIRECTORY OUTPUT [load]"""
import sys

import torch
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
if "load" not in sys.argv[3:]:
    model.save_pretrained(sys.argv[2])
