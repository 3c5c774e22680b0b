"""A map and its inverse plan to nothing: `wmap plan` says so, for every shipped map that a family of gen fits."""

import pytest

from conftest import ROOT, Wmap, names_of

LINE = "identity: every output tensor is an input tensor as it is"
MAPS = sorted(str(p.relative_to(ROOT / "stdlib-maps").with_suffix("")) for p in (ROOT / "stdlib-maps").rglob("*.wmap")
              if p.parent.name != "common")  # parts of maps
FAMILY = {
    "deepspeed/llama": "llama", "fused/bert": "bert", "litgpt/falcon": "falcon", "litgpt/gemma": "gemma", "litgpt/gemma2": "gemma2",
    "litgpt/gemma3": "gemma3_text", "litgpt/gpt_neox": "gpt_neox", "litgpt/legacy_llama": "llama", "litgpt/llama": "llama",
    "litgpt/mixtral": "mixtral", "litgpt/olmo2": "olmo2", "litgpt/phi": "phi", "litgpt/phi3": "phi3",
    "litgpt/qwen2": "qwen2", "litgpt/qwen3": "qwen3", "litgpt/qwen3_moe": "qwen3_moe", "meta/llama": "llama",
    "nanogpt/gpt2": "gpt2", "megatron/llama": "llama", "megatron/llama_stages": "llama", "megatron/mixtral": "mixtral",
    "megatron/mixtral_stages": "mixtral", "vllm/llama": "llama",
    "neuron/granite": "llama", "neuron/llama": "llama", "neuron/qwen3": "qwen3", "olmo_core/gemma3": "gemma3_text", "olmo_core/llama": "llama", "olmo_core/olmo2": "olmo2",
    "olmo_core/olmo3": "olmo3", "olmo_core/olmoe": "olmoe", "olmo_core/qwen3": "qwen3",
    "transformers5/deepseek_v3": "deepseek_v3", "transformers5/mixtral": "mixtral", "transformers5/olmoe": "olmoe",
    "transformers5/phimoe": "mixtral", "transformers5/qwen2_moe": "qwen3_moe", "transformers5/qwen3_moe": "qwen3_moe",
    "transformers5/ep_plan": "gpt_oss", "transformers5/tp_plan": "llama",
    "tt_train/gpt2": "gpt2", "tt_train/llama": "llama",
}
NO_FAMILY = {"sepweight/falcon", "sepweight/gpt2", "sepweight/llama", "sepweight/dumped", "sepweight/nested",
             "litgpt/stablelm", "olmo_core/flex_olmo", "olmo_core/hybrid", "transformers5/gpt_oss"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One generated checkpoint a family."""
    w = Wmap(tmp_path_factory.mktemp("families"))
    for family in set(FAMILY.values()):
        w.ok("gen", "--family", family, "-o", family)
    return w


def identity(w, expression, source):
    text = w.ok("plan", expression, "-i", source).out.splitlines()
    told = w.ok("plan", expression, "-i", source, "--json").json()["identity"]
    assert (LINE in text) == told
    return told


def test_every_map_is_here():
    assert sorted([*FAMILY, *NO_FAMILY]) == MAPS


@pytest.mark.parametrize("name", FAMILY)
def test_there_and_back(made, name):
    """`m >> ~m` is an identity, unless numbers are computed on the way."""
    computed = name == "olmo_core/gemma3"  # adds 1 to weights of norms
    assert identity(made, f"{name} >> ~{name}", FAMILY[name]) is not computed


@pytest.mark.parametrize("name", [n for n in FAMILY if not n.startswith(("deepspeed/", "neuron/", "megatron/", "vllm/", "transformers5/ep_plan", "transformers5/tp_plan"))])  # they write ranks
def test_back_and_there(made, name, tmp_path):
    """`~m >> m` is one, too; where the middle leaves out a tied tensor, that one is made of the other."""
    made.ok("run", name, "-i", FAMILY[name], "-o", tmp_path / "there", "--quiet")
    tied = {"litgpt/falcon", "litgpt/gemma", "litgpt/gemma2", "litgpt/gemma3", "nanogpt/gpt2"}
    computed = {"olmo_core/gemma3", "tt_train/llama"}  # the latter: every float32 has to be a bfloat16 again
    assert identity(made, f"~{name} >> {name}", tmp_path / "there") is (name not in tied | computed)
    assert name not in tied or "lm_head.weight" in names_of(made, tmp_path / "there")


@pytest.mark.parametrize("rule, want", [
    ('"{rest*}" <-> "{rest}"', True),
    ('"{rest*}" <-> "x.{rest}"', False),
    ('"{rest*}" <-> "{rest}" "lm_head.weight" [v e] <-> "lm_head.weight" [e v]', False),
    ('"{rest*}" <-> "{rest}" "lm_head.weight" [(a b) e] <-> "lm_head.weight" [(b a) e] where a = 2', False),
    ('"{rest*}" <-> "{rest}" "lm_head.weight" [(a + b) e] <-> "lm_head.weight" [(a + b) e] where a = 20', True),
    ('"{rest*}" <-> "{rest}" "lm_head.weight" [(a + b) e] <-> "lm_head.weight" [(b + a) e] where a = 20', False),
    ('"{rest*}" <-> "{rest}" "lm_head.weight" <-> neg <-> "lm_head.weight"', False),
    ('"{rest*}" <-> "{rest}" "lm_head.weight" <-> reshape([320, 64], [64, 320]) <-> "lm_head.weight"', False),
    ('"{rest*}" <-> "{rest}" source { ignore "lm_head.weight" }', False),
    ('"{rest*}" <-> "{rest}" fill 0 u8 -> "more" [n] where n = 3', False),
    ('"{rest*}" <-> "{rest}" "lm_head.weight" <-> "model.embed_tokens.weight" '
     '"model.embed_tokens.weight" <-> "lm_head.weight"', False),
])
def test_what_is_none(made, rule, want):
    made.path("m.wmap").write_text(f"wmap 1\n{rule}\n")
    assert identity(made, "m.wmap", "llama") is want
