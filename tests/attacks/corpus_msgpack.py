"""Hostile and unusual msgpack checkpoints, each with the verdict that is due.

`cases()` yields rows (name, build, status, needle) as corpus_safetensors.py does.  The bytes are put
together here, item by item, since no packer writes most of them.
"""

import os
import struct

from corpus_safetensors import one, sparse

LIMIT = 64  # levels of nesting


# ---- items ----

def text(s, head=None):
    b = s.encode() if isinstance(s, str) else s
    if head:
        return head + b
    return (bytes([0xA0 | len(b)]) if len(b) < 32 else b"\xda" + struct.pack(">H", len(b))) + b


def binary(b):
    return b"\xc4" + bytes([len(b)]) + b if len(b) < 256 else b"\xc6" + struct.pack(">I", len(b)) + b


def array(items, n=None):
    n = len(items) if n is None else n
    return (bytes([0x90 | n]) if n < 16 else b"\xdd" + struct.pack(">I", n)) + b"".join(items)


def mapping(pairs, n=None):
    n = len(pairs) if n is None else n
    return (bytes([0x80 | n]) if n < 16 else b"\xdf" + struct.pack(">I", n)) + b"".join(k + v for k, v in pairs)


def f32(x=0.5):
    return b"\xca" + struct.pack(">f", x)


def f64(x=0.5):
    return b"\xcb" + struct.pack(">d", x)


def uint(n):
    return bytes([n]) if n < 128 else b"\xcf" + struct.pack(">Q", n)


def pair(variant, value):
    return array([uint(variant), value])


def tt(items, name="w", variant=10, shape=None, more=()):
    """A file of tt-train with one tensor; `shape` are the bytes of its shape, as an item."""
    pairs = [(text(name + "/data"), pair(variant, array(items)))]
    if shape is not None:
        pairs.insert(0, (text(name + "/shape"), pair(12, shape)))
    return mapping(pairs + list(more))


def nd(fields, **changes):
    """An array of msgpack-numpy; `changes` replace or (None) drop fields."""
    for key, item in changes.items():
        fields[key] = item
    return mapping([(binary(k.encode()), v) for k, v in fields.items() if v is not None])


def array_of(type="<f4", shape=(2,), data=bytes(8), **changes):
    fields = {"nd": b"\xc3", "type": text(type), "kind": binary(b""), "shape": array([uint(n) for n in shape]),
              "data": binary(data)}
    return nd(fields, **changes)


def numpy(**changes):
    return mapping([(text("w"), array_of(**changes))])


def dims(*shape):
    return binary(struct.pack(f"<{len(shape)}I", *shape))


def legacy_shape(dim, pad):
    """The struct that ttnn::Shape was in 2024."""
    b = struct.pack("<Q8I", len(dim), *(list(dim) + [0] * (8 - len(dim)))) + struct.pack("<Q", len(pad))
    for front, back in list(pad) + [(0, 0)] * (8 - len(pad)):
        b += struct.pack("<QQ", front, back)
    return b + struct.pack("<Q", 0)


# ---- rows ----

