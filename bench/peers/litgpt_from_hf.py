"""LitGPT's own conversion from Hugging Face.  argv: DIRECTORY (its name is that of a model that LitGPT knows)"""
import sys
from pathlib import Path

from litgpt.scripts.convert_hf_checkpoint import convert_hf_checkpoint

convert_hf_checkpoint(Path(sys.argv[1]))
