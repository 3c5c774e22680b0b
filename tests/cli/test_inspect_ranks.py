"""`wmap inspect` of directories of rank files: which ranks there are, what is cut, what is replicated, what is wrong.

What is expected is computed from how the files were made, by slicing in numpy or by the maps that write such directories."""

import json
import shutil

import numpy as np
import pytest

from conftest import read_safetensors, write_safetensors

NEURON = "shards/model/dp_rank_00_tp_rank_{:02}_pp_rank_{:02}.pt"


def ranked(r):
    return {(t["name"], t.get("pp", 0)): t for t in r.json()["ranks"]["tensors"]}


def refused(w, directory, *parts):
    r = w("inspect", directory)
    line = r.err.splitlines()[0]
    assert r.status == 2 and r.out == "" and line.startswith(f"wmap: {directory}: "), r
    for part in parts:
        assert part in line, r


def f32(a):
    return "F32", list(a.shape), np.ascontiguousarray(a, dtype="<f4").tobytes()


def write(w, name, tensors):
    w.path(name).parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(w.path(name), {k: f32(v) for k, v in tensors.items()})


@pytest.fixture
def neuron(copy):
    copy.ok("run", "neuron/llama", "-i", "tiny", "-o", "n", "-D", "tp=4", "-D", "pp=2")
    return copy


def test_neuron_by_its_metadata(neuron):
    r = neuron.ok("inspect", "n", "--json").json()["ranks"]
    config = json.loads(neuron.path("tiny/config.json").read_text())
    assert (r["layout"], r["metadata"], r["tp"], r["pp"]) == ("optimum-neuron", True, 4, 2)
    assert [(f["tp"], f["pp"]) for f in r["files"]] == [(t, p) for p in range(2) for t in range(4)]
    got = ranked(neuron.ok("inspect", "n", "--json"))
    inter, kv = config["intermediate_size"], config["num_key_value_heads"] * 8
    gate = got["model.layers.0.mlp.gate_up_proj.weight", 0]
    assert (gate["kind"], gate["by"], gate["dimension"], gate["length"], gate["even"]) == ("cut", "metadata", 0, 2 * inter, True)
    assert gate["parts"] == [{"name": "gate_proj", "length": inter // 4}, {"name": "up_proj", "length": inter // 4}]
    assert got["model.layers.1.self_attn.o_proj.weight", 1]["dimension"] == 1
    k = got["model.layers.1.self_attn.qkv_proj.weight_k", 1]
    assert (k["length"], k["copies"], k["equal_to"], k["agree"]) == (kv, 2, [0, 1, 0, 1], True)
    norm = got["model.norm.weight", 1]
    assert (norm["kind"], norm["equal_to"]) == ("replica", [0] * 4)
    assert ("model.norm.weight", 0) not in got
    for path in ("n/shards", "n/shards/model"):
        assert ranked(neuron.ok("inspect", path, "--json")) == got
    text = neuron.ok("inspect", "n").out
    assert "tp 4, pp 2, optimum-neuron, by mp_metadata_pp_rank_0.json" in text and "2 copies; equal: ranks 0 2, 1 3" in text


def test_missing_and_stray_ranks(neuron):
    def turn(old, new):
        neuron.path("n/" + NEURON.format(*old)).rename(neuron.path("n/" + new))

    turn((3, 1), NEURON.format(4, 1))
    refused(neuron, "n", "tp 4, pp 1", "stray", NEURON.format(4, 1))
    neuron.path("n/" + NEURON.format(4, 1)).unlink()
    refused(neuron, "n", "tp 3, pp 1", "missing")
    turn((2, 1), NEURON.format(3, 1))
    refused(neuron, "n", "tp 2, pp 1", "missing")
    turn((3, 1), NEURON.format(0, 0).replace("dp_rank_00", "dp_rank_01"))
    refused(neuron, "n", "dp 1", "stray", "dp_rank_01")
    neuron.path("n/" + NEURON.format(0, 0).replace("dp_rank_00", "dp_rank_01")).rename(
        neuron.path("n/shards/model/dp_rank_00_tp_rank_0_pp_rank_00.pt"))
    refused(neuron, "n", "tp 0, pp 0", "stray", "the numbers of another file")


def test_a_stage_that_only_the_metadata_know(neuron):
    for tp in range(4):
        neuron.path("n/" + NEURON.format(tp, 1)).unlink()
    refused(neuron, "n", "tp 0, pp 1", "missing")
    neuron.path("n/shards/mp_metadata_pp_rank_1.json").unlink()
    neuron.path("n/shards/done").unlink()
    assert "no file \"done\"" in neuron.ok("inspect", "n").out


@pytest.mark.parametrize("change, parts", [
    (lambda m: m["parameters"]["model.norm.weight"].update(tensor_model_parallel=True, partition_dim=3, partition_stride=1,
                                                           num_partitions=4), ("model.norm.weight", "dimension 3", "1")),
    (lambda m: m["parameters"]["lm_head.weight"].update(num_partitions=8), ("lm_head.weight", "8", "4")),
    (lambda m: m["parameters"].update({"x.weight": {"tensor_model_parallel": False}}), ("lacks", "x.weight")),
    (lambda m: m["model_weight_transformation_specs"][3]["specs"][0][1].update(original_dims=[8, 8]),
     ("gate_up_proj", "4 long", "dimension 0")),
    (lambda m: m["model_weight_transformation_specs"][3]["specs"][0][1].update(tp_size=2), ("layers.1.mlp", "2", "4")),
    (lambda m: m.pop("parameters"), ("no object \"parameters\"",)),
])
def test_metadata_that_do_not_fit(neuron, change, parts):
    path = neuron.path("n/shards/mp_metadata_pp_rank_1.json")
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))
    r = neuron("inspect", "n")
    assert r.status == 2 and r.out == "" and "mp_metadata_pp_rank_1.json" in r.err, r
    for part in parts:
        assert part in r.err, r


