"""What the tests of the documentation share: the fenced blocks of a page, small checkpoints, and the program.

A block's info string says what it is (docs/diagnostics/README.md and docs/language.md tell the same to writers):

    wmap              a map; the line `wmap 1` may be left out
    wmap wrong CODE?  a map that must raise a code      wmap right     one that must raise none
    wmap NAME.wmap    a file beside the map             json config    the config.json of the input
    tensors           the input: `name dtype sizes... [= value]` a line, `file NAME` before those of a file
    sh                commands after `$ `, and what they print; `sh torch`: only where Python has torch
    python NAME.py    a file beside the map

`wrong` or `right` behind `json config`, `tensors` or `sh` restricts a block to one of the two maps.
"""

import importlib.util
import json
import os
import pathlib
import re
import shlex
import struct
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
WMAP = os.environ.get("WMAP_BIN", "wmap")

NUMPY = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
         "I8": np.int8, "U8": np.uint8, "BOOL": np.uint8}
BITS = {"BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4}


class Block:
    """A fenced block: `kind` is the first word of its info string, `words` the others, `line` where it begins."""

    def __init__(self, page, line, info, text):
        self.page, self.line, self.text = page, line, text
        self.kind, *self.words = info.split() or [""]

    def __repr__(self):
        return f"{self.page.name}:{self.line}"

    def has(self, word):
        return word in self.words


def blocks(page):
    """All fenced blocks of a page, in order."""
    found, fence, info, start, lines = [], None, "", 0, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        mark = re.match(r"(`{3,})(.*)$", line)
        if fence is None and mark:
            fence, info, start, lines = mark[1], mark[2], number, []
        elif fence is not None and line == fence:
            found.append(Block(page, start, info, "\n".join(lines) + "\n"))
            fence = None
        elif fence is not None:
            lines.append(line)
    assert fence is None, f"{page}:{start}: the block has no end"
    return found


def map_bytes(block):
    """The text of a map block; in a block that says `bytes`, \\xNN is a byte."""
    text = block.text.encode()
    if block.has("bytes"):
        text = re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), text)
    return text


def values(dtype, shape, number, constant):
    """Bytes of a tensor whose elements differ: consecutive numbers from `number`, or one constant."""
    count = int(np.prod(shape, dtype=np.int64))
    line = np.full(count, constant) if constant is not None else np.arange(number, number + count)
    if dtype in NUMPY:
        return line.astype(NUMPY[dtype]).tobytes()
    if dtype == "BF16":
        return (line.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return (line.astype(np.uint64) % 251).astype(np.uint8).tobytes()[: count * BITS[dtype] // 8]


def write_safetensors(path, tensors):
    """tensors: (name, dtype, shape, bytes), laid out in this order."""
    header, offset = {}, 0
    for name, dtype, shape, data in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(t[3] for t in tensors))


def write_checkpoint(directory, text):
    """The files of a `tensors` block."""
    files, name, number = {}, "model.safetensors", 0
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        left, _, constant = line.partition("=")
        words = left.split()
        if not words:
            continue
        if words[0] == "file":
            name = words[1]
            files.setdefault(name, [])
            continue
        key, dtype, *sizes = words
        shape = [int(s) for s in sizes]
        data = values(dtype, shape, number, float(constant) if constant else None)
        number += int(np.prod(shape, dtype=np.int64))
        files.setdefault(name, []).append((key, dtype, shape, data))
    for name, tensors in files.items():
        write_safetensors(directory / name, tensors)


def wmap(arguments, cwd, text=None):
    """Run the program: (status, standard output, standard error)."""
    env = {**os.environ, "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "COLUMNS": "120"}
    done = subprocess.run([WMAP, *arguments], cwd=cwd, env=env, input=text, capture_output=True, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def commands(block):
    """The commands of a `sh` block, each as a list of words; a line that ends in a backslash goes on."""
    text = block.text.replace("\\\n", " ")
    return [shlex.split(line[2:], comments=True) for line in text.splitlines() if line.startswith("$ ")]


def plain(text):
    """Output without what differs from run to run (time, rate, place) and without trailing space."""
    text = re.sub(r"(wrote .*?) in [\d.]+ s \(.*?/s\)( -> \S+)?", r"\1", text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def steps(block):
    """The commands of a `sh` block as (command, what is shown below it)."""
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        command, _, shown = part.partition("\n")
        while command.endswith("\\"):
            more, _, shown = shown.partition("\n")
            command += "\n" + more
        yield command, shown.strip("\n")


def shell(command, cwd):
    """What a command prints, errors first, with `wmap` being the program under test."""
    tools = cwd / ".bin"
    tools.mkdir(exist_ok=True)
    if not (tools / "wmap").exists():
        (tools / "wmap").symlink_to(pathlib.Path(WMAP).resolve())
    if not (tools / "python3").exists():  # no link: an environment is found by where its program lies
        (tools / "python3").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        (tools / "python3").chmod(0o755)
    env = {**os.environ, "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "COLUMNS": "120", "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", command], cwd=cwd, env=env, capture_output=True, text=True, timeout=60)
    return plain(done.stderr + done.stdout)


def can_run(block):
    """False: a `sh` block needs a library that this Python lacks."""
    return not block.has("torch") or importlib.util.find_spec("torch") is not None


def session(block, cwd):
    """Run a `sh` block's commands in order; each must print exactly the lines below it."""
    for command, shown in steps(block):
        assert shell(command, cwd) == plain(shown), f"{block}: {command} (tests/docs/bless.py writes it anew)"


def read_tensors(directory):
    """{name: ("dtype [sizes]", values or None)} of a directory; `file:name` where it has several data files."""
    files = sorted(directory.rglob("*.safetensors"))
    found = {}
    for file in files:
        data = file.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        for name, t in json.loads(data[8 : 8 + size]).items():
            if name == "__metadata__":
                continue
            raw = data[8 + size + t["data_offsets"][0] : 8 + size + t["data_offsets"][1]]
            numbers = None
            if t["dtype"] in NUMPY:
                numbers = np.frombuffer(raw, NUMPY[t["dtype"]]).astype(float).tolist()
            elif t["dtype"] == "BF16":
                wide = np.frombuffer(raw, np.uint16).astype(np.uint32) << 16
                numbers = wide.view(np.float32).astype(float).tolist()
            label = name if len(files) == 1 else f"{file.relative_to(directory)}:{name}"
            found[label] = (f"{t['dtype']} [{' '.join(map(str, t['shape']))}]", numbers)
    return found
