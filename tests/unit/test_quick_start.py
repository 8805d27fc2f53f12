"""A new process reads its kernels from the cache without loading numba's compiler, and can compile afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from neuro.kernels.options import _QUICK_VERSIONS

ROOT = Path(__file__).resolve().parents[2]
COMPILER = "numba.np.linalg"  # one of the modules that only compiling needs
RUN = f"""
import sys
import numpy as np
from neuro import Graph, graph, simulate
network = Graph(
    {{
        "a": graph.IF(1.0),
        "in": graph.Input(3),
        "s": graph.SparseLinear([1.0, 0.5], [0, 2], [0, 1, 2], 3, delay_s=0.001),
    }},
    [("in", "s"), ("s", "a")],
    graph.clocked(0.001),
)
spikes = simulate(network, np.ones((5, 3)) * 2).output.tolist()
print(spikes, {COMPILER!r} in sys.modules, "h5py" in sys.modules)
"""
COMPILE = """
import numba
print(numba.njit(lambda values: np.dot(values, values) + len(str(values.size)))(np.arange(3.0)))
"""


def _printed(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(
    numba.version_info.short not in _QUICK_VERSIONS, reason="kernels are read as numba does it"
)
def test_cached_kernels_are_read_without_the_compiler() -> None:
    first, second = _printed(RUN)[0], _printed(RUN)[0]
    assert second.endswith("False False")
    assert first.split("]]")[0] == second.split("]]")[0]
    assert "1.0" in second


def test_what_is_compiled_afterwards_is_compiled_as_always() -> None:
    assert _printed(RUN + COMPILE)[1] == "6.0"
