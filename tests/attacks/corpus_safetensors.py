"""Hostile and unusual safetensors checkpoints, each with the verdict that is due.

`cases()` yields rows (name, build, status, needle): `build(dir)` writes the files of one row and
returns the path to inspect; status is the exit status of `wmap inspect` (0 or 2); needle is a piece
of the message that must be there (the tensor, the offset, the reason), or None.

Run as a program, it writes the whole corpus into a directory and a list of verdicts.
"""

import json
import os
import struct
import sys

MAX_HEADER = 100_000_000


# ---- building ----

def raw(header, data=b"", length=None):
    """A file of these header bytes; `length` lies about their number."""
    if isinstance(header, str):
        header = header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(dtype="U8", shape="[1]", begin="0", end="1", name="a", more=""):
    return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]{more}}}'


def obj(*entries):
    return "{" + ",".join(entries) + "}"


def one(content, name="model.safetensors"):
    """A row that is one file."""
    def build(folder):
        path = os.path.join(folder, name)
        with open(path, "wb") as f:
            f.write(content() if callable(content) else content)
        return path
    return build


def folder_of(files, path=""):
    """A row that is a directory: {name: bytes, or ("link", target)}."""
    def build(folder):
        for name, content in files.items():
            full = os.path.join(folder, name)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            if isinstance(content, tuple):
                os.symlink(content[1], full)
            else:
                with open(full, "wb") as f:
                    f.write(content)
        return os.path.join(folder, path) if path else folder
    return build


def sparse(size, header=None):
    def build(folder):
        path = os.path.join(folder, "model.safetensors")
        with open(path, "wb") as f:
            if header:
                f.write(header)
            f.truncate(size)
        return path
    return build


# ---- rows ----

def lengths():
    yield "empty file", one(b""), 2, "0 bytes"
    for n in range(1, 8):
        yield f"{n} bytes", one(b"\0" * n), 2, f"{n} bytes"
    yield "length only", one(raw(b"")), 2, "header"
    yield "length zero and data", one(raw(b"", b"1234")), 2, "header"
    yield "length past the end by one", one(raw("{}", length=3)), 2, "3 bytes long"
    yield "length cuts the header", one(raw("{} ", length=1)), 2, "byte 1"
    yield "length one more than the limit", one(raw("{}", length=MAX_HEADER + 1)), 2, "limit"
    yield "length at the limit, file too short", one(raw("{}", length=MAX_HEADER)), 2, "100000000"
    for n in (2**31, 2**32, 2**32 + 2, 2**63 - 1, 2**63, 2**63 + 2, 2**64 - 8, 2**64 - 7, 2**64 - 1):
        yield f"length {n}", one(raw("{}", length=n)), 2, str(n)
    yield "big-endian length", one(struct.pack(">Q", 2) + b"{}"), 2, "limit"
    yield "limit reached, sparse zeros", sparse(8 + MAX_HEADER, struct.pack("<Q", MAX_HEADER)), 2, "byte 0"
    yield "limit reached, all blanks", one(lambda: raw("{}" + " " * (MAX_HEADER - 2))), 0, None


