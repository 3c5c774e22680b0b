"""Random maps: the program and the evaluator must make the same bytes, there and back.

WMAP_BIN is the program; WMAP_PROPERTY_N (200) is how many maps, WMAP_PROPERTY_SEED (0) the first seed.  A failure
prints the seed: `python gen_maps.py SEED` shows the map again."""

import os

import pytest

import harness
from gen_maps import make_case
from gen_mutants import make_mutant

N = int(os.environ.get("WMAP_PROPERTY_N", "200"))
FIRST = int(os.environ.get("WMAP_PROPERTY_SEED", "0"))


@pytest.mark.skipif(harness.program() is None, reason="WMAP_BIN is not set")
@pytest.mark.parametrize("seed", range(FIRST, FIRST + N))
def test_random_map(seed, tmp_path):
    try:
        harness.check(make_case(seed), tmp_path)
    except harness.Difference as d:
        pytest.fail(str(d), pytrace=False)


@pytest.mark.skipif(harness.program() is None, reason="WMAP_BIN is not set")
@pytest.mark.parametrize("seed", range(FIRST, FIRST + N // 4))
def test_ill_formed_map(seed, tmp_path):
    try:
        harness.check_mutant(make_mutant(seed), tmp_path)
    except harness.Difference as d:
        pytest.fail(str(d), pytrace=False)
