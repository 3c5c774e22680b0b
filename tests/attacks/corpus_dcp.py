"""Hostile and unusual distributed checkpoints (.metadata and files of chunks), each with the verdict that is due.

`cases()` yields rows (name, build, status, needle) as corpus_torch.py does; `build(folder)` makes a directory `ckpt` and
gives its path.  A checkpoint is described by dicts of which each field can lie; None leaves it out.
"""

import os
import struct

from corpus_torch import D, G, L, N, S, T, call, dims, pkl, tensor, torch_zip

DCP = "torch.distributed.checkpoint."
META = DCP + "metadata."
INFO = DCP + "filesystem._StorageInfo"


def obj(name, state):
    """An object of a class, made without arguments, with a state: a dict, a pickled value, or none."""
    if isinstance(state, dict):
        state = D(*state.items()) if state else b"}"
    return G(name) + b")\x81" + (state + b"b" if state else b"")


def size(*n):
    return call("torch.Size", dims(*n))


def as_size(v):
    return v if isinstance(v, bytes) else size(*v)


def fields(**values):
    return {k: v for k, v in values.items() if v is not None}


def chunk(at, shape):
    return obj(META + "ChunkStorageMetadata", fields(offsets=None if at is None else as_size(at), sizes=None if shape is None else as_size(shape)))


def properties(dtype="torch.float32", cls=META + "TensorProperties", state=None):
    return obj(cls, state or T(G(dtype), call("torch.serialization._get_layout", S("torch.strided")), b"\x89",
                               call(META + "_MEM_FORMAT_ENCODING", N(0)), b"\x89"))


def entry(shape, chunks, props=None):
    return obj(META + "TensorStorageMetadata", fields(properties=properties() if props is None else props, size=as_size(shape),
                                                      chunks=chunks if isinstance(chunks, bytes) else L(*(chunk(*c) for c in chunks))))


BYTES = obj(META + "BytesStorageMetadata", None)


def index(name, at):
    return obj(META + "MetadataIndex", fields(fqn=S(name) if isinstance(name, str) else name, offset=None if at is None else as_size(at), index=N(0)))


def info(path="__0_0.distcp", offset=0, length=0, cls=INFO, **more):
    return obj(cls, fields(relative_path=S(path) if isinstance(path, str) else path, offset=N(offset) if isinstance(offset, int) else offset,
                           length=N(length) if isinstance(length, int) else length, **more))


def metadata(entries, storage, cls=META + "Metadata", **more):
    d = fields(state_dict_metadata=entries if isinstance(entries, bytes) else D(*entries.items()),
               storage_data=storage if isinstance(storage, bytes) else D(*storage), **more)
    return pkl(obj(cls, d), 4)


def item(*shape, values=None, **how):
    """What torch.save writes for a float32 tensor."""
    n = 1
    for k in shape:
        n *= k
    data = struct.pack(f"<{n}f", *(values or range(n)))
    return torch_zip(tensor(numel=n, size=shape, **how), {"0": data})


class Checkpoint:
    """Two tensors: a [4, 6] in two chunks in two files, b [2] whole.  `change` may replace any of its parts."""

    def __init__(self):
        self.files = {"__0_0.distcp": item(4, 4) + item(2), "__1_0.distcp": item(4, 2)}
        first = len(item(4, 4))
        self.entries = {"a": entry((4, 6), [((0, 0), (4, 4)), ((0, 4), (4, 2))]), "b": entry((2,), [((0,), (2,))]), "step": BYTES}
        self.storage = {"a0": (index("a", (0, 0)), info(length=first)),
                        "a1": (index("a", (0, 4)), info("__1_0.distcp", 0, len(item(4, 2)))),
                        "b": (index("b", (0,)), info(offset=first, length=len(item(2)))),
                        "step": (index("step", None), info(offset=0, length=1))}
        self.more = {}
        self.raw = None

    def write(self, folder):
        path = os.path.join(folder, "ckpt")
        os.makedirs(path)
        for name, data in {".metadata": self.raw or metadata(self.entries, self.storage.values(), **self.more), **self.files}.items():
            if data is not None:
                with open(os.path.join(path, name), "wb") as f:
                    f.write(data)
        return path


