"""Any ceiling of memory and any number of threads give the same bytes; too low a ceiling names the number that works."""

import random
import re

import numpy as np
import pytest

from conftest import Wmap, read_safetensors, write_safetensors

MAP = """wmap 1
index expert < 3
"t" [a b c] <-> "t" [c a b]
"w" [(g h) d] <-> "w" [(h g) d] where g = %(g)d
"k.{expert}" <-> transpose(0, 1) <-> "kt.{expert}"
"left" [n (m a)], "right" [n (m b)] <-> "both" [n (m (a + b))] where a = 1, b = 1
"""
NP = {"U8": np.uint8, "BF16": np.uint16, "F32": np.uint32, "F64": np.uint64}


def model(seed):
    """Random tensors, most of them larger than the least ceilings; and what the map makes of them, by numpy."""
    rnd, gen = random.Random(seed), np.random.default_rng(seed)

    def make(*shape):
        dtype = rnd.choice(list(NP))
        scale = max(1, NP[dtype]().itemsize // 2)
        shape = (max(2, shape[0] // scale), *shape[1:])
        info = np.iinfo(NP[dtype])
        return dtype, gen.integers(0, info.max, shape, NP[dtype], endpoint=True)

    g = rnd.choice([2, 4, 8])
    t = make(rnd.randint(50, 90), rnd.randint(60, 99), rnd.randint(100, 140))
    dt, left = make(rnd.randint(500, 800), rnd.randint(500, 900))
    right = gen.permutation(left.reshape(-1)).reshape(left.shape)
    dw, w = make(8 * rnd.randint(150, 260), rnd.randint(300, 500))
    w = w[:w.shape[0] // 8 * 8]
    ins = {"t": t, "left": (dt, left), "right": (dt, right), "w": (dw, w)}
    outs = {"t": (t[0], t[1].transpose(2, 0, 1)),
            "w": (dw, w.reshape(g, -1, w.shape[1]).transpose(1, 0, 2).reshape(w.shape)),
            "both": (dt, np.stack([left, right], -1).reshape(left.shape[0], -1))}
    for k in range(3):
        d, a = make(rnd.randint(600, 1100), rnd.randint(600, 1100))
        ins[f"k.{k}"], outs[f"kt.{k}"] = (d, a), (d, a.T)
    return MAP % {"g": g}, ins, outs


def as_file(tensors):
    return {n: (d, list(a.shape), np.ascontiguousarray(a).tobytes()) for n, (d, a) in tensors.items()}


@pytest.fixture(scope="module", params=range(4))
def case(request, tmp_path_factory):
    w = Wmap(tmp_path_factory.mktemp("memory"))
    text, ins, outs = model(request.param)
    w.path("m.wmap").write_text(text)
    write_safetensors(w.path("in.safetensors"), as_file(ins))
    w.want = as_file(outs)
    w.largest = max(len(t[2]) for t in w.want.values())
    return w


def run(w, out, *more):
    return w("run", "./m.wmap", "-i", "in.safetensors", "-o", out, "-q", *more)


def least_of(w):
    r = run(w, "no.safetensors", "--max-memory", "1kB", "--threads", "1")
    assert r.status == 2 and not w.path("no.safetensors").exists(), r
    return int(re.search(r"at least (\d+) bytes of memory are needed, not 1000", r.err)[1])


def test_grid(case):
    least = least_of(case)
    assert case.largest > 2 * least, "the ceilings are no test of tensors of this size"
    for memory in (least, least + 1, 2 * least - 1, 2 * least, 700000, 1 << 20, 3000000, 8 << 20, 64 << 20):
        for threads in (1, 2, 3, 8):
            r = run(case, "out.safetensors", "--max-memory", memory, "--threads", threads, "--json")
            assert r.status == 0, r
            assert 0 < r.json()["peak_buffers"] <= memory
            assert read_safetensors(case.path("out.safetensors")) == case.want, (memory, threads)


def test_the_least_is_the_least(case):
    least = least_of(case)
    r = run(case, "no.safetensors", "--max-memory", least - 1)
    assert r.status == 2 and f"at least {least} bytes of memory are needed, not {least - 1}" in r.err, r
    assert run(case, "least.safetensors", "--max-memory", least).status == 0
    assert read_safetensors(case.path("least.safetensors")) == case.want


def test_tasks_of_all_kinds(case):
    """Shares that are cut in the midst of slabs, by processes whose slabs differ."""
    for i, memory in enumerate([least_of(case), 1 << 20, 64 << 20, 3000000, 700000], 1):
        r = run(case, "tasks.safetensors", "--task", f"{i}/5", "--max-memory", memory, "--threads", i)
        assert r.status == 0, r
    assert read_safetensors(case.path("tasks.safetensors")) == case.want