def texts():
    good = obj(entry())
    bad = {
        "not JSON": "hello", "a list": "[]", "a string": '"x"', "a number": "5", "null": "null", "true": "true",
        "only blanks": "    ", "only an opening brace": "{", "no closing brace": good[:-1],
        "two values": good + "{}", "junk behind": good + "x", "comma behind": good + ",",
        "trailing comma": good[:-1] + ",}", "leading comma": "{," + good[1:], "comment": "{/*x*/" + good[1:],
        "line comment": "//x\n" + good, "single quotes": good.replace('"', "'"),
        "bare key": '{a:{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', "missing colon": good.replace('"a":', '"a" '),
        "bad escape": obj(entry(name="a\\x")), "short unicode escape": obj(entry(name="a\\u12")),
        "lone high surrogate": obj(entry(name="\\ud800")), "lone low surrogate": obj(entry(name="\\udc00")),
        "two high surrogates": obj(entry(name="\\ud800\\ud800")),
        "tab in a name": obj(entry(name="a\tb")), "line end in a name": obj(entry(name="a\nb")),
        "form feed between": "{\f" + good[1:], "vertical tab between": "{\v" + good[1:],
        "no-break space between": "{\u00a0" + good[1:], "hex number": obj(entry(begin="0x0")),
        "NaN": obj(entry(begin="NaN")), "octal": obj(entry(end="01")),
    }
    for name, text in bad.items():
        yield name, one(raw(text, b"1")), 2, "header"
    for name, text in {
        "BOM": b"\xef\xbb\xbf" + good.encode(), "NUL in front": b"\0" + good.encode(), "NUL behind": good.encode() + b"\0",
        "UTF-16": good.encode("utf-16"), "latin-1 name": obj(entry(name="\xe9")).encode("latin-1"),
        "overlong slash": b'{"\xc0\xaf":1}', "surrogate in UTF-8": b'{"\xed\xa0\x80":1}', "above U+10FFFF": b'{"\xf4\x90\x80\x80":1}',
        "cut character": b'{"\xe2\x82":1}', "NUL in a name": obj(entry(name="a\0b")).encode(),
    }.items():
        yield name, one(raw(text, b"1")), 2, "header"
    for n in (127, 200, 100_000):
        deep = '{"x":' + "[" * n + "]" * n + "}"
        yield f"nested {n} times", one(raw(deep)), 2, None
        yield f"metadata nested {n} times", one(raw('{"__metadata__":' + deep + "}")), 2, None
    yield "unknown field, nested past the limit", \
        one(raw(obj(entry(more=',"x":' + "[" * 200 + "]" * 200)), b"1")), 2, "too deeply"
    yield "brackets without end", one(raw("[" * 1_000_000)), 2, None
    yield "objects without end", one(raw('{"a":' * 200_000)), 2, None
    yield "escape for NUL in a name", one(raw(obj(entry(name="a\\u0000b")), b"1")), 2, "NUL"


def entries():
    for name, text in {
        "entry null": '"a":null', "entry list": '"a":["U8",[1],[0,1]]', "entry string": '"a":"U8"', "entry empty": '"a":{}',
        "no dtype": '"a":{"shape":[1],"data_offsets":[0,1]}', "no shape": '"a":{"dtype":"U8","data_offsets":[0,1]}',
        "no offsets": '"a":{"dtype":"U8","shape":[1]}', "dtype null": entry().replace('"U8"', "null"),
        "dtype number": entry().replace('"U8"', "7"), "dtype list": entry().replace('"U8"', '["U8"]'),
        "shape null": entry(shape="null"), "shape number": entry(shape="1"), "shape string": entry(shape='"1"'),
        "shape object": entry(shape='{"0":1}'), "shape of null": entry(shape="[null]"), "shape of strings": entry(shape='["1"]'),
        "shape of lists": entry(shape="[[1]]"), "shape of true": entry(shape="[true]"),
        "offsets null": '"a":{"dtype":"U8","shape":[1],"data_offsets":null}',
        "offsets empty": '"a":{"dtype":"U8","shape":[0],"data_offsets":[]}',
        "one offset": '"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}',
        "three offsets": '"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}',
        "offsets of strings": entry(begin='"0"', end='"1"'), "offsets object": '"a":{"dtype":"U8","shape":[1],"data_offsets":{"0":0,"1":1}}',
        "duplicate dtype": '"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}',
        "duplicate shape": '"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}',
        "duplicate offsets": '"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"data_offsets":[0,1]}',
        "fields in capitals": '"a":{"DTYPE":"U8","Shape":[1],"data_offsets":[0,1]}',
    }.items():
        yield name, one(raw("{" + text + "}", b"1")), 2, '"a"'
    for d in ("F33", "f32", "float32", "", " F32", "F32 ", "F32\\u0000", "U8\\u0000x", "BF61", "Q8", "F8", "C128", "\\ud83d\\ude00"):
        yield f"dtype {d!r}", one(raw(obj(entry(d, "[]", 0, 4)), b"1234")), 2, "unknown dtype"
    for n in ("-1", "-0", "1.0", "1e0", "0.5", "1E1", "18446744073709551616", "1" + "0" * 400):
        yield f"dimension {n[:24]}", one(raw(obj(entry(shape=f"[{n}]")), b"1")), 2, '"a"'
        yield f"offset {n[:24]}", one(raw(obj(entry(end=n)), b"1")), 2, '"a"'
    for n in ("01", "+1", "1_0", "0b1", "1.", ".5", "1e", "--1", "1 0"):
        yield f"number {n}", one(raw(obj(entry(shape=f"[{n}]")), b"1")), 2, None
    yield "rank 64", one(raw(obj(entry(shape="[" + ",".join("1" * 64) + "]")), b"1")), 0, None
    yield "rank 65", one(raw(obj(entry(shape="[" + ",".join("1" * 65) + "]")), b"1")), 2, "64 dimensions"
    yield "rank 1000000", one(raw(obj(entry(shape="[" + ",".join(["1"] * 1_000_000) + "]")), b"1")), 2, "64 dimensions"


