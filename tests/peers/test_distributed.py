"""Distributed checkpoints of torch.distributed.checkpoint, read by wmap and by torch: the same tensors to the byte.

The writer is torch's FileSystemWriter.  Several ranks are played in one process: each gets its plan, writes its files, and
the metadata are made of all plans, as the coordinator does.  One test has real processes with DTensors, one OLMo-core."""

import itertools
import subprocess
import sys
import warnings

import pytest
import torch
import torch.distributed.checkpoint as dcp
from conftest import assert_same, load
from olmo_core.distributed.checkpoint import save_model_and_optim_state
from olmo_core.distributed.checkpoint.filesystem import RemoteFileSystemReader
from torch.distributed.checkpoint.default_planner import create_default_global_save_plan
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    MetadataIndex,
    TensorProperties,
)
from torch.distributed.checkpoint.planner import SavePlan, TensorWriteData, WriteItem, WriteItemType

warnings.filterwarnings("ignore", module="torch.distributed")

IDENTITY = 'wmap 1\nmap identity "as it is"\n"{rest*}" <-> "{rest*}"\n'
DTYPES = ["bool", "uint8", "int8", "int16", "int64", "uint16", "uint64", "float16", "bfloat16", "float32", "float64", "complex64",
          "float8_e4m3fn", "float8_e5m2"]


def random(dtype, *shape):
    dtype = getattr(torch, dtype)
    bits = torch.randint(0, 2 if dtype is torch.bool else 256, (*shape, dtype.itemsize), dtype=torch.uint8)
    return bits.view(dtype).reshape(shape)


class Planner:
    """What a writer asks a planner for: the data of an item."""

    def __init__(self, data):
        self.data = data

    def resolve_data(self, item):
        return self.data[item.index.fqn, tuple(item.index.offset)]


def save_ranks(path, tensors, cuts, world, writer=None):
    """Each tensor cut along its dimensions at cuts[name], the pieces dealt to the ranks in turn."""
    plans, planners = [[] for _ in range(world)], [Planner({}) for _ in range(world)]
    turn = itertools.count()
    for name, tensor in tensors.items():
        edges = [sorted({0, n, *c}) for n, c in zip(tensor.shape, cuts.get(name, [()] * tensor.dim()), strict=True)]
        for box in itertools.product(*(zip(e, e[1:]) for e in edges)):
            at, size = torch.Size(a for a, _ in box), torch.Size(b - a for a, b in box)
            rank = next(turn) % world
            piece = tensor[tuple(slice(a, b) for a, b in box)]
            planners[rank].data[name, tuple(at)] = piece
            data = TensorWriteData(ChunkStorageMetadata(at, size), TensorProperties.create_from_tensor(piece), tensor.size())
            plans[rank].append(WriteItem(MetadataIndex(name, at), WriteItemType.SHARD, tensor_data=data))
    writer = writer or dcp.FileSystemWriter(path)
    writer.set_up_storage_writer(True)
    plans, metadata = create_default_global_save_plan([SavePlan(p) for p in plans])
    plans = writer.prepare_global_plan([writer.prepare_local_plan(p) for p in plans])
    writer.finish(metadata, [writer.write_data(p, planner).wait() for p, planner in zip(plans, planners)])


def torch_reads(path, reader=dcp.FileSystemReader):
    """{name: tensor} by torch's own reader (or another), names as the metadata have them."""
    metadata = reader(path).read_metadata()
    state = {k: torch.empty(v.size, dtype=v.properties.dtype) for k, v in metadata.state_dict_metadata.items()
             if not isinstance(v, BytesStorageMetadata)}
    dcp.load(state, storage_reader=reader(path), no_dist=True)
    return state


