"""safetensors files and directories that are not what they say."""

import pytest

import attack
import corpus_safetensors as corpus

CASES = list(corpus.cases())


@pytest.mark.parametrize("name,build,status,needle", CASES, ids=[c[0][:60] for c in CASES])
def test_verdict(tmp_path, name, build, status, needle):
    attack.verdict(tmp_path, build(str(tmp_path)), status, needle)


def test_the_corpus_is_large():
    assert len(CASES) >= 120
    assert len({c[0] for c in CASES}) == len(CASES)


def test_random_changes(tmp_path):
    header = corpus.obj(corpus.entry(), corpus.entry("F32", "[2,2]", "1", "17", "b"), '"__metadata__":{"format":"pt"}')
    path = tmp_path / "model.safetensors"
    path.write_bytes(corpus.raw(header, bytes(17)))
    attack.random_changes(str(path), path, "safetensors")
