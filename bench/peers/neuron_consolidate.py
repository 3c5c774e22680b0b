#!/usr/bin/env python3
"""Consolidates a directory of optimum-neuron's shards by optimum-neuron's own code, loaded as tests/peers loads it.

    neuron_consolidate.py SHARDS OUT

Needs the second environment of tests/peers/setup.sh."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/peers"))
import neuron_reference  # noqa: E402

_, checkpointing = neuron_reference.load()
checkpointing.consolidate_model_parallel_checkpoints_to_unified_checkpoint(Path(sys.argv[1]), Path(sys.argv[2]))
