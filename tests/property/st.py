"""safetensors files, written and read with json, struct and numpy only."""

import json
import struct
from pathlib import Path

import numpy as np

from wmapref.dtypes import DTYPES, Tensor, storage


def pack(t):
    """The bytes of a tensor; types of less than a byte are packed, the first entry in the lowest bits."""
    bits = DTYPES[t.dtype][0]
    if bits >= 8:
        return t.data.tobytes()
    entries = (t.data.reshape(-1, 1) >> np.arange(bits, dtype=np.uint8)) & 1
    return np.packbits(entries.reshape(-1), bitorder="little").tobytes()


def unpack(raw, dtype, shape):
    bits = DTYPES[dtype][0]
    if bits >= 8:
        return Tensor(dtype, np.frombuffer(raw, storage(dtype)).reshape(shape))
    entries = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little").reshape(-1, bits)
    data = (entries << np.arange(bits, dtype=np.uint8)).sum(1, dtype=np.uint8)
    return Tensor(dtype, data.reshape(shape))


def write_file(path, tensors, metadata=None):
    """Write {name: Tensor} as the reference library does: by alignment, then by name."""
    order = list(DTYPES)
    names = sorted(tensors, key=lambda n: (-order.index(tensors[n].dtype), n))
    header, offset = {}, 0
    if metadata is not None:
        header["__metadata__"] = metadata
    for n in names:
        size = len(pack(tensors[n]))
        header[n] = {"dtype": tensors[n].dtype, "shape": list(tensors[n].shape),
                     "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(pack(tensors[n]) for n in names))


def read_file(path):
    raw = Path(path).read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + n])
    header.pop("__metadata__", None)
    out = {}
    for name, h in header.items():
        a, b = h["data_offsets"]
        out[name] = unpack(raw[8 + n + a:8 + n + b], h["dtype"], h["shape"])
    return out


def write(place, state):
    """Write {(file, name): Tensor} into a directory; tensors without a file go into one or two shards."""
    place = Path(place)
    place.mkdir(parents=True, exist_ok=True)
    files = {}
    for (file, name), t in state.items():
        files.setdefault(file or "model.safetensors", {})[name] = t
    for file, tensors in files.items():
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        write_file(place / file, tensors, {"format": "pt"})


def read(place, by_file):
    """{(file, name): Tensor} of all files of a directory; the file is None unless `by_file`."""
    place, out = Path(place), {}
    for path in sorted(place.rglob("*.safetensors")):
        for name, t in read_file(path).items():
            key = (str(path.relative_to(place)) if by_file else None, name)
            assert key not in out, f"{name} is in two files"
            out[key] = t
    return out
