"""Hostile and unusual PyTorch checkpoints, each with the verdict that is due.

`cases()` yields rows (name, build, status, needle) as corpus_safetensors.py does.  Files are assembled byte by byte:
pickles from instructions, zip files from records of which each field can lie.  `{marker}` in a payload becomes
the path of a file that exists only where something was executed.
"""

import os
import struct
import zlib

MAGIC = 0x1950A86A20F9469CFC6C


# ---- pickles ----

def S(s):
    s = s.encode() if isinstance(s, str) else s
    return b"X" + struct.pack("<I", len(s)) + s


def N(n):
    return b"J" + struct.pack("<i", n) if -2**31 <= n < 2**31 else \
        b"\x8a" + bytes([len(n.to_bytes(9, "little", signed=True))]) + n.to_bytes(9, "little", signed=True) if n >= 2**63 else \
        b"\x8a\x08" + struct.pack("<q", n)


def G(name):
    module, _, name = name.rpartition(".")
    return f"c{module}\n{name}\n".encode()


def T(*items):
    return b"(" + b"".join(items) + b"t"


def L(*items):
    return b"](" + b"".join(items) + b"e"


def D(*pairs):
    return b"}(" + b"".join(S(k) + v if isinstance(k, str) else k + v for k, v in pairs) + b"u"


def call(name, *args):
    return G(name) + T(*args) + b"R"


ORDERED = call("collections.OrderedDict")


def ref(key="0", cls="torch.FloatStorage", numel=4, location="cpu", tag="storage", more=b""):
    return T(S(tag), G(cls), S(key), S(location), N(numel) if isinstance(numel, int) else numel, *([more] if more else [])) + b"Q"


def dims(*n):
    return T(*(N(x) for x in n))


def tensor(key="0", cls="torch.FloatStorage", numel=4, offset=0, size=(4,), stride=None, storage=None, fn="_rebuild_tensor_v2",
           more=(b"\x89", ORDERED)):
    if stride is None:
        stride, step = [], 1
        for n in reversed(size):
            stride.insert(0, step)
            step *= n
    return call("torch._utils." + fn, storage or ref(key, cls, numel), N(offset) if isinstance(offset, int) else offset,
                size if isinstance(size, bytes) else dims(*size), stride if isinstance(stride, bytes) else dims(*stride), *more)


def pkl(value, protocol=2):
    return b"\x80" + bytes([protocol]) + value + b"."


GOOD = D(("a", tensor()))
DATA = struct.pack("<4f", 1, 2, 3, 4)


# ---- zip files ----

def entry(name, data=b"", folder="m/", **lies):
    return dict(name=(folder + name).encode() if isinstance(name, str) else name, data=data, **lies)


def zip_of(*entries, gap=b"", front=b"", behind=b"", before_directory=b"", count=None, end64=False, dir_off=0, dir_size=0, comment=b"",
           locator=None, only_end=False, disk=0):
    out, directory = bytearray(front), bytearray()
    for e in entries:
        name, data = e["name"], e["data"]
        crc = e.get("crc", zlib.crc32(data))
        flags, method = e.get("flags", 0x808), e.get("method", 0)
        size = e.get("size", len(data))
        at = len(out)
        extra = e.get("lextra", b"")
        lname = e.get("lname", name)
        open_ = flags & 8
        out += struct.pack("<IHHHHHIIIHH", e.get("lsig", 0x04034B50), 0, e.get("lflags", flags), e.get("lmethod", method), 0, 0,
                           e.get("lcrc", 0 if open_ else crc), e.get("lpacked", e.get("lsize", 0 if open_ else size)),
                           e.get("lsize", 0 if open_ else size), e.get("lname_n", len(lname)), e.get("lextra_n", len(extra)))
        out += lname + extra + data
        if open_:
            out += e.get("descriptor", struct.pack("<IIII", 0x08074B50, crc, size, size))
        out += gap
        cextra = e.get("cextra", b"")
        directory += struct.pack("<IHHHHHHIIIHHHHHII", e.get("csig", 0x02014B50), 0, 0, flags, method, 0, 0, crc, e.get("packed", size),
                                 size, e.get("name_n", len(name)), e.get("cextra_n", len(cextra)), len(e.get("comment", b"")),
                                 e.get("disk", 0), 0, 0, e.get("off", at))
        directory += name + cextra + e.get("comment", b"")
    out += before_directory
    off, n = len(out) + dir_off, len(entries) if count is None else count
    if not only_end:
        out += directory
    size = len(directory) + dir_size
    if end64 or locator is not None:
        end = len(out)
        out += struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 0, 0, 0, 0, n, n, size, off)
        out += struct.pack("<IIQI", 0x07064B50, 0, end if locator is None else locator, 1)
        n, size, off = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    out += struct.pack("<IHHHHIIH", 0x06054B50, disk, disk, n & 0xFFFF, n & 0xFFFF, size & 0xFFFFFFFF, off & 0xFFFFFFFF, len(comment)) + comment
    return bytes(out) + behind


def torch_zip(value=GOOD, storages=None, more=(), raw=None, **how):
    storages = {"0": DATA} if storages is None else storages
    return zip_of(entry("data.pkl", raw if raw is not None else pkl(value)), *more,
                  *(entry("data/" + k, v) for k, v in storages.items()), entry("version", b"3\n"), **how)