def sound():
    yield "one tensor", one(tt([f32()])), 0, None
    # one byte could be anything: a name that ends in .msgpack says it
    yield "no entries", one(mapping([])), 2, "too short"
    yield "no elements", one(tt([])), 0, None
    yield "all spellings of a number", one(tt([
        b"\x00", b"\x7f", b"\xff", b"\xe0", f32(), f64(), b"\xcc\xff", b"\xcd\xff\xff", b"\xce\xff\xff\xff\xff",
        b"\xcf" + b"\xff" * 8, b"\xd0\x80", b"\xd1\x80\x00", b"\xd2\x80\x00\x00\x00", b"\xd3\x80" + bytes(7)])), 0, None
    yield "counts that are longer than needed", one(
        b"\xdf\0\0\0\x01" + text("w/data", b"\xdb\0\0\0\x06") + b"\xdd\0\0\0\x02\x0a\xdd\0\0\0\x01" + f32()), 0, None
    yield "a variant longer than needed", one(mapping([(text("w/data"), array([b"\xcc\x0a", array([f32()])]))])), 0, None
    yield "keys as bytes", one(mapping([(binary(b"w/data"), pair(10, array([f32()])))])), 0, None
    yield "a vector that is no tensor", one(tt([b"\x00", b"\xcc\xff", text("x")], variant=14)), 0, None
    yield "a vector of integers", one(tt([b"\x00", b"\xcc\xff", b"\xff", f32()], variant=13)), 0, None
    yield "a text in a vector of integers", one(tt([b"\x00", text("x")], variant=13)), 2, "an element is no number"
    yield "integers that turn to floats at the end", one(tt([b"\x01"] * 40000 + [f32()])), 0, None
    yield "floats that turn to integers at the end", one(tt([f32()] * 40000 + [b"\x01"])), 0, None
    yield "eight bytes, then four", one(tt([f64()] * 300000 + [f32()])), 0, None
    yield "an array over the window", one(tt([f32()] * 500000)), 0, None
    yield "a text over the window", one(tt([f32()], more=[(text("t"), pair(7, text(b"x" * 3_000_000, b"\xdb" + struct.pack(">I", 3_000_000))))])), 0, None
    yield "values of other kinds", one(tt([f32()], more=[
        (text("a"), b"\xc0"), (text("b"), b"\xc3"), (text("c"), text("x")), (text("d"), b"\xd6\x01" + bytes(4)),
        (text("e"), array([b"\x01"] * 3)), (text("f"), mapping([(b"\x01", b"\x02")]))])), 0, None
    yield "an unknown variant", one(tt([f32()], more=[(text("x/data"), pair(99, array([f32()])))])), 0, None
    yield "a shape that says other elements", one(tt([f32()] * 3, shape=dims(1, 1, 2, 2))), 0, None
    yield "a shape of overflow", one(tt([f32()] * 3, shape=dims(*[0xFFFFFFFF] * 8))), 0, None
    yield "a shape of odd bytes", one(tt([f32()] * 3, shape=binary(b"abc"))), 0, None
    yield "a long shape", one(tt([f32()] * 3, shape=binary(bytes(5000)))), 0, None
    yield "a shape that is a number", one(tt([f32()] * 3, shape=b"\x05")), 0, None
    yield "the shape of 2024", one(tt([f32()] * 6, shape=binary(legacy_shape((1, 1, 32, 32), [(0, 0), (0, 0), (0, 30), (0, 29)])))), 0, None
    yield "the shape of 2024, padded past its size", one(tt([f32()] * 6, shape=binary(legacy_shape((2, 3), [(0, 9), (9, 0)])))), 0, None
    yield "the shape of 2024, padding of overflow", one(tt([f32()] * 6, shape=binary(legacy_shape((2, 3), [(2**64 - 1, 1), (1, 2**64 - 1)])))), 0, None
    yield "an array of numpy", one(numpy()), 0, None
    yield "numpy, big-endian", one(numpy(type=">f4")), 0, None
    yield "numpy, a scalar", one(mapping([(text("w"), nd({"nd": b"\xc2", "type": text("<f4"), "data": binary(bytes(4))}))])), 0, None
    yield "numpy, a complex number", one(mapping([(text("w"), nd({"complex": b"\xc3", "data": text("1j")}))])), 0, None
    yield "numpy, no elements", one(numpy(shape=(0, 5), data=b"")), 0, None
    yield "nested to the limit", one(mapping([(text("w"), b"\x91" * LIMIT + b"\xc0")])), 0, None
    yield "maps to the limit", one(mapping([(text("w"), b"\x81\xa1a" * (LIMIT - 1) + b"\x80")])), 0, None
    yield "an array of numpy in a list", one(mapping([(text("w"), array([b"\xc0", array_of(), array([array_of()])]))])), 0, None


