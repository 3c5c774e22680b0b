"""What a careful hand writes with numpy: the work of maps/rope_qkv.wmap.  argv: INPUT.safetensors CONFIG OUTPUT THREADS

The source is mapped, the destination reserved; every tensor is gathered into one array and written by one call.
"""
import json
import os
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

source, config, target, threads = sys.argv[1:5]
config = json.load(open(config))
heads = config["num_attention_heads"]
groups = config["num_key_value_heads"]

raw = np.memmap(source, np.uint8, "r")
size = struct.unpack("<Q", raw[:8].tobytes())[0]
header = json.loads(raw[8:8 + size].tobytes())
header.pop("__metadata__", None)
data = raw[8 + size:]
tensors = {name: data[slice(*t["data_offsets"])].view(np.uint16).reshape(t["shape"]) for name, t in header.items()}


def rotary(w, n):  # halves of a head -> pairs, for n heads
    return w.reshape(n, 2, -1, w.shape[1]).swapaxes(1, 2).reshape(n, -1, w.shape[1])


def make(name):
    if not name.endswith("qkv.weight"):
        return tensors[name]
    q, k, v = (tensors[name.replace("qkv", p + "_proj")] for p in "qkv")
    d = q.shape[0] // heads
    out = np.empty((groups, heads // groups + 2, d, q.shape[1]), np.uint16)
    out[:, :-2] = rotary(q, heads).reshape(groups, -1, d, q.shape[1])
    out[:, -2] = rotary(k, groups)
    out[:, -1] = v.reshape(groups, d, -1)
    return out


names, shapes = [], {}
for name in sorted(tensors):
    if name.endswith(("k_proj.weight", "v_proj.weight")):
        continue
    shape = list(tensors[name].shape)
    if name.endswith("q_proj.weight"):
        shape[0] += 2 * tensors[name.replace("q_proj", "k_proj")].shape[0]
        name = name.replace("q_proj", "qkv")
    names.append(name)
    shapes[name] = shape
names.sort()
at, header = 0, {"__metadata__": {"format": "pt"}}
for name in names:
    n = 2 * int(np.prod(shapes[name]))
    header[name] = {"dtype": "BF16", "shape": shapes[name], "data_offsets": [at, at + n]}
    at += n
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
os.posix_fallocate(fd, 0, 8 + len(text) + at)
os.pwrite(fd, struct.pack("<Q", len(text)) + text, 0)


def write(name):
    os.pwrite(fd, make(name), 8 + len(text) + header[name]["data_offsets"][0])


with ThreadPoolExecutor(int(threads)) as pool:
    list(pool.map(write, names))
os.close(fd)