def row(name, change, status, needle=None):
    def build(folder):
        c = Checkpoint()
        change(c)
        return c.write(folder)
    return "dcp: " + name, build, status, needle


def put(part, key, value):
    return lambda c: getattr(c, part).__setitem__(key, value)


def raw(data):
    def change(c):
        c.raw = data
    return change


def both(*changes):
    def change(c):
        for x in changes:
            x(c)
    return change


def sound():
    yield row("as it is", lambda c: None, 0)
    yield row("of older torch", put("entries", "b", entry((2,), [((0,), (2,))], properties(
        cls="torch.distributed._shard.sharded_tensor.metadata.TensorProperties"))), 0)
    yield row("of OLMo-core", put("storage", "b", (index("b", (0,)), info(
        offset=len(item(4, 4)), length=len(item(2)), cls="olmo_core.distributed.checkpoint.filesystem._StorageInfo"))), 0)
    yield row("chunk without elements", put("entries", "b", entry((2,), [((0,), (2,)), ((2,), (0,))])), 0)
    yield row("tensor without elements", put("entries", "e", entry((0, 3), [])), 0)
    yield row("no tensor", both(put("entries", "a", BYTES), put("entries", "b", BYTES)), 0)
    yield row("storage of nothing", put("storage", "x", (index("x", (0,)), info("nowhere", 5, 7))), 0)
    yield row("meta with a path", put("more", "storage_meta", obj(META + "StorageMeta", {"checkpoint_id": call("pathlib.PosixPath", S("/"), S("x"))})), 0)
    yield row("transposed chunk", put("files", "__1_0.distcp", item(4, 2, stride=(1, 4))), 0)


def classes():
    for fn in ("os.system", "posix.system", "builtins.eval", "builtins.exec", "builtins.getattr", "functools.partial", "torch.load",
               "torch.storage._load_from_bytes", "torch._utils._rebuild_tensor_v2", DCP + "metadata.load", "pathlib.Path.touch",
               DCP + "filesystem.FileSystemReader", "torch.distributed._shard.sharded_tensor.metadata.ShardedTensorMetadata"):
        yield row("calls " + fn, put("more", "planner_data", call(fn, S("touch EXECUTED"))), 2, "nothing was run")
    yield row("another class", raw(metadata({}, [], cls=META + "StorageMeta")), 2, "no metadata of a distributed checkpoint")
    yield row("a dict", raw(pkl(D(), 4)), 2, "no metadata")
    yield row("a reference", raw(pkl(S("x") + b"Q", 4)), 2, "outside of it")
    yield row("called", raw(pkl(call(META + "Metadata"), 4)), 2, "no entries")
    yield row("cut", raw(metadata({}, [])[:-3]), 2, "ends in the middle")
    yield row("empty", raw(b"."), 2)
    yield row("bytes behind", raw(metadata({}, []) + b"x"), 2, "behind the end")
    yield row("state no dict", raw(pkl(obj(META + "Metadata", L(N(1))), 4)), 2, "no entries")
    yield row("no storage", raw(pkl(obj(META + "Metadata", {"state_dict_metadata": D()}), 4)), 2, "no storage data")
    yield row("entries a list", raw(metadata(L(N(1)), [])), 2, "no entries")
    yield row("an entry of int", put("entries", "b", N(1)), 2, "neither a tensor nor bytes")
    yield row("key no string", raw(metadata(D((N(1), BYTES)), [])), 2, "no string")
    yield row("key twice", raw(metadata(D(("a", BYTES), ("a", BYTES)), [])), 2, "twice")
    yield row("name with a NUL", put("entries", "a\0b", entry((0,), [])), 2, "NUL")
    yield row("name not UTF-8", raw(metadata(D((S(b"\xff"), entry((0,), []))), [])), 2, "UTF-8")
    yield row("storage key no index", put("storage", "x", (S("b"), info())), 2, "not those of files")
    yield row("storage value no info", put("storage", "b", (index("b", (0,)), N(1))), 2, "not those of files")
    yield row("index without a name", put("storage", "x", (index(None, (0,)), info())), 2, "without a name")
    yield row("index with a float", put("storage", "x", (index("x", T(b"G" + b"\0" * 8)), info())), 2, "natural numbers")