def counts():
    big = 0xFFFFFFFF
    yield "empty file", one(b"", "model.msgpack"), 2, "byte 0"
    yield "a map without its count", one(b"\xdf\0\0", "model.msgpack"), 2, "inside of an item"
    yield "a map of more pairs than bytes", one(b"\xdf\xff\xff\xff\xff" + text("a")), 2, "4294967295 pairs"
    yield "one pair too many", one(mapping([(text("a"), b"\xc0")], 2)), 2, "2 pairs"
    yield "a pair without its value", one(mapping([(text("abc"), b"")], 1)), 2, "the file ends"
    yield "bytes behind the map", one(tt([f32()]) + b"\0"), 2, "1 bytes behind"
    yield "two maps", one(tt([f32()]) * 2), 2, "behind the map"
    for n in (2, 15, 65535, big):
        yield f"an array of {n} numbers, and one is there", one(mapping(
            [(text("w/data"), pair(10, b"\xdd" + struct.pack(">I", n) + f32()))])), 2, None
    yield "an array over the end, no sign in its count", one(
        mapping([(text("w/data"), pair(10, b"\xdd" + struct.pack(">I", 9) + f32() * 8 + b"\xca\0\0"))])), 2, "ends"
    yield "eight bytes cut", one(tt([f64(), f64()])[:-3]), 2, "ends"
    yield "a mixed array cut", one(tt([b"\x01", f64(), f64()])[:-3]), 2, "ends"
    yield "a mixed array cut between", one(tt([b"\x01", f64(), f64()])[:-9]), 2, "ends"
    yield "a text of 4 GB", one(mapping([(text("w"), b"\xdb\xff\xff\xff\xff" + b"x")])), 2, "4294967295 bytes"
    yield "bytes of 4 GB", one(mapping([(text("w"), b"\xc6\xff\xff\xff\xffx")])), 2, "4294967295 bytes"
    yield "an extension of 4 GB", one(mapping([(text("w"), b"\xc9\xff\xff\xff\xff\x01")])), 2, "4294967295 bytes"
    yield "a key of 17 MB", one(lambda: mapping([(text(b"k" * (17 << 20), b"\xdb" + struct.pack(">I", 17 << 20)), b"\xc0")])), 2, "limit"
    yield "a short key past the end", one(b"\x81\xa9w/da", "model.msgpack"), 2, "9 bytes"
    yield "a hole of 5 GB", sparse_array(), 2, None


def sparse_array():
    """Zeros are numbers, and 2^32 - 1 of them are allowed; the file says one more item than that."""
    head = b"\x82" + text("w/data") + b"\x92\x0a\xdd\x00\x10\x00\x00"
    return sparse(len(head) + (1 << 20) + 1, head)


def items():
    yield "a byte that begins nothing", one(mapping([(text("w"), b"\xc1")])), 2, "0xc1"
    yield "it in an array of numbers", one(tt([f32(), b"\xc1"])), 2, "no number"
    for name, item in {"nil": b"\xc0", "true": b"\xc3", "a text": text("x"), "an array": array([f32()]),
                       "a map": mapping([]), "an extension": b"\xd4\x01\x00", "bytes": binary(b"x")}.items():
        yield f"{name} among numbers", one(tt([f32(), item])), 2, "no number"
        yield f"{name} as the first number", one(tt([item, f32()])), 2, "no number"
    for name, item in {"a number": b"\x05", "a text": text("x"), "nil": b"\xc0", "bytes": binary(b"xx")}.items():
        yield f"{name} as data", one(mapping([(text("w/data"), pair(10, item))])), 2, "no array"
    yield "an integer as a key", one(mapping([(text("a"), b"\xc0"), (b"\x05", b"\xc0")])), 2, "no text"
    yield "an array as a key", one(mapping([(text("a"), b"\xc0"), (array([]), b"\xc0")])), 2, "no text"
    yield "an array instead of a map", one(array([f32()]), "model.msgpack"), 2, "no map"
    yield "a number instead of a map", one(b"\x05", "model.msgpack"), 2, "no map"
    yield "a key twice", one(mapping([(text("a"), b"\xc0"), (text("a"), b"\xc0")])), 2, 'duplicate key "a"'
    yield "a tensor twice, as text and as bytes", one(mapping(
        [(text("w/data"), pair(10, array([f32()]))), (binary(b"w/data"), pair(10, array([f32()])))])), 2, "duplicate key"
    yield "a key that is not UTF-8", one(mapping([(text(b"\xff"), b"\xc0")])), 2, "UTF-8"
    yield "a key with a NUL", one(tt([f32()], name="a\0b")), 2, "NUL"
    yield "a key with a line end", one(tt([b"\xc0"], name="a\nb")), 2, "no number"
    yield "nested past the limit", one(mapping([(text("w"), b"\x91" * (LIMIT + 1) + b"\xc0")])), 2, "64 levels"
    yield "maps past the limit", one(mapping([(text("w"), b"\x81\xa1a" * (LIMIT + 1) + b"\x80")])), 2, "64 levels"
    yield "nested a million times", one(mapping([(text("w"), b"\x91" * 1_000_000 + b"\xc0")])), 2, "64 levels"
    yield "nested in a value of tt-train", one(mapping([(text("w"), pair(9, b"\x91" * 1_000_000 + b"\xc0"))])), 2, "64 levels"
    yield "nested in a key", one(mapping([(text("w"), mapping([(b"\x91" * 1_000_000, b"\xc0")]))])), 2, "64 levels"


