"""Single transformations of optimum-neuron's training, made by its own functions and classes, both ways.

    neuron_specs.py OUT

Runs in the second environment of setup.sh, with the stand-ins of neuron_reference.py.  For each case OUT/NAME has
full.safetensors (what a checkpoint of Hugging Face holds), rank-N.safetensors (what each rank gets), back.safetensors (what
comes back of these) and case.json, with the error in place of what could not be made."""

import json
import sys
from pathlib import Path

import torch
from neuron_reference import RANK, load, numbered, parameter
from safetensors.torch import save_file

P = "model.layers.0."


def full_of(shapes, same=()):
    """Numbered tensors; those named in `same` have the elements of the first of them."""
    model, at = {}, 1
    for name, shape in shapes.items():
        model[P + name], at = numbered(at, *shape)
    for name in same[1:]:
        model[P + name] = model[P + same[0]].clone()
    return model


def attributes(named):
    found = {}
    for name, p in named.items():
        cut = getattr(p, "tensor_model_parallel", False)
        found[name] = {"tensor_model_parallel": cut} | ({} if not cut else {
            "partition_dim": p.partition_dim, "partition_stride": p.partition_stride, "num_partitions": p.num_partitions})
    return found


class Case:
    def __init__(self, out, name, tp, full, **about):
        self.dir, self.tp, self.full, self.about = out / name, tp, full, {"name": name, "tp": tp, **about}
        self.ranks = self.back = None

    def forward(self, make):
        try:
            self.ranks = []
            for rank in range(self.tp):
                RANK.update(rank=rank, size=self.tp)
                self.ranks.append({k: v.contiguous().clone() for k, v in make(rank).items()})
        except Exception as e:
            self.ranks, self.about["forward_error"] = None, f"{type(e).__name__}: {e}"

    def backward(self, make):
        if not self.ranks:
            return
        try:
            RANK.update(rank=0, size=self.tp)
            self.back = make({k: [r[k] for r in self.ranks] for k in self.ranks[0]})
        except Exception as e:
            self.back, self.about["back_error"] = None, f"{type(e).__name__}: {e}"

    def write(self):
        self.dir.mkdir(parents=True)
        save_file(self.full, self.dir / "full.safetensors")
        for rank, tensors in enumerate(self.ranks or []):
            save_file(tensors, self.dir / f"rank-{rank}.safetensors")
        if self.back is not None:
            save_file({k: v.contiguous().clone() for k, v in self.back.items()}, self.dir / "back.safetensors")
        (self.dir / "case.json").write_text(json.dumps(self.about))


def plain(tr, out):
    """create_local_weight_with_padding: it pads nothing."""
    for length, tp, stride, dim in ((8, 4, 1, 0), (8, 4, 1, 1), (8, 2, 2, 0), (8, 2, 2, 1), (12, 2, 3, 0), (5, 2, 1, 0), (10, 4, 1, 0),
                                    (10, 4, 1, 1), (9, 4, 1, 0), (7, 2, 2, 0), (10, 8, 2, 0)):
        shape = (length, 3) if dim == 0 else (3, length)
        c = Case(out, f"plain-{length}-{tp}-{stride}-{dim}", tp, full_of({"w": shape}), kind="plain", length=length, stride=stride,
                 dim=dim)
        c.forward(lambda rank: {P + "w": tr.create_local_weight_with_padding(c.full[P + "w"], dim, stride)})
        c.backward(lambda ranks: {P + "w": torch.cat(ranks[P + "w"], dim)})
        c.write()


def fused_function(tr, out):
    """create_local_fused_weight, of parts of different lengths."""
    for tp in (1, 2, 4):
        c = Case(out, f"function-{tp}", tp, full_of({"a": (8, 3), "b": (4, 3), "c": (4, 3)}), kind="function")
        c.forward(lambda rank: {P + "abc": tr.create_local_fused_weight(rank, tp, list(c.full.values()), 0, 0)})
        c.write()


def run_spec(tr, c, spec, module, named, lora=False):
    """Both ways through one specification."""
    def forward(rank):
        s = spec()
        s.peft_type = "lora" if lora else None
        return s.adapt_state_dict(module, named, dict(c.full), upstanding_sharded_params={}, inplace=False)

    def backward(ranks):
        s = spec()
        s.peft_type = "lora" if lora else None
        return s.to_original_weights(module, ranks, attributes(named))[0]

    c.forward(forward)
    c.backward(backward)
    c.write()


