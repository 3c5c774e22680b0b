"""What shapes cannot tell: mistakes that fit are shown wrong by `verify`, mistakes that do not
fit are refused."""

import pytest
import torch

from conftest import MAPS, load, save
from models import make, sizes

WRONG, RIGHT = 1, 0


def variant_of(name, tmp_path, right, wrong):
    """A copy of a shipped map with one thing changed."""
    text = (MAPS / f"{name}.wmap").read_text()
    assert text.count(right) == 1
    path = tmp_path / "wrong.wmap"
    path.write_text(text.replace(right, wrong))
    return path


def tell_apart(wmap, tmp_path, right, wrong, source, *options):
    """Both maps convert the source, and verify tells the two results apart."""
    results = {}
    for name, judge in (("right", right), ("wrong", wrong)):
        results[name] = tmp_path / name
        wmap("run", judge, "-i", source, "-o", results[name], *options)
    for name, judge, status in (
        ("right", right, RIGHT),
        ("wrong", right, WRONG),
        ("right", wrong, WRONG),
        ("wrong", wrong, RIGHT),
    ):
        wmap("verify", judge, "-i", source, "-o", results[name], *options, status=status)


def test_keys_permuted_with_the_heads_of_queries(wmap, tmp_path):
    """The mistake of many a converter: with 4 query and 2 key heads of 8 it fits every shape."""
    directory = tmp_path / "model"
    make(directory, "LlamaForCausalLM", **sizes(head_dim=8))
    wrong = variant_of(
        "meta/llama",
        tmp_path,
        '"self_attn.k_proj.{wb in weight|bias}" [(kv_heads halves i) ...]\n'
        '    <-> "attention.wk.{wb}" [(kv_heads i halves) ...]',
        '"self_attn.k_proj.{wb in weight|bias}" [(heads halves i) ...]\n'
        '    <-> "attention.wk.{wb}" [(heads i halves) ...]',
    )
    tell_apart(wmap, tmp_path, "meta/llama", wrong, directory)


def test_keys_permuted_with_the_heads_of_queries_where_it_does_not_fit(wmap, tmp_path):
    """With heads of 6, four half-heads do not fill the 12 rows of k: refused, and nothing is
    written."""
    directory = tmp_path / "model"
    make(directory, "LlamaForCausalLM", **sizes())
    wrong = variant_of("meta/llama", tmp_path, "config.num_key_value_heads ?? heads", "heads")
    said = wmap("run", wrong, "-i", directory, "-o", tmp_path / "out", status=WRONG).stderr
    assert "self_attn.k_proj.weight" in said and "12" in said
    assert not (tmp_path / "out").exists()


QWEN3_MOE = {
    "num_experts": 12,
    "moe_intermediate_size": 12,
    "num_experts_per_tok": 2,
    "head_dim": 8,
}


@pytest.mark.parametrize(
    "order",
    [[0, 2, 1, *range(3, 12)], sorted(range(12), key=str)],
    ids=["two swapped", "by name: 0, 1, 10, 11, 2"],
)
def test_experts_in_the_wrong_order(wmap, tmp_path, order):
    directory = tmp_path / "model"
    make(directory, "Qwen3MoeForCausalLM", **sizes(**QWEN3_MOE))
    there = tmp_path / "there"
    wmap("run", "transformers5/qwen3_moe", "-i", directory, "-o", there)
    wmap("verify", "transformers5/qwen3_moe", "-i", directory, "-o", there)
    tensors = load(there)
    key = "model.layers.2.mlp.experts.down_proj"
    tensors[key] = tensors[key][order]
    save(tensors, there / "model.safetensors")
    said = wmap("verify", "transformers5/qwen3_moe", "-i", directory, "-o", there, status=WRONG)
    assert key in said.stdout + said.stderr


def test_gate_and_up_interleaved(wmap, tmp_path):
    """Rows of gate and up by turns have the shape of all of gate, then all of up."""
    directory = tmp_path / "model"
    make(directory, "Qwen3MoeForCausalLM", **sizes(**QWEN3_MOE))
    wrong = variant_of(
        "common/packed_experts",
        tmp_path,
        '"gate_up_proj" [expert (p f) e]',
        '"gate_up_proj" [expert (f p) e]',
    )
    with wrong.open("a") as file:
        file.write('"{rest*}" <-> "{rest*}"\n')
    tell_apart(wmap, tmp_path, "transformers5/qwen3_moe", wrong, directory)


def test_a_square_matrix_transposed_or_not(wmap, tmp_path):
    """The down projection of gpt-oss has 2880 rows and 2880 columns."""
    source = tmp_path / "square.safetensors"
    torch.manual_seed(0)
    save({"down": torch.randn(2880, 2880).to(torch.bfloat16)}, source)
    for name, pattern in (("transposed", "[o i]"), ("kept", "[i o]")):
        text = f'wmap 1\nmap square "a test"\n"down" [i o] <-> "w" {pattern}\n'
        (tmp_path / f"{name}.wmap").write_text(text)
    tell_apart(wmap, tmp_path, tmp_path / "transposed.wmap", tmp_path / "kept.wmap", source)


@pytest.mark.parametrize(
    "rule",
    [
        '"w" [(p f) e] <-> "{p in a|b}" [f e]',
        '"w" <-> chunk(0) <-> "a", "b"',
        '"w" <-> chunk(0) <-> "a", "b", "c", "d"',
        '"w" <-> split(0, [2, 2]) <-> "a", "b"',
    ],
)
def test_an_uneven_split(wmap, tmp_path, rule):
    """Five rows into two or four parts: torch.chunk would make 3 and 2, or three tensors instead
    of four."""
    source = tmp_path / "source.safetensors"
    save({"w": torch.randn(5, 4)}, source)
    path = tmp_path / "uneven.wmap"
    path.write_text(f'wmap 1\nmap uneven "a test"\n{rule}\n')
    said = wmap("run", path, "-i", source, "-o", tmp_path / "out.safetensors", status=WRONG).stderr
    assert "uneven.wmap:3" in said and "5" in said
    assert not (tmp_path / "out.safetensors").exists()