def check(wmap, path, want):
    directory = wmap.directory
    (directory / "identity.wmap").write_text(IDENTITY)
    out = directory / "out.safetensors"
    wmap("run", directory / "identity.wmap", "-i", path, "-o", out, "--fsync")
    assert_same(load(out), want)
    for threads in ("1", "3"):
        wmap("run", directory / "identity.wmap", "-i", path, "-o", directory / "again", "--threads", threads, "--max-memory", "1MB",
             "--force")
        assert (directory / "again" / "model.safetensors").read_bytes() == out.read_bytes()
    wmap("verify", directory / "identity.wmap", "-i", path, "-o", out)
    wmap("diff", path, out)
    wmap("inspect", path)


CUTS = {
    "rows": ((10, 6), ((3, 7), ())),
    "columns": ((4, 9), ((), (2, 3, 8))),
    "two dimensions": ((7, 11), ((1, 5), (4, 6, 9))),
    "three dimensions": ((4, 5, 6), ((3,), (1, 2), (5,))),
    "single elements": ((3, 2), ((1, 2), (1,))),
    "one": ((5, 5), ((), ())),
    "vector": ((13,), ((1, 2, 9),)),
}


@pytest.mark.parametrize("world", [1, 3])
@pytest.mark.parametrize("cut", CUTS)
def test_cuts(wmap, cut, world):
    torch.manual_seed(world)
    shape, at = CUTS[cut]
    tensors = {d: random(d, *shape) for d in DTYPES} | {"scalar": random("float32"), "transposed": random("float32", *shape[::-1]).permute(*range(len(shape))[::-1])}
    path = wmap.directory / "ckpt"
    save_ranks(path, tensors, {k: at for k in tensors if k != "scalar"}, world)
    want = torch_reads(path)
    assert_same(want, {k: v.contiguous() for k, v in tensors.items()})
    check(wmap, path, want)


def test_random_models(wmap):
    torch.manual_seed(5)
    for k in range(4):
        draw = torch.Generator().manual_seed(k)
        pick = lambda n: int(torch.randint(0, n, (), generator=draw))  # noqa: E731
        tensors, cuts = {}, {}
        for t in range(12):
            shape = [1 + pick(9) for _ in range(pick(4))]
            tensors[f"layers.{t}.w"] = random(DTYPES[pick(len(DTYPES))], *shape)
            cuts[f"layers.{t}.w"] = [[pick(n + 1) for _ in range(pick(4))] for n in shape]
        path = wmap.directory / f"ckpt{k}"
        save_ranks(path, tensors, cuts, 1 + pick(5))
        check(wmap, path, torch_reads(path))


def test_state_dict(wmap):
    """dcp.save of a nested state dict: keys with dots; numbers and strings are left out."""
    torch.manual_seed(2)
    path = wmap.directory / "ckpt"
    nested = {"decoder": {"a.b": random("float32", 3, 4), "list": [random("int8", 2), 7]}, "view": random("float32", 100)[10:20],
              "empty": torch.empty(0, 3), "n": 3, "s": "text", "t": random("float32", 5, 4).t()}
    dcp.save(nested, storage_writer=dcp.FileSystemWriter(path, single_file_per_rank=False, thread_count=2), no_dist=True)
    want = torch_reads(path)
    assert sorted(want) == ["decoder.a.b", "decoder.list.0", "empty", "t", "view"]
    check(wmap, path, want)
    assert '3 values that are no tensors are left out ("decoder.list.1", "n", "s")' in wmap("inspect", path).stdout
    check(wmap, path / ".metadata", want)


def test_rules_work_through_parts(wmap):
    """A map that fuses and transposes reads the parts directly; trace names whole tensors."""
    torch.manual_seed(3)
    q, k, o = random("bfloat16", 6, 8), random("bfloat16", 4, 8), random("bfloat16", 8, 6)
    path, directory = wmap.directory / "ckpt", wmap.directory
    save_ranks(path, {"q": q, "k": k, "o": o}, {"q": ((4,), (3, 5)), "k": ((), (1,)), "o": ((2, 7), (5,))}, 4)
    (directory / "fuse.wmap").write_text(
        'wmap 1\nmap fuse "q and k in one"\n"q" [q d], "k" [k d] <-> "qk" [(q + k) d] where q = 6, k = 4\n"o" [a b] <-> "o" [b a]\n')
    wmap("run", directory / "fuse.wmap", "-i", path, "-o", directory / "out.safetensors")
    assert_same(load(directory / "out.safetensors"), {"qk": torch.cat((q, k)), "o": o.t().contiguous()})