# ---- files of the older kind ----

def long1(n):
    b = n.to_bytes((n.bit_length() + 8) // 8, "little")
    return b"\x8a" + bytes([len(b)]) + b


def legacy(value=GOOD, keys=("0",), storages=((4, DATA),), magic=MAGIC, version=1001, system=None, behind=b"", keys_value=None):
    out = pkl(long1(magic)) + pkl(b"M" + struct.pack("<H", version)) + pkl(system or D(("protocol_version", N(1001)), ("little_endian", b"\x88")))
    out += pkl(value) + pkl(keys_value or L(*(S(k) for k in keys)))
    for n, data in storages:
        out += struct.pack("<q", n) + data
    return out + behind


# ---- rows ----

def one(content, name="model.pth"):
    def build(folder):
        path = os.path.join(folder, name)
        data = content() if callable(content) else content
        with open(path, "wb") as f:
            f.write(data)
        return path
    return build


def payload(make, name="model.pth"):
    """A file whose payload would create a marker."""
    def build(folder):
        return one(make("touch " + os.path.join(folder, "EXECUTED")), name)(folder)
    return build


def executing():
    for fn in ("posix.system", "os.system", "nt.system", "subprocess.getoutput", "builtins.eval", "builtins.exec", "__builtin__.eval",
               "runpy._run_code", "pty.spawn", "importlib.import_module", "builtins.getattr", "operator.attrgetter", "timeit.timeit",
               "torch.load", "torch.hub.load", "torch.jit.load", "torch._utils._rebuild_tensor_v4", "torch.serialization.load",
               "numpy.load", "copyreg._reconstructor", "functools.partial", "collections.defaultdict", "_codecs.decode",
               "torch.nn.modules.linear.Linear", "builtins.object", "types.SimpleNamespace", "torch.storage._load_from_bytes"):
        for kind in ("reduce", "newobj", "named only"):
            def value(cmd, fn=fn, kind=kind):
                g = G(fn)
                return {"reduce": g + T(S(cmd)) + b"R", "newobj": g + T(S(cmd)) + b"\x81", "named only": g}[kind]
            if kind == "reduce" or fn in ("posix.system", "builtins.eval", "torch.nn.modules.linear.Linear"):
                yield f"{fn}, {kind}", payload(lambda cmd, v=value: torch_zip(D(("a", tensor()), ("x", v(cmd))))), 2, fn.replace("__builtin__", "builtins")
    sys_ = lambda cmd: G("posix.system") + T(S(cmd)) + b"R"  # noqa: E731
    yield "executing, legacy tree", payload(lambda cmd: legacy(sys_(cmd))), 2, "posix.system"
    yield "executing, legacy magic", payload(lambda cmd: pkl(sys_(cmd)) + legacy(), "m.pt"), 2, "another pickle"
    yield "executing, legacy system", payload(lambda cmd: legacy(system=sys_(cmd))), 2, "posix.system"
    yield "executing, legacy keys", payload(lambda cmd: legacy(keys_value=sys_(cmd))), 2, "posix.system"
    yield "executing, INST", payload(lambda cmd: torch_zip(b"(" + S(cmd) + b"iposix\nsystem\n")), 2, "INST"
    yield "executing, OBJ", payload(lambda cmd: torch_zip(b"(" + G("collections.OrderedDict") + S(cmd) + b"o")), 2, "OBJ"
    yield "executing, STACK_GLOBAL", payload(lambda cmd: torch_zip(S("posix") + S("system") + b"\x93" + T(S(cmd)) + b"R")), 2, "STACK_GLOBAL"
    yield "executing, EXT1", one(torch_zip(b"\x82\x01")), 2, "EXT1"
    yield "executing, behind STOP", payload(lambda cmd: torch_zip(raw=pkl(GOOD) + pkl(sys_(cmd)))), 2, "behind its end"
    yield "executing, in other entries", payload(lambda cmd: torch_zip(more=[entry("code/x.py", cmd.encode()), entry("extra.pkl", pkl(sys_(cmd)))])), 0, None
    yield "executing, as persistent id", payload(lambda cmd: torch_zip(sys_(cmd) + b"Q")), 2, "posix.system"
    yield "executing, state of an OrderedDict", payload(lambda cmd: torch_zip(ORDERED + sys_(cmd) + b"b")), 2, "posix.system"
    yield "a bare pickle", payload(lambda cmd: pkl(sys_(cmd)), "x.pt"), 2, "nothing of it was run"
    yield "name with an escape sequence", one(torch_zip(G("evil\x1b[2J.x"))), 2, "evil"
    yield "name of a megabyte", one(lambda: torch_zip(G("a" * 1_000_000 + ".b"))), 2, "refers to"
    yield "name without end", one(torch_zip(raw=b"\x80\x02cos")), 2, "ends in the middle"


def instructions():
    refused = {"POP": b"N0", "POP_MARK": b"(1", "DUP": b"N2", "FLOAT": b"F1\n", "INT": b"I1\n", "LONG": b"L1L\n", "PERSID": b"Pa\n", "STRING": b"S'a'\n",
               "BINSTRING": b"T\1\0\0\0a", "UNICODE": b"Va\n", "DICT": b"(d", "GET": b"g0\n", "LIST": b"(l", "PUT": b"Np0\n", "EXT2": b"\x83\0\0",
               "EXT4": b"\x84\0\0\0\0", "LONG4": b"\x8b\1\0\0\0\1", "BINUNICODE8": b"\x8d" + b"\0" * 8, "BINBYTES8": b"\x8e" + b"\0" * 8,
               "ADDITEMS": b"\x8f(\x90", "FROZENSET": b"(\x91", "NEWOBJ_EX": b"NNN\x92", "MEMOIZE": b"N\x94", "FRAME": b"\x95" + b"\0" * 8 + b"N",
               "BINBYTES": b"B\0\0\0\0", "SHORT_BINBYTES": b"C\0", "BYTEARRAY8": b"\x96" + b"\0" * 8, "NEXT_BUFFER": b"\x97",
               "READONLY_BUFFER": b"N\x98", "SHORT_BINUNICODE": b"\x8c\1a"}
    for name, code in refused.items():
        yield f"instruction {name}", one(torch_zip(code)), 2, name
    for code in (0x00, 0x7F, 0x99, 0xFF, 0x0A):
        yield f"instruction 0x{code:02x}", one(torch_zip(bytes([code]))), 2, f"0x{code:02x}"
    for name, raw in {
        "empty": b"", "only PROTO": b"\x80\x02", "protocol 6": b"\x80\x06N.", "protocol 255": b"\x80\xffN.", "no STOP": b"\x80\x02N", "STOP on nothing": b"\x80\x02.",
        "two values": b"\x80\x02NN.", "a mark left": b"\x80\x02(N.", "REDUCE on nothing": b"R.", "REDUCE on one": b"NR.", "BUILD on nothing": b"b.", "BUILD on None": b"NNb.",
        "BUILD on dict": b"}}b.", "BUILD on list": b"]}b.", "BUILD on a tensor": b"\x80\x02" + tensor() + b"}b.", "APPEND to None": b"NNa.", "APPEND to dict": b"}Na.", "APPEND to tuple": b")Na.",
        "APPENDS to None": b"N(NNe.", "APPENDS, no mark": b"]Ne.", "SETITEM of None": b"NNNs.", "SETITEM of list": b"]NNs.", "SETITEM of a tensor": b"\x80\x02" + tensor() + b"NNs.",
        "SETITEMS, no mark": b"}NNu.", "SETITEMS, odd": b"}(Nu.", "SETITEMS of list": b"](NNu.", "TUPLE, no mark": b"Nt.", "TUPLE1 on nothing": b"\x85.", "TUPLE2 on one": b"N\x86.",
        "TUPLE3 on two": b"NN\x87.", "TUPLE2 through a mark": b"N(N\x86.", "BINPERSID on nothing": b"Q.", "BINPERSID on None": b"NQ.", "BINPERSID on string": S("x") + b"Q.",
        "BINGET of nothing": b"h\x00.", "LONG_BINGET of nothing": b"j\xff\xff\xff\xff.", "BINPUT on nothing": b"q\0.", "BINPUT far": b"Nq\xff.", "LONG_BINPUT 2^32 - 1": b"Nr\xff\xff\xff\xff.",
        "LONG_BINPUT 2^31": b"Nr\0\0\0\x80.", "BINUNICODE past the end": b"X\xff\xff\xff\xffabc.", "BINUNICODE 2^31": b"X\0\0\0\x80.", "SHORT_BINSTRING past the end": b"U\xffabc.",
        "LONG1 past the end": b"\x8a\xff\1.", "BINFLOAT cut": b"G\0\0.", "BININT cut": b"J\0.", "BININT2 cut": b"M\0.", "call of None": b"N)R.", "call of a string": S("x") + b")R.",
        "call of a tensor": tensor() + b")R.", "call of a storage": G("torch.FloatStorage") + b")R.", "call of a dtype": G("torch.float32") + b")R.",
        "arguments no tuple": G("collections.OrderedDict") + b"]R.", "OrderedDict of None": call("collections.OrderedDict", b"N") + b".",
        "OrderedDict of singles": call("collections.OrderedDict", L(T(b"N"))) + b".", "OrderedDict of two": call("collections.OrderedDict", b"]", b"]") + b".",
        "Counter of a list": call("collections.Counter", b"]") + b".", "Size of None": call("torch.Size", b"N") + b".", "set of a dict": call("builtins.set", b"}") + b".",
        "junk behind STOP": b"N.x", "NUL behind STOP": b"N.\0", "only marks": b"(" * 100_000, "text": b"hello", "Parameter made anew": G("torch.nn.parameter.Parameter") + b")\x81.",
    }.items():
        yield f"pickle, {name}", one(torch_zip(raw=raw)), 2, "data.pkl"
    yield "pickle, a million marks", one(lambda: torch_zip(raw=b"(" * 1_000_000 + b".")), 2, "data.pkl"
    yield "pickle, a million empty lists", one(lambda: torch_zip(raw=b"(" + b"]" * 1_000_000 + b"t.")), 0, None
    yield "pickle, nested a million times", one(lambda: torch_zip(raw=b"N" + b"\x85" * 1_000_000 + b".")), 2, "nested"
    yield "pickle, lists nested 100000 times", one(lambda: torch_zip(raw=b"]" * 100_000 + b"a" * 99_999 + b".")), 2, "nested"
    yield "pickle, nested 63 times", one(torch_zip(b"N" + b"\x85" * 63)), 0, None
    yield "pickle, nested 66 times", one(torch_zip(b"N" + b"\x85" * 66)), 2, "nested"
    yield "pickle, a list in itself", one(torch_zip(b"]q\0h\0a")), 2, "nested"
    yield "pickle, a dict in itself", one(torch_zip(b"}q\0" + S("x") + b"h\0s")), 2, "nested"
    laugh = b"](NNNNNNNNNNe"
    for k in range(20):
        laugh = b"](" + laugh + b"q" + bytes([k]) + (b"h" + bytes([k])) * 9 + b"e"
    yield "pickle, a billion laughs", one(torch_zip(laugh)), 0, None
    laugh = tensor()
    for k in range(20):
        laugh = b"](" + laugh + b"q" + bytes([k]) + (b"h" + bytes([k])) * 9 + b"e"
    yield "pickle, a billion tensors", one(torch_zip(laugh)), 2, "more than"
    yield "pickle, copies of a large list", one(lambda: torch_zip(b"(](" + T(b"N", b"N") * 100_000 + b"eq\0" + G("collections.OrderedDict") + b"q\1" + b"h\1h\0\x85R" * 5000 + b"t")), 2, "MiB"
    yield "pickle, string of surrogates", one(torch_zip(D((S(b"\xed\xa0\x80"), tensor())))), 2, "UTF-8"
    yield "pickle, name not UTF-8", one(torch_zip(D((S(b"\xff"), tensor())))), 2, "UTF-8"
    yield "pickle, NUL in a name", one(torch_zip(D(("a\0b", tensor())))), 2, "NUL"
    yield "pickle, key twice", one(torch_zip(D(("a", tensor()), ("a", tensor())))), 2, "twice"
    yield "pickle, key twice, no tensor", one(torch_zip(D(("a", tensor()), ("b", b"N"), ("b", b"N")))), 2, "twice"
    yield "pickle, name by two ways", one(torch_zip(D(("a.b", tensor()), ("a", D(("b", tensor())))))), 2, "duplicate"
    yield "pickle, integer and string key", one(torch_zip(D((N(1), tensor()), ("1", tensor())))), 2, "twice"
    for name, key in {"None": b"N", "tuple": b")", "float": b"G" + b"\0" * 8, "bool": b"\x88", "tensor": tensor()}.items():
        yield f"pickle, key {name}", one(torch_zip(D((key, tensor())))), 2, "key"
        yield f"pickle, key {name}, no tensor", one(torch_zip(D((key, b"N"), ("a", tensor())))), 0, None


def tensors():
    f = "torch.FloatStorage"
    bad = {
        "offset past the end": tensor(offset=1), "offset negative": tensor(offset=-1), "offset 2^62": tensor(offset=2**62), "offset 2^61 of one": tensor(offset=2**61, size=(1,)),
        "offset a string": tensor(offset=S("0")), "offset too large for 64 bits": tensor(offset=2**64), "size past the end": tensor(size=(5,)), "size negative": tensor(size=(-1,)),
        "size 2^62": tensor(size=(2**62,)), "size overflows": tensor(size=(2**32, 2**32), stride=(0, 0)), "size overflows 2^63": tensor(size=(2**62, 2), stride=(0, 0)),
        "size a string": tensor(size=S("4"), stride=(1,)), "size of None": tensor(size=T(b"N"), stride=(1,)), "size of floats": tensor(size=T(b"G" + b"\0" * 8), stride=(1,)),
        "stride past the end": tensor(size=(2,), stride=(4,)), "stride negative": tensor(size=(2,), stride=(-1,)), "stride 2^62": tensor(size=(2,), stride=(2**62,)),
        "stride overflows": tensor(size=(2, 2, 2), stride=(2**62, 2**62, 2**62)), "stride missing": tensor(size=(2, 2), stride=(1,)), "stride of one more": tensor(size=(4,), stride=(1, 1)),
        "rank 65": tensor(size=(1,) * 65), "rank 10000": tensor(size=(1,) * 10000), "expanded to 4 GiB": tensor(size=(2**30,), stride=(0,)), "expanded to 4 TiB": tensor(size=(2**20, 2**20), stride=(0, 0)),
        "bits conj": tensor(more=(b"\x89", ORDERED, D(("conj", b"\x88")))), "bits neg": tensor(more=(b"\x89", ORDERED, D(("neg", b"\x88")))), "metadata no dict": tensor(more=(b"\x89", ORDERED, S("x"))),
        "storage None": tensor(storage=b"N"), "storage a tensor": tensor(storage=tensor()), "storage a tuple": tensor(storage=T(S("storage"))), "no arguments": G("torch._utils._rebuild_tensor_v2") + b")R",
        "one argument": call("torch._utils._rebuild_tensor_v2", ref()), "eight arguments": tensor(more=(b"\x89", ORDERED, b"}", b"N")), "v3 without dtype": tensor(fn="_rebuild_tensor_v3"),
        "v3, dtype None": tensor(fn="_rebuild_tensor_v3", more=(b"\x89", ORDERED, b"N")), "v3, dtype a storage": tensor(fn="_rebuild_tensor_v3", more=(b"\x89", ORDERED, G(f))),
        "v3, dtype too wide": tensor(cls="torch.storage.UntypedStorage", numel=16, fn="_rebuild_tensor_v3", size=(4,), more=(b"\x89", ORDERED, G("torch.float64"))),
        "quantised": call("torch._utils._rebuild_qtensor", ref(), N(0), dims(4), dims(1), T(G("torch.per_tensor_affine"), N(1), N(0)), b"\x89", ORDERED),
        "sparse": call("torch._utils._rebuild_sparse_tensor", N(0), T(tensor(), tensor(), dims(4))), "meta": call("torch._utils._rebuild_meta_tensor_no_storage", G("torch.float32"), dims(4), dims(1), b"\x89"),
        "nested": call("torch._utils._rebuild_nested_tensor", tensor(), tensor(), tensor(), tensor()), "subclass": call("torch._utils._rebuild_wrapper_subclass", G("torch.Tensor")),
        "numpy": call("torch._utils._rebuild_device_tensor_from_numpy", b"N", G("torch.float32"), S("cpu"), b"\x89"),
        "parameter of None": call("torch._utils._rebuild_parameter", b"N", b"\x89", ORDERED), "parameter of nothing": call("torch._utils._rebuild_parameter"),
        "parameter of a storage": call("torch._utils._rebuild_parameter", ref(), b"\x89", ORDERED), "complex128": tensor(cls="torch.ComplexDoubleStorage", numel=1, size=(1,)),
        "from_type of another": call("torch._tensor._rebuild_from_type_v2", G("torch._utils._rebuild_tensor_v2"), G("collections.OrderedDict"), b")", b"}"),
        "from_type of a container": call("torch._tensor._rebuild_from_type_v2", G("collections.OrderedDict"), G("torch.Tensor"), b")", b"}"),
        "from_type of nothing": call("torch._tensor._rebuild_from_type_v2"), "device's of another dtype": call("torch._utils._rebuild_device_tensor_from_cpu_tensor", tensor(), G("torch.float16"), S("xla"), b"\x89"),
    }
    deep = tensor()
    for _ in range(20):
        deep = call("torch._utils._rebuild_parameter", deep, b"\x89", ORDERED)
    bad["parameters in each other"] = deep
    for name, value in bad.items():
        yield f"tensor, {name}", one(torch_zip(D(("bad", value)))), 2, '"bad"'
    for name, value in {
        "id no tuple": T(N(1)) + b"Q", "id empty": b")Q", "id too short": T(S("storage"), G(f), S("0")) + b"Q", "id too long": T(S("storage"), G(f), S("0"), S("cpu"), N(4), b"N", b"N") + b"Q",
        "id of a module": ref(tag="module"), "type a string": T(S("storage"), S("FloatStorage"), S("0"), S("cpu"), N(4)) + b"Q", "type a dtype": ref(cls="torch.float32"),
        "key a negative number": T(S("storage"), G(f), N(-1), S("cpu"), N(4)) + b"Q", "key empty": ref(key=""), "location a number": T(S("storage"), G(f), S("0"), N(0), N(4)) + b"Q", "numel negative": ref(numel=-4),
        "numel a string": ref(numel=S("4")), "numel 2^62": ref(numel=2**62), "numel 2^64": ref(numel=2**64), "view malformed": ref(more=T(S("v"))), "view past the end": ref(more=T(S("v"), N(1), N(4))),
        "view negative": ref(more=T(S("v"), N(-1), N(4))),
    }.items():
        yield f"storage, {name}", one(torch_zip(D(("a", tensor(storage=value))))), 2, None
    yield "storage, numel too small", one(torch_zip(D(("a", tensor(numel=3, size=(3,)))))), 2, 'storage "0"'
    yield "storage, numel too large", one(torch_zip(D(("a", tensor(numel=5, size=(5,)))))), 2, 'storage "0"'
    yield "storage, absent", one(torch_zip(D(("a", tensor(key="1"))))), 2, "data/1"
    for key in ("../0", "/0", "../../etc/passwd", "0/../0", "0\0", "0/", "./0", "\u202e0"):
        yield f"storage, key {key!r}", one(torch_zip(D(("a", tensor(key=key))))), 2, "no entry"
    yield "storage, two types", one(torch_zip(D(("a", tensor()), ("b", tensor(cls="torch.IntStorage"))))), 2, "two types"
    yield "storage, two sizes", one(torch_zip(D(("a", tensor()), ("b", tensor(numel=2, size=(2,)))))), 2, "two types or sizes"
    for order in (b"", b"Big", b"little\n", b"middle", b"x" * 65):
        yield f"byteorder {order[:8]!r}", one(torch_zip(more=[entry("byteorder", order)])), 2, "byteorder"
    yield "byteorder big", one(torch_zip(more=[entry("byteorder", b"big")])), 0, None
    good = {"typed": tensor(), "of size 0": tensor(size=(0, 2**62), stride=(1, 1)), "scalar": tensor(size=(), stride=()), "transposed": tensor(size=(2, 2), stride=(1, 2)), "expanded": tensor(size=(8, 4), stride=(0, 1)),
            "size as Size": tensor(size=call("torch.Size", dims(4)), stride=(1,)), "v1": call("torch._utils._rebuild_tensor", ref(), N(0), dims(4), dims(1)), "rank 64": tensor(size=(1,) * 64),
            "parameter": call("torch._utils._rebuild_parameter", tensor(), b"\x88", ORDERED), "with attributes": call("torch._tensor._rebuild_from_type_v2", G("torch._utils._rebuild_tensor_v2"), G("torch.nn.parameter.Parameter"), T(ref(), N(0), dims(4), dims(1), b"\x89", ORDERED), D(("x", N(1)))),
            "metadata empty": tensor(more=(b"\x89", ORDERED, b"}")), "bits false": tensor(more=(b"\x89", ORDERED, D(("conj", b"\x89")))), "cuda": tensor(cls="torch.cuda.FloatStorage"),
            "v3": tensor(cls="torch.storage.UntypedStorage", numel=16, fn="_rebuild_tensor_v3", size=(8,), more=(b"\x89", ORDERED, G("torch.uint16")))}
    for name, value in good.items():
        yield f"sound, {name}", one(torch_zip(D(("a", value)))), 0, None


def zips():
    good = entry("data.pkl", pkl(GOOD)), entry("data/0", DATA)
    a, b = good
    yield "zip, sound", one(zip_of(*good)), 0, None
    yield "zip, sound, end records of zip64", one(zip_of(*good, end64=True)), 0, None
    yield "zip, sound, no check sums", one(zip_of(dict(a, crc=0), dict(b, crc=0))), 0, None
    yield "zip, sound, no descriptors", one(zip_of(dict(a, flags=0), dict(b, flags=0x800))), 0, None
    yield "zip, sound, descriptor of 24 bytes", one(zip_of(a, dict(b, descriptor=struct.pack("<IIQQ", 0x08074B50, zlib.crc32(DATA), 16, 16)))), 0, None
    yield "zip, sound, sizes in zip64 fields", one(zip_of(a, dict(b, size=0xFFFFFFFF, descriptor=struct.pack("<IIII", 0x08074B50, zlib.crc32(DATA), 16, 16), cextra=struct.pack("<HHQQ", 1, 16, 16, 16)))), 0, None
    crc = zlib.crc32(DATA)
    for name, change in {
        "compressed": dict(method=8), "bzip2": dict(method=12), "zstd": dict(method=93), "compressed by one header": dict(lmethod=8), "encrypted": dict(flags=0x809), "strongly encrypted": dict(flags=0x848),
        "masked headers": dict(flags=0x2808), "flags differ": dict(lflags=0x800), "names differ": dict(lname=b"m/data/1"), "name longer in the local header": dict(lname=b"m/data/00"),
        "local signature": dict(lsig=0x04034B51), "central signature": dict(csig=0), "size too large by one": dict(size=17), "size 0": dict(size=0), "size 2^31": dict(size=2**31), "size all ones": dict(size=0xFFFFFFFF),
        "two sizes": dict(packed=8), "local size": dict(lsize=8), "local sizes differ": dict(lpacked=8), "local check sum": dict(lcrc=1), "descriptor check sum": dict(descriptor=struct.pack("<IIII", 0x08074B50, 1, 16, 16)),
        "descriptor size": dict(descriptor=struct.pack("<IIII", 0x08074B50, crc, 16, 17)), "descriptor packed size": dict(descriptor=struct.pack("<IIII", 0x08074B50, crc, 17, 16)), "descriptor absent": dict(descriptor=b""), "descriptor without signature": dict(descriptor=struct.pack("<III", crc, 16, 16)),
        "descriptor cut": dict(descriptor=b"PK\7\10"), "offset 0": dict(off=0), "offset far": dict(off=2**31), "offset all ones": dict(off=0xFFFFFFFF), "offset by one": dict(off=1), "comment of an entry": dict(comment=b"x"), "other volume": dict(disk=1),
        "extra fields cut": dict(lextra=b"FB\x09\0x"), "extra field of three bytes": dict(lextra=b"FB\0"), "extra length lies": dict(lextra=b"", lextra_n=4), "extra length 65535": dict(lextra_n=65535), "name length 65535": dict(lname_n=65535),
        "central name length": dict(name_n=65535), "central extra length": dict(cextra_n=60000), "two zip64 fields": dict(lextra=struct.pack("<HHQHHQ", 1, 8, 16, 1, 8, 16)), "zip64 field too short": dict(size=0xFFFFFFFF, cextra=struct.pack("<HHI", 1, 4, 16)),
        "zip64 says more": dict(size=0xFFFFFFFF, cextra=struct.pack("<HHQQ", 1, 16, 2**40, 2**40)), "zip64 says 2^64 - 1": dict(size=0xFFFFFFFF, cextra=struct.pack("<HHQQ", 1, 16, 2**64 - 1, 2**64 - 1)),
        "a second name": dict(cextra=struct.pack("<HHBI", 0x7075, 10, 1, 0) + b"m/xyz"),
    }.items():
        yield f"zip, {name}", one(zip_of(a, dict(b, **change))), 2, "zip"
    for name in (b"../data/0", b"/data/0", b"m/../0", b"m//0", b"m/", b"", b"m/./0", b"m/\0", b"m\\data", b"C:\\x", b"m/\xff", b"n/0", b"0", b"..", b"m"):
        yield f"zip, entry {name!r}", one(zip_of(*good, entry(name, b"x"))), 2, "zip"
    yield "zip, entry twice", one(zip_of(a, b, b)), 2, "twice"
    yield "zip, pickle twice", one(zip_of(a, a, b)), 2, "twice"
    yield "zip, entry of two rows", one(zip_of(a, b, entry("x", b"", off=0))), 2, "zip"
    yield "zip, two names for one place", one(zip_of(a, dict(b), dict(entry("data/1", DATA), off=len(zip_of(a)) - 22 - 46 - 10))), 2, "zip"
    yield "zip, gap between", one(zip_of(*good, gap=b"\0")), 2, "zip"
    yield "zip, gap before the directory", one(zip_of(*good, before_directory=b"xx")), 2, "zip"
    yield "zip, bytes in front", one(zip_of(*good, front=b"PK\3\4")), 2, "zip"
    yield "zip, program in front", one(zip_of(*good, front=b"#!/bin/sh\n"), "model.pth"), 2, None
    for junk in (b"\0", b"x" * 22, b"PK\5\6", b"\0" * 65535):
        yield f"zip, {len(junk)} bytes behind", one(zip_of(*good, behind=junk)), 2, "end record"
    yield "zip, comment", one(zip_of(*good, comment=b"hello")), 2, "end record"
    yield "zip, comment that is an end record", one(zip_of(*good, comment=zip_of(*good)[-22:])), 2, "zip"
    for n in (0, 1, 3, 65534):
        yield f"zip, count {n}", one(zip_of(*good, count=n)), 2, "zip"
    for n in (0, 1, 3, 2**40, 2**64 - 1):
        yield f"zip, zip64 count {n}", one(zip_of(*good, count=n, end64=True)), 2, "zip"
    for d in (-1, 1, 46, 2**31):
        yield f"zip, directory offset {d:+}", one(zip_of(*good, dir_off=d)), 2, "zip"
        yield f"zip, directory size {d:+}", one(zip_of(*good, dir_size=d)), 2, "zip"
    yield "zip, locator astray", one(zip_of(*good, locator=0)), 2, "zip64"
    yield "zip, locator far", one(zip_of(*good, locator=2**63)), 2, "zip64"
    yield "zip, several volumes", one(zip_of(*good, disk=1)), 2, "volumes"
    yield "zip, no directory", one(zip_of(*good, only_end=True)), 2, "zip"
    yield "zip, no entries", one(zip_of()), 2, "no PyTorch checkpoint"
    yield "zip, no pickle", one(zip_of(b)), 2, "data.pkl"
    yield "zip, pickle at the top", one(zip_of(entry("data.pkl", pkl(GOOD), folder=""), entry("data/0", DATA, folder=""))), 2, None
    yield "zip, two folders", one(zip_of(a, entry("data/0", DATA, folder="n/"))), 2, "outside"
    yield "zip, TorchScript", one(zip_of(*good, entry("constants.pkl", pkl(b")")))), 2, "TorchScript"
    yield "zip, wrong sum of the pickle", one(zip_of(dict(a, crc=zlib.crc32(pkl(GOOD)) ^ 1), b)), 2, "check sum"
    yield "zip, wrong sum of byteorder", one(zip_of(*good, entry("byteorder", b"little", crc=5))), 2, "check sum"
    yield "zip, sum of an empty entry", one(zip_of(*good, entry("x", b"", crc=5, flags=0x800))), 2, "zip"
    yield "zip, 70000 entries", one(lambda: zip_of(*good, *(entry(f"data/{i + 1}", b"") for i in range(70000)), end64=True)), 0, None
    whole = zip_of(*good, end64=True)
    for n in (0, 1, 3, 4, 21, 22, 30, 60, 98, 120, len(whole) // 2, len(whole) - 98, len(whole) - 42, len(whole) - 22, len(whole) - 1):
        yield f"zip, cut to {n}", one(whole[:n]), 2, None


def legacies():
    yield "legacy, sound", one(legacy()), 0, None
    yield "legacy, sound, view", one(legacy(D(("a", tensor(storage=ref(more=T(S("v"), N(1), N(3))), size=(3,)))))), 0, None
    yield "legacy, sound, no view", one(legacy(D(("a", tensor(storage=ref(more=b"N")))))), 0, None
    two = D(("a", tensor()), ("b", tensor(key="1", cls="torch.HalfStorage", numel=2, size=(2,))))
    yield "legacy, sound, two storages", one(legacy(two, ("1", "0"), ((2, b"abcd"), (4, DATA)))), 0, None
    for name, content in {
        "magic": legacy(magic=MAGIC + 1), "version 1000": legacy(version=1000), "version 1002": legacy(version=1002), "keys a dict": legacy(keys_value=b"}"), "keys of numbers": legacy(keys_value=L(N(0))),
        "key absent": legacy(keys=()), "key twice": legacy(keys=("0", "0"), storages=((4, DATA), (4, DATA))), "key unknown": legacy(keys=("0", "1"), storages=((4, DATA), (4, DATA))), "count too small": legacy(storages=((3, DATA),)),
        "count too large": legacy(storages=((5, DATA),)), "count 2^61": legacy(storages=((2**61, DATA),)), "count -1": legacy(storages=((-1, DATA),)), "no data": legacy(storages=()), "data cut": legacy(storages=((4, DATA[:-1]),)),
        "a byte behind": legacy(behind=b"\0"), "a pickle behind": legacy(behind=pkl(b"N")), "tensor past the end": legacy(D(("a", tensor(size=(5,))))), "complex128": legacy(D(("a", tensor(cls="torch.ComplexDoubleStorage", numel=1, size=(1,)))), storages=((1, DATA),)),
        "view past the end": legacy(D(("a", tensor(storage=ref(more=T(S("v"), N(2), N(3))), size=(3,))))), "id of a module": legacy(D(("a", ref(tag="module")))), "zip behind": legacy() + zip_of(entry("data.pkl", pkl(GOOD))),
    }.items():
        yield f"legacy, {name}", one(content), 2, None
    whole = legacy()
    for n in list(range(1, 40, 3)) + [60, 100, 150, len(whole) - 25, len(whole) - 17, len(whole) - 16, len(whole) - 1]:
        yield f"legacy, cut to {n}", one(whole[:n]), 2, None
    yield "tar", one(b"storages" + b"\0" * 249 + b"ustar" + b"\0" * 1000), 2, "tar"
    yield "legacy, pickle of 3 MB", one(lambda: legacy(D(("a", tensor()), ("x", S("y" * 3_000_000))))), 0, None
    yield "legacy, tree without end", one(lambda: legacy()[:40] + b"\x80\x02" + b"]" * 3_000_000), 2, None


def folders():
    def folder_of(files):
        def build(folder):
            for name, content in files.items():
                with open(os.path.join(folder, name), "wb") as f:
                    f.write(content)
            return folder
        return build

    def named(name):
        return torch_zip(D((name, tensor())))

    index = "pytorch_model.bin.index.json"
    one_, two = "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"
    evil = pkl(G("posix.system") + T(S("true")) + b"R")
    yield "folder, one file", folder_of({"pytorch_model.bin": named("a")}), 0, None
    yield "folder, with a trainer's files", folder_of({"pytorch_model.bin": named("a"), "training_args.bin": evil, "optimizer.pt": evil, "scheduler.pt": evil, "rng_state_0.pth": evil}), 0, None
    yield "folder, only a trainer's files", folder_of({"training_args.bin": evil}), 2, "training_args.bin"
    yield "folder, executing", folder_of({"a.pth": named("a"), "b.pth": torch_zip(raw=evil)}), 2, "b.pth"
    yield "folder, index", folder_of({one_: named("a"), two: named("b"), index: b'{"weight_map":{"a":"%s","b":"%s"}}' % (one_.encode(), two.encode())}), 0, None
    for bad in ("../x.bin", "/etc/passwd", "./" + one_, "a/../" + one_, ""):
        yield f"folder, index to {bad!r}", folder_of({one_: named("a"), index: b'{"weight_map":{"a":"%s"}}' % bad.encode()}), 2, '"a"'
    yield "folder, index swapped", folder_of({one_: named("a"), two: named("b"), index: b'{"weight_map":{"a":"%s","b":"%s"}}' % (two.encode(), one_.encode())}), 2, '"a"'


def beside():
    """References to files beside, as torch_xla writes them."""
    cls = "torch_xla.utils.serialization.TensorReference"

    def ref_to(tid, more=()):
        return G(cls) + b")\x81" + D(("tid", N(tid) if isinstance(tid, int) else tid), *more) + b"b"

    def build(value, **files):
        def write(folder):
            path = one(torch_zip(value), "model.pt")(folder)
            for name, data in files.items():
                os.makedirs(path + ".tensors", exist_ok=True)
                one(data, os.path.join("model.pt.tensors", name + ".pt"))(folder)
            return path
        return write

    good, alone = D(("a", ref_to(0))), torch_zip(tensor())
    yield "beside, sound", build(good, tensor_0=alone), 0, None
    yield "beside, some inside", build(D(("a", ref_to(7)), ("b", tensor())), tensor_7=alone), 0, None
    yield "beside, absent", build(good), 2, "not there"
    for name, content, needle in [("empty", b"", "tensor_0"), ("no tensor", torch_zip(D(("x", N(1)))), "holds no tensor"),
                                  ("several tensors", torch_zip(GOOD), "holds no tensor"),
                                  ("a reference again", torch_zip(ref_to(0)), "in such a file itself"),
                                  ("repeats", torch_zip(tensor(size=(2**20,), stride=(0,))), "repeats"),
                                  ("older kind", legacy(tensor()), "tensor_0")]:
        yield "beside, the file is " + name, build(good, tensor_0=content), 2, needle
    for name, tid in {"negative": -1, "2^64": 2**64, "a string": S("../../x"), "a float": b"G" + b"\0" * 8, "none": b"N"}.items():
        yield "beside, number " + name, build(D(("a", ref_to(tid))), tensor_0=alone), 2, '"a"'
    yield "beside, number 2^62", build(D(("a", ref_to(2**62))), tensor_0=alone), 2, "not there"
    yield "beside, twice", build(D(("a", ref_to(0)), ("b", ref_to(0))), tensor_0=alone), 2, "another tensor"
    yield "beside, more in its state", build(D(("a", ref_to(0, [("x", N(1))]))), tensor_0=alone), 2, "number"
    yield "beside, no state", build(D(("a", G(cls) + b")\x81"))), 2, "number"
    yield "beside, arguments", build(D(("a", call(cls, N(0)))), tensor_0=alone), 2, "number"
    yield "beside, a parameter", build(D(("a", call("torch._utils._rebuild_parameter", ref_to(0), b"\x89", ORDERED))), tensor_0=alone), 2, '"a"'


def cases():
    for group in (executing, instructions, tensors, zips, legacies, folders, beside):
        yield from group()
