"""Kernels of placement."""

import numpy as np
from numpy.typing import NDArray

from neuro.kernels.options import PART, UNCOUNTED, njit

Int64s = NDArray[np.int64]


@njit(cache=True, **PART)
def _way(
    start: Int64s,
    other: Int64s,
    weight: NDArray[np.float64],
    x: Int64s,
    y: Int64s,
    place_of: Int64s,
    core: int,
) -> float:
    """Return the length of the ways of a core's messages."""
    total = 0.0
    here = place_of[core]
    for e in range(start[core], start[core + 1]):
        there = place_of[other[e]]
        total += weight[e] * (abs(x[here] - x[there]) + abs(y[here] - y[there]))
    return total


@njit(cache=True, **UNCOUNTED)
def improve_by_swaps(
    start: Int64s,
    other: Int64s,
    weight: NDArray[np.float64],
    x: Int64s,
    y: Int64s,
    place_of: Int64s,
    core_at: Int64s,
    pairs: Int64s,
) -> float:
    """Move cores to places, exchanging what is there, where that shortens the ways; returns what was gained."""
    gained = 0.0
    for k in range(pairs.shape[1]):
        core, place = pairs[0, k], pairs[1, k]
        partner, home = core_at[place], place_of[core]
        if partner == core:
            continue
        before = _way(start, other, weight, x, y, place_of, core)
        if partner >= 0:
            before += _way(start, other, weight, x, y, place_of, partner)
            place_of[partner] = home
        place_of[core] = place
        after = _way(start, other, weight, x, y, place_of, core)
        if partner >= 0:
            after += _way(start, other, weight, x, y, place_of, partner)
        if after < before - 1e-9:
            core_at[place], core_at[home] = core, partner
            gained += before - after
        else:
            place_of[core] = home
            if partner >= 0:
                place_of[partner] = place
    return gained