def fused(tr, out):
    for kind, names, shapes, axis, dim in (
            ("gate_up", ("gate_proj", "up_proj"), [(8, 3)] * 2, "column", 0),
            ("bias", ("gate_proj", "up_proj"), [(8, 3)] * 2, "column", 0),
            ("qkv", ("q_proj", "k_proj", "v_proj"), [(16, 3), (4, 3), (4, 3)], "column", 0),
            ("row", ("a", "b"), [(3, 8), (3, 12)], "row", 1),
            ("across", ("a", "b"), [(8, 3), (8, 5)], "row", 0),
            ("odd", ("gate_proj", "up_proj"), [(10, 3)] * 2, "column", 0)):
        for tp in (4,) if kind == "odd" else (1, 2, 4):
            whole = {f"{n}.weight": s for n, s in zip(names, shapes, strict=True)}
            if kind == "bias":
                whole |= {f"{n}.bias": s[:1] for n, s in zip(names, shapes, strict=True)}
            c = Case(out, f"fused-{kind}-{tp}", tp, full_of(whole), kind=kind)
            named = {P + "x.weight": parameter((1, 1), dim, len(names), tp)}
            if kind == "bias":
                named[P + "x.bias"] = parameter((1,), 0, len(names), tp)
            lengths = [s[axis == "row"] for s in shapes]
            run_spec(tr, c, lambda: tr.FusedLinearsSpec("x", list(names), kind == "bias", axis, lengths), P[:-1], named)


def lora_fused(tr, out):
    r, e = 2, 6
    for kind, tp in ((k, t) for k in ("column", "row") for t in (1, 2, 4)):
        ab = {"column": ((r, e), (8, r)), "row": ((r, 8), (e, r))}[kind]
        shapes = {f"{n}.lora_{x}.weight": s for n in ("a", "b") for x, s in zip("AB", ab, strict=True)}
        c = Case(out, f"lora-{kind}-{tp}", tp, full_of(shapes, ("a.lora_A.weight", "b.lora_A.weight")), kind="lora_" + kind)
        named = {P + "x.lora_A.default.weight": parameter(ab[0]), P + "x.lora_B.default.weight": parameter(ab[1], 0, 1, tp)}
        if kind == "row":
            named = {P + "x.lora_A.default.weight": parameter(ab[0], 1, 1, tp), P + "x.lora_B.default.weight": parameter(ab[1])}
        run_spec(tr, c, lambda: tr.FusedLinearsSpec("x", ["a", "b"], False, kind, [8, 8]), P[:-1], named, lora=True)


def lora_gqa(tr, out):
    r, e, heads, d = 2, 6, 8, 2
    for kv, tp, m, fuse in ((2, 2, 1, False), (2, 4, 2, False), (1, 4, 4, False), (2, 4, 2, True)):
        shapes = {f"{n}_proj.lora_A.weight": (r, e) for n in "qkv"}
        shapes |= {f"{n}_proj.lora_B.weight": (rows, r) for n, rows in zip("qkv", (heads * d, kv * d, kv * d), strict=True)}
        shapes |= {"o_proj.lora_A.weight": (r, heads * d), "o_proj.lora_B.weight": (e, r)}
        c = Case(out, f"lora-gqa-{kv}-{tp}-{m}-{fuse}", tp, full_of(shapes, [f"{n}_proj.lora_A.weight" for n in "qkv"]),
                 kind="lora_gqa", heads=heads, kv_heads=kv, m=m, fuse=fuse)
        q, k = heads * d // tp, kv * d * m // tp
        named = {P + "qkv_proj.lora_A.default.weight": parameter((r, e)),
                 P + "o_proj.lora_A.default.weight": parameter((r, q), 1, 1, tp), P + "o_proj.lora_B.default.weight": parameter((e, r))}
        for name, rows in (("qkv", q + 2 * k),) if fuse else (("q", q), ("k", k), ("v", k)):
            dim = {} if fuse else {"dim": 0, "tp": tp}
            named[P + f"qkv_proj.lora_B.default.weight_{name}"] = parameter((rows, r), **dim)
        spec = lambda: tr.GQAQKVColumnParallelLinearSpec(  # noqa: E731
            "qkv_proj", "q_proj", "k_proj", "v_proj", "o_proj", heads, kv, m, q, k, fuse, False)
        run_spec(tr, c, spec, P[:-1], named, lora=True)


if __name__ == "__main__":
    tr, _ = load()
    tr.logger.warning = lambda *args, **kw: None
    for make in (plain, fused_function, fused, lora_fused, lora_gqa):
        make(tr, Path(sys.argv[1]))
