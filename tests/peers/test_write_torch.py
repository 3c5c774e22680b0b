"""The .pth, .bin, .npz and .npy files that wmap writes, against torch.save, torch.load and numpy.

Inputs are safetensors files; the map keeps every tensor. A .pth is the file that torch.save writes for the tensors in
the order of the state dict, but for the serialization id, which torch makes of the data."""

import json
import re
import subprocess
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors.torch
import torch
from litgpt.utils import lazy_load

from conftest import assert_same, bits, load, save, same_zip

KEEP = 'wmap 1\n{target}\n"{{name*}}" <-> "{{name}}"\n'

DTYPES = [
    "bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16", "float32",
    "float64", "complex64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
]  # fmt: skip


def natural(name):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def random(shape, dtype, seed):
    n = int(np.prod(shape)) * dtype.itemsize
    data = torch.randint(0, 256, (n,), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return (data % 2).bool().reshape(shape) if dtype == torch.bool else data.view(dtype).reshape(shape)


def every_dtype():
    tensors = {}
    for seed, name in enumerate(DTYPES):
        for shape in ((), (3,), (2, 5), (0, 4), (2, 1, 3, 2, 1), (300, 300)):
            tensors[f"{name}.{len(shape)}.{shape[0] if shape else 0}"] = random(shape, getattr(torch, name), seed)
    return tensors


class Keep:
    """wmap run with a map that keeps every tensor."""

    def __init__(self, wmap):
        self.wmap, self.map = wmap, wmap.directory / "keep.wmap"

    def __call__(self, source, output, *options, target=""):
        self.map.write_text(KEEP.format(target=target))
        self.wmap("run", self.map, "-i", source, "-o", output, *options)
        return output


@pytest.fixture
def keep(wmap):
    return Keep(wmap)


def load_both(path):
    """As the safe loader reads it, and mapped into memory."""
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
    tensors = torch.load(path, weights_only=True)
    assert_same(torch.load(path, weights_only=True, mmap=True), tensors)
    return tensors


def test_every_dtype(keep, tmp_path):
    tensors = every_dtype()
    save(tensors, tmp_path / "in.safetensors")
    out = keep(tmp_path / "in.safetensors", tmp_path / "out.pth")
    assert_same(load_both(out), tensors)
    order = {name: tensors[name] for name in sorted(tensors, key=natural)}
    assert list(torch.load(out)) == list(order)
    (tmp_path / "want").mkdir()
    torch.save(order, tmp_path / "want/out.pth")
    same_zip(out, tmp_path / "want/out.pth")
    again = keep(tmp_path / "in.safetensors", tmp_path / "again/out.pth") if (tmp_path / "again").mkdir() is None else 0
    assert again.read_bytes() == out.read_bytes()
    keep(out, tmp_path / "back.safetensors")
    assert (tmp_path / "back.safetensors").read_bytes() == (tmp_path / "in.safetensors").read_bytes()


def test_pairs_of_fp4(keep, tmp_path):
    tensor = random((4, 6), torch.uint8, 1).view(torch.float4_e2m1fn_x2)
    safetensors.torch.save_file({"w": tensor}, tmp_path / "in.safetensors")
    out = keep(tmp_path / "in.safetensors", tmp_path / "out.pt")
    got = load_both(out)["w"]
    assert got.dtype == tensor.dtype and got.shape == tensor.shape
    assert torch.equal(got.view(torch.uint8), tensor.view(torch.uint8))
    keep(out, tmp_path / "back.safetensors")
    assert_same(load(tmp_path / "back.safetensors"), {"w": tensor})


def test_loaders_take_it(keep, tmp_path):
    """litgpt's lazy loader, and a module."""
    module = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Linear(7, 3))
    save(module.state_dict(), tmp_path / "in.safetensors")
    out = keep(tmp_path / "in.safetensors", tmp_path / "out.pth")
    lazy = lazy_load(out)
    assert_same({name: tensor._load_tensor() for name, tensor in lazy.items()}, module.state_dict())
    other = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Linear(7, 3))
    other.load_state_dict(torch.load(out))
    assert_same(other.state_dict(), module.state_dict())