def test_replicas_that_differ(neuron):
    """One bit of the last element, far behind what all others have in common."""
    data = {r: np.arange(300_000, dtype="<f4") for r in range(3)}
    data[1][-1] += 1
    for r, v in data.items():
        write(neuron, f"w/rank_{r}.safetensors", {"norm": v, "x": v[:7]})
    r = neuron("inspect", "w", "--json")
    assert r.status == 1 and r.json()["status"] == 1
    assert ranked(r)["norm", 0] | {"dtype": 0, "shape": 0, "by": 0} == {
        "name": "norm", "dtype": 0, "shape": 0, "kind": "replica", "by": 0, "agree": False, "equal_to": [0, 1, 0]}
    assert ranked(r)["x", 0]["agree"]
    r = neuron("inspect", "w")
    assert "norm" in r.err and "copies differ" in r.err and "equal: ranks 0 2" in r.out


def test_numbered_files(copy):
    """Ranks behind 99, in any order of names; uneven, and cut along what the width of the model tells."""
    rng = np.random.default_rng(0)
    tp, width = 104, 208
    norm, up, down = rng.random(width), rng.random((4 * tp, width)), rng.random((width, 4 * tp))
    uneven = np.array_split(rng.random(2 * tp + 5), tp)
    for r in range(tp):
        write(copy, f"many/tp_rank_{r:02}.safetensors", {
            "norm": norm, "up": up[4 * r : 4 * r + 4], "down": down[:, 4 * r : 4 * r + 4], "uneven": uneven[r],
            "square": rng.random((2, 2)), "one": np.array(r * 1.0)})
    r = copy.ok("inspect", "many", "--json").json()["ranks"]
    assert r["tp"] == tp and [f["tp"] for f in r["files"]] == list(range(tp)) and not r["metadata"]
    got = {t["name"]: t for t in r["tensors"]}
    assert got["norm"]["kind"] == "replica" and got["norm"]["agree"] and "dimension" not in got["one"]
    assert (got["up"]["dimension"], got["up"]["length"]) == (0, 4 * tp) and got["down"]["dimension"] == 1
    assert got["uneven"]["lengths"] == [len(u) for u in uneven] and not got["uneven"]["even"]
    assert got["square"]["kind"] == "cut" and "dimension" not in got["square"]
    copy.path("many/tp_rank_57.safetensors").unlink()
    refused(copy, "many", "tp 57", "missing")


def test_padded_to_more_ranks_than_it_fills(copy):
    """The last ranks of a small vocabulary hold padding alone, and are no copies of each other; a vector of zeros may be."""
    rows = np.zeros((16, 4))
    rows[:5] = 1 + np.arange(20).reshape(5, 4)
    for r in range(8):
        write(copy, f"p/tp_rank_{r}.safetensors", {"norm": np.ones(4), "head": rows[2 * r : 2 * r + 2]})
    head = ranked(copy.ok("inspect", "p", "--json"))["head", 0]
    assert (head["kind"], head["dimension"], head["length"]) == ("cut", 0, 16)
    for r in range(8):
        write(copy, f"p/tp_rank_{r}.safetensors", {"bias": np.full(4, float(r == 2))})
    assert "copies differ" in copy("inspect", "p").err


