"""Compiled loops over points."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def choose_farthest(
    cloud: NDArray[np.float64], place: int, distance: NDArray[np.float64], chosen: NDArray[np.int64]
) -> None:
    """Fill `chosen` with the point `place`, then each time the one farthest from all before it, of equals the first.

    ``cloud``: shape (m, d); ``distance``: shape (m,), the squares of the distances to what was chosen before, infinite
    where nothing was, negative for points that must not be chosen; it goes on to hold them.
    """
    for i in range(chosen.size):
        chosen[i] = place
        distance[place] = -1.0
        farthest, best = -np.inf, 0
        for k in range(cloud.shape[0]):
            if distance[k] >= 0:
                total = 0.0
                for axis in range(cloud.shape[1]):
                    step = cloud[k, axis] - cloud[place, axis]
                    total += step * step
                distance[k] = min(distance[k], total)
                if distance[k] > farthest:
                    farthest, best = distance[k], k
        place = best