def test_damage(wmap):
    path = wmap.directory / "ckpt"
    save_ranks(path, {"w": random("float32", 64, 64)}, {"w": ((32,), ())}, 2)
    (wmap.directory / "identity.wmap").write_text(IDENTITY)
    file = path / "__1_0.distcp"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    done = wmap("run", wmap.directory / "identity.wmap", "-i", path, "-o", wmap.directory / "out.safetensors", status=2)
    assert "__1_0.distcp" in done.stderr and "of tensor w[32:64, 0:64]" in done.stderr and "CRC-32" in done.stderr
    assert not (wmap.directory / "out.safetensors").exists()


def test_olmo_core(wmap):
    """model_and_optim: the model is found, the optimizer is there for a map that asks for it."""
    torch.manual_seed(4)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
    optim = torch.optim.AdamW(model.parameters())
    model(torch.randn(2, 4)).sum().backward()
    optim.step()
    path = wmap.directory / "model_and_optim"
    save_model_and_optim_state(path, model, optim)
    everything = torch_reads(path, RemoteFileSystemReader)  # torch's own reader can't: the entries are of another class
    want = {k.removeprefix("model."): v for k, v in everything.items() if k.startswith("model.")}
    assert_same(want, {k: v for k, v in model.state_dict().items()})
    check(wmap, path, want)
    assert 'tensors are those under "model", without 12 others' in wmap("inspect", path).stdout

    (wmap.directory / "optim.wmap").write_text(
        'wmap 1\nmap optim "the optimizer"\nsource { file ".metadata" root "optim" }\n"{rest*}" <-> "{rest*}"\n')
    wmap("run", wmap.directory / "optim.wmap", "-i", path, "-o", wmap.directory / "optim.safetensors")
    got = load(wmap.directory / "optim.safetensors")
    assert_same(got, {k.removeprefix("optim."): v for k, v in everything.items() if k.startswith("optim.")})
    assert "state.0.weight.exp_avg" in got


RANKS = """
import sys, torch, torch.distributed as dist, torch.multiprocessing as mp, torch.distributed.checkpoint as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

def work(rank, out):
    dist.init_process_group("gloo", init_method=f"file://{out}.rendezvous", rank=rank, world_size=4)
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
    torch.manual_seed(0)
    state = {
        "both": distribute_tensor(torch.randn(7, 5), mesh, [Shard(0), Shard(1)]),
        "copies": distribute_tensor(torch.randn(3, 5), mesh, [Replicate(), Shard(0)]),
        "twice": distribute_tensor(torch.randn(5, 2), mesh, [Shard(0), Shard(0)]),
        "few": distribute_tensor(torch.randn(1, 5), mesh, [Shard(0), Shard(0)]),
        "plain": torch.randn(4),
    }
    dcp.save({"weights": state}, checkpoint_id=out)
    dist.destroy_process_group()

if __name__ == "__main__":
    mp.spawn(work, (sys.argv[1],), nprocs=4)
"""


def test_dtensor_on_four_ranks(wmap):
    script, path = wmap.directory / "ranks.py", wmap.directory / "ckpt"
    script.write_text(RANKS)
    subprocess.run([sys.executable, script, path], check=True, capture_output=True, timeout=600)
    dcp_to_torch_save(path, wmap.directory / "whole.pth")
    whole = torch.load(wmap.directory / "whole.pth", weights_only=True)["weights"]
    want = {"weights." + k: v for k, v in whole.items()}
    assert len(want) == 5
    check(wmap, path, want)
