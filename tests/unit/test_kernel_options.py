"""Kernels that only kernels call: no way in from Python, and code that is kept for the next caller."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from neuro.kernels.options import _QUICK_VERSIONS, PART, UNCOUNTED, njit
from neuro.kernels.windows import average_frames

ROOT = Path(__file__).resolve().parents[2]
SORTING = """
import numpy as np
from neuro.kernels.arrays import Frames
from neuro.kernels.frames import sort_by_pixel, sort_step
into = Frames(np.zeros(5, np.int32), np.zeros(9, np.int32), np.zeros(0, np.float32))
step, index = np.array([0, 0, 1], np.int32), np.array([1, 2, 3], np.int32)
sort_by_pixel(step, index, np.ones(3, np.float32), np.ones(2, np.uint8), 2, 2, into)
print(into.start.tolist(), into.index[:3].tolist())
for kernel in (sort_by_pixel, sort_step):
    print(len(kernel.stats.cache_hits), len(kernel.stats.cache_misses))
"""


@njit(cache=False, **PART)
def _doubled(value: float) -> float:
    return 2 * value


@njit(cache=False, **UNCOUNTED)
def _doubled_twice(values: np.ndarray) -> float:
    return _doubled(_doubled(values[0]))


def test_a_part_refuses_calls_from_python() -> None:
    for _ in range(2):  # before and after a kernel had it compiled
        with pytest.raises(TypeError, match="kernel '_doubled' is a PART: only kernels may call it"):
            _doubled(3.0)
        assert _doubled_twice(np.array([1.5])) == 6.0
    with pytest.raises(TypeError, match="kernel 'average_frames' is a PART"):
        average_frames(np.zeros(2), 1, np.zeros(2, np.float32))


@pytest.mark.skipif(
    numba.version_info.short not in _QUICK_VERSIONS, reason="parts are compiled as others are"
)
def test_a_part_that_is_kept_serves_another_caller(tmp_path: Path) -> None:
    compiled = _printed(tmp_path)
    assert compiled == ["[0, 1, 2, 2, 3] [1, 2, 3]", "0 1", "0 1"]  # once, not for a constant, too
    assert _printed(tmp_path) == [compiled[0], "1 0", "0 0"]  # the caller has it inside
    for path in tmp_path.rglob("frames.sort_by_pixel-*"):
        path.unlink()
    assert _printed(tmp_path) == [compiled[0], "0 1", "1 0"]


def _printed(folder: Path) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", SORTING], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()