def test_tied_tensors_share_a_storage(keep, wmap, tmp_path):
    tensors = {"a": random((100, 30), torch.float32, 1), "b": random((100, 30), torch.float32, 2)}
    save(tensors, tmp_path / "in.safetensors")
    (tmp_path / "tie.wmap").write_text(
        'wmap 1\nsource { alias "z" = "a" }\n"{name*}" <-> "m.{name}"\n"z" <-> "y.z"\n'
    )
    wmap("run", tmp_path / "tie.wmap", "-i", tmp_path / "in.safetensors", "-o", tmp_path / "out.pth")
    got = load_both(tmp_path / "out.pth")
    assert_same(got, {"m.a": tensors["a"], "m.b": tensors["b"], "y.z": tensors["a"]})
    assert got["m.a"].data_ptr() == got["y.z"].data_ptr() != got["m.b"].data_ptr()
    assert all(t.untyped_storage().nbytes() == t.nbytes for t in got.values())
    torch.save({k: got[k] for k in ("m.a", "m.b", "y.z")}, tmp_path / "want.pth")
    assert abs((tmp_path / "want.pth").stat().st_size - (tmp_path / "out.pth").stat().st_size) < 64


def test_under_a_key(keep, tmp_path):
    tensors = {"a.w": random((3, 4), torch.bfloat16, 1), "b": random((), torch.int64, 2)}
    save(tensors, tmp_path / "in.safetensors")
    for root in ("model", "state.model"):
        out = keep(tmp_path / "in.safetensors", tmp_path / root, target=f'target {{ file "x.pth" root "{root}" }}')
        got = load_both_nested(out / "x.pth", root)
        assert_same(got, tensors)
        keep(out, tmp_path / "back.safetensors", target=f'source {{ file "x.pth" root "{root}" }}')
        assert_same(load(tmp_path / "back.safetensors"), tensors)


def load_both_nested(path, root):
    got = torch.load(path, weights_only=True, mmap=True)
    for key in root.split("."):
        assert list(got) == [key]
        got = got[key]
    return got


def test_shards_of_bin(keep, tmp_path):
    """The names and the index of Hugging Face; transformers' own loader finds them."""
    tensors = {f"layers.{i}.w": random((64, 64), torch.float32, i) for i in range(12)}
    save(tensors, tmp_path / "in.safetensors")
    out = keep(tmp_path / "in.safetensors", tmp_path / "out", "--format", "bin", "--max-shard-size", "40kB")
    files = sorted(path.name for path in out.glob("*.bin"))
    assert files == [f"pytorch_model-{i:05}-of-00006.bin" for i in range(1, 7)]
    from transformers.utils.hub import get_checkpoint_shard_files

    found, about = get_checkpoint_shard_files(str(out), str(out / "pytorch_model.bin.index.json"))
    assert about["total_size"] == 12 * 64 * 64 * 4 and len(found) == 6
    got = {}
    for path in found:
        got.update(load_both(path))
    assert_same(got, tensors)
    assert {name: file for name, file in about["weight_map"].items() if name in torch.load(out / file)} == about[
        "weight_map"
    ]
    keep(out, tmp_path / "back.safetensors")
    assert_same(load(tmp_path / "back.safetensors"), tensors)
    (keep(tmp_path / "in.safetensors", tmp_path / "one", "--format", "bin") / "pytorch_model.bin").stat()
    assert_same(load_both(tmp_path / "one/pytorch_model.bin"), tensors)