def sizes():
    two63, two32 = 2**63, 2**32
    for name, dtype, shape, end, data in (
        ("2^63 elements", "U8", f"[{two63}]", 1, b"1"),
        ("2^63 by zero", "U8", f"[{two63},0]", 0, b""),
        ("2^64 - 1 elements", "U8", f"[{2**64 - 1}]", 1, b"1"),
        ("product 2^64", "U8", f"[{two32},{two32}]", 0, b""),
        ("product 2^64 + 1 byte", "U8", f"[{two32},{two32}]", 1, b"1"),
        ("product 2^64, then zero", "U8", f"[{two32},{two32},0]", 0, b""),
        ("product of many", "U8", "[" + ",".join(["65536"] * 8) + "]", 1, b"1"),
        ("bits wrap to 8", "F64", f"[{2**58 + 1}]", 8, b"12345678"),
        ("bits wrap to 0", "F64", f"[{2**61}]", 0, b""),
        ("bytes wrap 32 bits", "F32", f"[{two32 // 4 + 1}]", 4, b"1234"),
        ("too few bytes", "F32", "[2]", 4, b"1234"), ("too many bytes", "F32", "[1]", 8, b"12345678"),
        ("scalar of no bytes", "F32", "[]", 0, b""), ("empty of some bytes", "F32", "[0]", 4, b"1234"),
        ("half a byte", "F4", "[1]", 1, b"1"), ("half a byte rounded down", "F4", "[3]", 1, b"1"),
        ("six bits", "F6_E2M3", "[1]", 1, b"1"), ("eighteen bits", "F6_E3M2", "[3]", 2, b"12"),
    ):
        yield name, one(raw(obj(entry(dtype, shape, 0, end)), data)), 2, '"a"'
    a1 = entry(name="a", end="1")
    for name, header, data, needle in (
        ("end before begin", obj(entry(begin="1", end="0")), b"1", '"a"'),
        ("behind the end", obj(entry(shape="[9]", end="9")), b"12345678", "only 8"),
        ("far behind the end", obj(entry(shape=f"[{2**62}]", end=str(2**62))), b"1", '"a"'),
        ("begin at 2^64 - 1", obj(entry(shape="[0]", begin=str(2**64 - 1), end=str(2**64 - 1))), b"", '"a"'),
        ("begin at 2^63", obj(entry(shape="[1]", begin=str(2**63), end=str(2**63 + 1))), b"1", '"a"'),
        ("one byte behind", obj(a1), b"12", "1 bytes behind"), ("no data", obj(a1), b"", '"a"'),
        ("data, no tensors", "{}", b"1", "1 bytes behind"),
        ("gap in front", obj(entry(begin="1", end="2")), b"12", '"a"'),
        ("gap between", obj(a1, entry(name="b", begin="2", end="3")), b"123", '"b"'),
        ("overlap", obj(entry(shape="[2]", end="2"), entry(name="b", shape="[2]", begin="1", end="3")), b"123", '"b"'),
        ("contained", obj(entry(shape="[3]", end="3"), entry(name="b", begin="1", end="2")), b"123", '"b"'),
        ("same bytes", obj(a1, entry(name="b")), b"1", '"'),
        ("a thousand on the same bytes", obj(*(entry(name=f"t{i}") for i in range(1000))), b"1", '"t'),
        ("empty tensor in a gap", obj(entry(shape="[0]", begin="1", end="1"), entry(name="b", begin="2", end="3")), b"123", '"a"'),
        ("empty tensor inside another", obj(entry(shape="[4]", end="4"), entry(name="b", shape="[0]", begin="2", end="2")), b"1234", '"b"'),
        ("duplicate, tiling", obj(a1, entry(name="a", begin="1", end="2")), b"12", "duplicate"),
        ("duplicate, same bytes", obj(a1, a1), b"1", '"a"'),
        ("duplicate, empty", obj(entry(shape="[0]", end="0"), entry(shape="[0]", end="0")), b"", "duplicate"),
        ("duplicate by escape", obj(a1, entry(name="\\u0061", begin="1", end="2")), b"12", "duplicate"),
    ):
        yield name, one(raw(header, data)), 2, needle