def shapes():
    yield row("no chunks", put("entries", "b", entry((2,), [])), 2, "2 of its 2 elements")
    yield row("chunk missing", put("entries", "a", entry((4, 6), [((0, 0), (4, 4))])), 2, "8 of its 24 elements are in no chunk")
    yield row("chunks overlap", both(put("entries", "a", entry((4, 6), [((0, 0), (4, 4)), ((0, 3), (4, 3))])),
                                     put("storage", "o", (index("a", (0, 3)), info()))), 2, "overlap")
    yield row("chunk twice", put("entries", "a", entry((4, 6), [((0, 0), (4, 4)), ((0, 4), (4, 2)), ((0, 4), (4, 2))])), 2, "overlap")
    yield row("overlap hides a hole", both(put("entries", "a", entry((4, 6), [((0, 0), (4, 3)), ((0, 1), (4, 3))])),
                                           put("storage", "o", (index("a", (0, 1)), info()))), 2, "overlap")
    yield row("chunk outside", put("entries", "b", entry((2,), [((1,), (2,))])), 2, "leaves dimension 0")
    yield row("chunk far outside", put("entries", "b", entry((2,), [((2**63 - 1,), (2**63 - 1,))])), 2, "leaves dimension 0")
    yield row("negative offset", put("entries", "b", entry((2,), [((-1,), (2,))])), 2, "without offsets and sizes")
    yield row("negative size", put("entries", "b", entry((-2,), [((0,), (2,))])), 2, "natural numbers")
    yield row("huge offset", put("entries", "b", entry((2,), [((2**64,), (2,))])), 2, "without offsets and sizes")
    yield row("other rank", put("entries", "b", entry((2,), [((0, 0), (2, 1))])), 2, "of its dimensions")
    yield row("no offsets", put("entries", "b", entry((2,), [(None, (2,))])), 2, "without offsets and sizes")
    yield row("no sizes", put("entries", "b", entry((2,), [((0,), None)])), 2, "without offsets and sizes")
    yield row("chunk an int", put("entries", "b", entry((2,), L(N(1)))), 2, "without offsets and sizes")
    yield row("chunks an int", put("entries", "b", entry((2,), N(1))), 2, "no list of chunks")
    yield row("overflow", put("entries", "b", entry((2**40, 2**40), [((0, 0), (1, 1))])), 2, "overflows")
    yield row("overflow of bytes", put("entries", "b", entry((2**62,), [((0,), (2**62,))])), 2)
    yield row("70 dimensions", put("entries", "b", entry((1,) * 70, [((0,) * 70, (1,) * 70)])), 2, "too long")
    yield row("no dtype", put("entries", "b", entry((2,), [((0,), (2,))], properties(state=T(N(1))))), 2, "no dtype")
    yield row("no properties", put("entries", "b", entry((2,), [((0,), (2,))], N(1))), 2, "no dtype")
    yield row("complex128", put("entries", "b", entry((2,), [((0,), (2,))], properties("torch.complex128"))), 2, "torch.complex128")
    yield row("many chunks beside each other", lambda c: c.entries.__setitem__("a", entry((2, 4000), [((0, k), (2, 1)) for k in range(4000)])), 2)