def test_what_only_some_ranks_have(copy):
    write(copy, "r/rank0/model.safetensors", {"a": np.ones(3), "b": np.ones(3)})
    write(copy, "r/rank1/model.safetensors", {"a": np.ones(3)})
    r = copy("inspect", "r")
    assert r.status == 1 and "not in ranks 1" in r.out and "\"b\"" in r.err


def test_files_that_are_no_ranks(copy):
    for n in ("epoch_1", "epoch_5"):
        write(copy, f"e/{n}.safetensors", {"a": np.ones(3)})
    assert "ranks" not in copy.ok("inspect", "e").out
    for k in range(2):
        write(copy, f"s/model_shard_{k}.safetensors", {f"a{k}": np.ones(3)})
    assert "ranks" not in copy.ok("inspect", "s").out


def test_vllm_stored_in_parts(copy):
    """With a limit of the size of its files; which tensor is in which part does not matter."""
    copy.ok("run", "vllm/llama", "-i", "tiny", "-o", "v", "-D", "tp=2")
    for rank in range(2):
        whole = copy.path(f"v/model-rank-{rank}-part-0.safetensors")
        tensors = read_safetensors(whole)
        for part in range(3 - rank):
            names = sorted(tensors)[part::3 - rank]
            write_safetensors(whole.with_name(f"model-rank-{rank}-part-{part}.safetensors"), {k: tensors[k] for k in names})
    assert copy.ok("inspect", "v", "--json").json()["ranks"]["tp"] == 2
    copy.ok("run", "--reverse", "vllm/llama", "-i", "v", "-o", "back.safetensors", "--config", "tiny/config.json")
    assert copy.path("back.safetensors").read_bytes() == copy.path("tiny/model.safetensors").read_bytes()
    shutil.copy(copy.path("v/model-rank-0-part-1.safetensors"), copy.path("v/model-rank-0-part-3.safetensors"))
    r = copy("run", "--reverse", "vllm/llama", "-i", "v", "-o", "twice.safetensors", "--config", "tiny/config.json")
    assert r.status == 1 and "is in two files, also in model-rank-0-part-1.safetensors" in r.err
    copy.path("v/model-rank-0-part-3.safetensors").unlink()
    copy.path("v/model-rank-1-part-1.safetensors").unlink()
    r = copy("run", "--reverse", "vllm/llama", "-i", "v", "-o", "less.safetensors", "--config", "tiny/config.json")
    assert r.status == 1 and "missing for rank 1" in r.err


def test_other_layouts(copy):
    copy.ok("run", "vllm/llama", "-i", "tiny", "-o", "v", "-D", "tp=4")
    a = ranked(copy.ok("inspect", "v", "--json"))
    assert a["model.layers.0.self_attn.o_proj.weight", 0]["dimension"] == 1
    copy.ok("run", "meta/llama", "-i", "tiny", "-o", "m", "-D", "tp=2", "-D", "version=2")
    b = copy.ok("inspect", "m", "--json").json()["ranks"]
    assert (b["layout"], b["tp"]) == ("Meta", 2)
    assert [t["dimension"] for t in b["tensors"] if t["name"] == "tok_embeddings.weight"] == [1]
    copy.path("m/consolidated.00.pth").unlink()
    refused(copy, "m", "tp 0", "missing")
    # a rank in two parts
    write(copy, "p/model-rank-0-part-0.safetensors", {"a": np.ones(3)})
    write(copy, "p/model-rank-0-part-1.safetensors", {"b": np.ones(3)})
    write(copy, "p/model-rank-1-part-0.safetensors", {"a": np.ones(3), "b": np.zeros(3)})
    assert ranked(copy.ok("inspect", "p", "--json"))["b", 0]["kind"] == "cut"
    write(copy, "p/model-rank-0-part-1.safetensors", {"a": np.ones(3)})
    refused(copy, "p", "tp 0", "\"a\" is in model-rank-0-part-0.safetensors and in model-rank-0-part-1.safetensors")
    shutil.move(copy.path("p/model-rank-0-part-1.safetensors"), copy.path("p/model-rank-0-part-2.safetensors"))
    refused(copy, "p", "tp 0, part 1", "missing")


@pytest.mark.parametrize("m", ["meta/llama", "neuron/llama"])
def test_ranks_that_only_the_files_tell(copy, m):
    """Without --define, the files are counted; of optimum-neuron also where the metadata were lost."""
    copy.ok("run", m, "-i", "tiny", "-o", "ranks", "-D", "tp=4")
    for p in copy.path("ranks").glob("shards/*.json"):
        p.unlink()
    copy.ok("run", "--reverse", m, "-i", "ranks", "-o", "back", "--config", "tiny/config.json")
    copy.ok("diff", "tiny", "back")