def metadata():
    for name, text in {
        "metadata list": "[]", "metadata string": '"x"', "metadata number": "1", "metadata true": "true",
        "metadata of numbers": '{"a":1}', "metadata of null": '{"a":null}', "metadata of lists": '{"a":[]}',
        "metadata of objects": '{"a":{}}', "metadata duplicate": '{"a":"1","a":"2"}',
        "metadata as a tensor": '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}',
    }.items():
        yield name, one(raw('{"__metadata__":' + text + "}")), 2, "__metadata__"
    yield "metadata twice", one(raw('{"__metadata__":{},"__metadata__":{}}')), 2, "duplicate"
    yield "metadata null", one(raw('{"__metadata__":null}')), 0, None
    yield "metadata empty", one(raw('{"__metadata__":{}}')), 0, None
    yield "metadata large", one(raw(json.dumps({"__metadata__": {"k" * 1000: "v" * 1_000_000}}))), 0, None
    yield "metadata of many", one(raw(json.dumps({"__metadata__": {f"k{i}": "" for i in range(100_000)}}))), 0, None
    yield "metadata with escapes", one(raw(json.dumps({"__metadata__": {"\0\n\x1b": "\u202e\U0001f600"}}))), 0, None


def sound():
    """Odd, but right: these must open."""
    a1 = entry()
    for name, header, data in (
        ("no tensors", "{}", b""), ("blanks around", "\n \t{}\r\n ", b""), ("blank in front", " " + obj(a1), b"1"),
        ("blanks everywhere", '{ "a" : { "dtype" : "U8" , "shape" : [ 1 ] , "data_offsets" : [ 0 , 1 ] } }', b"1"),
        ("fields in another order", '{"a":{"data_offsets":[0,1],"shape":[1],"dtype":"U8"}}', b"1"),
        ("unknown fields", obj(entry(more=',"x":{"y":[1,2.5,null,"z"]},"z":-1e5')), b"1"),
        ("scalar", obj(entry("F32", "[]", 0, 4)), b"1234"), ("empty tensor", obj(entry("F32", "[0]", 0, 0)), b""),
        ("empty of 2^53 + 1", obj(entry("F32", f"[0,{2**53 + 1}]", 0, 0)), b""),
        ("many empty ones", obj(*(entry("F64", "[0]", 0, 0, name=f"t{i}") for i in range(1000))), b""),
        ("empty one between", obj(a1, entry("U8", "[0]", 1, 1, "b"), entry("U8", "[1]", 1, 2, "c")), b"12"),
        ("offsets in another order", obj(entry("U8", "[1]", 1, 2, "b"), a1), b"12"),
        ("unaligned data", obj(entry("U8", "[1]", 0, 1), entry("F64", "[1]", 1, 9, "b")), b"123456789"),
        ("empty name", obj(entry(name="")), b"1"), ("name of dots", obj(entry(name="../../etc/passwd")), b"1"),
        ("name with a quote", obj(entry(name='\\"')), b"1"), ("name with a line end", obj(entry(name="a\\nb")), b"1"),
        ("name with colours", obj(entry(name="\\u001b[31m")), b"1"), ("name that turns", obj(entry(name="\u202etxt")), b"1"),
        ("name in Chinese", obj(entry(name="\u65e5\u672c")), b"1"), ("name by surrogates", obj(entry(name="\\ud83d\\ude00")), b"1"),
        ("long name", obj(entry(name="n" * 1_000_000)), b"1"), ("all zero bytes", obj(entry("F32", "[2]", 0, 8)), b"\0" * 8),
        ("name like a format", obj(entry(name="%s%n%s%n")), b"1"), ("name __proto__", obj(entry(name="__proto__")), b"1"),
        ("two names that differ in case", obj(a1, entry("U8", "[1]", 1, 2, "A")), b"12"),
        ("two names that look alike", obj(entry(name="\u00e9"), entry("U8", "[1]", 1, 2, "e\u0301")), b"12"),
    ):
        yield name, one(raw(header, data)), 0, None
    bits = dict(BOOL=8, F4=4, F6_E2M3=6, F6_E3M2=6, U8=8, I8=8, F8_E5M2=8, F8_E4M3=8, F8_E8M0=8, F8_E4M3FNUZ=8,
                F8_E5M2FNUZ=8, I16=16, U16=16, F16=16, BF16=16, I32=32, U32=32, F32=32, C64=64, F64=64, I64=64, U64=64)
    for d, b in bits.items():
        yield f"dtype {d}", one(raw(obj(entry(d, "[4]", 0, b // 2)), b"\xff" * (b // 2))), 0, None
    yield "known by its content", one(raw(obj(a1), b"1"), "weights.dat"), 0, None
    yield "5 GiB, sparse", big_sparse, 0, None
    yield "100000 tensors", one(lambda: many(100_000)), 0, None
    yield "a megabyte of names in the message", one(raw(obj(entry(name="n" * 1_000_000, end="2")), b"12")), 2, "nnn\u2026nnn"
    yield "colours in the message", one(raw(obj(entry(name="\\u001b[31m\\u0007", end="2")), b"12")), 2, "\\x1b[31m\\x07"
    yield "line ends in the message", one(raw(obj(entry("x\\ny\\rz")), b"1")), 2, "x\\x0ay\\x0dz"


def big_sparse(folder):
    n = 5 << 30
    header = raw(obj(entry(shape=f"[{n}]", end=str(n))))
    return sparse(len(header) + n, header)(folder)


def many(n):
    return raw(obj(*(entry("F32", "[1]", 4 * i, 4 * i + 4, f"model.layers.{i // 100}.mlp.experts.{i % 100}.w") for i in range(n))),
               b"\0" * (4 * n))


def places():
    """Not what a file says, but what it is."""
    def fifo(folder):
        path = os.path.join(folder, "model.safetensors")
        os.mkfifo(path)
        return path

    def device(folder):
        return "/dev/zero"

    def gone(folder):
        return os.path.join(folder, "absent.safetensors")

    def locked_dir(folder):
        path = os.path.join(folder, "a\nb\x1b[31m.safetensors")
        with open(path, "wb") as f:
            f.write(b"x")
        return path

    good = raw(obj(entry()), b"1")
    yield "a FIFO", fifo, 2, "regular"
    yield "a device", device, 2, "regular"
    yield "absent", gone, 2, "No such file"
    yield "an odd path", locked_dir, 2, "a\\x0ab\\x1b[31m"
    yield "an empty directory", folder_of({}), 2, "no checkpoint files"
    yield "only other files", folder_of({"README.md": b"x", "config.json": b"{}"}), 2, "no checkpoint files"
    yield "a link", folder_of({"blobs/x": good, "model.safetensors": ("link", "blobs/x")}), 0, None
    yield "a link to itself", folder_of({"model.safetensors": ("link", "model.safetensors")}), 2, None
    yield "a link to nowhere", folder_of({"model.safetensors": ("link", "nowhere")}), 2, "No such file"
    yield "a hidden file", folder_of({"model.safetensors": good, "._model.safetensors": b"junk"}), 0, None
    yield "a text file", one(b"just some text, which is not a checkpoint\n", "notes.txt"), 2, "known format"
    # rank files: the same name in two files is two tensors; a map without file lines refuses them
    yield "two files, one name", folder_of({"1.safetensors": good, "2.safetensors": good}), 0, None
    yield "one of two is broken", folder_of({"1.safetensors": good, "2.safetensors": good[:20]}), 2, "2.safetensors"


def indexes():
    index, shard1, shard2 = "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    a, b = raw(obj(entry()), b"1"), raw(obj(entry(name="b")), b"1")

    def row(weight_map, **more):
        text = weight_map if isinstance(weight_map, (bytes, str)) else json.dumps({"metadata": {}, "weight_map": weight_map})
        files = {shard1: a, shard2: b, index: text.encode() if isinstance(text, str) else text}
        files.update({k.replace("__", "."): v for k, v in more.items()})
        return folder_of(files)

    both = {"a": shard1, "b": shard2}
    yield "index, sound", row(both), 0, None
    yield "index, named itself", folder_of({shard1: a, shard2: b, index: json.dumps({"weight_map": both}).encode()}, index), 0, None
    yield "index, one shard unused", row({"a": shard1}), 0, None
    yield "index, metadata odd", row('{"metadata":[1,{"x":null}],"weight_map":{"a":"%s","b":"%s"},"more":-1e9}' % (shard1, shard2)), 0, None
    for name, target in {
        "up": "../model.safetensors", "up and down": f"x/../{shard1}", "absolute": "/etc/passwd", "dot": f"./{shard1}", "empty": "",
        "slash behind": shard1 + "/", "double slash": "x//y", "NUL": shard1 + "\0x", "itself": ".", "parent": "..",
        "many up": "../" * 50 + "etc/passwd",
    }.items():
        yield f"index, {name}", row({"a": target}), 2, '"a"'
    yield "index, shard absent", row({**both, "c": "model-3.safetensors"}), 2, "model-3.safetensors"
    yield "index, shard is a directory", folder_of({index: json.dumps({"weight_map": {"a": "sub"}}).encode(), "sub/x": b""}), 2, "sub"
    yield "index, tensor absent", row({**both, "c": shard1}), 2, '"c"'
    yield "index, tensor not named", row({"b": shard2, "x": shard1}), 2, '"a"'
    yield "index, shards swapped", row({"a": shard2, "b": shard1}), 2, '"a"'
    yield "index, tensor in both", folder_of({shard1: a, shard2: a, index: json.dumps({"weight_map": {"a": shard1, "b": shard2}}).encode()}), 2, '"a"'
    yield "index, duplicate tensor", row('{"weight_map":{"a":"%s","a":"%s"}}' % (shard1, shard2)), 2, "duplicate"
    yield "index, duplicate map", row('{"weight_map":{"a":"%s"},"weight_map":{"b":"%s"}}' % (shard1, shard2)), 2, "duplicate"
    for name, text in {
        "no map": "{}", "map list": '{"weight_map":[]}', "map null": '{"weight_map":null}', "map empty": '{"weight_map":{}}',
        "file number": '{"weight_map":{"a":1}}', "file null": '{"weight_map":{"a":null}}', "file list": '{"weight_map":{"a":["x"]}}',
        "list": "[]", "nothing": "", "cut": '{"weight_map":{"a":"', "junk behind": '{"weight_map":{"a":"%s"}}x' % shard1,
        "BOM": "\ufeff{}", "deep": '{"x":' + "[" * 1000 + "]" * 1000 + "}", "text": "see README",
    }.items():
        yield f"index, {name}", row(text), 2, index
    yield "index, UTF-8 broken", row(b'{"weight_map":{"\xff":"x"}}'), 2, index
    yield "index, second file broken", folder_of({shard1: a, shard2: b[:-1], index: json.dumps({"weight_map": both}).encode()}), 2, shard2
    yield "index of another name", folder_of({"w-1.safetensors": a, "other.safetensors.index.json": b'{"weight_map":{"a":"w-1.safetensors"}}'}), 0, None
    yield "two indexes of other names", folder_of({"1.safetensors": a, "x.safetensors.index.json": b"{}", "y.safetensors.index.json": b"{}"}), 2, "several"
    yield "index is a directory", folder_of({f"{index}/x": b"", "model.safetensors": a}), 0, None
    yield "index is a link to nowhere", folder_of({index: ("link", "nowhere"), "model.safetensors": a}), 2, index
    yield "100000 shards that are not there", row({f"t{i}": f"s{i}.safetensors" for i in range(100_000)}), 2, "not there"


def cases():
    for group in (lengths, texts, entries, sizes, metadata, sound, places, indexes):
        yield from group()


def main():
    target = sys.argv[1]
    for number, (name, build, status, needle) in enumerate(cases()):
        folder = os.path.join(target, f"{number:03}")
        os.makedirs(folder)
        print(f"{number:03}\t{status}\t{name}\t{build(folder)}\t{needle or ''}")


if __name__ == "__main__":
    main()
