"""The kernels of networks of populations with bounds checks, in an interpreter and a kernel cache of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import numpy as np
from numba.core import config
assert config.BOUNDSCHECK == 1
import neuro
from tests.network_strategies import KINDS, delivering, network

total = 0
for seed in range(80):
    rng = np.random.default_rng(seed)
    kinds = [str(kind) for kind in rng.choice(KINDS, int(rng.integers(1, 4)))]
    graph, frames, n_steps = network(seed, int(rng.integers(1, 31)), kinds, bool(rng.integers(2)))
    record = {name: "membrane" for name, node in graph.nodes.items() if hasattr(node, "refractory_s")}
    words = {"record": record} if seed % 2 else {}
    length = {} if frames is not None else {"n_steps": n_steps}
    for way in ("lists", "ring"):
        with delivering(way):
            total += neuro.simulate(graph, frames, **length, **words).counters.total_synaptic_operations
print(total)
"""


@pytest.mark.slow
def test_no_kernel_leaves_its_arrays(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 1000
