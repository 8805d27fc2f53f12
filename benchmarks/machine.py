"""What the machine can add at most: rows of weights into sums, with no index, no neuron and no cache miss."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from timing import best_seconds

from neuro.kernels.vectors import LANES, add, load, splat, store

__all__ = ["byte_add_rate", "float_add_rate"]

U = np.uint64
N_COLUMNS = 128


@njit(cache=True)
def _add_floats(weight: NDArray[np.float32], total: NDArray[np.float32], n_rounds: int) -> None:
    """Add all rows of 128 numbers to `total`, whose eight vectors stay in registers."""
    step = U(LANES)
    for _ in range(n_rounds):
        a = b = c = d = e = f = g = h = splat(np.float32(0))
        for at in range(U(0), U(weight.size), U(N_COLUMNS)):
            a, b = add(a, load(weight, at)), add(b, load(weight, at + step))
            c, d = add(c, load(weight, at + U(2) * step)), add(d, load(weight, at + U(3) * step))
            e, f = add(e, load(weight, at + U(4) * step)), add(f, load(weight, at + U(5) * step))
            g, h = add(g, load(weight, at + U(6) * step)), add(h, load(weight, at + U(7) * step))
        store(total, U(0), add(add(add(a, b), add(c, d)), add(add(e, f), add(g, h))))


@njit(cache=True)
def _add_bytes(weight: NDArray[np.int8], total: NDArray[np.int16], n_rounds: int) -> None:
    """Add all rows to the 16-bit sums, eight rows for each time that a sum is read and written."""
    n = U(total.size)
    for _ in range(n_rounds):
        for k in range(U(0), U(weight.shape[0]), U(8)):
            for o in range(n):
                s = total[o] + weight[k, o] + weight[k + U(1), o] + weight[k + U(2), o] + weight[k + U(3), o]
                s += weight[k + U(4), o] + weight[k + U(5), o] + weight[k + U(6), o] + weight[k + U(7), o]
                total[o] = s


def float_add_rate(n_rows: int) -> float:
    """Measure billions of float32 additions per second on one core."""
    weight, total = np.zeros(n_rows * N_COLUMNS + LANES, np.float32)[:-LANES], np.zeros(LANES, np.float32)
    n_rounds = max(1, 2**22 // weight.size)
    seconds = best_seconds(lambda: _add_floats(weight, total, n_rounds), repeats=50, budget_s=5)
    return n_rounds * weight.size / seconds / 1e9


def byte_add_rate(n_rows: int) -> float:
    """Measure billions of additions of int8 to int16 per second on one core, as LLVM compiles the plain loop."""
    weight, total = np.zeros((n_rows, N_COLUMNS), np.int8), np.zeros(N_COLUMNS, np.int16)
    n_rounds = max(1, 2**22 // weight.size)
    seconds = best_seconds(lambda: _add_bytes(weight, total, n_rounds), repeats=50, budget_s=5)
    return n_rounds * weight.size / seconds / 1e9