def numpies():
    pickle = b"cos\nsystem\n(S'touch /tmp/wmap-was-here'\ntR."
    yield "an array of objects", one(numpy(kind=binary(b"O"), data=pickle, type="|O")), 2, '"w": an array of objects'
    yield "objects that only the kind tells", one(numpy(kind=binary(b"O"))), 2, '"w": an array of objects'
    yield "objects that only the type tells", one(numpy(type="|O8")), 2, '"w": an array of objects'
    yield "objects in a nested map", one(mapping([(text("a"), mapping([(text("b"), array_of(kind=binary(b"O")))]))])), 2, '"a.b": an array of objects'
    yield "a structured array", one(numpy(kind=binary(b"V"))), 2, "structs"
    yield "a structured type", one(mapping([(text("w"), nd({"nd": b"\xc3", "type": array([]), "kind": binary(b""), "shape": array([b"\x02"]), "data": binary(bytes(8))}))])), 2, "structs"
    for t in ("<f16", "<c16", "<U4", "|S4", "<M8", "<m8", "f4", "<f", "<f44", "", "=f4", "|f4", "x" * 60):
        yield f"numpy's type {t!r}", one(numpy(type=t)), 2, "type"
    yield "a type of 100 bytes", one(numpy(type="<" * 100)), 2, "limit"
    yield "data that are too short", one(numpy(data=bytes(7))), 2, "7 bytes of data"
    yield "data that are too long", one(numpy(data=bytes(9))), 2, "9 bytes of data"
    yield "data that are nil", one(mapping([(text("w"), nd({"nd": b"\xc3", "type": text("<f4"), "shape": array([]), "data": b"\xc0"}))])), 2, "without"
    yield "no data", one(mapping([(text("w"), nd({"nd": b"\xc3", "type": text("<f4"), "shape": array([])}))])), 2, "without"
    yield "no shape", one(mapping([(text("w"), nd({"nd": b"\xc3", "type": text("<f4"), "data": binary(bytes(4))}))])), 2, "without"
    yield "no type", one(mapping([(text("w"), nd({"nd": b"\xc3", "shape": array([]), "data": binary(bytes(4))}))])), 2, "without"
    yield "a field twice", one(mapping([(text("w"), b"\x82" + (binary(b"nd") + b"\xc3") * 2)])), 2, "a field twice"
    yield "a shape of overflow, numpy", one(numpy(shape=(1 << 32, 1 << 32))), 2, "overflow"
    yield "a shape of 2^63", one(numpy(shape=(1 << 63,))), 2, "sizes"
    yield "a negative shape", one(mapping([(text("w"), nd({"nd": b"\xc3", "type": text("<f4"), "shape": array([b"\xff"]), "data": binary(b"")}))])), 2, "sizes"
    yield "a shape that is a text", one(mapping([(text("w"), nd({"nd": b"\xc3", "type": text("<f4"), "shape": text("x"), "data": binary(b"")}))])), 2, "no array"
    yield "65 dimensions", one(numpy(shape=(1,) * 65, data=bytes(4))), 2, "64 dimensions"
    yield "a name that is not UTF-8", one(mapping([(text("a"), mapping([(text(b"\xff"), array_of())]))])), 2, "UTF-8"
    yield "two tensors of one name", one(mapping([(text("a.b"), array_of()), (text("a"), mapping([(text("b"), array_of())]))])), 2, 'duplicate tensor "a.b"'


def cases():
    for group in (sound, counts, items, numpies):
        yield from group()
