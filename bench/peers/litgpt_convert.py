"""LitGPT's own conversions.  argv: to|from DIRECTORY OUTPUT

`to` writes beside its input and takes the model from the name of the directory: the output is a directory of that name
with links to the input's files, in OUTPUT.
"""
import sys
from pathlib import Path

from litgpt.scripts.convert_hf_checkpoint import convert_hf_checkpoint
from litgpt.scripts.convert_lit_checkpoint import convert_lit_checkpoint

way, source, output = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3])
if way == "to":
    place = output / source.name
    place.mkdir(parents=True)
    for path in source.iterdir():
        (place / path.name).symlink_to(path)
    convert_hf_checkpoint(place)
else:
    output.mkdir(parents=True)
    convert_lit_checkpoint(source, output)