def test_many_tensors(keep, tmp_path):
    """More entries than 16 bits count."""
    n = 70_000
    data = np.arange(n, dtype="<i4").tobytes()
    head = {f"t.{i}": {"dtype": "I32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]} for i in range(n)}
    text = json.dumps(head).encode()
    (tmp_path / "in.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    out = keep(tmp_path / "in.safetensors", tmp_path / "out.pth")
    with zipfile.ZipFile(out) as file:
        assert len(file.namelist()) == n + 6 and file.testzip() is None
        assert all(file.read(f"out/data/{i}") == data[4 * i : 4 * i + 4] for i in range(0, n, 7))
    # torch takes half a minute for all of it
    reader = torch._C.PyTorchFileReader(str(out))
    assert reader.get_record("data/69999") == data[-4:] and len(reader.get_all_records()) == n + 6
    keep(out, tmp_path / "back.safetensors")
    keep(tmp_path / "in.safetensors", tmp_path / "same.safetensors")
    assert (tmp_path / "back.safetensors").read_bytes() == (tmp_path / "same.safetensors").read_bytes()


def test_more_than_4_gib(keep, tmp_path):
    """A tensor that 32 bits can't count, made by the map out of one row, and one behind it."""
    rows = 4100
    row = random((1, 1 << 20), torch.uint8, 1)
    save({"row": row, "z": random((5,), torch.int64, 2)}, tmp_path / "in.safetensors")
    (tmp_path / "big.wmap").write_text(
        f'wmap 1\n"row" <-> repeat(0, {rows}) <-> "big"\n"z" <-> "z"\n'
    )
    subprocess.run([keep.wmap.binary, "run", tmp_path / "big.wmap", "-i", tmp_path / "in.safetensors", "-o",
                    tmp_path / "out.pth"], check=True, timeout=300)  # fmt: skip
    got = torch.load(tmp_path / "out.pth", weights_only=True, mmap=True)
    assert got["big"].shape == (rows, 1 << 20)
    assert all(torch.equal(got["big"][i], row[0]) for i in range(0, rows, 101))
    assert torch.equal(got["z"], load(tmp_path / "in.safetensors")["z"])
    (tmp_path / "out.pth").unlink()


# ---- numpy ----

NUMPY = {name: getattr(np, name + "_" * (name == "bool")) for name in DTYPES[:10] + DTYPES[11:14]} | {
    "bfloat16": ml_dtypes.bfloat16
}


def array(tensor, name):
    return bits(tensor).view(torch.uint8).numpy().view(NUMPY[name]).reshape(tensor.shape)


def numpy_tensors():
    return {k: v for k, v in every_dtype().items() if k.split(".")[0] in NUMPY}


def test_npz_is_that_of_savez(keep, tmp_path):
    tensors = numpy_tensors()
    save(tensors, tmp_path / "in.safetensors")
    out = keep(tmp_path / "in.safetensors", tmp_path / "out.npz")
    arrays = {name: array(tensors[name], name.split(".")[0]) for name in sorted(tensors, key=natural)}
    np.savez(tmp_path / "want.npz", **arrays)
    assert out.read_bytes() == (tmp_path / "want.npz").read_bytes()
    got = np.load(out)
    for name, want in arrays.items():
        assert got[name].tobytes() == want.tobytes() and got[name].shape == want.shape
    keep(out, tmp_path / "back.safetensors")
    assert (tmp_path / "back.safetensors").read_bytes() == (tmp_path / "in.safetensors").read_bytes()


def test_npy_is_that_of_save(keep, tmp_path):
    tensors = numpy_tensors()
    save(tensors, tmp_path / "in.safetensors")
    out = keep(tmp_path / "in.safetensors", tmp_path / "out", "--format", "npy")
    assert len(list(out.iterdir())) == len(tensors)
    for name, tensor in tensors.items():
        np.save(tmp_path / "want.npy", array(tensor, name.split(".")[0]))
        assert (out / f"{name}.npy").read_bytes() == (tmp_path / "want.npy").read_bytes()
    keep(out, tmp_path / "back.safetensors")
    assert (tmp_path / "back.safetensors").read_bytes() == (tmp_path / "in.safetensors").read_bytes()


def test_npy_as_numpy_writes_it(keep, tmp_path):
    """Fortran order, the other byte order, older versions of the format, in files and in a .npz."""
    base = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    arrays = {
        "fortran": np.asfortranarray(base),
        "turned": base.transpose(1, 0, 2).copy(order="F"),
        "swapped": base.astype(">i4"),
        "swapped.fortran": np.asfortranarray(base.astype(">f8")),
        "swapped.complex": base.astype(">c8"),
        "swapped.half": base.astype(">u2"),
        "plain": base.astype(bool),
        "empty": np.zeros((0, 3), order="F"),
        "scalar": np.float32(2),
    }
    (tmp_path / "in").mkdir()
    for number, (name, value) in enumerate(arrays.items()):
        with open(tmp_path / f"in/{name}.npy", "wb") as file:
            np.lib.format.write_array(file, np.asarray(value), version=(1 + number % 3, 0))
    np.savez(tmp_path / "in.npz", **arrays)
    want = {name: torch.from_numpy(np.ascontiguousarray(value, np.asarray(value).dtype.newbyteorder("=")))
            .reshape(np.shape(value)) for name, value in arrays.items()}  # fmt: skip
    for source in ("in", "in.npz"):
        out = keep(tmp_path / source, tmp_path / f"{source}.safetensors")
        assert_same(load(out), want)


@pytest.mark.parametrize(
    "value, reason",
    [
        (np.array([{}, None]), "Python objects"),
        (np.array(["a"]), "strings"),
        (np.zeros(3, "c16"), "no dtype that wmap has"),
        (np.zeros(3, "M8[s]"), "dates"),
        (np.zeros(3, [("a", "f4")]), "structured"),
    ],
)
def test_arrays_that_are_no_tensors(wmap, tmp_path, value, reason):
    np.save(tmp_path / "x.npy", value)
    np.savez(tmp_path / "x.npz", x=value)
    for name in ("x.npy", "x.npz"):
        refused = wmap("inspect", tmp_path / name, status=2).stderr
        assert reason in refused and name in refused and refused.count("\n") == 1


def test_compressed_arrays(wmap, tmp_path):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(1000))
    assert "np.savez " in wmap("inspect", tmp_path / "x.npz", status=2).stderr