def places():
    b = len(item(4, 4))
    for path in ("../x", "/etc/passwd", "a/../../x", "", ".", "..", "./__0_0.distcp", "a//b", "x\0y"):
        yield row(f"file {path!r}", put("storage", "b", (index("b", (0,)), info(path, b, len(item(2))))), 2, "inside of the directory")
    yield row("file not UTF-8", put("storage", "b", (index("b", (0,)), info(S(b"\xff")))), 2, "inside of the directory")
    yield row("file that is not there", put("storage", "b", (index("b", (0,)), info("__9_9.distcp", 0, 5))), 2, "__9_9.distcp")
    yield row("file is the metadata", put("storage", "b", (index("b", (0,)), info(".metadata", 0, 60))), 2, "zip")
    yield row("file a number", put("storage", "b", (index("b", (0,)), info(N(3)))), 2, "no file, offset and length")
    yield row("no offset", put("storage", "b", (index("b", (0,)), obj(INFO, {"relative_path": S("x"), "length": N(1)}))), 2, "no file, offset")
    yield row("negative offset in the file", put("storage", "b", (index("b", (0,)), info(offset=-1))), 2, "no file, offset")
    yield row("negative length", put("storage", "b", (index("b", (0,)), info(length=-1))), 2, "no file, offset")
    yield row("huge length", put("storage", "b", (index("b", (0,)), info(offset=b, length=2**63 - 1))), 2, "leave the file")
    yield row("huge offset in the file", put("storage", "b", (index("b", (0,)), info(offset=2**63 - 1, length=1))), 2, "leave the file")
    yield row("no place", lambda c: c.storage.pop("b"), 2, "no place")
    yield row("place of another offset", put("storage", "b", (index("b", (1,)), info(offset=b, length=len(item(2))))), 2, "no place")
    yield row("two places", put("storage", "x", (index("b", (0,)), info(offset=b, length=len(item(2))))), 2, "two places")
    yield row("compressed", put("storage", "b", (index("b", (0,)), info(offset=b, length=len(item(2)), transform_descriptors=L(S("stream.zstd"))))), 2, "transform")
    yield row("same bytes twice", both(put("entries", "c", entry((2,), [((0,), (2,))])),
                                       put("storage", "c", (index("c", (0,)), info(offset=b, length=len(item(2)))))), 2, "overlap")
    yield row("bytes overlap", put("storage", "b", (index("b", (0,)), info(offset=b - 1, length=len(item(2))))), 2, "overlap")
    yield row("length short", put("storage", "b", (index("b", (0,)), info(offset=b, length=len(item(2)) - 1))), 2, "zip")
    yield row("length of both", put("storage", "a0", (index("a", (0, 0)), info(length=b + 8))), 2)


def items():
    def chunk_of(data):
        return both(put("files", "__1_0.distcp", data), put("storage", "a1", (index("a", (0, 4)), info("__1_0.distcp", 0, len(data)))))
    yield row("chunk of another shape", chunk_of(item(2, 4)), 2, "another shape")
    yield row("chunk of another rank", chunk_of(item(8)), 2, "another shape")
    yield row("chunk of another dtype", chunk_of(torch_zip(tensor(cls="torch.IntStorage", numel=8, size=(4, 2)), {"0": b"\0" * 32})), 2, "by the metadata")
    yield row("chunk that repeats", chunk_of(torch_zip(tensor(numel=1, size=(4, 2), stride=(0, 0)), {"0": b"\0" * 4})), 0)
    yield row("chunk no tensor", chunk_of(torch_zip(N(3), {})), 2, "holds no tensor")
    yield row("chunk a dict", chunk_of(torch_zip(D(("a", tensor(numel=8, size=(4, 2)))), {"0": b"\0" * 32})), 2, "holds no tensor")
    yield row("chunk leaves its storage", chunk_of(torch_zip(tensor(numel=8, size=(4, 2), offset=1), {"0": b"\0" * 32})), 2, "of storage")
    yield row("chunk empty", chunk_of(b""), 2, "zip")
    yield row("chunk garbage", chunk_of(b"\xff" * 300), 2, "zip")
    yield row("chunk runs something", chunk_of(torch_zip(call("os.system", S("true")), {})), 2, "nothing was run")
    yield row("file cut", lambda c: c.files.__setitem__("__0_0.distcp", c.files["__0_0.distcp"][:-10]), 2, "leave the file")
    yield row("file missing", put("files", "__1_0.distcp", None), 2, "__1_0.distcp")
    yield row("no metadata", put("files", ".metadata", None), 2, "saved last")
    big = both(put("entries", "b", entry((2**20,), [((0,), (2**20,))])),
               put("files", "__1_0.distcp", None),
               put("files", "big", torch_zip(tensor(numel=1, size=(2**20,), stride=(0,)), {"0": b"\0" * 4})))
    data = torch_zip(tensor(numel=1, size=(2**20,), stride=(0,)), {"0": b"\0" * 4})
    yield row("one element for a million", both(big, lambda c: c.entries.pop("a"),
                                                put("storage", "b", (index("b", (0,)), info("big", 0, len(data))))), 2, "repeats its elements")


def cases():
    for group in (sound, classes, shapes, places, items):
        yield from group()