def test_megatrons_second_number(copy):
    """Stages or expert ranks: expert ranks all have the embedding."""
    copy.ok("run", "megatron/llama_stages", "-i", "tiny", "-o", "s", "-D", "tp=2", "-D", "pp=2")
    r = copy.ok("inspect", "s", "--json").json()["ranks"]
    assert (r["layout"], r["tp"], r["pp"]) == ("Megatron", 2, 2) and "ep" not in r
    copy.ok("gen", "--family", "mixtral", "-o", "moe")
    copy.ok("run", "megatron/mixtral", "-i", "moe", "-o", "e", "-D", "tp=2", "-D", "ep=2")
    r = copy.ok("inspect", "e", "--json").json()["ranks"]
    assert (r["tp"], r["ep"]) == (2, 2) and "pp" not in r
    got = {t["name"]: t for t in r["tensors"]}
    expert = got["decoder.layers.0.mlp.experts.local_experts.0.linear_fc2.weight"]
    assert (expert["ep_equal"], expert["dimension"]) == (False, 1) and got["decoder.final_layernorm.weight"]["ep_equal"]
    shutil.rmtree(copy.path("e/mp_rank_01_001"))
    refused(copy, "e", "tp 1, pp (or ep) 1", "missing")


def test_verify_from_one_degree_to_another(neuron):
    """Each side's ranks are what its files tell, also on the way back, where they are the output."""
    neuron.ok("run", "~neuron/llama >> neuron/llama(tp = 2)", "-i", "n", "-o", "two")
    neuron.ok("run", "~neuron/llama", "-i", "n", "-o", "whole")
    for args, n, back in ((("~neuron/llama >> neuron/llama(tp = 2)", "-i", "n", "-o", "two"), 38, 76),
                          (("--reverse", "neuron/llama", "-i", "n", "-o", "whole"), 21, 76),
                          (("~neuron/llama >> vllm/llama(tp = 2)", "-i", "n", "-o", "v"), 30, 76)):
        if "v" in args:
            neuron.ok("run", *args)
        out = neuron.ok("verify", *args).out
        assert f"forward: {n} of {n} tensors" in out and f"backward: {back} of {back} tensors" in out and "note" not in out


def test_diff_of_different_ranks_says_what_to_do(neuron):
    neuron.ok("run", "~neuron/llama >> neuron/llama(tp = 2)", "-i", "n", "-o", "two")
    for a, b, said in (("n", "two", "n is files of ranks (tp 4, pp 2), two is files of ranks (tp 2, pp 1): "),
                       ("tiny", "two", "tiny is not, two is files of ranks (tp 2, pp 1): ")):
        r = neuron("diff", a, b)
        assert r.status == 1 and f"note: {said}with a map from one to the other" in r.out
    name = "two/" + NEURON.format(1, 0)
    data = bytearray(neuron.path(name).read_bytes())
    data[len(data) // 2] ^= 1
    neuron.ok("run", "~neuron/llama >> neuron/llama(tp = 2)", "-i", "n", "-o", "same")
    neuron.path(name).write_bytes(data)
    r = neuron("diff", "same", "two")
    assert r.status == 1 and "note" not in r.out
    assert r.out.startswith(f"DIFFERENT  {NEURON.format(1, 0)}: "), r  # a name too wide for its column


def test_what_fits_and_does_not_take_is_told(wmap):
    write_safetensors(wmap.path("a.safetensors"), {k: f32(np.zeros(2)) for k in ("m.q.base_layer.weight", "m.norm.weight")})
    wmap.path("m.wmap").write_text('wmap 1\n"{m*}.base_layer.weight" <-> "{m}.weight"\n"{rest*}" <-> "{rest}"\n')
    r = wmap("run", "m.wmap", "-i", "a.safetensors", "-o", "b.safetensors")
    assert r.status == 1 and "UNEXPECTED m.norm.weight" in r.err and '"{rest*}" fits, but does not take it' in r.err


def test_what_is_the_same_of_many_files_is_said_once(copy):
    copy.ok("run", "megatron/llama", "-i", "tiny", "-o", "m", "-D", "tp=4")
    note = [line for line in copy.ok("inspect", "m").out.splitlines() if "note:" in line]
    assert note == ['  note: mp_rank_00/model_optim_rng.pt: tensors are those under "model", as in 3 other files']
